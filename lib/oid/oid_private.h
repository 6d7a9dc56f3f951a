/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_OID_PRIVATE_H
#define VMQ_OID_PRIVATE_H

#include <sys/queue.h>

#include "vmq_oid.h"

/* Buffers, and elements in them, are aligned to this: the largest field's. */
#define BUFFER_ALIGN 8

/* Workers that one processor group names. */
#define GROUP_WORKERS 64

struct vmq_oid_owner {
	TAILQ_ENTRY(vmq_oid_owner) next;
	struct vmq_oid_adapter *adapter;
	char name[VMQ_NAME_SIZE];
	bool administrator;
	bool gone; /* kept only while n_belongings > 0 */
	uint32_t n_belongings; /* queues and filters */
};

/* What requests know of a queue beyond what the queue itself does. */
struct queue_record {
	struct vmq_oid_owner *owner; /* NULL: nobody's */
	uint64_t affinity; /* 0: never given; then its worker alone */
	uint32_t group;
	uint32_t flags; /* without change flags */
	uint32_t port_id;
	struct vmq_oid_request *freeing; /* to be completed when it is gone, or NULL */
};

struct filter_record {
	uint32_t id;
	struct vmq_oid_owner *owner; /* never NULL */
};

struct vmq_oid_subscriber {
	TAILQ_ENTRY(vmq_oid_subscriber) next;
	struct vmq_oid_adapter *adapter;
	vmq_oid_indication_callback *callback; /* NULL: gone, to be freed after the telling */
	void *arg;
	uint64_t after; /* is told what comes after this number */
};

struct vmq_oid_adapter {
	struct vmq_adapter *beneath;
	TAILQ_HEAD(, vmq_oid_owner) owners;
	struct queue_record *queues; /* by id */
	uint32_t n_queues; /* records there are */
	struct filter_record *filters; /* sorted by id: ids only grow */
	uint32_t n_filters, filters_capacity;
	TAILQ_HEAD(, vmq_oid_subscriber) subscribers;
	uint64_t sequence;
	uint64_t changes; /* vmq_oid_changes() */
	bool telling; /* subscribers are being told */
	uint32_t changing; /* change flags of the QUEUE_PARAMETERS set under way */
};

/* What a request wants to do with a queue or a filter that may not be its owner's. */
enum access {
	ACCESS_READ,
	ACCESS_SET_FILTER, /* set a filter on a queue, or move one to it */
	ACCESS_CHANGE,
	ACCESS_REMOVE, /* free, clear */
};

typedef enum vmq_status handler(struct vmq_oid_adapter *adapter, struct vmq_oid_request *request);

/* dispatch.c: what handlers answer with. */
enum vmq_status oid_too_short(struct vmq_oid_request *request, uint64_t needed);
/* All output is written. */
enum vmq_status oid_written(struct vmq_oid_request *request, uint32_t bytes);
/* Check a header at some place of the buffer against the size of the only revision. */
bool oid_header_ok(const struct vmq_oid_header *header, size_t size);
/*
 * Check an array of the input: where it lies, and all headers of its elements.
 * structure_size: of what it must lie behind.
 */
enum vmq_status oid_check_array(struct vmq_oid_request *request,
	const struct vmq_oid_array *array, size_t structure_size, size_t element_size);
/*
 * Make room for an array of output behind its structure, and fill in *array; both are
 * left alone when the buffer is too short.
 */
enum vmq_status oid_place_array(struct vmq_oid_request *request, struct vmq_oid_array *array,
	size_t structure_size, uint32_t n, size_t element_size);
void *oid_element(const struct vmq_oid_request *request, const struct vmq_oid_array *array,
	uint32_t i);
/* Copy a string into an array of the output; it is known to fit. */
void oid_copy_text(char *to, size_t size, const char *from);

/* owner.c */
/* A queue's record, or an empty one for a queue that was not made by a request. */
const struct queue_record *oid_queue_record(const struct vmq_oid_adapter *adapter, uint16_t id);
/* Make sure that the queue allocated next has a record. Returns false: no memory. */
bool oid_reserve_queue(struct vmq_oid_adapter *adapter);
/* The record of a queue that there is, to be written. Returns NULL: no memory. */
struct queue_record *oid_reserve_record(struct vmq_oid_adapter *adapter, uint16_t id);
bool oid_reserve_filter(struct vmq_oid_adapter *adapter);
/* Both were reserved. */
struct queue_record *oid_add_queue(struct vmq_oid_adapter *adapter, uint16_t id,
	struct vmq_oid_owner *owner);
void oid_add_filter(struct vmq_oid_adapter *adapter, uint32_t id, struct vmq_oid_owner *owner);
void oid_drop_queue(struct vmq_oid_adapter *adapter, uint16_t id);
void oid_drop_filter(struct vmq_oid_adapter *adapter, uint32_t id);
bool oid_sees_filter(const struct vmq_oid_request *request, uint32_t id);
bool oid_sees_queue(const struct vmq_oid_request *request, uint16_t id);
/* May the request's owner do that? info: of the queue, if it may. */
enum vmq_status oid_queue_access(struct vmq_oid_request *request, uint32_t id,
	enum access access, struct vmq_queue_info *info);
enum vmq_status oid_filter_access(struct vmq_oid_request *request, uint32_t id,
	enum access access, const struct vmq_filter **filter);
/* Is the event valid for the queue now? For events that change nothing. */
enum vmq_status oid_check_event(struct vmq_oid_request *request,
	const struct vmq_queue_info *info, enum vmq_queue_event event);

/* parameters.c */
/* The worker of an affinity that is to serve; current: where it is now, -1: nowhere. */
enum vmq_status oid_pick_worker(struct vmq_oid_request *request,
	const struct vmq_oid_queue_parameters *from, int current, uint16_t *worker);
/* Write a queue's parameters in the revision that the buffer's header asks for. */
/* The rates of revision 2. */
void oid_read_rates(const struct vmq_oid_queue_parameters *in, struct vmq_queue_params *params);

enum vmq_status oid_write_parameters(struct vmq_oid_request *request, uint16_t id);
/* The set of processors of a queue, with the one of its worker if it was never given. */
uint64_t oid_affinity(const struct queue_record *record, uint16_t worker, uint32_t *group);
bool oid_has_end(const char *text, size_t size);

/* field.c */
/* Decode field tests that oid_check_array() has passed. */
enum vmq_status oid_decode_fields(struct vmq_oid_request *request,
	const struct vmq_oid_array *fields, struct vmq_filter_match *match);
/* How many field tests a match is. */
uint32_t oid_n_fields(const struct vmq_filter_match *match);
void oid_encode_fields(const struct vmq_oid_request *request, const struct vmq_oid_array *fields,
	const struct vmq_filter_match *match);

/* indications.c */
void oid_indicate(void *arg, struct vmq_adapter *beneath, enum vmq_indication type,
	uint16_t queue_id, uint32_t value);

/* Handlers, one for each row and type. */
handler oid_hardware_capabilities, oid_current_capabilities, oid_global_parameters;
handler oid_allocate_queue, oid_free_queue, oid_enum_queues;
handler oid_query_parameters, oid_set_parameters, oid_complete;
handler oid_set_filter, oid_clear_filter, oid_move_filter, oid_enum_filters;
handler oid_filter_parameters;

#endif /* VMQ_OID_PRIVATE_H */
