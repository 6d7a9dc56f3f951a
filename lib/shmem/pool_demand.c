/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include "pool_private.h"

/* After a block could not be had, how long to wait before asking again. */
#define RETRY_MS 1000
#define HOLD_MS_DEFAULT 5000
/* When a block cannot be had in full, the smallest part of it that is worth having. */
#define SMALLEST_PART 8

struct vmq_pool_demand
vmq_pool_demand_default(uint32_t buffers)
{
	const uint32_t low = RTE_MAX(buffers / 4, 1u);

	return (struct vmq_pool_demand){
		.low = low,
		.high = 2 * low + buffers,
		.step = buffers,
		.hold_ms = HOLD_MS_DEFAULT,
	};
}

enum vmq_status
vmq_pool_demand_check(const struct vmq_pool_demand *demand, struct vmq_error *err)
{
	if (demand->low == 0)
		return VMQ_STATUS_SUCCESS;
	if (demand->step == 0)
		return vmq_error_set(err, VMQ_STATUS_INVALID_PARAMETER,
			"a pool cannot grow by blocks of 0 buffers");
	/* After a block has gone there must not be so few that the next tick grows again. */
	if (demand->high < (uint64_t)demand->low + demand->step)
		return vmq_error_set(err, VMQ_STATUS_INVALID_PARAMETER,
			"the high mark (%u) must be at least the low mark and a block: %u + %u",
			demand->high, demand->low, demand->step);
	return VMQ_STATUS_SUCCESS;
}

void
vmq_pool_set_demand(struct vmq_pool *pool, const struct vmq_pool_demand *demand)
{
	pool->demand = *demand;
	pool->high_since_ms = 0;
	pool->retry_ms = 0;
	pool->failed_seen = atomic_load(&pool->failed);
}

static void
grow_on_demand(struct vmq_pool *pool, const struct vmq_pool_stats *stats, uint64_t now_ms)
{
	const uint32_t buffers = RTE_MIN(pool->demand.step, stats->limit - stats->populated);
	const uint32_t min_buffers = buffers / SMALLEST_PART;

	if (stats->failed != pool->failed_seen) {
		pool->failed_seen = stats->failed;
		pool->retry_ms = now_ms + RETRY_MS;
	}
	if (now_ms < pool->retry_ms)
		return;
	if (vmq_pool_grow_async(pool, buffers, min_buffers, NULL) == VMQ_STATUS_NOT_SUPPORTED)
		vmq_pool_grow(pool, buffers, min_buffers, NULL, NULL);
}

void
vmq_pool_tick(struct vmq_pool *pool, uint64_t now_ms)
{
	const struct vmq_pool_demand *demand = &pool->demand;
	struct vmq_pool_stats stats;

	vmq_pool_stats_get(pool, &stats);
	if (demand->low > 0 && stats.available < demand->low) {
		pool->high_since_ms = 0;
		/* What is being given back is at hand sooner than a new block. */
		if (pool->activity == POOL_RETIRING)
			vmq_pool_cancel_retire(pool);
		else if (pool->activity == POOL_IDLE && stats.populated < stats.limit)
			grow_on_demand(pool, &stats, now_ms);
		return;
	}
	if (vmq_pool_progress(pool) || demand->low == 0)
		return;
	if (stats.blocks < 2 || stats.available <= demand->high) {
		pool->high_since_ms = 0;
	} else if (pool->high_since_ms == 0) {
		pool->high_since_ms = now_ms;
	} else if (now_ms - pool->high_since_ms >= demand->hold_ms) {
		pool->high_since_ms = 0;
		vmq_pool_retire(pool, NULL);
	}
}
