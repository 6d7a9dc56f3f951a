/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_KEY_TABLE_H
#define VMQ_KEY_TABLE_H

/**
 * @file
 * A hash table from the 64-bit key of a filter's tests to a 32-bit value: open
 * addressing, linear probing, at most half full. The control plane finds equal filters
 * with it; workers look up in another one (perfect.h).
 *
 * Key: the destination MAC as a frame carries it in bits 0 to 47, the VLAN code in bits
 * 48 to 63, both as a little endian load finds them; so a frame's key is two loads and
 * two masks. A VLAN-alone filter has MAC 0, which no other filter can have; so key 0
 * (MAC 0, untagged) is free to mean "empty".
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_bitops.h>
#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
#include <rte_common.h>

#define KEY_VLAN_SHIFT 48
#define KEY_MAC_MASK ((UINT64_C(1) << KEY_VLAN_SHIFT) - 1)
/* The VLAN id in bytes 8 to 15 of a tagged frame, priority and DEI left out. */
#define KEY_TCI_MASK UINT64_C(0xff0f000000000000)
/* The code of a VLAN id: as a frame carries it. */
#define KEY_VLAN(id) \
	((((uint64_t)(id) & 0xff) << 8 | ((uint64_t)(id) >> 8 & 0x0f)) << KEY_VLAN_SHIFT)
/* Codes beside those of 1 to 4094. */
#define KEY_VLAN_UNTAGGED UINT64_C(0)
#define KEY_VLAN_ANY UINT64_C(0xffff)

struct key_entry {
	uint64_t key; /* 0: empty */
	uint32_t value;
	uint32_t reserved;
};

/*
 * 2^64 divided by the golden ratio spreads consecutive keys (MACs of one vendor)
 * best: Knuth, The Art of Computer Programming, volume 3, 6.4. But who knows a
 * multiplier can choose keys that all fall on one slot: then take a random one.
 */
#define KEY_MULTIPLIER UINT64_C(0x9e3779b97f4a7c15)

struct key_table {
	/* The hash is multiplicative: the upper bits of key * multiplier. */
	uint64_t multiplier;
	uint32_t shift; /* 64 - log2 of the number of slots */
	uint32_t mask; /* number of slots - 1 */
	struct key_entry *slots; /* owned by who made the table */
};

static inline uint32_t
key_table_hash(const struct key_table *table, uint64_t key)
{
	return (uint32_t)((key * table->multiplier) >> table->shift);
}

/* Find a key from its hash on. Ends, because a table is never full. NULL: not there. */
static inline const struct key_entry *
key_table_find(const struct key_table *table, uint32_t hash, uint64_t key)
{
	const struct key_entry *entry;
	uint32_t slot;

	for (slot = hash;; slot = (slot + 1) & table->mask) {
		entry = &table->slots[slot];
		if (likely(entry->key == key))
			return entry;
		if (entry->key == 0)
			return NULL;
	}
}

/* How many slots a table for n keys has: a power of two, at least 2 * n. */
uint32_t key_table_slots(uint32_t n);

/* Make a table over n_slots zeroed slots; the multiplier is an odd number. */
void key_table_init(struct key_table *table, struct key_entry *slots, uint32_t n_slots,
	uint64_t multiplier);

/* Add a key that is not in the table, which must have room. */
void key_table_insert(struct key_table *table, uint64_t key, uint32_t value);

/* Remove a key that is in the table. Not while another thread looks up. */
void key_table_remove(struct key_table *table, uint64_t key);

#endif /* VMQ_KEY_TABLE_H */
