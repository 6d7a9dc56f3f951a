# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""Run vmqctl against a daemon of the tests."""

import itertools
import json
import os
import pathlib
import subprocess
import tempfile

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
