/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_DP_DELIVER_H
#define VMQ_DP_DELIVER_H

/**
 * @file
 * Delivery of a burst to its queue: the ordinary case, in line. With many VMs a burst is few
 * packets, and what it costs beside them counts.
 */

#include "dp_private.h"

/* Anything may be the matter with the queue: deliver, keep or drop. Takes all packets. */
void queue_deliver_carefully(struct vmq_dp_queue *queue, struct rte_mbuf **packets, uint16_t n,
	struct worker *worker);

/* The backend has not taken these, which were received: let them wait. Returns their bytes. */
uint64_t queue_keep_rest(struct vmq_dp_queue *queue, struct rte_mbuf **packets, uint16_t n,
	struct worker *worker);

/* Is all that may be the matter with a queue not so? What one sees of it at a glance. */
static inline bool
queue_is_plain(const struct vmq_dp_queue *queue, const struct worker *worker)
{
	return queue_tap(queue) == NULL &&
		atomic_load_explicit(&queue->to_vm, memory_order_acquire) == NULL &&
		queue_is_served_by(queue, VMQ_SERVE_SOURCE) &&
		queue->source_worker == worker->number &&
		atomic_load_explicit(&queue->running, memory_order_relaxed) &&
		!atomic_load_explicit(&queue->waited, memory_order_relaxed) &&
		!queue->backend_holds;
}

/*
 * Deliver packets to their queue, or keep them for it, or drop them. Takes them all. Any
 * worker: the packets of one worker stay in order.
 *
 * sampled: the turn may be a sample; a constant.
 */
static __rte_always_inline void
queue_deliver_in_line(struct vmq_dp_queue *queue, struct rte_mbuf **packets, uint16_t n,
	struct worker *worker, bool sampled)
{
	struct inlet *inlet = &queue->inlets[worker->number];
	uint64_t bytes;
	uint16_t sent;

	if (unlikely(!queue_is_plain(queue, worker))) {
		queue_deliver_carefully(queue, packets, n, worker);
		return;
	}
	bytes = vmq_packets_bytes(packets, n);
	if (sampled)
		profile_enter(worker, VMQ_STAGE_DELIVER);
	sent = queue->tx_burst(queue->backend, packets, n);
	if (sampled)
		profile_enter(worker, VMQ_STAGE_ACCOUNT);
	if (unlikely(sent < n))
		bytes -= queue_keep_rest(queue, packets + sent, (uint16_t)(n - sent), worker);
	vmq_counter_add(&inlet->bursts, sent > 0);
	vmq_counter_add(&inlet->delivered, sent);
	vmq_counter_add(&inlet->delivered_bytes, bytes);
}

#endif /* VMQ_DP_DELIVER_H */
