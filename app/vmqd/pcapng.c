/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <string.h>

#include <rte_common.h>

#include "pcapng.h"

/* Block types, options and constants of the draft's sections 4 and 3.5. */
#define BLOCK_SECTION 0x0A0D0D0A
#define BLOCK_INTERFACE 1
#define BLOCK_STATISTICS 5
#define BLOCK_PACKET 6
#define BYTE_ORDER_MAGIC 0x1A2B3C4D
#define LINKTYPE_ETHERNET 1

#define OPT_END 0
#define OPT_COMMENT 1
#define OPT_SECTION_PROGRAM 4
#define OPT_INTERFACE_NAME 2
#define OPT_INTERFACE_RESOLUTION 9
#define OPT_STATISTICS_RECEIVED 4
#define OPT_STATISTICS_DROPPED 5

#define RESOLUTION_NS 9 /* ten to the minus nine */

/* Longest text of an option here: names and reasons are shorter. */
#define TEXT_MAX 1024

/* One option: its head, the value, and zeros up to a multiple of four. Returns its size. */
static size_t
add_option(uint8_t *to, uint16_t code, const void *value, size_t length)
{
	const uint16_t head[2] = {code, (uint16_t)length};
	const size_t padded = RTE_ALIGN_CEIL(length, 4);

	memcpy(to, head, sizeof(head));
	memset(to + sizeof(head) + length, 0, padded - length);
	if (length > 0)
		memcpy(to + sizeof(head), value, length);
	return sizeof(head) + padded;
}

static size_t
add_text(uint8_t *to, uint16_t code, const char *text)
{
	return add_option(to, code, text, strnlen(text, TEXT_MAX));
}

/* A block of up to three parts, each a multiple of four but for the second, which is filled. */
static int
add_block(struct evbuffer *out, uint32_t type, const void *fixed, size_t n_fixed, const void *data,
	size_t n_data, const void *options, size_t n_options)
{
	static const uint8_t zeros[4];
	const size_t padding = RTE_ALIGN_CEIL(n_data, 4) - n_data;
	const uint32_t total = (uint32_t)(12 + n_fixed + n_data + padding + n_options);
	const uint32_t head[2] = {type, total};

	/* All or nothing: a stream with a part of a block in it is lost from there on. */
	if (evbuffer_expand(out, total) < 0)
		return -ENOMEM;
	evbuffer_add(out, head, sizeof(head));
	evbuffer_add(out, fixed, n_fixed);
	evbuffer_add(out, data, n_data);
	evbuffer_add(out, zeros, padding);
	evbuffer_add(out, options, n_options);
	evbuffer_add(out, &total, sizeof(total));
	return 0;
}

int
pcapng_begin(struct evbuffer *out, const char *program, const char *interface, uint32_t snaplen)
{
	const struct {
		uint32_t magic;
		uint16_t major, minor;
		int64_t length; /* -1: not known */
	} __rte_packed section = {BYTE_ORDER_MAGIC, 1, 0, -1};
	const struct {
		uint16_t link_type, reserved;
		uint32_t snaplen;
	} described = {LINKTYPE_ETHERNET, 0, snaplen};
	const uint8_t resolution = RESOLUTION_NS;
	uint8_t options[TEXT_MAX + 32];
	size_t n;

	n = add_text(options, OPT_SECTION_PROGRAM, program);
	n += add_option(options + n, OPT_END, NULL, 0);
	if (add_block(out, BLOCK_SECTION, &section, sizeof(section), NULL, 0, options, n) < 0)
		return -ENOMEM;
	n = add_text(options, OPT_INTERFACE_NAME, interface);
	n += add_option(options + n, OPT_INTERFACE_RESOLUTION, &resolution, sizeof(resolution));
	n += add_option(options + n, OPT_END, NULL, 0);
	return add_block(out, BLOCK_INTERFACE, &described, sizeof(described), NULL, 0, options, n);
}

int
pcapng_packet(struct evbuffer *out, uint64_t time_ns, const void *data, uint32_t kept,
	uint32_t length, const char *comment)
{
	const uint32_t fixed[5] = {0, (uint32_t)(time_ns >> 32), (uint32_t)time_ns, kept, length};
	uint8_t options[TEXT_MAX + 16];
	size_t n = 0;

	if (comment != NULL) {
		n = add_text(options, OPT_COMMENT, comment);
		n += add_option(options + n, OPT_END, NULL, 0);
	}
	return add_block(out, BLOCK_PACKET, fixed, sizeof(fixed), data, kept, options, n);
}

int
pcapng_end(struct evbuffer *out, uint64_t time_ns, uint64_t packets, uint64_t lost)
{
	const uint32_t fixed[3] = {0, (uint32_t)(time_ns >> 32), (uint32_t)time_ns};
	uint8_t options[64];
	size_t n;

	n = add_option(options, OPT_STATISTICS_RECEIVED, &packets, sizeof(packets));
	n += add_option(options + n, OPT_STATISTICS_DROPPED, &lost, sizeof(lost));
	n += add_option(options + n, OPT_END, NULL, 0);
	return add_block(out, BLOCK_STATISTICS, fixed, sizeof(fixed), NULL, 0, options, n);
}
