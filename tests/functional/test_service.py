# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""vmqd under a service manager: the unit, and what the manager is told."""

import os
import shutil
import socket
import subprocess

import pytest

from vmq_test.daemon import BUILD, Vmqd, document


def sink(name):
    return {"name": name, "device": f"net_null_{name}",
            "default_queue": {"backend": {"type": "sink"}}}


@pytest.mark.parametrize("abstract", [False, True])
def test_the_manager_is_told_when_the_queues_receive_and_when_it_ends(tmp_path, abstract):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + path if abstract else path)
        manager.settimeout(60)
        env = {**os.environ, "NOTIFY_SOCKET": "@" + path if abstract else path}
        with Vmqd(document([sink("null0")], []), tmp_path / "vmqd", env=env) as daemon:
            assert manager.recv(100) == b"READY=1", daemon.stderr()
            daemon.wait(lambda now: now["total"]["received"] > 0, "it receives")
            daemon.stop()
            assert manager.recv(100) == b"STOPPING=1"
            assert daemon.stderr() == ""


def test_a_manager_that_is_not_there_is_warned_of_and_no_more(tmp_path):
    env = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "nobody")}
    with Vmqd(document([sink("null0")], []), tmp_path / "vmqd", env=env) as daemon:
        daemon.wait_running()
        daemon.stop()
        assert "nobody can not be told" in daemon.stderr()
        assert "No such file or directory" in daemon.stderr()


def test_systemd_finds_no_fault_in_the_unit(need, tmp_path):
    need(shutil.which("systemd-analyze"), "systemd-analyze is missing: apt-get install systemd")
    unit = (BUILD / "vmqd.service").read_text(encoding="utf-8")
    command = next(line for line in unit.splitlines() if line.startswith("ExecStart="))
    # It looks for the program, which need not be installed.
    program = command.split("=", 1)[1].split()[0]
    (tmp_path / "vmqd.service").write_text(
        unit.replace(program, str(BUILD / "app/vmqd/vmqd")), encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", tmp_path / "vmqd.service"],
                          capture_output=True, text=True, timeout=120, check=False)
    words = [line for line in done.stderr.splitlines() if "vmqd" in line]
    assert done.returncode == 0 and not words, done.stdout + done.stderr
