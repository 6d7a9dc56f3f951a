# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""A client of vmqd's control socket that does exactly what a test says."""

import json
import os
import pathlib
import socket
import time

TIMEOUT = 60  # of anything, on a machine that is busy with other things


def run_folder():
    """Where default sockets are."""
    if os.geteuid() == 0:
        return pathlib.Path("/run/vmqd")
    if "XDG_RUNTIME_DIR" in os.environ:
        return pathlib.Path(os.environ["XDG_RUNTIME_DIR"]) / "vmqd"
    return pathlib.Path(f"/tmp/vmqd-{os.geteuid()}")


def socket_path(doc):
    """The socket of a daemon that runs this document."""
    path = doc.get("control", {}).get("socket")
    return pathlib.Path(path or run_folder() / f"{doc['eal']['file_prefix']}.sock")


class Refused(Exception):
    """An error that a request was answered with."""

    def __init__(self, error):
        super().__init__(f"{error['code']}: {error['message']} {error.get('data')}")
        self.code = error["code"]
        self.message = error["message"]
        self.data = error.get("data", {})
        self.status = self.data.get("status")


class Client:
    """One connection."""

    def __init__(self, path, wait=True):
        """wait: until somebody listens there."""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(TIMEOUT)
        end = time.monotonic() + TIMEOUT
        while True:
            try:
                self.socket.connect(str(path))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if not wait or time.monotonic() > end:
                    raise
                time.sleep(0.02)
        self.received = b""
        self.number = 0
        self.notifications = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, what):
        """Send bytes as they are, and anything else as JSON."""
        if not isinstance(what, bytes):
            what = json.dumps(what).encode()
        self.socket.sendall(what)

    def read(self):
        """The next message; None: the connection has ended."""
        while b"\n" not in self.received:
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionResetError:
                data = b""
            if not data:
                assert not self.received, f"half a message: {self.received[:200]}"
                return None
            self.received += data
        line, _, self.received = self.received.partition(b"\n")
        return json.loads(line)

    def answer(self):
        """The next message that is no notification; those are kept."""
        while True:
            message = self.read()
            if isinstance(message, dict) and "method" in message:
                self.notifications.append(message)
                continue
            return message

    def notification(self):
        """The next notification."""
        if self.notifications:
            return self.notifications.pop(0)
        message = self.read()
        assert message is not None and "method" in message, message
        return message

    def begin(self, method, params=None, **named):
        """Send a request, and return its id."""
        self.number += 1
        request = {"jsonrpc": "2.0", "id": self.number, "method": method}
        if params is not None or named:
            request["params"] = named if params is None else params
        self.send(request)
        return self.number

    def end(self, number):
        """The answer to the request with this id, which must be the next one."""
        answer = self.answer()
        assert answer is not None, "the connection ended instead of an answer"
        assert answer["jsonrpc"] == "2.0" and answer["id"] == number, answer
        assert ("result" in answer) != ("error" in answer), answer
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["result"]

    def call(self, method, params=None, **named):
        """Make a request and wait for its result."""
        return self.end(self.begin(method, params, **named))
