/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_HOST_H
#define VMQ_HOST_H

/**
 * @file
 * The host: the workers and all adapters on them. Control thread only. Part of vmq_queue.h.
 */

#include <vmq_datapath.h>

/** The workers and the adapters on them. */
struct vmq_host;

/**
 * @param lcores
 *   One worker on each; worker numbers are indices in this array.
 * @return NULL with rte_errno
 */
struct vmq_host *vmq_host_create(const unsigned int *lcores, uint16_t n_workers);

/** What the workers do when there is nothing to do; before vmq_host_start(). */
void vmq_host_set_workers(struct vmq_host *host, const struct vmq_worker_params *params);

/** Launch the workers. @return 0 or -errno */
int vmq_host_start(struct vmq_host *host);

/** Stop the workers; from then on no packet moves. */
void vmq_host_stop(struct vmq_host *host);

/** Free. Its adapters must be gone. NULL is allowed. */
void vmq_host_free(struct vmq_host *host);

struct vmq_datapath *vmq_host_datapath(const struct vmq_host *host);

/** What a worker has done over some time. All 0 where there was nothing to measure. */
struct vmq_worker_load {
	double seconds;
	double mpps; /**< Received, and delivered from backlogs. */
	double cycles_per_packet; /**< TSC cycles of turns with work, for each of these. */
	double mean_burst; /**< Packets of a receive call that had any. */
	double busy, idle, sleep; /**< Shares of the time, 0 to 1: work, polling in vain, sleep. */
};

/** The load between two looks at a worker's counters, all 0 for the worker's start. */
void vmq_worker_load_between(const struct vmq_worker_stats *from,
	const struct vmq_worker_stats *to, struct vmq_worker_load *load);

/** The load over the last whole second or so that vmq_host_progress() has seen. */
void vmq_host_worker_load(const struct vmq_host *host, uint16_t worker,
	struct vmq_worker_load *load);

/** How many queues, of all adapters, a worker serves or is to serve. */
uint32_t vmq_host_queues_on(const struct vmq_host *host, uint16_t worker);

/** Readable when vmq_host_progress() has something to do before its time. */
int vmq_host_fd(const struct vmq_host *host);

/**
 * Go on with all that waits: memory that the helper thread has found or freed, demand
 * of the pools, queues that are being freed, views that workers have left. To be
 * called every few milliseconds, and when vmq_host_fd() is readable.
 */
void vmq_host_progress(struct vmq_host *host);

/** Did nothing wait and no packet move? Then the next call may come later than else. */
bool vmq_host_is_quiet(const struct vmq_host *host);

#endif /* VMQ_HOST_H */
