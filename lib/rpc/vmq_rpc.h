/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_RPC_H
#define VMQ_RPC_H

/**
 * @file
 * The control socket: JSON-RPC 2.0 over a Unix stream socket. Control thread only; it
 * never waits for a client.
 *
 * A stream is a sequence of JSON values, with or without white space between them:
 * requests, notifications and batches. Requests of one client are begun in the order
 * they came; one that ends later (a queue whose packets are still out) is answered
 * later, and those behind it do not wait.
 *
 * Who a client is says the kernel (SO_PEERCRED). Root and the user that vmqd runs as
 * are administrators and act as the owner "admin"; others act as "uid:NAME", or as the
 * owner that the document maps them to. An owner stays when its last connection ends:
 * the same user who comes back has what it had. An administrator may act in the name of
 * any owner that there is, by the parameter "as".
 *
 * The table of methods is data: help, `methods`, manual pages and completion come from
 * its rows. Others add rows of their own with vmq_rpc_add_methods().
 */

#include <sys/types.h>

#include <jansson.h>

#include <vmq_oid.h>

struct event_base;

/** What an administrator of the socket owns. */
#define VMQ_RPC_OWNER_ADMIN "admin"

/** Longest path of a Unix socket, in bytes with the final NUL (sockaddr_un). */
#define VMQ_RPC_SOCKET_SIZE 108

/* lock.c, listen.c: before and after the start of the system */

/** The one daemon on a document, and on a socket. */
struct vmq_rpc_lock;

/**
 * Where the socket is unless a document says otherwise: /run/vmqd/NAME.sock for root,
 * else $XDG_RUNTIME_DIR/vmqd/NAME.sock, else /tmp/vmqd-UID/NAME.sock.
 *
 * @param name
 *   EAL's file prefix.
 * @return 0, or -ENAMETOOLONG with the reason in err.
 */
int vmq_rpc_default_socket(const char *name, char path[VMQ_RPC_SOCKET_SIZE],
	struct vmq_error *err);

/**
 * Make sure that no other daemon runs on a document: a lock file in the folder of the
 * default sockets, which the kernel lets go of even after a crash.
 *
 * @param document
 *   Path of the document.
 * @return NULL with rte_errno and the reason in err: EEXIST: another one has it (err
 *   names its process id).
 */
struct vmq_rpc_lock *vmq_rpc_lock_document(const char *document, struct vmq_error *err);

/** NULL is allowed. */
void vmq_rpc_unlock(struct vmq_rpc_lock *lock);

/** A listening socket. */
struct vmq_rpc_socket {
	char path[VMQ_RPC_SOCKET_SIZE];
	uid_t owner;
	gid_t group;
	mode_t mode;
};

/* The server. */

/** Bounds of what clients may use; 0: the default. */
struct vmq_rpc_limits {
	uint32_t request_kb; /**< Of one request or batch. */
	uint32_t depth; /**< Of objects and arrays in a request. */
	uint32_t clients; /**< Connections at a time. */
	uint32_t pending; /**< Requests of one client that are not answered yet. */
	uint32_t batch; /**< Requests in one batch. */
	uint32_t output_kb; /**< Of one client that have not been read. */
	uint32_t idle_s; /**< For a request to arrive in full. */
};

#define VMQ_RPC_REQUEST_KB 4096
#define VMQ_RPC_DEPTH 32
#define VMQ_RPC_CLIENTS 64
#define VMQ_RPC_PENDING 128
#define VMQ_RPC_BATCH 1000
#define VMQ_RPC_OUTPUT_KB 4096
#define VMQ_RPC_IDLE_S 10

/** A rate of delivery, measured by the application over its last interval. */
struct vmq_rpc_rates {
	double mpps, gbps;
};

/** One adapter as methods see it. */
struct vmq_rpc_adapter {
	struct vmq_oid_adapter *requests;
	const char *device; /**< Lives as long as the server. */
};

/** What there is to be shown and driven. Owner: the application; outlives the server. */
struct vmq_rpc_system {
	const char *version;
	struct vmq_host *host;
	const struct vmq_rpc_adapter *adapters;
	size_t n_adapters;
	const int *worker_cpus; /**< CPU of each worker. */
	double (*elapsed_s)(void *arg); /**< Since the start. */
	/** Rates of a queue, over the application's last interval. */
	struct vmq_rpc_rates (*rates)(void *arg, size_t adapter, uint16_t queue_id);
	void *arg;
};

/** One user of the document's map of owners. */
struct vmq_rpc_mapping {
	const char *user;
	const char *owner;
};

struct vmq_rpc_config {
	struct event_base *base;
	struct vmq_rpc_socket socket; /**< Empty path: none, methods can still be called. */
	struct vmq_rpc_limits limits;
	const struct vmq_rpc_mapping *mappings; /**< Live as long as the server. */
	size_t n_mappings;
	/**
	 * Bit n: users who are no administrators may have queues with backends of enum
	 * vmq_backend_type n. A backend that writes files or opens devices does so with
	 * the rights of the daemon.
	 */
	uint32_t user_backends;
	const struct vmq_rpc_system *system;
	/** Stop the daemon in order; called from within a method. */
	void (*shutdown)(void *arg);
	void *arg;
};

struct vmq_rpc;

/** @return NULL with rte_errno and the reason in err. */
struct vmq_rpc *vmq_rpc_create(const struct vmq_rpc_config *config, struct vmq_error *err);

/** No more clients, and no more requests of those there are; answers still go out. */
void vmq_rpc_stop(struct vmq_rpc *rpc);

/**
 * Free; after vmq_adapter_free(), so that all pending requests have ended, and before
 * vmq_oid_adapter_free(). What
 * has not been sent by then is tried once. NULL is allowed.
 */
void vmq_rpc_free(struct vmq_rpc *rpc);

/* Methods. */

/** Types of parameters. */
enum vmq_rpc_type {
	VMQ_RPC_TEXT,
	VMQ_RPC_INTEGER,
	VMQ_RPC_BOOL,
	VMQ_RPC_OBJECT,
	VMQ_RPC_LIST,
	VMQ_RPC_QUEUE, /**< A queue's id or name. */
	VMQ_RPC_NAME, /**< A name or a number. */
	VMQ_RPC_ANY,
	VMQ_RPC_TYPE_COUNT, /* not a type */
};

/** "text", "integer"... as `methods` says. */
const char *vmq_rpc_type_name(enum vmq_rpc_type type);

/** One parameter of a method. */
struct vmq_rpc_param {
	const char *name;
	enum vmq_rpc_type type;
	bool required;
	const char *help; /**< One line. */
};

#define VMQ_RPC_F_ADMINISTRATOR (UINT32_C(1) << 0) /**< For administrators only. */
#define VMQ_RPC_F_LATER (UINT32_C(1) << 1) /**< May be answered later. */
#define VMQ_RPC_F_CHANGES (UINT32_C(1) << 2) /**< Changes something. */
/** Takes further parameters, by name, and checks them itself. */
#define VMQ_RPC_F_OPEN (UINT32_C(1) << 3)

/** A request under way. It lives until it is answered, also when its client goes away. */
struct vmq_rpc_call;

/**
 * Carry a request out: must end, now or later, in exactly one of vmq_rpc_reply(),
 * vmq_rpc_refuse() and vmq_rpc_refuse_at(), after which the call is gone.
 */
typedef void vmq_rpc_handler(struct vmq_rpc_call *call);

/** Most parameters of a method. */
#define VMQ_RPC_PARAMS_MAX 12

/** A row of the table. */
struct vmq_rpc_method {
	const char *name; /**< "queue.list" */
	const char *help; /**< One line. */
	const char *result; /**< What it answers with, one line. */
	uint32_t flags; /**< VMQ_RPC_F_* */
	vmq_rpc_handler *handler;
	struct vmq_rpc_param params[VMQ_RPC_PARAMS_MAX]; /**< Up to the first without name. */
};

/**
 * Add rows. The table must live as long as the server.
 *
 * @param arg
 *   For vmq_rpc_arg().
 * @return 0, -ENOMEM, or -EEXIST: there is a method of one of the names.
 */
int vmq_rpc_add_methods(struct vmq_rpc *rpc, const struct vmq_rpc_method *methods, size_t n,
	void *arg);

/** What the method was added with. */
void *vmq_rpc_arg(const struct vmq_rpc_call *call);

struct vmq_rpc *vmq_rpc_of(const struct vmq_rpc_call *call);
const struct vmq_rpc_system *vmq_rpc_system_of(const struct vmq_rpc_call *call);

/** A parameter, which has been checked against its row. Borrowed. @return NULL: not given. */
json_t *vmq_rpc_get(const struct vmq_rpc_call *call, const char *name);

/** All parameters, an object. Borrowed. */
json_t *vmq_rpc_params(const struct vmq_rpc_call *call);

/** One parameter as text. @return NULL: not given. */
const char *vmq_rpc_get_text(const struct vmq_rpc_call *call, const char *name);

/**
 * An integer from min to max, or otherwise if it was not given.
 *
 * @return false: it is out of range, and the call has been refused with that.
 */
bool vmq_rpc_get_integer(struct vmq_rpc_call *call, const char *name, int64_t min, int64_t max,
	int64_t otherwise, int64_t *value);

bool vmq_rpc_get_bool(const struct vmq_rpc_call *call, const char *name, bool otherwise);

/** Is the client an administrator (that does not act in the name of somebody else)? */
bool vmq_rpc_is_administrator(const struct vmq_rpc_call *call);

/** Name of the owner that the client acts as. */
const char *vmq_rpc_owner_name(const struct vmq_rpc_call *call);

/** User id of the client, as the kernel says. */
uid_t vmq_rpc_client_uid(const struct vmq_rpc_call *call);

/** "root (uid 0, pid 1234)", for messages. */
const char *vmq_rpc_client_text(const struct vmq_rpc_call *call);

/**
 * The adapter that the parameter "adapter" names; without it the only one there is.
 *
 * @return its index; -1: there is none, and the call has been refused with that.
 */
int vmq_rpc_adapter_of(struct vmq_rpc_call *call);

/**
 * The owner that the call acts as on an adapter.
 *
 * @return NULL: the call has been refused.
 */
struct vmq_oid_owner *vmq_rpc_owner_of(struct vmq_rpc_call *call, size_t adapter);

/**
 * The queue that the parameters "adapter" and "queue" name and that the owner can see.
 *
 * @param owner
 *   Receives the owner that the call acts as (vmq_rpc_owner_of()); NULL: not wanted.
 * @return its id; -1: the call has been refused.
 */
int vmq_rpc_queue_of(struct vmq_rpc_call *call, size_t *adapter, struct vmq_oid_owner **owner);

/**
 * May the client have queues with such a backend?
 *
 * @return false: no, and the call has been refused with that.
 */
bool vmq_rpc_may_have_backend(struct vmq_rpc_call *call, enum vmq_backend_type type);

/** Answer. Takes result; NULL: no memory. */
void vmq_rpc_reply(struct vmq_rpc_call *call, json_t *result);

/** Refuse: a sentence, and the lower layer's reason if it is not the sentence itself. */
void vmq_rpc_refuse(struct vmq_rpc_call *call, enum vmq_status status, const char *reason,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

/**
 * Bad parameters: JSON-RPC's own error -32602.
 *
 * @param pointer
 *   JSON pointer of the place in the parameters: "/queue/memory/buffers".
 */
void vmq_rpc_refuse_at(struct vmq_rpc_call *call, const char *pointer, const char *hint,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

/** The same with a list (taken) of all that is wrong: data.findings. */
void vmq_rpc_refuse_findings(struct vmq_rpc_call *call, const char *pointer, const char *hint,
	json_t *findings, const char *format, ...) __attribute__((format(printf, 5, 6)));

/** A refusal with more to say: data (taken) is what the error's "data" has. */
void vmq_rpc_refuse_data(struct vmq_rpc_call *call, enum vmq_status status, json_t *data,
	const char *text);

/** The error code of a status. */
#define VMQ_RPC_CODE(status) (-32000 - (int)(status))
#define VMQ_RPC_PARSE_ERROR (-32700)
#define VMQ_RPC_INVALID_REQUEST (-32600)
#define VMQ_RPC_NO_METHOD (-32601)
#define VMQ_RPC_INVALID_PARAMS (-32602)
#define VMQ_RPC_INTERNAL (-32603)

/* A client beyond a single request. */

struct vmq_rpc_client;

/** The client of a call; NULL: it has gone. */
struct vmq_rpc_client *vmq_rpc_client_of(const struct vmq_rpc_call *call);

/**
 * Tell a client something by a notification of its own.
 *
 * @param params
 *   Taken.
 * @return false: it has not read what was sent before, and this is lost: count it.
 */
bool vmq_rpc_notify(struct vmq_rpc_client *client, const char *method, json_t *params);

/** A watch on the end of a client. Embedded in a structure of the caller's. */
struct vmq_rpc_watch {
	void (*gone)(struct vmq_rpc_watch *watch);
	struct vmq_rpc_watch *next, **previous; /* the client's own */
};

void vmq_rpc_watch(struct vmq_rpc_client *client, struct vmq_rpc_watch *watch);
/** Not to be told any more; also allowed when it was told. */
void vmq_rpc_unwatch(struct vmq_rpc_watch *watch);

/* stats.c: figures as JSON, the same for a file and for the socket */

/** Rates of the queue; rates NULL: as system has them. @return NULL: no memory. */
json_t *vmq_rpc_queue_stats(const struct vmq_rpc_system *system, size_t adapter,
	const struct vmq_queue_info *info, const struct vmq_rpc_rates *rates);

/**
 * What each worker has done, a list.
 *
 * @param final
 *   Shares and means are those of the whole run, not of the last second.
 * @return NULL: no memory.
 */
json_t *vmq_rpc_workers(const struct vmq_rpc_system *system, bool final);

/** What a queue is, without its figures. @return NULL: no memory. */
json_t *vmq_rpc_queue_json(const struct vmq_rpc_system *system, size_t adapter,
	const struct vmq_queue_info *info);

/** A queue's memory, without what its VM sends. @return NULL: no memory. */
json_t *vmq_rpc_queue_buffers(const struct vmq_queue_info *info);

/** What of the statistics depends on who asks, and when. */
struct vmq_rpc_stats_params {
	double elapsed_s, interval_s;
	bool final;
	/** May it see the queue? NULL: all. */
	bool (*sees)(void *arg, size_t adapter, uint16_t queue_id);
	struct vmq_rpc_rates (*rates)(void *arg, size_t adapter, uint16_t queue_id);
	void *arg;
};

/** All statistics. @return NULL: no memory. */
json_t *vmq_rpc_stats(const struct vmq_rpc_system *system,
	const struct vmq_rpc_stats_params *params);

#endif /* VMQ_RPC_H */
