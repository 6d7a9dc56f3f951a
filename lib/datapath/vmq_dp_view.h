/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_DP_VIEW_H
#define VMQ_DP_VIEW_H

/**
 * @file
 * Views: what workers look packets up in. Control thread. Part of vmq_datapath.h.
 */

#include <vmq_base.h>
#include <vmq_filter.h>

struct vmq_dp_queue;
struct fast;

/** What senders have to know about a queue of a view. */
struct vmq_dp_member {
	uint16_t native_vlan; /**< Of what it sends without a tag; 0: untagged. */
	bool broadcast; /**< It is one of those that get copies, see vmq_dp_view_flood(). */
	bool takes_untagged; /**< Such frames come to it, so that it may send them. */
	bool trunk; /**< Its VM sends tags itself; else a tagged frame is spoofed. */
};

/** A queue that gets a copy of each broadcast and multicast frame of a VLAN. */
struct vmq_dp_flood_member {
	uint16_t vlan; /**< 1 to 4094, 0: untagged, or VMQ_DP_FLOOD_ALL. */
	uint16_t index; /**< In a view. */
};

/** Frames of every VLAN, and untagged ones. */
#define VMQ_DP_FLOOD_ALL UINT16_MAX

/** Who is to get copies; immutable. */
struct vmq_dp_flood;

/** Who has a slot of hardware queues. */
struct vmq_dp_view_slot {
	struct vmq_dp_queue *queue; /**< NULL: nobody. */
	struct vmq_exact exact; /**< Of its filters. Empty unless the queue is in the view. */
};

/** What a source's packets are looked up in: immutable once published. */
struct vmq_dp_view {
	struct vmq_classifier *classifier;
	uint64_t id; /**< No other view has it. */
	uint16_t n_queues;
	/** By the index that the classifier answers; [0] is the default queue. */
	struct vmq_dp_queue **queues;
	struct vmq_dp_member *members; /**< By the same index; zeros at first. */
	struct vmq_dp_flood *flood; /**< NULL: nobody gets copies. */
	struct vmq_dp_view_slot *slots; /**< By slot of the port; NULL if it has none. */
	/* Made by vmq_dp_source_publish(). */
	struct fast **fast; /* of the same queues */
	/*
	 * The worker's: what it has gathered for each of them; the highest bit of the number
	 * says that the queue is in the source's list of those with something.
	 */
	uint8_t *n_gathered;
	struct rte_mbuf *(*gathered)[VMQ_BURST];
};

/** @return a view to fill in, or NULL with rte_errno ENOMEM */
struct vmq_dp_view *vmq_dp_view_create(uint16_t n_queues, int socket_id);

/**
 * Say who is to get copies of broadcast and multicast frames: those received that no
 * filter of a MAC claims, and those that VMs send. The default queue gets what it gets
 * anyhow once.
 *
 * @param members
 *   Sorted by this call; may name a queue more than once.
 * @return 0 or -ENOMEM
 */
int vmq_dp_view_flood(struct vmq_dp_view *view, struct vmq_dp_flood_member *members, size_t n,
	int socket_id);
/** Give a new view its slots, without queues. @return false: no memory. */
bool vmq_dp_view_make_slots(struct vmq_dp_view *view, uint16_t n_slots, int socket_id);

/** With its classifier. NULL is allowed. For a view that was never published. */
void vmq_dp_view_free(struct vmq_dp_view *view);

#endif /* VMQ_DP_VIEW_H */
