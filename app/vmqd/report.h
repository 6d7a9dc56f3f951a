/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQD_REPORT_H
#define VMQD_REPORT_H

/**
 * @file
 * What the user sees of a running system: a table, and JSON.
 */

#include <stdio.h>

#include "options.h"
#include "system.h"

/** What a queue had delivered at the last look: rates are differences. */
struct report_last {
	uint64_t delivered;
	uint64_t delivered_bytes;
	struct vmq_rpc_rates rates; /* between the last two looks */
};

struct report {
	const struct system *system;
	FILE *table; /**< NULL: none. */
	FILE *json; /**< NULL: none. */
	bool terminal; /**< The table is refreshed in place. */
	double start_s, last_s; /**< Monotonic clock. */
	double end_s; /**< When the run ended, without the stop; 0: it has not. */
	struct report_last **last; /**< By adapter, then queue id. */
	uint32_t *n_last;
};

/** @return 0, or -errno with the reason in err. */
int report_open(struct report *report, const struct system *system, const struct options *options,
	struct vmq_error *err);

/** The run has ended: rates of the whole run count until now. */
void report_end(struct report *report);

/** Print the present figures; rates are those since the last call, or of the whole run. */
void report_print(struct report *report, bool final);

/** @return 0, or -errno: what was written is not complete. */
int report_close(struct report *report, struct vmq_error *err);

/** One queue as it is to be shown. */
struct report_queue {
	struct vmq_queue_info info;
	double mpps, gbps; /**< Of what was delivered. */
};

/** report_table.c: begin, then each queue, then the end. */
void report_table(const struct report *report, bool final, double elapsed_s, double interval_s);

/** Seconds since report_open(). */
double report_elapsed_s(const struct report *report);

/** Rates of a queue between the last two looks; 0 before that. */
struct vmq_rpc_rates report_rates(const struct report *report, size_t adapter, uint16_t queue_id);

/** Figures of a queue over an interval. @return false: no such queue. */
bool report_queue_get(const struct report *report, size_t adapter, int id, double interval_s,
	bool whole_run, struct report_queue *queue);

#endif /* VMQD_REPORT_H */
