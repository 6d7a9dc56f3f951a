/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <stdlib.h>

#include <rte_errno.h>
#include <rte_malloc.h>

#include "pool_private.h"
#include "vmq_stash.h"

/*
 * An object must not cross an IOVA range, and ranges of ordinary blocks are
 * hugepages: one object is lost for each 2 MiB (the smallest hugepage on x86).
 */
#define RANGE_BYTES (UINT64_C(2) << 20)

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
	return rte_align32pow2(limit + 1) * sizeof(void *) + sizeof(struct rte_ring) +
		sizeof(struct rte_mempool) + sizeof(struct vmq_stash_private) +
		RTE_MAX_LCORE * sizeof(struct rte_mempool_cache);
}

static int
check_params(const struct vmq_pool_params *params, struct vmq_error *err)
{
	if (params->limit == 0 || params->limit > RTE_RING_SZ_MASK / 2)
		return vmq_error_errno(err, EINVAL, "queue %u: a limit of %u buffers is not in 1 to %u",
			params->queue_id, params->limit, RTE_RING_SZ_MASK / 2);
	if (params->cache_size > VMQ_POOL_CACHE_MAX)
		return vmq_error_errno(err, EINVAL, "queue %u: a cache of %u buffers is over %u",
			params->queue_id, params->cache_size, VMQ_POOL_CACHE_MAX);
	if (params->stash && params->cache_size == 0)
		return vmq_error_errno(err, EINVAL, "queue %u: a stash needs a cache before it",
			params->queue_id);
	if (params->buffer_size < VMQ_BUFFER_SIZE_MIN || params->buffer_size > VMQ_BUFFER_SIZE_MAX)
		return vmq_error_errno(err, EINVAL,
			"queue %u: a buffer size of %u bytes is not in %u to %u", params->queue_id,
			params->buffer_size, VMQ_BUFFER_SIZE_MIN, VMQ_BUFFER_SIZE_MAX);
	return 0;
}

static struct rte_ring *
make_ring(uint32_t limit, int node)
{
	const unsigned int slots = rte_align32pow2(limit + 1);
	ssize_t bytes = rte_ring_get_memsize(slots);
	struct rte_ring *ring;

	if (bytes < 0)
		return NULL;
	ring = rte_zmalloc_socket("vmq_pool", bytes, RTE_CACHE_LINE_SIZE, node);
	if (ring != NULL)
		rte_ring_init(ring, "vmq_pool", slots, RING_F_MP_HTS_ENQ | RING_F_MC_HTS_DEQ);
	return ring;
}

struct vmq_pool *
vmq_pool_create(struct vmq_shmem *shmem, const struct vmq_pool_params *params, struct vmq_error *err)
{
	const size_t private_size = params->stash ? sizeof(struct vmq_stash_private)
						  : sizeof(struct rte_pktmbuf_pool_private);
	struct rte_pktmbuf_pool_private private = {
		.mbuf_data_room_size = (uint16_t)(RTE_PKTMBUF_HEADROOM + params->buffer_size),
		.mbuf_priv_size = sizeof(struct vmq_buffer_info),
	};
	struct vmq_pool *pool;
	int ret;

	ret = check_params(params, err);
	if (ret < 0)
		goto fail;
	ret = -ENOMEM;
	vmq_error_errno(err, ENOMEM, "queue %u: no memory for a list of %u buffers",
		params->queue_id, params->limit);
	pool = calloc(1, sizeof(*pool));
	if (pool == NULL)
		goto fail;
	pool->shmem = shmem;
	pool->params = *params;
	TAILQ_INIT(&pool->blocks);
	pool->ring = make_ring(params->limit, params->node);
	if (pool->ring == NULL)
		goto free_pool;
	pool->mempool = rte_mempool_create_empty(params->name, params->limit,
		element_size(params->buffer_size), params->cache_size, private_size, params->node,
		0);
	if (pool->mempool == NULL) {
		ret = vmq_error_errno(err, rte_errno, "queue %u: mempool %s: %s", params->queue_id,
			params->name, rte_strerror(rte_errno));
		goto free_ring;
	}
	ret = rte_mempool_set_ops_byname(pool->mempool, POOL_OPS_NAME, NULL);
	if (ret < 0) {
		vmq_error_errno(err, -ret, "queue %u: mempool operations %s: %s", params->queue_id,
			POOL_OPS_NAME, rte_strerror(-ret));
		goto free_mempool;
	}
	/* As if the operations had allocated it: see POOL_OPS_NAME. */
	pool->mempool->pool_data = pool->ring;
	pool->mempool->flags |= RTE_MEMPOOL_F_POOL_CREATED;
	rte_pktmbuf_pool_init(pool->mempool, &private);
	if (params->stash)
		atomic_init(&vmq_stash_of(pool->mempool)->n, 0);
	return pool;

free_mempool:
	rte_mempool_free(pool->mempool);
free_ring:
	rte_free(pool->ring);
free_pool:
	free(pool);
fail:
	rte_errno = -ret;
	return NULL;
}

static enum vmq_status
begin_growth(struct vmq_pool *pool, uint32_t buffers, struct vmq_error *err)
{
	uint32_t populated = atomic_load(&pool->populated);

	if (pool->activity != POOL_IDLE)
		return vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED,
			"queue %u: its memory is %s already", pool->params.queue_id,
			pool->activity == POOL_GROWING ? "growing" : "giving a block back");
	/* A pool that was given with a smaller limit may be over it. */
	if (buffers == 0 || populated > pool->params.limit ||
		buffers > pool->params.limit - populated)
		return vmq_error_set(err, VMQ_STATUS_INVALID_PARAMETER,
			"queue %u: %u more buffers on top of %u are not in 1 to the limit of %u",
			pool->params.queue_id, buffers, populated, pool->params.limit);
	pool->activity = POOL_GROWING;
	return VMQ_STATUS_SUCCESS;
}

enum vmq_status
vmq_pool_grow(struct vmq_pool *pool, uint32_t buffers, uint32_t min_buffers, uint32_t *obtained,
	struct vmq_error *err)
{
	enum vmq_status status = begin_growth(pool, buffers, err);

	if (status != VMQ_STATUS_SUCCESS)
		return status;
	status = pool_add_block(pool, buffers, min_buffers, obtained, err);
	pool->activity = POOL_IDLE;
	return status;
}

void
vmq_pool_set_callback(struct vmq_pool *pool, vmq_pool_callback *callback, void *arg)
{
	pool->callback = callback;
	pool->callback_arg = arg;
}

static void
tell(struct vmq_pool *pool, enum vmq_pool_event event, uint32_t buffers)
{
	if (pool->callback != NULL)
		pool->callback(pool->callback_arg, pool, event, buffers);
}

static struct vmq_pool *
pool_of(struct vmq_job *job)
{
	return RTE_PTR_SUB(job, offsetof(struct vmq_pool, job));
}

static void
grow_work(struct vmq_job *job)
{
	struct vmq_pool *pool = pool_of(job);
	struct vmq_error err;
	uint32_t obtained = 0;

	pool->job_status = pool_add_block(pool, pool->job_buffers, pool->job_min_buffers,
		&obtained, &err);
	pool->job_buffers = obtained;
	if (pool->job_status != VMQ_STATUS_SUCCESS)
		VMQ_LOG(NOTICE, "%s\n", err.text);
}

static void
grow_done(struct vmq_job *job)
{
	struct vmq_pool *pool = pool_of(job);

	pool->activity = POOL_IDLE;
	tell(pool, pool->job_status == VMQ_STATUS_SUCCESS ? VMQ_POOL_GROWN : VMQ_POOL_GROW_FAILED,
		pool->job_buffers);
}

enum vmq_status
vmq_pool_grow_async(struct vmq_pool *pool, uint32_t buffers, uint32_t min_buffers,
	struct vmq_error *err)
{
	enum vmq_status status;

	if (shmem_jobs(pool->shmem) == NULL)
		return vmq_error_set(err, VMQ_STATUS_NOT_SUPPORTED,
			"queue %u: there is no helper thread", pool->params.queue_id);
	status = begin_growth(pool, buffers, err);
	if (status != VMQ_STATUS_SUCCESS)
		return status;
	pool->job_buffers = buffers;
	pool->job_min_buffers = min_buffers;
	pool->job = (struct vmq_job){.work = grow_work, .done = grow_done};
	vmq_jobs_submit(shmem_jobs(pool->shmem), &pool->job);
	return VMQ_STATUS_PENDING;
}

enum vmq_status
vmq_pool_retire(struct vmq_pool *pool, struct vmq_error *err)
{
	const struct pool_block *last = TAILQ_LAST(&pool->blocks, pool_blocks);

	if (pool->activity != POOL_IDLE || atomic_load(&pool->n_blocks) < 2)
		return vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED, "queue %u: %s",
			pool->params.queue_id,
			pool->activity != POOL_IDLE ? "its memory is growing or giving back already"
						    : "its first block of memory stays");
	pool->aside = calloc(last->buffers, sizeof(*pool->aside));
	if (pool->aside == NULL)
		return vmq_error_set(err, VMQ_STATUS_RESOURCES,
			"queue %u: no memory to set %u buffers aside", pool->params.queue_id,
			last->buffers);
	pool->activity = POOL_RETIRING;
	return VMQ_STATUS_PENDING;
}

bool
vmq_pool_is_retiring(const struct vmq_pool *pool)
{
	return pool->activity == POOL_RETIRING;
}

bool
vmq_pool_is_busy(const struct vmq_pool *pool)
{
	return pool->activity == POOL_GROWING || pool->activity == POOL_RETURNING;
}

void
vmq_pool_cancel_retire(struct vmq_pool *pool)
{
	uint32_t n = atomic_load(&pool->n_aside);

	if (pool->activity != POOL_RETIRING)
		return;
	atomic_store(&pool->n_aside, 0);
	if (n > 0)
		rte_ring_enqueue_bulk(pool->ring, pool->aside, n, NULL);
	free(pool->aside);
	pool->aside = NULL;
	pool->activity = POOL_IDLE;
}

/* Buffers that one call looks at: some 100 us. */
#define SCAN_MAX 8192
#define SCAN_BATCH 64

/*
 * Take each buffer at home out of the ring once, set those of the last block aside and
 * put the others back. Workers take from the same end and put at the same end, so what
 * this misses now it meets in a later call.
 */
static void
set_aside(struct vmq_pool *pool)
{
	const struct vmq_shmem_block *memory = &TAILQ_LAST(&pool->blocks, pool_blocks)->memory;
	uint32_t left = RTE_MIN(rte_ring_count(pool->ring), (unsigned int)SCAN_MAX);
	uint32_t aside = atomic_load(&pool->n_aside);
	void *batch[SCAN_BATCH];
	unsigned int n, i, kept;

	for (; left > 0; left -= RTE_MIN(n, left)) {
		n = rte_ring_dequeue_burst(pool->ring, batch, SCAN_BATCH, NULL);
		if (n == 0)
			break;
		for (i = 0, kept = 0; i < n; i++) {
			if (RTE_PTR_DIFF(batch[i], memory->addr) < memory->length_bytes)
				pool->aside[aside++] = batch[i];
			else
				batch[kept++] = batch[i];
		}
		if (kept > 0)
			rte_ring_enqueue_bulk(pool->ring, batch, kept, NULL);
		atomic_store(&pool->n_aside, aside);
	}
}

static void
return_work(struct vmq_job *job)
{
	pool_remove_block(pool_of(job));
}

static void
return_done(struct vmq_job *job)
{
	struct vmq_pool *pool = pool_of(job);

	free(pool->aside);
	pool->aside = NULL;
	pool->activity = POOL_IDLE;
	tell(pool, VMQ_POOL_RETURNED, pool->job_buffers);
}

bool
vmq_pool_progress(struct vmq_pool *pool)
{
	const struct pool_block *last;

	if (pool->activity == POOL_RETIRING) {
		/* Only here: while a block is being returned the list is the helper thread's. */
		last = TAILQ_LAST(&pool->blocks, pool_blocks);
		/* What this thread has freed itself, if it is an lcore. */
		rte_mempool_cache_flush(NULL, pool->mempool);
		set_aside(pool);
		if (atomic_load(&pool->n_aside) == last->buffers) {
			pool->activity = POOL_RETURNING;
			pool->job_buffers = last->buffers;
			pool->job = (struct vmq_job){.work = return_work, .done = return_done};
			if (shmem_jobs(pool->shmem) != NULL) {
				vmq_jobs_submit(shmem_jobs(pool->shmem), &pool->job);
			} else {
				return_work(&pool->job);
				return_done(&pool->job);
			}
		}
	}
	return pool->activity != POOL_IDLE;
}

void
vmq_pool_leave(struct vmq_pool *pool)
{
	struct pool_block *block;

	TAILQ_FOREACH(block, &pool->blocks, next)
		vmq_shmem_leave(pool->shmem, &block->memory);
}

int
vmq_pool_destroy(struct vmq_pool *pool, struct vmq_error *err)
{
	struct vmq_pool_stats stats;
	struct pool_block *block;

	if (pool == NULL)
		return 0;
	if (vmq_pool_is_busy(pool))
		return vmq_error_errno(err, EBUSY, "queue %u: pool %s is growing or giving back",
			pool->params.queue_id, pool->mempool->name);
	vmq_pool_stats_get(pool, &stats);
	if (stats.outstanding > 0)
		return vmq_error_errno(err, EBUSY, "queue %u: %u of %u buffers of pool %s are out",
			pool->params.queue_id, stats.outstanding, stats.populated,
			pool->mempool->name);

	/*
	 * rte_mempool_free() would take the buffers out one by one, and free a ring
	 * that it has not made; they are all at home and go with their blocks.
	 */
	STAILQ_INIT(&pool->mempool->elt_list);
	pool->mempool->populated_size = 0;
	pool->mempool->pool_data = NULL;
	rte_mempool_free(pool->mempool);
	rte_free(pool->ring);
	while ((block = TAILQ_FIRST(&pool->blocks)) != NULL) {
		TAILQ_REMOVE(&pool->blocks, block, next);
		if (vmq_shmem_free(pool->shmem, &block->memory, err) != VMQ_STATUS_SUCCESS)
			VMQ_LOG(ERR, "queue %u: a block was not freed: %s\n",
				pool->params.queue_id, err != NULL ? err->text : "");
		free(block);
	}
	free(pool->aside);
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
	const struct vmq_stash *stash = vmq_stash_of(pool->mempool);
	uint32_t stashed;

	stats->limit = pool->params.limit;
	stats->retiring = atomic_load(&pool->n_aside);
	if (pool->params.cache_size == 0) {
		stats->available = rte_ring_count(pool->ring);
	} else {
		/* Buffers may go from one to the other meanwhile: rather too many than too few. */
		stashed = vmq_stash_count(stash);
		stats->available = rte_mempool_avail_count(pool->mempool);
		stats->available += RTE_MAX(stashed, vmq_stash_count(stash));
	}
	stats->populated = atomic_load(&pool->populated);
	/* The loads are not one moment: a buffer on its way must not count twice. */
	stats->retiring = RTE_MIN(stats->retiring, stats->populated);
	stats->available = RTE_MIN(stats->available, stats->populated - stats->retiring);
	stats->outstanding = stats->populated - stats->available - stats->retiring;
	stats->blocks = atomic_load(&pool->n_blocks);
	stats->bytes = atomic_load(&pool->bytes);
	stats->grown = atomic_load(&pool->grown);
	stats->returned = atomic_load(&pool->returned);
	stats->failed = atomic_load(&pool->failed);
}
