# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
How long requests over vmqd's socket take, with and without full traffic on other queues,
and what the data path lost meanwhile: a queue allocated until it runs, a filter set,
moved and cleared, a queue freed until its memory is back; plan and apply of a document
with so many queues more, and less again. The time is that of a client: the socket is in
it. Traffic: net_pcap with infinite_rx=1, 64 byte frames to 16 queues.

Then what the worker carries at full load beside 1,000 requests a second, through what it
carries without any, and through what it carries while a second daemon without traffic is
asked the same; and what it carries beside a capture of one queue.
"""

import pathlib
import statistics
import sys
import tempfile
import time

from vmq_bench import beside, common
from vmq_bench.common import BenchError
from vmq_bench.daemon import Vmqd, document, queues_of

sys.path.insert(0, str(common.TOP / "usertools"))
from vmqctl_lib.client import Client, NoDaemon, Refused  # noqa: E402

BASE_VMS = 16
FRAMES = 4096
BUFFERS = 8192


def add_arguments(parser):
    parser.add_argument("--requests", type=int, default=50,
                        help="requests of each kind in a run (default %(default)s)")
    parser.add_argument("--queues", type=int, default=256,
                        help="queues that plan and apply add and take away (default %(default)s)")
    parser.add_argument("--pairs", type=int, default=12,
                        help="windows beside something, and as many without it (default "
                             "%(default)s)")
    parser.add_argument("--window", type=float, default=1.0, metavar="SECONDS",
                        help="how long a window is (default %(default)s)")


def check_arguments(parser, args):
    if args.pairs < 1 or args.window <= 0:
        parser.error("--pairs: at least 1; --window: more than 0")
    if args.requests < 1 or not 1 <= args.queues <= 1000:
        parser.error("--requests: at least 1; --queues: 1 to 1000")


class Timer:
    """Durations in milliseconds, by name."""

    def __init__(self):
        self.values = {}

    def call(self, what, client, method, **params):
        begin = time.perf_counter()
        result = client.call(method, params)
        self.values.setdefault(what, []).append((time.perf_counter() - begin) * 1e3)
        return result


class Run:
    """One daemon, with or without traffic."""

    def __init__(self, args, folder, cores, prefix, traffic):
        self.args, self.traffic = args, traffic
        source = folder / "source.pcap"
        common.make_traffic(source, BASE_VMS, FRAMES, 64)
        device = (f"net_pcap0,rx_pcap={source},infinite_rx=1" if traffic else
                  "net_null0,no-rx=1")
        hugepages = common.free_hugepages_mb() >= 1024
        self.document = document(cores, hugepages, prefix, device, BUFFERS,
                                 queues_of(BASE_VMS, BASE_VMS, lambda _: {"type": "sink"}))
        # Room for the queues that come and go.
        self.document["eal"]["memory_mb"] = 512 + args.queues * 2
        self.document["control"] = {"socket": str(folder / "vmqd.sock")}
        self.vmqd = Vmqd(args.vmqd, folder, self.document)
        self.hugepages = hugepages

    @staticmethod
    def lost(client):
        """Packets of the base queues that did not arrive where they should."""
        stats = client.call("stats", {})
        dropped = sum(queue["dropped"] for queue in stats["queues"])
        stray = sum(queue["received"] for queue in stats["queues"] if queue["id"] == 0)
        return dropped + stray + sum(adapter["nic"]["missed"] for adapter in stats["adapters"])

    def queue(self, number):
        return {"name": f"new{number}", "vm": f"new{number}", "adapter": "nic",
                "memory": {"buffers": 256}, "backend": {"type": "sink"}}

    @staticmethod
    def filter(number):
        return {"mac": f"52:54:00:01:{number >> 8:02x}:{number & 255:02x}", "vlan": 1}

    def requests(self, client, timer):
        # Filters move between queues of one owner only.
        client.call("queue.allocate", {"queue": {**self.queue("-other"),
                                                 "filters": [self.filter(4999)]}})
        for number in range(self.args.requests):
            queue = {**self.queue(number), "filters": [self.filter(number)]}
            name = queue["name"]
            timer.call("allocate to running", client, "queue.allocate", queue=queue)
            found = timer.call("set a filter", client, "filter.set", adapter="nic", queue=name,
                               filter=self.filter(5000 + number))
            timer.call("move a filter", client, "filter.move", adapter="nic",
                       filter=found["filter"], to="new-other")
            timer.call("clear a filter", client, "filter.clear", adapter="nic",
                       filter=found["filter"])
            timer.call("free to gone", client, "queue.free", adapter="nic", queue=name)
        client.call("queue.free", {"adapter": "nic", "queue": "new-other"})

    def documents(self, client, timer):
        saved = client.call("config.save", {})
        saved = saved.get("document", saved)
        more = {**saved, "queues": saved["queues"] + [
            {**self.queue(number), "filters": [self.filter(number)]}
            for number in range(self.args.queues)]}
        n = self.args.queues
        timer.call(f"plan {n} queues more", client, "config.plan", document=more)
        timer.call(f"apply {n} queues more", client, "config.apply", document=more)
        timer.call(f"apply {n} queues less", client, "config.apply", document=saved)

    def measure(self, timer):
        """Returns the packets lost."""
        process = self.vmqd.start()
        try:
            with Client(self.document["control"]["socket"]) as client:
                before = self.lost(client)
                self.requests(client, timer)
                self.documents(client, timer)
                received = client.call("stats", {})["total"]["received"]
                if self.traffic and received == 0:
                    raise BenchError("there was no traffic")
                return self.lost(client) - before
        except (NoDaemon, Refused) as error:
            raise BenchError(f"vmqd: {error}") from None
        finally:
            common.stop(process)

    def beside(self, screen, twin):
        """
        Figures of full load beside something; and the capture that was made.

        @param twin  another Run, which is asked what this one is asked
        """
        path, other_path = (run.document["control"]["socket"] for run in (self, twin))
        process, other = self.vmqd.start(), None
        try:
            other = twin.vmqd.start()
            with Client(path) as client, Client(path) as capturer:
                full = beside.Beside(client, process.pid, self.args.window)
                capture = beside.Capture(capturer, "vm1")
                screen.expect(3 * self.args.pairs)
                full.window()  # warm up
                figures = []
                for what, sides in (
                        ("nothing else", {"without": None, "again without": None}),
                        (f"{beside.REQUESTS_S} requests a second", {
                            "without": None,
                            "with": lambda: beside.Requests(path, "vm2"),
                            "to another daemon": lambda: beside.Requests(other_path, "vm2")}),
                        ("a capture of one queue", {"without": None, "with": lambda: capture})):
                    figures += self.sides(full, screen, what, sides)
                return figures, capture
        except (NoDaemon, Refused) as error:
            raise BenchError(f"vmqd: {error}") from None
        finally:
            common.stop(process)
            if other is not None:
                common.stop(other)

    def sides(self, full, screen, what, sides):
        """The second of the sides through each other one."""
        found = full.turns(self.args.pairs, sides, screen, what)
        figures = list(found.values())
        second = list(sides)[1]
        return figures + [
            common.turns_ratio(f"{what}: {second} / {name}", found[second], found[name])
            for name in sides if name != second]


def p99(values):
    values = sorted(values)
    return values[min(len(values) - 1, len(values) * 99 // 100)]


def run(args):
    screen = common.Screen(args)
    cores = common.choose_cores(args.core)
    screen.say(f"requests over the socket, worker on CPU {cores[1]}, {args.runs} runs of "
               f"{args.requests} requests of each kind")
    screen.look_at_load()
    machine = common.machine(worker=cores[1], main=cores[0])
    screen.expect(2 * args.runs)
    timers = {False: Timer(), True: Timer()}
    lost = 0
    with tempfile.TemporaryDirectory(prefix="vmq-bench-") as folder, \
            common.runtime(common.prefix()) as prefix:
        for _ in range(args.runs):
            for traffic in (False, True):
                screen.step("with full traffic" if traffic else "without traffic")
                one = Run(args, pathlib.Path(folder), cores, prefix, traffic)
                lost += one.measure(timers[traffic])
        other_folder = pathlib.Path(folder, "other")
        other_folder.mkdir()
        # All of it beside the worker that is measured, on the CPU of the clients.
        twin = Run(args, other_folder, (cores[0], cores[0]), f"{prefix}_other", False)
        beside_figures, capture = Run(args, pathlib.Path(folder), cores, prefix,
                                      True).beside(screen, twin)
        version = one.vmqd.version()
    screen.say(f"{'milliseconds':<24} {'idle':>9} {'p99':>9}   {'traffic':>9} {'p99':>9}")
    figures = []
    for name in timers[False].values:
        idle, busy = timers[False].values[name], timers[True].values[name]
        screen.say(f"{name:<24} {statistics.median(idle):9.3f} {p99(idle):9.3f}   "
                   f"{statistics.median(busy):9.3f} {p99(busy):9.3f}")
        for values, what in ((idle, "idle"), (busy, "traffic")):
            figures.append(common.Figure(f"{name}, {what}", "ms", values, better="lower"))
    screen.say(f"packets lost on the other queues meanwhile: {lost}")
    screen.say(f"full load, worker's CPU time, {args.pairs} pairs of {args.window:g} s"
               + (", on one core with the client" if beside.is_shared(cores) else ""))
    for figure in beside_figures:
        screen.say(figure.text(58))
    screen.say(f"the capture took {capture.packets} packets and left out {capture.lost}")
    figures += beside_figures
    common.write_result(args, {
        "bench": "control", "runs": args.runs, "requests": args.requests,
        "queues": args.queues, "lost": lost, "figures": [figure.result() for figure in figures],
        "machine": {**machine, "hugepages": one.hugepages},
        "versions": common.versions(vmqd=version)})
