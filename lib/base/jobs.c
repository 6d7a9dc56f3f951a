/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_errno.h>

#include "vmq_base.h"

struct list {
	struct vmq_job *first, **last;
};

struct vmq_jobs {
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t submitted, worked;
	struct list todo, finished;
	bool stop;
	unsigned int n_under_way; /* submitted, done() not yet called */
	int fd; /* readable while finished is not empty */
};

static void
list_init(struct list *list)
{
	list->first = NULL;
	list->last = &list->first;
}

static void
list_append(struct list *list, struct vmq_job *job)
{
	job->next = NULL;
	*list->last = job;
	list->last = &job->next;
}

static struct vmq_job *
list_take(struct list *list)
{
	struct vmq_job *job = list->first;

	if (job != NULL) {
		list->first = job->next;
		if (list->first == NULL)
			list->last = &list->first;
	}
	return job;
}

static void
announce(const struct vmq_jobs *jobs)
{
	const uint64_t one = 1;
	ssize_t written = write(jobs->fd, &one, sizeof(one));

	(void)written; /* fails only if 2^64 - 2 jobs have not been looked at */
}

static void *
work(void *arg)
{
	struct vmq_jobs *jobs = arg;
	struct vmq_job *job;

	pthread_mutex_lock(&jobs->lock);
	for (;;) {
		job = list_take(&jobs->todo);
		if (job == NULL) {
			if (jobs->stop)
				break;
			pthread_cond_wait(&jobs->submitted, &jobs->lock);
			continue;
		}
		pthread_mutex_unlock(&jobs->lock);
		job->work(job);
		pthread_mutex_lock(&jobs->lock);
		list_append(&jobs->finished, job);
		pthread_cond_signal(&jobs->worked);
		announce(jobs);
	}
	pthread_mutex_unlock(&jobs->lock);
	return NULL;
}

struct vmq_jobs *
vmq_jobs_create(void)
{
	struct vmq_jobs *jobs = calloc(1, sizeof(*jobs));
	sigset_t all, old;
	int ret;

	if (jobs == NULL) {
		rte_errno = ENOMEM;
		return NULL;
	}
	list_init(&jobs->todo);
	list_init(&jobs->finished);
	jobs->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (jobs->fd < 0) {
		rte_errno = errno;
		free(jobs);
		return NULL;
	}
	pthread_mutex_init(&jobs->lock, NULL);
	pthread_cond_init(&jobs->submitted, NULL);
	pthread_cond_init(&jobs->worked, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&jobs->thread, NULL, work, jobs);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret != 0) {
		close(jobs->fd);
		free(jobs);
		rte_errno = ret;
		return NULL;
	}
	pthread_setname_np(jobs->thread, "vmq-helper");
	return jobs;
}

void
vmq_jobs_destroy(struct vmq_jobs *jobs)
{
	if (jobs == NULL)
		return;
	vmq_jobs_finish(jobs, true);
	pthread_mutex_lock(&jobs->lock);
	jobs->stop = true;
	pthread_cond_signal(&jobs->submitted);
	pthread_mutex_unlock(&jobs->lock);
	pthread_join(jobs->thread, NULL);
	pthread_cond_destroy(&jobs->worked);
	pthread_cond_destroy(&jobs->submitted);
	pthread_mutex_destroy(&jobs->lock);
	close(jobs->fd);
	free(jobs);
}

void
vmq_jobs_submit(struct vmq_jobs *jobs, struct vmq_job *job)
{
	pthread_mutex_lock(&jobs->lock);
	jobs->n_under_way++;
	list_append(&jobs->todo, job);
	pthread_cond_signal(&jobs->submitted);
	pthread_mutex_unlock(&jobs->lock);
}

int
vmq_jobs_fd(const struct vmq_jobs *jobs)
{
	return jobs->fd;
}

unsigned int
vmq_jobs_finish(struct vmq_jobs *jobs, bool wait)
{
	unsigned int under_way;
	struct vmq_job *job;
	uint64_t count;
	ssize_t got;

	got = read(jobs->fd, &count, sizeof(count));
	(void)got; /* EAGAIN: nothing was announced; the list says it all */
	pthread_mutex_lock(&jobs->lock);
	for (;;) {
		job = list_take(&jobs->finished);
		if (job != NULL) {
			pthread_mutex_unlock(&jobs->lock);
			job->done(job);
			pthread_mutex_lock(&jobs->lock);
			jobs->n_under_way--;
			continue;
		}
		if (!wait || jobs->n_under_way == 0)
			break;
		pthread_cond_wait(&jobs->worked, &jobs->lock);
	}
	under_way = jobs->n_under_way;
	pthread_mutex_unlock(&jobs->lock);
	return under_way;
}
