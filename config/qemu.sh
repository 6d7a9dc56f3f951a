#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
#
# A VM whose network is a queue of vmqd, for example of config/qemu.json:
#
#	config/qemu.sh SOCKET MAC MEGABYTES [more words for QEMU, such as a disk]
#	config/qemu.sh /var/lib/vmq/web 52:54:00:00:00:01 1024 -hda web.qcow2
#
# vmqd reaches into the memory of the VM: it has to be shared. QEMU makes the socket and
# waits for vmqd before it starts the VM; later either may go and come back.

set -eu

if [ $# -lt 3 ]; then
	sed -n '/^#\t/s/^#\t/usage: /p' "$0" | head -n 1 >&2
	exit 2
fi
socket=$1 mac=$2 megabytes=$3
shift 3
exec qemu-system-x86_64 -M q35 -m "$megabytes" \
	-object "memory-backend-memfd,id=mem,size=${megabytes}M,share=on" \
	-numa node,memdev=mem \
	-chardev "socket,id=vmq,path=$socket,server=on,wait=off" \
	-netdev vhost-user,id=net,chardev=vmq \
	-device "virtio-net-pci,netdev=net,mac=$mac" "$@"
