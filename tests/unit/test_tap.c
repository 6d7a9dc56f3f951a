/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Copies of a queue's packets: what is delivered and what is dropped, on the test bed. */

#include "bed.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ALL_DROPS                                                                                  \
	(VMQ_TAP_DROP(VMQ_DROP_STOPPED) | VMQ_TAP_DROP(VMQ_DROP_NO_BUFFER) |                       \
		VMQ_TAP_DROP(VMQ_DROP_NO_HEADROOM))
#define ENOUGH 9000

/* The number that bed_packet() has written behind the header. */
static uint32_t
number_of(const struct vmq_dp_tap_packet *packet)
{
	uint32_t number;

	assert_true(packet->kept >= RTE_ETHER_HDR_LEN + sizeof(number));
	memcpy(&number, (const uint8_t *)packet->data + RTE_ETHER_HDR_LEN, sizeof(number));
	return number;
}

static struct vmq_dp_tap *
tap_on(struct bed *bed, unsigned int queue, uint64_t what, uint32_t snaplen)
{
	struct vmq_dp_tap *tap = vmq_dp_tap_create(bed->dp, what, snaplen, 0);

	assert_non_null(tap);
	vmq_dp_queue_set_tap(bed->queues[queue].dp, tap);
	assert_ptr_equal(vmq_dp_queue_tap(bed->queues[queue].dp), tap);
	return tap;
}

/* Let go of the queue and wait until no worker writes. */
static void
end(struct bed *bed, unsigned int queue, struct vmq_dp_tap *tap)
{
	const struct timespec moment = {.tv_nsec = 100000};

	vmq_dp_queue_set_tap(bed->queues[queue].dp, NULL);
	while (!vmq_dp_tap_is_quiet(tap))
		nanosleep(&moment, NULL);
}

static void
what_is_delivered_is_seen_in_order(void **state)
{
	struct bed *bed = bed_make(&(struct bed_options){.remote = *(bool *)*state});
	struct vmq_dp_tap *tap = tap_on(bed, 1, VMQ_TAP_DELIVERED, ENOUGH);
	struct rte_mbuf *packets[2];
	struct vmq_dp_tap_packet packet;
	uint64_t last_ns = 0;
	const unsigned int n = 400; /* its memory holds them all */
	unsigned int i;

	for (i = 0; i < n; i++) {
		packets[0] = bed_packet(bed, 1);
		packets[1] = bed_packet(bed, 2); /* not looked at */
		bed_send(bed, packets, 2);
	}
	bed_settle(bed, 2 * n);
	end(bed, 1, tap);
	for (i = 0; vmq_dp_tap_next(tap, &packet); i++) {
		assert_int_equal(number_of(&packet), 2 * i);
		assert_int_equal(packet.length, 60);
		assert_int_equal(packet.kept, 60);
		assert_null(packet.drop);
		assert_false(packet.from_vm);
		assert_true(packet.time_ns >= last_ns && packet.time_ns > 0);
		last_ns = packet.time_ns;
	}
	assert_int_equal(i, n);
	assert_int_equal(vmq_dp_tap_lost(tap), 0);
	vmq_dp_tap_free(tap);
	bed_assert_seen(bed, 1, 0, n, 2);
	bed_free(bed);
}

static void
what_a_backend_leaves_is_seen_once(void **state)
{
	struct bed *bed = bed_make(&(struct bed_options){0});
	struct vmq_dp_tap *tap;
	struct vmq_dp_tap_packet packet;
	unsigned int i;

	(void)state;
	bed->queues[1].backend->part = 5; /* of each burst */
	tap = tap_on(bed, 1, VMQ_TAP_DELIVERED, ENOUGH);
	bed_send_to(bed, 1, 500);
	bed_settle(bed, 500);
	end(bed, 1, tap);
	for (i = 0; vmq_dp_tap_next(tap, &packet); i++)
		assert_int_equal(number_of(&packet), i);
	assert_int_equal(i, 500);
	vmq_dp_tap_free(tap);
	bed_free(bed);
}

static void
what_is_dropped_is_seen_with_its_reason(void **state)
{
	struct bed *bed = bed_make(&(struct bed_options){0});
	struct vmq_dp_tap *tap = tap_on(bed, 1, ALL_DROPS, ENOUGH);
	struct vmq_dp_queue_stats stats;
	struct vmq_dp_tap_packet packet;
	uint32_t no_buffer = 0, stopped = 0;

	(void)state;
	bed->queues[1].backend->budget = 0; /* takes nothing: its memory is used up */
	bed_send_to(bed, 1, 2 * BED_QUEUE_BUFFERS);
	bed_settle(bed, 2 * BED_QUEUE_BUFFERS);
	vmq_dp_queue_run(bed->queues[1].dp, false); /* what waits is thrown away */
	bed_send_to(bed, 1, 10);
	bed_settle(bed, 2 * BED_QUEUE_BUFFERS + 10);
	end(bed, 1, tap);
	while (vmq_dp_tap_next(tap, &packet)) {
		assert_non_null(packet.drop);
		no_buffer += strcmp(packet.drop, "no_buffer") == 0;
		stopped += strcmp(packet.drop, "stopped") == 0;
	}
	bed_stats(bed, 1, &stats);
	assert_true(no_buffer > 0 && stopped > 10);
	assert_int_equal(no_buffer, stats.drops[VMQ_DROP_NO_BUFFER]);
	assert_int_equal(stopped, stats.drops[VMQ_DROP_STOPPED]);
	assert_int_equal(vmq_dp_tap_lost(tap), 0);
	vmq_dp_tap_free(tap);
	bed_free(bed);
}

static void
a_reason_that_was_not_asked_for_is_not_seen(void **state)
{
	struct bed *bed = bed_make(&(struct bed_options){0});
	struct vmq_dp_tap *tap = tap_on(bed, 1, VMQ_TAP_DROP(VMQ_DROP_NO_HEADROOM), ENOUGH);
	struct vmq_dp_tap_packet packet;

	(void)state;
	vmq_dp_queue_run(bed->queues[1].dp, false);
	bed_send_to(bed, 1, 10);
	bed_settle(bed, 10);
	end(bed, 1, tap);
	assert_false(vmq_dp_tap_next(tap, &packet));
	vmq_dp_tap_free(tap);
	bed_free(bed);
}

/* Nobody reads: what there is no room for is counted, and the queue loses nothing. */
static void
a_full_tap_counts_what_it_loses(void **state)
{
	struct bed *bed = bed_make(&(struct bed_options){0});
	struct vmq_dp_tap *tap = tap_on(bed, 1, VMQ_TAP_DELIVERED, ENOUGH);
	const unsigned int n = BED_SEEN_MAX;
	struct vmq_dp_queue_stats stats;
	struct vmq_dp_tap_packet packet;
	uint32_t got = 0;

	(void)state;
	bed_send_to(bed, 1, n);
	bed_settle(bed, n);
	end(bed, 1, tap);
	while (vmq_dp_tap_next(tap, &packet))
		assert_int_equal(number_of(&packet), got++);
	bed_stats(bed, 1, &stats);
	assert_int_equal(stats.delivered, n);
	assert_true(got > 1000 && got < n);
	assert_int_equal(got + vmq_dp_tap_lost(tap), n);
	vmq_dp_tap_free(tap);
	bed_free(bed);
}

/* Read while it is written: the ring turns over many times, and each packet comes once. */
static void
a_ring_that_turns_over_keeps_every_packet(void **state)
{
	struct bed *bed = bed_make(&(struct bed_options){0});
	struct vmq_dp_tap *tap = tap_on(bed, 1, VMQ_TAP_DELIVERED, ENOUGH);
	struct vmq_dp_tap_packet packet;
	struct rte_mbuf *one;
	unsigned int i, n = 60000;
	uint32_t got = 0;

	(void)state;
	for (i = 0; i < n; i++) {
		one = bed_packet(bed, 1);
		/* Lengths of all kinds, so that records end everywhere. */
		assert_non_null(rte_pktmbuf_append(one, (uint16_t)(i * 7 % 400)));
		bed_send(bed, &one, 1);
		if (i % 100 != 0)
			continue;
		while (vmq_dp_tap_next(tap, &packet)) {
			assert_int_equal(number_of(&packet), got);
			assert_int_equal(packet.length, 60 + got * 7 % 400);
			got++;
		}
	}
	bed_settle(bed, n);
	end(bed, 1, tap);
	while (vmq_dp_tap_next(tap, &packet))
		assert_int_equal(number_of(&packet), got++);
	assert_int_equal(got + vmq_dp_tap_lost(tap), n);
	assert_int_equal(vmq_dp_tap_lost(tap), 0);
	vmq_dp_tap_free(tap);
	bed_free(bed);
}

static void
a_long_packet_is_cut_and_its_length_kept(void **state)
{
	struct bed *bed = bed_make(&(struct bed_options){0});
	struct vmq_dp_tap *tap = tap_on(bed, 1, VMQ_TAP_DELIVERED, 20);
	struct vmq_dp_tap_packet packet;

	(void)state;
	bed_send_to(bed, 1, 3);
	bed_settle(bed, 3);
	end(bed, 1, tap);
	assert_true(vmq_dp_tap_next(tap, &packet));
	assert_int_equal(packet.length, 60);
	assert_int_equal(packet.kept, 20);
	vmq_dp_tap_free(tap); /* with packets that nobody has read */
	bed_free(bed);
}

static void
what_a_vm_may_not_send_is_seen(void **state)
{
	struct bed *bed = bed_make(&(struct bed_options){.sends = true});
	const uint64_t what = VMQ_TAP_TX_DROP(VMQ_TX_DROP_MALFORMED) | VMQ_TAP_DELIVERED;
	struct vmq_dp_tap *tap = tap_on(bed, 1, what, ENOUGH);
	struct vmq_dp_tap_packet packet;
	struct rte_mbuf *bad;

	(void)state;
	bad = rte_pktmbuf_alloc(bed->queues[1].xmit_pool);
	assert_non_null(bad);
	memset(rte_pktmbuf_append(bad, 60), 0xff, 60); /* from a broadcast address */
	bed_vm_sends(bed, 1, bad);
	bed_settle_sent(bed);
	end(bed, 1, tap);
	assert_true(vmq_dp_tap_next(tap, &packet));
	assert_string_equal(packet.drop, "malformed");
	assert_true(packet.from_vm);
	assert_false(vmq_dp_tap_next(tap, &packet));
	vmq_dp_tap_free(tap);
	bed_free(bed);
}

/*
 * A bound on its time: the queue has all of its packets, the tap those that the time to begin
 * with is enough for, which the speed of the machine decides, and then hardly one.
 */
static void
a_tap_without_time_loses_packets_and_says_how_many(void **state)
{
	struct bed *bed = bed_make(&(struct bed_options){0});
	struct vmq_dp_tap *tap = vmq_dp_tap_create(bed->dp, VMQ_TAP_DELIVERED, ENOUGH, UINT32_MAX);
	const unsigned int batch = 20000; /* its ring has room for them all */
	unsigned int n = 0, got = 0, got_then;
	struct vmq_dp_queue_stats stats;
	struct vmq_dp_tap_packet packet;

	(void)state;
	assert_non_null(tap);
	vmq_dp_queue_set_tap(bed->queues[1].dp, tap);
	do {
		got_then = got;
		bed_send_to(bed, 1, batch);
		n += batch;
		bed_settle(bed, n);
		while (vmq_dp_tap_next(tap, &packet))
			got++;
		assert_true(n < 200 * batch); /* 2 ms are not enough for four million */
	} while (got - got_then >= batch / 10);
	end(bed, 1, tap);
	while (vmq_dp_tap_next(tap, &packet))
		got++;
	assert_true(got > 0);
	assert_int_equal(got + vmq_dp_tap_lost(tap), n);
	bed_stats(bed, 1, &stats);
	assert_int_equal(stats.delivered, n);
	vmq_dp_tap_free(tap);
	bed_free(bed);
}

int
main(void)
{
	static bool here = false, remote = true;
	const struct CMUnitTest tests[] = {
		{"what_is_delivered_is_seen_in_order", what_is_delivered_is_seen_in_order, NULL,
			bed_abandon, &here},
		{"what_is_delivered_by_another_worker_is_seen_in_order",
			what_is_delivered_is_seen_in_order, NULL, bed_abandon, &remote},
		cmocka_unit_test_teardown(what_a_backend_leaves_is_seen_once, bed_abandon),
		cmocka_unit_test_teardown(what_is_dropped_is_seen_with_its_reason, bed_abandon),
		cmocka_unit_test_teardown(a_reason_that_was_not_asked_for_is_not_seen, bed_abandon),
		cmocka_unit_test_teardown(a_full_tap_counts_what_it_loses, bed_abandon),
		cmocka_unit_test_teardown(a_ring_that_turns_over_keeps_every_packet, bed_abandon),
		cmocka_unit_test_teardown(a_tap_without_time_loses_packets_and_says_how_many,
			bed_abandon),
		cmocka_unit_test_teardown(a_long_packet_is_cut_and_its_length_kept, bed_abandon),
		cmocka_unit_test_teardown(what_a_vm_may_not_send_is_seen, bed_abandon),
	};

	return cmocka_run_group_tests_name("tap", tests, unit_start, unit_stop);
}
