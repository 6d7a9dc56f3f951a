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

/** ALLOCATE_QUEUE. @return 0 or -errno with the reason in err. */
int request_allocate(struct vmq_oid_adapter *adapter, struct vmq_oid_owner *owner,
	const struct document *doc, const struct doc_queue *queue, uint16_t *id,
	struct vmq_error *err);

/** SET_FILTER. @return 0 or -errno with the reason in err. */
int request_set_filter(struct vmq_oid_adapter *adapter, struct vmq_oid_owner *owner, uint16_t id,
	const struct vmq_filter_match *match, struct vmq_error *err);

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
