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
		if (worker == doc->eal.n_workers)
			continue; /* a CPU of a document that does not run (yet) */
		if (mask == 0)
			*group = (uint32_t)(worker / GROUP_WORKERS);
		if (worker / GROUP_WORKERS == *group)
			mask |= UINT64_C(1) << (worker % GROUP_WORKERS);
	}
	return mask;
}

uint32_t
request_live_change(const char *key)
{
	static const struct {
		const char *key;
		uint32_t change;
	} live_keys[] = {
		{"name", VMQ_OID_QUEUE_NAME_CHANGED},
		{"affinity", VMQ_OID_QUEUE_AFFINITY_CHANGED},
		{"memory.buffers", VMQ_OID_QUEUE_SUGGESTED_BUFFERS_CHANGED},
		{"vm", VMQ_OID_QUEUE_VM_NAME_CHANGED},
		{"priority", VMQ_OID_QUEUE_PRIORITY_CHANGED},
		{"memory.min_buffers", VMQ_OID_QUEUE_DEMAND_CHANGED},
		{"memory.growth", VMQ_OID_QUEUE_DEMAND_CHANGED},
		{"keep_tags", VMQ_OID_QUEUE_OPTIONS_CHANGED},
		{"anti_spoof", VMQ_OID_QUEUE_OPTIONS_CHANGED},
		{"broadcast", VMQ_OID_QUEUE_OPTIONS_CHANGED},
		{"rate", VMQ_OID_QUEUE_RATE_CHANGED},
		{"rate.to_vm", VMQ_OID_QUEUE_RATE_CHANGED},
		{"rate.to_vm.mbps", VMQ_OID_QUEUE_RATE_CHANGED},
		{"rate.to_vm.burst_kb", VMQ_OID_QUEUE_RATE_CHANGED},
		{"rate.from_vm", VMQ_OID_QUEUE_RATE_CHANGED},
		{"rate.from_vm.mbps", VMQ_OID_QUEUE_RATE_CHANGED},
		{"rate.from_vm.burst_kb", VMQ_OID_QUEUE_RATE_CHANGED},
	};
	size_t i;

	for (i = 0; i < RTE_DIM(live_keys); i++)
		if (strcmp(live_keys[i].key, key) == 0)
			return live_keys[i].change;
	return 0;
}

/* Copy a string into a structure. */
static int
put_text(char *to, size_t size, const char *from, const char *what, struct vmq_error *err)
{
	if (from == NULL || strlcpy(to, from, size) < size)
		return 0;
	return vmq_error_errno(err, ENAMETOOLONG, "%s is longer than %zu bytes", what, size - 1);
}

static int
put_vhost(struct vmq_oid_queue_parameters *p, const struct doc_backend *backend,
	struct vmq_error *err)
{
	int ret;

	p->backend_flags = backend->server ? VMQ_OID_BACKEND_SERVER : 0;
	p->backend_queue_pairs = backend->queue_pairs;
	p->backend_permissions = backend->permissions;
	ret = put_text(p->backend_file, sizeof(p->backend_file), backend->socket,
		"the socket's path", err);
	if (ret == 0)
		ret = put_text(p->backend_owner, sizeof(p->backend_owner), backend->owner,
			"the socket's owner", err);
	if (ret == 0)
		ret = put_text(p->backend_group, sizeof(p->backend_group), backend->group,
			"the socket's group", err);
	return ret;
}

int
request_parameters(const struct document *doc, const struct doc_queue *queue,
	struct vmq_oid_queue_parameters *p, struct vmq_error *err)
{
	const struct doc_memory *memory = &queue->memory;
	int ret;

	*p = (struct vmq_oid_queue_parameters){
		.header = {.type = VMQ_OID_OBJECT_TYPE,
			.revision = VMQ_OID_QUEUE_PARAMETERS_REVISION,
			.size = VMQ_OID_QUEUE_PARAMETERS_SIZE_2},
		.queue_type = VMQ_OID_QUEUE_TYPE_VM,
		.suggested_receive_buffers = memory->buffers,
		.receive_buffers_limit = memory->limit,
		.receive_buffers_min = memory->min_buffers,
		.priority = queue->priority,
		.buffer_size = memory->buffer_size,
		.node = memory->node,
		.memory_flags = memory->contiguous ? VMQ_OID_MEMORY_CONTIGUOUS : 0,
		.demand_low = memory->growth.low,
		.demand_high = memory->growth.high,
		.demand_step = memory->growth.step,
		.demand_hold_ms = memory->growth.hold_ms,
		.transmit_buffers = memory->transmit.buffers,
		.transmit_buffers_limit = memory->transmit.limit,
		.options = (queue->keep_tags ? VMQ_OID_OPTION_KEEP_TAGS : 0) |
			(queue->anti_spoof ? 0 : VMQ_OID_OPTION_ALLOW_SPOOFING) |
			(queue->broadcast ? VMQ_OID_OPTION_BROADCAST : 0) |
			(queue->receive_only ? VMQ_OID_OPTION_RECEIVE_ONLY : 0),
		.backend_type = queue->backend.type,
		.rate_to_vm_mbps = queue->rate.to_vm.mbps,
		.rate_to_vm_burst_kb = queue->rate.to_vm.burst_kb,
		.rate_from_vm_mbps = queue->rate.from_vm.mbps,
		.rate_from_vm_burst_kb = queue->rate.from_vm.burst_kb,
	};
	p->processor_affinity = affinity_mask(doc, queue, &p->processor_group);
	ret = put_text(p->queue_name, sizeof(p->queue_name), queue->name, "the name", err);
	if (ret == 0)
		ret = put_text(p->vm_name, sizeof(p->vm_name), queue->vm, "the VM's name", err);
	if (ret == 0 && queue->backend.type == VMQ_BACKEND_VHOST)
		ret = put_vhost(p, &queue->backend, err);
	else if (ret == 0)
		ret = put_text(p->backend_file, sizeof(p->backend_file), queue->backend.file,
			"the file's path", err);
	if (ret == 0)
		ret = put_text(p->backend_device, sizeof(p->backend_device),
			queue->backend.device, "the device's string", err);
	return ret;
}

/* Copy a string out of a structure; "" is none. Returns false: no memory. */
static bool
take_text(char **to, const char *from)
{
	*to = from[0] != '\0' ? strdup(from) : NULL;
	return from[0] == '\0' || *to != NULL;
}

static bool
take_backend(const struct vmq_oid_queue_parameters *p, struct doc_backend *backend)
{
	backend->type = (enum vmq_backend_type)p->backend_type;
	if (backend->type != VMQ_BACKEND_VHOST)
		return take_text(&backend->file, p->backend_file) &&
			take_text(&backend->device, p->backend_device);
	backend->server = (p->backend_flags & VMQ_OID_BACKEND_SERVER) != 0;
	/* 0 is one. */
	backend->queue_pairs = (uint16_t)RTE_MAX(p->backend_queue_pairs, 1u);
	backend->permissions = p->backend_permissions;
	return take_text(&backend->socket, p->backend_file) &&
		take_text(&backend->owner, p->backend_owner) &&
		take_text(&backend->group, p->backend_group);
}

static bool
take_affinity(const struct document *doc, const struct vmq_oid_queue_parameters *p,
	struct doc_queue *queue)
{
	size_t bit, worker;

	queue->affinity = calloc(GROUP_WORKERS, sizeof(*queue->affinity));
	if (queue->affinity == NULL)
		return false;
	for (bit = 0; bit < GROUP_WORKERS; bit++) {
		worker = (size_t)p->processor_group * GROUP_WORKERS + bit;
		if ((p->processor_affinity & UINT64_C(1) << bit) && worker < doc->eal.n_workers)
			queue->affinity[queue->n_affinity++] = doc->eal.workers[worker];
	}
	return true;
}

int
request_read_parameters(const struct document *doc, const struct vmq_oid_queue_parameters *p,
	struct doc_queue *queue)
{
	*queue = (struct doc_queue){
		.memory = {
			.buffers = p->suggested_receive_buffers,
			.limit = p->receive_buffers_limit,
			.buffer_size = p->buffer_size,
			.node = p->node,
			.contiguous = (p->memory_flags & VMQ_OID_MEMORY_CONTIGUOUS) != 0,
			/* 0: all or nothing, which the document says as it is. */
			.min_buffers = p->receive_buffers_min != 0
				? p->receive_buffers_min : p->suggested_receive_buffers,
			.growth = {
				.low = p->demand_low,
				.high = p->demand_high,
				.step = p->demand_step,
				.hold_ms = p->demand_hold_ms,
			},
			/* 0: the defaults. */
			.transmit = {
				.buffers = RTE_MAX(p->transmit_buffers, (uint32_t)VMQ_XMIT_BUFFERS),
				.limit = p->transmit_buffers_limit != 0 ? p->transmit_buffers_limit
					: RTE_MAX(p->transmit_buffers, (uint32_t)VMQ_XMIT_BUFFERS),
			},
		},
		.keep_tags = (p->options & VMQ_OID_OPTION_KEEP_TAGS) != 0,
		.anti_spoof = (p->options & VMQ_OID_OPTION_ALLOW_SPOOFING) == 0,
		.broadcast = (p->options & VMQ_OID_OPTION_BROADCAST) != 0,
		.receive_only = (p->options & VMQ_OID_OPTION_RECEIVE_ONLY) != 0,
		.rate = {
			.to_vm = {p->rate_to_vm_mbps, p->rate_to_vm_burst_kb},
			.from_vm = {p->rate_from_vm_mbps, p->rate_from_vm_burst_kb},
		},
		.priority = (uint8_t)p->priority,
	};
	if (p->demand_low == 0 && p->demand_high == 0 && p->demand_step == 0)
		queue->memory.growth = vmq_pool_demand_default(queue->memory.buffers);
	if (take_text(&queue->name, p->queue_name) && take_text(&queue->vm, p->vm_name) &&
		take_backend(p, &queue->backend) && take_affinity(doc, p, queue))
		return 0;
	doc_queue_free(queue);
	*queue = (struct doc_queue){0};
	return -ENOMEM;
}

int
request_query(struct vmq_oid_adapter *adapter, struct vmq_oid_owner *owner, uint16_t id,
	struct vmq_oid_queue_parameters *parameters, struct vmq_error *err)
{
	parameters->header = (struct vmq_oid_header){
		.type = VMQ_OID_OBJECT_TYPE,
		.revision = VMQ_OID_QUEUE_PARAMETERS_REVISION,
		.size = VMQ_OID_QUEUE_PARAMETERS_SIZE_2,
	};
	parameters->queue_id = id;
	return make(adapter, owner, VMQ_OID_METHOD, VMQ_OID_QUEUE_PARAMETERS, parameters,
		sizeof(*parameters), err);
}

int
request_change(struct vmq_oid_adapter *adapter, struct vmq_oid_owner *owner, uint16_t id,
	const struct document *doc, const struct doc_queue *queue, uint32_t changes,
	struct vmq_error *err)
{
	struct vmq_oid_queue_parameters p;
	int ret = request_parameters(doc, queue, &p, err);

	if (ret < 0)
		return ret;
	p.queue_id = id;
	p.flags = changes;
	return make(adapter, owner, VMQ_OID_SET, VMQ_OID_QUEUE_PARAMETERS, &p, sizeof(p), err);
}

int
request_allocate(struct vmq_oid_adapter *adapter, struct vmq_oid_owner *owner,
	const struct document *doc, const struct doc_queue *queue, uint16_t *id,
	struct vmq_error *err)
{
	return request_allocate_with(adapter, owner, doc, queue, 0, 0, id, err);
}

int
request_allocate_with(struct vmq_oid_adapter *adapter, struct vmq_oid_owner *owner,
	const struct document *doc, const struct doc_queue *queue, uint32_t flags,
	uint32_t port_id, uint16_t *id, struct vmq_error *err)
{
	struct vmq_oid_queue_parameters p;
	int ret = request_parameters(doc, queue, &p, err);

	p.flags = flags;
	p.port_id = port_id;
	if (ret == 0)
		ret = make(adapter, owner, VMQ_OID_METHOD, VMQ_OID_ALLOCATE_QUEUE, &p, sizeof(p),
			err);
	if (ret == 0)
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

/* The filter that makes these tests. */
static const struct vmq_filter *
find_filter(struct vmq_oid_adapter *adapter, const struct vmq_filter_match *match,
	struct vmq_error *err)
{
	struct vmq_adapter *beneath = vmq_oid_adapter_beneath(adapter);
	const struct vmq_filter *filter;
	char text[VMQ_FILTER_TEXT_SIZE];

	filter = vmq_filter_find_equal(vmq_adapter_filters(beneath), match);
	if (filter == NULL)
		vmq_error_errno(err, 0, "adapter %s has no filter %s", vmq_adapter_name(beneath),
			vmq_filter_text(match, text));
	return filter;
}

int
request_clear_filter(struct vmq_oid_adapter *adapter, struct vmq_oid_owner *owner,
	const struct vmq_filter_match *match, struct vmq_error *err)
{
	const struct vmq_filter *filter = find_filter(adapter, match, err);
	struct vmq_oid_clear_filter in = {.header = VMQ_OID_HEADER(in)};

	if (filter == NULL)
		return -ENOENT;
	in.filter_id = filter->id;
	return make(adapter, owner, VMQ_OID_SET, VMQ_OID_CLEAR_FILTER, &in, sizeof(in), err);
}

int
request_move_filter(struct vmq_oid_adapter *adapter, struct vmq_oid_owner *owner,
	const struct vmq_filter_match *match, uint16_t to, struct vmq_error *err)
{
	const struct vmq_filter *filter = find_filter(adapter, match, err);
	struct vmq_oid_move_filter in = {.header = VMQ_OID_HEADER(in)};

	if (filter == NULL)
		return -ENOENT;
	in.filter_id = filter->id;
	in.source_queue_id = filter->queue_id;
	in.destination_queue_id = to;
	return make(adapter, owner, VMQ_OID_SET, VMQ_OID_MOVE_FILTER, &in, sizeof(in), err);
}

/* A request under way; it lives until its callback. */
struct pending {
	struct vmq_oid_request request;
	request_callback *callback;
	void *arg;
	_Alignas(8) unsigned char information[];
};

static struct pending *
pending_create(struct vmq_oid_owner *owner, enum vmq_oid_request_type type, uint32_t oid,
	size_t length, request_callback *callback, void *arg)
{
	struct pending *pending = calloc(1, sizeof(*pending) + length);

	if (pending == NULL)
		return NULL;
	pending->request = (struct vmq_oid_request){
		.owner = owner,
		.type = type,
		.oid = oid,
		.information = pending->information,
		.information_length = (uint32_t)length,
		.arg = pending,
	};
	pending->callback = callback;
	pending->arg = arg;
	return pending;
}

static int
errno_of(enum vmq_status status)
{
	switch (status) {
	case VMQ_STATUS_SUCCESS:
		return 0;
	case VMQ_STATUS_RESOURCES:
		return -ENOMEM;
	case VMQ_STATUS_REQUEST_ABORTED:
		return -ECANCELED;
	default:
		return -EINVAL;
	}
}

static void
on_complete(struct vmq_oid_request *request, enum vmq_status status)
{
	struct pending *pending = request->arg;

	pending->callback(pending->arg, errno_of(status), &request->error);
	free(pending);
}

/* Make it; what is refused or done at once is not under way. */
static int
pending_start(struct vmq_oid_adapter *adapter, struct pending *pending, struct vmq_error *err)
{
	enum vmq_status status;

	pending->request.complete = on_complete;
	status = vmq_oid_request(adapter, &pending->request);
	if (status == VMQ_STATUS_PENDING)
		return 0;
	*err = pending->request.error;
	free(pending);
	/* Neither of the two requests is ever done at once. */
	return status == VMQ_STATUS_SUCCESS ? -EPROTO : errno_of(status);
}

int
request_free(struct vmq_oid_adapter *adapter, struct vmq_oid_owner *owner, uint16_t id,
	request_callback *callback, void *arg, struct vmq_error *err)
{
	struct vmq_oid_free_queue *in;
	struct pending *pending = pending_create(owner, VMQ_OID_SET, VMQ_OID_FREE_QUEUE,
		sizeof(*in), callback, arg);

	if (pending == NULL)
		return vmq_error_errno(err, ENOMEM, "no memory for a request");
	in = pending->request.information;
	*in = (struct vmq_oid_free_queue){.header = VMQ_OID_HEADER(*in), .queue_id = id};
	return pending_start(adapter, pending, err);
}

/* A batch of QUEUE_ALLOCATION_COMPLETE. */
struct batch {
	struct vmq_oid_allocation_complete_array array;
	struct vmq_oid_allocation_complete elements[];
};

static size_t
batch_length(size_t n)
{
	return sizeof(struct batch) + n * sizeof(struct vmq_oid_allocation_complete);
}

static void
batch_fill(struct batch *batch, const uint16_t *ids, size_t n)
{
	size_t i;

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
}

int
request_complete_async(struct vmq_oid_adapter *adapter, struct vmq_oid_owner *owner,
	const uint16_t *ids, size_t n, request_callback *callback, void *arg,
	struct vmq_error *err)
{
	struct pending *pending = pending_create(owner, VMQ_OID_METHOD,
		VMQ_OID_QUEUE_ALLOCATION_COMPLETE, batch_length(n), callback, arg);

	if (pending == NULL)
		return vmq_error_errno(err, ENOMEM, "no memory for a batch of %zu queues", n);
	batch_fill(pending->request.information, ids, n);
	return pending_start(adapter, pending, err);
}

int
request_complete(struct vmq_oid_adapter *adapter, struct vmq_oid_owner *owner,
	const uint16_t *ids, size_t n, size_t *failed, struct vmq_error *err)
{
	struct batch *batch;
	size_t i;
	int ret;

	*failed = 0;
	if (n == 0)
		return 0;
	batch = calloc(1, batch_length(n));
	if (batch == NULL)
		return vmq_error_errno(err, ENOMEM, "no memory for a batch of %zu queues", n);
	batch_fill(batch, ids, n);
	ret = make(adapter, owner, VMQ_OID_METHOD, VMQ_OID_QUEUE_ALLOCATION_COMPLETE, batch,
		batch_length(n), err);
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
