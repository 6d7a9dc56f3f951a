/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include <rte_errno.h>

#include "queue_private.h"

struct vmq_host *
vmq_host_create(const unsigned int *lcores, uint16_t n_workers)
{
	struct vmq_host *host = calloc(1, sizeof(*host));

	if (host == NULL) {
		rte_errno = ENOMEM;
		return NULL;
	}
	STAILQ_INIT(&host->adapters);
	host->jobs = vmq_jobs_create();
	if (host->jobs != NULL)
		host->dp = vmq_datapath_create(lcores, n_workers);
	if (host->dp == NULL || load_open(host) < 0) {
		vmq_datapath_free(host->dp);
		vmq_jobs_destroy(host->jobs);
		free(host);
		return NULL;
	}
	return host;
}

void
vmq_host_set_workers(struct vmq_host *host, const struct vmq_worker_params *params)
{
	vmq_datapath_set_workers(host->dp, params);
}

int
vmq_host_start(struct vmq_host *host)
{
	return vmq_datapath_start(host->dp);
}

void
vmq_host_stop(struct vmq_host *host)
{
	vmq_datapath_stop(host->dp);
}

void
vmq_host_free(struct vmq_host *host)
{
	if (host == NULL)
		return;
	vmq_jobs_destroy(host->jobs);
	vmq_datapath_free(host->dp);
	free(host->windows);
	free(host);
}

int
vmq_host_fd(const struct vmq_host *host)
{
	return vmq_jobs_fd(host->jobs);
}

uint64_t
host_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t
host_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
adapter_progress(struct vmq_adapter *adapter, uint64_t now_ms)
{
	struct queue *queue;
	uint32_t i;

	for (i = 0; i < adapter->n_slots; i++) {
		queue = adapter->queues[i];
		if (queue == NULL)
			continue;
		if (queue->state == VMQ_QUEUE_FREEING) {
			adapter->host->quiet = false;
			queue_free_progress(queue);
		} else if (queue->dp != NULL) {
			vmq_pool_tick(queue->pool, now_ms);
			xmit_progress(queue, now_ms);
		}
	}
	fault_progress(adapter, now_ms);
	adapter_look_at_links(adapter, now_ms);
	slots_progress(adapter, now_ms);
	promote_progress(adapter, now_ms);
	rules_progress(adapter);
	verify_progress(adapter, now_ms);
	vanish_progress(adapter, now_ms);
	/* A new view, if only as a sign to the worker to flush its cache. */
	queue = adapter->queues[VMQ_DEFAULT_QUEUE_ID];
	if (queue->pool != NULL && vmq_pool_is_retiring(queue->pool)) {
		adapter->host->quiet = false;
		adapter->unpublished = true;
		adapter_publish(adapter, NULL);
	}
}

void
vmq_host_progress(struct vmq_host *host)
{
	const uint64_t now_ms = host_now_ms();
	struct vmq_adapter *adapter;

	vmq_jobs_finish(host->jobs, false);
	host->quiet = !load_progress(host, now_ms);
	STAILQ_FOREACH(adapter, &host->adapters, next)
		if (!adapter->halted)
			adapter_progress(adapter, now_ms);
	/* Frames wait while the NIC's rules change. */
	STAILQ_FOREACH(adapter, &host->adapters, next)
		if (adapter->hardware.step != RULES_IDLE)
			host->quiet = false;
	vmq_datapath_reclaim(host->dp);
}

bool
vmq_host_is_quiet(const struct vmq_host *host)
{
	return host->quiet;
}

struct vmq_datapath *
vmq_host_datapath(const struct vmq_host *host)
{
	return host->dp;
}

uint32_t
vmq_host_queues_on(const struct vmq_host *host, uint16_t worker)
{
	const struct vmq_adapter *adapter;
	uint32_t n = 0, i;

	STAILQ_FOREACH(adapter, &host->adapters, next)
		for (i = 0; i < adapter->n_slots; i++)
			n += adapter->queues[i] != NULL && adapter->queues[i]->worker == worker;
	return n;
}

/* Is a queue served by another worker than the one that receives for it? */
static bool
is_remote(const struct vmq_adapter *adapter, const struct queue *queue, uint16_t worker)
{
	return queue != NULL && queue->dp != NULL && queue->worker == worker &&
		queue->worker != adapter->source_worker && !queue->abort;
}

/* Does a worker serve a queue whose VM sends? */
static bool
is_sender(const struct queue *queue, uint16_t worker)
{
	return queue != NULL && queue->dp != NULL && queue->worker == worker && !queue->abort &&
		queue_transmits(queue);
}

static int
assign_worker(struct vmq_host *host, uint16_t worker)
{
	struct vmq_dp_queue **queues, **senders;
	struct vmq_dp_source **sources;
	struct vmq_dp_uplink **uplinks;
	struct vmq_adapter *adapter;
	struct vmq_dp_hw **hw;
	uint32_t n_hw = 0;
	uint32_t n_sources = 0, n_queues = 0, n_senders = 0, n_uplinks = 0, i;
	int ret = -ENOMEM;

	STAILQ_FOREACH(adapter, &host->adapters, next) {
		n_sources++;
		n_queues += adapter->n_slots;
		n_hw += adapter->hardware.n_slots;
	}
	sources = calloc(n_sources + 1, sizeof(*sources));
	uplinks = calloc(n_sources + 1, sizeof(*uplinks));
	queues = calloc(n_queues + 1, sizeof(*queues));
	senders = calloc(n_queues + 1, sizeof(*senders));
	hw = calloc(n_hw + 1, sizeof(*hw));
	if (hw == NULL || sources == NULL || uplinks == NULL || queues == NULL || senders == NULL)
		goto out;

	n_sources = 0;
	n_queues = 0;
	n_hw = 0;
	STAILQ_FOREACH(adapter, &host->adapters, next) {
		if (adapter->halted)
			continue;
		if (adapter->source_worker == worker && port_is_usable(adapter))
			sources[n_sources++] = adapter->source;
		uplinks[n_uplinks++] = adapter->uplink;
		for (i = 0; i < adapter->hardware.n_slots; i++)
			if (adapter->hardware.slots[i].worker == worker && port_is_usable(adapter))
				hw[n_hw++] = adapter->hardware.slots[i].hw;
		for (i = 0; i < adapter->n_slots; i++) {
			if (is_remote(adapter, adapter->queues[i], worker))
				queues[n_queues++] = adapter->queues[i]->dp;
			if (is_sender(adapter->queues[i], worker))
				senders[n_senders++] = adapter->queues[i]->dp;
		}
	}
	ret = vmq_datapath_assign(host->dp, worker, &(struct vmq_dp_assignment){
		.sources = sources,
		.n_sources = (uint16_t)n_sources,
		.queues = queues,
		.n_queues = (uint16_t)n_queues,
		.senders = senders,
		.n_senders = (uint16_t)n_senders,
		.uplinks = uplinks,
		.n_uplinks = (uint16_t)n_uplinks,
		.hw = hw,
		.n_hw = (uint16_t)n_hw,
	});
out:
	free(sources);
	free(hw);
	free(uplinks);
	free(queues);
	free(senders);
	return ret;
}

int
host_assign(struct vmq_host *host)
{
	uint16_t worker;
	int ret;

	for (worker = 0; worker < vmq_datapath_workers(host->dp); worker++) {
		ret = assign_worker(host, worker);
		if (ret < 0)
			return ret;
	}
	return 0;
}
