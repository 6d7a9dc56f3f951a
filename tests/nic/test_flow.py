# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
rte_flow rules of net_tap, which are filters of the guest's kernel: rules by MAC, whose
VLANs software finishes. It takes rules by MAC and VLAN, too, and they match nothing: vmqd
knows that.
"""

import random

import feed
from oracle import DEFAULT, Filter, Oracle, Queue
from vmq_guest.daemon import GuestVmqd
from vmq_test import cases, pcap

# What the kernel keeps for the device while nobody reads is 1000 frames (txqueuelen).
WINDOW = 400
# Of the eight asked for: DPDK 22.11's net_tap crashes with more than four queues.
SLOTS = 3


def send(guest, daemon, frames):
    """Send frames into the tap from the guest's side, with what is on the way bounded."""
    before = daemon.wait(lambda now: True, "there are statistics")["total"]["received"]
    for begin in range(0, len(frames), WINDOW):
        part = frames[begin:begin + WINDOW]
        pcap.write(guest.folder / "send.pcap", part)
        guest.run("vmq-tool send dtap0 /host/send.pcap")
        wanted = before + begin + len(part)
        now = daemon.wait(lambda now: now["total"]["received"] >= wanted,
                          f"{wanted} frames are received")
        assert now["total"]["received"] == wanted, daemon.explain(f"not {wanted} received")


def test_rules_of_a_tap_by_mac_and_software_for_vlans_agree_with_the_oracle(nic):
    guest, _ = nic
    guest.run("load tun sch_multiq sch_ingress cls_flower act_skbedit act_mirred && "
              # The kernel's own frames are nobody's in this test.
              "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6")
    rng = random.Random(0xf107)
    macs = [bytes.fromhex(f"5254000000{number:02x}") for number in range(1, 8)]
    queues = [Queue("q0", [Filter(macs[0], 1)]), Queue("q1", [Filter(macs[1], "untagged")]),
              Queue("q2", [Filter(macs[2], 257), Filter(macs[2], 2)], keep_tags=True),
              Queue("q3", [Filter(macs[3], "any")]), Queue("q4", [Filter(macs[4], 1)]),
              Queue("q5", [Filter(macs[5], "any")]), Queue(DEFAULT)]
    # A rule for VLAN 257 is one for VLAN 1 where only eight bits of it are looked at.
    frames = [frame for frame in (cases.frame(rng, macs, [1, 2, 257]) for _ in range(3000))
              if 60 <= len(frame) <= 1514]
    oracle = Oracle(queues)
    doc = feed.document(
        [{"name": queue.name, "vm": queue.name, "keep_tags": queue.keep_tags,
          "priority": 1 if number < SLOTS else 0, "filters": cases.filters_json(queue.filters),
          "memory": {"buffers": 1024}, "backend": feed.pcap_to(queue.name)}
         for number, queue in enumerate(queues) if queue.name != DEFAULT],
        {"memory": {"buffers": 8192}, "backend": feed.pcap_to(DEFAULT)},
        steering="flow", device="net_tap0,iface=dtap0", hardware_queues=8)
    with GuestVmqd(guest, doc, env=feed.PLACE, interval=0.1) as daemon:
        with daemon.connect() as client:
            slots = {queue["name"]: queue["hardware"]["slot"]
                     for queue in client.call("stats")["queues"] if queue["hardware"]}
            assert slots.keys() == {f"q{number}" for number in range(SLOTS)}
            send(guest, daemon, frames)
            after = {queue["name"]: queue for queue in client.call("stats")["queues"]}
        final = daemon.stop()
    assert final["total"]["dropped"] == 0, final
    guest.run("rm -f /host/*.pcap && cp /tmp/*.pcap /host && rm /tmp/*.pcap")
    in_hardware = {queue.filters[0].mac: queue for queue in queues[:SLOTS]}
    for queue in queues:
        got = pcap.Capture(guest.folder / f"{queue.name}.pcap").frames
        wanted = oracle.expect(frames)[queue.name]
        assert len(got) == len(wanted), f"queue {queue.name}: {len(got)} of {len(wanted)} frames"
        if queue.name == DEFAULT:
            # Of a MAC in hardware it gets what its filters did not claim, by another ring.
            got, wanted = feed.by_mac(got), feed.by_mac(wanted)
        assert (got == wanted) is True, f"queue {queue.name}: other frames, or another order"
    for place in feed.places(guest):
        # The kernel spreads what no rule takes, but for vmqd's rule for the rest.
        wanted = "vmq_a0_q0_rx"
        if place.mac in in_hardware:
            wanted = f"vmq_a0_s{slots[in_hardware[place.mac].name]}_rx"
        assert place.pool == wanted, f"{place}: it should lie in {wanted}"
    for queue in queues[:SLOTS]:
        claimed = sum(oracle.classify(frame) is queue for frame in frames)
        assert after[queue.name]["hardware"]["confirmed"] == claimed > 0
