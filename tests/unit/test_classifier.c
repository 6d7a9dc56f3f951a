/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * The classifier beside a plain reading of "Filters" in the specification, and the
 * handling of tags.
 */

#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_errno.h>

#include <vmq_filter.h>

#include "perfect.h"

#define POOL_BUFFERS 2048
#define BUFFER_SIZE 256
#define QUEUES 12
#define DEFAULT_INDEX 999

static struct rte_mempool *pool;

static int
make_pool(void **state)
{
	int ret = unit_start(state);

	if (ret == 0)
		pool = unit_pool("frames", POOL_BUFFERS, BUFFER_SIZE);
	return ret;
}

static int
free_pool(void **state)
{
	unit_assert_pool_full(pool);
	rte_mempool_free(pool);
	return unit_stop(state);
}

/* What the specification says of one frame; fields in the order it is read. */
struct reading {
	bool has_mac;
	struct rte_ether_addr mac;
	bool tagged; /* has a VLAN id: in the frame, or stripped */
	bool cut; /* a tag begins, but the frame ends in it */
	bool in_frame;
	uint16_t vlan;
};

static struct reading
read_frame(const struct rte_mbuf *packet)
{
	const uint8_t *bytes = rte_pktmbuf_mtod(packet, const uint8_t *);
	const unsigned int length = packet->data_len;
	struct reading reading = {0};
	unsigned int type;

	if (length < 14)
		return reading;
	reading.has_mac = true;
	memcpy(&reading.mac, bytes, 6);
	if ((packet->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0) {
		reading.tagged = true;
		reading.vlan = packet->vlan_tci % 4096;
		return reading;
	}
	type = bytes[12] * 256u + bytes[13];
	if (type != 0x8100 && type != 0x88a8)
		return reading;
	if (length < 18) {
		reading.cut = true;
		return reading;
	}
	reading.in_frame = true;
	reading.tagged = true;
	reading.vlan = (uint16_t)((bytes[14] * 256u + bytes[15]) % 4096);
	return reading;
}

static bool
passes(const struct vmq_filter_match *match, const struct reading *reading)
{
	if (!reading->has_mac)
		return false;
	if (match->has_mac && memcmp(&match->mac, &reading->mac, 6) != 0)
		return false;
	switch (match->vlan_test) {
	case VMQ_VLAN_ANY:
		return true;
	case VMQ_VLAN_UNTAGGED:
		return !reading->cut && (!reading->tagged || reading->vlan == 0);
	default:
		return reading->tagged && reading->vlan == match->vlan_id;
	}
}

/* MAC + VLAN, MAC untagged, MAC alone, VLAN alone. */
static int
specificity(const struct vmq_filter_match *match)
{
	if (!match->has_mac)
		return 1;
	return match->vlan_test == VMQ_VLAN_ANY ? 2 : match->vlan_test == VMQ_VLAN_UNTAGGED ? 3 : 4;
}

static struct vmq_class
judge(const struct vmq_filter_set *set, const struct vmq_classifier_queue *queues,
	const struct rte_mbuf *packet)
{
	const bool stripped = (packet->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0;
	const struct reading reading = read_frame(packet);
	const struct vmq_filter *filter, *best = NULL;
	struct vmq_class class = {.index = DEFAULT_INDEX};
	bool out_of_band;
	uint32_t after;

	for (after = 0; (filter = vmq_filter_next(set, after)) != NULL; after = filter->id)
		if (queues[filter->queue_id].active && passes(&filter->match, &reading) &&
			(best == NULL || specificity(&filter->match) > specificity(&best->match)))
			best = filter;
	if (best != NULL) {
		class.index = queues[best->queue_id].index;
		class.claimed = best->match.has_mac ? VMQ_CLAIM_MAC : VMQ_CLAIM_VLAN;
	}
	/* A claimed frame's tag goes out of band, unless its queue keeps tags. */
	out_of_band = best != NULL && !queues[best->queue_id].keep_tags;
	if (reading.in_frame && out_of_band)
		class.tag = VMQ_TAG_STRIP;
	if (stripped && reading.has_mac && !out_of_band)
		class.tag = VMQ_TAG_INSERT;
	return class;
}

static void
assert_same_class(const struct vmq_class *class, const struct vmq_class *wanted,
	const struct rte_mbuf *packet)
{
	const uint8_t *b = rte_pktmbuf_mtod(packet, const uint8_t *);

	if (class->index != wanted->index || class->claimed != wanted->claimed ||
		class->tag != wanted->tag)
		fail_msg("frame of %u bytes, %02x:%02x:%02x:%02x:%02x:%02x, type %02x%02x, "
			 "tci %02x%02x, stripped %d tci %04x: "
			 "queue %u claimed %u tag %u, not queue %u claimed %u tag %u",
			packet->data_len, b[0], b[1], b[2], b[3], b[4], b[5], b[12], b[13], b[14],
			b[15], (packet->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0,
			packet->vlan_tci, class->index, class->claimed, class->tag, wanted->index,
			wanted->claimed, wanted->tag);
}

/* Few MACs and VLANs, so that filters and frames meet; some are extreme. */
static struct rte_ether_addr
random_mac(bool frame)
{
	static const struct rte_ether_addr special[] = {
		{{0, 0, 0, 0, 0, 0}},
		{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
		{{0x01, 0, 0x5e, 0, 0, 1}},
	};
	struct rte_ether_addr mac = {{0x52, 0x54, 0, 0, 0, (uint8_t)unit_below(6)}};

	if (unit_below(5) == 0)
		mac = (struct rte_ether_addr){{(uint8_t)(2 * (1 + unit_below(4))), 0, 0, 0, 0, 0}};
	if (frame && unit_below(6) == 0)
		mac = special[unit_below(RTE_DIM(special))];
	return mac;
}

static uint16_t
random_vlan(void)
{
	/* 256, 512, 1280: 1, 2 and 5 with their bytes turned round. */
	static const uint16_t vlans[] = {1, 2, 3, 5, 256, 512, 1280, 4093, 4094};

	return vlans[unit_below(RTE_DIM(vlans))];
}

static void
fill_set(struct vmq_filter_set *set, unsigned int n)
{
	struct vmq_filter_match match;
	uint32_t id;

	while (n-- > 0) {
		match = (struct vmq_filter_match){
			.mac = random_mac(false),
			.has_mac = unit_below(6) > 0,
			.vlan_test = (enum vmq_vlan_test)unit_below(3),
			.vlan_id = random_vlan(),
		};
		if (!match.has_mac)
			match.vlan_test = VMQ_VLAN_ID;
		/* Equal ones are refused: that is not this test's matter. */
		vmq_filter_add(set, (uint16_t)unit_below(QUEUES), &match, &id, NULL);
	}
}

static struct rte_mbuf *
random_frame(void)
{
	static const uint16_t types[] = {0x8100, 0x8100, 0x8100, 0x88a8, 0x0800, 0x86dd, 0x9100};
	static const uint16_t lengths[] = {0, 1, 6, 12, 13, 14, 15, 16, 17, 18, 60, 60, 60, 60, 60};
	const uint16_t type = types[unit_below(RTE_DIM(types))];
	const struct rte_ether_addr mac = random_mac(true);
	uint16_t tci = (uint16_t)(unit_below(16) << 12);
	struct rte_mbuf *packet;
	uint8_t bytes[60];

	switch (unit_below(6)) {
	case 0:
		break; /* VLAN 0 */
	case 1:
		tci |= 4095;
		break;
	default:
		tci |= random_vlan();
	}
	unit_fill(bytes, sizeof(bytes), (uint32_t)unit_random());
	memcpy(bytes, &mac, 6);
	bytes[12] = (uint8_t)(type >> 8);
	bytes[13] = (uint8_t)type;
	bytes[14] = (uint8_t)(tci >> 8);
	bytes[15] = (uint8_t)tci;
	packet = unit_packet(pool, bytes, sizeof(bytes));
	/* Cut, so that what it was still lies behind its end. */
	rte_pktmbuf_trim(packet, sizeof(bytes) - lengths[unit_below(RTE_DIM(lengths))]);
	if (unit_below(3) == 0) {
		packet->vlan_tci = unit_below(2) ? tci : (uint16_t)unit_random();
		packet->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
	}
	return packet;
}

/* As those of a port mostly are: long enough, and all tagged or all untagged. */
static struct rte_mbuf *
ordinary_frame(bool tagged, const struct vmq_filter *filter)
{
	struct rte_ether_addr mac = random_mac(true);
	uint16_t tci = (uint16_t)(unit_below(16) << 12 | random_vlan());
	uint8_t bytes[60];

	if (filter != NULL && unit_below(50) > 0) {
		mac = filter->match.mac;
		if (filter->match.vlan_test == VMQ_VLAN_ID)
			tci = (uint16_t)(unit_below(16) << 12 | filter->match.vlan_id);
	}

	unit_fill(bytes, sizeof(bytes), (uint32_t)unit_random());
	memcpy(bytes, &mac, 6);
	bytes[12] = tagged ? 0x81 : 0x08;
	bytes[13] = 0;
	bytes[14] = (uint8_t)(tci >> 8);
	bytes[15] = (uint8_t)tci;
	return unit_packet(pool, bytes, sizeof(bytes));
}

/* A burst: anything; or ordinary frames of one kind, for one filter or two, perhaps with a stranger. */
static void
fill_burst(struct rte_mbuf **packets, unsigned int n, const struct vmq_filter_set *set)
{
	const unsigned int kind = unit_below(3), stranger = unit_below(3 * n);
	const struct vmq_filter *filter = vmq_filter_next(set, unit_below(40));
	const struct vmq_filter *other = vmq_filter_next(set, unit_below(40));
	const bool two = unit_below(2);
	unsigned int i;

	for (i = 0; i < n; i++)
		packets[i] = kind == 0 || i == stranger ? random_frame()
			: ordinary_frame(kind == 1, two && i % 2 == 0 ? other : filter);
}

/* What all of a burst have in common, by looking at each. */
static enum vmq_burst_class
common_class(const struct vmq_class *classes, unsigned int n)
{
	bool one = true;
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (classes[i].claimed != VMQ_CLAIM_MAC || classes[i].tag != classes[0].tag ||
			classes[i].tag == VMQ_TAG_INSERT)
			return VMQ_BURST_MIXED;
		one &= classes[i].index == classes[0].index;
	}
	if (classes[0].tag == VMQ_TAG_STRIP)
		return one ? VMQ_BURST_ONE_STRIP : VMQ_BURST_STRIP;
	return one ? VMQ_BURST_ONE_LEAVE : VMQ_BURST_LEAVE;
}

static void
random_queues(struct vmq_classifier_queue *queues)
{
	unsigned int i;

	for (i = 0; i < QUEUES; i++)
		queues[i] = (struct vmq_classifier_queue){
			.index = (uint16_t)(100 - i),
			.keep_tags = unit_below(3) == 0,
			.active = unit_below(5) > 0,
		};
}

static void
frames_go_where_a_plain_reading_of_the_rules_says(void **state)
{
	struct vmq_classifier_queue queues[QUEUES];
	struct vmq_classifier *classifier;
	struct rte_mbuf *packets[200];
	struct vmq_class classes[200], wanted;
	struct vmq_filter_set *set;
	unsigned int round, claimed = 0, i, n, seen[5] = {0};
	enum vmq_burst_class common;

	(void)state;
	for (round = 0; round < 3000; round++) {
		set = vmq_filter_set_create();
		fill_set(set, unit_below(80));
		random_queues(queues);
		classifier = vmq_classifier_build(set, queues, QUEUES, SOCKET_ID_ANY);
		assert_non_null(classifier);
		n = 1 + unit_below(unit_below(2) ? 10 : RTE_DIM(packets));
		fill_burst(packets, n, set);
		memset(classes, 0xff, sizeof(classes));
		common = vmq_classifier_lookup(classifier, packets, (uint16_t)n, classes,
			DEFAULT_INDEX);
		for (i = 0; i < n; i++) {
			wanted = judge(set, queues, packets[i]);
			assert_same_class(&classes[i], &wanted, packets[i]);
			claimed += wanted.claimed != VMQ_CLAIM_NONE;
		}
		assert_int_equal(common, common_class(classes, n));
		seen[common]++;
		rte_pktmbuf_free_bulk(packets, n);
		vmq_classifier_free(classifier);
		vmq_filter_set_free(set);
	}
	assert_true(claimed > 1000);
	for (i = 0; i < RTE_DIM(seen); i++)
		assert_true(seen[i] > 20);
}

/* What a look at a few keys confirms, of what the NIC has put somewhere, is so. */
static void
what_exact_keys_confirm_the_rules_say_too(void **state)
{
	struct vmq_classifier_queue queues[QUEUES];
	struct vmq_class class, wanted;
	const struct vmq_filter *filter;
	struct vmq_exact exact[QUEUES];
	unsigned int round, sure = 0, missed = 0, tagged = 0, i, q;
	struct vmq_filter_set *set;
	struct rte_mbuf *packet;
	uint32_t after;

	(void)state;
	for (round = 0; round < 600; round++) {
		set = vmq_filter_set_create();
		fill_set(set, unit_below(80));
		random_queues(queues);
		memset(exact, 0, sizeof(exact));
		for (q = 0; q < QUEUES; q++) {
			exact[q].index = queues[q].index;
			exact[q].keep_tags = queues[q].keep_tags;
		}
		for (after = 0; (filter = vmq_filter_next(set, after)) != NULL; after = filter->id)
			if (queues[filter->queue_id].active)
				vmq_exact_add(&exact[filter->queue_id], &filter->match);
		for (i = 0; i < 200; i++) {
			packet = random_frame();
			wanted = judge(set, queues, packet);
			for (q = 0; q < QUEUES; q++) {
				if (vmq_exact_tagged(&exact[q], &packet, 1) == 1) {
					assert_int_equal(wanted.index, exact[q].index);
					assert_int_equal(wanted.claimed, VMQ_CLAIM_MAC);
					assert_int_equal(wanted.tag, exact[q].keep_tags
						? VMQ_TAG_LEAVE : VMQ_TAG_STRIP);
					tagged++;
				}
				if (vmq_exact_lookup(&exact[q], &packet, 1, &class) == 1) {
					assert_same_class(&class, &wanted, packet);
					sure++;
				} else if (wanted.index == exact[q].index) {
					missed++;
				}
			}
			rte_pktmbuf_free(packet);
		}
		vmq_filter_set_free(set);
	}
	/* What it cannot know are filters of any VLAN or no MAC, and what is cut. */
	print_message("# %u confirmed, %u not\n", sure, missed);
	assert_true(sure > 1000);
	assert_true(sure > missed / 8);
	assert_true(tagged > 200);
}

/* Every frame that differs in what filters read, beside every kind of filter. */
static void
specificity_decides_between_all_four_kinds(void **state)
{
	static const struct vmq_filter_match kinds[] = {
		{.vlan_test = VMQ_VLAN_ID, .vlan_id = 5},
		{.has_mac = true, .mac = {{2, 0, 0, 0, 0, 1}}},
		{.has_mac = true, .mac = {{2, 0, 0, 0, 0, 1}}, .vlan_test = VMQ_VLAN_UNTAGGED},
		{.has_mac = true, .mac = {{2, 0, 0, 0, 0, 1}}, .vlan_test = VMQ_VLAN_ID,
			.vlan_id = 5},
	};
	static const struct {
		uint8_t mac;
		int tci; /* -1: untagged */
		uint16_t index[16]; /* by the kinds that are there, as bits; 9: the default */
	} frames[] = {
		{1, -1, {9, 9, 1, 1, 2, 2, 2, 2, 9, 9, 1, 1, 2, 2, 2, 2}},
		{1, 0, {9, 9, 1, 1, 2, 2, 2, 2, 9, 9, 1, 1, 2, 2, 2, 2}},
		{1, 0xe000, {9, 9, 1, 1, 2, 2, 2, 2, 9, 9, 1, 1, 2, 2, 2, 2}},
		{1, 5, {9, 0, 1, 1, 9, 0, 1, 1, 3, 3, 3, 3, 3, 3, 3, 3}},
		{1, 6, {9, 9, 1, 1, 9, 9, 1, 1, 9, 9, 1, 1, 9, 9, 1, 1}},
		{2, 5, {9, 0, 9, 0, 9, 0, 9, 0, 9, 0, 9, 0, 9, 0, 9, 0}},
		{2, 0, {9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9}},
	};
	struct vmq_classifier_queue queues[4];
	struct vmq_classifier *classifier;
	uint8_t bytes[60] = {2, 0, 0, 0, 0};
	struct vmq_filter_set *set;
	struct rte_mbuf *packet;
	struct vmq_class class;
	unsigned int bits, i;
	uint32_t id;

	(void)state;
	for (i = 0; i < RTE_DIM(queues); i++)
		queues[i] = (struct vmq_classifier_queue){.index = (uint16_t)i, .active = true};
	for (bits = 0; bits < 16; bits++) {
		set = vmq_filter_set_create();
		for (i = 0; i < 4; i++)
			if ((bits & 1u << i) != 0)
				assert_int_equal(vmq_filter_add(set, (uint16_t)i, &kinds[i], &id,
					NULL), VMQ_STATUS_SUCCESS);
		classifier = vmq_classifier_build(set, queues, 4, SOCKET_ID_ANY);
		for (i = 0; i < RTE_DIM(frames); i++) {
			bytes[5] = frames[i].mac;
			bytes[12] = frames[i].tci < 0 ? 0x08 : 0x81;
			bytes[14] = (uint8_t)(frames[i].tci >> 8);
			bytes[15] = (uint8_t)frames[i].tci;
			packet = unit_packet(pool, bytes, sizeof(bytes));
			vmq_classifier_lookup(classifier, &packet, 1, &class, 9);
			assert_int_equal(class.index, frames[i].index[bits]);
			rte_pktmbuf_free(packet);
		}
		vmq_classifier_free(classifier);
		vmq_filter_set_free(set);
	}
}

static void
a_filter_of_a_queue_out_of_range_is_refused(void **state)
{
	const struct vmq_filter_match match = {.has_mac = true, .mac = {{2, 0, 0, 0, 0, 1}}};
	const struct vmq_classifier_queue queues[2] = {{.active = true}, {.active = true}};
	struct vmq_filter_set *set = vmq_filter_set_create();
	struct unit_census before;
	uint32_t id;

	(void)state;
	unit_census_take(&before);
	assert_int_equal(vmq_filter_add(set, 2, &match, &id, NULL), VMQ_STATUS_SUCCESS);
	rte_errno = 0;
	assert_null(vmq_classifier_build(set, queues, 2, SOCKET_ID_ANY));
	assert_int_equal(rte_errno, EINVAL);
	vmq_filter_set_free(set);
	unit_assert_nothing_left(&before);
	vmq_classifier_free(NULL);
}

static void
a_classifier_does_not_change_with_its_set(void **state)
{
	const struct vmq_filter_match match = {.has_mac = true, .mac = {{2, 0, 0, 0, 0, 1}}};
	const struct vmq_classifier_queue queues[] = {{.active = true}, {.index = 1, .active = true}};
	struct vmq_filter_set *set = vmq_filter_set_create();
	const uint8_t bytes[60] = {2, 0, 0, 0, 0, 1};
	struct vmq_classifier *classifier;
	struct rte_mbuf *packet = unit_packet(pool, bytes, sizeof(bytes));
	struct vmq_class class;
	uint32_t id;

	(void)state;
	assert_int_equal(vmq_filter_add(set, 1, &match, &id, NULL), VMQ_STATUS_SUCCESS);
	classifier = vmq_classifier_build(set, queues, 2, SOCKET_ID_ANY);
	assert_true(vmq_classifier_bytes(classifier) > 0);
	assert_true(vmq_filter_move(set, id, 0));
	assert_true(vmq_filter_del(set, id));
	vmq_filter_set_free(set);
	vmq_classifier_lookup(classifier, &packet, 1, &class, DEFAULT_INDEX);
	assert_int_equal(class.index, 1);
	vmq_classifier_free(classifier);
	rte_pktmbuf_free(packet);
}

/*
 * Many filters of a pattern: each frame finds its own one, strangers find none, and
 * no pattern makes lookups slow.
 */
#define MANY 16384

typedef struct vmq_filter_match (*pattern_fn)(uint32_t i);

static struct rte_ether_addr
mac_of(uint64_t number)
{
	struct rte_ether_addr mac;
	unsigned int i;

	for (i = 0; i < 6; i++)
		mac.addr_bytes[i] = (uint8_t)(number >> (40 - 8 * i));
	return mac;
}

static struct vmq_filter_match
consecutive(uint32_t i)
{
	return (struct vmq_filter_match){.has_mac = true,
		.mac = mac_of(UINT64_C(0x525400000000) + i),
		.vlan_test = VMQ_VLAN_ID, .vlan_id = 100};
}

static struct vmq_filter_match
high_bits_only(uint32_t i)
{
	return (struct vmq_filter_match){.has_mac = true,
		.mac = mac_of((uint64_t)(2 + 2 * (i % 127)) << 40 | (uint64_t)(i / 127) << 32),
		.vlan_test = VMQ_VLAN_UNTAGGED};
}

static struct vmq_filter_match
vlans_of_few_macs(uint32_t i)
{
	return (struct vmq_filter_match){.has_mac = true,
		.mac = mac_of(UINT64_C(0x020000000000) + i / 4094),
		.vlan_test = VMQ_VLAN_ID, .vlan_id = (uint16_t)(1 + i % 4094)};
}

/*
 * An enemy who knows the multiplier of the hash, and chooses keys whose hash is 0:
 * the multiplicative inverse of the multiplier, times small numbers.
 */
static struct vmq_filter_match
chosen_against_the_hash(uint32_t i)
{
	static struct vmq_filter_match chosen[MANY];
	static uint32_t n;
	const uint64_t multiplier = UINT64_C(0x9e3779b97f4a7c15);
	static uint64_t number;
	uint64_t inverse = multiplier, key;
	unsigned int step;
	uint16_t vlan;

	for (step = 0; step < 6; step++) /* Newton: each step doubles the right bits */
		inverse *= 2 - multiplier * inverse;
	assert_int_equal(inverse * multiplier, 1);
	while (n < MANY) {
		key = ++number * inverse;
		/* The VLAN id is in the key as a frame carries it. */
		vlan = (uint16_t)((key >> 48 & 0x0f) << 8 | key >> 56);
		if ((key & 1) != 0 || (key >> 48 & 0xf0) != 0 || vlan < 1 || vlan > 4094)
			continue;
		chosen[n].has_mac = true;
		/* The first byte on the wire is the lowest of the key. */
		key = rte_cpu_to_le_64(key);
		memcpy(chosen[n].mac.addr_bytes, &key, 6);
		chosen[n].vlan_test = VMQ_VLAN_ID;
		chosen[n].vlan_id = vlan;
		n++;
	}
	return chosen[i];
}

/* The frame that a filter asks for. */
static void
frame_of(const struct vmq_filter_match *match, struct rte_mbuf *packet)
{
	uint8_t *bytes = rte_pktmbuf_mtod(packet, uint8_t *);

	memcpy(bytes, &match->mac, 6);
	bytes[12] = match->vlan_test == VMQ_VLAN_ID ? 0x81 : 0x08;
	bytes[13] = 0;
	bytes[14] = (uint8_t)(match->vlan_id >> 8);
	bytes[15] = (uint8_t)match->vlan_id;
}

static int
compare_cycles(const void *one, const void *two)
{
	uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)two;

	return a < b ? -1 : a > b;
}

/* Returns the cycles of one lookup: the median of bursts, whatever else the machine does. */
static double
look_up_all(pattern_fn pattern)
{
	const struct vmq_classifier_queue queues[] = {{0}, {.index = 1, .active = true},
		{.index = 2, .active = true}};
	struct vmq_filter_set *set = vmq_filter_set_create();
	const uint8_t zeros[60] = {0};
	struct vmq_classifier *classifier;
	struct rte_mbuf *packets[256];
	struct vmq_class classes[256];
	struct vmq_filter_match match;
	uint64_t cycles[MANY / 256 + 1], start;
	uint32_t i, j, id, n = 0;

	for (i = 0; i < MANY; i++) {
		match = pattern(i);
		assert_int_equal(vmq_filter_add(set, (uint16_t)(1 + i % 2), &match, &id, NULL),
			VMQ_STATUS_SUCCESS);
	}
	classifier = vmq_classifier_build(set, queues, 3, SOCKET_ID_ANY);
	assert_non_null(classifier);
	for (i = 0; i < 256; i++)
		packets[i] = unit_packet(pool, zeros, sizeof(zeros));
	for (i = 0; i < MANY; i += 256) {
		for (j = 0; j < 256; j++) {
			match = pattern(i + j);
			frame_of(&match, packets[j]);
		}
		start = rte_rdtsc();
		vmq_classifier_lookup(classifier, packets, 256, classes, DEFAULT_INDEX);
		cycles[n++] = rte_rdtsc() - start;
		for (j = 0; j < 256; j++) {
			assert_int_equal(classes[j].index, 1 + j % 2);
			/* One bit beside a filter's MAC nobody lives. */
			rte_pktmbuf_mtod(packets[j], uint8_t *)[0] ^= 1;
		}
		vmq_classifier_lookup(classifier, packets, 256, classes, DEFAULT_INDEX);
		for (j = 0; j < 256; j++)
			assert_int_equal(classes[j].index, DEFAULT_INDEX);
	}
	rte_pktmbuf_free_bulk(packets, 256);
	vmq_classifier_free(classifier);
	vmq_filter_set_free(set);
	qsort(cycles, n, sizeof(cycles[0]), compare_cycles);
	return (double)cycles[n / 2] / 256;
}

/* How much slower a hostile set may be: more than noise, far less than a long walk. */
#define SLOWER_MAX 30

static void
no_choice_of_filters_makes_lookups_slow(void **state)
{
	static const struct {
		const char *name;
		pattern_fn pattern;
	} hostile[] = {
		{"high bits only", high_bits_only},
		{"VLANs of few MACs", vlans_of_few_macs},
		{"chosen against the hash", chosen_against_the_hash},
	};
	double usual = look_up_all(consecutive), cycles;
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(hostile); i++) {
		cycles = look_up_all(hostile[i].pattern);
		if (cycles > SLOWER_MAX * usual)
			fail_msg("%s: %.0f cycles a lookup, %.0f are usual", hostile[i].name,
				cycles, usual);
	}
}

static void
removing_a_key_leaves_every_other_one_to_be_found(void **state)
{
	uint64_t keys[100];
	struct key_entry *slots = calloc(key_table_slots(RTE_DIM(keys)), sizeof(*slots));
	const uint32_t n_slots = key_table_slots(RTE_DIM(keys));
	const struct key_entry *entry;
	struct key_table table;
	unsigned int round, i, gone;

	(void)state;
	assert_true(n_slots >= 2 * RTE_DIM(keys));
	for (round = 0; round < 200; round++) {
		memset(slots, 0, n_slots * sizeof(*slots));
		key_table_init(&table, slots, n_slots, unit_random() | 1);
		/* Small keys times a small multiplier: they crowd, and wrap round the end. */
		if (round % 2 == 0)
			table.multiplier = UINT64_C(1) << 50 | 1;
		for (i = 0; i < RTE_DIM(keys); i++) {
			keys[i] = 1 + i + 1000 * (uint64_t)unit_below(1000);
			while (key_table_find(&table, key_table_hash(&table, keys[i]), keys[i]) !=
				NULL)
				keys[i] += 1000;
			key_table_insert(&table, keys[i], i);
		}
		for (gone = 0; gone < RTE_DIM(keys); gone++) {
			key_table_remove(&table, keys[gone]);
			for (i = 0; i < RTE_DIM(keys); i++) {
				entry = key_table_find(&table, key_table_hash(&table, keys[i]),
					keys[i]);
				assert_int_equal(entry != NULL, i > gone);
				if (entry != NULL)
					assert_int_equal(entry->value, i);
			}
		}
	}
	free(slots);
}

/* Keys of a table and their values: any numbers, or those of one vendor's MACs in a VLAN. */
static void
make_entries(struct key_entry *entries, uint32_t n, bool consecutive_macs)
{
	const uint64_t first = unit_random() & KEY_MAC_MASK & ~UINT64_C(0xffff0000ffff);
	uint32_t i;

	for (i = 0; i < n; i++) {
		/* The lowest bits are the number's: no two keys are the same. */
		entries[i].key = consecutive_macs
			? first | (uint64_t)rte_cpu_to_be_16((uint16_t)i) << 32 | KEY_VLAN(7)
			: (((uint64_t)unit_random() << 32 | (uint32_t)unit_random()) &
				(KEY_TCI_MASK | KEY_MAC_MASK) & ~UINT64_C(0x1ffff)) | i;
		entries[i].value = i;
	}
}

static void
a_key_is_in_the_one_slot_where_it_is_looked_for(void **state)
{
	static const uint32_t numbers[] = {0, 1, 2, 24, 47, 48, 49, 64, 100, 1000, 1024, 5000,
		16384, 65535};
	struct key_entry *entries, *slots;
	const struct key_entry *found;
	struct perfect table;
	uint16_t *groups;
	uint32_t n, i, j;

	(void)state;
	for (i = 0; i < 2 * RTE_DIM(numbers); i++) {
		n = numbers[i / 2];
		entries = calloc(n + 1, sizeof(*entries));
		slots = calloc(perfect_slots(n), sizeof(*slots));
		groups = calloc(perfect_groups(n), sizeof(*groups));
		make_entries(entries, n, i % 2 != 0);
		assert_int_equal(perfect_fill(&table, entries, n, slots, perfect_slots(n), groups),
			0);
		/* Few get by without groups; at 48 keys mostly, not always. */
		assert_true(n > 24 || table.groups == NULL);
		assert_true(n <= 48 || table.groups != NULL);
		for (j = 0; j < n; j++) {
			found = perfect_at(&table, entries[j].key);
			assert_int_equal(found->key, entries[j].key);
			assert_int_equal(found->value, j);
			/* Of a VLAN that none has. */
			assert_true(perfect_at(&table, entries[j].key ^ KEY_VLAN(0x800))->key !=
				(entries[j].key ^ KEY_VLAN(0x800)) || i % 2 == 0);
		}
		free(entries);
		free(slots);
		free(groups);
	}
}

/* Of few keys, too: all in one slot by the multiplier that everybody knows. */
static void
few_keys_chosen_against_the_hash_are_set_apart(void **state)
{
	struct key_entry entries[24], slots[256];
	struct perfect table;
	uint16_t groups[128];
	uint64_t mac;
	unsigned int i, n = 0;

	(void)state;
	assert_true(perfect_slots(RTE_DIM(entries)) <= RTE_DIM(slots));
	for (mac = 1; n < RTE_DIM(entries); mac++)
		if ((mac << 20) * KEY_MULTIPLIER >> 56 == 0)
			entries[n++] = (struct key_entry){.key = mac << 20};
	assert_int_equal(perfect_fill(&table, entries, n, slots, perfect_slots(n), groups), 0);
	assert_true(table.multiplier != KEY_MULTIPLIER);
	for (i = 0; i < n; i++)
		assert_int_equal(perfect_at(&table, entries[i].key)->key, entries[i].key);
}

/* What cannot be: the caller has seen to it that no two keys are the same. */
static void
keys_that_cannot_be_set_apart_are_refused(void **state)
{
	static const uint32_t numbers[] = {2, 100};
	struct key_entry entries[100], slots[256];
	uint16_t groups[128];
	struct perfect table;
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(numbers); i++) {
		make_entries(entries, numbers[i], false);
		entries[1] = entries[0];
		assert_true(perfect_slots(numbers[i]) <= RTE_DIM(slots));
		assert_int_equal(perfect_fill(&table, entries, numbers[i], slots,
			perfect_slots(numbers[i]), groups), -EAGAIN);
	}
}

static void
strip_and_insert_are_inverse_byte_for_byte(void **state)
{
	uint8_t bytes[200], stripped[196];
	struct rte_mbuf *packet;
	unsigned int round;
	uint16_t length;

	(void)state;
	for (round = 0; round < 500; round++) {
		length = (uint16_t)(18 + unit_below(sizeof(bytes) - 18 + 1));
		unit_fill(bytes, length, (uint32_t)unit_random());
		bytes[12] = 0x81;
		bytes[13] = 0x00;
		memcpy(stripped, bytes, 12);
		memcpy(stripped + 12, bytes + 16, length - 16u);
		packet = unit_packet(pool, bytes, length);
		vmq_tag_strip(packet);
		unit_assert_bytes(packet, stripped, length - 4u);
		assert_int_equal(packet->vlan_tci, bytes[14] * 256 + bytes[15]);
		assert_int_equal(packet->ol_flags,
			RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED);
		assert_int_equal(vmq_tag_insert(packet), 0);
		unit_assert_bytes(packet, bytes, length);
		assert_int_equal(packet->ol_flags, 0);
		assert_int_equal(rte_mbuf_check(packet, 1, &(const char *){NULL}), 0);
		rte_pktmbuf_free(packet);
	}
}

static void
a_tag_goes_in_and_out_of_a_chain_of_segments(void **state)
{
	static const uint16_t lengths[] = {18, 1, 100, 0};
	struct rte_mbuf *packet;
	uint8_t bytes[119];

	(void)state;
	unit_fill(bytes, sizeof(bytes), 1);
	bytes[12] = 0x81;
	bytes[13] = 0;
	packet = unit_chain(pool, bytes, lengths);
	vmq_tag_strip(packet);
	assert_int_equal(packet->pkt_len, sizeof(bytes) - 4);
	assert_int_equal(packet->data_len, 14);
	assert_int_equal(vmq_tag_insert(packet), 0);
	unit_assert_bytes(packet, bytes, sizeof(bytes));
	rte_pktmbuf_free(packet);
}

static void
only_the_outer_tag_of_two_is_stripped(void **state)
{
	uint8_t bytes[64] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xa8, 0x20, 0x07, 0x81, 0x00,
		0x00, 0x09, 0x08, 0x00};
	struct rte_mbuf *packet = unit_packet(pool, bytes, sizeof(bytes));

	(void)state;
	vmq_tag_strip(packet);
	assert_int_equal(packet->vlan_tci, 0x2007);
	memmove(bytes + 12, bytes + 16, sizeof(bytes) - 16);
	unit_assert_bytes(packet, bytes, sizeof(bytes) - 4);
	rte_pktmbuf_free(packet);
}

static void
without_headroom_a_tag_is_not_inserted(void **state)
{
	struct rte_mbuf *packet;
	uint8_t bytes[60];
	uint16_t room;

	(void)state;
	unit_fill(bytes, sizeof(bytes), 3);
	for (room = 0; room <= 4; room++) {
		packet = rte_pktmbuf_alloc(pool);
		packet->data_off = room;
		memcpy(rte_pktmbuf_append(packet, sizeof(bytes)), bytes, sizeof(bytes));
		packet->vlan_tci = 0x1234;
		packet->ol_flags = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
		assert_int_equal(vmq_tag_insert(packet), room < 4 ? -ENOSPC : 0);
		if (room < 4) { /* unchanged */
			unit_assert_bytes(packet, bytes, sizeof(bytes));
			assert_int_equal(packet->data_off, room);
			assert_int_equal(packet->ol_flags,
				RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED);
		} else {
			assert_int_equal(packet->data_off, 0);
		}
		assert_int_equal(packet->vlan_tci, 0x1234);
		rte_pktmbuf_free(packet);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_go_where_a_plain_reading_of_the_rules_says),
		cmocka_unit_test(what_exact_keys_confirm_the_rules_say_too),
		cmocka_unit_test(specificity_decides_between_all_four_kinds),
		cmocka_unit_test(a_filter_of_a_queue_out_of_range_is_refused),
		cmocka_unit_test(a_classifier_does_not_change_with_its_set),
		cmocka_unit_test(no_choice_of_filters_makes_lookups_slow),
		cmocka_unit_test(removing_a_key_leaves_every_other_one_to_be_found),
		cmocka_unit_test(a_key_is_in_the_one_slot_where_it_is_looked_for),
		cmocka_unit_test(few_keys_chosen_against_the_hash_are_set_apart),
		cmocka_unit_test(keys_that_cannot_be_set_apart_are_refused),
		cmocka_unit_test(strip_and_insert_are_inverse_byte_for_byte),
		cmocka_unit_test(a_tag_goes_in_and_out_of_a_chain_of_segments),
		cmocka_unit_test(only_the_outer_tag_of_two_is_stripped),
		cmocka_unit_test(without_headroom_a_tag_is_not_inserted),
	};

	return cmocka_run_group_tests_name("classifier", tests, make_pool, free_pool);
}
