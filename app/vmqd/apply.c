/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include <rte_common.h>

#include "apply.h"
#include "requests.h"

/* The control loop has other things to do: the rest of the steps comes the next time. */
#define BUDGET_US 2000

enum result {
	DONE,
	UNDER_WAY,
	FAILED,
};

/* A queue that is being freed. */
struct freeing {
	LIST_ENTRY(freeing) next;
	struct apply *apply; /* NULL: over */
};

struct apply {
	struct plan plan;
	apply_callback *callback;
	void *arg;
	apply_fault *fault;
	void *fault_arg;
	size_t at; /* the step to be done, or undone, next is at or at - 1 */
	bool undoing;
	bool over;
	LIST_HEAD(, freeing) freeing;
	size_t n_freeing;
	uint64_t wait_until_us; /* 0: not waiting */
	/* A QUEUE_ALLOCATION_COMPLETE; its answer outlives the apply that asked. */
	struct completing *completing;
	size_t failed_step;
	struct vmq_error error; /* of the step that failed */
	unsigned int n_stuck; /* opposites that failed */
	struct vmq_error stuck; /* the first of them */
};

struct completing {
	struct apply *apply; /* NULL: over */
	bool answered;
	int ret;
	struct vmq_error error;
};

static uint64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static struct vmq_oid_adapter *
requests_of(const struct apply *apply, const struct plan_step *step)
{
	return apply->plan.system->requests[step->adapter];
}

static struct vmq_oid_owner *
owner_of(const struct apply *apply, const struct plan_step *step)
{
	return apply->plan.system->owners[step->adapter];
}

/* NULL: a step that is about no queue alone. */
static struct plan_queue *
queue_of(struct apply *apply, const struct plan_step *step)
{
	return step->queue != SIZE_MAX ? &apply->plan.queues[step->queue] : NULL;
}

static bool
fault(struct apply *apply, size_t step, bool undo, struct vmq_error *err)
{
	if (apply->fault == NULL || !apply->fault(apply->fault_arg, step, undo))
		return false;
	vmq_error_errno(err, 0, "it was made to fail");
	return true;
}

/* Queues freed */

static void
on_freed(void *arg, int ret, const struct vmq_error *err)
{
	struct freeing *freeing = arg;

	(void)err;
	(void)ret; /* halted: it goes with its adapter */
	if (freeing->apply != NULL) {
		LIST_REMOVE(freeing, next);
		freeing->apply->n_freeing--;
	}
	free(freeing);
}

static enum result
free_queue(struct apply *apply, const struct plan_step *step, struct vmq_error *err)
{
	struct plan_queue *queue = &apply->plan.queues[step->queue];
	struct freeing *freeing = calloc(1, sizeof(*freeing));

	if (freeing == NULL) {
		vmq_error_errno(err, ENOMEM, "no memory for a request");
		return FAILED;
	}
	if (request_free(requests_of(apply, step), owner_of(apply, step), queue->id, on_freed,
		freeing, err) < 0) {
		free(freeing);
		return FAILED;
	}
	freeing->apply = apply;
	LIST_INSERT_HEAD(&apply->freeing, freeing, next);
	apply->n_freeing++;
	queue->id = 0;
	return DONE;
}

static enum result
wait_freed(struct apply *apply)
{
	if (apply->wait_until_us == 0)
		apply->wait_until_us = now_us() + APPLY_WAIT_MS * UINT64_C(1000);
	if (apply->n_freeing > 0 && now_us() < apply->wait_until_us)
		return UNDER_WAY;
	apply->wait_until_us = 0;
	return DONE;
}

/* Queues completed */

static void
on_completed(void *arg, int ret, const struct vmq_error *err)
{
	struct completing *completing = arg;

	if (completing->apply == NULL) {
		free(completing);
		return;
	}
	completing->answered = true;
	completing->ret = ret;
	completing->error = *err;
}

static enum result
start_completion(struct apply *apply, const struct plan_step *step, const uint16_t *ids, size_t n,
	struct vmq_error *err)
{
	struct completing *completing = calloc(1, sizeof(*completing));

	if (completing == NULL) {
		vmq_error_errno(err, ENOMEM, "no memory for a request");
		return FAILED;
	}
	completing->apply = apply;
	if (request_complete_async(requests_of(apply, step), owner_of(apply, step), ids, n,
		on_completed, completing, err) < 0) {
		free(completing);
		return FAILED;
	}
	apply->completing = completing;
	return UNDER_WAY;
}

/* Has the completion that is under way ended? */
static enum result
end_completion(struct apply *apply, struct vmq_error *err)
{
	struct completing *completing = apply->completing;
	int ret = completing->ret;

	if (!completing->answered)
		return UNDER_WAY;
	if (ret < 0)
		*err = completing->error;
	apply->completing = NULL;
	free(completing);
	return ret < 0 ? FAILED : DONE;
}

static enum result
complete_batch(struct apply *apply, const struct plan_step *step, struct vmq_error *err)
{
	uint16_t *ids;
	enum result result;
	size_t i;

	if (apply->completing != NULL)
		return end_completion(apply, err);
	ids = calloc(step->n_batch, sizeof(*ids));
	if (ids == NULL) {
		vmq_error_errno(err, ENOMEM, "no memory for a batch");
		return FAILED;
	}
	for (i = 0; i < step->n_batch; i++)
		ids[i] = apply->plan.queues[step->batch[i]].id;
	result = start_completion(apply, step, ids, step->n_batch, err);
	free(ids);
	return result;
}

/* A queue that was freed: another one like it. */
static enum result
make_again(struct apply *apply, const struct plan_step *step, struct vmq_error *err)
{
	struct plan_queue *queue = &apply->plan.queues[step->queue];
	const struct running_queue *was = RTE_PTR_SUB(queue->was,
		offsetof(struct running_queue, queue));

	if (apply->completing != NULL)
		return end_completion(apply, err);
	/* Its file, device or socket may be in use until it is gone. */
	if (wait_freed(apply) == UNDER_WAY)
		return UNDER_WAY;
	if (request_allocate(requests_of(apply, step), owner_of(apply, step),
		apply->plan.system->doc, queue->was, &queue->id, err) < 0)
		return FAILED;
	if (!was->completed)
		return DONE;
	return start_completion(apply, step, &queue->id, 1, err);
}

/* Filters */

static bool
is_filter_step(const struct plan_step *step)
{
	return step->kind == PLAN_CLEAR_FILTER || step->kind == PLAN_MOVE_FILTER ||
		step->kind == PLAN_SET_FILTER;
}

static int
filter_step(struct apply *apply, const struct plan_step *step, bool undo, struct vmq_error *err)
{
	struct vmq_oid_adapter *adapter = requests_of(apply, step);
	struct vmq_oid_owner *owner = owner_of(apply, step);
	const uint16_t from = apply->plan.queues[step->queue].id;

	if (step->kind == PLAN_MOVE_FILTER)
		return request_move_filter(adapter, owner, &step->match,
			undo ? from : apply->plan.queues[step->to].id, err);
	if ((step->kind == PLAN_SET_FILTER) != undo)
		return request_set_filter(adapter, owner, from, &step->match, err);
	return request_clear_filter(adapter, owner, &step->match, err);
}

static void
begin(struct apply *apply)
{
	const struct system *system = apply->plan.system;
	size_t i;

	for (i = 0; i < system->n_adapters; i++)
		vmq_adapter_begin(system->adapters[i]);
}

static int
commit(struct apply *apply, struct vmq_error *err)
{
	const struct system *system = apply->plan.system;
	int ret = 0;
	size_t i;

	for (i = 0; i < system->n_adapters; i++)
		if (vmq_adapter_commit(system->adapters[i], err) != VMQ_STATUS_SUCCESS)
			ret = -ENOMEM;
	return ret;
}

static void
note_stuck(struct apply *apply, size_t step, const struct vmq_error *err)
{
	char text[PLAN_TEXT_SIZE];

	plan_step_text(&apply->plan, &apply->plan.steps[step], text);
	VMQ_LOG(ERR, "apply: cannot undo \"%s\": %s\n", text, err->text);
	if (apply->n_stuck++ == 0)
		vmq_error_errno(&apply->stuck, 0, "\"%.200s\": %.200s", text, err->text);
}

/* Undo the filter steps from first up to, but not with, end. */
static void
undo_filters(struct apply *apply, size_t first, size_t end)
{
	struct vmq_error err;
	size_t i;

	for (i = end; i-- > first;)
		if (fault(apply, i, true, &err) ||
			filter_step(apply, &apply->plan.steps[i], true, &err) < 0)
			note_stuck(apply, i, &err);
}

/*
 * All filter steps from here on up to the next other step, published at once. On
 * failure none of them has been.
 */
static enum result
run_filters(struct apply *apply, struct vmq_error *err)
{
	const struct plan *plan = &apply->plan;
	const size_t first = apply->at;
	struct vmq_error again;
	size_t i;
	int ret = 0;

	begin(apply);
	for (i = first; i < plan->n_steps && is_filter_step(&plan->steps[i]); i++) {
		ret = fault(apply, i, false, err) ? -EIO
			: filter_step(apply, &plan->steps[i], false, err);
		if (ret < 0)
			break;
	}
	if (ret == 0) {
		ret = commit(apply, err);
		if (ret == 0) {
			apply->at = i;
			return DONE;
		}
		begin(apply);
	}
	apply->failed_step = RTE_MIN(i, plan->n_steps - 1);
	undo_filters(apply, first, i);
	if (commit(apply, &again) < 0)
		note_stuck(apply, first, &again);
	return FAILED;
}

static void
unrun_filters(struct apply *apply)
{
	const size_t end = apply->at;
	struct vmq_error err;

	while (apply->at > 0 && is_filter_step(&apply->plan.steps[apply->at - 1]))
		apply->at--;
	begin(apply);
	undo_filters(apply, apply->at, end);
	if (commit(apply, &err) < 0)
		note_stuck(apply, apply->at, &err);
}

/* Steps and their opposites */

static enum result
do_step(struct apply *apply, const struct plan_step *step, struct vmq_error *err)
{
	const struct document *doc = apply->plan.system->doc;
	struct plan_queue *queue = queue_of(apply, step);
	int ret = 0;

	if (apply->completing == NULL && fault(apply, apply->at, false, err))
		return FAILED;
	switch (step->kind) {
	case PLAN_ALLOCATE:
		ret = request_allocate(requests_of(apply, step), owner_of(apply, step), doc,
			queue->wanted, &queue->id, err);
		break;
	case PLAN_CHANGE:
		ret = request_change(requests_of(apply, step), owner_of(apply, step), queue->id,
			doc, queue->wanted, step->changes, err);
		break;
	case PLAN_COMPLETE:
		return complete_batch(apply, step, err);
	case PLAN_FREE:
		return free_queue(apply, step, err);
	case PLAN_WAIT:
		return wait_freed(apply);
	default:
		break; /* a restart: not while we run */
	}
	return ret < 0 ? FAILED : DONE;
}

static enum result
undo_step(struct apply *apply, const struct plan_step *step, struct vmq_error *err)
{
	const struct plan_queue *queue = queue_of(apply, step);

	if (apply->completing == NULL && fault(apply, apply->at - 1, true, err))
		return FAILED;
	switch (step->kind) {
	case PLAN_ALLOCATE:
		return free_queue(apply, step, err);
	case PLAN_CHANGE:
		return request_change(requests_of(apply, step), owner_of(apply, step), queue->id,
			apply->plan.system->doc, queue->was, step->changes, err) < 0 ? FAILED : DONE;
	case PLAN_FREE:
		return make_again(apply, step, err);
	case PLAN_WAIT:
		return wait_freed(apply); /* for what was made and is freed again */
	default:
		return DONE;
	}
}

static void
finish(struct apply *apply, int ret)
{
	char step[PLAN_TEXT_SIZE];
	struct vmq_error err = {.text = ""};

	apply->over = true;
	if (ret < 0) {
		plan_step_text(&apply->plan, &apply->plan.steps[apply->failed_step], step);
		vmq_error_errno(&err, 0, "step %zu of %zu, \"%.120s\", failed: %.200s; %s%.120s",
			apply->failed_step + 1, apply->plan.n_steps, step, apply->error.text,
			apply->n_stuck == 0 ? "all was rolled back"
					    : "rolled back, but not all: ",
			apply->stuck.text);
	}
	apply->callback(apply->arg, ret, &err, apply->n_freeing);
}

/* Returns false: nothing more can be done now. */
static bool
step_forward(struct apply *apply)
{
	const struct plan_step *step = &apply->plan.steps[apply->at];
	enum result result;

	apply->failed_step = apply->at;
	if (is_filter_step(step)) {
		result = run_filters(apply, &apply->error);
	} else {
		result = do_step(apply, step, &apply->error);
		apply->at += result == DONE;
	}
	apply->undoing = result == FAILED;
	return result != UNDER_WAY;
}

static bool
step_back(struct apply *apply)
{
	const struct plan_step *step = &apply->plan.steps[apply->at - 1];
	struct vmq_error err;
	enum result result;

	if (is_filter_step(step)) {
		unrun_filters(apply);
		return true;
	}
	result = undo_step(apply, step, &err);
	if (result == UNDER_WAY)
		return false;
	if (result == FAILED)
		note_stuck(apply, apply->at - 1, &err);
	apply->at--;
	return true;
}

bool
apply_progress(struct apply *apply)
{
	const uint64_t until = now_us() + BUDGET_US;
	bool more = true;

	while (!apply->over && more) {
		if (!apply->undoing && apply->at == apply->plan.n_steps) {
			finish(apply, 0);
			return false;
		}
		if (apply->undoing && apply->at == 0) {
			/* Who is told that all was rolled back finds nothing of it. */
			if (wait_freed(apply) == UNDER_WAY)
				return true;
			finish(apply, -ECANCELED);
			return false;
		}
		more = apply->undoing ? step_back(apply) : step_forward(apply);
		if (now_us() >= until)
			break;
	}
	return !apply->over;
}

struct apply *
apply_start(struct plan *plan, apply_callback *callback, void *arg)
{
	struct apply *apply = calloc(1, sizeof(*apply));

	if (apply == NULL)
		return NULL;
	apply->plan = *plan;
	apply->callback = callback;
	apply->arg = arg;
	LIST_INIT(&apply->freeing);
	*plan = (struct plan){0};
	return apply;
}

void
apply_set_fault(struct apply *apply, apply_fault *callback, void *arg)
{
	apply->fault = callback;
	apply->fault_arg = arg;
}

const struct plan *
apply_plan(const struct apply *apply)
{
	return &apply->plan;
}

void
apply_free(struct apply *apply)
{
	struct freeing *freeing;

	if (apply == NULL)
		return;
	while ((freeing = LIST_FIRST(&apply->freeing)) != NULL) {
		LIST_REMOVE(freeing, next);
		freeing->apply = NULL;
	}
	if (apply->completing != NULL) {
		if (apply->completing->answered)
			free(apply->completing);
		else
			apply->completing->apply = NULL;
	}
	plan_free(&apply->plan);
	free(apply);
}
