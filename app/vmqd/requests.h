/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQD_REQUESTS_H
#define VMQD_REQUESTS_H

/**
 * @file
 * What a document describes as typed requests: the same ones that anybody else makes.
 */

#include <vmq_oid.h>

#include "document.h"

/**
 * The parameters of a queue as a request has them, revision 2. What a request cannot say
 * as the document does (workers of more than one group) is said as well as it can.
 *
 * @return 0 or -errno with the reason in err.
 */
int request_parameters(const struct document *doc, const struct doc_queue *queue,
	struct vmq_oid_queue_parameters *parameters, struct vmq_error *err);

/**
 * The way back, without adapter and filters.
 *
 * @param queue
 *   Receives strings and arrays of its own: doc_queue_free() it.
 * @return 0 or -ENOMEM
 */
int request_read_parameters(const struct document *doc,
	const struct vmq_oid_queue_parameters *parameters, struct doc_queue *queue);

/**
 * What of a queue can be another while it runs; all else is settled at its allocation.
 *
 * @param key
 *   Of the document: "affinity", "memory.buffers".
 * @return a change flag VMQ_OID_QUEUE_*_CHANGED, 0: it cannot.
 */
uint32_t request_live_change(const char *key);

/** QUEUE_PARAMETERS, read. @return 0 or -errno with the reason in err. */
int request_query(struct vmq_oid_adapter *adapter, struct vmq_oid_owner *owner, uint16_t id,
	struct vmq_oid_queue_parameters *parameters, struct vmq_error *err);

/**
 * QUEUE_PARAMETERS, set.
 *
 * @param changes
 *   Change flags VMQ_OID_QUEUE_*_CHANGED: what of queue is read.
 */
int request_change(struct vmq_oid_adapter *adapter, struct vmq_oid_owner *owner, uint16_t id,
	const struct document *doc, const struct doc_queue *queue, uint32_t changes,
	struct vmq_error *err);

/** ALLOCATE_QUEUE. @return 0 or -errno with the reason in err. */
int request_allocate(struct vmq_oid_adapter *adapter, struct vmq_oid_owner *owner,
	const struct document *doc, const struct doc_queue *queue, uint16_t *id,
	struct vmq_error *err);

/** The same with flags and port id, which a document does not have. */
int request_allocate_with(struct vmq_oid_adapter *adapter, struct vmq_oid_owner *owner,
	const struct document *doc, const struct doc_queue *queue, uint32_t flags,
	uint32_t port_id, uint16_t *id, struct vmq_error *err);

/** SET_FILTER. @return 0 or -errno with the reason in err. */
int request_set_filter(struct vmq_oid_adapter *adapter, struct vmq_oid_owner *owner, uint16_t id,
	const struct vmq_filter_match *match, struct vmq_error *err);

/** CLEAR_FILTER and MOVE_FILTER of the filter that makes these tests. */
int request_clear_filter(struct vmq_oid_adapter *adapter, struct vmq_oid_owner *owner,
	const struct vmq_filter_match *match, struct vmq_error *err);
int request_move_filter(struct vmq_oid_adapter *adapter, struct vmq_oid_owner *owner,
	const struct vmq_filter_match *match, uint16_t to, struct vmq_error *err);

/** The end of a request that was under way. err: why, unless ret is 0. */
typedef void request_callback(void *arg, int ret, const struct vmq_error *err);

/**
 * FREE_QUEUE.
 *
 * @param callback
 *   Called once when the queue is gone, never before this returns.
 * @return 0: under way; -errno with the reason in err: refused.
 */
int request_free(struct vmq_oid_adapter *adapter, struct vmq_oid_owner *owner, uint16_t id,
	request_callback *callback, void *arg, struct vmq_error *err);

/**
 * QUEUE_ALLOCATION_COMPLETE without waiting.
 *
 * @param callback
 *   Called once when all queues have what they need, or have not, never before this
 *   returns.
 * @return 0: under way; -errno with the reason in err: refused.
 */
int request_complete_async(struct vmq_oid_adapter *adapter, struct vmq_oid_owner *owner,
	const uint16_t *ids, size_t n, request_callback *callback, void *arg,
	struct vmq_error *err);

/**
 * QUEUE_ALLOCATION_COMPLETE, waiting for the memory.
 *
 * @param failed
 *   Receives the place in ids of the first queue that did not get what it needs.
 * @return 0 or -errno with the reason in err.
 */
int request_complete(struct vmq_oid_adapter *adapter, struct vmq_oid_owner *owner,
	const uint16_t *ids, size_t n, size_t *failed, struct vmq_error *err);

#endif /* VMQD_REQUESTS_H */
