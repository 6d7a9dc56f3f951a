#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
#
# Eight VMs, each with its own queue, without a NIC, hugepages or rights:
#
#	usertools/quickstart.sh [--seconds N]
#
# Installs the packages that are missing (root, or sudo), builds in build/, makes
# its traffic there, and runs vmqd on config/quickstart.json: N seconds, or until
# Ctrl-C. VM n has MAC 52:54:00:00:00:0n and VLAN n; there is traffic for a ninth VM
# that nobody has, which goes to the default queue.

set -eu

usage() {
	echo "usage: $0 [--seconds N]" >&2
	exit 2
}

seconds=
while [ $# -gt 0 ]; do
	case $1 in
	--seconds)
		[ $# -ge 2 ] || usage
		seconds=$2
		shift 2
		;;
	--seconds=*)
		seconds=${1#*=}
		shift
		;;
	-h | --help)
		sed -n '4,/^$/s/^# \{0,1\}//p' "$0"
		exit 0
		;;
	*) usage ;;
	esac
done
case $seconds in
*[!0-9]* | 0*)
	echo "$0: --seconds: a whole number from 1 on, not \"$seconds\"" >&2
	exit 2
	;;
esac

# The document names its files relative to here: device arguments know no quotes,
# so the checkout's own path, with a comma or a space in it, must not be in them.
cd "$(dirname "$0")/.."

tests/install.sh build

log=build/quickstart.log
mkdir -p build
echo "building in build/ (log: $log)"
if ! {
	[ -e build/build.ninja ] || meson setup build
	meson compile -C build vmqd
} > "$log" 2>&1; then
	tail -n 30 "$log" >&2
	echo "$0: the build failed; the whole log is in $log" >&2
	exit 1
fi
usertools/make-traffic --vms 8 --others 1 --packets 64 build/quickstart.pcap

exec build/app/vmqd/vmqd -c config/quickstart.json ${seconds:+--seconds "$seconds"}
