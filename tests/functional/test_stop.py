# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""However it is stopped, every packet is accounted for and comes home."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time

import pytest

from vmq_test.daemon import BUILD, TOP, Vmqd, document

STOPS = 50
LEAK_PLUGIN = BUILD / "tests" / "functional" / "leak_plugin.so"


@pytest.fixture(scope="module")
def traffic(tmp_path_factory):
    """Frames for 8 VMs and for others that nobody has."""
    path = tmp_path_factory.mktemp("traffic") / "traffic.pcap"
    subprocess.run([TOP / "usertools" / "make-traffic", "--vms", "8", "--others", "2",
                    "--packets", "64", path], check=True, timeout=60)
    return path


def loaded_document(traffic, folder):
    """Endless traffic; two of the eight queues write captures, so packets are held."""
    queues = []
    for vm in range(1, 9):
        backend = {"type": "sink"}
        if vm % 4 == 0:
            backend = {"type": "pcap", "file": str(folder / f"vm{vm}.pcap")}
        queues.append({"name": f"vm{vm}", "vm": f"vm{vm}", "adapter": "nic",
                       "filters": [{"mac": f"52:54:00:00:00:{vm:02x}", "vlan": vm}],
                       "memory": {"buffers": 1024}, "backend": backend})
    adapter = {"name": "nic", "device": f"net_pcap0,rx_pcap={traffic},infinite_rx=1",
               "default_queue": {"backend": {"type": "sink"}}}
    return document([adapter], queues)


def catches(pid, number):
    """Has the process installed a handler for a signal?"""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        caught = next(line for line in status if line.startswith("SigCgt:"))
    return int(caught.split()[1], 16) >> (number - 1) & 1


def test_stop_under_full_load_fifty_times(tmp_path, traffic):
    seed = int(os.environ.get("VMQ_SEED", random.SystemRandom().randrange(2**32)))
    print(f"VMQ_SEED={seed}")
    rng = random.Random(seed)
    doc = loaded_document(traffic, tmp_path)
    for number in range(STOPS):
        how = (signal.SIGTERM, signal.SIGINT)[number % 2]
        during_start = number % 4 == 3
        pause = rng.uniform(0, 0.3)
        text = f"VMQ_SEED={seed}, stop {number}: {how!r} after {pause:.3f} s"
        with Vmqd(doc, tmp_path, interval=0.05) as daemon:
            if during_start:
                end = time.monotonic() + 30
                while daemon.process.poll() is None and not catches(daemon.pid, how):
                    assert time.monotonic() < end, daemon.explain(f"{text}: no signal handler")
                    time.sleep(0.001)
            else:
                daemon.wait(lambda now: now["total"]["delivered"] > 0, "there is traffic")
            time.sleep(pause)
            daemon.process.send_signal(how)
            status = daemon.end()
            assert status == 0, daemon.explain(f"{text}: exit status {status}")
            # Before it has started there may be nothing to report.
            if not during_start or daemon.last() is not None:
                final = daemon.final()
                assert during_start or final["total"]["delivered"] > 0, daemon.explain(text)
        for vm in (4, 8):
            (tmp_path / f"vm{vm}.pcap").unlink(missing_ok=True)


@contextlib.contextmanager
def leaking(traffic, folder, queue_id, count):
    """A vmqd that has lost `count` packets of a queue."""
    doc = loaded_document(traffic, folder)
    # EAL refuses a path that leads through a folder that anybody may write to, which
    # that of a checkout may do; by its name alone the dynamic linker finds it.
    doc["eal"]["extra_args"] = ["-d", LEAK_PLUGIN.name]
    done = folder / "taken"
    env = {**os.environ, "LD_LIBRARY_PATH": str(LEAK_PLUGIN.parent),
           "VMQ_LEAK_POOL": f"vmq_a0_q{queue_id}_rx", "VMQ_LEAK_COUNT": str(count),
           "VMQ_LEAK_DONE": str(done)}
    with Vmqd(doc, folder, env=env) as daemon:
        daemon.wait(lambda _: done.exists(), "the plugin has taken its packets")
        yield daemon


@pytest.mark.parametrize("queue_id, name", [(3, "vm3"), (0, "default")])
def test_a_packet_that_does_not_come_home_is_named(tmp_path, traffic, queue_id, name):
    with leaking(traffic, tmp_path, queue_id, 3) as daemon:
        daemon.process.send_signal(signal.SIGTERM)
        status = daemon.end(60)
        assert status == 1, daemon.explain(f"exit status {status}")
        lines = [line for line in daemon.stderr().splitlines() if name in line and "3" in line]
        assert lines, daemon.explain(f"no line names queue {name} and 3 packets")
        final = daemon.last()
        assert final["final"], daemon.explain("no final statistics")
        outstanding = {queue["name"]: queue["buffers"]["outstanding"]
                       for queue in final["queues"] if queue["buffers"]["outstanding"]}
        assert outstanding == {name: 3}, daemon.explain("outstanding at the end")


def test_a_second_signal_ends_at_once(tmp_path, traffic):
    # The missing packet makes the orderly stop wait.
    with leaking(traffic, tmp_path, 3, 1) as daemon:
        daemon.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        assert daemon.process.poll() is None, daemon.explain("did not wait for the packet")
        before = time.monotonic()
        daemon.process.send_signal(signal.SIGTERM)
        status = daemon.end()
        took = time.monotonic() - before
        assert took < 1, daemon.explain(f"took {took:.2f} s after the second signal")
        assert status != 0, daemon.explain("status 0 with a packet missing")


def test_kill_9_leaves_nothing_that_stops_the_next_start(tmp_path, traffic):
    doc = loaded_document(traffic, tmp_path)
    for _ in range(3):
        with Vmqd(doc, tmp_path) as daemon:
            daemon.wait(lambda now: now["total"]["delivered"] > 0, "there is traffic")
            daemon.process.kill()
            assert daemon.end() == -signal.SIGKILL
            # Not cleaned up by the test: the same prefix starts again at once.
            with Vmqd(doc, tmp_path) as again:
                again.wait(lambda now: now["total"]["delivered"] > 0, "there is traffic again")
                again.stop()
    shutil.rmtree(tmp_path)


def test_seconds_ends_by_itself(tmp_path, traffic):
    with Vmqd(loaded_document(traffic, tmp_path), tmp_path, "--seconds", "1") as daemon:
        daemon.wait_running()
        status = daemon.end()
        assert status == 0, daemon.explain(f"exit status {status}")
        final = daemon.final()
        assert 0.9 <= final["elapsed_s"] < 3, final["elapsed_s"]
