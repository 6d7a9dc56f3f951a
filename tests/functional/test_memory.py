# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""A queue's memory grows while its backend is slow and comes back; DPDK's tools see it."""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import threading

import pytest

from vmq_test import netns, pcap, rpc
from vmq_test.daemon import Vmqd, cpus, document, queues_by_name

MAC = bytes.fromhex("525400000001")
FRAMES = 400_000
BUFFERS, LIMIT, STEP = 256, 4096, 1024
POOL = "vmq_a0_q1_rx"


class Reader(threading.Thread):
    """Reads a pipe once it is let go, and counts the frames of the capture in it."""

    def __init__(self, fifo):
        super().__init__(daemon=True)
        self.fifo = fifo
        self.go = threading.Event()
        self.data = b""

    def run(self):
        with open(self.fifo, "rb") as source:
            self.go.wait()
            self.data = source.read()


def telemetry(prefix, request):
    """Ask DPDK's telemetry socket, as dpdk-telemetry.py does."""
    places = ["/var/run/dpdk", os.environ.get("XDG_RUNTIME_DIR", "") + "/dpdk", "/tmp/dpdk"]
    paths = [pathlib.Path(place, prefix, "dpdk_telemetry.v2") for place in places]
    path = next(path for path in paths if path.exists())
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.settimeout(10)
        sock.connect(str(path))
        size = json.loads(sock.recv(1024))["max_output_len"]
        sock.send(request.encode())
        return json.loads(sock.recv(size))[request.split(",")[0]]


def document_of(tmp_path, fifo, **eal):
    _, worker = cpus()
    return document(
        [{"name": "nic", "device": f"net_pcap0,rx_pcap={tmp_path}/source.pcap"}],
        [{"name": "slow", "vm": "slow", "affinity": [worker],
          "memory": {"buffers": BUFFERS, "limit": LIMIT, "buffer_size": 256,
                     "growth": {"low": 128, "high": 128 + STEP, "step": STEP, "hold_ms": 100}},
          "filters": [{"mac": MAC.hex(":")}], "backend": {"type": "pcap", "file": str(fifo)}}],
        **eal)


def make(tmp_path):
    frames = [MAC + b"\x02" + bytes(5) + b"\x08\x00" + bytes(46)]
    pcap.write(tmp_path / "source.pcap", frames * FRAMES)
    fifo = tmp_path / "slow.fifo"
    os.mkfifo(fifo)
    reader = Reader(fifo)
    reader.start()
    return fifo, reader


def grow_and_shrink(daemon, reader, look):
    """look(queue) compares a queue's figures with what another tool says of its pool."""
    full = daemon.wait(lambda now: queues_by_name(now)["slow"]["buffers"]["populated"] == LIMIT and
                       now["total"]["received"] == FRAMES, "the memory has grown to the limit")
    slow = queues_by_name(full)["slow"]
    # 256 + 1024 + 1024 + 1024 + the 768 that the limit leaves.
    assert slow["buffers"]["grown"] == 5 and slow["buffers"]["blocks"] == 5
    assert slow["buffers"]["outstanding"] <= LIMIT
    assert slow["received"] == slow["delivered"] + slow["dropped"] + slow["waiting"]
    look(slow)
    reader.go.set()
    back = daemon.wait(lambda now: now["total"]["waiting"] == 0 and
                       queues_by_name(now)["slow"]["buffers"]["populated"] == BUFFERS,
                       "the added blocks have gone")
    slow = queues_by_name(back)["slow"]
    assert slow["buffers"]["returned"] == 4 and slow["buffers"]["blocks"] == 1
    assert slow["buffers"]["available"] == BUFFERS and slow["buffers"]["retiring"] == 0
    look(slow)
    final = queues_by_name(daemon.stop())["slow"]
    reader.join(30)
    assert not reader.is_alive()
    # A capture is a header and, for each frame, 16 bytes and the frame.
    assert (len(reader.data) - 24) // (16 + 60) == final["delivered"]
    assert final["delivered"] + final["drops"]["no_buffer"] == FRAMES


def test_memory_grows_by_demand_and_comes_back_and_telemetry_shows_it(tmp_path):
    fifo, reader = make(tmp_path)
    doc = document_of(tmp_path, fifo)
    with Vmqd(doc, tmp_path) as daemon:
        def look(queue):
            prefix = doc["eal"]["file_prefix"]
            assert POOL in telemetry(prefix, "/mempool/list")
            info = telemetry(prefix, f"/mempool/info,{POOL}")
            assert info["size"] == LIMIT
            assert info["populated_size"] == queue["buffers"]["populated"]

        daemon.wait_running()
        grow_and_shrink(daemon, reader, look)


def hugepages_of(mb):
    """Are there free hugepages, and a place for them? Says what is missing."""
    info = dict(re.findall(r"(HugePages_Free|Hugepagesize):\s+(\d+)",
                           pathlib.Path("/proc/meminfo").read_text(encoding="ascii")))
    free = int(info.get("HugePages_Free", 0)) * int(info.get("Hugepagesize", 0)) // 1024
    if free < mb:
        return (f"{free} MiB of free hugepages, {mb} are needed: "
                f"echo {mb // 2} > /proc/sys/vm/nr_hugepages")
    mounts = pathlib.Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    if not any(line.split()[2] == "hugetlbfs" and os.access(line.split()[1], os.W_OK)
               for line in mounts):
        return "no hugetlbfs that can be written is mounted: mount -t hugetlbfs none /dev/hugepages"
    return None


NR_HUGEPAGES = pathlib.Path("/proc/sys/vm/nr_hugepages")


@pytest.fixture
def hugepages(need):
    """hugepages(mb): see that there are so many; as root get them, for the test."""
    undo = []

    def want(mb):
        if hugepages_of(mb) is not None and os.geteuid() == 0:
            more = mb // 2
            NR_HUGEPAGES.write_text(str(int(NR_HUGEPAGES.read_text()) + more))
            undo.append(lambda: NR_HUGEPAGES.write_text(
                str(max(int(NR_HUGEPAGES.read_text()) - more, 0))))
        if hugepages_of(mb) is not None and os.geteuid() == 0:
            os.makedirs("/dev/hugepages", exist_ok=True)
            mounted = subprocess.run(["mount", "-t", "hugetlbfs", "none", "/dev/hugepages"],
                                     check=False).returncode == 0
            if mounted:
                undo.append(lambda: subprocess.run(["umount", "/dev/hugepages"], check=False))
        need(hugepages_of(mb) is None, hugepages_of(mb))

    yield want
    for step in reversed(undo):
        step()


def proc_info(prefix):
    """The pool as a secondary process sees it."""
    done = subprocess.run(["dpdk-proc-info", "--file-prefix", prefix, "--no-pci", "--",
                           "--show-mempool", POOL],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    dump = done.stdout[done.stdout.index(f"<{POOL}>"):]
    return {name: int(number)
            for name, number in re.findall(r"\b(populated_size|common_pool_count)=(\d+)", dump)}


@pytest.fixture
def host(need):
    need(netns.missing() is None, netns.missing())
    with netns.Namespaces("host") as spaces:
        yield spaces


def test_a_secondary_process_sees_true_numbers(tmp_path, need, hugepages, host):
    """
    dpdk-proc-info before, in the middle of and after growth and return. The frames come
    by net_tap: net_pcap crashes in every secondary process.
    """
    need(shutil.which("dpdk-proc-info"), "dpdk-proc-info is missing: apt-get install dpdk-dev")
    hugepages(256)
    main_core, worker = cpus()
    fifo = tmp_path / "slow.fifo"
    os.mkfifo(fifo)
    reader = Reader(fifo)
    reader.start()
    doc = document(
        [{"name": "nic", "device": "net_tap0,iface=vmqwire"}],
        [{"name": "slow", "vm": "slow", "affinity": [worker],
          "memory": {"buffers": BUFFERS, "limit": LIMIT, "buffer_size": 256,
                     "growth": {"low": 128, "high": 128 + STEP, "step": STEP, "hold_ms": 100}},
          "filters": [{"mac": MAC.hex(":")}], "backend": {"type": "pcap", "file": str(fifo)}}],
        hugepages=True, in_memory=False, main_core=main_core)
    sender = None
    with Vmqd(doc, tmp_path, wrap=host.wrap("host")) as daemon:
        def seen_while(populated, available=None):
            """What it sees, with the daemon's figures the same before and after."""
            def settled(now):
                figures = queues_by_name(now)["slow"]["buffers"]
                return figures["populated"] == populated and figures["retiring"] == 0 and (
                    available is None or figures["available"] == available)
            before = daemon.wait(settled, f"{populated} buffers are populated")
            seen = proc_info(doc["eal"]["file_prefix"])
            assert seen["populated_size"] == populated
            figures = queues_by_name(before)["slow"]["buffers"]
            assert figures["available"] == seen["common_pool_count"] or available is None

        try:
            daemon.wait_running()
            seen_while(BUFFERS, BUFFERS)
            host.run("host", "ip", "link", "set", "vmqwire", "up")
            sender = host.start("host", sys.executable, netns.HELPER, "frames", "vmqwire",
                                (MAC + b"\x02" + bytes(5) + b"\x08\x00" + bytes(46)).hex())
            # The reader has not begun: what the pipe does not take waits in buffers.
            seen_while(LIMIT)
            sender.kill()
            sender.wait()
            reader.go.set()
            seen_while(BUFFERS, BUFFERS)
            daemon.stop()
        finally:
            reader.go.set()
            if sender is not None and sender.poll() is None:
                sender.kill()
                sender.wait()
    reader.join(30)
    assert not reader.is_alive()


def test_memory_that_its_driver_cannot_hear_of_does_not_grow(tmp_path, need, hugepages, host):
    """net_af_xdp receives into what the pool has at the start, and nothing else."""
    need(any(pathlib.Path("/usr/lib").glob("*/dpdk/pmds-*/librte_net_af_xdp.so*")),
         "DPDK's driver net_af_xdp is missing: apt-get install librte-meta-net")
    hugepages(256)
    host.run("host", "ip", "link", "add", "vmqxdp", "type", "veth", "peer", "name", "vmqpeer")
    for name in ("vmqxdp", "vmqpeer"):
        host.run("host", "ip", "link", "set", name, "up")
    wire = {"name": "nic", "device": "net_af_xdp0,iface=vmqxdp", "steering": "auto",
            "default_queue": {"memory": {"buffers": 4096, "limit": 8192}}}
    queue = {"name": "vm", "vm": "vm", "memory": {"buffers": BUFFERS, "limit": LIMIT},
             "filters": [{"mac": MAC.hex(":")}], "backend": {"type": "sink"}}
    doc = document([wire], [queue], hugepages=True)
    doc["control"] = {"socket": str(tmp_path / "c")}
    sender = None
    with Vmqd(doc, tmp_path / "vmqd", wrap=host.wrap("host")) as daemon:
        try:
            with rpc.Client(tmp_path / "c") as client:
                steering = client.call("adapter.show")["steering"]
                assert "first block only" in json.dumps(steering), steering
                with pytest.raises(rpc.Refused) as refused:
                    client.call("memory.grow", queue=0, buffers=1024)
                assert refused.value.status == "NOT_SUPPORTED"
                assert "first block only" in refused.value.message
                # What software copies into is another matter.
                grown = client.call("memory.grow", {"queue": "vm", "buffers": STEP,
                                                    "as": "config"})
                assert grown["added"] == STEP
            sender = host.start("host", sys.executable, netns.HELPER, "frames", "vmqpeer",
                                (MAC + b"\x02" + bytes(5) + b"\x08\x00" + bytes(46)).hex())
            # More than all buffers: each has been in the ring several times.
            daemon.wait(lambda now: queues_by_name(now)["vm"]["delivered"] > 20_000,
                        "frames flow for long")
        finally:
            if sender is not None:
                sender.kill()
                sender.wait()
        assert "keeps to 4096 buffers" in daemon.stderr()
        now = daemon.last()
        assert queues_by_name(now)["default"]["buffers"]["populated"] == 4096
        # What its ring has this driver keeps when it is closed: that is known, and said.
        daemon.process.terminate()
        assert daemon.end() == 0, daemon.stderr()
        assert "adapter nic: 2048 buffers stay with its driver" in daemon.stderr()
        assert "did not come home" not in daemon.stderr()
