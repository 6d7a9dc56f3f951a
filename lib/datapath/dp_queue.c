/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <string.h>

#include <rte_errno.h>
#include <rte_malloc.h>

#include "dp_private.h"

static const struct {
	const char *name;
	const char *help;
} drops[VMQ_DROP_COUNT] = {
	[VMQ_DROP_STOPPED] = {"stopped",
		"the queue was not running, or stopped while the packet waited in it"},
	[VMQ_DROP_NO_BUFFER] = {"no_buffer",
		"the queue's own memory was used up: its backend is too slow for the load"},
	[VMQ_DROP_NO_HEADROOM] = {"no_headroom",
		"the NIC had stripped the VLAN tag and there was no room to put it back"},
	[VMQ_DROP_DISCONNECTED] = {"disconnected",
		"nobody was at the other end of the backend: the VM was off or starting"},
	[VMQ_DROP_RATE_LIMITED] = {"rate_limited",
		"more came than the queue's rate to the VM lets pass"},
	[VMQ_DROP_BACKEND] = {"backend",
		"the backend took the packet and could not deliver it"},
};

const char *
vmq_drop_name(enum vmq_drop reason)
{
	return (unsigned int)reason < VMQ_DROP_COUNT ? drops[reason].name : NULL;
}

const char *
vmq_drop_help(enum vmq_drop reason)
{
	return (unsigned int)reason < VMQ_DROP_COUNT ? drops[reason].help : NULL;
}

static const struct {
	const char *name;
	const char *help;
} tx_drops[VMQ_TX_DROP_COUNT] = {
	[VMQ_TX_DROP_STOPPED] = {"stopped",
		"the queue was not running, or stopped while the packet was on its way"},
	[VMQ_TX_DROP_MALFORMED] = {"malformed",
		"no whole Ethernet header, or a source address that is a group's or all zero"},
	[VMQ_TX_DROP_TOO_LONG] = {"too_long",
		"longer than the adapter's mtu, or in more pieces than its port sends"},
	[VMQ_TX_DROP_SPOOFED_MAC] = {"spoofed_mac",
		"the source MAC is in none of the queue's filters"},
	[VMQ_TX_DROP_SPOOFED_VLAN] = {"spoofed_vlan",
		"the VLAN is not the queue's, or a tag came from a queue that does not keep tags"},
	[VMQ_TX_DROP_OWN_ADDRESS] = {"own_address",
		"the VM sent it to an address of its own, which no network brings back"},
	[VMQ_TX_DROP_LINK_LOCAL] = {"link_local",
		"sent to a group address that no bridge forwards (01:80:c2:00:00:0x)"},
	[VMQ_TX_DROP_RATE_LIMITED] = {"rate_limited",
		"the VM sent more than the queue's rate from it lets pass"},
	[VMQ_TX_DROP_NO_HEADROOM] = {"no_headroom",
		"there was no room in front of the frame to insert its VLAN tag"},
	[VMQ_TX_DROP_PORT] = {"port",
		"the port took nothing for too long: its link is down or its ring stays full"},
};

const char *
vmq_tx_drop_name(enum vmq_tx_drop reason)
{
	return (unsigned int)reason < VMQ_TX_DROP_COUNT ? tx_drops[reason].name : NULL;
}

const char *
vmq_tx_drop_help(enum vmq_tx_drop reason)
{
	return (unsigned int)reason < VMQ_TX_DROP_COUNT ? tx_drops[reason].help : NULL;
}

static struct sender *
create_sender(const struct vmq_dp_queue_params *params)
{
	struct sender *sender;

	sender = rte_zmalloc_socket("vmq_sender", sizeof(*sender), RTE_CACHE_LINE_SIZE,
		params->socket_id);
	if (sender == NULL)
		return NULL;
	atomic_store(&sender->pool, params->xmit_pool);
	atomic_store(&sender->anti_spoof, params->anti_spoof);
	return sender;
}

static void
start_fast(struct vmq_dp_queue *queue, const struct vmq_dp_queue_params *params)
{
	struct fast *fast = queue->fast;

	fast->queue = queue;
	fast->backend = params->backend;
	fast->tx_burst = vmq_backend_tx_function(params->backend);
	fast->tx_fetch = vmq_backend_tx_fetch_function(params->backend);
	fast->source_worker = params->source_worker;
	fast_set(fast, SPECIAL_STOPPED, true);
	fast_set(fast, SPECIAL_BACKEND, vmq_backend_holds(params->backend));
}

struct vmq_dp_queue *
vmq_dp_queue_create(const struct vmq_dp_queue_params *params)
{
	unsigned int slots = rte_align32pow2(params->limit + 1);
	ssize_t ring_bytes = rte_ring_get_memsize(slots);
	struct vmq_dp_queue *queue;

	queue = rte_zmalloc_socket("vmq_dp_queue",
		sizeof(*queue) + params->n_workers * sizeof(queue->inlets[0]), RTE_CACHE_LINE_SIZE,
		params->socket_id);
	if (queue == NULL)
		goto no_memory;
	queue->fast = fast_alloc(params->socket_id);
	if (queue->fast == NULL)
		goto no_memory;
	/* Not a named ring: that would take a memzone, of which there are few. */
	queue->backlog = ring_bytes < 0 ? NULL
		: rte_zmalloc_socket("vmq_backlog", ring_bytes, RTE_CACHE_LINE_SIZE,
			params->socket_id);
	if (queue->backlog == NULL)
		goto no_memory;
	/* RTS: a worker that loses its CPU in the midst does not make the others wait. */
	rte_ring_init(queue->backlog, "vmq_backlog", slots, RING_F_MP_RTS_ENQ | RING_F_SC_DEQ);
	if (params->xmit_pool != NULL) {
		queue->sender = create_sender(params);
		if (queue->sender == NULL)
			goto no_memory;
	}
	queue->id = params->id;
	queue->backend = params->backend;
	atomic_store(&queue->pool, params->pool);
	atomic_store(&queue->receiver, params->receiver);
	atomic_store(&queue->worker, params->worker);
	queue->source_worker = params->source_worker;
	queue->n_inlets = params->n_workers;
	atomic_store(&queue->received_into_pool, params->received_into_pool);
	atomic_store(&queue->reserve, params->reserve);
	start_fast(queue, params);
	vmq_dp_queue_serve(queue, params->worker == params->source_worker ? VMQ_SERVE_SOURCE
		: VMQ_SERVE_OTHER);
	return queue;

no_memory:
	if (queue != NULL) {
		fast_free(queue->fast);
		rte_free(queue->backlog);
	}
	rte_free(queue);
	rte_errno = ENOMEM;
	return NULL;
}

void
vmq_dp_queue_free(struct vmq_dp_queue *queue)
{
	if (queue == NULL)
		return;
	vmq_dp_queue_discard(queue);
	rte_free(atomic_load(&queue->hold));
	if (queue->sender != NULL)
		rte_free(atomic_load(&queue->sender->from_vm));
	rte_free(atomic_load(&queue->to_vm));
	rte_free(queue->sender);
	rte_free(queue->backlog);
	fast_free(queue->fast);
	rte_free(queue);
}

void
vmq_dp_queue_set_pool(struct vmq_dp_queue *queue, struct rte_mempool *pool, bool received_into,
	uint32_t reserve)
{
	atomic_store(&queue->reserve, reserve);
	atomic_store(&queue->received_into_pool, received_into);
	atomic_store(&queue->pool, pool);
}

void
vmq_dp_queue_set_xmit_pool(struct vmq_dp_queue *queue, struct rte_mempool *pool)
{
	atomic_store(&queue->sender->pool, pool);
}

void
vmq_dp_queue_set_receiver(struct vmq_dp_queue *queue, uint16_t worker)
{
	atomic_store(&queue->receiver, worker);
}

void
vmq_dp_queue_run(struct vmq_dp_queue *queue, bool running)
{
	fast_set(queue->fast, SPECIAL_STOPPED, !running);
}

void
vmq_dp_queue_serve(struct vmq_dp_queue *queue, enum vmq_serve serve)
{
	if (serve != VMQ_SERVE_SOURCE)
		fast_set(queue->fast, SPECIAL_SERVE, true);
	atomic_store_explicit(&queue->serve, serve, memory_order_release);
	if (serve == VMQ_SERVE_SOURCE)
		fast_set(queue->fast, SPECIAL_SERVE, false);
}

void
vmq_dp_queue_set_worker(struct vmq_dp_queue *queue, uint16_t worker)
{
	atomic_store_explicit(&queue->worker, worker, memory_order_relaxed);
}

void
vmq_dp_queue_anti_spoof(struct vmq_dp_queue *queue, bool check)
{
	if (queue->sender != NULL)
		atomic_store_explicit(&queue->sender->anti_spoof, check, memory_order_relaxed);
}

void
vmq_dp_queue_set_tap(struct vmq_dp_queue *queue, struct vmq_dp_tap *tap)
{
	if (tap != NULL)
		fast_set(queue->fast, SPECIAL_TAP, true);
	atomic_store_explicit(&queue->tap, tap, memory_order_release);
	if (tap == NULL)
		fast_set(queue->fast, SPECIAL_TAP, false);
	if (queue->sender != NULL)
		atomic_store_explicit(&queue->sender->tap, tap, memory_order_release);
}

struct vmq_dp_tap *
vmq_dp_queue_tap(const struct vmq_dp_queue *queue)
{
	return atomic_load(&queue->tap);
}

void
vmq_dp_queue_set_uplink(struct vmq_dp_queue *queue, struct vmq_dp_uplink *uplink)
{
	if (queue->sender != NULL)
		queue->sender->uplink = uplink;
}

void
vmq_dp_queue_tx_stats_get(const struct vmq_dp_queue *queue, struct vmq_dp_tx_stats *stats)
{
	const struct sender *sender = queue->sender;
	struct vmq_backend_stats backend;
	unsigned int i;

	memset(stats, 0, sizeof(*stats));
	if (sender == NULL)
		return;
	/* Later stages first, as in vmq_dp_queue_stats_get(). */
	stats->sent = vmq_counter_get(&sender->sent);
	stats->sent_bytes = vmq_counter_get(&sender->sent_bytes);
	stats->local = vmq_counter_get(&sender->local);
	stats->local_bytes = vmq_counter_get(&sender->local_bytes);
	stats->copies = vmq_counter_get(&sender->copies);
	for (i = 0; i < VMQ_TX_DROP_COUNT; i++) {
		stats->drops[i] = vmq_counter_get(&sender->drops[i]);
		stats->dropped += stats->drops[i];
	}
	/* Those that the backend did not even take. */
	vmq_backend_stats_get(queue->backend, &backend);
	stats->drops[VMQ_TX_DROP_MALFORMED] += backend.malformed;
	stats->dropped += backend.malformed;
	stats->received = vmq_counter_get(&sender->received) + backend.malformed;
	stats->received_bytes = vmq_counter_get(&sender->received_bytes);
	stats->waiting = stats->received - stats->sent - stats->local - stats->dropped;
}

void
vmq_dp_queue_stats_get(const struct vmq_dp_queue *queue, struct vmq_dp_queue_stats *stats)
{
	const struct fast *fast = queue->fast;
	struct vmq_backend_stats backend;
	uint64_t handed_over, backlog;
	const struct hold *hold;
	const struct inlet *inlet;
	unsigned int i;

	/* Later stages first: a packet on its way is then never counted twice. */
	memset(stats, 0, sizeof(*stats));
	vmq_backend_stats_get(queue->backend, &backend);
	handed_over = vmq_counter_get(&queue->delivered) + vmq_counter_get(&fast->delivered);
	stats->delivered_bytes = vmq_counter_get(&queue->delivered_bytes) +
		vmq_counter_get(&fast->delivered_bytes);
	stats->bursts = vmq_counter_get(&queue->bursts) + vmq_counter_get(&fast->bursts);
	stats->delivered_bytes -= RTE_MIN(stats->delivered_bytes, backend.disconnected_bytes);
	stats->ring_full = backend.ring_full;
	backlog = atomic_load_explicit(&queue->n_head, memory_order_relaxed) +
		rte_ring_count(queue->backlog);
	/* Control frees it, and not while figures are read: both are the control thread's. */
	hold = atomic_load_explicit(&queue->hold, memory_order_acquire);
	if (hold != NULL)
		backlog += rte_ring_count(&hold->ring);
	stats->drops[VMQ_DROP_STOPPED] = vmq_counter_get(&queue->stopped_here);
	stats->drops[VMQ_DROP_DISCONNECTED] = backend.disconnected;
	stats->drops[VMQ_DROP_RATE_LIMITED] = vmq_counter_get(&queue->rate_limited);
	stats->drops[VMQ_DROP_BACKEND] = backend.failed;
	stats->received = vmq_counter_get(&fast->delivered);
	stats->received_bytes = vmq_counter_get(&fast->delivered_bytes);
	for (i = 0; i < queue->n_inlets; i++) {
		inlet = &queue->inlets[i];
		stats->drops[VMQ_DROP_STOPPED] += vmq_counter_get(&inlet->stopped);
		stats->drops[VMQ_DROP_NO_BUFFER] += vmq_counter_get(&inlet->no_buffer);
		stats->drops[VMQ_DROP_NO_HEADROOM] += vmq_counter_get(&inlet->no_headroom);
		stats->received += vmq_counter_get(&inlet->late);
		stats->received_bytes += vmq_counter_get(&inlet->late_bytes);
	}

	for (i = 0; i < VMQ_DROP_COUNT; i++)
		stats->dropped += stats->drops[i];
	stats->waiting = backlog + backend.waiting;
	stats->delivered = handed_over - RTE_MIN(handed_over,
		backend.failed + backend.disconnected + backend.waiting);
}
