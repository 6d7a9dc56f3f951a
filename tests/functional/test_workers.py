# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""Workers that sleep: what an idle vmqd costs, and how long a first packet waits."""

import os
import socket
import time

import pytest

from vmq_test import netns
from vmq_test.daemon import Vmqd, document, queues_by_name

IDLE_S = 5
IDLE_SHARE = 0.03  # of one CPU, for 16 queues
BOUND_US = 50_000
# What a busy machine may add before a thread that is woken runs.
GRACE_S = 0.5
FRAME = bytes.fromhex("525400000001" "020000000009" "0800").ljust(60, b"v")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def queues(n):
    return [{"name": f"q{i}", "vm": f"vm{i}", "filters": [{"mac": f"52:54:00:00:00:{i:02x}"}],
             "memory": {"buffers": 64, "buffer_size": 2048}, "backend": {"type": "sink"}}
            for i in range(1, n + 1)]


def test_an_idle_vmqd_with_16_queues_uses_little_of_its_cpu(tmp_path):
    doc = document([{"name": "nic", "device": "net_ring0"}], queues(16))
    with Vmqd(doc, tmp_path, interval=1) as daemon:
        daemon.wait_running()
        time.sleep(1)
        used, began = cpu_seconds(daemon.pid), time.monotonic()
        time.sleep(IDLE_S)
        share = (cpu_seconds(daemon.pid) - used) / (time.monotonic() - began)
        # The load is that of a whole second, which takes longer on a busy machine.
        worker = daemon.wait(lambda now: now["workers"][0]["sleep"] > 0.9,
                             "its worker sleeps")["workers"][0]
        assert share < IDLE_SHARE, daemon.explain(f"{share:.1%} of a CPU")
        assert worker["mode"] == "adaptive", worker
        daemon.stop()


def test_a_polling_worker_says_that_it_is_idle(tmp_path):
    doc = document([{"name": "nic", "device": "net_ring0"}], queues(1))
    doc["workers"] = {"mode": "poll"}
    with Vmqd(doc, tmp_path) as daemon:
        now = daemon.wait(lambda now: now["workers"][0]["idle"] > 0, "there is a load")
        worker = now["workers"][0]
        assert worker["sleep"] == 0 and worker["sleeps"] == 0 and worker["idle"] > 0.9, worker
        daemon.stop()


def test_a_worker_without_interrupts_says_why_it_does_not_wait_for_them(tmp_path):
    doc = document([{"name": "nic", "device": "net_ring0"}], queues(1))
    doc["workers"] = {"mode": "interrupt"}
    with Vmqd(doc, tmp_path) as daemon:
        now = daemon.wait(lambda now: now["workers"][0]["fallback"], "the worker says it")
        assert "no receive interrupts" in now["workers"][0]["fallback"]
        daemon.stop()


def test_a_busy_worker_tells_its_cycles_and_bursts(tmp_path):
    doc = document([{"name": "nic", "device": "net_null0"}], queues(1))
    with Vmqd(doc, tmp_path) as daemon:
        now = daemon.wait(lambda now: now["workers"][0]["busy"] > 0, "there is a load", 30)
        worker = now["workers"][0]
        assert worker["cycles_per_packet"] > 1 and worker["mean_burst"] == pytest.approx(32, 0.1), worker
        assert worker["busy"] + worker["idle"] + worker["sleep"] == pytest.approx(1)
        final = daemon.stop()["workers"][0]
        assert final["busy_cycles"] + final["sleep_cycles"] <= final["cycles"]
        assert final["packets"] == final["bursts"] * 32
        stages = final["profile"]["cycles_per_packet"]
        assert stages["receive"] > 0 and stages["deliver"] >= 0, final
        assert final["profile"]["sampled_packets"] > 0, final


class Tap:
    """vmqd between two taps of a namespace: frames go in at one and come out at the other."""

    def __init__(self, folder, space, workers):
        main = {"name": "nic", "device": "net_tap0,iface=in0"}
        queue = {**queues(1)[0], "backend": {"type": "ethdev", "device": "net_tap1,iface=out0"}}
        doc = document([main], [queue])
        doc["workers"] = workers
        self.daemon = Vmqd(doc, folder, wrap=space)

    def delays(self, times, pause_s):
        """Seconds from a frame sent after a pause to the same frame come out."""
        result = []
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender, \
                socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as taker:
            sender.bind(("in0", 0))
            taker.bind(("out0", 0x0800))
            taker.settimeout(10)
            for number in range(times):
                time.sleep(pause_s)
                frame = FRAME[:20] + number.to_bytes(2, "big") + FRAME[22:]
                began = time.monotonic()
                sender.send(frame)
                while taker.recv(2000)[:22] != frame[:22]:
                    pass
                result.append(time.monotonic() - began)
        return result


def test_the_first_packet_after_idleness_comes_within_the_bound(tmp_path, space):
    tap = Tap(tmp_path, space.wrap("taps"), {"max_sleep_us": BOUND_US})
    with tap.daemon as daemon:
        daemon.wait_running()
        delays = tap.delays(10, 0.4)
        assert max(delays) < BOUND_US / 1e6 + GRACE_S, daemon.explain(delays)
        assert sorted(delays)[4] < BOUND_US / 1e6 + GRACE_S / 10, daemon.explain(delays)
        daemon.stop()


def test_an_interrupt_wakes_a_worker_at_once(tmp_path, space):
    main = {"name": "nic", "device": "net_tap0,iface=in0"}
    doc = document([main], queues(1))
    doc["workers"] = {"mode": "interrupt", "max_sleep_us": 1000}
    with Vmqd(doc, tmp_path, interval=0.05, wrap=space.wrap("taps")) as daemon, \
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        daemon.wait(lambda now: now["workers"][0]["sleep"] > 0.9, "its worker sleeps")
        sender.bind(("in0", 0))
        first, waited = daemon.last(), 0
        for number in range(10):
            time.sleep(0.2)
            began = time.monotonic()
            sender.send(FRAME)
            daemon.wait(lambda now: queues_by_name(now)["q1"]["delivered"] == number + 1, "it came")
            waited += time.monotonic() - began
        last = daemon.last()
        worker = last["workers"][0]
        assert worker["fallback"] is None, worker
        # Without an interrupt 2.5 seconds each: a worker looks once in five. The rest is for
        # a busy machine.
        assert waited < 15, daemon.explain(waited)
        # Some for each packet, and not a thousand a second.
        sleeps = worker["sleeps"] - first["workers"][0]["sleeps"]
        assert sleeps < 250 * (last["elapsed_s"] - first["elapsed_s"]), worker
        daemon.stop()


def test_an_interrupt_of_a_backend_wakes_a_worker_at_once(tmp_path, space):
    """What the host sends by a tap that is a queue, to the wire, which is another tap."""
    doc = document([{"name": "nic", "device": "net_tap0,iface=in0"}],
                   [{**queues(1)[0], "filters": [{"mac": FRAME[6:12].hex(":")}],
                     "backend": {"type": "ethdev", "device": "net_tap1,iface=out0"}}])
    doc["workers"] = {"mode": "interrupt", "max_sleep_us": 1000}
    with Vmqd(doc, tmp_path, interval=0.05, wrap=space.wrap("taps")) as daemon, \
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        daemon.wait(lambda now: now["workers"][0]["sleep"] > 0.9, "its worker sleeps")
        sender.bind(("out0", 0))
        first, waited = daemon.last(), 0
        for number in range(10):
            time.sleep(0.2)
            began = time.monotonic()
            sender.send(FRAME)
            daemon.wait(lambda now: queues_by_name(now)["q1"]["transmit"]["sent"] == number + 1,
                        "it came")
            waited += time.monotonic() - began
        last = daemon.last()
        worker = last["workers"][0]
        assert worker["fallback"] is None, worker
        assert waited < 15, daemon.explain(waited)
        sleeps = worker["sleeps"] - first["workers"][0]["sleeps"]
        assert sleeps < 250 * (last["elapsed_s"] - first["elapsed_s"]), worker
        daemon.stop()


def test_a_backend_without_interrupts_is_said(tmp_path, space):
    device = f"net_memif0,role=server,socket={tmp_path}/box.sock,socket-abstract=no"
    doc = document([{"name": "nic", "device": "net_tap0,iface=in0"}],
                   [{**queues(1)[0], "backend": {"type": "ethdev", "device": device}}])
    doc["workers"] = {"mode": "interrupt"}
    with Vmqd(doc, tmp_path, wrap=space.wrap("taps")) as daemon:
        why = "a backend of this worker is received from and raises no interrupts"
        daemon.wait(lambda now: now["workers"][0]["fallback"] == why, "the worker says it")
        daemon.stop()
