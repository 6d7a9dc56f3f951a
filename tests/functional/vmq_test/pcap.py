# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""Capture files, read and written without a library, so that every byte is checked."""

import struct

MAGIC_US = 0xA1B2C3D4
MAGIC_NS = 0xA1B23C4D
ETHERNET = 1
SNAPLEN = 262144


def write(path, frames):
    """Write frames, microsecond stamps, one a second: the sender's time means nothing."""
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", MAGIC_US, 2, 4, 0, 0, SNAPLEN, ETHERNET))
        for second, frame in enumerate(frames):
            out.write(struct.pack("<IIII", second, 0, len(frame), len(frame)) + frame)


class Capture:
    """A capture file: frames, their time stamps in nanoseconds, and its header."""

    def __init__(self, path):
        with open(path, "rb") as file:
            data = file.read()
        assert len(data) >= 24, f"{path}: {len(data)} bytes are not a capture file"
        order = "<" if data[0] in (0xD4, 0x4D) else ">"
        (self.magic, self.major, self.minor, _, _, self.snaplen,
         self.linktype) = struct.unpack(order + "IHHiIII", data[:24])
        assert self.magic in (MAGIC_US, MAGIC_NS), f"{path}: magic {self.magic:#x}"
        unit_ns = 1 if self.magic == MAGIC_NS else 1000
        self.frames = []
        self.stamps_ns = []
        at = 24
        while at < len(data):
            assert at + 16 <= len(data), f"{path}: ends inside a packet header"
            second, part, kept, length = struct.unpack(order + "IIII", data[at:at + 16])
            at += 16
            assert kept == length, f"{path}: packet {len(self.frames)} cut from {length} to {kept}"
            assert at + kept <= len(data), f"{path}: ends inside packet {len(self.frames)}"
            self.frames.append(data[at:at + kept])
            self.stamps_ns.append(second * 10**9 + part * unit_ns)
            at += kept
