/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#include "requests.h"

/* Workers that one affinity mask can name. */
#define GROUP_WORKERS 64

/* Make a request; its error text becomes the caller's. */
static int
make(struct vmq_oid_adapter *adapter, struct vmq_oid_owner *owner, enum vmq_oid_request_type type,
	uint32_t oid, void *information, size_t length, struct vmq_error *err)
{
	struct vmq_oid_request request = {
		.owner = owner,
		.type = type,
		.oid = oid,
		.information = information,
		.information_length = (uint32_t)length,
	};
	enum vmq_status status = vmq_oid_request(adapter, &request);

	if (status == VMQ_STATUS_SUCCESS)
		return 0;
	*err = request.error;
	return status == VMQ_STATUS_RESOURCES ? -ENOMEM : -EINVAL;
}

/*
 * CPUs of a document to a mask of worker numbers. A mask has one group of 64 workers: of
 * more, those in the group of the queue's first CPU count.
 */
static uint64_t
affinity_mask(const struct document *doc, const struct doc_queue *queue, uint32_t *group)
{
	uint64_t mask = 0;
	size_t i, worker;

	for (i = 0; i < queue->n_affinity; i++) {
		for (worker = 0; worker < doc->eal.n_workers; worker++)
			if (doc->eal.workers[worker] == queue->affinity[i])
				break;
		if (mask == 0)
			*group = (uint32_t)(worker / GROUP_WORKERS);
		if (worker / GROUP_WORKERS == *group)
			mask |= UINT64_C(1) << (worker % GROUP_WORKERS);
	}
	return mask;
}

int
request_allocate(struct vmq_oid_adapter *adapter, struct vmq_oid_owner *owner,
	const struct document *doc, const struct doc_queue *queue, uint16_t *id,
	struct vmq_error *err)
{
	const struct doc_memory *memory = &queue->memory;
	struct vmq_oid_queue_parameters p = {
		.header = {.type = VMQ_OID_OBJECT_TYPE,
			.revision = VMQ_OID_QUEUE_PARAMETERS_REVISION,
			.size = VMQ_OID_QUEUE_PARAMETERS_SIZE_2},
		.queue_type = VMQ_OID_QUEUE_TYPE_VM,
		.suggested_receive_buffers = memory->buffers,
		.receive_buffers_limit = memory->limit,
		.receive_buffers_min = memory->min_buffers,
		.buffer_size = memory->buffer_size,
		.node = memory->node,
		.memory_flags = memory->contiguous ? VMQ_OID_MEMORY_CONTIGUOUS : 0,
		.demand_low = memory->growth.low,
		.demand_high = memory->growth.high,
		.demand_step = memory->growth.step,
		.demand_hold_ms = memory->growth.hold_ms,
		.options = queue->keep_tags ? VMQ_OID_OPTION_KEEP_TAGS : 0,
		.backend_type = queue->backend.type,
	};
	int ret;

	p.processor_affinity = affinity_mask(doc, queue, &p.processor_group);
	strlcpy(p.queue_name, queue->name, sizeof(p.queue_name));
	strlcpy(p.vm_name, queue->vm, sizeof(p.vm_name));
	if (queue->backend.type == VMQ_BACKEND_VHOST) {
		p.backend_flags = queue->backend.server ? VMQ_OID_BACKEND_SERVER : 0;
		p.backend_queue_pairs = queue->backend.queue_pairs;
		p.backend_permissions = queue->backend.permissions;
		strlcpy(p.backend_file, queue->backend.socket, sizeof(p.backend_file));
		if (queue->backend.owner != NULL)
			strlcpy(p.backend_owner, queue->backend.owner, sizeof(p.backend_owner));
		if (queue->backend.group != NULL)
			strlcpy(p.backend_group, queue->backend.group, sizeof(p.backend_group));
	}
	if (queue->backend.file != NULL &&
		strlcpy(p.backend_file, queue->backend.file, sizeof(p.backend_file)) >=
			sizeof(p.backend_file))
		return vmq_error_errno(err, ENAMETOOLONG, "the file's path is too long");
	if (queue->backend.device != NULL &&
		strlcpy(p.backend_device, queue->backend.device, sizeof(p.backend_device)) >=
			sizeof(p.backend_device))
		return vmq_error_errno(err, ENAMETOOLONG, "the device's arguments are too long");
	ret = make(adapter, owner, VMQ_OID_METHOD, VMQ_OID_ALLOCATE_QUEUE, &p, sizeof(p), err);
	*id = (uint16_t)p.queue_id;
	return ret;
}

/* The structure of a filter with its tests right behind it. */
struct filter_request {
	struct vmq_oid_filter_parameters parameters;
	struct vmq_oid_field_parameters fields[2];
};

static struct vmq_oid_field_parameters *
add_field(struct filter_request *request, enum vmq_oid_field field)
{
	struct vmq_oid_field_parameters *added =
		&request->fields[request->parameters.fields.n_elements++];

	*added = (struct vmq_oid_field_parameters){
		.header = VMQ_OID_HEADER(struct vmq_oid_field_parameters),
		.frame_header = VMQ_OID_FRAME_MAC,
		.field = field,
		.test = VMQ_OID_TEST_EQUAL,
	};
	return added;
}

int
request_set_filter(struct vmq_oid_adapter *adapter, struct vmq_oid_owner *owner, uint16_t id,
	const struct vmq_filter_match *match, struct vmq_error *err)
{
	struct filter_request request = {
		.parameters = {
			.header = VMQ_OID_HEADER(struct vmq_oid_filter_parameters),
			.filter_type = VMQ_OID_FILTER_TYPE_VMQ,
			.queue_id = id,
			.fields = {
				.first_offset = offsetof(struct filter_request, fields),
				.element_size = sizeof(struct vmq_oid_field_parameters),
			},
		},
	};
	struct vmq_oid_field_parameters *field;

	if (match->has_mac) {
		field = add_field(&request, VMQ_OID_FIELD_DESTINATION);
		memcpy(field->value.bytes, match->mac.addr_bytes, sizeof(match->mac.addr_bytes));
		if (match->vlan_test == VMQ_VLAN_UNTAGGED)
			field->flags = VMQ_OID_FIELD_VLAN_UNTAGGED_OR_ZERO;
	}
	if (match->vlan_test == VMQ_VLAN_ID)
		add_field(&request, VMQ_OID_FIELD_VLAN_ID)->value.u16 = match->vlan_id;
	return make(adapter, owner, VMQ_OID_METHOD, VMQ_OID_SET_FILTER, &request, sizeof(request),
		err);
}

int
request_complete(struct vmq_oid_adapter *adapter, struct vmq_oid_owner *owner,
	const uint16_t *ids, size_t n, size_t *failed, struct vmq_error *err)
{
	struct batch {
		struct vmq_oid_allocation_complete_array array;
		struct vmq_oid_allocation_complete elements[];
	} *batch;
	const size_t length = sizeof(*batch) + n * sizeof(batch->elements[0]);
	size_t i;
	int ret;

	*failed = 0;
	if (n == 0)
		return 0;
	batch = calloc(1, length);
	if (batch == NULL)
		return vmq_error_errno(err, ENOMEM, "no memory for a batch of %zu queues", n);
	batch->array.header = VMQ_OID_HEADER(struct vmq_oid_allocation_complete_array);
	batch->array.array = (struct vmq_oid_array){
		.first_offset = sizeof(batch->array),
		.n_elements = (uint32_t)n,
		.element_size = sizeof(batch->elements[0]),
	};
	for (i = 0; i < n; i++) {
		batch->elements[i].header = VMQ_OID_HEADER(struct vmq_oid_allocation_complete);
		batch->elements[i].queue_id = ids[i];
	}
	ret = make(adapter, owner, VMQ_OID_METHOD, VMQ_OID_QUEUE_ALLOCATION_COMPLETE, batch, length,
		err);
	for (i = 0; ret < 0 && i < n; i++) {
		if (batch->elements[i].status == VMQ_STATUS_SUCCESS ||
			batch->elements[i].reason[0] == '\0')
			continue;
		*failed = i;
		strlcpy(err->text, batch->elements[i].reason, sizeof(err->text));
		break;
	}
	free(batch);
	return ret;
}
