/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <rte_pause.h>

#include "dp_private.h"

/* Serve the queues of this worker's own sources that have something waiting. */
static uint32_t
serve_backlogged(struct worker *worker)
{
	struct vmq_dp_queue *queue, *next;
	uint32_t done = 0;

	for (queue = SLIST_FIRST(&worker->backlogged); queue != NULL; queue = next) {
		next = SLIST_NEXT(queue, backlogged);
		done += queue_serve(queue);
		if (!queue_has_backlog(queue)) {
			SLIST_REMOVE(&worker->backlogged, queue, vmq_dp_queue, backlogged);
			queue->in_backlogged = false;
		}
	}
	return done;
}

/* One turn. Returns how many packets moved. */
static uint32_t
turn(struct worker *worker, const struct work *work)
{
	uint32_t received = 0, served = 0;
	uint16_t i;

	for (i = 0; i < work->n_sources; i++)
		received += source_poll(work->sources[i], worker);
	for (i = 0; i < work->n_queues; i++)
		served += queue_serve(work->queues[i]);
	if (!SLIST_EMPTY(&worker->backlogged))
		served += serve_backlogged(worker);
	vmq_counter_add(&worker->packets, received);
	return received + served;
}

/* A stopped worker leaves nothing gathered behind. */
static void
flush_all(struct worker *worker, const struct work *work)
{
	uint16_t i;

	for (i = 0; work != NULL && i < work->n_sources; i++)
		source_flush(work->sources[i], worker);
}

int
worker_main(void *arg)
{
	struct worker *worker = arg;
	struct rte_rcu_qsbr *rcu = worker->dp->rcu;
	struct work *work = NULL;

	rte_rcu_qsbr_thread_online(rcu, worker->number);
	while (!atomic_load_explicit(&worker->stop, memory_order_relaxed)) {
		work = atomic_load_explicit(&worker->work, memory_order_acquire);
		vmq_counter_add(&worker->polls, 1);
		if (work == NULL || turn(worker, work) == 0) {
			vmq_counter_add(&worker->idle_polls, 1);
			rte_pause();
		}
		rte_rcu_qsbr_quiescent(rcu, worker->number);
	}
	flush_all(worker, work);
	rte_rcu_qsbr_thread_offline(rcu, worker->number);
	return 0;
}
