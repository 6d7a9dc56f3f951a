/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* The filter set: what it refuses, its ids, and its life beside a plain model. */

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmq_filter.h>

#define MAC(last) {.addr_bytes = {0x52, 0x54, 0, 0, 0, last}}

static void
every_bad_match_is_refused_with_a_reason(void **state)
{
	static const struct {
		struct vmq_filter_match match;
		const char *reason;
	} bad[] = {
		{{.vlan_test = VMQ_VLAN_ANY}, "without a MAC"},
		{{.vlan_test = VMQ_VLAN_UNTAGGED}, "without a MAC"},
		{{.vlan_test = VMQ_VLAN_ID, .vlan_id = 0}, "VLAN id 0"},
		{{.vlan_test = VMQ_VLAN_ID, .vlan_id = 4095}, "VLAN id 4095"},
		{{.vlan_test = VMQ_VLAN_ID, .vlan_id = 0xffff}, "VLAN id 65535"},
		{{.has_mac = true, .mac = MAC(1), .vlan_test = VMQ_VLAN_ID}, "untagged"},
		{{.has_mac = true, .mac = MAC(1), .vlan_test = VMQ_VLAN_ID, .vlan_id = 4096},
			"VLAN id 4096"},
		{{.has_mac = true, .mac = MAC(1), .vlan_test = (enum vmq_vlan_test)3}, "unknown"},
		{{.has_mac = true, .mac = MAC(1), .vlan_test = (enum vmq_vlan_test)-1}, "unknown"},
		{{.has_mac = true}, "00:00:00:00:00:00"},
		{{.has_mac = true, .vlan_test = VMQ_VLAN_ID, .vlan_id = 5}, "00:00:00:00:00:00"},
		{{.has_mac = true, .mac = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}}, "broadcast"},
		{{.has_mac = true, .mac = {{0x01, 0, 0x5e, 0, 0, 1}}}, "multicast"},
		{{.has_mac = true, .mac = {{0x53, 0x54, 0, 0, 0, 1}},
			 .vlan_test = VMQ_VLAN_UNTAGGED},
			"multicast"},
	};
	struct vmq_filter_set *set = vmq_filter_set_create();
	struct vmq_error err;
	uint32_t id = 77;
	unsigned int i;

	(void)state;
	assert_non_null(set);
	for (i = 0; i < RTE_DIM(bad); i++) {
		err.text[0] = '\0';
		assert_int_equal(vmq_filter_match_check(&bad[i].match, &err),
			VMQ_STATUS_INVALID_PARAMETER);
		if (strstr(err.text, bad[i].reason) == NULL)
			fail_msg("%u: \"%s\" does not say \"%s\"", i, err.text, bad[i].reason);
		assert_int_equal(vmq_filter_match_check(&bad[i].match, NULL),
			VMQ_STATUS_INVALID_PARAMETER);
		assert_int_equal(vmq_filter_add(set, 1, &bad[i].match, &id, &err),
			VMQ_STATUS_INVALID_PARAMETER);
	}
	assert_int_equal(id, 77);
	assert_int_equal(vmq_filter_total(set), 0);
	assert_null(vmq_filter_next(set, 0));
	vmq_filter_set_free(set);
}

static void
every_good_match_is_taken(void **state)
{
	static const struct vmq_filter_match good[] = {
		{.has_mac = true, .mac = MAC(1)},
		{.has_mac = true, .mac = MAC(1), .vlan_test = VMQ_VLAN_UNTAGGED},
		{.has_mac = true, .mac = MAC(1), .vlan_test = VMQ_VLAN_ID, .vlan_id = 1},
		{.has_mac = true, .mac = MAC(1), .vlan_test = VMQ_VLAN_ID, .vlan_id = 4094},
		{.vlan_test = VMQ_VLAN_ID, .vlan_id = 1},
		{.vlan_test = VMQ_VLAN_ID, .vlan_id = 4094},
		{.has_mac = true, .mac = {{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff}}},
	};
	struct vmq_filter_set *set = vmq_filter_set_create();
	struct vmq_error err = {.text = "left alone"};
	unsigned int i, j;
	uint32_t id;

	(void)state;
	for (i = 0; i < RTE_DIM(good); i++) {
		assert_int_equal(vmq_filter_match_check(&good[i], &err), VMQ_STATUS_SUCCESS);
		assert_int_equal(vmq_filter_add(set, 1, &good[i], &id, &err), VMQ_STATUS_SUCCESS);
		assert_int_equal(id, i + 1);
		for (j = 0; j < RTE_DIM(good); j++)
			assert_int_equal(vmq_filter_match_equal(&good[i], &good[j]), i == j);
	}
	assert_string_equal(err.text, "left alone");
	for (i = 0; i < RTE_DIM(good); i++)
		assert_int_equal(vmq_filter_find_equal(set, &good[i])->id, i + 1);
	assert_true(vmq_filter_del(set, 2));
	assert_null(vmq_filter_find_equal(set, &good[1]));
	assert_null(vmq_filter_find_equal(set, &(struct vmq_filter_match){.has_mac = false}));
	vmq_filter_set_free(set);
	vmq_filter_set_free(NULL);
}

static void
matches_that_differ_in_unread_fields_are_equal(void **state)
{
	const struct vmq_filter_match any = {.has_mac = true, .mac = MAC(9), .vlan_id = 7},
		same = {.has_mac = true, .mac = MAC(9)};
	const struct vmq_filter_match vlan = {.mac = MAC(9), .vlan_test = VMQ_VLAN_ID,
		.vlan_id = 7}, alone = {.vlan_test = VMQ_VLAN_ID, .vlan_id = 7};

	(void)state;
	assert_true(vmq_filter_match_equal(&any, &same));
	assert_true(vmq_filter_match_equal(&vlan, &alone));
	assert_false(vmq_filter_match_equal(&any, &alone));
}

static void
a_match_is_written_for_people(void **state)
{
	static const struct {
		struct vmq_filter_match match;
		const char *text;
	} cases[] = {
		{{.has_mac = true, .mac = MAC(0xab)}, "52:54:00:00:00:ab any vlan"},
		{{.has_mac = true, .mac = MAC(1), .vlan_test = VMQ_VLAN_UNTAGGED},
			"52:54:00:00:00:01 untagged"},
		{{.has_mac = true, .mac = MAC(1), .vlan_test = VMQ_VLAN_ID, .vlan_id = 4094},
			"52:54:00:00:00:01 vlan 4094"},
		{{.vlan_test = VMQ_VLAN_ID, .vlan_id = 10}, "any mac vlan 10"},
		/* Not a match that a set takes, but it must fit all the same. */
		{{.has_mac = true, .mac = MAC(1), .vlan_test = VMQ_VLAN_ID, .vlan_id = 65535},
			"52:54:00:00:00:01 vlan 65535"},
	};
	char text[VMQ_FILTER_TEXT_SIZE];
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(cases); i++) {
		assert_ptr_equal(vmq_filter_text(&cases[i].match, text), text);
		assert_string_equal(text, cases[i].text);
	}
}

static void
equal_tests_are_refused_with_the_id_of_the_first(void **state)
{
	struct vmq_filter_match match = {.has_mac = true, .mac = MAC(1),
		.vlan_test = VMQ_VLAN_ID, .vlan_id = 5};
	struct vmq_filter_set *set = vmq_filter_set_create();
	struct vmq_filter_match other = match;
	uint32_t first, second, id = 0;
	struct vmq_error err;
	char wanted[32];

	(void)state;
	other.vlan_id = 6;
	assert_int_equal(vmq_filter_add(set, 3, &other, &id, NULL), VMQ_STATUS_SUCCESS);
	assert_int_equal(vmq_filter_add(set, 3, &match, &first, NULL), VMQ_STATUS_SUCCESS);
	snprintf(wanted, sizeof(wanted), "filter %u ", first);
	/* For another queue, and for the same. */
	assert_int_equal(vmq_filter_add(set, 4, &match, &id, &err), VMQ_STATUS_INVALID_PARAMETER);
	assert_non_null(strstr(err.text, wanted));
	assert_int_equal(vmq_filter_add(set, 3, &match, &id, &err), VMQ_STATUS_INVALID_PARAMETER);
	assert_non_null(strstr(err.text, wanted));
	assert_int_equal(vmq_filter_total(set), 2);
	/* Once the first is gone there is room for another, with an id of its own. */
	assert_true(vmq_filter_del(set, first));
	assert_int_equal(vmq_filter_add(set, 4, &match, &second, NULL), VMQ_STATUS_SUCCESS);
	assert_true(second > first);
	vmq_filter_set_free(set);
}

static void
ids_grow_and_are_not_used_again(void **state)
{
	struct vmq_filter_match match = {.has_mac = true, .mac = MAC(1)};
	struct vmq_filter_set *set = vmq_filter_set_create();
	uint32_t id, last = 0;
	unsigned int i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		assert_int_equal(vmq_filter_add(set, 1, &match, &id, NULL), VMQ_STATUS_SUCCESS);
		assert_int_equal(id, last + 1);
		assert_true(vmq_filter_del(set, id));
		assert_false(vmq_filter_del(set, id));
		assert_null(vmq_filter_find(set, id));
		last = id;
	}
	vmq_filter_set_free(set);
}

static void
ids_that_the_set_has_not_are_refused(void **state)
{
	struct vmq_filter_match match = {.has_mac = true, .mac = MAC(1)};
	struct vmq_filter_set *set = vmq_filter_set_create();
	static const uint32_t none[] = {0, 2, 1000, UINT32_MAX};
	unsigned int i;
	uint32_t id;

	(void)state;
	assert_int_equal(vmq_filter_add(set, 1, &match, &id, NULL), VMQ_STATUS_SUCCESS);
	for (i = 0; i < RTE_DIM(none); i++) {
		assert_null(vmq_filter_find(set, none[i]));
		assert_false(vmq_filter_del(set, none[i]));
		assert_false(vmq_filter_move(set, none[i], 2));
	}
	assert_null(vmq_filter_next(set, UINT32_MAX));
	assert_int_equal(vmq_filter_find(set, id)->queue_id, 1);
	vmq_filter_set_free(set);
}

static void
a_moved_filter_keeps_its_id_and_its_tests(void **state)
{
	struct vmq_filter_match match = {.has_mac = true, .mac = MAC(1)};
	struct vmq_filter_set *set = vmq_filter_set_create();
	uint32_t id;

	(void)state;
	assert_int_equal(vmq_filter_add(set, 1, &match, &id, NULL), VMQ_STATUS_SUCCESS);
	assert_true(vmq_filter_move(set, id, 2));
	assert_int_equal(vmq_filter_find(set, id)->queue_id, 2);
	assert_true(vmq_filter_match_equal(&vmq_filter_find(set, id)->match, &match));
	assert_int_equal(vmq_filter_count(set, 1), 0);
	assert_int_equal(vmq_filter_count(set, 2), 1);
	assert_int_equal(vmq_filter_add(set, 1, &match, &id, NULL), VMQ_STATUS_INVALID_PARAMETER);
	vmq_filter_set_free(set);
}

/* The model: filters by id, in an array that is searched from end to end. */
#define MODEL_MAX 4096
#define MODEL_QUEUES 8

struct model {
	struct vmq_filter filters[MODEL_MAX]; /* id 0: gone */
	uint32_t n;
};

static bool
same_match(const struct vmq_filter_match *a, const struct vmq_filter_match *b)
{
	return a->has_mac == b->has_mac && a->vlan_test == b->vlan_test &&
		(!a->has_mac || rte_is_same_ether_addr(&a->mac, &b->mac)) &&
		(a->vlan_test != VMQ_VLAN_ID || a->vlan_id == b->vlan_id);
}

/* Few values, so that equal tests are common. */
static struct vmq_filter_match
random_match(void)
{
	struct vmq_filter_match match = {
		.mac = MAC((uint8_t)unit_below(16)),
		.has_mac = unit_below(8) > 0,
		.vlan_test = (enum vmq_vlan_test)unit_below(3),
		.vlan_id = (uint16_t)(1 + unit_below(64)),
	};

	if (!match.has_mac)
		match.vlan_test = VMQ_VLAN_ID;
	return match;
}

static uint32_t
model_add(struct model *model, struct vmq_filter_set *set)
{
	struct vmq_filter_match match = random_match();
	uint16_t queue_id = (uint16_t)unit_below(MODEL_QUEUES);
	uint32_t i, id, equal = 0;
	struct vmq_error err;
	char wanted[32];

	for (i = 0; i < model->n; i++)
		if (model->filters[i].id != 0 && same_match(&model->filters[i].match, &match))
			equal = model->filters[i].id;
	if (equal != 0) {
		assert_int_equal(vmq_filter_add(set, queue_id, &match, &id, &err),
			VMQ_STATUS_INVALID_PARAMETER);
		snprintf(wanted, sizeof(wanted), "filter %u ", equal);
		assert_non_null(strstr(err.text, wanted));
		return 0;
	}
	assert_int_equal(vmq_filter_add(set, queue_id, &match, &id, &err), VMQ_STATUS_SUCCESS);
	assert_int_equal(id, model->n + 1);
	model->filters[model->n++] = (struct vmq_filter){id, queue_id, match};
	return id;
}

static void
assert_same_as_model(const struct model *model, const struct vmq_filter_set *set)
{
	uint32_t counts[MODEL_QUEUES] = {0}, total = 0, after = 0, i;
	const struct vmq_filter *filter;

	for (i = 0; i < model->n; i++) {
		const struct vmq_filter *wanted = &model->filters[i];

		if (wanted->id == 0)
			continue;
		filter = vmq_filter_next(set, after);
		assert_non_null(filter);
		assert_int_equal(filter->id, wanted->id);
		assert_int_equal(filter->queue_id, wanted->queue_id);
		assert_true(same_match(&filter->match, &wanted->match));
		assert_ptr_equal(vmq_filter_find(set, wanted->id), filter);
		after = filter->id;
		counts[wanted->queue_id]++;
		total++;
	}
	assert_null(vmq_filter_next(set, after));
	assert_int_equal(vmq_filter_total(set), total);
	for (i = 0; i < MODEL_QUEUES; i++)
		assert_int_equal(vmq_filter_count(set, (uint16_t)i), counts[i]);
}

static void
a_set_lives_like_its_model(void **state)
{
	struct model *model = calloc(1, sizeof(*model));
	struct vmq_filter_set *set = vmq_filter_set_create();
	struct vmq_filter *filter;
	unsigned int step, fill;
	uint16_t queue_id;

	(void)state;
	for (step = 0; step < 20000 && model->n < MODEL_MAX; step++) {
		/* Now it grows, now it shrinks. */
		fill = step / 1000 % 2 == 0 ? 6 : 3;
		filter = model->n == 0 ? NULL : &model->filters[unit_below(model->n)];
		if (filter == NULL || unit_below(10) < fill) {
			model_add(model, set);
		} else if (unit_below(3) == 0) {
			queue_id = (uint16_t)unit_below(MODEL_QUEUES);
			assert_int_equal(vmq_filter_move(set, (uint32_t)(filter - model->filters) + 1,
				queue_id), filter->id != 0);
			filter->queue_id = queue_id;
		} else {
			assert_int_equal(vmq_filter_del(set, (uint32_t)(filter - model->filters) + 1),
				filter->id != 0);
			filter->id = 0;
		}
		if (step % 97 == 0)
			assert_same_as_model(model, set);
	}
	assert_true(model->n > 1000);
	assert_same_as_model(model, set);
	vmq_filter_set_free(set);
	free(model);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_bad_match_is_refused_with_a_reason),
		cmocka_unit_test(every_good_match_is_taken),
		cmocka_unit_test(matches_that_differ_in_unread_fields_are_equal),
		cmocka_unit_test(a_match_is_written_for_people),
		cmocka_unit_test(equal_tests_are_refused_with_the_id_of_the_first),
		cmocka_unit_test(ids_grow_and_are_not_used_again),
		cmocka_unit_test(ids_that_the_set_has_not_are_refused),
		cmocka_unit_test(a_moved_filter_keeps_its_id_and_its_tests),
		cmocka_unit_test(a_set_lives_like_its_model),
	};

	return cmocka_run_group_tests_name("filter", tests, unit_start, unit_stop);
}
