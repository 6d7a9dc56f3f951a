/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Limits of a queue's rates; what they do is where packets pass, in dp_private.h. */

#include <errno.h>

#include <rte_malloc.h>

#include "dp_private.h"

#define KIB 1024
/* Bytes a second of 1 Mbit/s. */
#define MBPS_BYTES 125000
#define BURST_DEFAULT_MS 10
#define BURST_DEFAULT_KB_MIN 64

uint32_t
vmq_dp_rate_burst_default(uint32_t mbps)
{
	const uint64_t bytes = (uint64_t)mbps * MBPS_BYTES * BURST_DEFAULT_MS / 1000;

	return (uint32_t)RTE_MAX((bytes + KIB - 1) / KIB, (uint64_t)BURST_DEFAULT_KB_MIN);
}

/* NULL for no limit. Returns false without memory. */
static bool
make_rate(const struct vmq_dp_rate *from, struct rate **rate)
{
	struct rte_meter_srtcm_params params = {
		.cir = (uint64_t)from->mbps * MBPS_BYTES,
		.cbs = (uint64_t)from->burst_kb * KIB,
	};

	*rate = NULL;
	if (from->mbps == 0)
		return true;
	*rate = rte_zmalloc("vmq_rate", sizeof(**rate), RTE_CACHE_LINE_SIZE);
	if (*rate == NULL)
		return false;
	/* They refuse a rate of 0 and bursts of 0, and nothing else. */
	if (rte_meter_srtcm_profile_config(&(*rate)->profile, &params) == 0 &&
		rte_meter_srtcm_config(&(*rate)->meter, &(*rate)->profile) == 0)
		return true;
	rte_free(*rate);
	return false;
}

static void
destroy_rate(void *rate)
{
	rte_free(rate);
}

static void
replace(struct vmq_datapath *dp, _Atomic(struct rate *) *place, struct rate *rate)
{
	struct rate *old = atomic_exchange_explicit(place, rate, memory_order_acq_rel);

	if (old != NULL)
		garbage_add(dp, destroy_rate, old);
}

int
vmq_dp_queue_set_rates(struct vmq_datapath *dp, struct vmq_dp_queue *queue,
	const struct vmq_dp_rate *to_vm, const struct vmq_dp_rate *from_vm)
{
	struct rate *to, *from;

	if (!make_rate(to_vm, &to))
		return -ENOMEM;
	if (!make_rate(from_vm, &from)) {
		rte_free(to);
		return -ENOMEM;
	}
	if (to != NULL)
		fast_set(queue->fast, SPECIAL_RATE, true);
	replace(dp, &queue->to_vm, to);
	if (to == NULL)
		fast_set(queue->fast, SPECIAL_RATE, false);
	if (queue->sender != NULL)
		replace(dp, &queue->sender->from_vm, from);
	else
		rte_free(from);
	return 0;
}
