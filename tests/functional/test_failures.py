# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""What is not there is named, nothing is left behind, and the exit status says it."""

import json
import resource
import shutil
import subprocess
import sys

import pytest

from vmq_test import daemon, netns, pcap
from vmq_test.daemon import Vmqd, document, queues_by_name

MAC = "52:54:00:00:00:01"
FRAME = bytes.fromhex(MAC.replace(":", "") + "020000000001" + "0800") + bytes(1000)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.pcap"
    pcap.write(path, [FRAME] * 100)
    return path


def one_queue(source, backend=None, **more):
    return document([{"name": "nic", "device": f"net_pcap0,rx_pcap={source}"}],
                    [{"name": "vm1", "vm": "vm1", "adapter": "nic", "filters": [{"mac": MAC}],
                      "backend": backend or {"type": "sink"}}], **more)


def run(doc, tmp_path, *options, **more):
    """Run vmqd on a document, at most a moment."""
    conf = tmp_path / "conf.json"
    conf.write_text(json.dumps(doc), encoding="utf-8")
    try:
        return daemon.run(["-c", conf, "--seconds", "1", "--quiet", *options], **more)
    finally:
        daemon.remove_runtime(doc["eal"]["file_prefix"])


def refused(done, *words):
    assert done.returncode == 1, done
    for word in words:
        assert word in done.stderr, f"{word!r} is not in the message:\n{done.stderr}"


def works(source, tmp_path):
    """After a failure the same machine serves a good document."""
    assert run(one_queue(source), tmp_path).returncode == 0


@pytest.mark.parametrize("device, word", [
    ("net_pcap0,rx_pcap=/nowhere/nothing.pcap", "/nowhere/nothing.pcap"),
    ("net_af_packet0,iface=vmqnoiface", "vmqnoiface"),
    ("net_no_such_driver0", "net_no_such_driver0"),
    ("ffff:ff:1f.7", "ffff:ff:1f.7"),
])
def test_a_missing_device(source, tmp_path, device, word):
    doc = one_queue(source)
    doc["adapters"][0]["device"] = device
    refused(run(doc, tmp_path), word, "/adapters/0")
    works(source, tmp_path)


def test_a_file_that_is_no_capture(source, tmp_path):
    source.write_bytes(b"this is no capture file\n" * 10)
    refused(run(one_queue(source), tmp_path), "/adapters/0", str(source))


@pytest.mark.parametrize("device, word", [
    ("net_no_such_driver1", "net_no_such_driver1"),
    ("net_af_packet1,iface=vmqnoiface", "vmqnoiface"),
])
def test_a_missing_device_of_a_backend(source, tmp_path, device, word):
    doc = one_queue(source, {"type": "ethdev", "device": device})
    refused(run(doc, tmp_path), word, "/queues/0")
    works(source, tmp_path)


def test_a_capture_file_that_can_not_be_made(source, tmp_path):
    doc = one_queue(source, {"type": "pcap", "file": "/nowhere/vm1.pcap"})
    refused(run(doc, tmp_path), "/nowhere/vm1.pcap", "/queues/0")
    works(source, tmp_path)


@pytest.mark.parametrize("backend", [False, True], ids=["adapter", "backend"])
def test_a_port_that_is_busy(source, tmp_path, need, backend):
    need(netns.missing() is None, netns.missing())
    doc = one_queue(source)
    if backend:
        doc["queues"][0]["backend"] = {"type": "ethdev", "device": "net_tap0,iface=vmqbusy"}
    else:
        doc["adapters"][0]["device"] = "net_tap0,iface=vmqbusy"
    with netns.Namespaces("busy") as spaces:
        holder = spaces.start("busy", sys.executable, netns.HELPER, "hold", "vmqbusy",
                              stdout=subprocess.PIPE, text=True)
        try:
            netns.ready(holder)
            with Vmqd(doc, tmp_path, wrap=spaces.wrap("busy")) as daemon_:
                assert daemon_.end() == 1, daemon_.explain("exit status")
                assert "vmqbusy" in daemon_.stderr(), daemon_.explain("does not name the port")
                place = "/queues/0" if backend else "/adapters/0"
                assert place in daemon_.stderr(), daemon_.explain("does not say where")
        finally:
            holder.kill()
            holder.communicate()
        # Once nobody holds it any more, the same document works.
        with Vmqd(doc, tmp_path, wrap=spaces.wrap("busy")) as daemon_:
            daemon_.wait_running()
            daemon_.stop()


def test_two_daemons_with_one_file_prefix(source, tmp_path):
    first = one_queue(source)
    with Vmqd(first, tmp_path / "first") as running:
        running.wait_running()
        # EAL keeps a lock for each prefix, except in memory of its own alone.
        with Vmqd(first, tmp_path / "second", "--seconds", "1") as other:
            status = other.end()
            assert status == 0 or first["eal"]["file_prefix"] in other.stderr(), (
                other.explain("does not name the prefix"))
        running.wait_received({"nic": 100})
        running.stop()


def test_hugepages_that_are_not_there(source, tmp_path):
    doc = one_queue(source, hugepages=True, memory_mb=1_000_000)
    for options in (["--check"], []):
        done = run(doc, tmp_path, *options)
        # The arithmetic, and the command that mends it.
        refused(done, "1000000", "MiB", "nr_hugepages")


def test_more_buffers_than_there_is_memory(source, tmp_path):
    doc = one_queue(source)
    doc["queues"][0]["memory"] = {"buffers": 4_000_000, "buffer_size": 65_000}
    for options in (["--check"], []):
        done = run(doc, tmp_path, *options)
        assert done.returncode == 1, done
        assert "MiB" in done.stderr or "buffer_size" in done.stderr, done


def test_memory_that_runs_out_while_starting(source, tmp_path):
    # The check sees the machine's memory, not this limit: EAL itself has to fail.
    limit = 256 << 20
    doc = one_queue(source)
    doc["queues"][0]["memory"] = {"buffers": 200_000}
    done = run(doc, tmp_path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS,
                                                                    (limit, limit)))
    assert done.returncode == 1, done
    assert "emory" in done.stderr, done


def test_a_cpu_that_is_not_there(source, tmp_path):
    done = run(one_queue(source, main_core=1023), tmp_path)
    refused(done, "1023", "/eal/main_core")


def test_a_disk_that_is_full_is_a_counted_drop(source, tmp_path, need):
    need(netns.missing() is None, "a small file system needs root")
    need(shutil.which("unshare"), "unshare is missing: apt-get install util-linux")
    small = tmp_path / "small"
    small.mkdir()
    file = small / "vm1.pcap"
    # Seen by this daemon alone, and gone with it.
    mount = f"mount -t tmpfs -o size=32k vmqtest '{small}' && exec \"$@\""
    wrap = ["unshare", "--mount", "sh", "-c", mount, "sh"]
    with Vmqd(one_queue(source, {"type": "pcap", "file": str(file)}), tmp_path, wrap=wrap) as full:
        full.wait(lambda now: now["total"]["received"] == 100 and not now["total"]["waiting"],
                  "all is received")
        full.process.terminate()
        assert full.end() in (0, 1), full.explain("exit status")
        queue = queues_by_name(full.final())["vm1"]
    assert queue["received"] == 100
    assert queue["delivered"] <= 32, queue
    assert queue["drops"]["backend"] == 100 - queue["delivered"], queue
