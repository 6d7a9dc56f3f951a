/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include "oid_fields.h"

#define AT(structure, member)                                                                      \
	.offset = offsetof(struct structure, member), .size = sizeof(((struct structure *)0)->member)

/* Names of values. */

static const struct field_name queue_flags[] = {
	{"PER_QUEUE_RECEIVE_INDICATION", VMQ_OID_QUEUE_PER_QUEUE_RECEIVE_INDICATION},
	{"FLAGS_CHANGED", VMQ_OID_QUEUE_FLAGS_CHANGED},
	{"AFFINITY_CHANGED", VMQ_OID_QUEUE_AFFINITY_CHANGED},
	{"SUGGESTED_BUFFERS_CHANGED", VMQ_OID_QUEUE_SUGGESTED_BUFFERS_CHANGED},
	{"NAME_CHANGED", VMQ_OID_QUEUE_NAME_CHANGED},
	{"OPTIONS_CHANGED", VMQ_OID_QUEUE_OPTIONS_CHANGED},
	{"RATE_CHANGED", VMQ_OID_QUEUE_RATE_CHANGED},
	{"PRIORITY_CHANGED", VMQ_OID_QUEUE_PRIORITY_CHANGED},
	{"VM_NAME_CHANGED", VMQ_OID_QUEUE_VM_NAME_CHANGED},
	{"DEMAND_CHANGED", VMQ_OID_QUEUE_DEMAND_CHANGED},
	{0},
};

static const struct field_name queue_types[] = {{"VM_QUEUE", VMQ_OID_QUEUE_TYPE_VM}, {0}};
static const struct field_name filter_types[] = {{"VMQ_FILTER", VMQ_OID_FILTER_TYPE_VMQ}, {0}};
static const struct field_name memory_flags[] = {{"CONTIGUOUS", VMQ_OID_MEMORY_CONTIGUOUS}, {0}};

static const struct field_name queue_options[] = {
	{"KEEP_TAGS", VMQ_OID_OPTION_KEEP_TAGS},
	{"ALLOW_SPOOFING", VMQ_OID_OPTION_ALLOW_SPOOFING},
	{"BROADCAST", VMQ_OID_OPTION_BROADCAST},
	{"RECEIVE_ONLY", VMQ_OID_OPTION_RECEIVE_ONLY},
	{0},
};

static const struct field_name backend_flags[] = {{"SERVER", VMQ_OID_BACKEND_SERVER}, {0}};

static const struct field_name backend_types[] = {
	{"sink", VMQ_BACKEND_SINK},
	{"pcap", VMQ_BACKEND_PCAP},
	{"ethdev", VMQ_BACKEND_ETHDEV},
	{"vhost-user", VMQ_BACKEND_VHOST},
	{0},
};

static const struct field_name operational_states[] = {
	{"Undefined", VMQ_OID_STATE_UNDEFINED},
	{"Running", VMQ_OID_STATE_RUNNING},
	{"Paused", VMQ_OID_STATE_PAUSED},
	{"DmaStopped", VMQ_OID_STATE_DMA_STOPPED},
	{0},
};

static const struct field_name exact_states[] = {
	{"Undefined", VMQ_QUEUE_UNDEFINED},
	{"Allocated", VMQ_QUEUE_ALLOCATED},
	{"Set", VMQ_QUEUE_SET},
	{"Running", VMQ_QUEUE_RUNNING},
	{"Paused", VMQ_QUEUE_PAUSED},
	{"DmaStopped", VMQ_QUEUE_DMA_STOPPED},
	{"Freeing", VMQ_QUEUE_FREEING},
	{0},
};

static const struct field_name statuses[] = {
	{"SUCCESS", VMQ_STATUS_SUCCESS},
	{"PENDING", VMQ_STATUS_PENDING},
	{"INVALID_PARAMETER", VMQ_STATUS_INVALID_PARAMETER},
	{"INVALID_LENGTH", VMQ_STATUS_INVALID_LENGTH},
	{"NOT_SUPPORTED", VMQ_STATUS_NOT_SUPPORTED},
	{"RESOURCES", VMQ_STATUS_RESOURCES},
	{"NOT_ACCEPTED", VMQ_STATUS_NOT_ACCEPTED},
	{"FILE_NOT_FOUND", VMQ_STATUS_FILE_NOT_FOUND},
	{"REQUEST_ABORTED", VMQ_STATUS_REQUEST_ABORTED},
	{"FAILURE", VMQ_STATUS_FAILURE},
	{0},
};

static const struct field_name properties[] = {
	{"PER_QUEUE_RECEIVE_INDICATION", VMQ_OID_PROPERTY_PER_QUEUE_RECEIVE_INDICATION},
	{0},
};

static const struct field_name test_bits[] = {
	{"EQUAL", VMQ_OID_TEST_BIT(VMQ_OID_TEST_EQUAL)},
	{"MASK_EQUAL", VMQ_OID_TEST_BIT(VMQ_OID_TEST_MASK_EQUAL)},
	{"NOT_EQUAL", VMQ_OID_TEST_BIT(VMQ_OID_TEST_NOT_EQUAL)},
	{0},
};

static const struct field_name header_bits[] = {{"MAC", VMQ_OID_HEADERS_MAC}, {0}};

static const struct field_name mac_field_bits[] = {
	{"DESTINATION", VMQ_OID_FIELD_BIT(VMQ_OID_FIELD_DESTINATION)},
	{"SOURCE", VMQ_OID_FIELD_BIT(VMQ_OID_FIELD_SOURCE)},
	{"ETHERTYPE", VMQ_OID_FIELD_BIT(VMQ_OID_FIELD_ETHERTYPE)},
	{"VLAN_ID", VMQ_OID_FIELD_BIT(VMQ_OID_FIELD_VLAN_ID)},
	{"PRIORITY", VMQ_OID_FIELD_BIT(VMQ_OID_FIELD_PRIORITY)},
	{0},
};

static const struct field_name frame_headers[] = {{"MAC", VMQ_OID_FRAME_MAC}, {0}};

static const struct field_name mac_fields[] = {
	{"DESTINATION", VMQ_OID_FIELD_DESTINATION},
	{"SOURCE", VMQ_OID_FIELD_SOURCE},
	{"ETHERTYPE", VMQ_OID_FIELD_ETHERTYPE},
	{"VLAN_ID", VMQ_OID_FIELD_VLAN_ID},
	{"PRIORITY", VMQ_OID_FIELD_PRIORITY},
	{0},
};

static const struct field_name tests[] = {
	{"EQUAL", VMQ_OID_TEST_EQUAL},
	{"MASK_EQUAL", VMQ_OID_TEST_MASK_EQUAL},
	{"NOT_EQUAL", VMQ_OID_TEST_NOT_EQUAL},
	{0},
};

static const struct field_name field_flags[] = {
	{"VLAN_UNTAGGED_OR_ZERO", VMQ_OID_FIELD_VLAN_UNTAGGED_OR_ZERO},
	{0},
};

/* Structures. A row is: name, kind, place, and what is not usual. */

#define CAP(member) AT(vmq_oid_capabilities, member), .flags = FIELD_OUT
static const struct field capabilities_fields[] = {
	{"flags", FIELD_UNSIGNED, CAP(flags), .help = "0"},
	{"enabled_filter_types", FIELD_FLAGS, CAP(enabled_filter_types), .names = filter_types,
		.help = "types of filters"},
	{"enabled_queue_types", FIELD_FLAGS, CAP(enabled_queue_types), .names = queue_types,
		.help = "types of queues"},
	{"num_queues", FIELD_UNSIGNED, CAP(num_queues), .help = "queues without the default one"},
	{"supported_queue_properties", FIELD_FLAGS, CAP(supported_queue_properties),
		.names = properties, .help = "what queues can do"},
	{"supported_filter_tests", FIELD_FLAGS, CAP(supported_filter_tests), .names = test_bits,
		.help = "tests"},
	{"supported_headers", FIELD_FLAGS, CAP(supported_headers), .names = header_bits,
		.help = "headers that can be tested"},
	{"supported_mac_fields", FIELD_FLAGS, CAP(supported_mac_fields), .names = mac_field_bits,
		.help = "fields of the MAC header that can be tested"},
	{"max_mac_filters", FIELD_UNSIGNED, CAP(max_mac_filters), .help = "most MAC filters"},
	{"min_lookahead_size", FIELD_UNSIGNED, CAP(min_lookahead_size), .help = "0"},
	{"max_lookahead_size", FIELD_UNSIGNED, CAP(max_lookahead_size), .help = "0"},
	{"memory_alignment", FIELD_UNSIGNED, CAP(memory_alignment),
		.help = "of blocks and buffers, in bytes"},
	{0},
};
static const struct structure capabilities = {"capabilities",
	{sizeof(struct vmq_oid_capabilities)}, capabilities_fields};

#define GLOBAL(member) AT(vmq_oid_global_parameters, member), .flags = FIELD_OUT
static const struct field global_fields[] = {
	{"flags", FIELD_UNSIGNED, GLOBAL(flags), .help = "0"},
	{"enabled_filter_types", FIELD_FLAGS, GLOBAL(enabled_filter_types), .names = filter_types,
		.help = "types of filters"},
	{"enabled_queue_types", FIELD_FLAGS, GLOBAL(enabled_queue_types), .names = queue_types,
		.help = "types of queues"},
	{0},
};
static const struct structure global_parameters = {"global_parameters",
	{sizeof(struct vmq_oid_global_parameters)}, global_fields};

#define QUEUE(member) AT(vmq_oid_queue_parameters, member)
static const struct field queue_fields[] = {
	{"flags", FIELD_FLAGS, QUEUE(flags), .names = queue_flags,
		.help = "properties, and for a set what is to be changed"},
	{"queue_type", FIELD_CHOICE, QUEUE(queue_type), .names = queue_types,
		.otherwise = VMQ_OID_QUEUE_TYPE_VM, .help = "VM queues only"},
	{"queue_id", FIELD_UNSIGNED, QUEUE(queue_id), .help = "output of an allocation"},
	{"processor_affinity", FIELD_WORKERS, QUEUE(processor_affinity),
		.help = "workers that may serve it, counted from 64 * processor_group"},
	{"processor_group", FIELD_UNSIGNED, QUEUE(processor_group), .help = "of 64 workers"},
	{"processor", FIELD_UNSIGNED, QUEUE(processor), .flags = FIELD_OUT,
		.help = "the worker that serves it"},
	{"suggested_receive_buffers", FIELD_UNSIGNED, QUEUE(suggested_receive_buffers),
		.help = "a hint; counts at completion"},
	{"receive_buffers", FIELD_UNSIGNED, QUEUE(receive_buffers), .flags = FIELD_OUT,
		.help = "how many it has now"},
	{"lookahead_size", FIELD_UNSIGNED, QUEUE(lookahead_size), .help = "must be 0"},
	{"port_id", FIELD_UNSIGNED, QUEUE(port_id), .help = "of the virtual switch; kept"},
	{"vm_name", FIELD_TEXT, QUEUE(vm_name), .help = "the VM"},
	{"queue_name", FIELD_TEXT, QUEUE(queue_name), .help = "the queue"},
	{"receive_buffers_limit", FIELD_UNSIGNED, QUEUE(receive_buffers_limit),
		.help = "most buffers it may ever have"},
	{"receive_buffers_min", FIELD_UNSIGNED, QUEUE(receive_buffers_min),
		.help = "when memory is short; 0: all or nothing"},
	{"buffer_size", FIELD_UNSIGNED, QUEUE(buffer_size),
		.otherwise = VMQ_OID_BUFFER_SIZE_DEFAULT, .help = "in bytes"},
	{"node", FIELD_SIGNED, QUEUE(node), .otherwise = (uint32_t)SOCKET_ID_ANY,
		.help = "NUMA node; -1: its worker's"},
	{"memory_flags", FIELD_FLAGS, QUEUE(memory_flags), .names = memory_flags,
		.help = "how its memory lies"},
	{"demand_low", FIELD_UNSIGNED, QUEUE(demand_low),
		.help = "fewer free buffers: it grows; all four 0: the defaults"},
	{"demand_high", FIELD_UNSIGNED, QUEUE(demand_high), .help = "more free buffers: it shrinks"},
	{"demand_step", FIELD_UNSIGNED, QUEUE(demand_step), .help = "buffers of an added block"},
	{"demand_hold_ms", FIELD_UNSIGNED, QUEUE(demand_hold_ms),
		.help = "how long they must be free"},
	{"options", FIELD_FLAGS, QUEUE(options), .names = queue_options, .help = "treatment of frames"},
	{"backend_type", FIELD_CHOICE, QUEUE(backend_type), .names = backend_types,
		.otherwise = VMQ_BACKEND_SINK, .help = "where its packets go"},
	{"backend_flags", FIELD_FLAGS, QUEUE(backend_flags), .names = backend_flags,
		.help = "of vhost-user"},
	{"backend_queue_pairs", FIELD_UNSIGNED, QUEUE(backend_queue_pairs),
		.help = "of vhost-user; 0: one"},
	{"backend_permissions", FIELD_UNSIGNED, QUEUE(backend_permissions),
		.help = "of a vhost-user server's socket; 0: the default"},
	{"rate_to_vm_mbps", FIELD_UNSIGNED, QUEUE(rate_to_vm_mbps), .help = "0: no limit"},
	{"rate_to_vm_burst_kb", FIELD_UNSIGNED, QUEUE(rate_to_vm_burst_kb),
		.help = "KiB; with a rate"},
	{"rate_from_vm_mbps", FIELD_UNSIGNED, QUEUE(rate_from_vm_mbps), .help = "0: no limit"},
	{"rate_from_vm_burst_kb", FIELD_UNSIGNED, QUEUE(rate_from_vm_burst_kb),
		.help = "KiB; with a rate"},
	{"backend_owner", FIELD_TEXT, QUEUE(backend_owner), .help = "of a vhost-user server's socket"},
	{"backend_group", FIELD_TEXT, QUEUE(backend_group), .help = "of a vhost-user server's socket"},
	{"priority", FIELD_UNSIGNED, QUEUE(priority),
		.help = "0 to 255: who gets a hardware queue when there are too few"},
	{"transmit_buffers", FIELD_UNSIGNED, QUEUE(transmit_buffers),
		.help = "for what the VM sends; 0: the default"},
	{"transmit_buffers_limit", FIELD_UNSIGNED, QUEUE(transmit_buffers_limit),
		.help = "most of these; 0: no more"},
	{"backend_file", FIELD_TEXT, QUEUE(backend_file),
		.help = "pcap: the file; vhost-user: the socket"},
	{"backend_device", FIELD_TEXT, QUEUE(backend_device), .help = "ethdev: device arguments"},
	{0},
};
static const struct structure queue_parameters = {"queue_parameters",
	{VMQ_OID_QUEUE_PARAMETERS_SIZE_1, VMQ_OID_QUEUE_PARAMETERS_SIZE_2}, queue_fields};

static const struct field free_fields[] = {
	{"queue_id", FIELD_UNSIGNED, AT(vmq_oid_free_queue, queue_id), .flags = FIELD_NEEDED,
		.help = "the queue"},
	{0},
};
static const struct structure free_queue = {"free_queue", {sizeof(struct vmq_oid_free_queue)},
	free_fields};

#define INFO(member) AT(vmq_oid_queue_info, member), .flags = FIELD_OUT
static const struct field queue_info_fields[] = {
	{"flags", FIELD_FLAGS, INFO(flags), .names = queue_flags, .help = "properties"},
	{"queue_type", FIELD_CHOICE, INFO(queue_type), .names = queue_types, .help = "VM queues only"},
	{"queue_id", FIELD_UNSIGNED, INFO(queue_id), .help = "0: the default queue"},
	{"operational_state", FIELD_CHOICE, INFO(operational_state), .names = operational_states,
		.help = "the public state"},
	{"exact_state", FIELD_CHOICE, INFO(exact_state), .names = exact_states,
		.help = "one of the seven"},
	{"processor_affinity", FIELD_WORKERS, INFO(processor_affinity),
		.help = "workers that may serve it"},
	{"processor_group", FIELD_UNSIGNED, INFO(processor_group), .help = "of 64 workers"},
	{"processor", FIELD_UNSIGNED, INFO(processor), .help = "the worker that serves it"},
	{"n_filters", FIELD_UNSIGNED, INFO(n_filters), .help = "filters it has"},
	{"receive_buffers", FIELD_UNSIGNED, INFO(receive_buffers), .help = "buffers it has"},
	{"missing_packets", FIELD_UNSIGNED, INFO(missing_packets),
		.help = "freeing: packets that are not home"},
	{"freeing_ms", FIELD_UNSIGNED, INFO(freeing_ms), .help = "freeing: for so long"},
	{"owner", FIELD_TEXT, INFO(owner), .help = "whose it is; empty: nobody's"},
	{"vm_name", FIELD_TEXT, INFO(vm_name), .help = "the VM"},
	{"queue_name", FIELD_TEXT, INFO(queue_name), .help = "the queue"},
	{0},
};
static const struct structure queue_info = {"queue_info", {sizeof(struct vmq_oid_queue_info)},
	queue_info_fields};

static const struct field queue_array_fields[] = {
	{"queues", FIELD_ARRAY, AT(vmq_oid_queue_info_array, array), .flags = FIELD_OUT,
		.element = &queue_info, .help = "the owner's; all for an administrator"},
	{0},
};
static const struct structure queue_info_array = {"queue_info_array",
	{sizeof(struct vmq_oid_queue_info_array)}, queue_array_fields};

#define COMPLETE(member) AT(vmq_oid_allocation_complete, member)
static const struct field complete_fields[] = {
	{"queue_id", FIELD_UNSIGNED, COMPLETE(queue_id), .flags = FIELD_NEEDED, .help = "the queue"},
	{"status", FIELD_CHOICE, COMPLETE(status), .flags = FIELD_OUT, .names = statuses,
		.help = "what became of it"},
	{"receive_buffers", FIELD_UNSIGNED, COMPLETE(receive_buffers), .flags = FIELD_OUT,
		.help = "how many it really has"},
	{"reason", FIELD_TEXT, COMPLETE(reason), .flags = FIELD_OUT, .help = "why it failed"},
	{0},
};
static const struct structure complete = {"allocation_complete",
	{sizeof(struct vmq_oid_allocation_complete)}, complete_fields};

static const struct field complete_array_fields[] = {
	{"queues", FIELD_ARRAY, AT(vmq_oid_allocation_complete_array, array), .flags = FIELD_NEEDED,
		.element = &complete, .help = "the batch"},
	{0},
};
static const struct structure complete_array = {"allocation_complete_array",
	{sizeof(struct vmq_oid_allocation_complete_array)}, complete_array_fields};

#define TEST(member) AT(vmq_oid_field_parameters, member)
static const struct field test_fields[] = {
	{"flags", FIELD_FLAGS, TEST(flags), .names = field_flags,
		.help = "on the destination address: untagged, or VLAN 0"},
	{"frame_header", FIELD_CHOICE, TEST(frame_header), .names = frame_headers,
		.otherwise = VMQ_OID_FRAME_MAC, .help = "which header"},
	{"field", FIELD_CHOICE, TEST(field), .flags = FIELD_NEEDED, .names = mac_fields,
		.help = "which field of it"},
	{"test", FIELD_CHOICE, TEST(test), .names = tests, .otherwise = VMQ_OID_TEST_EQUAL,
		.help = "which test"},
	{"value", FIELD_VALUE, TEST(value), .flags = FIELD_NEEDED,
		.help = "an address \"52:54:00:00:00:01\", or a number"},
	{"result", FIELD_VALUE, TEST(result), .help = "of MASK_EQUAL"},
	{0},
};
static const struct structure field_parameters = {"field_parameters",
	{sizeof(struct vmq_oid_field_parameters)}, test_fields};

#define FILTER(member) AT(vmq_oid_filter_parameters, member)
static const struct field filter_fields[] = {
	{"flags", FIELD_UNSIGNED, FILTER(flags), .help = "0"},
	{"filter_type", FIELD_CHOICE, FILTER(filter_type), .names = filter_types,
		.otherwise = VMQ_OID_FILTER_TYPE_VMQ, .help = "VMQ filters only"},
	{"queue_id", FIELD_UNSIGNED, FILTER(queue_id), .help = "the queue"},
	{"filter_id", FIELD_UNSIGNED, FILTER(filter_id), .help = "output of a set"},
	{"fields", FIELD_ARRAY, FILTER(fields), .element = &field_parameters,
		.help = "tests, all of which must pass"},
	{0},
};
static const struct structure filter_parameters = {"filter_parameters",
	{sizeof(struct vmq_oid_filter_parameters)}, filter_fields};

static const struct field clear_fields[] = {
	{"filter_id", FIELD_UNSIGNED, AT(vmq_oid_clear_filter, filter_id), .flags = FIELD_NEEDED,
		.help = "the filter"},
	{0},
};
static const struct structure clear_filter = {"clear_filter",
	{sizeof(struct vmq_oid_clear_filter)}, clear_fields};

#define MOVE(member) AT(vmq_oid_move_filter, member), .flags = FIELD_NEEDED
static const struct field move_fields[] = {
	{"filter_id", FIELD_UNSIGNED, MOVE(filter_id), .help = "the filter"},
	{"source_queue_id", FIELD_UNSIGNED, MOVE(source_queue_id), .help = "where it is"},
	{"destination_queue_id", FIELD_UNSIGNED, MOVE(destination_queue_id),
		.help = "where it goes"},
	{0},
};
static const struct structure move_filter = {"move_filter", {sizeof(struct vmq_oid_move_filter)},
	move_fields};

#define FILTER_INFO(member) AT(vmq_oid_filter_info, member), .flags = FIELD_OUT
static const struct field filter_info_fields[] = {
	{"flags", FIELD_UNSIGNED, FILTER_INFO(flags), .help = "0"},
	{"filter_type", FIELD_CHOICE, FILTER_INFO(filter_type), .names = filter_types,
		.help = "VMQ filters only"},
	{"filter_id", FIELD_UNSIGNED, FILTER_INFO(filter_id), .help = "the filter"},
	{0},
};
static const struct structure filter_info = {"filter_info", {sizeof(struct vmq_oid_filter_info)},
	filter_info_fields};

static const struct field filter_array_fields[] = {
	{"queue_id", FIELD_UNSIGNED, AT(vmq_oid_filter_info_array, queue_id), .flags = FIELD_NEEDED,
		.help = "the queue"},
	{"filters", FIELD_ARRAY, AT(vmq_oid_filter_info_array, array), .flags = FIELD_OUT,
		.element = &filter_info, .help = "its filters"},
	{0},
};
static const struct structure filter_info_array = {"filter_info_array",
	{sizeof(struct vmq_oid_filter_info_array)}, filter_array_fields};

static const struct structure *const structures[] = {
	&capabilities, &global_parameters, &queue_parameters, &free_queue, &queue_info_array,
	&queue_info, &complete_array, &complete, &filter_parameters, &field_parameters,
	&clear_filter, &move_filter, &filter_info_array, &filter_info,
};

static const struct oid_shape shapes[] = {
	{VMQ_OID_HARDWARE_CAPABILITIES, VMQ_OID_QUERY, NULL, &capabilities},
	{VMQ_OID_CURRENT_CAPABILITIES, VMQ_OID_QUERY, NULL, &capabilities},
	{VMQ_OID_GLOBAL_PARAMETERS, VMQ_OID_QUERY, NULL, &global_parameters},
	{VMQ_OID_ALLOCATE_QUEUE, VMQ_OID_METHOD, &queue_parameters, &queue_parameters},
	{VMQ_OID_FREE_QUEUE, VMQ_OID_SET, &free_queue, NULL},
	{VMQ_OID_ENUM_QUEUES, VMQ_OID_QUERY, NULL, &queue_info_array},
	{VMQ_OID_QUEUE_PARAMETERS, VMQ_OID_METHOD, &queue_parameters, &queue_parameters},
	{VMQ_OID_QUEUE_PARAMETERS, VMQ_OID_SET, &queue_parameters, NULL},
	{VMQ_OID_SET_FILTER, VMQ_OID_METHOD, &filter_parameters, &filter_parameters},
	{VMQ_OID_CLEAR_FILTER, VMQ_OID_SET, &clear_filter, NULL},
	{VMQ_OID_ENUM_FILTERS, VMQ_OID_METHOD, &filter_info_array, &filter_info_array},
	{VMQ_OID_PARAMETERS, VMQ_OID_METHOD, &filter_parameters, &filter_parameters},
	{VMQ_OID_QUEUE_ALLOCATION_COMPLETE, VMQ_OID_METHOD, &complete_array, &complete_array},
	{VMQ_OID_MOVE_FILTER, VMQ_OID_SET, &move_filter, NULL},
};

unsigned int
structure_revisions(const struct structure *structure)
{
	unsigned int n;

	for (n = 0; n < RTE_DIM(structure->sizes) && structure->sizes[n] != 0; n++)
		;
	return n;
}

const struct oid_shape *
oid_shape_find(uint32_t oid, enum vmq_oid_request_type type)
{
	size_t i;

	for (i = 0; i < RTE_DIM(shapes); i++)
		if (shapes[i].oid == oid && shapes[i].type == type)
			return &shapes[i];
	return NULL;
}

const struct structure *
structure_get(size_t index)
{
	return index < RTE_DIM(structures) ? structures[index] : NULL;
}

const char *
field_kind_name(enum field_kind kind)
{
	static const char *const names[FIELD_KIND_COUNT] = {
		[FIELD_UNSIGNED] = "unsigned",
		[FIELD_SIGNED] = "signed",
		[FIELD_FLAGS] = "flags",
		[FIELD_CHOICE] = "choice",
		[FIELD_TEXT] = "text",
		[FIELD_WORKERS] = "workers",
		[FIELD_VALUE] = "value",
		[FIELD_ARRAY] = "array",
	};

	return (unsigned int)kind < FIELD_KIND_COUNT ? names[kind] : NULL;
}
