/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * What shows only over time: a look at each VM's rings ten times a second. Nothing here
 * takes a lock of a ring, which a worker that is stuck might hold. While the watch is
 * inside the gate the device stays, and so does its memory: librte_vhost is not let
 * change it under a running device (vhost_guard.c).
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "vhost_private.h"

/* Looks in a row after which a VM is cut off. */
#define JUMPS_MAX 2
#define STUCK_MAX 10
#define SLOW_MAX 30

/* Bursts within one look, all without success, that show that somebody tried. */
#define TRIES_MIN 10

/* Strikes within one look that are more than a busy machine makes. */
#define STRIKES_MIN 10

/* Descriptors that are enough for any frame, where a ring has as many. */
#define ENOUGH 128

/* Bits of a packed descriptor's flags. */
#define PACKED_AVAILABLE (UINT16_C(1) << 7)
#define PACKED_USED (UINT16_C(1) << 15)

/*
 * The same of a packed ring, up to ENOUGH; more than there are where the place has left the
 * ring. base: the place, and above it the wrap counter.
 */
static int32_t
available_packed(const struct rte_vhost_vring *vring, uint16_t base)
{
	bool wrap = base >> 15;
	uint16_t at = base & 0x7fff, flags;
	int32_t entries;

	if (at >= vring->size)
		return vring->size + 1;
	for (entries = 0; entries < RTE_MIN(vring->size, ENOUGH); entries++) {
		flags = *(volatile uint16_t *)&vring->desc_packed[at].flags;
		if (((flags & PACKED_AVAILABLE) != 0) != wrap || ((flags & PACKED_USED) != 0) == wrap)
			break;
		if (++at == vring->size) {
			at = 0;
			wrap = !wrap;
		}
	}
	return entries;
}

/* Entries that the VM has made available and that are not used yet; -1: cannot be told. */
static int32_t
available(int vid, uint16_t ring, uint16_t *size)
{
	uint16_t before, after, used, index, tries;
	struct rte_vhost_vring vring;
	uint64_t features;

	if (rte_vhost_get_negotiated_features(vid, &features) < 0 ||
		rte_vhost_get_vhost_vring(vid, ring, &vring) < 0 ||
		rte_vhost_get_vring_base(vid, ring, &before, &used) < 0)
		return -1;
	*size = vring.size;
	if (features & (UINT64_C(1) << VIRTIO_F_RING_PACKED))
		return vring.desc_packed != NULL ? available_packed(&vring, before) : -1;
	if (vring.avail == NULL)
		return -1;
	/* The worker moves on meanwhile: only two equal readings mean something. */
	for (tries = 0; tries < 16; tries++) {
		index = *(volatile uint16_t *)&vring.avail->idx;
		if (rte_vhost_get_vring_base(vid, ring, &after, &used) < 0)
			return -1;
		if (before == after)
			return (uint16_t)(index - after);
		before = after;
	}
	return -1;
}

/* Returns whether an index has jumped. */
static bool
look_at_rings(struct vhost_backend *vhost, int vid, uint32_t rings, uint16_t way)
{
	const struct vhost_meter *meter = way == 0 ? &vhost->to_vm : &vhost->from_vm;
	const uint64_t bursts = vmq_counter_get(&meter->bursts);
	const uint64_t packets = vmq_counter_get(&meter->packets);
	bool tried = bursts - vhost->watch.bursts[way] >= TRIES_MIN;
	bool moved = packets != vhost->watch.packets[way];
	bool waiting = false, jumped = false;
	uint16_t size = 0;
	int32_t entries;

	vhost->watch.bursts[way] = bursts;
	vhost->watch.packets[way] = packets;
	for (; rings != 0; rings &= rings - 1) {
		entries = available(vid, (uint16_t)(__builtin_ctz(rings) * 2 + way), &size);
		jumped |= entries > size;
		waiting |= entries >= (way == 0 ? RTE_MIN(size / 2, ENOUGH) : 1);
	}
	/* Without buffers of our own nothing can be received: no fault of the VM's. */
	if (way == 1 && atomic_load(&vhost->short_of_buffers))
		tried = false;
	vhost->watch.stuck[way] = tried && !moved && waiting ? vhost->watch.stuck[way] + 1 : 0;
	if (vhost->watch.stuck[way] >= STUCK_MAX)
		vhost_peer_cut(vhost, way == 0
			? "its descriptors to receive into cannot be used"
			: "its descriptors to send cannot be read");
	return jumped;
}

static void
look_at_both_ways(struct vhost_backend *vhost, int vid)
{
	bool jumped;

	jumped = look_at_rings(vhost, vid, atomic_load(&vhost->gate.to_vm), 0);
	jumped |= look_at_rings(vhost, vid, atomic_load(&vhost->gate.from_vm), 1);
	vhost->watch.jumps = jumped ? vhost->watch.jumps + 1 : 0;
	if (vhost->watch.jumps >= JUMPS_MAX)
		vhost_peer_cut(vhost, "its index of a ring is further on than the ring is long");
}

static void
look_at_strikes(struct vhost_backend *vhost)
{
	uint64_t strikes = vmq_counter_get(&vhost->to_vm.strikes) +
		vmq_counter_get(&vhost->from_vm.strikes);

	if (strikes - vhost->watch.strikes >= STRIKES_MIN)
		vhost->watch.slow++;
	else
		vhost->watch.slow = 0;
	vhost->watch.strikes = strikes;
	if (vhost->watch.slow >= SLOW_MAX)
		vhost_peer_cut(vhost, "its rings take the worker too long");
}

static void
look_at_memory(struct vhost_backend *vhost, int vid)
{
	uint32_t replaced = vhost_memory_replaced();

	if (vhost_moat_is_touched(vid))
		vhost_peer_cut(vhost, "descriptors that reach behind its memory");
	if (replaced == vhost->watch.replaced)
		return;
	vhost->watch.replaced = replaced;
	if (vhost_memory_is_lost(vid))
		vhost_peer_cut(vhost, "its memory is shorter than it says");
}

/*
 * The VM's side may take O_NONBLOCK from its eventfd again, and fill it: then the worker
 * waits in its write. Reading lets it go on. Returns whether there was such a one: a
 * worker that is merely not on its CPU is nobody's fault.
 */
static bool
free_worker(int vid, uint16_t n_rings)
{
	struct rte_vhost_vring vring;
	bool found = false;
	struct pollfd full;
	uint64_t value;
	uint16_t ring;
	int flags;

	for (ring = 0; ring < n_rings; ring++) {
		if (rte_vhost_get_vhost_vring(vid, ring, &vring) < 0 || vring.callfd < 0)
			continue;
		full = (struct pollfd){.fd = vring.callfd, .events = POLLOUT};
		if (poll(&full, 1, 0) != 0)
			continue;
		found = true;
		flags = fcntl(vring.callfd, F_GETFL);
		if (flags >= 0)
			fcntl(vring.callfd, F_SETFL, flags | O_NONBLOCK);
		if (read(vring.callfd, &value, sizeof(value)) < 0 && errno != EAGAIN)
			continue;
	}
	return found;
}

/* Is the worker within the same burst as at the last look? */
static bool
look_at_worker(struct vhost_backend *vhost, int vid)
{
	uint64_t bursts = vmq_counter_get(&vhost->to_vm.bursts) +
		vmq_counter_get(&vhost->from_vm.bursts);

	if (!atomic_load(&vhost->gate.visitors[VHOST_WORKER].inside) ||
		bursts != vhost->watch.bursts[0] + vhost->watch.bursts[1]) {
		return false;
	}
	if (free_worker(vid, (uint16_t)(vhost->pairs * 2)))
		vhost_peer_cut(vhost, "its call descriptor lets the worker wait");
	return true;
}

void
vhost_watch(struct vhost_backend *vhost)
{
	int vid = vhost_gate_enter(&vhost->gate, VHOST_WATCH);
	uint32_t changes = vhost->state.changes;

	if (vid == VHOST_NOBODY)
		return;
	if (changes != vhost->watch.changes) {
		/* Another device than at the last look: nothing goes on from there. */
		vhost->watch.changes = changes;
		vhost->watch.jumps = vhost->watch.slow = 0;
		vhost->watch.stuck[0] = vhost->watch.stuck[1] = 0;
	}
	look_at_memory(vhost, vid);
	if (!look_at_worker(vhost, vid)) {
		look_at_both_ways(vhost, vid);
		look_at_strikes(vhost);
	}
	vhost_gate_leave(&vhost->gate, VHOST_WATCH);
}
