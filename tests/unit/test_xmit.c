/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Memory for what VMs send: its size, its growth, and its NUMA node. */

#include "unit.h"

#include <stdio.h>
#include <string.h>

#include <vmq_shmem_provider.h>

#include "queue_private.h"

#define LIMIT (3 * VMQ_XMIT_BUFFERS)
#define OTHER_NODE 5

/* Nodes that blocks for sending were asked for, and one that has none. */
struct nodes {
	int asked;
	int empty;
	_Atomic unsigned int out;
};

static int
provide(void *arg, const char *name, const struct vmq_shmem_params *params,
	struct vmq_shmem_memory *memory)
{
	struct vmq_shmem_params local = *params;
	struct nodes *nodes = arg;
	int ret;

	if (params->usage == VMQ_SHMEM_XMIT) {
		nodes->asked = params->preferred_node;
		if (params->preferred_node == nodes->empty)
			return -ENOMEM;
	}
	local.preferred_node = SOCKET_ID_ANY; /* this machine may have one only */
	ret = vmq_shmem_provider_memzone.allocate(NULL, name, &local, memory);
	if (ret == 0)
		atomic_fetch_add(&nodes->out, 1);
	return ret;
}

static void
take_back(void *arg, struct vmq_shmem_memory *memory)
{
	struct nodes *nodes = arg;

	vmq_shmem_provider_memzone.free(NULL, memory);
	atomic_fetch_sub(&nodes->out, 1);
}

static const struct vmq_shmem_provider provider = {
	.name = "nodes",
	.alignment = 64,
	.allocate = provide,
	.free = take_back,
};

struct fixture {
	struct nodes nodes;
	struct vmq_host *host;
	struct vmq_adapter *adapter;
	struct queue *queue; /* of a VM that has not come */
	struct vmq_error err;
};

static struct vmq_queue_params
params_of(const char *name, const char *socket)
{
	return (struct vmq_queue_params){
		.name = name,
		.memory = {
			.buffers = vmq_adapter_min_buffers(64),
			.limit = vmq_adapter_min_buffers(64),
			.buffer_size = 512,
			.node = SOCKET_ID_ANY,
			.xmit_limit = LIMIT,
		},
		.backend = {
			.type = socket != NULL ? VMQ_BACKEND_VHOST : VMQ_BACKEND_SINK,
			.vhost = {.socket = socket, .server = true},
		},
	};
}

static int
set_up_mtu(void **state, uint16_t mtu)
{
	static unsigned int number;
	static struct fixture f;
	struct vmq_queue_completion item = {0};
	struct vmq_queue_params queue;
	char device[32], *socket;
	struct vmq_adapter_params params = {
		.name = "unit",
		.port = {.device = device, .rx_descriptors = 64, .tx_queues = 1, .mtu = mtu},
		.provider = &provider,
		.provider_arg = &f.nodes,
		.default_queue = params_of("default", NULL),
	};

	memset(&f, 0, sizeof(f));
	f.nodes.empty = SOCKET_ID_ANY - 1;
	snprintf(device, sizeof(device), "net_ring_xmit%u", number++);
	f.host = vmq_host_create(unit_lcores, UNIT_WORKERS);
	assert_non_null(f.host);
	f.adapter = vmq_adapter_start(f.host, &params, &f.err);
	if (f.adapter == NULL)
		fail_msg("%s", f.err.text);
	socket = unit_path("vm.sock");
	queue = params_of("vm", socket);
	assert_int_equal(vmq_queue_allocate(f.adapter, &queue, &item.id, &f.err),
		VMQ_STATUS_SUCCESS);
	free(socket);
	if (vmq_queue_complete(f.adapter, &item, 1, NULL, NULL) != VMQ_STATUS_SUCCESS)
		fail_msg("%s", item.error.text);
	f.queue = adapter_queue(f.adapter, item.id);
	*state = &f;
	return 0;
}

static int
set_up(void **state)
{
	return set_up_mtu(state, 1500);
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	vmq_adapter_halt(f->adapter);
	assert_int_equal(vmq_adapter_free(f->adapter), 0);
	vmq_host_free(f->host);
	assert_int_equal(f->nodes.out, 0);
	return 0;
}

static struct vmq_queue_info
info_of(const struct fixture *f)
{
	struct vmq_queue_info info;

	assert_true(vmq_queue_info_get(f->adapter, f->queue->id, &info));
	return info;
}

struct wanted {
	struct fixture *f;
	uint32_t populated;
};

static bool
is_populated(void *arg)
{
	struct wanted *wanted = arg;

	vmq_host_progress(wanted->f->host);
	return info_of(wanted->f).xmit_memory.populated == wanted->populated;
}

static void
memory_for_sending_grows_to_its_limit_and_gives_back(void **state)
{
	struct fixture *f = *state;
	struct rte_mempool *pool = vmq_pool_mempool(f->queue->xmit_pool);
	struct vmq_pool_demand demand = vmq_pool_demand_default(VMQ_XMIT_BUFFERS);
	static struct rte_mbuf *out[LIMIT];
	unsigned int n = 0;

	demand.hold_ms = 1;
	vmq_pool_set_demand(f->queue->xmit_pool, &demand);
	assert_int_equal(info_of(f).xmit_memory.populated, VMQ_XMIT_BUFFERS);
	assert_int_equal(info_of(f).xmit_memory.limit, LIMIT);
	while (n < LIMIT) {
		while (n < LIMIT && (out[n] = rte_pktmbuf_alloc(pool)) != NULL)
			n++;
		vmq_host_progress(f->host);
	}
	assert_null(rte_pktmbuf_alloc(pool));
	assert_int_equal(info_of(f).xmit_memory.populated, LIMIT);
	rte_pktmbuf_free_bulk(out, n);
	assert_true(unit_wait(is_populated, &(struct wanted){f, VMQ_XMIT_BUFFERS}));
}

static bool
has_come_to_rest(void *arg)
{
	struct fixture *f = arg;

	vmq_host_progress(f->host);
	return f->queue->xmit_move == NULL && f->queue->left_xmit_pool == NULL;
}

/* As if the VM that has come had its memory there. */
static void
vm_is_on(struct fixture *f, int node)
{
	f->queue->link.node = node;
	xmit_follow(f->queue);
}

static void
it_follows_the_vm_to_its_node(void **state)
{
	struct fixture *f = *state;
	struct rte_mempool *before = vmq_pool_mempool(f->queue->xmit_pool);
	struct rte_mbuf *out = rte_pktmbuf_alloc(before);

	assert_non_null(out);
	vm_is_on(f, OTHER_NODE);
	assert_non_null(f->queue->xmit_move);
	while (f->queue->xmit_move != NULL)
		vmq_host_progress(f->host);
	assert_int_equal(f->nodes.asked, OTHER_NODE);
	assert_int_equal(info_of(f).xmit_node, OTHER_NODE);
	assert_string_equal(info_of(f).xmit_why, "");
	assert_ptr_not_equal(vmq_pool_mempool(f->queue->xmit_pool), before);
	/* The old one stays until its last packet is home. */
	assert_non_null(f->queue->left_xmit_pool);
	assert_int_equal(queue_missing(f->queue), 1);
	rte_pktmbuf_free(out);
	assert_true(unit_wait(has_come_to_rest, f));
	assert_int_equal(queue_missing(f->queue), 0);
	/* There it is now: nothing is to be done. */
	vm_is_on(f, OTHER_NODE);
	assert_null(f->queue->xmit_move);
}

static void
it_stays_where_it_is_when_that_node_has_no_memory(void **state)
{
	struct fixture *f = *state;
	struct vmq_pool *before = f->queue->xmit_pool;
	const int home = f->queue->xmit_node;

	f->nodes.empty = OTHER_NODE;
	vm_is_on(f, OTHER_NODE);
	assert_true(unit_wait(has_come_to_rest, f));
	assert_int_equal(f->nodes.asked, OTHER_NODE);
	assert_ptr_equal(f->queue->xmit_pool, before);
	assert_int_equal(info_of(f).xmit_node, home);
	assert_non_null(strstr(info_of(f).xmit_why, "memory is on node 5"));
	/* Once, not at each look; and another VM is another try. */
	vm_is_on(f, OTHER_NODE);
	assert_null(f->queue->xmit_move);
	vm_is_on(f, OTHER_NODE + 1);
	assert_true(unit_wait(has_come_to_rest, f));
	assert_int_equal(info_of(f).xmit_node, OTHER_NODE + 1);
	assert_string_equal(info_of(f).xmit_why, "");
}

static void
it_stays_on_the_node_that_was_asked_for(void **state)
{
	struct fixture *f = *state;

	f->queue->memory.node = 0;
	vm_is_on(f, OTHER_NODE);
	assert_null(f->queue->xmit_move);
}

static void
a_queue_that_is_freed_meanwhile_takes_both_with_it(void **state)
{
	struct fixture *f = *state;
	const uint16_t id = f->queue->id;
	struct vmq_queue_info info;

	vm_is_on(f, OTHER_NODE);
	assert_int_equal(vmq_queue_free(f->adapter, id, NULL, NULL, &f->err), VMQ_STATUS_PENDING);
	while (vmq_queue_info_get(f->adapter, id, &info))
		vmq_host_progress(f->host);
}

static int
set_up_jumbo(void **state)
{
	return set_up_mtu(state, 9000);
}

static void
a_buffer_holds_the_longest_frame(void **state)
{
	struct fixture *f = *state;

	/* With header and two tags, and without much more. */
	assert_in_range(rte_pktmbuf_data_room_size(vmq_pool_mempool(f->queue->xmit_pool)) -
		RTE_PKTMBUF_HEADROOM, 9022, 9100);
	assert_true(vmq_queue_xmit_bytes(VMQ_BACKEND_VHOST, 1024, 1024, 9000) > 1024 * 9022);
	assert_int_equal(vmq_queue_xmit_bytes(VMQ_BACKEND_SINK, 1024, 1024, 9000), 0);
}

static void
too_few_buffers_are_refused(void **state)
{
	struct fixture *f = *state;
	struct vmq_queue_params params = params_of("few", NULL);
	uint16_t id;

	params.memory.xmit_buffers = VMQ_XMIT_BUFFERS - 1;
	assert_int_equal(vmq_queue_allocate(f->adapter, &params, &id, &f->err),
		VMQ_STATUS_INVALID_PARAMETER);
	params.memory.xmit_buffers = LIMIT + 1;
	assert_int_equal(vmq_queue_allocate(f->adapter, &params, &id, &f->err),
		VMQ_STATUS_INVALID_PARAMETER);
	assert_non_null(strstr(f->err.text, "over the limit"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(memory_for_sending_grows_to_its_limit_and_gives_back),
		TEST(it_follows_the_vm_to_its_node),
		TEST(it_stays_where_it_is_when_that_node_has_no_memory),
		TEST(it_stays_on_the_node_that_was_asked_for),
		TEST(a_queue_that_is_freed_meanwhile_takes_both_with_it),
		TEST(too_few_buffers_are_refused),
		cmocka_unit_test_setup_teardown(a_buffer_holds_the_longest_frame, set_up_jumbo,
			tear_down),
	};

	return cmocka_run_group_tests_name("xmit", tests, unit_start, unit_stop);
}
