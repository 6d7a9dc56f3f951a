# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""A client of DPDK's telemetry socket."""

import json
import os
import socket


class Telemetry:
    """A connection to the process with a file prefix; a context manager."""

    def __init__(self, prefix):
        base = "/var/run" if os.geteuid() == 0 else os.environ.get("XDG_RUNTIME_DIR", "/tmp")
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(60)
        self.sock.connect(f"{base}/dpdk/{prefix}/dpdk_telemetry.v2")
        self.greeting = json.loads(self.sock.recv(65536))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def ask(self, command):
        """What the command answers; None if it failed."""
        self.sock.send(command.encode())
        answer = json.loads(self.sock.recv(65536))
        return answer[command.split(",")[0]]
