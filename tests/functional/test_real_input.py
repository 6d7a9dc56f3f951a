# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
The kernel's own traffic: a sender's UDP sockets, a veth pair, net_af_packet, vmqd,
net_tap in a namespace for each VM, the VM's UDP socket.

    sender ---veth--- host: vmqd ---tap--- vm1, vm2, vm3 (VLAN 30), vm4 (gets nothing)
"""

import json
import os
import subprocess
import sys

import pytest

from vmq_test import netns
from vmq_test.daemon import Vmqd, document

DATAGRAMS = 100_000
RATE = 20_000  # datagrams a second, which a machine with two cores carries without loss
VLAN = 30
MACS = {vm: f"52:54:00:aa:00:0{vm}" for vm in (1, 2, 3, 4)}
ADDRESSES = {1: "10.77.0.11", 2: "10.77.0.12", 3: "10.77.30.13", 4: "10.77.0.14"}
HERE = os.path.dirname(os.path.abspath(__file__))
HELPER = (sys.executable, netns.HELPER)


@pytest.fixture
def net(need):
    need(netns.missing() is None, netns.missing())
    with netns.Namespaces("sender", "host", "vm1", "vm2", "vm3", "vm4") as spaces:
        yield spaces


@pytest.fixture
def children():
    """Processes of the test; ended by their ids whatever happens."""
    started = []
    yield started
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def connect_sender(net, children):
    """veth between sender and host; addresses, and static neighbours for the VMs."""
    net.run("sender", "ip", "link", "add", "wire", "type", "veth", "peer", "name", "nic",
            "netns", net.full["host"])
    for name, link in (("sender", "wire"), ("host", "nic")):
        net.run(name, sys.executable, f"{HERE}/vmq_test/ethtool.py", link)
        net.run(name, "ip", "link", "set", link, "up")
    net.run("sender", "ip", "address", "add", "10.77.0.1/24", "dev", "wire")
    links = {vm: "wire" for vm in MACS}
    links[3] = f"wire.{VLAN}"
    try:
        net.run("sender", "ip", "link", "add", "link", "wire", "name", links[3], "type", "vlan",
                "id", str(VLAN))
    except AssertionError:
        # A kernel without VLAN interfaces: its UDP all the same, tagged by a helper.
        tagger = net.start("sender", *HELPER, "tag", links[3], VLAN, "wire",
                           stdout=subprocess.PIPE, text=True)
        children.append(tagger)
        netns.ready(tagger)
    net.run("sender", "ip", "address", "add", "10.77.30.1/24", "dev", links[3])
    net.run("sender", "ip", "link", "set", links[3], "up")
    for vm, link in links.items():
        net.run("sender", "ip", "neighbour", "replace", ADDRESSES[vm], "lladdr", MACS[vm],
                "nud", "permanent", "dev", link)


def connect_vm(net, vm):
    """Give a tap that vmqd has made to a VM's namespace, with the VM's MAC."""
    tap, name = f"tap{vm}", f"vm{vm}"
    net.run("host", "ip", "link", "set", tap, "netns", net.full[name])
    net.run(name, "ip", "link", "set", tap, "address", MACS[vm])
    net.run(name, "ip", "address", "add", f"{ADDRESSES[vm]}/24", "dev", tap)
    net.run(name, "ip", "link", "set", tap, "up")


def frames_at(net, vm):
    """Frames that a VM's interface has received, whoever they were for."""
    link = json.loads(net.run(f"vm{vm}", "ip", "-s", "-j", "link", "show", f"tap{vm}"))[0]
    return link["stats64"]["rx"]["packets"]


def test_kernel_udp_arrives_complete_in_order_and_at_nobody_else(net, children, tmp_path):
    connect_sender(net, children)
    queues = [{"name": f"vm{vm}", "vm": f"vm{vm}", "adapter": "nic",
               "filters": [{"mac": mac, "vlan": VLAN if vm == 3 else "untagged"}],
               "memory": {"buffers": 8192},
               "backend": {"type": "ethdev", "device": f"net_tap{vm},iface=tap{vm}"}}
              for vm, mac in MACS.items()]
    adapter = {"name": "nic", "device": "net_af_packet0,iface=nic,blocksz=65536,framesz=2048,"
                                        "framecnt=8192",
               "default_queue": {"memory": {"buffers": 16384}, "backend": {"type": "sink"}}}
    streams = [1, 2, 3]
    counts = {vm: len(range(n, DATAGRAMS, len(streams))) for n, vm in enumerate(streams)}
    with Vmqd(document([adapter], queues), tmp_path, wrap=net.wrap("host")) as daemon:
        daemon.wait_running()
        for vm in MACS:
            connect_vm(net, vm)
        before = {vm: frames_at(net, vm) for vm in MACS}
        receivers = {}
        for vm in streams:
            receivers[vm] = net.start(f"vm{vm}", *HELPER, "receive", counts[vm], 60,
                                      stdout=subprocess.PIPE, text=True)
            children.append(receivers[vm])
            netns.ready(receivers[vm])
        sender = net.start("sender", *HELPER, "send", RATE, DATAGRAMS,
                           *[ADDRESSES[vm] for vm in streams], stdout=subprocess.PIPE, text=True)
        children.append(sender)
        sent = json.loads(sender.communicate(timeout=120)[0])["sent"]
        assert sent == [counts[vm] for vm in streams]

        got = {vm: json.loads(receivers[vm].communicate(timeout=120)[0]) for vm in streams}
        for number, vm in enumerate(streams):
            assert got[vm] == {"received": counts[vm], "in_order": True,
                               "streams": {str(number): counts[vm]}}, daemon.explain(f"vm{vm}")
        after = {vm: frames_at(net, vm) - before[vm] for vm in MACS}
        assert after == {**counts, 4: 0}, daemon.explain("frames at the VMs' interfaces")

        final = daemon.stop()
    for queue in final["queues"][1:]:
        assert queue["dropped"] == 0 and queue["delivered"] == after[int(queue["name"][2:])]


def test_the_namespaces_are_gone(need):
    need(netns.missing() is None, netns.missing())
    assert f"vmqtest-{os.getpid()}-" not in netns.call("ip", "netns", "list")
