/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* The state table of a queue, beside a copy of "Queue states" in the specification. */

#include "unit.h"

#include <string.h>

#include <vmq_queue.h>

/* The columns of the specification, in its order. */
static const enum vmq_queue_state columns[] = {
	VMQ_QUEUE_UNDEFINED,
	VMQ_QUEUE_ALLOCATED,
	VMQ_QUEUE_SET,
	VMQ_QUEUE_RUNNING,
	VMQ_QUEUE_PAUSED,
	VMQ_QUEUE_DMA_STOPPED,
	VMQ_QUEUE_FREEING,
};

#define N_STATES RTE_DIM(columns)

/* Its rows: the name of the next state, "" where the event is invalid. */
static const struct {
	enum vmq_queue_event event;
	const char *next[N_STATES];
} rows[] = {
	/* Undefined, Allocated, Set, Running, Paused, DmaStopped, Freeing */
	{VMQ_EVENT_ALLOCATE_QUEUE, {"Allocated", "", "", "", "", "", ""}},
	{VMQ_EVENT_QUERY_PARAMETERS, {"", "Allocated", "Set", "Running", "Paused", "", ""}},
	{VMQ_EVENT_SET_PARAMETERS, {"", "Allocated", "Set", "Running", "Paused", "", ""}},
	{VMQ_EVENT_SET_FILTER, {"", "Set", "Set", "Running", "Running", "", ""}},
	{VMQ_EVENT_CLEAR_LAST_FILTER, {"", "", "Allocated", "Paused", "", "", ""}},
	{VMQ_EVENT_CLEAR_FILTER, {"", "", "Set", "Running", "", "", ""}},
	{VMQ_EVENT_ENUM_FILTERS, {"", "Allocated", "Set", "Running", "Paused", "", ""}},
	{VMQ_EVENT_FILTER_PARAMETERS, {"", "", "Set", "Running", "", "", ""}},
	{VMQ_EVENT_ALLOCATION_COMPLETE, {"", "Paused", "Running", "", "", "", ""}},
	{VMQ_EVENT_RECEIVE, {"", "", "", "Running", "", "", ""}},
	{VMQ_EVENT_FREE_QUEUE, {"", "DmaStopped", "", "", "DmaStopped", "", ""}},
	{VMQ_EVENT_DMA_STOPPED, {"", "", "", "", "", "Freeing", ""}},
	{VMQ_EVENT_RESOURCES_FREED, {"", "", "", "", "", "", "Undefined"}},
};

static void
every_event_leads_where_the_specification_says(void **state)
{
	enum vmq_queue_state next;
	const char *wanted;
	unsigned int i, j;

	(void)state;
	assert_int_equal(RTE_DIM(rows), VMQ_EVENT_COUNT);
	assert_int_equal(N_STATES, VMQ_QUEUE_STATE_COUNT);
	for (i = 0; i < RTE_DIM(rows); i++) {
		for (j = 0; j < N_STATES; j++) {
			next = vmq_queue_next_state(columns[j], rows[i].event);
			wanted = rows[i].next[j];
			if (wanted[0] == '\0' && next == VMQ_QUEUE_STATE_COUNT)
				continue;
			if (wanted[0] == '\0' || next == VMQ_QUEUE_STATE_COUNT ||
				strcmp(vmq_queue_state_name(next), wanted) != 0)
				fail_msg("%s in state %s leads to %s, not to \"%s\"",
					vmq_queue_event_name(rows[i].event),
					vmq_queue_state_name(columns[j]),
					next == VMQ_QUEUE_STATE_COUNT ? "nothing"
								      : vmq_queue_state_name(next),
					wanted);
		}
	}
}

static void
values_out_of_range_are_refused(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < N_STATES; i++) {
		assert_int_equal(vmq_queue_next_state(columns[i], VMQ_EVENT_COUNT),
			VMQ_QUEUE_STATE_COUNT);
		assert_int_equal(vmq_queue_next_state(columns[i], (enum vmq_queue_event)-1),
			VMQ_QUEUE_STATE_COUNT);
	}
	for (i = 0; i < VMQ_EVENT_COUNT; i++) {
		assert_int_equal(
			vmq_queue_next_state(VMQ_QUEUE_STATE_COUNT, (enum vmq_queue_event)i),
			VMQ_QUEUE_STATE_COUNT);
		assert_int_equal(
			vmq_queue_next_state((enum vmq_queue_state)-1, (enum vmq_queue_event)i),
			VMQ_QUEUE_STATE_COUNT);
	}
	assert_non_null(vmq_queue_state_name(VMQ_QUEUE_STATE_COUNT));
	assert_non_null(vmq_queue_event_name(VMQ_EVENT_COUNT));
	assert_non_null(vmq_queue_operational_state(VMQ_QUEUE_STATE_COUNT));
}

static void
the_operational_state_is_one_of_four(void **state)
{
	static const char *const operational[N_STATES] = {
		"Undefined", "Paused", "Paused", "Running", "Paused", "DmaStopped", "DmaStopped",
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < N_STATES; i++)
		assert_string_equal(vmq_queue_operational_state(columns[i]), operational[i]);
}

static void
names_are_those_of_the_specification(void **state)
{
	static const char *const names[N_STATES] = {
		"Undefined", "Allocated", "Set", "Running", "Paused", "DmaStopped", "Freeing",
	};
	unsigned int i, j;

	(void)state;
	for (i = 0; i < N_STATES; i++)
		assert_string_equal(vmq_queue_state_name(columns[i]), names[i]);
	assert_string_equal(vmq_queue_event_name(VMQ_EVENT_SET_FILTER), "SET_FILTER");
	assert_string_equal(vmq_queue_event_name(VMQ_EVENT_FREE_QUEUE), "FREE_QUEUE");
	for (i = 0; i < VMQ_EVENT_COUNT; i++)
		for (j = 0; j < i; j++)
			assert_string_not_equal(vmq_queue_event_name((enum vmq_queue_event)i),
				vmq_queue_event_name((enum vmq_queue_event)j));
}

/* Whatever happens, FREE_QUEUE is never accepted while there are filters. */
static void
a_queue_with_filters_can_never_be_freed(void **state)
{
	enum vmq_queue_state now = VMQ_QUEUE_UNDEFINED, next;
	unsigned int filters = 0, i, freed = 0;
	enum vmq_queue_event event;

	(void)state;
	for (i = 0; i < 100000; i++) {
		event = (enum vmq_queue_event)unit_below(VMQ_EVENT_COUNT);
		if (event == VMQ_EVENT_CLEAR_FILTER && filters < 2)
			continue;
		if (event == VMQ_EVENT_CLEAR_LAST_FILTER && filters != 1)
			continue;
		next = vmq_queue_next_state(now, event);
		if (next == VMQ_QUEUE_STATE_COUNT)
			continue;
		if (event == VMQ_EVENT_FREE_QUEUE) {
			assert_int_equal(filters, 0);
			freed++;
		}
		if (event == VMQ_EVENT_SET_FILTER)
			filters++;
		if (event == VMQ_EVENT_CLEAR_FILTER || event == VMQ_EVENT_CLEAR_LAST_FILTER)
			filters--;
		now = next;
		assert_int_equal(now == VMQ_QUEUE_SET || now == VMQ_QUEUE_RUNNING, filters > 0);
	}
	assert_true(freed > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_event_leads_where_the_specification_says),
		cmocka_unit_test(values_out_of_range_are_refused),
		cmocka_unit_test(the_operational_state_is_one_of_four),
		cmocka_unit_test(names_are_those_of_the_specification),
		cmocka_unit_test(a_queue_with_filters_can_never_be_freed),
	};

	return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
