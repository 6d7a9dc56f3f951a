/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>
#include <rte_errno.h>

#include "state.h"

/* Largest file that is read: far more than a machine's queues take. */
#define STATE_MAX ((off_t)64 << 20)
/* Changes come in groups; and after a write that failed it is not tried again at once. */
#define SETTLE_MS 20
#define RETRY_MS 5000

struct state_file {
	struct system *system;
	const char *path;
	struct vmq_jobs *jobs;
	struct vmq_job job;
	bool writing;
	char *text; /* the helper thread's while writing */
	struct vmq_error error; /* of the write; "" if it was good */
	bool failing; /* the last write failed, and that was said */
	bool off; /* what is there could not be read: it is not touched */
	uint64_t written; /* changes() of what was, or is being, written */
	uint64_t seen; /* changes() when looked at last */
	uint64_t not_before_ms;
};

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Another number after any change of any adapter. */
static uint64_t
changes(const struct state_file *state)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < state->system->n_adapters; i++)
		sum += vmq_oid_changes(state->system->requests[i]);
	return sum;
}

/* Reading */

/* The file, or NULL with errno. */
static char *
read_file(const char *path, size_t *length)
{
	char *text = NULL;
	struct stat st;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) < 0)
		goto out;
	if (!S_ISREG(st.st_mode) || st.st_size > STATE_MAX) {
		errno = S_ISREG(st.st_mode) ? EFBIG : EINVAL;
		goto out;
	}
	text = malloc((size_t)st.st_size + 1);
	for (*length = 0; text != NULL && *length < (size_t)st.st_size; *length += (size_t)n) {
		n = read(fd, text + *length, (size_t)st.st_size - *length);
		if (n < 0) {
			free(text);
			text = NULL;
		}
		if (n <= 0)
			break;
	}
out:
	close(fd);
	return text;
}

/* "FILE.damaged-20260101T120000", and a number behind it if there is one already. */
static void
aside_path(const char *path, const char *why, char out[PATH_MAX])
{
	struct tm utc;
	time_t now = time(NULL);
	char stamp[32];
	unsigned int i;

	gmtime_r(&now, &utc);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", &utc);
	snprintf(out, PATH_MAX, "%s.%s-%s", path, why, stamp);
	for (i = 2; access(out, F_OK) == 0 && i < 1000; i++)
		snprintf(out, PATH_MAX, "%s.%s-%s-%u", path, why, stamp, i);
}

/* A file that is no state goes out of the way; if even that fails it is not touched. */
static void
set_aside(struct state_file *state, const char *why)
{
	char aside[PATH_MAX];

	aside_path(state->path, "damaged", aside);
	if (rename(state->path, aside) == 0) {
		VMQ_LOG(ERR, "state file %s: %s; it is set aside as %s\n", state->path, why, aside);
		return;
	}
	VMQ_LOG(ERR, "state file %s: %s, and it cannot be set aside: %s; nothing will be written\n",
		state->path, why, strerror(errno));
	state->off = true;
}

/* What could not be restored would be gone with the next write. */
static void
keep_copy(struct state_file *state, size_t lost)
{
	char copy[PATH_MAX];

	aside_path(state->path, "conflict", copy);
	if (link(state->path, copy) == 0) {
		VMQ_LOG(ERR, "state file %s: %zu queues and filters of it are not restored; it is "
			"kept as %s\n", state->path, lost, copy);
		return;
	}
	VMQ_LOG(ERR, "state file %s: %zu queues and filters of it are not restored, and it cannot "
		"be kept as %s: %s; nothing will be written\n", state->path, lost, copy,
		strerror(errno));
	state->off = true;
}

static void
restore(struct state_file *state)
{
	struct vmq_error err;
	size_t length, restored, lost;
	json_t *content;
	char *text;

	text = read_file(state->path, &length);
	if (text == NULL && errno == ENOENT)
		return;
	if (text == NULL) {
		VMQ_LOG(ERR, "state file %s: cannot be read: %s; nothing will be written\n",
			state->path, strerror(errno));
		state->off = true;
		return;
	}
	content = state_parse(text, length, &err);
	free(text);
	if (content == NULL) {
		set_aside(state, err.text);
		return;
	}
	lost = state_restore(state->system, content, &restored);
	json_decref(content);
	if (restored > 0)
		VMQ_LOG(NOTICE, "state file %s: %zu queues and filters of the default queue are "
			"there again\n", state->path, restored);
	if (lost > 0)
		keep_copy(state, lost);
}

/* Writing */

/* Helper thread: 0 or -errno, with the reason. */
static int
write_through(int fd, const char *text, struct vmq_error *err)
{
	const size_t length = strlen(text);
	size_t done = 0;
	ssize_t n;

	while (done < length) {
		n = write(fd, text + done, length - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return vmq_error_errno(err, errno, "cannot be written: %s",
				strerror(errno));
		done += (size_t)n;
	}
	if (fsync(fd) < 0)
		return vmq_error_errno(err, errno, "does not get to the disk: %s", strerror(errno));
	return 0;
}

static int
sync_folder(const char *path, struct vmq_error *err)
{
	char copy[PATH_MAX];
	int fd, ret;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ret = fd < 0 ? -1 : fsync(fd);
	if (ret < 0)
		ret = vmq_error_errno(err, errno, "its folder does not get to the disk: %s",
			strerror(errno));
	if (fd >= 0)
		close(fd);
	return ret;
}

static int
replace_file(const char *path, const char *text, struct vmq_error *err)
{
	char temporary[PATH_MAX];
	int fd, ret;

	snprintf(temporary, sizeof(temporary), "%s.new", path);
	/* Not somebody else's file, nor a link: what is left of a crash goes first. */
	unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return vmq_error_errno(err, errno, "%.400s cannot be made: %s", temporary,
			strerror(errno));
	ret = write_through(fd, text, err);
	close(fd);
	if (ret == 0 && rename(temporary, path) < 0)
		ret = vmq_error_errno(err, errno, "cannot be replaced: %s", strerror(errno));
	if (ret < 0) {
		unlink(temporary);
		return ret;
	}
	return sync_folder(path, err);
}

static void
write_work(struct vmq_job *job)
{
	struct state_file *state = RTE_PTR_SUB(job, offsetof(struct state_file, job));

	state->error.text[0] = '\0';
	replace_file(state->path, state->text, &state->error);
}

static void
write_done(struct vmq_job *job)
{
	struct state_file *state = RTE_PTR_SUB(job, offsetof(struct state_file, job));
	const bool failed = state->error.text[0] != '\0';

	state->writing = false;
	free(state->text);
	state->text = NULL;
	if (failed) {
		state->written = UINT64_MAX; /* nothing: it is tried again */
		state->not_before_ms = now_ms() + RETRY_MS;
	}
	if (failed && !state->failing)
		VMQ_LOG(ERR, "state file %s: %s\n", state->path, state->error.text);
	else if (!failed && state->failing)
		VMQ_LOG(NOTICE, "state file %s: is written again\n", state->path);
	state->failing = failed;
}

static void
begin_write(struct state_file *state)
{
	struct vmq_error err;

	state->text = state_text(state->system, &err);
	if (state->text == NULL) {
		VMQ_LOG(ERR, "state file %s: %s\n", state->path, err.text);
		state->not_before_ms = now_ms() + RETRY_MS;
		return;
	}
	state->written = changes(state);
	state->writing = true;
	state->job = (struct vmq_job){.work = write_work, .done = write_done};
	vmq_jobs_submit(state->jobs, &state->job);
}

struct state_file *
state_open(struct system *system, const char *path, struct vmq_error *err)
{
	struct state_file *state = calloc(1, sizeof(*state));

	if (state == NULL) {
		vmq_error_errno(err, ENOMEM, "no memory for the state file");
		return NULL;
	}
	state->system = system;
	state->path = path;
	state->jobs = vmq_jobs_create();
	if (state->jobs == NULL) {
		vmq_error_errno(err, rte_errno, "state file: %s", strerror(rte_errno));
		free(state);
		return NULL;
	}
	restore(state);
	state->written = UINT64_MAX; /* so that a place that cannot be written is found now */
	state->seen = changes(state);
	return state;
}

bool
state_progress(struct state_file *state)
{
	const uint64_t now = now_ms(), is = changes(state);

	vmq_jobs_finish(state->jobs, false);
	if (state->off || state->writing)
		return state->writing;
	if (is != state->seen) {
		/* A moment of rest; under a stream of changes not for ever. */
		if (state->seen == state->written && state->not_before_ms < now + SETTLE_MS)
			state->not_before_ms = now + SETTLE_MS;
		state->seen = is;
	}
	if (is == state->written)
		return false;
	if (now >= state->not_before_ms)
		begin_write(state);
	return true;
}

void
state_close(struct state_file *state)
{
	if (state == NULL)
		return;
	vmq_jobs_finish(state->jobs, true);
	if (!state->off && changes(state) != state->written) {
		begin_write(state);
		vmq_jobs_finish(state->jobs, true);
	}
	vmq_jobs_destroy(state->jobs);
	free(state);
}
