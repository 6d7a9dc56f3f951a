/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include "queue_private.h"

/*
 * Links are looked at from time to time, not by interrupts: many drivers have none
 * (net_tap, net_memif), and asking some of them is a system call.
 */
#define LOOK_MS 50

static void
indicate_backend(const struct queue *queue, bool up)
{
	adapter_indicate(queue->adapter, up ? VMQ_INDICATE_BACKEND_UP : VMQ_INDICATE_BACKEND_DOWN,
		queue->id, 0);
}

static void
look_at_backend(struct queue *queue)
{
	const struct vmq_backend_link before = queue->link;

	vmq_backend_link_get(queue->backend, &queue->link);
	if (queue->link.up != before.up) {
		indicate_backend(queue, queue->link.up);
	} else if (queue->link.changes != before.changes) {
		/* Gone and back, or here and gone, between two looks. */
		indicate_backend(queue, !queue->link.up);
		indicate_backend(queue, queue->link.up);
	}
	xmit_follow(queue);
}

static void
look_at_port(struct vmq_adapter *adapter)
{
	const struct vmq_port_link before = adapter->link;

	vmq_adapter_link(adapter, &adapter->link);
	if (adapter->link.up != before.up || adapter->link.mbps != before.mbps)
		adapter_indicate(adapter,
			adapter->link.up ? VMQ_INDICATE_LINK_UP : VMQ_INDICATE_LINK_DOWN,
			VMQ_DEFAULT_QUEUE_ID, adapter->link.mbps);
}

void
adapter_look_at_links(struct vmq_adapter *adapter, uint64_t now_ms)
{
	uint32_t i;

	if (now_ms < adapter->look_ms)
		return;
	adapter->look_ms = now_ms + LOOK_MS;
	look_at_port(adapter);
	for (i = 0; i < adapter->n_slots; i++)
		if (adapter->queues[i] != NULL && adapter->queues[i]->backend != NULL)
			look_at_backend(adapter->queues[i]);
}
