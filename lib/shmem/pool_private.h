/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_POOL_PRIVATE_H
#define VMQ_POOL_PRIVATE_H

#include <rte_ring.h>

#include "vmq_shmem.h"

/* Name of the mempool operations in pool_ops.c. */
#define POOL_OPS_NAME "vmq_pool"

/*
 * What the mempool operations need. It is rte_mempool.pool_config, not pool_data:
 * DPDK has the operations allocate pool_data at the first populate only, and a pool
 * can be asked for its count (by telemetry) before. One allocation: a line that
 * workers only read, then the ring of the buffers at home.
 */
struct pool_data {
	/* control: wo; any thread: ro. Buffers that the pool has. */
	_Atomic uint32_t populated;
	/* control: rw. The block whose buffers are being made. */
	const struct vmq_shmem_block *populating;
	struct rte_ring ring; /* cache aligned by its own type; the last member */
};

/* Room for as many buffers as limit. Returns NULL: no memory. */
struct pool_data *pool_data_create(uint32_t limit, int node);
void pool_data_free(struct pool_data *data);

#endif /* VMQ_POOL_PRIVATE_H */
