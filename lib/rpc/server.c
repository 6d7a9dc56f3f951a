/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* The server: clients come and go, time passes. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_errno.h>

#include "server.h"

/* How often deadlines are looked at. */
#define TICK_MS 250

/* A client that does not read while its backlog is full is let go after that. */
#define STALLED_MS 60000

/* Connections accepted in one turn. */
#define ACCEPTS 16

static void
refuse_connection(const struct server *server, int fd)
{
	char text[320];
	int length;

	length = snprintf(text, sizeof(text),
		"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":%d,\"message\":\"%u clients "
		"are connected, and there may not be more (control.limits.clients)\",\"data\":"
		"{\"status\":\"RESOURCES\",\"reason\":\"too many clients\"}}}\n",
		VMQ_RPC_CODE(VMQ_STATUS_RESOURCES), server->n_connections);
	/* It has nothing to say any more if this is not taken at once. */
	if (send(fd, text, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		VMQ_LOG(DEBUG, "control socket: a refused client has gone already\n");
	close(fd);
}

static void
on_accept(evutil_socket_t listening, short what, void *arg)
{
	struct server *server = arg;
	unsigned int i;
	int fd;

	(void)what;
	for (i = 0; i < ACCEPTS; i++) {
		fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
			return;
		if (fd < 0) {
			/* Out of descriptors: go on when a client has gone, or time has passed. */
			VMQ_LOG(ERR, "control socket: accept: %s\n", strerror(errno));
			event_del(server->accept);
			server->full = true;
			return;
		}
		if (server->n_connections >= server->rpc->limits.clients) {
			refuse_connection(server, fd);
		} else if (connection_open(server, fd) == NULL) {
			VMQ_LOG(ERR, "control socket: a client could not be served: %s\n",
				strerror(errno));
			close(fd);
		}
	}
}

void
server_has_room(struct server *server)
{
	if (!server->full || server->rpc->stopped)
		return;
	server->full = false;
	event_add(server->accept, NULL);
}

/* Returns false: the connection has been closed. */
static bool
look_after(struct connection *c, uint64_t now)
{
	struct vmq_rpc_client *client = &c->client;
	const uint32_t idle_s = c->server->rpc->limits.idle_s;
	size_t backlog;

	if (!c->known)
		return true;
	backlog = client->io->backlog(client->io_arg);
	if (backlog < c->last_backlog || backlog == 0)
		c->sent_ms = now;
	c->last_backlog = backlog;
	if (c->closed && connection_has_hung_up(c)) {
		connection_close(c);
		return false;
	}
	if (backlog >= (size_t)c->server->rpc->limits.output_kb << 10 &&
		now - c->sent_ms >= STALLED_MS) {
		VMQ_LOG(WARNING,
			"control socket: process %d of user %s has read none of its %zu bytes of "
			"answers for %d s: connection closed\n", (int)c->peer.pid, c->peer.user,
			backlog, STALLED_MS / 1000);
		connection_close(c);
		return false;
	}
	if (!client->ended && client->begun_ms != 0 && client->walked == NULL &&
		backlog < (size_t)c->server->rpc->limits.output_kb << 10 &&
		now - client->begun_ms >= idle_s * UINT64_C(1000)) {
		client_error(client, VMQ_RPC_INVALID_REQUEST, VMQ_STATUS_REQUEST_ABORTED,
			"a request has not arrived in full within %u s (control.limits.idle_s): "
			"%zu bytes of it are here", idle_s, client->in_length - client->in_start);
		client->ended = true;
		client->io->wake(client->io_arg);
	}
	return true;
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;
	struct connection *c, *next;
	const uint64_t now = rpc_now_ms();

	(void)fd;
	(void)what;
	server_has_room(server);
	for (c = TAILQ_FIRST(&server->connections); c != NULL; c = next) {
		next = TAILQ_NEXT(c, next);
		look_after(c, now);
	}
}

static void
set_limits(struct vmq_rpc_limits *limits)
{
#define DEFAULT(member, value) limits->member = limits->member != 0 ? limits->member : (value)
	DEFAULT(request_kb, VMQ_RPC_REQUEST_KB);
	DEFAULT(depth, VMQ_RPC_DEPTH);
	DEFAULT(clients, VMQ_RPC_CLIENTS);
	DEFAULT(pending, VMQ_RPC_PENDING);
	DEFAULT(batch, VMQ_RPC_BATCH);
	DEFAULT(output_kb, VMQ_RPC_OUTPUT_KB);
	DEFAULT(idle_s, VMQ_RPC_IDLE_S);
#undef DEFAULT
}

static int
start_server(struct vmq_rpc *rpc, struct vmq_error *err)
{
	static const struct timeval tick = {.tv_usec = TICK_MS * 1000};
	struct server *server = calloc(1, sizeof(*server));

	if (server == NULL)
		return vmq_error_errno(err, ENOMEM, "control socket: no memory");
	server->rpc = rpc;
	server->base = rpc->config.base;
	TAILQ_INIT(&server->connections);
	rpc->server = server;
	server->fd = rpc_listen(&rpc->config.socket, &server->lock, err);
	if (server->fd < 0)
		return server->fd;
	server->accept = event_new(server->base, server->fd, EV_READ | EV_PERSIST, on_accept, server);
	server->tick = event_new(server->base, -1, EV_PERSIST, on_tick, server);
	if (server->accept == NULL || server->tick == NULL ||
		event_add(server->accept, NULL) < 0 || event_add(server->tick, &tick) < 0)
		return vmq_error_errno(err, ENOMEM, "control socket: no memory");
	return 0;
}

static int
add_methods(struct vmq_rpc *rpc)
{
	static int (*const add[])(struct vmq_rpc *) = {
		rpc_add_daemon_methods,
		rpc_add_queue_methods,
		rpc_add_filter_methods,
		rpc_add_memory_methods,
		rpc_add_adapter_methods,
		rpc_add_subscribe_methods,
		rpc_add_oid_methods,
		rpc_add_owner_methods,
		rpc_add_steer_methods,
	};
	size_t i;
	int ret = 0;

	for (i = 0; i < RTE_DIM(add) && ret == 0; i++)
		ret = add[i](rpc);
	return ret;
}

struct vmq_rpc *
vmq_rpc_create(const struct vmq_rpc_config *config, struct vmq_error *err)
{
	struct vmq_rpc *rpc = calloc(1, sizeof(*rpc));
	int ret;

	if (rpc == NULL) {
		rte_errno = -vmq_error_errno(err, ENOMEM, "control socket: no memory");
		return NULL;
	}
	rpc->config = *config;
	rpc->limits = config->limits;
	set_limits(&rpc->limits);
	TAILQ_INIT(&rpc->clients);
	TAILQ_INIT(&rpc->orphans);
	TAILQ_INIT(&rpc->memory_waits);
	TAILQ_INIT(&rpc->verify_waits);
	ret = add_methods(rpc);
	if (ret == 0)
		ret = rpc_listen_indications(rpc);
	if (ret < 0)
		vmq_error_errno(err, -ret, "control socket: methods: %s", strerror(-ret));
	if (ret == 0 && config->socket.path[0] != '\0')
		ret = start_server(rpc, err);
	if (ret < 0) {
		vmq_rpc_free(rpc);
		rte_errno = -ret;
		return NULL;
	}
	return rpc;
}

void
vmq_rpc_stop(struct vmq_rpc *rpc)
{
	struct server *server = rpc->server;

	rpc->stopped = true;
	rpc_verify_abort(rpc);
	if (server == NULL)
		return;
	if (server->accept != NULL)
		event_del(server->accept);
	/* New clients find nobody from now on, and not an old daemon that does not answer. */
	if (server->fd >= 0) {
		unlink(rpc->config.socket.path);
		close(server->fd);
		server->fd = -1;
	}
}

static void
stop_server(struct server *server)
{
	struct connection *c;

	while ((c = TAILQ_FIRST(&server->connections)) != NULL) {
		connection_flush(c);
		connection_close(c);
	}
	names_destroy(server->names);
	if (server->accept != NULL)
		event_free(server->accept);
	if (server->tick != NULL)
		event_free(server->tick);
	vmq_rpc_unlock(server->lock);
	free(server);
}

void
vmq_rpc_free(struct vmq_rpc *rpc)
{
	if (rpc == NULL)
		return;
	vmq_rpc_stop(rpc);
	rpc_memory_abort(rpc);
	rpc_unlisten_indications(rpc);
	if (rpc->server != NULL)
		stop_server(rpc->server);
	free(rpc->methods);
	free(rpc);
}
