# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
Packets a second that one worker core delivers to N VMs by vhost-user, beside Open
vSwitch with DPDK on the same source and VMs. Source: net_pcap with infinite_rx=1,
frames over the VMs, each with a MAC and a VLAN. The VMs are ports of a dpdk-testpmd with
net_virtio_user on the other core, which receives and frees; what it received counts,
not what the switch says it sent. Their rings are as long as QEMU and net_virtio_user make
them unless told otherwise; --ring changes that. Needs hugepages.

The runs of all numbers of VMs take turns, so that these can be compared too, on a machine
whose speed changes from minute to minute.

With --stopped: what the others keep of their rate, at full load, while the last one of
the VMs is connected and reads nothing. It stops and goes on in one run, window by window,
because runs of their own differ by more than it could cost.

With --in-turns: the greatest number of VMs beside the least. Both switches with their VMs
are there, and one stands still (SIGSTOP) while the other one is measured, window by window.
"""

import contextlib
import math
import pathlib
import signal
import tempfile
import time

from vmq_bench import common, ovs
from vmq_bench.common import START_S, WARM_UP_S, BenchError, Figure
from vmq_bench.daemon import Vmqd, document, queues_of
from vmq_bench.testpmd import Testpmd

# At least so many, as many for each VM. The source copies each frame out of a buffer that it
# keeps: these are to take little of the caches and of the TLB, since behind a NIC there are none.
FRAMES = 256
BUFFERS = 16384
VMS_MAX = 30  # ports of one testpmd
SWITCH_MB = 1024
VMQD_MB = 256
GUEST_MB = 512
GUEST_BUFFERS = 4096  # of each VM
RING = 256  # QEMU: rx_queue_size of virtio-net-pci; DPDK: queue_size of net_virtio_user
RINGS = [64, 128, 256, 512, 1024]  # from two bursts to QEMU's most
TURN_WARM_UP_S = 0.2


def numbers(text):
    return [int(word) for word in text.split(",")]


def add_arguments(parser):
    parser.add_argument("--n", type=numbers, default=[1, 2, 4, 8, 16], metavar="N[,N...]",
                        help="VMs (default 1,2,4,8,16)")
    parser.add_argument("--size", type=int, default=64,
                        help="bytes of a frame, the check sequence counted (default %(default)s)")
    parser.add_argument("--packed", action="store_true", help="packed rings")
    parser.add_argument("--ring", type=int, choices=RINGS, default=RING,
                        help="descriptors of a VM's ring (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0,
                        help="measured part of each run (default %(default)s)")
    parser.add_argument("--no-ovs", action="store_true", help="leave Open vSwitch out")
    parser.add_argument("--stopped", action="store_true",
                        help="what the others keep while one VM reads nothing; with the greatest "
                             "of --n, without Open vSwitch")
    parser.add_argument("--in-turns", action="store_true",
                        help="the greatest of --n beside the least, in turns of --seconds each, "
                             "without Open vSwitch")
    parser.add_argument("--rounds", type=int, default=10,
                        help="with --stopped and --in-turns: turns of a run (default "
                             "%(default)s)")


def check_arguments(parser, args):
    if not all(1 <= n <= VMS_MAX for n in args.n) or len(set(args.n)) < len(args.n):
        parser.error(f"--n: 1 to {VMS_MAX}, each once")
    if not 64 <= args.size <= 1518:
        parser.error("--size: 64 to 1518")
    if args.seconds < 0.5:
        parser.error("--seconds: at least half a second")
    if args.stopped and max(args.n) < 2:
        parser.error("--stopped: needs two VMs")
    if args.in_turns and (args.stopped or len(args.n) < 2):
        parser.error("--in-turns: needs two numbers of VMs, and goes without --stopped")
    if args.rounds < 1:
        parser.error("--rounds: at least 1")


class Guests:
    """The VMs: they own the sockets, the switch connects. A context manager."""

    def __init__(self, folder, cores, prefix, n, packed, ring):
        main, _ = cores
        self.sockets = [folder / f"vm{vm}.sock" for vm in range(1, n + 1)]
        eal = ["--lcores", f"0@{main},1@{main}", "--no-pci", "--no-telemetry", "--in-memory",
               "--single-file-segments", "--file-prefix", f"{prefix}_vms", "-m", GUEST_MB]
        for vm, socket in enumerate(self.sockets):
            eal += ["--vdev", f"net_virtio_user{vm},path={socket},server=1,queue_size={ring}"
                              f"{',packed_vq=1' if packed else ''}"]
        self.n = n
        self.pmd = Testpmd(eal, ["--forward-mode=rxonly", "--nb-cores=1", f"--rxd={ring}",
                                 f"--txd={ring}", f"--total-num-mbufs={n * GUEST_BUFFERS}",
                                 "--no-lsc-interrupt", "--no-flush-rx"], folder / "guests.log")

    def __enter__(self):
        for socket in self.sockets:
            socket.unlink(missing_ok=True)
        self.pmd.__enter__()
        # Each port waits for its switch before the next one is made.
        common.wait_until(self.sockets[0].exists, "the first VM listens",
                          process=self.pmd.process)
        return self

    def __exit__(self, *what):
        self.pmd.__exit__(*what)

    def wait_for_packets(self, counted):
        """Wait until each of the first VMs, so many, receives."""
        before = self.pmd.read(self.n)
        deadline = time.monotonic() + START_S
        while True:
            time.sleep(0.1)
            now = self.pmd.read(self.n)
            deaf = [vm for vm in range(counted) if now[vm] == before[vm]]
            if not deaf:
                return
            if time.monotonic() > deadline:
                raise BenchError(f"VM {deaf[0] + 1} of {self.n} receives nothing, also after "
                                 f"{START_S} s")

    def start(self):
        """All of them read, once each has got something."""
        self.pmd.start()
        self.wait_for_packets(self.n)
        time.sleep(WARM_UP_S)

    def let_read(self, reading):
        """Only the first of them, so many, read from now on."""
        self.pmd.say("stop")
        self.pmd.say(f"set portlist {','.join(map(str, range(reading)))}")
        self.pmd.start()
        self.wait_for_packets(reading)

    def measure(self, seconds, counted=None, reading=None):
        """
        Mpps received by VMs together.

        @param counted  the first of them, so many
        @param reading  those that read; the others must not receive anything
        """
        counted = self.n if counted is None else counted
        reading = self.n if reading is None else reading
        before = self.pmd.read(self.n)
        time.sleep(seconds)
        rates = self.pmd.read(self.n, "Rx-pps")
        if 0 in rates[:counted]:
            raise BenchError(f"not a fair run: the rates of {counted} VMs are {rates[:counted]}")
        silent = sum(self.pmd.read(self.n)[reading:]) - sum(before[reading:])
        if silent != 0:
            raise BenchError(f"not a fair run: {self.n - reading} VMs that were to read nothing "
                             f"have read {silent} packets")
        return sum(rates[:counted]) / 1e6


class Point:
    """N VMs, and the programs that are measured with them."""

    def __init__(self, args, folder, cores, prefix, n):
        folder = folder / f"vms{n}"
        folder.mkdir()
        self.args, self.folder, self.cores, self.prefix, self.n = args, folder, cores, prefix, n
        source = folder / "source.pcap"
        common.make_traffic(source, n, math.ceil(FRAMES / n) * n, args.size)
        self.device = f"net_pcap0,rx_pcap={source},infinite_rx=1"
        doc = document(cores, True, prefix, self.device, BUFFERS, queues_of(
            n, n, lambda vm: {"type": "vhost-user", "socket": str(folder / f"vm{vm}.sock")}))
        for queue in doc["queues"]:
            queue["memory"] = {"buffers": 1024, "limit": 4096}
        self.vmqd = Vmqd(args.vmqd, folder, doc)
        self.vmqd.check()
        self.ovs_version = None
        self.process = None

    def guests(self):
        return Guests(self.folder, self.cores, self.prefix, self.n, self.args.packed,
                      self.args.ring)

    @contextlib.contextmanager
    def started(self):
        """VMs that receive from vmqd."""
        with self.guests() as guests:
            self.process = self.vmqd.start()
            try:
                guests.start()
                yield guests
            finally:
                common.stop(self.process)

    @contextlib.contextmanager
    def standing_still(self, guests):
        """Neither vmqd nor its VMs run."""
        processes = [self.process, guests.pmd.process]
        try:
            for process in processes:
                process.send_signal(signal.SIGSTOP)
            yield
        finally:
            for process in processes:
                process.send_signal(signal.SIGCONT)

    def run_vmqd(self):
        with self.started() as guests:
            return guests.measure(self.args.seconds)

    def run_ovs(self):
        with ovs.Ovs(self.folder, self.cores, self.prefix, SWITCH_MB) as switch, \
                self.guests() as guests:
            self.ovs_version = switch.version()
            for vm, socket in enumerate(guests.sockets, 1):
                switch.add_port(f"vm{vm}", vm, "dpdkvhostuserclient", vhost_server_path=socket)
            switch.add_rules(self.n)
            switch.add_source(self.device)
            guests.start()
            return guests.measure(self.args.seconds)

    def sides(self):
        sides = {("vmqd", self.n): self.run_vmqd}
        if not self.args.no_ovs and ovs.missing() is None:
            sides["Open vSwitch", self.n] = self.run_ovs
        return sides


def settings(args):
    """What a result says of how it was measured."""
    return {"frame_bytes": args.size, "frames": FRAMES, "ring": args.ring, "packed": args.packed}


def tell(point, screen, values, same, args):
    """Prints the figures of one number of VMs, and returns them."""
    n = point.n
    ours = Figure("vmqd", "Mpps", values["vmqd", n])
    figures = [ours]
    if ("Open vSwitch", n) in values:
        theirs = Figure("Open vSwitch", "Mpps", values["Open vSwitch", n])
        figures += [theirs, common.ratio("vmqd / Open vSwitch", ours, theirs)]
    screen.say(f"-- {n} VMs, {args.size} byte frames: {ours.median * n_bits(args.size):.2f} Gbit/s")
    for figure in figures:
        screen.say(figure.text())
    for figure in figures:
        figure.name += f" at {n} vms"
    return {"vms": n, "ratio_same": round(same.median, 4),
            "figures": [figure.result() for figure in figures]}


def compare(points, screen, values):
    """Figures of what more VMs get together, through what the fewest do."""
    least, *more = sorted(point.n for point in points)
    figures = [common.ratio(f"vmqd, {n} VMs / {least} VMs",
                            *(Figure("", "Mpps", values["vmqd", one]) for one in (n, least)))
               for n in more]
    for figure in figures:
        screen.say(figure.text())
    return [figure.result() for figure in figures]


def run_stopped(args, screen, machine):
    """All but one of the VMs, while that one reads and while it does not, in turn."""
    n = max(args.n)
    sides = {"all read": n, "all read again": n, "one stopped": n - 1}
    figures = {name: Figure(f"{n - 1} VMs, {name}", "Mpps") for name in sides}
    names = list(sides)
    screen.expect(args.runs * args.rounds)
    with tempfile.TemporaryDirectory(prefix="vmq-bench-") as folder, \
            common.runtime(common.prefix()) as prefix:
        point = Point(args, pathlib.Path(folder), common.choose_cores(args.core), prefix, n)
        for _ in range(args.runs):
            with point.started() as guests:
                for number in range(args.rounds):
                    screen.step(f"{n} VMs, with one and without")
                    # Each is as often the first of a round as the others.
                    first = number % len(names)
                    for name in names[first:] + names[:first]:
                        guests.let_read(sides[name])
                        figures[name].values.append(
                            guests.measure(args.seconds, n - 1, sides[name]))
        version = point.vmqd.version()
    every, again, stopped = figures.values()
    kept = common.turns_ratio("kept", stopped, every)
    same = common.turns_ratio("all read, again", again, every)
    screen.say(f"-- {n} VMs, {args.size} byte frames, the last one stops reading; {args.runs} "
               f"times {args.rounds} rounds of windows of {args.seconds:g} s")
    for figure in (every, again, stopped, kept):
        screen.say(figure.text())
    screen.say(same.text() + ": what chance alone makes of a ratio")
    common.write_result(args, {
        "bench": "vms_stopped", "n": n, **settings(args), "runs": args.runs,
        "rounds": args.rounds, "seconds": args.seconds, "kept": round(kept.median, 4),
        "ratio_same": round(same.median, 4),
        "figures": [figure.result() for figure in (every, again, stopped, kept)],
        "machine": machine, "versions": common.versions(vmqd=version)})


def run_in_turns(args, screen, machine):
    """The least and the greatest number of VMs, each in its own switch, in turn."""
    least, greatest = min(args.n), max(args.n)
    names = [f"{least} VMs", f"{least} VMs, again", f"{greatest} VMs"]
    figures = {name: Figure(name, "Mpps") for name in names}
    screen.expect(args.runs * args.rounds)
    with tempfile.TemporaryDirectory(prefix="vmq-bench-") as folder, \
            common.runtime(common.prefix()) as prefix:
        cores = common.choose_cores(args.core)
        few, many = (Point(args, pathlib.Path(folder), cores, f"{prefix}_{n}", n)
                     for n in (least, greatest))
        for _ in range(args.runs):
            with contextlib.ExitStack() as stack:
                few_guests = stack.enter_context(few.started())
                stack.enter_context(few.standing_still(few_guests))
                many_guests = stack.enter_context(many.started())
                stack.enter_context(many.standing_still(many_guests))
                sides = dict(zip(names, [(few, few_guests), (few, few_guests),
                                         (many, many_guests)]))
                for number in range(args.rounds):
                    screen.step(f"{least} and {greatest} VMs")
                    # Each is as often the first of a round as the others.
                    first = number % len(names)
                    for name in names[first:] + names[:first]:
                        figures[name].values.append(measure_turn(*sides[name], args.seconds))
        version = few.vmqd.version()
    one, again, all_of_them = figures.values()
    through = common.turns_ratio(f"{greatest} VMs / {least} VMs", all_of_them, one)
    same = common.turns_ratio(f"{least} VMs, again / {least} VMs", again, one)
    screen.say(f"-- {args.size} byte frames; {args.runs} times {args.rounds} rounds of windows of "
               f"{args.seconds:g} s")
    for figure in (one, again, all_of_them, through):
        screen.say(figure.text())
    screen.say(same.text() + ": what chance alone makes of a ratio")
    common.write_result(args, {
        "bench": "vms_in_turns", "n": [least, greatest], **settings(args),
        "runs": args.runs, "rounds": args.rounds, "seconds": args.seconds,
        "ratio": round(through.median, 4), "ratio_same": round(same.median, 4),
        "figures": [figure.result() for figure in (one, again, all_of_them, through)],
        "machine": machine, "versions": common.versions(vmqd=version)})


def measure_turn(point, guests, seconds):
    """Let one that stands still go on for a window. Returns its Mpps."""
    processes = [point.process, guests.pmd.process]
    for process in processes:
        process.send_signal(signal.SIGCONT)
    try:
        time.sleep(TURN_WARM_UP_S)
        return guests.measure(seconds)
    finally:
        for process in processes:
            process.send_signal(signal.SIGSTOP)


def n_bits(size):
    """Thousands of bits of a frame, without its check sequence: what the VM gets."""
    return (size - 4) * 8 / 1e3


def column(points, place):
    """Medians of one figure over the points; None where it was not measured."""
    return [point["figures"][place]["median"] if len(point["figures"]) > place else None
            for point in points]


def run(args):
    if args.in_turns:
        common.need_hugepages(2 * (GUEST_MB + VMQD_MB))
    else:
        common.need_hugepages(SWITCH_MB + GUEST_MB + VMQD_MB)
    screen = common.Screen(args)
    cores = common.choose_cores(args.core)
    screen.say(f"delivery to VMs, {args.size} byte frames, worker on CPU {cores[1]}, VMs on CPU "
               f"{cores[0]}, rings of {args.ring}, {args.runs} runs of {args.seconds:g} s")
    if (not args.no_ovs and not args.stopped and not args.in_turns and
            ovs.missing() is not None):
        screen.say(f"Open vSwitch is left out: {ovs.missing()}")
    screen.look_at_load()
    machine = common.machine(worker=cores[1], main=cores[0], hugepages=True)
    if args.stopped:
        run_stopped(args, screen, machine)
        return
    if args.in_turns:
        run_in_turns(args, screen, machine)
        return
    programs = {}
    with tempfile.TemporaryDirectory(prefix="vmq-bench-") as folder, \
            common.runtime(common.prefix()) as prefix:
        measured = [Point(args, pathlib.Path(folder), cores, prefix, n) for n in args.n]
        same, values = common.interleave(screen, args.runs, {
            side: run for point in measured for side, run in point.sides().items()})
        programs["vmqd"] = measured[0].vmqd.version()
        if measured[0].ovs_version is not None:
            programs["ovs"] = measured[0].ovs_version
    points = [tell(point, screen, values, same, args) for point in measured]
    compared = compare(measured, screen, values)
    screen.say(same.text() + ": what chance alone makes of a ratio")
    mpps = column(points, 0)
    common.write_result(args, {
        "bench": "vms", **settings(args), "runs": args.runs, "seconds": args.seconds,
        "n": args.n, "mpps": mpps, "ovs_mpps": column(points, 1),
        "ratio_ovs": column(points, 2),
        "gbits": [round(one * n_bits(args.size), 4) for one in mpps],
        "curve": {"over": "vms", "points": points},
        "figures": [figure for point in points for figure in point["figures"]] + compared,
        "machine": machine, "versions": common.versions(**programs)})
