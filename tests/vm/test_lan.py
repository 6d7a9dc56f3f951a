# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
What an operator expects of a switch: guests with an ordinary kernel and a host on the
wire speak to each other, and VLANs are kept apart.

	a   eth0: access to VLAN 10        eth1: untagged
	b   eth0: trunk, VLANs 10 and 20   eth1: untagged, socket made by vmqd
	c   eth0: access to VLAN 20, with the MAC of a's eth0
	wire: an interface in each VLAN, and untagged
"""

import hashlib
import os
import time

import pytest

from lan import WIRE, WIRE_MAC, Lan, Nic
from vmq_test import netns, pcap
from vmq_test.daemon import queues_by_name

TRANSFER = 20_000_000  # bytes
SAME_MAC = "52:54:00:00:00:0a"
NICS = {
    "a0": Nic("a0", SAME_MAC, [10]),
    "a1": Nic("a1", "52:54:00:00:01:0a", ["untagged"]),
    "b0": Nic("b0", "52:54:00:00:00:0b", [10, 20], keep_tags=True),
    "b1": Nic("b1", "52:54:00:00:01:0b", ["untagged"], mode="server"),
    "c0": Nic("c0", SAME_MAC, [20]),
}
ADDRESS = {10: "10.0.10.", 20: "10.0.20.", 1: "10.0.1."}
HOST = {"a": 1, "b": 2, "c": 3, "wire": 9}
INTERFACE = {("a", 10): "eth0", ("a", 1): "eth1", ("b", 10): "eth0.10", ("b", 20): "eth0.20",
             ("b", 1): "eth1", ("c", 20): "eth0", ("wire", 10): "vlan10", ("wire", 20): "vlan20",
             ("wire", 1): WIRE}
# IPv6 in VLAN 10 alone: any of it in VLAN 20 has got out.
IPV6 = [("a", 10), ("b", 10), ("wire", 10)]

WWW = """mkdir -p {folder} && head -c {bytes} /dev/urandom > {folder}/file &&
    {busybox} httpd -p 80 -h {folder}"""

PAIRS = [("a", "b", 10), ("b", "a", 10), ("a", "wire", 10), ("wire", "a", 10),
         ("b", "wire", 20), ("wire", "b", 20), ("c", "b", 20), ("b", "c", 20), ("wire", "c", 20),
         ("a", "b", 1), ("b", "a", 1), ("a", "wire", 1), ("wire", "b", 1)]
NAMES = ["{}-to-{}-in-{}".format(*pair) for pair in PAIRS]


def address(who, vlan):
    return f"{ADDRESS[vlan]}{HOST[who]}"


class Site:
    """The LAN of this module; run(who, command) runs a command at any of its ends."""

    def __init__(self, lan, guests):
        self.lan = lan
        self.guests = guests
        self.busybox = lan.busybox

    def run(self, who, command, **options):
        if who == "wire":
            return self.lan.wire(command, **options)
        return self.guests[who].run(command, **options)

    def tool(self, who):
        """The word in front of a command of busybox."""
        return f"{self.busybox} " if who == "wire" else ""

    def configure(self, who):
        """Addresses of an end."""
        lines = []
        if who == "b":
            lines += ["load 8021q", "ip link set eth0 up"]
            lines += [f"ip link add link eth0 name eth0.{vlan} type vlan id {vlan}"
                      for vlan in (10, 20)]
        for (end, vlan), interface in INTERFACE.items():
            if end != who:
                continue
            off = 0 if (who, vlan) in IPV6 else 1
            lines.append(f"echo {off} > /proc/sys/net/ipv6/conf/{interface}/disable_ipv6")
            lines += [f"ip link set {interface} up",
                      f"ip addr add {address(who, vlan)}/24 dev {interface}"]
        if who == "b":
            # The interface below its VLANs speaks untagged, for nobody.
            lines.insert(1, "echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6")
        self.run(who, "\n".join(["set -e", *lines]))


@pytest.fixture(scope="module")
def site(need, vm_image, tmp_path_factory):
    need(netns.missing() is None, netns.missing())
    need(os.path.exists("/proc/sys/net/ipv6"), "the kernel of this machine has no IPv6")
    with Lan(tmp_path_factory.mktemp("lan"), [10, 20]) as lan:
        lan.start_vmqd(NICS.values())
        guests = {name: lan.start_guest(name, vm_image, [nic for key, nic in NICS.items()
                                                         if key.startswith(name)])
                  for name in ("a", "b", "c")}
        for guest in guests.values():
            guest.ready()
        site = Site(lan, guests)
        for who in HOST:
            site.configure(who)
        www = lan.folder / "www"
        for who in guests:
            site.run(who, WWW.format(folder="/tmp/www", bytes=TRANSFER, busybox=""))
        lan.wire(f"mkdir {www} && head -c {TRANSFER} /dev/urandom > {www}/file")
        httpd = lan.net.start("wire", site.busybox, "httpd", "-f", "-p", "80", "-h", www)
        lan.helpers.append(httpd)
        yield site
        for guest in guests.values():
            guest.power_off()
        lan.daemon.stop()


def ping(site, source, to, count=5, size=56):
    """One after the other: each may take its time on a busy machine, none may be lost."""
    site.run(source, f"n=0; while [ $n -lt {count} ]; do n=$((n + 1)); "
                     f"{site.tool(source)}ping -c 1 -W 20 -s {size} {to} || exit 1; done")


@pytest.mark.parametrize("source, to, vlan", PAIRS, ids=NAMES)
def test_ends_of_a_vlan_find_each_other_and_ping_with_large_packets(site, source, to, vlan):
    # Nothing is known of each other: ARP has to work.
    site.run(source, f"ip neigh flush dev {INTERFACE[source, vlan]}")
    ping(site, source, address(to, vlan))
    ping(site, source, address(to, vlan), size=1472)
    # In seven fragments.
    ping(site, source, address(to, vlan), size=9000)


@pytest.mark.parametrize("source, to, vlan", PAIRS, ids=NAMES)
def test_a_transfer_arrives_as_it_was_sent(site, source, to, vlan):
    folder = site.lan.folder / "www" if source == "wire" else "/tmp/www"
    sent = site.run(source, f"sha256sum {folder}/file").split()[0]
    out = site.run(to, f"{site.tool(to)}wget -q -O - http://{address(source, vlan)}/file | "
                       f"{site.tool(to)}sha256sum", seconds=240).split()[0]
    assert out == sent
    assert out != hashlib.sha256(b"").hexdigest()


def test_nothing_of_another_vlan_reaches_a_guest_with_the_same_mac(site):
    c = site.guests["c"]
    c.run("(tcpdump -Z root --immediate-mode -i eth0 -U -w /host/c.pcap "
          "> /host/tcpdump.out 2>&1 &); "
          "n=0; until grep -q listening /host/tcpdump.out; do "
          "n=$((n + 1)); [ $n -lt 300 ] || exit 1; sleep 0.1; done")
    # To a's MAC, which is c's too: unicast, broadcast, multicast, from a guest and the wire.
    for who in ("b", "wire"):
        site.run(who, f"ip neigh flush dev {INTERFACE[who, 10]}")
        ping(site, who, address("a", 10))
        ping(site, who, address("a", 10), size=4000)
        site.run(who, f"{site.tool(who)}wget -q -O /dev/null http://{address('a', 10)}/file",
                 seconds=240)
        site.run(who, f"{site.tool(who)}ping -c 2 -W 1 ff02::1%{INTERFACE[who, 10]}", good=False)
        site.run(who, f"{site.tool(who)}arping -c 2 -w 3 -I {INTERFACE[who, 10]} 10.0.10.77",
                 good=False)
    ping(site, "a", address("b", 10))
    ping(site, "a", address("wire", 1))
    # That c hears at all is shown by its own VLAN: unicast and broadcast.
    site.run("b", f"ip neigh flush dev {INTERFACE['b', 20]}")
    ping(site, "b", address("c", 20))
    c.run("killall tcpdump; n=0; while pidof tcpdump; do n=$((n + 1)); "
          "[ $n -lt 300 ] || exit 1; sleep 0.1; done")
    frames = pcap.Capture(c.folder / "c.pcap").frames
    own = bytes([10, 0, 20])
    heard = {"arp": 0, "ip": 0}
    for number, frame in enumerate(frames):
        if frame[12:14] == b"\x08\x06":
            assert frame[28:31] == own and frame[38:41] == own, f"frame {number}: {frame.hex()}"
            heard["arp"] += 1
        else:
            assert frame[12:14] == b"\x08\x00", f"frame {number}: {frame.hex()}"
            assert frame[26:29] == own and frame[30:33] == own, f"frame {number}: {frame.hex()}"
            heard["ip"] += 1
    assert heard["ip"] >= 10 and heard["arp"] >= 2, heard


@pytest.mark.parametrize("source, to", [("a", "b"), ("b", "a"), ("a", "wire"), ("wire", "a")])
def test_ipv6_neighbours_find_each_other(site, source, to):
    interface = INTERFACE[source, 10]
    wanted = WIRE_MAC if to == "wire" else NICS[f"{to}0"].mac
    host = bytes.fromhex(wanted.replace(":", ""))
    parts = bytes([host[0] ^ 2]) + host[1:3] + b"\xff\xfe" + host[3:]
    link_local = "fe80::" + ":".join(f"{int.from_bytes(parts[at:at + 2], 'big'):x}"
                                     for at in range(0, 8, 2))
    # An address is tentative for a second or two.
    end = time.monotonic() + 60
    while "tentative" in site.run(source, f"ip -6 addr show dev {interface}"):
        assert time.monotonic() < end, "its address stays tentative"
        time.sleep(0.2)
    site.run(source, f"ip -6 neigh flush dev {interface}")
    ping(site, source, f"{link_local}%{interface}")
    ping(site, source, f"{link_local}%{interface}", size=4000)
    assert wanted in site.run(source, f"ip -6 neigh show dev {interface}")


DHCP_SERVER = """interface {interface}
start 10.0.1.{first}
end 10.0.1.{last}
option subnet 255.255.255.0
lease_file {folder}/leases
pidfile {folder}/pid
remaining no
"""
DHCP_CLIENT = """#!/bin/sh
[ "$1" = bound ] && echo "lease $ip of $serverid"
exit 0
"""


@pytest.mark.parametrize("server, first", [("b", 100), ("wire", 150)])
def test_a_guest_gets_its_address_by_dhcp(site, server, first):
    folder = site.lan.folder / "dhcp" if server == "wire" else "/tmp/dhcp"
    config = DHCP_SERVER.format(interface=INTERFACE[server, 1], first=first, last=first + 9,
                                folder=folder)
    site.run(server, f"mkdir -p {folder} && touch {folder}/leases && "
                     f"printf %s '{config}' > {folder}/conf")
    if server == "wire":
        daemon = site.lan.net.start("wire", site.busybox, "udhcpd", "-f", f"{folder}/conf")
    else:
        site.run(server, f"udhcpd {folder}/conf")
    try:
        site.run("a", f"printf %s '{DHCP_CLIENT}' > /tmp/lease && chmod 755 /tmp/lease")
        out = site.run("a", "udhcpc -i eth1 -n -q -f -t 10 -T 2 -s /tmp/lease")
    finally:
        if server == "wire":
            daemon.terminate()
            daemon.wait()
        else:
            site.run(server, f"kill $(cat {folder}/pid)")
    assert f"of {address(server, 1)}" in out, out
    assert any(f"lease 10.0.1.{number} " in out for number in range(first, first + 10)), out


def test_every_packet_is_accounted_for(site):
    def quiet(now):
        return now["total"]["waiting"] == 0

    now = site.lan.daemon.wait(quiet, "nothing waits")
    for name, queue in queues_by_name(now).items():
        assert queue["received"] == queue["delivered"] + queue["dropped"], queue
        if name != "default":
            assert queue["delivered"] > 0, queue
            assert queue["drops"]["no_buffer"] == 0, queue
