# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""The state file: what others have made over the socket survives a restart."""

import json
import os
import time

from test_live import MEMORY, connect, mac, make_document, queue, running, wait_log
from vmq_test.daemon import Vmqd


def checksum(content):
    """As vmqd's: FNV-1a of the content, its keys sorted and without white space."""
    value = 0xCBF29CE484222325
    for byte in json.dumps(content, separators=(",", ":"), sort_keys=True).encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


def state_of(*queues, filters=(), version=1):
    content = {"queues": list(queues), "filters": list(filters)}
    return json.dumps({"version": version, "checksum": checksum(content), "content": content})


def kept(name, *filters, owner="uid:alice", completed=True, **more):
    return {"owner": owner, "completed": completed, "flags": 0, "port_id": 0,
            "queue": {"adapter": "nic", **queue(name, *filters), **more}}


def on_default(n, owner="uid:bob"):
    return {"owner": owner, "adapter": "nic", "filter": {"mac": mac(n), "vlan": "any"}}


def with_state(tmp_path, *queues):
    doc = make_document(tmp_path, *queues)
    doc["control"] = {"state_file": str(tmp_path / "state" / "vmq.json")}
    (tmp_path / "state").mkdir()
    return doc, tmp_path / "state" / "vmq.json"


def content(file):
    state = json.loads(file.read_text())
    assert state["checksum"] == checksum(state["content"])
    return state["content"]


def owners(client):
    return {one["name"]: one["owner"] for one in client.call("queue.list")["queues"]}


def test_what_others_have_is_there_again_after_a_restart(tmp_path):
    doc, file = with_state(tmp_path, queue("own", 1))
    file.write_text(state_of(kept("a", 2, {"mac": mac(3), "vlan": 7}), kept("b", owner="tenant"),
                             kept("c", 4, completed=False), filters=[on_default(5)]))
    with Vmqd(doc, tmp_path / "vmqd") as daemon, connect(daemon) as client:
        wait_log(daemon, "4 queues and filters of the default queue are there again")
        assert owners(client) == {"default": None, "own": "config", "a": "uid:alice",
                                  "b": "tenant", "c": "uid:alice"}
        states = {name: one["state"] for name, one in running(client).items()}
        assert states == {"default": "Running", "own": "Running", "a": "Running",
                          "b": "Paused", "c": "Set"}
        # The document knows nothing of them, and an apply leaves them alone.
        assert [one["name"] for one in client.call("config.save")["document"]["queues"]] == ["own"]
        everything = client.call("config.save", all=True)
        assert [one["name"] for one in everything["document"]["queues"]] == ["own", "a", "b"]
        assert [one["queue"] for one in everything["skipped"]] == ["c"]
        assert client.call("config.plan", document=everything["document"])["steps"] == []
        daemon.stop()
    first = content(file)
    assert [(one["owner"], one["queue"]["name"], one["completed"]) for one in first["queues"]] == [
        ("uid:alice", "a", True), ("tenant", "b", True), ("uid:alice", "c", False)]
    assert first["filters"] == [on_default(5)]
    # A crash changes nothing, and the file is the same in the end.
    for how in ("kill", "stop"):
        with Vmqd(doc, tmp_path / "vmqd") as daemon, connect(daemon) as client:
            assert owners(client).keys() == {"default", "own", "a", "b", "c"}
            if how == "stop":
                daemon.stop()
            else:
                daemon.process.kill()
                daemon.process.wait()
        assert content(file) == first
    assert sorted(os.listdir(file.parent)) == ["vmq.json"]


def test_what_was_changed_in_place_is_there_again_after_a_crash(tmp_path):
    doc, file = with_state(tmp_path)
    change = {"name": "new", "vm": "other", "priority": 9, "keep_tags": True, "anti_spoof": False,
              "broadcast": True, "rate": {"to_vm": {"mbps": 100, "burst_kb": 64}},
              "memory": {"min_buffers": 3, "growth": {"low": 2, "high": 90, "step": 16}}}
    keys = ("owner", "state", "filters", "backend", "affinity", "memory", *change)
    with Vmqd(doc, tmp_path / "vmqd") as daemon, connect(daemon) as client:
        client.call("queue.allocate", queue=queue("old", 1))
        shown = client.call("queue.set", queue="old", **change)
        end = time.monotonic() + 60
        while not file.exists() or [one["queue"]["name"] for one in
                                    content(file)["queues"]] != ["new"]:
            assert time.monotonic() < end, daemon.explain("the state was not written")
            time.sleep(0.05)
        daemon.process.kill()
        daemon.process.wait()
    with Vmqd(doc, tmp_path / "vmqd") as daemon, connect(daemon) as client:
        again = client.call("queue.show", queue="new")
        assert {key: again[key] for key in keys} == {key: shown[key] for key in keys}
        assert again["priority"] == 9 and again["keep_tags"] is True and again["vm"] == "other"
        daemon.stop()


def test_a_damaged_state_is_set_aside_and_the_daemon_starts(tmp_path):
    doc, file = with_state(tmp_path, queue("own", 1))
    good = state_of(kept("a", 2))
    damaged = {"empty": "", "cut": good[:-20], "changed": good.replace('"a"', '"b"'),
               "newer": state_of(kept("a", 2), version=2), "a list": "[]", "not text": "\x00\xff"}
    for number, (what, text) in enumerate(damaged.items(), 1):
        file.write_text(text, encoding="latin-1")
        with Vmqd(doc, tmp_path / "vmqd") as daemon, connect(daemon) as client:
            wait_log(daemon, "set aside as .*vmq.json.damaged-")
            assert owners(client) == {"default": None, "own": "config"}, what
            daemon.stop()
        aside = [one for one in os.listdir(file.parent) if ".damaged-" in one]
        assert len(aside) == number, what
        assert content(file) == {"queues": [], "filters": []}
    assert (file.parent / min(aside)).read_text() == ""


def test_the_document_wins_and_what_it_wins_over_is_kept(tmp_path):
    doc, file = with_state(tmp_path, queue("mine", 1), queue(
        "file", backend={"type": "pcap", "file": str(tmp_path / "x.pcap")}))
    text = state_of(
        kept("mine", 2), kept("a", 1, 3), kept("b", adapter="gone"),
        kept("c", backend={"type": "pcap", "file": str(tmp_path / "x.pcap")}),
        kept("d", memory={**MEMORY, "buffers": 0}), kept("e", owner="config"),
        kept("f", backend={"type": "pcap", "file": "/nowhere/x.pcap"}),
        kept("g", 4, affinity=[1023]), filters=[on_default(1), on_default(6)])
    file.write_text(text)
    with Vmqd(doc, tmp_path / "vmqd") as daemon, connect(daemon) as client:
        wait_log(daemon, "8 queues and filters of it are not restored")
        log = daemon.stderr()
        for what in ("queue mine of owner uid:alice is not restored: there is a queue of its name",
                     f"filter {mac(1)} any vlan of owner uid:alice is not restored: filter 1 makes",
                     'queue b of owner uid:alice is not restored: there is no adapter "gone"',
                     "queue c of owner uid:alice is not restored: a queue that is there already",
                     "queue d of owner uid:alice is not restored: 0 is out of range",
                     "queue e of owner config is not restored: what it has is in the document",
                     "queue f of owner uid:alice is not restored: ", "none runs on CPU 1023",
                     f"filter {mac(1)} any vlan of owner uid:bob is not restored"):
            assert what in log, daemon.explain(what)
        names = {"default": None, "mine": "config", "file": "config", "a": "uid:alice",
                 "g": "uid:alice"}
        end = time.monotonic() + 30
        while owners(client) != names:  # f goes as soon as it can
            assert time.monotonic() < end, daemon.explain(str(owners(client)))
            time.sleep(0.02)
        daemon.stop()
    copies = [one for one in os.listdir(file.parent) if ".conflict-" in one]
    assert len(copies) == 1 and (file.parent / copies[0]).read_text() == text
    assert [one["queue"]["name"] for one in content(file)["queues"]] == ["a", "g"]


def test_a_state_file_that_cannot_be_written_is_said(tmp_path):
    doc, file = with_state(tmp_path, queue("own", 1))
    file.parent.rmdir()
    with Vmqd(doc, tmp_path / "vmqd") as daemon, connect(daemon):
        wait_log(daemon, "vmq.json.new cannot be made: No such file or directory")
        file.parent.mkdir()
        wait_log(daemon, "is written again")
        daemon.stop()
    assert content(file) == {"queues": [], "filters": []}
    # A folder in its place: it is left as it is.
    file.unlink()
    file.mkdir()
    with Vmqd(doc, tmp_path / "vmqd") as daemon, connect(daemon) as client:
        wait_log(daemon, "cannot be read: .*nothing will be written")
        assert owners(client) == {"default": None, "own": "config"}
        daemon.stop()
    assert file.is_dir()
