/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Methods of steering in hardware: queues into it and out of it, and its self-test. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc_private.h"

/* How long a verification takes. */
#define VERIFY_SECONDS 5
#define VERIFY_SECONDS_MAX 600

/* A queue on its way to hardware or to software. */
struct change_call {
	struct vmq_rpc_call *call;
	size_t adapter;
	uint64_t begun_ms;
};

/* How many filters of a queue the NIC steers. */
static json_int_t
count_rules(const struct vmq_adapter *adapter, uint16_t id)
{
	const struct vmq_filter_set *set = vmq_adapter_filters(adapter);
	struct vmq_filter_steering steering;
	const struct vmq_filter *filter;
	json_int_t n = 0;
	uint32_t after;

	for (after = 0; (filter = vmq_filter_next(set, after)) != NULL; after = filter->id)
		n += filter->queue_id == id &&
			vmq_filter_steering_get(adapter, filter->id, &steering) &&
			steering.how != VMQ_FILTER_SOFTWARE;
	return n;
}

static void
on_changed(void *arg, uint16_t id, enum vmq_status status, const struct vmq_error *err)
{
	struct change_call *change = arg;
	const struct vmq_adapter *adapter = rpc_beneath(change->call, change->adapter);
	struct vmq_queue_info info;
	json_t *answer;

	if (status != VMQ_STATUS_SUCCESS) {
		vmq_rpc_refuse(change->call, status, err->text, "%s", err->text);
	} else if (!vmq_queue_info_get(adapter, id, &info)) {
		vmq_rpc_refuse(change->call, VMQ_STATUS_REQUEST_ABORTED, NULL, "the queue has gone");
	} else {
		answer = json_pack("{s:i, s:s, s:s, s:I, s:I, s:I}", "id", (int)id, "name",
			info.name, "steering", info.slot >= 0 ? "hardware" : "software", "filters",
			(json_int_t)info.n_filters, "rules", count_rules(adapter, id), "waited_ms",
			(json_int_t)(rpc_now_ms() - change->begun_ms));
		if (info.slot >= 0)
			json_object_set_new(answer, "slot", json_integer(info.slot));
		if (info.rule_why[0] != '\0')
			json_object_set_new(answer, "steering_reason", rpc_string(info.rule_why));
		vmq_rpc_reply(change->call, answer);
	}
	free(change);
}

typedef enum vmq_status change_fn(struct vmq_oid_owner *owner, uint16_t queue_id,
	vmq_change_callback *callback, void *arg, struct vmq_error *err);

static void
change_steering(struct vmq_rpc_call *call, change_fn *change_it)
{
	struct vmq_oid_owner *owner;
	struct change_call *change;
	enum vmq_status status;
	struct vmq_error err;
	size_t adapter;
	int id;

	id = vmq_rpc_queue_of(call, &adapter, &owner);
	if (id < 0)
		return;
	change = calloc(1, sizeof(*change));
	if (change == NULL) {
		vmq_rpc_refuse(call, VMQ_STATUS_RESOURCES, NULL, "no memory for the request");
		return;
	}
	*change = (struct change_call){
		.call = call, .adapter = adapter, .begun_ms = rpc_now_ms()};
	/* The adapter's halt ends it, too. */
	status = change_it(owner, (uint16_t)id, on_changed, change, &err);
	if (status == VMQ_STATUS_PENDING)
		return;
	vmq_rpc_refuse(call, status, err.text, "%s", err.text);
	free(change);
}

static void
queue_promote(struct vmq_rpc_call *call)
{
	change_steering(call, vmq_oid_queue_promote);
}

static void
queue_demote(struct vmq_rpc_call *call)
{
	change_steering(call, vmq_oid_queue_demote);
}

/* A verification under way. */
struct verify_wait {
	TAILQ_ENTRY(verify_wait) next;
	struct vmq_rpc_call *call;
	size_t adapter;
	struct event *timer;
};

static void
end_wait(struct vmq_rpc *rpc, struct verify_wait *wait)
{
	TAILQ_REMOVE(&rpc->verify_waits, wait, next);
	event_free(wait->timer);
	free(wait);
}

void
rpc_verify_abort(struct vmq_rpc *rpc)
{
	struct verify_wait *wait;

	/* The adapter's halt ends the rest of it. */
	while ((wait = TAILQ_FIRST(&rpc->verify_waits)) != NULL) {
		vmq_rpc_refuse(wait->call, VMQ_STATUS_REQUEST_ABORTED, NULL, "vmqd is stopping");
		end_wait(rpc, wait);
	}
}

static json_t *
queue_name(const struct vmq_adapter *adapter, uint16_t id)
{
	struct vmq_queue_info info;

	return vmq_queue_info_get(adapter, id, &info) ? json_string(info.name) : json_null();
}

static const char *
verdict(const struct vmq_verify_rule *rule)
{
	if (vmq_verify_rule_is_honoured(rule))
		return rule->right > 0 ? "honoured" : "no traffic";
	return rule->right > 0 ? "honoured in part" : "not honoured";
}

static json_t *
rule_json(const struct vmq_adapter *adapter, const struct vmq_verify_rule *rule)
{
	const struct vmq_filter filter = {.id = rule->filter_id, .queue_id = rule->queue_id,
		.match = rule->match};
	json_t *object = rpc_filter(&filter), *figures;

	figures = json_pack("{s:i, s:o, s:i, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:b}", "queue",
		(int)rule->queue_id, "name", queue_name(adapter, rule->queue_id), "slot",
		(int)rule->slot, "tests", vmq_steer_test_name(rule->test), "verdict",
		verdict(rule), "right", (json_int_t)rule->right, "in_default_queue",
		(json_int_t)rule->in_default, "in_other_queues", (json_int_t)rule->in_other,
		"residual", (json_int_t)rule->residual, "too_much", (json_int_t)rule->too_much,
		"put_back", (int)rule->put_back);
	json_object_update(object, figures);
	json_decref(figures);
	return object;
}

static json_t *
stray_json(const struct vmq_adapter *adapter, const struct vmq_verify_stray *stray)
{
	const uint8_t *b = stray->mac.addr_bytes;
	char mac[18];

	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4],
		b[5]);
	return json_pack("{s:i, s:s, s:o, s:i, s:o, s:I}", "slot", (int)stray->slot, "mac", mac,
		"vlan", stray->vlan != 0 ? json_integer(stray->vlan) : json_string("untagged"),
		"queue", (int)stray->queue_id, "name", queue_name(adapter, stray->queue_id),
		"packets", (json_int_t)stray->packets);
}

static json_t *
report_json(const struct vmq_adapter *adapter, const struct vmq_verify_report *report)
{
	json_t *rules = json_array(), *strays = json_array();
	uint32_t i;

	for (i = 0; i < report->n_rules; i++)
		json_array_append_new(rules, rule_json(adapter, &report->rules[i]));
	for (i = 0; i < report->n_strays; i++)
		json_array_append_new(strays, stray_json(adapter, &report->strays[i]));
	return json_pack("{s:s, s:b, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "adapter",
		vmq_adapter_name(adapter), "as_it_should",
		(int)(report->bad_rules == 0 && report->stray_packets == 0), "seconds",
		(double)report->counted_ms / 1000, "packets", (json_int_t)report->packets,
		"replicas", (json_int_t)report->replicas, "untold", (json_int_t)report->untold,
		"restarts", (json_int_t)report->restarts, "bad_rules",
		(json_int_t)report->bad_rules, "rules_put_back", (json_int_t)report->put_back,
		"stray_packets", (json_int_t)report->stray_packets,
		"rules", rules, "strays", strays);
}

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	struct verify_wait *wait = arg;
	struct vmq_adapter *adapter = rpc_beneath(wait->call, wait->adapter);
	struct vmq_rpc *rpc = vmq_rpc_of(wait->call);
	struct vmq_verify_report report;
	enum vmq_status status;
	struct vmq_error err;

	(void)fd;
	(void)what;
	status = vmq_adapter_verify_end(adapter, &report, &err);
	if (status == VMQ_STATUS_SUCCESS)
		vmq_rpc_reply(wait->call, report_json(adapter, &report));
	else
		vmq_rpc_refuse(wait->call, status, err.text, "%s", err.text);
	vmq_verify_report_free(&report);
	end_wait(rpc, wait);
}

static void
adapter_verify(struct vmq_rpc_call *call)
{
	const int adapter = vmq_rpc_adapter_of(call);
	struct vmq_rpc *rpc = vmq_rpc_of(call);
	struct timeval time = {0};
	struct verify_wait *wait;
	enum vmq_status status;
	struct vmq_error err;
	int64_t seconds;

	if (adapter < 0 || !vmq_rpc_get_integer(call, "seconds", 1, VERIFY_SECONDS_MAX,
		VERIFY_SECONDS, &seconds))
		return;
	wait = calloc(1, sizeof(*wait));
	if (wait != NULL)
		wait->timer = evtimer_new(rpc->config.base, on_time, wait);
	if (wait == NULL || wait->timer == NULL) {
		free(wait);
		vmq_rpc_refuse(call, VMQ_STATUS_RESOURCES, NULL, "no memory for the request");
		return;
	}
	wait->call = call;
	wait->adapter = (size_t)adapter;
	TAILQ_INSERT_TAIL(&rpc->verify_waits, wait, next);
	status = vmq_adapter_verify_begin(rpc_beneath(call, wait->adapter), &err);
	time.tv_sec = (time_t)seconds;
	if (status == VMQ_STATUS_SUCCESS && evtimer_add(wait->timer, &time) == 0)
		return; /* on_time() */
	if (status == VMQ_STATUS_SUCCESS) {
		struct vmq_verify_report report;

		vmq_adapter_verify_end(rpc_beneath(call, wait->adapter), &report, NULL);
		vmq_verify_report_free(&report);
		status = vmq_error_set(&err, VMQ_STATUS_RESOURCES, "no timer for the request");
	}
	vmq_rpc_refuse(call, status, err.text, "%s", err.text);
	end_wait(rpc, wait);
}

static const struct vmq_rpc_method rows[] = {
	{"adapter.verify",
		"compare, on live traffic, where the NIC puts frames with where software says they "
		"belong, and make rules anew that have no effect",
		"{adapter, as_it_should, seconds, packets, rules: [{id, mac, vlan, queue, name, slot, "
		"tests, verdict, right, in_default_queue, put_back...}], strays...}",
		VMQ_RPC_F_LATER | VMQ_RPC_F_ADMINISTRATOR, adapter_verify,
		{{"seconds", VMQ_RPC_INTEGER, false, "how long, 1 to 600 (5)"}, RPC_ADAPTER_PARAM}},
	{"queue.promote", "have the NIC steer a queue, if a hardware queue is free",
		"{id, name, steering, slot, filters, rules, waited_ms}, once the NIC has its rules",
		VMQ_RPC_F_LATER | VMQ_RPC_F_CHANGES, queue_promote,
		{RPC_QUEUE_PARAM, RPC_ADAPTER_PARAM}},
	{"queue.demote", "steer a queue in software, and leave its hardware queue to others",
		"{id, name, steering, filters, rules, waited_ms}, once its last packet of the NIC's "
		"ring is delivered",
		VMQ_RPC_F_LATER | VMQ_RPC_F_CHANGES, queue_demote,
		{RPC_QUEUE_PARAM, RPC_ADAPTER_PARAM}},
};

int
rpc_add_steer_methods(struct vmq_rpc *rpc)
{
	return vmq_rpc_add_methods(rpc, rows, RTE_DIM(rows), NULL);
}
