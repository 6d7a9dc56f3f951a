/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * The cache lines that the next burst to a VM will write are in the cache of the VM's CPU.
 * They are asked for before the burst, and come while the worker does something else;
 * librte_vhost would wait for them one after the other.
 *
 * All that is read here is the VM's to change at any moment. A ring is read only where all
 * of it lies in the VM's memory, which stays mapped while the worker is inside the gate;
 * each field is read once and checked; and to ask for a line is never a fault.
 */

#include <stdlib.h>

#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include <rte_prefetch.h>

#include "vhost_private.h"

/* A frame of 64 bytes behind a virtio-net header of 12 reaches into a second line. */
#define LINES 2

#define FEATURE(n) (UINT64_C(1) << (n))

void
vhost_ahead_learn(struct vhost_ahead *ahead, int vid, uint64_t features)
{
	struct rte_vhost_memory *memory = NULL;
	uint32_t i;

	ahead->packed = features & FEATURE(VIRTIO_F_RING_PACKED);
	/* As librte_vhost sets its vhost_hlen. */
	ahead->header_bytes = features &
		(FEATURE(VIRTIO_NET_F_MRG_RXBUF) | FEATURE(VIRTIO_F_VERSION_1))
		? sizeof(struct virtio_net_hdr_mrg_rxbuf) : sizeof(struct virtio_net_hdr);
	ahead->n_regions = 0;
	/* Without it nothing is asked for ahead: slower, and as right. */
	if (rte_vhost_get_mem_table(vid, &memory) < 0 || memory == NULL)
		return;
	for (i = 0; i < memory->nregions && i < RTE_DIM(ahead->regions); i++)
		ahead->regions[i] = (struct vhost_region){
			.guest = memory->regions[i].guest_phys_addr,
			.host = memory->regions[i].host_user_addr,
			.bytes = memory->regions[i].size,
		};
	ahead->n_regions = i;
	free(memory);
}

static inline bool
is_of_vm(const struct vhost_ahead *ahead, const void *start, size_t bytes)
{
	const struct vhost_region *region = ahead->regions;
	const uint64_t address = (uint64_t)(uintptr_t)start;
	uint32_t i;

	for (i = 0; i < ahead->n_regions; i++, region++)
		if (address - region->host < region->bytes)
			return bytes <= region->bytes - (address - region->host);
	return false;
}

/*
 * A header that is alone in its line, as DPDK's drivers have it, is to be read only: as a rule
 * it says already what it should, and both CPUs keep the line.
 */
static inline void
fetch_buffer(const struct vhost_ahead *ahead, uint64_t guest)
{
	const char *line = vhost_ahead_address(ahead, guest, 1);

	if (line == NULL)
		return;
	if (((uintptr_t)line + ahead->header_bytes) % RTE_CACHE_LINE_SIZE == 0)
		rte_prefetch0(line);
	else
		vhost_fetch(line);
	vhost_fetch(line + RTE_CACHE_LINE_SIZE);
}

/*
 * Uses after which a ring is looked up anew all the same. Whatever has become of it, the old
 * place still is in the VM's memory.
 */
#define USES_MAX 64

static void
look_up(const struct vhost_ahead *ahead, struct vhost_ring *ring, int vid)
{
	struct rte_vhost_vring vring;

	ring->size = 0;
	if (rte_vhost_get_vhost_vring(vid, ring->number, &vring) < 0)
		return;
	ring->desc = vring.desc;
	ring->avail = vring.avail;
	ring->used = vring.used;
	if (!is_of_vm(ahead, vring.desc, vring.size * sizeof(*vring.desc)))
		return;
	if (!ahead->packed && (!is_of_vm(ahead, vring.avail,
			sizeof(*vring.avail) + vring.size * sizeof(vring.avail->ring[0])) ||
		!is_of_vm(ahead, vring.used,
			sizeof(*vring.used) + vring.size * sizeof(vring.used->ring[0]))))
		return;
	ring->size = vring.size;
}

bool
vhost_ahead_know(const struct vhost_ahead *ahead, struct vhost_ring *ring, int vid, uint32_t epoch,
	uint16_t number)
{
	if (unlikely(ring->epoch != epoch || ring->number != number ||
		++ring->uses > USES_MAX)) {
		ring->epoch = epoch;
		ring->number = number;
		ring->uses = 0;
		look_up(ahead, ring, vid);
	}
	return ring->size != 0;
}

/* The descriptor that heads the chain at a place of the ring; NULL: none that can be. */
static inline const struct vring_desc *
head_at(const struct vhost_ring *ring, uint16_t at)
{
	const struct vring_desc *desc = ring->desc;
	const uint16_t index = __atomic_load_n(&ring->avail->ring[at & (ring->size - 1)],
		__ATOMIC_RELAXED);

	return index < ring->size ? &desc[index] : NULL;
}

#define PER_LINE(type) (RTE_CACHE_LINE_SIZE / sizeof(type))

static inline uint16_t
part_begin(enum vhost_part part, uint16_t n)
{
	return part == VHOST_SECOND_HALF ? n / 2 : 0;
}

static inline uint16_t
part_end(enum vhost_part part, uint16_t n)
{
	return part == VHOST_FIRST_HALF ? n / 2 : n;
}

/*
 * Where the buffers are is in the cache of the VM's CPU as well, and to find out is to wait for
 * it twice. So descriptors are asked for a burst before they are read here, and the list of
 * them two: some 2 % of a packet of 64 bytes. What is there may be from the last round
 * still: then for nothing, but for no harm.
 *
 * The VM has read what is in the list of used ones, so that a store there waits as well: with 2
 * to 16 VMs 1 to 2 % of a packet of 64 bytes, with one or with longer packets nothing. The line
 * that the last entry only ends in is the first one of the burst behind: it comes with that.
 */
static void
fetch_split(const struct vhost_ahead *ahead, struct vhost_ring *ring, uint16_t next, uint16_t used,
	uint16_t n, enum vhost_part part)
{
	const uint16_t mask = (uint16_t)(ring->size - 1); /* the size is a power of two */
	const struct vring_desc *desc;
	uint16_t ready, i;

	/* By now somebody else has that line again: for the second half what it said will do. */
	if (part != VHOST_SECOND_HALF)
		ring->ready = __atomic_load_n(&ring->avail->idx, __ATOMIC_RELAXED);
	ready = ring->ready - next;
	if (part == VHOST_SECOND_HALF && ready > ring->size)
		return; /* of a burst before, or of another ring */
	for (i = part_begin(part, n); i < RTE_MIN(part_end(part, n), ready); i++) {
		desc = head_at(ring, next + i);
		if (desc != NULL)
			fetch_buffer(ahead, __atomic_load_n(&desc->addr, __ATOMIC_RELAXED));
	}
	if (part == VHOST_SECOND_HALF)
		return;
	for (i = 0; i < n; i += PER_LINE(ring->used->ring[0]))
		vhost_fetch((const char *)&ring->used->ring[(used + i) & mask]);
	if (ready < 3 * n)
		return;
	for (i = n; i < 2 * n; i += PER_LINE(*desc)) {
		desc = head_at(ring, next + i);
		if (desc != NULL)
			rte_prefetch0(desc);
	}
	rte_prefetch0(&ring->avail->ring[(next + 3 * n - 1) & mask]);
}

/* Its descriptors may be from the last round still: then for nothing, but for no harm. */
static void
fetch_packed(const struct vhost_ahead *ahead, const struct vhost_ring *ring, uint16_t next,
	uint16_t n, enum vhost_part part)
{
	const struct vring_packed_desc *desc = ring->desc;
	uint32_t at = next & INT16_MAX; /* the highest bit is the wrap counter */
	uint16_t i = part_begin(part, n);

	if (at >= ring->size)
		at = 0;
	at = (at + i) % ring->size; /* which may be smaller than a burst */
	for (; i < part_end(part, n); i++, at++) {
		if (at >= ring->size)
			at = 0;
		fetch_buffer(ahead, __atomic_load_n(&desc[at].addr, __ATOMIC_RELAXED));
	}
}

void
vhost_ahead_fetch(struct vhost_ahead *ahead, int vid, uint32_t epoch, uint16_t number,
	uint16_t n, enum vhost_part part)
{
	struct vhost_ring *ring = &ahead->to_vm;
	uint16_t next, used;

	if (!vhost_ahead_know(ahead, ring, vid, epoch, number) ||
		rte_vhost_get_vring_base(vid, number, &next, &used) < 0)
		return;
	if (ahead->packed)
		fetch_packed(ahead, ring, next, n, part);
	else
		fetch_split(ahead, ring, next, used, n, part);
}

void
vhost_ahead_fetch_index(const struct vhost_ahead *ahead)
{
	if (ahead->to_vm.size != 0 && !ahead->packed)
		rte_prefetch0(&ahead->to_vm.avail->idx);
}

/* Bits of a packed descriptor's flags. */
#define AVAILABLE (1 << VRING_PACKED_DESC_F_AVAIL)
#define USED (1 << VRING_PACKED_DESC_F_USED)

bool
vhost_ahead_is_empty(struct vhost_ahead *ahead, int vid, uint32_t epoch, uint16_t number,
	uint16_t next)
{
	struct vhost_ring *ring = &ahead->from_vm;
	const struct vring_packed_desc *desc;
	const uint32_t at = next & INT16_MAX;
	const bool wrap = next >> 15;
	uint16_t flags;

	if (!vhost_ahead_know(ahead, ring, vid, epoch, number))
		return false;
	if (!ahead->packed)
		return __atomic_load_n(&ring->avail->idx, __ATOMIC_RELAXED) == next;
	if (at >= ring->size)
		return false;
	desc = ring->desc;
	flags = __atomic_load_n(&desc[at].flags, __ATOMIC_RELAXED);
	return ((flags & AVAILABLE) != 0) != wrap || ((flags & USED) != 0) == wrap;
}
