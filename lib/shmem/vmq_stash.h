/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_STASH_H
#define VMQ_STASH_H

/**
 * @file
 * Free buffers that the lcore which receives into a pool keeps at hand beside its mempool
 * cache: the last one freed is the first one taken. A mempool cache holds at most
 * RTE_MEMPOOL_CACHE_MAX_SIZE buffers and half as many again, and has a ring behind it: a
 * buffer that goes through the ring comes back when all the others have been used, and its
 * cache lines have gone. A worker that gathers has up to VMQ_STASH_SIZE packets out at once,
 * and frees them all. When it has fewer out, it goes on with those that it used last.
 *
 * The cache stays where buffers are taken and freed, by drivers and backends: the stash takes
 * from it before it overflows, and gives to it before it runs dry. Its buffers count as
 * available in struct vmq_pool_stats; for DPDK's own tools (rte_mempool_avail_count()) they
 * are in use. So it is to be given back, with vmq_stash_flush(), as soon as there is no load.
 *
 * All calls: the one lcore that receives into the pool. The number may be read by any thread.
 */

#include <stdatomic.h>
#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <vmq_base.h>

/** Most buffers in a stash. */
#define VMQ_STASH_SIZE 2048

/** A stash; it belongs to its pool, and goes with it. */
struct vmq_stash {
	_Atomic uint32_t n; /**< The lcore: wo; any thread: ro. */
	void *buffers[VMQ_STASH_SIZE]; /**< The lcore's. */
};

/** Private area of the mempool of a pool that has a stash. */
struct vmq_stash_private {
	struct rte_pktmbuf_pool_private mbufs; /**< DPDK's: it comes first. */
	struct vmq_stash stash __rte_cache_aligned;
};

/**
 * Stash of a mempool; NULL: it has none. Any thread.
 *
 * @param pool
 *   Made by vmq_pool_create() or rte_pktmbuf_pool_create(): nobody else's private area is as
 *   large as one with a stash.
 */
static inline struct vmq_stash *
vmq_stash_of(struct rte_mempool *pool)
{
	return pool->private_data_size < sizeof(struct vmq_stash_private) ? NULL
		: &((struct vmq_stash_private *)rte_mempool_get_priv(pool))->stash;
}

/** How many buffers are in it. Any thread. NULL: none. */
static inline uint32_t
vmq_stash_count(const struct vmq_stash *stash)
{
	return stash == NULL ? 0
		: atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&stash->n,
			memory_order_relaxed);
}

/** The cache holds more than it is to: take its oldest ones. Never more than fits. */
void vmq_stash_take(struct vmq_stash *stash, struct rte_mempool_cache *cache);

/** Fill half of the cache again, below what is left in it, as far as there is something. */
void vmq_stash_give(struct vmq_stash *stash, struct rte_mempool_cache *cache);

/** Put all of it back into the pool. NULL is allowed. */
void vmq_stash_flush(struct vmq_stash *stash, struct rte_mempool *pool);

/**
 * At most so many buffers are going to be freed before the next call: see to it that the
 * cache does not overflow, which would empty it into the ring (rte_mempool_do_generic_put()).
 *
 * @param n
 *   Up to half the cache's size.
 */
static inline void
vmq_stash_freeing(struct vmq_stash *stash, struct rte_mempool_cache *cache, uint32_t n)
{
	if (unlikely(cache->len + n > cache->flushthresh))
		vmq_stash_take(stash, cache);
}

/** A burst is going to be received: see to it that the cache has buffers. */
static inline void
vmq_stash_receiving(struct vmq_stash *stash, struct rte_mempool_cache *cache)
{
	if (unlikely(cache->len < VMQ_BURST && vmq_stash_count(stash) > 0))
		vmq_stash_give(stash, cache);
}

#endif /* VMQ_STASH_H */
