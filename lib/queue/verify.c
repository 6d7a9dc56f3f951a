/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * The self-test of steering in hardware: where did the NIC put frames, and where do they
 * belong? Workers count what comes by each ring; the filters, looked at one by one, say
 * what it should have been. They are not asked by way of the classifier that the workers
 * use: a mistake of its would not be seen.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>

#include "queue_private.h"

/* After a change of the rules, until frames that were on their way have come. */
#define QUIET_MS 50

struct verify {
	struct vmq_dp_census *source; /* of the default queue's ring */
	struct vmq_dp_census **slots;
	bool counting;
	uint64_t changes; /* of steering, when it began to count */
	uint64_t since_ms; /* when it began to count, or: since when nothing has changed */
	uint32_t restarts;
};

static void
set_all(struct vmq_adapter *adapter, bool count)
{
	const struct verify *verify = adapter->verify;
	uint16_t i;

	vmq_dp_source_set_census(adapter->source, count ? verify->source : NULL);
	for (i = 0; i < adapter->hardware.n_slots; i++)
		vmq_dp_hw_set_census(adapter->hardware.slots[i].hw,
			count ? verify->slots[i] : NULL);
}

static void
stop_counting(struct vmq_adapter *adapter)
{
	if (!adapter->verify->counting)
		return;
	set_all(adapter, false);
	vmq_datapath_synchronize(adapter->host->dp);
	adapter->verify->counting = false;
}

void
verify_progress(struct vmq_adapter *adapter, uint64_t now_ms)
{
	struct verify *verify = adapter->verify;
	uint16_t i;

	if (verify == NULL)
		return;
	if (verify->changes != adapter->hardware.changes || !rules_are_settled(adapter)) {
		if (verify->counting)
			verify->restarts++;
		stop_counting(adapter);
		verify->changes = adapter->hardware.changes;
		verify->since_ms = now_ms;
	}
	if (verify->counting || now_ms < verify->since_ms + QUIET_MS)
		return;
	vmq_dp_census_clear(verify->source);
	for (i = 0; i < adapter->hardware.n_slots; i++)
		vmq_dp_census_clear(verify->slots[i]);
	verify->counting = true;
	verify->since_ms = now_ms;
	set_all(adapter, true);
}

static void
verify_free(struct verify *verify, uint16_t n_slots)
{
	uint16_t i;

	if (verify == NULL)
		return;
	vmq_dp_census_free(verify->source);
	for (i = 0; verify->slots != NULL && i < n_slots; i++)
		vmq_dp_census_free(verify->slots[i]);
	free(verify->slots);
	free(verify);
}

enum vmq_status
vmq_adapter_verify_begin(struct vmq_adapter *adapter, struct vmq_error *err)
{
	const struct hardware *hardware = &adapter->hardware;
	struct verify *verify;
	bool made;
	uint16_t i;
	int node;

	if (adapter->halted)
		return vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED, "adapter %s is halted",
			adapter->name);
	vanish_end(adapter); /* who asks goes before */
	if (adapter->verify != NULL)
		return vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED,
			"adapter %s: its steering is being verified already", adapter->name);
	if (hardware->steer == NULL)
		return vmq_error_set(err, VMQ_STATUS_NOT_SUPPORTED,
			"adapter %s steers in software, there is nothing to verify: vmdq: %.150s; "
			"flow: %.150s", adapter->name, hardware->why_not[VMQ_STEERING_VMDQ],
			hardware->why_not[VMQ_STEERING_FLOW]);
	node = vmq_datapath_worker_node(adapter->host->dp, adapter->source_worker);
	verify = calloc(1, sizeof(*verify));
	if (verify != NULL) {
		verify->source = vmq_dp_census_create(node);
		verify->slots = calloc(hardware->n_slots, sizeof(*verify->slots));
	}
	made = verify != NULL && verify->source != NULL && verify->slots != NULL;
	for (i = 0; made && i < hardware->n_slots; i++) {
		verify->slots[i] = vmq_dp_census_create(node);
		made = verify->slots[i] != NULL;
	}
	if (!made) {
		verify_free(verify, hardware->n_slots);
		return vmq_error_set(err, VMQ_STATUS_RESOURCES,
			"adapter %s: no memory to count what comes by its rings", adapter->name);
	}
	verify->changes = hardware->changes - 1; /* wait until all is quiet */
	adapter->verify = verify;
	verify_progress(adapter, host_now_ms());
	return VMQ_STATUS_SUCCESS;
}

void
verify_end(struct vmq_adapter *adapter)
{
	if (adapter->verify == NULL)
		return;
	stop_counting(adapter);
	verify_free(adapter->verify, adapter->hardware.n_slots);
	adapter->verify = NULL;
	adapter->hardware.testing = false;
}

/* The filter of an active queue that makes just these tests. */
static const struct vmq_filter *
find(const struct vmq_adapter *adapter, const struct vmq_filter_match *match)
{
	const struct vmq_filter *filter = vmq_filter_find_equal(adapter->filters, match);

	return filter != NULL && queue_is_active(adapter_queue(adapter, filter->queue_id)) ? filter
											    : NULL;
}

/* The most specific filter that a frame passes; NULL: none. */
static const struct vmq_filter *
belongs_to(const struct vmq_adapter *adapter, const struct vmq_dp_census_entry *entry)
{
	struct vmq_filter_match match = {.has_mac = true, .mac = entry->mac,
		.vlan_test = entry->vlan != 0 ? VMQ_VLAN_ID : VMQ_VLAN_UNTAGGED,
		.vlan_id = entry->vlan};
	const struct vmq_filter *filter = find(adapter, &match);

	if (filter == NULL) {
		match.vlan_test = VMQ_VLAN_ANY;
		filter = find(adapter, &match);
	}
	if (filter == NULL && entry->vlan != 0) {
		match.has_mac = false;
		match.vlan_test = VMQ_VLAN_ID;
		filter = find(adapter, &match);
	}
	return filter;
}

static struct vmq_verify_rule *
rule_of(struct vmq_verify_report *report, const struct vmq_filter *filter)
{
	uint32_t i;

	for (i = 0; filter != NULL && i < report->n_rules; i++)
		if (report->rules[i].filter_id == filter->id)
			return &report->rules[i];
	return NULL;
}

/* The rule that has brought a frame into a slot: of its MAC. */
static struct vmq_verify_rule *
rule_by(struct vmq_verify_report *report, uint16_t slot, const struct vmq_dp_census_entry *entry)
{
	uint32_t i;

	for (i = 0; i < report->n_rules; i++)
		if (report->rules[i].slot == slot &&
			rte_is_same_ether_addr(&report->rules[i].match.mac, &entry->mac))
			return &report->rules[i];
	return NULL;
}

static void
add_stray(struct vmq_verify_report *report, uint16_t slot, const struct vmq_filter *filter,
	const struct vmq_dp_census_entry *entry)
{
	report->stray_packets += entry->packets;
	if (report->n_strays == VMQ_VERIFY_STRAYS_MAX)
		return; /* their packets are counted */
	report->strays[report->n_strays++] = (struct vmq_verify_stray){
		.slot = slot,
		.mac = entry->mac,
		.vlan = entry->vlan,
		.queue_id = filter != NULL ? filter->queue_id : VMQ_DEFAULT_QUEUE_ID,
		.packets = entry->packets,
	};
}

static void
judge_slot(const struct vmq_adapter *adapter, struct vmq_verify_report *report, uint16_t slot,
	const struct vmq_dp_census_entry *entry)
{
	const struct vmq_filter *filter;
	struct vmq_verify_rule *own, *by;

	if (rte_is_multicast_ether_addr(&entry->mac)) {
		/* VMDq gives each pool a copy. */
		if (adapter->hardware.steering == VMQ_STEERING_VMDQ)
			report->replicas += entry->packets;
		else
			add_stray(report, slot, NULL, entry);
		return;
	}
	filter = belongs_to(adapter, entry);
	own = rule_of(report, filter);
	if (own != NULL && own->slot == slot) {
		own->right += entry->packets;
		return;
	}
	if (own != NULL)
		own->in_other += entry->packets;
	by = rule_by(report, slot, entry);
	if (by == NULL)
		add_stray(report, slot, filter, entry);
	else if (by->test == VMQ_STEER_MAC)
		by->residual += entry->packets;
	else
		by->too_much += entry->packets;
}

/* What the rules are now; nothing was counted for them yet. */
static bool
list_rules(const struct vmq_adapter *adapter, struct vmq_verify_report *report)
{
	const struct vmq_steer *steer = adapter->hardware.steer;
	const struct vmq_filter *filter;
	uint32_t after, n = vmq_filter_total(adapter->filters);
	int slot;

	report->rules = calloc(n + 1, sizeof(*report->rules));
	if (report->rules == NULL)
		return false;
	for (after = 0; (filter = vmq_filter_next(adapter->filters, after)) != NULL;
		after = filter->id) {
		slot = vmq_steer_slot_of(steer, filter->id);
		if (slot < 0)
			continue;
		report->rules[report->n_rules++] = (struct vmq_verify_rule){
			.filter_id = filter->id,
			.queue_id = filter->queue_id,
			.match = filter->match,
			.test = vmq_steer_best_test(steer, &filter->match, NULL),
			.slot = (uint16_t)slot,
		};
	}
	return true;
}

static void
count_all(const struct vmq_adapter *adapter, struct vmq_verify_report *report)
{
	const struct verify *verify = adapter->verify;
	struct vmq_dp_census_entry entry;
	struct vmq_verify_rule *rule;
	uint64_t untold;
	uint32_t at = 0;
	uint16_t i;

	report->packets = vmq_dp_census_packets(verify->source, &report->untold);
	while (vmq_dp_census_next(verify->source, &at, &entry)) {
		rule = rule_of(report, belongs_to(adapter, &entry));
		if (rule != NULL)
			rule->in_default += entry.packets;
	}
	for (i = 0; i < adapter->hardware.n_slots; i++) {
		report->packets += vmq_dp_census_packets(verify->slots[i], &untold);
		report->untold += untold;
		at = 0;
		while (vmq_dp_census_next(verify->slots[i], &at, &entry))
			judge_slot(adapter, report, i, &entry);
	}
}

bool
vmq_verify_rule_is_honoured(const struct vmq_verify_rule *rule)
{
	return rule->in_default == 0 && rule->in_other == 0 && rule->too_much == 0;
}

/*
 * Rules of which the NIC knows nothing any more are forgotten, and made anew as all rules
 * are, in steps that keep the order of packets.
 */
static void
put_back(struct vmq_adapter *adapter, struct vmq_verify_report *report)
{
	char text[VMQ_FILTER_TEXT_SIZE];
	struct vmq_error err;
	uint32_t i;

	if (!port_is_usable(adapter) || adapter->batch > 0 || !rules_settle(adapter))
		return;
	for (i = 0; i < report->n_rules; i++) {
		struct vmq_verify_rule *rule = &report->rules[i];

		if (rule->right > 0 || rule->in_default == 0)
			continue;
		rule->put_back = vmq_steer_del(adapter->hardware.steer, rule->filter_id, &err) == 0;
		if (!rule->put_back)
			VMQ_LOG(NOTICE, "adapter %s: filter %u: its rule has no effect and could "
				"not be removed: %.300s\n", adapter->name, rule->filter_id, err.text);
	}
	rules_changed(adapter);
	for (i = 0; i < report->n_rules; i++) {
		struct vmq_verify_rule *rule = &report->rules[i];

		rule->put_back = rule->put_back && vmq_steer_slot_of(adapter->hardware.steer,
			rule->filter_id) == rule->slot;
		if (!rule->put_back)
			continue;
		report->put_back++;
		VMQ_LOG(NOTICE, "adapter %s: filter %u (%s): its rule had no effect, %" PRIu64
			" packets came by the default queue; it was made anew\n", adapter->name,
			rule->filter_id, vmq_filter_text(&rule->match, text), rule->in_default);
	}
	if (report->put_back == 0)
		return;
	adapter->fault.restored += report->put_back;
	adapter_indicate(adapter, VMQ_INDICATE_RULES_RESTORED, VMQ_DEFAULT_QUEUE_ID,
		report->put_back);
}

enum vmq_status
vmq_adapter_verify_end(struct vmq_adapter *adapter, struct vmq_verify_report *report,
	struct vmq_error *err)
{
	struct verify *verify = adapter->verify;
	enum vmq_status status = VMQ_STATUS_SUCCESS;
	uint32_t i;

	*report = (struct vmq_verify_report){0};
	if (verify == NULL)
		return vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED,
			"adapter %s: its steering is not being verified", adapter->name);
	report->restarts = verify->restarts;
	if (verify->counting && verify->changes == adapter->hardware.changes) {
		report->counted_ms = host_now_ms() - verify->since_ms;
		stop_counting(adapter);
		report->strays = calloc(VMQ_VERIFY_STRAYS_MAX, sizeof(*report->strays));
		if (report->strays == NULL || !list_rules(adapter, report))
			status = vmq_error_set(err, VMQ_STATUS_RESOURCES,
				"adapter %s: no memory for a report", adapter->name);
		else
			count_all(adapter, report);
	} else {
		status = vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED,
			"adapter %s: its filters or rules have changed until just now, %u times; try "
			"again, or longer", adapter->name, verify->restarts);
	}
	for (i = 0; i < report->n_rules; i++)
		report->bad_rules += !vmq_verify_rule_is_honoured(&report->rules[i]);
	verify_end(adapter);
	if (status != VMQ_STATUS_SUCCESS)
		vmq_verify_report_free(report);
	else
		put_back(adapter, report);
	return status;
}

void
vmq_verify_report_free(struct vmq_verify_report *report)
{
	free(report->rules);
	free(report->strays);
	*report = (struct vmq_verify_report){0};
}
