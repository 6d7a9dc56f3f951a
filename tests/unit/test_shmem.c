/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include "unit.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <rte_memzone.h>

#include "failing_provider.h"

#define KIB ((size_t)1024)

static const struct vmq_shmem_params some = {
	.queue_id = 7,
	.length_bytes = 64 * KIB,
	.usage = VMQ_SHMEM_RECEIVE,
	.preferred_node = SOCKET_ID_ANY,
};

static struct vmq_shmem *
make(struct failing *failing, size_t limit, struct vmq_jobs *jobs)
{
	const struct vmq_shmem_config config = {
		.name = "an adapter with quite a long name",
		.provider = failing != NULL ? &failing_provider : NULL,
		.provider_arg = failing,
		.limit_bytes = limit,
		.jobs = jobs,
	};
	struct vmq_shmem *shmem = vmq_shmem_create(&config);

	assert_non_null(shmem);
	return shmem;
}

static void
a_block_has_address_ranges_and_handles(void **state)
{
	struct vmq_shmem *shmem = make(NULL, 0, NULL);
	struct vmq_shmem_block block;
	size_t covered = 0;
	uint32_t i;

	(void)state;
	assert_int_equal(vmq_shmem_allocate(shmem, &some, &block, NULL), VMQ_STATUS_SUCCESS);
	assert_non_null(block.addr);
	assert_true(block.length_bytes >= some.length_bytes);
	assert_int_equal((uintptr_t)block.addr % vmq_shmem_alignment(shmem), 0);
	for (i = 0; i < block.n_sg; i++)
		covered += block.sg[i].length_bytes;
	assert_int_equal(covered, block.length_bytes);
	assert_true(block.shared_memory_handle != 0);
	memset(block.addr, 0xa5, block.length_bytes);
	assert_int_equal(vmq_shmem_bytes(shmem), block.length_bytes);
	assert_int_equal(vmq_shmem_queue_bytes(shmem, 7), block.length_bytes);
	assert_int_equal(vmq_shmem_queue_bytes(shmem, 8), 0);
	assert_int_equal(vmq_shmem_free(shmem, &block, NULL), VMQ_STATUS_SUCCESS);
	assert_null(block.addr);
	assert_int_equal(vmq_shmem_bytes(shmem), 0);
	assert_int_equal(vmq_shmem_destroy(shmem), 0);
}

static void
contiguous_blocks_have_one_range(void **state)
{
	struct vmq_shmem *shmem = make(NULL, 0, NULL);
	struct vmq_shmem_params params = some;
	struct vmq_shmem_block block;

	(void)state;
	params.flags = VMQ_SHMEM_F_CONTIGUOUS;
	assert_int_equal(vmq_shmem_allocate(shmem, &params, &block, NULL), VMQ_STATUS_SUCCESS);
	assert_int_equal(block.n_sg, 1);
	assert_int_equal(vmq_shmem_free(shmem, &block, NULL), VMQ_STATUS_SUCCESS);
	assert_int_equal(vmq_shmem_destroy(shmem), 0);
}

static void
bad_requests_are_refused_and_take_nothing(void **state)
{
	struct failing failing = {0};
	struct vmq_shmem *shmem = make(&failing, 0, NULL);
	struct vmq_shmem_params params;
	struct vmq_shmem_block block;
	struct vmq_error err;

	(void)state;
	params = some;
	params.length_bytes = 0;
	assert_int_equal(vmq_shmem_allocate(shmem, &params, &block, &err),
		VMQ_STATUS_INVALID_PARAMETER);
	params = some;
	params.usage = VMQ_SHMEM_USAGE_COUNT;
	assert_int_equal(vmq_shmem_allocate(shmem, &params, &block, &err),
		VMQ_STATUS_INVALID_PARAMETER);
	params = some;
	params.flags = UINT32_C(1) << 31;
	assert_int_equal(vmq_shmem_allocate(shmem, &params, &block, &err),
		VMQ_STATUS_INVALID_PARAMETER);
	assert_null(block.addr);
	assert_int_equal(failing.calls, 0);
	failing.fail_at = 1;
	assert_int_equal(vmq_shmem_allocate(shmem, &some, &block, &err), VMQ_STATUS_RESOURCES);
	assert_non_null(strstr(err.text, "65536 bytes"));
	failing.fail_at = 2;
	failing.error = -EIO;
	assert_int_equal(vmq_shmem_allocate(shmem, &some, &block, &err), VMQ_STATUS_FAILURE);
	assert_int_equal(vmq_shmem_bytes(shmem), 0);
	assert_int_equal(failing.out, 0);
	assert_int_equal(vmq_shmem_destroy(shmem), 0);
}

static void
a_length_of_nearly_all_addresses_is_refused(void **state)
{
	struct vmq_shmem *shmem = make(NULL, 1 << 20, NULL);
	struct vmq_shmem_params params = some;
	struct vmq_shmem_block block;

	(void)state;
	params.length_bytes = SIZE_MAX;
	assert_int_equal(vmq_shmem_allocate(shmem, &params, &block, NULL), VMQ_STATUS_RESOURCES);
	params.length_bytes = SIZE_MAX - 4095;
	assert_int_equal(vmq_shmem_allocate(shmem, &params, &block, NULL), VMQ_STATUS_RESOURCES);
	assert_int_equal(vmq_shmem_bytes(shmem), 0);
	assert_int_equal(vmq_shmem_destroy(shmem), 0);
}

static void
only_the_whole_block_is_freed_and_only_once(void **state)
{
	struct vmq_shmem *shmem = make(NULL, 0, NULL), *other = make(NULL, 0, NULL);
	struct vmq_shmem_block block, copy;
	struct vmq_error err;

	(void)state;
	assert_int_equal(vmq_shmem_allocate(shmem, &some, &block, NULL), VMQ_STATUS_SUCCESS);
	copy = block;
	copy.length_bytes /= 2;
	assert_int_equal(vmq_shmem_free(shmem, &copy, &err), VMQ_STATUS_INVALID_PARAMETER);
	copy = block;
	copy.addr = (char *)copy.addr + 64;
	assert_int_equal(vmq_shmem_free(shmem, &copy, &err), VMQ_STATUS_INVALID_PARAMETER);
	copy = block;
	assert_int_equal(vmq_shmem_free(other, &copy, &err), VMQ_STATUS_INVALID_PARAMETER);
	copy.allocation_handle++;
	assert_int_equal(vmq_shmem_free(shmem, &copy, &err), VMQ_STATUS_INVALID_PARAMETER);
	copy = block;
	assert_int_equal(vmq_shmem_free(shmem, &copy, &err), VMQ_STATUS_SUCCESS);
	assert_int_equal(vmq_shmem_free(shmem, &block, &err), VMQ_STATUS_INVALID_PARAMETER);
	assert_int_equal(vmq_shmem_destroy(shmem), 0);
	assert_int_equal(vmq_shmem_destroy(other), 0);
}

static void
limits_hold_for_a_queue_and_for_the_adapter(void **state)
{
	struct vmq_shmem *shmem = make(NULL, 200 * KIB, NULL);
	struct vmq_shmem_params params = some;
	struct vmq_shmem_block a, b, c, d;
	struct vmq_error err;

	(void)state;
	assert_int_equal(vmq_shmem_queue_limit(shmem, 7, 100 * KIB), VMQ_STATUS_SUCCESS);
	assert_int_equal(vmq_shmem_allocate(shmem, &params, &a, &err), VMQ_STATUS_SUCCESS);
	assert_int_equal(vmq_shmem_allocate(shmem, &params, &b, &err), VMQ_STATUS_RESOURCES);
	assert_non_null(strstr(err.text, "queue 7's limit"));
	params.queue_id = 65535;
	assert_int_equal(vmq_shmem_allocate(shmem, &params, &b, &err), VMQ_STATUS_SUCCESS);
	assert_int_equal(vmq_shmem_allocate(shmem, &params, &c, &err), VMQ_STATUS_SUCCESS);
	assert_int_equal(vmq_shmem_allocate(shmem, &params, &d, &err), VMQ_STATUS_RESOURCES);
	assert_non_null(strstr(err.text, "limit"));
	assert_int_equal(vmq_shmem_free(shmem, &a, &err), VMQ_STATUS_SUCCESS);
	assert_int_equal(vmq_shmem_allocate(shmem, &params, &d, &err), VMQ_STATUS_SUCCESS);
	assert_int_equal(vmq_shmem_free(shmem, &b, &err), VMQ_STATUS_SUCCESS);
	assert_int_equal(vmq_shmem_free(shmem, &c, &err), VMQ_STATUS_SUCCESS);
	assert_int_equal(vmq_shmem_free(shmem, &d, &err), VMQ_STATUS_SUCCESS);
	assert_int_equal(vmq_shmem_bytes(shmem), 0);
	assert_int_equal(vmq_shmem_destroy(shmem), 0);
}

static void
blocks_that_nobody_freed_are_counted_as_leaks(void **state)
{
	struct vmq_shmem *shmem = make(NULL, 0, NULL);
	struct vmq_shmem_block a, b;
	struct rte_memzone *zone;
	char name[RTE_MEMZONE_NAMESIZE];
	uint64_t handle;

	(void)state;
	assert_int_equal(vmq_shmem_allocate(shmem, &some, &a, NULL), VMQ_STATUS_SUCCESS);
	assert_int_equal(vmq_shmem_allocate(shmem, &some, &b, NULL), VMQ_STATUS_SUCCESS);
	assert_int_equal(vmq_shmem_free(shmem, &a, NULL), VMQ_STATUS_SUCCESS);
	handle = b.allocation_handle;
	assert_int_equal(vmq_shmem_destroy(shmem), 1);
	/* It stays: somebody may still write there. The test gives it back itself. */
	snprintf(name, sizeof(name), "vmq_an adapt_q7_%" PRIu64, handle);
	zone = (struct rte_memzone *)(uintptr_t)rte_memzone_lookup(name);
	assert_non_null(zone);
	rte_memzone_free(zone);
}

struct answer {
	unsigned int calls;
	struct vmq_shmem_block block;
	enum vmq_status status;
	pthread_t thread;
};

static void
on_answer(void *arg, const struct vmq_shmem_block *block, enum vmq_status status,
	const struct vmq_error *err)
{
	struct answer *answer = arg;

	(void)err;
	answer->calls++;
	answer->block = *block;
	answer->status = status;
	answer->thread = pthread_self();
}

static void
asynchronous_requests_answer_on_the_control_thread(void **state)
{
	struct vmq_jobs *jobs = vmq_jobs_create();
	struct failing failing = {.fail_at = 2};
	struct vmq_shmem *shmem = make(&failing, 0, jobs);
	struct answer good = {0}, bad = {0};
	struct vmq_error err;

	(void)state;
	assert_int_equal(vmq_shmem_allocate_async(shmem, &some, on_answer, &good, &err),
		VMQ_STATUS_PENDING);
	assert_int_equal(vmq_shmem_allocate_async(shmem, &some, on_answer, &bad, &err),
		VMQ_STATUS_PENDING);
	assert_int_equal(good.calls, 0);
	assert_int_equal(vmq_jobs_finish(jobs, true), 0);
	assert_int_equal(good.calls, 1);
	assert_int_equal(good.status, VMQ_STATUS_SUCCESS);
	assert_true(pthread_equal(good.thread, pthread_self()));
	assert_int_equal(bad.calls, 1);
	assert_int_equal(bad.status, VMQ_STATUS_RESOURCES);
	assert_null(bad.block.addr);
	assert_int_equal(vmq_shmem_free(shmem, &good.block, &err), VMQ_STATUS_SUCCESS);
	assert_int_equal(vmq_shmem_destroy(shmem), 0);
	assert_int_equal(failing.out, 0);
	vmq_jobs_destroy(jobs);
}

static void
without_a_helper_thread_nothing_is_asynchronous(void **state)
{
	struct vmq_shmem *shmem = make(NULL, 0, NULL);
	struct answer answer = {0};

	(void)state;
	assert_int_equal(vmq_shmem_allocate_async(shmem, &some, on_answer, &answer, NULL),
		VMQ_STATUS_NOT_SUPPORTED);
	assert_int_equal(answer.calls, 0);
	assert_int_equal(vmq_shmem_destroy(shmem), 0);
}

static struct unit_census census;

static int
before(void **state)
{
	(void)state;
	unit_census_take(&census);
	return 0;
}

static int
after(void **state)
{
	(void)state;
	unit_assert_nothing_left(&census);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, before, after)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_block_has_address_ranges_and_handles),
		TEST(contiguous_blocks_have_one_range),
		TEST(bad_requests_are_refused_and_take_nothing),
		TEST(a_length_of_nearly_all_addresses_is_refused),
		TEST(only_the_whole_block_is_freed_and_only_once),
		TEST(limits_hold_for_a_queue_and_for_the_adapter),
		TEST(blocks_that_nobody_freed_are_counted_as_leaks),
		TEST(asynchronous_requests_answer_on_the_control_thread),
		TEST(without_a_helper_thread_nothing_is_asynchronous),
	};

	return cmocka_run_group_tests_name("shmem", tests, unit_start, unit_stop);
}
