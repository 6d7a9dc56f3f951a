/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_SHMEM_PROVIDER_H
#define VMQ_SHMEM_PROVIDER_H

/**
 * @file
 * For who writes a provider of shared memory (the NDIS shared memory provider).
 * Users of blocks include vmq_shmem.h.
 */

#include "vmq_shmem.h"

/** Memory as a provider hands it out. */
struct vmq_shmem_memory {
	void *addr;
	size_t length_bytes;
	struct vmq_sg_element *sg; /**< From malloc(); freed by the caller. */
	uint32_t n_sg;
	void *cookie; /**< The provider's own. */
};

struct vmq_shmem_provider {
	const char *name;
	size_t alignment; /**< Of addr, in bytes; a power of two. */

	/**
	 * Find memory. Any thread: it may take seconds, so at run time a helper
	 * thread calls it.
	 *
	 * @param name
	 *   A name of the block that nothing else has, shorter than
	 *   RTE_MEMZONE_NAMESIZE.
	 * @return 0 with memory filled in; -ENOMEM: there is not enough; another
	 *   -errno: failure. Nothing is taken on failure.
	 */
	int (*allocate)(void *arg, const char *name, const struct vmq_shmem_params *params,
		struct vmq_shmem_memory *memory);

	/** Give memory back; cannot fail. Any thread. */
	void (*free)(void *arg, struct vmq_shmem_memory *memory);
};

/** The built-in provider: DPDK memzones. */
extern const struct vmq_shmem_provider vmq_shmem_provider_memzone;

#endif /* VMQ_SHMEM_PROVIDER_H */
