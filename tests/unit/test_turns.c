/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * What a turn of a worker is, on the test bed of bed.h: how much it receives, and how often it
 * asks VMs whether they have sent something. One VM that always has counts the turns.
 */

#include "bed.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Bursts of a source or a VM in one turn at most (dp_private.h, TURN_BURSTS_MAX). */
#define TURN_BURSTS 4

/*
 * Turns at most until a VM is asked again, of a worker that receives as much as it can in each:
 * 16 bursts (transmit.c, QUIET_BURSTS_MAX).
 */
#define TURNS_MAX (16 / TURN_BURSTS)

#define MANY_TURNS 5000 /* more than STUCK_TURNS of the data path */

#define CLOCK 1
#define QUIET 2
#define OTHER 3

static bool
has_turned(void *arg)
{
	const struct bed *bed = arg;
	static uint64_t from;
	uint64_t turns = bed->queues[CLOCK].backend->asked;

	if (turns < from) /* another bed */
		from = turns;
	if (turns < from + MANY_TURNS)
		return false;
	from = turns;
	return true;
}

/* A bed whose first VM counts turns; with a file, its worker is always busy receiving. */
static struct bed *
make(const char *capture)
{
	struct bed *bed = bed_make(&(struct bed_options){.sends = true, .capture = capture});

	vmq_datapath_stop(bed->dp);
	bed->queues[CLOCK].backend->babbles = true;
	bed->queues[QUIET].backend->clock = bed->queues[CLOCK].backend;
	bed->queues[QUIET].backend->asked_at = bed->queues[CLOCK].backend->asked;
	assert_int_equal(vmq_datapath_start(bed->dp), 0);
	return bed;
}

static void
let_turn(struct bed *bed)
{
	assert_true(unit_wait(has_turned, bed));
	assert_true(unit_wait(has_turned, bed));
}

/* Of a source that always has more: packets of so many bursts in each turn. */
static void
assert_bursts_of_turn(struct bed *bed, unsigned int bursts)
{
	const struct bed_backend *clock = bed->queues[CLOCK].backend;
	struct vmq_worker_stats before, after;
	uint64_t turns;

	let_turn(bed);
	vmq_datapath_stop(bed->dp);
	vmq_worker_stats_get(bed->dp, 0, &before);
	turns = clock->asked;
	assert_int_equal(vmq_datapath_start(bed->dp), 0);
	let_turn(bed);
	vmq_datapath_stop(bed->dp);
	vmq_worker_stats_get(bed->dp, 0, &after);
	turns = clock->asked - turns;
	assert_int_equal(after.packets - before.packets, turns * bursts * VMQ_BURST);
	assert_int_equal(after.bursts - before.bursts, turns * bursts);
	assert_int_equal(vmq_datapath_start(bed->dp), 0);
}

static void
a_source_whose_bursts_are_full_gets_four_in_a_turn_unless_a_vm_is_behind(void **state)
{
	char *path = bed_capture();
	struct bed *bed = make(path);

	(void)state;
	assert_bursts_of_turn(bed, TURN_BURSTS);
	/* What waits would not become less otherwise. */
	bed->queues[OTHER].backend->part = 1;
	assert_bursts_of_turn(bed, 1);
	bed->queues[OTHER].backend->part = 0;
	assert_bursts_of_turn(bed, TURN_BURSTS);
	bed_free(bed);
	free(path);
}

static void
a_vm_that_has_taken_nothing_for_long_does_not_make_turns_short(void **state)
{
	char *path = bed_capture();
	struct bed *bed = make(path);
	struct bed_backend *mute = bed->queues[OTHER].backend, *slow = bed->queues[QUIET].backend;

	(void)state;
	mute->budget = 0;
	assert_bursts_of_turn(bed, TURN_BURSTS); /* it looks after many turns only */
	/* Another one that is behind, and takes something, does. */
	slow->part = 1;
	assert_bursts_of_turn(bed, 1);
	slow->part = 0;
	assert_bursts_of_turn(bed, TURN_BURSTS);
	/* As does this one from its first packet on. */
	mute->part = 1;
	mute->budget = BED_ENDLESS;
	assert_bursts_of_turn(bed, 1);
	mute->part = 0;
	assert_bursts_of_turn(bed, TURN_BURSTS);
	bed_free(bed);
	free(path);
}

static void
a_quiet_vm_of_a_busy_worker_is_asked_now_and_then_and_never_forgotten(void **state)
{
	char *path = bed_capture();
	struct bed *bed = make(path);
	const struct bed_backend *quiet = bed->queues[QUIET].backend;
	const struct bed_backend *clock = bed->queues[CLOCK].backend;
	uint64_t turns, asked;

	(void)state;
	let_turn(bed);
	vmq_datapath_stop(bed->dp);
	turns = clock->asked;
	asked = quiet->asked;
	assert_int_equal(vmq_datapath_start(bed->dp), 0);
	let_turn(bed);
	vmq_datapath_stop(bed->dp);
	turns = clock->asked - turns;
	asked = quiet->asked - asked;
	print_message("# asked %u times in %u turns\n", (unsigned int)asked, (unsigned int)turns);
	assert_in_range(asked, turns / TURNS_MAX - 1, turns / 2);
	assert_int_equal(quiet->longest, TURNS_MAX);
	bed_free(bed);
	free(path);
}

/* A frame to OTHER; group: to all. */
static void
vm_sends(struct bed *bed, bool group)
{
	uint8_t bytes[60] = {2, 0, 0, 0, 0, OTHER, 2, 0, 0, 0, 0, QUIET, 0x88, 0xb5};

	if (group)
		memset(bytes, 0xff, RTE_ETHER_ADDR_LEN);
	bed_vm_sends(bed, QUIET, unit_packet(bed->queues[QUIET].xmit_pool, bytes, sizeof(bytes)));
}

static bool
has_left(void *arg)
{
	const struct bed *bed = arg;

	return rte_ring_empty(bed->queues[QUIET].backend->outbox);
}

static void
a_vm_that_was_silent_for_long_is_heard_within_sixteen_bursts(void **state)
{
	char *path = bed_capture();
	struct bed *bed = make(path);
	struct vmq_dp_tx_stats stats;
	unsigned int round;

	(void)state;
	for (round = 1; round <= 20; round++) {
		assert_true(unit_wait(has_turned, bed));
		vm_sends(bed, false);
		assert_true(unit_wait(has_left, bed));
	}
	vmq_datapath_stop(bed->dp);
	/* Never longer than that between two looks, whenever it has sent. */
	assert_in_range(bed->queues[QUIET].backend->longest, 2, TURNS_MAX);
	vmq_dp_queue_tx_stats_get(bed->queues[QUIET].dp, &stats);
	assert_int_equal(stats.received, 20);
	bed_free(bed);
	free(path);
}

/* Times that a VM is asked in a turn at most which has so many bursts to send. */
static uint64_t
most_asked(struct bed *bed, unsigned int bursts, bool group)
{
	struct bed_backend *quiet = bed->queues[QUIET].backend;
	struct vmq_dp_tx_stats before, after;
	unsigned int i;

	vmq_datapath_stop(bed->dp);
	quiet->most = 0;
	vmq_dp_queue_tx_stats_get(bed->queues[QUIET].dp, &before);
	for (i = 0; i < bursts * VMQ_BURST; i++)
		vm_sends(bed, group);
	assert_int_equal(vmq_datapath_start(bed->dp), 0);
	assert_true(unit_wait(has_left, bed));
	vmq_datapath_stop(bed->dp);
	vmq_dp_queue_tx_stats_get(bed->queues[QUIET].dp, &after);
	assert_int_equal(after.received - before.received, bursts * VMQ_BURST);
	return quiet->most;
}

static void
a_vm_whose_bursts_are_full_gets_four_in_a_turn(void **state)
{
	struct bed *bed = make(NULL);

	(void)state;
	assert_int_equal(most_asked(bed, 3 * TURN_BURSTS, false), TURN_BURSTS);
	/* The third one finds nothing. */
	assert_int_equal(most_asked(bed, 2, false), 3);
	bed_free(bed);
}

static void
copies_end_the_turn_of_a_vm(void **state)
{
	struct bed *bed = make(NULL);

	(void)state;
	bed->queues[OTHER].member.broadcast = true;
	bed_publish(bed);
	assert_int_equal(most_asked(bed, 2, true), 1);
	bed_free(bed);
}

static void
a_vm_that_sends_is_asked_in_each_turn(void **state)
{
	char *path = bed_capture();
	struct bed *bed = make(path);
	const struct bed_backend *quiet = bed->queues[QUIET].backend;
	uint64_t turns, asked;

	(void)state;
	let_turn(bed);
	vmq_datapath_stop(bed->dp);
	bed->queues[QUIET].backend->babbles = true;
	assert_int_equal(vmq_datapath_start(bed->dp), 0);
	/* From the first time that it is asked. */
	let_turn(bed);
	vmq_datapath_stop(bed->dp);
	bed->queues[QUIET].backend->longest = 0;
	turns = bed->queues[CLOCK].backend->asked;
	asked = quiet->asked;
	assert_int_equal(vmq_datapath_start(bed->dp), 0);
	let_turn(bed);
	vmq_datapath_stop(bed->dp);
	assert_int_equal(quiet->longest, 1);
	assert_int_equal(quiet->asked - asked, bed->queues[CLOCK].backend->asked - turns);
	bed_free(bed);
	free(path);
}

static void
a_worker_that_receives_nothing_asks_all_vms_in_each_turn(void **state)
{
	struct bed *bed = make(NULL);
	const struct bed_backend *quiet = bed->queues[QUIET].backend;

	(void)state;
	let_turn(bed);
	vmq_datapath_stop(bed->dp);
	assert_int_equal(quiet->longest, 1);
	bed_free(bed);
}

#define turn_test(f) cmocka_unit_test_teardown(f, bed_abandon)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		turn_test(
			a_source_whose_bursts_are_full_gets_four_in_a_turn_unless_a_vm_is_behind),
		turn_test(a_vm_that_has_taken_nothing_for_long_does_not_make_turns_short),
		turn_test(a_quiet_vm_of_a_busy_worker_is_asked_now_and_then_and_never_forgotten),
		turn_test(a_vm_that_was_silent_for_long_is_heard_within_sixteen_bursts),
		turn_test(a_vm_whose_bursts_are_full_gets_four_in_a_turn),
		turn_test(copies_end_the_turn_of_a_vm),
		turn_test(a_vm_that_sends_is_asked_in_each_turn),
		turn_test(a_worker_that_receives_nothing_asks_all_vms_in_each_turn),
	};

	return cmocka_run_group_tests_name("turns", tests, unit_start, unit_stop);
}
