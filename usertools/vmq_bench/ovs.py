# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
Open vSwitch with DPDK, run beside whatever the machine runs: a database, a socket and
a log of its own in a folder, one PMD thread, one OpenFlow rule for each VM.
"""

import os
import pathlib
import re
import shutil
import subprocess
import time

from vmq_bench import common
from vmq_bench.common import WARM_UP_S, BenchError

SCHEMA = pathlib.Path("/usr/share/openvswitch/vswitch.ovsschema")
VSWITCHD = pathlib.Path("/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk")
SOURCE_PORT = 60000  # OpenFlow's number of the source


def missing():
    """What stands in the way of measuring it, or None."""
    programs = [name for name in ("ovsdb-server", "ovsdb-tool", "ovs-vsctl", "ovs-ofctl",
                                  "ovs-appctl") if shutil.which(name) is None]
    if programs or not VSWITCHD.exists() or not SCHEMA.exists():
        return "openvswitch-switch-dpdk is not installed"
    if os.geteuid() != 0:
        return "openvswitch-switch-dpdk needs root"
    return None


class Ovs:
    """A running switch; a context manager."""

    def __init__(self, folder, cores, file_prefix, memory_mb):
        self.folder = folder / "ovs"
        self.cores, self.prefix, self.memory_mb = cores, file_prefix, memory_mb
        self.database = self.folder / "db.sock"
        self.control = self.folder / "vswitchd.ctl"
        self.processes = []
        self.env = {**os.environ, "OVS_RUNDIR": str(self.folder), "OVS_LOGDIR": str(self.folder),
                    "OVS_DBDIR": str(self.folder), "OVS_SYSCONFDIR": str(self.folder)}

    def __enter__(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            common.stop(process)
        self.processes.clear()

    def _daemon(self, *command):
        with open(self.folder / f"{pathlib.Path(command[0]).name}.out", "wb") as out:
            self.processes.append(subprocess.Popen([str(word) for word in command], env=self.env,
                                                   stdin=subprocess.DEVNULL, stdout=out,
                                                   stderr=out, cwd=self.folder))

    def _start(self):
        main, worker = self.cores
        common.run(["ovsdb-tool", "create", self.folder / "conf.db", SCHEMA], env=self.env)
        self._daemon("ovsdb-server", self.folder / "conf.db", f"--remote=punix:{self.database}",
                     f"--unixctl={self.folder}/ovsdb.ctl")
        common.wait_until(self.database.exists, "ovsdb-server answers",
                          process=self.processes[-1])
        self.vsctl("--no-wait", "init")
        self.vsctl("--no-wait", "set", "Open_vSwitch", ".", "other_config:dpdk-init=true",
                   f"other_config:dpdk-lcore-mask={1 << main:#x}",
                   f"other_config:pmd-cpu-mask={1 << worker:#x}",
                   f"other_config:dpdk-socket-mem={self.memory_mb}",
                   f'other_config:dpdk-extra="--no-pci --no-telemetry --file-prefix '
                   f'{self.prefix}_ovs"')
        self._daemon(VSWITCHD, f"unix:{self.database}", f"--unixctl={self.control}",
                     "--log-file=" + str(self.folder / "vswitchd.log"))
        common.wait_until(self.control.exists, "ovs-vswitchd answers",
                          process=self.processes[-1])
        self.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev",
                   "fail-mode=secure")

    def vsctl(self, *words):
        return common.run(["ovs-vsctl", "--timeout=60", f"--db=unix:{self.database}", *words],
                          120, env=self.env).stdout.strip()

    def appctl(self, *words):
        return common.run(["ovs-appctl", "--timeout=30", "-t", self.control, *words],
                          env=self.env).stdout

    def version(self):
        return self.vsctl("get", "Open_vSwitch", ".", "ovs_version").strip('"')

    def add_port(self, name, number, kind, **options):
        words = [f'options:{key.replace("_", "-")}="{value}"' for key, value in options.items()]
        self.vsctl("add-port", "br0", name, "--", "set", "Interface", name, f"type={kind}",
                   f"ofport_request={number}", *words)
        error = self.vsctl("get", "Interface", name, "error")
        if error not in ("[]", ""):
            raise BenchError(f"Open vSwitch: port {name}: {error}")

    def add_rules(self, vms):
        """A rule for each VM: its MAC and VLAN, the tag off, to the port of its number."""
        flows = self.folder / "flows"
        flows.write_text("".join(
            f"table=0,in_port={SOURCE_PORT},dl_dst={common.mac_of(vm)},"
            f"dl_vlan={common.vlan_of(vm)},actions=strip_vlan,output:{vm}\n"
            for vm in range(1, vms + 1)), encoding="ascii")
        common.run(["ovs-ofctl", "add-flows", f"unix:{self.folder}/br0.mgmt", flows],
                   env=self.env)

    def add_source(self, device):
        self.add_port("source", SOURCE_PORT, "dpdk", dpdk_devargs=device)

    def received(self):
        """Packets that its PMD thread has received so far."""
        said = self.appctl("dpif-netdev/pmd-stats-show")
        match = re.search(r"^pmd thread.*?packets received: (\d+)", said,
                          re.MULTILINE | re.DOTALL)
        if match is None:
            raise BenchError(f"Open vSwitch printed no statistics:\n{said}")
        return int(match.group(1))


class Steer:
    """Steering from a source to net_null ports, one for each VM."""

    def __init__(self, folder, cores, file_prefix, device, vms, memory_mb):
        self.folder, self.cores, self.prefix = folder, cores, file_prefix
        self.device, self.vms, self.memory_mb = device, vms, memory_mb
        self.version = None

    def run(self, seconds):
        with Ovs(self.folder, self.cores, self.prefix, self.memory_mb) as switch:
            self.version = switch.version()
            for vm in range(1, self.vms + 1):
                # no-rx: a net_null port also makes packets without end.
                switch.add_port(f"vm{vm}", vm, "dpdk", dpdk_devargs=f"net_null{vm},no-rx=1")
            switch.add_rules(self.vms)
            switch.add_source(self.device)
            time.sleep(2 * WARM_UP_S)
            before, begin = switch.received(), time.monotonic()
            time.sleep(seconds)
            after, end = switch.received(), time.monotonic()
            return (after - before) / (end - begin) / 1e6
