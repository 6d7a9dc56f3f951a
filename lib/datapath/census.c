/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* What comes by a ring of the NIC, by destination and VLAN, while somebody wants to know. */

#include <string.h>

#include <rte_errno.h>
#include <rte_malloc.h>

#include "dp_private.h"

/* Entries of a ring; a power of two. A NIC's ring has the addresses of one VM, or few. */
#define ENTRIES 1024
/* Places that are tried for a key. */
#define TRIES 16

/* The key of an entry: it is not 0 for any frame. */
#define KEY_USED (UINT64_C(1) << 63)
#define KEY_VLAN_SHIFT 48

struct vmq_dp_census {
	uint64_t n; /* frames counted */
	uint64_t untold; /* of these, no room for their address */
	uint64_t keys[ENTRIES];
	uint64_t packets[ENTRIES];
};

struct vmq_dp_census *
vmq_dp_census_create(int socket_id)
{
	struct vmq_dp_census *census = rte_zmalloc_socket("vmq_census", sizeof(*census),
		RTE_CACHE_LINE_SIZE, socket_id);

	if (census == NULL)
		rte_errno = ENOMEM;
	return census;
}

void
vmq_dp_census_free(struct vmq_dp_census *census)
{
	rte_free(census);
}

void
vmq_dp_census_clear(struct vmq_dp_census *census)
{
	memset(census, 0, sizeof(*census));
}

void
vmq_dp_source_set_census(struct vmq_dp_source *source, struct vmq_dp_census *census)
{
	atomic_store_explicit(&source->census, census, memory_order_release);
}

void
vmq_dp_hw_set_census(struct vmq_dp_hw *hw, struct vmq_dp_census *census)
{
	atomic_store_explicit(&hw->census, census, memory_order_release);
}

/* Destination and VLAN; a priority tag (VLAN 0) is as none. Returns 0: no whole header. */
static uint64_t
key_of(const struct rte_mbuf *packet)
{
	const uint8_t *data = rte_pktmbuf_mtod(packet, const uint8_t *);
	rte_be16_t ether_type, tci;
	uint64_t mac = 0, vlan = 0;

	if (packet->data_len < RTE_ETHER_HDR_LEN)
		return 0;
	memcpy(&mac, data, RTE_ETHER_ADDR_LEN);
	memcpy(&ether_type, data + 2 * RTE_ETHER_ADDR_LEN, sizeof(ether_type));
	if (packet->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) {
		vlan = packet->vlan_tci;
	} else if ((ether_type == RTE_BE16(RTE_ETHER_TYPE_VLAN) ||
			ether_type == RTE_BE16(RTE_ETHER_TYPE_QINQ)) &&
		packet->data_len >= RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN) {
		memcpy(&tci, data + RTE_ETHER_HDR_LEN, sizeof(tci));
		vlan = rte_be_to_cpu_16(tci);
	}
	return KEY_USED | (vlan & RTE_VLAN_ID_MASK) << KEY_VLAN_SHIFT | rte_le_to_cpu_64(mac);
}

static void
count(struct vmq_dp_census *census, const struct rte_mbuf *packet)
{
	const uint64_t key = key_of(packet);
	uint32_t at = (uint32_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 40), i;

	census->n++;
	for (i = 0; i < TRIES && key != 0; i++, at++) {
		at %= ENTRIES;
		if (census->keys[at] == 0)
			census->keys[at] = key;
		if (census->keys[at] != key)
			continue;
		census->packets[at]++;
		return;
	}
	census->untold++;
}

void
census_count(struct vmq_dp_census *census, struct rte_mbuf *const *packets, uint16_t n)
{
	uint16_t i;

	for (i = 0; i < n; i++)
		count(census, packets[i]);
}

void
census_count_claimed(struct vmq_dp_census *census, const struct vmq_dp_view *view,
	struct rte_mbuf *const *packets, const struct vmq_class *classes, uint16_t n)
{
	uint16_t i;

	for (i = 0; i < n; i++)
		if (classes[i].claimed != VMQ_CLAIM_NONE && classes[i].index != 0 &&
			atomic_load_explicit(&view->queues[classes[i].index]->received_into_pool,
				memory_order_relaxed))
			count(census, packets[i]);
}

bool
vmq_dp_census_next(const struct vmq_dp_census *census, uint32_t *at,
	struct vmq_dp_census_entry *entry)
{
	uint64_t mac;

	for (; *at < ENTRIES; ++*at) {
		if (census->keys[*at] == 0)
			continue;
		mac = rte_cpu_to_le_64(census->keys[*at]);
		memcpy(&entry->mac, &mac, sizeof(entry->mac));
		entry->vlan = census->keys[*at] >> KEY_VLAN_SHIFT & RTE_VLAN_ID_MASK;
		entry->packets = census->packets[*at];
		++*at;
		return true;
	}
	return false;
}

uint64_t
vmq_dp_census_packets(const struct vmq_dp_census *census, uint64_t *untold)
{
	*untold = census->untold;
	return census->n;
}
