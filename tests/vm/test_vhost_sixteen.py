# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
Sixteen VMs at once, by dpdk-testpmd: one that stops reading hurts nobody else, and all
together cost little while nothing happens.
"""

import os
import pathlib
import signal
import struct
import tempfile
import time

import pytest

from vmq_test import testpmd as tp
from vmq_test import vhost_guest as vg
from vmq_test.daemon import Vmqd, document, queues_by_name

VMS = 16
STOPPED = VMS - 1
STOP_S = 10
RING, BUFFERS = 256, 256  # of each VM; its queue's
ALICE, BOB = "525400000100", "525400000101"
IDLE_S = 5
IDLE_SHARE = 0.03  # of one CPU
BOUND_S = 0.002  # workers.max_sleep_us, the default
GRACE_S = 0.5  # what a busy machine may add before a thread that is woken runs


def mac(number):
    return f"5254000000{number:02x}"


def frame(to, sequence):
    return (bytes.fromhex(to + ALICE) + b"\x88\xb5" + struct.pack(">I", sequence)).ljust(60, b"\0")


def sequences(path):
    return [struct.unpack(">I", data[14:18])[0] for data in tp.frames_of(path)]


@pytest.fixture
def folder(need):
    need(tp.TESTPMD is not None, "dpdk-testpmd is missing: install dpdk-dev")
    # pytest's own are too long for a socket's path.
    with tempfile.TemporaryDirectory(prefix="vmq") as name:
        yield pathlib.Path(name)


def queue(name, address, folder, mode, buffers):
    colons = ":".join(address[i:i + 2] for i in range(0, 12, 2))
    return {"name": name, "vm": name, "memory": {"buffers": buffers},
            "filters": [{"mac": colons}],
            "backend": {"type": "vhost-user", "socket": str(folder / f"{name}.sock"),
                        "mode": mode}}


def conf(folder):
    queues = [queue(f"vm{n}", mac(n), folder, "client", BUFFERS) for n in range(VMS)]
    queues += [queue(name, address, folder, "server", 1024)
               for name, address in (("alice", ALICE), ("bob", BOB))]
    return document([{"name": "nic", "device": "net_null0,no-rx=1"}], queues)


def vms_of(folder):
    return [tp.Vm(folder / f"vm{n}.sock", folder / f"vm{n}.pcap", packed_vq=n % 2,
                  mrg_rxbuf=n // 2 % 2, queue_size=RING) for n in range(VMS)]


def are_up(now):
    return all(queues_by_name(now)[f"vm{n}"]["backend"]["link"]["up"] for n in range(VMS))


class Load:
    """Alice sends the next number to each VM in turn."""

    def __init__(self, alice):
        self.alice = alice
        self.sent = 0

    def one(self):
        for number in range(VMS):
            end = time.monotonic() + 60
            while not self.alice.send_frame(frame(mac(number), self.sent)):
                assert time.monotonic() < end, "vmqd takes nothing from Alice"
                time.sleep(0.001)
        self.sent += 1

    def go_on(self, seconds, at_least):
        end, goal = time.monotonic() + seconds, self.sent + at_least
        while time.monotonic() < end or self.sent < goal:
            self.one()
            time.sleep(0.005)


def through(daemon, sent, what):
    """Wait until all that was sent is delivered, or for the stopped one dropped."""
    def good(now):
        queues = queues_by_name(now)
        return all(queues[f"vm{n}"]["delivered"] + queues[f"vm{n}"]["dropped"] == sent
                   for n in range(VMS))
    return queues_by_name(daemon.wait(good, what))


def test_one_that_stops_reading_hurts_itself_alone(folder):
    vms = vms_of(folder)
    with Vmqd(conf(folder), folder) as daemon, vg.Guest(folder / "alice.sock", size=1024) as alice:
        daemon.wait_running()
        with tp.Testpmd(vms[:STOPPED], folder) as others, tp.Testpmd(vms[STOPPED:], folder) as one:
            others.wait_forwarding()
            one.wait_forwarding()
            daemon.wait(are_up, "all VMs are up")
            alice.up()
            load = Load(alice)
            load.go_on(1, 100)  # a load that all of them carry
            before = through(daemon, load.sent, "all is delivered")
            assert all(before[f"vm{n}"]["dropped"] == 0 for n in range(VMS)), before

            one.process.send_signal(signal.SIGSTOP)
            first = load.sent
            load.go_on(STOP_S, 2 * (RING + BUFFERS))
            stopped = queues_by_name(daemon.last())[f"vm{STOPPED}"]
            # As much as there is room for waits, and the rest has a name.
            assert stopped["waiting"] >= BUFFERS // 2, stopped
            assert stopped["drops"]["no_buffer"] == stopped["dropped"] > 0, stopped
            assert stopped["backend"]["link"]["up"], stopped
            one.process.send_signal(signal.SIGCONT)
            last_of_stop = load.sent
            daemon.wait(lambda now: queues_by_name(now)[f"vm{STOPPED}"]["waiting"] == 0,
                        "it takes what waits")
            dropped = through(daemon, load.sent, "all is through")[f"vm{STOPPED}"]["dropped"]

            load.go_on(1, 100)  # and afterwards
            after = through(daemon, load.sent, "all is through")
            assert after[f"vm{STOPPED}"]["dropped"] == dropped, after
            time.sleep(0.5)  # what is in their rings reaches their files
            others.stop()
            one.stop()
        alice.disconnect()
        final = queues_by_name(daemon.stop())
    for number in range(STOPPED):
        assert final[f"vm{number}"]["dropped"] == 0, final[f"vm{number}"]
        assert sequences(vms[number].capture) == list(range(load.sent)), number
    # The stopped one: all before it, the first of the stop, all after it; in order.
    got = sequences(vms[STOPPED].capture)
    assert got == sorted(set(got)) and len(got) == load.sent - dropped
    missing = set(range(load.sent)) - set(got)
    assert first < min(missing) and max(missing) < last_of_stop
    print(f"{load.sent} frames to each; of the stopped VM's {dropped} were dropped")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_sixteen_vms_that_are_idle_cost_little_and_are_found_at_once(folder):
    vms = vms_of(folder)
    with Vmqd(conf(folder), folder, interval=1) as daemon, \
            vg.Guest(folder / "alice.sock") as alice, vg.Guest(folder / "bob.sock") as bob:
        daemon.wait_running()
        with tp.Testpmd(vms, folder) as guests:
            guests.wait_forwarding()
            daemon.wait(are_up, "all VMs are up")
            alice.up()
            bob.up()
            bob.offer_all()
            time.sleep(1)
            used, began = cpu_seconds(daemon.pid), time.monotonic()
            time.sleep(IDLE_S)
            share = (cpu_seconds(daemon.pid) - used) / (time.monotonic() - began)
            assert share < IDLE_SHARE, daemon.explain(f"{share:.2%} of a CPU")
            delays = []
            for number in range(20):
                time.sleep(0.2)
                began = time.monotonic()
                assert alice.send_frame(frame(BOB, number))
                while not bob.receive_frames():
                    assert time.monotonic() - began < 30, daemon.explain("it does not come")
                delays.append(time.monotonic() - began)
            assert max(delays) < BOUND_S + GRACE_S, delays
            guests.stop()
        print(f"idle: {share:.2%} of a CPU; first packet after idleness: median "
              f"{sorted(delays)[10] * 1e3:.1f} ms, longest {max(delays) * 1e3:.1f} ms")
        alice.disconnect()
        bob.disconnect()
        daemon.stop()


# Checksums and segments that one side leaves to the other (virtio-net's bits): what a VM
# sends goes to wires and VMs as it is.
NOT_OFFERED = {0: "CSUM", 1: "GUEST_CSUM", 6: "GSO", 7: "GUEST_TSO4", 8: "GUEST_TSO6",
               9: "GUEST_ECN", 10: "GUEST_UFO", 11: "HOST_TSO4", 12: "HOST_TSO6",
               13: "HOST_ECN", 14: "HOST_UFO"}
OFFERED = {3: "MTU", 15: "MRG_RXBUF", 28: "INDIRECT_DESC", 29: "EVENT_IDX", 32: "VERSION_1",
           34: "RING_PACKED"}


def test_nothing_is_offered_that_is_not_done(tmp_path):
    with tempfile.TemporaryDirectory(prefix="vmq") as name:
        place = pathlib.Path(name)
        doc = document([{"name": "nic", "device": "net_null0,no-rx=1"}],
                       [queue("alice", ALICE, place, "server", 256)])
        with Vmqd(doc, tmp_path) as daemon, vg.Guest(place / "alice.sock") as alice:
            daemon.wait_running()
            alice.connect()
            offered = alice.negotiate()
            assert [name for bit, name in NOT_OFFERED.items() if offered >> bit & 1] == []
            assert [name for bit, name in OFFERED.items() if not offered >> bit & 1] == []
            daemon.stop()
