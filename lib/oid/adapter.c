/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <stdlib.h>

#include <rte_errno.h>

#include "oid_private.h"

struct vmq_oid_adapter *
vmq_oid_adapter_create(struct vmq_adapter *beneath)
{
	struct vmq_oid_adapter *adapter = calloc(1, sizeof(*adapter));

	if (adapter == NULL) {
		rte_errno = ENOMEM;
		return NULL;
	}
	adapter->beneath = beneath;
	TAILQ_INIT(&adapter->owners);
	TAILQ_INIT(&adapter->subscribers);
	vmq_adapter_set_indications(beneath, oid_indicate, adapter);
	return adapter;
}

void
vmq_oid_adapter_free(struct vmq_oid_adapter *adapter)
{
	struct vmq_oid_subscriber *subscriber;
	struct vmq_oid_owner *owner;

	if (adapter == NULL)
		return;
	while ((owner = TAILQ_FIRST(&adapter->owners)) != NULL) {
		TAILQ_REMOVE(&adapter->owners, owner, next);
		free(owner);
	}
	while ((subscriber = TAILQ_FIRST(&adapter->subscribers)) != NULL) {
		TAILQ_REMOVE(&adapter->subscribers, subscriber, next);
		free(subscriber);
	}
	free(adapter->queues);
	free(adapter->filters);
	free(adapter);
}

struct vmq_adapter *
vmq_oid_adapter_beneath(const struct vmq_oid_adapter *adapter)
{
	return adapter->beneath;
}
