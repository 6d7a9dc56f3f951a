/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#include <rte_errno.h>

#include "pool_private.h"

/*
 * An object must not cross an IOVA range, and ranges of ordinary blocks are
 * hugepages: one object is lost for each 2 MiB (the smallest hugepage on x86).
 */
#define RANGE_BYTES (UINT64_C(2) << 20)

struct pool_block {
	STAILQ_ENTRY(pool_block) next;
	struct vmq_shmem_block memory;
	uint32_t buffers;
};

struct vmq_pool {
	struct rte_mempool *mempool;
	struct pool_data *data; /* the mempool's, see pool_private.h */
	struct vmq_shmem *shmem;
	struct vmq_pool_params params;
	STAILQ_HEAD(, pool_block) blocks;
	_Atomic uint32_t n_blocks;
	_Atomic size_t bytes;
};

static uint32_t
element_size(uint32_t buffer_size)
{
	return sizeof(struct rte_mbuf) + sizeof(struct vmq_buffer_info) + RTE_PKTMBUF_HEADROOM +
		buffer_size;
}

size_t
vmq_pool_block_bytes(uint32_t buffers, uint32_t buffer_size)
{
	size_t object = rte_mempool_calc_obj_size(element_size(buffer_size), 0, NULL);
	size_t bytes = buffers * object;

	return bytes + (bytes / RANGE_BYTES + 1) * object;
}

size_t
vmq_pool_fixed_bytes(uint32_t limit)
{
	return rte_align32pow2(limit + 1) * sizeof(void *) + sizeof(struct pool_data) +
		sizeof(struct rte_mempool) + sizeof(struct rte_pktmbuf_pool_private) +
		RTE_MAX_LCORE * sizeof(struct rte_mempool_cache);
}

static int
check_params(const struct vmq_pool_params *params, struct vmq_error *err)
{
	if (params->limit == 0 || params->limit > RTE_RING_SZ_MASK / 2)
		return vmq_error_errno(err, EINVAL, "queue %u: a limit of %u buffers is not in 1 to %u",
			params->queue_id, params->limit, RTE_RING_SZ_MASK / 2);
	if (params->buffer_size < VMQ_BUFFER_SIZE_MIN || params->buffer_size > VMQ_BUFFER_SIZE_MAX)
		return vmq_error_errno(err, EINVAL,
			"queue %u: a buffer size of %u bytes is not in %u to %u", params->queue_id,
			params->buffer_size, VMQ_BUFFER_SIZE_MIN, VMQ_BUFFER_SIZE_MAX);
	return 0;
}

struct vmq_pool *
vmq_pool_create(struct vmq_shmem *shmem, const struct vmq_pool_params *params, struct vmq_error *err)
{
	struct rte_pktmbuf_pool_private private = {
		.mbuf_data_room_size = (uint16_t)(RTE_PKTMBUF_HEADROOM + params->buffer_size),
		.mbuf_priv_size = sizeof(struct vmq_buffer_info),
	};
	struct vmq_pool *pool;
	int ret;

	ret = check_params(params, err);
	if (ret < 0)
		goto fail;
	pool = calloc(1, sizeof(*pool));
	if (pool == NULL) {
		ret = vmq_error_errno(err, ENOMEM, "queue %u: no memory for its pool's record",
			params->queue_id);
		goto fail;
	}
	pool->shmem = shmem;
	pool->params = *params;
	STAILQ_INIT(&pool->blocks);

	ret = vmq_error_errno(err, ENOMEM, "queue %u: no memory for a list of %u buffers",
		params->queue_id, params->limit);
	pool->data = pool_data_create(params->limit, params->node);
	if (pool->data == NULL)
		goto free_pool;
	/* No cache per lcore: what is available must be exact at any moment. */
	pool->mempool = rte_mempool_create_empty(params->name, params->limit,
		element_size(params->buffer_size), 0, sizeof(private), params->node, 0);
	if (pool->mempool == NULL) {
		ret = vmq_error_errno(err, rte_errno, "queue %u: mempool %s: %s", params->queue_id,
			params->name, rte_strerror(rte_errno));
		goto free_data;
	}
	ret = rte_mempool_set_ops_byname(pool->mempool, POOL_OPS_NAME, pool->data);
	if (ret < 0) {
		vmq_error_errno(err, -ret, "queue %u: mempool operations %s: %s", params->queue_id,
			POOL_OPS_NAME, rte_strerror(-ret));
		goto free_mempool;
	}
	rte_pktmbuf_pool_init(pool->mempool, &private);
	return pool;

free_mempool:
	rte_mempool_free(pool->mempool);
free_data:
	pool_data_free(pool->data);
free_pool:
	free(pool);
fail:
	rte_errno = -ret;
	return NULL;
}

/* Make buffers of each IOVA range of a block. Returns how many there are now. */
static uint32_t
populate(struct vmq_pool *pool, const struct vmq_shmem_block *memory, uint32_t buffers)
{
	struct pool_data *data = pool->data;
	size_t object = pool->mempool->header_size + pool->mempool->elt_size +
		pool->mempool->trailer_size;
	char *addr = memory->addr;
	uint32_t made = 0, i;
	size_t length;
	int ret;

	data->populating = memory;
	for (i = 0; i < memory->n_sg && made < buffers; addr += memory->sg[i++].length_bytes) {
		/* No more buffers than were asked for, though the block may be longer. */
		length = RTE_MIN(memory->sg[i].length_bytes, (buffers - made) * object);
		if (length < object)
			continue;
		ret = rte_mempool_populate_iova(pool->mempool, addr, memory->sg[i].iova, length,
			NULL, NULL);
		if (ret < 0)
			break; /* -ENOMEM for its record: fewer buffers than asked for */
		made += ret;
	}
	data->populating = NULL;
	return made;
}

enum vmq_status
vmq_pool_grow(struct vmq_pool *pool, uint32_t buffers, uint32_t min_buffers, uint32_t *obtained,
	struct vmq_error *err)
{
	const struct vmq_pool_params *params = &pool->params;
	struct vmq_shmem_params request = {
		.queue_id = params->queue_id,
		.usage = params->usage,
		.flags = params->flags,
		.preferred_node = params->node,
	};
	uint32_t populated = atomic_load(&pool->data->populated);
	struct pool_block *block;
	enum vmq_status status;

	if (buffers == 0 || buffers > params->limit - populated)
		return vmq_error_set(err, VMQ_STATUS_INVALID_PARAMETER,
			"queue %u: %u more buffers on top of %u are not in 1 to the limit of %u",
			params->queue_id, buffers, populated, params->limit);
	min_buffers = RTE_MIN(min_buffers == 0 ? 1 : min_buffers, buffers);
	block = calloc(1, sizeof(*block));
	if (block == NULL)
		return vmq_error_set(err, VMQ_STATUS_RESOURCES, "no memory for a block's record");

	for (;;) {
		request.length_bytes = vmq_pool_block_bytes(buffers, params->buffer_size);
		status = vmq_shmem_allocate(pool->shmem, &request, &block->memory, err);
		if (status != VMQ_STATUS_RESOURCES || buffers == min_buffers)
			break;
		buffers = RTE_MAX(buffers / 2, min_buffers);
	}
	if (status != VMQ_STATUS_SUCCESS) {
		free(block);
		return status;
	}

	block->buffers = populate(pool, &block->memory, buffers);
	STAILQ_INSERT_TAIL(&pool->blocks, block, next);
	atomic_fetch_add(&pool->n_blocks, 1);
	atomic_fetch_add(&pool->bytes, block->memory.length_bytes);
	if (block->buffers < buffers)
		VMQ_LOG(WARNING,
			"queue %u: a block of %zu bytes in %u IOVA ranges has room for %u buffers, "
			"not %u\n",
			params->queue_id, block->memory.length_bytes, block->memory.n_sg,
			block->buffers, buffers);
	if (obtained != NULL)
		*obtained = block->buffers;
	return VMQ_STATUS_SUCCESS;
}

int
vmq_pool_destroy(struct vmq_pool *pool, struct vmq_error *err)
{
	struct vmq_pool_stats stats;
	struct pool_block *block;

	if (pool == NULL)
		return 0;
	vmq_pool_stats_get(pool, &stats);
	if (stats.outstanding > 0)
		return vmq_error_errno(err, EBUSY, "queue %u: %u of %u buffers of pool %s are out",
			pool->params.queue_id, stats.outstanding, stats.populated,
			pool->mempool->name);

	/*
	 * rte_mempool_free() would take the buffers out one by one; they are all at
	 * home and go with their blocks.
	 */
	STAILQ_INIT(&pool->mempool->elt_list);
	pool->mempool->populated_size = 0;
	rte_mempool_free(pool->mempool);
	pool_data_free(pool->data);
	while ((block = STAILQ_FIRST(&pool->blocks)) != NULL) {
		STAILQ_REMOVE_HEAD(&pool->blocks, next);
		if (vmq_shmem_free(pool->shmem, &block->memory, err) != VMQ_STATUS_SUCCESS)
			VMQ_LOG(ERR, "queue %u: a block was not freed: %s\n",
				pool->params.queue_id, err != NULL ? err->text : "");
		free(block);
	}
	free(pool);
	return 0;
}

struct rte_mempool *
vmq_pool_mempool(const struct vmq_pool *pool)
{
	return pool->mempool;
}

void
vmq_pool_stats_get(const struct vmq_pool *pool, struct vmq_pool_stats *stats)
{
	const struct pool_data *data = pool->data;

	stats->limit = pool->params.limit;
	stats->available = rte_ring_count(&data->ring);
	stats->populated = atomic_load(&data->populated);
	/* Buffers may come home between the two loads, never the other way round. */
	stats->outstanding = stats->populated - RTE_MIN(stats->available, stats->populated);
	stats->blocks = atomic_load(&pool->n_blocks);
	stats->bytes = atomic_load(&pool->bytes);
}
