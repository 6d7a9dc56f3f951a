/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <stdlib.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_memory.h>
#include <rte_memzone.h>

#include "vmq_shmem_provider.h"

/* IOVA of an address in a memzone. */
static rte_iova_t
iova_of(const void *addr)
{
	const struct rte_memseg *seg = rte_mem_virt2memseg(addr, NULL);

	if (seg != NULL && seg->iova != RTE_BAD_IOVA)
		return seg->iova + RTE_PTR_DIFF(addr, seg->addr);
	return rte_mem_virt2iova(addr); /* --no-huge has no IOVA in its segments */
}

/* Pages of a zone as ranges, neighbours joined. */
static int
make_sg(const struct rte_memzone *zone, struct vmq_shmem_memory *memory)
{
	size_t page = zone->hugepage_sz, n_pages, offset, next;
	struct vmq_sg_element *sg;
	rte_iova_t iova;
	uint32_t n = 0;

	/* With virtual addresses as IOVA every zone is one range. */
	if (rte_eal_iova_mode() == RTE_IOVA_VA || page == 0)
		page = zone->len;
	n_pages = zone->len / page + 2;
	sg = malloc(n_pages * sizeof(*sg));
	if (sg == NULL)
		return -ENOMEM;

	for (offset = 0; offset < zone->len; offset = next) {
		next = page == zone->len
			? zone->len
			: RTE_MIN(zone->len, (size_t)RTE_PTR_DIFF(RTE_PTR_ALIGN_CEIL(
				RTE_PTR_ADD(zone->addr, offset + 1), page), zone->addr));
		iova = page == zone->len ? zone->iova : iova_of(RTE_PTR_ADD(zone->addr, offset));
		if (n > 0 && iova != RTE_BAD_IOVA &&
			sg[n - 1].iova + sg[n - 1].length_bytes == iova)
			sg[n - 1].length_bytes += next - offset;
		else
			sg[n++] = (struct vmq_sg_element){iova, next - offset};
	}
	memory->sg = sg;
	memory->n_sg = n;
	return 0;
}

static int
memzone_allocate(void *arg __rte_unused, const char *name, const struct vmq_shmem_params *params,
	struct vmq_shmem_memory *memory)
{
	const struct rte_memzone *zone;
	unsigned int flags = 0;
	int ret;

	if (params->flags & VMQ_SHMEM_F_CONTIGUOUS)
		flags |= RTE_MEMZONE_IOVA_CONTIG;
	zone = rte_memzone_reserve_aligned(name, params->length_bytes, params->preferred_node,
		flags, RTE_CACHE_LINE_SIZE);
	if (zone == NULL)
		return rte_errno == 0 ? -ENOMEM : -rte_errno;
	ret = make_sg(zone, memory);
	if (ret < 0) {
		rte_memzone_free(zone);
		return ret;
	}
	memory->addr = zone->addr;
	memory->length_bytes = zone->len;
	memory->cookie = (void *)(uintptr_t)zone;
	return 0;
}

static void
memzone_free(void *arg __rte_unused, struct vmq_shmem_memory *memory)
{
	rte_memzone_free(memory->cookie);
}

const struct vmq_shmem_provider vmq_shmem_provider_memzone = {
	.name = "memzone",
	.alignment = RTE_CACHE_LINE_SIZE,
	.allocate = memzone_allocate,
	.free = memzone_free,
};
