/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include "key_table.h"

#define SLOTS_MIN 64

uint32_t
key_table_slots(uint32_t n)
{
	return RTE_MAX(rte_align32pow2(2 * n), (uint32_t)SLOTS_MIN);
}

void
key_table_init(struct key_table *table, struct key_entry *slots, uint32_t n_slots,
	uint64_t multiplier)
{
	table->multiplier = multiplier;
	table->shift = 64 - rte_bsf32(n_slots);
	table->mask = n_slots - 1;
	table->slots = slots;
}

void
key_table_insert(struct key_table *table, uint64_t key, uint32_t value)
{
	uint32_t slot = key_table_hash(table, key);

	while (table->slots[slot].key != 0)
		slot = (slot + 1) & table->mask;
	table->slots[slot].key = key;
	table->slots[slot].value = value;
}

void
key_table_remove(struct key_table *table, uint64_t key)
{
	uint32_t hole, slot, home;

	for (hole = key_table_hash(table, key); table->slots[hole].key != key;)
		hole = (hole + 1) & table->mask;

	/*
	 * Close the hole: what comes after it in the same run moves into it, unless
	 * it would then lie before its own home slot, where no lookup starts.
	 */
	for (slot = (hole + 1) & table->mask; table->slots[slot].key != 0;
		slot = (slot + 1) & table->mask) {
		home = key_table_hash(table, table->slots[slot].key);
		if (((slot - home) & table->mask) < ((slot - hole) & table->mask))
			continue;
		table->slots[hole] = table->slots[slot];
		hole = slot;
	}
	table->slots[hole].key = 0;
}
