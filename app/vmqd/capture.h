/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQD_CAPTURE_H
#define VMQD_CAPTURE_H

/**
 * @file
 * The methods capture.start and capture.stop: copies of one queue's packets, streamed to
 * a client as pcapng over a socket of their own. Control thread.
 *
 * The workers write into a tap (vmq_datapath.h); a timer takes packets out of it and
 * hands them to libevent. A client that reads too slowly makes the tap fill up, and what
 * has no room there is counted as lost by the capture: nothing waits for the client.
 */

#include "control.h"

/** Captures at a time. */
#define CAPTURES_MAX 16

/** Bytes that may be on their way to a client. */
#define CAPTURE_OUTPUT_MAX (4 << 20)

/** Seconds that a client has to connect to the socket that capture.start names. */
#define CAPTURE_CONNECT_S 10

struct captures;

/**
 * Add the methods to the control socket's, which must be open.
 *
 * @return NULL with the reason in err.
 */
struct captures *captures_open(struct control *control, struct vmq_error *err);

/** End all captures; while the workers run. NULL is allowed. */
void captures_close(struct captures *captures);

#endif /* VMQD_CAPTURE_H */
