/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_errno.h>
#include <rte_ethdev.h>

#include "hw_bed.h"

static int
nic_find(const struct nic *nic, enum vmq_steer_test test, const void *mac, uint16_t vlan)
{
	unsigned int i;

	for (i = 0; i < nic->n_rules; i++)
		if (nic->rules[i].test == test &&
			memcmp(&nic->rules[i].mac, mac, RTE_ETHER_ADDR_LEN) == 0 &&
			(test == VMQ_STEER_MAC || nic->rules[i].vlan_id == vlan))
			return (int)i;
	return -1;
}

static int
nic_add(void *arg, uint16_t port_id, const struct vmq_steer_request *request, void **handle,
	struct vmq_error *err)
{
	struct nic *nic = arg;

	(void)port_id;
	*handle = nic;
	if (request->test == VMQ_STEER_MAC_VLAN && nic->no_vlan)
		return vmq_error_errno(err, EINVAL, "no VLANs, says the NIC");
	if (++nic->calls == nic->fail_at)
		return vmq_error_errno(err, ENOSPC, "its table is full, says the NIC");
	assert_int_equal(nic_find(nic, request->test, &request->mac, request->vlan_id), -1);
	assert_true(nic->n_rules < RULES_MAX);
	nic->rules[nic->n_rules++] = *request;
	return 0;
}

static int
nic_del(void *arg, uint16_t port_id, const struct vmq_steer_request *request, void *handle,
	struct vmq_error *err)
{
	struct nic *nic = arg;
	int i = nic_find(nic, request->test, &request->mac, request->vlan_id);

	(void)port_id;
	assert_ptr_equal(handle, nic);
	if (i < 0 && nic->silent)
		return 0;
	assert_int_not_equal(i, -1);
	if (++nic->calls == nic->fail_at)
		return vmq_error_errno(err, EIO, "not now, says the NIC");
	nic->rules[i] = nic->rules[--nic->n_rules];
	return 0;
}

static bool
nic_exists(void *arg, uint16_t port_id, const struct vmq_steer_request *request, void *handle)
{
	(void)port_id;
	(void)handle;
	return nic_find(arg, request->test, &request->mac, request->vlan_id) >= 0;
}

static const struct vmq_steer_ops nic_ops = {
	.steering = VMQ_STEERING_FLOW, .add = nic_add, .del = nic_del};
/* One whose rules can be seen. */
static const struct vmq_steer_ops seen_ops = {
	.steering = VMQ_STEERING_FLOW, .add = nic_add, .del = nic_del, .exists = nic_exists};
static const struct vmq_steer_ops vmdq_ops = {
	.steering = VMQ_STEERING_VMDQ, .add = nic_add, .del = nic_del, .exists = nic_exists};

/* The queue that the NIC puts a frame into. */
uint16_t
nic_steer(const struct nic *nic, const uint8_t *frame)
{
	const uint16_t vlan = frame[12] == 0x81 ? (uint16_t)(frame[14] << 8 | frame[15]) : 0;
	int i = nic_find(nic, VMQ_STEER_MAC_VLAN, frame, vlan & 0xfff);
	unsigned int n;

	if (nic->ignored != 0 && frame[5] == nic->ignored)
		return 0;
	for (n = 0; nic->blind && n < nic->n_rules; n++)
		if (memcmp(&nic->rules[n].mac, frame, RTE_ETHER_ADDR_LEN) == 0)
			return nic->rules[n].slot->rx_queue;

	if (vlan == 0 || i < 0)
		i = nic_find(nic, VMQ_STEER_MAC, frame, 0);
	return i < 0 ? 0 : nic->rules[i].slot->rx_queue;
}

static struct vmq_queue_params
params_of(const char *name, uint16_t worker)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s.pcap", unit_folder(), name);
	return (struct vmq_queue_params){
		.name = name,
		.vm = name,
		.worker = worker,
		.memory = {.buffers = BUFFERS, .limit = 4 * BUFFERS, .buffer_size = BUFFER_SIZE,
			.node = SOCKET_ID_ANY},
		.backend = {.type = VMQ_BACKEND_PCAP, .file = path},
	};
}

void
make_adapter(struct fixture *f, uint16_t slots)
{
	static unsigned int number;
	char device[64];
	struct vmq_adapter_params params = {
		.name = "unit",
		/* By Tx queue n the test fills Rx queue n. */
		.port = {.device = device, .rx_descriptors = DESCRIPTORS, .mtu = 1500,
			.tx_queues = (uint16_t)(RTE_MAX(f->nic.first, 1) +
				SLOTS * RTE_MAX(f->nic.per_pool, 1))},
		.hardware = {.steering = f->nic.small_default ? VMQ_STEERING_AUTO
				: f->nic.vmdq ? VMQ_STEERING_VMDQ : VMQ_STEERING_FLOW,
			.slots = slots,
			.rx_descriptors = DESCRIPTORS, .buffer_size = BUFFER_SIZE,
			.limit = 4 * BUFFERS, .ops = f->nic.vmdq ? &vmdq_ops
				: f->nic.seen ? &seen_ops : &nic_ops,
			.ops_arg = &f->nic},
		.default_queue = params_of("default", 0),
	};

	snprintf(device, sizeof(device), "net_ring_hw%u", number++);
	params.default_queue.memory.buffers = vmq_adapter_min_buffers(DESCRIPTORS) +
		(f->nic.small_default ? 0 : BUFFERS);
	params.default_queue.memory.limit = params.default_queue.memory.buffers;
	f->adapter = vmq_adapter_start(f->host, &params, &f->err);
}

struct fixture *
make_bed(const struct nic *nic)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	f.nic = *nic;
	f.host = vmq_host_create(unit_lcores, UNIT_WORKERS);
	assert_non_null(f.host);
	/* Ones that only poll take the CPU from each other, where they share one. */
	vmq_host_set_workers(f.host, &(struct vmq_worker_params){
		.mode = VMQ_WORKER_ADAPTIVE, .max_sleep_us = 100});
	make_adapter(&f, SLOTS);
	f.port = (uint16_t)rte_eth_find_next(0);
	return &f;
}

static int
set_up_nic(void **state, bool no_vlan, bool seen)
{
	struct fixture *f = make_bed(&(struct nic){.no_vlan = no_vlan, .seen = seen});

	if (f->adapter == NULL)
		fail_msg("%s", f->err.text);
	*state = f;
	return 0;
}

int
set_up(void **state)
{
	return set_up_nic(state, false, false);
}

int
set_up_macs_only(void **state)
{
	return set_up_nic(state, true, false);
}

int
set_up_forgetful(void **state)
{
	return set_up_nic(state, false, true);
}

int
tear_down(void **state)
{
	struct fixture *f = *state;

	vmq_host_stop(f->host);
	if (f->adapter != NULL) {
		vmq_adapter_halt(f->adapter);
		assert_int_equal(f->nic.n_rules, 0);
		assert_int_equal(vmq_adapter_free(f->adapter), 0);
	}
	vmq_host_free(f->host);
	return 0;
}

struct rte_mempool *
pool_of(const char *name)
{
	char full[RTE_MEMPOOL_NAMESIZE];
	struct rte_mempool *pool;

	snprintf(full, sizeof(full), "vmq_a0_%s_rx", name);
	pool = rte_mempool_lookup(full);
	assert_non_null(pool);
	return pool;
}

void
nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
}

static struct rte_mempool *
ring_pool(const struct nic *nic, uint16_t rx_queue)
{
	const int first = RTE_MAX(nic->first, 1);
	char name[8];

	snprintf(name, sizeof(name), rx_queue < first ? "q0" : "s%d",
		(rx_queue - first) / RTE_MAX(nic->per_pool, 1));
	return pool_of(name);
}

static bool
is_low(const struct nic *nic, uint16_t rx_queue)
{
	struct rte_mempool *pool = ring_pool(nic, rx_queue);

	return rte_mempool_get_ops(pool->ops_index)->get_count(pool) < 3 * DESCRIPTORS;
}

/* Put a frame into an Rx queue of the NIC. */
void
nic_receive(struct fixture *f, uint16_t rx_queue, const uint8_t *frame, uint16_t length)
{
	struct rte_mempool *pool = ring_pool(&f->nic, rx_queue);
	struct rte_mbuf *packet;
	unsigned int naps = 0;

	/* A NIC has no cache. */
	while (is_low(&f->nic, rx_queue) || rte_mempool_generic_get(pool, (void **)&packet, 1, NULL) < 0) {
		assert_true(naps++ < 100000);
		nap();
	}
	rte_pktmbuf_reset(packet);
	memcpy(rte_pktmbuf_append(packet, length), frame, length);
	while (rte_eth_tx_burst(f->port, rx_queue, &packet, 1) == 0) {
		assert_true(naps++ < 100000);
		nap();
	}
}

void
make_frame(uint8_t *frame, unsigned int vm, uint16_t vlan, uint32_t number)
{
	uint8_t *at = frame + 12;

	memset(frame, 0, FRAME_BYTES);
	memcpy(frame, (uint8_t[]){2, 0, 0, 0, 0, (uint8_t)(vm + 1), 2, 0, 0, 0, 9, 9}, 12);
	if (vlan != 0) {
		memcpy(at, (uint8_t[]){0x81, 0, (uint8_t)(vlan >> 8), (uint8_t)vlan}, 4);
		at += 4;
	}
	memcpy(at, (uint8_t[]){0x88, 0xb5}, 2);
	memcpy(at + 2, &number, sizeof(number));
}

/* Frames that were sent and are not in a file yet. */
static uint64_t
on_their_way(struct fixture *f)
{
	struct vmq_queue_info info;
	uint64_t sent = 0, done = 0;
	int id;

	for (id = 0; id < VMS; id++)
		sent += f->sent[id];
	for (id = -1; (id = vmq_queue_next(f->adapter, id)) >= 0;)
		if (vmq_queue_info_get(f->adapter, (uint16_t)id, &info))
			done += info.packets.delivered + info.packets.dropped;
	return sent - RTE_MIN(sent, done);
}

/* The wire brings the next frame for a VM; not faster than files can be written here. */
void
wire_brings(struct fixture *f, unsigned int vm, uint16_t vlan)
{
	uint8_t frame[FRAME_BYTES];
	unsigned int naps;

	for (naps = 0; f->sent[vm] % 16 == 0 && on_their_way(f) > BUFFERS / 4 && naps < 100; naps++)
		nap();
	make_frame(frame, vm, vlan, f->sent[vm]++);
	/*
	 * A NIC that finds no buffer drops: the test waits before, and only then looks into
	 * the rules, which may change meanwhile.
	 */
	for (naps = 0; is_low(&f->nic, nic_steer(&f->nic, frame)); naps++) {
		assert_true(naps < 100000);
		nap();
		vmq_host_progress(f->host);
	}
	nic_receive(f, nic_steer(&f->nic, frame), frame, sizeof(frame));
}

uint16_t
allocate(struct fixture *f, unsigned int vm, uint16_t worker, uint8_t priority)
{
	char name[16];
	struct vmq_queue_params params;

	snprintf(name, sizeof(name), "vm%u", vm);
	params = params_of(name, worker);
	params.priority = priority;
	if (vmq_queue_allocate(f->adapter, &params, &f->ids[vm], &f->err) != VMQ_STATUS_SUCCESS)
		fail_msg("%s", f->err.text);
	return f->ids[vm];
}

void
set_filter(struct fixture *f, unsigned int vm, uint16_t vlan)
{
	const struct vmq_filter_match match = {.has_mac = true,
		.mac = {{2, 0, 0, 0, 0, (uint8_t)(vm + 1)}},
		.vlan_test = vlan != 0 ? VMQ_VLAN_ID : VMQ_VLAN_ANY, .vlan_id = vlan};

	assert_int_equal(vmq_queue_set_filter(f->adapter, f->ids[vm], &match, &f->filters[vm],
		&f->err), VMQ_STATUS_SUCCESS);
}

void
complete(struct fixture *f, unsigned int vm)
{
	struct vmq_queue_completion item = {.id = f->ids[vm]};

	if (vmq_queue_complete(f->adapter, &item, 1, NULL, NULL) != VMQ_STATUS_SUCCESS)
		fail_msg("%s", item.error.text);
}

struct vmq_queue_info
info_of(struct fixture *f, uint16_t id)
{
	struct vmq_queue_info info;

	assert_true(vmq_queue_info_get(f->adapter, id, &info));
	return info;
}

bool
all_delivered(void *arg)
{
	const struct waiting *w = arg;
	uint64_t delivered = 0;
	int id;

	vmq_host_progress(w->f->host);
	for (id = -1; (id = vmq_queue_next(w->f->adapter, id)) >= 0;)
		delivered += info_of(w->f, (uint16_t)id).packets.delivered;
	return delivered >= w->delivered;
}

void
wait_delivered(struct fixture *f, uint64_t delivered)
{
	struct waiting w = {.f = f, .delivered = delivered};
	struct vmq_queue_info info;
	unsigned int i;
	int id;

	if (unit_wait(all_delivered, &w))
		return;
	for (id = -1; (id = vmq_queue_next(f->adapter, id)) >= 0;) {
		info = info_of(f, (uint16_t)id);
		print_error("queue %d slot %d: received %" PRIu64 " delivered %" PRIu64
			" waiting %" PRIu64 " available %u outstanding %u hw %" PRIu64 "\n", id,
			info.slot, info.packets.received, info.packets.delivered,
			info.packets.waiting, info.memory.available, info.memory.outstanding,
			info.hardware.received);
		for (i = 0; i < VMQ_DROP_COUNT; i++)
			if (info.packets.drops[i] > 0)
				print_error("  %" PRIu64 " %s\n", info.packets.drops[i],
					vmq_drop_name((enum vmq_drop)i));
	}
	fail_msg("%" PRIu64 " were to be delivered", delivered);
}

bool
rules_are(void *arg)
{
	const struct waiting *w = arg;

	vmq_host_progress(w->f->host);
	return w->f->nic.n_rules == w->rules;
}

bool
changes_are(void *arg)
{
	const struct waiting *w = arg;

	vmq_host_progress(w->f->host);
	return w->f->changes >= w->changes;
}

void
on_change(void *arg, uint16_t id, enum vmq_status status, const struct vmq_error *err)
{
	struct fixture *f = arg;

	(void)id;
	f->changes++;
	if (status != VMQ_STATUS_SUCCESS) {
		f->failed_changes++;
		f->err = *err;
	}
}

void
on_freed(void *arg, uint16_t id, enum vmq_status status)
{
	struct fixture *f = arg;

	(void)id;
	assert_int_equal(status, VMQ_STATUS_SUCCESS);
	f->freed++;
}

bool
is_freed(void *arg)
{
	const struct waiting *w = arg;

	vmq_host_progress(w->f->host);
	return w->f->freed >= w->changes;
}

/* Numbers of the frames in a capture file, in order. Returns how many. */
unsigned int
read_numbers(const char *name, uint32_t *numbers, unsigned int max)
{
	char file[32];
	char *path;
	uint8_t *bytes;
	size_t size, at;
	unsigned int n = 0;
	uint32_t length;

	snprintf(file, sizeof(file), "%s.pcap", name);
	path = unit_path(file);
	bytes = unit_read_file(path, &size);
	for (at = 24; at + 16 <= size; at += 16 + length) {
		const uint8_t *frame = bytes + at + 16;

		memcpy(&length, bytes + at + 8, sizeof(length));
		assert_true(n < max);
		/* The tag is out of band: the file has it, too. */
		memcpy(&numbers[n++], frame + (frame[12] == 0x81 ? 18 : 14), sizeof(*numbers));
	}
	free(bytes);
	free(path);
	return n;
}

/* Has a VM's file the frames first to last - 1, each once and in order? */
void
assert_file(const char *name, uint32_t first, uint32_t last)
{
	uint32_t *numbers = calloc(1 << 20, sizeof(*numbers));
	unsigned int n = read_numbers(name, numbers, 1 << 20), i;

	for (i = 0; i < n; i++)
		if (numbers[i] != first + i)
			fail_msg("%s: frame %u is number %u, not %u", name, i, numbers[i], first + i);
	assert_int_equal(n, last - first);
	free(numbers);
}
