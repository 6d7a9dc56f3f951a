/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_RPC_FRAME_H
#define VMQ_RPC_FRAME_H

/**
 * @file
 * Where a JSON value ends in a stream of bytes. Only brackets and strings are looked at;
 * whether the value is right is for the parser to say. Each byte is looked at once,
 * however small the pieces are in which it comes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Deepest nesting that can be asked for. */
#define FRAME_DEPTH_MAX 64

enum frame_result {
	FRAME_MORE, /**< The value goes on behind the bytes there are. */
	FRAME_WHOLE, /**< The value is whole. */
	FRAME_NO_VALUE, /**< What begins is neither an object nor an array. */
	FRAME_MISMATCH, /**< A bracket closes that the other kind has opened. */
	FRAME_DEEP, /**< More brackets are open than are allowed. */
};

/** What is known of the value so far. All 0: before its first byte. */
struct frame {
	uint64_t arrays; /* bit n: the bracket at depth n is "[" */
	uint8_t depth;
	bool in_string, escaped;
};

/**
 * Look at bytes that follow those looked at before.
 *
 * @param used
 *   Receives how many bytes were looked at: up to the end of the value; for
 *   FRAME_MORE all; else up to the byte that is wrong.
 */
enum frame_result frame_scan(struct frame *frame, const char *bytes, size_t length,
	unsigned int max_depth, size_t *used);

/** White space in front of a value. @return how many bytes. */
size_t frame_blanks(const char *bytes, size_t length);

#endif /* VMQ_RPC_FRAME_H */
