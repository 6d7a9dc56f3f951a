/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef SERVICE_H
#define SERVICE_H

/**
 * @file
 * What a service manager is told, by the protocol of sd_notify(3): a datagram on the
 * socket that the environment names. Without that variable nothing happens.
 */

/**
 * Tell the service manager a state, such as "READY=1". Control thread. One that can not
 * be told is warned of and nothing else: vmqd works without.
 */
void service_notify(const char *state);

#endif
