/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <rte_errno.h>
#include <rte_malloc.h>

#include "dp_private.h"

/* Put a frame's tag where its queue wants it. Returns false if there is no room. */
static bool
fix_tag(struct rte_mbuf *packet, const struct vmq_class *class)
{
	if (class->tag == VMQ_TAG_STRIP)
		vmq_tag_strip(packet);
	else if (class->tag == VMQ_TAG_INSERT)
		return vmq_tag_insert(packet) == 0;
	return true;
}

static void
drop_no_headroom(struct vmq_dp_queue *queue, struct rte_mbuf *packet)
{
	vmq_counter_add(&queue->received, 1);
	vmq_counter_add(&queue->received_bytes, packet->pkt_len);
	vmq_counter_add(&queue->no_headroom, 1);
	rte_pktmbuf_free(packet);
}

void
source_flush(struct vmq_dp_source *source, struct worker *worker)
{
	struct vmq_dp_queue *queue;
	uint16_t n;
	uint32_t i;

	for (i = 0; i < source->n_dirty; i++) {
		queue = source->dirty[i];
		n = queue->n_gathered;
		queue->n_gathered = 0;
		if (n > 0) /* else a full burst went out already */
			queue_deliver(queue, queue->gathered, n, worker);
	}
	source->n_dirty = 0;
	source->gather_polls = 0;
}

/* Gather packets for their queues; a full burst goes out at once. */
static void
gather(struct vmq_dp_source *source, struct rte_mbuf **packets, const struct vmq_class *classes,
	uint16_t n, struct worker *worker)
{
	struct vmq_dp_queue *const *queues = source->seen->queues;
	struct vmq_dp_queue *queue;
	uint16_t i, m;

	for (i = 0; i < n; i++) {
		queue = queues[classes[i].index];
		if (classes[i].tag != VMQ_TAG_LEAVE && !fix_tag(packets[i], &classes[i])) {
			drop_no_headroom(queue, packets[i]);
			continue;
		}
		m = queue->n_gathered;
		if (m == 0)
			source->dirty[source->n_dirty++] = queue;
		queue->gathered[m++] = packets[i];
		if (m == VMQ_BURST) {
			queue->n_gathered = 0;
			queue_deliver(queue, queue->gathered, m, worker);
		} else {
			queue->n_gathered = m;
		}
	}
}

/* Queues that this worker has come to serve may have something waiting already. */
static void
take_over(const struct vmq_dp_view *view, struct worker *worker)
{
	uint16_t i;

	for (i = 0; i < view->n_queues; i++)
		if (queue_is_served_by(view->queues[i], VMQ_SERVE_SOURCE) &&
			queue_has_backlog(view->queues[i]))
			queue_add_backlogged(view->queues[i], worker);
}

uint16_t
source_poll(struct vmq_dp_source *source, struct worker *worker)
{
	struct vmq_dp_view *view = atomic_load_explicit(&source->view, memory_order_acquire);
	struct vmq_class classes[VMQ_BURST];
	struct rte_mbuf *packets[VMQ_BURST];
	uint16_t n;

	if (unlikely(view != source->seen)) {
		/* What was classified by the old view is delivered by it, in order. */
		source_flush(source, worker);
		source->seen = view;
		if (view != NULL)
			take_over(view, worker);
	}
	if (unlikely(view == NULL))
		return 0;

	n = rte_eth_rx_burst(source->port_id, source->rx_queue, packets, VMQ_BURST);
	if (n > 0) {
		vmq_classifier_lookup(view->classifier, packets, n, classes, 0);
		gather(source, packets, classes, n, worker);
	}
	/*
	 * A burst that is not full says that the NIC has no more: nobody gains from
	 * waiting then. Under load the number of turns is what bounds the wait.
	 */
	if (source->n_dirty > 0 &&
		(n < VMQ_BURST || ++source->gather_polls >= VMQ_GATHER_POLLS))
		source_flush(source, worker);
	return n;
}

struct vmq_dp_source *
vmq_dp_source_create(struct vmq_datapath *dp, uint16_t worker, uint16_t port_id, uint16_t rx_queue)
{
	struct vmq_dp_source *source;

	source = rte_zmalloc_socket("vmq_source", sizeof(*source), RTE_CACHE_LINE_SIZE,
		vmq_datapath_worker_node(dp, worker));
	if (source == NULL) {
		rte_errno = ENOMEM;
		return NULL;
	}
	source->port_id = port_id;
	source->rx_queue = rx_queue;
	source->worker = worker;
	source->dp = dp;
	return source;
}

void
vmq_dp_source_free(struct vmq_dp_source *source)
{
	if (source == NULL)
		return;
	vmq_dp_view_free(atomic_load(&source->view));
	rte_free(source);
}

struct vmq_dp_view *
vmq_dp_view_create(uint16_t n_queues, int socket_id)
{
	struct vmq_dp_view *view;

	view = rte_zmalloc_socket("vmq_view", sizeof(*view) + n_queues * sizeof(view->queues[0]),
		RTE_CACHE_LINE_SIZE, socket_id);
	if (view == NULL) {
		rte_errno = ENOMEM;
		return NULL;
	}
	view->n_queues = n_queues;
	return view;
}

void
vmq_dp_view_free(struct vmq_dp_view *view)
{
	if (view == NULL)
		return;
	vmq_classifier_free(view->classifier);
	rte_free(view);
}

static void
destroy_view(void *view)
{
	vmq_dp_view_free(view);
}

void
vmq_dp_source_publish(struct vmq_dp_source *source, struct vmq_dp_view *view)
{
	struct vmq_dp_view *old;

	old = atomic_exchange_explicit(&source->view, view, memory_order_acq_rel);
	if (old != NULL)
		garbage_add(source->dp, destroy_view, old);
}
