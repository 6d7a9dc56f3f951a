/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_memory.h>

#include "document_private.h"

#define MIB (UINT64_C(1) << 20)
#define KIB UINT64_C(1024)

#define MACHINE_PAGES "/sys/kernel/mm/hugepages"

/* A number of /proc/meminfo, in bytes; 0: not there. */
static uint64_t
meminfo(const char *root, const char *key)
{
	char path[PATH_MAX], line[256];
	uint64_t kib, bytes = 0;
	FILE *in;
	int ret;

	ret = snprintf(path, sizeof(path), "%s/proc/meminfo", root);
	if (ret < 0 || (size_t)ret >= sizeof(path))
		return 0;
	in = fopen(path, "r");
	if (in == NULL)
		return 0;
	while (fgets(line, sizeof(line), in) != NULL) {
		if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':' &&
			sscanf(line + strlen(key) + 1, "%" SCNu64, &kib) == 1)
			bytes = kib * KIB;
	}
	fclose(in);
	return bytes;
}

/* Pages of one size that EAL would find free; it counts them in the same way. */
static uint64_t
free_pages(const char *root, const char *folder, const char *name)
{
	uint64_t pages = 0, reserved = 0, over = 0, surplus = 0;

	if (!doc_sysfs_number(&pages, root, "%s/%s/free_hugepages", folder, name))
		return 0;
	/* These are there for the machine only, not for its nodes. */
	(void)doc_sysfs_number(&reserved, root, "%s/%s/resv_hugepages", folder, name);
	(void)doc_sysfs_number(&over, root, "%s/%s/nr_overcommit_hugepages", folder, name);
	(void)doc_sysfs_number(&surplus, root, "%s/%s/surplus_hugepages", folder, name);
	pages -= RTE_MIN(pages, reserved);
	/* A node has surplus_hugepages, but nothing they could be taken from. */
	return pages + (over - RTE_MIN(over, surplus));
}

/* Free hugepages of all sizes in bytes. */
static uint64_t
free_bytes(const char *root, const char *folder)
{
	uint64_t bytes = 0, kib;
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;
	int ret;

	ret = snprintf(path, sizeof(path), "%s%s", root, folder);
	if (ret < 0 || (size_t)ret >= sizeof(path))
		return 0;
	dir = opendir(path);
	if (dir == NULL)
		return 0;
	while ((entry = readdir(dir)) != NULL) {
		if (sscanf(entry->d_name, "hugepages-%" SCNu64 "kB", &kib) == 1)
			bytes += free_pages(root, folder, entry->d_name) * kib * KIB;
	}
	closedir(dir);
	return bytes;
}

/* The command that makes the missing pages, of the kernel's default size. */
static void
mend(const char *root, const char *folder, uint64_t missing, char *out, size_t size)
{
	uint64_t page = meminfo(root, "Hugepagesize"), pages = 0;
	char name[64];

	if (page == 0) {
		snprintf(out, size, "this kernel has no hugepages: set eal.hugepages to false");
		return;
	}
	snprintf(name, sizeof(name), "hugepages-%" PRIu64 "kB", page / KIB);
	(void)doc_sysfs_number(&pages, root, "%s/%s/nr_hugepages", folder, name);
	pages += (missing + page - 1) / page;
	if (strcmp(folder, MACHINE_PAGES) == 0)
		snprintf(out, size,
			"echo %" PRIu64 " > /proc/sys/vm/nr_hugepages, or set eal.hugepages to false",
			pages);
	else
		snprintf(out, size, "echo %" PRIu64 " > %s/%s/nr_hugepages", pages, folder, name);
}

static void
check_node(const struct document *doc, const char *root, struct doc_findings *findings, int node)
{
	uint64_t needed = doc_queues_bytes(doc, node), there;
	char folder[64], hint[256];
	char *sum;

	/* A node that does not exist has been reported already. */
	if (needed == 0 || !doc_sysfs_exists(root, "/sys/devices/system/node/node%d", node))
		return;
	snprintf(folder, sizeof(folder), "/sys/devices/system/node/node%d/hugepages", node);
	there = free_bytes(root, folder);
	if (needed <= there)
		return;
	mend(root, folder, needed - there, hint, sizeof(hint));
	sum = doc_memory_arithmetic(doc, node);
	doc_finding_add(findings, NULL, hint,
		"NUMA node %d has %" PRIu64 " MiB of free hugepages, and the queues on it need "
		"%.1f MiB: %s", node, there / MIB, (double)needed / MIB, sum != NULL ? sum : "");
	free(sum);
}

static void
check_hugepages(const struct document *doc, const char *root, struct doc_findings *findings)
{
	/* What is asked for is taken at the start, even where less would do. */
	uint64_t needed = RTE_MAX(doc_needed_bytes(doc), doc->eal.memory_mb * MIB);
	uint64_t there = free_bytes(root, MACHINE_PAGES);
	char hint[256];
	char *sum;
	int node;

	if (needed > there) {
		mend(root, MACHINE_PAGES, needed - there, hint, sizeof(hint));
		sum = doc_memory_arithmetic(doc, SOCKET_ID_ANY);
		doc_finding_add(findings, NULL, hint,
			"%" PRIu64 " MiB of free hugepages are less than the %" PRIu64 " MiB that "
			"%s: %s", there / MIB, (needed + MIB - 1) / MIB,
			needed > doc_needed_bytes(doc) ? "eal.memory_mb asks for"
						       : "the document needs",
			sum != NULL ? sum : "");
		free(sum);
	}
	for (node = 0; node <= DOC_NODE_MAX; node++)
		check_node(doc, root, findings, node);
}

/* Files of hugepages need a place; in memory they do without. */
static void
check_mount(const char *root, struct doc_findings *findings)
{
	const struct doc_path eal = {NULL, "eal", 0};
	char path[PATH_MAX], line[1024], type[64];
	bool found = false;
	FILE *in;
	int ret;

	ret = snprintf(path, sizeof(path), "%s/proc/mounts", root);
	if (ret < 0 || (size_t)ret >= sizeof(path))
		return;
	in = fopen(path, "r");
	while (in != NULL && fgets(line, sizeof(line), in) != NULL)
		found |= sscanf(line, "%*s %*s %63s", type) == 1 && strcmp(type, "hugetlbfs") == 0;
	if (in != NULL)
		fclose(in);
	if (!found)
		doc_finding_add(findings, DOC_KEY(&eal, "in_memory"),
			"mount -t hugetlbfs none /dev/hugepages, or set eal.in_memory to true",
			"in_memory false needs a hugetlbfs, and none is mounted");
}

void
doc_check_memory_at(const struct document *doc, const char *root, struct doc_findings *findings)
{
	uint64_t needed = doc_needed_bytes(doc), there;
	char *sum;

	if (doc->eal.hugepages) {
		check_hugepages(doc, root, findings);
		if (!doc->eal.in_memory)
			check_mount(root, findings);
		return;
	}
	there = meminfo(root, "MemAvailable");
	if (needed <= there)
		return;
	sum = doc_memory_arithmetic(doc, SOCKET_ID_ANY);
	doc_finding_add(findings, NULL, "give the queues fewer or smaller buffers",
		"%" PRIu64 " MiB of available memory are less than the %" PRIu64 " MiB that the "
		"document needs: %s", there / MIB, (needed + MIB - 1) / MIB,
		sum != NULL ? sum : "");
	free(sum);
}
