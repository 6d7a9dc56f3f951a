/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * TSC cycles of a packet that is steered into the queue of its VM, beside a packet that
 * is only received: for who works on the data path, also on a machine in use.
 *
 *	bench_steer EAL-ARGUMENTS -- CAPTURE VMS FILTERS SECONDS
 *
 * EAL needs one lcore beside the main one. CAPTURE is received for ever, with net_pcap;
 * usertools/make-traffic --vms FILTERS --total 4096 makes one. The filters are spread
 * over the VMs, whose queues go to sinks. Both sides run in one process, in turn, on the
 * same lcore; their time is cut into windows of some milliseconds, and what counts is the
 * tenth part of the windows that was least disturbed.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include <vmq_queue.h>

#define PROGRAM "bench_steer"
#include "bench.h"

#define BUFFERS 8192
#define BURST 32

static struct windows steered, received;
static volatile bool stop;

/* What testpmd's rxonly does. */
static int
receive_only(void *arg)
{
	const uint16_t port = *(const uint16_t *)arg;
	struct rte_mbuf *packets[BURST];
	uint64_t begin, n_packets;
	uint16_t n, i;

	while (!stop) {
		begin = rte_rdtsc();
		for (n_packets = 0; n_packets < WINDOW_PACKETS && !stop; n_packets += n) {
			n = rte_eth_rx_burst(port, 0, packets, BURST);
			for (i = 0; i < n; i++)
				rte_pktmbuf_free(packets[i]);
		}
		add_window(&received, rte_rdtsc() - begin, n_packets);
	}
	return 0;
}

static uint16_t
open_plain_port(const char *capture)
{
	struct rte_eth_conf conf = {0};
	struct rte_mempool *pool;
	char device[512];
	struct vmq_error err;
	uint16_t port;

	snprintf(device, sizeof(device), "net_pcap1,rx_pcap=%s,infinite_rx=1", capture);
	if (vmq_device_attach(device, &port, &err) < 0)
		die("plain port", err.text);
	pool = rte_pktmbuf_pool_create("plain", BUFFERS, 250, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
		SOCKET_ID_ANY);
	if (pool == NULL || rte_eth_dev_configure(port, 1, 1, &conf) < 0 ||
		rte_eth_rx_queue_setup(port, 0, 512, 0, NULL, pool) < 0 ||
		rte_eth_tx_queue_setup(port, 0, 512, 0, NULL) < 0 || rte_eth_dev_start(port) < 0)
		die("plain port", rte_strerror(rte_errno));
	return port;
}

static struct vmq_adapter *
start_adapter(struct vmq_host *host, const char *capture)
{
	struct vmq_adapter_params params = {
		.name = "bench",
		.port = {.rx_descriptors = 512, .tx_queues = 1, .mtu = 1500},
		.default_queue = {
			.name = "default",
			.memory = {.buffers = BUFFERS, .limit = BUFFERS, .buffer_size = 2048,
				.node = SOCKET_ID_ANY},
			.backend = {.type = VMQ_BACKEND_SINK},
		},
	};
	struct vmq_adapter *adapter;
	struct vmq_error err;
	char device[512];

	snprintf(device, sizeof(device), "net_pcap0,rx_pcap=%s,infinite_rx=1", capture);
	params.port.device = device;
	adapter = vmq_adapter_start(host, &params, &err);
	if (adapter == NULL)
		die("adapter", err.text);
	return adapter;
}

/* As usertools/make-traffic numbers them: MAC 52:54:00:00:n:n, VLAN n. */
static void
make_queues(struct vmq_adapter *adapter, unsigned int vms, unsigned int filters)
{
	struct vmq_queue_completion *batch = calloc(vms, sizeof(*batch));
	struct vmq_error err = {{0}};
	uint32_t filter_id;
	unsigned int i;

	vmq_adapter_begin(adapter);
	for (i = 0; i < vms; i++) {
		const struct vmq_queue_params params = {
			.name = "vm",
			.vm = "vm",
			.memory = {.buffers = 64, .limit = 64, .buffer_size = 256,
				.node = SOCKET_ID_ANY},
			.backend = {.type = VMQ_BACKEND_SINK},
		};

		if (vmq_queue_allocate(adapter, &params, &batch[i].id, &err) != VMQ_STATUS_SUCCESS)
			die("queue", err.text);
	}
	for (i = 1; i <= filters; i++) {
		const struct vmq_filter_match match = {
			.has_mac = true,
			.mac = {{0x52, 0x54, 0, 0, (uint8_t)(i >> 8), (uint8_t)i}},
			.vlan_test = VMQ_VLAN_ID,
			.vlan_id = (uint16_t)((i - 1) % 4094 + 1),
		};

		if (vmq_queue_set_filter(adapter, batch[(i - 1) % vms].id, &match, &filter_id,
			&err) != VMQ_STATUS_SUCCESS)
			die("filter", err.text);
	}
	if (vmq_queue_complete(adapter, batch, (uint16_t)vms, NULL, NULL) != VMQ_STATUS_SUCCESS)
		die("queues", batch[0].error.text);
	if (vmq_adapter_commit(adapter, &err) != VMQ_STATUS_SUCCESS)
		die("filters", err.text);
	free(batch);
}

static void
steer(struct vmq_host *host)
{
	if (vmq_host_start(host) < 0)
		die("workers", "they do not start");
	watch(vmq_host_datapath(host), 0, &steered);
	vmq_host_stop(host);
}

static void
only_receive(unsigned int lcore, uint16_t port)
{
	stop = false;
	if (rte_eal_remote_launch(receive_only, &port, lcore) < 0)
		die("worker", "it is busy");
	usleep(ROUND_US);
	stop = true;
	rte_eal_wait_lcore(lcore);
}

static void
check_fair(struct vmq_adapter *adapter)
{
	struct vmq_queue_info info;
	int id;

	for (id = -1; (id = vmq_queue_next(adapter, id)) >= 0;) {
		vmq_queue_info_get(adapter, (uint16_t)id, &info);
		if (info.packets.dropped > 0)
			die("not a fair run", "packets were dropped");
		if (id == VMQ_DEFAULT_QUEUE_ID && info.packets.received > 0)
			die("not a fair run", "packets went to the default queue");
	}
}

int
main(int argc, char **argv)
{
	unsigned int vms, filters, rounds, lcore, i;
	struct vmq_adapter *adapter;
	struct vmq_host *host;
	double ours, theirs;
	uint16_t port;

	begin(&argc, &argv);
	if (argc != 5)
		die("arguments", "CAPTURE VMS FILTERS SECONDS");
	vms = (unsigned int)atoi(argv[2]);
	filters = (unsigned int)atoi(argv[3]);
	rounds = (unsigned int)atoi(argv[4]) * US_PER_S / ROUND_US / 2;
	lcore = rte_get_next_lcore(-1, 1, 0);
	if (lcore >= RTE_MAX_LCORE || vms == 0 || filters < vms || rounds == 0)
		die("arguments", "two lcores, VMs, as many filters, and a second at least");

	host = vmq_host_create(&lcore, 1);
	if (host == NULL)
		die("host", rte_strerror(rte_errno));
	adapter = start_adapter(host, argv[1]);
	make_queues(adapter, vms, filters);
	port = open_plain_port(argv[1]);
	for (i = 0; i < rounds; i++) {
		steer(host);
		only_receive(lcore, port);
	}
	check_fair(adapter);
	ours = quick_tenth(&steered);
	theirs = quick_tenth(&received);
	printf("{\"vms\": %u, \"filters\": %u, \"cycles\": %.1f, \"rxonly_cycles\": %.1f, "
	       "\"ratio_rxonly\": %.3f, \"best\": %.1f, \"rxonly_best\": %.1f}\n",
		vms, filters, ours, theirs, theirs / ours, steered.cycles[0], received.cycles[0]);
	print_stages(vmq_host_datapath(host), 0);
	rte_eth_dev_stop(port);
	vmq_adapter_halt(adapter);
	vmq_adapter_free(adapter);
	vmq_host_free(host);
	rte_eal_cleanup();
	return 0;
}
