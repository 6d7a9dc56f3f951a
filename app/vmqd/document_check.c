/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_config.h>

#include <vmq_queue.h>
#include <vmq_shmem.h>

#include "document_private.h"

const struct doc_queue *
doc_any_queue(const struct document *doc, size_t n, struct doc_place *place)
{
	bool is_default = n < doc->n_adapters;

	if (!is_default)
		n -= doc->n_adapters;
	if (place != NULL) {
		place->path[0] = (struct doc_path){NULL, is_default ? "adapters" : "queues", 0};
		place->path[1] = (struct doc_path){&place->path[0], NULL, n};
		place->path[2] = (struct doc_path){&place->path[1], "default_queue", 0};
		place->at = &place->path[is_default ? 2 : 1];
	}
	return is_default ? &doc->adapters[n].default_queue : &doc->queues[n];
}

const char *
doc_cpus_text(const cpu_set_t *cpus, char *out, size_t size)
{
	size_t length = 0;
	int cpu, last;

	out[0] = '\0';
	for (cpu = 0; cpu < CPU_SETSIZE && length < size; cpu++) {
		if (!CPU_ISSET(cpu, cpus))
			continue;
		for (last = cpu; last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, cpus); last++)
			;
		length += (size_t)snprintf(out + length, size - length,
			last > cpu ? "%s%d-%d" : "%s%d", length > 0 ? "," : "", cpu, last);
		cpu = last;
	}
	if (length >= size)
		strcpy(out + size - 4, "...");
	return out;
}

/*
 * Note in seen that key is used at a place. If it was used before, report that
 * with the other place as the hint.
 */
static void
check_unique(struct doc_reader *r, json_t *seen, const char *key, const struct doc_path *at,
	const char *what)
{
	char hint[128], quoted[DOC_QUOTE_SIZE];
	const char *first;
	char *text;

	first = json_string_value(json_object_get(seen, key));
	if (first != NULL) {
		snprintf(hint, sizeof(hint), "the other one is %s", first);
		doc_finding_add(r->findings, at, hint, "%s %s is used more than once", what,
			doc_quote(quoted, key));
		return;
	}
	text = doc_path_text(at);
	if (text == NULL || json_object_set_new(seen, key, json_string(text)) != 0)
		r->no_memory = true;
	free(text);
}

static void
check_names(struct doc_reader *r)
{
	struct document *doc = r->doc;
	json_t *seen = json_object();
	struct doc_place place;
	size_t i;

	for (i = 0; i < doc->n_queues; i++) {
		doc_any_queue(doc, doc->n_adapters + i, &place);
		if (doc->queues[i].name != NULL)
			check_unique(r, seen, doc->queues[i].name, DOC_KEY(place.at, "name"),
				"the queue name");
	}
	json_decref(seen);
}

static void
check_affinity(struct doc_reader *r)
{
	const struct doc_eal *eal = &r->doc->eal;
	const struct doc_queue *queue;
	struct doc_place place;
	char list[128], hint[256];
	cpu_set_t workers;
	size_t i, c;

	if (!r->workers_known)
		return;
	CPU_ZERO(&workers);
	for (i = 0; i < eal->n_workers; i++)
		CPU_SET(eal->workers[i], &workers);
	snprintf(hint, sizeof(hint), "eal.workers has: %s",
		doc_cpus_text(&workers, list, sizeof(list)));
	for (i = 0; i < doc_total_queues(r->doc); i++) {
		queue = doc_any_queue(r->doc, i, &place);
		for (c = 0; c < queue->n_affinity; c++) {
			if (queue->affinity[c] >= 0 && !CPU_ISSET(queue->affinity[c], &workers))
				doc_finding_add(r->findings,
					DOC_INDEX(DOC_KEY(place.at, "affinity"), c), hint,
					"no worker runs on CPU %d", queue->affinity[c]);
		}
	}
}

/* A filter, where it is, and the equal one before it in the document. */
struct filter_use {
	const struct vmq_filter_match *match;
	size_t adapter;
	size_t queue; /* for doc_any_queue() */
	size_t filter;
	size_t order;
	const struct filter_use *first;
};

static int
compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int
compare_tests(const void *pa, const void *pb)
{
	const struct filter_use *a = pa, *b = pb;
	int ret;

	ret = compare(a->adapter, b->adapter);
	if (ret == 0)
		ret = compare(a->match->has_mac, b->match->has_mac);
	if (ret == 0 && a->match->has_mac)
		ret = memcmp(&a->match->mac, &b->match->mac, sizeof(a->match->mac));
	if (ret == 0)
		ret = compare(a->match->vlan_test, b->match->vlan_test);
	if (ret == 0 && a->match->vlan_test == VMQ_VLAN_ID)
		ret = compare(a->match->vlan_id, b->match->vlan_id);
	return ret != 0 ? ret : compare(a->order, b->order);
}

static int
compare_order(const void *pa, const void *pb)
{
	const struct filter_use *const *a = pa, *const *b = pb;

	return compare((*a)->order, (*b)->order);
}

static void
report_equal_filters(struct doc_reader *r, const struct filter_use *use)
{
	char text[VMQ_FILTER_TEXT_SIZE], hint[128];
	struct doc_place place;
	char *other;

	doc_any_queue(r->doc, use->first->queue, &place);
	other = doc_path_text(DOC_INDEX(DOC_KEY(place.at, "filters"), use->first->filter));
	if (other == NULL) {
		r->no_memory = true;
		return;
	}
	snprintf(hint, sizeof(hint), "the other one is %s", other);
	free(other);
	doc_any_queue(r->doc, use->queue, &place);
	doc_finding_add(r->findings, DOC_INDEX(DOC_KEY(place.at, "filters"), use->filter), hint,
		"another filter of this adapter makes the same tests: %s",
		vmq_filter_text(use->match, text));
}

static void
check_filters(struct doc_reader *r)
{
	size_t total = doc_total_queues(r->doc), n = 0, n_equal = 0, i, f;
	struct filter_use *uses;
	const struct filter_use **equal, *first;
	const struct doc_queue *queue;

	for (i = 0; i < total; i++)
		n += doc_any_queue(r->doc, i, NULL)->n_filters;
	uses = doc_alloc(r, n, sizeof(*uses));
	equal = doc_alloc(r, n, sizeof(*equal));
	if (uses == NULL || equal == NULL)
		goto out;
	n = 0;
	for (i = 0; i < total; i++) {
		queue = doc_any_queue(r->doc, i, NULL);
		for (f = 0; f < queue->n_filters; f++) {
			if (queue->adapter == DOC_UNKNOWN_ADAPTER ||
				!doc_filter_known(&queue->filters[f]))
				continue;
			uses[n] = (struct filter_use){.match = &queue->filters[f],
				.adapter = queue->adapter, .queue = i, .filter = f, .order = n};
			n++;
		}
	}
	qsort(uses, n, sizeof(*uses), compare_tests);
	for (i = 1, first = uses; i < n; i++) {
		if (uses[i].adapter != first->adapter ||
			!vmq_filter_match_equal(uses[i].match, first->match)) {
			first = &uses[i];
			continue;
		}
		uses[i].first = first;
		equal[n_equal++] = &uses[i];
	}
	qsort(equal, n_equal, sizeof(*equal), compare_order);
	for (i = 0; i < n_equal; i++)
		report_equal_filters(r, equal[i]);
out:
	free(uses);
	free(equal);
}

static void
check_device(struct doc_reader *r, json_t *seen, const char *device, const struct doc_path *at)
{
	char name[DOC_DEVICE_NAME_SIZE];

	if (device == NULL)
		return;
	doc_device_name(device, name);
	check_unique(r, seen, name, at, "the device");
}

static void
check_devices(struct doc_reader *r)
{
	const struct doc_path adapters = {NULL, "adapters", 0};
	struct document *doc = r->doc;
	json_t *seen = json_object();
	const struct doc_queue *queue;
	struct doc_place place;
	size_t i;

	for (i = 0; i < doc->n_adapters; i++)
		check_device(r, seen, doc->adapters[i].device,
			DOC_KEY(DOC_INDEX(&adapters, i), "device"));
	for (i = 0; i < doc_total_queues(doc); i++) {
		queue = doc_any_queue(doc, i, &place);
		check_device(r, seen, queue->backend.device,
			DOC_KEY(DOC_KEY(place.at, "backend"), "device"));
	}
	json_decref(seen);
}

/*
 * The same text for each way to write a path: the folder as realpath() has it, if
 * it exists.
 */
static void
plain_path(const char *file, char out[2 * PATH_MAX])
{
	char folder[PATH_MAX], name[PATH_MAX], real[PATH_MAX];

	snprintf(folder, sizeof(folder), "%s", file);
	snprintf(name, sizeof(name), "%s", file);
	if (realpath(dirname(folder), real) != NULL)
		snprintf(out, 2 * PATH_MAX, "%s/%s", strcmp(real, "/") == 0 ? "" : real,
			basename(name));
	else
		snprintf(out, 2 * PATH_MAX, "%s", file);
}

static void
check_files(struct doc_reader *r)
{
	json_t *seen = json_object();
	const struct doc_queue *queue;
	struct doc_place place;
	char path[2 * PATH_MAX];
	size_t i;

	for (i = 0; i < doc_total_queues(r->doc); i++) {
		queue = doc_any_queue(r->doc, i, &place);
		if (queue->backend.file != NULL) {
			plain_path(queue->backend.file, path);
			check_unique(r, seen, path,
				DOC_KEY(DOC_KEY(place.at, "backend"), "file"), "the file");
		}
		if (queue->backend.socket != NULL) {
			plain_path(queue->backend.socket, path);
			check_unique(r, seen, path,
				DOC_KEY(DOC_KEY(place.at, "backend"), "socket"), "the socket");
		}
	}
	json_decref(seen);
}

static void
check_ports(struct doc_reader *r, size_t ethdevs)
{
	size_t adapters = r->doc->n_adapters;
	char hint[128];

	if (adapters + ethdevs <= RTE_MAX_ETHPORTS)
		return;
	snprintf(hint, sizeof(hint), "at most %d adapters and \"ethdev\" backends together",
		RTE_MAX_ETHPORTS);
	doc_finding_add(r->findings, NULL, hint,
		"%zu adapters + %zu \"ethdev\" backends = %zu ports, and this DPDK was built for %d",
		adapters, ethdevs, adapters + ethdevs, RTE_MAX_ETHPORTS);
}

static void
check_memzones(struct doc_reader *r, size_t receiving)
{
	const unsigned int plain = vmq_queue_memzones(VMQ_BACKEND_SINK);
	const unsigned int both_ways = vmq_queue_memzones(VMQ_BACKEND_ETHDEV);
	const size_t there = VMQ_MEMZONES_MAX - VMQ_MEMZONES_RESERVE;
	const size_t parked = doc_hardware_queues(r->doc) * vmq_slot_memzones();
	size_t queues = doc_total_queues(r->doc), needed, most;
	char hint[128], hardware[64] = "";

	needed = (queues - receiving) * plain + receiving * both_ways + parked;
	if (needed <= there)
		return;
	if (parked > 0)
		snprintf(hardware, sizeof(hardware), " + %zu of hardware queues", parked);
	most = queues - RTE_MIN(queues, (needed - there + plain - 1) / plain);
	snprintf(hint, sizeof(hint), "at most %zu queues, default queues counted", most);
	doc_finding_add(r->findings, NULL, hint,
		"%zu queues x %u memzones + %zu queues with an \"ethdev\" or \"vhost-user\" backend x %u%s = %zu, and "
		"this DPDK has %d - %d for itself = %zu", queues - receiving, plain, receiving,
		both_ways, hardware, needed, VMQ_MEMZONES_MAX, VMQ_MEMZONES_RESERVE, there);
}

/* What an adapter's queues begin with must be within its limit. */
static void
check_memory_limits(struct doc_reader *r)
{
	const struct doc_queue *queue;
	struct doc_path adapters = {NULL, "adapters", 0};
	uint64_t bytes, limit;
	char hint[64];
	size_t i, j;

	for (i = 0; i < r->doc->n_adapters; i++) {
		limit = (uint64_t)r->doc->adapters[i].memory_limit_mb << 20;
		if (limit == 0)
			continue;
		for (j = 0, bytes = 0; j < doc_total_queues(r->doc); j++) {
			queue = doc_any_queue(r->doc, j, NULL);
			if (queue->adapter == i && queue->memory.buffers != 0 &&
				queue->memory.buffer_size != 0)
				bytes += vmq_pool_block_bytes(RTE_MIN(queue->memory.min_buffers,
					queue->memory.buffers), queue->memory.buffer_size) +
					doc_transmit_block_bytes(r->doc, queue);
		}
		if (bytes <= limit)
			continue;
		snprintf(hint, sizeof(hint), "set it to at least %" PRIu64,
			(bytes + (1 << 20) - 1) >> 20);
		doc_finding_add(r->findings, DOC_KEY(DOC_INDEX(&adapters, i), "memory_limit_mb"),
			hint, "%u MiB are less than the %.1f MiB that the adapter's queues begin "
			"with", r->doc->adapters[i].memory_limit_mb, (double)bytes / (1 << 20));
	}
}

static void
check_limits(struct doc_reader *r)
{
	size_t ethdevs = 0, receiving = 0, i;
	enum vmq_backend_type type;

	for (i = 0; i < doc_total_queues(r->doc); i++) {
		type = doc_any_queue(r->doc, i, NULL)->backend.type;
		ethdevs += type == VMQ_BACKEND_ETHDEV;
		receiving += vmq_backend_type_receives(type);
	}
	check_ports(r, ethdevs);
	check_memzones(r, receiving);
}

void
doc_check(struct doc_reader *r)
{
	check_names(r);
	check_affinity(r);
	check_filters(r);
	check_devices(r);
	check_files(r);
	if (r->one_queue)
		return;
	check_limits(r);
	check_memory_limits(r);
	doc_check_memory_mb(r);
}
