# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""dpdk-testpmd: the ceiling of receiving, and fast VMs."""

import pathlib
import re
import shutil
import subprocess
import time

from vmq_bench import common
from vmq_bench.common import START_S, WARM_UP_S, BenchError

PROMPT = "testpmd> "


def find():
    program = shutil.which("dpdk-testpmd")
    if program is None:
        raise BenchError("dpdk-testpmd is missing: apt-get install dpdk-dev")
    return program


def forwarding_ticks(pid):
    """CPU time of testpmd's worker threads so far, in clock ticks."""
    ticks = 0
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*"):
        try:
            name = (task / "comm").read_text(encoding="ascii").strip()
            # DPDK 22.11 calls it rte-worker-1, later versions dpdk-worker1.
            if re.fullmatch(r"(rte|dpdk)-worker-?\d+", name):
                fields = (task / "stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
                ticks += int(fields[11])
        except OSError:
            continue
    return ticks


class Testpmd:
    """One that runs, with its command line; a context manager."""

    def __init__(self, eal, options, log):
        # Run by stdbuf, so that what it prints can be read while it runs.
        self.command = [find(), "-oL", find(), *map(str, eal), "--", "-i", *map(str, options)]
        self.log = log
        self.process = None

    def __enter__(self):
        # What it prints goes to a file: a pipe that nobody reads would stop it.
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(
                self.command, executable="/usr/bin/stdbuf", stdin=subprocess.PIPE, stdout=out,
                stderr=subprocess.STDOUT, text=True)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            try:
                self.say("stop")
                self.say("quit")
                self.process.wait(20)
            except (BenchError, subprocess.TimeoutExpired):
                self.process.kill()
                self.process.wait()
        self.process.stdin.close()

    def said(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def say(self, words):
        try:
            self.process.stdin.write(words + "\n")
            self.process.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise BenchError(f"dpdk-testpmd has ended:\n{self.said()[-2000:]}") from None

    def start(self):
        """Start forwarding and wait until its thread works."""
        self.say("start")
        common.wait_until(lambda: forwarding_ticks(self.process.pid) >= 5,
                          "dpdk-testpmd forwards", process=self.process)

    def read(self, ports, what="RX-packets"):
        """
        A figure of each of its ports: packets received so far, or with Rx-pps how many a
        second, by testpmd's own clock, since a figure was read before.
        """
        before = len(self.said())
        self.say("show port stats all")

        def figures():
            return re.findall(rf"{what}:\s*(\d+)", self.said()[before:])

        common.wait_until(lambda: len(figures()) >= ports, "dpdk-testpmd prints its statistics",
                          process=self.process)
        return [int(figure) for figure in figures()[:ports]]

    def quit(self):
        """Let it end; returns all it has said."""
        for words in ("stop", "quit"):
            self.say(words)
        try:
            self.process.wait(START_S)
        except subprocess.TimeoutExpired:
            raise BenchError(f"dpdk-testpmd does not end:\n{self.said()[-2000:]}") from None
        if self.process.returncode != 0:
            raise BenchError(f"dpdk-testpmd ended with status {self.process.returncode}:\n"
                             f"{self.said()[-2000:]}")
        return self.said()


class Rxonly:
    """What one core of testpmd receives from a source."""

    def __init__(self, cores, hugepages, file_prefix, device, folder, buffers, memory_mb,
                 buffer_size=None):
        main, worker = cores
        self.eal = ["--lcores", f"0@{main},1@{worker}", "-v", "--no-pci", "--no-telemetry",
                    "--no-shconf", "--file-prefix", f"{file_prefix}_pmd", "--vdev", device]
        self.eal += ["--huge-unlink"] if hugepages else ["--no-huge", "-m", memory_mb]
        self.options = ["--forward-mode=rxonly", "--nb-cores=1", f"--total-num-mbufs={buffers}"]
        if buffer_size is not None:
            self.options += [f"--mbuf-size={buffer_size}"]
        self.log = folder / "testpmd.log"
        self.dpdk = None

    def run(self, seconds):
        """One run; returns Mpps over its steady part, by testpmd's own clock."""
        with Testpmd(self.eal, self.options, self.log) as pmd:
            pmd.start()
            time.sleep(WARM_UP_S)
            pmd.say("show port stats 0")
            time.sleep(seconds)
            pmd.say("show port stats 0")
            said = pmd.quit()
        rates = re.findall(r"Rx-pps:\s+(\d+)", said)
        if len(rates) != 2:
            raise BenchError(f"dpdk-testpmd printed no rates:\n{said[-2000:]}")
        version = re.search(r"RTE Version: '([^']+)'", said)
        self.dpdk = version.group(1) if version else None
        return int(rates[1]) / 1e6
