# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
A guest that runs: commands over its second serial port, QEMU's monitor, its end.

The first serial port is the kernel's log (console.log in the guest's folder). Emulation
in software by default, which works everywhere; VMQ_GUEST_ACCEL=kvm asks for KVM.
"""

import errno
import json
import os
import pathlib
import random
import re
import shlex
import socket
import subprocess
import threading
import time

from . import packages

BOOT_SECONDS = 240  # emulated, on a machine that is busy with other things
COMMAND_SECONDS = 120


class Monitor:
    """QEMU's machine protocol: one request, one answer; events are skipped."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rw", encoding="utf-8")
        json.loads(self.file.readline())
        self("qmp_capabilities")

    def __call__(self, command, **arguments):
        request = {"execute": command, **({"arguments": arguments} if arguments else {})}
        self.file.write(json.dumps(request) + "\n")
        self.file.flush()
        while True:
            line = self.file.readline()
            if not line:
                raise ConnectionError(f"QEMU ended during {command}")
            answer = json.loads(line)
            assert "error" not in answer, f"QEMU refuses {command}: {answer['error']}"
            if "return" in answer:
                return answer["return"]

    def close(self):
        self.file.close()
        self.socket.close()


class CommandFailed(AssertionError):
    pass


class Machine:
    """
    A guest. A context manager: whatever happens, it is gone at the end.

    @param folder   a folder of its own; the guest sees it as /host if share is true
    @param image    from image.build()
    @param options  more words for QEMU
    @param words    more words for the kernel's command line
    @param control  with a port that join_control() joins to a UNIX socket in the guest
    @param reboot   a reset starts the guest again instead of ending QEMU
    @param program  words that start QEMU with machine and memory, found as
                    qemu-system-x86_64 by PATH, instead of our own
    """

    def __init__(self, folder, image, options=(), words=(), modules=(), memory=256, cpus=1,
                 hugepages=0, share=True, control=False, reboot=False, machine="q35", name="guest",
                 program=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.console = self.folder / "console.log"
        self.log = self.folder / "qemu.log"
        place = packages.get()
        # The path of a UNIX socket is short: relative to the folder QEMU runs in.
        command, env = packages.qemu_command(place)
        if program is None:
            command += ["-M", machine, "-m", str(memory)]
        else:
            wrapper = self.folder / "bin/qemu-system-x86_64"
            wrapper.parent.mkdir(exist_ok=True)
            wrapper.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8")
            wrapper.chmod(0o755)
            env["PATH"] = f"{wrapper.parent.resolve()}:{env['PATH']}"
            command = [*program]
        accel = os.environ.get("VMQ_GUEST_ACCEL", "tcg")
        # no_timer_check: an emulated timer may be late on a busy host, and the kernel panics.
        line = ["console=ttyS0", "quiet", "panic=-1", "no_timer_check", "nokaslr",
                "mitigations=off", "random.trust_cpu=on", "net.ifnames=0", "cryptomgr.notests",
                *words]
        if modules:
            line.append(f"vmq.load={','.join(modules)}")
        if hugepages:
            line.append(f"vmq.hugepages={hugepages}")
        if share:
            line.append("vmq.share=1")
            options = [*options, "-virtfs",
                       "local,path=.,mount_tag=host,security_model=none,id=host"]
        if control:
            options = [*options, "-device", "virtio-serial-pci",
                       "-chardev", "socket,id=control,path=control,server=on,wait=off",
                       "-device", "virtserialport,chardev=control,name=vmq.control"]
        command = ["setpriv", "--pdeathsig", "KILL", *command,
                   "-nodefaults", "-display", "none", "-vga", "none",
                   "-accel", "tcg,thread=multi" if accel == "tcg" else accel,
                   "-cpu", "max" if accel == "tcg" else "host",
                   "-smp", str(cpus),
                   "-kernel", str(place / "vmlinuz"), "-initrd", str(image),
                   "-append", " ".join(line), "-serial", "file:console.log",
                   "-serial", "stdio", "-qmp", "unix:qmp,server=on,wait=off",
                   *([] if reboot else ["-no-reboot"]), *options]
        (self.folder / "command").write_text(shlex.join(command) + "\n", encoding="utf-8")
        for name in ("qmp", "control"):
            (self.folder / name).unlink(missing_ok=True)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=log, env=env,
                                            cwd=self.folder)
        self.heard = b""
        self.more = threading.Condition()
        self.number = 0
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self._monitor = None

    def _read(self):
        while True:
            data = os.read(self.process.stdout.fileno(), 65536)
            with self.more:
                if not data:
                    self.process.wait()
                self.heard += data
                self.more.notify_all()
            if not data:
                return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        """The end as a power failure."""
        if self._monitor is not None:
            self._monitor.close()
            self._monitor = None
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.reader.join()
        self.process.stdin.close()
        self.process.stdout.close()

    @property
    def alive(self):
        return self.process.poll() is None

    @property
    def monitor(self):
        """QEMU's monitor: guest.monitor("stop")."""
        if self._monitor is None:
            self._monitor = Monitor(os.path.relpath(self.folder / "qmp"))
        return self._monitor

    def join_control(self, path):
        """
        Join a UNIX socket that a program of the guest listens at to one of this machine,
        for one connection; returns its path. Needs control, and vmq-tool in the image.
        """
        self.run("load virtio_pci virtio_console")
        # The port is for one at a time; who had it before ends with the other socket.
        self.wait_until("[ -e /dev/vport*p1 ] && ! pidof vmq-tool", "the port is there and free")
        self.run(f"vmq-tool connect /dev/vport*p1 {path} > /tmp/tool.log 2>&1 &")
        return os.path.relpath(self.folder / "control")

    def explain(self, what):
        """What a failed assertion says: the guest's last words."""
        tail = self.heard[-2000:].decode(errors="replace")
        log = self.log.read_text(errors="replace")[-2000:]
        kernel = self.console.read_text(errors="replace")[-3000:] if self.console.exists() else ""
        return (f"{self.name}: {what}\n-- QEMU's status {self.process.poll()}, its words:\n{log}\n"
                f"-- kernel:\n{kernel}\n-- said:\n{tail}")

    def expect(self, pattern, seconds, what):
        """Wait for a pattern in what the guest says; what came up to its end is consumed."""
        end = time.monotonic() + seconds
        pattern = re.compile(pattern)
        with self.more:
            while True:
                found = pattern.search(self.heard)
                if found:
                    before = self.heard[:found.start()]
                    self.heard = self.heard[found.end():]
                    return before, found
                assert self.alive, self.explain(f"ended before {what}")
                left = end - time.monotonic()
                assert left > 0, self.explain(f"not after {seconds} s: {what}")
                self.more.wait(min(left, 1))

    def ready(self, seconds=BOOT_SECONDS):
        """Wait until the guest has started and takes commands."""
        self.expect(rb"@@ready@@\r?\n", seconds, "it had started")
        return self

    def start(self, command, seconds=COMMAND_SECONDS):
        """Start a command; result() waits for it. One at a time."""
        self.number += 1
        line = (f"timeout -s KILL {seconds} sh -c {shlex.quote(command)} </dev/null 2>&1; "
                f"status=$?; echo; echo @@{self.number} $status@@\n")
        try:
            self.process.stdin.write(line.encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            raise AssertionError(self.explain(f"ended before: {command}")) from None
        return self.number, command, seconds

    def result(self, started):
        """(exit status, output) of a command that start() started."""
        number, command, seconds = started
        # The guest's clock may be slower than ours.
        before, found = self.expect(rb"\r?\n@@%d (\d+)@@\r?\n" % number, seconds * 2 + 30, command)
        return int(found[1]), before.decode(errors="replace").replace("\r", "")

    def run(self, command, seconds=COMMAND_SECONDS, good=True):
        """
        Run a shell command in the guest and return its output.

        @param seconds  it is killed then
        @param good     it must end with status 0
        """
        status, output = self.result(self.start(command, seconds))
        if good and status != 0:
            raise CommandFailed(f"{self.name}: status {status} of: {command}\n{output}")
        return output

    def wait_until(self, command, what, seconds=COMMAND_SECONDS):
        """Repeat a command until it ends with status 0; returns its output."""
        end = time.monotonic() + seconds
        while True:
            status, output = self.result(self.start(command))
            if status == 0:
                return output
            assert time.monotonic() < end, self.explain(f"not after {seconds} s: {what}: {output}")
            time.sleep(0.2)

    def reboot(self):
        """Reset the machine from inside; ready() waits until it is there again."""
        self.process.stdin.write(b"echo b > /proc/sysrq-trigger\n")
        self.process.stdin.flush()

    def power_off(self, seconds=60):
        """The end as the guest wants it."""
        self.number += 1
        self.process.stdin.write(b"sync; echo o > /proc/sysrq-trigger\n")
        self.process.stdin.flush()
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(self.explain(f"did not power off in {seconds} s")) from None
        assert status == 0, self.explain("QEMU failed")


class Wire:
    """The outer end of a network device of a guest: a datagram carries a frame."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.bind(("127.0.0.1", 0))
        # QEMU binds its own end a moment later: a port that nobody is given by chance.
        while True:
            self.guest = ("127.0.0.1", random.randrange(10000, 32000))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                try:
                    probe.bind(self.guest)
                    break
                except OSError as error:
                    if error.errno != errno.EADDRINUSE:
                        raise

    def netdev(self, name):
        """The word for QEMU's -netdev."""
        port = self.socket.getsockname()[1]
        return (f"dgram,id={name},local.type=inet,local.host=127.0.0.1,"
                f"local.port={self.guest[1]},remote.type=inet,remote.host=127.0.0.1,"
                f"remote.port={port}")

    def send(self, frame):
        self.socket.sendto(bytes(frame), self.guest)

    def receive(self, seconds):
        """The next frame that the guest sends, or None."""
        self.socket.settimeout(max(seconds, 0.001))
        try:
            return self.socket.recv(65536)
        except TimeoutError:
            return None

    def close(self):
        self.socket.close()


def igb(wire, name="nic0", slot=False):
    """
    QEMU's words for an emulated 82576 behind an IOMMU that vfio-pci can use.

    @param slot  true: in a slot that it can be taken out of: monitor("device_del", id="igb0"),
                 at IGB_SLOT_ADDRESS
    """
    where = ["-device", f"igb,netdev={name},addr=05.0"]
    if slot:
        where = ["-device", "pcie-root-port,id=slot0,chassis=1,slot=1,addr=06.0",
                 "-device", f"igb,netdev={name},id=igb0,bus=slot0"]
    return ["-device", "intel-iommu,intremap=on,caching-mode=on",
            "-netdev", wire.netdev(name), *where]


IGB_MACHINE = "q35,kernel-irqchip=split"
IGB_ADDRESS = "0000:00:05.0"
IGB_SLOT_ADDRESS = "0000:01:00.0"


def bind_vfio(guest, address=IGB_ADDRESS):
    """Give a PCI device of the guest to vfio-pci."""
    guest.run(f"""
        load vfio-pci vfio_iommu_type1 && cd /sys/bus/pci/devices/{address} &&
        echo vfio-pci > driver_override && echo {address} > /sys/bus/pci/drivers_probe &&
        [ "$(basename $(readlink driver))" = vfio-pci ] && [ -e iommu_group ]""")
