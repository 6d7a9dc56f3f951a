/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_UNIT_H
#define VMQ_UNIT_H

/**
 * @file
 * What the unit tests share: one real EAL per program, packets, folders, and a
 * census that shows what was left behind. Helpers fail the running test themselves.
 */

/* cmocka wants these before itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>

#include <rte_mbuf.h>

#include <vmq_base.h>

/** lcores of the two workers; the main lcore is 0. All may share one CPU. */
#define UNIT_WORKERS 2
extern const unsigned int unit_lcores[UNIT_WORKERS];

/**
 * Group setup: open the log, start EAL without hugepages, files or PCI devices, and
 * print the seed of unit_random(). VMQ_SEED in the environment chooses the seed.
 */
int unit_start(void **state);

/** Group teardown. */
int unit_stop(void **state);

/** Numbers from the seed that was printed; from 0 without unit_start(). */
uint64_t unit_random(void);

/** @return a number from 0 to n - 1 */
static inline uint32_t
unit_below(uint32_t n)
{
	return (uint32_t)(unit_random() % n);
}

/** What must be the same before and after: see unit_assert_nothing_left(). */
struct unit_census {
	unsigned int memzones;
	unsigned int allocations; /* of rte_malloc */
	uint16_t ports;
	unsigned int files; /* open file descriptors */
};

void unit_census_take(struct unit_census *census);

/** Compare with a census taken before. */
void unit_assert_nothing_left(const struct unit_census *before);

/** A packet pool without caches, so that its count is exact. Free with rte_mempool_free(). */
struct rte_mempool *unit_pool(const char *name, unsigned int buffers, uint16_t buffer_size);

/** Are all buffers at home? */
void unit_assert_pool_full(const struct rte_mempool *pool);

/** A packet of one segment with these bytes. */
struct rte_mbuf *unit_packet(struct rte_mempool *pool, const void *bytes, uint16_t length);

/** A packet of several segments; the lengths end with 0. */
struct rte_mbuf *unit_chain(struct rte_mempool *pool, const uint8_t *bytes,
	const uint16_t *lengths);

/** Are the bytes of a packet, over all its segments, these? */
void unit_assert_bytes(const struct rte_mbuf *packet, const uint8_t *bytes, uint32_t length);

/** Bytes that depend on a number, so that two frames differ. */
void unit_fill(uint8_t *bytes, size_t length, uint32_t number);

/** The folder for the files of tests; unit_stop() removes it with all that is in it. */
const char *unit_folder(void);

/** Path of a file in unit_folder(). Free with free(). */
char *unit_path(const char *name);

/** Read a file whole. Free with free(). */
uint8_t *unit_read_file(const char *path, size_t *size);

/**
 * Wait until a condition holds, polling it, at most half a minute.
 *
 * @return whether it holds.
 */
bool unit_wait(bool (*condition)(void *arg), void *arg);

#endif /* VMQ_UNIT_H */
