/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Methods of queues. */

#include "rpc_private.h"

/* What a queue is; its figures are in `stats`. */
static json_t *
queue_json(const struct vmq_rpc_system *system, size_t index, const struct vmq_queue_info *info)
{
	struct vmq_oid_adapter *requests = system->adapters[index].requests;
	const struct vmq_adapter *adapter = vmq_oid_adapter_beneath(requests);
	const char *owner = vmq_oid_queue_owner(requests, info->id);

	return json_pack("{s:s, s:i, s:s, s:s?, s:s?, s:s, s:s, s:s, s:i, s:b, s:o, s:{s:s, s:s}}",
		"adapter", vmq_adapter_name(adapter), "id", (int)info->id, "name", info->name, "vm",
		info->vm[0] != '\0' ? info->vm : NULL, "owner",
		owner[0] != '\0' ? owner : NULL, "state", vmq_queue_state_name(info->state),
		"operational_state", vmq_queue_operational_state(info->state), "steering",
		"software", "worker", system->worker_cpus[info->worker], "keep_tags",
		(int)info->keep_tags, "filters", rpc_filters(adapter, info->id), "backend", "type",
		vmq_backend_type_name(info->backend), "text", info->backend_text);
}

/* Append an adapter's queues that the call's owner can see. Returns false: refused. */
static bool
list_adapter(struct vmq_rpc_call *call, size_t index, json_t *list)
{
	const struct vmq_rpc_system *system = vmq_rpc_system_of(call);
	const struct vmq_oid_owner *owner = vmq_rpc_owner_of(call, index);
	const struct vmq_adapter *adapter =
		vmq_oid_adapter_beneath(system->adapters[index].requests);
	struct vmq_queue_info info;
	int id;

	if (owner == NULL)
		return false;
	for (id = -1; (id = vmq_queue_next(adapter, id)) >= 0;)
		if (vmq_oid_owner_sees(owner, (uint16_t)id) &&
			vmq_queue_info_get(adapter, (uint16_t)id, &info))
			json_array_append_new(list, queue_json(system, index, &info));
	return true;
}

static void
queue_list(struct vmq_rpc_call *call)
{
	const struct vmq_rpc_system *system = vmq_rpc_system_of(call);
	json_t *list = json_array();
	bool ok = true;
	size_t i;
	int index;

	if (vmq_rpc_get(call, "adapter") != NULL) {
		index = vmq_rpc_adapter_of(call);
		ok = index >= 0 && list_adapter(call, (size_t)index, list);
	} else {
		for (i = 0; i < system->n_adapters && ok; i++)
			ok = list_adapter(call, i, list);
	}
	if (ok)
		vmq_rpc_reply(call, json_pack("{s:o}", "queues", list));
	else
		json_decref(list);
}

#define ADAPTER_PARAM {"adapter", VMQ_RPC_TEXT, false, "name of the adapter; not needed with one"}

static const struct vmq_rpc_method rows[] = {
	{"queue.list", "your queues, all for an administrator", "{queues: [...]}", 0, queue_list,
		{ADAPTER_PARAM}},
};

int
rpc_add_queue_methods(struct vmq_rpc *rpc)
{
	return vmq_rpc_add_methods(rpc, rows, RTE_DIM(rows), NULL);
}
