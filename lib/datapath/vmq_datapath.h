/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_DATAPATH_H
#define VMQ_DATAPATH_H

/**
 * @file
 * The data path: workers that receive, steer in software, and deliver.
 *
 * A worker is one lcore that polls, and may sleep while there is nothing to do. A
 * source is the Rx queue of an adapter's default
 * queue: one worker polls it, classifies its packets, gathers them for each queue
 * and delivers full bursts. A queue is served by one worker (its affinity): if that
 * is the source's worker it delivers at once, else packets are handed over in a ring.
 *
 *   NIC -> source -> classifier -> gather ---------------------> backend
 *                                    |                              ^
 *                                    +-> copy into the queue's ---> backlog
 *                                        own memory
 *
 * A packet leaves the memory it was received into only by going to a backend that
 * lets go of it at once, or by being copied into its queue's own memory: whatever
 * waits, waits in the memory of the VM that is slow.
 *
 * What a VM sends goes the other way. The worker that serves a queue takes it from the
 * backend, checks its source address and VLAN, and delivers it to the queue that claims
 * the destination, or sends it on the port's Tx queue of that worker:
 *
 *   backend -> check -> classifier --> another queue (as if received)
 *                                  \-> tag inserted -> port
 *
 * What workers read (views, lists of work) is immutable and published under RCU.
 * Functions here are for the control thread unless a comment says otherwise.
 */

#include <rte_mempool.h>

#include <vmq_backend.h>
#include <vmq_base.h>
#include <vmq_filter.h>

#include "vmq_dp_drop.h"
#include "vmq_dp_hw.h"
#include "vmq_dp_tap.h"
#include "vmq_dp_view.h"

/** The workers and what they share. */
struct vmq_datapath;

/**
 * @param lcores
 *   lcore ids, one worker each; worker numbers are indices in this array.
 * @return NULL with rte_errno ENOMEM
 */
struct vmq_datapath *vmq_datapath_create(const unsigned int *lcores, uint16_t n_workers);

/** Launch the workers. @return 0 or -errno */
int vmq_datapath_start(struct vmq_datapath *dp);

/**
 * Stop the workers and wait for them: each delivers what it has gathered and
 * returns, which takes no longer than one turn of its loop.
 */
void vmq_datapath_stop(struct vmq_datapath *dp);

/** NULL is allowed. The workers must be stopped, sources and queues freed. */
void vmq_datapath_free(struct vmq_datapath *dp);

/** What a worker does when there is nothing to do. */
enum vmq_worker_mode {
	VMQ_WORKER_POLL, /**< Go on looking, with all of its CPU. */
	/**
	 * Sleep for a part of the time that it has been idle, up to a bound; the first
	 * packet makes it poll again.
	 */
	VMQ_WORKER_ADAPTIVE,
	/**
	 * Wait for the ports' receive interrupts. What has none is looked at as by an
	 * adaptive worker; struct vmq_worker_stats says why.
	 */
	VMQ_WORKER_INTERRUPT,
	VMQ_WORKER_MODE_COUNT, /* not a mode */
};

/** @return "poll", "adaptive", "interrupt"; NULL for a value out of range. */
const char *vmq_worker_mode_name(enum vmq_worker_mode mode);

/** Longest sleep of an adaptive worker that can be asked for, in microseconds. */
#define VMQ_WORKER_SLEEP_US_MAX 100000

struct vmq_worker_params {
	enum vmq_worker_mode mode;
	/**
	 * Longest sleep, in microseconds: what a packet may have to wait for after
	 * idleness. Where another worker delivers it, it may have to wait for both.
	 */
	uint32_t max_sleep_us;
};

/** For all workers, before they start; without it they poll. */
void vmq_datapath_set_workers(struct vmq_datapath *dp, const struct vmq_worker_params *params);

/** Do the workers run? Control thread. */
bool vmq_datapath_is_started(const struct vmq_datapath *dp);

uint16_t vmq_datapath_workers(const struct vmq_datapath *dp);

/** NUMA node of a worker. */
int vmq_datapath_worker_node(const struct vmq_datapath *dp, uint16_t worker);

/** Parts of a packet's way, for the question where the cycles go. */
enum vmq_stage {
	VMQ_STAGE_RECEIVE, /**< The driver's receive function. */
	VMQ_STAGE_CLASSIFY, /**< Which queue? */
	VMQ_STAGE_GATHER, /**< Tags, and the burst of each queue. */
	VMQ_STAGE_DELIVER, /**< The backend's function. */
	VMQ_STAGE_ACCOUNT, /**< Counters and states of the queue. */
	VMQ_STAGE_OTHER, /**< Backlogs, what VMs send, the turn itself. */
	VMQ_STAGE_COUNT, /* not a stage */
};

/** @return "receive", "classify", ...; NULL for a value out of range. */
const char *vmq_stage_name(enum vmq_stage stage);

/** What one worker has done. Any thread. */
struct vmq_worker_stats {
	uint64_t polls; /**< Turns of its loop. */
	uint64_t idle_polls; /**< Of these, turns without work. */
	uint64_t packets; /**< Received from sources. */
	uint64_t bursts; /**< Receive calls that had packets; packets / bursts is the mean burst. */
	uint64_t served; /**< Delivered from backlogs. */
	uint64_t cycles; /**< Of the TSC (rte_get_tsc_hz()) since it started. */
	uint64_t busy_cycles; /**< Of these, in turns with work. */
	uint64_t sleep_cycles; /**< Of these, asleep. What is left was idle polling. */
	uint64_t sleeps;
	/** Samples: cycles of each stage, and the packets received meanwhile. */
	uint64_t stage_cycles[VMQ_STAGE_COUNT];
	uint64_t sampled_packets;
	uint64_t sampled_delivered, sampled_bursts; /**< Gathered, and given to their queues. */
	enum vmq_worker_mode mode;
	uint32_t max_sleep_us;
	const char *fallback; /**< Why it does not wait for interrupts as it should, or NULL. */
};

void vmq_worker_stats_get(const struct vmq_datapath *dp, uint16_t worker,
	struct vmq_worker_stats *stats);

/** A queue as the data path knows it. Owner: the control plane's queue. */
struct vmq_dp_queue;

struct vmq_dp_queue_params {
	uint16_t id; /**< For messages. */
	uint16_t source_worker; /**< The worker that receives and classifies for it. */
	uint16_t worker; /**< The worker that serves it. */
	struct vmq_backend *backend;
	struct rte_mempool *pool; /**< Its own memory. */
	uint32_t limit; /**< Most buffers that pool may ever have. */
	/**
	 * Received packets lie in pool already (a default queue, whose memory the NIC
	 * receives into): nothing needs copying.
	 */
	bool received_into_pool;
	/**
	 * With received_into_pool: buffers that must stay available for receiving; when
	 * there are fewer, packets of this queue do not wait but are dropped.
	 */
	uint32_t reserve;
	uint16_t receiver; /**< With received_into_pool: the worker that receives into it. */
	int socket_id; /**< NUMA node of its worker. */
	uint16_t n_workers; /**< Of the data path: each of them may bring packets. */
	struct rte_mempool *xmit_pool; /**< What its VM sends lies here; NULL: it sends nothing. */
	bool anti_spoof; /**< See vmq_dp_queue_anti_spoof(). */
};

/** @return NULL with rte_errno ENOMEM. Not running yet. */
struct vmq_dp_queue *vmq_dp_queue_create(const struct vmq_dp_queue_params *params);

/** Free. No worker may use it any more; what waits in it is counted as stopped. */
void vmq_dp_queue_free(struct vmq_dp_queue *queue);

/**
 * Give a queue other memory. Packets in the old one may be out for long; the workers take
 * nothing more from it after vmq_datapath_synchronize().
 *
 * @param pool
 *   With buffers as large as those of the old one.
 * @param received_into, reserve
 *   As in struct vmq_dp_queue_params.
 */
void vmq_dp_queue_set_pool(struct vmq_dp_queue *queue, struct rte_mempool *pool,
	bool received_into, uint32_t reserve);

/** The same for what its VM sends. */
void vmq_dp_queue_set_xmit_pool(struct vmq_dp_queue *queue, struct rte_mempool *pool);

/** Which worker receives into its pool: the one that looks after its cache of it. */
void vmq_dp_queue_set_receiver(struct vmq_dp_queue *queue, uint16_t worker);

/** By which way a packet came to its queue. */
enum vmq_hold {
	VMQ_HOLD_SOFTWARE, /**< The classifier of the adapter's source. */
	VMQ_HOLD_HARDWARE, /**< The queue's own Rx queues. */
};

/**
 * Let what comes by one way wait, in the queue's own memory, until what came by the other
 * is delivered: then nothing overtakes when frames change their way. Counts as waiting.
 *
 * @return 0; -EBUSY: something is held already; -ENOMEM.
 */
int vmq_dp_queue_hold(struct vmq_dp_queue *queue, enum vmq_hold side);

/** Let it go, in order and before what comes later. */
void vmq_dp_queue_release(struct vmq_datapath *dp, struct vmq_dp_queue *queue);

/** Is there a hold that was not released, or is something left in it? */
bool vmq_dp_queue_is_held(const struct vmq_dp_queue *queue);

/**
 * Forget a hold that was released and is empty, after a vmq_datapath_synchronize() that
 * came after its release.
 *
 * @return false: not yet.
 */
bool vmq_dp_queue_unhold(struct vmq_datapath *dp, struct vmq_dp_queue *queue);

/**
 * Let packets through, or not: the workers drop what comes and what waits, and count
 * it as stopped. After vmq_datapath_synchronize() nothing more is delivered.
 */
void vmq_dp_queue_run(struct vmq_dp_queue *queue, bool running);

/**
 * Check what the VM sends, or not: a frame passes if one to its source address, on its
 * VLAN, would come to this queue.
 */
void vmq_dp_queue_anti_spoof(struct vmq_dp_queue *queue, bool check);

/** Who delivers a queue's packets, and takes what its VM sends. */
enum vmq_serve {
	VMQ_SERVE_SOURCE, /**< The worker that receives for it, at once. */
	VMQ_SERVE_OTHER, /**< A worker that has it in its assignment. */
	VMQ_SERVE_NOBODY, /**< They wait in the backlog. */
};

/**
 * Change who delivers. From one worker to another: NOBODY, assign,
 * vmq_datapath_synchronize(), the new one, and publish (a source looks for waiting packets
 * when it sees a new view). Order is kept, nothing is lost but what finds no buffer.
 */
void vmq_dp_queue_serve(struct vmq_dp_queue *queue, enum vmq_serve serve);

/** Most that may pass: a token bucket. */
struct vmq_dp_rate {
	uint32_t mbps; /**< Of 10^6 bits of frames a second, check sum not counted; 0: no limit. */
	/** In KiB: what may pass at once after a pause; at least the longest frame. */
	uint32_t burst_kb;
};

#define VMQ_DP_RATE_MBPS_MAX 400000
#define VMQ_DP_RATE_BURST_KB_MAX 1048576

/** A burst of 10 ms at that rate, but 64 KiB at least. */
uint32_t vmq_dp_rate_burst_default(uint32_t mbps);

/**
 * Limit what goes to the VM and what comes from it; what is more is dropped as
 * rate_limited. May be called at any time.
 *
 * @return 0 or -ENOMEM: both stay as they were.
 */
int vmq_dp_queue_set_rates(struct vmq_datapath *dp, struct vmq_dp_queue *queue,
	const struct vmq_dp_rate *to_vm, const struct vmq_dp_rate *from_vm);

/** Which worker VMQ_SERVE_OTHER means. While nobody serves it. */
void vmq_dp_queue_set_worker(struct vmq_dp_queue *queue, uint16_t worker);

/**
 * Throw away what waits in a queue that no worker uses any more, counted as stopped.
 */
void vmq_dp_queue_discard(struct vmq_dp_queue *queue);

struct vmq_dp_queue_stats {
	uint64_t received, received_bytes;
	uint64_t delivered, delivered_bytes; /**< Bytes: as handed to the backend. */
	uint64_t drops[VMQ_DROP_COUNT];
	uint64_t dropped; /**< Sum of drops. */
	uint64_t waiting; /**< In the backlog or inside the backend. */
	uint64_t bursts; /**< Calls of the backend; delivered / bursts is the mean burst. */
	uint64_t ring_full; /**< Calls that the backend's ring had not room for. */
};

/**
 * Any thread. At any quiet moment received = delivered + dropped + waiting, exactly.
 */
void vmq_dp_queue_stats_get(const struct vmq_dp_queue *queue, struct vmq_dp_queue_stats *stats);

/** What a queue's VM has sent. */
struct vmq_dp_tx_stats {
	uint64_t received, received_bytes; /**< Taken from the backend. */
	uint64_t sent, sent_bytes; /**< To the wire; bytes with the tag inserted. */
	uint64_t local, local_bytes; /**< To another queue only. */
	uint64_t copies; /**< Of broadcast and multicast frames, for other queues. */
	uint64_t drops[VMQ_TX_DROP_COUNT];
	uint64_t dropped; /**< Sum of drops. */
	uint64_t waiting; /**< Taken, and still on its way. */
};

/**
 * Any thread. At any quiet moment received = sent + local + dropped + waiting, exactly.
 * Zeros for a queue whose backend receives nothing.
 */
void vmq_dp_queue_tx_stats_get(const struct vmq_dp_queue *queue, struct vmq_dp_tx_stats *stats);

/** The Rx queue of an adapter's default queue. */
struct vmq_dp_source;

/**
 * @param pool
 *   What the Rx queue receives into.
 * @return NULL with rte_errno ENOMEM. Not polled before
 *   vmq_datapath_assign() and the first vmq_dp_source_publish().
 */
struct vmq_dp_source *vmq_dp_source_create(struct vmq_datapath *dp, uint16_t worker,
	uint16_t port_id, uint16_t rx_queue, struct rte_mempool *pool);

/** Free, with its view. No worker may use it any more. NULL is allowed. */
void vmq_dp_source_free(struct vmq_dp_source *source);

/**
 * Publish a view: from one packet to the next the source goes by it. The old view is
 * freed once no worker can be using it. One pointer store: atomic for every packet.
 * The worker also flushes its cache of the source's pool when it sees a new view.
 */
void vmq_dp_source_publish(struct vmq_dp_source *source, struct vmq_dp_view *view);

/** How far a ring of the NIC was emptied at some moment. */
struct vmq_dp_mark {
	uint64_t received;
	uint64_t shorts;
};

/** Any thread. */
void vmq_dp_source_mark(const struct vmq_dp_source *source, struct vmq_dp_mark *mark);
void vmq_dp_hw_mark(const struct vmq_dp_hw *hw, struct vmq_dp_mark *mark);

/**
 * Has all that was in the ring at the mark been received, and gone on to its queues: to their
 * backends, or kept for these, or dropped? Any thread.
 *
 * @param ring
 *   Descriptors of the ring.
 */
bool vmq_dp_source_drained(const struct vmq_dp_source *source, const struct vmq_dp_mark *mark,
	uint32_t ring);
bool vmq_dp_hw_drained(const struct vmq_dp_hw *hw, const struct vmq_dp_mark *mark,
	uint32_t ring);

/** What an adapter's queues send on: the Tx queues of its port. */
struct vmq_dp_uplink;

struct vmq_dp_uplink_params {
	uint16_t port_id;
	uint16_t tx_queues; /**< Fewer than workers: they share. */
	uint16_t mtu; /**< Longest packet, in bytes without header and tags. */
	bool multi_segs; /**< The port sends packets of several segments. */
	struct vmq_dp_source *source; /**< By whose view it is decided what goes out. */
};

/** @return NULL with rte_errno ENOMEM */
struct vmq_dp_uplink *vmq_dp_uplink_create(struct vmq_datapath *dp,
	const struct vmq_dp_uplink_params *params);

/** Free. No worker may use it any more. NULL is allowed. */
void vmq_dp_uplink_free(struct vmq_dp_uplink *uplink);

/**
 * Ask the workers to fetch from the port the packets that it has sent and still has in
 * its rings; without it they come home when others follow them. Does not wait.
 */
void vmq_dp_uplink_clean(struct vmq_dp_uplink *uplink);

/**
 * Switch it off, and on again: while it is off the port takes nothing, as one that is full
 * (VMQ_TX_DROP_PORT in the end). After vmq_datapath_synchronize() no worker uses the port.
 */
void vmq_dp_uplink_switch(struct vmq_dp_uplink *uplink, bool on);

/** Let a queue send. Before it is assigned as a sender. */
void vmq_dp_queue_set_uplink(struct vmq_dp_queue *queue, struct vmq_dp_uplink *uplink);

/**
 * Most packets that a source's worker gathers before it delivers them. They lie in
 * the pool received into.
 */
#define VMQ_GATHER_MAX (VMQ_GATHER_POLLS * VMQ_BURST)

/** Turns after which a worker delivers what it has gathered, full bursts or not. */
#define VMQ_GATHER_POLLS 64

/** What one worker has to do beside delivering what its own sources receive. */
struct vmq_dp_assignment {
	struct vmq_dp_source *const *sources;
	uint16_t n_sources;
	struct vmq_dp_queue *const *queues; /**< Served for sources of other workers. */
	uint16_t n_queues;
	struct vmq_dp_queue *const *senders; /**< Served, and their VMs send. */
	uint16_t n_senders;
	struct vmq_dp_uplink *const *uplinks; /**< All there are. */
	uint16_t n_uplinks;
	struct vmq_dp_hw *const *hw; /**< Slots that it polls. */
	uint16_t n_hw;
};

/**
 * Publish what a worker has to do; the arrays are copied.
 *
 * @return 0, or -ENOMEM: the worker goes on as before.
 */
int vmq_datapath_assign(struct vmq_datapath *dp, uint16_t worker,
	const struct vmq_dp_assignment *assignment);

/**
 * Wait until every worker goes by what has been published, and has let go of what it
 * had gathered by anything older. Takes two turns of the slowest worker's loop.
 */
void vmq_datapath_synchronize(struct vmq_datapath *dp);

/** Free views and lists that no worker can be using any more; does not wait. */
void vmq_datapath_reclaim(struct vmq_datapath *dp);

#endif /* VMQ_DATAPATH_H */
