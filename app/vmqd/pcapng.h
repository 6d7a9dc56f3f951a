/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQD_PCAPNG_H
#define VMQD_PCAPNG_H

/**
 * @file
 * A capture as a stream of pcapng blocks (draft-ietf-opsawg-pcapng): one interface,
 * nanoseconds, a comment for what Ethernet bytes cannot say.
 */

#include <stdint.h>

#include <event2/buffer.h>

/** Section header and the one interface. @return 0 or -ENOMEM */
int pcapng_begin(struct evbuffer *out, const char *program, const char *interface,
	uint32_t snaplen);

/**
 * A packet.
 *
 * @param comment
 *   NULL: none.
 * @return 0 or -ENOMEM
 */
int pcapng_packet(struct evbuffer *out, uint64_t time_ns, const void *data, uint32_t kept,
	uint32_t length, const char *comment);

/** The last block: how many packets there were, and how many of them are not in the stream. */
int pcapng_end(struct evbuffer *out, uint64_t time_ns, uint64_t packets, uint64_t lost);

#endif /* VMQD_PCAPNG_H */
