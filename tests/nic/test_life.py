# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
The life of hardware queues on an emulated 82576, while frames flow: memory grows, filters
move, queues change between hardware and software, go, and come again; the link flaps.
"""

import time

import feed
from vmq_guest.daemon import GuestVmqd
from vmq_test import cases, pcap
from vmq_test.rpc import Refused

POOLS = 7


def mac_of(number):
    return bytes.fromhex(f"5254000000{number:02x}")


def queue(number, name=None, backend=None, **more):
    """A queue for all VLANs of a MAC."""
    name = name or f"q{number}"
    return {"name": name, "vm": name, "memory": {"buffers": 1024, "limit": 4096},
            "filters": [{"mac": cases.mac_text(mac_of(number))}],
            "backend": backend or feed.pcap_to(name), **more}


def queues_of(client):
    return {one["name"]: one for one in client.call("stats")["queues"]}


def move(client, number, to):
    """Move the filter of a MAC to a queue."""
    which = next(one["id"] for one in client.call("filter.list")["filters"]
                 if one["mac"] == cases.mac_text(mac_of(number)))
    # The document's queues are the owner config's.
    client.call("filter.move", {"filter": which, "to": to, "as": "config"})


def wait_until(good, what, seconds=60):
    end = time.monotonic() + seconds
    while not good():
        assert time.monotonic() < end, f"not after {seconds} s: {what}"
        time.sleep(0.1)


def wait_steering(client, name, steering):
    wait_until(lambda: queues_of(client)[name]["steering"] == steering,
               f"queue {name} is steered by {steering}")


class Files:
    """What the queues' files have, once their daemon has ended."""

    def __init__(self, guest, names):
        guest.run("rm -f /host/*.pcap && cp /tmp/*.pcap /host && rm /tmp/*.pcap")
        self.frames = {name: pcap.Capture(guest.folder / f"{name}.pcap").frames
                       for name in names}

    def numbers(self, mac, *names):
        """The numbers of a MAC's frames in these files, one file after the other."""
        return [feed.number_of(frame) for name in names for frame in self.frames[name]
                if frame[:6] == mac]

    def check(self, stream, owners):
        """
        Each MAC's frames lie, whole and in order, in the files of the queues that had it.

        @param owners  {number of a MAC: names of the queues that had it, in order}
        """
        total = 0
        for number, names in owners.items():
            mac = mac_of(number)
            wanted = list(range(stream.sent[mac]))
            got = self.numbers(mac, *names)
            missing = sorted(set(wanted) - set(got))
            assert not missing, (f"MAC {number}, {names}: {len(missing)} of {len(wanted)} "
                                 f"missing, from {missing[:5]} to {missing[-1]}; elsewhere: "
                                 f"{[n for n in self.frames if self.numbers(mac, n)]}")
            assert got == wanted, f"MAC {number}, {names}: not in order, or doubled"
            total += len(got)
        assert total == sum(map(len, self.frames.values())), "a queue got what is not its own"


def test_filters_move_between_any_two_queues_under_traffic(nic):
    guest, wire = nic
    numbers = range(1, 12)
    doc = feed.document([queue(number, priority=1 if number <= POOLS else 0)
                         for number in numbers],
                        {"memory": {"buffers": 8192}, "backend": feed.pcap_to("default")})
    owners = {number: [f"q{number}"] for number in numbers}
    moves = [(1, "q8"),  # hardware to software
             (2, "q3"),  # pool to pool
             (9, "q10"),  # software to software
             (1, "q1"),  # software to hardware, where it was
             (11, "q4"),  # software to a pool that has a MAC
             (2, "q2"), (9, "q5"), (9, "q6"), (11, "q11")]
    with GuestVmqd(guest, doc, interval=0.1) as daemon:
        with daemon.connect() as client:
            before = queues_of(client)
            assert [before[f"q{number}"]["steering"] for number in numbers] == \
                ["hardware"] * POOLS + ["software"] * (len(numbers) - POOLS)
            with feed.Stream(wire, daemon, map(mac_of, numbers)) as stream:
                stream.go_on()
                for number, to in moves:
                    move(client, number, to)
                    owners[number].append(to)
                    stream.go_on()
            after = queues_of(client)
        final = daemon.stop()
    assert final["total"]["dropped"] == 0, final
    # No detour either: what was in the old queue's ring goes straight to the new one.
    assert final["adapters"][0]["nic"]["missed"] == 0
    assert {name: one["state"] for name, one in after.items()} == \
        {name: "Paused" if name == "q9" else "Running" for name in before}
    files = Files(guest, ["default", *(f"q{number}" for number in numbers)])
    # A queue that a MAC came back to has two parts of it in one file.
    for number, names in owners.items():
        owners[number] = list(dict.fromkeys(names))
    check_moved(files, stream, owners)


def check_moved(files, stream, owners):
    """As Files.check(), where a MAC went to a queue and came back."""
    for number, names in owners.items():
        mac = mac_of(number)
        parts = [files.numbers(mac, name) for name in names]
        assert sorted(sum(parts, [])) == list(range(stream.sent[mac])), (
            f"MAC {number}: {stream.sent[mac]} sent, {list(map(len, parts))} in {names}")
        assert all(part == sorted(part) for part in parts), f"MAC {number}: not in order"
    assert files.frames["default"] == []
    assert sum(map(len, files.frames.values())) == sum(stream.sent.values())


def test_queues_change_between_hardware_and_software_by_hand_under_traffic(nic):
    guest, wire = nic
    numbers = range(1, 10)
    doc = feed.document([queue(number, priority=1 if number <= POOLS else 0)
                         for number in numbers],
                        {"memory": {"buffers": 8192}, "backend": feed.pcap_to("default")})
    with GuestVmqd(guest, doc, interval=0.1, env=feed.PLACE) as daemon:
        with daemon.connect() as client:
            def change(how, name):
                return client.call(f"queue.{how}", {"queue": name, "as": "config"})

            with feed.Stream(wire, daemon, map(mac_of, numbers)) as stream:
                stream.go_on()
                for out, into in (("q1", "q8"), ("q2", "q9"), ("q8", "q1"), ("q4", "q2")):
                    slot = queues_of(client)[out]["hardware"]["slot"]
                    assert change("demote", out)["steering"] == "software"
                    stream.go_on(1)
                    try:
                        assert change("promote", into)["steering"] == "hardware"
                    except Refused as error:  # it was quicker, by itself
                        assert "is in hardware already" in str(error)
                    stream.go_on()
                    assert queues_of(client)[into]["hardware"]["slot"] == slot
                    assert queues_of(client)[out]["hardware"] is None
                verified = client.call("adapter.verify", seconds=2)
                assert verified["as_it_should"] is True, verified
                assert len(verified["rules"]) == POOLS and verified["packets"] > 0
                assert all(rule["right"] > 0 for rule in verified["rules"]), verified
        final = daemon.stop()
    assert final["total"]["dropped"] == 0, final
    Files(guest, ["default", *(f"q{number}" for number in numbers)]).check(
        stream, {number: [f"q{number}"] for number in numbers})


def test_memory_grows_and_queues_go_and_come_under_traffic(nic):
    guest, wire = nic
    numbers = range(1, 10)
    doc = feed.document([queue(number, priority=1 if number <= POOLS else 0)
                         for number in numbers],
                        {"memory": {"buffers": 8192}, "backend": feed.pcap_to("default")})
    owners = {number: [f"q{number}"] for number in numbers}
    held = {}  # the MACs of the queues that have had a slot, by its pool

    def look(client):
        for one in queues_of(client).values():
            if one["hardware"]:
                held.setdefault(f"vmq_a0_s{one['hardware']['slot']}_rx", set()).update(
                    bytes.fromhex(rule["mac"].replace(":", "")) for rule in one["filters"])

    with GuestVmqd(guest, doc, interval=0.1, env=feed.PLACE) as daemon:
        with daemon.connect() as client:
            with feed.Stream(wire, daemon, map(mac_of, numbers)) as stream:
                stream.go_on()
                look(client)
                # The ring takes buffers of the new block, and packets lie in it.
                for name in ("q1", "q8"):
                    grown = client.call("memory.grow", {"queue": name, "buffers": 1024, "as": "config"})
                    assert grown["added"] == 1024 and grown["buffers"]["populated"] >= 2048
                stream.go_on()
                # One goes: the busiest one in software takes its place by itself.
                stream.use(mac_of(number) for number in numbers if number != 2)
                slot = queues_of(client)["q2"]["hardware"]["slot"]
                assert client.call("queue.free", {"queue": "q2", "as": "config"})["filters_cleared"] == 1
                wait_until(lambda: any(one["hardware"] and one["hardware"]["slot"] == slot
                                       for one in queues_of(client).values()),
                           "another queue has the slot that has become free")
                promoted = next(name for name, one in queues_of(client).items()
                                if one["hardware"] and one["hardware"]["slot"] == slot)
                assert promoted in ("q8", "q9")
                stream.go_on()
                look(client)
                # It comes again, as another VM with the same address, in software.
                shown = client.call("queue.allocate", queue=queue(2, "again"))
                assert shown["steering"] == "software"
                owners[2].append("again")
                stream.use(map(mac_of, numbers))
                # Another one goes, and its place is taken as well.
                stream.use(mac_of(number) for number in numbers if number != 3)
                client.call("queue.free", {"queue": "q3", "as": "config"})
                stream.go_on()
                wait_until(lambda: sum(one["hardware"] is not None
                                       for one in queues_of(client).values()) == POOLS,
                           "all hardware queues are taken again")
                stream.go_on()
                look(client)
            assert queues_of(client)["q1"]["buffers"]["populated"] >= 2048
        final = daemon.stop()
    assert final["total"]["dropped"] == 0, final
    names = ["default", *(f"q{number}" for number in numbers), "again"]
    Files(guest, names).check(stream, owners)
    # Nothing of a queue ever lay in a slot's memory that it did not have.
    assert sum(map(len, held.values())) == POOLS + 2
    for place in feed.places(guest):
        assert place.pool == "vmq_a0_q0_rx" or place.mac in held[place.pool], place


def test_a_slot_is_used_again_a_hundred_times_and_nothing_stays_in_it(nic):
    guest, wire = nic
    doc = feed.document([queue(number) for number in (1, 2)],
                        {"memory": {"buffers": 4096}, "backend": {"type": "sink"}},
                        hardware_queues=3)
    sink = {"type": "sink"}
    mac = mac_of(3)
    sent = 0
    with GuestVmqd(guest, doc, interval=0.5) as daemon:
        feed.wait_link(daemon)
        with daemon.connect() as client:
            def received():
                return client.call("stats")["adapters"][0]["nic"]["received"]

            def feed_all(frames):
                nonlocal sent
                for frame in frames:
                    wire.send(frame)
                sent += len(frames)
                wait_until(lambda: received() == sent, f"{sent} frames are received")

            feed_all([feed.numbered(mac_of(1), 0)])
            slots = set()
            for life in range(100):
                client.call("queue.allocate", queue=queue(3, f"life{life}", sink))
                now = queues_of(client)[f"life{life}"]
                assert now["steering"] == "hardware", f"life {life}: {now}"
                slots.add(now["hardware"]["slot"])
                feed_all([feed.numbered(mac, life)] * (1 + life % 7)
                         + [feed.numbered(mac_of(2), life)])
                wait_until(lambda: queues_of(client)[f"life{life}"]["received"] == 1 + life % 7,
                           f"life {life} has its frames and no others")
                if life % 2 == 0:
                    # On their way when it goes: nobody's, and surely not the next VM's.
                    for _ in range(4):
                        wire.send(feed.numbered(mac, life))
                    sent += 4
                client.call("queue.free", queue=f"life{life}")
                before = queues_of(client)["default"]["received"]
                feed_all([feed.numbered(mac, life)] * 3)
                wait_until(lambda: queues_of(client)["default"]["received"] >= before + 3,
                           f"after life {life}: the default queue's")
            assert len(slots) == 1
            memory = client.call("memory.show")
            assert {one["name"] for one in memory["queues"]} == {"default", "q1", "q2"}
        final = daemon.stop()
    assert final["total"]["dropped"] == 0, final
    counts = {one["name"]: one["received"] for one in final["queues"]}
    assert counts["q1"] == 1 and counts["q2"] == 100 and 300 <= counts["default"] <= 500
    guest.run("rm /tmp/*.pcap")


def test_queues_keep_their_state_while_the_link_flaps(nic):
    guest, wire = nic
    numbers = range(1, 10)
    doc = feed.document([queue(number) for number in numbers],
                        {"memory": {"buffers": 8192}, "backend": feed.pcap_to("default")})
    with GuestVmqd(guest, doc, interval=0.1) as daemon:
        with daemon.connect() as client:
            with feed.Stream(wire, daemon, map(mac_of, numbers)) as stream:
                stream.go_on()
            before = {name: (one["state"], one["steering"], one["hardware"] and
                             one["hardware"]["slot"]) for name, one in queues_of(client).items()}
            client.call("subscribe", types=["LINK_UP", "LINK_DOWN"])
            for _ in range(3):
                guest.monitor("set_link", name="nic0", up=False)
                assert client.notification()["params"]["type"] == "LINK_DOWN"
                # The cable is out: this goes nowhere, and nobody may wait for it.
                wire.send(feed.numbered(mac_of(1), 10 ** 6))
                time.sleep(0.3)
                guest.monitor("set_link", name="nic0", up=True)
                up = client.notification()["params"]
                assert up["type"] == "LINK_UP" and up["mbps"] == 1000
                again = feed.Stream(wire, daemon, map(mac_of, numbers))
                again.sent = stream.sent
                with again:
                    again.go_on()
                stream = again
            assert before == {name: (one["state"], one["steering"], one["hardware"] and
                                     one["hardware"]["slot"])
                              for name, one in queues_of(client).items()}
        final = daemon.stop()
    assert final["total"]["dropped"] == 0, final
    Files(guest, ["default", *(f"q{number}" for number in numbers)]).check(
        stream, {number: [f"q{number}"] for number in numbers})
