/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Indications to clients. */

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_errno.h>

#include "rpc_private.h"

/* What a client was not told of an adapter, since it reads too slowly. */
struct missed {
	uint64_t n, from, to;
};

struct subscription {
	uint32_t types; /* bit n: enum vmq_indication n */
	int adapter; /* -1: all */
	bool administrator;
	struct peer peer; /* as whom it sees */
	bool behind; /* something was missed */
	struct missed missed[]; /* of each adapter */
};

static const char *
queue_name(const struct vmq_adapter *adapter, uint16_t id)
{
	struct vmq_queue_info info;

	return vmq_queue_info_get(adapter, id, &info) ? info.name : NULL;
}

/* What value means, by type. */
static void
add_value(json_t *params, const struct vmq_oid_indication *indication)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} flags[] = {
		{VMQ_OID_QUEUE_FLAGS_CHANGED, "flags"},
		{VMQ_OID_QUEUE_AFFINITY_CHANGED, "affinity"},
		{VMQ_OID_QUEUE_SUGGESTED_BUFFERS_CHANGED, "buffers"},
		{VMQ_OID_QUEUE_NAME_CHANGED, "name"},
		{VMQ_OID_QUEUE_OPTIONS_CHANGED, "options"},
		{VMQ_OID_QUEUE_RATE_CHANGED, "rate"},
		{VMQ_OID_QUEUE_PRIORITY_CHANGED, "priority"},
		{VMQ_OID_QUEUE_VM_NAME_CHANGED, "vm"},
		{VMQ_OID_QUEUE_DEMAND_CHANGED, "growth"},
	};
	json_t *list;
	size_t i;

	switch (indication->type) {
	case VMQ_INDICATE_QUEUE_STATE:
		json_object_set_new(params, "state",
			json_string(vmq_queue_state_name((enum vmq_queue_state)indication->value)));
		json_object_set_new(params, "operational_state",
			json_string(vmq_queue_operational_state(
				(enum vmq_queue_state)indication->value)));
		break;
	case VMQ_INDICATE_QUEUE_PARAMETERS:
		list = json_array();
		for (i = 0; i < RTE_DIM(flags); i++)
			if ((indication->value & flags[i].flag) != 0)
				json_array_append_new(list, json_string(flags[i].name));
		json_object_set_new(params, "changed", list);
		break;
	case VMQ_INDICATE_MEMORY_GROWN:
	case VMQ_INDICATE_MEMORY_RETURNED:
		json_object_set_new(params, "buffers", json_integer(indication->value));
		break;
	case VMQ_INDICATE_PORT_RESET:
	case VMQ_INDICATE_RULES_RESTORED:
		json_object_set_new(params, "rules", json_integer(indication->value));
		break;
	case VMQ_INDICATE_LINK_UP:
		json_object_set_new(params, "mbps", json_integer(indication->value));
		break;
	default:
		break;
	}
}

static json_t *
indication_json(const struct vmq_oid_indication *indication)
{
	const struct vmq_adapter *adapter = vmq_oid_adapter_beneath(indication->adapter);
	const char *name = queue_name(adapter, indication->queue_id);
	struct timespec now;
	json_t *params;

	clock_gettime(CLOCK_REALTIME, &now);
	params = json_pack("{s:I, s:s, s:s, s:i, s:s?, s:f}", "sequence",
		(json_int_t)indication->sequence, "adapter", vmq_adapter_name(adapter), "type",
		vmq_oid_indication_name(indication->type), "queue", (int)indication->queue_id,
		"name", name, "time", (double)now.tv_sec + (double)now.tv_nsec / 1e9);
	add_value(params, indication);
	return params;
}

/* Tell what was missed. Returns false: it still reads too slowly. */
static bool
tell_missed(struct vmq_rpc_client *client)
{
	struct subscription *subscription = client->subscription;
	const struct vmq_rpc_system *system = client->rpc->config.system;
	struct missed *missed;
	size_t i;

	for (i = 0; i < system->n_adapters; i++) {
		missed = &subscription->missed[i];
		if (missed->n == 0)
			continue;
		if (!vmq_rpc_notify(client, "indication", json_pack("{s:s, s:I, s:I, s:I}", "adapter",
				vmq_adapter_name(vmq_oid_adapter_beneath(system->adapters[i].requests)),
				"missed", (json_int_t)missed->n, "from", (json_int_t)missed->from,
				"to", (json_int_t)missed->to)))
			return false;
		*missed = (struct missed){0};
	}
	subscription->behind = false;
	return true;
}

void
rpc_catch_up(struct vmq_rpc_client *client)
{
	if (client->subscription != NULL && client->subscription->behind)
		tell_missed(client);
}

/* May it know of it? Links and the default queue are everybody's. */
static bool
concerns(const struct subscription *subscription, size_t adapter,
	const struct vmq_oid_indication *indication)
{
	const struct vmq_oid_owner *owner;

	if ((subscription->types & UINT32_C(1) << indication->type) == 0 ||
		(subscription->adapter >= 0 && (size_t)subscription->adapter != adapter))
		return false;
	if (subscription->administrator || indication->queue_id == VMQ_DEFAULT_QUEUE_ID)
		return true;
	owner = vmq_oid_owner_find(indication->adapter, subscription->peer.owner);
	return owner != NULL && vmq_oid_owner_sees(owner, indication->queue_id);
}

static void
tell(struct vmq_rpc_client *client, size_t adapter, const struct vmq_oid_indication *indication)
{
	struct subscription *subscription = client->subscription;
	struct missed *missed = &subscription->missed[adapter];

	if (!concerns(subscription, adapter, indication))
		return;
	if ((!subscription->behind || tell_missed(client)) &&
		vmq_rpc_notify(client, "indication", indication_json(indication)))
		return;
	subscription->behind = true;
	if (missed->n++ == 0)
		missed->from = indication->sequence;
	missed->to = indication->sequence;
}

/* One adapter's indications, for all clients. */
struct rpc_listener {
	struct vmq_rpc *rpc;
	size_t adapter;
	struct vmq_oid_subscriber *subscriber;
};

static void
on_indication(void *arg, const struct vmq_oid_indication *indication)
{
	struct rpc_listener *listener = arg;
	struct vmq_rpc_client *client;

	rpc_memory_indication(listener->rpc, listener->adapter, indication);
	TAILQ_FOREACH(client, &listener->rpc->clients, next)
		if (client->subscription != NULL)
			tell(client, listener->adapter, indication);
}

int
rpc_listen_indications(struct vmq_rpc *rpc)
{
	const struct vmq_rpc_system *system = rpc->config.system;
	struct rpc_listener *listener;
	size_t i;

	rpc->listeners = calloc(system->n_adapters + 1, sizeof(*rpc->listeners));
	if (rpc->listeners == NULL)
		return -ENOMEM;
	for (i = 0; i < system->n_adapters; i++) {
		listener = &rpc->listeners[i];
		listener->rpc = rpc;
		listener->adapter = i;
		listener->subscriber =
			vmq_oid_subscribe(system->adapters[i].requests, on_indication, listener);
		if (listener->subscriber == NULL)
			return -rte_errno;
	}
	return 0;
}

void
rpc_unlisten_indications(struct vmq_rpc *rpc)
{
	size_t i;

	for (i = 0; rpc->listeners != NULL && i < rpc->config.system->n_adapters; i++)
		vmq_oid_unsubscribe(rpc->listeners[i].subscriber);
	free(rpc->listeners);
	rpc->listeners = NULL;
}

static const char *
short_name(enum vmq_indication type)
{
	const char *name = vmq_oid_indication_name(type);

	return strncmp(name, "RECEIVE_", 8) == 0 ? name + 8 : name;
}

/* Returns false: the call has been refused. */
static bool
types_of(struct vmq_rpc_call *call, uint32_t *types)
{
	const json_t *given = vmq_rpc_get(call, "types");
	unsigned int type;
	const char *text;
	json_t *item;
	size_t i;

	*types = given != NULL ? 0 : UINT32_MAX;
	json_array_foreach(given, i, item) {
		text = json_is_string(item) ? json_string_value(item) : "";
		for (type = 0; type < VMQ_INDICATE_COUNT; type++)
			if (strcmp(text, vmq_oid_indication_name(type)) == 0 ||
				strcmp(text, short_name(type)) == 0)
				break;
		if (type == VMQ_INDICATE_COUNT) {
			vmq_rpc_refuse_at(call, "/types",
				"RECEIVE_QUEUE_STATE, RECEIVE_FILTER_QUEUE_PARAMETERS, MEMORY_GROWN, "
				"MEMORY_RETURNED, MEMORY_FAILED, BACKEND_UP, BACKEND_DOWN, LINK_UP, "
				"LINK_DOWN, PORT_RESET, PORT_REMOVED, RULES_RESTORED",
				"there is no indication \"%.64s\"", text);
			return false;
		}
		*types |= UINT32_C(1) << type;
	}
	return true;
}

static void
subscribe(struct vmq_rpc_call *call)
{
	const struct vmq_rpc_system *system = vmq_rpc_system_of(call);
	struct vmq_rpc_client *client = vmq_rpc_client_of(call);
	struct subscription *subscription;
	json_t *sequences;
	uint32_t types;
	int adapter = -1;
	size_t i;

	if (!types_of(call, &types))
		return;
	if (vmq_rpc_get(call, "adapter") != NULL && (adapter = vmq_rpc_adapter_of(call)) < 0)
		return;
	subscription = calloc(1, sizeof(*subscription) +
		system->n_adapters * sizeof(subscription->missed[0]));
	if (subscription == NULL) {
		vmq_rpc_refuse(call, VMQ_STATUS_RESOURCES, NULL, "no memory for the subscription");
		return;
	}
	subscription->types = types;
	subscription->adapter = adapter;
	subscription->administrator = vmq_rpc_is_administrator(call);
	subscription->peer = client->peer;
	free(client->subscription);
	client->subscription = subscription;
	sequences = json_object();
	for (i = 0; i < system->n_adapters; i++)
		if (adapter < 0 || i == (size_t)adapter)
			json_object_set_new(sequences, vmq_adapter_name(rpc_beneath(call, i)),
				json_integer((json_int_t)vmq_oid_last_sequence(rpc_requests(call, i))));
	vmq_rpc_reply(call, json_pack("{s:o}", "sequence", sequences));
}

static void
unsubscribe(struct vmq_rpc_call *call)
{
	struct vmq_rpc_client *client = vmq_rpc_client_of(call);
	const bool was = client->subscription != NULL;

	free(client->subscription);
	client->subscription = NULL;
	vmq_rpc_reply(call, json_pack("{s:b}", "subscribed", (int)was));
}

static const struct vmq_rpc_method rows[] = {
	{"subscribe", "be told what happens, by notifications \"indication\" on this connection",
		"{sequence: {ADAPTER: number of its last indication}}", 0, subscribe,
		{{"types", VMQ_RPC_LIST, false, "names of indications; all without it"},
			{"adapter", VMQ_RPC_TEXT, false, "of this adapter only"}}},
	{"unsubscribe", "be told no more", "{subscribed: whether you were}", 0, unsubscribe, {{NULL}}},
};

int
rpc_add_subscribe_methods(struct vmq_rpc *rpc)
{
	return vmq_rpc_add_methods(rpc, rows, RTE_DIM(rows), NULL);
}
