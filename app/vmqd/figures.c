/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>
#include <rte_common.h>

#include "figures.h"

#define MEMBER(type, member) \
	.offset = offsetof(struct type, member), .bytes = sizeof(((struct type *)NULL)->member)
#define QUEUE(member) .of = FIGURE_OF_QUEUE, MEMBER(figures_queue, info.member)
#define LINK(member) .of = FIGURE_OF_ADAPTER, MEMBER(figures_adapter, link.member)
#define ADAPTER(member) .of = FIGURE_OF_ADAPTER, MEMBER(figures_adapter, nic.member)
#define WORKER(member) .of = FIGURE_OF_WORKER, MEMBER(figures_worker, stats.member)
#define WORKER_TIME(member) .unit = FIGURE_CYCLES, WORKER(member)
#define STAGE(name, stage) {"profile." name "_cycles", "vmq_worker_sampled_" name "_seconds_total", \
	"Time of the sampled packets in stage " name, true, \
	WORKER_TIME(stage_cycles[VMQ_STAGE_##stage])}

/*
 * Names by Prometheus's rules: a unit in the plural, _total for counters. What is lost
 * for each reason is a family of its own, with the reason as a label (metrics.c), and
 * "dropped" its sum.
 */
static const struct figure rows[] = {
	{"received", "vmq_queue_received_packets_total",
		"Packets steered into the queue", true, QUEUE(packets.received)},
	{"received_bytes", "vmq_queue_received_bytes_total",
		"Bytes of the packets steered into the queue", true, QUEUE(packets.received_bytes)},
	{"delivered", "vmq_queue_delivered_packets_total",
		"Packets that the queue's backend has delivered", true, QUEUE(packets.delivered)},
	{"delivered_bytes", "vmq_queue_delivered_bytes_total",
		"Bytes handed to the queue's backend", true, QUEUE(packets.delivered_bytes)},
	{"bursts", "vmq_queue_bursts_total",
		"Bursts handed to the queue's backend", true, QUEUE(packets.bursts)},
	{"waiting", "vmq_queue_waiting_packets",
		"Packets in the queue's backlog or on their way in its backend",
		false, QUEUE(packets.waiting)},
	{"buffers.limit", "vmq_queue_memory_limit_buffers",
		"Most packet buffers that the queue may have", false, QUEUE(memory.limit)},
	{"buffers.populated", "vmq_queue_memory_populated_buffers",
		"Packet buffers that the queue has", false, QUEUE(memory.populated)},
	{"buffers.available", "vmq_queue_memory_available_buffers",
		"Packet buffers of the queue that are at home and ready",
		false, QUEUE(memory.available)},
	{"buffers.outstanding", "vmq_queue_memory_outstanding_buffers",
		"Packet buffers of the queue that are out", false, QUEUE(memory.outstanding)},
	{"buffers.retiring", "vmq_queue_memory_retiring_buffers",
		"Packet buffers of the queue set aside to be given back",
		false, QUEUE(memory.retiring)},
	{"buffers.size", "vmq_queue_memory_buffer_size_bytes",
		"Bytes of packet that one buffer of the queue holds", false, QUEUE(buffer_size)},
	{"buffers.blocks", "vmq_queue_memory_blocks",
		"Blocks of memory that the queue has", false, QUEUE(memory.blocks)},
	{"buffers.bytes", "vmq_queue_memory_bytes",
		"Memory of the queue's blocks", false, QUEUE(memory.bytes)},
	{"buffers.grown", "vmq_queue_memory_grown_blocks_total",
		"Blocks of memory added to the queue", true, QUEUE(memory.grown)},
	{"buffers.returned", "vmq_queue_memory_returned_blocks_total",
		"Blocks of memory that the queue has given back", true, QUEUE(memory.returned)},
	{"buffers.failed", "vmq_queue_memory_failed_blocks_total",
		"Blocks of memory that the queue asked for and did not get",
		true, QUEUE(memory.failed)},
	{"transmit.received", "vmq_queue_transmit_received_packets_total",
		"Packets that the queue's VM has sent", true,
		QUEUE(transmit.received)},
	{"transmit.received_bytes", "vmq_queue_transmit_received_bytes_total",
		"Bytes that the queue's VM has sent", true,
		QUEUE(transmit.received_bytes)},
	{"transmit.sent", "vmq_queue_transmit_sent_packets_total",
		"Packets of the queue's VM sent to the wire", true,
		QUEUE(transmit.sent)},
	{"transmit.sent_bytes", "vmq_queue_transmit_sent_bytes_total",
		"Bytes of the queue's VM sent to the wire, with tags inserted", true,
		QUEUE(transmit.sent_bytes)},
	{"transmit.local", "vmq_queue_transmit_local_packets_total",
		"Packets of the queue's VM delivered to other queues", true,
		QUEUE(transmit.local)},
	{"transmit.local_bytes", "vmq_queue_transmit_local_bytes_total",
		"Bytes of the queue's VM delivered to other queues", true,
		QUEUE(transmit.local_bytes)},
	{"transmit.copies", "vmq_queue_transmit_copied_packets_total",
		"Copies of broadcast and multicast packets of the queue's VM", true,
		QUEUE(transmit.copies)},
	{"transmit.waiting", "vmq_queue_transmit_waiting_packets",
		"Packets of the queue's VM taken and still on their way", false,
		QUEUE(transmit.waiting)},
	{"transmit.buffers.limit", "vmq_queue_transmit_memory_limit_buffers",
		"Most packet buffers that the queue may have for what its VM sends",
		false, QUEUE(xmit_memory.limit)},
	{"transmit.buffers.populated", "vmq_queue_transmit_memory_populated_buffers",
		"Packet buffers that the queue has for what its VM sends",
		false, QUEUE(xmit_memory.populated)},
	{"transmit.buffers.available", "vmq_queue_transmit_memory_available_buffers",
		"Of these, at home and ready",
		false, QUEUE(xmit_memory.available)},
	{"transmit.buffers.outstanding", "vmq_queue_transmit_memory_outstanding_buffers",
		"Of these, out",
		false, QUEUE(xmit_memory.outstanding)},
	{"transmit.buffers.retiring", "vmq_queue_transmit_memory_retiring_buffers",
		"Of these, set aside to be given back",
		false, QUEUE(xmit_memory.retiring)},
	{"transmit.buffers.blocks", "vmq_queue_transmit_memory_blocks",
		"Blocks of memory that the queue has for what its VM sends",
		false, QUEUE(xmit_memory.blocks)},
	{"transmit.buffers.bytes", "vmq_queue_transmit_memory_bytes",
		"Memory of these blocks",
		false, QUEUE(xmit_memory.bytes)},
	{"transmit.buffers.grown", "vmq_queue_transmit_memory_grown_blocks_total",
		"Blocks of memory added for what the VM sends",
		true, QUEUE(xmit_memory.grown)},
	{"transmit.buffers.returned", "vmq_queue_transmit_memory_returned_blocks_total",
		"Blocks of memory for what the VM sends given back",
		true, QUEUE(xmit_memory.returned)},
	{"transmit.buffers.failed", "vmq_queue_transmit_memory_failed_blocks_total",
		"Blocks of memory for what the VM sends that could not be had",
		true, QUEUE(xmit_memory.failed)},
	{"backend.ring_full", "vmq_queue_backend_ring_full_bursts_total",
		"Bursts that the backend's other end had not room for", true,
		QUEUE(packets.ring_full)},
	{"backend.link.up", "vmq_queue_backend_up",
		"Is somebody at the backend's other end: 1, or not: 0", false,
		QUEUE(backend_link.up)},
	{"backend.link.changes", "vmq_queue_backend_link_changes_total",
		"Times that the backend's link went up or down", true, QUEUE(backend_link.changes)},
	{"backend.link.cut_offs", "vmq_queue_backend_cut_offs_total",
		"Times that the other end was sent away for breaking rules", true, QUEUE(backend_link.cut_offs)},
	{"filters", "vmq_queue_filters",
		"Receive filters of the queue", false, QUEUE(n_filters)},

	{"link.up", "vmq_adapter_link_up",
		"1 while the port has a link, else 0", false, LINK(up)},
	{"link.mbps", "vmq_adapter_link_speed_bytes",
		"Speed of the port's link in bytes per second, 0 when it is down or not known",
		false, .unit = FIGURE_MEGABITS, LINK(mbps)},
	{"nic.received", "vmq_adapter_nic_received_packets_total",
		"Packets that the port has handed over", true, ADAPTER(received)},
	{"nic.missed", "vmq_adapter_nic_missed_packets_total",
		"Packets that the port dropped because its ring was full", true, ADAPTER(missed)},
	{"nic.errors", "vmq_adapter_nic_error_packets_total",
		"Broken packets that the port dropped", true, ADAPTER(errors)},
	{"nic.no_buffer", "vmq_adapter_nic_no_buffer_events_total",
		"Times that the driver found no buffer for the port's ring",
		true, ADAPTER(no_buffer)},
	{"nic.sent", "vmq_adapter_nic_sent_packets_total",
		"Packets that the port has sent", true, ADAPTER(sent)},
	{"nic.send_errors", "vmq_adapter_nic_send_error_packets_total",
		"Packets that the port took and could not send", true, ADAPTER(send_errors)},

	{"polls", "vmq_worker_polls_total",
		"Turns of the worker's loop", true, WORKER(polls)},
	{"idle_polls", "vmq_worker_idle_polls_total",
		"Turns of the worker's loop without work", true, WORKER(idle_polls)},
	{"packets", "vmq_worker_received_packets_total",
		"Packets that the worker has received from ports", true, WORKER(packets)},
	{"bursts", "vmq_worker_received_bursts_total",
		"Bursts that the worker has received from ports", true, WORKER(bursts)},
	{"served", "vmq_worker_served_packets_total",
		"Packets that the worker has delivered from backlogs", true, WORKER(served)},
	{"cycles", "vmq_worker_seconds_total", "Time since the worker started", true,
		WORKER_TIME(cycles)},
	{"busy_cycles", "vmq_worker_busy_seconds_total",
		"Time that the worker spent in turns with work", true, WORKER_TIME(busy_cycles)},
	{"sleep_cycles", "vmq_worker_sleep_seconds_total", "Time that the worker was asleep",
		true, WORKER_TIME(sleep_cycles)},
	{"sleeps", "vmq_worker_sleeps_total", "Times that the worker went to sleep", true,
		WORKER(sleeps)},
	/* Averages over samples: what of the time of so many packets went where. */
	{"profile.sampled_packets", "vmq_worker_sampled_packets_total",
		"Packets whose way through the worker was timed", true, WORKER(sampled_packets)},
	{"profile.sampled_delivered", "vmq_worker_sampled_delivered_packets_total",
		"Of these, gathered and given to their queues", true, WORKER(sampled_delivered)},
	{"profile.sampled_bursts", "vmq_worker_sampled_delivered_bursts_total",
		"Bursts in which they were given to their queues", true, WORKER(sampled_bursts)},
	STAGE("receive", RECEIVE), STAGE("classify", CLASSIFY), STAGE("gather", GATHER),
	STAGE("deliver", DELIVER), STAGE("account", ACCOUNT), STAGE("other", OTHER),
	{"max_sleep_us", "vmq_worker_max_sleep_seconds", "Longest sleep of the worker", false,
		.unit = FIGURE_MICROSECONDS, WORKER(max_sleep_us)},
};

const struct figure *
figure_get(size_t index)
{
	return index < RTE_DIM(rows) ? &rows[index] : NULL;
}

uint64_t
figure_value(const struct figure *figure, const void *item)
{
	const void *member = RTE_PTR_ADD(item, figure->offset);

	switch (figure->bytes) {
	case sizeof(bool):
		return *(const bool *)member;
	case sizeof(uint32_t):
		return *(const uint32_t *)member;
	default:
		return *(const uint64_t *)member;
	}
}

static void
take_queue(struct figures *figures, const struct vmq_adapter *adapter, uint16_t id)
{
	struct figures_queue *queue = &figures->queues[figures->n_queues];

	if (!vmq_queue_info_get(adapter, id, &queue->info))
		return;
	queue->adapter = figures->n_adapters;
	strlcpy(queue->name, queue->info.name, sizeof(queue->name));
	strlcpy(queue->vm, queue->info.vm, sizeof(queue->vm));
	strlcpy(queue->backend, queue->info.backend_text, sizeof(queue->backend));
	queue->info.name = queue->name;
	queue->info.vm = queue->vm;
	queue->info.backend_text = queue->backend;
	figures->n_queues++;
}

/* Returns false without memory. */
static bool
take_adapter(struct figures *figures, const struct system *system)
{
	const struct vmq_adapter *of = system->adapters[figures->n_adapters];
	struct figures_adapter *adapter = &figures->adapters[figures->n_adapters];
	int id;

	strlcpy(adapter->name, vmq_adapter_name(of), sizeof(adapter->name));
	adapter->device = strdup(system->doc->adapters[figures->n_adapters].device);
	vmq_adapter_port_stats(of, &adapter->nic);
	vmq_adapter_link(of, &adapter->link);
	adapter->first_queue = figures->n_queues;
	for (id = -1; (id = vmq_queue_next(of, id)) >= 0;)
		take_queue(figures, of, (uint16_t)id);
	adapter->n_queues = figures->n_queues - adapter->first_queue;
	figures->n_adapters++;
	return adapter->device != NULL;
}

static size_t
count_queues(const struct system *system)
{
	size_t n = 0, i;
	int id;

	for (i = 0; i < system->n_adapters; i++)
		for (id = -1; (id = vmq_queue_next(system->adapters[i], id)) >= 0;)
			n++;
	return n;
}

struct figures *
figures_take(const struct system *system)
{
	const struct vmq_datapath *dp = vmq_host_datapath(system->host);
	struct figures *figures = calloc(1, sizeof(*figures));
	uint16_t n_workers = vmq_datapath_workers(dp), i;

	if (figures == NULL)
		return NULL;
	figures->adapters = calloc(system->n_adapters + 1, sizeof(*figures->adapters));
	figures->queues = calloc(count_queues(system) + 1, sizeof(*figures->queues));
	figures->workers = calloc(n_workers + 1u, sizeof(*figures->workers));
	if (figures->adapters == NULL || figures->queues == NULL || figures->workers == NULL)
		goto no_memory;
	while (figures->n_adapters < system->n_adapters)
		if (!take_adapter(figures, system))
			goto no_memory;
	for (i = 0; i < n_workers; i++) {
		figures->workers[i].cpu = system->doc->eal.workers[i];
		vmq_worker_stats_get(dp, i, &figures->workers[i].stats);
		figures->workers[i].stats.fallback = NULL; /* not ours */
	}
	figures->n_workers = n_workers;
	return figures;

no_memory:
	figures_free(figures);
	return NULL;
}

void
figures_free(struct figures *figures)
{
	size_t i;

	if (figures == NULL)
		return;
	for (i = 0; i < figures->n_adapters; i++)
		free(figures->adapters[i].device);
	free(figures->adapters);
	free(figures->queues);
	free(figures->workers);
	free(figures);
}
