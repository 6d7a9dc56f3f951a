/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_FAILING_PROVIDER_H
#define VMQ_FAILING_PROVIDER_H

/**
 * @file
 * A provider of shared memory for tests: DPDK's memzones, but it can refuse.
 */

#include <errno.h>

#include <vmq_shmem_provider.h>

struct failing {
	_Atomic unsigned int calls;
	unsigned int fail_at; /* the call that fails, 1 is the first; 0: none */
	unsigned int fail_from; /* this call and all after it fail; 0: none */
	size_t max_bytes; /* longer blocks cannot be had; 0: no bound */
	int error; /* -errno of a failure; 0: -ENOMEM */
	_Atomic unsigned int out; /* blocks allocated and not freed */
};

static int
failing_allocate(void *arg, const char *name, const struct vmq_shmem_params *params,
	struct vmq_shmem_memory *memory)
{
	struct failing *failing = arg;
	unsigned int call = atomic_fetch_add(&failing->calls, 1) + 1;
	int ret;

	if (call == failing->fail_at || (failing->fail_from != 0 && call >= failing->fail_from) ||
		(failing->max_bytes != 0 && params->length_bytes > failing->max_bytes))
		return failing->error != 0 ? failing->error : -ENOMEM;
	ret = vmq_shmem_provider_memzone.allocate(NULL, name, params, memory);
	if (ret == 0)
		atomic_fetch_add(&failing->out, 1);
	return ret;
}

static void
failing_free(void *arg, struct vmq_shmem_memory *memory)
{
	struct failing *failing = arg;

	vmq_shmem_provider_memzone.free(NULL, memory);
	atomic_fetch_sub(&failing->out, 1);
}

static const struct vmq_shmem_provider failing_provider = {
	.name = "failing",
	.alignment = 64,
	.allocate = failing_allocate,
	.free = failing_free,
};

#endif /* VMQ_FAILING_PROVIDER_H */
