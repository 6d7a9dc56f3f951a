/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_prefetch.h>

#include "filter_private.h"
#include "perfect.h"

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

struct vmq_classifier {
	struct perfect table;
	bool has_any; /* some filter tests the MAC alone */
	bool has_vlan_alone;
	size_t bytes;
	struct key_entry slots[];
};

static uint32_t
value_for(const struct vmq_filter *filter, const struct vmq_classifier_queue *queue)
{
	uint32_t value = queue->index |
		VALUE_CLAIM(filter->match.has_mac ? VMQ_CLAIM_MAC : VMQ_CLAIM_VLAN);

	return value | (queue->keep_tags ? VALUE_STRIPPED(VMQ_TAG_INSERT)
					 : VALUE_IN_FRAME(VMQ_TAG_STRIP));
}

/* The entries of a table, and what kinds of filters there are. Returns how many, or -errno. */
static int
list_entries(struct vmq_classifier *classifier, const struct vmq_filter_set *set,
	const struct vmq_classifier_queue *queues, uint16_t n_queues, struct key_entry *entries)
{
	const struct vmq_filter *filter;
	uint32_t after;
	int n = 0;

	for (after = 0; (filter = vmq_filter_next(set, after)) != NULL; after = filter->id) {
		if (filter->queue_id >= n_queues)
			return -EINVAL;
		if (!queues[filter->queue_id].active)
			continue;
		if (!filter->match.has_mac)
			classifier->has_vlan_alone = true;
		else if (filter->match.vlan_test == VMQ_VLAN_ANY)
			classifier->has_any = true;
		entries[n++] = (struct key_entry){
			.key = filter_match_key(&filter->match),
			.value = value_for(filter, &queues[filter->queue_id]),
		};
	}
	return n;
}

struct vmq_classifier *
vmq_classifier_build(const struct vmq_filter_set *set, const struct vmq_classifier_queue *queues,
	uint16_t n_queues, int socket_id)
{
	const uint32_t total = vmq_filter_total(set), n_slots = perfect_slots(total);
	struct vmq_classifier *classifier;
	struct key_entry *entries;
	size_t bytes;
	int ret;

	bytes = sizeof(*classifier) + n_slots * sizeof(classifier->slots[0]) +
		perfect_groups(total) * sizeof(classifier->table.groups[0]);
	entries = calloc(RTE_MAX(total, 1U), sizeof(*entries));
	classifier = rte_zmalloc_socket("vmq_classifier", bytes, RTE_CACHE_LINE_SIZE, socket_id);
	if (entries == NULL || classifier == NULL) {
		ret = -ENOMEM;
		goto fail;
	}
	classifier->bytes = bytes;
	ret = list_entries(classifier, set, queues, n_queues, entries);
	if (ret < 0)
		goto fail;
	ret = perfect_fill(&classifier->table, entries, (uint32_t)ret, classifier->slots, n_slots,
		(uint16_t *)&classifier->slots[n_slots]);
	if (ret < 0)
		goto fail;
	free(entries);
	return classifier;

fail:
	free(entries);
	rte_free(classifier);
	rte_errno = -ret;
	return NULL;
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
find(const struct perfect *table, uint64_t key)
{
	const struct key_entry *entry = perfect_at(table, key);

	return entry->key == key ? entry : NULL;
}

/* What the most specific filter did not claim: the less specific ones. */
static __rte_noinline uint32_t
find_less_specific(const struct vmq_classifier *classifier, uint64_t key, uint16_t default_index)
{
	const uint64_t vlan = key >> KEY_VLAN_SHIFT;
	const struct key_entry *entry = NULL;

	if (classifier->has_any)
		entry = find(&classifier->table,
			(key & KEY_MAC_MASK) | KEY_VLAN_ANY << KEY_VLAN_SHIFT);
	if (entry == NULL && classifier->has_vlan_alone && vlan != KEY_VLAN_UNTAGGED &&
		vlan != KEY_VLAN_ANY)
		entry = find(&classifier->table, vlan << KEY_VLAN_SHIFT);
	return entry != NULL ? entry->value : VALUE_UNCLAIMED | default_index;
}

/* The value of an entry, if it is the key's; else that of the key. */
static __rte_always_inline uint32_t
value_of_entry(const struct vmq_classifier *classifier, const struct key_entry *entry,
	uint64_t key, uint16_t default_index)
{
	if (unlikely(entry->key != key))
		return find_less_specific(classifier, key, default_index);
	return entry->value;
}

/* A key's value. */
static __rte_always_inline uint32_t
value_of(const struct vmq_classifier *classifier, uint64_t key, uint16_t default_index)
{
	return value_of_entry(classifier, perfect_at(&classifier->table, key), key, default_index);
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

/* The first 16 bytes of a frame. */
typedef uint8_t head_bytes __attribute__((vector_size(16)));
typedef uint16_t head_words __attribute__((vector_size(16)));
typedef uint64_t head_quads __attribute__((vector_size(16)));

/*
 * Read keys as long as frames are ordinary and all tagged, with 0x8100 and in the frame, or
 * all untagged: those of a port mostly are, and it takes a third of the instructions. Returns
 * how many keys it has read, a multiple of ALIKE.
 */
static __rte_always_inline uint16_t
alike_keys(struct rte_mbuf *const *packets, uint16_t n, uint64_t *keys, const bool tagged)
{
	/* Then the lower half is the key, and the EtherType is in the upper one, twice. */
	const head_bytes mask = {255, 255, 255, 255, 255, 255, tagged ? 0x0f : 0, tagged ? 255 : 0,
		255, 255, 255, 255};
	const head_bytes types = {0, 0, 0, 0, 0, 0, 0, 0, 0x81, 0x00, tagged ? 0x81 : 0x88,
		tagged ? 0x00 : 0xa8};
	head_bytes head, other;
	const struct rte_mbuf *packet;
	uint64_t flags, others;
	uint16_t done, i;
	int32_t shortest;

	for (done = 0; done + ALIKE <= n; done += ALIKE) {
		other = (head_bytes){0};
		flags = 0;
		shortest = 0;
		VMQ_UNROLL
		for (i = 0; i < ALIKE; i++) {
			packet = packets[done + i];
			memcpy(&head, rte_pktmbuf_mtod(packet, const void *), sizeof(head));
			head = __builtin_shufflevector(head, head, 0, 1, 2, 3, 4, 5, 14, 15,
				12, 13, 12, 13, 0, 0, 0, 0) & mask;
			keys[done + i] = rte_le_to_cpu_64(((head_quads)head)[0]);
			/* Tagged: is it another type? Untagged: is it that of a tag? */
			other |= tagged ? head ^ types
				: (head_bytes)((head_words)head == (head_words)types);
			flags |= packet->ol_flags;
			/* Negative, if one is. */
			shortest |= packet->data_len - TAGGED_HEADER_BYTES;
		}
		others = rte_le_to_cpu_64(((head_quads)other)[1]) & UINT32_MAX;
		if (unlikely(others != 0 || shortest < 0 ||
			(flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0))
			break;
	}
	return done;
}

/* Functions of their own: together with all else of a lookup the CPU's registers are too few. */
static __rte_noinline uint16_t
tagged_keys(struct rte_mbuf *const *packets, uint16_t n, uint64_t *keys)
{
	return alike_keys(packets, n, keys, true);
}

static __rte_noinline uint16_t
untagged_keys(struct rte_mbuf *const *packets, uint16_t n, uint64_t *keys)
{
	return alike_keys(packets, n, keys, false);
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
		done = tagged_keys(packets, n, keys);
	else
		done = untagged_keys(packets, n, keys);
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

/*
 * The values of keys, without a branch. Returns whether all keys have one; which ones have
 * not has to be found out then.
 */
static __rte_always_inline bool
find_values(const struct perfect *table, const uint64_t *keys, uint16_t n,
	uint32_t *restrict values, const bool grouped)
{
	const struct perfect here = *table;
	const struct key_entry *entry;
	uint64_t all = 0;
	uint16_t i;

	VMQ_UNROLL
	for (i = 0; i < n; i++) {
		entry = &here.slots[grouped ? perfect_slot_grouped(&here, keys[i])
			: perfect_slot_plain(&here, keys[i])];
		all |= entry->key ^ keys[i];
		values[i] = entry->value;
	}
	return all == 0;
}

static __rte_noinline bool
find_plain(const struct perfect *table, const uint64_t *keys, uint16_t n, uint32_t *values)
{
	return find_values(table, keys, n, values, false);
}

static __rte_noinline bool
find_grouped(const struct perfect *table, const uint64_t *keys, uint16_t n, uint32_t *values)
{
	return find_values(table, keys, n, values, true);
}

enum vmq_burst_class
vmq_classifier_lookup(const struct vmq_classifier *classifier, struct rte_mbuf *const *packets,
	uint16_t n, struct vmq_class *classes, uint16_t default_index)
{
	const uint32_t strip = VALUE_CLAIM(VMQ_CLAIM_MAC) | VALUE_IN_FRAME(VMQ_TAG_STRIP);
	const uint32_t leave = VALUE_CLAIM(VMQ_CLAIM_MAC) | VALUE_IN_FRAME(VMQ_TAG_LEAVE);
	const struct perfect *table = &classifier->table;
	uint32_t value, mask, all = UINT32_MAX, any = 0, values[VMQ_BURST];
	uint64_t keys[VMQ_BURST];
	uint8_t places[VMQ_BURST];
	uint16_t done, i, m, alike;
	bool found;

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
		found = table->groups == NULL ? find_plain(table, keys, m, values)
			: find_grouped(table, keys, m, values);
		for (i = 0; unlikely(!found) && i < m; i++)
			values[i] = value_of(classifier, keys[i], default_index);
		mask = places[0] == TAG_IN_FRAME ? VALUE_WITH_TAG : VALUE_WITHOUT_TAG;
		for (i = 0; i < alike; i++) {
			value = values[i] & mask;
			answer(&classes[done + i], value);
			all &= value;
			any |= value;
		}
		for (; i < m; i++) {
			value = value_at(values[i], places[i]);
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
