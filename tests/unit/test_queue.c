/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_mempool.h>

#include <vmq_queue.h>

#include "failing_provider.h"

#define BUFFERS 512
#define BUFFER_SIZE 512

/*
 * An adapter without traffic (an empty capture file; net_null leaves allocations behind
 * when it is closed), or on net_ring: what is sent on its port comes back as received,
 * so a test makes the traffic itself. No workers run unless a test starts them.
 */
struct fixture {
	struct unit_census census;
	bool ring; /* it leaves rings behind when it is closed, so no census */
	struct vmq_host *host;
	struct vmq_adapter *adapter;
	uint16_t port;
	struct rte_mempool *traffic;
	struct vmq_error err;
	unsigned int indications[VMQ_INDICATE_COUNT];
	enum vmq_queue_state states[16]; /* indicated, in order */
	unsigned int n_states;
};

static void
on_indication(void *arg, struct vmq_adapter *adapter, enum vmq_indication indication,
	uint16_t queue_id, uint32_t value)
{
	struct fixture *f = arg;

	(void)adapter;
	(void)queue_id;
	f->indications[indication]++;
	if (indication == VMQ_INDICATE_QUEUE_STATE && f->n_states < RTE_DIM(f->states))
		f->states[f->n_states++] = (enum vmq_queue_state)value;
}

static struct vmq_queue_params
params_of(const char *name, uint16_t worker)
{
	return (struct vmq_queue_params){
		.name = name,
		.vm = "vm",
		.worker = worker,
		.memory = {
			.buffers = BUFFERS,
			.limit = BUFFERS,
			.buffer_size = BUFFER_SIZE,
			.node = SOCKET_ID_ANY,
		},
		.backend = {.type = VMQ_BACKEND_SINK},
	};
}

/* A capture file without packets: its header only. */
static const char *
empty_capture(void)
{
	static const struct {
		uint32_t magic;
		uint16_t major, minor;
		uint32_t zone, precision, snap_length, link_type;
	} header = {0xa1b2c3d4, 2, 4, 0, 0, 65535, 1};
	static char path[96];
	FILE *file;

	if (path[0] != '\0')
		return path;
	snprintf(path, sizeof(path), "%s/empty.pcap", unit_folder());
	file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(&header, sizeof(header), 1, file), 1);
	assert_int_equal(fclose(file), 0);
	return path;
}

/* The provider of adapters that start_adapter() makes; it fails when a test says so. */
static struct failing failing;

static struct vmq_adapter *
start_adapter(struct vmq_host *host, bool ring, size_t memory_limit, struct vmq_error *err)
{
	static unsigned int number;
	char device[128];
	struct vmq_adapter_params params = {
		.name = "unit",
		.port = {.device = device, .rx_descriptors = 64, .tx_queues = 1, .mtu = 1500},
		.memory_limit_bytes = memory_limit,
		.provider = &failing_provider,
		.provider_arg = &failing,
		.default_queue = params_of("default", 0),
	};

	if (ring)
		snprintf(device, sizeof(device), "net_ring_unit%u", number++);
	else
		snprintf(device, sizeof(device), "net_pcap_unit%u,rx_pcap=%s", number++,
			empty_capture());
	params.default_queue.memory.buffers = vmq_adapter_min_buffers(64);
	params.default_queue.memory.limit = params.default_queue.memory.buffers;
	return vmq_adapter_start(host, &params, err);
}

static int
set_up_with(void **state, bool ring)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	memset(&failing, 0, sizeof(failing));
	f.ring = ring;
	unit_census_take(&f.census);
	f.host = vmq_host_create(unit_lcores, UNIT_WORKERS);
	assert_non_null(f.host);
	f.adapter = start_adapter(f.host, ring, 0, &f.err);
	if (f.adapter == NULL)
		fail_msg("%s", f.err.text);
	f.port = (uint16_t)rte_eth_find_next(0);
	vmq_adapter_set_indications(f.adapter, on_indication, &f);
	f.traffic = unit_pool("traffic", 1024, BUFFER_SIZE);
	*state = &f;
	return 0;
}

static int
set_up(void **state)
{
	return set_up_with(state, false);
}

static int
set_up_ring(void **state)
{
	return set_up_with(state, true);
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	vmq_host_stop(f->host);
	if (f->adapter != NULL) {
		vmq_adapter_halt(f->adapter);
		assert_int_equal(vmq_adapter_free(f->adapter), 0);
	}
	vmq_host_free(f->host);
	unit_assert_pool_full(f->traffic);
	rte_mempool_free(f->traffic);
	assert_int_equal(failing.out, 0);
	if (!f->ring)
		unit_assert_nothing_left(&f->census);
	return 0;
}

static uint16_t
allocate(struct fixture *f, const char *name, uint16_t worker)
{
	const struct vmq_queue_params params = params_of(name, worker);
	uint16_t id = 0;

	assert_int_equal(vmq_queue_allocate(f->adapter, &params, &id, &f->err),
		VMQ_STATUS_SUCCESS);
	return id;
}

static struct vmq_filter_match
match_of(unsigned int n, uint16_t vlan)
{
	return (struct vmq_filter_match){
		.mac = {{0x52, 0x54, 0, 0, (uint8_t)(n >> 8), (uint8_t)n}},
		.has_mac = true,
		.vlan_test = vlan != 0 ? VMQ_VLAN_ID : VMQ_VLAN_ANY,
		.vlan_id = vlan,
	};
}

static uint32_t
set_filter(struct fixture *f, uint16_t id, unsigned int n)
{
	const struct vmq_filter_match match = match_of(n, 0);
	uint32_t filter = 0;

	assert_int_equal(vmq_queue_set_filter(f->adapter, id, &match, &filter, &f->err),
		VMQ_STATUS_SUCCESS);
	return filter;
}

static void
complete(struct fixture *f, uint16_t id)
{
	struct vmq_queue_completion item = {.id = id};

	assert_int_equal(vmq_queue_complete(f->adapter, &item, 1, NULL, NULL),
		VMQ_STATUS_SUCCESS);
	assert_int_equal(item.buffers, BUFFERS);
}

static struct vmq_queue_info
info_of(struct fixture *f, uint16_t id)
{
	struct vmq_queue_info info;

	assert_true(vmq_queue_info_get(f->adapter, id, &info));
	return info;
}

/* Send frames to a MAC out of the port, which receives them. */
static void
send_frames(struct fixture *f, unsigned int n, unsigned int count)
{
	uint8_t frame[64] = {0x52, 0x54, 0, 0, (uint8_t)(n >> 8), (uint8_t)n};
	struct rte_mbuf *packet;
	unsigned int i;

	for (i = 0; i < count; i++) {
		packet = unit_packet(f->traffic, frame, sizeof(frame));
		while (rte_eth_tx_burst(f->port, 0, &packet, 1) == 0)
			;
	}
}

struct expected {
	struct fixture *f;
	uint16_t id;
	uint64_t delivered;
};

static bool
is_delivered(void *arg)
{
	struct expected *expected = arg;

	return info_of(expected->f, expected->id).packets.delivered >= expected->delivered;
}

static void
wait_delivered(struct fixture *f, uint16_t id, uint64_t delivered)
{
	struct expected expected = {f, id, delivered};

	assert_true(unit_wait(is_delivered, &expected));
	assert_int_equal(info_of(f, id).packets.delivered, delivered);
}

static bool
is_gone(void *arg)
{
	struct expected *expected = arg;
	struct vmq_queue_info info;

	vmq_host_progress(expected->f->host);
	return !vmq_queue_info_get(expected->f->adapter, expected->id, &info);
}

static void
on_freed(void *arg, uint16_t id, enum vmq_status status)
{
	unsigned int *calls = arg;

	(void)id;
	assert_int_equal(status, VMQ_STATUS_SUCCESS);
	(*calls)++;
}

static void
free_queue(struct fixture *f, uint16_t id)
{
	struct expected expected = {.f = f, .id = id};
	unsigned int calls = 0;

	assert_int_equal(vmq_queue_free(f->adapter, id, on_freed, &calls, &f->err),
		VMQ_STATUS_PENDING);
	assert_true(unit_wait(is_gone, &expected));
	assert_int_equal(calls, 1);
}

static void
the_default_queue_runs_from_start_to_halt(void **state)
{
	struct fixture *f = *state;
	uint32_t filter;

	assert_int_equal(info_of(f, 0).state, VMQ_QUEUE_RUNNING);
	assert_int_equal(vmq_queue_free(f->adapter, 0, NULL, NULL, &f->err),
		VMQ_STATUS_INVALID_PARAMETER);
	filter = set_filter(f, 0, 1);
	assert_int_equal(info_of(f, 0).state, VMQ_QUEUE_RUNNING);
	assert_int_equal(vmq_queue_clear_filter(f->adapter, filter, &f->err), VMQ_STATUS_SUCCESS);
	assert_int_equal(info_of(f, 0).state, VMQ_QUEUE_RUNNING);
}

static void
a_queue_takes_memory_when_it_is_completed_and_gives_it_back(void **state)
{
	struct fixture *f = *state;
	static const enum vmq_queue_state states[] = {VMQ_QUEUE_ALLOCATED, VMQ_QUEUE_SET,
		VMQ_QUEUE_RUNNING, VMQ_QUEUE_PAUSED, VMQ_QUEUE_DMA_STOPPED, VMQ_QUEUE_FREEING,
		VMQ_QUEUE_UNDEFINED};
	uint16_t id = allocate(f, "a", 0);
	uint32_t filter;

	assert_int_equal(id, 1);
	assert_int_equal(info_of(f, id).memory.populated, 0);
	assert_null(rte_mempool_lookup("vmq_a0_q1_rx"));
	filter = set_filter(f, id, 1);
	complete(f, id);
	assert_int_equal(info_of(f, id).memory.available, BUFFERS);
	assert_non_null(rte_mempool_lookup("vmq_a0_q1_rx"));
	assert_int_equal(vmq_queue_free(f->adapter, id, NULL, NULL, &f->err),
		VMQ_STATUS_NOT_ACCEPTED);
	assert_non_null(strstr(f->err.text, "FREE_QUEUE is not valid in state Running"));
	assert_int_equal(vmq_queue_clear_filter(f->adapter, filter, &f->err), VMQ_STATUS_SUCCESS);
	free_queue(f, id);
	assert_null(rte_mempool_lookup("vmq_a0_q1_rx"));
	assert_int_equal(f->n_states, RTE_DIM(states));
	assert_memory_equal(f->states, states, sizeof(states));
	assert_int_equal(allocate(f, "again", 0), 1); /* the lowest id that is free */
}

static void
freeing_waits_for_the_last_packet_and_says_so(void **state)
{
	struct fixture *f = *state;
	uint16_t id = allocate(f, "a", 0);
	struct expected expected = {.f = f, .id = id};
	struct rte_mbuf *packet;
	unsigned int calls = 0, i;

	complete(f, id);
	packet = rte_pktmbuf_alloc(rte_mempool_lookup("vmq_a0_q1_rx"));
	assert_non_null(packet);
	assert_int_equal(vmq_queue_free(f->adapter, id, on_freed, &calls, &f->err),
		VMQ_STATUS_PENDING);
	for (i = 0; i < 100; i++)
		vmq_host_progress(f->host);
	assert_int_equal(calls, 0);
	assert_int_equal(info_of(f, id).state, VMQ_QUEUE_FREEING);
	assert_int_equal(info_of(f, id).missing, 1);
	assert_int_equal(vmq_queue_free(f->adapter, id, NULL, NULL, &f->err),
		VMQ_STATUS_NOT_ACCEPTED);
	rte_pktmbuf_free(packet);
	assert_true(unit_wait(is_gone, &expected));
	assert_int_equal(calls, 1);
}

struct batch_answer {
	unsigned int calls;
	struct vmq_queue_completion items[4];
};

static void
on_completed(void *arg, const struct vmq_queue_completion *batch, uint16_t n)
{
	struct batch_answer *answer = arg;

	answer->calls++;
	memcpy(answer->items, batch, n * sizeof(*batch));
}

static bool
is_answered(void *arg)
{
	struct batch_answer *answer = arg;

	return answer->calls > 0;
}

static void
completion_can_be_asynchronous(void **state)
{
	struct fixture *f = *state;
	struct vmq_queue_completion items[3] = {{.id = allocate(f, "a", 0)},
		{.id = allocate(f, "b", 0)}, {.id = 77}};
	struct batch_answer answer = {0};

	set_filter(f, items[0].id, 1);
	assert_int_equal(vmq_queue_complete(f->adapter, items, 3, on_completed, &answer),
		VMQ_STATUS_PENDING);
	assert_true(info_of(f, items[0].id).completing);
	/* Twice at a time is refused; a filter may come meanwhile. */
	assert_int_equal(vmq_queue_complete(f->adapter, items, 1, NULL, NULL),
		VMQ_STATUS_NOT_ACCEPTED);
	set_filter(f, items[1].id, 2);
	while (!is_answered(&answer))
		vmq_host_progress(f->host);
	assert_int_equal(answer.items[0].status, VMQ_STATUS_SUCCESS);
	assert_int_equal(answer.items[0].buffers, BUFFERS);
	assert_int_equal(answer.items[2].status, VMQ_STATUS_INVALID_PARAMETER);
	assert_int_equal(info_of(f, items[0].id).state, VMQ_QUEUE_RUNNING);
	assert_int_equal(info_of(f, items[1].id).state, VMQ_QUEUE_RUNNING);
}

static void
freeing_during_completion_aborts_it(void **state)
{
	struct fixture *f = *state;
	struct vmq_queue_completion item = {.id = allocate(f, "a", 0)};
	struct expected expected = {.f = f, .id = item.id};
	struct batch_answer answer = {0};
	unsigned int calls = 0;

	assert_int_equal(vmq_queue_complete(f->adapter, &item, 1, on_completed, &answer),
		VMQ_STATUS_PENDING);
	assert_int_equal(vmq_queue_free(f->adapter, item.id, on_freed, &calls, &f->err),
		VMQ_STATUS_PENDING);
	assert_true(unit_wait(is_gone, &expected));
	assert_int_equal(answer.calls, 1);
	assert_int_equal(answer.items[0].status, VMQ_STATUS_REQUEST_ABORTED);
	assert_int_equal(calls, 1);
}

static void
a_batch_shares_what_there_is(void **state)
{
	struct fixture *f = *state;
	struct vmq_queue_params params = params_of("s", 0);
	struct vmq_queue_completion items[3] = {0};
	struct vmq_adapter *small;
	struct unit_census census;
	unsigned int i;

	unit_census_take(&census);
	/* Room for the default queue and two of the three. */
	small = start_adapter(f->host, false,
		vmq_pool_block_bytes(vmq_adapter_min_buffers(64), BUFFER_SIZE) +
			2 * vmq_pool_block_bytes(BUFFERS, BUFFER_SIZE), &f->err);
	assert_non_null(small);
	for (i = 0; i < 3; i++)
		assert_int_equal(vmq_queue_allocate(small, &params, &items[i].id, &f->err),
			VMQ_STATUS_SUCCESS);
	/* All or nothing: the third gets nothing. */
	assert_int_equal(vmq_queue_complete(small, items, 3, NULL, NULL), VMQ_STATUS_RESOURCES);
	assert_int_equal(items[0].status, VMQ_STATUS_SUCCESS);
	assert_int_equal(items[2].status, VMQ_STATUS_RESOURCES);
	assert_non_null(strstr(items[2].error.text, "limit"));
	vmq_adapter_halt(small);
	assert_int_equal(vmq_adapter_free(small), 0);

	small = start_adapter(f->host, false,
		vmq_pool_block_bytes(vmq_adapter_min_buffers(64), BUFFER_SIZE) +
			2 * vmq_pool_block_bytes(BUFFERS, BUFFER_SIZE), &f->err);
	assert_non_null(small);
	params.memory.min_buffers = BUFFERS / 8;
	for (i = 0; i < 3; i++)
		assert_int_equal(vmq_queue_allocate(small, &params, &items[i].id, &f->err),
			VMQ_STATUS_SUCCESS);
	assert_int_equal(vmq_queue_complete(small, items, 3, NULL, NULL), VMQ_STATUS_SUCCESS);
	for (i = 0; i < 3; i++)
		assert_int_equal(items[i].buffers, BUFFERS / 2);
	vmq_adapter_halt(small);
	assert_int_equal(vmq_adapter_free(small), 0);
	unit_assert_nothing_left(&census);
}

static void
packets_follow_their_filter(void **state)
{
	struct fixture *f = *state;
	uint16_t a = allocate(f, "a", 0), b = allocate(f, "b", 1);
	uint32_t filter = set_filter(f, a, 1);

	complete(f, a);
	complete(f, b);
	assert_int_equal(vmq_host_start(f->host), 0);
	send_frames(f, 1, 100);
	wait_delivered(f, a, 100);
	send_frames(f, 2, 50);
	wait_delivered(f, 0, 50);
	assert_int_equal(vmq_queue_move_filter(f->adapter, filter, a, b, &f->err),
		VMQ_STATUS_SUCCESS);
	assert_int_equal(info_of(f, a).state, VMQ_QUEUE_PAUSED);
	assert_int_equal(info_of(f, b).state, VMQ_QUEUE_RUNNING);
	send_frames(f, 1, 100);
	wait_delivered(f, b, 100);
	assert_int_equal(vmq_queue_clear_filter(f->adapter, filter, &f->err), VMQ_STATUS_SUCCESS);
	send_frames(f, 1, 100);
	wait_delivered(f, 0, 150);
	assert_int_equal(info_of(f, a).packets.delivered, 100);
	assert_int_equal(info_of(f, b).packets.delivered, 100);
}

static void
a_batch_of_moves_takes_effect_at_its_end(void **state)
{
	struct fixture *f = *state;
	uint16_t a = allocate(f, "a", 0), b = allocate(f, "b", 1);
	uint32_t filter = set_filter(f, a, 1);

	complete(f, a);
	complete(f, b);
	assert_int_equal(vmq_host_start(f->host), 0);
	vmq_adapter_begin(f->adapter);
	assert_int_equal(vmq_queue_move_filter(f->adapter, filter, a, b, &f->err),
		VMQ_STATUS_SUCCESS);
	/* Until then what comes is delivered as if nothing had been asked for. */
	assert_int_equal(info_of(f, a).state, VMQ_QUEUE_RUNNING);
	send_frames(f, 1, 100);
	wait_delivered(f, a, 100);
	assert_int_equal(vmq_queue_free(f->adapter, a, NULL, NULL, &f->err),
		VMQ_STATUS_NOT_ACCEPTED);
	assert_non_null(strstr(f->err.text, "being gathered"));
	assert_int_equal(vmq_adapter_commit(f->adapter, &f->err), VMQ_STATUS_SUCCESS);
	assert_int_equal(info_of(f, a).state, VMQ_QUEUE_PAUSED);
	assert_int_equal(info_of(f, b).state, VMQ_QUEUE_RUNNING);
	send_frames(f, 1, 100);
	wait_delivered(f, b, 100);
	assert_int_equal(info_of(f, a).packets.delivered, 100);
	assert_int_equal(info_of(f, a).packets.dropped, 0);
	assert_int_equal(vmq_queue_free(f->adapter, a, NULL, NULL, &f->err), VMQ_STATUS_PENDING);
}

static void
a_queue_can_change_its_worker_under_traffic(void **state)
{
	struct fixture *f = *state;
	struct vmq_queue_params params = params_of("a", 0);
	struct vmq_queue_completion item = {0};
	unsigned int round;
	uint16_t id;

	/* Room for all: nothing is dropped, however long a worker has no CPU. */
	params.memory.buffers = params.memory.limit = 4096;
	assert_int_equal(vmq_queue_allocate(f->adapter, &params, &id, &f->err),
		VMQ_STATUS_SUCCESS);
	set_filter(f, id, 1);
	item.id = id;
	assert_int_equal(vmq_queue_complete(f->adapter, &item, 1, NULL, NULL),
		VMQ_STATUS_SUCCESS);
	params.name = "renamed";
	assert_int_equal(vmq_host_start(f->host), 0);
	for (round = 1; round <= 50; round++) {
		send_frames(f, 1, 20);
		params.worker = round % UNIT_WORKERS;
		assert_int_equal(vmq_queue_set_params(f->adapter, id,
			VMQ_QUEUE_CHANGE_WORKER | VMQ_QUEUE_CHANGE_NAME, &params, &f->err),
			VMQ_STATUS_SUCCESS);
		send_frames(f, 1, 20);
	}
	wait_delivered(f, id, 50 * 40);
	assert_int_equal(info_of(f, id).packets.dropped, 0);
	assert_string_equal(info_of(f, id).name, "renamed");
	assert_int_equal(f->indications[VMQ_INDICATE_QUEUE_PARAMETERS], 50);
	params.worker = UNIT_WORKERS;
	assert_int_equal(vmq_queue_set_params(f->adapter, id, VMQ_QUEUE_CHANGE_WORKER, &params,
		&f->err), VMQ_STATUS_INVALID_PARAMETER);
}

static void
bad_requests_are_refused(void **state)
{
	struct fixture *f = *state;
	struct vmq_queue_params params = params_of("a", 0);
	const struct vmq_filter_match match = match_of(1, 5);
	struct vmq_queue_completion item = {.id = 9};
	uint32_t filter, other;
	uint16_t id;

	params.worker = UNIT_WORKERS;
	assert_int_equal(vmq_queue_allocate(f->adapter, &params, &id, &f->err),
		VMQ_STATUS_INVALID_PARAMETER);
	params = params_of("a", 0);
	params.memory.limit = params.memory.buffers - 1;
	assert_int_equal(vmq_queue_allocate(f->adapter, &params, &id, &f->err),
		VMQ_STATUS_INVALID_PARAMETER);
	params = params_of("a", 0);
	params.memory.demand = (struct vmq_pool_demand){.low = 1, .high = 1, .step = 1};
	assert_int_equal(vmq_queue_allocate(f->adapter, &params, &id, &f->err),
		VMQ_STATUS_INVALID_PARAMETER);
	assert_int_equal(vmq_queue_set_filter(f->adapter, 9, &match, &filter, &f->err),
		VMQ_STATUS_INVALID_PARAMETER);
	assert_int_equal(vmq_queue_clear_filter(f->adapter, 9, &f->err),
		VMQ_STATUS_FILE_NOT_FOUND);
	assert_int_equal(vmq_queue_complete(f->adapter, &item, 1, NULL, NULL),
		VMQ_STATUS_INVALID_PARAMETER);
	id = allocate(f, "a", 0);
	assert_int_equal(vmq_queue_set_filter(f->adapter, id, &match, &filter, &f->err),
		VMQ_STATUS_SUCCESS);
	assert_int_equal(vmq_queue_set_filter(f->adapter, 0, &match, &other, &f->err),
		VMQ_STATUS_INVALID_PARAMETER);
	assert_non_null(strstr(f->err.text, "filter 1 "));
	assert_int_equal(vmq_queue_move_filter(f->adapter, filter, 0, id, &f->err),
		VMQ_STATUS_INVALID_PARAMETER);
	assert_int_equal(vmq_queue_move_filter(f->adapter, filter, id, 9, &f->err),
		VMQ_STATUS_INVALID_PARAMETER);
	assert_int_equal(info_of(f, id).state, VMQ_QUEUE_SET);
	assert_int_equal(info_of(f, id).n_filters, 1);
}

static void
halt_ends_everything_from_every_state(void **state)
{
	struct fixture *f = *state;
	struct vmq_queue_completion item = {0};
	struct batch_answer answer = {0};
	uint16_t id;

	allocate(f, "allocated", 0);
	id = allocate(f, "set", 0);
	set_filter(f, id, 1);
	id = allocate(f, "running", 1);
	set_filter(f, id, 2);
	complete(f, id);
	id = allocate(f, "paused", 0);
	complete(f, id);
	id = allocate(f, "freeing", 0);
	complete(f, id);
	assert_int_equal(vmq_queue_free(f->adapter, id, NULL, NULL, &f->err), VMQ_STATUS_PENDING);
	item.id = allocate(f, "completing", 0);
	assert_int_equal(vmq_host_start(f->host), 0);
	assert_int_equal(vmq_queue_complete(f->adapter, &item, 1, on_completed, &answer),
		VMQ_STATUS_PENDING);
	vmq_host_stop(f->host);
	vmq_adapter_halt(f->adapter);
	assert_int_equal(answer.calls, 1);
	assert_int_equal(answer.items[0].status, VMQ_STATUS_REQUEST_ABORTED);
	assert_int_equal(vmq_adapter_free(f->adapter), 0);
	f->adapter = NULL; /* tear_down() sees that nothing is left */
}

static void
a_start_that_fails_leaves_nothing_behind(void **state)
{
	struct fixture *f = *state;
	struct unit_census census;

	unit_census_take(&census);
	assert_null(start_adapter(f->host, false, 4096, &f->err));
	assert_int_equal(rte_errno, ENOMEM);
	assert_non_null(strstr(f->err.text, "limit"));
	unit_assert_nothing_left(&census);
}

static void
the_default_queue_may_start_with_less(void **state)
{
	struct fixture *f = *state;
	const uint32_t needed = vmq_adapter_min_buffers(64);
	struct vmq_adapter_params params = {
		.name = "less",
		.port = {.rx_descriptors = 64, .tx_queues = 1, .mtu = 1500},
		.provider = &failing_provider,
		.provider_arg = &failing,
		.default_queue = params_of("default", 0),
	};
	struct vmq_adapter *adapter;
	struct vmq_queue_info info;
	char device[128];

	snprintf(device, sizeof(device), "net_pcap_less,rx_pcap=%s", empty_capture());
	params.port.device = device;
	params.default_queue.memory.buffers = params.default_queue.memory.limit = 4 * needed;
	failing.max_bytes = vmq_pool_block_bytes(needed, BUFFER_SIZE);
	/* All or nothing. */
	assert_null(vmq_adapter_start(f->host, &params, &f->err));
	assert_int_equal(rte_errno, ENOMEM);
	assert_non_null(strstr(f->err.text, "not even memory for"));
	/* Down to a minimum; never below what the ring needs. */
	params.default_queue.memory.min_buffers = 1;
	adapter = vmq_adapter_start(f->host, &params, &f->err);
	if (adapter == NULL)
		fail_msg("%s", f->err.text);
	assert_true(vmq_queue_info_get(adapter, 0, &info));
	assert_int_equal(info.memory.populated, needed);
	vmq_adapter_halt(adapter);
	assert_int_equal(vmq_adapter_free(adapter), 0);
	failing.max_bytes = vmq_pool_block_bytes(needed - 1, BUFFER_SIZE);
	assert_null(vmq_adapter_start(f->host, &params, &f->err));
}

static void
an_allocation_that_fails_at_any_step_leaves_nothing_behind(void **state)
{
	struct fixture *f = *state;
	struct vmq_queue_completion items[4] = {0};
	struct vmq_queue_params params = params_of("a", 0);
	struct unit_census census;
	enum vmq_status status;
	unsigned int step, out, i;

	/* Two with a port of their own, and so with a second pool. */
	for (i = 0; i < 4; i++) {
		params.backend.type = i < 2 ? VMQ_BACKEND_SINK : VMQ_BACKEND_ETHDEV;
		params.backend.device = i == 2 ? "net_ring_fail2" : "net_ring_fail3";
		assert_int_equal(vmq_queue_allocate(f->adapter, &params, &items[i].id, &f->err),
			VMQ_STATUS_SUCCESS);
	}
	out = failing.out;
	unit_census_take(&census);
	for (step = 1; step <= 6; step++) {
		/* This one and all after it: nothing can be had in its place. */
		failing.calls = 0;
		failing.fail_from = step;
		status = vmq_queue_complete(f->adapter, items, 2, NULL, NULL);
		if (step <= 2)
			assert_int_equal(status, VMQ_STATUS_RESOURCES);
		for (i = 0; i < 2; i++) {
			if (items[i].status == VMQ_STATUS_SUCCESS)
				continue;
			assert_int_equal(items[i].status, VMQ_STATUS_RESOURCES);
			assert_int_equal(info_of(f, items[i].id).state, VMQ_QUEUE_ALLOCATED);
			assert_int_equal(info_of(f, items[i].id).memory.populated, 0);
		}
		if (status == VMQ_STATUS_SUCCESS)
			break;
		for (i = 0; i < 2; i++) {
			if (items[i].status != VMQ_STATUS_SUCCESS)
				continue;
			failing.fail_from = 0;
			free_queue(f, items[i].id);
			params.backend.type = VMQ_BACKEND_SINK;
			assert_int_equal(vmq_queue_allocate(f->adapter, &params, &items[i].id,
				&f->err), VMQ_STATUS_SUCCESS);
		}
		assert_int_equal(failing.out, out);
		unit_assert_nothing_left(&census);
	}
	assert_int_equal(status, VMQ_STATUS_SUCCESS);
	/* The second pool of a queue fails: the first goes as well. */
	unit_census_take(&census);
	out = failing.out;
	failing.calls = 0;
	failing.fail_from = 2;
	assert_int_equal(vmq_queue_complete(f->adapter, items + 2, 1, NULL, NULL),
		VMQ_STATUS_RESOURCES);
	assert_int_equal(failing.out, out);
	unit_assert_nothing_left(&census);
	failing.fail_from = 0;
}

/* In the library's place: fails while there is "no memory for a view". */
static bool no_view;
struct vmq_dp_view *__real_vmq_dp_view_create(uint16_t n_queues, int socket_id);
struct vmq_dp_view *__wrap_vmq_dp_view_create(uint16_t n_queues, int socket_id);

struct vmq_dp_view *
__wrap_vmq_dp_view_create(uint16_t n_queues, int socket_id)
{
	if (!no_view)
		return __real_vmq_dp_view_create(n_queues, socket_id);
	rte_errno = ENOMEM;
	return NULL;
}

/* The workers have been told of the batch's queues when the lookup table cannot be made. */
static void
a_completion_that_cannot_be_published_is_undone(void **state)
{
	struct fixture *f = *state;
	struct vmq_queue_completion items[2] = {0};
	const unsigned int out = failing.out;
	uint32_t filter;
	unsigned int i;

	assert_int_equal(vmq_host_start(f->host), 0);
	items[0].id = allocate(f, "here", 0);
	items[1].id = allocate(f, "elsewhere", 1); /* handed over to the other worker */
	filter = set_filter(f, items[0].id, 1);
	no_view = true;
	assert_int_equal(vmq_queue_complete(f->adapter, items, 2, NULL, NULL),
		VMQ_STATUS_RESOURCES);
	no_view = false;
	for (i = 0; i < 2; i++) {
		assert_int_equal(items[i].status, VMQ_STATUS_RESOURCES);
		assert_int_equal(items[i].buffers, 0);
		assert_non_null(strstr(items[i].error.text, "lookup table"));
		assert_int_equal(info_of(f, items[i].id).memory.populated, 0);
	}
	assert_int_equal(info_of(f, items[0].id).state, VMQ_QUEUE_SET);
	assert_int_equal(info_of(f, items[1].id).state, VMQ_QUEUE_ALLOCATED);
	assert_int_equal(failing.out, out);
	/* With memory again the same request does. */
	assert_int_equal(vmq_queue_complete(f->adapter, items, 2, NULL, NULL), VMQ_STATUS_SUCCESS);
	assert_int_equal(info_of(f, items[0].id).state, VMQ_QUEUE_RUNNING);
	assert_int_equal(info_of(f, items[1].id).state, VMQ_QUEUE_PAUSED);
	assert_int_equal(vmq_queue_clear_filter(f->adapter, filter, &f->err), VMQ_STATUS_SUCCESS);
	free_queue(f, items[0].id);
	free_queue(f, items[1].id);
}

/* Links are looked at every 50 ms. */
static void
wait_for(struct fixture *f, enum vmq_indication indication, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < 1000 && f->indications[indication] < count; i++) {
		vmq_host_progress(f->host);
		usleep(5000);
	}
	assert_int_equal(f->indications[indication], count);
}

static void
links_that_come_and_go_are_indicated(void **state)
{
	struct fixture *f = *state;
	struct vmq_queue_completion item = {0};
	struct vmq_queue_params params = params_of("a", 0);
	struct vmq_port_link link;
	uint16_t port;

	params.backend.type = VMQ_BACKEND_ETHDEV;
	params.backend.device = "net_ring_link";
	assert_int_equal(vmq_queue_allocate(f->adapter, &params, &item.id, &f->err),
		VMQ_STATUS_SUCCESS);
	assert_false(info_of(f, item.id).backend_link.up);
	assert_int_equal(vmq_queue_complete(f->adapter, &item, 1, NULL, NULL), VMQ_STATUS_SUCCESS);
	assert_int_equal(rte_eth_dev_get_port_by_name("net_ring_link", &port), 0);
	assert_true(info_of(f, item.id).backend_link.up);
	assert_string_equal(info_of(f, item.id).backend_link.text, "");

	assert_int_equal(rte_eth_dev_set_link_down(port), 0);
	wait_for(f, VMQ_INDICATE_BACKEND_DOWN, 1);
	assert_false(info_of(f, item.id).backend_link.up);
	assert_string_not_equal(info_of(f, item.id).backend_link.text, "");
	assert_int_equal(rte_eth_dev_set_link_up(port), 0);
	wait_for(f, VMQ_INDICATE_BACKEND_UP, 1);

	vmq_adapter_link(f->adapter, &link);
	assert_true(link.up);
	assert_int_equal(rte_eth_dev_set_link_down(f->port), 0);
	wait_for(f, VMQ_INDICATE_LINK_DOWN, 1);
	vmq_adapter_link(f->adapter, &link);
	assert_false(link.up);
	assert_int_equal(rte_eth_dev_set_link_up(f->port), 0);
	wait_for(f, VMQ_INDICATE_LINK_UP, 1);
	/* Each was told once, and nothing of what did not happen. */
	assert_int_equal(f->indications[VMQ_INDICATE_BACKEND_DOWN], 1);
	assert_int_equal(f->indications[VMQ_INDICATE_LINK_DOWN], 1);
	free_queue(f, item.id);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define RING_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_ring, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_default_queue_runs_from_start_to_halt),
		TEST(a_queue_takes_memory_when_it_is_completed_and_gives_it_back),
		TEST(freeing_waits_for_the_last_packet_and_says_so),
		TEST(completion_can_be_asynchronous),
		TEST(freeing_during_completion_aborts_it),
		TEST(a_batch_shares_what_there_is),
		RING_TEST(packets_follow_their_filter),
		RING_TEST(a_batch_of_moves_takes_effect_at_its_end),
		RING_TEST(a_queue_can_change_its_worker_under_traffic),
		TEST(a_completion_that_cannot_be_published_is_undone),
		RING_TEST(links_that_come_and_go_are_indicated),
		TEST(bad_requests_are_refused),
		TEST(halt_ends_everything_from_every_state),
		TEST(a_start_that_fails_leaves_nothing_behind),
		TEST(the_default_queue_may_start_with_less),
		TEST(an_allocation_that_fails_at_any_step_leaves_nothing_behind),
	};

	return cmocka_run_group_tests_name("queue", tests, unit_start, unit_stop);
}
