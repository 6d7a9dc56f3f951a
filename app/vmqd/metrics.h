/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQD_METRICS_H
#define VMQD_METRICS_H

/**
 * @file
 * The figures for Prometheus: GET /metrics over HTTP, in its text format 0.0.4. Control
 * thread only; it never waits for a client, and a client has bounds: of its request, of
 * its time, of how many there are, and of what is kept for it.
 */

#include <event2/buffer.h>
#include <event2/event.h>

#include "figures.h"

/** Clients at a time; one more is answered with 503. */
#define METRICS_CLIENTS_MAX 16

/** Bytes of a request with its headers; a longer one is answered with 431. */
#define METRICS_REQUEST_MAX 8192

/** Seconds from the start of a connection to its end. */
#define METRICS_SECONDS_MAX 30

struct metrics;

/**
 * Listen.
 *
 * @param address
 *   "127.0.0.1:9650", "[::1]:9650"; port 0: the kernel chooses, and the log says which.
 * @param system
 *   What is shown; it must have started.
 * @return NULL with the reason in err.
 */
struct metrics *metrics_open(struct event_base *base, const char *address,
	const struct system *system, struct vmq_error *err);

/** Close all connections. NULL is allowed. */
void metrics_close(struct metrics *metrics);

/**
 * Write one family of metrics, all its samples.
 *
 * @param start_s
 *   When this run began, in seconds of the real time clock.
 * @return false: index is behind the last family.
 */
bool metrics_write_family(struct evbuffer *out, const struct figures *figures, double start_s,
	size_t index);

#endif /* VMQD_METRICS_H */
