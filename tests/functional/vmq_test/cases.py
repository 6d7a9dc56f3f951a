# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""Random filter sets, and frames that try to get past them."""

import os
import random

from oracle import DEFAULT, Filter, Oracle, Queue

BROADCAST = b"\xff" * 6
HEADROOM = 128
# Bytes that a segment carries; a queue may have other buffers than its adapter.
BUFFER_SIZES = (256, 1024, 2048, 4096)


def seeds(fixed):
    """The seeds to run by name: VMQ_SEED alone if it is set, else the fixed ones and a new one."""
    if "VMQ_SEED" in os.environ:
        return {"given": int(os.environ["VMQ_SEED"], 0)}
    return {**fixed, "new": random.SystemRandom().randrange(1, 2**32)}


def mac_text(mac):
    return mac.hex(":")


def near_miss(rng, mac):
    """The same MAC but for one bit; never a multicast one by accident."""
    bit = rng.choice([bit for bit in range(48) if bit != 40])
    return (int.from_bytes(mac, "big") ^ (1 << bit)).to_bytes(6, "big")


def tag(rng, tpid, vlan_id, priority=None):
    if priority is None:
        priority = rng.choice((0, 0, rng.randrange(8)))
    dei = rng.choice((0, 0, 0, 1))
    return tpid.to_bytes(2, "big") + (priority << 13 | dei << 12 | vlan_id).to_bytes(2, "big")


def frame(rng, macs, vlans):
    """One frame: mostly for the MACs and VLANs at hand, at times for nobody."""
    kind = rng.random()
    if kind < 0.70:
        destination = rng.choice(macs)
    elif kind < 0.82:
        destination = near_miss(rng, rng.choice(macs))
    elif kind < 0.88:
        destination = BROADCAST
    elif kind < 0.90:
        destination = bytes(6)
    elif kind < 0.94:
        destination = bytes([rng.randrange(256) | 1]) + rng.randbytes(5)
    else:
        destination = bytes([rng.randrange(256) & 0xFE]) + rng.randbytes(5)

    def vlan_id():
        return rng.choice(vlans) if rng.random() < 0.8 else rng.choice((0, 1, 4094, 4095))

    kind = rng.random()
    if kind < 0.25:
        tags = b""
    elif kind < 0.60:
        tags = tag(rng, 0x8100, vlan_id())
    elif kind < 0.66:
        tags = tag(rng, 0x8100, 0, 0)
    elif kind < 0.72:
        tags = tag(rng, 0x8100, 0, rng.randrange(1, 8))
    elif kind < 0.80:
        tags = tag(rng, 0x88A8, vlan_id())
    elif kind < 0.88:
        tags = tag(rng, 0x88A8, vlan_id()) + tag(rng, 0x8100, vlan_id())
    elif kind < 0.94:
        tags = tag(rng, 0x8100, vlan_id()) + tag(rng, 0x8100, vlan_id())
    elif kind < 0.97:
        tags = tag(rng, 0x9100, vlan_id())  # an old TPID, not one of ours
    else:
        tags = tag(rng, 0x8100, 0) + tag(rng, 0x8100, vlan_id())
    ethertype = rng.choice((b"\x08\x00", b"\x86\xdd", b"\x08\x06", b"\x00\x2e"))
    head = destination + b"\x02" + rng.randbytes(5) + tags + ethertype

    kind = rng.random()
    if kind < 0.08:  # a runt: any length down to one byte, also one that ends in the tag
        return (head + rng.randbytes(8))[:rng.randrange(1, 25)]
    if kind < 0.50:
        length = rng.randrange(60, 129)
    elif kind < 0.80:
        length = rng.randrange(60, 1523)
    elif kind < 0.95:  # around the edge of a buffer
        length = rng.choice((256, 1024, 2048)) + rng.randrange(-6, 7)
    else:
        length = rng.choice((2048 + HEADROOM, 4096, 8996, 9018)) + rng.randrange(-4, 5)
    return head + rng.randbytes(max(length - len(head), 0))


class Case:
    """An adapter's queues, what it receives, and what each queue must deliver."""

    def __init__(self, seed, n_frames):
        self.seed = seed
        rng = random.Random(seed)
        macs = []
        for _ in range(rng.randrange(2, 9)):
            new = bytes([0x52, 0x54, 0]) + rng.randbytes(3)
            macs.append(near_miss(rng, rng.choice(macs)) if macs and rng.random() < 0.4 else new)
        macs = [mac for mac in dict.fromkeys(macs) if any(mac) and not mac[0] & 1]
        vlans = rng.sample((1, 2, 3, 10, 100, 256, 1000, 2048, 4093, 4094), rng.randrange(1, 5))

        tests = [Filter(mac, vlan) for mac in macs for vlan in (*vlans, "untagged", "any")]
        tests += [Filter(None, vlan) for vlan in vlans]
        tests = rng.sample(tests, rng.randrange(1, min(len(tests), 24) + 1))
        self.queues = [Queue(f"q{number}", keep_tags=rng.random() < 0.3)
                       for number in range(rng.randrange(1, 7))]
        default = Queue(DEFAULT, keep_tags=rng.random() < 0.3)
        for test in tests:
            # Now and then the default queue pulls frames out of a wider match.
            chosen = default if rng.random() < 0.1 else rng.choice(self.queues)
            chosen.filters.append(test)
        self.queues.append(default)
        self.buffer_sizes = {queue.name: rng.choice(BUFFER_SIZES) for queue in self.queues}
        self.buffer_sizes[DEFAULT] = rng.choice((2048, 2048, 4096))

        self.frames = [frame(rng, macs, vlans) for _ in range(n_frames)]
        self.expected = Oracle(self.queues).expect(self.frames)

    def buffers(self, name):
        """Enough that nothing must be dropped even if nothing were written before the end."""
        size = self.buffer_sizes[name]
        frames = self.frames if name == DEFAULT else self.expected[name]
        need = sum(1 + len(one) // size for one in frames)
        return max(64, need + 64)


def filters_json(filters):
    """Filters as the document has them; a VLAN is left out where its default says the same."""
    result = []
    for one in filters:
        entry = {"vlan": one.vlan}
        if one.mac is not None:
            entry["mac"] = mac_text(one.mac)
        result.append(entry)
    return result
