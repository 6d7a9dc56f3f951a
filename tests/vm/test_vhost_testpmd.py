# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
VMs by vhost-user: dpdk-testpmd as the VMs, and one in Python that sends them numbered
frames. Nothing twice, nothing out of order; what is lost is counted.
"""

import pathlib
import struct
import tempfile
import threading
import time

import pytest

from vmq_test import testpmd as tp
from vmq_test import vhost_guest as vg
from vmq_test.daemon import Vmqd, document, queues_by_name

ALICE = "525400000100"
RESTARTS = 20
BUFFERS = 4096
VMS_OF_LOAD = ("vm0", "vm1")


def mac(number):
    return f"5254000000{number:02x}"


def colons(text):
    return ":".join(text[i:i + 2] for i in range(0, 12, 2))


def frame(number, sequence, length=60):
    return (bytes.fromhex(mac(number) + ALICE) + b"\x88\xb5" +
            struct.pack(">I", sequence)).ljust(length, b"\0")


def sequences(frames):
    return [struct.unpack(">I", data[14:18])[0] for data in frames]


@pytest.fixture
def folder(need):
    need(tp.TESTPMD is not None, "dpdk-testpmd is missing: install dpdk-dev")
    # pytest's own are too long for a socket's path.
    with tempfile.TemporaryDirectory(prefix="vmq") as name:
        yield pathlib.Path(name)


def conf(folder, vms, mode="client", buffers=BUFFERS):
    backends = [{"type": "vhost-user", "socket": str(vm.socket), "mode": mode} for vm in vms]
    queues = [{"name": f"vm{n}", "vm": f"vm{n}", "memory": {"buffers": buffers},
               "filters": [{"mac": colons(mac(n))}], "backend": backend}
              for n, backend in enumerate(backends)]
    queues.append({"name": "alice", "vm": "alice", "memory": {"buffers": 2048},
                   "filters": [{"mac": colons(ALICE)}],
                   "backend": {"type": "vhost-user", "socket": str(folder / "alice.sock"),
                               "mode": "server"}})
    return document([{"name": "nic", "device": "net_null0,no-rx=1"}], queues)


def alice_of(folder):
    return vg.Guest(folder / "alice.sock", size=1024)


def is_up(daemon, names):
    """Wait until the named queues' VMs are there, by what they do not drop any more."""
    return lambda now: all(queues_by_name(now)[name]["backend"]["link"]["up"] for name in names)


def send(alice, number, sequence):
    end = time.monotonic() + 60
    while not alice.send_frame(frame(number, sequence)):
        assert time.monotonic() < end, "vmqd takes nothing from Alice"
        time.sleep(0.001)


@pytest.mark.parametrize("mode", ["client", "server"])
def test_sixteen_vms(folder, mode):
    """Split and packed rings, mergeable buffers or not, rings of several sizes."""
    count, each = 16, 1000
    kinds = [{"packed_vq": packed, "mrg_rxbuf": mergeable, "in_order": in_order, "queue_size": size}
             for packed in (0, 1) for mergeable in (0, 1) for in_order in (0, 1)
             for size in (256, 1024)]
    vms = [tp.Vm(folder / f"vm{n}.sock", folder / f"vm{n}.pcap", **kinds[n])
           for n in range(count)]
    with Vmqd(conf(folder, vms, mode), folder) as daemon, alice_of(folder) as alice:
        daemon.wait_running()
        with tp.Testpmd(vms[:8], folder, mode == "client") as first, \
                tp.Testpmd(vms[8:], folder, mode == "client") as second:
            names = [f"vm{n}" for n in range(count)]
            first.wait_forwarding()
            second.wait_forwarding()
            daemon.wait(is_up(daemon, names), "all 16 VMs are up")
            alice.up()
            for sequence in range(each):
                for number in range(count):
                    send(alice, number, sequence)
            daemon.wait(lambda now: all(queues_by_name(now)[name]["delivered"] == each
                                        for name in names), "all is delivered")
            time.sleep(0.5)  # what is in their rings reaches their files
            first.stop()
            second.stop()
        alice.disconnect()
        final = queues_by_name(daemon.stop())
    for number, vm in enumerate(vms):
        assert final[f"vm{number}"]["dropped"] == 0, final[f"vm{number}"]
        assert tp.frames_of(vm.capture) == [frame(number, n) for n in range(each)], kinds[number]


class Load(threading.Thread):
    """
    Alice sends to VMs 0 and 1 in turn, without end; she comes back to a new vmqd. With a
    daemon, both VMs carry the load, however slow the machine is: what waits for one of them
    never uses up its memory.
    """

    def __init__(self, folder, daemon=None):
        super().__init__(daemon=True)
        self.folder = folder
        self.vmqd = daemon
        self.sent = 0
        self.stopped = threading.Event()
        self.trouble = None

    def run(self):
        try:
            while not self.stopped.is_set():
                with alice_of(self.folder) as alice:
                    self.one_life(alice)
        except Exception as error:  # a thread's own would be lost
            self.trouble = error
            raise

    def is_late(self):
        if self.vmqd is None:
            return False
        queues = queues_by_name(self.vmqd.last())
        through = min(queues[name]["delivered"] + queues[name]["dropped"] for name in VMS_OF_LOAD)
        return self.sent - through > BUFFERS // 2

    def one_life(self, alice):
        try:
            alice.up()
        except vg.Closed:
            time.sleep(0.1)
            return
        while not self.stopped.is_set():
            if self.sent % 256 == 0 and vg.is_readable(alice.socket.fileno(), 0):
                return  # vmqd is gone
            if self.is_late():
                time.sleep(0.02)
                continue
            for _ in range(16):
                # Both get the number, or nobody does.
                if alice.send_frame(frame(0, self.sent)):
                    while not alice.send_frame(frame(1, self.sent)):
                        if vg.is_readable(alice.socket.fileno(), 0.001):
                            return
                    self.sent += 1
                elif vg.is_readable(alice.socket.fileno(), 0.001):
                    return
            time.sleep(0.002)

    def finish(self):
        self.stopped.set()
        self.join(60)
        assert self.trouble is None, self.trouble


def wait_more(daemon, name, seconds=60, more=100):
    """So many more are delivered to a VM."""
    goal = queues_by_name(daemon.last())[name]["delivered"] + more
    daemon.wait(lambda now: queues_by_name(now)[name]["delivered"] >= goal,
                f"{name} goes on to receive", seconds)


def strictly_rising(numbers):
    return all(one < two for one, two in zip(numbers, numbers[1:]))


def test_a_vm_that_is_killed_and_started_again_and_again(folder):
    """The other one, which stays, loses nothing."""
    stays = tp.Vm(folder / "vm0.sock", folder / "vm0.pcap", packed_vq=1)
    lives = [tp.Vm(folder / "vm1.sock", folder / f"vm1.{n}.pcap", packed_vq=n % 2,
                   mrg_rxbuf=n // 2 % 2) for n in range(RESTARTS)]
    with Vmqd(conf(folder, [stays, lives[0]]), folder) as daemon:
        daemon.wait_running()
        load = Load(folder, daemon)
        with tp.Testpmd([stays], folder) as honest:
            honest.wait_forwarding()
            daemon.wait(is_up(daemon, ["vm0"]), "VM 0 is up")
            load.start()
            for life in lives:
                with tp.Testpmd([life], folder) as guest:
                    guest.wait_forwarding()
                    daemon.wait(is_up(daemon, ["vm1"]), "VM 1 is up again")
                    wait_more(daemon, "vm1")
                    guest.kill()
                daemon.wait(lambda now: not is_up(daemon, ["vm1"])(now), "VM 1 is seen to be gone")
            load.finish()
            daemon.wait(lambda now: queues_by_name(now)["vm0"]["delivered"] == load.sent and
                        queues_by_name(now)["vm1"]["received"] == load.sent, "all is through")
            time.sleep(0.5)
            honest.stop()
        link = queues_by_name(daemon.last())["vm1"]["backend"]["link"]
        final = queues_by_name(daemon.stop())
    assert sequences(tp.frames_of(stays.capture)) == list(range(load.sent))
    assert final["vm0"]["dropped"] == 0
    # Of what was lost each is counted, but what a killed VM had in its rings.
    assert final["vm1"]["dropped"] == final["vm1"]["drops"]["disconnected"] > 0
    assert link["changes"] >= 2 * RESTARTS and not link["up"] and link["cut_offs"] == 0, link
    assert strictly_rising(sum((sequences(tp.frames_of(life.capture)) for life in lives), []))


def test_vmqd_is_killed_and_started_again(folder):
    """Its VMs stay, are connected anew, and get on; a new vmqd removes the dead socket."""
    vms = [tp.Vm(folder / f"vm{n}.sock", folder / f"vm{n}.pcap", packed_vq=n) for n in range(2)]
    doc = conf(folder, vms)
    load = Load(folder)
    gaps = []
    with tp.Testpmd(vms, folder) as guests:
        guests.wait_socket()
        for life in range(4):
            with Vmqd(doc, folder / f"life{life}") as daemon:
                begin = time.monotonic()
                daemon.wait(is_up(daemon, ["vm0", "vm1"]), "the VMs are connected")
                gaps.append(time.monotonic() - begin)
                if life == 0:
                    guests.wait_forwarding()
                    load.start()
                wait_more(daemon, "vm0")
                wait_more(daemon, "vm1")
                if life < 3:
                    daemon.process.kill()
                    daemon.process.wait()
                else:
                    load.finish()
                    daemon.wait(lambda now: now["total"]["waiting"] == 0, "all is delivered")
                    time.sleep(0.5)
                    guests.stop()
                    daemon.stop()
    for vm in vms:
        numbers = sequences(tp.frames_of(vm.capture))
        assert strictly_rising(numbers), "twice, or out of order"
        assert len(numbers) > 400
    print("seconds from a vmqd's start until its VMs are there:", gaps)
