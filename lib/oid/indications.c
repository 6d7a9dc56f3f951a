/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <stdlib.h>

#include <rte_errno.h>

#include "oid_private.h"

static const char *const names[VMQ_INDICATE_COUNT] = {
	[VMQ_INDICATE_QUEUE_STATE] = "RECEIVE_QUEUE_STATE",
	[VMQ_INDICATE_QUEUE_PARAMETERS] = "RECEIVE_FILTER_QUEUE_PARAMETERS",
	[VMQ_INDICATE_MEMORY_GROWN] = "MEMORY_GROWN",
	[VMQ_INDICATE_MEMORY_RETURNED] = "MEMORY_RETURNED",
	[VMQ_INDICATE_MEMORY_FAILED] = "MEMORY_FAILED",
	[VMQ_INDICATE_BACKEND_UP] = "BACKEND_UP",
	[VMQ_INDICATE_BACKEND_DOWN] = "BACKEND_DOWN",
	[VMQ_INDICATE_LINK_UP] = "LINK_UP",
	[VMQ_INDICATE_LINK_DOWN] = "LINK_DOWN",
	[VMQ_INDICATE_PORT_RESET] = "PORT_RESET",
	[VMQ_INDICATE_PORT_REMOVED] = "PORT_REMOVED",
	[VMQ_INDICATE_RULES_RESTORED] = "RULES_RESTORED",
};

const char *
vmq_oid_indication_name(enum vmq_indication type)
{
	return (unsigned int)type < VMQ_INDICATE_COUNT ? names[type] : NULL;
}

struct vmq_oid_subscriber *
vmq_oid_subscribe(struct vmq_oid_adapter *adapter, vmq_oid_indication_callback *callback, void *arg)
{
	struct vmq_oid_subscriber *subscriber = calloc(1, sizeof(*subscriber));

	if (subscriber == NULL) {
		rte_errno = ENOMEM;
		return NULL;
	}
	subscriber->adapter = adapter;
	subscriber->callback = callback;
	subscriber->arg = arg;
	subscriber->after = adapter->sequence;
	TAILQ_INSERT_TAIL(&adapter->subscribers, subscriber, next);
	return subscriber;
}

static void
remove_subscriber(struct vmq_oid_subscriber *subscriber)
{
	TAILQ_REMOVE(&subscriber->adapter->subscribers, subscriber, next);
	free(subscriber);
}

void
vmq_oid_unsubscribe(struct vmq_oid_subscriber *subscriber)
{
	if (subscriber == NULL)
		return;
	/* While the list is walked nothing goes out of it. */
	if (subscriber->adapter->telling)
		subscriber->callback = NULL;
	else
		remove_subscriber(subscriber);
}

uint64_t
vmq_oid_last_sequence(const struct vmq_oid_adapter *adapter)
{
	return adapter->sequence;
}

void
oid_indicate(void *arg, struct vmq_adapter *beneath, enum vmq_indication type, uint16_t queue_id,
	uint32_t value)
{
	struct vmq_oid_subscriber *subscriber, *next;
	struct vmq_oid_adapter *adapter = arg;
	const struct vmq_oid_indication indication = {
		.sequence = ++adapter->sequence,
		.adapter = adapter,
		.type = type,
		.queue_id = queue_id,
		/* In the words of requests, not of the queue beneath. */
		.value = type == VMQ_INDICATE_QUEUE_PARAMETERS ? adapter->changing : value,
	};

	(void)beneath;
	/* What makes indications is refused while they are told: this never nests. */
	adapter->telling = true;
	TAILQ_FOREACH(subscriber, &adapter->subscribers, next)
		if (subscriber->callback != NULL && subscriber->after < indication.sequence)
			subscriber->callback(subscriber->arg, &indication);
	adapter->telling = false;
	for (subscriber = TAILQ_FIRST(&adapter->subscribers); subscriber != NULL;
		subscriber = next) {
		next = TAILQ_NEXT(subscriber, next);
		if (subscriber->callback == NULL)
			remove_subscriber(subscriber);
	}
}
