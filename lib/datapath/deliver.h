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

/* Is all that may be the matter with a queue not so? */
static inline bool
fast_is_plain(const struct fast *fast)
{
	return atomic_load_explicit(&fast->special, memory_order_acquire) == 0;
}

/*
 * Deliver packets to their queue, with which nothing is the matter. By its source's worker.
 *
 * sampled: the turn may be a sample; a constant.
 */
static __rte_always_inline void
queue_deliver_in_line(struct fast *fast, struct rte_mbuf **packets, uint16_t n,
	struct worker *worker, bool sampled)
{
	uint64_t bytes = vmq_packets_bytes(packets, n);
	uint16_t sent;

	if (sampled)
		profile_enter(worker, VMQ_STAGE_DELIVER);
	sent = fast->tx_burst(fast->backend, packets, n);
	if (sampled)
		profile_enter(worker, VMQ_STAGE_ACCOUNT);
	if (unlikely(sent < n)) {
		bytes -= queue_keep_rest(fast->queue, packets + sent, (uint16_t)(n - sent),
			worker);
		if (sent == 0)
			return;
	}
	vmq_counter_add(&fast->bursts, 1);
	vmq_counter_add(&fast->delivered, sent);
	vmq_counter_add(&fast->delivered_bytes, bytes);
}

#endif /* VMQ_DP_DELIVER_H */
