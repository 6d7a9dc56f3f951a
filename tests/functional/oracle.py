# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
Which queue gets a frame, and with which bytes: section 3 ("Filters") of the
specification, in Python. Nothing here is shared with the daemon.

- The VLAN of a frame is its outermost tag, TPID 0x8100 or 0x88a8.
- A filter tests MAC and VLAN id; or MAC and "untagged or VLAN 0"; or the MAC
  alone, with any VLAN; or the VLAN id alone.
- Where several match, the more specific one wins, in the order just named.
- A frame that nothing claims goes to the default queue as it came.
- From a frame that is claimed the outermost tag is removed, unless its queue
  keeps tags.
- A frame without a whole Ethernet header cannot be tested. One that ends inside
  its tag has a MAC but no VLAN, so only a filter of the MAC alone can claim it,
  and there is no whole tag to remove.
"""

from dataclasses import dataclass, field
from typing import Optional, Union

DEFAULT = "default"
TPIDS = (b"\x81\x00", b"\x88\xa8")


@dataclass(frozen=True)
class Filter:
    mac: Optional[bytes]
    vlan: Union[int, str]  # 1 to 4094, "untagged" or "any"


@dataclass
class Queue:
    name: str
    filters: list = field(default_factory=list)
    keep_tags: bool = False


def specificity(a_filter):
    """The smaller, the more specific."""
    if a_filter.mac is None:
        return 3
    return {"untagged": 1, "any": 2}.get(a_filter.vlan, 0)


def matches(a_filter, frame):
    if len(frame) < 14:
        return False
    if a_filter.mac is not None and frame[0:6] != a_filter.mac:
        return False
    if a_filter.vlan == "any":
        return True
    if frame[12:14] not in TPIDS:
        return a_filter.vlan == "untagged"
    if len(frame) < 18:
        return False
    vlan_id = int.from_bytes(frame[14:16], "big") & 0xFFF
    if a_filter.vlan == "untagged":
        return vlan_id == 0
    return a_filter.vlan == vlan_id


class Oracle:
    """The queues of one adapter; the default queue is among them if it has filters."""

    def __init__(self, queues):
        self.names = [queue.name for queue in queues]
        # By MAC only so that thousands of filters take seconds, not minutes.
        self.by_mac = {}
        for queue in queues:
            for a_filter in queue.filters:
                self.by_mac.setdefault(a_filter.mac, []).append((a_filter, queue))

    def classify(self, frame):
        """Return the queue that claims the frame, or None."""
        candidates = self.by_mac.get(frame[0:6], []) + self.by_mac.get(None, [])
        claims = [(a_filter, queue) for a_filter, queue in candidates if matches(a_filter, frame)]
        if not claims:
            return None
        return min(claims, key=lambda claim: specificity(claim[0]))[1]

    def deliver(self, frame):
        """Return (name of the queue, the bytes that its VM shall see)."""
        queue = self.classify(frame)
        if queue is None:
            return DEFAULT, frame
        tagged = len(frame) >= 18 and frame[12:14] in TPIDS
        if tagged and not queue.keep_tags:
            frame = frame[:12] + frame[16:]
        return queue.name, frame

    def expect(self, frames):
        """Return {name of queue: [frames in order]} with an entry for every queue."""
        expected = {name: [] for name in self.names}
        expected.setdefault(DEFAULT, [])
        for frame in frames:
            name, delivered = self.deliver(frame)
            expected[name].append(delivered)
        return expected
