/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <stdlib.h>

#include <rte_eal_memconfig.h>
#include <rte_errno.h>
#include <rte_malloc.h>

#include "pool_private.h"

/* Buffers that are made ready and put into the ring together. */
#define POPULATE_BATCH 64

/*
 * Tell the mempool of an IOVA range, as rte_mempool_populate_iova() does: drivers that
 * register memory (af_xdp) walk this list.
 */
static bool
add_range(struct rte_mempool *mp, void *addr, rte_iova_t iova, size_t length)
{
	struct rte_mempool_memhdr *range = rte_zmalloc("vmq_memhdr", sizeof(*range), 0);

	if (range == NULL)
		return false;
	range->mp = mp;
	range->addr = addr;
	range->iova = iova;
	range->len = length;
	rte_mcfg_mempool_write_lock();
	STAILQ_INSERT_TAIL(&mp->mem_list, range, next);
	mp->nb_mem_chunks++;
	if (iova != RTE_BAD_IOVA)
		mp->flags &= ~RTE_MEMPOOL_F_NON_IO;
	rte_mcfg_mempool_write_unlock();
	return true;
}

/* Make one buffer ready: all that it carries for its whole life. */
static struct rte_mempool_objhdr *
make_buffer(struct rte_mempool *mp, void *object, rte_iova_t iova,
	const struct vmq_shmem_block *block)
{
	struct rte_mempool_objhdr *header = RTE_PTR_SUB(object, sizeof(*header));
	struct vmq_buffer_info *info;
	struct rte_mbuf *packet = object;

	header->mp = mp;
	header->iova = iova;
#ifdef RTE_LIBRTE_MEMPOOL_DEBUG
	header->cookie = RTE_MEMPOOL_HEADER_COOKIE2;
	rte_mempool_get_trailer(object)->cookie = RTE_MEMPOOL_TRAILER_COOKIE;
#endif
	rte_pktmbuf_init(mp, NULL, object, 0);
	info = rte_mbuf_to_priv(packet);
	info->shared_memory_handle = block->shared_memory_handle;
	info->offset = RTE_PTR_DIFF(packet->buf_addr, block->addr);
	return header;
}

/* Put ready buffers into the mempool's list and then, last of all, into the ring. */
static void
release_batch(struct vmq_pool *pool, struct pool_block *block, void **batch, unsigned int n)
{
	struct rte_mempool *mp = pool->mempool;
	struct rte_mempool_objhdr *header;
	unsigned int i;

	rte_mcfg_mempool_write_lock();
	for (i = 0; i < n; i++) {
		header = RTE_PTR_SUB(batch[i], sizeof(*header));
		STAILQ_INSERT_TAIL(&mp->elt_list, header, next);
		if (block->first == NULL)
			block->first = header;
		block->last = header;
	}
	mp->populated_size += n;
	rte_mcfg_mempool_write_unlock();
	block->buffers += n;
	atomic_fetch_add(&pool->populated, n);
	rte_ring_enqueue_bulk(pool->ring, batch, n, NULL); /* has room for the limit */
}

/* Make up to max buffers of one IOVA range. */
static void
populate_range(struct vmq_pool *pool, struct pool_block *block, char *addr, rte_iova_t iova,
	size_t length, uint32_t max)
{
	struct rte_mempool *mp = pool->mempool;
	const size_t size = mp->header_size + mp->elt_size + mp->trailer_size;
	void *batch[POPULATE_BATCH];
	unsigned int n = 0;
	size_t offset;

	for (offset = mp->header_size; max > 0 && offset - mp->header_size + size <= length;
		offset += size, max--) {
		batch[n] = addr + offset;
		make_buffer(mp, batch[n], iova == RTE_BAD_IOVA ? iova : iova + offset,
			&block->memory);
		if (++n == POPULATE_BATCH) {
			release_batch(pool, block, batch, n);
			n = 0;
		}
	}
	if (n > 0)
		release_batch(pool, block, batch, n);
}

static void
populate(struct vmq_pool *pool, struct pool_block *block, uint32_t buffers)
{
	const struct vmq_shmem_block *memory = &block->memory;
	char *addr = memory->addr;
	uint32_t i;

	for (i = 0; i < memory->n_sg && block->buffers < buffers;
		addr += memory->sg[i++].length_bytes) {
		if (!add_range(pool->mempool, addr, memory->sg[i].iova, memory->sg[i].length_bytes))
			break; /* fewer buffers than asked for, and said so */
		populate_range(pool, block, addr, memory->sg[i].iova, memory->sg[i].length_bytes,
			buffers - block->buffers);
	}
}

/* Ask for a block, in full or smaller. Returns for how many buffers it is. */
static enum vmq_status
allocate(struct vmq_pool *pool, struct vmq_shmem_block *memory, uint32_t *buffers,
	uint32_t min_buffers, struct vmq_error *err)
{
	struct vmq_shmem_params request = {
		.queue_id = pool->params.queue_id,
		.usage = pool->params.usage,
		.flags = pool->params.flags,
		.preferred_node = pool->params.node,
	};
	enum vmq_status status;

	for (;;) {
		request.length_bytes = vmq_pool_block_bytes(*buffers, pool->params.buffer_size);
		status = vmq_shmem_allocate(pool->shmem, &request, memory, err);
		if (status != VMQ_STATUS_RESOURCES || *buffers <= min_buffers)
			return status;
		*buffers = RTE_MAX(*buffers / 2, min_buffers);
	}
}

/* Take a block's ranges and buffers out of the mempool's lists. */
static void
unlink_block(struct vmq_pool *pool, const struct pool_block *block)
{
	const struct pool_block *before = TAILQ_PREV(block, pool_blocks, next);
	struct rte_mempool_memhdr *range, *next;
	struct rte_mempool *mp = pool->mempool;

	rte_mcfg_mempool_write_lock();
	for (range = STAILQ_FIRST(&mp->mem_list); range != NULL; range = next) {
		next = STAILQ_NEXT(range, next);
		if (RTE_PTR_DIFF(range->addr, block->memory.addr) >= block->memory.length_bytes)
			continue;
		STAILQ_REMOVE(&mp->mem_list, range, rte_mempool_memhdr, next);
		mp->nb_mem_chunks--;
		rte_free(range);
	}
	/* The last block's buffers are the end of the list. */
	if (block->first != NULL) {
		if (before == NULL) {
			STAILQ_INIT(&mp->elt_list);
		} else {
			STAILQ_NEXT(before->last, next) = NULL;
			mp->elt_list.stqh_last = &STAILQ_NEXT(before->last, next);
		}
		mp->populated_size -= block->buffers;
	}
	rte_mcfg_mempool_write_unlock();
}

static void
free_block(struct vmq_pool *pool, struct pool_block *block)
{
	struct vmq_error err;

	TAILQ_REMOVE(&pool->blocks, block, next);
	if (vmq_shmem_free(pool->shmem, &block->memory, &err) != VMQ_STATUS_SUCCESS)
		VMQ_LOG(ERR, "queue %u: %s\n", pool->params.queue_id, err.text);
	free(block);
}

enum vmq_status
pool_add_block(struct vmq_pool *pool, uint32_t buffers, uint32_t min_buffers, uint32_t *obtained,
	struct vmq_error *err)
{
	const uint32_t wanted = buffers;
	struct pool_block *block;
	enum vmq_status status;

	min_buffers = RTE_MIN(min_buffers == 0 ? 1 : min_buffers, buffers);
	block = calloc(1, sizeof(*block));
	if (block == NULL) {
		atomic_fetch_add(&pool->failed, 1);
		return vmq_error_set(err, VMQ_STATUS_RESOURCES, "no memory for a block's record");
	}
	status = allocate(pool, &block->memory, &buffers, min_buffers, err);
	if (status != VMQ_STATUS_SUCCESS) {
		atomic_fetch_add(&pool->failed, 1);
		free(block);
		return status;
	}

	TAILQ_INSERT_TAIL(&pool->blocks, block, next);
	populate(pool, block, buffers);
	if (block->buffers == 0) { /* ranges too small for a buffer, or no memory */
		unlink_block(pool, block);
		status = vmq_error_set(err, VMQ_STATUS_RESOURCES,
			"queue %u: %zu bytes in %u IOVA ranges have no room for a buffer",
			pool->params.queue_id, block->memory.length_bytes, block->memory.n_sg);
		free_block(pool, block);
		atomic_fetch_add(&pool->failed, 1);
		return status;
	}
	if (block->buffers < wanted)
		VMQ_LOG(NOTICE, "queue %u: %u buffers obtained of %u asked for\n",
			pool->params.queue_id, block->buffers, wanted);
	atomic_fetch_add(&pool->n_blocks, 1);
	atomic_fetch_add(&pool->bytes, block->memory.length_bytes);
	atomic_fetch_add(&pool->grown, 1);
	if (obtained != NULL)
		*obtained = block->buffers;
	return VMQ_STATUS_SUCCESS;
}

void
pool_remove_block(struct vmq_pool *pool)
{
	struct pool_block *block = TAILQ_LAST(&pool->blocks, pool_blocks);

	unlink_block(pool, block);
	atomic_store(&pool->n_aside, 0);
	atomic_fetch_sub(&pool->populated, block->buffers);
	atomic_fetch_sub(&pool->n_blocks, 1);
	atomic_fetch_sub(&pool->bytes, block->memory.length_bytes);
	atomic_fetch_add(&pool->returned, 1);
	free_block(pool, block);
}
