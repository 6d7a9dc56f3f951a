/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_ethdev.h>

static void
every_status_has_its_ndis_name(void **state)
{
	static const char *const names[] = {
		[VMQ_STATUS_SUCCESS] = "SUCCESS",
		[VMQ_STATUS_PENDING] = "PENDING",
		[VMQ_STATUS_INVALID_PARAMETER] = "INVALID_PARAMETER",
		[VMQ_STATUS_INVALID_LENGTH] = "INVALID_LENGTH",
		[VMQ_STATUS_NOT_SUPPORTED] = "NOT_SUPPORTED",
		[VMQ_STATUS_RESOURCES] = "RESOURCES",
		[VMQ_STATUS_NOT_ACCEPTED] = "NOT_ACCEPTED",
		[VMQ_STATUS_FILE_NOT_FOUND] = "FILE_NOT_FOUND",
		[VMQ_STATUS_REQUEST_ABORTED] = "REQUEST_ABORTED",
		[VMQ_STATUS_FAILURE] = "FAILURE",
	};
	unsigned int i;

	(void)state;
	assert_int_equal(RTE_DIM(names), VMQ_STATUS_COUNT);
	for (i = 0; i < RTE_DIM(names); i++)
		assert_string_equal(vmq_status_name((enum vmq_status)i), names[i]);
}

static void
a_value_that_is_no_status_is_unknown(void **state)
{
	(void)state;
	assert_string_equal(vmq_status_name(VMQ_STATUS_COUNT), "UNKNOWN");
	assert_string_equal(vmq_status_name((enum vmq_status)-1), "UNKNOWN");
	assert_string_equal(vmq_status_name((enum vmq_status)1000), "UNKNOWN");
}

static void
an_error_carries_its_sentence_and_its_status(void **state)
{
	struct vmq_error err;

	(void)state;
	assert_int_equal(vmq_error_set(&err, VMQ_STATUS_RESOURCES, "%d of %s", 7, "nine"),
		VMQ_STATUS_RESOURCES);
	assert_string_equal(err.text, "7 of nine");
	assert_int_equal(vmq_error_errno(&err, ENODEV, "no %s", "device"), -ENODEV);
	assert_string_equal(err.text, "no device");
}

static void
an_error_text_that_is_too_long_is_cut_at_its_size(void **state)
{
	struct {
		struct vmq_error err;
		char guard;
	} place = {.guard = 'g'};
	char text[2 * sizeof(place.err.text)];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	vmq_error_set(&place.err, VMQ_STATUS_FAILURE, "%s", text);
	assert_int_equal(strlen(place.err.text), sizeof(place.err.text) - 1);
	assert_int_equal(place.guard, 'g');
	memset(&place.err, 0, sizeof(place.err));
	vmq_error_errno(&place.err, EIO, "%s", text);
	assert_int_equal(strlen(place.err.text), sizeof(place.err.text) - 1);
	assert_int_equal(place.guard, 'g');
}

static void
nobody_need_want_the_sentence(void **state)
{
	(void)state;
	assert_int_equal(vmq_error_set(NULL, VMQ_STATUS_FAILURE, "%d", 1), VMQ_STATUS_FAILURE);
	assert_int_equal(vmq_error_errno(NULL, EIO, "%d", 1), -EIO);
}

#define COUNTS 1000000

static vmq_counter_t counter;

static void *
count(void *arg)
{
	unsigned int i;

	(void)arg;
	for (i = 0; i < COUNTS; i++)
		vmq_counter_add(&counter, 3);
	return NULL;
}

static void
a_counter_never_goes_back_and_ends_exact(void **state)
{
	uint64_t last = 0, now;
	pthread_t thread;

	(void)state;
	assert_int_equal(vmq_counter_get(&counter), 0);
	assert_int_equal(pthread_create(&thread, NULL, count, NULL), 0);
	do {
		now = vmq_counter_get(&counter);
		assert_true(now >= last);
		assert_int_equal(now % 3, 0);
		last = now;
	} while (now < 3 * COUNTS / 2);
	pthread_join(thread, NULL);
	assert_int_equal(vmq_counter_get(&counter), 3 * UINT64_C(1000000));
}

static void
the_log_keeps_what_dpdk_said_since_a_mark(void **state)
{
	char text[256];
	uint64_t mark;

	(void)state;
	rte_log(RTE_LOG_ERR, RTE_LOGTYPE_EAL, "before\n");
	mark = vmq_log_mark();
	assert_string_equal(vmq_log_since(mark, text, sizeof(text)), "");
	rte_log(RTE_LOG_ERR, RTE_LOGTYPE_EAL, "first %d\n", 1);
	rte_log(RTE_LOG_NOTICE, RTE_LOGTYPE_EAL, "no complaint\n");
	rte_log(RTE_LOG_WARNING, RTE_LOGTYPE_EAL, "second\n");
	assert_ptr_equal(vmq_log_since(mark, text, sizeof(text)), text);
	assert_string_equal(text, "first 1; second");
}

static void
the_log_does_not_take_our_own_words_for_dpdks(void **state)
{
	char text[256];
	uint64_t mark;

	(void)state;
	mark = vmq_log_mark();
	VMQ_LOG(ERR, "a test says that this is no failure\n");
	assert_true(vmq_log_mark() > mark);
	assert_string_equal(vmq_log_since(mark, text, sizeof(text)), "");
}

static void
what_dpdk_said_is_cut_at_the_size_of_the_text(void **state)
{
	struct {
		char text[16];
		char guard;
	} place = {.guard = 'g'};
	uint64_t mark = vmq_log_mark();
	unsigned int i;

	(void)state;
	for (i = 0; i < 10; i++)
		rte_log(RTE_LOG_ERR, RTE_LOGTYPE_EAL, "0123456789\n");
	vmq_log_since(mark, place.text, sizeof(place.text));
	assert_string_equal(place.text, "0123456789; 012");
	assert_int_equal(place.guard, 'g');
	assert_string_equal(vmq_log_since(mark, place.text, 1), "");
}

static void
the_log_forgets_the_oldest_lines_first(void **state)
{
	uint64_t mark = vmq_log_mark();
	char text[8192], wanted[32];
	unsigned int i;

	(void)state;
	for (i = 0; i < 200; i++)
		rte_log(RTE_LOG_ERR, RTE_LOGTYPE_EAL, "line %u.\n", i);
	vmq_log_since(mark, text, sizeof(text));
	assert_null(strstr(text, "line 0."));
	for (i = 190; i < 200; i++) {
		snprintf(wanted, sizeof(wanted), "line %u.", i);
		assert_non_null(strstr(text, wanted));
	}
}

static void
a_line_longer_than_the_log_keeps_is_cut(void **state)
{
	uint64_t mark = vmq_log_mark();
	char line[1000], text[2000];

	(void)state;
	memset(line, 'l', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	rte_log(RTE_LOG_ERR, RTE_LOGTYPE_EAL, "%s\n", line);
	vmq_log_since(mark, text, sizeof(text));
	assert_true(strlen(text) > 0 && strlen(text) < strlen(line));
	assert_memory_equal(text, line, strlen(text));
}

static void
a_device_is_attached_and_detached_and_attached_again(void **state)
{
	struct unit_census before;
	struct vmq_error err;
	uint16_t port_id, again;
	unsigned int i;

	(void)state;
	unit_census_take(&before);
	for (i = 0; i < 10; i++) {
		assert_int_equal(vmq_device_attach("net_null7,size=128", &port_id, &err), 0);
		assert_true(rte_eth_dev_is_valid_port(port_id));
		assert_int_equal(rte_eth_dev_get_port_by_name("net_null7", &again), 0);
		assert_int_equal(again, port_id);
		vmq_device_detach(port_id);
		assert_false(rte_eth_dev_is_valid_port(port_id));
		unit_assert_nothing_left(&before);
	}
}

static void
a_device_cannot_be_attached_twice(void **state)
{
	struct unit_census before;
	uint16_t port_id, other;
	struct vmq_error err;

	(void)state;
	unit_census_take(&before);
	assert_int_equal(vmq_device_attach("net_null1", &port_id, &err), 0);
	assert_int_equal(vmq_device_attach("net_null1", &other, &err), -EBUSY);
	assert_non_null(strstr(err.text, "net_null1"));
	assert_int_equal(vmq_device_attach("net_null1,size=80", &other, &err), -EBUSY);
	/* The refusal has not harmed the one that is there. */
	assert_true(rte_eth_dev_is_valid_port(port_id));
	assert_int_equal(vmq_device_attach("net_null2", &other, &err), 0);
	assert_int_not_equal(port_id, other);
	vmq_device_detach(other);
	vmq_device_detach(port_id);
	unit_assert_nothing_left(&before);
}

static void
an_unknown_driver_is_named(void **state)
{
	struct unit_census before;
	struct vmq_error err;
	uint16_t port_id;

	(void)state;
	unit_census_take(&before);
	assert_true(vmq_device_attach("net_nosuch0,a=1", &port_id, &err) < 0);
	assert_non_null(strstr(err.text, "net_nosuch0"));
	unit_assert_nothing_left(&before);
	assert_int_equal(vmq_device_attach("net_nosuch0", &port_id, NULL),
		vmq_device_attach("net_nosuch0", &port_id, &err));
}

static void
a_pci_device_that_is_not_there_is_refused(void **state)
{
	struct unit_census before;
	struct vmq_error err;
	uint16_t port_id;

	(void)state;
	unit_census_take(&before);
	assert_true(vmq_device_attach("ffff:fe:1d.7", &port_id, &err) < 0);
	assert_non_null(strstr(err.text, "ffff:fe:1d.7"));
	unit_assert_nothing_left(&before);
}

static void
bad_device_arguments_are_refused_with_the_drivers_words(void **state)
{
	struct unit_census before;
	struct vmq_error err;
	uint16_t port_id;
	const char *said;

	(void)state;
	unit_census_take(&before);
	assert_true(vmq_device_attach("net_null3,nosuch=1", &port_id, &err) < 0);
	assert_non_null(strstr(err.text, "net_null3"));
	said = strstr(err.text, "the driver says: ");
	assert_non_null(said);
	assert_true(strlen(said) > strlen("the driver says: "));
	unit_assert_nothing_left(&before);
	/* The failure does not stand in the way of a second try. */
	assert_int_equal(vmq_device_attach("net_null3", &port_id, &err), 0);
	vmq_device_detach(port_id);
	unit_assert_nothing_left(&before);
}

static void
what_is_no_device_at_all_is_refused(void **state)
{
	static const char *const bad[] = {"", ",", "no such device", "net_", "/dev/null"};
	struct unit_census before;
	struct vmq_error err;
	uint16_t port_id;
	unsigned int i;

	(void)state;
	unit_census_take(&before);
	for (i = 0; i < RTE_DIM(bad); i++) {
		err.text[0] = '\0';
		assert_true(vmq_device_attach(bad[i], &port_id, &err) < 0);
		assert_true(strlen(err.text) > 0);
	}
	unit_assert_nothing_left(&before);
}

/* It attaches, but gives no port: then it must go again. */
static void
a_device_that_is_no_network_card_does_not_stay_attached(void **state)
{
	struct unit_census before;
	struct vmq_error err;
	uint16_t port_id;
	int first;

	(void)state;
	unit_census_take(&before);
	first = vmq_device_attach("crypto_null0", &port_id, &err);
	assert_true(first < 0);
	assert_non_null(strstr(err.text, "crypto_null0"));
	unit_assert_nothing_left(&before);
	/* The same answer, not "exists already". */
	assert_int_equal(vmq_device_attach("crypto_null0", &port_id, &err), first);
}

#define JOBS 100

struct counted_job {
	struct vmq_job job;
	pthread_t worked_by, done_by;
	unsigned int worked, done; /* places in the order */
};

static struct counted_job jobs_done[JOBS];
static _Atomic unsigned int n_worked;
static unsigned int n_done;
static struct vmq_jobs *jobs;

static void
work_on(struct vmq_job *job)
{
	struct counted_job *counted = (struct counted_job *)job;

	counted->worked_by = pthread_self();
	counted->worked = ++n_worked;
	if (counted->worked % 10 == 0)
		usleep(1000);
}

static void
finish(struct vmq_job *job)
{
	struct counted_job *counted = (struct counted_job *)job;

	counted->done_by = pthread_self();
	counted->done = ++n_done;
	if (counted->done <= JOBS / 2) /* may hand over more */
		vmq_jobs_submit(jobs, &jobs_done[JOBS / 2 + counted->done - 1].job);
}

static void
jobs_are_worked_on_in_order_beside_the_control_thread(void **state)
{
	struct unit_census before;
	unsigned int i;

	(void)state;
	unit_census_take(&before);
	n_worked = 0;
	n_done = 0;
	jobs = vmq_jobs_create();
	assert_non_null(jobs);
	assert_int_equal(vmq_jobs_finish(jobs, true), 0); /* nothing to wait for */
	for (i = 0; i < JOBS; i++)
		jobs_done[i].job = (struct vmq_job){.work = work_on, .done = finish};
	for (i = 0; i < JOBS / 2; i++)
		vmq_jobs_submit(jobs, &jobs_done[i].job);
	assert_int_equal(vmq_jobs_finish(jobs, true), 0);
	assert_int_equal(n_done, JOBS);
	for (i = 0; i < JOBS; i++) {
		assert_int_equal(jobs_done[i].worked, i + 1);
		assert_int_equal(jobs_done[i].done, i + 1);
		assert_false(pthread_equal(jobs_done[i].worked_by, pthread_self()));
		assert_true(pthread_equal(jobs_done[i].done_by, pthread_self()));
	}
	vmq_jobs_destroy(jobs);
	vmq_jobs_destroy(NULL);
	unit_assert_nothing_left(&before);
}

static void
finished_jobs_make_a_descriptor_readable(void **state)
{
	struct counted_job counted = {.job = {.work = work_on, .done = finish}};
	struct pollfd ready = {.events = POLLIN};

	(void)state;
	n_worked = 0;
	n_done = JOBS; /* hands over no more */
	jobs = vmq_jobs_create();
	ready.fd = vmq_jobs_fd(jobs);
	assert_int_equal(poll(&ready, 1, 0), 0);
	vmq_jobs_submit(jobs, &counted.job);
	assert_int_equal(poll(&ready, 1, 10000), 1);
	assert_int_equal(counted.done, 0); /* not before the control thread says so */
	assert_int_equal(vmq_jobs_finish(jobs, false), 0);
	assert_int_equal(counted.done, JOBS + 1);
	assert_int_equal(poll(&ready, 1, 0), 0);
	vmq_jobs_destroy(jobs);
}

static void
the_jobs_end_only_when_all_are_done(void **state)
{
	unsigned int i;

	(void)state;
	n_worked = 0;
	n_done = JOBS;
	jobs = vmq_jobs_create();
	for (i = 0; i < JOBS; i++) {
		jobs_done[i].job = (struct vmq_job){.work = work_on, .done = finish};
		vmq_jobs_submit(jobs, &jobs_done[i].job);
	}
	vmq_jobs_destroy(jobs);
	assert_int_equal(n_worked, JOBS);
	assert_int_equal(n_done, 2 * JOBS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_status_has_its_ndis_name),
		cmocka_unit_test(a_value_that_is_no_status_is_unknown),
		cmocka_unit_test(an_error_carries_its_sentence_and_its_status),
		cmocka_unit_test(an_error_text_that_is_too_long_is_cut_at_its_size),
		cmocka_unit_test(nobody_need_want_the_sentence),
		cmocka_unit_test(a_counter_never_goes_back_and_ends_exact),
		cmocka_unit_test(jobs_are_worked_on_in_order_beside_the_control_thread),
		cmocka_unit_test(finished_jobs_make_a_descriptor_readable),
		cmocka_unit_test(the_jobs_end_only_when_all_are_done),
		cmocka_unit_test(the_log_keeps_what_dpdk_said_since_a_mark),
		cmocka_unit_test(the_log_does_not_take_our_own_words_for_dpdks),
		cmocka_unit_test(what_dpdk_said_is_cut_at_the_size_of_the_text),
		cmocka_unit_test(the_log_forgets_the_oldest_lines_first),
		cmocka_unit_test(a_line_longer_than_the_log_keeps_is_cut),
		cmocka_unit_test(a_device_is_attached_and_detached_and_attached_again),
		cmocka_unit_test(a_device_cannot_be_attached_twice),
		cmocka_unit_test(an_unknown_driver_is_named),
		cmocka_unit_test(a_pci_device_that_is_not_there_is_refused),
		cmocka_unit_test(bad_device_arguments_are_refused_with_the_drivers_words),
		cmocka_unit_test(what_is_no_device_at_all_is_refused),
		cmocka_unit_test(a_device_that_is_no_network_card_does_not_stay_attached),
	};

	return cmocka_run_group_tests_name("base", tests, unit_start, unit_stop);
}
