/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* A port that wants to be reset, is removed, or forgets its rules: see hw_bed.h. */

#include <stdio.h>
#include <string.h>

#include <rte_ethdev.h>

#include "hw_bed.h"

/*
 * How drivers tell of an event. Debian does not install the header that declares it; the
 * one port of a test is the first device.
 */
struct rte_eth_dev;
extern char rte_eth_devices[];
int rte_eth_dev_callback_process(struct rte_eth_dev *dev, enum rte_eth_event_type event,
	void *result);

/* Static where it is used: the end of the adapter, after the test, indicates as well. */
struct seen {
	unsigned int n[VMQ_INDICATE_COUNT];
	uint32_t value[VMQ_INDICATE_COUNT];
};

struct look {
	struct fixture *f;
	struct seen *seen;
	enum vmq_indication indication;
	unsigned int n;
	enum vmq_port_state state;
};

static void
on_indication(void *arg, struct vmq_adapter *adapter, enum vmq_indication indication,
	uint16_t queue_id, uint32_t value)
{
	struct seen *seen = arg;

	(void)adapter;
	(void)queue_id;
	seen->n[indication]++;
	seen->value[indication] = value;
}

static bool
is_indicated(void *arg)
{
	const struct look *look = arg;

	vmq_host_progress(look->f->host);
	return look->seen->n[look->indication] >= look->n;
}

static bool
has_state(void *arg)
{
	const struct look *look = arg;
	struct vmq_port_health health;

	vmq_host_progress(look->f->host);
	vmq_adapter_port_health(look->f->adapter, &health);
	return health.state == look->state;
}

static void
device_says(struct fixture *f, enum rte_eth_event_type event)
{
	assert_int_equal(f->port, 0);
	rte_eth_dev_callback_process((struct rte_eth_dev *)rte_eth_devices, event, NULL);
}

/* Two VMs in hardware, one in software, all running. */
static void
make_vms(struct fixture *f, struct seen *seen)
{
	struct waiting w = {.f = f, .rules = SLOTS};
	unsigned int vm;

	*seen = (struct seen){0};
	vmq_adapter_set_indications(f->adapter, on_indication, seen);
	for (vm = 0; vm < 3; vm++) {
		allocate(f, vm, (uint16_t)(vm % UNIT_WORKERS), 0);
		set_filter(f, vm, 5);
		complete(f, vm);
	}
	assert_int_equal(vmq_host_start(f->host), 0);
	assert_true(unit_wait(rules_are, &w));
}

static void
bring(struct fixture *f, unsigned int n)
{
	uint64_t sent = 0;
	unsigned int vm, i;

	for (i = 0; i < n; i++)
		for (vm = 0; vm < 3; vm++)
			wire_brings(f, vm, 5);
	for (vm = 0; vm < 3; vm++)
		sent += f->sent[vm];
	wait_delivered(f, sent);
}

static void
assert_all_run(struct fixture *f)
{
	unsigned int vm;

	for (vm = 0; vm < 3; vm++) {
		assert_int_equal(info_of(f, f->ids[vm]).state, VMQ_QUEUE_RUNNING);
		assert_int_equal(info_of(f, f->ids[vm]).packets.dropped, 0);
	}
	assert_int_equal(info_of(f, f->ids[0]).slot, 0);
	assert_int_equal(info_of(f, f->ids[1]).slot, 1);
}

static void
a_reset_keeps_queues_and_puts_rules_back(void **state)
{
	struct fixture *f = *state;
	static struct seen seen;
	struct look look = {.f = f, .seen = &seen, .indication = VMQ_INDICATE_PORT_RESET};
	struct vmq_port_health health;
	unsigned int round, vm;

	make_vms(f, &seen);
	for (round = 1; round <= 5; round++) {
		bring(f, 100);
		device_says(f, RTE_ETH_EVENT_INTR_RESET);
		look.n = round;
		assert_true(unit_wait(is_indicated, &look));
		assert_int_equal(seen.value[VMQ_INDICATE_PORT_RESET], SLOTS);
		assert_int_equal(f->nic.n_rules, SLOTS);
		assert_all_run(f);
	}
	bring(f, 100);
	vmq_adapter_port_health(f->adapter, &health);
	assert_int_equal(health.state, VMQ_PORT_RUNS);
	assert_int_equal(health.resets, 5);
	assert_int_equal(health.restored, 5 * SLOTS);
	assert_string_equal(health.why, "");
	assert_int_equal(info_of(f, f->ids[0]).hardware.confirmed, f->sent[0]);
	vmq_host_stop(f->host);
	vmq_adapter_halt(f->adapter);
	for (vm = 0; vm < 3; vm++) {
		char name[8];

		snprintf(name, sizeof(name), "vm%u", vm);
		assert_file(name, 0, f->sent[vm]);
	}
}

/* In the middle of a promotion and of changes of rules: they come to their ends. */
static void
a_reset_in_the_middle_of_changes_loses_none_of_them(void **state)
{
	struct fixture *f = *state;
	struct waiting w = {.f = f, .rules = SLOTS};
	static struct seen seen;
	struct look look = {.f = f, .seen = &seen, .indication = VMQ_INDICATE_PORT_RESET};
	unsigned int round;

	make_vms(f, &seen);
	for (round = 1; round <= 10; round++) {
		const unsigned int out = round % 2 ? 0 : 2, in = round % 2 ? 2 : 0;

		assert_int_equal(vmq_queue_demote(f->adapter, f->ids[out], on_change, f, &f->err),
			VMQ_STATUS_PENDING);
		device_says(f, RTE_ETH_EVENT_INTR_RESET);
		w.changes++;
		assert_true(unit_wait(changes_are, &w));
		while (vmq_queue_promote(f->adapter, f->ids[in], on_change, f, &f->err) !=
			VMQ_STATUS_PENDING) {
			vmq_host_progress(f->host);
			nap();
		}
		if (round % 3 == 0)
			device_says(f, RTE_ETH_EVENT_INTR_RESET);
		w.changes++;
		assert_true(unit_wait(changes_are, &w));
		look.n = 1;
		assert_true(unit_wait(is_indicated, &look));
		look.state = VMQ_PORT_RUNS;
		assert_true(unit_wait(has_state, &look));
		assert_true(unit_wait(rules_are, &w));
		bring(f, 20);
	}
	assert_int_equal(f->failed_changes, 0);
}

static void
a_rule_that_vanishes_is_put_back(void **state)
{
	struct fixture *f = *state;
	struct vmq_filter_steering steering;
	static struct seen seen;
	struct look look = {.f = f, .seen = &seen, .indication = VMQ_INDICATE_RULES_RESTORED,
		.n = 1};
	struct vmq_steer_request gone;

	make_vms(f, &seen);
	bring(f, 50);
	gone = f->nic.rules[0];
	f->nic.rules[0] = f->nic.rules[--f->nic.n_rules];
	bring(f, 50); /* by the default queue, and nobody loses anything */
	assert_true(unit_wait(is_indicated, &look));
	assert_int_equal(seen.value[VMQ_INDICATE_RULES_RESTORED], 1);
	assert_int_equal(f->nic.n_rules, SLOTS);
	assert_memory_equal(&f->nic.rules[1].mac, &gone.mac, sizeof(gone.mac));
	bring(f, 50);
	assert_all_run(f);
	/* One that the NIC does not take again is software's, and is said to be. */
	f->nic.calls = 0;
	f->nic.fail_at = 1;
	gone = f->nic.rules[0];
	f->nic.rules[0] = f->nic.rules[--f->nic.n_rules];
	assert_int_equal(vmq_filter_steering_get(f->adapter, f->filters[gone.mac.addr_bytes[5] - 1],
		&steering), true);
	assert_int_equal(steering.how, VMQ_FILTER_HARDWARE);
	do {
		vmq_host_progress(f->host);
		nap();
		vmq_filter_steering_get(f->adapter, f->filters[gone.mac.addr_bytes[5] - 1],
			&steering);
	} while (steering.how == VMQ_FILTER_HARDWARE);
	assert_int_equal(steering.how, VMQ_FILTER_SOFTWARE);
	assert_non_null(strstr(steering.text, "its table is full, says the NIC"));
	look.n = 2; /* the next time it does */
	assert_true(unit_wait(is_indicated, &look));
	bring(f, 50);
	assert_all_run(f);
}

static void
a_device_that_is_removed_leaves_its_queues(void **state)
{
	struct fixture *f = *state;
	struct vmq_port_health health;
	struct vmq_port_stats before, after;
	struct vmq_port_link link;
	struct vmq_error err;
	static struct seen seen;
	struct look look = {.f = f, .seen = &seen, .indication = VMQ_INDICATE_PORT_REMOVED, .n = 1};
	struct waiting w = {.f = f, .changes = 1};

	make_vms(f, &seen);
	bring(f, 50);
	vmq_adapter_port_stats(f->adapter, &before);
	device_says(f, RTE_ETH_EVENT_INTR_RMV);
	assert_true(unit_wait(is_indicated, &look));
	look.indication = VMQ_INDICATE_LINK_DOWN;
	assert_true(unit_wait(is_indicated, &look));
	assert_all_run(f);
	vmq_adapter_port_health(f->adapter, &health);
	assert_int_equal(health.state, VMQ_PORT_GONE);
	assert_non_null(strstr(health.why, "was removed"));
	vmq_adapter_link(f->adapter, &link);
	assert_false(link.up);
	vmq_adapter_port_stats(f->adapter, &after);
	assert_int_equal(after.received, before.received);
	/* Requests go on, as far as they need no NIC. */
	assert_int_equal(vmq_adapter_reset_port(f->adapter, &err), VMQ_STATUS_NOT_ACCEPTED);
	assert_int_equal(vmq_queue_promote(f->adapter, f->ids[2], on_change, f, &err),
		VMQ_STATUS_NOT_SUPPORTED);
	assert_non_null(strstr(err.text, "was removed"));
	assert_int_equal(vmq_queue_demote(f->adapter, f->ids[0], on_change, f, &err),
		VMQ_STATUS_PENDING);
	assert_true(unit_wait(changes_are, &w));
	assert_int_equal(f->failed_changes, 0);
	assert_int_equal(vmq_queue_clear_filter(f->adapter, f->filters[1], &err),
		VMQ_STATUS_SUCCESS);
	assert_int_equal(vmq_queue_free(f->adapter, f->ids[1], on_freed, f, &err),
		VMQ_STATUS_PENDING);
	assert_true(unit_wait(is_freed, &w));
	allocate(f, 3, 0, 0);
	set_filter(f, 3, 5);
	complete(f, 3);
	assert_int_equal(info_of(f, f->ids[3]).slot, -1);
	f->nic.n_rules = 0; /* they went with it */
}

/* What a NIC that fails has said is to be read somewhere. */
static bool
is_reported(const struct fixture *f)
{
	struct vmq_adapter_capabilities can;
	struct vmq_filter_steering steering;
	const struct vmq_filter *filter;
	struct vmq_queue_info info;
	uint32_t after;
	unsigned int i;
	int id;

	vmq_adapter_capabilities_get(f->adapter, &can);
	for (i = 0; i < VMQ_STEER_TEST_COUNT; i++)
		if (strstr(can.found[VMQ_STEERING_FLOW].rules.tests[i].why_not, "says the NIC"))
			return true;
	for (after = 0; (filter = vmq_filter_next(vmq_adapter_filters(f->adapter), after)) != NULL;
		after = filter->id)
		if (vmq_filter_steering_get(f->adapter, filter->id, &steering) &&
			strstr(steering.text, "says the NIC") != NULL)
			return true;
	for (id = -1; (id = vmq_queue_next(f->adapter, id)) >= 0;)
		if (vmq_queue_info_get(f->adapter, (uint16_t)id, &info) &&
			strstr(info.rule_why, "says the NIC") != NULL)
			return true;
	return false;
}

/* Traffic for all VMs, and a look whether the NIC has failed by now and it is to be read. */
static void
step(struct fixture *f, bool *reported)
{
	unsigned int i, vm;
	uint64_t sent = 0;

	for (i = 0; i < 20; i++)
		for (vm = 0; vm < VMS; vm++)
			wire_brings(f, vm, 5);
	for (vm = 0; vm < VMS; vm++)
		sent += f->sent[vm];
	wait_delivered(f, sent);
	*reported |= is_reported(f);
}

static void
move_extra(struct fixture *f, unsigned int from, unsigned int to, bool *reported)
{
	enum vmq_status status;
	unsigned int tries = 0;

	do {
		status = vmq_queue_move_filter(f->adapter, f->filters[3], f->ids[from], f->ids[to],
			&f->err);
		vmq_host_progress(f->host);
	} while (status == VMQ_STATUS_NOT_ACCEPTED && tries++ < 1000);
	assert_int_equal(status, VMQ_STATUS_SUCCESS);
	step(f, reported);
}

/* All that has rules made and removed, one after the other. */
static void
run_all(struct fixture *f, bool *reported)
{
	static struct seen seen;
	struct look look = {.f = f, .seen = &seen, .indication = VMQ_INDICATE_PORT_RESET, .n = 1};
	struct waiting w = {.f = f};
	enum vmq_status status;
	unsigned int vm;

	seen = (struct seen){0};
	vmq_adapter_set_indications(f->adapter, on_indication, &seen);
	for (vm = 0; vm < 3; vm++) {
		allocate(f, vm, (uint16_t)(vm % UNIT_WORKERS), 0);
		set_filter(f, vm, 5);
		complete(f, vm);
	}
	f->ids[3] = f->ids[0];
	set_filter(f, 3, 5);
	assert_int_equal(vmq_host_start(f->host), 0);
	step(f, reported);
	move_extra(f, 0, 1, reported); /* hardware to hardware */
	move_extra(f, 1, 2, reported); /* to software */
	move_extra(f, 2, 0, reported); /* and back */
	w.changes = 1;
	assert_int_equal(vmq_queue_demote(f->adapter, f->ids[0], on_change, f, &f->err),
		VMQ_STATUS_PENDING);
	assert_true(unit_wait(changes_are, &w));
	step(f, reported);
	do {
		status = vmq_queue_promote(f->adapter, f->ids[2], on_change, f, &f->err);
		vmq_host_progress(f->host);
		nap();
	} while (status != VMQ_STATUS_PENDING && info_of(f, f->ids[2]).slot < 0);
	step(f, reported);
	assert_int_equal(vmq_adapter_reset_port(f->adapter, &f->err), VMQ_STATUS_PENDING);
	assert_true(unit_wait(is_indicated, &look));
	step(f, reported);
	assert_int_equal(vmq_queue_clear_filter(f->adapter, f->filters[3], &f->err),
		VMQ_STATUS_SUCCESS);
	assert_int_equal(f->failed_changes, 0);
}

/* The n-th call of the NIC's driver fails, for every n. */
static void
whatever_call_fails_nothing_is_lost_and_it_is_said(void **state)
{
	unsigned int n, vm, at_halt, not_started = 0, said = 0;
	struct fixture *f;
	bool reported;

	(void)state;
	for (n = 1;; n++) {
		f = make_bed(&(struct nic){.seen = true, .fail_at = n});
		if (f->adapter == NULL) {
			assert_non_null(strstr(f->err.text, "says the NIC"));
			assert_int_equal(f->nic.n_rules, 0);
			vmq_host_free(f->host);
			not_started++;
			continue;
		}
		reported = false;
		run_all(f, &reported);
		at_halt = f->nic.calls;
		for (vm = 0; vm < 3; vm++)
			assert_int_equal(info_of(f, f->ids[vm]).packets.dropped, 0);
		vmq_host_stop(f->host);
		vmq_adapter_halt(f->adapter);
		for (vm = 1; vm < 3; vm++) {
			char name[8];
			uint32_t numbers[1024];

			snprintf(name, sizeof(name), "vm%u", vm);
			assert_true(read_numbers(name, numbers, 1024) >= f->sent[vm]);
		}
		/* One that could not be removed goes with the port. */
		assert_int_equal(f->nic.n_rules, n > at_halt && n <= f->nic.calls ? 1 : 0);
		assert_int_equal(vmq_adapter_free(f->adapter), 0);
		vmq_host_free(f->host);
		said += reported;
		if (n > f->nic.calls)
			break;
	}
	/* The first and last calls, and those that make a reset's suspension, say less. */
	assert_true(n > 15);
	assert_true(said >= n / 2);
	assert_int_equal(not_started, 0);
	print_message("# %u calls, each has failed once; said in %u\n", n - 1, said);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_forgetful, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_reset_keeps_queues_and_puts_rules_back),
		TEST(a_reset_in_the_middle_of_changes_loses_none_of_them),
		TEST(a_rule_that_vanishes_is_put_back),
		TEST(a_device_that_is_removed_leaves_its_queues),
		cmocka_unit_test(whatever_call_fails_nothing_is_lost_and_it_is_said),
	};

	return cmocka_run_group_tests(tests, unit_start, unit_stop);
}
