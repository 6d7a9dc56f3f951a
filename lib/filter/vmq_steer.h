/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_STEER_H
#define VMQ_STEER_H

/**
 * @file
 * Steering in hardware: rules by which a NIC puts frames into Rx queues. Part of
 * vmq_filter.h. Control thread.
 *
 * A rule serves one filter. It may test less than the filter does (a MAC without its
 * VLAN): software finishes the test, so a rule is a matter of speed and of whose memory a
 * frame lies in, never of who gets it. A filter that the NIC cannot serve has no rule, and
 * a reason.
 *
 * Who writes a driver fills in struct vmq_steer_ops; unit tests have one of their own.
 */

#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>

#include <vmq_base.h>

struct vmq_filter_match;

/** Who steers, as in a document; the names are vmq_steering_name(). */
enum vmq_steering {
	VMQ_STEERING_AUTO, /**< VMDq, else flow rules, else software. */
	VMQ_STEERING_VMDQ, /**< The NIC's VMDq pools: a MAC belongs to a pool. */
	VMQ_STEERING_FLOW, /**< rte_flow rules. */
	VMQ_STEERING_SOFTWARE,
	VMQ_STEERING_COUNT, /* not a way */
};

/** @return "auto", "vmdq", "flow", "software"; NULL for a value out of range. */
const char *vmq_steering_name(enum vmq_steering steering);

/** What a rule tests. */
enum vmq_steer_test {
	VMQ_STEER_MAC,
	VMQ_STEER_MAC_VLAN,
	VMQ_STEER_TEST_COUNT, /* not a test */
};

/** "MAC", "MAC and VLAN" */
const char *vmq_steer_test_name(enum vmq_steer_test test);

/** Where rules can put frames: an Rx queue of a started port. */
struct vmq_steer_slot {
	uint16_t rx_queue;
	uint16_t pool; /**< VMDq: number of the pool. */
};

/** What was found out by making and removing rules. */
struct vmq_steer_capabilities {
	struct {
		bool can;
		char why_not[192]; /**< The driver's words; "" if it can. */
	} tests[VMQ_STEER_TEST_COUNT];
	uint32_t max_rules; /**< 0: not known before it is reached. */
};

/** A rule as its driver is asked for it. */
struct vmq_steer_request {
	enum vmq_steer_test test;
	struct rte_ether_addr mac;
	uint16_t vlan_id; /**< Read only if test is VMQ_STEER_MAC_VLAN. */
	const struct vmq_steer_slot *slot;
};

/** A driver. Its functions undo what they did when they fail. */
struct vmq_steer_ops {
	enum vmq_steering steering;
	/**
	 * Make a rule.
	 *
	 * @param handle
	 *   Receives what del() takes.
	 * @return 0, or -errno with the reason, the PMD's words in it, in err.
	 */
	int (*add)(void *arg, uint16_t port_id, const struct vmq_steer_request *request,
		void **handle, struct vmq_error *err);
	/** Remove a rule. @return 0 or -errno: the rule stays. */
	int (*del)(void *arg, uint16_t port_id, const struct vmq_steer_request *request,
		void *handle, struct vmq_error *err);
	/**
	 * Before the port is configured: can it do this at all? NULL: that shows later.
	 *
	 * @return 0, or -errno with the reason in err.
	 */
	int (*possible)(void *arg, uint16_t port_id, struct vmq_error *err);
	/** Is it still there? NULL: nobody can tell. */
	bool (*exists)(void *arg, uint16_t port_id, const struct vmq_steer_request *request,
		void *handle);
	/**
	 * Ask for the frames of no rule in Rx queue 0, by a rule that all others come before:
	 * there are drivers that spread them over all queues. NULL: they are there anyway.
	 *
	 * @return what end_rest() takes; NULL: the port takes no such rule.
	 */
	void *(*rest)(void *arg, uint16_t port_id);
	void (*end_rest)(void *arg, uint16_t port_id, void *handle);
	/** Most rules that there can be; NULL or 0: not known. */
	uint32_t (*max_rules)(void *arg, uint16_t port_id);
};

/** rte_flow: eth, or eth and vlan, to a queue. */
extern const struct vmq_steer_ops vmq_steer_flow;

/** VMDq: a MAC address of a pool. */
extern const struct vmq_steer_ops vmq_steer_vmdq;

/** The rules of one port. Owner: the adapter. */
struct vmq_steer;

struct vmq_steer_params {
	const struct vmq_steer_ops *ops;
	void *arg; /**< Of the driver. */
	uint16_t port_id; /**< Configured for the driver, and started. */
	const struct vmq_steer_slot *slots; /**< At least one; copied. */
	uint16_t n_slots;
};

/**
 * Find out what rules the port takes: each kind is made and removed again.
 *
 * @return NULL with rte_errno: ENOTSUP: it takes none, err has the driver's words; ENOMEM.
 */
struct vmq_steer *vmq_steer_open(const struct vmq_steer_params *params, struct vmq_error *err);

/** Remove all rules and close. NULL is allowed. */
void vmq_steer_close(struct vmq_steer *steer);

void vmq_steer_capabilities_get(const struct vmq_steer *steer,
	struct vmq_steer_capabilities *capabilities);

/**
 * Would a rule serve this match, and which test would it make?
 *
 * @return VMQ_STEER_TEST_COUNT: none; the reason is in err.
 */
enum vmq_steer_test vmq_steer_best_test(const struct vmq_steer *steer,
	const struct vmq_filter_match *match, struct vmq_error *err);

/**
 * Put the frames of a filter into a slot.
 *
 * @param test
 *   Receives what the NIC tests; may be NULL.
 * @return 0; -EEXIST: the filter has a rule; -EBUSY: a rule that tests the same leads to
 *   another slot; -ENOTSUP; what the driver says. Nothing has changed then.
 */
int vmq_steer_add(struct vmq_steer *steer, uint32_t filter_id,
	const struct vmq_filter_match *match, uint16_t slot, enum vmq_steer_test *test,
	struct vmq_error *err);

/**
 * Take a filter's rule away. Filters with the same test share the driver's rule, which
 * goes with the last of them.
 *
 * @return 0; -ENOENT: it has none; what the driver says: the rule stays.
 */
int vmq_steer_del(struct vmq_steer *steer, uint32_t filter_id, struct vmq_error *err);

/** Which slot a filter's rule leads to; -1: it has no rule. */
int vmq_steer_slot_of(const struct vmq_steer *steer, uint32_t filter_id);

/** Has the NIC lost a filter's rule, and not got it back? */
bool vmq_steer_is_lost(const struct vmq_steer *steer, uint32_t filter_id);

/** The next filter with a rule after that id; 0 gives the first, and is the end. */
uint32_t vmq_steer_next(const struct vmq_steer *steer, uint32_t after);

/** How many rules the NIC has. */
uint32_t vmq_steer_rules(const struct vmq_steer *steer);

/**
 * The port is about to be reset or is gone: take all rules from it. They are kept, as lost,
 * for vmq_steer_restore(); one that cannot be removed is taken to go with the port.
 */
void vmq_steer_suspend(struct vmq_steer *steer);

/**
 * Look after the rules, and put back what has vanished.
 *
 * @param all
 *   The port has been reset: no rule is there any more.
 * @param restored
 *   Receives how many were put back; may be NULL.
 * @return 0, or -errno of the first rule that could not be put back: the others are there.
 */
int vmq_steer_restore(struct vmq_steer *steer, bool all, uint32_t *restored,
	struct vmq_error *err);

#endif /* VMQ_STEER_H */
