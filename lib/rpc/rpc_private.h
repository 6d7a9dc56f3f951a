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
 *   message.c          JSON-RPC: from bytes to requests, from results to answers
 *   method.c           the table of methods, parameters checked against it
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
/* An error that belongs to no request. */
void client_error(struct vmq_rpc_client *client, int code, enum vmq_status status,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Text that may have bytes that are no UTF-8, such as a driver's words, cut somewhere. */
json_t *rpc_string(const char *text);
/* Milliseconds of a clock that does not go back. */
uint64_t rpc_now_ms(void);

/* method.c */
const struct method_entry *rpc_find_method(const struct vmq_rpc *rpc, const char *name);
/*
 * Check a call's params against its method's row, make them an object, and look at "as".
 * Returns false: the call has been refused, and is gone.
 */
bool rpc_check_params(struct vmq_rpc_call *call, json_t *params);

/* The same for a parameter of another name, on an adapter. */
int rpc_queue_param(struct vmq_rpc_call *call, size_t adapter, const char *name);

/* stats.c: a queue's filters, as in a document, with their ids */
json_t *rpc_filters(const struct vmq_adapter *adapter, uint16_t queue_id);

/* peer.c: returns 0 or -errno. */
int rpc_peer_get(int fd, struct peer *peer);
/* The name is known: whom it acts as. */
void rpc_peer_name(const struct vmq_rpc *rpc, struct peer *peer, const char *user);

/* method_*.c: each adds its rows. */
int rpc_add_daemon_methods(struct vmq_rpc *rpc);
int rpc_add_queue_methods(struct vmq_rpc *rpc);

#endif /* VMQ_RPC_PRIVATE_H */
