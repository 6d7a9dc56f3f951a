/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * A port that wants to be reset, that goes away, or that forgets its rules. Queues, their
 * filters, memory and states stay as they are; only the port is taken from the workers, and
 * given back when it runs again. Drivers take their time for a reset: the helper thread does
 * it, and nobody else touches the port meanwhile (port_is_usable()).
 *
 * A device says what it wants on EAL's interrupt thread, which only leaves a note: this is
 * where it is found, on the control thread.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#include "queue_private.h"

/* What is to be done, and is done then without anybody. */
#define GONE_WHY                                                                                   \
	"its device was removed; once it is back, bind it as before (dpdk-devbind.py -b vfio-pci " \
	"ADDRESS), and vmqd takes it back by itself; a device that is not of PCI needs a restart"

/* How often it is asked whether the device and its rules are there. */
#define LOOK_MS 1000

/* A reset that has failed is tried again after this, and then less and less often. */
#define RETRY_MS UINT32_C(500)
#define RETRY_MAX_MS UINT32_C(10000)

static const char *const state_names[VMQ_PORT_STATE_COUNT] = {
	[VMQ_PORT_RUNS] = "runs",
	[VMQ_PORT_RESETTING] = "resetting",
	[VMQ_PORT_FAILED] = "failed",
	[VMQ_PORT_GONE] = "removed",
};

const char *
vmq_port_state_name(enum vmq_port_state state)
{
	return (unsigned int)state < VMQ_PORT_STATE_COUNT ? state_names[state] : NULL;
}

void
vmq_adapter_port_health(const struct vmq_adapter *adapter, struct vmq_port_health *health)
{
	const struct fault *fault = &adapter->fault;

	*health = (struct vmq_port_health){
		.state = fault->state,
		.why = fault->state == VMQ_PORT_RUNS ? "" : fault->why,
		.resets = fault->resets,
		.restored = fault->restored,
	};
}

/* No worker uses the port any more, and neither does control. Returns false: no memory. */
static bool
take_port(struct vmq_adapter *adapter, enum vmq_port_state state, const char *why)
{
	struct vmq_port_stats stats = {0};

	if (port_is_usable(adapter))
		vmq_port_stats_get(adapter->port, &stats);
	adapter->fault.state = state;
	vmq_dp_uplink_switch(adapter->uplink, false);
	if (host_assign(adapter->host) < 0) {
		adapter->fault.state = VMQ_PORT_RUNS;
		vmq_dp_uplink_switch(adapter->uplink, true);
		return false;
	}
	vmq_datapath_synchronize(adapter->host->dp);
	adapter->last_port = stats;
	strlcpy(adapter->fault.why, why, sizeof(adapter->fault.why));
	if (adapter->hardware.steer != NULL)
		vmq_steer_suspend(adapter->hardware.steer);
	adapter->hardware.changes++;
	rules_progress(adapter); /* what a change of the rules has held may go */
	return true;
}

/* A device that was reset counts from 0 again. */
static void
add_up(struct vmq_adapter *adapter)
{
	struct vmq_port_stats now = {0}, *sum = &adapter->before_resets;
	const struct vmq_port_stats *last = &adapter->last_port;

	vmq_port_stats_get(adapter->port, &now);
	if (now.received >= last->received && now.sent >= last->sent)
		return;
	sum->received += last->received;
	sum->missed += last->missed;
	sum->errors += last->errors;
	sum->no_buffer += last->no_buffer;
	sum->sent += last->sent;
	sum->send_errors += last->send_errors;
}

/* Put back the rules that are not there. Returns how many were. */
static uint32_t
restore_rules(struct vmq_adapter *adapter)
{
	struct fault *fault = &adapter->fault;
	struct vmq_error err = {.text = ""};
	uint32_t n = 0;

	if (adapter->hardware.steer == NULL)
		return 0;
	/* Each time the same is said once. */
	if (vmq_steer_restore(adapter->hardware.steer, false, &n, &err) == 0)
		err.text[0] = '\0';
	else if (strcmp(err.text, fault->rule_why) != 0)
		VMQ_LOG(NOTICE, "adapter %s: a rule has vanished and cannot be put back, software "
			"steers: %.300s\n", adapter->name, err.text);
	strlcpy(fault->rule_why, err.text, sizeof(fault->rule_why));
	if (n > 0)
		adapter->hardware.changes++;
	fault->restored += n;
	return n;
}

static void
restart_work(struct vmq_job *job)
{
	struct fault *fault = RTE_PTR_SUB(job, offsetof(struct fault, job));
	struct vmq_adapter *adapter = RTE_PTR_SUB(fault, offsetof(struct vmq_adapter, fault));
	struct rte_mempool **pools = hardware_pools(adapter);

	vmq_port_stop(adapter->port);
	if (pools == NULL)
		fault->ret = vmq_error_errno(&fault->err, ENOMEM, "no memory for a list of pools");
	else
		fault->ret = vmq_port_restart(adapter->port,
			vmq_pool_mempool(adapter->queues[VMQ_DEFAULT_QUEUE_ID]->pool), pools,
			&fault->err);
	free(pools);
}

static void
try_later(struct vmq_adapter *adapter)
{
	struct fault *fault = &adapter->fault;

	if (fault->state == VMQ_PORT_RESETTING && fault->retry_after_ms == 0)
		VMQ_LOG(ERR, "adapter %s: its port could not be %s, and will be tried again: "
			"%.300s\n", adapter->name, fault->let_go ? "taken back" : "reset",
			fault->err.text);
	fault->retry_after_ms = RTE_MAX(2 * fault->retry_after_ms, RETRY_MS);
	fault->retry_after_ms = RTE_MIN(fault->retry_after_ms, RETRY_MAX_MS);
	fault->retry_ms = host_now_ms() + fault->retry_after_ms;
	fault->state = vmq_port_is_let_go(adapter->port) ? VMQ_PORT_GONE : VMQ_PORT_FAILED;
	strlcpy(fault->why, fault->err.text, sizeof(fault->why));
}

static void
restart_done(struct vmq_job *job)
{
	struct fault *fault = RTE_PTR_SUB(job, offsetof(struct fault, job));
	struct vmq_adapter *adapter = RTE_PTR_SUB(fault, offsetof(struct vmq_adapter, fault));
	uint32_t n;

	if (adapter->halted)
		return;
	if (fault->ret < 0) {
		try_later(adapter);
		return;
	}
	fault->state = VMQ_PORT_RUNS;
	fault->ret = slots_run_again(adapter, &fault->err);
	if (fault->ret == 0 && host_assign(adapter->host) < 0)
		fault->ret = vmq_error_errno(&fault->err, ENOMEM, "no memory to tell the workers");
	if (fault->ret < 0) {
		vmq_port_stop(adapter->port);
		fault->state = VMQ_PORT_RESETTING;
		try_later(adapter);
		return;
	}
	vmq_dp_uplink_switch(adapter->uplink, true);
	fault->retry_after_ms = 0;
	fault->resets++;
	add_up(adapter);
	n = restore_rules(adapter);
	adapter->unpublished = true; /* workers look anew at what waits */
	adapter_publish(adapter, NULL);
	rules_changed(adapter);
	VMQ_LOG(NOTICE, "adapter %s: its port was %s and runs again, %u rules put back\n",
		adapter->name, fault->let_go ? "taken back" : "reset", n);
	fault->let_go = false;
	adapter_indicate(adapter, VMQ_INDICATE_PORT_RESET, VMQ_DEFAULT_QUEUE_ID, n);
}

static void
begin_restart(struct vmq_adapter *adapter)
{
	struct fault *fault = &adapter->fault;

	fault->state = VMQ_PORT_RESETTING;
	fault->events &= ~VMQ_PORT_WANTS_RESET;
	fault->job = (struct vmq_job){.work = restart_work, .done = restart_done};
	vmq_jobs_submit(adapter->host->jobs, &fault->job);
}

enum vmq_status
vmq_adapter_reset_port(struct vmq_adapter *adapter, struct vmq_error *err)
{
	if (adapter->halted)
		return vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED, "adapter %s is halted",
			adapter->name);
	if (!port_is_usable(adapter))
		return vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED, "adapter %s: its port is %s: "
			"%.300s", adapter->name, vmq_port_state_name(adapter->fault.state),
			adapter->fault.why);
	if (!take_port(adapter, VMQ_PORT_RESETTING, "its device is being reset"))
		return vmq_error_set(err, VMQ_STATUS_RESOURCES,
			"adapter %s: no memory to tell the workers", adapter->name);
	begin_restart(adapter);
	return VMQ_STATUS_PENDING;
}

static void
let_go_work(struct vmq_job *job)
{
	struct fault *fault = RTE_PTR_SUB(job, offsetof(struct fault, job));
	struct vmq_adapter *adapter = RTE_PTR_SUB(fault, offsetof(struct vmq_adapter, fault));

	vmq_port_let_go(adapter->port);
}

static void
let_go_done(struct vmq_job *job)
{
	struct fault *fault = RTE_PTR_SUB(job, offsetof(struct fault, job));

	fault->let_go = true;
	fault->events = 0;
}

static void
remove_port(struct vmq_adapter *adapter)
{
	struct fault *fault = &adapter->fault;

	if (port_is_usable(adapter)) {
		if (!take_port(adapter, VMQ_PORT_GONE, GONE_WHY))
			return; /* no memory now: at the next look */
	} else {
		/* A reset has failed: nobody uses it. */
		fault->state = VMQ_PORT_GONE;
		strlcpy(fault->why, GONE_WHY, sizeof(fault->why));
	}
	fault->let_go = false;
	fault->retry_ms = 0;
	fault->retry_after_ms = 0;
	VMQ_LOG(ERR, "adapter %s: %s\n", adapter->name, fault->why);
	adapter_indicate(adapter, VMQ_INDICATE_PORT_REMOVED, VMQ_DEFAULT_QUEUE_ID, 0);
	/* Until then the kernel waits with what it wants to do with it. */
	fault->job = (struct vmq_job){.work = let_go_work, .done = let_go_done};
	vmq_jobs_submit(adapter->host->jobs, &fault->job);
}

static void
look_after_rules(struct vmq_adapter *adapter)
{
	const uint32_t n = adapter->batch == 0 ? restore_rules(adapter) : 0;

	if (n == 0)
		return;
	VMQ_LOG(NOTICE, "adapter %s: %u rules had vanished from the NIC, and were put back\n",
		adapter->name, n);
	adapter_indicate(adapter, VMQ_INDICATE_RULES_RESTORED, VMQ_DEFAULT_QUEUE_ID, n);
}

void
fault_progress(struct vmq_adapter *adapter, uint64_t now_ms)
{
	struct fault *fault = &adapter->fault;
	const bool look = now_ms >= fault->look_ms;

	if (fault->state == VMQ_PORT_RESETTING)
		return;
	if (look)
		fault->look_ms = now_ms + LOOK_MS;
	if (fault->state == VMQ_PORT_GONE) {
		if (look && fault->let_go && now_ms >= fault->retry_ms &&
			vmq_port_could_come_back(adapter->port))
			begin_restart(adapter);
		return;
	}
	fault->events |= vmq_port_take_events(adapter->port, look);
	if (fault->events & VMQ_PORT_REMOVED) {
		remove_port(adapter);
	} else if (fault->state == VMQ_PORT_FAILED) {
		if (now_ms >= fault->retry_ms)
			begin_restart(adapter);
	} else if (fault->events & VMQ_PORT_WANTS_RESET) {
		VMQ_LOG(NOTICE, "adapter %s: its device wants to be reset\n", adapter->name);
		if (vmq_adapter_reset_port(adapter, &fault->err) != VMQ_STATUS_PENDING)
			VMQ_LOG(ERR, "adapter %s: %s\n", adapter->name, fault->err.text);
	} else if (look) {
		look_after_rules(adapter);
	}
}
