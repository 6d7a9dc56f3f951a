/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_random.h>

#include "filter_private.h"
#include "key_table.h"

/*
 * Filters in an array sorted by id (ids only grow, so adding appends), and a table
 * from their tests to the id, to find equal ones.
 */
struct vmq_filter_set {
	struct vmq_filter *filters;
	uint32_t n_filters;
	uint32_t capacity;
	uint32_t last_id;
	struct key_table index;
};

struct vmq_filter_set *
vmq_filter_set_create(void)
{
	struct vmq_filter_set *set = calloc(1, sizeof(*set));

	if (set == NULL)
		rte_errno = ENOMEM;
	return set;
}

void
vmq_filter_set_free(struct vmq_filter_set *set)
{
	if (set == NULL)
		return;
	free(set->index.slots);
	free(set->filters);
	free(set);
}

/* Make sure that the index has room for one more. */
static bool
index_reserve(struct vmq_filter_set *set)
{
	struct key_entry *slots;
	uint32_t n_slots, i;

	if (set->index.slots != NULL && key_table_slots(set->n_filters + 1) <= set->index.mask + 1)
		return true;

	n_slots = key_table_slots(2 * (set->n_filters + 1));
	slots = calloc(n_slots, sizeof(*slots));
	if (slots == NULL)
		return false;
	free(set->index.slots);
	key_table_init(&set->index, slots, n_slots, rte_rand() | 1);
	for (i = 0; i < set->n_filters; i++)
		key_table_insert(&set->index, filter_match_key(&set->filters[i].match),
			set->filters[i].id);
	return true;
}

enum vmq_status
vmq_filter_add(struct vmq_filter_set *set, uint16_t queue_id, const struct vmq_filter_match *match,
	uint32_t *id, struct vmq_error *err)
{
	const struct key_entry *equal;
	struct vmq_filter *filters;
	enum vmq_status status;
	uint64_t key;

	status = vmq_filter_match_check(match, err);
	if (status != VMQ_STATUS_SUCCESS)
		return status;
	if (set->last_id == UINT32_MAX)
		return vmq_error_set(err, VMQ_STATUS_RESOURCES, "all filter ids have been used");
	if (!index_reserve(set))
		return vmq_error_set(err, VMQ_STATUS_RESOURCES, "no memory for one more filter");

	key = filter_match_key(match);
	equal = key_table_find(&set->index, key_table_hash(&set->index, key), key);
	if (equal != NULL) {
		char text[VMQ_FILTER_TEXT_SIZE];

		return vmq_error_set(err, VMQ_STATUS_INVALID_PARAMETER,
			"filter %u makes the same tests (%s) for queue %u", equal->value,
			vmq_filter_text(match, text), vmq_filter_find(set, equal->value)->queue_id);
	}

	if (set->n_filters == set->capacity) {
		uint32_t capacity = RTE_MAX(2 * set->capacity, 16u);

		filters = realloc(set->filters, capacity * sizeof(*filters));
		if (filters == NULL)
			return vmq_error_set(err, VMQ_STATUS_RESOURCES,
				"no memory for one more filter");
		set->filters = filters;
		set->capacity = capacity;
	}
	*id = ++set->last_id;
	set->filters[set->n_filters++] = (struct vmq_filter){
		.id = *id,
		.queue_id = queue_id,
		.match = *match,
	};
	key_table_insert(&set->index, key, *id);
	return VMQ_STATUS_SUCCESS;
}

/* Index of the first filter with an id greater than after. */
static uint32_t
position_after(const struct vmq_filter_set *set, uint32_t after)
{
	uint32_t low = 0, high = set->n_filters;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (set->filters[middle].id <= after)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct vmq_filter *
find(const struct vmq_filter_set *set, uint32_t id)
{
	uint32_t i;

	if (id == 0)
		return NULL;
	i = position_after(set, id - 1);
	if (i == set->n_filters || set->filters[i].id != id)
		return NULL;
	return &set->filters[i];
}

const struct vmq_filter *
vmq_filter_find(const struct vmq_filter_set *set, uint32_t id)
{
	return find(set, id);
}

const struct vmq_filter *
vmq_filter_find_equal(const struct vmq_filter_set *set, const struct vmq_filter_match *match)
{
	const struct key_entry *equal;
	uint64_t key;

	if (set->index.slots == NULL || vmq_filter_match_check(match, NULL) != VMQ_STATUS_SUCCESS)
		return NULL;
	key = filter_match_key(match);
	equal = key_table_find(&set->index, key_table_hash(&set->index, key), key);
	return equal != NULL ? find(set, equal->value) : NULL;
}

bool
vmq_filter_del(struct vmq_filter_set *set, uint32_t id)
{
	struct vmq_filter *filter = find(set, id);

	if (filter == NULL)
		return false;
	key_table_remove(&set->index, filter_match_key(&filter->match));
	set->n_filters--;
	memmove(filter, filter + 1,
		(size_t)(&set->filters[set->n_filters] - filter) * sizeof(*filter));
	return true;
}

bool
vmq_filter_move(struct vmq_filter_set *set, uint32_t id, uint16_t queue_id)
{
	struct vmq_filter *filter = find(set, id);

	if (filter == NULL)
		return false;
	filter->queue_id = queue_id;
	return true;
}

const struct vmq_filter *
vmq_filter_next(const struct vmq_filter_set *set, uint32_t after)
{
	uint32_t i = position_after(set, after);

	return i < set->n_filters ? &set->filters[i] : NULL;
}

uint32_t
vmq_filter_count(const struct vmq_filter_set *set, uint16_t queue_id)
{
	uint32_t i, n = 0;

	for (i = 0; i < set->n_filters; i++)
		n += set->filters[i].queue_id == queue_id;
	return n;
}

uint32_t
vmq_filter_total(const struct vmq_filter_set *set)
{
	return set->n_filters;
}
