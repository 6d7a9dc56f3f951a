/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQD_PLAN_H
#define VMQD_PLAN_H

/**
 * @file
 * From what runs to what a document describes: the steps, in their order. Control
 * thread only; nothing is changed here.
 *
 * A document describes what the owner "config" has: its queues, and its filters on the
 * default queues. What others have is left alone; a document that wants it otherwise is
 * refused. Queues are matched by adapter and name, filters by their tests.
 *
 * The order of the steps, so that as much as possible is there before anything goes:
 *
 *   restart      what no step can do while the daemon runs
 *   allocate     new queues, and those that replace one
 *   change       parameters that a queue takes live
 *   complete     memory and backends of what was allocated, one batch an adapter
 *   clear, move  filters of queues that must go first, because another queue needs
 *   free, wait   their backend (the same file, device or socket)
 *   allocate, complete   the queues that have waited for that
 *   clear, move, set     all other filters, published at once
 *   free, wait   queues that are wanted no more
 */

#include "running.h"

struct json_t;

enum plan_kind {
	PLAN_RESTART,
	PLAN_ALLOCATE,
	PLAN_CHANGE,
	PLAN_COMPLETE,
	PLAN_CLEAR_FILTER,
	PLAN_MOVE_FILTER,
	PLAN_SET_FILTER,
	PLAN_FREE,
	PLAN_WAIT, /**< For the packets of all queues freed so far. */
	PLAN_KIND_COUNT, /* not a kind */
};

/** A queue that some step is about. */
struct plan_queue {
	size_t adapter; /**< Of the system. */
	const struct doc_queue *was; /**< As it runs, in plan.running; NULL: it is to be made. */
	const struct doc_queue *wanted; /**< In plan.doc; NULL: it is to go. */
	const struct plan_queue *replaces; /**< The queue of that name that goes for it. */
	uint16_t id; /**< Now; 0: not allocated, or a default queue. */
	bool is_default;
	bool goes_first; /**< Another queue needs its backend. */
	bool waits; /**< For the backend of one that goes first. */
};

struct plan_step {
	enum plan_kind kind;
	size_t adapter; /**< Of the system. */
	size_t queue; /**< In plan.queues; not for restart, complete and wait. */
	size_t to; /**< Move: the queue it is moved to. */
	size_t *batch; /**< Complete: queues, n_batch of them. */
	size_t n_batch;
	struct vmq_filter_match match; /**< Filters. */
	uint32_t changes; /**< Change: VMQ_OID_QUEUE_*_CHANGED. */
	char *pointer; /**< Restart: the place in the document. */
	char *why; /**< One half sentence; NULL: it speaks for itself. */
};

struct plan {
	const struct system *system;
	struct document *doc; /**< Owned. */
	struct running running;
	struct plan_queue *queues; /**< Default queues first, in the order of the system. */
	size_t n_queues;
	struct plan_step *steps;
	size_t n_steps;
	size_t n_restart; /**< Steps that need a restart; they come first. */
};

/**
 * Plan.
 *
 * @param source
 *   The document that runs, as it was written: what of it only a restart can change.
 * @param doc
 *   Without errors. The plan's own from now on, also if it fails.
 * @param findings
 *   Receives why the document cannot be had beside what others have.
 * @return 0; -EEXIST with findings; -ENOMEM or another -errno with the reason in err.
 */
int plan_make(const struct system *system, const struct json_t *source, struct document *doc,
	struct plan *plan, struct doc_findings *findings, struct vmq_error *err);

void plan_free(struct plan *plan);

/** A step in words. @return out */
#define PLAN_TEXT_SIZE 512
const char *plan_step_text(const struct plan *plan, const struct plan_step *step,
	char out[PLAN_TEXT_SIZE]);

/** "allocate", "set_filter"... */
const char *plan_kind_name(enum plan_kind kind);

/** All steps: a list of objects. @return a new reference, NULL: no memory. */
struct json_t *plan_json(const struct plan *plan);

#endif /* VMQD_PLAN_H */
