# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
A container that is a second process: dpdk-testpmd at the other end of a memif socket
swaps the MACs of each frame and sends it back, and vmqd sends that to the wire.
"""

import json
import os
import shutil
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


@pytest.mark.parametrize("name", ["memif.json", "host-tap.json"])
def test_the_examples_are_right_but_for_their_nic(name, tmp_path):
    doc = json.loads((TOP / "config" / name).read_text(encoding="utf-8"))
    doc["eal"] = {"hugepages": False}
    doc["adapters"][0]["device"] = "net_null0"
    (tmp_path / name).write_text(json.dumps(doc), encoding="utf-8")
    done = vmqd.run(["-c", tmp_path / name, "--check"])
    assert done.returncode == 0, done.stderr
