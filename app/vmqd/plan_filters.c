/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Which filter is cleared, moved or set. */

#include <stdlib.h>
#include <string.h>

#include "plan_private.h"

/* A filter as it runs, or as the document wants it. */
struct filter_place {
	struct vmq_filter_match match;
	size_t adapter; /* of the system */
	size_t queue; /* plan queue */
	size_t doc_queue, filter; /* wanted: the place, for doc_any_queue() */
	size_t order; /* as in the document */
};

struct filter_places {
	struct filter_place *list;
	size_t n;
};

static int
compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int
compare_places(const void *pa, const void *pb)
{
	const struct filter_place *a = pa, *b = pb;
	int ret;

	ret = compare(a->adapter, b->adapter);
	if (ret == 0)
		ret = compare(a->match.has_mac, b->match.has_mac);
	if (ret == 0 && a->match.has_mac)
		ret = memcmp(&a->match.mac, &b->match.mac, sizeof(a->match.mac));
	if (ret == 0)
		ret = compare(a->match.vlan_test, b->match.vlan_test);
	if (ret == 0 && a->match.vlan_test == VMQ_VLAN_ID)
		ret = compare(a->match.vlan_id, b->match.vlan_id);
	return ret;
}

static bool
places_alloc(struct planner *p, struct filter_places *places, size_t n)
{
	*places = (struct filter_places){.list = calloc(n + 1, sizeof(*places->list))};
	if (places->list == NULL)
		p->no_memory = true;
	return places->list != NULL;
}

/* Filters of config as they are. */
static void
list_running(struct planner *p, struct filter_places *places)
{
	const struct running *running = &p->plan->running;
	const struct doc_queue *queue;
	size_t i, f, n = 0;

	for (i = 0; i < running->n_queues; i++)
		n += running->queues[i].queue.n_filters;
	if (!places_alloc(p, places, n))
		return;
	for (i = 0; i < running->n_queues; i++) {
		queue = &running->queues[i].queue;
		for (f = 0; f < queue->n_filters && p->of_running[i] != SIZE_MAX; f++) {
			if (strcmp(running->queues[i].filter_owners[f],
				VMQ_OID_OWNER_CONFIG) != 0)
				continue;
			places->list[places->n] = (struct filter_place){
				.match = queue->filters[f],
				.adapter = queue->adapter,
				.queue = p->of_running[i],
				.order = places->n,
			};
			places->n++;
		}
	}
	qsort(places->list, places->n, sizeof(*places->list), compare_places);
}

static size_t
default_queue(const struct plan *plan, size_t adapter)
{
	size_t i;

	for (i = 0; i < plan->n_queues; i++)
		if (plan->queues[i].is_default && plan->queues[i].adapter == adapter)
			return i;
	return SIZE_MAX;
}

/* Filters as they are wanted. */
static void
list_wanted(struct planner *p, struct filter_places *places)
{
	const struct document *doc = p->plan->doc;
	const struct doc_queue *queue;
	size_t i, f, n = 0, adapter, to;

	for (i = 0; i < doc_total_queues(doc); i++)
		n += doc_any_queue(doc, i, NULL)->n_filters;
	if (!places_alloc(p, places, n))
		return;
	for (i = 0; i < doc_total_queues(doc); i++) {
		queue = doc_any_queue(doc, i, NULL);
		adapter = p->adapters[queue->adapter];
		if (adapter == SIZE_MAX)
			continue;
		to = i < doc->n_adapters ? default_queue(p->plan, adapter)
					 : p->of_doc[i - doc->n_adapters];
		for (f = 0; f < queue->n_filters && to != SIZE_MAX; f++) {
			places->list[places->n] = (struct filter_place){
				.match = queue->filters[f],
				.adapter = adapter,
				.queue = to,
				.doc_queue = i,
				.filter = f,
				.order = places->n,
			};
			places->n++;
		}
	}
	qsort(places->list, places->n, sizeof(*places->list), compare_places);
}

static struct plan_filter *
add_change(struct planner *p, const struct filter_place *at, size_t from, size_t to)
{
	struct plan_filter *change = &p->filters[p->n_filters++];

	*change = (struct plan_filter){
		.match = at->match,
		.adapter = at->adapter,
		.from = from,
		.to = to,
		.order = at->order,
	};
	return change;
}

/*
 * A filter to be set must not be another owner's already, unless it is where it is
 * wanted. Returns whether it is to be set.
 */
static bool
check_new(struct planner *p, const struct filter_place *at)
{
	const struct system *system = p->plan->system;
	char text[VMQ_FILTER_TEXT_SIZE], hint[160];
	const struct vmq_filter *filter;
	const char *owner;
	struct doc_place place;

	filter = vmq_filter_find_equal(vmq_adapter_filters(system->adapters[at->adapter]),
		&at->match);
	if (filter == NULL)
		return true;
	owner = vmq_oid_filter_owner(system->requests[at->adapter], filter->id);
	if (strcmp(owner, VMQ_OID_OWNER_CONFIG) == 0)
		return true; /* of a queue on its way out */
	if (filter->queue_id == VMQ_DEFAULT_QUEUE_ID && p->plan->queues[at->queue].is_default)
		return false;
	snprintf(hint, sizeof(hint), "leave it out, or let %s clear it first",
		owner[0] != '\0' ? owner : "an administrator");
	doc_any_queue(p->plan->doc, at->doc_queue, &place);
	doc_finding_add(p->findings, DOC_INDEX(DOC_KEY(place.at, "filters"), at->filter), hint,
		"filter %u of %s%s makes the same tests (%s) for queue %u", filter->id,
		owner[0] != '\0' ? "owner " : "nobody", owner,
		vmq_filter_text(&at->match, text), filter->queue_id);
	return false;
}

static int
compare_order(const void *pa, const void *pb)
{
	const struct plan_filter *a = pa, *b = pb;
	int ret = compare(a->to == SIZE_MAX, b->to == SIZE_MAX);

	return ret != 0 ? ret : compare(a->order, b->order);
}

void
plan_filters(struct planner *p)
{
	struct filter_places is = {0}, wanted = {0};
	size_t i = 0, w = 0;
	int which;

	list_running(p, &is);
	list_wanted(p, &wanted);
	p->filters = calloc(is.n + wanted.n + 1, sizeof(*p->filters));
	if (p->filters == NULL)
		p->no_memory = true;
	while (!p->no_memory && (i < is.n || w < wanted.n)) {
		which = i == is.n ? 1 : w == wanted.n ? -1
			: compare_places(&is.list[i], &wanted.list[w]);
		if (which < 0) {
			add_change(p, &is.list[i], is.list[i].queue, SIZE_MAX);
			i++;
		} else if (which > 0) {
			if (check_new(p, &wanted.list[w]))
				add_change(p, &wanted.list[w], SIZE_MAX, wanted.list[w].queue);
			w++;
		} else {
			if (is.list[i].queue != wanted.list[w].queue)
				add_change(p, &wanted.list[w], is.list[i].queue,
					wanted.list[w].queue);
			i++;
			w++;
		}
	}
	/* Filters get their ids in the order of the document. */
	if (p->filters != NULL)
		qsort(p->filters, p->n_filters, sizeof(*p->filters), compare_order);
	free(is.list);
	free(wanted.list);
}

static void
add_step(struct planner *p, enum plan_kind kind, const struct plan_filter *filter, size_t queue)
{
	struct plan_step *step = plan_add(p, kind, filter->adapter, queue, NULL);

	if (step == NULL)
		return;
	step->match = filter->match;
	step->to = filter->to;
}

/* Steps of one kind. */
static void
add_steps(struct planner *p, enum plan_kind kind, bool first)
{
	struct plan_filter *filter;
	bool from_first, to_waits;
	size_t i;

	for (i = 0; i < p->n_filters; i++) {
		filter = &p->filters[i];
		from_first = filter->from != SIZE_MAX && p->plan->queues[filter->from].goes_first;
		to_waits = filter->to != SIZE_MAX && p->plan->queues[filter->to].waits;
		switch (kind) {
		case PLAN_CLEAR_FILTER:
			/* One that waits for its queue is set again when that is there. */
			if (filter->from != SIZE_MAX && from_first == first &&
				(filter->to == SIZE_MAX || (from_first && to_waits)))
				add_step(p, kind, filter, filter->from);
			break;
		case PLAN_MOVE_FILTER:
			if (filter->from != SIZE_MAX && filter->to != SIZE_MAX &&
				from_first == first && !(from_first && to_waits))
				add_step(p, kind, filter, filter->from);
			break;
		default:
			if (!first && filter->to != SIZE_MAX &&
				(filter->from == SIZE_MAX || (from_first && to_waits)))
				add_step(p, kind, filter, filter->to);
			break;
		}
	}
}

void
plan_filter_steps(struct planner *p, bool first)
{
	add_steps(p, PLAN_CLEAR_FILTER, first);
	add_steps(p, PLAN_MOVE_FILTER, first);
	add_steps(p, PLAN_SET_FILTER, first);
}
