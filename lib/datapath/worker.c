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
	bool keep;

	for (queue = SLIST_FIRST(&worker->backlogged); queue != NULL; queue = next) {
		next = SLIST_NEXT(queue, backlogged);
		if (queue_is_served_by(queue, VMQ_SERVE_SOURCE)) {
			done += queue_serve(queue);
			keep = queue_has_backlog(queue);
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

/* One turn. Returns how many packets moved. */
static uint32_t
turn(struct worker *worker, const struct work *work)
{
	uint32_t received = 0, served = 0;
	uint16_t i;

	for (i = 0; i < work->n_sources; i++)
		received += source_poll(work->sources[i], worker);
	for (i = 0; i < work->n_queues; i++)
		if (queue_is_served_by(work->queues[i], VMQ_SERVE_OTHER))
			served += queue_serve(work->queues[i]);
	if (!SLIST_EMPTY(&worker->backlogged))
		served += serve_backlogged(worker);
	vmq_counter_add(&worker->packets, received);
	return received + served;
}

/* A worker leaves nothing gathered behind when it stops, or its sources change. */
static void
flush_all(struct worker *worker, const struct work *work)
{
	uint16_t i;

	for (i = 0; work != NULL && i < work->n_sources; i++) {
		source_flush(work->sources[i], worker);
		rte_mempool_cache_flush(NULL, work->sources[i]->pool);
		/* Its view may be freed now, and another one come to the same address. */
		work->sources[i]->seen = NULL;
	}
}

int
worker_main(void *arg)
{
	struct worker *worker = arg;
	struct rte_rcu_qsbr *rcu = worker->dp->rcu;
	struct work *work = NULL, *next;

	rte_rcu_qsbr_thread_online(rcu, worker->number);
	while (!atomic_load_explicit(&worker->stop, memory_order_relaxed)) {
		next = atomic_load_explicit(&worker->work, memory_order_acquire);
		if (unlikely(next != work)) {
			flush_all(worker, work);
			work = next;
		}
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
