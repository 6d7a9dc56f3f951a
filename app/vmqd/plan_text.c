/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* A plan for people and for programs. */

#include <jansson.h>

#include "plan.h"

static const char *const kinds[PLAN_KIND_COUNT] = {
	[PLAN_RESTART] = "restart",
	[PLAN_ALLOCATE] = "allocate",
	[PLAN_CHANGE] = "change",
	[PLAN_COMPLETE] = "complete",
	[PLAN_CLEAR_FILTER] = "clear_filter",
	[PLAN_MOVE_FILTER] = "move_filter",
	[PLAN_SET_FILTER] = "set_filter",
	[PLAN_FREE] = "free",
	[PLAN_WAIT] = "wait",
};

const char *
plan_kind_name(enum plan_kind kind)
{
	return kinds[kind];
}

static const char *
queue_name(const struct plan *plan, size_t i)
{
	const struct plan_queue *queue = &plan->queues[i];

	if (queue->is_default)
		return "default";
	return queue->wanted != NULL ? queue->wanted->name : queue->was->name;
}

/* Does packets' way through a queue stop for the step? */
static bool
interrupts(const struct plan *plan, const struct plan_step *step)
{
	return step->kind == PLAN_ALLOCATE && plan->queues[step->queue].replaces != NULL;
}

const char *
plan_step_text(const struct plan *plan, const struct plan_step *step, char out[PLAN_TEXT_SIZE])
{
	const char *adapter = step->adapter != SIZE_MAX
		? plan->system->doc->adapters[step->adapter].name : "";
	const char *name = step->queue != SIZE_MAX ? queue_name(plan, step->queue) : "";
	char filter[VMQ_FILTER_TEXT_SIZE];

	switch (step->kind) {
	case PLAN_RESTART:
		snprintf(out, PLAN_TEXT_SIZE, "change %s", step->pointer);
		break;
	case PLAN_ALLOCATE:
		snprintf(out, PLAN_TEXT_SIZE, interrupts(plan, step)
			? "allocate queue %s of adapter %s anew" : "allocate queue %s of adapter %s",
			name, adapter);
		break;
	case PLAN_CHANGE:
		snprintf(out, PLAN_TEXT_SIZE, "change queue %s of adapter %s", name, adapter);
		break;
	case PLAN_COMPLETE:
		snprintf(out, PLAN_TEXT_SIZE,
			"give %zu queue%s of adapter %s memory and backend", step->n_batch,
			step->n_batch == 1 ? "" : "s", adapter);
		break;
	case PLAN_CLEAR_FILTER:
		snprintf(out, PLAN_TEXT_SIZE, "clear filter %s of queue %s of adapter %s",
			vmq_filter_text(&step->match, filter), name, adapter);
		break;
	case PLAN_MOVE_FILTER:
		snprintf(out, PLAN_TEXT_SIZE,
			"move filter %s from queue %s to queue %s%s of adapter %s",
			vmq_filter_text(&step->match, filter), name, queue_name(plan, step->to),
			plan->queues[step->to].replaces == &plan->queues[step->queue]
				? " made anew" : "", adapter);
		break;
	case PLAN_SET_FILTER:
		snprintf(out, PLAN_TEXT_SIZE, "set filter %s on queue %s of adapter %s",
			vmq_filter_text(&step->match, filter), name, adapter);
		break;
	case PLAN_FREE:
		snprintf(out, PLAN_TEXT_SIZE, "free queue %s of adapter %s", name, adapter);
		break;
	default:
		snprintf(out, PLAN_TEXT_SIZE, "wait for the packets of the queues freed");
		break;
	}
	return out;
}

static json_t *
step_json(const struct plan *plan, const struct plan_step *step)
{
	char text[PLAN_TEXT_SIZE];

	return json_pack("{s:s, s:s, s:s, s:s*, s:s*, s:s*, s:s*, s:b}",
		"step", plan_kind_name(step->kind),
		"how", step->kind == PLAN_RESTART ? "restart" : "live",
		"text", plan_step_text(plan, step, text),
		"why", step->why,
		"adapter", step->adapter != SIZE_MAX
			? plan->system->doc->adapters[step->adapter].name : NULL,
		"queue", step->queue != SIZE_MAX ? queue_name(plan, step->queue) : NULL,
		"pointer", step->pointer,
		"interrupts", interrupts(plan, step));
}

json_t *
plan_json(const struct plan *plan)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < plan->n_steps; i++) {
		if (json_array_append_new(list, step_json(plan, &plan->steps[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}
