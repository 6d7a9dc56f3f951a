/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <bsd/string.h>

#include <rte_common.h>
#include <rte_errno.h>

#include "vmq_filter.h"

/* What the NIC was asked for, for one filter or for several that test the same. */
struct rule {
	TAILQ_ENTRY(rule) next;
	struct vmq_steer_request request;
	void *handle;
	uint32_t users;
	bool lost; /* it vanished and could not be put back */
};

/* A filter with a rule. */
struct user {
	TAILQ_ENTRY(user) next;
	uint32_t filter_id;
	struct rule *rule;
};

struct vmq_steer {
	const struct vmq_steer_ops *ops;
	void *arg;
	uint16_t port_id;
	uint16_t n_slots;
	uint32_t n_rules;
	void *rest; /* the rule for frames of no other; NULL: none, */
	bool rest_lost; /* for the time being */
	struct vmq_steer_capabilities capabilities;
	TAILQ_HEAD(, rule) rules;
	TAILQ_HEAD(, user) users;
	struct vmq_steer_slot slots[];
};

/* An address of the range for documentation and examples (RFC 7042), with a VLAN. */
static const struct rte_ether_addr probe_mac = {{0x02, 0x00, 0x5e, 0x00, 0x53, 0x01}};
#define PROBE_VLAN 4001

static const char *const steering_names[VMQ_STEERING_COUNT] = {
	[VMQ_STEERING_AUTO] = "auto",
	[VMQ_STEERING_VMDQ] = "vmdq",
	[VMQ_STEERING_FLOW] = "flow",
	[VMQ_STEERING_SOFTWARE] = "software",
};

static const char *const test_names[VMQ_STEER_TEST_COUNT] = {
	[VMQ_STEER_MAC] = "MAC",
	[VMQ_STEER_MAC_VLAN] = "MAC and VLAN",
};

const char *
vmq_steering_name(enum vmq_steering steering)
{
	return (unsigned int)steering < VMQ_STEERING_COUNT ? steering_names[steering] : NULL;
}

const char *
vmq_steer_test_name(enum vmq_steer_test test)
{
	return (unsigned int)test < VMQ_STEER_TEST_COUNT ? test_names[test] : "nothing";
}

/* A rule that is nobody's and could not be removed: it is tried again in the end. */
static void
keep_for_close(struct vmq_steer *steer, const struct vmq_steer_request *request, void *handle)
{
	struct rule *rule = calloc(1, sizeof(*rule));

	if (rule == NULL) {
		VMQ_LOG(WARNING, "a rule of a trial stays in the NIC: no memory\n");
		return;
	}
	rule->request = *request;
	rule->handle = handle;
	TAILQ_INSERT_TAIL(&steer->rules, rule, next);
}

/* Make and remove a rule of one kind. */
static void
probe(struct vmq_steer *steer, enum vmq_steer_test test)
{
	const struct vmq_steer_request request = {
		.test = test,
		.mac = probe_mac,
		.vlan_id = PROBE_VLAN,
		.slot = &steer->slots[0],
	};
	struct vmq_error err = {.text = ""};
	void *handle;
	int ret;

	ret = steer->ops->add(steer->arg, steer->port_id, &request, &handle, &err);
	if (ret == 0) {
		ret = steer->ops->del(steer->arg, steer->port_id, &request, handle, &err);
		if (ret < 0)
			keep_for_close(steer, &request, handle);
	}
	steer->capabilities.tests[test].can = ret == 0;
	if (ret < 0)
		strlcpy(steer->capabilities.tests[test].why_not,
			err.text[0] != '\0' ? err.text : rte_strerror(-ret),
			sizeof(steer->capabilities.tests[test].why_not));
}

struct vmq_steer *
vmq_steer_open(const struct vmq_steer_params *params, struct vmq_error *err)
{
	const size_t slot_bytes = params->n_slots * sizeof(params->slots[0]);
	struct vmq_steer *steer = calloc(1, sizeof(*steer) + slot_bytes);
	enum vmq_steer_test test;
	bool can = false;

	if (steer == NULL) {
		rte_errno = -vmq_error_errno(err, ENOMEM, "no memory for a port's rules");
		return NULL;
	}
	steer->ops = params->ops;
	steer->arg = params->arg;
	steer->port_id = params->port_id;
	steer->n_slots = params->n_slots;
	memcpy(steer->slots, params->slots, slot_bytes);
	TAILQ_INIT(&steer->rules);
	TAILQ_INIT(&steer->users);
	for (test = 0; test < VMQ_STEER_TEST_COUNT; test++) {
		probe(steer, test);
		can |= steer->capabilities.tests[test].can;
	}
	if (!can) {
		rte_errno = -vmq_error_errno(err, ENOTSUP, "%s",
			steer->capabilities.tests[VMQ_STEER_MAC].why_not);
		vmq_steer_close(steer);
		return NULL;
	}
	if (steer->ops->rest != NULL)
		steer->rest = steer->ops->rest(steer->arg, steer->port_id);
	if (steer->ops->max_rules != NULL)
		steer->capabilities.max_rules = steer->ops->max_rules(steer->arg, steer->port_id);
	return steer;
}

void
vmq_steer_close(struct vmq_steer *steer)
{
	struct vmq_error err;
	struct user *user;
	struct rule *rule;

	if (steer == NULL)
		return;
	while ((user = TAILQ_FIRST(&steer->users)) != NULL) {
		TAILQ_REMOVE(&steer->users, user, next);
		free(user);
	}
	while ((rule = TAILQ_FIRST(&steer->rules)) != NULL) {
		TAILQ_REMOVE(&steer->rules, rule, next);
		if (!rule->lost && steer->ops->del(steer->arg, steer->port_id, &rule->request,
				rule->handle, &err) < 0)
			VMQ_LOG(WARNING, "a rule could not be removed: %s\n", err.text);
		free(rule);
	}
	if (steer->rest != NULL)
		steer->ops->end_rest(steer->arg, steer->port_id, steer->rest);
	free(steer);
}

void
vmq_steer_capabilities_get(const struct vmq_steer *steer,
	struct vmq_steer_capabilities *capabilities)
{
	*capabilities = steer->capabilities;
}

enum vmq_steer_test
vmq_steer_best_test(const struct vmq_steer *steer, const struct vmq_filter_match *match,
	struct vmq_error *err)
{
	if (!match->has_mac) {
		vmq_error_errno(err, ENOTSUP, "a filter of a VLAN alone is software's");
		return VMQ_STEER_TEST_COUNT;
	}
	if (match->vlan_test == VMQ_VLAN_ID &&
		steer->capabilities.tests[VMQ_STEER_MAC_VLAN].can)
		return VMQ_STEER_MAC_VLAN;
	if (steer->capabilities.tests[VMQ_STEER_MAC].can)
		return VMQ_STEER_MAC;
	vmq_error_errno(err, ENOTSUP, "the NIC takes no rule by MAC: %.200s",
		steer->capabilities.tests[VMQ_STEER_MAC].why_not);
	return VMQ_STEER_TEST_COUNT;
}

static struct user *
find_user(const struct vmq_steer *steer, uint32_t filter_id)
{
	struct user *user;

	TAILQ_FOREACH(user, &steer->users, next)
		if (user->filter_id == filter_id)
			return user;
	return NULL;
}

static bool
same_test(const struct vmq_steer_request *a, const struct vmq_steer_request *b)
{
	return a->test == b->test && rte_is_same_ether_addr(&a->mac, &b->mac) &&
		(a->test != VMQ_STEER_MAC_VLAN || a->vlan_id == b->vlan_id);
}

static struct rule *
find_rule(const struct vmq_steer *steer, const struct vmq_steer_request *request)
{
	struct rule *rule;

	TAILQ_FOREACH(rule, &steer->rules, next)
		if (same_test(&rule->request, request))
			return rule;
	return NULL;
}

int
vmq_steer_add(struct vmq_steer *steer, uint32_t filter_id, const struct vmq_filter_match *match,
	uint16_t slot, enum vmq_steer_test *test, struct vmq_error *err)
{
	struct vmq_steer_request request = {.mac = match->mac, .vlan_id = match->vlan_id};
	char text[VMQ_FILTER_TEXT_SIZE];
	struct rule *rule;
	struct user *user;
	int ret;

	request.test = vmq_steer_best_test(steer, match, err);
	if (request.test == VMQ_STEER_TEST_COUNT)
		return -ENOTSUP;
	if (slot >= steer->n_slots)
		return vmq_error_errno(err, EINVAL, "there is no hardware queue slot %u", slot);
	request.slot = &steer->slots[slot];
	if (find_user(steer, filter_id) != NULL)
		return vmq_error_errno(err, EEXIST, "filter %" PRIu32 " has a rule", filter_id);
	rule = find_rule(steer, &request);
	if (rule != NULL && rule->request.slot != request.slot)
		return vmq_error_errno(err, EBUSY,
			"filter %" PRIu32 " (%s): the NIC tests only its %s, and frames of that "
			"go to another queue already", filter_id, vmq_filter_text(match, text),
			vmq_steer_test_name(request.test));
	user = calloc(1, sizeof(*user));
	if (user == NULL)
		return vmq_error_errno(err, ENOMEM, "no memory for a rule's record");
	user->filter_id = filter_id;
	if (rule == NULL) {
		rule = calloc(1, sizeof(*rule));
		if (rule == NULL) {
			free(user);
			return vmq_error_errno(err, ENOMEM, "no memory for a rule's record");
		}
		rule->request = request;
		ret = steer->ops->add(steer->arg, steer->port_id, &request, &rule->handle, err);
		if (ret < 0) {
			free(rule);
			free(user);
			return ret;
		}
		TAILQ_INSERT_TAIL(&steer->rules, rule, next);
		steer->n_rules++;
	}
	rule->users++;
	user->rule = rule;
	TAILQ_INSERT_TAIL(&steer->users, user, next);
	if (test != NULL)
		*test = request.test;
	return 0;
}

int
vmq_steer_del(struct vmq_steer *steer, uint32_t filter_id, struct vmq_error *err)
{
	struct user *user = find_user(steer, filter_id);
	struct rule *rule;
	int ret;

	if (user == NULL)
		return vmq_error_errno(err, ENOENT, "filter %" PRIu32 " has no rule", filter_id);
	rule = user->rule;
	if (rule->users == 1) {
		if (!rule->lost) {
			ret = steer->ops->del(steer->arg, steer->port_id, &rule->request,
				rule->handle, err);
			if (ret < 0)
				return ret;
		}
		TAILQ_REMOVE(&steer->rules, rule, next);
		steer->n_rules--;
		free(rule);
	} else {
		rule->users--;
	}
	TAILQ_REMOVE(&steer->users, user, next);
	free(user);
	return 0;
}

int
vmq_steer_slot_of(const struct vmq_steer *steer, uint32_t filter_id)
{
	const struct user *user = find_user(steer, filter_id);

	return user != NULL ? (int)(user->rule->request.slot - steer->slots) : -1;
}

bool
vmq_steer_is_lost(const struct vmq_steer *steer, uint32_t filter_id)
{
	const struct user *user = find_user(steer, filter_id);

	return user != NULL && user->rule->lost;
}

uint32_t
vmq_steer_next(const struct vmq_steer *steer, uint32_t after)
{
	const struct user *user;
	uint32_t next = 0;

	TAILQ_FOREACH(user, &steer->users, next)
		if (user->filter_id > after && (next == 0 || user->filter_id < next))
			next = user->filter_id;
	return next;
}

uint32_t
vmq_steer_rules(const struct vmq_steer *steer)
{
	return steer->n_rules;
}

void
vmq_steer_suspend(struct vmq_steer *steer)
{
	struct vmq_error err;
	struct rule *rule;

	TAILQ_FOREACH(rule, &steer->rules, next) {
		if (rule->lost)
			continue;
		if (steer->ops->del(steer->arg, steer->port_id, &rule->request, rule->handle,
			&err) < 0)
			VMQ_LOG(DEBUG, "a rule goes with its port: %s\n", err.text);
		rule->lost = true;
	}
	if (steer->rest == NULL)
		return;
	steer->ops->end_rest(steer->arg, steer->port_id, steer->rest);
	steer->rest = NULL;
	steer->rest_lost = true;
}

int
vmq_steer_restore(struct vmq_steer *steer, bool all, uint32_t *restored, struct vmq_error *err)
{
	uint32_t n = 0;
	struct rule *rule;
	int ret, first = 0;

	if (steer->rest_lost || (all && steer->rest != NULL)) {
		steer->rest = steer->ops->rest(steer->arg, steer->port_id);
		steer->rest_lost = steer->rest == NULL;
	}
	TAILQ_FOREACH(rule, &steer->rules, next) {
		if (rule->users == 0)
			continue; /* keep_for_close() */
		/* Who can see rules sees what a reset has left, too (ethdev keeps MACs). */
		if (steer->ops->exists != NULL ? steer->ops->exists(steer->arg, steer->port_id,
			&rule->request, rule->handle) : !all && !rule->lost) {
			rule->lost = false;
			continue;
		}
		ret = steer->ops->add(steer->arg, steer->port_id, &rule->request, &rule->handle,
			first == 0 ? err : NULL);
		rule->lost = ret < 0;
		if (ret == 0)
			n++;
		else if (first == 0)
			first = ret;
	}
	if (restored != NULL)
		*restored = n;
	return first;
}
