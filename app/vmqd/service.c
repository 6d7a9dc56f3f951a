/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/un.h>

#include <vmq_base.h>

#include "service.h"

void
service_notify(const char *state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length;
	ssize_t sent;
	int fd;

	if (path == NULL || path[0] == '\0')
		return;
	length = strlen(path);
	if (length > sizeof(address.sun_path)) {
		VMQ_LOG(WARNING, "NOTIFY_SOCKET is longer than %zu bytes: nobody is told \"%s\"\n",
			sizeof(address.sun_path), state);
		return;
	}
	memcpy(address.sun_path, path, length);
	if (path[0] == '@') /* the abstract namespace */
		address.sun_path[0] = '\0';
	/* Full, the manager's socket would make this thread wait. */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	sent = fd < 0 ? -1 : sendto(fd, state, strlen(state), MSG_NOSIGNAL,
		(const struct sockaddr *)&address,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
	if (sent < 0)
		VMQ_LOG(WARNING, "NOTIFY_SOCKET %s can not be told \"%s\": %s\n", path, state,
			strerror(errno));
	if (fd >= 0)
		close(fd);
}
