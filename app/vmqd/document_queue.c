/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* One queue by itself, checked as if the document had it and no other. */

#include <stdlib.h>
#include <string.h>

#include "document_private.h"

static void
take_queue(struct doc_reader *r, json_t *value, struct doc_queue *queue)
{
	const struct doc_field field = {.expect = "a queue"};
	json_t *list = json_array();

	if (list == NULL || json_array_append(list, value) < 0) {
		r->no_memory = true;
		json_decref(list);
		return;
	}
	doc_decode_queues(r, DOC_KEY(NULL, "queues"), list, &field, NULL);
	json_decref(list);
	if (r->doc->n_queues == 0)
		return;
	doc_check(r);
	doc_fill_affinity(r, &r->doc->queues[0]);
	*queue = r->doc->queues[0];
	free(r->doc->queues);
}

int
document_read_queue(const struct document *doc, json_t *value, struct doc_queue *queue,
	struct doc_findings *findings)
{
	struct document one = *doc; /* the same adapters and workers */
	struct doc_reader r = {
		.findings = findings,
		.doc = &one,
		.adapter_index = json_object(),
		.workers_known = true,
		.adapters_known = true,
		.hugepages_known = true,
		.one_queue = true,
	};
	size_t i;

	*findings = (struct doc_findings){0};
	*queue = (struct doc_queue){0};
	one.queues = NULL;
	one.n_queues = 0;
	for (i = 0; i < doc->n_adapters; i++)
		if (json_object_set_new(r.adapter_index, doc->adapters[i].name,
			    json_integer((json_int_t)i)) < 0)
			r.no_memory = true;
	take_queue(&r, value, queue);
	json_decref(r.adapter_index);
	if (r.no_memory)
		doc_finding_add(findings, NULL, NULL, "out of memory while reading the queue");
	if (!doc_findings_any(findings))
		return 0;
	doc_queue_free(queue);
	*queue = (struct doc_queue){0};
	return -1;
}
