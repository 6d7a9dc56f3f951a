/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* For rte_dev_event_callback_register(): by it vfio says that the kernel wants a device back. */
#define ALLOW_EXPERIMENTAL_API

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_pause.h>

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

/* On EAL's interrupt thread. */
static int
on_event(uint16_t port_id, enum rte_eth_event_type event, void *arg, void *result)
{
	struct vmq_port *port = arg;

	(void)port_id;
	(void)result;
	atomic_fetch_or(&port->events, event == RTE_ETH_EVENT_INTR_RMV ? VMQ_PORT_REMOVED
								      : VMQ_PORT_WANTS_RESET);
	return 0;
}

/* On EAL's interrupt thread, too. */
static void
on_device_event(const char *name, enum rte_dev_event_type event, void *arg)
{
	struct vmq_port *port = arg;

	(void)name;
	if (event == RTE_DEV_EVENT_REMOVE)
		atomic_fetch_or(&port->events, VMQ_PORT_REMOVED);
}

static const char *
device_name(const struct vmq_port *port)
{
	struct rte_eth_dev_info info;

	if (rte_eth_dev_info_get(port->id, &info) < 0 || info.device == NULL)
		return NULL;
	return rte_dev_name(info.device);
}

static void
ignore_events(struct vmq_port *port)
{
	const char *name = device_name(port);

	/* -EAGAIN: it is being called, for the blink of an eye. */
	while (name != NULL &&
		rte_dev_event_callback_unregister(name, on_device_event, port) == -EAGAIN)
		rte_pause();
	rte_eth_dev_callback_unregister(port->id, RTE_ETH_EVENT_INTR_RESET, on_event, port);
	rte_eth_dev_callback_unregister(port->id, RTE_ETH_EVENT_INTR_RMV, on_event, port);
}

static int
hear_events(struct vmq_port *port, struct vmq_error *err)
{
	int ret = rte_eth_dev_callback_register(port->id, RTE_ETH_EVENT_INTR_RESET, on_event, port);
	const char *name = device_name(port);

	if (ret == 0 && name != NULL)
		ret = rte_dev_event_callback_register(name, on_device_event, port);
	if (ret == 0)
		ret = rte_eth_dev_callback_register(port->id, RTE_ETH_EVENT_INTR_RMV, on_event,
			port);
	if (ret < 0)
		return vmq_error_errno(err, -ret, "device %s: no memory to hear of its events",
			port->device);
	return 0;
}

uint32_t
vmq_port_take_events(struct vmq_port *port, bool look)
{
	uint32_t events = atomic_exchange(&port->events, 0);

	if (look && rte_eth_dev_is_removed(port->id) == 1)
		events |= VMQ_PORT_REMOVED;
	return events;
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
	/* Some drivers tell of a removal only then, and others refuse it. */
	conf.intr_conf.rmv = (*info.dev_flags & RTE_ETH_DEV_INTR_RMV) != 0;
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
	port->rx_interrupts = conf.intr_conf.rxq;
	port->opened_tx_queues = port->tx_queues;
	port->conf = conf;
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
	if (ret == 0)
		ret = hear_events(port, err);
	if (ret < 0)
		goto detach;
	return port;

detach:
	ignore_events(port);
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

static int
start(struct vmq_port *port, struct vmq_error *err)
{
	uint64_t mark = vmq_log_mark();
	int ret;

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
	return port->tried_deferring ? port_settle_rings(port, err) : 0;
}

static int
set_up_and_start(struct vmq_port *port, struct rte_mempool *rx_pool,
	struct rte_mempool *const *slot_pools, struct vmq_error *err)
{
	int ret = port_set_up_rings(port, rx_pool, slot_pools, err);

	return ret < 0 ? ret : start(port, err);
}

int
vmq_port_start(struct vmq_port *port, struct rte_mempool *rx_pool,
	struct rte_mempool *const *slot_pools, struct vmq_error *err)
{
	int ret = set_up_and_start(port, rx_pool, slot_pools, err);

	if (ret < 0 || port->tried_deferring || port->n_slots == 0)
		return ret;
	if (port_try_deferring(port, slot_pools))
		return 0;
	VMQ_LOG(INFO, "device %s: hardware queues without a VM run on: %s\n", port->device,
		port->why_not_deferred);
	if (port_settle_rings(port, err) == 0)
		return 0;
	/* One that was stopped does not start again: anew, and without. */
	vmq_port_stop(port);
	return set_up_and_start(port, rx_pool, slot_pools, err);
}

/* Attach the device that was let go of, and configure it as it was. */
static int
take_back(struct vmq_port *port, struct vmq_error *err)
{
	const uint64_t mark = vmq_log_mark();
	uint16_t id;
	int ret;

	ret = vmq_device_attach(port->device, &id, err);
	if (ret < 0)
		return ret;
	if (id != port->id) {
		/* Whoever polls it goes by its id. */
		vmq_device_detach(id);
		return vmq_error_errno(err, EBUSY, "device %s: its port is %u now, and was %u, which "
			"another device has: restart vmqd", port->device, id, port->id);
	}
	atomic_store(&port->events, 0);
	ret = rte_eth_dev_configure(port->id, port->rx_queues, port->tx_queues, &port->conf);
	if (ret < 0)
		ret = port_step_failed(port, "configure", ret, mark, err);
	else
		ret = hear_events(port, err);
	if (ret < 0) {
		ignore_events(port);
		vmq_device_detach(port->id);
		return ret;
	}
	port->detached = false;
	return 0;
}

bool
vmq_port_is_let_go(const struct vmq_port *port)
{
	return port->detached;
}

bool
vmq_port_could_come_back(const struct vmq_port *port)
{
	return vmq_device_is_there(port->device);
}

int
vmq_port_restart(struct vmq_port *port, struct rte_mempool *rx_pool,
	struct rte_mempool *const *slot_pools, struct vmq_error *err)
{
	uint64_t mark = vmq_log_mark();
	int ret;

	if (port->detached) {
		ret = take_back(port, err);
		return ret < 0 ? ret : vmq_port_start(port, rx_pool, slot_pools, err);
	}
	vmq_port_stop(port); /* a try that has come half-way */
	ret = rte_eth_dev_reset(port->id);
	if (ret == -ENOTSUP)
		return start(port, err);
	if (ret < 0)
		return port_step_failed(port, "reset", ret, mark, err);
	ret = rte_eth_dev_configure(port->id, port->rx_queues, port->tx_queues, &port->conf);
	if (ret < 0)
		return port_step_failed(port, "configure", ret, mark, err);
	return vmq_port_start(port, rx_pool, slot_pools, err);
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
vmq_port_let_go(struct vmq_port *port)
{
	if (port->detached)
		return;
	vmq_port_stop(port);
	ignore_events(port);
	vmq_device_detach(port->id);
	port->detached = true;
}

void
vmq_port_close(struct vmq_port *port)
{
	if (port == NULL)
		return;
	vmq_port_let_go(port);
	free(port->slots);
	free(port->slot_runs);
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
