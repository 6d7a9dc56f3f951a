/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#include "document_private.h"
#include "requests.h"
#include "running.h"

/* All filters of an adapter, to the queues they are of. by_id: place in queues, or NULL. */
static int
read_filters(const struct system *system, size_t adapter, struct running_queue *const *by_id)
{
	const struct vmq_filter_set *set = vmq_adapter_filters(system->adapters[adapter]);
	const struct vmq_filter *filter;
	struct running_queue *to;
	size_t n;

	for (filter = NULL; (filter = vmq_filter_next(set, filter != NULL ? filter->id : 0));) {
		to = by_id[filter->queue_id];
		if (to == NULL)
			continue;
		if (to->queue.filters == NULL) {
			n = vmq_filter_count(set, filter->queue_id);
			to->queue.filters = calloc(n, sizeof(*to->queue.filters));
			to->filter_owners = calloc(n, sizeof(*to->filter_owners));
			if (to->queue.filters == NULL || to->filter_owners == NULL)
				return -ENOMEM;
		}
		strlcpy(to->filter_owners[to->queue.n_filters],
			vmq_oid_filter_owner(system->requests[adapter], filter->id),
			VMQ_NAME_SIZE);
		to->queue.filters[to->queue.n_filters++] = filter->match;
	}
	return 0;
}

static int
read_queue(const struct system *system, size_t adapter, const struct vmq_queue_info *info,
	struct running_queue *to, struct vmq_error *err)
{
	struct vmq_oid_queue_parameters p;
	int ret;

	ret = request_query(system->requests[adapter], system->administrators[adapter], info->id,
		&p, err);
	if (ret < 0)
		return ret;
	if (request_read_parameters(system->doc, &p, &to->queue) < 0)
		return vmq_error_errno(err, ENOMEM, "no memory to read queue %u", info->id);
	to->flags = p.flags;
	to->port_id = p.port_id;
	return 0;
}

static int
read_adapter(const struct system *system, size_t adapter, struct running *running,
	struct vmq_error *err)
{
	struct running_queue **by_id = calloc(UINT16_MAX + 1, sizeof(*by_id)), *to;
	struct vmq_queue_info info;
	int id, ret = 0;

	if (by_id == NULL)
		return vmq_error_errno(err, ENOMEM, "no memory to read what runs");
	for (id = -1; ret == 0 && (id = vmq_queue_next(system->adapters[adapter], id)) >= 0;) {
		if (!vmq_queue_info_get(system->adapters[adapter], (uint16_t)id, &info) ||
			info.state == VMQ_QUEUE_DMA_STOPPED || info.state == VMQ_QUEUE_FREEING)
			continue;
		to = &running->queues[running->n_queues++];
		*to = (struct running_queue){.id = info.id, .state = info.state};
		by_id[id] = to;
		if (id != VMQ_DEFAULT_QUEUE_ID) {
			strlcpy(to->owner, vmq_oid_queue_owner(system->requests[adapter], info.id),
				sizeof(to->owner));
			to->completed = info.state == VMQ_QUEUE_RUNNING ||
				info.state == VMQ_QUEUE_PAUSED;
			ret = read_queue(system, adapter, &info, to, err);
		}
		to->queue.adapter = adapter;
	}
	if (ret == 0 && read_filters(system, adapter, by_id) < 0)
		ret = vmq_error_errno(err, ENOMEM, "no memory to read the filters");
	free(by_id);
	return ret;
}

int
running_read(const struct system *system, struct running *running, struct vmq_error *err)
{
	size_t i, n = 0;
	int id, ret = 0;

	for (i = 0; i < system->n_adapters; i++)
		for (id = -1; (id = vmq_queue_next(system->adapters[i], id)) >= 0;)
			n++;
	*running = (struct running){.queues = calloc(n + 1, sizeof(*running->queues))};
	if (running->queues == NULL)
		return vmq_error_errno(err, ENOMEM, "no memory to read what runs");
	for (i = 0; i < system->n_adapters && ret == 0; i++)
		ret = read_adapter(system, i, running, err);
	if (ret < 0)
		running_free(running);
	return ret;
}

int
running_as(const struct system *system, const struct doc_queue *queue, size_t adapter,
	struct doc_queue *same, struct vmq_error *err)
{
	struct vmq_oid_queue_parameters parameters;
	int ret = request_parameters(system->doc, queue, &parameters, err);

	if (ret < 0)
		return ret;
	if (request_read_parameters(system->doc, &parameters, same) < 0)
		return vmq_error_errno(err, ENOMEM, "no memory to read the document");
	same->adapter = adapter;
	return 0;
}

const char *
running_backend_key(const struct doc_backend *backend, char key[RUNNING_KEY_SIZE])
{
	char name[DOC_DEVICE_NAME_SIZE];

	key[0] = '\0';
	if (backend->file != NULL)
		snprintf(key, RUNNING_KEY_SIZE, "file %s", backend->file);
	if (backend->socket != NULL)
		snprintf(key, RUNNING_KEY_SIZE, "socket %s", backend->socket);
	if (backend->device != NULL) {
		doc_device_name(backend->device, name);
		snprintf(key, RUNNING_KEY_SIZE, "device %s", name);
	}
	return key;
}

void
running_free(struct running *running)
{
	size_t i;

	for (i = 0; i < running->n_queues; i++) {
		doc_queue_free(&running->queues[i].queue);
		free(running->queues[i].filter_owners);
	}
	free(running->queues);
	*running = (struct running){0};
}
