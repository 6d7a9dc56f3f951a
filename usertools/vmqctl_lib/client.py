# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""JSON-RPC 2.0 over vmqd's control socket, and how the socket is found."""

import collections
import glob
import json
import os
import select
import socket
import time


class NoDaemon(Exception):
    """Nobody answers: exit status 3."""


class Refused(Exception):
    """vmqd has answered with an error: exit status 1."""

    def __init__(self, error):
        super().__init__(error.get("message", "refused"))
        self.error = error
        self.code = error.get("code")
        self.data = error.get("data") or {}

    def lines(self):
        """The answer for people: the sentence, and what the layers below have said."""
        yield str(self)
        if self.data.get("pointer"):
            yield f"  at: {self.data['pointer']}"
        reason = self.data.get("reason")
        if reason and reason not in str(self):
            yield f"  because: {reason}"
        if self.data.get("hint"):
            yield f"  hint: {self.data['hint']}"
        if self.data.get("status"):
            yield f"  status: {self.data['status']}"
        for finding in self.data.get("findings") or []:
            if str(self).startswith(f"{finding.get('pointer')}: "):
                continue  # it is the sentence above
            yield f"  at {finding.get('pointer') or '/'}: {finding.get('message')}"
            if finding.get("hint"):
                yield f"    hint: {finding['hint']}"


def folders():
    """Where sockets are, unless a document says otherwise."""
    found = ["/run/vmqd"]
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if os.geteuid() != 0:
        found.insert(0, os.path.join(runtime, "vmqd") if runtime
                     else f"/tmp/vmqd-{os.geteuid()}")
        if runtime:
            found.append(f"/tmp/vmqd-{os.geteuid()}")
    return found


def answers(path):
    """Does a daemon listen there? None: it does, but not to us."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        try:
            probe.connect(path)
        except PermissionError:
            return None
        except OSError:
            return False
        return True


def find():
    """The path of the one daemon's socket."""
    named = os.environ.get("VMQCTL_SOCKET")
    if named:
        return named
    alive, barred = [], []
    for folder in folders():
        for path in sorted(glob.glob(os.path.join(glob.escape(folder), "*.sock"))):
            state = answers(path)
            if state:
                alive.append(path)
            elif state is None:
                barred.append(path)
        if alive:
            break
    if len(alive) == 1:
        return alive[0]
    if alive:
        raise NoDaemon("there is more than one daemon, name one with --socket:\n"
                       + "\n".join(f"  {path}" for path in alive))
    if barred:
        raise NoDaemon(f"this user may not connect to {', '.join(barred)}: ask for "
                       "control.group or control.mode in vmqd's document")
    raise NoDaemon(f"no vmqd is running (looked in {', '.join(folders())}; "
                   "--socket names another place)")


class Client:
    """A connection. Notifications that come in between are kept for notification()."""

    def __init__(self, path, timeout=60):
        self.path = path
        self.timeout = timeout
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        self.text = ""
        self.bytes = b""
        self.decoder = json.JSONDecoder()
        self.kept = collections.deque()
        self.number = 0
        try:
            self.sock.connect(path)
        except OSError as error:
            self.sock.close()
            raise NoDaemon(f"{path}: {error.strerror or error}") from None

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def fileno(self):
        return self.sock.fileno()

    def _receive(self, deadline):
        """Add what has come; False at the deadline."""
        left = None if deadline is None else deadline - time.monotonic()
        # The socket's own time limit is for sending: an event may be long in coming.
        if (left is not None and left < 0) or not select.select([self.sock], [], [], left)[0]:
            return False
        try:
            data = self.sock.recv(1 << 16)
        except OSError as error:
            raise NoDaemon(f"{self.path}: {error.strerror or error}") from None
        if not data:
            raise NoDaemon(f"{self.path}: vmqd has closed the connection")
        self.bytes += data
        return True

    def _value(self, deadline):
        """The next JSON value, or None at the deadline."""
        while True:
            # A character may be cut in the middle: the rest comes later.
            if self.bytes:
                try:
                    self.text += self.bytes.decode("utf-8")
                    self.bytes = b""
                except UnicodeDecodeError as error:
                    self.text += self.bytes[:error.start].decode("utf-8")
                    self.bytes = self.bytes[error.start:]
            self.text = self.text.lstrip()
            if self.text:
                try:
                    value, end = self.decoder.raw_decode(self.text)
                    self.text = self.text[end:]
                    return value
                except json.JSONDecodeError:
                    pass
            if not self._receive(deadline):
                return None

    def call(self, method, params=None, timeout=None):
        """Make a request and wait for its answer. timeout 0: as long as it takes."""
        self.number += 1
        request = {"jsonrpc": "2.0", "id": self.number, "method": method}
        if params:
            request["params"] = params
        try:
            self.sock.sendall(json.dumps(request).encode("utf-8") + b"\n")
        except OSError as error:
            raise NoDaemon(f"{self.path}: {error.strerror or error}") from None
        limit = self.timeout if timeout is None else timeout
        deadline = time.monotonic() + limit if limit else None
        while True:
            value = self._value(deadline)
            if value is None:
                raise NoDaemon(f"{self.path}: no answer to {method} within {limit} s")
            if not isinstance(value, dict) or "id" not in value:
                self.kept.append(value)
                continue
            if value["id"] not in (self.number, None):
                continue  # of a request that was given up
            if "error" in value:
                raise Refused(value["error"])
            return value.get("result")

    def notification(self, timeout=None):
        """The next notification, or None after the time."""
        if self.kept:
            return self.kept.popleft()
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            value = self._value(deadline)
            if value is None or "id" not in value:
                return value
