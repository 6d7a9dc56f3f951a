/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "filter_private.h"
#include "key_table.h"

/* IEEE 802.1Q: 0 means "no VLAN", 4095 is reserved. */
#define VLAN_ID_MIN 1
#define VLAN_ID_MAX 4094

const char *
vmq_filter_text(const struct vmq_filter_match *match, char text[VMQ_FILTER_TEXT_SIZE])
{
	char mac[RTE_ETHER_ADDR_FMT_SIZE] = "any mac";
	const uint8_t *b = match->mac.addr_bytes;

	if (match->has_mac)
		snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3],
			b[4], b[5]);
	switch (match->vlan_test) {
	case VMQ_VLAN_ID:
		snprintf(text, VMQ_FILTER_TEXT_SIZE, "%s vlan %" PRIu16, mac, match->vlan_id);
		break;
	case VMQ_VLAN_UNTAGGED:
		snprintf(text, VMQ_FILTER_TEXT_SIZE, "%s untagged", mac);
		break;
	default:
		snprintf(text, VMQ_FILTER_TEXT_SIZE, "%s any vlan", mac);
	}
	return text;
}

enum vmq_status
vmq_filter_match_check(const struct vmq_filter_match *match, struct vmq_error *err)
{
	const enum vmq_status bad = VMQ_STATUS_INVALID_PARAMETER;

	if (match->vlan_test != VMQ_VLAN_ANY && match->vlan_test != VMQ_VLAN_UNTAGGED &&
		match->vlan_test != VMQ_VLAN_ID)
		return vmq_error_set(err, bad, "unknown VLAN test %d", (int)match->vlan_test);
	if (match->vlan_test == VMQ_VLAN_ID &&
		(match->vlan_id < VLAN_ID_MIN || match->vlan_id > VLAN_ID_MAX))
		return vmq_error_set(err, bad, "VLAN id %u is not in %d to %d%s", match->vlan_id,
			VLAN_ID_MIN, VLAN_ID_MAX,
			match->vlan_id == 0 ? "; untagged and VLAN 0 are the test \"untagged\"" : "");
	if (!match->has_mac && match->vlan_test != VMQ_VLAN_ID)
		return vmq_error_set(err, bad, "a filter without a MAC must test for a VLAN id");
	if (match->has_mac && rte_is_zero_ether_addr(&match->mac))
		return vmq_error_set(err, bad, "MAC 00:00:00:00:00:00 is nobody's address");
	if (match->has_mac && rte_is_multicast_ether_addr(&match->mac))
		return vmq_error_set(err, bad,
			"the MAC is a %s address; a filter takes a unicast address",
			rte_is_broadcast_ether_addr(&match->mac) ? "broadcast" : "multicast");
	return VMQ_STATUS_SUCCESS;
}

uint64_t
filter_match_key(const struct vmq_filter_match *match)
{
	uint64_t key = 0;

	if (match->has_mac) {
		memcpy(&key, match->mac.addr_bytes, sizeof(match->mac.addr_bytes));
		key = rte_le_to_cpu_64(key);
	}
	switch (match->vlan_test) {
	case VMQ_VLAN_ID:
		return key | KEY_VLAN(match->vlan_id);
	case VMQ_VLAN_UNTAGGED:
		return key | KEY_VLAN_UNTAGGED << KEY_VLAN_SHIFT;
	default:
		return key | KEY_VLAN_ANY << KEY_VLAN_SHIFT;
	}
}

bool
vmq_filter_match_equal(const struct vmq_filter_match *a, const struct vmq_filter_match *b)
{
	return filter_match_key(a) == filter_match_key(b);
}
