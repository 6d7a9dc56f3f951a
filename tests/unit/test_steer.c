/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>

#include <vmq_filter.h>

#define RULES_MAX 16

/* A driver whose NIC the test can look into, and which fails when it is told to. */
struct nic {
	struct vmq_steer_request rules[RULES_MAX];
	unsigned int n_rules;
	unsigned int calls; /* of add and del */
	unsigned int fail_at; /* the call that fails, from 1; 0: none */
	bool no_vlan, no_mac, no_rest;
	unsigned int rests; /* rules for what no other rule takes */
};

static int
nic_find(const struct nic *nic, const struct vmq_steer_request *request)
{
	unsigned int i;

	for (i = 0; i < nic->n_rules; i++)
		if (nic->rules[i].test == request->test &&
			rte_is_same_ether_addr(&nic->rules[i].mac, &request->mac) &&
			(request->test == VMQ_STEER_MAC ||
				nic->rules[i].vlan_id == request->vlan_id))
			return (int)i;
	return -1;
}

static int
nic_add(void *arg, uint16_t port_id, const struct vmq_steer_request *request, void **handle,
	struct vmq_error *err)
{
	struct nic *nic = arg;

	(void)port_id;
	if (request->test == VMQ_STEER_MAC ? nic->no_mac : nic->no_vlan)
		return vmq_error_errno(err, EINVAL, "not that kind, says the NIC");
	if (++nic->calls == nic->fail_at)
		return vmq_error_errno(err, ENOSPC, "call %u fails", nic->calls);
	assert_int_equal(nic_find(nic, request), -1); /* never the same twice */
	assert_true(nic->n_rules < RULES_MAX);
	nic->rules[nic->n_rules++] = *request;
	*handle = nic;
	return 0;
}

static int
nic_del(void *arg, uint16_t port_id, const struct vmq_steer_request *request, void *handle,
	struct vmq_error *err)
{
	struct nic *nic = arg;
	int i = nic_find(nic, request);

	(void)port_id;
	assert_ptr_equal(handle, nic);
	assert_int_not_equal(i, -1);
	if (++nic->calls == nic->fail_at)
		return vmq_error_errno(err, EIO, "call %u fails", nic->calls);
	nic->rules[i] = nic->rules[--nic->n_rules];
	return 0;
}

static bool
nic_exists(void *arg, uint16_t port_id, const struct vmq_steer_request *request, void *handle)
{
	(void)port_id;
	(void)handle;
	return nic_find(arg, request) >= 0;
}

static void *
nic_rest(void *arg, uint16_t port_id)
{
	struct nic *nic = arg;

	(void)port_id;
	if (nic->no_rest)
		return NULL;
	nic->rests++;
	return nic;
}

static void
nic_end_rest(void *arg, uint16_t port_id, void *handle)
{
	struct nic *nic = arg;

	(void)port_id;
	assert_ptr_equal(handle, nic);
	assert_int_not_equal(nic->rests, 0);
	nic->rests--;
}

static const struct vmq_steer_ops blind_ops = {
	.steering = VMQ_STEERING_FLOW, .add = nic_add, .del = nic_del, .rest = nic_rest,
	.end_rest = nic_end_rest};
static const struct vmq_steer_ops seeing_ops = {
	.steering = VMQ_STEERING_FLOW, .add = nic_add, .del = nic_del, .exists = nic_exists};
static const struct vmq_steer_slot slots[] = {{.rx_queue = 1}, {.rx_queue = 2}};

static struct vmq_steer *
open_nic(struct nic *nic, const struct vmq_steer_ops *ops)
{
	struct vmq_error err = {.text = ""};
	struct vmq_steer *steer = vmq_steer_open(&(struct vmq_steer_params){
		.ops = ops, .arg = nic, .slots = slots, .n_slots = RTE_DIM(slots)}, &err);

	if (steer == NULL)
		fail_msg("%s", err.text);
	assert_int_equal(nic->n_rules, 0); /* what was tried is gone */
	return steer;
}

static struct vmq_filter_match
match_of(uint8_t mac, uint16_t vlan)
{
	return (struct vmq_filter_match){.has_mac = true, .mac = {{2, 0, 0, 0, 0, mac}},
		.vlan_test = vlan != 0 ? VMQ_VLAN_ID : VMQ_VLAN_ANY, .vlan_id = vlan};
}

static void
what_a_nic_takes_is_found_by_trying(void **state)
{
	struct nic nic = {.no_vlan = true};
	struct vmq_steer_capabilities can;
	struct vmq_filter_match match = match_of(1, 5);
	struct vmq_error err = {.text = ""};
	struct vmq_steer *steer;

	(void)state;
	steer = open_nic(&nic, &blind_ops);
	vmq_steer_capabilities_get(steer, &can);
	assert_true(can.tests[VMQ_STEER_MAC].can);
	assert_false(can.tests[VMQ_STEER_MAC_VLAN].can);
	assert_string_equal(can.tests[VMQ_STEER_MAC_VLAN].why_not, "not that kind, says the NIC");
	assert_int_equal(vmq_steer_best_test(steer, &match, NULL), VMQ_STEER_MAC);
	match.has_mac = false;
	assert_int_equal(vmq_steer_best_test(steer, &match, &err), VMQ_STEER_TEST_COUNT);
	assert_non_null(strstr(err.text, "VLAN alone"));
	vmq_steer_close(steer);

	nic = (struct nic){.no_mac = true, .no_vlan = true};
	assert_null(vmq_steer_open(&(struct vmq_steer_params){
		.ops = &blind_ops, .arg = &nic, .slots = slots, .n_slots = 1}, &err));
	assert_int_equal(rte_errno, ENOTSUP);
	assert_string_equal(err.text, "not that kind, says the NIC");
	/* A rule that can be made and not removed is no rule. */
	nic = (struct nic){.no_vlan = true, .fail_at = 2};
	assert_null(vmq_steer_open(&(struct vmq_steer_params){
		.ops = &blind_ops, .arg = &nic, .slots = slots, .n_slots = 1}, &err));
}

static void
filters_with_the_same_test_share_a_rule(void **state)
{
	struct nic nic = {.no_vlan = true};
	struct vmq_filter_match tagged = match_of(1, 5), any = match_of(1, 0), other = match_of(2, 5);
	struct vmq_error err = {.text = ""};
	enum vmq_steer_test test;
	struct vmq_steer *steer;

	(void)state;
	steer = open_nic(&nic, &blind_ops);
	assert_int_equal(vmq_steer_add(steer, 1, &tagged, 0, &test, &err), 0);
	assert_int_equal(test, VMQ_STEER_MAC);
	assert_int_equal(vmq_steer_add(steer, 2, &any, 0, NULL, &err), 0);
	assert_int_equal(nic.n_rules, 1);
	assert_int_equal(vmq_steer_rules(steer), 1);
	assert_int_equal(vmq_steer_add(steer, 1, &tagged, 0, NULL, &err), -EEXIST);
	assert_int_equal(vmq_steer_add(steer, 3, &any, 1, NULL, &err), -EBUSY);
	assert_non_null(strstr(err.text, "tests only its MAC"));
	assert_int_equal(vmq_steer_add(steer, 3, &other, 1, NULL, &err), 0);
	assert_int_equal(vmq_steer_add(steer, 4, &other, 2, NULL, &err), -EINVAL);
	assert_int_equal(vmq_steer_slot_of(steer, 2), 0);
	assert_int_equal(vmq_steer_slot_of(steer, 3), 1);
	assert_int_equal(vmq_steer_slot_of(steer, 4), -1);
	assert_int_equal(vmq_steer_del(steer, 4, &err), -ENOENT);
	assert_int_equal(vmq_steer_del(steer, 1, &err), 0);
	assert_int_equal(nic.n_rules, 2);
	assert_int_equal(vmq_steer_del(steer, 2, &err), 0);
	assert_int_equal(nic.n_rules, 1);
	vmq_steer_close(steer);
	assert_int_equal(nic.n_rules, 0);
}

/* The n-th call of the driver fails, for every n: what was there is there. */
static void
a_call_that_fails_changes_nothing(void **state)
{
	struct vmq_filter_match matches[] = {match_of(1, 5), match_of(1, 6), match_of(2, 0)};
	struct vmq_error err;
	struct vmq_steer *steer;
	unsigned int n, failed, rules;
	uint32_t i;

	(void)state;
	for (n = 1; n <= 6; n++) {
		struct nic nic = {0};

		steer = open_nic(&nic, &blind_ops);
		nic.calls = 0;
		nic.fail_at = n;
		failed = 0;
		for (i = 0; i < RTE_DIM(matches); i++) {
			rules = nic.n_rules;
			if (vmq_steer_add(steer, i + 1, &matches[i], 0, NULL, &err) == 0)
				continue;
			failed++;
			assert_non_null(strstr(err.text, "fails"));
			assert_int_equal(nic.n_rules, rules);
			assert_int_equal(vmq_steer_slot_of(steer, i + 1), -1);
			assert_int_equal(vmq_steer_add(steer, i + 1, &matches[i], 0, NULL, &err), 0);
		}
		for (i = 0; i < RTE_DIM(matches); i++) {
			if (vmq_steer_del(steer, i + 1, &err) == 0)
				continue;
			failed++;
			assert_int_equal(vmq_steer_slot_of(steer, i + 1), 0);
			assert_int_equal(vmq_steer_del(steer, i + 1, &err), 0);
		}
		assert_int_equal(failed, 1);
		assert_int_equal(nic.n_rules, 0);
		vmq_steer_close(steer);
	}
}

static void
vanished_rules_are_put_back(void **state)
{
	struct vmq_filter_match matches[] = {match_of(1, 5), match_of(2, 5), match_of(3, 0)};
	struct nic nic = {0};
	struct vmq_steer *steer;
	struct vmq_error err;
	uint32_t i, restored;

	(void)state;
	steer = open_nic(&nic, &seeing_ops);
	for (i = 0; i < RTE_DIM(matches); i++)
		assert_int_equal(vmq_steer_add(steer, i + 1, &matches[i], 1, NULL, &err), 0);
	assert_int_equal(vmq_steer_restore(steer, false, &restored, &err), 0);
	assert_int_equal(restored, 0);
	nic.n_rules = 1; /* two have vanished; the first of them cannot be put back */
	nic.calls = 0;
	nic.fail_at = 1;
	assert_int_equal(vmq_steer_restore(steer, false, &restored, &err), -ENOSPC);
	assert_int_equal(restored, 1);
	assert_int_equal(nic.n_rules, 2);
	assert_int_equal(vmq_steer_restore(steer, false, &restored, &err), 0);
	assert_int_equal(restored, 1);
	assert_int_equal(nic.n_rules, 3);
	vmq_steer_close(steer);
	assert_int_equal(nic.n_rules, 0);

	/* After a reset all of them go back, unless the driver sees that they are there. */
	steer = open_nic(&nic, &blind_ops);
	assert_int_equal(vmq_steer_add(steer, 1, &matches[0], 1, NULL, &err), 0);
	assert_int_equal(vmq_steer_restore(steer, false, &restored, &err), 0);
	assert_int_equal(restored, 0);
	nic.n_rules = 0;
	assert_int_equal(vmq_steer_restore(steer, true, &restored, &err), 0);
	assert_int_equal(restored, 1);
	vmq_steer_close(steer);
}

/* Frames of no rule have one of their own, once, for as long as the port steers. */
static void
the_rule_for_the_rest_goes_and_comes_with_the_others(void **state)
{
	struct nic nic = {.no_rest = true};
	struct vmq_steer *steer;
	struct vmq_error err;

	(void)state;
	steer = open_nic(&nic, &blind_ops); /* works without as well */
	vmq_steer_suspend(steer);
	assert_int_equal(vmq_steer_restore(steer, false, NULL, &err), 0);
	vmq_steer_close(steer);

	nic.no_rest = false;
	steer = open_nic(&nic, &blind_ops);
	assert_int_equal(nic.rests, 1);
	assert_int_equal(vmq_steer_restore(steer, false, NULL, &err), 0);
	assert_int_equal(nic.rests, 1);
	vmq_steer_suspend(steer);
	assert_int_equal(nic.rests, 0);
	nic.no_rest = true; /* not at once */
	assert_int_equal(vmq_steer_restore(steer, false, NULL, &err), 0);
	nic.no_rest = false;
	assert_int_equal(vmq_steer_restore(steer, false, NULL, &err), 0);
	assert_int_equal(nic.rests, 1);
	nic.rests = 0; /* reset without a word */
	assert_int_equal(vmq_steer_restore(steer, true, NULL, &err), 0);
	assert_int_equal(nic.rests, 1);
	vmq_steer_close(steer);
	assert_int_equal(nic.rests, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_nic_takes_is_found_by_trying),
		cmocka_unit_test(filters_with_the_same_test_share_a_rule),
		cmocka_unit_test(a_call_that_fails_changes_nothing),
		cmocka_unit_test(vanished_rules_are_put_back),
		cmocka_unit_test(the_rule_for_the_rest_goes_and_comes_with_the_others),
	};

	return cmocka_run_group_tests(tests, unit_start, unit_stop);
}
