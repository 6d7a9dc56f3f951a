/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include "queue_private.h"

enum vmq_status
vmq_queue_set_tap(struct vmq_adapter *adapter, uint16_t id, struct vmq_dp_tap *tap,
	struct vmq_error *err)
{
	const struct queue *queue = adapter_queue(adapter, id);

	if (queue == NULL)
		return vmq_error_set(err, VMQ_STATUS_INVALID_PARAMETER,
			"adapter %s has no queue %u", adapter->name, (unsigned int)id);
	if (queue->dp == NULL || queue->completing ||
		(tap != NULL && queue->state == VMQ_QUEUE_FREEING))
		return vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED,
			"queue %u (%s) is %s: it has no packets to look at", (unsigned int)id,
			queue->name, vmq_queue_state_name(queue->state));
	if (tap != NULL && vmq_dp_queue_tap(queue->dp) != NULL)
		return vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED,
			"queue %u (%s) is being captured already", (unsigned int)id, queue->name);
	vmq_dp_queue_set_tap(queue->dp, tap);
	return VMQ_STATUS_SUCCESS;
}

struct vmq_dp_tap *
vmq_queue_tap(const struct vmq_adapter *adapter, uint16_t id)
{
	const struct queue *queue = adapter_queue(adapter, id);

	return queue != NULL && queue->dp != NULL ? vmq_dp_queue_tap(queue->dp) : NULL;
}
