/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQD_SAVE_H
#define VMQD_SAVE_H

/**
 * @file
 * What runs, as a document: applied to what runs it changes nothing, and saved again it
 * is the same bytes. Control thread only.
 *
 * Queues are written with all their keys, by adapter and id. What only a restart can
 * change is kept as it was written.
 */

#include "system.h"

struct json_t;

/**
 * @param source
 *   The document that runs, as it was written.
 * @param all
 *   Queues of all owners; else those of "config", which is what a document describes.
 * @param skipped
 *   If not NULL, an array that receives {"adapter", "id", "queue", "why"} of each queue
 *   that a document cannot describe.
 * @return a new reference, or NULL with the reason in err.
 */
struct json_t *save_document(const struct system *system, const struct json_t *source, bool all,
	struct json_t *skipped, struct vmq_error *err);

/** A document as text, ending with a newline. Free with free(). NULL: no memory. */
char *save_text(const struct json_t *document);

#endif /* VMQD_SAVE_H */
