/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plan_private.h"

struct plan_step *
plan_add(struct planner *p, enum plan_kind kind, size_t adapter, size_t queue, const char *why)
{
	struct plan *plan = p->plan;
	struct plan_step *steps, *step;

	/* Doubled at each power of two. */
	if ((plan->n_steps & (plan->n_steps - 1)) == 0) {
		steps = realloc(plan->steps,
			(plan->n_steps == 0 ? 1 : 2 * plan->n_steps) * sizeof(*steps));
		if (steps == NULL) {
			p->no_memory = true;
			return NULL;
		}
		plan->steps = steps;
	}
	step = &plan->steps[plan->n_steps++];
	*step = (struct plan_step){.kind = kind, .adapter = adapter, .queue = queue, .to = SIZE_MAX};
	if (why != NULL) {
		step->why = strdup(why);
		if (step->why == NULL)
			p->no_memory = true;
	}
	return step;
}

static bool
comes(const struct plan_queue *queue, bool waits)
{
	return queue->was == NULL && queue->waits == waits;
}

static void
add_allocations(struct planner *p, bool waits)
{
	struct plan *plan = p->plan;
	size_t i;

	for (i = 0; i < plan->n_queues; i++)
		if (comes(&plan->queues[i], waits))
			plan_add(p, PLAN_ALLOCATE, plan->queues[i].adapter, i, p->why[i]);
}

/* One batch for each adapter. */
static void
add_completions(struct planner *p, bool waits)
{
	struct plan *plan = p->plan;
	struct plan_step *step;
	size_t adapter, i, n;

	for (adapter = 0; adapter < plan->system->n_adapters; adapter++) {
		for (i = 0, n = 0; i < plan->n_queues; i++)
			n += plan->queues[i].adapter == adapter && comes(&plan->queues[i], waits);
		if (n == 0)
			continue;
		step = plan_add(p, PLAN_COMPLETE, adapter, SIZE_MAX, NULL);
		if (step == NULL)
			return;
		step->batch = calloc(n, sizeof(*step->batch));
		if (step->batch == NULL) {
			p->no_memory = true;
			return;
		}
		for (i = 0; i < plan->n_queues; i++)
			if (plan->queues[i].adapter == adapter && comes(&plan->queues[i], waits))
				step->batch[step->n_batch++] = i;
	}
}

static void
add_changes(struct planner *p)
{
	struct plan *plan = p->plan;
	struct plan_step *step;
	size_t i;

	for (i = 0; i < plan->n_queues; i++) {
		if (p->changes[i] == 0)
			continue;
		step = plan_add(p, PLAN_CHANGE, plan->queues[i].adapter, i, p->why[i]);
		if (step != NULL)
			step->changes = p->changes[i];
	}
}

static void
add_frees(struct planner *p, bool first)
{
	struct plan *plan = p->plan;
	const struct plan_queue *queue;
	bool any = false;
	size_t i;

	for (i = 0; i < plan->n_queues; i++) {
		queue = &plan->queues[i];
		if (queue->is_default || queue->wanted != NULL || queue->goes_first != first)
			continue;
		plan_add(p, PLAN_FREE, queue->adapter, i,
			first ? "first, because another queue needs its backend; until that one is "
				"there its frames go to the default queue" : NULL);
		any = true;
	}
	if (any)
		plan_add(p, PLAN_WAIT, SIZE_MAX, SIZE_MAX, NULL);
}

static void
plan_steps(struct planner *p)
{
	plan_restart(p);
	plan_queues(p);
	plan_filters(p);
	if (p->no_memory)
		return;
	add_allocations(p, false);
	add_changes(p);
	add_completions(p, false);
	plan_filter_steps(p, true);
	add_frees(p, true);
	add_allocations(p, true);
	add_completions(p, true);
	plan_filter_steps(p, false);
	add_frees(p, false);
}

static size_t *
alloc_places(size_t n)
{
	size_t *places = malloc((n + 1) * sizeof(*places));
	size_t i;

	for (i = 0; places != NULL && i <= n; i++)
		places[i] = SIZE_MAX;
	return places;
}

int
plan_make(const struct system *system, const json_t *source, struct document *doc,
	struct plan *plan, struct doc_findings *findings, struct vmq_error *err)
{
	struct planner p = {.plan = plan, .source = source, .findings = findings};
	size_t i, most;
	int ret;

	*plan = (struct plan){.system = system, .doc = doc};
	*findings = (struct doc_findings){0};
	ret = running_read(system, &plan->running, err);
	if (ret < 0)
		goto out;
	most = plan->running.n_queues + doc->n_queues;
	plan->queues = calloc(most + 1, sizeof(*plan->queues));
	p.adapters = alloc_places(doc->n_adapters);
	p.of_running = alloc_places(plan->running.n_queues);
	p.of_doc = alloc_places(doc->n_queues);
	p.changes = calloc(most + 1, sizeof(*p.changes));
	p.why = calloc(most + 1, sizeof(*p.why));
	if (plan->queues == NULL || p.adapters == NULL || p.of_running == NULL ||
		p.of_doc == NULL || p.changes == NULL || p.why == NULL)
		p.no_memory = true;
	else
		plan_steps(&p);
	if (p.no_memory)
		ret = vmq_error_errno(err, ENOMEM, "no memory for a plan");
	else if (doc_findings_any(findings))
		ret = vmq_error_errno(err, EEXIST,
			"the document wants otherwise what belongs to another owner");
out:
	for (i = 0; p.why != NULL && i < plan->n_queues; i++)
		free(p.why[i]);
	free(p.why);
	free(p.changes);
	free(p.of_doc);
	free(p.of_running);
	free(p.adapters);
	free(p.filters);
	if (ret < 0)
		plan_free(plan);
	return ret;
}

void
plan_free(struct plan *plan)
{
	size_t i;

	for (i = 0; i < plan->n_steps; i++) {
		free(plan->steps[i].batch);
		free(plan->steps[i].pointer);
		free(plan->steps[i].why);
	}
	free(plan->steps);
	free(plan->queues);
	running_free(&plan->running);
	document_free(plan->doc);
	*plan = (struct plan){0};
}
