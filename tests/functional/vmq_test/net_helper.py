#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
The two ends of UDP streams over kernel sockets, and what else lives in the kernel's
network: a tagger for kernels without VLAN interfaces, the holder of a tap. Each is
run as a program inside a namespace:

    net_helper.py send RATE COUNT ADDRESS...  COUNT datagrams in turn to the addresses
    net_helper.py receive COUNT SECONDS       prints a JSON object about what came
    net_helper.py tag TAP VLAN INTERFACE      frames that the kernel sends on TAP go
                                              out on INTERFACE with a tag
    net_helper.py frames INTERFACE HEX        sends a frame again and again until it is ended
    net_helper.py vlan TAP VLAN INTERFACE     the same in both directions: TAP is a VLAN
                                              interface of INTERFACE
    net_helper.py hold TAP                    keeps a tap busy, as a hypervisor does
"""

import fcntl
import json
import os
import select
import socket
import struct
import sys
import time

PORT = 7000
SO_RCVBUFFORCE = 33
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x2, 0x1000
ETH_P_ALL = 0x0003
SOL_PACKET, PACKET_AUXDATA, PACKET_OUTGOING = 263, 8, 4
TP_STATUS_VLAN_VALID = 0x10


def send(rate, count, addresses):
    """Each datagram: number of the stream, sequence number in the stream."""
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    begin = time.monotonic()
    sequence = [0] * len(addresses)
    for number in range(count):
        stream = number % len(addresses)
        data = struct.pack(">II", stream, sequence[stream]).ljust(100, b"v")
        out.sendto(data, (addresses[stream], PORT))
        sequence[stream] += 1
        if number % 16 == 15:
            ahead = begin + number / rate - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
    print(json.dumps({"sent": sequence}))


def receive(count, seconds):
    """Ends when count datagrams are here and a moment passes without one more."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
    sock.bind(("", PORT))
    print("ready", flush=True)
    streams, in_order, received = {}, True, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sock.settimeout(1 if received >= count else max(end - time.monotonic(), 0.01))
        try:
            data = sock.recv(2048)
        except TimeoutError:
            if received >= count:
                break
            continue
        stream, sequence = struct.unpack(">II", data[:8])
        expected = streams.setdefault(str(stream), 0)
        in_order = in_order and sequence == expected and len(data) == 100
        streams[str(stream)] = sequence + 1
        received += 1
    print(json.dumps({"received": received, "in_order": in_order, "streams": streams}))


def open_tap(name):
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return tun


def hold(tap):
    tun = open_tap(tap)
    print("ready", flush=True)
    while True:
        os.read(tun, 65536)


def tag(tap, vlan, interface):
    """What a VLAN subinterface does, where the kernel was built without them."""
    tun = open_tap(tap)
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    out.bind((interface, 0))
    head = struct.pack(">HH", 0x8100, vlan)
    print("ready", flush=True)
    while True:
        frame = os.read(tun, 65536)
        out.send(frame[:12] + head + frame[12:])


def frames(interface, frame):
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    out.bind((interface, 0))
    while True:
        for _ in range(16):
            try:
                out.send(frame)
            except OSError:
                break  # no room in the interface's queue
        time.sleep(0.001)


def untag(packets, vlan):
    """
    The next frame that came with this VLAN, without its tag, or None. The kernel tells
    the tag beside the frame (struct tpacket_auxdata).
    """
    frame, messages, _, address = packets.recvmsg(65536, socket.CMSG_SPACE(20))
    if address[2] == PACKET_OUTGOING:
        return None
    for level, kind, data in messages:
        if level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, _, _, _, _, tci, _ = struct.unpack("IIIHHHH", data[:20])
            if status & TP_STATUS_VLAN_VALID:
                return frame if tci & 0xFFF == vlan else None
    if frame[12:14] == b"\x81\x00" and int.from_bytes(frame[14:16], "big") & 0xFFF == vlan:
        return frame[:12] + frame[16:]
    return None


def vlan_interface(tap, vlan, interface):
    tun = open_tap(tap)
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    packets.bind((interface, ETH_P_ALL))
    packets.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
    packets.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    head = struct.pack(">HH", 0x8100, vlan)
    print("ready", flush=True)
    while True:
        ready = select.select([tun, packets], [], [])[0]
        if tun in ready:
            frame = os.read(tun, 65536)
            packets.send(frame[:12] + head + frame[12:])
        if packets in ready:
            frame = untag(packets, vlan)
            if frame is not None:
                os.write(tun, frame)


def main():
    command, words = sys.argv[1], sys.argv[2:]
    if command == "send":
        send(int(words[0]), int(words[1]), words[2:])
    elif command == "receive":
        receive(int(words[0]), float(words[1]))
    elif command == "tag":
        tag(words[0], int(words[1]), words[2])
    elif command == "frames":
        frames(words[0], bytes.fromhex(words[1]))
    elif command == "vlan":
        vlan_interface(words[0], int(words[1]), words[2])
    elif command == "hold":
        hold(words[0])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
