# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
Fast VMs: dpdk-testpmd with net_virtio_user, which writes what each VM gets to a capture
file of the VM's own (net_pcap).
"""

import pathlib
import shutil
import struct
import subprocess
import time

from vmq_test.daemon import cpus, remove_runtime, unique_prefix

TESTPMD = shutil.which("dpdk-testpmd")


class Vm:
    """One VM: its socket, its ring, its capture file."""

    def __init__(self, socket, capture, **virtio):
        self.socket, self.capture = pathlib.Path(socket), pathlib.Path(capture)
        self.virtio = virtio  # arguments of net_virtio_user


class Testpmd:
    """A process with some VMs. A context manager: it is gone at the end."""

    def __init__(self, vms, folder, server=True, memory_mb=256):
        self.vms, self.server = vms, server
        self.prefix = unique_prefix()
        self.log = pathlib.Path(folder) / f"{self.prefix}.log"
        main_core, _ = cpus()
        devices = []
        for number, vm in enumerate(vms):
            if server:
                vm.socket.unlink(missing_ok=True)  # of one that was killed
            arguments = {"path": vm.socket, **({"server": 1} if server else {}), **vm.virtio}
            devices += [f"--vdev=net_virtio_user{number}," +
                        ",".join(f"{key}={value}" for key, value in arguments.items()),
                        f"--vdev=net_pcap{number},tx_pcap={vm.capture}"]
        # Its lines one by one: the tests wait for them.
        command = ["stdbuf", "-oL", TESTPMD, "--lcores", f"0@{main_core},1@{main_core}", "--no-huge",
                   "-m", str(memory_mb), "--no-pci", "--no-telemetry",
                   "--file-prefix", self.prefix, *devices, "--",
                   "--forward-mode=io", "--total-num-mbufs", str(4096 + 2048 * len(vms)),
                   "--port-topology=paired", "--no-mlockall"]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log,
                                            stderr=subprocess.STDOUT, cwd=folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def explain(self):
        return self.log.read_text(encoding="utf-8", errors="replace")[-4000:]

    def wait_socket(self, seconds=60):
        """Wait until the first VM's socket is there (server): it waits for its client then."""
        end = time.monotonic() + seconds
        while not self.vms[0].socket.exists():
            assert self.process.poll() is None, self.explain()
            assert time.monotonic() < end, self.explain()
            time.sleep(0.02)

    def wait_forwarding(self, seconds=60):
        """Wait until its drivers are done: they set the rings up more than once."""
        end = time.monotonic() + seconds
        while b"Press enter to exit" not in self.log.read_bytes():
            assert self.process.poll() is None, self.explain()
            assert time.monotonic() < end, self.explain()
            time.sleep(0.02)

    def stop(self, seconds=60):
        """End in order: capture files are whole."""
        self.process.communicate(b"\n", timeout=seconds)
        assert self.process.returncode == 0, self.explain()
        remove_runtime(self.prefix)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()
        remove_runtime(self.prefix)


def frames_of(path):
    """The whole frames of a capture file whose end may be missing."""
    data = pathlib.Path(path).read_bytes() if pathlib.Path(path).exists() else b""
    frames, at = [], 24
    while at + 16 <= len(data):
        length, = struct.unpack("<I", data[at + 8:at + 12])
        if at + 16 + length > len(data):
            break
        frames.append(data[at + 16:at + 16 + length])
        at += 16 + length
    return frames
