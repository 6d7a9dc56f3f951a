/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include "oid_bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RX_DESCRIPTORS 64
#define BUFFER_SIZE 512

static struct oid_bed *present;
/* Beds are numbered, so that one that failed is not in the next one's way. */
static unsigned int number;

static void
on_indication(void *arg, const struct vmq_oid_indication *indication)
{
	struct oid_bed *bed = arg;

	assert_ptr_equal(indication->adapter, bed->oid);
	if (bed->n_told < OID_BED_INDICATIONS)
		bed->told[bed->n_told++] = *indication;
}

static void
make_owner(struct oid_bed *bed, const char *name, bool administrator, struct vmq_oid_owner **owner)
{
	struct vmq_error err = {.text = ""};

	if (vmq_oid_owner_create(bed->oid, name, administrator, owner, &err) != VMQ_STATUS_SUCCESS)
		fail_msg("%s", err.text);
}

/*
 * A port that leaves nothing behind: a capture without packets, or one with a frame
 * that comes again and again.
 */
static void
port_device(char device[static 256], bool endless)
{
	const uint32_t header[] = {0xa1b2c3d4, 2 | 4 << 16, 0, 0, 65535, 1};
	const uint32_t record[] = {0, 0, 60, 60};
	const uint8_t frame[60] = {2, 0, 0, 0, OID_BED_MAC >> 8, OID_BED_MAC & 0xff, 2, 0, 0, 0, 1,
		0, 8, 0};
	char *path = unit_path(endless ? "endless.pcap" : "empty.pcap");
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(header, sizeof(header), 1, file), 1);
	if (endless) {
		assert_int_equal(fwrite(record, sizeof(record), 1, file), 1);
		assert_int_equal(fwrite(frame, sizeof(frame), 1, file), 1);
	}
	assert_int_equal(fclose(file), 0);
	snprintf(device, 256, "net_pcap_oid%u,rx_pcap=%s%s", number++, path,
		endless ? ",infinite_rx=1" : "");
	free(path);
}

static struct oid_bed *
make_bed(size_t memory_limit, bool endless)
{
	struct oid_bed *bed = calloc(1, sizeof(*bed));
	struct vmq_error err = {.text = ""};
	char device[256];

	assert_non_null(bed);
	port_device(device, endless);
	unit_census_take(&bed->before);
	bed->host = vmq_host_create(unit_lcores, UNIT_WORKERS);
	assert_non_null(bed->host);
	/* Ones that only poll take the CPU from each other, where they share one. */
	vmq_host_set_workers(bed->host, &(struct vmq_worker_params){
		.mode = VMQ_WORKER_ADAPTIVE, .max_sleep_us = 100});
	assert_int_equal(vmq_host_start(bed->host), 0);
	present = bed;
	bed->adapter = vmq_adapter_start(bed->host, &(struct vmq_adapter_params){
		.name = "a0",
		.port = {.device = device, .rx_descriptors = RX_DESCRIPTORS,
			.tx_queues = 1, .mtu = 1500},
		.memory_limit_bytes = memory_limit,
		.default_queue = {
			.name = "default",
			.memory = {
				.buffers = vmq_adapter_min_buffers(RX_DESCRIPTORS),
				.limit = vmq_adapter_min_buffers(RX_DESCRIPTORS),
				.buffer_size = BUFFER_SIZE,
				.node = SOCKET_ID_ANY,
			},
		},
	}, &err);
	if (bed->adapter == NULL)
		fail_msg("%s", err.text);
	bed->oid = vmq_oid_adapter_create(bed->adapter);
	assert_non_null(bed->oid);
	assert_ptr_equal(vmq_oid_adapter_beneath(bed->oid), bed->adapter);
	make_owner(bed, VMQ_OID_OWNER_CONFIG, false, &bed->owner);
	make_owner(bed, "other", false, &bed->other);
	make_owner(bed, "admin", true, &bed->admin);
	bed->subscriber = vmq_oid_subscribe(bed->oid, on_indication, bed);
	assert_non_null(bed->subscriber);
	return bed;
}

struct oid_bed *
oid_bed_make(size_t memory_limit)
{
	return make_bed(memory_limit, false);
}

struct oid_bed *
oid_bed_make_receiving(void)
{
	return make_bed(0, true);
}

void
oid_bed_free(struct oid_bed *bed)
{
	vmq_adapter_halt(bed->adapter);
	assert_int_equal(vmq_adapter_free(bed->adapter), 0);
	vmq_oid_adapter_free(bed->oid);
	vmq_host_stop(bed->host);
	vmq_host_free(bed->host);
	present = NULL;
	unit_assert_nothing_left(&bed->before);
	free(bed);
}

int
oid_bed_abandon(void **state)
{
	struct oid_bed *bed = present;

	(void)state;
	present = NULL;
	if (bed == NULL)
		return 0;
	if (bed->adapter != NULL) {
		vmq_adapter_halt(bed->adapter);
		vmq_adapter_free(bed->adapter);
	}
	vmq_oid_adapter_free(bed->oid);
	vmq_host_stop(bed->host);
	vmq_host_free(bed->host);
	free(bed);
	return 0;
}

enum vmq_status
oid_ask(struct oid_bed *bed, struct vmq_oid_owner *owner, enum vmq_oid_request_type type,
	uint32_t oid, void *information, size_t length)
{
	void *exact = malloc(length);
	/* Not bed->request: a test may ask while it is being asked, from an indication. */
	struct vmq_oid_request asked, *request = &asked;
	enum vmq_status status;

	assert_non_null(exact); /* of 0 bytes, too */
	memcpy(exact, information, length);
	memset(request, 0xa5, sizeof(*request)); /* output need not be cleared */
	request->owner = owner;
	request->type = type;
	request->oid = oid;
	request->information = exact;
	request->information_length = (uint32_t)length;
	request->complete = NULL;
	status = vmq_oid_request(bed->oid, request);
	request->information = NULL;
	bed->request = asked;

	assert_true(status < VMQ_STATUS_COUNT);
	assert_true(request->bytes_written <= length && request->bytes_read <= length);
	assert_int_equal(status == VMQ_STATUS_INVALID_LENGTH, request->bytes_needed != 0);
	if (status == VMQ_STATUS_INVALID_LENGTH)
		assert_true(request->bytes_needed > length);
	if (request->bytes_written == 0)
		assert_memory_equal(exact, information, length);
	if (status == VMQ_STATUS_SUCCESS || status == VMQ_STATUS_PENDING) {
		assert_string_equal(request->error.text, "");
	} else {
		assert_true(strlen(request->error.text) > 10);
		assert_int_equal(request->bytes_read != 0, request->bytes_written != 0);
	}
	memcpy(information, exact, length);
	free(exact);
	return status;
}

void
oid_expect(struct oid_bed *bed, enum vmq_status status, enum vmq_oid_request_type type,
	uint32_t oid, void *information, size_t length)
{
	enum vmq_status got = oid_ask(bed, bed->owner, type, oid, information, length);

	if (got != status)
		fail_msg("%s: %s instead of %s: %s", vmq_oid_name(oid), vmq_status_name(got),
			vmq_status_name(status), bed->request.error.text);
}

static void
dump_queue(const struct oid_bed *bed, uint16_t id, FILE *out)
{
	struct vmq_queue_params params;
	struct vmq_queue_info info;

	assert_true(vmq_queue_info_get(bed->adapter, id, &info));
	assert_true(vmq_queue_params_get(bed->adapter, id, &params));
	fprintf(out, "queue %u name %s vm %s state %s worker %u tags %d filters %u missing %u "
		"completing %d backend %d %s\n",
		id, info.name, info.vm, vmq_queue_state_name(info.state), info.worker,
		info.keep_tags, info.n_filters, info.missing, info.completing, info.backend,
		info.backend_text);
	fprintf(out, " limit %u populated %u outstanding %u blocks %u bytes %zu\n",
		info.memory.limit, info.memory.populated, info.memory.outstanding,
		info.memory.blocks, info.memory.bytes);
	fprintf(out, " asked %u min %u limit %u size %u node %d contiguous %d marks %u %u %u %u\n",
		params.memory.buffers, params.memory.min_buffers, params.memory.limit,
		params.memory.buffer_size, params.memory.node, params.memory.contiguous,
		params.memory.demand.low, params.memory.demand.high, params.memory.demand.step,
		params.memory.demand.hold_ms);
}

char *
oid_dump(const struct oid_bed *bed)
{
	const struct vmq_filter_set *set = vmq_adapter_filters(bed->adapter);
	const struct vmq_filter *filter;
	char text[VMQ_FILTER_TEXT_SIZE];
	struct unit_census census;
	char *dump;
	size_t size;
	FILE *out = open_memstream(&dump, &size);
	int id;

	assert_non_null(out);
	for (id = -1; (id = vmq_queue_next(bed->adapter, id)) >= 0;)
		dump_queue(bed, (uint16_t)id, out);
	for (filter = NULL; (filter = vmq_filter_next(set, filter != NULL ? filter->id : 0)) !=
		NULL;)
		fprintf(out, "filter %u queue %u %s\n", filter->id, filter->queue_id,
			vmq_filter_text(&filter->match, text));
	unit_census_take(&census);
	fprintf(out, "memzones %u ports %u indications %llu\n", census.memzones, census.ports,
		(unsigned long long)vmq_oid_last_sequence(bed->oid));
	fclose(out);
	return dump;
}

void
oid_assert_same(const struct oid_bed *bed, char *before)
{
	char *now = oid_dump(bed);

	assert_string_equal(now, before);
	free(now);
	free(before);
}

void
oid_parameters(struct vmq_oid_queue_parameters *parameters, unsigned int revision)
{
	memset(parameters, 0, sizeof(*parameters));
	parameters->header = VMQ_OID_HEADER(*parameters);
	parameters->header.revision = (uint8_t)revision;
	if (revision == 1)
		parameters->header.size = VMQ_OID_QUEUE_PARAMETERS_SIZE_1;
	parameters->queue_type = VMQ_OID_QUEUE_TYPE_VM;
	parameters->processor_affinity = 1;
	parameters->suggested_receive_buffers = 64;
	snprintf(parameters->queue_name, sizeof(parameters->queue_name), "q");
	snprintf(parameters->vm_name, sizeof(parameters->vm_name), "vm");
	if (revision == 1)
		return;
	parameters->receive_buffers_limit = 128;
	parameters->buffer_size = BUFFER_SIZE;
	parameters->node = SOCKET_ID_ANY;
	parameters->backend_type = VMQ_BACKEND_SINK;
}

uint16_t
oid_allocate(struct oid_bed *bed, struct vmq_oid_owner *owner)
{
	struct vmq_oid_queue_parameters parameters;

	oid_parameters(&parameters, 1);
	if (oid_ask(bed, owner, VMQ_OID_METHOD, VMQ_OID_ALLOCATE_QUEUE, &parameters,
		    VMQ_OID_QUEUE_PARAMETERS_SIZE_1) != VMQ_STATUS_SUCCESS)
		fail_msg("%s", bed->request.error.text);
	assert_in_range(parameters.queue_id, 1, UINT16_MAX);
	return (uint16_t)parameters.queue_id;
}

enum vmq_status
oid_complete_one(struct oid_bed *bed, struct vmq_oid_owner *owner, uint16_t id)
{
	struct {
		struct vmq_oid_allocation_complete_array head;
		struct vmq_oid_allocation_complete element;
	} in = {
		.head = {
			.header = VMQ_OID_HEADER(in.head),
			.array = {sizeof(in.head), 1, sizeof(in.element)},
		},
		.element = {.header = VMQ_OID_HEADER(in.element), .queue_id = id},
	};
	enum vmq_status status = oid_ask(bed, owner, VMQ_OID_METHOD,
		VMQ_OID_QUEUE_ALLOCATION_COMPLETE, &in, sizeof(in));

	assert_int_equal(in.element.status, status);
	assert_string_equal(in.element.reason, bed->request.error.text);
	return status;
}

struct oid_filter
oid_filter(uint16_t queue_id, uint16_t mac, uint16_t vlan)
{
	struct oid_filter filter = {
		.parameters = {
			.header = VMQ_OID_HEADER(filter.parameters),
			.filter_type = VMQ_OID_FILTER_TYPE_VMQ,
			.queue_id = queue_id,
			.fields = {sizeof(filter.parameters), vlan != 0 ? 2 : 1,
				sizeof(filter.fields[0])},
		},
		.fields = {
			{
				.header = VMQ_OID_HEADER(filter.fields[0]),
				.frame_header = VMQ_OID_FRAME_MAC,
				.field = VMQ_OID_FIELD_DESTINATION,
				.value.bytes = {2, 0, 0, 0, (uint8_t)(mac >> 8), (uint8_t)mac},
			},
			{
				.header = VMQ_OID_HEADER(filter.fields[0]),
				.frame_header = VMQ_OID_FRAME_MAC,
				.field = VMQ_OID_FIELD_VLAN_ID,
				.value.u16 = vlan,
			},
		},
	};

	return filter;
}

size_t
oid_filter_length(const struct oid_filter *filter)
{
	return sizeof(filter->parameters) +
		filter->parameters.fields.n_elements * sizeof(filter->fields[0]);
}

uint32_t
oid_set(struct oid_bed *bed, struct vmq_oid_owner *owner, uint16_t queue_id, uint16_t mac,
	uint16_t vlan)
{
	struct oid_filter filter = oid_filter(queue_id, mac, vlan);

	if (oid_ask(bed, owner, VMQ_OID_METHOD, VMQ_OID_SET_FILTER, &filter,
		    oid_filter_length(&filter)) != VMQ_STATUS_SUCCESS)
		fail_msg("%s", bed->request.error.text);
	assert_int_not_equal(filter.parameters.filter_id, 0);
	return filter.parameters.filter_id;
}

enum vmq_status
oid_clear(struct oid_bed *bed, struct vmq_oid_owner *owner, uint32_t filter_id)
{
	struct vmq_oid_clear_filter in = {.header = VMQ_OID_HEADER(in), .filter_id = filter_id};

	return oid_ask(bed, owner, VMQ_OID_SET, VMQ_OID_CLEAR_FILTER, &in, sizeof(in));
}

enum vmq_status
oid_free(struct oid_bed *bed, struct vmq_oid_owner *owner, uint32_t queue_id)
{
	struct vmq_oid_free_queue in = {.header = VMQ_OID_HEADER(in), .queue_id = queue_id};

	return oid_ask(bed, owner, VMQ_OID_SET, VMQ_OID_FREE_QUEUE, &in, sizeof(in));
}

enum vmq_queue_state
oid_state(const struct oid_bed *bed, uint16_t queue_id)
{
	struct vmq_queue_info info;

	if (!vmq_queue_info_get(bed->adapter, queue_id, &info))
		return VMQ_QUEUE_UNDEFINED;
	return info.state;
}

struct rte_mbuf *
oid_hold(const struct oid_bed *bed, uint16_t queue_id)
{
	char name[RTE_MEMPOOL_NAMESIZE];
	struct rte_mempool *pool;
	struct rte_mbuf *packet;

	(void)bed;
	snprintf(name, sizeof(name), "vmq_a0_q%u_rx", queue_id);
	pool = rte_mempool_lookup(name);
	assert_non_null(pool);
	packet = rte_pktmbuf_alloc(pool);
	assert_non_null(packet);
	return packet;
}

struct gone {
	struct oid_bed *bed;
	uint16_t queue_id;
};

static bool
is_gone(void *arg)
{
	struct gone *gone = arg;

	vmq_host_progress(gone->bed->host);
	return oid_state(gone->bed, gone->queue_id) == VMQ_QUEUE_UNDEFINED;
}

void
oid_wait_gone(struct oid_bed *bed, uint16_t queue_id)
{
	assert_true(unit_wait(is_gone, &(struct gone){bed, queue_id}));
}
