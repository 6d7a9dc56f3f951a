/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <rte_cycles.h>
#include <rte_memcpy.h>

#include "deliver.h"

/*
 * Bursts that one turn takes out of one queue's backlog: no VM gets all the time. More than a
 * ring brings in a turn meanwhile, which is one: so the backlog ends some time.
 */
#define SERVE_BURSTS_MAX 4

/* What the backend has taken is its own: it is copied before, and forgotten if it is not. */
static __rte_noinline uint16_t
hand_over_tapped(struct vmq_dp_queue *queue, const struct vmq_dp_tap *tap,
	struct rte_mbuf **packets, uint16_t n)
{
	struct tap_burst burst;
	uint16_t sent;

	tap_before(tap, &burst, packets, n);
	sent = queue->fast->tx_burst(queue->backend, packets, n);
	tap_after(&burst, sent);
	return sent;
}

/* Give packets to the backend and count what it took. Returns how many. */
static uint16_t
give(struct vmq_dp_queue *queue, struct rte_mbuf **packets, uint16_t n, uint64_t bytes)
{
	const struct vmq_dp_tap *tap = queue_tap(queue);
	uint16_t sent;

	if (likely(tap == NULL))
		sent = queue->fast->tx_burst(queue->backend, packets, n);
	else
		sent = hand_over_tapped(queue, tap, packets, n);
	if (sent > 0) {
		vmq_counter_add(&queue->bursts, 1);
		vmq_counter_add(&queue->delivered, sent);
		vmq_counter_add(&queue->delivered_bytes,
			bytes - vmq_packets_bytes(packets + sent, n - sent));
	}
	return sent;
}

static void
drop(struct vmq_dp_queue *queue, enum vmq_drop reason, vmq_counter_t *counter,
	struct rte_mbuf **packets, uint16_t n)
{
	const struct vmq_dp_tap *tap = queue_tap(queue);

	vmq_counter_add(counter, n);
	if (unlikely(tap != NULL))
		tap_drop(tap, reason, packets, n);
	vmq_packets_free(packets, n);
}

/* Hand over what the queue's rate lets pass, and drop the rest. Returns how many went. */
static __rte_noinline uint16_t
hand_over_limited(struct vmq_dp_queue *queue, struct rate *rate, struct rte_mbuf **packets,
	uint16_t n)
{
	const uint64_t now = rte_rdtsc();
	uint16_t done = 0, m, sent;

	while (done < n) {
		for (m = 0; done + m < n; m++)
			if (!rate_passes(rate, now, packets[done + m]->pkt_len))
				break;
		if (m == 0) {
			drop(queue, VMQ_DROP_RATE_LIMITED, &queue->rate_limited, packets + done, 1);
			done++;
			continue;
		}
		sent = give(queue, packets + done, m, vmq_packets_bytes(packets + done, m));
		done += sent;
		if (sent < m) {
			rate_give_back(rate, vmq_packets_bytes(packets + done, m - sent));
			break;
		}
	}
	return done;
}

/*
 * Hand packets over to the backend. Returns how many have gone, to the backend or by the
 * queue's rate.
 */
static uint16_t
hand_over(struct vmq_dp_queue *queue, struct rte_mbuf **packets, uint16_t n, uint64_t bytes)
{
	struct rate *rate = atomic_load_explicit(&queue->to_vm, memory_order_acquire);

	if (likely(rate == NULL))
		return give(queue, packets, n, bytes);
	return hand_over_limited(queue, rate, packets, n);
}

/* Flags that say where a packet's bytes lie; those of a copy lie in its own buffer. */
#define PLACE_FLAGS (RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL)

/* Copy a packet of one segment, with what the NIC said about it. */
static void
copy_into(struct rte_mbuf *copy, const struct rte_mbuf *packet)
{
	rte_memcpy(rte_pktmbuf_mtod(copy, void *), rte_pktmbuf_mtod(packet, const void *),
		packet->data_len);
	copy->data_len = packet->data_len;
	copy->pkt_len = packet->pkt_len;
	copy->port = packet->port;
	copy->ol_flags = packet->ol_flags & ~PLACE_FLAGS;
	copy->packet_type = packet->packet_type;
	copy->vlan_tci = packet->vlan_tci;
	copy->vlan_tci_outer = packet->vlan_tci_outer;
	copy->hash = packet->hash;
	rte_mbuf_dynfield_copy(copy, packet); /* a time stamp, for example */
}

static bool
fits_one_buffer(const struct rte_mbuf *packet, uint32_t room)
{
	return packet->nb_segs == 1 && packet->data_len <= room;
}

/*
 * Copy packets into the queue's own memory, and let go of the originals. Returns how
 * many copies there are; the others are dropped and counted.
 */
static uint16_t
copy_burst(struct vmq_dp_queue *queue, struct inlet *inlet, struct rte_mbuf **packets, uint16_t n)
{
	const uint32_t room = rte_pktmbuf_data_room_size(queue->pool) - RTE_PKTMBUF_HEADROOM;
	struct rte_mbuf *copies[VMQ_BURST];
	uint16_t i, copied = 0;
	bool allocated;

	/* One trip to the pool for the ordinary burst; else packet by packet. */
	allocated = rte_pktmbuf_alloc_bulk(queue->pool, copies, n) == 0;
	for (i = 0; i < n; i++) {
		if (allocated && likely(fits_one_buffer(packets[i], room))) {
			copy_into(copies[i], packets[i]);
			copies[copied++] = copies[i];
			continue;
		}
		if (allocated)
			rte_pktmbuf_free(copies[i]);
		copies[copied] = rte_pktmbuf_copy(packets[i], queue->pool, 0, UINT32_MAX);
		if (copies[copied] != NULL)
			copied++;
		else if (unlikely(queue_tap(queue) != NULL))
			tap_drop(queue_tap(queue), VMQ_DROP_NO_BUFFER, &packets[i], 1);
	}
	vmq_packets_free(packets, n);
	vmq_counter_add(&inlet->no_buffer, n - copied);
	for (i = 0; i < copied; i++)
		packets[i] = copies[i];
	return copied;
}

/*
 * May nothing more wait in a pool that is received into? Of the caches only the own one is
 * counted: the others would be a look at each lcore's, and the worker that receives has
 * nearly all. Its stash is for receiving, whoever asks.
 */
static bool
is_short_of_buffers(const struct vmq_dp_queue *queue, bool receives)
{
	struct rte_mempool *pool = queue->pool;
	const struct rte_mempool_cache *cache = receives
		? rte_mempool_default_cache(pool, rte_lcore_id()) : NULL;

	return rte_mempool_get_ops(pool->ops_index)->get_count(pool) +
		(cache != NULL ? cache->len : 0) + vmq_stash_count(vmq_stash_of(pool)) <
		queue->reserve;
}

/*
 * A pool that is received into has a cache for each lcore that takes from it; only the
 * worker that receives looks after its own.
 */
static void
flush_cache(const struct vmq_dp_queue *queue, const struct inlet *inlet)
{
	if (queue->received_into_pool && inlet != &queue->inlets[atomic_load_explicit(
			&queue->receiver, memory_order_relaxed)])
		rte_mempool_cache_flush(NULL, queue->pool);
}

/*
 * See to it that packets may be kept. Returns how many of them may; the others are
 * dropped and counted.
 */
static uint16_t
take_in(struct vmq_dp_queue *queue, struct inlet *inlet, struct rte_mbuf **packets, uint16_t n)
{
	const bool receives = inlet == &queue->inlets[atomic_load_explicit(&queue->receiver,
		memory_order_relaxed)];

	if (queue->received_into_pool && is_short_of_buffers(queue, receives)) {
		drop(queue, VMQ_DROP_NO_BUFFER, &inlet->no_buffer, packets, n);
		return 0;
	}
	/* A burst lies in one pool: received into, or another queue's Xmit pool. */
	if (packets[0]->pool == queue->pool)
		return n;
	n = copy_burst(queue, inlet, packets, n);
	flush_cache(queue, inlet);
	return n;
}

struct rte_mbuf *
queue_copy(struct vmq_dp_queue *queue, const struct rte_mbuf *packet, struct worker *worker)
{
	struct inlet *inlet = &queue->inlets[worker->number];
	struct rte_mbuf *copy = NULL;

	if (!queue->received_into_pool || !is_short_of_buffers(queue, false))
		copy = rte_pktmbuf_copy(packet, queue->pool, 0, UINT32_MAX);
	flush_cache(queue, inlet);
	if (likely(copy != NULL))
		return copy;
	inlet_count_late(inlet, 1, packet->pkt_len);
	vmq_counter_add(&inlet->no_buffer, 1);
	return NULL;
}

/* Let packets wait. They must lie in the queue's own memory. */
static void
keep(struct vmq_dp_queue *queue, struct rte_mbuf **packets, uint16_t n, struct worker *worker)
{
	unsigned int kept;

	kept = rte_ring_enqueue_burst(queue->backlog, (void *const *)packets, n, NULL);
	queue_lets_wait(queue);
	/* The ring has a place for each buffer of the pool: this is for safety only. */
	if (unlikely(kept < n))
		drop(queue, VMQ_DROP_NO_BUFFER, &queue->inlets[worker->number].no_buffer,
			packets + kept, n - kept);
	if (worker->number != queue->source_worker) {
		/* With NOBODY as well: the source's worker may be the next. */
		if (!queue_is_served_by(queue, VMQ_SERVE_OTHER))
			queue_ring(queue, &worker->dp->workers[queue->source_worker]);
	} else if (queue_is_served_by(queue, VMQ_SERVE_SOURCE)) {
		queue_add_backlogged(queue, worker);
	}
}

/* May this worker call the queue's backend? */
static bool
is_served_here(const struct vmq_dp_queue *queue, const struct worker *worker)
{
	switch (atomic_load_explicit(&queue->serve, memory_order_acquire)) {
	case VMQ_SERVE_SOURCE:
		return worker->number == queue->source_worker;
	case VMQ_SERVE_OTHER:
		return worker->number ==
			atomic_load_explicit(&queue->worker, memory_order_relaxed);
	default:
		return false;
	}
}

/* What the backend did not take waits, in the queue's own memory. */
static void
keep_rest(struct vmq_dp_queue *queue, struct rte_mbuf **packets, uint16_t n, bool own,
	struct worker *worker)
{
	if (!own)
		n = take_in(queue, &queue->inlets[worker->number], packets, n);
	if (n > 0)
		keep(queue, packets, n, worker);
}

void
queue_deliver_carefully(struct vmq_dp_queue *queue, struct rte_mbuf **packets, uint16_t n,
	struct worker *worker)
{
	struct inlet *inlet = &queue->inlets[worker->number];
	const bool at_once = is_served_here(queue, worker) && !queue_has_backlog(queue);
	bool own = false;
	uint16_t sent = 0;

	inlet_count_late(inlet, n, vmq_packets_bytes(packets, n));
	if (unlikely(!queue_is_running(queue))) {
		drop(queue, VMQ_DROP_STOPPED, &inlet->stopped, packets, n);
		return;
	}
	/* A backend that holds packets gets them from the queue's own memory. */
	if (!at_once || fast_has(queue->fast, SPECIAL_BACKEND)) {
		n = take_in(queue, inlet, packets, n);
		own = true;
	}
	if (at_once && n > 0) {
		profile_enter(worker, VMQ_STAGE_DELIVER);
		sent = hand_over(queue, packets, n, vmq_packets_bytes(packets, n));
		profile_enter(worker, VMQ_STAGE_ACCOUNT);
	}
	if (sent < n)
		keep_rest(queue, packets + sent, (uint16_t)(n - sent), own, worker);
}

uint64_t
queue_keep_rest(struct vmq_dp_queue *queue, struct rte_mbuf **packets, uint16_t n,
	struct worker *worker)
{
	const uint64_t bytes = vmq_packets_bytes(packets, n);

	inlet_count_late(&queue->inlets[worker->number], n, bytes);
	keep_rest(queue, packets, n, false, worker);
	return bytes;
}

void
queue_deliver(struct vmq_dp_queue *queue, struct rte_mbuf **packets, uint16_t n,
	struct worker *worker)
{
	if (likely(fast_is_plain(queue->fast) && queue->source_worker == worker->number))
		queue_deliver_in_line(queue->fast, packets, n, worker, true);
	else
		queue_deliver_carefully(queue, packets, n, worker);
}

void
queue_hold(struct vmq_dp_queue *queue, struct rte_mbuf **packets, uint16_t n,
	struct worker *worker)
{
	struct hold *hold = atomic_load_explicit(&queue->hold, memory_order_acquire);
	struct inlet *inlet = &queue->inlets[worker->number];
	unsigned int held;

	inlet_count_late(inlet, n, vmq_packets_bytes(packets, n));
	if (unlikely(!queue_is_running(queue))) {
		drop(queue, VMQ_DROP_STOPPED, &inlet->stopped, packets, n);
		return;
	}
	n = take_in(queue, inlet, packets, n);
	held = rte_ring_sp_enqueue_burst(&hold->ring, (void *const *)packets, n, NULL);
	queue_lets_wait(queue);
	if (unlikely(held < n))
		drop(queue, VMQ_DROP_NO_BUFFER, &inlet->no_buffer, packets + held,
			n - held);
	/* Released already: it was not empty, and the serving worker has to be told. */
	if (worker->number == queue->source_worker && queue_released(queue) != NULL &&
		queue_is_served_by(queue, VMQ_SERVE_SOURCE))
		queue_add_backlogged(queue, worker);
}

/* After the backlog: what was held, if it may go. Stopped queues throw all of it away. */
static uint16_t
next_held(struct vmq_dp_queue *queue)
{
	struct hold *hold = atomic_load_explicit(&queue->hold, memory_order_acquire);

	if (likely(hold == NULL) || (queue_released(queue) == NULL &&
			queue_is_running(queue)))
		return 0;
	return (uint16_t)rte_ring_sc_dequeue_burst(&hold->ring, (void **)queue->head, VMQ_BURST,
		NULL);
}

static bool
is_closing(const struct vmq_dp_queue *queue)
{
	const struct hold *hold = atomic_load_explicit(&queue->hold, memory_order_acquire);

	return unlikely(hold != NULL) && atomic_load_explicit(&hold->closing,
		memory_order_acquire);
}

/* Take the next packets out of the backlog, if none are left of the last ones. */
static uint16_t
next_head(struct vmq_dp_queue *queue)
{
	uint16_t n = atomic_load_explicit(&queue->n_head, memory_order_relaxed);

	if (n == 0) {
		/* What comes into a hold that is closing is older than what is behind it. */
		if (unlikely(is_closing(queue)))
			n = next_held(queue);
		if (n == 0)
			n = (uint16_t)rte_ring_sc_dequeue_burst(queue->backlog,
				(void **)queue->head, VMQ_BURST, NULL);
		if (n == 0)
			n = next_held(queue);
		queue->first_head = 0;
		atomic_store_explicit(&queue->n_head, n, memory_order_relaxed);
	}
	return n;
}

static void
advance_head(struct vmq_dp_queue *queue, uint16_t n)
{
	queue->first_head += n;
	atomic_store_explicit(&queue->n_head,
		atomic_load_explicit(&queue->n_head, memory_order_relaxed) - n,
		memory_order_relaxed);
}

void
vmq_dp_queue_discard(struct vmq_dp_queue *queue)
{
	uint16_t n;

	while ((n = next_head(queue)) > 0) {
		drop(queue, VMQ_DROP_STOPPED, &queue->stopped_here, queue->head + queue->first_head,
			n);
		advance_head(queue, n);
	}
	if (queue->sender != NULL)
		sender_discard(queue->sender);
}

uint16_t
queue_serve(struct vmq_dp_queue *queue)
{
	uint16_t n, sent, bursts, done = 0;
	struct rte_mbuf **head;

	if (unlikely(!queue_is_running(queue))) {
		vmq_dp_queue_discard(queue);
		return 0;
	}
	for (bursts = 0; bursts < SERVE_BURSTS_MAX; bursts++) {
		n = next_head(queue);
		if (n == 0)
			break;
		head = queue->head + queue->first_head;
		sent = hand_over(queue, head, n, vmq_packets_bytes(head, n));
		advance_head(queue, sent);
		done += sent;
		if (sent < n)
			break;
	}
	return done;
}
