/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * What a driver is told of its Rx rings, and what it makes of it: the linker puts the test
 * between the port and DPDK, because net_ring has no rings of a NIC's kind. See hw_bed.h.
 */

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>

#include "hw_bed.h"

#define RINGS (SLOTS + 1)
#define RINGS_MAX 16

struct ring {
	struct rte_eth_rxconf conf;
	unsigned int setups;
	struct rte_mempool *pool;
	atomic_bool running;
	struct rte_mbuf *buffers[DESCRIPTORS];
};

/* A driver whose stopped rings have no buffers; and in what it may be another one. */
static struct {
	bool no_drop; /* it refuses to be told of dropping */
	bool no_deferring; /* it refuses to be told not to start a ring */
	bool starts_all; /* it is told, and starts it */
	bool no_switch; /* it starts and stops all of them or none */
	bool refuses_stop;
	bool keeps_buffers; /* of a ring that is stopped */
	unsigned int fail_start, fail_stop; /* the n-th call */
	uint16_t vmdq_queues, vmdq_base; /* 0: no VMDq */
	const char *name; /* NULL: its own */
	struct rte_eth_conf conf; /* that it was told last */
	struct ring rings[RINGS_MAX];
	unsigned int lost; /* packets in a ring when it was stopped */
	atomic_uint wrong_polls; /* of a ring that is stopped */
} driver;

int __real_rte_eth_rx_queue_setup(uint16_t port_id, uint16_t queue_id, uint16_t descriptors,
	unsigned int socket_id, const struct rte_eth_rxconf *conf, struct rte_mempool *pool);
int __wrap_rte_eth_rx_queue_setup(uint16_t port_id, uint16_t queue_id, uint16_t descriptors,
	unsigned int socket_id, const struct rte_eth_rxconf *conf, struct rte_mempool *pool);
int __real_rte_eth_dev_info_get(uint16_t port_id, struct rte_eth_dev_info *info);
int __wrap_rte_eth_dev_info_get(uint16_t port_id, struct rte_eth_dev_info *info);
int __real_rte_eth_dev_configure(uint16_t port_id, uint16_t rx_queues, uint16_t tx_queues,
	const struct rte_eth_conf *conf);
int __wrap_rte_eth_dev_configure(uint16_t port_id, uint16_t rx_queues, uint16_t tx_queues,
	const struct rte_eth_conf *conf);
int __real_rte_eth_dev_start(uint16_t port_id);
int __wrap_rte_eth_dev_start(uint16_t port_id);
int __real_rte_eth_dev_stop(uint16_t port_id);
int __wrap_rte_eth_dev_stop(uint16_t port_id);
int __wrap_rte_eth_dev_rx_queue_start(uint16_t port_id, uint16_t queue_id);
int __wrap_rte_eth_dev_rx_queue_stop(uint16_t port_id, uint16_t queue_id);

int
__wrap_rte_eth_rx_queue_setup(uint16_t port_id, uint16_t queue_id, uint16_t descriptors,
	unsigned int socket_id, const struct rte_eth_rxconf *conf, struct rte_mempool *pool)
{
	struct ring *ring = &driver.rings[queue_id];

	assert_true(queue_id < RINGS_MAX);
	assert_false(ring->running);
	if (conf != NULL && ((conf->rx_drop_en && driver.no_drop) ||
		(conf->rx_deferred_start && driver.no_deferring)))
		return -EINVAL;
	ring->conf = conf != NULL ? *conf : (struct rte_eth_rxconf){0};
	ring->setups++;
	ring->pool = pool;
	return __real_rte_eth_rx_queue_setup(port_id, queue_id, descriptors, socket_id, conf, pool);
}

int
__wrap_rte_eth_dev_info_get(uint16_t port_id, struct rte_eth_dev_info *info)
{
	int ret = __real_rte_eth_dev_info_get(port_id, info);

	if (ret < 0 || driver.vmdq_queues == 0)
		return ret;
	info->max_mac_addrs = 128;
	info->max_vmdq_pools = driver.vmdq_queues / 4;
	info->vmdq_queue_num = driver.vmdq_queues;
	info->vmdq_queue_base = driver.vmdq_base;
	if (driver.name != NULL)
		info->driver_name = driver.name;
	return 0;
}

int
__wrap_rte_eth_dev_configure(uint16_t port_id, uint16_t rx_queues, uint16_t tx_queues,
	const struct rte_eth_conf *conf)
{
	driver.conf = *conf;
	if (driver.name != NULL)
		return -EIO; /* enough was seen */
	return __real_rte_eth_dev_configure(port_id, rx_queues, tx_queues, conf);
}

static int
fill(struct ring *ring)
{
	if (ring->running)
		return 0;
	if (ring->buffers[0] == NULL &&
		rte_pktmbuf_alloc_bulk(ring->pool, ring->buffers, DESCRIPTORS) < 0)
		return -1; /* as ixgbe does */
	ring->running = true;
	return 0;
}

static void
empty(struct ring *ring)
{
	if (ring->buffers[0] != NULL)
		rte_pktmbuf_free_bulk(ring->buffers, DESCRIPTORS);
	ring->buffers[0] = NULL;
	ring->running = false;
}

int
__wrap_rte_eth_dev_rx_queue_start(uint16_t port_id, uint16_t queue_id)
{
	(void)port_id;
	if (driver.no_switch)
		return -ENOTSUP;
	if (driver.fail_start > 0 && --driver.fail_start == 0)
		return -EIO;
	return fill(&driver.rings[queue_id]);
}

int
__wrap_rte_eth_dev_rx_queue_stop(uint16_t port_id, uint16_t queue_id)
{
	struct ring *ring = &driver.rings[queue_id];
	struct rte_mbuf *packets[VMQ_BURST];
	uint16_t n;

	if (driver.no_switch)
		return -ENOTSUP;
	if (driver.refuses_stop || (driver.fail_stop > 0 && --driver.fail_stop == 0))
		return -EINVAL;
	if (ring->running) {
		n = rte_eth_rx_burst(port_id, queue_id, packets, VMQ_BURST);
		rte_pktmbuf_free_bulk(packets, n);
		driver.lost += n;
	}
	if (driver.keeps_buffers)
		ring->running = false;
	else
		empty(ring);
	return 0;
}

int
__wrap_rte_eth_dev_start(uint16_t port_id)
{
	int ret = __real_rte_eth_dev_start(port_id);
	unsigned int i;

	for (i = 0; i < RINGS_MAX && ret == 0; i++)
		if (driver.rings[i].pool != NULL &&
			(driver.starts_all || !driver.rings[i].conf.rx_deferred_start))
			ret = fill(&driver.rings[i]);
	return ret;
}

int
__wrap_rte_eth_dev_stop(uint16_t port_id)
{
	unsigned int i;

	for (i = 0; i < RINGS_MAX; i++)
		empty(&driver.rings[i]);
	return __real_rte_eth_dev_stop(port_id);
}

/* On a worker, for each poll. */
static uint16_t
on_poll(uint16_t port_id, uint16_t queue_id, struct rte_mbuf **packets, uint16_t n, uint16_t max,
	void *arg)
{
	(void)port_id;
	(void)packets;
	(void)max;
	(void)arg;
	if (!driver.rings[queue_id].running)
		atomic_fetch_add(&driver.wrong_polls, 1);
	return n;
}

static int
set_up_driver(void **state)
{
	memset(&driver, 0, sizeof(driver));
	*state = NULL;
	return 0;
}

static int
tear_down_driver(void **state)
{
	const int ret = *state != NULL ? tear_down(state) : 0;

	assert_int_equal(driver.lost, 0);
	assert_int_equal(driver.wrong_polls, 0);
	return ret;
}

static struct fixture *
start_nic(void **state, const struct nic *nic)
{
	struct fixture *f = make_bed(nic);
	uint16_t i;

	*state = f;
	if (f->adapter == NULL)
		fail_msg("%s", f->err.text);
	for (i = 0; i < RINGS_MAX && driver.rings[i].setups > 0; i++)
		assert_non_null(rte_eth_add_rx_callback(f->port, i, on_poll, NULL));
	return f;
}

static struct fixture *
start_bed(void **state)
{
	return start_nic(state, &(struct nic){0});
}

static struct vmq_port_capabilities
port_of(struct fixture *f)
{
	struct vmq_adapter_capabilities can;

	vmq_adapter_capabilities_get(f->adapter, &can);
	return can.port;
}

/* Buffers that are out of a slot's memory. */
static unsigned int
out_of(const char *name)
{
	struct rte_mempool *pool = pool_of(name);

	return pool->populated_size - rte_mempool_avail_count(pool);
}

static void
make_vm(struct fixture *f, unsigned int vm)
{
	allocate(f, vm, (uint16_t)(vm % UNIT_WORKERS), 0);
	set_filter(f, vm, 5);
	complete(f, vm);
}

struct ring_is {
	struct fixture *f;
	unsigned int ring;
	bool running;
};

static bool
is_so(void *arg)
{
	const struct ring_is *is = arg;

	vmq_host_progress(is->f->host);
	return driver.rings[is->ring].running == is->running;
}

static void
wait_ring(struct fixture *f, unsigned int ring, bool running)
{
	struct ring_is is = {.f = f, .ring = ring, .running = running};

	assert_true(unit_wait(is_so, &is));
}

static void
clear_filter(struct fixture *f, unsigned int vm)
{
	assert_int_equal(vmq_queue_clear_filter(f->adapter, f->filters[vm], &f->err),
		VMQ_STATUS_SUCCESS);
}

static void
free_queue(struct fixture *f, unsigned int vm)
{
	struct waiting w = {.f = f, .changes = f->freed + 1};

	assert_int_equal(vmq_queue_free(f->adapter, f->ids[vm], on_freed, f, &f->err),
		VMQ_STATUS_PENDING);
	assert_true(unit_wait(is_freed, &w));
}

static void
free_vm(struct fixture *f, unsigned int vm)
{
	clear_filter(f, vm);
	free_queue(f, vm);
}

static void
a_full_ring_of_one_vm_drops_and_does_not_hold_up_others(void **state)
{
	unsigned int i;

	start_bed(state);
	for (i = 0; i < RINGS; i++)
		assert_true(driver.rings[i].conf.rx_drop_en);
}

/* With one ring there is nobody to hold up: the driver's way is kept. */
static void
a_port_with_one_ring_keeps_its_drivers_way(void **state)
{
	struct fixture *f = start_bed(state);

	vmq_adapter_halt(f->adapter);
	assert_int_equal(vmq_adapter_free(f->adapter), 0);
	memset(&driver, 0, sizeof(driver));
	make_adapter(f, 0);
	assert_non_null(f->adapter);
	assert_int_equal(driver.rings[0].setups, 1);
	assert_false(driver.rings[0].conf.rx_drop_en);
}

static void
a_driver_that_knows_no_dropping_is_used_as_it_is(void **state)
{
	struct fixture *f;
	unsigned int i;

	driver.no_drop = true;
	f = start_bed(state);
	for (i = 0; i < RINGS; i++) {
		assert_int_equal(driver.rings[i].setups, 1);
		assert_false(driver.rings[i].conf.rx_drop_en);
	}
	allocate(f, 0, 0, 0);
	set_filter(f, 0, 5);
	complete(f, 0);
	assert_int_equal(info_of(f, f->ids[0]).slot, 0);
}

static void
a_slots_ring_runs_only_while_a_vm_has_it(void **state)
{
	struct fixture *f = start_bed(state);
	struct vmq_queue_info info;
	uint8_t frame[FRAME_BYTES];
	unsigned int round, i;

	assert_true(port_of(f).deferred_start);
	assert_true(driver.rings[0].running);
	assert_false(driver.rings[1].running || driver.rings[2].running);
	assert_int_equal(out_of("s0") + out_of("s1"), 0);
	assert_int_equal(vmq_host_start(f->host), 0);
	for (round = 1; round <= 40; round++) {
		const uint64_t before = info_of(f, 0).packets.received;

		make_vm(f, 0);
		info = info_of(f, f->ids[0]);
		assert_int_not_equal(info.slot, -1);
		assert_true(driver.rings[info.slot + 1].running);
		f->sent[0] = 0;
		for (i = 0; i < 50; i++)
			wire_brings(f, 0, 5);
		/* Some are on their way when it goes. */
		for (i = 0; i < 10; i++) {
			make_frame(frame, 0, 5, 1000000);
			nic_receive(f, (uint16_t)(info.slot + 1), frame, sizeof(frame));
		}
		free_vm(f, 0);
		wait_ring(f, (unsigned int)info.slot + 1, false);
		assert_true(info_of(f, 0).packets.received - before <= 10);
	}
	while (out_of("s0") + out_of("s1") > 0)
		vmq_host_progress(f->host);
}

static void
a_ring_that_does_not_start_fails_the_completion_and_nothing_stays(void **state)
{
	struct fixture *f = start_bed(state);
	struct vmq_queue_completion item = {0};

	allocate(f, 0, 0, 0);
	set_filter(f, 0, 5);
	item.id = f->ids[0];
	driver.fail_start = 1;
	assert_int_equal(vmq_queue_complete(f->adapter, &item, 1, NULL, NULL), VMQ_STATUS_FAILURE);
	assert_non_null(strstr(item.error.text, "its hardware queue does not start"));
	assert_non_null(strstr(item.error.text, "Input/output error"));
	assert_int_equal(info_of(f, f->ids[0]).state, VMQ_QUEUE_SET);
	assert_int_equal(out_of("s0"), 0);
	assert_int_equal(f->nic.n_rules, 0);
	complete(f, 0); /* the second time it does */
	assert_int_equal(f->nic.n_rules, 1);
	assert_true(driver.rings[1].running);
	assert_int_equal(vmq_host_start(f->host), 0);
	wire_brings(f, 0, 5);
	wait_delivered(f, 1);
}

static void
a_ring_that_does_not_start_leaves_a_queue_in_software(void **state)
{
	struct fixture *f = start_bed(state);
	struct waiting w = {.f = f, .changes = 1};
	unsigned int i;

	make_vm(f, 0);
	assert_int_equal(vmq_host_start(f->host), 0);
	assert_int_equal(vmq_queue_demote(f->adapter, f->ids[0], on_change, f, &f->err),
		VMQ_STATUS_PENDING);
	assert_true(unit_wait(changes_are, &w));
	wait_ring(f, 1, false);
	driver.fail_start = 1;
	while (vmq_queue_promote(f->adapter, f->ids[0], on_change, f, &f->err) !=
		VMQ_STATUS_PENDING)
		vmq_host_progress(f->host);
	w.changes = 2;
	assert_true(unit_wait(changes_are, &w));
	assert_int_equal(f->failed_changes, 1);
	assert_non_null(strstr(f->err.text, "its hardware queue does not start"));
	assert_int_equal(info_of(f, f->ids[0]).slot, -1);
	assert_non_null(strstr(info_of(f, f->ids[0]).hardware_why, "does not start"));
	for (i = 0; i < 100; i++)
		wire_brings(f, 0, 5);
	wait_delivered(f, 100);
	while (vmq_queue_promote(f->adapter, f->ids[0], on_change, f, &f->err) !=
		VMQ_STATUS_PENDING)
		vmq_host_progress(f->host);
	w.changes = 3;
	assert_true(unit_wait(changes_are, &w));
	assert_int_equal(f->failed_changes, 1);
	for (i = 0; i < 100; i++)
		wire_brings(f, 0, 5);
	wait_delivered(f, 200);
}

/* It runs on, and the next VM has it as it is. */
static void
a_ring_that_does_not_stop_runs_on(void **state)
{
	struct fixture *f = start_bed(state);

	make_vm(f, 0);
	assert_int_equal(vmq_host_start(f->host), 0);
	driver.fail_stop = 1;
	free_vm(f, 0);
	while (driver.fail_stop > 0)
		vmq_host_progress(f->host);
	assert_true(driver.rings[1].running);
	make_vm(f, 0);
	assert_int_equal(info_of(f, f->ids[0]).slot, 0);
	wire_brings(f, 0, 5);
	wait_delivered(f, 1);
	free_vm(f, 0);
	wait_ring(f, 1, false); /* tried again */
}

/* Also those that VMs take while the port is being reset. */
static void
a_reset_has_the_same_rings_run_again(void **state)
{
	struct fixture *f = start_bed(state);
	struct vmq_port_health health;
	uint64_t sent = 0;
	unsigned int round;

	make_vm(f, 0);
	assert_int_equal(vmq_host_start(f->host), 0);
	for (round = 1; round <= 4; round++) {
		assert_int_equal(vmq_adapter_reset_port(f->adapter, &f->err), VMQ_STATUS_PENDING);
		if (round == 3) {
			make_vm(f, 1);
			driver.fail_start = 2; /* it is tried again */
		}
		do {
			vmq_host_progress(f->host);
			vmq_adapter_port_health(f->adapter, &health);
		} while (health.state != VMQ_PORT_RUNS);
		assert_true(driver.rings[0].running && driver.rings[1].running);
		assert_true(driver.rings[2].running == (round >= 3));
		wire_brings(f, 0, 5);
		if (round >= 3)
			wire_brings(f, 1, 5);
		sent += round >= 3 ? 2 : 1;
		wait_delivered(f, sent);
	}
	assert_int_equal(health.resets, 4);
}

static void
drivers_that_cannot_stop_rings_are_found_out(void **state)
{
	static const struct {
		const char *why;
		bool no_deferring, starts_all, no_switch, refuses_stop, keeps_buffers;
		unsigned int fail_start, fail_stop;
	} kinds[] = {
		{.why = "", .starts_all = true}, /* i40e */
		{.why = "refuses a deferred start", .no_deferring = true},
		{.why = "refuses a deferred start", .no_deferring = true, .no_switch = true},
		{.why = "stops no Rx queue: Operation not supported", .starts_all = true,
			.no_switch = true}, /* igb */
		{.why = "stops no Rx queue: Invalid argument", .starts_all = true,
			.refuses_stop = true}, /* mlx5 */
		{.why = "keeps the buffers", .keeps_buffers = true, .starts_all = true}, /* net_tap */
		{.why = "does not start one again: Input/output error", .fail_start = 1},
		{.why = "does not stop one again: Invalid argument", .fail_stop = SLOTS + 1},
	};
	unsigned int i, ring;
	struct fixture *f;

	for (i = 0; i < RTE_DIM(kinds); i++) {
		const bool can = kinds[i].why[0] == '\0';

		memset(&driver, 0, sizeof(driver));
		driver.no_deferring = kinds[i].no_deferring;
		driver.starts_all = kinds[i].starts_all;
		driver.no_switch = kinds[i].no_switch;
		driver.refuses_stop = kinds[i].refuses_stop;
		driver.keeps_buffers = kinds[i].keeps_buffers;
		driver.fail_start = kinds[i].fail_start;
		driver.fail_stop = kinds[i].fail_stop;
		f = start_bed(state);
		assert_int_equal(port_of(f).deferred_start, can);
		if (strstr(port_of(f).why_no_deferred_start, kinds[i].why) == NULL)
			fail_msg("\"%s\", not \"%s\"", port_of(f).why_no_deferred_start,
				kinds[i].why);
		for (ring = 0; ring < RINGS; ring++)
			assert_int_equal(driver.rings[ring].running, ring == 0 || !can);
		make_vm(f, 0);
		assert_int_equal(vmq_host_start(f->host), 0);
		wire_brings(f, 0, 5);
		wait_delivered(f, 1);
		free_vm(f, 0);
		tear_down(state);
		*state = NULL;
		assert_int_equal(driver.lost, 0);
		assert_int_equal(driver.wrong_polls, 0);
	}
}

/* VMDq pools of four Rx queues: frames come by all of them. */
static void
a_vm_gets_what_comes_by_all_rings_of_its_pool(void **state)
{
	struct fixture *f;
	uint32_t *numbers = calloc(1 << 16, sizeof(*numbers)), next[2][4] = {0};
	struct vmq_queue_info info;
	uint8_t frame[FRAME_BYTES];
	unsigned int vm, ring, i, n;
	char name[8];

	driver.vmdq_queues = 16;
	f = start_nic(state, &(struct nic){.vmdq = true, .per_pool = 4, .first = 4,
		.no_vlan = true});
	assert_int_equal(driver.conf.rxmode.mq_mode, RTE_ETH_MQ_RX_VMDQ_ONLY);
	assert_int_equal(driver.conf.rx_adv_conf.vmdq_rx_conf.nb_queue_pools, 4);
	for (ring = 0; ring < 12; ring++) {
		assert_int_equal(driver.rings[ring].setups, 1);
		snprintf(name, sizeof(name), ring < 4 ? "q0" : "s%u", ring / 4 - 1);
		assert_ptr_equal(driver.rings[ring].pool, pool_of(name));
		assert_int_equal(driver.rings[ring].running, ring < 4);
	}
	for (vm = 0; vm < 2; vm++)
		make_vm(f, vm);
	for (ring = 0; ring < 12; ring++)
		assert_true(driver.rings[ring].running);
	assert_int_equal(f->nic.rules[0].slot->pool, 1);
	assert_int_equal(f->nic.rules[1].slot->pool, 2);
	assert_int_equal(vmq_host_start(f->host), 0);
	for (i = 0; i < 2000; i++) {
		vm = unit_below(2);
		ring = unit_below(4);
		make_frame(frame, vm, 5, ring << 16 | next[vm][ring]++);
		nic_receive(f, (uint16_t)(4 + 4 * vm + ring), frame, sizeof(frame));
	}
	wait_delivered(f, 2000);
	/* What is on its way in any of them when the VM goes is nobody's. */
	clear_filter(f, 0);
	for (ring = 0; ring < 4; ring++) {
		make_frame(frame, 0, 5, 1 << 24);
		nic_receive(f, (uint16_t)(4 + ring), frame, sizeof(frame));
	}
	free_queue(f, 0);
	for (ring = 4; ring < 8; ring++)
		wait_ring(f, ring, false);
	while (out_of("s0") > 0)
		vmq_host_progress(f->host);
	info = info_of(f, f->ids[1]);
	assert_int_equal(info.packets.received, next[1][0] + next[1][1] + next[1][2] + next[1][3]);
	assert_int_equal(info.packets.dropped, 0);
	assert_int_equal(info_of(f, 0).packets.received, 0);
	vmq_host_stop(f->host);
	vmq_adapter_halt(f->adapter);
	for (vm = 0; vm < 2; vm++) {
		uint32_t seen[4] = {0};

		snprintf(name, sizeof(name), "vm%u", vm);
		n = read_numbers(name, numbers, 1 << 16);
		for (i = 0; i < n; i++)
			assert_int_equal(numbers[i] & 0xffff, seen[numbers[i] >> 16]++);
		assert_memory_equal(seen, next[vm], sizeof(seen));
	}
	free(numbers);
}

/* Pools that begin behind other queues, as i40e has them. */
static void
pools_behind_other_queues_are_made_one_by_one(void **state)
{
	struct fixture *f;
	unsigned int ring;

	driver.vmdq_queues = 64;
	driver.vmdq_base = 3;
	f = start_nic(state, &(struct nic){.vmdq = true, .per_pool = 4, .first = 3,
		.no_vlan = true});
	assert_int_equal(driver.conf.rx_adv_conf.vmdq_rx_conf.nb_queue_pools, SLOTS);
	for (ring = 0; ring < 11; ring++) {
		assert_int_equal(driver.rings[ring].setups, 1);
		assert_ptr_equal(driver.rings[ring].pool, pool_of(ring < 3 ? "q0" :
			ring < 7 ? "s0" : "s1"));
	}
	make_vm(f, 0);
	make_vm(f, 1);
	assert_int_equal(f->nic.rules[0].slot->pool, 1);
	assert_int_equal(f->nic.rules[0].slot->rx_queue, 3);
	assert_int_equal(f->nic.rules[1].slot->rx_queue, 7);
	assert_int_equal(vmq_host_start(f->host), 0);
	wire_brings(f, 0, 5);
	wire_brings(f, 1, 5);
	wait_delivered(f, 2);
}

/* Rings of other queues are filled from the default queue's memory: is it enough? */
static void
idle_rings_are_counted_before_they_take_the_default_queues_memory(void **state)
{
	struct nic nic = {.vmdq = true, .per_pool = 4, .first = 8, .no_vlan = true,
		.small_default = true};
	struct vmq_adapter_capabilities can;
	const char *why;
	struct fixture *f;

	driver.vmdq_queues = 16;
	driver.vmdq_base = 8;
	f = start_nic(state, &nic);
	vmq_adapter_capabilities_get(f->adapter, &can);
	assert_int_equal(can.chosen, VMQ_STEERING_SOFTWARE);
	why = can.found[VMQ_STEERING_VMDQ].why_not;
	if (strstr(why, "7 idle rings of the NIC (448 buffers)") == NULL ||
		strstr(why, "give its default_queue memory.buffers of as many") == NULL)
		fail_msg("%s", why);
	tear_down(state);
	nic.small_default = false;
	start_nic(state, &nic);
}

/* What a driver is told of pools and VLANs, for more pools than net_ring could have. */
static void
configure_as(const char *name, uint16_t base, uint16_t n_vlans)
{
	const struct vmq_port_params params = {.device = "net_ring_as", .rx_descriptors = DESCRIPTORS,
		.tx_queues = 1, .mtu = 1500};
	static const uint16_t vlans[] = {5, 6};
	struct vmq_error err;
	struct vmq_port *port = vmq_port_open(&params, &err);

	if (port == NULL)
		fail_msg("%s", err.text);
	driver.vmdq_queues = 256;
	driver.vmdq_base = base;
	driver.name = name;
	assert_int_equal(vmq_port_configure_slots(port, &(struct vmq_port_slot_params){.vmdq = true,
		.n = 60, .rx_descriptors = DESCRIPTORS, .vlans = vlans, .n_vlans = n_vlans}, &err), -EIO);
	driver.name = NULL;
	vmq_port_close(port);
}

static void
vlan_maps_name_the_pools_that_are_used(void **state)
{
	const struct rte_eth_vmdq_rx_conf *vmdq = &driver.conf.rx_adv_conf.vmdq_rx_conf;

	(void)state;
	configure_as("net_other", 0, 2);
	assert_int_equal(vmdq->nb_pool_maps, 2);
	assert_int_equal(vmdq->pool_map[1].vlan_id, 6);
	assert_true(vmdq->pool_map[1].pools == (UINT64_C(1) << 61) - 1); /* 0 to 60 */
	/* It would write the upper half of them only. */
	configure_as("net_ixgbe", 0, 2);
	assert_int_equal(vmdq->nb_queue_pools, 64);
	assert_true(vmdq->pool_map[0].pools == UINT32_MAX);
	configure_as("net_ixgbe", 0, 0);
	assert_int_equal(vmdq->nb_pool_maps, 0);
	configure_as("net_i40e", 64, 0);
	assert_int_equal(vmdq->nb_queue_pools, 60);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_full_ring_of_one_vm_drops_and_does_not_hold_up_others, set_up_driver,
			tear_down_driver),
		cmocka_unit_test_setup_teardown(a_port_with_one_ring_keeps_its_drivers_way,
			set_up_driver, tear_down_driver),
		cmocka_unit_test_setup_teardown(a_driver_that_knows_no_dropping_is_used_as_it_is,
			set_up_driver, tear_down_driver),
		cmocka_unit_test_setup_teardown(a_slots_ring_runs_only_while_a_vm_has_it,
			set_up_driver, tear_down_driver),
		cmocka_unit_test_setup_teardown(
			a_ring_that_does_not_start_fails_the_completion_and_nothing_stays,
			set_up_driver, tear_down_driver),
		cmocka_unit_test_setup_teardown(
			a_ring_that_does_not_start_leaves_a_queue_in_software, set_up_driver,
			tear_down_driver),
		cmocka_unit_test_setup_teardown(a_ring_that_does_not_stop_runs_on, set_up_driver,
			tear_down_driver),
		cmocka_unit_test_setup_teardown(a_reset_has_the_same_rings_run_again, set_up_driver,
			tear_down_driver),
		cmocka_unit_test_setup_teardown(drivers_that_cannot_stop_rings_are_found_out,
			set_up_driver, tear_down_driver),
		cmocka_unit_test_setup_teardown(a_vm_gets_what_comes_by_all_rings_of_its_pool,
			set_up_driver, tear_down_driver),
		cmocka_unit_test_setup_teardown(pools_behind_other_queues_are_made_one_by_one,
			set_up_driver, tear_down_driver),
		cmocka_unit_test_setup_teardown(
			idle_rings_are_counted_before_they_take_the_default_queues_memory,
			set_up_driver, tear_down_driver),
		cmocka_unit_test_setup_teardown(vlan_maps_name_the_pools_that_are_used,
			set_up_driver, tear_down_driver),
	};

	return cmocka_run_group_tests(tests, unit_start, unit_stop);
}
