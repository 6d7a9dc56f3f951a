/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <limits.h>
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

#define TYPE_FIELD \
	{"type", .expect = "\"sink\", \"pcap\" or \"ethdev\"", .required = true, \
		.decode = decode_backend_type, .encode = encode_backend_type, \
		.offset = offsetof(struct doc_backend, type)}
#define FILE_FIELD(is_required) \
	{"file", .expect = "the path of the capture file", .required = (is_required), \
		.decode = decode_file, .encode = doc_encode_text, \
		.offset = offsetof(struct doc_backend, file), \
		.max = PATH_MAX - 1}
#define DEVICE_FIELD(is_required) \
	{"device", .expect = DOC_DEVICE_EXPECT, .required = (is_required), \
		.decode = doc_decode_device, .encode = doc_encode_text, \
		.offset = offsetof(struct doc_backend, device), \
		.max = DOC_ARGUMENT_MAX}
#define NO_FILE_FIELD \
	{"file", .expect = "leave it out, or set \"type\" to \"pcap\"", \
		.decode = refuse_backend_key, .foreign = true}
#define NO_DEVICE_FIELD \
	{"device", .expect = "leave it out, or set \"type\" to \"ethdev\"", \
		.decode = refuse_backend_key, .foreign = true}

#define BACKEND_FIELDS 3
static const struct doc_field backend_fields[VMQ_BACKEND_COUNT + 1][BACKEND_FIELDS] = {
	[VMQ_BACKEND_SINK] = {TYPE_FIELD, NO_FILE_FIELD, NO_DEVICE_FIELD},
	[VMQ_BACKEND_PCAP] = {TYPE_FIELD, FILE_FIELD(true), NO_DEVICE_FIELD},
	[VMQ_BACKEND_ETHDEV] = {TYPE_FIELD, NO_FILE_FIELD,
		DEVICE_FIELD(true)},
	/* The type is not known: nothing can be said about the other two. */
	[VMQ_BACKEND_COUNT] = {TYPE_FIELD, FILE_FIELD(false),
		DEVICE_FIELD(false)},
};

void
doc_decode_backend(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field __rte_unused, void *out)
{
	const char *type = json_string_value(json_object_get(value, "type"));

	doc_decode_object(r, at, value, backend_fields[backend_type(type)], BACKEND_FIELDS, out);
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
