/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include "vmq_backend_driver.h"

/* The data path counts what was delivered; the sink only lets go of it. */

static int
sink_open(struct vmq_backend *backend __rte_unused,
	const struct vmq_backend_params *params __rte_unused, struct vmq_error *err __rte_unused)
{
	return 0;
}

static __rte_noinline uint16_t
free_burst(struct rte_mbuf **packets, uint16_t n)
{
	vmq_packets_free(packets, n);
	return n;
}

static uint16_t
sink_tx_burst(struct vmq_backend *backend __rte_unused, struct rte_mbuf **packets, uint16_t n)
{
	/* Nothing that has to be kept over a call: a burst of few is over in a moment. */
	return likely(vmq_packets_free_few(packets, n)) ? n : free_burst(packets, n);
}

const struct vmq_backend_ops vmq_backend_sink = {
	.type = VMQ_BACKEND_SINK,
	.name = "sink",
	.size = sizeof(struct vmq_backend),
	.open = sink_open,
	.tx_burst = sink_tx_burst,
};
