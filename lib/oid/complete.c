/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* QUEUE_ALLOCATION_COMPLETE. */

#include <stdlib.h>

#include "oid_private.h"

_Static_assert(VMQ_OID_REASON_SIZE == sizeof(((struct vmq_error *)NULL)->text),
	"a reason is not cut");

/*
 * A request, and the queues of it that its owner may complete. Where its elements lie
 * is remembered here: the buffer is the caller's, and could say something else later.
 */
struct batch {
	struct vmq_oid_request *request;
	struct vmq_oid_array array;
	uint16_t n; /* items */
	uint32_t *elements; /* of item i: which element it is */
	struct vmq_queue_completion *items;
};

static void
batch_free(struct batch *batch)
{
	if (batch == NULL)
		return;
	free(batch->elements);
	free(batch->items);
	free(batch);
}

static struct batch *
batch_create(struct vmq_oid_request *request, const struct vmq_oid_array *array)
{
	struct batch *batch = calloc(1, sizeof(*batch));

	if (batch == NULL)
		return NULL;
	batch->request = request;
	batch->array = *array;
	batch->elements = calloc(array->n_elements, sizeof(*batch->elements));
	batch->items = calloc(array->n_elements, sizeof(*batch->items));
	if (batch->elements == NULL || batch->items == NULL) {
		batch_free(batch);
		return NULL;
	}
	return batch;
}

static void
write_element(struct vmq_oid_allocation_complete *element, enum vmq_status status, uint32_t buffers,
	const char *reason)
{
	element->status = status;
	element->receive_buffers = status == VMQ_STATUS_SUCCESS ? buffers : 0;
	oid_copy_text(element->reason, sizeof(element->reason),
		status == VMQ_STATUS_SUCCESS ? "" : reason);
}

/* Answer the elements that were refused at once; the others become items. */
static void
sort_elements(struct batch *batch)
{
	struct vmq_oid_request *request = batch->request;
	struct vmq_oid_allocation_complete *element;
	struct vmq_queue_completion *item;
	struct vmq_queue_info info;
	enum vmq_status status;
	uint32_t i;

	for (i = 0; i < batch->array.n_elements; i++) {
		element = oid_element(request, &batch->array, i);
		status = oid_queue_access(request, element->queue_id, ACCESS_CHANGE, &info);
		if (status != VMQ_STATUS_SUCCESS) {
			write_element(element, status, 0, request->error.text);
			continue;
		}
		item = &batch->items[batch->n];
		item->id = info.id;
		/* In case that the batch as a whole comes to nothing. */
		item->status = vmq_error_set(&item->error, VMQ_STATUS_RESOURCES,
			"no memory for the batch's record");
		batch->elements[batch->n++] = i;
	}
}

/* Write the results of the items. Returns the status of the first element that failed. */
static enum vmq_status
answer(struct batch *batch, const struct vmq_queue_completion *items)
{
	struct vmq_oid_request *request = batch->request;
	const struct vmq_oid_allocation_complete *element;
	uint32_t i;

	for (i = 0; i < batch->n; i++)
		write_element(oid_element(request, &batch->array, batch->elements[i]),
			items[i].status, items[i].buffers, items[i].error.text);
	request->bytes_read = batch->array.first_offset +
		batch->array.n_elements * batch->array.element_size;
	oid_written(request, request->bytes_read);
	request->error.text[0] = '\0';
	for (i = 0; i < batch->array.n_elements; i++) {
		element = oid_element(request, &batch->array, i);
		if (element->status != VMQ_STATUS_SUCCESS)
			return vmq_error_set(&request->error, (enum vmq_status)element->status,
				"%s", element->reason);
	}
	return VMQ_STATUS_SUCCESS;
}

static void
on_completed(void *arg, const struct vmq_queue_completion *items, uint16_t n)
{
	struct batch *batch = arg;
	struct vmq_oid_request *request = batch->request;
	enum vmq_status status;

	(void)n;
	status = answer(batch, items);
	request->owner->adapter->changes++;
	batch_free(batch);
	request->complete(request, status);
}

enum vmq_status
oid_complete(struct vmq_oid_adapter *adapter, struct vmq_oid_request *request)
{
	const struct vmq_oid_allocation_complete_array *in = request->information;
	vmq_complete_callback *callback = request->complete != NULL ? on_completed : NULL;
	struct batch *batch;
	enum vmq_status status;

	status = oid_check_array(request, &in->array, sizeof(*in),
		sizeof(struct vmq_oid_allocation_complete));
	if (status != VMQ_STATUS_SUCCESS)
		return status;
	if (in->array.n_elements > UINT16_MAX)
		return vmq_error_set(&request->error, VMQ_STATUS_INVALID_PARAMETER,
			"%u queues in a batch: there are never so many", in->array.n_elements);
	batch = batch_create(request, &in->array);
	if (batch == NULL)
		return vmq_error_set(&request->error, VMQ_STATUS_RESOURCES,
			"no memory for the batch's record");
	sort_elements(batch);
	if (batch->n > 0) {
		status = vmq_queue_complete(adapter->beneath, batch->items, batch->n, callback,
			batch);
		if (status == VMQ_STATUS_PENDING)
			return status;
	}
	status = answer(batch, batch->items);
	batch_free(batch);
	return status;
}
