/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * Memory for what a queue's VM sends (usage Xmit). It is there before the VM is; when the
 * VM's own memory turns out to be on another NUMA node, it is made anew there.
 */

#include <stdio.h>
#include <stdlib.h>

#include "queue_private.h"

/* A frame that a VM sends lies in one buffer: many ports send no others. */
#define BUFFER_SIZE_MIN 2048u

struct xmit_move {
	struct vmq_job job;
	struct queue *queue;
	int node;
	struct vmq_pool *pool; /* NULL: there was no memory, */
	struct vmq_error err; /* and why */
};

static uint32_t
buffer_size(uint16_t mtu)
{
	const uint32_t frame = mtu + RTE_ETHER_HDR_LEN + 2 * RTE_VLAN_HLEN;
	const uint32_t bytes = RTE_CACHE_LINE_ROUNDUP(RTE_MIN(frame,
		(uint32_t)VMQ_BUFFER_SIZE_MAX - RTE_CACHE_LINE_SIZE));

	return RTE_MAX(bytes, BUFFER_SIZE_MIN);
}

size_t
vmq_queue_xmit_bytes(enum vmq_backend_type type, uint32_t buffers, uint32_t limit, uint16_t mtu)
{
	if (!vmq_backend_type_receives(type))
		return 0;
	return vmq_pool_block_bytes(buffers, buffer_size(mtu)) + vmq_pool_fixed_bytes(limit);
}

struct vmq_pool *
xmit_make_pool(struct queue *queue, int node, struct vmq_error *err)
{
	const struct vmq_queue_memory *memory = &queue->memory;
	const struct vmq_pool_demand demand = vmq_pool_demand_default(memory->xmit_buffers);
	char name[RTE_MEMPOOL_NAMESIZE];
	const struct vmq_pool_params params = {
		.name = name,
		.queue_id = queue->id,
		.limit = memory->xmit_limit,
		.buffer_size = buffer_size(queue->adapter->mtu),
		.usage = VMQ_SHMEM_XMIT,
		.flags = memory->contiguous ? VMQ_SHMEM_F_CONTIGUOUS : 0,
		.node = node,
	};
	struct vmq_pool *pool;

	/* Two are there while one is left for another. */
	snprintf(name, sizeof(name), "vmq_a%u_q%u_tx%s", queue->adapter->number, queue->id,
		queue->xmit_pools % 2 == 0 ? "" : "b");
	pool = queue_fill_pool(queue, &params, memory->xmit_buffers, err);
	if (pool == NULL)
		return NULL;
	queue->xmit_pools++;
	vmq_pool_set_demand(pool, &demand);
	return pool;
}

static void
move_work(struct vmq_job *job)
{
	struct xmit_move *move = RTE_PTR_SUB(job, offsetof(struct xmit_move, job));

	move->pool = xmit_make_pool(move->queue, move->node, &move->err);
}

static void
stay(struct queue *queue, const struct xmit_move *move)
{
	queue->xmit_tried = move->node;
	snprintf(queue->xmit_why, sizeof(queue->xmit_why), "the VM's memory is on node %d: %.200s",
		move->node, move->err.text);
	VMQ_LOG(NOTICE, "queue %u (%s): memory for what its VM sends stays on node %d: %s\n",
		queue->id, queue->name, queue->xmit_node, queue->xmit_why);
}

static void
move_done(struct vmq_job *job)
{
	struct xmit_move *move = RTE_PTR_SUB(job, offsetof(struct xmit_move, job));
	struct queue *queue = move->queue;

	queue->xmit_move = NULL;
	if (move->pool == NULL) {
		stay(queue, move);
	} else if (queue->dp == NULL || queue->abort) {
		vmq_pool_destroy(move->pool, NULL); /* nobody has seen it */
	} else {
		vmq_pool_set_demand(queue->xmit_pool, &(struct vmq_pool_demand){0});
		vmq_pool_cancel_retire(queue->xmit_pool);
		queue->left_xmit_pool = queue->xmit_pool;
		queue->xmit_pool = move->pool;
		queue->xmit_node = move->node;
		queue->xmit_why[0] = '\0';
		vmq_dp_queue_set_xmit_pool(queue->dp, vmq_pool_mempool(queue->xmit_pool));
		vmq_datapath_synchronize(queue->adapter->host->dp);
		VMQ_LOG(INFO, "queue %u (%s): memory for what its VM sends is on its node %d now\n",
			queue->id, queue->name, queue->xmit_node);
	}
	free(move);
}

void
xmit_follow(struct queue *queue)
{
	const int node = queue->link.node;
	struct xmit_move *move;

	/* A port receives into the pool that it was set up with. */
	if (node == SOCKET_ID_ANY || queue->memory.node != SOCKET_ID_ANY ||
		queue->backend_params.type == VMQ_BACKEND_ETHDEV || !queue_transmits(queue) ||
		queue->abort || queue->xmit_move != NULL || queue->left_xmit_pool != NULL)
		return;
	if (node == queue->xmit_node) {
		queue->xmit_tried = SOCKET_ID_ANY;
		queue->xmit_why[0] = '\0';
		return;
	}
	if (node == queue->xmit_tried)
		return;
	move = calloc(1, sizeof(*move));
	if (move == NULL)
		return; /* the next look tries again */
	*move = (struct xmit_move){
		.job = {.work = move_work, .done = move_done},
		.queue = queue,
		.node = node,
	};
	queue->xmit_move = move;
	vmq_jobs_submit(queue->adapter->host->jobs, &move->job);
}

void
xmit_progress(struct queue *queue, uint64_t now_ms)
{
	if (queue->xmit_pool != NULL)
		vmq_pool_tick(queue->xmit_pool, now_ms);
	if (queue->left_xmit_pool == NULL)
		return;
	if (vmq_pool_progress(queue->left_xmit_pool))
		return;
	if (vmq_pool_destroy(queue->left_xmit_pool, NULL) == 0)
		queue->left_xmit_pool = NULL;
	else
		vmq_dp_uplink_clean(queue->adapter->uplink); /* in the port's rings, perhaps */
}
