/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * The rings of a port. Those of a hardware queue that no VM has are best stopped: the NIC
 * writes nothing into its memory, and all of its buffers are at home. Whether a driver does
 * this is found out by doing it. Some only note what they were told (net_tap, net_pcap);
 * some have the call and refuse it (mlx5 with vector instructions); i40e of 22.11 takes
 * "deferred start" and starts all the same; igb cannot.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bsd/string.h>

#include <rte_errno.h>

#include "port_private.h"

/* ETH_AF_XDP_DFLT_NUM_DESCS: what net_af_xdp fills, whatever number it is asked for. */
#define AF_XDP_RING 2048

static unsigned int
node_of(const struct vmq_port *port)
{
	return port->node >= 0 ? (unsigned int)port->node : (unsigned int)SOCKET_ID_ANY;
}

static bool
may_defer(const struct vmq_port *port)
{
	return port->defers || !port->tried_deferring;
}

static void
cannot_defer(struct vmq_port *port, const char *why)
{
	port->tried_deferring = true;
	port->defers = false;
	strlcpy(port->why_not_deferred, why, sizeof(port->why_not_deferred));
}

/*
 * With several Rx queues a NIC has to drop what finds no room in one ring. Most drivers
 * leave that off (rx_drop_en): then the NIC keeps such a frame until there is room, and
 * whatever comes behind it for other VMs waits, and is lost in the end.
 */
static int
set_up_rx(struct vmq_port *port, uint16_t rx_queue, struct rte_mempool *pool)
{
	const uint16_t ring = port_ring_of(port, rx_queue);
	struct rte_eth_dev_info info;
	struct rte_eth_rxconf conf;
	int ret;

	ret = rte_eth_dev_info_get(port->id, &info);
	if (ret < 0)
		return ret;
	conf = info.default_rxconf;
	conf.rx_drop_en |= port->n_slots > 0 && !port->holds_up;
	conf.rx_deferred_start = port_is_slots(port, rx_queue) && may_defer(port);
	ret = rte_eth_rx_queue_setup(port->id, rx_queue, ring, node_of(port), &conf, pool);
	if (ret < 0 && conf.rx_deferred_start) {
		conf.rx_deferred_start = 0;
		ret = rte_eth_rx_queue_setup(port->id, rx_queue, ring, node_of(port), &conf, pool);
		if (ret == 0)
			cannot_defer(port, "its driver refuses a deferred start");
	}
	if (ret == 0 || conf.rx_drop_en == info.default_rxconf.rx_drop_en)
		return ret;
	/* A driver may know no dropping, or do nothing else and refuse to be told. */
	ret = rte_eth_rx_queue_setup(port->id, rx_queue, ring, node_of(port), NULL, pool);
	if (ret < 0)
		return ret;
	port->holds_up = true;
	VMQ_LOG(NOTICE, "device %s: its driver does not let it drop what one full ring has no room "
		"for; a VM that does not keep up may hold up others\n", port->device);
	return 0;
}

int
port_set_up_rings(struct vmq_port *port, struct rte_mempool *rx_pool,
	struct rte_mempool *const *slot_pools, struct vmq_error *err)
{
	const uint64_t mark = vmq_log_mark();
	uint16_t i;
	int ret;

	for (i = 0; i < port->rx_queues; i++) {
		ret = set_up_rx(port, i, port_pool_of(port, i, rx_pool, slot_pools));
		if (ret < 0)
			return port_step_failed(port, "Rx queue", ret, mark, err);
	}
	for (i = 0; i < port->tx_queues; i++) {
		ret = rte_eth_tx_queue_setup(port->id, i, port->tx_descriptors, node_of(port), NULL);
		if (ret < 0)
			return port_step_failed(port, "Tx queue", ret, mark, err);
	}
	return 0;
}

static int
switch_ring(const struct vmq_port *port, uint16_t rx_queue, bool on)
{
	const uint8_t state = on ? RTE_ETH_QUEUE_STATE_STARTED : RTE_ETH_QUEUE_STATE_STOPPED;
	struct rte_eth_rxq_info info;
	int ret;

	/* Where the driver tells nothing ethdev knows, and says that it is so already. */
	if (rte_eth_rx_queue_info_get(port->id, rx_queue, &info) == 0 && info.queue_state == state)
		return 0;
	ret = on ? rte_eth_dev_rx_queue_start(port->id, rx_queue)
		: rte_eth_dev_rx_queue_stop(port->id, rx_queue);
	/* ixgbe says -1 where it has no buffers, and mlx5 what its firmware said. */
	return ret > 0 || ret == -1 ? -EIO : ret;
}

static int
switch_slot(const struct vmq_port *port, uint16_t slot, bool on)
{
	const struct vmq_port_slot *place = &port->slots[slot];
	uint16_t i;
	int ret;

	for (i = 0; i < place->n_rx_queues; i++) {
		ret = switch_ring(port, (uint16_t)(place->rx_queue + i), on);
		if (ret < 0)
			goto undo;
	}
	return 0;

undo:
	while (on && i-- > 0)
		switch_ring(port, (uint16_t)(place->rx_queue + i), false);
	return ret;
}

int
port_settle_rings(struct vmq_port *port, struct vmq_error *err)
{
	const uint64_t mark = vmq_log_mark();
	uint16_t i;
	int ret;

	for (i = 0; i < port->n_slots; i++) {
		ret = switch_slot(port, i, !port->defers || port->slot_runs[i]);
		if (ret == -ENOTSUP && !port->defers)
			return 0; /* then it has started them all */
		if (ret < 0)
			return port_step_failed(port, "start of a hardware queue", ret, mark, err);
	}
	return 0;
}

/* Buffers of a pool that has all its memory which are not in it. */
static uint32_t
out_of(struct rte_mempool *pool)
{
	rte_mempool_cache_flush(NULL, pool);
	return pool->populated_size - RTE_MIN(rte_mempool_avail_count(pool), pool->populated_size);
}

bool
port_try_deferring(struct vmq_port *port, struct rte_mempool *const *slot_pools)
{
	const char *step = "stops no Rx queue";
	char why[sizeof(port->why_not_deferred)];
	uint16_t i;
	int ret = 0;

	for (i = 0; i < port->n_slots && ret == 0; i++)
		ret = switch_slot(port, i, false);
	if (ret == 0) {
		step = "does not start one again";
		ret = switch_slot(port, 0, true);
	}
	if (ret == 0) {
		step = "does not stop one again";
		ret = switch_slot(port, 0, false);
	}
	if (ret == 0 && out_of(slot_pools[0]) > 0) {
		cannot_defer(port, "its driver keeps the buffers of a stopped Rx queue");
	} else if (ret < 0) {
		snprintf(why, sizeof(why), "its driver %s: %s", step, rte_strerror(-ret));
		cannot_defer(port, why);
	} else {
		port->tried_deferring = true;
		port->defers = true;
		port->why_not_deferred[0] = '\0';
	}
	return port->defers;
}

int
vmq_port_slot_start(struct vmq_port *port, uint16_t slot, struct vmq_error *err)
{
	const uint64_t mark = vmq_log_mark();
	int ret;

	if (!port->defers)
		return 0;
	ret = port->started ? switch_slot(port, slot, true) : 0;
	if (ret < 0)
		return port_step_failed(port, "start of a hardware queue", ret, mark, err);
	port->slot_runs[slot] = true;
	return 0;
}

int
vmq_port_slot_stop(struct vmq_port *port, uint16_t slot, struct vmq_error *err)
{
	const uint64_t mark = vmq_log_mark();
	int ret;

	if (!port->defers)
		return vmq_error_errno(err, ENOTSUP, "device %s: %s", port->device,
			port->why_not_deferred);
	ret = port->started ? switch_slot(port, slot, false) : 0;
	if (ret < 0)
		return port_step_failed(port, "stop of a hardware queue", ret, mark, err);
	port->slot_runs[slot] = false;
	return 0;
}

void
vmq_port_kept_buffers(const struct vmq_port *port, uint32_t *least, uint32_t *most)
{
	struct rte_eth_dev_info info;
	struct vmq_port_stats stats;

	*least = *most = 0;
	if (port->detached || rte_eth_dev_info_get(port->id, &info) < 0 ||
		strcmp(info.driver_name, "net_af_xdp") != 0)
		return;
	vmq_port_stats_get(port, &stats);
	*least = AF_XDP_RING * port->rx_queues;
	*most = *least + (stats.sent + stats.send_errors > 0 ? AF_XDP_RING * port->tx_queues : 0u);
}
