# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
Guests that pause, reboot, die and come back, and a vmqd that does the same under them.
Guest a makes its socket itself (vmqd is the client), the socket of guest b is vmqd's.
Whoever is not concerned loses nothing.
"""

import os
import re
import signal
import sys
import time

import pytest

from lan import WIRE, Lan, Nic
from vmq_test import netns
from vmq_test.daemon import queues_by_name

NICS = {"a": Nic("a", "52:54:00:00:02:0a", ["untagged"]),
        "b": Nic("b", "52:54:00:00:02:0b", ["untagged"], mode="server")}
ADDRESS = {"a": "10.0.2.1", "b": "10.0.2.2", "wire": "10.0.2.9"}
OTHER = {"a": "b", "b": "a"}
COMEBACK_SECONDS = 120  # on a machine that is busy with other things


class Site:
    def __init__(self, lan, image):
        self.lan = lan
        self.image = image
        self.guests = {}

    def start(self, name):
        """Start a guest for the first time or in the place of one that is gone."""
        old = self.guests.get(name)
        if old is not None:
            old.kill()
            self.lan.guests.remove(old)
        number = sum(1 for path in self.lan.folder.iterdir() if path.name.startswith(name))
        self.guests[name] = self.lan.start_guest(f"{name}{number}", self.image, [NICS[name]],
                                                 reboot=True)

    def configure(self, name):
        self.guests[name].ready()
        self.guests[name].run("echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6; "
                              f"ip link set eth0 up && ip addr add {ADDRESS[name]}/24 dev eth0")

    def vmqd(self):
        return self.lan.start_vmqd(NICS.values())

    def run(self, who, command):
        return self.lan.wire(command) if who == "wire" else self.guests[who].run(command)

    def answers(self, who, source="wire"):
        """Wait until who answers; returns the seconds that it took."""
        began = time.monotonic()
        tool = f"{self.lan.busybox} " if source == "wire" else ""
        command = f"{tool}ping -c 1 -W 1 {ADDRESS[who]} || true"
        while "1 packets received" not in self.run(source, command):
            assert time.monotonic() - began < COMEBACK_SECONDS, self.lan.daemon.explain(
                f"{who} does not answer {source}")
        return time.monotonic() - began

    def all_answer(self):
        for source, who in (("wire", "a"), ("wire", "b"), ("a", "b"), ("b", "a"), ("a", "wire")):
            self.answers(who, source)


@pytest.fixture(scope="module")
def site(need, vm_image, tmp_path_factory):
    need(netns.missing() is None, netns.missing())
    with Lan(tmp_path_factory.mktemp("life")) as lan:
        site = Site(lan, vm_image)
        site.vmqd()
        lan.wire(f"ip addr add {ADDRESS['wire']}/24 dev {WIRE}")
        for name in NICS:
            site.start(name)
        for name in NICS:
            site.configure(name)
        site.all_answer()
        yield site
        lan.daemon.stop()


class Undisturbed:
    """Within it a guest and the wire exchange packets, and none of them may be lost."""

    def __init__(self, site, name):
        self.guest = site.guests[name]
        self.stop = self.guest.folder / "stop"

    def __enter__(self):
        # The guest has one way for commands, which this one takes: the end comes as a file.
        # One after the other: each may take its time on a busy machine, none may be lost.
        self.started = self.guest.start(
            "n=0; until [ -e /host/stop ]; do n=$((n + 1)); "
            f"ping -c 1 -W 20 {ADDRESS['wire']} > /tmp/ping || {{ cat /tmp/ping; exit 1; }}; "
            "done; echo answered $n", seconds=300)
        time.sleep(1)
        return self

    def __exit__(self, kind, *_):
        self.stop.touch()
        status, out = self.guest.result(self.started)
        self.stop.unlink()
        if kind is not None:
            return
        found = re.search(r"answered (\d+)", out)
        assert status == 0 and found and int(found[1]) >= 3, out


def stats_of(site):
    """The counters of the queues when nothing waits."""
    def quiet(now):
        return now["total"]["waiting"] == 0

    return queues_by_name(site.lan.daemon.wait(quiet, "nothing waits"))


def check_counters(queue):
    assert queue["received"] == queue["delivered"] + queue["dropped"], queue
    assert queue["dropped"] == sum(queue["drops"].values()), queue


def send_until_dropped(site, name, wanted):
    """
    Packets for who is not there are dropped with a name: send until so many were. The
    first of them may still find a ring, and on a busy machine the kernel may lose some.
    """
    def dropped():
        return queues_by_name(site.lan.daemon.last())[name]["dropped"]

    before = dropped()
    end = time.monotonic() + COMEBACK_SECONDS
    while dropped() < before + wanted:
        assert time.monotonic() < end, site.lan.daemon.explain(f"no {wanted} drops of {name}")
        site.lan.net.run("wire", sys.executable, netns.HELPER, "send", 5000, 400, ADDRESS[name])
        time.sleep(0.2)


@pytest.mark.parametrize("name", NICS)
def test_a_paused_guest_disturbs_nobody_and_goes_on(site, name):
    guest = site.guests[name]
    # The wire must not ask for an address that nobody answers for.
    site.lan.wire(f"ip neigh replace {ADDRESS[name]} lladdr {NICS[name].mac} dev {WIRE}")
    with Undisturbed(site, OTHER[name]):
        guest.monitor("stop")
        before = queues_by_name(site.lan.daemon.last())[OTHER[name]]["dropped"]
        # QEMU takes the rings away from a guest that is paused.
        send_until_dropped(site, name, 2000)
        guest.monitor("cont")
    site.answers(name)
    site.answers(OTHER[name], name)
    now = stats_of(site)
    check_counters(now[name])
    assert now[OTHER[name]]["dropped"] == before, now[OTHER[name]]


@pytest.mark.parametrize("name", NICS)
def test_a_guest_that_reboots_disturbs_nobody_and_comes_back(site, name):
    with Undisturbed(site, OTHER[name]):
        site.guests[name].reboot()
        site.configure(name)
    site.answers(name)
    site.answers(OTHER[name], name)


@pytest.mark.parametrize("name", NICS)
def test_a_guest_that_is_killed_disturbs_nobody_and_another_takes_its_place(site, name):
    with Undisturbed(site, OTHER[name]):
        site.guests[name].kill()
        send_until_dropped(site, name, 500)
        site.start(name)
        site.configure(name)
    site.answers(name)
    site.answers(OTHER[name], name)
    check_counters(stats_of(site)[name])


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["TERM", "KILL"])
def test_vmqd_restarts_under_guests_that_go_on(site, how):
    uptime = {name: float(guest.run("cat /proc/uptime").split()[0])
              for name, guest in site.guests.items()}
    began = time.monotonic()
    if how == signal.SIGTERM:
        site.lan.daemon.stop()
    else:
        site.lan.daemon.process.kill()
        site.lan.daemon.process.wait()
    site.vmqd()
    site.all_answer()
    print(f"all answer {time.monotonic() - began:.1f} s after {how.name}")
    for name, guest in site.guests.items():
        now = float(guest.run("cat /proc/uptime").split()[0])
        assert now >= uptime[name], f"guest {name} has started anew"
    # Nothing but the socket of a server is left, and that works.
    assert os.listdir(site.lan.sockets)
