/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* The table of methods, and parameters checked against its rows. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc_private.h"

static const char *const type_names[VMQ_RPC_TYPE_COUNT] = {
	[VMQ_RPC_TEXT] = "text",
	[VMQ_RPC_INTEGER] = "integer",
	[VMQ_RPC_BOOL] = "boolean",
	[VMQ_RPC_OBJECT] = "object",
	[VMQ_RPC_LIST] = "list",
	[VMQ_RPC_QUEUE] = "queue",
	[VMQ_RPC_NAME] = "name",
	[VMQ_RPC_ANY] = "any",
};

const char *
vmq_rpc_type_name(enum vmq_rpc_type type)
{
	return (unsigned int)type < VMQ_RPC_TYPE_COUNT ? type_names[type] : NULL;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(((const struct method_entry *)a)->method->name,
		((const struct method_entry *)b)->method->name);
}

const struct method_entry *
rpc_find_method(const struct vmq_rpc *rpc, const char *name)
{
	const struct vmq_rpc_method wanted = {.name = name};
	const struct method_entry key = {.method = &wanted};

	if (rpc->n_methods == 0)
		return NULL;
	return bsearch(&key, rpc->methods, rpc->n_methods, sizeof(key), compare);
}

int
vmq_rpc_add_methods(struct vmq_rpc *rpc, const struct vmq_rpc_method *methods, size_t n, void *arg)
{
	struct method_entry *grown;
	size_t i;

	for (i = 0; i < n; i++)
		if (rpc_find_method(rpc, methods[i].name) != NULL)
			return -EEXIST;
	grown = realloc(rpc->methods, (rpc->n_methods + n) * sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	rpc->methods = grown;
	for (i = 0; i < n; i++)
		grown[rpc->n_methods++] = (struct method_entry){&methods[i], arg};
	qsort(rpc->methods, rpc->n_methods, sizeof(*rpc->methods), compare);
	return 0;
}

void *
vmq_rpc_arg(const struct vmq_rpc_call *call)
{
	return call->arg;
}

struct vmq_rpc *
vmq_rpc_of(const struct vmq_rpc_call *call)
{
	return call->rpc;
}

const struct vmq_rpc_system *
vmq_rpc_system_of(const struct vmq_rpc_call *call)
{
	return call->rpc->config.system;
}

struct vmq_rpc_client *
vmq_rpc_client_of(const struct vmq_rpc_call *call)
{
	return call->client;
}

/* What fits a type, for people; NULL if the value does. */
static const char *
wrong_type(enum vmq_rpc_type type, const json_t *value)
{
	switch (type) {
	case VMQ_RPC_TEXT:
		return json_is_string(value) ? NULL : "a string";
	case VMQ_RPC_INTEGER:
		return json_is_integer(value) ? NULL : "an integer";
	case VMQ_RPC_BOOL:
		return json_is_boolean(value) ? NULL : "true or false";
	case VMQ_RPC_OBJECT:
		return json_is_object(value) ? NULL : "an object";
	case VMQ_RPC_LIST:
		return json_is_array(value) ? NULL : "a list";
	case VMQ_RPC_QUEUE:
		return json_is_string(value) || json_is_integer(value) ? NULL
			: "the id of a queue (a number) or its name (a string)";
	case VMQ_RPC_NAME:
		return json_is_string(value) || json_is_integer(value) ? NULL
			: "a name (a string) or a number";
	default:
		return NULL;
	}
}

static size_t
n_params(const struct vmq_rpc_method *method)
{
	size_t n;

	for (n = 0; n < VMQ_RPC_PARAMS_MAX && method->params[n].name != NULL; n++)
		;
	return n;
}

/* What every method takes. */
static const struct vmq_rpc_param as_param = {"as", VMQ_RPC_TEXT, false,
	"act in the name of this owner (administrators)"};

static const struct vmq_rpc_param *
find_param(const struct vmq_rpc_method *method, const char *name)
{
	size_t i;

	for (i = 0; i < n_params(method); i++)
		if (strcmp(method->params[i].name, name) == 0)
			return &method->params[i];
	return strcmp(name, as_param.name) == 0 ? &as_param : NULL;
}

/* The names of a method's parameters, for a hint. */
static void
list_params(const struct vmq_rpc_method *method, char *text, size_t size)
{
	size_t i, n = n_params(method), length;

	length = (size_t)snprintf(text, size, n > 0 ? "it takes" : "it takes none");
	for (i = 0; i < n && length < size; i++)
		length += (size_t)snprintf(text + length, size - length, "%s %s",
			i > 0 ? "," : "", method->params[i].name);
}

/* Parameters by position become parameters by name. Returns false: refused. */
static bool
by_name(struct vmq_rpc_call *call, json_t *params)
{
	const size_t n = n_params(call->method);
	json_t *value;
	char hint[256];
	size_t i;

	call->params = json_object();
	if (json_array_size(params) > n) {
		list_params(call->method, hint, sizeof(hint));
		vmq_rpc_refuse_at(call, "", hint, "%s: %zu parameters are more than it takes",
			call->method->name, json_array_size(params));
		return false;
	}
	json_array_foreach(params, i, value)
		json_object_set(call->params, call->method->params[i].name, value);
	return true;
}

static bool
check_param(struct vmq_rpc_call *call, const char *key, const json_t *value)
{
	const struct vmq_rpc_param *param = find_param(call->method, key);
	char pointer[80], hint[256];
	const char *expected;

	snprintf(pointer, sizeof(pointer), "/%.64s", key);
	if (param == NULL && (call->method->flags & VMQ_RPC_F_OPEN) != 0)
		return true;
	if (param == NULL) {
		list_params(call->method, hint, sizeof(hint));
		vmq_rpc_refuse_at(call, pointer, hint, "%s: there is no parameter \"%.64s\"",
			call->method->name, key);
		return false;
	}
	expected = wrong_type(param->type, value);
	if (expected != NULL) {
		vmq_rpc_refuse_at(call, pointer, param->help, "%s: parameter \"%s\" must be %s",
			call->method->name, param->name, expected);
		return false;
	}
	return true;
}

static bool
check_rights(struct vmq_rpc_call *call)
{
	call->as = vmq_rpc_get_text(call, as_param.name);
	if (call->peer.administrator)
		return true;
	if (call->method->flags & VMQ_RPC_F_ADMINISTRATOR) {
		vmq_rpc_refuse(call, VMQ_STATUS_NOT_ACCEPTED, NULL,
			"%s is for administrators (root, and the user that vmqd runs as); this is %s",
			call->method->name, vmq_rpc_client_text(call));
		return false;
	}
	if (call->as != NULL && strcmp(call->as, call->peer.owner) != 0) {
		vmq_rpc_refuse(call, VMQ_STATUS_NOT_ACCEPTED, NULL,
			"only an administrator can act in the name of others; this is %s",
			vmq_rpc_client_text(call));
		return false;
	}
	return true;
}

bool
rpc_check_params(struct vmq_rpc_call *call, json_t *params)
{
	const size_t n = n_params(call->method);
	const struct vmq_rpc_param *param;
	const char *key;
	char pointer[80];
	json_t *value;
	size_t i;

	if (json_is_array(params)) {
		if (!by_name(call, params))
			return false;
	} else {
		call->params = params != NULL ? json_incref(params) : json_object();
	}
	json_object_foreach(call->params, key, value)
		if (!check_param(call, key, value))
			return false;
	for (i = 0; i < n; i++) {
		param = &call->method->params[i];
		if (!param->required || json_object_get(call->params, param->name) != NULL)
			continue;
		snprintf(pointer, sizeof(pointer), "/%s", param->name);
		vmq_rpc_refuse_at(call, pointer, param->help, "%s: parameter \"%s\" is missing",
			call->method->name, param->name);
		return false;
	}
	return check_rights(call);
}

json_t *
vmq_rpc_get(const struct vmq_rpc_call *call, const char *name)
{
	return json_object_get(call->params, name);
}

json_t *
vmq_rpc_params(const struct vmq_rpc_call *call)
{
	return call->params;
}

const char *
vmq_rpc_get_text(const struct vmq_rpc_call *call, const char *name)
{
	return json_string_value(vmq_rpc_get(call, name));
}

bool
vmq_rpc_get_bool(const struct vmq_rpc_call *call, const char *name, bool otherwise)
{
	const json_t *value = vmq_rpc_get(call, name);

	return value != NULL ? json_is_true(value) : otherwise;
}

bool
vmq_rpc_get_integer(struct vmq_rpc_call *call, const char *name, int64_t min, int64_t max,
	int64_t otherwise, int64_t *value)
{
	const json_t *given = vmq_rpc_get(call, name);
	char pointer[80];

	*value = given != NULL ? json_integer_value(given) : otherwise;
	if (given == NULL || (*value >= min && *value <= max))
		return true;
	snprintf(pointer, sizeof(pointer), "/%s", name);
	vmq_rpc_refuse_at(call, pointer, NULL,
		"%s: %s is %" PRId64 ", and it must be from %" PRId64 " to %" PRId64,
		call->method->name, name, *value, min, max);
	return false;
}

bool
vmq_rpc_is_administrator(const struct vmq_rpc_call *call)
{
	return call->peer.administrator;
}

const char *
vmq_rpc_owner_name(const struct vmq_rpc_call *call)
{
	return call->as != NULL ? call->as : call->peer.owner;
}

uid_t
vmq_rpc_client_uid(const struct vmq_rpc_call *call)
{
	return call->peer.uid;
}

const char *
vmq_rpc_client_text(const struct vmq_rpc_call *call)
{
	char *text = (char *)(uintptr_t)call->peer_text;

	snprintf(text, sizeof(call->peer_text), "%s (uid %u, pid %d)", call->peer.user,
		(unsigned int)call->peer.uid, (int)call->peer.pid);
	return text;
}

int
vmq_rpc_adapter_of(struct vmq_rpc_call *call)
{
	const struct vmq_rpc_system *system = call->rpc->config.system;
	const char *name = vmq_rpc_get_text(call, "adapter"), *other;
	char names[256] = "there are:";
	size_t i, length = strlen(names);

	for (i = 0; i < system->n_adapters; i++) {
		other = vmq_adapter_name(vmq_oid_adapter_beneath(system->adapters[i].requests));
		if (name == NULL ? system->n_adapters == 1 : strcmp(name, other) == 0)
			return (int)i;
		if (length < sizeof(names))
			length += (size_t)snprintf(names + length, sizeof(names) - length, "%s %s",
				i > 0 ? "," : "", other);
	}
	if (name == NULL)
		vmq_rpc_refuse_at(call, "/adapter", names,
			"%s: which adapter? parameter \"adapter\" is missing", call->method->name);
	else
		vmq_rpc_refuse_at(call, "/adapter", names, "%s: there is no adapter \"%.64s\"",
			call->method->name, name);
	return -1;
}

struct vmq_oid_owner *
vmq_rpc_owner_of(struct vmq_rpc_call *call, size_t adapter)
{
	struct vmq_oid_adapter *requests = call->rpc->config.system->adapters[adapter].requests;
	const char *name = vmq_rpc_owner_name(call);
	struct vmq_oid_owner *owner = vmq_oid_owner_find(requests, name);
	enum vmq_status status;
	struct vmq_error err;

	if (owner != NULL)
		return owner;
	if (strcmp(name, call->peer.owner) != 0) {
		vmq_rpc_refuse_at(call, "/as", NULL, "adapter %s has no owner \"%.64s\"",
			vmq_adapter_name(vmq_oid_adapter_beneath(requests)), name);
		return NULL;
	}
	status = vmq_oid_owner_create(requests, name, call->peer.administrator, &owner, &err);
	if (status != VMQ_STATUS_SUCCESS) {
		vmq_rpc_refuse(call, status, err.text, "%s", err.text);
		return NULL;
	}
	return owner;
}

/* A queue by its name; -1: there is none that the owner can see. */
static int
queue_by_name(const struct vmq_adapter *adapter, const struct vmq_oid_owner *owner,
	const char *name)
{
	struct vmq_queue_info info;
	int id;

	for (id = -1; (id = vmq_queue_next(adapter, id)) >= 0;)
		if (vmq_oid_owner_sees(owner, (uint16_t)id) &&
			vmq_queue_info_get(adapter, (uint16_t)id, &info) &&
			strcmp(info.name, name) == 0)
			return id;
	return -1;
}

int
rpc_queue_param(struct vmq_rpc_call *call, size_t index, const char *name)
{
	const json_t *given = vmq_rpc_get(call, name);
	const struct vmq_adapter *adapter;
	struct vmq_oid_owner *owner;
	struct vmq_queue_info info;
	char pointer[80];
	json_int_t id;
	int found;

	owner = vmq_rpc_owner_of(call, index);
	if (owner == NULL)
		return -1;
	adapter = vmq_oid_adapter_beneath(call->rpc->config.system->adapters[index].requests);
	snprintf(pointer, sizeof(pointer), "/%s", name);
	if (json_is_string(given)) {
		found = queue_by_name(adapter, owner, json_string_value(given));
		if (found >= 0)
			return found;
		vmq_rpc_refuse_at(call, pointer, "queue.list shows what there is",
			"%s: adapter %s: owner %s has no queue \"%.64s\"", call->method->name,
			vmq_adapter_name(adapter), vmq_rpc_owner_name(call),
			json_string_value(given));
		return -1;
	}
	id = json_integer_value(given);
	if (id >= 0 && id <= UINT16_MAX && vmq_oid_owner_sees(owner, (uint16_t)id) &&
		vmq_queue_info_get(adapter, (uint16_t)id, &info))
		return (int)id;
	vmq_rpc_refuse_at(call, pointer, "queue.list shows what there is",
		"%s: adapter %s: owner %s has no queue %" JSON_INTEGER_FORMAT, call->method->name,
		vmq_adapter_name(adapter), vmq_rpc_owner_name(call), id);
	return -1;
}

int
vmq_rpc_queue_of(struct vmq_rpc_call *call, size_t *adapter, struct vmq_oid_owner **owner)
{
	const int index = vmq_rpc_adapter_of(call);

	if (index < 0)
		return -1;
	*adapter = (size_t)index;
	if (owner != NULL) {
		*owner = vmq_rpc_owner_of(call, *adapter);
		if (*owner == NULL)
			return -1;
	}
	return rpc_queue_param(call, *adapter, "queue");
}

bool
vmq_rpc_may_have_backend(struct vmq_rpc_call *call, enum vmq_backend_type type)
{
	if (call->peer.administrator || (call->rpc->config.user_backends & UINT32_C(1) << type) != 0)
		return true;
	vmq_rpc_refuse(call, VMQ_STATUS_NOT_ACCEPTED, "control.user_backends",
		"a %s backend works with the rights of vmqd: only administrators may have one, unless "
		"control.user_backends in the document has it", vmq_backend_type_name(type));
	return false;
}
