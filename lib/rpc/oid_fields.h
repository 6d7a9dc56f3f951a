/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_RPC_OID_FIELDS_H
#define VMQ_RPC_OID_FIELDS_H

/*
 * The structures of typed requests, described once: decoding (oid_codec.c), encoding and
 * what `oid.list` says of them come from these tables.
 */

#include "rpc_private.h"

enum field_kind {
	FIELD_UNSIGNED, /* of 4 bytes, as all numbers here */
	FIELD_SIGNED,
	FIELD_FLAGS, /* a list of names, or a number */
	FIELD_CHOICE, /* a name or a number */
	FIELD_TEXT, /* an array of characters */
	FIELD_WORKERS, /* 8 bytes, a bit for each: a list of numbers from 0 to 63 */
	FIELD_VALUE, /* union vmq_oid_value, read as the structure's field says */
	FIELD_ARRAY, /* struct vmq_oid_array, of elements behind the structure */
	FIELD_KIND_COUNT, /* not a kind */
};

struct field_name {
	const char *name; /* NULL: the end of the list */
	uint32_t value; /* of flags: the bit itself */
};

#define FIELD_OUT 1 /* output only */
#define FIELD_NEEDED 2 /* input cannot do without */

struct structure;

struct field {
	const char *name;
	enum field_kind kind;
	uint16_t offset, size;
	uint8_t flags; /* FIELD_OUT, FIELD_NEEDED */
	uint32_t otherwise; /* value of a number that was not given */
	const struct field_name *names;
	const struct structure *element; /* of an array */
	const char *help;
};

#define FIELDS_MAX 48

struct structure {
	const char *name;
	uint16_t sizes[3]; /* header.size of revision i + 1; 0: there is none */
	const struct field *fields; /* up to the first without name */
};

/* How many revisions there are. */
unsigned int structure_revisions(const struct structure *structure);

/* What goes in and comes out of a request; NULL: nothing. */
struct oid_shape {
	uint32_t oid;
	enum vmq_oid_request_type type;
	const struct structure *in, *out;
};

/* NULL: there is no such request. */
const struct oid_shape *oid_shape_find(uint32_t oid, enum vmq_oid_request_type type);

/* Walk all structures. NULL: index is behind the last one. */
const struct structure *structure_get(size_t index);

const char *field_kind_name(enum field_kind kind);

/* oid_codec.c */

/* An information buffer, aligned, grown as needed. */
struct information {
	uint8_t *bytes;
	size_t length; /* of what is in use */
	size_t capacity;
};

void information_free(struct information *information);
/* Make room for so many bytes, new ones 0. Returns false: no memory. */
bool information_reserve(struct information *information, size_t capacity);

/*
 * Decode a JSON object into a buffer. Returns false: it is wrong, or memory is short:
 * pointer (of the place in the object) and why say it.
 */
bool information_decode(struct information *information, const struct structure *structure,
	const json_t *object, char *pointer, size_t size, struct vmq_error *why);

/* Encode what lies in a buffer. NULL: no memory. */
json_t *information_encode(const struct information *information,
	const struct structure *structure);

/* The tables as JSON. */
json_t *structure_describe(const struct structure *structure);

#endif /* VMQ_RPC_OID_FIELDS_H */
