/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* QUEUE_PARAMETERS, and what it has in common with ALLOCATE_QUEUE. */

#include <string.h>

#include "oid_private.h"

#define REVISION_2                                                                                 \
	(VMQ_OID_QUEUE_OPTIONS_CHANGED | VMQ_OID_QUEUE_RATE_CHANGED |                              \
		VMQ_OID_QUEUE_PRIORITY_CHANGED | VMQ_OID_QUEUE_VM_NAME_CHANGED |                   \
		VMQ_OID_QUEUE_DEMAND_CHANGED)
#define CHANGE_FLAGS                                                                               \
	(VMQ_OID_QUEUE_FLAGS_CHANGED | VMQ_OID_QUEUE_AFFINITY_CHANGED |                            \
		VMQ_OID_QUEUE_SUGGESTED_BUFFERS_CHANGED | VMQ_OID_QUEUE_NAME_CHANGED | REVISION_2)

bool
oid_has_end(const char *text, size_t size)
{
	return strnlen(text, size) < size;
}

uint64_t
oid_affinity(const struct queue_record *record, uint16_t worker, uint32_t *group)
{
	*group = record->affinity != 0 ? record->group : worker / GROUP_WORKERS;
	return record->affinity != 0 ? record->affinity : UINT64_C(1) << worker % GROUP_WORKERS;
}

enum vmq_status
oid_pick_worker(struct vmq_oid_request *request, const struct vmq_oid_queue_parameters *from,
	int current, uint16_t *worker)
{
	const struct vmq_host *host = vmq_adapter_host(request->owner->adapter->beneath);
	const uint16_t n_workers = vmq_datapath_workers(vmq_host_datapath(host));
	const uint64_t first = (uint64_t)from->processor_group * GROUP_WORKERS;
	uint32_t load, least = UINT32_MAX;
	unsigned int bit;
	bool stays = false;

	if (from->processor_affinity == 0)
		return vmq_error_set(&request->error, VMQ_STATUS_INVALID_PARAMETER,
			"the processor affinity is empty");
	for (bit = 0; bit < GROUP_WORKERS; bit++) {
		if (!(from->processor_affinity & UINT64_C(1) << bit))
			continue;
		if (first + bit >= n_workers)
			return vmq_error_set(&request->error, VMQ_STATUS_INVALID_PARAMETER,
				"the processor affinity has bit %u of group %u, and there are %u "
				"workers", bit, from->processor_group, n_workers);
		load = vmq_host_queues_on(host, (uint16_t)(first + bit));
		if (!stays && load < least) {
			least = load;
			*worker = (uint16_t)(first + bit);
		}
		if (current >= 0 && first + bit == (uint64_t)current) {
			stays = true;
			*worker = (uint16_t)current;
		}
	}
	return VMQ_STATUS_SUCCESS;
}

void
oid_read_rates(const struct vmq_oid_queue_parameters *in, struct vmq_queue_params *params)
{
	params->rate_to_vm = (struct vmq_dp_rate){
		.mbps = in->rate_to_vm_mbps,
		.burst_kb = in->rate_to_vm_burst_kb,
	};
	params->rate_from_vm = (struct vmq_dp_rate){
		.mbps = in->rate_from_vm_mbps,
		.burst_kb = in->rate_from_vm_burst_kb,
	};
}

/* What revision 2 adds. */
static void
write_extension(struct vmq_oid_queue_parameters *out, const struct vmq_queue_params *params)
{
	const struct vmq_queue_memory *memory = &params->memory;
	const struct vmq_backend_params *backend = &params->backend;

	out->receive_buffers_limit = memory->limit;
	out->receive_buffers_min = memory->min_buffers;
	out->buffer_size = memory->buffer_size;
	out->node = memory->node;
	out->memory_flags = memory->contiguous ? VMQ_OID_MEMORY_CONTIGUOUS : 0;
	out->demand_low = memory->demand.low;
	out->demand_high = memory->demand.high;
	out->demand_step = memory->demand.step;
	out->demand_hold_ms = memory->demand.hold_ms;
	out->transmit_buffers = memory->xmit_buffers;
	out->transmit_buffers_limit = memory->xmit_limit;
	out->rate_to_vm_mbps = params->rate_to_vm.mbps;
	out->rate_to_vm_burst_kb = params->rate_to_vm.burst_kb;
	out->rate_from_vm_mbps = params->rate_from_vm.mbps;
	out->rate_from_vm_burst_kb = params->rate_from_vm.burst_kb;
	out->options = (params->keep_tags ? VMQ_OID_OPTION_KEEP_TAGS : 0) |
		(params->allow_spoofing ? VMQ_OID_OPTION_ALLOW_SPOOFING : 0) |
		(params->broadcast ? VMQ_OID_OPTION_BROADCAST : 0) |
		(params->receive_only ? VMQ_OID_OPTION_RECEIVE_ONLY : 0);
	out->priority = params->priority;
	out->backend_type = backend->type;
	oid_copy_text(out->backend_file, sizeof(out->backend_file),
		backend->type == VMQ_BACKEND_VHOST ? backend->vhost.socket
			: backend->file != NULL ? backend->file : "");
	out->backend_flags = backend->vhost.server ? VMQ_OID_BACKEND_SERVER : 0;
	out->backend_queue_pairs = backend->vhost.queue_pairs;
	out->backend_permissions = backend->vhost.permissions;
	oid_copy_text(out->backend_owner, sizeof(out->backend_owner),
		backend->vhost.owner != NULL ? backend->vhost.owner : "");
	oid_copy_text(out->backend_group, sizeof(out->backend_group),
		backend->vhost.group != NULL ? backend->vhost.group : "");
	oid_copy_text(out->backend_device, sizeof(out->backend_device),
		backend->device != NULL ? backend->device : "");
}

enum vmq_status
oid_write_parameters(struct vmq_oid_request *request, uint16_t id)
{
	const struct vmq_oid_adapter *adapter = request->owner->adapter;
	const struct queue_record *record = oid_queue_record(adapter, id);
	struct vmq_oid_queue_parameters *out = request->information;
	const struct vmq_oid_header header = out->header;
	struct vmq_queue_params params;
	struct vmq_queue_info info;

	if (!vmq_queue_info_get(adapter->beneath, id, &info) ||
		!vmq_queue_params_get(adapter->beneath, id, &params))
		return vmq_error_set(&request->error, VMQ_STATUS_FAILURE, "queue %u is gone", id);
	memset(out, 0, header.size);
	out->header = header;
	out->flags = record->flags;
	out->queue_type = VMQ_OID_QUEUE_TYPE_VM;
	out->queue_id = id;
	out->processor_affinity = oid_affinity(record, info.worker, &out->processor_group);
	out->processor = info.worker;
	out->suggested_receive_buffers = params.memory.buffers;
	out->receive_buffers = info.memory.populated;
	out->port_id = record->port_id;
	oid_copy_text(out->vm_name, sizeof(out->vm_name), info.vm);
	oid_copy_text(out->queue_name, sizeof(out->queue_name), info.name);
	if (header.revision >= 2)
		write_extension(out, &params);
	return oid_written(request, header.size);
}

enum vmq_status
oid_query_parameters(struct vmq_oid_adapter *adapter, struct vmq_oid_request *request)
{
	const struct vmq_oid_queue_parameters *in = request->information;
	struct vmq_queue_info info;
	enum vmq_status status;

	(void)adapter;
	status = oid_queue_access(request, in->queue_id, ACCESS_READ, &info);
	if (status == VMQ_STATUS_SUCCESS)
		status = oid_check_event(request, &info, VMQ_EVENT_QUERY_PARAMETERS);
	if (status != VMQ_STATUS_SUCCESS)
		return status;
	return oid_write_parameters(request, info.id);
}

static enum vmq_status
check_changes(struct vmq_oid_request *request)
{
	const struct vmq_oid_queue_parameters *in = request->information;
	const enum vmq_status bad = VMQ_STATUS_INVALID_PARAMETER;
	const uint32_t known = CHANGE_FLAGS | VMQ_OID_QUEUE_PER_QUEUE_RECEIVE_INDICATION;

	if (in->flags & ~known)
		return vmq_error_set(&request->error, bad, "unknown flags 0x%08x",
			in->flags & ~known);
	if (in->header.revision < 2 && (in->flags & REVISION_2))
		return vmq_error_set(&request->error, bad,
			"flags 0x%08x are of revision 2", in->flags & REVISION_2);
	if (!(in->flags & CHANGE_FLAGS))
		return vmq_error_set(&request->error, bad, "no change flag: nothing is to change");
	if ((in->flags & VMQ_OID_QUEUE_NAME_CHANGED) &&
		!oid_has_end(in->queue_name, sizeof(in->queue_name)))
		return vmq_error_set(&request->error, bad, "the queue's name has no end");
	if ((in->flags & VMQ_OID_QUEUE_VM_NAME_CHANGED) &&
		!oid_has_end(in->vm_name, sizeof(in->vm_name)))
		return vmq_error_set(&request->error, bad, "the VM's name has no end");
	if ((in->flags & VMQ_OID_QUEUE_PRIORITY_CHANGED) && in->priority > UINT8_MAX)
		return vmq_error_set(&request->error, bad, "a priority of %u is not in 0 to 255",
			in->priority);
	return VMQ_STATUS_SUCCESS;
}

/* What of revision 2 is to change. Returns change flags of the queue. */
static uint32_t
read_changes(const struct vmq_oid_queue_parameters *in, struct vmq_queue_params *params)
{
	uint32_t changes = 0;

	if (in->flags & VMQ_OID_QUEUE_OPTIONS_CHANGED) {
		params->keep_tags = (in->options & VMQ_OID_OPTION_KEEP_TAGS) != 0;
		params->allow_spoofing = (in->options & VMQ_OID_OPTION_ALLOW_SPOOFING) != 0;
		params->broadcast = (in->options & VMQ_OID_OPTION_BROADCAST) != 0;
		changes |= VMQ_QUEUE_CHANGE_OPTIONS;
	}
	if (in->flags & VMQ_OID_QUEUE_RATE_CHANGED) {
		oid_read_rates(in, params);
		changes |= VMQ_QUEUE_CHANGE_RATE;
	}
	if (in->flags & VMQ_OID_QUEUE_PRIORITY_CHANGED) {
		params->priority = (uint8_t)in->priority;
		changes |= VMQ_QUEUE_CHANGE_PRIORITY;
	}
	if (in->flags & VMQ_OID_QUEUE_VM_NAME_CHANGED) {
		params->vm = in->vm_name[0] != '\0' ? in->vm_name : NULL;
		changes |= VMQ_QUEUE_CHANGE_VM;
	}
	if (in->flags & VMQ_OID_QUEUE_DEMAND_CHANGED) {
		params->memory.min_buffers = in->receive_buffers_min;
		params->memory.demand = (struct vmq_pool_demand){
			.low = in->demand_low,
			.high = in->demand_high,
			.step = in->demand_step,
			.hold_ms = in->demand_hold_ms,
		};
		changes |= VMQ_QUEUE_CHANGE_DEMAND;
	}
	return changes;
}

enum vmq_status
oid_set_parameters(struct vmq_oid_adapter *adapter, struct vmq_oid_request *request)
{
	const struct vmq_oid_queue_parameters *in = request->information;
	struct vmq_queue_params params = {.name = in->queue_name,
		.memory = {.buffers = in->suggested_receive_buffers}};
	struct queue_record *record;
	struct vmq_queue_info info;
	enum vmq_status status;
	uint32_t changes = 0;

	status = check_changes(request);
	if (status == VMQ_STATUS_SUCCESS)
		status = oid_queue_access(request, in->queue_id, ACCESS_CHANGE, &info);
	if (status != VMQ_STATUS_SUCCESS)
		return status;
	if (in->flags & VMQ_OID_QUEUE_AFFINITY_CHANGED) {
		status = oid_pick_worker(request, in, info.worker, &params.worker);
		if (status != VMQ_STATUS_SUCCESS)
			return status;
		changes |= VMQ_QUEUE_CHANGE_WORKER;
	}
	if (in->flags & VMQ_OID_QUEUE_SUGGESTED_BUFFERS_CHANGED)
		changes |= VMQ_QUEUE_CHANGE_BUFFERS;
	if (in->flags & VMQ_OID_QUEUE_NAME_CHANGED)
		changes |= VMQ_QUEUE_CHANGE_NAME;
	changes |= read_changes(in, &params);
	record = oid_reserve_record(adapter, info.id);
	if (record == NULL)
		return vmq_error_set(&request->error, VMQ_STATUS_RESOURCES,
			"no memory for queue %u's record", info.id);
	adapter->changing = in->flags & CHANGE_FLAGS;
	status = vmq_queue_set_params(adapter->beneath, info.id, changes, &params, &request->error);
	adapter->changing = 0;
	if (status != VMQ_STATUS_SUCCESS)
		return status;
	if (in->flags & VMQ_OID_QUEUE_AFFINITY_CHANGED) {
		record->affinity = in->processor_affinity;
		record->group = in->processor_group;
	}
	if (in->flags & VMQ_OID_QUEUE_FLAGS_CHANGED)
		record->flags = in->flags & VMQ_OID_QUEUE_PER_QUEUE_RECEIVE_INDICATION;
	return VMQ_STATUS_SUCCESS;
}
