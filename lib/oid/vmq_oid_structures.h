/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_OID_STRUCTURES_H
#define VMQ_OID_STRUCTURES_H

/**
 * @file
 * The OIDs and the information structures of their requests (spec: Requests). All fields are
 * in the byte order of the machine and aligned to their size, without holes; strings are
 * NUL-terminated inside their array. Part of vmq_oid.h.
 */

#include <vmq_queue.h>

/** The OIDs, with their NDIS numbers. */
enum vmq_oid {
	VMQ_OID_HARDWARE_CAPABILITIES = 0x00010221,
	VMQ_OID_GLOBAL_PARAMETERS = 0x00010222,
	VMQ_OID_ALLOCATE_QUEUE = 0x00010223,
	VMQ_OID_FREE_QUEUE = 0x00010224,
	VMQ_OID_ENUM_QUEUES = 0x00010225,
	VMQ_OID_QUEUE_PARAMETERS = 0x00010226,
	VMQ_OID_SET_FILTER = 0x00010227,
	VMQ_OID_CLEAR_FILTER = 0x00010228,
	VMQ_OID_ENUM_FILTERS = 0x00010229,
	VMQ_OID_PARAMETERS = 0x0001022A,
	VMQ_OID_QUEUE_ALLOCATION_COMPLETE = 0x0001022B,
	VMQ_OID_CURRENT_CAPABILITIES = 0x0001022D,
	VMQ_OID_MOVE_FILTER = 0x00010230,
};

enum vmq_oid_request_type {
	VMQ_OID_QUERY, /**< Output only. */
	VMQ_OID_SET, /**< Input only. */
	VMQ_OID_METHOD, /**< Input, and output in its place. */
	VMQ_OID_TYPE_COUNT, /* not a type */
};

/** Type of all structures here (NDIS_OBJECT_TYPE_DEFAULT). */
#define VMQ_OID_OBJECT_TYPE 0x80

/** What every structure begins with (NDIS_OBJECT_HEADER). */
struct vmq_oid_header {
	uint8_t type; /**< VMQ_OID_OBJECT_TYPE */
	uint8_t revision; /**< 1 and up; see the structure. */
	uint16_t size; /**< Of the structure in that revision, exactly; without elements. */
};

/** The header of a structure's first revision. */
#define VMQ_OID_HEADER(structure)                                                                  \
	((struct vmq_oid_header){                                                                  \
		.type = VMQ_OID_OBJECT_TYPE, .revision = 1, .size = sizeof(structure)})

#define VMQ_OID_FILTER_TYPE_VMQ UINT32_C(1) /**< enabled_filter_types: bit 0; filter_type: 1 */
#define VMQ_OID_QUEUE_TYPE_VM UINT32_C(1) /**< enabled_queue_types: bit 0; queue_type: 1 */

/* supported_queue_properties */
#define VMQ_OID_PROPERTY_PER_QUEUE_RECEIVE_INDICATION (UINT32_C(1) << 1)

/* supported_filter_tests: bits by enum vmq_oid_test */
#define VMQ_OID_TEST_BIT(test) (UINT32_C(1) << (test))

/* supported_headers */
#define VMQ_OID_HEADERS_MAC (UINT32_C(1) << 0)

/* supported_mac_fields: bits by enum vmq_oid_field */
#define VMQ_OID_FIELD_BIT(field) (UINT32_C(1) << ((field) - 1))

/**
 * HARDWARE_CAPABILITIES: what the NIC steers itself, as was found out at the adapter's
 * start; all fields of steering are 0 where software steers all. CURRENT_CAPABILITIES:
 * what is enabled, in hardware and software together. A query.
 */
struct vmq_oid_capabilities {
	struct vmq_oid_header header;
	uint32_t flags; /**< 0 */
	uint32_t enabled_filter_types; /**< VMQ_OID_FILTER_TYPE_VMQ */
	uint32_t enabled_queue_types; /**< VMQ_OID_QUEUE_TYPE_VM */
	/**
	 * Without the default one. The NIC: its hardware queues. Together: as many as DPDK's
	 * memzones allow, with one block of memory each, were they all of one adapter.
	 */
	uint32_t num_queues;
	uint32_t supported_queue_properties; /**< VMQ_OID_PROPERTY_* */
	uint32_t supported_filter_tests; /**< VMQ_OID_TEST_BIT() */
	uint32_t supported_headers; /**< VMQ_OID_HEADERS_* */
	uint32_t supported_mac_fields; /**< VMQ_OID_FIELD_BIT() */
	/** UINT32_MAX: memory is the only bound, or the NIC's is not known before it is met. */
	uint32_t max_mac_filters;
	uint32_t min_lookahead_size; /**< 0 (NDIS 6.30) */
	uint32_t max_lookahead_size; /**< 0 */
	uint32_t memory_alignment; /**< Of blocks and buffers, in bytes. */
};

/** GLOBAL_PARAMETERS: what is enabled. A query. */
struct vmq_oid_global_parameters {
	struct vmq_oid_header header;
	uint32_t flags; /**< 0 */
	uint32_t enabled_filter_types;
	uint32_t enabled_queue_types;
};

/* Flags of a queue's parameters. */
/**
 * A burst handed up never mixes queues. Here none ever does, with the flag or without;
 * it is kept and reported.
 */
#define VMQ_OID_QUEUE_PER_QUEUE_RECEIVE_INDICATION (UINT32_C(1) << 0)
/** Change flags: for QUEUE_PARAMETERS set only. */
#define VMQ_OID_QUEUE_FLAGS_CHANGED (UINT32_C(1) << 16)
#define VMQ_OID_QUEUE_AFFINITY_CHANGED (UINT32_C(1) << 17)
#define VMQ_OID_QUEUE_SUGGESTED_BUFFERS_CHANGED (UINT32_C(1) << 18)
#define VMQ_OID_QUEUE_NAME_CHANGED (UINT32_C(1) << 19)
/* Ours; of revision 2 only. */
#define VMQ_OID_QUEUE_OPTIONS_CHANGED (UINT32_C(1) << 20) /**< All but RECEIVE_ONLY. */
#define VMQ_OID_QUEUE_RATE_CHANGED (UINT32_C(1) << 21) /**< All four fields. */
#define VMQ_OID_QUEUE_PRIORITY_CHANGED (UINT32_C(1) << 22)
#define VMQ_OID_QUEUE_VM_NAME_CHANGED (UINT32_C(1) << 23)
#define VMQ_OID_QUEUE_DEMAND_CHANGED (UINT32_C(1) << 24) /**< demand_*, receive_buffers_min */

/** Buffers of a queue for which revision 1 suggests 0. */
#define VMQ_OID_BUFFERS_DEFAULT 1024
/** Revision 1: the queue's limit, in times what was suggested, and its buffer size. */
#define VMQ_OID_LIMIT_DEFAULT_TIMES 4
#define VMQ_OID_BUFFER_SIZE_DEFAULT 2048

#define VMQ_OID_FILE_SIZE 4096 /**< PATH_MAX */
#define VMQ_OID_DEVICE_SIZE 1024
#define VMQ_OID_OWNER_SIZE 40 /**< VMQ_VHOST_OWNER_SIZE, as a multiple of 8 */

/* memory_flags */
#define VMQ_OID_MEMORY_CONTIGUOUS (UINT32_C(1) << 0)

/* options */
#define VMQ_OID_OPTION_KEEP_TAGS (UINT32_C(1) << 0)
/** Do not check the source of what the VM sends. */
#define VMQ_OID_OPTION_ALLOW_SPOOFING (UINT32_C(1) << 1)
/** Copies of broadcast and multicast frames of its VLANs come to the queue. */
#define VMQ_OID_OPTION_BROADCAST (UINT32_C(1) << 2)
/** Take nothing from the backend. */
#define VMQ_OID_OPTION_RECEIVE_ONLY (UINT32_C(1) << 3)

/** Backend flags: the queue makes the vhost-user socket and waits for the VM. */
#define VMQ_OID_BACKEND_SERVER (UINT32_C(1) << 0)

/**
 * ALLOCATE_QUEUE (method), QUEUE_PARAMETERS (method, set). Revision 1 is what NDIS has;
 * revision 2 adds memory and backend; what of them has no change flag is settled at
 * allocation. Allocated by revision 1, a queue has a limit of VMQ_OID_LIMIT_DEFAULT_TIMES
 * its buffers, and a sink for a backend.
 */
struct vmq_oid_queue_parameters {
	struct vmq_oid_header header;
	uint32_t flags; /**< VMQ_OID_QUEUE_*; others are INVALID_PARAMETER. */
	uint32_t queue_type; /**< VMQ_OID_QUEUE_TYPE_VM; others are NOT_SUPPORTED. */
	uint32_t queue_id; /**< Output of ALLOCATE_QUEUE, where it is not read. */
	/** Bit n: worker n + 64 * processor_group. Not empty, and all there. */
	uint64_t processor_affinity;
	uint32_t processor_group;
	uint32_t processor; /**< Output: the worker of these that serves the queue. */
	uint32_t suggested_receive_buffers; /**< A hint; counts at completion. */
	uint32_t receive_buffers; /**< Output: how many it really has now. */
	uint32_t lookahead_size; /**< Must be 0 (NDIS 6.30). */
	uint32_t port_id; /**< Of the virtual switch: kept and reported. */
	char vm_name[VMQ_NAME_SIZE];
	char queue_name[VMQ_NAME_SIZE];
	/* Revision 2. */
	uint32_t receive_buffers_limit;
	uint32_t receive_buffers_min; /**< When memory is short; 0: all or nothing. */
	uint32_t buffer_size; /**< In bytes. */
	int32_t node; /**< NUMA node, or SOCKET_ID_ANY: its worker's. */
	uint32_t memory_flags; /**< VMQ_OID_MEMORY_* */
	uint32_t demand_low; /**< Marks of growth; all 0: the defaults. */
	uint32_t demand_high;
	uint32_t demand_step;
	uint32_t demand_hold_ms;
	uint32_t options; /**< VMQ_OID_OPTION_* */
	uint32_t backend_type; /**< enum vmq_backend_type */
	uint32_t backend_flags; /**< VMQ_OID_BACKEND_*; of a vhost-user backend, as the next four. */
	uint32_t backend_queue_pairs; /**< 0: one */
	uint32_t backend_permissions; /**< Of a server's socket; 0: the default. */
	uint32_t rate_to_vm_mbps; /**< 0: no limit. */
	uint32_t rate_to_vm_burst_kb;
	uint32_t rate_from_vm_mbps;
	uint32_t rate_from_vm_burst_kb;
	char backend_owner[VMQ_OID_OWNER_SIZE]; /**< Of a server's socket; "": as it comes. */
	char backend_group[VMQ_OID_OWNER_SIZE];
	uint32_t priority; /**< 0 to 255: who gets a hardware queue when there are too few. */
	uint32_t transmit_buffers; /**< For what the VM sends; 0: VMQ_XMIT_BUFFERS. */
	uint32_t transmit_buffers_limit; /**< Most of these; 0: no more. */
	uint32_t reserved; /**< 0 */
	/** pcap: the file; vhost-user: the path of the socket; else "". */
	char backend_file[VMQ_OID_FILE_SIZE];
	char backend_device[VMQ_OID_DEVICE_SIZE];
};

#define VMQ_OID_QUEUE_PARAMETERS_REVISION 2
/** header.size of the two revisions. */
#define VMQ_OID_QUEUE_PARAMETERS_SIZE_1                                                            \
	offsetof(struct vmq_oid_queue_parameters, receive_buffers_limit)
#define VMQ_OID_QUEUE_PARAMETERS_SIZE_2 sizeof(struct vmq_oid_queue_parameters)

/** FREE_QUEUE (set). */
struct vmq_oid_free_queue {
	struct vmq_oid_header header;
	uint32_t queue_id;
};

/** The public state of a queue (NDIS_RECEIVE_QUEUE_OPERATIONAL_STATE). */
enum vmq_oid_operational_state {
	VMQ_OID_STATE_UNDEFINED,
	VMQ_OID_STATE_RUNNING,
	VMQ_OID_STATE_PAUSED,
	VMQ_OID_STATE_DMA_STOPPED,
};

/**
 * An array of elements behind its header structure: element i lies at
 * first_offset + i * element_size of the buffer. As input: the offset is behind the
 * structure the array is part of, offset and size are multiples of 8, an element has
 * room in its size: else INVALID_PARAMETER. An end that lies behind the buffer is
 * INVALID_LENGTH, and INVALID_PARAMETER where it does not fit in 32 bits.
 */
struct vmq_oid_array {
	uint32_t first_offset; /**< In bytes from the start of the buffer. */
	uint32_t n_elements;
	uint32_t element_size; /**< From one element to the next, in bytes. */
};

/** ENUM_QUEUES (query): an owner's own; an administrator's: all, the default one too. */
struct vmq_oid_queue_info_array {
	struct vmq_oid_header header;
	struct vmq_oid_array array; /**< struct vmq_oid_queue_info */
};

struct vmq_oid_queue_info {
	struct vmq_oid_header header;
	uint32_t flags; /**< As in its parameters, without change flags. */
	uint32_t queue_type;
	uint32_t queue_id;
	uint32_t operational_state; /**< enum vmq_oid_operational_state */
	uint32_t exact_state; /**< enum vmq_queue_state */
	uint64_t processor_affinity;
	uint32_t processor_group;
	uint32_t processor;
	uint32_t n_filters;
	uint32_t receive_buffers;
	uint32_t missing_packets; /**< Freeing: packets that are not home yet. */
	uint32_t freeing_ms; /**< Freeing: since when; UINT32_MAX: that or longer. */
	char owner[VMQ_NAME_SIZE]; /**< "" for none. */
	char vm_name[VMQ_NAME_SIZE];
	char queue_name[VMQ_NAME_SIZE];
};

/** QUEUE_ALLOCATION_COMPLETE (method). Each element is answered in its place. */
struct vmq_oid_allocation_complete_array {
	struct vmq_oid_header header;
	struct vmq_oid_array array; /**< struct vmq_oid_allocation_complete, 1 to 65535 */
};

#define VMQ_OID_REASON_SIZE 512

struct vmq_oid_allocation_complete {
	struct vmq_oid_header header;
	uint32_t queue_id;
	uint32_t status; /**< Output: enum vmq_status */
	uint32_t receive_buffers; /**< Output: how many it really has. */
	char reason[VMQ_OID_REASON_SIZE]; /**< Output: "" with SUCCESS. */
};

/** The headers of frames that a test can look at. */
enum vmq_oid_frame_header {
	VMQ_OID_FRAME_MAC = 1,
};

/** Fields of the MAC header. */
enum vmq_oid_field {
	VMQ_OID_FIELD_DESTINATION = 1,
	VMQ_OID_FIELD_SOURCE,
	VMQ_OID_FIELD_ETHERTYPE,
	VMQ_OID_FIELD_VLAN_ID,
	VMQ_OID_FIELD_PRIORITY,
	VMQ_OID_FIELD_END, /* not a field */
};

enum vmq_oid_test {
	VMQ_OID_TEST_EQUAL, /**< field == value */
	VMQ_OID_TEST_MASK_EQUAL, /**< (field & value) == result */
	VMQ_OID_TEST_NOT_EQUAL, /**< field != value */
	VMQ_OID_TEST_COUNT, /* not a test */
};

union vmq_oid_value {
	uint8_t bytes[16]; /**< An address: the first 6, as on the wire. */
	uint8_t u8; /**< Priority. */
	uint16_t u16; /**< VLAN id, ethertype, in the machine's byte order. */
	uint64_t u64[2];
};

/** On the destination address only: untagged, or VLAN 0. */
#define VMQ_OID_FIELD_VLAN_UNTAGGED_OR_ZERO (UINT32_C(1) << 0)

/** One field test (NDIS_RECEIVE_FILTER_FIELD_PARAMETERS). */
struct vmq_oid_field_parameters {
	struct vmq_oid_header header;
	uint32_t flags; /**< VMQ_OID_FIELD_VLAN_UNTAGGED_OR_ZERO */
	uint32_t frame_header; /**< enum vmq_oid_frame_header */
	uint32_t field; /**< enum vmq_oid_field */
	uint32_t test; /**< enum vmq_oid_test */
	uint32_t reserved; /**< 0 */
	union vmq_oid_value value;
	union vmq_oid_value result; /**< MASK_EQUAL only. */
};

/**
 * SET_FILTER (method): filter_id is output. PARAMETERS (method): filter_id is input, the
 * rest is output, with the field tests right behind the structure.
 *
 * The adapter tests the destination address (Equal), the VLAN id (Equal), or both; any
 * other field, test or combination is NOT_SUPPORTED with the reason. INVALID_PARAMETER:
 * no test, a field tested twice, VLAN id with VLAN_UNTAGGED_OR_ZERO, a multicast or
 * all-zero address, a VLAN id out of 1 to 4094, tests equal to those of another filter
 * (the error names its id).
 */
struct vmq_oid_filter_parameters {
	struct vmq_oid_header header;
	uint32_t flags; /**< 0 */
	uint32_t filter_type; /**< VMQ_OID_FILTER_TYPE_VMQ; others are NOT_SUPPORTED. */
	uint32_t queue_id;
	uint32_t filter_id;
	struct vmq_oid_array fields; /**< struct vmq_oid_field_parameters */
};

/** CLEAR_FILTER (set). */
struct vmq_oid_clear_filter {
	struct vmq_oid_header header;
	uint32_t filter_id;
};

/** MOVE_FILTER (set). */
struct vmq_oid_move_filter {
	struct vmq_oid_header header;
	uint32_t filter_id;
	uint32_t source_queue_id;
	uint32_t destination_queue_id;
};

/** ENUM_FILTERS (method): queue_id is input. Of the default queue: only the owner's own. */
struct vmq_oid_filter_info_array {
	struct vmq_oid_header header;
	uint32_t queue_id;
	struct vmq_oid_array array; /**< struct vmq_oid_filter_info */
	uint32_t reserved; /**< 0 */
};

struct vmq_oid_filter_info {
	struct vmq_oid_header header;
	uint32_t flags; /**< 0 */
	uint32_t filter_type;
	uint32_t filter_id;
};

#define VMQ_OID_SIZE_IS(structure, size)                                                           \
	_Static_assert(sizeof(struct structure) == (size), #structure " has holes")
VMQ_OID_SIZE_IS(vmq_oid_header, 4);
VMQ_OID_SIZE_IS(vmq_oid_array, 12);
VMQ_OID_SIZE_IS(vmq_oid_capabilities, 52);
VMQ_OID_SIZE_IS(vmq_oid_global_parameters, 16);
VMQ_OID_SIZE_IS(vmq_oid_queue_parameters, 176 + 168 + VMQ_OID_FILE_SIZE + VMQ_OID_DEVICE_SIZE);
VMQ_OID_SIZE_IS(vmq_oid_free_queue, 8);
VMQ_OID_SIZE_IS(vmq_oid_queue_info_array, 16);
VMQ_OID_SIZE_IS(vmq_oid_queue_info, 56 + 3 * VMQ_NAME_SIZE + 0);
VMQ_OID_SIZE_IS(vmq_oid_allocation_complete_array, 16);
VMQ_OID_SIZE_IS(vmq_oid_allocation_complete, 16 + VMQ_OID_REASON_SIZE);
VMQ_OID_SIZE_IS(vmq_oid_field_parameters, 56);
VMQ_OID_SIZE_IS(vmq_oid_filter_parameters, 32);
VMQ_OID_SIZE_IS(vmq_oid_clear_filter, 8);
VMQ_OID_SIZE_IS(vmq_oid_move_filter, 16);
VMQ_OID_SIZE_IS(vmq_oid_filter_info_array, 24);
VMQ_OID_SIZE_IS(vmq_oid_filter_info, 16);
_Static_assert(VMQ_OID_QUEUE_PARAMETERS_SIZE_1 == 176, "revision 1 never changes");
_Static_assert(offsetof(struct vmq_oid_queue_parameters, vm_name) == 48, "no holes");
_Static_assert(offsetof(struct vmq_oid_queue_parameters, backend_file) == 344, "no holes");
_Static_assert(offsetof(struct vmq_oid_queue_info, owner) == 56, "no holes");
_Static_assert(offsetof(struct vmq_oid_field_parameters, value) == 24, "no holes");

#endif /* VMQ_OID_STRUCTURES_H */
