/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* For rte_eth_macaddrs_get(), which is the only way to see a port's addresses. */
#define ALLOW_EXPERIMENTAL_API

#include <errno.h>
#include <stdlib.h>

#include <rte_errno.h>
#include <rte_ethdev.h>

#include "vmq_filter.h"

/* Has the port an address, of any pool? */
static bool
has_mac(uint16_t port_id, const struct rte_ether_addr *mac)
{
	struct rte_ether_addr *macs;
	struct rte_eth_dev_info info;
	bool found = false;
	int n, i;

	if (rte_eth_dev_info_get(port_id, &info) < 0)
		return false;
	/* Writes as many as the table has room for. */
	macs = calloc(RTE_MAX(info.max_mac_addrs, 1u), sizeof(*macs));
	if (macs == NULL)
		return false;
	n = rte_eth_macaddrs_get(port_id, macs, info.max_mac_addrs);
	for (i = 0; i < n && !found; i++)
		found = rte_is_same_ether_addr(&macs[i], mac);
	free(macs);
	return found;
}

static int
vmdq_add(void *arg, uint16_t port_id, const struct vmq_steer_request *request, void **handle,
	struct vmq_error *err)
{
	struct rte_ether_addr mac = request->mac;
	const uint64_t mark = vmq_log_mark();
	char said[256];
	int ret;

	(void)arg;
	if (request->test != VMQ_STEER_MAC)
		return vmq_error_errno(err, ENOTSUP,
			"VLANs of pools can be set only before a port starts");
	/*
	 * An address that is there already is another pool's, or the port's own: a second
	 * pool would not take it over but get copies.
	 */
	if (has_mac(port_id, &mac))
		return vmq_error_errno(err, EEXIST, "the port has that MAC address already");
	ret = rte_eth_dev_mac_addr_add(port_id, &mac, request->slot->pool);
	if (ret < 0) {
		vmq_log_since(mark, said, sizeof(said));
		return vmq_error_errno(err, -ret, "pool %u: %s%s%.200s", request->slot->pool,
			rte_strerror(-ret), said[0] != '\0' ? "; the driver says: " : "", said);
	}
	*handle = NULL;
	return 0;
}

static int
vmdq_del(void *arg, uint16_t port_id, const struct vmq_steer_request *request, void *handle,
	struct vmq_error *err)
{
	struct rte_ether_addr mac = request->mac;
	int ret;

	(void)arg;
	(void)handle;
	ret = rte_eth_dev_mac_addr_remove(port_id, &mac);
	return ret < 0 ? vmq_error_errno(err, -ret, "%s", rte_strerror(-ret)) : 0;
}

static bool
vmdq_exists(void *arg, uint16_t port_id, const struct vmq_steer_request *request, void *handle)
{
	(void)arg;
	(void)handle;
	return has_mac(port_id, &request->mac);
}

static uint32_t
vmdq_max_rules(void *arg, uint16_t port_id)
{
	struct rte_eth_dev_info info;

	(void)arg;
	/* The first address is the port's own. */
	return rte_eth_dev_info_get(port_id, &info) < 0 || info.max_mac_addrs == 0
		? 0 : info.max_mac_addrs - 1;
}

const struct vmq_steer_ops vmq_steer_vmdq = {
	.steering = VMQ_STEERING_VMDQ,
	.add = vmdq_add,
	.del = vmdq_del,
	.exists = vmdq_exists,
	.max_rules = vmdq_max_rules,
};
