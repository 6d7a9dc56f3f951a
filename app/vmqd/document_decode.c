/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_config.h>

#include <vmq_queue.h>

#include "document_private.h"

/*
 * The tables of the root, eal and adapters; those of queues and what is in them
 * are in document_decode_queue.c, _filter.c and _backend.c. A key's row in a table,
 * its description in config/vmqd.schema.json and its bad values in
 * tests/functional/test_document.py belong together.
 */

void
doc_decode_cpus(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, int **cpus, size_t *n_cpus)
{
	const struct doc_field cpu = {.size = sizeof(int), .min = 0, .max = CPU_SETSIZE - 1};
	json_t *item;
	cpu_set_t seen;
	size_t i;
	int *list;

	if (!doc_is_array(r, at, value, field->expect))
		return;
	if (json_array_size(value) == 0) {
		doc_finding_add(r->findings, at, field->expect, "must not be empty");
		return;
	}
	list = doc_alloc(r, json_array_size(value), sizeof(*list));
	if (list == NULL)
		return;
	*cpus = list;
	*n_cpus = json_array_size(value);
	CPU_ZERO(&seen);
	json_array_foreach(value, i, item) {
		doc_decode_integer(r, DOC_INDEX(at, i), item, &cpu, &list[i]);
		if (list[i] < 0)
			continue;
		if (CPU_ISSET(list[i], &seen)) {
			doc_finding_add(r->findings, DOC_INDEX(at, i), "keep one of them",
				"CPU %d is in the list more than once", list[i]);
			list[i] = -1;
		} else {
			CPU_SET(list[i], &seen);
		}
	}
}

/* eal */

static void
decode_workers(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out)
{
	struct doc_eal *eal = out;

	doc_decode_cpus(r, at, value, field, &eal->workers, &eal->n_workers);
	/* One lcore is the main one. */
	if (eal->n_workers > RTE_MAX_LCORE - 1)
		doc_finding_add(r->findings, at, NULL,
			"%zu workers are more than this DPDK's %d lcores allow", eal->n_workers,
			RTE_MAX_LCORE - 1);
}

static void
decode_file_prefix(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out)
{
	char **prefix = out;

	doc_decode_text(r, at, value, field, prefix);
	if (*prefix == NULL)
		return;
	if (strpbrk(*prefix, "/%") != NULL)
		doc_finding_add(r->findings, at, field->expect, "must not have \"%c\" in it",
			*strpbrk(*prefix, "/%"));
	else if ((*prefix)[0] == '.')
		doc_finding_add(r->findings, at, field->expect, "must not begin with a dot");
}

static void
decode_extra_args(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out)
{
	struct doc_eal *eal = out;
	json_t *item;
	size_t i;

	if (!doc_is_array(r, at, value, field->expect))
		return;
	eal->extra_args = doc_alloc(r, json_array_size(value), sizeof(*eal->extra_args));
	if (eal->extra_args == NULL)
		return;
	eal->n_extra_args = json_array_size(value);
	json_array_foreach(value, i, item)
		doc_decode_text(r, DOC_INDEX(at, i), item, field, &eal->extra_args[i]);
}

static json_t *
encode_workers(const struct document *doc __rte_unused, const struct doc_field *field __rte_unused,
	const void *in)
{
	const struct doc_eal *eal = in;

	return doc_encode_cpus(eal->workers, eal->n_workers);
}

static json_t *
encode_extra_args(const struct document *doc __rte_unused,
	const struct doc_field *field __rte_unused, const void *in)
{
	const struct doc_eal *eal = in;
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < eal->n_extra_args; i++) {
		if (json_array_append_new(list, json_string(eal->extra_args[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

enum {
	EAL_MAIN_CORE,
	EAL_WORKERS,
	EAL_HUGEPAGES,
	EAL_IN_MEMORY,
	EAL_MEMORY_MB,
	EAL_FILE_PREFIX,
	EAL_EXTRA_ARGS,
};

/* workers and extra_args write two members each: they get the whole structure. */
static const struct doc_field eal_fields[] = {
	[EAL_MAIN_CORE] = {"main_core",
		DOC_INTEGER(struct doc_eal, main_core, 0, CPU_SETSIZE - 1)},
	[EAL_WORKERS] = {"workers", .expect = DOC_CPUS_EXPECT, .decode = decode_workers,
		.encode = encode_workers},
	[EAL_HUGEPAGES] = {"hugepages", DOC_BOOL(struct doc_eal, hugepages)},
	[EAL_IN_MEMORY] = {"in_memory", DOC_BOOL(struct doc_eal, in_memory)},
	[EAL_MEMORY_MB] = {"memory_mb",
		DOC_INTEGER(struct doc_eal, memory_mb, 1, DOC_MEMORY_MB_MAX)},
	[EAL_FILE_PREFIX] = {"file_prefix", .decode = decode_file_prefix,
		.encode = doc_encode_text,
		.expect = "1 to 63 bytes without \"/\" and \"%\", not beginning with a dot",
		.offset = offsetof(struct doc_eal, file_prefix), .max = VMQ_NAME_SIZE - 1},
	[EAL_EXTRA_ARGS] = {"extra_args", .decode = decode_extra_args,
		.encode = encode_extra_args,
		.expect = "a list of EAL arguments such as [\"--iova-mode=va\"]",
		.max = DOC_ARGUMENT_MAX},
};

static void
decode_eal(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field __rte_unused, void *out)
{
	struct doc_eal *eal = out;
	uint32_t wrong;

	wrong = doc_decode_object(r, at, value, eal_fields, RTE_DIM(eal_fields), eal);
	if (doc_is_wrong(wrong, EAL_WORKERS) || doc_is_wrong(wrong, EAL_MAIN_CORE))
		r->workers_known = eal->n_workers > 0 && !doc_is_wrong(wrong, EAL_WORKERS);
	if (doc_is_wrong(wrong, EAL_HUGEPAGES))
		r->hugepages_known = false;
	if (json_object_get(value, "in_memory") == NULL)
		eal->in_memory = eal->hugepages;
	else if (eal->in_memory && !eal->hugepages && !doc_is_wrong(wrong, EAL_IN_MEMORY) &&
		!doc_is_wrong(wrong, EAL_HUGEPAGES))
		doc_finding_add(r->findings, DOC_KEY(at, "in_memory"),
			"leave it out: without hugepages there are no files in any case",
			"EAL refuses in_memory together with hugepages false");
}

/* Those that the process was started with; empty: not kept. */
static cpu_set_t kept_cpus;

int
document_keep_cpus(bool keep)
{
	CPU_ZERO(&kept_cpus);
	return keep && sched_getaffinity(0, sizeof(kept_cpus), &kept_cpus) != 0 ? -errno : 0;
}

static void
default_cores(struct doc_reader *r)
{
	struct doc_eal *eal = &r->doc->eal;
	cpu_set_t cpus, workers;
	size_t i;
	int cpu, first = -1, other = -1;

	if (!r->workers_known || (eal->main_core >= 0 && eal->n_workers > 0))
		return;
	cpus = kept_cpus;
	if (CPU_COUNT(&cpus) == 0 && sched_getaffinity(0, sizeof(cpus), &cpus) != 0) {
		doc_finding_add(r->findings, DOC_KEY(NULL, "eal"), "set main_core and workers",
			"the CPUs that this process may use cannot be found out");
		r->workers_known = false;
		return;
	}
	CPU_ZERO(&workers);
	for (i = 0; i < eal->n_workers; i++)
		CPU_SET(eal->workers[i], &workers);
	/* The first CPU, and the first one that nobody has yet. */
	for (cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--) {
		if (!CPU_ISSET(cpu, &cpus))
			continue;
		first = cpu;
		if (!CPU_ISSET(cpu, &workers))
			other = cpu;
	}
	if (eal->main_core < 0)
		eal->main_core = other >= 0 ? other : first;
	if (eal->n_workers > 0)
		return;
	eal->workers = doc_alloc(r, 1, sizeof(*eal->workers));
	if (eal->workers == NULL)
		return;
	eal->n_workers = 1;
	for (cpu = first; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &cpus) && cpu != eal->main_core)
			break;
	}
	eal->workers[0] = cpu < CPU_SETSIZE ? cpu : first;
}

/* workers */

enum {
	WORKERS_MODE,
	WORKERS_MAX_SLEEP_US,
};

/* What a packet may have to wait for after idleness. See the README on rx_descriptors. */
#define MAX_SLEEP_US_DEFAULT 2000

static void
decode_worker_mode(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out)
{
	const char *names[VMQ_WORKER_MODE_COUNT];
	char quoted[DOC_QUOTE_SIZE], hint[64];
	const char *text = json_string_value(value);
	enum vmq_worker_mode *mode = out;
	int nearest;

	if (text == NULL) {
		doc_wrong_type(r, at, value, "a string", field->expect);
		return;
	}
	for (unsigned int i = 0; i < VMQ_WORKER_MODE_COUNT; i++) {
		names[i] = vmq_worker_mode_name(i);
		if (strcmp(text, names[i]) == 0) {
			*mode = i;
			return;
		}
	}
	nearest = doc_nearest(text, names, VMQ_WORKER_MODE_COUNT);
	snprintf(hint, sizeof(hint), "did you mean \"%s\"?", nearest >= 0 ? names[nearest] : "");
	doc_finding_add(r->findings, at, nearest >= 0 ? hint : field->expect,
		"unknown mode %s", doc_quote(quoted, text));
}

static const struct doc_field worker_fields[] = {
	[WORKERS_MODE] = {"mode", .decode = decode_worker_mode,
		.offset = offsetof(struct doc_workers, mode),
		.expect = "one of \"adaptive\", \"interrupt\", \"poll\""},
	[WORKERS_MAX_SLEEP_US] = {"max_sleep_us",
		DOC_INTEGER(struct doc_workers, max_sleep_us, 1, VMQ_WORKER_SLEEP_US_MAX)},
};

static void
decode_worker_settings(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field __rte_unused, void *out)
{
	struct doc_workers *workers = out;
	uint32_t wrong;

	wrong = doc_decode_object(r, at, value, worker_fields, RTE_DIM(worker_fields), workers);
	if (!doc_is_wrong(wrong, WORKERS_MODE) && workers->mode == VMQ_WORKER_POLL &&
		json_object_get(value, "max_sleep_us") != NULL)
		doc_finding_add(r->findings, DOC_KEY(at, "max_sleep_us"),
			"leave it out, or choose the mode \"adaptive\"",
			"workers of the mode \"poll\" do not sleep");
}

/* adapters */

enum {
	ADAPTER_NAME,
	ADAPTER_DEVICE,
	ADAPTER_RX_DESCRIPTORS,
	ADAPTER_STEERING,
	ADAPTER_HARDWARE_QUEUES,
	ADAPTER_VMDQ,
	ADAPTER_MTU,
	ADAPTER_MEMORY_LIMIT_MB,
	ADAPTER_DEFAULT_QUEUE,
};

static void
decode_steering(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out)
{
	const char *names[VMQ_STEERING_COUNT];
	char quoted[DOC_QUOTE_SIZE], hint[64];
	const char *text = json_string_value(value);
	enum vmq_steering *steering = out;
	int nearest;

	if (text == NULL) {
		doc_wrong_type(r, at, value, "a string", field->expect);
		return;
	}
	for (unsigned int i = 0; i < VMQ_STEERING_COUNT; i++) {
		names[i] = vmq_steering_name(i);
		if (strcmp(text, names[i]) == 0) {
			*steering = i;
			return;
		}
	}
	nearest = doc_nearest(text, names, VMQ_STEERING_COUNT);
	snprintf(hint, sizeof(hint), "did you mean \"%s\"?", nearest >= 0 ? names[nearest] : "");
	doc_finding_add(r->findings, at, nearest >= 0 ? hint : field->expect,
		"unknown steering %s", doc_quote(quoted, text));
}

static json_t *
encode_steering(const struct document *doc __rte_unused,
	const struct doc_field *field __rte_unused, const void *in)
{
	const enum vmq_steering *steering = in;

	return json_string(vmq_steering_name(*steering));
}

static const struct doc_field adapter_fields[] = {
	[ADAPTER_NAME] = {"name", .expect = DOC_NAME_EXPECT, .decode = doc_decode_text,
		.encode = doc_encode_text, .offset = offsetof(struct doc_adapter, name), .max = VMQ_NAME_SIZE - 1,
		.required = true},
	[ADAPTER_DEVICE] = {"device", .expect = DOC_DEVICE_EXPECT, .decode = doc_decode_device,
		.encode = doc_encode_text, .offset = offsetof(struct doc_adapter, device), .max = DOC_ARGUMENT_MAX,
		.required = true},
	[ADAPTER_RX_DESCRIPTORS] = {"rx_descriptors",
		DOC_INTEGER(struct doc_adapter, rx_descriptors, 64, 32768)},
	[ADAPTER_STEERING] = {"steering", .decode = decode_steering, .encode = encode_steering,
		.offset = offsetof(struct doc_adapter, steering),
		.expect = "one of \"auto\", \"vmdq\", \"flow\", \"software\""},
	[ADAPTER_HARDWARE_QUEUES] = {"hardware_queues",
		DOC_INTEGER(struct doc_adapter, hardware_queues, 1, 128)},
	[ADAPTER_VMDQ] = {"vmdq", .expect = DOC_VMDQ_EXPECT, .decode = doc_decode_vmdq,
		.encode = doc_encode_vmdq, .offset = offsetof(struct doc_adapter, vmdq)},
	[ADAPTER_MTU] = {"mtu",
		DOC_INTEGER(struct doc_adapter, mtu, RTE_ETHER_MIN_MTU, DOC_MTU_MAX)},
	[ADAPTER_MEMORY_LIMIT_MB] = {"memory_limit_mb",
		DOC_INTEGER(struct doc_adapter, memory_limit_mb, 1, DOC_MEMORY_MB_MAX)},
	[ADAPTER_DEFAULT_QUEUE] = {"default_queue", .decode = doc_decode_default_queue,
		.encode = doc_encode_default_queue, .offset = offsetof(struct doc_adapter, default_queue)},
};

/* The default queue must fill the NIC's ring, or the port does not start. */
static void
check_ring(struct doc_reader *r, const struct doc_path *at, const json_t *value,
	const struct doc_adapter *adapter)
{
	uint32_t buffers = adapter->default_queue.memory.buffers, needed;
	const json_t *memory;
	char hint[128];

	if (adapter->rx_descriptors == 0 || buffers == 0)
		return;
	needed = vmq_adapter_min_buffers(adapter->rx_descriptors);
	if (buffers >= needed)
		return;
	snprintf(hint, sizeof(hint), "set default_queue.memory.buffers to at least %u", needed);
	memory = json_object_get(json_object_get(value, "default_queue"), "memory");
	if (json_object_get(memory, "buffers") != NULL)
		doc_finding_add(r->findings,
			DOC_KEY(DOC_KEY(DOC_KEY(at, "default_queue"), "memory"), "buffers"), hint,
			"%u buffers are too few for %u receive descriptors: the default queue "
			"needs %u", buffers, adapter->rx_descriptors, needed);
	else
		doc_finding_add(r->findings, DOC_KEY(at, "rx_descriptors"), hint,
			"%u receive descriptors need a default queue of %u buffers, and it has "
			"%u (the default)", adapter->rx_descriptors, needed, buffers);
}

/* Returns false if the adapter's name is not known. */
static bool
decode_adapter(struct doc_reader *r, const struct doc_path *at, json_t *value, size_t index)
{
	struct doc_adapter *adapter = &r->doc->adapters[index];
	char hint[64], quoted[DOC_QUOTE_SIZE];
	const json_t *first;
	uint32_t wrong;

	adapter->rx_descriptors = 1024;
	adapter->steering = VMQ_STEERING_AUTO;
	adapter->hardware_queues = 8;
	adapter->mtu = RTE_ETHER_MTU;
	doc_default_queue_init(r, &adapter->default_queue, index);
	wrong = doc_decode_object(r, at, value, adapter_fields, RTE_DIM(adapter_fields), adapter);
	if (doc_is_wrong(wrong, ADAPTER_RX_DESCRIPTORS))
		adapter->rx_descriptors = 0;
	/* Misspelt or no object: nothing has marked it so far. */
	if (doc_is_wrong(wrong, ADAPTER_DEFAULT_QUEUE) &&
		!json_is_object(json_object_get(value, "default_queue")))
		adapter->default_queue.memory.buffers = 0;
	check_ring(r, at, value, adapter);
	if (adapter->name == NULL)
		return false;
	first = json_object_get(r->adapter_index, adapter->name);
	if (first != NULL) {
		snprintf(hint, sizeof(hint), "the other one is /adapters/%lld",
			(long long)json_integer_value(first));
		doc_finding_add(r->findings, DOC_KEY(at, "name"), hint,
			"another adapter has the name %s", doc_quote(quoted, adapter->name));
	} else if (json_object_set_new(r->adapter_index, adapter->name,
			   json_integer((json_int_t)index)) != 0) {
		r->no_memory = true;
	}
	return true;
}

static void
decode_adapters(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out __rte_unused)
{
	struct document *doc = r->doc;
	bool known = true;
	json_t *item;
	size_t i;

	if (!doc_is_array(r, at, value, field->expect))
		return;
	if (json_array_size(value) == 0) {
		doc_finding_add(r->findings, at, field->expect, "must not be empty");
		return;
	}
	doc->adapters = doc_alloc(r, json_array_size(value), sizeof(*doc->adapters));
	if (doc->adapters == NULL)
		return;
	doc->n_adapters = json_array_size(value);
	json_array_foreach(value, i, item)
		known &= decode_adapter(r, DOC_INDEX(at, i), item, i);
	r->adapters_known = known;
}

/* root */

enum {
	ROOT_EAL,
	ROOT_WORKERS,
	ROOT_ADAPTERS,
	ROOT_QUEUES,
	ROOT_METRICS,
	ROOT_CONTROL,
};

/* In the order of decoding: queues look their adapters up. */
static const struct doc_field root_fields[] = {
	[ROOT_EAL] = {"eal", .decode = decode_eal, .offset = offsetof(struct document, eal)},
	[ROOT_WORKERS] = {"workers", .decode = decode_worker_settings,
		.offset = offsetof(struct document, workers)},
	[ROOT_ADAPTERS] = {"adapters", .decode = decode_adapters, .required = true,
		.expect = "a list of at least one adapter, each with \"name\" and \"device\""},
	[ROOT_QUEUES] = {"queues", .decode = doc_decode_queues,
		.expect = "a list of queues, each with \"name\", \"vm\" and \"backend\""},
	[ROOT_METRICS] = {"metrics", .decode = doc_decode_metrics, .encode = doc_encode_metrics},
	[ROOT_CONTROL] = {"control", .decode = doc_decode_control, .encode = doc_encode_control,
		.offset = offsetof(struct document, control)},
};

void
doc_decode_root(struct doc_reader *r, json_t *root)
{
	struct document *doc = r->doc;
	uint32_t wrong;

	doc->eal.main_core = -1;
	doc->eal.hugepages = true;
	doc->eal.in_memory = true;
	doc->workers.mode = VMQ_WORKER_ADAPTIVE;
	doc->workers.max_sleep_us = MAX_SLEEP_US_DEFAULT;
	doc_control_init(&doc->control);
	r->workers_known = true;
	r->hugepages_known = true;
	wrong = doc_decode_object(r, NULL, root, root_fields, RTE_DIM(root_fields), doc);
	/* Misspelt, or no object: decode_eal() has not seen it. */
	if (doc_is_wrong(wrong, ROOT_EAL) && !json_is_object(json_object_get(root, "eal"))) {
		r->workers_known = false;
		r->hugepages_known = false;
	}
	default_cores(r);
}

json_t *
document_eal_json(const struct document *doc)
{
	json_t *object = json_object();

	if (doc_encode_object(doc, object, eal_fields, RTE_DIM(eal_fields), &doc->eal) == 0)
		return object;
	json_decref(object);
	return NULL;
}

json_t *
document_adapter_json(const struct document *doc, const struct doc_adapter *adapter)
{
	json_t *object = json_object();

	if (doc_encode_object(doc, object, adapter_fields, RTE_DIM(adapter_fields), adapter) == 0)
		return object;
	json_decref(object);
	return NULL;
}
