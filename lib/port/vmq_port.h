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
	/** A slot's Rx queues run only while it is asked for; known once it has started. */
	bool deferred_start;
	char why_no_deferred_start[128]; /**< "" if there are no slots, or it can. */
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

/**
 * Buffers that a slot's rings take out of its pool; while it runs, where slots are started
 * alone (vmq_port_capabilities.deferred_start).
 */
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

/**
 * Rx queues that belong to no slot and have to be there beside the default one, such as the
 * other queues of VMDq's first pool. They receive nothing.
 *
 * @param n
 *   How many there are.
 * @return buffers that their rings take out of the default queue's pool.
 */
uint32_t vmq_port_idle_buffers(const struct vmq_port *port, uint16_t *n);

/**
 * Have a slot receive, with the port or from now on; after vmq_port_start() none does. Where
 * slots are not started alone this does nothing: all of them run. Takes as long as the
 * hardware takes, a few milliseconds. Control thread, while no other uses the port.
 *
 * @return 0 or -errno with the reason in err, and it does not receive.
 */
int vmq_port_slot_start(struct vmq_port *port, uint16_t slot, struct vmq_error *err);

/**
 * The opposite: its buffers go home, and with them what is in its ring. Nobody may poll it
 * by now.
 *
 * @return 0; or -errno with the reason in err: it may receive, and must not be polled before
 *   vmq_port_slot_start() has succeeded. -ENOTSUP: slots are not stopped alone.
 */
int vmq_port_slot_stop(struct vmq_port *port, uint16_t slot, struct vmq_error *err);

/* What a device may say of its own accord. */
#define VMQ_PORT_WANTS_RESET (UINT32_C(1) << 0) /**< RTE_ETH_EVENT_INTR_RESET */
/** RTE_ETH_EVENT_INTR_RMV, or it is not there, or the kernel wants it back from vfio. */
#define VMQ_PORT_REMOVED (UINT32_C(1) << 1)

/**
 * @param look
 *   Ask the driver, too, whether the device is there; some read a register for it.
 * @return what it has said since the last call, VMQ_PORT_*.
 */
uint32_t vmq_port_take_events(struct vmq_port *port, bool look);

/**
 * Start a port that was stopped as it was started before; its device is reset first, if its
 * driver can do that. One that was let go of is attached again, if its device is back. Takes
 * as long as the hardware takes. Any one thread, while no other uses the port.
 *
 * @param slot_pools
 *   As in vmq_port_start().
 * @return 0 or -errno with the reason in err; it can be tried again.
 */
int vmq_port_restart(struct vmq_port *port, struct rte_mempool *rx_pool,
	struct rte_mempool *const *slot_pools, struct vmq_error *err);

/** Stop receiving and sending; packets of the rings go home. Once no worker polls. */
void vmq_port_stop(struct vmq_port *port);

/**
 * Stop, and give the device back, which the kernel may be waiting for; what the driver still
 * held goes home. Only vmq_port_restart() or vmq_port_close() may follow. Any thread, while
 * nobody else uses it.
 */
void vmq_port_let_go(struct vmq_port *port);

/** Is it let go of, and nothing more? */
bool vmq_port_is_let_go(const struct vmq_port *port);

/**
 * Is there a PCI device again where it was, with a driver that lets DPDK have it? Others than
 * PCI devices do not come back.
 */
bool vmq_port_could_come_back(const struct vmq_port *port);

/**
 * How many buffers of its Rx pool a driver keeps when its port is closed, by its fault. They
 * may be written to until the process ends.
 *
 * net_af_xdp of 22.11 fills a ring of 2048 buffers for each Rx queue, puts in one for each that
 * it takes out, and forgets them all: xsk_configure(), eth_dev_close(). It does not close the
 * socket either, to which the kernel may have them. As many may be in its Tx ring.
 *
 * @param least, most
 *   0 for a driver that gives all back.
 */
void vmq_port_kept_buffers(const struct vmq_port *port, uint32_t *least, uint32_t *most);

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
