/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * A hardware queue: the NIC has put a frame into the memory of the VM that it is for.
 * Whether it is, software confirms before any backend sees the frame; a frame that is
 * somebody else's goes the way that software says.
 */

#include <rte_errno.h>
#include <rte_malloc.h>

#include "dp_private.h"

/* Of a slot that no VM has, turns that pass between looks; a power of two less 1. */
#define PARKED_SKIP 15

struct vmq_dp_hw *
vmq_dp_hw_create(struct vmq_datapath *dp, const struct vmq_dp_hw_params *params)
{
	struct vmq_dp_hw *hw;

	hw = rte_zmalloc_socket("vmq_hw", sizeof(*hw), RTE_CACHE_LINE_SIZE, params->socket_id);
	if (hw == NULL) {
		rte_errno = ENOMEM;
		return NULL;
	}
	hw->dp = dp;
	hw->source = params->source;
	hw->slot = params->slot;
	hw->port_id = params->port_id;
	hw->rx_queue = params->rx_queue;
	hw->n_rx_queues = params->n_rx_queues;
	hw->replicates = params->replicates;
	hw->pool = params->pool;
	atomic_store(&hw->worker, VMQ_DP_NO_WORKER);
	return hw;
}

void
vmq_dp_hw_free(struct vmq_dp_hw *hw)
{
	rte_free(hw);
}

void
vmq_dp_hw_give(struct vmq_dp_hw *hw, uint16_t worker)
{
	atomic_store_explicit(&hw->worker, worker, memory_order_release);
}

void
vmq_dp_hw_stats_get(const struct vmq_dp_hw *hw, struct vmq_dp_hw_stats *stats)
{
	stats->received = vmq_counter_get(&hw->received);
	stats->confirmed = vmq_counter_get(&hw->confirmed);
	stats->misplaced = vmq_counter_get(&hw->misplaced);
	stats->replicas = vmq_counter_get(&hw->replicas);
	stats->stale = vmq_counter_get(&hw->stale);
}

/* Deliver packets of one queue that have their tags where it wants them. */
static inline void
deliver_fixed(struct vmq_dp_hw *hw, struct vmq_dp_queue *queue, struct rte_mbuf **packets,
	uint16_t n, struct worker *worker)
{
	profile_enter(worker, VMQ_STAGE_ACCOUNT);
	if (unlikely(worker->profile.on)) {
		vmq_counter_add(&worker->profile.delivered, n);
		vmq_counter_add(&worker->profile.bursts, 1);
	}
	if (unlikely(fast_has(queue->fast, SPECIAL_HOLD)) && hw->own == queue &&
		queue_is_held(queue, VMQ_HOLD_HARDWARE))
		queue_hold(queue, packets, n, worker);
	else
		queue_deliver(queue, packets, n, worker);
}

/* Frames of the VM's own MAC and VLAN, as most are: how many of the first ones. */
static inline uint16_t
deliver_tagged(struct vmq_dp_hw *hw, const struct vmq_dp_view_slot *slot,
	struct rte_mbuf **packets, uint16_t n, struct worker *worker)
{
	const uint16_t sure = vmq_exact_tagged(&slot->exact, packets, n);
	uint16_t i;

	if (sure == 0)
		return 0;
	profile_enter(worker, VMQ_STAGE_GATHER);
	for (i = 0; i < sure && !slot->exact.keep_tags; i++)
		vmq_tag_strip(packets[i]);
	vmq_counter_add(&hw->confirmed, sure);
	deliver_fixed(hw, slot->queue, packets, sure, worker);
	return sure;
}

/* Deliver packets of one queue, with their tags where it wants them. */
static void
deliver_run(struct vmq_dp_hw *hw, struct vmq_dp_queue *queue, struct rte_mbuf **packets,
	const struct vmq_class *classes, uint16_t n, struct worker *worker)
{
	uint16_t i, fixed = 0;

	profile_enter(worker, VMQ_STAGE_GATHER);
	for (i = 0; i < n; i++) {
		if (likely(classes[i].tag == VMQ_TAG_LEAVE ||
			packet_fix_tag(packets[i], &classes[i])))
			packets[fixed++] = packets[i];
		else
			drop_no_headroom(queue, &queue->inlets[worker->number], packets[i]);
	}
	if (fixed > 0)
		deliver_fixed(hw, queue, packets, fixed, worker);
}

/* Let go of packets that nobody is to have. */
static void
let_go(vmq_counter_t *counter, struct rte_mbuf *packet)
{
	vmq_counter_add(counter, 1);
	rte_pktmbuf_free(packet);
}

static void
deliver_copy(void *arg, struct vmq_dp_view *view, uint16_t index, struct rte_mbuf *copy,
	struct worker *worker)
{
	(void)arg;
	queue_deliver(view->queues[index], &copy, 1, worker);
}

/* Frames that are not all confirmed at a glance: see for each whose it is. */
static void
sort_out(struct vmq_dp_hw *hw, struct vmq_dp_view *view, struct rte_mbuf **packets,
	uint16_t n, struct worker *worker)
{
	struct vmq_class classes[VMQ_BURST];
	struct vmq_dp_queue *queue;
	uint16_t i, kept = 0, run;

	vmq_classifier_lookup(view->classifier, packets, n, classes, 0);
	for (i = 0; i < n; i++) {
		const struct rte_ether_addr *to = rte_pktmbuf_mtod(packets[i],
			const struct rte_ether_addr *);

		if (hw->replicates && rte_is_multicast_ether_addr(to)) {
			/* The default queue has it as well. */
			let_go(&hw->replicas, packets[i]);
		} else if (!classes[i].claimed && hw->own == NULL && hw->replicates) {
			/* No rule leads here: it is of the VM that was here before. */
			let_go(&hw->stale, packets[i]);
		} else {
			if (view->flood != NULL && classes[i].claimed != VMQ_CLAIM_MAC &&
				packet_group(packets[i]) == GROUP_ALL)
				flood(view, packets[i], classes[i].index, worker, deliver_copy,
					NULL);
			packets[kept] = packets[i];
			classes[kept++] = classes[i];
		}
	}
	for (i = 0; i < kept; i += run) {
		for (run = 1; i + run < kept && classes[i + run].index == classes[i].index; run++)
			;
		queue = view->queues[classes[i].index];
		/* A queue whose last filter has gone throws away what waits in its ring. */
		if (!classes[i].claimed && hw->own != NULL &&
			!queue_is_running(hw->own))
			queue = hw->own;
		vmq_counter_add(queue == hw->own ? &hw->confirmed : &hw->misplaced, run);
		deliver_run(hw, queue, packets + i, classes + i, run, worker);
	}
}

static uint16_t
poll_ring(struct vmq_dp_hw *hw, struct vmq_dp_view *view, uint16_t rx_queue,
	struct worker *worker)
{
	const struct vmq_dp_view_slot *slot = &view->slots[hw->slot];
	struct vmq_class classes[VMQ_BURST];
	struct rte_mbuf *packets[VMQ_BURST];
	struct vmq_dp_census *census;
	uint16_t n, sure, more;

	profile_enter(worker, VMQ_STAGE_RECEIVE);
	n = rte_eth_rx_burst(hw->port_id, rx_queue, packets, VMQ_BURST);
	profile_enter(worker, VMQ_STAGE_CLASSIFY);
	if (n == 0)
		return 0;
	vmq_counter_add(&worker->bursts, 1);
	vmq_counter_add(&hw->received, n);
	census = atomic_load_explicit(&hw->census, memory_order_acquire);
	if (unlikely(census != NULL))
		census_count(census, packets, n);
	sure = deliver_tagged(hw, slot, packets, n, worker);
	if (likely(sure == n))
		return n;
	more = vmq_exact_lookup(&slot->exact, packets + sure, (uint16_t)(n - sure), classes);
	if (more > 0) {
		vmq_counter_add(&hw->confirmed, more);
		deliver_run(hw, slot->queue, packets + sure, classes, more, worker);
	}
	sure += more;
	if (unlikely(sure < n))
		sort_out(hw, view, packets + sure, (uint16_t)(n - sure), worker);
	return n;
}

uint16_t
hw_source_poll(struct vmq_dp_hw *hw, struct worker *worker)
{
	struct vmq_dp_view *view;
	uint16_t i, n, bursts, done = 0;
	bool full = false;

	if (atomic_load_explicit(&hw->worker, memory_order_acquire) != worker->number)
		return 0;
	view = atomic_load_explicit(&hw->source->view, memory_order_acquire);
	if (unlikely(view == NULL))
		return 0;
	if (unlikely(view->id != hw->seen)) {
		hw->seen = view->id;
		hw->own = view->slots[hw->slot].queue;
		/* Buffers of a block that is to go may be in it. */
		rte_mempool_cache_flush(NULL, hw->pool);
	}
	/* A slot without a VM gets next to nothing: an occasional look is enough. */
	if (hw->own == NULL && (++hw->skipped & PARKED_SKIP) != 0)
		return 0;
	for (i = 0; i < hw->n_rx_queues; i++) {
		bursts = 0;
		do {
			n = poll_ring(hw, view, (uint16_t)(hw->rx_queue + i), worker);
			drain_count(&hw->drain, n, false);
			done += n;
		} while (n == VMQ_BURST && turn_goes_on(worker, ++bursts));
		full |= n == VMQ_BURST;
	}
	profile_enter(worker, VMQ_STAGE_OTHER);
	drain_count(&hw->drain, 0, !full);
	return done;
}

void
hw_source_leave(struct vmq_dp_hw *hw)
{
	rte_mempool_cache_flush(NULL, hw->pool); /* this lcore's */
}

void
vmq_dp_hw_mark(const struct vmq_dp_hw *hw, struct vmq_dp_mark *mark)
{
	mark->received = vmq_counter_get(&hw->drain.received);
	mark->shorts = vmq_counter_get(&hw->drain.shorts);
}

bool
vmq_dp_hw_drained(const struct vmq_dp_hw *hw, const struct vmq_dp_mark *mark, uint32_t ring)
{
	return drain_is_done(&hw->drain, mark, ring, VMQ_BURST);
}
