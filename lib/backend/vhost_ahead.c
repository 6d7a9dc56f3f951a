/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * The cache lines that the next burst to a VM will write are in the cache of the VM's CPU.
 * They are asked for after a burst, and come while the worker receives and classifies;
 * librte_vhost would wait for them one after the other.
 *
 * All that is read here is the VM's to change at any moment. A ring is read only where all
 * of it lies in the VM's memory, which stays mapped while the worker is inside the gate;
 * each field is read once and checked; and to ask for a line is never a fault.
 */

#include <stdlib.h>

#include <linux/virtio_ring.h>

#include "vhost_private.h"

/* A frame of 64 bytes behind a virtio-net header of 12 reaches into a second line. */
#define LINES 2

void
vhost_ahead_learn(struct vhost_ahead *ahead, int vid, bool packed)
{
	struct rte_vhost_memory *memory = NULL;
	uint32_t i;

	ahead->packed = packed;
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

/* Where we see an address of the VM's; 0: nowhere. */
static inline uintptr_t
host_address(const struct vhost_ahead *ahead, uint64_t guest)
{
	const struct vhost_region *region = ahead->regions;
	uint32_t i;

	for (i = 0; i < ahead->n_regions; i++, region++)
		if (guest - region->guest < region->bytes)
			return (uintptr_t)(guest - region->guest + region->host);
	return 0;
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

static inline void
fetch_buffer(const struct vhost_ahead *ahead, uint64_t guest)
{
	const char *line = (const char *)host_address(ahead, guest);
	unsigned int i;

	for (i = 0; line != NULL && i < LINES; i++)
		vhost_fetch(line + i * RTE_CACHE_LINE_SIZE);
}

static void
fetch_split(const struct vhost_ahead *ahead, const struct rte_vhost_vring *ring, uint16_t next,
	uint16_t n)
{
	const uint16_t mask = (uint16_t)(ring->size - 1); /* the size is a power of two */
	uint16_t ready, index, i;

	if (!is_of_vm(ahead, ring->avail, sizeof(*ring->avail) + ring->size * sizeof(uint16_t)) ||
		!is_of_vm(ahead, ring->desc, ring->size * sizeof(*ring->desc)))
		return;
	ready = __atomic_load_n(&ring->avail->idx, __ATOMIC_RELAXED) - next;
	n = RTE_MIN(n, ready);
	for (i = 0; i < n; i++) {
		index = __atomic_load_n(&ring->avail->ring[(next + i) & mask], __ATOMIC_RELAXED);
		if (index < ring->size)
			fetch_buffer(ahead, __atomic_load_n(&ring->desc[index].addr, __ATOMIC_RELAXED));
	}
}

/* Its descriptors may be from the last round still: then for nothing, but for no harm. */
static void
fetch_packed(const struct vhost_ahead *ahead, const struct rte_vhost_vring *ring, uint16_t next,
	uint16_t n)
{
	uint32_t at = next & INT16_MAX; /* the highest bit is the wrap counter */
	uint16_t i;

	if (!is_of_vm(ahead, ring->desc_packed, ring->size * sizeof(*ring->desc_packed)))
		return;
	for (i = 0; i < n; i++, at++) {
		if (at >= ring->size)
			at = 0;
		fetch_buffer(ahead, __atomic_load_n(&ring->desc_packed[at].addr, __ATOMIC_RELAXED));
	}
}

void
vhost_ahead_fetch(const struct vhost_ahead *ahead, int vid, uint16_t ring, uint16_t n)
{
	struct rte_vhost_vring vring;
	uint16_t next, used;

	if (rte_vhost_get_vhost_vring(vid, ring, &vring) < 0 ||
		rte_vhost_get_vring_base(vid, ring, &next, &used) < 0 || vring.size == 0)
		return;
	if (ahead->packed)
		fetch_packed(ahead, &vring, next, n);
	else
		fetch_split(ahead, &vring, next, n);
}
