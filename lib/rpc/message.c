/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* JSON-RPC 2.0 (jsonrpc.org/specification): from bytes to requests. */

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
		rpc_answer_error(client, batch, id, VMQ_RPC_INVALID_REQUEST,
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
			rpc_answer_error(client, batch, id, VMQ_RPC_NO_METHOD,
				VMQ_STATUS_NOT_SUPPORTED, text);
		} else {
			snprintf(text, sizeof(text),
				"%u requests of this connection are not answered yet, and there "
				"may not be more (control.limits.pending)", client->pending);
			rpc_answer_error(client, batch, id, VMQ_RPC_CODE(VMQ_STATUS_RESOURCES),
				VMQ_STATUS_RESOURCES, text);
		}
		return;
	}
	call = calloc(1, sizeof(*call));
	if (call == NULL) {
		if (id != NULL)
			rpc_answer_error(client, batch, id, VMQ_RPC_INTERNAL, VMQ_STATUS_RESOURCES,
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
		rpc_finish_batch(batch);
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
		rpc_finish_batch(batch);
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
		client_is_behind(client))
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
	while (!client->ended && !client->rpc->stopped && !client_is_behind(client)) {
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
