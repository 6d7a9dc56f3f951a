/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Methods that speak the document's language: queue.show, queue.allocate, queue.set. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "control.h"
#include "requests.h"

/*
 * Refuse a queue's JSON with all that is wrong with it; the first finding is the error's
 * own. at: what stands in the parameters for /queues/0 of the findings.
 */
static void
refuse_findings(struct vmq_rpc_call *call, const struct doc_findings *findings, const char *at)
{
	static const char place[] = "/queues/0";
	const struct doc_finding *f;
	char pointer[512];
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < findings->count; i++) {
		f = &findings->list[i];
		snprintf(pointer, sizeof(pointer), "%s%s", at,
			strncmp(f->pointer, place, sizeof(place) - 1) == 0
				? f->pointer + sizeof(place) - 1 : f->pointer);
		json_array_append_new(list, json_pack("{s:s, s:s, s:s?}", "pointer", pointer,
			"message", f->message, "hint", f->hint));
	}
	f = findings->count > 0 ? &findings->list[0] : NULL;
	snprintf(pointer, sizeof(pointer), "%s",
		json_string_value(json_object_get(json_array_get(list, 0), "pointer")) != NULL
			? json_string_value(json_object_get(json_array_get(list, 0), "pointer"))
			: "");
	vmq_rpc_refuse_findings(call, pointer, f != NULL ? f->hint : NULL, list, "%s: %s",
		pointer, f != NULL ? f->message : "no memory to read the queue");
}

/* The queue as the document would have it. Returns NULL: no memory, or not to be read now. */
static json_t *
document_words(const struct control *control, size_t adapter, struct vmq_oid_owner *owner,
	uint16_t id)
{
	const struct document *doc = control->doc;
	struct vmq_oid_queue_parameters p;
	struct doc_queue queue;
	struct vmq_error err;
	json_t *object;

	if (request_query(control->system->requests[adapter], owner, id, &p, &err) < 0 ||
		request_read_parameters(doc, &p, &queue) < 0)
		return NULL;
	queue.adapter = adapter;
	object = document_queue_json(doc, &queue);
	doc_queue_free(&queue);
	return object;
}

/* All there is to be said about a queue without its counters. NULL: no memory. */
static json_t *
shown(const struct control *control, size_t adapter, struct vmq_oid_owner *owner, uint16_t id)
{
	struct vmq_queue_info info;
	json_t *object, *words;
	json_t *backend;

	if (!vmq_queue_info_get(control->system->adapters[adapter], id, &info))
		return NULL;
	object = vmq_rpc_queue_json(&control->system->view, adapter, &info);
	backend = json_incref(json_object_get(object, "backend"));
	/* One that is being freed has no parameters any more. */
	words = document_words(control, adapter, owner, id);
	json_object_update_missing(object, words);
	json_object_update_missing(backend, json_object_get(words, "backend"));
	json_decref(backend);
	json_decref(words);
	json_object_set_new(object, "buffers", vmq_rpc_queue_buffers(&info));
	return object;
}

static void
queue_show(struct vmq_rpc_call *call)
{
	struct vmq_oid_owner *owner;
	size_t adapter;
	int id = vmq_rpc_queue_of(call, &adapter, &owner);

	if (id >= 0)
		vmq_rpc_reply(call, shown(vmq_rpc_arg(call), adapter, owner, (uint16_t)id));
}

/* A queue on its way in: allocated, filters set, completed; or undone. */
struct allocation {
	struct control *control;
	struct vmq_rpc_call *call;
	struct vmq_oid_owner *owner;
	size_t adapter;
	uint16_t id;
	enum vmq_status status; /* why it is undone */
	struct vmq_error why;
	struct vmq_oid_request request;
	union {
		struct {
			struct vmq_oid_allocation_complete_array array;
			struct vmq_oid_allocation_complete element;
		} complete;
		struct vmq_oid_free_queue free;
	} information;
};

static enum vmq_status
make(struct allocation *a, enum vmq_oid_request_type type, uint32_t oid, void *information,
	size_t length, vmq_oid_callback *complete)
{
	a->request = (struct vmq_oid_request){
		.owner = a->owner,
		.type = type,
		.oid = oid,
		.information = information,
		.information_length = (uint32_t)length,
		.complete = complete,
		.arg = a,
	};
	return vmq_oid_request(a->control->system->requests[a->adapter], &a->request);
}

static void
refuse_and_free(struct allocation *a)
{
	vmq_rpc_refuse(a->call, a->status, a->why.text, "%s", a->why.text);
	free(a);
}

static void
on_undone(struct vmq_oid_request *request, enum vmq_status status)
{
	(void)status;
	refuse_and_free(request->arg);
}

/* Take back what was done; the answer is why. */
static void
undo(struct allocation *a, enum vmq_status why, const char *reason)
{
	struct vmq_oid_adapter *requests = a->control->system->requests[a->adapter];
	const struct vmq_filter_set *set =
		vmq_adapter_filters(a->control->system->adapters[a->adapter]);
	const struct vmq_filter *filter;
	struct vmq_filter_match match;
	enum vmq_status status;
	struct vmq_error err;
	uint32_t after = 0;

	a->status = why;
	vmq_error_set(&a->why, why, "%s", reason);
	while ((filter = vmq_filter_next(set, after)) != NULL) {
		after = filter->id;
		match = filter->match;
		if (filter->queue_id == a->id &&
			request_clear_filter(requests, a->owner, &match, &err) < 0)
			VMQ_LOG(ERR, "queue %u could not be taken back: %s\n", a->id, err.text);
	}
	a->information.free = (struct vmq_oid_free_queue){
		.header = VMQ_OID_HEADER(struct vmq_oid_free_queue), .queue_id = a->id};
	status = make(a, VMQ_OID_SET, VMQ_OID_FREE_QUEUE, &a->information.free,
		sizeof(a->information.free), on_undone);
	if (status == VMQ_STATUS_PENDING)
		return;
	if (status != VMQ_STATUS_SUCCESS)
		VMQ_LOG(ERR, "queue %u could not be taken back: %s\n", a->id, a->request.error.text);
	refuse_and_free(a);
}

static void
on_completed(struct vmq_oid_request *request, enum vmq_status status)
{
	struct allocation *a = request->arg;

	if (status != VMQ_STATUS_SUCCESS) {
		undo(a, status, request->error.text);
		return;
	}
	vmq_rpc_reply(a->call, shown(a->control, a->adapter, a->owner, a->id));
	free(a);
}

/* Allocate, filters, complete. The call is answered when all is done, or undone. */
static void
begin_allocation(struct allocation *a, struct vmq_oid_queue_parameters *p,
	const struct doc_queue *queue)
{
	struct vmq_oid_adapter *requests = a->control->system->requests[a->adapter];
	enum vmq_status status;
	struct vmq_error err;
	size_t i;

	status = make(a, VMQ_OID_METHOD, VMQ_OID_ALLOCATE_QUEUE, p, sizeof(*p), NULL);
	if (status != VMQ_STATUS_SUCCESS) {
		a->status = status;
		a->why = a->request.error;
		refuse_and_free(a);
		return;
	}
	a->id = (uint16_t)p->queue_id;
	for (i = 0; i < queue->n_filters; i++) {
		if (request_set_filter(requests, a->owner, a->id, &queue->filters[i], &err) < 0) {
			undo(a, VMQ_STATUS_INVALID_PARAMETER, err.text);
			return;
		}
	}
	a->information.complete.array = (struct vmq_oid_allocation_complete_array){
		.header = VMQ_OID_HEADER(struct vmq_oid_allocation_complete_array),
		.array = {
			.first_offset = sizeof(a->information.complete.array),
			.n_elements = 1,
			.element_size = sizeof(a->information.complete.element),
		},
	};
	a->information.complete.element = (struct vmq_oid_allocation_complete){
		.header = VMQ_OID_HEADER(struct vmq_oid_allocation_complete), .queue_id = a->id};
	status = make(a, VMQ_OID_METHOD, VMQ_OID_QUEUE_ALLOCATION_COMPLETE,
		&a->information.complete, sizeof(a->information.complete), on_completed);
	if (status != VMQ_STATUS_PENDING)
		on_completed(&a->request, status);
}

/* Is there a queue of that name that is not on its way out? */
static bool
name_is_taken(const struct vmq_adapter *adapter, const char *name, int but)
{
	struct vmq_queue_info info;
	int id;

	for (id = -1; (id = vmq_queue_next(adapter, id)) >= 0;)
		if (id != but && vmq_queue_info_get(adapter, (uint16_t)id, &info) &&
			strcmp(info.name, name) == 0)
			return true;
	return false;
}

static void
allocate(struct vmq_rpc_call *call, const struct doc_queue *queue)
{
	struct control *control = vmq_rpc_arg(call);
	struct vmq_oid_queue_parameters p;
	struct vmq_oid_owner *owner;
	struct allocation *a;
	struct vmq_error err;

	if (!vmq_rpc_may_have_backend(call, queue->backend.type))
		return;
	if (name_is_taken(control->system->adapters[queue->adapter], queue->name, -1)) {
		vmq_rpc_refuse_at(call, "/queue/name", "choose another name",
			"adapter %s has a queue %s already",
			control->doc->adapters[queue->adapter].name, queue->name);
		return;
	}
	owner = vmq_rpc_owner_of(call, queue->adapter);
	if (owner == NULL)
		return;
	if (request_parameters(control->doc, queue, &p, &err) < 0) {
		vmq_rpc_refuse(call, VMQ_STATUS_INVALID_PARAMETER, NULL, "%s", err.text);
		return;
	}
	a = calloc(1, sizeof(*a));
	if (a == NULL) {
		vmq_rpc_refuse(call, VMQ_STATUS_RESOURCES, NULL, "no memory for the request");
		return;
	}
	a->control = control;
	a->call = call;
	a->owner = owner;
	a->adapter = queue->adapter;
	begin_allocation(a, &p, queue);
}

static void
queue_allocate(struct vmq_rpc_call *call)
{
	const struct control *control = vmq_rpc_arg(call);
	struct doc_findings findings;
	struct doc_queue queue;

	if (document_read_queue(control->doc, vmq_rpc_get(call, "queue"), &queue, &findings) < 0) {
		refuse_findings(call, &findings, "/queue");
	} else {
		allocate(call, &queue);
		doc_queue_free(&queue);
	}
	doc_findings_free(&findings);
}

/* What of a queue's JSON has become another, as change flags. Returns false: refused. */
static bool
changes_of(struct vmq_rpc_call *call, const json_t *before, const json_t *after,
	const char *prefix, uint32_t *changes)
{
	char path[128], pointer[136];
	const json_t *old;
	const char *key;
	json_t *value;
	uint32_t flag;
	char *dot;

	json_object_foreach((json_t *)(uintptr_t)after, key, value) {
		old = json_object_get(before, key);
		if (old != NULL && json_equal(value, (json_t *)(uintptr_t)old))
			continue;
		snprintf(path, sizeof(path), "%s%s", prefix, key);
		if (prefix[0] == '\0' && json_is_object(value)) {
			snprintf(path, sizeof(path), "%s.", key);
			if (!changes_of(call, old, value, path, changes))
				return false;
			continue;
		}
		flag = request_live_change(path);
		if (flag == 0) {
			snprintf(pointer, sizeof(pointer), "/%s", path);
			dot = strchr(pointer, '.');
			if (dot != NULL)
				*dot = '/';
			vmq_rpc_refuse(call, VMQ_STATUS_NOT_SUPPORTED, pointer,
				"%s is settled when a queue is allocated: free it and allocate it "
				"anew", path);
			return false;
		}
		*changes |= flag;
	}
	return true;
}

/* The queue's JSON with what is to change. Returns NULL: the call has been refused. */
static json_t *
changed(struct vmq_rpc_call *call, const json_t *now)
{
	static const char *const others[] = {"queue", "adapter", "as"};
	json_t *after = json_deep_copy(now), *params = json_object(), *value;
	const char *key;
	size_t i;

	json_object_foreach(vmq_rpc_params(call), key, value) {
		for (i = 0; i < RTE_DIM(others) && strcmp(key, others[i]) != 0; i++)
			;
		if (i == RTE_DIM(others))
			json_object_set(params, key, value);
	}
	/* Defaults of growth follow from the buffers, unless they are given. */
	json_object_update_recursive(after, params);
	i = json_object_size(params);
	json_decref(params);
	if (i > 0 && after != NULL)
		return after;
	json_decref(after);
	vmq_rpc_refuse_at(call, "", "name, vm, affinity, priority, keep_tags, anti_spoof, "
		"broadcast, rate, memory: {buffers, min_buffers, growth}", "nothing is to change");
	return NULL;
}

static void
set_changes(struct vmq_rpc_call *call, size_t adapter, uint16_t id, const struct doc_queue *queue,
	uint32_t changes)
{
	struct control *control = vmq_rpc_arg(call);
	struct vmq_oid_request request = {
		.owner = vmq_rpc_owner_of(call, adapter),
		.type = VMQ_OID_SET,
		.oid = VMQ_OID_QUEUE_PARAMETERS,
	};
	struct vmq_oid_queue_parameters p;
	enum vmq_status status;

	if (request_parameters(control->doc, queue, &p, &request.error) < 0) {
		vmq_rpc_refuse(call, VMQ_STATUS_INVALID_PARAMETER, NULL, "%s", request.error.text);
		return;
	}
	p.queue_id = id;
	p.flags = changes;
	request.information = &p;
	request.information_length = sizeof(p);
	status = vmq_oid_request(control->system->requests[adapter], &request);
	if (status == VMQ_STATUS_SUCCESS)
		vmq_rpc_reply(call, shown(control, adapter, request.owner, id));
	else
		vmq_rpc_refuse(call, status, request.error.text, "%s", request.error.text);
}

static void
queue_set(struct vmq_rpc_call *call)
{
	struct control *control = vmq_rpc_arg(call);
	struct doc_findings findings = {0};
	struct vmq_oid_owner *owner;
	struct doc_queue queue;
	json_t *now, *after;
	uint32_t changes = 0;
	size_t adapter;
	int id;

	id = vmq_rpc_queue_of(call, &adapter, &owner);
	if (id < 0)
		return;
	now = document_words(control, adapter, owner, (uint16_t)id);
	if (now == NULL || id == VMQ_DEFAULT_QUEUE_ID) {
		json_decref(now);
		vmq_rpc_refuse(call, VMQ_STATUS_NOT_ACCEPTED, NULL,
			id == VMQ_DEFAULT_QUEUE_ID
				? "the default queue is as the document says: change that"
				: "the queue is being freed: nothing of it can be changed");
		return;
	}
	/* Filters have methods of their own. */
	json_object_del(now, "filters");
	after = changed(call, now);
	if (after == NULL) {
		json_decref(now);
		return;
	}
	if (document_read_queue(control->doc, after, &queue, &findings) < 0) {
		refuse_findings(call, &findings, "");
	} else {
		if (changes_of(call, now, after, "", &changes)) {
			if ((changes & VMQ_OID_QUEUE_NAME_CHANGED) != 0 &&
				name_is_taken(control->system->adapters[adapter], queue.name, id))
				vmq_rpc_refuse_at(call, "/name", "choose another name",
					"there is a queue %s already", queue.name);
			else if (changes == 0)
				vmq_rpc_reply(call,
					shown(control, adapter, owner, (uint16_t)id));
			else
				set_changes(call, adapter, (uint16_t)id, &queue, changes);
		}
		doc_queue_free(&queue);
	}
	doc_findings_free(&findings);
	json_decref(now);
	json_decref(after);
}

#define ADAPTER_PARAM {"adapter", VMQ_RPC_TEXT, false, "name of the adapter; not needed with one"}
#define QUEUE_PARAM {"queue", VMQ_RPC_QUEUE, true, "id or name of the queue"}

static const struct vmq_rpc_method rows[] = {
	{"queue.show", "one queue: what it is, its filters, its memory, as in the document",
		"{adapter, id, name, vm, owner, state, filters, memory, backend, buffers...}", 0,
		queue_show, {QUEUE_PARAM, ADAPTER_PARAM}},
	{"queue.allocate", "a new queue with filters, memory and backend; all of it or nothing",
		"what queue.show says, once it runs", VMQ_RPC_F_LATER | VMQ_RPC_F_CHANGES,
		queue_allocate,
		{{"queue", VMQ_RPC_OBJECT, true, "the queue as in the document"}}},
	{"queue.set", "change what can be another while a queue runs, as config.apply does it",
		"what queue.show says", VMQ_RPC_F_CHANGES | VMQ_RPC_F_OPEN, queue_set,
		{QUEUE_PARAM, ADAPTER_PARAM,
			{"name", VMQ_RPC_TEXT, false, "another name"},
			{"affinity", VMQ_RPC_LIST, false, "CPUs of the workers that may serve it"},
			{"vm", VMQ_RPC_TEXT, false, "another name of the VM"},
			{"priority", VMQ_RPC_INTEGER, false,
				"0 to 255: counts when a hardware queue is free the next time"},
			{"keep_tags", VMQ_RPC_BOOL, false, "leave VLAN tags in its frames"},
			{"anti_spoof", VMQ_RPC_BOOL, false, "check what its VM sends"},
			{"broadcast", VMQ_RPC_BOOL, false, "broadcasts of its VLANs come to it"},
			{"rate", VMQ_RPC_OBJECT, false,
				"{to_vm, from_vm: {mbps, burst_kb}}; mbps 0: no limit"},
			{"memory", VMQ_RPC_OBJECT, false,
				"{buffers, min_buffers, growth}; the first two count at completion"}}},
};

int
control_add_queue_methods(struct control *control)
{
	return vmq_rpc_add_methods(control->rpc, rows, RTE_DIM(rows), control);
}
