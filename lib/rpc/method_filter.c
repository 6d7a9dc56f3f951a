/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Methods of filters, made of typed requests. */

#include <string.h>

#include "rpc_private.h"

/* A filter with room for both of its tests. */
struct filter_request {
	struct vmq_oid_filter_parameters parameters;
	struct vmq_oid_field_parameters fields[2];
};

static struct vmq_oid_field_parameters *
add_test(struct filter_request *request, enum vmq_oid_field field)
{
	struct vmq_oid_field_parameters *test =
		&request->fields[request->parameters.fields.n_elements++];

	test->header = VMQ_OID_HEADER(struct vmq_oid_field_parameters);
	test->frame_header = VMQ_OID_FRAME_MAC;
	test->field = field;
	test->test = VMQ_OID_TEST_EQUAL;
	return test;
}

enum vmq_status
rpc_request(struct vmq_oid_adapter *requests, struct vmq_oid_request *request,
	enum vmq_oid_request_type type, uint32_t oid, void *information, size_t length)
{
	request->type = type;
	request->oid = oid;
	request->information = information;
	request->information_length = (uint32_t)length;
	return vmq_oid_request(requests, request);
}

enum vmq_status
rpc_set_filter(struct vmq_oid_adapter *requests, struct vmq_oid_owner *owner, uint16_t queue_id,
	const struct vmq_filter_match *match, uint32_t *filter_id, struct vmq_error *err)
{
	struct filter_request information = {
		.parameters = {
			.header = VMQ_OID_HEADER(struct vmq_oid_filter_parameters),
			.filter_type = VMQ_OID_FILTER_TYPE_VMQ,
			.queue_id = queue_id,
			.fields = {
				.first_offset = offsetof(struct filter_request, fields),
				.element_size = sizeof(struct vmq_oid_field_parameters),
			},
		},
	};
	struct vmq_oid_request request = {.owner = owner};
	struct vmq_oid_field_parameters *test;
	enum vmq_status status;

	if (match->has_mac) {
		test = add_test(&information, VMQ_OID_FIELD_DESTINATION);
		memcpy(test->value.bytes, match->mac.addr_bytes, sizeof(match->mac.addr_bytes));
		if (match->vlan_test == VMQ_VLAN_UNTAGGED)
			test->flags = VMQ_OID_FIELD_VLAN_UNTAGGED_OR_ZERO;
	}
	if (match->vlan_test == VMQ_VLAN_ID)
		add_test(&information, VMQ_OID_FIELD_VLAN_ID)->value.u16 = match->vlan_id;
	status = rpc_request(requests, &request, VMQ_OID_METHOD, VMQ_OID_SET_FILTER, &information,
		sizeof(information));
	*filter_id = information.parameters.filter_id;
	*err = request.error;
	return status;
}

enum vmq_status
rpc_clear_filter(struct vmq_oid_adapter *requests, struct vmq_oid_owner *owner, uint32_t filter_id,
	struct vmq_error *err)
{
	struct vmq_oid_clear_filter information = {
		.header = VMQ_OID_HEADER(struct vmq_oid_clear_filter),
		.filter_id = filter_id,
	};
	struct vmq_oid_request request = {.owner = owner};
	enum vmq_status status = rpc_request(requests, &request, VMQ_OID_SET, VMQ_OID_CLEAR_FILTER,
		&information, sizeof(information));

	*err = request.error;
	return status;
}

/* A filter as a document has it. Returns false: the call has been refused. */
static bool
match_of(struct vmq_rpc_call *call, struct vmq_filter_match *match)
{
	static const char expected[] =
		"{\"mac\": \"52:54:00:00:00:01\", \"vlan\": 1 to 4094, \"untagged\" or \"any\"}";
	json_t *filter = vmq_rpc_get(call, "filter"), *value;
	struct vmq_error err;
	const char *key, *text;

	*match = (struct vmq_filter_match){0};
	json_object_foreach(filter, key, value) {
		if (strcmp(key, "mac") != 0 && strcmp(key, "vlan") != 0) {
			vmq_rpc_refuse_at(call, "/filter", expected,
				"a filter has \"mac\" and \"vlan\", not \"%.64s\"", key);
			return false;
		}
	}
	value = json_object_get(filter, "mac");
	if (value != NULL && (!json_is_string(value) ||
				     !rpc_mac_from_text(json_string_value(value),
					     match->mac.addr_bytes))) {
		vmq_rpc_refuse_at(call, "/filter/mac", expected, "that is not a MAC address");
		return false;
	}
	match->has_mac = value != NULL;
	value = json_object_get(filter, "vlan");
	text = json_string_value(value);
	if (json_is_integer(value) && json_integer_value(value) >= 1 &&
		json_integer_value(value) <= 4094) {
		match->vlan_test = VMQ_VLAN_ID;
		match->vlan_id = (uint16_t)json_integer_value(value);
	} else if (text != NULL && strcmp(text, "untagged") == 0) {
		match->vlan_test = VMQ_VLAN_UNTAGGED;
	} else if (value != NULL && (text == NULL || strcmp(text, "any") != 0)) {
		vmq_rpc_refuse_at(call, "/filter/vlan", expected, "that is not a VLAN");
		return false;
	}
	if (vmq_filter_match_check(match, &err) != VMQ_STATUS_SUCCESS) {
		vmq_rpc_refuse_at(call, "/filter", expected, "%s", err.text);
		return false;
	}
	return true;
}

/* Add who steers a filter: "how", and what the NIC tests or why it does not steer. */
static json_t *
with_steering(json_t *object, const struct vmq_adapter *adapter, uint32_t filter)
{
	struct vmq_filter_steering steering;

	if (vmq_filter_steering_get(adapter, filter, &steering)) {
		json_object_set_new(object, "how", json_string(vmq_filter_how_name(steering.how)));
		json_object_set_new(object, "detail", rpc_string(steering.text));
	}
	return object;
}

/* How a move was done: whose rules had to change for it. */
static json_t *
with_move(json_t *object, const struct vmq_filter_steering *from,
	const struct vmq_filter_steering *to)
{
	const bool ruled = from->how != VMQ_FILTER_SOFTWARE, rule = to->how != VMQ_FILTER_SOFTWARE;

	json_object_set_new(object, "how", json_string(vmq_filter_how_name(
		ruled || rule ? VMQ_FILTER_COVERED : VMQ_FILTER_SOFTWARE)));
	json_object_set_new(object, "detail", json_string(!ruled && !rule
		? "one store of software's table; the NIC has no part in it"
		: !rule ? "software steers it from the first frame on; the NIC's rule goes"
		: !ruled ? "software steers it until the NIC has a rule"
		: "software steers it while the NIC's rule goes from one hardware queue to the other"));
	return object;
}

static void
filter_set(struct vmq_rpc_call *call)
{
	struct vmq_filter_match match;
	struct vmq_oid_owner *owner;
	enum vmq_status status;
	struct vmq_error err;
	size_t adapter;
	uint32_t id;
	int queue;

	queue = vmq_rpc_queue_of(call, &adapter, &owner);
	if (queue < 0 || !match_of(call, &match))
		return;
	status = rpc_set_filter(rpc_requests(call, adapter), owner, (uint16_t)queue, &match, &id,
		&err);
	if (status == VMQ_STATUS_SUCCESS)
		vmq_rpc_reply(call, with_steering(json_pack("{s:I, s:i}", "filter", (json_int_t)id,
			"queue", queue), rpc_beneath(call, adapter), id));
	else
		vmq_rpc_refuse(call, status, err.text, "%s", err.text);
}

/* The filter that the parameter names. Returns false: the call has been refused. */
static bool
filter_of(struct vmq_rpc_call *call, uint32_t *id)
{
	int64_t value;

	if (!vmq_rpc_get_integer(call, "filter", 1, UINT32_MAX, 0, &value))
		return false;
	*id = (uint32_t)value;
	return true;
}

static void
filter_clear(struct vmq_rpc_call *call)
{
	struct vmq_oid_owner *owner;
	enum vmq_status status;
	struct vmq_error err;
	int adapter;
	uint32_t id;

	adapter = vmq_rpc_adapter_of(call);
	if (adapter < 0 || !filter_of(call, &id))
		return;
	owner = vmq_rpc_owner_of(call, (size_t)adapter);
	if (owner == NULL)
		return;
	status = rpc_clear_filter(rpc_requests(call, (size_t)adapter), owner, id, &err);
	if (status == VMQ_STATUS_SUCCESS)
		vmq_rpc_reply(call, json_pack("{s:I}", "filter", (json_int_t)id));
	else
		vmq_rpc_refuse(call, status, err.text, "%s", err.text);
}

static void
filter_move(struct vmq_rpc_call *call)
{
	struct vmq_oid_move_filter information = {
		.header = VMQ_OID_HEADER(struct vmq_oid_move_filter)};
	struct vmq_filter_steering before = {0}, after = {0};
	struct vmq_oid_request request = {0};
	const struct vmq_filter *filter;
	enum vmq_status status;
	int adapter, to;
	uint32_t id;

	adapter = vmq_rpc_adapter_of(call);
	if (adapter < 0 || !filter_of(call, &id))
		return;
	to = rpc_queue_param(call, (size_t)adapter, "to");
	if (to < 0)
		return;
	request.owner = vmq_rpc_owner_of(call, (size_t)adapter);
	if (request.owner == NULL)
		return;
	/* Whether there is such a filter, and for this owner, is the request's to say. */
	filter = vmq_filter_find(vmq_adapter_filters(rpc_beneath(call, (size_t)adapter)), id);
	information.filter_id = id;
	information.source_queue_id = filter != NULL ? filter->queue_id : 0;
	information.destination_queue_id = (uint32_t)to;
	vmq_filter_steering_get(rpc_beneath(call, (size_t)adapter), id, &before);
	status = rpc_request(rpc_requests(call, (size_t)adapter), &request, VMQ_OID_SET,
		VMQ_OID_MOVE_FILTER, &information, sizeof(information));
	vmq_filter_steering_get(rpc_beneath(call, (size_t)adapter), id, &after);
	if (status == VMQ_STATUS_SUCCESS)
		vmq_rpc_reply(call, with_move(json_pack("{s:I, s:I, s:i}", "filter", (json_int_t)id,
			"from", (json_int_t)information.source_queue_id, "to", to), &before, &after));
	else
		vmq_rpc_refuse(call, status, request.error.text, "%s", request.error.text);
}

static void
add_filters(struct vmq_rpc_call *call, size_t index, const struct vmq_oid_owner *owner, int queue,
	void *list)
{
	struct vmq_oid_adapter *requests = rpc_requests(call, index);
	const struct vmq_adapter *adapter = rpc_beneath(call, index);
	const struct vmq_filter_set *set = vmq_adapter_filters(adapter);
	const struct vmq_filter *filter;
	struct vmq_queue_info info;
	const char *name;
	uint32_t after;
	json_t *one;

	for (after = 0; (filter = vmq_filter_next(set, after)) != NULL; after = filter->id) {
		name = vmq_oid_filter_owner(requests, filter->id);
		if ((queue >= 0 && filter->queue_id != queue) ||
			!vmq_queue_info_get(adapter, filter->queue_id, &info) ||
			(!vmq_oid_owner_sees(owner, filter->queue_id) &&
				strcmp(name, vmq_oid_owner_name(owner)) != 0))
			continue;
		one = rpc_filter(filter);
		json_object_set_new(one, "adapter", json_string(vmq_adapter_name(adapter)));
		json_object_set_new(one, "queue", json_integer(filter->queue_id));
		json_object_set_new(one, "name", json_string(info.name));
		json_object_set_new(one, "owner", name[0] != '\0' ? json_string(name) : json_null());
		with_steering(one, adapter, filter->id);
		json_array_append_new(list, one);
	}
}

static void
filter_list(struct vmq_rpc_call *call)
{
	json_t *list = json_array();

	if (rpc_each_adapter(call, add_filters, list))
		vmq_rpc_reply(call, json_pack("{s:o}", "filters", list));
	else
		json_decref(list);
}

#define FILTER_PARAM {"filter", VMQ_RPC_INTEGER, true, "the filter's id"}

static const struct vmq_rpc_method rows[] = {
	{"filter.list", "filters of a queue, or all",
		"{filters: [{id, mac, vlan, adapter, queue, name, owner, how, detail}]}", 0, filter_list,
		{{"queue", VMQ_RPC_QUEUE, false, "id or name of the queue"}, RPC_ADAPTER_PARAM}},
	{"filter.set", "set a filter on a queue", "{filter, queue, how, detail}",
		VMQ_RPC_F_CHANGES, filter_set,
		{RPC_QUEUE_PARAM,
			{"filter", VMQ_RPC_OBJECT, true, "{mac, vlan} as in the document"},
			RPC_ADAPTER_PARAM}},
	{"filter.clear", "clear a filter; without one a queue receives nothing", "{filter}",
		VMQ_RPC_F_CHANGES, filter_clear, {FILTER_PARAM, RPC_ADAPTER_PARAM}},
	{"filter.move", "move a filter to another queue, in one instant for every packet",
		"{filter, from, to, how, detail}: how: software, or covered: by it while the NIC changes",
		VMQ_RPC_F_CHANGES, filter_move,
		{FILTER_PARAM, {"to", VMQ_RPC_QUEUE, true, "id or name of the queue it goes to"},
			RPC_ADAPTER_PARAM}},
};

int
rpc_add_filter_methods(struct vmq_rpc *rpc)
{
	return vmq_rpc_add_methods(rpc, rows, RTE_DIM(rows), NULL);
}
