/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Which queue stays, comes or goes, and whose backend is in whose way. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "plan_private.h"
#include "requests.h"

#define BUFFERS_WHY "a hint: it keeps the memory that it has, and grows by demand"

static size_t
add_queue(struct planner *p, const struct plan_queue *queue)
{
	p->plan->queues[p->plan->n_queues] = *queue;
	return p->plan->n_queues++;
}

/* Places of running queues by adapter and name; of two of that name, config's counts. */
static json_t *
index_running(struct planner *p)
{
	const struct running *running = &p->plan->running;
	json_t *index = json_object();
	const struct running_queue *queue;
	char key[VMQ_NAME_SIZE + 32];
	size_t i;

	for (i = 0; i < running->n_queues; i++) {
		queue = &running->queues[i];
		if (queue->id == VMQ_DEFAULT_QUEUE_ID || queue->queue.name == NULL)
			continue;
		snprintf(key, sizeof(key), "%zu/%s", queue->queue.adapter, queue->queue.name);
		if (json_object_get(index, key) != NULL &&
			strcmp(queue->owner, VMQ_OID_OWNER_CONFIG) != 0)
			continue;
		if (json_object_set_new_nocheck(index, key, json_integer((json_int_t)i)) < 0)
			p->no_memory = true;
	}
	return index;
}

static size_t
find_running(const json_t *index, size_t adapter, const char *name)
{
	const json_t *place;
	char key[VMQ_NAME_SIZE + 32];

	snprintf(key, sizeof(key), "%zu/%s", adapter, name);
	place = json_object_get(index, key);
	return place != NULL ? (size_t)json_integer_value(place) : SIZE_MAX;
}

/* A queue as it runs, or would, without its filters. */
static json_t *
running_json(struct planner *p, const struct doc_queue *queue)
{
	json_t *json = document_queue_json(p->plan->system->doc, queue);

	if (json == NULL)
		p->no_memory = true;
	json_object_del(json, "filters");
	return json;
}

/* The same of a queue of the document: through a request's parameters, like the other. */
static json_t *
wanted_json(struct planner *p, size_t i)
{
	const struct doc_queue *queue = &p->plan->doc->queues[i];
	const struct doc_path queues = {NULL, "queues", 0};
	struct doc_queue same;
	struct vmq_error err;
	json_t *json;

	if (running_as(p->plan->system, queue, p->adapters[queue->adapter], &same, &err) < 0) {
		doc_finding_add(p->findings, DOC_INDEX(&queues, i), NULL, "%s", err.text);
		return NULL;
	}
	json = running_json(p, &same);
	doc_queue_free(&same);
	return json;
}

static void
add_difference(json_t *list, const char *prefix, const char *key)
{
	char text[64];

	snprintf(text, sizeof(text), "%s%s", prefix, key);
	json_array_append_new(list, json_string(text));
}

/* The keys whose values differ; of objects in them the keys inside. */
static void
list_differences(const json_t *a, const json_t *b, const char *prefix, json_t *list)
{
	const json_t *other;
	const char *key;
	json_t *value;
	char inner[64];

	json_object_foreach((json_t *)(uintptr_t)a, key, value) {
		other = json_object_get(b, key);
		if (other != NULL && json_equal(value, (json_t *)(uintptr_t)other))
			continue;
		if (prefix[0] == '\0' && json_is_object(value) && json_is_object(other)) {
			snprintf(inner, sizeof(inner), "%s.", key);
			list_differences(value, other, inner, list);
		} else {
			add_difference(list, prefix, key);
		}
	}
	json_object_foreach((json_t *)(uintptr_t)b, key, value)
		if (json_object_get(a, key) == NULL)
			add_difference(list, prefix, key);
}

/* Can all differences be had live? Then their change flags. */
static bool
all_live(const json_t *differences, uint32_t *changes)
{
	const json_t *item;
	size_t i;
	uint32_t change;

	*changes = 0;
	json_array_foreach(differences, i, item) {
		change = request_live_change(json_string_value(item));
		if (change == 0)
			return false;
		*changes |= change;
	}
	return true;
}

/* "memory.limit, backend.file" */
static char *
differences_text(struct planner *p, const json_t *differences, const char *tail)
{
	const json_t *item;
	char *text = NULL;
	size_t i, size;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL) {
		p->no_memory = true;
		return NULL;
	}
	json_array_foreach(differences, i, item)
		fprintf(out, "%s%s", i > 0 ? ", " : "", json_string_value(item));
	fputs(tail, out);
	if (fclose(out) != 0)
		p->no_memory = true;
	return text;
}

static bool
same_filters(const struct doc_queue *a, const struct doc_queue *b)
{
	size_t i, j;

	if (a->n_filters != b->n_filters)
		return false;
	for (i = 0; i < a->n_filters; i++) {
		for (j = 0; j < b->n_filters; j++)
			if (vmq_filter_match_equal(&a->filters[i], &b->filters[j]))
				break;
		if (j == b->n_filters)
			return false;
	}
	return true;
}

/* A queue of that name that is another owner's: it must be as it is. */
static void
check_foreign(struct planner *p, size_t i, const struct running_queue *queue, const json_t *differs)
{
	const struct doc_path queues = {NULL, "queues", 0};
	char hint[128];

	if (json_array_size(differs) == 0 && queue->completed &&
		same_filters(&queue->queue, &p->plan->doc->queues[i]))
		return;
	snprintf(hint, sizeof(hint), "choose another name, or let %s free it first",
		queue->owner[0] != '\0' ? queue->owner : "an administrator");
	doc_finding_add(p->findings, DOC_KEY(DOC_INDEX(&queues, i), "name"), hint,
		"queue %s of adapter %s is %s%s, and it is not as described here",
		queue->queue.name, p->plan->system->doc->adapters[queue->queue.adapter].name,
		queue->owner[0] != '\0' ? "owner " : "nobody's", queue->owner);
}

static void
keep_queue(struct planner *p, size_t i, size_t at, uint32_t changes, const json_t *differs)
{
	const struct running_queue *queue = &p->plan->running.queues[at];
	size_t n = add_queue(p, &(struct plan_queue){
		.adapter = queue->queue.adapter,
		.was = &queue->queue,
		.wanted = &p->plan->doc->queues[i],
		.id = queue->id,
	});

	p->of_running[at] = n;
	p->of_doc[i] = n;
	p->changes[n] = changes;
	if (changes != 0)
		p->why[n] = differences_text(p, differs,
			changes & VMQ_OID_QUEUE_SUGGESTED_BUFFERS_CHANGED ? " (" BUFFERS_WHY ")" : "");
}

static size_t
drop_queue(struct planner *p, size_t at)
{
	const struct running_queue *queue = &p->plan->running.queues[at];

	p->of_running[at] = add_queue(p, &(struct plan_queue){
		.adapter = queue->queue.adapter,
		.was = &queue->queue,
		.id = queue->id,
	});
	return p->of_running[at];
}

static size_t
make_queue(struct planner *p, size_t i)
{
	p->of_doc[i] = add_queue(p, &(struct plan_queue){
		.adapter = p->adapters[p->plan->doc->queues[i].adapter],
		.wanted = &p->plan->doc->queues[i],
	});
	return p->of_doc[i];
}

static void
replace_queue(struct planner *p, size_t i, size_t at, const json_t *differs)
{
	const struct running_queue *queue = &p->plan->running.queues[at];
	size_t gone = drop_queue(p, at), made = make_queue(p, i);
	struct vmq_queue_info info = {0};
	char tail[192];

	p->plan->queues[made].replaces = &p->plan->queues[gone];
	if (!queue->completed) {
		p->why[made] = differences_text(p, NULL, "it was never completed");
		return;
	}
	vmq_queue_info_get(p->plan->system->adapters[queue->queue.adapter], queue->id, &info);
	snprintf(tail, sizeof(tail), ": settled when a queue is allocated; what waits in the old one "
		"(now %" PRIu64 " packets) is lost, and the new one counts from 0",
		info.packets.waiting);
	p->why[made] = differences_text(p, differs, tail);
}

/* A queue that runs under its name. */
static void
match_queue(struct planner *p, size_t i, size_t at)
{
	const struct running_queue *queue = &p->plan->running.queues[at];
	json_t *is = running_json(p, &queue->queue), *wanted = wanted_json(p, i);
	json_t *differs = json_array();
	uint32_t changes;

	if (is != NULL && wanted != NULL && differs != NULL) {
		list_differences(is, wanted, "", differs);
		if (strcmp(queue->owner, VMQ_OID_OWNER_CONFIG) != 0)
			check_foreign(p, i, queue, differs);
		else if (queue->completed && all_live(differs, &changes))
			keep_queue(p, i, at, changes, differs);
		else
			replace_queue(p, i, at, differs);
	}
	json_decref(is);
	json_decref(wanted);
	json_decref(differs);
}

/* A queue that is as this one but for its name, and that would go. */
static size_t
find_renamed(struct planner *p, size_t i, const json_t *by_content)
{
	json_t *wanted = wanted_json(p, i);
	const json_t *place;
	char *text;
	size_t at = SIZE_MAX;

	json_object_del(wanted, "name");
	text = wanted != NULL ? json_dumps(wanted, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	json_decref(wanted);
	place = text != NULL ? json_object_get(by_content, text) : NULL;
	free(text);
	if (place == NULL)
		return at;
	at = (size_t)json_integer_value(place);
	return p->of_running[at] == SIZE_MAX ? at : SIZE_MAX;
}

/* Queues of config that have no match, by all that they are but their name. */
static json_t *
index_unmatched(struct planner *p)
{
	const struct running *running = &p->plan->running;
	json_t *index = json_object(), *json;
	char *text;
	size_t i;

	for (i = 0; i < running->n_queues; i++) {
		if (p->of_running[i] != SIZE_MAX || !running->queues[i].completed ||
			strcmp(running->queues[i].owner, VMQ_OID_OWNER_CONFIG) != 0)
			continue;
		json = running_json(p, &running->queues[i].queue);
		json_object_del(json, "name");
		text = json != NULL ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
		if (text == NULL ||
			json_object_set_new_nocheck(index, text, json_integer((json_int_t)i)) < 0)
			p->no_memory = true;
		free(text);
		json_decref(json);
	}
	return index;
}

static void
match_queues(struct planner *p)
{
	const struct document *doc = p->plan->doc;
	json_t *by_name = index_running(p), *by_content, *name;
	size_t i, at;

	for (i = 0; i < doc->n_queues; i++) {
		if (p->adapters[doc->queues[i].adapter] == SIZE_MAX)
			continue;
		at = find_running(by_name, p->adapters[doc->queues[i].adapter],
			doc->queues[i].name);
		if (at != SIZE_MAX)
			match_queue(p, i, at);
	}
	by_content = index_unmatched(p);
	name = json_pack("[s]", "name");
	if (by_name == NULL || by_content == NULL || name == NULL)
		p->no_memory = true;
	for (i = 0; i < doc->n_queues && !p->no_memory; i++) {
		if (p->of_doc[i] != SIZE_MAX || p->adapters[doc->queues[i].adapter] == SIZE_MAX)
			continue;
		at = find_running(by_name, p->adapters[doc->queues[i].adapter],
			doc->queues[i].name);
		if (at != SIZE_MAX)
			continue; /* another owner's, or wrong: it has been looked at */
		at = find_renamed(p, i, by_content);
		if (at != SIZE_MAX)
			keep_queue(p, i, at, VMQ_OID_QUEUE_NAME_CHANGED, name);
		else
			make_queue(p, i);
	}
	json_decref(by_name);
	json_decref(by_content);
	json_decref(name);
}

/* Backends of queues that go and are needed by queues that come. */
static void
find_collisions(struct planner *p)
{
	struct plan *plan = p->plan;
	json_t *going = json_object();
	char key[RUNNING_KEY_SIZE];
	struct plan_queue *queue;
	const json_t *place;
	size_t i;

	for (i = 0; i < plan->n_queues; i++) {
		queue = &plan->queues[i];
		if (queue->is_default || queue->wanted != NULL)
			continue;
		running_backend_key(&queue->was->backend, key);
		if (key[0] != '\0' &&
			json_object_set_new_nocheck(going, key, json_integer((json_int_t)i)) < 0)
			p->no_memory = true;
	}
	for (i = 0; i < plan->n_queues; i++) {
		queue = &plan->queues[i];
		if (queue->is_default || queue->was != NULL)
			continue;
		running_backend_key(&queue->wanted->backend, key);
		place = key[0] != '\0' ? json_object_get(going, key) : NULL;
		if (place == NULL)
			continue;
		queue->waits = true;
		plan->queues[json_integer_value(place)].goes_first = true;
	}
	json_decref(going);
}

void
plan_queues(struct planner *p)
{
	struct plan *plan = p->plan;
	const struct running_queue *queue;
	size_t i;

	for (i = 0; i < plan->running.n_queues; i++) {
		queue = &plan->running.queues[i];
		if (queue->id != VMQ_DEFAULT_QUEUE_ID)
			continue;
		p->of_running[i] = add_queue(p, &(struct plan_queue){
			.adapter = queue->queue.adapter,
			.was = &queue->queue,
			.is_default = true,
		});
	}
	match_queues(p);
	for (i = 0; i < plan->running.n_queues; i++)
		if (p->of_running[i] == SIZE_MAX &&
			strcmp(plan->running.queues[i].owner, VMQ_OID_OWNER_CONFIG) == 0)
			drop_queue(p, i);
	find_collisions(p);
}
