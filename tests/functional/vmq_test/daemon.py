# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""Run a real vmqd, watch its statistics, and end it; leaves nothing behind."""

import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import threading
import time

from vmq_test import rpc

TOP = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("VMQ_BUILD", TOP / "build"))
if not BUILD.is_absolute():
    BUILD = TOP / BUILD
VMQD = BUILD / "app" / "vmqd" / "vmqd"

START_SECONDS = 60  # on a machine that is busy with other things
STOP_SECONDS = 30

_numbers = itertools.count()


def cpus():
    """CPU of the control thread and CPU of a worker; the same on a machine with one."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[1 % len(allowed)]


def unique_prefix():
    """A name that no other test run on this machine has."""
    return f"vmqtest_{os.getpid()}_{next(_numbers)}"


def remove_runtime(prefix):
    """Remove the run time folder that EAL keeps for a file prefix."""
    places = ["/var/run", "/tmp", os.environ.get("XDG_RUNTIME_DIR", "/var/run")]
    for place in places:
        shutil.rmtree(os.path.join(place, "dpdk", prefix), ignore_errors=True)


def remove_control(doc, conf):
    """Remove the socket and the locks of a daemon that was killed."""
    path = rpc.socket_path(doc)
    for file in (path, path.with_name(path.name + ".lock")):
        file.unlink(missing_ok=True)
    for lock in rpc.run_folder().glob("document-*.lock"):
        try:
            if str(conf) in lock.read_text(encoding="utf-8"):
                lock.unlink()
        except FileNotFoundError:
            pass  # another daemon's, that has just ended


def document(adapters, queues, **eal):
    """A document without hugepages, with its own file prefix."""
    main_core, worker = cpus()
    base = {"main_core": main_core, "workers": [worker], "hugepages": False,
            "file_prefix": unique_prefix()}
    return {"eal": {**base, **eal}, "adapters": adapters, "queues": queues}


class Vmqd:
    """A running daemon. A context manager: whatever happens, it is gone at the end."""

    def __init__(self, doc, folder, *options, interval=0.1, wrap=(), stats=True, env=None):
        self.doc = doc
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.conf = self.folder / "vmqd.json"
        self.conf.write_text(json.dumps(doc, indent=1), encoding="utf-8")
        self.stats_file = self.folder / "stats.json"
        self.stats_file.unlink(missing_ok=True)
        self._read_at = 0
        self._reading = threading.Lock()
        self._last = None
        self.out_file = self.folder / "stdout"
        self.err_file = self.folder / "stderr"
        command = [*wrap, str(VMQD), "-c", str(self.conf)]
        if stats:
            command += ["--quiet", "--stats-interval", str(interval),
                        "--stats-json", str(self.stats_file)]
        command += options
        with open(self.out_file, "wb") as out, open(self.err_file, "wb") as err:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=err, cwd=self.folder, env=env)
        self.started = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if not 0 <= self.process.returncode < 128:  # no orderly end
            remove_control(self.doc, self.conf)
        remove_runtime(self.doc["eal"]["file_prefix"])

    @property
    def pid(self):
        return self.process.pid

    def stdout(self):
        return self.out_file.read_text(encoding="utf-8", errors="replace")

    def stderr(self):
        return self.err_file.read_text(encoding="utf-8", errors="replace")

    def explain(self, what):
        """What a failed assertion says: the daemon's own words and last counters."""
        return (f"{what}\n-- status {self.process.poll()}, last statistics: {self._last}\n"
                f"-- stderr:\n{self.stderr()}\n-- stdout:\n{self.stdout()}")

    def last(self):
        """The newest whole object of --stats-json, or None; from any thread."""
        with self._reading:
            try:
                with open(self.stats_file, "rb") as file:
                    file.seek(self._read_at)
                    data = file.read()
            except FileNotFoundError:
                return None
            end = data.rfind(b"\n") + 1
            if end:
                self._last = json.loads(data[:end].splitlines()[-1])
                self._read_at += end
            return self._last

    def objects(self):
        """Every object of --stats-json."""
        with open(self.stats_file, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def wait(self, good, what, seconds=START_SECONDS):
        """Wait until good(newest object) is true, and return that object."""
        end = time.monotonic() + seconds
        while True:
            status = self.process.poll()
            now = self.last()
            if now is not None and good(now):
                return now
            assert status is None, self.explain(f"vmqd ended while waiting until {what}")
            assert time.monotonic() < end, self.explain(f"not after {seconds} s: {what}")
            time.sleep(0.02)

    def wait_running(self):
        """Wait until it receives: the first statistics are there."""
        return self.wait(lambda now: True, "there are statistics")

    def wait_received(self, counts, seconds=START_SECONDS):
        """
        Wait until every adapter has received its packets and all are at home.

        @param counts  {adapter name: packets}
        """
        def good(now):
            for adapter in now["adapters"]:
                nic = adapter["nic"]
                assert nic["no_buffer"] == 0, self.explain(
                    f"adapter {adapter['name']} had no buffer: the test's pools are too small")
                assert nic["received"] <= counts[adapter["name"]], self.explain(
                    f"adapter {adapter['name']} received more than was sent")
            if any(adapter["nic"]["received"] != counts[adapter["name"]]
                   for adapter in now["adapters"]):
                return False
            total = now["total"]
            return total["received"] == sum(counts.values()) and total["waiting"] == 0
        return self.wait(good, "all packets are received and delivered", seconds)

    def end(self, seconds=STOP_SECONDS):
        """Wait for the end; returns the exit status."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(self.explain(f"did not end within {seconds} s")) from None

    def stop(self, how=signal.SIGTERM):
        """Stop in order; asserts status 0 and exact counters, returns the final object."""
        self.process.send_signal(how)
        status = self.end()
        assert status == 0, self.explain(f"exit status {status} after {how!r}")
        return self.final()

    def final(self):
        """The final object, checked: every packet accounted for and home."""
        final = self.last()
        assert final is not None and final["final"] is True, self.explain("no final statistics")
        check_final(final, self.explain)
        return final


def check_final(final, explain=str):
    for queue in final["queues"]:
        where = f"adapter {queue['adapter']} queue {queue['name']}"
        assert queue["waiting"] == 0, explain(f"{where}: {queue['waiting']} still waiting")
        assert queue["dropped"] == sum(queue["drops"].values()), explain(f"{where}: drops")
        assert queue["received"] == queue["delivered"] + queue["dropped"], explain(
            f"{where}: {queue['received']} received, {queue['delivered']} delivered, "
            f"{queue['dropped']} dropped")
        buffers = queue["buffers"]
        assert buffers["outstanding"] == 0, explain(f"{where}: {buffers}")
        assert buffers["available"] == buffers["populated"], explain(f"{where}: {buffers}")
    for counter in ("received", "delivered", "dropped", "waiting"):
        total = sum(queue[counter] for queue in final["queues"])
        assert final["total"][counter] == total, explain(f"total {counter} is not {total}")


def queues_by_name(stats, adapter=None):
    """{name: queue} of a statistics object."""
    return {queue["name"]: queue for queue in stats["queues"]
            if adapter is None or queue["adapter"] == adapter}


def run(arguments, seconds=START_SECONDS, **options):
    """Run vmqd to its end and return subprocess.CompletedProcess with text."""
    return subprocess.run([str(VMQD), *map(str, arguments)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=seconds, check=False, **options)
