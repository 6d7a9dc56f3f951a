# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
vmqd on a real driver of DPDK: an emulated Intel 82576 behind an IOMMU, bound to vfio-pci
inside a guest. A frame is a datagram on this machine's loopback.
"""

import random
import time

import pytest

from oracle import DEFAULT, Filter, Oracle, Queue
from vmq_guest import machine
from vmq_guest.daemon import GuestVmqd
from vmq_test import cases, pcap


@pytest.fixture
def nic(nic_image, tmp_path):
    """(guest with the NIC bound to vfio-pci, the wire of the NIC)"""
    wire = machine.Wire()
    with machine.Machine(tmp_path / "guest", nic_image, machine.igb(wire), cpus=2, memory=1024,
                         words=["intel_iommu=on", "no_timer_check"], hugepages=128,
                         machine=machine.IGB_MACHINE) as guest:
        guest.ready()
        machine.bind_vfio(guest)
        yield guest, wire
    wire.close()


def send(wire, daemon, frames, adapter=0, window=64):
    """Send frames, never more than a window ahead of what the NIC has received."""
    before = daemon.last()["adapters"][adapter]["nic"]["received"]
    for begin in range(0, len(frames), window):
        part = frames[begin:begin + window]
        for frame in part:
            wire.send(frame)
        wanted = before + begin + len(part)
        daemon.wait(lambda now: now["adapters"][adapter]["nic"]["received"] >= wanted,
                    f"{wanted} frames are received")


def test_frames_of_a_bound_nic_reach_their_queues_byte_for_byte(nic):
    guest, wire = nic
    rng = random.Random(0x82576)
    macs = [bytes.fromhex(f"5254000000{number:02x}") for number in range(1, 5)]
    queues = [Queue("q0", [Filter(macs[0], 1)]), Queue("q1", [Filter(macs[0], 2)]),
              Queue("q2", [Filter(macs[1], "untagged")]), Queue("q3", [Filter(macs[2], "any")]),
              Queue("q4", [Filter(macs[3], 1), Filter(macs[3], 2)], keep_tags=True),
              Queue(DEFAULT)]
    # The wire of a real NIC has no runts and no giants.
    frames = [frame for frame in (cases.frame(rng, macs, [1, 2, 3]) for _ in range(3000))
              if 60 <= len(frame) <= 1514]
    expected = Oracle(queues).expect(frames)

    def backend(name):
        return {"type": "pcap", "file": f"/tmp/{name}.pcap"}

    doc = {"eal": {"main_core": 0, "workers": [1], "hugepages": True, "in_memory": True},
           "adapters": [{"name": "nic", "device": machine.IGB_ADDRESS,
                         "default_queue": {"memory": {"buffers": 8192},
                                           "backend": backend(DEFAULT)}}],
           "queues": [{"name": queue.name, "vm": queue.name, "keep_tags": queue.keep_tags,
                       "filters": cases.filters_json(queue.filters),
                       "memory": {"buffers": 2048}, "backend": backend(queue.name)}
                      for queue in queues if queue.name != DEFAULT]}
    daemon = GuestVmqd(guest, doc)
    daemon.wait(lambda now: True, "vmqd has started")
    # The link of the emulated NIC comes up some time after the port has started.
    time.sleep(1)
    send(wire, daemon, frames)
    final = daemon.stop()
    assert final["adapters"][0]["nic"]["received"] == len(frames)
    assert final["total"]["dropped"] == 0, final
    guest.run("cp /tmp/*.pcap /host")
    for name, wanted in expected.items():
        got = pcap.Capture(guest.folder / f"{name}.pcap").frames
        assert got == wanted, f"queue {name}: {len(wanted)} frames expected, {len(got)} came"
    guest.power_off()
