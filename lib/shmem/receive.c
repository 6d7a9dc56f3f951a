/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>

#include "vmq_shmem.h"

int
vmq_receive_indication_get(uint16_t queue_id, const struct rte_mbuf *packet,
	struct vmq_receive_indication *indication)
{
	const struct vmq_buffer_info *info;
	const struct rte_mbuf *owner;
	uint16_t n = 0;

	if (packet->nb_segs > VMQ_RECEIVE_SEGMENTS_MAX)
		return -E2BIG;
	for (; packet != NULL; packet = packet->next, n++) {
		/* A clone's bytes lie in the buffer of another. */
		owner = RTE_MBUF_CLONED(packet)
			? rte_mbuf_from_indirect((struct rte_mbuf *)(uintptr_t)packet) : packet;
		info = vmq_buffer_info(owner);
		indication->segments[n].shared_memory_handle = info->shared_memory_handle;
		indication->segments[n].offset = info->offset + packet->data_off;
		indication->segments[n].length = packet->data_len;
	}
	indication->queue_id = queue_id;
	indication->filter_id = 0;
	indication->n_segments = n;
	return 0;
}
