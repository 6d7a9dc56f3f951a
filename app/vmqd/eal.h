/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQD_EAL_H
#define VMQD_EAL_H

#include "document.h"

/**
 * Start EAL with the arguments that the document asks for. Its own words are kept off
 * the console unless verbose. Worker i runs on lcore
 * eal_worker_lcore(i); lcore 0 is the control thread.
 *
 * @return 0, or -errno with the reason in err.
 */
int eal_start(const struct document *doc, bool verbose, struct vmq_error *err);

/** lcore of a worker, by its place in eal.workers. */
unsigned int eal_worker_lcore(size_t worker);

/** Stop EAL and remove the files of its run. */
void eal_stop(const struct document *doc);

#endif /* VMQD_EAL_H */
