# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
What it costs to have many queues and many filters on one adapter: the time from starting
vmqd until all queues run, as a client of its socket sees it; the memory of a queue whose
VM is idle (resident memory and hugepages of the process, less those of a vmqd with the
default queue alone); and TSC cycles of a packet under full load, one worker core, 64
byte frames over all filters, sinks. First the queues grow, with one filter each; then,
with the most queues, the filters.
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import time

from vmq_bench import common
from vmq_bench.common import START_S, BenchError, Figure
from vmq_bench.daemon import Vmqd, document, queues_of
from vmq_bench.steer import numbers

sys.path.insert(0, str(common.TOP / "usertools"))
from vmqctl_lib.client import Client, NoDaemon, Refused  # noqa: E402

FRAMES = 4096
SIZE = 64
# Buffers of a queue, as queues_of() has them.
QUEUE_BUFFERS = 256
WARM_UP_S = 0.5


def add_arguments(parser):
    parser.add_argument("--queues", type=numbers, default=[1, 16, 64, 256], metavar="N[,N...]",
                        help="queues beside the default one (default 1,16,64,256)")
    parser.add_argument("--filters", type=numbers, default=[1024, 4096, 16384],
                        metavar="N[,N...]",
                        help="filters, spread over the most queues (default 1024,4096,16384)")
    parser.add_argument("--seconds", type=float, default=1.0,
                        help="measured part of each run (default %(default)s)")


def check_arguments(parser, args):
    if not all(1 <= queues <= 1000 for queues in args.queues):
        parser.error("--queues: 1 to 1000")
    if not all(max(args.queues) <= filters <= 65535 for filters in args.filters):
        parser.error("--filters: from the most queues to 65535")
    if args.seconds < 0.2:
        parser.error("--seconds: at least 0.2")


def resident_mb(pid):
    """Resident memory and hugepages of a process, in MiB."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    sizes = dict(re.findall(r"(VmRSS|HugetlbPages):\s+(\d+) kB", text))
    return sum(int(size) for size in sizes.values()) / 1024


class Point:
    """So many queues and filters."""

    def __init__(self, args, folder, cores, prefix, queues, filters):
        self.args, self.folder, self.queues, self.filters = args, folder, queues, filters
        frames = max(FRAMES, filters)
        buffers = frames + 2 * FRAMES
        self.hugepages = common.free_hugepages_mb() >= 768 + queues * 2
        self.socket = str(folder / "vmqd.sock")
        source = folder / f"{filters}.pcap"
        if not source.exists():
            common.make_traffic(source, filters, frames, SIZE)
        self.idle = self.daemon(cores, prefix, "net_null0,no-rx=1", buffers)
        self.loaded = self.daemon(cores, prefix, f"net_pcap0,rx_pcap={source},infinite_rx=1",
                                  buffers)

    def daemon(self, cores, prefix, device, buffers):
        doc = document(cores, self.hugepages, prefix, device, buffers, queues_of(
            self.queues, self.filters, lambda _: {"type": "sink"}) if self.queues else [])
        doc["control"] = {"socket": self.socket}
        return doc

    def run(self, doc, measure):
        """Start it, wait until all its queues run. @return (ms until then, measured)"""
        vmqd = Vmqd(self.args.vmqd, self.folder, doc)
        with open(self.folder / "vmqd.log", "wb") as log:
            begin = time.perf_counter()
            process = subprocess.Popen([str(vmqd.binary), "-c", str(vmqd.document), "--quiet"],
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            while not self.all_run():
                if process.poll() is not None or time.perf_counter() - begin > START_S:
                    raise BenchError("vmqd did not start:\n" +
                                     (self.folder / "vmqd.log").read_text())
                time.sleep(0.002)
            start_ms = (time.perf_counter() - begin) * 1e3
            with Client(self.socket) as client:
                return start_ms, measure(process, client)
        except Refused as error:
            raise BenchError(f"vmqd: {error}") from None
        finally:
            common.stop(process)

    def all_run(self):
        try:
            with Client(self.socket) as client:
                found = client.call("queue.list", {})["queues"]
        except NoDaemon:
            return False
        return len(found) == self.queues + 1 and all(one["state"] == "Running" for one in found)

    def start_and_memory(self):
        return self.run(self.idle, lambda process, _: resident_mb(process.pid))

    def cycles(self):
        def measure(_, client):
            time.sleep(WARM_UP_S)
            first = client.call("stats", {})
            time.sleep(self.args.seconds)
            last = client.call("stats", {})
            stray = next(one["received"] for one in last["queues"] if one["id"] == 0)
            if last["total"]["dropped"] or stray:
                raise BenchError(f"not a fair run: {last['total']['dropped']} packets dropped, "
                                 f"{stray} in the default queue")
            before, after = first["workers"][0], last["workers"][0]
            return (after["cycles"] - before["cycles"]) / (after["packets"] - before["packets"])
        return self.run(self.loaded, measure)[1]


def run(args):
    screen = common.Screen(args)
    cores = common.choose_cores(args.core)
    most = max(args.queues)
    wanted = [(n, n) for n in args.queues] + [(most, n) for n in args.filters if n > most]
    screen.say(f"queues and filters on one adapter, worker on CPU {cores[1]}, {args.runs} runs; "
               f"a queue of {QUEUE_BUFFERS} buffers of 2048 bytes")
    screen.look_at_load()
    machine = common.machine(worker=cores[1], main=cores[0])
    values = {point: ([], [], []) for point in wanted}
    with tempfile.TemporaryDirectory(prefix="vmq-bench-") as folder, \
            common.runtime(common.prefix()) as prefix:
        points = {one: Point(args, pathlib.Path(folder), cores, prefix, *one) for one in wanted}
        # The same memory for the port's own queue as the other side of each difference.
        bare = {one: Point(args, pathlib.Path(folder), cores, prefix, 0, one[1])
                for one in wanted}
        screen.expect(3 * args.runs * len(points))
        for _ in range(args.runs):
            for one, point in points.items():
                screen.step(f"{one[0]} queues, {one[1]} filters: start")
                start_ms, resident = point.start_and_memory()
                screen.step(f"{one[0]} queues, {one[1]} filters: memory")
                _, without = bare[one].start_and_memory()
                screen.step(f"{one[0]} queues, {one[1]} filters: load")
                for place, value in enumerate((start_ms, (resident - without) * 1024 / one[0],
                                               point.cycles())):
                    values[one][place].append(value)
        version = point.loaded and Vmqd(args.vmqd, pathlib.Path(folder), point.loaded).version()
    figures, results = [], []
    screen.say(f"{'queues':>7} {'filters':>8} {'start ms':>10} {'KiB a queue':>12} "
               f"{'cycles a packet':>16}")
    for (queues, filters), three in values.items():
        row = [Figure(f"{name}, {queues} queues, {filters} filters", unit, some, better="lower")
               for name, unit, some in zip(("start", "memory of a queue", "a packet"),
                                           ("ms", "KiB", "cycles"), three)]
        screen.say(f"{queues:>7} {filters:>8} {row[0].median:>10.0f} {row[1].median:>12.0f} "
                   f"{row[2].median:>16.1f}")
        figures += row
        results.append({"queues": queues, "filters": filters,
                        "figures": [figure.result() for figure in row]})
    common.write_result(args, {
        "bench": "scale", "runs": args.runs, "seconds": args.seconds, "frame_bytes": SIZE,
        "queue_buffers": QUEUE_BUFFERS, "points": results,
        "figures": [figure.result() for figure in figures],
        "machine": {**machine, "hugepages": point.hugepages},
        "versions": common.versions(vmqd=version)})
