/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Connections: bytes in and out. */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include "server.h"

/* What libevent reads ahead of us. */
#define READ_AHEAD 65536
#define PIECE 16384

static void
on_freed(const void *bytes, size_t length, void *arg)
{
	(void)length;
	(void)arg;
	free((void *)(uintptr_t)bytes);
}

static void
io_send(void *arg, char *bytes, size_t length)
{
	struct connection *c = arg;

	if (evbuffer_add_reference(bufferevent_get_output(c->bev), bytes, length, on_freed, NULL) <
		0) {
		VMQ_LOG(ERR, "control socket: no memory for an answer: it is lost\n");
		free(bytes);
	}
}

static size_t
io_backlog(void *arg)
{
	struct connection *c = arg;

	return evbuffer_get_length(bufferevent_get_output(c->bev));
}

static void
io_wake(void *arg)
{
	static const struct timeval now = {0};
	struct connection *c = arg;

	/* A timer: others have their turn before it. */
	event_add(c->work, &now);
}

static const struct client_io io = {.send = io_send, .backlog = io_backlog, .wake = io_wake};

/* Move what has come to where it is worked on, as much as the client may have. */
static bool
fill(struct connection *c)
{
	struct evbuffer *input = bufferevent_get_input(c->bev);
	char piece[PIECE];
	size_t room;
	int n;

	while ((room = client_room(&c->client)) > 0 && evbuffer_get_length(input) > 0) {
		n = evbuffer_remove(input, piece, RTE_MIN(room, sizeof(piece)));
		if (n <= 0)
			break;
		if (!client_feed(&c->client, piece, (size_t)n)) {
			VMQ_LOG(ERR, "control socket: no memory for a request: connection closed\n");
			return false;
		}
	}
	if (c->closed && evbuffer_get_length(input) == 0)
		c->client.at_end = true;
	return true;
}

/* All is said and sent. */
static bool
is_over(struct connection *c)
{
	return client_is_done(&c->client) && io_backlog(c) == 0 && c->client.subscription == NULL;
}

static void
go_on(struct connection *c)
{
	bool more;

	if (!fill(c)) {
		connection_close(c);
		return;
	}
	more = client_work(&c->client);
	if (is_over(c)) {
		connection_close(c);
		return;
	}
	/* Work may have made room for what is waiting in libevent's buffer. */
	if (more || (client_room(&c->client) > 0 &&
			    (evbuffer_get_length(bufferevent_get_input(c->bev)) > 0 ||
				    (c->closed && !c->client.at_end))))
		io_wake(c);
}

static void
on_work(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	go_on(arg);
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	(void)bev;
	go_on(arg);
}

/* The output is empty. */
static void
on_written(struct bufferevent *bev, void *arg)
{
	struct connection *c = arg;

	(void)bev;
	c->sent_ms = rpc_now_ms();
	go_on(c);
}

bool
connection_has_hung_up(const struct connection *c)
{
	struct pollfd pollfd = {.fd = bufferevent_getfd(c->bev)};

	return poll(&pollfd, 1, 0) == 1 && (pollfd.revents & (POLLHUP | POLLERR)) != 0;
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct connection *c = arg;

	(void)bev;
	/* What a client has asked for before it died is done: it is only not told. */
	if ((what & BEV_EVENT_ERROR) != 0) {
		connection_close(c);
		return;
	}
	if ((what & BEV_EVENT_EOF) != 0) {
		c->closed = true;
		go_on(c);
	}
}

/* Requests of a client whose name is being looked up wait in the socket. */
static void
begin(struct connection *c)
{
	client_init(&c->client, c->server->rpc, &c->peer, &io, c);
	c->known = true;
	bufferevent_setwatermark(c->bev, EV_READ, 0, READ_AHEAD);
	bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

void
connection_is_named(struct connection *c, const char *user)
{
	rpc_peer_name(c->server->rpc, &c->peer, user);
	begin(c);
}

struct connection *
connection_open(struct server *server, int fd)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->server = server;
	c->sent_ms = rpc_now_ms();
	if (rpc_peer_get(fd, &c->peer) < 0)
		goto fail;
	c->work = evtimer_new(server->base, on_work, c);
	c->bev = bufferevent_socket_new(server->base, fd, 0);
	if (c->work == NULL || c->bev == NULL)
		goto fail;
	TAILQ_INSERT_TAIL(&server->connections, c, next);
	server->n_connections++;
	if (c->peer.administrator)
		begin(c);
	else if (!names_look_up(server, c)) {
		connection_close(c);
		errno = ENOMEM;
		return NULL;
	}
	return c;
fail:
	if (c->bev != NULL)
		bufferevent_free(c->bev);
	if (c->work != NULL)
		event_free(c->work);
	free(c);
	return NULL;
}

void
connection_flush(struct connection *c)
{
	struct evbuffer *output = bufferevent_get_output(c->bev);

	evbuffer_unfreeze(output, 1); /* only the bufferevent itself takes out of it otherwise */
	while (evbuffer_get_length(output) > 0 && evbuffer_write(output, bufferevent_getfd(c->bev)) > 0)
		;
}

void
connection_close(struct connection *c)
{
	struct server *server = c->server;
	const int fd = bufferevent_getfd(c->bev);

	if (c->known)
		client_fini(&c->client);
	else
		names_forget(server, c);
	TAILQ_REMOVE(&server->connections, c, next);
	server->n_connections--;
	event_free(c->work);
	bufferevent_free(c->bev);
	close(fd);
	free(c);
	server_has_room(server);
}
