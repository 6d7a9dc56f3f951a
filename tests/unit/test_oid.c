/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* What requests look like: OIDs, types, buffers, headers, arrays, field tests. */

#include "oid_bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define Q (1u << VMQ_OID_QUERY)
#define S (1u << VMQ_OID_SET)
#define M (1u << VMQ_OID_METHOD)

/* As in the table of the specification. */
static const struct {
	uint32_t number;
	const char *name;
	unsigned int types;
} oids[] = {
	{0x00010221, "RECEIVE_FILTER_HARDWARE_CAPABILITIES", Q},
	{0x00010222, "RECEIVE_FILTER_GLOBAL_PARAMETERS", Q},
	{0x00010223, "RECEIVE_FILTER_ALLOCATE_QUEUE", M},
	{0x00010224, "RECEIVE_FILTER_FREE_QUEUE", S},
	{0x00010225, "RECEIVE_FILTER_ENUM_QUEUES", Q},
	{0x00010226, "RECEIVE_FILTER_QUEUE_PARAMETERS", M | S},
	{0x00010227, "RECEIVE_FILTER_SET_FILTER", M},
	{0x00010228, "RECEIVE_FILTER_CLEAR_FILTER", S},
	{0x00010229, "RECEIVE_FILTER_ENUM_FILTERS", M},
	{0x0001022A, "RECEIVE_FILTER_PARAMETERS", M},
	{0x0001022B, "RECEIVE_FILTER_QUEUE_ALLOCATION_COMPLETE", M},
	{0x0001022D, "RECEIVE_FILTER_CURRENT_CAPABILITIES", Q},
	{0x00010230, "RECEIVE_FILTER_MOVE_FILTER", S},
};

static void
each_oid_has_its_number_name_and_types(void **state)
{
	struct vmq_oid_info info;
	char name[128];
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(oids); i++) {
		assert_true(vmq_oid_info_get(i, &info));
		assert_int_equal(info.oid, oids[i].number);
		assert_string_equal(info.name, oids[i].name);
		assert_int_equal(info.types, oids[i].types);
		assert_true(strlen(info.help) > 10);
		assert_true(info.min_length >= sizeof(struct vmq_oid_free_queue));
		assert_string_equal(vmq_oid_name(oids[i].number), oids[i].name);
		assert_int_equal(vmq_oid_by_name(oids[i].name), oids[i].number);
		snprintf(name, sizeof(name), "OID_%s", oids[i].name);
		assert_int_equal(vmq_oid_by_name(name), oids[i].number);
	}
	assert_false(vmq_oid_info_get(i, &info));
	assert_null(vmq_oid_name(0x0001022C));
	assert_null(vmq_oid_name(0));
	assert_int_equal(vmq_oid_by_name(""), 0);
	assert_int_equal(vmq_oid_by_name("OID_"), 0);
	assert_int_equal(vmq_oid_by_name("RECEIVE_FILTER_SET"), 0);
}

/* A good request of each OID and type, in a bed with a queue and its filter. */
struct sample {
	uint32_t oid;
	enum vmq_oid_request_type type;
	size_t input; /* size of the structure that is input; 0: none */
	union {
		struct vmq_oid_header header;
		struct vmq_oid_queue_parameters queue;
		struct vmq_oid_free_queue free;
		struct oid_filter filter;
		struct vmq_oid_clear_filter clear;
		struct vmq_oid_move_filter move;
		struct vmq_oid_filter_info_array filters;
		struct {
			struct vmq_oid_allocation_complete_array head;
			struct vmq_oid_allocation_complete elements[2];
		} batch;
		uint8_t bytes[8192];
	} u;
	size_t length; /* of the shortest buffer that does */
};

struct scene {
	struct oid_bed *bed;
	uint16_t empty; /* a queue that is allocated, without filters */
	uint16_t set; /* one with two filters */
	uint32_t filters[2];
};

static struct scene
make_scene(void)
{
	struct scene scene = {.bed = oid_bed_make(0)};

	scene.set = oid_allocate(scene.bed, scene.bed->owner);
	scene.empty = oid_allocate(scene.bed, scene.bed->owner);
	scene.filters[0] = oid_set(scene.bed, scene.bed->owner, scene.set, 1, 0);
	scene.filters[1] = oid_set(scene.bed, scene.bed->owner, scene.set, 2, 7);
	return scene;
}

#define SAMPLES 15 /* the OIDs, with two of QUEUE_PARAMETERS in two revisions */

static void
init(struct sample *sample, uint32_t oid, enum vmq_oid_request_type type, size_t input,
	size_t length)
{
	memset(sample, 0, sizeof(*sample));
	sample->oid = oid;
	sample->type = type;
	sample->input = input;
	sample->length = length;
	if (input != 0)
		sample->u.header = (struct vmq_oid_header){VMQ_OID_OBJECT_TYPE, 1, (uint16_t)input};
}

static void
init_queue(struct sample *sample, uint32_t oid, enum vmq_oid_request_type type,
	unsigned int revision, uint16_t id)
{
	const size_t size = revision == 1 ? VMQ_OID_QUEUE_PARAMETERS_SIZE_1
					  : VMQ_OID_QUEUE_PARAMETERS_SIZE_2;

	init(sample, oid, type, size, size);
	oid_parameters(&sample->u.queue, revision);
	sample->u.queue.queue_id = id;
	if (type == VMQ_OID_SET)
		sample->u.queue.flags = VMQ_OID_QUEUE_NAME_CHANGED;
}

/* The order is one in which each of them succeeds. */
static void
make_sample(const struct scene *scene, unsigned int i, struct sample *sample)
{
	const size_t info = sizeof(struct vmq_oid_queue_info);
	unsigned int j;

	switch (i) {
	case 0:
		init(sample, VMQ_OID_HARDWARE_CAPABILITIES, VMQ_OID_QUERY, 0,
			sizeof(struct vmq_oid_capabilities));
		break;
	case 1:
		init(sample, VMQ_OID_CURRENT_CAPABILITIES, VMQ_OID_QUERY, 0,
			sizeof(struct vmq_oid_capabilities));
		break;
	case 2:
		init(sample, VMQ_OID_GLOBAL_PARAMETERS, VMQ_OID_QUERY, 0,
			sizeof(struct vmq_oid_global_parameters));
		break;
	case 3:
		init(sample, VMQ_OID_ENUM_QUEUES, VMQ_OID_QUERY, 0,
			sizeof(struct vmq_oid_queue_info_array) + 2 * info);
		break;
	case 4:
		init_queue(sample, VMQ_OID_QUEUE_PARAMETERS, VMQ_OID_METHOD, 1, scene->set);
		break;
	case 5:
		init_queue(sample, VMQ_OID_QUEUE_PARAMETERS, VMQ_OID_METHOD, 2, scene->set);
		break;
	case 6:
		init_queue(sample, VMQ_OID_QUEUE_PARAMETERS, VMQ_OID_SET, 1, scene->set);
		break;
	case 7:
		init(sample, VMQ_OID_SET_FILTER, VMQ_OID_METHOD,
			sizeof(struct vmq_oid_filter_parameters), sizeof(sample->u.filter));
		sample->u.filter = oid_filter(scene->set, 3, 4);
		break;
	case 8:
		init(sample, VMQ_OID_ENUM_FILTERS, VMQ_OID_METHOD, sizeof(sample->u.filters),
			sizeof(sample->u.filters) + 3 * sizeof(struct vmq_oid_filter_info));
		sample->u.filters.queue_id = scene->set;
		break;
	case 9:
		init(sample, VMQ_OID_PARAMETERS, VMQ_OID_METHOD,
			sizeof(struct vmq_oid_filter_parameters), sizeof(sample->u.filter));
		sample->u.filter.parameters.filter_id = scene->filters[1];
		break;
	case 10:
		init(sample, VMQ_OID_MOVE_FILTER, VMQ_OID_SET, sizeof(sample->u.move),
			sizeof(sample->u.move));
		sample->u.move.filter_id = scene->filters[1];
		sample->u.move.source_queue_id = scene->set;
		sample->u.move.destination_queue_id = scene->empty;
		break;
	case 11:
		init(sample, VMQ_OID_CLEAR_FILTER, VMQ_OID_SET, sizeof(sample->u.clear),
			sizeof(sample->u.clear));
		sample->u.clear.filter_id = scene->filters[1];
		break;
	case 12:
		init(sample, VMQ_OID_QUEUE_ALLOCATION_COMPLETE, VMQ_OID_METHOD,
			sizeof(sample->u.batch.head), sizeof(sample->u.batch));
		sample->u.batch.head.array = (struct vmq_oid_array){
			sizeof(sample->u.batch.head), 2, sizeof(sample->u.batch.elements[0])};
		for (j = 0; j < 2; j++) {
			sample->u.batch.elements[j].header =
				VMQ_OID_HEADER(sample->u.batch.elements[j]);
			sample->u.batch.elements[j].queue_id = j == 0 ? scene->set : scene->empty;
		}
		break;
	case 13:
		init_queue(sample, VMQ_OID_ALLOCATE_QUEUE, VMQ_OID_METHOD, 2, 0);
		break;
	default: /* the last one: it goes on after its answer */
		init(sample, VMQ_OID_FREE_QUEUE, VMQ_OID_SET, sizeof(sample->u.free),
			sizeof(sample->u.free));
		sample->u.free.queue_id = scene->empty;
	}
}

static enum vmq_status
ask_sample(const struct scene *scene, struct sample *sample, size_t length)
{
	return oid_ask(scene->bed, scene->bed->owner, sample->type, sample->oid, &sample->u,
		length);
}

static void
the_samples_are_all_oids(void **state)
{
	const struct scene none = {0};
	struct sample sample;
	unsigned int i, j, types;

	(void)state;
	for (i = 0; i < RTE_DIM(oids); i++) {
		types = 0;
		for (j = 0; j < SAMPLES; j++) {
			make_sample(&none, j, &sample);
			if (sample.oid == oids[i].number)
				types |= 1u << sample.type;
		}
		assert_int_equal(types, oids[i].types);
	}
}

static void
a_buffer_of_every_length_that_is_too_short_is_refused(void **state)
{
	struct scene scene = make_scene();
	struct sample sample;
	uint32_t first;
	unsigned int i;
	size_t length;
	char *before;

	(void)state;
	for (i = 0; i < SAMPLES; i++) {
		make_sample(&scene, i, &sample);
		before = oid_dump(scene.bed);
		for (length = 0; length < sample.length; length++) {
			if (ask_sample(&scene, &sample, length) != VMQ_STATUS_INVALID_LENGTH)
				fail_msg("%s of %zu bytes: not INVALID_LENGTH",
					vmq_oid_name(sample.oid), length);
			/* It may learn more when it has seen more, but never asks for too much. */
			first = scene.bed->request.bytes_needed;
			assert_true(first <= sample.length);
		}
		oid_assert_same(scene.bed, before);
		/* Exactly enough, and what was written fits. */
		assert_true(ask_sample(&scene, &sample, sample.length) <= VMQ_STATUS_PENDING);
		if (sample.type == VMQ_OID_QUERY)
			assert_int_equal(scene.bed->request.bytes_written, sample.length);
		if (sample.type == VMQ_OID_SET)
			assert_int_equal(scene.bed->request.bytes_written, 0);
		else
			assert_int_not_equal(scene.bed->request.bytes_written, 0);
		if (sample.type != VMQ_OID_QUERY)
			assert_true(scene.bed->request.bytes_read >= sample.input);
	}
	oid_bed_free(scene.bed);
}

static void
a_longer_buffer_does_no_harm(void **state)
{
	struct scene scene = make_scene();
	struct sample sample;
	unsigned int i;

	(void)state;
	for (i = 0; i < SAMPLES; i++) {
		make_sample(&scene, i, &sample);
		assert_true(ask_sample(&scene, &sample, sizeof(sample.u)) <= VMQ_STATUS_PENDING);
	}
	oid_bed_free(scene.bed);
}

static void
a_header_that_does_not_fit_is_refused(void **state)
{
	struct scene scene = make_scene();
	struct vmq_oid_header good;
	struct sample sample;
	char *before = oid_dump(scene.bed);
	unsigned int i, value;

	(void)state;
	for (i = 0; i < SAMPLES; i++) {
		make_sample(&scene, i, &sample);
		if (sample.input == 0)
			continue;
		good = sample.u.header;
		for (value = 0; value <= UINT8_MAX; value++) {
			if (value == VMQ_OID_OBJECT_TYPE)
				continue;
			sample.u.header.type = (uint8_t)value;
			assert_int_equal(ask_sample(&scene, &sample, sample.length),
				VMQ_STATUS_INVALID_PARAMETER);
		}
		sample.u.header = good;
		/* Another revision, be it known for another structure or with another size. */
		for (value = 0; value <= UINT8_MAX; value++) {
			if (value == good.revision)
				continue;
			sample.u.header.revision = (uint8_t)value;
			assert_int_equal(ask_sample(&scene, &sample, sample.length),
				VMQ_STATUS_INVALID_PARAMETER);
		}
		sample.u.header = good;
		for (value = 0; value <= UINT16_MAX; value++) {
			if (value == good.size)
				continue;
			sample.u.header.size = (uint16_t)value;
			assert_int_equal(ask_sample(&scene, &sample, sample.length),
				VMQ_STATUS_INVALID_PARAMETER);
		}
	}
	oid_assert_same(scene.bed, before);
	oid_bed_free(scene.bed);
}

static void
other_types_and_oids_are_not_supported(void **state)
{
	struct scene scene = make_scene();
	char *before = oid_dump(scene.bed);
	uint8_t buffer[64] = {0};
	unsigned int i, type;
	uint32_t oid;

	(void)state;
	for (i = 0; i < RTE_DIM(oids); i++) {
		for (type = 0; type < VMQ_OID_TYPE_COUNT; type++)
			if (!(oids[i].types & 1u << type))
				oid_expect(scene.bed, VMQ_STATUS_NOT_SUPPORTED,
					(enum vmq_oid_request_type)type, oids[i].number, buffer,
					sizeof(buffer));
		oid_expect(scene.bed, VMQ_STATUS_INVALID_PARAMETER, VMQ_OID_TYPE_COUNT,
			oids[i].number, buffer, sizeof(buffer));
		oid_expect(scene.bed, VMQ_STATUS_INVALID_PARAMETER,
			(enum vmq_oid_request_type)-1, oids[i].number, buffer, sizeof(buffer));
	}
	for (oid = 0x00010200; oid < 0x00010280; oid++) {
		if (vmq_oid_name(oid) != NULL)
			continue;
		for (type = 0; type < VMQ_OID_TYPE_COUNT; type++)
			assert_int_equal(oid_ask(scene.bed, scene.bed->owner,
				(enum vmq_oid_request_type)type, oid, buffer, sizeof(buffer)),
				VMQ_STATUS_NOT_SUPPORTED);
	}
	oid_assert_same(scene.bed, before);
	oid_bed_free(scene.bed);
}

static void
a_request_needs_an_owner_and_a_buffer(void **state)
{
	struct scene scene = make_scene();
	struct vmq_oid_adapter *strange = vmq_oid_adapter_create(scene.bed->adapter);
	struct vmq_oid_owner *stranger;
	struct vmq_oid_request request = {.type = VMQ_OID_QUERY,
		.oid = VMQ_OID_CURRENT_CAPABILITIES, .information_length = 64};
	uint64_t buffer[9];

	(void)state;
	assert_int_equal(vmq_oid_owner_create(strange, "config", true, &stranger, NULL),
		VMQ_STATUS_SUCCESS);
	request.information = buffer;
	assert_int_equal(vmq_oid_request(scene.bed->oid, &request), VMQ_STATUS_INVALID_PARAMETER);
	request.owner = stranger;
	assert_int_equal(vmq_oid_request(scene.bed->oid, &request), VMQ_STATUS_INVALID_PARAMETER);
	request.owner = scene.bed->owner;
	assert_int_equal(vmq_oid_request(scene.bed->oid, &request), VMQ_STATUS_SUCCESS);
	request.information = RTE_PTR_ADD(buffer, 4);
	assert_int_equal(vmq_oid_request(scene.bed->oid, &request), VMQ_STATUS_INVALID_PARAMETER);
	request.information = NULL;
	assert_int_equal(vmq_oid_request(scene.bed->oid, &request), VMQ_STATUS_INVALID_PARAMETER);
	request.information_length = 0;
	assert_int_equal(vmq_oid_request(scene.bed->oid, &request), VMQ_STATUS_INVALID_LENGTH);
	assert_int_equal(request.bytes_needed, sizeof(struct vmq_oid_capabilities));
	/* Its indications are the last one's who asked for them. */
	vmq_oid_adapter_free(strange);
	vmq_adapter_set_indications(scene.bed->adapter, NULL, NULL);
	oid_bed_free(scene.bed);
}

/* Offsets, counts and sizes that lead out of a buffer of length bytes, or into its head. */
static void
refuse_array(struct scene *scene, struct sample *sample, struct vmq_oid_array *array)
{
	static const struct {
		uint32_t offset, n, size;
		bool add_head; /* to offset; and the right size where size is 0 */
		enum vmq_status status;
	} hostile[] = {
		{0, 1, 0, false, VMQ_STATUS_INVALID_PARAMETER}, /* over the head */
		{8, 1, 0, false, VMQ_STATUS_INVALID_PARAMETER},
		{1, 1, 0, true, VMQ_STATUS_INVALID_PARAMETER}, /* misaligned */
		{4, 1, 0, true, VMQ_STATUS_INVALID_PARAMETER},
		{0, 0, 0, true, VMQ_STATUS_INVALID_PARAMETER}, /* nothing */
		{0, 1, 8, true, VMQ_STATUS_INVALID_PARAMETER}, /* elements over each other */
		{0, 2, 1, true, VMQ_STATUS_INVALID_PARAMETER},
		{0, 1, UINT32_MAX, true, VMQ_STATUS_INVALID_PARAMETER},
		{0, 1, 4001, true, VMQ_STATUS_INVALID_PARAMETER},
		{0, UINT32_MAX, 0, true, VMQ_STATUS_INVALID_PARAMETER}, /* overflow */
		{UINT32_MAX - 7, UINT32_MAX, UINT32_MAX - 7, false, VMQ_STATUS_INVALID_PARAMETER},
		{UINT32_MAX - 7, 1, 0, false, VMQ_STATUS_INVALID_PARAMETER},
		{0, 0x80000001, 0x80000000, true, VMQ_STATUS_INVALID_PARAMETER},
		{0, 3, 0, true, VMQ_STATUS_INVALID_LENGTH}, /* one too many */
		{8, 2, 0, true, VMQ_STATUS_INVALID_LENGTH}, /* out by 8 bytes */
		{0x7ffffff8, 1, 0, false, VMQ_STATUS_INVALID_LENGTH},
	};
	const struct vmq_oid_array good = *array;
	unsigned int i;

	for (i = 0; i < RTE_DIM(hostile); i++) {
		array->first_offset = hostile[i].offset +
			(hostile[i].add_head ? good.first_offset : 0);
		array->n_elements = hostile[i].n;
		array->element_size = hostile[i].size != 0 ? hostile[i].size : good.element_size;
		if (ask_sample(scene, sample, sample->length) != hostile[i].status)
			fail_msg("%s: case %u is not refused with %s: %s",
				vmq_oid_name(sample->oid), i, vmq_status_name(hostile[i].status),
				scene->bed->request.error.text);
	}
	*array = good;
}

static void
hostile_arrays_are_refused(void **state)
{
	struct scene scene = make_scene();
	char *before = oid_dump(scene.bed);
	struct vmq_oid_header *header;
	struct sample sample;

	(void)state;
	make_sample(&scene, 7, &sample);
	refuse_array(&scene, &sample, &sample.u.filter.parameters.fields);
	header = &sample.u.filter.fields[1].header;
	header->revision = 2;
	assert_int_equal(ask_sample(&scene, &sample, sample.length), VMQ_STATUS_INVALID_PARAMETER);
	*header = (struct vmq_oid_header){VMQ_OID_OBJECT_TYPE, 1, header->size - 1};
	assert_int_equal(ask_sample(&scene, &sample, sample.length), VMQ_STATUS_INVALID_PARAMETER);
	*header = (struct vmq_oid_header){0, 1, header->size + 1};
	assert_int_equal(ask_sample(&scene, &sample, sample.length), VMQ_STATUS_INVALID_PARAMETER);

	/* A good element at an offset that no element may have. */
	make_sample(&scene, 7, &sample);
	memmove(&sample.u.bytes[sizeof(sample.u.filter.parameters) + 4], &sample.u.filter.fields[0],
		sizeof(sample.u.filter.fields[0]));
	sample.u.filter.parameters.fields.first_offset += 4;
	sample.u.filter.parameters.fields.n_elements = 1;
	assert_int_equal(ask_sample(&scene, &sample, sample.length), VMQ_STATUS_INVALID_PARAMETER);

	make_sample(&scene, 12, &sample);
	refuse_array(&scene, &sample, &sample.u.batch.head.array);
	header = &sample.u.batch.elements[1].header;
	header->size++;
	assert_int_equal(ask_sample(&scene, &sample, sample.length), VMQ_STATUS_INVALID_PARAMETER);
	oid_assert_same(scene.bed, before);
	oid_bed_free(scene.bed);
}

static void
elements_may_lie_apart(void **state)
{
	struct scene scene = make_scene();
	struct {
		struct vmq_oid_filter_parameters head;
		uint64_t gap[5];
		struct {
			struct vmq_oid_field_parameters field;
			uint64_t gap;
		} elements[2];
	} in = {0};
	struct oid_filter from = oid_filter(scene.set, 10, 11);
	char text[VMQ_FILTER_TEXT_SIZE];
	unsigned int i;

	(void)state;
	in.head = from.parameters;
	in.head.fields.first_offset = offsetof(__typeof__(in), elements);
	in.head.fields.element_size = sizeof(in.elements[0]);
	for (i = 0; i < 2; i++)
		in.elements[i].field = from.fields[i];
	oid_expect(scene.bed, VMQ_STATUS_SUCCESS, VMQ_OID_METHOD, VMQ_OID_SET_FILTER, &in,
		sizeof(in));
	assert_string_equal(vmq_filter_text(&vmq_filter_find(vmq_adapter_filters(
		scene.bed->adapter), in.head.filter_id)->match, text), "02:00:00:00:00:0a vlan 11");
	oid_bed_free(scene.bed);
}

/* Ask for a filter, and how it ends; its text afterwards, "" for a refusal. */
static void
try_filter(struct scene *scene, struct oid_filter *filter, enum vmq_status status, const char *text)
{
	struct oid_filter out = {0};
	char have[VMQ_FILTER_TEXT_SIZE];
	char *before = oid_dump(scene->bed);
	uint32_t id;

	oid_expect(scene->bed, status, VMQ_OID_METHOD, VMQ_OID_SET_FILTER, filter,
		oid_filter_length(filter));
	if (status != VMQ_STATUS_SUCCESS) {
		oid_assert_same(scene->bed, before);
		return;
	}
	free(before);
	id = filter->parameters.filter_id;
	assert_string_equal(vmq_filter_text(&vmq_filter_find(vmq_adapter_filters(
		scene->bed->adapter), id)->match, have), text);
	/* The same comes back. */
	out.parameters.header = VMQ_OID_HEADER(out.parameters);
	out.parameters.filter_id = id;
	oid_expect(scene->bed, VMQ_STATUS_SUCCESS, VMQ_OID_METHOD, VMQ_OID_PARAMETERS, &out,
		sizeof(out));
	assert_int_equal(out.parameters.queue_id, filter->parameters.queue_id);
	assert_int_equal(out.parameters.filter_type, VMQ_OID_FILTER_TYPE_VMQ);
	assert_int_equal(out.parameters.fields.n_elements, filter->parameters.fields.n_elements);
	assert_memory_equal(out.fields, filter->fields,
		out.parameters.fields.n_elements * sizeof(out.fields[0]));
	assert_int_equal(oid_clear(scene->bed, scene->bed->owner, id), VMQ_STATUS_SUCCESS);
}

static void
field_tests_are_done_or_refused_never_ignored(void **state)
{
	const enum vmq_status bad = VMQ_STATUS_INVALID_PARAMETER;
	const enum vmq_status cannot = VMQ_STATUS_NOT_SUPPORTED;
	struct scene scene = make_scene();
	const uint16_t id = scene.set;
	struct oid_filter f;
	unsigned int field, test;

	(void)state;
	f = oid_filter(id, 77, 0);
	try_filter(&scene, &f, VMQ_STATUS_SUCCESS, "02:00:00:00:00:4d any vlan");
	f.fields[0].flags = VMQ_OID_FIELD_VLAN_UNTAGGED_OR_ZERO;
	try_filter(&scene, &f, VMQ_STATUS_SUCCESS, "02:00:00:00:00:4d untagged");
	f = oid_filter(id, 77, 4094);
	try_filter(&scene, &f, VMQ_STATUS_SUCCESS, "02:00:00:00:00:4d vlan 4094");
	f.parameters.fields.n_elements = 1;
	f.fields[0] = f.fields[1];
	try_filter(&scene, &f, VMQ_STATUS_SUCCESS, "any mac vlan 4094");

	/* Every field with every test. */
	for (field = 0; field <= VMQ_OID_FIELD_END; field++) {
		for (test = 0; test <= VMQ_OID_TEST_COUNT; test++) {
			if (test == VMQ_OID_TEST_EQUAL && (field == VMQ_OID_FIELD_DESTINATION ||
					field == VMQ_OID_FIELD_VLAN_ID))
				continue;
			f = oid_filter(id, 78, 0);
			f.fields[0].field = field;
			f.fields[0].test = test;
			try_filter(&scene, &f, cannot, "");
		}
	}
	f = oid_filter(id, 78, 0);
	f.fields[0].frame_header = 2;
	try_filter(&scene, &f, cannot, "");
	f = oid_filter(id, 78, 0);
	f.parameters.filter_type = 2;
	try_filter(&scene, &f, cannot, "");

	/* Contradictions, in either order. */
	f = oid_filter(id, 78, 5);
	f.fields[0].flags = VMQ_OID_FIELD_VLAN_UNTAGGED_OR_ZERO;
	try_filter(&scene, &f, bad, "");
	f = oid_filter(id, 78, 5);
	f.fields[1] = f.fields[0];
	f.fields[0] = oid_filter(id, 78, 5).fields[1];
	f.fields[1].flags = VMQ_OID_FIELD_VLAN_UNTAGGED_OR_ZERO;
	try_filter(&scene, &f, bad, "");
	f = oid_filter(id, 78, 5);
	f.fields[1] = f.fields[0];
	try_filter(&scene, &f, bad, "");
	f = oid_filter(id, 78, 5);
	f.fields[0] = f.fields[1];
	try_filter(&scene, &f, bad, "");
	f = oid_filter(id, 78, 5);
	f.fields[1].flags = VMQ_OID_FIELD_VLAN_UNTAGGED_OR_ZERO;
	try_filter(&scene, &f, bad, "");

	/* Values and bits that mean nothing. */
	f = oid_filter(id, 78, 4095);
	try_filter(&scene, &f, bad, "");
	f = oid_filter(id, 78, 5);
	f.fields[1].value.u16 = 0;
	try_filter(&scene, &f, bad, "");
	f = oid_filter(id, 78, 0);
	f.fields[0].value.bytes[0] = 1;
	try_filter(&scene, &f, bad, "");
	f = oid_filter(id, 0, 0);
	f.fields[0].value.bytes[0] = 0;
	try_filter(&scene, &f, bad, "");
	f = oid_filter(id, 78, 0);
	f.fields[0].flags = 2;
	try_filter(&scene, &f, bad, "");
	f = oid_filter(id, 78, 0);
	f.fields[0].reserved = 1;
	try_filter(&scene, &f, bad, "");
	f = oid_filter(id, 78, 0);
	f.parameters.flags = 1;
	try_filter(&scene, &f, bad, "");

	/* Equal tests: the second is told the id of the first. */
	f = oid_filter(scene.empty, 2, 7);
	try_filter(&scene, &f, bad, "");
	assert_non_null(strstr(scene.bed->request.error.text, "2"));
	oid_bed_free(scene.bed);
}

static void
capabilities_say_what_is_done(void **state)
{
	struct scene scene = make_scene();
	struct vmq_oid_capabilities hardware, current;
	struct vmq_oid_global_parameters global;

	(void)state;
	oid_expect(scene.bed, VMQ_STATUS_SUCCESS, VMQ_OID_QUERY, VMQ_OID_HARDWARE_CAPABILITIES,
		&hardware, sizeof(hardware));
	oid_expect(scene.bed, VMQ_STATUS_SUCCESS, VMQ_OID_QUERY, VMQ_OID_CURRENT_CAPABILITIES,
		&current, sizeof(current));
	oid_expect(scene.bed, VMQ_STATUS_SUCCESS, VMQ_OID_QUERY, VMQ_OID_GLOBAL_PARAMETERS,
		&global, sizeof(global));
	assert_int_equal(hardware.header.type, VMQ_OID_OBJECT_TYPE);
	assert_int_equal(hardware.header.revision, 1);
	assert_int_equal(hardware.header.size, sizeof(hardware));
	assert_int_equal(hardware.num_queues, 0);
	assert_int_equal(hardware.supported_filter_tests, 0);
	assert_int_equal(hardware.max_mac_filters, 0);
	assert_int_equal(hardware.memory_alignment, 64);
	assert_int_equal(current.memory_alignment, 64);
	assert_in_range(current.num_queues, 1, VMQ_MEMZONES_MAX / 2);
	assert_int_equal(current.enabled_filter_types, 1);
	assert_int_equal(current.enabled_queue_types, 1);
	assert_int_equal(current.supported_queue_properties, 2);
	assert_int_equal(current.supported_filter_tests, 1);
	assert_int_equal(current.supported_headers, 1);
	assert_int_equal(current.supported_mac_fields, 1 | 8); /* destination, VLAN id */
	assert_int_equal(current.min_lookahead_size, 0);
	assert_int_equal(current.max_lookahead_size, 0);
	assert_int_equal(global.enabled_filter_types, current.enabled_filter_types);
	assert_int_equal(global.enabled_queue_types, current.enabled_queue_types);
	oid_bed_free(scene.bed);
}

#define RANDOM_REQUESTS 20000

static void
random_requests_do_no_harm(void **state)
{
	struct scene scene = make_scene();
	struct sample sample;
	uint32_t i, n, position;
	size_t length;

	(void)state;
	for (i = 0; i < RANDOM_REQUESTS; i++) {
		make_sample(&scene, unit_below(SAMPLES), &sample);
		/* A few bytes of it are others, most of them in its first structure. */
		for (n = unit_below(4); n > 0; n--) {
			position = unit_below(unit_below(2) ? 64 : (uint32_t)sample.length);
			sample.u.bytes[position] = (uint8_t)(unit_below(3) ? unit_below(8)
									   : unit_random());
		}
		length = unit_below(4) ? sample.length : unit_below(sizeof(sample.u));
		/* Files and devices are not for chance. */
		if (sample.oid == VMQ_OID_ALLOCATE_QUEUE)
			sample.u.queue.backend_type = VMQ_BACKEND_SINK;
		oid_ask(scene.bed, unit_below(8) ? scene.bed->owner : scene.bed->admin, sample.type,
			sample.oid, &sample.u, length);
		vmq_host_progress(scene.bed->host);
	}
	oid_bed_free(scene.bed);
}

#define TEST(name) cmocka_unit_test_teardown(name, oid_bed_abandon)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_oid_has_its_number_name_and_types),
		TEST(the_samples_are_all_oids),
		TEST(a_buffer_of_every_length_that_is_too_short_is_refused),
		TEST(a_longer_buffer_does_no_harm),
		TEST(a_header_that_does_not_fit_is_refused),
		TEST(other_types_and_oids_are_not_supported),
		TEST(a_request_needs_an_owner_and_a_buffer),
		TEST(hostile_arrays_are_refused),
		TEST(elements_may_lie_apart),
		TEST(field_tests_are_done_or_refused_never_ignored),
		TEST(capabilities_say_what_is_done),
		TEST(random_requests_do_no_harm),
	};

	return cmocka_run_group_tests_name("oid", tests, unit_start, unit_stop);
}
