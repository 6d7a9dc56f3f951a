/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_POOL_PRIVATE_H
#define VMQ_POOL_PRIVATE_H

#include <sys/queue.h>

#include <rte_ring.h>

#include "vmq_shmem.h"

/*
 * A pool is a mempool with DPDK's own "ring_mt_hts" operations and a ring of ours
 * behind them, populated by us. Why so:
 * - the populate operation of rte_mempool puts a buffer into the ring before
 *   rte_pktmbuf_init() can have run (rte_mempool_op_populate_helper() enqueues each
 *   object at once): on a pool in use a worker would take it too early;
 * - operations of our own would be unknown to secondary processes, which find a
 *   pool's operations by their number in their own table: seen on 22.11,
 *   dpdk-proc-info called those of another driver. With DPDK's own and a ring in
 *   pool_data they show true numbers, as telemetry does;
 * - a ring that rte_ring_create() makes would take one more memzone for each queue;
 * - head-tail sync, because a thread that loses its CPU inside the ring must not hold
 *   up the others for more than that: with ring_mp_mc those who wait have moved the head
 *   already, and hold up the next ones in turn. On two CPUs, with control thread and a
 *   worker on one of them, 50 rounds of growing and giving back took 15.8 s with
 *   ring_mp_mc, 0.24 s with relaxed tail sync (ring_mt_rts), and as little with this.
 *   A burst of 32 taken and put back, without contention: 65 cycles, 83, and 72.
 */
#define POOL_OPS_NAME "ring_mt_hts"

/* One block and the buffers made of it: neighbours in the mempool's lists. */
struct pool_block {
	TAILQ_ENTRY(pool_block) next;
	struct vmq_shmem_block memory;
	uint32_t buffers;
	struct rte_mempool_objhdr *first, *last;
};

/* What a pool is in the middle of; one thing at a time. */
enum pool_activity {
	POOL_IDLE,
	POOL_GROWING,
	POOL_RETIRING, /* setting the last block's buffers aside */
	POOL_RETURNING, /* the block has all of them and is being freed */
};

struct vmq_pool {
	struct rte_mempool *mempool;
	struct rte_ring *ring; /* of the buffers at home: the mempool's pool_data */
	struct vmq_shmem *shmem;
	struct vmq_pool_params params;

	/* Written by the control or the helper thread, read by any. */
	_Atomic uint32_t populated;
	_Atomic uint32_t n_aside;
	_Atomic uint32_t n_blocks;
	_Atomic size_t bytes;
	_Atomic uint32_t grown, returned, failed;

	/* Control thread, or the helper thread while a job of this pool is under way. */
	TAILQ_HEAD(pool_blocks, pool_block) blocks;
	enum pool_activity activity;
	vmq_pool_callback *callback;
	void *callback_arg;
	struct vmq_job job;
	uint32_t job_buffers, job_min_buffers;
	enum vmq_status job_status;
	void **aside; /* buffers set aside, n_aside of them */

	/* pool_demand.c */
	struct vmq_pool_demand demand;
	uint64_t high_since_ms; /* 0: not above the high mark */
	uint64_t retry_ms; /* no growth before: the last one failed */
	uint32_t failed_seen; /* failures that retry_ms takes account of */
};

/* shmem.c */
struct vmq_jobs *shmem_jobs(const struct vmq_shmem *shmem);

/* pool_block.c: add a block, whatever the pool is in the middle of. */
enum vmq_status pool_add_block(struct vmq_pool *pool, uint32_t buffers, uint32_t min_buffers,
	uint32_t *obtained, struct vmq_error *err);
/* Take the last block out of the mempool and free it; all its buffers are set aside. */
void pool_remove_block(struct vmq_pool *pool);

#endif /* VMQ_POOL_PRIVATE_H */
