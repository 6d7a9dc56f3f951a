# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
What happens to an emulated 82576 and to its VMs while vmqd has it: a VM that does not read,
a reset, an address that the NIC knows no more.
"""

import feed
from test_life import POOLS, Files, mac_of, queue, queues_of, wait_until
from vmq_guest import machine
from vmq_guest.daemon import GuestVmqd
from vmq_test import cases

NUMBERS = range(1, 10)


def document(queues):
    return feed.document(queues, {"memory": {"buffers": 8192}, "backend": feed.pcap_to("default")})


def names():
    return ["default", *(f"q{number}" for number in NUMBERS)]


def placed(client):
    return {name: (one["state"], one["steering"], one["hardware"] and one["hardware"]["slot"])
            for name, one in queues_of(client).items()}


def test_a_hardware_queues_memory_grows_by_demand_while_its_vm_does_not_read(nic):
    guest, wire = nic
    # Nothing is to go back before the end: half-way a part of a block is set aside.
    memory = {"buffers": 1024, "limit": 4096,
              "growth": {"low": 200, "high": 1600, "step": 1024, "hold_ms": 60000}}
    queues = [queue(number, priority=1 if number <= POOLS else 0) for number in NUMBERS]
    queues[0].update(memory=memory, backend={"type": "pcap", "file": "/tmp/slow.fifo"})
    # It opens the pipe, and reads when it is told to.
    guest.run("rm -f /tmp/go /tmp/slow.fifo && mkfifo /tmp/slow.fifo && "
              "(exec 3< /tmp/slow.fifo; while [ ! -e /tmp/go ]; do sleep 0.2; done; "
              "cat <&3 > /tmp/q1.pcap; touch /tmp/read) > /dev/null 2>&1 &")
    with GuestVmqd(guest, document(queues), interval=0.1, env=feed.PLACE) as daemon:
        with daemon.connect() as client:
            client.call("subscribe", types=["MEMORY_GROWN"])
            assert queues_of(client)["q1"]["hardware"]
            with feed.Stream(wire, daemon, [mac_of(number) for number in NUMBERS]) as stream:
                stream.go_on()
                stream.use([mac_of(1)] * 7 + [mac_of(2), mac_of(8)])
                wait_until(lambda: queues_of(client)["q1"]["buffers"]["populated"] == 3072,
                           "two blocks more for the queue that waits")
                stream.go_on()
                slow = queues_of(client)["q1"]
                # The ring goes on in the new memory; nobody else has to wait.
                assert slow["waiting"] > 1024 and slow["dropped"] == 0, slow
                guest.run("touch /tmp/go")
                wait_until(lambda: queues_of(client)["q1"]["waiting"] == 0, "it has read all")
                stream.use(map(mac_of, NUMBERS))
            told = [client.notification()["params"] for _ in range(2)]
            assert [one["type"] for one in told] == ["MEMORY_GROWN"] * 2
            shown = queues_of(client)["q1"]["buffers"]
            assert shown["grown"] >= 2
        final = daemon.stop()
    guest.wait_until("[ -e /tmp/read ]", "the reader has ended")
    guest.run("rm -f /tmp/go /tmp/read /tmp/slow.fifo")
    assert final["total"]["dropped"] == 0, final
    assert final["adapters"][0]["nic"]["missed"] == 0
    Files(guest, names()).check(stream, {number: [f"q{number}"] for number in NUMBERS})
    slot = f"vmq_a0_s{slow['hardware']['slot']}_rx"
    assert all(place.pool == slot for place in feed.places(guest) if place.mac == mac_of(1))


def test_a_reset_keeps_queues_and_puts_rules_back(nic):
    guest, wire = nic
    with GuestVmqd(guest, document([queue(number) for number in NUMBERS]),
                   interval=0.1) as daemon:
        with daemon.connect() as client:
            with feed.Stream(wire, daemon, map(mac_of, NUMBERS)) as stream:
                stream.go_on()
            before = placed(client)
            client.call("subscribe", types=["PORT_RESET"])
            for count in (1, 2):
                assert client.call("adapter.reset") == {"adapter": "nic", "state": "resetting"}
                assert client.notification()["params"]["type"] == "PORT_RESET"
                shown = client.call("adapter.show")["port"]
                assert shown == {"state": "runs", "resets": count,
                                 "rules_restored": count * POOLS}, shown
                again = feed.Stream(wire, daemon, map(mac_of, NUMBERS))
                again.sent = stream.sent
                with again:
                    again.go_on()
                    verified = client.call("adapter.verify", seconds=2)
                    assert verified["as_it_should"] is True, verified
                    assert all(rule["right"] > 0 for rule in verified["rules"]), verified
                stream = again
            assert placed(client) == before
        final = daemon.stop()
    assert final["total"]["dropped"] == 0, final
    assert final["adapters"][0]["nic"]["received"] == sum(stream.sent.values())
    Files(guest, names()).check(stream, {number: [f"q{number}"] for number in NUMBERS})


def test_an_address_that_the_nic_forgets_is_missed_and_put_back(nic):
    guest, wire = nic
    resource = f"/sys/bus/pci/devices/{machine.IGB_ADDRESS}/resource0"
    with GuestVmqd(guest, document([queue(number) for number in NUMBERS]),
                   interval=0.1) as daemon:
        with daemon.connect() as client:
            with feed.Stream(wire, daemon, map(mac_of, NUMBERS)) as stream:
                stream.go_on()
                client.call("subscribe", types=["RULES_RESTORED"])
                guest.run(f"vmq-tool forget {resource} {cases.mac_text(mac_of(3))}")
                # Its frames come by the default queue now, and software steers them.
                told = client.notification()["params"]
                assert told["type"] == "RULES_RESTORED", told
                stream.go_on()
                verified = client.call("adapter.verify", seconds=2)
                assert verified["as_it_should"] is True, verified
                # And where somebody looks first.
                guest.run(f"vmq-tool forget {resource} {cases.mac_text(mac_of(5))}")
                verified = client.call("adapter.verify", seconds=2)
                assert verified["rules_put_back"] == 1, verified
                bad = [rule for rule in verified["rules"] if rule["put_back"]]
                assert [rule["name"] for rule in bad] == ["q5"]
                assert bad[0]["right"] == 0 and bad[0]["in_default_queue"] > 0
                assert client.notification()["params"]["type"] == "RULES_RESTORED"
                stream.go_on()
                verified = client.call("adapter.verify", seconds=2)
                assert verified["as_it_should"] is True, verified
        final = daemon.stop()
    assert final["total"]["dropped"] == 0, final
    Files(guest, names()).check(stream, {number: [f"q{number}"] for number in NUMBERS})
