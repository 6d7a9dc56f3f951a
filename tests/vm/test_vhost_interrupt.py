# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""Workers that wait for interrupts are woken by what VMs send, and only then told of it."""

import os
import pathlib
import struct
import tempfile
import time

import pytest

from vmq_test import netns
from vmq_test import vhost_guest as vg
from vmq_test.daemon import Vmqd, document, queues_by_name
from vmq_test.vhost_guest import FROM_GUEST, TO_GUEST

ALICE, BOB = "525400000001", "525400000002"
FRAME = bytes.fromhex(BOB + ALICE + "88b5").ljust(60, b"i")
TIMES = 8
# Without an interrupt 2.5 seconds each: a worker looks once in five. The rest is for a busy
# machine.
MOST_S = TIMES * 1.5


@pytest.fixture
def folder(need):
    need(netns.missing() is None, netns.missing())
    # pytest's own are too long for a socket's path.
    with tempfile.TemporaryDirectory(prefix="vmq") as name:
        yield pathlib.Path(name)


@pytest.fixture
def space(folder):
    """Where the tap is, which is a port with interrupts."""
    with netns.Namespaces("tap") as spaces:
        yield spaces.wrap("tap")


def conf(folder):
    queues = [{"name": name, "vm": name, "memory": {"buffers": 256},
               "filters": [{"mac": ":".join(mac[i:i + 2] for i in range(0, 12, 2))}],
               "backend": {"type": "vhost-user", "socket": str(folder / f"{name}.sock"),
                           "mode": "server"}}
              for name, mac in (("alice", ALICE), ("bob", BOB))]
    doc = document([{"name": "nic", "device": "net_tap0,iface=in0"}], queues)
    doc["workers"] = {"mode": "interrupt", "max_sleep_us": 1000}
    return doc


def sleeps(daemon, fallback):
    return daemon.wait(lambda now: now["workers"][0]["sleep"] > 0.9 and
                       now["workers"][0]["fallback"] == fallback,
                       f"its worker sleeps, {fallback}")["workers"][0]["sleeps"]


def kick(ring):
    os.write(ring.kick, struct.pack("<Q", 1))


def deliver(alice, bob, may_kick):
    """Seconds until each of some frames, sent after pauses, is there."""
    ring, waited = alice.rings[FROM_GUEST], 0
    for _ in range(TIMES):
        time.sleep(0.2)
        began = time.monotonic()
        assert alice.send_frame(FRAME)
        if ring.wants_kick():
            assert may_kick, "a VM that cannot kick is asked to"
            kick(ring)
        while not bob.receive_frames():
            assert time.monotonic() - began < 20, "a frame does not come"
            time.sleep(0.001)
        waited += time.monotonic() - began
    return waited


@pytest.mark.parametrize("kind", [0, vg.F_PACKED, vg.F_EVENT_IDX],
                         ids=["split", "packed", "event_idx"])
def test_a_vm_that_sends_wakes_a_worker_that_waits(folder, space, kind):
    features = vg.F_VERSION_1 | vg.F_MRG_RXBUF | kind
    with Vmqd(conf(folder), folder, interval=0.05, wrap=space) as daemon, \
            vg.Guest(folder / "alice.sock", features=features) as alice, \
            vg.Guest(folder / "bob.sock", features=features) as bob:
        sleeps(daemon, None)  # nobody is there yet
        alice.up()
        bob.up()
        bob.offer_all()
        before = sleeps(daemon, None)
        assert deliver(alice, bob, True) < MOST_S, daemon.explain("not woken")
        after = sleeps(daemon, None)
        # Some for each frame, and not a thousand a second.
        assert after - before < 500, daemon.explain(f"{after - before} sleeps")
        assert queues_by_name(daemon.stop())["bob"]["delivered"] == TIMES


def test_a_vm_is_asked_to_kick_only_while_the_worker_waits(folder, space):
    with Vmqd(conf(folder), folder, interval=0.05, wrap=space) as daemon, \
            vg.Guest(folder / "alice.sock") as alice, vg.Guest(folder / "bob.sock") as bob:
        daemon.wait_running()
        alice.up()
        bob.up()
        bob.offer_all()
        sleeps(daemon, None)
        ring = alice.rings[FROM_GUEST]
        end = time.monotonic() + 20
        while not ring.wants_kick():  # once the worker waits
            assert time.monotonic() < end, daemon.explain("it is not asked to kick")
            time.sleep(0.005)
        # What nobody waits for: room in the ring to receive into.
        assert not alice.rings[TO_GUEST].wants_kick()
        asked, end = 1, time.monotonic() + 0.5
        sent = 0
        kick(ring)
        while time.monotonic() < end:
            while alice.send_frame(FRAME):
                sent += 1
                asked += ring.wants_kick()
            if ring.wants_kick():
                kick(ring)
            bob.receive_frames()
        assert sent > 100 and asked < sent, (asked, sent)
        daemon.stop()


def test_a_vm_that_never_kicks_is_polled_and_the_worker_says_so(folder, space):
    with Vmqd(conf(folder), folder, interval=0.05, wrap=space) as daemon, \
            vg.Guest(folder / "alice.sock") as alice, vg.Guest(folder / "bob.sock") as bob:
        daemon.wait_running()
        bob.up()
        bob.offer_all()
        alice.connect()
        alice.negotiate()
        alice.set_memory()
        alice.make_rings()
        for ring in alice.rings:
            alice.start_ring(ring, kick=False)
        alice.sync()
        why = "a backend of this worker is received from and raises no interrupts"
        sleeps(daemon, why)
        assert deliver(alice, bob, False) < MOST_S, daemon.explain("not polled")
        # Once it is gone the worker can wait again.
        alice.disconnect()
        sleeps(daemon, None)
        daemon.stop()
