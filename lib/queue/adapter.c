/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <stdlib.h>

#include <bsd/string.h>

#include <rte_errno.h>

#include "queue_private.h"

uint32_t
vmq_adapter_min_buffers(uint16_t rx_descriptors)
{
	/*
	 * The NIC's ring, what may be gathered, the worker's cache (which is flushed at
	 * one and a half times its size), and two bursts on their way. Its stash has only
	 * what was gathered, and is emptied before the pool is asked.
	 */
	return rx_descriptors + VMQ_GATHER_MAX + RX_CACHE_SIZE * 3 / 2 + 2 * VMQ_BURST;
}

struct queue *
adapter_queue(const struct vmq_adapter *adapter, uint32_t id)
{
	return id < adapter->n_slots ? adapter->queues[id] : NULL;
}

/*
 * What follows from the filters beside the classifier: the VLAN of frames that a queue's
 * VM sends without a tag (none, if the queue takes such frames as well, else that of its
 * first filter), and whose broadcasts the queue gets. flood has room for all filters, and
 * one more. Returns how many are in it.
 */
static size_t
set_members(const struct vmq_adapter *adapter, const struct vmq_classifier_queue *queues,
	struct vmq_dp_view *view, struct vmq_dp_flood_member *flood)
{
	const struct vmq_filter *filter;
	struct vmq_dp_member *member;
	uint16_t i, index, vlan;
	size_t n = 0;
	uint32_t after;

	for (after = 0; (filter = vmq_filter_next(adapter->filters, after)) != NULL;
		after = filter->id) {
		if (!queues[filter->queue_id].active)
			continue;
		index = queues[filter->queue_id].index;
		member = &view->members[index];
		vlan = 0;
		if (filter->match.vlan_test != VMQ_VLAN_ID)
			member->takes_untagged = true;
		else
			vlan = filter->match.vlan_id;
		if (member->native_vlan == 0)
			member->native_vlan = vlan;
		if (filter->match.vlan_test == VMQ_VLAN_ANY)
			vlan = VMQ_DP_FLOOD_ALL;
		if (member->broadcast)
			flood[n++] = (struct vmq_dp_flood_member){.vlan = vlan, .index = index};
	}
	for (i = 0; i < view->n_queues; i++)
		if (view->members[i].takes_untagged)
			view->members[i].native_vlan = 0;
	/* What nobody claims, of whatever VLAN, is the default queue's. */
	if (view->members[0].broadcast)
		flood[n++] = (struct vmq_dp_flood_member){.vlan = VMQ_DP_FLOOD_ALL, .index = 0};
	return n;
}

/* The view of the adapter as it is now: its active queues, the default one first. */
static struct vmq_dp_view *
build_view(const struct vmq_adapter *adapter)
{
	const int node = vmq_datapath_worker_node(adapter->host->dp, adapter->source_worker);
	struct vmq_classifier_queue *classes;
	struct vmq_dp_flood_member *flood;
	const struct queue *queue;
	struct vmq_dp_view *view;
	size_t n_flood;
	uint16_t n = 0;
	uint32_t i;

	classes = calloc(adapter->n_slots, sizeof(*classes));
	flood = calloc(vmq_filter_total(adapter->filters) + 1, sizeof(*flood));
	view = vmq_dp_view_create((uint16_t)adapter->n_slots, node);
	if (classes == NULL || flood == NULL || view == NULL)
		goto no_memory;
	for (i = 0; i < adapter->n_slots; i++) {
		queue = adapter->queues[i];
		if (queue == NULL || !queue_is_active(queue))
			continue;
		classes[i] = (struct vmq_classifier_queue){
			.index = n,
			.keep_tags = queue->keep_tags,
			.active = true,
		};
		view->members[n] = (struct vmq_dp_member){
			/* What no filter claims comes to the default queue with its tags. */
			.trunk = queue->keep_tags || i == VMQ_DEFAULT_QUEUE_ID,
			.takes_untagged = i == VMQ_DEFAULT_QUEUE_ID,
			.broadcast = queue->broadcast,
		};
		view->queues[n++] = queue->dp;
	}
	view->n_queues = n;
	n_flood = set_members(adapter, classes, view, flood);
	if (vmq_dp_view_flood(view, flood, n_flood, node) < 0)
		goto no_memory;
	view->classifier = vmq_classifier_build(adapter->filters, classes,
		(uint16_t)adapter->n_slots, node);
	if (view->classifier == NULL || !slots_fill_view(adapter, view, classes))
		goto no_memory;
	free(flood);
	free(classes);
	return view;

no_memory:
	vmq_dp_view_free(view);
	free(flood);
	free(classes);
	return NULL;
}

/*
 * Queues whose last filter was moved away in a batch run on until the workers have left
 * the view that still had them.
 */
static void
settle(struct vmq_adapter *adapter)
{
	struct queue *queue;
	enum vmq_queue_state next;
	uint32_t i;

	adapter->unsettled = false;
	vmq_datapath_synchronize(adapter->host->dp);
	for (i = 1; i < adapter->n_slots; i++) {
		queue = adapter->queues[i];
		if (queue == NULL || queue->n_filters > 0)
			continue;
		next = vmq_queue_next_state(queue->state, VMQ_EVENT_CLEAR_LAST_FILTER);
		if (next != VMQ_QUEUE_STATE_COUNT)
			queue_set_state(queue, next);
	}
	adapter->unpublished = true; /* it is in the view, and need not be */
}

enum vmq_status
adapter_publish(struct vmq_adapter *adapter, struct vmq_error *err)
{
	const bool changed = adapter->batch == 0 && adapter->unpublished;
	enum vmq_status status = adapter_publish_view(adapter, err);

	if (status == VMQ_STATUS_SUCCESS && changed && adapter->hardware.steer != NULL) {
		if (slots_assign(adapter) < 0)
			VMQ_LOG(WARNING, "adapter %s: no memory to tell the workers of its slots\n",
				adapter->name);
		rules_changed(adapter);
	}
	return status;
}

enum vmq_status
adapter_publish_view(struct vmq_adapter *adapter, struct vmq_error *err)
{
	struct vmq_dp_view *view;

	if (adapter->batch > 0 || !adapter->unpublished)
		return VMQ_STATUS_SUCCESS;
	view = build_view(adapter);
	if (view == NULL)
		return vmq_error_set(err, VMQ_STATUS_RESOURCES,
			"adapter %s: no memory for a lookup table of %u filters", adapter->name,
			vmq_filter_total(adapter->filters));
	/*
	 * A worker that has seen a queue stopped throws away all that it finds in it; until
	 * it is done with that, it must not find what comes by the new view.
	 */
	if (adapter->runs_again) {
		vmq_datapath_synchronize(adapter->host->dp);
		adapter->runs_again = false;
	}
	vmq_dp_source_publish(adapter->source, view);
	adapter->unpublished = false;
	if (adapter->unsettled)
		settle(adapter);
	return VMQ_STATUS_SUCCESS;
}

void
vmq_adapter_begin(struct vmq_adapter *adapter)
{
	if (adapter->batch == 0)
		rules_settle(adapter);
	adapter->batch++;
}

enum vmq_status
vmq_adapter_commit(struct vmq_adapter *adapter, struct vmq_error *err)
{
	adapter->batch--;
	return adapter_publish(adapter, err);
}

/* Records first, then the port, the default queue, and last the source. */
static struct vmq_adapter *
create(struct vmq_host *host, const struct vmq_adapter_params *params, struct vmq_error *err)
{
	struct vmq_adapter *adapter = calloc(1, sizeof(*adapter));

	if (adapter == NULL)
		goto no_memory;
	adapter->host = host;
	adapter->number = host->next_number++;
	adapter->source_worker = params->default_queue.worker;
	adapter->mtu = params->port.mtu;
	strlcpy(adapter->name, params->name, sizeof(adapter->name));
	adapter->n_slots = 1;
	adapter->queues = calloc(adapter->n_slots, sizeof(*adapter->queues));
	adapter->filters = vmq_filter_set_create();
	adapter->shmem = vmq_shmem_create(&(struct vmq_shmem_config){
		.name = params->name,
		.limit_bytes = params->memory_limit_bytes,
		.provider = params->provider,
		.provider_arg = params->provider_arg,
		.jobs = host->jobs,
	});
	if (adapter->queues == NULL || adapter->filters == NULL || adapter->shmem == NULL)
		goto no_memory;
	adapter->queues[0] = queue_create(adapter, VMQ_DEFAULT_QUEUE_ID, &params->default_queue);
	if (adapter->queues[0] == NULL)
		goto no_memory;
	return adapter;

no_memory:
	vmq_error_errno(err, ENOMEM, "adapter %s: no memory for its record", params->name);
	if (adapter != NULL)
		vmq_adapter_free(adapter);
	rte_errno = ENOMEM;
	return NULL;
}

/* The default queue's memory, in full or smaller. */
static enum vmq_status
open_default_memory(struct queue *queue, uint16_t rx_descriptors, struct vmq_error *err)
{
	const uint32_t needed = vmq_adapter_min_buffers(rx_descriptors);
	const uint32_t wanted = queue->memory.buffers;
	uint32_t least = RTE_MAX(queue->memory.min_buffers, needed);
	uint32_t buffers = wanted;
	struct vmq_error why;
	enum vmq_status status;

	if (queue->memory.min_buffers == 0 || least > wanted)
		least = wanted; /* all or nothing */
	for (;;) {
		status = queue_open_memory(queue, buffers, &why);
		if (status != VMQ_STATUS_RESOURCES || buffers == least)
			break;
		buffers = RTE_MAX(buffers / 2, least);
	}
	if (status != VMQ_STATUS_SUCCESS)
		return vmq_error_set(err, status,
			"adapter %s: its default queue asks for %u buffers, and there is not even "
			"memory for %u: %.300s", queue->adapter->name, wanted, buffers, why.text);
	if (buffers < wanted)
		VMQ_LOG(NOTICE, "adapter %s: its default queue has %u buffers of the %u asked for\n",
			queue->adapter->name, buffers, wanted);
	return status;
}

struct vmq_adapter *
vmq_adapter_start(struct vmq_host *host, const struct vmq_adapter_params *params,
	struct vmq_error *err)
{
	struct vmq_adapter *adapter;
	enum vmq_status status;
	struct queue *queue;
	int ret;

	adapter = create(host, params, err);
	if (adapter == NULL)
		return NULL;
	queue = adapter->queues[0];
	adapter->port = vmq_port_open(&params->port, err);
	if (adapter->port == NULL) {
		ret = rte_errno;
		goto fail;
	}
	/* Whether pools may grow decides about memory; it is looked at again when it runs. */
	vmq_port_capabilities_get(adapter->port, &adapter->hardware.port);
	if (!queue_pool_grows(queue) && queue->memory.limit > queue->memory.buffers)
		VMQ_LOG(NOTICE, "adapter %s: its default queue keeps to %u buffers: %s\n",
			adapter->name, queue->memory.buffers,
			adapter->hardware.port.why_pools_do_not_grow);
	status = open_default_memory(queue, params->port.rx_descriptors, err);
	if (status == VMQ_STATUS_SUCCESS)
		status = queue_open_path(queue, err);
	if (status != VMQ_STATUS_SUCCESS) {
		ret = status == VMQ_STATUS_RESOURCES ? ENOMEM : EIO;
		goto fail;
	}
	queue_set_state(queue, VMQ_QUEUE_RUNNING);
	ret = -hardware_start_port(adapter, &params->hardware, err);
	if (ret != 0)
		goto fail;
	adapter->hardware.default_ring = vmq_port_rx_descriptors(adapter->port);
	adapter->source = vmq_dp_source_create(host->dp, adapter->source_worker,
		vmq_port_id(adapter->port), 0, vmq_pool_mempool(queue->pool));
	if (adapter->source == NULL) {
		ret = -vmq_error_errno(err, ENOMEM, "adapter %s: no memory for its source",
			adapter->name);
		goto fail;
	}
	adapter->uplink = vmq_dp_uplink_create(host->dp, &(struct vmq_dp_uplink_params){
		.port_id = vmq_port_id(adapter->port),
		.tx_queues = vmq_port_tx_queues(adapter->port),
		.mtu = adapter->mtu,
		.multi_segs = vmq_port_sends_segments(adapter->port),
		.source = adapter->source,
	});
	if (adapter->uplink == NULL) {
		ret = -vmq_error_errno(err, ENOMEM, "adapter %s: no memory for its uplink",
			adapter->name);
		goto fail;
	}
	vmq_dp_queue_set_uplink(queue->dp, adapter->uplink);
	ret = -hardware_start(adapter, err);
	if (ret != 0)
		goto fail;
	vmq_port_link_get(adapter->port, &adapter->link);
	adapter->unpublished = true;
	if (adapter_publish(adapter, err) != VMQ_STATUS_SUCCESS) {
		ret = ENOMEM;
		goto fail;
	}
	STAILQ_INSERT_TAIL(&host->adapters, adapter, next);
	if (host_assign(host) < 0) {
		STAILQ_REMOVE(&host->adapters, adapter, vmq_adapter, next);
		ret = -vmq_error_errno(err, ENOMEM, "adapter %s: no memory to tell the workers",
			adapter->name);
		goto fail;
	}
	return adapter;

fail:
	/* A worker that was told of the source before the failure must not poll it. */
	host_assign(host);
	vmq_datapath_synchronize(host->dp);
	hardware_close(adapter);
	if (adapter->port != NULL)
		vmq_port_stop(adapter->port);
	queue_close_path(queue);
	vmq_port_close(adapter->port);
	adapter->port = NULL;
	vmq_adapter_free(adapter);
	rte_errno = ret;
	return NULL;
}

void
vmq_adapter_set_indications(struct vmq_adapter *adapter, vmq_indication_callback *callback,
	void *arg)
{
	adapter->indication = callback;
	adapter->indication_arg = arg;
}

void
adapter_indicate(struct vmq_adapter *adapter, enum vmq_indication indication, uint16_t queue_id,
	uint32_t value)
{
	if (adapter->indication != NULL)
		adapter->indication(adapter->indication_arg, adapter, indication, queue_id, value);
}

void
vmq_adapter_halt(struct vmq_adapter *adapter)
{
	struct queue *queue;
	uint32_t i;

	if (adapter->halted)
		return;
	adapter->halted = true;

	/* Requests under way end first: their batches must not complete any more. */
	for (i = 0; i < adapter->n_slots; i++)
		if (adapter->queues[i] != NULL)
			adapter->queues[i]->abort = true;
	vmq_jobs_finish(adapter->host->jobs, true);
	for (i = 0; i < adapter->n_slots; i++) {
		queue = adapter->queues[i];
		if (queue == NULL || queue->dp == NULL)
			continue;
		vmq_dp_queue_run(queue->dp, false);
		vmq_dp_queue_serve(queue->dp, VMQ_SERVE_NOBODY);
	}

	/* No more packets: from the port first, then in the queues. */
	if (host_assign(adapter->host) < 0)
		VMQ_LOG(ERR, "adapter %s: no memory to take it from its worker\n", adapter->name);
	vmq_datapath_synchronize(adapter->host->dp);
	if (port_is_usable(adapter))
		vmq_port_stats_get(adapter->port, &adapter->last_port);
	verify_end(adapter);
	hardware_close(adapter);
	vmq_port_stop(adapter->port);
	/* All backends at once: slow ones are not waited for one after the other. */
	for (i = 0; i < adapter->n_slots; i++)
		if (adapter->queues[i] != NULL)
			vmq_backend_quiesce(adapter->queues[i]->backend);
	for (i = adapter->n_slots; i-- > 0;) {
		queue = adapter->queues[i];
		if (queue == NULL)
			continue;
		if (queue->state == VMQ_QUEUE_FREEING) {
			queue_close_path(queue);
			continue;
		}
		queue->state_at_halt = queue->state;
		queue_set_state(queue, VMQ_QUEUE_DMA_STOPPED);
		queue_end_change(queue);
		queue_close_path(queue);
		queue_set_state(queue, VMQ_QUEUE_FREEING);
	}
	/* What the driver holds of the default queue's memory comes home with this. */
	vmq_port_kept_buffers(adapter->port, &adapter->kept_least, &adapter->kept_most);
	vmq_port_close(adapter->port);
	adapter->port = NULL;
}

uint32_t
adapter_kept_buffers(const struct vmq_adapter *adapter)
{
	const struct vmq_pool *pool = adapter->queues[VMQ_DEFAULT_QUEUE_ID]->pool;
	struct vmq_pool_stats stats;

	if (!adapter->halted || adapter->kept_most == 0 || pool == NULL)
		return 0;
	vmq_pool_stats_get(pool, &stats);
	/* Of more or less than it can be somebody else has some: all are missing then. */
	return stats.outstanding >= adapter->kept_least && stats.outstanding <= adapter->kept_most
		? stats.outstanding : 0;
}

/* The end of a queue, whether all packets are home or not. */
static void
end_queue(struct queue *queue)
{
	vmq_free_callback *callback = queue->free_callback;
	bool freed;

	if (queue->pool != NULL)
		vmq_pool_cancel_retire(queue->pool);
	if (queue->xmit_pool != NULL)
		vmq_pool_cancel_retire(queue->xmit_pool);
	if (queue->id == VMQ_DEFAULT_QUEUE_ID && adapter_kept_buffers(queue->adapter) > 0) {
		VMQ_LOG(NOTICE, "adapter %s: %u buffers stay with its driver, which does not give back "
			"what its rings have; their memory is free when vmqd has ended\n",
			queue->adapter->name, adapter_kept_buffers(queue->adapter));
		vmq_pool_leave(queue->pool);
		queue->pool = NULL;
	}
	freed = queue_close_memory(queue);
	queue_leave_slot(queue, "its adapter is halted");
	if (callback != NULL)
		callback(queue->free_arg, queue->id,
			freed ? VMQ_STATUS_SUCCESS : VMQ_STATUS_REQUEST_ABORTED);
	queue_destroy(queue);
}

unsigned int
vmq_adapter_free(struct vmq_adapter *adapter)
{
	struct vmq_host *host = adapter->host;
	struct vmq_adapter *other;
	unsigned int leaked;
	uint32_t i;

	vmq_jobs_finish(host->jobs, true);
	STAILQ_FOREACH(other, &host->adapters, next)
		if (other == adapter)
			break;
	if (other != NULL)
		STAILQ_REMOVE(&host->adapters, adapter, vmq_adapter, next);
	/* The default queue last: its memory is what others' packets may lie in. */
	for (i = adapter->queues != NULL ? adapter->n_slots : 0; i-- > 0;)
		if (adapter->queues[i] != NULL)
			end_queue(adapter->queues[i]);
	hardware_free(adapter);
	vmq_dp_uplink_free(adapter->uplink);
	vmq_dp_source_free(adapter->source);
	leaked = vmq_shmem_destroy(adapter->shmem);
	vmq_filter_set_free(adapter->filters);
	free(adapter->queues);
	free(adapter);
	return leaked;
}

const char *
vmq_adapter_name(const struct vmq_adapter *adapter)
{
	return adapter->name;
}

void
vmq_adapter_port_stats(const struct vmq_adapter *adapter, struct vmq_port_stats *stats)
{
	const struct vmq_port_stats *before = &adapter->before_resets;

	*stats = adapter->last_port;
	if (port_is_usable(adapter))
		vmq_port_stats_get(adapter->port, stats);
	stats->received += before->received;
	stats->missed += before->missed;
	stats->errors += before->errors;
	stats->no_buffer += before->no_buffer;
	stats->sent += before->sent;
	stats->send_errors += before->send_errors;
}

void
vmq_adapter_link(const struct vmq_adapter *adapter, struct vmq_port_link *link)
{
	*link = (struct vmq_port_link){0};
	if (port_is_usable(adapter))
		vmq_port_link_get(adapter->port, link);
}

struct vmq_host *
vmq_adapter_host(const struct vmq_adapter *adapter)
{
	return adapter->host;
}

bool
vmq_adapter_is_halted(const struct vmq_adapter *adapter)
{
	return adapter->halted;
}

size_t
vmq_adapter_alignment(const struct vmq_adapter *adapter)
{
	return vmq_shmem_alignment(adapter->shmem);
}

const struct vmq_filter_set *
vmq_adapter_filters(const struct vmq_adapter *adapter)
{
	return adapter->filters;
}
