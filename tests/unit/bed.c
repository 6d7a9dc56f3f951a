/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include "bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pcap/pcap.h>

#include <rte_malloc.h>

#define FRAME_BYTES 60
#define NUMBER_OFFSET 14

/* Beds are numbered, so that one that failed is not in the next one's way. */
static unsigned int bed_number;
static struct bed *present;

static uint16_t
backend_tx(struct vmq_backend *backend, struct rte_mbuf **packets, uint16_t n)
{
	struct bed_backend *b = (struct bed_backend *)backend;
	uint32_t budget = b->budget, n_seen = b->n_seen, number;
	uint16_t i;

	if (b->on_burst != NULL)
		b->on_burst(b->on_burst_arg);
	if (b->gone)
		b->late += n;
	if (b->part > 0)
		n = RTE_MIN(n, b->part);
	n = (uint16_t)RTE_MIN((uint32_t)n, budget);
	if (budget != BED_ENDLESS)
		b->budget -= n;
	for (i = 0; i < n; i++) {
		memcpy(&number, rte_pktmbuf_mtod_offset(packets[i], void *, NUMBER_OFFSET),
			sizeof(number));
		if (n_seen < BED_SEEN_MAX)
			b->seen[n_seen] = number;
		n_seen++;
		if (b->pool != NULL && packets[i]->pool != b->pool)
			b->foreign++;
		if (b->holds)
			b->held[b->n_held++] = packets[i];
	}
	if (!b->holds)
		rte_pktmbuf_free_bulk(packets, n);
	b->n_seen = n_seen;
	return n;
}

static uint16_t
babble(struct rte_mempool *pool, struct rte_mbuf **packets)
{
	static const uint8_t bytes[FRAME_BYTES] = {2, 0, 0, 0, 0, 0xee, 2, 0, 0, 0, 0, 0xef};

	packets[0] = rte_pktmbuf_alloc(pool);
	if (packets[0] == NULL)
		return 0;
	memcpy(rte_pktmbuf_append(packets[0], sizeof(bytes)), bytes, sizeof(bytes));
	return 1;
}

static uint16_t
backend_rx(struct vmq_backend *backend, struct rte_mempool *pool, struct rte_mbuf **packets,
	uint16_t n)
{
	struct bed_backend *b = (struct bed_backend *)backend;

	b->asked++;
	if (b->clock != NULL) {
		b->longest = RTE_MAX(b->longest, b->clock->asked - b->asked_at);
		b->in_turn = b->clock->asked == b->asked_at ? b->in_turn + 1 : 1;
		b->most = RTE_MAX(b->most, b->in_turn);
		b->asked_at = b->clock->asked;
	}
	if (b->babbles)
		return babble(pool, packets);
	if (b->outbox == NULL)
		return 0;
	return (uint16_t)rte_ring_sc_dequeue_burst(b->outbox, (void **)packets, n, NULL);
}

static void
backend_stats(const struct vmq_backend *backend, struct vmq_backend_stats *stats)
{
	const struct bed_backend *b = (const struct bed_backend *)backend;

	stats->failed = b->failed;
	stats->waiting = b->waiting;
}

static const struct vmq_backend_ops ops = {
	.name = "bed",
	.size = sizeof(struct bed_backend),
	.tx_burst = backend_tx,
	.rx_burst = backend_rx,
	.stats_get = backend_stats,
};

static const struct vmq_backend_ops holding_ops = {
	.name = "holding bed",
	.holds = true,
	.size = sizeof(struct bed_backend),
	.tx_burst = backend_tx,
	.rx_burst = backend_rx,
	.stats_get = backend_stats,
};

static struct bed_backend *
make_backend(bool holds)
{
	struct bed_backend *backend = calloc(1, sizeof(*backend));

	assert_non_null(backend);
	backend->backend.ops = holds ? &holding_ops : &ops;
	backend->holds = holds;
	backend->budget = BED_ENDLESS;
	return backend;
}

static void
make_queue(struct bed *bed, unsigned int i)
{
	struct bed_queue *queue = &bed->queues[i];
	const bool own = i > 0 || !bed->options.one_pool;
	const struct vmq_filter_match match = {.has_mac = true, .mac = {{2, 0, 0, 0, 0, (uint8_t)i}}};
	char name[RTE_MEMPOOL_NAMESIZE];

	queue->active = true;
	queue->backend = make_backend(i > 0 && bed->options.holds);
	snprintf(name, sizeof(name), "bed%u-%u", bed_number, i);
	if (bed->options.sends) {
		snprintf(name, sizeof(name), "bed%u-x%u", bed_number, i);
		queue->xmit_pool = unit_pool(name, BED_QUEUE_BUFFERS, BED_BUFFER_SIZE);
		queue->backend->outbox = rte_ring_create(name, 2 * (BED_QUEUE_BUFFERS + 1), SOCKET_ID_ANY,
			RING_F_SP_ENQ | RING_F_SC_DEQ);
		assert_non_null(queue->backend->outbox);
		snprintf(name, sizeof(name), "bed%u-%u", bed_number, i);
	}
	queue->pool = own ? unit_pool(name, BED_QUEUE_BUFFERS, BED_BUFFER_SIZE) : bed->source_pool;
	queue->dp = vmq_dp_queue_create(&(struct vmq_dp_queue_params){
		.id = (uint16_t)i,
		.source_worker = 0,
		.worker = i > 0 && bed->options.remote ? 1 : 0,
		.backend = &queue->backend->backend,
		.pool = queue->pool,
		.limit = own ? BED_QUEUE_BUFFERS : BED_SOURCE_BUFFERS,
		.received_into_pool = !own,
		.reserve = bed->options.reserve,
		.n_workers = UNIT_WORKERS,
		.xmit_pool = queue->xmit_pool,
		.anti_spoof = true,
		.socket_id = SOCKET_ID_ANY,
	});
	assert_non_null(queue->dp);
	vmq_dp_queue_set_uplink(queue->dp, bed->uplink);
	vmq_dp_queue_run(queue->dp, true);
	if (i == 0)
		queue->member = (struct vmq_dp_member){.trunk = true, .takes_untagged = true};
	if (i > 0)
		assert_int_equal(vmq_filter_add(bed->filters, (uint16_t)i, &match,
			&bed->filter_ids[i], NULL), VMQ_STATUS_SUCCESS);
}

void
bed_publish(struct bed *bed)
{
	struct vmq_dp_view *view = vmq_dp_view_create(BED_QUEUES, SOCKET_ID_ANY);
	struct vmq_classifier_queue classes[BED_QUEUES] = {{0}};
	struct vmq_dp_flood_member flood[2 * BED_QUEUES];
	uint16_t i, n = 0, n_flood = 0, times;

	assert_non_null(view);
	for (i = 0; i < BED_QUEUES; i++) {
		if (!bed->queues[i].active)
			continue;
		classes[i] = (struct vmq_classifier_queue){
			.index = n,
			.keep_tags = bed->queues[i].keep_tags,
			.active = true,
		};
		view->members[n] = bed->queues[i].member;
		/* Twice, as queues with two filters do. */
		for (times = 0; times < 2 && bed->queues[i].member.broadcast; times++)
			flood[n_flood++] = (struct vmq_dp_flood_member){
				.vlan = bed->queues[i].flood_vlan, .index = n};
		view->queues[n++] = bed->queues[i].dp;
	}
	view->n_queues = n;
	assert_int_equal(vmq_dp_view_flood(view, flood, n_flood, SOCKET_ID_ANY), 0);
	view->classifier = vmq_classifier_build(bed->filters, classes, BED_QUEUES, SOCKET_ID_ANY);
	assert_non_null(view->classifier);
	vmq_dp_source_publish(bed->source, view);
}

void
bed_assign(struct bed *bed, bool with_source)
{
	struct vmq_dp_queue *remote[BED_QUEUES], *senders[UNIT_WORKERS][BED_QUEUES];
	uint16_t i, worker, n = 0, n_senders[UNIT_WORKERS] = {0};

	for (i = 0; i < BED_QUEUES; i++) {
		worker = i > 0 && bed->options.remote ? 1 : 0;
		if (worker == 1)
			remote[n++] = bed->queues[i].dp;
		if (bed->options.sends)
			senders[worker][n_senders[worker]++] = bed->queues[i].dp;
	}
	assert_int_equal(vmq_datapath_assign(bed->dp, 0, &(struct vmq_dp_assignment){
		.sources = &bed->source, .n_sources = with_source,
		.senders = senders[0], .n_senders = n_senders[0],
		.uplinks = &bed->uplink, .n_uplinks = bed->uplink != NULL}), 0);
	assert_int_equal(vmq_datapath_assign(bed->dp, 1, &(struct vmq_dp_assignment){
		.queues = remote, .n_queues = n,
		.senders = senders[1], .n_senders = n_senders[1],
		.uplinks = &bed->uplink, .n_uplinks = bed->uplink != NULL}), 0);
}

static struct vmq_port *
make_port(struct bed *bed, bool wire)
{
	struct vmq_error err = {.text = ""};
	struct vmq_port *port;
	char device[256];

	if (wire)
		snprintf(device, sizeof(device), "net_ring_wire%u", bed_number);
	else if (bed->options.capture != NULL)
		snprintf(device, sizeof(device), "net_pcap%u,rx_pcap=%s,infinite_rx=1", bed_number,
			bed->options.capture);
	else /* it leaves rings behind: never the same name */
		snprintf(device, sizeof(device), "net_ring%u", bed_number);
	port = vmq_port_open(&(struct vmq_port_params){
		.device = device,
		.rx_descriptors = BED_DESCRIPTORS,
		.tx_queues = 1,
		.mtu = 1500,
	}, &err);
	if (port == NULL || vmq_port_start(port, bed->source_pool, NULL, &err) != 0)
		fail_msg("%s", err.text);
	return port;
}

char *
bed_capture(void)
{
	pcap_t *handle = pcap_open_dead(DLT_EN10MB, 65535);
	struct pcap_pkthdr header = {.caplen = FRAME_BYTES, .len = FRAME_BYTES};
	uint8_t bytes[FRAME_BYTES] = {2, 0, 0, 0, 0};
	char *path = unit_path("endless.pcap");
	pcap_dumper_t *dumper = pcap_dump_open(handle, path);
	unsigned int i;

	assert_non_null(dumper);
	for (i = 1; i < BED_QUEUES; i++) {
		bytes[5] = (uint8_t)i;
		pcap_dump((unsigned char *)dumper, &header, bytes);
	}
	pcap_dump_close(dumper);
	pcap_close(handle);
	return path;
}

struct bed *
bed_make(const struct bed_options *options)
{
	struct bed *bed = calloc(1, sizeof(*bed));
	char name[RTE_MEMPOOL_NAMESIZE];
	unsigned int i;

	assert_non_null(bed);
	bed->options = *options;
	snprintf(name, sizeof(name), "bed%u", ++bed_number);
	bed->source_pool = unit_pool(name, BED_SOURCE_BUFFERS, BED_BUFFER_SIZE);
	bed->port = make_port(bed, false);
	if (bed->options.sends)
		bed->wire = make_port(bed, true);
	unit_census_take(&bed->before);
	bed->dp = vmq_datapath_create(unit_lcores, UNIT_WORKERS);
	assert_non_null(bed->dp);
	assert_int_equal(vmq_datapath_workers(bed->dp), UNIT_WORKERS);
	if (options->workers != NULL)
		vmq_datapath_set_workers(bed->dp, options->workers);
	bed->source = vmq_dp_source_create(bed->dp, 0, vmq_port_id(bed->port), 0, bed->source_pool);
	assert_non_null(bed->source);
	if (bed->options.sends) {
		bed->uplink = vmq_dp_uplink_create(bed->dp, &(struct vmq_dp_uplink_params){
			.port_id = vmq_port_id(bed->wire), .tx_queues = 1, .mtu = 1500,
			.multi_segs = true, .source = bed->source});
		assert_non_null(bed->uplink);
	}
	bed->filters = vmq_filter_set_create();
	for (i = 0; i < BED_QUEUES; i++)
		make_queue(bed, i);
	bed_publish(bed);
	bed_assign(bed, true);
	present = bed;
	assert_int_equal(vmq_datapath_start(bed->dp), 0);
	return bed;
}

int
bed_abandon(void **state)
{
	(void)state;
	if (present != NULL)
		vmq_datapath_stop(present->dp);
	present = NULL;
	return 0;
}

static void
free_queue(struct bed *bed, struct bed_queue *queue)
{
	rte_pktmbuf_free_bulk(queue->backend->held, queue->backend->n_held);
	vmq_dp_queue_discard(queue->dp);
	vmq_dp_queue_free(queue->dp);
	if (queue->xmit_pool != NULL) {
		assert_true(rte_ring_empty(queue->backend->outbox));
		rte_ring_free(queue->backend->outbox);
		unit_assert_pool_full(queue->xmit_pool);
		rte_mempool_free(queue->xmit_pool);
	}
	free(queue->backend);
	if (queue->pool != bed->source_pool) {
		unit_assert_pool_full(queue->pool);
		rte_mempool_free(queue->pool);
	}
}

void
bed_free(struct bed *bed)
{
	struct rte_mbuf *packets[VMQ_BURST];
	unsigned int i;
	uint16_t n;

	vmq_datapath_stop(bed->dp);
	present = NULL;
	bed_assert_balance(bed);
	while (bed->wire != NULL &&
		(n = rte_eth_rx_burst(vmq_port_id(bed->wire), 0, packets, VMQ_BURST)) > 0)
		rte_pktmbuf_free_bulk(packets, n);
	for (i = 0; i < BED_QUEUES; i++)
		free_queue(bed, &bed->queues[i]);
	vmq_dp_uplink_free(bed->uplink);
	vmq_dp_source_free(bed->source);
	vmq_datapath_free(bed->dp);
	vmq_filter_set_free(bed->filters);
	unit_assert_nothing_left(&bed->before);
	/* What was sent and never received is in net_ring's ring. */
	while (bed->options.capture == NULL &&
		(n = rte_eth_rx_burst(vmq_port_id(bed->port), 0, packets, VMQ_BURST)) > 0)
		rte_pktmbuf_free_bulk(packets, n);
	vmq_port_stop(bed->port);
	vmq_port_close(bed->port);
	vmq_port_close(bed->wire);
	unit_assert_pool_full(bed->source_pool);
	rte_mempool_free(bed->source_pool);
	free(bed);
}

struct rte_mbuf *
bed_packet(struct bed *bed, unsigned int queue)
{
	uint8_t bytes[FRAME_BYTES] = {2, 0, 0, 0, 0, (uint8_t)(queue == 0 ? 0xee : queue)};
	uint32_t number = bed->next_number++;

	unit_fill(bytes + 18, sizeof(bytes) - 18, number);
	bytes[12] = 0x88; /* an EtherType for experiments */
	bytes[13] = 0xb5;
	memcpy(bytes + NUMBER_OFFSET, &number, sizeof(number));
	return unit_packet(bed->source_pool, bytes, sizeof(bytes));
}

static void
nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

void
bed_send(struct bed *bed, struct rte_mbuf **packets, unsigned int n)
{
	unsigned int sent = 0, naps = 0;

	while (sent < n) {
		sent += rte_eth_tx_burst(vmq_port_id(bed->port), 0, packets + sent,
			(uint16_t)(n - sent));
		if (sent < n) {
			assert_true(naps++ < 100000);
			nap();
		}
	}
}

void
bed_send_to(struct bed *bed, unsigned int queue, unsigned int n)
{
	struct rte_mbuf *packets[VMQ_BURST];
	unsigned int i, m;

	for (; n > 0; n -= m) {
		m = RTE_MIN(n, (unsigned int)VMQ_BURST);
		for (i = 0; i < m; i++)
			packets[i] = bed_packet(bed, queue);
		bed_send(bed, packets, m);
	}
}

void
bed_stats(const struct bed *bed, unsigned int queue, struct vmq_dp_queue_stats *stats)
{
	vmq_dp_queue_stats_get(bed->queues[queue].dp, stats);
}

void
bed_vm_sends(struct bed *bed, unsigned int queue, struct rte_mbuf *packet)
{
	unsigned int naps = 0;

	while (rte_ring_sp_enqueue(bed->queues[queue].backend->outbox, packet) < 0) {
		assert_true(naps++ < 100000);
		nap();
	}
}

static bool
has_been_sent(void *arg)
{
	const struct bed *bed = arg;
	struct vmq_dp_tx_stats stats;
	unsigned int i;

	for (i = 0; i < BED_QUEUES; i++) {
		vmq_dp_queue_tx_stats_get(bed->queues[i].dp, &stats);
		if (!rte_ring_empty(bed->queues[i].backend->outbox) || stats.waiting > 0)
			return false;
	}
	return true;
}

void
bed_settle_sent(struct bed *bed)
{
	unsigned int i;

	/* Again once what was taken from an outbox at that moment has been counted. */
	for (i = 0; i < 2; i++) {
		assert_true(unit_wait(has_been_sent, bed));
		vmq_datapath_synchronize(bed->dp);
	}
	assert_true(has_been_sent(bed));
	bed_assert_balance(bed);
}

uint16_t
bed_wire(struct bed *bed, struct rte_mbuf **packets, uint16_t n)
{
	uint16_t got = 0, m;

	do {
		m = rte_eth_rx_burst(vmq_port_id(bed->wire), 0, packets + got, n - got);
		got += m;
	} while (m > 0 && got < n);
	return got;
}

struct movement {
	const struct bed *bed;
	uint64_t wanted; /* received in all */
	uint64_t last; /* delivered and dropped in all, when it was last looked at */
	unsigned int quiet;
};

static bool
is_settled(void *arg)
{
	struct movement *movement = arg;
	uint64_t received = 0, done = 0;
	struct vmq_dp_queue_stats stats;
	struct vmq_worker_stats worker;
	unsigned int i;

	for (i = 0; i < BED_QUEUES; i++) {
		bed_stats(movement->bed, i, &stats);
		received += stats.received;
		done += stats.delivered + stats.dropped;
	}
	/* Quiet is: nothing has moved while the workers made their turns. */
	for (i = 0; i < UNIT_WORKERS; i++)
		vmq_worker_stats_get(movement->bed->dp, (uint16_t)i, &worker);
	if (received < movement->wanted || done != movement->last) {
		movement->last = done;
		movement->quiet = 0;
		return false;
	}
	vmq_datapath_synchronize(movement->bed->dp);
	return ++movement->quiet > 1;
}

void
bed_settle(struct bed *bed, uint64_t received)
{
	struct movement movement = {.bed = bed, .wanted = received};
	struct vmq_dp_queue_stats stats;
	uint64_t total = 0;
	unsigned int i;

	assert_true(unit_wait(is_settled, &movement));
	for (i = 0; i < BED_QUEUES; i++) {
		bed_stats(bed, i, &stats);
		total += stats.received;
	}
	assert_int_equal(total, received);
	bed_assert_balance(bed);
}

void
bed_assert_balance(const struct bed *bed)
{
	struct vmq_dp_queue_stats stats;
	struct vmq_dp_tx_stats tx;
	uint64_t dropped;
	unsigned int i, j;

	for (i = 0; i < BED_QUEUES; i++) {
		bed_stats(bed, i, &stats);
		for (j = 0, dropped = 0; j < VMQ_DROP_COUNT; j++)
			dropped += stats.drops[j];
		assert_int_equal(stats.dropped, dropped);
		assert_int_equal(stats.received, stats.delivered + stats.dropped + stats.waiting);
		assert_int_equal(bed->queues[i].backend->foreign, 0);
		assert_int_equal(bed->queues[i].backend->late, 0);
		vmq_dp_queue_tx_stats_get(bed->queues[i].dp, &tx);
		for (j = 0, dropped = 0; j < VMQ_TX_DROP_COUNT; j++)
			dropped += tx.drops[j];
		assert_int_equal(tx.dropped, dropped);
		assert_int_equal(tx.received, tx.sent + tx.local + tx.dropped + tx.waiting);
	}
}

void
bed_assert_seen(const struct bed *bed, unsigned int queue, uint32_t first, uint32_t n,
	uint32_t step)
{
	const struct bed_backend *backend = bed->queues[queue].backend;
	uint32_t i;

	assert_int_equal(backend->n_seen, n);
	assert_true(n <= BED_SEEN_MAX);
	for (i = 0; i < n; i++)
		assert_int_equal(backend->seen[i], first + i * step);
}
