/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* The pool of a hardware queue: it stays with the NIC's ring while VMs come and go. */

#include "pool_private.h"

enum vmq_status
vmq_pool_give(struct vmq_pool *pool, uint16_t queue_id, uint32_t limit, struct vmq_error *err)
{
	const uint16_t before = pool->params.queue_id;
	struct pool_block *block, *undo;
	enum vmq_status status;

	if (pool->activity != POOL_IDLE)
		return vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED,
			"pool %s is growing or giving a block back", pool->mempool->name);
	if (limit == 0 || limit > vmq_pool_capacity(pool))
		return vmq_error_set(err, VMQ_STATUS_INVALID_PARAMETER,
			"a limit of %u buffers is not in 1 to the %u that pool %s was made for",
			limit, vmq_pool_capacity(pool), pool->mempool->name);
	TAILQ_FOREACH(block, &pool->blocks, next) {
		status = vmq_shmem_give(pool->shmem, &block->memory, queue_id, err);
		if (status == VMQ_STATUS_SUCCESS)
			continue;
		/* Cannot fail: that account is there. */
		TAILQ_FOREACH(undo, &pool->blocks, next) {
			if (undo == block)
				break;
			vmq_shmem_give(pool->shmem, &undo->memory, before, NULL);
		}
		return status;
	}
	pool->params.queue_id = queue_id;
	pool->params.limit = limit;
	return VMQ_STATUS_SUCCESS;
}

uint32_t
vmq_pool_capacity(const struct vmq_pool *pool)
{
	return pool->mempool->size;
}

bool
vmq_pool_has(const struct vmq_pool *pool, const void *address)
{
	const struct pool_block *block;

	TAILQ_FOREACH(block, &pool->blocks, next)
		if (RTE_PTR_DIFF(address, block->memory.addr) < block->memory.length_bytes)
			return true;
	return false;
}
