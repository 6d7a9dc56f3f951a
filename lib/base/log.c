/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "vmq_base.h"

RTE_LOG_REGISTER(vmq_logtype, vmq, NOTICE);

/* The last lines, each with its number; the number of a line only grows. */
#define LINES 64
#define LINE_SIZE 256

struct line {
	uint64_t number; /* 0: none yet */
	uint32_t level;
	char text[LINE_SIZE];
};

static struct {
	pthread_mutex_t lock;
	struct line lines[LINES];
	uint64_t last;
	const char *name;
	bool verbose;
} log_state = {.lock = PTHREAD_MUTEX_INITIALIZER, .name = "vmq"};

/* VMQ_LOG() begins each message with it; the user sees the program's name instead. */
#define OWN_PREFIX "vmq: "

static void
pass_on(const char *text, size_t length)
{
	const size_t prefix = strlen(OWN_PREFIX);

	if (length > prefix && strncmp(text, OWN_PREFIX, prefix) == 0)
		fprintf(stderr, "%s: %.*s", log_state.name, (int)(length - prefix), text + prefix);
	else
		fprintf(stderr, "%s: dpdk: %.*s", log_state.name, (int)length, text);
	if (text[length - 1] != '\n')
		fputc('\n', stderr);
}

static ssize_t
log_write(void *cookie __rte_unused, const char *text, size_t length)
{
	bool own = rte_log_cur_msg_logtype() == vmq_logtype;
	struct line *line;

	if (length == 0)
		return 0;
	pthread_mutex_lock(&log_state.lock);
	line = &log_state.lines[++log_state.last % LINES];
	line->number = log_state.last;
	line->level = own ? (uint32_t)RTE_LOG_MAX : (uint32_t)rte_log_cur_msg_loglevel();
	snprintf(line->text, sizeof(line->text), "%.*s", (int)length, text);
	line->text[strcspn(line->text, "\n")] = '\0';
	if (own || log_state.verbose)
		pass_on(text, length);
	pthread_mutex_unlock(&log_state.lock);
	return (ssize_t)length;
}

int
vmq_log_open(const char *name, bool verbose)
{
	const cookie_io_functions_t functions = {.write = log_write};
	FILE *stream;

	log_state.name = name;
	log_state.verbose = verbose;
	stream = fopencookie(NULL, "w", functions);
	if (stream == NULL)
		return -errno;
	setvbuf(stream, NULL, _IOLBF, BUFSIZ);
	if (rte_openlog_stream(stream) < 0) {
		fclose(stream);
		return -EINVAL;
	}
	return 0;
}

uint64_t
vmq_log_mark(void)
{
	uint64_t mark;

	pthread_mutex_lock(&log_state.lock);
	mark = log_state.last;
	pthread_mutex_unlock(&log_state.lock);
	return mark;
}

const char *
vmq_log_since(uint64_t mark, char *text, size_t size)
{
	const struct line *line;
	size_t used = 0;
	uint64_t number;

	text[0] = '\0';
	pthread_mutex_lock(&log_state.lock);
	if (log_state.last > LINES && mark < log_state.last - LINES)
		mark = log_state.last - LINES;
	for (number = mark + 1; number <= log_state.last && used < size; number++) {
		line = &log_state.lines[number % LINES];
		if (line->level > RTE_LOG_WARNING || line->text[0] == '\0')
			continue;
		used += snprintf(text + used, size - used, "%s%s", used > 0 ? "; " : "",
			line->text);
	}
	pthread_mutex_unlock(&log_state.lock);
	return text;
}
