# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""vmqctl top: rates, bursts, drops and memory of queues, load and sleep of workers."""

import curses
import time

from . import show

# Bits on the wire that are not in a frame's bytes: preamble, check sum and gap, as in vmqd's
# own table.
WIRE_OVERHEAD = 24

# Key, name on the command line, heading, value, largest first.
SORTS = [
    ("r", "rate", lambda one: one["rate"], True),
    ("d", "drops", lambda one: (one["drop_rate"], one["dropped"]), True),
    ("w", "waiting", lambda one: one["waiting"], True),
    ("m", "memory", lambda one: one["bytes"], True),
    ("n", "name", lambda one: (one["name"], one["adapter"]), False),
    ("i", "id", lambda one: (one["adapter"], one["id"]), False),
]

HEADS = ("ID", "QUEUE", "VM", "STATE", "PKT/S", "GBIT/S", "BURST", "DROP/S", "DROPPED", "WAITING",
         "FREE/ALL", "MEMORY", "CPU", "ADAPTER")
RIGHT = (0, *range(4, 13))


class Picture:
    """What two looks at the statistics make together."""

    def __init__(self, before, now):
        self.now = now
        seconds = now["time"] - before["time"] if before else 0
        old = {(one["adapter"], one["id"]): one for one in before["queues"]} if before else {}
        self.queues = [self.queue(old.get((one["adapter"], one["id"])), one, seconds)
                       for one in now["queues"]]
        self.workers = []
        workers = before["workers"] if before else [None] * len(now["workers"])
        for was, one in zip(workers, now["workers"]):
            self.workers.append(self.worker(was, one, seconds))

    @staticmethod
    def queue(was, one, seconds):
        # A queue of the same id may be another one by now: counters that fall start anew.
        if was is None or was["name"] != one["name"] or was["received"] > one["received"]:
            was, seconds = None, 0

        def rate(key):
            return (one[key] - was[key]) / seconds if was and seconds > 0 else 0
        bursts = one["bursts"] - (was["bursts"] if was else 0)
        delivered = one["delivered"] - (was["delivered"] if was else 0)
        buffers = one["buffers"]
        return {"id": one["id"], "name": one["name"], "vm": one["vm"], "state": one["state"],
                "adapter": one["adapter"], "cpu": one["worker"], "rate": rate("delivered"),
                "gbit": (rate("delivered_bytes") + WIRE_OVERHEAD * rate("delivered")) * 8e-9, "drop_rate": rate("dropped"),
                "burst": delivered / bursts if bursts else 0, "dropped": one["dropped"],
                "waiting": one["waiting"], "bytes": buffers["bytes"],
                "free": buffers["available"], "all": buffers["populated"]}

    @staticmethod
    def worker(was, one, seconds):
        made = {"cpu": one["cpu"], "mode": one.get("mode"), "busy": one.get("busy"),
                "sleep": one.get("sleep"), "cycles": one.get("cycles_per_packet"), "rate": 0}
        if was and seconds > 0:
            made["rate"] = (one["packets"] - was["packets"]) / seconds
            # Of the very interval, rather than the daemon's own.
            cycles = one.get("cycles", 0) - was.get("cycles", 0)
            if cycles > 0:
                made["busy"] = (one["busy_cycles"] - was["busy_cycles"]) / cycles
                made["sleep"] = (one["sleep_cycles"] - was["sleep_cycles"]) / cycles
        return made

    def lines(self, sort, turned):
        """Head lines, and one line for each queue."""
        total = self.now["total"]
        up = int(self.now["elapsed_s"])
        head = [f"vmqd {self.now['version']}  up {up // 3600}:{up // 60 % 60:02}:{up % 60:02}  "
                f"{len(self.queues)} queues  "
                f"{show.count(sum(one['rate'] for one in self.queues))} packets/s  "
                f"{show.count(sum(one['drop_rate'] for one in self.queues))} drops/s  "
                f"received {total['received']} dropped {total['dropped']} "
                f"waiting {total['waiting']}"]
        for one in self.workers:
            cycles = "" if one["cycles"] is None else f"  {one['cycles']:.0f} cycles a packet"
            head.append(f"CPU {one['cpu']}  {show.plain(one['mode'])}  busy "
                        f"{show.share(one['busy'])}  sleep {show.share(one['sleep'])}  "
                        f"{show.count(one['rate'])} packets/s{cycles}")
        _, _, value, largest = next(row for row in SORTS if row[1] == sort)
        ordered = sorted(self.queues, key=value, reverse=largest != turned)
        return head, show.table(HEADS, [
            (one["id"], one["name"], one["vm"], one["state"], show.count(one["rate"]),
             f"{one['gbit']:.3f}", f"{one['burst']:.1f}", show.count(one["drop_rate"]),
             one["dropped"], one["waiting"], f"{one['free']}/{one['all']}",
             show.size(one["bytes"]), one["cpu"], one["adapter"]) for one in ordered], RIGHT)


def run(context):
    args = context.args
    if args.sort not in [row[1] for row in SORTS]:
        context.usage(f'--sort: "{args.sort}" is none of '
                      + ", ".join(row[1] for row in SORTS))
    if not 0.1 <= args.delay <= 3600:
        context.usage("--delay: 0.1 to 3600 seconds")
    if args.json:
        context.usage("top is for people; vmqctl stats --json is for programs")
    context.raw("version", {})  # who does not answer says so before the screen is taken
    if args.batch:
        batch(context)
    else:
        curses.wrapper(Screen(context).run)


def batch(context):
    before = context.raw("stats", {})
    left = context.args.count
    while left is None or left > 0:
        time.sleep(context.args.delay)
        now = context.raw("stats", {})
        head, rows = Picture(before, now).lines(context.args.sort, False)
        print("\n".join(head + rows), flush=True)
        before = now
        if left is not None:
            left -= 1
            if left:
                print(flush=True)


class Screen:
    """The picture on a terminal, and the keys."""

    def __init__(self, context):
        self.context = context
        self.sort = context.args.sort
        self.turned = False
        self.first = 0  # the first queue that is seen
        self.left = context.args.count

    def run(self, window):
        try:
            curses.curs_set(0)
        except curses.error:
            pass  # a terminal that cannot hide its cursor
        before = None
        while self.left is None or self.left > 0:
            now = self.context.raw("stats", {})
            picture = Picture(before, now)
            before = now
            if self.left is not None:
                self.left -= 1
            until = time.monotonic() + self.context.args.delay
            while True:
                self.draw(window, picture)
                left = until - time.monotonic()
                if left <= 0:
                    break
                window.timeout(int(left * 1000) + 1)
                if not self.key(window.getch()):
                    return

    def key(self, key):
        """False: the end."""
        if key in (ord("q"), 27):
            return False
        for letter, sort, _, _ in SORTS:
            if key == ord(letter):
                self.sort, self.turned, self.first = sort, False, 0
        if key == ord("R"):
            self.turned = not self.turned
        self.first += {curses.KEY_DOWN: 1, curses.KEY_UP: -1, curses.KEY_NPAGE: 20,
                       curses.KEY_PPAGE: -20}.get(key, 0)
        if key == curses.KEY_HOME:
            self.first = 0
        return True

    def draw(self, window, picture):
        height, columns = window.getmaxyx()
        head, rows = picture.lines(self.sort, self.turned)
        self.first = max(0, min(self.first, len(rows) - 2))
        room = max(0, height - len(head) - 2)
        shown = rows[1 + self.first:1 + self.first + room]
        foot = ("  ".join(f"{letter} {sort}" for letter, sort, _, _ in SORTS)
                + f"  R turn  q end   by {self.sort}")
        window.erase()
        for y, (text, look) in enumerate(
                [(line, curses.A_NORMAL) for line in head] + [(rows[0], curses.A_REVERSE)]
                + [(line, curses.A_NORMAL) for line in shown]):
            self.put(window, y, text.ljust(columns) if look else text, columns, height, look)
        self.put(window, height - 1, foot, columns, height, curses.A_DIM)
        window.refresh()

    @staticmethod
    def put(window, y, text, columns, height, look):
        if not 0 <= y < height:
            return
        # The last cell of the screen cannot be written without an error.
        room = columns - 1
        while show.width(text) > room:
            text = text[:-1]
        try:
            window.addstr(y, 0, text, look)
        except curses.error:
            pass  # the terminal has become smaller meanwhile
