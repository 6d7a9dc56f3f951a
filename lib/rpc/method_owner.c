/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Methods of owners: who they are, and what becomes of one that will not come back. */

#include <string.h>

#include "rpc_private.h"

/* Is a client connected that acts as this owner? */
static const struct vmq_rpc_client *
connected_as(const struct vmq_rpc *rpc, const char *owner)
{
	const struct vmq_rpc_client *client;

	TAILQ_FOREACH(client, &rpc->clients, next)
		if (strcmp(client->peer.owner, owner) == 0)
			return client;
	return NULL;
}

static void
owner_list(struct vmq_rpc_call *call)
{
	const struct vmq_rpc_system *system = vmq_rpc_system_of(call);
	const struct vmq_oid_owner *owner;
	struct vmq_oid_owner_info info;
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < system->n_adapters; i++)
		for (owner = NULL; (owner = vmq_oid_owner_next(rpc_requests(call, i), owner)) != NULL;) {
			vmq_oid_owner_info_get(owner, &info);
			json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:b, s:I, s:b}",
				"adapter", vmq_adapter_name(rpc_beneath(call, i)), "owner",
				info.name, "administrator", (int)info.administrator, "gone",
				(int)info.gone, "belongings", (json_int_t)info.n_belongings,
				"connected", connected_as(vmq_rpc_of(call), info.name) != NULL));
		}
	vmq_rpc_reply(call, json_pack("{s:o}", "owners", list));
}

static void
owner_take_over(struct vmq_rpc_call *call)
{
	const char *name = vmq_rpc_get_text(call, "owner");
	struct vmq_oid_owner *owner, *administrator;
	const struct vmq_rpc_client *client;
	struct vmq_oid_owner_info info;
	enum vmq_status status;
	struct vmq_error err;
	int adapter;

	adapter = vmq_rpc_adapter_of(call);
	if (adapter < 0)
		return;
	administrator = vmq_rpc_owner_of(call, (size_t)adapter);
	if (administrator == NULL)
		return;
	owner = vmq_oid_owner_find(rpc_requests(call, (size_t)adapter), name);
	client = connected_as(vmq_rpc_of(call), name);
	if (client != NULL || strcmp(name, VMQ_OID_OWNER_CONFIG) == 0) {
		vmq_rpc_refuse(call, VMQ_STATUS_NOT_ACCEPTED, NULL,
			client != NULL ? "owner %.64s is connected, by process %d"
				       : "owner %.64s is the document: change that",
			name, client != NULL ? (int)client->peer.pid : 0);
		return;
	}
	info.n_belongings = 0;
	if (owner != NULL)
		vmq_oid_owner_info_get(owner, &info);
	/* Without belongings nothing of it stays; with them it is to be taken over. */
	vmq_oid_owner_gone(owner);
	if (owner != NULL && info.n_belongings == 0) {
		vmq_rpc_reply(call, json_pack("{s:s, s:i}", "owner", name, "belongings", 0));
		return;
	}
	status = vmq_oid_take_over(administrator, name, &err);
	if (status == VMQ_STATUS_SUCCESS)
		vmq_rpc_reply(call, json_pack("{s:s, s:I}", "owner", name, "belongings",
			(json_int_t)info.n_belongings));
	else
		vmq_rpc_refuse(call, status, err.text, "%s", err.text);
}

static const struct vmq_rpc_method rows[] = {
	{"owner.list", "the owners of queues and filters",
		"{owners: [{adapter, owner, administrator, gone, belongings, connected}]}",
		VMQ_RPC_F_ADMINISTRATOR, owner_list, {{NULL}}},
	{"owner.take_over", "what an owner had that will not come back is yours from now on",
		"{owner, belongings: how many queues and filters}",
		VMQ_RPC_F_ADMINISTRATOR | VMQ_RPC_F_CHANGES, owner_take_over,
		{{"owner", VMQ_RPC_TEXT, true, "such as uid:alice; not one that is connected"},
			RPC_ADAPTER_PARAM}},
};

int
rpc_add_owner_methods(struct vmq_rpc *rpc)
{
	return vmq_rpc_add_methods(rpc, rows, RTE_DIM(rows), NULL);
}
