/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * Packets into a split ring without librte_vhost.
 *
 * librte_vhost adds to the index of a ring with a locked instruction, takes a lock before and
 * reads behind a barrier if the VM waits: three times the CPU waits until all that it has
 * stored has reached the VM's memory, whose cache lines another CPU has. Here the index is
 * stored, and whether the VM waits is looked at behind a later barrier, when what was stored
 * has long arrived; meanwhile the worker goes on with the next packets. Besides, there is no
 * list of parts where each packet has one.
 *
 * The ring stays librte_vhost's: its two indices are read and set by its own calls
 * (rte_vhost_get_vring_base, rte_vhost_set_vring_base: no locks in 22.11 and 24.11). What it
 * guards by the rings' locks, each message of the VM's side, shuts the shortcut before and
 * waits until the worker has left it. Whatever is not plain is left to librte_vhost: packed
 * rings, several rings, chains and indirect descriptors, packets that need more than one
 * buffer or have more than one segment, and all of it while a migration logs writes.
 *
 * All that is read of the VM's memory may change at any moment: each field is read once, and
 * no write goes anywhere but into the VM's memory.
 */

#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include <rte_lcore.h>
#include <rte_memcpy.h>

#include "vhost_private.h"

#define FEATURE(n) (UINT64_C(1) << (n))

void
vhost_shortcut_learn(struct vhost_backend *vhost, uint64_t features)
{
	vhost->shortcut.possible = !(features & (FEATURE(VIRTIO_F_RING_PACKED) |
		FEATURE(VIRTIO_F_ACCESS_PLATFORM)));
	vhost->shortcut.event_index = features & FEATURE(VIRTIO_RING_F_EVENT_IDX);
	vhost->shortcut.to_tell = false;
}

void
vhost_shortcut_shut(struct vhost_backend *vhost)
{
	if (!atomic_load(&vhost->gate.shortcut))
		return;
	atomic_store(&vhost->gate.shortcut, false);
	vhost_gate_wait(&vhost->gate, VHOST_SHORTCUT);
}

void
vhost_shortcut_open(struct vhost_backend *vhost)
{
	atomic_fetch_add(&vhost->gate.epoch, 1);
	/*
	 * What is written during a migration librte_vhost notes down. Also to be shut here: the
	 * message before a new device has opened it for the one before, which was another.
	 */
	atomic_store(&vhost->gate.shortcut, vhost->shortcut.possible &&
		!(vhost->guard.features & FEATURE(VHOST_F_LOG_ALL)));
}

/*
 * Nothing is left to the VM to compute, since no offloads are offered; one buffer. It says so
 * already as a rule, and a line that is not written need not be taken from the VM's CPU.
 */
static inline void
put_header(uint8_t *to, uint16_t bytes)
{
	const struct virtio_net_hdr_mrg_rxbuf header = {.num_buffers = rte_cpu_to_le_16(1)};
	uint64_t first, first_is;
	uint32_t last, last_is;

	RTE_BUILD_BUG_ON(sizeof(header) != sizeof(first) + sizeof(last));
	if (unlikely(bytes != sizeof(header))) {
		memset(to, 0, bytes);
		return;
	}
	memcpy(&first, &header, sizeof(first));
	memcpy(&last, (const uint8_t *)&header + sizeof(first), sizeof(last));
	memcpy(&first_is, to, sizeof(first));
	memcpy(&last_is, to + sizeof(first), sizeof(last));
	if (unlikely(first_is != first || last_is != last)) {
		memcpy(to, &first, sizeof(first));
		memcpy(to + sizeof(first), &last, sizeof(last));
	}
}

/* A packet that is one piece, into a descriptor that is one. Returns how many bytes, or 0. */
static inline uint32_t
put(const struct vhost_ahead *ahead, const struct vring_desc *desc, const struct rte_mbuf *packet)
{
	const uint32_t bytes = ahead->header_bytes + packet->data_len;
	const uint16_t flags = __atomic_load_n(&desc->flags, __ATOMIC_RELAXED);
	uint8_t *to;

	if (unlikely(packet->nb_segs != 1 ||
		(flags & (VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT)) != 0 ||
		__atomic_load_n(&desc->len, __ATOMIC_RELAXED) < bytes))
		return 0;
	to = vhost_ahead_address(ahead, __atomic_load_n(&desc->addr, __ATOMIC_RELAXED), bytes);
	if (unlikely(to == NULL))
		return 0;
	put_header(to, ahead->header_bytes);
	rte_memcpy(to + ahead->header_bytes, rte_pktmbuf_mtod(packet, const void *),
		packet->data_len);
	return bytes;
}

static uint16_t
fill(struct vhost_backend *vhost, const struct vhost_ring *ring, int vid,
	struct rte_mbuf *const *packets, uint16_t n, bool *full)
{
	const uint16_t mask = (uint16_t)(ring->size - 1); /* the size is a power of two */
	const struct vring_desc *desc = ring->desc;
	uint16_t next, used, ready, head, i;
	struct vring_used_elem *element;
	uint32_t bytes;

	if (rte_vhost_get_vring_base(vid, ring->number, &next, &used) < 0)
		return 0;
	ready = __atomic_load_n(&ring->avail->idx, __ATOMIC_ACQUIRE) - next;
	if (unlikely(ready > ring->size)) /* it jumped, which others see to */
		return 0;
	*full = n > ready;
	n = RTE_MIN(n, ready);
	for (i = 0; i < n; i++) {
		head = __atomic_load_n(&ring->avail->ring[(uint16_t)(next + i) & mask],
			__ATOMIC_RELAXED);
		if (unlikely(head >= ring->size))
			break;
		bytes = put(&vhost->ahead, &desc[head], packets[i]);
		if (unlikely(bytes == 0))
			break;
		element = &ring->used->ring[(uint16_t)(used + i) & mask];
		element->id = head;
		element->len = bytes;
	}
	*full = *full && i == n;
	if (i == 0)
		return 0;
	__atomic_store_n(&ring->used->idx, (uint16_t)(used + i), __ATOMIC_RELEASE);
	rte_vhost_set_vring_base(vid, ring->number, next + i, used + i);
	return i;
}

/*
 * Barriers of this thread so far, and whose they are: before any of them has come what its
 * worker put into all VMs' rings by then. One of 16 VMs in turn pays for the barrier, and the
 * others, whose packets came before, find it done.
 */
static inline uint64_t *
barriers(void)
{
	static __thread uint64_t n;

	if (unlikely(n == 0))
		n = (uint64_t)rte_lcore_id() << 48;
	return &n;
}

/* Has there been none since? What another worker counted says nothing here. */
static inline bool
needs_barrier(uint64_t then, uint64_t now)
{
	return then == now || (then ^ now) >> 48 != 0;
}

void
vhost_shortcut_tell(struct vhost_backend *vhost, int vid)
{
	const struct vhost_ring *ring = &vhost->ahead.to_vm;
	const uint16_t number = vhost->shortcut.to_tell_ring;

	vhost->shortcut.to_tell = false;
	/* The index before, then if the VM waits; the VM does it the other way round. */
	if (needs_barrier(vhost->shortcut.barriers, *barriers())) {
		rte_smp_mb();
		++*barriers();
	}
	/* By index: librte_vhost knows at which one it told the VM last. */
	if (vhost->shortcut.event_index || ring->number != number || ring->size == 0 ||
		!(__atomic_load_n(&ring->avail->flags, __ATOMIC_RELAXED) &
			VRING_AVAIL_F_NO_INTERRUPT))
		rte_vhost_vring_call(vid, number);
}

uint16_t
vhost_shortcut_burst(struct vhost_backend *vhost, int vid, uint16_t number,
	struct rte_mbuf *const *packets, uint16_t n, bool *full)
{
	uint16_t done = 0;

	*full = false;
	vhost_gate_say_inside(&vhost->gate, VHOST_SHORTCUT);
	if (likely(atomic_load_explicit(&vhost->gate.shortcut, memory_order_acquire) &&
			!vhost->ahead.packed) &&
		vhost_ahead_know(&vhost->ahead, &vhost->ahead.to_vm, vid,
			atomic_load_explicit(&vhost->gate.epoch, memory_order_relaxed), number))
		done = fill(vhost, &vhost->ahead.to_vm, vid, packets, n, full);
	vhost_gate_leave(&vhost->gate, VHOST_SHORTCUT);
	if (done > 0) {
		vhost->shortcut.to_tell = true;
		vhost->shortcut.barriers = *barriers();
		vhost->shortcut.to_tell_ring = number;
	}
	return done;
}
