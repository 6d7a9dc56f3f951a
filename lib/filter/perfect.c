/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_random.h>

#include "perfect.h"

/*
 * Few keys: with eight slots for each, one multiplier in ten and more is such that no two
 * keys meet. 512 slots fit the first level cache.
 */
#define PLAIN_KEYS_MAX 48
#define PLAIN_SLOTS_MAX 512
#define PLAIN_SLOTS_MIN 64
#define PLAIN_TRIES 100

/*
 * Many keys: twice as many slots, and as many groups as keys. Two keys of a group whose slots
 * are the same cannot be set apart; a multiplier is without such pairs with a chance of 3 in
 * 4, and what is left of it after so many tries is nothing.
 */
#define GROUPED_TRIES 64
/* No chance multiplier makes so large a group; with one that was foreseen somebody may. */
#define GROUP_KEYS_MAX 16

/* For building. */
struct builder {
	struct perfect *table;
	const struct key_entry *entries;
	uint32_t n, n_slots, n_groups;
	uint32_t *places; /* of each key, its hash's upper bits */
	uint32_t *members; /* numbers of keys, by group */
	uint32_t *first; /* of each group in members, and the end */
};

static bool
is_plain(uint32_t n)
{
	return n <= PLAIN_KEYS_MAX;
}

uint32_t
perfect_slots(uint32_t n)
{
	uint32_t slots = rte_align32pow2(2 * n);

	if (is_plain(n)) {
		slots = RTE_MAX(rte_align32pow2(8 * n), (uint32_t)PLAIN_SLOTS_MIN);
		slots = RTE_MIN(slots, (uint32_t)PLAIN_SLOTS_MAX);
	}
	return slots;
}

uint32_t
perfect_groups(uint32_t n)
{
	return perfect_slots(n) / 2;
}

static void
clear(const struct perfect *table, uint32_t n_slots)
{
	uint32_t i;

	for (i = 0; i < n_slots; i++)
		table->slots[i].key = PERFECT_EMPTY;
}

/* Put the keys where their hashes say. Returns false if two meet. */
static bool
fill_plain(struct perfect *table, const struct key_entry *entries, uint32_t n)
{
	struct key_entry *slot;
	uint32_t i;

	for (i = 0; i < n; i++) {
		slot = &table->slots[perfect_slot_plain(table, entries[i].key)];
		if (slot->key != PERFECT_EMPTY)
			return false;
		*slot = entries[i];
	}
	return true;
}

/* Sort the keys by their groups. Returns the size of the largest one. */
static uint32_t
sort(const struct builder *builder)
{
	const struct perfect *table = builder->table;
	uint32_t i, largest = 0;
	uint64_t hash;

	memset(builder->first, 0, (builder->n_groups + 2) * sizeof(builder->first[0]));
	/* Counted two further on: after the sums each is where the one before it begins. */
	for (i = 0; i < builder->n; i++) {
		hash = perfect_hash(table, builder->entries[i].key);
		builder->places[i] = (uint32_t)(hash >> table->shift);
		largest = RTE_MAX(largest, ++builder->first[perfect_group(table, hash) + 2]);
	}
	for (i = 2; i < builder->n_groups + 2; i++)
		builder->first[i] += builder->first[i - 1];
	for (i = 0; i < builder->n; i++) {
		hash = perfect_hash(table, builder->entries[i].key);
		builder->members[builder->first[perfect_group(table, hash) + 1]++] = i;
	}
	return largest;
}

/* Put a group's keys into their slots as far as these are free. Returns how many. */
static uint32_t
put(const struct builder *builder, const uint32_t *members, uint32_t n, uint16_t displaced)
{
	struct key_entry *slot;
	uint32_t i;

	for (i = 0; i < n; i++) {
		slot = &builder->table->slots[builder->places[members[i]] ^ displaced];
		if (slot->key != PERFECT_EMPTY)
			break;
		*slot = builder->entries[members[i]];
	}
	return i;
}

/* Find the number of a group. */
static bool
place(const struct builder *builder, uint32_t group)
{
	const uint32_t *members = &builder->members[builder->first[group]];
	const uint32_t n = builder->first[group + 1] - builder->first[group];
	const uint32_t end = RTE_MIN(builder->n_slots, UINT32_C(1) << 16);
	uint32_t displaced, done;

	for (displaced = 0; displaced < end; displaced++) {
		done = put(builder, members, n, (uint16_t)displaced);
		if (done == n) {
			builder->table->groups[group] = (uint16_t)displaced;
			return true;
		}
		while (done-- > 0)
			builder->table->slots[builder->places[members[done]] ^ displaced].key =
				PERFECT_EMPTY;
	}
	return false;
}

/* The largest groups first, while there is room. */
static bool
fill_grouped(const struct builder *builder)
{
	uint32_t size = sort(builder), group;

	if (size > GROUP_KEYS_MAX)
		return false;
	memset(builder->table->groups, 0, builder->n_groups * sizeof(uint16_t));
	for (; size > 0; size--)
		for (group = 0; group < builder->n_groups; group++)
			if (builder->first[group + 1] - builder->first[group] == size &&
				!place(builder, group))
				return false;
	return true;
}

static int
build_grouped(struct builder *builder, uint16_t *groups)
{
	uint32_t tries, *room;

	room = calloc(2 * (size_t)builder->n + builder->n_groups + 2, sizeof(*room));
	if (room == NULL)
		return -ENOMEM;
	builder->places = room;
	builder->members = room + builder->n;
	builder->first = room + 2 * (size_t)builder->n;
	builder->table->groups = groups;
	for (tries = 0; tries < GROUPED_TRIES; tries++) {
		builder->table->multiplier = rte_rand() | 1;
		clear(builder->table, builder->n_slots);
		if (fill_grouped(builder))
			break;
	}
	free(room);
	return tries < GROUPED_TRIES ? 0 : -EAGAIN;
}

int
perfect_fill(struct perfect *table, const struct key_entry *entries, uint32_t n,
	struct key_entry *slots, uint32_t n_slots, uint16_t *groups)
{
	struct builder builder = {
		.table = table,
		.entries = entries,
		.n = n,
		.n_slots = n_slots,
		.n_groups = n_slots / 2,
	};
	uint32_t tries;

	table->shift = 64 - rte_bsf32(n_slots);
	table->group_shift = 32 - rte_bsf32(builder.n_groups);
	table->slots = slots;
	table->groups = NULL;
	for (tries = 0; is_plain(n) && tries < PLAIN_TRIES; tries++) {
		table->multiplier = tries == 0 ? KEY_MULTIPLIER : rte_rand() | 1;
		clear(table, n_slots);
		if (fill_plain(table, entries, n))
			return 0;
	}
	return build_grouped(&builder, groups);
}
