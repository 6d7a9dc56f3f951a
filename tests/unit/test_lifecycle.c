/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * Queues that come and go, grow and give back, and stand still, while others get
 * traffic: the real workers, pools, helper thread and ports, through lib/queue.
 */

#include "unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pcap/pcap.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>

#include <vmq_queue.h>

#define FRAME_BYTES 60
#define NUMBER_OFFSET 14
#define BUFFER_SIZE 256
#define SOURCE_BUFFERS 8191

/* The life of 10,000 queues, some of them together. */
#define CYCLES 10000
#define CYCLES_ON_ONE_CPU 1000
#define TOGETHER 20
#define RESIDENTS 3
#define CYCLE_BUFFERS 64

/* The queue that grows. */
#define FIRST_BLOCK 128
#define LIMIT 512
#define LOW 64
#define CHUNK 32
#define HOLD_MS 20
#define GROWTH_ROUNDS 8
/* Frames for it in the endless capture, and one in how many it is. */
#define ENDLESS_FRAMES 8
#define ENDLESS_ONE_IN 512

/* The queue whose consumer stops. */
#define STALLED_BUFFERS 256
#define STALL_ROUNDS 50
#define RESUME_ROUNDS 20
#define PER_ROUND 20

/* An adapter whose traffic the test makes, or reads from an endless capture file. */
struct lab {
	struct vmq_host *host;
	struct vmq_adapter *adapter;
	char device[64];
	uint16_t port_id;
	struct rte_mempool *packets; /* for what the test sends; NULL: endless */
	uint64_t sent;
	uint32_t grown, returned; /* blocks, by indications */
};

/* So that a ring of a test that failed is in nobody's way. */
static unsigned int n_devices;
/* For the teardown of a test that failed. */
static struct lab *present;

static void
make_frame(uint8_t bytes[FRAME_BYTES], uint8_t mac, uint32_t number)
{
	memset(bytes, 0, FRAME_BYTES);
	bytes[0] = 2;
	bytes[5] = mac;
	bytes[12] = 0x88; /* an EtherType for experiments */
	bytes[13] = 0xb5;
	memcpy(bytes + NUMBER_OFFSET, &number, sizeof(number));
	unit_fill(bytes + NUMBER_OFFSET + sizeof(number),
		FRAME_BYTES - NUMBER_OFFSET - sizeof(number), number);
}

static void
on_indication(void *arg, struct vmq_adapter *adapter, enum vmq_indication indication,
	uint16_t queue_id, uint32_t value)
{
	struct lab *lab = arg;

	(void)adapter;
	(void)queue_id;
	(void)value;
	lab->grown += indication == VMQ_INDICATE_MEMORY_GROWN;
	lab->returned += indication == VMQ_INDICATE_MEMORY_RETURNED;
}

/* With a capture file for ever, or with a ring that the test fills. */
static struct lab *
lab_make(const char *capture, uint16_t n_workers)
{
	/* The first receives: with two CPUs it has one of its own. */
	const unsigned int lcores[] = {unit_lcores[1], unit_lcores[0]};
	struct lab *lab = calloc(1, sizeof(*lab));
	struct vmq_error err = {.text = ""};
	char device[256], name[RTE_MEMPOOL_NAMESIZE];

	assert_non_null(lab);
	n_devices++;
	if (capture != NULL) {
		snprintf(lab->device, sizeof(lab->device), "net_pcap_life%u", n_devices);
		snprintf(device, sizeof(device), "%s,rx_pcap=%s,infinite_rx=1", lab->device,
			capture);
	} else {
		snprintf(lab->device, sizeof(lab->device), "net_ring_life%u", n_devices);
		snprintf(device, sizeof(device), "%s", lab->device);
		snprintf(name, sizeof(name), "life%u", n_devices);
		lab->packets = unit_pool(name, 2047, BUFFER_SIZE);
	}
	lab->host = vmq_host_create(lcores, n_workers);
	assert_non_null(lab->host);
	lab->adapter = vmq_adapter_start(lab->host, &(struct vmq_adapter_params){
		.name = "life",
		.port = {.device = device, .rx_descriptors = 256, .tx_queues = 1, .mtu = 1500},
		.default_queue = {
			.name = "default",
			.memory = {.buffers = SOURCE_BUFFERS, .limit = SOURCE_BUFFERS,
				.buffer_size = BUFFER_SIZE, .node = SOCKET_ID_ANY},
			.backend = {.type = VMQ_BACKEND_SINK},
		},
	}, &err);
	if (lab->adapter == NULL)
		fail_msg("%s", err.text);
	vmq_adapter_set_indications(lab->adapter, on_indication, lab);
	assert_int_equal(rte_eth_dev_get_port_by_name(lab->device, &lab->port_id), 0);
	assert_int_equal(vmq_host_start(lab->host), 0);
	present = lab;
	return lab;
}

static void
lab_free(struct lab *lab)
{
	present = NULL;
	vmq_host_stop(lab->host);
	vmq_adapter_halt(lab->adapter);
	assert_int_equal(vmq_adapter_free(lab->adapter), 0);
	vmq_host_free(lab->host);
	if (lab->packets != NULL) {
		unit_assert_pool_full(lab->packets);
		rte_mempool_free(lab->packets);
	}
	free(lab);
}

/* Stop the workers of a lab that a failure has left behind. */
static int
abandon(void **state)
{
	(void)state;
	if (present != NULL)
		vmq_host_stop(present->host);
	present = NULL;
	return 0;
}

static struct vmq_queue_info
info_of(const struct lab *lab, uint16_t id)
{
	struct vmq_queue_info info;

	assert_true(vmq_queue_info_get(lab->adapter, id, &info));
	return info;
}

static void
assert_balance(const struct vmq_dp_queue_stats *packets)
{
	uint64_t dropped = 0;
	unsigned int i;

	for (i = 0; i < VMQ_DROP_COUNT; i++)
		dropped += packets->drops[i];
	assert_int_equal(packets->dropped, dropped);
	assert_int_equal(packets->received,
		packets->delivered + packets->dropped + packets->waiting);
}

static void
assert_nothing_lost(const struct lab *lab, uint16_t id)
{
	const struct vmq_queue_info info = info_of(lab, id);

	assert_true(info.packets.received > 0);
	assert_int_equal(info.packets.delivered, info.packets.received);
	assert_int_equal(info.packets.dropped, 0);
}

static uint16_t
allocate(struct lab *lab, const struct vmq_queue_params *params)
{
	struct vmq_error err = {.text = ""};
	uint16_t id;

	if (vmq_queue_allocate(lab->adapter, params, &id, &err) != VMQ_STATUS_SUCCESS)
		fail_msg("%s", err.text);
	return id;
}

static uint32_t
set_filter(struct lab *lab, uint16_t id, uint8_t mac)
{
	const struct vmq_filter_match match = {.has_mac = true, .mac = {{2, 0, 0, 0, 0, mac}}};
	struct vmq_error err = {.text = ""};
	uint32_t filter_id;

	if (vmq_queue_set_filter(lab->adapter, id, &match, &filter_id, &err) != VMQ_STATUS_SUCCESS)
		fail_msg("%s", err.text);
	return filter_id;
}

/* A queue that runs until the end. */
static uint16_t
make_queue(struct lab *lab, uint8_t mac, const struct vmq_queue_params *params)
{
	struct vmq_queue_completion item = {.id = allocate(lab, params)};

	set_filter(lab, item.id, mac);
	if (vmq_queue_complete(lab->adapter, &item, 1, NULL, NULL) != VMQ_STATUS_SUCCESS)
		fail_msg("%s", item.error.text);
	assert_int_equal(info_of(lab, item.id).state, VMQ_QUEUE_RUNNING);
	/* A worker in the middle of a turn goes on by the view that it has. */
	vmq_datapath_synchronize(vmq_host_datapath(lab->host));
	return item.id;
}

static struct vmq_queue_params
sink_params(uint16_t worker, uint32_t buffers)
{
	return (struct vmq_queue_params){
		.name = "sink",
		.worker = worker,
		.memory = {.buffers = buffers, .limit = buffers, .buffer_size = BUFFER_SIZE,
			.node = SOCKET_ID_ANY},
		.backend = {.type = VMQ_BACKEND_SINK},
	};
}

/* Frames for some MACs in turn, so many of each; for the first one in one_in only. */
static char *
make_capture(const char *name, unsigned int n_macs, unsigned int n, unsigned int one_in)
{
	pcap_t *handle = pcap_open_dead(DLT_EN10MB, 65535);
	struct pcap_pkthdr header = {.caplen = FRAME_BYTES, .len = FRAME_BYTES};
	char *path = unit_path(name);
	pcap_dumper_t *dumper = pcap_dump_open(handle, path);
	uint8_t bytes[FRAME_BYTES];
	unsigned int i, j, mac;

	assert_non_null(dumper);
	for (i = 0; i < n; i++)
		for (mac = 1; mac <= n_macs; mac++)
			for (j = 0; j < (mac == 1 ? 1 : one_in - 1); j++) {
				make_frame(bytes, (uint8_t)mac, i);
				pcap_dump((unsigned char *)dumper, &header, bytes);
			}
	pcap_dump_close(dumper);
	pcap_close(handle);
	return path;
}

static void
nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

static void
send_one(struct lab *lab, uint8_t mac, uint32_t number)
{
	uint8_t bytes[FRAME_BYTES];
	struct rte_mbuf *packet;
	unsigned int naps = 0;

	make_frame(bytes, mac, number);
	packet = unit_packet(lab->packets, bytes, sizeof(bytes));
	while (rte_eth_tx_burst(lab->port_id, 0, &packet, 1) == 0) {
		assert_true(naps++ < 100000);
		nap();
	}
	lab->sent++;
}

static bool
is_settled(void *arg)
{
	struct lab *lab = arg;
	uint64_t received = 0;
	int id;

	vmq_host_progress(lab->host);
	for (id = vmq_queue_next(lab->adapter, -1); id >= 0; id = vmq_queue_next(lab->adapter, id))
		received += info_of(lab, (uint16_t)id).packets.received;
	return received == lab->sent;
}

static bool
nothing_waits(void *arg)
{
	struct lab *lab = arg;
	struct vmq_queue_info info;
	int id;

	for (id = vmq_queue_next(lab->adapter, -1); id >= 0;
		id = vmq_queue_next(lab->adapter, id)) {
		info = info_of(lab, (uint16_t)id);
		if (info.packets.received != info.packets.delivered + info.packets.dropped)
			return false;
	}
	return true;
}

/* Wait until all that was sent has come to its queue and was delivered or dropped. */
static void
settle(struct lab *lab)
{
	assert_true(unit_wait(is_settled, lab));
	assert_true(unit_wait(nothing_waits, lab));
	vmq_datapath_synchronize(vmq_host_datapath(lab->host));
}

/* A queue whose packets go to a ring that the test empties when it likes. */
struct consumer {
	struct lab *lab;
	uint16_t id;
	uint16_t port_id;
	uint64_t taken;
	uint32_t last; /* number of the last one */
};

static void
consumer_make(struct consumer *consumer, struct lab *lab, uint8_t mac, uint16_t worker,
	const struct vmq_queue_memory *memory)
{
	char device[64];

	snprintf(device, sizeof(device), "net_ring_life%u", ++n_devices);
	*consumer = (struct consumer){.lab = lab, .last = UINT32_MAX};
	consumer->id = make_queue(lab, mac, &(struct vmq_queue_params){
		.name = "consumer",
		.worker = worker,
		.memory = *memory,
		.backend = {.type = VMQ_BACKEND_ETHDEV, .device = device},
		.receive_only = true, /* what is sent comes back: it is the test that takes it */
	});
	assert_int_equal(rte_eth_dev_get_port_by_name(device, &consumer->port_id), 0);
}

/* Take what there is, at most a burst; each frame must be whole. Numbers go to numbers[]. */
static uint16_t
consume(struct consumer *consumer, uint32_t numbers[VMQ_BURST])
{
	struct rte_mbuf *packets[VMQ_BURST];
	const uint8_t *data;
	uint8_t bytes[FRAME_BYTES];
	uint16_t i, n;

	n = rte_eth_rx_burst(consumer->port_id, 0, packets, VMQ_BURST);
	for (i = 0; i < n; i++) {
		data = rte_pktmbuf_mtod(packets[i], const uint8_t *);
		memcpy(&numbers[i], data + NUMBER_OFFSET, sizeof(numbers[i]));
		make_frame(bytes, data[5], numbers[i]);
		unit_assert_bytes(packets[i], bytes, sizeof(bytes));
		assert_int_equal(rte_mbuf_refcnt_read(packets[i]), 1);
		/* It lies in the queue's own memory. */
		assert_true(vmq_buffer_info(packets[i])->shared_memory_handle > 0);
		consumer->last = numbers[i];
	}
	rte_pktmbuf_free_bulk(packets, n);
	consumer->taken += n;
	return n;
}

/* Take exactly these: n of them, numbered from first on. */
static void
consume_exactly(struct consumer *consumer, uint32_t first, uint32_t n)
{
	uint32_t numbers[VMQ_BURST], next = first;
	uint16_t i, m;

	while ((m = consume(consumer, numbers)) > 0)
		for (i = 0; i < m; i++)
			assert_int_equal(numbers[i], next++);
	assert_int_equal(next - first, n);
}

/* Queues of a round of cycles. */
struct round {
	struct lab *lab;
	unsigned int n;
	uint16_t ids[TOGETHER];
	uint32_t filters[TOGETHER];
	unsigned int completed, gone;
	uint64_t received; /* by all queues that are gone */
};

static void
on_completed(void *arg, const struct vmq_queue_completion *batch, uint16_t n)
{
	struct round *round = arg;
	uint16_t i;

	for (i = 0; i < n; i++) {
		if (batch[i].status != VMQ_STATUS_SUCCESS)
			fail_msg("%s", batch[i].error.text);
		assert_int_equal(batch[i].buffers, CYCLE_BUFFERS);
	}
	round->completed += n;
}

static void
on_freed(void *arg, uint16_t id, enum vmq_status status)
{
	struct round *round = arg;

	(void)id;
	assert_int_equal(status, VMQ_STATUS_SUCCESS);
	round->gone++;
}

static bool
is_completed(void *arg)
{
	struct round *round = arg;

	vmq_host_progress(round->lab->host);
	return round->completed == round->n;
}

static bool
all_got_traffic(void *arg)
{
	struct round *round = arg;
	unsigned int i;

	vmq_host_progress(round->lab->host);
	for (i = 0; i < round->n; i++)
		if (info_of(round->lab, round->ids[i]).packets.received == 0)
			return false;
	return true;
}

static bool
all_gone(void *arg)
{
	struct round *round = arg;

	vmq_host_progress(round->lab->host);
	return round->gone == round->n;
}

static void
complete_round(struct round *round)
{
	struct vmq_queue_completion items[TOGETHER] = {{0}};
	unsigned int i;

	for (i = 0; i < round->n; i++)
		items[i].id = round->ids[i];
	assert_int_equal(vmq_queue_complete(round->lab->adapter, items, (uint16_t)round->n,
		on_completed, round), VMQ_STATUS_PENDING);
}

static void
set_filters_of_round(struct round *round)
{
	unsigned int i;

	vmq_adapter_begin(round->lab->adapter);
	for (i = 0; i < round->n; i++)
		round->filters[i] = set_filter(round->lab, round->ids[i],
			(uint8_t)(1 + RESIDENTS + i));
	assert_int_equal(vmq_adapter_commit(round->lab->adapter, NULL), VMQ_STATUS_SUCCESS);
}

/* Some queues, from allocated to gone; each gets traffic. */
static void
run_round(struct round *round, unsigned int n, const char *file)
{
	struct vmq_queue_params params;
	struct vmq_queue_info info;
	unsigned int i;

	round->n = n;
	round->completed = round->gone = 0;
	for (i = 0; i < n; i++) {
		params = sink_params(0, CYCLE_BUFFERS);
		if (i == 0 && unit_below(16) == 0)
			params.backend = (struct vmq_backend_params){
				.type = VMQ_BACKEND_PCAP, .file = file};
		round->ids[i] = allocate(round->lab, &params);
		assert_int_equal(round->ids[i], 1 + RESIDENTS + i); /* ids come back too */
	}
	/* In either order, or both under way at the same time. */
	if (unit_below(2) == 0) {
		set_filters_of_round(round);
		complete_round(round);
	} else {
		complete_round(round);
		if (unit_below(2) == 0)
			assert_true(unit_wait(is_completed, round));
		set_filters_of_round(round);
	}
	assert_true(unit_wait(is_completed, round));
	assert_true(unit_wait(all_got_traffic, round));

	vmq_adapter_begin(round->lab->adapter);
	for (i = 0; i < n; i++)
		assert_int_equal(vmq_queue_clear_filter(round->lab->adapter, round->filters[i],
			NULL), VMQ_STATUS_SUCCESS);
	assert_int_equal(vmq_adapter_commit(round->lab->adapter, NULL), VMQ_STATUS_SUCCESS);
	for (i = 0; i < n; i++) {
		assert_int_equal(vmq_queue_free(round->lab->adapter, round->ids[i], on_freed, round,
			NULL), VMQ_STATUS_PENDING);
		info = info_of(round->lab, round->ids[i]);
		assert_int_equal(info.state, VMQ_QUEUE_FREEING);
		assert_balance(&info.packets);
		if (info.backend != VMQ_BACKEND_PCAP) /* it may still be writing */
			assert_int_equal(info.packets.waiting, 0);
		round->received += info.packets.received;
	}
	assert_true(unit_wait(all_gone, round));
}

/* Each cycle waits for the worker: where that shares its CPU, for its time slice. */
static unsigned int
n_cycles(void)
{
	const rte_cpuset_t ours = rte_lcore_cpuset(rte_get_main_lcore());
	const rte_cpuset_t workers = rte_lcore_cpuset(unit_lcores[1]);

	if (!CPU_EQUAL(&ours, &workers))
		return CYCLES;
	print_message("# one CPU for all threads: %u cycles instead of %u\n", CYCLES_ON_ONE_CPU,
		CYCLES);
	return CYCLES_ON_ONE_CPU;
}

static void
ten_thousand_queues_come_and_go_under_load_and_leave_nothing_behind(void **state)
{
	char *capture = make_capture("cycles.pcap", RESIDENTS + TOGETHER + 1, 8, 2);
	char *file = unit_path("cycle.pcap");
	const unsigned int cycles = n_cycles();
	struct lab *lab = lab_make(capture, 1);
	struct round round = {.lab = lab};
	const struct vmq_queue_params resident = sink_params(0, CYCLE_BUFFERS);
	uint64_t received, before[RESIDENTS + 1];
	struct vmq_port_stats port;
	struct unit_census census;
	unsigned int done, n;
	uint16_t id;

	(void)state;
	for (id = 1; id <= RESIDENTS; id++)
		assert_int_equal(make_queue(lab, (uint8_t)id, &resident), id);
	/* Tables grow to their largest once. */
	run_round(&round, TOGETHER, file);
	vmq_datapath_synchronize(vmq_host_datapath(lab->host));
	unit_census_take(&census);
	for (id = 0; id <= RESIDENTS; id++)
		before[id] = info_of(lab, id).packets.received;

	for (done = 0; done < cycles; done += n) {
		n = RTE_MIN(1 + unit_below(TOGETHER), cycles - done);
		run_round(&round, n, file);
	}
	vmq_datapath_synchronize(vmq_host_datapath(lab->host));
	unit_assert_nothing_left(&census);
	assert_int_equal(vmq_queue_next(lab->adapter, RESIDENTS), -1);
	for (id = 0; id <= RESIDENTS; id++)
		assert_true(info_of(lab, id).packets.received > before[id]);

	/* Every packet that the port gave us is in some queue's account. */
	vmq_host_stop(lab->host);
	received = round.received;
	for (id = 0; id <= RESIDENTS; id++) {
		assert_nothing_lost(lab, id);
		received += info_of(lab, id).packets.received;
	}
	vmq_adapter_port_stats(lab->adapter, &port);
	assert_int_equal(port.received, received);
	assert_int_equal(port.missed + port.errors + port.no_buffer, 0);
	lab_free(lab);
	free(capture);
	free(file);
}

static const struct vmq_queue_memory growing = {
	.buffers = FIRST_BLOCK,
	.limit = LIMIT,
	.buffer_size = BUFFER_SIZE,
	.node = SOCKET_ID_ANY,
	.demand = {.low = LOW, .high = LOW + FIRST_BLOCK, .step = FIRST_BLOCK, .hold_ms = HOLD_MS},
};

/* Is there as much as the low mark asks for, or all there may be? */
static bool
has_grown_enough(void *arg)
{
	const struct consumer *consumer = arg;
	struct vmq_pool_stats memory;

	vmq_host_progress(consumer->lab->host);
	memory = info_of(consumer->lab, consumer->id).memory;
	assert_int_equal(memory.populated,
		memory.available + memory.outstanding + memory.retiring);
	return memory.available >= LOW || memory.populated == LIMIT;
}

static bool
is_full(void *arg)
{
	const struct consumer *consumer = arg;

	vmq_host_progress(consumer->lab->host);
	return info_of(consumer->lab, consumer->id).memory.populated == LIMIT;
}

static bool
has_given_back(void *arg)
{
	const struct consumer *consumer = arg;

	vmq_host_progress(consumer->lab->host);
	/* A block goes a moment before that is told. */
	return info_of(consumer->lab, consumer->id).memory.populated == FIRST_BLOCK &&
		consumer->lab->grown == consumer->lab->returned;
}

static void
grows_without_loss_up_to_its_limit_and_gives_back(uint16_t worker)
{
	struct lab *lab = lab_make(NULL, UNIT_WORKERS);
	struct consumer consumer;
	struct vmq_queue_info info;
	struct unit_census census;
	uint32_t sent, i, round;

	consumer_make(&consumer, lab, 1, worker, &growing);
	vmq_datapath_synchronize(vmq_host_datapath(lab->host));
	unit_census_take(&census);
	for (round = 1; round <= 3; round++) {
		for (sent = 0; sent < LIMIT; sent += CHUNK) {
			for (i = 0; i < CHUNK; i++)
				send_one(lab, 1, sent + i);
			settle(lab);
			assert_true(unit_wait(has_grown_enough, &consumer));
			assert_int_equal(info_of(lab, consumer.id).packets.dropped,
				(round - 1) * CHUNK);
		}
		info = info_of(lab, consumer.id);
		assert_int_equal(info.memory.populated, LIMIT);
		assert_int_equal(info.memory.available, 0);
		assert_int_equal(info.memory.outstanding, LIMIT);
		assert_int_equal(info.memory.blocks, LIMIT / FIRST_BLOCK);
		assert_int_equal(lab->grown, round * (LIMIT / FIRST_BLOCK - 1));

		/* At the limit, and only there, packets are dropped: exactly these. */
		for (i = 0; i < CHUNK; i++)
			send_one(lab, 1, sent + i);
		settle(lab);
		info = info_of(lab, consumer.id);
		assert_balance(&info.packets);
		assert_int_equal(info.packets.drops[VMQ_DROP_NO_BUFFER], round * CHUNK);
		assert_int_equal(info.packets.dropped, round * CHUNK);
		assert_int_equal(info.memory.populated, LIMIT);

		consume_exactly(&consumer, 0, LIMIT);
		assert_true(unit_wait(has_given_back, &consumer));
		info = info_of(lab, consumer.id);
		assert_int_equal(info.memory.available, FIRST_BLOCK);
		assert_int_equal(info.memory.blocks, 1);
		assert_int_equal(lab->returned, round * (LIMIT / FIRST_BLOCK - 1));
		vmq_datapath_synchronize(vmq_host_datapath(lab->host));
		unit_assert_nothing_left(&census);
	}
	lab_free(lab);
}

static void
a_queue_grows_without_loss_up_to_its_limit_and_gives_back(void **state)
{
	(void)state;
	grows_without_loss_up_to_its_limit_and_gives_back(0);
}

static void
a_queue_of_another_worker_grows_without_loss_up_to_its_limit_and_gives_back(void **state)
{
	(void)state;
	grows_without_loss_up_to_its_limit_and_gives_back(1);
}

/* Take packets while the pool gives back; without drops meanwhile, in order without a gap. */
static void
consume_until_given_back(struct consumer *consumer)
{
	struct timespec start, now;
	uint32_t numbers[VMQ_BURST], last;
	uint64_t dropped;
	uint16_t i, n;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		dropped = info_of(consumer->lab, consumer->id).packets.dropped;
		last = consumer->last;
		n = consume(consumer, numbers);
		/* What was dropped before may lie between packets that waited. */
		for (i = 0; i < n && dropped == 0; i++) {
			if (last != UINT32_MAX)
				assert_int_equal(numbers[i], (last + 1) % ENDLESS_FRAMES);
			last = numbers[i];
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
		assert_true(now.tv_sec - start.tv_sec < 30);
		if (n == 0)
			nap();
	} while (!has_given_back(consumer));
}

static void
a_queue_grows_and_gives_back_while_its_worker_receives_at_full_speed(void **state)
{
	char *capture = make_capture("endless.pcap", 2, ENDLESS_FRAMES, ENDLESS_ONE_IN);
	const struct vmq_queue_params sink = sink_params(0, CYCLE_BUFFERS);
	struct lab *lab = lab_make(capture, 1);
	struct consumer consumer;
	struct vmq_queue_info info;
	struct unit_census census;
	uint32_t numbers[VMQ_BURST];
	unsigned int round;
	uint16_t other;

	(void)state;
	other = make_queue(lab, 2, &sink);
	consumer_make(&consumer, lab, 1, 0, &growing);
	/* Before the first look at the marks nothing grows. */
	vmq_datapath_synchronize(vmq_host_datapath(lab->host));
	unit_census_take(&census);
	for (round = 0; round < GROWTH_ROUNDS; round++) {
		assert_true(unit_wait(is_full, &consumer));
		consume_until_given_back(&consumer);
	}
	vmq_host_stop(lab->host);
	while (consume(&consumer, numbers) > 0)
		;
	info = info_of(lab, consumer.id);
	assert_balance(&info.packets);
	assert_int_equal(info.packets.waiting, 0);
	assert_int_equal(info.packets.delivered, consumer.taken);
	assert_true(consumer.taken > GROWTH_ROUNDS * (LIMIT - FIRST_BLOCK - LOW));
	assert_int_equal(info.packets.dropped, info.packets.drops[VMQ_DROP_NO_BUFFER]);
	assert_true(lab->grown >= GROWTH_ROUNDS * (LIMIT / FIRST_BLOCK - 1));
	assert_int_equal(lab->grown, lab->returned);
	assert_int_equal(info.memory.available, info.memory.populated);
	assert_nothing_lost(lab, other);
	print_message("# %" PRIu64 " packets through the queue, %" PRIu64 " dropped, %u blocks\n",
		info.packets.received, info.packets.dropped, lab->grown);
	vmq_datapath_synchronize(vmq_host_datapath(lab->host));
	unit_assert_nothing_left(&census);
	lab_free(lab);
	free(capture);
}

static void
stopped_consumer_harms_nobody_and_resumes_in_order(uint16_t worker)
{
	const struct vmq_queue_memory memory = {.buffers = STALLED_BUFFERS,
		.limit = STALLED_BUFFERS, .buffer_size = BUFFER_SIZE, .node = SOCKET_ID_ANY};
	const struct vmq_queue_params sink = sink_params(0, CYCLE_BUFFERS);
	struct lab *lab = lab_make(NULL, UNIT_WORKERS);
	struct consumer stalled, lively;
	struct vmq_queue_info info;
	uint32_t round, i, number;
	uint16_t other;

	consumer_make(&stalled, lab, 1, worker, &memory);
	consumer_make(&lively, lab, 2, worker, &memory);
	other = make_queue(lab, 3, &sink);
	for (round = 0; round < STALL_ROUNDS + RESUME_ROUNDS; round++) {
		for (i = 0; i < PER_ROUND; i++) {
			number = round * PER_ROUND + i;
			send_one(lab, 1, number);
			send_one(lab, 2, number);
			send_one(lab, 3, number);
			send_one(lab, 0xee, number); /* of no filter: for the default queue */
		}
		settle(lab);
		consume_exactly(&lively, round * PER_ROUND, PER_ROUND);
		if (round >= STALL_ROUNDS) {
			consume_exactly(&stalled, round * PER_ROUND, PER_ROUND);
		} else if (round == STALL_ROUNDS - 1) {
			info = info_of(lab, stalled.id);
			assert_int_equal(info.memory.available, 0);
			assert_int_equal(info.packets.delivered, STALLED_BUFFERS);
			/* Its consumer is back: what had come first, in order. */
			consume_exactly(&stalled, 0, STALLED_BUFFERS);
		}
	}
	info = info_of(lab, stalled.id);
	assert_balance(&info.packets);
	assert_int_equal(info.packets.drops[VMQ_DROP_NO_BUFFER],
		STALL_ROUNDS * PER_ROUND - STALLED_BUFFERS);
	assert_int_equal(info.packets.dropped, info.packets.drops[VMQ_DROP_NO_BUFFER]);
	assert_int_equal(info.packets.delivered, stalled.taken);
	assert_int_equal(lively.taken, lab->sent / 4);
	assert_nothing_lost(lab, lively.id);
	assert_nothing_lost(lab, other);
	assert_nothing_lost(lab, VMQ_DEFAULT_QUEUE_ID);
	lab_free(lab);
}

static void
a_stopped_consumer_harms_nobody_and_resumes_in_order(void **state)
{
	(void)state;
	stopped_consumer_harms_nobody_and_resumes_in_order(0);
}

static void
a_stopped_consumer_of_another_worker_harms_nobody_and_resumes_in_order(void **state)
{
	(void)state;
	stopped_consumer_harms_nobody_and_resumes_in_order(1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(
			ten_thousand_queues_come_and_go_under_load_and_leave_nothing_behind,
			abandon),
		cmocka_unit_test_teardown(a_queue_grows_without_loss_up_to_its_limit_and_gives_back,
			abandon),
		cmocka_unit_test_teardown(
			a_queue_of_another_worker_grows_without_loss_up_to_its_limit_and_gives_back,
			abandon),
		cmocka_unit_test_teardown(
			a_queue_grows_and_gives_back_while_its_worker_receives_at_full_speed,
			abandon),
		cmocka_unit_test_teardown(a_stopped_consumer_harms_nobody_and_resumes_in_order,
			abandon),
		cmocka_unit_test_teardown(
			a_stopped_consumer_of_another_worker_harms_nobody_and_resumes_in_order,
			abandon),
	};

	return cmocka_run_group_tests_name("lifecycle", tests, unit_start, unit_stop);
}
