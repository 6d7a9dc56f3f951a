/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Typed requests as they are: the method `oid`. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oid_fields.h"

/* What a buffer for output begins with; grows when a request says that more is needed. */
#define OUTPUT_SIZE 8192

static const char *const type_names[VMQ_OID_TYPE_COUNT] = {
	[VMQ_OID_QUERY] = "query",
	[VMQ_OID_SET] = "set",
	[VMQ_OID_METHOD] = "method",
};

/* A request under way. */
struct oid_call {
	struct vmq_oid_request request;
	struct vmq_rpc_call *call;
	const struct oid_shape *shape;
	struct information information;
};

static void
oid_call_free(struct oid_call *oid)
{
	information_free(&oid->information);
	free(oid);
}

/* The OID that a call names. Returns 0: none, and the call has been refused. */
static uint32_t
oid_of(struct vmq_rpc_call *call)
{
	const json_t *given = vmq_rpc_get(call, "oid");
	const json_int_t number = json_integer_value(given);
	uint32_t oid = 0;

	if (json_is_string(given))
		oid = vmq_oid_by_name(json_string_value(given));
	else if (number > 0 && number <= UINT32_MAX && vmq_oid_name((uint32_t)number) != NULL)
		oid = (uint32_t)number;
	if (oid != 0)
		return oid;
	if (json_is_string(given))
		vmq_rpc_refuse(call, VMQ_STATUS_NOT_SUPPORTED, NULL,
			"there is no OID \"%.64s\"; oid.list lists them", json_string_value(given));
	else
		vmq_rpc_refuse(call, VMQ_STATUS_NOT_SUPPORTED, NULL,
			"there is no OID %" JSON_INTEGER_FORMAT "; oid.list lists them", number);
	return 0;
}

static const struct vmq_oid_info *
info_of(uint32_t oid, struct vmq_oid_info *info)
{
	unsigned int i;

	for (i = 0; vmq_oid_info_get(i, info); i++)
		if (info->oid == oid)
			return info;
	return NULL;
}

/* The type of the request. Returns VMQ_OID_TYPE_COUNT: the call has been refused. */
static enum vmq_oid_request_type
type_of(struct vmq_rpc_call *call, uint32_t oid)
{
	const char *given = vmq_rpc_get_text(call, "type");
	struct vmq_oid_info info;
	unsigned int type;

	info_of(oid, &info);
	for (type = 0; type < VMQ_OID_TYPE_COUNT; type++) {
		if (given != NULL ? strcmp(given, type_names[type]) == 0
				  : info.types == UINT32_C(1) << type)
			return type;
	}
	if (given != NULL)
		vmq_rpc_refuse_at(call, "/type", "\"query\", \"set\" or \"method\"",
			"there is no request type \"%.64s\"", given);
	else
		vmq_rpc_refuse_at(call, "/type", "\"query\", \"set\" or \"method\"",
			"%s has requests of more than one type: which?", info.name);
	return VMQ_OID_TYPE_COUNT;
}

/* The request has ended. */
static void
answer(struct oid_call *oid, enum vmq_status status)
{
	const struct vmq_oid_request *request = &oid->request;
	json_t *information = NULL, *data;

	oid->information.length = request->bytes_written;
	if (oid->shape->out != NULL && request->bytes_written >= oid->shape->out->sizes[0])
		information = information_encode(&oid->information, oid->shape->out);
	if (status == VMQ_STATUS_SUCCESS) {
		data = json_pack("{s:s, s:s, s:s}", "oid", vmq_oid_name(request->oid), "type",
			type_names[request->type], "status", vmq_status_name(status));
		if (information != NULL)
			json_object_set_new(data, "information", information);
		vmq_rpc_reply(oid->call, data);
	} else {
		data = json_object();
		json_object_set_new(data, "reason", rpc_string(request->error.text));
		if (information != NULL)
			json_object_set_new(data, "information", information);
		vmq_rpc_refuse_data(oid->call, status, data, request->error.text);
	}
	oid_call_free(oid);
}

static void
on_complete(struct vmq_oid_request *request, enum vmq_status status)
{
	answer(request->arg, status);
}

/* Make the request; a buffer that turns out too short is made longer, once. */
static void
make_request(struct oid_call *oid, struct vmq_oid_adapter *requests)
{
	struct vmq_oid_request *request = &oid->request;
	unsigned int attempts;
	enum vmq_status status;

	for (attempts = 0;; attempts++) {
		request->information = oid->information.bytes;
		request->information_length = (uint32_t)oid->information.capacity;
		status = vmq_oid_request(requests, request);
		if (status != VMQ_STATUS_INVALID_LENGTH || attempts > 0 ||
			request->bytes_needed <= oid->information.capacity)
			break;
		if (!information_reserve(&oid->information, request->bytes_needed)) {
			status = vmq_error_set(&request->error, VMQ_STATUS_RESOURCES,
				"no memory for %u bytes of output", request->bytes_needed);
			break;
		}
	}
	if (status != VMQ_STATUS_PENDING)
		answer(oid, status);
}

/* What one OID is. */
static json_t *
oid_json(const struct vmq_oid_info *info)
{
	json_t *requests = json_array();
	const struct oid_shape *shape;
	unsigned int type;

	for (type = 0; type < VMQ_OID_TYPE_COUNT; type++) {
		if ((info->types & UINT32_C(1) << type) == 0)
			continue;
		shape = oid_shape_find(info->oid, type);
		json_array_append_new(requests, json_pack("{s:s, s:s?, s:s?}", "type",
			type_names[type], "input", shape->in != NULL ? shape->in->name : NULL,
			"output", shape->out != NULL ? shape->out->name : NULL));
	}
	return json_pack("{s:s, s:I, s:s, s:i, s:o}", "name", info->name, "number",
		(json_int_t)info->oid, "help", info->help, "min_length", (int)info->min_length,
		"requests", requests);
}

static void
oid_list(struct vmq_rpc_call *call)
{
	json_t *oids = json_array(), *structures = json_array();
	const struct structure *structure;
	struct vmq_oid_info info;
	size_t i;

	for (i = 0; vmq_oid_info_get((unsigned int)i, &info); i++)
		json_array_append_new(oids, oid_json(&info));
	for (i = 0; (structure = structure_get(i)) != NULL; i++)
		json_array_append_new(structures, structure_describe(structure));
	vmq_rpc_reply(call, json_pack("{s:o, s:o}", "oids", oids, "structures", structures));
}

/* Returns false: not with that backend, and the call has been refused. */
static bool
may_allocate(const struct oid_call *oid)
{
	const struct vmq_oid_queue_parameters *p = (const void *)oid->information.bytes;

	/* Revision 1 has a sink; of a type that there is not the request says so. */
	if (p->header.revision < 2 || p->backend_type >= VMQ_BACKEND_COUNT)
		return true;
	return vmq_rpc_may_have_backend(oid->call, (enum vmq_backend_type)p->backend_type);
}

static void
oid_method(struct vmq_rpc_call *call)
{
	json_t *information = vmq_rpc_get(call, "information");
	enum vmq_oid_request_type type;
	struct vmq_oid_owner *owner;
	char pointer[256], at[288];
	struct oid_call *oid;
	struct vmq_error why;
	uint32_t number;
	int adapter;

	if (vmq_rpc_get(call, "oid") == NULL) {
		oid_list(call);
		return;
	}
	number = oid_of(call);
	if (number == 0)
		return;
	type = type_of(call, number);
	if (type == VMQ_OID_TYPE_COUNT)
		return;
	adapter = vmq_rpc_adapter_of(call);
	if (adapter < 0)
		return;
	owner = vmq_rpc_owner_of(call, (size_t)adapter);
	if (owner == NULL)
		return;
	oid = calloc(1, sizeof(*oid));
	if (oid == NULL || !information_reserve(&oid->information, OUTPUT_SIZE)) {
		free(oid);
		vmq_rpc_refuse(call, VMQ_STATUS_RESOURCES, NULL, "no memory for the request");
		return;
	}
	oid->call = call;
	oid->request = (struct vmq_oid_request){.owner = owner, .type = type, .oid = number,
		.complete = on_complete, .arg = oid};
	oid->shape = oid_shape_find(number, type);
	if (oid->shape == NULL) {
		vmq_rpc_refuse(call, VMQ_STATUS_NOT_SUPPORTED, NULL, "%s has no %s request",
			vmq_oid_name(number), type_names[type]);
		oid_call_free(oid);
		return;
	}
	if (oid->shape->in == NULL && information != NULL) {
		vmq_rpc_refuse_at(call, "/information", NULL, "%s has no input",
			vmq_oid_name(number));
		oid_call_free(oid);
		return;
	}
	if (oid->shape->in != NULL && information == NULL) {
		vmq_rpc_refuse_at(call, "/information", "oid.list describes the structures",
			"%s needs \"information\": %s", vmq_oid_name(number), oid->shape->in->name);
		oid_call_free(oid);
		return;
	}
	if (oid->shape->in != NULL && !information_decode(&oid->information, oid->shape->in,
					      information, pointer, sizeof(pointer), &why)) {
		snprintf(at, sizeof(at), "/information%s", pointer);
		vmq_rpc_refuse_at(call, at, "oid.list describes the structures", "%s: %s",
			vmq_oid_name(number), why.text);
		oid_call_free(oid);
		return;
	}
	if (number == VMQ_OID_ALLOCATE_QUEUE && !may_allocate(oid)) {
		oid_call_free(oid);
		return;
	}
	make_request(oid, rpc_requests(call, (size_t)adapter));
}

static const struct vmq_rpc_method rows[] = {
	{"oid", "make a typed request as it is", "{oid, type, status, information}",
		VMQ_RPC_F_LATER | VMQ_RPC_F_CHANGES, oid_method,
		{{"oid", VMQ_RPC_NAME, false, "name or number of the OID; without it: oid.list"},
			{"information", VMQ_RPC_OBJECT, false, "the structure that goes in"},
			{"type", VMQ_RPC_TEXT, false,
				"query, set or method; not needed where there is only one"},
			RPC_ADAPTER_PARAM}},
	{"oid.list", "the typed requests and their structures, field by field",
		"{oids: [...], structures: [...]}", 0, oid_list, {{NULL}}},
};

int
rpc_add_oid_methods(struct vmq_rpc *rpc)
{
	return vmq_rpc_add_methods(rpc, rows, RTE_DIM(rows), NULL);
}
