/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * Room behind what a hostile VM can make librte_vhost write past the end of (read in
 * 22.11, virtio_net.c, and shown by tests/vm/test_vhost_hostile.py):
 *
 *   A VM's memory. A header over two parts of which the second is too short as well makes
 *   a frame go on behind that part (mbuf_to_desc); so does a packed descriptor shorter than
 *   a header (virtio_dev_rx_sync_batch_check). One packet that takes more descriptors than
 *   a packed ring has moves the ring's index behind its end (vhost_enqueue_single_packed).
 *   What lies there is the memory of another VM, more often than not.
 *   Therefore each mapping of a VM's memory gets a moat: empty memory of ours right behind
 *   it, wider than any of these reaches. Nobody uses it, and who writes there is cut off.
 *
 *   The list of used buffers of a ring, which lies in DPDK's heap with one entry for each
 *   descriptor. With mergeable buffers of no bytes and an index that is rounds ahead a burst
 *   needs up to 65535 (reserve_avail_buf_split). Therefore it is made longer.
 *
 * librte_vhost offers no way to do that: its calls of mmap(), munmap(), and of DPDK's
 * allocator are answered by this program, which a dynamic linker asks before libraries. Only
 * while librte_vhost works on a message that concerns it they do anything else than usual.
 */

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <rte_malloc.h>

#include "ethdev_gate.h"
#include "vhost_private.h"

/* More than a frame, and than 65536 packed descriptors. */
#define MOAT_BYTES ((size_t)2 << 20)
#define MOAT_PAGES (MOAT_BYTES / 4096) /* where pages are larger there are fewer */

/* Entries of 8 bytes: as far as an index of 16 bits can be ahead. */
#define LIST_BYTES ((size_t)65536 * 8)
#define LIST_BYTES_SHORT ((size_t)1024) /* a burst */

/* A file system that says more is not one for memory. */
#define ALIGN_MAX ((size_t)1 << 30)

struct moat {
	TAILQ_ENTRY(moat) next;
	uintptr_t start;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static TAILQ_HEAD(, moat) moats = TAILQ_HEAD_INITIALIZER(moats);

/* What the calls of this thread are for. */
static _Thread_local bool mapping_memory;
static _Thread_local size_t longer_bytes;
static _Thread_local bool was_longer;
static _Thread_local bool was_mapped;

void
vhost_moat_message(bool memory, bool ring, bool to_vm)
{
	mapping_memory = memory;
	longer_bytes = ring ? to_vm ? LIST_BYTES : LIST_BYTES_SHORT : 0;
	was_longer = false;
	was_mapped = false;
}

bool
vhost_moat_list_is_longer(void)
{
	return was_longer;
}

bool
vhost_moat_has_mapped(void)
{
	return was_mapped;
}

/* The system's own, which do not come back to this file. */
static void *
system_mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	/* The number of an address, or -1 with errno: MAP_FAILED. */
	return (void *)syscall(SYS_mmap, addr, length, prot, flags, fd, offset);
}

static int
system_munmap(void *addr, size_t length)
{
	return (int)syscall(SYS_munmap, addr, length);
}

static int
remember(uintptr_t start)
{
	struct moat *moat = malloc(sizeof(*moat));

	if (moat == NULL)
		return -1;
	moat->start = start;
	pthread_mutex_lock(&lock);
	TAILQ_INSERT_TAIL(&moats, moat, next);
	pthread_mutex_unlock(&lock);
	return 0;
}

/* Map a file with a moat behind it, or fail. */
static void *
map_with_moat(size_t length, int prot, int flags, int fd, off_t offset)
{
	const int empty = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	uintptr_t start, at, moat, end;
	struct stat st;
	size_t align;

	if (fstat(fd, &st) < 0)
		return MAP_FAILED;
	align = (size_t)st.st_blksize;
	if (!rte_is_power_of_2(align) || align > ALIGN_MAX || length % align != 0 ||
		length > SIZE_MAX / 2) {
		errno = EINVAL;
		return MAP_FAILED;
	}
	start = (uintptr_t)system_mmap(NULL, length + align + MOAT_BYTES, PROT_NONE, empty, -1, 0);
	if ((void *)start == MAP_FAILED)
		return MAP_FAILED;
	end = start + length + align + MOAT_BYTES;
	at = RTE_ALIGN_CEIL(start, align);
	moat = at + length;
	if (system_mmap((void *)at, length, prot, flags | MAP_FIXED, fd, offset) == MAP_FAILED ||
		mprotect((void *)moat, MOAT_BYTES, PROT_READ | PROT_WRITE) < 0 ||
		remember(moat) < 0) {
		system_munmap((void *)start, end - start);
		errno = ENOMEM;
		return MAP_FAILED;
	}
	was_mapped = true;
	if (at > start)
		system_munmap((void *)start, at - start);
	if (end > moat + MOAT_BYTES)
		system_munmap((void *)(moat + MOAT_BYTES), end - moat - MOAT_BYTES);
	return (void *)at;
}

void *
mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	if (mapping_memory && addr == NULL && (flags & MAP_SHARED) != 0 && fd >= 0)
		return map_with_moat(length, prot, flags, fd, offset);
	return system_mmap(addr, length, prot, flags, fd, offset);
}

/* The moat that begins there. With the lock. */
static struct moat *
find(uintptr_t start)
{
	struct moat *moat;

	TAILQ_FOREACH(moat, &moats, next)
		if (moat->start == start)
			return moat;
	return NULL;
}

int
munmap(void *addr, size_t length)
{
	struct moat *moat;
	int ret;

	ethdev_gate_before_unmapping();
	pthread_mutex_lock(&lock);
	moat = find((uintptr_t)addr + length);
	if (moat != NULL)
		TAILQ_REMOVE(&moats, moat, next);
	pthread_mutex_unlock(&lock);
	ret = system_munmap(addr, length);
	if (moat != NULL)
		system_munmap((void *)moat->start, MOAT_BYTES);
	free(moat);
	return ret;
}

bool
vhost_moat_is_there(int vid)
{
	struct rte_vhost_memory *memory;
	bool there = true;
	uint32_t i;

	if (rte_vhost_get_mem_table(vid, &memory) < 0)
		return false;
	pthread_mutex_lock(&lock);
	for (i = 0; i < memory->nregions; i++)
		there &= find((uintptr_t)memory->regions[i].mmap_addr +
			memory->regions[i].mmap_size) != NULL;
	pthread_mutex_unlock(&lock);
	free(memory);
	return there;
}

bool
vhost_moat_is_touched(int vid)
{
	struct rte_vhost_memory *memory;
	unsigned char there[MOAT_PAGES];
	bool touched = false;
	uintptr_t start;
	uint32_t i;
	size_t j;

	if (rte_vhost_get_mem_table(vid, &memory) < 0)
		return false;
	for (i = 0; i < memory->nregions && !touched; i++) {
		start = (uintptr_t)memory->regions[i].mmap_addr + memory->regions[i].mmap_size;
		memset(there, 0, sizeof(there));
		if (mincore((void *)start, MOAT_BYTES, there) < 0)
			continue; /* given back: the VM is about to go */
		for (j = 0; j < MOAT_PAGES; j++)
			touched |= there[j] & 1;
	}
	free(memory);
	return touched;
}

void *
rte_malloc_socket(const char *type, size_t size, unsigned int align, int socket)
{
	static void *(*real)(const char *, size_t, unsigned int, int);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "rte_malloc_socket");
	/* The first one of a message about a ring's size is the list. */
	size += longer_bytes;
	was_longer |= longer_bytes > 0;
	longer_bytes = 0;
	return real(type, size, align, socket);
}

void *
rte_realloc_socket(void *block, size_t size, unsigned int align, int socket)
{
	static void *(*real)(void *, size_t, unsigned int, int);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "rte_realloc_socket");
	return real(block, size + longer_bytes, align, socket);
}
