# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
A VM's side of vhost-user in Python, message by message and descriptor by descriptor, so
that a test can do everything wrong that can be done wrong. It is the client of a vmqd
that makes the socket (mode "server"). Split rings, or packed ones (F_PACKED).

Memory of the guest, physical addresses from 0:
    ring n at n * RING_SPACE: descriptors, available ring, used ring; of a packed ring
        descriptors, the driver's events, the device's events
    buffers from BUFFERS on
"""

import array
import fcntl
import mmap
import os
import select
import socket
import struct
import time

GET_FEATURES, SET_FEATURES, SET_OWNER, RESET_OWNER, SET_MEM_TABLE = 1, 2, 3, 4, 5
SET_LOG_BASE, SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE = 6, 8, 9, 10, 11
SET_VRING_KICK, SET_VRING_CALL, GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES = 12, 13, 15, 16
GET_QUEUE_NUM, SET_VRING_ENABLE, IOTLB_MSG, GET_CONFIG = 17, 18, 22, 24
POSTCOPY_ADVISE, GET_INFLIGHT_FD, SET_INFLIGHT_FD = 28, 31, 32

VERSION = 1
NO_DESCRIPTOR = 1 << 8
NEED_REPLY = 8

F_MRG_RXBUF = 1 << 15
F_INDIRECT = 1 << 28
F_EVENT_IDX = 1 << 29
F_PROTOCOL_FEATURES = 1 << 30
F_VERSION_1 = 1 << 32
F_PACKED = 1 << 34

NEXT, WRITE, INDIRECT = 1, 2, 4
HEADER = 12  # of virtio-net, version 1 or mergeable

RING_SPACE = 1 << 20
BUFFERS = 4 << 20
MEMORY = 16 << 20
# User addresses of the guest's process: any numbers will do.
USER = 0x7F0000000000

TO_GUEST, FROM_GUEST = 0, 1


class Closed(Exception):
    """vmqd has closed the connection."""


def eventfd(flags=0):
    # os.eventfd is there from Python 3.10 on.
    return os.eventfd(0, flags | os.EFD_CLOEXEC)


class Ring:
    """A split ring in the guest's memory."""

    def __init__(self, guest, index, size):
        self.guest, self.index, self.size = guest, index, size
        self.desc = index * RING_SPACE
        self.avail = self.desc + 16 * size
        self.used = (self.avail + 4 + 2 * size + 2 + 4095) & ~4095
        self.next_avail = 0
        self.last_used = 0
        self.call = eventfd(os.EFD_NONBLOCK)
        self.kick = eventfd(os.EFD_NONBLOCK)

    def descriptor(self, number, address, length, flags=0, following=0):
        self.guest.write(self.desc + 16 * number,
                         struct.pack("<QIHH", address, length, flags, following))

    def offer(self, head):
        """Make a chain available, without telling (vmqd polls)."""
        self.guest.write(self.avail + 4 + 2 * (self.next_avail % self.size),
                         struct.pack("<H", head))
        self.next_avail = (self.next_avail + 1) & 0xFFFF
        self.set_index(self.next_avail)

    def set_index(self, index):
        self.guest.write(self.avail, struct.pack("<HH", 1, index & 0xFFFF))  # no interrupts

    def quiet(self):
        self.set_index(self.next_avail)

    def want_calls(self):
        self.guest.write(self.avail, struct.pack("<H", 0))

    def base(self):
        return self.next_avail

    def has_room(self):
        return (self.next_avail - self.last_used) & 0xFFFF < self.size

    def wants_kick(self):
        """Does vmqd want to be told of what is offered?"""
        return not self.guest.read(self.used, 1)[0] & 1

    def used_index(self):
        return struct.unpack("<H", self.guest.read(self.used + 2, 2))[0]

    def take_used(self):
        """[(head, length)] of what vmqd has used since the last time."""
        index = self.used_index()
        out = []
        while self.last_used != index:
            at = self.used + 4 + 8 * (self.last_used % self.size)
            out.append(struct.unpack("<II", self.guest.read(at, 8)))
            self.last_used = (self.last_used + 1) & 0xFFFF
        return out

    def close(self):
        os.close(self.call)
        os.close(self.kick)


class PackedRing(Ring):
    """
    A packed ring: one table for both sides, flags say whose a descriptor is. Offered are
    descriptors in the order of the table, each a buffer or the part of a chain.
    """

    AVAILABLE, USED = 1 << 7, 1 << 15

    def __init__(self, guest, index, size):
        super().__init__(guest, index, size)
        self.wrap = self.used_wrap = True
        self.flags = [0] * size

    def base(self):
        return self.next_avail | self.wrap << 15

    def write_flags(self, number, wrap, used):
        bits = (self.AVAILABLE if wrap else 0) | (self.USED if used else 0)
        self.guest.write(self.desc + 16 * number + 14,
                         struct.pack("<H", self.flags[number] | bits))

    def descriptor(self, number, address, length, flags=0, following=0):
        """Not offered yet. Which one follows is the table's order: that is not said."""
        self.flags[number] = flags
        self.write_flags(number, not self.wrap, not self.wrap)
        self.guest.write(self.desc + 16 * number, struct.pack("<QIH", address, length, number))

    def offer(self, head):
        head %= self.size
        self.write_flags(head, self.wrap, not self.wrap)
        self.next_avail += 1
        if self.next_avail == self.size:
            self.next_avail, self.wrap = 0, not self.wrap

    def quiet(self):
        self.guest.write(self.avail, struct.pack("<HH", 0, 1))  # no interrupts

    def want_calls(self):
        self.guest.write(self.avail, struct.pack("<HH", 0, 0))

    def wants_kick(self):
        return self.guest.read(self.used + 2, 1)[0] & 3 != 1

    def has_room(self):
        return self.next_avail != self.last_used or self.wrap == self.used_wrap

    def take_used(self):
        out = []
        while True:
            _, length, number, flags = struct.unpack(
                "<QIHH", self.guest.read(self.desc + 16 * self.last_used, 16))
            if not bool(flags & self.AVAILABLE) == bool(flags & self.USED) == self.used_wrap:
                return out
            out.append((number, length))
            self.last_used += 1
            if self.last_used == self.size:
                self.last_used, self.used_wrap = 0, not self.used_wrap


class Guest:
    """A context manager: connection, memory and rings are gone at its end."""

    def __init__(self, path, size=256, features=F_VERSION_1 | F_MRG_RXBUF, memory=MEMORY,
                 seconds=20):
        self.path, self.size, self.memory = path, size, memory
        self.features = features | F_PROTOCOL_FEATURES
        self.socket = None
        self.rings = []
        self.fd = os.memfd_create("guest", os.MFD_CLOEXEC)
        os.ftruncate(self.fd, memory)
        self.map = mmap.mmap(self.fd, memory)
        self.seconds = seconds

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.disconnect()
        for ring in self.rings:
            ring.close()
        self.map.close()
        os.close(self.fd)

    def write(self, address, data):
        self.map[address:address + len(data)] = data

    def read(self, address, length):
        return self.map[address:address + length]

    # messages

    def connect(self):
        """Connect; vmqd may not have made its socket yet."""
        end = time.monotonic() + self.seconds
        while True:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.settimeout(self.seconds)
            try:
                self.socket.connect(str(self.path))
                return self
            except (FileNotFoundError, ConnectionRefusedError):
                self.socket.close()
                assert time.monotonic() < end, f"{self.path}: nobody listens"
                time.sleep(0.05)

    def disconnect(self):
        if self.socket is not None:
            self.socket.close()
        self.socket = None

    def send(self, request, payload=b"", fds=(), flags=0, size=None):
        """size: what the header says, if not the payload's."""
        message = struct.pack("<III", request, VERSION | flags,
                              len(payload) if size is None else size) + payload
        try:
            self.socket.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                             array.array("i", fds))] if fds else [])
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed from error

    def receive(self):
        """(request, payload) of a reply."""
        def exactly(count):
            data = b""
            while len(data) < count:
                try:
                    part = self.socket.recv(count - len(data))
                except ConnectionResetError as error:
                    raise Closed from error
                if not part:
                    raise Closed
                data += part
            return data
        request, _, size = struct.unpack("<III", exactly(12))
        return request, exactly(size)

    def ask(self, request, payload=b""):
        self.send(request, payload)
        got, data = self.receive()
        assert got == request
        return data

    def wait_closed(self, seconds=20):
        """Wait until vmqd ends the connection."""
        self.socket.settimeout(seconds)
        try:
            while True:
                self.receive()
        except Closed:
            self.disconnect()

    # the ordinary way up

    def negotiate(self):
        offered, = struct.unpack("<Q", self.ask(GET_FEATURES))
        assert offered & self.features == self.features, hex(offered)
        self.send(SET_OWNER)
        self.send(SET_FEATURES, struct.pack("<Q", self.features))
        self.send(GET_PROTOCOL_FEATURES)
        _, data = self.receive()
        self.protocol_features, = struct.unpack("<Q", data)
        self.send(SET_PROTOCOL_FEATURES, struct.pack("<Q", 0))
        return offered

    def region(self, guest=0, size=None, user=USER, offset=0):
        return struct.pack("<QQQQ", guest, self.memory if size is None else size, user, offset)

    def set_memory(self, regions=None, fds=None, count=None, flags=0):
        regions = [self.region()] if regions is None else regions
        fds = [self.fd] * len(regions) if fds is None else fds
        self.send(SET_MEM_TABLE, struct.pack(
            "<II", len(regions) if count is None else count, 0) + b"".join(regions), fds, flags)

    def set_number(self, index, number):
        self.send(SET_VRING_NUM, struct.pack("<II", index, number))

    def set_base(self, index, base):
        self.send(SET_VRING_BASE, struct.pack("<II", index, base))

    def set_addresses(self, index, desc, used, avail, flags=0):
        self.send(SET_VRING_ADDR, struct.pack("<IIQQQQ", index, flags, USER + desc, USER + used,
                                              USER + avail, 0))

    def start_ring(self, ring, number=True, addresses=True, base=None, kick=True):
        if number:
            self.set_number(ring.index, ring.size)
        self.set_base(ring.index, ring.base() if base is None else base)
        if addresses:
            self.set_addresses(ring.index, ring.desc, ring.used, ring.avail)
        if kick:
            self.send(SET_VRING_KICK, struct.pack("<Q", ring.index), [ring.kick])
        else:
            self.send(SET_VRING_KICK, struct.pack("<Q", ring.index | NO_DESCRIPTOR))
        self.send(SET_VRING_CALL, struct.pack("<Q", ring.index), [ring.call])
        self.enable(ring.index, 1)

    def enable(self, index, on):
        self.send(SET_VRING_ENABLE, struct.pack("<II", index, on))

    def up(self, pairs=1):
        """Connect, and start the rings as an honest driver does."""
        self.connect()
        self.negotiate()
        self.set_memory()
        self.make_rings(pairs)
        for ring in self.rings:
            self.start_ring(ring)
        self.sync()
        return self

    def make_rings(self, pairs=1):
        for ring in self.rings:
            ring.close()
        kind = PackedRing if self.features & F_PACKED else Ring
        self.rings = [kind(self, index, self.size) for index in range(2 * pairs)]
        for ring in self.rings:
            self.write(ring.desc, bytes(ring.used + 4 + 8 * ring.size + 2 - ring.desc))
            ring.quiet()

    def sync(self):
        """Wait until vmqd has acted on all that was sent."""
        self.ask(GET_FEATURES)

    # packets

    def buffer(self, number, length=2048):
        return BUFFERS + number * length

    def offer_all(self, ring=TO_GUEST, length=2048):
        """Offer every descriptor of a ring as a buffer to receive into."""
        ring = self.rings[ring]
        for number in range(ring.size):
            ring.descriptor(number, self.buffer(number, length), length, WRITE)
            ring.offer(number)

    def receive_frames(self, length=2048):
        """Frames that have come, each in one buffer; the buffers are offered again."""
        ring = self.rings[TO_GUEST]
        out = []
        for head, used in ring.take_used():
            out.append(self.read(self.buffer(head, length) + HEADER, used - HEADER))
            ring.offer(head)
        return out

    def receive_merged(self, length=2048):
        """The same for frames over several buffers (VIRTIO_NET_F_MRG_RXBUF)."""
        ring = self.rings[TO_GUEST]
        out, left = [], 0
        for head, used in ring.take_used():
            data = self.read(self.buffer(head, length), used)
            if left == 0:
                left, = struct.unpack("<H", data[HEADER - 2:HEADER])
                out.append(data[HEADER:])
            else:
                out[-1] += data
            left -= 1
            ring.offer(head)
        return out

    def send_frame(self, frame, length=2048):
        """Offer one frame; False: the ring is full. Its buffers lie behind those to receive."""
        ring = self.rings[FROM_GUEST]
        ring.take_used()
        if not ring.has_room():
            return False
        number = ring.next_avail % ring.size
        address = self.buffer(self.rings[TO_GUEST].size + number, length)
        self.write(address, bytes(HEADER) + frame)
        ring.descriptor(number, address, HEADER + len(frame))
        ring.offer(number)
        return True


def set_blocking(fd):
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    fcntl.fcntl(fd, fcntl.F_SETFL, flags & ~os.O_NONBLOCK)


def is_readable(fd, seconds):
    return bool(select.select([fd], [], [], seconds)[0])
