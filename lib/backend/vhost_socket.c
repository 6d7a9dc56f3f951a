/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "vhost_private.h"

/*
 * librte_vhost reads with blocking calls, header first, in one thread for all VMs; both
 * parts of a message come in one piece from all who mean it (QEMU, DPDK, libvhost-user).
 */
#define WAIT_MS 200

/* What a socket of ours is: */
enum role {
	CLIENT_NEW, /* made non-blocking, not yet connected */
	ACCEPTED, /* connected, with the server's path as its own name */
};

static bool
is_stream(int fd, int *listening)
{
	socklen_t length = sizeof(int);
	int value;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &value, &length) < 0 || value != AF_UNIX)
		return false;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &length) < 0 || value != SOCK_STREAM)
		return false;
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, listening, &length) == 0;
}

static bool
has_role(int fd, enum role role, const char *path)
{
	struct sockaddr_un name = {0}, peer = {0};
	socklen_t length = sizeof(name), peer_length = sizeof(peer);
	bool connected;
	int listening;

	if (!is_stream(fd, &listening) || listening)
		return false;
	if (getsockname(fd, (struct sockaddr *)&name, &length) < 0)
		return false;
	connected = getpeername(fd, (struct sockaddr *)&peer, &peer_length) == 0;
	if (role == CLIENT_NEW)
		return !connected && length <= offsetof(struct sockaddr_un, sun_path) &&
			(fcntl(fd, F_GETFL) & O_NONBLOCK);
	/* A path of the greatest length has no final NUL. */
	return connected && strncmp(name.sun_path, path, sizeof(name.sun_path)) == 0;
}

/* There is only one of them: who makes them does so one after the other. */
static int
dup_role(enum role role, const char *path)
{
	const struct dirent *entry;
	int fd, found = -ENOENT;
	DIR *folder;

	folder = opendir("/proc/self/fd");
	if (folder == NULL)
		return -errno;
	while (found < 0 && (entry = readdir(folder)) != NULL) {
		if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
			continue;
		fd = atoi(entry->d_name);
		if (!has_role(fd, role, path))
			continue;
		found = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (found < 0)
			found = -errno;
	}
	closedir(folder);
	return found;
}

int
vhost_socket_dup_new_client(void)
{
	return dup_role(CLIENT_NEW, NULL);
}

int
vhost_socket_dup_accepted(const char *path)
{
	return dup_role(ACCEPTED, path);
}

bool
vhost_socket_is_eventfd(int fd)
{
	static const char eventfd_text[] = "anon_inode:[eventfd]";
	char link[64], text[sizeof(eventfd_text) + 8];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, text, sizeof(text));
	return length == sizeof(eventfd_text) - 1 &&
		memcmp(text, eventfd_text, (size_t)length) == 0;
}

bool
vhost_socket_make_call_quick(int fd)
{
	int flags;

	if (fd < 0)
		return true; /* the VM polls */
	if (!vhost_socket_is_eventfd(fd))
		return false;
	flags = fcntl(fd, F_GETFL);
	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

void
vhost_socket_limit_waiting(int fd)
{
	const struct timeval wait = {.tv_usec = WAIT_MS * 1000};

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0)
		VMQ_LOG(WARNING, "vhost-user: time limit of a socket: %s\n", strerror(errno));
}
