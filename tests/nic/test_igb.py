# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
vmqd on a real driver of DPDK: an emulated Intel 82576 behind an IOMMU, bound to vfio-pci
inside a guest. A frame is a datagram on this machine's loopback.
"""

import random

import feed
from oracle import DEFAULT, Filter, Oracle, Queue
from vmq_guest.daemon import GuestVmqd
from vmq_test import cases, pcap


def test_frames_of_a_bound_nic_reach_their_queues_byte_for_byte(nic):
    guest, wire = nic
    rng = random.Random(0x82576)
    macs = [bytes.fromhex(f"5254000000{number:02x}") for number in range(1, 5)]
    queues = [Queue("q0", [Filter(macs[0], 1)]), Queue("q1", [Filter(macs[0], 2)]),
              Queue("q2", [Filter(macs[1], "untagged")]), Queue("q3", [Filter(macs[2], "any")]),
              Queue("q4", [Filter(macs[3], 1), Filter(macs[3], 2)], keep_tags=True),
              Queue(DEFAULT)]
    frames = [frame for frame in (cases.frame(rng, macs, [1, 2, 3]) for _ in range(3000))
              if 60 <= len(frame) <= 1514]
    doc = feed.document(
        [{"name": queue.name, "vm": queue.name, "keep_tags": queue.keep_tags,
          "filters": cases.filters_json(queue.filters), "memory": {"buffers": 2048},
          "backend": feed.pcap_to(queue.name)} for queue in queues if queue.name != DEFAULT],
        {"memory": {"buffers": 8192}, "backend": feed.pcap_to(DEFAULT)}, steering="software")
    with GuestVmqd(guest, doc, interval=0.1) as daemon:
        feed.send(wire, daemon, frames)
        final = daemon.stop()
    assert final["adapters"][0]["nic"]["received"] == len(frames)
    assert final["total"]["dropped"] == 0, final
    guest.run("rm -f /host/*.pcap && cp /tmp/*.pcap /host && rm /tmp/*.pcap")
    for name, wanted in Oracle(queues).expect(frames).items():
        got = pcap.Capture(guest.folder / f"{name}.pcap").frames
        assert (got == wanted) is True, f"queue {name}: {len(wanted)} expected, {len(got)} came"
