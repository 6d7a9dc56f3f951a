/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include "vmq_base.h"

#include <stdio.h>

static const char *const status_names[VMQ_STATUS_COUNT] = {
	[VMQ_STATUS_SUCCESS] = "SUCCESS",
	[VMQ_STATUS_PENDING] = "PENDING",
	[VMQ_STATUS_INVALID_PARAMETER] = "INVALID_PARAMETER",
	[VMQ_STATUS_INVALID_LENGTH] = "INVALID_LENGTH",
	[VMQ_STATUS_NOT_SUPPORTED] = "NOT_SUPPORTED",
	[VMQ_STATUS_RESOURCES] = "RESOURCES",
	[VMQ_STATUS_NOT_ACCEPTED] = "NOT_ACCEPTED",
	[VMQ_STATUS_FILE_NOT_FOUND] = "FILE_NOT_FOUND",
	[VMQ_STATUS_REQUEST_ABORTED] = "REQUEST_ABORTED",
	[VMQ_STATUS_FAILURE] = "FAILURE",
};

const char *
vmq_status_name(enum vmq_status status)
{
	if ((unsigned int)status >= VMQ_STATUS_COUNT)
		return "UNKNOWN";
	return status_names[status];
}

void
vmq_packets_free_any(struct rte_mbuf **packets, uint16_t n)
{
	if (n == 0)
		return;
	if (likely(vmq_packets_are_ordinary(packets, n)))
		rte_mempool_put_bulk(packets[0]->pool, (void *const *)packets, n);
	else
		rte_pktmbuf_free_bulk(packets, n);
}

enum vmq_status
vmq_error_set(struct vmq_error *err, enum vmq_status status, const char *format, ...)
{
	va_list ap;

	if (err != NULL) {
		va_start(ap, format);
		vsnprintf(err->text, sizeof(err->text), format, ap);
		va_end(ap);
	}
	return status;
}

int
vmq_error_errno(struct vmq_error *err, int errnum, const char *format, ...)
{
	va_list ap;

	if (err != NULL) {
		va_start(ap, format);
		vsnprintf(err->text, sizeof(err->text), format, ap);
		va_end(ap);
	}
	return -errnum;
}
