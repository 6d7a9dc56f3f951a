/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <pcap/pcap.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include <vmq_backend.h>

#define BUFFERS 4096
#define BUFFER_SIZE 2048

static struct rte_mempool *pool;

static int
make_pool(void **state)
{
	int ret = unit_start(state);

	if (ret == 0)
		pool = unit_pool("packets", BUFFERS, BUFFER_SIZE);
	return ret;
}

static int
free_pool(void **state)
{
	unit_assert_pool_full(pool);
	rte_mempool_free(pool);
	return unit_stop(state);
}

static struct vmq_backend *
open_backend(const struct vmq_backend_params *params)
{
	struct vmq_error err = {.text = ""};
	struct vmq_backend *backend = vmq_backend_open(params, &err);

	if (backend == NULL)
		fail_msg("%s", err.text);
	return backend;
}

static void
assert_stats(const struct vmq_backend *backend, uint64_t failed, uint64_t waiting)
{
	struct vmq_backend_stats stats;

	vmq_backend_stats_get(backend, &stats);
	assert_int_equal(stats.failed, failed);
	assert_int_equal(stats.waiting, waiting);
}

static struct rte_mbuf *
numbered(uint32_t number, uint16_t length)
{
	uint8_t bytes[BUFFER_SIZE];

	unit_fill(bytes, length, number);
	return unit_packet(pool, bytes, length);
}

static void
kinds_have_the_names_of_the_document(void **state)
{
	(void)state;
	assert_string_equal(vmq_backend_type_name(VMQ_BACKEND_SINK), "sink");
	assert_string_equal(vmq_backend_type_name(VMQ_BACKEND_PCAP), "pcap");
	assert_string_equal(vmq_backend_type_name(VMQ_BACKEND_ETHDEV), "ethdev");
	assert_string_equal(vmq_backend_type_name(VMQ_BACKEND_VHOST), "vhost-user");
	assert_null(vmq_backend_type_name(VMQ_BACKEND_COUNT));
	assert_null(vmq_backend_type_name((enum vmq_backend_type)-1));
}

static void
an_unknown_kind_is_refused(void **state)
{
	const struct vmq_backend_params params = {.type = VMQ_BACKEND_COUNT};
	struct vmq_error err;

	(void)state;
	rte_errno = 0;
	assert_null(vmq_backend_open(&params, &err));
	assert_int_equal(rte_errno, EINVAL);
	assert_non_null(strstr(err.text, "unknown kind"));
}

static void
nothing_needs_no_drain_and_no_close(void **state)
{
	(void)state;
	assert_int_equal(vmq_backend_drain(NULL, NULL), 0);
	vmq_backend_close(NULL);
}

static void
a_sink_takes_all_and_frees_all(void **state)
{
	const struct vmq_backend_params params = {
		.type = VMQ_BACKEND_SINK,
		.socket_id = SOCKET_ID_ANY,
	};
	struct rte_mbuf *packets[VMQ_BURST];
	struct vmq_backend *backend;
	struct unit_census before;
	unsigned int i, round;

	(void)state;
	unit_census_take(&before);
	backend = open_backend(&params);
	assert_int_equal(vmq_backend_type(backend), VMQ_BACKEND_SINK);
	assert_string_equal(vmq_backend_text(backend), "sink");
	assert_false(vmq_backend_holds(backend));
	for (round = 1; round <= VMQ_BURST; round++) {
		for (i = 0; i < round; i++)
			packets[i] = numbered(i, 60);
		assert_int_equal(vmq_backend_tx_burst(backend, packets, (uint16_t)round), round);
		unit_assert_pool_full(pool);
	}
	assert_int_equal(vmq_backend_tx_burst(backend, packets, 0), 0);
	assert_stats(backend, 0, 0);
	assert_int_equal(vmq_backend_drain(backend, NULL), 0);
	vmq_backend_close(backend);
	unit_assert_nothing_left(&before);
}

/* -- pcap -- */

static struct vmq_backend_params
pcap_params(const char *file, uint32_t max_held)
{
	return (struct vmq_backend_params){
		.type = VMQ_BACKEND_PCAP,
		.file = file,
		.max_held = max_held,
		.socket_id = SOCKET_ID_ANY,
	};
}

/* Offer a burst until all of it is taken. */
static void
send_all(struct vmq_backend *backend, struct rte_mbuf **packets, uint16_t n)
{
	const struct timespec pause = {.tv_nsec = 100000};
	uint16_t sent = 0;

	for (;;) {
		sent += vmq_backend_tx_burst(backend, packets + sent, n - sent);
		if (sent == n)
			return;
		nanosleep(&pause, NULL);
	}
}

static uint32_t
field(const uint8_t *bytes, size_t offset)
{
	uint32_t value;

	memcpy(&value, bytes + offset, sizeof(value));
	return value;
}

#define FILE_HEADER 24
#define RECORD_HEADER 16

static uint16_t
length_of(uint32_t number)
{
	return (uint16_t)(number % 7 == 0 ? number % 14 : 14 + number * 37 % 1500);
}

static void
a_capture_file_has_every_packet_byte_for_byte_in_order(void **state)
{
	enum { PACKETS = 3000 };
	char *path = unit_path("all.pcap");
	const struct vmq_backend_params params = pcap_params(path, 256);
	struct rte_mbuf *packets[VMQ_BURST];
	uint8_t *file, wanted[BUFFER_SIZE];
	uint64_t stamp, last, begin_ns;
	struct vmq_backend *backend;
	struct unit_census before;
	struct timespec now;
	uint32_t i, j, length;
	size_t size, at;

	(void)state;
	unit_census_take(&before);
	clock_gettime(CLOCK_REALTIME, &now);
	begin_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	backend = open_backend(&params);
	assert_true(vmq_backend_holds(backend));
	assert_non_null(strstr(vmq_backend_text(backend), "all.pcap"));
	for (i = 0; i < PACKETS; i += j) {
		for (j = 0; j < RTE_MIN(1 + i % VMQ_BURST, PACKETS - i); j++)
			packets[j] = numbered(i + j, length_of(i + j));
		send_all(backend, packets, (uint16_t)j);
	}
	assert_int_equal(vmq_backend_drain(backend, NULL), 0);
	assert_stats(backend, 0, 0);
	unit_assert_pool_full(pool);
	/* The file is whole before it is closed. */
	file = unit_read_file(path, &size);
	vmq_backend_close(backend);
	unit_assert_nothing_left(&before);

	assert_int_equal(field(file, 0), 0xa1b23c4d); /* nanoseconds */
	assert_int_equal(field(file, 4), 2 | 4 << 16);
	assert_int_equal(field(file, 20), DLT_EN10MB);
	last = begin_ns - 1000000000; /* the clocks are compared to a microsecond or so */
	for (i = 0, at = FILE_HEADER; i < PACKETS; i++) {
		assert_true(at + RECORD_HEADER <= size);
		stamp = field(file, at) * UINT64_C(1000000000) + field(file, at + 4);
		assert_true(field(file, at + 4) < 1000000000);
		assert_true(stamp >= last);
		last = stamp;
		length = length_of(i);
		assert_int_equal(field(file, at + 8), length);
		assert_int_equal(field(file, at + 12), length);
		unit_fill(wanted, length, i);
		assert_memory_equal(file + at + RECORD_HEADER, wanted, length);
		at += RECORD_HEADER + length;
	}
	assert_int_equal(at, size);
	clock_gettime(CLOCK_REALTIME, &now);
	assert_true(last <= ((uint64_t)now.tv_sec + 1) * 1000000000 + (uint64_t)now.tv_nsec);
	free(file);
	free(path);
}

static void
a_capture_file_is_read_by_libpcap(void **state)
{
	char *path = unit_path("read.pcap"), text[PCAP_ERRBUF_SIZE];
	const struct vmq_backend_params params = pcap_params(path, 64);
	struct vmq_backend *backend = open_backend(&params);
	struct rte_mbuf *packet = numbered(1, 60);
	struct pcap_pkthdr *header;
	const unsigned char *data;
	pcap_t *handle;

	(void)state;
	send_all(backend, &packet, 1);
	assert_int_equal(vmq_backend_drain(backend, NULL), 0);
	vmq_backend_close(backend);
	handle = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, text);
	assert_non_null(handle);
	assert_int_equal(pcap_datalink(handle), DLT_EN10MB);
	assert_int_equal(pcap_next_ex(handle, &header, &data), 1);
	assert_int_equal(header->caplen, 60);
	assert_int_equal(pcap_next_ex(handle, &header, &data), PCAP_ERROR_BREAK);
	pcap_close(handle);
	free(path);
}

static void
a_chain_of_segments_is_one_frame_in_the_file(void **state)
{
	static const uint16_t lengths[] = {1, 2000, 17, 2048, 2048, 2048, 838, 0};
	char *path = unit_path("chain.pcap");
	const struct vmq_backend_params params = pcap_params(path, 64);
	struct vmq_backend *backend = open_backend(&params);
	uint8_t bytes[9000], *file;
	struct rte_mbuf *packet;
	size_t size;

	(void)state;
	unit_fill(bytes, sizeof(bytes), 9);
	packet = unit_chain(pool, bytes, lengths);
	assert_int_equal(packet->pkt_len, sizeof(bytes));
	send_all(backend, &packet, 1);
	assert_int_equal(vmq_backend_drain(backend, NULL), 0);
	vmq_backend_close(backend);
	unit_assert_pool_full(pool);
	file = unit_read_file(path, &size);
	assert_int_equal(size, FILE_HEADER + RECORD_HEADER + sizeof(bytes));
	assert_int_equal(field(file, FILE_HEADER + 8), sizeof(bytes));
	assert_int_equal(field(file, FILE_HEADER + 12), sizeof(bytes));
	assert_memory_equal(file + FILE_HEADER + RECORD_HEADER, bytes, sizeof(bytes));
	free(file);
	free(path);
}

static void
an_empty_capture_is_a_file_too_and_replaces_what_was_there(void **state)
{
	char *path = unit_path("empty.pcap");
	const struct vmq_backend_params params = pcap_params(path, 64);
	struct vmq_backend *backend;
	uint8_t *file;
	size_t size;
	FILE *old;

	(void)state;
	old = fopen(path, "w");
	assert_true(fprintf(old, "%0100d", 1) == 100);
	fclose(old);
	backend = open_backend(&params);
	/* Readers may look at once. */
	file = unit_read_file(path, &size);
	assert_int_equal(size, FILE_HEADER);
	assert_int_equal(field(file, 0), 0xa1b23c4d);
	free(file);
	assert_int_equal(vmq_backend_drain(backend, NULL), 0);
	vmq_backend_close(backend);
	free(path);
}

/*
 * A named pipe that nobody reads holds the writer thread up: then the ring fills,
 * and takes only a part. What it took is written when a reader comes.
 */
static void
a_full_ring_takes_a_part_and_never_waits(void **state)
{
	enum { HELD = 64, LONG = 2000, PIPE_BYTES = 65536 };
	char *path = unit_path("pipe.pcap"), sink[PIPE_BYTES];
	const struct vmq_backend_params params = pcap_params(path, HELD);
	struct rte_mbuf *packets[VMQ_BURST];
	struct vmq_backend_stats stats;
	struct vmq_backend *backend;
	unsigned int i, taken = 0, refused = 0;
	uint64_t start, longest = 0, cycles;
	struct unit_census before;
	size_t drained = 0;
	ssize_t n;
	uint16_t sent;
	int reader;

	(void)state;
	unit_census_take(&before);
	assert_int_equal(mkfifo(path, 0600), 0);
	reader = open(path, O_RDONLY | O_NONBLOCK);
	assert_true(reader >= 0);
	backend = open_backend(&params);
	while (refused < 20) {
		for (i = 0; i < VMQ_BURST; i++)
			packets[i] = numbered(taken + i, LONG);
		start = rte_rdtsc();
		sent = vmq_backend_tx_burst(backend, packets, VMQ_BURST);
		cycles = rte_rdtsc() - start;
		longest = RTE_MAX(longest, cycles);
		assert_true(sent <= VMQ_BURST);
		/* What was not taken is still ours, and untouched. */
		for (i = sent; i < VMQ_BURST; i++)
			assert_int_equal(packets[i]->pkt_len, LONG);
		rte_pktmbuf_free_bulk(packets + sent, VMQ_BURST - sent);
		taken += sent;
		if (sent < VMQ_BURST) {
			refused++;
			nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
		} else {
			assert_true(taken < 1000); /* and the buffer 256 KiB */
		}
	}
	assert_true(longest < rte_get_tsc_hz()); /* a pipe that nobody reads lasts for ever */
	assert_true(taken >= HELD);
	vmq_backend_stats_get(backend, &stats);
	assert_int_equal(stats.failed, 0);
	/* What the pipe itself holds may be written already: a writer with no more to do says so. */
	assert_in_range(stats.waiting, taken - PIPE_BYTES / (RECORD_HEADER + LONG), taken);

	/* Now somebody reads, as long as there is something to come. */
	while (drained < FILE_HEADER + taken * (size_t)(RECORD_HEADER + LONG)) {
		n = read(reader, sink, sizeof(sink));
		if (n > 0)
			drained += (size_t)n;
		else
			nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
	}
	assert_int_equal(vmq_backend_drain(backend, NULL), 0);
	assert_stats(backend, 0, 0);
	vmq_backend_close(backend);
	close(reader);
	unit_assert_pool_full(pool);
	unit_assert_nothing_left(&before);
	free(path);
}

/* Whoever waits for the end of it asks from time to time, and does other things meanwhile. */
static void
a_pipe_that_nobody_reads_ends_without_anybody_waiting(void **state)
{
	enum { HELD = 64, LONG = 2000 };
	char *path = unit_path("hung.pcap");
	const struct vmq_backend_params params = pcap_params(path, HELD);
	struct vmq_backend_stats stats;
	struct vmq_backend *backend;
	struct rte_mbuf *packet;
	struct unit_census before;
	unsigned int i, refused = 0;
	uint64_t taken = 0;
	int reader;

	(void)state;
	unit_census_take(&before);
	assert_true(vmq_backend_quiesce(NULL));
	assert_int_equal(mkfifo(path, 0600), 0);
	reader = open(path, O_RDONLY | O_NONBLOCK);
	assert_true(reader >= 0);
	backend = open_backend(&params);
	for (i = 0; refused < 20; i++) {
		packet = numbered(i, LONG);
		if (vmq_backend_tx_burst(backend, &packet, 1) == 1) {
			taken++;
			continue;
		}
		rte_pktmbuf_free(packet);
		refused++;
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
	}
	/* The writer is in a system call that does not come back. */
	assert_false(vmq_backend_quiesce(backend));
	for (i = 0; !vmq_backend_quiesce(backend); i++) {
		assert_true(i < 60000);
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	assert_true(vmq_backend_quiesce(backend));
	assert_int_equal(vmq_backend_drain(backend, NULL), -EINTR);
	vmq_backend_stats_get(backend, &stats);
	assert_int_equal(stats.waiting, 0);
	assert_true(stats.failed > 0 && stats.failed <= taken);
	vmq_backend_close(backend);
	close(reader);
	unit_assert_pool_full(pool);
	unit_assert_nothing_left(&before);
	free(path);
}

static void
a_pipe_without_a_reader_is_refused(void **state)
{
	char *path = unit_path("unread.pcap");
	const struct vmq_backend_params params = pcap_params(path, 64);
	struct unit_census before;
	struct vmq_error err;

	(void)state;
	unit_census_take(&before);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_null(vmq_backend_open(&params, &err));
	assert_int_equal(rte_errno, ENXIO);
	assert_non_null(strstr(err.text, "start its reader first"));
	unit_assert_nothing_left(&before);
	free(path);
}

/* One that is being freed may write on for a while. */
static void
a_file_that_is_being_written_is_not_taken(void **state)
{
	char *path = unit_path("taken.pcap");
	const struct vmq_backend_params params = pcap_params(path, 64);
	struct vmq_backend *backend = open_backend(&params);
	struct rte_mbuf *packet = numbered(1, 60);
	struct vmq_error err;
	uint8_t *file;
	size_t size;

	(void)state;
	send_all(backend, &packet, 1);
	assert_null(vmq_backend_open(&params, &err));
	assert_int_equal(rte_errno, EBUSY);
	assert_non_null(strstr(err.text, "another queue is writing it"));
	assert_int_equal(vmq_backend_drain(backend, NULL), 0);
	vmq_backend_close(backend);
	/* It was not touched, and can be had now. */
	file = unit_read_file(path, &size);
	assert_int_equal(size, FILE_HEADER + RECORD_HEADER + 60);
	free(file);
	backend = open_backend(&params);
	assert_int_equal(vmq_backend_drain(backend, NULL), 0);
	vmq_backend_close(backend);
	file = unit_read_file(path, &size);
	assert_int_equal(size, FILE_HEADER);
	free(file);
	free(path);
}

static void
files_are_written_side_by_side(void **state)
{
	enum { FILES = 5, PACKETS = 400 };
	struct vmq_backend *backends[FILES];
	char *paths[FILES], name[32];
	uint8_t *file, wanted[60];
	struct rte_mbuf *packet;
	struct unit_census before;
	unsigned int i, j;
	size_t size;

	(void)state;
	unit_census_take(&before);
	for (i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "side%u.pcap", i);
		paths[i] = unit_path(name);
		backends[i] = open_backend(&(struct vmq_backend_params){.type = VMQ_BACKEND_PCAP,
			.file = paths[i], .max_held = PACKETS, .socket_id = SOCKET_ID_ANY});
	}
	for (j = 0; j < PACKETS; j++) {
		for (i = 0; i < FILES; i++) {
			packet = numbered(i * PACKETS + j, 60);
			send_all(backends[i], &packet, 1);
		}
		/* One is closed in the middle: the others go on. */
		if (j == PACKETS / 2) {
			assert_int_equal(vmq_backend_drain(backends[0], NULL), 0);
			vmq_backend_close(backends[0]);
			backends[0] = open_backend(&(struct vmq_backend_params){
				.type = VMQ_BACKEND_SINK, .socket_id = SOCKET_ID_ANY});
		}
	}
	for (i = 0; i < FILES; i++) {
		assert_int_equal(vmq_backend_drain(backends[i], NULL), 0);
		vmq_backend_close(backends[i]);
		file = unit_read_file(paths[i], &size);
		for (j = 0; j < (i == 0 ? PACKETS / 2 + 1 : PACKETS); j++) {
			unit_fill(wanted, sizeof(wanted), i * PACKETS + j);
			assert_memory_equal(file + FILE_HEADER + j * (RECORD_HEADER + 60) +
				RECORD_HEADER, wanted, sizeof(wanted));
		}
		assert_int_equal(size, FILE_HEADER + j * (RECORD_HEADER + 60));
		free(file);
		free(paths[i]);
	}
	unit_assert_pool_full(pool);
	unit_assert_nothing_left(&before);
}

static void
a_path_that_cannot_be_written_is_refused_with_the_reason(void **state)
{
	char *missing = unit_path("no/such/folder.pcap");
	const struct {
		const char *path;
		int error;
	} bad[] = {
		{missing, ENOENT},
		{unit_folder(), EISDIR},
		{"/dev/full", ENOSPC}, /* its header does not fit */
	};
	struct vmq_backend_params params;
	struct unit_census before;
	struct vmq_error err;
	unsigned int i;

	(void)state;
	unit_census_take(&before);
	for (i = 0; i < RTE_DIM(bad); i++) {
		params = pcap_params(bad[i].path, 64);
		rte_errno = 0;
		assert_null(vmq_backend_open(&params, &err));
		assert_int_equal(rte_errno, bad[i].error);
		assert_non_null(strstr(err.text, bad[i].path));
		assert_non_null(strstr(err.text, strerror(bad[i].error)));
		unit_assert_nothing_left(&before);
	}
	free(missing);
}

/* A limit on the size of files stands for a disk that gets full. */
static void
on_a_full_disk_packets_are_counted_failed_and_the_file_stays_readable(void **state)
{
	enum { PACKETS = 600, LENGTH = 1500, LIMIT = 300000 };
	char *path = unit_path("full.pcap"), text[PCAP_ERRBUF_SIZE];
	const struct vmq_backend_params params = pcap_params(path, 1024);
	void (*old_handler)(int) = signal(SIGXFSZ, SIG_IGN);
	struct vmq_error err = {.text = ""};
	struct vmq_backend_stats stats;
	struct vmq_backend *backend;
	struct rlimit old, small;
	struct pcap_pkthdr *header;
	const unsigned char *data;
	struct unit_census before;
	struct rte_mbuf *packet;
	uint8_t wanted[LENGTH];
	uint64_t written = 0;
	pcap_t *handle;
	uint32_t i;
	int ret;

	(void)state;
	unit_census_take(&before);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = LIMIT;
	backend = open_backend(&params);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (i = 0; i < PACKETS; i++) {
		packet = numbered(i, LENGTH);
		send_all(backend, &packet, 1);
	}
	ret = vmq_backend_drain(backend, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, old_handler);

	assert_int_equal(ret, -EFBIG);
	assert_non_null(strstr(err.text, "full.pcap"));
	assert_non_null(strstr(err.text, strerror(EFBIG)));
	vmq_backend_stats_get(backend, &stats);
	assert_int_equal(stats.waiting, 0);
	vmq_backend_close(backend);
	unit_assert_pool_full(pool);
	unit_assert_nothing_left(&before);

	/* Each packet is in the file, or counted as failed. */
	handle = pcap_open_offline(path, text);
	assert_non_null(handle);
	while ((ret = pcap_next_ex(handle, &header, &data)) == 1) {
		unit_fill(wanted, LENGTH, (uint32_t)written++);
		assert_int_equal(header->caplen, LENGTH);
		assert_memory_equal(data, wanted, LENGTH);
	}
	assert_int_equal(ret, PCAP_ERROR_BREAK); /* its end is the end of a packet */
	pcap_close(handle);
	assert_true(stats.failed > 0 && written > 0);
	assert_int_equal(written + stats.failed, PACKETS);
	free(path);
}

/* -- ethdev -- */

static struct vmq_backend_params
ethdev_params(const char *device)
{
	return (struct vmq_backend_params){
		.type = VMQ_BACKEND_ETHDEV,
		.device = device,
		.socket_id = SOCKET_ID_ANY,
		.pool = pool,
	};
}

static uint16_t
port_of(const char *device)
{
	uint16_t port_id;

	assert_int_equal(rte_eth_dev_get_port_by_name(device, &port_id), 0);
	return port_id;
}

static void
a_port_gets_the_frames_as_they_are(void **state)
{
	const struct vmq_backend_params params = ethdev_params("net_ring_tx");
	struct vmq_backend *backend = open_backend(&params);
	struct rte_mbuf *packets[VMQ_BURST], *got[VMQ_BURST];
	uint8_t wanted[1518];
	unsigned int i;

	(void)state;
	assert_true(vmq_backend_holds(backend));
	assert_string_equal(vmq_backend_text(backend), "ethdev net_ring_tx");
	for (i = 0; i < VMQ_BURST; i++)
		packets[i] = numbered(i, (uint16_t)(i == 0 ? 14 : i == 1 ? 1518 : 60 + i));
	assert_int_equal(vmq_backend_tx_burst(backend, packets, VMQ_BURST), VMQ_BURST);
	assert_int_equal(rte_eth_rx_burst(port_of("net_ring_tx"), 0, got, VMQ_BURST), VMQ_BURST);
	for (i = 0; i < VMQ_BURST; i++) {
		const uint16_t length = (uint16_t)(i == 0 ? 14 : i == 1 ? 1518 : 60 + i);

		unit_fill(wanted, length, i);
		unit_assert_bytes(got[i], wanted, length);
	}
	rte_pktmbuf_free_bulk(got, VMQ_BURST);
	assert_stats(backend, 0, 0);
	assert_int_equal(vmq_backend_drain(backend, NULL), 0);
	vmq_backend_close(backend);
	unit_assert_pool_full(pool);
}

static void
drain_brings_all_packets_home(void **state)
{
	const struct vmq_backend_params params = ethdev_params("net_ring_drain");
	struct vmq_backend *backend = open_backend(&params);
	struct rte_mbuf *packets[VMQ_BURST];
	unsigned int i, sent = 0;
	uint16_t n;

	(void)state;
	do { /* until its ring is full */
		for (i = 0; i < VMQ_BURST; i++)
			packets[i] = numbered(i, 60);
		n = vmq_backend_tx_burst(backend, packets, VMQ_BURST);
		rte_pktmbuf_free_bulk(packets + n, VMQ_BURST - n);
		sent += n;
	} while (n == VMQ_BURST);
	assert_true(sent > 500);
	assert_int_equal(rte_mempool_in_use_count(pool), sent);
	assert_int_equal(vmq_backend_drain(backend, NULL), 0);
	unit_assert_pool_full(pool);
	vmq_backend_close(backend);
	assert_int_equal(rte_eth_dev_get_port_by_name("net_ring_drain", &n), -ENODEV);
}

static void
drain_ends_though_the_port_never_stops_receiving(void **state)
{
	const struct vmq_backend_params params = ethdev_params("net_null_rx,size=60");
	struct vmq_backend *backend = open_backend(&params);

	(void)state;
	assert_int_equal(vmq_backend_drain(backend, NULL), 0);
	vmq_backend_close(backend);
	unit_assert_pool_full(pool);
}

/* Offer frames until all are taken; the port is net_null, which takes everything. */
static void
frames_too_long_or_too_short_are_counted_failed_and_hold_up_nobody(void **state)
{
	static const struct {
		uint16_t length;
		bool fails;
	} frames[] = {
		{60, false}, {1519, true}, {0, true}, {60, false}, {13, true}, {14, false},
		{1518, false}, {2000, true}, {1, true}, {60, false}, {1600, true},
	};
	const struct vmq_backend_params params = ethdev_params("net_null_tx");
	struct vmq_backend *backend = open_backend(&params);
	struct rte_mbuf *packets[RTE_DIM(frames)];
	struct rte_eth_stats stats;
	unsigned int i, failed = 0, calls = 0;
	uint16_t sent = 0, n;

	(void)state;
	for (i = 0; i < RTE_DIM(frames); i++) {
		packets[i] = numbered(i, frames[i].length);
		failed += frames[i].fails;
	}
	while (sent < RTE_DIM(frames)) {
		n = vmq_backend_tx_burst(backend, packets + sent,
			(uint16_t)(RTE_DIM(frames) - sent));
		assert_true(n > 0);
		sent += n;
		calls++;
	}
	assert_true(calls <= RTE_DIM(frames));
	unit_assert_pool_full(pool);
	assert_stats(backend, failed, 0);
	assert_int_equal(rte_eth_stats_get(port_of("net_null_tx"), &stats), 0);
	assert_int_equal(stats.opackets, RTE_DIM(frames) - failed);
	assert_int_equal(vmq_backend_drain(backend, NULL), 0);
	assert_stats(backend, failed, 0);
	vmq_backend_close(backend);
}

static void
a_chain_that_is_too_long_in_all_fails(void **state)
{
	static const uint16_t lengths[] = {1000, 519, 0};
	const struct vmq_backend_params params = ethdev_params("net_null_chain");
	struct vmq_backend *backend = open_backend(&params);
	struct rte_mbuf *packet;
	uint8_t bytes[1519];

	(void)state;
	unit_fill(bytes, sizeof(bytes), 1);
	packet = unit_chain(pool, bytes, lengths);
	assert_int_equal(vmq_backend_tx_burst(backend, &packet, 1), 1);
	assert_stats(backend, 1, 0);
	unit_assert_pool_full(pool);
	assert_int_equal(vmq_backend_drain(backend, NULL), 0);
	vmq_backend_close(backend);
}

static void
a_port_that_can_carry_longer_frames_is_told_to(void **state)
{
	struct vmq_backend_params params = ethdev_params("net_null_jumbo");
	struct rte_mbuf *packets[2];
	struct vmq_backend *backend;
	uint16_t mtu;

	(void)state;
	params.mtu = 1900;
	backend = open_backend(&params);
	assert_int_equal(rte_eth_dev_get_mtu(port_of("net_null_jumbo"), &mtu), 0);
	/* net_null takes an mtu since DPDK 20.02; where one does not, the default stays. */
	packets[0] = numbered(1, (uint16_t)(mtu + 18));
	packets[1] = numbered(2, (uint16_t)(mtu + 19));
	assert_int_equal(vmq_backend_tx_burst(backend, packets, 2), 1);
	assert_stats(backend, 0, 0);
	assert_int_equal(vmq_backend_tx_burst(backend, packets + 1, 1), 1);
	assert_stats(backend, 1, 0);
	assert_int_equal(mtu, 1900);
	assert_int_equal(vmq_backend_drain(backend, NULL), 0);
	vmq_backend_close(backend);
	unit_assert_pool_full(pool);
}

static void
a_device_that_does_not_open_is_refused_with_the_drivers_words(void **state)
{
	char device[PATH_MAX + 32], *path = unit_path("nobody.pcap");
	const struct {
		const char *device, *reason;
	} bad[] = {
		{"net_nosuch0", "net_nosuch0"},
		{"net_null_bad,nosuch=1", "the driver says: "},
		{device, path},
	};
	struct vmq_backend_params params;
	struct unit_census before;
	struct vmq_error err;
	unsigned int i;

	(void)state;
	snprintf(device, sizeof(device), "net_pcap_bad,rx_pcap=%s", path);
	unit_census_take(&before);
	for (i = 0; i < RTE_DIM(bad); i++) {
		params = ethdev_params(bad[i].device);
		err.text[0] = '\0';
		rte_errno = 0;
		assert_null(vmq_backend_open(&params, &err));
		assert_true(rte_errno > 0);
		if (strstr(err.text, bad[i].reason) == NULL)
			fail_msg("\"%s\" does not say \"%s\"", err.text, bad[i].reason);
		unit_assert_nothing_left(&before);
	}
	free(path);
}

/* It attaches, and fails only when its Rx queue is set up: too few buffers. */
static void
a_port_that_fails_half_way_is_detached_again(void **state)
{
	char device[PATH_MAX + 64], *path = unit_path("few.pcap");
	struct vmq_backend_params params = pcap_params(path, 128);
	struct rte_mempool *few = unit_pool("few", 31, BUFFER_SIZE);
	struct vmq_backend *backend = open_backend(&params);
	struct rte_mbuf *packet;
	struct unit_census before;
	struct vmq_error err;
	unsigned int i;

	(void)state;
	for (i = 0; i < 100; i++) {
		packet = numbered(i, 60);
		send_all(backend, &packet, 1);
	}
	assert_int_equal(vmq_backend_drain(backend, NULL), 0);
	vmq_backend_close(backend);

	unit_census_take(&before);
	snprintf(device, sizeof(device), "net_pcap_few,rx_pcap=%s,infinite_rx=1", path);
	params = ethdev_params(device);
	params.pool = few;
	assert_null(vmq_backend_open(&params, &err));
	assert_non_null(strstr(err.text, "Rx queue"));
	unit_assert_nothing_left(&before);
	unit_assert_pool_full(few);
	rte_mempool_free(few);
	free(path);
}

static void
two_backends_cannot_have_the_same_port(void **state)
{
	struct vmq_backend_params params = ethdev_params("net_null_one");
	struct vmq_backend *backend = open_backend(&params);
	struct vmq_error err;

	(void)state;
	assert_null(vmq_backend_open(&params, &err));
	assert_int_equal(rte_errno, EBUSY);
	assert_int_equal(vmq_backend_drain(backend, NULL), 0);
	vmq_backend_close(backend);
	backend = open_backend(&params);
	assert_int_equal(vmq_backend_drain(backend, NULL), 0);
	vmq_backend_close(backend);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_have_the_names_of_the_document),
		cmocka_unit_test(an_unknown_kind_is_refused),
		cmocka_unit_test(nothing_needs_no_drain_and_no_close),
		cmocka_unit_test(a_sink_takes_all_and_frees_all),
		cmocka_unit_test(a_capture_file_has_every_packet_byte_for_byte_in_order),
		cmocka_unit_test(a_capture_file_is_read_by_libpcap),
		cmocka_unit_test(a_chain_of_segments_is_one_frame_in_the_file),
		cmocka_unit_test(an_empty_capture_is_a_file_too_and_replaces_what_was_there),
		cmocka_unit_test(a_full_ring_takes_a_part_and_never_waits),
		cmocka_unit_test(a_pipe_that_nobody_reads_ends_without_anybody_waiting),
		cmocka_unit_test(a_pipe_without_a_reader_is_refused),
		cmocka_unit_test(a_file_that_is_being_written_is_not_taken),
		cmocka_unit_test(files_are_written_side_by_side),
		cmocka_unit_test(a_path_that_cannot_be_written_is_refused_with_the_reason),
		cmocka_unit_test(on_a_full_disk_packets_are_counted_failed_and_the_file_stays_readable),
		cmocka_unit_test(a_port_gets_the_frames_as_they_are),
		cmocka_unit_test(drain_brings_all_packets_home),
		cmocka_unit_test(drain_ends_though_the_port_never_stops_receiving),
		cmocka_unit_test(frames_too_long_or_too_short_are_counted_failed_and_hold_up_nobody),
		cmocka_unit_test(a_chain_that_is_too_long_in_all_fails),
		cmocka_unit_test(a_port_that_can_carry_longer_frames_is_told_to),
		cmocka_unit_test(a_device_that_does_not_open_is_refused_with_the_drivers_words),
		cmocka_unit_test(a_port_that_fails_half_way_is_detached_again),
		cmocka_unit_test(two_backends_cannot_have_the_same_port),
	};

	return cmocka_run_group_tests_name("backend", tests, make_pool, free_pool);
}
