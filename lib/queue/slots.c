/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * Slots of hardware queues. A slot's pool is made with the NIC's ring and stays with it:
 * drivers cannot set up an Rx queue anew on a started port. The VM that takes the slot gets
 * the pool, which grows to what it asked for; when it leaves, the pool shrinks again as far
 * as the ring lets go of the buffers.
 *
 * Where the driver can, a slot's Rx queues are stopped while no VM has it. It is stopped when
 * its rules are gone and its ring was seen empty after that: what was in it has been handed
 * over or discarded by then, and counted. (Copies of broadcasts, which VMDq gives every pool,
 * may come until the end. The default queue has them too.)
 */

#include <errno.h>
#include <stdio.h>

#include <rte_errno.h>

#include "queue_private.h"

/* How often a parked pool is tried to be shrunk, and how long a try may take. */
#define SHRINK_EVERY_MS 200
#define SHRINK_MS 50

/* Frames that the NIC has steered to a slot and has not written into its ring yet. */
#define SETTLE_US 300

/* After an Rx queue could not be stopped. */
#define STOP_AGAIN_US (5 * 1000 * 1000)

/* Buffers that have to be left for the ring before packets of a full queue are dropped. */
#define SLOT_RESERVE (2 * VMQ_BURST)

int
slot_open(struct slot *slot, uint32_t limit, struct vmq_error *err)
{
	struct vmq_adapter *adapter = slot->adapter;
	char name[RTE_MEMPOOL_NAMESIZE];
	const struct vmq_pool_params params = {
		.name = name,
		.queue_id = VMQ_DEFAULT_QUEUE_ID, /* while parked it is the adapter's own */
		.limit = limit,
		.buffer_size = slot->buffer_size,
		.usage = VMQ_SHMEM_RECEIVE,
		.cache_size = RX_CACHE_SIZE,
		.node = vmq_port_node(adapter->port),
	};

	snprintf(name, sizeof(name), "vmq_a%u_s%u_rx", adapter->number, slot->number);
	slot->pool = vmq_pool_create(adapter->shmem, &params, err);
	if (slot->pool == NULL)
		return -rte_errno;
	if (vmq_pool_grow(slot->pool, slot->parked_buffers, slot->parked_buffers, NULL, err) ==
			VMQ_STATUS_SUCCESS &&
		vmq_pool_give(slot->pool, VMQ_DEFAULT_QUEUE_ID, slot->parked_buffers, err) ==
			VMQ_STATUS_SUCCESS)
		return 0;
	vmq_pool_destroy(slot->pool, NULL);
	slot->pool = NULL;
	return -ENOMEM;
}

void
slot_close(struct slot *slot)
{
	struct vmq_error err;

	vmq_dp_hw_free(slot->hw);
	slot->hw = NULL;
	if (slot->pool == NULL)
		return;
	vmq_pool_cancel_retire(slot->pool);
	if (vmq_pool_destroy(slot->pool, &err) < 0)
		VMQ_LOG(ERR, "adapter %s: slot %u: %s\n", slot->adapter->name, slot->number,
			err.text);
	slot->pool = NULL;
}

uint32_t
slot_missing(const struct slot *slot)
{
	struct vmq_pool_stats stats;

	vmq_pool_stats_get(slot->pool, &stats);
	/* The ring is full of buffers for as long as it runs. */
	return stats.outstanding - RTE_MIN(stats.outstanding,
		slot->adapter->port != NULL && slot->running ? slot->ring_buffers : 0);
}

bool
slot_is_free(const struct slot *slot)
{
	return slot->queue == NULL && slot_missing(slot) == 0;
}

/* Free, and nothing of its last VM's memory is on the way back. */
static bool
is_ready(const struct slot *slot)
{
	return slot_is_free(slot) && !vmq_pool_is_busy(slot->pool);
}

const char *
queue_unfit(const struct queue *queue, char *text, size_t size)
{
	const struct hardware *hardware = &queue->adapter->hardware;
	const struct slot *slot = hardware->slots;
	const struct vmq_queue_memory *memory = &queue->memory;

	text[0] = '\0';
	if (hardware->steer == NULL)
		snprintf(text, size, "the adapter steers in software: vmdq: %.80s; flow: %.80s",
			hardware->why_not[VMQ_STEERING_VMDQ],
			hardware->why_not[VMQ_STEERING_FLOW]);
	else if (queue->id == VMQ_DEFAULT_QUEUE_ID)
		snprintf(text, size, "it is the default queue");
	else if (queue->adapter->fault.state == VMQ_PORT_GONE)
		snprintf(text, size, "the adapter's device was removed");
	else if (memory->buffer_size != slot->buffer_size)
		snprintf(text, size, "its buffers of %u bytes are not those of hardware queues (%u)",
			memory->buffer_size, slot->buffer_size);
	else if (memory->limit < slot->parked_buffers)
		snprintf(text, size, "its limit of %u buffers is less than the %u that a hardware "
			"queue's ring takes", memory->limit, slot->parked_buffers);
	else if (memory->limit > vmq_pool_capacity(slot->pool))
		snprintf(text, size, "its limit of %u buffers is over the %u of hardware queues",
			memory->limit, vmq_pool_capacity(slot->pool));
	else if (memory->contiguous)
		snprintf(text, size, "it wants contiguous memory");
	return text;
}

static void
take(struct slot *slot, struct queue *queue)
{
	slot->queue = queue;
	slot->parking = false;
	queue->slot = slot;
	queue->hardware_why[0] = '\0';
}

/* A slot that was given to a queue of lower priority, which has no memory yet. */
static struct slot *
overrule(struct hardware *hardware, uint8_t priority)
{
	struct slot *worst = NULL;
	uint16_t i;

	for (i = 0; i < hardware->n_slots; i++) {
		struct queue *holder = hardware->slots[i].queue;

		if (holder == NULL || holder->pool != NULL || holder->completing ||
			holder->priority >= priority)
			continue;
		if (worst == NULL || holder->priority < worst->queue->priority)
			worst = &hardware->slots[i];
	}
	return worst;
}

struct slot *
slot_find_free(struct vmq_adapter *adapter)
{
	struct slot *slot, *found = NULL;
	uint16_t i;

	for (i = 0; i < adapter->hardware.n_slots; i++) {
		slot = &adapter->hardware.slots[i];
		if (is_ready(slot))
			return slot;
		if (found == NULL && slot_is_free(slot))
			found = slot;
	}
	return found;
}

bool
queue_may_have_slot(struct queue *queue)
{
	return queue_unfit(queue, queue->hardware_why, sizeof(queue->hardware_why))[0] == '\0';
}

void
queue_take_slot(struct queue *queue)
{
	struct hardware *hardware = &queue->adapter->hardware;
	struct slot *slot;

	if (!queue_may_have_slot(queue))
		return;
	slot = slot_find_free(queue->adapter);
	if (slot == NULL) {
		slot = overrule(hardware, queue->priority);
		if (slot != NULL) {
			slot->queue->slot = NULL;
			snprintf(slot->queue->hardware_why, sizeof(slot->queue->hardware_why),
				"a queue of higher priority took its slot");
		}
	}
	if (slot == NULL)
		snprintf(queue->hardware_why, sizeof(queue->hardware_why),
			"all %u hardware queues are taken", hardware->n_slots);
	else
		take(slot, queue);
}

void
queue_take_free_slot(struct queue *queue, struct slot *slot)
{
	take(slot, queue);
}

void
queue_leave_slot(struct queue *queue, const char *why)
{
	if (queue->slot == NULL)
		return;
	queue->slot->queue = NULL;
	queue->slot->shrink_ms = 0;
	queue->slot = NULL;
	snprintf(queue->hardware_why, sizeof(queue->hardware_why), "%s", why);
}

enum vmq_status
slot_open_memory(struct slot *slot, const struct queue *queue, uint32_t buffers,
	struct vmq_error *err)
{
	struct vmq_pool_stats stats;
	enum vmq_status status;

	vmq_pool_cancel_retire(slot->pool);
	status = vmq_pool_give(slot->pool, queue->id, queue->memory.limit, err);
	if (status != VMQ_STATUS_SUCCESS)
		return status;
	vmq_pool_stats_get(slot->pool, &stats);
	if (stats.populated < buffers)
		status = vmq_pool_grow(slot->pool, buffers - stats.populated,
			buffers - stats.populated, NULL, err);
	if (status != VMQ_STATUS_SUCCESS)
		slot_close_memory(slot);
	return status;
}

void
slot_close_memory(struct slot *slot)
{
	struct vmq_error err;

	vmq_pool_cancel_retire(slot->pool);
	vmq_pool_set_demand(slot->pool, &(struct vmq_pool_demand){0});
	vmq_pool_set_callback(slot->pool, NULL, NULL);
	if (vmq_pool_give(slot->pool, VMQ_DEFAULT_QUEUE_ID, slot->parked_buffers, &err) !=
		VMQ_STATUS_SUCCESS)
		VMQ_LOG(ERR, "adapter %s: slot %u: %s\n", slot->adapter->name, slot->number,
			err.text);
}

uint32_t
slot_reserve(void)
{
	return SLOT_RESERVE;
}

/* Give back what the last VM had more, a block at a time, as far as it is at home. */
static void
shrink(struct slot *slot, uint64_t now_ms)
{
	struct vmq_pool_stats stats;

	if (slot->shrinking) {
		if (!vmq_pool_progress(slot->pool)) {
			slot->shrinking = false;
		} else if (now_ms >= slot->shrink_ms) {
			vmq_pool_cancel_retire(slot->pool); /* the ring has some of it */
			slot->shrinking = false;
			slot->shrink_ms = now_ms + SHRINK_EVERY_MS;
		}
		return;
	}
	vmq_pool_stats_get(slot->pool, &stats);
	if (stats.blocks < 2 || now_ms < slot->shrink_ms)
		return;
	if (vmq_pool_retire(slot->pool, NULL) != VMQ_STATUS_PENDING)
		return;
	slot->shrinking = true;
	slot->shrink_ms = now_ms + SHRINK_MS;
	/* A new view, if only as a sign to the worker to flush its cache. */
	slot->adapter->unpublished = true;
	adapter_publish_view(slot->adapter, NULL);
}

int
slot_run(struct slot *slot, struct vmq_error *err)
{
	struct vmq_adapter *adapter = slot->adapter;
	int ret = 0;

	if (slot->running)
		return 0;
	/* Meanwhile the port is another thread's: slots_run_again(). */
	if (port_is_usable(adapter)) {
		ret = vmq_port_slot_start(adapter->port, slot->number, err);
		/* What this thread has taken at once for the ring, and not needed. */
		rte_mempool_cache_flush(NULL, vmq_pool_mempool(slot->pool));
	}
	slot->running = ret == 0;
	adapter->unpublished = true;
	return ret;
}

int
slots_run_again(struct vmq_adapter *adapter, struct vmq_error *err)
{
	uint16_t i;
	int ret = 0;

	for (i = 0; i < adapter->hardware.n_slots && ret == 0; i++) {
		struct slot *slot = &adapter->hardware.slots[i];

		if (!slot->running)
			continue;
		ret = vmq_port_slot_start(adapter->port, i, err);
		rte_mempool_cache_flush(NULL, vmq_pool_mempool(slot->pool));
	}
	return ret;
}

static void
stop(struct slot *slot)
{
	struct vmq_adapter *adapter = slot->adapter;
	struct vmq_error err;
	int ret;

	slot->parking = false;
	slot->running = false;
	if (slots_assign(adapter) < 0) {
		/* Nobody polls it, but a worker's list may have it: later. */
		slot->running = true;
		return;
	}
	ret = vmq_port_slot_stop(adapter->port, slot->number, &err);
	rte_mempool_cache_flush(NULL, vmq_pool_mempool(slot->pool));
	if (ret == 0)
		return;
	VMQ_LOG(NOTICE, "adapter %s: hardware queue %u has no VM and could not be stopped, which is "
		"tried again: %.300s\n", adapter->name, slot->number, err.text);
	slot->park_since_us = host_now_us() + STOP_AGAIN_US;
	/* It is polled only if it runs. If not: the next VM's start says why. */
	if (slot_run(slot, &err) == 0 && slots_assign(adapter) < 0)
		VMQ_LOG(WARNING, "adapter %s: no memory to tell the workers of its slots\n",
			adapter->name);
}

/* Stop a slot that nobody has, in steps as rules.c takes them. */
static void
park(struct slot *slot)
{
	struct vmq_adapter *adapter = slot->adapter;
	const struct hardware *hardware = &adapter->hardware;
	const uint64_t now_us = host_now_us();

	if (!hardware->port.deferred_start || !slot->running || !port_is_usable(adapter))
		return;
	if (hardware->step != RULES_IDLE || rules_lead_to(adapter, slot)) {
		slot->parking = false;
		return;
	}
	if (!vmq_datapath_is_started(adapter->host->dp)) {
		stop(slot);
	} else if (!slot->parking) {
		if (now_us < slot->park_since_us)
			return;
		slot->parking = true;
		slot->park_marked = false;
		slot->park_since_us = now_us;
	} else if (!slot->park_marked) {
		if (now_us - slot->park_since_us < SETTLE_US)
			return;
		slot->park_marked = true;
		vmq_dp_hw_mark(slot->hw, &slot->park_mark);
	} else if (vmq_dp_hw_drained(slot->hw, &slot->park_mark, slot->ring_buffers)) {
		stop(slot);
	}
	if (slot->parking)
		adapter->host->quiet = false;
}

void
slots_progress(struct vmq_adapter *adapter, uint64_t now_ms)
{
	uint16_t i;

	for (i = 0; i < adapter->hardware.n_slots; i++) {
		struct slot *slot = &adapter->hardware.slots[i];

		if (slot->queue == NULL) {
			park(slot);
			shrink(slot, now_ms);
		} else {
			slot->shrinking = false;
		}
	}
}

/* Who is to poll a slot: its queue's worker, or the adapter's. One that is stopped nobody. */
static uint16_t
worker_of(const struct slot *slot)
{
	if (!slot->running)
		return VMQ_DP_NO_WORKER;
	return slot->queue != NULL && slot->queue->dp != NULL ? slot->queue->worker
							       : slot->adapter->source_worker;
}

int
slots_assign(struct vmq_adapter *adapter)
{
	struct hardware *hardware = &adapter->hardware;
	bool changed = false;
	uint16_t i;
	int ret;

	for (i = 0; i < hardware->n_slots; i++) {
		struct slot *slot = &hardware->slots[i];

		if (slot->hw == NULL || slot->worker == worker_of(slot))
			continue;
		vmq_dp_hw_give(slot->hw, VMQ_DP_NO_WORKER);
		changed = true;
	}
	if (!changed)
		return 0;
	vmq_datapath_synchronize(adapter->host->dp);
	for (i = 0; i < hardware->n_slots; i++)
		hardware->slots[i].worker = worker_of(&hardware->slots[i]);
	ret = host_assign(adapter->host);
	if (ret < 0)
		return ret; /* nobody polls them until the next change: nothing is lost but time */
	for (i = 0; i < hardware->n_slots; i++) {
		struct slot *slot = &hardware->slots[i];

		if (slot->running && slot->queue != NULL && slot->queue->dp != NULL)
			vmq_dp_queue_set_receiver(slot->queue->dp, slot->worker);
		vmq_dp_hw_give(slot->hw, slot->worker);
	}
	return 0;
}

bool
slots_fill_view(const struct vmq_adapter *adapter, struct vmq_dp_view *view,
	const struct vmq_classifier_queue *classes)
{
	const struct hardware *hardware = &adapter->hardware;
	const struct vmq_filter *filter;
	uint32_t after;
	uint16_t i;

	if (hardware->n_slots == 0)
		return true;
	if (!vmq_dp_view_make_slots(view, hardware->n_slots,
			vmq_datapath_worker_node(adapter->host->dp, adapter->source_worker)))
		return false;
	for (i = 0; i < hardware->n_slots; i++) {
		const struct queue *queue = hardware->slots[i].queue;

		/* A queue that has lost its last filter is there to throw away what waits. */
		if (queue == NULL || queue->dp == NULL || queue->pool != hardware->slots[i].pool ||
			queue->abort)
			continue;
		view->slots[i].queue = queue->dp;
		view->slots[i].exact.index = classes[queue->id].index;
		view->slots[i].exact.keep_tags = queue->keep_tags;
	}
	for (after = 0; (filter = vmq_filter_next(adapter->filters, after)) != NULL;
		after = filter->id) {
		const struct queue *queue = adapter_queue(adapter, filter->queue_id);

		if (queue->slot != NULL && classes[queue->id].active &&
			view->slots[queue->slot->number].queue == queue->dp)
			vmq_exact_add(&view->slots[queue->slot->number].exact, &filter->match);
	}
	return true;
}
