# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
Frames up to the adapter's MTU go from VM to VM byte for byte, whatever the buffers of the
VMs look like; what is longer is dropped with a name.
"""

import pathlib
import random
import tempfile
import time

import pytest

from vmq_test import rpc
from vmq_test import vhost_guest as vg
from vmq_test.daemon import Vmqd, document, queues_by_name

MTU = 9000
HEADER = 14
ALICE, BOB = "525400000001", "525400000002"
LONG = 10240  # a buffer for any frame


@pytest.fixture
def folder():
    # pytest's own are too long for a socket's path.
    with tempfile.TemporaryDirectory(prefix="vmq") as name:
        yield pathlib.Path(name)


def conf(folder, mtu=MTU):
    queues = [{"name": name, "vm": name,
               "memory": {"buffers": 1024, "transmit": {"buffers": 1024, "limit": 2048}},
               "filters": [{"mac": ":".join(mac[i:i + 2] for i in range(0, 12, 2))}],
               "backend": {"type": "vhost-user", "socket": str(folder / f"{name}.sock"),
                           "mode": "server"}}
              for name, mac in (("alice", ALICE), ("bob", BOB))]
    return document([{"name": "nic", "device": "net_null0,no-rx=1", "mtu": mtu}], queues)


def frame(length, rng):
    return bytes.fromhex(BOB + ALICE) + b"\x88\xb5" + rng.randbytes(length - HEADER)


def receive(bob, count, room, merged=True, seconds=30):
    got, end = [], time.monotonic() + seconds
    while len(got) < count:
        got += bob.receive_merged(room) if merged else bob.receive_frames(room)
        assert time.monotonic() < end, f"{len(got)} of {count} frames came"
        time.sleep(0.001)
    return got


def dropped(daemon, name, way, reason, count):
    """Wait until so many were dropped, for that reason alone."""
    def good(now):
        queue = queues_by_name(now)[name]
        drops = (queue["transmit"] if way == "from" else queue)["drops"]
        return drops[reason] == count == sum(drops.values())
    daemon.wait(good, f"{count} frames of {name} are dropped as {reason}")


@pytest.mark.parametrize("kind", [0, vg.F_PACKED], ids=["split", "packed"])
@pytest.mark.parametrize("room", [LONG, 2048, 256], ids=["one_buffer", "some", "many"])
def test_frames_up_to_the_mtu_arrive_as_they_were_sent(folder, room, kind):
    rng = random.Random(9000)
    lengths = [60, 1514, 1515, 2047, 2048, 2049, 4096, MTU + HEADER - 1, MTU + HEADER] * 4
    sent = [frame(length, rng) for length in lengths]
    features = vg.F_VERSION_1 | vg.F_MRG_RXBUF | kind
    with Vmqd(conf(folder), folder) as daemon, \
            vg.Guest(folder / "alice.sock", size=64, features=features) as alice, \
            vg.Guest(folder / "bob.sock", features=features) as bob:
        daemon.wait_running()
        alice.up()
        bob.up()
        bob.offer_all(length=room)
        got = []
        for data in sent:
            assert alice.send_frame(data, LONG)
            got += receive(bob, 1, room)
        assert got == sent
        final = queues_by_name(daemon.stop())
    assert final["alice"]["transmit"]["local"] == final["bob"]["delivered"] == len(sent)
    assert final["alice"]["transmit"]["dropped"] == final["bob"]["dropped"] == 0


def test_what_is_longer_than_the_mtu_is_dropped_with_a_name(folder):
    rng = random.Random(1)
    with Vmqd(conf(folder), folder) as daemon, vg.Guest(folder / "alice.sock", size=64) as alice, \
            vg.Guest(folder / "bob.sock") as bob:
        daemon.wait_running()
        alice.up()
        bob.up()
        bob.offer_all(length=LONG)
        for _ in range(3):
            assert alice.send_frame(frame(MTU + HEADER + 1, rng), LONG)
        dropped(daemon, "alice", "from", "too_long", 3)
        # What comes after them passes.
        last = frame(MTU + HEADER, rng)
        assert alice.send_frame(last, LONG)
        assert receive(bob, 1, LONG) == [last]
        daemon.stop()


def test_a_vm_without_mergeable_buffers_gets_what_it_has_buffers_for(folder):
    rng = random.Random(2)
    with Vmqd(conf(folder), folder) as daemon, vg.Guest(folder / "alice.sock", size=64) as alice, \
            vg.Guest(folder / "bob.sock", features=vg.F_VERSION_1) as bob:
        daemon.wait_running()
        alice.up()
        bob.up()
        bob.offer_all(length=2048)
        sent = [frame(length, rng) for length in (60, 1518, 1519, 2048, 9000, 61)]
        for data in sent:
            assert alice.send_frame(data, LONG)
        assert receive(bob, 3, 2048, merged=False) == [sent[0], sent[1], sent[5]]
        dropped(daemon, "bob", "to", "backend", 3)
        daemon.stop()


def test_memory_for_sending_is_shown_with_its_limit_and_node(folder):
    doc = conf(folder)
    with Vmqd(doc, folder) as daemon, vg.Guest(folder / "alice.sock") as alice:
        daemon.wait_running()
        alice.up()
        with rpc.Client(rpc.socket_path(doc)) as client:
            shown, = client.call("memory.show", queue="alice")["queues"]
        assert shown["transmit"]["populated"] == 1024 and shown["transmit"]["limit"] == 2048
        # A frame of the MTU lies in one buffer.
        assert shown["transmit"]["bytes"] > 1024 * MTU
        assert shown["transmit"]["node"] >= 0 and shown["transmit"]["why"] == ""
        daemon.stop()
