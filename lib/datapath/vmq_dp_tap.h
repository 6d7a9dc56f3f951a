/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_DP_TAP_H
#define VMQ_DP_TAP_H

/**
 * @file
 * Taps: copies of a queue's packets, for whoever looks on. Control thread. Part of
 * vmq_datapath.h.
 */

#include <vmq_base.h>

#include "vmq_dp_drop.h"

struct vmq_datapath;
struct vmq_dp_queue;

/**
 * A look at the packets of one queue: the workers copy them into memory of the tap's
 * own, as many as there is room for, and count the others. A queue without a tap pays one
 * test of a pointer for each burst.
 */
struct vmq_dp_tap;

/* What a tap looks at. */
#define VMQ_TAP_DELIVERED (UINT64_C(1) << 0) /**< What the backend has taken. */
#define VMQ_TAP_DROP(reason) (UINT64_C(2) << (reason)) /**< enum vmq_drop */
#define VMQ_TAP_TX_DROP(reason) (UINT64_C(1) << (32 + (reason))) /**< enum vmq_tx_drop */

/**
 * @param what
 *   VMQ_TAP_*, any of them. What the backend itself loses is out of sight:
 *   VMQ_TAP_DROP(VMQ_DROP_BACKEND) sees nothing.
 * @param snaplen
 *   Bytes of a packet to keep.
 * @param share
 *   Copying may take 1/share of a worker's time, and 512/share of the time that it has
 *   nothing to do, so that its other queues do not feel it; what would take longer is lost
 *   by the tap. 0: no bound.
 * @return NULL with rte_errno ENOMEM
 */
struct vmq_dp_tap *vmq_dp_tap_create(struct vmq_datapath *dp, uint64_t what, uint32_t snaplen,
	uint32_t share);

/** Free; once vmq_dp_tap_is_quiet(), or no worker runs. NULL is allowed. */
void vmq_dp_tap_free(struct vmq_dp_tap *tap);

/** Begin to look at a queue's packets; NULL: end. A tap looks at one queue. */
void vmq_dp_queue_set_tap(struct vmq_dp_queue *queue, struct vmq_dp_tap *tap);

/** @return NULL: none. */
struct vmq_dp_tap *vmq_dp_queue_tap(const struct vmq_dp_queue *queue);

struct vmq_dp_tap_packet {
	uint64_t time_ns; /**< Since 1970. */
	const char *drop; /**< Why it was dropped; NULL: it was delivered. */
	bool from_vm; /**< The VM has sent it. */
	bool tag_beside; /**< It has a VLAN tag that is not in its bytes: vlan_tci. */
	uint16_t vlan_tci;
	uint32_t length; /**< In bytes. */
	uint32_t kept; /**< Of these, in data. */
	const void *data; /**< Until the next call. */
};

/** The next packet, in the order of time. @return false: there is none now. */
bool vmq_dp_tap_next(struct vmq_dp_tap *tap, struct vmq_dp_tap_packet *packet);

/** Packets for which there was no room, or no time. */
uint64_t vmq_dp_tap_lost(const struct vmq_dp_tap *tap);

/**
 * After its queue has let go of it, or has gone: does any worker still write? Never
 * waits; to be asked again. Once it has said so there are no more packets than
 * vmq_dp_tap_next() gives.
 */
bool vmq_dp_tap_is_quiet(struct vmq_dp_tap *tap);

#endif /* VMQ_DP_TAP_H */
