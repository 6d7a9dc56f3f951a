/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_errno.h>

#include "queue_private.h"

uint32_t
vmq_adapter_min_buffers(uint16_t rx_descriptors)
{
	/* The NIC's ring, what may be gathered, and two bursts on their way. */
	return rx_descriptors + VMQ_GATHER_MAX + 2 * VMQ_BURST;
}

struct queue *
adapter_queue(const struct vmq_adapter *adapter, uint32_t id)
{
	return id < adapter->n_slots ? adapter->queues[id] : NULL;
}

/* The view of the adapter as it is now: its active queues, the default one first. */
static struct vmq_dp_view *
build_view(const struct vmq_adapter *adapter)
{
	const int node = vmq_datapath_worker_node(adapter->host->dp, adapter->source_worker);
	struct vmq_classifier_queue *classes;
	const struct queue *queue;
	struct vmq_dp_view *view;
	uint16_t n = 0;
	uint32_t i;

	classes = calloc(adapter->n_slots, sizeof(*classes));
	view = vmq_dp_view_create((uint16_t)RTE_MIN(adapter->n_slots, (uint32_t)UINT16_MAX), node);
	if (classes == NULL || view == NULL)
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
		view->queues[n++] = queue->dp;
	}
	view->n_queues = n;
	view->classifier = vmq_classifier_build(adapter->filters, classes,
		(uint16_t)RTE_MIN(adapter->n_slots, (uint32_t)UINT16_MAX), node);
	if (view->classifier == NULL)
		goto no_memory;
	free(classes);
	return view;

no_memory:
	vmq_dp_view_free(view);
	free(classes);
	return NULL;
}

enum vmq_status
adapter_publish(struct vmq_adapter *adapter, struct vmq_error *err)
{
	struct vmq_dp_view *view;

	if (adapter->batch > 0 || !adapter->unpublished)
		return VMQ_STATUS_SUCCESS;
	view = build_view(adapter);
	if (view == NULL)
		return vmq_error_set(err, VMQ_STATUS_RESOURCES,
			"adapter %s: no memory for a lookup table of %u filters", adapter->name,
			vmq_filter_total(adapter->filters));
	vmq_dp_source_publish(adapter->source, view);
	adapter->unpublished = false;
	return VMQ_STATUS_SUCCESS;
}

void
vmq_adapter_begin(struct vmq_adapter *adapter)
{
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
	snprintf(adapter->name, sizeof(adapter->name), "%s", params->name);
	adapter->n_slots = 1;
	adapter->queues = calloc(adapter->n_slots, sizeof(*adapter->queues));
	adapter->filters = vmq_filter_set_create();
	adapter->shmem = vmq_shmem_create(&(struct vmq_shmem_config){
		.name = params->name,
		.limit_bytes = params->memory_limit_bytes,
	});
	if (adapter->queues == NULL || adapter->filters == NULL || adapter->shmem == NULL)
		goto no_memory;
	adapter->queues[0] = queue_create(VMQ_DEFAULT_QUEUE_ID, &params->default_queue);
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

struct vmq_adapter *
vmq_adapter_start(struct vmq_host *host, const struct vmq_adapter_params *params,
	struct vmq_error *err)
{
	struct vmq_adapter *adapter;
	struct queue *queue;
	int ret = EIO;

	adapter = create(host, params, err);
	if (adapter == NULL)
		return NULL;
	queue = adapter->queues[0];
	adapter->port = vmq_port_open(&params->port, err);
	if (adapter->port == NULL) {
		ret = rte_errno;
		goto fail;
	}
	if (queue_open(adapter, queue, err) != VMQ_STATUS_SUCCESS)
		goto fail;
	queue->state = VMQ_QUEUE_RUNNING;
	vmq_dp_queue_run(queue->dp, true);
	ret = -vmq_port_start(adapter->port, vmq_pool_mempool(queue->pool), err);
	if (ret != 0)
		goto fail;
	adapter->source = vmq_dp_source_create(host->dp, adapter->source_worker,
		vmq_port_id(adapter->port), 0);
	if (adapter->source == NULL) {
		ret = -vmq_error_errno(err, ENOMEM, "adapter %s: no memory for its source",
			adapter->name);
		goto fail;
	}
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
	if (adapter->port != NULL)
		vmq_port_stop(adapter->port);
	queue_close(queue);
	vmq_port_close(adapter->port);
	adapter->port = NULL;
	queue_release(queue);
	vmq_adapter_free(adapter);
	rte_errno = ret;
	return NULL;
}

void
vmq_adapter_halt(struct vmq_adapter *adapter)
{
	struct queue *queue;
	uint32_t i;

	if (adapter->halted)
		return;
	adapter->halted = true;

	/* No more packets: from the port first, then in the queues. */
	if (host_assign(adapter->host) < 0)
		VMQ_LOG(ERR, "adapter %s: no memory to take it from its worker\n", adapter->name);
	vmq_datapath_synchronize(adapter->host->dp);
	vmq_port_stats_get(adapter->port, &adapter->last_port);
	vmq_port_stop(adapter->port);
	for (i = adapter->n_slots; i-- > 0;) {
		queue = adapter->queues[i];
		if (queue == NULL || queue->state == VMQ_QUEUE_FREEING)
			continue;
		if (queue->dp != NULL)
			vmq_dp_queue_run(queue->dp, false);
		queue_close(queue);
		queue->state = VMQ_QUEUE_FREEING;
	}
	/* What the driver holds of the default queue's memory comes home with this. */
	vmq_port_close(adapter->port);
	adapter->port = NULL;
}

unsigned int
vmq_adapter_progress(struct vmq_adapter *adapter)
{
	unsigned int waiting = 0;
	struct queue *queue;
	uint32_t i;

	vmq_datapath_reclaim(adapter->host->dp);
	/* The default queue last: its memory is what others' packets may lie in. */
	for (i = adapter->n_slots; i-- > 0;) {
		queue = adapter->queues[i];
		if (queue == NULL || queue->state != VMQ_QUEUE_FREEING)
			continue;
		if (!queue_release(queue)) {
			waiting++;
			continue;
		}
		adapter->queues[i] = NULL;
		queue_destroy(queue);
	}
	return waiting;
}

unsigned int
vmq_adapter_free(struct vmq_adapter *adapter)
{
	struct vmq_host *host = adapter->host;
	struct vmq_adapter *other;
	unsigned int leaked;
	uint32_t i;

	STAILQ_FOREACH(other, &host->adapters, next)
		if (other == adapter)
			break;
	if (other != NULL)
		STAILQ_REMOVE(&host->adapters, adapter, vmq_adapter, next);
	for (i = 0; i < adapter->n_slots && adapter->queues != NULL; i++)
		if (adapter->queues[i] != NULL)
			queue_destroy(adapter->queues[i]);
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
	*stats = adapter->last_port;
	if (adapter->port != NULL)
		vmq_port_stats_get(adapter->port, stats);
}

const struct vmq_filter_set *
vmq_adapter_filters(const struct vmq_adapter *adapter)
{
	return adapter->filters;
}
