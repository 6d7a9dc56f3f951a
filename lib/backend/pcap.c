/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pcap/pcap.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_mbuf_dyn.h>
#include <rte_ring.h>

#include "pcap_writer.h"
#include "vmq_backend_driver.h"

/* Longest frame in a file: what an mbuf chain of a jumbo frame can hold. */
#define SNAPLEN UINT16_MAX
/* Packets that the writer takes from one file before it looks at the next. */
#define WORK_PACKETS 512
/* Bytes written between two flushes: what an error can take back at most. */
#define FILE_BUFFER_BYTES (256 * 1024)
/* How often the clocks are compared; they drift apart by parts per million. */
#define CLOCK_SECONDS 1

struct pcap_backend {
	struct vmq_backend backend;
	/* worker: producer; writer: consumer */
	struct rte_ring *ring;
	int stamp_offset; /* of the TSC at delivery, in each mbuf */
	vmq_counter_t taken; /* worker: wo */

	/* The writer's, after the worker's line. */
	vmq_counter_t written __rte_cache_aligned;
	vmq_counter_t failed;
	struct pcap_writer writer;
	pcap_t *handle;
	pcap_dumper_t *file;
	char *buffer; /* of the file */
	int write_error; /* errno of a write that the full buffer caused, or 0 */
	int error; /* errno of the failure that stopped the file, or 0 */
	uint64_t unflushed; /* packets in the file's buffer */
	size_t unflushed_bytes;
	long good_bytes; /* length of the file at the last flush */
	/* The same moment on both clocks, and the stamp of the last packet. */
	uint64_t base_tsc, base_ns, last_ns;
};

static struct pcap_backend *
of(const struct vmq_backend *backend)
{
	return (struct pcap_backend *)(uintptr_t)backend;
}

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

static void
compare_clocks(struct pcap_backend *pcap)
{
	pcap->base_ns = now_ns();
	pcap->base_tsc = rte_rdtsc();
}

/* Stamps of a file never go back, though the clocks are compared anew. */
static uint64_t
stamp_ns(struct pcap_backend *pcap, uint64_t tsc)
{
	double ns = (double)(int64_t)(tsc - pcap->base_tsc) * 1e9 / (double)rte_get_tsc_hz();
	uint64_t stamp = pcap->base_ns + (int64_t)ns;

	if (stamp > pcap->last_ns)
		pcap->last_ns = stamp;
	return pcap->last_ns;
}

static void
write_packet(struct pcap_backend *pcap, const struct rte_mbuf *packet)
{
	uint64_t tsc = *RTE_MBUF_DYNFIELD(packet, pcap->stamp_offset, rte_mbuf_timestamp_t *);
	uint64_t ns = stamp_ns(pcap, tsc);
	struct pcap_pkthdr header = {
		/* In a file of nanosecond precision tv_usec counts nanoseconds. */
		.ts = {.tv_sec = ns / 1000000000, .tv_usec = ns % 1000000000},
		.caplen = RTE_MIN(packet->pkt_len, (uint32_t)SNAPLEN),
		.len = packet->pkt_len,
	};
	unsigned char copy[SNAPLEN];
	const void *data;

	data = rte_pktmbuf_read(packet, 0, header.caplen, copy);
	errno = 0;
	pcap_dump((unsigned char *)pcap->file, &header, data);
	/* Frames so long that the buffer gets full are written out at once. */
	if (unlikely(ferror(pcap_dump_file(pcap->file))) && pcap->write_error == 0)
		pcap->write_error = errno;
	pcap->unflushed++;
	pcap->unflushed_bytes += sizeof(uint32_t) * 4 + header.caplen;
}

/*
 * Bring what is in the buffer to the file. When that fails the packets since the
 * last flush are lost: cut the file there, so that it stays readable.
 */
static void
flush(struct pcap_backend *pcap)
{
	if (pcap->unflushed == 0)
		return;
	if (pcap->error == 0) {
		errno = 0;
		if (fflush(pcap_dump_file(pcap->file)) == 0 &&
			!ferror(pcap_dump_file(pcap->file))) {
			vmq_counter_add(&pcap->written, pcap->unflushed);
			pcap->good_bytes += (long)pcap->unflushed_bytes;
			pcap->unflushed = 0;
			pcap->unflushed_bytes = 0;
			return;
		}
		pcap->error = pcap->write_error != 0 ? pcap->write_error : errno != 0 ? errno : EIO;
		VMQ_LOG(ERR, "%s: %s; packets for it are counted as failed from now on\n",
			pcap->backend.text, strerror(pcap->error));
		__fpurge(pcap_dump_file(pcap->file));
		if (ftruncate(fileno(pcap_dump_file(pcap->file)), pcap->good_bytes) < 0)
			VMQ_LOG(WARNING, "%s: its end may be cut inside a packet: %s\n",
				pcap->backend.text, strerror(errno));
	}
	vmq_counter_add(&pcap->failed, pcap->unflushed);
	pcap->unflushed = 0;
	pcap->unflushed_bytes = 0;
}

/* Write a bounded amount of what waits. Returns whether there was anything. */
static bool
work(struct pcap_writer *writer)
{
	struct pcap_backend *pcap = RTE_PTR_SUB(writer, offsetof(struct pcap_backend, writer));
	struct rte_mbuf *packets[VMQ_BURST];
	unsigned int n, i, done = 0;

	do {
		n = rte_ring_sc_dequeue_burst(pcap->ring, (void **)packets, VMQ_BURST, NULL);
		for (i = 0; i < n; i++) {
			if (pcap->error == 0)
				write_packet(pcap, packets[i]);
			else
				vmq_counter_add(&pcap->failed, 1);
		}
		rte_pktmbuf_free_bulk(packets, n);
		done += n;
		if (pcap->unflushed_bytes >= FILE_BUFFER_BYTES / 2)
			flush(pcap);
	} while (n > 0 && done < WORK_PACKETS);

	if (done == 0)
		flush(pcap);
	if (rte_rdtsc() - pcap->base_tsc > CLOCK_SECONDS * rte_get_tsc_hz())
		compare_clocks(pcap);
	return done > 0;
}

static void
close_file(struct pcap_backend *pcap)
{
	pcap_dump_close(pcap->file);
	pcap_close(pcap->handle);
	free(pcap->buffer);
}

/*
 * Open and empty a file that nobody else writes: a queue that is being freed may still be
 * writing it. Never waits. Returns -errno with the reason.
 */
static int
take_file(const char *path, struct vmq_error *err)
{
	struct stat st;
	int fd, error;

	/* Not blocking, so that a pipe that nobody reads is refused instead of waited for. */
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
	if (fd < 0)
		return vmq_error_errno(err, errno, "capture file %s: %s", path,
			errno == ENXIO ? "a pipe that nobody reads: start its reader first"
				       : strerror(errno));
	/* A file system without locks (ENOLCK and others) does without. */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
		close(fd);
		return vmq_error_errno(err, EBUSY, "capture file %s: another queue is writing it, or "
			"one that is being freed still is", path);
	}
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && ftruncate(fd, 0) < 0) {
		error = errno;
		close(fd);
		return vmq_error_errno(err, error, "capture file %s: %s", path, strerror(error));
	}
	return fd;
}

static int
open_file(struct pcap_backend *pcap, const char *path, struct vmq_error *err)
{
	int fd = take_file(path, err), flags, error;
	FILE *file;

	if (fd < 0)
		return fd;
	file = fdopen(fd, "wb");
	if (file == NULL) {
		error = errno;
		close(fd);
		return vmq_error_errno(err, error, "capture file %s: %s", path, strerror(error));
	}
	/* Left to itself glibc takes 4096 bytes, whatever size it is asked for. */
	pcap->buffer = malloc(FILE_BUFFER_BYTES);
	if (pcap->buffer == NULL) {
		fclose(file);
		return vmq_error_errno(err, ENOMEM, "capture file %s: no memory", path);
	}
	setvbuf(file, pcap->buffer, _IOFBF, FILE_BUFFER_BYTES);
	pcap->handle = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, SNAPLEN,
		PCAP_TSTAMP_PRECISION_NANO);
	if (pcap->handle != NULL)
		pcap->file = pcap_dump_fopen(pcap->handle, file);
	if (pcap->file == NULL) {
		fclose(file);
		if (pcap->handle != NULL)
			pcap_close(pcap->handle);
		free(pcap->buffer);
		return vmq_error_errno(err, ENOMEM, "capture file %s: no memory", path);
	}
	/* From here on the writer waits, as long as it takes. */
	flags = fcntl(fd, F_GETFL);
	if (fflush(file) != 0 || flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0) {
		error = errno;
		close_file(pcap);
		return vmq_error_errno(err, error, "capture file %s: %s", path, strerror(error));
	}
	pcap->good_bytes = ftell(file);
	return 0;
}

static int
make_ring(struct pcap_backend *pcap, const struct vmq_backend_params *params, struct vmq_error *err)
{
	unsigned int slots = rte_align32pow2(RTE_MAX(params->max_held, (uint32_t)VMQ_BURST) + 1);
	ssize_t bytes = rte_ring_get_memsize(slots);

	if (bytes < 0)
		return vmq_error_errno(err, EINVAL, "pcap %s: %u packets cannot wait",
			params->file, params->max_held);
	pcap->ring = rte_zmalloc_socket("vmq_pcap_ring", bytes, RTE_CACHE_LINE_SIZE,
		params->socket_id);
	if (pcap->ring == NULL)
		return vmq_error_errno(err, ENOMEM, "pcap %s: no memory for %u packets to wait",
			params->file, params->max_held);
	/* Not a named ring: that would take a memzone, of which there are few. */
	return rte_ring_init(pcap->ring, "vmq_pcap", slots, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

static int
pcap_backend_open(struct vmq_backend *backend, const struct vmq_backend_params *params,
	struct vmq_error *err)
{
	struct pcap_backend *pcap = of(backend);
	int ret;

	snprintf(backend->text, sizeof(backend->text), "pcap %s", params->file);
	ret = rte_mbuf_dyn_rx_timestamp_register(&pcap->stamp_offset, NULL);
	if (ret < 0)
		return vmq_error_errno(err, rte_errno, "pcap %s: no room for time stamps in mbufs",
			params->file);
	ret = make_ring(pcap, params, err);
	if (ret < 0)
		return ret;
	ret = open_file(pcap, params->file, err);
	if (ret < 0)
		goto free_ring;
	compare_clocks(pcap);
	pcap->writer.work = work;
	ret = pcap_writer_start(&pcap->writer);
	if (ret < 0) {
		vmq_error_errno(err, -ret, "pcap %s: writer thread: %s", params->file,
			strerror(-ret));
		goto close_file;
	}
	return 0;

close_file:
	close_file(pcap);
free_ring:
	rte_free(pcap->ring);
	return ret;
}

static bool
pcap_backend_quiesce(struct vmq_backend *backend)
{
	return pcap_writer_try_stop(&of(backend)->writer);
}

static int
pcap_backend_drain(struct vmq_backend *backend, struct vmq_error *err)
{
	struct pcap_backend *pcap = of(backend);
	int ret = 0;

	pcap_writer_stop(&pcap->writer);
	flush(pcap);
	if (pcap->error != 0)
		ret = vmq_error_errno(err, pcap->error, "%s: %s: %" PRIu64 " packets were not written",
			backend->text, strerror(pcap->error), vmq_counter_get(&pcap->failed));
	return ret;
}

static void
pcap_backend_close(struct vmq_backend *backend)
{
	struct pcap_backend *pcap = of(backend);

	close_file(pcap);
	rte_free(pcap->ring);
}

static uint16_t
pcap_tx_burst(struct vmq_backend *backend, struct rte_mbuf **packets, uint16_t n)
{
	struct pcap_backend *pcap = of(backend);
	uint64_t now = rte_rdtsc();
	unsigned int taken;
	uint16_t i;

	for (i = 0; i < n; i++)
		*RTE_MBUF_DYNFIELD(packets[i], pcap->stamp_offset, rte_mbuf_timestamp_t *) = now;
	taken = rte_ring_sp_enqueue_burst(pcap->ring, (void *const *)packets, n, NULL);
	vmq_counter_add(&pcap->taken, taken);
	return (uint16_t)taken;
}

static void
pcap_stats_get(const struct vmq_backend *backend, struct vmq_backend_stats *stats)
{
	const struct pcap_backend *pcap = of(backend);
	uint64_t written = vmq_counter_get(&pcap->written);

	stats->failed = vmq_counter_get(&pcap->failed);
	stats->waiting = vmq_counter_get(&pcap->taken) - written - stats->failed;
}

const struct vmq_backend_ops vmq_backend_pcap = {
	.type = VMQ_BACKEND_PCAP,
	.name = "pcap",
	.holds = true,
	.size = sizeof(struct pcap_backend),
	.open = pcap_backend_open,
	.quiesce = pcap_backend_quiesce,
	.drain = pcap_backend_drain,
	.close = pcap_backend_close,
	.tx_burst = pcap_tx_burst,
	.stats_get = pcap_stats_get,
};
