/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include "oid_private.h"

/*
 * What queues there could be, were all of one adapter: DPDK's memzones are the bound,
 * and ids. The default queue has its share too.
 */
static uint32_t
most_queues(void)
{
	const uint32_t n = (VMQ_MEMZONES_MAX - VMQ_MEMZONES_RESERVE) /
		vmq_queue_memzones(VMQ_BACKEND_SINK);

	return RTE_MIN(n, (uint32_t)UINT16_MAX) - 1;
}

enum vmq_status
oid_hardware_capabilities(struct vmq_oid_adapter *adapter, struct vmq_oid_request *request)
{
	struct vmq_oid_capabilities *out = request->information;
	struct vmq_adapter_capabilities can;
	const struct vmq_steer_capabilities *rules;

	vmq_adapter_capabilities_get(adapter->beneath, &can);
	*out = (struct vmq_oid_capabilities){
		.header = VMQ_OID_HEADER(*out),
		.memory_alignment = (uint32_t)vmq_adapter_alignment(adapter->beneath),
	};
	/* Where software steers all, the NIC offers queues and tests of none. */
	if (can.chosen == VMQ_STEERING_SOFTWARE)
		return oid_written(request, sizeof(*out));
	rules = &can.found[can.chosen].rules;
	out->enabled_filter_types = VMQ_OID_FILTER_TYPE_VMQ;
	out->enabled_queue_types = VMQ_OID_QUEUE_TYPE_VM;
	out->num_queues = can.hardware_queues;
	out->supported_queue_properties = VMQ_OID_PROPERTY_PER_QUEUE_RECEIVE_INDICATION;
	out->supported_filter_tests = VMQ_OID_TEST_BIT(VMQ_OID_TEST_EQUAL);
	out->supported_headers = VMQ_OID_HEADERS_MAC;
	out->supported_mac_fields = VMQ_OID_FIELD_BIT(VMQ_OID_FIELD_DESTINATION);
	if (rules->tests[VMQ_STEER_MAC_VLAN].can)
		out->supported_mac_fields |= VMQ_OID_FIELD_BIT(VMQ_OID_FIELD_VLAN_ID);
	out->max_mac_filters = rules->max_rules != 0 ? rules->max_rules : UINT32_MAX;
	return oid_written(request, sizeof(*out));
}

enum vmq_status
oid_current_capabilities(struct vmq_oid_adapter *adapter, struct vmq_oid_request *request)
{
	struct vmq_oid_capabilities *out = request->information;

	*out = (struct vmq_oid_capabilities){
		.header = VMQ_OID_HEADER(*out),
		.enabled_filter_types = VMQ_OID_FILTER_TYPE_VMQ,
		.enabled_queue_types = VMQ_OID_QUEUE_TYPE_VM,
		.num_queues = most_queues(),
		.supported_queue_properties = VMQ_OID_PROPERTY_PER_QUEUE_RECEIVE_INDICATION,
		.supported_filter_tests = VMQ_OID_TEST_BIT(VMQ_OID_TEST_EQUAL),
		.supported_headers = VMQ_OID_HEADERS_MAC,
		.supported_mac_fields = VMQ_OID_FIELD_BIT(VMQ_OID_FIELD_DESTINATION) |
			VMQ_OID_FIELD_BIT(VMQ_OID_FIELD_VLAN_ID),
		.max_mac_filters = UINT32_MAX,
		.memory_alignment = (uint32_t)vmq_adapter_alignment(adapter->beneath),
	};
	return oid_written(request, sizeof(*out));
}

enum vmq_status
oid_global_parameters(struct vmq_oid_adapter *adapter, struct vmq_oid_request *request)
{
	struct vmq_oid_global_parameters *out = request->information;

	(void)adapter;
	*out = (struct vmq_oid_global_parameters){
		.header = VMQ_OID_HEADER(*out),
		.enabled_filter_types = VMQ_OID_FILTER_TYPE_VMQ,
		.enabled_queue_types = VMQ_OID_QUEUE_TYPE_VM,
	};
	return oid_written(request, sizeof(*out));
}
