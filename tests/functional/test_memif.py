# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
A container that is a second process: dpdk-testpmd at the other end of a memif socket
swaps the MACs of each frame and sends it back, and vmqd sends that to the wire.
"""

import json
import os
import shutil
import socket
import subprocess

import pytest

from vmq_test import pcap
from vmq_test import daemon as vmqd
from vmq_test.daemon import (TOP, Vmqd, cpus, document, queues_by_name, remove_runtime,
                             unique_prefix)

FRAMES = 500
BOX = bytes.fromhex("52540000000b")
PEER = bytes.fromhex("525400000001")


@pytest.fixture
def box(tmp_path):
    """Start a container on a socket; ended by its id whatever happens."""
    started = []

    def start(socket):
        prefix = unique_prefix()
        log = open(tmp_path / f"testpmd-{len(started)}", "wb")
        main, worker = cpus()
        lcores = f"0@{main},1@{worker}"
        process = subprocess.Popen(
            ["dpdk-testpmd", "--no-huge", "-m", "256", "--no-pci", "--no-telemetry",
             f"--file-prefix={prefix}", f"--lcores={lcores}", "--vdev",
             f"net_memif0,role=client,socket={socket},socket-abstract=no,id=7", "--",
             "--forward-mode=macswap", "--auto-start", "--total-num-mbufs=4096",
             "--no-flush-rx", "--stats-period=3600"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        started.append((process, log, prefix))
        return process

    yield start
    for process, log, prefix in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        log.close()
        remove_runtime(prefix)


def test_a_container_answers_every_frame(box, need, tmp_path):
    need(shutil.which("dpdk-testpmd"), "dpdk-testpmd is missing: apt-get install dpdk-dev")
    sent = [BOX + PEER + b"\x88\xb5" + number.to_bytes(4, "big") + bytes(42 + number % 1000)
            for number in range(FRAMES)]
    pcap.write(tmp_path / "in.pcap", sent)
    socket = tmp_path / "memif.sock"
    need(len(os.fsencode(socket)) < 108, f"a socket's path may have 107 bytes: {socket}")
    adapter = {"name": "nic",
               "device": f"net_pcap0,rx_pcap={tmp_path}/in.pcap,tx_pcap={tmp_path}/out.pcap"}
    queue = {"name": "box", "vm": "box", "memory": {"buffers": 1024},
             "filters": [{"mac": BOX.hex(":"), "vlan": "untagged"}],
             "backend": {"type": "ethdev", "device": f"net_memif0,role=server,socket={socket},"
                                                     "socket-abstract=no,id=7"}}
    with Vmqd(document([adapter], [queue]), tmp_path) as daemon:
        # Before there is a container they wait in its queue's memory.
        daemon.wait(lambda now: queues_by_name(now)["box"]["waiting"] == FRAMES,
                    "all frames wait")
        container = box(socket)
        daemon.wait(lambda now: queues_by_name(now)["box"]["transmit"]["sent"] == FRAMES,
                    "the container has answered all")
        assert container.poll() is None
        final = daemon.stop()
    ours = queues_by_name(final)["box"]
    assert ours["delivered"] == FRAMES and ours["dropped"] == 0
    assert ours["transmit"]["received"] == FRAMES and ours["transmit"]["dropped"] == 0
    assert pcap.Capture(tmp_path / "out.pcap").frames == [
        PEER + BOX + frame[12:] for frame in sent]


def test_a_container_that_is_killed_comes_back_and_goes_on(box, need, space, tmp_path):
    """What comes while it is away waits, and nothing is lost: it dies with nothing in hand."""
    need(shutil.which("dpdk-testpmd"), "dpdk-testpmd is missing: apt-get install dpdk-dev")
    path = tmp_path / "memif.sock"
    need(len(os.fsencode(path)) < 108, f"a socket's path may have 107 bytes: {path}")
    adapter = {"name": "nic", "device": "net_tap0,iface=wire0"}
    queue = {"name": "box", "vm": "box", "memory": {"buffers": 1024},
             "filters": [{"mac": BOX.hex(":"), "vlan": "untagged"}],
             "backend": {"type": "ethdev", "device": f"net_memif0,role=server,socket={path},"
                                                     "socket-abstract=no,id=7"}}
    with Vmqd(document([adapter], [queue]), tmp_path, wrap=space.wrap("taps")) as daemon, \
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        daemon.wait_running()
        wire.bind(("wire0", 0x88b5))
        wire.settimeout(30)
        answered = 0
        for life in range(4):
            # Before there is one, and once the one before has gone.
            sent = [BOX + PEER + b"\x88\xb5" + bytes([life, i]) + bytes(44) for i in range(100)]
            for frame in sent:
                wire.send(frame)
            daemon.wait(lambda now: queues_by_name(now)["box"]["waiting"] == len(sent),
                        "all frames wait")
            container = box(path)
            answers = [wire.recv(2000) for _ in sent]
            assert answers == [PEER + BOX + frame[12:] for frame in sent]
            answered += len(sent)
            daemon.wait(lambda now: queues_by_name(now)["box"]["transmit"]["sent"] == answered,
                        "it is told")
            container.kill()
            container.wait()
            daemon.wait(lambda now: not queues_by_name(now)["box"]["backend"]["link"]["up"],
                        "its end is noticed")
        ours = queues_by_name(daemon.stop())["box"]
    assert ours["delivered"] == answered and ours["dropped"] == 0
    assert ours["transmit"]["received"] == answered and ours["transmit"]["dropped"] == 0


def test_containers_killed_under_full_load_are_not_the_end_of_vmqd(box, need, tmp_path):
    """net_memif takes the memory away at once, with the worker in the middle of a burst."""
    need(shutil.which("dpdk-testpmd"), "dpdk-testpmd is missing: apt-get install dpdk-dev")
    pcap.write(tmp_path / "in.pcap", [BOX + PEER + b"\x88\xb5" + bytes(1000)] * 64)
    path = tmp_path / "memif.sock"
    need(len(os.fsencode(path)) < 108, f"a socket's path may have 107 bytes: {path}")
    adapter = {"name": "nic", "device": f"net_pcap0,rx_pcap={tmp_path}/in.pcap,infinite_rx=1"}
    queue = {"name": "box", "vm": "box", "memory": {"buffers": 1024},
             "filters": [{"mac": BOX.hex(":"), "vlan": "untagged"}],
             "backend": {"type": "ethdev", "device": f"net_memif0,role=server,socket={path},"
                                                     "socket-abstract=no,id=7"}}
    with Vmqd(document([adapter], [queue]), tmp_path) as daemon:
        for _ in range(10):
            before = queues_by_name(daemon.wait_running())["box"]["delivered"]
            container = box(path)
            daemon.wait(lambda now: queues_by_name(now)["box"]["delivered"] > before + 10000,
                        "it receives")
            container.kill()
            container.wait()
            daemon.wait(lambda now: not queues_by_name(now)["box"]["backend"]["link"]["up"],
                        "its end is noticed")
        daemon.stop()


def test_a_socket_that_a_killed_vmqd_left_is_replaced(need, tmp_path):
    """And who connects to the new one and is gone before it is greeted does no harm."""
    path = tmp_path / "memif.sock"
    need(len(os.fsencode(path)) < 108, f"a socket's path may have 107 bytes: {path}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as left:
        left.bind(str(path))
    queues = [{"name": f"box{i}", "vm": f"box{i}", "memory": {"buffers": 64},
               "filters": [{"mac": f"52:54:00:00:00:0{i}"}],
               "backend": {"type": "ethdev", "device": f"net_memif{i},role=server,socket={path},"
                                                       f"socket-abstract=no,id={i}"}}
              for i in (1, 2)]  # one socket for both
    with Vmqd(document([{"name": "nic", "device": "net_ring0"}], queues), tmp_path) as daemon:
        daemon.wait_running()
        for _ in range(200):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
                client.connect(str(path))
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
            client.connect(str(path))
            client.settimeout(60)
            assert client.recv(128), "it greets nobody any more"
        daemon.stop()


@pytest.mark.parametrize("name", ["memif.json", "host-tap.json"])
def test_the_examples_are_right_but_for_their_nic(name, tmp_path):
    doc = json.loads((TOP / "config" / name).read_text(encoding="utf-8"))
    doc["eal"] = {"hugepages": False}
    doc["adapters"][0]["device"] = "net_null0"
    (tmp_path / name).write_text(json.dumps(doc), encoding="utf-8")
    done = vmqd.run(["-c", tmp_path / name, "--check"])
    assert done.returncode == 0, done.stderr
