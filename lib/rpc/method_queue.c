/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Methods of queues. Those that speak the document's language are the application's. */

#include <stdio.h>
#include <stdlib.h>

#include "rpc_private.h"

static json_t *
direction_json(const struct vmq_dp_rate *rate)
{
	return json_pack("{s:I, s:I}", "mbps", (json_int_t)rate->mbps, "burst_kb",
		(json_int_t)rate->burst_kb);
}

/* As the document has it: nothing for no limit. */
static void
set_rate(json_t *queue, const struct vmq_queue_info *info)
{
	json_t *rate;

	if (info->rate_to_vm.mbps == 0 && info->rate_from_vm.mbps == 0)
		return;
	rate = json_object();
	if (info->rate_to_vm.mbps != 0)
		json_object_set_new(rate, "to_vm", direction_json(&info->rate_to_vm));
	if (info->rate_from_vm.mbps != 0)
		json_object_set_new(rate, "from_vm", direction_json(&info->rate_from_vm));
	json_object_set_new(queue, "rate", rate);
}

/* What a queue is; its figures are in `stats`. */
json_t *
vmq_rpc_queue_json(const struct vmq_rpc_system *system, size_t index,
	const struct vmq_queue_info *info)
{
	struct vmq_oid_adapter *requests = system->adapters[index].requests;
	const struct vmq_adapter *adapter = vmq_oid_adapter_beneath(requests);
	const char *owner = vmq_oid_queue_owner(requests, info->id);
	json_t *object;

	object = json_pack("{s:s, s:i, s:s, s:s?, s:s?, s:s, s:s, s:s, s:i, s:b, s:o, s:o}",
		"adapter", vmq_adapter_name(adapter), "id", (int)info->id, "name", info->name, "vm",
		info->vm[0] != '\0' ? info->vm : NULL, "owner", owner[0] != '\0' ? owner : NULL,
		"state", vmq_queue_state_name(info->state), "operational_state",
		vmq_queue_operational_state(info->state), "steering",
		info->slot >= 0 ? "hardware" : "software", "worker",
		system->worker_cpus[info->worker], "keep_tags", (int)info->keep_tags, "filters",
		rpc_filters(adapter, info->id), "backend", rpc_backend(info));
	if (info->slot >= 0)
		json_object_set_new(object, "slot", json_integer(info->slot));
	if (info->slot < 0 ? info->hardware_why[0] != '\0' : info->rule_why[0] != '\0')
		json_object_set_new(object, "steering_reason",
			rpc_string(info->slot < 0 ? info->hardware_why : info->rule_why));
	json_object_set_new(object, "priority", json_integer(info->priority));
	json_object_set_new(object, "anti_spoof", json_boolean(info->anti_spoof));
	json_object_set_new(object, "broadcast", json_boolean(info->broadcast));
	json_object_set_new(object, "receive_only", json_boolean(info->receive_only));
	set_rate(object, info);
	if (info->completing)
		json_object_set_new(object, "completing", json_true());
	/* Who waits for a queue to be gone is its owner, or an administrator for it. */
	if (info->state == VMQ_QUEUE_FREEING || info->state == VMQ_QUEUE_DMA_STOPPED)
		json_object_set_new(object, "freeing", json_pack("{s:I, s:I, s:s}", "freeing_ms",
			(json_int_t)info->freeing_ms, "missing", (json_int_t)info->missing, "holder",
			info->backend_text));
	return object;
}

static void
add_queue(struct vmq_rpc_call *call, size_t index, const struct vmq_queue_info *info, void *list)
{
	json_array_append_new(list, vmq_rpc_queue_json(vmq_rpc_system_of(call), index, info));
}

static void
queue_list(struct vmq_rpc_call *call)
{
	json_t *list = json_array();

	if (rpc_each_queue(call, add_queue, list))
		vmq_rpc_reply(call, json_pack("{s:o}", "queues", list));
	else
		json_decref(list);
}

/* A queue on its way out. */
struct free_call {
	struct vmq_oid_request request;
	struct vmq_oid_free_queue information;
	struct vmq_rpc_call *call;
	uint64_t begun_ms;
	char name[VMQ_NAME_SIZE];
	uint32_t n_filters; /* cleared; set again if the queue cannot be freed */
	struct vmq_filter_match filters[];
};

static void
on_freed(struct vmq_oid_request *request, enum vmq_status status)
{
	struct free_call *freeing = request->arg;

	if (status == VMQ_STATUS_SUCCESS)
		vmq_rpc_reply(freeing->call, json_pack("{s:i, s:s, s:I, s:I}", "id",
			(int)freeing->information.queue_id, "name", freeing->name, "filters_cleared",
			(json_int_t)freeing->n_filters, "waited_ms",
			(json_int_t)(rpc_now_ms() - freeing->begun_ms)));
	else
		vmq_rpc_refuse(freeing->call, status, request->error.text, "%s",
			request->error.text);
	free(freeing);
}

/* Returns the status of the first filter that could not be cleared. */
static enum vmq_status
clear_filters(struct free_call *freeing, struct vmq_oid_adapter *requests, uint16_t id)
{
	const struct vmq_filter_set *set = vmq_adapter_filters(vmq_oid_adapter_beneath(requests));
	const struct vmq_filter *filter;
	struct vmq_filter_match match;
	enum vmq_status status;
	uint32_t after = 0;

	while ((filter = vmq_filter_next(set, after)) != NULL) {
		after = filter->id;
		if (filter->queue_id != id)
			continue;
		match = filter->match;
		status = rpc_clear_filter(requests, freeing->request.owner, after,
			&freeing->request.error);
		if (status != VMQ_STATUS_SUCCESS)
			return status;
		freeing->filters[freeing->n_filters++] = match;
	}
	return VMQ_STATUS_SUCCESS;
}

/* It stays after all, and gets its filters back. */
static void
undo_clear(struct free_call *freeing, struct vmq_oid_adapter *requests, uint16_t id)
{
	struct vmq_error err;
	uint32_t i, filter;

	for (i = 0; i < freeing->n_filters; i++)
		if (rpc_set_filter(requests, freeing->request.owner, id, &freeing->filters[i],
			    &filter, &err) != VMQ_STATUS_SUCCESS)
			VMQ_LOG(ERR, "queue %u (%s) has lost a filter: %s\n", id, freeing->name,
				err.text);
}

static void
queue_free(struct vmq_rpc_call *call)
{
	struct vmq_oid_adapter *requests;
	struct vmq_oid_owner *owner;
	struct free_call *freeing;
	struct vmq_queue_info info;
	enum vmq_status status;
	size_t adapter;
	int id;

	id = vmq_rpc_queue_of(call, &adapter, &owner);
	if (id < 0)
		return;
	requests = rpc_requests(call, adapter);
	vmq_queue_info_get(rpc_beneath(call, adapter), (uint16_t)id, &info);
	freeing = calloc(1, sizeof(*freeing) + info.n_filters * sizeof(freeing->filters[0]));
	if (freeing == NULL) {
		vmq_rpc_refuse(call, VMQ_STATUS_RESOURCES, NULL, "no memory for the request");
		return;
	}
	freeing->call = call;
	freeing->begun_ms = rpc_now_ms();
	snprintf(freeing->name, sizeof(freeing->name), "%s", info.name);
	freeing->information = (struct vmq_oid_free_queue){
		.header = VMQ_OID_HEADER(struct vmq_oid_free_queue), .queue_id = (uint32_t)id};
	freeing->request = (struct vmq_oid_request){
		.owner = owner,
		.complete = on_freed,
		.arg = freeing,
	};
	/* The default queue's filters are not touched for a request that must fail. */
	status = id == VMQ_DEFAULT_QUEUE_ID ? VMQ_STATUS_SUCCESS
					    : clear_filters(freeing, requests, (uint16_t)id);
	if (status == VMQ_STATUS_SUCCESS)
		status = rpc_request(requests, &freeing->request, VMQ_OID_SET, VMQ_OID_FREE_QUEUE,
			&freeing->information, sizeof(freeing->information));
	if (status == VMQ_STATUS_PENDING) {
		if (!vmq_rpc_get_bool(call, "wait", true))
			rpc_answer_early(call, json_pack("{s:i, s:s, s:s}", "id", id, "name",
				freeing->name, "status", vmq_status_name(status)));
		return;
	}
	undo_clear(freeing, requests, (uint16_t)id);
	vmq_rpc_refuse(call, status, freeing->request.error.text, "%s", freeing->request.error.text);
	free(freeing);
}

static const struct vmq_rpc_method rows[] = {
	{"queue.list", "your queues, all for an administrator", "{queues: [...]}", 0, queue_list,
		{RPC_ADAPTER_PARAM}},
	{"queue.free", "clear a queue's filters and free it",
		"{id, name, filters_cleared, waited_ms}, once its memory is free",
		VMQ_RPC_F_LATER | VMQ_RPC_F_CHANGES, queue_free,
		{RPC_QUEUE_PARAM,
			{"wait", VMQ_RPC_BOOL, false,
				"false: {status: PENDING} at once; the indication of state Undefined "
				"tells the end"},
			RPC_ADAPTER_PARAM}},
};

int
rpc_add_queue_methods(struct vmq_rpc *rpc)
{
	return vmq_rpc_add_methods(rpc, rows, RTE_DIM(rows), NULL);
}
