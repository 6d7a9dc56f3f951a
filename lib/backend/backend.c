/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <string.h>

#include <bsd/string.h>

#include <rte_errno.h>
#include <rte_malloc.h>

#include "vmq_backend_driver.h"

static const struct vmq_backend_ops *const drivers[VMQ_BACKEND_COUNT] = {
	[VMQ_BACKEND_SINK] = &vmq_backend_sink,
	[VMQ_BACKEND_PCAP] = &vmq_backend_pcap,
	[VMQ_BACKEND_ETHDEV] = &vmq_backend_ethdev,
	[VMQ_BACKEND_VHOST] = &vmq_backend_vhost,
};

const char *
vmq_backend_type_name(enum vmq_backend_type type)
{
	return (unsigned int)type < VMQ_BACKEND_COUNT ? drivers[type]->name : NULL;
}

bool
vmq_backend_type_receives(enum vmq_backend_type type)
{
	return (unsigned int)type < VMQ_BACKEND_COUNT && drivers[type]->rx_burst != NULL;
}

struct vmq_backend *
vmq_backend_open(const struct vmq_backend_params *params, struct vmq_error *err)
{
	const struct vmq_backend_ops *ops;
	struct vmq_backend *backend;
	int ret;

	if ((unsigned int)params->type >= VMQ_BACKEND_COUNT) {
		rte_errno = -vmq_error_errno(err, EINVAL, "unknown kind of backend %d",
			(int)params->type);
		return NULL;
	}
	ops = drivers[params->type];
	backend = rte_zmalloc_socket("vmq_backend", ops->size, RTE_CACHE_LINE_SIZE,
		params->socket_id);
	if (backend == NULL) {
		rte_errno = -vmq_error_errno(err, ENOMEM, "no memory for a %s backend", ops->name);
		return NULL;
	}
	backend->ops = ops;
	strlcpy(backend->text, ops->name, sizeof(backend->text));
	ret = ops->open(backend, params, err);
	if (ret < 0) {
		rte_free(backend);
		rte_errno = -ret;
		return NULL;
	}
	return backend;
}

bool
vmq_backend_quiesce(struct vmq_backend *backend)
{
	return backend == NULL || backend->ops->quiesce == NULL || backend->ops->quiesce(backend);
}

int
vmq_backend_drain(struct vmq_backend *backend, struct vmq_error *err)
{
	if (backend == NULL || backend->ops->drain == NULL)
		return 0;
	return backend->ops->drain(backend, err);
}

void
vmq_backend_close(struct vmq_backend *backend)
{
	if (backend == NULL)
		return;
	if (backend->ops->close != NULL)
		backend->ops->close(backend);
	rte_free(backend);
}

uint16_t
vmq_backend_tx_burst(struct vmq_backend *backend, struct rte_mbuf **packets, uint16_t n)
{
	return backend->ops->tx_burst(backend, packets, n);
}

vmq_backend_tx_fn *
vmq_backend_tx_function(const struct vmq_backend *backend)
{
	return backend->ops->tx_burst;
}

vmq_backend_tx_fetch_fn *
vmq_backend_tx_fetch_function(const struct vmq_backend *backend)
{
	return backend->ops->tx_fetch;
}

uint16_t
vmq_backend_rx_burst(struct vmq_backend *backend, struct rte_mempool *pool,
	struct rte_mbuf **packets, uint16_t n)
{
	if (backend->ops->rx_burst == NULL)
		return 0;
	return backend->ops->rx_burst(backend, pool, packets, n);
}

int
vmq_backend_interrupt_fd(const struct vmq_backend *backend)
{
	return backend->ops->interrupt_fd != NULL ? backend->ops->interrupt_fd(backend) : -1;
}

int
vmq_backend_interrupt(struct vmq_backend *backend, bool on)
{
	return backend->ops->interrupt != NULL ? backend->ops->interrupt(backend, on) : -ENOTSUP;
}

bool
vmq_backend_receives(const struct vmq_backend *backend)
{
	return backend->ops->rx_burst != NULL;
}

void
vmq_backend_link_get(const struct vmq_backend *backend, struct vmq_backend_link *link)
{
	memset(link, 0, sizeof(*link));
	link->node = SOCKET_ID_ANY;
	if (backend->ops->link_get != NULL)
		backend->ops->link_get(backend, link);
	else
		link->up = true;
}

bool
vmq_backend_holds(const struct vmq_backend *backend)
{
	return backend->ops->holds;
}

enum vmq_backend_type
vmq_backend_type(const struct vmq_backend *backend)
{
	return backend->ops->type;
}

void
vmq_backend_stats_get(const struct vmq_backend *backend, struct vmq_backend_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	if (backend->ops->stats_get != NULL)
		backend->ops->stats_get(backend, stats);
}

const char *
vmq_backend_text(const struct vmq_backend *backend)
{
	return backend->text;
}
