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
struct vhost_gate {
	_Atomic int vid; /* vhost-events: wo; worker: ro. VHOST_NOBODY: no device. */
	_Atomic uint32_t to_vm; /* bit n: ring of pair n towards the VM is enabled */
	_Atomic uint32_t from_vm;
	_Atomic uint32_t max_frame; /* in bytes: what the VM's driver can take */
	_Atomic bool inside __rte_cache_aligned; /* worker: wo */
};

struct vhost_backend {
	struct vmq_backend backend;
	uint16_t pairs; /* most queue pairs that the VM may have */
	struct vhost_gate gate __rte_cache_aligned;

	/* worker */
	uint32_t next_pair; /* to be received from first */
	vmq_counter_t failed;
	vmq_counter_t disconnected; /* packets while nobody was there */
	vmq_counter_t disconnected_bytes;
	vmq_counter_t ring_full;

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
		int node;
		char text[96]; /* why it is not up, or what is there */
	} state;

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

/* vhost_path.c: see vmq_backend_driver.h. Worker. */
uint16_t vhost_tx_burst(struct vmq_backend *backend, struct rte_mbuf **packets, uint16_t n);
uint16_t vhost_rx_burst(struct vmq_backend *backend, struct rte_mempool *pool,
	struct rte_mbuf **packets, uint16_t n);

/* Let nobody in, and wait until the worker is out: the time of one burst. */
void vhost_gate_shut(struct vhost_gate *gate);

/* vhost_peer.c */

/* Callbacks of librte_vhost are for this backend too, from now on. */
void vhost_peer_add(struct vhost_backend *vhost);
void vhost_peer_remove(struct vhost_backend *vhost);

/* Say why nobody is there; of a backend that is not up. */
void vhost_peer_explain(struct vhost_backend *vhost, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Is there a connection? */
bool vhost_peer_is_connected(struct vhost_backend *vhost);

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

/* Let no read or write of it wait for long: all VMs share one thread that does these. */
void vhost_socket_limit_waiting(int fd);

#endif /* VMQ_VHOST_PRIVATE_H */
