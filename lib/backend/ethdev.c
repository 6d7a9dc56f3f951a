/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <bsd/string.h>

#include <rte_epoll.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_interrupts.h>

#include "ethdev_gate.h"
#include "vmq_backend_driver.h"

/* Descriptors of the port's rings; the driver may want another number. */
#define DESCRIPTORS 512
/* Bursts that closing takes out of the port: more than any ring holds. */
#define DRAIN_BURSTS_MAX 4096

struct ethdev_backend {
	struct vmq_backend backend;
	uint16_t port_id;
	uint32_t max_frame; /* in bytes */
	int epoll_fd; /* has the port's receive interrupt; -1: it has none, or nobody waits */
	vmq_counter_t failed;
	struct ethdev_gate gate;
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
	bool interrupts, struct vmq_error *err)
{
	const struct rte_eth_conf conf = {.intr_conf.rxq = interrupts};
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

/* Set the port up and start it, with receive interrupts where it takes that. */
static int
start(struct ethdev_backend *ethdev, const struct vmq_backend_params *params,
	struct vmq_error *err)
{
	if (params->interrupts && configure(ethdev, params, true, err) == 0)
		return 0;
	return configure(ethdev, params, false, err);
}

/*
 * The driver's descriptor is not to be polled by others than EAL, which knows whether it has
 * to be read: so it gets an epoll of its own, which can be polled. Edges are what it tells.
 */
static int
open_interrupts(struct ethdev_backend *ethdev, struct vmq_error *err)
{
	int ret;

	ethdev->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (ethdev->epoll_fd < 0)
		return vmq_error_errno(err, errno, "%s: interrupts: %s", ethdev->backend.text,
			strerror(errno));
	ret = rte_eth_dev_rx_intr_ctl_q(ethdev->port_id, 0, ethdev->epoll_fd, RTE_INTR_EVENT_ADD,
		NULL);
	if (ret == 0) {
		/* Where it cannot be switched it is always on (net_tap). */
		ret = rte_eth_dev_rx_intr_enable(ethdev->port_id, 0);
		if (ret == 0 || ret == -ENOTSUP) {
			rte_eth_dev_rx_intr_disable(ethdev->port_id, 0);
			return 0;
		}
		rte_eth_dev_rx_intr_ctl_q(ethdev->port_id, 0, ethdev->epoll_fd, RTE_INTR_EVENT_DEL,
			NULL);
	}
	/* Its worker finds out, and says it. */
	close(ethdev->epoll_fd);
	ethdev->epoll_fd = -1;
	return 0;
}

static void
close_interrupts(struct ethdev_backend *ethdev)
{
	if (ethdev->epoll_fd < 0)
		return;
	rte_eth_dev_rx_intr_ctl_q(ethdev->port_id, 0, ethdev->epoll_fd, RTE_INTR_EVENT_DEL, NULL);
	close(ethdev->epoll_fd);
	ethdev->epoll_fd = -1;
}

/* A socket that nobody listens at: one that is gone left it behind. */
static bool
is_dead_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	bool dead = false;
	struct stat st;
	int fd;

	if (strlcpy(address.sun_path, path, sizeof(address.sun_path)) >=
			sizeof(address.sun_path) ||
		lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	/* Of another type than memif's: who listens there is not disturbed. */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		dead = connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 &&
			errno == ECONNREFUSED;
		close(fd);
	}
	return dead;
}

/* net_memif cannot listen where a vmqd that was killed has left its socket. */
static void
remove_dead_socket(const char *device)
{
	char args[512], *rest = args, *arg, *path = NULL;
	bool server = false, is_file = false;

	if (strncmp(device, "net_memif", strlen("net_memif")) != 0 ||
		strlcpy(args, device, sizeof(args)) >= sizeof(args))
		return;
	while ((arg = strsep(&rest, ",")) != NULL) {
		server |= strcmp(arg, "role=server") == 0;
		is_file |= strcmp(arg, "socket-abstract=no") == 0;
		if (strncmp(arg, "socket=", strlen("socket=")) == 0)
			path = arg + strlen("socket=");
	}
	if (server && is_file && path != NULL && is_dead_socket(path) && unlink(path) < 0)
		VMQ_LOG(WARNING, "ethdev %s: a dead socket is in the way: %s\n", device,
			strerror(errno));
}

static int
ethdev_open(struct vmq_backend *backend, const struct vmq_backend_params *params,
	struct vmq_error *err)
{
	struct ethdev_backend *ethdev = of(backend);
	uint64_t mark = vmq_log_mark();
	struct rte_eth_dev_info info;
	char said[256];
	int ret;

	snprintf(backend->text, sizeof(backend->text), "ethdev %s", params->device);
	remove_dead_socket(params->device);
	ret = vmq_device_attach(params->device, &ethdev->port_id, err);
	if (ret < 0)
		return ret;
	ethdev->epoll_fd = -1;
	ret = start(ethdev, params, err);
	if (ret == 0 && params->interrupts)
		ret = open_interrupts(ethdev, err);
	if (ret < 0) {
		vmq_log_since(mark, said, sizeof(said));
		if (said[0] != '\0')
			VMQ_LOG(ERR, "%s: the driver says: %s\n", backend->text, said);
		vmq_device_detach(ethdev->port_id);
		return ret;
	}
	if (rte_eth_dev_info_get(ethdev->port_id, &info) == 0)
		ethdev_gate_open(&ethdev->gate, info.driver_name);
	return 0;
}

static int
ethdev_drain(struct vmq_backend *backend, struct vmq_error *err)
{
	struct ethdev_backend *ethdev = of(backend);
	struct rte_mbuf *packets[VMQ_BURST];
	unsigned int i;
	uint16_t n = 1;
	int ret;

	close_interrupts(ethdev);
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
	ethdev_gate_close(&of(backend)->gate);
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
	if (likely(i > 0)) {
		ethdev_gate_enter(&ethdev->gate);
		i = rte_eth_tx_burst(ethdev->port_id, 0, packets, i);
		ethdev_gate_leave(&ethdev->gate);
		return i;
	}
	rte_pktmbuf_free(packets[0]);
	vmq_counter_add(&ethdev->failed, 1);
	return 1;
}

static uint16_t
ethdev_rx_burst(struct vmq_backend *backend, struct rte_mempool *pool, struct rte_mbuf **packets,
	uint16_t n)
{
	struct ethdev_backend *ethdev = of(backend);

	(void)pool; /* the one that its Rx queue was set up with */
	ethdev_gate_enter(&ethdev->gate);
	n = rte_eth_rx_burst(ethdev->port_id, 0, packets, n);
	ethdev_gate_leave(&ethdev->gate);
	return n;
}

static int
ethdev_interrupt_fd(const struct vmq_backend *backend)
{
	return of(backend)->epoll_fd;
}

static int
ethdev_interrupt(struct vmq_backend *backend, bool on)
{
	const struct ethdev_backend *ethdev = of(backend);
	struct rte_epoll_event event;
	int ret;

	if (ethdev->epoll_fd < 0)
		return -ENOTSUP;
	if (on) {
		ret = rte_eth_dev_rx_intr_enable(ethdev->port_id, 0);
		return ret == 0 || ret == -ENOTSUP ? 0 : -EAGAIN;
	}
	rte_eth_dev_rx_intr_disable(ethdev->port_id, 0);
	/* What has rung is seen now; EAL reads what has to be read. */
	ret = rte_epoll_wait(ethdev->epoll_fd, &event, 1, 0);
	return ret < 0 ? -errno : 0;
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
	.interrupt_fd = ethdev_interrupt_fd,
	.interrupt = ethdev_interrupt,
	.link_get = ethdev_link_get,
	.stats_get = ethdev_stats_get,
};
