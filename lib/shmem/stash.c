/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include "vmq_stash.h"

/*
 * Buffers on their way between cache and stash count in both: who watches must not find
 * too few of them and think that they are out.
 */

static void
set_count(struct vmq_stash *stash, uint32_t n)
{
	atomic_store_explicit(&stash->n, n, memory_order_release);
}

void
vmq_stash_take(struct vmq_stash *stash, struct rte_mempool *pool, struct rte_mempool_cache *cache)
{
	const uint32_t n = vmq_stash_count(stash);
	const uint32_t more = RTE_MIN(cache->len - cache->size / 2, VMQ_STASH_SIZE - n);

	if (more == 0)
		return;
	set_count(stash, n + more);
	/* There are so many in the cache: this does not fail. */
	if (unlikely(rte_mempool_generic_get(pool, &stash->buffers[n], more, cache) != 0))
		set_count(stash, n);
}

void
vmq_stash_give(struct vmq_stash *stash, struct rte_mempool *pool, struct rte_mempool_cache *cache)
{
	const uint32_t n = vmq_stash_count(stash);
	const uint32_t some = RTE_MIN(n, cache->size);

	rte_mempool_generic_put(pool, &stash->buffers[n - some], some, cache);
	set_count(stash, n - some);
}

void
vmq_stash_flush(struct vmq_stash *stash, struct rte_mempool *pool)
{
	const uint32_t n = vmq_stash_count(stash);

	if (n == 0)
		return;
	rte_mempool_generic_put(pool, stash->buffers, n, NULL);
	set_count(stash, 0);
}
