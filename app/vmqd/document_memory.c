/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <inttypes.h>
#include <stdlib.h>

#include <rte_common.h>
#include <rte_ether.h>
#include <rte_memory.h>

#include <vmq_queue.h>

#include "document_private.h"

#define MIB (UINT64_C(1) << 20)

/* Lines of the arithmetic; what is beyond them goes into one term. */
#define GROUPS_MAX 4

/*
 * Buffers that there must be memory for at the start. Without hugepages EAL takes all
 * memory then, so that what a queue may grow to counts as well.
 */
static uint32_t
start_buffers(const struct document *doc, const struct doc_memory *memory)
{
	return doc->eal.hugepages ? memory->buffers : memory->limit;
}

static uint64_t
queue_bytes(const struct document *doc, const struct doc_queue *queue)
{
	const struct doc_memory *memory = &queue->memory;

	/* 0: found wrong; what it should have been is not known. */
	if (memory->buffers == 0 || memory->limit == 0 || memory->buffer_size == 0)
		return 0;
	return vmq_queue_memory_bytes(start_buffers(doc, memory), memory->limit,
		memory->buffer_size);
}

/* Memory for what the VM sends, if there are so many buffers at the start. */
static uint64_t
xmit_bytes(const struct document *doc, const struct doc_queue *queue, uint32_t buffers)
{
	return vmq_queue_xmit_bytes(queue->backend.type, buffers, queue->memory.transmit.limit,
		queue->adapter < doc->n_adapters ? doc->adapters[queue->adapter].mtu
						 : RTE_ETHER_MTU);
}

static uint64_t
transmit_bytes(const struct document *doc, const struct doc_queue *queue)
{
	const struct doc_memory *memory = &queue->memory;
	const uint64_t rings = queue->backend.type == VMQ_BACKEND_VHOST
		? queue->backend.queue_pairs * (uint64_t)VMQ_VHOST_PAIR_BYTES : 0;

	return rings + xmit_bytes(doc, queue,
		doc->eal.hugepages ? memory->transmit.buffers : memory->transmit.limit);
}

uint64_t
doc_transmit_block_bytes(const struct document *doc, const struct doc_queue *queue)
{
	const uint64_t bytes = xmit_bytes(doc, queue, queue->memory.transmit.buffers);

	/* The list of the buffers is not in the block; a backend that only takes has neither. */
	return bytes == 0 ? 0 : bytes - vmq_pool_fixed_bytes(queue->memory.transmit.limit);
}

static bool
on_node(const struct doc_queue *queue, int node)
{
	return node == SOCKET_ID_ANY || queue->memory.node == node;
}

uint64_t
doc_queues_bytes(const struct document *doc, int node)
{
	const struct doc_queue *queue;
	uint64_t bytes = 0;
	size_t i;

	for (i = 0; i < doc_total_queues(doc); i++) {
		queue = doc_any_queue(doc, i, NULL);
		if (on_node(queue, node))
			bytes += queue_bytes(doc, queue);
	}
	return bytes;
}

/* EAL, drivers, and the lookup tables of the filters. */
static uint64_t
base_bytes(const struct document *doc)
{
	uint64_t filters = 0;
	size_t i;

	for (i = 0; i < doc_total_queues(doc); i++)
		filters += doc_any_queue(doc, i, NULL)->n_filters;
	return DOC_EAL_MIB * MIB + filters * DOC_FILTER_BYTES;
}

static uint64_t
backends_bytes(const struct document *doc)
{
	uint64_t bytes = 0;
	size_t i;

	for (i = 0; i < doc_total_queues(doc); i++)
		bytes += transmit_bytes(doc, doc_any_queue(doc, i, NULL));
	return bytes;
}

uint64_t
doc_needed_bytes(const struct document *doc)
{
	return doc_queues_bytes(doc, SOCKET_ID_ANY) + backends_bytes(doc) +
		doc_hardware_bytes(doc) + base_bytes(doc);
}

uint32_t
document_memory_mb(const struct document *doc)
{
	return (uint32_t)RTE_MIN((doc_needed_bytes(doc) + MIB - 1) / MIB, UINT64_C(0xffffffff));
}

/* Queues with the same memory. */
struct group {
	struct doc_memory memory;
	size_t queues;
	uint64_t bytes; /* of one queue */
};

static void
print_sum(FILE *out, uint64_t bytes)
{
	fprintf(out, "%.1f MiB", (double)bytes / MIB);
}

char *
doc_memory_arithmetic(const struct document *doc, int node)
{
	struct group groups[GROUPS_MAX] = {0};
	const struct doc_queue *queue;
	size_t n_groups = 0, others = 0, size, i, g;
	uint64_t other_bytes = 0, bytes;
	char *text = NULL;
	FILE *out;

	for (i = 0; i < doc_total_queues(doc); i++) {
		queue = doc_any_queue(doc, i, NULL);
		bytes = queue_bytes(doc, queue);
		if (bytes == 0 || !on_node(queue, node))
			continue;
		for (g = 0; g < n_groups; g++) {
			if (start_buffers(doc, &groups[g].memory) == start_buffers(doc, &queue->memory) &&
				groups[g].bytes == bytes)
				break;
		}
		if (g == GROUPS_MAX) {
			others++;
			other_bytes += bytes;
			continue;
		}
		if (g == n_groups)
			groups[n_groups++] = (struct group){queue->memory, 0, bytes};
		groups[g].queues++;
	}
	out = open_memstream(&text, &size);
	if (out == NULL)
		return NULL;
	for (g = 0; g < n_groups; g++) {
		fprintf(out, "%s%zu queue%s x %" PRIu32 " buffers x %" PRIu64 " bytes = ",
			g > 0 ? "; " : "", groups[g].queues, groups[g].queues == 1 ? "" : "s",
			start_buffers(doc, &groups[g].memory),
			groups[g].bytes / start_buffers(doc, &groups[g].memory));
		print_sum(out, groups[g].queues * groups[g].bytes);
	}
	if (others > 0) {
		fprintf(out, "; %zu other queues = ", others);
		print_sum(out, other_bytes);
	}
	if (node == SOCKET_ID_ANY) {
		if (backends_bytes(doc) > 0) {
			fprintf(out, "%sbackends = ", n_groups > 0 ? "; " : "");
			print_sum(out, backends_bytes(doc));
		}
		if (doc_hardware_bytes(doc) > 0) {
			fprintf(out, "%s%zu hardware queues, parked = ",
				ftell(out) > 0 ? "; " : "", doc_hardware_queues(doc));
			print_sum(out, doc_hardware_bytes(doc));
		}
		fprintf(out, "%sEAL, drivers and filters = ", ftell(out) > 0 ? "; " : "");
		print_sum(out, base_bytes(doc));
		fputs("; together ", out);
		print_sum(out, doc_needed_bytes(doc));
	}
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

void
doc_check_memory_mb(struct doc_reader *r)
{
	const struct document *doc = r->doc;
	const struct doc_path eal = {NULL, "eal", 0};
	uint32_t needed = document_memory_mb(doc);
	char hint[128];
	char *sum;

	if (doc->eal.memory_mb == 0 || doc->eal.memory_mb >= needed)
		return;
	sum = doc_memory_arithmetic(doc, SOCKET_ID_ANY);
	if (sum == NULL) {
		r->no_memory = true;
		return;
	}
	snprintf(hint, sizeof(hint), "set eal.memory_mb to %u, or leave it out", needed);
	doc_finding_add(r->findings, DOC_KEY(&eal, "memory_mb"), hint,
		"%u MiB are less than the document needs: %s", doc->eal.memory_mb, sum);
	free(sum);
}
