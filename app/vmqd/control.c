/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bsd/string.h>
#include <event2/event.h>
#include <rte_errno.h>

#include "control.h"

static double
elapsed_s(void *arg)
{
	const struct control *control = arg;

	return report_elapsed_s(control->report);
}

static struct vmq_rpc_rates
rates(void *arg, size_t adapter, uint16_t queue_id)
{
	const struct control *control = arg;

	return report_rates(control->report, adapter, queue_id);
}

static void
shut_down(void *arg)
{
	struct control *control = arg;

	event_base_loopbreak(control->base);
}

int
control_lock(struct control *control, const char *file, struct vmq_error *err)
{
	if (strcmp(file, "-") == 0)
		return 0;
	control->lock = vmq_rpc_lock_document(file, err);
	return control->lock != NULL ? 0 : -rte_errno;
}

static int
socket_of(const struct doc_control *doc, const char *file_prefix, struct vmq_rpc_socket *to,
	struct vmq_error *err)
{
	const struct passwd *user;
	const struct group *group;
	char prefix[32];

	*to = (struct vmq_rpc_socket){.owner = geteuid(), .group = getegid(), .mode = doc->mode};
	if (doc->owner != NULL) {
		user = getpwnam(doc->owner);
		if (user == NULL)
			return vmq_error_errno(err, EINVAL,
				"at /control/owner: there is no user \"%s\"", doc->owner);
		to->owner = user->pw_uid;
	}
	if (doc->group != NULL) {
		group = getgrnam(doc->group);
		if (group == NULL)
			return vmq_error_errno(err, EINVAL,
				"at /control/group: there is no group \"%s\"", doc->group);
		to->group = group->gr_gid;
	}
	if (doc->socket != NULL) {
		strlcpy(to->path, doc->socket, sizeof(to->path));
		return 0;
	}
	/* As EAL is started (eal.c). */
	snprintf(prefix, sizeof(prefix), "vmqd-%d", (int)getpid());
	return vmq_rpc_default_socket(file_prefix != NULL ? file_prefix : prefix, to->path, err);
}

static int
map_owners(struct control *control, struct vmq_error *err)
{
	const struct doc_control *doc = &control->doc->control;
	size_t i;

	control->mappings = calloc(doc->n_owners + 1, sizeof(*control->mappings));
	if (control->mappings == NULL)
		return vmq_error_errno(err, ENOMEM, "no memory for the control socket");
	for (i = 0; i < doc->n_owners; i++)
		control->mappings[i] = (struct vmq_rpc_mapping){
			.user = doc->owners[i].user,
			.owner = doc->owners[i].owner,
		};
	return 0;
}

int
control_open(struct control *control, struct vmq_error *err)
{
	const struct doc_control *doc = &control->doc->control;
	struct vmq_rpc_config *config = &control->config;
	int ret;

	if (doc->off)
		return 0;
	ret = map_owners(control, err);
	if (ret < 0)
		return ret;
	control->system->view.elapsed_s = elapsed_s;
	control->system->view.rates = rates;
	control->system->view.arg = control;
	*config = (struct vmq_rpc_config){
		.base = control->base,
		.limits = {
			.request_kb = doc->limits.request_kb,
			.depth = doc->limits.depth,
			.clients = doc->limits.clients,
			.pending = doc->limits.pending,
			.batch = doc->limits.batch,
			.output_kb = doc->limits.output_kb,
			.idle_s = doc->limits.idle_s,
		},
		.user_backends = doc->user_backends,
		.mappings = control->mappings,
		.n_mappings = doc->n_owners,
		.system = &control->system->view,
		.shutdown = shut_down,
		.arg = control,
	};
	ret = socket_of(doc, control->doc->eal.file_prefix, &config->socket, err);
	if (ret < 0)
		return ret;
	control->rpc = vmq_rpc_create(config, err);
	if (control->rpc == NULL)
		return -rte_errno;
	ret = control_add_queue_methods(control);
	if (ret < 0)
		vmq_error_errno(err, -ret, "control socket: methods: %s", strerror(-ret));
	return ret;
}

void
control_stop(struct control *control)
{
	if (control->rpc != NULL)
		vmq_rpc_stop(control->rpc);
}

void
control_close(struct control *control)
{
	vmq_rpc_free(control->rpc);
	control->rpc = NULL;
	free(control->mappings);
	control->mappings = NULL;
	vmq_rpc_unlock(control->lock);
	control->lock = NULL;
}
