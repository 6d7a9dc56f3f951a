/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Typed requests to and from JSON, by the tables of oid_fields.c. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oid_fields.h"

/* What a request buffer, and each element in it, is aligned to (vmq_oid.h). */
#define ALIGN 8

/* Elements of one array: what a request of the largest size can have. */
#define ELEMENTS_MAX 65536

void
information_free(struct information *information)
{
	free(information->bytes);
	*information = (struct information){0};
}

bool
information_reserve(struct information *information, size_t capacity)
{
	uint8_t *grown;

	if (capacity <= information->capacity)
		return true;
	/* malloc() aligns to 16. */
	grown = realloc(information->bytes, capacity);
	if (grown == NULL)
		return false;
	memset(grown + information->capacity, 0, capacity - information->capacity);
	information->bytes = grown;
	information->capacity = capacity;
	return true;
}

/* Where decoding is, for messages. */
struct place {
	struct information *information;
	char *pointer; /* grows and shrinks */
	size_t size;
	struct vmq_error *why;
};

static bool
wrong(const struct place *place, const char *key, const char *expected)
{
	const size_t length = strlen(place->pointer);

	snprintf(place->pointer + length, place->size - length, "/%.64s", key);
	vmq_error_set(place->why, VMQ_STATUS_INVALID_PARAMETER, "\"%.64s\" must be %s", key,
		expected);
	return false;
}

static bool
number_from(const struct place *place, const struct field *field, const json_t *value,
	uint32_t *number)
{
	const json_int_t integer = json_integer_value(value);

	if (field->kind == FIELD_SIGNED) {
		if (!json_is_integer(value) || integer < INT32_MIN || integer > INT32_MAX)
			return wrong(place, field->name, "an integer of 32 bits");
		*number = (uint32_t)(int32_t)integer;
		return true;
	}
	if (!json_is_integer(value) || integer < 0 || integer > UINT32_MAX)
		return wrong(place, field->name, "an integer from 0 to 4294967295");
	*number = (uint32_t)integer;
	return true;
}

/* The names of a field's values, for a message. */
static const char *
expected_names(const struct field *field, const char *what, char *text, size_t size)
{
	const struct field_name *name;
	size_t length = (size_t)snprintf(text, size, "%s", what);

	for (name = field->names; name->name != NULL && length < size; name++)
		length += (size_t)snprintf(text + length, size - length, " \"%s\"", name->name);
	return text;
}

static const struct field_name *
name_from(const struct field *field, const json_t *value)
{
	const struct field_name *name;

	if (!json_is_string(value))
		return NULL;
	for (name = field->names; name->name != NULL; name++)
		if (strcmp(name->name, json_string_value(value)) == 0)
			return name;
	return NULL;
}

static bool
choice_from(const struct place *place, const struct field *field, const json_t *value,
	uint32_t *number)
{
	const struct field_name *name = name_from(field, value);
	char text[256];

	if (json_is_integer(value))
		return number_from(place, field, value, number);
	if (name == NULL)
		return wrong(place, field->name,
			expected_names(field, "a number or one of", text, sizeof(text)));
	*number = name->value;
	return true;
}

static bool
flags_from(const struct place *place, const struct field *field, const json_t *value,
	uint32_t *number)
{
	const struct field_name *name;
	char text[256];
	json_t *item;
	size_t i;

	if (json_is_integer(value))
		return number_from(place, field, value, number);
	expected_names(field, "a number or a list of", text, sizeof(text));
	if (!json_is_array(value))
		return wrong(place, field->name, text);
	*number = 0;
	json_array_foreach(value, i, item) {
		name = name_from(field, item);
		if (name == NULL)
			return wrong(place, field->name, text);
		*number |= name->value;
	}
	return true;
}

static bool
workers_from(const struct place *place, const struct field *field, const json_t *value,
	uint64_t *mask)
{
	json_t *item;
	size_t i;

	*mask = 0;
	if (!json_is_array(value))
		return wrong(place, field->name, "a list of numbers from 0 to 63");
	json_array_foreach(value, i, item) {
		if (!json_is_integer(item) || json_integer_value(item) < 0 ||
			json_integer_value(item) > 63)
			return wrong(place, field->name, "a list of numbers from 0 to 63");
		*mask |= UINT64_C(1) << json_integer_value(item);
	}
	return true;
}

bool
rpc_mac_from_text(const char *text, uint8_t mac[6])
{
	unsigned int i;
	int end = 0;

	/* Exactly six pairs: sscanf() alone would also take blanks, signs and "0x". */
	for (i = 0; i < 17 && text[i] != '\0'; i++)
		if (i % 3 == 2 ? text[i] != ':' : strchr("0123456789abcdefABCDEF", text[i]) == NULL)
			return false;
	return i == 17 && text[17] == '\0' &&
		sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2],
			&mac[3], &mac[4], &mac[5], &end) == 6 && end == 17;
}

static bool
value_from(const struct place *place, const struct field *field, const json_t *value,
	union vmq_oid_value *to)
{
	const json_int_t integer = json_integer_value(value);

	memset(to, 0, sizeof(*to));
	if (json_is_string(value)) {
		if (!rpc_mac_from_text(json_string_value(value), to->bytes))
			return wrong(place, field->name, "an address or a number");
		return true;
	}
	if (!json_is_integer(value) || integer < 0 || integer > UINT16_MAX)
		return wrong(place, field->name, "an address, or a number from 0 to 65535");
	to->u16 = (uint16_t)integer; /* a priority's byte comes first on little endian */
	if (RTE_BYTE_ORDER == RTE_BIG_ENDIAN && integer <= UINT8_MAX)
		to->u8 = (uint8_t)integer;
	return true;
}

static bool structure_from(struct place *place, const struct structure *structure,
	const json_t *object, size_t at);

static bool
array_from(struct place *place, const struct field *field, const json_t *value, size_t at)
{
	struct information *information = place->information;
	const size_t element = RTE_ALIGN_CEIL((size_t)field->element->sizes[0], (size_t)ALIGN);
	const size_t first = RTE_ALIGN_CEIL(information->length, (size_t)ALIGN);
	const size_t n = json_array_size(value), length = strlen(place->pointer);
	struct vmq_oid_array array;
	json_t *item;
	size_t i;

	if (!json_is_array(value) || n > ELEMENTS_MAX)
		return wrong(place, field->name, "a list of at most 65536 objects");
	array = (struct vmq_oid_array){
		.first_offset = (uint32_t)first,
		.n_elements = (uint32_t)n,
		.element_size = (uint32_t)element,
	};
	if (!information_reserve(information, first + n * element)) {
		vmq_error_set(place->why, VMQ_STATUS_RESOURCES, "no memory for the request");
		return false;
	}
	information->length = first + n * element;
	memcpy(information->bytes + at + field->offset, &array, sizeof(array));
	json_array_foreach(value, i, item) {
		snprintf(place->pointer + length, place->size - length, "/%s/%zu", field->name, i);
		if (!structure_from(place, field->element, item, first + i * element))
			return false;
		place->pointer[length] = '\0';
	}
	return true;
}

/* One field; at: where its structure begins in the buffer, which may move. */
static bool
field_from(struct place *place, const struct field *field, const json_t *value, size_t at)
{
	uint8_t *to = place->information->bytes + at + field->offset;
	union vmq_oid_value frame_value;
	uint32_t number = 0;
	uint64_t mask;
	char text[64];
	bool ok;

	switch (field->kind) {
	case FIELD_TEXT:
		if (!json_is_string(value) || json_string_length(value) >= field->size) {
			snprintf(text, sizeof(text), "a string of at most %u bytes",
				field->size - 1);
			return wrong(place, field->name, text);
		}
		memcpy(to, json_string_value(value), json_string_length(value) + 1);
		return true;
	case FIELD_WORKERS:
		if (!workers_from(place, field, value, &mask))
			return false;
		memcpy(to, &mask, sizeof(mask));
		return true;
	case FIELD_VALUE:
		if (!value_from(place, field, value, &frame_value))
			return false;
		memcpy(to, &frame_value, sizeof(frame_value));
		return true;
	case FIELD_ARRAY:
		return array_from(place, field, value, at);
	case FIELD_FLAGS:
		ok = flags_from(place, field, value, &number);
		break;
	case FIELD_CHOICE:
		ok = choice_from(place, field, value, &number);
		break;
	default:
		ok = number_from(place, field, value, &number);
	}
	if (ok)
		memcpy(to, &number, sizeof(number));
	return ok;
}

static const struct field *
find_field(const struct structure *structure, const char *name)
{
	const struct field *field;

	for (field = structure->fields; field->name != NULL; field++)
		if (strcmp(field->name, name) == 0)
			return field;
	return NULL;
}

static bool
check_keys(const struct place *place, const struct structure *structure, const json_t *object,
	size_t size)
{
	const struct field *field;
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, key, value) {
		if (strcmp(key, "revision") == 0)
			continue;
		field = find_field(structure, key);
		if (field == NULL)
			return wrong(place, key, "left out: the structure has no such field");
		if ((field->flags & FIELD_OUT) != 0)
			return wrong(place, key, "left out: it is output only");
		if ((size_t)field->offset + field->size > size)
			return wrong(place, key, "left out: a later revision has it");
	}
	return true;
}

/* The size of the revision asked for, or of the latest one; 0: there is none such. */
static unsigned int
revision_from(const struct structure *structure, const json_t *object)
{
	const json_t *given = json_object_get(object, "revision");
	const unsigned int n = structure_revisions(structure);

	if (given == NULL)
		return n;
	if (!json_is_integer(given) || json_integer_value(given) < 1 ||
		json_integer_value(given) > n)
		return 0;
	return (unsigned int)json_integer_value(given);
}

/* at: room for the structure is there, all 0. */
static bool
structure_from(struct place *place, const struct structure *structure, const json_t *object,
	size_t at)
{
	const unsigned int revision = revision_from(structure, object);
	struct vmq_oid_header header;
	const struct field *field;
	const json_t *value;

	if (!json_is_object(object)) {
		vmq_error_set(place->why, VMQ_STATUS_INVALID_PARAMETER,
			"%s must be an object, with the fields that oid.list describes",
			structure->name);
		return false;
	}
	if (revision == 0)
		return wrong(place, "revision", "that of a revision there is");
	header = (struct vmq_oid_header){VMQ_OID_OBJECT_TYPE, (uint8_t)revision,
		structure->sizes[revision - 1]};
	memcpy(place->information->bytes + at, &header, sizeof(header));
	if (!check_keys(place, structure, object, header.size))
		return false;
	for (field = structure->fields; field->name != NULL; field++) {
		if ((size_t)field->offset + field->size > header.size ||
			(field->flags & FIELD_OUT) != 0)
			continue;
		value = json_object_get(object, field->name);
		if (value == NULL && (field->flags & FIELD_NEEDED) != 0)
			return wrong(place, field->name, "there");
		if (value != NULL) {
			if (!field_from(place, field, value, at))
				return false;
		} else if (field->otherwise != 0) {
			memcpy(place->information->bytes + at + field->offset, &field->otherwise,
				sizeof(field->otherwise));
		}
	}
	return true;
}

bool
information_decode(struct information *information, const struct structure *structure,
	const json_t *object, char *pointer, size_t size, struct vmq_error *why)
{
	struct place place = {information, pointer, size, why};
	const size_t n = structure_revisions(structure);

	pointer[0] = '\0';
	if (!information_reserve(information, structure->sizes[n - 1])) {
		vmq_error_set(why, VMQ_STATUS_RESOURCES, "no memory for the request");
		return false;
	}
	information->length = structure->sizes[n - 1];
	return structure_from(&place, structure, object, 0);
}

static json_t *
choice_to(const struct field *field, uint32_t number)
{
	const struct field_name *name;

	for (name = field->names; name->name != NULL; name++)
		if (name->value == number)
			return json_string(name->name);
	return json_integer(number);
}

/* A list of names; a bit without a name makes it a number. */
static json_t *
flags_to(const struct field *field, uint32_t number)
{
	json_t *list = json_array();
	const struct field_name *name;
	uint32_t rest = number;

	for (name = field->names; name->name != NULL; name++) {
		if ((number & name->value) == 0)
			continue;
		json_array_append_new(list, json_string(name->name));
		rest &= ~name->value;
	}
	if (rest == 0)
		return list;
	json_decref(list);
	return json_integer(number);
}

static json_t *
workers_to(const uint8_t *from)
{
	json_t *list = json_array();
	unsigned int i;
	uint64_t mask;

	memcpy(&mask, from, sizeof(mask));
	for (i = 0; i < 64; i++)
		if ((mask >> i) & 1)
			json_array_append_new(list, json_integer(i));
	return list;
}

/* The value of a test: an address or a number, by the field it looks at. */
static json_t *
value_to(const uint8_t *from, const uint8_t *test)
{
	struct vmq_oid_field_parameters parameters;
	union vmq_oid_value value;
	char text[18];

	memcpy(&value, from, sizeof(value));
	memcpy(&parameters, test, sizeof(parameters));
	switch (parameters.field) {
	case VMQ_OID_FIELD_DESTINATION:
	case VMQ_OID_FIELD_SOURCE:
		snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", value.bytes[0],
			value.bytes[1], value.bytes[2], value.bytes[3], value.bytes[4],
			value.bytes[5]);
		return json_string(text);
	case VMQ_OID_FIELD_PRIORITY:
		return json_integer(value.u8);
	default:
		return json_integer(value.u16);
	}
}

static json_t *structure_to(const struct information *information,
	const struct structure *structure, size_t at);

static json_t *
array_to(const struct information *information, const struct structure *element,
	const uint8_t *from)
{
	json_t *list = json_array();
	struct vmq_oid_array array;
	uint32_t i;
	size_t at;

	memcpy(&array, from, sizeof(array));
	for (i = 0; i < array.n_elements; i++) {
		at = array.first_offset + (size_t)i * array.element_size;
		if (at + element->sizes[0] > information->length)
			break;
		json_array_append_new(list, structure_to(information, element, at));
	}
	return list;
}

static json_t *
field_to(const struct information *information, const struct field *field, size_t at)
{
	const uint8_t *from = information->bytes + at + field->offset;
	uint32_t number;

	switch (field->kind) {
	case FIELD_TEXT:
		return rpc_string((const char *)from);
	case FIELD_WORKERS:
		return workers_to(from);
	case FIELD_VALUE:
		return value_to(from, information->bytes + at);
	case FIELD_ARRAY:
		return array_to(information, field->element, from);
	default:
		memcpy(&number, from, sizeof(number));
	}
	switch (field->kind) {
	case FIELD_FLAGS:
		return flags_to(field, number);
	case FIELD_CHOICE:
		return choice_to(field, number);
	case FIELD_SIGNED:
		return json_integer((int32_t)number);
	default:
		return json_integer(number);
	}
}

static json_t *
structure_to(const struct information *information, const struct structure *structure, size_t at)
{
	json_t *object = json_object();
	struct vmq_oid_header header;
	const struct field *field;

	memcpy(&header, information->bytes + at, sizeof(header));
	if (structure_revisions(structure) > 1)
		json_object_set_new(object, "revision", json_integer(header.revision));
	for (field = structure->fields; field->name != NULL; field++)
		if ((size_t)field->offset + field->size <= header.size)
			json_object_set_new(object, field->name, field_to(information, field, at));
	return object;
}

json_t *
information_encode(const struct information *information, const struct structure *structure)
{
	return structure_to(information, structure, 0);
}

static json_t *
names_describe(const struct field_name *names)
{
	json_t *object = json_object();

	for (; names->name != NULL; names++)
		json_object_set_new(object, names->name, json_integer(names->value));
	return object;
}

json_t *
structure_describe(const struct structure *structure)
{
	json_t *fields = json_array(), *sizes = json_array(), *row;
	const struct field *field;
	unsigned int i;

	for (i = 0; i < structure_revisions(structure); i++)
		json_array_append_new(sizes, json_integer(structure->sizes[i]));
	for (field = structure->fields; field->name != NULL; field++) {
		row = json_pack("{s:s, s:s, s:i, s:i, s:b, s:b, s:s}", "name", field->name, "type",
			field_kind_name(field->kind), "offset", (int)field->offset, "size",
			(int)field->size, "output_only", (field->flags & FIELD_OUT) != 0, "required",
			(field->flags & FIELD_NEEDED) != 0, "help", field->help);
		if (field->names != NULL)
			json_object_set_new(row, "names", names_describe(field->names));
		if (field->element != NULL)
			json_object_set_new(row, "element", json_string(field->element->name));
		json_array_append_new(fields, row);
	}
	return json_pack("{s:s, s:o, s:o}", "name", structure->name, "sizes", sizes, "fields", fields);
}
