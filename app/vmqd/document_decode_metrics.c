/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "document_private.h"

/* Longest address with brackets, colon and port. */
#define ADDRESS_MAX (INET6_ADDRSTRLEN + 8)

/* Digits only, 0 to 65535. */
static bool
is_port(const char *text)
{
	size_t length = strspn(text, "0123456789");

	return length > 0 && length <= 5 && text[length] == '\0' && atol(text) <= UINT16_MAX;
}

bool
document_parse_address(const char *text, struct sockaddr_storage *to, socklen_t *length)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)to;
	struct sockaddr_in *in = (struct sockaddr_in *)to;
	const char *colon = strrchr(text, ':');
	char host[ADDRESS_MAX + 1];
	uint16_t port;

	if (colon == NULL || !is_port(colon + 1))
		return false;
	port = htons((uint16_t)atol(colon + 1));
	memset(to, 0, sizeof(*to));
	if (text[0] == '[' && colon[-1] == ']') {
		snprintf(host, sizeof(host), "%.*s", (int)(colon - text) - 2, text + 1);
		in6->sin6_family = AF_INET6;
		in6->sin6_port = port;
		*length = sizeof(*in6);
		return inet_pton(AF_INET6, host, &in6->sin6_addr) == 1;
	}
	snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
	in->sin_family = AF_INET;
	in->sin_port = port;
	*length = sizeof(*in);
	return inet_pton(AF_INET, host, &in->sin_addr) == 1;
}

static void
decode_address(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out)
{
	struct sockaddr_storage binary;
	char **address = out;
	socklen_t length;

	doc_decode_text(r, at, value, field, address);
	if (*address != NULL && !document_parse_address(*address, &binary, &length))
		doc_finding_add(r->findings, at, field->expect,
			"is no IP address with a port (host names are not looked up)");
}

static const struct doc_field metrics_fields[] = {
	{"address", .decode = decode_address, .encode = doc_encode_text, .max = ADDRESS_MAX,
		.required = true, .offset = offsetof(struct document, metrics_address),
		.expect = "an address and a port, such as \"127.0.0.1:9650\" or \"[::1]:9650\""},
};

void
doc_decode_metrics(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field __rte_unused, void *out)
{
	doc_decode_object(r, at, value, metrics_fields, RTE_DIM(metrics_fields), out);
}

json_t *
doc_encode_metrics(const struct document *doc, const struct doc_field *field __rte_unused,
	const void *in)
{
	json_t *object = json_object();

	if (doc_encode_object(doc, object, metrics_fields, RTE_DIM(metrics_fields), in) == 0 &&
		json_object_size(object) > 0)
		return object;
	json_decref(object);
	return doc->metrics_address == NULL ? json_null() : NULL;
}
