/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* JSON-RPC 2.0 (jsonrpc.org/specification): from bytes to requests, from results to answers. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rpc_private.h"

/*
 * How long one client is worked for before others have their turn, and how often the
 * clock is looked at.
 */
#define TURN_MS 2

uint64_t
rpc_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void
text_add(struct text *text, const char *bytes, size_t length)
{
	size_t capacity = text->capacity != 0 ? text->capacity : 256;
	char *grown;

	if (text->failed)
		return;
	while (capacity - text->length < length)
		capacity *= 2;
	if (capacity != text->capacity) {
		grown = realloc(text->bytes, capacity);
		if (grown == NULL) {
			text->failed = true;
			return;
		}
		text->bytes = grown;
		text->capacity = capacity;
	}
	memcpy(text->bytes + text->length, bytes, length);
	text->length += length;
}

static int
on_dump(const char *bytes, size_t length, void *arg)
{
	text_add(arg, bytes, length);
	return ((struct text *)arg)->failed ? -1 : 0;
}

void
text_add_json(struct text *text, const json_t *value)
{
	if (value == NULL || json_dump_callback(value, on_dump, text,
				     JSON_COMPACT | JSON_ENCODE_ANY) < 0)
		text->failed = true;
}

void
text_free(struct text *text)
{
	free(text->bytes);
	*text = (struct text){0};
}

/* Send a line, which is taken. A line for which there was no memory is said to be lost. */
static void
send_line(struct vmq_rpc_client *client, struct text *line)
{
	text_add(line, "\n", 1);
	if (line->failed) {
		VMQ_LOG(ERR, "control socket: no memory for an answer: it is lost\n");
		text_free(line);
		return;
	}
	client->io->send(client->io_arg, line->bytes, line->length);
	*line = (struct text){0};
}

static bool
over_backlog(const struct vmq_rpc_client *client)
{
	return client->io->backlog(client->io_arg) >= (size_t)client->rpc->limits.output_kb << 10;
}

/* An answer as text: {"jsonrpc":"2.0","id":ID,"result":...} */
static void
add_answer(struct text *text, const json_t *id, const char *member, json_t *value)
{
	static const char head[] = "{\"jsonrpc\":\"2.0\",\"id\":";

	text_add(text, head, sizeof(head) - 1);
	if (id != NULL)
		text_add_json(text, id);
	else
		text_add(text, "null", 4);
	text_add(text, ",\"", 2);
	text_add(text, member, strlen(member));
	text_add(text, "\":", 2);
	text_add_json(text, value);
	text_add(text, "}", 1);
}

json_t *
rpc_string(const char *text)
{
	json_t *string = json_string(text);
	struct vmq_error plain;
	size_t i;

	if (string != NULL)
		return string;
	for (i = 0; text[i] != '\0' && i < sizeof(plain.text) - 1; i++)
		plain.text[i] = (text[i] & 0x80) != 0 ? '?' : text[i];
	plain.text[i] = '\0';
	return json_string(plain.text);
}

static json_t *
error_json(int code, const char *message, json_t *data)
{
	json_t *error = json_object();

	json_object_set_new(error, "code", json_integer(code));
	json_object_set_new(error, "message", rpc_string(message));
	json_object_set_new(error, "data", data);
	return error;
}

static json_t *
status_data(enum vmq_status status, const char *reason)
{
	return json_pack("{s:s, s:o}", "status", vmq_status_name(status), "reason",
		rpc_string(reason));
}

/* All requests of a batch are answered: its answers go out together, if there are any. */
static void
finish_batch(struct batch *batch)
{
	struct vmq_rpc_client *client = batch->client;

	if (batch->index < json_array_size(batch->requests) || batch->open > 0)
		return;
	if (client != NULL) {
		if (client->walked == batch)
			client->walked = NULL;
		else
			TAILQ_REMOVE(&client->batches, batch, next);
		if (batch->answers.length > 0 || batch->answers.failed) {
			text_add(&batch->answers, "]", 1);
			send_line(client, &batch->answers);
		}
	}
	text_free(&batch->answers);
	json_decref(batch->requests);
	free(batch);
}

/* Put one answer into a batch; too much of it is replaced by an error. */
static void
add_to_batch(struct batch *batch, const json_t *id, const char *member, json_t *value)
{
	const size_t limit = (size_t)batch->client->rpc->limits.output_kb << 10;
	json_t *error;

	text_add(&batch->answers, batch->answers.length == 0 ? "[" : ",", 1);
	if (batch->answers.length < limit) {
		add_answer(&batch->answers, id, member, value);
		return;
	}
	error = error_json(VMQ_RPC_CODE(VMQ_STATUS_RESOURCES),
		"the answers of this batch are too long together: ask for this by itself",
		status_data(VMQ_STATUS_RESOURCES, "control.limits.output_kb"));
	add_answer(&batch->answers, id, "error", error);
	json_decref(error);
}

/* Answer a call, or not if nobody wants to know. Takes value. The call is gone. */
static void
finish(struct vmq_rpc_call *call, const char *member, json_t *value)
{
	struct vmq_rpc_client *client = call->client;
	struct batch *batch = call->batch;
	struct text line = {0};

	if (client != NULL) {
		TAILQ_REMOVE(&client->calls, call, next);
		client->pending--;
		if (call->id != NULL && batch != NULL) {
			add_to_batch(batch, call->id, member, value);
		} else if (call->id != NULL) {
			add_answer(&line, call->id, member, value);
			send_line(client, &line);
		}
		client->io->wake(client->io_arg);
	} else {
		TAILQ_REMOVE(&call->rpc->orphans, call, next);
	}
	if (batch != NULL) {
		batch->open--;
		finish_batch(batch);
	}
	json_decref(value);
	json_decref(call->params);
	json_decref(call->request);
	free(call);
}

void
rpc_answer_early(struct vmq_rpc_call *call, json_t *result)
{
	struct vmq_rpc_call *answering = malloc(sizeof(*answering));

	if (answering == NULL) {
		json_decref(result);
		return; /* it is answered at the end, then */
	}
	/* One that can be finished, beside the one that the work knows and nobody waits for. */
	*answering = *call;
	json_incref(call->request);
	json_incref(call->params);
	if (call->client != NULL) {
		TAILQ_INSERT_TAIL(&call->client->calls, answering, next);
		TAILQ_REMOVE(&call->client->calls, call, next);
	} else {
		TAILQ_INSERT_TAIL(&call->rpc->orphans, answering, next);
		TAILQ_REMOVE(&call->rpc->orphans, call, next);
	}
	call->client = NULL;
	call->batch = NULL;
	TAILQ_INSERT_TAIL(&call->rpc->orphans, call, next);
	vmq_rpc_reply(answering, result);
}

void
vmq_rpc_reply(struct vmq_rpc_call *call, json_t *result)
{
	if (result != NULL)
		finish(call, "result", result);
	else
		finish(call, "error", error_json(VMQ_RPC_INTERNAL, "no memory for the answer",
					      status_data(VMQ_STATUS_RESOURCES, "")));
}

void
vmq_rpc_refuse_data(struct vmq_rpc_call *call, enum vmq_status status, json_t *data,
	const char *text)
{
	if (json_object_get(data, "status") == NULL)
		json_object_set_new(data, "status", json_string(vmq_status_name(status)));
	finish(call, "error", error_json(VMQ_RPC_CODE(status), text, data));
}

void
vmq_rpc_refuse(struct vmq_rpc_call *call, enum vmq_status status, const char *reason,
	const char *format, ...)
{
	struct vmq_error err;
	va_list ap;

	va_start(ap, format);
	vsnprintf(err.text, sizeof(err.text), format, ap);
	va_end(ap);
	vmq_rpc_refuse_data(call, status, status_data(status, reason != NULL ? reason : err.text),
		err.text);
}

/* findings: taken, or NULL. */
static void
refuse_params(struct vmq_rpc_call *call, const char *pointer, const char *hint, json_t *findings,
	const char *text)
{
	json_t *data = status_data(VMQ_STATUS_INVALID_PARAMETER, text);

	json_object_set_new(data, "pointer", rpc_string(pointer));
	if (hint != NULL)
		json_object_set_new(data, "hint", rpc_string(hint));
	if (findings != NULL)
		json_object_set_new(data, "findings", findings);
	finish(call, "error", error_json(VMQ_RPC_INVALID_PARAMS, text, data));
}

void
vmq_rpc_refuse_at(struct vmq_rpc_call *call, const char *pointer, const char *hint,
	const char *format, ...)
{
	struct vmq_error err;
	va_list ap;

	va_start(ap, format);
	vsnprintf(err.text, sizeof(err.text), format, ap);
	va_end(ap);
	refuse_params(call, pointer, hint, NULL, err.text);
}

void
vmq_rpc_refuse_findings(struct vmq_rpc_call *call, const char *pointer, const char *hint,
	json_t *findings, const char *format, ...)
{
	struct vmq_error err;
	va_list ap;

	va_start(ap, format);
	vsnprintf(err.text, sizeof(err.text), format, ap);
	va_end(ap);
	refuse_params(call, pointer, hint, findings, err.text);
}

/* An error for a request that is none, alone or in a batch. */
static void
answer_error(struct vmq_rpc_client *client, struct batch *batch, const json_t *id, int code,
	enum vmq_status status, const char *message)
{
	json_t *error = error_json(code, message, status_data(status, message));
	struct text line = {0};

	if (batch != NULL) {
		add_to_batch(batch, id, "error", error);
	} else {
		add_answer(&line, id, "error", error);
		send_line(client, &line);
	}
	json_decref(error);
}

void
client_error(struct vmq_rpc_client *client, int code, enum vmq_status status, const char *format,
	...)
{
	struct vmq_error err;
	va_list ap;

	va_start(ap, format);
	vsnprintf(err.text, sizeof(err.text), format, ap);
	va_end(ap);
	answer_error(client, NULL, NULL, code, status, err.text);
}

/* What is wrong with a request's own members, not its parameters; NULL: nothing. */
static const char *
check_request(json_t *request)
{
	static const char *const known[] = {"jsonrpc", "method", "params", "id"};
	const json_t *version = json_object_get(request, "jsonrpc");
	const json_t *params = json_object_get(request, "params");
	const json_t *id = json_object_get(request, "id");
	const char *key;
	json_t *value;
	size_t i;

	if (!json_is_object(request))
		return "a request must be an object";
	if (!json_is_string(version) || strcmp(json_string_value(version), "2.0") != 0)
		return "a request must have \"jsonrpc\": \"2.0\"";
	if (!json_is_string(json_object_get(request, "method")))
		return "a request must have a \"method\", a string";
	if (params != NULL && !json_is_object(params) && !json_is_array(params))
		return "\"params\" must be an object or an array";
	if (id != NULL && !json_is_string(id) && !json_is_number(id) && !json_is_null(id))
		return "\"id\" must be a string, a number or null";
	json_object_foreach(request, key, value) {
		for (i = 0; i < RTE_DIM(known) && strcmp(key, known[i]) != 0; i++)
			;
		if (i == RTE_DIM(known))
			return "a request has \"jsonrpc\", \"method\", \"params\" and \"id\", "
			       "and nothing else";
	}
	return NULL;
}

static void
begin_call(struct vmq_rpc_client *client, struct batch *batch, json_t *request)
{
	const json_t *id = json_object_get(request, "id");
	const char *wrong = check_request(request), *name;
	const struct method_entry *entry;
	struct vmq_rpc_call *call;
	char text[160];

	if (wrong != NULL) {
		if (!json_is_string(id) && !json_is_number(id))
			id = NULL;
		answer_error(client, batch, id, VMQ_RPC_INVALID_REQUEST,
			VMQ_STATUS_INVALID_PARAMETER, wrong);
		return;
	}
	name = json_string_value(json_object_get(request, "method"));
	entry = rpc_find_method(client->rpc, name);
	if (entry == NULL || client->pending >= client->rpc->limits.pending) {
		if (id == NULL)
			return;
		if (entry == NULL) {
			snprintf(text, sizeof(text),
				"there is no method \"%.64s\"; \"methods\" lists them", name);
			answer_error(client, batch, id, VMQ_RPC_NO_METHOD,
				VMQ_STATUS_NOT_SUPPORTED, text);
		} else {
			snprintf(text, sizeof(text),
				"%u requests of this connection are not answered yet, and there "
				"may not be more (control.limits.pending)", client->pending);
			answer_error(client, batch, id, VMQ_RPC_CODE(VMQ_STATUS_RESOURCES),
				VMQ_STATUS_RESOURCES, text);
		}
		return;
	}
	call = calloc(1, sizeof(*call));
	if (call == NULL) {
		if (id != NULL)
			answer_error(client, batch, id, VMQ_RPC_INTERNAL, VMQ_STATUS_RESOURCES,
				"no memory for the request");
		return;
	}
	*call = (struct vmq_rpc_call){
		.rpc = client->rpc,
		.client = client,
		.batch = batch,
		.request = json_incref(request),
		.id = json_object_get(request, "id"),
		.method = entry->method,
		.arg = entry->arg,
		.peer = client->peer,
	};
	TAILQ_INSERT_TAIL(&client->calls, call, next);
	client->pending++;
	if (batch != NULL)
		batch->open++;
	if (rpc_check_params(call, json_object_get(request, "params")))
		entry->method->handler(call);
}

static void
begin_batch(struct vmq_rpc_client *client, json_t *requests)
{
	const size_t n = json_array_size(requests);
	struct batch *batch;

	if (n == 0) {
		client_error(client, VMQ_RPC_INVALID_REQUEST, VMQ_STATUS_INVALID_PARAMETER,
			"a batch must not be empty");
		return;
	}
	if (n > client->rpc->limits.batch) {
		client_error(client, VMQ_RPC_INVALID_REQUEST, VMQ_STATUS_RESOURCES,
			"%zu requests in a batch are more than %u (control.limits.batch)", n,
			client->rpc->limits.batch);
		return;
	}
	batch = calloc(1, sizeof(*batch));
	if (batch == NULL) {
		client_error(client, VMQ_RPC_INTERNAL, VMQ_STATUS_RESOURCES,
			"no memory for the batch");
		return;
	}
	batch->client = client;
	batch->requests = json_incref(requests);
	client->walked = batch;
}

/* Begin the next request of the batch in hand. */
static void
walk_batch(struct vmq_rpc_client *client)
{
	struct batch *batch = client->walked;
	json_t *request = json_array_get(batch->requests, batch->index);

	/* It stays open until all of its requests have been begun. */
	batch->open++;
	begin_call(client, batch, request);
	batch->open--;
	batch->index++;
	if (batch->index < json_array_size(batch->requests))
		return;
	if (batch->open > 0) {
		client->walked = NULL;
		TAILQ_INSERT_TAIL(&client->batches, batch, next);
	} else {
		finish_batch(batch);
	}
}

static void
begin_message(struct vmq_rpc_client *client, const char *bytes, size_t length)
{
	json_error_t error;
	json_t *value;

	value = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &error);
	if (value == NULL)
		client_error(client, VMQ_RPC_PARSE_ERROR, VMQ_STATUS_INVALID_PARAMETER,
			"not JSON at line %d, column %d: %s", error.line, error.column,
			error.text);
	else if (json_is_array(value))
		begin_batch(client, value);
	else
		begin_call(client, NULL, value);
	json_decref(value);
}

void
client_init(struct vmq_rpc_client *client, struct vmq_rpc *rpc, const struct peer *peer,
	const struct client_io *io, void *io_arg)
{
	*client = (struct vmq_rpc_client){.rpc = rpc, .peer = *peer, .io = io, .io_arg = io_arg};
	TAILQ_INIT(&client->batches);
	TAILQ_INIT(&client->calls);
	TAILQ_INSERT_TAIL(&rpc->clients, client, next);
}

void
client_fini(struct vmq_rpc_client *client)
{
	struct vmq_rpc_watch *watch;
	struct vmq_rpc_call *call;
	struct batch *batch;

	while ((watch = client->watches) != NULL) {
		vmq_rpc_unwatch(watch);
		watch->gone(watch);
	}
	while ((call = TAILQ_FIRST(&client->calls)) != NULL) {
		TAILQ_REMOVE(&client->calls, call, next);
		call->client = NULL;
		TAILQ_INSERT_TAIL(&client->rpc->orphans, call, next);
	}
	/* What was not begun is not begun any more; the rest ends with its last call. */
	batch = client->walked;
	if (batch != NULL) {
		client->walked = NULL;
		TAILQ_INSERT_TAIL(&client->batches, batch, next);
		batch->index = json_array_size(batch->requests);
	}
	while ((batch = TAILQ_FIRST(&client->batches)) != NULL) {
		TAILQ_REMOVE(&client->batches, batch, next);
		batch->client = NULL;
		finish_batch(batch);
	}
	TAILQ_REMOVE(&client->rpc->clients, client, next);
	free(client->subscription);
	client->subscription = NULL;
	free(client->in);
	client->in = NULL;
}

static size_t
request_bytes(const struct vmq_rpc_client *client)
{
	return (size_t)client->rpc->limits.request_kb << 10;
}

size_t
client_room(const struct vmq_rpc_client *client)
{
	const size_t waiting = client->in_length - client->in_start;

	if (client->ended || client->rpc->stopped || waiting > request_bytes(client) ||
		over_backlog(client))
		return 0;
	return request_bytes(client) + 1 - waiting;
}

bool
client_feed(struct vmq_rpc_client *client, const char *bytes, size_t length)
{
	size_t capacity = client->in_capacity != 0 ? client->in_capacity : 4096;
	char *grown;

	if (client->in_start > 0 && client->in_capacity - client->in_length < length) {
		client->in_length -= client->in_start;
		client->in_scanned -= client->in_start;
		memmove(client->in, client->in + client->in_start, client->in_length);
		client->in_start = 0;
	}
	while (capacity - client->in_length < length)
		capacity *= 2;
	if (capacity != client->in_capacity) {
		grown = realloc(client->in, capacity);
		if (grown == NULL)
			return false;
		client->in = grown;
		client->in_capacity = capacity;
	}
	memcpy(client->in + client->in_length, bytes, length);
	client->in_length += length;
	return true;
}

/* Bytes that cannot be understood: where the next request begins is not known any more. */
static void
give_up(struct vmq_rpc_client *client, enum frame_result result, size_t at)
{
	const unsigned char c = (unsigned char)client->in[at];

	switch (result) {
	case FRAME_DEEP:
		client_error(client, VMQ_RPC_INVALID_REQUEST, VMQ_STATUS_RESOURCES,
			"more than %u objects and arrays inside each other "
			"(control.limits.depth)", client->rpc->limits.depth);
		break;
	case FRAME_MISMATCH:
		client_error(client, VMQ_RPC_PARSE_ERROR, VMQ_STATUS_INVALID_PARAMETER,
			"\"%c\" closes what the other kind of bracket has opened", c);
		break;
	default:
		client_error(client, VMQ_RPC_PARSE_ERROR, VMQ_STATUS_INVALID_PARAMETER,
			"a request begins with \"{\", a batch with \"[\", not with byte 0x%02x", c);
	}
	client->ended = true;
}

/* Take the next message out of the input. Returns whether there was one. */
static bool
next_message(struct vmq_rpc_client *client)
{
	enum frame_result result;
	size_t used, length;

	if (client->in_scanned == client->in_start) {
		client->in_start += frame_blanks(client->in + client->in_start,
			client->in_length - client->in_start);
		client->in_scanned = client->in_start;
	}
	if (client->in_start == client->in_length) {
		client->in_start = client->in_length = client->in_scanned = 0;
		client->begun_ms = 0;
		return false;
	}
	if (client->begun_ms == 0)
		client->begun_ms = rpc_now_ms();
	result = frame_scan(&client->frame, client->in + client->in_scanned,
		client->in_length - client->in_scanned, client->rpc->limits.depth, &used);
	client->in_scanned += used;
	length = client->in_scanned - client->in_start;
	if (result != FRAME_WHOLE && result != FRAME_MORE) {
		give_up(client, result, client->in_scanned);
		return false;
	}
	if (length > request_bytes(client)) {
		client_error(client, VMQ_RPC_INVALID_REQUEST, VMQ_STATUS_RESOURCES,
			"a request of more than %u KiB (control.limits.request_kb)",
			client->rpc->limits.request_kb);
		client->ended = true;
		return false;
	}
	if (result == FRAME_MORE)
		return false;
	client->frame = (struct frame){0};
	client->begun_ms = 0;
	used = client->in_start;
	client->in_start = client->in_scanned;
	begin_message(client, client->in + used, length);
	return true;
}

/* The input is at its end, and all that was whole in it has been begun. */
static void
end_input(struct vmq_rpc_client *client)
{
	if (client->in_length > client->in_start)
		client_error(client, VMQ_RPC_PARSE_ERROR, VMQ_STATUS_INVALID_PARAMETER,
			"the input ended in the middle of a request, after %zu bytes of it",
			client->in_length - client->in_start);
	client->ended = true;
}

bool
client_work(struct vmq_rpc_client *client)
{
	const uint64_t end = rpc_now_ms() + TURN_MS;

	rpc_catch_up(client);
	while (!client->ended && !client->rpc->stopped && !over_backlog(client)) {
		if (client->walked != NULL) {
			walk_batch(client);
		} else if (!next_message(client)) {
			if (client->at_end && !client->ended)
				end_input(client);
			return false;
		}
		if (rpc_now_ms() >= end)
			return true;
	}
	return false;
}

bool
client_is_done(const struct vmq_rpc_client *client)
{
	return client->ended && client->pending == 0 && client->walked == NULL;
}

bool
vmq_rpc_notify(struct vmq_rpc_client *client, const char *method, json_t *params)
{
	static const char head[] = "{\"jsonrpc\":\"2.0\",\"method\":\"";
	struct text line = {0};

	if (over_backlog(client)) {
		json_decref(params);
		return false;
	}
	text_add(&line, head, sizeof(head) - 1);
	text_add(&line, method, strlen(method));
	text_add(&line, "\",\"params\":", 11);
	text_add_json(&line, params);
	text_add(&line, "}", 1);
	json_decref(params);
	if (line.failed) {
		text_free(&line);
		return false;
	}
	send_line(client, &line);
	return true;
}

void
vmq_rpc_watch(struct vmq_rpc_client *client, struct vmq_rpc_watch *watch)
{
	watch->next = client->watches;
	if (watch->next != NULL)
		watch->next->previous = &watch->next;
	watch->previous = &client->watches;
	client->watches = watch;
}

void
vmq_rpc_unwatch(struct vmq_rpc_watch *watch)
{
	if (watch->previous == NULL)
		return;
	*watch->previous = watch->next;
	if (watch->next != NULL)
		watch->next->previous = watch->previous;
	watch->next = NULL;
	watch->previous = NULL;
}
