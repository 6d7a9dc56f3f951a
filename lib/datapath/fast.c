/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * Where struct fast comes from: side by side in few pages, whatever else queues have been
 * made of in between. By themselves a thousand of them would be in a thousand places, and
 * each of those takes an entry of the TLB and, at like distances, the same cache sets.
 */

#include <string.h>
#include <sys/queue.h>

#include <rte_bitops.h>
#include <rte_malloc.h>

#include "dp_private.h"

#define SLAB_BYTES 4096
/* Beside the head, which takes one. */
#define SLAB_LINES (SLAB_BYTES / sizeof(struct fast) - 1)

struct slab {
	LIST_ENTRY(slab) next;
	int socket_id;
	uint64_t taken; /* a bit for each line */
	struct fast lines[SLAB_LINES];
};

static LIST_HEAD(, slab) slabs = LIST_HEAD_INITIALIZER(slabs);

static struct slab *
slab_create(int socket_id)
{
	struct slab *slab;

	RTE_BUILD_BUG_ON(sizeof(*slab) != SLAB_BYTES || SLAB_LINES > 63);
	/* Aligned to its size: a line finds its slab by its address. */
	slab = rte_zmalloc_socket("vmq_fast", sizeof(*slab), SLAB_BYTES, socket_id);
	if (slab == NULL)
		return NULL;
	slab->socket_id = socket_id;
	LIST_INSERT_HEAD(&slabs, slab, next);
	return slab;
}

struct fast *
fast_alloc(int socket_id)
{
	const uint64_t full = RTE_BIT64(SLAB_LINES) - 1;
	struct slab *slab;
	unsigned int i;

	LIST_FOREACH(slab, &slabs, next)
		if (slab->socket_id == socket_id && slab->taken != full)
			break;
	if (slab == NULL)
		slab = slab_create(socket_id);
	if (slab == NULL)
		return NULL;
	i = (unsigned int)__builtin_ctzll(~slab->taken);
	slab->taken |= RTE_BIT64(i);
	memset(&slab->lines[i], 0, sizeof(slab->lines[i]));
	return &slab->lines[i];
}

void
fast_free(struct fast *fast)
{
	struct slab *slab;

	if (fast == NULL)
		return;
	slab = RTE_PTR_ALIGN_FLOOR((void *)fast, SLAB_BYTES);
	slab->taken &= ~RTE_BIT64(fast - slab->lines);
	if (slab->taken != 0)
		return;
	LIST_REMOVE(slab, next);
	rte_free(slab);
}
