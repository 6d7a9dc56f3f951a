/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <rte_common.h>

#include "document_private.h"

/*
 * Arguments of drivers that end in a buffer of the kernel. The drivers cut what is
 * too long, or fail with a message that does not say why.
 */
static const struct {
	const char *driver; /* what the device's name begins with */
	const char *key;
	size_t max; /* bytes without NUL */
	const char *what;
} limits[] = {
	{"net_memif", "socket", DOC_SOCKET_PATH_MAX, "a Unix socket's path"},
	{"net_vhost", "iface", DOC_SOCKET_PATH_MAX, "a Unix socket's path"},
	{"eth_vhost", "iface", DOC_SOCKET_PATH_MAX, "a Unix socket's path"},
	{"net_virtio_user", "path", DOC_SOCKET_PATH_MAX, "a Unix socket's path"},
	{"virtio_user", "path", DOC_SOCKET_PATH_MAX, "a Unix socket's path"},
	{"net_tap", "iface", IFNAMSIZ - 1, "a network interface's name"},
	{"net_tap", "remote", IFNAMSIZ - 1, "a network interface's name"},
	{"net_tun", "iface", IFNAMSIZ - 1, "a network interface's name"},
	{"net_af_packet", "iface", IFNAMSIZ - 1, "a network interface's name"},
	{"eth_af_packet", "iface", IFNAMSIZ - 1, "a network interface's name"},
	{"net_af_xdp", "iface", IFNAMSIZ - 1, "a network interface's name"},
};

static bool
begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static const char *
skip_bus(const char *device)
{
	if (begins(device, "pci:"))
		return device + strlen("pci:");
	if (begins(device, "vdev:"))
		return device + strlen("vdev:");
	return device;
}

struct pci {
	unsigned int domain, bus, device, function;
};

/* [domain:]bus:device.function, then the end or a comma. */
static bool
is_pci(const char *text, struct pci *pci)
{
	size_t length = strcspn(text, ",");
	char form[32], copy[32];

	if (length >= sizeof(copy) || strspn(text, "0123456789abcdefABCDEF:.") != length)
		return false;
	snprintf(copy, sizeof(copy), "%.*s", (int)length, text);
	*pci = (struct pci){0};
	if (sscanf(copy, "%8x:%2x:%2x.%1x", &pci->domain, &pci->bus, &pci->device,
		    &pci->function) != 4) {
		pci->domain = 0;
		if (sscanf(copy, "%2x:%2x.%1x", &pci->bus, &pci->device, &pci->function) != 3)
			return false;
	}
	/* sscanf() takes a number without its end: write it again, and compare. */
	if (pci->device > 0x1f || pci->function > 7)
		return false;
	snprintf(form, sizeof(form), "%04x:%02x:%02x.%x", pci->domain, pci->bus, pci->device,
		pci->function);
	return strcasecmp(form, copy) == 0 || strcasecmp(form + strlen("0000:"), copy) == 0;
}

bool
doc_device_is_pci(const char *device)
{
	struct pci pci;

	return is_pci(skip_bus(device), &pci);
}

void
doc_device_name(const char *device, char name[DOC_DEVICE_NAME_SIZE])
{
	const char *text = skip_bus(device);
	struct pci pci;

	if (is_pci(text, &pci))
		snprintf(name, DOC_DEVICE_NAME_SIZE, "%04x:%02x:%02x.%x", pci.domain, pci.bus,
			pci.device, pci.function);
	else
		snprintf(name, DOC_DEVICE_NAME_SIZE, "%.*s", (int)strcspn(text, ","), text);
}

/* Value of "key=value" in the arguments after the name, NULL if it is not there. */
static const char *
argument(const char *device, const char *key, size_t *length)
{
	const char *p = device;

	while ((p = strchr(p, ',')) != NULL) {
		p++;
		if (begins(p, key) && p[strlen(key)] == '=') {
			p += strlen(key) + 1;
			*length = strcspn(p, ",");
			return p;
		}
	}
	return NULL;
}

/* An abstract name begins with a NUL in the same buffer, and memif's default is abstract. */
static bool
memif_is_abstract(const char *device)
{
	const char *value;
	size_t length;

	value = argument(device, "socket-abstract", &length);
	return value == NULL || memmem(value, length, "yes", strlen("yes")) != NULL;
}

static void
check_arguments(struct doc_reader *r, const struct doc_path *at, const char *device)
{
	const char *text = skip_bus(device), *value;
	size_t i, length, max;
	char hint[64];

	for (i = 0; i < RTE_DIM(limits); i++) {
		if (!begins(text, limits[i].driver))
			continue;
		value = argument(text, limits[i].key, &length);
		if (value == NULL)
			continue;
		max = limits[i].max;
		if (strcmp(limits[i].driver, "net_memif") == 0 && memif_is_abstract(text))
			max--;
		if (length == 0) {
			doc_finding_add(r->findings, at, NULL, "\"%s=\" has no value",
				limits[i].key);
		} else if (length > max) {
			snprintf(hint, sizeof(hint), "at most %zu bytes", max);
			doc_finding_add(r->findings, at, hint,
				"the value of \"%s=\" is %zu bytes long, too long for %s",
				limits[i].key, length, limits[i].what);
		}
	}
}

static void
check_device(struct doc_reader *r, const struct doc_path *at, const char *device)
{
	const char *text = skip_bus(device);
	char quoted[DOC_QUOTE_SIZE], hint[64];
	size_t length = strcspn(text, ",");

	if (length == 0) {
		doc_finding_add(r->findings, at, DOC_DEVICE_EXPECT, "has no device name before the comma");
		return;
	}
	if (length >= DOC_DEVICE_NAME_SIZE) {
		snprintf(hint, sizeof(hint), "at most %d bytes", DOC_DEVICE_NAME_SIZE - 1);
		doc_finding_add(r->findings, at, hint, "the device's name is %zu bytes long", length);
		return;
	}
	if (strcspn(text, " ") < length) {
		doc_finding_add(r->findings, at, DOC_DEVICE_EXPECT, "the device's name has a blank in it");
		return;
	}
	/* Digits, colons and dots only: somebody has meant an address. */
	if (strspn(text, "0123456789abcdefABCDEF:.") == length &&
		strcspn(text, ":.") < length && !doc_device_is_pci(device)) {
		doc_finding_add(r->findings, at, DOC_DEVICE_EXPECT, "%s is not a PCI address",
			doc_quote(quoted, device));
		return;
	}
	check_arguments(r, at, device);
}

void
doc_decode_device(struct doc_reader *r, const struct doc_path *at, json_t *value,
	const struct doc_field *field, void *out)
{
	size_t before = r->findings->count + r->findings->dropped;
	char **device = out;

	doc_decode_text(r, at, value, field, device);
	if (*device == NULL)
		return;
	check_device(r, at, *device);
	if (r->findings->count + r->findings->dropped != before) {
		free(*device);
		*device = NULL;
	}
}
