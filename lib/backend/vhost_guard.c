/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * Messages of a VM's side before librte_vhost acts on them. What it does not check
 * itself (read in 22.11, vhost_user.c) is checked here: it takes the size of a ring whose
 * addresses it has translated already, a base behind the end of a packed ring, a log that
 * does not begin at the file's begin, features that change under rings that are set up, a
 * memory table that fails under a running device, and rings that never had a size. Each
 * of these makes it read or write outside the guest's memory.
 *
 * A message that breaks a rule is changed so that librte_vhost refuses it before it
 * touches anything, and closes its descriptors; and the VM is cut off.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <linux/vhost.h>
#include <linux/virtio_net.h>

#include <rte_cycles.h>

#include "vhost_private.h"

/*
 * Messages that a VM may send in a row, and each second after that. A start takes about
 * 20 and 16 for each queue pair.
 */
#define MESSAGES_AT_ONCE 4096
#define MESSAGES_PER_SECOND 256

/* Time that librte_vhost may work on them, with the VM's rings locked meanwhile. */
#define WORK_AT_ONCE_MS 1000
#define WORK_PER_SECOND_MS 50

/* vhost-user's numbers (QEMU: docs/interop/vhost-user.rst). */
enum request {
	SET_FEATURES = 2,
	RESET_OWNER = 4,
	SET_MEM_TABLE = 5,
	SET_LOG_BASE = 6,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_ENABLE = 18,
	IOTLB_MSG = 22,
	POSTCOPY_ADVISE = 28,
	POSTCOPY_LISTEN = 29,
	POSTCOPY_END = 30,
	GET_INFLIGHT_FD = 31,
	SET_INFLIGHT_FD = 32,
};

/* A message as it is on the wire. */
struct message {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
	union {
		uint64_t u64;
		struct {
			uint32_t index;
			uint32_t number;
		} ring;
		uint32_t regions; /* of a memory table */
		struct {
			uint64_t size;
			uint64_t offset;
		} log;
		struct {
			uint64_t size;
			uint64_t offset;
			uint16_t queues;
		} inflight;
		struct vhost_iotlb_msg iotlb;
	} payload;
} __attribute__((packed));

/* Features that do not change what a ring looks like. */
#define FEATURES_AT_ANY_TIME                                                                       \
	((UINT64_C(1) << VHOST_F_LOG_ALL) | (UINT64_C(1) << VHOST_USER_F_PROTOCOL_FEATURES))

void
vhost_guard_reset(struct vhost_guard *guard)
{
	memset(guard, 0, sizeof(*guard));
	guard->messages_left = MESSAGES_AT_ONCE;
	guard->work_left = (int64_t)(WORK_AT_ONCE_MS * rte_get_tsc_hz() / 1000);
	guard->filled = rte_get_tsc_cycles();
}

/* Both budgets fill up again as time goes by. */
static void
fill_budgets(struct vhost_guard *guard, uint64_t now)
{
	const uint64_t hz = rte_get_tsc_hz();
	uint64_t ms = (now - guard->filled) * 1000 / hz;

	if (ms < 100)
		return;
	ms = RTE_MIN(ms, UINT64_C(60000));
	guard->filled = now;
	guard->messages_left = (int32_t)RTE_MIN((int64_t)MESSAGES_AT_ONCE,
		guard->messages_left + (int64_t)(ms * MESSAGES_PER_SECOND / 1000));
	guard->work_left = RTE_MIN((int64_t)(WORK_AT_ONCE_MS * hz / 1000),
		guard->work_left + (int64_t)(ms * WORK_PER_SECOND_MS * hz / 1000000));
}

static bool
is_of_ring(uint32_t request)
{
	return (request >= SET_VRING_NUM && request <= GET_VRING_BASE) ||
		request == SET_VRING_ENABLE;
}

static void
forget_rings(struct vhost_backend *vhost)
{
	vhost->guard.sized = 0;
	vhost->guard.addressed = 0;
	vhost->guard.live = 0;
	atomic_store(&vhost->gate.to_vm, 0);
	atomic_store(&vhost->gate.from_vm, 0);
}

/* Returns false if the size is refused. */
static bool
check_size(struct vhost_backend *vhost, const struct message *m, uint32_t bit)
{
	struct vhost_guard *guard = &vhost->guard;
	uint32_t size = m->payload.ring.number;

	if (guard->addressed & bit) {
		vhost_peer_cut(vhost, "ring %u got another size while in use", m->payload.ring.index);
		return false;
	}
	if (size == 0 || size > VHOST_RING_MAX) {
		vhost_peer_cut(vhost, "ring %u of %u descriptors, there are 1 to %u",
			m->payload.ring.index, size, VHOST_RING_MAX);
		return false;
	}
	guard->sized |= bit;
	return true;
}

static void
check_ring_message(struct vhost_backend *vhost, int vid, struct message *m)
{
	const uint32_t index = m->payload.ring.index;
	struct vhost_guard *guard = &vhost->guard;
	uint16_t base, used;
	uint32_t bit;

	if (index >= vhost->pairs * 2u) {
		vhost_peer_cut(vhost, "ring %u, and \"queue_pairs\" is %u", index, vhost->pairs);
		return;
	}
	bit = UINT32_C(1) << index;
	switch (m->request) {
	case SET_VRING_NUM:
		if (!check_size(vhost, m, bit))
			m->payload.ring.number = UINT32_MAX; /* librte_vhost takes up to 32768 */
		break;
	case SET_VRING_ADDR:
		guard->addressed |= bit;
		break;
	case SET_VRING_BASE:
		if ((guard->live & bit) == 0)
			break;
		vhost_peer_cut(vhost, "ring %u was moved while in use", index);
		if (rte_vhost_get_vring_base(vid, (uint16_t)index, &base, &used) == 0)
			m->payload.ring.number = base;
		break;
	case SET_VRING_ENABLE:
		/* Before the answer: vring_state_changed() comes after it. */
		if (index % 2 == 0 && m->payload.ring.number == 0)
			atomic_fetch_and(&vhost->gate.to_vm, ~(UINT32_C(1) << (index / 2)));
		break;
	case GET_VRING_BASE:
		guard->sized &= ~bit;
		guard->addressed &= ~bit;
		break;
	}
}

static void
check_features(struct vhost_backend *vhost, struct message *m)
{
	struct vhost_guard *guard = &vhost->guard;
	uint64_t changed = guard->features ^ m->payload.u64;

	if (guard->sized != 0 && (changed & ~FEATURES_AT_ANY_TIME) != 0) {
		vhost_peer_cut(vhost, "features changed while rings are set up");
		m->payload.u64 |= UINT64_C(1) << 63; /* not offered */
		return;
	}
	guard->features = m->payload.u64;
}

/*
 * Memory under running rings changes when memory is plugged in, which is nobody's fault,
 * but librte_vhost may fail half-way and go on. Connected anew, all is set up anew.
 */
static void
check_memory(struct vhost_backend *vhost, int vid, struct message *m)
{
	if (atomic_load(&vhost->gate.vid) == vid) {
		vhost_peer_reconnect(vhost, "the VM's memory has changed, connecting again");
		m->payload.regions = UINT32_MAX;
		return;
	}
	vhost->guard.memory_pending = true;
}

static enum rte_vhost_msg_result
check(struct vhost_backend *vhost, int vid, struct message *m)
{
	if (is_of_ring(m->request)) {
		check_ring_message(vhost, vid, m);
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	}
	switch (m->request) {
	case SET_FEATURES:
		check_features(vhost, m);
		break;
	case RESET_OWNER:
		forget_rings(vhost);
		break;
	case SET_MEM_TABLE:
		check_memory(vhost, vid, m);
		break;
	case SET_LOG_BASE:
		if (m->payload.log.offset != 0) {
			vhost_peer_cut(vhost, "a log that begins at byte %" PRIu64 " of its file",
				m->payload.log.offset);
			m->size = 0;
		}
		break;
	case IOTLB_MSG:
		vhost_peer_cut(vhost, "an IOTLB message, and no IOMMU is offered");
		m->payload.iotlb.type = UINT8_MAX;
		break;
	case GET_INFLIGHT_FD:
		vhost_peer_cut(vhost, "asks for inflight memory, which is not offered");
		m->size = 0;
		break;
	case SET_INFLIGHT_FD:
		vhost_peer_cut(vhost, "inflight memory, which is not offered");
		m->payload.inflight.queues = 0;
		break;
	case POSTCOPY_ADVISE:
	case POSTCOPY_LISTEN:
	case POSTCOPY_END:
		/* The VM's side could let every access of ours to its memory wait. */
		vhost_peer_cut(vhost, "post-copy migration, which is not offered");
		return RTE_VHOST_MSG_RESULT_ERR;
	}
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static enum rte_vhost_msg_result
before(int vid, void *message)
{
	struct vhost_backend *vhost = vhost_peer_of(vid);
	struct vhost_guard *guard;
	struct message *m;

	vhost_moat_message(false, false, false);
	if (vhost == NULL)
		return RTE_VHOST_MSG_RESULT_ERR;
	vhost_shortcut_shut(vhost);
	guard = &vhost->guard;
	guard->began = rte_get_tsc_cycles();
	fill_budgets(guard, guard->began);
	if (guard->messages_left-- <= 0)
		vhost_peer_cut(vhost, "more than %u messages in a row", MESSAGES_AT_ONCE);
	if (guard->work_left <= 0)
		vhost_peer_cut(vhost, "more than %u ms of work with messages", WORK_AT_ONCE_MS);
	m = message;
	/* Rings towards the VM have even numbers. */
	vhost_moat_message(m->request == SET_MEM_TABLE, is_of_ring(m->request),
		m->payload.ring.index % 2 == 0);
	return check(vhost, vid, m);
}

/* It is mapped anew, and no worker has touched it. */
static void
learn_memory(struct vhost_backend *vhost, int vid)
{
	uint64_t all, page;

	vhost_memory_cold(vid, &all, &page);
	atomic_store(&vhost->cold_cycles, all);
	atomic_store(&vhost->cold_page_cycles, page);
}

static enum rte_vhost_msg_result
after(int vid, void *message)
{
	struct vhost_backend *vhost = vhost_peer_of(vid);
	const bool longer = vhost_moat_list_is_longer(), mapped = vhost_moat_has_mapped();
	const struct message *m = message;

	vhost_moat_message(false, false, false);
	if (vhost == NULL)
		return RTE_VHOST_MSG_RESULT_ERR;
	if (m->request == SET_VRING_NUM && !longer)
		vhost_peer_cut(vhost, "ring %u cannot be guarded: another librte_vhost than ours",
			m->payload.ring.index);
	vhost->guard.work_left -= (int64_t)(rte_get_tsc_cycles() - vhost->guard.began);
	/* Only called after success. */
	if (m->request == SET_MEM_TABLE)
		vhost->guard.memory_pending = false;
	if (mapped)
		learn_memory(vhost, vid);
	vhost_shortcut_open(vhost);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static const struct rte_vhost_user_extern_ops operations = {
	.pre_msg_handle = before,
	.post_msg_handle = after,
};

int
vhost_guard_watch(struct vhost_backend *vhost, int vid)
{
	vhost_guard_reset(&vhost->guard);
	return rte_vhost_extern_callback_register(vid, &operations, vhost);
}

bool
vhost_guard_ring_is_good(struct vhost_backend *vhost, int vid, uint16_t ring)
{
	const struct vhost_guard *guard = &vhost->guard;
	const uint32_t bit = UINT32_C(1) << ring;
	struct rte_vhost_vring vring;
	uint16_t base, used;

	if ((guard->sized & guard->addressed & bit) == 0 || guard->memory_pending) {
		vhost_peer_cut(vhost, "ring %u is started without size, addresses or memory", ring);
		return false;
	}
	if (rte_vhost_get_vhost_vring(vid, ring, &vring) < 0 ||
		rte_vhost_get_vring_base(vid, ring, &base, &used) < 0)
		return false;
	if ((guard->features & (UINT64_C(1) << VIRTIO_F_RING_PACKED)) &&
		(base & 0x7fff) >= vring.size) {
		vhost_peer_cut(vhost, "packed ring %u of %u descriptors begins at %u", ring,
			vring.size, base & 0x7fff);
		return false;
	}
	if (!vhost_socket_make_call_quick(vring.callfd)) {
		vhost_peer_cut(vhost, "the call descriptor of ring %u is no eventfd", ring);
		return false;
	}
	return true;
}
