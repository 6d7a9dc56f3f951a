/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "document_private.h"
#include "running.h"
#include "state.h"

#define VERSION 1

/* FNV-1a, 64 bits: against damage, not against malice. */
static uint64_t
checksum(const char *text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return hash;
}

/* Of a content, however it is laid out. */
static bool
checksum_text(const json_t *content, char out[17])
{
	char *text = json_dumps(content, JSON_COMPACT | JSON_SORT_KEYS);

	if (text == NULL)
		return false;
	snprintf(out, 17, "%016" PRIx64, checksum(text));
	free(text);
	return true;
}

static bool
is_kept(const char *owner)
{
	return owner[0] != '\0' && strcmp(owner, VMQ_OID_OWNER_CONFIG) != 0;
}

static json_t *
queue_json(const struct system *system, const struct running_queue *queue)
{
	return json_pack("{s:s, s:b, s:I, s:I, s:o}", "owner", queue->owner,
		"completed", queue->completed, "flags", (json_int_t)queue->flags,
		"port_id", (json_int_t)queue->port_id,
		"queue", document_queue_json(system->doc, &queue->queue));
}

/* The filters of others on a default queue. */
static int
add_filters(const struct system *system, const struct running_queue *queue, json_t *list)
{
	struct doc_queue one = {.n_filters = 1}; /* only these are read */
	json_t *filter, *item;
	size_t i;

	for (i = 0; i < queue->queue.n_filters; i++) {
		if (!is_kept(queue->filter_owners[i]))
			continue;
		one.filters = &queue->queue.filters[i];
		filter = doc_encode_filters(system->doc, NULL, &one);
		item = json_pack("{s:s, s:s, s:O}", "owner", queue->filter_owners[i], "adapter",
			system->doc->adapters[queue->queue.adapter].name, "filter",
			json_array_get(filter, 0));
		json_decref(filter);
		if (json_array_append_new(list, item) < 0)
			return -ENOMEM;
	}
	return 0;
}

static json_t *
content_of(const struct system *system, const struct running *running)
{
	json_t *queues = json_array(), *filters = json_array();
	const struct running_queue *queue;
	int ret = 0;
	size_t i;

	for (i = 0; i < running->n_queues && ret == 0; i++) {
		queue = &running->queues[i];
		if (queue->id == VMQ_DEFAULT_QUEUE_ID)
			ret = add_filters(system, queue, filters);
		else if (is_kept(queue->owner))
			ret = json_array_append_new(queues, queue_json(system, queue));
	}
	if (ret == 0)
		return json_pack("{s:o, s:o}", "queues", queues, "filters", filters);
	json_decref(queues);
	json_decref(filters);
	return NULL;
}

char *
state_text(const struct system *system, struct vmq_error *err)
{
	struct running running;
	json_t *content, *root = NULL;
	char sum[17], *text = NULL;

	if (running_read(system, &running, err) < 0)
		return NULL;
	content = content_of(system, &running);
	running_free(&running);
	if (content != NULL && checksum_text(content, sum))
		root = json_pack("{s:i, s:s, s:O}", "version", VERSION, "checksum", sum,
			"content", content);
	if (root != NULL)
		text = json_dumps(root, JSON_INDENT(1));
	json_decref(root);
	json_decref(content);
	if (text == NULL)
		vmq_error_errno(err, ENOMEM, "no memory to write the state");
	return text;
}

size_t
state_count(const struct json_t *content)
{
	return json_array_size(json_object_get(content, "queues")) +
		json_array_size(json_object_get(content, "filters"));
}

/* The content of what is JSON. Returns a borrowed reference, or NULL. */
static json_t *
check(const json_t *root, struct vmq_error *err)
{
	const json_t *version = json_object_get(root, "version");
	const char *sum = json_string_value(json_object_get(root, "checksum"));
	json_t *content = json_object_get(root, "content");
	char expected[17];

	if (!json_is_integer(version)) {
		vmq_error_errno(err, EINVAL, "it has no version");
		return NULL;
	}
	if (json_integer_value(version) != VERSION) {
		vmq_error_errno(err, EINVAL, "it has version %" JSON_INTEGER_FORMAT
			", and this vmqd writes version %d", json_integer_value(version), VERSION);
		return NULL;
	}
	if (!json_is_array(json_object_get(content, "queues")) ||
		!json_is_array(json_object_get(content, "filters")) || sum == NULL) {
		vmq_error_errno(err, EINVAL, "it has no content, or no checksum");
		return NULL;
	}
	if (!checksum_text(content, expected)) {
		vmq_error_errno(err, ENOMEM, "there is no memory to check it");
		return NULL;
	}
	if (strcmp(sum, expected) != 0) {
		vmq_error_errno(err, EINVAL, "its checksum is wrong");
		return NULL;
	}
	return content;
}

struct json_t *
state_parse(const char *text, size_t length, struct vmq_error *err)
{
	json_t *root, *content;
	json_error_t error;

	root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
	if (root == NULL) {
		vmq_error_errno(err, EINVAL, "it is not JSON at line %d, column %d: %s",
			error.line, error.column, length == 0 ? "it is empty" : error.text);
		return NULL;
	}
	content = json_incref(check(root, err));
	json_decref(root);
	return content;
}
