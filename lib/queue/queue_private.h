/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_QUEUE_PRIVATE_H
#define VMQ_QUEUE_PRIVATE_H

#include <sys/queue.h>

#include "vmq_queue.h"

/* Ids of queues are 16 bits, and so is their number in a view. */
#define QUEUES_MAX UINT16_MAX

/*
 * A pool that is received into keeps the last buffers used at hand for its worker: they
 * are still in the CPU's caches, and a ring would hand out the coldest ones. As many as
 * DPDK allows, because what is gathered comes back by hundreds: steering to 24 sinks, 31
 * Mpps with 256 and 40 with 512, in turn on one core. What is more than that goes into a
 * stash: see vmq_stash.h.
 */
#define RX_CACHE_SIZE VMQ_POOL_CACHE_MAX

struct queue {
	uint16_t id;
	enum vmq_queue_state state;
	struct vmq_adapter *adapter;
	char *name;
	char *vm;
	uint16_t worker;
	struct vmq_queue_memory memory;
	bool keep_tags;
	bool anti_spoof;
	bool receive_only;
	bool broadcast;
	struct vmq_dp_rate rate_to_vm, rate_from_vm;
	struct vmq_backend_params backend_params; /* strings are the queue's own */
	uint32_t n_filters;
	uint8_t priority;

	/* slots.c, promote.c */
	struct slot *slot; /* of the hardware; NULL: it is steered in software */
	char hardware_why[256]; /* why it has none; "" if it has one */
	char rule_why[256]; /* why a filter of it has no rule */
	bool held; /* one way of its packets, for the present step of the rules */
	bool leaving_hardware; /* its rules go, and its ring is emptied */
	bool demoted; /* by hand: it is not promoted of itself */
	struct change *change; /* under way */
	struct vmq_pool *left_pool; /* what it had before, while packets are out of it */
	uint64_t last_received;

	/* From completion to freeing. */
	struct vmq_pool *pool;
	struct vmq_pool *xmit_pool; /* NULL if the backend receives nothing */
	/* xmit.c */
	struct vmq_pool *left_xmit_pool; /* on another node, while packets are out of it */
	int xmit_node; /* where xmit_pool is */
	int xmit_tried; /* node that there was no memory on */
	char xmit_why[256]; /* why not there; "" if it is where it should be */
	unsigned int xmit_pools; /* made so far: their names differ */
	struct xmit_move *xmit_move; /* under way */
	struct vmq_backend *backend;
	struct vmq_backend_link link; /* of the backend, as it was indicated */
	struct vmq_dp_queue *dp;
	struct vmq_dp_queue_stats last_packets; /* what dp counted until it was closed */
	struct vmq_dp_tx_stats last_transmit;

	/* While a batch with this queue is with the helper thread. */
	bool completing;
	enum vmq_queue_state state_at_halt; /* of its adapter */
	bool abort; /* it is to be freed: no worker serves it, no batch completes it */

	/* While it is being freed. */
	uint64_t freeing_since_ms;
	vmq_free_callback *free_callback;
	void *free_arg;
	struct vmq_job job; /* frees the memory */
	bool releasing; /* the job is under way */
};

/* Rx queues of the port beside the default one. */
struct slot {
	uint16_t number;
	struct vmq_adapter *adapter;
	struct queue *queue; /* whose it is; NULL: it is parked */
	struct vmq_pool *pool;
	struct vmq_dp_hw *hw;
	uint16_t worker; /* that polls it; VMQ_DP_NO_WORKER: none */
	bool running; /* its Rx queues are, or will be once the port is usable */
	bool parking; /* it is to be stopped, when its ring is found empty */
	bool park_marked;
	uint64_t park_since_us; /* of parking; or when a stop that failed is tried again */
	struct vmq_dp_mark park_mark;
	/* vanish.c: counted at its last look; and looks that found something odd */
	uint64_t last_by_hardware, last_replicas, last_received;
	unsigned int doubts;
	uint32_t ring_buffers; /* that its rings take */
	uint32_t parked_buffers; /* the least that it needs */
	uint32_t buffer_size;
	/* rules.c */
	struct vmq_dp_mark mark;
	bool draining; /* a rule that led here was removed in this step */
	/* While it is parked: when to give memory back, or until when a try to do so lasts. */
	uint64_t shrink_ms;
	bool shrinking;
};

enum rules_step {
	RULES_IDLE,
	RULES_REMOVED, /* until the slots' rings are empty */
	RULES_MADE, /* until the default ring is empty */
};

struct hardware {
	enum vmq_steering asked, steering;
	char why_not[VMQ_STEERING_COUNT][256];
	bool tried[VMQ_STEERING_COUNT];
	struct vmq_steer_capabilities rules[VMQ_STEERING_COUNT]; /* of those tried */
	struct vmq_port_capabilities port; /* some are known once it has started */
	struct vmq_steer *steer; /* NULL: software */
	uint32_t limit; /* of a queue that can have a slot */
	uint16_t n_slots;
	struct slot *slots;
	/* rules.c */
	bool rules_changed; /* filters or slots have, since the rules were looked at */
	enum rules_step step;
	uint64_t step_since_us;
	bool marked;
	struct vmq_dp_mark mark; /* of the default ring */
	uint32_t default_ring; /* its descriptors */
	uint64_t retry_ms; /* no rule is asked for before */
	uint64_t promote_ms; /* when to look for queues to promote */
	uint64_t changes; /* of filters and rules, counted */
	/* vanish.c */
	bool testing; /* the verification under way is its own */
	uint64_t doubt_ms; /* when it looks again */
	uint64_t test_ms; /* no test before */
};

/* fault.c: a port that does not run. */
struct fault {
	enum vmq_port_state state;
	char why[256];
	char rule_why[256]; /* why a rule could not be put back */
	uint32_t events; /* VMQ_PORT_* to be seen to */
	uint32_t resets, restored;
	uint64_t look_ms; /* when to look whether the device is there, and its rules */
	uint64_t retry_ms; /* of a reset that has failed */
	uint32_t retry_after_ms;
	bool let_go; /* the device that is gone may be taken back */
	struct vmq_job job; /* starts it again */
	int ret; /* the job's */
	struct vmq_error err;
};

struct vmq_adapter {
	STAILQ_ENTRY(vmq_adapter) next;
	struct vmq_host *host;
	char name[VMQ_NAME_SIZE];
	unsigned int number; /* in the names of its pools */
	struct vmq_shmem *shmem;
	struct vmq_port *port;
	struct vmq_filter_set *filters;
	struct vmq_dp_source *source;
	struct vmq_dp_uplink *uplink;
	uint16_t source_worker;
	uint16_t mtu;
	struct hardware hardware;
	struct verify *verify; /* verify.c's; NULL: nobody verifies */
	struct vmq_port_link link; /* as it was indicated */
	uint64_t look_ms; /* when links are looked at again */
	struct vmq_port_stats last_port; /* what the port counted until it was closed, or stopped */
	struct vmq_port_stats before_resets; /* what it had counted and has forgotten */
	struct fault fault;
	struct queue **queues; /* by id, NULL: none; [0] is the default queue */
	uint32_t n_slots; /* in queues */
	unsigned int batch; /* depth of begin without commit */
	bool unpublished; /* something has changed since the last view */
	bool runs_again; /* a queue does, which workers may have seen stopped */
	bool unsettled; /* the batch has moved the last filter away from a queue */
	bool halted;
	uint32_t kept_least, kept_most; /* buffers that its driver keeps, once it is halted */
	vmq_indication_callback *indication;
	void *indication_arg;
};

struct vmq_host {
	struct vmq_datapath *dp;
	struct vmq_jobs *jobs;
	STAILQ_HEAD(, vmq_adapter) adapters;
	unsigned int next_number;
	/* load.c */
	struct worker_window *windows; /* one for each worker */
	uint64_t window_since_ms;
	uint64_t moved; /* packets, of all workers */
	bool quiet; /* the last vmq_host_progress() had nothing to do */
};

/*
 * load.c: what the workers do. load_open() returns -1 without memory; load_progress()
 * whether packets have moved since the last call.
 */
int load_open(struct vmq_host *host);
bool load_progress(struct vmq_host *host, uint64_t now_ms);

/* adapter.c */
struct queue *adapter_queue(const struct vmq_adapter *adapter, uint32_t id);
/* Of the default queue's buffers that are out: those that the driver keeps for good. */
uint32_t adapter_kept_buffers(const struct vmq_adapter *adapter);
/* Publish what has changed, unless a batch is open. */
enum vmq_status adapter_publish(struct vmq_adapter *adapter, struct vmq_error *err);
/* The same, without a look at the rules. */
enum vmq_status adapter_publish_view(struct vmq_adapter *adapter, struct vmq_error *err);
void adapter_indicate(struct vmq_adapter *adapter, enum vmq_indication indication,
	uint16_t queue_id, uint32_t value);

/* host.c: hand out the work anew to all workers. Returns 0 or -ENOMEM. */
int host_assign(struct vmq_host *host);
uint64_t host_now_ms(void);
uint64_t host_now_us(void);

/* queue.c */
struct queue *queue_create(struct vmq_adapter *adapter, uint16_t id,
	const struct vmq_queue_params *params);
void queue_destroy(struct queue *queue);
/* Refuse an event, in words. */
enum vmq_status queue_refuse(const struct queue *queue, enum vmq_queue_event event,
	struct vmq_error *err);
void queue_set_state(struct queue *queue, enum vmq_queue_state state);
/* Is it what workers may deliver to? */
bool queue_is_active(const struct queue *queue);

/* Does its VM send? */
static inline bool
queue_transmits(const struct queue *queue)
{
	return !queue->receive_only && vmq_backend_type_receives(queue->backend_params.type);
}

/* queue_open.c */
/*
 * Give a queue its pools, with that many buffers; none are left behind on failure.
 * Control thread or helper thread.
 */
enum vmq_status queue_open_memory(struct queue *queue, uint32_t buffers, struct vmq_error *err);
/* Give a queue with pools its backend and data path; on failure the pools go too. */
enum vmq_status queue_open_path(struct queue *queue, struct vmq_error *err);
/*
 * Take data path and backend away; no worker may use the queue any more. Waits for a
 * backend that is not quiet: vmq_backend_quiesce(). May be called again.
 */
void queue_close_path(struct queue *queue);
/* Packets that are out of the queue's memory. */
uint32_t queue_missing(const struct queue *queue);
/* Free the pools. Returns false while packets are out, or memory is on its way. */
bool queue_close_memory(struct queue *queue);

/* The NUMA node asked for, else that of its worker. */
int queue_own_node(const struct queue *queue);

/* A pool with a first block. Returns NULL with rte_errno. Control thread or helper thread. */
struct vmq_pool *queue_fill_pool(struct queue *queue, const struct vmq_pool_params *params,
	uint32_t buffers, struct vmq_error *err);

/* xmit.c */
struct vmq_pool *xmit_make_pool(struct queue *queue, int node, struct vmq_error *err);
/* Have the memory follow the VM that is there. */
void xmit_follow(struct queue *queue);
/* Growth, return, and the end of a pool that was left. */
void xmit_progress(struct queue *queue, uint64_t now_ms);

/* Make a queue's packet pool in software. Control thread or helper thread. */
struct vmq_pool *queue_make_pool(struct queue *queue, struct vmq_error *err);
/* Marks and indications of the pool that the queue has. */
bool queue_pool_grows(const struct queue *queue);
void queue_watch_pool(struct queue *queue);
/* The pool of its slot is the queue's from now on. */
void queue_use_slot_pool(struct queue *queue);

/* hardware.c: what each slot receives into; the caller frees it. NULL: no memory. */
struct rte_mempool **hardware_pools(const struct vmq_adapter *adapter);
/* Choose who steers and start the port; then, with a source, the rest. */
int hardware_start_port(struct vmq_adapter *adapter, const struct vmq_adapter_hardware *params,
	struct vmq_error *err);
int hardware_start(struct vmq_adapter *adapter, struct vmq_error *err);
/* Remove all rules, before the port stops; and free the slots, once it is closed. */
void hardware_close(struct vmq_adapter *adapter);
void hardware_free(struct vmq_adapter *adapter);

/* slots.c */
int slot_open(struct slot *slot, uint32_t limit, struct vmq_error *err);
void slot_close(struct slot *slot);
bool slot_is_free(const struct slot *slot);
struct slot *slot_find_free(struct vmq_adapter *adapter);
/* Packets that are out of its memory and not in the NIC's ring. */
uint32_t slot_missing(const struct slot *slot);
uint32_t slot_reserve(void);
/* Why a queue cannot have one of the adapter's slots at all; "" if it can. */
const char *queue_unfit(const struct queue *queue, char *text, size_t size);
/* Can it ever have a slot? If not, hardware_why says why. */
bool queue_may_have_slot(struct queue *queue);
/* Give a new queue a slot if there is one for it. */
void queue_take_slot(struct queue *queue);
void queue_take_free_slot(struct queue *queue, struct slot *slot);
void queue_leave_slot(struct queue *queue, const char *why);
/* Its pool is the queue's, with that many buffers; and is not. Any one thread. */
enum vmq_status slot_open_memory(struct slot *slot, const struct queue *queue, uint32_t buffers,
	struct vmq_error *err);
void slot_close_memory(struct slot *slot);
/*
 * Have a slot's Rx queues run; and all that are to run, once a port was started anew. Returns
 * 0 or -errno with err. Control thread.
 */
int slot_run(struct slot *slot, struct vmq_error *err);
int slots_run_again(struct vmq_adapter *adapter, struct vmq_error *err);
/* Memory goes back from slots that nobody has, and their Rx queues are stopped. */
void slots_progress(struct vmq_adapter *adapter, uint64_t now_ms);
/* Have each slot polled by its queue's worker. Returns 0 or -ENOMEM. */
int slots_assign(struct vmq_adapter *adapter);
/* Tell a view who has which slot. Returns false without memory. */
bool slots_fill_view(const struct vmq_adapter *adapter, struct vmq_dp_view *view,
	const struct vmq_classifier_queue *classes);

/* rules.c: have the NIC's rules follow; go on with it; does one lead to a slot? */
void rules_changed(struct vmq_adapter *adapter);
void rules_progress(struct vmq_adapter *adapter);
/*
 * Before a filter goes to another queue: frames of it may still be on their way by a change
 * of the rules that is not over. Waits for its end, briefly; returns false if it did not come.
 */
bool rules_settle(struct vmq_adapter *adapter);
/* Are the rules as they are to be, as far as the NIC takes them now? */
bool rules_are_settled(const struct vmq_adapter *adapter);
bool rules_lead_to(const struct vmq_adapter *adapter, const struct slot *slot);

/* verify.c */
void verify_progress(struct vmq_adapter *adapter, uint64_t now_ms);
void verify_end(struct vmq_adapter *adapter);

/* vanish.c: look for rules that have no effect any more; end a test of its own. */
void vanish_progress(struct vmq_adapter *adapter, uint64_t now_ms);
void vanish_end(struct vmq_adapter *adapter);

/* promote.c */
void promote_progress(struct vmq_adapter *adapter, uint64_t now_ms);
/* The last rule of a queue that leaves the hardware is gone, and its ring empty. */
void queue_left_hardware(struct queue *queue);
/* A queue is to be freed, or its adapter halted. */
void queue_end_change(struct queue *queue);

/* fault.c */
void fault_progress(struct vmq_adapter *adapter, uint64_t now_ms);
/* May control and workers use the port now? */
static inline bool
port_is_usable(const struct vmq_adapter *adapter)
{
	return adapter->port != NULL && adapter->fault.state == VMQ_PORT_RUNS;
}

/* links.c: tell of links that have come or gone, if it is time to look. */
void adapter_look_at_links(struct vmq_adapter *adapter, uint64_t now_ms);

/* queue_free.c: go on with freeing. */
void queue_free_progress(struct queue *queue);

#endif /* VMQ_QUEUE_PRIVATE_H */
