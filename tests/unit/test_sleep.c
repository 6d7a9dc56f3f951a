/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * Workers that sleep, on the real DPDK: packets still come, nobody waits for a sleeper,
 * and what is said about the time is true.
 */

#include "bed.h"

#include <string.h>
#include <time.h>

#include <rte_cycles.h>

/* So long that a wait for the end of a sleep cannot hide. */
#define LONG_SLEEP_US VMQ_WORKER_SLEEP_US_MAX

static const struct vmq_worker_params adaptive = {VMQ_WORKER_ADAPTIVE, LONG_SLEEP_US};
static const struct vmq_worker_params quick = {VMQ_WORKER_ADAPTIVE, 1000};
static const struct vmq_worker_params interrupt = {VMQ_WORKER_INTERRUPT, 1000};

static struct vmq_worker_stats
worker_stats(const struct bed *bed, uint16_t worker)
{
	struct vmq_worker_stats stats;

	vmq_worker_stats_get(bed->dp, worker, &stats);
	return stats;
}

static double
now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Has worker 0 slept through whole bounds? The second one was whole for certain. */
static bool
sleeps_long(void *arg)
{
	const struct bed *bed = arg;
	static uint64_t last;
	uint64_t now = worker_stats(bed, 0).sleep_cycles;
	bool grown = now >= last + rte_get_tsc_hz() / US_PER_S * LONG_SLEEP_US * 9 / 10;

	if (now < last || grown) {
		last = now;
		return grown;
	}
	return false;
}

static void
wait_until_asleep(struct bed *bed)
{
	unsigned int i;

	for (i = 0; i < 3; i++)
		assert_true(unit_wait(sleeps_long, bed));
}

static void
a_polling_worker_never_sleeps(void **state)
{
	struct bed *bed = bed_make(&(struct bed_options){0});

	(void)state;
	bed_send_to(bed, 1, 100);
	bed_settle(bed, 100);
	assert_int_equal(worker_stats(bed, 0).sleeps, 0);
	assert_int_equal(worker_stats(bed, 0).sleep_cycles, 0);
	assert_int_equal(worker_stats(bed, 0).mode, VMQ_WORKER_POLL);
	bed_free(bed);
}

static void
a_sleeping_worker_delivers_what_comes(void **state)
{
	struct bed *bed = bed_make(&(struct bed_options){.workers = &quick});
	uint64_t sent = 0;
	unsigned int round;

	(void)state;
	for (round = 0; round < 50; round++) {
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
		bed_send_to(bed, 1, 40);
		sent += 40;
		bed_settle(bed, sent);
	}
	bed_assert_seen(bed, 1, 0, (uint32_t)sent, 1);
	assert_true(worker_stats(bed, 0).sleeps > 50);
	bed_free(bed);
}

static void
a_sleeping_worker_serves_what_another_hands_over(void **state)
{
	struct bed *bed = bed_make(&(struct bed_options){.remote = true, .workers = &quick});
	unsigned int round;

	(void)state;
	for (round = 1; round <= 20; round++) {
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
		bed_send_to(bed, 1, 40);
		bed_settle(bed, 40 * round);
	}
	bed_assert_seen(bed, 1, 0, 800, 1);
	assert_true(worker_stats(bed, 1).sleeps > 20);
	assert_int_equal(worker_stats(bed, 1).served, 800);
	bed_free(bed);
}

static void
a_worker_sleeps_while_a_backend_takes_nothing_and_goes_on_when_it_does(void **state)
{
	struct bed *bed = bed_make(&(struct bed_options){.workers = &quick});
	uint64_t sleeps;

	(void)state;
	bed->queues[1].backend->budget = 0;
	bed_send_to(bed, 1, 100);
	bed_settle(bed, 100);
	sleeps = worker_stats(bed, 0).sleeps;
	nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	assert_true(worker_stats(bed, 0).sleeps > sleeps);
	bed->queues[1].backend->budget = BED_ENDLESS;
	bed_settle(bed, 100);
	bed_assert_seen(bed, 1, 0, 100, 1);
	bed_free(bed);
}

/*
 * 20 times two grace periods of two workers: if each lasted until the sleep's end it
 * would be four seconds.
 */
static void
the_control_thread_does_not_wait_for_a_sleeping_worker(void **state)
{
	struct bed *bed = bed_make(&(struct bed_options){.workers = &adaptive});
	double before, took;
	unsigned int i;

	(void)state;
	wait_until_asleep(bed);
	before = now_s();
	for (i = 0; i < 20; i++)
		vmq_datapath_synchronize(bed->dp);
	took = now_s() - before;
	assert_true(took < 2);

	wait_until_asleep(bed);
	for (i = 0; i < 20; i++) {
		bed_publish(bed);
		bed_assign(bed, true);
	}
	wait_until_asleep(bed);
	before = now_s();
	vmq_datapath_stop(bed->dp);
	assert_true(now_s() - before < 2);
	assert_int_equal(vmq_datapath_start(bed->dp), 0);
	bed_send_to(bed, 2, 10);
	bed_settle(bed, 10);
	bed_free(bed);
}

/* Only what may be waiting for its turn is asked for: sleep is no excuse for a late view. */
static void
a_source_given_to_a_sleeping_worker_is_polled_at_once(void **state)
{
	struct bed *bed = bed_make(&(struct bed_options){.workers = &adaptive});
	unsigned int round;
	double before;

	(void)state;
	for (round = 1; round <= 10; round++) {
		bed_assign(bed, false);
		wait_until_asleep(bed);
		bed_send_to(bed, 1, 10);
		before = now_s();
		bed_assign(bed, true);
		vmq_datapath_synchronize(bed->dp);
		bed_settle(bed, 10 * round);
		assert_true(now_s() - before < 5);
	}
	bed_free(bed);
}

static void
a_port_without_interrupts_is_said_and_looked_at_all_the_same(void **state)
{
	struct bed *bed = bed_make(&(struct bed_options){.workers = &interrupt});

	(void)state;
	bed_send_to(bed, 1, 40);
	bed_settle(bed, 40);
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	bed_send_to(bed, 1, 40);
	bed_settle(bed, 80);
	assert_int_equal(worker_stats(bed, 0).mode, VMQ_WORKER_INTERRUPT);
	assert_non_null(worker_stats(bed, 0).fallback);
	assert_non_null(strstr(worker_stats(bed, 0).fallback, "no receive interrupts"));
	assert_true(worker_stats(bed, 0).sleeps > 0);
	bed_free(bed);
}

static void
the_parts_of_a_workers_time_make_no_more_than_the_whole(void **state)
{
	struct bed *bed = bed_make(&(struct bed_options){.workers = &quick});
	struct vmq_worker_stats stats;
	double before = now_s(), whole;
	unsigned int i;

	(void)state;
	for (i = 0; i < 100; i++) {
		bed_send_to(bed, 1 + i % 3, 10);
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		stats = worker_stats(bed, 0);
		assert_true(stats.busy_cycles + stats.sleep_cycles <= stats.cycles);
	}
	bed_settle(bed, 1000);
	vmq_datapath_stop(bed->dp);
	stats = worker_stats(bed, 0);
	whole = (now_s() - before) * (double)rte_get_tsc_hz();
	assert_true(stats.busy_cycles > 0 && stats.sleep_cycles > 0);
	assert_true((double)stats.cycles <= whole * 1.2);
	assert_true((double)stats.cycles >= whole * 0.5);
	assert_int_equal(stats.packets, 1000);
	assert_true(stats.bursts > 0 && stats.bursts <= 1000);
	assert_int_equal(vmq_datapath_start(bed->dp), 0);
	bed_free(bed);
}

#define sleep_test(f) cmocka_unit_test_teardown(f, bed_abandon)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		sleep_test(a_polling_worker_never_sleeps),
		sleep_test(a_sleeping_worker_delivers_what_comes),
		sleep_test(a_sleeping_worker_serves_what_another_hands_over),
		sleep_test(a_worker_sleeps_while_a_backend_takes_nothing_and_goes_on_when_it_does),
		sleep_test(the_control_thread_does_not_wait_for_a_sleeping_worker),
		sleep_test(a_source_given_to_a_sleeping_worker_is_polled_at_once),
		sleep_test(a_port_without_interrupts_is_said_and_looked_at_all_the_same),
		sleep_test(the_parts_of_a_workers_time_make_no_more_than_the_whole),
	};

	return cmocka_run_group_tests_name("sleep", tests, unit_start, unit_stop);
}
