/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <rte_errno.h>
#include <rte_malloc.h>

#include "deliver.h"

void
drop_no_headroom(const struct vmq_dp_queue *queue, struct inlet *inlet, struct rte_mbuf *packet)
{
	const struct vmq_dp_tap *tap = queue_tap(queue);

	inlet_count_late(inlet, 1, packet->pkt_len);
	vmq_counter_add(&inlet->no_headroom, 1);
	if (tap != NULL)
		tap_drop(tap, VMQ_DROP_NO_HEADROOM, &packet, 1);
	rte_pktmbuf_free(packet);
}

/* In a turn that is a sample, or to a queue that something is the matter with. */
static __rte_noinline void
deliver_out_of_line(struct vmq_dp_queue *queue, struct rte_mbuf **packets, uint16_t n,
	struct worker *worker)
{
	const enum vmq_stage stage = profile_enter(worker, VMQ_STAGE_ACCOUNT);

	if (worker->profile.on) {
		vmq_counter_add(&worker->profile.delivered, n);
		vmq_counter_add(&worker->profile.bursts, 1);
	}
	if (queue_is_held(queue, VMQ_HOLD_SOFTWARE))
		queue_hold(queue, packets, n, worker);
	else
		queue_deliver(queue, packets, n, worker);
	profile_enter(worker, stage);
}

/* Deliver packets of one queue. sample: the turn is one. */
static inline void
deliver(struct fast *fast, struct rte_mbuf **packets, uint16_t n, const bool sample,
	struct worker *worker)
{
	if (likely(fast_is_plain(fast) && !sample))
		queue_deliver_in_line(fast, packets, n, worker, false);
	else
		deliver_out_of_line(fast->queue, packets, n, worker);
}

/* Backends are going to free up to n packets: they are to stay at hand. */
static inline void
freeing(struct vmq_dp_source *source, uint32_t n)
{
	if (likely(source->cache != NULL))
		vmq_stash_freeing(source->stash, source->cache, n);
}

void
source_put_back(struct vmq_dp_source *source)
{
	rte_mempool_cache_flush(NULL, source->pool);
	vmq_stash_flush(source->stash, source->pool);
}

/* Of a queue's number of packets: it is in dirty. The others are the number. */
#define LISTED 0x80
#define NUMBER (LISTED - 1)

/*
 * Where many queues share what is gathered, a queue gets its packets when there are as many
 * as its share: the first ones go when the last ones have come, and what is received next
 * takes their buffers while these are in the CPU's caches. Half as many buffers are out, for
 * bursts that are as long. A packet by itself is never enough; and where a share is more than
 * the most here, full bursts go out as they fill. The most: what a burst can make ready is to
 * fit into half a mempool cache, see deliver_ready().
 */
#define ENOUGH_MIN 2
#define ENOUGH_MAX 8

static uint16_t
enough_for(uint32_t n_queues)
{
	const uint32_t share = (VMQ_GATHER_MAX + n_queues / 2) / n_queues;

	return (uint16_t)(share > ENOUGH_MAX ? VMQ_BURST : RTE_MAX(share, (uint32_t)ENOUGH_MIN));
}

/* Queues whose packets may be freed before the cache is looked at: half a cache is more. */
#define FREEING_QUEUES 8

/* How many queues ahead of its turn what a delivery touches is asked for. */
#define AHEAD 4

void
source_flush(struct vmq_dp_source *source, struct worker *worker)
{
	const struct vmq_dp_view *view = source->seen;
	const bool sample = worker->profile.on;
	uint32_t i, n_dirty = source->n_dirty;
	struct rte_mbuf *(*gathered)[VMQ_BURST];
	uint16_t *dirty = source->dirty;
	uint16_t index, n, number, ahead;
	uint8_t *n_gathered;
	struct fast **fast;

	RTE_BUILD_BUG_ON(FREEING_QUEUES * VMQ_BURST > RTE_MEMPOOL_CACHE_MAX_SIZE / 2);
	RTE_BUILD_BUG_ON(VMQ_GATHER_MAX > VMQ_STASH_SIZE);
	source->gather_polls = 0;
	if (n_dirty == 0) /* there may be no view */
		return;
	/* A window that was cut short may have seen few of them: then nothing piles up. */
	source->enough = enough_for(n_dirty);
	source->n_dirty = 0;
	/* In registers: a store of a byte might change them in memory. */
	gathered = view->gathered;
	n_gathered = view->n_gathered;
	fast = view->fast;
	/* Those that have something still; most may have nothing. */
	for (i = 0, n = 0; i < n_dirty; i++) {
		index = dirty[i];
		number = n_gathered[index] & NUMBER;
		n_gathered[index] = (uint8_t)number;
		dirty[n] = index;
		n += number > 0;
	}
	n_dirty = n;
	for (i = 0; i < n_dirty; i++) {
		if (i % FREEING_QUEUES == 0)
			freeing(source, FREEING_QUEUES * VMQ_BURST);
		ahead = dirty[RTE_MIN(i + AHEAD, n_dirty - 1)];
		rte_prefetch0(fast[ahead]);
		rte_prefetch0(gathered[ahead][0]);
		index = dirty[i];
		n = n_gathered[index];
		n_gathered[index] = 0;
		deliver(fast[index], gathered[index], n, sample, worker);
	}
}

/* So many packets are gathered, and delivery is not far: a quarter of a burst. */
#define NEARLY_FULL (VMQ_BURST * 3 / 4)

static __rte_noinline void
deliver_full(struct vmq_dp_source *source, struct vmq_dp_view *view, uint16_t index,
	struct worker *worker)
{
	freeing(source, VMQ_BURST);
	deliver(view->fast[index], view->gathered[index], VMQ_BURST, worker->profile.on, worker);
	view->n_gathered[index] = LISTED;
}

/*
 * What gathering looks up and changes, for a loop: in registers. In memory each store of a
 * byte might change it.
 */
struct gathering {
	struct vmq_dp_source *source;
	struct vmq_dp_view *view;
	struct rte_mbuf *(*gathered)[VMQ_BURST];
	uint8_t *n_gathered;
	uint16_t *dirty;
	uint32_t n_dirty;
};

static __rte_always_inline struct gathering
gathering_begin(struct vmq_dp_source *source)
{
	struct vmq_dp_view *view = source->seen;

	return (struct gathering){
		.source = source,
		.view = view,
		.gathered = view->gathered,
		.n_gathered = view->n_gathered,
		.dirty = source->dirty,
		.n_dirty = source->n_dirty,
	};
}

static __rte_always_inline void
gathering_end(const struct gathering *gathering)
{
	gathering->source->n_dirty = gathering->n_dirty;
}

/*
 * Put a packet to those of its queue; a full burst goes out at once. Returns how many there
 * are with it. many, a constant: without a branch, nobody can foresee which one is the first.
 */
static __rte_always_inline uint16_t
put(struct gathering *to, uint16_t index, struct rte_mbuf *packet, const bool many,
	struct worker *worker)
{
	uint16_t n = to->n_gathered[index];

	if (many) {
		to->dirty[to->n_dirty] = index;
		to->n_dirty += (n & LISTED) == 0;
	} else if (unlikely((n & LISTED) == 0)) {
		to->dirty[to->n_dirty++] = index;
	}
	n &= NUMBER;
	to->gathered[index][n++] = packet;
	to->n_gathered[index] = (uint8_t)(n | LISTED);
	if (!many && unlikely(n == NEARLY_FULL))
		queue_fetch(to->view->fast[index], worker);
	if (unlikely(n == VMQ_BURST))
		deliver_full(to->source, to->view, index, worker);
	return n;
}

/* The same of a single packet. */
static void
put_one(struct vmq_dp_source *source, uint16_t index, struct rte_mbuf *packet,
	struct worker *worker)
{
	struct gathering to = gathering_begin(source);

	put(&to, index, packet, false, worker);
	gathering_end(&to);
}

/* A copy: there is room for the packets of a full burst behind it. */
static void
gather_copy(void *arg, struct vmq_dp_view *view __rte_unused, uint16_t index,
	struct rte_mbuf *copy, struct worker *worker)
{
	struct vmq_dp_source *source = arg;

	if (source->n_dirty >= RTE_DIM(source->dirty) - VMQ_BURST)
		source_flush(source, worker);
	put_one(source, index, copy, worker);
}

/*
 * A frame that no filter of a MAC claims: if it is for a group, who is of its VLAN gets a
 * copy; all are delivered at the end of this turn, so that copies do not pile up.
 */
static void
flood_received(struct vmq_dp_source *source, const struct rte_mbuf *packet,
	const struct vmq_class *class, struct worker *worker)
{
	if (packet_group(packet) == GROUP_ALL &&
		flood(source->seen, packet, class->index, worker, gather_copy, source) > 0)
		source->gather_polls = VMQ_GATHER_POLLS;
}

/* Gather packets of which each is its own case. */
static void
gather_mixed(struct vmq_dp_source *source, struct rte_mbuf **packets,
	const struct vmq_class *classes, uint16_t n, struct worker *worker)
{
	struct vmq_dp_view *view = source->seen;
	uint16_t index, i;

	for (i = 0; i < n; i++) {
		index = classes[i].index;
		if (view->flood != NULL && classes[i].claimed != VMQ_CLAIM_MAC)
			flood_received(source, packets[i], &classes[i], worker);
		if (classes[i].tag != VMQ_TAG_LEAVE && !packet_fix_tag(packets[i], &classes[i])) {
			drop_no_headroom(view->queues[index],
				&view->queues[index]->inlets[worker->number], packets[i]);
			continue;
		}
		put_one(source, index, packets[i], worker);
	}
}

/* Packets that are all of one queue: nothing of it may have to go before them. */
static inline void
gather_one(struct vmq_dp_source *source, struct rte_mbuf **packets, uint16_t index, uint16_t n,
	struct worker *worker)
{
	struct vmq_dp_view *view = source->seen;
	uint16_t i;

	if (likely((view->n_gathered[index] & NUMBER) == 0)) {
		deliver(view->fast[index], packets, n, worker->profile.on, worker);
		return;
	}
	for (i = 0; i < n; i++)
		put_one(source, index, packets[i], worker);
}

/* Packets of several queues. strip is a constant. */
static __rte_always_inline void
gather_several(struct vmq_dp_source *source, struct rte_mbuf **packets,
	const struct vmq_class *classes, uint16_t n, const bool strip, struct worker *worker)
{
	struct gathering to = gathering_begin(source);
	uint16_t i;

	for (i = 0; i < n; i++) {
		if (strip)
			vmq_tag_strip(packets[i]);
		put(&to, classes[i].index, packets[i], false, worker);
	}
	gathering_end(&to);
}

/* Deliver to queues that have enough. A queue may be among them several times. */
static __rte_always_inline void
deliver_ready(struct vmq_dp_source *source, const uint16_t *ready, uint16_t n_ready,
	struct worker *worker)
{
	const struct vmq_dp_view *view = source->seen;
	uint8_t *n_gathered = view->n_gathered;
	uint16_t index, n, i;

	/* Less than enough each, and a burst; a burst of mixed frames may have left them more. */
	RTE_BUILD_BUG_ON(ENOUGH_MAX * VMQ_BURST > RTE_MEMPOOL_CACHE_MAX_SIZE / 2);
	freeing(source, ENOUGH_MAX * VMQ_BURST);
	for (i = 0; i < n_ready; i++) {
		rte_prefetch0(view->fast[ready[i]]);
		rte_prefetch0(view->gathered[ready[i]][0]);
	}
	for (i = 0; i < n_ready; i++) {
		index = ready[i];
		n = n_gathered[index] & NUMBER;
		n_gathered[index] = LISTED;
		if (n > 0)
			deliver(view->fast[index], view->gathered[index], n, worker->profile.on,
				worker);
	}
}

/* Packets of many queues, for which less than a full burst is enough. strip is a constant. */
static __rte_always_inline void
gather_many(struct vmq_dp_source *source, struct rte_mbuf **packets,
	const struct vmq_class *classes, uint16_t n, const bool strip, struct worker *worker)
{
	struct gathering to = gathering_begin(source);
	const uint16_t enough = source->enough;
	uint16_t ready[VMQ_BURST + 1]; /* one more is written */
	uint16_t i, index, n_ready = 0;

	for (i = 0; i < n; i++) {
		if (strip)
			vmq_tag_strip(packets[i]);
		index = classes[i].index;
		ready[n_ready] = index;
		n_ready += put(&to, index, packets[i], true, worker) >= enough;
	}
	gathering_end(&to);
	if (n_ready > 0)
		deliver_ready(source, ready, n_ready, worker);
}

/* Gather packets for their queues. */
static inline void
gather(struct vmq_dp_source *source, struct rte_mbuf **packets, const struct vmq_class *classes,
	uint16_t n, enum vmq_burst_class common, struct worker *worker)
{
	uint16_t i;

	switch (common) {
	case VMQ_BURST_ONE_STRIP:
		for (i = 0; i < n; i++)
			vmq_tag_strip(packets[i]);
		/* fallthrough */
	case VMQ_BURST_ONE_LEAVE:
		gather_one(source, packets, classes[0].index, n, worker);
		break;
	case VMQ_BURST_STRIP:
		if (source->enough < VMQ_BURST)
			gather_many(source, packets, classes, n, true, worker);
		else
			gather_several(source, packets, classes, n, true, worker);
		break;
	case VMQ_BURST_LEAVE:
		if (source->enough < VMQ_BURST)
			gather_many(source, packets, classes, n, false, worker);
		else
			gather_several(source, packets, classes, n, false, worker);
		break;
	default:
		gather_mixed(source, packets, classes, n, worker);
	}
}

/* Queues that this worker has come to serve may have something waiting already. */
static void
take_over(const struct vmq_dp_view *view, struct worker *worker)
{
	struct vmq_dp_queue *queue;
	uint16_t i;

	for (i = 0; i < view->n_queues; i++) {
		queue = view->queues[i];
		if (!queue_is_served_by(queue, VMQ_SERVE_SOURCE))
			continue;
		if (queue_has_backlog(queue))
			queue_add_backlogged(queue, worker);
	}
}

uint16_t
source_poll(struct vmq_dp_source *source, struct worker *worker)
{
	struct vmq_dp_view *view = atomic_load_explicit(&source->view, memory_order_acquire);
	struct vmq_class classes[VMQ_BURST];
	struct rte_mbuf *packets[VMQ_BURST];
	enum vmq_burst_class common;
	struct vmq_dp_census *census;
	uint16_t n;

	if (unlikely(view != source->seen)) {
		/* What was classified by the old view is delivered by it, in order. */
		source_flush(source, worker);
		source->seen = view;
		/* Buffers of a block that is to go may be among them. */
		source_put_back(source);
		source->cache = source->stash == NULL ? NULL
			: rte_mempool_default_cache(source->pool, worker->lcore_id);
		if (view != NULL)
			take_over(view, worker);
	}
	if (unlikely(view == NULL))
		return 0;

	profile_enter(worker, VMQ_STAGE_RECEIVE);
	if (likely(source->cache != NULL))
		vmq_stash_receiving(source->stash, source->cache);
	n = rte_eth_rx_burst(source->port_id, source->rx_queue, packets, VMQ_BURST);
	if (n > 0) {
		vmq_counter_add(&worker->bursts, 1);
		profile_enter(worker, VMQ_STAGE_CLASSIFY);
		common = vmq_classifier_lookup(view->classifier, packets, n, classes, 0);
		profile_enter(worker, VMQ_STAGE_GATHER);
		census = atomic_load_explicit(&source->census, memory_order_acquire);
		if (unlikely(census != NULL))
			census_count_claimed(census, view, packets, classes, n);
		gather(source, packets, classes, n, common, worker);
	}
	source->undelivered += n;
	/*
	 * A burst that is not full says that the NIC has no more: nobody gains from
	 * waiting then. Under load the number of turns is what bounds the wait.
	 */
	if (source->n_dirty > 0 &&
		(n < VMQ_BURST || ++source->gather_polls >= VMQ_GATHER_POLLS))
		source_flush(source, worker);
	/* What is gathered still has not left: whoever is to come after it must wait. */
	if (source->n_dirty == 0) {
		drain_count(&source->drain, source->undelivered, n < VMQ_BURST);
		source->undelivered = 0;
	}
	/* No load: whoever else takes from the pool is to find them there. */
	if (n < VMQ_BURST && unlikely(vmq_stash_count(source->stash) > 0))
		vmq_stash_flush(source->stash, source->pool);
	profile_enter(worker, VMQ_STAGE_OTHER);
	return n;
}

struct vmq_dp_source *
vmq_dp_source_create(struct vmq_datapath *dp, uint16_t worker, uint16_t port_id, uint16_t rx_queue,
	struct rte_mempool *pool)
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
	source->pool = pool;
	source->stash = vmq_stash_of(pool);
	source->enough = ENOUGH_MIN;
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
	/*
	 * What is gathered lies together and not in the queues: their structures come
	 * from the allocator at like distances and would share cache sets.
	 */
	const size_t gathered_at = RTE_CACHE_LINE_ROUNDUP(sizeof(struct vmq_dp_view));
	const size_t queues_at = gathered_at + n_queues * sizeof(struct rte_mbuf *[VMQ_BURST]);
	const size_t fast_at = queues_at + n_queues * sizeof(struct vmq_dp_queue *);
	const size_t members_at = fast_at + n_queues * sizeof(struct fast *);
	const size_t counts_at = members_at + n_queues * sizeof(struct vmq_dp_member);
	static uint64_t last_id;
	struct vmq_dp_view *view;

	view = rte_zmalloc_socket("vmq_view", counts_at + n_queues, RTE_CACHE_LINE_SIZE, socket_id);
	if (view == NULL) {
		rte_errno = ENOMEM;
		return NULL;
	}
	view->id = ++last_id;
	view->n_queues = n_queues;
	view->members = RTE_PTR_ADD(view, members_at);
	view->gathered = RTE_PTR_ADD(view, gathered_at);
	view->queues = RTE_PTR_ADD(view, queues_at);
	view->fast = RTE_PTR_ADD(view, fast_at);
	view->n_gathered = RTE_PTR_ADD(view, counts_at);
	return view;
}

void
vmq_dp_view_free(struct vmq_dp_view *view)
{
	if (view == NULL)
		return;
	vmq_classifier_free(view->classifier);
	flood_free(view->flood);
	rte_free(view->slots);
	rte_free(view);
}

bool
vmq_dp_view_make_slots(struct vmq_dp_view *view, uint16_t n_slots, int socket_id)
{
	view->slots = rte_zmalloc_socket("vmq_view_slots", n_slots * sizeof(*view->slots),
		RTE_CACHE_LINE_SIZE, socket_id);
	return view->slots != NULL;
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
	uint16_t i;

	for (i = 0; view != NULL && i < view->n_queues; i++)
		view->fast[i] = view->queues[i]->fast;
	old = atomic_exchange_explicit(&source->view, view, memory_order_acq_rel);
	if (old != NULL)
		garbage_add(source->dp, destroy_view, old);
}
