/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include <bsd/string.h>
#include <rte_common.h>
#include <rte_telemetry.h>
#include <rte_version.h>

#include "telemetry.h"

static int
add_number(struct rte_tel_data *data, const char *name, uint64_t number)
{
	/* The same by another name since 23.03. */
#if RTE_VERSION >= RTE_VERSION_NUM(23, 3, 0, 0)
	return rte_tel_data_add_dict_uint(data, name, number);
#else
	return rte_tel_data_add_dict_u64(data, name, number);
#endif
}

/* A thread of telemetry's that waits for a snapshot. On its own stack. */
struct asker {
	STAILQ_ENTRY(asker) next;
	pthread_cond_t answered;
	struct figures *figures;
	int result; /* -EINPROGRESS: still waiting */
};

static struct {
	pthread_mutex_t lock;
	STAILQ_HEAD(, asker) askers; /* under lock */
	bool open; /* under lock */
	int fd; /* readable when somebody asks */
	/* control thread */
	struct event *event;
	const struct system *system;
} telemetry = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.askers = STAILQ_HEAD_INITIALIZER(telemetry.askers),
	.fd = -1,
};

/* Telemetry's thread: *figures is the caller's. Returns 0 or -errno. */
static int
ask(struct figures **figures)
{
	struct asker me = {.result = -EINPROGRESS};
	const uint64_t one = 1;
	pthread_condattr_t attributes;
	struct timespec until;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&me.answered, &attributes);
	pthread_condattr_destroy(&attributes);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += TELEMETRY_WAIT_MS / 1000;

	pthread_mutex_lock(&telemetry.lock);
	if (!telemetry.open) {
		me.result = -ESHUTDOWN;
	} else {
		STAILQ_INSERT_TAIL(&telemetry.askers, &me, next);
		if (write(telemetry.fd, &one, sizeof(one)) < 0)
			me.result = -errno;
		while (me.result == -EINPROGRESS &&
			pthread_cond_timedwait(&me.answered, &telemetry.lock, &until) == 0)
			;
		if (me.result == -EINPROGRESS) {
			STAILQ_REMOVE(&telemetry.askers, &me, asker, next);
			me.result = -ETIMEDOUT;
		}
	}
	pthread_mutex_unlock(&telemetry.lock);
	pthread_cond_destroy(&me.answered);
	*figures = me.figures;
	return me.result;
}

/* Under lock: each asker gets its own snapshot, or an error. */
static void
answer_all(bool closing)
{
	struct asker *asker;

	while ((asker = STAILQ_FIRST(&telemetry.askers)) != NULL) {
		STAILQ_REMOVE_HEAD(&telemetry.askers, next);
		asker->figures = closing ? NULL : figures_take(telemetry.system);
		asker->result = closing ? -ESHUTDOWN : asker->figures == NULL ? -ENOMEM : 0;
		pthread_cond_signal(&asker->answered);
	}
}

static void
on_ask(evutil_socket_t fd, short what, void *arg)
{
	uint64_t count;

	(void)what;
	(void)arg;
	if (read(fd, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&telemetry.lock);
	answer_all(false);
	pthread_mutex_unlock(&telemetry.lock);
}

/* Parameters: names or numbers. Both -1 where there is none such. */

static int
adapter_by_name(const struct figures *figures, const char *name)
{
	char *end;
	size_t i;

	for (i = 0; i < figures->n_adapters; i++)
		if (strcmp(figures->adapters[i].name, name) == 0)
			return (int)i;
	i = strtoul(name, &end, 10);
	return end != name && *end == '\0' && i < figures->n_adapters ? (int)i : -1;
}

static const struct figures_queue *
queue_by_name(const struct figures *figures, int adapter, const char *name)
{
	const struct figures_adapter *of = &figures->adapters[adapter];
	const struct figures_queue *queues = figures->queues + of->first_queue;
	unsigned long id;
	char *end;
	size_t i;

	for (i = 0; i < of->n_queues; i++)
		if (strcmp(queues[i].name, name) == 0)
			return &queues[i];
	id = strtoul(name, &end, 10);
	for (i = 0; end != name && *end == '\0' && i < of->n_queues; i++)
		if (queues[i].info.id == id)
			return &queues[i];
	return NULL;
}

/* "ADAPTER,QUEUE"; "QUEUE" where there is one adapter. */
static const struct figures_queue *
find_queue(const struct figures *figures, const char *params)
{
	const char *comma = params != NULL ? strrchr(params, ',') : NULL;
	char adapter[VMQ_NAME_SIZE];
	int number;

	if (params == NULL)
		return NULL;
	if (comma == NULL)
		return figures->n_adapters == 1 ? queue_by_name(figures, 0, params) : NULL;
	snprintf(adapter, sizeof(adapter), "%.*s", (int)(comma - params), params);
	number = adapter_by_name(figures, adapter);
	return number >= 0 ? queue_by_name(figures, number, comma + 1) : NULL;
}

/* "ADAPTER"; nothing where there is one adapter. */
static int
find_adapter(const struct figures *figures, const char *params)
{
	if (params == NULL || *params == '\0')
		return figures->n_adapters == 1 ? 0 : -1;
	return adapter_by_name(figures, params);
}

/*
 * DPDK's JSON has no bytes above 127: 22.11 reads in front of a table for them
 * (__json_format_str()). One "?" for each such character.
 */
struct plain {
	char text[RTE_TEL_MAX_STRING_LEN];
};

static const char *
plain(struct plain *out, const char *text)
{
	size_t n = 0;

	for (; *text != '\0' && n < sizeof(out->text) - 1; text++) {
		if ((*text & 0xc0) == 0x80) /* UTF-8: not the first byte of a character */
			continue;
		out->text[n++] = (*text & 0x80) != 0 ? '?' : *text;
	}
	out->text[n] = '\0';
	return out->text;
}

/* All figures of an item, by their key in the statistics: "buffers_available". */
static int
add_figures(struct rte_tel_data *data, enum figure_of of, const void *item)
{
	const struct figure *figure;
	char name[64], *dot;
	size_t i;
	int ret = 0;

	for (i = 0; ret == 0 && (figure = figure_get(i)) != NULL; i++) {
		if (figure->of != of)
			continue;
		/* Later versions of telemetry take letters, digits and "_" only. */
		strlcpy(name, figure->key, sizeof(name));
		while ((dot = strchr(name, '.')) != NULL)
			*dot = '_';
		ret = add_number(data, name, figure_value(figure, item));
	}
	return ret;
}

/* The commands: each has a snapshot, and adds to data. Negative: no such thing. */
typedef int answer_fn(const struct figures *figures, const char *params,
	struct rte_tel_data *data);

static int
adapter_list(const struct figures *figures, const char *params, struct rte_tel_data *data)
{
	struct plain name;
	size_t i;

	(void)params;
	rte_tel_data_start_array(data, RTE_TEL_STRING_VAL);
	for (i = 0; i < figures->n_adapters; i++)
		if (rte_tel_data_add_array_string(data,
			    plain(&name, figures->adapters[i].name)) < 0)
			return -ENOSPC;
	return 0;
}

static int
adapter_stats(const struct figures *figures, const char *params, struct rte_tel_data *data)
{
	int number = find_adapter(figures, params);

	if (number < 0)
		return -ENOENT;
	rte_tel_data_start_dict(data);
	return add_figures(data, FIGURE_OF_ADAPTER, &figures->adapters[number]);
}

/* "ADAPTER,FIRST": the answer has a bound, so that a long list is read part by part. */
static int
queue_list(const struct figures *figures, const char *params, struct rte_tel_data *data)
{
	const char *comma = params != NULL ? strrchr(params, ',') : NULL;
	int number = find_adapter(figures, params), n = 0;
	const struct figures_queue *queues;
	char adapter[VMQ_NAME_SIZE];
	unsigned long first = 0;
	size_t i;

	if (number < 0 && comma != NULL) { /* no name with a comma in it */
		snprintf(adapter, sizeof(adapter), "%.*s", (int)(comma - params), params);
		number = find_adapter(figures, adapter);
		first = strtoul(comma + 1, NULL, 10);
	}
	if (number < 0)
		return -ENOENT;
	queues = figures->queues + figures->adapters[number].first_queue;
	rte_tel_data_start_array(data, RTE_TEL_INT_VAL);
	for (i = 0; i < figures->adapters[number].n_queues && n < RTE_TEL_MAX_ARRAY_ENTRIES; i++) {
		if (queues[i].info.id < first)
			continue;
		rte_tel_data_add_array_int(data, queues[i].info.id);
		n++;
	}
	return 0;
}

static int
queue_info(const struct figures *figures, const char *params, struct rte_tel_data *data)
{
	const struct figures_queue *queue = find_queue(figures, params);
	struct plain text;

	if (queue == NULL)
		return -ENOENT;
	rte_tel_data_start_dict(data);
	rte_tel_data_add_dict_string(data, "adapter",
		plain(&text, figures->adapters[queue->adapter].name));
	add_number(data, "id", queue->info.id);
	rte_tel_data_add_dict_string(data, "name", plain(&text, queue->name));
	rte_tel_data_add_dict_string(data, "vm", plain(&text, queue->vm));
	rte_tel_data_add_dict_string(data, "state", vmq_queue_state_name(queue->info.state));
	rte_tel_data_add_dict_string(data, "operational_state",
		vmq_queue_operational_state(queue->info.state));
	add_number(data, "worker", queue->info.worker);
	add_number(data, "cpu", figures->workers[queue->info.worker].cpu);
	return rte_tel_data_add_dict_string(data, "backend", plain(&text, queue->backend));
}

static int
queue_stats(const struct figures *figures, const char *params, struct rte_tel_data *data)
{
	const struct figures_queue *queue = find_queue(figures, params);

	if (queue == NULL)
		return -ENOENT;
	rte_tel_data_start_dict(data);
	add_number(data, "dropped", queue->info.packets.dropped);
	return add_figures(data, FIGURE_OF_QUEUE, queue);
}

static int
queue_drops(const struct figures *figures, const char *params, struct rte_tel_data *data)
{
	const struct figures_queue *queue = find_queue(figures, params);
	unsigned int reason;

	if (queue == NULL)
		return -ENOENT;
	rte_tel_data_start_dict(data);
	for (reason = 0; reason < VMQ_DROP_COUNT; reason++)
		add_number(data, vmq_drop_name(reason),
			queue->info.packets.drops[reason]);
	return 0;
}

static int
queue_tx_drops(const struct figures *figures, const char *params, struct rte_tel_data *data)
{
	const struct figures_queue *queue = find_queue(figures, params);
	unsigned int reason;

	if (queue == NULL)
		return -ENOENT;
	rte_tel_data_start_dict(data);
	for (reason = 0; reason < VMQ_TX_DROP_COUNT; reason++)
		add_number(data, vmq_tx_drop_name(reason),
			queue->info.transmit.drops[reason]);
	return 0;
}

static int
worker_list(const struct figures *figures, const char *params, struct rte_tel_data *data)
{
	size_t i;

	(void)params;
	rte_tel_data_start_array(data, RTE_TEL_INT_VAL);
	for (i = 0; i < figures->n_workers; i++)
		rte_tel_data_add_array_int(data, figures->workers[i].cpu);
	return 0;
}

static int
worker_stats(const struct figures *figures, const char *params, struct rte_tel_data *data)
{
	unsigned long number = 0;
	char *end;

	if (params != NULL && *params != '\0') {
		number = strtoul(params, &end, 10);
		if (*end != '\0')
			return -EINVAL;
	} else if (figures->n_workers != 1) {
		return -EINVAL;
	}
	if (number >= figures->n_workers)
		return -ENOENT;
	rte_tel_data_start_dict(data);
	add_number(data, "cpu", figures->workers[number].cpu);
	return add_figures(data, FIGURE_OF_WORKER, &figures->workers[number]);
}

static const struct {
	const char *name;
	const char *help;
	answer_fn *answer;
} commands[] = {
	{"/vmq/adapter/list", "Names of the adapters. Parameters: none", adapter_list},
	{"/vmq/adapter/stats", "What an adapter's port counts. Parameters: [ADAPTER]",
		adapter_stats},
	{"/vmq/queue/list", "Ids of an adapter's queues, 512 from FIRST on. "
			    "Parameters: [ADAPTER[,FIRST]]", queue_list},
	{"/vmq/queue/info", "State and names of a queue. Parameters: [ADAPTER,]QUEUE",
		queue_info},
	{"/vmq/queue/stats", "Figures of a queue. Parameters: [ADAPTER,]QUEUE", queue_stats},
	{"/vmq/queue/drops", "A queue's drops by reason. Parameters: [ADAPTER,]QUEUE",
		queue_drops},
	{"/vmq/queue/transmit_drops",
		"Drops by reason of what a queue's VM sent. Parameters: [ADAPTER,]QUEUE",
		queue_tx_drops},
	{"/vmq/worker/list", "CPUs of the workers. Parameters: none", worker_list},
	{"/vmq/worker/stats", "Figures of a worker. Parameters: [WORKER], counted from 0",
		worker_stats},
};

/* Telemetry's thread. */
static int
on_command(const char *name, const char *params, struct rte_tel_data *data)
{
	struct figures *figures;
	size_t i;
	int ret;

	for (i = 0; i < RTE_DIM(commands) && strcmp(commands[i].name, name) != 0; i++)
		;
	if (i == RTE_DIM(commands))
		return -ENOENT;
	ret = ask(&figures);
	if (ret < 0)
		return ret;
	ret = commands[i].answer(figures, params, data);
	figures_free(figures);
	return ret;
}

static int
fail(int errnum, struct vmq_error *err)
{
	telemetry_close();
	return vmq_error_errno(err, errnum, "telemetry: %s", strerror(errnum));
}

int
telemetry_open(struct event_base *base, const struct system *system, struct vmq_error *err)
{
	size_t i;
	int ret;

	telemetry.system = system;
	telemetry.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (telemetry.fd < 0)
		return fail(errno, err);
	telemetry.event = event_new(base, telemetry.fd, EV_READ | EV_PERSIST, on_ask, NULL);
	if (telemetry.event == NULL || event_add(telemetry.event, NULL) < 0)
		return fail(ENOMEM, err);
	pthread_mutex_lock(&telemetry.lock);
	telemetry.open = true;
	pthread_mutex_unlock(&telemetry.lock);
	for (i = 0; i < RTE_DIM(commands); i++) {
		ret = rte_telemetry_register_cmd(commands[i].name, on_command, commands[i].help);
		if (ret < 0)
			return fail(-ret, err);
	}
	return 0;
}

void
telemetry_close(void)
{
	pthread_mutex_lock(&telemetry.lock);
	telemetry.open = false;
	answer_all(true);
	pthread_mutex_unlock(&telemetry.lock);
	if (telemetry.event != NULL)
		event_free(telemetry.event);
	if (telemetry.fd >= 0)
		close(telemetry.fd);
	telemetry.event = NULL;
	telemetry.fd = -1;
}
