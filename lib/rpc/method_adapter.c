/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Methods of adapters and workers, and why packets were dropped. */

#include <string.h>

#include "oid_fields.h"

static json_t *
adapter_json(struct vmq_rpc_call *call, size_t index)
{
	const struct vmq_rpc_adapter *of = &vmq_rpc_system_of(call)->adapters[index];
	const struct vmq_adapter *adapter = rpc_beneath(call, index);
	struct vmq_queue_info info;
	uint64_t bytes = 0;
	int id, queues = 0;
	json_t *object;

	for (id = -1; (id = vmq_queue_next(adapter, id)) >= 0;) {
		if (!vmq_queue_info_get(adapter, (uint16_t)id, &info))
			continue;
		queues += id != VMQ_DEFAULT_QUEUE_ID;
		bytes += info.memory.bytes + info.xmit_memory.bytes;
	}
	object = rpc_adapter_stats(of);
	json_object_set_new(object, "queues", json_integer(queues));
	json_object_set_new(object, "filters",
		json_integer(vmq_filter_total(vmq_adapter_filters(adapter))));
	json_object_set_new(object, "memory_bytes", json_integer((json_int_t)bytes));
	json_object_set_new(object, "memory_alignment",
		json_integer((json_int_t)vmq_adapter_alignment(adapter)));
	json_object_set_new(object, "halted", json_boolean(vmq_adapter_is_halted(adapter)));
	json_object_set_new(object, "last_indication",
		json_integer((json_int_t)vmq_oid_last_sequence(of->requests)));
	return object;
}

static void
adapter_list(struct vmq_rpc_call *call)
{
	const struct vmq_rpc_system *system = vmq_rpc_system_of(call);
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < system->n_adapters; i++)
		json_array_append_new(list, adapter_json(call, i));
	vmq_rpc_reply(call, json_pack("{s:o}", "adapters", list));
}

static void
adapter_show(struct vmq_rpc_call *call)
{
	const int index = vmq_rpc_adapter_of(call);

	if (index >= 0)
		vmq_rpc_reply(call, adapter_json(call, (size_t)index));
}

/* What a capability OID answers. NULL: the call has been refused. */
static json_t *
query(struct vmq_rpc_call *call, size_t index, uint32_t oid)
{
	const struct oid_shape *shape = oid_shape_find(oid, VMQ_OID_QUERY);
	struct vmq_oid_request request = {.owner = vmq_rpc_owner_of(call, index)};
	struct information information = {0};
	enum vmq_status status;
	json_t *object = NULL;

	if (request.owner == NULL)
		return NULL;
	if (!information_reserve(&information, shape->out->sizes[0])) {
		vmq_rpc_refuse(call, VMQ_STATUS_RESOURCES, NULL, "no memory for the request");
		return NULL;
	}
	status = rpc_request(rpc_requests(call, index), &request, VMQ_OID_QUERY, oid,
		information.bytes, information.capacity);
	information.length = request.bytes_written;
	if (status == VMQ_STATUS_SUCCESS)
		object = information_encode(&information, shape->out);
	else
		vmq_rpc_refuse(call, status, request.error.text, "%s", request.error.text);
	information_free(&information);
	return object;
}

static void
adapter_capabilities(struct vmq_rpc_call *call)
{
	const int index = vmq_rpc_adapter_of(call);
	json_t *hardware, *current;

	if (index < 0)
		return;
	hardware = query(call, (size_t)index, VMQ_OID_HARDWARE_CAPABILITIES);
	if (hardware == NULL)
		return;
	current = query(call, (size_t)index, VMQ_OID_CURRENT_CAPABILITIES);
	if (current == NULL) {
		json_decref(hardware);
		return;
	}
	vmq_rpc_reply(call, json_pack("{s:s, s:o, s:o}", "adapter",
		vmq_adapter_name(rpc_beneath(call, (size_t)index)), "hardware", hardware, "current",
		current));
}

static void
workers(struct vmq_rpc_call *call)
{
	const struct vmq_rpc_system *system = vmq_rpc_system_of(call);
	json_t *list = vmq_rpc_workers(system, false), *one;
	size_t i;

	json_array_foreach(list, i, one)
		json_object_set_new(one, "queues",
			json_integer(vmq_host_queues_on(system->host, (uint16_t)i)));
	vmq_rpc_reply(call, json_pack("{s:o}", "workers", list));
}

static json_t *
reasons(void)
{
	json_t *list = json_array();
	unsigned int i;

	for (i = 0; i < VMQ_DROP_COUNT; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "name", vmq_drop_name(i),
			"direction", "to_vm", "help", vmq_drop_help(i)));
	for (i = 0; i < VMQ_TX_DROP_COUNT; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "name",
			vmq_tx_drop_name(i), "direction", "from_vm", "help", vmq_tx_drop_help(i)));
	return list;
}

static void
drops(struct vmq_rpc_call *call)
{
	const struct vmq_rpc_system *system = vmq_rpc_system_of(call);
	const bool of_queue = vmq_rpc_get(call, "queue") != NULL;
	struct vmq_oid_owner *owner;
	struct vmq_queue_info info;
	int index = -1, queue = -1, id;
	json_t *list;
	size_t i;

	if (of_queue || vmq_rpc_get(call, "adapter") != NULL) {
		index = vmq_rpc_adapter_of(call);
		if (index < 0)
			return;
		if (of_queue && (queue = rpc_queue_param(call, (size_t)index, "queue")) < 0)
			return;
	}
	list = json_array();
	for (i = 0; i < system->n_adapters; i++) {
		if (index >= 0 && i != (size_t)index)
			continue;
		owner = vmq_rpc_owner_of(call, i);
		if (owner == NULL) {
			json_decref(list);
			return;
		}
		for (id = -1; (id = vmq_queue_next(rpc_beneath(call, i), id)) >= 0;) {
			if ((queue >= 0 && id != queue) || !vmq_oid_owner_sees(owner, (uint16_t)id) ||
				!vmq_queue_info_get(rpc_beneath(call, i), (uint16_t)id, &info))
				continue;
			json_array_append_new(list, json_pack("{s:s, s:i, s:s, s:I, s:I, s:o, s:o}",
				"adapter", vmq_adapter_name(rpc_beneath(call, i)), "id",
				(int)info.id, "name", info.name, "received",
				(json_int_t)info.packets.received, "dropped",
				(json_int_t)info.packets.dropped, "drops",
				rpc_drops(&info.packets), "transmit_drops",
				rpc_tx_drops(&info.transmit)));
		}
	}
	vmq_rpc_reply(call, json_pack("{s:o, s:o}", "queues", list, "reasons", reasons()));
}

#define WHICH_ADAPTER                                                                              \
	{                                                                                          \
		RPC_ADAPTER_PARAM                                                                  \
	}

static const struct vmq_rpc_method rows[] = {
	{"adapter.list", "the adapters, with their NICs' counters",
		"{adapters: [{name, device, nic, queues, filters, memory_bytes...}]}", 0,
		adapter_list, {{NULL}}},
	{"adapter.show", "one adapter", "{name, device, nic, queues, filters, memory_bytes...}", 0,
		adapter_show, WHICH_ADAPTER},
	{"adapter.capabilities", "what its NIC could do, and what is enabled",
		"{adapter, hardware, current}", 0, adapter_capabilities, WHICH_ADAPTER},
	{"workers", "the workers: their CPUs, their load, how many queues they serve",
		"{workers: [...]}", 0, workers, {{NULL}}},
	{"drops", "packets dropped, by reason, with what the reasons mean",
		"{queues: [{adapter, id, name, received, dropped, drops, transmit_drops}], reasons}",
		0, drops,
		{{"queue", VMQ_RPC_QUEUE, false, "id or name of the queue"}, RPC_ADAPTER_PARAM}},
};

int
rpc_add_adapter_methods(struct vmq_rpc *rpc)
{
	return vmq_rpc_add_methods(rpc, rows, RTE_DIM(rows), NULL);
}
