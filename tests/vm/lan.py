# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
A small LAN for tests: vmqd with an af_packet adapter on one end of a veth, a namespace
"wire" at the other end, with interfaces for VLANs too, and QEMU guests by vhost-user.
"""

import contextlib
import pathlib
import shutil
import subprocess
import sys
import tempfile

from vmq_guest import machine, packages
from vmq_test import ethtool, netns
from vmq_test.daemon import Vmqd, cpus, unique_prefix

UPLINK, WIRE = "up0", "wire0"
WIRE_MAC = "52:54:00:00:00:99"
# The af_packet driver has the kernel put IPv4 fragments together (PACKET_FANOUT_FLAG_DEFRAG)
# and cuts off what its frame can not hold: large pings need large frames here.
FRAME_BYTES = 16384


class Nic:
    """
    A network device of a guest, and its queue.

    @param mode  who makes the socket, as in the document
    """

    def __init__(self, name, mac, filters, keep_tags=False, mode="client", **queue):
        self.name = name
        self.mac = mac
        self.filters = [{"mac": mac, "vlan": vlan} for vlan in filters]
        self.keep_tags = keep_tags
        self.mode = mode
        self.queue = queue

    def json(self, socket):
        """The queue as the document has it."""
        return {"name": self.name, "vm": self.name, "filters": self.filters,
                "keep_tags": self.keep_tags, "memory": {"buffers": 1024},
                "backend": {"type": "vhost-user", "socket": socket, "mode": self.mode},
                **self.queue}


class Lan:
    """A context manager: whatever happens, nothing of it is left at the end."""

    def __init__(self, folder, vlans=()):
        self.folder = pathlib.Path(folder)
        # The path of a socket has 107 bytes at most; a test's own folder may have more.
        self.sockets = pathlib.Path(tempfile.mkdtemp(prefix="vmq-lan-"))
        self.vlans = vlans
        self.net = netns.Namespaces("switch", "wire")
        self.helpers = []
        self.guests = []
        self.daemon = None
        self.daemons = 0
        # For the wire: the same ping and wget as in the guests.
        self.busybox = packages.get() / "busybox"

    def __enter__(self):
        self.net.__enter__()
        try:
            self._wire()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wire(self):
        net = self.net
        netns.call("ip", "link", "add", UPLINK, "netns", net.full["switch"], "type", "veth",
                   "peer", "name", WIRE, "netns", net.full["wire"])
        net.run("wire", "ip", "link", "set", WIRE, "address", WIRE_MAC)
        for where, name in (("switch", UPLINK), ("wire", WIRE)):
            net.run(where, "sh", "-c", netns.NO_IPV6)
            # The kernel would leave checksums and the cutting of segments to a NIC.
            net.run(where, sys.executable, ethtool.__file__, name)
            net.run(where, "ip", "link", "set", name, "up")
        for vlan in self.vlans:
            tap = f"vlan{vlan}"
            helper = net.start("wire", sys.executable, netns.HELPER, "vlan", tap, vlan, WIRE,
                               stdout=subprocess.PIPE, text=True)
            self.helpers.append(helper)
            netns.ready(helper)
            net.run("wire", "sh", "-c", netns.NO_IPV6)
            net.run("wire", "ip", "link", "set", tap, "address", WIRE_MAC, "up")

    def __exit__(self, *_):
        # Last in, first out; what fails leaves nothing else behind.
        with contextlib.ExitStack() as ends:
            ends.callback(shutil.rmtree, self.sockets, ignore_errors=True)
            ends.callback(self.net.__exit__)
            for helper in self.helpers:
                ends.callback(self._end, helper)
            if self.daemon is not None:
                ends.callback(self.daemon.__exit__)
            for guest in self.guests:
                ends.callback(guest.kill)

    @staticmethod
    def _end(helper):
        helper.kill()
        helper.wait()
        if helper.stdout is not None:
            helper.stdout.close()

    def wire(self, command, seconds=120, good=True):
        """Run a shell command on the wire's end; returns its output."""
        done = subprocess.run([*self.net.wrap("wire"), "sh", "-c", command], text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=seconds, check=False)
        assert not good or done.returncode == 0, f"wire: {command}\n{done.stdout}"
        return done.stdout

    def socket(self, nic):
        return str(self.sockets / nic.name)

    def start_vmqd(self, nics):
        """
        Start vmqd with a queue for each device; it may be started again.

        @param nics  devices, or queues as a document has them
        """
        main_core, worker = cpus()
        queues = [nic if isinstance(nic, dict) else nic.json(self.socket(nic)) for nic in nics]
        doc = {"eal": {"main_core": main_core, "workers": [worker], "hugepages": False,
                       "file_prefix": unique_prefix()},
               "adapters": [{"name": "uplink",
                             "device": f"net_af_packet0,iface={UPLINK},framesz={FRAME_BYTES},"
                                       f"blocksz={8 * FRAME_BYTES},framecnt=512",
                             "rx_descriptors": 256,
                             "default_queue": {"memory": {"buffers": 3200,
                                                          "buffer_size": FRAME_BYTES},
                                               "backend": {"type": "sink"}}}],
               "queues": queues}
        self.daemons += 1
        if self.daemon is not None:
            self.daemon.__exit__()
        self.daemon = Vmqd(doc, self.folder / f"vmqd{self.daemons}",
                           wrap=self.net.wrap("switch"))
        self.daemon.wait_running()
        return self.daemon

    def start_guest(self, name, image, nics, **options):
        """
        Start a guest with these devices, in their order eth0, eth1, ...

        @param words  more words for QEMU
        """
        memory = options.pop("memory", 192)
        more = options.pop("words", [])
        words = ["-object", f"memory-backend-memfd,id=mem,size={memory}M,share=on",
                 "-numa", "node,memdev=mem"]
        for number, nic in enumerate(nics):
            side = "server=on,wait=off" if nic.mode == "client" else "reconnect-ms=500"
            words += ["-chardev", f"socket,id=c{number},path={self.socket(nic)},{side}",
                      "-netdev", f"vhost-user,id=n{number},chardev=c{number}",
                      "-device", f"virtio-net-pci,netdev=n{number},mac={nic.mac}"]
        guest = machine.Machine(self.folder / name, image, words + more, modules=["virtio_net"],
                                memory=memory, name=name, **options)
        self.guests.append(guest)
        return guest

    def start_guest_with(self, name, image, program, **options):
        """Start a guest by a program of the tree, which knows its network."""
        guest = machine.Machine(self.folder / name, image, modules=["virtio_net"], name=name,
                                program=program, **options)
        self.guests.append(guest)
        return guest
