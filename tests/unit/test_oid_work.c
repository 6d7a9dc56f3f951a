/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* What requests do: parameters, pending requests, shared memory, indications. */

#include "oid_bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A request that may be pending, its buffer, and its end. */
struct pending {
	struct vmq_oid_request request;
	unsigned int ended;
	enum vmq_status status;
	union {
		struct vmq_oid_free_queue free;
		struct {
			struct vmq_oid_allocation_complete_array head;
			struct vmq_oid_allocation_complete elements[4];
		} batch;
	} u;
};

static void
on_end(struct vmq_oid_request *request, enum vmq_status status)
{
	struct pending *pending = request->arg;

	assert_ptr_equal(request, &pending->request);
	pending->ended++;
	pending->status = status;
}

static enum vmq_status
start(struct oid_bed *bed, struct pending *pending, enum vmq_oid_request_type type, uint32_t oid,
	uint32_t length)
{
	pending->request = (struct vmq_oid_request){
		.owner = bed->owner,
		.type = type,
		.oid = oid,
		.information = &pending->u,
		.information_length = length,
		.complete = on_end,
		.arg = pending,
	};
	pending->ended = 0;
	return vmq_oid_request(bed->oid, &pending->request);
}

static enum vmq_status
start_free(struct oid_bed *bed, struct pending *pending, uint32_t id)
{
	pending->u.free = (struct vmq_oid_free_queue){.header = VMQ_OID_HEADER(pending->u.free),
		.queue_id = id};
	return start(bed, pending, VMQ_OID_SET, VMQ_OID_FREE_QUEUE, sizeof(pending->u.free));
}

static enum vmq_status
start_batch(struct oid_bed *bed, struct pending *pending, const uint16_t *ids, uint32_t n)
{
	struct vmq_oid_allocation_complete *element;
	uint32_t i;

	memset(&pending->u, 0x5a, sizeof(pending->u));
	pending->u.batch.head = (struct vmq_oid_allocation_complete_array){
		.header = VMQ_OID_HEADER(pending->u.batch.head),
		.array = {sizeof(pending->u.batch.head), n, sizeof(*element)},
	};
	for (i = 0; i < n; i++) {
		element = &pending->u.batch.elements[i];
		element->header = VMQ_OID_HEADER(*element);
		element->queue_id = ids[i];
	}
	return start(bed, pending, VMQ_OID_METHOD, VMQ_OID_QUEUE_ALLOCATION_COMPLETE,
		(uint32_t)(sizeof(pending->u.batch.head) + n * sizeof(*element)));
}

struct waiting {
	struct oid_bed *bed;
	const struct pending *pending;
};

static bool
has_ended(void *arg)
{
	struct waiting *waiting = arg;

	vmq_host_progress(waiting->bed->host);
	return waiting->pending->ended > 0;
}

static void
wait_for(struct oid_bed *bed, const struct pending *pending)
{
	assert_true(unit_wait(has_ended, &(struct waiting){bed, pending}));
	assert_int_equal(pending->ended, 1);
}

static void
freeing_is_pending_until_the_last_packet_is_home(void **state)
{
	struct oid_bed *bed = oid_bed_make(0);
	const uint16_t id = oid_allocate(bed, bed->owner);
	struct vmq_oid_queue_info_array *list;
	struct vmq_oid_queue_info *info;
	struct pending pending;
	struct rte_mbuf *held;
	uint8_t buffer[sizeof(*list) + sizeof(*info)] __attribute__((aligned(8)));
	unsigned int i;

	(void)state;
	assert_int_equal(oid_complete_one(bed, bed->owner, id), VMQ_STATUS_SUCCESS);
	held = oid_hold(bed, id);
	assert_int_equal(start_free(bed, &pending, id), VMQ_STATUS_PENDING);
	for (i = 0; i < 100; i++)
		vmq_host_progress(bed->host);
	assert_int_equal(pending.ended, 0);

	oid_expect(bed, VMQ_STATUS_SUCCESS, VMQ_OID_QUERY, VMQ_OID_ENUM_QUEUES, buffer,
		sizeof(buffer));
	list = (struct vmq_oid_queue_info_array *)buffer;
	assert_int_equal(list->array.n_elements, 1);
	info = (struct vmq_oid_queue_info *)(buffer + list->array.first_offset);
	assert_int_equal(info->operational_state, VMQ_OID_STATE_DMA_STOPPED);
	assert_int_equal(info->exact_state, VMQ_QUEUE_FREEING);
	assert_int_equal(info->missing_packets, 1);

	rte_pktmbuf_free(held);
	wait_for(bed, &pending);
	assert_int_equal(pending.status, VMQ_STATUS_SUCCESS);
	assert_int_equal(oid_state(bed, id), VMQ_QUEUE_UNDEFINED);
	/* The memory is really free, and the id is to be had again. */
	assert_int_equal(oid_allocate(bed, bed->owner), id);
	oid_bed_free(bed);
}

static void
completion_is_pending_and_then_fills_the_buffer(void **state)
{
	struct oid_bed *bed = oid_bed_make(0);
	uint16_t ids[4] = {oid_allocate(bed, bed->owner), oid_allocate(bed, bed->other), 4711, 0};
	struct pending pending;

	(void)state;
	ids[3] = oid_allocate(bed, bed->owner);
	oid_set(bed, bed->owner, ids[0], 1, 0);
	assert_int_equal(start_batch(bed, &pending, ids, 4), VMQ_STATUS_PENDING);
	assert_int_equal(oid_state(bed, ids[0]), VMQ_QUEUE_SET);
	/* What the buffer says now is not asked any more. */
	pending.u.batch.head.array = (struct vmq_oid_array){UINT32_MAX, UINT32_MAX, UINT32_MAX};
	pending.u.batch.elements[0].queue_id = UINT32_MAX;
	wait_for(bed, &pending);
	assert_int_equal(pending.status, VMQ_STATUS_INVALID_PARAMETER);
	assert_int_equal(pending.u.batch.elements[0].status, VMQ_STATUS_SUCCESS);
	assert_int_equal(pending.u.batch.elements[0].receive_buffers, 64);
	assert_string_equal(pending.u.batch.elements[0].reason, "");
	/* Another's queue and one that is none look the same. */
	assert_int_equal(pending.u.batch.elements[1].status, VMQ_STATUS_INVALID_PARAMETER);
	assert_int_equal(pending.u.batch.elements[2].status, VMQ_STATUS_INVALID_PARAMETER);
	assert_int_equal(pending.u.batch.elements[3].status, VMQ_STATUS_SUCCESS);
	assert_string_equal(pending.request.error.text, pending.u.batch.elements[1].reason);
	assert_int_equal(oid_state(bed, ids[0]), VMQ_QUEUE_RUNNING);
	assert_int_equal(oid_state(bed, ids[1]), VMQ_QUEUE_ALLOCATED);
	assert_int_equal(oid_state(bed, ids[3]), VMQ_QUEUE_PAUSED);

	/* None of them may be completed now: that is said at once. */
	assert_int_equal(start_batch(bed, &pending, &ids[1], 2), VMQ_STATUS_INVALID_PARAMETER);
	assert_int_equal(pending.ended, 0);
	oid_bed_free(bed);
}

static void
a_queue_named_twice_is_completed_once(void **state)
{
	struct oid_bed *bed = oid_bed_make(0);
	uint16_t ids[2];
	struct pending pending;

	(void)state;
	ids[0] = ids[1] = oid_allocate(bed, bed->owner);
	assert_int_equal(start_batch(bed, &pending, ids, 2), VMQ_STATUS_PENDING);
	wait_for(bed, &pending);
	assert_int_equal(pending.status, VMQ_STATUS_NOT_ACCEPTED);
	assert_int_equal(pending.u.batch.elements[0].status, VMQ_STATUS_SUCCESS);
	assert_int_equal(pending.u.batch.elements[1].status, VMQ_STATUS_NOT_ACCEPTED);
	oid_bed_free(bed);
}

static void
freeing_during_completion_aborts_it(void **state)
{
	struct oid_bed *bed = oid_bed_make(0);
	const uint16_t id = oid_allocate(bed, bed->owner);
	struct pending completing, freeing;

	(void)state;
	assert_int_equal(start_batch(bed, &completing, &id, 1), VMQ_STATUS_PENDING);
	assert_int_equal(start_free(bed, &freeing, id), VMQ_STATUS_PENDING);
	wait_for(bed, &completing);
	wait_for(bed, &freeing);
	assert_int_equal(completing.status, VMQ_STATUS_REQUEST_ABORTED);
	assert_int_equal(completing.u.batch.elements[0].status, VMQ_STATUS_REQUEST_ABORTED);
	assert_int_equal(completing.u.batch.elements[0].receive_buffers, 0);
	assert_int_equal(freeing.status, VMQ_STATUS_SUCCESS);
	oid_bed_free(bed);
}

static void
halt_ends_what_is_pending_and_refuses_the_rest(void **state)
{
	struct oid_bed *bed = oid_bed_make(0);
	const uint16_t id = oid_allocate(bed, bed->owner), other = oid_allocate(bed, bed->owner);
	struct vmq_oid_capabilities capabilities;
	struct pending completing, freeing;
	struct rte_mbuf *held;

	(void)state;
	assert_int_equal(oid_complete_one(bed, bed->owner, other), VMQ_STATUS_SUCCESS);
	held = oid_hold(bed, other);
	assert_int_equal(start_free(bed, &freeing, other), VMQ_STATUS_PENDING);
	assert_int_equal(start_batch(bed, &completing, &id, 1), VMQ_STATUS_PENDING);
	vmq_adapter_halt(bed->adapter);
	assert_int_equal(completing.ended, 1);
	assert_int_equal(completing.status, VMQ_STATUS_REQUEST_ABORTED);
	assert_int_equal(freeing.ended, 0);
	oid_expect(bed, VMQ_STATUS_NOT_ACCEPTED, VMQ_OID_QUERY, VMQ_OID_CURRENT_CAPABILITIES,
		&capabilities, sizeof(capabilities));
	assert_int_equal(oid_free(bed, bed->owner, id), VMQ_STATUS_NOT_ACCEPTED);
	rte_pktmbuf_free(held);
	oid_bed_free(bed);
	assert_int_equal(freeing.ended, 1);
	assert_int_equal(freeing.status, VMQ_STATUS_SUCCESS);
}

/* Allocate a queue of so many buffers and at least so many, with a limit on all memory. */
static uint16_t
allocate_with(struct oid_bed *bed, uint32_t buffers, uint32_t min_buffers)
{
	struct vmq_oid_queue_parameters in;

	oid_parameters(&in, 2);
	in.suggested_receive_buffers = buffers;
	in.receive_buffers_limit = buffers;
	in.receive_buffers_min = min_buffers;
	oid_expect(bed, VMQ_STATUS_SUCCESS, VMQ_OID_METHOD, VMQ_OID_ALLOCATE_QUEUE, &in,
		sizeof(in));
	return (uint16_t)in.queue_id;
}

#define SHORT_BUFFERS 1024
#define BED_BUFFER_SIZE 512

/* The default queue's memory, and some for others. */
static size_t
limit_with(uint32_t buffers)
{
	return vmq_pool_block_bytes(vmq_adapter_min_buffers(64), BED_BUFFER_SIZE) +
		vmq_pool_block_bytes(buffers, BED_BUFFER_SIZE);
}

static void
short_memory_is_shared_equally_over_the_batch(void **state)
{
	/* Enough for a little more than half of what four queues want. */
	struct oid_bed *bed = oid_bed_make(limit_with(4 * SHORT_BUFFERS * 5 / 8));
	struct pending pending;
	uint16_t ids[4];
	unsigned int i;

	(void)state;
	for (i = 0; i < 4; i++)
		ids[i] = allocate_with(bed, SHORT_BUFFERS, 16);
	assert_int_equal(start_batch(bed, &pending, ids, 4), VMQ_STATUS_PENDING);
	wait_for(bed, &pending);
	assert_int_equal(pending.status, VMQ_STATUS_SUCCESS);
	for (i = 0; i < 4; i++) {
		assert_int_equal(pending.u.batch.elements[i].status, VMQ_STATUS_SUCCESS);
		assert_int_equal(pending.u.batch.elements[i].receive_buffers, SHORT_BUFFERS / 2);
		assert_int_equal(oid_state(bed, ids[i]), VMQ_QUEUE_PAUSED);
	}
	oid_bed_free(bed);
}

static void
without_enough_memory_a_queue_stays_as_it_was(void **state)
{
	struct oid_bed *bed = oid_bed_make(limit_with(SHORT_BUFFERS * 3 / 2));
	struct pending pending;
	uint16_t ids[2];

	(void)state;
	ids[0] = allocate_with(bed, SHORT_BUFFERS, 0);
	ids[1] = allocate_with(bed, SHORT_BUFFERS, 0);
	oid_set(bed, bed->owner, ids[1], 1, 0);
	assert_int_equal(start_batch(bed, &pending, ids, 2), VMQ_STATUS_PENDING);
	wait_for(bed, &pending);
	assert_int_equal(pending.status, VMQ_STATUS_RESOURCES);
	assert_int_equal(pending.u.batch.elements[0].status, VMQ_STATUS_SUCCESS);
	assert_int_equal(pending.u.batch.elements[1].status, VMQ_STATUS_RESOURCES);
	assert_int_equal(oid_state(bed, ids[1]), VMQ_QUEUE_SET);
	/* When there is memory again it can be tried again. */
	assert_int_equal(oid_free(bed, bed->owner, ids[0]), VMQ_STATUS_PENDING);
	oid_wait_gone(bed, ids[0]);
	assert_int_equal(oid_complete_one(bed, bed->owner, ids[1]), VMQ_STATUS_SUCCESS);
	assert_int_equal(oid_state(bed, ids[1]), VMQ_QUEUE_RUNNING);
	oid_bed_free(bed);
}

static void
a_backend_that_does_not_open_is_a_failure(void **state)
{
	struct oid_bed *bed = oid_bed_make(0);
	struct vmq_oid_queue_parameters in;
	char *before;

	(void)state;
	oid_parameters(&in, 2);
	in.backend_type = VMQ_BACKEND_PCAP;
	snprintf(in.backend_file, sizeof(in.backend_file), "%s/none/none.pcap", unit_folder());
	oid_expect(bed, VMQ_STATUS_SUCCESS, VMQ_OID_METHOD, VMQ_OID_ALLOCATE_QUEUE, &in,
		sizeof(in));
	before = oid_dump(bed);
	assert_int_equal(oid_complete_one(bed, bed->owner, (uint16_t)in.queue_id),
		VMQ_STATUS_FAILURE);
	oid_assert_same(bed, before);
	oid_bed_free(bed);
}

static void
parameters_come_back_as_they_were_given(void **state)
{
	struct oid_bed *bed = oid_bed_make(0);
	struct vmq_oid_queue_parameters in, out;

	(void)state;
	oid_parameters(&in, 2);
	in.flags = VMQ_OID_QUEUE_PER_QUEUE_RECEIVE_INDICATION;
	in.processor_affinity = 3;
	in.suggested_receive_buffers = 100;
	in.port_id = 77;
	in.receive_buffers_limit = 1000;
	in.receive_buffers_min = 10;
	in.demand_low = 20;
	in.demand_high = 200;
	in.demand_step = 50;
	in.demand_hold_ms = 1234;
	in.transmit_buffers = 2048;
	in.transmit_buffers_limit = 4096;
	in.options = VMQ_OID_OPTION_KEEP_TAGS;
	in.backend_type = VMQ_BACKEND_PCAP;
	snprintf(in.backend_file, sizeof(in.backend_file), "%s/parameters.pcap", unit_folder());
	out = in;
	oid_expect(bed, VMQ_STATUS_SUCCESS, VMQ_OID_METHOD, VMQ_OID_ALLOCATE_QUEUE, &out,
		sizeof(out));
	in.queue_id = out.queue_id;
	/* Worker 0 has the default queue: worker 1 has fewest. */
	in.processor = 1;
	assert_memory_equal(&out, &in, sizeof(in));

	assert_int_equal(oid_complete_one(bed, bed->owner, (uint16_t)in.queue_id),
		VMQ_STATUS_SUCCESS);
	in.receive_buffers = 100;
	memset(&out, 0xff, sizeof(out));
	out.header = in.header;
	out.queue_id = in.queue_id;
	oid_expect(bed, VMQ_STATUS_SUCCESS, VMQ_OID_METHOD, VMQ_OID_QUEUE_PARAMETERS, &out,
		sizeof(out));
	assert_memory_equal(&out, &in, sizeof(in));

	/* In the first revision the same without the rest, which is not written. */
	memset(&out, 0xff, sizeof(out));
	out.header = VMQ_OID_HEADER(out);
	out.header.size = VMQ_OID_QUEUE_PARAMETERS_SIZE_1;
	out.queue_id = in.queue_id;
	oid_expect(bed, VMQ_STATUS_SUCCESS, VMQ_OID_METHOD, VMQ_OID_QUEUE_PARAMETERS, &out,
		sizeof(out));
	assert_int_equal(bed->request.bytes_written, VMQ_OID_QUEUE_PARAMETERS_SIZE_1);
	assert_memory_equal(&out.flags, &in.flags, VMQ_OID_QUEUE_PARAMETERS_SIZE_1 - 4);
	assert_int_equal(out.receive_buffers_limit, UINT32_MAX);
	oid_bed_free(bed);
}

static void
the_first_revision_has_defaults(void **state)
{
	struct oid_bed *bed = oid_bed_make(0);
	struct vmq_oid_queue_parameters in;

	(void)state;
	oid_parameters(&in, 1);
	in.suggested_receive_buffers = 0;
	oid_expect(bed, VMQ_STATUS_SUCCESS, VMQ_OID_METHOD, VMQ_OID_ALLOCATE_QUEUE, &in,
		VMQ_OID_QUEUE_PARAMETERS_SIZE_1);
	assert_int_equal(in.suggested_receive_buffers, VMQ_OID_BUFFERS_DEFAULT);
	in.header = VMQ_OID_HEADER(in);
	in.header.revision = 2;
	oid_expect(bed, VMQ_STATUS_SUCCESS, VMQ_OID_METHOD, VMQ_OID_QUEUE_PARAMETERS, &in,
		sizeof(in));
	assert_int_equal(in.receive_buffers_limit,
		VMQ_OID_LIMIT_DEFAULT_TIMES * VMQ_OID_BUFFERS_DEFAULT);
	assert_int_equal(in.buffer_size, VMQ_OID_BUFFER_SIZE_DEFAULT);
	assert_int_equal(in.node, SOCKET_ID_ANY);
	assert_int_equal(in.backend_type, VMQ_BACKEND_SINK);
	assert_int_equal(oid_complete_one(bed, bed->owner, (uint16_t)in.queue_id),
		VMQ_STATUS_SUCCESS);
	oid_bed_free(bed);
}

#define BAD_VALUE(field, bad, why)                                                                 \
	do {                                                                                       \
		oid_parameters(&in, 2);                                                            \
		in.field = (bad);                                                                  \
		oid_expect(bed, VMQ_STATUS_##why, VMQ_OID_METHOD, VMQ_OID_ALLOCATE_QUEUE, &in,     \
			sizeof(in));                                                               \
	} while (0)

static void
bad_parameters_are_refused(void **state)
{
	struct oid_bed *bed = oid_bed_make(0);
	struct vmq_oid_queue_parameters in;
	char *before = oid_dump(bed);

	(void)state;
	BAD_VALUE(flags, 2, INVALID_PARAMETER); /* lookahead split */
	BAD_VALUE(flags, VMQ_OID_QUEUE_NAME_CHANGED, INVALID_PARAMETER);
	BAD_VALUE(queue_type, 0, NOT_SUPPORTED);
	BAD_VALUE(queue_type, 2, NOT_SUPPORTED);
	BAD_VALUE(processor_affinity, 0, INVALID_PARAMETER);
	BAD_VALUE(processor_affinity, 1 << UNIT_WORKERS | 1, INVALID_PARAMETER);
	BAD_VALUE(processor_affinity, UINT64_C(1) << 63, INVALID_PARAMETER);
	BAD_VALUE(processor_group, 1, INVALID_PARAMETER);
	BAD_VALUE(processor_group, UINT32_MAX, INVALID_PARAMETER);
	BAD_VALUE(suggested_receive_buffers, 0, INVALID_PARAMETER);
	BAD_VALUE(suggested_receive_buffers, 129, INVALID_PARAMETER);
	BAD_VALUE(lookahead_size, 1, INVALID_PARAMETER);
	BAD_VALUE(receive_buffers_limit, 63, INVALID_PARAMETER);
	BAD_VALUE(receive_buffers_min, 65, INVALID_PARAMETER);
	BAD_VALUE(buffer_size, VMQ_BUFFER_SIZE_MIN - 1, INVALID_PARAMETER);
	BAD_VALUE(buffer_size, VMQ_BUFFER_SIZE_MAX + 1, INVALID_PARAMETER);
	BAD_VALUE(node, -2, INVALID_PARAMETER);
	BAD_VALUE(memory_flags, 2, INVALID_PARAMETER);
	BAD_VALUE(options, 16, INVALID_PARAMETER);
	BAD_VALUE(backend_flags, VMQ_OID_BACKEND_SERVER, INVALID_PARAMETER); /* of a sink */
	BAD_VALUE(backend_permissions, 0600, INVALID_PARAMETER);
	BAD_VALUE(backend_queue_pairs, 1, INVALID_PARAMETER);
	BAD_VALUE(backend_owner[0], 'o', INVALID_PARAMETER);
	BAD_VALUE(backend_group[0], 'g', INVALID_PARAMETER);
	BAD_VALUE(backend_type, VMQ_BACKEND_VHOST, INVALID_PARAMETER); /* without a socket */
	BAD_VALUE(demand_low, 1, INVALID_PARAMETER); /* without a step */
	BAD_VALUE(backend_type, VMQ_BACKEND_COUNT, NOT_SUPPORTED);
	BAD_VALUE(backend_type, VMQ_BACKEND_PCAP, INVALID_PARAMETER); /* without a file */
	BAD_VALUE(backend_type, VMQ_BACKEND_ETHDEV, INVALID_PARAMETER);
	BAD_VALUE(backend_file[0], 'f', INVALID_PARAMETER); /* for a sink */
	BAD_VALUE(backend_device[0], 'd', INVALID_PARAMETER);
	oid_parameters(&in, 2);
	memset(in.queue_name, 'x', sizeof(in.queue_name)); /* without an end */
	oid_expect(bed, VMQ_STATUS_INVALID_PARAMETER, VMQ_OID_METHOD, VMQ_OID_ALLOCATE_QUEUE, &in,
		sizeof(in));
	oid_parameters(&in, 2);
	memset(in.vm_name, 'x', sizeof(in.vm_name));
	oid_expect(bed, VMQ_STATUS_INVALID_PARAMETER, VMQ_OID_METHOD, VMQ_OID_ALLOCATE_QUEUE, &in,
		sizeof(in));
	oid_parameters(&in, 2);
	in.backend_type = VMQ_BACKEND_PCAP;
	memset(in.backend_file, 'x', sizeof(in.backend_file));
	oid_expect(bed, VMQ_STATUS_INVALID_PARAMETER, VMQ_OID_METHOD, VMQ_OID_ALLOCATE_QUEUE, &in,
		sizeof(in));
	oid_assert_same(bed, before);
	oid_bed_free(bed);
}

static struct vmq_oid_queue_parameters
read_parameters(struct oid_bed *bed, uint16_t id)
{
	struct vmq_oid_queue_parameters out;

	oid_parameters(&out, 2);
	out.queue_id = id;
	oid_expect(bed, VMQ_STATUS_SUCCESS, VMQ_OID_METHOD, VMQ_OID_QUEUE_PARAMETERS, &out,
		sizeof(out));
	return out;
}

static void
change(struct oid_bed *bed, struct vmq_oid_queue_parameters *in, uint32_t flags,
	enum vmq_status status)
{
	in->flags = flags;
	oid_expect(bed, status, VMQ_OID_SET, VMQ_OID_QUEUE_PARAMETERS, in, sizeof(*in));
}

static void
only_what_has_a_change_flag_changes(void **state)
{
	struct oid_bed *bed = oid_bed_make(0);
	const uint16_t id = oid_allocate(bed, bed->owner);
	struct vmq_oid_queue_parameters expected = read_parameters(bed, id), in, out;
	char *before;

	(void)state;
	/* Everything is another; each flag lets its own field through. */
	memset(&in, 0x41, sizeof(in));
	in.header = expected.header;
	in.queue_id = id;
	in.processor_affinity = 2;
	in.processor_group = 0;
	in.suggested_receive_buffers = 32;
	memset(in.queue_name, 0, sizeof(in.queue_name));
	strcpy(in.queue_name, "other name");

	change(bed, &in, VMQ_OID_QUEUE_FLAGS_CHANGED | VMQ_OID_QUEUE_PER_QUEUE_RECEIVE_INDICATION,
		VMQ_STATUS_SUCCESS);
	assert_int_equal(bed->told[bed->n_told - 1].type, VMQ_INDICATE_QUEUE_PARAMETERS);
	assert_int_equal(bed->told[bed->n_told - 1].value, VMQ_OID_QUEUE_FLAGS_CHANGED);
	expected.flags = VMQ_OID_QUEUE_PER_QUEUE_RECEIVE_INDICATION;
	out = read_parameters(bed, id);
	assert_memory_equal(&out, &expected, sizeof(out));

	change(bed, &in, VMQ_OID_QUEUE_NAME_CHANGED, VMQ_STATUS_SUCCESS);
	memcpy(expected.queue_name, in.queue_name, sizeof(in.queue_name));
	out = read_parameters(bed, id);
	assert_memory_equal(&out, &expected, sizeof(out));

	change(bed, &in, VMQ_OID_QUEUE_SUGGESTED_BUFFERS_CHANGED, VMQ_STATUS_SUCCESS);
	expected.suggested_receive_buffers = 32;
	out = read_parameters(bed, id);
	assert_memory_equal(&out, &expected, sizeof(out));

	change(bed, &in, VMQ_OID_QUEUE_AFFINITY_CHANGED, VMQ_STATUS_SUCCESS);
	expected.processor_affinity = 2;
	expected.processor = 1;
	out = read_parameters(bed, id);
	assert_memory_equal(&out, &expected, sizeof(out));
	/* A worker that is among the new ones goes on. */
	in.processor_affinity = 3;
	change(bed, &in, VMQ_OID_QUEUE_AFFINITY_CHANGED, VMQ_STATUS_SUCCESS);
	expected.processor_affinity = 3;
	out = read_parameters(bed, id);
	assert_memory_equal(&out, &expected, sizeof(out));

	before = oid_dump(bed);
	change(bed, &in, 0, VMQ_STATUS_INVALID_PARAMETER);
	change(bed, &in, VMQ_OID_QUEUE_PER_QUEUE_RECEIVE_INDICATION, VMQ_STATUS_INVALID_PARAMETER);
	change(bed, &in, VMQ_OID_QUEUE_NAME_CHANGED | 2, VMQ_STATUS_INVALID_PARAMETER);
	in.processor_affinity = 0;
	change(bed, &in, VMQ_OID_QUEUE_NAME_CHANGED | VMQ_OID_QUEUE_AFFINITY_CHANGED,
		VMQ_STATUS_INVALID_PARAMETER);
	in.suggested_receive_buffers = UINT32_MAX;
	change(bed, &in, VMQ_OID_QUEUE_NAME_CHANGED | VMQ_OID_QUEUE_SUGGESTED_BUFFERS_CHANGED,
		VMQ_STATUS_INVALID_PARAMETER);
	memset(in.queue_name, 'x', sizeof(in.queue_name));
	change(bed, &in, VMQ_OID_QUEUE_NAME_CHANGED, VMQ_STATUS_INVALID_PARAMETER);
	oid_assert_same(bed, before);
	out = read_parameters(bed, id);
	assert_memory_equal(&out, &expected, sizeof(out));
	oid_bed_free(bed);
}

static void
only_an_administrator_changes_the_default_queue(void **state)
{
	struct oid_bed *bed = oid_bed_make(0);
	struct vmq_oid_queue_parameters in = read_parameters(bed, 0);

	(void)state;
	assert_int_equal(in.processor_affinity, 1);
	assert_string_equal(in.queue_name, "default");
	strcpy(in.queue_name, "rest");
	change(bed, &in, VMQ_OID_QUEUE_NAME_CHANGED, VMQ_STATUS_NOT_ACCEPTED);
	assert_int_equal(oid_ask(bed, bed->admin, VMQ_OID_SET, VMQ_OID_QUEUE_PARAMETERS, &in,
		sizeof(in)), VMQ_STATUS_SUCCESS);
	assert_string_equal(read_parameters(bed, 0).queue_name, "rest");
	in.flags = VMQ_OID_QUEUE_AFFINITY_CHANGED;
	in.processor_affinity = 2;
	assert_int_equal(oid_ask(bed, bed->admin, VMQ_OID_SET, VMQ_OID_QUEUE_PARAMETERS, &in,
		sizeof(in)), VMQ_STATUS_NOT_SUPPORTED);
	oid_bed_free(bed);
}

static void
what_has_a_change_flag_of_revision_2_can_be_another(void **state)
{
	struct oid_bed *bed = oid_bed_make(0);
	const uint16_t id = oid_allocate(bed, bed->owner);
	struct vmq_oid_queue_parameters in = read_parameters(bed, id), out;

	(void)state;
	assert_int_equal(oid_complete_one(bed, bed->owner, id), VMQ_STATUS_SUCCESS);
	in.options = VMQ_OID_OPTION_KEEP_TAGS | VMQ_OID_OPTION_BROADCAST |
		VMQ_OID_OPTION_RECEIVE_ONLY;
	in.priority = 255;
	strcpy(in.vm_name, "another");
	in.demand_low = 3;
	in.demand_high = 99;
	in.demand_step = 8;
	in.demand_hold_ms = 77;
	in.receive_buffers_min = 2;
	change(bed, &in, VMQ_OID_QUEUE_OPTIONS_CHANGED | VMQ_OID_QUEUE_PRIORITY_CHANGED |
		VMQ_OID_QUEUE_VM_NAME_CHANGED | VMQ_OID_QUEUE_DEMAND_CHANGED, VMQ_STATUS_SUCCESS);
	out = read_parameters(bed, id);
	/* All of them but the one that is settled at allocation. */
	assert_int_equal(out.options, VMQ_OID_OPTION_KEEP_TAGS | VMQ_OID_OPTION_BROADCAST);
	assert_int_equal(out.priority, 255);
	assert_string_equal(out.vm_name, "another");
	assert_int_equal(out.demand_low, 3);
	assert_int_equal(out.demand_high, 99);
	assert_int_equal(out.demand_step, 8);
	assert_int_equal(out.demand_hold_ms, 77);
	assert_int_equal(out.receive_buffers_min, 2);

	/* A refusal changes nothing, also of the rest. */
	in = out;
	in.priority = 256;
	strcpy(in.vm_name, "third");
	change(bed, &in, VMQ_OID_QUEUE_PRIORITY_CHANGED | VMQ_OID_QUEUE_VM_NAME_CHANGED,
		VMQ_STATUS_INVALID_PARAMETER);
	in.priority = 1;
	in.receive_buffers_min = in.suggested_receive_buffers + 1;
	change(bed, &in, VMQ_OID_QUEUE_PRIORITY_CHANGED | VMQ_OID_QUEUE_DEMAND_CHANGED,
		VMQ_STATUS_INVALID_PARAMETER);
	memset(in.vm_name, 'x', sizeof(in.vm_name));
	change(bed, &in, VMQ_OID_QUEUE_PRIORITY_CHANGED | VMQ_OID_QUEUE_VM_NAME_CHANGED,
		VMQ_STATUS_INVALID_PARAMETER);
	in = read_parameters(bed, id);
	assert_memory_equal(&in, &out, sizeof(in));
	in.header.revision = 1;
	in.header.size = VMQ_OID_QUEUE_PARAMETERS_SIZE_1;
	change(bed, &in, VMQ_OID_QUEUE_VM_NAME_CHANGED, VMQ_STATUS_INVALID_PARAMETER);
	oid_bed_free(bed);
}

static enum vmq_status
rename_queue(struct oid_bed *bed, uint16_t id)
{
	struct vmq_oid_queue_parameters in;

	oid_parameters(&in, 1);
	in.queue_id = id;
	in.flags = VMQ_OID_QUEUE_NAME_CHANGED;
	return oid_ask(bed, bed->owner, VMQ_OID_SET, VMQ_OID_QUEUE_PARAMETERS, &in,
		VMQ_OID_QUEUE_PARAMETERS_SIZE_1);
}

static void
indications_have_an_order_and_numbers(void **state)
{
	static const struct {
		enum vmq_indication type;
		uint32_t value;
	} expected[] = {
		{VMQ_INDICATE_QUEUE_STATE, VMQ_QUEUE_ALLOCATED},
		{VMQ_INDICATE_QUEUE_STATE, VMQ_QUEUE_SET},
		{VMQ_INDICATE_QUEUE_STATE, VMQ_QUEUE_RUNNING},
		{VMQ_INDICATE_QUEUE_PARAMETERS, VMQ_OID_QUEUE_NAME_CHANGED},
		{VMQ_INDICATE_QUEUE_STATE, VMQ_QUEUE_PAUSED},
		{VMQ_INDICATE_QUEUE_STATE, VMQ_QUEUE_DMA_STOPPED},
		{VMQ_INDICATE_QUEUE_STATE, VMQ_QUEUE_FREEING},
		{VMQ_INDICATE_QUEUE_STATE, VMQ_QUEUE_UNDEFINED},
	};
	struct oid_bed *bed = oid_bed_make(0);
	const uint16_t id = oid_allocate(bed, bed->owner);
	const uint32_t filter = oid_set(bed, bed->owner, id, 1, 0);
	unsigned int i;

	(void)state;
	assert_int_equal(oid_complete_one(bed, bed->owner, id), VMQ_STATUS_SUCCESS);
	assert_int_equal(rename_queue(bed, id), VMQ_STATUS_SUCCESS);
	assert_int_equal(oid_clear(bed, bed->owner, filter), VMQ_STATUS_SUCCESS);
	assert_int_equal(oid_free(bed, bed->owner, id), VMQ_STATUS_PENDING);
	oid_wait_gone(bed, id);
	assert_int_equal(bed->n_told, RTE_DIM(expected));
	for (i = 0; i < RTE_DIM(expected); i++) {
		assert_int_equal(bed->told[i].sequence, i + 1);
		assert_int_equal(bed->told[i].queue_id, id);
		assert_int_equal(bed->told[i].type, expected[i].type);
		assert_int_equal(bed->told[i].value, expected[i].value);
	}
	assert_int_equal(vmq_oid_last_sequence(bed->oid), RTE_DIM(expected));
	for (i = 0; i < VMQ_INDICATE_COUNT; i++)
		assert_non_null(vmq_oid_indication_name((enum vmq_indication)i));
	assert_null(vmq_oid_indication_name(VMQ_INDICATE_COUNT));
	oid_bed_free(bed);
}

struct listener {
	struct vmq_oid_adapter *oid;
	struct vmq_oid_subscriber *subscriber, *victim;
	struct listener *next; /* to be subscribed from within an indication */
	unsigned int told;
	uint64_t first;
};

static void
on_told(void *arg, const struct vmq_oid_indication *indication)
{
	struct listener *listener = arg;

	if (listener->told++ == 0)
		listener->first = indication->sequence;
	vmq_oid_unsubscribe(listener->victim);
	listener->victim = NULL;
	if (listener->next != NULL) {
		listener->next->subscriber = vmq_oid_subscribe(listener->oid, on_told,
			listener->next);
		listener->next = NULL;
	}
}

static void
subscribers_come_and_go_during_an_indication(void **state)
{
	struct oid_bed *bed = oid_bed_make(0);
	struct listener late = {.oid = bed->oid}, victim = late, self = late;
	struct listener adder = {.oid = bed->oid, .next = &late};

	(void)state;
	self.subscriber = self.victim = vmq_oid_subscribe(bed->oid, on_told, &self);
	adder.subscriber = vmq_oid_subscribe(bed->oid, on_told, &adder);
	victim.subscriber = adder.victim = vmq_oid_subscribe(bed->oid, on_told, &victim);
	oid_allocate(bed, bed->owner);
	assert_int_equal(self.told, 1); /* removed itself */
	assert_int_equal(adder.told, 1);
	assert_int_equal(victim.told, 0); /* removed before it was told */
	assert_int_equal(late.told, 0); /* from the next one on */
	oid_allocate(bed, bed->owner);
	assert_int_equal(self.told, 1);
	assert_int_equal(adder.told, 2);
	assert_int_equal(late.told, 1);
	assert_int_equal(late.first, 2);
	vmq_oid_unsubscribe(adder.subscriber);
	vmq_oid_unsubscribe(late.subscriber);
	vmq_oid_unsubscribe(NULL);
	oid_allocate(bed, bed->owner);
	assert_int_equal(adder.told, 2);
	assert_int_equal(bed->n_told, 3);
	oid_bed_free(bed);
}

static void
workers_with_fewer_queues_are_chosen(void **state)
{
	struct oid_bed *bed = oid_bed_make(0);
	struct vmq_oid_queue_parameters in;
	/* The default queue is worker 0's. */
	static const uint32_t expected[] = {1, 0, 1, 0, 1};
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(expected); i++) {
		oid_parameters(&in, 1);
		in.processor_affinity = 3;
		oid_expect(bed, VMQ_STATUS_SUCCESS, VMQ_OID_METHOD, VMQ_OID_ALLOCATE_QUEUE, &in,
			VMQ_OID_QUEUE_PARAMETERS_SIZE_1);
		assert_int_equal(in.processor, expected[i]);
		assert_int_equal(in.processor_affinity, 3);
	}
	oid_bed_free(bed);
}

#define TEST(name) cmocka_unit_test_teardown(name, oid_bed_abandon)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(freeing_is_pending_until_the_last_packet_is_home),
		TEST(completion_is_pending_and_then_fills_the_buffer),
		TEST(a_queue_named_twice_is_completed_once),
		TEST(freeing_during_completion_aborts_it),
		TEST(halt_ends_what_is_pending_and_refuses_the_rest),
		TEST(short_memory_is_shared_equally_over_the_batch),
		TEST(without_enough_memory_a_queue_stays_as_it_was),
		TEST(a_backend_that_does_not_open_is_a_failure),
		TEST(parameters_come_back_as_they_were_given),
		TEST(the_first_revision_has_defaults),
		TEST(bad_parameters_are_refused),
		TEST(only_what_has_a_change_flag_changes),
		TEST(what_has_a_change_flag_of_revision_2_can_be_another),
		TEST(only_an_administrator_changes_the_default_queue),
		TEST(indications_have_an_order_and_numbers),
		TEST(subscribers_come_and_go_during_an_indication),
		TEST(workers_with_fewer_queues_are_chosen),
	};

	return cmocka_run_group_tests_name("oid_work", tests, unit_start, unit_stop);
}
