/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <stdlib.h>
#include <string.h>

#include "queue_private.h"

/* One QUEUE_ALLOCATION_COMPLETE, from the request to its answer. */
struct batch {
	struct vmq_job job;
	struct vmq_adapter *adapter;
	vmq_complete_callback *callback;
	void *arg;
	uint16_t n;
	struct queue **queues; /* NULL: not to be completed, items says why */
	struct vmq_queue_completion *items;
};

static uint32_t
at_least(const struct queue *queue)
{
	return queue->memory.min_buffers != 0 ? queue->memory.min_buffers : queue->memory.buffers;
}

/* A queue's part of what it asked for, in parts of 1 / divisor. */
static uint32_t
part_of(const struct queue *queue, uint32_t divisor)
{
	return RTE_MAX(queue->memory.buffers / divisor, at_least(queue));
}

static void
undo_memory(struct batch *batch, uint16_t n)
{
	uint16_t i;

	for (i = 0; i < n; i++)
		if (batch->queues[i] != NULL)
			queue_close_memory(batch->queues[i]);
}

/*
 * Try to give each queue the same part of what it asked for: all or none. Sets
 * *smaller if a still smaller part could be tried.
 */
static bool
try_part(struct batch *batch, uint32_t divisor, bool *smaller)
{
	struct queue *queue;
	uint32_t buffers;
	uint16_t i;

	*smaller = false;
	for (i = 0; i < batch->n; i++) {
		queue = batch->queues[i];
		if (queue == NULL)
			continue;
		buffers = part_of(queue, divisor);
		*smaller |= buffers > at_least(queue);
		batch->items[i].status = queue_open_memory(queue, buffers, &batch->items[i].error);
		if (batch->items[i].status != VMQ_STATUS_SUCCESS) {
			for (; i < batch->n; i++)
				*smaller |= batch->queues[i] != NULL &&
					part_of(batch->queues[i], divisor) >
						at_least(batch->queues[i]);
			undo_memory(batch, batch->n);
			return false;
		}
	}
	return true;
}

/* Helper thread, or control thread at the start: find memory for the batch. */
static void
find_memory(struct batch *batch)
{
	uint32_t divisor;
	bool smaller;
	uint16_t i;

	for (divisor = 1; divisor != 0; divisor *= 2) {
		if (try_part(batch, divisor, &smaller))
			return;
		if (!smaller)
			break;
	}
	/* Not even the least for all: then for as many as there is memory for. */
	for (i = 0; i < batch->n; i++)
		if (batch->queues[i] != NULL)
			batch->items[i].status = queue_open_memory(batch->queues[i],
				at_least(batch->queues[i]), &batch->items[i].error);
}

static void
find_memory_work(struct vmq_job *job)
{
	find_memory(RTE_PTR_SUB(job, offsetof(struct batch, job)));
}

/* With memory found: the rest, and the new state. */
static enum vmq_status
finish_one(struct queue *queue, struct vmq_queue_completion *item)
{
	struct vmq_pool_stats memory;
	enum vmq_status status;
	struct vmq_error why;

	queue->completing = false;
	if (queue->abort) {
		queue_close_memory(queue);
		return vmq_error_set(&item->error, VMQ_STATUS_REQUEST_ABORTED,
			"queue %u (%s) is being freed", queue->id, queue->name);
	}
	if (item->status != VMQ_STATUS_SUCCESS)
		return item->status;
	if (queue->slot != NULL && slot_run(queue->slot, &why) < 0) {
		queue_close_memory(queue);
		return vmq_error_set(&item->error, VMQ_STATUS_FAILURE,
			"queue %u (%s): its hardware queue does not start: %.350s", queue->id,
			queue->name, why.text);
	}
	status = queue_open_path(queue, &item->error);
	if (status != VMQ_STATUS_SUCCESS)
		return status;
	vmq_pool_stats_get(queue->pool, &memory);
	item->buffers = memory.populated;
	if (item->buffers < queue->memory.buffers)
		VMQ_LOG(NOTICE, "queue %u (%s): %u buffers of the %u asked for\n", queue->id,
			queue->name, item->buffers, queue->memory.buffers);
	queue_set_state(queue, vmq_queue_next_state(queue->state, VMQ_EVENT_ALLOCATION_COMPLETE));
	vmq_dp_queue_run(queue->dp, queue_is_active(queue));
	queue->adapter->unpublished = true;
	return VMQ_STATUS_SUCCESS;
}

/*
 * Take queues that were just opened from the workers that have heard of them. Returns
 * false if even that could not be told: then a worker may still look at them.
 */
static bool
withdraw(struct batch *batch)
{
	uint16_t i;

	for (i = 0; i < batch->n; i++) {
		if (batch->items[i].status != VMQ_STATUS_SUCCESS)
			continue;
		batch->queues[i]->abort = true;
		vmq_dp_queue_serve(batch->queues[i]->dp, VMQ_SERVE_NOBODY);
	}
	if (host_assign(batch->adapter->host) < 0)
		return false;
	vmq_datapath_synchronize(batch->adapter->host->dp);
	return true;
}

/* Undo a completion that not all workers could be told of. */
static void
take_back(struct queue *queue)
{
	queue->abort = false;
	queue_close_path(queue);
	queue_close_memory(queue); /* no view has had it: all buffers are home */
	queue_set_state(queue, queue->n_filters > 0 ? VMQ_QUEUE_SET : VMQ_QUEUE_ALLOCATED);
}

static enum vmq_status
finish(struct batch *batch)
{
	enum vmq_status first = VMQ_STATUS_SUCCESS, told = VMQ_STATUS_SUCCESS;
	bool withdrawn = true;
	struct vmq_error err;
	uint16_t i;

	for (i = 0; i < batch->n; i++)
		if (batch->queues[i] != NULL)
			batch->items[i].status = finish_one(batch->queues[i], &batch->items[i]);
	if (host_assign(batch->adapter->host) < 0)
		told = vmq_error_set(&err, VMQ_STATUS_RESOURCES,
			"adapter %s: no memory to tell the workers", batch->adapter->name);
	if (told == VMQ_STATUS_SUCCESS)
		told = adapter_publish(batch->adapter, &err);
	if (told != VMQ_STATUS_SUCCESS)
		withdrawn = withdraw(batch);
	for (i = 0; i < batch->n; i++) {
		struct vmq_queue_completion *item = &batch->items[i];

		if (told != VMQ_STATUS_SUCCESS && item->status == VMQ_STATUS_SUCCESS) {
			if (withdrawn)
				take_back(batch->queues[i]);
			else
				VMQ_LOG(ERR, "queue %u (%s): it cannot be taken back; halt its adapter\n",
					batch->queues[i]->id, batch->queues[i]->name);
			item->status = told;
			item->error = err;
			item->buffers = 0;
		}
		if (first == VMQ_STATUS_SUCCESS)
			first = item->status;
	}
	return first;
}

static void
batch_free(struct batch *batch)
{
	if (batch == NULL)
		return;
	free(batch->queues);
	free(batch->items);
	free(batch);
}

static void
finish_done(struct vmq_job *job)
{
	struct batch *batch = RTE_PTR_SUB(job, offsetof(struct batch, job));

	finish(batch);
	batch->callback(batch->arg, batch->items, batch->n);
	batch_free(batch);
}

static void
wait_work(struct vmq_job *job)
{
	(void)job;
}

static void
submit(struct batch *batch)
{
	batch->job = (struct vmq_job){.work = find_memory_work, .done = finish_done};
	vmq_jobs_submit(batch->adapter->host->jobs, &batch->job);
}

static void
wait_done(struct vmq_job *job)
{
	submit(RTE_PTR_SUB(job, offsetof(struct batch, job)));
}

/* Is a slot of the batch still giving back what its last VM had? */
static bool
slots_are_busy(const struct batch *batch)
{
	uint16_t i;

	for (i = 0; i < batch->n; i++)
		if (batch->queues[i] != NULL && batch->queues[i]->slot != NULL &&
			vmq_pool_is_busy(batch->queues[i]->slot->pool))
			return true;
	return false;
}

/* Which queue an item means, if its state allows it. */
static struct queue *
accept_item(struct vmq_adapter *adapter, struct vmq_queue_completion *item)
{
	struct queue *queue = adapter_queue(adapter, item->id);

	item->buffers = 0;
	if (queue == NULL) {
		item->status = vmq_error_set(&item->error, VMQ_STATUS_INVALID_PARAMETER,
			"adapter %s has no queue %u", adapter->name, item->id);
		return NULL;
	}
	if (vmq_queue_next_state(queue->state, VMQ_EVENT_ALLOCATION_COMPLETE) ==
		VMQ_QUEUE_STATE_COUNT) {
		item->status = queue_refuse(queue, VMQ_EVENT_ALLOCATION_COMPLETE, &item->error);
		return NULL;
	}
	if (queue->completing) {
		item->status = vmq_error_set(&item->error, VMQ_STATUS_NOT_ACCEPTED,
			"queue %u (%s) is being completed already", queue->id, queue->name);
		return NULL;
	}
	queue->completing = true; /* so that a second mention in the batch is refused */
	queue->abort = false;
	return queue;
}

enum vmq_status
vmq_queue_complete(struct vmq_adapter *adapter, struct vmq_queue_completion *items, uint16_t n,
	vmq_complete_callback *callback, void *arg)
{
	struct batch *batch = calloc(1, sizeof(*batch));
	enum vmq_status status;
	uint16_t i;

	if (batch == NULL)
		return VMQ_STATUS_RESOURCES;
	*batch = (struct batch){
		.adapter = adapter,
		.callback = callback,
		.arg = arg,
		.n = n,
		.queues = calloc(n + 1u, sizeof(*batch->queues)),
		.items = calloc(n + 1u, sizeof(*batch->items)),
	};
	if (batch->queues == NULL || batch->items == NULL) {
		batch_free(batch);
		return VMQ_STATUS_RESOURCES;
	}
	memcpy(batch->items, items, n * sizeof(*items));
	for (i = 0; i < n; i++)
		batch->queues[i] = accept_item(adapter, &batch->items[i]);

	if (callback != NULL) {
		/* Jobs end in order: after this one the slots have given back. */
		batch->job = (struct vmq_job){.work = wait_work, .done = wait_done};
		if (slots_are_busy(batch))
			vmq_jobs_submit(adapter->host->jobs, &batch->job);
		else
			submit(batch);
		return VMQ_STATUS_PENDING;
	}
	find_memory(batch);
	status = finish(batch);
	memcpy(items, batch->items, n * sizeof(*items));
	batch_free(batch);
	return status;
}
