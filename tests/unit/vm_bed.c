/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include "vm_bed.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_ethdev.h>

#define FRAME_BYTES 60
#define BUFFER_BYTES 2048

static struct vm_bed *made;

static bool
is_up(void *arg)
{
	struct vmq_backend_link link;

	vmq_backend_link_get(arg, &link);
	return link.up;
}

static void
start_vm(struct vm_bed *bed, bool packed)
{
	struct rte_eth_conf conf = {0};
	struct vmq_error err = {""};
	char device[256];

	snprintf(device, sizeof(device), "net_virtio_user0,path=%s,queue_size=%u,packed_vq=%d",
		bed->socket, VM_BED_RING, packed);
	if (vmq_device_attach(device, &bed->port_id, &err) < 0)
		fail_msg("%s: %s", device, err.text);
	assert_int_equal(rte_eth_dev_configure(bed->port_id, 1, 1, &conf), 0);
	assert_int_equal(rte_eth_rx_queue_setup(bed->port_id, 0, VM_BED_RING, SOCKET_ID_ANY, NULL,
		bed->vm_pool), 0);
	assert_int_equal(rte_eth_tx_queue_setup(bed->port_id, 0, VM_BED_RING, SOCKET_ID_ANY, NULL),
		0);
	assert_int_equal(rte_eth_dev_start(bed->port_id), 0);
}

struct vm_bed *
vm_bed_make(bool packed)
{
	struct vmq_backend_params params = {
		.type = VMQ_BACKEND_VHOST,
		.vhost = {.server = true},
		.socket_id = SOCKET_ID_ANY,
	};
	struct vm_bed *bed = calloc(1, sizeof(*bed));
	struct vmq_error err = {""};

	assert_non_null(bed);
	made = bed;
	/* The VM's side writes to the socket also when it was cut off. */
	signal(SIGPIPE, SIG_IGN);
	bed->port_id = RTE_MAX_ETHPORTS;
	bed->socket = unit_path("vm.sock");
	bed->pool = unit_pool("queue", VM_BED_BUFFERS, BUFFER_BYTES);
	bed->vm_pool = unit_pool("vm", VM_BED_BUFFERS, BUFFER_BYTES);
	params.vhost.socket = bed->socket;
	bed->backend = vmq_backend_open(&params, &err);
	if (bed->backend == NULL)
		fail_msg("%s", err.text);
	start_vm(bed, packed);
	assert_true(unit_wait(is_up, bed->backend));
	return bed;
}

void
vm_bed_free(struct vm_bed *bed)
{
	if (bed->port_id != RTE_MAX_ETHPORTS) {
		rte_eth_dev_stop(bed->port_id);
		vmq_device_detach(bed->port_id);
	}
	vmq_backend_drain(bed->backend, NULL);
	vmq_backend_close(bed->backend);
	rte_mempool_free(bed->vm_pool);
	rte_mempool_free(bed->pool);
	free(bed->socket);
	free(bed);
	made = NULL;
}

int
vm_bed_abandon(void **state)
{
	(void)state;
	if (made != NULL)
		vm_bed_free(made);
	return 0;
}

uint16_t
vm_bed_offer(struct vm_bed *bed, uint16_t n)
{
	const uint8_t bytes[FRAME_BYTES] = {0};
	struct rte_mbuf *packets[VMQ_BURST];
	uint16_t i, taken;

	for (i = 0; i < n; i++)
		packets[i] = unit_packet(bed->pool, bytes, sizeof(bytes));
	taken = vmq_backend_tx_burst(bed->backend, packets, n);
	rte_pktmbuf_free_bulk(packets + taken, n - taken);
	return taken;
}

uint16_t
vm_bed_take(struct vm_bed *bed)
{
	struct rte_mbuf *packets[VMQ_BURST];
	uint16_t n, all = 0;

	while ((n = rte_eth_rx_burst(bed->port_id, 0, packets, VMQ_BURST)) > 0) {
		rte_pktmbuf_free_bulk(packets, n);
		all += n;
	}
	return all;
}

uint16_t
vm_bed_send(struct vm_bed *bed, uint16_t n)
{
	const uint8_t bytes[FRAME_BYTES] = {0};
	struct rte_mbuf *packets[VMQ_BURST];
	uint16_t i, sent;

	for (i = 0; i < n; i++)
		packets[i] = unit_packet(bed->vm_pool, bytes, sizeof(bytes));
	sent = rte_eth_tx_burst(bed->port_id, 0, packets, n);
	rte_pktmbuf_free_bulk(packets + sent, n - sent);
	return sent;
}

void
vm_bed_send_too_long(struct vm_bed *bed)
{
	static const uint16_t lengths[] = {BUFFER_BYTES / 2, BUFFER_BYTES / 2, BUFFER_BYTES / 2, 0};
	const uint8_t bytes[BUFFER_BYTES / 2 * 3] = {0};
	struct rte_mbuf *packet = unit_chain(bed->vm_pool, bytes, lengths);

	assert_int_equal(rte_eth_tx_burst(bed->port_id, 0, &packet, 1), 1);
}

uint16_t
vm_bed_receive(struct vm_bed *bed)
{
	struct rte_mbuf *packets[VMQ_BURST];
	uint16_t n = vmq_backend_rx_burst(bed->backend, bed->pool, packets, VMQ_BURST);

	rte_pktmbuf_free_bulk(packets, n);
	return n;
}
