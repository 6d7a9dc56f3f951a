/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_SHMEM_H
#define VMQ_SHMEM_H

/**
 * @file
 * Shared memory of queues: blocks with handles, and packet pools made of blocks.
 * "Shared memory" in the specification says what NDIS asks of it; who writes a
 * provider of blocks reads vmq_shmem_provider.h.
 *
 * Everything here runs on the control thread unless a comment says otherwise; what
 * may take long has a form that runs on the helper thread (struct vmq_jobs).
 */

#include <stddef.h>

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <vmq_base.h>

#include "vmq_stash.h"

struct vmq_shmem_provider;

/** What a block is for (NDIS_SHARED_MEMORY_USAGE). */
enum vmq_shmem_usage {
	VMQ_SHMEM_UNDEFINED,
	VMQ_SHMEM_XMIT,
	VMQ_SHMEM_XMIT_HEADER,
	VMQ_SHMEM_XMIT_DATA,
	VMQ_SHMEM_RECEIVE,
	VMQ_SHMEM_RECEIVE_LOOKAHEAD,
	VMQ_SHMEM_RECEIVE_POST_LOOKAHEAD,
	VMQ_SHMEM_RECEIVE_HEADER,
	VMQ_SHMEM_RECEIVE_DATA,
	VMQ_SHMEM_OTHER,
	VMQ_SHMEM_USAGE_COUNT, /* not a usage */
};

/** One IOVA range or failure. Without it a block may have many ranges. */
#define VMQ_SHMEM_F_CONTIGUOUS (UINT32_C(1) << 0)

/** A request for a block (NDIS_SHARED_MEMORY_PARAMETERS). */
struct vmq_shmem_params {
	uint16_t queue_id;
	size_t length_bytes;
	enum vmq_shmem_usage usage;
	uint32_t flags; /**< VMQ_SHMEM_F_* */
	int preferred_node; /**< NUMA node, or SOCKET_ID_ANY. */
};

/** A range of a block that a device can address in one piece. */
struct vmq_sg_element {
	rte_iova_t iova;
	size_t length_bytes;
};

/** A block. Filled in by vmq_shmem_allocate(), handed back to vmq_shmem_free(). */
struct vmq_shmem_block {
	void *addr; /**< NULL: no block. */
	size_t length_bytes; /**< At least what was asked for. */
	uint32_t n_sg;
	const struct vmq_sg_element *sg; /**< Lives as long as the block. */
	uint64_t shared_memory_handle; /**< Carried by receive indications. */
	uint64_t allocation_handle; /**< Names the block when it is freed. */
};

/** Shared memory of one adapter: who has which block, and how much there may be. */
struct vmq_shmem;

struct vmq_shmem_config {
	const char *name; /**< Of the adapter, for messages; copied. */
	const struct vmq_shmem_provider *provider; /**< NULL: DPDK memzones. */
	void *provider_arg;
	size_t limit_bytes; /**< Of all blocks together; 0: no limit. */
	struct vmq_jobs *jobs; /**< For what is asynchronous; NULL: nothing is. */
};

/** @return NULL with rte_errno ENOMEM */
struct vmq_shmem *vmq_shmem_create(const struct vmq_shmem_config *config);

/**
 * Destroy, and report each block that nobody freed as an error that names the
 * block, the queue and the count. Such blocks stay allocated: somebody may still
 * write into them.
 *
 * @return how many blocks have leaked.
 */
unsigned int vmq_shmem_destroy(struct vmq_shmem *shmem);

/**
 * A block stays allocated to the end of the process, because somebody who is known does not
 * give it back: vmq_shmem_destroy() does not count it. Any thread.
 */
void vmq_shmem_leave(struct vmq_shmem *shmem, const struct vmq_shmem_block *block);

/** Alignment of blocks, in bytes (NdisMGetDmaAlignment). */
size_t vmq_shmem_alignment(const struct vmq_shmem *shmem);

/** Memory in blocks now, in bytes. Any thread. */
size_t vmq_shmem_bytes(struct vmq_shmem *shmem);

/** The same of one queue. Any thread. */
size_t vmq_shmem_queue_bytes(struct vmq_shmem *shmem, uint16_t queue_id);

/**
 * Limit the blocks of one queue together; 0: no limit, as at the start. What is there
 * already stays.
 *
 * @return VMQ_STATUS_SUCCESS or VMQ_STATUS_RESOURCES: no memory to remember it.
 */
enum vmq_status vmq_shmem_queue_limit(struct vmq_shmem *shmem, uint16_t queue_id,
	size_t limit_bytes);

/**
 * Allocate a block. Any thread.
 *
 * @return VMQ_STATUS_SUCCESS; VMQ_STATUS_RESOURCES: not enough memory, or a limit:
 *   nothing was allocated; VMQ_STATUS_INVALID_PARAMETER: length 0, an unknown usage
 *   or flag.
 */
enum vmq_status vmq_shmem_allocate(struct vmq_shmem *shmem, const struct vmq_shmem_params *params,
	struct vmq_shmem_block *block, struct vmq_error *err);

/**
 * The end of an asynchronous allocation. Control thread.
 *
 * @param block
 *   With address NULL on failure; the receiver's own from then on.
 */
typedef void vmq_shmem_callback(void *arg, const struct vmq_shmem_block *block,
	enum vmq_status status, const struct vmq_error *err);

/**
 * Allocate a block on the helper thread; nobody waits for it.
 *
 * @return VMQ_STATUS_PENDING: the callback will be called; or as
 *   vmq_shmem_allocate(), or VMQ_STATUS_NOT_SUPPORTED without a helper thread: it will
 *   not be called.
 */
enum vmq_status vmq_shmem_allocate_async(struct vmq_shmem *shmem,
	const struct vmq_shmem_params *params, vmq_shmem_callback *callback, void *arg,
	struct vmq_error *err);

/**
 * Give a block to another queue, with what it counts there. A queue's limit does not
 * hold this up: the memory is there. Any thread.
 *
 * @return VMQ_STATUS_SUCCESS; VMQ_STATUS_INVALID_PARAMETER: no such block;
 *   VMQ_STATUS_RESOURCES: no memory for the queue's account; nothing has changed.
 */
enum vmq_status vmq_shmem_give(struct vmq_shmem *shmem, const struct vmq_shmem_block *block,
	uint16_t queue_id, struct vmq_error *err);

/**
 * Free a block, whole. Any thread.
 *
 * @param block
 *   As vmq_shmem_allocate() gave it; cleared on success.
 * @return VMQ_STATUS_SUCCESS; VMQ_STATUS_INVALID_PARAMETER: the handle is not one of
 *   this adapter's blocks (any more), or address and length are not the block's.
 */
enum vmq_status vmq_shmem_free(struct vmq_shmem *shmem, struct vmq_shmem_block *block,
	struct vmq_error *err);

/**
 * What lies beside each packet of a pool, in the private area of its mbuf: where
 * the buffer is in shared memory (spec: Receive indications). It fills a cache line, so
 * that a frame begins with one: the NIC writes whole lines, and a small frame lies in one.
 */
struct vmq_buffer_info {
	uint64_t shared_memory_handle;
	uint64_t offset; /**< Of the mbuf's data room in the block, in bytes. */
} __rte_cache_aligned;

/** @return the private area; packet must be of a vmq pool. Any thread. */
static inline const struct vmq_buffer_info *
vmq_buffer_info(const struct rte_mbuf *packet)
{
	return rte_mbuf_to_priv((struct rte_mbuf *)(uintptr_t)packet);
}

/** Most segments of a packet that an indication names (DPDK: RTE_MBUF_MAX_NB_SEGS is more). */
#define VMQ_RECEIVE_SEGMENTS_MAX 32

/**
 * What goes with each packet that is handed up (spec: Receive indications): where its
 * bytes lie in shared memory.
 */
struct vmq_receive_indication {
	uint16_t queue_id; /**< Whose packet it is. */
	uint32_t filter_id; /**< 0 for VMQ. */
	uint16_t n_segments;
	struct {
		uint64_t shared_memory_handle;
		uint64_t offset; /**< Of the first byte in its block. */
		uint32_t length; /**< In bytes. */
	} segments[VMQ_RECEIVE_SEGMENTS_MAX];
};

/**
 * Any thread that holds the packet.
 *
 * @param packet
 *   All its buffers are of vmq pools; clones of such buffers are all right.
 * @return 0, or -E2BIG: more than VMQ_RECEIVE_SEGMENTS_MAX segments.
 */
int vmq_receive_indication_get(uint16_t queue_id, const struct rte_mbuf *packet,
	struct vmq_receive_indication *indication);

/**
 * The packet pool of one queue: one mempool made at the queue's limit, which has
 * the buffers of the blocks it was given. Packets are taken and put back by any
 * thread with the ordinary mbuf functions, on vmq_pool_mempool(), while blocks come
 * and go.
 */
struct vmq_pool;

struct vmq_pool_params {
	const char *name; /**< Of the mempool; at most RTE_MEMPOOL_NAMESIZE with NUL. */
	uint16_t queue_id;
	uint32_t limit; /**< Most buffers that it may ever have. */
	uint32_t buffer_size; /**< Bytes of packet in one buffer, headroom not counted. */
	enum vmq_shmem_usage usage; /**< VMQ_SHMEM_RECEIVE or VMQ_SHMEM_XMIT. */
	uint32_t flags; /**< VMQ_SHMEM_F_* */
	int node; /**< NUMA node, or SOCKET_ID_ANY. */
	/**
	 * Buffers that an lcore may keep at hand, the hottest ones; 0: none. They count
	 * as available. For a pool that one worker receives into; when a block is given
	 * back the worker must flush its cache, and its stash, now and then.
	 */
	uint32_t cache_size;
	bool stash; /**< Beside the cache, which it needs: see vmq_stash.h. */
};

/** populated = available + outstanding + retiring, at any moment. */
struct vmq_pool_stats {
	uint32_t limit;
	uint32_t populated; /**< Buffers that the pool has. */
	uint32_t available; /**< Of these, at home and ready. */
	uint32_t outstanding; /**< Of these, out: in the NIC's ring or with a holder. */
	uint32_t retiring; /**< Of these, at home and set aside: their block is to go. */
	uint32_t blocks;
	size_t bytes; /**< Memory of the blocks. */
	uint32_t grown; /**< Blocks added since the pool was made. */
	uint32_t returned; /**< Blocks given back. */
	uint32_t failed; /**< Blocks that could not be had. */
};

/**
 * Make a pool without buffers. Control thread or helper thread.
 *
 * @return NULL with rte_errno and the reason in err.
 */
struct vmq_pool *vmq_pool_create(struct vmq_shmem *shmem, const struct vmq_pool_params *params,
	struct vmq_error *err);

/**
 * Give a pool one more block. Its buffers are ready before anybody can take them.
 * Control thread or helper thread, one at a time.
 *
 * @param buffers
 *   How many buffers to add.
 * @param min_buffers
 *   When the block cannot be had in full it is asked for again smaller, down to
 *   this many.
 * @param obtained
 *   Receives how many were added; may be NULL.
 * @return VMQ_STATUS_SUCCESS; VMQ_STATUS_RESOURCES: not even min_buffers, nothing was
 *   added; VMQ_STATUS_INVALID_PARAMETER: 0 buffers, or more than the limit allows;
 *   VMQ_STATUS_NOT_ACCEPTED: the pool is growing or giving back already.
 */
enum vmq_status vmq_pool_grow(struct vmq_pool *pool, uint32_t buffers, uint32_t min_buffers,
	uint32_t *obtained, struct vmq_error *err);

/** Is a block being given back, so that caches of lcores have to be flushed? */
bool vmq_pool_is_retiring(const struct vmq_pool *pool);

/** Is the helper thread adding a block, or taking one away? Ends in vmq_jobs_finish(). */
bool vmq_pool_is_busy(const struct vmq_pool *pool);

/** Largest cache_size. */
#define VMQ_POOL_CACHE_MAX RTE_MEMPOOL_CACHE_MAX_SIZE

/** What a pool tells of itself. Control thread. */
enum vmq_pool_event {
	VMQ_POOL_GROWN, /**< A block was added. */
	VMQ_POOL_RETURNED, /**< A block was given back. */
	VMQ_POOL_GROW_FAILED, /**< A block could not be had. */
};

typedef void vmq_pool_callback(void *arg, struct vmq_pool *pool, enum vmq_pool_event event,
	uint32_t buffers);

/** Who is told of asynchronous growth and of returned blocks; NULL: nobody. */
void vmq_pool_set_callback(struct vmq_pool *pool, vmq_pool_callback *callback, void *arg);

/**
 * The same as vmq_pool_grow() on the helper thread.
 *
 * @return VMQ_STATUS_PENDING: the pool's callback says how it ended; else as
 *   vmq_pool_grow(), or VMQ_STATUS_NOT_SUPPORTED without a helper thread.
 */
enum vmq_status vmq_pool_grow_async(struct vmq_pool *pool, uint32_t buffers, uint32_t min_buffers,
	struct vmq_error *err);

/**
 * Begin to give the last block back: its buffers are set aside as they are found at
 * home, and the block goes when it has all of them. The first block stays.
 * vmq_pool_progress() goes on with it.
 *
 * @return VMQ_STATUS_PENDING; VMQ_STATUS_NOT_ACCEPTED: there is only the first block,
 *   or the pool is growing or giving back already; VMQ_STATUS_RESOURCES: no memory to
 *   remember what is set aside.
 */
enum vmq_status vmq_pool_retire(struct vmq_pool *pool, struct vmq_error *err);

/** Put what was set aside back to use; the block stays. */
void vmq_pool_cancel_retire(struct vmq_pool *pool);

/**
 * Go on with giving a block back: a bounded amount of work.
 *
 * @return whether there is more to do.
 */
bool vmq_pool_progress(struct vmq_pool *pool);

/** Growth and return by demand; numbers of buffers. */
struct vmq_pool_demand {
	uint32_t low; /**< Fewer available than this: one more block. 0: never. */
	uint32_t high; /**< More available than this for hold_ms: a block goes. */
	uint32_t step; /**< Buffers of an added block. */
	uint32_t hold_ms;
};

/**
 * Good marks for a pool that begins with that many buffers: grow when a quarter is
 * left, by as much as it began with; give back when a block more than that would be
 * free for five seconds.
 */
struct vmq_pool_demand vmq_pool_demand_default(uint32_t buffers);

/** A demand by which a pool would grow and shrink in turn, or never, is refused. */
enum vmq_status vmq_pool_demand_check(const struct vmq_pool_demand *demand, struct vmq_error *err);

/**
 * Give a pool with all its blocks to another queue, with another limit, which may be
 * smaller than what it has: then it does not grow. Not while it is growing.
 *
 * @param limit
 *   At most what the pool was made for.
 * @return VMQ_STATUS_SUCCESS; VMQ_STATUS_INVALID_PARAMETER: a limit of 0, or over that;
 *   VMQ_STATUS_NOT_ACCEPTED: it is growing or giving back; VMQ_STATUS_RESOURCES.
 */
enum vmq_status vmq_pool_give(struct vmq_pool *pool, uint16_t queue_id, uint32_t limit,
	struct vmq_error *err);

/** Most buffers that a pool can ever be given as a limit. */
uint32_t vmq_pool_capacity(const struct vmq_pool *pool);

/** Does an address lie in one of a pool's blocks? Control thread. */
bool vmq_pool_has(const struct vmq_pool *pool, const void *address);

/** Set the marks; must have been checked. */
void vmq_pool_set_demand(struct vmq_pool *pool, const struct vmq_pool_demand *demand);

/**
 * Look at the marks and do what they ask for: begin to grow or to give back, or go on
 * with it. To be called every few milliseconds.
 *
 * @param now_ms
 *   Of any clock that does not go back.
 */
void vmq_pool_tick(struct vmq_pool *pool, uint64_t now_ms);

/**
 * Free a pool and its blocks. NULL is allowed. Control thread or helper thread.
 *
 * @return 0, or -EBUSY: packets are still out or it is growing; nothing was freed.
 */
int vmq_pool_destroy(struct vmq_pool *pool, struct vmq_error *err);

/**
 * Leave a pool as it is, to the end of the process, instead: vmq_shmem_leave() of all its
 * blocks. Nobody may use it any more.
 */
void vmq_pool_leave(struct vmq_pool *pool);

/** The mempool, for the mbuf functions and for rx queue setup. */
struct rte_mempool *vmq_pool_mempool(const struct vmq_pool *pool);

/** Any thread. */
void vmq_pool_stats_get(const struct vmq_pool *pool, struct vmq_pool_stats *stats);

/** Memory of one block with that many buffers, in bytes; works before EAL starts. */
size_t vmq_pool_block_bytes(uint32_t buffers, uint32_t buffer_size);

/** Memory of a pool beside its blocks, in bytes: mempool header and buffer list. */
size_t vmq_pool_fixed_bytes(uint32_t limit);

/** Memzones that a pool of that many blocks takes: its mempool's header, and each block. */
#define VMQ_POOL_MEMZONES(blocks) (1u + (blocks))

/** Smallest and largest buffer_size, in bytes: an mbuf's data length is 16 bits. */
#define VMQ_BUFFER_SIZE_MIN 64
#define VMQ_BUFFER_SIZE_MAX (UINT16_MAX - RTE_PKTMBUF_HEADROOM)

#endif /* VMQ_SHMEM_H */
