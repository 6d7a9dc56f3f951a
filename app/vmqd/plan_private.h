/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQD_PLAN_PRIVATE_H
#define VMQD_PLAN_PRIVATE_H

#include <jansson.h>

#include "document_private.h"
#include "plan.h"

/* A filter that is to be cleared (to: SIZE_MAX), set (from: SIZE_MAX) or moved. */
struct plan_filter {
	struct vmq_filter_match match;
	size_t adapter; /* of the system */
	size_t from, to; /* plan queues */
	size_t order;
};

/* What the parts of planning share. */
struct planner {
	struct plan *plan;
	const json_t *source; /* of what runs */
	struct doc_findings *findings;
	size_t *adapters; /* of an adapter of the document: its place in the system, SIZE_MAX: none */
	size_t *of_running; /* of a running queue: its plan queue, SIZE_MAX: none */
	size_t *of_doc; /* of a queue of the document: its plan queue, SIZE_MAX: none */
	uint32_t *changes; /* of a plan queue that stays */
	char **why; /* of a plan queue: what is another */
	struct plan_filter *filters;
	size_t n_filters;
	bool no_memory;
};

/* A new step; NULL with no_memory set. why is copied, and may be NULL. */
struct plan_step *plan_add(struct planner *p, enum plan_kind kind, size_t adapter, size_t queue,
	const char *why);

/* plan_restart.c: what only a restart can change; fills in adapters. */
void plan_restart(struct planner *p);

/* plan_queues.c: which queue stays, comes, goes, and in which order. */
void plan_queues(struct planner *p);

/* plan_filters.c: filters of queues that go first, and all others. */
void plan_filters(struct planner *p);
void plan_filter_steps(struct planner *p, bool first);

#endif /* VMQD_PLAN_PRIVATE_H */
