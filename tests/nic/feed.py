# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""Frames for the emulated 82576, and what its vmqd must make of them."""

import itertools
import re
import threading
import time
from dataclasses import dataclass

from vmq_guest import machine
from vmq_test import cases

PLACE = {"LD_PRELOAD": "/usr/lib/vmq/place.so", "VMQ_PLACE_FILE": "/tmp/place"}
BROADCAST = cases.BROADCAST

# Frames on the way at once. QEMU takes them from a UDP socket whose buffer (net.core's
# rmem_default, 208 KiB) holds some 90 frames of full length; more are lost there while
# the guest has no CPU, and nobody counts them.
WINDOW = 48


def by_mac(frames):
    found = {}
    for frame in frames:
        found.setdefault(frame[:6], []).append(frame)
    return found


def fits_the_wire(frame):
    """
    A real wire has no runts and no giants. And the emulated NIC knows no pool that takes
    all multicast (VMOLR.MPME of the data sheet): of multicast only broadcast gets through.
    """
    if not 60 <= len(frame) <= 1514:
        return False
    return not frame[0] & 1 or frame[:6] == BROADCAST


def send(wire, daemon, frames, count=lambda now: now["total"]["received"], window=WINDOW):
    """
    Send frames, never more than a window ahead of those that are accounted for.

    @param count  how many are, in an object of the statistics
    """
    before = count(wait_link(daemon))
    for begin in range(0, len(frames), window):
        part = frames[begin:begin + window]
        for frame in part:
            wire.send(frame)
        wanted = before + begin + len(part)
        now = daemon.wait(lambda now: count(now) >= wanted, f"{wanted} frames are counted")
        assert count(now) == wanted, daemon.explain(f"{count(now)} frames, {wanted} were sent")


def wait_link(daemon, seconds=60):
    """The link comes up some time after the port's start; what is sent before is lost."""
    return daemon.wait(lambda now: now["adapters"][0]["link"]["up"], "the link is up", seconds)


def numbered(mac, number, vlan=None):
    """A frame that says how many for its MAC came before it."""
    tag = b"" if vlan is None else b"\x81\x00" + vlan.to_bytes(2, "big")
    return mac + b"\x02" + bytes(5) + tag + b"\x88\xb5" + number.to_bytes(4, "big") + bytes(46)


def number_of(frame):
    return int.from_bytes(frame[14:18], "big")


class Stream(threading.Thread):
    """
    Numbered frames for some MACs in turn, window by window, until the end of the context.
    It alone reads the daemon's statistics meanwhile; others ask by the control socket.
    """

    def __init__(self, wire, daemon, macs):
        super().__init__(daemon=True)
        self.wire = wire
        self.vmqd = daemon
        self.macs = tuple(macs)
        self.sent = dict.fromkeys(self.macs, 0)
        self.rounds = 0
        self.stopping = False
        self.failure = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        self.stopping = True
        self.join()
        if kind is None:
            self.check()

    def check(self):
        if self.failure is not None:
            raise self.failure

    def run(self):
        try:
            self._run()
        except BaseException as failure:  # pylint: disable=broad-except
            self.failure = failure

    def _run(self):
        def count(now):
            return now["adapters"][0]["nic"]["received"]

        wanted = count(wait_link(self.vmqd))
        while not self.stopping:
            for mac in itertools.islice(itertools.cycle(self.macs), WINDOW):
                self.wire.send(numbered(mac, self.sent[mac]))
                self.sent[mac] += 1
            wanted += WINDOW
            self.vmqd.wait(lambda now: count(now) >= wanted, f"{wanted} frames are received")
            self.rounds += 1

    def go_on(self, rounds=3):
        """Let so much pass, with what is on the way now received."""
        wanted = self.rounds + rounds
        while self.rounds < wanted:
            self.check()
            assert self.is_alive()
            time.sleep(0.01)

    def use(self, macs):
        """Send to these MACs from now on; what was sent to others is received."""
        macs = tuple(macs)
        for mac in macs:
            self.sent.setdefault(mac, 0)
        self.macs = macs
        self.go_on(2)


def document(queues, default, steering="vmdq", **adapter):
    """A document for the guest's NIC."""
    return {"eal": {"main_core": 0, "workers": [1], "hugepages": True, "in_memory": True},
            "control": {"socket": "/run/vmqd.sock"},
            "adapters": [{"name": "nic", "device": machine.IGB_ADDRESS, "steering": steering,
                          "rx_descriptors": 512, "default_queue": default, **adapter}],
            "queues": queues}


def pcap_to(name):
    return {"type": "pcap", "file": f"/tmp/{name}.pcap"}


@dataclass
class Place:
    """Where a packet lay, and the beginning of its frame: see tests/guest/place.c."""
    port: int
    rx_queue: int
    pool: str
    length: int
    head: bytes

    @property
    def mac(self):
        return self.head[:6]


def places(guest):
    """What place.so has seen, in order; when vmqd has ended."""
    guest.run("cp /tmp/place /host/place")
    found = []
    for line in (guest.folder / "place").read_text(encoding="ascii").splitlines():
        match = re.fullmatch(r"(\d+) (\d+) (\S+) (\d+) ([0-9a-f]*)", line)
        assert match, f"a line of place.so: {line}"
        found.append(Place(int(match[1]), int(match[2]), match[3], int(match[4]),
                           bytes.fromhex(match[5])))
    return found
