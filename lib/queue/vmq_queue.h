/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_QUEUE_H
#define VMQ_QUEUE_H

/**
 * @file
 * Adapters and their queues: the object that joins memory, filters, port, backend
 * and data path, and the states it goes through. Control thread only.
 *
 *                  SET_FILTER          ALLOCATION_COMPLETE
 *      Allocated ------------> Set -------------------------> Running
 *        |   ^                  |                              |   ^
 *        |   +------------------+            last CLEAR_FILTER |   | SET_FILTER
 *        |    last CLEAR_FILTER                                v   |
 *        +--------- ALLOCATION_COMPLETE ---------------------> Paused
 *        |                                                     |
 *        +--- FREE_QUEUE ---> DmaStopped ---> Freeing <--------+ FREE_QUEUE
 *                              (indicated)     (all packets home) ---> Undefined
 *
 * The table with every event is in state.c; an event without an entry is refused
 * with VMQ_STATUS_NOT_ACCEPTED and changes nothing (spec: Queue states).
 */

#include <vmq_backend.h>
#include <vmq_base.h>
#include <vmq_datapath.h>
#include <vmq_filter.h>
#include <vmq_port.h>
#include <vmq_shmem.h>

/** The seven states of a queue. */
enum vmq_queue_state {
	VMQ_QUEUE_UNDEFINED,
	VMQ_QUEUE_ALLOCATED,
	VMQ_QUEUE_SET,
	VMQ_QUEUE_RUNNING,
	VMQ_QUEUE_PAUSED,
	VMQ_QUEUE_DMA_STOPPED,
	VMQ_QUEUE_FREEING,
	VMQ_QUEUE_STATE_COUNT, /* not a state; the answer to an event that is refused */
};

/** What may happen to a queue: rows of the table in the specification. */
enum vmq_queue_event {
	VMQ_EVENT_ALLOCATE_QUEUE,
	VMQ_EVENT_QUERY_PARAMETERS,
	VMQ_EVENT_SET_PARAMETERS,
	VMQ_EVENT_SET_FILTER,
	VMQ_EVENT_CLEAR_LAST_FILTER,
	VMQ_EVENT_CLEAR_FILTER, /**< Not the last one. */
	VMQ_EVENT_ENUM_FILTERS,
	VMQ_EVENT_FILTER_PARAMETERS,
	VMQ_EVENT_ALLOCATION_COMPLETE,
	VMQ_EVENT_RECEIVE,
	VMQ_EVENT_FREE_QUEUE,
	VMQ_EVENT_DMA_STOPPED, /**< DMA has stopped and that was indicated. */
	VMQ_EVENT_RESOURCES_FREED, /**< All packets are home, all resources free. */
	VMQ_EVENT_COUNT, /* not an event */
};

/**
 * The state table, a pure function.
 *
 * @return the next state, or VMQ_QUEUE_STATE_COUNT: the event is not valid there.
 */
enum vmq_queue_state vmq_queue_next_state(enum vmq_queue_state state, enum vmq_queue_event event);

/** "Allocated", "DmaStopped"... */
const char *vmq_queue_state_name(enum vmq_queue_state state);

/** "SET_FILTER"... */
const char *vmq_queue_event_name(enum vmq_queue_event event);

/** The public operational state: "Undefined", "Running", "Paused" or "DmaStopped". */
const char *vmq_queue_operational_state(enum vmq_queue_state state);

/** The workers and the adapters on them. */
struct vmq_host;

/**
 * @param lcores
 *   One worker on each; worker numbers are indices in this array.
 * @return NULL with rte_errno
 */
struct vmq_host *vmq_host_create(const unsigned int *lcores, uint16_t n_workers);

/** What the workers do when there is nothing to do; before vmq_host_start(). */
void vmq_host_set_workers(struct vmq_host *host, const struct vmq_worker_params *params);

/** Launch the workers. @return 0 or -errno */
int vmq_host_start(struct vmq_host *host);

/** Stop the workers; from then on no packet moves. */
void vmq_host_stop(struct vmq_host *host);

/** Free. Its adapters must be gone. NULL is allowed. */
void vmq_host_free(struct vmq_host *host);

struct vmq_datapath *vmq_host_datapath(const struct vmq_host *host);

/** What a worker has done over some time. All 0 where there was nothing to measure. */
struct vmq_worker_load {
	double seconds;
	double mpps; /**< Received, and delivered from backlogs. */
	double cycles_per_packet; /**< TSC cycles of turns with work, for each of these. */
	double mean_burst; /**< Packets of a receive call that had any. */
	double busy, idle, sleep; /**< Shares of the time, 0 to 1: work, polling in vain, sleep. */
};

/** The load between two looks at a worker's counters, all 0 for the worker's start. */
void vmq_worker_load_between(const struct vmq_worker_stats *from,
	const struct vmq_worker_stats *to, struct vmq_worker_load *load);

/** The load over the last whole second or so that vmq_host_progress() has seen. */
void vmq_host_worker_load(const struct vmq_host *host, uint16_t worker,
	struct vmq_worker_load *load);

/** How many queues, of all adapters, a worker serves or is to serve. */
uint32_t vmq_host_queues_on(const struct vmq_host *host, uint16_t worker);

/** Readable when vmq_host_progress() has something to do before its time. */
int vmq_host_fd(const struct vmq_host *host);

/**
 * Go on with all that waits: memory that the helper thread has found or freed, demand
 * of the pools, queues that are being freed, views that workers have left. To be
 * called every few milliseconds, and when vmq_host_fd() is readable.
 */
void vmq_host_progress(struct vmq_host *host);

/** Did nothing wait and no packet move? Then the next call may come later than else. */
bool vmq_host_is_quiet(const struct vmq_host *host);

/** An adapter: a port, its queues, filters and memory. Owner: the host. */
struct vmq_adapter;

struct vmq_queue_memory {
	uint32_t buffers; /**< Allocated when the queue's allocation is completed. */
	uint32_t limit; /**< Most buffers that it may ever have. */
	uint32_t buffer_size; /**< Bytes of packet in one buffer. */
	/**
	 * When there is not enough memory for all queues of a batch, what each gets at
	 * least; 0: buffers, all of them or failure.
	 */
	uint32_t min_buffers;
	int node; /**< NUMA node, or SOCKET_ID_ANY: the one of its worker. */
	bool contiguous;
	/** Growth and return; all 0: vmq_pool_demand_default(). */
	struct vmq_pool_demand demand;
};

struct vmq_queue_params {
	const char *name; /**< Copied. */
	const char *vm; /**< Copied; NULL: none. */
	uint16_t worker; /**< Serves the queue. */
	struct vmq_queue_memory memory;
	bool keep_tags;
	/**
	 * Do not check what the VM sends: by default a frame passes only if one to its
	 * source address, on its VLAN, would come to this queue.
	 */
	bool allow_spoofing;
	/** Limits of what goes to the VM and what comes from it; mbps 0: none. */
	struct vmq_dp_rate rate_to_vm, rate_from_vm;
	/** Copies of broadcast and multicast frames of its VLANs come to it. */
	bool broadcast;
	uint8_t priority; /**< Who gets a hardware queue when there are too few: the highest. */
	bool receive_only; /**< Take nothing from its backend: a mirror or a loopback. */
	/** Type, file and device are read; strings are copied. */
	struct vmq_backend_params backend;
};

/** Steering in hardware; all zero: as much as there is, with no slot: software. */
struct vmq_adapter_hardware {
	enum vmq_steering steering;
	uint16_t slots; /**< Most hardware queues; each is parked with memory for its ring. */
	uint16_t rx_descriptors; /**< Of each one's ring. */
	uint32_t buffer_size; /**< Only queues with buffers of this size can have one, */
	uint32_t limit; /**< and with a limit of at most this many. */
	const uint16_t *vlans; /**< VMDq: the NIC is to test these, and only these. */
	uint16_t n_vlans;
	/** Instead of the driver of that steering, for tests. */
	const struct vmq_steer_ops *ops;
	void *ops_arg;
};

struct vmq_adapter_params {
	const char *name; /**< Copied. */
	struct vmq_port_params port;
	struct vmq_adapter_hardware hardware;
	size_t memory_limit_bytes; /**< Of all queues; 0: no limit. */
	const struct vmq_shmem_provider *provider; /**< NULL: DPDK memzones. */
	void *provider_arg;
	struct vmq_queue_params default_queue; /**< Its worker receives for the adapter. */
};

/** Fewest buffers that a default queue needs: the NIC's ring, and what is gathered. */
uint32_t vmq_adapter_min_buffers(uint16_t rx_descriptors);

/**
 * Memory that a queue takes, in bytes: its buffers and all that goes with them. Works
 * before EAL starts.
 */
size_t vmq_queue_memory_bytes(uint32_t buffers, uint32_t limit, uint32_t buffer_size);

/** The same for what its backend needs beside, such as a port's receive buffers. */
size_t vmq_queue_backend_bytes(enum vmq_backend_type type);

/** Memzones that a queue with such a backend takes. */
unsigned int vmq_queue_memzones(enum vmq_backend_type type);

/**
 * Adapter start (MiniportInitializeEx): open the port, give the default queue its
 * memory and backend, and start receiving. Memory that cannot be had in full is asked
 * for again smaller, down to the default queue's min_buffers, but not below what the
 * port's ring needs (vmq_adapter_min_buffers()); what was obtained is said. Until its queues have filters everything
 * goes to the default queue.
 *
 * @return NULL with rte_errno, the reason in err, and nothing left behind.
 */
struct vmq_adapter *vmq_adapter_start(struct vmq_host *host,
	const struct vmq_adapter_params *params, struct vmq_error *err);

/**
 * Adapter halt (MiniportHaltEx), from any state: no more packets, then queues, then
 * the default queue. Requests that were pending end with REQUEST_ABORTED. Packets may
 * still be out; memory goes with vmq_adapter_free(), and until then the figures of all
 * queues can still be read.
 */
void vmq_adapter_halt(struct vmq_adapter *adapter);

/** What an adapter tells of its own accord (NDIS: status indications). */
enum vmq_indication {
	VMQ_INDICATE_QUEUE_STATE, /**< value: enum vmq_queue_state */
	VMQ_INDICATE_QUEUE_PARAMETERS, /**< A parameter has changed. */
	VMQ_INDICATE_MEMORY_GROWN, /**< value: buffers */
	VMQ_INDICATE_MEMORY_RETURNED, /**< value: buffers */
	VMQ_INDICATE_MEMORY_FAILED, /**< A block could not be had. */
	VMQ_INDICATE_BACKEND_UP, /**< Somebody is at the other end of a queue's backend. */
	VMQ_INDICATE_BACKEND_DOWN,
	VMQ_INDICATE_LINK_UP, /**< Of the adapter's port; value: Mbit/s, 0: unknown */
	VMQ_INDICATE_LINK_DOWN,
	VMQ_INDICATE_COUNT, /* not an indication */
};

typedef void vmq_indication_callback(void *arg, struct vmq_adapter *adapter,
	enum vmq_indication indication, uint16_t queue_id, uint32_t value);

/** Who is told; NULL: nobody. */
void vmq_adapter_set_indications(struct vmq_adapter *adapter, vmq_indication_callback *callback,
	void *arg);

/**
 * Free a halted adapter for good.
 *
 * @return how many blocks of memory have leaked: packets that never came home keep
 *   theirs.
 */
unsigned int vmq_adapter_free(struct vmq_adapter *adapter);

const char *vmq_adapter_name(const struct vmq_adapter *adapter);
struct vmq_host *vmq_adapter_host(const struct vmq_adapter *adapter);

/** Has vmq_adapter_halt() been called? */
bool vmq_adapter_is_halted(const struct vmq_adapter *adapter);

/** The link of its port; after the halt: down. */
void vmq_adapter_link(const struct vmq_adapter *adapter, struct vmq_port_link *link);

/** Alignment of its queues' memory, in bytes (NdisMGetDmaAlignment). */
size_t vmq_adapter_alignment(const struct vmq_adapter *adapter);
void vmq_adapter_port_stats(const struct vmq_adapter *adapter, struct vmq_port_stats *stats);

/**
 * Between these two, changes of filters and queues are not published one by one but
 * all at once by the second call. A queue whose last filter is moved away runs on until
 * then, so that the move loses nothing; no queue can be freed (NOT_ACCEPTED).
 *
 * @return of vmq_adapter_commit: VMQ_STATUS_SUCCESS, or VMQ_STATUS_RESOURCES: the
 *   workers go on by the last view that was published.
 */
void vmq_adapter_begin(struct vmq_adapter *adapter);
enum vmq_status vmq_adapter_commit(struct vmq_adapter *adapter, struct vmq_error *err);

/**
 * ALLOCATE_QUEUE. Takes no memory for packets yet.
 *
 * @param id
 *   Receives the queue's id, 1 and up.
 */
enum vmq_status vmq_queue_allocate(struct vmq_adapter *adapter,
	const struct vmq_queue_params *params, uint16_t *id, struct vmq_error *err);

/** One queue of a batch, and what became of it. */
struct vmq_queue_completion {
	uint16_t id;
	enum vmq_status status;
	uint32_t buffers; /**< How many it really has. */
	struct vmq_error error; /**< Set if status is not VMQ_STATUS_SUCCESS. */
};

/** The end of a request that was pending. */
typedef void vmq_complete_callback(void *arg, const struct vmq_queue_completion *batch, uint16_t n);
typedef void vmq_free_callback(void *arg, uint16_t id, enum vmq_status status);

/**
 * QUEUE_ALLOCATION_COMPLETE for a batch: each queue gets its memory and its backend.
 * When there is not enough for all, what there is is shared: all queues of the batch
 * get the same part of what they asked for, down to their min_buffers.
 *
 * @param callback
 *   Without it the call waits for the memory, as at the start. With it the helper
 *   thread finds the memory and batch is only read; the callback has the results.
 * @return VMQ_STATUS_SUCCESS; the status of the first queue that did not get what it
 *   needs; VMQ_STATUS_PENDING with a callback; VMQ_STATUS_RESOURCES.
 */
enum vmq_status vmq_queue_complete(struct vmq_adapter *adapter, struct vmq_queue_completion *batch,
	uint16_t n, vmq_complete_callback *callback, void *arg);

/**
 * FREE_QUEUE. Only a queue without filters can be freed. DMA stops at once; the memory
 * goes when the last packet is home.
 *
 * @param callback
 *   Called when the queue is gone, unless the answer is an error or SUCCESS; or NULL.
 * @return VMQ_STATUS_PENDING: vmq_host_progress() goes on with it;
 *   VMQ_STATUS_NOT_ACCEPTED; VMQ_STATUS_INVALID_PARAMETER: no such queue, or the
 *   default queue.
 */
enum vmq_status vmq_queue_free(struct vmq_adapter *adapter, uint16_t id,
	vmq_free_callback *callback, void *arg, struct vmq_error *err);

/** What of a queue's parameters can be changed after it was allocated. */
#define VMQ_QUEUE_CHANGE_WORKER (UINT32_C(1) << 0)
#define VMQ_QUEUE_CHANGE_BUFFERS (UINT32_C(1) << 1)
#define VMQ_QUEUE_CHANGE_NAME (UINT32_C(1) << 2)
#define VMQ_QUEUE_CHANGE_OPTIONS (UINT32_C(1) << 3) /**< allow_spoofing and broadcast */
#define VMQ_QUEUE_CHANGE_RATE (UINT32_C(1) << 4) /**< Both. */
/** Only told, never asked for: hardware or software. */
#define VMQ_QUEUE_CHANGE_STEERING (UINT32_C(1) << 31)

/**
 * QUEUE_PARAMETERS set. Another worker takes over with nothing lost and in order;
 * another number of buffers is a hint that counts at completion.
 *
 * @param changes
 *   VMQ_QUEUE_CHANGE_*: which fields of params are read: worker, memory.buffers, name,
 *   allow_spoofing and broadcast, rate_to_vm and rate_from_vm.
 */
enum vmq_status vmq_queue_set_params(struct vmq_adapter *adapter, uint16_t id, uint32_t changes,
	const struct vmq_queue_params *params, struct vmq_error *err);

/** The end of a promotion or demotion. */
typedef void vmq_change_callback(void *arg, uint16_t id, enum vmq_status status,
	const struct vmq_error *err);

/**
 * Give a running queue a free slot of the hardware: nothing is lost and nothing overtakes.
 * Its memory becomes the slot's. The callback says that it has the slot; the NIC's rules
 * follow within milliseconds.
 *
 * @return VMQ_STATUS_PENDING; VMQ_STATUS_NOT_SUPPORTED: it cannot have one, err says why;
 *   VMQ_STATUS_RESOURCES: none is free; VMQ_STATUS_NOT_ACCEPTED: it has one, or its last
 *   change is not over; VMQ_STATUS_INVALID_PARAMETER.
 */
enum vmq_status vmq_queue_promote(struct vmq_adapter *adapter, uint16_t id,
	vmq_change_callback *callback, void *arg, struct vmq_error *err);

/**
 * Steer a queue in software again. It is not promoted of itself any more.
 *
 * @return as vmq_queue_promote().
 */
enum vmq_status vmq_queue_demote(struct vmq_adapter *adapter, uint16_t id,
	vmq_change_callback *callback, void *arg, struct vmq_error *err);

/** SET_FILTER. @param filter_id receives the new filter's id. */
enum vmq_status vmq_queue_set_filter(struct vmq_adapter *adapter, uint16_t id,
	const struct vmq_filter_match *match, uint32_t *filter_id, struct vmq_error *err);

/**
 * CLEAR_FILTER. After the last one of a queue it delivers nothing more: what waits in
 * it is dropped and counted.
 *
 * @return VMQ_STATUS_FILE_NOT_FOUND: no such filter.
 */
enum vmq_status vmq_queue_clear_filter(struct vmq_adapter *adapter, uint32_t filter_id,
	struct vmq_error *err);

/** MOVE_FILTER, atomic for every packet. */
enum vmq_status vmq_queue_move_filter(struct vmq_adapter *adapter, uint32_t filter_id,
	uint16_t from, uint16_t to, struct vmq_error *err);

/**
 * Give a queue one more block, beyond what demand does. VMQ_INDICATE_MEMORY_GROWN or
 * _FAILED tells how it ended. A block that nobody needs goes again by demand.
 *
 * @return VMQ_STATUS_PENDING; VMQ_STATUS_NOT_ACCEPTED: it has no memory yet or any more,
 *   its adapter is halted, or a block is on its way already; VMQ_STATUS_INVALID_PARAMETER:
 *   no such queue, no buffers, or more than its limit.
 */
enum vmq_status vmq_queue_grow(struct vmq_adapter *adapter, uint16_t id, uint32_t buffers,
	struct vmq_error *err);

/**
 * Give the last block back once all its buffers are home; the first one stays.
 * VMQ_INDICATE_MEMORY_RETURNED tells of the end, unless demand keeps the block.
 *
 * @return VMQ_STATUS_PENDING; as vmq_queue_grow(), and VMQ_STATUS_NOT_ACCEPTED: there is
 *   only the first block; VMQ_STATUS_RESOURCES.
 */
enum vmq_status vmq_queue_shrink(struct vmq_adapter *adapter, uint16_t id, struct vmq_error *err);

/** All there is to say about a queue. Strings live as long as it. */
struct vmq_queue_info {
	uint16_t id;
	const char *name;
	const char *vm; /**< "" for none. */
	enum vmq_queue_state state; /**< After its adapter's halt: the one before it. */
	uint16_t worker;
	bool keep_tags;
	bool anti_spoof;
	bool broadcast;
	bool receive_only;
	struct vmq_dp_rate rate_to_vm, rate_from_vm;
	uint32_t n_filters;
	uint32_t buffer_size;
	struct vmq_pool_stats memory;
	struct vmq_pool_stats xmit_memory; /**< For what its VM sends. */
	struct vmq_dp_queue_stats packets;
	bool transmits; /**< Its backend receives: its VM sends. */
	struct vmq_dp_tx_stats transmit;
	enum vmq_backend_type backend;
	const char *backend_text;
	struct vmq_backend_link backend_link; /**< Down while there is no backend. */
	/** Freeing: milliseconds since the request, and the packets it waits for. */
	uint64_t freeing_ms;
	uint32_t missing;
	bool completing; /**< The helper thread is finding its memory. */
	uint8_t priority;
	int slot; /**< Of the hardware; -1: it is steered in software, */
	const char *hardware_why; /**< and why. */
	const char *rule_why; /**< Why a filter of it has no rule in the NIC; "" if all have. */
	struct vmq_dp_hw_stats hardware; /**< Of its slot, since the adapter's start. */
};

/** @return false: no such queue. */
bool vmq_queue_info_get(const struct vmq_adapter *adapter, uint16_t id,
	struct vmq_queue_info *info);

/**
 * Let a tap look at a queue's packets; NULL: no more. The tap is the caller's: it is freed
 * once vmq_dp_tap_is_quiet().
 *
 * @return VMQ_STATUS_SUCCESS; VMQ_STATUS_INVALID_PARAMETER: no such queue;
 *   VMQ_STATUS_NOT_ACCEPTED: another one looks at it already, or it has no data path: it
 *   is not completed yet, or is being freed.
 */
enum vmq_status vmq_queue_set_tap(struct vmq_adapter *adapter, uint16_t id, struct vmq_dp_tap *tap,
	struct vmq_error *err);

/** The tap that looks at a queue; NULL: none, or no such queue (any more). */
struct vmq_dp_tap *vmq_queue_tap(const struct vmq_adapter *adapter, uint16_t id);

/**
 * A queue's parameters as they are now: as it was allocated, with what was changed since.
 * Strings live as long as the queue.
 *
 * @return false: no such queue.
 */
bool vmq_queue_params_get(const struct vmq_adapter *adapter, uint16_t id,
	struct vmq_queue_params *params);

/** @return the next queue's id after that one, -1 if there is none; -1 gives the first. */
int vmq_queue_next(const struct vmq_adapter *adapter, int after);

/** The adapter's filters, to be walked with vmq_filter_next(). */
const struct vmq_filter_set *vmq_adapter_filters(const struct vmq_adapter *adapter);

#endif /* VMQ_QUEUE_H */
