/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <stdio.h>

#include <rte_errno.h>
#include <rte_ethdev.h>

#include "vmq_backend_driver.h"

/* Descriptors of the port's rings; the driver may want another number. */
#define DESCRIPTORS 512
/* Bursts that closing takes out of the port: more than any ring holds. */
#define DRAIN_BURSTS_MAX 4096

struct ethdev_backend {
	struct vmq_backend backend;
	uint16_t port_id;
	uint32_t max_frame; /* in bytes */
	vmq_counter_t failed;
};

static struct ethdev_backend *
of(const struct vmq_backend *backend)
{
	return (struct ethdev_backend *)(uintptr_t)backend;
}

/* Let the port carry what the adapter receives, if it can be told. */
static int
set_mtu(struct ethdev_backend *ethdev, uint16_t wanted, struct vmq_error *err)
{
	uint16_t mtu;
	int ret;

	ret = rte_eth_dev_get_mtu(ethdev->port_id, &mtu);
	if (ret < 0)
		return vmq_error_errno(err, -ret, "%s: mtu: %s", ethdev->backend.text,
			rte_strerror(-ret));
	if (wanted > mtu) {
		ret = rte_eth_dev_set_mtu(ethdev->port_id, wanted);
		if (ret == 0)
			mtu = wanted;
		else
			VMQ_LOG(WARNING,
				"%s: mtu stays %u, longer frames are dropped: %u: %s\n",
				ethdev->backend.text, mtu, wanted, rte_strerror(-ret));
	}
	ethdev->max_frame = mtu + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN;
	return 0;
}

static int
configure(struct ethdev_backend *ethdev, const struct vmq_backend_params *params,
	struct vmq_error *err)
{
	const struct rte_eth_conf conf = {0};
	uint16_t rx_descriptors = DESCRIPTORS, tx_descriptors = DESCRIPTORS;
	uint16_t port_id = ethdev->port_id;
	const char *step;
	int ret;

	step = "configure";
	ret = rte_eth_dev_configure(port_id, 1, 1, &conf);
	if (ret < 0)
		goto fail;
	ret = set_mtu(ethdev, params->mtu, err);
	if (ret < 0)
		return ret;
	step = "descriptors";
	ret = rte_eth_dev_adjust_nb_rx_tx_desc(port_id, &rx_descriptors, &tx_descriptors);
	if (ret < 0)
		goto fail;
	step = "Rx queue";
	ret = rte_eth_rx_queue_setup(port_id, 0, rx_descriptors, params->socket_id, NULL,
		params->pool);
	if (ret < 0)
		goto fail;
	step = "Tx queue";
	ret = rte_eth_tx_queue_setup(port_id, 0, tx_descriptors, params->socket_id, NULL);
	if (ret < 0)
		goto fail;
	step = "start";
	ret = rte_eth_dev_start(port_id);
	if (ret < 0)
		goto fail;
	return 0;

fail:
	return vmq_error_errno(err, -ret, "%s: %s: %s", ethdev->backend.text, step,
		rte_strerror(-ret));
}

static int
ethdev_open(struct vmq_backend *backend, const struct vmq_backend_params *params,
	struct vmq_error *err)
{
	struct ethdev_backend *ethdev = of(backend);
	uint64_t mark = vmq_log_mark();
	char said[256];
	int ret;

	snprintf(backend->text, sizeof(backend->text), "ethdev %s", params->device);
	ret = vmq_device_attach(params->device, &ethdev->port_id, err);
	if (ret < 0)
		return ret;
	ret = configure(ethdev, params, err);
	if (ret < 0) {
		vmq_log_since(mark, said, sizeof(said));
		if (said[0] != '\0')
			VMQ_LOG(ERR, "%s: the driver says: %s\n", backend->text, said);
		vmq_device_detach(ethdev->port_id);
	}
	return ret;
}

static int
ethdev_drain(struct vmq_backend *backend, struct vmq_error *err)
{
	struct ethdev_backend *ethdev = of(backend);
	struct rte_mbuf *packets[VMQ_BURST];
	unsigned int i;
	uint16_t n = 1;
	int ret;

	/* A loopback device (net_ring) has our own packets still to be received. */
	for (i = 0; i < DRAIN_BURSTS_MAX && n > 0; i++) {
		n = rte_eth_rx_burst(ethdev->port_id, 0, packets, VMQ_BURST);
		rte_pktmbuf_free_bulk(packets, n);
	}
	ret = rte_eth_dev_stop(ethdev->port_id);
	if (ret < 0)
		vmq_error_errno(err, -ret, "%s: stop: %s", backend->text, rte_strerror(-ret));
	return ret;
}

static void
ethdev_close(struct vmq_backend *backend)
{
	vmq_device_detach(of(backend)->port_id);
}

/*
 * A frame that the port cannot carry would stay at the head of the queue for ever:
 * net_tap and others take nothing from there on, of a frame that is too long or that
 * is shorter than an Ethernet header. Let go of it, one a call.
 */
static inline bool
carries(const struct ethdev_backend *ethdev, const struct rte_mbuf *packet)
{
	return packet->pkt_len <= ethdev->max_frame && packet->pkt_len >= RTE_ETHER_HDR_LEN;
}

static uint16_t
ethdev_tx_burst(struct vmq_backend *backend, struct rte_mbuf **packets, uint16_t n)
{
	struct ethdev_backend *ethdev = of(backend);
	uint16_t i;

	for (i = 0; i < n; i++)
		if (unlikely(!carries(ethdev, packets[i])))
			break;
	if (likely(i > 0))
		return rte_eth_tx_burst(ethdev->port_id, 0, packets, i);
	rte_pktmbuf_free(packets[0]);
	vmq_counter_add(&ethdev->failed, 1);
	return 1;
}

static uint16_t
ethdev_rx_burst(struct vmq_backend *backend, struct rte_mempool *pool, struct rte_mbuf **packets,
	uint16_t n)
{
	(void)pool; /* the one that its Rx queue was set up with */
	return rte_eth_rx_burst(of(backend)->port_id, 0, packets, n);
}

static void
ethdev_link_get(const struct vmq_backend *backend, struct vmq_backend_link *link)
{
	struct rte_eth_link eth;

	/* A driver that cannot tell is taken to be up. */
	if (rte_eth_link_get_nowait(of(backend)->port_id, &eth) < 0)
		link->up = true;
	else
		link->up = eth.link_status == RTE_ETH_LINK_UP;
	snprintf(link->text, sizeof(link->text), "%s",
		link->up ? "" : "the port's link is down");
}

static void
ethdev_stats_get(const struct vmq_backend *backend, struct vmq_backend_stats *stats)
{
	stats->failed = vmq_counter_get(&of(backend)->failed);
}

const struct vmq_backend_ops vmq_backend_ethdev = {
	.type = VMQ_BACKEND_ETHDEV,
	.name = "ethdev",
	.holds = true,
	.size = sizeof(struct ethdev_backend),
	.open = ethdev_open,
	.drain = ethdev_drain,
	.close = ethdev_close,
	.tx_burst = ethdev_tx_burst,
	.rx_burst = ethdev_rx_burst,
	.link_get = ethdev_link_get,
	.stats_get = ethdev_stats_get,
};
