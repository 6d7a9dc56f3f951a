# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
A guest that is migrated: its memory is copied while it runs and vmqd writes into it, it
stops, and goes on in another QEMU that vmqd is connected to by then.
"""

import subprocess
import time

import pytest

from lan import WIRE, Lan, Nic
from vmq_test import netns
from vmq_test.daemon import queues_by_name

NIC = Nic("vm", "52:54:00:00:03:0a", ["untagged"])
GUEST, HOST = "10.0.3.1", "10.0.3.9"
SECONDS = 120


def wait(good, what):
    end = time.monotonic() + SECONDS
    while not good():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def is_up(now):
    return queues_by_name(now)["vm"]["backend"]["link"]["up"]


def answers(lan):
    wait(lambda: "1 packets received" in lan.wire(
        f"{lan.busybox} ping -c 1 -W 1 {GUEST} || true"), "the guest does not answer")


@pytest.mark.parametrize("packed", ["off", "on"], ids=["split", "packed"])
def test_a_guest_that_is_migrated_goes_on_where_it_was(need, vm_image, tmp_path, packed):
    need(netns.missing() is None, netns.missing())
    options = {"share": False, "words": ["-global", f"virtio-net-pci.packed={packed}"]}
    with Lan(tmp_path / "lan") as lan:
        lan.start_vmqd([NIC])
        lan.wire(f"ip addr add {HOST}/24 dev {WIRE}")
        source = lan.start_guest("source", vm_image, [NIC], **options)
        source.ready()
        source.run("set -e; load virtio_pci; echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6; "
                   "ip link set eth0 up; "
                   f"ip addr add {GUEST}/24 dev eth0; echo it was here > /tmp/mark")
        answers(lan)
        uptime = float(source.run("cat /proc/uptime").split()[0])
        features = lan.daemon.wait(is_up, "vmqd sees it")["queues"][-1]["backend"]["link"]["text"]
        assert ("packed" in features) == (packed == "on"), features

        # Frames come all the while: what vmqd writes has to be in what is copied.
        state = tmp_path / "state"
        load = lan.net.start("wire", lan.busybox, "ping", "-i", "0.05", "-s", "1400", GUEST,
                             stdout=subprocess.DEVNULL)
        lan.helpers.append(load)
        source.monitor("migrate", uri=f"exec:cat > {state}")
        wait(lambda: source.monitor("query-migrate").get("status") in ("completed", "failed"),
             "the migration does not end")
        assert source.monitor("query-migrate")["status"] == "completed"
        source.kill()

        options["words"] = [*options["words"], "-incoming", f"exec:cat {state}"]
        target = lan.start_guest("target", vm_image, [NIC], **options)
        wait((target.folder / "qmp").exists, "QEMU does not start")
        time.sleep(0.5)  # it listens there a moment later
        wait(lambda: target.monitor("query-status")["status"] == "running",
             "the migrated guest does not run")
        answers(lan)
        assert target.run("cat /tmp/mark").split() == ["it", "was", "here"]
        assert float(target.run("cat /proc/uptime").split()[0]) >= uptime
        link = queues_by_name(lan.daemon.wait(is_up, "vmqd sees it"))["vm"]["backend"]["link"]
        assert link["cut_offs"] == 0, link
        load.kill()
        target.power_off()
        lan.daemon.stop()
