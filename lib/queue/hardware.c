/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Who steers an adapter's frames, and its port's start that goes with it. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <bsd/string.h>

#include <rte_errno.h>

#include "queue_private.h"

/*
 * What a parked slot needs beside its rings: a burst that is on its way, and one that the
 * driver takes before it has put the last one into the ring.
 */
#define PARKED_EXTRA (2 * VMQ_BURST)

/* Of a VMDq pool with several Rx queues only the first gets frames; the others' rings. */
#define IDLE_RINGS (3 * 64)

/* The ways to steer, the best first; software is what is left. */
static const struct vmq_steer_ops *const drivers[] = {&vmq_steer_vmdq, &vmq_steer_flow};

static void
note(struct hardware *hardware, enum vmq_steering steering, const char *why)
{
	strlcpy(hardware->why_not[steering], why, sizeof(hardware->why_not[steering]));
}

static void
free_slots(struct hardware *hardware)
{
	uint16_t i;

	for (i = 0; i < hardware->n_slots; i++)
		slot_close(&hardware->slots[i]);
	free(hardware->slots);
	hardware->slots = NULL;
	hardware->n_slots = 0;
}

/* Slots with their pools, parked. All of them, or it fails. */
static int
make_slots(struct vmq_adapter *adapter, const struct vmq_adapter_hardware *params, uint16_t n,
	struct vmq_error *err)
{
	struct hardware *hardware = &adapter->hardware;
	uint16_t i;
	int ret;

	hardware->slots = calloc(n, sizeof(*hardware->slots));
	if (hardware->slots == NULL)
		return vmq_error_errno(err, ENOMEM, "no memory for %u slots", n);
	for (i = 0; i < n; i++) {
		struct slot *slot = &hardware->slots[i];

		slot->number = i;
		slot->adapter = adapter;
		slot->ring_buffers = vmq_port_slot_buffers(adapter->port, i);
		slot->parked_buffers = slot->ring_buffers + PARKED_EXTRA;
		slot->buffer_size = params->buffer_size;
		ret = slot_open(slot, RTE_MAX(params->limit, slot->parked_buffers), err);
		if (ret < 0)
			return ret;
		hardware->n_slots++;
	}
	return 0;
}

struct rte_mempool **
hardware_pools(const struct vmq_adapter *adapter)
{
	const struct hardware *hardware = &adapter->hardware;
	struct rte_mempool **pools = calloc(hardware->n_slots + 1u, sizeof(*pools));
	uint16_t i;

	for (i = 0; pools != NULL && i < hardware->n_slots; i++)
		pools[i] = vmq_pool_mempool(hardware->slots[i].pool);
	return pools;
}

static int
start_port(struct vmq_adapter *adapter, struct vmq_error *err)
{
	struct rte_mempool **pools = hardware_pools(adapter);
	int ret;

	if (pools == NULL)
		return vmq_error_errno(err, ENOMEM, "no memory for a list of pools");
	ret = vmq_port_start(adapter->port, vmq_pool_mempool(adapter->queues[0]->pool), pools, err);
	free(pools);
	return ret;
}

static struct vmq_steer *
open_steer(struct vmq_adapter *adapter, const struct vmq_steer_ops *ops, void *arg,
	struct vmq_error *err)
{
	struct hardware *hardware = &adapter->hardware;
	struct vmq_steer_slot *slots;
	const struct vmq_port_slot *from;
	struct vmq_steer *steer;
	uint16_t i, n;

	from = vmq_port_slots(adapter->port, &n);
	slots = calloc(n, sizeof(*slots));
	if (slots == NULL) {
		rte_errno = -vmq_error_errno(err, ENOMEM, "no memory for a list of slots");
		return NULL;
	}
	for (i = 0; i < n; i++)
		slots[i] = (struct vmq_steer_slot){.rx_queue = from[i].rx_queue,
			.pool = from[i].pool};
	steer = vmq_steer_open(&(struct vmq_steer_params){
		.ops = ops, .arg = arg, .port_id = vmq_port_id(adapter->port), .slots = slots,
		.n_slots = n}, err);
	free(slots);
	if (steer != NULL) {
		hardware->tried[ops->steering] = true;
		vmq_steer_capabilities_get(steer, &hardware->rules[ops->steering]);
	}
	return steer;
}

/* Is there enough of the default queue's memory for all rings that have to be in it? */
static int
check_idle_rings(const struct vmq_adapter *adapter, struct vmq_error *err)
{
	const uint16_t ring = vmq_port_rx_descriptors(adapter->port);
	struct vmq_pool_stats stats;
	uint32_t idle, needed;
	uint16_t n;

	idle = vmq_port_idle_buffers(adapter->port, &n);
	needed = vmq_adapter_min_buffers(ring) + idle;
	vmq_pool_stats_get(adapter->queues[VMQ_DEFAULT_QUEUE_ID]->pool, &stats);
	if (idle == 0 || stats.populated >= needed)
		return 0;
	return vmq_error_errno(err, ENOMEM, "its default queue has %u buffers, and with %u idle rings "
		"of the NIC (%u buffers) it needs %u: give its default_queue memory.buffers of as "
		"many", stats.populated, n, idle, needed);
}

/* Start the port for one way to steer; on failure it is stopped, with its slots kept. */
static int
try_driver(struct vmq_adapter *adapter, const struct vmq_adapter_hardware *params,
	const struct vmq_steer_ops *ops, struct vmq_error *err)
{
	struct vmq_port_slot_params slots = {
		.vmdq = ops->steering == VMQ_STEERING_VMDQ,
		.n = params->slots,
		.rx_descriptors = params->rx_descriptors,
		.vlans = params->vlans,
		.n_vlans = params->n_vlans,
	};
	int n, ret;

	if (ops->possible != NULL) {
		ret = ops->possible(params->ops_arg, vmq_port_id(adapter->port), err);
		if (ret < 0)
			return ret;
	}
	n = vmq_port_configure_slots(adapter->port, &slots, err);
	if (n < 0)
		return n;
	ret = check_idle_rings(adapter, err);
	if (ret < 0)
		return ret;
	/* The last try's rings were let go of by this. */
	free_slots(&adapter->hardware);
	ret = make_slots(adapter, params, (uint16_t)n, err);
	if (ret < 0)
		return ret;
	ret = start_port(adapter, err);
	if (ret == 0) {
		adapter->hardware.steer = open_steer(adapter, ops, params->ops_arg, err);
		if (adapter->hardware.steer != NULL)
			return 0;
		ret = -rte_errno;
	}
	vmq_port_stop(adapter->port);
	return ret;
}

/* The other ways, beside the one chosen: what rules would there be? Only to be told. */
static void
look_at_others(struct vmq_adapter *adapter, const struct vmq_adapter_hardware *params)
{
	struct hardware *hardware = &adapter->hardware;
	struct vmq_error why;
	unsigned int i;

	for (i = 0; i < RTE_DIM(drivers); i++) {
		const struct vmq_steer_ops *ops = drivers[i];

		if (params->ops != NULL && params->ops->steering == ops->steering)
			ops = params->ops;
		if (ops->steering == hardware->steering || hardware->why_not[ops->steering][0] != '\0')
			continue;
		if (params->steering != VMQ_STEERING_AUTO) {
			note(hardware, ops->steering, "not asked for");
		} else if (ops->possible != NULL &&
			ops->possible(params->ops_arg, vmq_port_id(adapter->port), &why) < 0) {
			note(hardware, ops->steering, why.text);
		} else {
			struct vmq_steer *steer = open_steer(adapter, ops, params->ops_arg, &why);
			char text[64];

			vmq_steer_close(steer);
			snprintf(text, sizeof(text), "%s is there, which is better",
				vmq_steering_name(hardware->steering));
			note(hardware, ops->steering, steer != NULL ? text : why.text);
		}
	}
}

/* Back to a port without slots. */
static int
start_software(struct vmq_adapter *adapter, struct vmq_error *err)
{
	int ret = vmq_port_configure_slots(adapter->port, &(struct vmq_port_slot_params){.n = 0},
		err);

	if (ret < 0)
		return ret;
	free_slots(&adapter->hardware);
	adapter->hardware.steering = VMQ_STEERING_SOFTWARE;
	return start_port(adapter, err);
}

static bool
is_wanted(const struct vmq_adapter_hardware *params, const struct vmq_steer_ops *ops)
{
	return params->steering == VMQ_STEERING_AUTO || params->steering == ops->steering;
}

static int
make_sources(struct vmq_adapter *adapter, struct vmq_error *err)
{
	struct hardware *hardware = &adapter->hardware;
	const struct vmq_port_slot *places;
	uint16_t i, n;

	places = vmq_port_slots(adapter->port, &n);
	for (i = 0; i < hardware->n_slots; i++) {
		struct slot *slot = &hardware->slots[i];

		slot->hw = vmq_dp_hw_create(adapter->host->dp, &(struct vmq_dp_hw_params){
			.source = adapter->source,
			.slot = i,
			.port_id = vmq_port_id(adapter->port),
			.rx_queue = places[i].rx_queue,
			.n_rx_queues = places[i].n_rx_queues,
			.replicates = hardware->steering == VMQ_STEERING_VMDQ,
			.pool = vmq_pool_mempool(slot->pool),
			.socket_id = vmq_datapath_worker_node(adapter->host->dp,
				adapter->source_worker),
		});
		if (slot->hw == NULL)
			return vmq_error_errno(err, ENOMEM, "adapter %s: no memory for a slot's "
				"source", adapter->name);
		slot->worker = VMQ_DP_NO_WORKER;
		slot->running = !hardware->port.deferred_start;
		/* What this thread has taken to fill the rings goes back to where all find it. */
		rte_mempool_cache_flush(NULL, vmq_pool_mempool(slot->pool));
	}
	return 0;
}

int
hardware_start_port(struct vmq_adapter *adapter, const struct vmq_adapter_hardware *params,
	struct vmq_error *err)
{
	struct hardware *hardware = &adapter->hardware;
	const struct vmq_steer_ops *ops;
	struct vmq_error why;
	unsigned int i;
	int ret;

	hardware->asked = params->steering;
	hardware->limit = params->limit;
	for (i = 0; i < RTE_DIM(drivers); i++) {
		ops = drivers[i];
		if (params->ops != NULL && params->ops->steering == ops->steering)
			ops = params->ops;
		if (!is_wanted(params, ops)) {
			note(hardware, ops->steering, "not asked for");
			continue;
		}
		if (params->slots == 0) {
			note(hardware, ops->steering, "no hardware queues are asked for");
			continue;
		}
		if (!hardware->port.pools_grow)
			/* A VM's memory comes when its NIC's ring has run for long. */
			ret = vmq_error_errno(&why, ENOTSUP, "pools of its queues cannot grow: %s",
				hardware->port.why_pools_do_not_grow);
		else
			ret = try_driver(adapter, params, ops, &why);
		if (ret == 0) {
			hardware->steering = ops->steering;
			note(hardware, VMQ_STEERING_SOFTWARE, "it takes what hardware cannot");
			look_at_others(adapter, params);
			return 0;
		}
		note(hardware, ops->steering, why.text);
		if (params->steering == ops->steering)
			return vmq_error_errno(err, -ret,
				"adapter %s: steering \"%s\" was asked for: %.300s; \"auto\" takes "
				"what there is", adapter->name,
				vmq_steering_name(ops->steering), why.text);
	}
	return start_software(adapter, err);
}

int
hardware_start(struct vmq_adapter *adapter, struct vmq_error *err)
{
	const struct hardware *hardware = &adapter->hardware;

	vmq_port_capabilities_get(adapter->port, &adapter->hardware.port);
	if (hardware->steering == VMQ_STEERING_SOFTWARE) {
		if (hardware->asked != VMQ_STEERING_SOFTWARE)
			VMQ_LOG(INFO, "adapter %s: software steers: vmdq: %.200s; flow: %.200s\n",
				adapter->name, hardware->why_not[VMQ_STEERING_VMDQ],
				hardware->why_not[VMQ_STEERING_FLOW]);
		return 0;
	}
	VMQ_LOG(INFO, "adapter %s: the NIC steers (%s), %u hardware queues for VMs\n",
		adapter->name, vmq_steering_name(hardware->steering), hardware->n_slots);
	return make_sources(adapter, err);
}

void
vmq_adapter_capabilities_get(const struct vmq_adapter *adapter,
	struct vmq_adapter_capabilities *capabilities)
{
	const struct hardware *hardware = &adapter->hardware;
	unsigned int i;

	*capabilities = (struct vmq_adapter_capabilities){
		.port = hardware->port,
		.asked = hardware->asked,
		.chosen = hardware->steering,
		.hardware_queues = hardware->n_slots,
		.rules = hardware->steer != NULL ? vmq_steer_rules(hardware->steer) : 0,
	};
	for (i = 0; i < VMQ_STEERING_COUNT; i++) {
		capabilities->found[i] = (struct vmq_steering_found){
			.why_not = hardware->why_not[i],
			.tried = hardware->tried[i],
			.rules = hardware->rules[i],
		};
	}
	for (i = 0; i < hardware->n_slots; i++)
		capabilities->free_hardware_queues += slot_is_free(&hardware->slots[i]);
}

void
hardware_close(struct vmq_adapter *adapter)
{
	vmq_steer_close(adapter->hardware.steer);
	adapter->hardware.steer = NULL;
}

void
hardware_free(struct vmq_adapter *adapter)
{
	free_slots(&adapter->hardware);
}

size_t
vmq_slot_memory_bytes(uint16_t rx_descriptors, uint32_t limit, uint32_t buffer_size)
{
	const uint32_t parked = rx_descriptors + IDLE_RINGS + PARKED_EXTRA;

	return vmq_pool_block_bytes(parked, buffer_size) +
		vmq_pool_fixed_bytes(RTE_MAX(limit, parked)) + 4096; /* its records */
}

unsigned int
vmq_slot_memzones(void)
{
	return VMQ_POOL_MEMZONES(1);
}
