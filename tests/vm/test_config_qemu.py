# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""The documents of config/ for QEMU and libvirt do what they say."""

import json
import shutil
import subprocess
import xml.etree.ElementTree

import pytest

from lan import Lan
from vmq_test import netns
from vmq_test.daemon import TOP

CONFIG = TOP / "config"
MEGABYTES = 192


@pytest.fixture
def queues():
    return json.loads((CONFIG / "qemu.json").read_text(encoding="utf-8"))["queues"]


def test_two_vms_of_the_example_meet_in_their_vlan(need, vm_image, queues, tmp_path):
    need(netns.missing() is None, netns.missing())
    with Lan(tmp_path / "lan", [100, 200]) as lan:
        for queue in queues:
            queue["backend"]["socket"] = str(lan.sockets / queue["name"])
        lan.start_vmqd(queues)
        guests = {}
        for queue in queues:
            program = [str(CONFIG / "qemu.sh"), queue["backend"]["socket"],
                       queue["filters"][0]["mac"], str(MEGABYTES)]
            guests[queue["name"]] = lan.start_guest_with(queue["name"], vm_image, program)
        for guest in guests.values():
            guest.ready()
        guests["web"].run("ip link set eth0 up; ip addr add 10.1.0.1/24 dev eth0")
        guests["router"].run("""load 8021q; ip link set eth0 up
            for vlan in 100 200; do
                ip link add link eth0 name eth0.$vlan type vlan id $vlan
                ip link set eth0.$vlan up
            done
            ip addr add 10.1.0.2/24 dev eth0.100; ip addr add 10.2.0.2/24 dev eth0.200
            echo 1 > /proc/sys/net/ipv4/ip_forward""")
        lan.wire("ip addr add 10.2.0.9/24 dev vlan200; ip route add 10.1.0.0/24 via 10.2.0.2")
        guests["web"].run("ip route add default via 10.1.0.2")
        # Through the router, from one VLAN into the other, and back.
        for _ in range(5):
            guests["web"].run("ping -c 1 -W 20 10.2.0.9")
        for guest in guests.values():
            guest.power_off()
        lan.daemon.stop()


def test_libvirt_takes_the_domain(need):
    validate = shutil.which("virt-xml-validate")
    need(validate and shutil.which("xmllint"),
         "virt-xml-validate is missing: install libvirt-clients and libxml2-utils")
    done = subprocess.run([validate, CONFIG / "qemu-libvirt.xml", "domain"], text=True,
                          capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_domain_of_libvirt_is_a_vm_of_the_document(queues):
    domain = xml.etree.ElementTree.parse(CONFIG / "qemu-libvirt.xml").getroot()
    assert domain.find("memoryBacking/access").get("mode") == "shared"
    source = domain.find("devices/interface[@type='vhostuser']/source")
    mac = domain.find("devices/interface/mac").get("address")
    queue = next(one for one in queues if one["vm"] == domain.findtext("name"))
    # QEMU makes the socket, vmqd connects.
    assert source.get("mode") == "server" and queue["backend"].get("mode", "client") == "client"
    assert source.get("path") == queue["backend"]["socket"]
    assert mac in [one["mac"] for one in queue["filters"]]
