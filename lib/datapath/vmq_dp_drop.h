/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_DP_DROP_H
#define VMQ_DP_DROP_H

/**
 * @file
 * Why packets are dropped, to VMs and from them. Any thread. Part of vmq_datapath.h.
 */

/** Why a packet was dropped. Each drop is counted at its queue, where it happens. */
enum vmq_drop {
	VMQ_DROP_STOPPED, /**< Its queue was not running, or stopped while it waited. */
	VMQ_DROP_NO_BUFFER, /**< Its queue's own memory was used up. */
	VMQ_DROP_NO_HEADROOM, /**< No room to put a stripped tag back in. */
	VMQ_DROP_DISCONNECTED, /**< Nobody was at the other end of the backend. */
	VMQ_DROP_RATE_LIMITED, /**< More than its rate to the VM. */
	VMQ_DROP_BACKEND, /**< The backend took it and could not deliver it. */
	VMQ_DROP_COUNT, /* not a reason */
};

/** @return "stopped", "no_buffer", "no_headroom", "backend"; NULL for a value out of range. */
const char *vmq_drop_name(enum vmq_drop reason);

/** What each reason means, in a sentence. */
const char *vmq_drop_help(enum vmq_drop reason);

/** Why a packet that a VM has sent was dropped; counted at the sending queue. */
enum vmq_tx_drop {
	VMQ_TX_DROP_STOPPED, /**< The queue was not running, or stopped meanwhile. */
	VMQ_TX_DROP_MALFORMED, /**< No whole header, or a source that is no address. */
	VMQ_TX_DROP_TOO_LONG, /**< Longer than the adapter's MTU. */
	VMQ_TX_DROP_SPOOFED_MAC, /**< The source MAC is not one of the queue's. */
	VMQ_TX_DROP_SPOOFED_VLAN, /**< The VLAN is not one of the queue's. */
	VMQ_TX_DROP_OWN_ADDRESS, /**< Sent to the sender itself. */
	VMQ_TX_DROP_LINK_LOCAL, /**< To a group address that no bridge forwards. */
	VMQ_TX_DROP_RATE_LIMITED, /**< More than its rate from the VM. */
	VMQ_TX_DROP_NO_HEADROOM, /**< No room to insert the tag. */
	VMQ_TX_DROP_PORT, /**< The port did not take it in time. */
	VMQ_TX_DROP_COUNT, /* not a reason */
};

/** @return "stopped", "spoofed_mac"...; NULL for a value out of range. */
const char *vmq_tx_drop_name(enum vmq_tx_drop reason);

/** What each reason means, in a sentence. */
const char *vmq_tx_drop_help(enum vmq_tx_drop reason);

#endif /* VMQ_DP_DROP_H */
