/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* What VMs send: take, check, deliver. */

#include <string.h>

#include <rte_cycles.h>
#include <rte_ether.h>

#include "dp_private.h"

/* How long a port may take nothing before what waits for it is dropped. */
#define PORT_WAIT_MS 10

/*
 * Copies after which a queue's turn ends: a VM that sends nothing but broadcasts does not
 * get all the time of its worker.
 */
#define TURN_COPIES_MAX 256

/*
 * Bursts that a worker receives at most while a VM which sends nothing is passed over: to look
 * into 16 empty rings for each eighth burst is 12 cycles of each packet received, of some 140.
 * A burst takes 1 to 3 us. A worker that receives nothing asks all of them in each turn.
 */
#define QUIET_BURSTS_MAX 15

#define ADMITTED VMQ_TX_DROP_COUNT

static void
drop(struct sender *sender, enum vmq_tx_drop reason, struct rte_mbuf **packets, uint16_t n)
{
	const struct vmq_dp_tap *tap = atomic_load_explicit(&sender->tap, memory_order_acquire);

	vmq_counter_add(&sender->drops[reason], n);
	if (unlikely(tap != NULL))
		tap_tx_drop(tap, reason, packets, n);
	vmq_packets_free(packets, n);
}

void
sender_discard(struct sender *sender)
{
	if (sender->n_head > 0)
		drop(sender, VMQ_TX_DROP_STOPPED, sender->head + sender->first_head,
			sender->n_head);
	if (sender->n_wire > 0)
		drop(sender, VMQ_TX_DROP_STOPPED, sender->wire + sender->first_wire,
			sender->n_wire);
	sender->n_head = 0;
	sender->n_wire = 0;
}

/*
 * A frame's outermost VLAN tag; returns false if the frame ends inside it. A tag beside
 * the frame counts as one in it.
 */
static bool
read_tag(const struct rte_mbuf *packet, bool *tagged, bool *in_frame, uint16_t *tci)
{
	const uint8_t *data = rte_pktmbuf_mtod(packet, const uint8_t *);
	rte_be16_t ether_type, in_tag;

	*in_frame = false;
	*tagged = packet->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED;
	*tci = *tagged ? packet->vlan_tci : 0;
	if (*tagged)
		return true;
	memcpy(&ether_type, data + 2 * RTE_ETHER_ADDR_LEN, sizeof(ether_type));
	if (ether_type != RTE_BE16(RTE_ETHER_TYPE_VLAN) &&
		ether_type != RTE_BE16(RTE_ETHER_TYPE_QINQ))
		return true;
	if (packet->data_len < RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN)
		return false;
	memcpy(&in_tag, data + RTE_ETHER_HDR_LEN, sizeof(in_tag));
	*tci = rte_be_to_cpu_16(in_tag);
	*tagged = true;
	*in_frame = true;
	return true;
}

/* Does the address, on a VLAN, belong to a queue of the view? */
static bool
belongs(const struct vmq_dp_view *view, uint16_t index, const struct rte_ether_addr *mac,
	uint16_t vlan)
{
	return vmq_classifier_find(view->classifier, mac, vlan, 0).index == index;
}

/*
 * A frame without a tag is of the queue's native VLAN; the tag stands beside it from
 * here on, where the wire and other queues find it. The VM of a queue that does not keep
 * tags is not to choose a VLAN: not even inside its own, where a second tag behind the
 * one inserted would be the outer one once a switch has taken that off.
 */
static enum vmq_tx_drop
set_vlan(const struct vmq_dp_member *member, bool anti_spoof, struct rte_mbuf *packet,
	uint16_t *vlan)
{
	bool tagged, in_frame;
	uint16_t tci;

	if (!read_tag(packet, &tagged, &in_frame, &tci))
		return VMQ_TX_DROP_MALFORMED;
	*vlan = tci & RTE_VLAN_ID_MASK;
	if (member->trunk || *vlan != 0)
		return member->trunk || !anti_spoof ? ADMITTED : VMQ_TX_DROP_SPOOFED_VLAN;
	if (member->native_vlan == 0)
		return ADMITTED;
	if (in_frame) /* VLAN 0: a priority only, which stays */
		vmq_tag_strip(packet);
	packet->vlan_tci = (uint16_t)((tci & ~RTE_VLAN_ID_MASK) | member->native_vlan);
	packet->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
	*vlan = member->native_vlan;
	return ADMITTED;
}

/* Longer than the MTU, without header and outermost tag? */
static bool
is_too_long(const struct rte_mbuf *packet, uint32_t mtu)
{
	const struct rte_ether_hdr *header = rte_pktmbuf_mtod(packet, const struct rte_ether_hdr *);
	const bool in_frame = !(packet->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) &&
		(header->ether_type == RTE_BE16(RTE_ETHER_TYPE_VLAN) ||
			header->ether_type == RTE_BE16(RTE_ETHER_TYPE_QINQ));

	return packet->pkt_len > mtu + RTE_ETHER_HDR_LEN + (in_frame ? RTE_VLAN_HLEN : 0);
}

/* May the frame go out? Sets its VLAN. Returns ADMITTED, or why not. */
static enum vmq_tx_drop
admit(const struct sender *sender, const struct vmq_dp_view *view, struct rte_mbuf *packet)
{
	const struct rte_ether_hdr *header = rte_pktmbuf_mtod(packet, const struct rte_ether_hdr *);
	const bool anti_spoof = atomic_load_explicit(&sender->anti_spoof, memory_order_relaxed);
	const struct vmq_dp_member *member = &view->members[sender->index];
	struct rte_ether_addr source;
	enum vmq_tx_drop reason;
	uint16_t vlan;

	if (unlikely(packet->data_len < RTE_ETHER_HDR_LEN))
		return VMQ_TX_DROP_MALFORMED;
	source = header->src_addr; /* the frame may be moved */
	if (unlikely(rte_is_multicast_ether_addr(&source) || rte_is_zero_ether_addr(&source)))
		return VMQ_TX_DROP_MALFORMED;
	if (unlikely(is_too_long(packet, sender->uplink->mtu)))
		return VMQ_TX_DROP_TOO_LONG;
	if (unlikely(packet->nb_segs > 1 && !sender->uplink->multi_segs &&
		rte_pktmbuf_linearize(packet) < 0))
		return VMQ_TX_DROP_TOO_LONG;
	reason = set_vlan(member, anti_spoof, packet, &vlan);
	if (reason != ADMITTED || !anti_spoof || likely(belongs(view, sender->index, &source, vlan)))
		return reason;
	/* The right MAC in the wrong VLAN is worth a word of its own. */
	return vlan != member->native_vlan &&
		belongs(view, sender->index, &source, member->native_vlan)
		? VMQ_TX_DROP_SPOOFED_VLAN : VMQ_TX_DROP_SPOOFED_MAC;
}

/* One burst of what the VM has sent, counted. */
static uint16_t
receive(struct vmq_dp_queue *queue, struct sender *sender, struct rte_mbuf **packets)
{
	uint16_t n = vmq_backend_rx_burst(queue->backend,
		atomic_load_explicit(&sender->pool, memory_order_relaxed), packets, VMQ_BURST);

	if (n > 0) {
		vmq_counter_add(&sender->received, n);
		vmq_counter_add(&sender->received_bytes, vmq_packets_bytes(packets, n));
	}
	return n;
}

/* The next packets of the VM, checked, in head. Returns how many it has sent. */
static uint16_t
take(struct vmq_dp_queue *queue, struct sender *sender, const struct vmq_dp_view *view)
{
	struct rte_mbuf *packets[VMQ_BURST];
	enum vmq_tx_drop reason;
	uint16_t n, i, admitted = 0;
	struct rate *rate;
	uint64_t now;

	n = receive(queue, sender, packets);
	rate = atomic_load_explicit(&sender->from_vm, memory_order_acquire);
	now = rate != NULL ? rte_rdtsc() : 0;
	for (i = 0; i < n; i++) {
		if (i + 1 < n)
			rte_prefetch0(rte_pktmbuf_mtod(packets[i + 1], void *));
		reason = admit(sender, view, packets[i]);
		if (rate != NULL && reason == ADMITTED &&
			!rate_passes(rate, now, packets[i]->pkt_len))
			reason = VMQ_TX_DROP_RATE_LIMITED;
		if (likely(reason == ADMITTED))
			sender->head[admitted++] = packets[i];
		else
			drop(sender, reason, &packets[i], 1);
	}
	sender->first_head = 0;
	sender->n_head = admitted;
	return n;
}

/* Deliver a run of packets to one queue. */
static void
deliver_local(struct sender *sender, struct vmq_dp_queue *to, struct rte_mbuf **packets, uint16_t n,
	struct worker *worker)
{
	if (n == 0)
		return;
	vmq_counter_add(&sender->local, n);
	vmq_counter_add(&sender->local_bytes, vmq_packets_bytes(packets, n));
	queue_deliver(to, packets, n, worker);
}

static inline bool
is_stripped(const struct rte_mbuf *packet)
{
	return packet->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED;
}

/* A packet for the wire, its tag where the wire has it. */
static void
add_wire(struct sender *sender, struct rte_mbuf *packet)
{
	if (is_stripped(packet) && unlikely(vmq_tag_insert(packet) < 0)) {
		drop(sender, VMQ_TX_DROP_NO_HEADROOM, &packet, 1);
		return;
	}
	sender->wire[sender->n_wire++] = packet;
}

static void
deliver_copy(void *arg, struct vmq_dp_view *view, uint16_t index, struct rte_mbuf *copy,
	struct worker *worker)
{
	struct sender *sender = arg;

	vmq_counter_add(&sender->copies, 1);
	queue_deliver(view->queues[index], &copy, 1, worker);
}

/*
 * A frame that no filter of a MAC claims goes to the wire, and a copy to a filter that
 * takes its whole VLAN. One for a group goes to all of its VLAN as well. Returns how many
 * copies were made.
 */
static uint32_t
deliver_wide(struct sender *sender, struct vmq_dp_view *view, const struct vmq_class *class,
	struct rte_mbuf *packet, struct worker *worker)
{
	const bool claimed = class->claimed == VMQ_CLAIM_VLAN && class->index != sender->index;
	const enum group group = packet_group(packet);
	uint32_t copies = 0;

	if (unlikely(group == GROUP_LINK_LOCAL)) {
		/* The port's own partner: not a VM's to talk to, but the host's. */
		if (sender->index != 0 &&
			atomic_load_explicit(&sender->anti_spoof, memory_order_relaxed))
			drop(sender, VMQ_TX_DROP_LINK_LOCAL, &packet, 1);
		else
			add_wire(sender, packet);
		return 0;
	}
	if (group == GROUP_ALL)
		copies = flood(view, packet, sender->index, worker, deliver_copy, sender);
	/* A queue that takes its VLAN's broadcasts has had its copy. */
	if (claimed && (group == GROUP_NONE || !view->members[class->index].broadcast))
		copies += flood_one(view, packet, class->index, worker, deliver_copy, sender);
	add_wire(sender, packet);
	return copies;
}

/*
 * Send head where it belongs: to other queues, or into wire, all of it unless it takes too
 * many copies.
 */
static void
deliver(struct sender *sender, struct vmq_dp_view *view, struct worker *worker)
{
	struct rte_mbuf **packets = sender->head + sender->first_head, *run[VMQ_BURST];
	const uint16_t n = sender->n_head;
	struct vmq_class classes[VMQ_BURST];
	uint16_t i, to = 0, n_run = 0;
	uint32_t copies = 0;

	vmq_classifier_lookup(view->classifier, packets, n, classes, 0);
	for (i = 0; i < n && copies < TURN_COPIES_MAX; i++) {
		if (classes[i].claimed != VMQ_CLAIM_MAC) {
			/* What is for the same queue has come before. */
			deliver_local(sender, view->queues[to], run, n_run, worker);
			n_run = 0;
			copies += deliver_wide(sender, view, &classes[i], packets[i], worker);
		} else if (unlikely(classes[i].index == sender->index)) {
			drop(sender, VMQ_TX_DROP_OWN_ADDRESS, &packets[i], 1);
		} else if (unlikely(!packet_fix_tag(packets[i], &classes[i]))) {
			drop(sender, VMQ_TX_DROP_NO_HEADROOM, &packets[i], 1);
		} else {
			if (classes[i].index != to) {
				deliver_local(sender, view->queues[to], run, n_run, worker);
				n_run = 0;
				to = classes[i].index;
			}
			run[n_run++] = packets[i];
		}
	}
	deliver_local(sender, view->queues[to], run, n_run, worker);
	sender->first_head += i;
	sender->n_head -= i;
}

/*
 * Give the port what waits for it. What it does not take it may take in the next turn;
 * meanwhile the VM's ring fills, which slows the VM down and loses nothing.
 */
static void
send_waiting(struct sender *sender, struct worker *worker)
{
	struct rte_mbuf **packets = sender->wire + sender->first_wire;
	uint64_t bytes = 0, now;
	uint16_t sent, i;
	/* A packet that is sent is the port's: its length must be known before. */
	uint32_t lengths[VMQ_BURST];

	for (i = 0; i < sender->n_wire; i++)
		lengths[i] = packets[i]->pkt_len;
	sent = uplink_send(sender->uplink, worker, packets, sender->n_wire);
	for (i = 0; i < sent; i++)
		bytes += lengths[i];
	vmq_counter_add(&sender->sent, sent);
	vmq_counter_add(&sender->sent_bytes, bytes);
	sender->n_wire -= sent;
	sender->first_wire += sent;
	if (likely(sender->n_wire == 0)) {
		sender->first_wire = 0;
		sender->wire_since = 0;
		return;
	}
	now = rte_rdtsc();
	if (sent > 0 || sender->wire_since == 0)
		sender->wire_since = now;
	if (now - sender->wire_since < rte_get_tsc_hz() / 1000 * PORT_WAIT_MS)
		return;
	drop(sender, VMQ_TX_DROP_PORT, sender->wire + sender->first_wire, sender->n_wire);
	sender->n_wire = 0;
	sender->first_wire = 0;
	sender->wire_since = 0;
}

/* Find the queue's place in a view that it has not seen. Returns false if it has none. */
static bool
find_place(const struct vmq_dp_queue *queue, struct sender *sender, const struct vmq_dp_view *view)
{
	if (likely(sender->view_id == view->id))
		return sender->index < view->n_queues;
	for (sender->index = 0; sender->index < view->n_queues; sender->index++)
		if (view->queues[sender->index] == queue)
			break;
	sender->view_id = view->id;
	return sender->index < view->n_queues;
}

/* A queue that does not run sends nothing: what its VM gives it is dropped. */
static uint16_t
refuse(struct vmq_dp_queue *queue, struct sender *sender)
{
	struct rte_mbuf *packets[VMQ_BURST];
	uint16_t n;

	sender_discard(sender);
	n = receive(queue, sender, packets);
	if (n > 0)
		drop(sender, VMQ_TX_DROP_STOPPED, packets, n);
	return n;
}

/* One burst. */
static uint16_t
transmit_burst(struct vmq_dp_queue *queue, struct worker *worker)
{
	struct sender *sender = queue->sender;
	struct vmq_dp_view *view;
	uint16_t n = 0;

	if (unlikely(queue_is_served_by(queue, VMQ_SERVE_NOBODY)))
		return 0;
	view = atomic_load_explicit(&sender->uplink->source->view, memory_order_acquire);
	if (unlikely(view == NULL))
		return 0;
	if (unlikely(!queue_is_running(queue) ||
		!find_place(queue, sender, view)))
		return refuse(queue, sender);
	if (sender->n_wire == 0) {
		if (sender->n_head == 0)
			n = take(queue, sender, view);
		if (sender->n_head > 0)
			deliver(sender, view, worker);
	}
	if (sender->n_wire > 0)
		send_waiting(sender, worker);
	sender->quiet = n > 0 || sender->n_head > 0 || sender->n_wire > 0 ? 0
		: RTE_MIN(2 * sender->quiet + 1, QUIET_BURSTS_MAX);
	return n;
}

/* One turn of a queue: while its bursts are full and go, and ask for no copies. */
static uint32_t
queue_transmit(struct vmq_dp_queue *queue, struct worker *worker)
{
	const struct sender *sender = queue->sender;
	const uint64_t copies = vmq_counter_get(&sender->copies);
	uint16_t n, bursts = 0;
	uint32_t sent = 0;

	do {
		n = transmit_burst(queue, worker);
		sent += n;
	} while (n == VMQ_BURST && sender->n_head == 0 && sender->n_wire == 0 &&
		vmq_counter_get(&sender->copies) == copies && turn_goes_on(worker, ++bursts));
	return sent;
}

uint32_t
queues_transmit(struct vmq_dp_queue *const *queues, uint8_t *pass, uint16_t n,
	uint32_t received, struct worker *worker)
{
	const uint32_t bursts = (received + VMQ_BURST - 1) / VMQ_BURST;
	uint32_t sent = 0;
	uint16_t i;

	for (i = 0; i < n; i++) {
		if (bursts > 0 && pass[i] >= bursts) {
			pass[i] -= (uint8_t)bursts;
			continue;
		}
		sent += queue_transmit(queues[i], worker);
		pass[i] = queues[i]->sender->quiet;
	}
	return sent;
}
