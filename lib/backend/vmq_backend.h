/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_BACKEND_H
#define VMQ_BACKEND_H

/**
 * @file
 * Where a queue's packets go. For users of backends; who writes one reads
 * vmq_backend_driver.h.
 */

#include <rte_mbuf.h>

#include <vmq_base.h>

/** Kinds of backend; the name of a kind in a document is vmq_backend_type_name(). */
enum vmq_backend_type {
	VMQ_BACKEND_SINK, /**< Counts packets and frees them. */
	VMQ_BACKEND_PCAP, /**< Writes a capture file. */
	VMQ_BACKEND_ETHDEV, /**< Sends on a DPDK port of its own. */
	VMQ_BACKEND_VHOST, /**< A VM's virtio-net rings, by vhost-user. */
	VMQ_BACKEND_COUNT, /* not a kind */
};

/** @return "sink", "pcap", "ethdev", "vhost-user"; NULL for a value out of range. */
const char *vmq_backend_type_name(enum vmq_backend_type type);

/** Do backends of this type have packets to receive? Then a queue has an Xmit pool. */
bool vmq_backend_type_receives(enum vmq_backend_type type);

/** Longest path of a socket, in bytes without NUL (sockaddr_un). */
#define VMQ_VHOST_SOCKET_MAX 107

/** Most queue pairs of one VM; QEMU allows more, one worker serves them all. */
#define VMQ_VHOST_PAIRS_MAX 16

/** Memory that a queue pair takes beside the VM's, in bytes: the list of its used buffers. */
#define VMQ_VHOST_PAIR_BYTES (768 << 10)

/** Longest name of a user or a group, in bytes with the final NUL (utmp's and useradd's). */
#define VMQ_VHOST_OWNER_SIZE 33

/** Who may connect to a server's socket: its owner and its group. */
#define VMQ_VHOST_PERMISSIONS_DEFAULT 0660

/** Of a vhost-user backend. */
struct vmq_backend_vhost {
	const char *socket; /**< Path, at most VMQ_VHOST_SOCKET_MAX bytes. */
	/** Make the socket and wait for the VM; false: the VM's side makes it (QEMU: server=on). */
	bool server;
	const char *owner; /**< server: user by name or number; NULL: whoever vmqd runs as. */
	const char *group; /**< server: the same for the group. */
	uint32_t permissions; /**< server: of the socket; 0: VMQ_VHOST_PERMISSIONS_DEFAULT. */
	uint16_t queue_pairs; /**< Most that the VM may use; 0: one. */
};

/** Parameters of a backend; the strings are copied when it opens. */
struct vmq_backend_params {
	enum vmq_backend_type type;
	const char *file; /**< pcap: path of the file, replaced if it exists. */
	const char *device; /**< ethdev: device arguments, such as "net_tap0,iface=vm1". */
	struct vmq_backend_vhost vhost; /**< vhost-user */
	uint32_t max_held; /**< pcap: most packets that may wait to be written. */
	uint16_t mtu; /**< ethdev: what its port should carry, in bytes; 0: as it is. */
	int socket_id; /**< NUMA node of the worker that serves it, or SOCKET_ID_ANY. */
	struct rte_mempool *pool; /**< ethdev: where its port receives into. */
	bool interrupts; /**< ethdev: its worker waits for receive interrupts, if the port has them. */
};

/** Counters of a backend's own, beyond what the data path counts. */
struct vmq_backend_stats {
	uint64_t failed; /**< Packets taken, then lost: a write or a send that failed. */
	uint64_t waiting; /**< Packets taken that are still on their way. */
	uint64_t disconnected; /**< Packets taken while nobody was at the other end. */
	uint64_t disconnected_bytes;
	uint64_t ring_full; /**< Bursts that the other end had not room for. */
	/**
	 * Frames that the other end gave and that could not be received: empty or too long. Of a
	 * packed ring some are missing here: those that came behind others in a burst.
	 */
	uint64_t malformed;
};

/** Is there somebody at the other end? */
struct vmq_backend_link {
	bool up;
	/** Times that up has changed: a short break shows even if nobody looked meanwhile. */
	uint32_t changes;
	uint32_t cut_offs; /**< Times that the other end was sent away for breaking rules. */
	int node; /**< NUMA node of the other end's memory; SOCKET_ID_ANY: not known. */
	char text[96]; /**< Why it is down, or what it is connected to; may be "". */
};

struct vmq_backend;

/**
 * Open a backend. Control thread.
 *
 * @return NULL with rte_errno, the reason in err, and nothing left behind.
 */
struct vmq_backend *vmq_backend_open(const struct vmq_backend_params *params,
	struct vmq_error *err);

/**
 * Begin to finish what was taken, without waiting. Control thread, once no worker uses the
 * backend any more; again from time to time until it returns true. NULL is allowed.
 *
 * @return true: vmq_backend_drain() will not wait.
 */
bool vmq_backend_quiesce(struct vmq_backend *backend);

/**
 * Finish what was taken: a capture file is written to its end, a port is emptied and
 * stopped. Waits for that unless vmq_backend_quiesce() has returned true. Control thread,
 * once no worker uses the backend any more. From then on its statistics stay as they are.
 * NULL is allowed.
 *
 * @return 0, or -errno with the reason in err: what could not be finished is counted
 *   as failed.
 */
int vmq_backend_drain(struct vmq_backend *backend, struct vmq_error *err);

/**
 * Close a drained backend; every packet goes back to its pool. Control thread. NULL is
 * allowed.
 */
void vmq_backend_close(struct vmq_backend *backend);

/**
 * Deliver a burst. The worker that serves the queue.
 *
 * @return how many packets, from the first on, the backend has taken and owns
 *   now; the rest stay the caller's. Never waits.
 */
uint16_t vmq_backend_tx_burst(struct vmq_backend *backend, struct rte_mbuf **packets, uint16_t n);

/** The function behind vmq_backend_tx_burst(), for who calls it for each burst. */
typedef uint16_t vmq_backend_tx_fn(struct vmq_backend *backend, struct rte_mbuf **packets,
	uint16_t n);
vmq_backend_tx_fn *vmq_backend_tx_function(const struct vmq_backend *backend);

/**
 * A burst will be delivered in some thousands of cycles: ask for memory of the other end's
 * that delivering waits for. The worker that serves the queue; changes nothing.
 */
typedef void vmq_backend_tx_fetch_fn(struct vmq_backend *backend);

/** NULL: the backend gains nothing by it. */
vmq_backend_tx_fetch_fn *vmq_backend_tx_fetch_function(const struct vmq_backend *backend);

/**
 * Take what the other end has sent. The worker that serves the queue.
 *
 * @param pool
 *   Where the packets are to lie: the queue's Xmit pool. A backend that receives into
 *   the pool that it was opened with (ethdev) leaves it alone.
 * @return how many packets, which are the caller's now. Never waits.
 */
uint16_t vmq_backend_rx_burst(struct vmq_backend *backend, struct rte_mempool *pool,
	struct rte_mbuf **packets, uint16_t n);

/**
 * A descriptor that becomes readable when the other end has sent something while interrupts
 * are on, or has come. It lives as long as the backend. Any thread.
 *
 * @return -1: the backend has no interrupts.
 */
int vmq_backend_interrupt_fd(const struct vmq_backend *backend);

/**
 * Switch interrupts on, or off again. The worker that serves the queue; after switching
 * them on it receives once more before it waits, since what came before raises none.
 *
 * @return 0, or -EAGAIN: no waiting now, it is to be received from; -ENOTSUP: this other
 *   end raises none.
 */
int vmq_backend_interrupt(struct vmq_backend *backend, bool on);

/** Does the other end send anything at all? */
bool vmq_backend_receives(const struct vmq_backend *backend);

/** A backend that cannot lose its other end is always up. Any thread. */
void vmq_backend_link_get(const struct vmq_backend *backend, struct vmq_backend_link *link);

/**
 * Does the backend keep packets after vmq_backend_tx_burst()? Then they must lie
 * in the queue's own memory, or it would use up memory of others.
 */
bool vmq_backend_holds(const struct vmq_backend *backend);

enum vmq_backend_type vmq_backend_type(const struct vmq_backend *backend);

/** Any thread. */
void vmq_backend_stats_get(const struct vmq_backend *backend, struct vmq_backend_stats *stats);

/** What the backend is connected to, for people: "pcap vm1.pcap". Lives as long as it. */
const char *vmq_backend_text(const struct vmq_backend *backend);

#endif /* VMQ_BACKEND_H */
