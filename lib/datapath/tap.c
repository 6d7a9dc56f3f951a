/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Copies of a queue's packets, for whoever looks on. */

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_lcore.h>

#include "dp_private.h"

/*
 * Room of all rings together, and of one: what comes in while the control thread is
 * away. 4 MiB are 30,000 packets of 100 bytes, 30 ms at 1 Mpps.
 */
#define TAP_BYTES (16 << 20)
#define TAP_RING_MAX (4 << 20)
#define TAP_RING_MIN (256 << 10)

#define RECORD_ALIGN 8

/*
 * Time that may be saved up for a sudden load; what an idle worker's time is worth more
 * than a busy one's, with a share of 1024 a half of it; and what one packet may count as at
 * most: a worker that loses its CPU in the midst has not copied all that time.
 */
#define CREDIT_MS 25
#define CREDIT_FIRST_MS 2 /* to begin with: some thousand packets, however slow they are copied */
#define IDLE_TIMES 512
#define PACKET_CYCLES_MAX 1000

/* What stands before a packet's bytes. */
struct record {
	uint64_t time_ns; /* RECORD_SKIP: the rest of the ring is empty */
	uint32_t length;
	uint32_t kept;
	uint16_t kind;
	uint16_t vlan_tci;
	bool tag_beside;
};

#define RECORD_SKIP UINT64_MAX

/* kind */
#define KIND_DELIVERED 0
#define KIND_DROP 1 /* and the reason */
#define KIND_TX_DROP 0x100 /* and the reason */

/* One thread's packets: bytes with one writer and one reader. */
struct tap_ring {
	/* the thread; bytes ever written, and packets without room */
	_Atomic uint64_t head;
	vmq_counter_t lost;
	const struct worker *worker; /* NULL: the control thread */
	bool full; /* until a quarter is free: not packet by packet */
	int64_t credit; /* TSC cycles that it may spend */
	uint64_t credited; /* until then */
	uint64_t idle; /* TSC cycles of its worker's that have been credited */
	/* control; bytes ever read */
	_Atomic uint64_t tail __rte_cache_aligned;
	uint8_t bytes[] __rte_cache_aligned;
};

struct vmq_dp_tap {
	struct vmq_datapath *dp;
	uint64_t what; /* VMQ_TAP_* */
	uint32_t snaplen;
	uint32_t share; /* it costs a busy worker at most 1/share of its time; 0: no bound */
	uint32_t ring_bytes; /* a power of two */
	struct tap_ring *rings[RTE_MAX_LCORE]; /* by lcore; NULL: none of ours */

	/* control */
	struct tap_ring *current; /* has the packet that was last given out */
	uint64_t current_end;
	bool closing;
	uint64_t token; /* of the grace period that closing waits for */
};

static struct tap_ring *
create_ring(uint32_t bytes)
{
	struct tap_ring *ring;

	if (posix_memalign((void **)&ring, RTE_CACHE_LINE_SIZE, sizeof(*ring) + bytes) != 0)
		return NULL;
	/* Written once, so that no worker has to wait for the kernel's pages. */
	memset(ring, 0, sizeof(*ring) + bytes);
	return ring;
}

/* Some to begin with, and nothing for the time before. */
static void
start_credit(const struct vmq_dp_tap *tap, struct tap_ring *ring)
{
	if (tap->share == 0)
		return;
	ring->credited = rte_rdtsc();
	ring->credit = (int64_t)(rte_get_tsc_hz() / 1000 * CREDIT_FIRST_MS);
	if (ring->worker != NULL)
		ring->idle = vmq_counter_get(&ring->worker->cycles) -
			vmq_counter_get(&ring->worker->busy_cycles);
}

struct vmq_dp_tap *
vmq_dp_tap_create(struct vmq_datapath *dp, uint64_t what, uint32_t snaplen, uint32_t share)
{
	struct vmq_dp_tap *tap = calloc(1, sizeof(*tap));
	unsigned int lcore;
	uint16_t i;

	if (tap == NULL)
		goto no_memory;
	tap->dp = dp;
	tap->what = what;
	tap->snaplen = snaplen;
	tap->share = share;
	tap->ring_bytes = rte_align32prevpow2(TAP_BYTES / (dp->n_workers + 1u));
	if (tap->ring_bytes > TAP_RING_MAX)
		tap->ring_bytes = TAP_RING_MAX;
	else if (tap->ring_bytes < TAP_RING_MIN)
		tap->ring_bytes = TAP_RING_MIN;
	/* The control thread throws away what waits in a queue that stops. */
	for (i = 0; i <= dp->n_workers; i++) {
		lcore = i < dp->n_workers ? dp->workers[i].lcore_id : rte_get_main_lcore();
		if (tap->rings[lcore] != NULL)
			continue;
		tap->rings[lcore] = create_ring(tap->ring_bytes);
		if (tap->rings[lcore] == NULL)
			goto no_memory;
		if (i < dp->n_workers)
			tap->rings[lcore]->worker = &dp->workers[i];
		start_credit(tap, tap->rings[lcore]);
	}
	return tap;

no_memory:
	vmq_dp_tap_free(tap);
	rte_errno = ENOMEM;
	return NULL;
}

void
vmq_dp_tap_free(struct vmq_dp_tap *tap)
{
	unsigned int i;

	if (tap == NULL)
		return;
	for (i = 0; i < RTE_MAX_LCORE; i++)
		free(tap->rings[i]);
	free(tap);
}

/* The writers. */

/* Is there time, and room, for a burst? */
static bool
may_write(const struct vmq_dp_tap *tap, struct tap_ring *ring, uint64_t head, uint64_t now)
{
	const int64_t most = (int64_t)(rte_get_tsc_hz() / 1000 * CREDIT_MS);
	uint64_t tail, idle;

	if (tap->share > 0) {
		ring->credit += (int64_t)((now - ring->credited) / tap->share);
		ring->credited = now;
		if (ring->worker != NULL) {
			idle = vmq_counter_get(&ring->worker->cycles) -
				vmq_counter_get(&ring->worker->busy_cycles);
			ring->credit += (int64_t)((idle - ring->idle) * IDLE_TIMES / tap->share);
			ring->idle = idle;
		}
		ring->credit = RTE_MIN(ring->credit, most);
		if (ring->credit <= 0)
			return false;
	}
	if (!ring->full)
		return true;
	tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
	ring->full = tap->ring_bytes - (head - tail) < tap->ring_bytes / 4;
	return !ring->full;
}

/* For n packets; those that there is no room or time for are counted at once. */
static void
begin(const struct vmq_dp_tap *tap, struct tap_writer *writer, uint16_t n)
{
	const unsigned int lcore = rte_lcore_id();
	struct timespec now;

	writer->ring = lcore < RTE_MAX_LCORE ? tap->rings[lcore] : NULL;
	if (writer->ring == NULL)
		return;
	writer->head = atomic_load_explicit(&writer->ring->head, memory_order_relaxed);
	writer->lost = 0;
	writer->begun = rte_rdtsc();
	if (!may_write(tap, writer->ring, writer->head, writer->begun)) {
		vmq_counter_add(&writer->ring->lost, n);
		writer->ring = NULL;
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now); /* no system call on the machines that there are */
	writer->time_ns = (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void
charge(const struct tap_writer *writer, uint16_t n)
{
	const uint64_t spent = rte_rdtsc() - writer->begun;

	writer->ring->credit -= (int64_t)RTE_MIN(spent, (uint64_t)n * PACKET_CYCLES_MAX);
}

static void
put(const struct vmq_dp_tap *tap, struct tap_writer *writer, const struct rte_mbuf *packet,
	uint16_t kind)
{
	const uint32_t kept = RTE_MIN(packet->pkt_len, tap->snaplen);
	const uint32_t total = RTE_ALIGN_CEIL((uint32_t)sizeof(struct record) + kept, RECORD_ALIGN);
	const uint64_t tail = atomic_load_explicit(&writer->ring->tail, memory_order_acquire);
	uint64_t head = writer->head;
	uint32_t at = head & (tap->ring_bytes - 1);
	struct record *record;
	const void *bytes;

	/* A packet lies in one piece. */
	if (at + total > tap->ring_bytes)
		head += tap->ring_bytes - at;
	if (head + total - tail > tap->ring_bytes) {
		writer->ring->full = true;
		writer->lost++;
		return;
	}
	if (head != writer->head)
		((struct record *)(writer->ring->bytes + at))->time_ns = RECORD_SKIP;
	record = (struct record *)(writer->ring->bytes + (head & (tap->ring_bytes - 1)));
	*record = (struct record){
		.time_ns = writer->time_ns,
		.length = packet->pkt_len,
		.kept = kept,
		.kind = kind,
		.vlan_tci = packet->vlan_tci,
		.tag_beside = (packet->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0,
	};
	bytes = rte_pktmbuf_read(packet, 0, kept, record + 1);
	if (bytes != record + 1)
		memcpy(record + 1, bytes, kept);
	writer->head = head + total;
}

static void
commit(struct tap_ring *ring, uint64_t head, uint64_t lost)
{
	atomic_store_explicit(&ring->head, head, memory_order_release);
	if (lost > 0)
		vmq_counter_add(&ring->lost, lost);
}

void
tap_before(const struct vmq_dp_tap *tap, struct tap_burst *burst, struct rte_mbuf **packets,
	uint16_t n)
{
	uint16_t i;

	burst->writer.ring = NULL;
	if ((tap->what & VMQ_TAP_DELIVERED) == 0)
		return;
	begin(tap, &burst->writer, n);
	if (burst->writer.ring == NULL)
		return;
	for (i = 0; i < n; i++) {
		put(tap, &burst->writer, packets[i], KIND_DELIVERED);
		burst->heads[i] = burst->writer.head;
		burst->lost[i] = burst->writer.lost;
	}
	charge(&burst->writer, n);
}

void
tap_after(struct tap_burst *burst, uint16_t taken)
{
	if (burst->writer.ring != NULL && taken > 0)
		commit(burst->writer.ring, burst->heads[taken - 1], burst->lost[taken - 1]);
}

static void
put_all(const struct vmq_dp_tap *tap, uint16_t kind, struct rte_mbuf *const *packets, uint16_t n)
{
	struct tap_writer writer;
	uint16_t i;

	begin(tap, &writer, n);
	if (writer.ring == NULL)
		return;
	for (i = 0; i < n; i++)
		put(tap, &writer, packets[i], kind);
	commit(writer.ring, writer.head, writer.lost);
	charge(&writer, n);
}

void
tap_drop(const struct vmq_dp_tap *tap, enum vmq_drop reason, struct rte_mbuf *const *packets,
	uint16_t n)
{
	if (tap->what & VMQ_TAP_DROP(reason))
		put_all(tap, KIND_DROP + reason, packets, n);
}

void
tap_tx_drop(const struct vmq_dp_tap *tap, enum vmq_tx_drop reason, struct rte_mbuf *const *packets,
	uint16_t n)
{
	if (tap->what & VMQ_TAP_TX_DROP(reason))
		put_all(tap, KIND_TX_DROP + reason, packets, n);
}

/* The reader: control thread. */

/* The next record of a ring, NULL: none. */
static const struct record *
peek(const struct vmq_dp_tap *tap, struct tap_ring *ring)
{
	const uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	const uint32_t mask = tap->ring_bytes - 1;
	const struct record *record;

	if (tail == head)
		return NULL;
	record = (const struct record *)(ring->bytes + (tail & mask));
	if (record->time_ns != RECORD_SKIP)
		return record;
	tail += tap->ring_bytes - (tail & mask);
	atomic_store_explicit(&ring->tail, tail, memory_order_release);
	return tail == head ? NULL : (const struct record *)ring->bytes;
}

/* What was given out last has been read. */
static void
release(struct vmq_dp_tap *tap)
{
	if (tap->current != NULL)
		atomic_store_explicit(&tap->current->tail, tap->current_end, memory_order_release);
	tap->current = NULL;
}

bool
vmq_dp_tap_next(struct vmq_dp_tap *tap, struct vmq_dp_tap_packet *packet)
{
	const struct record *record, *first = NULL;
	unsigned int i;

	release(tap);
	for (i = 0; i < RTE_MAX_LCORE; i++) {
		record = tap->rings[i] != NULL ? peek(tap, tap->rings[i]) : NULL;
		if (record == NULL || (first != NULL && first->time_ns <= record->time_ns))
			continue;
		first = record;
		tap->current = tap->rings[i];
	}
	if (first == NULL)
		return false;
	tap->current_end = atomic_load_explicit(&tap->current->tail, memory_order_relaxed) +
		RTE_ALIGN_CEIL((uint32_t)sizeof(*first) + first->kept, RECORD_ALIGN);
	*packet = (struct vmq_dp_tap_packet){
		.time_ns = first->time_ns,
		.length = first->length,
		.kept = first->kept,
		.data = first + 1,
		.tag_beside = first->tag_beside,
		.vlan_tci = first->vlan_tci,
		.from_vm = first->kind >= KIND_TX_DROP,
	};
	if (first->kind >= KIND_TX_DROP)
		packet->drop = vmq_tx_drop_name(first->kind - KIND_TX_DROP);
	else if (first->kind >= KIND_DROP)
		packet->drop = vmq_drop_name(first->kind - KIND_DROP);
	return true;
}

uint64_t
vmq_dp_tap_lost(const struct vmq_dp_tap *tap)
{
	uint64_t lost = 0;
	unsigned int i;

	for (i = 0; i < RTE_MAX_LCORE; i++)
		if (tap->rings[i] != NULL)
			lost += vmq_counter_get(&tap->rings[i]->lost);
	return lost;
}

bool
vmq_dp_tap_is_quiet(struct vmq_dp_tap *tap)
{
	/* One period: no worker remembers a tap from one turn to the next. */
	if (!tap->closing)
		tap->token = begin_grace_period(tap->dp);
	tap->closing = true;
	return rte_rcu_qsbr_check(tap->dp->rcu, tap->token, false) == 1;
}
