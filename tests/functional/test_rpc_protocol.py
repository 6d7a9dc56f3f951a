# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""JSON-RPC as its specification says it, hostile and broken clients, limits, the socket itself."""

import json
import os
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

from test_rpc import make_document, queue
from vmq_test import daemon, rpc
from vmq_test.rpc import Client, Refused

LIMITS = {"request_kb": 64, "depth": 16, "clients": 4, "pending": 8, "batch": 20,
          "output_kb": 64, "idle_s": 1}


@pytest.fixture(scope="module")
def vmqd(tmp_path_factory):
    doc = make_document(2, {"limits": LIMITS})
    with daemon.Vmqd(doc, tmp_path_factory.mktemp("protocol")) as running:
        with Client(rpc.socket_path(doc)):
            pass
        yield running
        # Whatever the tests have thrown at it, it stops in order.
        running.stop()


@pytest.fixture
def path(vmqd):
    return rpc.socket_path(vmqd.doc)


@pytest.fixture
def client(path):
    with Client(path) as one:
        yield one
    with Client(path) as other:  # it is well afterwards
        other.call("version")


def request(number, method="version", **more):
    return {"jsonrpc": "2.0", "id": number, "method": method, **more}


def error(message, code, status=None, words=""):
    assert message["error"]["code"] == code, message
    assert words in message["error"]["message"], message
    assert status in (None, message["error"]["data"]["status"]), message


# what the specification says

def test_ids_come_back_as_they_were(client):
    for number in (1, -1, 0, 2 ** 53, 1.5, "a", "", "\u00fc \U0001f600 \n", None):
        client.send(request(number))
        answer = client.answer()
        assert answer["id"] == number and "result" in answer


@pytest.mark.parametrize("bad", [
    {"id": 1, "method": "version"},
    {"jsonrpc": "1.0", "id": 1, "method": "version"},
    {"jsonrpc": 2.0, "id": 1, "method": "version"},
    {"jsonrpc": "2.0", "id": 1},
    {"jsonrpc": "2.0", "id": 1, "method": 1},
    {"jsonrpc": "2.0", "id": 1, "method": "version", "params": 1},
    {"jsonrpc": "2.0", "id": 1, "method": "version", "params": "x"},
    {"jsonrpc": "2.0", "id": 1, "method": "version", "extra": 1},
    {"jsonrpc": "2.0", "id": {}, "method": "version"},
    {"jsonrpc": "2.0", "id": [1], "method": "version"},
    {},
])
def test_what_is_no_request_is_said_to_be_none(client, bad):
    client.send(bad)
    answer = client.answer()
    error(answer, -32600)
    assert answer["id"] == (bad["id"] if isinstance(bad.get("id"), int) else None)
    client.call("version")


def test_notifications_are_carried_out_and_never_answered(client):
    for bad in ({"jsonrpc": "2.0", "method": "no.such"},
                {"jsonrpc": "2.0", "method": "version"},
                {"jsonrpc": "2.0", "method": "queue.show", "params": {"queue": 99}},
                {"jsonrpc": "2.0", "method": "subscribe"}):
        client.send(bad)
    number = client.begin("version")
    assert client.answer()["id"] == number
    assert client.call("unsubscribe") == {"subscribed": True}


def test_batches(client):
    client.send([request(1), {"jsonrpc": "2.0", "method": "version"}, request(2, "no.such"),
                 1, [], {}, request("x", "queue.list")])
    answers = client.answer()
    assert [one["id"] for one in answers] == [1, 2, None, None, None, "x"]
    assert [one.get("error", {}).get("code") for one in answers] == [
        None, -32601, -32600, -32600, -32600, None]
    client.send([])
    error(client.answer(), -32600)
    # A batch of notifications has no answer at all.
    client.send([{"jsonrpc": "2.0", "method": "version"}] * 3)
    client.call("version")
    client.send([request(number) for number in range(21)])
    error(client.answer(), -32600, "RESOURCES", "control.limits.batch")


def test_a_batch_is_answered_when_the_last_of_it_has_ended(client):
    client.call("queue.allocate", queue=queue(3))
    client.send([request(1), request(2, "queue.free", params={"queue": "q3"}), request(3)])
    answers = client.answer()
    assert sorted(one["id"] for one in answers) == [1, 2, 3]
    assert all("result" in one for one in answers)


def test_the_answers_of_a_batch_are_bounded(client):
    client.send([request(number, "methods") for number in range(20)])
    answers = client.answer()
    assert [one["id"] for one in answers] == list(range(20))
    assert "result" in answers[0]
    error(answers[-1], -32005, "RESOURCES", "too long together")


def test_requests_may_be_pipelined_in_any_pieces(client):
    text = b" \n\t".join(json.dumps(request(number)).encode() for number in range(50))
    for at in range(0, len(text), 7):
        client.send(text[at:at + 7])
    assert [client.answer()["id"] for _ in range(50)] == list(range(50))
    client.send(b"".join(json.dumps(request(number)).encode() for number in range(500)))
    assert [client.answer()["id"] for _ in range(500)] == list(range(500))
    # Brackets and quotes in strings are not structure.
    client.send(request('}]"\\{[', "version"))
    assert client.answer()["id"] == '}]"\\{['


# hostile and broken input

@pytest.mark.parametrize("text, code, goes_on", [
    (b"{x}", -32700, True),
    (b"{\"a\": 1, \"a\": 2}", -32700, True),  # the same key twice
    (b"[1, 2,]", -32700, True),
    (b"{\"jsonrpc\": \"\xff\"}", -32700, True),  # not UTF-8
    (b"{\"a\": \"\\u0000\"}", -32700, True),
    (b"{\"a\": \"\\ud800\"}", -32700, True),
    (b"{\"a\": 1e999}", -32700, True),
    (b"{\"a\": 99999999999999999999}", -32700, True),
    (b"[" * 16 + b"]" * 16, -32600, True),  # deep, and allowed: a batch of a batch
    (b"[" * 17 + b"]" * 17, -32600, False),
    (b"{\"a\":" * 20 + b"1" + b"}" * 20, -32600, False),
    (b"[}", -32700, False),
    (b"}", -32700, False),
    (b"hello\n", -32700, False),
    (b"GET / HTTP/1.1\r\n\r\n", -32700, False),
    (b"\"text\"", -32700, False),
    (b"12", -32700, False),
    (b"\x00", -32700, False),
    (b"\xef\xbb\xbf{}", -32700, False),  # a byte order mark
])
def test_malformed_input_is_answered(client, text, code, goes_on):
    client.send(text)
    answer = client.answer()
    while isinstance(answer, list):
        answer = answer[0]
    error(answer, code)
    if goes_on:
        client.call("version")
    else:
        assert client.read() is None


def test_a_huge_request_is_refused_with_the_limit(client):
    client.send(json.dumps(request("x" * 60000)).encode())
    assert "result" in client.answer()
    try:
        client.send(b'{"jsonrpc": "2.0", "id": "' + b"x" * 4000000)
    except (BrokenPipeError, ConnectionResetError):
        pass
    error(client.answer(), -32600, "RESOURCES", "control.limits.request_kb")
    assert client.read() is None


def test_a_huge_request_that_is_whole_is_refused_too(client):
    client.send(json.dumps(request("x" * 66000)).encode())
    error(client.answer(), -32600, "RESOURCES", "64 KiB")
    assert client.read() is None


def test_a_slow_loris_is_let_go(client, path):
    client.send(b'{"jsonrpc"')
    began = time.monotonic()
    try:
        while time.monotonic() - began < rpc.TIMEOUT:
            client.send(b" ")
            with Client(path) as other:
                other.call("version")
            time.sleep(0.05)
    except (BrokenPipeError, ConnectionResetError):
        pass
    error(client.answer(), -32600, "REQUEST_ABORTED", "control.limits.idle_s")
    assert client.read() is None
    assert time.monotonic() - began < rpc.TIMEOUT, "it was never let go"


def test_a_silent_client_may_stay(client):
    client.call("version")
    time.sleep(2.5)
    client.call("version")


def test_a_half_closed_client_gets_all_its_answers(client):
    client.call("queue.allocate", queue=queue(4))
    client.begin("version")
    freeing = client.begin("queue.free", queue="q4")
    client.socket.shutdown(socket.SHUT_WR)
    answers = []
    while (answer := client.read()) is not None:
        answers.append(answer)
    assert {one["id"] for one in answers} == {freeing - 1, freeing}


def test_half_a_request_at_the_end_is_an_error(client):
    client.send(b'{"jsonrpc": "2.0"')
    client.socket.shutdown(socket.SHUT_WR)
    error(client.answer(), -32700, words="in the middle of a request")
    assert client.read() is None


def test_a_client_that_dies_in_the_middle_leaves_its_request_done(path):
    with Client(path) as watcher:
        for _ in range(10):
            client = Client(path)
            client.begin("queue.allocate", queue=queue(5))
            client.close()
            end = time.monotonic() + rpc.TIMEOUT
            while [one for one in watcher.call("queue.list")["queues"]
                   if one["name"] == "q5" and one["state"] == "Running"] == []:
                assert time.monotonic() < end, "never allocated"
                time.sleep(0.01)
            client = Client(path)
            client.begin("queue.free", queue="q5")
            client.send(b'{"jsonrpc": "2.0", "id": 1, "meth')
            client.close()
            while "q5" in [one["name"] for one in watcher.call("queue.list")["queues"]]:
                assert time.monotonic() < end, "never freed"
                time.sleep(0.01)


# limits

def test_too_many_clients_are_told(path):
    clients = [Client(path) for _ in range(4)]
    for one in clients:
        one.call("version")
    with Client(path) as fifth:
        error(fifth.answer(), -32005, "RESOURCES", "control.limits.clients")
        assert fifth.read() is None
    clients[0].close()
    end = time.monotonic() + rpc.TIMEOUT
    while True:
        with Client(path) as again:
            again.begin("version")
            answer = again.answer()
        if answer is not None and "result" in answer:
            break
        assert time.monotonic() < end, "the place of a client that has gone is not free"
        time.sleep(0.05)
    for one in clients:
        one.close()


def test_too_many_pending_requests_are_refused(client):
    """
    Growth takes the helper thread its time; each answer but the first waits for it. On a
    machine with nothing else to do it may be as fast as the requests are read: then again.
    """
    client.call("queue.allocate", queue=queue(6))
    text = b"".join(json.dumps(request(number, "queue.allocate", params={
        "queue": queue(100 + number)})).encode() for number in range(12))
    refused = []
    for _ in range(50):
        client.send(text)
        answers = [client.answer() for _ in range(12)]
        refused = [one for one in answers if "error" in one]
        for one in refused:
            error(one, -32005, "RESOURCES", "control.limits.pending")
        for one in answers:
            if "result" in one:
                client.call("queue.free", queue=one["result"]["id"])
        if refused:
            break
    assert refused, "all were answered at once: the test asks too little"
    client.call("queue.free", queue="q6")


def test_a_client_that_does_not_read_delays_nobody(path):
    with Client(path) as lazy, Client(path) as other:
        text = json.dumps(request(1, "methods")).encode() * 2000
        sender = threading.Thread(target=lazy.socket.sendall, args=(text,), daemon=True)
        sender.start()
        slowest = 0
        for _ in range(200):
            began = time.monotonic()
            other.call("version")
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < 5, f"a request took {slowest:.2f} s"
        # It gets all that it asked for when it reads.
        for _ in range(2000):
            assert lazy.answer()["id"] == 1
        sender.join(rpc.TIMEOUT)


# the socket

def test_the_socket_has_the_mode_and_owner_of_the_document(tmp_path, need):
    need(os.geteuid() == 0, "only root can give a socket to somebody")
    place = tmp_path / "new" / "folder" / "c.sock"
    doc = make_document(1, {"socket": str(place), "owner": "nobody", "group": "daemon",
                            "mode": "0620"})
    with daemon.Vmqd(doc, tmp_path / "d") as running:
        with Client(place) as client:
            client.call("version")
        info = place.stat()
        assert stat.S_IMODE(info.st_mode) == 0o620 and stat.S_ISSOCK(info.st_mode)
        assert place.owner() == "nobody" and place.group() == "daemon"
        assert sorted(one.name for one in place.parent.iterdir()) == ["c.sock", "c.sock.lock"]
        running.stop()
    assert not list(place.parent.iterdir())


@pytest.mark.parametrize("key, words", [
    ("owner", "/control/owner: there is no user"), ("group", "/control/group: there is no group")])
def test_a_user_that_there_is_not_is_named(tmp_path, key, words):
    doc = make_document(1, {key: "no-such-one"})
    with daemon.Vmqd(doc, tmp_path / "d") as running:
        assert running.end() == 1
        assert words in running.stderr()


def test_a_stale_socket_is_replaced_and_another_file_is_not(tmp_path):
    place = tmp_path / "c.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(place))
    dead.close()
    doc = make_document(1, {"socket": str(place)})
    with daemon.Vmqd(doc, tmp_path / "d") as running, Client(place) as client:
        client.call("version")
        running.stop()
    place.write_text("precious", encoding="ascii")
    with daemon.Vmqd(doc, tmp_path / "d") as running:
        assert running.end() == 1
        assert "left alone" in running.stderr()
    assert place.read_text(encoding="ascii") == "precious"


def test_a_socket_that_somebody_answers_on_is_left_alone(tmp_path):
    place = tmp_path / "c.sock"
    doc = make_document(1, {"socket": str(place)})
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(place))
        other.listen()
        with daemon.Vmqd(doc, tmp_path / "d") as running:
            assert running.end() == 1
            assert "somebody answers on it" in running.stderr()
        assert place.exists()
    second = make_document(1, {"socket": str(tmp_path / "e.sock")})
    third = make_document(1, {"socket": str(tmp_path / "e.sock")})
    with daemon.Vmqd(second, tmp_path / "x") as first, Client(tmp_path / "e.sock") as client:
        with daemon.Vmqd(third, tmp_path / "y") as running:
            assert running.end() == 1
            assert f"in use by process {first.pid}" in running.stderr()
        client.call("version")


def test_two_daemons_do_not_run_on_one_document(tmp_path):
    doc = make_document(1)
    with daemon.Vmqd(doc, tmp_path / "d") as running:
        with Client(rpc.socket_path(doc)):
            pass
        done = daemon.run(["-c", running.conf, "--quiet"])
        assert done.returncode == 1
        assert f"in use by process {running.pid}" in done.stderr
        link = tmp_path / "link.json"
        link.symlink_to(running.conf)
        assert daemon.run(["-c", link, "--quiet"]).returncode == 1
        assert daemon.run(["--check", "-c", running.conf]).returncode == 0
        # The kernel lets go of a dead daemon's lock, and its socket is taken over.
        running.process.send_signal(signal.SIGKILL)
        running.process.wait()
    with daemon.Vmqd(doc, tmp_path / "d") as running, Client(rpc.socket_path(doc)) as client:
        client.call("version")
        running.stop()


def test_no_socket_if_the_document_says_so(tmp_path):
    doc = make_document(1, {"socket": False})
    with daemon.Vmqd(doc, tmp_path / "d") as running:
        running.wait_running()
        assert not (rpc.run_folder() / f"{doc['eal']['file_prefix']}.sock").exists()
        running.stop()
