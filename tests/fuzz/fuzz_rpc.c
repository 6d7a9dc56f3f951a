/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * What a client sends, as bytes, to a server over a real adapter (net_null, no workers):
 * framing, JSON-RPC, parameters, the codecs of typed requests, and the requests
 * themselves. The client is a user, not an administrator: what it may do it may do with
 * the rights of vmqd. The first byte of an input says in which pieces it arrives.
 *
 * Held against every answer: it is JSON, it is JSON-RPC, it is one line. At the end of
 * an input no call is left and all queues can be freed.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <rte_eal.h>
#include <rte_errno.h>

#include "rpc_private.h"

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);  \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* Turns that pending requests may take: each is a millisecond. */
#define TURNS_MAX 20000

static struct vmq_rpc *rpc;
static struct vmq_host *host;
static struct vmq_rpc_adapter shown;
static struct vmq_rpc_system view;

static double
elapsed_s(void *arg)
{
	(void)arg;
	return 1;
}

static struct vmq_rpc_rates
rates(void *arg, size_t adapter, uint16_t queue_id)
{
	(void)arg;
	(void)adapter;
	(void)queue_id;
	return (struct vmq_rpc_rates){0};
}

static void
shut_down(void *arg)
{
	(void)arg;
	CHECK(!"a user cannot shut the daemon down");
}

/* One answer, or one request that has come back as a notification. */
static void
check_message(const json_t *message)
{
	const json_t *error = json_object_get(message, "error");

	CHECK(json_is_object(message));
	CHECK(strcmp(json_string_value(json_object_get(message, "jsonrpc")), "2.0") == 0);
	if (json_object_get(message, "method") != NULL)
		return;
	CHECK(json_object_get(message, "id") != NULL);
	CHECK((error != NULL) != (json_object_get(message, "result") != NULL));
	if (error == NULL)
		return;
	CHECK(json_is_integer(json_object_get(error, "code")));
	CHECK(json_is_string(json_object_get(error, "message")));
	CHECK(json_is_string(json_object_get(json_object_get(error, "data"), "status")));
}

static void
io_send(void *arg, char *bytes, size_t length)
{
	json_t *message = json_loadb(bytes, length - 1, JSON_ALLOW_NUL, NULL), *one;
	size_t i;

	(void)arg;
	CHECK(bytes[length - 1] == '\n');
	CHECK(memchr(bytes, '\n', length) == bytes + length - 1);
	CHECK(message != NULL);
	if (json_is_array(message)) {
		CHECK(json_array_size(message) > 0);
		json_array_foreach(message, i, one)
			check_message(one);
	} else {
		check_message(message);
	}
	json_decref(message);
	free(bytes);
}

static size_t
io_backlog(void *arg)
{
	(void)arg;
	return 0;
}

static void
io_wake(void *arg)
{
	(void)arg;
}

static const struct client_io io = {.send = io_send, .backlog = io_backlog, .wake = io_wake};

/* Sorts of EAL's words that a fuzzer's screen has no room for. */
static void
start_eal(const char *program)
{
	char prefix[64];
	const char *const words[] = {program, "--no-huge", "--no-shconf", "-m", "128", "--no-pci",
		"--no-telemetry", "--log-level", "1", "--lcores", "0", "--file-prefix", prefix};
	char *arguments[RTE_DIM(words)];
	size_t i;

	snprintf(prefix, sizeof(prefix), "fuzz-%d", (int)getpid());
	for (i = 0; i < RTE_DIM(words); i++)
		arguments[i] = (char *)(uintptr_t)words[i];
	CHECK(rte_eal_init(RTE_DIM(arguments), arguments) >= 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const unsigned int lcores[] = {0};
	const struct vmq_adapter_params params = {
		.name = "a",
		.port = {.device = "net_null0", .rx_descriptors = 64, .tx_queues = 1, .mtu = 1500},
		.memory_limit_bytes = 32 << 20,
		.default_queue = {
			.name = "default",
			.memory = {.buffers = 4096, .limit = 4096, .buffer_size = 512, .node = -1},
		},
	};
	struct vmq_rpc_config config = {
		.base = event_base_new(),
		/* Small, so that an input can meet them. */
		.limits = {.request_kb = 16, .depth = 16, .pending = 8, .batch = 16, .output_kb = 64},
		.user_backends = UINT32_C(1) << VMQ_BACKEND_SINK,
		.shutdown = shut_down,
	};
	struct vmq_adapter *adapter;
	struct vmq_error err;

	(void)argc;
	start_eal((*argv)[0]);
	host = vmq_host_create(lcores, 1);
	CHECK(host != NULL);
	adapter = vmq_adapter_start(host, &params, &err);
	CHECK(adapter != NULL);
	shown = (struct vmq_rpc_adapter){
		.requests = vmq_oid_adapter_create(adapter), .device = "net_null0"};
	CHECK(shown.requests != NULL);
	view = (struct vmq_rpc_system){
		.version = "fuzz",
		.host = host,
		.adapters = &shown,
		.n_adapters = 1,
		.worker_cpus = (const int[]){0},
		.elapsed_s = elapsed_s,
		.rates = rates,
	};
	config.system = &view;
	rpc = vmq_rpc_create(&config, &err);
	CHECK(rpc != NULL);
	return 0;
}

static void
turn(void)
{
	usleep(100);
	vmq_host_progress(host);
}

/* Free what an input has left, as its owner; all of it must go. */
static void
clean_up(void)
{
	struct vmq_oid_owner *owner = vmq_oid_owner_find(shown.requests, "uid:fuzz");
	const struct vmq_adapter *adapter = vmq_oid_adapter_beneath(shown.requests);
	const struct vmq_filter *filter;
	struct vmq_oid_request request;
	struct vmq_oid_free_queue free_queue;
	unsigned int turns;
	struct vmq_error err;
	int id;

	while ((filter = vmq_filter_next(vmq_adapter_filters(adapter), 0)) != NULL)
		CHECK(rpc_clear_filter(shown.requests, owner, filter->id, &err) ==
			VMQ_STATUS_SUCCESS);
	for (turns = 0; (id = vmq_queue_next(adapter, VMQ_DEFAULT_QUEUE_ID)) >= 0; turns++) {
		CHECK(turns < TURNS_MAX);
		for (; id >= 0; id = vmq_queue_next(adapter, id)) {
			request = (struct vmq_oid_request){.owner = owner};
			free_queue = (struct vmq_oid_free_queue){
				.header = VMQ_OID_HEADER(struct vmq_oid_free_queue),
				.queue_id = (uint32_t)id};
			/* NOT_ACCEPTED: it is on its way already. */
			rpc_request(shown.requests, &request, VMQ_OID_SET, VMQ_OID_FREE_QUEUE,
				&free_queue, sizeof(free_queue));
		}
		turn();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct peer peer = {.uid = 65534, .user = "fuzz", .owner = "uid:fuzz"};
	const size_t piece = size > 0 && data[0] > 0 ? data[0] : size;
	struct vmq_rpc_client client;
	unsigned int turns;
	size_t at, n;

	client_init(&client, rpc, &peer, &io, NULL);
	for (at = 1; at < size; at += n) {
		n = RTE_MIN(piece, size - at);
		n = RTE_MIN(n, client_room(&client));
		if (n == 0)
			break;
		CHECK(client_feed(&client, (const char *)data + at, n));
		while (client_work(&client))
			;
	}
	client.at_end = true;
	while (client_work(&client))
		;
	/* Half of the clients die with requests pending, the others wait. */
	for (turns = 0; piece % 2 == 0 && client.pending > 0; turns++) {
		CHECK(turns < TURNS_MAX);
		turn();
	}
	client_fini(&client);
	for (turns = 0; !TAILQ_EMPTY(&rpc->orphans); turns++) {
		CHECK(turns < TURNS_MAX);
		turn();
	}
	clean_up();
	return 0;
}
