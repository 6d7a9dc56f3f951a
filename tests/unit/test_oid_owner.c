/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Owners: whose queue and filter is whose, and who may do what with it. */

#include "oid_bed.h"

#include <stdlib.h>
#include <string.h>

/* How many elements an enumeration has for an owner. */
static uint32_t
count_queues(struct oid_bed *bed, struct vmq_oid_owner *owner)
{
	struct {
		struct vmq_oid_queue_info_array head;
		struct vmq_oid_queue_info elements[8];
	} out;

	assert_int_equal(oid_ask(bed, owner, VMQ_OID_QUERY, VMQ_OID_ENUM_QUEUES, &out,
		sizeof(out)), VMQ_STATUS_SUCCESS);
	return out.head.array.n_elements;
}

static uint32_t
count_filters(struct oid_bed *bed, struct vmq_oid_owner *owner, uint16_t id)
{
	struct {
		struct vmq_oid_filter_info_array head;
		struct vmq_oid_filter_info elements[8];
	} out = {.head = {.header = VMQ_OID_HEADER(out.head), .queue_id = id}};

	assert_int_equal(oid_ask(bed, owner, VMQ_OID_METHOD, VMQ_OID_ENUM_FILTERS, &out,
		sizeof(out)), VMQ_STATUS_SUCCESS);
	return out.head.array.n_elements;
}

static enum vmq_status
ask_parameters(struct oid_bed *bed, struct vmq_oid_owner *owner, enum vmq_oid_request_type type,
	uint16_t id)
{
	struct vmq_oid_queue_parameters in;

	oid_parameters(&in, 1);
	in.queue_id = id;
	in.flags = VMQ_OID_QUEUE_NAME_CHANGED;
	return oid_ask(bed, owner, type, VMQ_OID_QUEUE_PARAMETERS, &in,
		VMQ_OID_QUEUE_PARAMETERS_SIZE_1);
}

static enum vmq_status
ask_filter(struct oid_bed *bed, struct vmq_oid_owner *owner, uint16_t id)
{
	struct oid_filter in = oid_filter(id, 500, 0);

	return oid_ask(bed, owner, VMQ_OID_METHOD, VMQ_OID_SET_FILTER, &in, oid_filter_length(&in));
}

static enum vmq_status
ask_move(struct oid_bed *bed, struct vmq_oid_owner *owner, uint32_t filter, uint16_t from,
	uint16_t to)
{
	struct vmq_oid_move_filter in = {.header = VMQ_OID_HEADER(in), .filter_id = filter,
		.source_queue_id = from, .destination_queue_id = to};

	return oid_ask(bed, owner, VMQ_OID_SET, VMQ_OID_MOVE_FILTER, &in, sizeof(in));
}

static enum vmq_status
ask_filter_parameters(struct oid_bed *bed, struct vmq_oid_owner *owner, uint32_t id)
{
	struct oid_filter in = {.parameters = {.header = VMQ_OID_HEADER(in.parameters),
		.filter_id = id}};

	return oid_ask(bed, owner, VMQ_OID_METHOD, VMQ_OID_PARAMETERS, &in, sizeof(in));
}

/* All that may be asked of a queue with a filter that is another's. */
static void
assert_all_refused(struct oid_bed *bed, struct vmq_oid_owner *owner, uint16_t id, uint32_t filter,
	enum vmq_status queue_status, enum vmq_status filter_status)
{
	char *before = oid_dump(bed);
	const uint16_t to = 1; /* the first queue there is: the other owner's */

	assert_int_equal(ask_parameters(bed, owner, VMQ_OID_SET, id), queue_status);
	assert_int_equal(ask_filter(bed, owner, id), queue_status);
	assert_int_equal(oid_complete_one(bed, owner, id), queue_status);
	assert_int_equal(oid_free(bed, owner, id), queue_status);
	assert_int_equal(oid_clear(bed, owner, filter), filter_status);
	assert_int_equal(ask_move(bed, owner, filter, id, to), filter_status);
	oid_assert_same(bed, before);
}

static void
what_is_anothers_is_safe(void **state)
{
	struct oid_bed *bed = oid_bed_make(0);
	const uint16_t others = oid_allocate(bed, bed->other), own = oid_allocate(bed, bed->owner);
	const uint32_t filter = oid_set(bed, bed->owner, own, 1, 0);
	const uint32_t others_filter = oid_set(bed, bed->other, others, 2, 0);
	uint32_t on_default;

	(void)state;
	/* To another owner it does not exist... */
	assert_all_refused(bed, bed->other, own, filter, VMQ_STATUS_INVALID_PARAMETER,
		VMQ_STATUS_FILE_NOT_FOUND);
	assert_int_equal(ask_parameters(bed, bed->other, VMQ_OID_METHOD, own),
		VMQ_STATUS_INVALID_PARAMETER);
	assert_int_equal(ask_filter_parameters(bed, bed->other, filter), VMQ_STATUS_FILE_NOT_FOUND);
	/* ...an administrator can see it, and that is all while its owner is there. */
	assert_all_refused(bed, bed->admin, own, filter, VMQ_STATUS_NOT_ACCEPTED,
		VMQ_STATUS_NOT_ACCEPTED);
	assert_int_equal(ask_parameters(bed, bed->admin, VMQ_OID_METHOD, own), VMQ_STATUS_SUCCESS);
	assert_int_equal(ask_filter_parameters(bed, bed->admin, filter), VMQ_STATUS_SUCCESS);
	assert_int_equal(count_filters(bed, bed->admin, own), 1);
	/* A filter goes only to a queue of one's own, or to the default one. */
	assert_int_equal(ask_move(bed, bed->other, others_filter, others, own),
		VMQ_STATUS_INVALID_PARAMETER);
	assert_int_equal(ask_move(bed, bed->other, others_filter, own, others),
		VMQ_STATUS_INVALID_PARAMETER);
	assert_int_equal(ask_move(bed, bed->other, others_filter, others, 0), VMQ_STATUS_SUCCESS);
	assert_int_equal(oid_state(bed, others), VMQ_QUEUE_ALLOCATED);

	assert_string_equal(vmq_oid_queue_owner(bed->oid, own), VMQ_OID_OWNER_CONFIG);
	assert_string_equal(vmq_oid_queue_owner(bed->oid, 0), "");
	assert_string_equal(vmq_oid_filter_owner(bed->oid, others_filter), "other");
	assert_string_equal(vmq_oid_filter_owner(bed->oid, 99), "");
	assert_ptr_equal(vmq_oid_owner_find(bed->oid, "other"), bed->other);
	assert_null(vmq_oid_owner_find(bed->oid, "nobody"));
	assert_string_equal(vmq_oid_owner_name(bed->other), "other");

	assert_int_equal(count_queues(bed, bed->owner), 1);
	assert_int_equal(count_queues(bed, bed->other), 1);
	assert_int_equal(count_queues(bed, bed->admin), 3);

	/* The default queue's filters are their setters'. */
	on_default = oid_set(bed, bed->owner, 0, 3, 4);
	assert_int_equal(count_filters(bed, bed->owner, 0), 1);
	assert_int_equal(count_filters(bed, bed->other, 0), 1);
	assert_int_equal(count_filters(bed, bed->admin, 0), 2);
	assert_int_equal(oid_clear(bed, bed->other, on_default), VMQ_STATUS_FILE_NOT_FOUND);
	assert_int_equal(oid_clear(bed, bed->owner, on_default), VMQ_STATUS_SUCCESS);
	oid_bed_free(bed);
}

static void
what_an_owner_leaves_is_an_administrators_to_free_or_take(void **state)
{
	struct oid_bed *bed = oid_bed_make(0);
	uint16_t ids[2] = {oid_allocate(bed, bed->other), oid_allocate(bed, bed->other)};
	uint32_t filters[2] = {oid_set(bed, bed->other, ids[0], 1, 0),
		oid_set(bed, bed->other, ids[1], 2, 0)};
	struct vmq_oid_owner *again;
	struct vmq_error err;

	(void)state;
	assert_int_equal(vmq_oid_take_over(bed->admin, "other", &err), VMQ_STATUS_NOT_ACCEPTED);
	assert_int_equal(vmq_oid_take_over(bed->admin, "nobody", &err),
		VMQ_STATUS_INVALID_PARAMETER);
	assert_int_equal(vmq_oid_owner_create(bed->oid, "other", false, &again, &err),
		VMQ_STATUS_NOT_ACCEPTED);
	vmq_oid_owner_gone(bed->other);
	assert_int_equal(vmq_oid_owner_create(bed->oid, "other", false, &again, &err),
		VMQ_STATUS_NOT_ACCEPTED);
	assert_int_equal(vmq_oid_take_over(bed->owner, "other", &err), VMQ_STATUS_NOT_ACCEPTED);
	/* It runs on as it was; nobody else may touch it. */
	assert_int_equal(oid_state(bed, ids[0]), VMQ_QUEUE_SET);
	assert_int_equal(oid_clear(bed, bed->owner, filters[0]), VMQ_STATUS_FILE_NOT_FOUND);
	/* To be freed it need not be taken, to be changed it must be. */
	assert_int_equal(oid_clear(bed, bed->admin, filters[0]), VMQ_STATUS_SUCCESS);
	assert_int_equal(oid_free(bed, bed->admin, ids[0]), VMQ_STATUS_PENDING);
	oid_wait_gone(bed, ids[0]);
	assert_int_equal(ask_filter(bed, bed->admin, ids[1]), VMQ_STATUS_NOT_ACCEPTED);
	assert_int_equal(oid_complete_one(bed, bed->admin, ids[1]), VMQ_STATUS_NOT_ACCEPTED);
	assert_int_equal(vmq_oid_take_over(bed->admin, "other", &err), VMQ_STATUS_SUCCESS);
	assert_int_equal(vmq_oid_take_over(bed->admin, "other", &err),
		VMQ_STATUS_INVALID_PARAMETER);
	assert_int_equal(oid_complete_one(bed, bed->admin, ids[1]), VMQ_STATUS_SUCCESS);
	assert_int_equal(oid_clear(bed, bed->admin, filters[1]), VMQ_STATUS_SUCCESS);
	/* With nothing left of it the name is to be had again. */
	assert_int_equal(vmq_oid_owner_create(bed->oid, "other", false, &again, &err),
		VMQ_STATUS_SUCCESS);
	assert_int_equal(count_queues(bed, again), 0);
	vmq_oid_owner_gone(again);
	vmq_oid_owner_gone(NULL);
	oid_bed_free(bed);
}

static void
an_owner_that_goes_while_its_queue_is_freed_is_forgotten_with_it(void **state)
{
	struct oid_bed *bed = oid_bed_make(0);
	const uint16_t id = oid_allocate(bed, bed->other);
	struct vmq_oid_owner *again;

	(void)state;
	assert_int_equal(oid_free(bed, bed->other, id), VMQ_STATUS_PENDING);
	vmq_oid_owner_gone(bed->other);
	oid_wait_gone(bed, id);
	assert_int_equal(vmq_oid_owner_create(bed->oid, "other", false, &again, NULL),
		VMQ_STATUS_SUCCESS);
	oid_bed_free(bed);
}

static void
bad_names_of_owners_are_refused(void **state)
{
	struct oid_bed *bed = oid_bed_make(0);
	struct vmq_oid_owner *owner;
	char name[VMQ_NAME_SIZE + 1];

	(void)state;
	memset(name, 'x', sizeof(name));
	name[VMQ_NAME_SIZE] = '\0';
	assert_int_equal(vmq_oid_owner_create(bed->oid, "", false, &owner, NULL),
		VMQ_STATUS_INVALID_PARAMETER);
	assert_int_equal(vmq_oid_owner_create(bed->oid, name, false, &owner, NULL),
		VMQ_STATUS_INVALID_PARAMETER);
	assert_int_equal(vmq_oid_owner_create(bed->oid, name + 1, false, &owner, NULL),
		VMQ_STATUS_SUCCESS);
	oid_bed_free(bed);
}

static void
what_was_there_before_is_an_administrators(void **state)
{
	struct oid_bed *bed = oid_bed_make(0);
	const struct vmq_queue_params params = {.name = "before",
		.memory = {.buffers = 64, .limit = 64, .buffer_size = 512, .node = SOCKET_ID_ANY}};
	uint16_t id;

	(void)state;
	assert_int_equal(vmq_queue_allocate(bed->adapter, &params, &id, NULL), VMQ_STATUS_SUCCESS);
	assert_int_equal(oid_free(bed, bed->owner, id), VMQ_STATUS_INVALID_PARAMETER);
	assert_int_equal(ask_parameters(bed, bed->admin, VMQ_OID_METHOD, id), VMQ_STATUS_SUCCESS);
	assert_int_equal(ask_filter(bed, bed->admin, id), VMQ_STATUS_NOT_ACCEPTED);
	assert_int_equal(oid_free(bed, bed->admin, id), VMQ_STATUS_PENDING);
	oid_wait_gone(bed, id);
	oid_bed_free(bed);
}

#define TEST(name) cmocka_unit_test_teardown(name, oid_bed_abandon)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_anothers_is_safe),
		TEST(what_an_owner_leaves_is_an_administrators_to_free_or_take),
		TEST(an_owner_that_goes_while_its_queue_is_freed_is_forgotten_with_it),
		TEST(bad_names_of_owners_are_refused),
		TEST(what_was_there_before_is_an_administrators),
	};

	return cmocka_run_group_tests_name("oid_owner", tests, unit_start, unit_stop);
}
