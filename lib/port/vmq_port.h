/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_PORT_H
#define VMQ_PORT_H

/**
 * @file
 * The DPDK port of an adapter. Control thread, except where a comment says so.
 */

#include <rte_ethdev.h>
#include <rte_mempool.h>

#include <vmq_base.h>

struct vmq_port_params {
	const char *device; /**< PCI address, or device arguments of a vdev. */
	uint16_t rx_descriptors; /**< The driver may want another number. */
	uint16_t tx_queues; /**< One for each worker; fewer if the port has not so many. */
	bool rx_interrupts; /**< Make them possible, where the driver has them. */
	uint16_t mtu; /**< In bytes, without Ethernet header and tags. */
};

/** Owner: the adapter. */
struct vmq_port;

/** What the port counts itself. */
struct vmq_port_stats {
	uint64_t received; /**< Packets handed to us. */
	uint64_t missed; /**< Dropped by the NIC: its ring was full. */
	uint64_t errors; /**< Dropped by the NIC: broken frames. */
	uint64_t no_buffer; /**< Times that the driver found no buffer for its ring. */
};

/**
 * Attach the device and configure its port. Nothing is received yet.
 *
 * @return NULL with rte_errno, the reason with the driver's words in err, and
 *   nothing left behind.
 */
struct vmq_port *vmq_port_open(const struct vmq_port_params *params, struct vmq_error *err);

/**
 * Set up the Rx queue over a pool and start. All unicast and multicast frames are
 * taken: VMs' addresses are not the port's own.
 *
 * @return 0 or -errno with the reason in err; the port stays open.
 */
int vmq_port_start(struct vmq_port *port, struct rte_mempool *rx_pool, struct vmq_error *err);

/** Stop receiving and sending; packets of the rings go home. Once no worker polls. */
void vmq_port_stop(struct vmq_port *port);

/** Close; what the driver still held goes home. NULL is allowed. */
void vmq_port_close(struct vmq_port *port);

/** DPDK's id of the port, for the burst functions. Any thread. */
uint16_t vmq_port_id(const struct vmq_port *port);

/** NUMA node, or SOCKET_ID_ANY. */
int vmq_port_node(const struct vmq_port *port);

struct vmq_port_link {
	bool up;
	uint32_t mbps; /**< Speed; 0: unknown, or down. */
};

/** A driver that cannot tell is taken to be up. Any thread. */
void vmq_port_link_get(const struct vmq_port *port, struct vmq_port_link *link);

/** Any thread. */
void vmq_port_stats_get(const struct vmq_port *port, struct vmq_port_stats *stats);

#endif /* VMQ_PORT_H */
