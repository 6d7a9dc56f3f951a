# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
The machine's owner takes the NIC out: the kernel asks for it, and vmqd lets it go. When it is
back, and bound to vfio-pci again, vmqd has it again.
"""

import feed
from test_life import POOLS, mac_of, queue, queues_of, wait_until
from vmq_guest import machine
from vmq_guest.daemon import GuestVmqd


def test_a_nic_that_is_taken_out_is_let_go_and_taken_back(nic_in_a_slot):
    guest, wire = nic_in_a_slot
    numbers = range(1, 10)
    doc = feed.document([queue(number, backend={"type": "sink"}) for number in numbers],
                        {"memory": {"buffers": 8192}, "backend": {"type": "sink"}},
                        device=machine.IGB_SLOT_ADDRESS)
    with GuestVmqd(guest, doc, interval=0.1) as daemon:
        with daemon.connect() as client:
            feed.send(wire, daemon, [feed.numbered(mac_of(number), 0) for number in numbers] * 10)
            before = queues_of(client)
            assert sum(one["hardware"] is not None for one in before.values()) == POOLS
            client.call("subscribe", types=["PORT_REMOVED", "LINK_DOWN"])
            guest.monitor("device_del", id="igb0")
            types = {client.notification()["params"]["type"] for _ in range(2)}
            assert types == {"PORT_REMOVED", "LINK_DOWN"}
            # The kernel has got it, and has taken it off the bus.
            wait_until(lambda: machine.IGB_SLOT_ADDRESS not in
                       guest.run("ls /sys/bus/pci/devices"), "the device is gone")
            shown = client.call("adapter.show")
            assert shown["port"]["state"] == "removed" and "removed" in shown["port"]["why"]
            assert not shown["link"]["up"]
            after = queues_of(client)
            for name, one in after.items():
                assert one["state"] == before[name]["state"] == "Running"
                assert one["received"] == before[name]["received"]
            # Control goes on: what needs no port works.
            client.call("queue.free", {"queue": "q1", "as": "config"})
            client.call("queue.allocate", queue=queue(1, "again", {"type": "sink"}))
            # A new one in the same slot. It is the kernel's until it is bound.
            client.call("subscribe", types=["PORT_RESET"])
            guest.monitor("device_add", driver="igb", netdev="nic0", id="igb1", bus="slot0")
            guest.wait_until(f"[ -e /sys/bus/pci/devices/{machine.IGB_SLOT_ADDRESS} ]",
                             "the device is there again")
            assert client.call("adapter.show")["port"]["state"] == "removed"
            machine.bind_vfio(guest, machine.IGB_SLOT_ADDRESS)
            told = client.notification()["params"]
            while told["type"] != "PORT_RESET":
                told = client.notification()["params"]
            shown = client.call("adapter.show")["port"]
            assert shown["state"] == "runs" and "why" not in shown
            received = daemon.wait(lambda now: True, "figures")["adapters"][0]["nic"]["received"]
            assert received == 10 * len(numbers)
            feed.send(wire, daemon, [feed.numbered(mac_of(number), 1) for number in numbers] * 10)
            wait_until(lambda: sum(one["hardware"] is not None
                                   for one in queues_of(client).values()) == POOLS,
                       "all hardware queues are taken again")
            feed.send(wire, daemon, [feed.numbered(mac_of(number), 2) for number in numbers] * 10)
            verified = client.call("adapter.verify", seconds=1)
            assert len(verified["rules"]) == POOLS
            last = queues_of(client)
            for name, one in before.items():
                if name != "q1" and one["hardware"] is not None:
                    assert last[name]["hardware"]["slot"] == one["hardware"]["slot"]
                    assert last[name]["received"] == one["received"] + 20
                    assert last[name]["hardware"]["confirmed"] > one["hardware"]["confirmed"]
        final = daemon.stop()
    assert final["total"]["dropped"] == 0, final
