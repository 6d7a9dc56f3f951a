/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* The data path with real workers and packets, on the test bed of bed.h. */

#include "bed.h"
#include "dp_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_lcore.h>
#include <rte_launch.h>
#include <rte_malloc.h>
#include <rte_pause.h>

static struct vmq_dp_queue_stats
stats_of(const struct bed *bed, unsigned int queue)
{
	struct vmq_dp_queue_stats stats;

	bed_stats(bed, queue, &stats);
	return stats;
}

static void
each_drop_has_a_name_and_a_meaning(void **state)
{
	static const char *const names[] = {"stopped", "no_buffer", "no_headroom",
		"disconnected",
		"rate_limited", "backend"};
	unsigned int i;

	(void)state;
	assert_int_equal(RTE_DIM(names), VMQ_DROP_COUNT);
	for (i = 0; i < VMQ_DROP_COUNT; i++) {
		assert_string_equal(vmq_drop_name((enum vmq_drop)i), names[i]);
		assert_true(strlen(vmq_drop_help((enum vmq_drop)i)) > 20);
	}
	assert_null(vmq_drop_name(VMQ_DROP_COUNT));
	assert_null(vmq_drop_help(VMQ_DROP_COUNT));
	assert_null(vmq_drop_name((enum vmq_drop)-1));
}

static void
packets_go_to_the_queues_of_their_filters_in_order(void **state)
{
	struct bed *bed = bed_make(&(struct bed_options){0});
	struct rte_mbuf *packets[BED_QUEUES];
	struct vmq_worker_stats worker;
	struct vmq_dp_queue_stats stats;
	unsigned int i, j;

	(void)state;
	for (i = 0; i < 1000; i++) {
		for (j = 0; j < BED_QUEUES; j++)
			packets[j] = bed_packet(bed, j);
		bed_send(bed, packets, BED_QUEUES);
	}
	bed_settle(bed, 1000 * BED_QUEUES);
	for (i = 0; i < BED_QUEUES; i++) {
		bed_assert_seen(bed, i, i, 1000, BED_QUEUES);
		stats = stats_of(bed, i);
		assert_int_equal(stats.received, 1000);
		assert_int_equal(stats.received_bytes, 60000);
		assert_int_equal(stats.delivered, 1000);
		assert_int_equal(stats.delivered_bytes, 60000);
		assert_int_equal(stats.dropped, 0);
		assert_in_range(stats.bursts, 1000 / VMQ_BURST, 1000);
	}
	vmq_worker_stats_get(bed->dp, 0, &worker);
	assert_int_equal(worker.packets, 1000 * BED_QUEUES);
	assert_true(worker.polls > worker.idle_polls);
	vmq_worker_stats_get(bed->dp, 1, &worker);
	assert_int_equal(worker.packets, 0);
	unit_assert_pool_full(bed->source_pool);
	bed_free(bed);
}

static void
a_queue_that_gets_nothing_shows_zeros(void **state)
{
	const struct vmq_dp_queue_stats zeros = {0};
	struct bed *bed = bed_make(&(struct bed_options){0});
	struct vmq_dp_queue_stats stats;

	(void)state;
	memset(&stats, 0xff, sizeof(stats));
	bed_stats(bed, 1, &stats);
	assert_memory_equal(&stats, &zeros, sizeof(zeros));
	bed_free(bed);
}

static void
what_comes_to_a_queue_that_does_not_run_is_dropped_as_stopped(void **state)
{
	struct bed *bed = bed_make(&(struct bed_options){0});

	(void)state;
	vmq_dp_queue_run(bed->queues[1].dp, false);
	vmq_datapath_synchronize(bed->dp);
	bed->queues[1].backend->gone = true;
	bed_send_to(bed, 1, 100);
	bed_send_to(bed, 2, 100);
	bed_settle(bed, 200);
	assert_int_equal(stats_of(bed, 1).drops[VMQ_DROP_STOPPED], 100);
	assert_int_equal(stats_of(bed, 1).bursts, 0);
	assert_int_equal(stats_of(bed, 2).delivered, 100);
	/* And when it runs again, it runs again. */
	bed->queues[1].backend->gone = false;
	vmq_dp_queue_run(bed->queues[1].dp, true);
	bed_send_to(bed, 1, 10);
	bed_settle(bed, 210);
	assert_int_equal(stats_of(bed, 1).delivered, 10);
	bed_free(bed);
}

/* A backend refuses for a while; also in parts, and with the other worker. */
static void
refuse_and_resume(bool remote, uint16_t part)
{
	struct bed *bed = bed_make(&(struct bed_options){.remote = remote});
	struct bed_backend *backend = bed->queues[1].backend;

	backend->part = part;
	bed_send_to(bed, 1, 100);
	bed_settle(bed, 100);
	assert_int_equal(stats_of(bed, 1).delivered, 100);

	backend->budget = 7; /* in the middle of a burst */
	bed_send_to(bed, 1, 300);
	bed_settle(bed, 400);
	assert_int_equal(stats_of(bed, 1).delivered, 107);
	assert_int_equal(stats_of(bed, 1).waiting, 293);
	/* What waits, waits in the queue's own memory: whole, and nowhere else. */
	unit_assert_pool_full(bed->source_pool);
	assert_int_equal(rte_mempool_in_use_count(bed->queues[1].pool), 293);

	/* What waited is in its own memory when it comes; later ones wait behind it. */
	backend->pool = bed->queues[1].pool;
	backend->budget = 20;
	bed_settle(bed, 400);
	assert_int_equal(stats_of(bed, 1).waiting, 273);
	bed_send_to(bed, 1, 50);
	bed_settle(bed, 450);
	assert_int_equal(stats_of(bed, 1).waiting, 323);
	backend->budget = BED_ENDLESS;
	bed_settle(bed, 450);
	assert_int_equal(stats_of(bed, 1).waiting, 0);
	backend->pool = NULL;

	bed_send_to(bed, 1, 100);
	bed_settle(bed, 550);
	bed_assert_seen(bed, 1, 0, 550, 1);
	assert_int_equal(stats_of(bed, 1).dropped, 0);
	unit_assert_pool_full(bed->queues[1].pool);
	bed_free(bed);
}

static void
order_is_kept_when_a_backend_refuses_and_resumes(void **state)
{
	(void)state;
	refuse_and_resume(false, 0);
}

static void
order_is_kept_when_a_backend_takes_parts_of_bursts(void **state)
{
	(void)state;
	refuse_and_resume(false, 5);
}

static void
order_is_kept_when_another_worker_serves_the_queue(void **state)
{
	(void)state;
	refuse_and_resume(true, 0);
}

static void
order_is_kept_with_another_worker_and_parts_of_bursts(void **state)
{
	(void)state;
	refuse_and_resume(true, 3);
}

static void
used_up_memory_harms_no_other_queue(bool remote)
{
	struct bed *bed = bed_make(&(struct bed_options){.remote = remote});
	struct vmq_dp_queue_stats stats;
	unsigned int round;

	bed->queues[1].backend->budget = 0;
	for (round = 0; round < 20; round++) {
		bed_send_to(bed, 1, 100);
		bed_send_to(bed, 2, 100);
		/* What another worker serves waits for it a moment in the queue's memory. */
		bed_settle(bed, 200 * (round + 1));
	}
	stats = stats_of(bed, 1);
	assert_int_equal(stats.delivered, 0);
	assert_int_equal(stats.waiting, BED_QUEUE_BUFFERS);
	assert_int_equal(stats.drops[VMQ_DROP_NO_BUFFER], 2000 - BED_QUEUE_BUFFERS);
	assert_int_equal(stats.dropped, stats.drops[VMQ_DROP_NO_BUFFER]);
	assert_int_equal(rte_mempool_avail_count(bed->queues[1].pool), 0);
	unit_assert_pool_full(bed->source_pool);
	stats = stats_of(bed, 2);
	assert_int_equal(stats.delivered, 2000);
	assert_int_equal(stats.dropped, 0);

	/* It comes back to life with what it had kept, the oldest first. */
	bed->queues[1].backend->budget = BED_ENDLESS;
	bed_settle(bed, 4000);
	assert_int_equal(stats_of(bed, 1).delivered, BED_QUEUE_BUFFERS);
	assert_int_equal(bed->queues[1].backend->seen[0], 0);
	assert_int_equal(bed->queues[1].backend->seen[99], 99);
	assert_int_equal(bed->queues[1].backend->seen[100], 200);
	bed_free(bed);
}

static void
a_queue_that_uses_up_its_memory_harms_no_other(void **state)
{
	(void)state;
	used_up_memory_harms_no_other_queue(false);
}

static void
a_queue_of_another_worker_that_uses_up_its_memory_harms_no_other(void **state)
{
	(void)state;
	used_up_memory_harms_no_other_queue(true);
}

static void
a_backend_that_holds_gets_packets_of_the_queues_own_memory(void **state)
{
	struct bed *bed = bed_make(&(struct bed_options){.holds = true});
	struct bed_backend *backend = bed->queues[1].backend;

	(void)state;
	backend->pool = bed->queues[1].pool;
	bed_send_to(bed, 1, 600);
	bed_settle(bed, 600);
	unit_assert_pool_full(bed->source_pool);
	assert_int_equal(backend->n_held, BED_QUEUE_BUFFERS);
	assert_int_equal(stats_of(bed, 1).delivered, BED_QUEUE_BUFFERS);
	assert_int_equal(stats_of(bed, 1).drops[VMQ_DROP_NO_BUFFER], 600 - BED_QUEUE_BUFFERS);
	bed_free(bed);
}

static void
a_copy_has_all_bytes_and_what_the_nic_said(void **state)
{
	/* In one buffer, over two of the source's, over several of the queue's own. */
	static const uint16_t shapes[][5] = {
		{60, 0}, {500, 0}, {BED_BUFFER_SIZE, 0}, {20, 40, 0}, {500, 500, 500, 300, 0},
	};
	struct bed *bed = bed_make(&(struct bed_options){.holds = true});
	struct bed_backend *backend = bed->queues[1].backend;
	uint8_t bytes[2048];
	struct rte_mbuf *packet;
	unsigned int i, j;
	uint32_t length;

	(void)state;
	backend->pool = bed->queues[1].pool;
	for (i = 0; i < RTE_DIM(shapes); i++) {
		for (j = 0, length = 0; shapes[i][j] != 0; j++)
			length += shapes[i][j];
		unit_fill(bytes, length, i);
		memcpy(bytes, (const uint8_t[]){2, 0, 0, 0, 0, 1}, 6);
		memcpy(bytes + 12, (const uint8_t[]){0x88, 0xb5}, 2);
		packet = unit_chain(bed->source_pool, bytes, shapes[i]);
		packet->port = 77;
		packet->packet_type = RTE_PTYPE_L2_ETHER_ARP;
		packet->hash.rss = 0x12345678;
		packet->vlan_tci = 0x1007;
		packet->ol_flags |= RTE_MBUF_F_RX_RSS_HASH | RTE_MBUF_F_RX_VLAN |
			RTE_MBUF_F_RX_VLAN_STRIPPED | RTE_MBUF_F_RX_IP_CKSUM_GOOD;
		bed_send(bed, &packet, 1);
		bed_settle(bed, i + 1);
		assert_int_equal(backend->n_held, i + 1);
		packet = backend->held[i];
		unit_assert_bytes(packet, bytes, length);
		assert_int_equal(rte_mbuf_check(packet, 1, &(const char *){NULL}), 0);
		/* From 23.11 on net_ring says where it received it. */
		assert_true(packet->port == 77 || packet->port == vmq_port_id(bed->port));
		assert_int_equal(packet->packet_type, RTE_PTYPE_L2_ETHER_ARP);
		assert_int_equal(packet->hash.rss, 0x12345678);
		assert_int_equal(packet->vlan_tci, 0x1007);
		assert_int_equal(packet->ol_flags, RTE_MBUF_F_RX_RSS_HASH | RTE_MBUF_F_RX_VLAN |
			RTE_MBUF_F_RX_VLAN_STRIPPED | RTE_MBUF_F_RX_IP_CKSUM_GOOD);
	}
	unit_assert_pool_full(bed->source_pool);
	bed_free(bed);
}

static unsigned int n_external_freed;

static void
free_external(void *address, void *arg)
{
	(void)arg;
	free(address);
	n_external_freed++;
}

/* Some NICs hand up packets that lie in a buffer of the driver's. */
static void
the_copy_of_a_packet_in_an_external_buffer_is_an_ordinary_one(void **state)
{
	struct bed *bed = bed_make(&(struct bed_options){.holds = true});
	struct rte_mbuf_ext_shared_info *shared;
	const uint8_t head[14] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x88, 0xb5};
	uint16_t size = 1024;
	struct rte_mbuf *packet;
	char *buffer;

	(void)state;
	n_external_freed = 0;
	buffer = malloc(size);
	shared = rte_pktmbuf_ext_shinfo_init_helper(buffer, &size, free_external, NULL);
	packet = rte_pktmbuf_alloc(bed->source_pool);
	rte_pktmbuf_attach_extbuf(packet, buffer, RTE_BAD_IOVA, size, shared);
	assert_non_null(rte_pktmbuf_append(packet, 60));
	memset(rte_pktmbuf_mtod(packet, void *), 0x5a, 60);
	memcpy(rte_pktmbuf_mtod(packet, void *), head, sizeof(head));
	bed_send(bed, &packet, 1);
	bed_settle(bed, 1);
	assert_int_equal(n_external_freed, 1);
	unit_assert_pool_full(bed->source_pool);
	packet = bed->queues[1].backend->held[0];
	assert_true(RTE_MBUF_DIRECT(packet));
	assert_int_equal(packet->ol_flags, 0);
	assert_memory_equal(rte_pktmbuf_mtod(packet, void *), head, sizeof(head));
	bed_free(bed);
}

static void
a_tag_without_headroom_to_go_back_into_is_a_named_drop(void **state)
{
	struct bed *bed = bed_make(&(struct bed_options){0});
	struct rte_mbuf *packet;
	unsigned int i;

	(void)state;
	bed->queues[1].keep_tags = true;
	bed_publish(bed);
	vmq_datapath_synchronize(bed->dp);
	for (i = 0; i < 20; i++) {
		packet = bed_packet(bed, 1);
		packet->vlan_tci = 5;
		packet->ol_flags = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
		if (i % 2 == 0) { /* to the very front of its buffer */
			memmove(packet->buf_addr, rte_pktmbuf_mtod(packet, void *), 60);
			packet->data_off = 0;
		}
		bed_send(bed, &packet, 1);
	}
	bed_settle(bed, 20);
	assert_int_equal(stats_of(bed, 1).drops[VMQ_DROP_NO_HEADROOM], 10);
	assert_int_equal(stats_of(bed, 1).delivered, 10);
	assert_int_equal(stats_of(bed, 1).delivered_bytes, 10 * 64);
	bed_free(bed);
}

static void
what_a_backend_could_not_deliver_is_dropped_and_what_it_holds_waits(void **state)
{
	struct bed *bed = bed_make(&(struct bed_options){0});
	struct vmq_dp_queue_stats stats;

	(void)state;
	bed_send_to(bed, 1, 100);
	bed_settle(bed, 100);
	bed->queues[1].backend->failed = 30;
	bed->queues[1].backend->waiting = 20;
	stats = stats_of(bed, 1);
	assert_int_equal(stats.drops[VMQ_DROP_BACKEND], 30);
	assert_int_equal(stats.waiting, 20);
	assert_int_equal(stats.delivered, 50);
	bed_assert_balance(bed);
	bed_free(bed);
}

static void
nothing_is_delivered_after_stop_and_synchronize(bool remote)
{
	struct bed *bed = bed_make(&(struct bed_options){.remote = remote});
	struct bed_backend *backend = bed->queues[1].backend;
	unsigned int round;
	uint64_t total = 0;

	for (round = 0; round < 50; round++) {
		/* Sometimes with something waiting, and always with traffic. */
		backend->budget = round % 2 == 0 ? 5 : BED_ENDLESS;
		bed_send_to(bed, 1, 1 + unit_below(200));
		total = bed->next_number;
		vmq_dp_queue_run(bed->queues[1].dp, false);
		vmq_datapath_synchronize(bed->dp);
		backend->gone = true;
		backend->budget = BED_ENDLESS;
		bed_send_to(bed, 1, 32);
		total += 32;
		if (round % 10 == 0) {
			bed_settle(bed, total);
			assert_int_equal(stats_of(bed, 1).waiting, 0);
			unit_assert_pool_full(bed->queues[1].pool);
		} else {
			vmq_datapath_synchronize(bed->dp);
		}
		assert_int_equal(backend->late, 0);
		/* What is still in the ring may come when it runs again. */
		backend->gone = false;
		vmq_dp_queue_run(bed->queues[1].dp, true);
	}
	bed_settle(bed, total);
	assert_true(stats_of(bed, 1).drops[VMQ_DROP_STOPPED] > 0);
	bed_free(bed);
}

static void
a_stopped_queue_delivers_nothing_more(void **state)
{
	(void)state;
	nothing_is_delivered_after_stop_and_synchronize(false);
}

static void
a_stopped_queue_of_another_worker_delivers_nothing_more(void **state)
{
	(void)state;
	nothing_is_delivered_after_stop_and_synchronize(true);
}

/*
 * Filters of queues 1 and 2 move to and fro, queue 3 comes and goes, a new view
 * thousands of times, while packets flow: none is lost, none comes to the default
 * queue but what is queue 3's while it is away, none to queue 3 once it has been let
 * go of, and old views are freed.
 */
static void
publish_under_traffic(bool remote)
{
	enum { VIEWS = 3000, LET_GO_EVERY = 50 };
	struct bed *bed = bed_make(&(struct bed_options){.remote = remote});
	struct bed_queue *comes_and_goes = &bed->queues[3];
	struct rte_mbuf *packets[3];
	struct unit_census first, last;
	uint64_t total = 0, sent_to_3 = 0;
	unsigned int i;

	vmq_datapath_synchronize(bed->dp);
	unit_census_take(&first);
	for (i = 0; i < VIEWS; i++) {
		packets[0] = bed_packet(bed, 1);
		packets[1] = bed_packet(bed, 2);
		packets[2] = bed_packet(bed, 3);
		bed_send(bed, packets, 3);
		total += 3;
		sent_to_3++;
		assert_true(vmq_filter_move(bed->filters, bed->filter_ids[1], 1 + i % 2));
		assert_true(vmq_filter_move(bed->filters, bed->filter_ids[2], 2 - i % 2));
		if (i % LET_GO_EVERY == 0) {
			comes_and_goes->active = !comes_and_goes->active;
			if (comes_and_goes->active)
				comes_and_goes->backend->gone = false;
		}
		bed_publish(bed);
		if (i % LET_GO_EVERY == 0 && !comes_and_goes->active) {
			/* Nobody gathers for it any more; what waits is thrown away. */
			vmq_dp_queue_run(comes_and_goes->dp, false);
			vmq_datapath_synchronize(bed->dp);
			comes_and_goes->backend->gone = true;
			vmq_dp_queue_run(comes_and_goes->dp, true);
		}
	}
	bed_settle(bed, total);
	assert_int_equal(stats_of(bed, 1).received + stats_of(bed, 2).received, total - sent_to_3);
	assert_int_equal(stats_of(bed, 0).received + stats_of(bed, 3).received, sent_to_3);
	assert_int_equal(stats_of(bed, 0).dropped, 0);
	assert_int_equal(stats_of(bed, 1).dropped, 0);
	assert_int_equal(stats_of(bed, 2).dropped, 0);
	assert_int_equal(stats_of(bed, 3).dropped, stats_of(bed, 3).drops[VMQ_DROP_STOPPED]);
	assert_int_equal(comes_and_goes->backend->late, 0);
	/* Both queues had a share, so that moves were seen. */
	assert_true(stats_of(bed, 0).delivered > 0 && stats_of(bed, 3).delivered > 0);
	vmq_datapath_synchronize(bed->dp);
	unit_census_take(&last);
	assert_int_equal(last.allocations, first.allocations);
	bed_free(bed);
}

static void
views_are_exchanged_under_traffic_without_loss(void **state)
{
	(void)state;
	publish_under_traffic(false);
}

static void
views_are_exchanged_under_traffic_without_loss_for_another_worker(void **state)
{
	(void)state;
	publish_under_traffic(true);
}

static bool
old_views_are_freed(void *arg)
{
	const struct unit_census *first = ((void **)arg)[0];
	struct unit_census now;

	vmq_datapath_reclaim(((void **)arg)[1]);
	unit_census_take(&now);
	return now.allocations == first->allocations;
}

static void
many_old_views_are_freed_without_waiting_for_the_workers(void **state)
{
	struct bed *bed = bed_make(&(struct bed_options){0});
	struct unit_census first;
	void *arg[] = {&first, bed->dp};
	unsigned int i;

	(void)state;
	vmq_datapath_synchronize(bed->dp);
	unit_census_take(&first);
	for (i = 0; i < 1000; i++)
		bed_publish(bed);
	assert_true(unit_wait(old_views_are_freed, arg));
	bed_free(bed);
}

/* Queue 1 goes from worker to worker, with something waiting more often than not. */
static void
order_is_kept_when_a_queue_goes_from_worker_to_worker(void **state)
{
	struct bed *bed = bed_make(&(struct bed_options){0});
	struct vmq_dp_queue *queue = bed->queues[1].dp;
	unsigned int round;

	(void)state;
	for (round = 0; round < 100; round++) {
		bed->queues[1].backend->budget = round % 5 == 0 ? BED_ENDLESS : unit_below(20);
		bed_send_to(bed, 1, unit_below(40));
		vmq_dp_queue_serve(queue, VMQ_SERVE_NOBODY);
		vmq_datapath_synchronize(bed->dp);
		bed_send_to(bed, 1, unit_below(10));
		bed->options.remote = !bed->options.remote;
		vmq_dp_queue_serve(queue, bed->options.remote ? VMQ_SERVE_OTHER : VMQ_SERVE_SOURCE);
		bed_assign(bed, true);
		bed_publish(bed);
		bed_send_to(bed, 1, unit_below(40));
		bed->queues[1].backend->budget = BED_ENDLESS;
		if (round % 5 == 0) /* else what waits may use up the queue's memory */
			bed_settle(bed, bed->next_number);
	}
	bed_settle(bed, bed->next_number);
	assert_int_equal(stats_of(bed, 1).dropped, 0);
	assert_int_equal(stats_of(bed, 1).waiting, 0);
	bed_assert_seen(bed, 1, 0, bed->next_number, 1);
	bed_free(bed);
}

/* A filter moved to and fro takes its packets along, each to one of the two, in order. */
static void
a_moved_filter_keeps_the_order_of_its_packets_in_each_queue(void **state)
{
	struct bed *bed = bed_make(&(struct bed_options){0});
	const struct bed_backend *a = bed->queues[1].backend, *b = bed->queues[2].backend;
	uint32_t i, at_a = 0, at_b = 0;
	struct rte_mbuf *packet;

	(void)state;
	for (i = 0; i < 3000; i++) {
		packet = bed_packet(bed, 1);
		bed_send(bed, &packet, 1);
		if (i % 3 == 0) {
			assert_true(vmq_filter_move(bed->filters, bed->filter_ids[1],
				1 + i / 3 % 2));
			bed_publish(bed);
		}
	}
	bed_settle(bed, 3000);
	assert_int_equal(a->n_seen + b->n_seen, 3000);
	for (i = 0; i < 3000; i++) {
		if (at_a < a->n_seen && a->seen[at_a] == i)
			at_a++;
		else if (at_b < b->n_seen && b->seen[at_b] == i)
			at_b++;
		else
			fail_msg("packet %u is out of order, or twice in one queue", i);
	}
	bed_free(bed);
}

static void
a_default_queue_whose_backend_stalls_leaves_its_reserve(void **state)
{
	const struct bed_options options = {.one_pool = true, .reserve = 2048};
	struct bed *bed = bed_make(&options);
	struct vmq_dp_queue_stats stats;
	unsigned int round;

	(void)state;
	bed->queues[0].backend->budget = 0;
	for (round = 0; round < 20; round++) {
		bed_send_to(bed, 0, 250);
		bed_send_to(bed, 1, 250);
		bed_settle(bed, 500 * (round + 1));
	}
	stats = stats_of(bed, 0);
	assert_true(rte_mempool_avail_count(bed->source_pool) >= options.reserve);
	/* What is on its way counts as used: at most what a round sends. */
	assert_true(rte_mempool_avail_count(bed->source_pool) < options.reserve + 500 + VMQ_BURST);
	assert_int_equal(stats.waiting + rte_mempool_avail_count(bed->source_pool),
		BED_SOURCE_BUFFERS);
	assert_int_equal(stats.drops[VMQ_DROP_NO_BUFFER], 5000 - stats.waiting);
	assert_int_equal(stats_of(bed, 1).delivered, 5000);
	bed->queues[0].backend->budget = BED_ENDLESS;
	bed_settle(bed, 10000);
	assert_int_equal(stats_of(bed, 0).waiting, 0);
	unit_assert_pool_full(bed->source_pool);
	bed_free(bed);
}

static void
discard_throws_away_what_waits_and_counts_it(void **state)
{
	struct bed *bed = bed_make(&(struct bed_options){0});
	struct bed_backend *backend = bed->queues[1].backend;

	(void)state;
	backend->budget = 3;
	bed_send_to(bed, 1, 200);
	bed_settle(bed, 200);
	vmq_datapath_stop(bed->dp);
	assert_int_equal(stats_of(bed, 1).waiting, 197);
	vmq_dp_queue_discard(bed->queues[1].dp);
	assert_int_equal(stats_of(bed, 1).waiting, 0);
	assert_int_equal(stats_of(bed, 1).drops[VMQ_DROP_STOPPED], 197);
	bed_assert_balance(bed);
	unit_assert_pool_full(bed->queues[1].pool);
	vmq_dp_queue_discard(bed->queues[1].dp); /* has nothing more to do */
	assert_int_equal(stats_of(bed, 1).drops[VMQ_DROP_STOPPED], 197);
	bed_free(bed);
}

static void
workers_that_stop_go_on_where_they_were(void **state)
{
	struct bed *bed = bed_make(&(struct bed_options){.remote = true});

	(void)state;
	bed->queues[1].backend->budget = 10;
	bed_send_to(bed, 1, 100);
	bed_settle(bed, 100);
	vmq_datapath_stop(bed->dp);
	vmq_datapath_stop(bed->dp);
	bed->queues[1].backend->budget = BED_ENDLESS;
	bed_send_to(bed, 1, 50);
	nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	assert_int_equal(stats_of(bed, 1).delivered, 10);
	assert_int_equal(vmq_datapath_start(bed->dp), 0);
	bed_settle(bed, 150);
	bed_assert_seen(bed, 1, 0, 150, 1);
	bed_free(bed);
}

static bool
has_received(void *arg)
{
	const struct bed *bed = arg;
	static uint64_t last;
	uint64_t now = stats_of(bed, 1).delivered;

	if (now == last)
		return false;
	last = now;
	return true;
}

/* The driver holds the three frames of the file. */
static void
assert_all_home_but_the_drivers(const struct bed *bed)
{
	assert_int_equal(rte_mempool_in_use_count(bed->source_pool), 3);
	bed_assert_balance(bed);
}

static void
workers_that_stop_under_full_load_leave_nothing_gathered(void **state)
{
	char *path = bed_capture();
	struct bed *bed = bed_make(&(struct bed_options){.capture = path});
	unsigned int round;

	(void)state;
	for (round = 0; round < 30; round++) {
		assert_true(unit_wait(has_received, bed));
		vmq_datapath_stop(bed->dp);
		assert_all_home_but_the_drivers(bed);
		assert_int_equal(vmq_datapath_start(bed->dp), 0);
	}
	bed_free(bed);
	free(path);
}

static void
a_source_taken_from_its_worker_under_full_load_leaves_nothing_gathered(void **state)
{
	char *path = bed_capture();
	struct bed *bed = bed_make(&(struct bed_options){.capture = path});
	uint64_t received;
	unsigned int round;

	(void)state;
	for (round = 0; round < 30; round++) {
		assert_true(unit_wait(has_received, bed));
		bed_assign(bed, false);
		vmq_datapath_synchronize(bed->dp);
		assert_all_home_but_the_drivers(bed);
		received = stats_of(bed, 1).received;
		vmq_datapath_synchronize(bed->dp);
		assert_int_equal(stats_of(bed, 1).received, received);
		bed_assign(bed, true);
	}
	bed_free(bed);
	free(path);
}

struct drainage {
	struct bed *bed;
	struct vmq_dp_mark mark;
	uint64_t received; /* at the mark, or somewhat before */
	unsigned int bursts; /* until the next mark */
	_Atomic unsigned int marks;
	_Atomic unsigned int early; /* marks that were drained with something left of then */
};

/* The worker, with a burst in hand: packets are gathered, at some time more, at some less. */
static void
look_at_drainage(void *arg)
{
	struct drainage *d = arg;
	struct vmq_worker_stats worker;
	uint64_t delivered = VMQ_BURST;
	unsigned int i;

	if (d->bursts > 0) {
		if (--d->bursts > 0)
			return;
		vmq_worker_stats_get(d->bed->dp, 0, &worker);
		d->received = worker.packets;
		vmq_dp_source_mark(d->bed->source, &d->mark);
		return;
	}
	if (!vmq_dp_source_drained(d->bed->source, &d->mark, BED_DESCRIPTORS))
		return;
	for (i = 0; i < BED_QUEUES; i++)
		delivered += stats_of(d->bed, i).delivered;
	d->early += delivered < d->received + BED_DESCRIPTORS;
	d->bursts = 1 + ++d->marks % 61;
}

static bool
has_many_marks(void *arg)
{
	return ((struct drainage *)arg)->marks >= 1000;
}

/* A ring that never is empty: what was in it must have left, not only as much. */
static void
what_was_in_the_ring_has_been_delivered_when_it_is_drained(void **state)
{
	char *path = bed_capture();
	struct bed *bed = bed_make(&(struct bed_options){.capture = path});
	struct drainage drainage = {.bed = bed, .bursts = 1};

	(void)state;
	vmq_datapath_stop(bed->dp);
	bed->queues[1].backend->on_burst_arg = &drainage;
	bed->queues[1].backend->on_burst = look_at_drainage;
	assert_int_equal(vmq_datapath_start(bed->dp), 0);
	assert_true(unit_wait(has_many_marks, &drainage));
	vmq_datapath_stop(bed->dp);
	bed->queues[1].backend->on_burst = NULL;
	assert_int_equal(vmq_datapath_start(bed->dp), 0);
	assert_int_equal(drainage.early, 0);
	bed_free(bed);
	free(path);
}

static void
small_loads_make_full_bursts_when_the_port_is_busy(void **state)
{
	char *path = bed_capture();
	struct bed *bed = bed_make(&(struct bed_options){.capture = path});
	struct vmq_dp_queue_stats stats;
	unsigned int i;

	(void)state;
	for (i = 0; i < 100; i++)
		assert_true(unit_wait(has_received, bed));
	vmq_datapath_stop(bed->dp);
	for (i = 1; i < BED_QUEUES; i++) {
		stats = stats_of(bed, i);
		assert_true(stats.delivered > stats.bursts * (VMQ_BURST - 2));
	}
	bed_free(bed);
	free(path);
}

static _Atomic bool release_lcore;

static int
keep_lcore_busy(void *arg)
{
	(void)arg;
	while (!release_lcore)
		rte_pause();
	return 0;
}

static void
workers_do_not_start_on_an_lcore_that_is_busy(void **state)
{
	struct vmq_datapath *dp = vmq_datapath_create(unit_lcores, UNIT_WORKERS);

	(void)state;
	release_lcore = false;
	assert_int_equal(rte_eal_remote_launch(keep_lcore_busy, NULL, unit_lcores[1]), 0);
	assert_int_equal(vmq_datapath_start(dp), -EBUSY);
	/* The first worker is not left running. */
	assert_int_equal(rte_eal_get_lcore_state(unit_lcores[0]), WAIT);
	assert_int_equal(rte_eal_get_lcore_state(unit_lcores[1]), RUNNING);
	release_lcore = true;
	assert_int_equal(rte_eal_wait_lcore(unit_lcores[1]), 0);
	assert_int_equal(vmq_datapath_start(dp), 0);
	vmq_datapath_synchronize(dp);
	vmq_datapath_stop(dp);
	vmq_datapath_free(dp);
	vmq_datapath_free(NULL);
}

static void
a_view_that_was_never_published_is_freed_with_its_classifier(void **state)
{
	const struct vmq_classifier_queue queue = {.active = true};
	struct vmq_filter_set *set = vmq_filter_set_create();
	struct unit_census before;
	struct vmq_dp_view *view;

	(void)state;
	unit_census_take(&before);
	view = vmq_dp_view_create(5, SOCKET_ID_ANY);
	assert_int_equal(view->n_queues, 5);
	assert_null(view->queues[4]);
	view->classifier = vmq_classifier_build(set, &queue, 1, SOCKET_ID_ANY);
	vmq_dp_view_free(view);
	vmq_dp_view_free(NULL);
	vmq_dp_source_free(NULL);
	vmq_dp_queue_free(NULL);
	vmq_filter_set_free(set);
	unit_assert_nothing_left(&before);
}

/* More than a page has, taken and put back in any order. */
static void
what_queues_have_in_one_line_comes_from_few_pages(void **state)
{
	struct fast *lines[200], *last = NULL;
	struct unit_census before;
	unsigned int i, pages = 0;

	(void)state;
	unit_census_take(&before);
	for (i = 0; i < RTE_DIM(lines); i++) {
		lines[i] = fast_alloc(SOCKET_ID_ANY);
		assert_non_null(lines[i]);
		assert_int_equal((uintptr_t)lines[i] % RTE_CACHE_LINE_SIZE, 0);
		assert_int_equal(lines[i]->special, 0);
		memset(lines[i], 0xff, sizeof(*lines[i]));
		pages += last == NULL || lines[i] != last + 1;
		last = lines[i];
	}
	assert_true(pages <= 4);
	for (i = 0; i < RTE_DIM(lines); i += 3)
		fast_free(lines[i]);
	for (i = 0; i < RTE_DIM(lines); i += 3) {
		lines[i] = fast_alloc(SOCKET_ID_ANY);
		assert_non_null(lines[i]);
		assert_int_equal(lines[i]->special, 0);
		assert_int_equal(lines[i]->delivered, 0);
		memset(lines[i], 0xff, sizeof(*lines[i]));
	}
	/* None was given away twice: nobody has written over the others'. */
	for (i = 0; i < RTE_DIM(lines); i++) {
		assert_int_equal(lines[i]->special, UINT32_MAX);
		memset(lines[i], 0, sizeof(*lines[i]));
	}
	for (i = 0; i < RTE_DIM(lines); i++)
		fast_free(lines[(i * 7) % RTE_DIM(lines)]);
	fast_free(NULL);
	unit_assert_nothing_left(&before);
}

#define bed_test(f) cmocka_unit_test_teardown(f, bed_abandon)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(each_drop_has_a_name_and_a_meaning),
		bed_test(packets_go_to_the_queues_of_their_filters_in_order),
		bed_test(a_queue_that_gets_nothing_shows_zeros),
		bed_test(what_comes_to_a_queue_that_does_not_run_is_dropped_as_stopped),
		bed_test(order_is_kept_when_a_backend_refuses_and_resumes),
		bed_test(order_is_kept_when_a_backend_takes_parts_of_bursts),
		bed_test(order_is_kept_when_another_worker_serves_the_queue),
		bed_test(order_is_kept_with_another_worker_and_parts_of_bursts),
		bed_test(a_queue_that_uses_up_its_memory_harms_no_other),
		bed_test(a_queue_of_another_worker_that_uses_up_its_memory_harms_no_other),
		bed_test(a_backend_that_holds_gets_packets_of_the_queues_own_memory),
		bed_test(a_copy_has_all_bytes_and_what_the_nic_said),
		bed_test(the_copy_of_a_packet_in_an_external_buffer_is_an_ordinary_one),
		bed_test(a_tag_without_headroom_to_go_back_into_is_a_named_drop),
		bed_test(what_a_backend_could_not_deliver_is_dropped_and_what_it_holds_waits),
		bed_test(a_stopped_queue_delivers_nothing_more),
		bed_test(a_stopped_queue_of_another_worker_delivers_nothing_more),
		bed_test(views_are_exchanged_under_traffic_without_loss),
		bed_test(views_are_exchanged_under_traffic_without_loss_for_another_worker),
		bed_test(many_old_views_are_freed_without_waiting_for_the_workers),
		bed_test(order_is_kept_when_a_queue_goes_from_worker_to_worker),
		bed_test(a_moved_filter_keeps_the_order_of_its_packets_in_each_queue),
		bed_test(a_default_queue_whose_backend_stalls_leaves_its_reserve),
		bed_test(discard_throws_away_what_waits_and_counts_it),
		bed_test(workers_that_stop_go_on_where_they_were),
		bed_test(workers_that_stop_under_full_load_leave_nothing_gathered),
		bed_test(
			a_source_taken_from_its_worker_under_full_load_leaves_nothing_gathered),
		bed_test(what_was_in_the_ring_has_been_delivered_when_it_is_drained),
		bed_test(small_loads_make_full_bursts_when_the_port_is_busy),
		bed_test(workers_do_not_start_on_an_lcore_that_is_busy),
		bed_test(a_view_that_was_never_published_is_freed_with_its_classifier),
		bed_test(what_queues_have_in_one_line_comes_from_few_pages),
	};

	return cmocka_run_group_tests_name("datapath", tests, unit_start, unit_stop);
}
