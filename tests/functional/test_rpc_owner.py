# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""Who is at the other end of the control socket, and what is whose."""

import os
import pickle
import pwd
import traceback

import pytest

from test_rpc import make_document, queue
from vmq_test import daemon, rpc
from vmq_test.rpc import Client, Refused


def as_user(name, function):
    """Run function in a child process of another user; returns what it returns."""
    user = pwd.getpwnam(name)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
            answer = ("result", function())
        except BaseException:  # whatever it is, the parent says it
            answer = ("failed", traceback.format_exc())
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump(answer, pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        how, what = pickle.load(pipe)
    os.waitpid(child, 0)
    assert how == "result", what
    return what


def refusal(client, method, **params):
    """Status of a request that is refused."""
    try:
        client.call(method, params)
    except Refused as why:
        return why.status
    return "SUCCESS"


@pytest.fixture
def vmqd(tmp_path, need):
    need(os.geteuid() == 0, "only root can become another user")
    doc = make_document(1, {"mode": "0666", "owners": {"daemon": "tenant"},
                            "user_backends": ["sink"]})
    with daemon.Vmqd(doc, tmp_path / "d") as running:
        with Client(rpc.socket_path(doc)):
            pass
        yield running
        running.stop()


def test_a_user_has_its_own_queues_and_sees_no_others(vmqd):
    path = rpc.socket_path(vmqd.doc)

    def use():
        with Client(path) as client:
            seen = {"version": client.call("version"), "before": client.call("queue.list")}
            made = client.call("queue.allocate", queue=queue(5))
            seen["made"] = made
            seen["queues"] = [one["name"] for one in client.call("queue.list")["queues"]]
            seen["stats"] = [one["name"] for one in client.call("stats")["queues"]]
            seen["filters"] = len(client.call("filter.list")["filters"])
            seen["refused"] = {
                "show": refusal(client, "queue.show", queue="q1"),
                "free": refusal(client, "queue.free", queue=1),
                "filter": refusal(client, "filter.set", queue=1, filter={"vlan": 8}),
                "clear": refusal(client, "filter.clear", filter=1),
                "grow": refusal(client, "memory.grow", queue=1, buffers=1),
                "shutdown": refusal(client, "shutdown"),
                "as": refusal(client, "queue.list", **{"as": "config"}),
                "as admin": refusal(client, "queue.list", **{"as": "admin"}),
                "pcap": refusal(client, "queue.allocate", queue=queue(
                    6, backend={"type": "pcap", "file": "/tmp/x.pcap"})),
                "oid": refusal(client, "oid", oid="RECEIVE_FILTER_ALLOCATE_QUEUE", information={
                    "queue_name": "x", "processor_affinity": [0], "backend_type": "pcap",
                    "backend_file": "/tmp/x.pcap", "suggested_receive_buffers": 64,
                    "receive_buffers_limit": 64}),
                "oid free": refusal(client, "oid", oid="RECEIVE_FILTER_FREE_QUEUE",
                                    information={"queue_id": 1}),
            }
            return seen

    seen = as_user("nobody", use)
    assert seen["version"]["owner"] == "uid:nobody"
    assert seen["version"]["administrator"] is False
    assert seen["before"] == {"queues": []}
    assert seen["made"]["owner"] == "uid:nobody" and seen["made"]["state"] == "Running"
    assert seen["queues"] == ["q5"] and seen["stats"] == ["q5"] and seen["filters"] == 1
    assert seen["refused"] == {
        "show": "INVALID_PARAMETER", "free": "INVALID_PARAMETER", "filter": "INVALID_PARAMETER",
        "clear": "FILE_NOT_FOUND", "grow": "INVALID_PARAMETER", "shutdown": "NOT_ACCEPTED",
        "as": "NOT_ACCEPTED", "as admin": "NOT_ACCEPTED", "pcap": "NOT_ACCEPTED",
        "oid": "NOT_ACCEPTED", "oid free": "INVALID_PARAMETER"}
    assert not os.path.exists("/tmp/x.pcap")

    # Its connection has ended, and what it made is still its own.
    with Client(path) as admin:
        assert {one["name"]: one["owner"] for one in admin.call("queue.list")["queues"]} == {
            "default": None, "q1": "config", "q5": "uid:nobody"}
        assert refusal(admin, "queue.free", queue="q5") == "NOT_ACCEPTED"

    def come_back():
        with Client(path) as client:
            return client.call("queue.free", queue="q5")["name"]

    assert as_user("nobody", come_back) == "q5"


def test_an_administrator_acts_in_the_name_of_a_user(vmqd):
    path = rpc.socket_path(vmqd.doc)
    as_user("nobody", lambda: Client(path).call("queue.allocate", queue=queue(5)))
    with Client(path) as admin:
        assert admin.call("queue.free", queue="q5", **{"as": "uid:nobody"})["name"] == "q5"


def test_an_administrator_takes_over_what_a_user_has_left(vmqd):
    path = rpc.socket_path(vmqd.doc)

    def stay(client):
        client.call("queue.allocate", queue=queue(5))
        return client

    as_user("nobody", lambda: stay(Client(path)).call("version"))
    assert as_user("nobody", lambda: refusal(Client(path), "owner.list")) == "NOT_ACCEPTED"
    assert as_user("nobody", lambda: refusal(
        Client(path), "owner.take_over", owner="admin")) == "NOT_ACCEPTED"
    with Client(path) as admin:
        owners = {one["owner"]: one for one in admin.call("owner.list")["owners"]}
        assert owners["uid:nobody"]["belongings"] == 2  # a queue and its filter
        assert owners["uid:nobody"]["administrator"] is False
        for name, status in (("config", "NOT_ACCEPTED"), ("admin", "NOT_ACCEPTED"),
                             ("uid:who", "INVALID_PARAMETER")):
            assert refusal(admin, "owner.take_over", owner=name) == status
        assert admin.call("owner.take_over", owner="uid:nobody") == {
            "owner": "uid:nobody", "belongings": 2}
        assert admin.call("queue.show", queue="q5")["owner"] == "admin"
        admin.call("queue.free", queue="q5")
    # It may come back, with nothing.
    assert as_user("nobody", lambda: Client(path).call("queue.list")) == {"queues": []}


def test_the_document_maps_users_to_owners(vmqd):
    path = rpc.socket_path(vmqd.doc)
    version = as_user("daemon", lambda: Client(path).call("version"))
    assert version["owner"] == "tenant" and version["administrator"] is False


def test_a_user_hears_of_its_own_queues_only(vmqd):
    path = rpc.socket_path(vmqd.doc)

    def listen():
        with Client(path) as client:
            client.call("subscribe")
            with Client(path) as other:
                other.call("queue.allocate", queue=queue(5))
                other.call("queue.free", queue="q5")
            told = []
            while not (told and told[-1].get("state") == "Undefined"):
                told.append(client.notification()["params"])
            return told

    with Client(path) as admin:
        admin.call("subscribe")
        admin.call("queue.allocate", queue=queue(7))
        told = as_user("nobody", listen)
        admin.call("queue.free", queue="q7")
    assert {one["name"] for one in told} == {"q5"}
    assert [one["state"] for one in told][-1] == "Undefined"


def test_the_mode_keeps_others_out(tmp_path, need):
    need(os.geteuid() == 0, "only root can become another user")
    doc = make_document(1)
    path = rpc.socket_path(doc)

    def try_it():
        try:
            Client(path).close()
        except PermissionError:
            return "kept out"
        return "let in"

    with daemon.Vmqd(doc, tmp_path / "d") as running:
        with Client(rpc.socket_path(doc)):
            pass
        assert as_user("nobody", try_it) == "kept out"
        running.stop()
