/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Memory of queues by request; by demand it comes and goes in vmq_pool_tick(). */

#include "queue_private.h"

/* The queue, if its memory can be changed now. */
static enum vmq_status
find(const struct vmq_adapter *adapter, uint16_t id, struct queue **queue, struct vmq_error *err)
{
	*queue = adapter_queue(adapter, id);
	if (*queue == NULL)
		return vmq_error_set(err, VMQ_STATUS_INVALID_PARAMETER,
			"adapter %s has no queue %u", vmq_adapter_name(adapter), id);
	if (vmq_adapter_is_halted(adapter))
		return vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED, "adapter %s is halted",
			vmq_adapter_name(adapter));
	if ((*queue)->pool == NULL || (*queue)->completing ||
		((*queue)->state != VMQ_QUEUE_RUNNING && (*queue)->state != VMQ_QUEUE_PAUSED))
		return vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED,
			"queue %u (%s) is %s: only one that runs or is paused has memory that can "
			"be changed", id, (*queue)->name, vmq_queue_state_name((*queue)->state));
	if (!queue_pool_grows(*queue))
		return vmq_error_set(err, VMQ_STATUS_NOT_SUPPORTED,
			"queue %u (%s): the memory that its NIC receives into stays as it is: %s",
			id, (*queue)->name, adapter->hardware.port.why_pools_do_not_grow);
	return VMQ_STATUS_SUCCESS;
}

enum vmq_status
vmq_queue_grow(struct vmq_adapter *adapter, uint16_t id, uint32_t buffers, struct vmq_error *err)
{
	struct queue *queue;
	enum vmq_status status = find(adapter, id, &queue, err);

	if (status != VMQ_STATUS_SUCCESS)
		return status;
	return vmq_pool_grow_async(queue->pool, buffers, buffers, err);
}

enum vmq_status
vmq_queue_shrink(struct vmq_adapter *adapter, uint16_t id, struct vmq_error *err)
{
	struct queue *queue;
	enum vmq_status status = find(adapter, id, &queue, err);

	if (status != VMQ_STATUS_SUCCESS)
		return status;
	return vmq_pool_retire(queue->pool, err);
}
