/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_OID_H
#define VMQ_OID_H

/**
 * @file
 * Typed requests to an adapter, after the NDIS OIDs (spec: Requests). Control thread
 * only.
 *
 * A request carries its type, its OID and an information buffer; what lies in the
 * buffer is a structure of vmq_oid_structures.h, input and output in the same place. Nothing
 * in a buffer is trusted: sizes, offsets and counts are checked before anything is
 * done, and a request that is refused has changed nothing, the buffer included.
 *
 * From vmq_oid_adapter_create() on, queues and filters of the adapter are allocated,
 * freed, set and cleared through requests only: that is how it is known whose they are.
 */

#include <vmq_queue.h>

#include "vmq_oid_structures.h"

/** The requests' side of an adapter: owners, whose queue and filter is whose, who is told. */
struct vmq_oid_adapter;

/**
 * Make it for an adapter that has started; queues and filters that there are already
 * belong to nobody, which is to say to administrators. Takes the adapter's indications.
 *
 * @return NULL with rte_errno ENOMEM
 */
struct vmq_oid_adapter *vmq_oid_adapter_create(struct vmq_adapter *adapter);

/**
 * Free, with its owners. After vmq_adapter_free(): until then requests may be pending.
 * NULL is allowed.
 */
void vmq_oid_adapter_free(struct vmq_oid_adapter *adapter);

/** A named client of an adapter (NDIS: binding). */
struct vmq_oid_owner;

/** The owner of what a configuration document describes. */
#define VMQ_OID_OWNER_CONFIG "config"

/**
 * Make an owner.
 *
 * @param name
 *   1 to VMQ_NAME_SIZE - 1 bytes; copied.
 * @param administrator
 *   It may see everything, free and clear what is nobody's or belongs to an owner that
 *   has gone, take that over, and change the default queue's parameters. What belongs
 *   to an owner that is there is safe from it (spec: Requests, owners).
 * @return VMQ_STATUS_SUCCESS; VMQ_STATUS_INVALID_PARAMETER: a bad name;
 *   VMQ_STATUS_NOT_ACCEPTED: there is one of that name, or one that has gone and left
 *   something; VMQ_STATUS_RESOURCES.
 */
enum vmq_status vmq_oid_owner_create(struct vmq_oid_adapter *adapter, const char *name,
	bool administrator, struct vmq_oid_owner **owner, struct vmq_error *err);

/**
 * An owner goes away for good; the handle must not be used any more. Its queues and
 * filters go on as they are, until an administrator frees or takes them. Its pending
 * requests still end with their callbacks. NULL is allowed.
 */
void vmq_oid_owner_gone(struct vmq_oid_owner *owner);

/** @return the owner of that name that is there and has not gone, or NULL. */
struct vmq_oid_owner *vmq_oid_owner_find(const struct vmq_oid_adapter *adapter, const char *name);

const char *vmq_oid_owner_name(const struct vmq_oid_owner *owner);

struct vmq_oid_owner_info {
	const char *name; /**< Lives as long as the owner. */
	bool administrator;
	bool gone; /**< It will not come back, and has left something. */
	uint32_t n_belongings; /**< Queues and filters. */
};

void vmq_oid_owner_info_get(const struct vmq_oid_owner *owner, struct vmq_oid_owner_info *info);

/** Walk the owners, those that have gone as well. @return NULL after the last one. */
const struct vmq_oid_owner *vmq_oid_owner_next(const struct vmq_oid_adapter *adapter,
	const struct vmq_oid_owner *after);

/** May the owner know of a queue: is it its own, or is it an administrator? */
bool vmq_oid_owner_sees(const struct vmq_oid_owner *owner, uint16_t queue_id);

/**
 * Whose a queue or a filter is. Lives until the next request.
 *
 * @return "" for nobody's, and for an id that there is not.
 */
const char *vmq_oid_queue_owner(const struct vmq_oid_adapter *adapter, uint16_t id);
const char *vmq_oid_filter_owner(const struct vmq_oid_adapter *adapter, uint32_t id);

/**
 * All that belongs to an owner that has gone is the administrator's from now on.
 *
 * @return VMQ_STATUS_SUCCESS; VMQ_STATUS_NOT_ACCEPTED: administrator is none, or the
 *   owner is still there; VMQ_STATUS_INVALID_PARAMETER: no owner of that name that has
 *   gone and left something.
 */
enum vmq_status vmq_oid_take_over(struct vmq_oid_owner *administrator, const char *name,
	struct vmq_error *err);

struct vmq_oid_request;

/**
 * The end of a request that was PENDING; may make requests. The last that is seen of it.
 */
typedef void vmq_oid_callback(struct vmq_oid_request *request, enum vmq_status status);

/** A request. Fields of input are the caller's; the others are set before it ends. */
struct vmq_oid_request {
	struct vmq_oid_owner *owner;
	enum vmq_oid_request_type type;
	uint32_t oid; /**< enum vmq_oid */
	void *information; /**< Aligned to 8 bytes. */
	uint32_t information_length; /**< In bytes. May be more than is needed. */
	/**
	 * FREE_QUEUE and QUEUE_ALLOCATION_COMPLETE may answer PENDING: then request and
	 * buffer must stay where they are until this is called. Without it
	 * QUEUE_ALLOCATION_COMPLETE waits for the memory, as at the start; FREE_QUEUE
	 * cannot wait for packets, it answers PENDING and only indications tell the end.
	 */
	vmq_oid_callback *complete;
	void *arg; /**< The caller's own. */
	/* Output. */
	uint32_t bytes_written; /**< Of output. */
	uint32_t bytes_read; /**< Of input that was understood; 0 if it was refused. */
	uint32_t bytes_needed; /**< With INVALID_LENGTH: how long the buffer must be. */
	struct vmq_error error; /**< Why, if the status is neither SUCCESS nor PENDING. */
};

/**
 * Make a request. Checked in this order, and refused with:
 * - NOT_ACCEPTED: the adapter is halted, or this is called from within an indication;
 * - INVALID_PARAMETER: no owner, or one of another adapter; no such request type;
 * - NOT_SUPPORTED: an unknown OID, or one that has no request of that type (as NDIS
 *   answers an OID that a handler does not know);
 * - INVALID_PARAMETER: a buffer that is NULL or not aligned;
 * - INVALID_LENGTH: too short for the structure; bytes_needed says how long it must be;
 * - INVALID_PARAMETER: another header type, an unknown revision, a size that is not
 *   that of the revision.
 * Then, by OID:
 * - INVALID_PARAMETER: values out of range; a queue id that is none or that the owner
 *   cannot see: those of others do not exist for it, unless it is an administrator;
 * - FILE_NOT_FOUND: the same for a filter id;
 * - NOT_ACCEPTED: the owner can see it, but it belongs to another; or the event is not
 *   valid in the queue's state (vmq_queue_next_state());
 * - NOT_SUPPORTED, RESOURCES, FAILURE: see the structures, error says why.
 *
 * The default queue: everybody may query it and set filters on it and move them there;
 * a filter is its setter's. Only an administrator may set its parameters; its worker
 * cannot change (NOT_SUPPORTED). It cannot be completed (NOT_ACCEPTED) or freed
 * (INVALID_PARAMETER).
 *
 * QUEUE_PARAMETERS set reads the fields with a change flag and no others, as NDIS
 * does; without any change flag it is INVALID_PARAMETER. A worker that is in the new
 * affinity goes on serving the queue; else the one of these with the fewest queues
 * takes over.
 *
 * QUEUE_ALLOCATION_COMPLETE answers SUCCESS, or the status of the first queue that has
 * no memory now; the elements are written either way, and the other queues do run.
 *
 * @return the status. After PENDING request->complete() has the last word.
 */
enum vmq_status vmq_oid_request(struct vmq_oid_adapter *adapter, struct vmq_oid_request *request);

/**
 * Memory of a queue, beyond what NDIS has requests for: one block more, or the last one
 * back. Only the queue's owner may, of the default queue only an administrator.
 *
 * @return as vmq_queue_grow() and vmq_queue_shrink(); INVALID_PARAMETER and NOT_ACCEPTED
 *   as vmq_oid_request().
 */
enum vmq_status vmq_oid_memory_grow(struct vmq_oid_owner *owner, uint16_t queue_id,
	uint32_t buffers, struct vmq_error *err);
enum vmq_status vmq_oid_memory_shrink(struct vmq_oid_owner *owner, uint16_t queue_id,
	struct vmq_error *err);

/**
 * Who steers a queue, for which NDIS has no request either: into hardware, or back to
 * software. Only the queue's owner may.
 *
 * @return as vmq_queue_promote() and vmq_queue_demote(); INVALID_PARAMETER and
 *   NOT_ACCEPTED as vmq_oid_request().
 */
enum vmq_status vmq_oid_queue_promote(struct vmq_oid_owner *owner, uint16_t queue_id,
	vmq_change_callback *callback, void *arg, struct vmq_error *err);
enum vmq_status vmq_oid_queue_demote(struct vmq_oid_owner *owner, uint16_t queue_id,
	vmq_change_callback *callback, void *arg, struct vmq_error *err);

/** What is to be known of an OID: one row of the table. */
struct vmq_oid_info {
	uint32_t oid;
	const char *name; /**< "RECEIVE_FILTER_ALLOCATE_QUEUE" */
	uint32_t types; /**< Bit n: it has requests of type n, enum vmq_oid_request_type. */
	uint32_t min_length; /**< Shortest buffer that may do, in bytes. */
	const char *help; /**< One line. */
};

/** Walk the table. @return false: index is behind the last row. */
bool vmq_oid_info_get(unsigned int index, struct vmq_oid_info *info);

/** @return NULL for an unknown OID. */
const char *vmq_oid_name(uint32_t oid);

/** @return the OID with that name, with or without "OID_" before it; 0: none. */
uint32_t vmq_oid_by_name(const char *name);

/** What a subscriber is told (spec: Requests, indications). */
struct vmq_oid_indication {
	uint64_t sequence; /**< 1 and up, by one, over all indications of the adapter. */
	struct vmq_oid_adapter *adapter;
	enum vmq_indication type;
	uint16_t queue_id;
	/**
	 * QUEUE_STATE: enum vmq_queue_state; QUEUE_PARAMETERS: the change flags; else as
	 * enum vmq_indication says.
	 */
	uint32_t value;
};

/** "RECEIVE_QUEUE_STATE"... NULL for a value out of range. */
const char *vmq_oid_indication_name(enum vmq_indication type);

/**
 * Called in the middle of what it tells of: may add and remove subscribers, must not
 * make requests (they are refused with NOT_ACCEPTED).
 */
typedef void vmq_oid_indication_callback(void *arg, const struct vmq_oid_indication *indication);

struct vmq_oid_subscriber;

/**
 * Be told of every indication of the adapter from the next one on, in order; after
 * those who subscribed earlier.
 *
 * @return NULL with rte_errno ENOMEM
 */
struct vmq_oid_subscriber *vmq_oid_subscribe(struct vmq_oid_adapter *adapter,
	vmq_oid_indication_callback *callback, void *arg);

/** Nothing more is told to it. NULL is allowed. Before vmq_oid_adapter_free(). */
void vmq_oid_unsubscribe(struct vmq_oid_subscriber *subscriber);

/** The number of the last indication; 0: none yet. */
uint64_t vmq_oid_last_sequence(const struct vmq_oid_adapter *adapter);

/**
 * A number that is another after anything that requests can change may have changed:
 * queues, their parameters, filters, owners.
 */
uint64_t vmq_oid_changes(const struct vmq_oid_adapter *adapter);

/** The adapter beneath. */
struct vmq_adapter *vmq_oid_adapter_beneath(const struct vmq_oid_adapter *adapter);

#endif /* VMQ_OID_H */
