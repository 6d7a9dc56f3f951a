/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_malloc.h>

#include "dp_private.h"

static const char *const stage_names[VMQ_STAGE_COUNT] = {
	[VMQ_STAGE_RECEIVE] = "receive",
	[VMQ_STAGE_CLASSIFY] = "classify",
	[VMQ_STAGE_GATHER] = "gather",
	[VMQ_STAGE_DELIVER] = "deliver",
	[VMQ_STAGE_ACCOUNT] = "account",
	[VMQ_STAGE_OTHER] = "other",
};

const char *
vmq_stage_name(enum vmq_stage stage)
{
	return (unsigned int)stage < VMQ_STAGE_COUNT ? stage_names[stage] : NULL;
}

struct vmq_datapath *
vmq_datapath_create(const unsigned int *lcores, uint16_t n_workers)
{
	size_t rcu_bytes = rte_rcu_qsbr_get_memsize(n_workers);
	struct vmq_datapath *dp;
	int ret = -ENOMEM;
	uint16_t i;

	dp = rte_zmalloc("vmq_datapath", sizeof(*dp) + n_workers * sizeof(dp->workers[0]),
		RTE_CACHE_LINE_SIZE);
	if (dp == NULL)
		goto free_dp;
	STAILQ_INIT(&dp->fresh_garbage);
	STAILQ_INIT(&dp->aged_garbage);
	dp->rcu = rte_zmalloc("vmq_rcu", rcu_bytes, RTE_CACHE_LINE_SIZE);
	if (dp->rcu == NULL)
		goto free_dp;
	rte_rcu_qsbr_init(dp->rcu, n_workers);
	dp->n_workers = n_workers;
	for (i = 0; i < n_workers; i++) {
		dp->workers[i].dp = dp;
		dp->workers[i].lcore_id = lcores[i];
		dp->workers[i].number = i;
		dp->workers[i].cycles_per_us = RTE_MAX(rte_get_tsc_hz() / US_PER_S, UINT64_C(1));
		SLIST_INIT(&dp->workers[i].backlogged);
		ret = sleep_open(&dp->workers[i]);
		if (ret < 0)
			goto close_workers;
	}
	return dp;

close_workers:
	while (i-- > 0)
		sleep_close(&dp->workers[i]);
	rte_free(dp->rcu);
free_dp:
	rte_free(dp);
	rte_errno = -ret;
	return NULL;
}

void
vmq_datapath_set_workers(struct vmq_datapath *dp, const struct vmq_worker_params *params)
{
	uint16_t i;

	for (i = 0; i < dp->n_workers; i++) {
		dp->workers[i].mode = params->mode;
		dp->workers[i].max_sleep_us = params->max_sleep_us;
	}
}

/* Stop the first n workers. */
static void
stop_workers(struct vmq_datapath *dp, uint16_t n)
{
	uint16_t i;

	for (i = 0; i < n; i++) {
		atomic_store(&dp->workers[i].stop, true);
		worker_wake(&dp->workers[i]);
	}
	for (i = 0; i < n; i++) {
		rte_eal_wait_lcore(dp->workers[i].lcore_id);
		rte_rcu_qsbr_thread_unregister(dp->rcu, dp->workers[i].number);
	}
}

int
vmq_datapath_start(struct vmq_datapath *dp)
{
	uint16_t i;
	int ret;

	for (i = 0; i < dp->n_workers; i++) {
		struct worker *worker = &dp->workers[i];

		atomic_store(&worker->stop, false);
		rte_rcu_qsbr_thread_register(dp->rcu, worker->number);
		ret = rte_eal_remote_launch(worker_main, worker, worker->lcore_id);
		if (ret < 0) {
			rte_rcu_qsbr_thread_unregister(dp->rcu, worker->number);
			stop_workers(dp, i);
			return ret;
		}
	}
	dp->started = true;
	return 0;
}

void
vmq_datapath_stop(struct vmq_datapath *dp)
{
	struct vmq_dp_queue *queue;
	uint16_t i;

	if (!dp->started)
		return;
	stop_workers(dp, dp->n_workers);
	dp->started = false;
	/* Nobody answers any more; a worker that starts looks at all backlogs. */
	for (i = 0; i < dp->n_workers; i++) {
		queue = atomic_exchange(&dp->workers[i].rung, NULL);
		for (; queue != NULL; queue = queue->next_rung)
			atomic_store(&queue->rung, false);
	}
}

static void
destroy_work(void *work)
{
	rte_free(work);
}

void
vmq_datapath_free(struct vmq_datapath *dp)
{
	uint16_t i;

	if (dp == NULL)
		return;
	vmq_datapath_reclaim(dp); /* frees all: no worker runs */
	for (i = 0; i < dp->n_workers; i++) {
		destroy_work(atomic_load(&dp->workers[i].work));
		sleep_close(&dp->workers[i]);
	}
	rte_free(dp->rcu);
	rte_free(dp);
}

bool
vmq_datapath_is_started(const struct vmq_datapath *dp)
{
	return dp->started;
}

uint16_t
vmq_datapath_workers(const struct vmq_datapath *dp)
{
	return dp->n_workers;
}

int
vmq_datapath_worker_node(const struct vmq_datapath *dp, uint16_t worker)
{
	return (int)rte_lcore_to_socket_id(dp->workers[worker].lcore_id);
}

void
vmq_worker_stats_get(const struct vmq_datapath *dp, uint16_t worker, struct vmq_worker_stats *stats)
{
	const struct worker *w = &dp->workers[worker];
	unsigned int i;

	stats->polls = vmq_counter_get(&w->polls);
	stats->idle_polls = vmq_counter_get(&w->idle_polls);
	stats->packets = vmq_counter_get(&w->packets);
	stats->bursts = vmq_counter_get(&w->bursts);
	stats->served = vmq_counter_get(&w->served);
	/* Parts before the whole: they never make more than it. */
	stats->busy_cycles = vmq_counter_get(&w->busy_cycles);
	stats->sleep_cycles = vmq_counter_get(&w->sleep_cycles);
	stats->cycles = vmq_counter_get(&w->cycles);
	stats->sleeps = vmq_counter_get(&w->sleeps);
	stats->sampled_packets = vmq_counter_get(&w->profile.packets);
	stats->sampled_delivered = vmq_counter_get(&w->profile.delivered);
	stats->sampled_bursts = vmq_counter_get(&w->profile.bursts);
	for (i = 0; i < VMQ_STAGE_COUNT; i++)
		stats->stage_cycles[i] = vmq_counter_get(&w->profile.cycles[i]);
	stats->mode = w->mode;
	stats->max_sleep_us = w->max_sleep_us;
	stats->fallback = fallback_text(
		atomic_load_explicit(&w->fallback, memory_order_relaxed));
}

/* n pointers; an empty list may be NULL. */
static void
copy_list(void *to, const void *from, uint16_t n)
{
	if (n > 0)
		memcpy(to, from, n * sizeof(void *));
}

int
vmq_datapath_assign(struct vmq_datapath *dp, uint16_t worker,
	const struct vmq_dp_assignment *assignment)
{
	const size_t n_pointers = (size_t)assignment->n_sources + assignment->n_queues +
		assignment->n_senders + assignment->n_uplinks + assignment->n_hw;
	struct work *work, *old;

	work = rte_zmalloc_socket("vmq_work",
		sizeof(*work) + n_pointers * sizeof(void *) + assignment->n_senders,
		RTE_CACHE_LINE_SIZE, vmq_datapath_worker_node(dp, worker));
	if (work == NULL)
		return -ENOMEM;
	work->n_sources = assignment->n_sources;
	work->n_queues = assignment->n_queues;
	work->n_senders = assignment->n_senders;
	work->n_uplinks = assignment->n_uplinks;
	work->n_hw = assignment->n_hw;
	work->sources = (struct vmq_dp_source **)(work + 1);
	work->queues = (struct vmq_dp_queue **)(work->sources + work->n_sources);
	work->senders = work->queues + work->n_queues;
	work->uplinks = (struct vmq_dp_uplink **)(work->senders + work->n_senders);
	copy_list(work->sources, assignment->sources, work->n_sources);
	copy_list(work->queues, assignment->queues, work->n_queues);
	copy_list(work->senders, assignment->senders, work->n_senders);
	work->hw = (struct vmq_dp_hw **)(work->uplinks + work->n_uplinks);
	copy_list(work->uplinks, assignment->uplinks, work->n_uplinks);
	copy_list(work->hw, assignment->hw, work->n_hw);
	work->pass = (uint8_t *)(work->hw + work->n_hw);
	old = atomic_exchange_explicit(&dp->workers[worker].work, work, memory_order_acq_rel);
	if (old != NULL)
		garbage_add(dp, destroy_work, old);
	worker_wake(&dp->workers[worker]);
	return 0;
}

/*
 * Twice: a worker may answer for the first time in the very turn in which it still
 * went by the old view. In its next turn it sees the new one and lets go of what it
 * had gathered by the old one, and then answers again. It also keeps the address of
 * the view it saw last (to notice a new one), so an address must not come back
 * earlier either.
 */
#define GRACE_PERIODS 2

/* A grace period begins; no worker sleeps through it. */
uint64_t
begin_grace_period(struct vmq_datapath *dp)
{
	const uint64_t token = rte_rcu_qsbr_start(dp->rcu);
	uint16_t i;

	for (i = 0; i < dp->n_workers; i++)
		worker_wake(&dp->workers[i]);
	return token;
}

static void
wait_for_workers(struct vmq_datapath *dp)
{
	unsigned int i;

	for (i = 0; i < GRACE_PERIODS; i++)
		rte_rcu_qsbr_check(dp->rcu, begin_grace_period(dp), true);
}

static void
destroy_first(struct garbage_list *list)
{
	struct garbage *garbage = STAILQ_FIRST(list);

	STAILQ_REMOVE_HEAD(list, next);
	garbage->destroy(garbage->object);
	free(garbage);
}

void
vmq_datapath_synchronize(struct vmq_datapath *dp)
{
	wait_for_workers(dp);
	/* All that was there before has seen its grace periods now. */
	while (!STAILQ_EMPTY(&dp->aged_garbage))
		destroy_first(&dp->aged_garbage);
	while (!STAILQ_EMPTY(&dp->fresh_garbage))
		destroy_first(&dp->fresh_garbage);
}

void
garbage_add(struct vmq_datapath *dp, void (*destroy)(void *object), void *object)
{
	struct garbage *garbage = malloc(sizeof(*garbage));

	if (garbage == NULL) {
		/* Rather wait for the workers than lose the object. */
		wait_for_workers(dp);
		destroy(object);
		return;
	}
	garbage->destroy = destroy;
	garbage->object = object;
	garbage->token = begin_grace_period(dp);
	STAILQ_INSERT_TAIL(&dp->fresh_garbage, garbage, next);
	vmq_datapath_reclaim(dp);
}

/* Has the grace period of a list's first piece passed? If not, no later one has. */
static bool
first_has_passed(struct vmq_datapath *dp, const struct garbage_list *list)
{
	const struct garbage *garbage = STAILQ_FIRST(list);

	return garbage != NULL && rte_rcu_qsbr_check(dp->rcu, garbage->token, false) == 1;
}

void
vmq_datapath_reclaim(struct vmq_datapath *dp)
{
	struct garbage_list passed = STAILQ_HEAD_INITIALIZER(passed);
	struct garbage *garbage;
	uint64_t token;

	while (first_has_passed(dp, &dp->fresh_garbage)) {
		garbage = STAILQ_FIRST(&dp->fresh_garbage);
		STAILQ_REMOVE_HEAD(&dp->fresh_garbage, next);
		STAILQ_INSERT_TAIL(&passed, garbage, next);
	}
	/*
	 * One second period for all of them, begun when the first one of each has passed: else
	 * a worker may answer for both at the same time.
	 */
	if (!STAILQ_EMPTY(&passed)) {
		token = begin_grace_period(dp);
		STAILQ_FOREACH(garbage, &passed, next)
			garbage->token = token;
		STAILQ_CONCAT(&dp->aged_garbage, &passed);
	}
	while (first_has_passed(dp, &dp->aged_garbage))
		destroy_first(&dp->aged_garbage);
}
