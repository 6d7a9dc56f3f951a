/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQD_CONTROL_H
#define VMQD_CONTROL_H

/**
 * @file
 * The control socket of this daemon: what lib/rpc needs to know of it. Control thread.
 */

#include <vmq_rpc.h>

#include "report.h"
#include "system.h"

struct live;
struct captures;
struct state_file;
struct metrics;

struct control {
	struct event_base *base;
	const struct document *doc;
	struct system *system;
	struct report *report;
	struct event *progress; /**< A timer of the control loop, set anew each time. */
	struct metrics *metrics; /**< NULL: none. */
	struct live *live;
	struct captures *captures; /**< NULL: no socket. */
	struct state_file *state; /**< NULL: no state file. */
	struct vmq_rpc_lock *lock; /**< No other daemon runs on the document. */
	struct vmq_rpc *rpc; /**< NULL: no socket. */
	struct vmq_rpc_config config;
	struct vmq_rpc_mapping *mappings;
};

/**
 * Before EAL starts: refuse a document that another daemon runs on.
 *
 * @param file
 *   Of the document; "-" has no lock.
 * @return 0, or -errno with the reason in err.
 */
int control_lock(struct control *control, const char *file, struct vmq_error *err);

/**
 * Once the system runs and report is open: listen.
 *
 * @return 0, or -errno with the reason in err.
 */
int control_open(struct control *control, struct vmq_error *err);

/** No more requests. Before system_stop(). */
void control_stop(struct control *control);

/** After system_free_adapters(), before system_free(): pending requests have ended. */
void control_close(struct control *control);

/** methods_queue.c: methods that speak the document's language. @return 0 or -errno */
int control_add_queue_methods(struct control *control);

#endif /* VMQD_CONTROL_H */
