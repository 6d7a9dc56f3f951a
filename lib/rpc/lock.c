/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* The folder of default sockets, and lock files: the kernel lets go of a dead daemon's. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_errno.h>

#include "rpc_private.h"

struct vmq_rpc_lock {
	int fd;
	char path[]; /* of the lock file */
};

int
rpc_run_folder(char *path, size_t size)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	const uid_t uid = geteuid();
	int length;

	if (uid == 0)
		length = snprintf(path, size, "/run/vmqd");
	else if (runtime != NULL && runtime[0] == '/')
		length = snprintf(path, size, "%s/vmqd", runtime);
	else
		length = snprintf(path, size, "/tmp/vmqd-%u", (unsigned int)uid);
	return length < (int)size ? length : -1;
}

int
vmq_rpc_default_socket(const char *name, char path[VMQ_RPC_SOCKET_SIZE], struct vmq_error *err)
{
	char folder[PATH_MAX];

	if (rpc_run_folder(folder, sizeof(folder)) < 0 ||
		snprintf(path, VMQ_RPC_SOCKET_SIZE, "%s/%s.sock", folder, name) >=
			VMQ_RPC_SOCKET_SIZE)
		return vmq_error_errno(err, ENAMETOOLONG,
			"control socket %.200s/%.64s.sock: a socket's path has at most %d bytes; "
			"set control.socket in the document", folder, name,
			VMQ_RPC_SOCKET_SIZE - 1);
	return 0;
}

/*
 * The folder of default sockets is in a place where others can write, too: what they
 * have made there is not trusted.
 */
static int
check_folder(const char *folder, struct vmq_error *err)
{
	struct stat st;

	if (lstat(folder, &st) < 0)
		return vmq_error_errno(err, errno, "folder %s: %s", folder, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return vmq_error_errno(err, ENOTDIR, "%s is not a folder", folder);
	if (st.st_uid != geteuid() || (st.st_mode & 022) != 0)
		return vmq_error_errno(err, EPERM,
			"folder %s: somebody else can write in it: remove it, or set "
			"control.socket in the document to a path elsewhere", folder);
	return 0;
}

int
rpc_make_run_folder(char *folder, size_t size, struct vmq_error *err)
{
	if (rpc_run_folder(folder, size) < 0)
		return vmq_error_errno(err, ENAMETOOLONG, "the folder for sockets has a too long path");
	if (mkdir(folder, geteuid() == 0 ? 0755 : 0700) < 0 && errno != EEXIST)
		return vmq_error_errno(err, errno, "folder %s: %s", folder, strerror(errno));
	return check_folder(folder, err);
}

/* Who has the lock: "process 1234", as far as its file says. */
static void
read_holder(int fd, char *text, size_t size)
{
	char buffer[32];
	ssize_t length = pread(fd, buffer, sizeof(buffer) - 1, 0);

	buffer[length > 0 ? length : 0] = '\0';
	if (strtol(buffer, NULL, 10) > 0)
		snprintf(text, size, "process %ld", strtol(buffer, NULL, 10));
	else
		snprintf(text, size, "another process");
}

static bool
is_still_there(int fd, const char *path)
{
	struct stat open_one, named;

	return fstat(fd, &open_one) == 0 && stat(path, &named) == 0 &&
		open_one.st_dev == named.st_dev && open_one.st_ino == named.st_ino;
}

struct vmq_rpc_lock *
rpc_lock_file(const char *path, const char *what, struct vmq_error *err)
{
	struct vmq_rpc_lock *lock = malloc(sizeof(*lock) + strlen(path) + 1);
	char holder[64];
	int saved;

	if (lock == NULL) {
		vmq_error_errno(err, ENOMEM, "no memory for a lock");
		rte_errno = ENOMEM;
		return NULL;
	}
	strcpy(lock->path, path);
	for (;;) {
		lock->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (lock->fd < 0) {
			saved = errno;
			vmq_error_errno(err, saved, "lock file %s: %s", path, strerror(saved));
			goto fail;
		}
		if (flock(lock->fd, LOCK_EX | LOCK_NB) < 0) {
			saved = errno == EWOULDBLOCK ? EEXIST : errno;
			read_holder(lock->fd, holder, sizeof(holder));
			if (saved == EEXIST)
				vmq_error_errno(err, saved, "%s is in use by %s (lock file %s)", what,
					holder, path);
			else
				vmq_error_errno(err, saved, "lock file %s: %s", path,
					strerror(saved));
			close(lock->fd);
			goto fail;
		}
		/* The one who had it may have removed the file in the meantime. */
		if (is_still_there(lock->fd, path))
			break;
		close(lock->fd);
	}
	if (ftruncate(lock->fd, 0) < 0 || dprintf(lock->fd, "%d\n%s\n", (int)getpid(), what) < 0) {
		saved = errno;
		vmq_error_errno(err, saved, "lock file %s: %s", path, strerror(saved));
		vmq_rpc_unlock(lock);
		rte_errno = saved;
		return NULL;
	}
	return lock;
fail:
	free(lock);
	rte_errno = saved;
	return NULL;
}

void
vmq_rpc_unlock(struct vmq_rpc_lock *lock)
{
	if (lock == NULL)
		return;
	/* In this order: nobody can lock what is about to be removed and keep it. */
	unlink(lock->path);
	close(lock->fd);
	free(lock);
}

/* FNV-1a: a name of fixed length for a path of any length. */
static uint64_t
hash(const char *text)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *text != '\0'; text++)
		h = (h ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return h;
}

struct vmq_rpc_lock *
vmq_rpc_lock_document(const char *document, struct vmq_error *err)
{
	char folder[PATH_MAX - 64], path[PATH_MAX], what[PATH_MAX + 64];
	char *real = realpath(document, NULL);
	struct vmq_rpc_lock *lock;
	int ret;

	if (real == NULL) {
		rte_errno = errno;
		vmq_error_errno(err, rte_errno, "document %s: %s", document, strerror(rte_errno));
		return NULL;
	}
	ret = rpc_make_run_folder(folder, sizeof(folder), err);
	if (ret < 0) {
		free(real);
		rte_errno = -ret;
		return NULL;
	}
	snprintf(path, sizeof(path), "%s/document-%016" PRIx64 ".lock", folder, hash(real));
	snprintf(what, sizeof(what), "document %s", real);
	lock = rpc_lock_file(path, what, err);
	free(real);
	return lock;
}
