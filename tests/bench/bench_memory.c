/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * What the memory of queues costs, beside DPDK's own pools; usertools/vmq-bench runs it
 * and does the statistics.
 *
 *	bench_memory EAL-ARGUMENTS -- burst|lifecycle|growth SAMPLES
 *
 * EAL needs one lcore beside the main one. One JSON object goes to standard output, with
 * a list for each series of samples. Samples of the two sides alternate, ours first, so
 * that whatever else the machine does meets both.
 */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_version.h>

#include <vmq_port.h>
#include <vmq_queue.h>
#include <vmq_shmem.h>

#define PROGRAM "bench_memory"
#include "bench.h"

#define BUFFERS 4096
#define BUFFER_SIZE 2048
#define DATA_ROOM (RTE_PKTMBUF_HEADROOM + BUFFER_SIZE)
#define BURST 32
#define BURSTS_PER_SAMPLE 2000
/* Of the default queue or of the pool that traffic is received into. */
#define SOURCE_BUFFERS 8192
#define SAMPLES_MAX 100000
/* As vmqd's control loop: how long it sleeps at most. */
#define TURN_MS 1
#define WAIT_S 30

struct series {
	const char *name;
	double *values;
};

static struct series
make_series(const char *name, unsigned int n)
{
	struct series series = {.name = name, .values = calloc(n, sizeof(double))};

	if (series.values == NULL)
		die(name, "no memory for samples");
	return series;
}

static void
print_result(const char *measure, const struct series *series, unsigned int n_series,
	unsigned int n)
{
	unsigned int i, j;

	printf("{\"measure\": \"%s\", \"hugepages\": %s, \"dpdk\": \"%s\"", measure,
		rte_eal_has_hugepages() ? "true" : "false", rte_version());
	for (i = 0; i < n_series; i++) {
		printf(", \"%s\": [", series[i].name);
		for (j = 0; j < n; j++)
			printf("%s%.2f", j == 0 ? "" : ", ", series[i].values[j]);
		printf("]");
		free(series[i].values);
	}
	printf("}\n");
}

static double
us_since(uint64_t start)
{
	return (double)(rte_rdtsc_precise() - start) * US_PER_S / (double)rte_get_tsc_hz();
}

/* Wait as a control loop does: until there is something to do, or for a turn. */
static void
wait_for_work(int fd, uint64_t start)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};

	if (poll(&one, 1, TURN_MS) < 0 && errno != EINTR)
		die("poll", strerror(errno));
	if (rte_rdtsc() - start > WAIT_S * rte_get_tsc_hz())
		die("waiting", "it did not end in time");
}

static struct vmq_pool *
make_pool(struct vmq_shmem *shmem, uint32_t buffers, uint32_t limit)
{
	const struct vmq_pool_params params = {
		.name = "bench_vmq",
		.limit = limit,
		.buffer_size = BUFFER_SIZE,
		.usage = VMQ_SHMEM_RECEIVE,
		.node = SOCKET_ID_ANY,
	};
	struct vmq_error err;
	struct vmq_pool *pool = vmq_pool_create(shmem, &params, &err);

	if (pool == NULL || vmq_pool_grow(pool, buffers, buffers, NULL, &err) != VMQ_STATUS_SUCCESS)
		die("pool", err.text);
	return pool;
}

static void
free_pool(struct vmq_shmem *shmem, struct vmq_pool *pool)
{
	struct vmq_error err;

	if (vmq_pool_destroy(pool, &err) < 0)
		die("pool", err.text);
	if (vmq_shmem_destroy(shmem) > 0)
		die("pool", "memory has leaked");
}

/* Take and put back bursts. Returns cycles per burst. */
static double
burst_sample(struct rte_mempool *mempool)
{
	void *objects[BURST];
	uint64_t start;
	unsigned int i;

	start = rte_rdtsc_precise();
	for (i = 0; i < BURSTS_PER_SAMPLE; i++) {
		if (unlikely(rte_mempool_get_bulk(mempool, objects, BURST) < 0))
			die("burst", "a pool of which all is at home gave no buffers");
		rte_mempool_put_bulk(mempool, objects, BURST);
	}
	return (double)(rte_rdtsc_precise() - start) / BURSTS_PER_SAMPLE;
}

/* The same as a worker does it, with what makes buffers packets. */
static double
packet_sample(struct rte_mempool *mempool)
{
	struct rte_mbuf *packets[BURST];
	uint64_t start;
	unsigned int i;

	start = rte_rdtsc_precise();
	for (i = 0; i < BURSTS_PER_SAMPLE; i++) {
		if (unlikely(rte_pktmbuf_alloc_bulk(mempool, packets, BURST) < 0))
			die("burst", "a pool of which all is at home gave no packets");
		rte_pktmbuf_free_bulk(packets, BURST);
	}
	return (double)(rte_rdtsc_precise() - start) / BURSTS_PER_SAMPLE;
}

/* A pool of ours and a plain one of the same objects: cycles per burst. */
static void
measure_burst(unsigned int n)
{
	struct vmq_shmem *shmem = vmq_shmem_create(&(struct vmq_shmem_config){.name = "bench"});
	struct series ours = make_series("vmq_cycles", n), theirs = make_series("plain_cycles", n);
	struct series our_packets = make_series("vmq_packet_cycles", n);
	struct series their_packets = make_series("plain_packet_cycles", n);
	struct rte_mempool *plain;
	struct vmq_pool *pool;
	unsigned int i;

	if (shmem == NULL)
		die("shared memory", rte_strerror(rte_errno));
	pool = make_pool(shmem, BUFFERS, BUFFERS);
	plain = rte_pktmbuf_pool_create_by_ops("bench_plain", BUFFERS, 0,
		sizeof(struct vmq_buffer_info), DATA_ROOM, SOCKET_ID_ANY, "ring_mp_mc");
	if (plain == NULL)
		die("plain pool", rte_strerror(rte_errno));
	burst_sample(vmq_pool_mempool(pool)); /* both warm */
	burst_sample(plain);
	for (i = 0; i < n; i++) {
		ours.values[i] = burst_sample(vmq_pool_mempool(pool));
		theirs.values[i] = burst_sample(plain);
	}
	for (i = 0; i < n; i++) {
		our_packets.values[i] = packet_sample(vmq_pool_mempool(pool));
		their_packets.values[i] = packet_sample(plain);
	}
	rte_mempool_free(plain);
	free_pool(shmem, pool);
	print_result("burst", (const struct series[]){ours, theirs, our_packets, their_packets}, 4,
		n);
}

/* Make and free a pool as any DPDK program does. */
static void
plain_sample(double *create_us, double *free_us)
{
	struct rte_mempool *pool;
	uint64_t start;

	start = rte_rdtsc_precise();
	pool = rte_pktmbuf_pool_create("bench_plain", BUFFERS, 0, 0, DATA_ROOM, SOCKET_ID_ANY);
	*create_us = us_since(start);
	if (pool == NULL)
		die("plain pool", rte_strerror(rte_errno));
	start = rte_rdtsc_precise();
	rte_mempool_free(pool);
	*free_us = us_since(start);
}

/* How far a queue is. */
struct cycle {
	bool running, gone;
};

static void
on_complete(void *arg, const struct vmq_queue_completion *batch, uint16_t n)
{
	struct cycle *cycle = arg;

	if (n != 1 || batch->status != VMQ_STATUS_SUCCESS)
		die("completion", batch->error.text);
	if (batch->buffers != BUFFERS)
		die("completion", "it has not all buffers");
	cycle->running = true;
}

static void
on_freed(void *arg, uint16_t id, enum vmq_status status)
{
	struct cycle *cycle = arg;

	(void)id;
	if (status != VMQ_STATUS_SUCCESS)
		die("freeing", "it was not freed");
	cycle->gone = true;
}

/* Allocate -> complete -> running, and free -> gone, of a queue with a filter. */
static void
queue_sample(struct vmq_host *host, struct vmq_adapter *adapter, double *start_us, double *stop_us)
{
	static const struct vmq_filter_match match = {
		.has_mac = true,
		.mac = {{2, 0, 0, 0, 0, 1}},
		.vlan_test = VMQ_VLAN_ID,
		.vlan_id = 1,
	};
	const struct vmq_queue_params params = {
		.name = "bench",
		.memory = {.buffers = BUFFERS, .limit = BUFFERS, .buffer_size = BUFFER_SIZE,
			.node = SOCKET_ID_ANY},
		.backend = {.type = VMQ_BACKEND_SINK},
	};
	struct vmq_queue_completion item;
	struct cycle cycle = {0};
	struct vmq_error err;
	uint32_t filter_id;
	uint64_t start;
	uint16_t id;

	start = rte_rdtsc_precise();
	if (vmq_queue_allocate(adapter, &params, &id, &err) != VMQ_STATUS_SUCCESS)
		die("allocate", err.text);
	if (vmq_queue_set_filter(adapter, id, &match, &filter_id, &err) != VMQ_STATUS_SUCCESS)
		die("set filter", err.text);
	item = (struct vmq_queue_completion){.id = id};
	if (vmq_queue_complete(adapter, &item, 1, on_complete, &cycle) != VMQ_STATUS_PENDING)
		die("complete", "it is not pending");
	for (vmq_host_progress(host); !cycle.running; vmq_host_progress(host))
		wait_for_work(vmq_host_fd(host), start);
	*start_us = us_since(start);

	if (vmq_queue_clear_filter(adapter, filter_id, &err) != VMQ_STATUS_SUCCESS)
		die("clear filter", err.text);
	start = rte_rdtsc_precise();
	if (vmq_queue_free(adapter, id, on_freed, &cycle, &err) != VMQ_STATUS_PENDING)
		die("free", err.text);
	for (vmq_host_progress(host); !cycle.gone; vmq_host_progress(host))
		wait_for_work(vmq_host_fd(host), start);
	*stop_us = us_since(start);
}

/* The life of a queue, on an adapter that receives at full speed, and of a plain pool. */
static void
measure_lifecycle(unsigned int n)
{
	const struct vmq_adapter_params params = {
		.name = "bench",
		.port = {.device = "net_null0", .rx_descriptors = 512, .tx_queues = 1, .mtu = 1500},
		.default_queue = {
			.name = "default",
			.memory = {.buffers = SOURCE_BUFFERS, .limit = SOURCE_BUFFERS,
				.buffer_size = BUFFER_SIZE, .node = SOCKET_ID_ANY},
			.backend = {.type = VMQ_BACKEND_SINK},
		},
	};
	struct series start = make_series("start_us", n), stop = make_series("stop_us", n);
	struct series create = make_series("create_us", n), freed = make_series("free_us", n);
	const unsigned int lcore = rte_get_next_lcore(-1, 1, 0);
	struct vmq_adapter *adapter;
	struct vmq_host *host;
	struct vmq_error err;
	double ignored;
	unsigned int i;

	host = vmq_host_create(&lcore, 1);
	if (host == NULL)
		die("workers", rte_strerror(rte_errno));
	adapter = vmq_adapter_start(host, &params, &err);
	if (adapter == NULL)
		die("adapter", err.text);
	if (vmq_host_start(host) < 0)
		die("workers", "they did not start");
	queue_sample(host, adapter, &ignored, &ignored); /* what is made once, is made */
	plain_sample(&ignored, &ignored);
	for (i = 0; i < n; i++) {
		queue_sample(host, adapter, &start.values[i], &stop.values[i]);
		plain_sample(&create.values[i], &freed.values[i]);
	}
	vmq_host_stop(host);
	vmq_adapter_halt(adapter);
	if (vmq_adapter_free(adapter) > 0)
		die("adapter", "memory has leaked");
	vmq_host_free(host);
	print_result("lifecycle", (const struct series[]){start, stop, create, freed}, 4, n);
}

struct receiver {
	uint16_t port_id;
	atomic_bool stop; /* main: wo; worker: ro */
	_Atomic uint64_t received; /* worker: wo; main: ro */
};

static int
receive(void *arg)
{
	struct receiver *receiver = arg;
	struct rte_mbuf *packets[BURST];
	uint64_t received = 0;
	uint16_t n;

	while (!atomic_load_explicit(&receiver->stop, memory_order_relaxed)) {
		n = rte_eth_rx_burst(receiver->port_id, 0, packets, BURST);
		rte_pktmbuf_free_bulk(packets, n);
		received += n;
		atomic_store_explicit(&receiver->received, received, memory_order_relaxed);
	}
	return 0;
}

struct growth {
	bool grown, returned;
};

static void
on_pool_event(void *arg, struct vmq_pool *pool, enum vmq_pool_event event, uint32_t buffers)
{
	struct growth *growth = arg;

	(void)pool;
	if (buffers != BUFFERS)
		die("growth", "not the block that was asked for");
	growth->grown |= event == VMQ_POOL_GROWN;
	growth->returned |= event == VMQ_POOL_RETURNED;
}

/* From the request for a block to the event; the block is given back outside of it. */
static double
growth_sample(struct vmq_pool *pool, struct vmq_jobs *jobs, struct growth *growth)
{
	struct vmq_error err;
	uint64_t start;
	double us;

	*growth = (struct growth){0};
	start = rte_rdtsc_precise();
	if (vmq_pool_grow_async(pool, BUFFERS, BUFFERS, &err) != VMQ_STATUS_PENDING)
		die("growth", err.text);
	for (vmq_jobs_finish(jobs, false); !growth->grown; vmq_jobs_finish(jobs, false))
		wait_for_work(vmq_jobs_fd(jobs), start);
	us = us_since(start);

	start = rte_rdtsc();
	if (vmq_pool_retire(pool, &err) != VMQ_STATUS_PENDING)
		die("giving back", err.text);
	for (vmq_jobs_finish(jobs, false); !growth->returned; vmq_jobs_finish(jobs, false)) {
		vmq_pool_progress(pool);
		wait_for_work(vmq_jobs_fd(jobs), start);
	}
	return us;
}

/* One block more for a pool that a worker receives into at full speed. */
static void
measure_growth(unsigned int n)
{
	const struct vmq_port_params params = {
		.device = "net_null0", .rx_descriptors = 512, .tx_queues = 1, .mtu = 1500};
	struct series grow = make_series("grow_us", n), create = make_series("create_us", n);
	const unsigned int lcore = rte_get_next_lcore(-1, 1, 0);
	struct receiver receiver = {0};
	struct growth growth = {0};
	struct vmq_shmem *shmem;
	struct vmq_jobs *jobs;
	struct vmq_port *port;
	struct vmq_pool *pool;
	struct vmq_error err;
	double ignored;
	unsigned int i;

	jobs = vmq_jobs_create();
	if (jobs == NULL)
		die("helper thread", rte_strerror(rte_errno));
	shmem = vmq_shmem_create(&(struct vmq_shmem_config){.name = "bench", .jobs = jobs});
	if (shmem == NULL)
		die("shared memory", rte_strerror(rte_errno));
	pool = make_pool(shmem, BUFFERS, 2 * BUFFERS);
	vmq_pool_set_callback(pool, on_pool_event, &growth);
	port = vmq_port_open(&params, &err);
	if (port == NULL || vmq_port_start(port, vmq_pool_mempool(pool), NULL, &err) < 0)
		die("port", err.text);
	receiver.port_id = vmq_port_id(port);
	if (rte_eal_remote_launch(receive, &receiver, lcore) < 0)
		die("worker", "it did not start");
	while (atomic_load(&receiver.received) == 0)
		rte_delay_us_sleep(1000);

	growth_sample(pool, jobs, &growth);
	plain_sample(&ignored, &ignored);
	for (i = 0; i < n; i++) {
		grow.values[i] = growth_sample(pool, jobs, &growth);
		plain_sample(&create.values[i], &ignored);
	}
	atomic_store(&receiver.stop, true);
	rte_eal_wait_lcore(lcore);
	vmq_port_stop(port);
	vmq_port_close(port);
	free_pool(shmem, pool);
	vmq_jobs_destroy(jobs);
	print_result("growth", (const struct series[]){grow, create}, 2, n);
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(unsigned int n);
	} measures[] = {
		{"burst", measure_burst},
		{"lifecycle", measure_lifecycle},
		{"growth", measure_growth},
	};
	unsigned long n;
	unsigned int i;
	char *end;

	begin(&argc, &argv);
	if (argc != 3 || rte_lcore_count() < 2)
		die("usage", "EAL-ARGUMENTS (of two lcores) -- burst|lifecycle|growth SAMPLES");
	n = strtoul(argv[2], &end, 10);
	if (*end != '\0' || n == 0 || n > SAMPLES_MAX)
		die(argv[2], "not a number of samples");
	for (i = 0; i < RTE_DIM(measures); i++)
		if (strcmp(argv[1], measures[i].name) == 0)
			break;
	if (i == RTE_DIM(measures))
		die(argv[1], "no such measure");
	measures[i].run((unsigned int)n);
	if (fflush(stdout) != 0 || ferror(stdout))
		die("standard output", strerror(errno));
	rte_eal_cleanup();
	return 0;
}
