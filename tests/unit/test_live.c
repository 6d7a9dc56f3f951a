/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* A document against what runs: plan, apply, save, on a real adapter. */

#include "oid_bed.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "apply.h"
#include "save.h"
#include "state.h"

#define HEAD                                                                                       \
	"{\"eal\": {\"main_core\": 0, \"workers\": [0, 1], \"hugepages\": false},"                 \
	" \"adapters\": [{\"name\": \"a0\", \"device\": \"net_null0\""
#define MEMORY "\"memory\": {\"buffers\": 64, \"limit\": 128, \"buffer_size\": 512}"
#define SINK "\"backend\": {\"type\": \"sink\"}"
#define QUEUE(name, more) "{\"name\": \"" name "\", \"vm\": \"vm\", " MEMORY ", " more "}"
#define FILTERS(list) "\"filters\": [" list "]"
#define MAC(n) "{\"mac\": \"02:00:00:00:00:" n "\"}"
#define MAC_VLAN(n, vlan) "{\"mac\": \"02:00:00:00:00:" n "\", \"vlan\": " vlan "}"
#define DOCUMENT(queues) HEAD "}], \"queues\": [" queues "]}"

struct live_bed {
	struct oid_bed *bed;
	struct system system;
	struct document *doc;
	json_t *source;
	/* The end of the last apply. */
	struct apply *apply;
	bool over;
	int ret;
	struct vmq_error err;
	size_t waiting;
	/* What is made to fail. */
	size_t fail_step;
	bool fail_undo;
	unsigned int failed;
};

static struct document *
parse(const char *text)
{
	struct doc_findings findings;
	struct document *doc = document_parse(text, strlen(text), &findings);

	doc_findings_print(&findings, "test", stderr);
	doc_findings_free(&findings);
	assert_non_null(doc);
	return doc;
}

static struct live_bed *
live_make(void)
{
	struct live_bed *live = calloc(1, sizeof(*live));

	assert_non_null(live);
	live->bed = oid_bed_make(0);
	live->doc = parse(DOCUMENT(""));
	live->source = json_incref(live->doc->source);
	live->system = (struct system){
		.doc = live->doc,
		.host = live->bed->host,
		.adapters = &live->bed->adapter,
		.requests = &live->bed->oid,
		.owners = &live->bed->owner,
		.administrators = &live->bed->admin,
		.n_adapters = 1,
	};
	live->fail_step = SIZE_MAX;
	return live;
}

static void
live_free(struct live_bed *live)
{
	oid_bed_free(live->bed);
	json_decref(live->source);
	document_free(live->doc);
	free(live);
}

static void
on_applied(void *arg, int ret, const struct vmq_error *err, size_t waiting)
{
	struct live_bed *live = arg;

	live->over = true;
	live->ret = ret;
	live->err = *err;
	live->waiting = waiting;
}

static bool
is_over(void *arg)
{
	struct live_bed *live = arg;

	vmq_host_progress(live->bed->host);
	return !apply_progress(live->apply);
}

static bool
fails(void *arg, size_t step, bool undo)
{
	struct live_bed *live = arg;

	if (step != live->fail_step || undo != live->fail_undo)
		return false;
	live->failed++;
	return true;
}

static void
make_plan(struct live_bed *live, const char *text, struct plan *plan)
{
	struct doc_findings findings;
	struct vmq_error err = {.text = ""};

	if (plan_make(&live->system, live->source, parse(text), plan, &findings, &err) < 0) {
		doc_findings_print(&findings, "plan", stderr);
		fail_msg("%s", err.text);
	}
	doc_findings_free(&findings);
}

/* "allocate,complete,set_filter": what would be done. */
static void
assert_plan(struct live_bed *live, const char *text, const char *steps)
{
	char line[1024] = "";
	struct plan plan;
	json_t *list;
	size_t i;

	make_plan(live, text, &plan);
	for (i = 0; i < plan.n_steps; i++)
		snprintf(line + strlen(line), sizeof(line) - strlen(line), "%s%s",
			i > 0 ? " " : "", plan_kind_name(plan.steps[i].kind));
	assert_string_equal(line, steps);
	list = plan_json(&plan);
	assert_int_equal(json_array_size(list), plan.n_steps);
	json_decref(list);
	plan_free(&plan);
}

/* Apply; returns how many steps it had. */
static size_t
apply(struct live_bed *live, const char *text)
{
	struct plan plan;
	unsigned int tries;
	size_t n_steps;
	json_t *source;

	make_plan(live, text, &plan);
	n_steps = plan.n_steps;
	source = json_incref(plan.doc->source);
	live->over = false;
	live->failed = 0;
	live->apply = apply_start(&plan, on_applied, live);
	assert_non_null(live->apply);
	apply_set_fault(live->apply, fails, live);
	/* Each step may wait for workers, which share their CPU with much else. */
	for (tries = 0; tries < 4 && !live->over; tries++)
		unit_wait(is_over, live);
	assert_true(live->over);
	apply_free(live->apply);
	live->apply = NULL;
	if (live->ret == 0) {
		json_decref(live->source);
		live->source = source;
	} else {
		json_decref(source);
	}
	return n_steps;
}

static void
apply_well(struct live_bed *live, const char *text)
{
	apply(live, text);
	if (live->ret != 0)
		fail_msg("%s", live->err.text);
	assert_int_equal(live->waiting, 0);
}

static char *
save(struct live_bed *live, bool all)
{
	struct vmq_error err = {.text = ""};
	json_t *document = save_document(&live->system, live->source, all, NULL, &err);
	char *text;

	if (document == NULL)
		fail_msg("%s", err.text);
	text = save_text(document);
	assert_non_null(text);
	json_decref(document);
	return text;
}

/* What is saved, applied, changes nothing, and saved again is the same. */
static void
assert_identity(struct live_bed *live)
{
	char *first = save(live, false), *second;

	assert_plan(live, first, "");
	apply_well(live, first);
	second = save(live, false);
	assert_string_equal(first, second);
	free(first);
	free(second);
	first = save(live, true);
	assert_plan(live, first, "");
	free(first);
}

static uint16_t
queue_id(struct live_bed *live, const char *name)
{
	struct vmq_queue_info info;
	int id;

	for (id = 0; (id = vmq_queue_next(live->bed->adapter, id)) >= 0;) {
		assert_true(vmq_queue_info_get(live->bed->adapter, (uint16_t)id, &info));
		if (strcmp(info.name, name) == 0)
			return (uint16_t)id;
	}
	fail_msg("there is no queue %s", name);
	return 0;
}

#define A_AND_B QUEUE("a", FILTERS(MAC("01") "," MAC_VLAN("02", "7")) ", " SINK) "," \
	QUEUE("b", "\"keep_tags\": true, \"affinity\": [1], " SINK)

static void
a_document_is_applied_and_saved(void **state)
{
	struct live_bed *live = live_make();
	struct vmq_queue_info info;

	(void)state;
	assert_identity(live);
	assert_plan(live, DOCUMENT(A_AND_B),
		"allocate allocate complete set_filter set_filter");
	apply_well(live, DOCUMENT(A_AND_B));
	assert_identity(live);
	assert_true(vmq_queue_info_get(live->bed->adapter, queue_id(live, "a"), &info));
	assert_int_equal(info.state, VMQ_QUEUE_RUNNING);
	assert_int_equal(info.n_filters, 2);
	assert_true(vmq_queue_info_get(live->bed->adapter, queue_id(live, "b"), &info));
	assert_int_equal(info.state, VMQ_QUEUE_PAUSED);
	assert_int_equal(info.worker, 1);
	assert_true(info.keep_tags);

	/* Filters on the default queue, and all queues gone. */
	apply_well(live, HEAD ", \"default_queue\": {" FILTERS(MAC("01")) "}}]}");
	assert_int_equal(vmq_queue_next(live->bed->adapter, 0), -1);
	assert_identity(live);
	apply_well(live, DOCUMENT(""));
	assert_identity(live);
	live_free(live);
}

#define OTHER_C "{\"name\": \"c\", \"vm\": \"other\", \"memory\": {\"buffers\": 64, " \
	"\"limit\": 128, \"buffer_size\": 512, \"min_buffers\": 5, " \
	"\"growth\": {\"low\": 7, \"high\": 90, \"step\": 16}}, " \
	"\"priority\": 9, \"keep_tags\": true, \"anti_spoof\": false, " \
	"\"rate\": {\"from_vm\": {\"mbps\": 11}}, " FILTERS(MAC("03")) ", " SINK "}"

static void
what_can_be_changed_live_is(void **state)
{
	struct live_bed *live = live_make();
	struct vmq_queue_params params;
	struct vmq_queue_info info;
	uint16_t id;

	(void)state;
	apply_well(live, DOCUMENT(A_AND_B));
	id = queue_id(live, "a");
	/* Another core, and another name: the queue stays. */
	assert_plan(live, DOCUMENT(QUEUE("c", FILTERS(MAC_VLAN("02", "7") "," MAC("01")) ", " SINK) ","
		QUEUE("b", "\"keep_tags\": true, \"affinity\": [0, 1], " SINK)), "change change");
	apply_well(live, DOCUMENT(QUEUE("c", FILTERS(MAC_VLAN("02", "7") "," MAC("01")) ", " SINK) ","
		QUEUE("b", "\"keep_tags\": true, \"affinity\": [0, 1], " SINK)));
	assert_int_equal(queue_id(live, "c"), id);
	assert_identity(live);
	/* A filter from one to the other, one away, one more. */
	assert_plan(live, DOCUMENT(QUEUE("c", FILTERS(MAC("03")) ", " SINK) ","
		QUEUE("b", FILTERS(MAC("01")) ", \"keep_tags\": true, " SINK)),
		"clear_filter move_filter set_filter");
	apply_well(live, DOCUMENT(QUEUE("c", FILTERS(MAC("03")) ", " SINK) ","
		QUEUE("b", FILTERS(MAC("01")) ", \"keep_tags\": true, " SINK)));
	assert_int_equal(queue_id(live, "c"), id);
	assert_identity(live);
	/* What is a record only, or what the workers' view says. */
	assert_plan(live, DOCUMENT(OTHER_C), "change clear_filter free wait");
	apply_well(live, DOCUMENT(OTHER_C));
	assert_int_equal(queue_id(live, "c"), id);
	assert_true(vmq_queue_info_get(live->bed->adapter, id, &info));
	assert_true(vmq_queue_params_get(live->bed->adapter, id, &params));
	assert_true(info.keep_tags);
	assert_string_equal(info.vm, "other");
	assert_int_equal(info.priority, 9);
	assert_int_equal(params.memory.min_buffers, 5);
	assert_int_equal(params.memory.demand.low, 7);
	assert_int_equal(info.rate_from_vm.mbps, 11);
	assert_false(info.anti_spoof);
	assert_identity(live);
	apply_well(live, DOCUMENT(A_AND_B));
	assert_identity(live);
	live_free(live);
}

static void
what_cannot_be_changed_is_made_anew(void **state)
{
	struct live_bed *live = live_make();
	char *file = unit_path("anew.pcap"), document[1024];
	uint16_t id;

	(void)state;
	apply_well(live, DOCUMENT(A_AND_B));
	id = queue_id(live, "a");
	/* The new one is there before the old one goes: its filters move. */
	assert_plan(live, DOCUMENT(QUEUE("a", FILTERS(MAC("01") "," MAC_VLAN("02", "7"))
		", \"receive_only\": true, " SINK)),
		"allocate complete move_filter move_filter free free wait");
	snprintf(document, sizeof(document), DOCUMENT(QUEUE("a", FILTERS(MAC("01"))
		", \"backend\": {\"type\": \"pcap\", \"file\": \"%s\"}")), file);
	apply_well(live, document);
	assert_int_not_equal(queue_id(live, "a"), id);
	assert_identity(live);
	/* A file that both want: the old one has to go first. */
	snprintf(document, sizeof(document), DOCUMENT(QUEUE("a", "\"receive_only\": true, "
		FILTERS(MAC("01")) ", \"backend\": {\"type\": \"pcap\", \"file\": \"%s\"}")), file);
	assert_plan(live, document, "clear_filter free wait allocate complete set_filter");
	apply_well(live, document);
	assert_identity(live);
	/* The same from one queue to another. */
	snprintf(document, sizeof(document), DOCUMENT(QUEUE("z", "\"receive_only\": false, "
		FILTERS(MAC("05")) ", \"backend\": {\"type\": \"pcap\", \"file\": \"%s\"}")), file);
	apply_well(live, document);
	assert_identity(live);
	free(file);
	live_free(live);
}

static void
a_restart_is_needed_for_the_rest(void **state)
{
	struct live_bed *live = live_make();
	struct plan plan;

	(void)state;
	make_plan(live, "{\"eal\": {\"main_core\": 1, \"workers\": [0, 1], \"hugepages\": false},"
		"\"adapters\": [{\"name\": \"a0\", \"device\": \"net_null0\", \"mtu\": 9000},"
		" {\"name\": \"a1\", \"device\": \"net_null1\"}], \"queues\": ["
		"{\"name\": \"x\", \"vm\": \"x\", \"adapter\": \"a1\", " SINK "}]}", &plan);
	assert_int_equal(plan.n_steps, 3);
	assert_int_equal(plan.n_restart, 3);
	assert_string_equal(plan.steps[0].pointer, "/eal/main_core");
	assert_string_equal(plan.steps[1].pointer, "/adapters/0/mtu");
	assert_string_equal(plan.steps[2].pointer, "/adapters/1");
	plan_free(&plan);
	/* Defaults written out are no change. */
	assert_plan(live, "{\"eal\": {\"main_core\": 0, \"workers\": [0, 1], \"hugepages\": false},"
		"\"adapters\": [{\"name\": \"a0\", \"device\": \"net_null0\", \"mtu\": 1500}]}", "");
	live_free(live);
}

static void
what_others_have_is_left_alone(void **state)
{
	struct live_bed *live = live_make();
	struct oid_bed *bed = live->bed;
	const uint16_t others = oid_allocate(bed, bed->other);
	struct doc_findings findings;
	struct vmq_error err;
	struct plan plan;
	char *text;

	(void)state;
	oid_set(bed, bed->other, others, 9, 0);
	assert_int_equal(oid_complete_one(bed, bed->other, others), VMQ_STATUS_SUCCESS);
	oid_set(bed, bed->other, VMQ_DEFAULT_QUEUE_ID, 10, 0);
	assert_identity(live);
	apply_well(live, DOCUMENT(A_AND_B));
	assert_identity(live);
	apply_well(live, DOCUMENT(""));
	assert_int_equal(oid_state(bed, others), VMQ_QUEUE_RUNNING);

	/* Its name, and its filters. */
	assert_true(plan_make(&live->system, live->source,
		parse(DOCUMENT(QUEUE("q", SINK) "," QUEUE("f", FILTERS(MAC("09")) ", " SINK))),
		&plan, &findings, &err) < 0);
	assert_int_equal(findings.count, 2);
	assert_string_equal(findings.list[0].pointer, "/queues/0/name");
	assert_string_equal(findings.list[1].pointer, "/queues/1/filters/0");
	assert_non_null(strstr(findings.list[1].message, "owner other"));
	doc_findings_free(&findings);

	/* What is saved of all is what there is. */
	text = save(live, true);
	assert_non_null(strstr(text, "\"name\": \"q\""));
	assert_plan(live, text, "");
	free(text);
	text = save(live, false);
	assert_null(strstr(text, "\"name\": \"q\""));
	free(text);
	live_free(live);
}

/* From every kind of step to every other. */
static void
every_step_that_fails_is_rolled_back(void **state)
{
	struct live_bed *live = live_make();
	char *p1 = unit_path("p1.pcap"), *p2 = unit_path("p2.pcap"), *before, *after;
	char from[2048], to[2048];
	size_t n_steps, i;

	(void)state;
	snprintf(from, sizeof(from), HEAD ", \"default_queue\": {" FILTERS(MAC("77")) "}}], \"queues\": ["
		QUEUE("stays", "\"affinity\": [0], " FILTERS(MAC("01") "," MAC("02")) ", " SINK) ","
		QUEUE("anew", FILTERS(MAC("03") "," MAC("04")) ", " SINK) ","
		QUEUE("goes", FILTERS(MAC("05") "," MAC("06")) ", " SINK) ","
		QUEUE("first", FILTERS(MAC("07") "," MAC("08"))
			", \"backend\": {\"type\": \"pcap\", \"file\": \"%s\"}") ","
		QUEUE("gives", FILTERS(MAC("09"))
			", \"backend\": {\"type\": \"pcap\", \"file\": \"%s\"}") "]}", p1, p2);
	snprintf(to, sizeof(to), HEAD ", \"default_queue\": {" FILTERS(MAC("01")) "}}], \"queues\": ["
		QUEUE("stays", "\"affinity\": [1], \"keep_tags\": true, \"priority\": 3, "
			"\"anti_spoof\": false, " FILTERS(MAC("77") "," MAC("05")) ", " SINK) ","
		QUEUE("anew", "\"receive_only\": true, " FILTERS(MAC("03") "," MAC("0a")) ", " SINK) ","
		QUEUE("new", FILTERS(MAC("0b") "," MAC("08")) ", " SINK) ","
		QUEUE("first", "\"receive_only\": true, " FILTERS(MAC("07") "," MAC("02"))
			", \"backend\": {\"type\": \"pcap\", \"file\": \"%s\"}") ","
		QUEUE("takes", FILTERS(MAC("09"))
			", \"backend\": {\"type\": \"pcap\", \"file\": \"%s\"}") "]}", p1, p2);
	apply_well(live, from);
	assert_identity(live);
	n_steps = 1;
	for (i = 0; i < n_steps; i++) {
		before = save(live, true);
		live->fail_step = i;
		n_steps = apply(live, to);
		assert_true(n_steps > 20);
		assert_int_equal(live->failed, 1);
		assert_true(live->ret < 0);
		if (strstr(live->err.text, "it was made to fail; all was rolled back") == NULL)
			fail_msg("step %zu: %s", i, live->err.text);
		live->fail_step = SIZE_MAX;
		after = save(live, true);
		/* Queues that were made again may have other ids, and so another order. */
		if (strcmp(before, after) != 0)
			assert_int_equal(strlen(before), strlen(after));
		assert_plan(live, before, "");
		free(before);
		free(after);
	}
	apply_well(live, to);
	assert_identity(live);
	apply_well(live, from);
	assert_identity(live);
	free(p1);
	free(p2);
	live_free(live);
}

/* What others have: queues of each kind, and filters of the default queue. */
static void
make_others(struct live_bed *live)
{
	struct oid_bed *bed = live->bed;
	struct vmq_oid_queue_parameters p;
	uint16_t id;

	id = oid_allocate(bed, bed->other);
	oid_set(bed, bed->other, id, 21, 0);
	oid_set(bed, bed->other, id, 22, 7);
	assert_int_equal(oid_complete_one(bed, bed->other, id), VMQ_STATUS_SUCCESS);
	oid_set(bed, bed->other, oid_allocate(bed, bed->other), 23, 0); /* not completed */
	oid_parameters(&p, 2);
	p.queue_name[0] = p.vm_name[0] = '\0';
	p.flags = VMQ_OID_QUEUE_PER_QUEUE_RECEIVE_INDICATION;
	p.port_id = 77;
	p.options = VMQ_OID_OPTION_KEEP_TAGS;
	p.processor_affinity = 2;
	assert_int_equal(oid_ask(bed, bed->admin, VMQ_OID_METHOD, VMQ_OID_ALLOCATE_QUEUE, &p,
		sizeof(p)), VMQ_STATUS_SUCCESS);
	assert_int_equal(oid_complete_one(bed, bed->admin, (uint16_t)p.queue_id),
		VMQ_STATUS_SUCCESS);
	oid_set(bed, bed->admin, VMQ_DEFAULT_QUEUE_ID, 24, 0);
	oid_set(bed, bed->other, VMQ_DEFAULT_QUEUE_ID, 25, 9);
}

/* Clear and free all that there is. */
static void
take_all(struct live_bed *live)
{
	struct oid_bed *bed = live->bed;
	const struct vmq_filter *filter;
	struct vmq_oid_owner *owner;
	int id;

	while ((filter = vmq_filter_next(vmq_adapter_filters(bed->adapter), 0)) != NULL) {
		owner = vmq_oid_owner_find(bed->oid, vmq_oid_filter_owner(bed->oid, filter->id));
		assert_int_equal(oid_clear(bed, owner, filter->id), VMQ_STATUS_SUCCESS);
	}
	while ((id = vmq_queue_next(bed->adapter, 0)) >= 0) {
		owner = vmq_oid_owner_find(bed->oid, vmq_oid_queue_owner(bed->oid, (uint16_t)id));
		assert_int_equal(oid_free(bed, owner, (uint32_t)id), VMQ_STATUS_PENDING);
		oid_wait_gone(bed, (uint16_t)id);
	}
}

static char *
take_state(struct live_bed *live)
{
	struct vmq_error err = {.text = ""};
	char *text = state_text(&live->system, &err);

	if (text == NULL)
		fail_msg("%s", err.text);
	return text;
}

static json_t *
parse_state(const char *text)
{
	struct vmq_error err;
	json_t *content = state_parse(text, strlen(text), &err);

	if (content == NULL)
		fail_msg("%s", err.text);
	return content;
}

static void
what_others_have_is_restored(void **state)
{
	struct live_bed *live = live_make();
	const uint64_t before = vmq_oid_changes(live->bed->oid);
	char *text, *again;
	json_t *content;
	size_t restored;

	(void)state;
	apply_well(live, DOCUMENT(A_AND_B));
	make_others(live);
	assert_true(vmq_oid_changes(live->bed->oid) > before);
	text = take_state(live);
	content = parse_state(text);
	assert_int_equal(state_count(content), 5);
	take_all(live);
	apply_well(live, DOCUMENT(A_AND_B));
	assert_int_equal(state_restore(&live->system, content, &restored), 0);
	assert_int_equal(restored, 5);
	again = take_state(live);
	assert_string_equal(text, again);
	free(again);

	/* All a second time: it is there already, and nothing is made twice. */
	assert_int_equal(state_restore(&live->system, content, &restored), 4);
	assert_int_equal(restored, 1); /* the queue that has neither name nor filters */
	json_decref(content);
	free(text);
	live_free(live);
}

static void
the_document_wins_over_the_state(void **state)
{
	struct live_bed *live = live_make();
	char *text;
	json_t *content;
	size_t restored;

	(void)state;
	make_others(live);
	text = take_state(live);
	content = parse_state(text);
	take_all(live);
	/* The name of two of them, and the filter of a third. */
	apply_well(live, DOCUMENT(QUEUE("q", FILTERS("{\"mac\": \"02:00:00:00:00:18\"}") ", " SINK)));
	assert_int_equal(state_restore(&live->system, content, &restored), 3);
	assert_int_equal(restored, 2);
	assert_identity(live);
	json_decref(content);
	free(text);
	live_free(live);
}

/* Not one cut or changed byte passes for a state. */
static void
a_state_that_is_damaged_is_found_out(void **state)
{
	struct live_bed *live = live_make();
	struct vmq_error err;
	size_t length, i;
	json_t *content, *damaged;
	char *text, was;

	(void)state;
	make_others(live);
	text = take_state(live);
	length = strlen(text);
	content = parse_state(text);
	for (i = 0; i < length; i++) {
		err.text[0] = '\0';
		assert_null(state_parse(text, i, &err));
		assert_int_not_equal(err.text[0], '\0');
	}
	for (i = 0; i < length; i++) {
		was = text[i];
		text[i] = (char)(was ^ (1 << unit_below(7)));
		damaged = state_parse(text, length, &err);
		/* White space of another kind is no damage. */
		if (damaged != NULL)
			assert_true(json_equal(damaged, content));
		json_decref(damaged);
		text[i] = was;
	}
	json_decref(content);
	free(text);
	live_free(live);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_document_is_applied_and_saved, oid_bed_abandon),
		cmocka_unit_test_teardown(what_can_be_changed_live_is, oid_bed_abandon),
		cmocka_unit_test_teardown(what_cannot_be_changed_is_made_anew, oid_bed_abandon),
		cmocka_unit_test_teardown(a_restart_is_needed_for_the_rest, oid_bed_abandon),
		cmocka_unit_test_teardown(what_others_have_is_left_alone, oid_bed_abandon),
		cmocka_unit_test_teardown(what_others_have_is_restored, oid_bed_abandon),
		cmocka_unit_test_teardown(the_document_wins_over_the_state, oid_bed_abandon),
		cmocka_unit_test_teardown(a_state_that_is_damaged_is_found_out, oid_bed_abandon),
		cmocka_unit_test_teardown(every_step_that_fails_is_rolled_back, oid_bed_abandon),
	};

	return cmocka_run_group_tests_name("live", tests, unit_start, unit_stop);
}
