/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_QUEUE_H
#define VMQ_QUEUE_H

/**
 * @file
 * Adapters and their queues: the object that joins memory, filters, port, backend
 * and data path, and the states it goes through. Control thread only.
 */

#include <vmq_backend.h>
#include <vmq_base.h>
#include <vmq_datapath.h>
#include <vmq_filter.h>
#include <vmq_port.h>
#include <vmq_shmem.h>

#include "vmq_host.h"
#include "vmq_queue_state.h"
#include "vmq_verify.h"

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
	/**
	 * The same for what the VM sends, where the backend receives: buffers at completion (0:
	 * VMQ_XMIT_BUFFERS) and at most (0: no more), each for a frame of the adapter's MTU. It
	 * grows and gives back by vmq_pool_demand_default().
	 */
	uint32_t xmit_buffers;
	uint32_t xmit_limit;
};

/** Fewest buffers for what a VM sends, and the default: a backend's ring, and room to move. */
#define VMQ_XMIT_BUFFERS 1024

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

/**
 * The same for a hardware queue that no VM has, with what its ring needs; and the memzones
 * that it takes.
 */
size_t vmq_slot_memory_bytes(uint16_t rx_descriptors, uint32_t limit, uint32_t buffer_size);
unsigned int vmq_slot_memzones(void);

/**
 * The same for what its VM sends: 0 with a backend that does not receive.
 *
 * @param buffers
 *   And limit: xmit_buffers and xmit_limit of struct vmq_queue_memory.
 * @param mtu
 *   Of the adapter, in bytes.
 */
size_t vmq_queue_xmit_bytes(enum vmq_backend_type type, uint32_t buffers, uint32_t limit,
	uint16_t mtu);

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
	/** It runs again, reset or back; value: rules of the NIC put back. */
	VMQ_INDICATE_PORT_RESET,
	VMQ_INDICATE_PORT_REMOVED, /**< The adapter's device is gone. */
	VMQ_INDICATE_RULES_RESTORED, /**< Some had vanished; value: how many were put back. */
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

/** One way to steer, as an adapter found it at its start. */
struct vmq_steering_found {
	const char *why_not; /**< Why it was not chosen; "": it was. */
	bool tried; /**< Rules were made and removed: struct rules says how that went. */
	struct vmq_steer_capabilities rules;
};

/** What an adapter's port can do, found out at its start, and who steers. */
struct vmq_adapter_capabilities {
	struct vmq_port_capabilities port;
	enum vmq_steering asked, chosen;
	struct vmq_steering_found found[VMQ_STEERING_COUNT]; /**< Of all but AUTO. */
	uint16_t hardware_queues; /**< Beside the default one; 0 if software steers. */
	uint16_t free_hardware_queues; /**< Now. */
	uint32_t rules; /**< That the NIC has now. */
};

/** Also after the halt. Strings live as long as the adapter. */
void vmq_adapter_capabilities_get(const struct vmq_adapter *adapter,
	struct vmq_adapter_capabilities *capabilities);

const char *vmq_adapter_name(const struct vmq_adapter *adapter);
struct vmq_host *vmq_adapter_host(const struct vmq_adapter *adapter);

/** Has vmq_adapter_halt() been called? */
bool vmq_adapter_is_halted(const struct vmq_adapter *adapter);

/** How an adapter's port is. */
enum vmq_port_state {
	VMQ_PORT_RUNS,
	VMQ_PORT_RESETTING, /**< The helper thread is at it. */
	VMQ_PORT_FAILED, /**< Its reset has failed, and is tried again. */
	VMQ_PORT_GONE, /**< Its device was removed; until it is back, or vmqd starts anew. */
	VMQ_PORT_STATE_COUNT, /* not a state */
};

/** "runs", "resetting", "failed", "removed" */
const char *vmq_port_state_name(enum vmq_port_state state);

struct vmq_port_health {
	enum vmq_port_state state;
	const char *why; /**< It does not run; "" if it does. */
	uint32_t resets; /**< That have succeeded. */
	uint32_t restored; /**< Rules of the NIC that were put back. */
};

/** Strings live until the next call of vmq_host_progress(). */
void vmq_adapter_port_health(const struct vmq_adapter *adapter, struct vmq_port_health *health);

/**
 * Reset the port, as if its device had asked for it: its queues keep their states, its rings
 * are emptied, its link is down meanwhile. Also what vmq_host_progress() does by itself.
 *
 * @return VMQ_STATUS_PENDING: VMQ_INDICATE_PORT_RESET tells of the end;
 *   VMQ_STATUS_NOT_ACCEPTED: halted, gone, or being reset already.
 */
enum vmq_status vmq_adapter_reset_port(struct vmq_adapter *adapter, struct vmq_error *err);

/** The link of its port; after the halt, and while the port does not run: down. */
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
 * FREE_QUEUE. Only a queue without filters can be freed. DMA stops at once, and what waits
 * in it is thrown away; what its backend has taken the backend still finishes. File,
 * device or socket are closed then, and the memory goes when the last packet is home.
 * Never waits.
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
/** keep_tags, allow_spoofing and broadcast */
#define VMQ_QUEUE_CHANGE_OPTIONS (UINT32_C(1) << 3)
#define VMQ_QUEUE_CHANGE_RATE (UINT32_C(1) << 4) /**< Both. */
#define VMQ_QUEUE_CHANGE_PRIORITY (UINT32_C(1) << 5)
#define VMQ_QUEUE_CHANGE_VM (UINT32_C(1) << 6) /**< The VM's name. */
#define VMQ_QUEUE_CHANGE_DEMAND (UINT32_C(1) << 7) /**< memory.demand and memory.min_buffers */
/** Only told, never asked for: hardware or software. */
#define VMQ_QUEUE_CHANGE_STEERING (UINT32_C(1) << 31)

/**
 * QUEUE_PARAMETERS set. Another worker takes over with nothing lost and in order;
 * another number of buffers is a hint that counts at completion, as min_buffers does.
 * With other options each frame is treated by the old ones or by the new. Another
 * priority counts when a hardware queue is free the next time.
 *
 * @param changes
 *   VMQ_QUEUE_CHANGE_*: which fields of params are read: worker, memory.buffers, name...
 */
enum vmq_status vmq_queue_set_params(struct vmq_adapter *adapter, uint16_t id, uint32_t changes,
	const struct vmq_queue_params *params, struct vmq_error *err);

/** The end of a promotion or demotion. */
typedef void vmq_change_callback(void *arg, uint16_t id, enum vmq_status status,
	const struct vmq_error *err);

/**
 * Give a running queue a free slot of the hardware: nothing is lost and nothing overtakes.
 * Its memory becomes the slot's. The callback is called when it has the slot and the NIC
 * has the rules of its filters, as far as it takes them (vmq_filter_steering_get()). A queue that
 * is on its way there by itself goes on, and the callback tells of that.
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

/** Who steers the frames of a filter. */
enum vmq_filter_how {
	VMQ_FILTER_SOFTWARE, /**< Software alone, in the default queue's path. */
	/**
	 * The NIC's rules are changing; until they have, software steers, wherever a frame
	 * arrives: none is lost, doubled or overtaken, and none makes a detour.
	 */
	VMQ_FILTER_COVERED,
	VMQ_FILTER_HARDWARE, /**< A rule of the NIC; software confirms what it put there. */
	VMQ_FILTER_HOW_COUNT, /* not a way */
};

/** "software", "covered", "hardware"; NULL for a value out of range. */
const char *vmq_filter_how_name(enum vmq_filter_how how);

struct vmq_filter_steering {
	enum vmq_filter_how how;
	char text[256]; /**< What the NIC tests; or why it does not steer. */
};

/** Who steers a filter's frames now. @return false: no such filter. */
bool vmq_filter_steering_get(const struct vmq_adapter *adapter, uint32_t filter_id,
	struct vmq_filter_steering *steering);

/**
 * Give a queue one more block, beyond what demand does. VMQ_INDICATE_MEMORY_GROWN or
 * _FAILED tells how it ended. A block that nobody needs goes again by demand.
 *
 * @return VMQ_STATUS_PENDING; VMQ_STATUS_NOT_ACCEPTED: it has no memory yet or any more,
 *   its adapter is halted, or a block is on its way already; VMQ_STATUS_INVALID_PARAMETER:
 *   no such queue, no buffers, or more than its limit; VMQ_STATUS_NOT_SUPPORTED: its NIC
 *   receives into what a pool has at the start alone (vmq_port_capabilities).
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
	uint32_t kept_by_driver; /**< Of memory.outstanding, for good: vmq_port_kept_buffers(). */
	struct vmq_pool_stats xmit_memory; /**< For what its VM sends. */
	int xmit_node; /**< The NUMA node that it is on; SOCKET_ID_ANY: not known, */
	const char *xmit_why; /**< and why not on the VM's; "" if it is. */
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
