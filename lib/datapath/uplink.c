/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <rte_errno.h>
#include <rte_malloc.h>

#include "dp_private.h"

struct vmq_dp_uplink *
vmq_dp_uplink_create(struct vmq_datapath *dp, const struct vmq_dp_uplink_params *params)
{
	/* Beyond the workers nobody would use them. */
	const uint16_t n = RTE_MIN(params->tx_queues, dp->n_workers);
	struct vmq_dp_uplink *uplink;
	uint16_t i;

	uplink = rte_zmalloc("vmq_uplink", sizeof(*uplink) + n * sizeof(uplink->tx_queues[0]),
		RTE_CACHE_LINE_SIZE);
	if (uplink == NULL) {
		rte_errno = ENOMEM;
		return NULL;
	}
	uplink->port_id = params->port_id;
	uplink->n_tx_queues = n;
	uplink->shared = n < dp->n_workers;
	uplink->multi_segs = params->multi_segs;
	uplink->mtu = params->mtu;
	uplink->source = params->source;
	for (i = 0; i < n; i++)
		rte_spinlock_init(&uplink->tx_queues[i].lock);
	return uplink;
}

void
vmq_dp_uplink_free(struct vmq_dp_uplink *uplink)
{
	rte_free(uplink);
}

void
vmq_dp_uplink_switch(struct vmq_dp_uplink *uplink, bool on)
{
	atomic_store_explicit(&uplink->off, !on, memory_order_release);
}

void
vmq_dp_uplink_clean(struct vmq_dp_uplink *uplink)
{
	atomic_fetch_add_explicit(&uplink->clean, 1, memory_order_release);
}

/*
 * The Tx queue of a worker, to be given back. A worker never waits for another: one that
 * has lost its CPU would hold up all. NULL: another one is using it.
 */
static struct tx_queue *
take_tx_queue(struct vmq_dp_uplink *uplink, const struct worker *worker, uint16_t *number)
{
	struct tx_queue *tx_queue;

	*number = worker->number % uplink->n_tx_queues;
	tx_queue = &uplink->tx_queues[*number];
	if (uplink->shared && rte_spinlock_trylock(&tx_queue->lock) == 0)
		return NULL;
	return tx_queue;
}

static void
give_back(const struct vmq_dp_uplink *uplink, struct tx_queue *tx_queue)
{
	if (uplink->shared)
		rte_spinlock_unlock(&tx_queue->lock);
}

uint16_t
uplink_send(struct vmq_dp_uplink *uplink, struct worker *worker, struct rte_mbuf **packets,
	uint16_t n)
{
	struct tx_queue *tx_queue;
	uint16_t number, sent;

	if (unlikely(atomic_load_explicit(&uplink->off, memory_order_acquire)))
		return 0;
	tx_queue = take_tx_queue(uplink, worker, &number);
	if (tx_queue == NULL)
		return 0;
	sent = rte_eth_tx_burst(uplink->port_id, number, packets, n);
	give_back(uplink, tx_queue);
	return sent;
}

void
uplink_clean(struct vmq_dp_uplink *uplink, const struct worker *worker)
{
	const uint32_t clean = atomic_load_explicit(&uplink->clean, memory_order_acquire);
	struct tx_queue *tx_queue;
	uint16_t number;

	number = worker->number % uplink->n_tx_queues;
	if (likely(uplink->tx_queues[number].cleaned == clean) ||
		atomic_load_explicit(&uplink->off, memory_order_acquire))
		return;
	tx_queue = take_tx_queue(uplink, worker, &number);
	if (tx_queue == NULL)
		return;
	/* A driver that cannot has sent them when it took them, or sends more first. */
	rte_eth_tx_done_cleanup(uplink->port_id, number, 0);
	tx_queue->cleaned = clean;
	give_back(uplink, tx_queue);
}
