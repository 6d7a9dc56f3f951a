/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Methods of memory. */

#include <stdlib.h>
#include <string.h>

#include "rpc_private.h"

/* A block that a client has asked for, and waits for. */
struct memory_wait {
	TAILQ_ENTRY(memory_wait) next;
	struct vmq_rpc_call *call;
	size_t adapter;
	uint16_t queue;
	uint64_t begun_ms;
};

struct memory_list {
	json_t *queues;
	uint64_t bytes;
};

static void
add_memory(struct vmq_rpc_call *call, size_t index, const struct vmq_queue_info *info, void *arg)
{
	json_t *transmit = rpc_pool(&info->xmit_memory);
	struct memory_list *list = arg;

	if (info->transmits) {
		json_object_set_new(transmit, "node", json_integer(info->xmit_node));
		json_object_set_new(transmit, "why", json_string(info->xmit_why));
	}
	list->bytes += info->memory.bytes + info->xmit_memory.bytes;
	json_array_append_new(list->queues, json_pack("{s:s, s:i, s:s, s:o, s:o}", "adapter",
		vmq_adapter_name(rpc_beneath(call, index)), "id", (int)info->id, "name", info->name,
		"buffers", rpc_buffers(info), "transmit", transmit));
}

static void
memory_show(struct vmq_rpc_call *call)
{
	struct memory_list list = {.queues = json_array()};

	if (rpc_each_queue(call, add_memory, &list))
		vmq_rpc_reply(call, json_pack("{s:o, s:I}", "queues", list.queues, "bytes",
			(json_int_t)list.bytes));
	else
		json_decref(list.queues);
}

static void
memory_grow(struct vmq_rpc_call *call)
{
	struct vmq_rpc *rpc = vmq_rpc_of(call);
	struct vmq_oid_owner *owner;
	struct memory_wait *wait;
	enum vmq_status status;
	struct vmq_error err;
	int64_t buffers;
	size_t adapter;
	int queue;

	queue = vmq_rpc_queue_of(call, &adapter, &owner);
	if (queue < 0 || !vmq_rpc_get_integer(call, "buffers", 1, UINT32_MAX, 0, &buffers))
		return;
	wait = calloc(1, sizeof(*wait));
	if (wait == NULL) {
		vmq_rpc_refuse(call, VMQ_STATUS_RESOURCES, NULL, "no memory for the request");
		return;
	}
	status = vmq_oid_memory_grow(owner, (uint16_t)queue, (uint32_t)buffers, &err);
	if (status != VMQ_STATUS_PENDING) {
		free(wait);
		vmq_rpc_refuse(call, status, err.text, "%s", err.text);
		return;
	}
	wait->call = call;
	wait->adapter = adapter;
	wait->queue = (uint16_t)queue;
	wait->begun_ms = rpc_now_ms();
	TAILQ_INSERT_TAIL(&rpc->memory_waits, wait, next);
}

static void
end_wait(struct vmq_rpc *rpc, struct memory_wait *wait, enum vmq_status status, uint32_t buffers,
	const char *why)
{
	struct vmq_queue_info info;

	TAILQ_REMOVE(&rpc->memory_waits, wait, next);
	if (status != VMQ_STATUS_SUCCESS)
		vmq_rpc_refuse(wait->call, status, NULL, "%s", why);
	else if (vmq_queue_info_get(rpc_beneath(wait->call, wait->adapter), wait->queue, &info))
		vmq_rpc_reply(wait->call, json_pack("{s:I, s:I, s:o}", "added", (json_int_t)buffers,
			"waited_ms", (json_int_t)(rpc_now_ms() - wait->begun_ms), "buffers",
			rpc_buffers(&info)));
	else
		vmq_rpc_refuse(wait->call, VMQ_STATUS_REQUEST_ABORTED, NULL, "the queue has gone");
	free(wait);
}

void
rpc_memory_indication(struct vmq_rpc *rpc, size_t adapter,
	const struct vmq_oid_indication *indication)
{
	struct memory_wait *wait, *next;

	for (wait = TAILQ_FIRST(&rpc->memory_waits); wait != NULL; wait = next) {
		next = TAILQ_NEXT(wait, next);
		if (wait->adapter != adapter || wait->queue != indication->queue_id)
			continue;
		if (indication->type == VMQ_INDICATE_MEMORY_GROWN)
			end_wait(rpc, wait, VMQ_STATUS_SUCCESS, indication->value, NULL);
		else if (indication->type == VMQ_INDICATE_MEMORY_FAILED)
			end_wait(rpc, wait, VMQ_STATUS_RESOURCES, 0,
				"the memory could not be had; the log says why");
		else if (indication->type == VMQ_INDICATE_QUEUE_STATE &&
			indication->value == VMQ_QUEUE_UNDEFINED)
			end_wait(rpc, wait, VMQ_STATUS_REQUEST_ABORTED, 0, "the queue has gone");
	}
}

void
rpc_memory_abort(struct vmq_rpc *rpc)
{
	struct memory_wait *wait;

	while ((wait = TAILQ_FIRST(&rpc->memory_waits)) != NULL)
		end_wait(rpc, wait, VMQ_STATUS_REQUEST_ABORTED, 0, "vmqd is stopping");
}

static void
memory_shrink(struct vmq_rpc_call *call)
{
	struct vmq_oid_owner *owner;
	enum vmq_status status;
	struct vmq_error err;
	size_t adapter;
	int queue;

	queue = vmq_rpc_queue_of(call, &adapter, &owner);
	if (queue < 0)
		return;
	status = vmq_oid_memory_shrink(owner, (uint16_t)queue, &err);
	if (status == VMQ_STATUS_PENDING)
		vmq_rpc_reply(call, json_pack("{s:s}", "status", vmq_status_name(status)));
	else
		vmq_rpc_refuse(call, status, err.text, "%s", err.text);
}

static const struct vmq_rpc_method rows[] = {
	{"memory.show", "packet memory of a queue, or of all",
		"{queues: [{adapter, id, name, buffers, transmit}], bytes}", 0, memory_show,
		{{"queue", VMQ_RPC_QUEUE, false, "id or name of the queue"}, RPC_ADAPTER_PARAM}},
	{"memory.grow", "give a queue one more block; demand may give it back later",
		"{added, waited_ms, buffers}, once it is there", VMQ_RPC_F_LATER | VMQ_RPC_F_CHANGES,
		memory_grow,
		{RPC_QUEUE_PARAM, {"buffers", VMQ_RPC_INTEGER, true, "how many to add"},
			RPC_ADAPTER_PARAM}},
	{"memory.shrink", "give a queue's last block back, once all its buffers are home",
		"{status: PENDING}; the indication MEMORY_RETURNED tells the end",
		VMQ_RPC_F_CHANGES, memory_shrink, {RPC_QUEUE_PARAM, RPC_ADAPTER_PARAM}},
};

int
rpc_add_memory_methods(struct vmq_rpc *rpc)
{
	return vmq_rpc_add_methods(rpc, rows, RTE_DIM(rows), NULL);
}
