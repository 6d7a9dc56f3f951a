/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * Interrupts of a VM. It kicks an eventfd when it has put something into a ring, if the ring
 * says that somebody wants to know. Such eventfds come and go with the VM; a worker waits
 * for an epoll descriptor of ours that has those which are there. They are duplicates of our
 * own: what librte_vhost closes, and what number the next one gets, is nobody's trouble.
 *
 * They are never read, only watched for edges: each kick is one, also of an eventfd that is
 * full, and what a VM has made of its end does not matter.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "vhost_private.h"

int
vhost_bell_open(struct vhost_backend *vhost, struct vmq_error *err)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	unsigned int i;
	int ret;

	for (i = 0; i < RTE_DIM(vhost->bell.kicks); i++)
		vhost->bell.kicks[i] = -1;
	vhost->bell.fd = epoll_create1(EPOLL_CLOEXEC);
	vhost->bell.come = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (vhost->bell.fd >= 0 && vhost->bell.come >= 0 &&
		epoll_ctl(vhost->bell.fd, EPOLL_CTL_ADD, vhost->bell.come, &event) == 0)
		return 0;
	ret = vmq_error_errno(err, errno, "%s: interrupts: %s", vhost->backend.text,
		strerror(errno));
	vhost_bell_close(vhost);
	return ret;
}

void
vhost_bell_close(struct vhost_backend *vhost)
{
	unsigned int i;

	for (i = 0; i < RTE_DIM(vhost->bell.kicks); i++)
		vhost_bell_take_off(vhost, (uint16_t)i);
	if (vhost->bell.come >= 0)
		close(vhost->bell.come);
	if (vhost->bell.fd >= 0)
		close(vhost->bell.fd);
	vhost->bell.come = vhost->bell.fd = -1;
}

void
vhost_bell_hang(struct vhost_backend *vhost, int vid, uint16_t pair)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	struct rte_vhost_vring vring;
	int fd = -1;

	vhost_bell_take_off(vhost, pair);
	/* Of other files a look may take as long as who made them likes. */
	if (rte_vhost_get_vhost_vring(vid, RING_FROM_VM(pair), &vring) == 0 && vring.kickfd >= 0 &&
		vhost_socket_is_eventfd(vring.kickfd))
		fd = fcntl(vring.kickfd, F_DUPFD_CLOEXEC, 0);
	if (fd >= 0 && epoll_ctl(vhost->bell.fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		close(fd);
		fd = -1;
	}
	vhost->bell.kicks[pair] = fd;
	if (fd >= 0)
		atomic_fetch_and(&vhost->bell.silent, ~(UINT32_C(1) << pair));
	else
		atomic_fetch_or(&vhost->bell.silent, UINT32_C(1) << pair);
	vhost_bell_ring(vhost);
}

void
vhost_bell_take_off(struct vhost_backend *vhost, uint16_t pair)
{
	const int fd = vhost->bell.kicks[pair];

	if (fd < 0)
		return;
	/* By itself it would only go when the VM's side has closed it too. */
	epoll_ctl(vhost->bell.fd, EPOLL_CTL_DEL, fd, NULL);
	close(fd);
	vhost->bell.kicks[pair] = -1;
}

void
vhost_bell_ring(struct vhost_backend *vhost)
{
	const uint64_t one = 1;
	ssize_t written = write(vhost->bell.come, &one, sizeof(one));

	(void)written; /* one that is full rings as well */
}

int
vhost_interrupt_fd(const struct vmq_backend *backend)
{
	return vhost_of(backend)->bell.fd;
}

int
vhost_interrupt(struct vmq_backend *backend, bool on)
{
	struct epoll_event events[VMQ_VHOST_PAIRS_MAX + 1];
	struct vhost_backend *vhost = vhost_of(backend);
	uint32_t rings, pair;
	int vid, ret = 0;

	/* What has rung is seen now. */
	if (!on && epoll_wait(vhost->bell.fd, events, RTE_DIM(events), 0) < 0)
		return -errno;
	vid = vhost_gate_enter(&vhost->gate, VHOST_WORKER);
	if (vid == VHOST_NOBODY)
		return 0; /* who comes rings */
	rings = atomic_load_explicit(&vhost->gate.from_vm, memory_order_relaxed);
	if (on && (rings & atomic_load(&vhost->bell.silent)) != 0)
		ret = -ENOTSUP;
	else if (on && rte_rdtsc() < vhost->from_vm.pause_until)
		ret = -EAGAIN;
	for (; rings != 0 && ret == 0; rings &= rings - 1) {
		pair = (uint32_t)__builtin_ctz(rings);
		if (rte_vhost_enable_guest_notification(vid, RING_FROM_VM(pair), on) < 0)
			ret = -EAGAIN; /* it is about to go */
	}
	/* A glance could be over before the VM sees that it is to kick: librte_vhost locks. */
	vhost->was_empty = 0;
	vhost_gate_leave(&vhost->gate, VHOST_WORKER);
	return ret;
}
