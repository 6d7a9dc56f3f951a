/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * Names of users. getpwuid_r() may ask a directory in the network and take seconds, so
 * that a thread of its own asks. A name that was found once is kept for good.
 */

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#include "server.h"

#define BUFFER_SIZE 16384

struct name {
	TAILQ_ENTRY(name) next;
	uid_t uid;
	char text[]; /* "" for none */
};

struct lookup {
	struct vmq_job job;
	struct names *names;
	struct connection *connection; /* NULL: gone */
	uid_t uid;
	char *found; /* allocated; NULL: no name */
};

struct names {
	struct server *server;
	struct vmq_jobs *jobs;
	struct event *done;
	TAILQ_HEAD(, name) known;
};

static void
on_done(evutil_socket_t fd, short what, void *arg)
{
	struct names *names = arg;

	(void)fd;
	(void)what;
	vmq_jobs_finish(names->jobs, false);
}

struct names *
names_create(struct server *server)
{
	struct names *names = calloc(1, sizeof(*names));

	if (names == NULL)
		return NULL;
	names->server = server;
	TAILQ_INIT(&names->known);
	names->jobs = vmq_jobs_create();
	if (names->jobs == NULL)
		goto fail;
	names->done = event_new(server->base, vmq_jobs_fd(names->jobs), EV_READ | EV_PERSIST,
		on_done, names);
	if (names->done == NULL || event_add(names->done, NULL) < 0)
		goto fail;
	return names;
fail:
	names_destroy(names);
	return NULL;
}

void
names_destroy(struct names *names)
{
	struct name *name;

	if (names == NULL)
		return;
	vmq_jobs_destroy(names->jobs);
	if (names->done != NULL)
		event_free(names->done);
	while ((name = TAILQ_FIRST(&names->known)) != NULL) {
		TAILQ_REMOVE(&names->known, name, next);
		free(name);
	}
	free(names);
}

/* Helper thread. */
static void
look_up(struct vmq_job *job)
{
	struct lookup *lookup = RTE_PTR_SUB(job, offsetof(struct lookup, job));
	struct passwd entry, *found = NULL;
	char *buffer = malloc(BUFFER_SIZE);

	if (buffer != NULL &&
		getpwuid_r(lookup->uid, &entry, buffer, BUFFER_SIZE, &found) == 0 && found != NULL)
		lookup->found = strdup(found->pw_name);
	free(buffer);
}

static void
looked_up(struct vmq_job *job)
{
	struct lookup *lookup = RTE_PTR_SUB(job, offsetof(struct lookup, job));
	const char *text = lookup->found;
	struct name *name;

	/* A user without a name may get one yet: only names are kept. */
	if (text != NULL) {
		name = malloc(sizeof(*name) + strlen(text) + 1);
		if (name != NULL) {
			name->uid = lookup->uid;
			strcpy(name->text, text);
			TAILQ_INSERT_HEAD(&lookup->names->known, name, next);
		}
	}
	if (lookup->connection != NULL) {
		lookup->connection->lookup = NULL;
		connection_is_named(lookup->connection, text);
	}
	free(lookup->found);
	free(lookup);
}

bool
names_look_up(struct server *server, struct connection *c)
{
	struct lookup *lookup;
	struct name *name;

	if (server->names == NULL)
		server->names = names_create(server);
	if (server->names == NULL)
		return false;
	TAILQ_FOREACH(name, &server->names->known, next) {
		if (name->uid == c->peer.uid) {
			connection_is_named(c, name->text);
			return true;
		}
	}
	lookup = calloc(1, sizeof(*lookup));
	if (lookup == NULL)
		return false;
	lookup->job = (struct vmq_job){.work = look_up, .done = looked_up};
	lookup->names = server->names;
	lookup->connection = c;
	lookup->uid = c->peer.uid;
	c->lookup = lookup;
	vmq_jobs_submit(server->names->jobs, &lookup->job);
	return true;
}

void
names_forget(struct server *server, struct connection *c)
{
	(void)server;
	if (c->lookup != NULL)
		c->lookup->connection = NULL;
	c->lookup = NULL;
}
