# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
How long a packet takes from the port's receive ring into a VM's hands, at parts of the
greatest load: the price of gathering packets into bursts, and of workers that sleep. One
process is generator and VMs on one core and vmqd's worker on another; the time travels
in the packets. The greatest load is what goes through with no more than 512 packets on
their way.
"""

import json
import os
import pathlib
import tempfile

from vmq_bench import common
from vmq_bench.common import BenchError, Figure

LOADS = [1, 10, 50]  # percent of the greatest
MODES = ("poll", "adaptive")
SECONDS = 1.0
MEMORY_MB = 256


def add_arguments(parser):
    parser.add_argument("--vms", type=int, default=8, help="VMs (default %(default)s)")
    parser.add_argument("--bench", type=pathlib.Path,
                        default=common.TOP / "build" / "tests" / "bench" / "bench_latency",
                        help="the measuring program (default %(default)s)")


def check_arguments(parser, args):
    if not 1 <= args.vms <= 16:
        parser.error("--vms: 1 to 16")


class Runner:
    def __init__(self, args, folder, cores, prefix):
        self.args, self.folder, self.cores, self.prefix = args, folder, cores, prefix

    def run(self, mode, packets, per_second):
        command = [self.args.bench, "--lcores", f"0@{self.cores[0]},1@{self.cores[1]}",
                   "--no-pci", "--no-telemetry", "--in-memory", "--single-file-segments",
                   "--file-prefix", self.prefix, "--", self.folder / "vm", mode, self.args.vms,
                   packets, per_second]
        out = common.run(command, 120).stdout
        for line in out.splitlines():  # EAL prints too
            if line.startswith("{"):
                return json.loads(line)
        raise BenchError(f"{self.args.bench} printed no result:\n{out[-2000:]}")

    def greatest(self):
        """Packets a second at full load."""
        return self.run("poll", 1000000, 0)["mpps"] * 1e6


def measure(runner, screen, runs):
    """{(mode, load): list of results}, and the greatest load."""
    screen.expect(1 + runs * len(MODES) * len(LOADS))
    screen.step("the greatest load")
    greatest = runner.greatest()
    results = {}
    for _ in range(runs):
        for mode in MODES:
            for load in LOADS:
                screen.step(f"{mode}, {load} % of the greatest load")
                rate = max(int(greatest * load / 100), 1)
                results.setdefault((mode, load), []).append(
                    runner.run(mode, max(int(rate * SECONDS), 2000), rate))
    return results, greatest


def run(args):
    if not os.access(args.bench, os.X_OK):
        raise BenchError(f"{args.bench} is missing: meson setup build && meson compile -C "
                         "build, or name it with --bench")
    common.need_hugepages(MEMORY_MB)
    screen = common.Screen(args)
    cores = common.choose_cores(args.core)
    screen.say(f"latency to {args.vms} VMs, worker on CPU {cores[1]}, generator and VMs on CPU "
               f"{cores[0]}, {args.runs} runs")
    screen.look_at_load()
    machine = common.machine(worker=cores[1], main=cores[0], hugepages=True)
    with tempfile.TemporaryDirectory(prefix="vmq-bench-") as folder, \
            common.runtime(common.prefix()) as prefix:
        runner = Runner(args, pathlib.Path(folder), cores, prefix)
        results, greatest = measure(runner, screen, args.runs)
    screen.say(f"the greatest load: {greatest / 1e6:.2f} Mpps; microseconds, medians of the runs")
    screen.say(f"{'worker':<10} {'load':>5} {'Mpps':>8} {'median':>9} {'p99':>9} {'p99.9':>9} "
               f"{'greatest':>9}")
    figures, points = [], []
    for (mode, load), every in results.items():
        row = {key: Figure("", "us", [one[key] for one in every]).median
               for key in ("mpps", "p50_us", "p99_us", "p999_us", "max_us")}
        dropped = sum(one["dropped"] for one in every)
        screen.say(f"{mode:<10} {load:>3} % {row['mpps']:8.3f} {row['p50_us']:9.1f} "
                   f"{row['p99_us']:9.1f} {row['p999_us']:9.1f} {row['max_us']:9.1f}"
                   + (f"  dropped: {dropped}" if dropped else ""))
        points.append({"mode": mode, "load": load, **row, "dropped": dropped})
        for key, name in (("p50_us", "median"), ("p99_us", "p99")):
            figures.append(Figure(f"{mode}, {load} % load, {name}", "us",
                                  [one[key] for one in every], better="lower"))
    common.write_result(args, {
        "bench": "latency", "vms": args.vms, "runs": args.runs,
        "greatest_mpps": round(greatest / 1e6, 4), "points": points,
        "figures": [figure.result() for figure in figures],
        "machine": machine, "versions": common.versions(dpdk=every[0]["dpdk"])})
