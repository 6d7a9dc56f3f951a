/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * Not under ThreadSanitizer: what orders two users of a buffer is the mempool's ring,
 * and its code is in DPDK's own library, which is not instrumented. Tried on 22.11 with
 * gcc 12: 98 reports, each of two threads that had the same buffer one after the other.
 * The stress test at the end checks in its place that a buffer is ready when it is
 * taken, and never taken twice.
 */

#include "unit.h"

#include <errno.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_mempool.h>

#include "failing_provider.h"

#define BUFFER_SIZE 512
#define STEP 256
#define LIMIT (8 * STEP)

struct fixture {
	struct unit_census census;
	struct failing failing;
	struct vmq_jobs *jobs;
	struct vmq_shmem *shmem;
	struct vmq_pool *pool;
	unsigned int events[3];
	uint32_t last_buffers;
};

static void
on_event(void *arg, struct vmq_pool *pool, enum vmq_pool_event event, uint32_t buffers)
{
	struct fixture *f = arg;

	(void)pool;
	f->events[event]++;
	f->last_buffers = buffers;
}

static int
set_up(void **state)
{
	static struct fixture fixture;
	const struct vmq_pool_params params = {
		.name = "unit_pool",
		.queue_id = 3,
		.limit = LIMIT,
		.buffer_size = BUFFER_SIZE,
		.usage = VMQ_SHMEM_RECEIVE,
		.node = SOCKET_ID_ANY,
	};

	memset(&fixture, 0, sizeof(fixture));
	unit_census_take(&fixture.census);
	fixture.jobs = vmq_jobs_create();
	fixture.shmem = vmq_shmem_create(&(struct vmq_shmem_config){
		.name = "unit",
		.provider = &failing_provider,
		.provider_arg = &fixture.failing,
		.jobs = fixture.jobs,
	});
	assert_non_null(fixture.shmem);
	fixture.pool = vmq_pool_create(fixture.shmem, &params, NULL);
	assert_non_null(fixture.pool);
	vmq_pool_set_callback(fixture.pool, on_event, &fixture);
	*state = &fixture;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;
	struct vmq_error err;

	vmq_jobs_finish(f->jobs, true);
	assert_int_equal(vmq_pool_destroy(f->pool, &err), 0);
	assert_int_equal(vmq_shmem_destroy(f->shmem), 0);
	assert_int_equal(f->failing.out, 0);
	vmq_jobs_destroy(f->jobs);
	unit_assert_nothing_left(&f->census);
	return 0;
}

static struct vmq_pool_stats
stats_of(const struct fixture *f)
{
	struct vmq_pool_stats stats;

	vmq_pool_stats_get(f->pool, &stats);
	assert_int_equal(stats.populated, stats.available + stats.outstanding + stats.retiring);
	return stats;
}

static void
grow(struct fixture *f, uint32_t buffers)
{
	uint32_t obtained = 0;

	assert_int_equal(vmq_pool_grow(f->pool, buffers, buffers, &obtained, NULL),
		VMQ_STATUS_SUCCESS);
	assert_int_equal(obtained, buffers);
}

static void
figures_are_exact_at_every_step(void **state)
{
	struct fixture *f = *state;
	struct rte_mempool *mp = vmq_pool_mempool(f->pool);
	struct rte_mbuf *packets[STEP];
	struct vmq_pool_stats stats;

	assert_int_equal(stats_of(f).populated, 0);
	assert_null(rte_pktmbuf_alloc(mp));
	grow(f, STEP);
	stats = stats_of(f);
	assert_int_equal(stats.available, STEP);
	assert_int_equal(stats.blocks, 1);
	assert_int_equal(stats.limit, LIMIT);
	assert_int_equal(rte_pktmbuf_alloc_bulk(mp, packets, 100), 0);
	stats = stats_of(f);
	assert_int_equal(stats.available, STEP - 100);
	assert_int_equal(stats.outstanding, 100);
	grow(f, STEP);
	stats = stats_of(f);
	assert_int_equal(stats.populated, 2 * STEP);
	assert_int_equal(stats.available, 2 * STEP - 100);
	rte_pktmbuf_free_bulk(packets, 100);
	assert_int_equal(stats_of(f).available, 2 * STEP);
	/* What DPDK's own tools look at. */
	assert_int_equal(mp->populated_size, 2 * STEP);
	assert_int_equal(rte_mempool_avail_count(mp), 2 * STEP);
	assert_string_equal(rte_mempool_get_ops(mp->ops_index)->name, "ring_mt_hts");
}

static void
each_buffer_is_a_ready_packet_that_knows_its_block(void **state)
{
	struct fixture *f = *state;
	struct rte_mempool *mp = vmq_pool_mempool(f->pool);
	struct rte_mbuf *packets[2 * STEP];
	const struct vmq_buffer_info *info;
	uint64_t handles[2] = {0};
	unsigned int i, n[2] = {0};

	grow(f, STEP);
	grow(f, STEP);
	assert_int_equal(rte_pktmbuf_alloc_bulk(mp, packets, 2 * STEP), 0);
	for (i = 0; i < 2 * STEP; i++) {
		assert_ptr_equal(packets[i]->pool, mp);
		assert_int_equal(rte_mbuf_refcnt_read(packets[i]), 1);
		assert_int_equal(rte_pktmbuf_headroom(packets[i]), RTE_PKTMBUF_HEADROOM);
		assert_int_equal(rte_pktmbuf_tailroom(packets[i]), BUFFER_SIZE);
		assert_int_equal((uintptr_t)packets[i] % RTE_CACHE_LINE_SIZE, 0);
		assert_true(rte_mempool_virt2iova(packets[i]) != RTE_BAD_IOVA);
		assert_int_equal(rte_mbuf_data_iova(packets[i]),
			rte_mempool_virt2iova(packets[i]) + RTE_PTR_DIFF(
				rte_pktmbuf_mtod(packets[i], void *), packets[i]));
		memset(rte_pktmbuf_append(packets[i], BUFFER_SIZE), i, BUFFER_SIZE);
		info = vmq_buffer_info(packets[i]);
		if (handles[0] == 0)
			handles[0] = info->shared_memory_handle;
		else if (info->shared_memory_handle != handles[0])
			handles[1] = info->shared_memory_handle;
		n[info->shared_memory_handle != handles[0]]++;
	}
	assert_int_equal(n[0], STEP);
	assert_int_equal(n[1], STEP);
	assert_true(handles[1] != 0);
	rte_pktmbuf_free_bulk(packets, 2 * STEP);
}

static void
an_indication_says_where_the_bytes_lie(void **state)
{
	struct fixture *f = *state;
	struct vmq_receive_indication indication;
	struct rte_mbuf *packets[3], *clone;
	struct rte_mempool *mp;
	unsigned int i;

	grow(f, 4);
	mp = vmq_pool_mempool(f->pool);
	assert_int_equal(rte_pktmbuf_alloc_bulk(mp, packets, 3), 0);
	for (i = 0; i < 3; i++)
		assert_non_null(rte_pktmbuf_append(packets[i], (uint16_t)(60 + i)));
	assert_non_null(rte_pktmbuf_adj(packets[0], 10));
	assert_int_equal(rte_pktmbuf_chain(packets[0], packets[1]), 0);
	assert_int_equal(rte_pktmbuf_chain(packets[0], packets[2]), 0);
	assert_int_equal(vmq_receive_indication_get(3, packets[0], &indication), 0);
	assert_int_equal(indication.queue_id, 3);
	assert_int_equal(indication.filter_id, 0);
	assert_int_equal(indication.n_segments, 3);
	for (i = 0; i < 3; i++) {
		const struct vmq_buffer_info *info = vmq_buffer_info(packets[i]);
		const char *block = (const char *)packets[i]->buf_addr - info->offset;

		assert_int_equal(indication.segments[i].shared_memory_handle,
			info->shared_memory_handle);
		assert_ptr_equal(block + indication.segments[i].offset,
			rte_pktmbuf_mtod(packets[i], char *));
		assert_int_equal(indication.segments[i].length, i == 0 ? 50 : 60 + i);
	}
	/* A clone's bytes are the original's. */
	clone = rte_pktmbuf_clone(packets[2], mp);
	assert_non_null(clone);
	assert_int_equal(vmq_receive_indication_get(3, clone, &indication), 0);
	assert_ptr_equal((const char *)packets[2]->buf_addr - vmq_buffer_info(packets[2])->offset +
		indication.segments[0].offset, rte_pktmbuf_mtod(clone, char *));
	rte_pktmbuf_free(clone);
	packets[0]->nb_segs = VMQ_RECEIVE_SEGMENTS_MAX + 1;
	assert_int_equal(vmq_receive_indication_get(3, packets[0], &indication), -E2BIG);
	packets[0]->nb_segs = 3;
	rte_pktmbuf_free(packets[0]);
}

static void
growth_stops_at_the_limit(void **state)
{
	struct fixture *f = *state;
	struct vmq_error err;

	grow(f, LIMIT - 10);
	assert_int_equal(vmq_pool_grow(f->pool, 11, 1, NULL, &err), VMQ_STATUS_INVALID_PARAMETER);
	assert_non_null(strstr(err.text, "limit"));
	assert_int_equal(vmq_pool_grow(f->pool, 0, 0, NULL, &err), VMQ_STATUS_INVALID_PARAMETER);
	grow(f, 10);
	assert_int_equal(stats_of(f).populated, LIMIT);
	assert_int_equal(vmq_pool_grow(f->pool, 1, 1, NULL, &err), VMQ_STATUS_INVALID_PARAMETER);
}

static void
a_block_that_cannot_be_had_is_asked_for_smaller(void **state)
{
	struct fixture *f = *state;
	uint32_t obtained = 0;

	f->failing.max_bytes = vmq_pool_block_bytes(STEP / 4, BUFFER_SIZE);
	assert_int_equal(vmq_pool_grow(f->pool, STEP, STEP / 2, &obtained, NULL),
		VMQ_STATUS_RESOURCES);
	assert_int_equal(stats_of(f).populated, 0);
	assert_int_equal(stats_of(f).failed, 1);
	assert_int_equal(vmq_pool_grow(f->pool, STEP, STEP / 8, &obtained, NULL),
		VMQ_STATUS_SUCCESS);
	assert_int_equal(obtained, STEP / 4);
	assert_int_equal(stats_of(f).populated, STEP / 4);
}

static void
a_pool_with_packets_out_is_not_destroyed(void **state)
{
	struct fixture *f = *state;
	struct rte_mbuf *packet;
	struct vmq_error err;

	grow(f, STEP);
	packet = rte_pktmbuf_alloc(vmq_pool_mempool(f->pool));
	assert_int_equal(vmq_pool_destroy(f->pool, &err), -EBUSY);
	assert_non_null(strstr(err.text, "1 of 256"));
	rte_pktmbuf_free(packet);
}

/* Take the buffers of the second block, and no others. */
static unsigned int
take_last_block(struct fixture *f, struct rte_mbuf **packets, unsigned int n)
{
	struct rte_mbuf *all[LIMIT];
	unsigned int total = stats_of(f).available, i, taken = 0;
	uint64_t first = UINT64_MAX;

	assert_int_equal(rte_pktmbuf_alloc_bulk(vmq_pool_mempool(f->pool), all, total), 0);
	for (i = 0; i < total; i++)
		first = RTE_MIN(first, vmq_buffer_info(all[i])->shared_memory_handle);
	for (i = 0; i < total; i++) {
		if (vmq_buffer_info(all[i])->shared_memory_handle != first && taken < n)
			packets[taken++] = all[i];
		else
			rte_pktmbuf_free(all[i]);
	}
	return taken;
}

static void
a_block_goes_when_its_last_buffer_is_home(void **state)
{
	struct fixture *f = *state;
	struct rte_mbuf *packets[2];
	struct vmq_error err;
	unsigned int zones = f->failing.out;

	grow(f, STEP);
	assert_int_equal(vmq_pool_retire(f->pool, &err), VMQ_STATUS_NOT_ACCEPTED);
	grow(f, STEP);
	assert_int_equal(take_last_block(f, packets, 2), 2);
	assert_int_equal(vmq_pool_retire(f->pool, &err), VMQ_STATUS_PENDING);
	assert_int_equal(vmq_pool_retire(f->pool, &err), VMQ_STATUS_NOT_ACCEPTED);
	assert_int_equal(vmq_pool_grow(f->pool, 1, 1, NULL, &err), VMQ_STATUS_NOT_ACCEPTED);
	assert_true(vmq_pool_progress(f->pool));
	assert_int_equal(stats_of(f).retiring, STEP - 2);
	assert_int_equal(stats_of(f).outstanding, 2);
	assert_int_equal(stats_of(f).available, STEP);
	rte_pktmbuf_free(packets[0]);
	assert_true(vmq_pool_progress(f->pool));
	assert_int_equal(stats_of(f).retiring, STEP - 1);
	rte_pktmbuf_free(packets[1]);
	assert_true(vmq_pool_progress(f->pool));
	vmq_jobs_finish(f->jobs, true);
	assert_false(vmq_pool_progress(f->pool));
	assert_int_equal(stats_of(f).populated, STEP);
	assert_int_equal(stats_of(f).available, STEP);
	assert_int_equal(stats_of(f).blocks, 1);
	assert_int_equal(stats_of(f).returned, 1);
	assert_int_equal(f->failing.out, zones + 1);
	assert_int_equal(f->events[VMQ_POOL_RETURNED], 1);
	assert_int_equal(f->last_buffers, STEP);
	assert_int_equal(vmq_pool_mempool(f->pool)->populated_size, STEP);
	/* And it can grow again. */
	grow(f, STEP);
	assert_int_equal(stats_of(f).available, 2 * STEP);
}

/* A pool that is received into: whoever has freed may have buffers in its own cache. */
static void
a_block_goes_though_its_buffers_are_in_the_own_cache(void **state)
{
	const struct vmq_pool_params params = {
		.name = "unit_cached",
		.queue_id = 3,
		.limit = LIMIT,
		.buffer_size = BUFFER_SIZE,
		.usage = VMQ_SHMEM_RECEIVE,
		.node = SOCKET_ID_ANY,
		.cache_size = STEP / 2,
	};
	struct fixture *f = *state;
	struct rte_mbuf *packets[2 * STEP];
	struct rte_mempool_cache *cache;
	struct vmq_pool *cached;
	struct vmq_pool_stats stats;

	cached = vmq_pool_create(f->shmem, &params, NULL);
	assert_non_null(cached);
	assert_int_equal(vmq_pool_grow(cached, STEP, STEP, NULL, NULL), VMQ_STATUS_SUCCESS);
	assert_int_equal(vmq_pool_grow(cached, STEP, STEP, NULL, NULL), VMQ_STATUS_SUCCESS);
	/* The last block's buffers are freed last, and so stay in the cache. */
	assert_int_equal(rte_pktmbuf_alloc_bulk(vmq_pool_mempool(cached), packets, 2 * STEP), 0);
	rte_pktmbuf_free_bulk(packets, STEP);
	rte_pktmbuf_free_bulk(packets + STEP, STEP);
	cache = rte_mempool_default_cache(vmq_pool_mempool(cached), rte_lcore_id());
	if (cache->len == 0)
		rte_pktmbuf_free(rte_pktmbuf_alloc(vmq_pool_mempool(cached)));
	assert_true(cache->len > 0);
	assert_int_equal(vmq_pool_retire(cached, NULL), VMQ_STATUS_PENDING);
	assert_true(vmq_pool_progress(cached));
	assert_int_equal(cache->len, 0);
	vmq_jobs_finish(f->jobs, true);
	assert_false(vmq_pool_progress(cached));
	vmq_pool_stats_get(cached, &stats);
	assert_int_equal(stats.blocks, 1);
	assert_int_equal(stats.returned, 1);
	assert_int_equal(vmq_pool_destroy(cached, NULL), 0);
}

static void
giving_back_can_be_called_off(void **state)
{
	struct fixture *f = *state;

	grow(f, STEP);
	grow(f, STEP);
	assert_int_equal(vmq_pool_retire(f->pool, NULL), VMQ_STATUS_PENDING);
	assert_int_equal(stats_of(f).retiring, 0);
	vmq_pool_cancel_retire(f->pool);
	assert_int_equal(stats_of(f).available, 2 * STEP);
	vmq_pool_cancel_retire(f->pool); /* nothing to call off */
	assert_int_equal(stats_of(f).blocks, 2);
}

static void
growth_can_be_asynchronous(void **state)
{
	struct fixture *f = *state;
	struct vmq_error err;

	assert_int_equal(vmq_pool_grow_async(f->pool, STEP, STEP, &err), VMQ_STATUS_PENDING);
	assert_int_equal(vmq_pool_grow_async(f->pool, STEP, STEP, &err), VMQ_STATUS_NOT_ACCEPTED);
	assert_int_equal(vmq_pool_destroy(f->pool, &err), -EBUSY);
	vmq_jobs_finish(f->jobs, true);
	assert_int_equal(f->events[VMQ_POOL_GROWN], 1);
	assert_int_equal(stats_of(f).available, STEP);
	f->failing.fail_at = f->failing.calls + 1;
	assert_int_equal(vmq_pool_grow_async(f->pool, STEP, STEP, &err), VMQ_STATUS_PENDING);
	vmq_jobs_finish(f->jobs, true);
	assert_int_equal(f->events[VMQ_POOL_GROW_FAILED], 1);
	assert_int_equal(stats_of(f).populated, STEP);
}

static void
marks_that_would_make_it_grow_and_shrink_in_turn_are_refused(void **state)
{
	const struct vmq_pool_demand good = vmq_pool_demand_default(STEP);
	struct vmq_pool_demand demand = good;

	(void)state;
	assert_int_equal(vmq_pool_demand_check(&good, NULL), VMQ_STATUS_SUCCESS);
	demand.step = 0;
	assert_int_equal(vmq_pool_demand_check(&demand, NULL), VMQ_STATUS_INVALID_PARAMETER);
	demand = good;
	demand.high = demand.low + demand.step - 1;
	assert_int_equal(vmq_pool_demand_check(&demand, NULL), VMQ_STATUS_INVALID_PARAMETER);
	demand.low = 0; /* never grows */
	assert_int_equal(vmq_pool_demand_check(&demand, NULL), VMQ_STATUS_SUCCESS);
}

static void
demand_makes_it_grow_and_later_shrink(void **state)
{
	struct fixture *f = *state;
	const struct vmq_pool_demand demand = {.low = 64, .high = 64 + STEP, .step = STEP,
		.hold_ms = 100};
	struct rte_mempool *mp = vmq_pool_mempool(f->pool);
	struct rte_mbuf *packets[LIMIT];
	uint64_t now = 1000;

	vmq_pool_set_demand(f->pool, &demand);
	grow(f, STEP);
	vmq_pool_tick(f->pool, now++);
	assert_int_equal(stats_of(f).blocks, 1);
	/* Below the low mark: one more block, once. */
	assert_int_equal(rte_pktmbuf_alloc_bulk(mp, packets, STEP - 63), 0);
	vmq_pool_tick(f->pool, now++);
	vmq_pool_tick(f->pool, now++);
	vmq_jobs_finish(f->jobs, true);
	assert_int_equal(f->events[VMQ_POOL_GROWN], 1);
	vmq_pool_tick(f->pool, now++);
	vmq_jobs_finish(f->jobs, true);
	assert_int_equal(stats_of(f).blocks, 2);
	/* A failure is not asked for again at once. */
	assert_int_equal(rte_pktmbuf_alloc_bulk(mp, packets + STEP - 63, STEP), 0);
	f->failing.max_bytes = 1;
	vmq_pool_tick(f->pool, now++);
	vmq_jobs_finish(f->jobs, true);
	vmq_pool_tick(f->pool, now++);
	vmq_jobs_finish(f->jobs, true);
	assert_int_equal(f->events[VMQ_POOL_GROW_FAILED], 1);
	now += 2000;
	f->failing.max_bytes = 0;
	vmq_pool_tick(f->pool, now++);
	vmq_jobs_finish(f->jobs, true);
	assert_int_equal(stats_of(f).blocks, 3);
	/* Above the high mark for long enough: added blocks go one by one. */
	rte_pktmbuf_free_bulk(packets, 2 * STEP - 63);
	vmq_pool_tick(f->pool, now);
	vmq_pool_tick(f->pool, now + 99);
	assert_int_equal(stats_of(f).retiring, 0);
	for (now += 100; stats_of(f).blocks > 1 && now < 10000; now++) {
		vmq_pool_tick(f->pool, now);
		vmq_jobs_finish(f->jobs, true);
	}
	assert_int_equal(stats_of(f).blocks, 1);
	assert_int_equal(f->events[VMQ_POOL_RETURNED], 2);
	/* The first stays. */
	for (; now < 20000; now += 50)
		vmq_pool_tick(f->pool, now);
	assert_int_equal(stats_of(f).available, STEP);
}

static void
demand_during_giving_back_calls_it_off(void **state)
{
	struct fixture *f = *state;
	const struct vmq_pool_demand demand = {.low = 64, .high = 64 + STEP, .step = STEP};
	struct rte_mempool *mp = vmq_pool_mempool(f->pool);
	struct rte_mbuf *packets[2 * STEP];

	vmq_pool_set_demand(f->pool, &demand);
	grow(f, STEP);
	grow(f, STEP);
	assert_int_equal(take_last_block(f, packets, 1), 1);
	assert_int_equal(vmq_pool_retire(f->pool, NULL), VMQ_STATUS_PENDING);
	assert_true(vmq_pool_progress(f->pool));
	assert_int_equal(rte_pktmbuf_alloc_bulk(mp, packets + 1, STEP), 0);
	assert_null(rte_pktmbuf_alloc(mp));
	vmq_pool_tick(f->pool, 1);
	assert_int_equal(stats_of(f).retiring, 0);
	assert_int_equal(stats_of(f).available, STEP - 1);
	assert_int_equal(stats_of(f).grown, 2);
	rte_pktmbuf_free_bulk(packets, STEP + 1);
}

/* Two threads that take, poison, check and return while the pool grows and gives back. */
#define ROUNDS 200

struct stress {
	struct fixture *f;
	_Atomic bool stop;
	_Atomic uint64_t bursts, wrong;
};

static int
take_and_return(void *arg)
{
	struct stress *stress = arg;
	struct rte_mempool *mp = vmq_pool_mempool(stress->f->pool);
	struct rte_mbuf *packets[VMQ_BURST];
	unsigned int i;

	while (!atomic_load(&stress->stop)) {
		/* Fails now and then: a thread that lost its CPU inside the ring hides
		 * what came after it, until it goes on. */
		if (rte_pktmbuf_alloc_bulk(mp, packets, VMQ_BURST) != 0)
			continue;
		for (i = 0; i < VMQ_BURST; i++) {
			/* Not ready, or somebody else's: one of these would be off. */
			if (packets[i]->pool != mp || rte_mbuf_refcnt_read(packets[i]) != 1 ||
				packets[i]->nb_segs != 1 || packets[i]->next != NULL ||
				rte_pktmbuf_tailroom(packets[i]) != BUFFER_SIZE ||
				vmq_buffer_info(packets[i])->shared_memory_handle == 0)
				atomic_fetch_add(&stress->wrong, 1);
			*rte_pktmbuf_mtod(packets[i], uint64_t *) = (uintptr_t)packets + i;
		}
		for (i = 0; i < VMQ_BURST; i++)
			if (*rte_pktmbuf_mtod(packets[i], uint64_t *) != (uintptr_t)packets + i)
				atomic_fetch_add(&stress->wrong, 1); /* two have the same buffer */
		rte_pktmbuf_free_bulk(packets, VMQ_BURST);
		atomic_fetch_add(&stress->bursts, 1);
	}
	return 0;
}

static void
blocks_come_and_go_under_full_use(void **state)
{
	struct fixture *f = *state;
	struct stress stress = {.f = f};
	unsigned int i, round;

	grow(f, STEP);
	for (i = 0; i < UNIT_WORKERS; i++)
		assert_int_equal(rte_eal_remote_launch(take_and_return, &stress, unit_lcores[i]), 0);
	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < 3; i++) {
			assert_int_equal(vmq_pool_grow_async(f->pool, STEP, STEP, NULL),
				VMQ_STATUS_PENDING);
			vmq_jobs_finish(f->jobs, true);
		}
		for (i = 0; i < 3; i++) {
			assert_int_equal(vmq_pool_retire(f->pool, NULL), VMQ_STATUS_PENDING);
			while (vmq_pool_progress(f->pool))
				vmq_jobs_finish(f->jobs, false);
		}
	}
	atomic_store(&stress.stop, true);
	rte_eal_mp_wait_lcore();
	assert_int_equal(stress.wrong, 0);
	assert_true(stress.bursts > 1000);
	assert_int_equal(stats_of(f).available, STEP);
	assert_int_equal(stats_of(f).grown, 1 + 3 * ROUNDS);
	assert_int_equal(stats_of(f).returned, 3 * ROUNDS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(figures_are_exact_at_every_step),
		TEST(each_buffer_is_a_ready_packet_that_knows_its_block),
		TEST(an_indication_says_where_the_bytes_lie),
		TEST(growth_stops_at_the_limit),
		TEST(a_block_that_cannot_be_had_is_asked_for_smaller),
		TEST(a_pool_with_packets_out_is_not_destroyed),
		TEST(a_block_goes_when_its_last_buffer_is_home),
		TEST(a_block_goes_though_its_buffers_are_in_the_own_cache),
		TEST(giving_back_can_be_called_off),
		TEST(growth_can_be_asynchronous),
		TEST(marks_that_would_make_it_grow_and_shrink_in_turn_are_refused),
		TEST(demand_makes_it_grow_and_later_shrink),
		TEST(demand_during_giving_back_calls_it_off),
		TEST(blocks_come_and_go_under_full_use),
	};

	return cmocka_run_group_tests_name("pool", tests, unit_start, unit_stop);
}
