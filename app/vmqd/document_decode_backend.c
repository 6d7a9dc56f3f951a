/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "document_private.h"

/* The backend of a queue: which keys it has depends on its type. See document_decode.c. */

static void
decode_file(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out)
{
	const char *component;
	char **file = out;
	size_t length;

	doc_decode_text(r, at, value, field, file);
	if (*file == NULL)
		return;
	for (component = *file; *component != '\0'; component += length) {
		component += strspn(component, "/");
		length = strcspn(component, "/");
		if (length > NAME_MAX) {
			doc_finding_add(r->findings, at, NULL,
				"a part of the path is %zu bytes long, more than %d", length,
				NAME_MAX);
			return;
		}
	}
	if ((*file)[strlen(*file) - 1] == '/')
		doc_finding_add(r->findings, at, field->expect, "is the path of a folder");
}

/* VMQ_BACKEND_COUNT: no such type. */
static enum vmq_backend_type
backend_type(const char *text)
{
	unsigned int type;

	for (type = 0; type < VMQ_BACKEND_COUNT; type++) {
		if (text != NULL && strcmp(text, vmq_backend_type_name(type)) == 0)
			break;
	}
	return type;
}

static void
decode_backend_type(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out)
{
	const char *words[VMQ_BACKEND_COUNT], *text = json_string_value(value);
	char hint[64], quoted[DOC_QUOTE_SIZE];
	enum vmq_backend_type *type = out;
	unsigned int i;
	int meant;

	if (text == NULL) {
		doc_wrong_type(r, at, value, "a string", field->expect);
		return;
	}
	*type = backend_type(text);
	if (*type != VMQ_BACKEND_COUNT)
		return;
	for (i = 0; i < VMQ_BACKEND_COUNT; i++)
		words[i] = vmq_backend_type_name(i);
	meant = doc_nearest(text, words, RTE_DIM(words));
	if (meant >= 0)
		snprintf(hint, sizeof(hint), "did you mean \"%s\"?", words[meant]);
	doc_finding_add(r->findings, at, meant >= 0 ? hint : field->expect,
		"%s is not a type of backend", doc_quote(quoted, text));
}

static json_t *
encode_backend_type(const struct document *doc __rte_unused,
	const struct doc_field *field __rte_unused, const void *in)
{
	const enum vmq_backend_type *type = in;

	return json_string(vmq_backend_type_name(*type));
}

static void
refuse_backend_key(struct doc_reader *r, const struct doc_path *at, json_t *value __rte_unused,
	const struct doc_field *field, void *out __rte_unused)
{
	doc_finding_add(r->findings, at, field->expect,
		"key \"%s\" does not go with this type of backend", field->key);
}

static void
decode_mode(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out)
{
	const char *text = json_string_value(value);
	char quoted[DOC_QUOTE_SIZE];
	bool *server = out;

	if (text == NULL)
		doc_wrong_type(r, at, value, "a string", field->expect);
	else if (strcmp(text, "server") == 0 || strcmp(text, "client") == 0)
		*server = *text == 's';
	else
		doc_finding_add(r->findings, at, field->expect, "%s is not a mode",
			doc_quote(quoted, text));
}

static json_t *
encode_mode(const struct document *doc __rte_unused, const struct doc_field *field __rte_unused,
	const void *in)
{
	const bool *server = in;

	return json_string(*server ? "server" : "client");
}

static void
decode_permissions(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out)
{
	const char *text = json_string_value(value);
	char quoted[DOC_QUOTE_SIZE];
	uint32_t *permissions = out;

	if (text == NULL) {
		doc_wrong_type(r, at, value, "a string", field->expect);
		return;
	}
	if ((strlen(text) != 3 && (strlen(text) != 4 || *text != '0')) ||
		strspn(text, "01234567") != strlen(text) || strtoul(text, NULL, 8) == 0) {
		doc_finding_add(r->findings, at, field->expect, "%s are no permissions",
			doc_quote(quoted, text));
		return;
	}
	*permissions = (uint32_t)strtoul(text, NULL, 8);
}

static json_t *
encode_permissions(const struct document *doc __rte_unused,
	const struct doc_field *field __rte_unused, const void *in)
{
	const uint32_t *permissions = in;
	char text[16];

	if (*permissions == 0)
		return json_null();
	snprintf(text, sizeof(text), "%04o", *permissions);
	return json_string(text);
}

static void
decode_socket(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out)
{
	char **path = out;

	doc_decode_text(r, at, value, field, path);
	if (*path != NULL && (*path)[strlen(*path) - 1] == '/') {
		doc_finding_add(r->findings, at, field->expect, "is the path of a folder");
		free(*path);
		*path = NULL;
	}
}

enum {
	BACKEND_TYPE,
	BACKEND_FILE,
	BACKEND_DEVICE,
	BACKEND_SOCKET,
	BACKEND_MODE,
	BACKEND_OWNER,
	BACKEND_GROUP,
	BACKEND_PERMISSIONS,
	BACKEND_QUEUE_PAIRS,
	BACKEND_FIELDS,
};

#define TYPE_FIELD                                                                                 \
	[BACKEND_TYPE] = {"type", .expect = "\"sink\", \"pcap\", \"ethdev\" or \"vhost-user\"",    \
		.required = true, .decode = decode_backend_type, .encode = encode_backend_type,    \
		.offset = offsetof(struct doc_backend, type)}
#define FILE_FIELD(is_required)                                                                    \
	[BACKEND_FILE] = {"file", .expect = "the path of the capture file",                        \
		.required = (is_required), .decode = decode_file, .encode = doc_encode_text,       \
		.offset = offsetof(struct doc_backend, file), .max = PATH_MAX - 1}
#define DEVICE_FIELD(is_required)                                                                  \
	[BACKEND_DEVICE] = {"device", .expect = DOC_DEVICE_EXPECT, .required = (is_required),      \
		.decode = doc_decode_device, .encode = doc_encode_text,                            \
		.offset = offsetof(struct doc_backend, device),                                    \
		.max = DOC_ARGUMENT_MAX}
#define TEXT_FIELD(index, name, member, length, hint)                                              \
	[index] = {name, .expect = (hint), .decode = doc_decode_text, .encode = doc_encode_text,   \
		.offset = offsetof(struct doc_backend, member), .max = (length)}
#define VHOST_FIELDS(is_required)                                                                  \
	[BACKEND_SOCKET] = {"socket", .expect = "the path of the socket, at most 107 bytes",       \
		.required = (is_required), .decode = decode_socket, .encode = doc_encode_text,     \
		.offset = offsetof(struct doc_backend, socket), .max = VMQ_VHOST_SOCKET_MAX},      \
	[BACKEND_MODE] = {"mode", .expect = "\"client\" (the VM's side makes the socket) or "      \
					    "\"server\" (vmqd makes it)",                           \
		.decode = decode_mode, .encode = encode_mode, .offset = offsetof(struct doc_backend, server)},            \
	TEXT_FIELD(BACKEND_OWNER, "owner", owner, VMQ_VHOST_OWNER_SIZE - 1,                        \
		"name or number of a user"),                                                       \
	TEXT_FIELD(BACKEND_GROUP, "group", group, VMQ_VHOST_OWNER_SIZE - 1,                        \
		"name or number of a group"),                                                      \
	[BACKEND_PERMISSIONS] = {"permissions", .expect = "octal digits such as \"0660\"",         \
		.decode = decode_permissions, .encode = encode_permissions,                        \
		.offset = offsetof(struct doc_backend, permissions)},                              \
	[BACKEND_QUEUE_PAIRS] = {"queue_pairs",                                                    \
		DOC_INTEGER(struct doc_backend, queue_pairs, 1, VMQ_VHOST_PAIRS_MAX)}

#define FOREIGN(index, name, of_type)                                                              \
	[index] = {name, .expect = "leave it out, or set \"type\" to \"" of_type "\"",             \
		.decode = refuse_backend_key, .foreign = true}
#define NO_FILE_FIELD FOREIGN(BACKEND_FILE, "file", "pcap")
#define NO_DEVICE_FIELD FOREIGN(BACKEND_DEVICE, "device", "ethdev")
#define NO_VHOST_FIELDS                                                                            \
	FOREIGN(BACKEND_SOCKET, "socket", "vhost-user"),                                           \
		FOREIGN(BACKEND_MODE, "mode", "vhost-user"),                                       \
		FOREIGN(BACKEND_OWNER, "owner", "vhost-user"),                                     \
		FOREIGN(BACKEND_GROUP, "group", "vhost-user"),                                     \
		FOREIGN(BACKEND_PERMISSIONS, "permissions", "vhost-user"),                         \
		FOREIGN(BACKEND_QUEUE_PAIRS, "queue_pairs", "vhost-user")

static const struct doc_field backend_fields[VMQ_BACKEND_COUNT + 1][BACKEND_FIELDS] = {
	[VMQ_BACKEND_SINK] = {TYPE_FIELD, NO_FILE_FIELD, NO_DEVICE_FIELD, NO_VHOST_FIELDS},
	[VMQ_BACKEND_PCAP] = {TYPE_FIELD, FILE_FIELD(true), NO_DEVICE_FIELD, NO_VHOST_FIELDS},
	[VMQ_BACKEND_ETHDEV] = {TYPE_FIELD, NO_FILE_FIELD, DEVICE_FIELD(true), NO_VHOST_FIELDS},
	[VMQ_BACKEND_VHOST] = {TYPE_FIELD, NO_FILE_FIELD, NO_DEVICE_FIELD, VHOST_FIELDS(true)},
	/* The type is not known: nothing can be said about the others. */
	[VMQ_BACKEND_COUNT] = {TYPE_FIELD, FILE_FIELD(false), DEVICE_FIELD(false),
		VHOST_FIELDS(false)},
};

/* Who may connect is settled by who makes the socket. */
static void
check_client(struct doc_reader *r, const struct doc_path *at, json_t *value)
{
	static const char *const keys[] = {"owner", "group", "permissions"};
	size_t i;

	for (i = 0; i < RTE_DIM(keys); i++)
		if (json_object_get(value, keys[i]) != NULL)
			doc_finding_add(r->findings, DOC_KEY(at, keys[i]),
				"leave it out, or set \"mode\" to \"server\"",
				"the VM's side makes the socket, and \"%s\" is of a socket that "
				"vmqd makes", keys[i]);
}

void
doc_decode_backend(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field __rte_unused, void *out)
{
	const char *type = json_string_value(json_object_get(value, "type"));
	struct doc_backend *backend = out;
	uint32_t wrong;

	backend->queue_pairs = 1;
	wrong = doc_decode_object(r, at, value, backend_fields[backend_type(type)],
		BACKEND_FIELDS, out);
	if (backend->type == VMQ_BACKEND_VHOST && !backend->server &&
		!doc_is_wrong(wrong, BACKEND_MODE) && !doc_is_wrong(wrong, BACKEND_TYPE))
		check_client(r, at, value);
}

json_t *
doc_encode_backend(const struct document *doc, const struct doc_field *field __rte_unused,
	const void *in)
{
	const struct doc_backend *backend = in;
	json_t *object = json_object();

	if (doc_encode_object(doc, object, backend_fields[backend->type], BACKEND_FIELDS,
		backend) == 0)
		return object;
	json_decref(object);
	return NULL;
}
