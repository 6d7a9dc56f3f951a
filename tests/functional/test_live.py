# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""The document of a daemon that runs: plan, apply, save, diff, SIGHUP."""

import copy
import json
import os
import re
import signal
import time

import pytest

from vmq_test import pcap, rpc
from vmq_test.daemon import Vmqd, document

MEMORY = {"buffers": 64, "limit": 128, "buffer_size": 512}


def mac(n):
    return f"52:54:00:00:{n >> 8:02x}:{n & 0xff:02x}"


def queue(name, *filters, **more):
    return {"name": name, "vm": f"vm-{name}", "memory": MEMORY,
            "filters": [one if isinstance(one, dict) else {"mac": mac(one)} for one in filters],
            "backend": {"type": "sink"}, **more}


def make_document(tmp_path, *queues, frames=(), **eal):
    """One adapter that repeats these frames for ever, or receives nothing."""
    source = tmp_path / "source.pcap"
    pcap.write(source, frames)
    device = f"net_pcap0,rx_pcap={source}" + (",infinite_rx=1" if frames else "")
    return document([{"name": "nic", "device": device}], list(queues), **eal)


def with_queues(doc, *queues):
    doc = copy.deepcopy(doc)
    doc["queues"] = list(queues)
    return doc


def connect(daemon):
    return rpc.Client(rpc.socket_path(daemon.doc))


def kinds(plan):
    return [step["step"] for step in plan["steps"]]


def assert_identity(client, **how):
    """What is saved, applied, changes nothing, and saved again is the same bytes."""
    saved = client.call("config.save", **how)
    assert json.loads(saved["text"]) == saved["document"]
    assert client.call("config.plan", document=saved["document"])["steps"] == []
    applied = client.call("config.apply", document=saved["document"])
    assert applied["applied"] and applied["steps"] == []
    assert client.call("config.save", **how)["text"] == saved["text"]
    return saved


def running(client):
    return {one["name"]: one for one in client.call("stats")["queues"]}


def test_a_document_is_planned_and_applied(tmp_path):
    doc = make_document(tmp_path, queue("a", 1, 2), queue("b", 3))
    with Vmqd(doc, tmp_path / "vmqd") as daemon, connect(daemon) as client:
        assert client.call("config.plan")["steps"] == []
        assert client.call("config.diff")["differences"] == []
        assert_identity(client)
        new = with_queues(doc, queue("a", 1, {"mac": mac(2), "vlan": 5}), queue("c", 3),
                          queue("b", receive_only=True))
        counted = client.call("config.check", document=new)
        assert (counted["queues"], counted["filters"]) == (3, 3)
        plan = client.call("config.plan", document=new)
        assert plan["restart"] == 0
        assert all(step["how"] == "live" for step in plan["steps"])
        assert kinds(plan) == ["allocate", "allocate", "complete", "clear_filter", "move_filter",
                               "set_filter", "free", "wait"]
        assert [step["queue"] for step in plan["steps"] if step["interrupts"]] == ["b"]
        assert any("receive_only" in step.get("why", "") for step in plan["steps"])
        pointers = {one["pointer"] for one in
                    client.call("config.diff", document=new)["differences"]}
        assert pointers == {f"/queues/a/filters/{mac(2)} any vlan",
                            f"/queues/a/filters/{mac(2)} vlan 5", "/queues/b/receive_only",
                            f"/queues/b/filters/{mac(3)} any vlan", "/queues/c"}
        assert "c" not in running(client)  # a plan changes nothing
        result = client.call("config.apply", document=new)
        assert result["applied"] and result["waiting"] == 0
        assert running(client).keys() >= {"a", "b", "c"}
        assert client.call("config.plan", document=new)["steps"] == []
        saved = assert_identity(client)
        assert {one["name"] for one in saved["document"]["queues"]} == {"a", "b", "c"}
        # The file on disk is the old one still.
        assert client.call("config.apply")["applied"]
        assert "c" not in running(client)
        assert_identity(client)
        daemon.stop()


def test_a_document_without_cores_means_the_same_ones_while_it_runs(tmp_path):
    """EAL has bound the control thread to one CPU by then."""
    doc = make_document(tmp_path, queue("a", 1))
    del doc["eal"]["main_core"], doc["eal"]["workers"]
    with Vmqd(doc, tmp_path / "vmqd") as daemon, connect(daemon) as client:
        assert client.call("config.plan")["steps"] == []
        assert client.call("config.diff")["differences"] == []
        assert_identity(client)
        daemon.stop()


def test_a_saved_document_starts_a_daemon_that_saves_the_same(tmp_path):
    doc = make_document(tmp_path, queue("a", 1, {"vlan": 7}), queue("b"))
    doc["adapters"][0]["default_queue"] = {"filters": [{"mac": mac(9), "vlan": "untagged"}]}
    with Vmqd(doc, tmp_path / "vmqd") as daemon, connect(daemon) as client:
        client.call("config.apply", document=with_queues(doc, queue("z", 5), queue("a", 1)))
        saved = client.call("config.save")
        daemon.stop()
    with Vmqd(saved["document"], tmp_path / "again") as daemon, connect(daemon) as client:
        assert client.call("config.save")["text"] == saved["text"]
        assert_identity(client)
        daemon.stop()


def test_filters_move_under_traffic_without_a_packet_astray(tmp_path):
    frames = [bytes.fromhex(mac(n).replace(":", "")) + b"\x02" + bytes(5) + b"\x08\x00" + bytes(46)
              for n in range(8)]
    doc = make_document(tmp_path, queue("a", *range(8)), queue("b"), frames=frames)
    doc["adapters"][0]["default_queue"] = {"memory": {"buffers": 8192}}
    with Vmqd(doc, tmp_path / "vmqd") as daemon, connect(daemon) as client:
        daemon.wait(lambda now: running_of(now, "a")["delivered"] > 0, "packets flow")
        for turn in range(10):
            here, there = (0, 8) if turn % 2 else (8, 0)
            client.call("config.apply", document=with_queues(
                doc, queue("a", *range(here)), queue("b", *range(there))))
        # Nothing has gone to the default queue, and nothing was dropped.
        final = daemon.stop()
        assert running_of(final, "default")["received"] == 0
        for name in ("a", "b"):
            assert running_of(final, name)["received"] > 0
            assert running_of(final, name)["dropped"] == 0


def running_of(stats, name):
    return next(one for one in stats["queues"] if one["name"] == name)


def test_an_apply_that_fails_is_rolled_back(tmp_path):
    doc = make_document(tmp_path, queue("a", 1, 2), queue("b", 3))
    with Vmqd(doc, tmp_path / "vmqd") as daemon, connect(daemon) as client:
        before = client.call("config.save")["text"]
        bad = with_queues(
            doc, queue("c", 1), queue("a", 2, receive_only=True),
            queue("d", 4, backend={"type": "pcap", "file": str(tmp_path / "none" / "x.pcap")}))
        with pytest.raises(rpc.Refused) as refused:
            client.call("config.apply", document=bad)
        assert refused.value.status == "FAILURE"
        assert "all was rolled back" in refused.value.message
        assert "x.pcap" in refused.value.message
        assert refused.value.data["steps"]
        assert client.call("config.save")["text"] == before
        assert set(running(client)) == {"default", "a", "b"}
        # A document with errors, all of them told.
        worse = with_queues(doc, queue("a", 1, kepp_tags=1), queue("b", 1))
        for method in ("config.check", "config.plan", "config.apply", "config.diff"):
            with pytest.raises(rpc.Refused) as refused:
                client.call(method, document=worse)
            assert {one["pointer"] for one in refused.value.data["findings"]} == {
                "/queues/0/kepp_tags", "/queues/1/filters/0"}
        assert client.call("config.save")["text"] == before
        daemon.stop()


def test_an_apply_that_fails_at_each_queue_in_turn_is_not_felt_by_traffic(tmp_path):
    frames = [bytes.fromhex(mac(n).replace(":", "")) + b"\x02" + bytes(5) + b"\x08\x00" + bytes(46)
              for n in range(4)]
    doc = make_document(tmp_path, queue("a", 0, 1), queue("b", 2, 3), frames=frames)
    doc["adapters"][0]["default_queue"] = {"memory": {"buffers": 8192}}
    with Vmqd(doc, tmp_path / "vmqd") as daemon, connect(daemon) as client:
        daemon.wait(lambda now: running_of(now, "b")["delivered"] > 0, "packets flow")
        before = client.call("config.save")["text"]
        for failing in range(5):
            more = [queue(f"new{n}", 100 + n) for n in range(5)]
            file = tmp_path / "none" / f"{failing}.pcap"
            more[failing]["backend"] = {"type": "pcap", "file": str(file)}
            # Other steps around it: a filter that moves, a queue that is changed in place.
            bad = with_queues(doc, queue("a", 0, priority=failing + 1), queue("b", 1, 2, 3), *more)
            with pytest.raises(rpc.Refused) as refused:
                client.call("config.apply", document=bad)
            assert "all was rolled back" in refused.value.message
            assert file.name in refused.value.message
            assert client.call("config.save")["text"] == before
            assert set(running(client)) == {"default", "a", "b"}
        final = daemon.stop()
        assert running_of(final, "default")["received"] == 0
        for name in ("a", "b"):
            assert running_of(final, name)["received"] > 0
            assert running_of(final, name)["dropped"] == 0


def test_what_needs_a_restart_is_refused_unless_it_is_left_out(tmp_path):
    doc = make_document(tmp_path, queue("a", 1))
    with Vmqd(doc, tmp_path / "vmqd") as daemon, connect(daemon) as client:
        new = with_queues(doc, queue("b", 1))
        new["adapters"][0]["mtu"] = 2000
        new["eal"]["memory_mb"] = 600
        plan = client.call("config.plan", document=new)
        assert plan["restart"] == 2
        assert [step["pointer"] for step in plan["steps"] if step["how"] == "restart"] == [
            "/eal/memory_mb", "/adapters/0/mtu"]
        with pytest.raises(rpc.Refused) as refused:
            client.call("config.apply", document=new)
        assert refused.value.status == "NOT_ACCEPTED"
        assert "nothing was done" in refused.value.message
        assert set(running(client)) == {"default", "a"}
        assert client.call("config.apply", document=new, skip_restart=True)["restart"] == 2
        assert set(running(client)) == {"default", "b"}
        saved = assert_identity(client)
        assert "mtu" not in saved["document"]["adapters"][0]  # it runs without
        daemon.stop()


def wait_log(daemon, pattern, seconds=60):
    end = time.monotonic() + seconds
    while not re.search(pattern, daemon.stderr()):
        assert time.monotonic() < end, daemon.explain(f"no {pattern} in the log")
        time.sleep(0.02)


def test_sighup_applies_the_document_on_disk(tmp_path):
    doc = make_document(tmp_path, queue("a", 1))
    with Vmqd(doc, tmp_path / "vmqd") as daemon, connect(daemon) as client:
        daemon.conf.write_text(json.dumps(with_queues(doc, queue("a"), queue("b", 1))))
        daemon.process.send_signal(signal.SIGHUP)
        wait_log(daemon, r"apply for SIGHUP: done, 3 steps")
        assert set(running(client)) == {"default", "a", "b"}
        assert_identity(client)
        # Errors: each is said, and nothing changes.
        before = client.call("config.save")["text"]
        daemon.conf.write_text(json.dumps(with_queues(doc, queue("a", keep_tag=True))))
        daemon.process.send_signal(signal.SIGHUP)
        wait_log(daemon, r"error at /queues/0/keep_tag: unknown key(.|\n)*nothing was done")
        # One that cannot be had: rolled back.
        daemon.conf.write_text(json.dumps(with_queues(
            doc, queue("a", backend={"type": "pcap", "file": "/nowhere/x.pcap"}))))
        daemon.process.send_signal(signal.SIGHUP)
        wait_log(daemon, r"apply for SIGHUP: step \d+ of \d+.*all was rolled back")
        daemon.conf.unlink()
        daemon.process.send_signal(signal.SIGHUP)
        wait_log(daemon, r"cannot be opened: No such file")
        assert client.call("config.save")["text"] == before
        daemon.stop()


def test_a_second_apply_is_refused_and_a_client_that_dies_changes_nothing(tmp_path):
    doc = make_document(tmp_path, queue("a", 1))
    many = with_queues(doc, *(queue(f"q{n}", n, memory={**MEMORY, "limit": 64})
                              for n in range(100)))
    with Vmqd(doc, tmp_path / "vmqd") as daemon, connect(daemon) as client:
        first, second = client.begin("config.apply", document=many), client.begin("config.apply")
        with pytest.raises(rpc.Refused) as refused:
            client.end(second)
        assert refused.value.status == "NOT_ACCEPTED"
        assert f"pid {os.getpid()}" in refused.value.message
        assert client.end(first)["applied"]
        assert len(running(client)) == 101
        # One that is gone before the answer: the apply ends all the same.
        with connect(daemon) as dying:
            dying.begin("config.apply", document=doc)
        end = time.monotonic() + 60
        while set(running(client)) != {"default", "a"}:
            assert time.monotonic() < end, daemon.explain("the apply has not ended")
            time.sleep(0.02)
        wait_log(daemon, r"apply for .*: done(.|\n)*apply for .*: done")
        assert_identity(client)
        daemon.stop()


def test_a_daemon_ends_in_the_middle_of_an_apply(tmp_path):
    doc = make_document(tmp_path, queue("a", 1))
    many = with_queues(doc, *(queue(f"q{n}", n) for n in range(100)))
    with Vmqd(doc, tmp_path / "vmqd") as daemon, connect(daemon) as client:
        client.begin("config.apply", document=many)
        daemon.stop()


def test_256_queues_come_and_go_in_one_apply(tmp_path):
    doc = make_document(tmp_path)
    many = with_queues(doc, *(queue(f"q{n}", 2 * n, 2 * n + 1, memory={**MEMORY, "limit": 64})
                              for n in range(256)))
    with Vmqd(doc, tmp_path / "vmqd") as daemon, connect(daemon) as client:
        result = client.call("config.apply", document=many)
        assert kinds(result).count("complete") == 1
        assert len(result["steps"]) == 256 + 1 + 512
        assert all(one["state"] == "Running" for one in running(client).values())
        assert_identity(client)
        client.call("config.apply", document=doc)
        assert set(running(client)) == {"default"}
        daemon.stop()
