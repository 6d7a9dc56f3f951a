/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * How long a packet takes from a port's receive ring to a VM that polls: the price of
 * gathering. usertools/vmq-bench runs it.
 *
 *	bench_latency EAL-ARGUMENTS -- SOCKET MODE VMS PACKETS PER-SECOND
 *
 * EAL needs two lcores. The second is vmqd's worker, MODE its mode (poll, adaptive). The
 * main one is both ends: it puts packets, PER-SECOND of them (0: as many as go, with no
 * more than a ring's worth on their way), into a net_ring port, and takes them out of the
 * VMs' rings again (net_virtio_user on SOCKET, SOCKET1 and so on). The time stamp counter
 * when a packet goes in travels in it. One JSON object goes to standard output.
 */

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_version.h>

#include <vmq_queue.h>

#define PROGRAM "bench_latency"
#include "bench.h"

#define VMS_MAX 16
#define DESCRIPTORS 1024
#define BUFFER_SIZE 2048
#define FRAME 60
#define STAMP_AT 32 /* behind what looks like an IPv4 header */
#define WARM_UP 2000
#define PACKETS_MAX 100000000
#define BURST 32
/* On their way at most, when as many go as can. */
#define WINDOW 512
#define WAIT_S 20
#define LOST_S 2 /* after which what has not come is lost */
/* As vmqd has it, if its document does not say otherwise. */
#define MAX_SLEEP_US 2000

struct bench {
	struct vmq_host *host;
	struct vmq_adapter *adapter;
	uint16_t source; /* the port that packets are put into */
	struct rte_mempool *packets, *guest_pool;
	uint16_t guests[VMS_MAX];
	unsigned int n_vms;
	uint64_t sent, received, target;
	double *latency_us;
};

static struct vmq_queue_params
queue_params(const char *name, uint32_t buffers)
{
	return (struct vmq_queue_params){
		.name = name,
		.memory = {.buffers = buffers, .limit = buffers, .buffer_size = BUFFER_SIZE,
			.node = SOCKET_ID_ANY},
		.backend = {.type = VMQ_BACKEND_SINK},
	};
}

static void
start_adapter(struct bench *bench, unsigned int lcore)
{
	struct vmq_adapter_params params = {
		.name = "bench",
		.port = {.device = "net_ring_latency", .rx_descriptors = DESCRIPTORS,
			.tx_queues = 1, .mtu = 1500},
		.default_queue = queue_params("default", 8192),
	};
	struct vmq_error err;

	bench->host = vmq_host_create(&lcore, 1);
	if (bench->host == NULL)
		die("worker", rte_strerror(rte_errno));
	bench->adapter = vmq_adapter_start(bench->host, &params, &err);
	if (bench->adapter == NULL)
		die("adapter", err.text);
	if (rte_eth_dev_get_port_by_name("net_ring_latency", &bench->source) < 0)
		die("adapter", "its port is not there");
}

static void
add_vm(struct bench *bench, const char *socket, unsigned int vm)
{
	struct vmq_queue_params params = queue_params("vm", 4096);
	const struct vmq_filter_match match = {
		.mac = {{0x52, 0x54, 0, 0, 0, (uint8_t)(vm + 1)}},
		.has_mac = true,
	};
	struct vmq_queue_completion item = {0};
	struct vmq_error err;
	uint32_t filter;
	char path[108];

	if (snprintf(path, sizeof(path), "%s%u", socket, vm) >= (int)sizeof(path))
		die(socket, "the path is too long");
	params.backend.type = VMQ_BACKEND_VHOST;
	params.backend.vhost = (struct vmq_backend_vhost){.socket = path, .server = true};
	if (vmq_queue_allocate(bench->adapter, &params, &item.id, &err) != VMQ_STATUS_SUCCESS ||
		vmq_queue_set_filter(bench->adapter, item.id, &match, &filter, &err) !=
			VMQ_STATUS_SUCCESS)
		die("queue", err.text);
	if (vmq_queue_complete(bench->adapter, &item, 1, NULL, NULL) != VMQ_STATUS_SUCCESS)
		die("queue", item.error.text);
}

static void
add_guest(struct bench *bench, const char *socket, unsigned int vm)
{
	const struct rte_eth_conf conf = {0};
	char name[32], arguments[160];
	uint16_t port;

	snprintf(name, sizeof(name), "net_virtio_user%u", vm);
	snprintf(arguments, sizeof(arguments), "path=%s%u,queue_size=%u", socket, vm, DESCRIPTORS);
	if (rte_eal_hotplug_add("vdev", name, arguments) < 0 ||
		rte_eth_dev_get_port_by_name(name, &port) < 0 ||
		rte_eth_dev_configure(port, 1, 1, &conf) < 0 ||
		rte_eth_rx_queue_setup(port, 0, DESCRIPTORS, SOCKET_ID_ANY, NULL,
			bench->guest_pool) < 0 ||
		rte_eth_tx_queue_setup(port, 0, DESCRIPTORS, SOCKET_ID_ANY, NULL) < 0 ||
		rte_eth_dev_start(port) < 0)
		die(name, "the VM's port did not start");
	bench->guests[vm] = port;
}

static void
wait_for_guests(const struct bench *bench)
{
	const uint64_t end = rte_rdtsc() + WAIT_S * rte_get_tsc_hz();
	struct vmq_queue_info info;
	unsigned int up;
	int id;

	do {
		up = 0;
		vmq_host_progress(bench->host);
		rte_delay_us_sleep(1000);
		for (id = 0; (id = vmq_queue_next(bench->adapter, id)) > 0;)
			if (vmq_queue_info_get(bench->adapter, (uint16_t)id, &info))
				up += info.backend_link.up;
		if (rte_rdtsc() > end)
			die("VMs", "they did not connect");
	} while (up < bench->n_vms);
}

/* Make packets of the next VMs, with the time, and put them into the port. */
static void
put_in(struct bench *bench, unsigned int n)
{
	struct rte_mbuf *packets[BURST];
	uint16_t sent;
	uint64_t now;
	uint8_t *data;
	unsigned int i;

	if (rte_pktmbuf_alloc_bulk(bench->packets, packets, n) < 0)
		return; /* all are on their way */
	for (i = 0; i < n; i++) {
		data = (uint8_t *)rte_pktmbuf_append(packets[i], FRAME);
		memset(data, 0, FRAME);
		memcpy(data, (const uint8_t[]){0x52, 0x54, 0, 0, 0,
			(uint8_t)((bench->sent + i) % bench->n_vms + 1), 2, 0, 0, 0, 0, 1, 8, 0},
			14);
		now = rte_rdtsc();
		memcpy(data + STAMP_AT, &now, sizeof(now));
	}
	sent = rte_eth_tx_burst(bench->source, 0, packets, (uint16_t)n);
	rte_pktmbuf_free_bulk(packets + sent, n - sent);
	bench->sent += sent;
}

static void
take_out(struct bench *bench)
{
	const double us = 1e6 / (double)rte_get_tsc_hz();
	struct rte_mbuf *packets[BURST];
	uint64_t now, then;
	unsigned int vm;
	uint16_t n, i;

	for (vm = 0; vm < bench->n_vms; vm++) {
		n = rte_eth_rx_burst(bench->guests[vm], 0, packets, BURST);
		now = rte_rdtsc();
		for (i = 0; i < n; i++) {
			memcpy(&then, rte_pktmbuf_mtod(packets[i], char *) + STAMP_AT,
				sizeof(then));
			if (bench->received >= WARM_UP && bench->received < WARM_UP + bench->target)
				bench->latency_us[bench->received - WARM_UP] =
					(double)(now - then) * us;
			bench->received++;
		}
		rte_pktmbuf_free_bulk(packets, n);
	}
}

/* Say where packets are that do not come any more. Returns how many were dropped. */
static uint64_t
count_drops(const struct bench *bench)
{
	struct vmq_queue_info info;
	enum vmq_drop reason;
	uint64_t dropped = 0;
	int id;

	for (id = -1; (id = vmq_queue_next(bench->adapter, id)) >= 0;) {
		if (!vmq_queue_info_get(bench->adapter, (uint16_t)id, &info))
			continue;
		dropped += info.packets.dropped;
		for (reason = 0; reason < VMQ_DROP_COUNT; reason++)
			if (info.packets.drops[reason] > 0)
				fprintf(stderr, PROGRAM ": queue %d dropped %" PRIu64 ": %s\n", id,
					info.packets.drops[reason], vmq_drop_help(reason));
	}
	return dropped;
}

/* Returns the seconds that it took. */
static double
measure(struct bench *bench, uint64_t per_second)
{
	const uint64_t hz = rte_get_tsc_hz(), all = WARM_UP + bench->target;
	const uint64_t step = per_second > 0 ? hz / per_second : 0;
	uint64_t begin = rte_rdtsc(), next = begin, moved = begin, before = 0, now;

	while (bench->received < all) {
		now = rte_rdtsc();
		if (step == 0) {
			if (bench->sent - bench->received < WINDOW)
				put_in(bench, BURST);
		} else if (now >= next && bench->sent < all) {
			/* One that could not be sent in time is sent late, not left out. */
			put_in(bench, 1);
			next += step;
		}
		take_out(bench);
		if (bench->received != before) {
			before = bench->received;
			moved = now;
			if (before <= WARM_UP)
				begin = now;
		} else if (now - moved > LOST_S * hz) {
			break; /* was what is missing dropped? */
		}
	}
	return (double)(moved - begin) / (double)hz;
}

static void
print_result(const struct bench *bench, double seconds)
{
	const uint64_t dropped = count_drops(bench);
	/* What was dropped has no latency. */
	const uint64_t n = bench->received > WARM_UP
		? RTE_MIN(bench->received - WARM_UP, bench->target) : 0;
	const double *sorted = bench->latency_us;

	if (n == 0 || (n < bench->target && dropped == 0))
		die("packets", "they do not arrive any more");
	qsort(bench->latency_us, n, sizeof(double), compare_doubles);
	printf("{\"measure\": \"latency\", \"packets\": %" PRIu64 ", \"vms\": %u, \"seconds\": %.4f, "
		"\"dropped\": %" PRIu64 ", \"mpps\": %.5f, \"min_us\": %.2f, \"p50_us\": %.2f, "
		"\"p90_us\": %.2f, \"p99_us\": %.2f, \"p999_us\": %.2f, \"max_us\": %.2f, \"dpdk\": \"%s\"}\n",
		n, bench->n_vms, seconds, dropped, (double)n / seconds / 1e6, sorted[0],
		sorted[n / 2], sorted[n * 90 / 100], sorted[n * 99 / 100], sorted[n * 999 / 1000], sorted[n - 1],
		rte_version());
}

static uint64_t
number(const char *text, uint64_t least, uint64_t most)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 10);

	if (*end != '\0' || end == text || value < least || value > most)
		die(text, "not a number, or out of range");
	return value;
}

int
main(int argc, char **argv)
{
	struct bench bench = {0};
	enum vmq_worker_mode mode;
	unsigned int vm;
	double seconds;

	/* A vhost-user message to a side that has gone must not end us. */
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		die("SIGPIPE", strerror(errno));
	begin(&argc, &argv);
	if (argc != 6 || rte_lcore_count() < 2)
		die("usage", "EAL-ARGUMENTS (of two lcores) -- SOCKET MODE VMS PACKETS PER-SECOND");
	for (mode = 0; mode < VMQ_WORKER_MODE_COUNT; mode++)
		if (strcmp(argv[2], vmq_worker_mode_name(mode)) == 0)
			break;
	if (mode == VMQ_WORKER_MODE_COUNT)
		die(argv[2], "no such mode of workers");
	bench.n_vms = (unsigned int)number(argv[3], 1, VMS_MAX);
	bench.target = number(argv[4], 1, PACKETS_MAX);
	bench.latency_us = calloc(bench.target, sizeof(double));
	bench.packets = rte_pktmbuf_pool_create("bench_packets", 4095, 256, 0,
		RTE_PKTMBUF_HEADROOM + BUFFER_SIZE, SOCKET_ID_ANY);
	bench.guest_pool = rte_pktmbuf_pool_create("bench_guest", bench.n_vms * 2048 + 1023, 256, 0,
		RTE_PKTMBUF_HEADROOM + BUFFER_SIZE, SOCKET_ID_ANY);
	if (bench.latency_us == NULL || bench.packets == NULL || bench.guest_pool == NULL)
		die("memory", "not enough");

	start_adapter(&bench, rte_get_next_lcore(-1, 1, 0));
	vmq_datapath_set_workers(vmq_host_datapath(bench.host),
		&(struct vmq_worker_params){.mode = mode, .max_sleep_us = MAX_SLEEP_US});
	for (vm = 0; vm < bench.n_vms; vm++)
		add_vm(&bench, argv[1], vm);
	if (vmq_host_start(bench.host) < 0)
		die("worker", "it did not start");
	for (vm = 0; vm < bench.n_vms; vm++)
		add_guest(&bench, argv[1], vm);
	wait_for_guests(&bench);
	seconds = measure(&bench, number(argv[5], 0, UINT64_C(1) << 32));
	print_result(&bench, seconds);

	vmq_host_stop(bench.host);
	for (vm = 0; vm < bench.n_vms; vm++)
		rte_eth_dev_stop(bench.guests[vm]);
	vmq_adapter_halt(bench.adapter);
	if (vmq_adapter_free(bench.adapter) > 0)
		die("memory", "a queue's was not all given back");
	vmq_host_free(bench.host);
	free(bench.latency_us);
	if (fflush(stdout) != 0 || ferror(stdout))
		die("standard output", strerror(errno));
	rte_eal_cleanup();
	return 0;
}
