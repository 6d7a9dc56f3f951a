/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <string.h>

#include <rte_cycles.h>
#include <rte_pause.h>

#include "dp_private.h"

/* Serve the queues of this worker's own sources that have something waiting. */
static uint32_t
serve_backlogged(struct worker *worker)
{
	struct vmq_dp_queue *queue, *next;
	uint32_t done = 0;
	bool keep;

	for (queue = SLIST_FIRST(&worker->backlogged); queue != NULL; queue = next) {
		next = SLIST_NEXT(queue, backlogged);
		if (queue_is_served_by(queue, VMQ_SERVE_SOURCE)) {
			done += queue_serve(queue);
			keep = queue_has_backlog(queue);
			if (!keep)
				queue_forget_waiting(queue);
		} else {
			keep = false; /* it was given to another worker */
		}
		if (!keep) {
			SLIST_REMOVE(&worker->backlogged, queue, vmq_dp_queue, backlogged);
			queue->in_backlogged = false;
		}
	}
	return done;
}

/* Other workers have put something into queues that are served here. */
static void
answer(struct worker *worker)
{
	struct vmq_dp_queue *queue, *next;

	queue = atomic_exchange_explicit(&worker->rung, NULL, memory_order_acquire);
	for (; queue != NULL; queue = next) {
		next = queue->next_rung;
		/* Whoever rings from now on links it anew: first this, then look. */
		atomic_exchange_explicit(&queue->rung, false, memory_order_acq_rel);
		queue_add_backlogged(queue, worker);
	}
}

/* Receive of a source, while its bursts are full, and not without end. */
static inline uint32_t
receive(struct vmq_dp_source *source, struct worker *worker)
{
	uint32_t received = 0;
	uint16_t n, bursts = 0;

	do {
		n = source_poll(source, worker);
		received += n;
	} while (n == VMQ_BURST && turn_goes_on(worker, ++bursts));
	return received;
}

/* One turn. Returns how many packets moved. */
static uint32_t
turn(struct worker *worker, const struct work *work)
{
	uint32_t received = 0, served = 0, taken;
	uint16_t i;

	for (i = 0; i < work->n_sources; i++)
		received += receive(work->sources[i], worker);
	for (i = 0; i < work->n_hw; i++)
		received += hw_source_poll(work->hw[i], worker);
	for (i = 0; i < work->n_queues; i++)
		if (queue_is_served_by(work->queues[i], VMQ_SERVE_OTHER))
			served += queue_serve(work->queues[i]);
	served += queues_transmit(work->senders, work->pass, work->n_senders, received, worker);
	for (i = 0; i < work->n_uplinks; i++)
		uplink_clean(work->uplinks[i], worker);
	if (unlikely(atomic_load_explicit(&worker->rung, memory_order_relaxed) != NULL))
		answer(worker);
	if (!SLIST_EMPTY(&worker->backlogged)) {
		taken = serve_backlogged(worker);
		served += taken;
		if (taken > 0)
			worker->stuck_turns = 0;
		else
			worker->stuck_turns += received > 0 && worker->stuck_turns < STUCK_TURNS;
	}
	vmq_counter_add(&worker->packets, received);
	vmq_counter_add(&worker->served, served);
	return received + served;
}

/* Cycles of two reads of the clock, one after the other: the least of some. */
static uint64_t
read_cycles(void)
{
	uint64_t least = UINT64_MAX, before;
	unsigned int i;

	for (i = 0; i < 64; i++) {
		before = rte_rdtsc();
		least = RTE_MIN(least, rte_rdtsc() - before);
	}
	return least;
}

/* A turn that is a sample. */
static uint32_t
sample_turn(struct worker *worker, const struct work *work)
{
	struct profile *profile = &worker->profile;
	uint64_t packets = vmq_counter_get(&worker->packets);
	uint64_t begin = rte_rdtsc();
	uint32_t moved;
	unsigned int i;

	memset(profile->sample, 0, sizeof(profile->sample));
	profile->countdown = PROFILE_EVERY - 1;
	profile->stage = VMQ_STAGE_OTHER;
	profile->on = true;
	profile->since = begin;
	moved = turn(worker, work);
	profile_enter(worker, VMQ_STAGE_OTHER);
	profile->on = false;
	if (profile->since - begin > PROFILE_LONGEST_US * worker->cycles_per_us)
		return moved;
	for (i = 0; i < VMQ_STAGE_COUNT; i++)
		vmq_counter_add(&profile->cycles[i], profile->sample[i]);
	vmq_counter_add(&profile->packets, vmq_counter_get(&worker->packets) - packets);
	return moved;
}

static inline uint32_t
next_turn(struct worker *worker, const struct work *work)
{
	if (unlikely(worker->profile.countdown-- == 0))
		return sample_turn(worker, work);
	return turn(worker, work);
}

/* A worker leaves nothing gathered behind when it stops, or its sources change. */
static void
flush_all(struct worker *worker, const struct work *work)
{
	uint16_t i;

	for (i = 0; work != NULL && i < work->n_sources; i++) {
		source_flush(work->sources[i], worker);
		source_put_back(work->sources[i]);
		/* Its view may be freed now, and another one come to the same address. */
		work->sources[i]->seen = NULL;
	}
	for (i = 0; work != NULL && i < work->n_hw; i++)
		hw_source_leave(work->hw[i]);
}

static void
change_work(struct worker *worker, const struct work *old, const struct work *new)
{
	flush_all(worker, old);
	if (old != NULL)
		sleep_leave(worker, old);
	if (new != NULL)
		sleep_enter(worker, new);
}

/* Nothing to do: sleep if it is time. Returns the time. */
static uint64_t
rest(struct worker *worker, const struct work *work, uint64_t idle_since, uint64_t now)
{
	uint64_t before = now;

	if (!sleep_idle(worker, work, now - idle_since)) {
		rte_pause();
		return now;
	}
	now = rte_rdtsc();
	vmq_counter_add(&worker->sleeps, 1);
	vmq_counter_add(&worker->cycles, now - before);
	vmq_counter_add(&worker->sleep_cycles, now - before);
	return now;
}

/*
 * To read the clock costs as much as a packet: while bursts are full, one turn in so many
 * does. A turn that finds less, and is not far shorter, ends the time of those before it.
 */
#define BUSY_TURNS 16

int
worker_main(void *arg)
{
	struct worker *worker = arg;
	struct rte_rcu_qsbr *rcu = worker->dp->rcu;
	struct work *work = NULL, *next;
	uint64_t idle_since, last, now;
	uint32_t moved, busy_turns = 0;

	sleep_begin(worker);
	rte_rcu_qsbr_thread_online(rcu, worker->number);
	worker->profile.read_cycles = read_cycles();
	idle_since = last = rte_rdtsc();
	while (!atomic_load_explicit(&worker->stop, memory_order_relaxed)) {
		next = atomic_load_explicit(&worker->work, memory_order_acquire);
		if (unlikely(next != work)) {
			change_work(worker, work, next);
			work = next;
		}
		moved = work != NULL ? next_turn(worker, work) : 0;
		rte_rcu_qsbr_quiescent(rcu, worker->number);

		vmq_counter_add(&worker->polls, 1);
		if (likely(moved >= VMQ_BURST) && ++busy_turns < BUSY_TURNS)
			continue;
		now = rte_rdtsc();
		vmq_counter_add(&worker->cycles, now - last);
		if (moved > 0 || busy_turns > 0) {
			vmq_counter_add(&worker->busy_cycles, now - last);
			idle_since = now;
			busy_turns = 0;
			sleep_over(worker, work);
		} else {
			vmq_counter_add(&worker->idle_polls, 1);
			now = rest(worker, work, idle_since, now);
		}
		last = now;
	}
	change_work(worker, work, NULL);
	rte_rcu_qsbr_thread_offline(rcu, worker->number);
	sleep_end(worker);
	return 0;
}
