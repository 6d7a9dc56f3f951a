/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_DP_HW_H
#define VMQ_DP_HW_H

/**
 * @file
 * Slots of hardware queues, and the census of where a NIC puts frames. Control thread unless a
 * comment says otherwise. Part of vmq_datapath.h.
 */

#include <rte_mempool.h>

#include <vmq_base.h>
#include <vmq_filter.h>

struct vmq_datapath;
struct vmq_dp_source;

/**
 * A slot of hardware queues: Rx queues of the port that the NIC puts one VM's frames into,
 * received into that VM's memory. Its worker confirms by the source's view that they are
 * the VM's; others go the way that software says.
 */
struct vmq_dp_hw;

struct vmq_dp_hw_params {
	struct vmq_dp_source *source; /**< Of the adapter. */
	uint16_t slot; /**< Its number in views. */
	uint16_t port_id;
	uint16_t rx_queue, n_rx_queues;
	/**
	 * The NIC gives each slot a copy of broadcast and multicast frames that the default
	 * queue has too (VMDq pools): they are let go.
	 */
	bool replicates;
	struct rte_mempool *pool; /**< What they receive into. */
	int socket_id;
};

/** Nobody polls it. */
#define VMQ_DP_NO_WORKER UINT16_MAX

/** @return NULL with rte_errno ENOMEM. Not polled: VMQ_DP_NO_WORKER. */
struct vmq_dp_hw *vmq_dp_hw_create(struct vmq_datapath *dp, const struct vmq_dp_hw_params *params);

/** Free. No worker may use it any more. NULL is allowed. */
void vmq_dp_hw_free(struct vmq_dp_hw *hw);

/**
 * Say which worker polls it. From one to another: nobody, vmq_datapath_synchronize(), then
 * the new one, who must have it in its assignment.
 */
void vmq_dp_hw_give(struct vmq_dp_hw *hw, uint16_t worker);

struct vmq_dp_hw_stats {
	uint64_t received; /**< All that the NIC has put there: the sum of the rest. */
	uint64_t confirmed; /**< Its VM's. */
	uint64_t misplaced; /**< Of other queues, and taken there. */
	uint64_t replicas; /**< Copies of what the default queue has. */
	uint64_t stale; /**< Of the VM that had the slot before. */
};

/** Any thread. */
void vmq_dp_hw_stats_get(const struct vmq_dp_hw *hw, struct vmq_dp_hw_stats *stats);

/**
 * A count of the frames that come by one ring of the NIC, by destination and VLAN, for
 * whoever wants to compare where the NIC puts frames with where they belong. A ring that
 * nobody counts pays one test of a pointer for each burst.
 */
struct vmq_dp_census;

struct vmq_dp_census_entry {
	struct rte_ether_addr mac;
	uint16_t vlan; /**< 0: untagged, or VLAN 0. */
	uint64_t packets;
};

/** @return NULL with rte_errno ENOMEM */
struct vmq_dp_census *vmq_dp_census_create(int socket_id);

/** No ring may have it, and vmq_datapath_synchronize() must have been since. NULL is allowed. */
void vmq_dp_census_free(struct vmq_dp_census *census);

/** Begin anew, under the same condition. */
void vmq_dp_census_clear(struct vmq_dp_census *census);

/**
 * Count from now on, or (NULL) no more. Of a default queue's ring only the frames that are
 * claimed for a queue with a slot of its own are counted: there should be few.
 */
void vmq_dp_source_set_census(struct vmq_dp_source *source, struct vmq_dp_census *census);
void vmq_dp_hw_set_census(struct vmq_dp_hw *hw, struct vmq_dp_census *census);

/**
 * Walk what was counted, once no ring has it any more.
 *
 * @param at
 *   0 at first.
 * @return false: that was all.
 */
bool vmq_dp_census_next(const struct vmq_dp_census *census, uint32_t *at,
	struct vmq_dp_census_entry *entry);

/** @return all frames counted; *untold: those of them that had no room for an entry. */
uint64_t vmq_dp_census_packets(const struct vmq_dp_census *census, uint64_t *untold);

#endif /* VMQ_DP_HW_H */
