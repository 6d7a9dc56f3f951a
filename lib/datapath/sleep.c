/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * Workers that rest when there is nothing to do.
 *
 * A sleeping worker is one whose turn takes long: it keeps what it has and stays online
 * for RCU. Who has to wait for it wakes it first, through its eventfd, so the control
 * thread waits for a wake-up and never for the end of a sleep.
 */

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_epoll.h>
#include <rte_interrupts.h>

#include "dp_private.h"

/*
 * A sleep is at most this part of the idleness before it: packets that come at a steady
 * pace wait for a quarter of the gap between them at most, and a worker that has just
 * had work stays awake.
 */
#define IDLE_PARTS 4
/* Shorter sleeps cost more than they spare: entering and leaving one takes some us. */
#define SLEEP_MIN_US 10
/*
 * Longest wait for an interrupt. Nothing needs it: it bounds what an interrupt that got
 * lost can do.
 */
#define INTERRUPT_WAIT_MS 5000
/*
 * After an interrupt no other one is waited for until this time has passed without work:
 * with net_tap packets can be received only once a signal has been handled, by a thread that
 * may run later than the worker that was woken.
 */
#define AFTER_INTERRUPT_MS 20
/* Interrupts that one wake-up takes note of; the others wake the worker again. */
#define EVENTS_MAX 16

static const char *const mode_names[VMQ_WORKER_MODE_COUNT] = {
	[VMQ_WORKER_POLL] = "poll",
	[VMQ_WORKER_ADAPTIVE] = "adaptive",
	[VMQ_WORKER_INTERRUPT] = "interrupt",
};

const char *
vmq_worker_mode_name(enum vmq_worker_mode mode)
{
	return (unsigned int)mode < VMQ_WORKER_MODE_COUNT ? mode_names[mode] : NULL;
}

int
sleep_open(struct worker *worker)
{
	int ret;

	worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	/* Of its own: the one that EAL makes for a thread is never closed. */
	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	ret = -errno;
	if (worker->wake_fd < 0 || worker->epoll_fd < 0)
		goto fail;
	worker->wake_event.epdata.event = EPOLLIN;
	ret = rte_epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, worker->wake_fd,
		&worker->wake_event);
	if (ret == 0)
		return 0;
fail:
	sleep_close(worker);
	return ret;
}

void
sleep_close(struct worker *worker)
{
	if (worker->epoll_fd >= 0)
		close(worker->epoll_fd);
	if (worker->wake_fd >= 0)
		close(worker->wake_fd);
}

void
worker_wake(struct worker *worker)
{
	const uint64_t one = 1;
	ssize_t written;

	if (worker->mode == VMQ_WORKER_POLL)
		return;
	/* Also if it is awake: it may be about to fall asleep. */
	written = write(worker->wake_fd, &one, sizeof(one));
	(void)written; /* an eventfd that is full wakes as well */
}

static void
forget_wake(struct worker *worker)
{
	uint64_t times;
	ssize_t got = read(worker->wake_fd, &times, sizeof(times));

	(void)got; /* nothing to read: nobody has woken it */
}

/* Sleep for a time, or until woken. */
static void
nap(struct worker *worker, uint64_t us)
{
	struct pollfd fd = {.fd = worker->wake_fd, .events = POLLIN};
	const struct timespec timeout = {
		.tv_sec = (time_t)(us / US_PER_S),
		.tv_nsec = (long)(us % US_PER_S * 1000),
	};

	if (ppoll(&fd, 1, &timeout, NULL) > 0)
		forget_wake(worker);
}

static void
set_fallback(struct worker *worker, enum fallback fallback)
{
	atomic_store_explicit(&worker->fallback, fallback, memory_order_relaxed);
}

const char *
fallback_text(enum fallback fallback)
{
	switch (fallback) {
	case FALLBACK_PORT:
		return "a port of this worker has no receive interrupts";
	case FALLBACK_BACKEND:
		return "a backend of this worker is received from and raises no interrupts";
	case FALLBACK_HARDWARE:
		return "this worker polls hardware queues, whose interrupts are not used yet";
	case FALLBACK_OTHERS:
		return "this worker serves queues that another worker receives for";
	default:
		return NULL;
	}
}

/*
 * Switch the interrupts of a worker's sources and backends on or off. Returns false if a
 * backend cannot be waited for now: set_fallback() says why, unless it soon can.
 */
static bool
arm(struct worker *worker, const struct work *work, bool on)
{
	const struct vmq_dp_source *source;
	bool all = true;
	uint16_t i;
	int ret;

	worker->armed = on;
	for (i = 0; i < work->n_sources; i++) {
		source = work->sources[i];
		/* Where it cannot be switched it is always on (net_tap). */
		if (on)
			rte_eth_dev_rx_intr_enable(source->port_id, source->rx_queue);
		else
			rte_eth_dev_rx_intr_disable(source->port_id, source->rx_queue);
	}
	for (i = 0; i < work->n_senders; i++) {
		ret = vmq_backend_interrupt(work->senders[i]->backend, on);
		all &= ret == 0;
		if (on && ret == -ENOTSUP)
			set_fallback(worker, FALLBACK_BACKEND);
	}
	return all;
}

/* Put the interrupts of n backends into this thread's epoll, or take them out. */
static uint16_t
connect_backends(const struct worker *worker, const struct work *work, uint16_t n, int op)
{
	struct sender *sender;
	uint16_t i;
	int fd;

	for (i = 0; i < n; i++) {
		fd = vmq_backend_interrupt_fd(work->senders[i]->backend);
		sender = work->senders[i]->sender;
		if (op == EPOLL_CTL_ADD)
			sender->event.epdata.event = EPOLLIN;
		if (fd < 0 || rte_epoll_ctl(worker->epoll_fd, op, fd, &sender->event) < 0)
			break;
	}
	return i;
}

static int
connect_source(const struct worker *worker, const struct vmq_dp_source *source, int op)
{
	return rte_eth_dev_rx_intr_ctl_q(source->port_id, source->rx_queue, worker->epoll_fd, op,
		NULL);
}

static void
disconnect(const struct worker *worker, const struct work *work, uint16_t n)
{
	uint16_t i;

	for (i = 0; i < n; i++)
		connect_source(worker, work->sources[i], RTE_INTR_EVENT_DEL);
}

/* Put the interrupts of all sources into this thread's epoll, or of none. */
static bool
connect_all(const struct worker *worker, const struct work *work)
{
	const struct vmq_dp_source *source;
	uint16_t i;
	int ret;

	for (i = 0; i < work->n_sources; i++) {
		source = work->sources[i];
		if (connect_source(worker, source, RTE_INTR_EVENT_ADD) < 0) {
			disconnect(worker, work, i);
			return false;
		}
		ret = rte_eth_dev_rx_intr_enable(source->port_id, source->rx_queue);
		if (ret < 0 && ret != -ENOTSUP) {
			disconnect(worker, work, (uint16_t)(i + 1));
			return false;
		}
		rte_eth_dev_rx_intr_disable(source->port_id, source->rx_queue);
	}
	return true;
}

void
sleep_leave(struct worker *worker, const struct work *work)
{
	if (worker->connected) {
		if (worker->armed)
			arm(worker, work, false);
		disconnect(worker, work, work->n_sources);
	}
	if (worker->backends_connected)
		connect_backends(worker, work, work->n_senders, EPOLL_CTL_DEL);
	worker->backends_connected = false;
	worker->connected = false;
}

void
sleep_enter(struct worker *worker, const struct work *work)
{
	uint16_t n;

	if (worker->mode != VMQ_WORKER_INTERRUPT)
		return;
	worker->connected = connect_all(worker, work);
	n = connect_backends(worker, work, work->n_senders, EPOLL_CTL_ADD);
	worker->backends_connected = n == work->n_senders;
	if (!worker->backends_connected)
		connect_backends(worker, work, n, EPOLL_CTL_DEL);
	set_fallback(worker, worker->connected ? FALLBACK_NONE : FALLBACK_PORT);
}

void
sleep_begin(struct worker *worker)
{
	if (worker->mode == VMQ_WORKER_POLL)
		return;
	/* The kernel may let a timer be late by 50 us otherwise, to save wake-ups. */
	prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
}

void
sleep_end(struct worker *worker)
{
	if (worker->mode == VMQ_WORKER_POLL)
		return;
	prctl(PR_SET_TIMERSLACK, 0UL, 0, 0, 0); /* the thread's own again */
}

/* What keeps this worker from waiting for interrupts now? */
static enum fallback
find_fallback(const struct worker *worker, const struct work *work)
{
	if (!worker->connected)
		return FALLBACK_PORT;
	if (work->n_queues > 0)
		return FALLBACK_OTHERS;
	if (work->n_hw > 0)
		return FALLBACK_HARDWARE;
	if (!worker->backends_connected)
		return FALLBACK_BACKEND;
	return FALLBACK_NONE;
}

/* Has a VM sent something that is not delivered yet? Nothing raises an interrupt for that. */
static bool
is_sending(const struct work *work)
{
	uint16_t i;

	for (i = 0; i < work->n_senders; i++)
		if (work->senders[i]->sender->n_head > 0 || work->senders[i]->sender->n_wire > 0)
			return true;
	return false;
}

static void
wait_interrupt(struct worker *worker, const struct work *work)
{
	struct rte_epoll_event events[EVENTS_MAX];

	if (rte_epoll_wait(worker->epoll_fd, events, EVENTS_MAX, INTERRUPT_WAIT_MS) > 0)
		worker->no_wait_until = rte_rdtsc() +
			AFTER_INTERRUPT_MS * US_PER_S / MS_PER_S * worker->cycles_per_us;
	arm(worker, work, false);
	forget_wake(worker);
}

/* May the worker wait for interrupts, and are they on? */
static bool
is_ready_to_wait(struct worker *worker, const struct work *work, bool *was_armed)
{
	enum fallback fallback;

	/* What a backend did not take it may take at any moment, and says nothing. */
	if (worker->mode != VMQ_WORKER_INTERRUPT || work == NULL ||
		!SLIST_EMPTY(&worker->backlogged) || is_sending(work) ||
		rte_rdtsc() < worker->no_wait_until)
		return false;
	fallback = find_fallback(worker, work);
	set_fallback(worker, fallback);
	*was_armed = worker->armed;
	/* Again, also if they are on: a backend may have changed its mind. */
	return fallback == FALLBACK_NONE && arm(worker, work, true);
}

bool
sleep_idle(struct worker *worker, const struct work *work, uint64_t idle_cycles)
{
	const uint64_t idle_us = idle_cycles / worker->cycles_per_us;
	bool was_armed = false;

	if (worker->mode == VMQ_WORKER_POLL || idle_us < IDLE_PARTS * SLEEP_MIN_US)
		return false;
	if (is_ready_to_wait(worker, work, &was_armed)) {
		/* What came just before they were on raises none: look once more. */
		if (!was_armed)
			return false;
		wait_interrupt(worker, work);
		return true;
	}
	nap(worker, RTE_MIN(idle_us / IDLE_PARTS, (uint64_t)worker->max_sleep_us));
	return true;
}

void
sleep_over(struct worker *worker, const struct work *work)
{
	if (worker->armed)
		arm(worker, work, false);
}
