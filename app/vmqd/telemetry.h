/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQD_TELEMETRY_H
#define VMQD_TELEMETRY_H

/**
 * @file
 * Commands /vmq/... of DPDK's telemetry socket, for dpdk-telemetry.py and its like.
 *
 * DPDK calls them on threads of its own, where the control thread's structures must
 * not be looked at. Such a thread asks the control thread for a snapshot of the figures
 * and waits for it, TELEMETRY_WAIT_MS at most: nothing is done while nobody asks, and the
 * control thread never waits.
 */

#include <event2/event.h>

#include "figures.h"

#define TELEMETRY_WAIT_MS 5000

/**
 * Register the commands and answer them from the event loop. Control thread; once in
 * the life of the process: telemetry has no way to take a command back.
 *
 * @param system
 *   What is shown; it must have started.
 * @return 0, or -errno with the reason in err.
 */
int telemetry_open(struct event_base *base, const struct system *system, struct vmq_error *err);

/** Commands are answered with an error from now on. */
void telemetry_close(void);

#endif /* VMQD_TELEMETRY_H */
