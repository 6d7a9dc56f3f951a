# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""Run vmqctl against a daemon of the tests."""

import itertools
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import threading

from vmq_test.daemon import TOP

VMQCTL = TOP / "usertools" / "vmqctl"
SECONDS = 120

_numbers = itertools.count()


def control(doc, folder):
    """Give a document a control socket in a folder; returns its path."""
    path = pathlib.Path(folder) / "ctl.sock"
    if len(os.fsencode(path)) > 90:  # a socket's path is short, and there is one beside it
        path = pathlib.Path(tempfile.mkdtemp(prefix="vmqctl-")) / "ctl.sock"
    doc["control"] = {"socket": str(path)}
    return path


class Ctl:
    """vmqctl for one daemon, which has the socket of control()."""

    def __init__(self, daemon):
        self.socket = daemon.doc["control"]["socket"]

    def start(self, *words, user=None, **options):
        command = [str(VMQCTL), "--socket", self.socket, *map(str, words)]
        if user is not None:
            command = ["setpriv", f"--reuid={user}", "--regid=nogroup", "--clear-groups", *command]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, **options)

    def run(self, *words, **options):
        """To its end; CompletedProcess with text."""
        process = self.start(*words, **options)
        try:
            out, err = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"{words}: no end; {process.communicate()}") from None
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def json(self, *words):
        """The answer of a command that must be carried out."""
        done = self.run("--json", *words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return json.loads(done.stdout)


class Ear:
    """Listens in on what vmqctl asks a daemon: between both, on a socket beside the daemon's."""

    def __init__(self, daemon):
        self.to = daemon.doc["control"]["socket"]
        self.path = f"{self.to}.ear"
        self.asked = {}  # method: names of parameters that it was ever given
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(16)

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        os.unlink(self.path)

    def _accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            daemon = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            daemon.connect(self.to)
            for one, other, hear in ((client, daemon, self._hear), (daemon, client, None)):
                threading.Thread(target=self._copy, args=(one, other, hear), daemon=True).start()

    def _copy(self, one, other, hear):
        text = b""
        try:
            while data := one.recv(1 << 16):
                if hear:
                    *lines, text = (text + data).split(b"\n")  # vmqctl's requests are lines
                    for line in lines:
                        hear(json.loads(line))
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the one or the other has gone
        finally:
            one.close()

    def _hear(self, request):
        self.asked.setdefault(request["method"], set()).update(request.get("params", {}))
