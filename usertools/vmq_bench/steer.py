# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
Packets a second that one worker core steers into the queues of N VMs, beside what
`dpdk-testpmd --forward-mode=rxonly` receives from the same source with the same core,
which is the ceiling, and beside Open vSwitch with DPDK where it is installed (one rule
for each VM, to net_null ports). Source: net_pcap with infinite_rx=1, frames of 64 bytes
over the VMs, each with a MAC and a VLAN; the queues go to sinks.

With --hardware: what a packet costs that the NIC has put into its VM's memory. The NIC is
played by net_pcap with an Rx queue for each VM (up to 16); polling them straight to their
VMs beside only receiving from them, in one process. Frames have a VLAN tag, which is taken
out of each or, the second line, stays.
"""

import json
import os
import pathlib
import tempfile

from vmq_bench import common, ovs
from vmq_bench.common import BenchError, Figure
from vmq_bench.daemon import Vmqd, assert_fair, document, queues_of, steady_mpps
from vmq_bench.testpmd import Rxonly

FRAMES = 4096
SIZE = 64
# The distribution's DPDK has 32 ports: one is the source, and some room.
OVS_PORTS_MAX = 30
QUEUES_MAX = 1024
SMALL_BUFFER = 256
HARDWARE_MAX = 16  # Rx queues of net_pcap
HARDWARE_MB = 600


def numbers(text):
    return [int(word) for word in text.split(",")]


def add_arguments(parser):
    parser.add_argument("--vms", type=numbers, default=[24], metavar="N[,N...]",
                        help="VMs; several numbers are measured one after the other and make a "
                             "curve (default 24)")
    parser.add_argument("--filters", type=numbers, metavar="N[,N...]",
                        help="filters in all, spread over the VMs (default one for each VM)")
    parser.add_argument("--flows", type=numbers, metavar="N[,N...]",
                        help="flows of different addresses and ports in the traffic, up to "
                             "1000000 (default one for each VM)")
    parser.add_argument("--seconds", type=float, default=2.0,
                        help="measured part of each run (default %(default)s)")
    parser.add_argument("--no-ovs", action="store_true", help="leave Open vSwitch out")
    parser.add_argument("--hardware", action="store_true",
                        help="hardware queues (up to 16 VMs) beside the same queues only "
                             "received from")
    parser.add_argument("--bench", type=pathlib.Path,
                        default=common.TOP / "build" / "tests" / "bench" / "bench_hardware",
                        help="the measuring program of --hardware (default %(default)s)")
    parser.add_argument("--profile", action="store_true",
                        help="also print where the cycles of a packet go, by stage, and the "
                             "size of bursts")


def check_arguments(parser, args):
    if args.seconds < 0.5:
        parser.error("--seconds: at least half a second")
    if args.hardware:
        if args.vms == [24]:
            args.vms = [HARDWARE_MAX]
        if args.filters or args.flows or not all(1 <= vms <= HARDWARE_MAX for vms in args.vms):
            parser.error(f"--hardware: --vms 1 to {HARDWARE_MAX}, no --filters, no --flows")
    if not all(1 <= vms <= QUEUES_MAX for vms in args.vms):
        parser.error(f"--vms: 1 to {QUEUES_MAX}: each takes memzones, of which DPDK has 2560")
    if sum(values is not None and len(values) > 1
           for values in (args.vms, args.filters, args.flows)) > 1:
        parser.error("one curve at a time: several numbers for one of --vms, --filters, --flows")
    for filters in args.filters or ():
        if not max(args.vms) <= filters <= 65535:
            parser.error("--filters: from the number of VMs to 65535")
    for flows in args.flows or ():
        if not 1 <= flows <= 1000000:
            parser.error("--flows: 1 to 1000000")


def points(args):
    """(x, VMs, filters, flows) for each point of the curve, and what x is."""
    one = args.vms[0]
    if args.filters is not None and len(args.filters) > 1:
        flows = args.flows[0] if args.flows else None
        return "filters", [(n, one, n, flows) for n in args.filters]
    if args.flows is not None and len(args.flows) > 1:
        return "flows", [(n, one, args.filters[0] if args.filters else one, n)
                         for n in args.flows]
    return "vms", [(n, n, args.filters[0] if args.filters else n,
                    args.flows[0] if args.flows else None) for n in args.vms]


class Point:
    """One point of the curve: the source and the programs that are measured on it."""

    def __init__(self, args, folder, cores, prefix, vms, filters, flows):
        self.args = args
        frames = max(FRAMES, filters, flows or 0)
        # Two for each frame: net_pcap keeps the frames, and the pool has to have as many
        # again for its ring, what is gathered and the caches.
        buffers = max(2 * FRAMES, frames + 2 * FRAMES)
        # Many frames lie in small buffers, so that they need not gigabytes.
        size = SMALL_BUFFER if frames > 4 * FRAMES else None
        memory_mb = 512 + vms * 2 + buffers * ((size or 2048) + 448) // 2**20
        self.hugepages = common.free_hugepages_mb() >= memory_mb
        source = folder / "source.pcap"
        common.make_traffic(source, filters, frames, SIZE, flows)
        device = f"net_pcap0,rx_pcap={source},infinite_rx=1"
        memory = {"buffer_size": size} if size else {}
        doc = document(cores, self.hugepages, prefix, device, buffers,
                       queues_of(vms, filters, lambda _: {"type": "sink"}), **memory)
        self.vmqd = Vmqd(args.vmqd, folder, doc)
        self.vmqd.check()
        self.testpmd = Rxonly(cores, self.hugepages, prefix, device, folder, buffers, memory_mb,
                              size + 128 if size else None)
        self.ovs = None
        if (not args.no_ovs and ovs.missing() is None and self.hugepages and
                vms <= OVS_PORTS_MAX and filters == vms and flows is None):
            self.ovs = ovs.Steer(folder, cores, prefix, device, vms, 512)

    def run_vmqd(self):
        objects = self.vmqd.run(self.args.seconds)
        assert_fair(objects)
        return steady_mpps(objects)

    def sides(self):
        sides = {"vmqd": self.run_vmqd,
                 "testpmd rxonly": lambda: self.testpmd.run(self.args.seconds)}
        if self.ovs is not None:
            sides["Open vSwitch"] = lambda: self.ovs.run(self.args.seconds)
        return sides


def profile_of(statistics):
    """Stages and bursts as vmqd counted them: workers of its last statistics."""
    profiles = [worker["profile"] for worker in statistics["workers"] if "profile" in worker]
    if not profiles:
        raise BenchError("vmqd gave no profile: it is too old for --profile")
    return profiles[0]


def measure(point, screen, x, name, args):
    same, values = common.interleave(screen, args.runs, point.sides())
    ours = Figure("vmqd", "Mpps", values["vmqd"])
    rxonly = Figure("testpmd rxonly", "Mpps", values["testpmd rxonly"])
    figures = [ours, rxonly, common.ratio("vmqd / testpmd rxonly", ours, rxonly)]
    result = {name: x, "ratio_ovs": None}
    if "Open vSwitch" in values:
        theirs = Figure("Open vSwitch", "Mpps", values["Open vSwitch"])
        figures += [theirs, common.ratio("vmqd / Open vSwitch", ours, theirs)]
        result["ratio_ovs"] = round(figures[-1].median, 4)
        result["ovs_mpps"] = round(theirs.median, 4)
    screen.say(f"-- {x} {name}, {common.MEMORY_TEXT[point.hugepages]}")
    for figure in figures:
        screen.say(figure.text())
    screen.say(same.text() + ": what chance alone makes of a ratio")
    for key, figure in (("mpps", ours), ("rxonly_mpps", rxonly), ("ratio_rxonly", figures[2]),
                        ("ratio_same", same)):
        result.update({key: round(figure.median, 4), f"{key}_min": round(min(figure.values), 4),
                       f"{key}_max": round(max(figure.values), 4)})
    for figure in figures:
        figure.name += f" at {x} {name}"
    result["figures"] = [figure.result() for figure in figures]
    return result


def run_bench(args, cores, prefix, vms, keep_tags):
    """One run of bench_hardware."""
    hugepages = common.free_hugepages_mb() >= HARDWARE_MB
    command = [args.bench, "--lcores", f"0@{cores[0]},1@{cores[1]}", "--no-pci",
               "--no-telemetry", "--file-prefix", prefix, "-m", HARDWARE_MB]
    command += ["--in-memory"] if hugepages else ["--no-huge", "--no-shconf"]
    words = ["--", vms, max(1, round(2 * args.seconds))] + (["keep_tags"] if keep_tags else [])
    out = common.run([*command, *words]).stdout
    for line in out.splitlines():  # EAL prints too
        if line.startswith("{"):
            return json.loads(line)
    raise BenchError(f"{args.bench} printed no result:\n{out[-2000:]}")


def run_hardware(args):
    if not os.access(args.bench, os.X_OK):
        raise BenchError(f"{args.bench} is missing: meson setup build -Dtests=enabled && meson "
                         "compile -C build, or name it with --bench")
    screen = common.Screen(args)
    cores = common.choose_cores(args.core)
    screen.say(f"hardware queues, {SIZE} byte frames, worker on CPU {cores[1]}, {args.runs} runs "
               f"of {2 * args.seconds:g} s, TSC cycles of a packet")
    screen.look_at_load()
    machine = common.machine(worker=cores[1], main=cores[0])
    figures, results = [], []
    with common.runtime(common.prefix()) as prefix:
        for vms in args.vms:
            for keep_tags in (False, True):
                runs = [run_bench(args, cores, prefix, vms, keep_tags) for _ in range(args.runs)]
                what = f"{vms} VMs, tags " + ("kept" if keep_tags else "taken out")
                here = [Figure(f"vmq, {what}", "cycles", [one["cycles"] for one in runs],
                               "lower"),
                        Figure(f"rxonly, {what}", "cycles",
                               [one["rxonly_cycles"] for one in runs], "lower"),
                        Figure(f"rxonly / vmq, {what}", "",
                               [one["ratio_rxonly"] for one in runs])]
                for figure in here:
                    screen.say(figure.text())
                figures += here
                results.append({"vms": vms, "keep_tags": keep_tags,
                                "cycles": round(here[0].median, 2),
                                "rxonly_cycles": round(here[1].median, 2),
                                "ratio_rxonly": round(here[2].median, 4)})
    common.write_result(args, {
        "bench": "steer-hardware", "runs": args.runs, "points": results,
        "figures": [figure.result() for figure in figures], "machine": machine,
        "versions": common.versions()})


def run(args):
    if args.hardware:
        run_hardware(args)
        return
    name, curve = points(args)
    screen = common.Screen(args)
    cores = common.choose_cores(args.core)
    screen.say(f"steering, {SIZE} byte frames, worker on CPU {cores[1]}, {args.runs} runs of "
               f"{args.seconds:g} s")
    if not args.no_ovs and ovs.missing() is not None:
        screen.say(f"Open vSwitch is left out: {ovs.missing()}")
    screen.look_at_load()
    machine = common.machine(worker=cores[1], main=cores[0])
    results, programs = [], {}
    with tempfile.TemporaryDirectory(prefix="vmq-bench-") as folder, \
            common.runtime(common.prefix()) as prefix:
        for x, vms, filters, flows in curve:
            point = Point(args, pathlib.Path(folder), cores, prefix, vms, filters, flows)
            results.append(measure(point, screen, x, name, args))
            if args.profile:
                results[-1]["profile"] = profile_of(point.vmqd.last)
                print_profile(screen, results[-1]["profile"])
            machine["hugepages"] = point.hugepages
            programs.update(vmqd=point.vmqd.version(), dpdk=point.testpmd.dpdk)
            if point.ovs is not None:
                programs["ovs"] = point.ovs.version
    first = {key: value for key, value in results[0].items() if key != "figures"}
    common.write_result(args, {
        "bench": "steer", "vms": args.vms[0], "frame_bytes": SIZE, "runs": args.runs,
        "seconds": args.seconds, **first,
        "curve": {"over": name, "points": results},
        "figures": [figure for result in results for figure in result["figures"]],
        "machine": machine, "versions": common.versions(**programs)})


def print_profile(screen, profile):
    """Cycles per packet by stage, and bursts."""
    screen.say("cycles per packet by stage (with the clock read between the stages):")
    for stage, cycles in profile["cycles_per_packet"].items():
        screen.say(f"    {stage:<10} {cycles:8.1f}")
    screen.say(f"    {'sum':<10} {sum(profile['cycles_per_packet'].values()):8.1f}")
    for burst, size in profile["mean_burst"].items():
        screen.say(f"packets in a burst, {burst}: {size:.1f}")
