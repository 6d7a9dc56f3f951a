/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Methods of the daemon as a whole. */

#include <unistd.h>

#include <rte_version.h>

#include "rpc_private.h"

static void
version(struct vmq_rpc_call *call)
{
	const struct vmq_rpc_system *system = vmq_rpc_system_of(call);

	vmq_rpc_reply(call, json_pack("{s:s, s:s, s:i, s:f, s:s, s:b}", "version", system->version,
		"dpdk", rte_version(), "pid", (int)getpid(), "elapsed_s",
		system->elapsed_s(system->arg), "owner", vmq_rpc_owner_name(call),
		"administrator", (int)vmq_rpc_is_administrator(call)));
}

static json_t *
method_json(const struct vmq_rpc_method *method)
{
	json_t *params = json_array();
	const struct vmq_rpc_param *param;

	for (param = method->params; param < method->params + VMQ_RPC_PARAMS_MAX &&
		param->name != NULL; param++)
		json_array_append_new(params, json_pack("{s:s, s:s, s:b, s:s}", "name", param->name,
			"type", vmq_rpc_type_name(param->type), "required", (int)param->required,
			"help", param->help));
	return json_pack("{s:s, s:s, s:s, s:b, s:b, s:b, s:o}", "name", method->name, "help",
		method->help, "result", method->result, "administrator",
		(method->flags & VMQ_RPC_F_ADMINISTRATOR) != 0, "later",
		(method->flags & VMQ_RPC_F_LATER) != 0, "changes",
		(method->flags & VMQ_RPC_F_CHANGES) != 0, "params", params);
}

static void
methods(struct vmq_rpc_call *call)
{
	const struct vmq_rpc *rpc = vmq_rpc_of(call);
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < rpc->n_methods; i++)
		json_array_append_new(list, method_json(rpc->methods[i].method));
	vmq_rpc_reply(call, json_pack("{s:o}", "methods", list));
}

static bool
sees(void *arg, size_t adapter, uint16_t queue_id)
{
	struct vmq_rpc_call *call = arg;
	const struct vmq_rpc_system *system = vmq_rpc_system_of(call);
	const struct vmq_oid_owner *owner =
		vmq_oid_owner_find(system->adapters[adapter].requests, vmq_rpc_owner_name(call));

	return owner != NULL ? vmq_oid_owner_sees(owner, queue_id)
			     : call->as == NULL && call->peer.administrator;
}

static void
stats(struct vmq_rpc_call *call)
{
	const struct vmq_rpc_system *system = vmq_rpc_system_of(call);
	const struct vmq_rpc_stats_params params = {
		.elapsed_s = system->elapsed_s(system->arg),
		.sees = sees,
		.arg = call,
	};

	vmq_rpc_reply(call, vmq_rpc_stats(system, &params));
}

static void
shut_down(struct vmq_rpc_call *call)
{
	const struct vmq_rpc_config *config = &vmq_rpc_of(call)->config;

	VMQ_LOG(NOTICE, "shutdown asked for by %s\n", vmq_rpc_client_text(call));
	vmq_rpc_reply(call, json_pack("{s:b}", "stopping", 1));
	config->shutdown(config->arg);
}

static const struct vmq_rpc_method rows[] = {
	{"version", "versions, process id, and who you are", "{version, dpdk, pid, elapsed_s, owner, "
		"administrator}", 0, version, {{NULL}}},
	{"methods", "this list: every method with its parameters",
		"{methods: [{name, help, result, administrator, later, changes, params}]}", 0,
		methods, {{NULL}}},
	{"stats", "all figures, as --stats-json writes them", "{adapters, workers, queues, total...}",
		0, stats, {{NULL}}},
	{"shutdown", "stop the daemon in order", "{stopping}",
		VMQ_RPC_F_ADMINISTRATOR | VMQ_RPC_F_CHANGES, shut_down, {{NULL}}},
};

int
rpc_add_daemon_methods(struct vmq_rpc *rpc)
{
	return vmq_rpc_add_methods(rpc, rows, RTE_DIM(rows), NULL);
}
