/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * The NIC's rules follow the filters. Software steers by a new view at once, wherever a
 * frame arrives; then rules are changed, in steps, so that no frame is lost, doubled or
 * overtaken:
 *
 *  - a rule to be removed whose filter lives on (moved, or its queue leaves the hardware):
 *    what the default ring brings for it is held until the slot's ring is empty;
 *  - a rule to be made: what the slot's ring brings is held until the default ring is empty;
 *  - a move from slot to slot is both, one after the other: between them software steers.
 *
 * Each step ends when a later look at the rings says so; nobody waits for it.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <bsd/string.h>

#include "queue_private.h"

/* Frames that the NIC steered by the old rules and has not written into a ring yet. */
#define SETTLE_US 300

/* A step takes about a millisecond; a change that has to wait for it gives up after this. */
#define SETTLE_MAX_US 50000

/* After a rule was refused, how long until it is asked for again. */
#define RETRY_MS 5000

static struct queue *
queue_of(const struct vmq_adapter *adapter, const struct vmq_filter *filter)
{
	return adapter_queue(adapter, filter->queue_id);
}

/*
 * Does a filter of another queue want the same MAC? A NIC that looks at nothing else would
 * put that queue's frames into this one's memory.
 */
static bool
mac_is_shared(const struct vmq_adapter *adapter, const struct vmq_filter *filter)
{
	const struct vmq_filter *other;
	uint32_t after;

	for (after = 0; (other = vmq_filter_next(adapter->filters, after)) != NULL;
		after = other->id)
		if (other->queue_id != filter->queue_id && other->match.has_mac &&
			rte_is_same_ether_addr(&other->match.mac, &filter->match.mac))
			return true;
	return false;
}

/* Which slot a filter's rule should lead to; -1: it should have none. */
static int
wanted_slot(const struct vmq_adapter *adapter, const struct vmq_filter *filter)
{
	const struct queue *queue = queue_of(adapter, filter);

	if (queue->slot == NULL || queue->leaving_hardware || !queue_is_active(queue) ||
		queue->dp == NULL || queue->pool != queue->slot->pool)
		return -1;
	if (vmq_steer_best_test(adapter->hardware.steer, &filter->match, NULL) == VMQ_STEER_MAC &&
		mac_is_shared(adapter, filter))
		return -1;
	return queue->slot->number;
}

static const char *const how_names[VMQ_FILTER_HOW_COUNT] = {
	[VMQ_FILTER_SOFTWARE] = "software",
	[VMQ_FILTER_COVERED] = "covered",
	[VMQ_FILTER_HARDWARE] = "hardware",
};

const char *
vmq_filter_how_name(enum vmq_filter_how how)
{
	return (unsigned int)how < VMQ_FILTER_HOW_COUNT ? how_names[how] : NULL;
}

/* Why a filter has no rule and is to have none. */
static void
why_software(const struct vmq_adapter *adapter, const struct vmq_filter *filter, char *text,
	size_t size)
{
	const struct queue *queue = queue_of(adapter, filter);
	struct vmq_error err;

	if (queue->slot == NULL) {
		if (queue->hardware_why[0] != '\0')
			strlcpy(text, queue->hardware_why, size);
		else
			queue_unfit(queue, text, size);
	} else if (!queue_is_active(queue)) {
		snprintf(text, size, "its queue is %s: it receives nothing",
			vmq_queue_state_name(queue->state));
	} else if (vmq_steer_best_test(adapter->hardware.steer, &filter->match, &err) ==
			VMQ_STEER_TEST_COUNT) {
		strlcpy(text, err.text, size);
	} else {
		strlcpy(text, "the NIC tests MACs only, and another queue has a filter of that MAC",
			size);
	}
}

bool
vmq_filter_steering_get(const struct vmq_adapter *adapter, uint32_t filter_id,
	struct vmq_filter_steering *steering)
{
	const struct vmq_filter *filter = vmq_filter_find(adapter->filters, filter_id);
	const struct hardware *hardware = &adapter->hardware;
	int slot = -1, wanted = -1;
	enum vmq_steer_test test = VMQ_STEER_TEST_COUNT;
	const struct queue *queue;

	if (filter == NULL)
		return false;
	queue = queue_of(adapter, filter);
	if (hardware->steer != NULL) {
		slot = vmq_steer_slot_of(hardware->steer, filter_id);
		test = vmq_steer_best_test(hardware->steer, &filter->match, NULL);
		wanted = test == VMQ_STEER_TEST_COUNT ? -1 : wanted_slot(adapter, filter);
	}
	steering->text[0] = '\0';
	if (adapter->fault.state != VMQ_PORT_RUNS) {
		steering->how = VMQ_FILTER_SOFTWARE;
		snprintf(steering->text, sizeof(steering->text), "the port is %s",
			vmq_port_state_name(adapter->fault.state));
	} else if (slot < 0 && wanted < 0) {
		steering->how = VMQ_FILTER_SOFTWARE;
		why_software(adapter, filter, steering->text, sizeof(steering->text));
	} else if (slot < 0 && queue->rule_why[0] != '\0') {
		steering->how = VMQ_FILTER_SOFTWARE;
		strlcpy(steering->text, queue->rule_why, sizeof(steering->text));
	} else if (slot >= 0 && vmq_steer_is_lost(hardware->steer, filter_id)) {
		steering->how = VMQ_FILTER_SOFTWARE;
		snprintf(steering->text, sizeof(steering->text), "its rule has vanished: %.200s",
			adapter->fault.rule_why);
	} else if (slot != wanted || queue->held) {
		steering->how = VMQ_FILTER_COVERED;
		snprintf(steering->text, sizeof(steering->text),
			slot < 0 ? "the NIC's rule is being made"
				: slot == wanted ? "the NIC has its rule; software keeps the order until "
					"what came before it is delivered"
				: "the NIC's old rule is being removed");
	} else {
		steering->how = VMQ_FILTER_HARDWARE;
		snprintf(steering->text, sizeof(steering->text),
			"the NIC tests %s%s: hardware queue %d", vmq_steer_test_name(test),
			test == VMQ_STEER_MAC && filter->match.vlan_test != VMQ_VLAN_ANY
				? ", software the VLAN" : "", slot);
	}
	return true;
}

/* Hold one way of a queue for this step. Returns false: later, something is held yet. */
static bool
hold(struct vmq_adapter *adapter, struct queue *queue, enum vmq_hold side)
{
	if (!vmq_datapath_is_started(adapter->host->dp) || queue->dp == NULL ||
		!queue_is_active(queue))
		return true; /* nothing moves */
	if (queue->held)
		return true;
	if (!vmq_dp_queue_unhold(adapter->host->dp, queue->dp) ||
		vmq_dp_queue_hold(queue->dp, side) < 0)
		return false;
	queue->held = true;
	return true;
}

/* A rule could not be made, or removed: say why, and not the same again and again. */
static void
complain(struct vmq_adapter *adapter, const struct vmq_filter *filter, const char *what,
	const struct vmq_error *err)
{
	struct queue *queue = queue_of(adapter, filter);
	char text[VMQ_FILTER_TEXT_SIZE], why[sizeof(queue->rule_why)];

	adapter->hardware.retry_ms = host_now_ms() + RETRY_MS;
	snprintf(why, sizeof(why), "filter %u (%s): its rule could not be %s: %.120s", filter->id,
		vmq_filter_text(&filter->match, text), what, err->text);
	if (strcmp(why, queue->rule_why) == 0)
		return;
	strlcpy(queue->rule_why, why, sizeof(queue->rule_why));
	VMQ_LOG(NOTICE, "adapter %s: queue %u (%s): %s\n", adapter->name, queue->id, queue->name,
		why);
}

/* All rules of all queues are as they should be, as far as they can be. */
static void
forget_complaints(struct vmq_adapter *adapter)
{
	uint32_t i;

	for (i = 0; i < adapter->n_slots; i++)
		if (adapter->queues[i] != NULL)
			adapter->queues[i]->rule_why[0] = '\0';
}

/*
 * A rule of a MAC goes that other queues have come to want as well: what software finds in
 * the default ring from then on must not overtake what is still in the slot's ring.
 */
static bool
hold_sharers(struct vmq_adapter *adapter, const struct vmq_filter *filter)
{
	const struct vmq_filter *other;
	uint32_t after;

	for (after = 0; (other = vmq_filter_next(adapter->filters, after)) != NULL;
		after = other->id)
		if (other->match.has_mac &&
			rte_is_same_ether_addr(&other->match.mac, &filter->match.mac) &&
			!hold(adapter, queue_of(adapter, other), VMQ_HOLD_SOFTWARE))
			return false;
	return true;
}

/* Remove the rules that are not wanted. Returns whether some queue is held for it. */
static bool
remove_rules(struct vmq_adapter *adapter)
{
	struct hardware *hardware = &adapter->hardware;
	const struct vmq_filter *filter;
	struct vmq_error err;
	uint32_t id, after;
	bool held = false;
	int slot;

	/* Of filters that are gone: nobody gets those frames any more, nothing to hold. */
	for (id = vmq_steer_next(hardware->steer, 0); id != 0;
		id = vmq_steer_next(hardware->steer, id))
		if (vmq_filter_find(adapter->filters, id) == NULL &&
			vmq_steer_del(hardware->steer, id, &err) < 0)
			VMQ_LOG(NOTICE, "adapter %s: filter %u: its rule could not be removed: "
				"%.300s\n", adapter->name, id, err.text);
	for (after = 0; (filter = vmq_filter_next(adapter->filters, after)) != NULL;
		after = filter->id) {
		struct queue *queue = queue_of(adapter, filter);

		slot = vmq_steer_slot_of(hardware->steer, filter->id);
		if (slot < 0 || slot == wanted_slot(adapter, filter))
			continue;
		if (queue->rule_why[0] != '\0' && host_now_ms() < hardware->retry_ms) {
			hardware->rules_changed = true;
			continue;
		}
		if (!hold_sharers(adapter, filter)) {
			hardware->rules_changed = true;
			continue;
		}
		if (vmq_steer_del(hardware->steer, filter->id, &err) < 0) {
			complain(adapter, filter, "removed", &err);
			hardware->rules_changed = true;
		}
		hardware->changes++;
		hardware->slots[slot].draining = true;
		held |= queue->held;
	}
	return held;
}

/* Make the rules that are wanted. Returns whether some queue is held for it. */
static bool
make_rules(struct vmq_adapter *adapter)
{
	struct hardware *hardware = &adapter->hardware;
	const struct vmq_filter *filter;
	struct vmq_error err;
	bool held = false, forget;
	uint32_t after;
	int slot, ret;

	if (host_now_ms() < hardware->retry_ms || !port_is_usable(adapter)) {
		hardware->rules_changed = true;
		return false;
	}
	forget = true;
	for (after = 0; (filter = vmq_filter_next(adapter->filters, after)) != NULL;
		after = filter->id) {
		struct queue *queue = queue_of(adapter, filter);

		slot = wanted_slot(adapter, filter);
		if (slot < 0 || vmq_steer_slot_of(hardware->steer, filter->id) >= 0 ||
			vmq_steer_best_test(hardware->steer, &filter->match, &err) ==
				VMQ_STEER_TEST_COUNT)
			continue;
		if (!hold(adapter, queue, VMQ_HOLD_HARDWARE)) {
			hardware->rules_changed = true;
			continue;
		}
		ret = vmq_steer_add(hardware->steer, filter->id, &filter->match, (uint16_t)slot,
			NULL, &err);
		/* Another queue has that MAC: this one's frames stay with software. */
		if (ret < 0) {
			complain(adapter, filter, "made", &err);
			hardware->rules_changed = true;
			forget = false;
		} else {
			hardware->changes++;
		}
		held |= queue->held;
	}
	if (forget)
		forget_complaints(adapter);
	return held;
}

/* Let go of all that this step has held. */
static void
release(struct vmq_adapter *adapter)
{
	struct queue *queue;
	uint32_t i;

	/* By a new view the source delivers what it has gathered, too. */
	adapter->unpublished = true;
	if (adapter_publish_view(adapter, NULL) != VMQ_STATUS_SUCCESS)
		return; /* no memory now: the next look tries it again */
	vmq_datapath_synchronize(adapter->host->dp);
	for (i = 0; i < adapter->n_slots; i++) {
		queue = adapter->queues[i];
		if (queue == NULL || !queue->held)
			continue;
		queue->held = false;
		if (queue->dp != NULL && !queue->abort) /* nobody serves one that is freed */
			vmq_dp_queue_release(adapter->host->dp, queue->dp);
	}
	vmq_datapath_synchronize(adapter->host->dp);
	for (i = 0; i < adapter->hardware.n_slots; i++)
		adapter->hardware.slots[i].draining = false;
	adapter->hardware.step = RULES_IDLE;
}

static void
begin_step(struct hardware *hardware, enum rules_step step)
{
	hardware->step = step;
	hardware->marked = false;
	hardware->step_since_us = host_now_us();
}

/* Is the way empty by which frames came before this step's change? */
static bool
is_drained(struct vmq_adapter *adapter)
{
	struct hardware *hardware = &adapter->hardware;
	uint16_t i;

	if (!vmq_datapath_is_started(adapter->host->dp))
		return true;
	if (!hardware->marked) {
		if (host_now_us() - hardware->step_since_us < SETTLE_US)
			return false;
		hardware->marked = true;
		vmq_dp_source_mark(adapter->source, &hardware->mark);
		for (i = 0; i < hardware->n_slots; i++)
			vmq_dp_hw_mark(hardware->slots[i].hw, &hardware->slots[i].mark);
		return false;
	}
	if (hardware->step == RULES_MADE)
		return vmq_dp_source_drained(adapter->source, &hardware->mark,
			hardware->default_ring);
	for (i = 0; i < hardware->n_slots; i++)
		if (hardware->slots[i].draining && !vmq_dp_hw_drained(hardware->slots[i].hw,
				&hardware->slots[i].mark, hardware->slots[i].ring_buffers))
			return false;
	return true;
}

/* Queues whose rules are all gone, and what the ring still had, can leave. */
static void
let_leave(struct vmq_adapter *adapter)
{
	struct queue *queue;
	uint32_t i;

	for (i = 0; i < adapter->n_slots; i++) {
		queue = adapter->queues[i];
		if (queue != NULL && queue->leaving_hardware && !queue->held &&
			!rules_lead_to(adapter, queue->slot) && !vmq_pool_progress(queue->pool))
			queue_left_hardware(queue);
	}
}

bool
rules_lead_to(const struct vmq_adapter *adapter, const struct slot *slot)
{
	const struct hardware *hardware = &adapter->hardware;
	uint32_t id;

	for (id = vmq_steer_next(hardware->steer, 0); id != 0;
		id = vmq_steer_next(hardware->steer, id))
		if (vmq_steer_slot_of(hardware->steer, id) == slot->number)
			return true;
	return false;
}

void
rules_progress(struct vmq_adapter *adapter)
{
	struct hardware *hardware = &adapter->hardware;

	/* Rules follow what the workers go by. */
	if (hardware->steer == NULL || adapter->halted || adapter->batch > 0)
		return;
	if (adapter->unpublished && adapter_publish_view(adapter, NULL) != VMQ_STATUS_SUCCESS)
		return;
	if (hardware->step != RULES_IDLE) {
		/* What was in the rings of a port that was stopped is gone. */
		if (!port_is_usable(adapter) || is_drained(adapter))
			release(adapter);
		if (hardware->step != RULES_IDLE)
			return;
		hardware->rules_changed = true;
	}
	let_leave(adapter);
	if (!hardware->rules_changed)
		return;
	hardware->rules_changed = false;
	if (remove_rules(adapter))
		begin_step(hardware, RULES_REMOVED);
	else if (make_rules(adapter))
		begin_step(hardware, RULES_MADE);
}

bool
rules_settle(struct vmq_adapter *adapter)
{
	const uint64_t end_us = host_now_us() + SETTLE_MAX_US;

	while (adapter->hardware.step != RULES_IDLE) {
		if (adapter->batch > 0 || host_now_us() > end_us)
			return false;
		nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
		rules_progress(adapter);
	}
	return true;
}

bool
rules_are_settled(const struct vmq_adapter *adapter)
{
	const struct hardware *hardware = &adapter->hardware;

	/* What was refused is asked for again later: that is not waited for. */
	return hardware->step == RULES_IDLE && adapter->batch == 0 &&
		(!hardware->rules_changed || host_now_ms() < hardware->retry_ms ||
			adapter->fault.state == VMQ_PORT_GONE);
}

void
rules_changed(struct vmq_adapter *adapter)
{
	adapter->hardware.rules_changed = true;
	rules_progress(adapter);
}
