/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <stdlib.h>

#include <rte_cycles.h>

#include "queue_private.h"

/* The load is that of the last whole window. */
#define WINDOW_MS 1000

/* What a worker had done at the last two looks. */
struct worker_window {
	struct vmq_worker_stats from, to;
};

int
load_open(struct vmq_host *host)
{
	uint16_t n = vmq_datapath_workers(host->dp), i;

	host->windows = calloc(n, sizeof(*host->windows));
	if (host->windows == NULL)
		return -1;
	for (i = 0; i < n; i++)
		vmq_worker_stats_get(host->dp, i, &host->windows[i].to);
	return 0;
}

bool
load_progress(struct vmq_host *host, uint64_t now_ms)
{
	struct worker_window *window;
	struct vmq_worker_stats now;
	uint64_t moved = 0;
	bool any;
	uint16_t i;

	for (i = 0; i < vmq_datapath_workers(host->dp); i++) {
		vmq_worker_stats_get(host->dp, i, &now);
		moved += now.packets + now.served;
	}
	any = moved != host->moved;
	host->moved = moved;
	if (now_ms - host->window_since_ms < WINDOW_MS)
		return any;
	host->window_since_ms = now_ms;
	for (i = 0; i < vmq_datapath_workers(host->dp); i++) {
		window = &host->windows[i];
		window->from = window->to;
		vmq_worker_stats_get(host->dp, i, &window->to);
	}
	return any;
}

void
vmq_worker_load_between(const struct vmq_worker_stats *from, const struct vmq_worker_stats *to,
	struct vmq_worker_load *load)
{
	const double cycles = (double)(to->cycles - from->cycles);
	const double busy = (double)(to->busy_cycles - from->busy_cycles);
	const double sleep = (double)(to->sleep_cycles - from->sleep_cycles);
	const double received = (double)(to->packets - from->packets);
	const double packets = received + (double)(to->served - from->served);
	const double bursts = (double)(to->bursts - from->bursts);

	*load = (struct vmq_worker_load){
		.seconds = cycles / (double)rte_get_tsc_hz(),
		.cycles_per_packet = packets > 0 ? busy / packets : 0,
		.mean_burst = bursts > 0 ? received / bursts : 0,
	};
	if (cycles > 0) {
		load->busy = busy / cycles;
		load->sleep = sleep / cycles;
		load->idle = RTE_MAX(1 - load->busy - load->sleep, 0.0);
	}
	if (load->seconds > 0)
		load->mpps = packets / load->seconds / 1e6;
}

void
vmq_host_worker_load(const struct vmq_host *host, uint16_t worker, struct vmq_worker_load *load)
{
	vmq_worker_load_between(&host->windows[worker].from, &host->windows[worker].to, load);
}
