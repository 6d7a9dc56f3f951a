/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_VM_BED_H
#define VMQ_VM_BED_H

/**
 * @file
 * A vhost-user backend and a VM at its other end, both in the test's process: the VM's
 * side is DPDK's net_virtio_user, its memory that of the test. Helpers fail the running
 * test themselves.
 */

#include "unit.h"

#include <vmq_backend.h>

#define VM_BED_RING 256 /* descriptors */
#define VM_BED_BUFFERS 2048 /* in each pool */

struct vm_bed {
	struct vmq_backend *backend;
	struct rte_mempool *pool; /* of the queue: to the VM, and what is received from it */
	uint16_t port_id; /* of the VM */
	struct rte_mempool *vm_pool;
	char *socket;
};

/** Start both, and wait until they are connected. */
struct vm_bed *vm_bed_make(bool packed);

void vm_bed_free(struct vm_bed *bed);

/** Teardown: free the bed that a test which failed has left behind. */
int vm_bed_abandon(void **state);

/** Offer n packets of 60 bytes to the VM, n at most VMQ_BURST. @return how many were taken */
uint16_t vm_bed_offer(struct vm_bed *bed, uint16_t n);

/** Let the VM take all that is in its ring. @return how many packets */
uint16_t vm_bed_take(struct vm_bed *bed);

/** Let the VM send n packets of 60 bytes. @return how many its ring had room for */
uint16_t vm_bed_send(struct vm_bed *bed, uint16_t n);

/** Let the VM send a frame that no buffer of the queue's can take. */
void vm_bed_send_too_long(struct vm_bed *bed);

/** Receive what the VM has sent, one burst. @return how many packets */
uint16_t vm_bed_receive(struct vm_bed *bed);

#endif /* VMQ_VM_BED_H */
