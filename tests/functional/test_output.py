# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""What vmqd prints: options, the table, statistics as JSON."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

from vmq_test import cases, daemon, pcap
from vmq_test.daemon import TOP, Vmqd, document

QUEUE_KEYS = {"adapter", "id", "name", "vm", "state", "operational_state", "worker", "steering",
              "filters", "received", "received_bytes", "delivered", "delivered_bytes", "dropped",
              "drops", "waiting", "mpps", "gbps", "buffers", "backend"}
TOP_KEYS = {"version", "time", "elapsed_s", "interval_s", "final", "adapters", "queues", "total"}
MAC = "52:54:00:00:00:01"
IDLE_MAC = "52:54:00:00:00:02"


@pytest.fixture
def doc(tmp_path):
    """100 frames for queue "busy", none for "idle", 20 for nobody."""
    frame = bytes.fromhex(MAC.replace(":", "") + "0200000000018100000a0800") + bytes(46)
    stranger = b"\xff" * 6 + frame[6:]
    pcap.write(tmp_path / "source.pcap", [frame] * 100 + [stranger] * 20)
    return document(
        [{"name": "nic0", "device": f"net_pcap0,rx_pcap={tmp_path}/source.pcap"}],
        [{"name": "busy", "vm": "vm-busy", "adapter": "nic0",
          "filters": [{"mac": MAC, "vlan": 10}, {"mac": MAC, "vlan": "untagged"}],
          "backend": {"type": "sink"}},
         {"name": "idle", "vm": "vm-idle", "adapter": "nic0",
          "filters": [{"mac": IDLE_MAC, "vlan": "any"}, {"vlan": 77}],
          "backend": {"type": "sink"}}])


@pytest.fixture
def conf(doc, tmp_path):
    path = tmp_path / "conf.json"
    path.write_text(json.dumps(doc), encoding="utf-8")
    yield path
    daemon.remove_runtime(doc["eal"]["file_prefix"])


def test_version():
    done = daemon.run(["--version"])
    assert done.returncode == 0 and done.stderr == ""
    version = (TOP / "VERSION").read_text(encoding="ascii").strip()
    assert re.search(rf"\b{re.escape(version)}\b", done.stdout), done.stdout


def test_help_names_every_option():
    done = daemon.run(["--help"])
    assert done.returncode == 0 and done.stderr == ""
    for option in ("-c", "--check", "--seconds", "--stats-interval", "--stats-json", "--quiet",
                   "--verbose", "--version", "--help"):
        assert option in done.stdout, f"--help does not name {option}"


@pytest.mark.parametrize("arguments", [
    [], ["--no-such-option"], ["-c"], ["--check"], ["-c", "CONF", "more"],
    ["-c", "CONF", "--seconds", "0"], ["-c", "CONF", "--seconds", "-1"],
    ["-c", "CONF", "--seconds", "5x"], ["-c", "CONF", "--seconds", ""],
    ["-c", "CONF", "--stats-interval", "0"], ["-c", "CONF", "--stats-interval", "x"],
    ["-c", "CONF", "--stats-interval", "nan"],
])
def test_wrong_usage_is_status_2_and_says_why(conf, arguments):
    done = daemon.run([conf if word == "CONF" else word for word in arguments])
    assert done.returncode == 2, done
    assert done.stderr.strip() and done.stdout == "", done


def test_check_of_a_good_document(conf):
    done = daemon.run(["-c", conf, "--check"])
    assert done.returncode == 0, done
    assert done.stderr == "", done


def test_check_of_a_bad_document(conf, doc):
    doc["queues"][0]["afinity"] = [0]
    conf.write_text(json.dumps(doc), encoding="utf-8")
    for more in (["--check"], []):
        done = daemon.run(["-c", conf, *more])
        assert done.returncode == 1, done
        assert "/queues/0/afinity" in done.stderr and "affinity" in done.stderr, done
        assert done.stdout == "", done


def test_a_document_that_is_not_there(tmp_path):
    for more in (["--check"], []):
        done = daemon.run(["-c", tmp_path / "nothing.json", *more])
        assert done.returncode == 1, done
        assert "nothing.json" in done.stderr and "No such file" in done.stderr, done


def test_statistics_are_complete_and_exact(doc, tmp_path):
    with Vmqd(doc, tmp_path, interval=0.2) as vmqd:
        vmqd.wait_received({"nic0": 120})
        time.sleep(0.5)
        final = vmqd.stop()
        objects = vmqd.objects()
    assert [one["final"] for one in objects] == [False] * (len(objects) - 1) + [True]
    assert len(objects) >= 3
    for one in objects:
        assert TOP_KEYS <= set(one)
        assert one["version"] == (TOP / "VERSION").read_text(encoding="ascii").strip()
        assert [adapter["name"] for adapter in one["adapters"]] == ["nic0"]
        assert set(one["adapters"][0]["nic"]) == {
                "received", "missed", "errors", "no_buffer", "sent", "send_errors"}
        assert [queue["name"] for queue in one["queues"]] == ["default", "busy", "idle"]
        assert [queue["id"] for queue in one["queues"]] == [0, 1, 2]
        for queue in one["queues"]:
            assert QUEUE_KEYS <= set(queue)
            assert set(queue["buffers"]) >= {"populated", "available", "outstanding", "limit",
                                             "size"}
            assert queue["drops"] == dict.fromkeys(queue["drops"], 0) and queue["drops"]
            assert queue["steering"] == "software"
    times = [one["elapsed_s"] for one in objects]
    assert times == sorted(times)
    for one in objects[1:-1]:
        assert 0.1 < one["interval_s"] < 2, one["interval_s"]

    default, busy, idle = final["queues"]
    assert (default["vm"], busy["vm"], idle["vm"]) == (None, "vm-busy", "vm-idle")
    assert (default["received"], busy["received"], idle["received"]) == (20, 100, 0)
    # 64 bytes came in; the queue gets them without their tag, the default queue with.
    assert default["received_bytes"] == default["delivered_bytes"] == 20 * 64
    assert busy["received_bytes"] == busy["delivered_bytes"] == 100 * 60
    assert final["total"] == {"received": 120, "delivered": 120, "dropped": 0, "waiting": 0}
    assert busy["filters"] == [{"id": 1, "mac": MAC, "vlan": 10},
                               {"id": 2, "mac": MAC, "vlan": "untagged"}]
    assert [one["vlan"] for one in idle["filters"]] == ["any", 77]
    assert [one.get("mac") for one in idle["filters"]] == [IDLE_MAC, None]
    running = objects[-2]["queues"]
    assert {queue["state"] for queue in running} == {"Running"}
    assert {queue["operational_state"] for queue in running} == {"Running"}
    # The final object's rate is that of the whole run.
    assert busy["mpps"] == pytest.approx(100 / final["elapsed_s"] / 1e6, rel=0.1, abs=1e-6)


def test_statistics_on_standard_output(doc, tmp_path):
    with Vmqd(doc, tmp_path, "--seconds", "1", "--stats-interval", "0.2", "--stats-json", "-",
              stats=False) as vmqd:
        assert vmqd.end() == 0, vmqd.explain("exit status")
        lines = vmqd.stdout().splitlines()
    objects = [json.loads(line) for line in lines]
    assert len(objects) >= 3 and objects[-1]["final"]


def test_statistics_into_a_file_that_can_not_be_written(conf, tmp_path):
    done = daemon.run(["-c", conf, "--stats-json", tmp_path / "no" / "folder", "--seconds", "1"])
    assert done.returncode == 1, done
    assert str(tmp_path / "no" / "folder") in done.stderr, done


def test_quiet_prints_nothing(conf):
    done = daemon.run(["-c", conf, "--seconds", "1", "--quiet"])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done


def test_the_table_in_a_pipe_is_plain_lines(conf):
    done = daemon.run(["-c", conf, "--seconds", "2", "--stats-interval", "0.5"])
    assert done.returncode == 0, done
    assert not re.search(r"[^\n\x20-\x7e]", done.stdout), "escape codes in a pipe"
    for word in ("vm-busy", "vm-idle", MAC, IDLE_MAC, "any", "Running", "default"):
        assert word in done.stdout, f"{word} is not in the table:\n{done.stdout}"
    rows = [line for line in done.stdout.splitlines() if "vm-idle" in line]
    assert len(rows) >= 3, done.stdout
    # A queue that gets nothing shows zeros, not nothing.
    assert all(re.search(r"\b0(\.0+)?\b", row) for row in rows), rows


def test_the_console_is_free_of_the_noise_of_eal(conf):
    done = daemon.run(["-c", conf, "--seconds", "1"])
    assert done.returncode == 0 and "EAL" not in done.stdout + done.stderr, done
    done = daemon.run(["-c", conf, "--seconds", "1", "--verbose"])
    assert done.returncode == 0 and "EAL" in done.stderr, done


def read_terminal(primary, process, seconds):
    """Everything that a program writes to a pseudo-terminal until it ends."""
    data = b""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ready, _, _ = select.select([primary], [], [], 0.2)
        if ready:
            try:
                data += os.read(primary, 65536)
            except OSError:  # the other side is closed
                break
        elif process.poll() is not None:
            break
    return data


def test_the_table_on_a_terminal_is_refreshed_in_place_and_ctrl_c_ends_it(conf):
    primary, secondary = pty.openpty()
    try:
        with subprocess.Popen([daemon.VMQD, "-c", conf, "--stats-interval", "0.2"],
                              stdin=secondary, stdout=secondary, stderr=secondary,
                              start_new_session=True, env={**os.environ, "TERM": "xterm"}
                              ) as process:
            os.close(secondary)
            try:
                first = read_terminal(primary, process, 3)
                assert process.poll() is None, first
                process.send_signal(signal.SIGINT)
                first += read_terminal(primary, process, 20)
                assert process.wait(20) == 0, first
            finally:
                if process.poll() is None:
                    process.kill()
    finally:
        os.close(primary)
    assert b"vm-busy" in first and b"\x1b[" in first, first
    # Moved up, not printed below: far fewer lines than rounds times rows would be.
    assert re.search(rb"\x1b\[(\d*A|H|\d+;\d+H)", first), first


def test_quickstart_is_a_good_document():
    done = daemon.run(["-c", TOP / "config" / "quickstart.json", "--check"])
    assert done.returncode == 0, done


def test_make_traffic_is_what_the_quickstart_says(tmp_path):
    file = tmp_path / "traffic.pcap"
    subprocess.run([TOP / "usertools" / "make-traffic", "--vms", "8", "--others", "1",
                    "--packets", "64", file], check=True, timeout=60)
    frames = pcap.Capture(file).frames
    assert len(frames) == 9 * 64
    assert {len(frame) for frame in frames} == {60}  # 64 with the frame check sequence
    for number in range(1, 10):
        head = bytes.fromhex(f"5254000000{number:02x}")
        vlan = bytes.fromhex(f"8100{number:04x}")
        assert sum(frame[:6] == head and frame[12:16] == vlan for frame in frames) == 64
    with open(TOP / "config" / "quickstart.json", encoding="utf-8") as conf_file:
        quickstart = json.load(conf_file)
    macs = [queue["filters"][0]["mac"] for queue in quickstart["queues"]]
    assert macs == [cases.mac_text(bytes.fromhex(f"5254000000{n:02x}")) for n in range(1, 9)]
