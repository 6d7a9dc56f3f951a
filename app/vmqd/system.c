/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include <rte_errno.h>

#include "eal.h"
#include "requests.h"
#include "system.h"

/* How long stopping waits for packets that are out, and how often it looks. */
#define HOME_WAIT_MS 3000
#define HOME_LOOK_MS 5

static uint16_t
worker_on_cpu(const struct document *doc, int cpu)
{
	size_t i;

	for (i = 0; i < doc->eal.n_workers; i++)
		if (doc->eal.workers[i] == cpu)
			return (uint16_t)i;
	return 0; /* the document's check refuses CPUs without a worker */
}

/* Of the workers that a queue may have, the one that serves the fewest queues. */
static uint16_t
pick_worker(const struct document *doc, const struct doc_queue *queue, uint32_t *load)
{
	uint16_t best = worker_on_cpu(doc, queue->affinity[0]), worker;
	size_t i;

	for (i = 1; i < queue->n_affinity; i++) {
		worker = worker_on_cpu(doc, queue->affinity[i]);
		if (load[worker] < load[best])
			best = worker;
	}
	load[best]++;
	return best;
}

static struct vmq_queue_params
default_queue_params(const struct doc_queue *queue, uint16_t worker)
{
	return (struct vmq_queue_params){
		.name = queue->name,
		.worker = worker,
		.memory = {
			.buffers = queue->memory.buffers,
			.limit = queue->memory.limit,
			.buffer_size = queue->memory.buffer_size,
			.node = queue->memory.node,
			.contiguous = queue->memory.contiguous,
			.min_buffers = queue->memory.min_buffers,
			.demand = queue->memory.growth,
			.xmit_buffers = queue->memory.transmit.buffers,
			.xmit_limit = queue->memory.transmit.limit,
		},
		.keep_tags = queue->keep_tags,
		.allow_spoofing = !queue->anti_spoof,
		.broadcast = queue->broadcast,
		.rate_to_vm = queue->rate.to_vm,
		.rate_from_vm = queue->rate.from_vm,
		.receive_only = queue->receive_only,
		.backend = {
			.type = queue->backend.type,
			.file = queue->backend.file,
			.device = queue->backend.device,
			.vhost = {
				.socket = queue->backend.socket,
				.server = queue->backend.server,
				.owner = queue->backend.owner,
				.group = queue->backend.group,
				.permissions = queue->backend.permissions,
				.queue_pairs = queue->backend.queue_pairs,
			},
		},
	};
}

/* The same sentence with the place in the document before it. */
static int
fail_at(int ret, struct vmq_error *err, const char *format, size_t index)
{
	struct vmq_error place, why = *err;

	vmq_error_errno(&place, 0, format, index);
	return vmq_error_errno(err, ret, "at %.40s: %.460s", place.text, why.text);
}

static int
start_adapter(struct system *system, size_t index, uint32_t *load, struct vmq_error *err)
{
	const struct document *doc = system->doc;
	const struct doc_adapter *from = &doc->adapters[index];
	struct vmq_adapter_params params = {
		.name = from->name,
		.port = {
			.device = from->device,
			.rx_descriptors = from->rx_descriptors,
			.tx_queues = (uint16_t)doc->eal.n_workers,
			.mtu = from->mtu,
			.rx_interrupts = doc->workers.mode == VMQ_WORKER_INTERRUPT,
		},
		.memory_limit_bytes = (size_t)from->memory_limit_mb << 20,
		.default_queue = default_queue_params(&from->default_queue,
			pick_worker(doc, &from->default_queue, load)),
	};
	struct vmq_adapter *adapter;

	document_hardware(doc, index, &params.hardware);
	adapter = vmq_adapter_start(system->host, &params, err);
	if (adapter == NULL)
		return fail_at(rte_errno, err, "/adapters/%zu", index);
	system->adapters[system->n_adapters] = adapter;
	system->requests[system->n_adapters] = vmq_oid_adapter_create(adapter);
	system->n_adapters++; /* from here on system_free() takes care of it */
	if (system->requests[index] == NULL)
		return fail_at(-vmq_error_errno(err, ENOMEM, "no memory for its requests"), err,
			"/adapters/%zu", index);
	if (vmq_oid_owner_create(system->requests[index], VMQ_OID_OWNER_CONFIG, false,
			&system->owners[index], err) != VMQ_STATUS_SUCCESS ||
		vmq_oid_owner_create(system->requests[index], VMQ_RPC_OWNER_ADMIN, true,
			&system->administrators[index], err) != VMQ_STATUS_SUCCESS)
		return fail_at(ENOMEM, err, "/adapters/%zu", index);
	/* Nothing is published to the workers before all queues of the document are there. */
	vmq_adapter_begin(adapter);
	return 0;
}

static int
set_filters(struct system *system, size_t adapter, uint16_t id, const struct doc_queue *queue,
	struct vmq_error *err)
{
	size_t i;
	int ret;

	for (i = 0; i < queue->n_filters; i++) {
		ret = request_set_filter(system->requests[adapter], system->owners[adapter], id,
			&queue->filters[i], err);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* All queues of one adapter: allocate, set filters, and complete them as one batch. */
static int
start_queues(struct system *system, size_t adapter, volatile bool *stop, struct vmq_error *err)
{
	const struct document *doc = system->doc;
	size_t *places = calloc(doc->n_queues + 1, sizeof(*places)); /* in the document */
	uint16_t *ids = calloc(doc->n_queues + 1, sizeof(*ids));
	size_t i, n = 0, failed;
	int ret = 0;

	if (places == NULL || ids == NULL)
		ret = vmq_error_errno(err, ENOMEM, "no memory for %zu queues", doc->n_queues);
	for (i = 0; i < doc->n_queues && ret == 0 && !*stop; i++) {
		if (doc->queues[i].adapter != adapter)
			continue;
		ret = request_allocate(system->requests[adapter], system->owners[adapter], doc,
			&doc->queues[i], &ids[n], err);
		if (ret == 0)
			ret = set_filters(system, adapter, ids[n], &doc->queues[i], err);
		if (ret < 0)
			ret = fail_at(-ret, err, "/queues/%zu", i);
		places[n++] = i;
	}
	if (ret == 0 && !*stop) {
		ret = request_complete(system->requests[adapter], system->owners[adapter], ids, n,
			&failed, err);
		if (ret < 0)
			ret = fail_at(-ret, err, "/queues/%zu", places[failed]);
	}
	free(places);
	free(ids);
	return ret;
}

static int
start_all(struct system *system, uint32_t *load, volatile bool *stop, struct vmq_error *err)
{
	const struct document *doc = system->doc;
	size_t i;
	int ret;

	for (i = 0; i < doc->n_adapters && !*stop; i++) {
		ret = start_adapter(system, i, load, err);
		if (ret < 0)
			return ret;
		ret = set_filters(system, i, VMQ_DEFAULT_QUEUE_ID, &doc->adapters[i].default_queue,
			err);
		if (ret < 0)
			return fail_at(-ret, err, "/adapters/%zu/default_queue", i);
	}
	for (i = 0; i < system->n_adapters && !*stop; i++) {
		ret = start_queues(system, i, stop, err);
		if (ret < 0)
			return ret;
	}
	for (i = 0; i < system->n_adapters; i++)
		if (vmq_adapter_commit(system->adapters[i], err) != VMQ_STATUS_SUCCESS)
			return -ENOMEM;
	if (*stop)
		return 0;
	ret = vmq_host_start(system->host);
	if (ret < 0)
		vmq_error_errno(err, -ret, "workers: %s", rte_strerror(-ret));
	return ret;
}

/* What the control socket sees. */
static void
show(struct system *system)
{
	size_t i;

	for (i = 0; i < system->n_adapters; i++)
		system->shown[i] = (struct vmq_rpc_adapter){
			.requests = system->requests[i],
			.device = system->doc->adapters[i].device,
		};
	system->view.version = VMQ_VERSION;
	system->view.host = system->host;
	system->view.adapters = system->shown;
	system->view.n_adapters = system->n_adapters;
	system->view.worker_cpus = system->doc->eal.workers;
}

int
system_start(struct system *system, const struct document *doc, volatile bool *stop,
	struct vmq_error *err)
{
	unsigned int *lcores = calloc(doc->eal.n_workers, sizeof(*lcores));
	uint32_t *load = calloc(doc->eal.n_workers, sizeof(*load));
	size_t i;
	int ret = -ENOMEM;

	system->doc = doc;
	system->adapters = calloc(doc->n_adapters, sizeof(struct vmq_adapter *));
	system->requests = calloc(doc->n_adapters, sizeof(struct vmq_oid_adapter *));
	system->owners = calloc(doc->n_adapters, sizeof(struct vmq_oid_owner *));
	system->administrators = calloc(doc->n_adapters, sizeof(struct vmq_oid_owner *));
	system->shown = calloc(doc->n_adapters, sizeof(*system->shown));
	if (lcores == NULL || load == NULL || system->adapters == NULL ||
		system->requests == NULL || system->owners == NULL ||
		system->administrators == NULL || system->shown == NULL) {
		vmq_error_errno(err, ENOMEM, "no memory to start");
		goto out;
	}
	for (i = 0; i < doc->eal.n_workers; i++)
		lcores[i] = eal_worker_lcore(i);
	system->host = vmq_host_create(lcores, (uint16_t)doc->eal.n_workers);
	if (system->host == NULL) {
		ret = vmq_error_errno(err, rte_errno, "workers: %s", rte_strerror(rte_errno));
		goto out;
	}
	vmq_host_set_workers(system->host, &(struct vmq_worker_params){
		.mode = doc->workers.mode,
		.max_sleep_us = doc->workers.max_sleep_us,
	});
	ret = start_all(system, load, stop, err);
	show(system);
out:
	free(lcores);
	free(load);
	return ret;
}

uint64_t
system_missing(const struct vmq_queue_info *info)
{
	return (uint64_t)info->memory.outstanding + info->xmit_memory.outstanding -
		info->kept_by_driver;
}

static uint64_t
count_missing(const struct system *system)
{
	struct vmq_queue_info info;
	uint64_t missing = 0;
	size_t i;
	int id;

	for (i = 0; i < system->n_adapters; i++)
		for (id = -1; (id = vmq_queue_next(system->adapters[i], id)) >= 0;)
			if (vmq_queue_info_get(system->adapters[i], (uint16_t)id, &info))
				missing += system_missing(&info);
	return missing;
}

static void
name_missing(const struct system *system)
{
	struct vmq_queue_info info;
	size_t i;
	int id;

	for (i = 0; i < system->n_adapters; i++) {
		for (id = -1; (id = vmq_queue_next(system->adapters[i], id)) >= 0;) {
			if (!vmq_queue_info_get(system->adapters[i], (uint16_t)id, &info) ||
				system_missing(&info) == 0)
				continue;
			VMQ_LOG(ERR,
				"adapter %s, queue %d (%s): %" PRIu64
				" packets did not come home within %d ms\n",
				vmq_adapter_name(system->adapters[i]), id, info.name,
				system_missing(&info), HOME_WAIT_MS);
		}
	}
}

uint64_t
system_stop(struct system *system)
{
	const struct timespec look = {.tv_nsec = HOME_LOOK_MS * 1000000L};
	uint64_t missing;
	unsigned int i;

	if (system->host == NULL)
		return 0;
	vmq_host_stop(system->host);
	for (i = system->n_adapters; i-- > 0;)
		vmq_adapter_halt(system->adapters[i]);
	for (i = 0; (missing = count_missing(system)) > 0 && i < HOME_WAIT_MS / HOME_LOOK_MS; i++)
		nanosleep(&look, NULL);
	if (missing > 0)
		name_missing(system);
	return missing;
}

void
system_free_adapters(struct system *system)
{
	size_t i;

	for (i = system->n_adapters; i-- > 0;) {
		if (system->adapters[i] == NULL)
			continue;
		system->leaked += vmq_adapter_free(system->adapters[i]);
		system->adapters[i] = NULL;
	}
}

unsigned int
system_free(struct system *system)
{
	unsigned int leaked;

	system_free_adapters(system);
	leaked = system->leaked;
	while (system->n_adapters > 0)
		vmq_oid_adapter_free(system->requests[--system->n_adapters]);
	free(system->shown);
	free(system->administrators);
	free(system->owners);
	free(system->requests);
	free(system->adapters);
	vmq_host_free(system->host);
	*system = (struct system){0};
	return leaked;
}
