/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/membarrier.h>

#include <rte_cycles.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_jhash.h>

#include "vhost_private.h"

/*
 * What a burst costs at most with an honest VM, in TSC cycles. Measured on a 2.6 GHz
 * virtual machine: 60 to 120 for each packet of 64 bytes, 1000 to 1500 of 1518 bytes in
 * memory that is not cached. The bounds are well above, so that a busy machine is not
 * taken for a hostile guest.
 */
#define HONEST_BURST_CYCLES 6000
#define HONEST_PACKET_CYCLES 3000

/*
 * What bursts took longer is owed, and a PAUSE_TIMES-th of all time is forgiven: more than
 * that, and OWED_MAX_US, no VM takes from the others for long. A burst of one that owes more
 * is a strike: the VM pauses so many times what it took too long, up to PAUSE_MAX_US (a ninth
 * of the time is left to bursts of OWED_BURST_US then), and the next burst is half as long.
 *
 * One slow burst, or some, are nobody's fault: the host of a virtual machine takes its CPU
 * away for milliseconds, and no count of ours shows it. So a burst adds as much as a VM can
 * bring about in one, 32 chains of 256 descriptors each, and not more.
 */
#define PAUSE_TIMES 16
#define PAUSE_MAX_US 2000
#define OWED_BURST_US 250
#define OWED_MAX_US 2000

/*
 * A ring that was full is left alone for this time for each of its descriptors: a VM that
 * takes 50 million packets a second has emptied half of it then. To look each turn would
 * take the line with the ring's index away from the VM again and again.
 *
 * A slower VM has made room for a few packets only by then. To fill the ring up with these at
 * each look costs both sides a burst's effort for each: 16 VMs got 16 million packets a second
 * together where whole bursts bring them 26. So the pause is doubled while less than
 * WHOLE_BURSTS_MIN fit in after it. No VM is without work in it: of a ring that was full one
 * that takes 6 million packets a second has not emptied the half.
 */
#define FULL_PAUSE_NS 10
#define FULL_DOUBLINGS_MAX 3
#define WHOLE_BURSTS_MIN 4
#define WHOLE_BURSTS_MAX 16 /* from then on the pause is halved */

/* Bursts without packets after which it is looked whether there are buffers. */
#define SHORT_EVERY 8

/* By then what a CPU has stored is seen by all others. */
#define BARRIER_US 10000

/* How long the worker may be inside before somebody is told that it takes long. */
#define GATE_WARN_SECONDS 1

bool vhost_gate_is_light;

static int
membarrier(int command)
{
	return (int)syscall(SYS_membarrier, command, 0);
}

void
vhost_gate_prepare(void)
{
	if (!vhost_gate_is_light)
		vhost_gate_is_light = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
}

/* What this thread has stored is seen by who goes in from now on, or they are inside. */
static void
make_seen(void)
{
	/* Who is registered is not refused; else a store is seen by all long before that time. */
	if (vhost_gate_is_light && membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) < 0)
		rte_delay_us_sleep(BARRIER_US);
	else if (!vhost_gate_is_light)
		atomic_thread_fence(memory_order_seq_cst);
}

static void
wait_for(struct vhost_gate *gate, enum vhost_visitor visitor)
{
	const uint64_t warn = rte_get_tsc_cycles() + GATE_WARN_SECONDS * rte_get_tsc_hz();
	bool warned = false;

	while (atomic_load(&gate->visitors[visitor].inside)) {
		sched_yield();
		if (!warned && rte_get_tsc_cycles() > warn) {
			warned = true;
			VMQ_LOG(WARNING, "a worker is within one burst to a VM for %d s already\n",
				GATE_WARN_SECONDS);
		}
	}
}

void
vhost_gate_shut(struct vhost_gate *gate)
{
	atomic_store(&gate->vid, VHOST_NOBODY);
	make_seen();
	wait_for(gate, VHOST_WORKER);
	wait_for(gate, VHOST_WATCH);
}

void
vhost_gate_wait(struct vhost_gate *gate, enum vhost_visitor visitor)
{
	make_seen();
	wait_for(gate, visitor);
}

/*
 * How often this thread has lost its CPU to another one, and touched a page first, since the
 * last look: a system call, only made for a burst that was slow. When the thread waits itself
 * that does not count as a loss: a worker naps between bursts, and within one it waits for
 * nothing but memory of the VM's that is not there.
 */
static void
look_at_thread(struct vhost_meter *meter, uint64_t *losses, uint64_t *touches)
{
	struct rusage usage;

	*losses = *touches = 0;
	if (getrusage(RUSAGE_THREAD, &usage) < 0)
		return;
	*losses = (uint64_t)usage.ru_nivcsw - meter->cpu_losses;
	*touches = (uint64_t)(usage.ru_minflt + usage.ru_majflt) - meter->touches;
	meter->cpu_losses += *losses;
	meter->touches += *touches;
}

/*
 * Whoever touches a page first waits until the kernel has mapped or cleared it. That takes the
 * worker's time, so that a VM with cold memory has its pauses too; but it is no reason to cut it
 * off, until all of its pages have been touched: one that takes them back and gives new ones
 * again and again is no better than others. Returns whether that explains the excess.
 */
static bool
is_cold(struct vhost_backend *vhost, uint64_t touches, uint64_t excess)
{
	const uint64_t left = atomic_load_explicit(&vhost->cold_cycles, memory_order_relaxed);
	const uint64_t cold = RTE_MIN(left, touches *
		atomic_load_explicit(&vhost->cold_page_cycles, memory_order_relaxed));

	atomic_store_explicit(&vhost->cold_cycles, left - RTE_MIN(cold, excess),
		memory_order_relaxed);
	return cold >= excess;
}

/* A burst that has ended now took longer than an honest one. */
static void
owe(struct vhost_backend *vhost, struct vhost_meter *meter, uint64_t now, uint64_t excess)
{
	const uint64_t us = rte_get_tsc_hz() / US_PER_S;
	const uint64_t forgiven = (now - meter->owed_at) / PAUSE_TIMES;
	uint64_t losses, touches;
	bool cold;

	look_at_thread(meter, &losses, &touches);
	if (losses > 0)
		return; /* somebody else had the CPU: that was perhaps all */
	cold = is_cold(vhost, touches, excess);
	meter->owed -= RTE_MIN(forgiven, meter->owed);
	meter->owed += RTE_MIN(excess, OWED_BURST_US * us);
	meter->owed_at = now;
	if (meter->owed <= OWED_MAX_US * us)
		return;
	/* Not for ever: whoever is honest from now on is soon so again. */
	meter->owed = RTE_MIN(meter->owed, 2 * OWED_MAX_US * us);
	vmq_counter_add(&meter->strikes, !cold);
	meter->quota = RTE_MAX(meter->quota / 2, 1);
	meter->pause_until = now + RTE_MIN(excess * PAUSE_TIMES, PAUSE_MAX_US * us);
}

/* Account a burst that has just ended. */
static inline void
account(struct vhost_backend *vhost, struct vhost_meter *meter, uint64_t began,
	struct rte_mbuf *const *packets, uint16_t n)
{
	const uint64_t now = rte_rdtsc(), cycles = now - began;
	uint64_t honest = HONEST_BURST_CYCLES + n * HONEST_PACKET_CYCLES;

	vmq_counter_add(&meter->bursts, 1);
	vmq_counter_add(&meter->packets, n);
	if (likely(cycles <= honest)) {
		meter->quota = RTE_MIN(meter->quota * 2, VMQ_BURST);
		return;
	}
	honest += vmq_packets_bytes(packets, n);
	if (cycles > honest)
		owe(vhost, meter, now, cycles - honest);
}

/* The same number for all packets of a flow. */
static uint32_t
flow_of(const struct rte_mbuf *packet)
{
	const struct rte_ether_hdr *ether;
	const struct rte_ipv4_hdr *ipv4;
	const struct rte_ipv6_hdr *ipv6;
	uint32_t ports = 0, at = sizeof(*ether), room = packet->data_len;
	uint16_t type;

	if (packet->ol_flags & RTE_MBUF_F_RX_RSS_HASH)
		return packet->hash.rss;
	if (room < sizeof(*ether))
		return 0;
	ether = rte_pktmbuf_mtod(packet, const struct rte_ether_hdr *);
	type = ether->ether_type;
	if (type == rte_cpu_to_be_16(RTE_ETHER_TYPE_VLAN) &&
		room >= at + sizeof(struct rte_vlan_hdr)) {
		type = rte_pktmbuf_mtod_offset(packet, const struct rte_vlan_hdr *, at)->eth_proto;
		at += sizeof(struct rte_vlan_hdr);
	}
	if (type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4) && room >= at + sizeof(*ipv4)) {
		ipv4 = rte_pktmbuf_mtod_offset(packet, const struct rte_ipv4_hdr *, at);
		at += rte_ipv4_hdr_len(ipv4);
		/* Ports only where each fragment of the flow would have them. */
		if ((ipv4->fragment_offset & rte_cpu_to_be_16(~RTE_IPV4_HDR_DF_FLAG)) == 0 &&
			(ipv4->next_proto_id == IPPROTO_TCP || ipv4->next_proto_id == IPPROTO_UDP) &&
			room >= at + sizeof(ports))
			ports = *rte_pktmbuf_mtod_offset(packet, const unaligned_uint32_t *, at);
		return rte_jhash_3words(ipv4->src_addr, ipv4->dst_addr, ports,
			ipv4->next_proto_id);
	}
	if (type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6) && room >= at + sizeof(*ipv6)) {
		ipv6 = rte_pktmbuf_mtod_offset(packet, const struct rte_ipv6_hdr *, at);
		at += sizeof(*ipv6);
		if ((ipv6->proto == IPPROTO_TCP || ipv6->proto == IPPROTO_UDP) &&
			room >= at + sizeof(ports))
			ports = *rte_pktmbuf_mtod_offset(packet, const unaligned_uint32_t *, at);
		/* Both addresses lie side by side. */
		return rte_jhash(&ipv6->src_addr, 2 * sizeof(ipv6->src_addr), ports);
	}
	return rte_jhash(ether, 2 * sizeof(ether->dst_addr), 0);
}

/*
 * Spread packets over the enabled rings, those of a flow to the same one. Returns how
 * many were taken: they are first in packets then, each flow still in order.
 */
static uint16_t
spread(int vid, uint32_t rings, struct rte_mbuf **packets, uint16_t n)
{
	struct rte_mbuf *all[VMQ_BURST], *part[VMQ_BURST], *left[VMQ_BURST];
	uint8_t ring_of[VMQ_BURST], ids[32];
	uint16_t i, n_part, taken, done = 0, n_left = 0;
	uint32_t n_rings = 0, ring;

	for (; rings != 0; rings &= rings - 1)
		ids[n_rings++] = (uint8_t)__builtin_ctz(rings);
	for (i = 0; i < n; i++) {
		all[i] = packets[i];
		ring_of[i] = (uint8_t)(flow_of(packets[i]) % n_rings);
	}
	for (ring = 0; ring < n_rings; ring++) {
		n_part = 0;
		for (i = 0; i < n; i++)
			if (ring_of[i] == ring)
				part[n_part++] = all[i];
		if (n_part == 0)
			continue;
		taken = rte_vhost_enqueue_burst(vid, RING_TO_VM(ids[ring]), part, n_part);
		for (i = 0; i < taken; i++)
			packets[done++] = part[i];
		for (; i < n_part; i++)
			left[n_left++] = part[i];
	}
	for (i = 0; i < n_left; i++)
		packets[done + i] = left[i];
	return done;
}

/* Nobody is there. */
static uint16_t
let_go(struct vhost_backend *vhost, struct rte_mbuf **packets, uint16_t n)
{
	uint64_t bytes = vmq_packets_bytes(packets, n);

	rte_pktmbuf_free_bulk(packets, n);
	vmq_counter_add(&vhost->disconnected, n);
	vmq_counter_add(&vhost->disconnected_bytes, bytes);
	return n;
}

/* A ring is full: TSC cycles that it is left alone. */
static uint64_t
ring_pause(struct vhost_backend *vhost, int vid, uint16_t ring)
{
	struct rte_vhost_vring vring;

	if (vhost->whole_bursts < WHOLE_BURSTS_MIN)
		vhost->full_doublings += vhost->full_doublings < FULL_DOUBLINGS_MAX;
	else if (vhost->whole_bursts > WHOLE_BURSTS_MAX)
		vhost->full_doublings -= vhost->full_doublings > 0;
	vhost->whole_bursts = 0;
	if (rte_vhost_get_vhost_vring(vid, ring, &vring) < 0)
		return 0;
	return (vring.size * FULL_PAUSE_NS * (rte_get_tsc_hz() / MS_PER_S) /
		(NS_PER_S / MS_PER_S)) << vhost->full_doublings;
}

/* Put packets into the only ring. Returns how many, from the first on. */
static inline uint16_t
fill_ring(struct vhost_backend *vhost, int vid, uint16_t ring, struct rte_mbuf **packets,
	uint16_t n)
{
	uint16_t taken;
	bool full;

	/* By now all has arrived that was put there by the last burst. */
	if (vhost->shortcut.to_tell)
		vhost_shortcut_tell(vhost, vid);
	taken = vhost_shortcut_burst(vhost, vid, ring, packets, n, &full);
	if (unlikely(taken < n) && !full)
		taken += rte_vhost_enqueue_burst(vid, ring, packets + taken, n - taken);
	if (likely(n == VMQ_BURST && taken == n)) {
		vhost_ahead_fetch(&vhost->ahead, vid,
			atomic_load_explicit(&vhost->gate.epoch, memory_order_relaxed), ring,
			VMQ_BURST, vhost->ahead.in_halves ? VHOST_FIRST_HALF : VHOST_ALL);
		vhost->ahead.in_halves = false;
	} else if (vhost->shortcut.to_tell) {
		/* A burst that is not full: the next one comes when it comes. */
		vhost_shortcut_tell(vhost, vid);
	}
	return taken;
}

uint16_t
vhost_tx_burst(struct vmq_backend *backend, struct rte_mbuf **packets, uint16_t n)
{
	struct vhost_backend *vhost = vhost_of(backend);
	struct vhost_meter *meter = &vhost->to_vm;
	uint32_t rings, max_frame;
	uint64_t began = rte_rdtsc(), full_pause = 0;
	uint16_t ring, i, taken;
	int vid;

	/* Not if nobody is there: then it is let go. */
	if (unlikely(began < meter->pause_until) &&
		atomic_load_explicit(&vhost->gate.vid, memory_order_relaxed) != VHOST_NOBODY)
		return 0;
	vid = vhost_gate_enter(&vhost->gate, VHOST_WORKER);
	rings = atomic_load_explicit(&vhost->gate.to_vm, memory_order_relaxed);
	if (unlikely(vid == VHOST_NOBODY))
		return let_go(vhost, packets, n);
	if (unlikely(rings == 0)) {
		vhost_gate_leave(&vhost->gate, VHOST_WORKER);
		return let_go(vhost, packets, n);
	}
	n = RTE_MIN(n, meter->quota);
	max_frame = atomic_load_explicit(&vhost->gate.max_frame, memory_order_relaxed);
	/* What does not fit the VM's buffers would stay at the head of the queue for ever. */
	for (i = max_frame == UINT32_MAX ? n : 0; i < n && packets[i]->pkt_len <= max_frame; i++)
		;
	if (unlikely(i == 0)) {
		vhost_gate_leave(&vhost->gate, VHOST_WORKER);
		rte_pktmbuf_free(packets[0]);
		vmq_counter_add(&vhost->failed, 1);
		return 1;
	}
	ring = RING_TO_VM(__builtin_ctz(rings));
	if (likely((rings & (rings - 1)) == 0)) {
		taken = fill_ring(vhost, vid, ring, packets, i);
	} else {
		taken = spread(vid, rings, packets, i);
	}
	account(vhost, meter, began, packets, taken);
	if (likely(taken == i))
		vhost->whole_bursts += vhost->whole_bursts < UINT16_MAX;
	else
		full_pause = ring_pause(vhost, vid, ring);
	vhost_gate_leave(&vhost->gate, VHOST_WORKER);

	if (taken < i) {
		vmq_counter_add(&vhost->ring_full, 1);
		/* Of several rings the others may have room. */
		if ((rings & (rings - 1)) == 0)
			meter->pause_until = RTE_MAX(meter->pause_until, began + full_pause);
	}
	vmq_packets_free(packets, taken);
	return taken;
}

void
vhost_tx_fetch(struct vmq_backend *backend)
{
	struct vhost_backend *vhost = vhost_of(backend);
	const uint32_t rings = atomic_load_explicit(&vhost->gate.to_vm, memory_order_relaxed);
	int vid;

	/* Of several rings nobody knows which one it will be. */
	if ((rings & (rings - 1)) != 0)
		return;
	vhost_ahead_fetch_index(&vhost->ahead);
	vid = vhost_gate_enter(&vhost->gate, VHOST_WORKER);
	if (unlikely(vid == VHOST_NOBODY))
		return;
	/* A burst that was announced: the next one will be, too, and its second half here. */
	vhost_ahead_fetch(&vhost->ahead, vid,
		atomic_load_explicit(&vhost->gate.epoch, memory_order_relaxed),
		vhost->ahead.to_vm.number, VMQ_BURST, VHOST_SECOND_HALF);
	vhost->ahead.in_halves = true;
	vhost_gate_leave(&vhost->gate, VHOST_WORKER);
}

/* How far a ring's index may run ahead before it was set anew, not used up. */
#define LOST_MAX (2 * VMQ_BURST)

/* Before the first burst from a ring of a device: where its index is. */
static inline void
learn_index(struct vhost_backend *vhost, int vid, uint32_t pair)
{
	const uint32_t devices = atomic_load_explicit(&vhost->gate.devices, memory_order_relaxed);
	const uint32_t bit = UINT32_C(1) << pair;
	uint16_t index, used;

	if (unlikely(devices != vhost->devices)) {
		vhost->devices = devices;
		vhost->index_known = 0;
		vhost->was_empty = 0;
	}
	if (likely((vhost->index_known & bit) != 0) || pair >= RTE_DIM(vhost->next_index) ||
		rte_vhost_get_vring_base(vid, RING_FROM_VM(pair), &index, &used) < 0)
		return;
	vhost->next_index[pair] = index;
	vhost->index_known |= bit;
}

/*
 * librte_vhost drops a frame that is empty, or longer than a buffer, without a word, and
 * ends the burst there: after a burst that is short the ring's index tells.
 *
 * Of a split ring it counts frames. That of a packed ring counts descriptors, and how many
 * of them a frame had only the VM knows, whose memory it is, and which may have changed it by
 * now: so a dropped frame is seen if the burst had no other one, and not behind others.
 */
static void
count_lost(struct vhost_backend *vhost, int vid, uint32_t pair, uint16_t got, bool short_burst)
{
	const bool split = atomic_load_explicit(&vhost->gate.split, memory_order_relaxed);
	uint16_t index, used, lost;

	if (pair >= RTE_DIM(vhost->next_index)) /* never; what gcc 12 has to be told */
		return;
	vhost->next_index[pair] += got;
	vhost->was_empty &= ~(UINT32_C(1) << pair);
	if (likely(!short_burst) ||
		rte_vhost_get_vring_base(vid, RING_FROM_VM(pair), &index, &used) < 0)
		return;
	lost = index - vhost->next_index[pair];
	if (!split)
		lost = lost != 0 && got == 0;
	if (lost != 0 && (vhost->index_known & (UINT32_C(1) << pair)) != 0 && lost <= LOST_MAX)
		vmq_counter_add(&vhost->malformed, lost);
	vhost->next_index[pair] = index;
	vhost->was_empty |= UINT32_C(1) << pair;
}

/*
 * Glances after which librte_vhost is asked all the same: it has a frame of its own for a VM
 * that has moved here (RARP).
 */
#define GLANCES_MAX 64

/*
 * Most VMs send nothing most of the time, and to have librte_vhost say so takes its lock and
 * ten cache lines: 5 % of a worker with 16 of them. Has the only ring been empty, and is it?
 */
static inline bool
is_empty(struct vhost_backend *vhost, int vid, uint32_t rings)
{
	const uint32_t devices = atomic_load_explicit(&vhost->gate.devices, memory_order_relaxed);
	const uint32_t epoch = atomic_load_explicit(&vhost->gate.epoch, memory_order_relaxed);
	const uint32_t pair = rings != 0 ? (uint32_t)__builtin_ctz(rings) : UINT32_MAX;

	if (devices != vhost->devices || (rings & vhost->was_empty) != rings ||
		(rings & (rings - 1)) != 0 || pair >= RTE_DIM(vhost->next_index) ||
		++vhost->glances > GLANCES_MAX ||
		!vhost_ahead_is_empty(&vhost->ahead, vid, epoch, RING_FROM_VM(pair),
			vhost->next_index[pair])) {
		vhost->glances = 0;
		return false;
	}
	return true;
}

uint16_t
vhost_rx_burst(struct vmq_backend *backend, struct rte_mempool *pool, struct rte_mbuf **packets,
	uint16_t n)
{
	struct vhost_backend *vhost = vhost_of(backend);
	struct vhost_meter *meter = &vhost->from_vm;
	uint32_t rings, pair, i;
	uint16_t got = 0, part;
	uint64_t began;
	int vid;

	/* Of a VM that is off nothing is written, not even a cache line of our own. */
	if (atomic_load_explicit(&vhost->gate.vid, memory_order_relaxed) == VHOST_NOBODY)
		return 0;
	vid = vhost_gate_enter(&vhost->gate, VHOST_WORKER);
	if (unlikely(vid == VHOST_NOBODY))
		return 0;
	if (vhost->shortcut.to_tell)
		vhost_shortcut_tell(vhost, vid);
	rings = atomic_load_explicit(&vhost->gate.from_vm, memory_order_relaxed);
	if (is_empty(vhost, vid, rings)) {
		vhost_gate_leave(&vhost->gate, VHOST_WORKER);
		return 0;
	}
	began = rte_rdtsc();
	if (unlikely(began < meter->pause_until)) {
		vhost_gate_leave(&vhost->gate, VHOST_WORKER);
		return 0;
	}
	n = RTE_MIN(n, meter->quota);
	for (i = 0; i < vhost->pairs && got < n; i++) {
		pair = (vhost->next_pair + i) % vhost->pairs;
		if ((rings & (UINT32_C(1) << pair)) == 0)
			continue;
		learn_index(vhost, vid, pair);
		part = rte_vhost_dequeue_burst(vid, RING_FROM_VM(pair), pool, packets + got,
			n - got);
		count_lost(vhost, vid, pair, part, part < n - got);
		got += part;
	}
	/* Not at each poll of a ring that is empty: the list of buffers may be in other caches. */
	if (got == 0 && vmq_counter_get(&meter->bursts) % SHORT_EVERY == 0)
		atomic_store_explicit(&vhost->short_of_buffers,
			rte_mempool_avail_count(pool) < VMQ_BURST, memory_order_relaxed);
	/* A ring that alone fills a burst is not the first next time. */
	vhost->next_pair = (vhost->next_pair + 1) % vhost->pairs;
	account(vhost, meter, began, packets, got);
	vhost_gate_leave(&vhost->gate, VHOST_WORKER);
	return got;
}
