/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include "port_private.h"

/* A Rx queue that has to be there and gets nothing: the smallest ring. */
#define IDLE_DESCRIPTORS 64

/*
 * Rx queues of one pool. igb says that its 16 queues are of 8 pools, but gives pool n the
 * queue n alone (E1000_MRQC_ENABLE_VMDQ without RSS); the other eight are for RSS.
 */
static uint16_t
queues_per_pool(const struct rte_eth_dev_info *info)
{
	if (strcmp(info->driver_name, "net_e1000_igb") == 0)
		return 1;
	return (uint16_t)RTE_MAX(info->vmdq_queue_num / info->max_vmdq_pools, 1);
}

/*
 * The default queue is Rx queue 0, and slots follow. Of VMDq that is pool 0 and the pools
 * after it; where pools begin behind other queues (i40e) queue 0 is one of those, and the
 * pools' numbers begin with 1 all the same.
 */
static void
place_slots(struct vmq_port *port, const struct rte_eth_dev_info *info, bool vmdq)
{
	const uint16_t per_slot = vmdq ? queues_per_pool(info) : 1;
	const uint16_t base = vmdq && info->vmdq_queue_base > 0 ? info->vmdq_queue_base : per_slot;
	uint16_t i;

	for (i = 0; i < port->n_slots; i++)
		port->slots[i] = (struct vmq_port_slot){
			.rx_queue = (uint16_t)(base + i * per_slot),
			.n_rx_queues = per_slot,
			.pool = (uint16_t)(i + 1),
		};
	port->rx_queues = port->n_slots == 0 ? 1
		: (uint16_t)(port->slots[port->n_slots - 1].rx_queue + per_slot);
}

/*
 * Most Rx queues beside each other. net_tap says 16 and tells secondary processes of its
 * files in a message with room for 8, Rx and Tx together; up to 22.11 it writes beyond that
 * (tap_mp_req_on_rxtx()).
 */
static uint16_t
max_rx_queues(const struct rte_eth_dev_info *info)
{
	if (strcmp(info->driver_name, "net_tap") == 0)
		return RTE_MIN(info->max_rx_queues, RTE_MP_MAX_FD_NUM / 2);
	return info->max_rx_queues;
}

/* How many slots there can be, of those asked for. */
static uint16_t
count_slots(const struct rte_eth_dev_info *info, const struct vmq_port_slot_params *params)
{
	uint32_t n;

	if (!params->vmdq)
		n = max_rx_queues(info) > 0 ? max_rx_queues(info) - 1u : 0;
	else if (info->vmdq_queue_base > 0)
		n = info->max_vmdq_pools;
	else
		n = info->max_vmdq_pools > 0 ? info->max_vmdq_pools - 1u : 0;
	/* Never more than there are addresses; the first is the port's own. */
	if (params->vmdq)
		n = RTE_MIN(n, info->max_mac_addrs > 0 ? info->max_mac_addrs - 1 : 0);
	return (uint16_t)RTE_MIN(n, params->n);
}

/*
 * With n slots a VLAN's map names the pools 0 to n. Of a map of 64 pools ixgbe and txgbe write
 * one half, the upper one if anything is in it (ixgbe_vmdq_rx_hw_configure() of 22.11): they
 * have VLANs for 32 pools.
 */
static uint16_t
limit_to_vlan_maps(const struct vmq_port *port, const struct rte_eth_dev_info *info,
	const struct vmq_port_slot_params *params, uint16_t n)
{
	if (!params->vmdq || params->n_vlans == 0 || n < 32 ||
		(strcmp(info->driver_name, "net_ixgbe") != 0 &&
			strcmp(info->driver_name, "net_txgbe") != 0))
		return n;
	VMQ_LOG(NOTICE, "device %s: 31 hardware queues of the %u asked for: its driver has VLANs for "
		"32 pools; without \"vlans\" there would be %u\n", port->device, params->n, n);
	return 31;
}

/* For n slots. */
static void
configure_vmdq(struct rte_eth_conf *conf, const struct rte_eth_dev_info *info,
	const struct vmq_port_slot_params *params, uint16_t n)
{
	struct rte_eth_vmdq_rx_conf *vmdq = &conf->rx_adv_conf.vmdq_rx_conf;
	uint16_t i;

	conf->rxmode.mq_mode = RTE_ETH_MQ_RX_VMDQ_ONLY;
	/*
	 * Pools behind other queues (i40e) are made one by one, each with all of its queues;
	 * elsewhere the number is a mode of the NIC, and has to be one that it knows.
	 */
	vmdq->nb_queue_pools = (enum rte_eth_nb_pools)(info->vmdq_queue_base > 0 ? n
		: info->max_vmdq_pools);
	vmdq->enable_default_pool = 1;
	vmdq->default_pool = 0;
	/*
	 * Untagged frames are taken by each pool; broadcast and multicast too, because a
	 * driver has no way to say it of one pool alone and they would be lost: the copies
	 * in other pools than the default one are let go of by their source.
	 */
	vmdq->rx_mode = RTE_ETH_VMDQ_ACCEPT_UNTAG | RTE_ETH_VMDQ_ACCEPT_BROADCAST |
		RTE_ETH_VMDQ_ACCEPT_MULTICAST | RTE_ETH_VMDQ_ACCEPT_HASH_MC;
	vmdq->nb_pool_maps = (uint8_t)params->n_vlans;
	for (i = 0; i < params->n_vlans; i++) {
		vmdq->pool_map[i].vlan_id = params->vlans[i];
		vmdq->pool_map[i].pools = UINT64_MAX >> (64 - RTE_MIN(n + 1, 64));
	}
}

int
vmq_port_configure_slots(struct vmq_port *port, const struct vmq_port_slot_params *params,
	struct vmq_error *err)
{
	struct rte_eth_conf conf = {.rxmode.mtu = port->mtu};
	const uint64_t mark = vmq_log_mark();
	struct vmq_port_slot *slots = NULL;
	bool *runs = NULL;
	struct rte_eth_dev_info info;
	uint16_t tx_queues, n;
	int ret;

	if (params->n == 0 && !port->reconfigured)
		return 0; /* nothing is to be taken back */
	ret = rte_eth_dev_info_get(port->id, &info);
	if (ret < 0)
		return port_step_failed(port, "device information", ret, mark, err);
	if (params->n > 0 && params->vmdq && info.max_vmdq_pools == 0)
		return vmq_error_errno(err, ENOTSUP, "the NIC or its driver has no VMDq pools");
	n = params->n > 0 ? count_slots(&info, params) : 0;
	if (params->n > 0 && n == 0)
		return vmq_error_errno(err, ENOTSUP, "the port has %u Rx queues%s: none for a VM",
			info.max_rx_queues, params->vmdq ? " and one pool or one MAC address" : "");
	if (params->n_vlans > RTE_ETH_VMDQ_MAX_VLAN_FILTERS)
		return vmq_error_errno(err, ENOSPC, "%u VLANs: VMDq has room for %d",
			params->n_vlans, RTE_ETH_VMDQ_MAX_VLAN_FILTERS);
	n = limit_to_vlan_maps(port, &info, params, n);
	if (n > 0) {
		slots = calloc(n, sizeof(*slots));
		runs = calloc(n, sizeof(*runs));
		if (slots == NULL || runs == NULL) {
			free(slots);
			free(runs);
			return vmq_error_errno(err, ENOMEM, "no memory for %u slots", n);
		}
	}
	free(port->slots);
	free(port->slot_runs);
	port->slots = slots;
	port->slot_runs = runs;
	port->tried_deferring = false;
	port->defers = false;
	port->why_not_deferred[0] = '\0';
	port->n_slots = n;
	port->vmdq = n > 0 && params->vmdq;
	port->tests_vlans = port->vmdq && params->n_vlans > 0;
	place_slots(port, &info, port->vmdq);

	conf.rxmode.offloads = info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER;
	conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	if (port->vmdq) {
		configure_vmdq(&conf, &info, params, n);
		/*
		 * To be switched off after the start: see port_stop_vlan_filter(). Where it is
		 * to stay on, VMDq does that by itself; asked for here as well, igb drops what
		 * is of any VLAN: its table for this, which is empty, replaces VMDq's.
		 */
		if (!port->tests_vlans)
			conf.rxmode.offloads |=
				info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_FILTER;
	}
	/* Workers of hardware queues do not wait for interrupts. */
	conf.intr_conf.rxq = n == 0 && port->rx_interrupts;
	conf.intr_conf.rmv = (*info.dev_flags & RTE_ETH_DEV_INTR_RMV) != 0;
	port->reconfigured = true;
	tx_queues = port->opened_tx_queues;
	ret = rte_eth_dev_configure(port->id, port->rx_queues, tx_queues, &conf);
	/* net_tap makes as many queues of each kind as of the other, or refuses. */
	if (ret < 0 && port->rx_queues <= info.max_tx_queues) {
		tx_queues = port->rx_queues;
		ret = rte_eth_dev_configure(port->id, port->rx_queues, tx_queues, &conf);
	}
	if (ret < 0)
		return port_step_failed(port, "configure", ret, mark, err);
	port->tx_queues = tx_queues;
	port->conf = conf;
	port->slot_descriptors = params->rx_descriptors;
	if (n == 0)
		return 0;
	ret = rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &port->slot_descriptors, NULL);
	port->idle_descriptors = RTE_MIN((uint16_t)IDLE_DESCRIPTORS, port->slot_descriptors);
	if (ret == 0)
		ret = rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &port->idle_descriptors, NULL);
	return ret < 0 ? port_step_failed(port, "descriptors", ret, mark, err) : n;
}

const struct vmq_port_slot *
vmq_port_slots(const struct vmq_port *port, uint16_t *n)
{
	*n = port->n_slots;
	return port->slots;
}

/* Which slot an Rx queue is of; -1: none, it is the default queue's or idle. */
static int
slot_of(const struct vmq_port *port, uint16_t rx_queue)
{
	uint16_t i;

	for (i = 0; i < port->n_slots; i++)
		if (rx_queue >= port->slots[i].rx_queue &&
			rx_queue < port->slots[i].rx_queue + port->slots[i].n_rx_queues)
			return i;
	return -1;
}

bool
port_is_slots(const struct vmq_port *port, uint16_t rx_queue)
{
	return slot_of(port, rx_queue) >= 0;
}

uint16_t
port_ring_of(const struct vmq_port *port, uint16_t rx_queue)
{
	const int slot = slot_of(port, rx_queue);

	if (rx_queue == 0)
		return port->rx_descriptors;
	/* Without RSS only the first queue of a pool gets anything. */
	if (slot < 0 || rx_queue > port->slots[slot].rx_queue)
		return port->idle_descriptors;
	return port->slot_descriptors;
}

uint32_t
vmq_port_slot_buffers(const struct vmq_port *port, uint16_t slot)
{
	uint32_t n = 0;
	uint16_t i;

	for (i = 0; i < port->slots[slot].n_rx_queues; i++)
		n += port_ring_of(port, (uint16_t)(port->slots[slot].rx_queue + i));
	return n;
}

uint32_t
vmq_port_idle_buffers(const struct vmq_port *port, uint16_t *n)
{
	uint32_t buffers = 0;
	uint16_t i;

	*n = 0;
	for (i = 1; i < port->rx_queues; i++)
		if (slot_of(port, i) < 0) {
			buffers += port_ring_of(port, i);
			(*n)++;
		}
	return buffers;
}

struct rte_mempool *
port_pool_of(const struct vmq_port *port, uint16_t rx_queue, struct rte_mempool *rx_pool,
	struct rte_mempool *const *slot_pools)
{
	const int slot = slot_of(port, rx_queue);

	return slot < 0 ? rx_pool : slot_pools[slot];
}

void
port_stop_vlan_filter(const struct vmq_port *port)
{
	int mask;

	if (!port->vmdq || port->tests_vlans)
		return;
	/*
	 * A VMDq port drops or moves to the default pool what is of a VLAN it was not told
	 * of before it started; VMs' VLANs come and go. So it looks at MACs only, and
	 * software at the VLAN.
	 */
	mask = rte_eth_dev_get_vlan_offload(port->id);
	if (mask >= 0 && rte_eth_dev_set_vlan_offload(port->id,
			mask & ~RTE_ETH_VLAN_FILTER_OFFLOAD) < 0)
		VMQ_LOG(NOTICE, "device %s: its VLAN filter stays on: VMs' VLANs that it does not "
			"know are steered in software\n", port->device);
}

void
vmq_port_capabilities_get(const struct vmq_port *port, struct vmq_port_capabilities *capabilities)
{
	struct vmq_port_capabilities *c = capabilities;
	struct rte_eth_dev_info info;

	*c = (struct vmq_port_capabilities){.pools_grow = true};
	if (rte_eth_dev_info_get(port->id, &info) < 0)
		return;
	strlcpy(c->driver, info.driver_name, sizeof(c->driver));
	c->rx_queues = max_rx_queues(&info);
	c->vmdq_pools = info.max_vmdq_pools;
	c->macs = info.max_mac_addrs;
	c->live_queue_setup = info.dev_capa & RTE_ETH_DEV_CAPA_RUNTIME_RX_QUEUE_SETUP;
	c->header_split = info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_BUFFER_SPLIT;
	/* Of a queue that runs already this does nothing, but says whether it could. */
	c->queue_start_stop = port->started && rte_eth_dev_rx_queue_start(port->id, 0) == 0;
	c->deferred_start = port->defers;
	strlcpy(c->why_no_deferred_start, port->why_not_deferred, sizeof(c->why_no_deferred_start));
	c->rx_interrupts = port->started && rte_eth_dev_rx_intr_ctl_q_get_fd(port->id, 0) >= 0;
	if (strcmp(c->driver, "net_af_xdp") == 0) {
		c->pools_grow = false;
		strlcpy(c->why_pools_do_not_grow, "af_xdp receives into a pool's first block only",
			sizeof(c->why_pools_do_not_grow));
	} else if (strncmp(c->driver, "mlx5", 4) == 0 &&
		strstr(port->device, "mr_mempool_reg_en=0") == NULL) {
		c->pools_grow = false;
		strlcpy(c->why_pools_do_not_grow,
			"mlx5 hears of later memory with the device argument mr_mempool_reg_en=0",
			sizeof(c->why_pools_do_not_grow));
	}
}
