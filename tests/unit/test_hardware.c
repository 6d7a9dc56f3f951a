/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Steering in hardware by a NIC that the test plays: see hw_bed.h. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>

#include "hw_bed.h"

static void
frames_go_by_the_nic_into_their_vms_memory(void **state)
{
	struct fixture *f = *state;
	struct waiting w = {.f = f};
	struct vmq_queue_info info;
	unsigned int vm, i;

	for (vm = 0; vm < 3; vm++) {
		allocate(f, vm, (uint16_t)(vm % UNIT_WORKERS), 0);
		set_filter(f, vm, 5);
		complete(f, vm);
	}
	/* Without workers nothing moves: the rules are there at once. */
	assert_int_equal(f->nic.n_rules, 2);
	assert_int_equal(info_of(f, f->ids[0]).slot, 0);
	assert_int_equal(info_of(f, f->ids[1]).slot, 1);
	info = info_of(f, f->ids[2]);
	assert_int_equal(info.slot, -1);
	assert_non_null(strstr(info.hardware_why, "all 2 hardware queues are taken"));
	assert_int_equal(vmq_host_start(f->host), 0);
	for (i = 0; i < 3000; i++)
		for (vm = 0; vm < 3; vm++)
			wire_brings(f, vm, 5);
	w.delivered = 9000;
	wait_delivered(f, w.delivered);
	for (vm = 0; vm < 3; vm++) {
		info = info_of(f, f->ids[vm]);
		assert_int_equal(info.packets.received, 3000);
		assert_int_equal(info.hardware.confirmed, vm < 2 ? 3000 : 0);
		assert_int_equal(info.hardware.misplaced, 0);
	}
	vmq_host_stop(f->host);
	vmq_adapter_halt(f->adapter);
	for (vm = 0; vm < 3; vm++)
		assert_file(vm == 0 ? "vm0" : vm == 1 ? "vm1" : "vm2", 0, 3000);
}

/* The NIC looks at MACs only: software tells the VLANs apart, whatever ring they are in. */
static void
what_the_nic_does_not_test_software_does(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[FRAME_BYTES];
	unsigned int i;

	f->nic.no_vlan = true; /* found out with the first rule that is refused, too */
	allocate(f, 0, 1, 0);
	set_filter(f, 0, 5);
	complete(f, 0);
	allocate(f, 1, 0, 0);
	set_filter(f, 1, 6);
	complete(f, 1);
	assert_int_equal(vmq_host_start(f->host), 0);
	for (i = 0; i < 500; i++) {
		uint8_t group[FRAME_BYTES];

		make_frame(frame, 0, 5, i);
		nic_receive(f, 1, frame, sizeof(frame));
		make_frame(frame, 0, 7, i); /* another VLAN: nobody's */
		nic_receive(f, 1, frame, sizeof(frame));
		make_frame(frame, 1, 6, i); /* another VM's, in the wrong ring */
		nic_receive(f, 1, frame, sizeof(frame));
		make_frame(frame, 0, 0, i); /* untagged: nobody's */
		nic_receive(f, 1, frame, sizeof(frame));
		make_frame(group, 0, 0, i);
		memset(group, 0xff, 6);
		nic_receive(f, 2, group, sizeof(group));
		/* Not faster than files can be written here: the copies wait in other memory. */
		if (i % 50 == 49)
			wait_delivered(f, 5 * (i + 1));
	}
	assert_int_equal(info_of(f, f->ids[0]).packets.received, 500);
	assert_int_equal(info_of(f, f->ids[1]).packets.received, 500);
	assert_int_equal(info_of(f, 0).packets.received, 1500);
	assert_int_equal(info_of(f, f->ids[0]).hardware.misplaced, 1500);
	assert_int_equal(info_of(f, f->ids[0]).packets.dropped, 0);
	vmq_host_stop(f->host);
	vmq_adapter_halt(f->adapter);
	assert_file("vm0", 0, 500);
	assert_file("vm1", 0, 500);
}

static void
change(struct fixture *f, unsigned int vm, bool promote)
{
	struct waiting w = {.f = f, .changes = f->changes + 1};
	unsigned int i, tries = 0;
	enum vmq_status status;

	for (;;) {
		status = promote
			? vmq_queue_promote(f->adapter, f->ids[vm], on_change, f, &f->err)
			: vmq_queue_demote(f->adapter, f->ids[vm], on_change, f, &f->err);
		/* Packets of its last change, or of the slot's last VM, are still out. */
		if ((status != VMQ_STATUS_NOT_ACCEPTED && status != VMQ_STATUS_RESOURCES) ||
			tries++ > 20000)
			break;
		for (i = 0; i < VMS; i++)
			wire_brings(f, i, 5);
		vmq_host_progress(f->host);
		nap();
	}
	if (status != VMQ_STATUS_PENDING)
		fail_msg("vm%u: %s", vm, f->err.text);
	while (!changes_are(&w))
		for (i = 0; i < VMS; i++)
			wire_brings(f, i, 5);
	if (f->failed_changes > 0)
		fail_msg("vm%u: %s", vm, f->err.text);
}

/* Everything at once: promote, demote and free slots under traffic, in order and whole. */
static void
promotion_and_demotion_lose_nothing_and_keep_the_order(void **state)
{
	struct fixture *f = *state;
	struct waiting w = {.f = f};
	unsigned int vm, round, i, in_hardware[SLOTS] = {0, 1};
	struct vmq_queue_info info;

	for (vm = 0; vm < VMS; vm++) {
		allocate(f, vm, (uint16_t)(vm % UNIT_WORKERS), 0);
		set_filter(f, vm, 5);
		complete(f, vm);
	}
	assert_int_equal(vmq_host_start(f->host), 0);
	for (round = 0; round < 30; round++) {
		const unsigned int which = unit_below(SLOTS);
		unsigned int other = unit_below(VMS);

		while (other == in_hardware[0] || other == in_hardware[1])
			other = (other + 1) % VMS;
		change(f, in_hardware[which], false);
		assert_int_equal(info_of(f, f->ids[in_hardware[which]]).slot, -1);
		change(f, other, true);
		in_hardware[which] = other;
		w.rules = SLOTS;
		for (i = 0; !rules_are(&w) && i < 100000; i++)
			for (vm = 0; vm < VMS; vm++)
				wire_brings(f, vm, 5);
		for (i = 0; i < 200; i++)
			for (vm = 0; vm < VMS; vm++)
				wire_brings(f, vm, 5);
	}
	for (vm = 0; vm < VMS; vm++)
		w.delivered += f->sent[vm];
	wait_delivered(f, w.delivered);
	for (vm = 0; vm < VMS; vm++) {
		info = info_of(f, f->ids[vm]);
		assert_int_equal(info.packets.dropped, 0);
		assert_int_equal(info.packets.received, f->sent[vm]);
	}
	assert_int_equal(info_of(f, 0).packets.received, 0);
	vmq_host_stop(f->host);
	vmq_adapter_halt(f->adapter);
	for (vm = 0; vm < VMS; vm++) {
		char name[8];

		snprintf(name, sizeof(name), "vm%u", vm);
		assert_file(name, 0, f->sent[vm]);
	}
}

/* A filter goes from queue to queue: each frame is with the one or with the other. */
static void
moves_between_hardware_and_software_lose_nothing(void **state)
{
	struct fixture *f = *state;
	struct waiting w = {.f = f};
	uint32_t *numbers = calloc(1 << 20, sizeof(*numbers)), *at;
	unsigned int vm, round, i, n, total = 0, where = 0, tries = 0;
	enum vmq_status status;
	uint8_t *seen;

	/* A second filter each, so that they stay running: 0 and 1 in hardware. */
	for (vm = 0; vm < 3; vm++) {
		allocate(f, vm, (uint16_t)(vm % UNIT_WORKERS), 0);
		set_filter(f, vm, 5);
		complete(f, vm);
	}
	f->ids[3] = f->ids[0];
	set_filter(f, 3, 5);
	assert_int_equal(vmq_host_start(f->host), 0);
	for (round = 0; round < 60; round++) {
		const unsigned int to = (where + 1 + unit_below(2)) % 3;

		for (i = 0; i < 50 + unit_below(200); i++)
			wire_brings(f, 3, 5);
		/* The last change of rules waits for workers, which may share one CPU here. */
		do {
			status = vmq_queue_move_filter(f->adapter, f->filters[3], f->ids[where],
				f->ids[to], &f->err);
			vmq_host_progress(f->host);
		} while (status == VMQ_STATUS_NOT_ACCEPTED && tries++ < 1000);
		assert_int_equal(status, VMQ_STATUS_SUCCESS);
		where = to;
		for (i = 0; i < unit_below(300); i++) {
			wire_brings(f, 3, 5);
			vmq_host_progress(f->host);
		}
	}
	w.delivered = f->sent[3];
	wait_delivered(f, w.delivered);
	assert_int_equal(info_of(f, 0).packets.received, 0);
	vmq_host_stop(f->host);
	vmq_adapter_halt(f->adapter);
	seen = calloc(f->sent[3], 1);
	for (vm = 0; vm < 3; vm++) {
		char name[8];

		snprintf(name, sizeof(name), "vm%u", vm);
		n = read_numbers(name, numbers, 1 << 20);
		for (at = numbers; at < numbers + n; at++) {
			assert_true(*at < f->sent[3] && !seen[*at]); /* once */
			seen[*at] = 1;
			assert_true(at == numbers || at[-1] < *at); /* in order in its queue */
		}
		total += n;
	}
	assert_int_equal(total, f->sent[3]);
	free(seen);
	free(numbers);
}

/* A VM never gets a frame from before its time, whatever is left in the slot's ring. */
static void
slots_are_used_again_and_again(void **state)
{
	struct fixture *f = *state;
	struct vmq_queue_info info;
	struct waiting w = {.f = f};
	uint8_t frame[FRAME_BYTES];
	unsigned int round, i;
	struct vmq_error err;

	assert_int_equal(vmq_host_start(f->host), 0);
	for (round = 0; round < 100; round++) {
		const unsigned int vm = round % 3;

		allocate(f, vm, (uint16_t)(round % UNIT_WORKERS), 0);
		set_filter(f, vm, 0);
		complete(f, vm);
		info = info_of(f, f->ids[vm]);
		assert_int_not_equal(info.slot, -1);
		w.rules = 1;
		assert_true(unit_wait(rules_are, &w));
		f->sent[vm] = 0;
		for (i = 0; i < 50; i++)
			wire_brings(f, vm, 0);
		assert_int_equal(vmq_queue_clear_filter(f->adapter, f->filters[vm], &err),
			VMQ_STATUS_SUCCESS);
		/* What the NIC had on its way: dropped, and never another VM's. */
		for (i = 0; i < 10; i++) {
			make_frame(frame, vm, 0, 1000000);
			nic_receive(f, (uint16_t)(1 + info.slot), frame, sizeof(frame));
		}
		assert_int_equal(vmq_queue_free(f->adapter, f->ids[vm], on_freed, f, &err),
			VMQ_STATUS_PENDING);
		w.changes = round + 1;
		assert_true(unit_wait(is_freed, &w));
		assert_int_equal(f->nic.n_rules, 0);
	}
	/* The parked pools have given back what the last VMs had: it was all at home. */
	for (i = 0; i < 50000 && rte_mempool_lookup("vmq_a0_s0_rx")->populated_size > 200; i++) {
		vmq_host_progress(f->host);
		nap();
		nap();
	}
	assert_true(pool_of("s0")->populated_size <= 200);
}

/* Freed while its rule is still being made: it is gone when the NIC has nothing of it. */
static void
a_queue_is_gone_once_its_rules_are(void **state)
{
	struct fixture *f = *state;
	struct waiting w = {.f = f};
	struct vmq_error err;
	unsigned int round;

	assert_int_equal(vmq_host_start(f->host), 0);
	for (round = 0; round < 30; round++) {
		allocate(f, 0, 0, 0);
		set_filter(f, 0, 0);
		complete(f, 0);
		w.rules = 1;
		assert_true(unit_wait(rules_are, &w));
		assert_int_equal(vmq_queue_clear_filter(f->adapter, f->filters[0], &err),
			VMQ_STATUS_SUCCESS);
		assert_int_equal(vmq_queue_free(f->adapter, f->ids[0], on_freed, f, &err),
			VMQ_STATUS_PENDING);
		w.changes = round + 1;
		assert_true(unit_wait(is_freed, &w));
		assert_int_equal(f->nic.n_rules, 0);
	}
}

/* Whatever the NIC refuses, and when: all frames arrive, and it says why. */
static void
rules_that_fail_leave_software_to_steer(void **state)
{
	struct fixture *f = *state;
	struct waiting w = {.f = f};
	unsigned int n, vm, i, refused = 0;

	for (vm = 0; vm < 2; vm++)
		allocate(f, vm, (uint16_t)vm, 0);
	assert_int_equal(vmq_host_start(f->host), 0);
	for (n = 1; n <= 5; n++) {
		uint32_t extra;
		const struct vmq_filter_match match = {.has_mac = true, .mac = {{2, 0, 0, 0, 0, 77}}};

		f->nic.calls = 0;
		f->nic.fail_at = n;
		for (vm = 0; vm < 2; vm++) {
			set_filter(f, vm, 5);
			if (n == 1)
				complete(f, vm);
		}
		assert_int_equal(vmq_queue_set_filter(f->adapter, f->ids[0], &match, &extra,
			&f->err), VMQ_STATUS_SUCCESS);
		for (i = 0; i < 300; i++) {
			wire_brings(f, 0, 5);
			wire_brings(f, 1, 5);
			vmq_host_progress(f->host);
		}
		for (vm = 0; vm < 2; vm++)
			refused += strstr(info_of(f, f->ids[vm]).rule_why, "says the NIC") != NULL;
		w.delivered += 600;
		wait_delivered(f, w.delivered);
		for (vm = 0; vm < 2; vm++)
			vmq_queue_clear_filter(f->adapter, f->filters[vm], &f->err);
		vmq_queue_clear_filter(f->adapter, extra, &f->err);
		f->nic.fail_at = 0;
		for (i = 0; i < 100 && f->nic.n_rules > 0; i++) {
			vmq_host_progress(f->host);
			nap();
		}
	}
	assert_true(refused > 0);
	for (vm = 0; vm < 2; vm++)
		assert_int_equal(info_of(f, f->ids[vm]).packets.dropped, 0);
}

/* A worker that has seen a queue stopped is done with it before new frames come. */
static void
a_queue_that_runs_again_gets_all_that_comes_then(void **state)
{
	struct fixture *f = *state;
	struct waiting w = {.f = f};
	unsigned int round, vm, i;

	for (vm = 0; vm < 2; vm++)
		allocate(f, vm, (uint16_t)(UNIT_WORKERS - 1), 0);
	assert_int_equal(vmq_host_start(f->host), 0);
	for (round = 0; round < 150; round++) {
		for (vm = 0; vm < 2; vm++) {
			set_filter(f, vm, 5);
			if (round == 0)
				complete(f, vm);
		}
		for (i = 0; i < 40; i++)
			for (vm = 0; vm < 2; vm++)
				wire_brings(f, vm, 5);
		w.delivered += 80;
		wait_delivered(f, w.delivered);
		for (vm = 0; vm < 2; vm++)
			assert_int_equal(vmq_queue_clear_filter(f->adapter, f->filters[vm],
				&f->err), VMQ_STATUS_SUCCESS);
		w.rules = 0;
		assert_true(unit_wait(rules_are, &w));
	}
	for (vm = 0; vm < 2; vm++)
		assert_int_equal(info_of(f, f->ids[vm]).packets.dropped, 0);
}

static void
priority_says_who_gets_hardware_first(void **state)
{
	struct fixture *f = *state;
	struct waiting w = {.f = f};
	unsigned int vm, i;

	for (vm = 0; vm < VMS; vm++)
		allocate(f, vm, 0, (uint8_t)(vm == 3 ? 9 : vm));
	assert_int_equal(info_of(f, f->ids[0]).slot, -1);
	assert_int_equal(info_of(f, f->ids[1]).slot, -1);
	assert_int_not_equal(info_of(f, f->ids[2]).slot, -1);
	assert_int_not_equal(info_of(f, f->ids[3]).slot, -1);
	for (vm = 0; vm < VMS; vm++) {
		set_filter(f, vm, 5);
		complete(f, vm);
	}
	assert_int_equal(vmq_host_start(f->host), 0);
	/* A slot that is free again goes to the busiest of the highest priority. */
	assert_int_equal(vmq_queue_demote(f->adapter, f->ids[3], on_change, f, &f->err),
		VMQ_STATUS_PENDING);
	for (i = 0; i < 30000 && info_of(f, f->ids[1]).slot < 0; i++) {
		wire_brings(f, 0, 5);
		wire_brings(f, 1, 5);
		vmq_host_progress(f->host);
		nap();
	}
	assert_int_not_equal(info_of(f, f->ids[1]).slot, -1);
	assert_int_equal(info_of(f, f->ids[0]).slot, -1);
	assert_int_equal(info_of(f, f->ids[3]).slot, -1);
	/* Who asks for what is under way by itself hears of its end, once. */
	w.changes = f->changes + 1;
	assert_int_equal(vmq_queue_promote(f->adapter, f->ids[1], on_change, f, &f->err),
		VMQ_STATUS_PENDING);
	assert_true(unit_wait(changes_are, &w));
	assert_int_equal(f->failed_changes, 0);
	assert_int_equal(vmq_queue_promote(f->adapter, f->ids[1], on_change, f, &f->err),
		VMQ_STATUS_NOT_ACCEPTED);
	assert_int_equal(vmq_queue_promote(f->adapter, f->ids[3], on_change, f, &f->err),
		VMQ_STATUS_RESOURCES);
	assert_int_equal(vmq_queue_demote(f->adapter, f->ids[0], on_change, f, &f->err),
		VMQ_STATUS_NOT_ACCEPTED);
	w.delivered = f->sent[0] + f->sent[1];
	wait_delivered(f, w.delivered);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(frames_go_by_the_nic_into_their_vms_memory, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(what_the_nic_does_not_test_software_does, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			promotion_and_demotion_lose_nothing_and_keep_the_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(moves_between_hardware_and_software_lose_nothing,
			set_up, tear_down),
		cmocka_unit_test_setup_teardown(slots_are_used_again_and_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_queue_is_gone_once_its_rules_are, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rules_that_fail_leave_software_to_steer, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(a_queue_that_runs_again_gets_all_that_comes_then,
			set_up, tear_down),
		cmocka_unit_test_setup_teardown(priority_says_who_gets_hardware_first, set_up,
			tear_down),
	};

	return cmocka_run_group_tests(tests, unit_start, unit_stop);
}
