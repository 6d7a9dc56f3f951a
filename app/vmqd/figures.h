/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQD_FIGURES_H
#define VMQD_FIGURES_H

/**
 * @file
 * The figures of a running system for whoever watches it: what is measured, once, in
 * one table (struct figure), and a snapshot to read it from. Prometheus (metrics.c) and
 * DPDK's telemetry (telemetry.c) show the table; --stats-json has the same figures under
 * struct figure's key (tests/functional/test_metrics.py holds the two against each other).
 */

#include "system.h"

/** What a figure belongs to. */
enum figure_of {
	FIGURE_OF_QUEUE,
	FIGURE_OF_ADAPTER,
	FIGURE_OF_WORKER,
	FIGURE_OF_COUNT, /* not one */
};

/** What its value is counted in, where its Prometheus name says seconds. */
enum figure_unit {
	FIGURE_AS_IS, /**< Its name says what is counted. */
	FIGURE_CYCLES, /**< Of the TSC. */
	FIGURE_MICROSECONDS,
	FIGURE_MEGABITS, /**< Of a speed; its Prometheus name says bytes. */
};

/** One figure. */
struct figure {
	const char *key; /**< In the statistics: "buffers.available". */
	const char *name; /**< Prometheus's, with its unit; counters end in _total. */
	const char *help; /**< One sentence without a full stop. */
	bool counter; /**< It only grows, while what it belongs to lives. */
	enum figure_unit unit;
	enum figure_of of;
	size_t offset; /**< In struct figures_queue, figures_adapter or figures_worker. */
	uint8_t bytes; /**< Of the member, an unsigned integer or a bool. */
};

/** @return the row with that index, NULL behind the last one. Any thread. */
const struct figure *figure_get(size_t index);

struct figures_adapter {
	char name[VMQ_NAME_SIZE];
	char *device;
	struct vmq_port_stats nic;
	struct vmq_port_link link;
	size_t first_queue; /**< In figures.queues. */
	size_t n_queues;
};

struct figures_queue {
	size_t adapter; /**< In figures.adapters. */
	struct vmq_queue_info info; /**< Its strings are those below. */
	char name[VMQ_NAME_SIZE];
	char vm[VMQ_NAME_SIZE];
	char backend[128]; /**< Cut when it is longer. */
};

struct figures_worker {
	int cpu;
	struct vmq_worker_stats stats;
};

/** A snapshot. It refers to nothing that changes: any thread may read it. */
struct figures {
	size_t n_adapters, n_queues, n_workers;
	struct figures_adapter *adapters;
	struct figures_queue *queues; /**< By adapter, then by id. */
	struct figures_worker *workers;
};

/** Value of a figure of the item (struct figures_queue...) it belongs to. Any thread. */
uint64_t figure_value(const struct figure *figure, const void *item);

/**
 * Take a snapshot. Control thread. The caller frees it with figures_free(), on any thread.
 *
 * @return NULL: no memory.
 */
struct figures *figures_take(const struct system *system);

/** NULL is allowed. */
void figures_free(struct figures *figures);

#endif /* VMQD_FIGURES_H */
