/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <linux/virtio_net.h>

#include "vhost_private.h"

/*
 * librte_vhost could connect again by itself, once a second, for ever and at once. It is
 * told not to: a VM that starts anew is found sooner, one that is cut off waits longer,
 * and the descriptor of the connection is known before the other side sees it.
 */
#define PAUSE_MIN_MS 50
#define PAUSE_MAX_MS 1000

/*
 * Not offered, since they would not be handled right: checksums and segments that the VM
 * leaves to the host (the path carries whole frames with their checksums), and frames of
 * that kind towards it. Of the protocol only what is needed: each message less is one
 * that cannot be misused.
 */
#define BIT(n) (UINT64_C(1) << (n))
#define FEATURES_NOT_OFFERED                                                                       \
	(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GSO) |           \
		BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) |                        \
		BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_HOST_UFO) |                          \
		BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) |                      \
		BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(VIRTIO_NET_F_GUEST_UFO))
#define PROTOCOL_FEATURES                                                                          \
	(BIT(VHOST_USER_PROTOCOL_F_MQ) | BIT(VHOST_USER_PROTOCOL_F_LOG_SHMFD) |                    \
		BIT(VHOST_USER_PROTOCOL_F_RARP) | BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |           \
		BIT(VHOST_USER_PROTOCOL_F_NET_MTU) | BIT(VHOST_USER_PROTOCOL_F_STATUS))

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	TAILQ_HEAD(, vhost_backend) backends;
	pthread_t thread;
	bool running;
	bool woken;
} connector = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.backends = TAILQ_HEAD_INITIALIZER(connector.backends),
};

static int
register_socket(struct vhost_backend *vhost)
{
	uint64_t flags = RTE_VHOST_USER_LINEARBUF_SUPPORT;
	int fd;

	if (!vhost->server)
		flags |= RTE_VHOST_USER_CLIENT | RTE_VHOST_USER_NO_RECONNECT;
	if (rte_vhost_driver_register(vhost->socket, flags) < 0)
		return -EIO;
	if (!vhost->server) {
		fd = vhost_socket_dup_new_client();
		if (fd < 0) {
			rte_vhost_driver_unregister(vhost->socket);
			return fd;
		}
		vhost_socket_limit_waiting(fd);
		vhost_peer_take_fd(vhost, fd);
	}
	if (rte_vhost_driver_disable_features(vhost->socket, FEATURES_NOT_OFFERED) == 0 &&
		rte_vhost_driver_set_protocol_features(vhost->socket, PROTOCOL_FEATURES) == 0 &&
		rte_vhost_driver_callback_register(vhost->socket, &vhost_peer_ops) == 0)
		return 0;
	rte_vhost_driver_unregister(vhost->socket);
	vhost_peer_forget(vhost);
	return -EIO;
}

static void
unregister_socket(struct vhost_backend *vhost)
{
	/* Now nobody waits for a message of this VM any more. */
	vhost_peer_disconnect(vhost);
	rte_vhost_driver_unregister(vhost->socket);
	vhost_peer_forget(vhost);
}

/* Try once to connect. Connector, which holds no lock. Returns whether it is registered. */
static bool
try_client(struct vhost_backend *vhost)
{
	struct stat st;
	int ret;

	/* What is plain from the file system needs no try. */
	if (stat(vhost->socket, &st) < 0) {
		vhost_peer_explain(vhost, "not connected: %s", strerror(errno));
		return false;
	}
	if (!S_ISSOCK(st.st_mode)) {
		vhost_peer_explain(vhost, "not connected: the path is not that of a socket");
		return false;
	}
	ret = register_socket(vhost);
	if (ret < 0) {
		vhost_peer_explain(vhost, "not connected: librte_vhost: %s", strerror(-ret));
		return false;
	}
	errno = 0;
	if (rte_vhost_driver_start(vhost->socket) == 0)
		return true;
	vhost_peer_explain(vhost, "not connected: %s",
		errno == EACCES || errno == EPERM ? strerror(errno) : "nobody listens at the socket");
	unregister_socket(vhost);
	return false;
}

/* See to one client. Connector, with its lock held, which is let go meanwhile. */
static void
see_to(struct vhost_backend *vhost, uint64_t now)
{
	if (vhost->server || (vhost->connect.registered && vhost_peer_is_connected(vhost))) {
		vhost->connect.next_ms = UINT64_MAX;
		return;
	}
	vhost->connect.busy = true;
	pthread_mutex_unlock(&connector.lock);
	if (vhost->connect.registered) {
		/* The connection has gone. Give the other side a moment. */
		unregister_socket(vhost);
		vhost->connect.registered = false;
		vhost->connect.pause_ms = PAUSE_MIN_MS;
	} else {
		vhost->connect.registered = try_client(vhost);
		vhost->connect.pause_ms = RTE_MIN(vhost->connect.pause_ms * 2, (uint32_t)PAUSE_MAX_MS);
	}
	pthread_mutex_lock(&connector.lock);
	vhost->connect.busy = false;
	vhost->connect.next_ms = RTE_MAX(now + vhost->connect.pause_ms,
		vhost_peer_refused_until(vhost));
	pthread_cond_broadcast(&connector.changed);
}

static void
wait_for_work(uint64_t until_ms)
{
	struct timespec until = {
		.tv_sec = (time_t)(until_ms / 1000),
		.tv_nsec = (long)(until_ms % 1000) * 1000000,
	};

	if (until_ms == UINT64_MAX)
		pthread_cond_wait(&connector.changed, &connector.lock);
	else
		pthread_cond_timedwait(&connector.changed, &connector.lock, &until);
}

/* The backend that is due first, or NULL. */
static struct vhost_backend *
first_due(void)
{
	struct vhost_backend *vhost, *first = NULL;

	TAILQ_FOREACH(vhost, &connector.backends, connect.next)
		if (first == NULL || vhost->connect.next_ms < first->connect.next_ms)
			first = vhost;
	return first;
}

/* Look after the rings of all VMs. Returns whether there are any. */
static bool
watch_all(void)
{
	struct vhost_backend *vhost;
	bool any = false;

	TAILQ_FOREACH(vhost, &connector.backends, connect.next) {
		if (atomic_load_explicit(&vhost->gate.vid, memory_order_relaxed) == VHOST_NOBODY)
			continue;
		any = true;
		vhost_watch(vhost);
	}
	return any;
}

static void *
connector_main(void *arg)
{
	struct vhost_backend *vhost;
	uint64_t now, watch_ms = 0;

	(void)arg;
	pthread_mutex_lock(&connector.lock);
	while (connector.running) {
		if (connector.woken) {
			connector.woken = false;
			watch_ms = 0;
			TAILQ_FOREACH(vhost, &connector.backends, connect.next)
				if (vhost->connect.next_ms == UINT64_MAX)
					vhost->connect.next_ms = 0;
		}
		now = vhost_now_ms();
		if (now >= watch_ms)
			watch_ms = watch_all() ? now + VHOST_WATCH_MS : UINT64_MAX;
		vhost = first_due();
		if (vhost != NULL && vhost->connect.next_ms <= now)
			see_to(vhost, now);
		else
			wait_for_work(RTE_MIN(watch_ms,
				vhost != NULL ? vhost->connect.next_ms : UINT64_MAX));
	}
	pthread_mutex_unlock(&connector.lock);
	return NULL;
}

void
vhost_connect_wake(void)
{
	pthread_mutex_lock(&connector.lock);
	connector.woken = true;
	pthread_cond_broadcast(&connector.changed);
	pthread_mutex_unlock(&connector.lock);
}

/* With the lock held. Returns 0 or -errno. */
static int
start_thread(void)
{
	pthread_condattr_t attributes;
	sigset_t all, before;
	int ret;

	if (connector.running)
		return 0;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&connector.changed, &attributes);
	pthread_condattr_destroy(&attributes);
	connector.running = true;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&connector.thread, NULL, connector_main, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret == 0) {
		pthread_setname_np(connector.thread, "vmq-connect");
		return 0;
	}
	connector.running = false;
	pthread_cond_destroy(&connector.changed);
	return -ret;
}

/* A socket that a server left behind which was killed: nobody listens there. */
static int
remove_stale(const char *path, struct vmq_error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat st;
	int fd, ret;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : vmq_error_errno(err, errno, "socket %s: %s", path,
			strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return vmq_error_errno(err, EEXIST, "socket %s: there is a file of that name", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return vmq_error_errno(err, errno, "socket %s: %s", path, strerror(errno));
	memcpy(address.sun_path, path, RTE_MIN(strlen(path), sizeof(address.sun_path)));
	ret = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : errno;
	close(fd);
	if (ret != ECONNREFUSED)
		return vmq_error_errno(err, EADDRINUSE, "socket %s: %s", path,
			ret == 0 ? "another process listens there already" : strerror(ret));
	if (unlink(path) < 0)
		return vmq_error_errno(err, errno, "socket %s: a dead one is in the way: %s", path,
			strerror(errno));
	return 0;
}

static int
start_server(struct vhost_backend *vhost, struct vmq_error *err)
{
	uint64_t mark = vmq_log_mark();
	char said[256];
	mode_t mask;
	int ret;

	ret = remove_stale(vhost->socket, err);
	if (ret < 0)
		return ret;
	ret = register_socket(vhost);
	if (ret == 0) {
		/* Nobody gets in before owner and permissions are set. */
		mask = umask(0177);
		ret = rte_vhost_driver_start(vhost->socket) < 0 ? -EIO : 0;
		umask(mask);
		if (ret < 0)
			rte_vhost_driver_unregister(vhost->socket);
	}
	if (ret < 0)
		return vmq_error_errno(err, -ret, "socket %s: %s", vhost->socket,
			vmq_log_since(mark, said, sizeof(said)));
	if (chown(vhost->socket, vhost->owner, vhost->group) < 0 ||
		chmod(vhost->socket, vhost->permissions) < 0) {
		ret = vmq_error_errno(err, errno, "socket %s: owner or permissions: %s",
			vhost->socket, strerror(errno));
		unregister_socket(vhost);
		return ret;
	}
	vhost->connect.registered = true;
	vhost_peer_explain(vhost, "listening, nobody has connected yet");
	return 0;
}

int
vhost_connect_start(struct vhost_backend *vhost, struct vmq_error *err)
{
	int ret = 0;

	vhost_peer_add(vhost);
	if (vhost->server)
		ret = start_server(vhost, err);
	else
		vhost_peer_explain(vhost, "not connected yet");
	if (ret == 0) {
		vhost->connect.pause_ms = PAUSE_MIN_MS;
		pthread_mutex_lock(&connector.lock);
		ret = start_thread();
		if (ret == 0) {
			TAILQ_INSERT_TAIL(&connector.backends, vhost, connect.next);
			pthread_cond_broadcast(&connector.changed);
		}
		pthread_mutex_unlock(&connector.lock);
		if (ret == 0)
			return 0;
		vmq_error_errno(err, -ret, "%s: thread: %s", vhost->backend.text, strerror(-ret));
		if (vhost->connect.registered)
			unregister_socket(vhost);
	}
	vhost_peer_remove(vhost);
	return ret;
}

void
vhost_connect_stop(struct vhost_backend *vhost)
{
	bool last;

	pthread_mutex_lock(&vhost->state.lock);
	vhost->state.closing = true;
	pthread_mutex_unlock(&vhost->state.lock);
	/* The connector may be waiting for a message of this VM: not any more. */
	vhost_peer_disconnect(vhost);

	pthread_mutex_lock(&connector.lock);
	while (vhost->connect.busy)
		pthread_cond_wait(&connector.changed, &connector.lock);
	TAILQ_REMOVE(&connector.backends, vhost, connect.next);
	last = TAILQ_EMPTY(&connector.backends);
	if (last) {
		connector.running = false;
		pthread_cond_broadcast(&connector.changed);
	}
	pthread_mutex_unlock(&connector.lock);
	if (vhost->connect.registered)
		unregister_socket(vhost);
	vhost_peer_remove(vhost);
	if (last) {
		pthread_join(connector.thread, NULL);
		pthread_cond_destroy(&connector.changed);
	}
}
