# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""Network namespaces of a test: made, used, and always removed."""

import os
import shutil
import subprocess

HELPER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "net_helper.py")

# A kernel without IPv6 has nothing to turn off.
NO_IPV6 = """for file in /proc/sys/net/ipv6/conf/*/disable_ipv6; do
    [ ! -e "$file" ] || echo 1 > "$file" || exit 1
done"""


def missing():
    """What stands in the way of making namespaces and taps, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root: run as root or with sudo"
    if shutil.which("ip") is None:
        return "ip is missing: apt-get install iproute2"
    if not os.path.exists("/dev/net/tun"):
        return "/dev/net/tun is missing: modprobe tun"
    return None


def tool(name):
    """Is there such a program?"""
    return shutil.which(name) is not None


def call(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stderr.strip()}"
    return done.stdout


def ready(process):
    """Wait until a helper program, started with its output in a pipe, says so."""
    line = process.stdout.readline().strip()
    assert line == "ready", f"a helper said {line!r}"


class Namespaces:
    """A set of namespaces with names of their own; a context manager."""

    def __init__(self, *names):
        self.full = {name: f"vmqtest-{os.getpid()}-{name}" for name in names}
        self.made = []

    def __enter__(self):
        try:
            for name, full in self.full.items():
                call("ip", "netns", "add", full)
                self.made.append(full)
                self.run(name, "ip", "link", "set", "lo", "up")
                # Nobody shall speak who was not asked to.
                self.run(name, "sh", "-c", NO_IPV6)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for full in self.made:
            subprocess.run(["ip", "netns", "del", full], check=False, timeout=60)

    def wrap(self, name):
        """The words in front of a command that make it run in a namespace."""
        return ["ip", "netns", "exec", self.full[name]]

    def run(self, name, *command):
        return call(*self.wrap(name), *command)

    def start(self, name, *command, **options):
        return subprocess.Popen([*self.wrap(name), *map(str, command)], **options)
