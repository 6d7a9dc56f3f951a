# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""pcapng files, read without a library, so that every byte is checked."""

import struct

SECTION, INTERFACE, STATISTICS, PACKET = 0x0A0D0D0A, 1, 5, 6


def options(data):
    """{code: [value, ...]} of the options of a block."""
    found = {}
    at = 0
    while at < len(data):
        code, length = struct.unpack_from("<HH", data, at)
        if code == 0:
            assert length == 0
            break
        found.setdefault(code, []).append(data[at + 4:at + 4 + length])
        at += 4 + -(-length // 4) * 4
    return found


class Capture:
    """frames, lengths on the wire, stamps_ns, comments; and what the last block counts."""

    def __init__(self, path):
        with open(path, "rb") as file:
            data = file.read()
        self.frames, self.lengths, self.stamps_ns, self.comments = [], [], [], []
        self.interface = self.resolution = self.received = self.dropped = None
        at = 0
        while at < len(data):
            kind, total = struct.unpack_from("<II", data, at)
            assert total % 4 == 0 and total >= 12 and at + total <= len(data), (
                f"{path}: ends inside a block at {at}")
            assert struct.unpack_from("<I", data, at + total - 4)[0] == total
            self.block(kind, data[at + 8:at + total - 4])
            at += total

    def block(self, kind, body):
        if kind == SECTION:
            magic, major, _, length = struct.unpack_from("<IHHq", body)
            assert magic == 0x1A2B3C4D and major == 1 and length == -1
        elif kind == INTERFACE:
            linktype, _, self.snaplen = struct.unpack_from("<HHI", body)
            assert linktype == 1
            known = options(body[8:])
            self.interface = known[2][0].decode() if 2 in known else None
            self.resolution = known[9][0][0] if 9 in known else 6
        elif kind == PACKET:
            interface, high, low, kept, length = struct.unpack_from("<IIIII", body)
            assert kept <= length
            self.frames.append(body[20:20 + kept])
            self.lengths.append(length)
            self.stamps_ns.append(high << 32 | low)
            known = options(body[20 + -(-kept // 4) * 4:])
            self.comments.append(known[1][0].decode() if 1 in known else None)
        elif kind == STATISTICS:
            known = options(body[12:])
            self.received = struct.unpack("<Q", known[4][0])[0] if 4 in known else None
            self.dropped = struct.unpack("<Q", known[5][0])[0] if 5 in known else None
