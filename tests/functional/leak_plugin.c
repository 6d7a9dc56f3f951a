/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 *
 * A plugin that keeps packets: loaded by EAL's -d, it waits for a packet pool and
 * takes buffers out of it that never come back. Tests use it to see that the
 * daemon names what is missing at its end.
 *
 * Environment: VMQ_LEAK_POOL, name of the pool; VMQ_LEAK_COUNT, how many buffers;
 * VMQ_LEAK_DONE, a file that is created when they are taken.
 */

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_eal.h>
#include <rte_mempool.h>
#include <rte_tailq.h>

#define MAX_COUNT 64
#define POLL_US 20000

static void *
leak(void *arg __rte_unused)
{
	const char *name = getenv("VMQ_LEAK_POOL");
	const char *count = getenv("VMQ_LEAK_COUNT");
	const char *done = getenv("VMQ_LEAK_DONE");
	unsigned int n = count == NULL ? 0 : strtoul(count, NULL, 10);
	struct rte_mempool *pool;
	void *taken[MAX_COUNT];
	int fd;

	if (name == NULL || done == NULL || n == 0 || n > MAX_COUNT) {
		fprintf(stderr, "leak_plugin: VMQ_LEAK_POOL, VMQ_LEAK_COUNT or VMQ_LEAK_DONE\n");
		abort();
	}
	/* A lookup before EAL has its lists would follow a null pointer. */
	while (rte_eal_tailq_lookup("RTE_MEMPOOL") == NULL)
		usleep(POLL_US);
	while ((pool = rte_mempool_lookup(name)) == NULL || pool->populated_size < n)
		usleep(POLL_US);
	while (rte_mempool_get_bulk(pool, taken, n) != 0)
		usleep(POLL_US);
	fd = open(done, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		abort();
	close(fd);
	return NULL;
}

RTE_INIT(leak_plugin_start)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, leak, NULL) != 0 || pthread_detach(thread) != 0)
		abort();
}
