/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_flow.h>

#include "vmq_filter.h"

/* Keep the words: first the ones that came with the refusal, else the PMD's log. */
static int
refused(struct vmq_error *err, int ret, const struct rte_flow_error *error, uint64_t mark)
{
	char said[256];

	if (error->message != NULL)
		return vmq_error_errno(err, -ret, "%s: %.200s", rte_strerror(-ret), error->message);
	vmq_log_since(mark, said, sizeof(said));
	return vmq_error_errno(err, -ret, "%s%s%.200s", rte_strerror(-ret),
		said[0] != '\0' ? "; the driver says: " : "", said);
}

/*
 * net_tap takes a rule with a VLAN and asks the kernel for frames whose inner EtherType is
 * ETH_P_ALL, 3: there are none. Of the VLAN it looks at eight bits.
 */
static bool
knows_no_vlans(uint16_t port_id)
{
	struct rte_eth_dev_info info;

	return rte_eth_dev_info_get(port_id, &info) == 0 &&
		strcmp(info.driver_name, "net_tap") == 0;
}

static int
flow_add(void *arg, uint16_t port_id, const struct vmq_steer_request *request, void **handle,
	struct vmq_error *err)
{
	const bool has_vlan = request->test == VMQ_STEER_MAC_VLAN;
	const struct rte_flow_item_eth eth = {.hdr.dst_addr = request->mac};
	const struct rte_flow_item_eth eth_mask = {
		.hdr.dst_addr.addr_bytes = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	const struct rte_flow_item_vlan vlan = {.hdr.vlan_tci = rte_cpu_to_be_16(request->vlan_id)};
	const struct rte_flow_item_vlan vlan_mask = {
		.hdr.vlan_tci = RTE_BE16(RTE_VLAN_ID_MASK)};
	const struct rte_flow_item pattern[] = {
		{.type = RTE_FLOW_ITEM_TYPE_ETH, .spec = &eth, .mask = &eth_mask},
		{.type = has_vlan ? RTE_FLOW_ITEM_TYPE_VLAN : RTE_FLOW_ITEM_TYPE_END,
			.spec = has_vlan ? &vlan : NULL, .mask = has_vlan ? &vlan_mask : NULL},
		{.type = RTE_FLOW_ITEM_TYPE_END},
	};
	const struct rte_flow_action_queue queue = {.index = request->slot->rx_queue};
	const struct rte_flow_action actions[] = {
		{.type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &queue},
		{.type = RTE_FLOW_ACTION_TYPE_END},
	};
	/*
	 * Where priorities exist a rule with a VLAN stands before one without (0 before 1);
	 * many drivers know only 0.
	 */
	struct rte_flow_attr attr = {.ingress = 1, .priority = has_vlan ? 0 : 1};
	struct rte_flow_error error = {.message = NULL};
	const uint64_t mark = vmq_log_mark();
	struct rte_flow *flow;
	int ret;

	(void)arg;
	if (has_vlan && knows_no_vlans(port_id))
		return vmq_error_errno(err, ENOTSUP,
			"net_tap takes rules with a VLAN, and no frame matches them");
	ret = rte_flow_validate(port_id, &attr, pattern, actions, &error);
	if (ret < 0 && attr.priority != 0) {
		struct rte_flow_error second = {.message = NULL};

		attr.priority = 0;
		if (rte_flow_validate(port_id, &attr, pattern, actions, &second) == 0)
			ret = 0;
	}
	if (ret < 0)
		return refused(err, ret, &error, mark);
	/* What is found good is not always taken. */
	error.message = NULL;
	flow = rte_flow_create(port_id, &attr, pattern, actions, &error);
	if (flow == NULL)
		return refused(err, rte_errno > 0 ? -rte_errno : -EIO, &error, mark);
	*handle = flow;
	return 0;
}

/* All frames, to the default queue. */
static const struct rte_flow_item all_frames[] = {
	{.type = RTE_FLOW_ITEM_TYPE_ETH},
	{.type = RTE_FLOW_ITEM_TYPE_END},
};
static const struct rte_flow_action_queue default_queue = {.index = 0};
static const struct rte_flow_action to_default_queue[] = {
	{.type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &default_queue},
	{.type = RTE_FLOW_ACTION_TYPE_END},
};

/* A driver without rte_flow says so at any time; what it takes shows when it has started. */
static int
flow_possible(void *arg, uint16_t port_id, struct vmq_error *err)
{
	const struct rte_flow_attr attr = {.ingress = 1};
	struct rte_flow_error error = {.message = NULL};

	(void)arg;
	if (rte_flow_validate(port_id, &attr, all_frames, to_default_queue, &error) == -ENOSYS)
		return vmq_error_errno(err, ENOTSUP, "its driver has no rte_flow");
	return 0;
}

static int
flow_del(void *arg, uint16_t port_id, const struct vmq_steer_request *request, void *handle,
	struct vmq_error *err)
{
	struct rte_flow_error error = {.message = NULL};
	const uint64_t mark = vmq_log_mark();
	int ret;

	(void)arg;
	(void)request;
	ret = rte_flow_destroy(port_id, handle, &error);
	return ret < 0 ? refused(err, ret, &error, mark) : 0;
}

/*
 * net_tap's kernel spreads frames of no rule over all queues, and mlx5 over those of its
 * table for RSS. Only where priorities exist: elsewhere this rule could win.
 */
static void *
flow_rest(void *arg, uint16_t port_id)
{
	const struct rte_flow_attr attr = {.ingress = 1, .priority = 2};
	struct rte_flow_error error = {.message = NULL};

	(void)arg;
	if (rte_flow_validate(port_id, &attr, all_frames, to_default_queue, &error) < 0)
		return NULL;
	return rte_flow_create(port_id, &attr, all_frames, to_default_queue, &error);
}

static void
flow_end_rest(void *arg, uint16_t port_id, void *handle)
{
	struct rte_flow_error error;

	(void)arg;
	if (rte_flow_destroy(port_id, handle, &error) < 0)
		VMQ_LOG(WARNING, "the rule for frames of no other could not be removed\n");
}

const struct vmq_steer_ops vmq_steer_flow = {
	.steering = VMQ_STEERING_FLOW,
	.add = flow_add,
	.del = flow_del,
	.possible = flow_possible,
	.rest = flow_rest,
	.end_rest = flow_end_rest,
};
