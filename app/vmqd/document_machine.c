/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_memory.h>

#include "document_private.h"

/* Formats a path under root. Returns false if it is too long. */
static bool
sysfs_path(char path[PATH_MAX], const char *root, const char *format, va_list ap)
{
	int length = snprintf(path, PATH_MAX, "%s", root);

	if (length < 0 || length >= PATH_MAX)
		return false;
	length += vsnprintf(path + length, PATH_MAX - (size_t)length, format, ap);
	return length < PATH_MAX;
}

bool
doc_sysfs_exists(const char *root, const char *format, ...)
{
	char path[PATH_MAX];
	va_list ap;
	bool ok;

	va_start(ap, format);
	ok = sysfs_path(path, root, format, ap);
	va_end(ap);
	return ok && access(path, F_OK) == 0;
}

bool
doc_sysfs_number(uint64_t *value, const char *root, const char *format, ...)
{
	char path[PATH_MAX], text[64];
	va_list ap;
	FILE *in;
	bool ok;

	va_start(ap, format);
	ok = sysfs_path(path, root, format, ap);
	va_end(ap);
	if (!ok)
		return false;
	in = fopen(path, "r");
	if (in == NULL)
		return false;
	ok = fgets(text, sizeof(text), in) != NULL;
	fclose(in);
	/* Base 0: ids of PCI devices are hexadecimal. */
	return ok && sscanf(text, "%" SCNi64, (int64_t *)value) == 1;
}

static void
check_cpu(const char *root, const cpu_set_t *allowed, struct doc_findings *findings,
	const struct doc_path *at, int cpu)
{
	char hint[160], list[96];

	if (cpu < 0)
		return;
	snprintf(hint, sizeof(hint), "CPUs that this process may use: %s",
		doc_cpus_text(allowed, list, sizeof(list)));
	/* What EAL looks for. */
	if (!doc_sysfs_exists(root, "/sys/devices/system/cpu/cpu%d/topology/core_id", cpu))
		doc_finding_add(findings, at, hint,
			"CPU %d does not exist on this machine, or is offline", cpu);
	else if (!CPU_ISSET(cpu, allowed))
		doc_finding_add(findings, at, hint, "this process is not allowed to use CPU %d", cpu);
}

static void
check_cpus(const struct document *doc, const char *root, const cpu_set_t *allowed,
	struct doc_findings *findings)
{
	const struct doc_path eal = {NULL, "eal", 0};
	size_t i;

	check_cpu(root, allowed, findings, DOC_KEY(&eal, "main_core"), doc->eal.main_core);
	for (i = 0; i < doc->eal.n_workers; i++)
		check_cpu(root, allowed, findings, DOC_INDEX(DOC_KEY(&eal, "workers"), i),
			doc->eal.workers[i]);
}

static bool
node_exists(const char *root, int node)
{
	/* A kernel without NUMA has one node and no folder. */
	if (!doc_sysfs_exists(root, "/sys/devices/system/node"))
		return node == 0;
	return doc_sysfs_exists(root, "/sys/devices/system/node/node%d", node);
}

static void
check_nodes(const struct document *doc, const char *root, struct doc_findings *findings)
{
	const struct doc_queue *queue;
	struct doc_place place;
	char hint[160] = "";
	unsigned int nodes = 0;
	int length, node;
	size_t i;

	length = snprintf(hint, sizeof(hint), "write \"any\", or a node of this machine:");
	for (node = 0; node <= DOC_NODE_MAX; node++) {
		if (!node_exists(root, node))
			continue;
		nodes++;
		length += snprintf(hint + length, sizeof(hint) - (size_t)length, " %d", node);
	}
	for (i = 0; i < doc_total_queues(doc); i++) {
		queue = doc_any_queue(doc, i, &place);
		node = queue->memory.node;
		if (node == SOCKET_ID_ANY)
			continue;
		if (!node_exists(root, node))
			doc_finding_add(findings, DOC_KEY(DOC_KEY(place.at, "memory"), "node"), hint,
				"this machine has no NUMA node %d", node);
		else if (!doc->eal.hugepages && nodes > 1)
			doc_finding_add(findings, DOC_KEY(DOC_KEY(place.at, "memory"), "node"),
				"write \"any\", or set eal.hugepages to true",
				"without hugepages EAL cannot choose the NUMA node of memory");
	}
}

/* The driver that a PCI device is bound to, "" for none. */
static void
pci_driver(const char *root, const char *address, char driver[NAME_MAX + 1])
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t length;
	int ret;

	driver[0] = '\0';
	ret = snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/driver", root, address);
	if (ret < 0 || (size_t)ret >= sizeof(path))
		return;
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return;
	target[length] = '\0';
	snprintf(driver, NAME_MAX + 1, "%s", basename(target));
}

#define PCI_VENDOR_MELLANOX 0x15b3

/* who: what it is the device of, for the message. */
static void
check_device(const char *root, struct doc_findings *findings, const struct doc_path *at,
	const char *device, const char *who)
{
	static const char *const good[] = {"vfio-pci", "uio_pci_generic", "igb_uio"};
	char address[DOC_DEVICE_NAME_SIZE], driver[NAME_MAX + 1], hint[128];
	uint64_t vendor = 0;
	size_t i;

	if (device == NULL || !doc_device_is_pci(device))
		return;
	doc_device_name(device, address);
	if (!doc_sysfs_exists(root, "/sys/bus/pci/devices/%s", address)) {
		doc_finding_add(findings, at, "dpdk-devbind.py --status-dev net",
			"%s: there is no PCI device %s on this machine", who, address);
		return;
	}
	pci_driver(root, address, driver);
	for (i = 0; i < RTE_DIM(good); i++) {
		if (strcmp(driver, good[i]) == 0)
			return;
	}
	/* The mlx4 and mlx5 drivers of DPDK work beside that of the kernel. */
	if (strncmp(driver, "mlx", 3) == 0)
		return;
	if (doc_sysfs_number(&vendor, root, "/sys/bus/pci/devices/%s/vendor", address) &&
		vendor == PCI_VENDOR_MELLANOX)
		snprintf(hint, sizeof(hint),
			"bind it to its kernel driver: dpdk-devbind.py -b mlx5_core %s", address);
	else
		snprintf(hint, sizeof(hint), "dpdk-devbind.py -b vfio-pci %s", address);
	if (driver[0] == '\0')
		doc_finding_add(findings, at, hint, "%s: PCI device %s has no driver", who, address);
	else
		doc_finding_add(findings, at, hint,
			"%s: PCI device %s is bound to driver %s, so DPDK cannot use it", who,
			address, driver);
}

static void
check_devices(const struct document *doc, const char *root, struct doc_findings *findings)
{
	const struct doc_path adapters = {NULL, "adapters", 0};
	const struct doc_queue *queue;
	char who[DOC_QUOTE_SIZE + 16], quoted[DOC_QUOTE_SIZE];
	struct doc_place place;
	const char *name;
	size_t i;

	for (i = 0; i < doc->n_adapters; i++) {
		name = doc->adapters[i].name;
		snprintf(who, sizeof(who), "adapter %s", doc_quote(quoted, name != NULL ? name : ""));
		check_device(root, findings, DOC_KEY(DOC_INDEX(&adapters, i), "device"),
			doc->adapters[i].device, who);
	}
	for (i = 0; i < doc_total_queues(doc); i++) {
		queue = doc_any_queue(doc, i, &place);
		name = queue->name;
		snprintf(who, sizeof(who), "queue %s", doc_quote(quoted, name != NULL ? name : ""));
		check_device(root, findings, DOC_KEY(DOC_KEY(place.at, "backend"), "device"),
			queue->backend.device, who);
	}
}

static void
check_file(struct doc_findings *findings, const struct doc_path *at, const char *file)
{
	char copy[PATH_MAX], quoted[DOC_QUOTE_SIZE];
	struct stat st;

	if (stat(file, &st) == 0 && S_ISDIR(st.st_mode)) {
		doc_finding_add(findings, at, "the path of the capture file", "%s is a folder",
			doc_quote(quoted, file));
		return;
	}
	snprintf(copy, sizeof(copy), "%s", file);
	if (access(dirname(copy), W_OK | X_OK) != 0)
		doc_finding_add(findings, at, "a folder that exists and that vmqd may write to",
			"%s cannot be made: %s", doc_quote(quoted, file), strerror(errno));
}

static void
check_files(const struct document *doc, struct doc_findings *findings)
{
	const struct doc_queue *queue;
	struct doc_place place;
	size_t i;

	for (i = 0; i < doc_total_queues(doc); i++) {
		queue = doc_any_queue(doc, i, &place);
		if (queue->backend.file != NULL)
			check_file(findings, DOC_KEY(DOC_KEY(place.at, "backend"), "file"),
				queue->backend.file);
	}
}

void
doc_check_machine_at(const struct document *doc, const char *root, const cpu_set_t *allowed,
	struct doc_findings *findings)
{
	check_cpus(doc, root, allowed, findings);
	check_nodes(doc, root, findings);
	check_devices(doc, root, findings);
	check_files(doc, findings);
}

void
doc_check_machine(const struct document *doc, bool memory, struct doc_findings *findings)
{
	cpu_set_t allowed;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		doc_finding_add(findings, NULL, NULL,
			"the CPUs that this process may use cannot be found out: %s",
			strerror(errno));
	else
		doc_check_machine_at(doc, "", &allowed, findings);
	if (memory)
		doc_check_memory_at(doc, "", findings);
}

int
document_check_machine(const struct document *doc, struct doc_findings *findings)
{
	size_t before = findings->count + findings->dropped;

	doc_check_machine(doc, true, findings);
	return findings->count + findings->dropped == before ? 0 : -ENOSPC;
}
