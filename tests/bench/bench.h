/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_BENCH_H
#define VMQ_BENCH_H

/**
 * @file
 * What the bench programs share: their beginning, an end with a reason, and cycles of a packet
 * in windows of time. A busy machine makes most windows slower, and none faster: what counts
 * is the tenth part of them that was least disturbed.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>

#include <vmq_datapath.h>

#define WINDOWS_MAX 100000
#define ROUND_US 250000
/*
 * A window is a hundred turns of a worker and more: it counts its packets once in a turn, and
 * the windows that came off best by that would be the tenth part that counts.
 */
#define WINDOW_US 4000
#define WINDOW_PACKETS 160000 /* what is only received: about as long */

struct windows {
	unsigned int n;
	double cycles[WINDOWS_MAX]; /* of a packet */
};

/* Say what went wrong and why, and end. PROGRAM is the including program's name. */
static __rte_noreturn void
die(const char *what, const char *why)
{
	fprintf(stderr, PROGRAM ": %s: %s\n", what, why);
	exit(1);
}

/* Open the log and start EAL; what is left of the arguments is the program's. */
static inline void
begin(int *argc, char ***argv)
{
	int used;

	if (vmq_log_open(PROGRAM, false) < 0)
		die("log", "it cannot be opened");
	used = rte_eal_init(*argc, *argv);
	if (used < 0)
		die("EAL", rte_strerror(rte_errno));
	*argc -= used;
	*argv += used;
}

/* Where the cycles of a worker's packets went. */
static inline void
print_stages(const struct vmq_datapath *dp, uint16_t worker)
{
	struct vmq_worker_stats stats;
	unsigned int i;

	vmq_worker_stats_get(dp, worker, &stats);
	for (i = 0; i < VMQ_STAGE_COUNT && stats.sampled_packets > 0; i++)
		printf("%-10s %6.1f cycles of a packet\n", vmq_stage_name(i),
			(double)stats.stage_cycles[i] / (double)stats.sampled_packets);
}

static inline void
add_window(struct windows *windows, uint64_t cycles, uint64_t packets)
{
	if (packets > 0 && windows->n < WINDOWS_MAX)
		windows->cycles[windows->n++] = (double)cycles / (double)packets;
}

/* Let a worker run for a round: all of its time is that of its packets. */
static inline void
watch(const struct vmq_datapath *dp, uint16_t worker, struct windows *windows)
{
	struct vmq_worker_stats last, now;
	uint64_t begin, end;
	unsigned int i;

	vmq_worker_stats_get(dp, worker, &last);
	begin = rte_rdtsc();
	for (i = 0; i < ROUND_US / WINDOW_US; i++) {
		usleep(WINDOW_US);
		vmq_worker_stats_get(dp, worker, &now);
		end = rte_rdtsc();
		add_window(windows, end - begin, now.packets - last.packets);
		last = now;
		begin = end;
	}
}

static inline int
compare_doubles(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts them. */
static inline double
quick_tenth(struct windows *windows)
{
	if (windows->n == 0)
		die("windows", "nothing was received");
	qsort(windows->cycles, windows->n, sizeof(double), compare_doubles);
	return windows->cycles[windows->n / 10];
}

#endif /* VMQ_BENCH_H */
