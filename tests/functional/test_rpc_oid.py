# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""Typed requests over the socket: their structures, and the whole table of states."""

import os
import time

import pytest

from test_rpc import MAC, make_document
from test_stop import LEAK_PLUGIN
from vmq_test import daemon, rpc
from vmq_test.rpc import Client, Refused


@pytest.fixture(scope="module")
def vmqd(tmp_path_factory):
    with daemon.Vmqd(make_document(1), tmp_path_factory.mktemp("oid")) as running:
        yield running
        running.stop()


@pytest.fixture
def client(vmqd):
    with Client(rpc.socket_path(vmqd.doc)) as one:
        yield one


def oid(client, name, information=None, **more):
    params = {"oid": "RECEIVE_FILTER_" + name, **more}
    if information is not None:
        params["information"] = information
    return client.call("oid", params).get("information")


def refused(status, client, name, information=None, words="", **more):
    with pytest.raises(Refused) as caught:
        oid(client, name, information, **more)
    assert caught.value.status == status, caught.value
    assert words in caught.value.message, caught.value
    return caught.value


def test_every_oid_is_listed_with_its_structures(client):
    listed = client.call("oid.list")
    assert client.call("oid") == listed
    structures = {one["name"]: one for one in listed["structures"]}
    numbers = {one["name"]: one["number"] for one in listed["oids"]}
    assert numbers["RECEIVE_FILTER_HARDWARE_CAPABILITIES"] == 0x10221
    assert numbers["RECEIVE_FILTER_MOVE_FILTER"] == 0x10230
    assert len(numbers) == 13
    for one in listed["oids"]:
        for request in one["requests"]:
            for way in ("input", "output"):
                assert request[way] is None or request[way] in structures
    # The descriptions leave no byte of a structure out, but for what is reserved.
    for name, one in structures.items():
        covered = {*range(4)}
        for field in one["fields"]:
            new = set(range(field["offset"], field["offset"] + field["size"]))
            assert not covered & new, f"{name}.{field['name']} overlaps"
            covered |= new
            assert field["help"]
            if "element" in field:
                assert field["element"] in structures
        left = set(range(one["sizes"][-1])) - covered
        assert len(left) <= 8, f"{name}: bytes {sorted(left)} are in no field"
        if left:
            assert name in ("field_parameters", "filter_info_array", "queue_parameters"), name


def test_an_oid_goes_by_name_with_or_without_prefix_and_by_number(client):
    results = [client.call("oid", {"oid": name})["information"] for name in (
        "RECEIVE_FILTER_CURRENT_CAPABILITIES", "OID_RECEIVE_FILTER_CURRENT_CAPABILITIES",
        0x1022D)]
    assert results[0] == results[1] == results[2]
    assert results[0]["supported_mac_fields"] == ["DESTINATION", "VLAN_ID"]
    assert oid(client, "GLOBAL_PARAMETERS")["enabled_queue_types"] == ["VM_QUEUE"]
    for bad in ("NO_SUCH", "", 0, -1, 1 << 40, 0x1022C):
        with pytest.raises(Refused) as caught:
            client.call("oid", {"oid": bad})
        assert caught.value.status == "NOT_SUPPORTED"


@pytest.mark.parametrize("name, information, pointer, words", [
    ("FREE_QUEUE", None, "/information", "needs"),
    ("FREE_QUEUE", {}, "/information/queue_id", "there"),
    ("FREE_QUEUE", {"queue_id": "x"}, "/information/queue_id", "integer"),
    ("FREE_QUEUE", {"queue_id": -1}, "/information/queue_id", "integer"),
    ("FREE_QUEUE", {"queue_id": 1 << 32}, "/information/queue_id", "integer"),
    ("FREE_QUEUE", {"queue_id": 1, "x": 1}, "/information/x", "no such field"),
    ("FREE_QUEUE", {"queue_id": 1, "revision": 2}, "/information/revision", "revision"),
    ("ALLOCATE_QUEUE", {"queue_name": "x" * 64}, "/information/queue_name", "at most 63"),
    ("ALLOCATE_QUEUE", {"processor": 1}, "/information/processor", "output only"),
    ("ALLOCATE_QUEUE", {"processor_affinity": 1}, "/information/processor_affinity", "list"),
    ("ALLOCATE_QUEUE", {"processor_affinity": [64]}, "/information/processor_affinity", "63"),
    ("ALLOCATE_QUEUE", {"flags": ["X"]}, "/information/flags", "PER_QUEUE_RECEIVE"),
    ("ALLOCATE_QUEUE", {"backend_type": "x"}, "/information/backend_type", '"sink"'),
    ("ALLOCATE_QUEUE", {"revision": 1, "buffer_size": 1}, "/information/buffer_size",
     "later revision"),
    ("SET_FILTER", {"queue_id": 1, "fields": [{"field": "DESTINATION", "value": "x"}]},
     "/information/fields/0/value", "address"),
    ("SET_FILTER", {"queue_id": 1, "fields": [{"value": 1}]}, "/information/fields/0/field",
     "there"),
    ("SET_FILTER", {"queue_id": 1, "fields": 1}, "/information/fields", "list"),
    ("SET_FILTER", {"queue_id": 1, "fields": [1]}, "/information/fields/0", "object"),
    ("ENUM_QUEUES", {}, "/information", "no input"),
])
def test_bad_information_is_refused_at_its_place(client, name, information, pointer, words):
    caught = refused("INVALID_PARAMETER", client, name, information, words)
    assert caught.data["pointer"] == pointer and caught.code == -32602


def test_a_type_must_be_one_that_there_is(client):
    refused("INVALID_PARAMETER", client, "QUEUE_PARAMETERS", {"queue_id": 1}, "which?")
    refused("INVALID_PARAMETER", client, "QUEUE_PARAMETERS", {"queue_id": 1}, "request type",
            type="get")
    refused("NOT_SUPPORTED", client, "FREE_QUEUE", {"queue_id": 1}, "query", type="query")


def test_what_the_lower_layer_refuses_keeps_its_status_and_its_words(client):
    refused("NOT_SUPPORTED", client, "ALLOCATE_QUEUE", {"queue_type": 2}, "VM queues only")
    refused("INVALID_PARAMETER", client, "ALLOCATE_QUEUE", {"lookahead_size": 1}, "lookahead")
    for test in ({"field": "DESTINATION", "test": "NOT_EQUAL", "value": MAC % 1},
                 {"field": "SOURCE", "value": MAC % 1},
                 {"field": "ETHERTYPE", "value": 0x800},
                 {"field": "PRIORITY", "value": 3},
                 {"field": "VLAN_ID", "test": "MASK_EQUAL", "value": 1, "result": 1}):
        refused("NOT_SUPPORTED", client, "SET_FILTER", {"queue_id": 0, "fields": [test]})
    refused("INVALID_PARAMETER", client, "SET_FILTER", {"queue_id": 0, "fields": []})
    error = refused("INVALID_PARAMETER", client, "QUEUE_ALLOCATION_COMPLETE",
                    {"queues": [{"queue_id": 77}, {"queue_id": 78}]})
    # Each queue of the batch is answered in its place.
    answered = error.data["information"]["queues"]
    assert [one["queue_id"] for one in answered] == [77, 78]
    assert all(one["status"] == "INVALID_PARAMETER" and one["reason"] for one in answered)


# The table of states (spec: Queue states). What is not here is refused.
TABLE = {
    "query": {"Allocated": "Allocated", "Set": "Set", "Running": "Running", "Paused": "Paused"},
    "set": {"Allocated": "Allocated", "Set": "Set", "Running": "Running", "Paused": "Paused"},
    "set filter": {"Allocated": "Set", "Set": "Set", "Running": "Running", "Paused": "Running"},
    "clear the last": {"Set": "Allocated", "Running": "Paused"},
    "clear one of two": {"Set": "Set", "Running": "Running"},
    "enum filters": {"Allocated": "Allocated", "Set": "Set", "Running": "Running",
                     "Paused": "Paused"},
    "filter parameters": {"Set": "Set", "Running": "Running"},
    "complete": {"Allocated": "Paused", "Set": "Running"},
    "free": {"Allocated": "Undefined", "Paused": "Undefined"},
}
STATES = ("Allocated", "Set", "Running", "Paused")


class Queue:
    """A queue that is brought into a state by requests."""

    def __init__(self, client, state=None):
        self.client = client
        self.filters = []
        self.id = oid(client, "ALLOCATE_QUEUE", {
            "revision": 1, "queue_name": "states", "vm_name": "vm", "processor_affinity": [0],
            "suggested_receive_buffers": 64})["queue_id"]
        if state in ("Set", "Running"):
            self.set_filter()
        if state in ("Running", "Paused"):
            self.complete()
        assert state is None or self.state() == state

    def state(self):
        for one in oid(self.client, "ENUM_QUEUES")["queues"]:
            if one["queue_id"] == self.id:
                return one["exact_state"]
        return "Undefined"

    def set_filter(self):
        answer = oid(self.client, "SET_FILTER", {
            "queue_id": self.id, "fields": [{"field": "VLAN_ID",
                                             "value": 200 + len(self.filters)}]})
        self.filters.append(answer["filter_id"])

    def complete(self):
        oid(self.client, "QUEUE_ALLOCATION_COMPLETE", {"queues": [{"queue_id": self.id}]})

    def query(self):
        answer = oid(self.client, "QUEUE_PARAMETERS", {"queue_id": self.id}, type="method")
        assert answer["queue_name"] == "states" and answer["vm_name"] == "vm"

    def set(self):
        oid(self.client, "QUEUE_PARAMETERS", {"queue_id": self.id, "flags": ["NAME_CHANGED"],
                                              "queue_name": "states"}, type="set")

    def clear(self):
        oid(self.client, "CLEAR_FILTER", {"filter_id": self.filters[-1]})
        self.filters.pop()

    def enum_filters(self):
        answer = oid(self.client, "ENUM_FILTERS", {"queue_id": self.id})
        assert [one["filter_id"] for one in answer["filters"]] == self.filters

    def filter_parameters(self):
        answer = oid(self.client, "PARAMETERS", {"filter_id": self.filters[0]})
        assert answer["queue_id"] == self.id
        assert answer["fields"][0]["field"] == "VLAN_ID" and answer["fields"][0]["value"] == 200

    def free(self):
        oid(self.client, "FREE_QUEUE", {"queue_id": self.id})

    def make(self, event):
        {"query": self.query, "set": self.set, "set filter": self.set_filter,
         "clear the last": self.clear, "clear one of two": self.clear,
         "enum filters": self.enum_filters, "filter parameters": self.filter_parameters,
         "complete": self.complete, "free": self.free}[event]()

    def remove(self):
        if self.state() == "Undefined":
            return
        while self.filters:
            self.clear()
        self.free()


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", TABLE)
def test_the_table_of_states(client, event, state):
    one = Queue(client, state)
    try:
        if event == "clear one of two" and one.filters:
            one.set_filter()
        if event in ("clear the last", "clear one of two", "filter parameters") and (
                not one.filters):
            # Without a filter there is none that could be named.
            assert state not in TABLE[event]
            refused("FILE_NOT_FOUND", client, "CLEAR_FILTER", {"filter_id": 1 << 30})
            refused("FILE_NOT_FOUND", client, "PARAMETERS", {"filter_id": 1 << 30})
            return
        if state in TABLE[event]:
            one.make(event)
            assert one.state() == TABLE[event][state]
            return
        before = oid(client, "ENUM_QUEUES"), list(one.filters)
        with pytest.raises(Refused) as caught:
            one.make(event)
        assert caught.value.status == "NOT_ACCEPTED", caught.value
        assert caught.value.code == -32006
        assert (oid(client, "ENUM_QUEUES"), one.filters) == before
    finally:
        one.remove()


def test_a_queue_that_there_is_not_is_an_invalid_parameter(client):
    """The state Undefined: the id names no queue."""
    for name, information, more in (
            ("QUEUE_PARAMETERS", {"queue_id": 99}, {"type": "method"}),
            ("QUEUE_PARAMETERS", {"queue_id": 99, "flags": ["NAME_CHANGED"]}, {"type": "set"}),
            ("SET_FILTER", {"queue_id": 99, "fields": [{"field": "VLAN_ID", "value": 3}]}, {}),
            ("ENUM_FILTERS", {"queue_id": 99}, {}),
            ("FREE_QUEUE", {"queue_id": 99}, {}),
            ("QUEUE_ALLOCATION_COMPLETE", {"queues": [{"queue_id": 99}]}, {}),
            ("MOVE_FILTER", {"filter_id": 1, "source_queue_id": 1, "destination_queue_id": 99},
             {"as": "config"})):
        refused("INVALID_PARAMETER", client, name, information, **more)


def test_a_queue_whose_packets_are_out_is_freeing_and_says_so(tmp_path, need):
    """Packets that never come home: FREE_QUEUE is pending, everything else refused."""
    need(LEAK_PLUGIN.exists(), f"{LEAK_PLUGIN} is missing: build the tests")
    doc = make_document(1)
    doc["eal"]["extra_args"] = ["-d", LEAK_PLUGIN.name]
    done = tmp_path / "taken"
    env = {**os.environ, "LD_LIBRARY_PATH": str(LEAK_PLUGIN.parent), "VMQ_LEAK_POOL": "vmq_a0_q2_rx", "VMQ_LEAK_COUNT": "3",
           "VMQ_LEAK_DONE": str(done)}
    with daemon.Vmqd(doc, tmp_path / "d", env=env) as running, \
            Client(rpc.socket_path(doc)) as client, Client(rpc.socket_path(doc)) as waiting:
        one = Queue(client, "Running")
        assert one.id == 2
        end = time.monotonic() + rpc.TIMEOUT
        while not done.exists():
            assert time.monotonic() < end, running.explain("the plugin has not taken any")
            time.sleep(0.01)
        one.clear()
        number = waiting.begin("oid", {"oid": "RECEIVE_FILTER_FREE_QUEUE",
                                       "information": {"queue_id": one.id}})
        while one.state() != "Freeing":
            assert time.monotonic() < end, one.state()
            time.sleep(0.01)
        info = [each for each in oid(client, "ENUM_QUEUES")["queues"]
                if each["queue_id"] == one.id][0]
        assert info["missing_packets"] == 3 and info["operational_state"] == "DmaStopped"
        shown = client.call("queue.show", queue=one.id)
        assert shown["freeing"]["missing"] == 3 and shown["freeing"]["freeing_ms"] >= 0
        for event in ("query", "set", "set filter", "enum filters", "complete", "free"):
            with pytest.raises(Refused) as caught:
                one.make(event)
            assert caught.value.status == "NOT_ACCEPTED", (event, caught.value)
        assert client.call("shutdown") == {"stopping": True}
        with pytest.raises(Refused) as caught:
            waiting.end(number)
        assert caught.value.status == "REQUEST_ABORTED"
        assert running.end() == 1
        assert "did not come home" in running.stderr()
