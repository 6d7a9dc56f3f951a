/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <string.h>

#include "filter_private.h"
#include "key_table.h"

bool
vmq_exact_add(struct vmq_exact *exact, const struct vmq_filter_match *match)
{
	/* A less specific filter can lose a frame to another one: see the whole table. */
	if (!match->has_mac || match->vlan_test == VMQ_VLAN_ANY || exact->n == VMQ_EXACT_MAX)
		return false;
	exact->keys[exact->n++] = filter_match_key(match);
	if (match->vlan_test == VMQ_VLAN_ID && !exact->has_tagged) {
		exact->has_tagged = true;
		exact->tagged_mac = filter_match_key(match) & KEY_MAC_MASK;
		exact->tagged_tag = rte_cpu_to_be_32(RTE_ETHER_TYPE_VLAN << 16 | match->vlan_id);
	}
	return true;
}

/* Of the four bytes of a tag: its type and its VLAN, not its priority. */
#define TAG_MASK RTE_BE32(0xffff0000 | RTE_VLAN_ID_MASK)

/* Is it a frame of that filter, with its tag in the frame? */
static inline bool
is_tagged(const struct vmq_exact *exact, const struct rte_mbuf *packet)
{
	const uint8_t *data = rte_pktmbuf_mtod(packet, const uint8_t *);
	uint64_t mac;
	uint32_t tag;

	if (unlikely(packet->data_len < RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN))
		return false;
	memcpy(&mac, data, sizeof(mac));
	memcpy(&tag, data + 2 * RTE_ETHER_ADDR_LEN, sizeof(tag));
	return (((rte_le_to_cpu_64(mac) ^ exact->tagged_mac) & KEY_MAC_MASK) |
		((tag ^ exact->tagged_tag) & TAG_MASK) |
		(packet->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED)) == 0;
}

/* Frames that are looked at together: without a branch the CPU reads them side by side. */
#define TOGETHER 8

static __rte_always_inline bool
are_tagged(const struct vmq_exact *exact, struct rte_mbuf *const *packets)
{
	uint64_t mac, macs = 0, flags = 0;
	const struct rte_mbuf *packet;
	uint32_t tag, tags = 0;
	int32_t shortest = 0;
	const uint8_t *data;
	uint16_t i;

	VMQ_UNROLL
	for (i = 0; i < TOGETHER; i++) {
		packet = packets[i];
		data = rte_pktmbuf_mtod(packet, const uint8_t *);
		memcpy(&mac, data, sizeof(mac));
		memcpy(&tag, data + 2 * RTE_ETHER_ADDR_LEN, sizeof(tag));
		macs |= rte_le_to_cpu_64(mac) ^ exact->tagged_mac;
		tags |= tag ^ exact->tagged_tag;
		flags |= packet->ol_flags;
		/* Negative, if one is. */
		shortest |= packet->data_len - (RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN);
	}
	return ((macs & KEY_MAC_MASK) | (tags & TAG_MASK) |
		(flags & RTE_MBUF_F_RX_VLAN_STRIPPED)) == 0 && shortest >= 0;
}

uint16_t
vmq_exact_tagged(const struct vmq_exact *exact, struct rte_mbuf *const *packets, uint16_t n)
{
	uint16_t i = 0;

	if (!exact->has_tagged)
		return 0;
	while (i + TOGETHER <= n && likely(are_tagged(exact, packets + i)))
		i += TOGETHER;
	while (i < n && likely(is_tagged(exact, packets[i])))
		i++;
	return i;
}

/*
 * The key of an ordinary frame: untagged, tagged in the frame, or with a tag that the NIC
 * has stripped. KEY_NONE: not an ordinary one; no filter has that key, its VLAN is
 * reserved and its MAC is a group's.
 */
#define KEY_NONE UINT64_MAX

static inline uint64_t
ordinary_key(const struct rte_mbuf *packet, uint8_t *tag)
{
	const uint8_t *data = rte_pktmbuf_mtod(packet, const uint8_t *);
	rte_be16_t ether_type, tci;
	uint64_t mac;

	if (unlikely(packet->data_len < RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN))
		return KEY_NONE;
	memcpy(&mac, data, sizeof(mac));
	mac = rte_le_to_cpu_64(mac) & KEY_MAC_MASK;
	*tag = VMQ_TAG_INSERT;
	if (packet->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED)
		return mac | KEY_VLAN(packet->vlan_tci);
	memcpy(&ether_type, data + 2 * RTE_ETHER_ADDR_LEN, sizeof(ether_type));
	if (ether_type == RTE_BE16(RTE_ETHER_TYPE_VLAN) ||
		ether_type == RTE_BE16(RTE_ETHER_TYPE_QINQ)) {
		*tag = VMQ_TAG_STRIP;
		memcpy(&tci, data + RTE_ETHER_HDR_LEN, sizeof(tci));
		return mac | KEY_VLAN(rte_be_to_cpu_16(tci));
	}
	*tag = VMQ_TAG_LEAVE;
	return mac | KEY_VLAN_UNTAGGED << KEY_VLAN_SHIFT;
}

static inline bool
has_key(const struct vmq_exact *exact, uint64_t key)
{
	uint16_t i;

	for (i = 0; i < exact->n; i++)
		if (likely(exact->keys[i] == key))
			return true;
	return false;
}

uint16_t
vmq_exact_lookup(const struct vmq_exact *exact, struct rte_mbuf *const *packets, uint16_t n,
	struct vmq_class *classes)
{
	/* Which tag has to be touched: of stripped ones those that are kept, and so on. */
	const uint8_t touched = exact->keep_tags ? VMQ_TAG_INSERT : VMQ_TAG_STRIP;
	uint8_t tag = VMQ_TAG_LEAVE;
	uint16_t i;

	for (i = 0; i < n; i++) {
		if (unlikely(!has_key(exact, ordinary_key(packets[i], &tag))))
			break;
		classes[i] = (struct vmq_class){
			.index = exact->index,
			.claimed = VMQ_CLAIM_MAC,
			.tag = tag == touched ? tag : VMQ_TAG_LEAVE,
		};
	}
	return i;
}
