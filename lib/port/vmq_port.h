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
	uint64_t sent; /**< Packets that it has sent. */
	uint64_t send_errors; /**< Packets that it took and could not send. */
};

/**
 * Attach the device and configure its port. Nothing is received yet.
 *
 * @return NULL with rte_errno, the reason with the driver's words in err, and
 *   nothing left behind.
 */
struct vmq_port *vmq_port_open(const struct vmq_port_params *params, struct vmq_error *err);

/** What a port can do, as its driver says and as was tried. */
struct vmq_port_capabilities {
	char driver[32]; /**< Of the PMD: "net_e1000_igb". */
	uint16_t rx_queues; /**< Most Rx queues. */
	uint16_t vmdq_pools; /**< 0: no VMDq. */
	uint32_t macs; /**< Unicast addresses that its filter has room for. */
	bool live_queue_setup; /**< Rx queues can be set up on a started port. */
	bool queue_start_stop; /**< Rx queues can be stopped alone; known once it has started. */
	bool rx_interrupts; /**< Rx queues can wake a worker; known once it has started. */
	bool header_split; /**< Headers and data can go to different pools. */
	bool pools_grow; /**< Memory that a pool gets later can be received into. */
	char why_pools_do_not_grow[96];
};

/** Any time after vmq_port_open(). */
void vmq_port_capabilities_get(const struct vmq_port *port,
	struct vmq_port_capabilities *capabilities);

/** Where a hardware queue's frames come from. */
struct vmq_port_slot {
	uint16_t rx_queue; /**< The first one. */
	uint16_t n_rx_queues; /**< The driver may give a pool several. */
	uint16_t pool; /**< VMDq: its number. */
};

struct vmq_port_slot_params {
	bool vmdq; /**< Pools of VMDq; else plain Rx queues, all frames in queue 0. */
	uint16_t n; /**< As many as that, if the port has them. */
	uint16_t rx_descriptors; /**< Of each one's ring. */
	/**
	 * VMDq: VLANs that the NIC is to test, each for all pools: ethdev has the maps only
	 * before the start. Without any it does not look at VLANs.
	 */
	const uint16_t *vlans;
	uint16_t n_vlans;
};

/**
 * Configure a port that has not started anew, with hardware queues beside the default
 * one. With n = 0: without, as after vmq_port_open().
 *
 * @return how many slots there are, at least 1 unless n is 0; or -errno with the reason
 *   in err: configure again.
 */
int vmq_port_configure_slots(struct vmq_port *port, const struct vmq_port_slot_params *params,
	struct vmq_error *err);

/** @return the slots of the port, n of them. */
const struct vmq_port_slot *vmq_port_slots(const struct vmq_port *port, uint16_t *n);

/** Buffers that a slot's rings take out of its pool. */
uint32_t vmq_port_slot_buffers(const struct vmq_port *port, uint16_t slot);

/**
 * Set up the Rx queues over their pools and start. All unicast and multicast frames are
 * taken: VMs' addresses are not the port's own.
 *
 * @param slot_pools
 *   One for each slot; not read if there are none.
 * @return 0 or -errno with the reason in err; the port stays open.
 */
int vmq_port_start(struct vmq_port *port, struct rte_mempool *rx_pool,
	struct rte_mempool *const *slot_pools, struct vmq_error *err);

/** Stop receiving and sending; packets of the rings go home. Once no worker polls. */
void vmq_port_stop(struct vmq_port *port);

/** Close; what the driver still held goes home. NULL is allowed. */
void vmq_port_close(struct vmq_port *port);

/** DPDK's id of the port, for the burst functions. Any thread. */
uint16_t vmq_port_id(const struct vmq_port *port);

/** Tx queues that it has really. */
uint16_t vmq_port_tx_queues(const struct vmq_port *port);

/** Does it send packets of several segments? */
bool vmq_port_sends_segments(const struct vmq_port *port);

/** Descriptors of the default queue's ring. */
uint16_t vmq_port_rx_descriptors(const struct vmq_port *port);

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
