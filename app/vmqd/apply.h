/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQD_APPLY_H
#define VMQD_APPLY_H

/**
 * @file
 * Carry out a plan, all or nothing, without ever waiting. Control thread only.
 *
 * Each step has its opposite. When one fails, the opposites of those before it are
 * done in the reverse order, so that in the end either all has happened or all is as
 * it was; only a queue that had to go first and is made again is a new one: its
 * counters begin at 0, a capture file of it begins anew. What could not be undone
 * either is said.
 *
 * Filters of one run of steps are published at once: packets see all or none of them.
 */

#include "plan.h"

/** How long freed queues are waited for, before they are left to go by themselves. */
#define APPLY_WAIT_MS 5000

struct apply;

/**
 * The end.
 *
 * @param ret
 *   0: it is as the document says; -errno: it is as it was, and err says why.
 * @param waiting
 *   Queues that were freed and still wait for packets; they go by themselves.
 */
typedef void apply_callback(void *arg, int ret, const struct vmq_error *err, size_t waiting);

/** For tests: make a step fail, or its opposite. */
typedef bool apply_fault(void *arg, size_t step, bool undo);

/**
 * Begin. Nothing happens before apply_progress().
 *
 * @param plan
 *   Without steps that need a restart, or these are passed over. Moved: the caller's
 *   is empty afterwards.
 * @return NULL: no memory, and the plan is as it was.
 */
struct apply *apply_start(struct plan *plan, apply_callback *callback, void *arg);

/** Before the first apply_progress(). */
void apply_set_fault(struct apply *apply, apply_fault *fault, void *arg);

/**
 * Go on; a few milliseconds at most. May call the callback, which may free it.
 *
 * @return false: it is over.
 */
bool apply_progress(struct apply *apply);

/** Its plan, to be read. */
const struct plan *apply_plan(const struct apply *apply);

/**
 * Free. One that is not over stops where it is, and its callback is not called: for the
 * end of the daemon, while requests can still end. NULL is allowed.
 */
void apply_free(struct apply *apply);

#endif /* VMQD_APPLY_H */
