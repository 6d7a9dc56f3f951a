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

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_rcu_qsbr.h>
#include <rte_spinlock.h>

#include <vmq_shmem.h>

#include "dp_queue.h"
#include "vmq_datapath.h"

/* A Tx queue of the port, and the worker or workers that use it. */
struct tx_queue {
	rte_spinlock_t lock; /* used only where workers share it */
	uint32_t cleaned; /* its workers: the last clean-up that they have done */
} __rte_cache_aligned;

struct vmq_dp_uplink {
	/* Read only after creation. */
	uint16_t port_id;
	uint16_t n_tx_queues;
	bool shared; /* fewer Tx queues than workers */
	bool multi_segs;
	uint32_t mtu;
	struct vmq_dp_source *source; /* whose view says who is where */

	_Atomic bool off; /* control: wo; workers: ro. Its port is not to be used. */
	_Atomic uint32_t clean; /* control: wo; workers: ro. The last clean-up asked for. */
	struct tx_queue tx_queues[];
};

/* How far a ring of the NIC has been emptied, counted once its packets were delivered. */
struct drain {
	vmq_counter_t received;
	vmq_counter_t shorts; /* looks that found less than there was room for */
};

struct vmq_dp_source {
	uint16_t port_id;
	uint16_t rx_queue;
	uint16_t worker;
	struct vmq_datapath *dp;
	struct rte_mempool *pool;
	struct vmq_stash *stash; /* of pool; NULL: none */
	struct rte_mempool_cache *cache; /* worker: of pool; NULL if there is no stash */
	/* control: wo; worker: ro */
	_Atomic(struct vmq_dp_view *) view;
	_Atomic(struct vmq_dp_census *) census; /* NULL: nobody wants to know */

	/* its worker */
	struct drain drain __rte_cache_aligned;
	struct vmq_dp_view *seen; /* what gathered packets go by */
	uint32_t gather_polls; /* polls since the oldest packet was gathered */
	uint32_t undelivered; /* packets received that drain does not count yet */
	uint16_t enough; /* a queue that has so many packets gathered gets them */
	uint32_t n_dirty;
	/* Indices in seen of queues that something has come for; one more is written. */
	uint16_t dirty[VMQ_GATHER_MAX + 1];
} __rte_cache_aligned;

/* A slot of hardware queues: Rx queues of the port beside the default one. */
struct vmq_dp_hw {
	/* Read only after creation, but for worker. */
	struct vmq_datapath *dp;
	struct vmq_dp_source *source; /* whose view says who is where */
	struct rte_mempool *pool;
	_Atomic uint16_t worker; /* control: wo; workers: ro. Who polls it. */
	uint16_t slot; /* in the view */
	uint16_t port_id;
	uint16_t rx_queue;
	uint16_t n_rx_queues;
	bool replicates;
	_Atomic(struct vmq_dp_census *) census; /* control: wo; worker: ro. NULL: none. */

	/* its worker */
	uint64_t seen __rte_cache_aligned; /* id of the view that own is of */
	struct vmq_dp_queue *own; /* NULL: no VM has the slot */
	uint32_t skipped;
	struct drain drain;
	vmq_counter_t received;
	vmq_counter_t confirmed;
	vmq_counter_t misplaced;
	vmq_counter_t replicas;
	vmq_counter_t stale;
} __rte_cache_aligned;

/*
 * Bursts of one ring, of a port or a VM, in a turn, as long as they are full. What the first one
 * has brought into the CPU's caches, free buffers above all, the others find there: with seven
 * hardware queues and four bursts a packet costs 15 % less than with one (bench_hardware). It
 * ends somewhere so that no ring gets all the time, and is one number for all so that each gets
 * as much as the others. While a VM of the worker is behind it is one burst: what waits for it
 * is copied twice, until more has been taken out of its backlog (SERVE_BURSTS_MAX) than came.
 */
#define TURN_BURSTS_MAX 4

/*
 * Turns that bring packets, after which VMs that are behind and have taken nothing meanwhile do
 * not count: some 2 ms under full load, where a ring of 1024 that is full is left alone for 82 us
 * at most (vhost_path.c). One that reads nothing would cost the others about 1 % for as long as
 * it does (16 VMs, 64 bytes).
 */
#define STUCK_TURNS 4096

/* A worker's list of work: immutable once published, but for what is the worker's own. */
struct work {
	uint16_t n_sources;
	uint16_t n_queues;
	uint16_t n_senders;
	uint16_t n_uplinks;
	uint16_t n_hw;
	struct vmq_dp_source **sources;
	struct vmq_dp_queue **queues;
	struct vmq_dp_queue **senders;
	struct vmq_dp_uplink **uplinks;
	struct vmq_dp_hw **hw;
	/*
	 * worker: for each of senders the bursts that it is passed over for still. Together in few
	 * cache lines, since a busy worker looks at all of them in each turn.
	 */
	uint8_t *pass;
};

/*
 * Where the cycles go, by samples: in one turn of many the clock is read between the
 * stages. 61 has no factor in common with VMQ_GATHER_POLLS: samples meet all its turns.
 */
#define PROFILE_EVERY 61
/* A turn that took longer had lost its CPU to another thread, and is no sample. */
#define PROFILE_LONGEST_US 500

struct profile {
	/* the worker's */
	bool on; /* this turn is a sample */
	enum vmq_stage stage; /* whose cycles are running */
	uint64_t since;
	uint64_t read_cycles; /* what reading the clock costs */
	uint32_t countdown;
	uint64_t sample[VMQ_STAGE_COUNT]; /* of this turn */
	vmq_counter_t cycles[VMQ_STAGE_COUNT];
	vmq_counter_t packets; /* received in samples */
	vmq_counter_t delivered, bursts; /* what went to queues in samples */
};

/* Why a worker that should wait for interrupts does not. */
enum fallback {
	FALLBACK_NONE,
	FALLBACK_PORT,
	FALLBACK_BACKEND,
	FALLBACK_HARDWARE,
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
	uint64_t no_wait_until; /* TSC: no interrupt is waited for before */
	bool backends_connected; /* those of the backends too, all of them */
	struct rte_epoll_event wake_event;
	struct profile profile;
	/* Queues served here for sources of this worker, with something in the backlog. */
	SLIST_HEAD(, vmq_dp_queue) backlogged;
	uint32_t stuck_turns; /* since one of them was new or took something; see STUCK_TURNS */

	/* Queues that other workers have put something into: they push, this one takes all. */
	_Atomic(struct vmq_dp_queue *) rung __rte_cache_aligned;
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

/* From here on cycles are the stage's. Returns the stage before, to go back to. */
static inline enum vmq_stage
profile_enter(struct worker *worker, enum vmq_stage stage)
{
	struct profile *profile = &worker->profile;
	const enum vmq_stage before = profile->stage;
	uint64_t now, cycles;

	if (likely(!profile->on))
		return before;
	now = rte_rdtsc();
	cycles = now - profile->since;
	profile->sample[before] += cycles - RTE_MIN(cycles, profile->read_cycles);
	profile->stage = stage;
	profile->since = now;
	return before;
}

/* Loop of a worker; the argument is struct worker. */
int worker_main(void *arg);

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
 * Receive a burst of a source, classify, gather, deliver. Returns the number of packets
 * received.
 */
uint16_t source_poll(struct vmq_dp_source *source, struct worker *worker);

/* One turn of a hardware queue, if this worker polls it. */
uint16_t hw_source_poll(struct vmq_dp_hw *hw, struct worker *worker);

/* A worker goes, or its work changes: let go of what it has of the slot's memory. */
void hw_source_leave(struct vmq_dp_hw *hw);

/* census.c: count a burst; and only what hardware should have put elsewhere. */
void census_count(struct vmq_dp_census *census, struct rte_mbuf *const *packets, uint16_t n);
void census_count_claimed(struct vmq_dp_census *census, const struct vmq_dp_view *view,
	struct rte_mbuf *const *packets, const struct vmq_class *classes, uint16_t n);

/* Deliver whatever a source has gathered. */
void source_flush(struct vmq_dp_source *source, struct worker *worker);

/* Put the free buffers of its pool back that this lcore keeps at hand. */
void source_put_back(struct vmq_dp_source *source);

/*
 * Deliver packets to their queue, or keep them for it, or drop them. Takes them all. Any
 * worker: the packets of one worker stay in order.
 */
void queue_deliver(struct vmq_dp_queue *queue, struct rte_mbuf **packets, uint16_t n,
	struct worker *worker);

/* The same, but they wait until the queue's hold is released. By the side that is held. */
void queue_hold(struct vmq_dp_queue *queue, struct rte_mbuf **packets, uint16_t n,
	struct worker *worker);

/* Count a packet that came and has no room for its tag, and free it. */
void drop_no_headroom(const struct vmq_dp_queue *queue, struct inlet *inlet,
	struct rte_mbuf *packet);

/*
 * Deliver from a queue's backlog, a bounded amount. Returns how many packets left it.
 * Called by the serving worker.
 */
uint16_t queue_serve(struct vmq_dp_queue *queue);

/*
 * Take what the VMs of queues have sent, a bounded amount of each, check it, and deliver it
 * to other queues and to the wire. A VM that sends nothing is not asked in each turn in which
 * the worker has received something: pass has a number for each queue, which are the worker's
 * to keep. Returns how many packets were taken. Called by the serving worker.
 */
uint32_t queues_transmit(struct vmq_dp_queue *const *queues, uint8_t *pass, uint16_t n,
	uint32_t received, struct worker *worker);

/*
 * A burst for the queue is likely to be delivered soon: have the memory come that it will
 * touch. Any worker; only the serving one may call the backend.
 */
static inline void
queue_fetch(const struct fast *fast, const struct worker *worker)
{
	if (fast->tx_fetch != NULL && fast->source_worker == worker->number &&
		!fast_has(fast, SPECIAL_SERVE))
		fast->tx_fetch(fast->backend);
}

/* Throw away what a queue has taken and not delivered yet, counted as stopped. */
void sender_discard(struct sender *sender);

/* What a group address means for who gets a frame. */
enum group {
	GROUP_NONE, /* one station */
	GROUP_ALL, /* those of its VLAN */
	GROUP_LINK_LOCAL, /* who is at the other end of the cable: 01:80:c2:00:00:0x */
};

enum group packet_group(const struct rte_mbuf *packet);

/* Does somebody get a copy? */
typedef void flood_fn(void *arg, struct vmq_dp_view *view, uint16_t index, struct rte_mbuf *copy,
	struct worker *worker);

/*
 * Make a copy of a frame for each queue of its VLAN but one, in that queue's own memory
 * and with its tag where the queue wants it, and give it to each(). Returns how many. The
 * frame stays as it is.
 */
uint32_t flood(struct vmq_dp_view *view, const struct rte_mbuf *packet, uint16_t except,
	struct worker *worker, flood_fn *each, void *arg);

/* The same for one queue. Returns whether there was a buffer. */
bool flood_one(struct vmq_dp_view *view, const struct rte_mbuf *packet, uint16_t index,
	struct worker *worker, flood_fn *each, void *arg);

/*
 * A copy of a packet in a queue's own memory; NULL, counted at the queue as received and
 * dropped, if there is no room. Any worker.
 */
struct rte_mbuf *queue_copy(struct vmq_dp_queue *queue, const struct rte_mbuf *packet,
	struct worker *worker);

/* Free what vmq_dp_view_flood() has made. NULL is allowed. */
void flood_free(struct vmq_dp_flood *flood);

/* Send to the wire; returns how many the port took, from the first on. */
uint16_t uplink_send(struct vmq_dp_uplink *uplink, struct worker *worker, struct rte_mbuf **packets,
	uint16_t n);

/* Do the clean-up that control has asked for, if it has. */
void uplink_clean(struct vmq_dp_uplink *uplink, const struct worker *worker);

/* Put a frame's tag where its queue wants it. Returns false if there is no room. */
static inline bool
packet_fix_tag(struct rte_mbuf *packet, const struct vmq_class *class)
{
	if (class->tag == VMQ_TAG_STRIP)
		vmq_tag_strip(packet);
	else if (class->tag == VMQ_TAG_INSERT)
		return vmq_tag_insert(packet) == 0;
	return true;
}

/* What was received for a queue and is not delivered at once. */
static inline void
inlet_count_late(struct inlet *inlet, uint64_t packets, uint64_t bytes)
{
	vmq_counter_add(&inlet->late, packets);
	vmq_counter_add(&inlet->late_bytes, bytes);
}

/* Have the source's worker serve a queue's backlog. */
static inline void
queue_add_backlogged(struct vmq_dp_queue *queue, struct worker *worker)
{
	if (queue->in_backlogged)
		return;
	queue->in_backlogged = true;
	worker->stuck_turns = 0;
	SLIST_INSERT_HEAD(&worker->backlogged, queue, backlogged);
}

/*
 * Cut a worker's sleep short: it must see what was published, or answer for RCU.
 * Any thread; after the store that the worker is to see.
 */
void worker_wake(struct worker *worker);

/* A burst was full, of so many in this turn: is the ring to be asked again? */
static inline bool
turn_goes_on(const struct worker *worker, uint16_t bursts)
{
	return bursts < TURN_BURSTS_MAX &&
		(SLIST_EMPTY(&worker->backlogged) || worker->stuck_turns >= STUCK_TURNS);
}

/* Tell the source's worker that there is something in a queue's backlog. Any worker. */
static inline void
queue_ring(struct vmq_dp_queue *queue, struct worker *source_worker)
{
	struct vmq_dp_queue *first;

	if (atomic_exchange_explicit(&queue->rung, true, memory_order_acq_rel))
		return; /* somebody has, and it has not looked yet */
	first = atomic_load_explicit(&source_worker->rung, memory_order_relaxed);
	do {
		queue->next_rung = first;
	} while (!atomic_compare_exchange_weak_explicit(&source_worker->rung, &first, queue,
		memory_order_release, memory_order_relaxed));
	/* An adaptive worker looks in time; one that waits for interrupts may sleep long. */
	if (first == NULL && source_worker->mode == VMQ_WORKER_INTERRUPT)
		worker_wake(source_worker);
}

/*
 * Has the ring been empty since the mark, or has all that can have been in it come out? Two
 * looks: the first may have begun before the mark. uncounted: packets that may have come out
 * before the mark and were not counted by then.
 */
static inline bool
drain_is_done(const struct drain *drain, const struct vmq_dp_mark *mark, uint32_t ring,
	uint32_t uncounted)
{
	const bool done = vmq_counter_get(&drain->shorts) >= mark->shorts + 2 ||
		vmq_counter_get(&drain->received) - mark->received >= ring + uncounted;

	atomic_thread_fence(memory_order_acquire);
	return done;
}

/* A worker has looked into the NIC's ring, and has delivered, or kept, all it found there. */
static inline void
drain_count(struct drain *drain, uint32_t n, bool is_short)
{
	atomic_thread_fence(memory_order_release);
	vmq_counter_add(&drain->received, n);
	vmq_counter_add(&drain->shorts, is_short);
}

/* tap.c: copies of packets, for whoever looks on; workers, and control in their place. */
/* Before and after the backend has had the burst: of what it has taken, copies are kept. */
void tap_before(const struct vmq_dp_tap *tap, struct tap_burst *burst, struct rte_mbuf **packets,
	uint16_t n);
void tap_after(struct tap_burst *burst, uint16_t taken);
/* Before they are freed. */
void tap_drop(const struct vmq_dp_tap *tap, enum vmq_drop reason, struct rte_mbuf *const *packets,
	uint16_t n);
void tap_tx_drop(const struct vmq_dp_tap *tap, enum vmq_tx_drop reason,
	struct rte_mbuf *const *packets, uint16_t n);

/* Begin a grace period, and wake who sleeps. Returns its token. */
uint64_t begin_grace_period(struct vmq_datapath *dp);

/* Destroy an object after all workers have let go of it. */
void garbage_add(struct vmq_datapath *dp, void (*destroy)(void *object), void *object);

#endif /* VMQ_DP_PRIVATE_H */
