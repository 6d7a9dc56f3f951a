/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "document_private.h"

#define FIELDS_MAX 32

static const char *
type_text(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "an integer";
	case JSON_REAL:
		return "a number with a fraction or an exponent";
	case JSON_TRUE:
	case JSON_FALSE:
		return "true or false";
	default:
		return "null";
	}
}

void
doc_wrong_type(struct doc_reader *r, const struct doc_path *at, const json_t *value,
	const char *must_be, const char *expect)
{
	doc_finding_add(r->findings, at, expect, "must be %s, found %s", must_be, type_text(value));
}

bool
doc_is_array(struct doc_reader *r, const struct doc_path *at, const json_t *value,
	const char *expect)
{
	if (json_is_array(value))
		return true;
	doc_wrong_type(r, at, value, "an array", expect);
	return false;
}

void *
doc_alloc(struct doc_reader *r, size_t n, size_t size)
{
	void *p;

	if (n == 0)
		return NULL;
	p = calloc(n, size);
	if (p == NULL)
		r->no_memory = true;
	return p;
}

char *
doc_copy(struct doc_reader *r, const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL)
		r->no_memory = true;
	return copy;
}

/* An unknown key: which known one, that is not there as well, can be meant? */
static int
meant_field(const char *key, const json_t *object, const struct doc_field *fields, size_t n)
{
	const char *words[FIELDS_MAX];
	size_t i;

	for (i = 0; i < n; i++) {
		words[i] = fields[i].key;
		if (fields[i].foreign || json_object_get(object, fields[i].key) != NULL)
			words[i] = NULL;
	}
	return doc_nearest(key, words, n);
}

static void
unknown_key(struct doc_reader *r, const struct doc_path *at, const char *key,
	const struct doc_field *fields, size_t n, int meant)
{
	char quoted[DOC_QUOTE_SIZE], hint[512];
	size_t i, length;

	if (meant >= 0) {
		snprintf(hint, sizeof(hint), "did you mean \"%s\"?", fields[meant].key);
	} else {
		length = (size_t)snprintf(hint, sizeof(hint), "allowed here:");
		for (i = 0; i < n && length < sizeof(hint); i++) {
			if (!fields[i].foreign)
				length += (size_t)snprintf(hint + length, sizeof(hint) - length,
					" \"%s\"", fields[i].key);
		}
	}
	doc_finding_add(r->findings, at, hint, "unknown key %s", doc_quote(quoted, key));
}

uint32_t
doc_decode_object(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *fields, size_t n, void *out)
{
	const struct doc_field *field;
	uint32_t wrong = 0;
	size_t i, before;
	const char *key;
	json_t *member;
	int meant;

	if (!json_is_object(value)) {
		doc_wrong_type(r, at, value, "an object", NULL);
		return UINT32_MAX;
	}
	json_object_foreach(value, key, member) {
		for (i = 0; i < n && strcmp(fields[i].key, key) != 0; i++)
			;
		if (i < n)
			continue;
		meant = meant_field(key, value, fields, n);
		if (meant >= 0)
			wrong |= UINT32_C(1) << meant;
		unknown_key(r, DOC_KEY(at, key), key, fields, n, meant);
	}
	for (i = 0; i < n; i++) {
		field = &fields[i];
		member = json_object_get(value, field->key);
		if (member == NULL) {
			if (!field->required || (wrong & (UINT32_C(1) << i)) != 0)
				continue;
			doc_finding_add(r->findings, at, field->expect, "key \"%s\" is missing",
				field->key);
			wrong |= UINT32_C(1) << i;
			continue;
		}
		before = r->findings->count + r->findings->dropped;
		field->decode(r, DOC_KEY(at, field->key), member, field,
			(char *)out + field->offset);
		if (r->findings->count + r->findings->dropped != before)
			wrong |= UINT32_C(1) << i;
	}
	return wrong;
}

void
doc_decode_bool(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out)
{
	if (json_is_boolean(value))
		*(bool *)out = json_is_true(value);
	else
		doc_wrong_type(r, at, value, "true or false", field->expect);
}

void
doc_decode_integer(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out)
{
	int64_t number = field->min > 0 ? 0 : -1;
	char range[128];
	const char *hint = field->expect;
	json_int_t found;
	uint16_t u16;
	int32_t i32;

	if (hint == NULL) {
		snprintf(range, sizeof(range), "an integer from %" PRId64 " to %" PRId64,
			field->min, field->max);
		hint = range;
	}
	if (!json_is_integer(value)) {
		doc_wrong_type(r, at, value, "an integer", hint);
	} else {
		found = json_integer_value(value);
		if (found >= field->min && found <= field->max)
			number = found;
		else if (found == INT64_MAX || found == INT64_MIN)
			doc_finding_add(r->findings, at, hint, "such a number is out of range");
		else
			doc_finding_add(r->findings, at, hint,
				"%" JSON_INTEGER_FORMAT " is out of range", found);
	}
	/* memcpy: the member may be signed or not. */
	u16 = (uint16_t)number;
	i32 = (int32_t)number;
	if (field->size == sizeof(u16))
		memcpy(out, &u16, sizeof(u16));
	else
		memcpy(out, &i32, sizeof(i32));
}

void
doc_decode_text(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out)
{
	const unsigned char *text;
	size_t length, i;

	if (!json_is_string(value)) {
		doc_wrong_type(r, at, value, "a string", field->expect);
		return;
	}
	text = (const unsigned char *)json_string_value(value);
	length = json_string_length(value);
	if (length == 0) {
		doc_finding_add(r->findings, at, field->expect, "must not be empty");
		return;
	}
	for (i = 0; i < length; i++) {
		if (text[i] < 0x20 || text[i] == 0x7f) {
			doc_finding_add(r->findings, at, field->expect,
				"control character \\u%04x at byte %zu", text[i], i);
			return;
		}
	}
	if (length > (size_t)field->max) {
		doc_finding_add(r->findings, at, field->expect,
			"is %zu bytes long, more than %" PRId64, length, field->max);
		return;
	}
	*(char **)out = doc_copy(r, (const char *)text);
}
