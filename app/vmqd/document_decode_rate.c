/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <rte_common.h>

#include "document_private.h"

/* Smallest burst: a frame of the ordinary MTU fits; a longer MTU is checked at the start. */
#define BURST_KB_MIN 2

static const struct doc_field direction_fields[] = {
	{"mbps", DOC_INTEGER(struct vmq_dp_rate, mbps, 1, VMQ_DP_RATE_MBPS_MAX), .required = true},
	{"burst_kb", DOC_INTEGER(struct vmq_dp_rate, burst_kb, BURST_KB_MIN,
			     VMQ_DP_RATE_BURST_KB_MAX)},
};

static void
decode_direction(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field __rte_unused, void *out)
{
	struct vmq_dp_rate *rate = out;

	doc_decode_object(r, at, value, direction_fields, RTE_DIM(direction_fields), rate);
	if (json_object_get(value, "burst_kb") == NULL)
		rate->burst_kb = vmq_dp_rate_burst_default(rate->mbps);
}

static json_t *
encode_fields(const struct document *doc, const struct doc_field *fields, size_t n, const void *in)
{
	json_t *object = json_object();

	if (doc_encode_object(doc, object, fields, n, in) == 0)
		return object;
	json_decref(object);
	return NULL;
}

static json_t *
encode_direction(const struct document *doc, const struct doc_field *field __rte_unused,
	const void *in)
{
	const struct vmq_dp_rate *rate = in;

	if (rate->mbps == 0)
		return json_null();
	return encode_fields(doc, direction_fields, RTE_DIM(direction_fields), rate);
}

#define DIRECTION_EXPECT "such as {\"mbps\": 1000}"

static const struct doc_field rate_fields[] = {
	{"to_vm", .expect = DIRECTION_EXPECT, .decode = decode_direction,
		.encode = encode_direction, .offset = offsetof(struct doc_rate, to_vm)},
	{"from_vm", .expect = DIRECTION_EXPECT, .decode = decode_direction,
		.encode = encode_direction, .offset = offsetof(struct doc_rate, from_vm)},
};

void
doc_decode_rate(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field __rte_unused, void *out)
{
	doc_decode_object(r, at, value, rate_fields, RTE_DIM(rate_fields), out);
}

json_t *
doc_encode_rate(const struct document *doc, const struct doc_field *field __rte_unused,
	const void *in)
{
	const struct doc_rate *rate = in;

	if (rate->to_vm.mbps == 0 && rate->from_vm.mbps == 0)
		return json_null();
	return encode_fields(doc, rate_fields, RTE_DIM(rate_fields), rate);
}
