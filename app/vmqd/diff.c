/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "diff.h"
#include "document_private.h"
#include "running.h"

struct differ {
	const struct system *system;
	json_t *list;
	bool no_memory;
};

/* A list as an object: items by their names. Takes item. */
static void
add_named(struct differ *d, json_t *object, json_t *item)
{
	const char *name = json_string_value(json_object_get(item, "name"));
	char *key = name != NULL ? strdup(name) : NULL;

	json_object_del(item, "name");
	if (key == NULL || json_object_set_new(object, key, item) < 0)
		d->no_memory = true;
	free(key);
}

/* The filters of a queue by what they test; config's only, if owners are known. */
static json_t *
filters_json(struct differ *d, const struct doc_queue *queue, char (*owners)[VMQ_NAME_SIZE])
{
	json_t *object = json_object();
	char text[VMQ_FILTER_TEXT_SIZE];
	size_t i;

	for (i = 0; i < queue->n_filters; i++) {
		if (owners != NULL && strcmp(owners[i], VMQ_OID_OWNER_CONFIG) != 0)
			continue;
		if (json_object_set_new(object, vmq_filter_text(&queue->filters[i], text),
			json_true()) < 0)
			d->no_memory = true;
	}
	return object;
}

static json_t *
adapters_json(struct differ *d, const struct document *doc, const struct running *running)
{
	json_t *object = json_object(), *json, *filters;
	const struct running_queue *queue;
	size_t i, r;

	for (i = 0; i < doc->n_adapters; i++) {
		json = document_adapter_json(doc, &doc->adapters[i]);
		filters = NULL;
		for (r = 0; running != NULL && r < running->n_queues; r++) {
			queue = &running->queues[r];
			if (queue->id == VMQ_DEFAULT_QUEUE_ID && queue->queue.adapter == i)
				filters = filters_json(d, &queue->queue, queue->filter_owners);
		}
		if (running == NULL)
			filters = filters_json(d, &doc->adapters[i].default_queue, NULL);
		if (json_object_set_new(json_object_get(json, "default_queue"), "filters",
			filters) < 0)
			d->no_memory = true;
		add_named(d, object, json);
	}
	return object;
}

/* One queue, without what only lists have. */
static void
add_queue(struct differ *d, json_t *object, const struct document *doc,
	const struct doc_queue *queue, json_t *filters)
{
	json_t *json = document_queue_json(doc, queue);

	if (json_object_set_new(json, "filters", filters) < 0)
		d->no_memory = true;
	add_named(d, object, json);
}

static json_t *
running_queues(struct differ *d, const struct running *running)
{
	json_t *object = json_object();
	const struct running_queue *queue;
	size_t i;

	for (i = 0; i < running->n_queues; i++) {
		queue = &running->queues[i];
		if (queue->id != VMQ_DEFAULT_QUEUE_ID &&
			strcmp(queue->owner, VMQ_OID_OWNER_CONFIG) == 0)
			add_queue(d, object, d->system->doc, &queue->queue,
				filters_json(d, &queue->queue, queue->filter_owners));
	}
	return object;
}

static json_t *
wanted_queues(struct differ *d, const struct document *doc, struct vmq_error *err)
{
	json_t *object = json_object();
	const struct doc_queue *queue;
	struct doc_queue same;
	size_t i;

	for (i = 0; i < doc->n_queues; i++) {
		queue = &doc->queues[i];
		if (running_as(d->system, queue, queue->adapter, &same, err) < 0) {
			json_decref(object);
			return NULL;
		}
		add_queue(d, object, doc, &same, filters_json(d, queue, NULL));
		doc_queue_free(&same);
	}
	return object;
}

/* All of a document; its lists as objects. Takes adapters and queues. */
static json_t *
whole(struct differ *d, const struct document *doc, const json_t *source, json_t *adapters,
	json_t *queues)
{
	json_t *all = json_copy((json_t *)(uintptr_t)source);

	if (json_object_set_new(all, "eal", document_eal_json(doc)) < 0 ||
		json_object_set_new(all, "adapters", adapters) < 0 ||
		json_object_set_new(all, "queues", queues) < 0)
		d->no_memory = true;
	return all;
}

static void
add_difference(struct differ *d, const struct doc_path *at, json_t *is, json_t *wanted)
{
	char *pointer = doc_path_text(at);

	if (pointer == NULL || json_array_append_new(d->list, json_pack("{s:s, s:O*, s:O*}",
		"pointer", pointer, "running", is, "document", wanted)) < 0)
		d->no_memory = true;
	free(pointer);
}

static void
compare(struct differ *d, const struct doc_path *at, json_t *is, json_t *wanted)
{
	const char *key;
	json_t *value, *other;

	if (json_equal(is, wanted))
		return;
	if (!json_is_object(is) || !json_is_object(wanted)) {
		add_difference(d, at, is, wanted);
		return;
	}
	json_object_foreach(is, key, value) {
		other = json_object_get(wanted, key);
		if (other == NULL)
			add_difference(d, DOC_KEY(at, key), value, NULL);
		else
			compare(d, DOC_KEY(at, key), value, other);
	}
	json_object_foreach(wanted, key, value)
		if (json_object_get(is, key) == NULL)
			add_difference(d, DOC_KEY(at, key), NULL, value);
}

struct json_t *
diff_documents(const struct system *system, const struct json_t *source,
	const struct document *doc, struct vmq_error *err)
{
	struct differ d = {.system = system, .list = json_array()};
	json_t *is = NULL, *wanted = NULL, *queues;
	struct running running;

	if (running_read(system, &running, err) < 0) {
		json_decref(d.list);
		return NULL;
	}
	queues = wanted_queues(&d, doc, err);
	if (queues == NULL)
		goto fail;
	is = whole(&d, system->doc, source, adapters_json(&d, system->doc, &running),
		running_queues(&d, &running));
	wanted = whole(&d, doc, doc->source, adapters_json(&d, doc, NULL), queues);
	if (is == NULL || wanted == NULL || d.list == NULL)
		d.no_memory = true;
	else
		compare(&d, NULL, is, wanted);
	if (!d.no_memory)
		goto out;
	vmq_error_errno(err, ENOMEM, "no memory to compare");
fail:
	json_decref(d.list);
	d.list = NULL;
out:
	json_decref(is);
	json_decref(wanted);
	running_free(&running);
	return d.list;
}
