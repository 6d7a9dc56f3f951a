/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Making the socket: nobody can connect before owner, group and mode are right. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_errno.h>

#include "rpc_private.h"

#define BACKLOG 64

/* All folders on the way to a file. */
static int
make_folders(const char *file, struct vmq_error *err)
{
	char path[VMQ_RPC_SOCKET_SIZE], *slash;

	snprintf(path, sizeof(path), "%s", file);
	for (slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return vmq_error_errno(err, errno, "control socket %s: folder %s: %s", file,
				path, strerror(errno));
		*slash = '/';
	}
	return 0;
}

/* Does anybody answer? Returns 1: yes; 0: no, or nothing is there; -errno. */
static int
answers(const char *path, struct vmq_error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat st;
	int fd, ret;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : vmq_error_errno(err, errno, "control socket %s: %s",
			path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return vmq_error_errno(err, EEXIST,
			"control socket %s: there is something else, which is left alone: remove "
			"it, or set control.socket in the document to another path", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return vmq_error_errno(err, errno, "control socket %s: %s", path, strerror(errno));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN)
		ret = 1;
	else if (errno == ECONNREFUSED || errno == ENOENT)
		ret = 0;
	else
		ret = vmq_error_errno(err, errno, "control socket %s: %s", path, strerror(errno));
	close(fd);
	return ret;
}

/*
 * Make it under another name and rename it: at each moment there is the old one or the
 * finished new one. The name goes through /proc, as it may be longer than a socket's
 * path can be.
 */
static int
make_socket(const struct vmq_rpc_socket *socket_params, int folder, const char *name, int fd,
	struct vmq_error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = socket_params->path;
	char temporary[32];
	int saved;

	snprintf(temporary, sizeof(temporary), ".vmqd.%d", (int)getpid());
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", folder, temporary);
	unlinkat(folder, temporary, 0); /* of a process of that number that has crashed */
	if (fchmod(fd, 0600) < 0 ||
		bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return vmq_error_errno(err, errno, "control socket %s: %s", path, strerror(errno));
	if (fchownat(folder, temporary, socket_params->owner, socket_params->group,
		    AT_SYMLINK_NOFOLLOW) < 0) {
		saved = errno;
		vmq_error_errno(err, saved, "control socket %s: owner %d, group %d: %s", path,
			(int)socket_params->owner, (int)socket_params->group, strerror(saved));
		goto fail;
	}
	if (fchmodat(folder, temporary, socket_params->mode, 0) < 0 || listen(fd, BACKLOG) < 0 ||
		renameat(folder, temporary, folder, name) < 0) {
		saved = errno;
		vmq_error_errno(err, saved, "control socket %s: %s", path, strerror(saved));
		goto fail;
	}
	return 0;
fail:
	unlinkat(folder, temporary, 0);
	return -saved;
}

int
rpc_listen(const struct vmq_rpc_socket *params, struct vmq_rpc_lock **lock, struct vmq_error *err)
{
	char lock_path[VMQ_RPC_SOCKET_SIZE + 8], what[VMQ_RPC_SOCKET_SIZE + 64], folder[PATH_MAX];
	const char *slash = strrchr(params->path, '/');
	int folder_fd = -1, fd = -1, ret;
	size_t length;

	*lock = NULL;
	if (slash == NULL || params->path[0] != '/' || slash[1] == '\0')
		return vmq_error_errno(err, EINVAL,
			"control socket %s: give an absolute path, such as /run/vmqd/vmq.sock",
			params->path);
	length = (size_t)(slash - params->path);
	if (rpc_run_folder(folder, sizeof(folder)) == (int)length &&
		strncmp(folder, params->path, length) == 0)
		ret = rpc_make_run_folder(folder, sizeof(folder), err);
	else
		ret = make_folders(params->path, err);
	if (ret < 0)
		return ret;
	snprintf(folder, sizeof(folder), "%.*s", length > 0 ? (int)length : 1, params->path);
	snprintf(lock_path, sizeof(lock_path), "%s.lock", params->path);
	snprintf(what, sizeof(what), "control socket %s", params->path);
	*lock = rpc_lock_file(lock_path, what, err);
	if (*lock == NULL)
		return -rte_errno;
	ret = answers(params->path, err);
	if (ret > 0)
		ret = vmq_error_errno(err, EADDRINUSE,
			"control socket %s: somebody answers on it: is another vmqd running?",
			params->path);
	if (ret < 0)
		goto fail;
	folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (folder_fd < 0 || fd < 0) {
		ret = vmq_error_errno(err, errno, "control socket %s: %s", params->path,
			strerror(errno));
		goto fail;
	}
	ret = make_socket(params, folder_fd, slash + 1, fd, err);
	if (ret < 0)
		goto fail;
	close(folder_fd);
	return fd;
fail:
	if (folder_fd >= 0)
		close(folder_fd);
	if (fd >= 0)
		close(fd);
	vmq_rpc_unlock(*lock);
	*lock = NULL;
	return ret;
}
