/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_FILTER_PRIVATE_H
#define VMQ_FILTER_PRIVATE_H

#include "vmq_filter.h"

/* The key of a checked match, see key_table.h. */
uint64_t filter_match_key(const struct vmq_filter_match *match);

#endif /* VMQ_FILTER_PRIVATE_H */
