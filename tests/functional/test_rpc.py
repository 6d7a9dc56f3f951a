# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""The methods of the control socket, good and refused."""

import time

import pytest

from vmq_test import daemon, rpc
from vmq_test.rpc import Client, Refused

MAC = "52:54:00:00:00:%02x"


def adapter(name="a", number=0, **more):
    return {"name": name, "device": f"net_null{number}",
            "default_queue": {"backend": {"type": "sink"}}, **more}


def queue(number, **more):
    return {"name": f"q{number}", "vm": f"vm{number}", "memory": {"buffers": 64, "limit": 256},
            "filters": [{"mac": MAC % number}], "backend": {"type": "sink"}, **more}


def make_document(n=2, control=None, memory_mb=200, adapters=None):
    doc = daemon.document(adapters or [adapter()], [queue(number + 1) for number in range(n)],
                          memory_mb=memory_mb)
    if control is not None:
        doc["control"] = control
    return doc


@pytest.fixture(scope="module")
def vmqd(tmp_path_factory):
    """One daemon for the tests that leave it as they found it."""
    with daemon.Vmqd(make_document(), tmp_path_factory.mktemp("rpc")) as running:
        with Client(rpc.socket_path(running.doc)):
            pass
        yield running
        assert running.process.poll() is None, running.explain("it has ended")


@pytest.fixture
def client(vmqd):
    with Client(rpc.socket_path(vmqd.doc)) as one:
        yield one


def refused(client, status, method, words="", **params):
    with pytest.raises(Refused) as caught:
        client.call(method, **params)
    assert caught.value.status == status, caught.value
    assert words in caught.value.message, caught.value
    assert caught.value.data["reason"] or status == "INVALID_PARAMETER"
    return caught.value


def test_version_says_who_runs_and_who_asks(client, vmqd):
    version = client.call("version")
    assert version["pid"] == vmqd.pid
    assert version["version"] == (daemon.TOP / "VERSION").read_text(encoding="ascii").strip()
    assert version["dpdk"].startswith("DPDK ")
    assert version["owner"] == "admin" and version["administrator"] is True


def test_methods_describe_themselves_and_are_what_there_is(client):
    methods = {one["name"]: one for one in client.call("methods")["methods"]}
    for name in ("oid", "oid.list", "methods", "version", "shutdown", "queue.list", "queue.show",
                 "queue.allocate", "queue.free", "queue.set", "filter.list", "filter.set",
                 "filter.clear", "filter.move", "memory.show", "memory.grow", "memory.shrink",
                 "adapter.list", "adapter.show", "adapter.capabilities", "stats", "drops",
                 "workers", "subscribe", "unsubscribe"):
        assert name in methods
    for one in methods.values():
        assert one["help"] and one["result"], one
        for param in one["params"]:
            assert param["help"] and param["type"] and param["name"], one
        # A parameter that is required is missed, and one that there is not is refused.
        if any(param["required"] for param in one["params"]):
            with pytest.raises(Refused) as caught:
                client.call(one["name"], {})
            assert caught.value.code == -32602 and "is missing" in caught.value.message
        if one["name"] in ("queue.set", "shutdown"):
            continue
        with pytest.raises(Refused) as caught:
            client.call(one["name"], {"no_such_parameter": 1})
        assert caught.value.code == -32602, one["name"]
        assert caught.value.data["pointer"] == "/no_such_parameter"


@pytest.mark.parametrize("value, words", [
    ([], "must be"), ({}, "must be"), (1.5, "must be"),
    (True, "must be"), (None, "must be")])
def test_a_parameter_of_the_wrong_type_is_named(client, value, words):
    with pytest.raises(Refused) as caught:
        client.call("queue.show", {"queue": value})
    assert caught.value.code == -32602 and words in caught.value.message
    assert caught.value.data["pointer"] == "/queue"


def test_parameters_may_come_by_position(client):
    assert client.call("queue.show", ["q1"])["id"] == 1
    assert client.call("queue.show", [1, "a"])["id"] == 1
    with pytest.raises(Refused) as caught:
        client.call("queue.show", [1, "a", 3])
    assert caught.value.code == -32602


def test_queues_are_listed_and_shown_in_the_words_of_the_document(client):
    queues = client.call("queue.list")["queues"]
    assert [one["name"] for one in queues] == ["default", "q1", "q2"]
    shown = client.call("queue.show", queue="q1")
    assert shown["id"] == 1 and shown["vm"] == "vm1" and shown["owner"] == "config"
    assert shown["state"] == "Running" and shown["operational_state"] == "Running"
    assert shown["memory"]["buffers"] == 64 and shown["memory"]["limit"] == 256
    assert shown["filters"] == [{"id": 1, "mac": MAC % 1, "vlan": "any"}]
    assert shown["backend"]["type"] == "sink"
    assert shown["buffers"]["populated"] == 64
    assert client.call("queue.show", queue=1) == shown
    default = client.call("queue.show", queue=0)
    assert default["name"] == "default" and default["owner"] is None
    refused(client, "INVALID_PARAMETER", "queue.show", "no queue", queue="q9")
    refused(client, "INVALID_PARAMETER", "queue.show", "no queue", queue=9)
    refused(client, "INVALID_PARAMETER", "queue.show", "no queue", queue=-1)
    refused(client, "INVALID_PARAMETER", "queue.show", "no queue", queue=65536)
    refused(client, "INVALID_PARAMETER", "queue.show", "no adapter", queue=1, adapter="b")


def test_a_queue_is_allocated_changed_and_freed(client):
    shown = client.call("queue.allocate", queue=queue(9, affinity=[daemon.cpus()[1]]))
    assert shown["state"] == "Running" and shown["owner"] == "admin"
    assert shown["filters"][0]["mac"] == MAC % 9 and shown["buffers"]["populated"] == 64
    assert shown["affinity"] == [daemon.cpus()[1]]
    refused(client, "INVALID_PARAMETER", "queue.allocate", "q9 already", queue=queue(9))

    changed = client.call("queue.set", queue="q9", name="nine", memory={"buffers": 128})
    assert changed["name"] == "nine" and changed["memory"]["buffers"] == 128
    assert changed["id"] == shown["id"]
    assert client.call("queue.set", queue="nine", name="nine") == changed
    refused(client, "INVALID_PARAMETER", "queue.set", "already", queue="nine", name="q1")
    refused(client, "INVALID_PARAMETER", "queue.set", "nothing is to change", queue="nine")
    refused(client, "INVALID_PARAMETER", "queue.set", "unknown key", queue="nine", colour=1)
    refused(client, "NOT_SUPPORTED", "queue.set", "settled", queue="nine", vm="other")
    refused(client, "NOT_SUPPORTED", "queue.set", "memory.limit", queue="nine",
            memory={"limit": 512})
    refused(client, "NOT_SUPPORTED", "queue.set", "backend.type", queue="nine",
            backend={"type": "pcap", "file": "/tmp/x.pcap"})
    refused(client, "INVALID_PARAMETER", "queue.set", "no worker", queue="nine", affinity=[1000])
    refused(client, "NOT_ACCEPTED", "queue.set", "document", queue=0, name="x")

    freed = client.call("queue.free", queue="nine")
    assert freed["id"] == shown["id"] and freed["filters_cleared"] == 1
    refused(client, "INVALID_PARAMETER", "queue.free", "no queue", queue="nine")
    refused(client, "INVALID_PARAMETER", "queue.free", "default queue", queue=0)


def test_a_queue_that_cannot_be_had_leaves_nothing_behind(client):
    before = client.call("queue.list"), client.call("stats")["queues"][0]["buffers"]["bytes"]
    # A filter that another queue has, after one that nobody has.
    error = refused(client, "INVALID_PARAMETER", "queue.allocate", "filter",
                    queue=queue(8, filters=[{"mac": MAC % 8}, {"mac": MAC % 1}]))
    assert "1" in error.message
    # More memory than there is.
    refused(client, "RESOURCES", "queue.allocate",
            queue=queue(8, memory={"buffers": 1 << 22}))
    # A backend that does not open.
    refused(client, "FAILURE", "queue.allocate",
            queue=queue(8, backend={"type": "pcap", "file": "/no/such/folder/x.pcap"}))
    assert (client.call("queue.list"),
            client.call("stats")["queues"][0]["buffers"]["bytes"]) == before
    # And what they wanted can be had.
    client.call("queue.allocate", queue=queue(8))
    client.call("queue.free", queue="q8")


def test_all_that_is_wrong_with_a_queue_is_said_with_its_place(client):
    bad = queue(7, memory={"buffers": 0}, filters=[{"mac": "x"}], colour="red")
    with pytest.raises(Refused) as caught:
        client.call("queue.allocate", queue=bad)
    findings = {one["pointer"]: one["message"] for one in caught.value.data["findings"]}
    assert set(findings) == {"/queue/memory/buffers", "/queue/filters/0/mac", "/queue/colour"}
    assert caught.value.data["pointer"] in findings
    for missing in ("name", "vm", "backend"):
        one = queue(7)
        del one[missing]
        error = refused(client, "INVALID_PARAMETER", "queue.allocate", f'"{missing}" is missing',
                        queue=one)
        assert error.data["pointer"] == "/queue"


def test_filters_are_set_listed_moved_and_cleared(client):
    for name in (5, 6):
        client.call("queue.allocate", queue=queue(name, filters=[]))
    assert client.call("queue.show", queue="q5")["state"] == "Paused"
    number = client.call("filter.set", queue="q5", filter={"mac": MAC % 5, "vlan": 7})["filter"]
    listed = client.call("filter.list", queue="q5")["filters"]
    assert listed == [{"id": number, "mac": MAC % 5, "vlan": 7, "adapter": "a",
                       "queue": listed[0]["queue"], "name": "q5", "owner": "admin"}]
    assert client.call("queue.show", queue="q5")["state"] == "Running"
    other = client.call("filter.set", queue="q6", filter={"vlan": 9})["filter"]
    moved = client.call("filter.move", filter=number, to="q6")
    assert moved["from"] == listed[0]["queue"]
    assert client.call("queue.show", queue="q5")["state"] == "Paused"
    assert len(client.call("filter.list", queue="q6")["filters"]) == 2
    assert {one["id"] for one in client.call("filter.list")["filters"]} >= {1, 2, number, other}
    client.call("filter.clear", filter=number)
    refused(client, "FILE_NOT_FOUND", "filter.clear", str(number), filter=number)
    refused(client, "FILE_NOT_FOUND", "filter.move", str(number), filter=number, to="q6")
    refused(client, "INVALID_PARAMETER", "filter.set", f"{other}", queue="q5",
            filter={"vlan": 9})
    for bad in ({}, {"mac": "x"}, {"mac": 1}, {"vlan": 0}, {"vlan": 4095}, {"vlan": "none"},
                {"mac": MAC % 5, "port": 1}, {"vlan": "untagged"}, {"mac": "01:00:00:00:00:01"},
                {"mac": "00:00:00:00:00:00"}, {"mac": "ff:ff:ff:ff:ff:ff", "vlan": 3}):
        refused(client, "INVALID_PARAMETER", "filter.set", queue="q5", filter=bad)
    refused(client, "INVALID_PARAMETER", "filter.clear", "must be from 1", filter=0)
    refused(client, "INVALID_PARAMETER", "filter.clear", "must be from 1", filter=1 << 32)
    for name in (5, 6):
        client.call("queue.free", queue=f"q{name}")


def test_the_documents_queues_are_configs_and_an_administrator_can_act_as_it(client):
    number = client.call("filter.list", queue="q1")["filters"][0]["id"]
    refused(client, "NOT_ACCEPTED", "queue.free", "config", queue="q1")
    refused(client, "NOT_ACCEPTED", "filter.clear", "config", filter=number)
    refused(client, "NOT_ACCEPTED", "filter.set", "config", queue="q1", filter={"vlan": 5})
    refused(client, "NOT_ACCEPTED", "memory.grow", "config", queue="q1", buffers=64)
    refused(client, "INVALID_PARAMETER", "queue.free", "owner", queue="q1", **{"as": "nobody"})
    # What it may not do it has not done by half: the filter is there still.
    assert client.call("filter.list", queue="q1")["filters"][0]["id"] == number
    added = client.call("filter.set", queue="q1", filter={"vlan": 5}, **{"as": "config"})
    client.call("filter.clear", filter=added["filter"], **{"as": "config"})
    assert [one["name"] for one in client.call("queue.list", **{"as": "config"})["queues"]] == [
        "q1", "q2"]


def test_memory_grows_and_shrinks_by_request(client):
    doc_queue = queue(4, memory={"buffers": 64, "limit": 192,
                                 "growth": {"low": 0, "step": 64, "high": 1000000}})
    client.call("queue.allocate", queue=doc_queue)
    grown = client.call("memory.grow", queue="q4", buffers=64)
    assert grown["added"] == 64 and grown["buffers"]["populated"] == 128
    refused(client, "INVALID_PARAMETER", "memory.grow", "limit", queue="q4", buffers=65)
    refused(client, "INVALID_PARAMETER", "memory.grow", "must be from 1", queue="q4", buffers=0)
    shown = client.call("memory.show", queue="q4")
    assert [one["name"] for one in shown["queues"]] == ["q4"]
    assert shown["queues"][0]["buffers"]["blocks"] == 2 and shown["bytes"] > 0
    client.call("subscribe", types=["MEMORY_RETURNED"])
    assert client.call("memory.shrink", queue="q4") == {"status": "PENDING"}
    told = client.notification()["params"]
    assert told["type"] == "MEMORY_RETURNED" and told["buffers"] == 64 and told["name"] == "q4"
    client.call("unsubscribe")
    refused(client, "NOT_ACCEPTED", "memory.shrink", "first block", queue="q4")
    client.call("queue.free", queue="q4")
    everything = client.call("memory.show")
    assert {one["name"] for one in everything["queues"]} == {"default", "q1", "q2"}


def test_adapters_workers_and_drops(client):
    listed = client.call("adapter.list")["adapters"]
    assert [one["name"] for one in listed] == ["a"]
    one = client.call("adapter.show", adapter="a")
    assert one["queues"] == 2 and one["device"] == "net_null0" and one["halted"] is False
    capabilities = client.call("adapter.capabilities")
    assert capabilities["current"]["supported_filter_tests"] == ["EQUAL"]
    assert "num_queues" in capabilities["hardware"]
    workers = client.call("workers")["workers"]
    assert workers[0]["cpu"] == daemon.cpus()[1] and workers[0]["queues"] == 3
    drops = client.call("drops", queue="q1")
    assert [one["name"] for one in drops["queues"]] == ["q1"]
    named = {one["name"]: one["help"] for one in drops["reasons"]
             if one["direction"] == "to_vm"}
    assert set(drops["queues"][0]["drops"]) == set(named) and all(named.values())
    refused(client, "INVALID_PARAMETER", "adapter.show", "no adapter", adapter="x")


def test_statistics_have_what_the_file_has(client, vmqd):
    def shape(value):
        if isinstance(value, dict):
            return {key: shape(inner) for key, inner in value.items()}
        return [shape(value[0])] if isinstance(value, list) and value else None

    stats = client.call("stats")
    vmqd.wait_running()
    assert shape(stats) == shape(vmqd.last())
    assert stats["total"]["received"] > 0
    # Rates are those of the last interval.
    end = time.monotonic() + daemon.START_SECONDS
    while client.call("stats")["queues"][0]["mpps"] == 0:
        assert time.monotonic() < end, vmqd.explain("no rates")
        time.sleep(0.05)


def test_subscribers_are_told_in_order(vmqd, client):
    with Client(rpc.socket_path(vmqd.doc)) as other:
        first = client.call("subscribe")["sequence"]["a"]
        other.call("queue.allocate", queue=queue(3))
        other.call("queue.set", queue="q3", name="three")
        other.call("queue.free", queue="three")
        seen = []
        while not (seen and seen[-1].get("state") == "Undefined"):
            seen.append(client.notification()["params"])
        assert [one["sequence"] for one in seen] == list(
            range(first + 1, first + 1 + len(seen)))
        states = [one["state"] for one in seen if one["type"] == "RECEIVE_QUEUE_STATE"]
        assert states == ["Allocated", "Set", "Running", "Paused", "DmaStopped", "Freeing",
                          "Undefined"]
        changed = [one for one in seen if one["type"] == "RECEIVE_FILTER_QUEUE_PARAMETERS"]
        assert [one["changed"] for one in changed] == [["name"]]
        assert client.call("unsubscribe") == {"subscribed": True}
        assert client.call("unsubscribe") == {"subscribed": False}
        other.call("queue.allocate", queue=queue(3))
        other.call("queue.free", queue="q3")
        client.call("version")
        assert client.notifications == []
        with pytest.raises(Refused):
            client.call("subscribe", types=["NO_SUCH"])


def test_a_subscriber_that_does_not_read_is_told_what_it_missed(tmp_path):
    doc = make_document(1, {"limits": {"output_kb": 64}})
    with daemon.Vmqd(doc, tmp_path / "d") as running, \
            Client(rpc.socket_path(doc)) as slow, Client(rpc.socket_path(doc)) as busy:
        first = slow.call("subscribe")["sequence"]["a"]
        # The kernel's buffer, then the 64 KiB of backlog; each turn makes two indications.
        number = busy.call("queue.allocate", queue=queue(2, filters=[]))["id"]
        for _ in range(2500):
            made = busy.call("filter.set", queue=number, filter={"vlan": 100})["filter"]
            busy.call("filter.clear", filter=made)
        last = busy.call("adapter.show")["last_indication"]
        next_one = first + 1
        missed = 0
        while next_one <= last:
            told = slow.notification()["params"]
            if "missed" in told:
                assert told["from"] == next_one and told["to"] >= told["from"]
                assert told["missed"] == told["to"] - told["from"] + 1
                missed += told["missed"]
                next_one = told["to"] + 1
            else:
                assert told["sequence"] == next_one
                next_one += 1
        assert missed > 0, "everything went into the buffers: the test asks too little"
        running.stop()


def test_shutdown_answers_and_stops_in_order(tmp_path):
    doc = make_document(1)
    with daemon.Vmqd(doc, tmp_path / "d") as running:
        with Client(rpc.socket_path(doc)) as client:
            assert client.call("shutdown") == {"stopping": True}
            assert client.read() is None
        assert running.end() == 0, running.explain("status")
        running.final()
        assert not rpc.socket_path(doc).exists()


def test_a_pending_request_is_answered_when_the_daemon_stops(tmp_path):
    """A queue that is being freed when the signal comes: its client hears the end."""
    doc = make_document(1)
    with daemon.Vmqd(doc, tmp_path / "d") as running:
        with Client(rpc.socket_path(doc)) as client:
            client.call("queue.allocate", queue=queue(2))
            for _ in range(20):
                client.begin("queue.free", queue="q2")
            client.send({"jsonrpc": "2.0", "id": "stop", "method": "shutdown"})
            answers = []
            while (answer := client.read()) is not None:
                answers.append(answer)
            assert len(answers) == 21
            done = [one for one in answers if "result" in one]
            assert len(done) >= 1
        assert running.end() == 0, running.explain("status")


def test_a_thousand_requests_a_second_beside_traffic_lose_nothing(tmp_path):
    """Traffic that is carried without loss is carried without loss beside 1,000 requests/s."""
    doc = make_document(8)
    with daemon.Vmqd(doc, tmp_path / "d", interval=0.2) as running, \
            Client(rpc.socket_path(doc)) as client:
        running.wait_running()
        started = time.monotonic()
        methods = ("version", "queue.list", "stats", "filter.list", "workers")
        for turn in range(3000):
            client.begin(methods[turn % len(methods)])
            if turn % 50 == 49:
                for number in range(client.number - 49, client.number + 1):
                    client.end(number)
            ahead = turn / 1000 - (time.monotonic() - started)
            if ahead > 0:
                time.sleep(ahead)
        final = running.stop()
        assert final["total"]["dropped"] == 0, final["total"]
        for one in final["adapters"]:
            assert one["nic"]["missed"] == 0 and one["nic"]["no_buffer"] == 0
