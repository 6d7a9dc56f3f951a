/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_UNIT_HW_BED_H
#define VMQ_UNIT_HW_BED_H

/**
 * @file
 * A NIC that steers, without one: net_ring has 16 Rx queues, each fed by the Tx queue of
 * its number. The test is the wire and the NIC: it looks a frame up in the rules that a
 * driver of its own was given, and puts it into that queue, in a buffer of that queue's
 * memory. VMs' frames are numbered and go to capture files, to be found again in order.
 */

#include "unit.h"

#include <vmq_queue.h>

#define BUFFERS 1024
#define BUFFER_SIZE 512
#define DESCRIPTORS 64
#define SLOTS 2
#define VMS 4
#define RULES_MAX 16
#define FRAME_BYTES 60

/** The rules of the NIC, and which call of its driver fails. */
struct nic {
	struct vmq_steer_request rules[RULES_MAX];
	unsigned int n_rules;
	unsigned int calls, fail_at;
	bool seen; /**< It says whether a rule is there. */
	bool silent; /**< It does not tell that a rule which is to be removed is not there. */
	bool no_vlan; /**< It takes no rules with a VLAN. */
	/** VM n - 1's rules are accepted and do nothing; 0: none. */
	unsigned int ignored;
	/** Not one buffer more for the default queue than it needs; software may steer. */
	bool small_default;
	bool vmdq; /**< Its rules are those of VMDq pools. */
	/** VMDq: Rx queues of a pool, and the first one of a slot; 0: 1. */
	uint16_t per_pool, first;
	bool blind; /**< Rules with a VLAN are accepted, and the VLAN not looked at. */
};

struct fixture {
	struct nic nic;
	struct vmq_host *host;
	struct vmq_adapter *adapter;
	unsigned int number; /**< Of the adapter. */
	uint16_t port;
	struct vmq_error err;
	uint16_t ids[VMS];
	uint32_t filters[VMS];
	uint32_t sent[VMS]; /**< Frames to each VM. */
	unsigned int changes, failed_changes, freed;
};

/** What is waited for; one of them each time. */
struct waiting {
	struct fixture *f;
	uint64_t delivered;
	unsigned int rules, changes;
};

/** The queue that the NIC puts a frame into. */
uint16_t nic_steer(const struct nic *nic, const uint8_t *frame);

/** Put a frame into an Rx queue of the NIC, whatever its rules say. */
void nic_receive(struct fixture *f, uint16_t rx_queue, const uint8_t *frame, uint16_t length);

/** A bed with that NIC; its adapter is NULL, and err says why, if it could not start. */
struct fixture *make_bed(const struct nic *nic);

/** Setup and teardown of a test: state is a struct fixture, workers not started. */
int set_up(void **state);
int set_up_macs_only(void **state); /**< Its NIC takes no rules with a VLAN. */
int set_up_forgetful(void **state); /**< Its NIC can say whether a rule is there. */
int tear_down(void **state);

/** An adapter with that many hardware queues; f->adapter is NULL if it could not start. */
void make_adapter(struct fixture *f, uint16_t slots);

/** The memory of "s0", a slot, or "q0", the default queue, of the first adapter. */
struct rte_mempool *pool_of(const char *name);

/** Give others the CPU for a moment. */
void nap(void);

/** A frame to VM vm's MAC. vlan 0: untagged. */
void make_frame(uint8_t *frame, unsigned int vm, uint16_t vlan, uint32_t number);

/** The wire brings the next frame for a VM; not faster than files can be written here. */
void wire_brings(struct fixture *f, unsigned int vm, uint16_t vlan);

/** Steps of a queue's life; ids and filters are in the fixture. vlan 0: any. */
uint16_t allocate(struct fixture *f, unsigned int vm, uint16_t worker, uint8_t priority);
void set_filter(struct fixture *f, unsigned int vm, uint16_t vlan);
void complete(struct fixture *f, unsigned int vm);
struct vmq_queue_info info_of(struct fixture *f, uint16_t id);

/** For unit_wait(), with a struct waiting. */
bool all_delivered(void *arg);
bool rules_are(void *arg);
bool changes_are(void *arg);
bool is_freed(void *arg);

/** Wait until the VMs have so many frames, or fail and say who has which. */
void wait_delivered(struct fixture *f, uint64_t delivered);

/** Callbacks that count in the fixture. */
void on_change(void *arg, uint16_t id, enum vmq_status status, const struct vmq_error *err);
void on_freed(void *arg, uint16_t id, enum vmq_status status);

/** Numbers of the frames in a VM's file, in order. @return how many */
unsigned int read_numbers(const char *name, uint32_t *numbers, unsigned int max);

/** Has a VM's file the frames first to last - 1, each once and in order? */
void assert_file(const char *name, uint32_t first, uint32_t last);

#endif /* VMQ_UNIT_HW_BED_H */
