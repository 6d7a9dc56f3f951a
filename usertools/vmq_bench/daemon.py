# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""vmqd as a program to measure: documents, runs, the steady part of its statistics."""

import json
import os
import subprocess

from vmq_bench import common
from vmq_bench.common import START_S, WARM_UP_S, BenchError


class Vmqd:
    """The daemon with one document; started for each run."""

    def __init__(self, binary, folder, document):
        if not os.access(binary, os.X_OK):
            raise BenchError(f"{binary} is missing: meson setup build && meson compile -C "
                             "build, or name it with --vmqd")
        self.binary = binary
        self.folder = folder
        self.document = folder / "vmqd.json"
        self.stats = folder / "stats.json"
        self.document.write_text(json.dumps(document), encoding="utf-8")
        self.last = None  # statistics at the end of the last run

    def version(self):
        return common.run([self.binary, "--version"]).stdout.strip()

    def check(self):
        common.run([self.binary, "-c", self.document, "--check"])

    def command(self, interval=0.1):
        return [str(self.binary), "-c", str(self.document), "--quiet", "--stats-json",
                str(self.stats), "--stats-interval", str(interval)]

    def run(self, seconds):
        """Run for a time. @return statistics, oldest first, the last one final"""
        whole = int(seconds + WARM_UP_S + 0.999)
        common.run([*self.command(), "--seconds", whole], START_S + whole)
        return self.read()

    def read(self):
        # At once: a line that is being written would be read as two otherwise.
        *whole, _ = self.stats.read_text(encoding="utf-8").split("\n")
        objects = [json.loads(line) for line in whole]
        if objects:
            self.last = objects[-1]
        return objects

    def start(self):
        """Start it, to be stopped with common.stop(). Waits until it receives."""
        self.stats.unlink(missing_ok=True)
        with open(self.folder / "vmqd.log", "wb") as log:
            process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=log)
        try:
            common.wait_until(lambda: self.stats.exists() and self.read(), "vmqd runs",
                              process=process)
        except BaseException as error:
            common.stop(process)
            if not isinstance(error, BenchError):
                raise
            raise BenchError(f"{error}\n{(self.folder / 'vmqd.log').read_text()}") from None
        return process


def steady_mpps(objects, counter=lambda one: one["total"]["received"]):
    """Millions of packets a second over the part of a run after its beginning."""
    steady = [one for one in objects if not one["final"] and one["elapsed_s"] >= WARM_UP_S]
    if len(steady) < 2:
        raise BenchError("vmqd wrote too few statistics to measure anything")
    first, last = steady[0], steady[-1]
    return (counter(last) - counter(first)) / (last["elapsed_s"] - first["elapsed_s"]) / 1e6


def assert_fair(objects):
    """Nothing was dropped, and every frame had a VM."""
    lost = objects[-1]["total"]["dropped"]
    stray = next(queue["received"] for queue in objects[-1]["queues"] if queue["id"] == 0)
    if lost or stray:
        raise BenchError(f"not a fair run: vmqd dropped {lost} packets and steered {stray} "
                         "to the default queue")


def document(cores, hugepages, file_prefix, device, buffers, queues, **default_memory):
    """One adapter, a worker on one core, and queues."""
    main, worker = cores
    return {"eal": {"main_core": main, "workers": [worker], "hugepages": hugepages,
                    "file_prefix": file_prefix},
            "adapters": [{"name": "nic", "device": device,
                          "default_queue": {"memory": {"buffers": buffers, **default_memory},
                                            "backend": {"type": "sink"}}}],
            "queues": queues}


def queues_of(vms, filters, backend):
    """vms queues that share filters in turn, the numbers as make-traffic's."""
    return [{"name": f"vm{vm}", "vm": f"vm{vm}", "adapter": "nic",
             "filters": [{"mac": common.mac_of(one), "vlan": common.vlan_of(one)}
                         for one in range(vm, filters + 1, vms)],
             "memory": {"buffers": 256}, "backend": backend(vm)}
            for vm in range(1, vms + 1)]
