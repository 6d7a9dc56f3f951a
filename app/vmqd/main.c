/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * vmqd: start in order, run the control loop, stop in the reverse order.
 *
 *   options - document - EAL - adapters - queues - workers - control loop
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

#include "capture.h"
#include "control.h"
#include "document.h"
#include "eal.h"
#include "live.h"
#include "metrics.h"
#include "options.h"
#include "report.h"
#include "service.h"
#include "state.h"
#include "system.h"
#include "telemetry.h"

/* Exit statuses; --help says the same. */
#define EXIT_USAGE 2

/*
 * How often the control loop goes on with what waits. A pool's low mark must last that
 * long: 5 ms are 5000 packets at 1 Mpps.
 */
#define PROGRESS_MS 5
/* The same while no packet moves: each wake-up costs some 20 us in a virtual machine. */
#define PROGRESS_QUIET_MS 20

/* The same while a document is applied. */
#define PROGRESS_APPLY_MS 1

static volatile bool stop_requested;
static int stop_fd = -1; /* readable once stopping is requested */
static int reload_fd = -1; /* readable after SIGHUP */

/* The first signal stops in order; a second one does not wait for that. */
static void
on_signal(int number)
{
	const uint64_t one = 1;
	ssize_t written;
	int saved = errno;

	if (stop_requested)
		_exit(128 + number);
	stop_requested = true;
	written = write(stop_fd, &one, sizeof(one));
	(void)written; /* an eventfd with room for 2^64 - 2 more takes it */
	errno = saved;
}

/* Also before the control loop runs: then it is the first thing that is done. */
static void
on_hangup(int number)
{
	const uint64_t one = 1;
	ssize_t written;
	int saved = errno;

	(void)number;
	written = write(reload_fd, &one, sizeof(one));
	(void)written;
	errno = saved;
}

static int
catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct sigaction hangup = {.sa_handler = on_hangup, .sa_flags = SA_RESTART};

	stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	reload_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (stop_fd < 0 || reload_fd < 0 || sigaction(SIGHUP, &hangup, NULL) < 0 ||
		sigaction(SIGINT, &action, NULL) < 0 || sigaction(SIGTERM, &action, NULL) < 0 ||
		signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -errno;
	return 0;
}

static void
on_stop(evutil_socket_t fd, short what, void *arg)
{
	struct control *control = arg;

	(void)fd;
	(void)what;
	event_base_loopbreak(control->base);
}

static void
on_report(evutil_socket_t fd, short what, void *arg)
{
	struct control *control = arg;

	(void)fd;
	(void)what;
	report_print(control->report, false);
}

static struct timeval
interval(double seconds)
{
	return (struct timeval){
		.tv_sec = (time_t)seconds,
		.tv_usec = (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6),
	};
}

static void
on_progress(evutil_socket_t fd, short what, void *arg)
{
	struct control *control = arg;
	struct timeval delay;

	(void)fd;
	(void)what;
	vmq_host_progress(control->system->host);
	if (control->state != NULL)
		state_progress(control->state);
	if (live_progress(control->live))
		delay = interval(PROGRESS_APPLY_MS / 1e3);
	else
		delay = interval((vmq_host_is_quiet(control->system->host) ? PROGRESS_QUIET_MS
			: PROGRESS_MS) / 1e3);
	event_add(control->progress, &delay);
}

static void
wake(void *arg)
{
	struct control *control = arg;

	event_active(control->progress, EV_TIMEOUT, 0);
}

static void
on_reload(evutil_socket_t fd, short what, void *arg)
{
	struct control *control = arg;
	uint64_t times;

	(void)what;
	if (read(fd, &times, sizeof(times)) == sizeof(times))
		live_reload(control->live);
}

static bool
add_event(struct event *event, const struct timeval *timeout)
{
	return event != NULL && event_add(event, timeout) == 0;
}

/* Those who look at a running system. Returns 0, or -errno with the reason. */
static int
open_watchers(struct control *control, struct vmq_error *err)
{
	const char *address = control->system->doc->metrics_address;
	int ret;

	ret = telemetry_open(control->base, control->system, err);
	if (ret < 0)
		return ret;
	if (address != NULL) {
		control->metrics = metrics_open(control->base, address, control->system, err);
		if (control->metrics == NULL)
			return -EIO;
	}
	if (control->rpc != NULL) {
		control->captures = captures_open(control, err);
		if (control->captures == NULL)
			return -EIO;
	}
	return 0;
}

static void
close_watchers(struct control *control)
{
	captures_close(control->captures);
	metrics_close(control->metrics);
	telemetry_close();
}

/* Run until a signal or the end of the time. Returns 0, or -errno with the reason in err. */
static int
run(struct control *control, const struct options *options, struct vmq_error *err)
{
	const struct timeval report_interval = interval(options->stats_interval);
	const struct timeval progress_interval = interval(PROGRESS_MS / 1e3);
	const struct timeval end = interval(options->seconds);
	struct event *stop, *reload, *report, *jobs, *timeout;
	int ret = -ENOMEM;

	vmq_error_errno(err, ENOMEM, "the control loop failed");
	stop = event_new(control->base, stop_fd, EV_READ, on_stop, control);
	reload = event_new(control->base, reload_fd, EV_READ | EV_PERSIST, on_reload, control);
	report = event_new(control->base, -1, EV_PERSIST, on_report, control);
	jobs = event_new(control->base, vmq_host_fd(control->system->host), EV_READ | EV_PERSIST,
		on_progress, control);
	control->progress = event_new(control->base, -1, 0, on_progress, control);
	timeout = event_new(control->base, -1, 0, on_stop, control);
	if (add_event(stop, NULL) && add_event(reload, NULL) && add_event(report, &report_interval) &&
		add_event(jobs, NULL) && add_event(control->progress, &progress_interval) &&
		(options->seconds == 0 || add_event(timeout, &end))) {
		ret = open_watchers(control, err);
		if (ret == 0) {
			service_notify("READY=1");
			ret = event_base_dispatch(control->base) < 0 ? -EIO : 0;
			service_notify("STOPPING=1");
		}
		close_watchers(control);
	}
	if (timeout != NULL)
		event_free(timeout);
	if (control->progress != NULL)
		event_free(control->progress);
	if (jobs != NULL)
		event_free(jobs);
	if (report != NULL)
		event_free(report);
	if (reload != NULL)
		event_free(reload);
	if (stop != NULL)
		event_free(stop);
	return ret;
}

static struct document *
read_document(const char *file)
{
	struct doc_findings findings = {0};
	struct document *doc;

	doc = document_load(file, &findings);
	doc_findings_print(&findings, file, stderr);
	doc_findings_free(&findings);
	return doc;
}

static void
print_checked(const struct document *doc, const char *file)
{
	size_t filters = 0, i;

	for (i = 0; i < doc->n_queues; i++)
		filters += doc->queues[i].n_filters;
	for (i = 0; i < doc->n_adapters; i++)
		filters += doc->adapters[i].default_queue.n_filters;
	printf("%s: ok: %zu adapter%s, %zu queue%s, %zu filter%s, %u MiB of memory\n", file,
		doc->n_adapters, doc->n_adapters == 1 ? "" : "s", doc->n_queues,
		doc->n_queues == 1 ? "" : "s", filters, filters == 1 ? "" : "s",
		document_memory_mb(doc));
}

static int
complain(const struct vmq_error *err)
{
	fprintf(stderr, "vmqd: %s\n", err->text);
	return EXIT_FAILURE;
}

/* What changes it while it runs. Returns 0, or -errno with the reason in err. */
static int
open_live(struct control *control, const char *file, struct vmq_error *err)
{
	const char *state_file = control->doc->control.state_file;
	int ret;

	control->live = live_create(control->system, file, wake, control);
	if (control->live == NULL)
		return vmq_error_errno(err, ENOMEM, "no memory for the control socket");
	/* Before anybody can ask for anything. */
	if (state_file != NULL) {
		control->state = state_open(control->system, state_file, err);
		if (control->state == NULL)
			return -ENOMEM;
	}
	ret = control_open(control, err);
	if (ret < 0 || control->rpc == NULL)
		return ret;
	return live_add_methods(control->live, control->rpc, err);
}

/* From the start of EAL to its end. Returns the exit status. */
static int
serve(const struct document *doc, const struct options *options)
{
	struct system system = {0};
	struct report report = {0};
	struct control control = {.doc = doc, .system = &system, .report = &report};
	int status = EXIT_SUCCESS;
	struct vmq_error err;

	if (control_lock(&control, options->config, &err) < 0)
		return complain(&err);
	document_keep_cpus(true); /* else each document asks, and is answered by EAL's binding */
	if (eal_start(doc, options->verbose, &err) < 0) {
		control_close(&control);
		return complain(&err);
	}
	control.base = event_base_new();
	if (control.base == NULL) {
		fprintf(stderr, "vmqd: no memory for the control loop\n");
		status = EXIT_FAILURE;
	} else if (system_start(&system, doc, &stop_requested, &err) < 0 ||
		report_open(&report, &system, options, &err) < 0 ||
		open_live(&control, options->config, &err) < 0) {
		status = complain(&err);
	} else if (!stop_requested && run(&control, options, &err) < 0) {
		complain(&err);
		status = EXIT_FAILURE;
	}

	report_end(&report);
	control_stop(&control);
	live_stop(control.live);
	state_close(control.state);
	if (system_stop(&system) > 0)
		status = EXIT_FAILURE;
	if (status == EXIT_SUCCESS || report.table != NULL || report.json != NULL)
		report_print(&report, true);
	system_free_adapters(&system);
	control_close(&control);
	live_free(control.live);
	if (report_close(&report, &err) < 0)
		status = complain(&err);
	if (system_free(&system) > 0)
		status = EXIT_FAILURE;
	if (control.base != NULL)
		event_base_free(control.base);
	eal_stop(doc);
	return status;
}

int
main(int argc, char **argv)
{
	struct options options;
	struct document *doc;
	int status;

	switch (options_read(argc, argv, &options)) {
	case OPTIONS_DONE:
		return EXIT_SUCCESS;
	case OPTIONS_WRONG:
		return EXIT_USAGE;
	case OPTIONS_RUN:
		break;
	}
	if (catch_signals() < 0 || vmq_log_open("vmqd", options.verbose) < 0) {
		fprintf(stderr, "vmqd: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	doc = read_document(options.config);
	if (doc == NULL)
		return EXIT_FAILURE;
	if (options.check) {
		print_checked(doc, options.config);
		document_free(doc);
		return EXIT_SUCCESS;
	}
	status = serve(doc, &options);
	document_free(doc);
	return status;
}
