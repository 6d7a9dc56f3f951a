# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""vmqd inside a guest: its document, its statistics and its end."""

import json
import time

from vmq_test import rpc
from vmq_test.daemon import check_final


class GuestVmqd:
    """
    A vmqd that runs in a guest; its files are in the folder that both sides see. As a
    context manager it is gone at the end, whatever happens.

    @param guest  a Machine with share, with vmqd in its image, that is ready
    @param env    more words for the environment
    """

    def __init__(self, guest, doc, *options, interval=0.2, env=None):
        self.guest = guest
        self.doc = doc
        self.folder = guest.folder
        self.stats_file = self.folder / "stats.json"
        self.stats_file.unlink(missing_ok=True)
        self._read_at = 0
        self._last = None
        (self.folder / "vmqd.json").write_text(json.dumps(doc, indent=1), encoding="utf-8")
        words = " ".join(options)
        before = "".join(f"{name}={value} " for name, value in (env or {}).items())
        self.pid = int(guest.run(
            f"cd /host; rm -f vmqd.status; ({before}vmqd -c vmqd.json --quiet --stats-interval {interval} "
            f"--stats-json stats.json {words} > vmqd.out 2> vmqd.err; echo $? > vmqd.status) & "
            "n=0; until pidof vmqd; do n=$((n + 1)); [ $n -lt 50 ] || exit 1; sleep 0.1; done"
        ).split()[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.guest.alive and self.status() is None:
            self.guest.run(f"kill -KILL {self.pid}; while [ -e /proc/{self.pid} ]; "
                           "do sleep 0.1; done", good=False)

    def explain(self, what):
        words = [(self.folder / name).read_text(errors="replace")
                 for name in ("vmqd.err", "vmqd.out", "vmqd.status")
                 if (self.folder / name).exists()]
        return self.guest.explain(f"{what}\n-- last statistics: {self._last}\n-- vmqd says:\n"
                                  + "\n".join(words))

    def last(self):
        """The newest whole object of the statistics, or None."""
        try:
            with open(self.stats_file, "rb") as file:
                file.seek(self._read_at)
                data = file.read()
        except FileNotFoundError:
            return None
        end = data.rfind(b"\n") + 1
        if end:
            self._last = json.loads(data[:end].splitlines()[-1])
            self._read_at += end
        return self._last

    def connect(self):
        """A client of its control socket, which must be in the document. One at a time."""
        return rpc.Client(self.guest.join_control(self.doc["control"]["socket"]))

    def status(self):
        """The exit status, or None while it runs."""
        try:
            text = (self.folder / "vmqd.status").read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return None
        return int(text) if text else None

    def wait(self, good, what, seconds=120):
        """Wait until good(newest object) is true, and return that object."""
        end = time.monotonic() + seconds
        while True:
            status = self.status()
            now = self.last()
            if now is not None and good(now):
                return now
            assert status is None, self.explain(f"vmqd ended while waiting until {what}")
            assert time.monotonic() < end, self.explain(f"not after {seconds} s: {what}")
            time.sleep(0.05)

    def stop(self, signal="TERM", seconds=120):
        """Stop in order; asserts status 0 and exact counters, returns the final object."""
        self.guest.run(f"kill -{signal} {self.pid}")
        end = time.monotonic() + seconds
        while self.status() is None:
            assert time.monotonic() < end, self.explain(f"vmqd did not end in {seconds} s")
            time.sleep(0.05)
        assert self.status() == 0, self.explain(f"vmqd's status is {self.status()}")
        final = self.last()
        assert final is not None and final["final"] is True, self.explain("no final statistics")
        check_final(final, self.explain)
        return final
