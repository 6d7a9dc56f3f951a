# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
vmqctl capture: every packet that a queue delivers or drops, and nobody else's; and DPDK's
own dpdk-dumpcap and dpdk-pdump on vmqd's ports.
"""

import os
import pathlib
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time

import pytest

from vmq_test import pcap, pcapng
from vmq_test.ctl import Ctl, control
from vmq_test.daemon import Vmqd, cpus, document, queues_by_name, unique_prefix

MAC, OTHER = (bytes.fromhex("52540000000%d" % number) for number in (1, 2))
COUNT = 2000


def frame(mac, number, vlan=None):
    tag = b"" if vlan is None else b"\x81\x00" + struct.pack(">H", 5 << 13 | vlan)
    return (mac + b"\x02" + bytes(5) + tag + b"\x08\x00" + struct.pack(">I", number)
            + bytes(number % 300))


class Feed:
    """A source that begins to send when it is told to: a FIFO that net_pcap reads."""

    def __init__(self, path, frames):
        self.path = path
        self.frames = frames
        os.mkfifo(path)
        self.go = threading.Event()
        self.thread = threading.Thread(target=self.write)
        self.thread.start()

    def write(self):
        pcap.write(str(self.path) + ".whole", self.frames)
        with open(str(self.path) + ".whole", "rb") as file:
            data = file.read()
        with open(self.path, "wb") as out:
            out.write(data[:24])  # the header: opening waits for it
            out.flush()
            self.go.wait()
            out.write(data[24:])

    def end(self):
        self.go.set()
        self.thread.join(60)
        assert not self.thread.is_alive()


@pytest.fixture
def fed(tmp_path):
    """fed(frames, queues): a running daemon and the feed that has not begun."""
    made = []

    def make(frames, queues, **adapter):
        feed = Feed(tmp_path / "feed", frames)
        doc = document([{"name": "nic", "device": f"net_pcap0,rx_pcap={feed.path}", **adapter}],
                       queues)
        control(doc, tmp_path)
        daemon = Vmqd(doc, tmp_path)
        made.append((daemon, feed))
        daemon.wait_running()
        return daemon, feed
    yield make
    for daemon, feed in made:
        daemon.__exit__()
        if feed.thread.is_alive():
            # Nobody may have opened the other end.
            os.close(os.open(feed.path, os.O_RDONLY | os.O_NONBLOCK))
        feed.end()


@pytest.fixture
def silent(tmp_path):
    """A daemon whose port receives nothing."""
    doc = document([{"name": "nic", "device": "net_null0,no-rx=1"}], [queue("one", MAC)])
    control(doc, tmp_path)
    with Vmqd(doc, tmp_path) as daemon:
        daemon.wait_running()
        yield daemon


def queue(name, mac, vlan="any", **more):
    return {"name": name, "vm": name, "filters": [{"mac": mac.hex(":"), "vlan": vlan}],
            "backend": {"type": "sink"}, **more}


def begin(ctl, *words):
    """Start vmqctl capture, and wait until it captures."""
    process = ctl.start("capture", *words)
    end = time.monotonic() + 60
    file = words[words.index("-w") + 1]
    while not (os.path.exists(file) and os.path.getsize(file) > 0):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)
    return process


def finish(process):
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out, err


def test_what_a_queue_delivers(fed, tmp_path):
    frames = [frame(mac, number) for number in range(COUNT) for mac in (MAC, OTHER)]
    daemon, feed = fed(frames, [queue("one", MAC), queue("two", OTHER)])
    ctl = Ctl(daemon)
    process = begin(ctl, "one", "-w", tmp_path / "one.pcapng")
    before = time.time_ns()
    feed.go.set()
    daemon.wait(lambda now: now["total"]["delivered"] == 2 * COUNT, "all is delivered")
    _, err = finish(process)
    assert f"{COUNT} packets captured, 0 lost" in err
    capture = pcapng.Capture(tmp_path / "one.pcapng")
    assert capture.frames == frames[0::2]
    assert capture.interface == "nic/one" and capture.resolution == 9
    assert capture.received == COUNT and capture.dropped == 0
    assert capture.stamps_ns == sorted(capture.stamps_ns)
    assert before <= capture.stamps_ns[0] <= capture.stamps_ns[-1] <= time.time_ns()
    assert set(capture.comments) == {None}
    final = daemon.stop()
    assert final["total"]["dropped"] == 0


def test_what_tcpdump_reads(fed, tmp_path, need):
    need(shutil.which("tcpdump"), "tcpdump is missing: apt-get install tcpdump")
    daemon, feed = fed([frame(MAC, number) for number in range(10)], [queue("one", MAC)])
    process = begin(Ctl(daemon), "one", "-w", tmp_path / "one.pcapng", "--snaplen", "40")
    feed.go.set()
    daemon.wait(lambda now: now["total"]["delivered"] == 10, "all is delivered")
    finish(process)
    capture = pcapng.Capture(tmp_path / "one.pcapng")
    assert [len(one) for one in capture.frames] == [min(18 + number, 40) for number in range(10)]
    assert capture.lengths == [18 + number for number in range(10)]
    done = subprocess.run(["tcpdump", "-enr", tmp_path / "one.pcapng"], capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 10 and MAC.hex(":") in done.stdout


def test_drops_by_reason_and_tags_beside(fed, tmp_path):
    """A memif without a peer: its queue drops; a queue of a VLAN has its tag beside."""
    backend = {"type": "ethdev",
               "device": f"net_memif0,role=server,socket={tmp_path}/m,socket-abstract=no"}
    frames = [frame(MAC, number, 7) for number in range(COUNT)]
    daemon, feed = fed(frames, [queue("one", MAC, 7, memory={"buffers": 64},
                                      backend=backend)])
    ctl = Ctl(daemon)
    process = begin(ctl, "one", "--drops", "no_buffer", "-w", tmp_path / "drops.pcapng")
    feed.go.set()
    now = daemon.wait(lambda now: now["total"]["received"] == COUNT, "all is received")
    finish(process)
    capture = pcapng.Capture(tmp_path / "drops.pcapng")
    dropped = queues_by_name(now)["one"]["drops"]["no_buffer"]
    assert 0 < dropped == len(capture.frames)
    assert all(text.startswith("dropped: no_buffer") and "id 7, priority 5" in text
               for text in capture.comments)
    # As the VM would have had them: the tag was taken out.
    assert all(one[12:14] == b"\x08\x00" for one in capture.frames)


def test_a_count_ends_it(fed, tmp_path):
    daemon, feed = fed([frame(MAC, number) for number in range(COUNT)], [queue("one", MAC)])
    process = begin(Ctl(daemon), "one", "-c", "5", "-w", tmp_path / "five.pcapng")
    feed.go.set()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and "5 packets captured" in err, (out, err)
    assert len(pcapng.Capture(tmp_path / "five.pcapng").frames) == 5


def test_what_is_refused(silent, tmp_path):
    ctl = Ctl(silent)
    file = tmp_path / "x"
    for words, status, text in (
            (("nobody", "-w", file), 1, "nobody"),
            (("one", "-w", file, "--drops", "nonsense"), 1, 'no reason "nonsense"'),
            (("one", "-w", file, "--drops", "backend"), 1, "the backend's own"),
            (("one", "-w", file, "--snaplen", "0"), 1, "snaplen"),
            (("one",), 2, "which file"),
            (("one", "-w", tmp_path / "no" / "x"), 1, "No such file")):
        done = ctl.run("capture", *words)
        assert done.returncode == status and text in done.stderr, (words, done)
    process = begin(ctl, "one", "-w", tmp_path / "first")
    done = ctl.run("capture", "one", "-w", file)
    assert done.returncode == 1 and "captured already" in done.stderr
    finish(process)
    # The one before has let go.
    finish(begin(ctl, "one", "-w", tmp_path / "second"))
    assert not list(tmp_path.glob("*.capture-*")), "a socket is left behind"


def test_a_client_that_dies_and_a_daemon_that_stops(fed, tmp_path):
    daemon, feed = fed([frame(MAC, number) for number in range(COUNT)], [queue("one", MAC)])
    ctl = Ctl(daemon)
    process = begin(ctl, "one", "-w", tmp_path / "first")
    process.kill()
    process.wait()
    end = time.monotonic() + 60
    while True:  # until the daemon has noticed
        second = ctl.start("capture", "one", "-w", tmp_path / "second")
        time.sleep(0.5)
        if second.poll() is None:
            break
        assert time.monotonic() < end, second.communicate()
    feed.go.set()
    daemon.wait(lambda now: now["total"]["delivered"] == COUNT, "all is delivered")
    final = daemon.stop()
    _, err = second.communicate(timeout=60)
    assert second.returncode == 0 and "the file is complete" in err, err
    assert len(pcapng.Capture(tmp_path / "second").frames) == COUNT
    assert final["total"]["dropped"] == 0


def test_a_queue_that_is_freed_ends_its_capture(silent, tmp_path):
    ctl = Ctl(silent)
    process = begin(ctl, "one", "-w", tmp_path / "one")
    done = ctl.run("--as", "config", "queue", "free", "one")
    assert done.returncode == 0, done.stderr
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0 and "the queue has been freed" in err, err


def test_packets_of_others_are_not_for_everybody(silent, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("another user is needed: run as root")
    ctl = Ctl(silent)
    os.chmod(ctl.socket, 0o666)
    for parent in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        os.chmod(parent, 0o755)
    for name in ("one", "1", "default", "0"):
        done = ctl.run("capture", name, "-w", "-", user="nobody")
        assert done.returncode == 1 and not done.stdout, done
        assert "has no queue" in done.stderr or "only its owner" in done.stderr, done


def hugepages(need):
    need(os.geteuid() == 0, "hugepages need root: run as root or with sudo")
    free = int(open("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages",
                    encoding="ascii").read()) if os.path.exists(
        "/sys/kernel/mm/hugepages/hugepages-2048kB") else 0
    need(free >= 128, f"{free} hugepages of 2 MB are free, 128 are needed: "
                      "echo 512 > /proc/sys/vm/nr_hugepages")


@pytest.mark.parametrize("tool", ["dpdk-dumpcap", "dpdk-pdump"])
def test_dpdks_own_tools_capture_a_port(tool, tmp_path, need, request):
    """On a port of net_null, which other processes can share."""
    need(shutil.which(tool), f"{tool} is missing: apt-get install dpdk-dev")
    hugepages(need)
    prefix = unique_prefix()
    main_core, worker = cpus()
    doc = {"eal": {"main_core": main_core, "workers": [worker], "in_memory": False,
                   "file_prefix": prefix},
           "adapters": [{"name": "nic", "device": "net_null0,copy=1",
                         "default_queue": {"memory": {"buffers": 4096, "buffer_size": 512}}}],
           "queues": []}
    control(doc, tmp_path)
    # dpdk-pdump cuts a path that is longer than 63 bytes or so.
    folder = tempfile.mkdtemp(prefix="vmq-")
    request.addfinalizer(lambda: shutil.rmtree(folder))
    file = pathlib.Path(folder) / "port.pcap"
    with Vmqd(doc, tmp_path) as daemon:
        daemon.wait(lambda now: now["total"]["received"] > 0, "it receives")
        if tool == "dpdk-dumpcap":
            command = [tool, "--file-prefix", prefix, "-i", "0", "-c", "100", "-w", file]
        else:
            command = [tool, "--file-prefix", prefix, "-l", str(main_core), "--",
                       "--pdump", f"port=0,queue=*,rx-dev={file}"]
        with open(tmp_path / "tool.log", "wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            end = time.monotonic() + 120
            while not (file.exists() and file.stat().st_size > 10000):
                assert process.poll() in (None, 0), (tmp_path / "tool.log").read_text()
                assert time.monotonic() < end, (tmp_path / "tool.log").read_text()
                if process.poll() == 0:
                    break
                time.sleep(0.1)
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            status = process.wait(60)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        assert status == 0, (tmp_path / "tool.log").read_text()
        if tool == "dpdk-dumpcap":
            capture = pcapng.Capture(file)
            assert len(capture.frames) >= 100 and all(len(one) == 64 for one in capture.frames)
        else:
            assert len(pcap.Capture(file).frames) >= 100
        # vmqd goes on, and ends in order.
        now = daemon.last()["total"]["received"]
        daemon.wait(lambda later: later["total"]["received"] > now, "it still receives")
        daemon.stop()
