/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_PCAP_WRITER_H
#define VMQ_PCAP_WRITER_H

/**
 * @file
 * One thread writes the files of all pcap backends, so that no worker ever waits
 * for a disk. It starts with the first file and ends with the last one.
 */

#include <stdbool.h>
#include <sys/queue.h>

/* A file that the thread looks after; embedded in the backend. */
struct pcap_writer_client {
	TAILQ_ENTRY(pcap_writer_client) next;
	/*
	 * Write what is waiting, a bounded amount. Returns whether there was anything.
	 * Called by the writer thread, never at the same time as add or remove.
	 */
	bool (*work)(struct pcap_writer_client *client);
};

/* Control thread. Returns 0 or -errno: the thread could not start. */
int pcap_writer_add(struct pcap_writer_client *client);

/* Control thread. When it returns, the writer does not use the client any more. */
void pcap_writer_remove(struct pcap_writer_client *client);

#endif /* VMQ_PCAP_WRITER_H */
