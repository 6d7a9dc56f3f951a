/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_QUEUE_PRIVATE_H
#define VMQ_QUEUE_PRIVATE_H

#include <sys/queue.h>

#include "vmq_queue.h"

/* Ids of queues are 16 bits; so are the classifier's answers. */
#define QUEUES_MAX (UINT16_MAX + 1u)

struct queue {
	uint16_t id;
	enum vmq_queue_state state;
	char *name;
	char *vm;
	uint16_t worker;
	struct vmq_queue_memory memory;
	bool keep_tags;
	struct vmq_backend_params backend_params; /* strings are the queue's own */
	uint32_t n_filters;

	/* From completion to freeing. */
	struct vmq_pool *pool;
	struct vmq_pool *xmit_pool; /* NULL if the backend receives nothing */
	struct vmq_backend *backend;
	struct vmq_dp_queue *dp;
	struct vmq_dp_queue_stats last_packets; /* what dp counted until it was closed */
};

struct vmq_adapter {
	STAILQ_ENTRY(vmq_adapter) next;
	struct vmq_host *host;
	char name[VMQ_NAME_SIZE];
	unsigned int number; /* in the names of its pools */
	struct vmq_shmem *shmem;
	struct vmq_port *port;
	struct vmq_filter_set *filters;
	struct vmq_dp_source *source;
	uint16_t source_worker;
	uint16_t mtu;
	struct vmq_port_stats last_port; /* what the port counted until it was closed */
	struct queue **queues; /* by id, NULL: none; [0] is the default queue */
	uint32_t n_slots; /* in queues */
	unsigned int batch; /* depth of begin without commit */
	bool unpublished; /* something has changed since the last view */
	bool halted;
};

struct vmq_host {
	struct vmq_datapath *dp;
	STAILQ_HEAD(, vmq_adapter) adapters;
	unsigned int next_number;
};

/* adapter.c */
struct queue *adapter_queue(const struct vmq_adapter *adapter, uint32_t id);
/* Publish what has changed, unless a batch is open. */
enum vmq_status adapter_publish(struct vmq_adapter *adapter, struct vmq_error *err);

/* host.c: hand out the work anew to all workers. Returns 0 or -ENOMEM. */
int host_assign(struct vmq_host *host);

/* queue.c */
struct queue *queue_create(uint16_t id, const struct vmq_queue_params *params);
void queue_destroy(struct queue *queue);
/* Give a queue memory, backend and data path. */
enum vmq_status queue_open(struct vmq_adapter *adapter, struct queue *queue, struct vmq_error *err);
/* Take data path and backend away; no worker may use the queue any more. */
void queue_close(struct queue *queue);
/* Free the memory. Returns false while packets are out. */
bool queue_release(struct queue *queue);
/* Is it what workers may deliver to? */
bool queue_is_active(const struct queue *queue);
/* Refuse an event, in words. */
enum vmq_status queue_refuse(const struct queue *queue, enum vmq_queue_event event,
	struct vmq_error *err);

#endif /* VMQ_QUEUE_PRIVATE_H */
