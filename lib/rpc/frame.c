/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include "frame.h"

size_t
frame_blanks(const char *bytes, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		if (bytes[i] != ' ' && bytes[i] != '\n' && bytes[i] != '\t' && bytes[i] != '\r')
			break;
	return i;
}

static bool
opens_array(const struct frame *frame)
{
	return (frame->arrays >> (frame->depth - 1)) & 1;
}

enum frame_result
frame_scan(struct frame *frame, const char *bytes, size_t length, unsigned int max_depth,
	size_t *used)
{
	size_t i;

	for (i = 0; i < length; i++) {
		const char c = bytes[i];

		if (frame->in_string) {
			if (frame->escaped)
				frame->escaped = false;
			else if (c == '\\')
				frame->escaped = true;
			else if (c == '"')
				frame->in_string = false;
			continue;
		}
		*used = i;
		switch (c) {
		case '"':
			if (frame->depth == 0)
				return FRAME_NO_VALUE;
			frame->in_string = true;
			break;
		case '{':
		case '[':
			if (frame->depth >= max_depth || frame->depth >= FRAME_DEPTH_MAX)
				return FRAME_DEEP;
			frame->arrays &= ~(UINT64_C(1) << frame->depth);
			frame->arrays |= (uint64_t)(c == '[') << frame->depth;
			frame->depth++;
			break;
		case '}':
		case ']':
			if (frame->depth == 0)
				return FRAME_NO_VALUE;
			if (opens_array(frame) != (c == ']'))
				return FRAME_MISMATCH;
			frame->depth--;
			if (frame->depth == 0) {
				*used = i + 1;
				return FRAME_WHOLE;
			}
			break;
		default:
			if (frame->depth == 0)
				return FRAME_NO_VALUE;
		}
	}
	*used = length;
	return FRAME_MORE;
}
