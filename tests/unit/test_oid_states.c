/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * The state table of the specification through requests: every event in every state,
 * the next state or the refusal, and that a refusal changed nothing.
 */

#include "oid_bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a queue was made into for one cell of the table. */
struct subject {
	uint16_t id;
	uint32_t n_filters;
	uint32_t filters[2]; /* in a state without filters: ids that it once had, or 0 */
	struct rte_mbuf *held;
};

typedef enum vmq_status event_request(struct oid_bed *bed, const struct subject *subject);

static enum vmq_status
allocate(struct oid_bed *bed, const struct subject *subject)
{
	/* The queue that was allocated must be the one that was not there. */
	return oid_allocate(bed, bed->owner) == subject->id ? VMQ_STATUS_SUCCESS
							     : VMQ_STATUS_FAILURE;
}

static enum vmq_status
query_parameters(struct oid_bed *bed, const struct subject *subject)
{
	struct vmq_oid_queue_parameters in;

	oid_parameters(&in, 2);
	in.queue_id = subject->id;
	return oid_ask(bed, bed->owner, VMQ_OID_METHOD, VMQ_OID_QUEUE_PARAMETERS, &in, sizeof(in));
}

static enum vmq_status
set_parameters(struct oid_bed *bed, const struct subject *subject)
{
	struct vmq_oid_queue_parameters in;

	oid_parameters(&in, 1);
	in.queue_id = subject->id;
	in.flags = VMQ_OID_QUEUE_NAME_CHANGED | VMQ_OID_QUEUE_AFFINITY_CHANGED |
		VMQ_OID_QUEUE_SUGGESTED_BUFFERS_CHANGED | VMQ_OID_QUEUE_FLAGS_CHANGED;
	in.processor_affinity = 2;
	in.suggested_receive_buffers = 32;
	snprintf(in.queue_name, sizeof(in.queue_name), "renamed");
	return oid_ask(bed, bed->owner, VMQ_OID_SET, VMQ_OID_QUEUE_PARAMETERS, &in,
		VMQ_OID_QUEUE_PARAMETERS_SIZE_1);
}

static enum vmq_status
set_filter(struct oid_bed *bed, const struct subject *subject)
{
	struct oid_filter in = oid_filter(subject->id, 999, 7);

	return oid_ask(bed, bed->owner, VMQ_OID_METHOD, VMQ_OID_SET_FILTER, &in,
		oid_filter_length(&in));
}

static enum vmq_status
clear_filter(struct oid_bed *bed, const struct subject *subject)
{
	return oid_clear(bed, bed->owner, subject->filters[0]);
}

static enum vmq_status
move_filter_here(struct oid_bed *bed, const struct subject *subject)
{
	const struct vmq_filter_set *set = vmq_adapter_filters(bed->adapter);
	struct vmq_oid_move_filter in = {.header = VMQ_OID_HEADER(in),
		.destination_queue_id = subject->id};
	const struct vmq_filter *filter = vmq_filter_next(set, 0);

	/* The first filter is the donor's: see below. */
	in.filter_id = filter->id;
	in.source_queue_id = filter->queue_id;
	return oid_ask(bed, bed->owner, VMQ_OID_SET, VMQ_OID_MOVE_FILTER, &in, sizeof(in));
}

static enum vmq_status
move_filter_away(struct oid_bed *bed, const struct subject *subject)
{
	const struct vmq_filter_set *set = vmq_adapter_filters(bed->adapter);
	struct vmq_oid_move_filter in = {.header = VMQ_OID_HEADER(in),
		.filter_id = subject->filters[0], .source_queue_id = subject->id,
		.destination_queue_id = vmq_filter_next(set, 0)->queue_id};

	return oid_ask(bed, bed->owner, VMQ_OID_SET, VMQ_OID_MOVE_FILTER, &in, sizeof(in));
}

static enum vmq_status
enum_filters(struct oid_bed *bed, const struct subject *subject)
{
	struct {
		struct vmq_oid_filter_info_array head;
		struct vmq_oid_filter_info elements[4];
	} in = {.head = {.header = VMQ_OID_HEADER(in.head), .queue_id = subject->id}};
	enum vmq_status status = oid_ask(bed, bed->owner, VMQ_OID_METHOD, VMQ_OID_ENUM_FILTERS,
		&in, sizeof(in));

	if (status == VMQ_STATUS_SUCCESS)
		assert_int_equal(in.head.array.n_elements, subject->n_filters);
	return status;
}

static enum vmq_status
filter_parameters(struct oid_bed *bed, const struct subject *subject)
{
	struct oid_filter in = {.parameters = {.header = VMQ_OID_HEADER(in.parameters),
		.filter_id = subject->filters[0]}};

	return oid_ask(bed, bed->owner, VMQ_OID_METHOD, VMQ_OID_PARAMETERS, &in, sizeof(in));
}

static enum vmq_status
complete(struct oid_bed *bed, const struct subject *subject)
{
	return oid_complete_one(bed, bed->owner, subject->id);
}

static enum vmq_status
free_queue(struct oid_bed *bed, const struct subject *subject)
{
	return oid_free(bed, bed->owner, subject->id);
}

/* In DmaStopped all are refused: that is seen from within its indication only. */
#define N_COLUMNS 6
static const enum vmq_queue_state columns[N_COLUMNS] = {VMQ_QUEUE_UNDEFINED, VMQ_QUEUE_ALLOCATED,
	VMQ_QUEUE_SET, VMQ_QUEUE_RUNNING, VMQ_QUEUE_PAUSED, VMQ_QUEUE_FREEING};

/* A cell: the state after it, or how it is refused. */
#define TO(state) {.next = VMQ_QUEUE_##state}
#define REFUSED(why) {.status = VMQ_STATUS_##why}
#define N_A REFUSED(NOT_ACCEPTED)
#define UNKNOWN REFUSED(INVALID_PARAMETER) /* the id names no queue */
#define NONE REFUSED(FILE_NOT_FOUND) /* it has no filters: the id names none */
#define SKIP {.skip = true} /* this cannot be asked for there */

struct cell {
	enum vmq_status status; /* SUCCESS: or PENDING */
	enum vmq_queue_state next;
	bool skip;
};

static const struct row {
	const char *name;
	event_request *request;
	unsigned int n_filters; /* of the queue in states that have any; 0: any number */
	struct cell cells[N_COLUMNS];
} rows[] = {
	/* Undefined, Allocated, Set, Running, Paused, Freeing */
	{"ALLOCATE_QUEUE", allocate, 1, {TO(ALLOCATED), SKIP, SKIP, SKIP, SKIP, SKIP}},
	{"QUEUE_PARAMETERS query", query_parameters, 1,
		{UNKNOWN, TO(ALLOCATED), TO(SET), TO(RUNNING), TO(PAUSED), N_A}},
	{"QUEUE_PARAMETERS set", set_parameters, 1,
		{UNKNOWN, TO(ALLOCATED), TO(SET), TO(RUNNING), TO(PAUSED), N_A}},
	{"SET_FILTER", set_filter, 1,
		{UNKNOWN, TO(SET), TO(SET), TO(RUNNING), TO(RUNNING), N_A}},
	{"MOVE_FILTER to it", move_filter_here, 1,
		{UNKNOWN, TO(SET), TO(SET), TO(RUNNING), TO(RUNNING), N_A}},
	{"CLEAR_FILTER, the last one", clear_filter, 1,
		{NONE, NONE, TO(ALLOCATED), TO(PAUSED), NONE, NONE}},
	{"MOVE_FILTER from it, the last one", move_filter_away, 1,
		{NONE, NONE, TO(ALLOCATED), TO(PAUSED), NONE, NONE}},
	{"CLEAR_FILTER, not the last", clear_filter, 2,
		{NONE, NONE, TO(SET), TO(RUNNING), NONE, NONE}},
	{"MOVE_FILTER from it, not the last", move_filter_away, 2,
		{NONE, NONE, TO(SET), TO(RUNNING), NONE, NONE}},
	{"ENUM_FILTERS", enum_filters, 2,
		{UNKNOWN, TO(ALLOCATED), TO(SET), TO(RUNNING), TO(PAUSED), N_A}},
	{"FILTER_PARAMETERS", filter_parameters, 1,
		{NONE, NONE, TO(SET), TO(RUNNING), NONE, NONE}},
	{"QUEUE_ALLOCATION_COMPLETE", complete, 1,
		{UNKNOWN, TO(PAUSED), TO(RUNNING), N_A, N_A, N_A}},
	{"FREE_QUEUE", free_queue, 1, {UNKNOWN, TO(FREEING), N_A, N_A, TO(FREEING), N_A}},
};


/* Bring a new queue into a state. */
static struct subject
make_subject(struct oid_bed *bed, enum vmq_queue_state state, unsigned int n_filters)
{
	struct subject subject = {.id = oid_allocate(bed, bed->owner)};
	unsigned int i;

	if (state == VMQ_QUEUE_UNDEFINED) {
		assert_int_equal(oid_free(bed, bed->owner, subject.id), VMQ_STATUS_PENDING);
		oid_wait_gone(bed, subject.id);
		return subject;
	}
	for (i = 0; i < n_filters; i++)
		subject.filters[i] = oid_set(bed, bed->owner, subject.id, (uint16_t)(OID_BED_MAC + i), 0);
	if (state == VMQ_QUEUE_RUNNING || state == VMQ_QUEUE_PAUSED || state == VMQ_QUEUE_FREEING)
		assert_int_equal(oid_complete_one(bed, bed->owner, subject.id), VMQ_STATUS_SUCCESS);
	if (state == VMQ_QUEUE_SET || state == VMQ_QUEUE_RUNNING) {
		subject.n_filters = n_filters;
		return subject;
	}
	for (i = 0; i < n_filters; i++)
		assert_int_equal(oid_clear(bed, bed->owner, subject.filters[i]),
			VMQ_STATUS_SUCCESS);
	if (state == VMQ_QUEUE_FREEING) {
		subject.held = oid_hold(bed, subject.id);
		assert_int_equal(oid_free(bed, bed->owner, subject.id), VMQ_STATUS_PENDING);
		vmq_host_progress(bed->host);
	}
	return subject;
}

/* Away with whatever became of it. */
static void
end_subject(struct oid_bed *bed, struct subject *subject)
{
	const struct vmq_filter_set *set = vmq_adapter_filters(bed->adapter);
	const struct vmq_filter *filter = NULL;
	uint32_t id, after = 0;

	rte_pktmbuf_free(subject->held);
	while ((filter = vmq_filter_next(set, after)) != NULL) {
		id = filter->id;
		if (filter->queue_id == subject->id)
			assert_int_equal(oid_clear(bed, bed->owner, id), VMQ_STATUS_SUCCESS);
		after = id;
	}
	if (oid_state(bed, subject->id) != VMQ_QUEUE_UNDEFINED &&
		oid_state(bed, subject->id) != VMQ_QUEUE_FREEING)
		assert_int_equal(oid_free(bed, bed->owner, subject->id), VMQ_STATUS_PENDING);
	oid_wait_gone(bed, subject->id);
}

static void
try_cell(struct oid_bed *bed, const struct row *row, enum vmq_queue_state state,
	const struct cell *cell)
{
	struct subject subject = make_subject(bed, state, row->n_filters);
	const bool refused = cell->status != VMQ_STATUS_SUCCESS;
	enum vmq_status status;
	char *before;

	if (oid_state(bed, subject.id) != state)
		fail_msg("the queue is %s, not %s",
			vmq_queue_state_name(oid_state(bed, subject.id)),
			vmq_queue_state_name(state));
	before = oid_dump(bed);
	status = row->request(bed, &subject);
	if (status == VMQ_STATUS_PENDING)
		status = VMQ_STATUS_SUCCESS;
	if (status != cell->status)
		fail_msg("%s in %s: %s instead of %s: %s", row->name,
			vmq_queue_state_name(state), vmq_status_name(status),
			vmq_status_name(cell->status), bed->request.error.text);
	if (oid_state(bed, subject.id) != (refused ? state : cell->next))
		fail_msg("%s in %s leads to %s", row->name, vmq_queue_state_name(state),
			vmq_queue_state_name(oid_state(bed, subject.id)));
	if (refused)
		oid_assert_same(bed, before);
	else
		free(before);
	end_subject(bed, &subject);
}

static void
every_event_in_every_state(void **state)
{
	struct oid_bed *bed = oid_bed_make(0);
	unsigned int i, j;
	uint16_t donor;

	(void)state;
	/* The donor: a queue to move filters from and to. */
	for (i = 0; i < RTE_DIM(rows); i++) {
		for (j = 0; j < RTE_DIM(columns); j++) {
			if (rows[i].cells[j].skip)
				continue;
			donor = oid_allocate(bed, bed->owner);
			oid_set(bed, bed->owner, donor, 1, 0);
			oid_set(bed, bed->owner, donor, 2, 0);
			try_cell(bed, &rows[i], columns[j], &rows[i].cells[j]);
			end_subject(bed, &(struct subject){.id = donor});
		}
	}
	oid_bed_free(bed);
}

/* Let go on what goes on, for some thousand packets. */
static void
let_packets_come(struct oid_bed *bed)
{
	const uint64_t many = 4096;
	struct vmq_port_stats stats;
	uint64_t end;

	vmq_adapter_port_stats(bed->adapter, &stats);
	end = stats.received + many;
	while (stats.received < end) {
		vmq_host_progress(bed->host);
		vmq_adapter_port_stats(bed->adapter, &stats);
	}
	/* What a worker received by then it has gone by the present view with. */
	vmq_datapath_synchronize(vmq_host_datapath(bed->host));
}

static struct vmq_dp_queue_stats
packets_of(const struct oid_bed *bed, uint16_t id)
{
	struct vmq_queue_info info = {0};

	vmq_queue_info_get(bed->adapter, id, &info); /* nothing, where there is no queue */
	return info.packets;
}

/* The event "a packet is received": in Running, and nowhere else. */
static void
packets_come_in_running_only(void **state)
{
	struct oid_bed *bed = oid_bed_make_receiving();
	struct vmq_dp_queue_stats before[2], after[2];
	struct subject subject;
	unsigned int i;
	bool runs;

	(void)state;
	for (i = 0; i < RTE_DIM(columns); i++) {
		subject = make_subject(bed, columns[i], 1);
		runs = columns[i] == VMQ_QUEUE_RUNNING;
		vmq_datapath_synchronize(vmq_host_datapath(bed->host));
		before[0] = packets_of(bed, 0);
		before[1] = packets_of(bed, subject.id);
		let_packets_come(bed);
		after[0] = packets_of(bed, 0);
		after[1] = packets_of(bed, subject.id);
		/* They come to the queue or, where it is not running, to the default one. */
		if (!runs && memcmp(&before[1], &after[1], sizeof(after[1])) != 0)
			fail_msg("a queue that is %s receives", vmq_queue_state_name(columns[i]));
		assert_int_equal(after[1].delivered > before[1].delivered, runs);
		assert_int_equal(after[0].delivered > before[0].delivered, !runs);
		assert_int_equal(after[0].dropped + after[1].dropped,
			before[0].dropped + before[1].dropped);
		assert_int_equal(oid_state(bed, subject.id), columns[i]);
		end_subject(bed, &subject);
	}
	oid_bed_free(bed);
}

struct stopped {
	struct oid_bed *bed;
	uint16_t id;
	unsigned int seen;
};

static void
ask_while_stopped(void *arg, const struct vmq_oid_indication *indication)
{
	struct stopped *stopped = arg;
	struct oid_bed *bed = stopped->bed;
	const struct subject subject = {.id = stopped->id, .filters = {1, 2}};
	enum vmq_status status;
	unsigned int i;
	char *before;

	if (indication->type != VMQ_INDICATE_QUEUE_STATE ||
		indication->value != VMQ_QUEUE_DMA_STOPPED)
		return;
	assert_int_equal(indication->queue_id, stopped->id);
	assert_int_equal(oid_state(bed, stopped->id), VMQ_QUEUE_DMA_STOPPED);
	stopped->seen++;
	for (i = 0; i < RTE_DIM(rows); i++) {
		if (rows[i].request == allocate || rows[i].request == complete)
			continue;
		if (rows[i].request == move_filter_here || rows[i].request == move_filter_away)
			continue; /* there is no donor */
		before = oid_dump(bed);
		status = rows[i].request(bed, &subject);
		assert_int_equal(status, VMQ_STATUS_NOT_ACCEPTED);
		oid_assert_same(bed, before);
	}
}

static void
a_queue_in_dma_stopped_accepts_nothing(void **state)
{
	struct oid_bed *bed = oid_bed_make(0);
	struct stopped stopped = {.bed = bed};
	struct vmq_oid_subscriber *subscriber;

	(void)state;
	stopped.id = oid_allocate(bed, bed->owner);
	assert_int_equal(oid_complete_one(bed, bed->owner, stopped.id), VMQ_STATUS_SUCCESS);
	subscriber = vmq_oid_subscribe(bed->oid, ask_while_stopped, &stopped);
	assert_non_null(subscriber);
	assert_int_equal(oid_free(bed, bed->owner, stopped.id), VMQ_STATUS_PENDING);
	assert_int_equal(stopped.seen, 1);
	oid_wait_gone(bed, stopped.id);
	vmq_oid_unsubscribe(subscriber);
	oid_bed_free(bed);
}

static void
the_default_queue_runs_from_start_to_halt(void **state)
{
	struct oid_bed *bed = oid_bed_make(0);
	const struct subject subject = {.id = VMQ_DEFAULT_QUEUE_ID};
	struct subject with_filter = subject;
	char *before;

	(void)state;
	assert_int_equal(query_parameters(bed, &subject), VMQ_STATUS_SUCCESS);
	assert_int_equal(enum_filters(bed, &subject), VMQ_STATUS_SUCCESS);
	before = oid_dump(bed);
	assert_int_equal(free_queue(bed, &subject), VMQ_STATUS_INVALID_PARAMETER);
	assert_int_equal(oid_free(bed, bed->admin, 0), VMQ_STATUS_INVALID_PARAMETER);
	assert_int_equal(complete(bed, &subject), VMQ_STATUS_NOT_ACCEPTED);
	assert_int_equal(oid_complete_one(bed, bed->admin, 0), VMQ_STATUS_NOT_ACCEPTED);
	assert_int_equal(set_parameters(bed, &subject), VMQ_STATUS_NOT_ACCEPTED);
	oid_assert_same(bed, before);

	with_filter.filters[0] = oid_set(bed, bed->owner, 0, 5, 9);
	with_filter.n_filters = 1;
	assert_int_equal(oid_state(bed, 0), VMQ_QUEUE_RUNNING);
	assert_int_equal(enum_filters(bed, &with_filter), VMQ_STATUS_SUCCESS);
	assert_int_equal(filter_parameters(bed, &with_filter), VMQ_STATUS_SUCCESS);
	assert_int_equal(clear_filter(bed, &with_filter), VMQ_STATUS_SUCCESS);
	assert_int_equal(oid_state(bed, 0), VMQ_QUEUE_RUNNING);
	oid_bed_free(bed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(every_event_in_every_state, oid_bed_abandon),
		cmocka_unit_test_teardown(packets_come_in_running_only, oid_bed_abandon),
		cmocka_unit_test_teardown(a_queue_in_dma_stopped_accepts_nothing, oid_bed_abandon),
		cmocka_unit_test_teardown(the_default_queue_runs_from_start_to_halt,
			oid_bed_abandon),
	};

	return cmocka_run_group_tests_name("oid_states", tests, unit_start, unit_stop);
}
