/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <bsd/string.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <rte_common.h>

#include "capture.h"
#include "pcapng.h"

/* How often the tap is looked at. Its rings hold what 1 Mpps bring in three times that. */
#define TICK_MS 10

/* Packets of one tick: some 1 ms of the control thread's time. */
#define TICK_PACKETS 4096

/*
 * The part of a busy worker's time that copying may take, 1/1024, and half of what is idle.
 * At some 40 cycles a packet that is 60,000 packets a second on a full core of 2.6 GHz,
 * and all that come as long as there is time. Not more, because each packet costs several
 * times as much beyond the worker: vmqd and its client write it, and where they share a
 * core of two hyperthreads with the worker (vmq-bench control) they slow it down.
 */
#define WORKER_SHARE 1024

/* A packet cannot be longer: 16 bits of length in each of a few segments. */
#define SNAPLEN_MAX 262144

/* Ended captures whose figures can still be asked for. */
#define ENDED_MAX 32

enum state {
	CAPTURE_WAITING, /* for the client to connect */
	CAPTURE_RUNNING,
	CAPTURE_ENDING, /* the queue has been let go of; some worker may still write */
	CAPTURE_SENDING, /* the last block is on its way */
};

/* What a capture ends with. */
struct figures_of {
	int64_t number;
	uint64_t packets; /* in the stream */
	uint64_t lost; /* for which there was no room */
	uid_t uid;
	const char *reason;
};

struct capture {
	LIST_ENTRY(capture) next;
	struct captures *captures;
	struct figures_of figures;
	enum state state;
	struct vmq_adapter *adapter;
	uint16_t queue_id;
	char interface[2 * VMQ_NAME_SIZE];
	uint64_t limit; /* packets; 0: none */
	uint32_t snaplen;
	struct vmq_dp_tap *tap; /* NULL: it has been freed */
	struct evconnlistener *listener; /* NULL: somebody has connected, or nobody has to */
	struct event *tick;
	struct bufferevent *bev; /* NULL: nobody reads */
	uint64_t since_ms; /* waiting for the client */
	char path[VMQ_RPC_SOCKET_SIZE];
	struct vmq_rpc_call *stop; /* is answered when it ends; NULL: none */
};

struct captures {
	struct control *control;
	LIST_HEAD(, capture) list;
	unsigned int n;
	int64_t last_number;
	struct figures_of ended[ENDED_MAX]; /* by number % ENDED_MAX */
};

static uint64_t
now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static uint64_t
now_ms(void)
{
	return now_ns(CLOCK_MONOTONIC) / 1000000;
}

static json_t *
figures_json(const struct figures_of *figures)
{
	return json_pack("{s:I, s:I, s:I, s:s}", "capture", (json_int_t)figures->number, "packets",
		(json_int_t)figures->packets, "lost", (json_int_t)figures->lost, "reason",
		figures->reason);
}

static void
close_listener(struct capture *capture)
{
	if (capture->listener == NULL)
		return;
	evconnlistener_free(capture->listener);
	capture->listener = NULL;
	unlink(capture->path);
}

static void
capture_free(struct capture *capture)
{
	if (capture == NULL)
		return;
	close_listener(capture);
	if (capture->tick != NULL)
		event_free(capture->tick);
	if (capture->bev != NULL)
		bufferevent_free(capture->bev);
	vmq_dp_tap_free(capture->tap);
	LIST_REMOVE(capture, next);
	capture->captures->n--;
	free(capture);
}

/* Let go of the queue. What the workers still write is waited for by on_tick(). */
static void
begin_end(struct capture *capture, const char *reason)
{
	if (capture->state == CAPTURE_ENDING || capture->state == CAPTURE_SENDING)
		return;
	capture->figures.reason = reason;
	capture->state = CAPTURE_ENDING;
	close_listener(capture);
	if (vmq_queue_tap(capture->adapter, capture->queue_id) == capture->tap)
		vmq_queue_set_tap(capture->adapter, capture->queue_id, NULL, NULL);
}

/* No more packets: the last block, and the answer to whoever asked for the end. */
static void
finish(struct capture *capture)
{
	struct figures_of *figures = &capture->figures;

	figures->lost += vmq_dp_tap_lost(capture->tap);
	vmq_dp_tap_free(capture->tap);
	capture->tap = NULL;
	capture->state = CAPTURE_SENDING;
	capture->captures->ended[figures->number % ENDED_MAX] = *figures;
	if (capture->stop != NULL)
		vmq_rpc_reply(capture->stop, figures_json(figures));
	capture->stop = NULL;
	if (capture->bev == NULL) {
		capture_free(capture);
		return;
	}
	pcapng_end(bufferevent_get_output(capture->bev), now_ns(CLOCK_REALTIME),
		figures->packets + figures->lost, figures->lost);
	/* on_written() comes when all of it is with the kernel. */
}

/* What Ethernet bytes cannot say. Returns NULL if there is nothing. */
static const char *
comment_of(const struct vmq_dp_tap_packet *packet, char *text, size_t size)
{
	size_t n = 0;

	text[0] = '\0';
	if (packet->drop != NULL)
		n = (size_t)snprintf(text, size, "dropped: %s%s", packet->drop,
			packet->from_vm ? " (from the VM)" : "");
	if (packet->tag_beside)
		snprintf(text + n, size - n, "%sVLAN tag beside the packet: id %u, priority %u",
			n > 0 ? "; " : "", packet->vlan_tci & 0xfffu, packet->vlan_tci >> 13);
	return text[0] != '\0' ? text : NULL;
}

/* Returns whether there may be more at once. */
static bool
move_packets(struct capture *capture)
{
	struct evbuffer *out = capture->bev != NULL ? bufferevent_get_output(capture->bev) : NULL;
	struct figures_of *figures = &capture->figures;
	struct vmq_dp_tap_packet packet;
	char comment[128];
	unsigned int n;

	for (n = 0; n < TICK_PACKETS; n++) {
		if (capture->state == CAPTURE_RUNNING && evbuffer_get_length(out) > CAPTURE_OUTPUT_MAX)
			return false;
		if (!vmq_dp_tap_next(capture->tap, &packet))
			return false;
		if (out == NULL || (capture->limit > 0 && figures->packets >= capture->limit))
			continue; /* nobody wants it */
		if (pcapng_packet(out, packet.time_ns, packet.data, packet.kept, packet.length,
			    comment_of(&packet, comment, sizeof(comment))) < 0) {
			figures->lost++;
			continue;
		}
		if (++figures->packets == capture->limit)
			begin_end(capture, "count");
	}
	return true;
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct capture *capture = arg;
	struct timeval delay = {.tv_usec = TICK_MS * 1000};
	bool quiet = false, more = false;

	(void)fd;
	(void)what;
	if (capture->state == CAPTURE_WAITING && now_ms() - capture->since_ms > CAPTURE_CONNECT_S * 1000)
		begin_end(capture, "nobody has connected");
	if (capture->state == CAPTURE_WAITING || capture->state == CAPTURE_RUNNING) {
		if (vmq_queue_tap(capture->adapter, capture->queue_id) != capture->tap)
			begin_end(capture, "the queue has been freed");
	}
	if (capture->state == CAPTURE_ENDING)
		quiet = vmq_dp_tap_is_quiet(capture->tap); /* before the last look */
	if (capture->state == CAPTURE_RUNNING || capture->state == CAPTURE_ENDING)
		more = move_packets(capture);
	if (capture->state == CAPTURE_ENDING && quiet && !more) {
		finish(capture); /* may free it */
		return;
	}
	if (more)
		delay.tv_usec = 0; /* others come first */
	event_add(capture->tick, &delay);
}

static void
on_written(struct bufferevent *bev, void *arg)
{
	struct capture *capture = arg;

	if (capture->state == CAPTURE_SENDING && evbuffer_get_length(bufferevent_get_output(bev)) == 0)
		capture_free(capture);
}

/* The client has nothing to say here: it has closed, or broken off. */
static void
on_gone(struct bufferevent *bev, short what, void *arg)
{
	struct capture *capture = arg;

	(void)what;
	if (capture->state == CAPTURE_SENDING) {
		capture_free(capture);
		return;
	}
	bufferevent_free(bev);
	capture->bev = NULL;
	begin_end(capture, "the client has gone");
}

static void
on_said(struct bufferevent *bev, void *arg)
{
	(void)arg;
	evbuffer_drain(bufferevent_get_input(bev), SIZE_MAX);
}

static void
on_connect(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
	int length, void *arg)
{
	struct capture *capture = arg;
	struct ucred peer;
	socklen_t size = sizeof(peer);

	(void)address;
	(void)length;
	/* Only who has asked for it gets it. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
		(peer.uid != capture->figures.uid && peer.uid != 0)) {
		evutil_closesocket(fd);
		return;
	}
	capture->bev = bufferevent_socket_new(evconnlistener_get_base(listener), fd,
		BEV_OPT_CLOSE_ON_FREE);
	close_listener(capture);
	if (capture->bev == NULL) {
		evutil_closesocket(fd);
		begin_end(capture, "no memory");
		return;
	}
	bufferevent_setcb(capture->bev, on_said, on_written, on_gone, capture);
	bufferevent_setwatermark(capture->bev, EV_READ, 0, 1024);
	bufferevent_enable(capture->bev, EV_READ | EV_WRITE);
	capture->state = CAPTURE_RUNNING;
	if (pcapng_begin(bufferevent_get_output(capture->bev), "vmqd " VMQ_VERSION,
		    capture->interface, capture->snaplen) < 0)
		begin_end(capture, "no memory");
}

/* A socket beside the control socket, for one client. Returns 0, or -errno with the reason. */
static int
listen_for_client(struct capture *capture, struct vmq_error *err)
{
	const struct control *control = capture->captures->control;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int saved;

	if ((size_t)snprintf(capture->path, sizeof(capture->path), "%s.capture-%lld",
		    control->config.socket.path, (long long)capture->figures.number) >=
		sizeof(capture->path))
		return vmq_error_errno(err, ENAMETOOLONG,
			"the control socket's path %s is too long for one beside it",
			control->config.socket.path);
	strlcpy(address.sun_path, capture->path, sizeof(address.sun_path));
	unlink(capture->path); /* of a daemon that has crashed: the control socket is ours */
	capture->listener = evconnlistener_new_bind(control->base, on_connect, capture,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 1, (struct sockaddr *)&address,
		sizeof(address));
	/* on_connect() says who may: others cannot be told by mode and group. */
	if (capture->listener != NULL && chmod(capture->path, 0666) == 0)
		return 0;
	saved = errno;
	return vmq_error_errno(err, saved, "%s: %s", capture->path, strerror(saved));
}

/* Bits of all reasons of that name; "all" is every one. */
static uint64_t
drops_of(const char *name)
{
	const bool all = strcmp(name, "all") == 0;
	uint64_t what = 0;
	unsigned int i;

	for (i = 0; i < VMQ_DROP_COUNT; i++)
		if (all || strcmp(vmq_drop_name(i), name) == 0)
			what |= VMQ_TAP_DROP(i);
	for (i = 0; i < VMQ_TX_DROP_COUNT; i++)
		if (all || strcmp(vmq_tx_drop_name(i), name) == 0)
			what |= VMQ_TAP_TX_DROP(i);
	return what;
}

/* What the backend has taken and lost: nobody sees which packets these were. */
#define OUT_OF_SIGHT (VMQ_TAP_DROP(VMQ_DROP_BACKEND) | VMQ_TAP_DROP(VMQ_DROP_DISCONNECTED))

/* Returns false: the call has been refused. */
static bool
read_drops(struct vmq_rpc_call *call, uint64_t *what)
{
	const char *name = vmq_rpc_get_text(call, "drops");

	*what = VMQ_TAP_DELIVERED;
	if (name == NULL)
		return true;
	*what = drops_of(name);
	if (*what == 0) {
		vmq_rpc_refuse_at(call, "/drops", "the method drops lists the reasons",
			"there is no reason \"%.64s\" to drop a packet", name);
		return false;
	}
	*what &= ~OUT_OF_SIGHT;
	if (*what != 0)
		return true;
	vmq_rpc_refuse(call, VMQ_STATUS_NOT_SUPPORTED, NULL,
		"packets dropped as %s are the backend's own by then and cannot be captured; without "
		"\"drops\" those that it was given are", name);
	return false;
}

/* Only what is the client's own: packets are a VM's secrets. Returns false: refused. */
static bool
may_capture(struct vmq_rpc_call *call, size_t index, uint16_t queue_id)
{
	const struct vmq_rpc_system *system = vmq_rpc_system_of(call);
	const char *owner = vmq_oid_queue_owner(system->adapters[index].requests, queue_id);

	if (vmq_rpc_is_administrator(call) || strcmp(owner, vmq_rpc_owner_name(call)) == 0)
		return true;
	vmq_rpc_refuse(call, VMQ_STATUS_NOT_ACCEPTED, NULL,
		"queue %u is not %s's: only its owner and administrators may capture its packets",
		(unsigned int)queue_id, vmq_rpc_owner_name(call));
	return false;
}

/* Returns NULL: the call has been refused. */
static struct capture *
create(struct captures *captures, struct vmq_rpc_call *call, size_t index, uint16_t queue_id,
	uint64_t what, uint32_t snaplen)
{
	const struct vmq_rpc_system *system = vmq_rpc_system_of(call);
	struct capture *capture = calloc(1, sizeof(*capture));
	enum vmq_status status = VMQ_STATUS_RESOURCES;
	struct vmq_queue_info info;
	struct vmq_error err;

	if (capture == NULL) {
		vmq_rpc_refuse(call, status, NULL, "no memory for a capture");
		return NULL;
	}
	LIST_INSERT_HEAD(&captures->list, capture, next);
	captures->n++;
	capture->captures = captures;
	capture->adapter = vmq_oid_adapter_beneath(system->adapters[index].requests);
	capture->queue_id = queue_id;
	capture->snaplen = snaplen;
	capture->since_ms = now_ms();
	capture->figures.number = ++captures->last_number;
	capture->figures.uid = vmq_rpc_client_uid(call);
	vmq_queue_info_get(capture->adapter, queue_id, &info);
	snprintf(capture->interface, sizeof(capture->interface), "%s/%s",
		vmq_adapter_name(capture->adapter), info.name);
	capture->tick = event_new(captures->control->base, -1, 0, on_tick, capture);
	capture->tap = vmq_dp_tap_create(vmq_host_datapath(system->host), what, snaplen,
		WORKER_SHARE);
	if (capture->tick == NULL || capture->tap == NULL) {
		vmq_error_set(&err, status, "no memory for a capture");
		goto fail;
	}
	if (listen_for_client(capture, &err) < 0)
		goto fail;
	status = vmq_queue_set_tap(capture->adapter, queue_id, capture->tap, &err);
	if (status != VMQ_STATUS_SUCCESS)
		goto fail;
	on_tick(-1, 0, capture);
	return capture;

fail:
	capture_free(capture);
	vmq_rpc_refuse(call, status, err.text, "%s", err.text);
	return NULL;
}

static void
start(struct vmq_rpc_call *call)
{
	struct captures *captures = vmq_rpc_arg(call);
	int64_t limit, snaplen;
	struct capture *capture;
	uint64_t what;
	size_t index;
	int id;

	id = vmq_rpc_queue_of(call, &index, NULL);
	if (id < 0 || !may_capture(call, index, (uint16_t)id) || !read_drops(call, &what) ||
		!vmq_rpc_get_integer(call, "count", 1, INT64_MAX, 0, &limit) ||
		!vmq_rpc_get_integer(call, "snaplen", 1, SNAPLEN_MAX, SNAPLEN_MAX, &snaplen))
		return;
	if (captures->n == CAPTURES_MAX) {
		vmq_rpc_refuse(call, VMQ_STATUS_RESOURCES, NULL,
			"there are %d captures already, the most that there can be", CAPTURES_MAX);
		return;
	}
	capture = create(captures, call, index, (uint16_t)id, what, (uint32_t)snaplen);
	if (capture == NULL)
		return;
	capture->limit = (uint64_t)limit;
	vmq_rpc_reply(call, json_pack("{s:I, s:s}", "capture", (json_int_t)capture->figures.number,
		"socket", capture->path));
}

static void
stop(struct vmq_rpc_call *call)
{
	struct captures *captures = vmq_rpc_arg(call);
	const struct figures_of *ended;
	struct capture *capture;
	int64_t number;

	if (!vmq_rpc_get_integer(call, "capture", 1, INT64_MAX, 0, &number))
		return;
	ended = &captures->ended[number % ENDED_MAX];
	LIST_FOREACH(capture, &captures->list, next)
		if (capture->figures.number == number)
			break;
	if ((capture == NULL && ended->number != number) ||
		((capture != NULL ? capture->figures.uid : ended->uid) !=
				vmq_rpc_client_uid(call) && !vmq_rpc_is_administrator(call))) {
		vmq_rpc_refuse_at(call, "/capture", NULL,
			"you have no capture %lld, and had none lately", (long long)number);
	} else if (capture == NULL || capture->state == CAPTURE_SENDING) {
		vmq_rpc_reply(call, figures_json(ended));
	} else if (capture->stop != NULL) {
		vmq_rpc_refuse(call, VMQ_STATUS_NOT_ACCEPTED, NULL,
			"capture %lld is being stopped already", (long long)number);
	} else {
		capture->stop = call;
		begin_end(capture, "stopped");
	}
}

static const struct vmq_rpc_method rows[] = {
	{"capture.start", "send copies of a queue's packets, as pcapng, to a socket",
		"{capture, socket}", 0, start,
		{{"adapter", VMQ_RPC_TEXT, false, "name of the adapter; not needed with one"},
			{"queue", VMQ_RPC_QUEUE, true, "id or name of the queue"},
			{"drops", VMQ_RPC_TEXT, false,
				"dropped packets instead of delivered ones: a reason, or all"},
			{"count", VMQ_RPC_INTEGER, false, "end after so many packets"},
			{"snaplen", VMQ_RPC_INTEGER, false, "bytes of a packet to keep"}}},
	{"capture.stop", "end a capture, and say what it has caught",
		"{capture, packets, lost, reason}", VMQ_RPC_F_LATER, stop,
		{{"capture", VMQ_RPC_INTEGER, true, "its number, from capture.start"}}},
};

struct captures *
captures_open(struct control *control, struct vmq_error *err)
{
	struct captures *captures = calloc(1, sizeof(*captures));
	int ret = -ENOMEM;

	if (captures != NULL) {
		captures->control = control;
		LIST_INIT(&captures->list);
		ret = vmq_rpc_add_methods(control->rpc, rows, RTE_DIM(rows), captures);
	}
	if (ret == 0)
		return captures;
	free(captures);
	vmq_error_errno(err, -ret, "capture: %s", strerror(-ret));
	return NULL;
}

void
captures_close(struct captures *captures)
{
	struct capture *capture, *next;
	struct evbuffer *out;

	if (captures == NULL)
		return;
	for (capture = LIST_FIRST(&captures->list); capture != NULL; capture = next) {
		next = LIST_NEXT(capture, next);
		begin_end(capture, "vmqd stops");
	}
	/* The control loop has ended: this may wait, for two turns of the workers. */
	if (!LIST_EMPTY(&captures->list))
		vmq_datapath_synchronize(vmq_host_datapath(captures->control->system->host));
	while ((capture = LIST_FIRST(&captures->list)) != NULL) {
		if (capture->state == CAPTURE_ENDING) {
			while (move_packets(capture))
				;
			out = capture->bev != NULL ? bufferevent_get_output(capture->bev) : NULL;
			finish(capture); /* frees it if nobody reads */
			if (out == NULL)
				continue;
		}
		/* Once, and what does not fit the socket is the client's loss. */
		evbuffer_unfreeze(bufferevent_get_output(capture->bev), 1);
		evbuffer_write(bufferevent_get_output(capture->bev),
			bufferevent_getfd(capture->bev));
		capture_free(capture);
	}
	free(captures);
}
