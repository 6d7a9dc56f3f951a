/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_pci.h>
#include <rte_pdump.h>

#include "eal.h"

#define MAIN_LCORE 0

/* argv for EAL; it keeps the strings, so they are freed at the very end. */
static struct {
	char **argv;
	int argc;
	char **own; /* EAL permutes argv: the strings to free, in their own order */
} args;

static bool
add(const char *format, ...)
{
	char **argv = realloc(args.argv, (args.argc + 2) * sizeof(*argv));
	char **own = realloc(args.own, (args.argc + 2) * sizeof(*own));
	char *text = NULL;
	va_list ap;

	if (argv != NULL)
		args.argv = argv;
	if (own != NULL)
		args.own = own;
	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	if (argv == NULL || own == NULL || text == NULL) {
		free(text);
		return false;
	}
	args.own[args.argc] = text;
	args.argv[args.argc++] = text;
	args.argv[args.argc] = NULL;
	return true;
}

unsigned int
eal_worker_lcore(size_t worker)
{
	return MAIN_LCORE + 1 + (unsigned int)worker;
}

/*
 * lcore ids are places in the document, so that two threads may share a CPU:
 * "0@3,1@4,2@5".
 */
static bool
add_lcores(const struct doc_eal *eal)
{
	size_t size = 16 * (eal->n_workers + 2), used, i;
	char *map = malloc(size);
	bool ok;

	if (map == NULL)
		return false;
	used = snprintf(map, size, "%d@%d", MAIN_LCORE, eal->main_core);
	for (i = 0; i < eal->n_workers; i++)
		used += snprintf(map + used, size - used, ",%u@%d", eal_worker_lcore(i),
			eal->workers[i]);
	ok = add("--lcores=%s", map) && add("--main-lcore=%d", MAIN_LCORE);
	free(map);
	return ok;
}

/* PCI devices must be named when EAL starts: it would take all of them otherwise. */
static bool
add_pci(const struct document *doc)
{
	char name[RTE_DEV_NAME_MAX_LEN];
	struct rte_pci_addr address;
	bool any = false;
	size_t i;

	for (i = 0; i < doc->n_adapters; i++) {
		const char *device = doc->adapters[i].device;

		snprintf(name, sizeof(name), "%.*s", (int)strcspn(device, ","), device);
		if (rte_pci_addr_parse(name, &address) < 0)
			continue;
		any = true;
		if (!add("-a") || !add("%s", device))
			return false;
	}
	return any || add("--no-pci");
}

static bool
make_args(const struct document *doc)
{
	const struct doc_eal *eal = &doc->eal;
	uint32_t memory_mb = eal->memory_mb != 0 ? eal->memory_mb : document_memory_mb(doc);
	size_t i;
	bool ok;

	ok = add("vmqd") && add_lcores(eal) && add_pci(doc);
	if (eal->file_prefix != NULL)
		ok = ok && add("--file-prefix=%s", eal->file_prefix);
	else
		ok = ok && add("--file-prefix=vmqd-%d", (int)getpid());
	/* Without hugepages all memory is taken at the start; with them, as it is needed. */
	if (!eal->hugepages)
		ok = ok && add("--no-huge") && add("-m") && add("%u", memory_mb);
	else if (eal->memory_mb != 0)
		ok = ok && add("-m") && add("%u", memory_mb);
	if (eal->in_memory)
		ok = ok && add("--in-memory");
	for (i = 0; i < eal->n_extra_args; i++)
		ok = ok && add("%s", eal->extra_args[i]);
	return ok;
}

/*
 * EAL prints what is fatal to standard error itself, before it says why in its log:
 * keep that for the one error text. Returns the real standard error, or -1.
 */
static int
hold_stderr(int *held)
{
	int real = -1;

	*held = memfd_create("vmqd-stderr", MFD_CLOEXEC);
	if (*held < 0)
		return -1;
	fflush(stderr);
	real = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	if (real >= 0)
		dup2(*held, STDERR_FILENO);
	return real;
}

static void
release_stderr(int real, int held, char *text, size_t size)
{
	ssize_t got = 0;

	if (real >= 0) {
		fflush(stderr);
		dup2(real, STDERR_FILENO);
		close(real);
		got = pread(held, text, size - 1, 0);
	}
	if (held >= 0)
		close(held);
	text[got > 0 ? got : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
}

/*
 * dpdk-dumpcap and dpdk-pdump are processes beside this one that see its ports. They need
 * its memory, which only hugepages with files let them have.
 */
static bool
can_pdump(const struct document *doc)
{
	return doc->eal.hugepages && !doc->eal.in_memory;
}

static void
open_pdump(const struct document *doc)
{
	if (can_pdump(doc) && rte_pdump_init() < 0)
		VMQ_LOG(WARNING, "dpdk-dumpcap and dpdk-pdump cannot capture here: %s\n",
			rte_strerror(rte_errno));
}

int
eal_start(const struct document *doc, bool verbose, struct vmq_error *err)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	uint64_t mark = vmq_log_mark();
	char logged[256], printed[128];
	int real = -1, held = -1, ret;

	/* EAL gives up on a runtime folder that it cannot write; without one it uses /tmp. */
	if (runtime != NULL && access(runtime, W_OK) < 0)
		unsetenv("XDG_RUNTIME_DIR");
	if (!make_args(doc))
		return vmq_error_errno(err, ENOMEM, "no memory for EAL's arguments");
	if (!verbose)
		real = hold_stderr(&held);
	ret = rte_eal_init(args.argc, args.argv);
	release_stderr(real, held, printed, sizeof(printed));
	if (ret >= 0) {
		open_pdump(doc);
		return 0;
	}
	vmq_log_since(mark, logged, sizeof(logged));
	return vmq_error_errno(err, rte_errno != 0 ? rte_errno : EIO,
		"DPDK does not start: %s%s%s", printed, printed[0] != '\0' && logged[0] != '\0'
		? "; " : "", logged[0] == '\0' && printed[0] == '\0' ? rte_strerror(rte_errno)
		: logged);
}

/* Remove the files that EAL leaves in a folder which only this run has used. */
static void
remove_runtime_dir(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	rmdir(path);
}

void
eal_stop(const struct document *doc)
{
	char *runtime = strdup(rte_eal_get_runtime_dir());
	int ret;

	if (can_pdump(doc))
		rte_pdump_uninit();
	ret = rte_eal_cleanup();
	if (ret < 0)
		VMQ_LOG(WARNING, "EAL: cleanup: %s\n", rte_strerror(-ret));
	/* With a prefix of the user's choice a secondary process may be using it. */
	if (runtime != NULL && doc->eal.file_prefix == NULL)
		remove_runtime_dir(runtime);
	free(runtime);
	while (args.argc > 0)
		free(args.own[--args.argc]);
	free(args.own);
	free(args.argv);
	args.own = NULL;
	args.argv = NULL;
}
