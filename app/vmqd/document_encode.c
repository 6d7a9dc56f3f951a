/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <string.h>

#include <rte_common.h>

#include "document_private.h"

int
doc_encode_object(const struct document *doc, json_t *object, const struct doc_field *fields,
	size_t n, const void *in)
{
	json_t *value;
	size_t i;

	if (object == NULL)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		if (fields[i].foreign)
			continue;
		/* A key without an encoder would be lost with the next save: that is a bug. */
		RTE_VERIFY(fields[i].encode != NULL);
		value = fields[i].encode(doc, &fields[i], (const char *)in + fields[i].offset);
		if (json_is_null(value))
			continue;
		if (json_object_set_new(object, fields[i].key, value) < 0)
			return -ENOMEM;
	}
	return 0;
}

json_t *
doc_encode_integer(const struct document *doc __rte_unused, const struct doc_field *field,
	const void *in)
{
	uint16_t u16;
	uint32_t u32;

	/* No member is negative once its document was right. */
	if (field->size == sizeof(u16)) {
		memcpy(&u16, in, sizeof(u16));
		u32 = u16;
	} else {
		memcpy(&u32, in, sizeof(u32));
	}
	return u32 == 0 && field->min > 0 ? json_null() : json_integer(u32);
}

json_t *
doc_encode_bool(const struct document *doc __rte_unused,
	const struct doc_field *field __rte_unused, const void *in)
{
	return json_boolean(*(const bool *)in);
}

json_t *
doc_encode_text(const struct document *doc __rte_unused,
	const struct doc_field *field __rte_unused, const void *in)
{
	const char *const *text = in;

	return *text == NULL ? json_null() : json_string(*text);
}

json_t *
doc_encode_cpus(const int *cpus, size_t n_cpus)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < n_cpus; i++) {
		if (json_array_append_new(list, json_integer(cpus[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}
