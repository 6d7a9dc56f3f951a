# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
VMDq pools of an emulated Intel 82576: seven queues in hardware and four in software. The
oracle of the software tests says where each frame belongs, and the address of each packet
whose memory the NIC has written it into.
"""

import random

import feed
from oracle import DEFAULT, Filter, Oracle, Queue
from vmq_guest.daemon import GuestVmqd
from vmq_test import cases, pcap

POOLS = 7


def assert_frames(guest, expected):
    """
    Each queue's file has its frames, byte for byte and in order. The default queue gets
    what pools took and filters did not as well: there it is the order of each MAC.
    """
    guest.run("rm -f /host/*.pcap && cp /tmp/*.pcap /host && rm /tmp/*.pcap")
    for name, wanted in expected.items():
        got = pcap.Capture(guest.folder / f"{name}.pcap").frames
        assert len(got) == len(wanted), f"queue {name}: {len(got)} of {len(wanted)} frames"
        if name == DEFAULT:
            got, wanted = feed.by_mac(got), feed.by_mac(wanted)
        # No diff of thousands of frames.
        assert (got == wanted) is True, f"queue {name}: other frames, or in another order"


def test_seven_pools_and_four_software_queues_agree_with_the_oracle(nic):
    guest, wire = nic
    rng = random.Random(0x7004)
    macs = [bytes.fromhex(f"5254000000{number:02x}") for number in range(1, 13)]
    queues = [Queue("q0", [Filter(macs[0], 1)]), Queue("q1", [Filter(macs[1], "untagged")]),
              Queue("q2", [Filter(macs[2], "any")]),
              Queue("q3", [Filter(macs[3], 1), Filter(macs[3], 2)], keep_tags=True),
              Queue("q4", [Filter(macs[4], 3), Filter(macs[4], "untagged")]),
              Queue("q5", [Filter(macs[5], 2)]), Queue("q6", [Filter(macs[6], 1)]),
              Queue("q7", [Filter(macs[7], 1)]), Queue("q8", [Filter(macs[8], "any")]),
              Queue("q9", [Filter(macs[9], "untagged")], keep_tags=True),
              Queue("q10", [Filter(macs[10], 2)]), Queue(DEFAULT)]
    frames = [frame for frame in (cases.frame(rng, macs, [1, 2, 3]) for _ in range(4500))
              if feed.fits_the_wire(frame)]
    oracle = Oracle(queues)
    # Priority, not order, says who is in hardware.
    doc = feed.document(
        [{"name": queue.name, "vm": queue.name, "keep_tags": queue.keep_tags,
          "priority": 1 if number < POOLS else 0, "filters": cases.filters_json(queue.filters),
          "memory": {"buffers": 1024}, "backend": feed.pcap_to(queue.name)}
         for number, queue in reversed(list(enumerate(queues))) if queue.name != DEFAULT],
        {"memory": {"buffers": 8192}, "backend": feed.pcap_to(DEFAULT)})
    with GuestVmqd(guest, doc, env=feed.PLACE, interval=0.1) as daemon:
        with daemon.connect() as client:
            slots = {queue["name"]: queue["hardware"]["slot"]
                     for queue in client.call("stats")["queues"] if queue["hardware"]}
            assert slots.keys() == {f"q{number}" for number in range(POOLS)}
            assert len(set(slots.values())) == POOLS
            feed.send(wire, daemon, frames)
            after = {queue["name"]: queue for queue in client.call("stats")["queues"]}
        final = daemon.stop()
    assert final["total"]["dropped"] == 0, final
    assert_frames(guest, oracle.expect(frames))

    # Whose memory? A pool takes a MAC, with whatever VLAN, and software does the rest.
    pool_of = {queue.filters[0].mac: f"vmq_a0_s{slots[queue.name]}_rx"
               for queue in queues[:POOLS]}
    copies = 0
    for place in feed.places(guest):
        if place.mac == feed.BROADCAST:
            copies += place.pool != "vmq_a0_q0_rx"
        else:
            wanted = pool_of.get(place.mac, "vmq_a0_q0_rx")
            assert place.pool == wanted, f"{place}: it should lie in {wanted}"
    assert copies == POOLS * sum(frame[:6] == feed.BROADCAST for frame in frames)
    for queue in queues[:POOLS]:
        hardware = after[queue.name]["hardware"]
        own = sum(frame[:6] == queue.filters[0].mac for frame in frames)
        claimed = sum(oracle.classify(frame) is queue for frame in frames)
        assert 0 < claimed <= own
        assert hardware["confirmed"] == claimed
        assert hardware["misplaced"] == own - claimed
        assert hardware["stale"] == 0
        assert after[queue.name]["received"] == claimed
