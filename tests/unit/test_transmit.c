/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* What VMs send, on the test bed of bed.h: queue n has the MAC 02:00:00:00:00:n. */

#include "bed.h"

#include <string.h>

#define FRAME_BYTES 60
#define WIRE_MAX 64
#define EXPERIMENTS 0x88b5 /* an EtherType */
#define UNTAGGED (-1)

static const uint8_t somebody[] = {2, 0, 0, 0, 0, 0xee}; /* has no filter */
static const uint8_t everybody[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t ipv6_nodes[] = {0x33, 0x33, 0, 0, 0, 1};

static const uint8_t *
mac_of(unsigned int queue)
{
	static uint8_t macs[BED_QUEUES][RTE_ETHER_ADDR_LEN];

	macs[queue][0] = 2;
	macs[queue][5] = (uint8_t)queue;
	return macs[queue];
}

static void
put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* A frame with the next number, and a tag unless tci is UNTAGGED. Returns its length. */
static uint16_t
make_frame(struct bed *bed, uint8_t bytes[FRAME_BYTES], const uint8_t *to, const uint8_t *from,
	int tci)
{
	const uint32_t number = bed->next_number++;
	uint8_t *at = bytes + 12;

	memset(bytes, 0, FRAME_BYTES);
	memcpy(bytes, to, 6);
	memcpy(bytes + 6, from, 6);
	if (tci != UNTAGGED) {
		put16(at, 0x8100);
		put16(at + 2, (uint16_t)tci);
		at += 4;
	}
	put16(at, EXPERIMENTS);
	memcpy(at + 2, &number, sizeof(number));
	return FRAME_BYTES;
}

static bool
has_room(void *pool)
{
	return rte_mempool_avail_count(pool) > 0;
}

/* Let a queue's VM send one frame. */
static void
vm_sends(struct bed *bed, unsigned int queue, const uint8_t *to, const uint8_t *from, int tci)
{
	uint8_t bytes[FRAME_BYTES];
	uint16_t length = make_frame(bed, bytes, to, from, tci);

	assert_true(unit_wait(has_room, bed->queues[queue].xmit_pool));
	bed_vm_sends(bed, queue, unit_packet(bed->queues[queue].xmit_pool, bytes, length));
}

static struct vmq_dp_tx_stats
tx_of(const struct bed *bed, unsigned int queue)
{
	struct vmq_dp_tx_stats stats;

	vmq_dp_queue_tx_stats_get(bed->queues[queue].dp, &stats);
	return stats;
}

static struct vmq_dp_queue_stats
rx_of(const struct bed *bed, unsigned int queue)
{
	struct vmq_dp_queue_stats stats;

	bed_stats(bed, queue, &stats);
	return stats;
}

static struct bed *
make(bool remote)
{
	return bed_make(&(struct bed_options){.sends = true, .remote = remote});
}

/* Give a queue one filter instead of the bed's. */
static void
set_filter(struct bed *bed, unsigned int queue, struct vmq_filter_match match)
{
	if (bed->filter_ids[queue] != 0)
		vmq_filter_del(bed->filters, bed->filter_ids[queue]);
	if (match.has_mac)
		memcpy(match.mac.addr_bytes, mac_of(queue), sizeof(match.mac.addr_bytes));
	assert_int_equal(vmq_filter_add(bed->filters, (uint16_t)queue, &match,
		&bed->filter_ids[queue], NULL), VMQ_STATUS_SUCCESS);
	bed->queues[queue].member.native_vlan =
		match.vlan_test == VMQ_VLAN_ID ? match.vlan_id : 0;
	bed->queues[queue].member.trunk = bed->queues[queue].keep_tags;
}

static void
set_vlan(struct bed *bed, unsigned int queue, uint16_t vlan)
{
	set_filter(bed, queue, (struct vmq_filter_match){
		.has_mac = true, .vlan_test = VMQ_VLAN_ID, .vlan_id = vlan});
}

/* The only frame on the wire: its tag, or UNTAGGED. */
static int
tag_on_the_wire(struct bed *bed)
{
	struct rte_mbuf *packets[WIRE_MAX];
	const uint8_t *data;
	int tag = UNTAGGED;

	assert_int_equal(bed_wire(bed, packets, WIRE_MAX), 1);
	data = rte_pktmbuf_mtod(packets[0], const uint8_t *);
	assert_false(packets[0]->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED);
	if (data[12] == 0x81 && data[13] == 0x00)
		tag = data[14] << 8 | data[15];
	assert_int_equal(packets[0]->pkt_len, FRAME_BYTES + (tag != UNTAGGED ? 4 : 0));
	rte_pktmbuf_free(packets[0]);
	return tag;
}

static void
assert_dropped(struct bed *bed, unsigned int queue, enum vmq_tx_drop reason, uint64_t n)
{
	struct rte_mbuf *packets[WIRE_MAX];
	struct vmq_dp_tx_stats stats;

	bed_settle_sent(bed);
	stats = tx_of(bed, queue);
	if (stats.drops[reason] != n)
		fail_msg("%s: %lu, not %lu", vmq_tx_drop_name(reason),
			(unsigned long)stats.drops[reason], (unsigned long)n);
	assert_int_equal(bed_wire(bed, packets, WIRE_MAX), 0);
}

static void
each_drop_has_a_name_and_a_meaning(void **state)
{
	unsigned int i, j;

	(void)state;
	for (i = 0; i < VMQ_TX_DROP_COUNT; i++) {
		assert_true(strlen(vmq_tx_drop_name((enum vmq_tx_drop)i)) > 3);
		assert_true(strlen(vmq_tx_drop_help((enum vmq_tx_drop)i)) > 20);
		for (j = 0; j < i; j++)
			assert_string_not_equal(vmq_tx_drop_name((enum vmq_tx_drop)i),
				vmq_tx_drop_name((enum vmq_tx_drop)j));
	}
	assert_null(vmq_tx_drop_name(VMQ_TX_DROP_COUNT));
	assert_null(vmq_tx_drop_help(VMQ_TX_DROP_COUNT));
}

/* All that one VM sends, to the wire and to others in turn. */
static void
send_everywhere(bool remote)
{
	enum { ROUNDS = 400 };
	struct bed *bed = make(remote);
	struct rte_mbuf *packets[ROUNDS];
	struct vmq_dp_tx_stats stats;
	uint32_t number, got = 0;
	uint16_t i, j, n;

	for (i = 0; i < ROUNDS; i++) {
		vm_sends(bed, 1, somebody, mac_of(1), UNTAGGED);
		vm_sends(bed, 1, mac_of(2), mac_of(1), UNTAGGED);
		vm_sends(bed, 1, mac_of(3), mac_of(1), UNTAGGED);
		if (i + 1 == ROUNDS)
			bed_settle_sent(bed);
		n = bed_wire(bed, packets, RTE_DIM(packets));
		for (j = 0; j < n; j++) {
			memcpy(&number, rte_pktmbuf_mtod_offset(packets[j], void *, 14), 4);
			assert_int_equal(number, 3 * got++);
		}
		rte_pktmbuf_free_bulk(packets, n);
	}
	assert_int_equal(got, ROUNDS);
	bed_settle(bed, 2 * ROUNDS);
	stats = tx_of(bed, 1);
	assert_int_equal(stats.received, 3 * ROUNDS);
	assert_int_equal(stats.received_bytes, 3 * ROUNDS * FRAME_BYTES);
	assert_int_equal(stats.sent, ROUNDS);
	assert_int_equal(stats.sent_bytes, ROUNDS * FRAME_BYTES);
	assert_int_equal(stats.local, 2 * ROUNDS);
	assert_int_equal(stats.dropped, 0);
	bed_assert_seen(bed, 2, 1, ROUNDS, 3);
	bed_assert_seen(bed, 3, 2, ROUNDS, 3);
	assert_int_equal(rx_of(bed, 2).received, ROUNDS);
	assert_int_equal(rx_of(bed, 0).received, 0);
	bed_free(bed);
}

static void
what_a_filter_claims_stays_here_and_the_rest_goes_to_the_wire(void **state)
{
	(void)state;
	send_everywhere(false);
}

static void
so_it_is_with_queues_of_another_worker(void **state)
{
	(void)state;
	send_everywhere(true);
}

static void
a_source_that_is_not_the_queues_is_dropped_as_spoofed(void **state)
{
	static const uint8_t group[] = {3, 0, 0, 0, 0, 1}, zero[6];
	struct bed *bed = make(false);

	(void)state;
	vm_sends(bed, 1, somebody, mac_of(2), UNTAGGED); /* another queue's */
	vm_sends(bed, 1, mac_of(2), somebody, UNTAGGED); /* nobody's */
	assert_dropped(bed, 1, VMQ_TX_DROP_SPOOFED_MAC, 2);
	vm_sends(bed, 1, somebody, group, UNTAGGED);
	vm_sends(bed, 1, somebody, zero, UNTAGGED);
	assert_dropped(bed, 1, VMQ_TX_DROP_MALFORMED, 2);
	/* The default queue sends from addresses that are nobody's, and from no others. */
	vm_sends(bed, 0, mac_of(2), mac_of(1), UNTAGGED);
	assert_dropped(bed, 0, VMQ_TX_DROP_SPOOFED_MAC, 1);
	vm_sends(bed, 0, mac_of(2), somebody, UNTAGGED);
	bed_settle(bed, 1);
	assert_int_equal(rx_of(bed, 2).delivered, 1);
	/* Nobody looks where it was told not to. */
	vmq_dp_queue_anti_spoof(bed->queues[1].dp, false);
	vm_sends(bed, 1, mac_of(2), somebody, UNTAGGED);
	bed_settle(bed, 2);
	assert_int_equal(tx_of(bed, 1).dropped, 4);
	bed_free(bed);
}

static void
an_access_queue_gets_its_tag_inserted_and_sends_none_of_its_own(void **state)
{
	struct bed *bed = make(false);
	unsigned int i;

	(void)state;
	set_vlan(bed, 1, 100);
	set_vlan(bed, 2, 100);
	set_vlan(bed, 3, 200);
	bed_publish(bed);
	vmq_datapath_synchronize(bed->dp);
	vm_sends(bed, 1, somebody, mac_of(1), UNTAGGED);
	bed_settle_sent(bed);
	assert_int_equal(tag_on_the_wire(bed), 100);
	assert_int_equal(tx_of(bed, 1).sent_bytes, FRAME_BYTES + 4);
	/* A priority without a VLAN keeps the priority. */
	vm_sends(bed, 1, somebody, mac_of(1), 5 << 13);
	bed_settle_sent(bed);
	{
		struct rte_mbuf *packet;

		assert_int_equal(bed_wire(bed, &packet, 1), 1);
		assert_int_equal(packet->pkt_len, FRAME_BYTES);
		assert_memory_equal(rte_pktmbuf_mtod_offset(packet, uint8_t *, 12),
			"\x81\x00\xa0\x64\x88\xb5", 6);
		rte_pktmbuf_free(packet);
	}
	/* Its neighbour of the VLAN gets it untagged; who is of another VLAN does not. */
	vm_sends(bed, 1, mac_of(2), mac_of(1), UNTAGGED);
	bed_settle(bed, 1);
	assert_int_equal(rx_of(bed, 2).delivered_bytes, FRAME_BYTES);
	vm_sends(bed, 1, mac_of(3), mac_of(1), UNTAGGED);
	bed_settle_sent(bed);
	assert_int_equal(tag_on_the_wire(bed), 100);
	assert_int_equal(rx_of(bed, 3).received, 0);
	for (i = 0; i < 2; i++) /* its own VLAN's tag as little as another's */
		vm_sends(bed, 1, mac_of(3), mac_of(1), i == 0 ? 100 : 200);
	assert_dropped(bed, 1, VMQ_TX_DROP_SPOOFED_VLAN, 2);
	bed_free(bed);
}

static void
a_trunk_queue_sends_the_tags_of_its_vlans_and_no_others(void **state)
{
	struct bed *bed = make(false);

	(void)state;
	bed->queues[1].keep_tags = true;
	set_vlan(bed, 1, 100);
	set_vlan(bed, 2, 100);
	bed_publish(bed);
	vmq_datapath_synchronize(bed->dp);
	vm_sends(bed, 1, somebody, mac_of(1), 100);
	bed_settle_sent(bed);
	{
		struct rte_mbuf *packet;

		assert_int_equal(bed_wire(bed, &packet, 1), 1);
		assert_int_equal(packet->pkt_len, FRAME_BYTES);
		rte_pktmbuf_free(packet);
	}
	/* To an access queue without the tag, and back with it. */
	vm_sends(bed, 1, mac_of(2), mac_of(1), 100);
	bed_settle(bed, 1);
	assert_int_equal(rx_of(bed, 2).delivered_bytes, FRAME_BYTES - 4);
	vm_sends(bed, 2, mac_of(1), mac_of(2), UNTAGGED);
	bed_settle(bed, 2);
	assert_int_equal(rx_of(bed, 1).delivered_bytes, FRAME_BYTES + 4);
	vm_sends(bed, 1, somebody, mac_of(1), 200);
	vm_sends(bed, 1, somebody, mac_of(1), UNTAGGED);
	assert_dropped(bed, 1, VMQ_TX_DROP_SPOOFED_VLAN, 2);
	bed_free(bed);
}

static void
what_is_no_frame_goes_nowhere(void **state)
{
	static const uint16_t lengths[] = {1, 13, 14, 17, 18};
	struct bed *bed = make(false);
	uint8_t bytes[FRAME_BYTES];
	struct rte_mbuf *packet;
	unsigned int i;

	(void)state;
	bed->queues[1].keep_tags = true;
	set_filter(bed, 1, (struct vmq_filter_match){.has_mac = true});
	bed_publish(bed);
	vmq_datapath_synchronize(bed->dp);
	make_frame(bed, bytes, somebody, mac_of(1), 100);
	for (i = 0; i < RTE_DIM(lengths); i++)
		bed_vm_sends(bed, 1, unit_packet(bed->queues[1].xmit_pool, bytes, lengths[i]));
	bed_settle_sent(bed);
	assert_int_equal(tx_of(bed, 1).drops[VMQ_TX_DROP_MALFORMED], 4);
	assert_int_equal(tx_of(bed, 1).sent, 1);
	assert_int_equal(bed_wire(bed, &packet, 1), 1);
	rte_pktmbuf_free(packet);
	vm_sends(bed, 1, mac_of(1), mac_of(1), UNTAGGED);
	assert_dropped(bed, 1, VMQ_TX_DROP_OWN_ADDRESS, 1);
	bed_free(bed);
}

static void
a_frame_longer_than_the_mtu_is_dropped_and_one_as_long_is_not(void **state)
{
	struct bed *bed = make(false);
	uint16_t lengths[] = {500, 500, 500, 14, 0};
	uint8_t bytes[1515] = {0};
	struct rte_mbuf *packet;

	(void)state;
	make_frame(bed, bytes, somebody, mac_of(1), UNTAGGED);
	bed_vm_sends(bed, 1, unit_chain(bed->queues[1].xmit_pool, bytes, lengths));
	bed_settle_sent(bed);
	assert_int_equal(bed_wire(bed, &packet, 1), 1);
	unit_assert_bytes(packet, bytes, 1514);
	rte_pktmbuf_free(packet);
	lengths[3]++;
	bed_vm_sends(bed, 1, unit_chain(bed->queues[1].xmit_pool, bytes, lengths));
	assert_dropped(bed, 1, VMQ_TX_DROP_TOO_LONG, 1);
	bed_free(bed);
}

static void
a_queue_that_does_not_run_sends_nothing(void **state)
{
	struct bed *bed = make(false);

	(void)state;
	vmq_dp_queue_run(bed->queues[1].dp, false);
	vmq_datapath_synchronize(bed->dp);
	vm_sends(bed, 1, somebody, mac_of(1), UNTAGGED);
	vm_sends(bed, 1, mac_of(2), mac_of(1), UNTAGGED);
	assert_dropped(bed, 1, VMQ_TX_DROP_STOPPED, 2);
	assert_int_equal(rx_of(bed, 2).received, 0);
	vmq_dp_queue_run(bed->queues[1].dp, true);
	vmq_datapath_synchronize(bed->dp); /* a worker in the midst of refusing has ended that */
	vm_sends(bed, 1, mac_of(2), mac_of(1), UNTAGGED);
	bed_settle(bed, 1);
	/* What comes to one that does not run is the receiver's drop. */
	vmq_dp_queue_run(bed->queues[2].dp, false);
	vmq_datapath_synchronize(bed->dp);
	vm_sends(bed, 1, mac_of(2), mac_of(1), UNTAGGED);
	bed_settle(bed, 2);
	assert_int_equal(rx_of(bed, 2).drops[VMQ_DROP_STOPPED], 1);
	assert_int_equal(tx_of(bed, 1).local, 2);
	bed_free(bed);
}

/* The wire's ring is full: first the VM waits, then its packets are dropped. */
static void
a_port_that_takes_nothing_slows_the_vm_down_and_then_drops(void **state)
{
	struct bed *bed = make(false);
	struct rte_mbuf *packets[VMQ_BURST];
	struct vmq_dp_tx_stats stats;
	uint64_t sent = 0;
	uint16_t i, n;

	(void)state;
	/* The wire's ring has 1023 places. */
	for (i = 0; i < 1023 - 100; i++) {
		packets[0] = bed_packet(bed, 0);
		assert_int_equal(rte_eth_tx_burst(vmq_port_id(bed->wire), 0, packets, 1), 1);
	}
	for (; sent < BED_QUEUE_BUFFERS; sent++)
		vm_sends(bed, 1, somebody, mac_of(1), UNTAGGED);
	bed_settle_sent(bed);
	stats = tx_of(bed, 1);
	assert_int_equal(stats.received, sent);
	assert_int_equal(stats.sent, 100);
	assert_int_equal(stats.drops[VMQ_TX_DROP_PORT], sent - 100);
	while ((n = bed_wire(bed, packets, VMQ_BURST)) > 0)
		rte_pktmbuf_free_bulk(packets, n);
	vm_sends(bed, 1, somebody, mac_of(1), UNTAGGED);
	bed_settle_sent(bed);
	assert_int_equal(tag_on_the_wire(bed), UNTAGGED);
	bed_free(bed);
}

/* What a VM cannot take waits in its own memory, not in the sender's. */
static void
wait_at_the_receiver(bool remote)
{
	struct bed *bed = make(remote);
	struct bed_backend *backend = bed->queues[2].backend;
	unsigned int i;

	backend->budget = 0;
	backend->pool = bed->queues[2].pool;
	for (i = 0; i < 100; i++)
		vm_sends(bed, 1, mac_of(2), mac_of(1), UNTAGGED);
	bed_settle(bed, 100);
	assert_int_equal(rx_of(bed, 2).waiting, 100);
	unit_assert_pool_full(bed->queues[1].xmit_pool);
	backend->budget = BED_ENDLESS;
	bed_settle(bed, 100);
	bed_assert_seen(bed, 2, 0, 100, 1);
	backend->pool = NULL;
	/* More than fits is dropped there, by name. */
	backend->budget = 0;
	for (i = 0; i < BED_QUEUE_BUFFERS + 9; i++) {
		vm_sends(bed, 1, mac_of(2), mac_of(1), UNTAGGED);
		if (i % 64 == 0)
			bed_settle_sent(bed);
	}
	bed_settle(bed, 100 + BED_QUEUE_BUFFERS + 9);
	assert_int_equal(rx_of(bed, 2).drops[VMQ_DROP_NO_BUFFER], 9);
	assert_int_equal(tx_of(bed, 1).local, 100 + BED_QUEUE_BUFFERS + 9);
	backend->budget = BED_ENDLESS;
	bed_settle(bed, 100 + BED_QUEUE_BUFFERS + 9);
	bed_free(bed);
}

static void
what_a_vm_cannot_take_waits_in_its_own_memory(void **state)
{
	(void)state;
	wait_at_the_receiver(false);
}

static void
so_it_waits_with_queues_of_another_worker(void **state)
{
	(void)state;
	wait_at_the_receiver(true);
}

/* The wire and two VMs bring to one queue, with its own worker or another: all arrives. */
static void
bring_from_all_sides(bool remote)
{
	enum { ROUNDS = 3000 };
	struct bed *bed = make(remote);
	struct bed_backend *backend = bed->queues[3].backend;
	uint32_t numbers[3], last[3] = {0}, i, side;

	/* Numbers tell who brought it: 1000000 * side + n, in order for each side. */
	for (i = 0; i < ROUNDS; i++) {
		bed->next_number = i + 1;
		bed_send_to(bed, 3, 1);
		bed->next_number = 1000000 + i + 1;
		vm_sends(bed, 1, mac_of(3), mac_of(1), UNTAGGED);
		bed->next_number = 2000000 + i + 1;
		vm_sends(bed, 0, mac_of(3), somebody, UNTAGGED);
		if (i % 50 == 0)
			backend->budget = i % 100 == 0 ? 3 : BED_ENDLESS;
		if (i % 100 == 80) { /* so that nothing is dropped */
			backend->budget = BED_ENDLESS;
			bed_settle(bed, 3 * (i + 1));
		}
	}
	backend->budget = BED_ENDLESS;
	bed_settle(bed, 3 * ROUNDS);
	assert_int_equal(rx_of(bed, 3).dropped, 0);
	assert_int_equal(backend->n_seen, 3 * ROUNDS);
	for (i = 0; i < backend->n_seen; i++) {
		side = backend->seen[i] / 1000000;
		assert_in_range(side, 0, 2);
		numbers[side] = backend->seen[i] % 1000000;
		assert_int_equal(numbers[side], last[side] + 1);
		last[side] = numbers[side];
	}
	bed_free(bed);
}

static void
what_comes_from_all_sides_arrives_in_order_of_each(void **state)
{
	(void)state;
	bring_from_all_sides(false);
}

static void
so_it_arrives_at_a_queue_of_another_worker(void **state)
{
	(void)state;
	bring_from_all_sides(true);
}

/* Copies of a VLAN's frames for groups come to a queue. */
static void
set_broadcast(struct bed *bed, unsigned int queue, uint16_t vlan)
{
	bed->queues[queue].member.broadcast = true;
	bed->queues[queue].flood_vlan = vlan;
}

/* Queues 1 and 2 of VLAN 100, 2 a trunk; 3 of VLAN 200; the default queue of all. */
static struct bed *
make_vlans(bool remote)
{
	struct bed *bed = make(remote);

	bed->queues[2].keep_tags = true;
	set_vlan(bed, 1, 100);
	set_vlan(bed, 2, 100);
	set_vlan(bed, 3, 200);
	set_broadcast(bed, 0, VMQ_DP_FLOOD_ALL);
	set_broadcast(bed, 1, 100);
	set_broadcast(bed, 2, 100);
	set_broadcast(bed, 3, 200);
	bed_publish(bed);
	vmq_datapath_synchronize(bed->dp);
	return bed;
}

static void
a_broadcast_goes_to_the_wire_and_to_all_of_its_vlan(void **state)
{
	struct bed *bed = make_vlans(false);
	unsigned int i;

	(void)state;
	vm_sends(bed, 1, everybody, mac_of(1), UNTAGGED);
	bed_settle(bed, 2);
	assert_int_equal(tag_on_the_wire(bed), 100);
	assert_int_equal(rx_of(bed, 0).delivered_bytes, FRAME_BYTES + 4);
	assert_int_equal(rx_of(bed, 2).delivered_bytes, FRAME_BYTES + 4);
	assert_int_equal(rx_of(bed, 1).received + rx_of(bed, 3).received, 0);
	/* From the trunk, with its tag; the access queue gets it without. */
	vm_sends(bed, 2, ipv6_nodes, mac_of(2), 100);
	bed_settle(bed, 4);
	assert_int_equal(rx_of(bed, 1).delivered_bytes, FRAME_BYTES - 4);
	assert_int_equal(rx_of(bed, 0).received, 2);
	/* From the host, untagged: it is of no VLAN here. */
	vm_sends(bed, 0, everybody, somebody, UNTAGGED);
	vm_sends(bed, 0, everybody, somebody, 200);
	bed_settle(bed, 5);
	assert_int_equal(rx_of(bed, 3).received, 1);
	for (i = 0; i < BED_QUEUES; i++) {
		const struct vmq_dp_tx_stats stats = tx_of(bed, i);

		assert_int_equal(stats.sent, i == 0 ? 2 : i == 3 ? 0 : 1);
		assert_int_equal(stats.copies, i == 0 ? 1 : i == 3 ? 0 : 2);
		assert_int_equal(stats.local + stats.dropped, 0);
	}
	bed_free(bed);
}

/* Send frames with these destinations and tags from the wire. */
static void
wire_sends(struct bed *bed, const uint8_t *to, int tci)
{
	uint8_t bytes[FRAME_BYTES];
	struct rte_mbuf *packet;

	packet = unit_packet(bed->source_pool, bytes, make_frame(bed, bytes, to, somebody, tci));
	bed_send(bed, &packet, 1);
}

static void
receive_broadcasts(bool remote)
{
	struct bed *bed = make_vlans(remote);
	uint32_t round;

	wire_sends(bed, everybody, 100);
	bed_settle(bed, 3);
	assert_int_equal(rx_of(bed, 0).delivered_bytes, FRAME_BYTES);
	assert_int_equal(rx_of(bed, 1).delivered_bytes, FRAME_BYTES - 4);
	assert_int_equal(rx_of(bed, 2).delivered_bytes, FRAME_BYTES);
	wire_sends(bed, everybody, 200);
	bed_settle(bed, 5);
	assert_int_equal(rx_of(bed, 3).delivered, 1);
	wire_sends(bed, everybody, UNTAGGED); /* the default queue's alone */
	wire_sends(bed, somebody, 100); /* for one, not for all */
	bed_settle(bed, 7);
	assert_int_equal(rx_of(bed, 0).delivered, 4);
	/* In order with what is for the queue alone, and more than is gathered. */
	bed->queues[1].backend->n_seen = 0;
	bed->next_number = 0;
	for (round = 0; round < 300; round++) {
		wire_sends(bed, everybody, 100);
		wire_sends(bed, mac_of(1), 100);
		if (round % 50 == 0) /* so that no copy finds its queue's memory used up */
			bed_settle(bed, 7 + 4 * (round + 1));
	}
	bed_settle(bed, 7 + 4 * 300);
	assert_int_equal(rx_of(bed, 1).dropped, 0);
	bed_free(bed);
}

static void
a_broadcast_from_the_wire_comes_to_all_of_its_vlan(void **state)
{
	(void)state;
	receive_broadcasts(false);
}

static void
so_it_comes_to_queues_of_another_worker(void **state)
{
	(void)state;
	receive_broadcasts(true);
}

/* A number behind the tag, or where the stripped tag was: the order is the same. */
static void
copies_and_packets_arrive_in_order(void **state)
{
	struct bed *bed = make(false);
	uint32_t i;

	(void)state;
	set_broadcast(bed, 1, 0);
	set_broadcast(bed, 2, VMQ_DP_FLOOD_ALL);
	bed_publish(bed);
	vmq_datapath_synchronize(bed->dp);
	for (i = 0; i < 400; i++) {
		wire_sends(bed, i % 3 == 0 ? everybody : mac_of(1), UNTAGGED);
		if (i % 100 == 99)
			bed_settle(bed, i + 1 + 2 * (i / 3 + 1));
	}
	bed_assert_seen(bed, 1, 0, 400, 1);
	bed_assert_seen(bed, 2, 0, 134, 3);
	bed_assert_seen(bed, 0, 0, 134, 3);
	bed_free(bed);
}

static void
what_is_for_the_cables_other_end_is_the_hosts_alone(void **state)
{
	static const uint8_t bpdu[] = {0x01, 0x80, 0xc2, 0, 0, 0};
	struct bed *bed = make(false);

	(void)state;
	set_broadcast(bed, 0, VMQ_DP_FLOOD_ALL);
	set_broadcast(bed, 1, 0);
	set_broadcast(bed, 2, 0);
	bed_publish(bed);
	vmq_datapath_synchronize(bed->dp);
	wire_sends(bed, bpdu, UNTAGGED);
	bed_settle(bed, 1);
	assert_int_equal(rx_of(bed, 0).delivered, 1);
	vm_sends(bed, 1, bpdu, mac_of(1), UNTAGGED);
	assert_dropped(bed, 1, VMQ_TX_DROP_LINK_LOCAL, 1);
	vm_sends(bed, 0, bpdu, somebody, UNTAGGED);
	bed_settle_sent(bed);
	assert_int_equal(tag_on_the_wire(bed), UNTAGGED);
	bed_settle(bed, 1);
	bed_free(bed);
}

/* Queue 3 takes all of VLAN 100, whoever it is for: it listens, others are not cut off. */
static void
a_queue_that_takes_a_whole_vlan_gets_copies(void **state)
{
	struct bed *bed = make_vlans(false);
	unsigned int broadcast;

	(void)state;
	for (broadcast = 0; broadcast < 2; broadcast++) {
		const uint64_t before = rx_of(bed, 3).received;

		set_filter(bed, 3, (struct vmq_filter_match){
			.vlan_test = VMQ_VLAN_ID, .vlan_id = 100});
		bed->queues[3].member.broadcast = broadcast;
		bed->queues[3].flood_vlan = 100;
		bed_publish(bed);
		vmq_datapath_synchronize(bed->dp);
		vm_sends(bed, 1, somebody, mac_of(1), UNTAGGED);
		bed_settle_sent(bed);
		assert_int_equal(tag_on_the_wire(bed), 100);
		assert_int_equal(rx_of(bed, 3).received, before + 1);
		vm_sends(bed, 1, everybody, mac_of(1), UNTAGGED);
		bed_settle_sent(bed);
		assert_int_equal(tag_on_the_wire(bed), 100);
		assert_int_equal(rx_of(bed, 3).received, before + 2);
		vm_sends(bed, 1, mac_of(2), mac_of(1), UNTAGGED);
		bed_settle_sent(bed);
		assert_int_equal(rx_of(bed, 3).received, before + 2);
		/* It may send from any address that is nobody else's. */
		vm_sends(bed, 3, somebody, somebody, UNTAGGED);
		bed_settle_sent(bed);
		assert_int_equal(tag_on_the_wire(bed), 100);
	}
	vm_sends(bed, 3, somebody, mac_of(1), UNTAGGED);
	assert_dropped(bed, 3, VMQ_TX_DROP_SPOOFED_MAC, 1);
	bed_free(bed);
}

/* More broadcasts than one turn copies, to queues of which one takes nothing. */
static void
a_storm_is_counted_to_the_last_copy(void **state)
{
	enum { ROUNDS = 1000 };
	struct rte_mbuf *packets[VMQ_BURST];
	struct bed *bed = make(false);
	unsigned int i, wire = 0;
	uint16_t n;

	(void)state;
	for (i = 0; i < BED_QUEUES; i++)
		set_broadcast(bed, i, VMQ_DP_FLOOD_ALL);
	bed_publish(bed);
	vmq_datapath_synchronize(bed->dp);
	bed->queues[3].backend->budget = 0;
	for (i = 0; i < ROUNDS; i++) {
		vm_sends(bed, 1, everybody, mac_of(1), UNTAGGED);
		if (i % 100 == 0) /* what is on the wire lies in the VM's pool */
			bed_settle_sent(bed);
		if (i + 1 == ROUNDS)
			bed_settle_sent(bed);
		while ((n = bed_wire(bed, packets, VMQ_BURST)) > 0) {
			rte_pktmbuf_free_bulk(packets, n);
			wire += n;
		}
	}
	assert_int_equal(wire, ROUNDS);
	assert_int_equal(tx_of(bed, 1).sent, ROUNDS);
	assert_int_equal(rx_of(bed, 0).delivered, ROUNDS);
	assert_int_equal(rx_of(bed, 2).delivered, ROUNDS);
	assert_int_equal(rx_of(bed, 3).waiting, BED_QUEUE_BUFFERS);
	assert_int_equal(rx_of(bed, 3).drops[VMQ_DROP_NO_BUFFER], ROUNDS - BED_QUEUE_BUFFERS);
	assert_int_equal(tx_of(bed, 1).copies, 2 * ROUNDS + BED_QUEUE_BUFFERS);
	bed_free(bed);
}

static void
set_rates(struct bed *bed, unsigned int queue, struct vmq_dp_rate to_vm, struct vmq_dp_rate from_vm)
{
	assert_int_equal(vmq_dp_queue_set_rates(bed->dp, bed->queues[queue].dp, &to_vm, &from_vm),
		0);
	vmq_datapath_synchronize(bed->dp);
}

static void
what_is_more_than_the_rate_is_dropped_by_name(void **state)
{
	/* 2 KiB are 34 frames, and 1 Mbit/s is 2 frames a millisecond. */
	const struct vmq_dp_rate slow = {1, 2}, none = {0};
	struct bed *bed = make(false);
	struct rte_mbuf *packet;
	uint64_t sent;
	unsigned int i;

	(void)state;
	assert_int_equal(vmq_dp_rate_burst_default(1), 64);
	assert_int_equal(vmq_dp_rate_burst_default(1000), 1221);
	set_rates(bed, 1, none, slow);
	for (i = 0; i < 300; i++)
		vm_sends(bed, 1, mac_of(2), mac_of(1), UNTAGGED);
	bed_settle_sent(bed);
	sent = tx_of(bed, 1).local;
	assert_true(sent >= 34);
	assert_int_equal(sent + tx_of(bed, 1).drops[VMQ_TX_DROP_RATE_LIMITED], 300);
	bed_settle(bed, sent);
	/* The other way: what the wire and VMs bring. */
	set_rates(bed, 1, none, none);
	set_rates(bed, 2, slow, none);
	for (i = 0; i < 300; i++) {
		vm_sends(bed, 1, mac_of(2), mac_of(1), UNTAGGED);
		wire_sends(bed, mac_of(2), UNTAGGED);
	}
	bed_settle(bed, sent + 600);
	assert_int_equal(tx_of(bed, 1).local, sent + 300);
	assert_true(rx_of(bed, 2).delivered >= sent + 34);
	/* All pass only if this has taken a quarter of a second. */
	assert_true(rx_of(bed, 2).drops[VMQ_DROP_RATE_LIMITED] > 0);
	assert_int_equal(rx_of(bed, 2).delivered + rx_of(bed, 2).drops[VMQ_DROP_RATE_LIMITED],
		sent + 600);
	/* Who sends more slowly loses nothing; and without a limit all passes. */
	set_rates(bed, 2, none, none);
	sent = rx_of(bed, 2).delivered;
	for (i = 0; i < 200; i++)
		vm_sends(bed, 1, mac_of(2), mac_of(1), UNTAGGED);
	vm_sends(bed, 2, somebody, mac_of(2), UNTAGGED);
	bed_settle_sent(bed);
	assert_int_equal(rx_of(bed, 2).delivered, sent + 200);
	assert_int_equal(bed_wire(bed, &packet, 1), 1);
	rte_pktmbuf_free(packet);
	bed_free(bed);
}

/* A backend that takes nothing for a while: only what it takes counts for the rate. */
static void
what_waits_does_not_use_up_the_rate(void **state)
{
	struct bed *bed = make(false);
	unsigned int i;

	(void)state;
	set_rates(bed, 2, (struct vmq_dp_rate){1, 8}, (struct vmq_dp_rate){0});
	bed->queues[2].backend->budget = 0;
	for (i = 0; i < 100; i++) { /* 6000 bytes of the 8192 */
		wire_sends(bed, mac_of(2), UNTAGGED);
		vmq_datapath_synchronize(bed->dp); /* and so many tries */
	}
	bed_settle(bed, 100);
	assert_int_equal(rx_of(bed, 2).waiting, 100);
	bed->queues[2].backend->budget = BED_ENDLESS;
	bed_settle(bed, 100);
	bed_assert_seen(bed, 2, 0, 100, 1);
	assert_int_equal(rx_of(bed, 2).dropped, 0);
	bed_free(bed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_drop_has_a_name_and_a_meaning),
		cmocka_unit_test_teardown(what_a_filter_claims_stays_here_and_the_rest_goes_to_the_wire,
			bed_abandon),
		cmocka_unit_test_teardown(so_it_is_with_queues_of_another_worker, bed_abandon),
		cmocka_unit_test_teardown(a_source_that_is_not_the_queues_is_dropped_as_spoofed,
			bed_abandon),
		cmocka_unit_test_teardown(
			an_access_queue_gets_its_tag_inserted_and_sends_none_of_its_own, bed_abandon),
		cmocka_unit_test_teardown(a_trunk_queue_sends_the_tags_of_its_vlans_and_no_others,
			bed_abandon),
		cmocka_unit_test_teardown(what_is_no_frame_goes_nowhere, bed_abandon),
		cmocka_unit_test_teardown(a_frame_longer_than_the_mtu_is_dropped_and_one_as_long_is_not,
			bed_abandon),
		cmocka_unit_test_teardown(a_queue_that_does_not_run_sends_nothing, bed_abandon),
		cmocka_unit_test_teardown(a_port_that_takes_nothing_slows_the_vm_down_and_then_drops,
			bed_abandon),
		cmocka_unit_test_teardown(what_a_vm_cannot_take_waits_in_its_own_memory, bed_abandon),
		cmocka_unit_test_teardown(so_it_waits_with_queues_of_another_worker, bed_abandon),
		cmocka_unit_test_teardown(what_comes_from_all_sides_arrives_in_order_of_each,
			bed_abandon),
		cmocka_unit_test_teardown(so_it_arrives_at_a_queue_of_another_worker, bed_abandon),
		cmocka_unit_test_teardown(a_broadcast_goes_to_the_wire_and_to_all_of_its_vlan,
			bed_abandon),
		cmocka_unit_test_teardown(a_broadcast_from_the_wire_comes_to_all_of_its_vlan,
			bed_abandon),
		cmocka_unit_test_teardown(so_it_comes_to_queues_of_another_worker, bed_abandon),
		cmocka_unit_test_teardown(copies_and_packets_arrive_in_order, bed_abandon),
		cmocka_unit_test_teardown(what_is_for_the_cables_other_end_is_the_hosts_alone,
			bed_abandon),
		cmocka_unit_test_teardown(a_queue_that_takes_a_whole_vlan_gets_copies, bed_abandon),
		cmocka_unit_test_teardown(a_storm_is_counted_to_the_last_copy, bed_abandon),
		cmocka_unit_test_teardown(what_is_more_than_the_rate_is_dropped_by_name,
			bed_abandon),
		cmocka_unit_test_teardown(what_waits_does_not_use_up_the_rate, bed_abandon),
	};

	return cmocka_run_group_tests_name("transmit", tests, unit_start, unit_stop);
}
