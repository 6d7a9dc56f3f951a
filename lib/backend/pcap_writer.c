/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include "pcap_writer.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

/* How long an idle thread sleeps: at first, and at most. */
#define IDLE_MIN_NS 50000
#define IDLE_MAX_NS 2000000

/* How long stopping waits for a write that does not come back. */
#define STUCK_NS 1000000000
#define LOOK_NS 1000000

/* Interrupts a system call of the writer; its default action is to be ignored. */
#define INTERRUPT SIGURG

static void
on_interrupt(int number)
{
	(void)number;
}

static void *
write_file(void *arg)
{
	struct pcap_writer *writer = arg;
	struct timespec idle = {.tv_nsec = IDLE_MIN_NS};
	bool busy, stop;

	do {
		/* In this order: what came before the stop is still written. */
		stop = atomic_load(&writer->stop);
		busy = writer->work(writer);
		atomic_fetch_add(&writer->turns, 1);
		if (busy) {
			idle.tv_nsec = IDLE_MIN_NS;
		} else if (!stop) {
			nanosleep(&idle, NULL);
			idle.tv_nsec = idle.tv_nsec * 2 > IDLE_MAX_NS ? IDLE_MAX_NS
								      : idle.tv_nsec * 2;
		}
	} while (busy || !stop);
	return NULL;
}

int
pcap_writer_start(struct pcap_writer *writer)
{
	/* No SA_RESTART: the system call shall end. */
	const struct sigaction action = {.sa_handler = on_interrupt};
	sigset_t others, old;
	int ret;

	if (sigaction(INTERRUPT, &action, NULL) < 0)
		return -errno;
	/* All other signals are for the control thread. */
	sigfillset(&others);
	sigdelset(&others, INTERRUPT);
	pthread_sigmask(SIG_SETMASK, &others, &old);
	ret = pthread_create(&writer->thread, NULL, write_file, writer);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret == 0)
		pthread_setname_np(writer->thread, "vmq-pcap");
	return -ret;
}

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

bool
pcap_writer_try_stop(struct pcap_writer *writer)
{
	const uint64_t turns = atomic_load(&writer->turns), now = now_ns();

	if (writer->joined)
		return true;
	if (!atomic_exchange(&writer->stop, true) || turns != writer->turns_seen) {
		writer->turns_seen = turns;
		writer->turned_ns = now;
	}
	writer->joined = pthread_tryjoin_np(writer->thread, NULL) == 0;
	if (!writer->joined && now - writer->turned_ns >= STUCK_NS)
		pthread_kill(writer->thread, INTERRUPT);
	return writer->joined;
}

void
pcap_writer_stop(struct pcap_writer *writer)
{
	const struct timespec look = {.tv_nsec = LOOK_NS};

	while (!pcap_writer_try_stop(writer))
		nanosleep(&look, NULL);
}
