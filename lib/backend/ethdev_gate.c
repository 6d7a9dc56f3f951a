/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include "ethdev_gate.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

#include <rte_interrupts.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static TAILQ_HEAD(, ethdev_gate) gates = TAILQ_HEAD_INITIALIZER(gates);
static _Atomic unsigned int n_gates;

void
ethdev_gate_open(struct ethdev_gate *gate, const char *driver)
{
	gate->used = driver != NULL && strcmp(driver, "net_memif") == 0;
	if (!gate->used)
		return;
	pthread_mutex_lock(&lock);
	TAILQ_INSERT_TAIL(&gates, gate, next);
	pthread_mutex_unlock(&lock);
	atomic_fetch_add(&n_gates, 1);
}

void
ethdev_gate_close(struct ethdev_gate *gate)
{
	if (!gate->used)
		return;
	gate->used = false;
	pthread_mutex_lock(&lock);
	TAILQ_REMOVE(&gates, gate, next);
	pthread_mutex_unlock(&lock);
	atomic_fetch_sub(&n_gates, 1);
}

void
ethdev_gate_before_unmapping(void)
{
	const struct ethdev_gate *gate;

	if (atomic_load_explicit(&n_gates, memory_order_relaxed) == 0 || !rte_thread_is_intr())
		return;
	/* What the driver has written, then what workers say. */
	atomic_thread_fence(memory_order_seq_cst);
	pthread_mutex_lock(&lock);
	TAILQ_FOREACH(gate, &gates, next)
		while (atomic_load(&gate->inside))
			sched_yield();
	pthread_mutex_unlock(&lock);
}

/*
 * Who connects to net_memif's socket and is gone at once is greeted in vain. The driver then
 * closes the connection and leaves it with EAL, whose interrupt thread ends the process over
 * a descriptor that is none (memif_listener_handler() of 22.11, and eal_intr_thread_main()).
 * So a greeting to nobody is taken for sent: the driver finds the end of the connection next,
 * and lets go of it as it should. In EAL's interrupt thread nobody else sends messages.
 */
ssize_t
sendmsg(int fd, const struct msghdr *message, int flags)
{
	static ssize_t (*real)(int, const struct msghdr *, int);
	ssize_t sent;
	size_t i;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "sendmsg");
	sent = real(fd, message, flags);
	if (sent >= 0 || (errno != EPIPE && errno != ECONNRESET) ||
		atomic_load_explicit(&n_gates, memory_order_relaxed) == 0 || !rte_thread_is_intr())
		return sent;
	for (sent = 0, i = 0; i < message->msg_iovlen; i++)
		sent += (ssize_t)message->msg_iov[i].iov_len;
	return sent;
}
