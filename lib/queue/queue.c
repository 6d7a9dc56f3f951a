/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_ring.h>

#include "queue_private.h"

/*
 * Buffers that an ethdev backend's port receives into: its ring, and room to move.
 * What it receives is not read yet; the ring has to be filled all the same.
 */
#define XMIT_BUFFERS 1024
#define XMIT_BUFFER_SIZE 2048

size_t
vmq_queue_memory_bytes(uint32_t buffers, uint32_t limit, uint32_t buffer_size)
{
	return vmq_pool_block_bytes(buffers, buffer_size) + vmq_pool_fixed_bytes(limit) +
		/* the backlog, and what a pcap backend has waiting */
		2 * (rte_align32pow2(limit + 1) * sizeof(void *) + sizeof(struct rte_ring)) +
		/* records of queue and backend: a few cache lines and two bursts */
		4096;
}

size_t
vmq_queue_backend_bytes(enum vmq_backend_type type)
{
	if (type != VMQ_BACKEND_ETHDEV)
		return 0;
	return vmq_pool_block_bytes(XMIT_BUFFERS, XMIT_BUFFER_SIZE) +
		vmq_pool_fixed_bytes(XMIT_BUFFERS);
}

unsigned int
vmq_queue_memzones(enum vmq_backend_type type)
{
	/* An Xmit pool beside the receive pool where the backend receives. */
	return VMQ_POOL_MEMZONES(1) + (type == VMQ_BACKEND_ETHDEV ? VMQ_POOL_MEMZONES(1) : 0);
}

enum vmq_status
queue_refuse(const struct queue *queue, enum vmq_queue_event event, struct vmq_error *err)
{
	return vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED, "queue %u (%s): %s is not valid in state %s",
		queue->id, queue->name, vmq_queue_event_name(event),
		vmq_queue_state_name(queue->state));
}

static bool
copy_string(char **copy, const char *string)
{
	*copy = string == NULL ? NULL : strdup(string);
	return string == NULL || *copy != NULL;
}

struct queue *
queue_create(uint16_t id, const struct vmq_queue_params *params)
{
	struct queue *queue = calloc(1, sizeof(*queue));
	char *file = NULL, *device = NULL;

	if (queue == NULL)
		return NULL;
	queue->id = id;
	queue->worker = params->worker;
	queue->memory = params->memory;
	queue->keep_tags = params->keep_tags;
	queue->backend_params.type = params->backend.type;
	if (!copy_string(&queue->name, params->name) || !copy_string(&queue->vm, params->vm) ||
		!copy_string(&file, params->backend.file) ||
		!copy_string(&device, params->backend.device)) {
		free(file);
		queue_destroy(queue);
		return NULL;
	}
	queue->backend_params.file = file;
	queue->backend_params.device = device;
	return queue;
}

void
queue_destroy(struct queue *queue)
{
	free((char *)(uintptr_t)queue->backend_params.file);
	free((char *)(uintptr_t)queue->backend_params.device);
	free(queue->vm);
	free(queue->name);
	free(queue);
}

/* Node of a queue's memory: the one asked for, or its worker's. */
static int
queue_node(const struct vmq_adapter *adapter, const struct queue *queue)
{
	if (queue->memory.node != SOCKET_ID_ANY)
		return queue->memory.node;
	return vmq_datapath_worker_node(adapter->host->dp, queue->worker);
}

static struct vmq_pool *
make_pool(const struct vmq_adapter *adapter, const struct queue *queue,
	enum vmq_shmem_usage usage, uint32_t buffers, uint32_t limit, uint32_t buffer_size,
	struct vmq_error *err)
{
	char name[RTE_MEMPOOL_NAMESIZE];
	const struct vmq_pool_params params = {
		.name = name,
		.queue_id = queue->id,
		.limit = limit,
		.buffer_size = buffer_size,
		.usage = usage,
		.flags = queue->memory.contiguous ? VMQ_SHMEM_F_CONTIGUOUS : 0,
		.node = queue_node(adapter, queue),
	};
	struct vmq_pool *pool;

	snprintf(name, sizeof(name), "vmq_a%u_q%u_%s", adapter->number, queue->id,
		usage == VMQ_SHMEM_XMIT ? "tx" : "rx");
	pool = vmq_pool_create(adapter->shmem, &params, err);
	if (pool == NULL)
		return NULL;
	if (vmq_pool_grow(pool, buffers, buffers, NULL, err) != VMQ_STATUS_SUCCESS) {
		vmq_pool_destroy(pool, NULL);
		rte_errno = ENOMEM;
		return NULL;
	}
	return pool;
}

static enum vmq_status
open_memory(const struct vmq_adapter *adapter, struct queue *queue, struct vmq_error *err)
{
	queue->pool = make_pool(adapter, queue, VMQ_SHMEM_RECEIVE, queue->memory.buffers,
		queue->memory.limit, queue->memory.buffer_size, err);
	if (queue->pool == NULL)
		return rte_errno == ENOMEM ? VMQ_STATUS_RESOURCES : VMQ_STATUS_FAILURE;
	if (queue->backend_params.type != VMQ_BACKEND_ETHDEV)
		return VMQ_STATUS_SUCCESS;
	queue->xmit_pool = make_pool(adapter, queue, VMQ_SHMEM_XMIT, XMIT_BUFFERS, XMIT_BUFFERS,
		XMIT_BUFFER_SIZE, err);
	if (queue->xmit_pool == NULL)
		return rte_errno == ENOMEM ? VMQ_STATUS_RESOURCES : VMQ_STATUS_FAILURE;
	return VMQ_STATUS_SUCCESS;
}

enum vmq_status
queue_open(struct vmq_adapter *adapter, struct queue *queue, struct vmq_error *err)
{
	const int node = vmq_datapath_worker_node(adapter->host->dp, queue->worker);
	struct vmq_dp_queue_params dp = {
		.id = queue->id,
		.source_worker = adapter->source_worker,
		.worker = queue->worker,
		.limit = queue->memory.limit,
		.received_into_pool = queue->id == VMQ_DEFAULT_QUEUE_ID,
		.reserve = VMQ_GATHER_MAX,
		.socket_id = node,
	};
	struct vmq_backend_params backend = queue->backend_params;
	enum vmq_status status;

	status = open_memory(adapter, queue, err);
	if (status != VMQ_STATUS_SUCCESS)
		goto fail;

	backend.socket_id = node;
	backend.max_held = queue->memory.limit;
	backend.mtu = adapter->mtu;
	backend.pool = queue->xmit_pool != NULL ? vmq_pool_mempool(queue->xmit_pool) : NULL;
	status = VMQ_STATUS_FAILURE;
	queue->backend = vmq_backend_open(&backend, err);
	if (queue->backend == NULL)
		goto fail;

	dp.backend = queue->backend;
	dp.pool = vmq_pool_mempool(queue->pool);
	queue->dp = vmq_dp_queue_create(&dp);
	if (queue->dp == NULL) {
		status = vmq_error_set(err, VMQ_STATUS_RESOURCES,
			"queue %u (%s): no memory for its backlog of %u packets", queue->id,
			queue->name, queue->memory.limit);
		goto fail;
	}
	return VMQ_STATUS_SUCCESS;

fail:
	queue_close(queue);
	queue_release(queue); /* nothing has used it: all buffers are home */
	return status;
}

void
queue_close(struct queue *queue)
{
	struct vmq_error err;

	if (queue->dp != NULL)
		vmq_dp_queue_discard(queue->dp);
	if (vmq_backend_drain(queue->backend, &err) < 0)
		VMQ_LOG(ERR, "queue %u (%s): %s\n", queue->id, queue->name, err.text);
	if (queue->dp != NULL)
		vmq_dp_queue_stats_get(queue->dp, &queue->last_packets);
	vmq_backend_close(queue->backend);
	vmq_dp_queue_free(queue->dp);
	queue->backend = NULL;
	queue->dp = NULL;
}

bool
queue_release(struct queue *queue)
{
	if (vmq_pool_destroy(queue->pool, NULL) < 0)
		return false;
	queue->pool = NULL;
	if (vmq_pool_destroy(queue->xmit_pool, NULL) < 0)
		return false;
	queue->xmit_pool = NULL;
	return true;
}

bool
queue_is_active(const struct queue *queue)
{
	return queue->state == VMQ_QUEUE_RUNNING;
}

static struct queue **
free_slot(struct vmq_adapter *adapter, uint16_t *id)
{
	uint32_t i, n_slots = adapter->n_slots;
	struct queue **queues;

	for (i = 1; i < n_slots; i++)
		if (adapter->queues[i] == NULL)
			break;
	if (i == n_slots) {
		n_slots = RTE_MIN(2 * n_slots + 15, QUEUES_MAX);
		if (i >= n_slots)
			return NULL;
		queues = realloc(adapter->queues, n_slots * sizeof(*queues));
		if (queues == NULL)
			return NULL;
		memset(queues + adapter->n_slots, 0,
			(n_slots - adapter->n_slots) * sizeof(*queues));
		adapter->queues = queues;
		adapter->n_slots = n_slots;
	}
	*id = (uint16_t)i;
	return &adapter->queues[i];
}

enum vmq_status
vmq_queue_allocate(struct vmq_adapter *adapter, const struct vmq_queue_params *params, uint16_t *id,
	struct vmq_error *err)
{
	const struct vmq_queue_memory *memory = &params->memory;
	struct queue **slot, *queue;

	if (adapter->halted)
		return vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED, "adapter %s is halted",
			adapter->name);
	if (params->worker >= vmq_datapath_workers(adapter->host->dp))
		return vmq_error_set(err, VMQ_STATUS_INVALID_PARAMETER,
			"queue %s: there is no worker %u", params->name, params->worker);
	if (memory->buffers == 0 || memory->buffers > memory->limit)
		return vmq_error_set(err, VMQ_STATUS_INVALID_PARAMETER,
			"queue %s: %u buffers are not in 1 to its limit of %u", params->name,
			memory->buffers, memory->limit);
	slot = free_slot(adapter, id);
	if (slot == NULL)
		return vmq_error_set(err, VMQ_STATUS_RESOURCES, "adapter %s: no more queue ids",
			adapter->name);
	queue = queue_create(*id, params);
	if (queue == NULL)
		return vmq_error_set(err, VMQ_STATUS_RESOURCES,
			"queue %s: no memory for its record", params->name);
	queue->state = vmq_queue_next_state(queue->state, VMQ_EVENT_ALLOCATE_QUEUE);
	*slot = queue;
	return VMQ_STATUS_SUCCESS;
}

static enum vmq_status
complete_one(struct vmq_adapter *adapter, struct vmq_queue_completion *item)
{
	struct queue *queue = adapter_queue(adapter, item->id);
	enum vmq_queue_state next;
	struct vmq_pool_stats memory;
	enum vmq_status status;

	item->buffers = 0;
	if (queue == NULL)
		return vmq_error_set(&item->error, VMQ_STATUS_INVALID_PARAMETER,
			"adapter %s has no queue %u", adapter->name, item->id);
	next = vmq_queue_next_state(queue->state, VMQ_EVENT_ALLOCATION_COMPLETE);
	if (next == VMQ_QUEUE_STATE_COUNT)
		return queue_refuse(queue, VMQ_EVENT_ALLOCATION_COMPLETE, &item->error);
	status = queue_open(adapter, queue, &item->error);
	if (status != VMQ_STATUS_SUCCESS)
		return status;
	vmq_pool_stats_get(queue->pool, &memory);
	item->buffers = memory.populated;
	queue->state = next;
	vmq_dp_queue_run(queue->dp, queue_is_active(queue));
	adapter->unpublished = true;
	return VMQ_STATUS_SUCCESS;
}

enum vmq_status
vmq_queue_complete(struct vmq_adapter *adapter, struct vmq_queue_completion *batch, uint16_t n)
{
	enum vmq_status first = VMQ_STATUS_SUCCESS, status;
	struct vmq_error err;
	uint16_t i;

	for (i = 0; i < n; i++) {
		batch[i].status = complete_one(adapter, &batch[i]);
		if (first == VMQ_STATUS_SUCCESS)
			first = batch[i].status;
	}
	if (host_assign(adapter->host) < 0)
		status = vmq_error_set(&err, VMQ_STATUS_RESOURCES,
			"adapter %s: no memory to tell the workers", adapter->name);
	else
		status = adapter_publish(adapter, &err);
	if (status == VMQ_STATUS_SUCCESS)
		return first;
	/* The workers do not know the new queues: say so for each of them. */
	for (i = 0; i < n; i++) {
		if (batch[i].status == VMQ_STATUS_SUCCESS) {
			batch[i].status = status;
			batch[i].error = err;
		}
	}
	return first == VMQ_STATUS_SUCCESS ? status : first;
}

enum vmq_status
vmq_queue_free(struct vmq_adapter *adapter, uint16_t id, struct vmq_error *err)
{
	struct queue *queue = adapter_queue(adapter, id);
	enum vmq_queue_state next;

	if (queue == NULL || id == VMQ_DEFAULT_QUEUE_ID)
		return vmq_error_set(err, VMQ_STATUS_INVALID_PARAMETER, "%s %u %s",
			queue == NULL ? "there is no queue" : "queue", id,
			queue == NULL ? "" : "is the default queue: it goes with its adapter");
	next = vmq_queue_next_state(queue->state, VMQ_EVENT_FREE_QUEUE);
	if (next == VMQ_QUEUE_STATE_COUNT)
		return queue_refuse(queue, VMQ_EVENT_FREE_QUEUE, err);

	/* It has no filters, so no view has it; a worker may still look at its backlog. */
	queue->state = next;
	if (queue->dp != NULL) {
		vmq_dp_queue_run(queue->dp, false);
		if (host_assign(adapter->host) < 0)
			VMQ_LOG(WARNING, "queue %u (%s): its worker still polls it\n", queue->id,
				queue->name);
		vmq_datapath_synchronize(adapter->host->dp);
	}
	queue_close(queue);
	queue->state = vmq_queue_next_state(queue->state, VMQ_EVENT_DMA_STOPPED);
	if (!queue_release(queue))
		return VMQ_STATUS_PENDING;
	adapter->queues[id] = NULL;
	queue_destroy(queue);
	return VMQ_STATUS_SUCCESS;
}
