/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <string.h>

#include "oid_private.h"

#define REVISIONS_MAX VMQ_OID_QUEUE_PARAMETERS_REVISION

/* One OID. */
struct row {
	enum vmq_oid oid;
	const char *name;
	/* Which types there are: those with a handler. */
	handler *handlers[VMQ_OID_TYPE_COUNT];
	/* Size of the input's structure in each revision; 0: no such revision. */
	uint16_t input[REVISIONS_MAX];
	/* Size of the output, if it does not depend on anything; the input's otherwise. */
	uint16_t output;
	const char *help;
	bool changes; /* its method does more than answer */
};

uint64_t
vmq_oid_changes(const struct vmq_oid_adapter *adapter)
{
	return adapter->changes;
}

#define QUERY(function) {[VMQ_OID_QUERY] = (function)}
#define SET(function) {[VMQ_OID_SET] = (function)}
#define METHOD(function) {[VMQ_OID_METHOD] = (function)}
#define IN(structure) {sizeof(struct structure)}

static const struct row table[] = {
	{VMQ_OID_HARDWARE_CAPABILITIES, "RECEIVE_FILTER_HARDWARE_CAPABILITIES",
		QUERY(oid_hardware_capabilities), .output = sizeof(struct vmq_oid_capabilities),
		.help = "what the NIC can steer by itself"},
	{VMQ_OID_GLOBAL_PARAMETERS, "RECEIVE_FILTER_GLOBAL_PARAMETERS",
		QUERY(oid_global_parameters), .output = sizeof(struct vmq_oid_global_parameters),
		.help = "which types of filters and queues are enabled"},
	{VMQ_OID_ALLOCATE_QUEUE, "RECEIVE_FILTER_ALLOCATE_QUEUE", METHOD(oid_allocate_queue),
		{VMQ_OID_QUEUE_PARAMETERS_SIZE_1, VMQ_OID_QUEUE_PARAMETERS_SIZE_2},
		.help = "allocate a queue; it gets its memory with QUEUE_ALLOCATION_COMPLETE",
		.changes = true},
	{VMQ_OID_FREE_QUEUE, "RECEIVE_FILTER_FREE_QUEUE", SET(oid_free_queue),
		IN(vmq_oid_free_queue),
		.help = "free a queue without filters; ends when its last packet is home"},
	{VMQ_OID_ENUM_QUEUES, "RECEIVE_FILTER_ENUM_QUEUES", QUERY(oid_enum_queues),
		.output = sizeof(struct vmq_oid_queue_info_array),
		.help = "the owner's queues, all for an administrator"},
	{VMQ_OID_QUEUE_PARAMETERS, "RECEIVE_FILTER_QUEUE_PARAMETERS",
		{[VMQ_OID_METHOD] = oid_query_parameters, [VMQ_OID_SET] = oid_set_parameters},
		{VMQ_OID_QUEUE_PARAMETERS_SIZE_1, VMQ_OID_QUEUE_PARAMETERS_SIZE_2},
		.help = "read a queue's parameters, or change what its change flags name"},
	{VMQ_OID_SET_FILTER, "RECEIVE_FILTER_SET_FILTER", METHOD(oid_set_filter),
		IN(vmq_oid_filter_parameters),
		.help = "set a filter on a queue: all its field tests must pass",
		.changes = true},
	{VMQ_OID_CLEAR_FILTER, "RECEIVE_FILTER_CLEAR_FILTER", SET(oid_clear_filter),
		IN(vmq_oid_clear_filter),
		.help = "clear a filter; after its last one a queue delivers nothing"},
	{VMQ_OID_ENUM_FILTERS, "RECEIVE_FILTER_ENUM_FILTERS", METHOD(oid_enum_filters),
		IN(vmq_oid_filter_info_array),
		.help = "the filters of a queue"},
	{VMQ_OID_PARAMETERS, "RECEIVE_FILTER_PARAMETERS", METHOD(oid_filter_parameters),
		IN(vmq_oid_filter_parameters),
		.help = "a filter's queue and field tests"},
	{VMQ_OID_QUEUE_ALLOCATION_COMPLETE, "RECEIVE_FILTER_QUEUE_ALLOCATION_COMPLETE",
		METHOD(oid_complete), IN(vmq_oid_allocation_complete_array),
		.help = "give a batch of queues their memory, shared if there is too little",
		.changes = true},
	{VMQ_OID_CURRENT_CAPABILITIES, "RECEIVE_FILTER_CURRENT_CAPABILITIES",
		QUERY(oid_current_capabilities), .output = sizeof(struct vmq_oid_capabilities),
		.help = "what is enabled now, in software and hardware together"},
	{VMQ_OID_MOVE_FILTER, "RECEIVE_FILTER_MOVE_FILTER", SET(oid_move_filter),
		IN(vmq_oid_move_filter),
		.help = "move a filter to another queue, in one instant for every packet"},
};

static const char *const type_names[VMQ_OID_TYPE_COUNT] = {
	[VMQ_OID_QUERY] = "query", [VMQ_OID_SET] = "set", [VMQ_OID_METHOD] = "method",
};

static const struct row *
find_row(uint32_t oid)
{
	size_t i;

	for (i = 0; i < RTE_DIM(table); i++)
		if (table[i].oid == oid)
			return &table[i];
	return NULL;
}

enum vmq_status
oid_too_short(struct vmq_oid_request *request, uint64_t needed)
{
	if (needed > UINT32_MAX)
		return vmq_error_set(&request->error, VMQ_STATUS_INVALID_PARAMETER,
			"no buffer has %llu bytes", (unsigned long long)needed);
	request->bytes_needed = (uint32_t)needed;
	return vmq_error_set(&request->error, VMQ_STATUS_INVALID_LENGTH,
		"the information buffer has %u bytes, and %u are needed",
		request->information_length, request->bytes_needed);
}

enum vmq_status
oid_written(struct vmq_oid_request *request, uint32_t bytes)
{
	request->bytes_written = bytes;
	return VMQ_STATUS_SUCCESS;
}

bool
oid_header_ok(const struct vmq_oid_header *header, size_t size)
{
	return header->type == VMQ_OID_OBJECT_TYPE && header->revision == 1 && header->size == size;
}

enum vmq_status
oid_check_array(struct vmq_oid_request *request, const struct vmq_oid_array *array,
	size_t structure_size, size_t element_size)
{
	const enum vmq_status bad = VMQ_STATUS_INVALID_PARAMETER;
	uint64_t end;
	uint32_t i;

	if (array->n_elements == 0)
		return vmq_error_set(&request->error, bad, "the array has no elements");
	if (array->first_offset < structure_size || array->first_offset % BUFFER_ALIGN != 0)
		return vmq_error_set(&request->error, bad,
			"elements cannot begin at offset %u: it must be a multiple of %u, "
			"%zu or more", array->first_offset, BUFFER_ALIGN, structure_size);
	if (array->element_size < element_size || array->element_size % BUFFER_ALIGN != 0)
		return vmq_error_set(&request->error, bad,
			"elements cannot have %u bytes each: it must be a multiple of %u, "
			"%zu or more", array->element_size, BUFFER_ALIGN, element_size);
	end = array->first_offset + (uint64_t)array->n_elements * array->element_size;
	if (end > request->information_length)
		return oid_too_short(request, end);
	for (i = 0; i < array->n_elements; i++)
		if (!oid_header_ok(oid_element(request, array, i), element_size))
			return vmq_error_set(&request->error, bad,
				"element %u: unknown type or revision, or its size is not %zu", i,
				element_size);
	return VMQ_STATUS_SUCCESS;
}

enum vmq_status
oid_place_array(struct vmq_oid_request *request, struct vmq_oid_array *array,
	size_t structure_size, uint32_t n, size_t element_size)
{
	const uint64_t end = structure_size + (uint64_t)n * element_size;

	if (end > request->information_length)
		return oid_too_short(request, end);
	*array = (struct vmq_oid_array){
		.first_offset = (uint32_t)structure_size,
		.n_elements = n,
		.element_size = (uint32_t)element_size,
	};
	return oid_written(request, (uint32_t)end);
}

void *
oid_element(const struct vmq_oid_request *request, const struct vmq_oid_array *array, uint32_t i)
{
	return RTE_PTR_ADD(request->information,
		array->first_offset + (size_t)i * array->element_size);
}

void
oid_copy_text(char *to, size_t size, const char *from)
{
	const size_t length = strnlen(from, size - 1);

	memcpy(to, from, length);
	memset(to + length, 0, size - length);
}

static uint32_t
min_length(const struct row *row)
{
	return row->input[0] != 0 ? row->input[0] : row->output;
}

/* The structure at the beginning of the input. */
static enum vmq_status
check_input(struct vmq_oid_request *request, const struct row *row)
{
	const struct vmq_oid_header *header = request->information;
	const enum vmq_status bad = VMQ_STATUS_INVALID_PARAMETER;
	uint16_t size = 0;

	if (header->type != VMQ_OID_OBJECT_TYPE)
		return vmq_error_set(&request->error, bad,
			"the header's type is 0x%02x, not 0x%02x", header->type,
			VMQ_OID_OBJECT_TYPE);
	if (header->revision >= 1 && header->revision <= REVISIONS_MAX)
		size = row->input[header->revision - 1];
	if (size == 0)
		return vmq_error_set(&request->error, bad, "there is no revision %u",
			header->revision);
	if (header->size != size)
		return vmq_error_set(&request->error, bad,
			"the header says %u bytes, and revision %u has %u", header->size,
			header->revision, size);
	if (request->information_length < size)
		return oid_too_short(request, size);
	request->bytes_read = size;
	return VMQ_STATUS_SUCCESS;
}

static enum vmq_status
check_buffer(struct vmq_oid_request *request, const struct row *row)
{
	if (request->information == NULL && request->information_length > 0)
		return vmq_error_set(&request->error, VMQ_STATUS_INVALID_PARAMETER,
			"there is no information buffer");
	if ((uintptr_t)request->information % BUFFER_ALIGN != 0)
		return vmq_error_set(&request->error, VMQ_STATUS_INVALID_PARAMETER,
			"the information buffer is not aligned to %u bytes", BUFFER_ALIGN);
	if (request->information_length < min_length(row))
		return oid_too_short(request, min_length(row));
	return row->input[0] != 0 ? check_input(request, row) : VMQ_STATUS_SUCCESS;
}

enum vmq_status
vmq_oid_request(struct vmq_oid_adapter *adapter, struct vmq_oid_request *request)
{
	const struct row *row = find_row(request->oid);
	struct vmq_error *err = &request->error;
	enum vmq_status status;

	request->bytes_written = 0;
	request->bytes_read = 0;
	request->bytes_needed = 0;
	err->text[0] = '\0';
	if (vmq_adapter_is_halted(adapter->beneath))
		return vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED, "adapter %s is halted",
			vmq_adapter_name(adapter->beneath));
	if (adapter->telling)
		return vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED,
			"a request cannot be made from within an indication");
	if (request->owner == NULL || request->owner->adapter != adapter)
		return vmq_error_set(err, VMQ_STATUS_INVALID_PARAMETER,
			"the request's owner is none of adapter %s",
			vmq_adapter_name(adapter->beneath));
	if ((unsigned int)request->type >= VMQ_OID_TYPE_COUNT)
		return vmq_error_set(err, VMQ_STATUS_INVALID_PARAMETER,
			"there is no request type %u", (unsigned int)request->type);
	if (row == NULL)
		return vmq_error_set(err, VMQ_STATUS_NOT_SUPPORTED, "there is no OID 0x%08x",
			request->oid);
	if (row->handlers[request->type] == NULL)
		return vmq_error_set(err, VMQ_STATUS_NOT_SUPPORTED, "%s has no %s request",
			row->name, type_names[request->type]);
	status = check_buffer(request, row);
	if (status == VMQ_STATUS_SUCCESS) {
		status = row->handlers[request->type](adapter, request);
		adapter->changes += row->changes || request->type == VMQ_OID_SET;
	}
	if (status != VMQ_STATUS_SUCCESS && status != VMQ_STATUS_PENDING &&
		request->bytes_written == 0)
		request->bytes_read = 0;
	return status;
}

bool
vmq_oid_info_get(unsigned int index, struct vmq_oid_info *info)
{
	const struct row *row;
	unsigned int type;

	if (index >= RTE_DIM(table))
		return false;
	row = &table[index];
	*info = (struct vmq_oid_info){
		.oid = row->oid,
		.name = row->name,
		.min_length = min_length(row),
		.help = row->help,
	};
	for (type = 0; type < VMQ_OID_TYPE_COUNT; type++)
		if (row->handlers[type] != NULL)
			info->types |= UINT32_C(1) << type;
	return true;
}

const char *
vmq_oid_name(uint32_t oid)
{
	const struct row *row = find_row(oid);

	return row != NULL ? row->name : NULL;
}

uint32_t
vmq_oid_by_name(const char *name)
{
	static const char prefix[] = "OID_";
	size_t i;

	if (strncmp(name, prefix, sizeof(prefix) - 1) == 0)
		name += sizeof(prefix) - 1;
	for (i = 0; i < RTE_DIM(table); i++)
		if (strcmp(table[i].name, name) == 0)
			return table[i].oid;
	return 0;
}
