# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""What all subcommands share: the machine, programs, repetition, figures, results."""

import contextlib
import datetime
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
START_S = 60
WARM_UP_S = 0.5


class BenchError(Exception):
    """A sentence for the user: what is wrong and what mends it."""


def run(command, seconds=START_S, **options):
    """Run a program to its end; what it printed is in the error if it fails."""
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                              timeout=seconds, check=False, **options)
    except FileNotFoundError:
        raise BenchError(f"{command[0]} is missing") from None
    except subprocess.TimeoutExpired:
        raise BenchError(f"{command[0]} did not end within {seconds} s") from None
    if done.returncode != 0:
        raise BenchError(f"{command[0]} ended with status {done.returncode}:\n"
                         f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done


def stop(process, seconds=10):
    """End a process that we started: first politely."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(good, what, seconds=START_S, process=None):
    """Wait until good() is true; a process that ends meanwhile is an error."""
    end = time.monotonic() + seconds
    while not good():
        if process is not None and process.poll() is not None:
            raise BenchError(f"{process.args[0]} ended with status {process.returncode} "
                             f"before {what}")
        if time.monotonic() > end:
            raise BenchError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def choose_cores(wanted):
    """CPUs of the main thread and of the worker; one and the same if there is one."""
    allowed = sorted(os.sched_getaffinity(0))
    worker = allowed[-1] if wanted is None else wanted
    if worker not in allowed:
        raise BenchError(f"--core {worker}: not one of the CPUs allowed, {allowed}")
    others = [cpu for cpu in allowed if cpu != worker]
    return (others[0] if others else worker), worker


def hugepage_places():
    """Where hugetlbfs is mounted and we may write."""
    with open("/proc/mounts", encoding="utf-8") as file:
        places = [line.split()[1] for line in file if line.split()[2] == "hugetlbfs"]
    return [place for place in places if os.access(place, os.W_OK)]


def free_hugepages_mb():
    """Free hugepages that we may use, in MiB; 0 without a place for them."""
    with open("/proc/meminfo", encoding="ascii") as file:
        info = dict(re.findall(r"(HugePages_Free|Hugepagesize):\s+(\d+)", file.read()))
    if not hugepage_places():
        return 0
    return int(info.get("HugePages_Free", 0)) * int(info.get("Hugepagesize", 0)) // 1024


def need_hugepages(mb):
    if free_hugepages_mb() < mb:
        raise BenchError(f"{mb} MiB of free hugepages are needed and there are "
                         f"{free_hugepages_mb()}: as root, echo {mb // 2} > "
                         "/proc/sys/vm/nr_hugepages, and mount -t hugetlbfs none /dev/hugepages")


MEMORY_TEXT = {True: "hugepages", False: "4 KiB pages, no hugepages"}


@contextlib.contextmanager
def runtime(prefix):
    """What EAL leaves behind for file prefixes that begin so is removed in the end."""
    try:
        yield prefix
    finally:
        for place in hugepage_places():
            for file in pathlib.Path(place).glob(f"{prefix}*map_*"):
                file.unlink()
        for place in ("/var/run", "/tmp", os.environ.get("XDG_RUNTIME_DIR", "/var/run")):
            for folder in pathlib.Path(place, "dpdk").glob(f"{prefix}*"):
                shutil.rmtree(folder, ignore_errors=True)


def prefix():
    return f"vmqbench_{os.getpid()}"


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        match = re.search(r"^model name\s*:\s*(.+)$", file.read(), re.MULTILINE)
    return match.group(1) if match else os.uname().machine


def machine(**more):
    return {"cpu": cpu_model(), "cores": os.cpu_count(),
            "load_before": round(os.getloadavg()[0], 2), **more}


def versions(**more):
    return {"kernel": os.uname().release, **more}


class Screen:
    """What the user sees: lines, and one line of progress where there is a terminal."""

    def __init__(self, args):
        self.out = sys.stderr if args.json == "-" else sys.stdout
        self.live = sys.stderr.isatty()
        self.done, self.total = 0, 0
        self.began = time.monotonic()

    def say(self, *words):
        self._clear()
        print(*words, file=self.out, flush=True)

    def _clear(self):
        if self.live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def expect(self, steps):
        """So many more steps are to come."""
        self.total += steps

    def step(self, what):
        """A step begins."""
        self.done += 1
        spent = time.monotonic() - self.began
        if self.live:
            left = spent / max(self.done - 1, 1) * (self.total - self.done + 1)
            print(f"\r\033[K[{self.done}/{self.total}] {what}, about {left:.0f} s left", end="",
                  file=sys.stderr, flush=True)

    def look_at_load(self):
        load = os.getloadavg()[0]
        if load > 0.5:
            self.say(f"warning: the machine is not quiet, load average {load:.2f}")


class Figure:
    """A quantity that was measured several times."""

    def __init__(self, name, unit, values=(), better="higher"):
        self.name, self.unit, self.better = name, unit, better
        self.values = list(values)

    @property
    def median(self):
        return statistics.median(self.values)

    def text(self, width=34):
        return (f"{self.name:<{width}} median {self.median:8.3f} {self.unit:<5} spread "
                f"{min(self.values):.3f} to {max(self.values):.3f} ({len(self.values)} runs)")

    def result(self):
        return {"name": self.name, "unit": self.unit, "better": self.better,
                "median": round(self.median, 4), "min": round(min(self.values), 4),
                "max": round(max(self.values), 4),
                "values": [round(value, 4) for value in self.values]}


def ratio(name, ours, theirs):
    """The figure of ours through theirs, run by run; its median is that of the medians."""
    return RatioFigure(name, ours, theirs, ours.median / theirs.median)


def turns_ratio(name, ours, theirs):
    """
    The same of windows that were measured next to each other, in one process: the median is
    that of the ratios, so that a machine that is slower in the next minute does not count.
    """
    return RatioFigure(name, ours, theirs)


class RatioFigure(Figure):
    def __init__(self, name, ours, theirs, median=None):
        super().__init__(name, "", [a / b for a, b in zip(ours.values, theirs.values)])
        self._median = median

    @property
    def median(self):
        return super().median if self._median is None else self._median


def interleave(screen, runs, sides):
    """
    Run every side once to warm up, the first one twice against itself (A/A: what chance
    alone makes of a ratio), and then all in turn.

    @param sides  {name: function that returns one value}; a name is text, or a tuple of it
                  and a number of VMs
    @return (A/A Figure, {name: values})
    """
    def text(name):
        return name if isinstance(name, str) else f"{name[0]}, {name[1]} VMs"

    first = next(iter(sides))
    screen.expect(len(sides) + 2 * runs + runs * len(sides))
    for name, side in sides.items():
        screen.step(f"warming up: {text(name)}")
        side()
    same = ([], [])
    for _ in range(runs):
        for values in same:
            screen.step(f"{text(first)} against itself")
            values.append(sides[first]())
    values = {name: [] for name in sides}
    for _ in range(runs):
        for name, side in sides.items():
            screen.step(text(name))
            values[name].append(side())
    return ratio(f"{text(first)} / {text(first)}", Figure("", "", same[0]),
                 Figure("", "", same[1])), values


def write_result(args, result):
    result = {**result, "when": datetime.datetime.now(datetime.timezone.utc).isoformat("T",
                                                                                    "seconds")}
    if args.json == "-":
        print(json.dumps(result))
    elif args.json:
        pathlib.Path(args.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if args.plots:
        from vmq_bench import plots  # matplotlib is needed here only
        plots.draw([result], pathlib.Path(args.plots))


def make_traffic(file, vms, total, size, flows=None):
    command = [TOP / "usertools" / "make-traffic", "--vms", vms, "--total", total, "--size", size]
    if flows is not None:
        command += ["--flows", flows]
    run([*command, file], 300)


def mac_of(vm):
    """The MAC and VLAN that make-traffic gives to a VM."""
    return f"52:54:00:00:{vm >> 8:02x}:{vm & 255:02x}"


def vlan_of(vm):
    return (vm - 1) % 4094 + 1
