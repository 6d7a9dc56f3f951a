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

#include <bsd/string.h>

#include <rte_common.h>
#include <rte_errno.h>
#include <rte_memzone.h>

#include "pool_private.h"
#include "vmq_shmem_provider.h"

/* A block that is out. */
struct entry {
	TAILQ_ENTRY(entry) next;
	struct vmq_shmem_memory memory;
	struct vmq_shmem_params params;
	uint64_t handle;
	bool left; /* it is known who has it, and that it stays: no leak */
};

/* What a queue has. */
struct account {
	size_t used_bytes;
	size_t limit_bytes; /* 0: none */
};

struct vmq_shmem {
	char name[VMQ_NAME_SIZE];
	const struct vmq_shmem_provider *provider;
	void *provider_arg;
	struct vmq_jobs *jobs;
	pthread_mutex_t lock; /* of what follows */
	TAILQ_HEAD(, entry) entries;
	/* In blocks, and promised to requests under way. */
	struct account all;
	struct account *queues; /* by queue id */
	uint32_t n_queues;
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
	strlcpy(shmem->name, config->name, sizeof(shmem->name));
	shmem->provider = config->provider != NULL ? config->provider
						    : &vmq_shmem_provider_memzone;
	shmem->provider_arg = config->provider_arg;
	shmem->all.limit_bytes = config->limit_bytes;
	shmem->jobs = config->jobs;
	pthread_mutex_init(&shmem->lock, NULL);
	TAILQ_INIT(&shmem->entries);
	return shmem;
}

void
vmq_shmem_leave(struct vmq_shmem *shmem, const struct vmq_shmem_block *block)
{
	struct entry *entry;

	pthread_mutex_lock(&shmem->lock);
	TAILQ_FOREACH(entry, &shmem->entries, next)
		if (entry->handle == block->allocation_handle)
			entry->left = true;
	pthread_mutex_unlock(&shmem->lock);
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
		if (!entry->left) {
			VMQ_LOG(ERR,
				"adapter %s: shared memory block %" PRIu64 " of queue %u was never "
				"freed (%zu bytes at %p)\n",
				shmem->name, entry->handle, entry->params.queue_id,
				entry->memory.length_bytes, entry->memory.addr);
			leaked++;
		}
		free(entry->memory.sg);
		free(entry);
	}
	pthread_mutex_destroy(&shmem->lock);
	free(shmem->queues);
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
	bytes = shmem->all.used_bytes;
	pthread_mutex_unlock(&shmem->lock);
	return bytes;
}

size_t
vmq_shmem_queue_bytes(struct vmq_shmem *shmem, uint16_t queue_id)
{
	size_t bytes;

	pthread_mutex_lock(&shmem->lock);
	bytes = queue_id < shmem->n_queues ? shmem->queues[queue_id].used_bytes : 0;
	pthread_mutex_unlock(&shmem->lock);
	return bytes;
}

/* The account of a queue, made if need be; NULL: no memory. With the lock. */
static struct account *
account_of(struct vmq_shmem *shmem, uint16_t queue_id)
{
	struct account *grown;
	uint32_t n;

	if (queue_id >= shmem->n_queues) {
		n = rte_align32pow2(queue_id + 1u);
		grown = realloc(shmem->queues, n * sizeof(*grown));
		if (grown == NULL)
			return NULL;
		memset(grown + shmem->n_queues, 0, (n - shmem->n_queues) * sizeof(*grown));
		shmem->queues = grown;
		shmem->n_queues = n;
	}
	return &shmem->queues[queue_id];
}

enum vmq_status
vmq_shmem_queue_limit(struct vmq_shmem *shmem, uint16_t queue_id, size_t limit_bytes)
{
	enum vmq_status status = VMQ_STATUS_RESOURCES;
	struct account *account;

	pthread_mutex_lock(&shmem->lock);
	account = account_of(shmem, queue_id);
	if (account != NULL) {
		account->limit_bytes = limit_bytes;
		status = VMQ_STATUS_SUCCESS;
	}
	pthread_mutex_unlock(&shmem->lock);
	return status;
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

static bool
has_room(const struct account *account, size_t bytes)
{
	return account->limit_bytes == 0 ||
		(bytes <= account->limit_bytes &&
			account->used_bytes <= account->limit_bytes - bytes);
}

/* Count bytes against both limits before asking for them. */
static enum vmq_status
reserve(struct vmq_shmem *shmem, const struct vmq_shmem_params *params, struct vmq_error *err)
{
	const size_t bytes = params->length_bytes;
	enum vmq_status status = VMQ_STATUS_RESOURCES;
	struct account *account;

	pthread_mutex_lock(&shmem->lock);
	account = account_of(shmem, params->queue_id);
	if (account == NULL) {
		vmq_error_set(err, status, "no memory for the account of queue %u",
			params->queue_id);
	} else if (!has_room(account, bytes)) {
		vmq_error_set(err, status,
			"%zu bytes more are over queue %u's limit: %zu of %zu bytes are in use",
			bytes, params->queue_id, account->used_bytes, account->limit_bytes);
	} else if (!has_room(&shmem->all, bytes)) {
		vmq_error_set(err, status,
			"%zu bytes more are over adapter %s's limit: %zu of %zu bytes are in use",
			bytes, shmem->name, shmem->all.used_bytes, shmem->all.limit_bytes);
	} else {
		account->used_bytes += bytes;
		shmem->all.used_bytes += bytes;
		status = VMQ_STATUS_SUCCESS;
	}
	pthread_mutex_unlock(&shmem->lock);
	return status;
}

/* Correct what is counted. With the lock; the account is there. */
static void
count(struct vmq_shmem *shmem, uint16_t queue_id, size_t more, size_t less)
{
	shmem->queues[queue_id].used_bytes += more - less;
	shmem->all.used_bytes += more - less;
}

static void
unreserve(struct vmq_shmem *shmem, const struct vmq_shmem_params *params)
{
	pthread_mutex_lock(&shmem->lock);
	count(shmem, params->queue_id, 0, params->length_bytes);
	pthread_mutex_unlock(&shmem->lock);
}

enum vmq_status
vmq_shmem_allocate(struct vmq_shmem *shmem, const struct vmq_shmem_params *params,
	struct vmq_shmem_block *block, struct vmq_error *err)
{
	char name[RTE_MEMZONE_NAMESIZE];
	enum vmq_status status;
	struct entry *entry;
	int ret;

	memset(block, 0, sizeof(*block));
	status = check_params(params, err);
	if (status != VMQ_STATUS_SUCCESS)
		return status;
	status = reserve(shmem, params, err);
	if (status != VMQ_STATUS_SUCCESS)
		return status;

	entry = calloc(1, sizeof(*entry));
	if (entry == NULL) {
		unreserve(shmem, params);
		return vmq_error_set(err, VMQ_STATUS_RESOURCES, "no memory for a block's record");
	}
	entry->params = *params;
	entry->handle = atomic_fetch_add(&last_handle, 1) + 1;
	snprintf(name, sizeof(name), "vmq_%.*s_q%u_%" PRIu64, NAME_PART, shmem->name,
		params->queue_id, entry->handle);
	ret = shmem->provider->allocate(shmem->provider_arg, name, params, &entry->memory);
	if (ret < 0) {
		unreserve(shmem, params);
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
	count(shmem, params->queue_id, block->length_bytes, params->length_bytes);
	TAILQ_INSERT_TAIL(&shmem->entries, entry, next);
	pthread_mutex_unlock(&shmem->lock);
	return VMQ_STATUS_SUCCESS;
}

enum vmq_status
vmq_shmem_give(struct vmq_shmem *shmem, const struct vmq_shmem_block *block, uint16_t queue_id,
	struct vmq_error *err)
{
	enum vmq_status status = VMQ_STATUS_SUCCESS;
	struct entry *entry;

	pthread_mutex_lock(&shmem->lock);
	TAILQ_FOREACH(entry, &shmem->entries, next)
		if (entry->handle == block->allocation_handle)
			break;
	if (entry == NULL) {
		status = vmq_error_set(err, VMQ_STATUS_INVALID_PARAMETER,
			"adapter %s has no shared memory block %" PRIu64, shmem->name,
			block->allocation_handle);
	} else if (account_of(shmem, queue_id) == NULL) {
		status = vmq_error_set(err, VMQ_STATUS_RESOURCES,
			"no memory for the account of queue %u", queue_id);
	} else {
		count(shmem, entry->params.queue_id, 0, entry->memory.length_bytes);
		entry->params.queue_id = queue_id;
		count(shmem, queue_id, entry->memory.length_bytes, 0);
	}
	pthread_mutex_unlock(&shmem->lock);
	return status;
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
		count(shmem, entry->params.queue_id, 0, entry->memory.length_bytes);
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

/* An asynchronous allocation under way. */
struct request {
	struct vmq_job job;
	struct vmq_shmem *shmem;
	struct vmq_shmem_params params;
	vmq_shmem_callback *callback;
	void *arg;
	struct vmq_shmem_block block;
	enum vmq_status status;
	struct vmq_error err;
};

static void
request_work(struct vmq_job *job)
{
	struct request *request = RTE_PTR_SUB(job, offsetof(struct request, job));

	request->status = vmq_shmem_allocate(request->shmem, &request->params, &request->block,
		&request->err);
}

static void
request_done(struct vmq_job *job)
{
	struct request *request = RTE_PTR_SUB(job, offsetof(struct request, job));

	request->callback(request->arg, &request->block, request->status, &request->err);
	free(request);
}

enum vmq_status
vmq_shmem_allocate_async(struct vmq_shmem *shmem, const struct vmq_shmem_params *params,
	vmq_shmem_callback *callback, void *arg, struct vmq_error *err)
{
	struct request *request;
	enum vmq_status status;

	if (shmem->jobs == NULL)
		return vmq_error_set(err, VMQ_STATUS_NOT_SUPPORTED,
			"adapter %s has no helper thread", shmem->name);
	status = check_params(params, err);
	if (status != VMQ_STATUS_SUCCESS)
		return status;
	request = calloc(1, sizeof(*request));
	if (request == NULL)
		return vmq_error_set(err, VMQ_STATUS_RESOURCES, "no memory for a request");
	*request = (struct request){
		.job = {.work = request_work, .done = request_done},
		.shmem = shmem,
		.params = *params,
		.callback = callback,
		.arg = arg,
	};
	vmq_jobs_submit(shmem->jobs, &request->job);
	return VMQ_STATUS_PENDING;
}

struct vmq_jobs *
shmem_jobs(const struct vmq_shmem *shmem)
{
	return shmem->jobs;
}
