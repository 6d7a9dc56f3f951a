/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* A queue goes from software to hardware, or back, while its packets flow. */

#include <stdlib.h>

#include "queue_private.h"

/* How often the adapter looks whether a queue should have a slot that is free. */
#define LOOK_MS 1000

/* A change under way: memory first, which may take long. */
struct change {
	struct vmq_job job;
	struct queue *queue;
	struct slot *slot; /* NULL: to software */
	struct vmq_pool *pool; /* for software */
	bool settling; /* it has its slot, and the NIC's rules follow */
	enum vmq_status status;
	struct vmq_error err;
	vmq_change_callback *callback;
	void *arg;
};

static void
end_change(struct change *change)
{
	struct queue *queue = change->queue;

	queue->change = NULL;
	if (change->callback != NULL)
		change->callback(change->arg, queue->id, change->status, &change->err);
	else if (change->status != VMQ_STATUS_SUCCESS)
		VMQ_LOG(NOTICE, "queue %u (%s): %.400s\n", queue->id, queue->name,
			change->err.text);
	free(change);
}

/* The pool that a queue received into stays until the last packet is home. */
static void
leave_pool(struct queue *queue)
{
	vmq_pool_set_demand(queue->pool, &(struct vmq_pool_demand){0});
	vmq_pool_set_callback(queue->pool, NULL, NULL);
	vmq_pool_cancel_retire(queue->pool);
	queue->left_pool = queue->pool;
}

static bool
tell_workers(struct vmq_adapter *adapter, struct vmq_error *err)
{
	adapter->unpublished = true;
	return adapter_publish_view(adapter, err) == VMQ_STATUS_SUCCESS &&
		slots_assign(adapter) == 0;
}

static void
promote_work(struct vmq_job *job)
{
	struct change *change = RTE_PTR_SUB(job, offsetof(struct change, job));

	change->status = slot_open_memory(change->slot, change->queue,
		change->queue->memory.buffers, &change->err);
}

static void
promote_done(struct vmq_job *job);

/* The slot has given back what its last VM had: jobs end in order. */
static void
promote_ready(struct vmq_job *job)
{
	struct change *change = RTE_PTR_SUB(job, offsetof(struct change, job));

	change->job = (struct vmq_job){.work = promote_work, .done = promote_done};
	vmq_jobs_submit(change->queue->adapter->host->jobs, &change->job);
}

static void
promote_wait(struct vmq_job *job)
{
	(void)job;
}

static void
promote_done(struct vmq_job *job)
{
	struct change *change = RTE_PTR_SUB(job, offsetof(struct change, job));
	struct queue *queue = change->queue;
	struct slot *slot = change->slot;
	struct vmq_adapter *adapter = queue->adapter;
	struct vmq_error why;

	if (change->status == VMQ_STATUS_SUCCESS && (queue->abort || queue->dp == NULL ||
			adapter->halted)) {
		slot_close_memory(slot);
		change->status = vmq_error_set(&change->err, VMQ_STATUS_REQUEST_ABORTED,
			"queue %u (%s) is being freed", queue->id, queue->name);
	}
	if (change->status == VMQ_STATUS_SUCCESS && slot_run(slot, &why) < 0) {
		slot_close_memory(slot);
		change->status = vmq_error_set(&change->err, VMQ_STATUS_FAILURE,
			"queue %u (%s): its hardware queue does not start: %.350s", queue->id,
			queue->name, why.text);
	}
	if (change->status != VMQ_STATUS_SUCCESS) {
		queue_leave_slot(queue, change->status == VMQ_STATUS_FAILURE ? change->err.text
			: "there was no memory for its promotion");
		end_change(change);
		return;
	}
	leave_pool(queue);
	queue_use_slot_pool(queue);
	vmq_dp_queue_set_pool(queue->dp, vmq_pool_mempool(queue->pool), true, slot_reserve());
	if (!tell_workers(adapter, &change->err))
		VMQ_LOG(WARNING, "queue %u (%s): its workers hear of its slot with the next change\n",
			queue->id, queue->name);
	change->settling = true;
	rules_changed(adapter);
	adapter_indicate(adapter, VMQ_INDICATE_QUEUE_PARAMETERS, queue->id,
		VMQ_QUEUE_CHANGE_STEERING);
}

static struct change *
begin_change(struct queue *queue, vmq_change_callback *callback, void *arg, struct vmq_error *err)
{
	struct change *change;

	if (queue->dp == NULL || queue->state == VMQ_QUEUE_FREEING || queue->abort) {
		vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED,
			"queue %u (%s): it is not complete, or is being freed", queue->id, queue->name);
		return NULL;
	}
	if (queue->change != NULL || queue->leaving_hardware || queue->left_pool != NULL) {
		vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED,
			"queue %u (%s): its last change of steering is not over: packets are out of "
			"its old memory", queue->id, queue->name);
		return NULL;
	}
	change = calloc(1, sizeof(*change));
	if (change == NULL) {
		vmq_error_set(err, VMQ_STATUS_RESOURCES, "no memory for a change's record");
		return NULL;
	}
	change->queue = queue;
	change->callback = callback;
	change->arg = arg;
	queue->change = change;
	return change;
}

static struct queue *
find(struct vmq_adapter *adapter, uint16_t id, struct vmq_error *err)
{
	struct queue *queue = adapter_queue(adapter, id);

	if (queue == NULL)
		vmq_error_set(err, VMQ_STATUS_INVALID_PARAMETER, "adapter %s has no queue %u",
			adapter->name, id);
	return queue;
}

enum vmq_status
vmq_queue_promote(struct vmq_adapter *adapter, uint16_t id, vmq_change_callback *callback,
	void *arg, struct vmq_error *err)
{
	struct queue *queue = find(adapter, id, err);
	struct change *change;
	struct slot *slot;

	if (queue == NULL)
		return VMQ_STATUS_INVALID_PARAMETER;
	if (!queue_may_have_slot(queue))
		return vmq_error_set(err, VMQ_STATUS_NOT_SUPPORTED, "queue %u (%s): %.400s", id,
			queue->name, queue->hardware_why);
	change = queue->change;
	if (change != NULL && change->slot != NULL && change->callback == NULL && !queue->abort) {
		/* It is on its way by itself: who asks hears of the end of that. */
		change->callback = callback;
		change->arg = arg;
		return VMQ_STATUS_PENDING;
	}
	if (queue->slot != NULL)
		return vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED,
			"queue %u (%s) is in hardware already", id, queue->name);
	slot = slot_find_free(adapter);
	if (slot == NULL)
		return vmq_error_set(err, VMQ_STATUS_RESOURCES,
			"queue %u (%s): all %u hardware queues are taken; demote another one first",
			id, queue->name, adapter->hardware.n_slots);
	change = begin_change(queue, callback, arg, err);
	if (change == NULL)
		return VMQ_STATUS_NOT_ACCEPTED;
	queue_take_free_slot(queue, slot);
	queue->demoted = false;
	change->slot = slot;
	change->job = (struct vmq_job){.work = promote_wait, .done = promote_ready};
	if (vmq_pool_is_busy(slot->pool))
		vmq_jobs_submit(adapter->host->jobs, &change->job);
	else
		promote_ready(&change->job);
	return VMQ_STATUS_PENDING;
}

static void
demote_work(struct vmq_job *job)
{
	struct change *change = RTE_PTR_SUB(job, offsetof(struct change, job));

	change->pool = queue_make_pool(change->queue, &change->err);
	change->status = change->pool != NULL ? VMQ_STATUS_SUCCESS : VMQ_STATUS_RESOURCES;
}

static void
demote_done(struct vmq_job *job)
{
	struct change *change = RTE_PTR_SUB(job, offsetof(struct change, job));
	struct queue *queue = change->queue;

	if (change->status == VMQ_STATUS_SUCCESS && (queue->abort || queue->dp == NULL ||
			queue->adapter->halted)) {
		vmq_pool_destroy(change->pool, NULL);
		change->status = vmq_error_set(&change->err, VMQ_STATUS_REQUEST_ABORTED,
			"queue %u (%s) is being freed", queue->id, queue->name);
	}
	if (change->status != VMQ_STATUS_SUCCESS) {
		queue->demoted = false;
		end_change(change);
		return;
	}
	/* First the rules go and the ring is emptied: queue_left_hardware(). */
	vmq_pool_set_demand(queue->pool, &(struct vmq_pool_demand){0});
	vmq_pool_cancel_retire(queue->pool);
	queue->leaving_hardware = true;
	rules_changed(queue->adapter);
}

void
queue_left_hardware(struct queue *queue)
{
	struct vmq_adapter *adapter = queue->adapter;
	struct slot *slot = queue->slot;
	struct change *change = queue->change;

	queue->leaving_hardware = false;
	queue_leave_slot(queue, "it was demoted");
	/* What is out of the slot's memory keeps the slot from its next VM. */
	slot_close_memory(slot);
	queue->pool = change->pool;
	queue_watch_pool(queue);
	vmq_dp_queue_set_pool(queue->dp, vmq_pool_mempool(queue->pool), false, 0);
	if (!tell_workers(adapter, &change->err))
		VMQ_LOG(WARNING, "queue %u (%s): its workers hear of its new memory with the next "
			"change\n", queue->id, queue->name);
	adapter_indicate(adapter, VMQ_INDICATE_QUEUE_PARAMETERS, queue->id,
		VMQ_QUEUE_CHANGE_STEERING);
	end_change(change);
}

void
queue_end_change(struct queue *queue)
{
	struct change *change = queue->change;

	/* With the helper thread: its end sees what has become of the queue. */
	if (change == NULL || (!queue->leaving_hardware && !change->settling))
		return;
	if (queue->leaving_hardware)
		vmq_pool_destroy(change->pool, NULL);
	queue->leaving_hardware = false;
	change->status = vmq_error_set(&change->err, VMQ_STATUS_REQUEST_ABORTED,
		"queue %u (%s) is being freed", queue->id, queue->name);
	end_change(change);
}

enum vmq_status
vmq_queue_demote(struct vmq_adapter *adapter, uint16_t id, vmq_change_callback *callback,
	void *arg, struct vmq_error *err)
{
	struct queue *queue = find(adapter, id, err);
	struct change *change;

	if (queue == NULL)
		return VMQ_STATUS_INVALID_PARAMETER;
	if (queue->slot == NULL)
		return vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED,
			"queue %u (%s) is in software already: %.300s", id, queue->name,
			queue->hardware_why);
	change = begin_change(queue, callback, arg, err);
	if (change == NULL)
		return VMQ_STATUS_NOT_ACCEPTED;
	queue->demoted = true;
	change->job = (struct vmq_job){.work = demote_work, .done = demote_done};
	vmq_jobs_submit(adapter->host->jobs, &change->job);
	return VMQ_STATUS_PENDING;
}

/* Of the queues in software that can have a slot: highest priority, then most packets. */
static struct queue *
best_candidate(struct vmq_adapter *adapter)
{
	struct vmq_dp_queue_stats stats;
	struct queue *best = NULL;
	uint64_t packets, most = 0;
	uint32_t i;

	for (i = 1; i < adapter->n_slots; i++) {
		struct queue *queue = adapter->queues[i];

		if (queue == NULL || queue->dp == NULL || !queue_is_active(queue))
			continue;
		vmq_dp_queue_stats_get(queue->dp, &stats);
		packets = stats.received - queue->last_received;
		queue->last_received = stats.received;
		if (queue->slot != NULL || queue->demoted || queue->change != NULL ||
			queue->left_pool != NULL || !queue_may_have_slot(queue))
			continue;
		snprintf(queue->hardware_why, sizeof(queue->hardware_why),
			"all %u hardware queues are taken", adapter->hardware.n_slots);
		if (best == NULL || queue->priority > best->priority ||
			(queue->priority == best->priority && packets > most)) {
			best = queue;
			most = packets;
		}
	}
	/* An idle queue gains nothing. */
	return most > 0 ? best : NULL;
}

void
promote_progress(struct vmq_adapter *adapter, uint64_t now_ms)
{
	const bool settled = rules_are_settled(adapter);
	struct queue *queue;
	uint32_t i;

	for (i = 0; i < adapter->n_slots; i++) {
		queue = adapter->queues[i];
		if (queue != NULL && queue->change != NULL && queue->change->settling && settled)
			end_change(queue->change);
		/* Nobody can take from it any more: it goes at once when it is full again. */
		if (queue != NULL && queue->left_pool != NULL &&
			vmq_pool_destroy(queue->left_pool, NULL) == 0)
			queue->left_pool = NULL;
	}
	if (adapter->hardware.steer == NULL || now_ms < adapter->hardware.promote_ms)
		return;
	adapter->hardware.promote_ms = now_ms + LOOK_MS;
	queue = best_candidate(adapter);
	if (queue != NULL && slot_find_free(adapter) != NULL)
		vmq_queue_promote(adapter, queue->id, NULL, NULL, NULL);
}
