/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Copies of broadcast and multicast frames for the queues of their VLAN. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_malloc.h>

#include "dp_private.h"

#define VLANS 4096

/*
 * Indices of queues: first those that take every VLAN, then those of VLAN 0 (untagged),
 * of VLAN 1, and so on: those of VLAN n begin at first[n] and end before first[n + 1].
 */
struct vmq_dp_flood {
	uint32_t first[VLANS + 1];
	uint16_t list[];
};

enum group
packet_group(const struct rte_mbuf *packet)
{
	/* IEEE 802.1Q, table 8-1: the addresses that no bridge forwards */
	static const uint8_t link_local[] = {0x01, 0x80, 0xc2, 0x00, 0x00};
	const uint8_t *mac = rte_pktmbuf_mtod(packet, const uint8_t *);

	if (packet->data_len < RTE_ETHER_HDR_LEN || !(mac[0] & RTE_ETHER_GROUP_ADDR))
		return GROUP_NONE;
	if (memcmp(mac, link_local, sizeof(link_local)) == 0 && mac[5] < 0x10)
		return GROUP_LINK_LOCAL;
	return GROUP_ALL;
}

/* By queue, those that take all first. */
static int
compare_queues(const void *a, const void *b)
{
	const struct vmq_dp_flood_member *x = a, *y = b;

	if (x->index != y->index)
		return x->index < y->index ? -1 : 1;
	if (x->vlan != y->vlan)
		return x->vlan > y->vlan ? -1 : 1;
	return 0;
}

static int
compare_vlans(const void *a, const void *b)
{
	const struct vmq_dp_flood_member *x = a, *y = b;
	/* VMQ_DP_FLOOD_ALL becomes the least. */
	const uint16_t vlan_x = x->vlan + 1, vlan_y = y->vlan + 1;

	if (vlan_x != vlan_y)
		return vlan_x < vlan_y ? -1 : 1;
	return (int)x->index - (int)y->index;
}

/* Each queue once in a VLAN, and only once if it takes all. Returns how many are left. */
static size_t
unique(struct vmq_dp_flood_member *members, size_t n)
{
	size_t i, kept = 0;

	qsort(members, n, sizeof(*members), compare_queues);
	for (i = 0; i < n; i++) {
		if (kept > 0 && members[kept - 1].index == members[i].index &&
			(members[kept - 1].vlan == VMQ_DP_FLOOD_ALL ||
				members[kept - 1].vlan == members[i].vlan))
			continue;
		members[kept++] = members[i];
	}
	return kept;
}

int
vmq_dp_view_flood(struct vmq_dp_view *view, struct vmq_dp_flood_member *members, size_t n,
	int socket_id)
{
	struct vmq_dp_flood *flood;
	unsigned int vlan;
	size_t i = 0;

	if (n == 0)
		return 0;
	n = unique(members, n);
	qsort(members, n, sizeof(*members), compare_vlans);
	flood = rte_zmalloc_socket("vmq_flood", sizeof(*flood) + n * sizeof(flood->list[0]),
		RTE_CACHE_LINE_SIZE, socket_id);
	if (flood == NULL)
		return -ENOMEM;
	while (i < n && members[i].vlan == VMQ_DP_FLOOD_ALL)
		i++;
	for (vlan = 0; vlan < VLANS; vlan++) {
		flood->first[vlan] = (uint32_t)i;
		while (i < n && members[i].vlan == vlan)
			i++;
	}
	flood->first[VLANS] = (uint32_t)i;
	for (i = 0; i < n; i++)
		flood->list[i] = members[i].index;
	view->flood = flood;
	return 0;
}

void
flood_free(struct vmq_dp_flood *flood)
{
	rte_free(flood);
}

static bool
has_tag(const struct rte_mbuf *packet)
{
	const struct rte_ether_hdr *header = rte_pktmbuf_mtod(packet, const struct rte_ether_hdr *);

	return packet->data_len >= RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN &&
		(header->ether_type == RTE_BE16(RTE_ETHER_TYPE_VLAN) ||
			header->ether_type == RTE_BE16(RTE_ETHER_TYPE_QINQ));
}

/* The VLAN of a frame, 0: untagged. */
static uint16_t
vlan_of(const struct rte_mbuf *packet)
{
	rte_be16_t tci;

	if (packet->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED)
		return packet->vlan_tci & RTE_VLAN_ID_MASK;
	if (!has_tag(packet))
		return 0;
	memcpy(&tci, rte_pktmbuf_mtod_offset(packet, const void *, RTE_ETHER_HDR_LEN), sizeof(tci));
	return rte_be_to_cpu_16(tci) & RTE_VLAN_ID_MASK;
}

bool
flood_one(struct vmq_dp_view *view, const struct rte_mbuf *packet, uint16_t index,
	struct worker *worker, flood_fn *each, void *arg)
{
	struct rte_mbuf *copy = queue_copy(view->queues[index], packet, worker);

	if (copy == NULL)
		return false;
	if (copy->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) {
		if (view->members[index].trunk)
			vmq_tag_insert(copy); /* a new buffer has all its headroom */
	} else if (!view->members[index].trunk && has_tag(copy)) {
		vmq_tag_strip(copy);
	}
	each(arg, view, index, copy, worker);
	return true;
}

static uint32_t
flood_range(struct vmq_dp_view *view, const struct rte_mbuf *packet, uint32_t first, uint32_t end,
	uint16_t except, struct worker *worker, flood_fn *each, void *arg)
{
	uint32_t i, copies = 0;

	for (i = first; i < end; i++)
		if (view->flood->list[i] != except)
			copies += flood_one(view, packet, view->flood->list[i], worker, each, arg);
	return copies;
}

uint32_t
flood(struct vmq_dp_view *view, const struct rte_mbuf *packet, uint16_t except,
	struct worker *worker, flood_fn *each, void *arg)
{
	const struct vmq_dp_flood *to = view->flood;
	uint32_t copies;
	uint16_t vlan;

	if (to == NULL)
		return 0;
	vlan = vlan_of(packet);
	copies = flood_range(view, packet, 0, to->first[0], except, worker, each, arg);
	copies += flood_range(view, packet, to->first[vlan], to->first[vlan + 1], except, worker,
		each, arg);
	return copies;
}
