/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Owners, and whose queue and filter is whose. */

#include <stdlib.h>
#include <string.h>

#include "oid_private.h"

static struct vmq_oid_owner *
find_owner(const struct vmq_oid_adapter *adapter, const char *name)
{
	struct vmq_oid_owner *owner;

	TAILQ_FOREACH(owner, &adapter->owners, next)
		if (strcmp(owner->name, name) == 0)
			return owner;
	return NULL;
}

struct vmq_oid_owner *
vmq_oid_owner_find(const struct vmq_oid_adapter *adapter, const char *name)
{
	struct vmq_oid_owner *owner = find_owner(adapter, name);

	return owner != NULL && !owner->gone ? owner : NULL;
}

const char *
vmq_oid_owner_name(const struct vmq_oid_owner *owner)
{
	return owner->name;
}

enum vmq_status
vmq_oid_owner_create(struct vmq_oid_adapter *adapter, const char *name, bool administrator,
	struct vmq_oid_owner **owner, struct vmq_error *err)
{
	struct vmq_oid_owner *other;

	if (name[0] == '\0' || !oid_has_end(name, VMQ_NAME_SIZE))
		return vmq_error_set(err, VMQ_STATUS_INVALID_PARAMETER,
			"an owner's name has 1 to %d bytes", VMQ_NAME_SIZE - 1);
	other = find_owner(adapter, name);
	if (other != NULL)
		return vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED, "adapter %s: owner %s %s",
			vmq_adapter_name(adapter->beneath), name,
			other->gone ? "has gone, and an administrator must free or take over what "
				      "it left" : "is there already");
	*owner = calloc(1, sizeof(**owner));
	if (*owner == NULL)
		return vmq_error_set(err, VMQ_STATUS_RESOURCES, "no memory for owner %s", name);
	(*owner)->adapter = adapter;
	(*owner)->administrator = administrator;
	oid_copy_text((*owner)->name, sizeof((*owner)->name), name);
	TAILQ_INSERT_TAIL(&adapter->owners, *owner, next);
	return VMQ_STATUS_SUCCESS;
}

bool
vmq_oid_owner_sees(const struct vmq_oid_owner *owner, uint16_t queue_id)
{
	return owner->administrator || oid_queue_record(owner->adapter, queue_id)->owner == owner;
}

void
vmq_oid_owner_info_get(const struct vmq_oid_owner *owner, struct vmq_oid_owner_info *info)
{
	*info = (struct vmq_oid_owner_info){
		.name = owner->name,
		.administrator = owner->administrator,
		.gone = owner->gone,
		.n_belongings = owner->n_belongings,
	};
}

const struct vmq_oid_owner *
vmq_oid_owner_next(const struct vmq_oid_adapter *adapter, const struct vmq_oid_owner *after)
{
	return after == NULL ? TAILQ_FIRST(&adapter->owners) : TAILQ_NEXT(after, next);
}

/* An owner that has gone is remembered for what it left, and no longer. */
static void
forget_if_done(struct vmq_oid_owner *owner)
{
	if (!owner->gone || owner->n_belongings > 0)
		return;
	TAILQ_REMOVE(&owner->adapter->owners, owner, next);
	free(owner);
}

static void
disown(struct vmq_oid_owner *owner)
{
	if (owner == NULL)
		return;
	owner->n_belongings--;
	forget_if_done(owner);
}

void
vmq_oid_owner_gone(struct vmq_oid_owner *owner)
{
	if (owner == NULL)
		return;
	owner->gone = true;
	forget_if_done(owner);
}

enum vmq_status
vmq_oid_take_over(struct vmq_oid_owner *administrator, const char *name, struct vmq_error *err)
{
	struct vmq_oid_adapter *adapter = administrator->adapter;
	struct vmq_oid_owner *gone = find_owner(adapter, name);
	uint32_t i;

	if (!administrator->administrator)
		return vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED, "owner %s is no administrator",
			administrator->name);
	if (gone == NULL)
		return vmq_error_set(err, VMQ_STATUS_INVALID_PARAMETER,
			"adapter %s: no owner %s has left anything",
			vmq_adapter_name(adapter->beneath), name);
	if (!gone->gone)
		return vmq_error_set(err, VMQ_STATUS_NOT_ACCEPTED,
			"owner %s is still there: what it has cannot be taken over", name);
	for (i = 0; i < adapter->n_queues; i++)
		if (adapter->queues[i].owner == gone)
			adapter->queues[i].owner = administrator;
	for (i = 0; i < adapter->n_filters; i++)
		if (adapter->filters[i].owner == gone)
			adapter->filters[i].owner = administrator;
	adapter->changes++;
	administrator->n_belongings += gone->n_belongings;
	gone->n_belongings = 0;
	forget_if_done(gone);
	return VMQ_STATUS_SUCCESS;
}

const struct queue_record *
oid_queue_record(const struct vmq_oid_adapter *adapter, uint16_t id)
{
	static const struct queue_record none;

	return id < adapter->n_queues ? &adapter->queues[id] : &none;
}

/* Make sure that there are so many records. */
static bool
reserve_records(struct vmq_oid_adapter *adapter, uint32_t wanted)
{
	struct queue_record *records;
	uint32_t n;

	if (wanted <= adapter->n_queues)
		return true;
	n = RTE_MAX(wanted, 2 * adapter->n_queues);
	records = realloc(adapter->queues, n * sizeof(*records));
	if (records == NULL)
		return false;
	memset(records + adapter->n_queues, 0, (n - adapter->n_queues) * sizeof(*records));
	adapter->queues = records;
	adapter->n_queues = n;
	return true;
}

struct queue_record *
oid_reserve_record(struct vmq_oid_adapter *adapter, uint16_t id)
{
	return reserve_records(adapter, id + UINT32_C(1)) ? &adapter->queues[id] : NULL;
}

bool
oid_reserve_queue(struct vmq_oid_adapter *adapter)
{
	uint32_t wanted = 1; /* one more than there are: the lowest free id is below */
	int id;

	for (id = -1; (id = vmq_queue_next(adapter->beneath, id)) >= 0;)
		wanted++;
	return reserve_records(adapter, wanted);
}

bool
oid_reserve_filter(struct vmq_oid_adapter *adapter)
{
	struct filter_record *records;
	uint32_t n;

	if (adapter->n_filters < adapter->filters_capacity)
		return true;
	n = 2 * adapter->filters_capacity + 16;
	records = realloc(adapter->filters, n * sizeof(*records));
	if (records == NULL)
		return false;
	adapter->filters = records;
	adapter->filters_capacity = n;
	return true;
}

struct queue_record *
oid_add_queue(struct vmq_oid_adapter *adapter, uint16_t id, struct vmq_oid_owner *owner)
{
	struct queue_record *record = &adapter->queues[id];

	*record = (struct queue_record){.owner = owner};
	owner->n_belongings++;
	return record;
}

void
oid_add_filter(struct vmq_oid_adapter *adapter, uint32_t id, struct vmq_oid_owner *owner)
{
	adapter->filters[adapter->n_filters++] = (struct filter_record){.id = id, .owner = owner};
	owner->n_belongings++;
}

void
oid_drop_queue(struct vmq_oid_adapter *adapter, uint16_t id)
{
	struct vmq_oid_owner *owner;

	if (id >= adapter->n_queues)
		return;
	owner = adapter->queues[id].owner;
	adapter->queues[id] = (struct queue_record){0};
	disown(owner);
}

static int
compare_filter(const void *key, const void *record)
{
	const uint32_t id = *(const uint32_t *)key;
	const uint32_t other = ((const struct filter_record *)record)->id;

	return (id > other) - (id < other);
}

static struct filter_record *
find_filter(const struct vmq_oid_adapter *adapter, uint32_t id)
{
	if (adapter->n_filters == 0)
		return NULL;
	return bsearch(&id, adapter->filters, adapter->n_filters, sizeof(*adapter->filters),
		compare_filter);
}

void
oid_drop_filter(struct vmq_oid_adapter *adapter, uint32_t id)
{
	struct filter_record *record = find_filter(adapter, id);
	struct vmq_oid_owner *owner;

	if (record == NULL)
		return;
	owner = record->owner;
	adapter->n_filters--;
	memmove(record, record + 1,
		(size_t)(adapter->filters + adapter->n_filters - record) * sizeof(*record));
	disown(owner);
}

static bool
sees(const struct vmq_oid_request *request, const struct vmq_oid_owner *owner)
{
	return request->owner->administrator || owner == request->owner;
}

static const struct vmq_oid_owner *
filter_owner(const struct vmq_oid_adapter *adapter, uint32_t id)
{
	const struct filter_record *record = find_filter(adapter, id);

	return record != NULL ? record->owner : NULL;
}

const char *
vmq_oid_queue_owner(const struct vmq_oid_adapter *adapter, uint16_t id)
{
	const struct vmq_oid_owner *owner = oid_queue_record(adapter, id)->owner;

	return owner != NULL ? owner->name : "";
}

const char *
vmq_oid_filter_owner(const struct vmq_oid_adapter *adapter, uint32_t id)
{
	const struct vmq_oid_owner *owner = filter_owner(adapter, id);

	return owner != NULL ? owner->name : "";
}

bool
oid_sees_filter(const struct vmq_oid_request *request, uint32_t id)
{
	return sees(request, filter_owner(request->owner->adapter, id));
}

bool
oid_sees_queue(const struct vmq_oid_request *request, uint16_t id)
{
	return sees(request, oid_queue_record(request->owner->adapter, id)->owner);
}

/* May it do that with something that it can see and that has this owner? */
static enum vmq_status
check_owner(struct vmq_oid_request *request, const struct vmq_oid_owner *owner,
	enum access access, const char *what, uint32_t id)
{
	const bool abandoned = owner == NULL || owner->gone;

	if (owner == request->owner || access == ACCESS_READ ||
		(abandoned && access == ACCESS_REMOVE))
		return VMQ_STATUS_SUCCESS;
	if (owner == NULL)
		return vmq_error_set(&request->error, VMQ_STATUS_NOT_ACCEPTED,
			"%s %u is nobody's: it can be removed, not changed", what, id);
	return vmq_error_set(&request->error, VMQ_STATUS_NOT_ACCEPTED, "%s %u is owner %s's%s",
		what, id, owner->name, abandoned ? ", who has gone: take it over first"
			: request->owner->administrator ? ": act in its name to change it" : "");
}

enum vmq_status
oid_queue_access(struct vmq_oid_request *request, uint32_t id, enum access access,
	struct vmq_queue_info *info)
{
	struct vmq_oid_adapter *adapter = request->owner->adapter;
	const bool is_default = id == VMQ_DEFAULT_QUEUE_ID;

	if (id > UINT16_MAX || (!is_default && !oid_sees_queue(request, (uint16_t)id)) ||
		!vmq_queue_info_get(adapter->beneath, (uint16_t)id, info))
		return vmq_error_set(&request->error, VMQ_STATUS_INVALID_PARAMETER,
			"adapter %s: owner %s has no queue %u", vmq_adapter_name(adapter->beneath),
			request->owner->name, id);
	if (!is_default)
		return check_owner(request, oid_queue_record(adapter, (uint16_t)id)->owner, access,
			"queue", id);
	if (access == ACCESS_CHANGE && !request->owner->administrator)
		return vmq_error_set(&request->error, VMQ_STATUS_NOT_ACCEPTED,
			"only an administrator can change the default queue, queue 0");
	return VMQ_STATUS_SUCCESS;
}

enum vmq_status
oid_filter_access(struct vmq_oid_request *request, uint32_t id, enum access access,
	const struct vmq_filter **filter)
{
	struct vmq_oid_adapter *adapter = request->owner->adapter;

	*filter = vmq_filter_find(vmq_adapter_filters(adapter->beneath), id);
	if (*filter == NULL || !oid_sees_filter(request, id))
		return vmq_error_set(&request->error, VMQ_STATUS_FILE_NOT_FOUND,
			"adapter %s: owner %s has no filter %u", vmq_adapter_name(adapter->beneath),
			request->owner->name, id);
	return check_owner(request, filter_owner(adapter, id), access, "filter", id);
}

enum vmq_status
oid_check_event(struct vmq_oid_request *request, const struct vmq_queue_info *info,
	enum vmq_queue_event event)
{
	if (vmq_queue_next_state(info->state, event) != VMQ_QUEUE_STATE_COUNT)
		return VMQ_STATUS_SUCCESS;
	return vmq_error_set(&request->error, VMQ_STATUS_NOT_ACCEPTED,
		"queue %u (%s): %s is not valid in state %s", info->id, info->name,
		vmq_queue_event_name(event), vmq_queue_state_name(info->state));
}
