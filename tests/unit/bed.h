/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_UNIT_BED_H
#define VMQ_UNIT_BED_H

/**
 * @file
 * A test bed for the data path: real workers, a real port (a ring that the test
 * fills, or a capture file that never ends), and queues whose backends can refuse,
 * take a part, hold, and see what they were given.
 */

#include "unit.h"

#include <vmq_backend_driver.h>
#include <vmq_datapath.h>
#include <vmq_filter.h>
#include <vmq_port.h>

#define BED_QUEUES 4
#define BED_DESCRIPTORS 256
/** Buffers of the pool received into, and of the pool of a queue. */
#define BED_SOURCE_BUFFERS 4095
#define BED_QUEUE_BUFFERS 511
#define BED_BUFFER_SIZE 512
/** Numbers of packets that a backend remembers. */
#define BED_SEEN_MAX 65536

/** As many packets as come. */
#define BED_ENDLESS UINT32_MAX

/** A backend whose packets' first 4 bytes behind the header are their number. */
struct bed_backend {
	struct vmq_backend backend;
	/* test: wo; worker: rw */
	_Atomic uint32_t budget; /* how many packets it still takes */
	_Atomic uint16_t part; /* most packets of a burst that it takes, 0: all */
	_Atomic bool gone; /* let go: nothing may come any more */
	bool holds; /* keep packets in held[] */
	void (*on_burst)(void *arg); /* NULL, or what the worker calls for each burst */
	void *on_burst_arg;
	/* the worker's */
	_Atomic uint32_t n_seen;
	uint32_t seen[BED_SEEN_MAX];
	_Atomic uint32_t late; /* came when it was gone */
	_Atomic uint32_t foreign; /* did not lie in pool */
	struct rte_mempool *pool; /* NULL: anything */
	_Atomic uint32_t n_held;
	struct rte_mbuf *held[BED_QUEUE_BUFFERS + 1];
	struct rte_ring *outbox; /* what the VM sends: test puts, worker takes */
	_Atomic bool babbles; /* the VM always sends a frame, which spoofs and is dropped */
	_Atomic uint64_t asked; /* times that it was received from */
	/* A babbling one of the same worker, which is asked in each turn: it counts turns. */
	const struct bed_backend *clock;
	uint64_t asked_at; /* turn, when it was asked last */
	_Atomic uint64_t longest; /* turns between two times that it was asked */
	uint64_t in_turn; /* times that it was asked in the turn at hand */
	_Atomic uint64_t most; /* in any turn */
	/* what its statistics say */
	_Atomic uint64_t failed, waiting;
};

struct bed_queue {
	struct bed_backend *backend;
	struct rte_mempool *pool;
	struct rte_mempool *xmit_pool; /* NULL: it sends nothing */
	struct vmq_dp_queue *dp;
	struct vmq_dp_member member; /* what the view says of it */
	uint16_t flood_vlan; /* with member.broadcast: whose copies it gets */
	bool keep_tags;
	bool active; /* in the view */
};

struct bed_options {
	bool remote; /* queues 1 and up are served by worker 1 */
	bool holds; /* their backends hold */
	bool one_pool; /* queue 0 waits in the pool received into */
	uint32_t reserve; /* of queue 0 */
	const struct vmq_worker_params *workers; /* NULL: they poll */
	bool sends; /* their VMs send, to each other and to a ring that is the wire */
	const char *capture; /* receive this file for ever instead of from a ring */
};

struct bed {
	struct bed_options options;
	struct vmq_datapath *dp;
	struct vmq_port *port;
	struct rte_mempool *source_pool;
	struct vmq_dp_source *source;
	struct vmq_port *wire; /* with sends */
	struct vmq_dp_uplink *uplink;
	struct vmq_filter_set *filters;
	uint32_t filter_ids[BED_QUEUES]; /* of queue n: MAC 02:00:00:00:00:n, any VLAN */
	struct bed_queue queues[BED_QUEUES]; /* [0] is the default queue */
	uint32_t next_number;
	struct unit_census before;
};

/** Make a bed, with all queues running, its view published, and start its workers. */
struct bed *bed_make(const struct bed_options *options);

/** A file with a frame for each queue that has a filter: to receive for ever. Free with free(). */
char *bed_capture(void);

/** Take it down; every packet must be home and nothing left. */
void bed_free(struct bed *bed);

/** Teardown of a test: stop the workers of a bed that a failure has left behind. */
int bed_abandon(void **state);

/** Publish a view of the queues that are active and the filters there are. */
void bed_publish(struct bed *bed);

/** Let a queue's VM send a packet, which is in its Xmit pool. */
void bed_vm_sends(struct bed *bed, unsigned int queue, struct rte_mbuf *packet);

/** Wait until all that VMs have sent so far has gone somewhere. */
void bed_settle_sent(struct bed *bed);

/** Packets on the wire, all that are there; the caller's. @return how many */
uint16_t bed_wire(struct bed *bed, struct rte_mbuf **packets, uint16_t n);

/** Tell the workers their work: with or without the source. */
void bed_assign(struct bed *bed, bool with_source);

/** A packet for a queue's MAC with the next number; 0: for a MAC that no filter has. */
struct rte_mbuf *bed_packet(struct bed *bed, unsigned int queue);

/** Let the source receive packets; waits while its ring is full. */
void bed_send(struct bed *bed, struct rte_mbuf **packets, unsigned int n);

/** The same for n packets made by bed_packet(). */
void bed_send_to(struct bed *bed, unsigned int queue, unsigned int n);

/** Wait until the queues have received so many packets in all, and nothing moves. */
void bed_settle(struct bed *bed, uint64_t received);

void bed_stats(const struct bed *bed, unsigned int queue, struct vmq_dp_queue_stats *stats);

/** received = delivered + dropped + waiting, and dropped is the sum of its reasons. */
void bed_assert_balance(const struct bed *bed);

/** Has a backend seen the numbers from first on, n of them, each step after the last? */
void bed_assert_seen(const struct bed *bed, unsigned int queue, uint32_t first, uint32_t n,
	uint32_t step);

#endif /* VMQ_UNIT_BED_H */
