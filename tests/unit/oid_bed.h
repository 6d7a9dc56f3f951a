/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_UNIT_OID_BED_H
#define VMQ_UNIT_OID_BED_H

/**
 * @file
 * A test bed for requests: an adapter, real workers, and three owners. Every request goes through a buffer of exactly its length, from the
 * heap, so that the address sanitizer sees a byte read or written too far.
 */

#include "unit.h"

#include <vmq_oid.h>

#define OID_BED_INDICATIONS 4096

struct oid_bed {
	struct vmq_host *host;
	struct vmq_adapter *adapter;
	struct vmq_oid_adapter *oid;
	struct vmq_oid_owner *owner; /* "config" */
	struct vmq_oid_owner *other; /* "other" */
	struct vmq_oid_owner *admin; /* "admin" */
	struct vmq_oid_subscriber *subscriber;
	struct vmq_oid_indication told[OID_BED_INDICATIONS];
	uint32_t n_told;
	/* Of the last request. */
	struct vmq_oid_request request;
	struct unit_census before;
};

/**
 * A bed whose port never receives.
 *
 * @param memory_limit of the adapter, in bytes; 0: none.
 */
struct oid_bed *oid_bed_make(size_t memory_limit);

/** What a receiving bed's frames have for oid_set(): they are not tagged. */
#define OID_BED_MAC 100

/** A bed that receives without end. */
struct oid_bed *oid_bed_make_receiving(void);

/** Take it down; nothing may be left. */
void oid_bed_free(struct oid_bed *bed);

/** Teardown of a test: take down a bed that a failure has left behind. */
int oid_bed_abandon(void **state);

/**
 * Make a request by an owner, without a callback. Checks what is true of each: a
 * refusal has a reason and leaves the buffer alone, bytes needed come with
 * INVALID_LENGTH only.
 */
enum vmq_status oid_ask(struct oid_bed *bed, struct vmq_oid_owner *owner,
	enum vmq_oid_request_type type, uint32_t oid, void *information, size_t length);

/** Ask as the owner, and fail the test on any other status. */
void oid_expect(struct oid_bed *bed, enum vmq_status status, enum vmq_oid_request_type type,
	uint32_t oid, void *information, size_t length);

/** All there is to see of adapter, queues, filters and memory, as text. Free with free(). */
char *oid_dump(const struct oid_bed *bed);

/** Is all as it was in that dump? Frees it. */
void oid_assert_same(const struct oid_bed *bed, char *before);

/** Good parameters of a queue, revision 1 or 2, 64 buffers. */
void oid_parameters(struct vmq_oid_queue_parameters *parameters, unsigned int revision);

/** Allocate a queue of an owner with good parameters. */
uint16_t oid_allocate(struct oid_bed *bed, struct vmq_oid_owner *owner);

/** Complete one queue of an owner, waiting for it. */
enum vmq_status oid_complete_one(struct oid_bed *bed, struct vmq_oid_owner *owner, uint16_t id);

/** A filter with two field tests. */
struct oid_filter {
	struct vmq_oid_filter_parameters parameters;
	struct vmq_oid_field_parameters fields[2];
};

/** MAC 02:00:00:00:mac, and VLAN id vlan, which is left out if 0. */
struct oid_filter oid_filter(uint16_t queue_id, uint16_t mac, uint16_t vlan);
size_t oid_filter_length(const struct oid_filter *filter);

/** Set such a filter on a queue. */
uint32_t oid_set(struct oid_bed *bed, struct vmq_oid_owner *owner, uint16_t queue_id, uint16_t mac,
	uint16_t vlan);

enum vmq_status oid_clear(struct oid_bed *bed, struct vmq_oid_owner *owner, uint32_t filter_id);
enum vmq_status oid_free(struct oid_bed *bed, struct vmq_oid_owner *owner, uint32_t queue_id);

enum vmq_queue_state oid_state(const struct oid_bed *bed, uint16_t queue_id);

/** Take a packet out of a queue's memory. */
struct rte_mbuf *oid_hold(const struct oid_bed *bed, uint16_t queue_id);

/** Go on until a queue is gone. */
void oid_wait_gone(struct oid_bed *bed, uint16_t queue_id);

#endif /* VMQ_UNIT_OID_BED_H */
