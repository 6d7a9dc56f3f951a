/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_FILTER_H
#define VMQ_FILTER_H

/**
 * @file
 * Receive filters: which queue a frame belongs to.
 *
 * A filter set is the control plane's list of rules of one adapter. A classifier
 * is an immutable table built from it, which workers read without a lock; the
 * data path publishes it under RCU.
 *
 * The rules, from "Filters" in the specification:
 * - a rule tests the destination MAC, the VLAN id, or both; all its tests must pass;
 * - the VLAN of a frame is its outermost tag, TPID 0x8100 or 0x88a8; a tag that the
 *   NIC has already stripped (RTE_MBUF_F_RX_VLAN_STRIPPED) counts the same;
 * - the more specific rule wins: MAC + VLAN, MAC untagged, MAC alone, VLAN alone;
 * - what no rule claims goes to the default queue as it came, tags included.
 * A frame shorter than an Ethernet header has no fields to test: no rule claims
 * it. One that is cut off inside its tag has a MAC but no VLAN id: only a rule
 * that tests the MAC alone can claim it.
 */

#include <stddef.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_mbuf.h>

#include <vmq_base.h>

#include "vmq_steer.h"

/** What a rule asks of a frame's VLAN. */
enum vmq_vlan_test {
	VMQ_VLAN_ANY, /**< No test: untagged and every VLAN (NDIS 6.30). */
	VMQ_VLAN_UNTAGGED, /**< Untagged, or tagged with VLAN 0 (priority tag). */
	VMQ_VLAN_ID, /**< Tagged with exactly this VLAN id, 1 to 4094. */
};

/** The field tests of one filter. */
struct vmq_filter_match {
	struct rte_ether_addr mac; /**< Read only if has_mac. */
	bool has_mac; /**< Without it vlan_test must be VMQ_VLAN_ID. */
	enum vmq_vlan_test vlan_test;
	uint16_t vlan_id; /**< Read only if vlan_test is VMQ_VLAN_ID. */
};

/** Room for the text of a match: "52:54:00:00:00:01 vlan 4094". */
#define VMQ_FILTER_TEXT_SIZE 48

/** Write a match as text; always ends with NUL. @return text */
const char *vmq_filter_text(const struct vmq_filter_match *match, char text[VMQ_FILTER_TEXT_SIZE]);

/**
 * Is it a match that the specification allows? A multicast or all-zero MAC, a
 * VLAN id out of 1 to 4094, and a match without any test are refused.
 *
 * @return VMQ_STATUS_SUCCESS or VMQ_STATUS_INVALID_PARAMETER
 */
enum vmq_status vmq_filter_match_check(const struct vmq_filter_match *match, struct vmq_error *err);

/** Do two matches make the same tests? */
bool vmq_filter_match_equal(const struct vmq_filter_match *a, const struct vmq_filter_match *b);

/** One filter of a set. */
struct vmq_filter {
	uint32_t id; /**< 1 and up, unique in its set, not used again. */
	uint16_t queue_id;
	struct vmq_filter_match match;
};

/**
 * The filters of one adapter. Owner: the adapter; used by the control thread only.
 */
struct vmq_filter_set;

/** @return NULL with rte_errno ENOMEM */
struct vmq_filter_set *vmq_filter_set_create(void);
void vmq_filter_set_free(struct vmq_filter_set *set);

/**
 * Add a filter for a queue.
 *
 * @param id
 *   Receives the new filter's id.
 * @return VMQ_STATUS_SUCCESS; VMQ_STATUS_INVALID_PARAMETER for a bad match or one
 *   equal to a filter of the set (err names its id); VMQ_STATUS_RESOURCES.
 */
enum vmq_status vmq_filter_add(struct vmq_filter_set *set, uint16_t queue_id,
	const struct vmq_filter_match *match, uint32_t *id, struct vmq_error *err);

/** @return the filter, or NULL if the set has none with that id. */
const struct vmq_filter *vmq_filter_find(const struct vmq_filter_set *set, uint32_t id);

/** @return the filter that makes the same tests, or NULL if the set has none. */
const struct vmq_filter *vmq_filter_find_equal(const struct vmq_filter_set *set,
	const struct vmq_filter_match *match);

/** Remove a filter. @return false if the set has none with that id. */
bool vmq_filter_del(struct vmq_filter_set *set, uint32_t id);

/** Give a filter to another queue. @return false if the set has none with that id. */
bool vmq_filter_move(struct vmq_filter_set *set, uint32_t id, uint16_t queue_id);

/**
 * Walk the filters in the order of their ids.
 *
 * @param after
 *   Id of the filter before the one wanted, 0 for the first.
 * @return NULL after the last one.
 */
const struct vmq_filter *vmq_filter_next(const struct vmq_filter_set *set, uint32_t after);

/** How many filters a queue has. */
uint32_t vmq_filter_count(const struct vmq_filter_set *set, uint16_t queue_id);

/** How many filters the set has. */
uint32_t vmq_filter_total(const struct vmq_filter_set *set);

/**
 * An immutable lookup table. Owner: the snapshot it is published with. Any thread
 * may look up; freed by the control thread after a grace period.
 */
struct vmq_classifier;

/** How the classifier shall treat the frames of a queue; indexed by queue id. */
struct vmq_classifier_queue {
	uint16_t index; /**< What a lookup answers for this queue. */
	bool keep_tags; /**< Leave the matched tag in the frame. */
	bool active; /**< false: its filters claim nothing, as if they were not there. */
};

/**
 * Build the table of all filters of a set.
 *
 * @param queues
 *   One entry for each queue id from 0 to n_queues - 1.
 * @param socket_id
 *   NUMA node of the worker that looks up.
 * @return NULL with rte_errno: ENOMEM; EINVAL for a filter of a queue id out of range.
 */
struct vmq_classifier *vmq_classifier_build(const struct vmq_filter_set *set,
	const struct vmq_classifier_queue *queues, uint16_t n_queues, int socket_id);
void vmq_classifier_free(struct vmq_classifier *classifier);

/** Memory of the table, in bytes. */
size_t vmq_classifier_bytes(const struct vmq_classifier *classifier);

/** What claims a frame. */
enum vmq_claim {
	VMQ_CLAIM_NONE,
	VMQ_CLAIM_MAC, /**< A filter that tests the MAC. */
	VMQ_CLAIM_VLAN, /**< A filter that tests the VLAN alone. */
};

/** The answer of a lookup: which queue, and what to do with the tag. */
struct vmq_class {
	uint16_t index; /**< vmq_classifier_queue.index of the queue, or default_index. */
	uint8_t claimed; /**< enum vmq_claim */
	uint8_t tag; /**< enum vmq_tag_action */
};

/** What is to be done so that the frame has its tag where the queue wants it. */
enum vmq_tag_action {
	VMQ_TAG_LEAVE,
	VMQ_TAG_STRIP, /**< In the frame, must go out of band. */
	VMQ_TAG_INSERT, /**< Stripped by the NIC, must go back into the frame. */
};

/** What all frames of a burst have in common, so that it need not be asked of each. */
enum vmq_burst_class {
	VMQ_BURST_MIXED, /**< Nothing is said. */
	VMQ_BURST_LEAVE, /**< All: VMQ_CLAIM_MAC and VMQ_TAG_LEAVE. */
	VMQ_BURST_STRIP, /**< All: VMQ_CLAIM_MAC and VMQ_TAG_STRIP. */
	VMQ_BURST_ONE_LEAVE, /**< The same, and all are of one queue. */
	VMQ_BURST_ONE_STRIP,
};

/**
 * Look up a burst. Does not touch the packets.
 *
 * @param classes
 *   Receives n answers.
 * @param default_index
 *   What to answer for packets that no filter claims.
 * @return what the answers have in common.
 */
enum vmq_burst_class vmq_classifier_lookup(const struct vmq_classifier *classifier,
	struct rte_mbuf *const *packets, uint16_t n, struct vmq_class *classes,
	uint16_t default_index);

/** Most filters that struct vmq_exact can have. */
#define VMQ_EXACT_MAX 4

/**
 * The filters of one queue that no other filter can be more specific than: for frames
 * that a NIC has put into that queue, a look at these few keys confirms it.
 */
struct vmq_exact {
	uint64_t keys[VMQ_EXACT_MAX];
	uint16_t n;
	uint16_t index; /**< vmq_classifier_queue.index of the queue. */
	bool keep_tags;
	/**
	 * The first filter of a MAC and a VLAN, as its frames have them in their bytes: what
	 * most frames of a VM are is seen by two comparisons.
	 */
	bool has_tagged;
	uint64_t tagged_mac;
	uint32_t tagged_tag;
};

/** @return false: not such a filter, or no room; a lookup then finds less. */
bool vmq_exact_add(struct vmq_exact *exact, const struct vmq_filter_match *match);

/**
 * The commonest case by itself: how many packets, from the first on, are of the first filter
 * of a MAC and a VLAN, with their tags in their bytes? They are the queue's; unless it keeps
 * tags these have to be stripped (vmq_tag_strip()). vmq_exact_lookup() has the rest.
 */
uint16_t vmq_exact_tagged(const struct vmq_exact *exact, struct rte_mbuf *const *packets,
	uint16_t n);

/**
 * Look up a burst. Does not touch the packets.
 *
 * @return for how many packets, from the first on, the answer is in classes: the same as
 *   vmq_classifier_lookup() gives. For the next one it has to be asked.
 */
uint16_t vmq_exact_lookup(const struct vmq_exact *exact, struct rte_mbuf *const *packets,
	uint16_t n, struct vmq_class *classes);

/**
 * Which queue a frame would go to: one lookup, as of a burst.
 *
 * @param vlan_id
 *   0: untagged.
 */
struct vmq_class vmq_classifier_find(const struct vmq_classifier *classifier,
	const struct rte_ether_addr *mac, uint16_t vlan_id, uint16_t default_index);

/**
 * Move the outermost tag of a frame out of band: into vlan_tci, with
 * RTE_MBUF_F_RX_VLAN and RTE_MBUF_F_RX_VLAN_STRIPPED set. The frame must be
 * tagged, 18 bytes or longer in its first segment, and nobody else's.
 */
static inline void
vmq_tag_strip(struct rte_mbuf *packet)
{
	typedef uint8_t bytes __attribute__((vector_size(16)));
	typedef uint16_t words __attribute__((vector_size(16)));
	typedef uint32_t longs __attribute__((vector_size(16)));
	typedef uint64_t quads __attribute__((vector_size(16)));
#if RTE_BYTE_ORDER == RTE_LITTLE_ENDIAN
	enum { FIRST = 15, SECOND = 14, DATA_LEN_SHIFT = 0 };
#else
	enum { FIRST = 14, SECOND = 15, DATA_LEN_SHIFT = 16 };
#endif
	const quads flags = {0, RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED};
	const longs lengths = {0, RTE_VLAN_HLEN, RTE_VLAN_HLEN << DATA_LEN_SHIFT};
	const words data_off = {RTE_VLAN_HLEN};
	const words others = {UINT16_MAX, UINT16_MAX, UINT16_MAX, UINT16_MAX, UINT16_MAX, 0,
		UINT16_MAX, UINT16_MAX}; /* all but vlan_tci */
	uint8_t *data = rte_pktmbuf_mtod(packet, uint8_t *);
	void *place = RTE_PTR_ADD(packet, offsetof(struct rte_mbuf, data_off));
	void *size = RTE_PTR_ADD(packet, offsetof(struct rte_mbuf, packet_type));
	words fields, tci;
	uint32_t behind;
	longs macs;

	/* Each store counts: the fields lie side by side, and go in three. */
	RTE_BUILD_BUG_ON(offsetof(struct rte_mbuf, ol_flags) !=
		offsetof(struct rte_mbuf, data_off) + 8);
	RTE_BUILD_BUG_ON(offsetof(struct rte_mbuf, pkt_len) !=
		offsetof(struct rte_mbuf, packet_type) + 4);
	RTE_BUILD_BUG_ON(offsetof(struct rte_mbuf, data_len) !=
		offsetof(struct rte_mbuf, packet_type) + 8);
	RTE_BUILD_BUG_ON(offsetof(struct rte_mbuf, vlan_tci) !=
		offsetof(struct rte_mbuf, packet_type) + 10);

	/* The last two of these bytes are the TCI, and go to where vlan_tci is. */
	memcpy(&macs, data, sizeof(macs));
	tci = (words)__builtin_shufflevector((bytes)macs, (bytes){0}, 16, 16, 16, 16, 16, 16,
		16, 16, 16, 16, FIRST, SECOND, 16, 16, 16, 16);
	memcpy(&behind, data + sizeof(macs), sizeof(behind));
	macs[3] = behind; /* as it was */
	memcpy(data + RTE_VLAN_HLEN, &macs, sizeof(macs));

	memcpy(&fields, place, sizeof(fields));
	fields = (words)((quads)(fields + data_off) | flags);
	memcpy(place, &fields, sizeof(fields));

	/* The frame is longer than its tag: what is taken from one length is not borrowed. */
	memcpy(&fields, size, sizeof(fields));
	fields = (words)((longs)(fields & others) - lengths) | tci;
	memcpy(size, &fields, sizeof(fields));
}

/**
 * Put an out of band tag back into the frame, with TPID 0x8100.
 *
 * @return 0, or -ENOSPC: no headroom; the packet is unchanged.
 */
int vmq_tag_insert(struct rte_mbuf *packet);

#endif /* VMQ_FILTER_H */
