/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* What a NIC can do, who steers, and whether it does what it was told: see hw_bed.h. */

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <vmq_oid.h>

#include "hw_bed.h"

/* So many frames for each VM. */
#define FRAMES 300

static void
make_vms(struct fixture *f, unsigned int n)
{
	unsigned int vm;

	for (vm = 0; vm < n; vm++) {
		allocate(f, vm, (uint16_t)(vm % UNIT_WORKERS), 0);
		set_filter(f, vm, 5);
		complete(f, vm);
	}
	assert_int_equal(vmq_host_start(f->host), 0);
}

static bool
is_settled(void *arg)
{
	struct waiting *w = arg;
	struct vmq_filter_steering steering;
	unsigned int i;

	vmq_host_progress(w->f->host);
	for (i = 0; i < w->rules; i++) {
		assert_true(vmq_filter_steering_get(w->f->adapter, w->f->filters[i], &steering));
		if (steering.how != VMQ_FILTER_HARDWARE)
			return false;
	}
	return true;
}

static void
begin(struct fixture *f)
{
	struct waiting w = {.f = f, .rules = SLOTS};
	unsigned int i;

	assert_true(unit_wait(is_settled, &w));
	assert_int_equal(vmq_adapter_verify_begin(f->adapter, &f->err), VMQ_STATUS_SUCCESS);
	/* It waits until what was on its way has come: two looks, and some milliseconds. */
	for (i = 0; i < 2000; i++) {
		vmq_host_progress(f->host);
		nap();
	}
}

static void
bring(struct fixture *f, unsigned int vms, uint16_t vlan)
{
	uint64_t sent = 0;
	unsigned int vm, i;

	for (i = 0; i < FRAMES; i++)
		for (vm = 0; vm < vms; vm++)
			wire_brings(f, vm, vlan);
	for (vm = 0; vm < vms; vm++)
		sent += f->sent[vm];
	wait_delivered(f, sent);
}

static const struct vmq_verify_rule *
rule_of(const struct vmq_verify_report *report, uint32_t filter)
{
	uint32_t i;

	for (i = 0; i < report->n_rules; i++)
		if (report->rules[i].filter_id == filter)
			return &report->rules[i];
	fail_msg("filter %u has no rule", filter);
	return NULL;
}

static void
end(struct fixture *f, struct vmq_verify_report *report)
{
	if (vmq_adapter_verify_end(f->adapter, report, &f->err) != VMQ_STATUS_SUCCESS)
		fail_msg("%s", f->err.text);
}

static void
a_nic_that_does_as_it_was_told_is_found_good(void **state)
{
	struct vmq_verify_report report;
	struct fixture *f = *state;
	unsigned int vm;

	make_vms(f, 3); /* the third in software */
	begin(f);
	assert_int_equal(vmq_adapter_verify_begin(f->adapter, &f->err), VMQ_STATUS_NOT_ACCEPTED);
	bring(f, 3, 5);
	end(f, &report);
	assert_int_equal(report.n_rules, 2);
	assert_int_equal(report.bad_rules, 0);
	assert_int_equal(report.stray_packets, 0);
	assert_int_equal(report.packets, 2 * FRAMES);
	assert_int_equal(report.untold, 0);
	for (vm = 0; vm < 2; vm++) {
		assert_int_equal(rule_of(&report, f->filters[vm])->right, FRAMES);
		assert_int_equal(rule_of(&report, f->filters[vm])->queue_id, f->ids[vm]);
		assert_int_equal(rule_of(&report, f->filters[vm])->test, VMQ_STEER_MAC_VLAN);
	}
	vmq_verify_report_free(&report);
	assert_int_equal(vmq_adapter_verify_end(f->adapter, &report, &f->err),
		VMQ_STATUS_NOT_ACCEPTED);
}

static void
a_rule_that_is_accepted_and_not_honoured_is_named(void **state)
{
	const struct vmq_verify_rule *rule;
	struct vmq_verify_report report;
	struct fixture *f = *state;

	make_vms(f, 2);
	f->nic.ignored = 2;
	begin(f);
	bring(f, 2, 5);
	end(f, &report);
	assert_int_equal(report.n_rules, 2);
	assert_int_equal(report.bad_rules, 1);
	rule = rule_of(&report, f->filters[1]);
	assert_false(vmq_verify_rule_is_honoured(rule));
	assert_int_equal(rule->right, 0);
	assert_int_equal(rule->in_default, FRAMES);
	rule = rule_of(&report, f->filters[0]);
	assert_true(vmq_verify_rule_is_honoured(rule));
	assert_int_equal(rule->right, FRAMES);
	vmq_verify_report_free(&report);
}

static void
a_rule_that_brings_too_much_is_named(void **state)
{
	const struct vmq_verify_rule *rule;
	struct vmq_verify_report report;
	struct fixture *f = *state;

	make_vms(f, 2);
	f->nic.blind = true;
	begin(f);
	bring(f, 1, 5);
	bring(f, 1, 6); /* nobody's: the NIC was told to look at the VLAN */
	end(f, &report);
	assert_int_equal(report.bad_rules, 1);
	rule = rule_of(&report, f->filters[0]);
	assert_int_equal(rule->right, FRAMES);
	assert_int_equal(rule->too_much, FRAMES);
	assert_int_equal(rule->residual, 0);
	vmq_verify_report_free(&report);
}

static void
frames_that_no_rule_leads_somewhere_are_told(void **state)
{
	struct vmq_verify_report report;
	uint8_t frame[FRAME_BYTES];
	struct fixture *f = *state;
	unsigned int i;

	make_vms(f, 2);
	begin(f);
	make_frame(frame, 1, 5, 0); /* VM 1's, in VM 0's hardware queue */
	for (i = 0; i < 7; i++)
		nic_receive(f, 1, frame, sizeof(frame));
	make_frame(frame, 3, 9, 0); /* nobody's */
	nic_receive(f, 2, frame, sizeof(frame));
	wait_delivered(f, 8);
	end(f, &report);
	assert_int_equal(report.stray_packets, 8);
	assert_int_equal(report.n_strays, 2);
	for (i = 0; i < 2; i++) {
		const struct vmq_verify_stray *stray = &report.strays[i];

		assert_int_equal(stray->packets, stray->slot == 0 ? 7 : 1);
		assert_int_equal(stray->queue_id, stray->slot == 0 ? f->ids[1] : 0);
		assert_int_equal(stray->vlan, stray->slot == 0 ? 5 : 9);
	}
	assert_int_equal(rule_of(&report, f->filters[1])->in_other, 7);
	assert_int_equal(report.bad_rules, 1);
	vmq_verify_report_free(&report);
}

/* What the NIC was never asked to test is no fault of its. */
static void
what_software_has_to_finish_is_no_fault(void **state)
{
	const struct vmq_verify_rule *rule;
	struct vmq_filter_steering steering;
	struct vmq_verify_report report;
	struct fixture *f = *state;

	make_vms(f, 2);
	begin(f);
	assert_true(vmq_filter_steering_get(f->adapter, f->filters[0], &steering));
	assert_string_equal(steering.text,
		"the NIC tests MAC, software the VLAN: hardware queue 0");
	bring(f, 1, 5);
	bring(f, 1, 6);
	end(f, &report);
	assert_int_equal(report.bad_rules, 0);
	assert_int_equal(report.stray_packets, 0);
	rule = rule_of(&report, f->filters[0]);
	assert_int_equal(rule->right, FRAMES);
	assert_int_equal(rule->residual, FRAMES);
	assert_int_equal(rule->too_much, 0);
	vmq_verify_report_free(&report);
}

static void
what_changes_meanwhile_is_counted_anew(void **state)
{
	struct vmq_verify_report report;
	struct fixture *f = *state;
	struct waiting w = {.f = f, .rules = 1};
	unsigned int i;

	make_vms(f, 2);
	begin(f);
	bring(f, 2, 5);
	assert_int_equal(vmq_queue_clear_filter(f->adapter, f->filters[1], &f->err),
		VMQ_STATUS_SUCCESS);
	assert_int_equal(vmq_adapter_verify_end(f->adapter, &report, &f->err),
		VMQ_STATUS_NOT_ACCEPTED);
	assert_non_null(strstr(f->err.text, "until just now"));
	assert_int_equal(report.n_rules, 0);
	assert_true(unit_wait(rules_are, &w));
	assert_int_equal(vmq_adapter_verify_begin(f->adapter, &f->err), VMQ_STATUS_SUCCESS);
	for (i = 0; i < 2000; i++) {
		vmq_host_progress(f->host);
		nap();
	}
	set_filter(f, 1, 5);
	w.rules = 2;
	assert_true(unit_wait(rules_are, &w));
	for (i = 0; i < 2000; i++) {
		vmq_host_progress(f->host);
		nap();
	}
	bring(f, 2, 5);
	end(f, &report);
	assert_int_equal(report.restarts, 1);
	assert_int_equal(report.bad_rules, 0);
	assert_int_equal(rule_of(&report, f->filters[1])->right, FRAMES);
	vmq_verify_report_free(&report);
	/* The halt ends one that is under way. */
	assert_int_equal(vmq_adapter_verify_begin(f->adapter, &f->err), VMQ_STATUS_SUCCESS);
}

static void
on_restored(void *arg, struct vmq_adapter *adapter, enum vmq_indication indication,
	uint16_t queue_id, uint32_t value)
{
	unsigned int *restored = arg;

	(void)adapter;
	(void)queue_id;
	if (indication == VMQ_INDICATE_RULES_RESTORED)
		*restored += value;
}

static void
forget_rule(struct fixture *f, unsigned int vm)
{
	unsigned int i;

	for (i = 0; f->nic.rules[i].mac.addr_bytes[5] != vm + 1; i++)
		assert_true(i + 1 < f->nic.n_rules);
	f->nic.rules[i] = f->nic.rules[--f->nic.n_rules];
}

static void
a_rule_without_effect_is_made_anew(void **state)
{
	const struct vmq_verify_rule *rule;
	struct vmq_verify_report report;
	struct fixture *f = *state;
	static unsigned int restored;

	restored = 0;
	vmq_adapter_set_indications(f->adapter, on_restored, &restored);
	make_vms(f, 2);
	bring(f, 2, 5);
	f->nic.silent = true;
	forget_rule(f, 1);
	begin(f);
	bring(f, 2, 5);
	end(f, &report);
	rule = rule_of(&report, f->filters[1]);
	assert_int_equal(rule->in_default, FRAMES);
	assert_true(rule->put_back);
	assert_false(rule_of(&report, f->filters[0])->put_back);
	assert_int_equal(report.put_back, 1);
	assert_int_equal(restored, 1);
	vmq_verify_report_free(&report);
	assert_int_equal(f->nic.n_rules, 2);
	begin(f);
	bring(f, 2, 5);
	end(f, &report);
	assert_int_equal(report.bad_rules, 0);
	assert_int_equal(report.put_back, 0);
	vmq_verify_report_free(&report);
	assert_int_equal(restored, 1);
	vmq_host_stop(f->host);
	vmq_adapter_halt(f->adapter);
	assert_file("vm1", 0, f->sent[1]);
}

/* Nobody verifies, and it is found out from what the queue gets. */
static void
a_rule_that_vanishes_without_a_word_is_missed(void **state)
{
	struct fixture *f = *state;
	static unsigned int restored;
	unsigned int i;
	time_t end;

	restored = 0;
	vmq_adapter_set_indications(f->adapter, on_restored, &restored);
	make_vms(f, 2);
	bring(f, 2, 5);
	f->nic.silent = true;
	forget_rule(f, 1);
	end = time(NULL) + 120;
	while (restored == 0) {
		assert_true(time(NULL) < end);
		for (i = 0; i < 20; i++) {
			wire_brings(f, 0, 5);
			wire_brings(f, 1, 5);
		}
		wait_delivered(f, f->sent[0] + f->sent[1]);
		for (i = 0; i < 100; i++) {
			vmq_host_progress(f->host);
			nap();
		}
	}
	assert_int_equal(restored, 1);
	assert_int_equal(f->nic.n_rules, 2);
	bring(f, 2, 5);
	vmq_host_stop(f->host);
	vmq_adapter_halt(f->adapter);
	assert_file("vm0", 0, f->sent[0]);
	assert_file("vm1", 0, f->sent[1]);
}

static void
capabilities_are_what_was_found_out(void **state)
{
	struct fixture *f = *state;
	struct vmq_adapter_capabilities can;
	struct vmq_oid_adapter *requests = vmq_oid_adapter_create(f->adapter);
	struct vmq_oid_capabilities out;
	struct vmq_oid_request request = {
		.type = VMQ_OID_QUERY,
		.oid = VMQ_OID_HARDWARE_CAPABILITIES,
		.information = &out,
		.information_length = sizeof(out),
	};

	assert_non_null(requests);
	vmq_adapter_capabilities_get(f->adapter, &can);
	assert_int_equal(can.asked, VMQ_STEERING_FLOW);
	assert_int_equal(can.chosen, VMQ_STEERING_FLOW);
	assert_int_equal(can.hardware_queues, SLOTS);
	assert_int_equal(can.free_hardware_queues, SLOTS);
	assert_string_equal(can.found[VMQ_STEERING_VMDQ].why_not, "not asked for");
	assert_true(can.found[VMQ_STEERING_FLOW].tried);
	assert_true(can.found[VMQ_STEERING_FLOW].rules.tests[VMQ_STEER_MAC_VLAN].can);
	assert_string_equal(can.port.driver, "net_ring");
	assert_true(can.port.pools_grow);
	make_vms(f, 1);
	vmq_adapter_capabilities_get(f->adapter, &can);
	assert_int_equal(can.free_hardware_queues, SLOTS - 1);
	assert_int_equal(can.rules, 1);

	assert_int_equal(vmq_oid_owner_create(requests, "admin", true, &request.owner, &f->err),
		VMQ_STATUS_SUCCESS);
	assert_int_equal(vmq_oid_request(requests, &request), VMQ_STATUS_SUCCESS);
	assert_int_equal(out.num_queues, SLOTS);
	assert_int_equal(out.enabled_filter_types, VMQ_OID_FILTER_TYPE_VMQ);
	assert_int_equal(out.supported_mac_fields,
		VMQ_OID_FIELD_BIT(VMQ_OID_FIELD_DESTINATION) |
		VMQ_OID_FIELD_BIT(VMQ_OID_FIELD_VLAN_ID));
	assert_int_equal(out.max_mac_filters, UINT32_MAX);
	vmq_adapter_set_indications(f->adapter, NULL, NULL);
	vmq_oid_adapter_free(requests);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_nic_that_does_as_it_was_told_is_found_good),
		TEST(a_rule_that_is_accepted_and_not_honoured_is_named),
		TEST(a_rule_without_effect_is_made_anew),
		TEST(a_rule_that_vanishes_without_a_word_is_missed),
		TEST(a_rule_that_brings_too_much_is_named),
		TEST(frames_that_no_rule_leads_somewhere_are_told),
		cmocka_unit_test_setup_teardown(what_software_has_to_finish_is_no_fault,
			set_up_macs_only, tear_down),
		TEST(what_changes_meanwhile_is_counted_anew),
		TEST(capabilities_are_what_was_found_out),
	};

	return cmocka_run_group_tests(tests, unit_start, unit_stop);
}
