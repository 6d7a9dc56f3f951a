/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/virtio_net.h>

#include <bsd/string.h>

#include <rte_ether.h>

#include "vhost_private.h"

/*
 * What a driver without mergeable buffers can take for sure: Linux gives such buffers
 * (drivers/net/virtio_net.c, GOOD_PACKET_LEN) 1518 bytes beside the virtio header.
 */
#define PLAIN_FRAME_MAX (RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN + RTE_ETHER_MTU)

/* How long a VM that broke a rule stays out: doubled each time, begun anew after the most. */
#define PENALTY_MIN_MS 1000
#define PENALTY_MAX_MS 60000

/* A connection that ends within SHORT_MS without a driver is followed by a pause. */
#define SHORT_MS 1000
#define SHORT_PAUSE_MIN_MS 50
#define SHORT_PAUSE_MAX_MS 5000

/* Backends by socket: librte_vhost tells a callback the socket's path. */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static TAILQ_HEAD(, vhost_backend) list = TAILQ_HEAD_INITIALIZER(list);

void
vhost_peer_add(struct vhost_backend *vhost)
{
	pthread_mutex_lock(&list_lock);
	TAILQ_INSERT_TAIL(&list, vhost, next);
	pthread_mutex_unlock(&list_lock);
}

void
vhost_peer_remove(struct vhost_backend *vhost)
{
	pthread_mutex_lock(&list_lock);
	TAILQ_REMOVE(&list, vhost, next);
	pthread_mutex_unlock(&list_lock);
}

/* A backend stays as long as callbacks for its socket may come. */
struct vhost_backend *
vhost_peer_of(int vid)
{
	struct vhost_backend *vhost;
	char path[PATH_MAX];

	if (rte_vhost_get_ifname(vid, path, sizeof(path)) < 0)
		return NULL;
	pthread_mutex_lock(&list_lock);
	TAILQ_FOREACH(vhost, &list, next)
		if (strcmp(vhost->socket, path) == 0)
			break;
	pthread_mutex_unlock(&list_lock);
	return vhost;
}

/* With state.lock held. */
static void
set_up(struct vhost_backend *vhost, bool up)
{
	vhost->state.changes += vhost->state.up != up;
	vhost->state.up = up;
}

void
vhost_peer_explain(struct vhost_backend *vhost, const char *format, ...)
{
	va_list args;

	pthread_mutex_lock(&vhost->state.lock);
	if (!vhost->state.up) {
		va_start(args, format);
		vsnprintf(vhost->state.text, sizeof(vhost->state.text), format, args);
		va_end(args);
	}
	pthread_mutex_unlock(&vhost->state.lock);
}

bool
vhost_peer_is_connected(struct vhost_backend *vhost)
{
	bool connected;

	pthread_mutex_lock(&vhost->state.lock);
	connected = vhost->state.vid != VHOST_NOBODY;
	pthread_mutex_unlock(&vhost->state.lock);
	return connected;
}

void
vhost_peer_disconnect(struct vhost_backend *vhost)
{
	pthread_mutex_lock(&vhost->state.lock);
	if (vhost->state.fd >= 0)
		shutdown(vhost->state.fd, SHUT_RDWR);
	pthread_mutex_unlock(&vhost->state.lock);
}

/* With state.lock held. */
static void
shut_down(struct vhost_backend *vhost)
{
	vhost->state.leaving = true;
	if (vhost->state.fd >= 0)
		shutdown(vhost->state.fd, SHUT_RDWR);
}

void
vhost_peer_cut(struct vhost_backend *vhost, const char *format, ...)
{
	char why[72];
	va_list args;
	uint64_t now = vhost_now_ms();
	bool first;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	pthread_mutex_lock(&vhost->state.lock);
	first = !vhost->state.leaving && vhost->state.vid != VHOST_NOBODY;
	if (first) {
		/* One that has behaved for long begins anew. */
		if (vhost->state.penalty_ms == 0 || now - vhost->state.since_ms > PENALTY_MAX_MS)
			vhost->state.penalty_ms = PENALTY_MIN_MS;
		else
			vhost->state.penalty_ms = RTE_MIN(vhost->state.penalty_ms * 2,
				(uint32_t)PENALTY_MAX_MS);
		vhost->state.refuse_until_ms = now + vhost->state.penalty_ms;
		vhost->state.cut_offs++;
		snprintf(vhost->state.text, sizeof(vhost->state.text), "cut off for %u s: %s",
			vhost->state.penalty_ms / 1000, why);
		shut_down(vhost);
	}
	pthread_mutex_unlock(&vhost->state.lock);
	if (first)
		VMQ_LOG(WARNING, "%s: %s\n", vhost->backend.text, vhost->state.text);
}

void
vhost_peer_reconnect(struct vhost_backend *vhost, const char *text)
{
	pthread_mutex_lock(&vhost->state.lock);
	if (!vhost->state.leaving) {
		strlcpy(vhost->state.text, text, sizeof(vhost->state.text));
		shut_down(vhost);
	}
	pthread_mutex_unlock(&vhost->state.lock);
}

uint64_t
vhost_peer_refused_until(struct vhost_backend *vhost)
{
	uint64_t until;

	pthread_mutex_lock(&vhost->state.lock);
	until = vhost->state.refuse_until_ms;
	pthread_mutex_unlock(&vhost->state.lock);
	return until;
}

uint64_t
vhost_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
drop_fd_locked(struct vhost_backend *vhost)
{
	if (vhost->state.fd >= 0)
		close(vhost->state.fd);
	vhost->state.fd = -1;
}

void
vhost_peer_forget(struct vhost_backend *vhost)
{
	pthread_mutex_lock(&vhost->state.lock);
	drop_fd_locked(vhost);
	vhost->state.vid = VHOST_NOBODY;
	pthread_mutex_unlock(&vhost->state.lock);
}

void
vhost_peer_take_fd(struct vhost_backend *vhost, int fd)
{
	pthread_mutex_lock(&vhost->state.lock);
	drop_fd_locked(vhost);
	vhost->state.fd = fd;
	pthread_mutex_unlock(&vhost->state.lock);
}

/* A client's is known before; a server's is the one just accepted. */
static int
find_fd(struct vhost_backend *vhost)
{
	int fd;

	if (!vhost->server)
		return 0;
	fd = vhost_socket_dup_accepted(vhost->socket);
	if (fd < 0)
		return fd;
	vhost_socket_limit_waiting(fd);
	vhost_peer_take_fd(vhost, fd);
	return 0;
}

static int
new_connection(int vid)
{
	struct vhost_backend *vhost = vhost_peer_of(vid);
	bool refused;

	if (vhost == NULL)
		return -1;
	pthread_mutex_lock(&vhost->state.lock);
	refused = vhost->state.closing || vhost->state.vid != VHOST_NOBODY ||
		vhost_now_ms() < vhost->state.refuse_until_ms;
	pthread_mutex_unlock(&vhost->state.lock);
	/* One VM, one connection: a second one does not disturb the first. */
	if (!refused) {
		atomic_store(&vhost->gate.to_vm, 0);
		atomic_store(&vhost->gate.from_vm, 0);
	}
	if (refused || find_fd(vhost) < 0 || vhost_guard_watch(vhost, vid) < 0)
		return -1;
	pthread_mutex_lock(&vhost->state.lock);
	vhost->state.vid = vid;
	vhost->state.connections++;
	vhost->state.leaving = false;
	vhost->state.was_up = false;
	vhost->state.since_ms = vhost_now_ms();
	strlcpy(vhost->state.text, "connected, the VM's driver has not started",
		sizeof(vhost->state.text));
	pthread_mutex_unlock(&vhost->state.lock);
	return 0;
}

/* The other side has ended the connection. With state.lock held. */
static void
after_close(struct vhost_backend *vhost)
{
	const uint64_t now = vhost_now_ms();

	strlcpy(vhost->state.text, "the other side has closed the connection",
		sizeof(vhost->state.text));
	if (vhost->state.was_up || now - vhost->state.since_ms > SHORT_MS) {
		vhost->state.short_ms = 0;
		return;
	}
	vhost->state.short_ms = vhost->state.short_ms == 0 ? SHORT_PAUSE_MIN_MS
		: RTE_MIN(vhost->state.short_ms * 2, (uint32_t)SHORT_PAUSE_MAX_MS);
	vhost->state.refuse_until_ms = now + vhost->state.short_ms;
}

static void
destroy_connection(int vid)
{
	struct vhost_backend *vhost = vhost_peer_of(vid);

	if (vhost == NULL)
		return;
	pthread_mutex_lock(&vhost->state.lock);
	if (vhost->state.vid == vid) {
		vhost->state.vid = VHOST_NOBODY;
		drop_fd_locked(vhost);
		if (!vhost->state.leaving)
			after_close(vhost);
	}
	pthread_mutex_unlock(&vhost->state.lock);
	vhost_connect_wake();
}

/* Rings that are enabled now; later changes come by vring_state_changed(). */
static void
set_ring(struct vhost_gate *gate, uint16_t ring, bool enabled)
{
	_Atomic uint32_t *rings = ring % 2 == 0 ? &gate->to_vm : &gate->from_vm;
	uint32_t bit = UINT32_C(1) << (ring / 2);

	if (enabled)
		atomic_fetch_or(rings, bit);
	else
		atomic_fetch_and(rings, ~bit);
}

/* The longest frame that the VM's driver has a buffer for. */
static uint32_t
max_frame(int vid, bool mergeable)
{
	uint16_t mtu;

	if (mergeable)
		return UINT32_MAX;
	/* A driver that was told of a larger MTU (QEMU: host_mtu) gives buffers of 64 KiB. */
	if (rte_vhost_get_mtu(vid, &mtu) == 0 && mtu > RTE_ETHER_MTU)
		return mtu + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN;
	return PLAIN_FRAME_MAX;
}

/* Is the device one that a worker may be let into? */
static bool
is_welcome(struct vhost_backend *vhost, int vid)
{
	uint64_t type = 0;
	bool leaving;

	/* The first pair is there, both ways: else librte_vhost would not call it ready. */
	if ((vhost->guard.live & 3) != 3)
		return false;
	if (!vhost_memory_is_quick(vid, &type)) {
		vhost_peer_cut(vhost, "its memory is in a file system (0x%" PRIx64
			") that is neither tmpfs nor hugetlbfs", type);
		return false;
	}
	if (!vhost_moat_is_there(vid)) {
		vhost_peer_cut(vhost, "its memory cannot be guarded: another librte_vhost than ours");
		return false;
	}
	pthread_mutex_lock(&vhost->state.lock);
	leaving = vhost->state.leaving;
	pthread_mutex_unlock(&vhost->state.lock);
	return !leaving;
}

static int
new_device(int vid)
{
	struct vhost_backend *vhost = vhost_peer_of(vid);
	uint64_t features = 0;
	bool packed, mergeable;
	uint16_t pair;

	if (vhost == NULL || rte_vhost_get_negotiated_features(vid, &features) < 0 ||
		!is_welcome(vhost, vid))
		return -1;
	packed = features & (UINT64_C(1) << VIRTIO_F_RING_PACKED);
	mergeable = features & (UINT64_C(1) << VIRTIO_NET_F_MRG_RXBUF);
	atomic_store(&vhost->gate.split, !packed);
	atomic_fetch_add(&vhost->gate.devices, 1);
	atomic_store(&vhost->gate.max_frame, max_frame(vid, mergeable));
	vhost_ahead_learn(&vhost->ahead, vid, features);
	vhost_shortcut_learn(vhost, features);
	vhost_shortcut_open(vhost);
	/* Workers poll; one that waits says so. */
	for (pair = 0; pair < vhost->pairs; pair++) {
		rte_vhost_enable_guest_notification(vid, RING_TO_VM(pair), 0);
		rte_vhost_enable_guest_notification(vid, RING_FROM_VM(pair), 0);
	}
	atomic_store(&vhost->gate.vid, vid);
	vhost_bell_ring(vhost);

	pthread_mutex_lock(&vhost->state.lock);
	set_up(vhost, true);
	vhost->state.was_up = true;
	vhost->state.node = rte_vhost_get_numa_node(vid);
	snprintf(vhost->state.text, sizeof(vhost->state.text), "%s rings%s, features 0x%" PRIx64,
		packed ? "packed" : "split", mergeable ? ", mergeable buffers" : "", features);
	pthread_mutex_unlock(&vhost->state.lock);
	vhost_connect_wake(); /* somebody to look after */
	return 0;
}

static void
destroy_device(int vid)
{
	struct vhost_backend *vhost = vhost_peer_of(vid);
	uint16_t pair;

	if (vhost == NULL)
		return;
	vhost_gate_shut(&vhost->gate);
	for (pair = 0; pair < vhost->pairs; pair++)
		vhost_bell_take_off(vhost, pair);
	pthread_mutex_lock(&vhost->state.lock);
	set_up(vhost, false);
	if (!vhost->state.leaving)
		strlcpy(vhost->state.text, "connected, the VM's driver has stopped",
			sizeof(vhost->state.text));
	pthread_mutex_unlock(&vhost->state.lock);
}

/* librte_vhost holds the rings' locks: nothing here may wait for the worker. */
static int
vring_state_changed(int vid, uint16_t ring, int enable)
{
	struct vhost_backend *vhost = vhost_peer_of(vid);

	if (vhost == NULL)
		return -1;
	if (ring >= vhost->pairs * 2)
		return 0;
	if (enable && !vhost_guard_ring_is_good(vhost, vid, ring))
		return -1;
	if (enable)
		vhost->guard.live |= UINT32_C(1) << ring;
	else
		vhost->guard.live &= ~(UINT32_C(1) << ring);
	set_ring(&vhost->gate, ring, enable != 0);
	if (ring % 2 == 1 && enable)
		vhost_bell_hang(vhost, vid, ring / 2);
	else if (ring % 2 == 1)
		vhost_bell_take_off(vhost, ring / 2);
	return 0;
}

const struct rte_vhost_device_ops vhost_peer_ops = {
	.new_device = new_device,
	.destroy_device = destroy_device,
	.vring_state_changed = vring_state_changed,
	.new_connection = new_connection,
	.destroy_connection = destroy_connection,
};
