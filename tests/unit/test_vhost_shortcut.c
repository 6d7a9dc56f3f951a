/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * Packets into a split ring without librte_vhost: lib/backend/vhost_shortcut.c. The VM is the
 * test; its memory lies between pages that nobody may touch, and librte_vhost's indices of the
 * ring are the test's as well.
 */

#include "unit.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include <rte_cycles.h>
#include <rte_launch.h>

#include <vhost_private.h>

#define GUEST UINT64_C(0x100000) /* where the VM sees its memory */
#define MEMORY_BYTES ((size_t)262144)
#define SIZE 64 /* descriptors */
#define BUFFERS_AT ((size_t)65536)
#define BUFFER_BYTES 2048
#define CANARY 0xa5
#define FRAME_BYTES 60
#define FEATURE(n) (UINT64_C(1) << (n))

static struct vhost_backend *vhost;
static uint8_t *memory;
static struct rte_vhost_vring vring;
static uint16_t next_index, used_index;
static _Atomic unsigned int calls; /* of the VM */
static _Atomic bool stop;
static struct rte_mempool *pool;
static struct rte_mbuf *packets[VMQ_BURST];

int
rte_vhost_get_vhost_vring(int vid, uint16_t ring, struct rte_vhost_vring *found)
{
	(void)vid;
	(void)ring;
	*found = vring;
	return 0;
}

int
rte_vhost_get_vring_base(int vid, uint16_t ring, uint16_t *next, uint16_t *used)
{
	(void)vid;
	(void)ring;
	*next = next_index;
	*used = used_index;
	return 0;
}

int
rte_vhost_set_vring_base(int vid, uint16_t ring, uint16_t next, uint16_t used)
{
	(void)vid;
	(void)ring;
	next_index = next;
	used_index = used;
	return 0;
}

int
rte_vhost_vring_call(int vid, uint16_t ring)
{
	(void)vid;
	assert_int_equal(ring, 0);
	calls++;
	return 0;
}

int
rte_vhost_get_mem_table(int vid, struct rte_vhost_memory **table)
{
	(void)vid;
	*table = calloc(1, sizeof(**table) + sizeof((*table)->regions[0]));
	assert_non_null(*table);
	(*table)->nregions = 1;
	(*table)->regions[0].guest_phys_addr = GUEST;
	(*table)->regions[0].host_user_addr = (uintptr_t)memory;
	(*table)->regions[0].size = MEMORY_BYTES;
	return 0;
}

/* The place of the buffer of a descriptor. */
static uint8_t *
buffer(unsigned int desc)
{
	return memory + BUFFERS_AT + desc * BUFFER_BYTES;
}

static void
connect_vm(uint64_t features)
{
	vhost->guard.features = features;
	vhost_ahead_learn(&vhost->ahead, 0, features);
	vhost_shortcut_learn(vhost, features);
	vhost_shortcut_open(vhost);
}

static int
begin(void **state)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *at, bytes[FRAME_BYTES];
	unsigned int i;

	(void)state;
	at = mmap(NULL, MEMORY_BYTES + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(at != MAP_FAILED);
	memory = at + page;
	assert_int_equal(mprotect(memory, MEMORY_BYTES, PROT_READ | PROT_WRITE), 0);
	vhost = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*vhost));
	assert_non_null(vhost);
	memset(vhost, 0, sizeof(*vhost));
	vhost_gate_prepare();
	vring.size = SIZE;
	vring.desc = (struct vring_desc *)memory;
	vring.avail = (struct vring_avail *)(memory + 4096);
	vring.used = (struct vring_used *)(memory + 8192);
	memset(memory + BUFFERS_AT, CANARY, MEMORY_BYTES - BUFFERS_AT);
	/* In another order than the ring's. */
	for (i = 0; i < SIZE; i++) {
		vring.desc[i].addr = GUEST + BUFFERS_AT + i * BUFFER_BYTES;
		vring.desc[i].len = BUFFER_BYTES;
		vring.desc[i].flags = VRING_DESC_F_WRITE;
		vring.avail->ring[i] = (uint16_t)(SIZE - 1 - i);
	}
	/* So that both the ring and its index begin anew in the midst of a burst. */
	next_index = used_index = UINT16_MAX - 10;
	vring.avail->idx = (uint16_t)(next_index + SIZE);
	vring.used->idx = used_index;
	calls = 0;
	atomic_store(&stop, false);
	pool = unit_pool("packets", 127, BUFFER_BYTES);
	for (i = 0; i < VMQ_BURST; i++) {
		memset(bytes, (int)i, sizeof(bytes));
		packets[i] = unit_packet(pool, bytes, sizeof(bytes));
	}
	connect_vm(FEATURE(VIRTIO_F_VERSION_1) | FEATURE(VIRTIO_NET_F_MRG_RXBUF));
	return 0;
}

static int
end(void **state)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);

	(void)state;
	rte_pktmbuf_free_bulk(packets, VMQ_BURST);
	rte_mempool_free(pool);
	free(vhost);
	return munmap(memory - page, MEMORY_BYTES + 2 * page);
}

static bool full;

static uint16_t
burst(uint16_t n)
{
	return vhost_shortcut_burst(vhost, 0, 0, packets, n, &full);
}

/* The ring's first n packets since begin() are there, and nothing behind them. */
static void
assert_there(uint16_t n, uint16_t header_bytes)
{
	const uint16_t first = UINT16_MAX - 10;
	unsigned int i, j, at;
	uint8_t *place;

	assert_int_equal((uint16_t)(vring.used->idx - first), n);
	assert_int_equal((uint16_t)(next_index - first), n);
	assert_int_equal((uint16_t)(used_index - first), n);
	for (i = 0; i < SIZE; i++) {
		at = (uint16_t)(first + i) % SIZE;
		place = buffer(SIZE - 1 - at);
		if (i < n) {
			assert_int_equal(vring.used->ring[at].id, SIZE - 1 - at);
			assert_int_equal(vring.used->ring[at].len, header_bytes + FRAME_BYTES);
			for (j = 0; j < header_bytes; j++)
				assert_int_equal(place[j], j == 10 ? 1 : 0);
			for (; j < header_bytes + (unsigned int)FRAME_BYTES; j++)
				assert_int_equal(place[j], i);
		} else {
			j = 0;
		}
		for (; j < BUFFER_BYTES; j++)
			assert_int_equal(place[j], CANARY);
	}
}

static void
packets_come_into_the_buffers_that_the_vm_names(void **state)
{
	(void)state;
	assert_int_equal(burst(5), 5);
	assert_false(full);
	assert_there(5, sizeof(struct virtio_net_hdr_mrg_rxbuf));
}

static void
a_burst_goes_on_at_the_rings_begin(void **state)
{
	(void)state;
	assert_int_equal(burst(VMQ_BURST), VMQ_BURST);
	assert_there(VMQ_BURST, sizeof(struct virtio_net_hdr_mrg_rxbuf));
}

static void
an_old_driver_has_the_short_header(void **state)
{
	(void)state;
	connect_vm(0);
	assert_int_equal(burst(VMQ_BURST), VMQ_BURST);
	assert_there(VMQ_BURST, sizeof(struct virtio_net_hdr));
}

/* Where the last packet's header is there already it stays as it is; any other one does not. */
static void
a_header_is_right_whatever_was_there(void **state)
{
	const uint8_t right[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0};
	uint8_t *place = buffer(vring.avail->ring[next_index % SIZE]);
	unsigned int i;

	(void)state;
	for (i = 0; i <= sizeof(right); i++) {
		next_index = used_index = UINT16_MAX - 10;
		memcpy(place, right, sizeof(right));
		if (i < sizeof(right))
			place[i] ^= 4;
		assert_int_equal(burst(1), 1);
		assert_memory_equal(place, right, sizeof(right));
	}
}

static void
no_more_is_put_than_the_vm_has_room_for(void **state)
{
	(void)state;
	vring.avail->idx = (uint16_t)(next_index + 3);
	assert_int_equal(burst(VMQ_BURST), 3);
	assert_true(full);
	assert_int_equal(burst(VMQ_BURST), 0);
	assert_true(full);
	assert_there(3, sizeof(struct virtio_net_hdr_mrg_rxbuf));
	/* An index that jumped is for others to see to. */
	vring.avail->idx = (uint16_t)(next_index + SIZE + 1);
	assert_int_equal(burst(VMQ_BURST), 0);
	assert_false(full);
	assert_there(3, sizeof(struct virtio_net_hdr_mrg_rxbuf));
}

/* What is not plain is librte_vhost's, and nothing of it was written. */
static void
what_is_not_plain_is_left_alone_with_all_behind_it(void **state)
{
	const uint32_t needed = sizeof(struct virtio_net_hdr_mrg_rxbuf) + FRAME_BYTES;
	const struct {
		uint64_t addr;
		uint32_t len;
		uint16_t flags;
	} cases[] = {
		{GUEST + BUFFERS_AT, BUFFER_BYTES, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT},
		{GUEST + BUFFERS_AT, BUFFER_BYTES, VRING_DESC_F_INDIRECT},
		{GUEST + BUFFERS_AT, needed - 1, VRING_DESC_F_WRITE},
		{GUEST + BUFFERS_AT, 0, VRING_DESC_F_WRITE},
		{0, BUFFER_BYTES, VRING_DESC_F_WRITE},
		{GUEST - 1, BUFFER_BYTES, VRING_DESC_F_WRITE},
		{GUEST + MEMORY_BYTES - needed + 1, BUFFER_BYTES, VRING_DESC_F_WRITE},
		{GUEST + MEMORY_BYTES, BUFFER_BYTES, VRING_DESC_F_WRITE},
		{UINT64_MAX - needed / 2, BUFFER_BYTES, VRING_DESC_F_WRITE},
	};
	const uint16_t at = (uint16_t)(next_index + 2) % SIZE;
	struct vring_desc *desc = &vring.desc[vring.avail->ring[at]];
	const struct vring_desc good = *desc;
	unsigned int i;

	(void)state;
	assert_int_equal(burst(2), 2);
	for (i = 0; i < RTE_DIM(cases); i++) {
		desc->addr = cases[i].addr;
		desc->len = cases[i].len;
		desc->flags = cases[i].flags;
		assert_int_equal(burst(4), 0);
		assert_false(full);
	}
	*desc = good;
	vring.avail->ring[at] = SIZE;
	assert_int_equal(burst(4), 0);
	vring.avail->ring[at] = UINT16_MAX;
	assert_int_equal(burst(4), 0);
	vring.avail->ring[at] = (uint16_t)(desc - vring.desc);
	packets[0]->nb_segs = 2;
	assert_int_equal(burst(4), 0);
	packets[0]->nb_segs = 1;
	assert_there(2, sizeof(struct virtio_net_hdr_mrg_rxbuf));
	/* To the memory's last byte. */
	desc->addr = GUEST + MEMORY_BYTES - needed;
	desc->len = needed;
	assert_int_equal(burst(1), 1);
	assert_int_equal(memory[MEMORY_BYTES - 1], 0);
}

static void
a_ring_that_is_not_all_the_vms_is_not_written(void **state)
{
	(void)state;
	vring.used = (struct vring_used *)(memory + MEMORY_BYTES - sizeof(*vring.used) -
		(SIZE - 1) * sizeof(struct vring_used_elem));
	vhost_shortcut_open(vhost);
	assert_int_equal(burst(1), 0);
	vring.used = (struct vring_used *)(memory + MEMORY_BYTES - sizeof(*vring.used) -
		SIZE * sizeof(struct vring_used_elem));
	vhost_shortcut_open(vhost);
	assert_int_equal(burst(VMQ_BURST), VMQ_BURST);
}

static void
it_is_shut_for_packed_rings_and_while_a_migration_logs_writes(void **state)
{
	const uint64_t plain = FEATURE(VIRTIO_F_VERSION_1);

	(void)state;
	vhost_shortcut_shut(vhost);
	assert_int_equal(burst(1), 0);
	connect_vm(plain | FEATURE(VIRTIO_F_RING_PACKED));
	assert_int_equal(burst(1), 0);
	connect_vm(plain);
	/* A message comes that switches logging on, and one that ends it. */
	vhost_shortcut_shut(vhost);
	vhost->guard.features = plain | FEATURE(VHOST_F_LOG_ALL);
	vhost_shortcut_open(vhost);
	assert_int_equal(burst(1), 0);
	vhost_shortcut_shut(vhost);
	vhost->guard.features = plain;
	vhost_shortcut_open(vhost);
	assert_int_equal(burst(1), 1);
}

/*
 * The last message before a device is there opens the way as the device before had it: a VM
 * that comes back with packed rings, or in the midst of a migration, is not written to as before.
 */
static void
it_is_shut_for_a_device_that_is_not_as_the_one_before(void **state)
{
	const uint64_t plain = FEATURE(VIRTIO_F_VERSION_1);

	(void)state;
	connect_vm(plain);
	connect_vm(plain | FEATURE(VIRTIO_F_RING_PACKED));
	assert_int_equal(burst(1), 0);
	/* Nor should somebody open it. */
	atomic_store(&vhost->gate.shortcut, true);
	assert_int_equal(burst(1), 0);
	connect_vm(plain);
	connect_vm(plain | FEATURE(VHOST_F_LOG_ALL));
	assert_int_equal(burst(1), 0);
	connect_vm(plain);
	assert_int_equal(burst(1), 1);
}

/* Each message may have moved the ring. */
static void
a_ring_that_a_message_has_moved_is_written_at_its_new_place(void **state)
{
	struct vring_used *old = vring.used;

	(void)state;
	assert_int_equal(burst(1), 1);
	vhost_shortcut_shut(vhost);
	vring.used = (struct vring_used *)(memory + 16384);
	vhost_shortcut_open(vhost);
	assert_int_equal(burst(1), 1);
	assert_int_equal((uint16_t)(old->idx - (UINT16_MAX - 10)), 1);
	assert_int_equal((uint16_t)(vring.used->idx - (UINT16_MAX - 10)), 2);
}

static void
the_vm_is_told_if_it_waits(void **state)
{
	(void)state;
	assert_false(vhost->shortcut.to_tell);
	assert_int_equal(burst(1), 1);
	assert_true(vhost->shortcut.to_tell);
	vring.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	vhost_shortcut_tell(vhost, 0);
	assert_int_equal(calls, 0);
	assert_false(vhost->shortcut.to_tell);
	assert_int_equal(burst(1), 1);
	vring.avail->flags = 0;
	vhost_shortcut_tell(vhost, 0);
	assert_int_equal(calls, 1);
	/* By index: librte_vhost knows whether. */
	connect_vm(FEATURE(VIRTIO_F_VERSION_1) | FEATURE(VIRTIO_RING_F_EVENT_IDX));
	vring.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	assert_int_equal(burst(1), 1);
	vhost_shortcut_tell(vhost, 0);
	assert_int_equal(calls, 2);
}

/* For unit_wait(). */
static bool
is_eaten(void *arg)
{
	return atomic_load((_Atomic uint16_t *)arg) == vring.used->idx;
}

/*
 * The VM's driver: it says that it waits, looks once more for packets, and if there are none
 * then, sleeps until it is told. arg: packets that it has seen.
 */
static int
sleep_and_eat(void *arg)
{
	_Atomic uint16_t *eaten = arg;
	unsigned int heard, i, turn = 0;

	while (!atomic_load(&stop)) {
		/* At all times that a packet may come. */
		turn++;
		for (i = 0; i < turn % 1024; i++)
			atomic_signal_fence(memory_order_seq_cst);
		heard = atomic_load(&calls);
		__atomic_store_n(&vring.avail->flags, 0, __ATOMIC_RELAXED);
		rte_smp_mb();
		if (__atomic_load_n(&vring.used->idx, __ATOMIC_ACQUIRE) == atomic_load(eaten))
			for (i = 1; atomic_load(&calls) == heard && !atomic_load(&stop); i++)
				if (i % 4096 == 0)
					sched_yield(); /* the worker may have no CPU */
		__atomic_store_n(&vring.avail->flags, VRING_AVAIL_F_NO_INTERRUPT, __ATOMIC_RELAXED);
		atomic_store(eaten, __atomic_load_n(&vring.used->idx, __ATOMIC_ACQUIRE));
	}
	return 0;
}

/* Of packets that come as it goes to sleep it is told, whoever's barrier it was. */
static void
no_vm_sleeps_on_when_another_one_paid_for_the_barrier(void **state)
{
	const uint64_t end = rte_rdtsc() + rte_get_tsc_hz();
	struct vhost_backend *other = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*other));
	struct vring_avail quiet = {.flags = VRING_AVAIL_F_NO_INTERRUPT};
	_Atomic uint16_t eaten = vring.used->idx;
	unsigned int n, waited = 0;
	bool all;

	(void)state;
	assert_non_null(other);
	assert_int_equal(burst(1), 1); /* it has looked the ring up */
	vhost_shortcut_tell(vhost, 0);
	memcpy(other, vhost, sizeof(*other));
	other->ahead.to_vm.avail = &quiet;
	assert_int_equal(rte_eal_remote_launch(sleep_and_eat, &eaten, unit_lcores[1]), 0);
	for (n = 0; rte_rdtsc() < end; n++) {
		vring.avail->idx = (uint16_t)(next_index + SIZE);
		assert_int_equal(burst(1), 1);
		other->shortcut.to_tell = true;
		other->shortcut.barriers = vhost->shortcut.barriers;
		vhost_shortcut_tell(other, 0);
		vhost_shortcut_tell(vhost, 0);
		while (atomic_load(&eaten) != vring.used->idx && rte_rdtsc() < end)
			if (++waited % 4096 == 0)
				sched_yield(); /* it may have no CPU */
	}
	/* Without anything that comes after it. */
	all = unit_wait(is_eaten, &eaten);
	print_message("# %u packets\n", n);
	atomic_store(&stop, true);
	assert_int_equal(rte_eal_wait_lcore(unit_lcores[1]), 0);
	assert_true(all);
	free(other);
}

/* A worker that never rests; the VM gives buffers back at once. */
static void *
work(void *arg)
{
	unsigned long *done = arg;

	while (!atomic_load(&stop)) {
		*done += burst(VMQ_BURST);
		vring.avail->idx = (uint16_t)(next_index + SIZE);
	}
	return NULL;
}

/* Once it is shut nothing is written any more: 2,000 messages beside a worker. */
static void
who_shuts_it_finds_the_ring_at_rest(void **state)
{
	unsigned long done = 0;
	unsigned int i, moved = 0;
	uint16_t before, last;
	pthread_t worker;

	(void)state;
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&worker, NULL, work, &done), 0);
	last = *(volatile uint16_t *)&vring.used->idx;
	for (i = 0; i < 2000; i++) {
		vhost_shortcut_shut(vhost);
		before = *(volatile uint16_t *)&vring.used->idx;
		moved += before != last;
		usleep(20);
		assert_int_equal(*(volatile uint16_t *)&vring.used->idx, before);
		last = before;
		vhost_shortcut_open(vhost);
		if (i % 16 == 0)
			usleep(200);
	}
	atomic_store(&stop, true);
	assert_int_equal(pthread_join(worker, NULL), 0);
	print_message("# %lu packets, %u times between two messages\n", done, moved);
	assert_true(moved > 0);
}

#define shortcut_test(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		shortcut_test(packets_come_into_the_buffers_that_the_vm_names),
		shortcut_test(a_burst_goes_on_at_the_rings_begin),
		shortcut_test(an_old_driver_has_the_short_header),
		shortcut_test(a_header_is_right_whatever_was_there),
		shortcut_test(no_more_is_put_than_the_vm_has_room_for),
		shortcut_test(what_is_not_plain_is_left_alone_with_all_behind_it),
		shortcut_test(a_ring_that_is_not_all_the_vms_is_not_written),
		shortcut_test(it_is_shut_for_packed_rings_and_while_a_migration_logs_writes),
		shortcut_test(it_is_shut_for_a_device_that_is_not_as_the_one_before),
		shortcut_test(a_ring_that_a_message_has_moved_is_written_at_its_new_place),
		shortcut_test(the_vm_is_told_if_it_waits),
		shortcut_test(no_vm_sleeps_on_when_another_one_paid_for_the_barrier),
		shortcut_test(who_shuts_it_finds_the_ring_at_rest),
	};

	return cmocka_run_group_tests_name("vhost shortcut", tests, unit_start, unit_stop);
}
