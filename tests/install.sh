#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
#
# Install the Debian 12 or 13 packages of one or more purposes; does nothing, and
# needs no rights, when they are all there.
#
#	tests/install.sh build|test|ci|bench ...

set -eu

build="gcc libc6-dev meson ninja-build pkgconf libdpdk-dev libjansson-dev libevent-dev \
	libbsd-dev libpcap-dev python3"
test="libcmocka-dev python3-pytest python3-scapy python3-jsonschema python3-pyelftools \
	iproute2 iputils-ping tcpdump util-linux dpdk dpdk-dev python3-matplotlib prometheus man-db \
	mandoc systemd libvirt-clients libxml2-utils"
ci="clang libclang-rt-dev"
bench="dpdk-dev python3-matplotlib openvswitch-switch-dpdk"

wanted=
for purpose; do
	case $purpose in
	build) wanted="$wanted $build" ;;
	test) wanted="$wanted $test" ;;
	ci) wanted="$wanted $ci" ;;
	bench) wanted="$wanted $bench" ;;
	*)
		echo "usage: $0 build|test|ci|bench ..." >&2
		exit 2
		;;
	esac
done

if ! command -v dpkg-query > /dev/null; then
	echo "$0: not a Debian system, nothing installed; Debian's names of what is needed:" \
		$wanted >&2
	exit 0
fi

missing=
for package in $wanted; do
	status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null || true)
	# Multiarch packages may answer once for each architecture.
	case $status in
	installed*) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo > /dev/null; then
		echo "$0: packages are missing and this user can not install them; as root:" >&2
		echo "	apt-get install$missing" >&2
		exit 1
	fi
	as_root=sudo
fi

echo "installing:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -q >&2
$as_root env DEBIAN_FRONTEND=noninteractive \
	apt-get install -q -y --no-install-recommends $missing >&2
