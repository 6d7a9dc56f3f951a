/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "document_private.h"

/* The control socket. See document_decode.c. */

#define SOCKET_EXPECT \
	"an absolute path of at most 107 bytes such as \"/run/vmqd/vmq.sock\", or false for none"
#define MODE_EXPECT "four octal digits such as \"0660\""
#define OWNERS_EXPECT "users and the owners they act as, such as {\"alice\": \"tenant-a\"}"

static void
decode_socket(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out)
{
	struct doc_control *control = out;

	if (json_is_false(value)) {
		control->off = true;
		return;
	}
	if (!json_is_string(value)) {
		doc_wrong_type(r, at, value, "a string or false", field->expect);
		return;
	}
	doc_decode_text(r, at, value, field, &control->socket);
	if (control->socket != NULL &&
		(control->socket[0] != '/' || control->socket[strlen(control->socket) - 1] == '/'))
		doc_finding_add(r->findings, at, field->expect, "is not the absolute path of a file");
}

static json_t *
encode_socket(const struct document *doc __rte_unused, const struct doc_field *field __rte_unused,
	const void *in)
{
	const struct doc_control *control = in;

	if (control->off)
		return json_false();
	return control->socket != NULL ? json_string(control->socket) : json_null();
}

static void
decode_mode(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out)
{
	const char *text = json_string_value(value);
	char quoted[DOC_QUOTE_SIZE];
	uint32_t *mode = out;

	if (text == NULL)
		doc_wrong_type(r, at, value, "a string", field->expect);
	else if (strlen(text) != 4 || text[0] != '0' || strspn(text, "01234567") != 4)
		doc_finding_add(r->findings, at, field->expect, "%s is not the mode of a socket",
			doc_quote(quoted, text));
	else
		*mode = (uint32_t)strtoul(text, NULL, 8);
}

static json_t *
encode_mode(const struct document *doc __rte_unused, const struct doc_field *field __rte_unused,
	const void *in)
{
	char text[8];

	snprintf(text, sizeof(text), "%04o", *(const uint32_t *)in & 0777);
	return json_string(text);
}

static void
decode_owners(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out)
{
	const struct doc_field name = {.expect = DOC_NAME_EXPECT, .max = VMQ_NAME_SIZE - 1};
	struct doc_control *control = out;
	struct doc_mapping *mapping;
	const char *user;
	json_t *owner;

	if (!json_is_object(value)) {
		doc_wrong_type(r, at, value, "an object", field->expect);
		return;
	}
	control->owners = doc_alloc(r, json_object_size(value), sizeof(*control->owners));
	if (control->owners == NULL)
		return;
	json_object_foreach(value, user, owner) {
		mapping = &control->owners[control->n_owners++];
		mapping->user = doc_copy(r, user);
		doc_decode_text(r, DOC_KEY(at, user), owner, &name, &mapping->owner);
		if (mapping->owner != NULL && strcmp(mapping->owner, DOC_OWNER_ADMIN) == 0)
			doc_finding_add(r->findings, DOC_KEY(at, user),
				"choose another name: administrators are root and the user that "
				"vmqd runs as", "\"" DOC_OWNER_ADMIN "\" is what administrators own");
	}
}

static json_t *
encode_owners(const struct document *doc __rte_unused, const struct doc_field *field __rte_unused,
	const void *in)
{
	const struct doc_control *control = in;
	json_t *object = json_object();
	size_t i;

	for (i = 0; i < control->n_owners; i++) {
		if (json_object_set_new(object, control->owners[i].user,
			    json_string(control->owners[i].owner)) < 0) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

static void
decode_user_backends(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out)
{
	uint32_t *backends = out;
	char quoted[DOC_QUOTE_SIZE];
	unsigned int type;
	const char *text;
	json_t *item;
	size_t i;

	if (!doc_is_array(r, at, value, field->expect))
		return;
	*backends = 0;
	json_array_foreach(value, i, item) {
		text = json_string_value(item);
		for (type = 0; type < VMQ_BACKEND_COUNT; type++)
			if (text != NULL && strcmp(text, vmq_backend_type_name(type)) == 0)
				break;
		if (text == NULL)
			doc_wrong_type(r, DOC_INDEX(at, i), item, "a string", field->expect);
		else if (type == VMQ_BACKEND_COUNT)
			doc_finding_add(r->findings, DOC_INDEX(at, i), field->expect,
				"%s is not a type of backend", doc_quote(quoted, text));
		else
			*backends |= UINT32_C(1) << type;
	}
}

static json_t *
encode_user_backends(const struct document *doc __rte_unused,
	const struct doc_field *field __rte_unused, const void *in)
{
	const uint32_t *backends = in;
	json_t *list = json_array();
	unsigned int type;

	for (type = 0; type < VMQ_BACKEND_COUNT; type++) {
		if ((*backends & UINT32_C(1) << type) != 0 &&
			json_array_append_new(list, json_string(vmq_backend_type_name(type))) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

#define LIMIT(key, member, lowest, highest) \
	{key, DOC_INTEGER(struct doc_control_limits, member, lowest, highest)}

static const struct doc_field limit_fields[] = {
	LIMIT("request_kb", request_kb, 16, 65536),
	LIMIT("depth", depth, 8, 64),
	LIMIT("clients", clients, 1, 4096),
	LIMIT("pending", pending, 1, 65536),
	LIMIT("batch", batch, 1, 100000),
	LIMIT("output_kb", output_kb, 64, 1048576),
	LIMIT("idle_s", idle_s, 1, 3600),
};

static void
decode_limits(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field __rte_unused, void *out)
{
	doc_decode_object(r, at, value, limit_fields, RTE_DIM(limit_fields), out);
}

static json_t *
encode_limits(const struct document *doc, const struct doc_field *field __rte_unused,
	const void *in)
{
	json_t *object = json_object();

	if (doc_encode_object(doc, object, limit_fields, RTE_DIM(limit_fields), in) == 0)
		return object;
	json_decref(object);
	return NULL;
}

static void
decode_state_file(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out)
{
	char **file = out;

	doc_decode_text(r, at, value, field, file);
	if (*file != NULL && ((*file)[0] != '/' || (*file)[strlen(*file) - 1] == '/'))
		doc_finding_add(r->findings, at, field->expect, "is not the absolute path of a file");
}

/* socket and owners write two members each: they get the whole structure. */
static const struct doc_field control_fields[] = {
	{"socket", .decode = decode_socket, .encode = encode_socket, .expect = SOCKET_EXPECT,
		.max = DOC_SOCKET_PATH_MAX},
	{"owner", .decode = doc_decode_text, .encode = doc_encode_text,
		.expect = "the name of a user", .offset = offsetof(struct doc_control, owner),
		.max = VMQ_NAME_SIZE - 1},
	{"group", .decode = doc_decode_text, .encode = doc_encode_text,
		.expect = "the name of a group", .offset = offsetof(struct doc_control, group),
		.max = VMQ_NAME_SIZE - 1},
	{"mode", .decode = decode_mode, .encode = encode_mode, .expect = MODE_EXPECT,
		.offset = offsetof(struct doc_control, mode)},
	{"owners", .decode = decode_owners, .encode = encode_owners, .expect = OWNERS_EXPECT},
	{"user_backends", .decode = decode_user_backends, .encode = encode_user_backends,
		.expect = "types of backends such as [\"sink\", \"vhost-user\"]",
		.offset = offsetof(struct doc_control, user_backends)},
	{"state_file", .decode = decode_state_file, .encode = doc_encode_text,
		.expect = "an absolute path such as \"/var/lib/vmqd/state.json\"",
		.offset = offsetof(struct doc_control, state_file), .max = DOC_STATE_FILE_MAX},
	{"limits", .decode = decode_limits, .encode = encode_limits,
		.offset = offsetof(struct doc_control, limits)},
};

void
doc_control_init(struct doc_control *control)
{
	*control = (struct doc_control){
		.mode = 0660,
		.user_backends = UINT32_C(1) << VMQ_BACKEND_SINK,
	};
}

void
doc_decode_control(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field __rte_unused, void *out)
{
	doc_decode_object(r, at, value, control_fields, RTE_DIM(control_fields), out);
}

json_t *
doc_encode_control(const struct document *doc, const struct doc_field *field __rte_unused,
	const void *in)
{
	json_t *object = json_object();

	if (doc_encode_object(doc, object, control_fields, RTE_DIM(control_fields), in) == 0)
		return object;
	json_decref(object);
	return NULL;
}

void
doc_control_free(struct doc_control *control)
{
	size_t i;

	for (i = 0; i < control->n_owners; i++) {
		free(control->owners[i].user);
		free(control->owners[i].owner);
	}
	free(control->owners);
	free(control->socket);
	free(control->owner);
	free(control->group);
	free(control->state_file);
}
