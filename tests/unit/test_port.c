/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include "unit.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>

#include <vmq_port.h>

#define BUFFERS 2048
#define DESCRIPTORS 256

static struct rte_mempool *pool;

static int
make_pool(void **state)
{
	int ret = unit_start(state);

	if (ret == 0)
		pool = unit_pool("received", BUFFERS, 2048);
	return ret;
}

static int
free_pool(void **state)
{
	unit_assert_pool_full(pool);
	rte_mempool_free(pool);
	return unit_stop(state);
}

static struct vmq_port_params
params_of(const char *device)
{
	return (struct vmq_port_params){
		.device = device,
		.rx_descriptors = DESCRIPTORS,
		.tx_queues = 2,
		.mtu = 1500,
	};
}

static struct vmq_port *
open_port(const char *device)
{
	const struct vmq_port_params params = params_of(device);
	struct vmq_error err = {.text = ""};
	struct vmq_port *port = vmq_port_open(&params, &err);

	if (port == NULL)
		fail_msg("%s: %s", device, err.text);
	return port;
}

static void
start_port(struct vmq_port *port)
{
	struct vmq_error err = {.text = ""};

	if (vmq_port_start(port, pool, NULL, &err) != 0)
		fail_msg("%s", err.text);
}

/* A capture file of n frames of 60 bytes. */
static char *
make_capture(const char *name, unsigned int n)
{
	pcap_t *handle = pcap_open_dead(DLT_EN10MB, 65535);
	struct pcap_pkthdr header = {.caplen = 60, .len = 60};
	char *path = unit_path(name);
	pcap_dumper_t *dumper = pcap_dump_open(handle, path);
	uint8_t bytes[60];
	unsigned int i;

	assert_non_null(dumper);
	for (i = 0; i < n; i++) {
		unit_fill(bytes, sizeof(bytes), i);
		pcap_dump((unsigned char *)dumper, &header, bytes);
	}
	pcap_dump_close(dumper);
	pcap_close(handle);
	return path;
}

/* net_null of DPDK 22.11 forgets a frame for each queue that was set up. */
static void
forgive_net_null(struct unit_census *before, unsigned int starts)
{
	struct unit_census now;

	unit_census_take(&now);
	assert_in_range(now.allocations - before->allocations, 0, 3 * starts);
	before->allocations = now.allocations;
}

static void
net_null_is_opened_started_stopped_and_closed(void **state)
{
	struct rte_mbuf *packets[VMQ_BURST];
	struct vmq_port_stats stats;
	struct unit_census before;
	struct vmq_port *port;
	uint16_t n;

	(void)state;
	unit_census_take(&before);
	port = open_port("net_null0,size=64");
	assert_true(rte_eth_dev_is_valid_port(vmq_port_id(port)));
	vmq_port_stats_get(port, &stats);
	assert_int_equal(stats.received, 0);
	start_port(port);
	n = rte_eth_rx_burst(vmq_port_id(port), 0, packets, VMQ_BURST);
	assert_int_equal(n, VMQ_BURST);
	rte_pktmbuf_free_bulk(packets, n);
	vmq_port_stats_get(port, &stats);
	assert_int_equal(stats.received, VMQ_BURST);
	assert_int_equal(stats.missed, 0);
	vmq_port_stop(port);
	vmq_port_stop(port); /* has nothing more to do */
	vmq_port_close(port);
	unit_assert_pool_full(pool);
	forgive_net_null(&before, 1);
	unit_assert_nothing_left(&before);
}

static void
a_started_port_may_be_closed_at_once(void **state)
{
	struct unit_census before;
	struct vmq_port *port;

	(void)state;
	unit_census_take(&before);
	port = open_port("net_null0");
	start_port(port);
	vmq_port_close(port);
	port = open_port("net_null0");
	vmq_port_close(port); /* and one that never started */
	vmq_port_close(NULL);
	forgive_net_null(&before, 1);
	unit_assert_nothing_left(&before);
}

static void
all_frames_are_taken_whomever_they_are_for(void **state)
{
	struct vmq_port *port = open_port("net_null0");

	(void)state;
	start_port(port);
	/* net_null knows no promiscuous mode, which is then not missing. */
	assert_int_equal(rte_eth_allmulticast_get(vmq_port_id(port)), 1);
	vmq_port_close(port);
}

static void
net_ring_carries_frames_round(void **state)
{
	struct rte_mbuf *packet, *got[VMQ_BURST];
	struct vmq_port_stats stats;
	struct vmq_port *port;
	uint8_t bytes[100];

	(void)state;
	port = open_port("net_ring_port");
	start_port(port);
	unit_fill(bytes, sizeof(bytes), 5);
	packet = unit_packet(pool, bytes, sizeof(bytes));
	assert_int_equal(rte_eth_tx_burst(vmq_port_id(port), 0, &packet, 1), 1);
	assert_int_equal(rte_eth_rx_burst(vmq_port_id(port), 0, got, VMQ_BURST), 1);
	assert_ptr_equal(got[0], packet);
	unit_assert_bytes(got[0], bytes, sizeof(bytes));
	rte_pktmbuf_free(got[0]);
	vmq_port_stats_get(port, &stats);
	assert_int_equal(stats.received, 1);
	vmq_port_close(port);
	unit_assert_pool_full(pool);
}

static void
net_pcap_gives_the_frames_of_its_file(void **state)
{
	char device[256], *path = make_capture("in.pcap", 70);
	struct rte_mbuf *packets[VMQ_BURST];
	struct unit_census before;
	struct vmq_port *port;
	unsigned int total = 0;
	uint8_t bytes[60];
	uint16_t n, i;

	(void)state;
	unit_census_take(&before);
	snprintf(device, sizeof(device), "net_pcap0,rx_pcap=%s", path);
	port = open_port(device);
	start_port(port);
	while ((n = rte_eth_rx_burst(vmq_port_id(port), 0, packets, VMQ_BURST)) > 0) {
		for (i = 0; i < n; i++) {
			unit_fill(bytes, sizeof(bytes), total++);
			unit_assert_bytes(packets[i], bytes, sizeof(bytes));
		}
		rte_pktmbuf_free_bulk(packets, n);
	}
	assert_int_equal(total, 70);
	vmq_port_stop(port);
	vmq_port_close(port);
	unit_assert_pool_full(pool);
	unit_assert_nothing_left(&before);
	free(path);
}

/* With infinite_rx the driver holds packets of its own: they come home with close. */
static void
what_the_driver_held_is_home_after_close(void **state)
{
	char device[256], *path = make_capture("loop.pcap", 40);
	struct rte_mbuf *packets[VMQ_BURST];
	struct vmq_port *port;

	(void)state;
	snprintf(device, sizeof(device), "net_pcap1,rx_pcap=%s,infinite_rx=1", path);
	port = open_port(device);
	start_port(port);
	assert_int_equal(rte_eth_rx_burst(vmq_port_id(port), 0, packets, VMQ_BURST), VMQ_BURST);
	rte_pktmbuf_free_bulk(packets, VMQ_BURST);
	assert_int_equal(rte_mempool_in_use_count(pool), 40);
	vmq_port_stop(port);
	vmq_port_close(port);
	unit_assert_pool_full(pool);
	free(path);
}

static void
assert_refused(const struct vmq_port_params *params, const char *reason)
{
	struct vmq_error err = {.text = ""};
	struct unit_census before;
	unsigned int i;

	unit_census_take(&before);
	for (i = 0; i < 3; i++) { /* each time the same, each time nothing left */
		rte_errno = 0;
		assert_null(vmq_port_open(params, &err));
		assert_true(rte_errno > 0);
		if (strstr(err.text, reason) == NULL)
			fail_msg("\"%s\" does not say \"%s\"", err.text, reason);
		unit_assert_nothing_left(&before);
	}
}

static void
an_mtu_out_of_the_ports_range_is_refused_with_the_range(void **state)
{
	static const uint16_t bad[] = {0, 1, 67, UINT16_MAX};
	struct vmq_port_params params = params_of("net_null0");
	struct rte_eth_dev_info info;
	struct vmq_port *port;
	char reason[64];
	unsigned int i;

	(void)state;
	port = open_port("net_null0");
	assert_int_equal(rte_eth_dev_info_get(vmq_port_id(port), &info), 0);
	vmq_port_close(port);
	for (i = 0; i < RTE_DIM(bad); i++) {
		if (bad[i] >= info.min_mtu && bad[i] <= info.max_mtu)
			continue;
		params.mtu = bad[i];
		snprintf(reason, sizeof(reason), "%u to %u, not %u", info.min_mtu, info.max_mtu,
			bad[i]);
		assert_refused(&params, reason);
	}
	assert_true(info.min_mtu > 0); /* so that one of them was refused */
}

static void
a_missing_file_is_refused_with_the_drivers_words(void **state)
{
	struct vmq_port_params params;
	char device[256], *path = unit_path("nobody.pcap");

	(void)state;
	snprintf(device, sizeof(device), "net_pcap2,rx_pcap=%s", path);
	params = params_of(device);
	assert_refused(&params, path);
	assert_refused(&params, "the driver says: ");
	free(path);
}

static void
a_device_in_use_is_refused(void **state)
{
	struct vmq_port_params params = params_of("net_null0,size=100");
	struct vmq_port *port = open_port("net_null0");

	(void)state;
	assert_refused(&params, "net_null0");
	assert_refused(&params, "in use");
	start_port(port); /* the first is none the worse for it */
	vmq_port_close(port);
}

static void
an_unknown_device_is_refused(void **state)
{
	const struct vmq_port_params params = params_of("net_nosuch0");

	(void)state;
	assert_refused(&params, "net_nosuch0");
}

/* net_pcap with infinite_rx needs a buffer for each frame of the file. */
static void
a_start_that_fails_says_why_and_leaves_the_port_open(void **state)
{
	char device[256], *path = make_capture("many.pcap", 200);
	struct rte_mempool *small = unit_pool("small", 63, 2048);
	struct vmq_error err = {.text = ""};
	struct unit_census before;
	struct vmq_port *port;

	(void)state;
	unit_census_take(&before);
	snprintf(device, sizeof(device), "net_pcap3,rx_pcap=%s,infinite_rx=1", path);
	port = open_port(device);
	assert_true(vmq_port_start(port, small, NULL, &err) < 0);
	assert_non_null(strstr(err.text, "net_pcap3"));
	assert_non_null(strstr(err.text, "Rx queue"));
	assert_non_null(strstr(err.text, "At least 200 mbufs"));
	vmq_port_stop(port);
	vmq_port_close(port);
	unit_assert_pool_full(small);
	rte_mempool_free(small);
	free(path);
}

static void
a_port_gives_fewer_tx_queues_when_it_has_not_so_many(void **state)
{
	char device[256], *path = make_capture("one.pcap", 1);
	struct vmq_port_params params;
	struct rte_eth_dev_info info;
	struct vmq_port *port;

	(void)state;
	snprintf(device, sizeof(device), "net_pcap4,rx_pcap=%s", path);
	params = params_of(device);
	params.tx_queues = 64;
	port = vmq_port_open(&params, NULL);
	assert_non_null(port);
	assert_int_equal(rte_eth_dev_info_get(vmq_port_id(port), &info), 0);
	assert_int_equal(info.nb_rx_queues, 1);
	assert_true(info.nb_tx_queues >= 1 && info.nb_tx_queues <= info.max_tx_queues);
	start_port(port);
	vmq_port_close(port);
	free(path);
}

/* Rings come back to themselves: what is sent on Tx queue n is received on Rx queue n. */
static void
hardware_queues_have_a_pool_each(void **state)
{
	struct vmq_port_params port_params = params_of("net_ring_slots");
	struct rte_mempool *pools[] = {unit_pool("slot 0", 512, 2048), unit_pool("slot 1", 512, 2048)};
	struct vmq_port_slot_params params = {.n = 2, .rx_descriptors = 128, .vmdq = true};
	struct vmq_port_capabilities can;
	const struct vmq_port_slot *slots;
	struct vmq_error err = {.text = ""};
	struct rte_mbuf *packet;
	struct vmq_port *port;
	uint16_t n;

	(void)state;
	port_params.tx_queues = 3;
	port = vmq_port_open(&port_params, &err);
	assert_non_null(port);
	assert_int_equal(vmq_port_configure_slots(port, &params, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "no VMDq"));
	params.vmdq = false;
	n = (uint16_t)vmq_port_configure_slots(port, &params, &err);
	assert_int_equal(n, 2);
	slots = vmq_port_slots(port, &n);
	assert_int_equal(n, 2);
	assert_int_equal(slots[0].rx_queue, 1);
	assert_int_equal(slots[1].rx_queue, 2);
	assert_int_equal(vmq_port_slot_buffers(port, 1), 128);
	if (vmq_port_start(port, pool, pools, &err) != 0)
		fail_msg("%s", err.text);
	vmq_port_capabilities_get(port, &can);
	assert_string_equal(can.driver, "net_ring");
	assert_int_equal(can.vmdq_pools, 0);
	assert_true(can.pools_grow);
	packet = unit_packet(pool, "slot 1", 6);
	assert_int_equal(rte_eth_tx_burst(vmq_port_id(port), slots[1].rx_queue, &packet, 1), 1);
	assert_int_equal(rte_eth_rx_burst(vmq_port_id(port), 0, &packet, 1), 0);
	assert_int_equal(rte_eth_rx_burst(vmq_port_id(port), slots[1].rx_queue, &packet, 1), 1);
	rte_pktmbuf_free(packet);
	vmq_port_stop(port);
	/* As many as it has at most, and back again. */
	params.n = UINT16_MAX;
	assert_int_equal(vmq_port_configure_slots(port, &params, &err), can.rx_queues - 1);
	params.n = 0;
	assert_int_equal(vmq_port_configure_slots(port, &params, &err), 0);
	start_port(port);
	vmq_port_close(port);
	rte_mempool_free(pools[0]);
	rte_mempool_free(pools[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(net_null_is_opened_started_stopped_and_closed),
		cmocka_unit_test(a_started_port_may_be_closed_at_once),
		cmocka_unit_test(all_frames_are_taken_whomever_they_are_for),
		cmocka_unit_test(net_ring_carries_frames_round),
		cmocka_unit_test(net_pcap_gives_the_frames_of_its_file),
		cmocka_unit_test(what_the_driver_held_is_home_after_close),
		cmocka_unit_test(an_mtu_out_of_the_ports_range_is_refused_with_the_range),
		cmocka_unit_test(a_missing_file_is_refused_with_the_drivers_words),
		cmocka_unit_test(a_device_in_use_is_refused),
		cmocka_unit_test(an_unknown_device_is_refused),
		cmocka_unit_test(a_start_that_fails_says_why_and_leaves_the_port_open),
		cmocka_unit_test(a_port_gives_fewer_tx_queues_when_it_has_not_so_many),
		cmocka_unit_test(hardware_queues_have_a_pool_each),
	};

	return cmocka_run_group_tests_name("port", tests, make_pool, free_pool);
}
