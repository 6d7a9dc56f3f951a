/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQD_DOCUMENT_PRIVATE_H
#define VMQD_DOCUMENT_PRIVATE_H

/**
 * @file
 * Inside the document reader.
 *
 * A document is read in these steps, each adding to the same findings:
 *   document.c           file to text; the entry points
 *   document_scan.c      what jansson cannot tell: duplicate keys, huge numbers
 *   document_decode*.c   JSON to structures, through tables of document_json.c
 *   document_check.c     what lies across objects: names, devices, filters, limits
 *   document_memory.c    the sum of memory
 *   document_machine.c   what the machine must have
 *
 * Nothing stops at the first error, so every step meets values that an earlier one
 * has found wrong. They are marked, and never found wrong a second time:
 *   names, devices, files  NULL
 *   CPUs                   -1
 *   adapter of a queue     DOC_UNKNOWN_ADAPTER
 *   buffers, limit, buffer_size, rx_descriptors, mtu   0
 *   filter                 no test at all (doc_filter_known())
 * Arrays keep the places that they have in the JSON text, so that an index is
 * always also part of a pointer.
 *
 * The same tables write values back (document_encode.c), so that what is saved
 * cannot drift from what is read.
 */

#include <assert.h>
#include <sched.h>

#include <jansson.h>
#include <rte_ether.h>

#include "document.h"

#define DOC_UNKNOWN_ADAPTER SIZE_MAX

/** Largest file that is read, in bytes; 100,000 filters fit. */
#define DOC_FILE_MAX ((size_t)16 << 20)

/** Longest MTU: that of DPDK's longest jumbo frame. */
#define DOC_MTU_MAX (RTE_ETHER_MAX_JUMBO_FRAME_LEN - RTE_ETHER_HDR_LEN - RTE_ETHER_CRC_LEN)

/** Most buffers of a queue: 64 Mi, 150 GB of ordinary buffers. */
#define DOC_BUFFERS_MAX (1 << 26)

/** Largest NUMA node, as in the distribution's DPDK. */
#define DOC_NODE_MAX 31

/** Most of eal.memory_mb: 16 TiB. */
#define DOC_MEMORY_MB_MAX (1 << 24)

/** Longest device string or argument, in bytes. */
#define DOC_ARGUMENT_MAX 4095

/** Longest path of the state file: others beside it have longer names. */
#define DOC_STATE_FILE_MAX 4000

/** Longest path of a Unix socket, in bytes without NUL (sockaddr_un). */
#define DOC_SOCKET_PATH_MAX 107

/**
 * What EAL, the drivers and the data path allocate beside queues, in MiB. Measured
 * with 22.11: EAL 0.2, a port 0.1 (net_null, net_ring, net_memif) to 1.3 (net_tap).
 * The rest is for rings of network cards: 32,768 descriptors take up to 4 MiB.
 */
#define DOC_EAL_MIB 64

/** Lookup tables: 16 bytes a slot, at most 4 slots a filter, the old and the new table. */
#define DOC_FILTER_BYTES 128

/** A place in the document: the chain up to the root, whose path is NULL. */
struct doc_path {
	const struct doc_path *parent;
	const char *key; /**< NULL: an array element. */
	size_t index;
};

#define DOC_KEY(parent, key) (&(const struct doc_path){(parent), (key), 0})
#define DOC_INDEX(parent, index) (&(const struct doc_path){(parent), NULL, (index)})

/** The JSON pointer of a place. @return a string that the caller frees, NULL: no memory. */
char *doc_path_text(const struct doc_path *path);

/** Place of a queue; points into itself, so never copied. */
struct doc_place {
	struct doc_path path[3];
	const struct doc_path *at;
};

/** Add a finding. hint is copied and may be NULL. */
void doc_finding_add(struct doc_findings *findings, const struct doc_path *at, const char *hint,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

/** Is there anything wrong? */
static inline bool
doc_findings_any(const struct doc_findings *findings)
{
	return findings->count > 0 || findings->dropped > 0;
}

/** Text of the document in quotes for a message, cut when it is long. @return out */
#define DOC_QUOTE_SIZE 96
const char *doc_quote(char out[DOC_QUOTE_SIZE], const char *text);

/**
 * Which word is meant? Case, "-" for "_", and a few wrong, missing, added or
 * exchanged letters are forgiven.
 *
 * @param words
 *   n of them; NULL entries are passed over.
 * @return index of the nearest word, or -1 if none is near.
 */
int doc_nearest(const char *text, const char *const *words, size_t n);

/** What the steps share. */
struct doc_reader {
	struct doc_findings *findings;
	struct document *doc;
	json_t *adapter_index; /**< Adapter name to its index. */
	bool no_memory;
	bool workers_known; /**< eal.workers, or the default for it, is right. */
	bool adapters_known; /**< Each adapter has its name. */
	bool one_queue; /**< For a running system, which knows what memory and ports there are. */
	bool hugepages_known; /**< eal.hugepages is right: memory can be looked for. */
};

/* document_json.c: strict decoding of objects through tables */

struct doc_field;

/**
 * Decode one value.
 *
 * @param out
 *   The structure's member.
 */
typedef void (*doc_decode_fn)(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out);

/**
 * Write one value back, such that decoding it gives the same member.
 *
 * @param in
 *   The structure's member.
 * @return a new reference; JSON null: the key is left out; NULL: no memory.
 */
typedef json_t *(*doc_encode_fn)(const struct document *doc, const struct doc_field *field,
	const void *in);

/** One key of an object. */
struct doc_field {
	const char *key;
	const char *expect; /**< What would be right, for people. Numbers: NULL, the range. */
	doc_decode_fn decode;
	doc_encode_fn encode; /**< Every key that is not foreign has one. */
	size_t offset; /**< Of the member. */
	size_t size; /**< Of the member; integers only. */
	int64_t min, max; /**< Integers: range. Strings: max is the length in bytes. */
	bool required;
	bool foreign; /**< Known, but not allowed here: decode says why. */
};

/**
 * Decode an object: unknown keys, missing keys, then each member.
 *
 * @param n
 *   At most 32.
 * @return the fields (bit i for fields[i]) that are wrong, or misspelt and so not
 *   there; all bits if value is no object.
 */
uint32_t doc_decode_object(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *fields, size_t n, void *out);

/** Is value an array? Adds a finding if not. */
bool doc_is_array(struct doc_reader *r, const struct doc_path *at, const json_t *value,
	const char *expect);

/** "must be %s, found ..." */
void doc_wrong_type(struct doc_reader *r, const struct doc_path *at, const json_t *value,
	const char *must_be, const char *expect);

void doc_decode_bool(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out);
/** An integer of field->size bytes (2 or 4); a wrong one leaves 0, or -1 where min is 0. */
void doc_decode_integer(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out);
/** A string without control characters, neither empty nor too long; char *, owned by out. */
void doc_decode_text(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out);

/* document_encode.c: objects back to JSON, through the same tables */

/**
 * Write an object: its keys in the order of the table, defaults too.
 *
 * @param object
 *   Receives the keys.
 * @return 0 or -ENOMEM
 */
int doc_encode_object(const struct document *doc, json_t *object, const struct doc_field *fields,
	size_t n, const void *in);

/** 0 where the least is more than 0 means that the key was not given. */
json_t *doc_encode_integer(const struct document *doc, const struct doc_field *field,
	const void *in);
json_t *doc_encode_bool(const struct document *doc, const struct doc_field *field, const void *in);
/** A NULL string is a key that was not given. */
json_t *doc_encode_text(const struct document *doc, const struct doc_field *field, const void *in);
/** A list of CPUs, or of anything that is an int. */
json_t *doc_encode_cpus(const int *cpus, size_t n_cpus);

/** calloc() that notes a failure; n may be 0 (NULL). */
void *doc_alloc(struct doc_reader *r, size_t n, size_t size);
char *doc_copy(struct doc_reader *r, const char *text);

/* document_scan.c: on the text, before and after jansson */

/**
 * Make numbers that jansson refuses (with an error that has no pointer and ends
 * the parse) into ones that it takes and that are just as wrong: integers over 64
 * bits become the largest or smallest one, reals over the range of a double 0.0.
 * Positions in the text stay.
 */
void doc_scan_numbers(char *text, size_t length);

/** Report keys that an object has twice. The text must be valid JSON. */
void doc_scan_duplicates(struct doc_reader *r, const char *text, size_t length);

#define DOC_INTEGER(type, member, lowest, highest) \
	.decode = doc_decode_integer, .encode = doc_encode_integer, .offset = offsetof(type, member), \
	.size = sizeof(((type *)NULL)->member), .min = (lowest), .max = (highest)
#define DOC_BOOL(type, member) \
	.decode = doc_decode_bool, .encode = doc_encode_bool, .offset = offsetof(type, member), \
	.expect = "true or false"

/** Is field i in what doc_decode_object() has returned? */
static inline bool
doc_is_wrong(uint32_t wrong, unsigned int i)
{
	return (wrong & (UINT32_C(1) << i)) != 0;
}

/* document_decode.c */

/** Decode the root into r->doc, defaults included. */
void doc_decode_root(struct doc_reader *r, json_t *root);

#define DOC_NAME_EXPECT "a name of 1 to 63 bytes without control characters"
static_assert(VMQ_NAME_SIZE == 64, "DOC_NAME_EXPECT and the schema say 63");

#define DOC_CPUS_EXPECT "a list of CPU numbers such as [1, 2]"

/** A list of different CPUs, not empty. */
void doc_decode_cpus(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, int **cpus, size_t *n_cpus);

/* document_decode_queue.c */

#define DOC_DEFAULT_QUEUE_NAME "default"

json_t *doc_encode_default_queue(const struct document *doc, const struct doc_field *field,
	const void *in);

/** A default queue of which the document says nothing. */
void doc_default_queue_init(struct doc_reader *r, struct doc_queue *queue, size_t adapter);
/** out: struct doc_queue, initialised. */
void doc_decode_default_queue(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out);
/** The array; adapters must have been decoded. out is not used. */
void doc_decode_queues(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out);

/* document_decode_filter.c; out and in: struct doc_queue */
void doc_decode_filters(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out);
/** One filter alone. @return false: it is wrong. */
bool doc_read_filter(json_t *value, struct vmq_filter_match *match);
json_t *doc_encode_filters(const struct document *doc, const struct doc_field *field,
	const void *in);

/* document_decode_backend.c; out and in: struct doc_backend */
void doc_decode_backend(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out);
json_t *doc_encode_backend(const struct document *doc, const struct doc_field *field,
	const void *in);

/* document_decode_metrics.c; out and in: struct document */
void doc_decode_metrics(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out);
json_t *doc_encode_metrics(const struct document *doc, const struct doc_field *field,
	const void *in);

/* document_decode_control.c */

/** The owner that administrators act as (vmq_rpc.h, which is not for the reader). */
#define DOC_OWNER_ADMIN "admin"

/** A control socket of which the document says nothing. */
void doc_control_init(struct doc_control *control);
/** out: struct doc_control, initialised. */
void doc_decode_control(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out);
json_t *doc_encode_control(const struct document *doc, const struct doc_field *field,
	const void *in);
void doc_control_free(struct doc_control *control);

/* document_check.c */

static inline bool
doc_filter_known(const struct vmq_filter_match *match)
{
	return match->has_mac || match->vlan_test != VMQ_VLAN_ANY;
}

/** A CPU list as text, "0-3,8"; cut with "..." when it is long. @return out */
const char *doc_cpus_text(const cpu_set_t *cpus, char *out, size_t size);

void doc_check(struct doc_reader *r);

/** How many queues there are, with the default ones. */
static inline size_t
doc_total_queues(const struct document *doc)
{
	return doc->n_adapters + doc->n_queues;
}

/**
 * Walk all queues: 0 to n_adapters - 1 are the default queues.
 *
 * @param place
 *   Receives where it is; may be NULL.
 */
const struct doc_queue *doc_any_queue(const struct document *doc, size_t n,
	struct doc_place *place);

/* document_decode_rate.c */

#define DOC_RATE_EXPECT "such as {\"from_vm\": {\"mbps\": 1000}}"

/** queue.rate: struct doc_rate. */
void doc_decode_rate(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out);
json_t *doc_encode_rate(const struct document *doc, const struct doc_field *field, const void *in);

/* document_device.c */

#define DOC_DEVICE_EXPECT \
	"a PCI address such as \"0000:03:00.0\", or a virtual device such as " \
	"\"net_tap0,iface=tap0\""

/** A device string, with the lengths of the paths and names in it; a wrong one leaves NULL. */
void doc_decode_device(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out);

/** Name of the device, the same for each way to write it. */
#define DOC_DEVICE_NAME_SIZE 64
void doc_device_name(const char *device, char name[DOC_DEVICE_NAME_SIZE]);

/* document_hardware.c */

#define DOC_VMDQ_EXPECT "an object {vlans}"
void doc_decode_vmdq(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out);
json_t *doc_encode_vmdq(const struct document *doc, const struct doc_field *field, const void *in);

/** Hardware queues that there may come to be on all adapters, and their memory while parked. */
size_t doc_hardware_queues(const struct document *doc);
uint64_t doc_hardware_bytes(const struct document *doc);

/* document_memory.c */

/** Memory of all queues of one node (SOCKET_ID_ANY: of all queues), in bytes. */
uint64_t doc_queues_bytes(const struct document *doc, int node);
/** What a queue begins with for what its VM sends: the block, as the adapter's limit counts it. */
uint64_t doc_transmit_block_bytes(const struct document *doc, const struct doc_queue *queue);
/** The same with EAL's own. */
uint64_t doc_needed_bytes(const struct document *doc);

/** How the sum comes about: "8 queues x 4096 buffers x 2500 bytes = ...". Caller frees. */
char *doc_memory_arithmetic(const struct document *doc, int node);

/** eal.memory_mb against what is needed; needs no machine. */
void doc_check_memory_mb(struct doc_reader *r);

/* document_machine.c, document_hugepages.c */

/** The real machine. @param memory is eal.hugepages known, so that memory can be checked? */
void doc_check_machine(const struct document *doc, bool memory, struct doc_findings *findings);

/**
 * The machine under a root folder, but not its memory.
 *
 * @param root
 *   "" for the real one; tests have sysfs and procfs of their own.
 * @param allowed
 *   CPUs that this process may run on.
 */
void doc_check_machine_at(const struct document *doc, const char *root, const cpu_set_t *allowed,
	struct doc_findings *findings);

/** The memory of the machine under a root folder. */
void doc_check_memory_at(const struct document *doc, const char *root,
	struct doc_findings *findings);

/** Read a number from a file under root. @return false: not there, or no number. */
bool doc_sysfs_number(uint64_t *value, const char *root, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** Is there such a file or folder under root? */
bool doc_sysfs_exists(const char *root, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* document.c */

/** A queue without an affinity gets one: all workers. */
void doc_fill_affinity(struct doc_reader *r, struct doc_queue *queue);

/**
 * Read and check text, which is changed (doc_scan_numbers()) and followed by a NUL.
 *
 * @param machine
 *   Check against this machine as well.
 * @return the document as far as it could be read, NULL if it is no JSON.
 */
struct document *doc_read_text(char *text, size_t length, bool machine,
	struct doc_findings *findings);

#endif /* VMQD_DOCUMENT_PRIVATE_H */
