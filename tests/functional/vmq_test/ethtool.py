#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
Turn an interface's offloads off: `ethtool -K INTERFACE tx off tso off gso off gro off`
without the package. A veth that leaves checksums to its peer would send frames with
unfinished ones, which no NIC ever delivers.
"""

import ctypes
import fcntl
import socket
import struct
import sys

SIOCETHTOOL = 0x8946
SET = {"tx": 0x17, "sg": 0x19, "tso": 0x1F, "gso": 0x24, "gro": 0x2C}


def offloads_off(interface):
    # struct ethtool_value behind the pointer of a struct ifreq
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for name, command in SET.items():
            value = ctypes.create_string_buffer(struct.pack("II", command, 0))
            request = struct.pack("16sP16x", interface.encode(), ctypes.addressof(value))
            try:
                fcntl.ioctl(sock, SIOCETHTOOL, request)
            except OSError as error:
                sys.exit(f"{interface}: {name} off: {error.strerror}")


if __name__ == "__main__":
    offloads_off(sys.argv[1])
