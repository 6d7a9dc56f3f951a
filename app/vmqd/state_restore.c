/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * What the state file has, made again by requests of its owners. Each queue is read as if
 * it were one of the daemon's document, so that it is checked as strictly.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "document_private.h"
#include "requests.h"
#include "running.h"
#include "state.h"

struct restored_queue {
	const char *owner_name;
	struct vmq_oid_owner *owner;
	bool completed;
	const char *name, *vm; /* NULL: it had none */
	size_t adapter;
	uint16_t id; /* 0: it is not there */
};

struct restorer {
	struct system *system;
	const json_t *content;
	struct restored_queue *queues; /* of the content */
	size_t n_queues;
	json_t *taken; /* names and backends of queues that there are */
	size_t n_lost, n_restored;
};

static void
lose(struct restorer *r, const char *what, const char *name, const char *owner, const char *why)
{
	VMQ_LOG(WARNING, "state file: %s %s of owner %s is not restored: %s\n", what, name, owner,
		why);
	r->n_lost++;
}

static const char *
name_of(const struct restored_queue *queue)
{
	return queue->name != NULL ? queue->name : "without a name";
}

static void
lose_queue(struct restorer *r, struct restored_queue *queue, const char *why)
{
	lose(r, "queue", name_of(queue), queue->owner_name, why);
	queue->owner_name = NULL;
}

/* An owner as the control socket would make it. */
static struct vmq_oid_owner *
owner_of(struct restorer *r, size_t adapter, const char *name, struct vmq_error *err)
{
	struct vmq_oid_adapter *requests = r->system->requests[adapter];
	struct vmq_oid_owner *owner = vmq_oid_owner_find(requests, name);

	if (strcmp(name, VMQ_OID_OWNER_CONFIG) == 0) {
		vmq_error_errno(err, EINVAL, "what it has is in the document");
		return NULL;
	}
	if (owner != NULL ||
		vmq_oid_owner_create(requests, name, false, &owner, err) == VMQ_STATUS_SUCCESS)
		return owner;
	return NULL;
}

/* Cores that no worker runs on any more: then all others, which is the default. */
static void
forget_cores(const struct document *doc, json_t *queue)
{
	const json_t *affinity = json_object_get(queue, "affinity"), *cpu;
	size_t i, w;

	json_array_foreach(affinity, i, cpu) {
		for (w = 0; w < doc->eal.n_workers; w++)
			if (json_integer_value(cpu) == doc->eal.workers[w])
				break;
		if (w < doc->eal.n_workers)
			continue;
		VMQ_LOG(NOTICE, "state file: a queue may run on all workers now: none runs on "
			"CPU %" JSON_INTEGER_FORMAT " any more\n", json_integer_value(cpu));
		json_object_del(queue, "affinity");
		return;
	}
}

/*
 * Queue i of the content as one of a document. Names need not be different between
 * owners, and may be missing: a placeholder stands for them.
 */
static json_t *
as_document_queue(struct restorer *r, size_t i)
{
	const json_t *entry = json_array_get(json_object_get(r->content, "queues"), i);
	struct restored_queue *queue = &r->queues[i];
	json_t *json = json_deep_copy(json_object_get(entry, "queue"));
	char placeholder[32];

	queue->owner_name = json_string_value(json_object_get(entry, "owner"));
	queue->completed = json_is_true(json_object_get(entry, "completed"));
	queue->name = json_string_value(json_object_get(json_object_get(entry, "queue"), "name"));
	queue->vm = json_string_value(json_object_get(json_object_get(entry, "queue"), "vm"));
	if (!json_is_object(json) || queue->owner_name == NULL) {
		queue->owner_name = "?";
		lose_queue(r, queue, "it has no owner, or no parameters");
		json_decref(json);
		return NULL;
	}
	forget_cores(r->system->doc, json);
	snprintf(placeholder, sizeof(placeholder), "%zu", i);
	json_object_set_new(json, "name", json_string(placeholder));
	if (queue->vm == NULL)
		json_object_set_new(json, "vm", json_string("-"));
	return json;
}

/* The daemon's document with the queues of the content that are still wanted. */
static json_t *
make_document(struct restorer *r, json_t *const *queues, size_t *places)
{
	json_t *document = json_deep_copy(r->system->doc->source), *list = json_array(), *adapter;
	size_t i, n = 0;

	for (i = 0; i < r->n_queues; i++) {
		if (r->queues[i].owner_name == NULL)
			continue;
		places[n++] = i;
		json_array_append(list, queues[i]);
	}
	/* Filters that are in the way are found out one by one. */
	json_array_foreach(json_object_get(document, "adapters"), i, adapter)
		json_object_del(json_object_get(adapter, "default_queue"), "filters");
	json_object_set_new(document, "queues", list);
	return document;
}

/* Give up the queues that something is wrong with. Returns false: it is none of them. */
static bool
lose_findings(struct restorer *r, const struct doc_findings *findings, const size_t *places)
{
	bool any = false;
	size_t i, n;

	for (i = 0; i < findings->count; i++) {
		if (sscanf(findings->list[i].pointer, "/queues/%zu", &n) != 1)
			continue;
		any = true;
		if (r->queues[places[n]].owner_name != NULL)
			lose_queue(r, &r->queues[places[n]], findings->list[i].message);
	}
	return any;
}

/* Read all queues that can be read. Returns NULL if there is none. */
static struct document *
read_queues(struct restorer *r, size_t *places)
{
	json_t **queues = calloc(r->n_queues + 1, sizeof(*queues)), *json;
	struct doc_findings findings;
	struct document *doc = NULL;
	char *text;
	size_t i;
	bool again = queues != NULL;

	for (i = 0; queues != NULL && i < r->n_queues; i++)
		queues[i] = as_document_queue(r, i);
	while (doc == NULL && again) {
		json = make_document(r, queues, places);
		text = json_dumps(json, JSON_COMPACT);
		json_decref(json);
		if (text == NULL)
			break;
		doc = document_parse(text, strlen(text), &findings);
		free(text);
		again = doc == NULL && lose_findings(r, &findings, places);
		if (doc == NULL && !again)
			doc_findings_print(&findings, "state file", stderr);
		doc_findings_free(&findings);
	}
	for (i = 0; queues != NULL && i < r->n_queues; i++) {
		json_decref(queues[i]);
		if (doc == NULL && r->queues[i].owner_name != NULL)
			lose_queue(r, &r->queues[i], "it could not be read");
	}
	free(queues);
	return doc;
}

/* Is a name, or a backend, still to be had? */
static const char *
obstacle(const struct restorer *r, const struct restored_queue *queue,
	const struct doc_queue *from)
{
	char key[RUNNING_KEY_SIZE];

	if (queue->name != NULL) {
		snprintf(key, sizeof(key), "name %zu %s", queue->adapter, queue->name);
		if (json_object_get(r->taken, key) != NULL)
			return "there is a queue of its name already";
	}
	running_backend_key(&from->backend, key);
	if (key[0] != '\0' && json_object_get(r->taken, key) != NULL)
		return "a queue that is there already has its backend";
	return NULL;
}

static int
note_taken(struct restorer *r, struct vmq_error *err)
{
	const struct running_queue *queue;
	struct running running;
	char key[RUNNING_KEY_SIZE];
	size_t i;
	int ret = running_read(r->system, &running, err);

	for (i = 0; ret == 0 && i < running.n_queues; i++) {
		queue = &running.queues[i];
		if (queue->id == VMQ_DEFAULT_QUEUE_ID)
			continue;
		running_backend_key(&queue->queue.backend, key);
		if (key[0] != '\0')
			json_object_set_new(r->taken, key, json_true());
		snprintf(key, sizeof(key), "name %zu %s", queue->queue.adapter,
			queue->queue.name != NULL ? queue->queue.name : "");
		json_object_set_new_nocheck(r->taken, key, json_true());
	}
	for (i = 0; ret == 0 && i < r->system->n_adapters; i++)
		if (running_backend_key(&r->system->doc->adapters[i].default_queue.backend,
			key)[0] != '\0')
			json_object_set_new(r->taken, key, json_true());
	if (ret == 0)
		running_free(&running);
	return ret;
}

static void
set_filters(struct restorer *r, struct restored_queue *queue, const struct doc_queue *from)
{
	char text[VMQ_FILTER_TEXT_SIZE];
	struct vmq_error err;
	size_t i;

	for (i = 0; i < from->n_filters; i++) {
		if (request_set_filter(r->system->requests[queue->adapter], queue->owner,
			queue->id, &from->filters[i], &err) == 0)
			continue;
		lose(r, "filter", vmq_filter_text(&from->filters[i], text), queue->owner_name,
			err.text);
	}
}

/* Allocate a queue, and set its filters. */
static void
make_queue(struct restorer *r, struct restored_queue *queue, const struct doc_queue *from,
	const json_t *entry)
{
	struct doc_queue named = *from;
	struct vmq_error err;
	const char *why;

	queue->adapter = from->adapter;
	why = obstacle(r, queue, from);
	if (why != NULL) {
		lose_queue(r, queue, why);
		return;
	}
	named.name = (char *)(uintptr_t)(queue->name != NULL ? queue->name : "");
	named.vm = (char *)(uintptr_t)(queue->vm != NULL ? queue->vm : "");
	queue->owner = owner_of(r, from->adapter, queue->owner_name, &err);
	if (queue->owner == NULL ||
		request_allocate_with(r->system->requests[from->adapter], queue->owner,
			r->system->doc, &named,
			(uint32_t)json_integer_value(json_object_get(entry, "flags")),
			(uint32_t)json_integer_value(json_object_get(entry, "port_id")),
			&queue->id, &err) < 0) {
		lose_queue(r, queue, err.text);
		return;
	}
	set_filters(r, queue, from);
}

static void
on_freed(void *arg, int ret, const struct vmq_error *err)
{
	(void)arg;
	(void)ret;
	(void)err;
}

/* One that did not get its memory or its backend. */
static void
take_back(struct restorer *r, struct restored_queue *queue, const struct doc_queue *from,
	const char *why)
{
	struct vmq_oid_adapter *requests = r->system->requests[queue->adapter];
	struct vmq_error err;
	size_t i;

	for (i = 0; i < from->n_filters; i++)
		request_clear_filter(requests, queue->owner, &from->filters[i], &err);
	if (request_free(requests, queue->owner, queue->id, on_freed, NULL, &err) < 0)
		VMQ_LOG(ERR, "state file: queue %s: %s\n", name_of(queue), err.text);
	lose_queue(r, queue, why);
	queue->id = 0;
}

/*
 * Queues are completed one by one: each by its owner, and one that fails is no other's
 * concern.
 */
static void
complete_queue(struct restorer *r, struct restored_queue *queue, const struct doc_queue *from)
{
	struct vmq_error err;
	size_t failed;

	if (queue->completed && request_complete(r->system->requests[queue->adapter],
		queue->owner, &queue->id, 1, &failed, &err) < 0)
		take_back(r, queue, from, err.text);
	else
		r->n_restored++;
}

static void
begin(struct restorer *r)
{
	size_t i;

	for (i = 0; i < r->system->n_adapters; i++)
		vmq_adapter_begin(r->system->adapters[i]);
}

static void
commit(struct restorer *r)
{
	struct vmq_error err;
	size_t i;

	for (i = 0; i < r->system->n_adapters; i++)
		if (vmq_adapter_commit(r->system->adapters[i], &err) != VMQ_STATUS_SUCCESS)
			VMQ_LOG(ERR, "state file: %s\n", err.text);
}

static void
restore_queues(struct restorer *r)
{
	size_t *places = calloc(r->n_queues + 1, sizeof(*places));
	struct document *doc = places != NULL ? read_queues(r, places) : NULL;
	size_t i;

	if (doc != NULL) {
		begin(r);
		for (i = 0; i < doc->n_queues; i++)
			make_queue(r, &r->queues[places[i]], &doc->queues[i],
				json_array_get(json_object_get(r->content, "queues"), places[i]));
		commit(r);
		for (i = 0; i < doc->n_queues; i++)
			if (r->queues[places[i]].id != 0)
				complete_queue(r, &r->queues[places[i]], &doc->queues[i]);
	}
	document_free(doc);
	free(places);
}

static size_t
find_adapter(const struct restorer *r, const char *name)
{
	size_t i;

	for (i = 0; i < r->system->n_adapters && name != NULL; i++)
		if (strcmp(r->system->doc->adapters[i].name, name) == 0)
			return i;
	return SIZE_MAX;
}

/* A filter of an owner on a default queue. */
static void
restore_filter(struct restorer *r, const json_t *entry)
{
	const char *name = json_string_value(json_object_get(entry, "owner"));
	const size_t adapter = find_adapter(r,
		json_string_value(json_object_get(entry, "adapter")));
	char text[VMQ_FILTER_TEXT_SIZE] = "?";
	struct vmq_oid_owner *owner = NULL;
	struct vmq_filter_match match;
	struct vmq_error err;
	int ret = -EINVAL;

	vmq_error_errno(&err, EINVAL, "it has no owner, no adapter that there is, or no tests");
	if (name != NULL && adapter != SIZE_MAX &&
		doc_read_filter(json_object_get(entry, "filter"), &match)) {
		vmq_filter_text(&match, text);
		owner = owner_of(r, adapter, name, &err);
	}
	if (owner != NULL)
		ret = request_set_filter(r->system->requests[adapter], owner,
			VMQ_DEFAULT_QUEUE_ID, &match, &err);
	if (ret < 0)
		lose(r, "filter", text, name != NULL ? name : "?", err.text);
	else
		r->n_restored++;
}

size_t
state_restore(struct system *system, const struct json_t *content, size_t *restored)
{
	struct restorer r = {.system = system, .content = content, .taken = json_object()};
	struct vmq_error err;
	json_t *filter;
	size_t i;

	r.n_queues = json_array_size(json_object_get(content, "queues"));
	r.queues = calloc(r.n_queues + 1, sizeof(*r.queues));
	*restored = 0;
	if (r.queues == NULL || r.taken == NULL || note_taken(&r, &err) < 0) {
		VMQ_LOG(ERR, "state file: no memory to restore it\n");
		r.n_lost = state_count(content);
		goto out;
	}
	if (r.n_queues > 0)
		restore_queues(&r);
	json_array_foreach(json_object_get(content, "filters"), i, filter)
		restore_filter(&r, filter);
	*restored = r.n_restored;
out:
	free(r.queues);
	json_decref(r.taken);
	return r.n_lost;
}
