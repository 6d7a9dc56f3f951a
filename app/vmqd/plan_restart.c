/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* What is settled when the daemon starts: all of a document but queues and filters. */

#include <stdlib.h>
#include <string.h>

#include "plan_private.h"

static void
add_restart(struct planner *p, const struct doc_path *at, const char *why)
{
	struct plan_step *step = plan_add(p, PLAN_RESTART, SIZE_MAX, SIZE_MAX, why);

	if (step == NULL)
		return;
	step->pointer = doc_path_text(at);
	if (step->pointer == NULL)
		p->no_memory = true;
	p->plan->n_restart++;
}

/* One step for each key whose value is another. Takes both references. */
static void
compare_objects(struct planner *p, const struct doc_path *at, json_t *is, json_t *wanted,
	const char *why)
{
	const char *key;
	json_t *value;

	if (is == NULL || wanted == NULL)
		p->no_memory = true;
	json_object_foreach(wanted, key, value)
		if (!json_equal(value, json_object_get(is, key)))
			add_restart(p, DOC_KEY(at, key), why);
	json_object_foreach(is, key, value)
		if (json_object_get(wanted, key) == NULL)
			add_restart(p, DOC_KEY(at, key), why);
	json_decref(is);
	json_decref(wanted);
}

/* Without the filters of its default queue: these can be had live. */
static json_t *
adapter_json(const struct document *doc, const struct doc_adapter *adapter)
{
	json_t *json = document_adapter_json(doc, adapter);

	json_object_del(json_object_get(json, "default_queue"), "filters");
	return json;
}

static size_t
find_adapter(const struct document *doc, const char *name)
{
	size_t i;

	for (i = 0; i < doc->n_adapters; i++)
		if (strcmp(doc->adapters[i].name, name) == 0)
			return i;
	return SIZE_MAX;
}

static void
compare_adapters(struct planner *p)
{
	const struct document *is = p->plan->system->doc, *wanted = p->plan->doc;
	const struct doc_path adapters = {NULL, "adapters", 0};
	char why[VMQ_NAME_SIZE + 64];
	size_t i, at;

	for (i = 0; i < wanted->n_adapters; i++) {
		at = find_adapter(is, wanted->adapters[i].name);
		p->adapters[i] = at;
		if (at == SIZE_MAX)
			add_restart(p, DOC_INDEX(&adapters, i), "adapters start with the daemon");
		else
			compare_objects(p, DOC_INDEX(&adapters, i),
				adapter_json(is, &is->adapters[at]),
				adapter_json(wanted, &wanted->adapters[i]),
				"settled when the adapter starts");
	}
	for (i = 0; i < is->n_adapters; i++) {
		if (find_adapter(wanted, is->adapters[i].name) != SIZE_MAX)
			continue;
		snprintf(why, sizeof(why), "adapter %s runs until the daemon stops",
			is->adapters[i].name);
		add_restart(p, &adapters, why);
	}
}

/* The rest of the document, as it was written. */
static json_t *
other_keys(const json_t *source)
{
	json_t *rest = json_copy((json_t *)(uintptr_t)source);

	json_object_del(rest, "eal");
	json_object_del(rest, "adapters");
	json_object_del(rest, "queues");
	return rest;
}

void
plan_restart(struct planner *p)
{
	const struct document *is = p->plan->system->doc, *wanted = p->plan->doc;

	compare_objects(p, DOC_KEY(NULL, "eal"), document_eal_json(is),
		document_eal_json(wanted), "EAL and its workers start with the daemon");
	compare_adapters(p);
	compare_objects(p, NULL, other_keys(p->source), other_keys(wanted->source),
		"read when the daemon starts");
}
