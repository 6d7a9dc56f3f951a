/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * A document, or (first byte odd) a state file, as bytes. Held against each: what is
 * refused says where and why; what is good, written back with all its defaults, is good
 * and the same again.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "document_private.h"
#include "state.h"

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);  \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static char *
write_back(const struct document *doc)
{
	json_t *all = json_object(), *adapters = json_array(), *queues = json_array();
	char *text;
	size_t i;

	for (i = 0; i < doc->n_adapters; i++)
		CHECK(json_array_append_new(adapters,
			document_adapter_json(doc, &doc->adapters[i])) == 0);
	for (i = 0; i < doc->n_queues; i++)
		CHECK(json_array_append_new(queues, document_queue_json(doc, &doc->queues[i])) == 0);
	CHECK(json_object_set_new(all, "eal", document_eal_json(doc)) == 0);
	CHECK(json_object_set_new(all, "adapters", adapters) == 0);
	CHECK(json_object_set_new(all, "queues", queues) == 0);
	text = json_dumps(all, JSON_COMPACT);
	json_decref(all);
	CHECK(text != NULL);
	return text;
}

static void
check_findings(const struct doc_findings *findings)
{
	size_t i;

	CHECK(findings->count > 0);
	for (i = 0; i < findings->count; i++) {
		CHECK(findings->list[i].pointer[0] == '\0' || findings->list[i].pointer[0] == '/');
		CHECK(findings->list[i].message[0] != '\0');
	}
}

static void
try_document(const char *text, size_t length)
{
	struct doc_findings findings;
	struct document *doc = document_parse(text, length, &findings), *again;
	char *first, *second;

	if (doc == NULL) {
		check_findings(&findings);
		doc_findings_free(&findings);
		return;
	}
	CHECK(findings.count == 0);
	first = write_back(doc);
	again = document_parse(first, strlen(first), &findings);
	if (again == NULL)
		doc_findings_print(&findings, "written back", stderr);
	CHECK(again != NULL);
	second = write_back(again);
	CHECK(strcmp(first, second) == 0);
	free(first);
	free(second);
	document_free(doc);
	document_free(again);
}

static void
try_state(const char *text, size_t length)
{
	struct vmq_error err = {.text = ""};
	json_t *content = state_parse(text, length, &err);

	CHECK((content == NULL) == (err.text[0] != '\0'));
	state_count(content);
	json_decref(content);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] % 2 == 0)
		try_document((const char *)data + 1, size - 1);
	else
		try_state((const char *)data + 1, size - 1);
	return 0;
}
