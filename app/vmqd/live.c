/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <bsd/string.h>
#include <jansson.h>

#include <vmq_rpc.h>

#include "apply.h"
#include "diff.h"
#include "live.h"
#include "save.h"

#define WHO_SIZE 128

struct live {
	struct system *system;
	const char *file;
	void (*wake)(void *arg);
	void *arg;
	json_t *source; /* the document that runs, as it was written */
	/* The apply that is under way, or NULL. */
	struct apply *apply;
	char who[WHO_SIZE];
	json_t *source_then; /* what source is to be if it succeeds */
	struct vmq_rpc_call *call; /* NULL: SIGHUP */
};

struct live *
live_create(struct system *system, const char *file, void (*wake)(void *arg), void *arg)
{
	struct live *live = calloc(1, sizeof(*live));

	if (live == NULL)
		return NULL;
	live->system = system;
	live->file = file;
	live->wake = wake;
	live->arg = arg;
	live->source = json_incref(system->doc->source);
	return live;
}

/* The daemon's own file. What is no plain file could keep us waiting. */
static struct document *
read_own(const struct live *live, struct doc_findings *findings, struct vmq_error *err)
{
	struct stat st;

	*findings = (struct doc_findings){0};
	if (strcmp(live->file, "-") == 0) {
		vmq_error_errno(err, EINVAL,
			"the document came from standard input: it cannot be read again");
		return NULL;
	}
	if (stat(live->file, &st) == 0 && !S_ISREG(st.st_mode)) {
		vmq_error_errno(err, EINVAL, "%s is no file, and is not read while vmqd runs",
			live->file);
		return NULL;
	}
	vmq_error_errno(err, EINVAL, "%s has errors", live->file);
	return document_read(live->file, findings);
}

/* How much there is wrong, and the first of it. */
static void
findings_text(const struct doc_findings *findings, struct vmq_error *err)
{
	struct vmq_error what = *err;

	if (findings->count == 0)
		return;
	vmq_error_errno(err, 0, "%.200s: at %.100s: %.150s%s", what.text,
		findings->list[0].pointer[0] != '\0' ? findings->list[0].pointer : "/",
		findings->list[0].message, findings->count > 1 ? ", and more" : "");
}

static json_t *
findings_json(const struct doc_findings *findings)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < findings->count; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s*}",
			"pointer", findings->list[i].pointer,
			"message", findings->list[i].message,
			"hint", findings->list[i].hint));
	return json_pack("{s:o, s:I}", "findings", list, "not_shown",
		(json_int_t)findings->dropped);
}

/* Apply */

static void
end_apply(struct live *live, int ret, const struct vmq_error *err, size_t waiting)
{
	const struct plan *plan = apply_plan(live->apply);
	json_t *data;

	if (ret == 0) {
		json_decref(live->source);
		live->source = live->source_then;
		live->source_then = NULL;
		VMQ_LOG(NOTICE, "apply for %s: done, %zu steps\n", live->who,
			plan->n_steps - plan->n_restart);
	} else {
		VMQ_LOG(ERR, "apply for %s: %s\n", live->who, err->text);
	}
	if (waiting > 0)
		VMQ_LOG(NOTICE, "apply: %zu queues that were freed wait for packets\n", waiting);
	if (live->call == NULL)
		return;
	data = plan_json(plan);
	if (ret == 0)
		vmq_rpc_reply(live->call, json_pack("{s:b, s:o, s:I, s:I}", "applied", 1,
			"steps", data, "restart", (json_int_t)plan->n_restart,
			"waiting", (json_int_t)waiting));
	else
		vmq_rpc_refuse_data(live->call, VMQ_STATUS_FAILURE,
			json_pack("{s:s, s:o}", "reason", err->text, "steps", data), err->text);
	live->call = NULL;
}

static void
on_applied(void *arg, int ret, const struct vmq_error *err, size_t waiting)
{
	end_apply(arg, ret, err, waiting);
}

bool
live_progress(struct live *live)
{
	if (live->apply == NULL)
		return false;
	if (!apply_progress(live->apply)) {
		apply_free(live->apply);
		live->apply = NULL;
		json_decref(live->source_then);
		live->source_then = NULL;
	}
	return live->apply != NULL;
}

/* May an apply begin? */
static int
check_idle(const struct live *live, struct vmq_error *err)
{
	if (live->apply == NULL)
		return 0;
	return vmq_error_errno(err, EBUSY, "an apply for %s is under way: try again when it is over",
		live->who);
}

/* Steps that need a restart are refused unless they are to be left out. */
static int
check_restart(const struct plan *plan, bool skip, struct vmq_error *err)
{
	if (plan->n_restart == 0 || skip)
		return 0;
	return vmq_error_errno(err, ENOTSUP,
		"%zu change%s a restart, the first at %.100s (%.100s): nothing was done",
		plan->n_restart, plan->n_restart == 1 ? " needs" : "s need",
		plan->steps[0].pointer, plan->steps[0].why);
}

/* Takes the plan if it succeeds. */
static int
begin_apply(struct live *live, struct plan *plan, const char *who, struct vmq_rpc_call *call,
	struct vmq_error *err)
{
	/* What a restart would change runs on as it is. */
	json_t *then = json_incref(plan->n_restart > 0 ? live->source : plan->doc->source);

	live->apply = apply_start(plan, on_applied, live);
	if (live->apply == NULL) {
		json_decref(then);
		return vmq_error_errno(err, ENOMEM, "no memory to begin");
	}
	live->source_then = then;
	live->call = call;
	strlcpy(live->who, who, sizeof(live->who));
	live->wake(live->arg);
	return 0;
}

void
live_reload(struct live *live)
{
	struct doc_findings findings;
	struct plan plan = {0};
	struct document *doc;
	struct vmq_error err;

	VMQ_LOG(NOTICE, "SIGHUP: apply %s\n", live->file);
	if (check_idle(live, &err) < 0)
		goto refused;
	doc = read_own(live, &findings, &err);
	if (doc != NULL) {
		doc_findings_free(&findings);
		if (plan_make(live->system, live->source, doc, &plan, &findings, &err) == 0 &&
			check_restart(&plan, false, &err) == 0 &&
			begin_apply(live, &plan, "SIGHUP", NULL, &err) == 0) {
			doc_findings_free(&findings);
			return;
		}
	}
	doc_findings_print(&findings, live->file, stderr);
	doc_findings_free(&findings);
	plan_free(&plan);
refused:
	VMQ_LOG(ERR, "SIGHUP: nothing was done: %s\n", err.text);
}

void
live_stop(struct live *live)
{
	if (live == NULL || live->apply == NULL)
		return;
	VMQ_LOG(WARNING, "apply for %s: stopped half-way, the daemon ends\n", live->who);
	if (live->call != NULL)
		vmq_rpc_refuse(live->call, VMQ_STATUS_REQUEST_ABORTED, NULL,
			"the daemon ends: the apply has stopped half-way");
	live->call = NULL;
	apply_free(live->apply);
	live->apply = NULL;
}

void
live_free(struct live *live)
{
	if (live == NULL)
		return;
	live_stop(live);
	json_decref(live->source_then);
	json_decref(live->source);
	free(live);
}

/* Methods */

static enum vmq_status
status_of(int ret)
{
	switch (ret) {
	case -ENOMEM:
		return VMQ_STATUS_RESOURCES;
	case -EBUSY:
	case -ENOTSUP:
	case -EEXIST:
		return VMQ_STATUS_NOT_ACCEPTED;
	default:
		return VMQ_STATUS_INVALID_PARAMETER;
	}
}

/* Refuse with all that was found. */
static void
refuse(struct vmq_rpc_call *call, int ret, const struct doc_findings *findings,
	const struct vmq_error *why)
{
	struct vmq_error err = *why;
	json_t *data = findings_json(findings);

	findings_text(findings, &err);
	json_object_set_new(data, "reason", json_string(why->text));
	vmq_rpc_refuse_data(call, status_of(ret), data, err.text);
}

/* The document of a call, or the daemon's own. NULL: the call has been refused. */
static struct document *
document_of(struct vmq_rpc_call *call)
{
	const struct live *live = vmq_rpc_arg(call);
	json_t *given = vmq_rpc_get(call, "document");
	struct doc_findings findings;
	struct document *doc;
	struct vmq_error err;
	char *text;

	if (given == NULL) {
		doc = read_own(live, &findings, &err);
	} else {
		text = json_dumps(given, JSON_COMPACT);
		if (text == NULL) {
			vmq_rpc_refuse(call, VMQ_STATUS_RESOURCES, NULL, "no memory to read it");
			return NULL;
		}
		vmq_error_errno(&err, 0, "the document has errors");
		doc = document_parse(text, strlen(text), &findings);
		free(text);
	}
	if (doc == NULL)
		refuse(call, -EINVAL, &findings, &err);
	doc_findings_free(&findings);
	return doc;
}

/* A plan for the document of a call. Returns 0; else the call has been refused. */
static int
plan_of(struct vmq_rpc_call *call, struct plan *plan)
{
	const struct live *live = vmq_rpc_arg(call);
	struct document *doc = document_of(call);
	struct doc_findings findings;
	struct vmq_error err;
	int ret;

	if (doc == NULL)
		return -EINVAL;
	ret = plan_make(live->system, live->source, doc, plan, &findings, &err);
	if (ret < 0)
		refuse(call, ret, &findings, &err);
	doc_findings_free(&findings);
	return ret;
}

static void
config_check(struct vmq_rpc_call *call)
{
	struct document *doc = document_of(call);
	size_t filters = 0, i;

	if (doc == NULL)
		return;
	for (i = 0; i < doc->n_queues; i++)
		filters += doc->queues[i].n_filters;
	for (i = 0; i < doc->n_adapters; i++)
		filters += doc->adapters[i].default_queue.n_filters;
	vmq_rpc_reply(call, json_pack("{s:b, s:I, s:I, s:I, s:I}", "ok", 1,
		"adapters", (json_int_t)doc->n_adapters, "queues", (json_int_t)doc->n_queues,
		"filters", (json_int_t)filters, "memory_mb", (json_int_t)document_memory_mb(doc)));
	document_free(doc);
}

static void
config_plan(struct vmq_rpc_call *call)
{
	struct plan plan;

	if (plan_of(call, &plan) < 0)
		return;
	vmq_rpc_reply(call, json_pack("{s:o, s:I}", "steps", plan_json(&plan), "restart",
		(json_int_t)plan.n_restart));
	plan_free(&plan);
}

static void
config_apply(struct vmq_rpc_call *call)
{
	struct live *live = vmq_rpc_arg(call);
	const bool skip = vmq_rpc_get_bool(call, "skip_restart", false);
	struct plan plan;
	struct vmq_error err;
	int ret = check_idle(live, &err);

	if (ret < 0) {
		vmq_rpc_refuse(call, status_of(ret), NULL, "%s", err.text);
		return;
	}
	if (plan_of(call, &plan) < 0)
		return;
	ret = check_restart(&plan, skip, &err);
	if (ret == 0)
		ret = begin_apply(live, &plan, vmq_rpc_client_text(call), call, &err);
	if (ret < 0) {
		vmq_rpc_refuse_data(call, status_of(ret), json_pack("{s:s, s:o}", "reason",
			err.text, "steps", plan_json(&plan)), err.text);
		plan_free(&plan);
	}
}

static void
config_save(struct vmq_rpc_call *call)
{
	const struct live *live = vmq_rpc_arg(call);
	json_t *skipped = json_array(), *document;
	struct vmq_error err;
	char *text;

	document = save_document(live->system, live->source, vmq_rpc_get_bool(call, "all", false),
		skipped, &err);
	text = document != NULL ? save_text(document) : NULL;
	if (text == NULL) {
		if (document != NULL)
			vmq_error_errno(&err, 0, "no memory to write the document");
		vmq_rpc_refuse(call, VMQ_STATUS_RESOURCES, NULL, "%s", err.text);
		json_decref(document);
		json_decref(skipped);
		return;
	}
	vmq_rpc_reply(call, json_pack("{s:o, s:s, s:o}", "document", document, "text", text,
		"skipped", skipped));
	free(text);
}

static void
config_diff(struct vmq_rpc_call *call)
{
	const struct live *live = vmq_rpc_arg(call);
	struct document *doc = document_of(call);
	struct vmq_error err;
	json_t *list;

	if (doc == NULL)
		return;
	list = diff_documents(live->system, live->source, doc, &err);
	if (list == NULL)
		vmq_rpc_refuse(call, VMQ_STATUS_FAILURE, NULL, "%s", err.text);
	else
		vmq_rpc_reply(call, json_pack("{s:o}", "differences", list));
	document_free(doc);
}

#define DOCUMENT \
	{"document", VMQ_RPC_OBJECT, false, "the document; without it the daemon's own file is read"}

static const struct vmq_rpc_method rows[] = {
	{"config.check", "check a document as vmqd does before it starts, but not the machine",
		"{ok, adapters, queues, filters, memory_mb}", VMQ_RPC_F_ADMINISTRATOR, config_check,
		{DOCUMENT}},
	{"config.plan", "what would be done for a document, step by step, live or by a restart",
		"{steps: [{step, how, text, why, adapter, queue, pointer, interrupts}], restart}",
		VMQ_RPC_F_ADMINISTRATOR, config_plan, {DOCUMENT}},
	{"config.apply", "do what a document says, all or nothing", "{applied, steps, restart, waiting}",
		VMQ_RPC_F_ADMINISTRATOR | VMQ_RPC_F_LATER | VMQ_RPC_F_CHANGES, config_apply,
		{DOCUMENT, {"skip_restart", VMQ_RPC_BOOL, false,
			"do what can be done live, and leave out what needs a restart"}}},
	{"config.save", "the document that describes what runs",
		"{document, text, skipped: [{adapter, id, queue, why}]}", VMQ_RPC_F_ADMINISTRATOR,
		config_save,
		{{"all", VMQ_RPC_BOOL, false, "queues and filters of all owners, not only config's"}}},
	{"config.diff", "where a document differs from what runs",
		"{differences: [{pointer, running, document}]}", VMQ_RPC_F_ADMINISTRATOR,
		config_diff, {DOCUMENT}},
};

int
live_add_methods(struct live *live, struct vmq_rpc *rpc, struct vmq_error *err)
{
	int ret = vmq_rpc_add_methods(rpc, rows, sizeof(rows) / sizeof(rows[0]), live);

	if (ret < 0)
		vmq_error_errno(err, -ret, "the methods config.*: %s", strerror(-ret));
	return ret;
}
