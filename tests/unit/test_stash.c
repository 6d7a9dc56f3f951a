/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * Buffers at hand beside the mempool cache: by themselves, and below a worker that gathers
 * for so many queues that the cache alone would overflow.
 */

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pcap/pcap.h>
#include <rte_cycles.h>
#include <rte_lcore.h>

#include <vmq_queue.h>
#include <vmq_shmem.h>

#define BUFFER_SIZE 256
#define CACHE 512
/* Out at once: more than a cache holds, and what stash and cache hold together. */
#define OUT (2 * CACHE)
#define BUFFERS (VMQ_STASH_SIZE + 4 * CACHE)

struct fixture {
	struct unit_census census;
	struct vmq_shmem *shmem;
	struct vmq_pool *pool;
	struct rte_mempool *mempool;
	struct rte_mempool_cache *cache;
	struct vmq_stash *stash;
	struct rte_mbuf *packets[BUFFERS];
};

static struct vmq_pool_params
params(bool stash, uint32_t cache_size)
{
	return (struct vmq_pool_params){
		.name = stash ? "unit_stash" : "unit_plain",
		.queue_id = 3,
		.limit = BUFFERS,
		.buffer_size = BUFFER_SIZE,
		.usage = VMQ_SHMEM_RECEIVE,
		.node = SOCKET_ID_ANY,
		.cache_size = cache_size,
		.stash = stash,
	};
}

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct vmq_pool_params with_stash = params(true, CACHE);

	assert_non_null(f);
	unit_census_take(&f->census);
	f->shmem = vmq_shmem_create(&(struct vmq_shmem_config){.name = "unit"});
	assert_non_null(f->shmem);
	f->pool = vmq_pool_create(f->shmem, &with_stash, NULL);
	assert_non_null(f->pool);
	assert_int_equal(vmq_pool_grow(f->pool, BUFFERS / 2, BUFFERS / 2, NULL, NULL),
		VMQ_STATUS_SUCCESS);
	assert_int_equal(vmq_pool_grow(f->pool, BUFFERS / 2, BUFFERS / 2, NULL, NULL),
		VMQ_STATUS_SUCCESS);
	f->mempool = vmq_pool_mempool(f->pool);
	f->stash = vmq_stash_of(f->mempool);
	assert_non_null(f->stash);
	f->cache = rte_mempool_default_cache(f->mempool, rte_lcore_id());
	assert_non_null(f->cache);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;
	struct vmq_error err = {.text = ""};

	rte_mempool_cache_flush(NULL, f->mempool);
	if (vmq_pool_destroy(f->pool, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(vmq_shmem_destroy(f->shmem), 0);
	unit_assert_nothing_left(&f->census);
	free(f);
	return 0;
}

static unsigned int
in_ring(const struct rte_mempool *pool)
{
	return rte_mempool_get_ops(pool->ops_index)->get_count(pool);
}

static void
assert_available(const struct fixture *f, uint32_t n)
{
	struct vmq_pool_stats stats;

	vmq_pool_stats_get(f->pool, &stats);
	assert_int_equal(stats.available, n);
	assert_int_equal(stats.outstanding, BUFFERS - n);
}

/* As a worker does that receives, and then lets backends free. */
static void
receive(struct fixture *f, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i += VMQ_BURST) {
		vmq_stash_receiving(f->stash, f->cache);
		assert_int_equal(rte_pktmbuf_alloc_bulk(f->mempool, f->packets + i, VMQ_BURST), 0);
	}
}

static void
let_free(struct fixture *f, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i += VMQ_BURST) {
		vmq_stash_freeing(f->stash, f->cache, VMQ_BURST);
		vmq_packets_free(f->packets + i, VMQ_BURST);
	}
}

static int
by_address(const void *a, const void *b)
{
	const uintptr_t one = (uintptr_t)*(struct rte_mbuf *const *)a,
		other = (uintptr_t)*(struct rte_mbuf *const *)b;

	return (one > other) - (one < other);
}

static void
buffers_come_back_without_a_trip_through_the_ring(void **state)
{
	struct fixture *f = *state;
	static struct rte_mbuf *first[OUT];
	unsigned int round, ring, again, i, j;

	receive(f, OUT);
	memcpy(first, f->packets, sizeof(first));
	qsort(first, OUT, sizeof(first[0]), by_address);
	let_free(f, OUT);
	ring = in_ring(f->mempool);
	for (round = 0; round < 20; round++) {
		receive(f, OUT);
		assert_int_equal(in_ring(f->mempool), ring);
		assert_available(f, BUFFERS - OUT);
		qsort(f->packets, OUT, sizeof(f->packets[0]), by_address);
		for (i = 0, j = 0, again = 0; i < OUT; i++) {
			if (i > 0)
				assert_ptr_not_equal(f->packets[i], f->packets[i - 1]);
			while (j < OUT && first[j] < f->packets[i])
				j++;
			again += j < OUT && first[j] == f->packets[i];
		}
		/* The cache had some from before. */
		assert_true(again >= OUT - CACHE * 3 / 2);
		let_free(f, OUT);
		assert_int_equal(in_ring(f->mempool), ring);
		assert_available(f, BUFFERS);
	}
	assert_true(vmq_stash_count(f->stash) > 0);
	vmq_stash_flush(f->stash, f->mempool);
	assert_int_equal(vmq_stash_count(f->stash), 0);
	assert_available(f, BUFFERS);
	rte_mempool_cache_flush(NULL, f->mempool);
	assert_int_equal(in_ring(f->mempool), BUFFERS);
}

static void
the_last_one_freed_is_the_first_one_taken(void **state)
{
	struct fixture *f = *state;
	static struct rte_mbuf *freed[OUT];
	unsigned int round, i;

	for (round = 0; round < 3; round++) {
		receive(f, OUT);
		memcpy(freed, f->packets, sizeof(freed));
		let_free(f, OUT);
		assert_true(vmq_stash_count(f->stash) > 0);
		receive(f, OUT);
		for (i = 0; i < OUT; i++)
			assert_ptr_equal(f->packets[i], freed[OUT - 1 - i]);
		let_free(f, OUT);
	}
	vmq_stash_flush(f->stash, f->mempool);
}

static void
what_has_no_room_in_a_stash_goes_to_the_ring(void **state)
{
	struct fixture *f = *state;
	unsigned int round;

	for (round = 0; round < 3; round++) {
		receive(f, BUFFERS);
		assert_available(f, 0);
		assert_int_equal(vmq_stash_count(f->stash), 0);
		let_free(f, BUFFERS);
		assert_int_equal(vmq_stash_count(f->stash), VMQ_STASH_SIZE);
		assert_available(f, BUFFERS);
	}
	vmq_stash_flush(f->stash, f->mempool);
}

static void
from_a_cache_with_few_nothing_is_taken(void **state)
{
	struct fixture *f = *state;
	struct vmq_pool_params small = params(true, CACHE / 8);
	struct rte_mempool_cache *cache;
	struct rte_mempool *mempool;
	struct vmq_stash *stash;
	struct vmq_pool *pool;

	small.name = "unit_small";
	pool = vmq_pool_create(f->shmem, &small, NULL);
	assert_non_null(pool);
	mempool = vmq_pool_mempool(pool);
	stash = vmq_stash_of(mempool);
	cache = rte_mempool_default_cache(mempool, rte_lcore_id());
	assert_int_equal(cache->len, 0);
	/* More than such a cache holds at all. */
	vmq_stash_freeing(stash, cache, CACHE / 2);
	assert_int_equal(vmq_stash_count(stash), 0);
	assert_int_equal(cache->len, 0);
	assert_int_equal(vmq_pool_destroy(pool, NULL), 0);
}

static void
a_block_goes_once_the_stash_is_flushed(void **state)
{
	struct fixture *f = *state;
	struct vmq_pool_stats stats;

	receive(f, BUFFERS);
	let_free(f, BUFFERS);
	assert_int_equal(vmq_pool_retire(f->pool, NULL), VMQ_STATUS_PENDING);
	assert_true(vmq_pool_progress(f->pool));
	vmq_pool_stats_get(f->pool, &stats);
	assert_true(stats.retiring < BUFFERS / 2);
	assert_int_equal(stats.available + stats.retiring, BUFFERS);
	vmq_stash_flush(f->stash, f->mempool);
	while (vmq_pool_progress(f->pool))
		;
	vmq_pool_stats_get(f->pool, &stats);
	assert_int_equal(stats.populated, BUFFERS / 2);
	assert_int_equal(stats.available, BUFFERS / 2);
}

static void
other_pools_have_no_stash(void **state)
{
	struct fixture *f = *state;
	const struct vmq_pool_params plain = params(false, CACHE), bad = params(true, 0);
	struct rte_mempool *mempool = unit_pool("unit_no_stash", 15, BUFFER_SIZE);
	struct vmq_error err = {.text = ""};
	struct vmq_pool *pool;

	assert_null(vmq_stash_of(mempool));
	rte_mempool_free(mempool);
	pool = vmq_pool_create(f->shmem, &plain, NULL);
	assert_non_null(pool);
	assert_null(vmq_stash_of(vmq_pool_mempool(pool)));
	assert_int_equal(vmq_stash_count(NULL), 0);
	vmq_stash_flush(NULL, vmq_pool_mempool(pool));
	assert_int_equal(vmq_pool_destroy(pool, NULL), 0);
	assert_null(vmq_pool_create(f->shmem, &bad, &err));
	assert_non_null(strstr(err.text, "a stash needs a cache"));
}

/* Of a default queue that receives for ever, one frame for each of so many VMs in turn. */
#define VMS 120
#define VERY_MANY_VMS 300
#define SOURCE_BUFFERS 8192
#define FRAME_BYTES 60

static char *
make_capture(unsigned int vms)
{
	pcap_t *handle = pcap_open_dead(DLT_EN10MB, 65535);
	struct pcap_pkthdr header = {.caplen = FRAME_BYTES, .len = FRAME_BYTES};
	uint8_t bytes[FRAME_BYTES] = {2};
	char *path = unit_path("stash.pcap");
	pcap_dumper_t *dumper = pcap_dump_open(handle, path);
	unsigned int i;

	assert_non_null(dumper);
	for (i = 1; i <= vms; i++) {
		bytes[4] = (uint8_t)(i >> 8);
		bytes[5] = (uint8_t)i;
		pcap_dump((unsigned char *)dumper, &header, bytes);
	}
	pcap_dump_close(dumper);
	pcap_close(handle);
	return path;
}

static void
make_queue(struct vmq_adapter *adapter, unsigned int vm)
{
	const struct vmq_queue_params queue = {
		.name = "sink",
		.memory = {.buffers = 64, .limit = 64, .buffer_size = BUFFER_SIZE,
			.node = SOCKET_ID_ANY},
		.backend = {.type = VMQ_BACKEND_SINK},
	};
	const struct vmq_filter_match match = {
		.has_mac = true,
		.mac = {{2, 0, 0, 0, (uint8_t)(vm >> 8), (uint8_t)vm}},
	};
	struct vmq_queue_completion item;
	struct vmq_error err = {.text = ""};
	uint32_t filter_id;

	if (vmq_queue_allocate(adapter, &queue, &item.id, &err) != VMQ_STATUS_SUCCESS ||
		vmq_queue_set_filter(adapter, item.id, &match, &filter_id, &err) !=
			VMQ_STATUS_SUCCESS)
		fail_msg("%s", err.text);
	if (vmq_queue_complete(adapter, &item, 1, NULL, NULL) != VMQ_STATUS_SUCCESS)
		fail_msg("%s", item.error.text);
}

static struct vmq_host *present;

static int
abandon(void **state)
{
	(void)state;
	if (present != NULL)
		vmq_host_stop(present);
	present = NULL;
	return 0;
}

static void
find_default_pool(struct rte_mempool *pool, void *arg)
{
	if (strstr(pool->name, "_q0_rx") != NULL)
		*(struct rte_mempool **)arg = pool;
}

/* At full load, with everything settled, no buffer goes through the ring. */
static bool
leaves_the_ring_alone(const struct rte_mempool *pool, const struct vmq_adapter *adapter)
{
	const unsigned int ring = in_ring(pool);
	struct vmq_queue_info before, info;
	unsigned int i;

	vmq_queue_info_get(adapter, 1, &before);
	for (i = 0; i < 100; i++) {
		rte_delay_us_sleep(500);
		if (in_ring(pool) != ring)
			return false;
	}
	vmq_queue_info_get(adapter, 1, &info);
	return info.packets.delivered > before.packets.delivered + 1000;
}

/* Lets VMs receive, and checks: what the share of each is in what is gathered it gets as one. */
static void
gather_for(unsigned int vms)
{
	char *capture = make_capture(vms), device[256];
	const struct vmq_adapter_params adapter_params = {
		.name = "stash",
		.port = {.device = device, .rx_descriptors = 256, .tx_queues = 1, .mtu = 1500},
		.default_queue = {
			.name = "default",
			.memory = {.buffers = SOURCE_BUFFERS, .limit = SOURCE_BUFFERS,
				.buffer_size = BUFFER_SIZE, .node = SOCKET_ID_ANY},
			.backend = {.type = VMQ_BACKEND_SINK},
		},
	};
	struct rte_mempool *pool = NULL;
	struct vmq_adapter *adapter;
	struct vmq_queue_info info;
	struct vmq_error err = {.text = ""};
	struct vmq_stash *stash;
	unsigned int i;

	snprintf(device, sizeof(device), "net_pcap_stash,rx_pcap=%s,infinite_rx=1", capture);
	present = vmq_host_create(&unit_lcores[1], 1);
	assert_non_null(present);
	adapter = vmq_adapter_start(present, &adapter_params, &err);
	if (adapter == NULL)
		fail_msg("%s", err.text);
	for (i = 1; i <= vms; i++)
		make_queue(adapter, i);
	rte_mempool_walk(find_default_pool, &pool);
	assert_non_null(pool);
	stash = vmq_stash_of(pool);
	assert_non_null(stash);
	assert_int_equal(vmq_host_start(present), 0);
	for (i = 0; !leaves_the_ring_alone(pool, adapter); i++)
		assert_true(i < 100);
	for (i = 0; i < 1000; i++) {
		assert_true(vmq_queue_info_get(adapter, VMQ_DEFAULT_QUEUE_ID, &info));
		assert_int_equal(info.memory.populated, SOURCE_BUFFERS);
		assert_int_equal(info.memory.available + info.memory.outstanding, SOURCE_BUFFERS);
		assert_int_equal(info.packets.received, 0);
	}
	vmq_host_stop(present);
	assert_int_equal(vmq_stash_count(stash), 0);
	assert_true(vmq_queue_info_get(adapter, VMQ_DEFAULT_QUEUE_ID, &info));
	assert_int_equal(info.memory.outstanding, vms);
	for (i = 1; i <= vms; i++) {
		assert_true(vmq_queue_info_get(adapter, (uint16_t)i, &info));
		assert_true(info.packets.delivered > 1000);
		assert_int_equal(info.packets.delivered, info.packets.received);
		/* One less: windows begin where the VMs' turn may be anywhere. */
		assert_true(info.packets.delivered >
			info.packets.bursts * (VMQ_GATHER_MAX / vms - 1));
	}
	vmq_adapter_halt(adapter);
	assert_int_equal(vmq_adapter_free(adapter), 0);
	vmq_host_free(present);
	present = NULL;
	free(capture);
}

static void
a_worker_that_gathers_for_many_keeps_its_buffers_at_hand(void **state)
{
	(void)state;
	gather_for(VMS);
}

static void
so_does_one_whose_queues_get_less_than_full_bursts(void **state)
{
	(void)state;
	gather_for(VERY_MANY_VMS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(buffers_come_back_without_a_trip_through_the_ring),
		TEST(the_last_one_freed_is_the_first_one_taken),
		TEST(what_has_no_room_in_a_stash_goes_to_the_ring),
		TEST(from_a_cache_with_few_nothing_is_taken),
		TEST(a_block_goes_once_the_stash_is_flushed),
		TEST(other_pools_have_no_stash),
		cmocka_unit_test_teardown(a_worker_that_gathers_for_many_keeps_its_buffers_at_hand,
			abandon),
		cmocka_unit_test_teardown(so_does_one_whose_queues_get_less_than_full_bursts,
			abandon),
	};

	return cmocka_run_group_tests_name("stash", tests, unit_start, unit_stop);
}
