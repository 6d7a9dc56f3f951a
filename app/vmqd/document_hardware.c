/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Hardware queues of an adapter: what they are to be, and what they take. */

#include <assert.h>
#include <string.h>

#include <rte_common.h>

#include <vmq_queue.h>

#include "document_private.h"

/* Queues that come later can have hardware queues up to this limit; 8 bytes for each. */
#define LIMIT_MIN 16384

/* Virtual devices that take rte_flow rules, or may; no virtual device has VMDq. */
static const char *const flow_vdevs[] = {"net_tap", "net_bonding", "net_failsafe", "net_softnic"};

static_assert(DOC_VMDQ_VLANS_MAX == RTE_ETH_VMDQ_MAX_VLAN_FILTERS, "as many as ethdev takes");

static void
decode_vlans(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out)
{
	const struct doc_field one = {.size = sizeof(uint16_t), .min = 1, .max = 4094};
	struct doc_vmdq *vmdq = out;
	json_t *item;
	size_t i;
	uint16_t j;

	if (!doc_is_array(r, at, value, field->expect))
		return;
	if (json_array_size(value) == 0 || json_array_size(value) > RTE_DIM(vmdq->vlans)) {
		doc_finding_add(r->findings, at, field->expect, "has %zu VLANs",
			json_array_size(value));
		return;
	}
	json_array_foreach(value, i, item) {
		doc_decode_integer(r, DOC_INDEX(at, i), item, &one, &vmdq->vlans[i]);
		for (j = 0; j < i && vmdq->vlans[i] != 0; j++) {
			if (vmdq->vlans[j] != vmdq->vlans[i])
				continue;
			doc_finding_add(r->findings, DOC_INDEX(at, i), "keep one of them",
				"VLAN %u is in the list more than once", vmdq->vlans[i]);
			break;
		}
	}
	vmdq->n_vlans = (uint16_t)json_array_size(value);
}

static json_t *
encode_vlans(const struct document *doc __rte_unused, const struct doc_field *field __rte_unused,
	const void *in)
{
	const struct doc_vmdq *vmdq = in;
	json_t *list = json_array();
	uint16_t i;

	for (i = 0; i < vmdq->n_vlans; i++)
		json_array_append_new(list, json_integer(vmdq->vlans[i]));
	return list;
}

static const struct doc_field vmdq_fields[] = {
	{"vlans", .expect = "a list of 1 to 64 VLANs from 1 to 4094", .decode = decode_vlans,
		.encode = encode_vlans, .required = true},
};

void
doc_decode_vmdq(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field __rte_unused, void *out)
{
	doc_decode_object(r, at, value, vmdq_fields, RTE_DIM(vmdq_fields), out);
}

json_t *
doc_encode_vmdq(const struct document *doc, const struct doc_field *field __rte_unused,
	const void *in)
{
	const struct doc_vmdq *vmdq = in;
	json_t *object;

	if (vmdq->n_vlans == 0)
		return json_null();
	object = json_object();
	if (doc_encode_object(doc, object, vmdq_fields, RTE_DIM(vmdq_fields), vmdq) == 0)
		return object;
	json_decref(object);
	return NULL;
}

/*
 * Hardware queues suit the document's queues: buffers as most likely all of them have, and
 * a limit that none is over.
 */
void
document_hardware(const struct document *doc, size_t index, struct vmq_adapter_hardware *hardware)
{
	const struct doc_adapter *from = &doc->adapters[index];
	size_t i;

	hardware->steering = from->steering;
	hardware->slots = from->hardware_queues;
	hardware->rx_descriptors = from->rx_descriptors;
	hardware->vlans = from->vmdq.vlans;
	hardware->n_vlans = from->vmdq.n_vlans;
	hardware->buffer_size = from->default_queue.memory.buffer_size;
	hardware->limit = LIMIT_MIN;
	for (i = doc->n_queues; i-- > 0;) {
		if (doc->queues[i].adapter != index)
			continue;
		hardware->buffer_size = doc->queues[i].memory.buffer_size; /* the first one's */
		hardware->limit = RTE_MAX(hardware->limit, doc->queues[i].memory.limit);
	}
}

/* How many hardware queues there may come to be. A PCI device tells what it has at its start. */
static uint16_t
slots_of(const struct doc_adapter *adapter)
{
	size_t i;

	if (adapter->steering == VMQ_STEERING_SOFTWARE || adapter->device == NULL)
		return 0;
	if (adapter->steering != VMQ_STEERING_AUTO || doc_device_is_pci(adapter->device))
		return adapter->hardware_queues;
	for (i = 0; i < RTE_DIM(flow_vdevs); i++)
		if (strncmp(adapter->device, flow_vdevs[i], strlen(flow_vdevs[i])) == 0)
			return adapter->hardware_queues;
	return 0;
}

size_t
doc_hardware_queues(const struct document *doc)
{
	size_t i, n = 0;

	for (i = 0; i < doc->n_adapters; i++)
		n += slots_of(&doc->adapters[i]);
	return n;
}

uint64_t
doc_hardware_bytes(const struct document *doc)
{
	struct vmq_adapter_hardware hardware;
	uint64_t bytes = 0;
	size_t i;

	for (i = 0; i < doc->n_adapters; i++) {
		const uint16_t n = slots_of(&doc->adapters[i]);

		document_hardware(doc, i, &hardware);
		if (n > 0 && hardware.buffer_size != 0) /* 0: it was found wrong */
			bytes += n * (uint64_t)vmq_slot_memory_bytes(hardware.rx_descriptors,
				hardware.limit, hardware.buffer_size);
	}
	return bytes;
}
