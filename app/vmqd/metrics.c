/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * A small HTTP server: one request a connection, answered and closed. Not libevent's
 * own, which accepts without a bound and counts a client's time anew with each byte.
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>

#include <event2/bufferevent.h>
#include <event2/listener.h>

#include "metrics.h"

/* With less than this on its way to a client the next family is written. */
#define OUTPUT_LOW (64 << 10)

#define TEXT_TYPE "text/plain; charset=utf-8"
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum client_state {
	CLIENT_ASKS, /* its request is being read */
	CLIENT_READS, /* the answer is on its way */
	CLIENT_LEAVES, /* all is sent: until it closes, what it says is thrown away */
};

struct client {
	LIST_ENTRY(client) next;
	struct metrics *metrics;
	struct bufferevent *bev;
	struct event *deadline;
	enum client_state state;
	bool said_all; /* it has closed its own direction */
	struct figures *figures; /* NULL: the answer is written */
	size_t family; /* the next one to write */
};

struct metrics {
	const struct system *system;
	struct evconnlistener *listener;
	struct event *retry; /* listens again after a failure */
	LIST_HEAD(, client) clients;
	unsigned int n_clients;
	double start_s;
};

static void
client_free(struct client *client)
{
	if (client == NULL)
		return;
	LIST_REMOVE(client, next);
	client->metrics->n_clients--;
	if (client->deadline != NULL)
		event_free(client->deadline);
	if (client->bev != NULL)
		bufferevent_free(client->bev);
	figures_free(client->figures);
	free(client);
}

static void
add_header(struct evbuffer *out, const char *status, const char *type, const char *more)
{
	evbuffer_add_printf(out,
		"HTTP/1.1 %s\r\nContent-Type: %s\r\n%sCache-Control: no-store\r\n"
		"Connection: close\r\n\r\n", status, type, more);
}

/* A short answer, and the end. */
static void
answer(struct client *client, const char *status, const char *more, const char *text)
{
	struct evbuffer *out = bufferevent_get_output(client->bev);

	client->state = CLIENT_READS;
	add_header(out, status, TEXT_TYPE, more);
	evbuffer_add_printf(out, "%s\n", text);
}

/* Write families until enough is on its way. What a client has not taken is not kept twice. */
static void
go_on(struct client *client)
{
	struct evbuffer *out = bufferevent_get_output(client->bev);

	while (client->figures != NULL && evbuffer_get_length(out) < OUTPUT_LOW) {
		if (metrics_write_family(out, client->figures, client->metrics->start_s,
			    client->family++))
			continue;
		figures_free(client->figures);
		client->figures = NULL;
	}
}

/* The first line of a request, without its end. */
static void
answer_request(struct client *client, char *line)
{
	char *method, *target, *version, *save = NULL;
	struct evbuffer *out = bufferevent_get_output(client->bev);
	bool head;

	method = strtok_r(line, " ", &save);
	target = strtok_r(NULL, " ", &save);
	version = strtok_r(NULL, " ", &save);
	if (method == NULL || target == NULL || version == NULL ||
		strtok_r(NULL, " ", &save) != NULL || strncmp(version, "HTTP/1.", 7) != 0) {
		answer(client, "400 Bad Request", "", "This is not an HTTP/1 request.");
		return;
	}
	head = strcmp(method, "HEAD") == 0;
	target[strcspn(target, "?")] = '\0';
	if (!head && strcmp(method, "GET") != 0) {
		answer(client, "405 Method Not Allowed", "Allow: GET, HEAD\r\n",
			"Only GET and HEAD are answered here.");
	} else if (strcmp(target, "/metrics") != 0) {
		answer(client, "404 Not Found", "", "vmqd's metrics are at /metrics.");
	} else {
		if (!head)
			client->figures = figures_take(client->metrics->system);
		if (!head && client->figures == NULL) {
			answer(client, "503 Service Unavailable", "", "There is no memory for this.");
			return;
		}
		client->state = CLIENT_READS;
		add_header(out, "200 OK", METRICS_TYPE, "");
		go_on(client);
	}
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct client *client = arg;
	struct evbuffer_ptr end;
	char *line;

	if (client->state == CLIENT_ASKS) {
		end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
		if (end.pos < 0)
			end = evbuffer_search(in, "\n\n", 2, NULL);
		if (end.pos < 0 && evbuffer_get_length(in) < METRICS_REQUEST_MAX)
			return;
		line = end.pos < 0 ? NULL : evbuffer_readln(in, NULL, EVBUFFER_EOL_CRLF);
		if (line != NULL)
			answer_request(client, line);
		else
			answer(client, "431 Request Header Fields Too Large", "",
				"The request is too long.");
		free(line);
	}
	evbuffer_drain(in, evbuffer_get_length(in));
}

/* The output is empty. */
static void
on_written(struct bufferevent *bev, void *arg)
{
	struct client *client = arg;

	if (client->state != CLIENT_READS)
		return;
	go_on(client);
	if (client->figures != NULL || evbuffer_get_length(bufferevent_get_output(bev)) > 0)
		return;
	if (client->said_all) {
		client_free(client);
		return;
	}
	/* To close now could reset the connection, and what was sent would be lost. */
	client->state = CLIENT_LEAVES;
	shutdown(bufferevent_getfd(bev), SHUT_WR);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct client *client = arg;

	if ((what & BEV_EVENT_EOF) != 0 && client->state == CLIENT_READS) {
		client->said_all = true; /* and still reads */
		bufferevent_disable(bev, EV_READ);
		return;
	}
	client_free(client);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	client_free(arg);
}

/* One too many: say so at once, and keep nothing for it. */
static void
refuse(evutil_socket_t fd)
{
	static const char text[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: " TEXT_TYPE
				   "\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
				   "Too many clients are reading the metrics already.\n";
	char request[1024];
	ssize_t done;

	done = send(fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	/* Unread bytes would make close() take the answer back. */
	while (done > 0)
		done = recv(fd, request, sizeof(request), MSG_DONTWAIT);
	evutil_closesocket(fd);
}

static void
on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length,
	void *arg)
{
	const struct timeval deadline = {.tv_sec = METRICS_SECONDS_MAX};
	struct event_base *base = evconnlistener_get_base(listener);
	struct metrics *metrics = arg;
	struct client *client;

	(void)address;
	(void)length;
	client = metrics->n_clients < METRICS_CLIENTS_MAX ? calloc(1, sizeof(*client)) : NULL;
	if (client == NULL) {
		refuse(fd);
		return;
	}
	client->metrics = metrics;
	LIST_INSERT_HEAD(&metrics->clients, client, next);
	metrics->n_clients++;
	client->deadline = event_new(base, -1, 0, on_deadline, client);
	client->bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (client->bev == NULL)
		evutil_closesocket(fd);
	if (client->bev == NULL || client->deadline == NULL ||
		event_add(client->deadline, &deadline) < 0) {
		client_free(client);
		return;
	}
	bufferevent_setcb(client->bev, on_read, on_written, on_event, client);
	bufferevent_setwatermark(client->bev, EV_READ, 0, METRICS_REQUEST_MAX);
	bufferevent_enable(client->bev, EV_READ | EV_WRITE);
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct metrics *metrics = arg;

	(void)fd;
	(void)what;
	evconnlistener_enable(metrics->listener);
}

/* A failed accept, such as no file descriptor left: not again and again in a loop. */
static void
on_accept_error(struct evconnlistener *listener, void *arg)
{
	const struct timeval wait = {.tv_sec = 1};
	struct metrics *metrics = arg;

	VMQ_LOG(WARNING, "metrics: a connection was not accepted: %s\n", strerror(errno));
	if (event_add(metrics->retry, &wait) == 0)
		evconnlistener_disable(listener);
}

static void
log_address(evutil_socket_t fd)
{
	struct sockaddr_storage bound;
	socklen_t length = sizeof(bound);
	char host[INET6_ADDRSTRLEN] = "?";

	if (getsockname(fd, (struct sockaddr *)&bound, &length) < 0)
		return;
	if (bound.ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)&bound;

		evutil_inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		VMQ_LOG(NOTICE, "metrics at http://%s:%u/metrics\n", host, ntohs(in->sin_port));
	} else {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&bound;

		evutil_inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		VMQ_LOG(NOTICE, "metrics at http://[%s]:%u/metrics\n", host, ntohs(in6->sin6_port));
	}
}

struct metrics *
metrics_open(struct event_base *base, const char *address, const struct system *system,
	struct vmq_error *err)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));
	struct sockaddr_storage to = {0};
	socklen_t length;
	struct timespec now;

	if (metrics == NULL) {
		vmq_error_errno(err, ENOMEM, "no memory for metrics");
		return NULL;
	}
	if (!document_parse_address(address, &to, &length)) {
		vmq_error_errno(err, EINVAL, "at /metrics/address: %s is no address", address);
		free(metrics);
		return NULL;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	metrics->start_s = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
	metrics->system = system;
	LIST_INIT(&metrics->clients);
	metrics->listener = evconnlistener_new_bind(base, on_accept, metrics,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE,
		METRICS_CLIENTS_MAX, (struct sockaddr *)&to, (int)length);
	if (metrics->listener == NULL) {
		vmq_error_errno(err, errno, "at /metrics/address: %s: %s", address,
			strerror(errno));
		free(metrics);
		return NULL;
	}
	metrics->retry = event_new(base, -1, 0, on_retry, metrics);
	if (metrics->retry == NULL) {
		vmq_error_errno(err, ENOMEM, "no memory for metrics");
		metrics_close(metrics);
		return NULL;
	}
	evconnlistener_set_error_cb(metrics->listener, on_accept_error);
	log_address(evconnlistener_get_fd(metrics->listener));
	return metrics;
}

void
metrics_close(struct metrics *metrics)
{
	if (metrics == NULL)
		return;
	evconnlistener_free(metrics->listener);
	if (metrics->retry != NULL)
		event_free(metrics->retry);
	while (!LIST_EMPTY(&metrics->clients))
		client_free(LIST_FIRST(&metrics->clients));
	free(metrics);
}
