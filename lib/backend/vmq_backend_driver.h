/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_BACKEND_DRIVER_H
#define VMQ_BACKEND_DRIVER_H

/**
 * @file
 * For who writes a backend. Users of backends include vmq_backend.h.
 */

#include "vmq_backend.h"

#define VMQ_BACKEND_TEXT_SIZE 128

struct vmq_backend_ops {
	enum vmq_backend_type type;
	const char *name; /**< As in a document. */
	bool holds; /**< Keeps packets after tx_burst. */
	size_t size; /**< Of the driver's structure, which begins with struct vmq_backend. */

	/** Fill in the zeroed structure. On failure leave nothing behind. @return 0 or -errno */
	int (*open)(struct vmq_backend *backend, const struct vmq_backend_params *params,
		struct vmq_error *err);
	/** See vmq_backend_quiesce(). NULL: draining never waits. */
	bool (*quiesce)(struct vmq_backend *backend);
	/** See vmq_backend_drain(); called once, before close. May be NULL, as close may. */
	int (*drain)(struct vmq_backend *backend, struct vmq_error *err);
	/** Give everything back; the structure itself is the caller's. */
	void (*close)(struct vmq_backend *backend);
	/** See vmq_backend_tx_burst(); n is never more than VMQ_BURST. */
	vmq_backend_tx_fn *tx_burst;
	/** See vmq_backend_tx_fetch_fn. NULL: nothing is gained by it. */
	vmq_backend_tx_fetch_fn *tx_fetch;
	/** See vmq_backend_rx_burst(); n is never more than VMQ_BURST. NULL: never receives. */
	uint16_t (*rx_burst)(struct vmq_backend *backend, struct rte_mempool *pool,
		struct rte_mbuf **packets, uint16_t n);
	/** See vmq_backend_interrupt_fd(), vmq_backend_interrupt(). Both NULL: none. */
	int (*interrupt_fd)(const struct vmq_backend *backend);
	int (*interrupt)(struct vmq_backend *backend, bool on);
	/** See vmq_backend_link_get(); link is zeroed, without a node. NULL: always up. Any thread. */
	void (*link_get)(const struct vmq_backend *backend, struct vmq_backend_link *link);
	/** May be NULL: nothing fails, nothing waits. Any thread. */
	void (*stats_get)(const struct vmq_backend *backend, struct vmq_backend_stats *stats);
};

/** What every backend has; the driver's own structure goes on behind it. */
struct vmq_backend {
	const struct vmq_backend_ops *ops;
	char text[VMQ_BACKEND_TEXT_SIZE];
};

extern const struct vmq_backend_ops vmq_backend_sink;
extern const struct vmq_backend_ops vmq_backend_pcap;
extern const struct vmq_backend_ops vmq_backend_ethdev;
extern const struct vmq_backend_ops vmq_backend_vhost;

#endif /* VMQ_BACKEND_DRIVER_H */
