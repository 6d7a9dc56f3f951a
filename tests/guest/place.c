/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 *
 * Where do packets lie? Preloaded into vmqd it looks at each packet that a port hands
 * over, before vmqd does, and writes a line to the file VMQ_PLACE_FILE:
 *
 *	PORT RX_QUEUE POOL LENGTH HEAD
 *
 * POOL is the mempool in whose memory the packet's data lies, by address alone ("-": in
 * none, "*": in several); HEAD are the first 18 bytes, in hexadecimal.
 */

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#define HEAD_BYTES 18

static FILE *file;
static uint16_t watched[RTE_MAX_ETHPORTS];

struct search {
	const char *begin, *end;
	const char *pool;
};

static void
in_range(struct rte_mempool *pool, void *arg, struct rte_mempool_memhdr *range,
	unsigned int number)
{
	const char *memory = range->addr;
	struct search *search = arg;

	(void)number;
	if (search->begin < memory || search->end > memory + range->len)
		return;
	search->pool = search->pool == NULL || search->pool == pool->name ? pool->name : "*";
}

static void
in_pool(struct rte_mempool *pool, void *arg)
{
	rte_mempool_mem_iter(pool, in_range, arg);
}

static uint16_t
look(uint16_t port, uint16_t queue, struct rte_mbuf *packets[], uint16_t n, uint16_t max, void *arg)
{
	char head[2 * HEAD_BYTES + 1];
	uint16_t i, at;

	(void)max;
	(void)arg;
	for (i = 0; i < n; i++) {
		const uint8_t *data = rte_pktmbuf_mtod(packets[i], const uint8_t *);
		struct search search = {
			.begin = rte_pktmbuf_mtod(packets[i], const char *),
			.end = rte_pktmbuf_mtod_offset(packets[i], const char *,
				packets[i]->data_len),
		};

		rte_mempool_walk(in_pool, &search);
		for (at = 0; at < HEAD_BYTES && at < packets[i]->data_len; at++)
			snprintf(head + 2 * at, 3, "%02x", data[at]);
		fprintf(file, "%u %u %s %u %s\n", port, queue,
			search.pool != NULL ? search.pool : "-", packets[i]->pkt_len, head);
	}
	return n;
}

static void __attribute__((destructor))
end(void)
{
	if (file != NULL)
		fclose(file);
}

/* Stands before DPDK's own. */
int
rte_eth_dev_start(uint16_t port_id)
{
	int (*real)(uint16_t) = (int (*)(uint16_t))dlsym(RTLD_NEXT, "rte_eth_dev_start");
	const char *path = getenv("VMQ_PLACE_FILE");
	struct rte_eth_dev_info info;
	int ret = real(port_id);

	if (ret != 0)
		return ret;
	if (file == NULL && (path == NULL || (file = fopen(path, "we")) == NULL)) {
		fprintf(stderr, "place: VMQ_PLACE_FILE is to be a file\n");
		abort();
	}
	/* Callbacks stay where a port is configured anew and started again. */
	if (rte_eth_dev_info_get(port_id, &info) != 0)
		abort();
	for (; watched[port_id] < info.nb_rx_queues; watched[port_id]++)
		if (rte_eth_add_rx_callback(port_id, watched[port_id], look, NULL) == NULL)
			abort();
	return 0;
}
