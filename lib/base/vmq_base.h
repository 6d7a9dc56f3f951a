/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_BASE_H
#define VMQ_BASE_H

/**
 * @file
 * What every other folder needs: names of statuses and limits, the error that
 * travels up to the user, log macros, counters with one writer.
 *
 * Error rule of the whole tree: an int is 0 or -errno; a pointer is NULL with
 * rte_errno set; a burst is a count; enum vmq_status is the answer to a request
 * of the control plane; what cannot fail is void.
 */

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <rte_log.h>
#include <rte_mbuf.h>

/** Id of an adapter's default queue: it always exists (NDIS: queue id 0). */
#define VMQ_DEFAULT_QUEUE_ID 0

/** Longest name of an adapter, a queue or a VM, in bytes with the final NUL. */
#define VMQ_NAME_SIZE 64

/** Most packets that one call hands from one stage of the data path to the next. */
#define VMQ_BURST 32

/**
 * Memzones that there can be. A build setting up to 23.03; later the default of
 * rte_memzone_max_set() (lib/eal/common/eal_common_memzone.c), which is left alone here.
 */
#ifdef RTE_MAX_MEMZONE
#define VMQ_MEMZONES_MAX RTE_MAX_MEMZONE
#else
#define VMQ_MEMZONES_MAX 2560
#endif

/** Of these, for EAL, for drivers and for all that is not a queue. */
#define VMQ_MEMZONES_RESERVE 256

/** Statuses of requests, named after the NDIS statuses (spec: Requests). */
enum vmq_status {
	VMQ_STATUS_SUCCESS,
	VMQ_STATUS_PENDING, /**< Accepted; completes later. */
	VMQ_STATUS_INVALID_PARAMETER,
	VMQ_STATUS_INVALID_LENGTH,
	VMQ_STATUS_NOT_SUPPORTED,
	VMQ_STATUS_RESOURCES, /**< Not enough memory or slots; nothing was taken. */
	VMQ_STATUS_NOT_ACCEPTED, /**< The event is not valid in the present state. */
	VMQ_STATUS_FILE_NOT_FOUND, /**< No such filter id. */
	VMQ_STATUS_REQUEST_ABORTED,
	VMQ_STATUS_FAILURE,
	VMQ_STATUS_COUNT, /* not a status */
};

/** Name of a status without its prefix, "UNKNOWN" for a value out of range. */
const char *vmq_status_name(enum vmq_status status);

/**
 * Why something failed, in a sentence for the user. Owned by the caller of the
 * failing function; on success it is left alone. Functions accept NULL.
 */
struct vmq_error {
	char text[512];
};

/**
 * Write the sentence; a text that is too long is cut at the end.
 *
 * @return status, so that a function can end with `return vmq_error_set(...)`.
 */
enum vmq_status vmq_error_set(struct vmq_error *err, enum vmq_status status, const char *format,
	...) __attribute__((format(printf, 3, 4)));

/** The same for functions that answer with -errno. @return -errnum */
int vmq_error_errno(struct vmq_error *err, int errnum, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** Log type of VMQ's own messages in DPDK's log; registered at program start. */
extern int vmq_logtype;

#define VMQ_LOG(level, ...) rte_log(RTE_LOG_##level, vmq_logtype, "vmq: " __VA_ARGS__)

/**
 * A counter with one writing thread and any number of readers. The writer pays a
 * plain add: no locked instruction. Readers see some recent value, and the exact
 * one once the writer is quiet.
 */
typedef _Atomic uint64_t vmq_counter_t;

static inline void
vmq_counter_add(vmq_counter_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
		memory_order_relaxed);
}

static inline uint64_t
vmq_counter_get(const vmq_counter_t *counter)
{
	return atomic_load_explicit((vmq_counter_t *)(uintptr_t)counter, memory_order_relaxed);
}

/** The loop that follows, eight rounds in one: for loops over the packets of a burst. */
#define VMQ_UNROLL _Pragma("GCC unroll 8")

/*
 * May packets go home in one piece: are all of one segment of their own, and of the pool of the
 * first one? n may be a constant.
 */
static __rte_always_inline bool
vmq_packets_are_ordinary(struct rte_mbuf *const *packets, uint16_t n)
{
	/* These lie side by side in a packet: one load reads them all. */
	const struct {
		uint16_t data_off, refcnt, nb_segs, port;
	} one = {.refcnt = 1, .nb_segs = 1}, each = {.refcnt = UINT16_MAX, .nb_segs = UINT16_MAX};
	uint64_t ordinary, mask, fields, special = 0, flags = 0, elsewhere = 0;
	const struct rte_mempool *pool;
	uint16_t i;

	RTE_BUILD_BUG_ON(offsetof(struct rte_mbuf, refcnt) != offsetof(struct rte_mbuf, data_off) +
		2 || offsetof(struct rte_mbuf, nb_segs) != offsetof(struct rte_mbuf, data_off) + 4);
	memcpy(&ordinary, &one, sizeof(ordinary));
	memcpy(&mask, &each, sizeof(mask));
	pool = packets[0]->pool;
	/* A packet of one segment has no next one: that field is in another cache line. */
	VMQ_UNROLL
	for (i = 0; i < n; i++) {
		memcpy(&fields, RTE_PTR_ADD(packets[i], offsetof(struct rte_mbuf, data_off)),
			sizeof(fields));
		special |= fields ^ ordinary;
		flags |= packets[i]->ol_flags;
		elsewhere |= (uint64_t)(uintptr_t)packets[i]->pool ^ (uint64_t)(uintptr_t)pool;
	}
	flags &= RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
	return ((special & mask) | flags | elsewhere) == 0;
}

/* See vmq_packets_free(). */
void vmq_packets_free_any(struct rte_mbuf **packets, uint16_t n);

/*
 * Put ordinary packets into this lcore's cache of their pool, if there is room: what
 * rte_mempool_put_bulk() does then, without the rest of it, which makes a large function of
 * a small one. Returns false if there is none. n is a constant.
 */
static __rte_always_inline bool
vmq_packets_put(struct rte_mbuf **packets, const uint16_t n)
{
#ifdef RTE_LIBRTE_MEMPOOL_DEBUG /* it would miss its cookies */
	(void)packets;
	return n == 0;
#else
	struct rte_mempool_cache *cache;
	void **place;

	if (unlikely(!vmq_packets_are_ordinary(packets, n)))
		return false;
	cache = rte_mempool_default_cache(packets[0]->pool, rte_lcore_id());
	if (unlikely(cache == NULL || cache->len + n > cache->flushthresh))
		return false;
	place = &cache->objs[cache->len];
	cache->len += n;
	memcpy(place, packets, n * sizeof(*place));
	return true;
#endif
}

/**
 * Free one or two ordinary packets. With very many VMs that is a burst: no loop then, and no
 * call. Any lcore.
 *
 * @return false: nothing is done; use vmq_packets_free().
 */
static inline bool
vmq_packets_free_few(struct rte_mbuf **packets, uint16_t n)
{
	return (n == 1 && vmq_packets_put(packets, 1)) || (n == 2 && vmq_packets_put(packets, 2));
}

/**
 * Free packets, as rte_pktmbuf_free_bulk() does, which looks at them one by one. Ordinary
 * ones (one segment of their own, all of one pool) go home in one piece. Any lcore.
 */
static inline void
vmq_packets_free(struct rte_mbuf **packets, uint16_t n)
{
	if (!vmq_packets_free_few(packets, n))
		vmq_packets_free_any(packets, n);
}

/** Length of packets together, in bytes. Any lcore. */
static inline uint64_t
vmq_packets_bytes(struct rte_mbuf *const *packets, uint16_t n)
{
	uint64_t bytes = 0;
	uint16_t i;

	switch (n) { /* as in vmq_packets_free() */
	case 1:
		return packets[0]->pkt_len;
	case 2:
		return (uint64_t)packets[0]->pkt_len + packets[1]->pkt_len;
	default:
		VMQ_UNROLL
		for (i = 0; i < n; i++)
			bytes += packets[i]->pkt_len;
		return bytes;
	}
}

/**
 * Take over DPDK's log: keep its last lines for error texts, and pass on to stderr
 * only VMQ's own messages, or everything if verbose. Before EAL starts, once.
 *
 * @param name
 *   What each line on stderr begins with; must live on.
 * @return 0 or -errno
 */
int vmq_log_open(const char *name, bool verbose);

/** Where the log is now: for vmq_log_since(). Any thread. */
uint64_t vmq_log_mark(void);

/**
 * What DPDK has said since a mark, errors and warnings only, as one line: "text;
 * text". Any thread.
 *
 * @return text; "" if it said nothing.
 */
const char *vmq_log_since(uint64_t mark, char *text, size_t size);

/**
 * Attach a device and find its port: a vdev is made, a PCI device has been probed
 * when EAL started. Control thread.
 *
 * @param device
 *   Device arguments as EAL takes them: "net_tap0,iface=vm1", "0000:03:00.0".
 * @return 0, or -errno with the driver's own words in err: -EBUSY: attached
 *   already; -ENODEV: no such device, or no driver took it.
 */
int vmq_device_attach(const char *device, uint16_t *port_id, struct vmq_error *err);

/** Close a port and detach its device. The port must be stopped. */
void vmq_device_detach(uint16_t port_id);

/**
 * Is there a PCI device on the bus, with a driver of the kernel that lets DPDK have it? False
 * for devices that are not of PCI. Any thread.
 *
 * @param device
 *   As in vmq_device_attach().
 */
bool vmq_device_is_there(const char *device);

/**
 * Work for the helper thread: what may take long (a gigabyte of hugepages takes
 * seconds to clear) must not keep the control thread. Embedded in a structure of the
 * caller's, which must live until done() has been called.
 */
struct vmq_job {
	void (*work)(struct vmq_job *job); /**< Helper thread. */
	void (*done)(struct vmq_job *job); /**< Control thread, later. */
	struct vmq_job *next; /* the jobs' own */
};

/** The helper thread and its list; jobs are worked on one by one, in order. */
struct vmq_jobs;

/** Start the thread. Signals are not delivered to it. @return NULL with rte_errno */
struct vmq_jobs *vmq_jobs_create(void);

/** Wait for all jobs, call their done(), and end the thread. NULL is allowed. */
void vmq_jobs_destroy(struct vmq_jobs *jobs);

/** Hand a job over. Control thread, also from within done(). */
void vmq_jobs_submit(struct vmq_jobs *jobs, struct vmq_job *job);

/** Readable when there is something for vmq_jobs_finish() to do. */
int vmq_jobs_fd(const struct vmq_jobs *jobs);

/**
 * Call done() of the jobs that have been worked on. Control thread.
 *
 * @param wait
 *   Wait until no job is left.
 * @return how many jobs are still under way.
 */
unsigned int vmq_jobs_finish(struct vmq_jobs *jobs, bool wait);

#endif /* VMQ_BASE_H */
