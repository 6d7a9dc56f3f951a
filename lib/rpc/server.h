/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_RPC_SERVER_H
#define VMQ_RPC_SERVER_H

/* What server.c, client.c and names.c share: sockets and libevent. */

#include "rpc_private.h"

struct bufferevent;
struct lookup;

struct connection {
	TAILQ_ENTRY(connection) next;
	struct server *server;
	struct bufferevent *bev;
	struct event *work;
	struct peer peer;
	struct vmq_rpc_client client;
	bool known; /* its user's name is: client is there */
	bool closed; /* the other end sends nothing more */
	uint64_t sent_ms; /* when its backlog was last empty */
	size_t last_backlog;
	struct lookup *lookup;
};

struct server {
	struct vmq_rpc *rpc;
	struct event_base *base;
	int fd;
	struct vmq_rpc_lock *lock;
	struct event *accept, *tick;
	bool full; /* not accepting */
	TAILQ_HEAD(, connection) connections;
	unsigned int n_connections;
	struct names *names;
};

/* client.c; NULL: errno */
struct connection *connection_open(struct server *server, int fd);
void connection_is_named(struct connection *c, const char *user);
void connection_close(struct connection *c);
/* Try once to send what is left. */
void connection_flush(struct connection *c);
/* Has the other end gone altogether? */
bool connection_has_hung_up(const struct connection *c);

/* server.c: a connection has gone. */
void server_has_room(struct server *server);

/* names.c: names of users, found by a thread of their own: they may come from the network */
struct names *names_create(struct server *server);
void names_destroy(struct names *names);
/* connection_is_named() follows, perhaps at once. Returns false: no memory. */
bool names_look_up(struct server *server, struct connection *c);
void names_forget(struct server *server, struct connection *c);

#endif /* VMQ_RPC_SERVER_H */
