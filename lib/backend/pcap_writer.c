/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "pcap_writer.h"

/* How long the thread sleeps when no file had anything to write. */
#define IDLE_NS 200000

static struct {
	pthread_mutex_t lock; /* of clients and stop; held while a client works */
	TAILQ_HEAD(, pcap_writer_client) clients;
	bool stop;
	pthread_t thread; /* control thread only */
} writer = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.clients = TAILQ_HEAD_INITIALIZER(writer.clients),
};

static void *
write_files(void *arg)
{
	const struct timespec idle = {.tv_nsec = IDLE_NS};
	struct pcap_writer_client *client;
	bool busy, stop = false;

	(void)arg;
	while (!stop) {
		busy = false;
		pthread_mutex_lock(&writer.lock);
		TAILQ_FOREACH(client, &writer.clients, next)
			busy |= client->work(client);
		stop = writer.stop;
		pthread_mutex_unlock(&writer.lock);
		if (!busy)
			nanosleep(&idle, NULL);
	}
	return NULL;
}

/* Signals are for the control thread: the writer takes none. */
static int
start_thread(void)
{
	sigset_t all, old;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	writer.stop = false;
	ret = pthread_create(&writer.thread, NULL, write_files, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret == 0)
		pthread_setname_np(writer.thread, "vmq-pcap");
	return -ret;
}

int
pcap_writer_add(struct pcap_writer_client *client)
{
	bool first;
	int ret = 0;

	pthread_mutex_lock(&writer.lock);
	first = TAILQ_EMPTY(&writer.clients);
	TAILQ_INSERT_TAIL(&writer.clients, client, next);
	if (first) {
		ret = start_thread();
		if (ret < 0)
			TAILQ_REMOVE(&writer.clients, client, next);
	}
	pthread_mutex_unlock(&writer.lock);
	return ret;
}

void
pcap_writer_remove(struct pcap_writer_client *client)
{
	bool last;

	pthread_mutex_lock(&writer.lock);
	TAILQ_REMOVE(&writer.clients, client, next);
	last = TAILQ_EMPTY(&writer.clients);
	writer.stop = last;
	pthread_mutex_unlock(&writer.lock);
	if (last)
		pthread_join(writer.thread, NULL);
}
