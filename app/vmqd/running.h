/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQD_RUNNING_H
#define VMQD_RUNNING_H

/**
 * @file
 * What runs now, in the words of the document, so that it can be compared with one,
 * planned from, and saved. Control thread only.
 */

#include "system.h"

struct running_queue {
	uint16_t id; /**< VMQ_DEFAULT_QUEUE_ID: of a default queue only filters are here. */
	char owner[VMQ_NAME_SIZE]; /**< "" for nobody's; of a default queue always "". */
	enum vmq_queue_state state;
	bool completed; /**< It has its memory and its backend. */
	struct doc_queue queue; /**< Its own strings; adapter: index in the system. */
	char (*filter_owners)[VMQ_NAME_SIZE]; /**< One for each of queue.filters. */
	uint32_t flags; /**< As in its parameters, without change flags. */
	uint32_t port_id;
};

/** All queues that are not being freed, by adapter and id: default queues come first. */
struct running {
	struct running_queue *queues;
	size_t n_queues;
};

/** @return 0 or -errno with the reason in err. */
int running_read(const struct system *system, struct running *running, struct vmq_error *err);

/**
 * A queue of a document as it would run: what a request cannot say is gone, and what can
 * be written in several ways is written in one. Without filters.
 *
 * @param adapter
 *   Of the system.
 * @param same
 *   doc_queue_free() it.
 * @return 0 or -errno with the reason in err.
 */
int running_as(const struct system *system, const struct doc_queue *queue, size_t adapter,
	struct doc_queue *same, struct vmq_error *err);

/** What only one backend can have, such as "file /tmp/x"; "" for none. @return key */
#define RUNNING_KEY_SIZE (VMQ_OID_FILE_SIZE + 16)
const char *running_backend_key(const struct doc_backend *backend, char key[RUNNING_KEY_SIZE]);

void running_free(struct running *running);

#endif /* VMQD_RUNNING_H */
