/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_PCAP_WRITER_H
#define VMQ_PCAP_WRITER_H

/**
 * @file
 * A thread that writes one capture file, so that no worker ever waits for a disk, and
 * no file for another one (a pipe whose reader sleeps blocks its own thread only).
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct pcap_writer {
	/*
	 * Write what is waiting, a bounded amount; the writer thread, or the control
	 * thread once that has ended. Returns whether there was anything.
	 */
	bool (*work)(struct pcap_writer *writer);

	_Atomic bool stop; /* control: wo; writer: ro */
	_Atomic uint64_t turns; /* writer: wo; control: ro. Calls of work() that came back. */
	/* control */
	pthread_t thread;
	bool joined;
	uint64_t turns_seen; /* since it was told to stop, and when there were more the last time */
	uint64_t turned_ns;
};

/* Start the thread. Control thread. Returns 0 or -errno. */
int pcap_writer_start(struct pcap_writer *writer);

/*
 * Let the thread write what is waiting, and end; call it again until it returns true: the
 * thread has ended. Never waits. A write that does not come back for a second after the
 * first call is interrupted by a later one: it fails with EINTR. Control thread.
 */
bool pcap_writer_try_stop(struct pcap_writer *writer);

/* The same, and wait for it. Control thread. */
void pcap_writer_stop(struct pcap_writer *writer);

#endif /* VMQ_PCAP_WRITER_H */
