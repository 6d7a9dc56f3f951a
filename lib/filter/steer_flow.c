/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>

#include <rte_byteorder.h>
#include <rte_errno.h>
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

/* A driver without rte_flow says so at any time; what it takes shows when it has started. */
static int
flow_possible(void *arg, uint16_t port_id, struct vmq_error *err)
{
	const struct rte_flow_attr attr = {.ingress = 1};
	const struct rte_flow_item pattern[] = {
		{.type = RTE_FLOW_ITEM_TYPE_ETH},
		{.type = RTE_FLOW_ITEM_TYPE_END},
	};
	const struct rte_flow_action_queue queue = {.index = 0};
	const struct rte_flow_action actions[] = {
		{.type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &queue},
		{.type = RTE_FLOW_ACTION_TYPE_END},
	};
	struct rte_flow_error error = {.message = NULL};

	(void)arg;
	if (rte_flow_validate(port_id, &attr, pattern, actions, &error) == -ENOSYS)
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

const struct vmq_steer_ops vmq_steer_flow = {
	.steering = VMQ_STEERING_FLOW,
	.add = flow_add,
	.del = flow_del,
	.possible = flow_possible,
};
