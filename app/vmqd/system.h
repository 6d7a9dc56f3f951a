/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQD_SYSTEM_H
#define VMQD_SYSTEM_H

/**
 * @file
 * What a document describes, running: host, adapters, queues.
 */

#include <vmq_oid.h>
#include <vmq_rpc.h>

#include "document.h"

struct system {
	const struct document *doc;
	struct vmq_host *host;
	struct vmq_adapter **adapters; /**< As in the document; n_adapters of them. */
	struct vmq_oid_adapter **requests; /**< Where requests to each adapter go. */
	struct vmq_oid_owner **owners; /**< "config" of each adapter. */
	struct vmq_oid_owner **administrators; /**< "admin" of each: to see what others have. */
	size_t n_adapters; /**< Started. */
	unsigned int leaked; /**< Blocks that were, when adapters were freed. */
	struct vmq_rpc_adapter *shown; /**< The same for the control socket. */
	struct vmq_rpc_system view; /**< What the control socket sees, once all have started. */
};

/**
 * Start adapters, then queues, then workers, in the order of the document.
 *
 * @param stop
 *   Looked at between steps: once it is true the start is broken off, and 0
 *   returned; system_stop() undoes what there is.
 * @return 0, or -errno with the reason, and the place in the document, in err.
 */
int system_start(struct system *system, const struct document *doc, volatile bool *stop,
	struct vmq_error *err);

/**
 * Stop the workers, ports, queues and backends, and wait a bounded time for the
 * packets. Figures can still be read.
 *
 * @return how many packets have not come home; each queue that misses some is named
 *   in the log.
 */
uint64_t system_stop(struct system *system);

/**
 * Free all queues, with or without their packets: what was pending ends, with
 * REQUEST_ABORTED where packets are missing. Those who wait must still be there.
 */
void system_free_adapters(struct system *system);

/** Free all memory. @return how many blocks have leaked. */
unsigned int system_free(struct system *system);

/** Packets that are out of a queue's memory after system_stop(). */
uint64_t system_missing(const struct vmq_queue_info *info);

#endif /* VMQD_SYSTEM_H */
