/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <string.h>

#include "queue_private.h"

bool
vmq_queue_info_get(const struct vmq_adapter *adapter, uint16_t id, struct vmq_queue_info *info)
{
	const struct queue *queue = adapter_queue(adapter, id);

	if (queue == NULL)
		return false;
	memset(info, 0, sizeof(*info));
	info->id = id;
	info->name = queue->name;
	info->vm = queue->vm != NULL ? queue->vm : "";
	info->state = queue->state_at_halt != VMQ_QUEUE_UNDEFINED ? queue->state_at_halt
								  : queue->state;
	info->worker = queue->worker;
	info->keep_tags = queue->keep_tags;
	info->anti_spoof = queue->anti_spoof;
	info->broadcast = queue->broadcast;
	info->receive_only = queue->receive_only;
	info->rate_to_vm = queue->rate_to_vm;
	info->rate_from_vm = queue->rate_from_vm;
	info->n_filters = queue->n_filters;
	info->buffer_size = queue->memory.buffer_size;
	info->backend = queue->backend_params.type;
	info->backend_text = queue->backend != NULL ? vmq_backend_text(queue->backend)
						     : vmq_backend_type_name(info->backend);
	if (queue->backend != NULL)
		vmq_backend_link_get(queue->backend, &info->backend_link);
	info->completing = queue->completing;
	info->priority = queue->priority;
	info->slot = queue->slot != NULL ? queue->slot->number : -1;
	info->hardware_why = queue->hardware_why;
	info->rule_why = queue->rule_why;
	if (queue->slot != NULL && queue->slot->hw != NULL)
		vmq_dp_hw_stats_get(queue->slot->hw, &info->hardware);
	if (queue->state == VMQ_QUEUE_FREEING)
		info->freeing_ms = host_now_ms() - queue->freeing_since_ms;
	info->memory.limit = queue->memory.limit;
	/*
	 * While the helper thread makes or frees the pools they are its own. Before it makes
	 * them there is nothing that could be missing, and it frees them when nothing is.
	 */
	if (queue->state == VMQ_QUEUE_FREEING && !queue->completing && !queue->releasing)
		info->missing = queue_missing(queue);
	if (queue->pool != NULL && !queue->completing && !queue->releasing)
		vmq_pool_stats_get(queue->pool, &info->memory);
	if (queue->xmit_pool != NULL && !queue->completing && !queue->releasing)
		vmq_pool_stats_get(queue->xmit_pool, &info->xmit_memory);
	if (id == VMQ_DEFAULT_QUEUE_ID)
		info->kept_by_driver = adapter_kept_buffers(adapter);
	info->xmit_node = queue->xmit_node;
	info->xmit_why = queue->xmit_why;
	info->transmits = queue_transmits(queue);
	info->packets = queue->last_packets;
	info->transmit = queue->last_transmit;
	if (queue->dp != NULL) {
		vmq_dp_queue_stats_get(queue->dp, &info->packets);
		vmq_dp_queue_tx_stats_get(queue->dp, &info->transmit);
	}
	return true;
}

bool
vmq_queue_params_get(const struct vmq_adapter *adapter, uint16_t id,
	struct vmq_queue_params *params)
{
	const struct queue *queue = adapter_queue(adapter, id);

	if (queue == NULL)
		return false;
	*params = (struct vmq_queue_params){
		.name = queue->name,
		.vm = queue->vm,
		.worker = queue->worker,
		.memory = queue->memory,
		.keep_tags = queue->keep_tags,
		.allow_spoofing = !queue->anti_spoof,
		.priority = queue->priority,
		.receive_only = queue->receive_only,
		.broadcast = queue->broadcast,
		.rate_to_vm = queue->rate_to_vm,
		.rate_from_vm = queue->rate_from_vm,
		.backend = queue->backend_params,
	};
	return true;
}

int
vmq_queue_next(const struct vmq_adapter *adapter, int after)
{
	uint32_t id;

	for (id = (uint32_t)(after + 1); id < adapter->n_slots; id++)
		if (adapter->queues[id] != NULL)
			return (int)id;
	return -1;
}
