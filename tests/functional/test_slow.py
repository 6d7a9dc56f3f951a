# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""A queue whose backend does not keep up uses its own memory and nobody else's."""

import json
import os
import random
import struct
import threading

import pytest

from vmq_test import pcap, rpc
from vmq_test.daemon import Vmqd, cpus, document, queues_by_name

SLOW = bytes.fromhex("525400000001")
QUICK = bytes.fromhex("525400000002")
EACH = 20_000
BUFFERS = 128


class Reader(threading.Thread):
    """The slow end of a pipe: reads nothing before it is let go, then everything."""

    def __init__(self, fifo, file):
        super().__init__(daemon=True)
        self.fifo, self.file = fifo, file
        self.go = threading.Event()

    def run(self):
        with open(self.fifo, "rb") as source, open(self.file, "wb") as copy:
            self.go.wait()
            while data := source.read(65536):
                copy.write(data)


def sequence_of(frame):
    return struct.unpack(">I", frame[14:18])[0]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_slow_queue_drops_its_own_packets_and_keeps_the_order(tmp_path, need, workers):
    main_core, worker = cpus()
    need(workers == 1 or main_core != worker, "two workers need two CPUs")
    rng = random.Random(7)
    frames = []
    for number in range(EACH):
        for mac in (SLOW, QUICK):
            # Some fill one buffer of the slow queue, some need several.
            frames.append(mac + b"\x02" + bytes(5) + b"\x08\x00" + struct.pack(">I", number) +
                          bytes(rng.choice((60, 250, 1000))))
    pcap.write(tmp_path / "source.pcap", frames)
    fifo = tmp_path / "slow.fifo"
    os.mkfifo(fifo)
    reader = Reader(fifo, tmp_path / "slow.pcap")
    reader.start()

    adapter = {"name": "nic", "device": f"net_pcap0,rx_pcap={tmp_path}/source.pcap",
               "default_queue": {"affinity": [worker]}}
    queues = [{"name": name, "vm": name, "adapter": "nic",
               "affinity": [worker if workers == 1 else main_core],
               "memory": {"buffers": BUFFERS, "buffer_size": 256},
               "filters": [{"mac": mac.hex(":")}], "backend": backend}
              for name, mac, backend in (("slow", SLOW, {"type": "pcap", "file": str(fifo)}),
                                         ("quick", QUICK, {"type": "sink"}))]
    # The quick queue is always served by the worker that receives: nothing waits there.
    queues[1]["affinity"] = [worker]
    doc = document([adapter], queues, workers=list({worker, queues[0]["affinity"][0]}))
    with Vmqd(doc, tmp_path) as daemon:
        now = daemon.wait(lambda now: now["adapters"][0]["nic"]["received"] == len(frames) and
                          now["total"]["received"] == len(frames), "all is received")
        slow = queues_by_name(now)["slow"]
        assert slow["drops"]["no_buffer"] > 0 and slow["waiting"] > 0, daemon.explain(slow)
        assert slow["received"] == slow["delivered"] + slow["dropped"] + slow["waiting"]
        assert slow["buffers"]["outstanding"] <= BUFFERS
        reader.go.set()
        daemon.wait(lambda now: now["total"]["waiting"] == 0, "the rest is written")
        final = queues_by_name(daemon.stop())
    reader.join(30)
    assert not reader.is_alive()

    assert final["quick"]["delivered"] == EACH and final["quick"]["dropped"] == 0
    assert final["default"]["received"] == 0
    slow = final["slow"]
    assert slow["dropped"] == slow["drops"]["no_buffer"] == EACH - slow["delivered"]
    got = pcap.Capture(tmp_path / "slow.pcap").frames
    assert len(got) == slow["delivered"]
    sent = frames[0::2]
    numbers = [sequence_of(frame) for frame in got]
    assert numbers == sorted(set(numbers)), "out of order, or twice"
    assert all(frame == sent[number] for frame, number in zip(got, numbers))


def test_a_backend_that_hangs_holds_up_nobody_while_its_queue_is_freed(tmp_path):
    """A pipe that nobody reads: freeing ends later, and other requests go on meanwhile."""
    pcap.write(tmp_path / "source.pcap", [SLOW + b"\x02" + bytes(5) + b"\x08\x00" + bytes(986)])
    fifo = tmp_path / "hung.fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        doc = document([{"name": "nic",
                         "device": f"net_pcap0,rx_pcap={tmp_path}/source.pcap,infinite_rx=1"}],
                       [{"name": "hung", "vm": "hung", "memory": {"buffers": BUFFERS},
                         "filters": [{"mac": SLOW.hex(":")}],
                         "backend": {"type": "pcap", "file": str(fifo)}}])
        with Vmqd(doc, tmp_path / "vmqd") as vmqd, \
                rpc.Client(rpc.socket_path(doc)) as client:
            # The pipe is full when all that its memory can hold waits for ever.
            vmqd.wait(lambda now: queues_by_name(now)["hung"]["drops"]["no_buffer"] > 10_000 and
                      queues_by_name(now)["hung"]["buffers"]["available"] == 0, "it is full")
            requests = [("queue.free", {"queue": "hung", "as": "config"}),
                        ("queue.show", {"queue": "hung"}), ("version", {}), ("stats", {})]
            client.send(b"".join(
                json.dumps({"jsonrpc": "2.0", "id": method, "method": method,
                            "params": params}).encode() for method, params in requests))
            answers = [client.answer() for _ in requests]
            # Whoever has waited for the queue is answered last, and well.
            assert [one["id"] for one in answers] == ["queue.show", "version", "stats",
                                                      "queue.free"], answers
            shown = answers[0]["result"]
            assert shown["state"] == "Freeing", shown
            assert shown["freeing"]["missing"] > 0, shown
            assert str(fifo) in shown["freeing"]["holder"], shown
            assert "error" not in answers[-1], answers[-1]
            names = [one["name"] for one in client.call("queue.list")["queues"]]
            assert names == ["default"]
            assert "packets were not written" in vmqd.stderr(), vmqd.explain("nothing is said")
            vmqd.stop()
    finally:
        os.close(reader)


def test_a_backend_that_takes_no_more(tmp_path):
    """A memif without a peer: what waits at the stop is counted, and comes home."""
    frames = []
    for number in range(EACH):
        for mac in (SLOW, QUICK):
            frames.append(mac + b"\x02" + bytes(5) + b"\x08\x00" + struct.pack(">I", number))
    pcap.write(tmp_path / "source.pcap", frames)
    socket = f"socket={tmp_path}/memif.sock,socket-abstract=no"
    queues = [{"name": name, "vm": name, "adapter": "nic", "memory": {"buffers": 2048},
               "filters": [{"mac": mac.hex(":")}], "backend": backend}
              for name, mac, backend in (
                  ("full", SLOW, {"type": "ethdev",
                                  "device": f"net_memif0,role=server,{socket}"}),
                  ("quick", QUICK, {"type": "sink"}))]
    doc = document([{"name": "nic", "device": f"net_pcap0,rx_pcap={tmp_path}/source.pcap"}],
                   queues)
    with Vmqd(doc, tmp_path) as daemon:
        now = daemon.wait(lambda now: now["total"]["received"] == len(frames), "all is received")
        full = queues_by_name(now)["full"]
        assert full["waiting"] > 0 and full["drops"]["no_buffer"] > 0, daemon.explain(full)
        final = queues_by_name(daemon.stop())
    assert final["quick"]["delivered"] == EACH and final["quick"]["dropped"] == 0
    full = final["full"]
    assert full["drops"]["stopped"] > 0, full
    assert full["delivered"] + full["drops"]["stopped"] <= 2048, "more than its own memory"


@pytest.mark.parametrize("workers", [1, 2])
def test_what_waits_for_a_late_peer_arrives_in_order(tmp_path, need, workers):
    """One vmqd to another over memif; the second starts when all is waiting in the first."""
    main_core, worker = cpus()
    need(workers == 1 or main_core != worker, "two workers need two CPUs")
    count = 6000  # more than the memif's own rings take
    frames = [SLOW + b"\x02" + bytes(5) + b"\x08\x00" + struct.pack(">I", number) + bytes(50)
              for number in range(count)]
    pcap.write(tmp_path / "source.pcap", frames)
    socket = f"socket={tmp_path}/memif.sock,socket-abstract=no"
    queue_worker = worker if workers == 1 else main_core
    sender = document(
        [{"name": "nic", "device": f"net_pcap0,rx_pcap={tmp_path}/source.pcap",
          "default_queue": {"affinity": [worker]}}],
        [{"name": "vm", "vm": "vm", "adapter": "nic", "affinity": [queue_worker],
          "memory": {"buffers": 8192}, "filters": [{"mac": SLOW.hex(":")}],
          "backend": {"type": "ethdev", "device": f"net_memif0,role=server,{socket}"}}],
        workers=list({worker, queue_worker}))
    receiver = document(
        [{"name": "nic", "device": f"net_memif0,role=client,{socket}",
          "default_queue": {"memory": {"buffers": 16384},
                            "backend": {"type": "pcap", "file": str(tmp_path / "peer.pcap")}}}],
        [])
    with Vmqd(sender, tmp_path / "sender") as first:
        first.wait(lambda now: now["total"]["waiting"] == count, "all is waiting")
        with Vmqd(receiver, tmp_path / "receiver") as second:
            second.wait(lambda now: now["total"]["delivered"] == count, "all is at the peer")
            second.stop()
        final = queues_by_name(first.stop())["vm"]
    assert final["delivered"] == count and final["dropped"] == 0, final
    assert pcap.Capture(tmp_path / "peer.pcap").frames == frames
