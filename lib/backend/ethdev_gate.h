/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_ETHDEV_GATE_H
#define VMQ_ETHDEV_GATE_H

/**
 * @file
 * When the other end of a memif goes, net_memif takes its memory away in EAL's interrupt
 * thread, also while a worker is within a burst (read in 22.11, memif_socket.c,
 * memif_disconnect(); a container killed under load was the end of vmqd). It says first that
 * nobody is connected, so that bursts which begin from there on touch nothing, and then unmaps.
 * Here the unmapping waits for bursts that have begun before. Nor does a container that goes
 * before it was greeted take vmqd with it.
 */

#include <stdatomic.h>
#include <stdbool.h>

#include <sys/queue.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

struct ethdev_gate {
	TAILQ_ENTRY(ethdev_gate) next;
	bool used; /* the port is a memif. Set before a worker sees it. */
	_Atomic bool inside; /* worker: wo */
} __rte_cache_aligned;

/* Control thread, before a worker uses the port, and once none does any more. */
void ethdev_gate_open(struct ethdev_gate *gate, const char *driver);
void ethdev_gate_close(struct ethdev_gate *gate);

/* Around a burst. Worker. */
static inline void
ethdev_gate_enter(struct ethdev_gate *gate)
{
	/* Sequentially consistent: a store, then the driver's look whether it is connected. */
	if (unlikely(gate->used))
		atomic_store(&gate->inside, true);
}

static inline void
ethdev_gate_leave(struct ethdev_gate *gate)
{
	if (unlikely(gate->used))
		atomic_store_explicit(&gate->inside, false, memory_order_release);
}

/*
 * Memory is about to be unmapped: in EAL's interrupt thread, wait until each burst that goes
 * on has ended. Any thread.
 */
void ethdev_gate_before_unmapping(void);

#endif /* VMQ_ETHDEV_GATE_H */
