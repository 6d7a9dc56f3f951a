/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>

#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_mempool.h>

#include "pool_private.h"

/*
 * Mempool operations of a queue's pool: a ring for many producers and consumers.
 *
 * Why not the ring_mp_mc of DPDK: its populate operation puts a buffer into the
 * ring before rte_pktmbuf_init() can have run (rte_mempool_op_populate_helper()
 * enqueues each object at once, rte_pktmbuf_pool_create() initialises all of them
 * afterwards). On a pool that is in use a worker would take it too early.
 */

/* Buffers that are made ready and published together. */
#define POPULATE_BATCH 64

struct pool_data *
pool_data_create(uint32_t limit, int node)
{
	const unsigned int slots = rte_align32pow2(limit + 1);
	ssize_t ring_bytes = rte_ring_get_memsize(slots);
	struct pool_data *data;

	if (ring_bytes < 0)
		return NULL;
	data = rte_zmalloc_socket("vmq_pool", offsetof(struct pool_data, ring) + ring_bytes,
		RTE_CACHE_LINE_SIZE, node);
	if (data == NULL)
		return NULL;
	/* Not a named ring: that would take a memzone, of which there are few. */
	if (rte_ring_init(&data->ring, POOL_OPS_NAME, slots, 0) < 0) {
		rte_free(data);
		return NULL;
	}
	return data;
}

void
pool_data_free(struct pool_data *data)
{
	rte_free(data);
}

/* The pool makes and frees its data itself. */
static int
pool_alloc(struct rte_mempool *mp __rte_unused)
{
	return 0;
}

static int
pool_enqueue(struct rte_mempool *mp, void *const *objects, unsigned int n)
{
	struct pool_data *data = mp->pool_config;

	return rte_ring_mp_enqueue_bulk(&data->ring, objects, n, NULL) == 0 ? -ENOBUFS : 0;
}

static int
pool_dequeue(struct rte_mempool *mp, void **objects, unsigned int n)
{
	struct pool_data *data = mp->pool_config;

	return rte_ring_mc_dequeue_bulk(&data->ring, objects, n, NULL) == 0 ? -ENOBUFS : 0;
}

static unsigned int
pool_get_count(const struct rte_mempool *mp)
{
	const struct pool_data *data = mp->pool_config;

	return rte_ring_count(&data->ring);
}

/* Fill in what a buffer carries for its whole life. */
static void
init_buffer(struct rte_mempool *mp, void *object, const struct vmq_shmem_block *block)
{
	struct rte_mbuf *packet = object;
	struct vmq_buffer_info *info;

	rte_pktmbuf_init(mp, NULL, object, 0);
	info = rte_mbuf_to_priv(packet);
	info->shared_memory_handle = block->shared_memory_handle;
	info->offset = RTE_PTR_DIFF(packet->buf_addr, block->addr);
}

/*
 * Make buffers of one IOVA range. Each is ready before anybody can take it: header
 * (obj_cb), mbuf, private area, and only then the ring.
 */
static int
pool_populate(struct rte_mempool *mp, unsigned int max, void *vaddr, rte_iova_t iova, size_t len,
	rte_mempool_populate_obj_cb_t *obj_cb, void *obj_cb_arg)
{
	const size_t object_size = mp->header_size + mp->elt_size + mp->trailer_size;
	struct pool_data *data = mp->pool_config;
	void *batch[POPULATE_BATCH];
	unsigned int i, n = 0;
	size_t offset = 0;
	void *object;

	for (i = 0; i < max && offset + object_size <= len; i++, offset += object_size) {
		object = RTE_PTR_ADD(vaddr, offset + mp->header_size);
		obj_cb(mp, obj_cb_arg, object,
			iova == RTE_BAD_IOVA ? RTE_BAD_IOVA : iova + offset + mp->header_size);
		init_buffer(mp, object, data->populating);
		batch[n++] = object;
		if (n == POPULATE_BATCH) {
			atomic_fetch_add(&data->populated, n);
			pool_enqueue(mp, batch, n);
			n = 0;
		}
	}
	if (n > 0) {
		atomic_fetch_add(&data->populated, n);
		pool_enqueue(mp, batch, n); /* cannot fail: the ring has mp->size slots */
	}
	return (int)i;
}

static struct rte_mempool_ops vmq_pool_ops = {
	.name = POOL_OPS_NAME,
	.alloc = pool_alloc,
	.enqueue = pool_enqueue,
	.dequeue = pool_dequeue,
	.get_count = pool_get_count,
	.populate = pool_populate,
};

RTE_MEMPOOL_REGISTER_OPS(vmq_pool_ops);
