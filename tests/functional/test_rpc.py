# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""The methods of the control socket, good and refused."""

import pathlib
import socket
import tempfile
import threading
import time

import pytest

from vmq_test import daemon, netns, rpc, vhost_guest
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
    refused(client, "NOT_SUPPORTED", "queue.set", "settled", queue="nine",
            receive_only=True)
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


LIVE = {
    "name": "ten", "vm": "another", "affinity": [daemon.cpus()[1]], "priority": 7,
    "keep_tags": True, "anti_spoof": False, "broadcast": True,
    "rate": {"to_vm": {"mbps": 100, "burst_kb": 64}, "from_vm": {"mbps": 50, "burst_kb": 32}},
    "memory": {"buffers": 32, "min_buffers": 16, "growth": {"low": 8, "high": 200, "step": 16,
                                                            "hold_ms": 5000}}}


def test_what_an_apply_changes_in_place_a_queue_takes_over_the_socket_too(client):
    """One by one, and all at once; the queue stays, and subscribers are told."""
    def has(shown, wanted):
        return all(has(shown[key], value) if isinstance(value, dict) else shown[key] == value
                   for key, value in wanted.items())

    shown = client.call("queue.allocate", queue=queue(10))
    client.call("subscribe", types=["RECEIVE_FILTER_QUEUE_PARAMETERS"])
    for key, value in LIVE.items():
        changed = client.call("queue.set", queue=shown["id"], **{key: value})
        assert has(changed, {key: value}), (key, changed)
        assert changed["id"] == shown["id"]
    told = [client.notification()["params"]["changed"] for key in LIVE if key != "affinity"]
    assert told == [["name"], ["vm"], ["priority"], ["options"], ["options"], ["options"],
                    ["rate"], ["buffers", "growth"]], told
    client.call("unsubscribe")
    client.call("queue.set", queue="ten", name="q10", vm="vm10", priority=0, keep_tags=False)
    assert has(client.call("queue.set", queue="q10", **LIVE), LIVE)
    refused(client, "INVALID_PARAMETER", "queue.set", "priority", queue="ten", priority=256)
    refused(client, "INVALID_PARAMETER", "queue.set", "min_buffers", queue="ten",
            memory={"min_buffers": 64})
    client.call("queue.free", queue="ten")


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
    was_set = client.call("filter.set", queue="q5", filter={"mac": MAC % 5, "vlan": 7})
    number = was_set["filter"]
    assert was_set["how"] == "software" and "the adapter steers in software" in was_set["detail"]
    listed = client.call("filter.list", queue="q5")["filters"]
    assert listed == [{"id": number, "mac": MAC % 5, "vlan": 7, "adapter": "a",
                       "queue": listed[0]["queue"], "name": "q5", "owner": "admin",
                       "how": "software", "detail": was_set["detail"]}]
    assert client.call("queue.show", queue="q5")["state"] == "Running"
    other = client.call("filter.set", queue="q6", filter={"vlan": 9})["filter"]
    moved = client.call("filter.move", filter=number, to="q6")
    assert moved["from"] == listed[0]["queue"]
    assert moved["how"] == "software" and "the NIC has no part" in moved["detail"]
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


def test_a_port_that_cannot_steer_says_why(client):
    steering = client.call("adapter.capabilities")["steering"]
    assert steering["chosen"] == "software" and steering["hardware_queues"] == 0
    assert steering["kinds"]["vmdq"]["why_not"] and steering["kinds"]["flow"]["why_not"]
    assert client.call("adapter.show")["steering"] == steering
    shown = client.call("queue.show", queue="q1")
    assert shown["steering"] == "software"
    assert "the adapter steers in software" in shown["steering_reason"]
    for method in ("queue.promote", "queue.demote"):
        refused(client, "NOT_ACCEPTED", method, "config", queue="q1")
    client.call("queue.allocate", queue=queue(4))
    refused(client, "NOT_SUPPORTED", "queue.promote", "the adapter steers in software", queue="q4")
    refused(client, "NOT_ACCEPTED", "queue.demote", "in software already", queue="q4")
    client.call("queue.free", queue="q4")
    refused(client, "NOT_SUPPORTED", "adapter.verify", "nothing to verify")
    refused(client, "INVALID_PARAMETER", "adapter.verify", "from 1 to 600", seconds=601)


def test_adapters_workers_and_drops(client):
    listed = client.call("adapter.list")["adapters"]
    assert [one["name"] for one in listed] == ["a"]
    one = client.call("adapter.show", adapter="a")
    assert one["queues"] == 2 and one["device"] == "net_null0" and one["halted"] is False
    capabilities = client.call("adapter.capabilities")
    assert capabilities["current"]["supported_filter_tests"] == ["EQUAL"]
    assert capabilities["hardware"]["num_queues"] == 0
    assert capabilities["port"]["driver"] == "net_null"
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


def test_vms_and_links_that_come_and_go_are_told(space):
    with tempfile.TemporaryDirectory(prefix="vmqtest-") as folder:  # a socket's path is short
        doc = make_document(0, adapters=[adapter(device="net_tap0,iface=in0")])
        doc["queues"] = [queue(1, backend={"type": "vhost-user", "mode": "server",
                                           "socket": f"{folder}/vm.sock"})]
        with daemon.Vmqd(doc, pathlib.Path(folder) / "d", wrap=space.wrap("taps")) as running, \
                Client(rpc.socket_path(doc)) as client:
            client.call("subscribe", types=["BACKEND_UP", "BACKEND_DOWN", "LINK_UP", "LINK_DOWN"])

            def told(kind):
                """The next one of backends, or of links: they come in their own order."""
                while True:
                    params = client.notification()["params"]
                    if params["type"].startswith(kind):
                        return params

            guest = vhost_guest.Guest(f"{folder}/vm.sock")
            guest.up()
            up = told("BACKEND")
            assert up["type"] == "BACKEND_UP" and up["name"] == "q1", up
            assert client.call("queue.show", queue="q1")["backend"]["link"]["up"] is True
            guest.disconnect()
            assert told("BACKEND")["type"] == "BACKEND_DOWN"
            netns.call("ip", "link", "set", "in0", "down")
            assert told("LINK")["type"] == "LINK_DOWN"
            netns.call("ip", "link", "set", "in0", "up")
            assert told("LINK")["type"] == "LINK_UP"
            running.stop()


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


class Load(threading.Thread):
    """Frames from the kernel into a tap, some each millisecond: a ring that may run over."""

    def __init__(self, tap, mac, frames, per_second):
        super().__init__(daemon=True)
        self.frame = bytes.fromhex(mac.replace(":", "")) + b"\x02" + bytes(5) + b"\x08\x00" + bytes(46)
        self.tap, self.frames, self.per_second = tap, frames, per_second
        self.sent = 0

    def run(self):
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
            out.bind((self.tap, 0))
            began = time.monotonic()
            while self.sent < self.frames:
                due = min(self.frames, int((time.monotonic() - began) * self.per_second))
                for _ in range(due - self.sent):
                    out.send(self.frame)
                self.sent = due
                time.sleep(0.001)


def ask(client, requests, per_second):
    """So many requests, some of which change what workers look at."""
    methods = [("version", {}), ("queue.list", {}), ("filter.list", {}), ("workers", {}),
               ("queue.set", {"queue": "q2", "priority": 1, "as": "config"}),
               ("queue.set", {"queue": "q2", "priority": 2, "as": "config"}),
               ("filter.set", {"queue": "q2", "filter": {"mac": MAC % 99}, "as": "config"}),
               ("filter.clear", None), ("drops", {}), ("stats", {})]
    began = time.monotonic()
    filters = []
    for number in range(requests):
        method, params = methods[number % len(methods)]
        if params is None:
            params = {"filter": filters.pop(), "as": "config"}
        result = client.call(method, params)
        if method == "filter.set":
            filters.append(result["filter"])
        ahead = number / per_second - (time.monotonic() - began)
        if ahead > 0:
            time.sleep(ahead)


def test_a_thousand_requests_a_second_beside_a_load_lose_nothing(tmp_path, space):
    """What is carried without loss is carried without loss beside 1,000 requests a second."""
    doc = make_document(2, adapters=[adapter(device="net_tap0,iface=in0")])
    with daemon.Vmqd(doc, tmp_path / "d", interval=0.2, wrap=space.wrap("taps")) as running, \
            Client(rpc.socket_path(doc)) as client:
        running.wait_running()
        # A machine that is busy with other things may keep the worker away for a while.
        netns.call("ip", "link", "set", "in0", "txqueuelen", 10000)

        def carry(frames, requests):
            before = daemon.queues_by_name(running.last())["q1"]["delivered"]
            load = Load("in0", MAC % 1, frames, 2000)
            load.start()
            ask(client, requests, 1000)
            load.join()
            now = running.wait(lambda now: daemon.queues_by_name(now)["q1"]["delivered"] >=
                               before + frames, f"{frames} frames have arrived")
            assert daemon.queues_by_name(now)["q1"]["delivered"] == before + frames

        carry(2000, 0)
        carry(6000, 3000)
        final = running.stop()
        assert final["total"]["dropped"] == 0, final["total"]
        assert final["adapters"][0]["nic"]["missed"] == 0, final["adapters"]
        # What the tap had no room for its kernel side knows.
        assert daemon.queues_by_name(final)["q1"]["received"] == 8000
