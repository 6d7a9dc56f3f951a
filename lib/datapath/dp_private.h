/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_DP_PRIVATE_H
#define VMQ_DP_PRIVATE_H

/**
 * @file
 * The structures that workers share with the control plane. Each field says who
 * writes it: control, the source's worker (receives), the serving worker (delivers).
 */

#include <sys/queue.h>

#include <rte_epoll.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>

#include "vmq_datapath.h"

struct vmq_dp_queue {
	/* Read only after creation, but for running. */
	struct vmq_backend *backend;
	struct rte_mempool *pool;
	/* source's worker: producer; serving worker: consumer */
	struct rte_ring *backlog;
	_Atomic bool running; /* control: wo; workers: ro */
	_Atomic enum vmq_serve serve; /* control: wo; workers: ro */
	bool backend_holds;
	bool received_into_pool;
	uint16_t id;
	uint32_t reserve;

	/* source's worker */
	vmq_counter_t received __rte_cache_aligned;
	vmq_counter_t received_bytes;
	vmq_counter_t no_buffer;
	vmq_counter_t no_headroom;

	/* serving worker; control once no worker uses the queue */
	vmq_counter_t delivered __rte_cache_aligned;
	vmq_counter_t delivered_bytes;
	vmq_counter_t bursts;
	vmq_counter_t stopped_here; /* dropped at the backlog's end */
	_Atomic uint16_t n_head; /* packets taken out of the backlog and not delivered */
	uint16_t first_head;
	struct rte_mbuf *head[VMQ_BURST];

	/* source's worker, rarely */
	vmq_counter_t stopped __rte_cache_aligned; /* dropped before the backlog */
	bool in_backlogged; /* linked in worker.backlogged */
	SLIST_ENTRY(vmq_dp_queue) backlogged;
} __rte_cache_aligned;

struct vmq_dp_source {
	uint16_t port_id;
	uint16_t rx_queue;
	uint16_t worker;
	struct vmq_datapath *dp;
	struct rte_mempool *pool;
	/* control: wo; worker: ro */
	_Atomic(struct vmq_dp_view *) view;

	/* its worker */
	struct vmq_dp_view *seen __rte_cache_aligned; /* what gathered packets go by */
	uint32_t gather_polls; /* turns since the oldest packet was gathered */
	uint32_t n_dirty;
	bool backends_receive; /* some queue's backend has to be asked for packets */
	uint16_t dirty[VMQ_GATHER_MAX]; /* indices in seen of queues with something gathered */
} __rte_cache_aligned;

/* A worker's list of work: immutable once published. */
struct work {
	uint16_t n_sources;
	uint16_t n_queues;
	struct vmq_dp_source **sources;
	struct vmq_dp_queue **queues;
};

/* Why a worker that should wait for interrupts does not. */
enum fallback {
	FALLBACK_NONE,
	FALLBACK_PORT,
	FALLBACK_BACKEND,
	FALLBACK_OTHERS,
};

struct worker {
	_Atomic(struct work *) work; /* control: wo; worker: ro */
	_Atomic bool stop; /* control: wo; worker: ro */
	struct vmq_datapath *dp;
	unsigned int lcore_id;
	uint16_t number;
	/* control, before it starts */
	enum vmq_worker_mode mode;
	uint32_t max_sleep_us;
	uint64_t cycles_per_us; /* of the TSC */
	int wake_fd; /* control: wo; worker: ro */
	int epoll_fd; /* of interrupts, and wake_fd */

	/* the worker's own */
	vmq_counter_t polls __rte_cache_aligned;
	vmq_counter_t idle_polls;
	vmq_counter_t packets;
	vmq_counter_t bursts;
	vmq_counter_t served;
	vmq_counter_t cycles;
	vmq_counter_t busy_cycles;
	vmq_counter_t sleep_cycles;
	vmq_counter_t sleeps;
	_Atomic enum fallback fallback; /* worker: wo */
	bool connected; /* the interrupts of its sources wake it */
	bool armed; /* they are switched on */
	struct rte_epoll_event wake_event;
	/* Queues served here for sources of this worker, with something in the backlog. */
	SLIST_HEAD(, vmq_dp_queue) backlogged;
} __rte_cache_aligned;

/* Something that waits for the workers to let go of it. */
struct garbage {
	STAILQ_ENTRY(garbage) next;
	uint64_t token; /* of the grace period it waits for */
	void (*destroy)(void *object);
	void *object;
};

STAILQ_HEAD(garbage_list, garbage);

struct vmq_datapath {
	struct rte_rcu_qsbr *rcu;
	bool started; /* control */
	uint16_t n_workers;
	/* control; oldest first; waiting for the first and for the second grace period */
	struct garbage_list fresh_garbage, aged_garbage;
	struct worker workers[];
};

/* Loop of a worker; the argument is struct worker. */
int worker_main(void *arg);

/*
 * Cut a worker's sleep short: it must see what was published, or answer for RCU.
 * Control thread; after the store that the worker is to see.
 */
void worker_wake(struct worker *worker);

/*
 * sleep.c, for worker_main(). open and close: control, once; begin and end: around the
 * loop; enter and leave: around a list of work, which may be NULL for leave.
 */
int sleep_open(struct worker *worker);
void sleep_close(struct worker *worker);
void sleep_begin(struct worker *worker);
void sleep_end(struct worker *worker);
void sleep_enter(struct worker *worker, const struct work *work);
void sleep_leave(struct worker *worker, const struct work *work);

/*
 * Nothing has moved for so long: sleep, or not yet. Returns whether it slept. Once there
 * is work again: sleep_over(). work may be NULL.
 */
bool sleep_idle(struct worker *worker, const struct work *work, uint64_t idle_cycles);
void sleep_over(struct worker *worker, const struct work *work);

/* NULL for FALLBACK_NONE */
const char *fallback_text(enum fallback fallback);

/*
 * One turn of a source: receive, classify, gather, deliver. Returns the number of
 * packets received.
 */
uint16_t source_poll(struct vmq_dp_source *source, struct worker *worker);

/* Deliver whatever a source has gathered. */
void source_flush(struct vmq_dp_source *source, struct worker *worker);

/*
 * Deliver packets to their queue, or keep them for it, or drop them. Takes them all.
 * Called by the source's worker.
 */
void queue_deliver(struct vmq_dp_queue *queue, struct rte_mbuf **packets, uint16_t n,
	struct worker *worker);

/*
 * Deliver from a queue's backlog, a bounded amount. Returns how many packets left it.
 * Called by the serving worker.
 */
uint16_t queue_serve(struct vmq_dp_queue *queue);

static inline bool
queue_is_served_by(const struct vmq_dp_queue *queue, enum vmq_serve serve)
{
	return atomic_load_explicit(&queue->serve, memory_order_acquire) == serve;
}

/* Have the source's worker serve a queue's backlog. */
static inline void
queue_add_backlogged(struct vmq_dp_queue *queue, struct worker *worker)
{
	if (queue->in_backlogged)
		return;
	queue->in_backlogged = true;
	SLIST_INSERT_HEAD(&worker->backlogged, queue, backlogged);
}

/* Is anything waiting? Exact for the serving worker. */
static inline bool
queue_has_backlog(const struct vmq_dp_queue *queue)
{
	return atomic_load_explicit(&queue->n_head, memory_order_relaxed) > 0 ||
		!rte_ring_empty(queue->backlog);
}

/* Destroy an object after all workers have let go of it. */
void garbage_add(struct vmq_datapath *dp, void (*destroy)(void *object), void *object);

#endif /* VMQ_DP_PRIVATE_H */
