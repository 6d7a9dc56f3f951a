/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* What the parameters "adapter" and "queue" leave of all there is. */

#include "rpc_private.h"

bool
rpc_each_adapter(struct vmq_rpc_call *call, rpc_visit_adapter *visit, void *arg)
{
	const struct vmq_rpc_system *system = vmq_rpc_system_of(call);
	const bool of_queue = vmq_rpc_get(call, "queue") != NULL;
	size_t first = 0, end = system->n_adapters, i;
	const struct vmq_oid_owner *owner;
	int adapter, queue = -1;

	if (of_queue || vmq_rpc_get(call, "adapter") != NULL) {
		adapter = vmq_rpc_adapter_of(call);
		if (adapter < 0)
			return false;
		first = (size_t)adapter;
		end = first + 1;
		if (of_queue && (queue = rpc_queue_param(call, first, "queue")) < 0)
			return false;
	}
	for (i = first; i < end; i++) {
		owner = vmq_rpc_owner_of(call, i);
		if (owner == NULL)
			return false;
		visit(call, i, owner, queue, arg);
	}
	return true;
}

struct queue_visit {
	rpc_visit_queue *visit;
	void *arg;
};

static void
visit_queues(struct vmq_rpc_call *call, size_t adapter, const struct vmq_oid_owner *owner,
	int queue, void *arg)
{
	const struct vmq_adapter *beneath = rpc_beneath(call, adapter);
	const struct queue_visit *each = arg;
	struct vmq_queue_info info;
	int id;

	for (id = -1; (id = vmq_queue_next(beneath, id)) >= 0;)
		if ((queue < 0 || id == queue) && vmq_oid_owner_sees(owner, (uint16_t)id) &&
			vmq_queue_info_get(beneath, (uint16_t)id, &info))
			each->visit(call, adapter, &info, each->arg);
}

bool
rpc_each_queue(struct vmq_rpc_call *call, rpc_visit_queue *visit, void *arg)
{
	return rpc_each_adapter(call, visit_queues,
		&(struct queue_visit){.visit = visit, .arg = arg});
}
