# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
What a worker at full load carries beside something else, and without it, in the same
process: windows in turns, now the one first and now the other. Counted is what it carries
in a second of its CPU time, so that a machine that takes the CPU away does not count.

CPUs of a machine slow each other by what they share (a core, caches, power, a hypervisor's
page tables), so that a worker can be slower beside anything that runs on another CPU. A turn
can have a third window: beside the same thing done to somebody else. What the thing itself
costs the worker is the difference from that.
"""

import json
import os
import pathlib
import socket
import threading
import time

from vmq_bench.common import BenchError, Figure

REQUESTS_S = 1000  # requests a second
STEP_S = 0.01


def worker_thread(pid):
    """Thread id of a daemon's only worker."""
    found = [task for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
             if "worker" in (task / "comm").read_text(encoding="ascii")]
    if len(found) != 1:
        raise BenchError(f"process {pid} has {len(found)} threads that look like workers")
    return found[0]


class Requests(threading.Thread):
    """
    Requests at a rate, from a client that costs next to nothing itself: they are bytes
    already, and answers are counted, not read. They are received into one buffer: a new
    large one each time is mapped and unmapped each time, and changes of page tables slow
    the other CPUs of a virtual machine, whichever process makes them (2 % of a worker, by
    a client of a server that did nothing). Half of the requests change something.
    """

    def __init__(self, path, queue):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(60)
        self.socket.connect(str(path))
        methods = [("queue.set", {"queue": queue, "as": "config", "priority": number % 2})
                   if number % 2 else ("queue.show", {"queue": queue})
                   for number in range(int(REQUESTS_S * STEP_S))]
        self.bytes = b"".join(
            json.dumps({"jsonrpc": "2.0", "id": number, "method": method,
                        "params": params}).encode() for number, (method, params)
            in enumerate(methods))
        self.n = len(methods)
        self.answered = 0
        self.error = None
        self.over = threading.Event()

    def run(self):
        try:
            began = time.monotonic()
            steps = 0
            room = bytearray(1 << 16)
            while not self.over.is_set():
                self.socket.sendall(self.bytes)
                left = self.n
                while left > 0:
                    data = room[:self.socket.recv_into(room)]
                    if not data or b'"error"' in data:
                        raise BenchError(f"a request was not carried out: "
                                         f"{bytes(data[:300])!r}")
                    left -= data.count(b"\n")
                self.answered += self.n
                steps += 1
                self.over.wait(max(began + steps * STEP_S - time.monotonic(), 0))
        except (OSError, BenchError) as error:
            self.error = error

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()
        self.socket.close()
        if self.error is not None:
            raise BenchError(f"requests: {self.error}")


class Capture:
    """One queue's packets, taken and thrown away."""

    def __init__(self, client, queue):
        self.client, self.queue = client, queue
        self.packets = self.lost = 0

    def __enter__(self):
        started = self.client.call("capture.start", {"queue": self.queue})
        self.number = started["capture"]
        self.stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.stream.connect(started["socket"])
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        return self

    def _read(self):
        room = bytearray(1 << 20)
        while self.stream.recv_into(room):
            pass

    def __exit__(self, *_):
        ended = self.client.call("capture.stop", {"capture": self.number})
        self.reader.join()
        self.stream.close()
        self.packets += ended["packets"]
        self.lost += ended["lost"]


class Beside:
    """A daemon at full load, measured in windows."""

    def __init__(self, client, pid, seconds):
        self.client, self.seconds = client, seconds
        self.clock = worker_thread(pid) / "schedstat"

    def look(self):
        worker = self.client.call("workers")["workers"][0]
        return worker["packets"], int(self.clock.read_text(encoding="ascii").split()[0])

    def window(self):
        """Millions of packets in a second of the worker's CPU time."""
        before = self.look()
        time.sleep(self.seconds)
        after = self.look()
        if after[1] == before[1]:
            raise BenchError("the worker had no CPU time at all")
        return (after[0] - before[0]) * 1e3 / (after[1] - before[1])

    def with_it(self, make):
        with make():
            time.sleep(self.seconds / 10)
            return self.window()

    def turns(self, n, sides, screen, what):
        """
        Figures of all sides, n windows each.

        @param sides  {name: function that makes what is beside, or None for nothing}
        """
        figures = {name: Figure(f"{what}: {name}", "Mpps") for name in sides}
        names = list(sides)
        for number in range(n):
            screen.step(what)
            # Each is as often the first, and as often behind each of the others.
            order = names[number % len(names):] + names[:number % len(names)]
            for name in order if number // len(names) % 2 else reversed(order):
                make = sides[name]
                figures[name].values.append(self.window() if make is None
                                            else self.with_it(make))
        return figures


def is_shared(cores):
    """Do both CPUs belong to one core of the machine, so that each slows the other?"""
    path = f"/sys/devices/system/cpu/cpu{cores[1]}/topology/thread_siblings_list"
    if not os.path.exists(path):
        return False
    cpus = set()
    with open(path, encoding="ascii") as file:
        for part in file.read().strip().split(","):
            first, _, last = part.partition("-")
            cpus.update(range(int(first), int(last or first) + 1))
    return cores[0] in cpus
