/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include "unit.h"

#include <dirent.h>
#include <ftw.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_mbuf_dyn.h>
#include <rte_memzone.h>

#define MEMORY_MB "256"
#define WAIT_SECONDS 30
#define WAIT_STEP_NS 100000

const unsigned int unit_lcores[UNIT_WORKERS] = {1, 2};

static uint64_t random_state;
static char folder[64];

/* Map the main lcore and the workers to the CPUs that there are; one is enough. */
static void
map_lcores(char *text, size_t size)
{
	int cpu, first = -1, second = -1;
	cpu_set_t cpus;

	assert_int_equal(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	for (cpu = 0; cpu < CPU_SETSIZE && second < 0; cpu++) {
		if (!CPU_ISSET(cpu, &cpus))
			continue;
		if (first < 0)
			first = cpu;
		else
			second = cpu;
	}
	if (second < 0)
		second = first;
	snprintf(text, size, "0@%d,%u@%d,%u@%d", first, unit_lcores[0], first, unit_lcores[1],
		second);
}

static void
seed_random(void)
{
	const char *text = getenv("VMQ_SEED");

	if (text != NULL)
		random_state = strtoull(text, NULL, 0);
	else
		random_state = (uint64_t)time(NULL) ^ (uint64_t)getpid() << 32;
	print_message("# VMQ_SEED=%" PRIu64 "\n", random_state);
}

int
unit_start(void **state)
{
	char lcores[64], prefix[32];
	const char *const words[] = {"unit", "--no-huge", "--no-shconf", "-m", MEMORY_MB,
		"--no-pci", "--no-telemetry", "--file-prefix", prefix, "--lcores", lcores};
	char *arguments[RTE_DIM(words)];
	uint16_t port_id;
	unsigned int i;
	int ret;

	(void)state;
	seed_random();
	map_lcores(lcores, sizeof(lcores));
	snprintf(prefix, sizeof(prefix), "unit-%d", (int)getpid());
	/* EAL makes a folder even when it shares nothing: then in ours. */
	if (setenv("RUNTIME_DIRECTORY", unit_folder(), 1) < 0)
		return -1;
	ret = vmq_log_open("unit", false);
	if (ret < 0)
		return ret;
	for (i = 0; i < RTE_DIM(words); i++) /* EAL moves them about */
		arguments[i] = (char *)(uintptr_t)words[i];
	ret = rte_eal_init(RTE_DIM(arguments), arguments);
	if (ret < 0) {
		print_error("EAL: %s\n", rte_strerror(rte_errno));
		return ret;
	}
	/* What is made once for all ports and all mbufs stays: make it before any census. */
	ret = vmq_device_attach("net_null_first", &port_id, NULL);
	if (ret < 0)
		return ret;
	vmq_device_detach(port_id);
	return rte_mbuf_dyn_rx_timestamp_register(NULL, NULL);
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *where)
{
	(void)st;
	(void)flag;
	(void)where;
	return remove(path);
}

int
unit_stop(void **state)
{
	int ret = rte_eal_cleanup();

	(void)state;
	if (folder[0] != '\0' && nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
		return -1;
	return ret;
}

/* splitmix64 */
uint64_t
unit_random(void)
{
	uint64_t z = (random_state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void
count_memzone(const struct rte_memzone *memzone, void *count)
{
	(void)memzone;
	++*(unsigned int *)count;
}

static unsigned int
count_files(void)
{
	unsigned int n = 0;
	DIR *dir = opendir("/proc/self/fd");

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

void
unit_census_take(struct unit_census *census)
{
	struct rte_malloc_socket_stats stats;
	unsigned int i;

	memset(census, 0, sizeof(*census));
	rte_memzone_walk(count_memzone, &census->memzones);
	for (i = 0; i < rte_socket_count(); i++)
		if (rte_malloc_get_socket_stats(rte_socket_id_by_idx(i), &stats) == 0)
			census->allocations += stats.alloc_count;
	census->ports = rte_eth_dev_count_avail();
	census->files = count_files();
}

void
unit_assert_nothing_left(const struct unit_census *before)
{
	struct unit_census now;

	unit_census_take(&now);
	assert_int_equal(now.memzones, before->memzones);
	assert_int_equal(now.allocations, before->allocations);
	assert_int_equal(now.ports, before->ports);
	assert_int_equal(now.files, before->files);
}

struct rte_mempool *
unit_pool(const char *name, unsigned int buffers, uint16_t buffer_size)
{
	struct rte_mempool *pool;

	pool = rte_pktmbuf_pool_create(name, buffers, 0, 0, buffer_size + RTE_PKTMBUF_HEADROOM,
		SOCKET_ID_ANY);
	if (pool == NULL)
		fail_msg("pool %s: %s", name, rte_strerror(rte_errno));
	return pool;
}

void
unit_assert_pool_full(const struct rte_mempool *pool)
{
	assert_int_equal(rte_mempool_avail_count(pool), pool->size);
}

struct rte_mbuf *
unit_packet(struct rte_mempool *pool, const void *bytes, uint16_t length)
{
	struct rte_mbuf *packet = rte_pktmbuf_alloc(pool);
	void *data;

	assert_non_null(packet);
	data = rte_pktmbuf_append(packet, length);
	assert_non_null(data);
	memcpy(data, bytes, length);
	return packet;
}

struct rte_mbuf *
unit_chain(struct rte_mempool *pool, const uint8_t *bytes, const uint16_t *lengths)
{
	struct rte_mbuf *packet = NULL, *segment;

	for (; *lengths != 0; bytes += *lengths++) {
		segment = unit_packet(pool, bytes, *lengths);
		if (packet == NULL)
			packet = segment;
		else
			assert_int_equal(rte_pktmbuf_chain(packet, segment), 0);
	}
	return packet;
}

void
unit_assert_bytes(const struct rte_mbuf *packet, const uint8_t *bytes, uint32_t length)
{
	uint32_t offset = 0;

	assert_int_equal(packet->pkt_len, length);
	for (; packet != NULL; packet = packet->next) {
		assert_true(offset + packet->data_len <= length);
		assert_memory_equal(rte_pktmbuf_mtod(packet, const void *), bytes + offset,
			packet->data_len);
		offset += packet->data_len;
	}
	assert_int_equal(offset, length);
}

void
unit_fill(uint8_t *bytes, size_t length, uint32_t number)
{
	uint32_t x = number * 2654435761u + 1;
	size_t i;

	for (i = 0; i < length; i++) {
		x = x * 1103515245u + 12345u;
		bytes[i] = (uint8_t)(x >> 16);
	}
}

const char *
unit_folder(void)
{
	const char *parent = getenv("TMPDIR");

	if (folder[0] == '\0') {
		snprintf(folder, sizeof(folder), "%s/vmq-unit-XXXXXX",
			parent != NULL && strlen(parent) < 40 ? parent : "/tmp");
		assert_non_null(mkdtemp(folder));
	}
	return folder;
}

char *
unit_path(const char *name)
{
	char *path;

	assert_true(asprintf(&path, "%s/%s", unit_folder(), name) > 0);
	return path;
}

uint8_t *
unit_read_file(const char *path, size_t *size)
{
	uint8_t *bytes;
	FILE *file;
	long end;

	file = fopen(path, "rb");
	assert_non_null(file);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	end = ftell(file);
	assert_true(end >= 0);
	rewind(file);
	bytes = malloc((size_t)end + 1);
	assert_non_null(bytes);
	assert_int_equal(fread(bytes, 1, (size_t)end, file), end);
	fclose(file);
	*size = (size_t)end;
	return bytes;
}

bool
unit_wait(bool (*condition)(void *arg), void *arg)
{
	const struct timespec step = {.tv_nsec = WAIT_STEP_NS};
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		if (condition(arg))
			return true;
		nanosleep(&step, NULL);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec < WAIT_SECONDS);
	return condition(arg);
}
