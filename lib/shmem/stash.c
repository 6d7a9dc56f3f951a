/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <string.h>

#include "vmq_stash.h"

/*
 * Together a stack, the stash below and the cache above it: the oldest ones move to and fro.
 * The array of a cache is public, as the inline functions of rte_mempool.h show; theirs would
 * take the newest ones.
 *
 * Buffers on their way between cache and stash count in both: who watches must not find
 * too few of them and think that they are out.
 */

static void
set_count(struct vmq_stash *stash, uint32_t n)
{
	atomic_store_explicit(&stash->n, n, memory_order_release);
}

void
vmq_stash_take(struct vmq_stash *stash, struct rte_mempool_cache *cache)
{
	const uint32_t n = vmq_stash_count(stash), keep = RTE_MIN(cache->len, cache->size / 2);
	const uint32_t more = RTE_MIN(cache->len - keep, VMQ_STASH_SIZE - n);

	memcpy(&stash->buffers[n], cache->objs, more * sizeof(cache->objs[0]));
	set_count(stash, n + more);
	memmove(cache->objs, &cache->objs[more], (cache->len - more) * sizeof(cache->objs[0]));
	cache->len -= more;
}

void
vmq_stash_give(struct vmq_stash *stash, struct rte_mempool_cache *cache)
{
	const uint32_t n = vmq_stash_count(stash), some = RTE_MIN(n, cache->size / 2);

	memmove(&cache->objs[some], cache->objs, cache->len * sizeof(cache->objs[0]));
	memcpy(cache->objs, &stash->buffers[n - some], some * sizeof(cache->objs[0]));
	cache->len += some;
	set_count(stash, n - some);
}

void
vmq_stash_flush(struct vmq_stash *stash, struct rte_mempool *pool)
{
	const uint32_t n = vmq_stash_count(stash);

	if (n == 0)
		return;
	/* Free they are already: as rte_mempool_cache_flush() does it. */
	rte_mempool_ops_enqueue_bulk(pool, stash->buffers, n);
	set_count(stash, 0);
}
