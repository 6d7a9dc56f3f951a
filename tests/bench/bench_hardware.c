/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * TSC cycles of a packet of a hardware queue, polled straight to its VM's backend, beside a
 * packet of the same Rx queues that is only received.
 *
 *	bench_hardware EAL-ARGUMENTS -- VMS SECONDS [keep_tags]
 *
 * EAL needs one lcore beside the main one. A NIC that steers is played by net_pcap with an
 * Rx queue for each VM (up to 16), which receives that VM's frames for ever: 64 bytes, each
 * VM with a MAC and a VLAN, queues with pools as the daemon makes them, to sinks. Both sides
 * run in one process, in turn, on the same lcore; what counts is the tenth part of windows
 * of some milliseconds that was least disturbed. Frames have a tag, which software takes out
 * of each; with keep_tags it stays, as for trunks and where the NIC takes it out.
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

#include <vmq_datapath.h>
#include <vmq_shmem.h>

#define PROGRAM "bench_hardware"
#include "bench.h"

#define VMS_MAX 16
#define FRAMES 64 /* in a capture */
#define BUFFERS 4096
#define BUFFER_SIZE 2048
#define DESCRIPTORS 512

/* A VM: its memory, its queue, and its hardware queue. */
struct vm {
	struct vmq_pool *pool;
	struct vmq_backend *backend;
	struct vmq_dp_queue *queue;
	struct vmq_dp_hw *hw;
};

struct bench {
	unsigned int n;
	bool keep_tags;
	uint16_t port, plain_port;
	struct vmq_datapath *dp;
	struct vmq_dp_source *source; /* of the default queue, which gets nothing */
	struct vmq_filter_set *filters;
	struct vm vms[VMS_MAX + 1]; /* [0] is the default queue */
};

static struct windows steered, received;
static volatile bool stop;
static char folder[] = "/tmp/bench_hardware.XXXXXX";

/* As testpmd's rxonly with several queues. */
static int
receive_only(void *arg)
{
	const struct bench *bench = arg;
	struct rte_mbuf *packets[VMQ_BURST];
	uint64_t begin, n_packets;
	uint16_t n, i, queue = 0;

	while (!stop) {
		begin = rte_rdtsc();
		for (n_packets = 0; n_packets < WINDOW_PACKETS && !stop; n_packets += n) {
			n = rte_eth_rx_burst(bench->plain_port, queue, packets, VMQ_BURST);
			for (i = 0; i < n; i++)
				rte_pktmbuf_free(packets[i]);
			if (++queue == bench->n)
				queue = 0;
		}
		add_window(&received, rte_rdtsc() - begin, n_packets);
	}
	return 0;
}

static void
path_of(unsigned int vm, char *path, size_t size)
{
	snprintf(path, size, "%s/%u.pcap", folder, vm);
}

static struct rte_ether_addr
mac_of(unsigned int vm)
{
	return (struct rte_ether_addr){{0x52, 0x54, 0, 0, 0, (uint8_t)vm}};
}

/* Frames to a VM, as in a capture file: 60 bytes, the check sum is not in it. */
static void
write_capture(unsigned int vm)
{
	const uint32_t head[] = {0xa1b2c3d4, 4 << 16 | 2, 0, 0, 65535, 1};
	const uint32_t record[] = {0, 0, 60, 60};
	const uint8_t frame[60] = {0x52, 0x54, 0, 0, 0, (uint8_t)vm, 2, 0, 0, 0, 0, 1, 0x81, 0, 0,
		(uint8_t)vm, 0x88, 0xb5};
	char path[64];
	FILE *file;
	int i;

	path_of(vm, path, sizeof(path));
	file = fopen(path, "w");
	if (file == NULL)
		die(path, "it cannot be written");
	fwrite(head, sizeof(head), 1, file);
	for (i = 0; i < FRAMES; i++) {
		fwrite(record, sizeof(record), 1, file);
		fwrite(frame, sizeof(frame), 1, file);
	}
	if (fclose(file) != 0)
		die(path, "it cannot be written");
}

static void
remove_captures(void)
{
	char path[64];
	unsigned int vm;

	for (vm = 1; vm <= VMS_MAX; vm++) {
		path_of(vm, path, sizeof(path));
		unlink(path);
	}
	rmdir(folder);
}

/* A port with an Rx queue for each VM; pools[i] is what queue i receives into. */
static uint16_t
open_port(unsigned int number, unsigned int n, struct rte_mempool *const *pools)
{
	const struct rte_eth_conf conf = {0};
	char device[1024], path[64];
	struct vmq_error err;
	unsigned int vm;
	size_t length;
	uint16_t port;

	length = (size_t)snprintf(device, sizeof(device), "net_pcap%u,infinite_rx=1", number);
	for (vm = 1; vm <= n; vm++) {
		path_of(vm, path, sizeof(path));
		length += (size_t)snprintf(device + length, sizeof(device) - length, ",rx_pcap=%s",
			path);
	}
	if (vmq_device_attach(device, &port, &err) < 0)
		die("port", err.text);
	if (rte_eth_dev_configure(port, (uint16_t)n, 1, &conf) < 0 ||
		rte_eth_tx_queue_setup(port, 0, DESCRIPTORS, 0, NULL) < 0)
		die("port", rte_strerror(rte_errno));
	for (vm = 0; vm < n; vm++)
		if (rte_eth_rx_queue_setup(port, (uint16_t)vm, DESCRIPTORS, 0, NULL, pools[vm]) < 0)
			die("port", rte_strerror(rte_errno));
	if (rte_eth_dev_start(port) < 0)
		die("port", rte_strerror(rte_errno));
	return port;
}

static void
make_vm(struct bench *bench, struct vmq_shmem *shmem, uint16_t id)
{
	struct vm *vm = &bench->vms[id];
	struct vmq_filter_match match = {.has_mac = true, .mac = mac_of(id),
		.vlan_test = VMQ_VLAN_ID, .vlan_id = id};
	struct vmq_error err;
	char name[16];
	uint32_t filter;

	snprintf(name, sizeof(name), "vm%u", id);
	vm->pool = vmq_pool_create(shmem, &(struct vmq_pool_params){
		.name = name,
		.queue_id = id,
		.limit = BUFFERS,
		.buffer_size = BUFFER_SIZE,
		.usage = VMQ_SHMEM_RECEIVE,
		.cache_size = VMQ_POOL_CACHE_MAX,
		.node = SOCKET_ID_ANY,
	}, &err);
	if (vm->pool == NULL ||
		vmq_pool_grow(vm->pool, BUFFERS, BUFFERS, NULL, &err) != VMQ_STATUS_SUCCESS)
		die("memory", err.text);
	vm->backend = vmq_backend_open(&(struct vmq_backend_params){.type = VMQ_BACKEND_SINK}, &err);
	if (vm->backend == NULL)
		die("backend", err.text);
	vm->queue = vmq_dp_queue_create(&(struct vmq_dp_queue_params){
		.id = id,
		.backend = vm->backend,
		.pool = vmq_pool_mempool(vm->pool),
		.limit = BUFFERS,
		.received_into_pool = true,
		.reserve = 2 * VMQ_BURST,
		.n_workers = 1,
	});
	if (vm->queue == NULL)
		die("queue", rte_strerror(rte_errno));
	vmq_dp_queue_run(vm->queue, true);
	if (id != VMQ_DEFAULT_QUEUE_ID &&
		vmq_filter_add(bench->filters, id, &match, &filter, &err) != VMQ_STATUS_SUCCESS)
		die("filter", err.text);
}

/* Tell the worker of the hardware queues. The default queue's source is nobody's work. */
static void
publish(struct bench *bench)
{
	struct vmq_classifier_queue classes[VMS_MAX + 1];
	struct vmq_dp_view *view = vmq_dp_view_create((uint16_t)(bench->n + 1), 0);
	const struct vmq_filter *filter;
	struct vmq_dp_hw *hw[VMS_MAX];
	uint32_t after;
	uint16_t i;

	if (view == NULL || !vmq_dp_view_make_slots(view, (uint16_t)bench->n, 0))
		die("view", rte_strerror(rte_errno));
	for (i = 0; i <= bench->n; i++) {
		classes[i] = (struct vmq_classifier_queue){
			.index = i, .keep_tags = bench->keep_tags, .active = true};
		view->queues[i] = bench->vms[i].queue;
		if (i == 0)
			continue;
		view->slots[i - 1].queue = bench->vms[i].queue;
		view->slots[i - 1].exact.index = i;
		view->slots[i - 1].exact.keep_tags = bench->keep_tags;
		hw[i - 1] = bench->vms[i].hw;
	}
	for (after = 0; (filter = vmq_filter_next(bench->filters, after)) != NULL;
		after = filter->id)
		vmq_exact_add(&view->slots[filter->queue_id - 1].exact, &filter->match);
	view->n_queues = (uint16_t)(bench->n + 1);
	view->classifier = vmq_classifier_build(bench->filters, classes, view->n_queues, 0);
	if (view->classifier == NULL)
		die("classifier", rte_strerror(rte_errno));
	vmq_dp_source_publish(bench->source, view);
	if (vmq_datapath_assign(bench->dp, 0, &(struct vmq_dp_assignment){
		.hw = hw, .n_hw = (uint16_t)bench->n}) < 0)
		die("worker", "no memory");
}

static void
make_bench(struct bench *bench, unsigned int lcore)
{
	struct rte_mempool *pools[VMS_MAX], *plain;
	struct vmq_shmem *shmem;
	uint16_t i;

	bench->filters = vmq_filter_set_create();
	bench->dp = vmq_datapath_create(&lcore, 1);
	shmem = vmq_shmem_create(&(struct vmq_shmem_config){.name = "bench"});
	plain = rte_pktmbuf_pool_create("plain", 8192, 250, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
		SOCKET_ID_ANY);
	if (bench->filters == NULL || bench->dp == NULL || shmem == NULL || plain == NULL)
		die("memory", rte_strerror(rte_errno));
	for (i = 0; i <= bench->n; i++)
		make_vm(bench, shmem, i);
	for (i = 0; i < bench->n; i++)
		pools[i] = vmq_pool_mempool(bench->vms[i + 1].pool);
	bench->port = open_port(0, bench->n, pools);
	for (i = 0; i < bench->n; i++)
		pools[i] = plain;
	bench->plain_port = open_port(1, bench->n, pools);
	bench->source = vmq_dp_source_create(bench->dp, 0, bench->port, 0,
		vmq_pool_mempool(bench->vms[0].pool));
	if (bench->source == NULL)
		die("source", rte_strerror(rte_errno));
	for (i = 0; i < bench->n; i++) {
		bench->vms[i + 1].hw = vmq_dp_hw_create(bench->dp, &(struct vmq_dp_hw_params){
			.source = bench->source,
			.slot = i,
			.port_id = bench->port,
			.rx_queue = i,
			.n_rx_queues = 1,
			.pool = vmq_pool_mempool(bench->vms[i + 1].pool),
		});
		if (bench->vms[i + 1].hw == NULL)
			die("hardware queue", rte_strerror(rte_errno));
		vmq_dp_hw_give(bench->vms[i + 1].hw, 0);
	}
	publish(bench);
}

static void
steer(struct bench *bench)
{
	if (vmq_datapath_start(bench->dp) < 0)
		die("worker", "it does not start");
	watch(bench->dp, 0, &steered);
	vmq_datapath_stop(bench->dp);
}

static void
only_receive(struct bench *bench, unsigned int lcore)
{
	stop = false;
	if (rte_eal_remote_launch(receive_only, bench, lcore) < 0)
		die("worker", "it is busy");
	usleep(ROUND_US);
	stop = true;
	rte_eal_wait_lcore(lcore);
}

static void
check_fair(const struct bench *bench)
{
	struct vmq_dp_queue_stats queue;
	struct vmq_dp_hw_stats hw;
	unsigned int i;

	for (i = 1; i <= bench->n; i++) {
		vmq_dp_queue_stats_get(bench->vms[i].queue, &queue);
		vmq_dp_hw_stats_get(bench->vms[i].hw, &hw);
		if (hw.received == 0 || hw.confirmed != hw.received ||
			queue.delivered != hw.received)
			die("not a fair run", "a VM did not get all of its frames by hardware");
	}
}

static void
print(const struct bench *bench)
{
	const double ours = quick_tenth(&steered), theirs = quick_tenth(&received);

	printf("{\"vms\": %u, \"keep_tags\": %s, \"cycles\": %.1f, \"rxonly_cycles\": %.1f, "
	       "\"ratio_rxonly\": %.3f, \"best\": %.1f, \"rxonly_best\": %.1f}\n",
		bench->n, bench->keep_tags ? "true" : "false", ours, theirs, theirs / ours,
		steered.cycles[0], received.cycles[0]);
	print_stages(bench->dp, 0);
}

int
main(int argc, char **argv)
{
	static struct bench bench;
	unsigned int rounds, lcore, i;

	begin(&argc, &argv);
	bench.keep_tags = argc == 4 && strcmp(argv[3], "keep_tags") == 0;
	if (argc != 3 && !bench.keep_tags)
		die("arguments", "VMS SECONDS [keep_tags]");
	bench.n = (unsigned int)atoi(argv[1]);
	rounds = (unsigned int)atoi(argv[2]) * US_PER_S / ROUND_US / 2;
	lcore = rte_get_next_lcore(-1, 1, 0);
	if (lcore >= RTE_MAX_LCORE || bench.n == 0 || bench.n > VMS_MAX || rounds == 0)
		die("arguments", "two lcores, 1 to 16 VMs, and a second at least");
	if (mkdtemp(folder) == NULL)
		die(folder, "it cannot be made");
	atexit(remove_captures);
	for (i = 1; i <= bench.n; i++)
		write_capture(i);
	make_bench(&bench, lcore);
	for (i = 0; i < rounds; i++) {
		steer(&bench);
		only_receive(&bench, lcore);
	}
	check_fair(&bench);
	print(&bench);
	rte_eal_cleanup(); /* the process's end frees the rest */
	return 0;
}
