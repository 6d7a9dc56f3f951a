/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* SET_FILTER, CLEAR_FILTER, MOVE_FILTER, ENUM_FILTERS, PARAMETERS. */

#include "oid_private.h"

static enum vmq_status
check_filter(struct vmq_oid_request *request, const struct vmq_oid_filter_parameters *in)
{
	if (in->flags != 0)
		return vmq_error_set(&request->error, VMQ_STATUS_INVALID_PARAMETER,
			"unknown flags 0x%08x", in->flags);
	if (in->filter_type != VMQ_OID_FILTER_TYPE_VMQ)
		return vmq_error_set(&request->error, VMQ_STATUS_NOT_SUPPORTED,
			"filter type %u: there are VMQ filters only, type %u", in->filter_type,
			VMQ_OID_FILTER_TYPE_VMQ);
	return oid_check_array(request, &in->fields, sizeof(*in),
		sizeof(struct vmq_oid_field_parameters));
}

enum vmq_status
oid_set_filter(struct vmq_oid_adapter *adapter, struct vmq_oid_request *request)
{
	struct vmq_oid_filter_parameters *in = request->information;
	struct vmq_filter_match match;
	struct vmq_queue_info info;
	enum vmq_status status;
	uint32_t id;

	status = check_filter(request, in);
	if (status == VMQ_STATUS_SUCCESS)
		status = oid_decode_fields(request, &in->fields, &match);
	if (status == VMQ_STATUS_SUCCESS)
		status = oid_queue_access(request, in->queue_id, ACCESS_SET_FILTER, &info);
	if (status != VMQ_STATUS_SUCCESS)
		return status;
	if (!oid_reserve_filter(adapter))
		return vmq_error_set(&request->error, VMQ_STATUS_RESOURCES,
			"no memory for a filter's record");
	status = vmq_queue_set_filter(adapter->beneath, info.id, &match, &id, &request->error);
	if (status != VMQ_STATUS_SUCCESS)
		return status;
	oid_add_filter(adapter, id, request->owner);
	in->filter_id = id;
	request->bytes_read = in->fields.first_offset +
		in->fields.n_elements * in->fields.element_size;
	return oid_written(request, sizeof(*in));
}

enum vmq_status
oid_clear_filter(struct vmq_oid_adapter *adapter, struct vmq_oid_request *request)
{
	const struct vmq_oid_clear_filter *in = request->information;
	const struct vmq_filter *filter;
	enum vmq_status status;

	status = oid_filter_access(request, in->filter_id, ACCESS_REMOVE, &filter);
	if (status == VMQ_STATUS_SUCCESS)
		status = vmq_queue_clear_filter(adapter->beneath, in->filter_id, &request->error);
	if (status == VMQ_STATUS_SUCCESS)
		oid_drop_filter(adapter, in->filter_id);
	return status;
}

enum vmq_status
oid_move_filter(struct vmq_oid_adapter *adapter, struct vmq_oid_request *request)
{
	const struct vmq_oid_move_filter *in = request->information;
	const struct vmq_filter *filter;
	struct vmq_queue_info info;
	enum vmq_status status;

	status = oid_filter_access(request, in->filter_id, ACCESS_CHANGE, &filter);
	if (status != VMQ_STATUS_SUCCESS)
		return status;
	if (in->source_queue_id != filter->queue_id)
		return vmq_error_set(&request->error, VMQ_STATUS_INVALID_PARAMETER,
			"filter %u is queue %u's, not queue %u's", in->filter_id, filter->queue_id,
			in->source_queue_id);
	status = oid_queue_access(request, in->destination_queue_id, ACCESS_SET_FILTER, &info);
	if (status != VMQ_STATUS_SUCCESS)
		return status;
	return vmq_queue_move_filter(adapter->beneath, in->filter_id, filter->queue_id, info.id,
		&request->error);
}

/* The next filter of a queue that the request's owner can see. */
static const struct vmq_filter *
next_of_queue(const struct vmq_oid_adapter *adapter, const struct vmq_oid_request *request,
	uint16_t queue_id, const struct vmq_filter *filter)
{
	const struct vmq_filter_set *set = vmq_adapter_filters(adapter->beneath);

	do {
		filter = vmq_filter_next(set, filter != NULL ? filter->id : 0);
	} while (filter != NULL &&
		(filter->queue_id != queue_id || !oid_sees_filter(request, filter->id)));
	return filter;
}

enum vmq_status
oid_enum_filters(struct vmq_oid_adapter *adapter, struct vmq_oid_request *request)
{
	struct vmq_oid_filter_info_array *out = request->information;
	const struct vmq_filter *filter = NULL;
	struct vmq_oid_filter_info *element;
	struct vmq_queue_info info;
	enum vmq_status status;
	uint32_t n = 0;

	status = oid_queue_access(request, out->queue_id, ACCESS_READ, &info);
	if (status == VMQ_STATUS_SUCCESS)
		status = oid_check_event(request, &info, VMQ_EVENT_ENUM_FILTERS);
	if (status != VMQ_STATUS_SUCCESS)
		return status;
	while ((filter = next_of_queue(adapter, request, info.id, filter)) != NULL)
		n++;
	status = oid_place_array(request, &out->array, sizeof(*out), n, sizeof(*element));
	if (status != VMQ_STATUS_SUCCESS)
		return status;
	out->reserved = 0;
	n = 0;
	while ((filter = next_of_queue(adapter, request, info.id, filter)) != NULL) {
		element = oid_element(request, &out->array, n++);
		*element = (struct vmq_oid_filter_info){
			.header = VMQ_OID_HEADER(*element),
			.filter_type = VMQ_OID_FILTER_TYPE_VMQ,
			.filter_id = filter->id,
		};
	}
	return status;
}

enum vmq_status
oid_filter_parameters(struct vmq_oid_adapter *adapter, struct vmq_oid_request *request)
{
	struct vmq_oid_filter_parameters *out = request->information;
	const struct vmq_filter *filter;
	struct vmq_queue_info info;
	enum vmq_status status;

	status = oid_filter_access(request, out->filter_id, ACCESS_READ, &filter);
	if (status != VMQ_STATUS_SUCCESS)
		return status;
	if (!vmq_queue_info_get(adapter->beneath, filter->queue_id, &info))
		return vmq_error_set(&request->error, VMQ_STATUS_FAILURE,
			"filter %u has no queue", filter->id);
	status = oid_check_event(request, &info, VMQ_EVENT_FILTER_PARAMETERS);
	if (status == VMQ_STATUS_SUCCESS)
		status = oid_place_array(request, &out->fields, sizeof(*out),
			oid_n_fields(&filter->match), sizeof(struct vmq_oid_field_parameters));
	if (status != VMQ_STATUS_SUCCESS)
		return status;
	out->flags = 0;
	out->filter_type = VMQ_OID_FILTER_TYPE_VMQ;
	out->queue_id = filter->queue_id;
	oid_encode_fields(request, &out->fields, &filter->match);
	return status;
}
