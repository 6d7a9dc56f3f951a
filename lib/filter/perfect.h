/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_PERFECT_H
#define VMQ_PERFECT_H

/**
 * @file
 * An immutable hash table from the 64-bit key of a filter's tests (see key_table.h) to a 32-bit
 * value in which each key is in the one slot where it is looked for. So no lookup walks,
 * whatever the filters are, and no branch goes now this way and now that: in a table with
 * linear probing, half full, a fifth to a third of the keys is not in its first slot, and the
 * CPU cannot foresee which.
 *
 * A key's slot is its hash, changed (exclusive or) by a number of the group of keys that it
 * belongs to by other bits of its hash; the numbers are chosen so that no two keys meet.
 * "Hash and displace": Pagh, Hash and Displace: Efficient Evaluation of Minimal Perfect Hash
 * Functions, 1999. A few keys get by without.
 *
 * Made by the control thread; any thread may look up.
 */

#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>

#include "key_table.h"

/* Of an empty slot: neither a frame nor a filter has such a VLAN code. */
#define PERFECT_EMPTY (UINT64_C(0x00f0) << KEY_VLAN_SHIFT)

struct perfect {
	uint64_t multiplier; /* odd */
	uint32_t shift; /* 64 - log2 of the number of slots */
	uint32_t group_shift; /* 32 - log2 of the number of groups */
	uint16_t *groups; /* NULL: all keys are where their hash says */
	struct key_entry *slots;
};

/* Where a key is if there are no groups. */
static inline uint32_t
perfect_slot_plain(const struct perfect *table, uint64_t key)
{
	return (uint32_t)((key * table->multiplier) >> table->shift);
}

/* Its upper and its lower half depend on each bit of the key. */
static inline uint64_t
perfect_hash(const struct perfect *table, uint64_t key)
{
	__extension__ const unsigned __int128 product =
		(unsigned __int128)key * table->multiplier;

	return (uint64_t)(product >> 64) ^ (uint64_t)product;
}

static inline uint32_t
perfect_group(const struct perfect *table, uint64_t hash)
{
	return (uint32_t)hash >> table->group_shift;
}

/* Where a key is if there are groups. */
static inline uint32_t
perfect_slot_grouped(const struct perfect *table, uint64_t key)
{
	const uint64_t hash = perfect_hash(table, key);

	return (uint32_t)(hash >> table->shift) ^ table->groups[perfect_group(table, hash)];
}

/* The entry of a key, if it has one: with another key it has none. */
static inline const struct key_entry *
perfect_at(const struct perfect *table, uint64_t key)
{
	return &table->slots[table->groups == NULL ? perfect_slot_plain(table, key)
		: perfect_slot_grouped(table, key)];
}

/* What a table of n keys needs. */
uint32_t perfect_slots(uint32_t n);
uint32_t perfect_groups(uint32_t n);

/**
 * Fill a table.
 *
 * @param entries
 *   The n keys, no two the same, and their values.
 * @param slots, groups
 *   As many as perfect_slots() and perfect_groups() say, or as for more keys; owned by the
 *   caller, who frees them after the table. The number of slots is a power of two.
 * @return 0; -ENOMEM; -EAGAIN: no luck, which has a chance of less than one in 2^64, whatever
 *   the keys are.
 */
int perfect_fill(struct perfect *table, const struct key_entry *entries, uint32_t n,
	struct key_entry *slots, uint32_t n_slots, uint16_t *groups);

#endif /* VMQ_PERFECT_H */
