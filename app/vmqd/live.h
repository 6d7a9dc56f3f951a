/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQD_LIVE_H
#define VMQD_LIVE_H

/**
 * @file
 * The document of a daemon that runs: config.check, plan, apply, save and diff of the
 * control socket, and SIGHUP. Control thread only; nothing waits.
 *
 * One apply at a time. It goes on to its end, or back, whether the client that asked
 * for it is still there or not.
 */

#include "system.h"

struct json_t;
struct live;
struct vmq_rpc;

/**
 * @param file
 *   The daemon's document, "-" for none that could be read again; kept.
 * @param wake
 *   Called when there is something to go on with: live_progress() is wanted soon.
 * @return NULL: no memory.
 */
struct live *live_create(struct system *system, const char *file, void (*wake)(void *arg),
	void *arg);

/** Add the methods to the control socket. @return 0 or -errno with the reason in err. */
int live_add_methods(struct live *live, struct vmq_rpc *rpc, struct vmq_error *err);

/** SIGHUP: apply the document on disk. What comes of it is logged. */
void live_reload(struct live *live);

/** Go on with what is under way. @return false: nothing is. */
bool live_progress(struct live *live);

/** An apply that is under way stops where it is. Before system_stop(). */
void live_stop(struct live *live);

/** NULL is allowed. */
void live_free(struct live *live);

#endif /* VMQD_LIVE_H */
