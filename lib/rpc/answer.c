/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* JSON-RPC 2.0 (jsonrpc.org/specification): from results to answers, and to bytes. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc_private.h"

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

bool
client_is_behind(const struct vmq_rpc_client *client)
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

void
rpc_finish_batch(struct batch *batch)
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
		rpc_finish_batch(batch);
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
static __attribute__((format(printf, 5, 0))) void
refuse_params(struct vmq_rpc_call *call, const char *pointer, const char *hint, json_t *findings,
	const char *format, va_list ap)
{
	struct vmq_error err;
	json_t *data;

	vsnprintf(err.text, sizeof(err.text), format, ap);
	data = status_data(VMQ_STATUS_INVALID_PARAMETER, err.text);
	json_object_set_new(data, "pointer", rpc_string(pointer));
	if (hint != NULL)
		json_object_set_new(data, "hint", rpc_string(hint));
	if (findings != NULL)
		json_object_set_new(data, "findings", findings);
	finish(call, "error", error_json(VMQ_RPC_INVALID_PARAMS, err.text, data));
}

void
vmq_rpc_refuse_at(struct vmq_rpc_call *call, const char *pointer, const char *hint,
	const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	refuse_params(call, pointer, hint, NULL, format, ap);
	va_end(ap);
}

void
vmq_rpc_refuse_findings(struct vmq_rpc_call *call, const char *pointer, const char *hint,
	json_t *findings, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	refuse_params(call, pointer, hint, findings, format, ap);
	va_end(ap);
}

void
rpc_answer_error(struct vmq_rpc_client *client, struct batch *batch, const json_t *id, int code,
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
	rpc_answer_error(client, NULL, NULL, code, status, err.text);
}

bool
vmq_rpc_notify(struct vmq_rpc_client *client, const char *method, json_t *params)
{
	static const char head[] = "{\"jsonrpc\":\"2.0\",\"method\":\"";
	struct text line = {0};

	if (client_is_behind(client)) {
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
