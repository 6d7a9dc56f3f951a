/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <stdlib.h>
#include <string.h>

#include "queue_private.h"

enum vmq_status
queue_refuse(const struct queue *queue, enum vmq_queue_event event, struct vmq_error *err)
{
	return vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED, "queue %u (%s): %s is not valid in state %s",
		queue->id, queue->name, vmq_queue_event_name(event),
		vmq_queue_state_name(queue->state));
}

void
queue_set_state(struct queue *queue, enum vmq_queue_state state)
{
	const enum vmq_queue_state before = queue->state;

	if (before == state)
		return;
	queue->state = state;
	if (queue->dp != NULL) {
		vmq_dp_queue_run(queue->dp, queue_is_active(queue));
		/* Of one that was never open no worker has heard yet. */
		queue->adapter->runs_again |= queue_is_active(queue) && before == VMQ_QUEUE_PAUSED;
	}
	adapter_indicate(queue->adapter, VMQ_INDICATE_QUEUE_STATE, queue->id, state);
}

bool
queue_is_active(const struct queue *queue)
{
	return queue->state == VMQ_QUEUE_RUNNING;
}

static bool
copy_string(char **copy, const char *string)
{
	*copy = string == NULL ? NULL : strdup(string);
	return string == NULL || *copy != NULL;
}

struct queue *
queue_create(struct vmq_adapter *adapter, uint16_t id, const struct vmq_queue_params *params)
{
	struct queue *queue = calloc(1, sizeof(*queue));
	const struct vmq_backend_vhost *vhost = &params->backend.vhost;
	char *file = NULL, *device = NULL, *socket = NULL, *owner = NULL, *group = NULL;
	bool copied;

	if (queue == NULL)
		return NULL;
	queue->id = id;
	queue->adapter = adapter;
	queue->worker = params->worker;
	queue->memory = params->memory;
	if (queue->memory.xmit_buffers == 0)
		queue->memory.xmit_buffers = VMQ_XMIT_BUFFERS;
	if (queue->memory.xmit_limit == 0)
		queue->memory.xmit_limit = queue->memory.xmit_buffers;
	queue->xmit_node = SOCKET_ID_ANY;
	queue->xmit_tried = SOCKET_ID_ANY;
	queue->keep_tags = params->keep_tags;
	queue->anti_spoof = !params->allow_spoofing;
	queue->receive_only = params->receive_only;
	queue->broadcast = params->broadcast;
	queue->priority = params->priority;
	queue->rate_to_vm = params->rate_to_vm;
	queue->rate_from_vm = params->rate_from_vm;
	queue->backend_params.type = params->backend.type;
	copied = copy_string(&queue->name, params->name);
	copied &= copy_string(&queue->vm, params->vm);
	copied &= copy_string(&file, params->backend.file);
	copied &= copy_string(&device, params->backend.device);
	copied &= copy_string(&socket, vhost->socket);
	copied &= copy_string(&owner, vhost->owner);
	copied &= copy_string(&group, vhost->group);
	queue->backend_params.file = file;
	queue->backend_params.device = device;
	queue->backend_params.vhost = *vhost;
	queue->backend_params.vhost.socket = socket;
	queue->backend_params.vhost.owner = owner;
	queue->backend_params.vhost.group = group;
	if (!copied) {
		queue_destroy(queue);
		return NULL;
	}
	return queue;
}

void
queue_destroy(struct queue *queue)
{
	free((char *)(uintptr_t)queue->backend_params.file);
	free((char *)(uintptr_t)queue->backend_params.device);
	free((char *)(uintptr_t)queue->backend_params.vhost.socket);
	free((char *)(uintptr_t)queue->backend_params.vhost.owner);
	free((char *)(uintptr_t)queue->backend_params.vhost.group);
	free(queue->vm);
	free(queue->name);
	free(queue);
}

/* The lowest id that no queue has, and its slot. */
static struct queue **
free_slot(struct vmq_adapter *adapter, uint16_t *id)
{
	uint32_t i, n_slots = adapter->n_slots;
	struct queue **queues;

	for (i = 1; i < n_slots; i++)
		if (adapter->queues[i] == NULL)
			break;
	if (i == n_slots) {
		n_slots = RTE_MIN(2 * n_slots + 15, (uint32_t)QUEUES_MAX);
		if (i >= n_slots)
			return NULL;
		queues = realloc(adapter->queues, n_slots * sizeof(*queues));
		if (queues == NULL)
			return NULL;
		memset(queues + adapter->n_slots, 0,
			(n_slots - adapter->n_slots) * sizeof(*queues));
		adapter->queues = queues;
		adapter->n_slots = n_slots;
	}
	*id = (uint16_t)i;
	return &adapter->queues[i];
}

static enum vmq_status
check_worker(const struct vmq_adapter *adapter, uint16_t worker, struct vmq_error *err)
{
	if (worker < vmq_datapath_workers(adapter->host->dp))
		return VMQ_STATUS_SUCCESS;
	return vmq_error_set(err, VMQ_STATUS_INVALID_PARAMETER, "there is no worker %u", worker);
}

static enum vmq_status
check_memory(const struct vmq_queue_memory *memory, struct vmq_error *err)
{
	const enum vmq_status bad = VMQ_STATUS_INVALID_PARAMETER;

	if (memory->buffers == 0 || memory->buffers > memory->limit)
		return vmq_error_set(err, bad, "%u buffers are not in 1 to the limit of %u",
			memory->buffers, memory->limit);
	if (memory->min_buffers > memory->buffers)
		return vmq_error_set(err, bad, "at least %u buffers are more than the %u asked for",
			memory->min_buffers, memory->buffers);
	if (memory->xmit_buffers != 0 && memory->xmit_buffers < VMQ_XMIT_BUFFERS)
		return vmq_error_set(err, bad, "%u buffers for what the VM sends: at least %u",
			memory->xmit_buffers, VMQ_XMIT_BUFFERS);
	if (memory->xmit_limit != 0 &&
		memory->xmit_limit < RTE_MAX(memory->xmit_buffers, (uint32_t)VMQ_XMIT_BUFFERS))
		return vmq_error_set(err, bad, "%u buffers for what the VM sends are over the "
			"limit of %u", RTE_MAX(memory->xmit_buffers, (uint32_t)VMQ_XMIT_BUFFERS),
			memory->xmit_limit);
	return vmq_pool_demand_check(&memory->demand, err);
}

static enum vmq_status
check_rate(const struct vmq_adapter *adapter, const struct vmq_dp_rate *rate, const char *which,
	struct vmq_error *err)
{
	const enum vmq_status bad = VMQ_STATUS_INVALID_PARAMETER;
	/* What a frame has beside the mtu: its header and two tags. */
	const uint32_t frame = adapter->mtu + RTE_ETHER_HDR_LEN + 2 * RTE_VLAN_HLEN;

	if (rate->mbps == 0)
		return VMQ_STATUS_SUCCESS;
	if (rate->mbps > VMQ_DP_RATE_MBPS_MAX || rate->burst_kb > VMQ_DP_RATE_BURST_KB_MAX)
		return vmq_error_set(err, bad,
			"the rate %s the VM: there are up to %u Mbit/s, and bursts up to %u KiB", which,
			VMQ_DP_RATE_MBPS_MAX, VMQ_DP_RATE_BURST_KB_MAX);
	if ((uint64_t)rate->burst_kb * 1024 < frame)
		return vmq_error_set(err, bad,
			"the rate %s the VM: with bursts of %u KiB a frame of %u bytes never passes; "
			"at least %u KiB", which, rate->burst_kb, frame, frame / 1024 + 1);
	return VMQ_STATUS_SUCCESS;
}

static enum vmq_status
check_rates(const struct vmq_adapter *adapter, const struct vmq_queue_params *params,
	struct vmq_error *err)
{
	enum vmq_status status = check_rate(adapter, &params->rate_to_vm, "to", err);

	return status == VMQ_STATUS_SUCCESS
		? check_rate(adapter, &params->rate_from_vm, "from", err) : status;
}

enum vmq_status
vmq_queue_allocate(struct vmq_adapter *adapter, const struct vmq_queue_params *params, uint16_t *id,
	struct vmq_error *err)
{
	struct queue **slot, *queue;
	enum vmq_status status;

	if (adapter->halted)
		return vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED, "adapter %s is halted",
			adapter->name);
	status = check_worker(adapter, params->worker, err);
	if (status == VMQ_STATUS_SUCCESS)
		status = check_memory(&params->memory, err);
	if (status == VMQ_STATUS_SUCCESS)
		status = check_rates(adapter, params, err);
	if (status != VMQ_STATUS_SUCCESS)
		return status;
	slot = free_slot(adapter, id);
	if (slot == NULL)
		return vmq_error_set(err, VMQ_STATUS_RESOURCES,
			"adapter %s: no more queue ids, or no memory for one", adapter->name);
	queue = queue_create(adapter, *id, params);
	if (queue == NULL)
		return vmq_error_set(err, VMQ_STATUS_RESOURCES,
			"queue %s: no memory for its record", params->name);
	*slot = queue;
	queue_take_slot(queue);
	queue_set_state(queue, vmq_queue_next_state(queue->state, VMQ_EVENT_ALLOCATE_QUEUE));
	return VMQ_STATUS_SUCCESS;
}

/* Nobody serves a queue while its workers hear of it, and then the new one does. */
static enum vmq_status
hand_to(struct queue *queue, uint16_t worker, struct vmq_error *err)
{
	struct vmq_adapter *adapter = queue->adapter;
	struct vmq_datapath *dp = adapter->host->dp;

	vmq_dp_queue_serve(queue->dp, VMQ_SERVE_NOBODY);
	vmq_datapath_synchronize(dp);
	queue->worker = worker;
	vmq_dp_queue_set_worker(queue->dp, worker);
	if (host_assign(adapter->host) < 0)
		return vmq_error_set(err, VMQ_STATUS_RESOURCES, "no memory to tell the workers");
	vmq_datapath_synchronize(dp);
	vmq_dp_queue_serve(queue->dp,
		worker == adapter->source_worker ? VMQ_SERVE_SOURCE : VMQ_SERVE_OTHER);
	adapter->unpublished = true; /* a new view makes the source look at backlogs */
	return adapter_publish(adapter, err);
}

/*
 * Give a queue to another worker. What the old one has not delivered waits in the
 * backlog, and everything new goes behind it: nothing is lost and the order is kept.
 */
static enum vmq_status
change_worker(struct queue *queue, uint16_t worker, struct vmq_error *err)
{
	const uint16_t old = queue->worker;
	enum vmq_status status;

	if (worker == old)
		return VMQ_STATUS_SUCCESS;
	if (queue->id == VMQ_DEFAULT_QUEUE_ID)
		return vmq_error_set(err, VMQ_STATUS_NOT_SUPPORTED,
			"the default queue's worker is its adapter's: it cannot be changed");
	if (queue->dp == NULL) {
		queue->worker = worker;
		return VMQ_STATUS_SUCCESS;
	}

	status = hand_to(queue, worker, err);
	if (status != VMQ_STATUS_SUCCESS && hand_to(queue, old, NULL) != VMQ_STATUS_SUCCESS)
		VMQ_LOG(ERR, "queue %u (%s): no worker serves it until its worker is changed\n",
			queue->id, queue->name);
	return status;
}

/* Options that workers know from the view. On failure they are as they were. */
static enum vmq_status
change_view(struct queue *queue, bool keep_tags, bool broadcast, struct vmq_error *err)
{
	const bool had_tags = queue->keep_tags, had_broadcast = queue->broadcast;
	enum vmq_status status;

	if (keep_tags == had_tags && broadcast == had_broadcast)
		return VMQ_STATUS_SUCCESS;
	queue->keep_tags = keep_tags;
	queue->broadcast = broadcast;
	if (queue->dp == NULL)
		return VMQ_STATUS_SUCCESS;
	queue->adapter->unpublished = true;
	status = adapter_publish(queue->adapter, err);
	if (status != VMQ_STATUS_SUCCESS) {
		queue->keep_tags = had_tags;
		queue->broadcast = had_broadcast;
	}
	return status;
}

/* Rates and options, where packets pass. On failure they are as they were. */
static enum vmq_status
change_path(struct queue *queue, uint32_t changes, const struct vmq_queue_params *params,
	struct vmq_error *err)
{
	const bool had_tags = queue->keep_tags, had_broadcast = queue->broadcast;
	enum vmq_status status;

	if (changes & VMQ_QUEUE_CHANGE_OPTIONS) {
		status = change_view(queue, params->keep_tags, params->broadcast, err);
		if (status != VMQ_STATUS_SUCCESS)
			return status;
	}
	if (changes & VMQ_QUEUE_CHANGE_RATE) {
		if (queue->dp != NULL && vmq_dp_queue_set_rates(queue->adapter->host->dp,
			queue->dp, &params->rate_to_vm, &params->rate_from_vm) < 0) {
			/* Without memory even for that the next view has it. */
			queue->adapter->unpublished |= queue->keep_tags != had_tags ||
				queue->broadcast != had_broadcast;
			queue->keep_tags = had_tags;
			queue->broadcast = had_broadcast;
			adapter_publish(queue->adapter, NULL);
			return vmq_error_set(err, VMQ_STATUS_RESOURCES,
				"queue %u (%s): no memory for its rates", queue->id, queue->name);
		}
		queue->rate_to_vm = params->rate_to_vm;
		queue->rate_from_vm = params->rate_from_vm;
	}
	if (changes & VMQ_QUEUE_CHANGE_OPTIONS) {
		queue->anti_spoof = !params->allow_spoofing;
		if (queue->dp != NULL)
			vmq_dp_queue_anti_spoof(queue->dp, queue->anti_spoof);
	}
	return VMQ_STATUS_SUCCESS;
}

static void
replace_string(char **string, char *by)
{
	free(*string);
	*string = by;
}

/* What cannot fail. */
static void
change_records(struct queue *queue, uint32_t changes, const struct vmq_queue_params *params,
	const struct vmq_queue_memory *memory)
{
	queue->memory = *memory;
	/* One that is on its way out of hardware gets it with its new memory. */
	if ((changes & VMQ_QUEUE_CHANGE_DEMAND) && queue->pool != NULL && !queue->leaving_hardware)
		queue_watch_pool(queue);
	if (changes & VMQ_QUEUE_CHANGE_PRIORITY)
		queue->priority = params->priority;
}

enum vmq_status
vmq_queue_set_params(struct vmq_adapter *adapter, uint16_t id, uint32_t changes,
	const struct vmq_queue_params *params, struct vmq_error *err)
{
	struct queue *queue = adapter_queue(adapter, id);
	struct vmq_queue_memory memory;
	enum vmq_status status;
	uint16_t old_worker;
	char *name = NULL, *vm = NULL;

	if (queue == NULL)
		return vmq_error_set(err, VMQ_STATUS_INVALID_PARAMETER,
			"adapter %s has no queue %u", adapter->name, id);
	if (vmq_queue_next_state(queue->state, VMQ_EVENT_SET_PARAMETERS) == VMQ_QUEUE_STATE_COUNT)
		return queue_refuse(queue, VMQ_EVENT_SET_PARAMETERS, err);
	/* All that can be refused first: a refusal changes nothing. */
	if (queue->completing)
		return vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED,
			"queue %u (%s): its memory is on its way", id, queue->name);
	memory = queue->memory;
	old_worker = queue->worker;
	if (changes & VMQ_QUEUE_CHANGE_BUFFERS)
		memory.buffers = params->memory.buffers;
	if (changes & VMQ_QUEUE_CHANGE_DEMAND) {
		memory.demand = params->memory.demand;
		memory.min_buffers = params->memory.min_buffers;
	}
	if (changes & (VMQ_QUEUE_CHANGE_BUFFERS | VMQ_QUEUE_CHANGE_DEMAND)) {
		status = check_memory(&memory, err);
		if (status != VMQ_STATUS_SUCCESS)
			return status;
	}
	if (changes & VMQ_QUEUE_CHANGE_WORKER) {
		status = check_worker(adapter, params->worker, err);
		if (status != VMQ_STATUS_SUCCESS)
			return status;
	}
	if (changes & VMQ_QUEUE_CHANGE_RATE) {
		status = check_rates(adapter, params, err);
		if (status != VMQ_STATUS_SUCCESS)
			return status;
	}
	status = VMQ_STATUS_RESOURCES;
	if (((changes & VMQ_QUEUE_CHANGE_NAME) && !copy_string(&name, params->name)) ||
		((changes & VMQ_QUEUE_CHANGE_VM) && !copy_string(&vm, params->vm))) {
		vmq_error_set(err, status, "no memory for a name");
		goto fail;
	}
	if (changes & VMQ_QUEUE_CHANGE_WORKER) {
		status = change_worker(queue, params->worker, err);
		if (status != VMQ_STATUS_SUCCESS)
			goto fail;
	}
	status = change_path(queue, changes, params, err);
	if (status != VMQ_STATUS_SUCCESS) {
		/* It would be odd to have half of it. */
		if (changes & VMQ_QUEUE_CHANGE_WORKER)
			change_worker(queue, old_worker, NULL);
		goto fail;
	}
	change_records(queue, changes, params, &memory);
	if (changes & VMQ_QUEUE_CHANGE_NAME)
		replace_string(&queue->name, name);
	if (changes & VMQ_QUEUE_CHANGE_VM)
		replace_string(&queue->vm, vm);
	adapter_indicate(adapter, VMQ_INDICATE_QUEUE_PARAMETERS, id, changes);
	return VMQ_STATUS_SUCCESS;

fail:
	free(name);
	free(vm);
	return status;
}
