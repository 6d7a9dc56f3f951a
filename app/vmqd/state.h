/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQD_STATE_H
#define VMQD_STATE_H

/**
 * @file
 * The state file: what others than the owner "config" have, so that it is there again
 * after a restart. Control thread only, but for the writing, which a helper thread does.
 *
 * The file is JSON: {"version": 1, "checksum": "16 hexadecimal digits", "content": {...}}.
 * It is written in full a moment after a change, to a file beside it that then takes its
 * place, both through to the disk: at every moment there is the old or the new one. When
 * it is read, nothing in it is trusted. A file that is not whole is set aside as
 * FILE.damaged-TIME; what is whole but cannot be had, because the document has it now or
 * something is missing, is kept in a copy, FILE.conflict-TIME. Neither keeps the daemon
 * from starting.
 */

#include "system.h"

struct json_t;
struct state_file;

/**
 * Bring back what the file has.
 *
 * @param path
 *   Lives as long as the result.
 * @return NULL with the reason in err: no memory, or no thread.
 */
struct state_file *state_open(struct system *system, const char *path, struct vmq_error *err);

/** Write what has changed, without waiting. @return false: all is written. */
bool state_progress(struct state_file *state);

/** Write what has changed, and wait for it. Before system_stop(). NULL is allowed. */
void state_close(struct state_file *state);

/* state_text.c: the file's text, without the file */

/** @return all that is to be kept; free with free(). NULL with the reason in err. */
char *state_text(const struct system *system, struct vmq_error *err);

/** How many queues and filters there are in a content. */
size_t state_count(const struct json_t *content);

/**
 * Check text.
 *
 * @return a new reference to its content, or NULL with what is wrong in err.
 */
struct json_t *state_parse(const char *text, size_t length, struct vmq_error *err);

/* state_restore.c */

/**
 * Make all that a content has; what cannot be had is logged.
 *
 * @param restored
 *   Receives how many queues and filters are there again.
 * @return how many are not.
 */
size_t state_restore(struct system *system, const struct json_t *content, size_t *restored);

#endif /* VMQD_STATE_H */
