/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include "queue_private.h"

/*
 * The default queue is Running from adapter start to halt, whether it has filters or
 * not; for it the events of filters change no state.
 */
static enum vmq_queue_state
next_state(const struct queue *queue, enum vmq_queue_event event)
{
	enum vmq_queue_state next = vmq_queue_next_state(queue->state, event);

	if (queue->id == VMQ_DEFAULT_QUEUE_ID && next != VMQ_QUEUE_STATE_COUNT)
		return queue->state;
	return next;
}

enum vmq_status
vmq_queue_set_filter(struct vmq_adapter *adapter, uint16_t id, const struct vmq_filter_match *match,
	uint32_t *filter_id, struct vmq_error *err)
{
	struct queue *queue = adapter_queue(adapter, id);
	enum vmq_queue_state next;
	enum vmq_status status;

	if (queue == NULL)
		return vmq_error_set(err, VMQ_STATUS_INVALID_PARAMETER,
			"adapter %s has no queue %u", adapter->name, id);
	next = next_state(queue, VMQ_EVENT_SET_FILTER);
	if (next == VMQ_QUEUE_STATE_COUNT)
		return queue_refuse(queue, VMQ_EVENT_SET_FILTER, err);
	status = vmq_filter_add(adapter->filters, id, match, filter_id, err);
	if (status != VMQ_STATUS_SUCCESS)
		return status;

	queue->n_filters++;
	queue->state = next;
	if (queue->dp != NULL)
		vmq_dp_queue_run(queue->dp, queue_is_active(queue));
	adapter->unpublished = true;
	return adapter_publish(adapter, err);
}

enum vmq_status
vmq_queue_clear_filter(struct vmq_adapter *adapter, uint32_t filter_id, struct vmq_error *err)
{
	const struct vmq_filter *filter = vmq_filter_find(adapter->filters, filter_id);
	enum vmq_queue_event event;
	enum vmq_queue_state next;
	enum vmq_status status;
	struct queue *queue;

	if (filter == NULL)
		return vmq_error_set(err, VMQ_STATUS_FILE_NOT_FOUND, "adapter %s has no filter %u",
			adapter->name, filter_id);
	queue = adapter_queue(adapter, filter->queue_id);
	event = queue->n_filters == 1 ? VMQ_EVENT_CLEAR_LAST_FILTER : VMQ_EVENT_CLEAR_FILTER;
	next = next_state(queue, event);
	if (next == VMQ_QUEUE_STATE_COUNT)
		return queue_refuse(queue, event, err);

	vmq_filter_del(adapter->filters, filter_id);
	queue->n_filters--;
	queue->state = next;
	if (queue->dp != NULL)
		vmq_dp_queue_run(queue->dp, queue_is_active(queue));
	adapter->unpublished = true;
	status = adapter_publish(adapter, err);
	/* A queue without filters delivers nothing more once the request has ended. */
	if (!queue_is_active(queue))
		vmq_datapath_synchronize(adapter->host->dp);
	return status;
}

enum vmq_status
vmq_queue_move_filter(struct vmq_adapter *adapter, uint32_t filter_id, uint16_t from, uint16_t to,
	struct vmq_error *err)
{
	const struct vmq_filter *filter = vmq_filter_find(adapter->filters, filter_id);
	struct queue *source = adapter_queue(adapter, from);
	struct queue *destination = adapter_queue(adapter, to);
	enum vmq_queue_event event;
	enum vmq_queue_state next, left;
	enum vmq_status status;

	if (filter == NULL)
		return vmq_error_set(err, VMQ_STATUS_FILE_NOT_FOUND, "adapter %s has no filter %u",
			adapter->name, filter_id);
	if (source == NULL || destination == NULL)
		return vmq_error_set(err, VMQ_STATUS_INVALID_PARAMETER,
			"adapter %s has no queue %u", adapter->name, source == NULL ? from : to);
	if (filter->queue_id != from)
		return vmq_error_set(err, VMQ_STATUS_INVALID_PARAMETER,
			"filter %u is queue %u's, not queue %u's", filter_id, filter->queue_id,
			from);
	if (from == to)
		return VMQ_STATUS_SUCCESS;
	next = next_state(destination, VMQ_EVENT_SET_FILTER);
	if (next == VMQ_QUEUE_STATE_COUNT)
		return queue_refuse(destination, VMQ_EVENT_SET_FILTER, err);
	event = source->n_filters == 1 ? VMQ_EVENT_CLEAR_LAST_FILTER : VMQ_EVENT_CLEAR_FILTER;
	left = next_state(source, event);
	if (left == VMQ_QUEUE_STATE_COUNT)
		return queue_refuse(source, event, err);

	vmq_filter_move(adapter->filters, filter_id, to);
	source->n_filters--;
	destination->n_filters++;
	destination->state = next;
	if (destination->dp != NULL)
		vmq_dp_queue_run(destination->dp, queue_is_active(destination));
	/*
	 * The source runs on until no worker has packets gathered for it by the old
	 * view: the move itself loses none.
	 */
	source->state = left;
	adapter->unpublished = true;
	status = adapter_publish(adapter, err);
	if (source->dp != NULL && !queue_is_active(source)) {
		vmq_datapath_synchronize(adapter->host->dp);
		vmq_dp_queue_run(source->dp, false);
	}
	return status;
}
