/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQD_DOCUMENT_H
#define VMQD_DOCUMENT_H

/**
 * @file
 * The configuration document: JSON in, plain structures out.
 *
 * document_read() decodes and checks in one pass and reports everything that is
 * wrong, each finding with the JSON pointer (RFC 6901) of its place. What needs
 * the machine (CPUs, memory) is in document_check_machine(). Both run before EAL
 * starts. Owner of all strings and arrays: the document.
 */

#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>

#include <vmq_backend.h>
#include <vmq_base.h>
#include <vmq_datapath.h>
#include <vmq_datapath.h>
#include <vmq_filter.h>
#include <vmq_shmem.h>

/** One thing that is wrong: where, what, and what would be right. */
struct doc_finding {
	char *pointer; /**< JSON pointer, "" for the whole document. */
	char *message; /**< One sentence: what is wrong. */
	char *hint; /**< What would be right, or the command that mends it; may be NULL. */
};

/** Most findings that are kept; further ones are only counted. */
#define DOC_FINDINGS_MAX 1000

struct doc_findings {
	struct doc_finding *list;
	size_t count;
	size_t dropped; /**< Found, but over DOC_FINDINGS_MAX or without memory to keep it. */
};

void doc_findings_free(struct doc_findings *findings);

/**
 * Print as "FILE: error at POINTER: MESSAGE", for the whole document as
 * "FILE: error: MESSAGE", with the hint on a line of its own. Control characters
 * that come from the document are written as escapes.
 */
void doc_findings_print(const struct doc_findings *findings, const char *file, FILE *out);

struct json_t;

struct doc_eal {
	int main_core; /**< CPU of the control thread. */
	int *workers; /**< CPUs of the workers, one worker each, n_workers of them. */
	size_t n_workers;
	bool hugepages; /**< false: EAL's --no-huge. */
	bool in_memory; /**< EAL's --in-memory; only with hugepages. */
	uint32_t memory_mb; /**< 0: computed from what the document needs. */
	char *file_prefix;
	char **extra_args; /**< For experts, passed on as they are. */
	size_t n_extra_args;
};

/** What the workers do when there is nothing to do. */
struct doc_workers {
	enum vmq_worker_mode mode;
	uint32_t max_sleep_us;
};

struct doc_memory {
	uint32_t buffers; /**< Allocated when the queue is completed. */
	uint32_t limit; /**< Most buffers that the queue may ever have, >= buffers. */
	uint32_t buffer_size; /**< Bytes of packet that one buffer holds, headroom not counted. */
	int node; /**< NUMA node, or SOCKET_ID_ANY. */
	bool contiguous; /**< One IOVA range or failure. */
	uint32_t min_buffers; /**< Enough to start with when there is not memory for all. */
	struct vmq_pool_demand growth; /**< Between buffers and limit. */
	/** For what the VM sends, where the backend receives. */
	struct {
		uint32_t buffers; /**< Allocated when the queue is completed. */
		uint32_t limit; /**< >= buffers */
	} transmit;
};

struct doc_backend {
	enum vmq_backend_type type;
	char *file;
	char *device;
	/* vhost-user */
	char *socket;
	bool server;
	char *owner;
	char *group;
	uint32_t permissions; /**< 0: the default */
	uint16_t queue_pairs;
};

struct doc_rate {
	struct vmq_dp_rate to_vm, from_vm; /**< mbps 0: no limit. */
};

struct doc_queue {
	char *name;
	char *vm; /**< NULL for a default queue. */
	size_t adapter; /**< Index in doc.adapters. */
	int *affinity; /**< CPUs, each the CPU of a worker; never empty after reading. */
	size_t n_affinity;
	struct doc_memory memory;
	struct vmq_filter_match *filters;
	size_t n_filters;
	bool keep_tags;
	bool anti_spoof; /**< Check the source of what the VM sends. */
	bool broadcast; /**< Copies of broadcast and multicast frames come to it. */
	struct doc_rate rate;
	bool receive_only; /**< Take nothing from the backend. */
	uint16_t priority; /**< 0 to 255: who gets a hardware queue when there are too few. */
	struct doc_backend backend;
};

/** As many as ethdev takes (RTE_ETH_VMDQ_MAX_VLAN_FILTERS). */
#define DOC_VMDQ_VLANS_MAX 64

/** VLANs that VMDq pools are to be told of before the start; none: they look at MACs only. */
struct doc_vmdq {
	uint16_t vlans[DOC_VMDQ_VLANS_MAX];
	uint16_t n_vlans;
};

struct doc_adapter {
	char *name;
	char *device; /**< PCI address or vdev arguments, as EAL's -a or --vdev take them. */
	uint16_t rx_descriptors;
	enum vmq_steering steering;
	uint16_t hardware_queues; /**< Most Rx queues of the NIC for VMs. */
	struct doc_vmdq vmdq;
	uint16_t mtu; /**< Largest payload of an Ethernet frame, in bytes. */
	uint32_t memory_limit_mb; /**< Of the packet memory of all its queues; 0: none. */
	struct doc_queue default_queue; /**< Its name is "default". */
};

/** Bounds of what clients of the control socket may use; 0: vmq_rpc.h's default. */
struct doc_control_limits {
	uint32_t request_kb, depth, clients, pending, batch, output_kb, idle_s;
};

struct doc_mapping {
	char *user;
	char *owner;
};

/** The control socket. */
struct doc_control {
	char *socket; /**< NULL: where vmq_rpc_default_socket() says. */
	bool off; /**< No socket at all. */
	char *owner, *group; /**< Names; NULL: those of the process. */
	uint32_t mode; /**< Permissions. */
	struct doc_mapping *owners; /**< Who acts as which owner; n_owners of them. */
	size_t n_owners;
	uint32_t user_backends; /**< Bit n: users may have enum vmq_backend_type n. */
	struct doc_control_limits limits;
	char *state_file; /**< NULL: queues of the socket do not survive a restart. */
};

struct document {
	struct doc_eal eal;
	struct doc_workers workers;
	char *metrics_address; /**< "127.0.0.1:9650"; NULL: no metrics over HTTP. */
	struct doc_control control;
	struct doc_adapter *adapters;
	size_t n_adapters;
	struct doc_queue *queues;
	size_t n_queues;
	struct json_t *source; /**< As it was written. */
};

/**
 * Read and check a document.
 *
 * @param file
 *   Path, or "-" for standard input.
 * @param findings
 *   Receives everything that is wrong; the caller frees it.
 * @return the document, or NULL if there is at least one finding.
 */
struct document *document_read(const char *file, struct doc_findings *findings);

/**
 * Before EAL binds the calling thread to one CPU: those that it may use now are the ones
 * that a document without cores means from now on. Control thread.
 *
 * @param keep
 *   false: documents ask anew each time, as before the first call.
 * @return 0 or -errno
 */
int document_keep_cpus(bool keep);

/**
 * Is what the document needs on this machine: CPUs, memory, memzones, ports?
 * Adds to findings.
 *
 * @return 0, or -ENOSPC if there was something to find.
 */
int document_check_machine(const struct document *doc, struct doc_findings *findings);

/**
 * document_read() and document_check_machine() in one pass: a document that has
 * errors is checked against the machine as far as it could be read.
 *
 * @return the document, or NULL if there is at least one finding.
 */
struct document *document_load(const char *file, struct doc_findings *findings);

/**
 * Parts of a document as JSON, all defaults written out: decoding them gives the same
 * again. The document must be without errors.
 *
 * @return a new reference, or NULL: no memory.
 */
struct json_t *document_eal_json(const struct document *doc);
struct json_t *document_adapter_json(const struct document *doc,
	const struct doc_adapter *adapter);
struct json_t *document_queue_json(const struct document *doc, const struct doc_queue *queue);

/**
 * Read and check a document that is text in memory already, but not against the
 * machine: what runs has what it needs, and takes more as it goes.
 */
struct document *document_parse(const char *text, size_t length, struct doc_findings *findings);

/**
 * Read one queue by itself, checked as if it were the only one of a document with the same
 * adapters and workers.
 *
 * @param queue
 *   Receives strings and arrays of its own: doc_queue_free() it.
 * @param findings
 *   Receives everything that is wrong, with pointers that begin with /queues/0; the
 *   caller frees it.
 * @return 0, or -1 if there is at least one finding.
 */
int document_read_queue(const struct document *doc, struct json_t *value,
	struct doc_queue *queue, struct doc_findings *findings);

/** Is a device string a PCI address (EAL's -a), not a virtual device (--vdev)? */
bool doc_device_is_pci(const char *device);

struct vmq_adapter_hardware;

/** What an adapter's hardware queues are to be. */
void document_hardware(const struct document *doc, size_t index,
	struct vmq_adapter_hardware *hardware);

/** Memory that the document needs in all, in MiB, with EAL's own. */
uint32_t document_memory_mb(const struct document *doc);

/**
 * "127.0.0.1:9650", "[::1]:9650".
 *
 * @return false: anything else.
 */
bool document_parse_address(const char *text, struct sockaddr_storage *to, socklen_t *length);

void document_free(struct document *doc);

/** Free what a queue owns, not the structure itself. */
void doc_queue_free(struct doc_queue *queue);

#endif /* VMQD_DOCUMENT_H */
