/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Who is at the other end, as the kernel says. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bsd/string.h>

#include "rpc_private.h"

int
rpc_peer_get(int fd, struct peer *peer)
{
	struct ucred credentials;
	socklen_t length = sizeof(credentials);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0)
		return -errno;
	*peer = (struct peer){
		.uid = credentials.uid,
		.gid = credentials.gid,
		.pid = credentials.pid,
		.administrator = credentials.uid == 0 || credentials.uid == geteuid(),
	};
	if (!peer->administrator)
		return 0;
	snprintf(peer->user, sizeof(peer->user), peer->uid == 0 ? "root" : "vmqd's own");
	strlcpy(peer->owner, VMQ_RPC_OWNER_ADMIN, sizeof(peer->owner));
	return 0;
}

void
rpc_peer_name(const struct vmq_rpc *rpc, struct peer *peer, const char *user)
{
	char number[16];
	size_t i;

	snprintf(number, sizeof(number), "%u", (unsigned int)peer->uid);
	/* Two users must never be one owner: a name that does not fit is not cut. */
	if (user == NULL || strlen(user) > VMQ_NAME_SIZE - sizeof("uid:"))
		user = number;
	strlcpy(peer->user, user, sizeof(peer->user));
	snprintf(peer->owner, sizeof(peer->owner), "uid:%.*s", VMQ_NAME_SIZE - 5, user);
	for (i = 0; i < rpc->config.n_mappings; i++)
		if (strcmp(rpc->config.mappings[i].user, user) == 0 ||
			strcmp(rpc->config.mappings[i].user, number) == 0)
			strlcpy(peer->owner, rpc->config.mappings[i].owner, sizeof(peer->owner));
}
