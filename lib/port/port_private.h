/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_PORT_PRIVATE_H
#define VMQ_PORT_PRIVATE_H

#include <stdatomic.h>

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
	bool detached; /* vmq_port_let_go(): there is no such port any more */
	bool sends_segments;
	bool rx_interrupts; /* as asked for */
	bool holds_up; /* it does not drop what has no room in one ring, and others wait */
	bool reconfigured; /* with hardware queues, since it was opened */
	uint16_t opened_tx_queues; /* that it had without them */
	bool vmdq; /* its Rx queues are those of VMDq pools */
	bool tests_vlans; /* of VMDq pools, as it was told before its start */
	uint16_t slot_descriptors;
	uint16_t idle_descriptors; /* of rings that have to be there and get nothing */
	uint16_t n_slots;
	bool *slot_runs; /* which of them are to run, where defers */
	bool tried_deferring; /* the driver was asked and tried */
	bool defers; /* slots' Rx queues are started and stopped alone */
	char why_not_deferred[128];
	struct vmq_port_slot *slots;
	struct rte_eth_conf conf; /* that it was configured with last */
	_Atomic uint32_t events; /* EAL's interrupt thread: sets; control: takes */
	char device[256]; /* as in the document, for messages */
};

/* The sentence for a step that failed, with what the driver said about it. */
int port_step_failed(const struct vmq_port *port, const char *step, int ret, uint64_t mark,
	struct vmq_error *err);

/* rings.c: before the port starts. */
int port_set_up_rings(struct vmq_port *port, struct rte_mempool *rx_pool,
	struct rte_mempool *const *slot_pools, struct vmq_error *err);

/* After its start: see whether slots can be stopped, and have those run that are to run. */
int port_settle_rings(struct vmq_port *port, struct vmq_error *err);
bool port_try_deferring(struct vmq_port *port, struct rte_mempool *const *slot_pools);

/* slots.c: is an Rx queue a slot's; descriptors of its ring, and what it receives into. */
bool port_is_slots(const struct vmq_port *port, uint16_t rx_queue);
uint16_t port_ring_of(const struct vmq_port *port, uint16_t rx_queue);
struct rte_mempool *port_pool_of(const struct vmq_port *port, uint16_t rx_queue,
	struct rte_mempool *rx_pool, struct rte_mempool *const *slot_pools);

/* Have a VMDq port look at MACs only, unless it was told of VLANs. After its start. */
void port_stop_vlan_filter(const struct vmq_port *port);

#endif /* VMQ_PORT_PRIVATE_H */
