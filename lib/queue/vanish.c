/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * A rule may vanish from a NIC without any word: ethdev remembers MAC addresses that it has
 * set, whatever has become of them. Nothing is lost by it, the default queue brings the
 * frames and software steers. But then a queue receives while its hardware queue does not:
 * that is looked for, and what is looked at closer by a short self-test (verify.c), which
 * puts back the rules that it finds without effect. It may be frames of other VMs, or a rule
 * that the NIC does not honour at all; so this is not done often.
 */

#include "queue_private.h"

#define LOOK_MS 1000

/* So many looks one after the other, with so many packets in each. */
#define DOUBTS 2
#define PACKETS 8

#define TEST_MS 1000
#define TEST_AGAIN_MS 60000

/* Does a queue that has been in hardware all the time get its packets by other ways? */
static bool
is_doubtful(struct slot *slot)
{
	const struct queue *queue = slot->queue;
	uint64_t by_hardware, packets, others;
	struct vmq_dp_hw_stats hw;
	struct vmq_dp_queue_stats dp;

	if (queue == NULL || queue->dp == NULL || !queue_is_active(queue) || queue->held ||
		queue->change != NULL || !rules_lead_to(slot->adapter, slot)) {
		slot->doubts = 0;
		return false;
	}
	vmq_dp_hw_stats_get(slot->hw, &hw);
	vmq_dp_queue_stats_get(queue->dp, &dp);
	by_hardware = hw.received - slot->last_by_hardware - (hw.replicas - slot->last_replicas);
	packets = dp.received - slot->last_received;
	slot->last_by_hardware = hw.received;
	slot->last_replicas = hw.replicas;
	slot->last_received = dp.received;
	others = packets - RTE_MIN(packets, by_hardware);
	slot->doubts = by_hardware == 0 && others >= PACKETS ? slot->doubts + 1 : 0;
	return slot->doubts >= DOUBTS;
}

void
vanish_end(struct vmq_adapter *adapter)
{
	struct vmq_verify_report report;

	if (!adapter->hardware.testing)
		return;
	adapter->hardware.testing = false;
	/* What it finds it has said; a change of the rules meanwhile is no finding. */
	vmq_adapter_verify_end(adapter, &report, NULL);
	vmq_verify_report_free(&report);
}

void
vanish_progress(struct vmq_adapter *adapter, uint64_t now_ms)
{
	struct hardware *hardware = &adapter->hardware;
	bool doubtful = false;
	uint16_t i;

	if (hardware->steer == NULL || now_ms < hardware->doubt_ms)
		return;
	hardware->doubt_ms = now_ms + LOOK_MS;
	if (hardware->testing) {
		hardware->test_ms = now_ms + TEST_AGAIN_MS;
		vanish_end(adapter);
		return;
	}
	for (i = 0; i < hardware->n_slots; i++)
		doubtful |= is_doubtful(&hardware->slots[i]);
	if (!doubtful || now_ms < hardware->test_ms || adapter->verify != NULL ||
		!port_is_usable(adapter) || adapter->batch > 0)
		return;
	hardware->testing = vmq_adapter_verify_begin(adapter, NULL) == VMQ_STATUS_SUCCESS;
	hardware->doubt_ms = now_ms + TEST_MS;
}
