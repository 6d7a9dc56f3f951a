/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * A NIC that steers, without one: net_ring has 16 Rx queues, each fed by the Tx queue of
 * its number. The test is the wire and the NIC: it looks a frame up in the rules that a
 * driver of its own was given, and puts it into that queue, in a buffer of that queue's
 * memory.
 */

#include "unit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_errno.h>
#include <rte_ethdev.h>

#include <vmq_queue.h>

#define BUFFERS 1024
#define BUFFER_SIZE 512
#define DESCRIPTORS 64
#define SLOTS 2
#define VMS 4
#define RULES_MAX 16
#define FRAME_BYTES 60

/* The rules of the NIC, and which call of its driver fails. */
struct nic {
	struct vmq_steer_request rules[RULES_MAX];
	unsigned int n_rules;
	unsigned int calls, fail_at;
	bool no_vlan; /* it takes no rules with a VLAN */
};

struct fixture {
	struct nic nic;
	struct vmq_host *host;
	struct vmq_adapter *adapter;
	unsigned int number; /* of the adapter */
	uint16_t port;
	struct vmq_error err;
	uint16_t ids[VMS];
	uint32_t filters[VMS];
	uint32_t sent[VMS]; /* frames to each VM */
	unsigned int changes, failed_changes, freed;
};

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
	assert_int_not_equal(i, -1);
	if (++nic->calls == nic->fail_at)
		return vmq_error_errno(err, EIO, "not now, says the NIC");
	nic->rules[i] = nic->rules[--nic->n_rules];
	return 0;
}

static const struct vmq_steer_ops nic_ops = {
	.steering = VMQ_STEERING_FLOW, .add = nic_add, .del = nic_del};

/* The queue that the NIC puts a frame into. */
static uint16_t
nic_steer(const struct nic *nic, const uint8_t *frame)
{
	const uint16_t vlan = frame[12] == 0x81 ? (uint16_t)(frame[14] << 8 | frame[15]) : 0;
	int i = nic_find(nic, VMQ_STEER_MAC_VLAN, frame, vlan & 0xfff);

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

static void
make_adapter(struct fixture *f, uint16_t slots)
{
	static unsigned int number;
	char device[64];
	struct vmq_adapter_params params = {
		.name = "unit",
		.port = {.device = device, .rx_descriptors = DESCRIPTORS, .tx_queues = SLOTS + 1,
			.mtu = 1500},
		.hardware = {.steering = VMQ_STEERING_FLOW, .slots = slots,
			.rx_descriptors = DESCRIPTORS, .buffer_size = BUFFER_SIZE,
			.limit = 4 * BUFFERS, .ops = &nic_ops, .ops_arg = &f->nic},
		.default_queue = params_of("default", 0),
	};

	snprintf(device, sizeof(device), "net_ring_hw%u", number++);
	params.default_queue.memory.buffers = vmq_adapter_min_buffers(DESCRIPTORS) + BUFFERS;
	params.default_queue.memory.limit = params.default_queue.memory.buffers;
	f->adapter = vmq_adapter_start(f->host, &params, &f->err);
}

static int
set_up(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	f.host = vmq_host_create(unit_lcores, UNIT_WORKERS);
	assert_non_null(f.host);
	make_adapter(&f, SLOTS);
	if (f.adapter == NULL)
		fail_msg("%s", f.err.text);
	f.port = (uint16_t)rte_eth_find_next(0);
	*state = &f;
	return 0;
}

static int
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

static struct rte_mempool *
pool_of(const char *name)
{
	char full[RTE_MEMPOOL_NAMESIZE];
	struct rte_mempool *pool;

	snprintf(full, sizeof(full), "vmq_a0_%s_rx", name);
	pool = rte_mempool_lookup(full);
	assert_non_null(pool);
	return pool;
}

static void
nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
}

static struct rte_mempool *
ring_pool(uint16_t rx_queue)
{
	char name[8];

	snprintf(name, sizeof(name), rx_queue == 0 ? "q0" : "s%d", rx_queue - 1);
	return pool_of(name);
}

static bool
is_low(uint16_t rx_queue)
{
	struct rte_mempool *pool = ring_pool(rx_queue);

	return rte_mempool_get_ops(pool->ops_index)->get_count(pool) < 3 * DESCRIPTORS;
}

/* Put a frame into an Rx queue of the NIC. */
static void
nic_receive(struct fixture *f, uint16_t rx_queue, const uint8_t *frame, uint16_t length)
{
	struct rte_mempool *pool = ring_pool(rx_queue);
	struct rte_mbuf *packet;
	unsigned int naps = 0;

	/* A NIC has no cache. */
	while (is_low(rx_queue) || rte_mempool_generic_get(pool, (void **)&packet, 1, NULL) < 0) {
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

static void
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
static void
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
	for (naps = 0; is_low(nic_steer(&f->nic, frame)); naps++) {
		assert_true(naps < 100000);
		nap();
		vmq_host_progress(f->host);
	}
	nic_receive(f, nic_steer(&f->nic, frame), frame, sizeof(frame));
}

static uint16_t
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

static void
set_filter(struct fixture *f, unsigned int vm, uint16_t vlan)
{
	const struct vmq_filter_match match = {.has_mac = true,
		.mac = {{2, 0, 0, 0, 0, (uint8_t)(vm + 1)}},
		.vlan_test = vlan != 0 ? VMQ_VLAN_ID : VMQ_VLAN_ANY, .vlan_id = vlan};

	assert_int_equal(vmq_queue_set_filter(f->adapter, f->ids[vm], &match, &f->filters[vm],
		&f->err), VMQ_STATUS_SUCCESS);
}

static void
complete(struct fixture *f, unsigned int vm)
{
	struct vmq_queue_completion item = {.id = f->ids[vm]};

	if (vmq_queue_complete(f->adapter, &item, 1, NULL, NULL) != VMQ_STATUS_SUCCESS)
		fail_msg("%s", item.error.text);
}

static struct vmq_queue_info
info_of(struct fixture *f, uint16_t id)
{
	struct vmq_queue_info info;

	assert_true(vmq_queue_info_get(f->adapter, id, &info));
	return info;
}

struct waiting {
	struct fixture *f;
	uint64_t delivered;
	unsigned int rules, changes;
};

static bool
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

static void
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

static bool
rules_are(void *arg)
{
	const struct waiting *w = arg;

	vmq_host_progress(w->f->host);
	return w->f->nic.n_rules == w->rules;
}

static bool
changes_are(void *arg)
{
	const struct waiting *w = arg;

	vmq_host_progress(w->f->host);
	return w->f->changes >= w->changes;
}

static void
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

static void
on_freed(void *arg, uint16_t id, enum vmq_status status)
{
	struct fixture *f = arg;

	(void)id;
	assert_int_equal(status, VMQ_STATUS_SUCCESS);
	f->freed++;
}

static bool
is_freed(void *arg)
{
	const struct waiting *w = arg;

	vmq_host_progress(w->f->host);
	return w->f->freed >= w->changes;
}

/* Numbers of the frames in a capture file, in order. Returns how many. */
static unsigned int
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
static void
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

static void
frames_go_by_the_nic_into_their_vms_memory(void **state)
{
	struct fixture *f = *state;
	struct waiting w = {.f = f};
	struct vmq_queue_info info;
	unsigned int vm, i;

	for (vm = 0; vm < 3; vm++) {
		allocate(f, vm, (uint16_t)(vm % UNIT_WORKERS), 0);
		set_filter(f, vm, 5);
		complete(f, vm);
	}
	/* Without workers nothing moves: the rules are there at once. */
	assert_int_equal(f->nic.n_rules, 2);
	assert_int_equal(info_of(f, f->ids[0]).slot, 0);
	assert_int_equal(info_of(f, f->ids[1]).slot, 1);
	info = info_of(f, f->ids[2]);
	assert_int_equal(info.slot, -1);
	assert_non_null(strstr(info.hardware_why, "all 2 hardware queues are taken"));
	assert_int_equal(vmq_host_start(f->host), 0);
	for (i = 0; i < 3000; i++)
		for (vm = 0; vm < 3; vm++)
			wire_brings(f, vm, 5);
	w.delivered = 9000;
	wait_delivered(f, w.delivered);
	for (vm = 0; vm < 3; vm++) {
		info = info_of(f, f->ids[vm]);
		assert_int_equal(info.packets.received, 3000);
		assert_int_equal(info.hardware.confirmed, vm < 2 ? 3000 : 0);
		assert_int_equal(info.hardware.misplaced, 0);
	}
	vmq_host_stop(f->host);
	vmq_adapter_halt(f->adapter);
	for (vm = 0; vm < 3; vm++)
		assert_file(vm == 0 ? "vm0" : vm == 1 ? "vm1" : "vm2", 0, 3000);
}

/* The NIC looks at MACs only: software tells the VLANs apart, whatever ring they are in. */
static void
what_the_nic_does_not_test_software_does(void **state)
{
	struct fixture *f = *state;
	struct waiting w = {.f = f};
	uint8_t frame[FRAME_BYTES];
	unsigned int i;

	f->nic.no_vlan = true; /* found out with the first rule that is refused, too */
	allocate(f, 0, 1, 0);
	set_filter(f, 0, 5);
	complete(f, 0);
	allocate(f, 1, 0, 0);
	set_filter(f, 1, 6);
	complete(f, 1);
	assert_int_equal(vmq_host_start(f->host), 0);
	for (i = 0; i < 500; i++) {
		uint8_t group[FRAME_BYTES];

		make_frame(frame, 0, 5, i);
		nic_receive(f, 1, frame, sizeof(frame));
		make_frame(frame, 0, 7, i); /* another VLAN: nobody's */
		nic_receive(f, 1, frame, sizeof(frame));
		make_frame(frame, 1, 6, i); /* another VM's, in the wrong ring */
		nic_receive(f, 1, frame, sizeof(frame));
		make_frame(frame, 0, 0, i); /* untagged: nobody's */
		nic_receive(f, 1, frame, sizeof(frame));
		make_frame(group, 0, 0, i);
		memset(group, 0xff, 6);
		nic_receive(f, 2, group, sizeof(group));
	}
	w.delivered = 2500;
	wait_delivered(f, w.delivered);
	assert_int_equal(info_of(f, f->ids[0]).packets.received, 500);
	assert_int_equal(info_of(f, f->ids[1]).packets.received, 500);
	assert_int_equal(info_of(f, 0).packets.received, 1500);
	assert_int_equal(info_of(f, f->ids[0]).hardware.misplaced, 1500);
	assert_int_equal(info_of(f, f->ids[0]).packets.dropped, 0);
	vmq_host_stop(f->host);
	vmq_adapter_halt(f->adapter);
	assert_file("vm0", 0, 500);
	assert_file("vm1", 0, 500);
}

static void
change(struct fixture *f, unsigned int vm, bool promote)
{
	struct waiting w = {.f = f, .changes = f->changes + 1};
	unsigned int i, tries = 0;
	enum vmq_status status;

	for (;;) {
		status = promote
			? vmq_queue_promote(f->adapter, f->ids[vm], on_change, f, &f->err)
			: vmq_queue_demote(f->adapter, f->ids[vm], on_change, f, &f->err);
		/* Packets of its last change, or of the slot's last VM, are still out. */
		if ((status != VMQ_STATUS_NOT_ACCEPTED && status != VMQ_STATUS_RESOURCES) ||
			tries++ > 20000)
			break;
		for (i = 0; i < VMS; i++)
			wire_brings(f, i, 5);
		vmq_host_progress(f->host);
		nap();
	}
	if (status != VMQ_STATUS_PENDING)
		fail_msg("vm%u: %s", vm, f->err.text);
	while (!changes_are(&w))
		for (i = 0; i < VMS; i++)
			wire_brings(f, i, 5);
	if (f->failed_changes > 0)
		fail_msg("vm%u: %s", vm, f->err.text);
}

/* Everything at once: promote, demote and free slots under traffic, in order and whole. */
static void
promotion_and_demotion_lose_nothing_and_keep_the_order(void **state)
{
	struct fixture *f = *state;
	struct waiting w = {.f = f};
	unsigned int vm, round, i, in_hardware[SLOTS] = {0, 1};
	struct vmq_queue_info info;

	for (vm = 0; vm < VMS; vm++) {
		allocate(f, vm, (uint16_t)(vm % UNIT_WORKERS), 0);
		set_filter(f, vm, 5);
		complete(f, vm);
	}
	assert_int_equal(vmq_host_start(f->host), 0);
	for (round = 0; round < 30; round++) {
		const unsigned int which = unit_below(SLOTS);
		unsigned int other = unit_below(VMS);

		while (other == in_hardware[0] || other == in_hardware[1])
			other = (other + 1) % VMS;
		change(f, in_hardware[which], false);
		assert_int_equal(info_of(f, f->ids[in_hardware[which]]).slot, -1);
		change(f, other, true);
		in_hardware[which] = other;
		w.rules = SLOTS;
		for (i = 0; !rules_are(&w) && i < 100000; i++)
			for (vm = 0; vm < VMS; vm++)
				wire_brings(f, vm, 5);
		for (i = 0; i < 200; i++)
			for (vm = 0; vm < VMS; vm++)
				wire_brings(f, vm, 5);
	}
	for (vm = 0; vm < VMS; vm++)
		w.delivered += f->sent[vm];
	wait_delivered(f, w.delivered);
	for (vm = 0; vm < VMS; vm++) {
		info = info_of(f, f->ids[vm]);
		assert_int_equal(info.packets.dropped, 0);
		assert_int_equal(info.packets.received, f->sent[vm]);
	}
	assert_int_equal(info_of(f, 0).packets.received, 0);
	vmq_host_stop(f->host);
	vmq_adapter_halt(f->adapter);
	for (vm = 0; vm < VMS; vm++) {
		char name[8];

		snprintf(name, sizeof(name), "vm%u", vm);
		assert_file(name, 0, f->sent[vm]);
	}
}

/* A filter goes from queue to queue: each frame is with the one or with the other. */
static void
moves_between_hardware_and_software_lose_nothing(void **state)
{
	struct fixture *f = *state;
	struct waiting w = {.f = f};
	uint32_t *numbers = calloc(1 << 20, sizeof(*numbers)), *at;
	unsigned int vm, round, i, n, total = 0, where = 0, tries = 0;
	enum vmq_status status;
	uint8_t *seen;

	/* A second filter each, so that they stay running: 0 and 1 in hardware. */
	for (vm = 0; vm < 3; vm++) {
		allocate(f, vm, (uint16_t)(vm % UNIT_WORKERS), 0);
		set_filter(f, vm, 5);
		complete(f, vm);
	}
	f->ids[3] = f->ids[0];
	set_filter(f, 3, 5);
	assert_int_equal(vmq_host_start(f->host), 0);
	for (round = 0; round < 60; round++) {
		const unsigned int to = (where + 1 + unit_below(2)) % 3;

		for (i = 0; i < 50 + unit_below(200); i++)
			wire_brings(f, 3, 5);
		/* The last change of rules waits for workers, which may share one CPU here. */
		do {
			status = vmq_queue_move_filter(f->adapter, f->filters[3], f->ids[where],
				f->ids[to], &f->err);
			vmq_host_progress(f->host);
		} while (status == VMQ_STATUS_NOT_ACCEPTED && tries++ < 1000);
		assert_int_equal(status, VMQ_STATUS_SUCCESS);
		where = to;
		for (i = 0; i < unit_below(300); i++) {
			wire_brings(f, 3, 5);
			vmq_host_progress(f->host);
		}
	}
	w.delivered = f->sent[3];
	wait_delivered(f, w.delivered);
	assert_int_equal(info_of(f, 0).packets.received, 0);
	vmq_host_stop(f->host);
	vmq_adapter_halt(f->adapter);
	seen = calloc(f->sent[3], 1);
	for (vm = 0; vm < 3; vm++) {
		char name[8];

		snprintf(name, sizeof(name), "vm%u", vm);
		n = read_numbers(name, numbers, 1 << 20);
		for (at = numbers; at < numbers + n; at++) {
			assert_true(*at < f->sent[3] && !seen[*at]); /* once */
			seen[*at] = 1;
			assert_true(at == numbers || at[-1] < *at); /* in order in its queue */
		}
		total += n;
	}
	assert_int_equal(total, f->sent[3]);
	free(seen);
	free(numbers);
}

/* A VM never gets a frame from before its time, whatever is left in the slot's ring. */
static void
slots_are_used_again_and_again(void **state)
{
	struct fixture *f = *state;
	struct vmq_queue_info info;
	struct waiting w = {.f = f};
	uint8_t frame[FRAME_BYTES];
	unsigned int round, i;
	struct vmq_error err;

	assert_int_equal(vmq_host_start(f->host), 0);
	for (round = 0; round < 100; round++) {
		const unsigned int vm = round % 3;

		allocate(f, vm, (uint16_t)(round % UNIT_WORKERS), 0);
		set_filter(f, vm, 0);
		complete(f, vm);
		info = info_of(f, f->ids[vm]);
		assert_int_not_equal(info.slot, -1);
		w.rules = 1;
		assert_true(unit_wait(rules_are, &w));
		f->sent[vm] = 0;
		for (i = 0; i < 50; i++)
			wire_brings(f, vm, 0);
		assert_int_equal(vmq_queue_clear_filter(f->adapter, f->filters[vm], &err),
			VMQ_STATUS_SUCCESS);
		/* What the NIC had on its way: dropped, and never another VM's. */
		for (i = 0; i < 10; i++) {
			make_frame(frame, vm, 0, 1000000);
			nic_receive(f, (uint16_t)(1 + info.slot), frame, sizeof(frame));
		}
		assert_int_equal(vmq_queue_free(f->adapter, f->ids[vm], on_freed, f, &err),
			VMQ_STATUS_PENDING);
		w.changes = round + 1;
		assert_true(unit_wait(is_freed, &w));
		assert_int_equal(f->nic.n_rules, 0);
	}
	/* The parked pools have given back what the last VMs had: it was all at home. */
	for (i = 0; i < 50000 && rte_mempool_lookup("vmq_a0_s0_rx")->populated_size > 200; i++) {
		vmq_host_progress(f->host);
		nap();
		nap();
	}
	assert_true(pool_of("s0")->populated_size <= 200);
}

/* Whatever the NIC refuses, and when: all frames arrive, and it says why. */
static void
rules_that_fail_leave_software_to_steer(void **state)
{
	struct fixture *f = *state;
	struct waiting w = {.f = f};
	unsigned int n, vm, i, refused = 0;

	for (vm = 0; vm < 2; vm++)
		allocate(f, vm, (uint16_t)vm, 0);
	assert_int_equal(vmq_host_start(f->host), 0);
	for (n = 1; n <= 5; n++) {
		uint32_t extra;
		const struct vmq_filter_match match = {.has_mac = true, .mac = {{2, 0, 0, 0, 0, 77}}};

		f->nic.calls = 0;
		f->nic.fail_at = n;
		for (vm = 0; vm < 2; vm++) {
			set_filter(f, vm, 5);
			if (n == 1)
				complete(f, vm);
		}
		assert_int_equal(vmq_queue_set_filter(f->adapter, f->ids[0], &match, &extra,
			&f->err), VMQ_STATUS_SUCCESS);
		for (i = 0; i < 300; i++) {
			wire_brings(f, 0, 5);
			wire_brings(f, 1, 5);
			vmq_host_progress(f->host);
		}
		for (vm = 0; vm < 2; vm++)
			refused += strstr(info_of(f, f->ids[vm]).rule_why, "says the NIC") != NULL;
		w.delivered += 600;
		wait_delivered(f, w.delivered);
		for (vm = 0; vm < 2; vm++)
			vmq_queue_clear_filter(f->adapter, f->filters[vm], &f->err);
		vmq_queue_clear_filter(f->adapter, extra, &f->err);
		f->nic.fail_at = 0;
		for (i = 0; i < 100 && f->nic.n_rules > 0; i++) {
			vmq_host_progress(f->host);
			nap();
		}
	}
	assert_true(refused > 0);
	for (vm = 0; vm < 2; vm++)
		assert_int_equal(info_of(f, f->ids[vm]).packets.dropped, 0);
}

/* A worker that has seen a queue stopped is done with it before new frames come. */
static void
a_queue_that_runs_again_gets_all_that_comes_then(void **state)
{
	struct fixture *f = *state;
	struct waiting w = {.f = f};
	unsigned int round, vm, i;

	for (vm = 0; vm < 2; vm++)
		allocate(f, vm, (uint16_t)(UNIT_WORKERS - 1), 0);
	assert_int_equal(vmq_host_start(f->host), 0);
	for (round = 0; round < 150; round++) {
		for (vm = 0; vm < 2; vm++) {
			set_filter(f, vm, 5);
			if (round == 0)
				complete(f, vm);
		}
		for (i = 0; i < 40; i++)
			for (vm = 0; vm < 2; vm++)
				wire_brings(f, vm, 5);
		w.delivered += 80;
		wait_delivered(f, w.delivered);
		for (vm = 0; vm < 2; vm++)
			assert_int_equal(vmq_queue_clear_filter(f->adapter, f->filters[vm],
				&f->err), VMQ_STATUS_SUCCESS);
		w.rules = 0;
		assert_true(unit_wait(rules_are, &w));
	}
	for (vm = 0; vm < 2; vm++)
		assert_int_equal(info_of(f, f->ids[vm]).packets.dropped, 0);
}

static void
priority_says_who_gets_hardware_first(void **state)
{
	struct fixture *f = *state;
	struct waiting w = {.f = f};
	unsigned int vm, i;

	for (vm = 0; vm < VMS; vm++)
		allocate(f, vm, 0, (uint8_t)(vm == 3 ? 9 : vm));
	assert_int_equal(info_of(f, f->ids[0]).slot, -1);
	assert_int_equal(info_of(f, f->ids[1]).slot, -1);
	assert_int_not_equal(info_of(f, f->ids[2]).slot, -1);
	assert_int_not_equal(info_of(f, f->ids[3]).slot, -1);
	for (vm = 0; vm < VMS; vm++) {
		set_filter(f, vm, 5);
		complete(f, vm);
	}
	assert_int_equal(vmq_host_start(f->host), 0);
	/* A slot that is free again goes to the busiest of the highest priority. */
	assert_int_equal(vmq_queue_demote(f->adapter, f->ids[3], on_change, f, &f->err),
		VMQ_STATUS_PENDING);
	for (i = 0; i < 30000 && info_of(f, f->ids[1]).slot < 0; i++) {
		wire_brings(f, 0, 5);
		wire_brings(f, 1, 5);
		vmq_host_progress(f->host);
		nap();
	}
	assert_int_not_equal(info_of(f, f->ids[1]).slot, -1);
	assert_int_equal(info_of(f, f->ids[0]).slot, -1);
	assert_int_equal(info_of(f, f->ids[3]).slot, -1);
	assert_int_equal(vmq_queue_promote(f->adapter, f->ids[3], on_change, f, &f->err),
		VMQ_STATUS_RESOURCES);
	assert_int_equal(vmq_queue_demote(f->adapter, f->ids[0], on_change, f, &f->err),
		VMQ_STATUS_NOT_ACCEPTED);
	w.delivered = f->sent[0] + f->sent[1];
	wait_delivered(f, w.delivered);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(frames_go_by_the_nic_into_their_vms_memory, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(what_the_nic_does_not_test_software_does, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			promotion_and_demotion_lose_nothing_and_keep_the_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(moves_between_hardware_and_software_lose_nothing,
			set_up, tear_down),
		cmocka_unit_test_setup_teardown(slots_are_used_again_and_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rules_that_fail_leave_software_to_steer, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(a_queue_that_runs_again_gets_all_that_comes_then,
			set_up, tear_down),
		cmocka_unit_test_setup_teardown(priority_says_who_gets_hardware_first, set_up,
			tear_down),
	};

	return cmocka_run_group_tests(tests, unit_start, unit_stop);
}
