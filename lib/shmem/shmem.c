/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <rte_common.h>
#include <rte_errno.h>
#include <rte_memzone.h>

#include "vmq_shmem_provider.h"

/* A block that is out. */
struct entry {
	TAILQ_ENTRY(entry) next;
	struct vmq_shmem_memory memory;
	struct vmq_shmem_params params;
	uint64_t handle;
};

struct vmq_shmem {
	char name[VMQ_NAME_SIZE];
	const struct vmq_shmem_provider *provider;
	void *provider_arg;
	size_t limit_bytes;
	pthread_mutex_t lock; /* of what follows */
	TAILQ_HEAD(, entry) entries;
	size_t used_bytes; /* in blocks, and promised to requests under way */
};

/*
 * Handles are never used twice in the life of the process, over all adapters: that
 * is what makes a second free and a foreign handle visible.
 */
static atomic_uint_fast64_t last_handle;

/* Room for the adapter's name in a memzone's name: "vmq_" name "_q65535_" number. */
#define NAME_PART 8

struct vmq_shmem *
vmq_shmem_create(const struct vmq_shmem_config *config)
{
	struct vmq_shmem *shmem = calloc(1, sizeof(*shmem));

	if (shmem == NULL) {
		rte_errno = ENOMEM;
		return NULL;
	}
	snprintf(shmem->name, sizeof(shmem->name), "%s", config->name);
	shmem->provider = config->provider != NULL ? config->provider
						    : &vmq_shmem_provider_memzone;
	shmem->provider_arg = config->provider_arg;
	shmem->limit_bytes = config->limit_bytes;
	pthread_mutex_init(&shmem->lock, NULL);
	TAILQ_INIT(&shmem->entries);
	return shmem;
}

unsigned int
vmq_shmem_destroy(struct vmq_shmem *shmem)
{
	unsigned int leaked = 0;
	struct entry *entry;

	if (shmem == NULL)
		return 0;
	while ((entry = TAILQ_FIRST(&shmem->entries)) != NULL) {
		TAILQ_REMOVE(&shmem->entries, entry, next);
		VMQ_LOG(ERR,
			"adapter %s: shared memory block %" PRIu64 " of queue %u was never freed "
			"(%zu bytes at %p)\n",
			shmem->name, entry->handle, entry->params.queue_id,
			entry->memory.length_bytes, entry->memory.addr);
		free(entry->memory.sg);
		free(entry);
		leaked++;
	}
	pthread_mutex_destroy(&shmem->lock);
	free(shmem);
	return leaked;
}

size_t
vmq_shmem_alignment(const struct vmq_shmem *shmem)
{
	return shmem->provider->alignment;
}

size_t
vmq_shmem_bytes(struct vmq_shmem *shmem)
{
	size_t bytes;

	pthread_mutex_lock(&shmem->lock);
	bytes = shmem->used_bytes;
	pthread_mutex_unlock(&shmem->lock);
	return bytes;
}

static enum vmq_status
check_params(const struct vmq_shmem_params *params, struct vmq_error *err)
{
	const enum vmq_status bad = VMQ_STATUS_INVALID_PARAMETER;

	if (params->length_bytes == 0)
		return vmq_error_set(err, bad, "a shared memory block of 0 bytes");
	if ((unsigned int)params->usage >= VMQ_SHMEM_USAGE_COUNT)
		return vmq_error_set(err, bad, "unknown shared memory usage %d",
			(int)params->usage);
	if (params->flags & ~VMQ_SHMEM_F_CONTIGUOUS)
		return vmq_error_set(err, bad, "unknown shared memory flags 0x%x", params->flags);
	return VMQ_STATUS_SUCCESS;
}

/* Count bytes against the adapter's limit before asking for them. */
static bool
reserve(struct vmq_shmem *shmem, size_t bytes, size_t *used)
{
	bool fits;

	pthread_mutex_lock(&shmem->lock);
	*used = shmem->used_bytes;
	fits = shmem->limit_bytes == 0 ||
		(bytes <= shmem->limit_bytes && *used <= shmem->limit_bytes - bytes);
	if (fits)
		shmem->used_bytes += bytes;
	pthread_mutex_unlock(&shmem->lock);
	return fits;
}

static void
unreserve(struct vmq_shmem *shmem, size_t bytes)
{
	pthread_mutex_lock(&shmem->lock);
	shmem->used_bytes -= bytes;
	pthread_mutex_unlock(&shmem->lock);
}

enum vmq_status
vmq_shmem_allocate(struct vmq_shmem *shmem, const struct vmq_shmem_params *params,
	struct vmq_shmem_block *block, struct vmq_error *err)
{
	char name[RTE_MEMZONE_NAMESIZE];
	enum vmq_status status;
	struct entry *entry;
	size_t used;
	int ret;

	memset(block, 0, sizeof(*block));
	status = check_params(params, err);
	if (status != VMQ_STATUS_SUCCESS)
		return status;
	if (!reserve(shmem, params->length_bytes, &used))
		return vmq_error_set(err, VMQ_STATUS_RESOURCES,
			"%zu bytes are over adapter %s's limit: %zu of %zu bytes are in use",
			params->length_bytes, shmem->name, used, shmem->limit_bytes);

	entry = calloc(1, sizeof(*entry));
	if (entry == NULL) {
		unreserve(shmem, params->length_bytes);
		return vmq_error_set(err, VMQ_STATUS_RESOURCES, "no memory for a block's record");
	}
	entry->params = *params;
	entry->handle = atomic_fetch_add(&last_handle, 1) + 1;
	snprintf(name, sizeof(name), "vmq_%.*s_q%u_%" PRIu64, NAME_PART, shmem->name,
		params->queue_id, entry->handle);
	ret = shmem->provider->allocate(shmem->provider_arg, name, params, &entry->memory);
	if (ret < 0) {
		unreserve(shmem, params->length_bytes);
		free(entry);
		return vmq_error_set(err, ret == -ENOMEM ? VMQ_STATUS_RESOURCES : VMQ_STATUS_FAILURE,
			"%s could not provide %zu bytes%s%s for queue %u: %s",
			shmem->provider->name, params->length_bytes,
			params->flags & VMQ_SHMEM_F_CONTIGUOUS ? " in one IOVA range" : "",
			params->preferred_node >= 0 ? " on the node asked for" : "",
			params->queue_id, rte_strerror(-ret));
	}

	block->addr = entry->memory.addr;
	block->length_bytes = entry->memory.length_bytes;
	block->sg = entry->memory.sg;
	block->n_sg = entry->memory.n_sg;
	block->shared_memory_handle = entry->handle;
	block->allocation_handle = entry->handle;
	pthread_mutex_lock(&shmem->lock);
	/* Providers round up: count what it really is. */
	shmem->used_bytes += block->length_bytes - params->length_bytes;
	TAILQ_INSERT_TAIL(&shmem->entries, entry, next);
	pthread_mutex_unlock(&shmem->lock);
	return VMQ_STATUS_SUCCESS;
}

enum vmq_status
vmq_shmem_free(struct vmq_shmem *shmem, struct vmq_shmem_block *block, struct vmq_error *err)
{
	enum vmq_status status = VMQ_STATUS_INVALID_PARAMETER;
	struct entry *entry;

	pthread_mutex_lock(&shmem->lock);
	TAILQ_FOREACH(entry, &shmem->entries, next)
		if (entry->handle == block->allocation_handle)
			break;
	if (entry == NULL) {
		vmq_error_set(err, status, "adapter %s has no shared memory block %" PRIu64,
			shmem->name, block->allocation_handle);
	} else if (entry->memory.addr != block->addr ||
		entry->memory.length_bytes != block->length_bytes) {
		vmq_error_set(err, status,
			"shared memory block %" PRIu64 " is %zu bytes at %p: a part of it, or "
			"another range (%zu bytes at %p), cannot be freed",
			entry->handle, entry->memory.length_bytes, entry->memory.addr,
			block->length_bytes, block->addr);
	} else {
		TAILQ_REMOVE(&shmem->entries, entry, next);
		shmem->used_bytes -= entry->memory.length_bytes;
		status = VMQ_STATUS_SUCCESS;
	}
	pthread_mutex_unlock(&shmem->lock);
	if (status != VMQ_STATUS_SUCCESS)
		return status;

	shmem->provider->free(shmem->provider_arg, &entry->memory);
	free(entry->memory.sg);
	free(entry);
	memset(block, 0, sizeof(*block));
	return VMQ_STATUS_SUCCESS;
}
