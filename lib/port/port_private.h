/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_PORT_PRIVATE_H
#define VMQ_PORT_PRIVATE_H

#include "vmq_port.h"

struct vmq_port {
	uint16_t id;
	uint16_t rx_descriptors;
	uint16_t tx_descriptors;
	uint16_t rx_queues;
	uint16_t tx_queues;
	uint16_t mtu;
	int node;
	bool started;
	bool sends_segments;
	bool vmdq; /* its Rx queues are those of VMDq pools */
	bool tests_vlans; /* of VMDq pools, as it was told before its start */
	uint16_t slot_descriptors;
	uint16_t n_slots;
	struct vmq_port_slot *slots;
	char device[256]; /* as in the document, for messages */
};

/* The sentence for a step that failed, with what the driver said about it. */
int port_step_failed(const struct vmq_port *port, const char *step, int ret, uint64_t mark,
	struct vmq_error *err);

/* slots.c: descriptors of an Rx queue's ring, and what it receives into. */
uint16_t port_ring_of(const struct vmq_port *port, uint16_t rx_queue);
struct rte_mempool *port_pool_of(const struct vmq_port *port, uint16_t rx_queue,
	struct rte_mempool *rx_pool, struct rte_mempool *const *slot_pools);

/* Have a VMDq port look at MACs only, unless it was told of VLANs. After its start. */
void port_stop_vlan_filter(const struct vmq_port *port);

#endif /* VMQ_PORT_PRIVATE_H */
