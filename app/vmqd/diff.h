/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQD_DIFF_H
#define VMQD_DIFF_H

/**
 * @file
 * Where a document differs from what runs, key by key, defaults written out.
 */

#include "system.h"

struct json_t;

/**
 * @param source
 *   The document that runs, as it was written.
 * @return a list of {"pointer", "running", "document"}, or NULL with the reason in err.
 *   In pointers adapters and queues have their names instead of their places, and
 *   filters what they test; one of the two values is not there when it is of one side
 *   alone.
 */
struct json_t *diff_documents(const struct system *system, const struct json_t *source,
	const struct document *doc, struct vmq_error *err);

#endif /* VMQD_DIFF_H */
