/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_ether.h>
#include <rte_memory.h>

#include <vmq_queue.h>
#include <vmq_shmem.h>

#include "document_private.h"

/* A queue and what is in it, from the small parts up. See document_decode.c. */

/* memory */

static void
decode_node(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out)
{
	const char *text = json_string_value(value);
	int *node = out;

	if (text != NULL && strcmp(text, "any") == 0) {
		*node = SOCKET_ID_ANY;
	} else if (json_is_integer(value)) {
		doc_decode_integer(r, at, value, field, node);
	} else if (text != NULL) {
		doc_finding_add(r->findings, at, field->expect, "is neither a NUMA node nor \"any\"");
	} else {
		doc_wrong_type(r, at, value, "an integer or \"any\"", field->expect);
	}
}

static json_t *
encode_node(const struct document *doc __rte_unused, const struct doc_field *field __rte_unused,
	const void *in)
{
	const int *node = in;

	return *node == SOCKET_ID_ANY ? json_string("any") : json_integer(*node);
}

enum {
	GROWTH_LOW,
	GROWTH_HIGH,
	GROWTH_STEP,
	GROWTH_HOLD_MS,
};

#define HOLD_MS_MAX (24 * 3600 * 1000)

static const struct doc_field growth_fields[] = {
	[GROWTH_LOW] = {"low", DOC_INTEGER(struct vmq_pool_demand, low, 0, DOC_BUFFERS_MAX)},
	[GROWTH_HIGH] = {"high", DOC_INTEGER(struct vmq_pool_demand, high, 1, DOC_BUFFERS_MAX)},
	[GROWTH_STEP] = {"step", DOC_INTEGER(struct vmq_pool_demand, step, 1, DOC_BUFFERS_MAX)},
	[GROWTH_HOLD_MS] = {"hold_ms",
		DOC_INTEGER(struct vmq_pool_demand, hold_ms, 0, HOLD_MS_MAX)},
};

/*
 * Marks that are not given are those of vmq_pool_demand_default(), and the high mark
 * follows from the others: a block must go only if the low mark is far then.
 */
static void
decode_growth(struct doc_reader *r, const struct doc_path *at, json_t *value,
	struct doc_memory *memory)
{
	const struct vmq_pool_demand good = vmq_pool_demand_default(memory->buffers);
	struct vmq_pool_demand growth = good;
	struct vmq_error err;
	char hint[64];

	if (value != NULL && doc_decode_object(r, at, value, growth_fields,
		RTE_DIM(growth_fields), &growth) != 0)
		return;
	if (json_object_get(value, "high") == NULL)
		growth.high = (uint32_t)RTE_MIN(2 * (uint64_t)growth.low + growth.step,
			(uint64_t)UINT32_MAX);
	if (vmq_pool_demand_check(&growth, &err) != VMQ_STATUS_SUCCESS) {
		snprintf(hint, sizeof(hint), "at least %" PRIu64 ", or leave it out",
			(uint64_t)growth.low + growth.step);
		doc_finding_add(r->findings, DOC_KEY(at, "high"), hint, "%s", err.text);
	}
	memory->growth = growth;
}

static json_t *
encode_growth(const struct document *doc, const struct doc_field *field __rte_unused,
	const void *in)
{
	json_t *object = json_object();

	if (doc_encode_object(doc, object, growth_fields, RTE_DIM(growth_fields), in) == 0)
		return object;
	json_decref(object);
	return NULL;
}

static void
decode_growth_later(struct doc_reader *r __rte_unused, const struct doc_path *at __rte_unused,
	json_t *value __rte_unused, const struct doc_field *field __rte_unused,
	void *out __rte_unused)
{
	/* Its defaults depend on the buffers: decode_memory() does it. */
}

enum {
	TRANSMIT_BUFFERS,
	TRANSMIT_LIMIT,
};

static const struct doc_field transmit_fields[] = {
	[TRANSMIT_BUFFERS] = {"buffers",
		DOC_INTEGER(struct doc_memory, transmit.buffers, VMQ_XMIT_BUFFERS, DOC_BUFFERS_MAX)},
	[TRANSMIT_LIMIT] = {"limit",
		DOC_INTEGER(struct doc_memory, transmit.limit, VMQ_XMIT_BUFFERS, DOC_BUFFERS_MAX)},
};

/* It gets the whole memory of the queue. */
static void
decode_transmit(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field __rte_unused, void *out)
{
	struct doc_memory *memory = out;
	uint32_t wrong;
	char hint[64];

	wrong = doc_decode_object(r, at, value, transmit_fields, RTE_DIM(transmit_fields), memory);
	if (doc_is_wrong(wrong, TRANSMIT_BUFFERS) || doc_is_wrong(wrong, TRANSMIT_LIMIT))
		return;
	if (json_object_get(value, "limit") == NULL) {
		memory->transmit.limit = memory->transmit.buffers;
	} else if (memory->transmit.limit < memory->transmit.buffers) {
		snprintf(hint, sizeof(hint), "at least %u, or leave it out",
			memory->transmit.buffers);
		doc_finding_add(r->findings, DOC_KEY(at, "limit"), hint,
			"a limit of %u buffers is below the %u buffers that the queue starts with%s",
			memory->transmit.limit, memory->transmit.buffers,
			json_object_get(value, "buffers") == NULL ? " (the default)" : "");
	}
}

static json_t *
encode_transmit(const struct document *doc, const struct doc_field *field __rte_unused,
	const void *in)
{
	json_t *object = json_object();

	if (doc_encode_object(doc, object, transmit_fields, RTE_DIM(transmit_fields), in) == 0)
		return object;
	json_decref(object);
	return NULL;
}

enum {
	MEMORY_BUFFERS,
	MEMORY_LIMIT,
	MEMORY_BUFFER_SIZE,
	MEMORY_NODE,
	MEMORY_CONTIGUOUS,
	MEMORY_MIN_BUFFERS,
	MEMORY_GROWTH,
	MEMORY_TRANSMIT,
};

static const struct doc_field memory_fields[] = {
	[MEMORY_BUFFERS] = {"buffers", DOC_INTEGER(struct doc_memory, buffers, 1, DOC_BUFFERS_MAX)},
	[MEMORY_LIMIT] = {"limit", DOC_INTEGER(struct doc_memory, limit, 1, DOC_BUFFERS_MAX)},
	[MEMORY_BUFFER_SIZE] = {"buffer_size", DOC_INTEGER(struct doc_memory, buffer_size,
						       VMQ_BUFFER_SIZE_MIN, VMQ_BUFFER_SIZE_MAX)},
	[MEMORY_NODE] = {"node", .expect = "the number of a NUMA node, 0 to 31, or \"any\"",
		.decode = decode_node, .encode = encode_node, .offset = offsetof(struct doc_memory, node),
		.size = sizeof(int), .max = DOC_NODE_MAX},
	[MEMORY_CONTIGUOUS] = {"contiguous", DOC_BOOL(struct doc_memory, contiguous)},
	[MEMORY_MIN_BUFFERS] = {"min_buffers",
		DOC_INTEGER(struct doc_memory, min_buffers, 1, DOC_BUFFERS_MAX)},
	[MEMORY_GROWTH] = {"growth", .decode = decode_growth_later, .encode = encode_growth,
		.offset = offsetof(struct doc_memory, growth)},
	[MEMORY_TRANSMIT] = {"transmit", .decode = decode_transmit, .encode = encode_transmit},
};

static json_t *
encode_memory(const struct document *doc, const struct doc_field *field __rte_unused,
	const void *in)
{
	json_t *object = json_object();

	if (doc_encode_object(doc, object, memory_fields, RTE_DIM(memory_fields), in) == 0)
		return object;
	json_decref(object);
	return NULL;
}

static void
decode_memory(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field __rte_unused, void *out)
{
	struct doc_memory *memory = out;
	uint32_t wrong;
	char hint[64];

	wrong = doc_decode_object(r, at, value, memory_fields, RTE_DIM(memory_fields), memory);
	if (doc_is_wrong(wrong, MEMORY_BUFFERS))
		memory->buffers = 0;
	if (doc_is_wrong(wrong, MEMORY_BUFFER_SIZE))
		memory->buffer_size = 0;
	if (doc_is_wrong(wrong, MEMORY_LIMIT)) {
		memory->limit = 0;
	} else if (json_object_get(value, "limit") == NULL) {
		memory->limit = memory->buffers;
	} else if (memory->limit < memory->buffers) {
		snprintf(hint, sizeof(hint), "at least %u, or leave it out", memory->buffers);
		doc_finding_add(r->findings, DOC_KEY(at, "limit"), hint,
			"a limit of %u buffers is below the %u buffers that the queue starts with%s",
			memory->limit, memory->buffers,
			json_object_get(value, "buffers") == NULL ? " (the default)" : "");
		memory->limit = 0;
	}
	if (memory->buffers == 0)
		return;
	if (json_object_get(value, "min_buffers") == NULL) {
		memory->min_buffers = memory->buffers;
	} else if (!doc_is_wrong(wrong, MEMORY_MIN_BUFFERS) &&
		memory->min_buffers > memory->buffers) {
		snprintf(hint, sizeof(hint), "at most %u, or leave it out", memory->buffers);
		doc_finding_add(r->findings, DOC_KEY(at, "min_buffers"), hint,
			"at least %u buffers are more than the %u that the queue starts with",
			memory->min_buffers, memory->buffers);
	}
	decode_growth(r, DOC_KEY(at, "growth"), json_object_get(value, "growth"), memory);
}

/* queue */

static void
decode_queue_name(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out)
{
	char **name = out;

	doc_decode_text(r, at, value, field, name);
	if (*name != NULL && strcmp(*name, DOC_DEFAULT_QUEUE_NAME) == 0) {
		doc_finding_add(r->findings, at, "choose another name",
			"\"" DOC_DEFAULT_QUEUE_NAME "\" is the name of each adapter's default queue");
		free(*name);
		*name = NULL;
	}
}

/* The names of the adapters, for a hint; cut when there are many. */
static void
adapter_names(const struct document *doc, char *out, size_t size)
{
	char quoted[DOC_QUOTE_SIZE];
	size_t i, length = 0;

	out[0] = '\0';
	for (i = 0; i < doc->n_adapters && length < size; i++)
		length += (size_t)snprintf(out + length, size - length, "%s%s", i > 0 ? ", " : "",
			doc_quote(quoted, doc->adapters[i].name));
	if (length >= size)
		strcpy(out + size - 4, "...");
}

static void
decode_queue_adapter(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out)
{
	const char *words[RTE_MAX_ETHPORTS];
	char hint[512], names[400], quoted[DOC_QUOTE_SIZE];
	size_t *adapter = out, i, n;
	const json_t *index;
	char *name = NULL;
	int meant;

	doc_decode_text(r, at, value, field, &name);
	if (name == NULL)
		return;
	index = json_object_get(r->adapter_index, name);
	if (index != NULL) {
		*adapter = (size_t)json_integer_value(index);
	} else if (r->adapters_known) {
		n = RTE_MIN(r->doc->n_adapters, RTE_DIM(words));
		for (i = 0; i < n; i++)
			words[i] = r->doc->adapters[i].name;
		meant = doc_nearest(name, words, n);
		adapter_names(r->doc, names, sizeof(names));
		if (meant >= 0)
			snprintf(hint, sizeof(hint), "did you mean \"%s\"?", words[meant]);
		else
			snprintf(hint, sizeof(hint), "the document has: %s", names);
		doc_finding_add(r->findings, at, hint, "there is no adapter %s",
			doc_quote(quoted, name));
	}
	free(name);
}

static void
decode_affinity(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out)
{
	struct doc_queue *queue = out;

	doc_decode_cpus(r, at, value, field, &queue->affinity, &queue->n_affinity);
}

static json_t *
encode_affinity(const struct document *doc __rte_unused,
	const struct doc_field *field __rte_unused, const void *in)
{
	const struct doc_queue *queue = in;

	return doc_encode_cpus(queue->affinity, queue->n_affinity);
}

static json_t *
encode_queue_adapter(const struct document *doc, const struct doc_field *field __rte_unused,
	const void *in)
{
	const size_t *adapter = in;

	return json_string(doc->adapters[*adapter].name);
}

/* affinity and filters write two members each: they get the whole queue. */
#define COMMON_FIELDS(needs_backend) \
	[QUEUE_AFFINITY] = {"affinity", .expect = DOC_CPUS_EXPECT, .decode = decode_affinity, \
		.encode = encode_affinity}, \
	[QUEUE_MEMORY] = {"memory", .decode = decode_memory, .encode = encode_memory, \
		.offset = offsetof(struct doc_queue, memory)}, \
	[QUEUE_FILTERS] = {"filters", .decode = doc_decode_filters, \
		.encode = doc_encode_filters, \
		.expect = "a list of filters such as [{\"mac\": \"52:54:00:00:00:01\"}]"}, \
	[QUEUE_KEEP_TAGS] = {"keep_tags", DOC_BOOL(struct doc_queue, keep_tags)}, \
	[QUEUE_ANTI_SPOOF] = {"anti_spoof", DOC_BOOL(struct doc_queue, anti_spoof)}, \
	[QUEUE_BROADCAST] = {"broadcast", DOC_BOOL(struct doc_queue, broadcast)}, \
	[QUEUE_RECEIVE_ONLY] = {"receive_only", DOC_BOOL(struct doc_queue, receive_only)}, \
	[QUEUE_RATE] = {"rate", .expect = DOC_RATE_EXPECT, .decode = doc_decode_rate, \
		.encode = doc_encode_rate, .offset = offsetof(struct doc_queue, rate)}, \
	[QUEUE_BACKEND] = {"backend", .decode = doc_decode_backend, \
		.encode = doc_encode_backend, .required = (needs_backend), \
		.expect = "such as {\"type\": \"sink\"}", \
		.offset = offsetof(struct doc_queue, backend)}

enum {
	QUEUE_AFFINITY,
	QUEUE_MEMORY,
	QUEUE_FILTERS,
	QUEUE_KEEP_TAGS,
	QUEUE_ANTI_SPOOF,
	QUEUE_BROADCAST,
	QUEUE_RECEIVE_ONLY,
	QUEUE_RATE,
	QUEUE_BACKEND,
	QUEUE_NAME,
	QUEUE_VM,
	QUEUE_PRIORITY,
	QUEUE_ADAPTER,
};

static const struct doc_field default_queue_fields[] = {COMMON_FIELDS(false)};

static const struct doc_field queue_fields[] = {
	COMMON_FIELDS(true),
	[QUEUE_NAME] = {"name", .expect = DOC_NAME_EXPECT, .decode = decode_queue_name,
		.encode = doc_encode_text, .offset = offsetof(struct doc_queue, name),
		.max = VMQ_NAME_SIZE - 1,
		.required = true},
	[QUEUE_VM] = {"vm", .expect = DOC_NAME_EXPECT, .decode = doc_decode_text,
		.encode = doc_encode_text, .offset = offsetof(struct doc_queue, vm),
		.max = VMQ_NAME_SIZE - 1,
		.required = true},
	[QUEUE_PRIORITY] = {"priority", DOC_INTEGER(struct doc_queue, priority, 0, UINT8_MAX)},
	[QUEUE_ADAPTER] = {"adapter", .expect = "the name of an adapter of this document",
		.decode = decode_queue_adapter, .encode = encode_queue_adapter,
		.offset = offsetof(struct doc_queue, adapter), .max = VMQ_NAME_SIZE - 1},
};

static const struct doc_queue default_queue = {
	.adapter = DOC_UNKNOWN_ADAPTER,
	.memory = {
		.buffers = 4096,
		.limit = 4096,
		.buffer_size = 2048,
		.node = SOCKET_ID_ANY,
		.min_buffers = 4096,
		.transmit = {VMQ_XMIT_BUFFERS, VMQ_XMIT_BUFFERS},
	},
	.anti_spoof = true,
	.backend.type = VMQ_BACKEND_SINK,
};

void
doc_default_queue_init(struct doc_reader *r, struct doc_queue *queue, size_t adapter)
{
	*queue = default_queue;
	queue->memory.growth = vmq_pool_demand_default(queue->memory.buffers);
	queue->adapter = adapter;
	queue->name = doc_copy(r, DOC_DEFAULT_QUEUE_NAME);
}

static uint32_t
decode_queue_object(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *fields, size_t n, struct doc_queue *queue)
{
	uint32_t wrong = doc_decode_object(r, at, value, fields, n, queue);

	/* Misspelt, or no object: nothing has marked it so far. */
	if (doc_is_wrong(wrong, QUEUE_MEMORY) && !json_is_object(json_object_get(value, "memory")))
		queue->memory.buffers = 0;
	/* Whoever can answer is to be asked: a VM's neighbours find it by broadcasts. */
	if (json_object_get(value, "broadcast") == NULL)
		queue->broadcast = !queue->receive_only &&
			vmq_backend_type_receives(queue->backend.type);
	return wrong;
}

void
doc_decode_default_queue(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field __rte_unused, void *out)
{
	decode_queue_object(r, at, value, default_queue_fields, RTE_DIM(default_queue_fields), out);
}

static void
decode_queue(struct doc_reader *r, const struct doc_path *at, json_t *value,
	struct doc_queue *queue)
{
	char hint[512], names[400];
	uint32_t wrong;

	*queue = default_queue;
	queue->memory.growth = vmq_pool_demand_default(queue->memory.buffers);
	wrong = decode_queue_object(r, at, value, queue_fields, RTE_DIM(queue_fields), queue);
	if (doc_is_wrong(wrong, QUEUE_ADAPTER) || json_object_get(value, "adapter") != NULL)
		return;
	if (r->doc->n_adapters == 1) {
		queue->adapter = 0;
	} else if (r->adapters_known) {
		adapter_names(r->doc, names, sizeof(names));
		snprintf(hint, sizeof(hint), "the document has more than one: %s", names);
		doc_finding_add(r->findings, at, hint, "key \"adapter\" is missing");
	}
}

void
doc_decode_queues(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out __rte_unused)
{
	struct document *doc = r->doc;
	json_t *item;
	size_t i;

	if (!doc_is_array(r, at, value, field->expect))
		return;
	doc->queues = doc_alloc(r, json_array_size(value), sizeof(*doc->queues));
	if (doc->queues == NULL)
		return;
	doc->n_queues = json_array_size(value);
	json_array_foreach(value, i, item)
		decode_queue(r, DOC_INDEX(at, i), item, &doc->queues[i]);
}

json_t *
doc_encode_default_queue(const struct document *doc, const struct doc_field *field __rte_unused,
	const void *in)
{
	json_t *object = json_object();

	if (doc_encode_object(doc, object, default_queue_fields, RTE_DIM(default_queue_fields),
		in) == 0)
		return object;
	json_decref(object);
	return NULL;
}

json_t *
document_queue_json(const struct document *doc, const struct doc_queue *queue)
{
	json_t *object = json_object();

	/* What it is called comes first. */
	if (doc_encode_object(doc, object, &queue_fields[QUEUE_NAME],
		RTE_DIM(queue_fields) - QUEUE_NAME, queue) == 0 &&
		doc_encode_object(doc, object, default_queue_fields,
			RTE_DIM(default_queue_fields), queue) == 0)
		return object;
	json_decref(object);
	return NULL;
}
