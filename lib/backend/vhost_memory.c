/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * Guest memory that is not there: a VM's side can hand over a file that is shorter than
 * it says, or cut it while we use it. An access is a SIGBUS then, to a worker that serves
 * all VMs. Here the lost mapping is replaced by empty memory of ours: the access goes on
 * and hurts nobody, and the VM is cut off at the next look.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_memory.h>

#include "vhost_private.h"

/*
 * What the first touch of a page takes at most: on plain hardware less than 1 us, but in a
 * virtual machine of a virtual machine 14 to 70 us were measured; and 8 KB/us to clear a large
 * one.
 */
#define TOUCH_US 100
#define CLEAR_BYTES_US 8192
#define SMALL_PAGE 4096 /* where pages are larger there are fewer */

static struct sigaction before;
static unsigned int users; /* control */
static _Atomic uint32_t replaced; /* mappings; any thread */
static _Atomic uintptr_t last_start, last_end; /* the last of these */

/* A number in hexadecimal from text; async-signal-safe. Returns behind it. */
static const char *
read_hex(const char *text, uintptr_t *number)
{
	unsigned int digit;

	for (*number = 0;; text++) {
		if (*text >= '0' && *text <= '9')
			digit = (unsigned int)(*text - '0');
		else if (*text >= 'a' && *text <= 'f')
			digit = (unsigned int)(*text - 'a') + 10;
		else
			return text;
		*number = *number * 16 + digit;
	}
}

/*
 * The shared mapping that an address lies in. Only what is safe in a signal handler:
 * lines of /proc/self/maps, "start-end perms ...", byte by byte.
 */
static bool
find_mapping(uintptr_t address, uintptr_t *start, uintptr_t *end)
{
	char line[96], block[4096];
	size_t length = 0;
	bool found = false;
	ssize_t n, i;
	const char *at;
	int fd;

	fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	while (!found && (n = read(fd, block, sizeof(block))) > 0) {
		for (i = 0; i < n && !found; i++) {
			if (block[i] != '\n') {
				if (length < sizeof(line) - 1)
					line[length++] = block[i];
				continue;
			}
			line[length] = '\0';
			length = 0;
			at = read_hex(line, start);
			if (*at != '-')
				continue;
			at = read_hex(at + 1, end);
			/* " rw-s" */
			found = address >= *start && address < *end && at[0] == ' ' &&
				at[4] == 's';
		}
	}
	close(fd);
	return found;
}

static void
on_sigbus(int number, siginfo_t *info, void *context)
{
	const uintptr_t address = (uintptr_t)info->si_addr;
	const int error = errno;
	uintptr_t start, end;

	/* Memory of ours that is lost is no guest's doing. */
	if (info->si_code == BUS_ADRERR && rte_mem_virt2memseg_list(info->si_addr) == NULL &&
		find_mapping(address, &start, &end) &&
		mmap((void *)start, end - start, PROT_READ | PROT_WRITE,
			MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) !=
			MAP_FAILED) {
		atomic_store(&last_start, start);
		atomic_store(&last_end, end);
		atomic_fetch_add(&replaced, 1);
		errno = error;
		return;
	}
	/* As if nobody had asked. */
	if (before.sa_flags & SA_SIGINFO && before.sa_sigaction != NULL) {
		before.sa_sigaction(number, info, context);
		return;
	}
	signal(SIGBUS, SIG_DFL);
}

void
vhost_memory_guard(bool on)
{
	struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_ONSTACK};

	if (on && users++ == 0) {
		sigemptyset(&action.sa_mask);
		sigaction(SIGBUS, &action, &before);
	}
	if (!on && --users == 0)
		sigaction(SIGBUS, &before, NULL);
}

uint32_t
vhost_memory_replaced(void)
{
	return atomic_load(&replaced);
}

bool
vhost_memory_is_lost(int vid)
{
	const uintptr_t start = atomic_load(&last_start), end = atomic_load(&last_end);
	struct rte_vhost_memory *memory;
	bool lost = false;
	uint32_t i;

	if (rte_vhost_get_mem_table(vid, &memory) < 0)
		return false;
	for (i = 0; i < memory->nregions; i++) {
		uintptr_t at = (uintptr_t)memory->regions[i].mmap_addr;

		lost |= at < end && at + memory->regions[i].mmap_size > start;
	}
	free(memory);
	return lost;
}

bool
vhost_memory_is_quick(int vid, uint64_t *type)
{
	struct rte_vhost_memory *memory;
	bool quick = true;
	struct statfs fs;
	uint32_t i;

	if (rte_vhost_get_mem_table(vid, &memory) < 0)
		return false;
	for (i = 0; i < memory->nregions && quick; i++) {
		if (fstatfs(memory->regions[i].fd, &fs) < 0)
			continue;
		*type = (uint64_t)fs.f_type;
		quick = fs.f_type == TMPFS_MAGIC || fs.f_type == HUGETLBFS_MAGIC;
	}
	free(memory);
	return quick;
}

void
vhost_memory_cold(int vid, uint64_t *all, uint64_t *page)
{
	const uint64_t us = rte_get_tsc_hz() / US_PER_S;
	struct rte_vhost_memory *memory;
	uint64_t bytes, cycles;
	struct statfs fs;
	uint32_t i;

	*all = *page = 0;
	if (rte_vhost_get_mem_table(vid, &memory) < 0)
		return;
	for (i = 0; i < memory->nregions; i++) {
		bytes = SMALL_PAGE;
		if (fstatfs(memory->regions[i].fd, &fs) == 0 && fs.f_type == HUGETLBFS_MAGIC &&
			fs.f_bsize > 0)
			bytes = (uint64_t)fs.f_bsize;
		cycles = TOUCH_US * us + bytes * us / CLEAR_BYTES_US;
		*all += memory->regions[i].mmap_size / bytes * cycles;
		*page = RTE_MAX(*page, cycles);
	}
	free(memory);
}
