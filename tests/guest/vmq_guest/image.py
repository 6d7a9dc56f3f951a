# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
The initramfs of a guest: busybox, kernel modules, init, and programs of this machine.

A program comes with the libraries that ldd names, at the places where they are here,
links as links: a PMD that lies there twice would register twice, and EAL aborts.
"""

import os
import pathlib
import re
import stat
import subprocess

from . import packages

INIT = pathlib.Path(__file__).resolve().parents[1] / "init"

# What vmqd needs of DPDK on an emulated igb, and the sources and backends of tests.
PMDS = """bus_auxiliary bus_pci bus_vdev mempool_ring mempool_stack common_iavf net_e1000 net_tap
    net_pcap net_ring net_null net_af_packet net_memif""".split()


class Archive:
    """A cpio archive in the format of the kernel ("newc"), written without any right."""

    def __init__(self):
        self.entries = {}

    def folder(self, path):
        path = path.strip("/")
        if path and path not in self.entries:
            self.folder(os.path.dirname(path))
            self.entries[path] = (stat.S_IFDIR | 0o755, b"")

    def put(self, path, data, mode=0o644):
        self.folder(os.path.dirname(path))
        self.entries[path.strip("/")] = (stat.S_IFREG | mode, data)

    def link(self, path, target):
        self.folder(os.path.dirname(path))
        self.entries[path.strip("/")] = (stat.S_IFLNK | 0o777, os.fsencode(target))

    def has(self, path):
        return path.strip("/") in self.entries

    def copy(self, path):
        """A file of this machine at its own place, with each link on the way to it."""
        path = os.path.abspath(path)
        for parent in reversed(pathlib.Path(path).parents):
            if parent.is_symlink() and not self.has(str(parent)):
                # Such as /lib -> usr/lib.
                self.link(str(parent), os.readlink(parent))
        real_folder = os.path.realpath(os.path.dirname(path))
        path = os.path.join(real_folder, os.path.basename(path))
        if self.has(path):
            return
        if os.path.islink(path):
            target = os.readlink(path)
            self.link(path, target)
            self.copy(os.path.join(real_folder, target))
            return
        with open(path, "rb") as file:
            self.put(path, file.read(), stat.S_IMODE(os.stat(path).st_mode))

    def program(self, path, to=None):
        """A program or library and all that it is linked with."""
        if to is None:
            self.copy(str(path))
        else:
            with open(path, "rb") as file:
                self.put(to, file.read(), 0o755)
        done = subprocess.run(["ldd", str(path)], capture_output=True, text=True, timeout=60,
                              check=False)
        assert "not found" not in done.stdout, f"ldd {path}: {done.stdout}"
        for library in re.findall(r"(/\S+) \(0x", done.stdout):
            self.copy(library)

    def bytes(self):
        out = bytearray()

        def entry(name, mode, data, number):
            encoded = os.fsencode(name) + b"\0"
            fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0]
            out.extend(b"070701" + b"".join(b"%08X" % field for field in fields) + encoded)
            out.extend(b"\0" * (-len(out) % 4))
            out.extend(data)
            out.extend(b"\0" * (-len(out) % 4))

        for number, (name, (mode, data)) in enumerate(self.entries.items(), 1):
            entry(name, mode, data, number)
        entry("TRAILER!!!", 0, b"", 0)
        return bytes(out)


def pmd_folder():
    """Where EAL of this machine's DPDK looks for drivers by itself."""
    def variable(*words):
        done = subprocess.run(["pkg-config", *words, "libdpdk"], capture_output=True, text=True,
                              timeout=60, check=True)
        return done.stdout.strip()

    libraries = pathlib.Path(variable("--variable=libdir"))
    # librte_eal.so.23.0 goes with pmds-23.0.
    version = (libraries / "librte_eal.so").resolve().name.split(".so.")[1]
    return libraries / "dpdk" / f"pmds-{version}"


def basic(place):
    """An archive with busybox, init and modules."""
    archive = Archive()
    for path in ("dev", "proc", "sys", "tmp", "run", "etc", "root", "host", "var/run"):
        archive.folder(path)
    archive.put("bin/busybox", (place / "busybox").read_bytes(), 0o755)
    archive.put("init", INIT.read_bytes(), 0o755)
    archive.put("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    archive.put("etc/group", b"root:x:0:\n")
    for path in sorted((place / "modules").iterdir()):
        archive.put(f"lib/vmq-modules/{path.name}", path.read_bytes())
    return archive


def build(to, programs=(), files=None, dpdk=False, pmds=PMDS):
    """
    Write an image and return its path.

    @param programs  programs of this machine, at their own places; a pair of paths puts
                     the first in the place of the second
    @param files     {path in the guest: bytes}
    @param dpdk      with the PMDs named, where this machine's DPDK looks for them
    """
    # A path such as /lib may be a link on this machine: links first, then what lies there.
    archive = Archive()
    for program in programs:
        if isinstance(program, (tuple, list)):
            archive.program(*program)
        else:
            archive.program(program)
    if dpdk:
        drivers = pmd_folder()
        for name in pmds:
            for path in sorted(drivers.glob(f"librte_{name}.so.*")):
                archive.program(path)
    for path, data in (files or {}).items():
        archive.put(path, data)
    for path, (mode, data) in basic(packages.get()).entries.items():
        real = resolve(archive, path)
        if not archive.has(real):
            archive.folder(os.path.dirname(real))
            archive.entries[real] = (mode, data)
    to = pathlib.Path(to)
    to.write_bytes(archive.bytes())
    return to


def resolve(archive, path):
    """Follow the links that an archive has among the folders of a path."""
    parts = path.strip("/").split("/")
    at = ""
    for part in parts:
        at = f"{at}/{part}".strip("/")
        entry = archive.entries.get(at)
        if entry is not None and stat.S_ISLNK(entry[0]):
            target = os.fsdecode(entry[1])
            at = os.path.normpath(os.path.join("/", os.path.dirname(at), target)).strip("/")
    return at
