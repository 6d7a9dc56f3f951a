/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Methods of adapters and workers, and why packets were dropped. */

#include <string.h>

#include "oid_fields.h"

/* What rules of a kind the NIC takes, or why it does not. */
static json_t *
tests_json(const struct vmq_steer_capabilities *rules)
{
	json_t *object = json_object();
	unsigned int i;

	for (i = 0; i < VMQ_STEER_TEST_COUNT; i++)
		json_object_set_new(object, vmq_steer_test_name(i), rules->tests[i].can
			? json_true() : rpc_string(rules->tests[i].why_not));
	return object;
}

/* Who steers, and why the others do not. */
static json_t *
steering_json(const struct vmq_adapter_capabilities *can)
{
	json_t *kinds = json_object(), *kind;
	unsigned int i;

	for (i = 0; i < VMQ_STEERING_COUNT; i++) {
		if (i == VMQ_STEERING_AUTO)
			continue;
		kind = json_object();
		json_object_set_new(kind, "chosen", json_boolean(i == can->chosen));
		if (i != can->chosen)
			json_object_set_new(kind, "why_not", rpc_string(can->found[i].why_not));
		if (can->found[i].tried) {
			json_object_set_new(kind, "rules", tests_json(&can->found[i].rules));
			if (can->found[i].rules.max_rules != 0)
				json_object_set_new(kind, "max_rules",
					json_integer(can->found[i].rules.max_rules));
		}
		json_object_set_new(kinds, vmq_steering_name(i), kind);
	}
	return json_pack("{s:s, s:s, s:i, s:i, s:I, s:o}", "asked",
		vmq_steering_name(can->asked), "chosen", vmq_steering_name(can->chosen),
		"hardware_queues", (int)can->hardware_queues, "free_hardware_queues",
		(int)can->free_hardware_queues, "rules", (json_int_t)can->rules, "kinds", kinds);
}

static json_t *
port_json(const struct vmq_port_capabilities *port)
{
	json_t *object = json_pack("{s:s, s:i, s:i, s:I, s:b, s:b, s:b, s:b, s:b, s:b}", "driver",
		port->driver, "rx_queues", (int)port->rx_queues, "vmdq_pools",
		(int)port->vmdq_pools, "macs", (json_int_t)port->macs, "live_queue_setup",
		(int)port->live_queue_setup, "queue_start_stop", (int)port->queue_start_stop,
		"rx_interrupts", (int)port->rx_interrupts, "header_split", (int)port->header_split,
		"pools_grow", (int)port->pools_grow, "deferred_start", (int)port->deferred_start);

	if (port->why_no_deferred_start[0] != '\0')
		json_object_set_new(object, "why_no_deferred_start",
			rpc_string(port->why_no_deferred_start));
	if (!port->pools_grow)
		json_object_set_new(object, "why_pools_do_not_grow",
			json_string(port->why_pools_do_not_grow));
	return object;
}

static json_t *
adapter_json(struct vmq_rpc_call *call, size_t index)
{
	const struct vmq_rpc_adapter *of = &vmq_rpc_system_of(call)->adapters[index];
	const struct vmq_adapter *adapter = rpc_beneath(call, index);
	struct vmq_adapter_capabilities can;
	struct vmq_port_health health;
	struct vmq_queue_info info;
	uint64_t bytes = 0;
	int id, queues = 0;
	json_t *object;

	vmq_adapter_capabilities_get(adapter, &can);
	for (id = -1; (id = vmq_queue_next(adapter, id)) >= 0;) {
		if (!vmq_queue_info_get(adapter, (uint16_t)id, &info))
			continue;
		queues += id != VMQ_DEFAULT_QUEUE_ID;
		bytes += info.memory.bytes + info.xmit_memory.bytes;
	}
	object = rpc_adapter_stats(of);
	vmq_adapter_port_health(adapter, &health);
	json_object_set_new(object, "port", json_pack("{s:s, s:I, s:I}", "state",
		vmq_port_state_name(health.state), "resets", (json_int_t)health.resets,
		"rules_restored", (json_int_t)health.restored));
	if (health.why[0] != '\0')
		json_object_set_new(json_object_get(object, "port"), "why", rpc_string(health.why));
	json_object_set_new(object, "steering", steering_json(&can));
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
	struct vmq_adapter_capabilities can;
	json_t *hardware, *current;

	if (index < 0)
		return;
	vmq_adapter_capabilities_get(rpc_beneath(call, (size_t)index), &can);
	hardware = query(call, (size_t)index, VMQ_OID_HARDWARE_CAPABILITIES);
	if (hardware == NULL)
		return;
	current = query(call, (size_t)index, VMQ_OID_CURRENT_CAPABILITIES);
	if (current == NULL) {
		json_decref(hardware);
		return;
	}
	vmq_rpc_reply(call, json_pack("{s:s, s:o, s:o, s:o, s:o}", "adapter",
		vmq_adapter_name(rpc_beneath(call, (size_t)index)), "steering",
		steering_json(&can), "port", port_json(&can.port), "hardware", hardware, "current",
		current));
}

static void
adapter_reset(struct vmq_rpc_call *call)
{
	const int index = vmq_rpc_adapter_of(call);
	struct vmq_port_health health;
	struct vmq_adapter *adapter;
	enum vmq_status status;
	struct vmq_error err;

	if (index < 0)
		return;
	adapter = rpc_beneath(call, (size_t)index);
	status = vmq_adapter_reset_port(adapter, &err);
	if (status != VMQ_STATUS_PENDING) {
		vmq_rpc_refuse(call, status, err.text, "%s", err.text);
		return;
	}
	vmq_adapter_port_health(adapter, &health);
	vmq_rpc_reply(call, json_pack("{s:s, s:s}", "adapter", vmq_adapter_name(adapter), "state",
		vmq_port_state_name(health.state)));
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
add_drops(struct vmq_rpc_call *call, size_t index, const struct vmq_queue_info *info, void *arg)
{
	json_array_append_new(arg, json_pack("{s:s, s:i, s:s, s:I, s:I, s:o, s:o}", "adapter",
		vmq_adapter_name(rpc_beneath(call, index)), "id", (int)info->id, "name", info->name,
		"received", (json_int_t)info->packets.received, "dropped",
		(json_int_t)info->packets.dropped, "drops", rpc_drops(&info->packets),
		"transmit_drops", rpc_tx_drops(&info->transmit)));
}

static void
drops(struct vmq_rpc_call *call)
{
	json_t *list = json_array();

	if (rpc_each_queue(call, add_drops, list))
		vmq_rpc_reply(call, json_pack("{s:o, s:o}", "queues", list, "reasons", reasons()));
	else
		json_decref(list);
}

#define WHICH_ADAPTER                                                                              \
	{                                                                                          \
		RPC_ADAPTER_PARAM                                                                  \
	}

static const struct vmq_rpc_method rows[] = {
	{"adapter.list", "the adapters, with their NICs' counters",
		"{adapters: [{name, device, nic, queues, filters, memory_bytes...}]}", 0,
		adapter_list, {{NULL}}},
	{"adapter.show", "one adapter",
		"{name, device, nic, port, steering, queues, filters, memory_bytes...}", 0,
		adapter_show, WHICH_ADAPTER},
	{"adapter.capabilities", "what its NIC could do, and what is enabled",
		"{adapter, steering, port, hardware, current}", 0, adapter_capabilities, WHICH_ADAPTER},
	{"adapter.reset",
		"reset its NIC: queues keep their states, and rules are put back; what the NIC's rings "
		"have is lost, and what comes meanwhile; the indication PORT_RESET tells the end",
		"{adapter, state}", VMQ_RPC_F_ADMINISTRATOR | VMQ_RPC_F_CHANGES, adapter_reset,
		WHICH_ADAPTER},
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
