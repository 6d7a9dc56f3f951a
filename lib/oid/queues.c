/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* ALLOCATE_QUEUE, FREE_QUEUE, ENUM_QUEUES. */

#include <string.h>

#include "oid_private.h"

static enum vmq_status
check_parameters(struct vmq_oid_request *request, const struct vmq_oid_queue_parameters *in)
{
	const enum vmq_status bad = VMQ_STATUS_INVALID_PARAMETER;
	struct vmq_error *err = &request->error;

	if (in->queue_type != VMQ_OID_QUEUE_TYPE_VM)
		return vmq_error_set(err, VMQ_STATUS_NOT_SUPPORTED,
			"queue type %u: there are VM queues only, type %u", in->queue_type,
			VMQ_OID_QUEUE_TYPE_VM);
	if (in->flags & ~VMQ_OID_QUEUE_PER_QUEUE_RECEIVE_INDICATION)
		return vmq_error_set(err, bad, "flags 0x%08x are not for a queue to be allocated",
			in->flags & ~VMQ_OID_QUEUE_PER_QUEUE_RECEIVE_INDICATION);
	if (in->lookahead_size != 0)
		return vmq_error_set(err, bad, "the lookahead size is %u and must be 0",
			in->lookahead_size);
	if (!oid_has_end(in->vm_name, sizeof(in->vm_name)) ||
		!oid_has_end(in->queue_name, sizeof(in->queue_name)))
		return vmq_error_set(err, bad, "the name of the %s has no end",
			oid_has_end(in->vm_name, sizeof(in->vm_name)) ? "queue" : "VM");
	return VMQ_STATUS_SUCCESS;
}

static enum vmq_status
check_vhost(struct vmq_oid_request *request, const struct vmq_oid_queue_parameters *in)
{
	const bool server = (in->backend_flags & VMQ_OID_BACKEND_SERVER) != 0;
	const enum vmq_status bad = VMQ_STATUS_INVALID_PARAMETER;
	struct vmq_error *err = &request->error;

	if (in->backend_type != VMQ_BACKEND_VHOST) {
		if (in->backend_flags != 0 || in->backend_queue_pairs != 0 ||
			in->backend_permissions != 0 || in->backend_owner[0] != '\0' ||
			in->backend_group[0] != '\0')
			return vmq_error_set(err, bad, "flags, queue pairs, permissions, owner and "
				"group are of a vhost-user backend");
		return VMQ_STATUS_SUCCESS;
	}
	if (strlen(in->backend_file) > VMQ_VHOST_SOCKET_MAX)
		return vmq_error_set(err, bad, "the path of a socket has at most %u bytes",
			VMQ_VHOST_SOCKET_MAX);
	if ((in->backend_flags & ~VMQ_OID_BACKEND_SERVER) != 0 ||
		in->backend_queue_pairs > VMQ_VHOST_PAIRS_MAX ||
		(in->backend_permissions & ~UINT32_C(0777)) != 0)
		return vmq_error_set(err, bad,
			"unknown backend flags (0x%08x), over %u queue pairs (%u) or permissions "
			"(0%o)", in->backend_flags, VMQ_VHOST_PAIRS_MAX, in->backend_queue_pairs,
			in->backend_permissions);
	if (!server && (in->backend_permissions != 0 || in->backend_owner[0] != '\0' ||
		in->backend_group[0] != '\0'))
		return vmq_error_set(err, bad, "permissions, owner and group are of a socket that "
			"the queue makes (VMQ_OID_BACKEND_SERVER)");
	return VMQ_STATUS_SUCCESS;
}

#define OPTIONS                                                                                    \
	(VMQ_OID_OPTION_KEEP_TAGS | VMQ_OID_OPTION_ALLOW_SPOOFING | VMQ_OID_OPTION_BROADCAST |     \
		VMQ_OID_OPTION_RECEIVE_ONLY)

static enum vmq_status
check_extension(struct vmq_oid_request *request, const struct vmq_oid_queue_parameters *in)
{
	const enum vmq_status bad = VMQ_STATUS_INVALID_PARAMETER;
	struct vmq_error *err = &request->error;

	if (in->buffer_size < VMQ_BUFFER_SIZE_MIN || in->buffer_size > VMQ_BUFFER_SIZE_MAX)
		return vmq_error_set(err, bad, "buffers of %u bytes: there are %u to %u",
			in->buffer_size, VMQ_BUFFER_SIZE_MIN, VMQ_BUFFER_SIZE_MAX);
	if (in->node < SOCKET_ID_ANY)
		return vmq_error_set(err, bad, "there is no NUMA node %d", in->node);
	if ((in->memory_flags & ~VMQ_OID_MEMORY_CONTIGUOUS) ||
		(in->options & ~OPTIONS))
		return vmq_error_set(err, bad,
			"unknown memory flags (0x%08x) or options (0x%08x)", in->memory_flags,
			in->options);
	if (in->priority > UINT8_MAX || in->reserved != 0)
		return vmq_error_set(&request->error, VMQ_STATUS_INVALID_PARAMETER,
			"a priority of %u, with %u behind it: not in 0 to 255, and 0", in->priority,
			in->reserved);
	if (!oid_has_end(in->backend_file, sizeof(in->backend_file)) ||
		!oid_has_end(in->backend_device, sizeof(in->backend_device)) ||
		!oid_has_end(in->backend_owner, sizeof(in->backend_owner)) ||
		!oid_has_end(in->backend_group, sizeof(in->backend_group)))
		return vmq_error_set(err, bad, "the backend's file, device, owner or group has no end");
	if (in->backend_type >= VMQ_BACKEND_COUNT)
		return vmq_error_set(err, VMQ_STATUS_NOT_SUPPORTED, "there is no backend type %u",
			in->backend_type);
	if ((in->backend_type == VMQ_BACKEND_PCAP || in->backend_type == VMQ_BACKEND_VHOST) !=
			(in->backend_file[0] != '\0') ||
		(in->backend_type == VMQ_BACKEND_ETHDEV) != (in->backend_device[0] != '\0'))
		return vmq_error_set(err, bad,
			"a pcap backend has a file, a vhost-user backend has a socket as its file, an "
			"ethdev backend has a device, no other has");
	return check_vhost(request, in);
}

/* What revision 1 does not say. */
static void
set_defaults(const struct vmq_oid_queue_parameters *in, struct vmq_queue_params *params)
{
	uint32_t buffers = in->suggested_receive_buffers;

	if (buffers == 0)
		buffers = VMQ_OID_BUFFERS_DEFAULT;
	params->memory = (struct vmq_queue_memory){
		.buffers = buffers,
		.limit = (uint32_t)RTE_MIN((uint64_t)buffers * VMQ_OID_LIMIT_DEFAULT_TIMES,
			(uint64_t)UINT32_MAX),
		.buffer_size = VMQ_OID_BUFFER_SIZE_DEFAULT,
		.node = SOCKET_ID_ANY,
	};
	params->backend.type = VMQ_BACKEND_SINK;
}

static void
read_extension(const struct vmq_oid_queue_parameters *in, struct vmq_queue_params *params)
{
	params->memory = (struct vmq_queue_memory){
		.buffers = in->suggested_receive_buffers,
		.limit = in->receive_buffers_limit,
		.buffer_size = in->buffer_size,
		.min_buffers = in->receive_buffers_min,
		.node = in->node,
		.contiguous = (in->memory_flags & VMQ_OID_MEMORY_CONTIGUOUS) != 0,
		.demand = {
			.low = in->demand_low,
			.high = in->demand_high,
			.step = in->demand_step,
			.hold_ms = in->demand_hold_ms,
		},
		.xmit_buffers = in->transmit_buffers,
		.xmit_limit = in->transmit_buffers_limit,
	};
	params->keep_tags = (in->options & VMQ_OID_OPTION_KEEP_TAGS) != 0;
	params->allow_spoofing = (in->options & VMQ_OID_OPTION_ALLOW_SPOOFING) != 0;
	params->broadcast = (in->options & VMQ_OID_OPTION_BROADCAST) != 0;
	params->receive_only = (in->options & VMQ_OID_OPTION_RECEIVE_ONLY) != 0;
	oid_read_rates(in, params);
	params->priority = (uint8_t)in->priority;
	params->backend.type = (enum vmq_backend_type)in->backend_type;
	if (in->backend_type == VMQ_BACKEND_VHOST)
		params->backend.vhost = (struct vmq_backend_vhost){
			.socket = in->backend_file,
			.server = (in->backend_flags & VMQ_OID_BACKEND_SERVER) != 0,
			.owner = in->backend_owner[0] != '\0' ? in->backend_owner : NULL,
			.group = in->backend_group[0] != '\0' ? in->backend_group : NULL,
			.permissions = in->backend_permissions,
			.queue_pairs = (uint16_t)in->backend_queue_pairs,
		};
	else
		params->backend.file = in->backend_file[0] != '\0' ? in->backend_file : NULL;
	params->backend.device = in->backend_device[0] != '\0' ? in->backend_device : NULL;
}

enum vmq_status
oid_allocate_queue(struct vmq_oid_adapter *adapter, struct vmq_oid_request *request)
{
	const struct vmq_oid_queue_parameters *in = request->information;
	struct vmq_queue_params params = {.name = in->queue_name,
		.vm = in->vm_name[0] != '\0' ? in->vm_name : NULL};
	struct queue_record *record;
	enum vmq_status status;
	uint16_t id;

	status = check_parameters(request, in);
	if (status == VMQ_STATUS_SUCCESS && in->header.revision >= 2)
		status = check_extension(request, in);
	if (status == VMQ_STATUS_SUCCESS)
		status = oid_pick_worker(request, in, -1, &params.worker);
	if (status != VMQ_STATUS_SUCCESS)
		return status;
	if (in->header.revision >= 2)
		read_extension(in, &params);
	else
		set_defaults(in, &params);
	if (!oid_reserve_queue(adapter))
		return vmq_error_set(&request->error, VMQ_STATUS_RESOURCES,
			"no memory for a queue's record");
	status = vmq_queue_allocate(adapter->beneath, &params, &id, &request->error);
	if (status != VMQ_STATUS_SUCCESS)
		return status;
	record = oid_add_queue(adapter, id, request->owner);
	record->affinity = in->processor_affinity;
	record->group = in->processor_group;
	record->flags = in->flags;
	record->port_id = in->port_id;
	return oid_write_parameters(request, id);
}

/* A queue is gone, or its adapter is. */
static void
on_freed(void *arg, uint16_t id, enum vmq_status status)
{
	struct vmq_oid_adapter *adapter = arg;
	struct vmq_oid_request *request = adapter->queues[id].freeing;

	oid_drop_queue(adapter, id);
	adapter->changes++;
	if (request == NULL)
		return;
	if (status != VMQ_STATUS_SUCCESS)
		vmq_error_set(&request->error, status,
			"the adapter was halted, and packets of queue %u are not home", id);
	request->complete(request, status);
}

enum vmq_status
oid_free_queue(struct vmq_oid_adapter *adapter, struct vmq_oid_request *request)
{
	const struct vmq_oid_free_queue *in = request->information;
	struct queue_record *record;
	struct vmq_queue_info info;
	enum vmq_status status;

	status = oid_queue_access(request, in->queue_id, ACCESS_REMOVE, &info);
	if (status != VMQ_STATUS_SUCCESS)
		return status;
	record = oid_reserve_record(adapter, info.id);
	if (record == NULL)
		return vmq_error_set(&request->error, VMQ_STATUS_RESOURCES,
			"no memory for queue %u's record", info.id);
	status = vmq_queue_free(adapter->beneath, info.id, on_freed, adapter, &request->error);
	if (status == VMQ_STATUS_PENDING && request->complete != NULL)
		record->freeing = request;
	return status;
}

static enum vmq_oid_operational_state
operational_state(enum vmq_queue_state state)
{
	switch (state) {
	case VMQ_QUEUE_RUNNING:
		return VMQ_OID_STATE_RUNNING;
	case VMQ_QUEUE_ALLOCATED:
	case VMQ_QUEUE_SET:
	case VMQ_QUEUE_PAUSED:
		return VMQ_OID_STATE_PAUSED;
	case VMQ_QUEUE_DMA_STOPPED:
	case VMQ_QUEUE_FREEING:
		return VMQ_OID_STATE_DMA_STOPPED;
	default:
		return VMQ_OID_STATE_UNDEFINED;
	}
}

static void
write_info(const struct vmq_oid_adapter *adapter, uint16_t id, struct vmq_oid_queue_info *out)
{
	const struct queue_record *record = oid_queue_record(adapter, id);
	struct vmq_queue_info info;

	vmq_queue_info_get(adapter->beneath, id, &info); /* it was seen a moment ago */
	*out = (struct vmq_oid_queue_info){
		.header = VMQ_OID_HEADER(*out),
		.flags = record->flags,
		.queue_type = VMQ_OID_QUEUE_TYPE_VM,
		.queue_id = id,
		.operational_state = operational_state(info.state),
		.exact_state = info.state,
		.processor = info.worker,
		.n_filters = info.n_filters,
		.receive_buffers = info.memory.populated,
		.missing_packets = info.missing,
		.freeing_ms = (uint32_t)RTE_MIN(info.freeing_ms, (uint64_t)UINT32_MAX),
	};
	out->processor_affinity = oid_affinity(record, info.worker, &out->processor_group);
	oid_copy_text(out->owner, sizeof(out->owner),
		record->owner != NULL ? record->owner->name : "");
	oid_copy_text(out->vm_name, sizeof(out->vm_name), info.vm);
	oid_copy_text(out->queue_name, sizeof(out->queue_name), info.name);
}

enum vmq_status
oid_enum_queues(struct vmq_oid_adapter *adapter, struct vmq_oid_request *request)
{
	struct vmq_oid_queue_info_array *out = request->information;
	enum vmq_status status;
	uint32_t n = 0;
	int id;

	for (id = -1; (id = vmq_queue_next(adapter->beneath, id)) >= 0;)
		n += oid_sees_queue(request, (uint16_t)id);
	status = oid_place_array(request, &out->array, sizeof(*out), n,
		sizeof(struct vmq_oid_queue_info));
	if (status != VMQ_STATUS_SUCCESS)
		return status;
	out->header = VMQ_OID_HEADER(*out);
	n = 0;
	for (id = -1; (id = vmq_queue_next(adapter->beneath, id)) >= 0;)
		if (oid_sees_queue(request, (uint16_t)id))
			write_info(adapter, (uint16_t)id, oid_element(request, &out->array, n++));
	return status;
}

/* May the owner change the queue's memory, or who steers it? */
static enum vmq_status
change_access(struct vmq_oid_owner *owner, uint16_t queue_id, struct vmq_error *err)
{
	struct vmq_oid_request request = {.owner = owner};
	struct vmq_queue_info info;
	enum vmq_status status = oid_queue_access(&request, queue_id, ACCESS_CHANGE, &info);

	if (status != VMQ_STATUS_SUCCESS)
		*err = request.error;
	return status;
}

enum vmq_status
vmq_oid_memory_grow(struct vmq_oid_owner *owner, uint16_t queue_id, uint32_t buffers,
	struct vmq_error *err)
{
	enum vmq_status status = change_access(owner, queue_id, err);

	if (status != VMQ_STATUS_SUCCESS)
		return status;
	return vmq_queue_grow(owner->adapter->beneath, queue_id, buffers, err);
}

enum vmq_status
vmq_oid_memory_shrink(struct vmq_oid_owner *owner, uint16_t queue_id, struct vmq_error *err)
{
	enum vmq_status status = change_access(owner, queue_id, err);

	if (status != VMQ_STATUS_SUCCESS)
		return status;
	return vmq_queue_shrink(owner->adapter->beneath, queue_id, err);
}

enum vmq_status
vmq_oid_queue_promote(struct vmq_oid_owner *owner, uint16_t queue_id,
	vmq_change_callback *callback, void *arg, struct vmq_error *err)
{
	enum vmq_status status = change_access(owner, queue_id, err);

	if (status != VMQ_STATUS_SUCCESS)
		return status;
	return vmq_queue_promote(owner->adapter->beneath, queue_id, callback, arg, err);
}

enum vmq_status
vmq_oid_queue_demote(struct vmq_oid_owner *owner, uint16_t queue_id,
	vmq_change_callback *callback, void *arg, struct vmq_error *err)
{
	enum vmq_status status = change_access(owner, queue_id, err);

	if (status != VMQ_STATUS_SUCCESS)
		return status;
	return vmq_queue_demote(owner->adapter->beneath, queue_id, callback, arg, err);
}
