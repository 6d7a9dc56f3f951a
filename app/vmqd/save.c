/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "document_private.h"
#include "running.h"
#include "save.h"

struct saver {
	const struct system *system;
	struct running running;
	bool all;
	json_t *skipped; /* may be NULL */
	json_t *names; /* of the queues written */
	bool no_memory;
};

static bool
is_wanted(const struct saver *s, const char *owner)
{
	return s->all || strcmp(owner, VMQ_OID_OWNER_CONFIG) == 0;
}

/* Why a document cannot describe a queue; NULL if it can. */
static const char *
obstacle(const struct saver *s, const struct running_queue *queue)
{
	const char *name = queue->queue.name;

	if (!queue->completed)
		return "its allocation is not completed";
	if (name == NULL || queue->queue.vm == NULL)
		return "it has no name, or its VM has none";
	if (strcmp(name, DOC_DEFAULT_QUEUE_NAME) == 0)
		return "its name is that of the default queue";
	if (json_object_get(s->names, name) != NULL)
		return "another queue has its name";
	return NULL;
}

static void
skip(struct saver *s, const struct running_queue *queue, const char *why)
{
	json_t *item;

	if (s->skipped == NULL)
		return;
	item = json_pack("{s:s, s:i, s:s, s:s}",
		"adapter", s->system->doc->adapters[queue->queue.adapter].name,
		"id", (int)queue->id,
		"queue", queue->queue.name != NULL ? queue->queue.name : "",
		"why", why);
	if (json_array_append_new(s->skipped, item) < 0)
		s->no_memory = true;
}

static json_t *
save_queues(struct saver *s)
{
	json_t *list = json_array();
	const struct running_queue *queue;
	const char *why;
	size_t i;

	for (i = 0; i < s->running.n_queues; i++) {
		queue = &s->running.queues[i];
		if (queue->id == VMQ_DEFAULT_QUEUE_ID || !is_wanted(s, queue->owner))
			continue;
		why = obstacle(s, queue);
		if (why != NULL) {
			skip(s, queue, why);
			continue;
		}
		if (json_object_set_new(s->names, queue->queue.name, json_true()) < 0 ||
			json_array_append_new(list,
				document_queue_json(s->system->doc, &queue->queue)) < 0)
			s->no_memory = true;
	}
	return list;
}

/* Filters of a default queue that are to be saved. */
static json_t *
save_default_filters(struct saver *s, size_t adapter)
{
	struct running_queue *queue;
	struct doc_queue saved;
	json_t *list;
	size_t i, f;

	for (i = 0; i < s->running.n_queues; i++)
		if (s->running.queues[i].id == VMQ_DEFAULT_QUEUE_ID &&
			s->running.queues[i].queue.adapter == adapter)
			break;
	queue = &s->running.queues[i];
	saved = queue->queue;
	saved.n_filters = 0;
	for (f = 0; f < queue->queue.n_filters; f++)
		if (is_wanted(s, queue->filter_owners[f]))
			saved.filters[saved.n_filters++] = queue->queue.filters[f];
	list = doc_encode_filters(s->system->doc, NULL, &saved);
	if (list == NULL)
		s->no_memory = true;
	return list;
}

/* An adapter as it was written: adapters may have been written in another order since. */
static json_t *
find_adapter(const json_t *adapters, const char *name)
{
	json_t *adapter;
	size_t i;

	json_array_foreach(adapters, i, adapter)
		if (strcmp(json_string_value(json_object_get(adapter, "name")), name) == 0)
			break;
	return json_array_get(adapters, i);
}

/* The default queues' filters, into the adapters as they were written. */
static void
save_adapters(struct saver *s, json_t *adapters)
{
	json_t *filters, *queue, *adapter;
	size_t i;

	for (i = 0; i < s->system->n_adapters; i++) {
		adapter = find_adapter(adapters, s->system->doc->adapters[i].name);
		filters = save_default_filters(s, i);
		queue = json_object_get(adapter, "default_queue");
		if (queue == NULL && json_array_size(filters) > 0) {
			queue = json_object();
			if (json_object_set_new(adapter, "default_queue", queue) < 0)
				s->no_memory = true;
		}
		if (json_array_size(filters) > 0 || json_object_get(queue, "filters") != NULL) {
			if (json_object_set(queue, "filters", filters) < 0)
				s->no_memory = true;
		}
		json_decref(filters);
	}
}

struct json_t *
save_document(const struct system *system, const struct json_t *source, bool all,
	struct json_t *skipped, struct vmq_error *err)
{
	struct saver s = {.system = system, .all = all, .skipped = skipped};
	json_t *document = json_deep_copy(source);

	s.names = json_object();
	if (document == NULL || s.names == NULL) {
		s.no_memory = true;
	} else if (running_read(system, &s.running, err) < 0) {
		json_decref(document);
		json_decref(s.names);
		return NULL;
	} else {
		save_adapters(&s, json_object_get(document, "adapters"));
		if (json_object_set_new(document, "queues", save_queues(&s)) < 0)
			s.no_memory = true;
	}
	running_free(&s.running);
	json_decref(s.names);
	if (!s.no_memory)
		return document;
	vmq_error_errno(err, ENOMEM, "no memory to save the document");
	json_decref(document);
	return NULL;
}

char *
save_text(const struct json_t *document)
{
	char *text = json_dumps(document, JSON_INDENT(2)), *ended;
	size_t length;

	if (text == NULL)
		return NULL;
	length = strlen(text);
	ended = realloc(text, length + 2);
	if (ended == NULL) {
		free(text);
		return NULL;
	}
	strcpy(ended + length, "\n");
	return ended;
}
