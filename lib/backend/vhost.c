/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vhost_private.h"

/* What names of users and groups may need at most, in bytes. */
#define NAME_BUFFER_SIZE 16384

static bool
is_number(const char *text, unsigned long *number)
{
	char *end;

	errno = 0;
	*number = strtoul(text, &end, 10);
	return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && *number < UINT32_MAX;
}

static int
find_owner(struct vhost_backend *vhost, const char *owner, struct vmq_error *err)
{
	char buffer[NAME_BUFFER_SIZE];
	struct passwd user, *found;
	unsigned long number;

	vhost->owner = (uid_t)-1;
	if (owner == NULL)
		return 0;
	if (getpwnam_r(owner, &user, buffer, sizeof(buffer), &found) == 0 && found != NULL) {
		vhost->owner = user.pw_uid;
		return 0;
	}
	if (!is_number(owner, &number))
		return vmq_error_errno(err, EINVAL, "socket %s: there is no user \"%s\"",
			vhost->socket, owner);
	vhost->owner = (uid_t)number;
	return 0;
}

static int
find_group(struct vhost_backend *vhost, const char *name, struct vmq_error *err)
{
	char buffer[NAME_BUFFER_SIZE];
	struct group group, *found;
	unsigned long number;

	vhost->group = (gid_t)-1;
	if (name == NULL)
		return 0;
	if (getgrnam_r(name, &group, buffer, sizeof(buffer), &found) == 0 && found != NULL) {
		vhost->group = group.gr_gid;
		return 0;
	}
	if (!is_number(name, &number))
		return vmq_error_errno(err, EINVAL, "socket %s: there is no group \"%s\"",
			vhost->socket, name);
	vhost->group = (gid_t)number;
	return 0;
}

static int
vhost_open(struct vmq_backend *backend, const struct vmq_backend_params *params,
	struct vmq_error *err)
{
	const struct vmq_backend_vhost *wanted = &params->vhost;
	struct vhost_backend *vhost = vhost_of(backend);
	int ret;

	snprintf(backend->text, sizeof(backend->text), "vhost-user %s %s",
		wanted->server ? "server" : "client", wanted->socket);
	if (strlen(wanted->socket) > VMQ_VHOST_SOCKET_MAX)
		return vmq_error_errno(err, ENAMETOOLONG,
			"socket %s: a path of %zu bytes, and the system takes %u", wanted->socket,
			strlen(wanted->socket), VMQ_VHOST_SOCKET_MAX);
	vhost->pairs = RTE_MAX(wanted->queue_pairs, (uint16_t)1);
	if (vhost->pairs > VMQ_VHOST_PAIRS_MAX)
		return vmq_error_errno(err, EINVAL, "socket %s: %u queue pairs, at most %u",
			wanted->socket, vhost->pairs, VMQ_VHOST_PAIRS_MAX);
	vhost->socket = strdup(wanted->socket);
	if (vhost->socket == NULL)
		return vmq_error_errno(err, ENOMEM, "no memory for a vhost-user backend");
	vhost->server = wanted->server;
	vhost->permissions = wanted->permissions != 0 ? wanted->permissions
		: VMQ_VHOST_PERMISSIONS_DEFAULT;
	atomic_store(&vhost->gate.vid, VHOST_NOBODY);
	vhost->to_vm.quota = VMQ_BURST;
	vhost->from_vm.quota = VMQ_BURST;
	vhost_memory_guard(true);
	vhost->state.fd = -1;
	vhost->state.vid = VHOST_NOBODY;
	vhost->state.node = SOCKET_ID_ANY;
	pthread_mutex_init(&vhost->state.lock, NULL);
	vhost_gate_prepare();
	ret = vhost_bell_open(vhost, err);
	if (ret == 0)
		ret = find_owner(vhost, wanted->owner, err);
	if (ret == 0)
		ret = find_group(vhost, wanted->group, err);
	if (ret == 0)
		ret = vhost_connect_start(vhost, err);
	if (ret == 0)
		return 0;
	vhost_bell_close(vhost);
	vhost_memory_guard(false);
	pthread_mutex_destroy(&vhost->state.lock);
	free(vhost->socket);
	return ret;
}

static void
vhost_close(struct vmq_backend *backend)
{
	struct vhost_backend *vhost = vhost_of(backend);

	vhost_connect_stop(vhost);
	vhost_bell_close(vhost);
	vhost_memory_guard(false);
	pthread_mutex_destroy(&vhost->state.lock);
	free(vhost->socket);
}

static void
vhost_link_get(const struct vmq_backend *backend, struct vmq_backend_link *link)
{
	struct vhost_backend *vhost = vhost_of(backend);

	pthread_mutex_lock(&vhost->state.lock);
	link->up = vhost->state.up;
	link->changes = vhost->state.changes;
	link->cut_offs = vhost->state.cut_offs;
	if (link->up && vhost->state.node >= 0)
		link->node = vhost->state.node;
	memcpy(link->text, vhost->state.text, sizeof(link->text));
	pthread_mutex_unlock(&vhost->state.lock);
}

static void
vhost_stats_get(const struct vmq_backend *backend, struct vmq_backend_stats *stats)
{
	const struct vhost_backend *vhost = vhost_of(backend);

	stats->failed = vmq_counter_get(&vhost->failed);
	stats->disconnected = vmq_counter_get(&vhost->disconnected);
	stats->disconnected_bytes = vmq_counter_get(&vhost->disconnected_bytes);
	stats->malformed = vmq_counter_get(&vhost->malformed);
	stats->ring_full = vmq_counter_get(&vhost->ring_full);
}

const struct vmq_backend_ops vmq_backend_vhost = {
	.type = VMQ_BACKEND_VHOST,
	.name = "vhost-user",
	.size = sizeof(struct vhost_backend),
	.open = vhost_open,
	.close = vhost_close,
	.tx_burst = vhost_tx_burst,
	.tx_fetch = vhost_tx_fetch,
	.rx_burst = vhost_rx_burst,
	.interrupt_fd = vhost_interrupt_fd,
	.interrupt = vhost_interrupt,
	.link_get = vhost_link_get,
	.stats_get = vhost_stats_get,
};
