/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <stdio.h>

#include <rte_errno.h>
#include <rte_ring.h>

#include "queue_private.h"

size_t
vmq_queue_memory_bytes(uint32_t buffers, uint32_t limit, uint32_t buffer_size)
{
	return vmq_pool_block_bytes(buffers, buffer_size) + vmq_pool_fixed_bytes(limit) +
		/* the backlog, and what a pcap backend has waiting */
		2 * (rte_align32pow2(limit + 1) * sizeof(void *) + sizeof(struct rte_ring)) +
		/* records of queue and backend: a few cache lines and two bursts */
		4096;
}

unsigned int
vmq_queue_memzones(enum vmq_backend_type type)
{
	/* An Xmit pool beside the receive pool where the backend receives. */
	return VMQ_POOL_MEMZONES(1) + (vmq_backend_type_receives(type) ? VMQ_POOL_MEMZONES(1) : 0);
}

static int
worker_node(const struct queue *queue)
{
	return vmq_datapath_worker_node(queue->adapter->host->dp, queue->worker);
}

static void
on_pool_event(void *arg, struct vmq_pool *pool, enum vmq_pool_event event, uint32_t buffers)
{
	static const enum vmq_indication indications[] = {
		[VMQ_POOL_GROWN] = VMQ_INDICATE_MEMORY_GROWN,
		[VMQ_POOL_RETURNED] = VMQ_INDICATE_MEMORY_RETURNED,
		[VMQ_POOL_GROW_FAILED] = VMQ_INDICATE_MEMORY_FAILED,
	};
	const struct queue *queue = arg;

	(void)pool;
	adapter_indicate(queue->adapter, indications[event], queue->id, buffers);
}

int
queue_own_node(const struct queue *queue)
{
	return queue->memory.node != SOCKET_ID_ANY ? queue->memory.node : worker_node(queue);
}

struct vmq_pool *
queue_fill_pool(struct queue *queue, const struct vmq_pool_params *params, uint32_t buffers,
	struct vmq_error *err)
{
	struct vmq_pool *pool = vmq_pool_create(queue->adapter->shmem, params, err);
	enum vmq_status status;

	if (pool == NULL)
		return NULL;
	status = vmq_pool_grow(pool, buffers, buffers, NULL, err);
	if (status == VMQ_STATUS_SUCCESS)
		return pool;
	vmq_pool_destroy(pool, NULL);
	rte_errno = status == VMQ_STATUS_RESOURCES ? ENOMEM : EIO;
	return NULL;
}

static struct vmq_pool *
make_pool(struct queue *queue, uint32_t buffers, struct vmq_error *err)
{
	const struct vmq_queue_memory *memory = &queue->memory;
	char name[RTE_MEMPOOL_NAMESIZE];
	const struct vmq_pool_params params = {
		.name = name,
		.queue_id = queue->id,
		.limit = memory->limit,
		.buffer_size = memory->buffer_size,
		.usage = VMQ_SHMEM_RECEIVE,
		.flags = memory->contiguous ? VMQ_SHMEM_F_CONTIGUOUS : 0,
		.cache_size = queue->id == VMQ_DEFAULT_QUEUE_ID ? RX_CACHE_SIZE : 0,
		.stash = queue->id == VMQ_DEFAULT_QUEUE_ID,
		.node = queue_own_node(queue),
	};
	struct vmq_pool *pool;

	snprintf(name, sizeof(name), "vmq_a%u_q%u_rx", queue->adapter->number, queue->id);
	pool = queue_fill_pool(queue, &params, buffers, err);
	if (pool != NULL)
		vmq_pool_set_callback(pool, on_pool_event, queue);
	return pool;
}

struct vmq_pool *
queue_make_pool(struct queue *queue, struct vmq_error *err)
{
	return make_pool(queue, queue->memory.buffers, err);
}

/* The NIC may not hear of memory that comes later. What software copies into grows. */
bool
queue_pool_grows(const struct queue *queue)
{
	return queue->adapter->hardware.port.pools_grow || queue->id != VMQ_DEFAULT_QUEUE_ID;
}

void
queue_watch_pool(struct queue *queue)
{
	struct vmq_pool_demand demand = queue->memory.demand;

	if (!queue_pool_grows(queue))
		demand = (struct vmq_pool_demand){0};
	else if (demand.low == 0 && demand.high == 0 && demand.step == 0)
		demand = vmq_pool_demand_default(queue->memory.buffers);
	vmq_pool_set_demand(queue->pool, &demand);
	vmq_pool_set_callback(queue->pool, on_pool_event, queue);
}

void
queue_use_slot_pool(struct queue *queue)
{
	queue->pool = queue->slot->pool;
	queue_watch_pool(queue);
}

enum vmq_status
queue_open_memory(struct queue *queue, uint32_t buffers, struct vmq_error *err)
{
	enum vmq_status status;

	if (queue->slot != NULL) {
		status = slot_open_memory(queue->slot, queue, buffers, err);
		if (status != VMQ_STATUS_SUCCESS)
			return status;
		queue_use_slot_pool(queue);
	} else {
		queue->pool = make_pool(queue, buffers, err);
		if (queue->pool == NULL)
			return rte_errno == ENOMEM ? VMQ_STATUS_RESOURCES : VMQ_STATUS_FAILURE;
		queue_watch_pool(queue);
	}
	if (!vmq_backend_type_receives(queue->backend_params.type))
		return VMQ_STATUS_SUCCESS;
	queue->xmit_pool = xmit_make_pool(queue, queue_own_node(queue), err);
	if (queue->xmit_pool != NULL) {
		queue->xmit_node = queue_own_node(queue);
		return VMQ_STATUS_SUCCESS;
	}
	queue_close_memory(queue); /* nothing has used it: all buffers are home */
	return rte_errno == ENOMEM ? VMQ_STATUS_RESOURCES : VMQ_STATUS_FAILURE;
}

enum vmq_status
queue_open_path(struct queue *queue, struct vmq_error *err)
{
	const int node = worker_node(queue);
	struct vmq_dp_queue_params dp = {
		.id = queue->id,
		.source_worker = queue->adapter->source_worker,
		.worker = queue->worker,
		.pool = vmq_pool_mempool(queue->pool),
		.limit = queue->memory.limit,
		.received_into_pool = queue->id == VMQ_DEFAULT_QUEUE_ID || queue->slot != NULL,
		.reserve = queue->slot != NULL ? slot_reserve() : VMQ_GATHER_MAX,
		.receiver = queue->slot != NULL ? queue->worker : queue->adapter->source_worker,
		.socket_id = node,
		.n_workers = vmq_datapath_workers(queue->adapter->host->dp),
		.xmit_pool = queue_transmits(queue) ? vmq_pool_mempool(queue->xmit_pool) : NULL,
		.anti_spoof = queue->anti_spoof,
	};
	struct vmq_backend_params backend = queue->backend_params;
	struct vmq_worker_stats worker;
	enum vmq_status status = VMQ_STATUS_FAILURE;

	backend.socket_id = node;
	backend.max_held = queue->memory.limit;
	backend.mtu = queue->adapter->mtu;
	vmq_worker_stats_get(queue->adapter->host->dp, queue->worker, &worker);
	backend.interrupts = worker.mode == VMQ_WORKER_INTERRUPT;
	backend.pool = queue->xmit_pool != NULL ? vmq_pool_mempool(queue->xmit_pool) : NULL;
	queue->backend = vmq_backend_open(&backend, err);
	if (queue->backend == NULL)
		goto fail;
	vmq_backend_link_get(queue->backend, &queue->link);
	dp.backend = queue->backend;
	queue->dp = vmq_dp_queue_create(&dp);
	if (queue->dp == NULL) {
		status = vmq_error_set(err, VMQ_STATUS_RESOURCES,
			"queue %u (%s): no memory for its backlog of %u packets", queue->id,
			queue->name, queue->memory.limit);
		goto fail;
	}
	if (vmq_dp_queue_set_rates(queue->adapter->host->dp, queue->dp, &queue->rate_to_vm,
		&queue->rate_from_vm) < 0) {
		status = vmq_error_set(err, VMQ_STATUS_RESOURCES,
			"queue %u (%s): no memory for its rates", queue->id, queue->name);
		goto fail;
	}
	/* The default queue's is set when there is one. */
	vmq_dp_queue_set_uplink(queue->dp, queue->adapter->uplink);
	return VMQ_STATUS_SUCCESS;

fail:
	queue_close_path(queue);
	queue_close_memory(queue); /* nothing has used it: all buffers are home */
	return status;
}

void
queue_close_path(struct queue *queue)
{
	struct vmq_error err;

	if (queue->dp != NULL)
		vmq_dp_queue_discard(queue->dp);
	if (vmq_backend_drain(queue->backend, &err) < 0)
		VMQ_LOG(ERR, "queue %u (%s): %s\n", queue->id, queue->name, err.text);
	if (queue->dp != NULL) {
		vmq_dp_queue_stats_get(queue->dp, &queue->last_packets);
		vmq_dp_queue_tx_stats_get(queue->dp, &queue->last_transmit);
	}
	vmq_backend_close(queue->backend);
	vmq_dp_queue_free(queue->dp);
	queue->backend = NULL;
	queue->dp = NULL;
}

static uint32_t
pool_missing(const struct vmq_pool *pool)
{
	struct vmq_pool_stats stats;

	if (pool == NULL)
		return 0;
	vmq_pool_stats_get(pool, &stats);
	return stats.outstanding;
}

uint32_t
queue_missing(const struct queue *queue)
{
	const bool in_slot = queue->slot != NULL && queue->pool == queue->slot->pool;

	return (in_slot ? slot_missing(queue->slot) : pool_missing(queue->pool)) +
		pool_missing(queue->left_pool) + pool_missing(queue->xmit_pool) +
		pool_missing(queue->left_xmit_pool);
}

bool
queue_close_memory(struct queue *queue)
{
	if (queue->slot != NULL && queue->pool == queue->slot->pool) {
		/* It stays with the NIC's ring. */
		if (slot_missing(queue->slot) > 0)
			return false;
		slot_close_memory(queue->slot);
	} else if (vmq_pool_destroy(queue->pool, NULL) < 0) {
		return false;
	}
	queue->pool = NULL;
	if (vmq_pool_destroy(queue->left_pool, NULL) < 0)
		return false;
	queue->left_pool = NULL;
	if (vmq_pool_destroy(queue->xmit_pool, NULL) < 0)
		return false;
	queue->xmit_pool = NULL;
	if (vmq_pool_destroy(queue->left_xmit_pool, NULL) < 0)
		return false;
	queue->left_xmit_pool = NULL;
	return true;
}
