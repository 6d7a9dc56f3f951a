/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#include <rte_errno.h>

#include "port_private.h"

#define TX_DESCRIPTORS 1024

int
port_step_failed(const struct vmq_port *port, const char *step, int ret, uint64_t mark,
	struct vmq_error *err)
{
	char said[256];

	vmq_log_since(mark, said, sizeof(said));
	return vmq_error_errno(err, -ret, "device %s: %s: %s%s%s", port->device, step,
		rte_strerror(-ret), said[0] != '\0' ? "; the driver says: " : "", said);
}

static int
configure(struct vmq_port *port, const struct vmq_port_params *params, struct vmq_error *err)
{
	struct rte_eth_conf conf = {.rxmode.mtu = params->mtu};
	uint64_t mark = vmq_log_mark();
	struct rte_eth_dev_info info;
	int ret;

	ret = rte_eth_dev_info_get(port->id, &info);
	if (ret < 0)
		return port_step_failed(port, "device information", ret, mark, err);
	if (params->mtu > info.max_mtu || params->mtu < info.min_mtu)
		return vmq_error_errno(err, EINVAL, "device %s: its mtu can be %u to %u, not %u",
			port->device, info.min_mtu, info.max_mtu, params->mtu);
	/* A frame may be longer than one buffer. */
	conf.rxmode.offloads = info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER;
	conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	port->sends_segments = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	port->tx_queues = RTE_MIN(params->tx_queues, info.max_tx_queues);
	conf.intr_conf.rxq = params->rx_interrupts;
	ret = rte_eth_dev_configure(port->id, 1, port->tx_queues, &conf);
	if (ret < 0 && params->rx_interrupts) {
		conf.intr_conf.rxq = 0; /* its worker finds out, and says it */
		ret = rte_eth_dev_configure(port->id, 1, port->tx_queues, &conf);
	}
	/* net_tap makes as many queues of each kind as of the other, or refuses. */
	if (ret < 0 && port->tx_queues > 1) {
		port->tx_queues = 1;
		ret = rte_eth_dev_configure(port->id, 1, port->tx_queues, &conf);
	}
	if (ret < 0)
		return port_step_failed(port, "configure", ret, mark, err);
	ret = rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &port->rx_descriptors,
		&port->tx_descriptors);
	if (ret < 0)
		return port_step_failed(port, "descriptors", ret, mark, err);
	if (port->rx_descriptors != params->rx_descriptors)
		VMQ_LOG(NOTICE, "device %s: %u Rx descriptors, not %u: the driver asks for it\n",
			port->device, port->rx_descriptors, params->rx_descriptors);
	port->node = rte_eth_dev_socket_id(port->id);
	port->rx_queues = 1;
	return 0;
}

struct vmq_port *
vmq_port_open(const struct vmq_port_params *params, struct vmq_error *err)
{
	struct vmq_port *port;
	int ret;

	port = calloc(1, sizeof(*port));
	if (port == NULL) {
		rte_errno = -vmq_error_errno(err, ENOMEM, "no memory for a port's record");
		return NULL;
	}
	port->rx_descriptors = params->rx_descriptors;
	port->tx_descriptors = TX_DESCRIPTORS;
	port->mtu = params->mtu;
	strlcpy(port->device, params->device, sizeof(port->device));
	ret = vmq_device_attach(params->device, &port->id, err);
	if (ret < 0)
		goto free_port;
	ret = configure(port, params, err);
	if (ret < 0)
		goto detach;
	return port;

detach:
	vmq_device_detach(port->id);
free_port:
	free(port);
	rte_errno = -ret;
	return NULL;
}

/* A mode that the driver does not know needs no switching on. */
static int
ignore_unsupported(int ret)
{
	return ret == -ENOTSUP ? 0 : ret;
}

int
vmq_port_start(struct vmq_port *port, struct rte_mempool *rx_pool,
	struct rte_mempool *const *slot_pools, struct vmq_error *err)
{
	unsigned int node = port->node >= 0 ? (unsigned int)port->node : (unsigned int)SOCKET_ID_ANY;
	uint64_t mark = vmq_log_mark();
	uint16_t i;
	int ret;

	for (i = 0; i < port->rx_queues; i++) {
		ret = rte_eth_rx_queue_setup(port->id, i, port_ring_of(port, i), node, NULL,
			port_pool_of(port, i, rx_pool, slot_pools));
		if (ret < 0)
			return port_step_failed(port, "Rx queue", ret, mark, err);
	}
	for (i = 0; i < port->tx_queues; i++) {
		ret = rte_eth_tx_queue_setup(port->id, i, port->tx_descriptors, node, NULL);
		if (ret < 0)
			return port_step_failed(port, "Tx queue", ret, mark, err);
	}
	ret = rte_eth_dev_start(port->id);
	if (ret < 0)
		return port_step_failed(port, "start", ret, mark, err);
	port->started = true;
	ret = ignore_unsupported(rte_eth_promiscuous_enable(port->id));
	if (ret < 0)
		return port_step_failed(port, "promiscuous mode", ret, mark, err);
	ret = ignore_unsupported(rte_eth_allmulticast_enable(port->id));
	if (ret < 0)
		return port_step_failed(port, "all-multicast mode", ret, mark, err);
	port_stop_vlan_filter(port);
	return 0;
}

void
vmq_port_stop(struct vmq_port *port)
{
	int ret;

	if (!port->started)
		return;
	port->started = false;
	ret = rte_eth_dev_stop(port->id);
	if (ret < 0)
		VMQ_LOG(WARNING, "device %s: stop: %s\n", port->device, rte_strerror(-ret));
}

void
vmq_port_close(struct vmq_port *port)
{
	if (port == NULL)
		return;
	vmq_port_stop(port);
	vmq_device_detach(port->id);
	free(port->slots);
	free(port);
}

uint16_t
vmq_port_id(const struct vmq_port *port)
{
	return port->id;
}

uint16_t
vmq_port_tx_queues(const struct vmq_port *port)
{
	return port->tx_queues;
}

bool
vmq_port_sends_segments(const struct vmq_port *port)
{
	return port->sends_segments;
}

uint16_t
vmq_port_rx_descriptors(const struct vmq_port *port)
{
	return port->rx_descriptors;
}

int
vmq_port_node(const struct vmq_port *port)
{
	return port->node;
}

void
vmq_port_link_get(const struct vmq_port *port, struct vmq_port_link *link)
{
	struct rte_eth_link eth;

	*link = (struct vmq_port_link){.up = true};
	if (rte_eth_link_get_nowait(port->id, &eth) < 0)
		return;
	link->up = eth.link_status == RTE_ETH_LINK_UP;
	if (link->up && eth.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN)
		link->mbps = eth.link_speed;
}

void
vmq_port_stats_get(const struct vmq_port *port, struct vmq_port_stats *stats)
{
	struct rte_eth_stats eth;

	memset(stats, 0, sizeof(*stats));
	if (rte_eth_stats_get(port->id, &eth) < 0)
		return; /* a driver without counters has nothing to show */
	stats->received = eth.ipackets;
	stats->missed = eth.imissed;
	stats->errors = eth.ierrors;
	stats->no_buffer = eth.rx_nombuf;
	stats->sent = eth.opackets;
	stats->send_errors = eth.oerrors;
}
