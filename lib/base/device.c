/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_devargs.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_pci.h>

#include "vmq_base.h"

/*
 * Ports that we have attached. Not DPDK's port ownership (rte_eth_dev_owner_set()):
 * dpdk-proc-info and others see only ports without an owner. Control thread.
 */
static bool taken[RTE_MAX_ETHPORTS];

static int
take_port(uint16_t port_id, const char *name, struct vmq_error *err)
{
	if (taken[port_id])
		return vmq_error_errno(err, EBUSY, "device %s is in use already", name);
	taken[port_id] = true;
	return 0;
}

int
vmq_device_attach(const char *device, uint16_t *port_id, struct vmq_error *err)
{
	struct rte_devargs args = {0};
	uint64_t mark = vmq_log_mark();
	char said[320];
	int ret;

	ret = rte_devargs_parse(&args, device);
	if (ret < 0)
		return vmq_error_errno(err, EINVAL, "device %s: neither a PCI address nor a virtual "
			"device that DPDK has a driver for, such as net_tap0: %s", device,
			vmq_log_since(mark, said, sizeof(said)));
	free(args.data); /* rte_devargs_reset() is experimental in 22.11 */

	/* A PCI device, and one of extra arguments, came with EAL. */
	if (rte_eth_dev_get_port_by_name(args.name, port_id) == 0)
		return take_port(*port_id, args.name, err);

	ret = rte_dev_probe(device);
	if (ret == 0) {
		ret = rte_eth_dev_get_port_by_name(args.name, port_id);
		if (ret < 0) /* it is something else, such as a crypto device */
			rte_eal_hotplug_remove(rte_bus_name(args.bus), args.name);
	}
	if (ret == -1) /* of drivers that know no errno: EPERM would mislead */
		ret = -ENODEV;
	if (ret < 0)
		return vmq_error_errno(err, -ret, "device %s: %s; the driver says: %s", device,
			rte_strerror(-ret), vmq_log_since(mark, said, sizeof(said)));
	return take_port(*port_id, args.name, err);
}

void
vmq_device_detach(uint16_t port_id)
{
	struct rte_eth_dev_info info;
	int ret;

	taken[port_id] = false;
	ret = rte_eth_dev_info_get(port_id, &info);
	if (ret < 0)
		info.device = NULL;
	ret = rte_eth_dev_close(port_id);
	if (ret < 0)
		VMQ_LOG(WARNING, "port %u: close: %s\n", port_id, rte_strerror(-ret));
	if (info.device == NULL)
		return;
	ret = rte_dev_remove(info.device);
	if (ret < 0)
		VMQ_LOG(WARNING, "port %u: detach: %s\n", port_id, rte_strerror(-ret));
}

bool
vmq_device_is_there(const char *device)
{
	/* Of the kernel, for user space; or ones that DPDK works beside. */
	static const char *const drivers[] = {"vfio-pci", "igb_uio", "uio_pci_generic",
		"mlx5_core", "mlx4_core"};
	char name[PCI_PRI_STR_SIZE], link[PATH_MAX], driver[PATH_MAX];
	struct rte_devargs args = {0};
	struct rte_pci_addr address;
	unsigned int i;
	ssize_t n;

	if (rte_devargs_parse(&args, device) < 0)
		return false;
	free(args.data);
	if (rte_pci_addr_parse(args.name, &address) < 0)
		return false;
	rte_pci_device_name(&address, name, sizeof(name));
	snprintf(link, sizeof(link), "/sys/bus/pci/devices/%s/driver", name);
	n = readlink(link, driver, sizeof(driver) - 1);
	if (n < 0)
		return false;
	driver[n] = '\0';
	for (i = 0; i < RTE_DIM(drivers); i++)
		if (strcmp(basename(driver), drivers[i]) == 0)
			return true;
	return false;
}
