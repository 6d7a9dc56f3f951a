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
	enum vmq_queue_state next, before;
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

	before = queue->state;
	queue->n_filters++;
	queue_set_state(queue, next);
	adapter->hardware.changes++;
	adapter->unpublished = true;
	status = adapter_publish(adapter, err);
	if (status != VMQ_STATUS_SUCCESS) {
		vmq_filter_del(adapter->filters, *filter_id);
		queue->n_filters--;
		queue_set_state(queue, before);
	}
	return status;
}

/* The state after a filter has gone from a queue, or VMQ_QUEUE_STATE_COUNT. */
static enum vmq_queue_state
state_without(const struct queue *queue, enum vmq_queue_event *event)
{
	*event = queue->n_filters == 1 ? VMQ_EVENT_CLEAR_LAST_FILTER : VMQ_EVENT_CLEAR_FILTER;
	return next_state(queue, *event);
}

enum vmq_status
vmq_queue_clear_filter(struct vmq_adapter *adapter, uint32_t filter_id, struct vmq_error *err)
{
	const struct vmq_filter *filter = vmq_filter_find(adapter->filters, filter_id);
	enum vmq_queue_event event;
	enum vmq_queue_state next;
	struct queue *queue;

	if (filter == NULL)
		return vmq_error_set(err, VMQ_STATUS_FILE_NOT_FOUND, "adapter %s has no filter %u",
			adapter->name, filter_id);
	queue = adapter_queue(adapter, filter->queue_id);
	next = state_without(queue, &event);
	if (next == VMQ_QUEUE_STATE_COUNT)
		return queue_refuse(queue, event, err);

	vmq_filter_del(adapter->filters, filter_id);
	queue->n_filters--;
	queue_set_state(queue, next);
	adapter->hardware.changes++;
	adapter->unpublished = true;
	if (adapter_publish(adapter, err) != VMQ_STATUS_SUCCESS) {
		/*
		 * The old view still has the filter. A queue that is not running drops
		 * what comes by it; of one that runs on, the next change takes it out.
		 */
		VMQ_LOG(WARNING, "filter %u works until the next change: %s\n", filter_id,
			err != NULL ? err->text : "");
	}
	/* A queue without filters delivers nothing more once the request has ended. */
	if (!queue_is_active(queue) && adapter->batch == 0)
		vmq_datapath_synchronize(adapter->host->dp);
	return VMQ_STATUS_SUCCESS;
}

enum vmq_status
vmq_queue_move_filter(struct vmq_adapter *adapter, uint32_t filter_id, uint16_t from, uint16_t to,
	struct vmq_error *err)
{
	const struct vmq_filter *filter = vmq_filter_find(adapter->filters, filter_id);
	struct queue *source = adapter_queue(adapter, from);
	struct queue *destination = adapter_queue(adapter, to);
	enum vmq_queue_state next, left, before;
	enum vmq_queue_event event;
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
	if (!rules_settle(adapter))
		return vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED,
			"filter %u: the last change of the NIC's rules is not over; try again",
			filter_id);
	next = next_state(destination, VMQ_EVENT_SET_FILTER);
	if (next == VMQ_QUEUE_STATE_COUNT)
		return queue_refuse(destination, VMQ_EVENT_SET_FILTER, err);
	left = state_without(source, &event);
	if (left == VMQ_QUEUE_STATE_COUNT)
		return queue_refuse(source, event, err);

	before = destination->state;
	vmq_filter_move(adapter->filters, filter_id, to);
	destination->n_filters++;
	queue_set_state(destination, next);
	adapter->hardware.changes++;
	adapter->unpublished = true;
	status = adapter_publish(adapter, err);
	if (status != VMQ_STATUS_SUCCESS) {
		vmq_filter_move(adapter->filters, filter_id, from);
		destination->n_filters--;
		queue_set_state(destination, before);
		return status;
	}
	/*
	 * The source runs on until it has delivered what workers had gathered for it by
	 * the old view: the move itself loses none.
	 */
	source->n_filters--;
	if (left == source->state)
		return VMQ_STATUS_SUCCESS;
	if (adapter->batch > 0) {
		adapter->unsettled = true; /* the view is still the old one */
	} else {
		vmq_datapath_synchronize(adapter->host->dp);
		queue_set_state(source, left);
		adapter->unpublished = true; /* it is in the view, and need not be */
	}
	return VMQ_STATUS_SUCCESS;
}
