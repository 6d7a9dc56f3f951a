/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include "queue_private.h"

static void
release_work(struct vmq_job *job)
{
	/* Cannot fail: all packets were home, and nobody can take one any more. */
	queue_close_memory(RTE_PTR_SUB(job, offsetof(struct queue, job)));
}

static void
release_done(struct vmq_job *job)
{
	struct queue *queue = RTE_PTR_SUB(job, offsetof(struct queue, job));
	struct vmq_adapter *adapter = queue->adapter;
	vmq_free_callback *callback = queue->free_callback;
	void *arg = queue->free_arg;
	const uint16_t id = queue->id;

	queue_set_state(queue, vmq_queue_next_state(queue->state, VMQ_EVENT_RESOURCES_FREED));
	queue_leave_slot(queue, "it is freed");
	adapter->queues[id] = NULL;
	if (!adapter->halted && slots_assign(adapter) < 0)
		VMQ_LOG(WARNING, "adapter %s: no memory to tell the workers of its slots\n",
			adapter->name);
	queue_destroy(queue);
	if (callback != NULL)
		callback(arg, id, VMQ_STATUS_SUCCESS);
}

void
queue_free_progress(struct queue *queue)
{
	/* A block on its way to or from the helper thread comes to rest by itself. */
	if (queue->state != VMQ_QUEUE_FREEING)
		return;
	if (queue->dp != NULL) {
		/* What it has taken it may still be writing: until then those packets are out. */
		if (!vmq_backend_quiesce(queue->backend))
			return;
		queue_close_path(queue);
	}
	if (queue->releasing || queue->completing || queue->change != NULL ||
		queue->xmit_move != NULL)
		return;
	if (queue_missing(queue) > 0) {
		/* What the VM has sent may lie in the port's rings. */
		vmq_dp_uplink_clean(queue->adapter->uplink);
		return;
	}
	if (queue->pool != NULL) {
		vmq_pool_cancel_retire(queue->pool);
		if (vmq_pool_progress(queue->pool))
			return;
	}
	if (queue->xmit_pool != NULL) {
		vmq_pool_cancel_retire(queue->xmit_pool);
		if (vmq_pool_progress(queue->xmit_pool))
			return;
	}
	/* A rule that was just being made goes with the next step of the rules. */
	if (queue->slot != NULL && !queue->adapter->halted &&
		rules_lead_to(queue->adapter, queue->slot) && !rules_are_settled(queue->adapter))
		return;
	queue->releasing = true;
	queue->job = (struct vmq_job){.work = release_work, .done = release_done};
	vmq_jobs_submit(queue->adapter->host->jobs, &queue->job);
}

enum vmq_status
vmq_queue_free(struct vmq_adapter *adapter, uint16_t id, vmq_free_callback *callback, void *arg,
	struct vmq_error *err)
{
	struct queue *queue = adapter_queue(adapter, id);
	enum vmq_queue_state next;

	if (queue == NULL)
		return vmq_error_set(err, VMQ_STATUS_INVALID_PARAMETER,
			"adapter %s has no queue %u", adapter->name, id);
	if (id == VMQ_DEFAULT_QUEUE_ID)
		return vmq_error_set(err, VMQ_STATUS_INVALID_PARAMETER,
			"queue 0 is the default queue: it goes with its adapter");
	/* The workers' view may still have it. */
	if (adapter->batch > 0)
		return vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED,
			"queue %u (%s): not while changes of adapter %s are being gathered", id,
			queue->name, adapter->name);
	next = vmq_queue_next_state(queue->state, VMQ_EVENT_FREE_QUEUE);
	if (next == VMQ_QUEUE_STATE_COUNT)
		return queue_refuse(queue, VMQ_EVENT_FREE_QUEUE, err);

	/*
	 * It has no filters, but a view that was made before the last one went may have
	 * it, and be walked again. And a worker may still look at its backlog.
	 */
	if (adapter_publish(adapter, err) != VMQ_STATUS_SUCCESS)
		return VMQ_STATUS_RESOURCES;
	queue->abort = true;
	queue_end_change(queue);
	if (queue->slot != NULL && queue->dp != NULL) {
		/* What still comes to its slot is nobody's. */
		adapter->unpublished = true;
		if (adapter_publish(adapter, err) != VMQ_STATUS_SUCCESS) {
			queue->abort = false;
			return VMQ_STATUS_RESOURCES;
		}
	}
	if (queue->dp != NULL) {
		if (host_assign(adapter->host) < 0) {
			queue->abort = false;
			return vmq_error_set(err, VMQ_STATUS_RESOURCES,
				"queue %u (%s): no memory to tell the workers", id, queue->name);
		}
		vmq_dp_queue_serve(queue->dp, VMQ_SERVE_NOBODY);
		vmq_datapath_synchronize(adapter->host->dp);
		vmq_dp_queue_discard(queue->dp);
	}
	queue->freeing_since_ms = host_now_ms();
	queue->free_callback = callback;
	queue->free_arg = arg;
	queue_set_state(queue, next); /* DmaStopped, and that is indicated */
	queue_set_state(queue, vmq_queue_next_state(queue->state, VMQ_EVENT_DMA_STOPPED));
	queue_free_progress(queue);
	return VMQ_STATUS_PENDING;
}
