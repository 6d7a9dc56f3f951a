/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_RPC_PRIVATE_H
#define VMQ_RPC_PRIVATE_H

/*
 * Inside the control socket:
 *   lock.c, listen.c   files: locks and the socket
 *   server.c           the server: clients come and go, time passes
 *   client.c           one connection: bytes in, answers out
 *   peer.c             who is at the other end
 *   message.c          JSON-RPC: from bytes to requests
 *   answer.c           JSON-RPC: from results to answers
 *   method.c           the table of methods, parameters checked against it
 *   scope.c            what the parameters "adapter" and "queue" leave of all there is
 *   method_*.c         the methods themselves
 */

#include <sys/queue.h>

#include <event2/event.h>

#include "frame.h"
#include "vmq_rpc.h"

/* lock.c */
/* Path of the folder of default sockets. Returns its length, or -1: it does not fit. */
int rpc_run_folder(char *path, size_t size);
/* Make it, or make sure that it is ours alone. Returns 0 or -errno. */
int rpc_make_run_folder(char *folder, size_t size, struct vmq_error *err);
/* what: what is locked: "document /etc/vmqd.json". Returns NULL with rte_errno. */
struct vmq_rpc_lock *rpc_lock_file(const char *path, const char *what, struct vmq_error *err);

/* listen.c: returns the listening socket, or -errno. */
int rpc_listen(const struct vmq_rpc_socket *params, struct vmq_rpc_lock **lock,
	struct vmq_error *err);

/* Who is at the other end of a connection. */
struct peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	bool administrator;
	char user[VMQ_NAME_SIZE]; /* "1000" for a user that has no name */
	char owner[VMQ_NAME_SIZE];
};

/* A growing text. */
struct text {
	char *bytes;
	size_t length, capacity;
	bool failed; /* no memory: what was added since is not there */
};

void text_add(struct text *text, const char *bytes, size_t length);
/* Add a JSON value; NULL is no memory. */
void text_add_json(struct text *text, const json_t *value);
void text_free(struct text *text);

/* A batch whose answers are collected. */
struct batch {
	TAILQ_ENTRY(batch) next;
	struct vmq_rpc_client *client; /* NULL: gone */
	json_t *requests;
	size_t index; /* the next one to be begun */
	unsigned int open; /* begun and not answered */
	struct text answers;
};

struct vmq_rpc_call {
	TAILQ_ENTRY(vmq_rpc_call) next;
	struct vmq_rpc *rpc;
	struct vmq_rpc_client *client; /* NULL: gone; nobody hears the answer */
	struct batch *batch; /* or NULL */
	json_t *request; /* keeps alive what params and id are part of */
	json_t *params; /* an object */
	json_t *id; /* borrowed; NULL: a notification */
	const struct vmq_rpc_method *method;
	void *arg;
	struct peer peer;
	const char *as; /* borrowed from params; NULL: as the client itself */
	char peer_text[128];
};

/* How bytes leave; tests and the fuzzer have others than client.c. */
struct client_io {
	/* Take bytes, which were allocated, and send them. */
	void (*send)(void *arg, char *bytes, size_t length);
	/* Bytes that were taken and have not left. */
	size_t (*backlog)(void *arg);
	/* Call client_work() soon, not now. */
	void (*wake)(void *arg);
};

TAILQ_HEAD(batch_list, batch);
TAILQ_HEAD(call_list, vmq_rpc_call);

/* JSON-RPC with one client, whatever carries the bytes. */
struct vmq_rpc_client {
	TAILQ_ENTRY(vmq_rpc_client) next;
	struct vmq_rpc *rpc;
	struct peer peer;
	const struct client_io *io;
	void *io_arg;

	char *in; /* bytes from in_start to in_length are to be worked on */
	size_t in_start, in_length, in_capacity;
	size_t in_scanned; /* up to here they are part of the value that frame knows */
	struct frame frame;
	uint64_t begun_ms; /* when the value in hand began to arrive; 0: none */

	struct batch *walked; /* the batch whose requests are being begun */
	struct batch_list batches; /* those that are walked already */
	struct call_list calls;
	unsigned int pending; /* calls */
	bool at_end; /* nothing more is coming; set by who carries the bytes */
	bool ended; /* nothing more is worked on: it goes when all is answered */
	struct vmq_rpc_watch *watches;
	struct subscription *subscription; /* method_subscribe.c's; or NULL */
};

/* One row of the table, and for whom. */
struct method_entry {
	const struct vmq_rpc_method *method;
	void *arg;
};

struct vmq_rpc {
	struct vmq_rpc_config config;
	struct vmq_rpc_limits limits; /* without 0 */
	struct method_entry *methods; /* sorted by name */
	size_t n_methods;
	TAILQ_HEAD(, vmq_rpc_client) clients;
	struct call_list orphans; /* calls whose client has gone */
	TAILQ_HEAD(, memory_wait) memory_waits;
	TAILQ_HEAD(, verify_wait) verify_waits;
	struct rpc_listener *listeners; /* one for each adapter */
	bool stopped;
	void *server; /* server.c's own */
};

/* message.c */
void client_init(struct vmq_rpc_client *client, struct vmq_rpc *rpc, const struct peer *peer,
	const struct client_io *io, void *io_arg);
/* Its calls go on without it. */
void client_fini(struct vmq_rpc_client *client);
/* Bytes that it wants to have now. */
size_t client_room(const struct vmq_rpc_client *client);
/* Returns false: no memory; the client cannot go on. */
bool client_feed(struct vmq_rpc_client *client, const char *bytes, size_t length);
/* Work for a bounded time. Returns whether there is more to be done now. */
bool client_work(struct vmq_rpc_client *client);
/* Is everything said? Then, once its backlog is gone, it can go. */
bool client_is_done(const struct vmq_rpc_client *client);
/* Milliseconds of a clock that does not go back. */
uint64_t rpc_now_ms(void);

/* answer.c */
/* Has it not read so much of what it was told that it is told no more now? */
bool client_is_behind(const struct vmq_rpc_client *client);
/* If all requests of a batch are answered, its answers go out together; then it is gone. */
void rpc_finish_batch(struct batch *batch);
/* An error for a request that is none, alone or in a batch (or NULL). id: may be NULL. */
void rpc_answer_error(struct vmq_rpc_client *client, struct batch *batch, const json_t *id,
	int code, enum vmq_status status, const char *message);
/* Answer now, though the work goes on: what it comes to later is told to nobody. */
void rpc_answer_early(struct vmq_rpc_call *call, json_t *result);
/* An error that belongs to no request. */
void client_error(struct vmq_rpc_client *client, int code, enum vmq_status status,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Text that may have bytes that are no UTF-8, such as a driver's words, cut somewhere. */
json_t *rpc_string(const char *text);

/* method.c */
const struct method_entry *rpc_find_method(const struct vmq_rpc *rpc, const char *name);
/*
 * Check a call's params against its method's row, make them an object, and look at "as".
 * Returns false: the call has been refused, and is gone.
 */
bool rpc_check_params(struct vmq_rpc_call *call, json_t *params);

/* The same for a parameter of another name, on an adapter. */
int rpc_queue_param(struct vmq_rpc_call *call, size_t adapter, const char *name);

/* scope.c */
/* One adapter; queue: the only one that is meant, -1: all. */
typedef void rpc_visit_adapter(struct vmq_rpc_call *call, size_t adapter,
	const struct vmq_oid_owner *owner, int queue, void *arg);
typedef void rpc_visit_queue(struct vmq_rpc_call *call, size_t adapter,
	const struct vmq_queue_info *info, void *arg);
/*
 * Visit what the optional parameters "adapter" and "queue" leave: one, or all; of queues
 * those that the call's owner can see. Returns false: the call has been refused.
 */
bool rpc_each_adapter(struct vmq_rpc_call *call, rpc_visit_adapter *visit, void *arg);
bool rpc_each_queue(struct vmq_rpc_call *call, rpc_visit_queue *visit, void *arg);

/* The adapter with that index, for requests and as it is beneath. */
static inline struct vmq_oid_adapter *
rpc_requests(const struct vmq_rpc_call *call, size_t adapter)
{
	return call->rpc->config.system->adapters[adapter].requests;
}

static inline struct vmq_adapter *
rpc_beneath(const struct vmq_rpc_call *call, size_t adapter)
{
	return vmq_oid_adapter_beneath(rpc_requests(call, adapter));
}

#define RPC_ADAPTER_PARAM                                                                          \
	{"adapter", VMQ_RPC_TEXT, false, "name of the adapter; not needed with one"}
#define RPC_QUEUE_PARAM {"queue", VMQ_RPC_QUEUE, true, "id or name of the queue"}

/* stats.c: parts of the statistics; filters as in a document, with their ids */
json_t *rpc_filter(const struct vmq_filter *filter);
json_t *rpc_filters(const struct vmq_adapter *adapter, uint16_t queue_id);
json_t *rpc_drops(const struct vmq_dp_queue_stats *packets);
json_t *rpc_tx_drops(const struct vmq_dp_tx_stats *tx);
json_t *rpc_pool(const struct vmq_pool_stats *memory);
json_t *rpc_buffers(const struct vmq_queue_info *info);
json_t *rpc_backend(const struct vmq_queue_info *info);
json_t *rpc_adapter_stats(const struct vmq_rpc_adapter *adapter);

/* oid_codec.c: "52:54:00:00:00:01"; returns false: that is none */
bool rpc_mac_from_text(const char *text, uint8_t mac[6]);

/* method_filter.c: typed requests; those that may end later have complete and arg set */
enum vmq_status rpc_request(struct vmq_oid_adapter *requests, struct vmq_oid_request *request,
	enum vmq_oid_request_type type, uint32_t oid, void *information, size_t length);
enum vmq_status rpc_set_filter(struct vmq_oid_adapter *requests, struct vmq_oid_owner *owner,
	uint16_t queue_id, const struct vmq_filter_match *match, uint32_t *filter_id,
	struct vmq_error *err);
enum vmq_status rpc_clear_filter(struct vmq_oid_adapter *requests, struct vmq_oid_owner *owner,
	uint32_t filter_id, struct vmq_error *err);

/* method_memory.c */
void rpc_memory_indication(struct vmq_rpc *rpc, size_t adapter,
	const struct vmq_oid_indication *indication);
void rpc_memory_abort(struct vmq_rpc *rpc);

/* method_steer.c */
void rpc_verify_abort(struct vmq_rpc *rpc);

/* method_subscribe.c */
int rpc_listen_indications(struct vmq_rpc *rpc);
void rpc_unlisten_indications(struct vmq_rpc *rpc);
/* Tell a client what it has missed, if it reads again. */
void rpc_catch_up(struct vmq_rpc_client *client);

/* peer.c: returns 0 or -errno. */
int rpc_peer_get(int fd, struct peer *peer);
/* The name is known: whom it acts as. */
void rpc_peer_name(const struct vmq_rpc *rpc, struct peer *peer, const char *user);

/* method_*.c: each adds its rows. */
int rpc_add_daemon_methods(struct vmq_rpc *rpc);
int rpc_add_queue_methods(struct vmq_rpc *rpc);
int rpc_add_filter_methods(struct vmq_rpc *rpc);
int rpc_add_memory_methods(struct vmq_rpc *rpc);
int rpc_add_adapter_methods(struct vmq_rpc *rpc);
int rpc_add_subscribe_methods(struct vmq_rpc *rpc);
int rpc_add_oid_methods(struct vmq_rpc *rpc);
int rpc_add_owner_methods(struct vmq_rpc *rpc);
int rpc_add_steer_methods(struct vmq_rpc *rpc);

#endif /* VMQ_RPC_PRIVATE_H */
