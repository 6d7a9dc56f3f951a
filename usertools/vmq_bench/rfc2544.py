# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
Throughput by RFC 2544 for each size of frame, from a generator through vmqd to the
generator again, and where packets were lost: between generator and NIC, in the NIC, in
the queues (by reason), behind the backends. vmqd's adapter is a port of net_vhost or
net_memif, its queues' backends are vhost-user or net_memif, and the generator is another
process at their other ends; or the adapter is a real port (--device), with the
generator's port (--generator-device) at the other end of its cable.

pktgen: Pktgen-DPDK runs config/pktgen/rfc2544.lua, which halves the rate between the
greatest that passes and the least that does not, and config/pktgen/latency.lua.
testpmd: sends as fast as it can, since it cannot do less; a trial for each size.
"""

import json
import os
import pathlib
import pty
import re
import shutil
import subprocess
import tempfile
import threading
import time

from vmq_bench import common
from vmq_bench.common import START_S, BenchError, Figure
from vmq_bench.daemon import Vmqd, document
from vmq_bench.testpmd import Testpmd

# RFC 2544 section 9.1.
SIZES = [64, 128, 256, 512, 1024, 1280, 1518]
# Memory for each port: Pktgen-DPDK has pools of 24576 jumbo buffers for receiving, for
# sending, and for each kind of stream.
PORT_MB = {"pktgen": 1200, "testpmd": 128}
VMS_MAX = 16
SCRIPTS = common.TOP / "config" / "pktgen"


def numbers(text):
    return [int(word) for word in text.split(",")]


def add_arguments(parser):
    parser.add_argument("--generator", choices=("pktgen", "testpmd"), default="pktgen",
                        help="who sends (default %(default)s)")
    parser.add_argument("--pktgen", metavar="PROGRAM",
                        help="Pktgen-DPDK's binary (default: pktgen on the PATH)")
    parser.add_argument("--link", choices=("vhost", "memif"), default="vhost",
                        help="what joins the two processes (default %(default)s); Pktgen-DPDK "
                             "cannot use memif")
    parser.add_argument("--device", help="vmqd's adapter is this port instead")
    parser.add_argument("--generator-device",
                        help="and this one is the generator's, at the other end of the cable")
    parser.add_argument("--vms", type=int, default=1, help="VMs (default %(default)s)")
    parser.add_argument("--sizes", type=numbers, default=SIZES, metavar="N[,N...]",
                        help="sizes of frames with check sequence (default RFC 2544's)")
    parser.add_argument("--trial", type=float, default=2.0, metavar="SECONDS",
                        help="length of a trial (default %(default)s; RFC 2544 asks for 60)")
    parser.add_argument("--tolerance", type=float, default=0.0,
                        help="part of the frames that may be lost (default %(default)s)")
    parser.add_argument("--resolution", type=float, default=2.0, metavar="PERCENT",
                        help="the search ends when it is that near (default %(default)s)")
    parser.add_argument("--latency", action="store_true",
                        help="pktgen: also the latency at 1, 10 and 50 %% of the link")


def check_arguments(parser, args):
    if not all(64 <= size <= 1518 for size in args.sizes):
        parser.error("--sizes: 64 to 1518")
    if not 1 <= args.vms <= VMS_MAX:
        parser.error(f"--vms: 1 to {VMS_MAX}")
    if not 0 <= args.tolerance < 1:
        parser.error("--tolerance: a part, 0 to 1")
    if args.resolution <= 0 or args.trial < 0.5:
        parser.error("--resolution must be more than 0, --trial at least 0.5")
    if (args.device is None) != (args.generator_device is None):
        parser.error("--device and --generator-device: both or none")
    if args.generator == "pktgen" and args.link == "memif":
        parser.error("--link memif: Pktgen-DPDK sets a port's MTU and gives up where the driver "
                     "cannot, as net_memif; use --generator testpmd")
    if args.latency and args.generator != "pktgen":
        parser.error("--latency: only pktgen measures it")


class Setup:
    """vmqd and the devices on both ends of its links."""

    def __init__(self, args, folder, cores, prefix):
        self.args, self.folder, self.cores, self.prefix = args, folder, cores, prefix
        ends = [self.link(number) for number in range(args.vms + 1)]
        adapter = args.device or ends[0][0]
        self.generator = [args.generator_device or ends[0][1], *(end[1] for end in ends[1:])]
        queues = [{"name": f"vm{vm}", "vm": f"vm{vm}", "adapter": "nic",
                   "filters": [{"mac": common.mac_of(vm), "vlan": common.vlan_of(vm)},
                               {"mac": common.mac_of(vm), "vlan": "untagged"}],
                   "memory": {"buffers": 2048, "limit": 8192}, "backend": ends[vm][2]}
                  for vm in range(1, args.vms + 1)]
        self.vmqd = Vmqd(args.vmqd, folder,
                         document(cores, True, prefix, adapter, 8192, queues))
        self.vmqd.check()

    def link(self, number):
        """(an adapter's device, the generator's device, a backend) of one link."""
        socket = self.folder / f"link{number}.sock"
        if self.args.link == "memif":
            common_words = f"socket={socket},socket-abstract=no,id=0"
            ours = f"net_memif{number},role=server,{common_words}"
            return (ours, f"net_memif{number},role=client,{common_words}",
                    {"type": "ethdev", "device": ours})
        return (f"net_vhost{number},iface={socket}",
                f"net_virtio_user{number},path={socket},queue_size=1024",
                {"type": "vhost-user", "socket": str(socket), "mode": "server"})

    def eal(self, devices, name):
        """EAL's arguments of a generator with these devices, on the main core."""
        main, _ = self.cores
        # All memory from the start: a VM whose memory grows has to connect anew, and
        # net_virtio_user cannot.
        words = ["--lcores", f"0@{main},1@{main}", "--no-telemetry", "--in-memory",
                 "--single-file-segments", "--file-prefix", f"{self.prefix}_{name}", "-m",
                 PORT_MB[self.args.generator] * (1 + len(devices))]
        pci = [device for device in devices if not device.startswith("net_")]
        for device in devices:
            words += ["-a" if device in pci else "--vdev", device]
        return words if pci else [*words, "--no-pci"]


class Terminal:
    """Pktgen wants a terminal: give it one, and keep what it says."""

    def __init__(self, command, env, log):
        main, other = pty.openpty()
        self.log = log
        self.process = subprocess.Popen([str(word) for word in command], env=env, stdin=other,
                                        stdout=other, stderr=other, start_new_session=True)
        os.close(other)
        self.reader = threading.Thread(target=self._read, args=(main,), daemon=True)
        self.reader.start()

    def _read(self, main):
        with open(self.log, "wb") as out:
            while True:
                try:
                    data = os.read(main, 65536)
                except OSError:  # the other side is closed
                    break
                if not data:
                    break
                out.write(data)
                out.flush()
        os.close(main)

    def close(self):
        common.stop(self.process)
        self.reader.join(5)


class Pktgen:
    """Runs a script of config/pktgen and reads its results."""

    def __init__(self, setup):
        self.setup = setup
        self.program = setup.args.pktgen or shutil.which("pktgen")
        if self.program is None or not os.access(self.program, os.X_OK):
            raise BenchError("pktgen is missing: build Pktgen-DPDK (23.03 for DPDK 22.11, with "
                             "-Denable_lua=true) and name it with --pktgen, or use --generator "
                             "testpmd")

    def script(self, name, count, screen, **settings):
        """Results of a script, as they come; count of them are expected."""
        setup, args = self.setup, self.setup.args
        result = setup.folder / f"{name}.results"
        result.unlink(missing_ok=True)
        receive = ",".join(str(vm) for vm in range(1, args.vms + 1))
        env = {**os.environ, "VMQ_VMS": str(args.vms), "VMQ_RECEIVE": receive,
               "VMQ_TRIAL_MS": str(int(args.trial * 1000)), "VMQ_RESULT": str(result),
               "VMQ_COUNTERS": f"tail -n 1 {setup.vmqd.stats}", **settings, "TERM": "xterm"}
        ports = ",".join(f"[1:1].{port}" for port in range(args.vms + 1))
        command = [self.program, *setup.eal(setup.generator, "pktgen"), "--", "-P", "-T", "-m",
                   ports, "-f", SCRIPTS / f"{name}.lua"]
        screen.expect(count)
        results = []
        vmqd = setup.vmqd.start()
        terminal = Terminal(command, env, setup.folder / "pktgen.log")
        try:
            while len(results) < count:
                screen.step(f"pktgen: {name}")
                results.append(self.next(terminal, result, len(results)))
        finally:
            terminal.close()
            common.stop(vmqd)
        return results

    def next(self, terminal, file, number):
        """Wait for one more line."""
        # A search takes up to ten trials, and each settles for two seconds.
        end = time.monotonic() + START_S + 12 * (self.setup.args.trial + 3)
        while time.monotonic() < end:
            lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
            if len(lines) > number:
                found = json.loads(lines[number])
                if "error" in found:
                    raise BenchError(f"Pktgen: {found['error']}")
                return found
            if terminal.process.poll() is not None:
                break
            time.sleep(0.1)
        said = terminal.log.read_text(encoding="utf-8", errors="replace")
        raise BenchError(f"Pktgen gave no result:\n{said[-2000:]}")

    def throughput(self, screen):
        args = self.setup.args
        return self.script("rfc2544", len(args.sizes), screen,
                           VMQ_SIZES=",".join(map(str, args.sizes)),
                           VMQ_TOLERANCE=str(args.tolerance),
                           VMQ_RESOLUTION=str(args.resolution))

    def latency(self, screen):
        return self.script("latency", 3, screen, VMQ_RATES="1,10,50")


class TestpmdGenerator:
    """One testpmd sends, another is the VMs."""

    def __init__(self, setup):
        self.setup = setup

    def trial(self, size):
        setup, args = self.setup, self.setup.args
        vmqd = setup.vmqd.start()
        try:
            with Testpmd(setup.eal(setup.generator[1:], "vms"),
                         ["--forward-mode=rxonly", "--no-lsc-interrupt", "--rxd=1024",
                          f"--total-num-mbufs={4096 * args.vms}"],
                         setup.folder / "vms.log") as vms, \
                    Testpmd(setup.eal(setup.generator[:1], "source"),
                            ["--forward-mode=txonly", "--no-lsc-interrupt", "--txd=1024",
                             f"--txpkts={size - 4}", f"--eth-peer=0,{common.mac_of(1)}",
                             "--total-num-mbufs=8192"],
                            setup.folder / "source.log") as source:
                vms.start()
                source.start()
                time.sleep(args.trial)
                source.say("stop")
                time.sleep(1)  # what is on its way
                # While both are there: net_memif forgets its counters with its peer.
                counters = setup.vmqd.read()[-1]
                vms.say("show port stats all")
                source.say("show port stats all")
                sent = self.count(source.quit(), "TX-packets", "TX-errors")
                received = self.count(vms.quit(), "RX-packets", "RX-missed")
        finally:
            common.stop(vmqd)
        return self.result(size, sent, received, counters)

    @staticmethod
    def count(said, what, next_to):
        """Sum over the ports; next_to tells port statistics from those of forwarding."""
        found = re.findall(rf"{what}:\s+(\d+)\s+{next_to}", said)
        if not found:
            raise BenchError(f"dpdk-testpmd printed no {what}:\n{said[-2000:]}")
        return sum(map(int, found))

    def result(self, size, sent, received, vmqd):
        nic = vmqd["adapters"][0]["nic"]
        places = [(sent - nic["received"] - nic["missed"], "between generator and NIC"),
                  (nic["missed"], "in the NIC: its ring was full")]
        for queue in vmqd["queues"]:
            places += [(count, f"in queue {queue['name']}: {reason}")
                       for reason, count in queue["drops"].items()]
        places.append((sum(queue["delivered"] for queue in vmqd["queues"]) - received,
                       "behind the backends"))
        mpps = received / self.setup.args.trial / 1e6
        return {"size": size, "mpps": mpps, "gbits": mpps * (size + 20) * 8 / 1000, "sent": sent,
                "lost": sent - received, "unpaced": True,
                "where": ", ".join(f"{count} {where}" for count, where in places if count > 0)}

    def throughput(self, screen):
        results = []
        screen.expect(len(self.setup.args.sizes))
        for size in self.setup.args.sizes:
            screen.step(f"testpmd: {size} byte frames")
            results.append(self.trial(size))
        return results


def text(one):
    words = f"{one['size']:>5} B  {one['mpps']:8.3f} Mpps  {one['gbits']:7.3f} Gbit/s"
    if one.get("unpaced"):
        words += f"  of {one['sent']} sent {one['lost']} lost"
    if one.get("generator_limited"):
        words += "  (as fast as the generator can)"
    if one.get("where"):
        words += f"\n         lost{' above that' if 'next_rate' in one else ''}: {one['where']}"
    return words


def run(args):
    common.need_hugepages(PORT_MB[args.generator] * (3 + args.vms) + 512)
    screen = common.Screen(args)
    cores = common.choose_cores(args.core)
    screen.say(f"RFC 2544 throughput, {args.vms} VMs over {args.device or args.link}, "
               f"{args.generator}, trials of {args.trial:g} s, tolerance {args.tolerance:g}")
    screen.look_at_load()
    machine = common.machine(worker=cores[1], main=cores[0], hugepages=True)
    latency = []
    with tempfile.TemporaryDirectory(prefix="vmq-bench-") as folder, \
            common.runtime(common.prefix()) as prefix:
        setup = Setup(args, pathlib.Path(folder), cores, prefix)
        generator = Pktgen(setup) if args.generator == "pktgen" else TestpmdGenerator(setup)
        results = generator.throughput(screen)
        for one in results:
            screen.say(text(one))
        if args.latency:
            latency = generator.latency(screen)
            for one in latency:
                screen.say(f"{one['rate']:>5} % of the link, {one['offered_mpps']:.3f} Mpps: "
                           f"latency {one['latency']['min_us']:.1f} to "
                           f"{one['latency']['max_us']:.1f} us of {one['latency']['packets']} "
                           "frames")
        version = setup.vmqd.version()
    figures = [Figure(f"{args.generator} at {one['size']} B", "Mpps", [one["mpps"]])
               for one in results]
    common.write_result(args, {
        "bench": "rfc2544", "generator": args.generator, "link": args.device or args.link,
        "vms": args.vms, "trial_seconds": args.trial, "tolerance": args.tolerance,
        "results": results, "latency": latency,
        "figures": [figure.result() for figure in figures],
        "machine": machine, "versions": common.versions(vmqd=version)})
