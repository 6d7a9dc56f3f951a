/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * What is asked for ahead of a burst to a VM, and what is read for that: lib/backend/
 * vhost_ahead.c. The VM is the test, its memory lies between pages that nobody may touch.
 */

#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/virtio_ring.h>

#include <vhost_private.h>

static void note_fetch(const char *line);

/* The file itself, to see what it asks for. */
#define vhost_fetch note_fetch
#include "../../lib/backend/vhost_ahead.c"

#define GUEST UINT64_C(0x100000) /* where the VM sees its memory */
#define MEMORY_BYTES ((size_t)65536)
#define SIZE 16 /* descriptors of a ring */
#define USED_AT (MEMORY_BYTES - 16384) /* no buffer is there */
#define ASKED_MAX 256

static const char *asked[ASKED_MAX];
static unsigned int n_asked;
static const char *asked_used[ASKED_MAX]; /* of the list of used buffers */
static unsigned int n_asked_used;

static uint8_t *memory; /* the VM's: MEMORY_BYTES, and nothing behind or before it */
static struct rte_vhost_vring vring;
static uint16_t next_index, used_index;
static bool has_ring, has_memory;
static uint32_t n_regions;

static void
note_fetch(const char *line)
{
	const char *list = (const char *)vring.used;

	assert_true(n_asked < ASKED_MAX && n_asked_used < ASKED_MAX);
	if (list != NULL && line >= list && line < (const char *)&vring.used->ring[vring.size])
		asked_used[n_asked_used++] = line;
	else
		asked[n_asked++] = line;
}

int
rte_vhost_get_vhost_vring(int vid, uint16_t ring, struct rte_vhost_vring *found)
{
	(void)vid;
	(void)ring;
	*found = vring;
	return has_ring ? 0 : -1;
}

int
rte_vhost_get_vring_base(int vid, uint16_t ring, uint16_t *next, uint16_t *used)
{
	(void)vid;
	(void)ring;
	*next = next_index;
	*used = used_index;
	return has_ring ? 0 : -1;
}

int
rte_vhost_get_mem_table(int vid, struct rte_vhost_memory **table)
{
	uint32_t i;

	(void)vid;
	if (!has_memory)
		return -1;
	*table = calloc(1, sizeof(**table) + n_regions * sizeof((*table)->regions[0]));
	assert_non_null(*table);
	(*table)->nregions = n_regions;
	for (i = 0; i < n_regions; i++) {
		(*table)->regions[i].guest_phys_addr = GUEST + i * MEMORY_BYTES / n_regions;
		(*table)->regions[i].host_user_addr =
			(uintptr_t)memory + i * MEMORY_BYTES / n_regions;
		(*table)->regions[i].size = MEMORY_BYTES / n_regions;
	}
	return 0;
}

static int
begin(void **state)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *at;

	(void)state;
	at = mmap(NULL, MEMORY_BYTES + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(at != MAP_FAILED);
	memory = at + page;
	assert_int_equal(mprotect(memory, MEMORY_BYTES, PROT_READ | PROT_WRITE), 0);
	memset(&vring, 0, sizeof(vring));
	n_asked = n_asked_used = 0;
	next_index = used_index = 0;
	n_regions = 1;
	has_ring = has_memory = true;
	return 0;
}

static int
end(void **state)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);

	(void)state;
	return munmap(memory - page, MEMORY_BYTES + 2 * page);
}

/* A split ring whose parts lie at these offsets of the VM's memory. */
static void
put_split(size_t desc, size_t avail)
{
	vring.size = SIZE;
	vring.desc = (struct vring_desc *)(memory + desc);
	vring.avail = (struct vring_avail *)(memory + avail);
	vring.used = (struct vring_used *)(memory + USED_AT);
}

static void
put_packed(size_t desc)
{
	vring.size = SIZE;
	vring.desc_packed = (struct vring_packed_desc *)(memory + desc);
}

static void
ask(bool packed, uint16_t n)
{
	struct vhost_ahead ahead = {0};

	vhost_ahead_learn(&ahead, 0, packed ? FEATURE(VIRTIO_F_RING_PACKED) : 0);
	vhost_ahead_fetch(&ahead, 0, 1, 0, n, VHOST_ALL);
}

/* Both lines of the buffer at this offset of the VM's memory were the next asked for. */
static void
assert_asked(unsigned int *at, size_t offset)
{
	unsigned int i;

	for (i = 0; i < LINES; i++, ++*at) {
		assert_true(*at < n_asked);
		assert_ptr_equal(asked[*at], memory + offset + i * RTE_CACHE_LINE_SIZE);
	}
}

static void
the_buffers_of_the_next_entries_are_asked_for(void **state)
{
	unsigned int i, at = 0;

	(void)state;
	put_split(0, 1024);
	/* From entry 12 on, so that it goes on at the ring's begin; indices that wrap as well. */
	next_index = UINT16_MAX - 3;
	for (i = 0; i < SIZE; i++) {
		vring.desc[i].addr = GUEST + 4096 + i * 2048;
		vring.avail->ring[(12 + i) % SIZE] = (uint16_t)(SIZE - 1 - i);
	}
	vring.avail->idx = (uint16_t)(next_index + 10);
	ask(false, 8);
	for (i = 0; i < 8; i++)
		assert_asked(&at, 4096 + (SIZE - 1 - i) * 2048);
	assert_int_equal(n_asked, at);
}

/* Each line in which entries of the next burst begin, once, and around the end of the list. */
static void
the_entries_that_will_be_used_are_asked_for(void **state)
{
	struct vhost_ahead ahead = {0};
	unsigned int i;

	(void)state;
	put_split(0, 1024);
	vring.size = 64;
	vhost_ahead_learn(&ahead, 0, 0);
	used_index = UINT16_MAX - 7; /* entry 56: the next one that it goes on with is entry 0 */
	vhost_ahead_fetch(&ahead, 0, 1, 0, VMQ_BURST, VHOST_FIRST_HALF);
	assert_int_equal(n_asked_used, VMQ_BURST / PER_LINE(vring.used->ring[0]));
	for (i = 0; i < n_asked_used; i++)
		assert_ptr_equal(asked_used[i], &vring.used->ring[(56 + 8 * i) % 64]);
	vhost_ahead_fetch(&ahead, 0, 1, 0, VMQ_BURST, VHOST_SECOND_HALF);
	assert_int_equal(n_asked_used, VMQ_BURST / PER_LINE(vring.used->ring[0]));
	assert_int_equal(n_asked, 0); /* the VM has made nothing available */
}

/* By two halves the same is asked for as at once; the second goes by the index of the first. */
static void
halves_are_a_whole(void **state)
{
	struct vhost_ahead ahead = {0};
	unsigned int i, packed, at = 0;

	(void)state;
	for (packed = 0; packed < 2; packed++) {
		at = n_asked = 0;
		memset(&ahead, 0, sizeof(ahead));
		vhost_ahead_learn(&ahead, 0, packed ? FEATURE(VIRTIO_F_RING_PACKED) : 0);
		put_split(0, 1024);
		if (packed)
			put_packed(0);
		next_index = SIZE - 3;
		for (i = 0; i < SIZE; i++) {
			if (packed)
				vring.desc_packed[i].addr = GUEST + 4096 + i * 2048;
			else
				vring.desc[i].addr = GUEST + 4096 + i * 2048;
			if (!packed)
				vring.avail->ring[i] = (uint16_t)i;
		}
		if (!packed)
			vring.avail->idx = (uint16_t)(next_index + 9);
		vhost_ahead_fetch(&ahead, 0, 1, 0, 10, VHOST_FIRST_HALF);
		for (i = 0; i < 5; i++)
			assert_asked(&at, 4096 + (SIZE - 3 + i) % SIZE * 2048);
		assert_int_equal(n_asked, at);
		if (!packed)
			vring.avail->idx = (uint16_t)(next_index + 10);
		vhost_ahead_fetch(&ahead, 0, 1, 0, 10, VHOST_SECOND_HALF);
		for (i = 5; i < (packed ? 10 : 9); i++)
			assert_asked(&at, 4096 + (SIZE - 3 + i) % SIZE * 2048);
		assert_int_equal(n_asked, at);
	}
	/* A packed ring smaller than half a burst: read over and over, and not behind its end. */
	n_asked = 0;
	memset(&ahead, 0, sizeof(ahead));
	vhost_ahead_learn(&ahead, 0, FEATURE(VIRTIO_F_RING_PACKED));
	put_packed(MEMORY_BYTES - SIZE * sizeof(struct vring_packed_desc));
	for (i = 0; i < SIZE; i++)
		vring.desc_packed[i].addr = GUEST;
	vhost_ahead_fetch(&ahead, 0, 1, 0, 6 * SIZE, VHOST_SECOND_HALF);
	assert_int_equal(n_asked, 3 * SIZE * LINES);
}

static void
no_more_is_asked_for_than_the_vm_has_made_available(void **state)
{
	unsigned int at = 0;

	(void)state;
	put_split(0, 1024);
	vring.desc[5].addr = GUEST + 8192;
	vring.avail->ring[0] = 5;
	vring.avail->idx = 1;
	ask(false, VMQ_BURST);
	assert_asked(&at, 8192);
	assert_int_equal(n_asked, at);
	next_index = 1;
	ask(false, VMQ_BURST);
	assert_int_equal(n_asked, at);
}

/* An index that jumped: as many as a burst, and the ring over and over. */
static void
an_index_that_has_jumped_is_followed_for_a_burst_only(void **state)
{
	(void)state;
	put_split(0, 1024);
	vring.desc[0].addr = GUEST + 8192;
	vring.avail->idx = 40000;
	ask(false, VMQ_BURST);
	assert_int_equal(n_asked, VMQ_BURST * LINES);
}

static void
an_entry_of_no_descriptor_and_an_address_of_no_memory_are_passed_over(void **state)
{
	static const uint64_t nowhere[] = {0, GUEST - 1, GUEST + MEMORY_BYTES, UINT64_MAX,
		UINT64_MAX - MEMORY_BYTES};
	unsigned int i, at = 0;

	(void)state;
	put_split(0, 1024);
	for (i = 0; i < RTE_DIM(nowhere); i++) {
		vring.desc[i].addr = nowhere[i];
		vring.avail->ring[i] = (uint16_t)i;
	}
	vring.avail->ring[i++] = SIZE;
	vring.avail->ring[i++] = UINT16_MAX;
	/* The last byte of the memory: the line behind it is asked for too, which is no access. */
	vring.desc[SIZE - 1].addr = GUEST + MEMORY_BYTES - 1;
	vring.avail->ring[i++] = SIZE - 1;
	vring.avail->idx = (uint16_t)i;
	ask(false, VMQ_BURST);
	assert_asked(&at, MEMORY_BYTES - 1);
	assert_int_equal(n_asked, at);
}

/* Read up to the memory's last byte, and not at all if one byte is outside. */
static void
a_split_ring_is_read_only_where_all_of_it_is_the_vms(void **state)
{
	const size_t desc_bytes = SIZE * sizeof(struct vring_desc);
	const size_t avail_bytes = sizeof(struct vring_avail) + SIZE * sizeof(uint16_t);

	(void)state;
	put_split(0, MEMORY_BYTES - avail_bytes);
	vring.desc[0].addr = GUEST;
	vring.avail->idx = SIZE;
	ask(false, SIZE);
	assert_int_equal(n_asked, SIZE * LINES);

	n_asked = 0;
	put_split(0, MEMORY_BYTES - avail_bytes + 2);
	ask(false, SIZE);
	put_split(0, MEMORY_BYTES); /* its index is a fault */
	ask(false, SIZE);
	assert_int_equal(n_asked, 0);

	put_split(MEMORY_BYTES - desc_bytes, 1024);
	vring.avail->idx = SIZE;
	vring.desc[0].addr = GUEST;
	ask(false, SIZE);
	assert_int_equal(n_asked, SIZE * LINES);
	n_asked = 0;
	put_split(MEMORY_BYTES - desc_bytes + 16, 1024);
	ask(false, SIZE);
	assert_int_equal(n_asked, 0);
}

static void
a_packed_ring_is_asked_for_around_its_end_whatever_its_wrap_counter(void **state)
{
	static const uint16_t wraps[] = {0, UINT16_C(1) << 15};
	unsigned int i, j, at = 0;

	(void)state;
	put_packed(0);
	for (i = 0; i < SIZE; i++)
		vring.desc_packed[i].addr = GUEST + 4096 + i * 2048;
	for (j = 0; j < RTE_DIM(wraps); j++) {
		next_index = wraps[j] | (SIZE - 2);
		ask(true, 5);
		for (i = 0; i < 5; i++)
			assert_asked(&at, 4096 + (SIZE - 2 + i) % SIZE * 2048);
	}
	assert_int_equal(n_asked, at);
}

/* As a VM can make librte_vhost have it. */
static void
a_packed_ring_whose_place_is_behind_its_end_is_read_from_its_begin(void **state)
{
	unsigned int at = 0;

	(void)state;
	put_packed(MEMORY_BYTES - SIZE * sizeof(struct vring_packed_desc));
	vring.desc_packed[0].addr = GUEST + 2048;
	next_index = INT16_MAX;
	ask(true, 1);
	assert_asked(&at, 2048);
	next_index = SIZE;
	ask(true, 1);
	assert_asked(&at, 2048);
	/* And not if its last descriptor is outside. */
	put_packed(MEMORY_BYTES - SIZE * sizeof(struct vring_packed_desc) + 16);
	ask(true, 1);
	assert_int_equal(n_asked, at);
}

static void
a_ring_across_two_regions_is_left_alone_and_a_buffer_is_found_in_each(void **state)
{
	unsigned int at = 0;

	(void)state;
	n_regions = 2;
	put_packed(0);
	vring.desc_packed[0].addr = GUEST + 2048;
	vring.desc_packed[1].addr = GUEST + MEMORY_BYTES / 2 + 2048;
	ask(true, 2);
	assert_asked(&at, 2048);
	assert_asked(&at, MEMORY_BYTES / 2 + 2048);
	put_packed(MEMORY_BYTES / 2 - 16);
	ask(true, 2);
	assert_int_equal(n_asked, at);
}

/* A header that has its line to itself is not taken from the VM's CPU. */
static void
a_line_with_nothing_but_a_header_is_not_asked_for_to_write(void **state)
{
	static const struct {
		uint64_t features;
		size_t header;
	} cases[] = {
		{0, sizeof(struct virtio_net_hdr)},
		{FEATURE(VIRTIO_F_VERSION_1), sizeof(struct virtio_net_hdr_mrg_rxbuf)},
		{FEATURE(VIRTIO_NET_F_MRG_RXBUF), sizeof(struct virtio_net_hdr_mrg_rxbuf)},
	};
	struct vhost_ahead ahead;
	unsigned int i, j;

	(void)state;
	put_split(0, 1024);
	vring.avail->idx = 1;
	for (i = 0; i < RTE_DIM(cases); i++) {
		memset(&ahead, 0, sizeof(ahead));
		vhost_ahead_learn(&ahead, 0, cases[i].features);
		for (j = 0; j < RTE_CACHE_LINE_SIZE; j++) {
			vring.desc[0].addr = GUEST + 8192 + j;
			n_asked = 0;
			vhost_ahead_fetch(&ahead, 0, 1, 0, 1, VHOST_ALL);
			assert_int_equal(n_asked, j + cases[i].header == RTE_CACHE_LINE_SIZE ? 1 : 2);
		}
	}
}

static void
without_a_ring_or_memory_nothing_is_asked_for(void **state)
{
	(void)state;
	put_packed(0);
	has_memory = false;
	ask(true, 4);
	has_memory = true;
	has_ring = false;
	ask(true, 4);
	has_ring = true;
	vring.size = 0;
	ask(true, 4);
	ask(false, 4);
	assert_int_equal(n_asked, 0);
}

/* Nothing is there when librte_vhost would find nothing: by the index, or by the flags. */
static void
an_empty_split_ring_is_told_from_one_with_an_entry(void **state)
{
	struct vhost_ahead ahead = {0};

	(void)state;
	put_split(0, 1024);
	vhost_ahead_learn(&ahead, 0, 0);
	vring.avail->idx = UINT16_MAX;
	assert_true(vhost_ahead_is_empty(&ahead, 0, 1, 1, UINT16_MAX));
	vring.avail->idx = 0;
	assert_false(vhost_ahead_is_empty(&ahead, 0, 1, 1, UINT16_MAX));
	assert_true(vhost_ahead_is_empty(&ahead, 0, 1, 1, 0));
	vring.avail->idx = 40000; /* one that jumped: librte_vhost is to see it */
	assert_false(vhost_ahead_is_empty(&ahead, 0, 1, 1, 0));
}

static void
an_empty_packed_ring_is_told_from_one_with_an_entry(void **state)
{
	static const struct {
		uint16_t flags, wrap;
		bool empty;
	} cases[] = {
		{0, 1, true}, {AVAILABLE, 1, false}, {AVAILABLE | USED, 1, true}, {USED, 1, true},
		{0, 0, true}, {USED, 0, false}, {AVAILABLE | USED, 0, true}, {AVAILABLE, 0, true},
	};
	struct vhost_ahead ahead = {0};
	unsigned int i;

	(void)state;
	put_packed(0);
	vhost_ahead_learn(&ahead, 0, FEATURE(VIRTIO_F_RING_PACKED));
	for (i = 0; i < RTE_DIM(cases); i++) {
		vring.desc_packed[3].flags = cases[i].flags;
		assert_int_equal(vhost_ahead_is_empty(&ahead, 0, 1, 1,
			(uint16_t)(3 | cases[i].wrap << 15)), cases[i].empty);
	}
	/* A place that the ring does not have: for librte_vhost to judge. */
	assert_false(vhost_ahead_is_empty(&ahead, 0, 1, 1, SIZE));
}

static void
a_ring_that_is_not_the_vms_is_never_taken_for_an_empty_one(void **state)
{
	struct vhost_ahead ahead = {0};

	(void)state;
	put_split(0, MEMORY_BYTES); /* its index is a fault */
	vhost_ahead_learn(&ahead, 0, 0);
	assert_false(vhost_ahead_is_empty(&ahead, 0, 1, 1, 0));
	has_ring = false;
	assert_false(vhost_ahead_is_empty(&ahead, 0, 2, 1, 0));
	vhost_ahead_fetch_index(&ahead);
}

/* Another device, another ring, and the same one after some time are looked up anew. */
static void
a_ring_that_has_moved_is_found_soon(void **state)
{
	struct vhost_ahead ahead = {0};
	unsigned int looks = 0;

	(void)state;
	put_split(0, 1024);
	vhost_ahead_learn(&ahead, 0, 0);
	assert_true(vhost_ahead_is_empty(&ahead, 0, 1, 1, 0));
	put_split(0, 2048);
	vring.avail->idx = 1;
	assert_true(vhost_ahead_is_empty(&ahead, 0, 1, 1, 0));
	assert_false(vhost_ahead_is_empty(&ahead, 0, 2, 1, 0));

	put_split(0, 1024);
	assert_false(vhost_ahead_is_empty(&ahead, 0, 2, 1, 0));
	assert_true(vhost_ahead_is_empty(&ahead, 0, 2, 3, 0));

	put_split(0, 2048);
	while (vhost_ahead_is_empty(&ahead, 0, 2, 3, 0))
		assert_true(++looks <= USES_MAX);
}

/* The descriptors of the burst behind the next one come from where the VM has put them. */
static void
what_is_asked_for_two_bursts_ahead_is_read_nowhere_outside(void **state)
{
	unsigned int i;

	(void)state;
	vring.size = 256;
	vring.desc = (struct vring_desc *)memory;
	vring.avail = (struct vring_avail *)(memory + MEMORY_BYTES - sizeof(*vring.avail) -
		vring.size * sizeof(uint16_t));
	vring.used = (struct vring_used *)(memory + USED_AT);
	for (i = 0; i < vring.size; i++)
		vring.avail->ring[i] = i % 2 == 0 ? 0 : (uint16_t)(UINT16_MAX - i);
	vring.desc[0].addr = GUEST;
	for (i = 0; i <= UINT16_MAX; i += 251) {
		n_asked = n_asked_used = 0;
		next_index = (uint16_t)i;
		vring.avail->idx = (uint16_t)(next_index + vring.size);
		ask(false, VMQ_BURST);
		assert_int_equal(n_asked, VMQ_BURST / 2 * LINES);
	}
}

static void
no_more_regions_are_learnt_than_there_is_room_for(void **state)
{
	struct vhost_ahead ahead;

	(void)state;
	n_regions = 2 * RTE_DIM(ahead.regions);
	vhost_ahead_learn(&ahead, 0, 0);
	assert_int_equal(ahead.n_regions, RTE_DIM(ahead.regions));
}

#define ahead_test(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ahead_test(the_buffers_of_the_next_entries_are_asked_for),
		ahead_test(the_entries_that_will_be_used_are_asked_for),
		ahead_test(halves_are_a_whole),
		ahead_test(no_more_is_asked_for_than_the_vm_has_made_available),
		ahead_test(an_index_that_has_jumped_is_followed_for_a_burst_only),
		ahead_test(an_entry_of_no_descriptor_and_an_address_of_no_memory_are_passed_over),
		ahead_test(a_split_ring_is_read_only_where_all_of_it_is_the_vms),
		ahead_test(a_packed_ring_is_asked_for_around_its_end_whatever_its_wrap_counter),
		ahead_test(a_packed_ring_whose_place_is_behind_its_end_is_read_from_its_begin),
		ahead_test(a_ring_across_two_regions_is_left_alone_and_a_buffer_is_found_in_each),
		ahead_test(a_line_with_nothing_but_a_header_is_not_asked_for_to_write),
		ahead_test(without_a_ring_or_memory_nothing_is_asked_for),
		ahead_test(an_empty_split_ring_is_told_from_one_with_an_entry),
		ahead_test(an_empty_packed_ring_is_told_from_one_with_an_entry),
		ahead_test(a_ring_that_is_not_the_vms_is_never_taken_for_an_empty_one),
		ahead_test(a_ring_that_has_moved_is_found_soon),
		ahead_test(what_is_asked_for_two_bursts_ahead_is_read_nowhere_outside),
		ahead_test(no_more_regions_are_learnt_than_there_is_room_for),
	};

	return cmocka_run_group_tests_name("vhost ahead", tests, unit_start, unit_stop);
}
