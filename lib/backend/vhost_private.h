/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_VHOST_PRIVATE_H
#define VMQ_VHOST_PRIVATE_H

/**
 * @file
 * The vhost-user backend: a VM's virtio-net rings, through librte_vhost.
 *
 * Threads:
 *   control      opens and closes (vhost.c)
 *   worker       vhost_path.c: bursts to and from the rings of the device that
 *                vhost_gate says is there
 *   connector    vhost_connect.c: one for all backends; registers sockets with
 *                librte_vhost and connects, again and again with growing pauses
 *   vhost-events librte_vhost's own: reads the messages of all VMs' sides, and calls
 *                what is in vhost_peer.c
 *
 * Locks: state.lock is the innermost one. Nothing of librte_vhost is called with a lock
 * held, since it calls back.
 */

#include <pthread.h>

#include <sys/queue.h>

#include <rte_vhost.h>

#include "vmq_backend_driver.h"

/** No device. */
#define VHOST_NOBODY (-1)

/**
 * The way of the worker to a device, which another thread may take away at any moment.
 * The worker says that it is inside before it looks whether there is a device; who takes
 * the device away says so before it looks whether the worker is inside: one of them sees
 * the other. The worker never waits.
 */
enum vhost_visitor {
	VHOST_WORKER, /* who delivers and receives; may change, one at a time */
	VHOST_WATCH, /* the connector, when it looks after the rings */
	VHOST_SHORTCUT, /* the worker, when it goes without librte_vhost's locks */
	VHOST_VISITORS,
};

struct vhost_gate {
	_Atomic int vid; /* vhost-events: wo; worker: ro. VHOST_NOBODY: no device. */
	_Atomic uint32_t to_vm; /* bit n: ring of pair n towards the VM is enabled */
	_Atomic uint32_t from_vm;
	_Atomic uint32_t max_frame; /* in bytes: what the VM's driver can take */
	_Atomic bool split; /* rings whose index counts frames */
	_Atomic uint32_t devices; /* that there have been */
	/* vhost_shortcut.c. vhost-events: wo; worker: ro */
	_Atomic bool shortcut; /* the rings towards the VM may be written without librte_vhost */
	_Atomic uint32_t epoch; /* changes with each message: what was known of rings is old */
	/* Each writes its own; all of them but the watch, which is rare, are the worker's. */
	struct vhost_visit {
		_Atomic bool inside;
	} visitors[VHOST_VISITORS] __rte_cache_aligned;
};

/*
 * What bursts to or from a VM's rings cost. A VM whose rings take longer than honest ones
 * has smaller bursts and pauses, so that it gets no more than its part of the worker.
 */
struct vhost_meter {
	uint64_t pause_until; /* TSC */
	uint64_t owed, owed_at; /* TSC cycles that bursts took too long; when that was */
	uint16_t quota; /* packets of a burst */
	uint64_t cpu_losses, touches; /* of the thread, when it was last looked at */
	vmq_counter_t strikes; /* bursts that took too long, without a reason */
	vmq_counter_t bursts;
	vmq_counter_t packets;
};

/* vhost_guard.c: what is known of the rings from the messages. vhost-events only. */
struct vhost_guard {
	uint32_t sized; /* bit n: ring n has got its size since it was stopped */
	uint32_t addressed; /* its addresses */
	uint32_t live; /* it is in use */
	bool memory_pending; /* a memory table was given, and not taken */
	uint64_t features;
	int32_t messages_left;
	int64_t work_left; /* in TSC cycles */
	uint64_t filled, began; /* TSC */
};

/* A ring of a device, where all of it lies in the VM's memory. */
struct vhost_ring {
	uint32_t epoch; /* gate.epoch when it was looked up; 0: never */
	uint16_t number;
	uint16_t size; /* 0: it is not to be read */
	uint16_t uses; /* since it was looked up */
	uint16_t ready; /* the split ring's avail index, when a burst was asked for */
	const void *desc; /* struct vring_desc, or struct vring_packed_desc */
	const struct vring_avail *avail; /* of a split ring, as used */
	struct vring_used *used;
};

/* vhost_ahead.c */
struct vhost_ahead {
	/* Of the device: vhost-events writes it before the gate opens. */
	bool packed;
	uint16_t header_bytes; /* of virtio-net, before a frame */
	uint32_t n_regions; /* of the VM's memory: where the VM and where we see them */
	struct vhost_region {
		uint64_t guest, host, bytes;
	} regions[8]; /* as many as a VM may have: VHOST_MEMORY_MAX_NREGIONS */
	/* worker */
	struct vhost_ring to_vm, from_vm;
	bool in_halves; /* the last burst was */
};

struct vhost_backend {
	struct vmq_backend backend;
	uint16_t pairs; /* most queue pairs that the VM may have */
	struct vhost_gate gate __rte_cache_aligned;

	/* worker */
	uint32_t next_pair; /* to be received from first */
	struct vhost_meter to_vm, from_vm;
	/*
	 * TSC cycles that first touches of the VM's memory may take still, and that of one page.
	 * vhost-events: with new memory, while no worker is inside; worker.
	 */
	_Atomic uint64_t cold_cycles;
	_Atomic uint64_t cold_page_cycles;
	_Atomic bool short_of_buffers; /* nothing could be received, for want of our own */
	/* Frames that librte_vhost drops by itself show in the ring's index only. */
	uint32_t devices; /* gate.devices, when next_index was begun */
	uint32_t index_known; /* bit n: next_index[n] */
	uint32_t was_empty; /* bit n: so was that ring when its index was read last */
	uint16_t glances; /* in a row that found nothing */
	uint16_t next_index[VMQ_VHOST_PAIRS_MAX];
	vmq_counter_t malformed;
	vmq_counter_t failed;
	vmq_counter_t disconnected; /* packets while nobody was there */
	vmq_counter_t disconnected_bytes;
	vmq_counter_t ring_full;
	uint16_t whole_bursts; /* since the ring was full */
	uint16_t full_doublings; /* of the pause when it is */

	struct vhost_ahead ahead;
	struct {
		/* vhost-events, before the gate opens */
		bool possible; /* split rings */
		bool event_index; /* the VM says at which index it wants to be told */
		/* worker: packets have come into that ring, and it was not looked if the VM waits */
		bool to_tell;
		uint16_t to_tell_ring;
		uint64_t barriers; /* of its lcore, when they came: see vhost_shortcut.c */
	} shortcut;

	/* Settings: control, before anybody else sees them. */
	char *socket __rte_cache_aligned;
	bool server;
	uid_t owner; /* (uid_t)-1: leave it */
	gid_t group;
	mode_t permissions;

	/* vhost_peer.c; all threads but workers */
	struct {
		pthread_mutex_t lock;
		bool closing; /* no new connection */
		int fd; /* our duplicate of the connection's descriptor, or -1 */
		int vid; /* of the connection, or VHOST_NOBODY */
		bool up; /* the VM's driver is there */
		uint32_t changes; /* of up */
		uint32_t connections; /* since the start */
		uint32_t cut_offs;
		bool leaving; /* the connection is being closed by us: text says why */
		bool was_up; /* during this connection */
		uint64_t since_ms; /* start of the connection */
		uint64_t refuse_until_ms; /* no connection before that */
		uint32_t penalty_ms; /* of the last cut */
		uint32_t short_ms; /* pause after a connection that came to nothing */
		int node;
		char text[96]; /* why it is not up, or what is there */
	} state;

	struct vhost_guard guard;

	/* vhost_bell.c */
	struct {
		int fd; /* epoll of those below; for who waits for the VM */
		int come; /* eventfd: a ring or a device is there that was not */
		int kicks[VMQ_VHOST_PAIRS_MAX]; /* ours of the rings from the VM, or -1; vhost-events */
		_Atomic uint32_t silent; /* bit n: the VM does not kick ring n. vhost-events: wo */
	} bell;

	/* vhost_watch.c: connector */
	struct {
		uint32_t changes; /* of state.up, at the last look */
		uint32_t replaced; /* vhost_memory_replaced() */
		uint64_t strikes; /* of both meters */
		uint64_t bursts[2], packets[2]; /* of to_vm and from_vm */
		uint16_t jumps, slow, stuck[2]; /* looks in a row */
	} watch;

	/* vhost_connect.c */
	struct {
		bool registered; /* librte_vhost has the socket */
		bool busy; /* the connector is at work on it */
		uint64_t next_ms; /* when to try again */
		uint32_t pause_ms;
		TAILQ_ENTRY(vhost_backend) next;
	} connect;
	TAILQ_ENTRY(vhost_backend) next; /* in the list of vhost_peer.c */
};

static inline struct vhost_backend *
vhost_of(const struct vmq_backend *backend)
{
	return (struct vhost_backend *)(uintptr_t)backend;
}

/* Rings of a pair, as virtio counts them, seen from the VM. */
#define RING_TO_VM(pair) ((uint16_t)((pair) * 2))
#define RING_FROM_VM(pair) ((uint16_t)((pair) * 2 + 1))

/* vhost_path.c: see vmq_backend_driver.h. Worker. */
uint16_t vhost_tx_burst(struct vmq_backend *backend, struct rte_mbuf **packets, uint16_t n);
void vhost_tx_fetch(struct vmq_backend *backend);
uint16_t vhost_rx_burst(struct vmq_backend *backend, struct rte_mempool *pool,
	struct rte_mbuf **packets, uint16_t n);

/*
 * Who shuts a gate has the kernel make all threads of the process execute a barrier, so that
 * who goes in need not: at each burst it would wait until all that it has stored is written.
 * False: the kernel does not (membarrier(2), MEMBARRIER_CMD_PRIVATE_EXPEDITED). Written
 * before the first gate is there.
 */
extern bool vhost_gate_is_light;

/* Say so before it is looked whether one may be: a store, then a load of something else. */
static inline void
vhost_gate_say_inside(struct vhost_gate *gate, enum vhost_visitor visitor)
{
	atomic_store_explicit(&gate->visitors[visitor].inside, true, memory_order_relaxed);
	if (likely(vhost_gate_is_light))
		atomic_signal_fence(memory_order_seq_cst);
	else
		atomic_thread_fence(memory_order_seq_cst);
}

/* Go in. Returns the device, or VHOST_NOBODY and the visitor is out again. */
static inline int
vhost_gate_enter(struct vhost_gate *gate, enum vhost_visitor visitor)
{
	int vid;

	vhost_gate_say_inside(gate, visitor);
	vid = atomic_load_explicit(&gate->vid, memory_order_acquire);
	if (unlikely(vid == VHOST_NOBODY))
		atomic_store_explicit(&gate->visitors[visitor].inside, false,
			memory_order_release);
	return vid;
}

static inline void
vhost_gate_leave(struct vhost_gate *gate, enum vhost_visitor visitor)
{
	atomic_store_explicit(&gate->visitors[visitor].inside, false, memory_order_release);
}

/* Ask the kernel for light gates. Control thread, before a gate is used; again does nothing. */
void vhost_gate_prepare(void);

/* Let nobody in, and wait until all are out: the time of one burst. */
void vhost_gate_shut(struct vhost_gate *gate);

/*
 * The same for one visitor: after a store of what it looks at when it has said that it is
 * inside.
 */
void vhost_gate_wait(struct vhost_gate *gate, enum vhost_visitor visitor);

/* vhost_bell.c: what wakes a worker that waits for a VM. */
int vhost_bell_open(struct vhost_backend *vhost, struct vmq_error *err);
void vhost_bell_close(struct vhost_backend *vhost);
/* A ring from the VM is in use, or is not any more. vhost-events. */
void vhost_bell_hang(struct vhost_backend *vhost, int vid, uint16_t pair);
void vhost_bell_take_off(struct vhost_backend *vhost, uint16_t pair);
/* Wake who waits: there is somebody who was not there. vhost-events. */
void vhost_bell_ring(struct vhost_backend *vhost);
/* See vmq_backend_interrupt_fd(), vmq_backend_interrupt(). */
int vhost_interrupt_fd(const struct vmq_backend *backend);
int vhost_interrupt(struct vmq_backend *backend, bool on);

/* vhost_peer.c */

/* Callbacks of librte_vhost are for this backend too, from now on. */
void vhost_peer_add(struct vhost_backend *vhost);
void vhost_peer_remove(struct vhost_backend *vhost);

/* Say why nobody is there; of a backend that is not up. */
void vhost_peer_explain(struct vhost_backend *vhost, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Is there a connection? */
bool vhost_peer_is_connected(struct vhost_backend *vhost);

/* The backend of a device of librte_vhost's, NULL if there is none. */
struct vhost_backend *vhost_peer_of(int vid);

/*
 * Cut the VM off: it broke a rule. The connection ends, and there is no new one for a
 * while, longer each time. Never waits. Any thread.
 */
void vhost_peer_cut(struct vhost_backend *vhost, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* End the connection without blame: it may come back at once. */
void vhost_peer_reconnect(struct vhost_backend *vhost, const char *text);

/* When there may be a connection again, in ms of the monotonic clock; 0: now. */
uint64_t vhost_peer_refused_until(struct vhost_backend *vhost);

/* The monotonic clock. */
uint64_t vhost_now_ms(void);

/* End the connection: librte_vhost sees it closed. Never waits. */
void vhost_peer_disconnect(struct vhost_backend *vhost);

/* A client's descriptor, known before it is connected. */
void vhost_peer_take_fd(struct vhost_backend *vhost, int fd);

/* librte_vhost has let go of the connection, without a word. */
void vhost_peer_forget(struct vhost_backend *vhost);

extern const struct rte_vhost_device_ops vhost_peer_ops;

/* vhost_connect.c. Control thread. */

/* Begin to connect, or to listen. Returns 0 or -errno. */
int vhost_connect_start(struct vhost_backend *vhost, struct vmq_error *err);

/* No connection any more, and none under way. */
void vhost_connect_stop(struct vhost_backend *vhost);

/* Something has changed: look at the backends now. Any thread. */
void vhost_connect_wake(void);

/* vhost_socket.c: descriptors that librte_vhost has and does not tell of. */

/* An own duplicate of the client socket that was just made, or -errno. */
int vhost_socket_dup_new_client(void);

/* An own duplicate of the connection that the server at path has just accepted. */
int vhost_socket_dup_accepted(const char *path);

/* An eventfd, or what may do anything when it is asked? */
bool vhost_socket_is_eventfd(int fd);

/* Is a call descriptor one whose writes do not wait? Sees to it that they do not. */
bool vhost_socket_make_call_quick(int fd);

/* Let no read or write of it wait for long: all VMs share one thread that does these. */
void vhost_socket_limit_waiting(int fd);

/* vhost_guard.c */

/* Longest ring: bounds the steps that one descriptor chain can take. */
#define VHOST_RING_MAX 4096

/* See each message of a connection before librte_vhost does. vhost-events. */
int vhost_guard_watch(struct vhost_backend *vhost, int vid);

void vhost_guard_reset(struct vhost_guard *guard);

/* May the ring be used? If not the VM is cut off. vhost-events. */
bool vhost_guard_ring_is_good(struct vhost_backend *vhost, int vid, uint16_t ring);

/* vhost_ahead.c */

/*
 * Learn where the memory of a new device is, and what follows from its features. vhost-events,
 * before the gate opens.
 */
void vhost_ahead_learn(struct vhost_ahead *ahead, int vid, uint64_t features);

/*
 * A ring as it was looked up not long ago, and in this epoch, which begins with 1. Returns
 * whether it may be used: all of it lies in the VM's memory. Worker, inside the gate.
 */
bool vhost_ahead_know(const struct vhost_ahead *ahead, struct vhost_ring *ring, int vid,
	uint32_t epoch, uint16_t number);

/*
 * Where we see bytes of the VM's memory; NULL if they are not all of one region. Worker,
 * inside the gate.
 */
static inline void *
vhost_ahead_address(const struct vhost_ahead *ahead, uint64_t guest, uint64_t bytes)
{
	const struct vhost_region *region = ahead->regions;
	uint32_t i;

	for (i = 0; i < ahead->n_regions; i++, region++)
		if (guest - region->guest < region->bytes)
			return bytes <= region->bytes - (guest - region->guest)
				? (void *)(uintptr_t)(guest - region->guest + region->host) : NULL;
	return NULL;
}

/*
 * Which packets of a burst. To ask for the lines of all of them at once is to wait: a CPU has
 * so many requests under way, and not more. With 16 VMs halves at two times bring 3 to 7 % more.
 */
enum vhost_part {
	VHOST_ALL,
	VHOST_FIRST_HALF,
	VHOST_SECOND_HALF, /* after the first */
};

/*
 * Ask for what the next burst of n packets to a ring will write. Worker, inside the gate.
 */
void vhost_ahead_fetch(struct vhost_ahead *ahead, int vid, uint32_t epoch, uint16_t ring,
	uint16_t n, enum vhost_part part);

/*
 * Ask for the index of a split ring, which the VM writes after each burst: librte_vhost reads
 * it first of all and waits. Nothing is read, so that the worker need not be inside the gate.
 */
void vhost_ahead_fetch_index(const struct vhost_ahead *ahead);

/*
 * Is nothing there for librte_vhost to take from a ring whose next entry has that index? A
 * wrong answer lasts for USES_MAX looks at most. Worker, inside the gate.
 */
bool vhost_ahead_is_empty(struct vhost_ahead *ahead, int vid, uint32_t epoch, uint16_t ring,
	uint16_t next);

/* vhost_shortcut.c */

/* A device is there, with these features. vhost-events, before the gate opens. */
void vhost_shortcut_learn(struct vhost_backend *vhost, uint64_t features);

/*
 * Around each message of the VM's side, which may change what a ring is: let the worker into
 * librte_vhost only, and wait for it: a burst at most. vhost-events; librte_vhost holds the
 * rings' locks, which the worker does not wait for there.
 */
void vhost_shortcut_shut(struct vhost_backend *vhost);
void vhost_shortcut_open(struct vhost_backend *vhost);

/*
 * Put packets into a split ring as librte_vhost would. Returns how many, from the first on;
 * full: is the ring full then? Else the others are for librte_vhost. Worker, inside the gate.
 */
uint16_t vhost_shortcut_burst(struct vhost_backend *vhost, int vid, uint16_t ring,
	struct rte_mbuf *const *packets, uint16_t n, bool *full);

/* Tell the VM of packets, if it waits and was not told. Worker, inside the gate. */
void vhost_shortcut_tell(struct vhost_backend *vhost, int vid);

/* Ask for a line to write. Never a fault, wherever it is; nor is it to ask for one to read. */
static inline void
vhost_fetch(const char *line)
{
#ifdef RTE_ARCH_X86
	/*
	 * The compiler's own, for the CPUs that DPDK's flags name, is to read: the line would
	 * be asked for twice. A CPU that does not know this instruction takes it for a nop.
	 */
	asm volatile("prefetchw %0" : : "m"(*line));
#else
	__builtin_prefetch(line, 1);
#endif
}

/* vhost_memory.c */

/* Guard against guest memory that is not there; calls may be nested. Control thread. */
void vhost_memory_guard(bool on);

/* How many mappings were replaced since the start. */
uint32_t vhost_memory_replaced(void);

/* Has this device lost the memory that was replaced last? */
bool vhost_memory_is_lost(int vid);

/*
 * What a first touch of each page of a VM's memory takes at most, and of one of the largest, in
 * TSC cycles. vhost-events.
 */
void vhost_memory_cold(int vid, uint64_t *all, uint64_t *page);

/* Does the guest's memory never wait for a disk or another process? If not: its statfs type. */
bool vhost_memory_is_quick(int vid, uint64_t *type);

/* vhost_moat.c */

/*
 * What the message is about that librte_vhost is to work on, or nothing: then calls of this
 * thread get room behind what they ask for. vhost-events.
 */
void vhost_moat_message(bool memory, bool ring, bool to_vm);

/* Has the list of a ring been made longer by the message that was just worked on? */
bool vhost_moat_list_is_longer(void);

/* Has it mapped memory of a VM? One that says again what is mapped does not. */
bool vhost_moat_has_mapped(void);

/* Has the memory of this device's VM a moat? */
bool vhost_moat_is_there(int vid);

/* Has anybody been behind the memory of this device's VM? */
bool vhost_moat_is_touched(int vid);

/* vhost_watch.c: look after the rings of one VM. Connector, from time to time. */
void vhost_watch(struct vhost_backend *vhost);

#define VHOST_WATCH_MS 100

#endif /* VMQ_VHOST_PRIVATE_H */
