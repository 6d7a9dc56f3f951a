# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""vmqctl capture: one queue's packets, as vmqd sends them, into a file."""

import os
import select
import socket
import sys
import time

from .actions import queue_word
from .client import NoDaemon


def open_output(name):
    return os.dup(sys.stdout.fileno()) if name == "-" else os.open(
        name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)


def run(context):
    args = context.args
    if not args.write:
        context.usage("which file? -w FILE, or -w - for standard output")
    if args.write == "-" and sys.stdout.isatty():
        context.usage("standard output is a terminal: -w FILE")
    started = context.call("capture.start", queue=queue_word(args.queue), drops=args.drops,
                           count=args.count, snaplen=args.snaplen)
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Beside the control socket, under whatever path that has here.
        stream.connect(os.path.join(os.path.dirname(os.path.abspath(context.client.path)),
                                    os.path.basename(started["socket"])))
    except OSError as error:
        raise NoDaemon(f"{started['socket']}: {error.strerror}") from None
    output = open_output(args.write)
    until = time.monotonic() + args.seconds if args.seconds is not None else None
    number = started["capture"]
    whole = False
    try:
        whole = copy(stream, output, until)
    except KeyboardInterrupt:
        pass
    try:
        # What is on its way still comes; the answer has the figures.
        ended = context.raw("capture.stop", {"capture": number})
        copy(stream, output, None)
    except NoDaemon:
        if not whole:
            raise
        print("vmqd has stopped; the file is complete", file=sys.stderr)
        return None
    finally:
        os.close(output)
        stream.close()
    if args.json:
        return ended
    why = f" ({ended['reason']})" if ended["reason"] not in ("stopped", "count") else ""
    print(f"{ended['packets']} packets captured, {ended['lost']} lost by the capture{why}",
          file=sys.stderr)
    return None


def copy(stream, output, until):
    """Until the stream ends, or the time. Returns whether it has ended."""
    while True:
        left = None if until is None else until - time.monotonic()
        if left is not None and (left <= 0 or not select.select([stream], [], [], left)[0]):
            return False
        data = stream.recv(1 << 18)
        if not data:
            return True
        while data:
            data = data[os.write(output, data):]
