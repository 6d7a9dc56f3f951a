/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_DP_QUEUE_H
#define VMQ_DP_QUEUE_H

/**
 * @file
 * A queue as workers see it: what is brought to it, what waits, what its VM sends. Each field
 * says who writes it: control, the source's worker (receives), the serving worker (delivers).
 */

#include <sys/queue.h>

#include <rte_epoll.h>
#include <rte_mbuf.h>
#include <rte_meter.h>
#include <rte_ring.h>

#include "vmq_datapath.h"

/*
 * What one worker has brought to a queue. The source's worker brings what it receives;
 * any worker brings what another VM sends.
 */
struct inlet {
	/* What it has received and not delivered at once: see struct fast. */
	vmq_counter_t late;
	vmq_counter_t late_bytes;
	vmq_counter_t no_buffer;
	vmq_counter_t no_headroom;
	vmq_counter_t stopped; /* dropped before the backlog */
} __rte_cache_aligned;

struct tap_ring;

/* Where a thread writes into a tap. */
struct tap_writer {
	struct tap_ring *ring; /* NULL: nowhere */
	uint64_t head;
	uint64_t lost;
	uint64_t time_ns;
	uint64_t begun; /* TSC */
};

/* A burst on its way to a backend, which may take a part of it only. */
struct tap_burst {
	struct tap_writer writer;
	uint64_t heads[VMQ_BURST];
	uint64_t lost[VMQ_BURST];
};

/* A limit. Written by control before it is published, by the serving worker after. */
struct rate {
	struct rte_meter_srtcm_profile profile;
	struct rte_meter_srtcm meter;
};

/* May a frame of that length pass now (TSC)? */
static inline bool
rate_passes(struct rate *rate, uint64_t now, uint32_t bytes)
{
	return rte_meter_srtcm_color_blind_check(&rate->meter, &rate->profile, now, bytes) ==
		RTE_COLOR_GREEN;
}

/* A frame that had passed did not go: it may pass another time. */
static inline void
rate_give_back(struct rate *rate, uint64_t bytes)
{
	rate->meter.tc = RTE_MIN(rate->meter.tc + bytes, rate->profile.cbs);
}

/* What makes a queue's bursts go the careful way. */
enum special {
	SPECIAL_STOPPED = 1 << 0, /* it is not running */
	SPECIAL_WAITED = 1 << 1, /* packets wait in the backlog or a hold, or did */
	SPECIAL_SERVE = 1 << 2, /* not VMQ_SERVE_SOURCE */
	SPECIAL_HOLD = 1 << 3,
	SPECIAL_TAP = 1 << 4,
	SPECIAL_RATE = 1 << 5, /* to the VM */
	SPECIAL_BACKEND = 1 << 6, /* it keeps packets after tx_burst */
};

/*
 * All that an ordinary burst touches of its queue, in one cache line: with many queues each
 * line is a miss. For the same reason those of all queues lie together (fast.c).
 */
struct fast {
	/* Read only after creation. */
	vmq_backend_tx_fn *tx_burst; /* the backend's */
	vmq_backend_tx_fetch_fn *tx_fetch; /* the backend's; NULL: none */
	struct vmq_backend *backend;
	struct vmq_dp_queue *queue;
	uint16_t source_worker;

	/* Bits of enum special. WAITED: workers: rw; all else: control: rw, workers: ro. */
	_Atomic uint32_t special;

	/* What the source's worker, who alone writes these, has received and delivered at once. */
	vmq_counter_t delivered;
	vmq_counter_t delivered_bytes;
	vmq_counter_t bursts;
} __rte_cache_aligned;

/*
 * Take one, zeroed; NULL: no memory. Put it back: NULL is allowed. Control thread.
 */
struct fast *fast_alloc(int socket_id);
void fast_free(struct fast *fast);

static inline bool
fast_has(const struct fast *fast, enum special special)
{
	return (atomic_load_explicit(&fast->special, memory_order_acquire) & special) != 0;
}

/*
 * Set before, and cleared after, what it stands for: the careful way looks at that itself, so
 * that a bit that is set too long does no harm.
 */
static inline void
fast_set(struct fast *fast, enum special special, bool on)
{
	if (on)
		atomic_fetch_or(&fast->special, special);
	else
		atomic_fetch_and(&fast->special, ~(uint32_t)special);
}

struct vmq_dp_queue {
	/* Read only after creation, but for what says who writes it. */
	struct fast *fast;
	struct vmq_backend *backend;
	_Atomic(struct vmq_dp_tap *) tap; /* control: wo; workers: ro. NULL: nobody looks on. */
	_Atomic(struct rate *) to_vm; /* control: wo; serving worker: ro. NULL: no limit. */
	_Atomic(struct hold *) hold; /* control: wo; workers: ro. NULL: nothing is held. */
	_Atomic enum vmq_serve serve; /* control: wo; workers: ro */
	_Atomic uint16_t worker; /* control: wo; workers: ro. With VMQ_SERVE_OTHER: which. */
	uint16_t source_worker;
	_Atomic bool received_into_pool; /* control: wo; workers: ro */
	uint16_t id;

	uint16_t n_inlets;
	_Atomic uint16_t receiver; /* control: wo; workers: ro. Who receives into pool. */
	_Atomic uint32_t reserve; /* control: wo; workers: ro */
	_Atomic(struct rte_mempool *) pool; /* control: wo; workers: ro */
	/* workers with an inlet: producers; serving worker: consumer */
	struct rte_ring *backlog;
	struct sender *sender; /* NULL: its backend receives nothing */

	/*
	 * serving worker; control once no worker uses the queue. What was not delivered at once
	 * by who received it: see struct fast.
	 */
	vmq_counter_t delivered __rte_cache_aligned;
	vmq_counter_t delivered_bytes;
	vmq_counter_t bursts;
	vmq_counter_t stopped_here; /* dropped at the backlog's end */
	vmq_counter_t rate_limited;
	_Atomic uint16_t n_head; /* packets taken out of the backlog and not delivered */
	uint16_t first_head;
	struct rte_mbuf *head[VMQ_BURST];

	/* source's worker, rarely */
	bool in_backlogged __rte_cache_aligned; /* linked in worker.backlogged */
	SLIST_ENTRY(vmq_dp_queue) backlogged;

	/* Any worker sets it and links the queue; the source's worker takes it back. */
	_Atomic bool rung __rte_cache_aligned;
	struct vmq_dp_queue *next_rung;

	struct inlet inlets[]; /* by number of the worker */
} __rte_cache_aligned;

/*
 * Packets that one side brings wait here, in the queue's memory, until the other side has
 * brought all that came before them.
 */
struct hold {
	enum vmq_hold side;
	_Atomic bool released; /* control: wo; workers: ro */
	_Atomic bool closing; /* control: wo; workers: ro. Was empty: nothing more comes in. */
	/* that side's worker: producer; serving worker: consumer */
	struct rte_ring ring; /* with its memory behind it */
};

/* What a queue's VM sends: all of it the serving worker's, unless a comment says otherwise. */
struct sender {
	struct vmq_dp_uplink *uplink; /* read only after creation */
	_Atomic(struct rte_mempool *) pool; /* control: wo; worker: ro. Its Xmit pool. */
	_Atomic bool anti_spoof; /* control: wo; worker: ro */
	_Atomic(struct rate *) from_vm; /* control: wo; worker: ro. NULL: no limit. */
	_Atomic(struct vmq_dp_tap *) tap; /* control: wo; worker: ro. Its queue's. */

	/* The queue's place in a view, found once for each view. */
	uint64_t view_id;
	uint16_t index;

	struct rte_epoll_event event; /* of its backend's interrupts */
	uint8_t quiet; /* bursts to pass over when it has nothing again */

	uint16_t n_head; /* checked, and not delivered yet */
	uint16_t first_head;
	uint16_t n_wire; /* what the port has not taken yet */
	uint16_t first_wire;
	uint64_t wire_since; /* TSC; when the port last took something */
	struct rte_mbuf *head[VMQ_BURST];
	struct rte_mbuf *wire[VMQ_BURST];

	vmq_counter_t received __rte_cache_aligned;
	vmq_counter_t received_bytes;
	vmq_counter_t sent;
	vmq_counter_t sent_bytes;
	vmq_counter_t local;
	vmq_counter_t local_bytes;
	vmq_counter_t copies;
	vmq_counter_t drops[VMQ_TX_DROP_COUNT];
} __rte_cache_aligned;

static inline bool
queue_is_running(const struct vmq_dp_queue *queue)
{
	return !fast_has(queue->fast, SPECIAL_STOPPED);
}

static inline bool
queue_is_served_by(const struct vmq_dp_queue *queue, enum vmq_serve serve)
{
	return atomic_load_explicit(&queue->serve, memory_order_acquire) == serve;
}

/* What was held and may go now; NULL: nothing. */
static inline struct hold *
queue_released(const struct vmq_dp_queue *queue)
{
	struct hold *hold = atomic_load_explicit(&queue->hold, memory_order_acquire);

	return unlikely(hold != NULL) && atomic_load_explicit(&hold->released,
		memory_order_acquire) ? hold : NULL;
}

/*
 * Do packets of a side have to wait in the hold? Until it is released, and then until all
 * before them have left it.
 */
static inline bool
queue_is_held(const struct vmq_dp_queue *queue, enum vmq_hold side)
{
	struct hold *hold = atomic_load_explicit(&queue->hold, memory_order_acquire);

	return unlikely(hold != NULL) && hold->side == side &&
		!atomic_load_explicit(&hold->closing, memory_order_acquire) &&
		(!atomic_load_explicit(&hold->released, memory_order_acquire) ||
			!rte_ring_empty(&hold->ring));
}

/* Is there something that was held and may go now? */
static inline bool
has_released(const struct vmq_dp_queue *queue)
{
	const struct hold *hold = queue_released(queue);

	return unlikely(hold != NULL) && !rte_ring_empty(&hold->ring);
}

/* Is anything waiting? Exact for the serving worker. */
static inline bool
queue_has_backlog(const struct vmq_dp_queue *queue)
{
	/* Most queues never have: spare them the ring's two cache lines. */
	return fast_has(queue->fast, SPECIAL_WAITED) &&
		(atomic_load_explicit(&queue->n_head, memory_order_relaxed) > 0 ||
			!rte_ring_empty(queue->backlog) || has_released(queue));
}

/*
 * The serving worker has found that nothing waits: bursts go the short way again. Who lets
 * something wait sets waited after that is in its ring, so that it is either seen here, or
 * set after it was taken back here.
 */
static inline void
queue_forget_waiting(struct vmq_dp_queue *queue)
{
	fast_set(queue->fast, SPECIAL_WAITED, false);
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&queue->hold, memory_order_relaxed) != NULL ||
		atomic_load_explicit(&queue->n_head, memory_order_relaxed) > 0 ||
		!rte_ring_empty(queue->backlog))
		fast_set(queue->fast, SPECIAL_WAITED, true);
}

/* Something waits in a ring now. */
static inline void
queue_lets_wait(struct vmq_dp_queue *queue)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (!fast_has(queue->fast, SPECIAL_WAITED))
		fast_set(queue->fast, SPECIAL_WAITED, true);
}

static inline const struct vmq_dp_tap *
queue_tap(const struct vmq_dp_queue *queue)
{
	return atomic_load_explicit(&queue->tap, memory_order_acquire);
}

#endif /* VMQ_DP_QUEUE_H */
