/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_VERIFY_H
#define VMQ_VERIFY_H

/**
 * @file
 * Does the NIC put frames where the filters say that they belong? Control thread only. Part of
 * vmq_queue.h.
 */

#include <vmq_base.h>
#include <vmq_filter.h>

struct vmq_adapter;

/** A rule of the NIC, and what a verification has found out about it. */
struct vmq_verify_rule {
	uint32_t filter_id;
	uint16_t queue_id;
	struct vmq_filter_match match;
	enum vmq_steer_test test; /**< What the NIC was told to test. */
	uint16_t slot; /**< The hardware queue that it leads to. */
	uint64_t right; /**< Frames of its filter, in that hardware queue. */
	uint64_t in_default; /**< Of its filter, in the default queue: not honoured. */
	uint64_t in_other; /**< Of its filter, in another hardware queue. */
	/**
	 * Brought by it, and another's by a test that the NIC was not asked for (the VLAN):
	 * software has sent them on. No fault.
	 */
	uint64_t residual;
	bool put_back; /**< It had no effect, and was made anew in the end. */
	uint64_t too_much; /**< Brought by it, though its own test says no. */
};

/** Nothing is in_default, in_other or too_much; which is also so without any frame. */
bool vmq_verify_rule_is_honoured(const struct vmq_verify_rule *rule);

/** Frames in a hardware queue that no rule leads there. */
struct vmq_verify_stray {
	uint16_t slot;
	struct rte_ether_addr mac;
	uint16_t vlan; /**< 0: untagged. */
	uint16_t queue_id; /**< Whose they are. */
	uint64_t packets;
};

/** Of how many strays there are particulars. */
#define VMQ_VERIFY_STRAYS_MAX 64

struct vmq_verify_report {
	struct vmq_verify_rule *rules; /**< n_rules of them, by id of the filter. */
	uint32_t n_rules, bad_rules;
	uint32_t put_back; /**< Of the bad rules. */
	struct vmq_verify_stray *strays;
	uint32_t n_strays;
	uint64_t stray_packets; /**< Of all strays. */
	uint64_t packets; /**< Counted, in hardware queues, and of their filters in the default one. */
	uint64_t replicas; /**< Of these, copies of group frames, which each VMDq pool gets. */
	uint64_t untold; /**< Of these, addresses that there was no room for. */
	uint64_t counted_ms; /**< Since the last change of filters or rules. */
	uint32_t restarts; /**< Times that filters or rules have changed meanwhile. */
};

/**
 * Begin to compare, on live traffic, where the NIC puts frames with where the filters say
 * that they belong. When filters or rules change it begins anew. While it lasts each frame
 * of a hardware queue costs some ten nanoseconds more.
 *
 * @return VMQ_STATUS_NOT_SUPPORTED: software steers, err says why;
 *   VMQ_STATUS_NOT_ACCEPTED: it is under way already, or the adapter is halted;
 *   VMQ_STATUS_RESOURCES.
 */
enum vmq_status vmq_adapter_verify_begin(struct vmq_adapter *adapter, struct vmq_error *err);

/**
 * End it. The report is the caller's: vmq_verify_report_free(). Rules all of whose frames came
 * by the default queue are made anew, and VMQ_INDICATE_RULES_RESTORED tells how many: the NIC
 * may have lost them. (One that it does not honour at all is found again the next time.)
 *
 * @return VMQ_STATUS_NOT_ACCEPTED: it has not begun, or changes have not left it any time;
 *   VMQ_STATUS_RESOURCES. There is nothing in the report then.
 */
enum vmq_status vmq_adapter_verify_end(struct vmq_adapter *adapter,
	struct vmq_verify_report *report, struct vmq_error *err);
void vmq_verify_report_free(struct vmq_verify_report *report);

#endif /* VMQ_VERIFY_H */
