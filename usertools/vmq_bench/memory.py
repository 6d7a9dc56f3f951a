# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
What a queue's packet memory costs beside DPDK's own pools, in the same process and run.
A burst of 32 buffers taken and put back, beside a ring_mp_mc mempool without cache, as
objects (rte_mempool_get_bulk) and as packets (rte_pktmbuf_alloc_bulk). The life of a
queue of 4096 buffers of 2 KiB, allocated until running and freed until gone, beside
rte_pktmbuf_pool_create and rte_mempool_free. Growth by as much while a worker receives
into the pool, beside rte_pktmbuf_pool_create. The source is net_null, at full speed.
"""

import json
import os
import pathlib
import statistics

from vmq_bench import common
from vmq_bench.common import BenchError

# Samples in a run of each measure, and the memory that it needs.
SAMPLES = {"burst": 200, "lifecycle": 100, "growth": 50}
POOLS_MB = 256


def add_arguments(parser):
    parser.add_argument("--bench", type=pathlib.Path,
                        default=common.TOP / "build" / "tests" / "bench" / "bench_memory",
                        help="the measuring program (default %(default)s)")


def check_arguments(_parser, _args):
    pass


class Comparison:
    """Samples of ours and of theirs, alternating, over several runs."""

    def __init__(self, name, unit):
        self.name, self.unit = name, unit
        self.ours, self.theirs = [], []  # a list of samples for each run

    def add(self, ours, theirs):
        self.ours.append(ours)
        self.theirs.append(theirs)

    @staticmethod
    def p99(runs):
        values = sorted(value for run_ in runs for value in run_)
        return values[min(len(values) - 1, len(values) * 99 // 100)]

    @staticmethod
    def median(runs):
        """The median run: a run that something else disturbed does not count for more."""
        return statistics.median(statistics.median(run_) for run_ in runs)

    def ratio(self):
        return self.median(self.ours) / self.median(self.theirs)

    def ratios(self):
        """Of each run."""
        return [statistics.median(ours) / statistics.median(theirs)
                for ours, theirs in zip(self.ours, self.theirs)]

    def same(self):
        """Ours against itself, every second sample: what chance alone makes of a ratio."""
        return [statistics.median(run_[::2]) / statistics.median(run_[1::2])
                for run_ in self.ours]

    def figure(self):
        return {"name": f"{self.name}, of plain", "unit": "", "better": "lower",
                "median": round(self.ratio(), 4), "min": round(min(self.ratios()), 4),
                "max": round(max(self.ratios()), 4),
                "values": [round(value, 4) for value in self.ratios()]}

    def text(self):
        ratios, same = self.ratios(), self.same()
        figures = "  ".join(f"{self.median(runs):8.1f} {self.p99(runs):8.1f}"
                            for runs in (self.ours, self.theirs))
        return (f"{self.name:<30} {figures}  {self.ratio():.3f}   {min(ratios):.2f} to "
                f"{max(ratios):.2f}   {min(same):.2f} to {max(same):.2f}")

    def result(self, name):
        ratios, same = self.ratios(), self.same()
        result = {f"{name}_ratio": self.ratio(), f"{name}_ratio_min": min(ratios),
                  f"{name}_ratio_max": max(ratios), f"{name}_same_min": min(same),
                  f"{name}_same_max": max(same)}
        for side, runs in (("vmq", self.ours), ("plain", self.theirs)):
            result[f"{name}_{side}_{self.unit}"] = self.median(runs)
            result[f"{name}_{side}_{self.unit}_p99"] = self.p99(runs)
        return {key: round(value, 4) for key, value in result.items()}


def run_one(args, cores, hugepages, prefix, measure):
    """One run of one measure: what bench_memory printed."""
    command = [args.bench, "--lcores", f"0@{cores[0]},1@{cores[1]}", "--no-pci",
               "--no-telemetry", "--file-prefix", prefix]
    command += ["--in-memory"] if hugepages else ["--no-huge", "--no-shconf", "-m", POOLS_MB]
    out = common.run([*command, "--", measure, SAMPLES[measure]]).stdout
    for line in out.splitlines():  # EAL prints too
        if line.startswith("{"):
            return json.loads(line)
    raise BenchError(f"{args.bench} printed no result:\n{out[-2000:]}")


def run(args):
    if not os.access(args.bench, os.X_OK):
        raise BenchError(f"{args.bench} is missing: meson setup build && meson compile -C "
                         "build, or name it with --bench")
    screen = common.Screen(args)
    cores = common.choose_cores(args.core)
    hugepages = common.free_hugepages_mb() >= POOLS_MB
    burst = Comparison("burst of 32, TSC cycles", "cycles")
    packets = Comparison("the same as packets", "cycles")
    start = Comparison("allocate to running, us", "us")
    stop = Comparison("free to gone, us", "us")
    life = Comparison("both, us", "us")
    growth = Comparison("growth under traffic, us", "us")
    screen.say(f"4096 buffers of 2 KiB, worker on CPU {cores[1]}, "
               f"{common.MEMORY_TEXT[hugepages]}, {args.runs} runs")
    screen.look_at_load()
    machine = common.machine(worker=cores[1], main=cores[0])
    screen.expect(3 * args.runs)
    with common.runtime(common.prefix()) as prefix:
        for _ in range(args.runs):
            screen.step("bursts")
            one = run_one(args, cores, hugepages, prefix, "burst")
            burst.add(one["vmq_cycles"], one["plain_cycles"])
            packets.add(one["vmq_packet_cycles"], one["plain_packet_cycles"])
            screen.step("lives of a queue")
            one = run_one(args, cores, hugepages, prefix, "lifecycle")
            start.add(one["start_us"], one["create_us"])
            stop.add(one["stop_us"], one["free_us"])
            life.add([sum(pair) for pair in zip(one["start_us"], one["stop_us"])],
                     [sum(pair) for pair in zip(one["create_us"], one["free_us"])])
            screen.step("growth")
            one = run_one(args, cores, hugepages, prefix, "growth")
            growth.add(one["grow_us"], one["create_us"])
    screen.say(f"{'':<30} {'VMQ':>8} {'p99':>8}  {'plain':>8} {'p99':>8}  ratio   "
               "of runs        VMQ / VMQ")
    every = (burst, packets, start, stop, life, growth)
    for comparison in every:
        screen.say(comparison.text())
    common.write_result(args, {
        "bench": "memory", "buffers": 4096, "buffer_bytes": 2048, "runs": args.runs,
        **burst.result("burst"), **packets.result("packets"),
        **life.result("lifecycle"), **start.result("start"),
        **stop.result("stop"), **growth.result("growth"),
        "figures": [comparison.figure() for comparison in every],
        "machine": {**machine, "hugepages": one["hugepages"]},
        "versions": common.versions(dpdk=one["dpdk"])})
