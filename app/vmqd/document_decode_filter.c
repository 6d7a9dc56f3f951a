/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <stdio.h>
#include <string.h>

#include <rte_common.h>
#include <rte_ether.h>

#include "document_private.h"

/* The filters of a queue. See document_decode.c. */

#define MAC_EXPECT "a unicast address such as \"52:54:00:00:00:01\""

static void
decode_mac(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out)
{
	struct vmq_filter_match *match = out;
	const char *text = json_string_value(value);
	char quoted[DOC_QUOTE_SIZE];
	unsigned int i;
	int end = 0;
	uint8_t *b = match->mac.addr_bytes;

	if (text == NULL) {
		doc_wrong_type(r, at, value, "a string", field->expect);
		return;
	}
	/* Exactly six pairs: sscanf() alone would also take blanks, signs and "0x". */
	for (i = 0; i < 17 && text[i] != '\0'; i++) {
		if (i % 3 == 2 ? text[i] != ':' : strchr("0123456789abcdefABCDEF", text[i]) == NULL)
			break;
	}
	if (i != 17 || json_string_length(value) != 17 ||
		sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &b[0], &b[1], &b[2], &b[3],
			&b[4], &b[5], &end) != 6 || end != 17) {
		doc_finding_add(r->findings, at, field->expect, "%s is not a MAC address",
			doc_quote(quoted, text));
		return;
	}
	if (rte_is_multicast_ether_addr(&match->mac)) {
		doc_finding_add(r->findings, at, field->expect,
			rte_is_broadcast_ether_addr(&match->mac)
				? "is the broadcast address, which goes to the default queue"
				: "is a multicast address: the first byte is odd");
		return;
	}
	if (rte_is_zero_ether_addr(&match->mac)) {
		doc_finding_add(r->findings, at, field->expect,
			"is the all-zero address, which is nobody's");
		return;
	}
	match->has_mac = true;
}

static void
decode_vlan(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out)
{
	static const char *const words[] = {"untagged", "any"};
	struct vmq_filter_match *match = out;
	char hint[64], quoted[DOC_QUOTE_SIZE];
	const char *text = json_string_value(value);
	int meant;

	if (json_is_integer(value)) {
		json_int_t id = json_integer_value(value);

		if (id >= 1 && id <= 4094) {
			match->vlan_test = VMQ_VLAN_ID;
			match->vlan_id = (uint16_t)id;
		} else if (id == 0) {
			doc_finding_add(r->findings, at, "write \"untagged\"",
				"VLAN 0 means no VLAN");
		} else if (id == 4095) {
			doc_finding_add(r->findings, at, field->expect, "VLAN 4095 is reserved");
		} else {
			doc_decode_integer(r, at, value, field, &match->vlan_id);
		}
		return;
	}
	if (text == NULL) {
		doc_wrong_type(r, at, value, "a number, \"untagged\" or \"any\"", field->expect);
		return;
	}
	if (strcmp(text, "untagged") == 0) {
		match->vlan_test = VMQ_VLAN_UNTAGGED;
	} else if (strcmp(text, "any") == 0) {
		match->vlan_test = VMQ_VLAN_ANY;
	} else {
		meant = doc_nearest(text, words, RTE_DIM(words));
		if (meant >= 0)
			snprintf(hint, sizeof(hint), "did you mean \"%s\"?", words[meant]);
		else if (*text != '\0' && strlen(text) <= 4 &&
			strspn(text, "0123456789") == strlen(text))
			snprintf(hint, sizeof(hint), "write the number without quotes: %s", text);
		else
			snprintf(hint, sizeof(hint), "%s", field->expect);
		doc_finding_add(r->findings, at, hint, "%s is not a VLAN", doc_quote(quoted, text));
	}
}

static json_t *
encode_mac(const struct document *doc __rte_unused, const struct doc_field *field __rte_unused,
	const void *in)
{
	const struct vmq_filter_match *match = in;
	char text[RTE_ETHER_ADDR_FMT_SIZE];

	if (!match->has_mac)
		return json_null();
	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x",
		RTE_ETHER_ADDR_BYTES(&match->mac));
	return json_string(text);
}

static json_t *
encode_vlan(const struct document *doc __rte_unused, const struct doc_field *field __rte_unused,
	const void *in)
{
	const struct vmq_filter_match *match = in;

	if (match->vlan_test == VMQ_VLAN_ID)
		return json_integer(match->vlan_id);
	return json_string(match->vlan_test == VMQ_VLAN_UNTAGGED ? "untagged" : "any");
}

enum {
	FILTER_MAC,
	FILTER_VLAN,
};

/* Both decoders write several members: they get the whole structure. */
static const struct doc_field filter_fields[] = {
	[FILTER_MAC] = {"mac", .expect = MAC_EXPECT, .decode = decode_mac, .encode = encode_mac},
	[FILTER_VLAN] = {"vlan", .expect = "a number from 1 to 4094, \"untagged\" or \"any\"",
		.decode = decode_vlan, .encode = encode_vlan, .size = sizeof(uint16_t), .min = 1, .max = 4094},
};

static void
decode_filter(struct doc_reader *r, const struct doc_path *at, json_t *value,
	struct vmq_filter_match *match)
{
	struct vmq_error err = {""};
	uint32_t wrong;

	wrong = doc_decode_object(r, at, value, filter_fields, RTE_DIM(filter_fields), match);
	if (wrong != 0) {
		*match = (struct vmq_filter_match){0};
	} else if (!match->has_mac && match->vlan_test != VMQ_VLAN_ID) {
		doc_finding_add(r->findings, at, "add a \"mac\", or a \"vlan\" from 1 to 4094",
			"a filter without \"mac\" needs a number as its \"vlan\"");
		*match = (struct vmq_filter_match){0};
	} else if (vmq_filter_match_check(match, &err) != VMQ_STATUS_SUCCESS) {
		doc_finding_add(r->findings, at, NULL, "%s", err.text);
		*match = (struct vmq_filter_match){0};
	}
}

void
doc_decode_filters(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out)
{
	struct doc_queue *queue = out;
	json_t *item;
	size_t i;

	if (!doc_is_array(r, at, value, field->expect))
		return;
	queue->filters = doc_alloc(r, json_array_size(value), sizeof(*queue->filters));
	if (queue->filters == NULL)
		return;
	queue->n_filters = json_array_size(value);
	json_array_foreach(value, i, item)
		decode_filter(r, DOC_INDEX(at, i), item, &queue->filters[i]);
}

bool
doc_read_filter(json_t *value, struct vmq_filter_match *match)
{
	struct doc_findings findings = {0};
	struct doc_reader r = {.findings = &findings};

	*match = (struct vmq_filter_match){0};
	decode_filter(&r, NULL, value, match);
	doc_findings_free(&findings);
	return doc_filter_known(match);
}

json_t *
doc_encode_filters(const struct document *doc, const struct doc_field *field __rte_unused,
	const void *in)
{
	const struct doc_queue *queue = in;
	json_t *list = json_array(), *filter;
	size_t i;

	for (i = 0; i < queue->n_filters; i++) {
		filter = json_object();
		if (doc_encode_object(doc, filter, filter_fields, RTE_DIM(filter_fields),
			&queue->filters[i]) < 0 || json_array_append(list, filter) < 0) {
			json_decref(filter);
			json_decref(list);
			return NULL;
		}
		json_decref(filter);
	}
	return list;
}
