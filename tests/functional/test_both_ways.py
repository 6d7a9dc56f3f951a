# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
Kernels that talk to each other through vmqd: ARP and ping in all directions, without a
neighbour that was told beforehand.

    outside ---tap--- host: vmqd ---tap----- vm1
                              |  ---tap----- vm2
                              |  ---veth---- box      (net_af_packet)
                              +----tap----- the host itself, by the default queue
"""

import json
import subprocess
import sys

import pytest

from vmq_test import netns
from vmq_test.daemon import Vmqd, document, queues_by_name
from vmq_test.ethtool import __file__ as ETHTOOL

ADDRESSES = {"outside": "10.78.0.1", "vm1": "10.78.0.11", "vm2": "10.78.0.12",
             "box": "10.78.0.13", "host": "10.78.0.20"}
MACS = {name: f"52:54:00:ab:00:{number:02x}" for number, name in enumerate(ADDRESSES)}
LINKS = {"outside": "wire", "vm1": "tap1", "vm2": "tap2", "box": "eth0", "host": "mgmt0"}
RING = "blocksz=65536,framesz=2048,framecnt=512"


@pytest.fixture
def net(need):
    need(netns.missing() is None, netns.missing())
    need(netns.tool("ping"), "ping is missing: apt-get install iputils-ping")
    with netns.Namespaces("outside", "host", "vm1", "vm2", "box") as spaces:
        yield spaces


def connect(net, name, host_end):
    """A veth from a namespace to the host's; no offloads, as no NIC has unfinished frames."""
    net.run(name, "ip", "link", "add", LINKS[name], "type", "veth", "peer", "name", host_end,
            "netns", net.full["host"])
    # Its own address from the first frame on.
    net.run(name, "ip", "link", "set", LINKS[name], "address", MACS[name])
    for where, link in ((name, LINKS[name]), ("host", host_end)):
        net.run(where, sys.executable, ETHTOOL, link)
        net.run(where, "ip", "link", "set", link, "up")
    # The host's kernel would answer there for its address of another interface.
    net.run("host", "ip", "link", "set", host_end, "arp", "off")


def give_address(net, name):
    link = LINKS[name]
    net.run(name, "ip", "link", "set", link, "address", MACS[name])
    net.run(name, "ip", "address", "add", f"{ADDRESSES[name]}/24", "dev", link)
    net.run(name, "ip", "link", "set", link, "up")


def ping(net, source, to, count, *options, seconds=30):
    """Is there an answer to so many? It may be late on a machine that is busy."""
    done = subprocess.run([*net.wrap(source), "ping", "-n", "-q", "-c", str(count), "-w",
                           str(seconds), *options, ADDRESSES[to]], capture_output=True,
                          text=True, timeout=120, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def queue(name, device, **more):
    return {"name": name, "vm": name, "filters": [{"mac": MACS[name], "vlan": "untagged"}],
            "memory": {"buffers": 2048}, "backend": {"type": "ethdev", "device": device}, **more}


@pytest.fixture
def daemon(net, tmp_path):
    connect(net, "box", "port3")
    adapter = {"name": "nic", "device": "net_tap9,iface=wire",
               "default_queue": {
                   "filters": [{"mac": MACS["host"], "vlan": "untagged"}],
                   "backend": {"type": "ethdev", "device": "net_tap0,iface=mgmt0"}}}
    queues = [queue("vm1", "net_tap1,iface=tap1"), queue("vm2", "net_tap2,iface=tap2"),
              queue("box", f"net_af_packet3,iface=port3,{RING}")]
    with Vmqd(document([adapter], queues), tmp_path, wrap=net.wrap("host")) as running:
        running.wait_running()
        for name in ("outside", "vm1", "vm2"):
            net.run("host", "ip", "link", "set", LINKS[name], "netns", net.full[name])
        for name in ADDRESSES:
            give_address(net, name)
        yield running


def test_all_reach_all(net, daemon):
    for source in ADDRESSES:
        for to in ADDRESSES:
            if source != to:
                good, said = ping(net, source, to, 3, "-i", "0.1")
                assert good, daemon.explain(f"{source} to {to}: {said}")
                # The longest frame, and datagrams of six of them; the driver of af_packet
                # has the kernel put such together, and cuts what is longer than a frame.
                for size in ("1472",) if "box" in (source, to) else ("1472", "8000"):
                    good, said = ping(net, source, to, 2, "-i", "0.1", "-s", size)
                    assert good, daemon.explain(f"{source} to {to}, {size} bytes: {said}")
    final = daemon.stop()
    queues = queues_by_name(final)
    for name in ("vm1", "vm2", "box", "default"):
        transmit = queues[name]["transmit"]
        assert transmit["sent"] > 0 and transmit["local"] > 0, name
        assert transmit["dropped"] == 0, f"{name}: {transmit['drops']}"
        assert queues[name]["dropped"] == 0, (name, queues[name]["drops"])
    # Each has asked for the others: the wire and the other queues have heard it.
    assert all(queues[name]["transmit"]["copies"] >= 3 for name in ("vm1", "vm2", "box"))


def test_who_takes_anothers_address_is_not_heard(net, daemon):
    good, said = ping(net, "vm1", "vm2", 1)
    assert good, daemon.explain(said)
    net.run("vm1", "ip", "link", "set", "tap1", "down")
    net.run("vm1", "ip", "link", "set", "tap1", "address", MACS["vm2"])
    net.run("vm1", "ip", "link", "set", "tap1", "up")
    good, _ = ping(net, "vm1", "outside", 2, "-i", "0.2", seconds=2)
    assert not good
    net.run("vm1", "ip", "link", "set", "tap1", "down")
    net.run("vm1", "ip", "link", "set", "tap1", "address", MACS["vm1"])
    net.run("vm1", "ip", "link", "set", "tap1", "up")
    good, said = ping(net, "vm1", "outside", 2)
    assert good, daemon.explain(said)
    final = daemon.stop()
    drops = queues_by_name(final)["vm1"]["transmit"]["drops"]
    assert drops.pop("spoofed_mac") > 0 and sum(drops.values()) == 0


def test_the_neighbours_know_each_other_by_their_own_macs(net, daemon):
    for name in ("vm1", "vm2", "box"):
        good, said = ping(net, name, "outside", 1)
        assert good, daemon.explain(said)
    found = json.loads(net.run("outside", "ip", "-j", "neighbour", "show", "dev", "wire"))
    known = {one["dst"]: one.get("lladdr") for one in found}
    for name in ("vm1", "vm2", "box"):
        assert known[ADDRESSES[name]] == MACS[name]
    daemon.stop()
