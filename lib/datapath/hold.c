/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * When the NIC begins, or ceases, to put a VM's frames into its own Rx queue, frames of one
 * flow come by two ways for a moment. Those of the new way are held until the old way is
 * empty: nothing is lost, and nothing overtakes.
 */

#include <errno.h>

#include <rte_malloc.h>

#include "dp_private.h"

int
vmq_dp_queue_hold(struct vmq_dp_queue *queue, enum vmq_hold side)
{
	const unsigned int slots = rte_ring_get_capacity(queue->backlog) + 1;
	const ssize_t bytes = rte_ring_get_memsize(slots);
	struct hold *hold;

	if (atomic_load(&queue->hold) != NULL)
		return -EBUSY;
	hold = bytes < 0 ? NULL : rte_zmalloc("vmq_hold",
		offsetof(struct hold, ring) + (size_t)bytes, RTE_CACHE_LINE_SIZE);
	if (hold == NULL)
		return -ENOMEM;
	rte_ring_init(&hold->ring, "vmq_hold", slots, RING_F_SP_ENQ | RING_F_SC_DEQ);
	hold->side = side;
	fast_set(queue->fast, SPECIAL_HOLD, true);
	atomic_store_explicit(&queue->hold, hold, memory_order_release);
	return 0;
}

void
vmq_dp_queue_release(struct vmq_datapath *dp, struct vmq_dp_queue *queue)
{
	struct hold *hold = atomic_load(&queue->hold);

	if (hold == NULL)
		return;
	atomic_store_explicit(&hold->released, true, memory_order_release);
	if (!queue_is_served_by(queue, VMQ_SERVE_OTHER))
		queue_ring(queue, &dp->workers[queue->source_worker]);
}

bool
vmq_dp_queue_is_held(const struct vmq_dp_queue *queue)
{
	const struct hold *hold = atomic_load(&queue->hold);

	return hold != NULL && (!atomic_load(&hold->released) || !rte_ring_empty(&hold->ring));
}

static void
destroy_hold(void *hold)
{
	rte_free(hold);
}

bool
vmq_dp_queue_unhold(struct vmq_datapath *dp, struct vmq_dp_queue *queue)
{
	struct hold *hold = atomic_load(&queue->hold);

	if (hold == NULL)
		return true;
	if (vmq_dp_queue_is_held(queue))
		return false;
	/* A producer that saw it not empty may be about to put one more in: the last one. */
	atomic_store(&hold->closing, true);
	vmq_datapath_synchronize(dp);
	if (!rte_ring_empty(&hold->ring))
		return false;
	atomic_store(&queue->hold, NULL);
	fast_set(queue->fast, SPECIAL_HOLD, false);
	garbage_add(dp, destroy_hold, hold);
	return true;
}

void
vmq_dp_source_mark(const struct vmq_dp_source *source, struct vmq_dp_mark *mark)
{
	mark->received = vmq_counter_get(&source->drain.received);
	mark->shorts = vmq_counter_get(&source->drain.shorts);
}

bool
vmq_dp_source_drained(const struct vmq_dp_source *source, const struct vmq_dp_mark *mark,
	uint32_t ring)
{
	return drain_is_done(&source->drain, mark, ring, VMQ_GATHER_MAX);
}
