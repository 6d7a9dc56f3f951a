/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Field tests: from and to what the filter set knows. */

#include <string.h>

#include "oid_private.h"

static const char *const field_names[VMQ_OID_FIELD_END] = {
	[VMQ_OID_FIELD_DESTINATION] = "destination address",
	[VMQ_OID_FIELD_SOURCE] = "source address",
	[VMQ_OID_FIELD_ETHERTYPE] = "ethertype",
	[VMQ_OID_FIELD_VLAN_ID] = "VLAN id",
	[VMQ_OID_FIELD_PRIORITY] = "priority",
};

static const char *const test_names[VMQ_OID_TEST_COUNT] = {
	[VMQ_OID_TEST_EQUAL] = "Equal",
	[VMQ_OID_TEST_MASK_EQUAL] = "MaskEqual",
	[VMQ_OID_TEST_NOT_EQUAL] = "NotEqual",
};

/* What means nothing at all. seen: bits of the fields before this one. */
static enum vmq_status
check_sense(struct vmq_error *err, const struct vmq_oid_field_parameters *test, uint32_t i,
	uint32_t seen)
{
	const enum vmq_status bad = VMQ_STATUS_INVALID_PARAMETER;

	if ((test->flags & ~VMQ_OID_FIELD_VLAN_UNTAGGED_OR_ZERO) || test->reserved != 0)
		return vmq_error_set(err, bad,
			"field test %u: unknown flags (0x%08x) or reserved field (%u)", i,
			test->flags, test->reserved);
	if (test->frame_header != VMQ_OID_FRAME_MAC)
		return vmq_error_set(err, VMQ_STATUS_NOT_SUPPORTED,
			"field test %u: header %u: only the MAC header, %d, can be tested", i,
			test->frame_header, VMQ_OID_FRAME_MAC);
	if (test->field < 1 || test->field >= VMQ_OID_FIELD_END)
		return vmq_error_set(err, VMQ_STATUS_NOT_SUPPORTED,
			"field test %u: there is no field %u", i, test->field);
	if (test->test >= VMQ_OID_TEST_COUNT)
		return vmq_error_set(err, VMQ_STATUS_NOT_SUPPORTED,
			"field test %u: there is no test %u", i, test->test);
	if (seen & VMQ_OID_FIELD_BIT(test->field))
		return vmq_error_set(err, bad, "field test %u: the %s is tested twice", i,
			field_names[test->field]);
	if (test->flags != 0 && test->field != VMQ_OID_FIELD_DESTINATION)
		return vmq_error_set(err, bad,
			"field test %u: \"untagged or zero\" goes with the %s, not with the %s", i,
			field_names[VMQ_OID_FIELD_DESTINATION], field_names[test->field]);
	return VMQ_STATUS_SUCCESS;
}

/* What the adapter cannot do. */
static enum vmq_status
check_support(struct vmq_error *err, const struct vmq_oid_field_parameters *test, uint32_t i)
{
	if (test->field != VMQ_OID_FIELD_DESTINATION && test->field != VMQ_OID_FIELD_VLAN_ID)
		return vmq_error_set(err, VMQ_STATUS_NOT_SUPPORTED,
			"field test %u: this adapter cannot test the %s, only %s and %s", i,
			field_names[test->field], field_names[VMQ_OID_FIELD_DESTINATION],
			field_names[VMQ_OID_FIELD_VLAN_ID]);
	if (test->test != VMQ_OID_TEST_EQUAL)
		return vmq_error_set(err, VMQ_STATUS_NOT_SUPPORTED,
			"field test %u: this adapter cannot do %s, only %s", i,
			test_names[test->test], test_names[VMQ_OID_TEST_EQUAL]);
	return VMQ_STATUS_SUCCESS;
}

enum vmq_status
oid_decode_fields(struct vmq_oid_request *request, const struct vmq_oid_array *fields,
	struct vmq_filter_match *match)
{
	const struct vmq_oid_field_parameters *test;
	struct vmq_error *err = &request->error;
	enum vmq_status status;
	uint32_t seen = 0, i;

	*match = (struct vmq_filter_match){.vlan_test = VMQ_VLAN_ANY};
	for (i = 0; i < fields->n_elements; i++) {
		test = oid_element(request, fields, i);
		status = check_sense(err, test, i, seen);
		if (status == VMQ_STATUS_SUCCESS)
			status = check_support(err, test, i);
		if (status != VMQ_STATUS_SUCCESS)
			return status;
		seen |= VMQ_OID_FIELD_BIT(test->field);
		if (test->field == VMQ_OID_FIELD_VLAN_ID) {
			match->vlan_id = test->value.u16;
			if (match->vlan_test == VMQ_VLAN_UNTAGGED)
				goto contradiction;
			match->vlan_test = VMQ_VLAN_ID;
			continue;
		}
		match->has_mac = true;
		memcpy(match->mac.addr_bytes, test->value.bytes, sizeof(match->mac.addr_bytes));
		if (test->flags & VMQ_OID_FIELD_VLAN_UNTAGGED_OR_ZERO) {
			if (match->vlan_test == VMQ_VLAN_ID)
				goto contradiction;
			match->vlan_test = VMQ_VLAN_UNTAGGED;
		}
	}
	return VMQ_STATUS_SUCCESS;

contradiction:
	return vmq_error_set(err, VMQ_STATUS_INVALID_PARAMETER,
		"no frame has VLAN id %u and is untagged", match->vlan_id);
}

uint32_t
oid_n_fields(const struct vmq_filter_match *match)
{
	return match->has_mac + (match->vlan_test == VMQ_VLAN_ID);
}

static struct vmq_oid_field_parameters *
write_field(const struct vmq_oid_request *request, const struct vmq_oid_array *fields, uint32_t i,
	enum vmq_oid_field field)
{
	struct vmq_oid_field_parameters *test = oid_element(request, fields, i);

	*test = (struct vmq_oid_field_parameters){
		.header = VMQ_OID_HEADER(*test),
		.frame_header = VMQ_OID_FRAME_MAC,
		.field = field,
		.test = VMQ_OID_TEST_EQUAL,
	};
	return test;
}

void
oid_encode_fields(const struct vmq_oid_request *request, const struct vmq_oid_array *fields,
	const struct vmq_filter_match *match)
{
	struct vmq_oid_field_parameters *test;
	uint32_t i = 0;

	if (match->has_mac) {
		test = write_field(request, fields, i++, VMQ_OID_FIELD_DESTINATION);
		memcpy(test->value.bytes, match->mac.addr_bytes, sizeof(match->mac.addr_bytes));
		if (match->vlan_test == VMQ_VLAN_UNTAGGED)
			test->flags = VMQ_OID_FIELD_VLAN_UNTAGGED_OR_ZERO;
	}
	if (match->vlan_test == VMQ_VLAN_ID)
		write_field(request, fields, i, VMQ_OID_FIELD_VLAN_ID)->value.u16 = match->vlan_id;
}
