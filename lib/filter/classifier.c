/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <string.h>

#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_prefetch.h>
#include <rte_random.h>

#include "filter_private.h"
#include "key_table.h"

/*
 * A lookup that has to look at more slots than this makes the builder try another
 * hash function, a random one, so that no choice of MACs can make lookups slow. In a
 * table of 16384 random keys the longest lookup is one of 20 to 30.
 */
#define PROBES_MAX 64
#define TRIES_MAX 16

/* Where a frame's outermost tag is. */
enum tag_place {
	TAG_NONE,
	TAG_IN_FRAME,
	TAG_STRIPPED, /* by the NIC */
	TAG_CUT, /* in the frame, but the frame ends before the tag does */
};

/*
 * An entry's value is a struct vmq_class: index of the queue in bits 0 to 15, enum vmq_claim
 * from bit 16 on, and from bit 24 on what to do with a tag that is in the frame; then, from
 * bit 26 on, what to do with one that the NIC has stripped.
 */
#define VALUE_CLAIM(claim) ((uint32_t)(claim) << 16)
#define VALUE_IN_FRAME(action) ((uint32_t)(action) << 24)
#define VALUE_STRIPPED(action) ((uint32_t)(action) << 26)
#define VALUE_WITHOUT_TAG UINT32_C(0x00ffffff)
#define VALUE_WITH_TAG UINT32_C(0x03ffffff)
/* What nothing claims stays, or becomes again, as it came. */
#define VALUE_UNCLAIMED VALUE_STRIPPED(VMQ_TAG_INSERT)

/* Bytes of a frame up to the inner EtherType of a tagged one. */
#define TAGGED_HEADER_BYTES (RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN)

/* A table that is no larger than this needs no prefetching. */
#define NEAR_BYTES 8192

struct vmq_classifier {
	struct key_table table;
	bool has_any; /* some filter tests the MAC alone */
	bool has_vlan_alone;
	size_t bytes;
	struct key_entry slots[];
};

/* Fill the table. Gives up, and returns false, when a lookup would be too long. */
static bool
fill(struct vmq_classifier *classifier, const struct vmq_filter_set *set,
	const struct vmq_classifier_queue *queues, uint32_t probes_max)
{
	const struct vmq_filter *filter;
	uint32_t after;

	for (after = 0; (filter = vmq_filter_next(set, after)) != NULL; after = filter->id) {
		const struct vmq_classifier_queue *queue = &queues[filter->queue_id];
		uint32_t value = queue->index |
			VALUE_CLAIM(filter->match.has_mac ? VMQ_CLAIM_MAC : VMQ_CLAIM_VLAN);

		value |= queue->keep_tags ? VALUE_STRIPPED(VMQ_TAG_INSERT)
					  : VALUE_IN_FRAME(VMQ_TAG_STRIP);

		if (queue->active && key_table_insert(&classifier->table,
			filter_match_key(&filter->match), value) > probes_max)
			return false;
	}
	return true;
}

struct vmq_classifier *
vmq_classifier_build(const struct vmq_filter_set *set, const struct vmq_classifier_queue *queues,
	uint16_t n_queues, int socket_id)
{
	struct vmq_classifier *classifier;
	const struct vmq_filter *filter;
	uint32_t n_slots, tries, after;
	size_t bytes;

	n_slots = key_table_slots(vmq_filter_total(set));
	bytes = sizeof(*classifier) + n_slots * sizeof(classifier->slots[0]);
	classifier = rte_zmalloc_socket("vmq_classifier", bytes, RTE_CACHE_LINE_SIZE, socket_id);
	if (classifier == NULL) {
		rte_errno = ENOMEM;
		return NULL;
	}
	classifier->bytes = bytes;
	for (after = 0; (filter = vmq_filter_next(set, after)) != NULL; after = filter->id) {
		if (filter->queue_id >= n_queues) {
			rte_free(classifier);
			rte_errno = EINVAL;
			return NULL;
		}
		if (!queues[filter->queue_id].active)
			continue;
		if (!filter->match.has_mac)
			classifier->has_vlan_alone = true;
		else if (filter->match.vlan_test == VMQ_VLAN_ANY)
			classifier->has_any = true;
	}
	/* The last try stays, whatever comes: right, if slower. */
	for (tries = 1; tries <= TRIES_MAX; tries++) {
		key_table_init(&classifier->table, classifier->slots, n_slots,
			tries == 1 ? KEY_MULTIPLIER : rte_rand() | 1);
		if (fill(classifier, set, queues, tries < TRIES_MAX ? PROBES_MAX : UINT32_MAX))
			break;
		memset(classifier->slots, 0, n_slots * sizeof(classifier->slots[0]));
	}
	return classifier;
}

void
vmq_classifier_free(struct vmq_classifier *classifier)
{
	rte_free(classifier);
}

size_t
vmq_classifier_bytes(const struct vmq_classifier *classifier)
{
	return classifier->bytes;
}

static inline bool
is_tag(rte_be16_t ether_type)
{
	return ether_type == RTE_BE16(RTE_ETHER_TYPE_VLAN) ||
		ether_type == RTE_BE16(RTE_ETHER_TYPE_QINQ);
}

/*
 * Read a frame's key, as key_table.h describes it: 0 for a frame without fields to
 * test. The loads may pass the end of a short frame but not of its buffer, which has at
 * least VMQ_BUFFER_SIZE_MIN bytes; the length decides what of it counts.
 */
static inline uint64_t
frame_key(const struct rte_mbuf *packet, uint8_t *place)
{
	const uint8_t *data = rte_pktmbuf_mtod(packet, const uint8_t *);
	rte_be16_t ether_type, tci;
	uint64_t mac;

	memcpy(&mac, data, sizeof(mac));
	mac = rte_le_to_cpu_64(mac) & KEY_MAC_MASK;
	memcpy(&ether_type, data + 2 * RTE_ETHER_ADDR_LEN, sizeof(ether_type));

	*place = TAG_NONE;
	if (unlikely(packet->data_len < RTE_ETHER_HDR_LEN))
		return 0;
	if (unlikely(packet->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED)) {
		*place = TAG_STRIPPED;
		return mac | KEY_VLAN(packet->vlan_tci);
	}
	if (!is_tag(ether_type))
		return mac | KEY_VLAN_UNTAGGED << KEY_VLAN_SHIFT;
	if (unlikely(packet->data_len < TAGGED_HEADER_BYTES)) {
		*place = TAG_CUT;
		return mac | KEY_VLAN_ANY << KEY_VLAN_SHIFT;
	}
	*place = TAG_IN_FRAME;
	memcpy(&tci, data + RTE_ETHER_HDR_LEN, sizeof(tci));
	return mac | KEY_VLAN(rte_be_to_cpu_16(tci));
}

static inline const struct key_entry *
find(const struct key_table *table, uint64_t key)
{
	return key_table_find(table, key_table_hash(table, key), key);
}

/* What the most specific filter did not claim: the less specific ones. */
static inline const struct key_entry *
find_less_specific(const struct vmq_classifier *classifier, uint64_t key)
{
	const uint64_t vlan = key >> KEY_VLAN_SHIFT;
	const struct key_entry *entry = NULL;

	if (classifier->has_any)
		entry = find(&classifier->table,
			(key & KEY_MAC_MASK) | KEY_VLAN_ANY << KEY_VLAN_SHIFT);
	if (entry == NULL && classifier->has_vlan_alone && vlan != KEY_VLAN_UNTAGGED &&
		vlan != KEY_VLAN_ANY)
		entry = find(&classifier->table, vlan << KEY_VLAN_SHIFT);
	return entry;
}

/* What is not in its first slot: further slots, then the less specific filters. */
static const struct key_entry *
search(const struct vmq_classifier *classifier, uint64_t key)
{
	const struct key_entry *entry;

	if (key == 0)
		return NULL;
	entry = find(&classifier->table, key);
	return entry != NULL ? entry : find_less_specific(classifier, key);
}

/* What is not in its first slot. */
static __rte_noinline uint32_t
search_value(const struct vmq_classifier *classifier, uint64_t key, uint16_t default_index)
{
	const struct key_entry *entry = search(classifier, key);

	return entry != NULL ? entry->value : VALUE_UNCLAIMED | default_index;
}

/* An entry's value, or that of none. */
static __rte_always_inline uint32_t
value_of(const struct vmq_classifier *classifier, uint64_t key, uint16_t default_index)
{
	const struct key_entry *entry =
		&classifier->slots[key_table_hash(&classifier->table, key)];

	/* Key 0 means an empty slot; an untagged frame for MAC 0 has that key, too. */
	if (unlikely(entry->key != key || key == 0))
		return search_value(classifier, key, default_index);
	return entry->value;
}

/* The same for one place of the tag, as it is in memory. */
static __rte_always_inline uint32_t
value_at(uint32_t value, uint8_t place)
{
	if (unlikely(place == TAG_STRIPPED))
		return (value & VALUE_WITHOUT_TAG) | VALUE_IN_FRAME(value / VALUE_STRIPPED(1));
	return value & (place == TAG_IN_FRAME ? VALUE_WITH_TAG : VALUE_WITHOUT_TAG);
}

/* One store: field by field would be three. */
static __rte_always_inline void
answer(struct vmq_class *class, uint32_t value)
{
	RTE_BUILD_BUG_ON(sizeof(*class) != sizeof(value) ||
		offsetof(struct vmq_class, claimed) != 2 || offsetof(struct vmq_class, tag) != 3);
	value = rte_cpu_to_le_32(value);
	memcpy(class, &value, sizeof(*class));
#if RTE_BYTE_ORDER == RTE_BIG_ENDIAN
	class->index = rte_bswap16(class->index);
#endif
}

/*
 * Read the keys of a burst of ordinary frames, tagged or not, without a branch. Returns
 * false if one is not: too short, or its tag was stripped by the NIC.
 */
static inline bool
ordinary_keys(struct rte_mbuf *const *packets, uint16_t n, uint64_t *keys, uint8_t *places)
{
	const uint64_t tpids[] = {
		(uint64_t)RTE_BE16(RTE_ETHER_TYPE_VLAN), (uint64_t)RTE_BE16(RTE_ETHER_TYPE_QINQ)};
	uint64_t first, second, special = 0;
	const struct rte_mbuf *packet;
	uint16_t ether_type, i;
	bool tagged;

	for (i = 0; i < n; i++) {
		packet = packets[i];
		memcpy(&first, rte_pktmbuf_mtod(packet, const uint8_t *), sizeof(first));
		memcpy(&second, rte_pktmbuf_mtod_offset(packet, const uint8_t *, sizeof(first)),
			sizeof(second));
		first = rte_le_to_cpu_64(first);
		second = rte_le_to_cpu_64(second);
		ether_type = rte_cpu_to_le_16((uint16_t)(second >> 32));
		tagged = (ether_type == tpids[0]) | (ether_type == tpids[1]);
		keys[i] = (first & KEY_MAC_MASK) | (second & (tagged ? KEY_TCI_MASK : 0));
		places[i] = tagged ? TAG_IN_FRAME : TAG_NONE;
		special |= (packet->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) |
			(uint64_t)(packet->data_len < TAGGED_HEADER_BYTES);
	}
	return special == 0;
}

/* Frames that are read before it is looked whether all are of the kind that was expected. */
#define ALIKE 8

/*
 * Read keys as long as frames are ordinary and all tagged, with 0x8100 and in the frame, or
 * all untagged: those of a port mostly are, and it takes half the instructions. Returns how
 * many keys it has read, a multiple of ALIKE.
 */
static __rte_always_inline uint16_t
alike_keys(struct rte_mbuf *const *packets, uint16_t n, uint64_t *keys, const bool tagged)
{
	/* The EtherType in bytes 8 to 15 of a frame. */
	const uint64_t vlan = rte_le_to_cpu_64((uint64_t)RTE_BE16(RTE_ETHER_TYPE_VLAN) << 32);
	const uint64_t type_mask = UINT64_C(0xffff) << 32;
	uint64_t first, second, flags, other;
	const struct rte_mbuf *packet;
	uint16_t done, i;
	int32_t shortest;

	for (done = 0; done + ALIKE <= n; done += ALIKE) {
		flags = other = 0;
		shortest = 0;
		VMQ_UNROLL
		for (i = 0; i < ALIKE; i++) {
			packet = packets[done + i];
			memcpy(&first, rte_pktmbuf_mtod(packet, const uint8_t *), sizeof(first));
			memcpy(&second, rte_pktmbuf_mtod_offset(packet, const uint8_t *,
				sizeof(first)), sizeof(second));
			first = rte_le_to_cpu_64(first) & KEY_MAC_MASK;
			second = rte_le_to_cpu_64(second);
			if (tagged)
				other |= second ^ vlan;
			else
				other |= is_tag((uint16_t)(second >> 32)) ? type_mask : 0;
			keys[done + i] = tagged ? first | (second & KEY_TCI_MASK) : first;
			flags |= packet->ol_flags;
			/* Negative, if one is. */
			shortest |= packet->data_len - TAGGED_HEADER_BYTES;
		}
		if (unlikely((other & type_mask) != 0 || shortest < 0 ||
			(flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0))
			break;
	}
	return done;
}

/*
 * Read the keys of a burst. Returns how many of the first ones have their tag where the
 * first one has it; places has it of that one and of the others.
 */
static inline uint16_t
read_keys(struct rte_mbuf *const *packets, uint16_t n, uint64_t *keys, uint8_t *places)
{
	uint16_t done, i;
	rte_be16_t type;

	memcpy(&type, rte_pktmbuf_mtod_offset(packets[0], const uint8_t *, 2 * RTE_ETHER_ADDR_LEN),
		sizeof(type));
	if (type == RTE_BE16(RTE_ETHER_TYPE_VLAN))
		done = alike_keys(packets, n, keys, true);
	else
		done = alike_keys(packets, n, keys, false);
	places[0] = type == RTE_BE16(RTE_ETHER_TYPE_VLAN) ? TAG_IN_FRAME : TAG_NONE;
	if (done < n && !ordinary_keys(packets + done, n - done, keys + done, places + done))
		for (i = done; i < n; i++)
			keys[i] = frame_key(packets[i], &places[i]);
	return done;
}

/* Do frames whose tags are in the same place have one and the same key? */
static inline bool
are_one(const uint64_t *keys, uint16_t n)
{
	uint64_t differ = keys[0] ^ keys[n - 1];
	uint16_t i;

	if (differ != 0) /* as a rule, where several VMs are busy */
		return false;
	for (i = 1; i < n; i++)
		differ |= keys[0] ^ keys[i];
	return differ == 0;
}

enum vmq_burst_class
vmq_classifier_lookup(const struct vmq_classifier *classifier, struct rte_mbuf *const *packets,
	uint16_t n, struct vmq_class *classes, uint16_t default_index)
{
	const uint32_t strip = VALUE_CLAIM(VMQ_CLAIM_MAC) | VALUE_IN_FRAME(VMQ_TAG_STRIP);
	const uint32_t leave = VALUE_CLAIM(VMQ_CLAIM_MAC) | VALUE_IN_FRAME(VMQ_TAG_LEAVE);
	uint32_t value, mask, all = UINT32_MAX, any = 0;
	uint64_t keys[VMQ_BURST];
	uint8_t places[VMQ_BURST];
	uint16_t done, i, m, alike;

	for (done = 0; done < n; done += m) {
		m = RTE_MIN((uint16_t)(n - done), (uint16_t)VMQ_BURST);
		alike = read_keys(packets + done, m, keys, places);
		if (alike == m && are_one(keys, m)) {
			value = value_at(value_of(classifier, keys[0], default_index), places[0]);
			for (i = 0; i < m; i++)
				answer(&classes[done + i], value);
			all &= value;
			any |= value;
			continue;
		}
		/* A small table is in the first cache already. */
		if (classifier->bytes > NEAR_BYTES)
			for (i = 0; i < m; i++)
				rte_prefetch0(&classifier->slots[key_table_hash(&classifier->table,
					keys[i])]);
		mask = places[0] == TAG_IN_FRAME ? VALUE_WITH_TAG : VALUE_WITHOUT_TAG;
		VMQ_UNROLL
		for (i = 0; i < alike; i++) {
			value = value_of(classifier, keys[i], default_index) & mask;
			answer(&classes[done + i], value);
			all &= value;
			any |= value;
		}
		for (; i < m; i++) {
			value = value_at(value_of(classifier, keys[i], default_index), places[i]);
			answer(&classes[done + i], value);
			all &= value;
			any |= value;
		}
	}
	/* What all have, and what some have: the claims and the tags, and the queue below them. */
	if ((all ^ any) >> 16 != 0 || n == 0)
		return VMQ_BURST_MIXED;
	if (all >> 16 == strip >> 16)
		return all == any ? VMQ_BURST_ONE_STRIP : VMQ_BURST_STRIP;
	if (all >> 16 == leave >> 16)
		return all == any ? VMQ_BURST_ONE_LEAVE : VMQ_BURST_LEAVE;
	return VMQ_BURST_MIXED;
}

struct vmq_class
vmq_classifier_find(const struct vmq_classifier *classifier, const struct rte_ether_addr *mac,
	uint16_t vlan_id, uint16_t default_index)
{
	struct vmq_class class;
	uint64_t key = 0;

	memcpy(&key, mac->addr_bytes, sizeof(mac->addr_bytes));
	key = rte_le_to_cpu_64(key) | KEY_VLAN(vlan_id);
	answer(&class, value_at(value_of(classifier, key, default_index), TAG_NONE));
	return class;
}

int
vmq_tag_insert(struct rte_mbuf *packet)
{
	const rte_be16_t tag[] = {
		RTE_BE16(RTE_ETHER_TYPE_VLAN),
		rte_cpu_to_be_16(packet->vlan_tci),
	};
	uint8_t macs[2 * RTE_ETHER_ADDR_LEN];
	uint8_t *data;

	if (rte_pktmbuf_headroom(packet) < RTE_VLAN_HLEN)
		return -ENOSPC;
	data = (uint8_t *)rte_pktmbuf_prepend(packet, RTE_VLAN_HLEN);
	memcpy(macs, data + RTE_VLAN_HLEN, sizeof(macs));
	memcpy(data, macs, sizeof(macs));
	memcpy(data + sizeof(macs), tag, sizeof(tag));
	packet->ol_flags &= ~(RTE_MBUF_F_RX_VLAN_STRIPPED | RTE_MBUF_F_RX_VLAN);
	return 0;
}
