/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

/* Bits on the wire that are not in a frame's bytes: preamble, check sum and gap. */
#define WIRE_OVERHEAD_BYTES 24

static double
now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int
report_open(struct report *report, const struct system *system, const struct options *options,
	struct vmq_error *err)
{
	const char *path = options->stats_json;

	*report = (struct report){.system = system, .start_s = now_s()};
	report->last_s = report->start_s;
	report->last = calloc(system->n_adapters + 1, sizeof(*report->last));
	report->n_last = calloc(system->n_adapters + 1, sizeof(*report->n_last));
	if (report->last == NULL || report->n_last == NULL)
		return vmq_error_errno(err, ENOMEM, "no memory for statistics");
	if (path != NULL && strcmp(path, "-") == 0) {
		report->json = stdout;
	} else if (path != NULL) {
		report->json = fopen(path, "w");
		if (report->json == NULL)
			return vmq_error_errno(err, errno, "statistics file %s: %s", path,
				strerror(errno));
	}
	/* Standard output is one thing or the other. */
	if (!options->quiet && report->json != stdout)
		report->table = stdout;
	report->terminal = report->table != NULL && isatty(fileno(report->table));
	return 0;
}

bool
report_queue_get(const struct report *report, size_t adapter, int id, double interval_s,
	bool whole_run, struct report_queue *queue)
{
	struct report_last last = {0};
	uint64_t packets, bytes;

	if (!vmq_queue_info_get(report->system->adapters[adapter], (uint16_t)id, &queue->info))
		return false;
	if (!whole_run && (uint32_t)id < report->n_last[adapter])
		last = report->last[adapter][id];
	packets = queue->info.packets.delivered - last.delivered;
	bytes = queue->info.packets.delivered_bytes - last.delivered_bytes;
	queue->mpps = interval_s > 0 ? (double)packets / interval_s / 1e6 : 0;
	queue->gbps = interval_s > 0
		? (double)(bytes + packets * WIRE_OVERHEAD_BYTES) * 8 / interval_s / 1e9
		: 0;
	return true;
}

double
report_elapsed_s(const struct report *report)
{
	return now_s() - report->start_s;
}

struct vmq_rpc_rates
report_rates(const struct report *report, size_t adapter, uint16_t queue_id)
{
	return queue_id < report->n_last[adapter] ? report->last[adapter][queue_id].rates
						  : (struct vmq_rpc_rates){0};
}

/* Remember what has been delivered, for the next interval. */
static void
remember(struct report *report, double interval_s)
{
	struct report_queue queue;
	struct report_last *grown;
	size_t i;
	int id;

	for (i = 0; i < report->system->n_adapters; i++) {
		for (id = -1; (id = vmq_queue_next(report->system->adapters[i], id)) >= 0;) {
			if ((uint32_t)id >= report->n_last[i]) {
				grown = realloc(report->last[i], (id + 1) * 2 * sizeof(*grown));
				if (grown == NULL)
					break; /* rates since the start instead */
				memset(grown + report->n_last[i], 0,
					((id + 1) * 2 - report->n_last[i]) * sizeof(*grown));
				report->last[i] = grown;
				report->n_last[i] = (id + 1) * 2;
			}
			if (!report_queue_get(report, i, id, interval_s, false, &queue))
				continue;
			report->last[i][id] = (struct report_last){
				.delivered = queue.info.packets.delivered,
				.delivered_bytes = queue.info.packets.delivered_bytes,
				.rates = {queue.mpps, queue.gbps},
			};
		}
	}
}

void
report_end(struct report *report)
{
	report->end_s = now_s();
}

struct rates_arg {
	const struct report *report;
	double interval_s;
	bool whole_run;
};

static struct vmq_rpc_rates
interval_rates(void *arg, size_t adapter, uint16_t queue_id)
{
	const struct rates_arg *of = arg;
	struct report_queue queue = {0};

	report_queue_get(of->report, adapter, queue_id, of->interval_s, of->whole_run, &queue);
	return (struct vmq_rpc_rates){queue.mpps, queue.gbps};
}

static void
print_json(const struct report *report, bool final, double elapsed_s, double interval_s)
{
	struct rates_arg arg = {report, interval_s, final};
	const struct vmq_rpc_stats_params params = {
		.elapsed_s = elapsed_s,
		.interval_s = interval_s,
		.final = final,
		.rates = interval_rates,
		.arg = &arg,
	};
	json_t *all = vmq_rpc_stats(&report->system->view, &params);

	if (all == NULL || json_dumpf(all, report->json, JSON_COMPACT) < 0)
		VMQ_LOG(ERR, "statistics of this interval could not be written\n");
	else
		fputc('\n', report->json);
	fflush(report->json);
	json_decref(all);
}

void
report_print(struct report *report, bool final)
{
	double now = final && report->end_s > 0 ? report->end_s : now_s();
	double interval = final ? now - report->start_s : now - report->last_s;

	if (report->table != NULL)
		report_table(report, final, now - report->start_s, interval);
	if (report->json != NULL)
		print_json(report, final, now - report->start_s, interval);
	remember(report, interval);
	report->last_s = now;
}

int
report_close(struct report *report, struct vmq_error *err)
{
	bool failed = false;
	size_t i;

	if (report->table != NULL)
		failed |= fflush(report->table) != 0 || ferror(report->table);
	if (report->json != NULL)
		failed |= fflush(report->json) != 0 || ferror(report->json);
	if (report->json != NULL && report->json != stdout)
		failed |= fclose(report->json) != 0;
	for (i = 0; report->last != NULL && report->system != NULL &&
		i < report->system->n_adapters; i++)
		free(report->last[i]);
	free(report->last);
	free(report->n_last);
	*report = (struct report){0};
	return failed ? vmq_error_errno(err, EIO, "statistics could not be written in full") : 0;
}
