# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""vmqctl events: indications as they come."""

import json
import time

from . import show


def line(params):
    """One event on one line: time, number, type, and the rest as it is."""
    rest = {key: value for key, value in params.items()
            if key not in ("sequence", "adapter", "type", "queue", "name", "time")}
    queue = params.get("queue")
    name = params.get("name")
    where = params.get("adapter", "-")
    if queue is not None:
        where += f" queue {show.plain(queue)}" + (f" ({show.plain(name)})" if name else "")
    stamp = time.strftime("%H:%M:%S", time.localtime(params.get("time")))
    return " ".join(filter(None, (stamp, f"{params.get('sequence', '-'):>6}", where,
                                  show.plain(params.get("type")), show.plain(rest)
                                  if rest else "")))


def type_name(word):
    """queue_state is RECEIVE_QUEUE_STATE."""
    name = word.upper()
    return {"QUEUE_STATE": "RECEIVE_QUEUE_STATE",
            "QUEUE_PARAMETERS": "RECEIVE_FILTER_QUEUE_PARAMETERS"}.get(name, name)


def run(context):
    types = [type_name(word) for word in context.args.types.split(",")] \
        if context.args.types else None
    context.call("subscribe", types=types)
    left = context.args.count
    while left is None or left > 0:
        value = context.client.notification()
        params = value.get("params", {})
        if context.args.json:
            print(json.dumps(value, ensure_ascii=False), flush=True)
        elif "missed" in params:
            print(f"missed {params['missed']} events, from {params.get('from')} to "
                  f"{params.get('to')}: this client reads too slowly", flush=True)
        else:
            print(line(params), flush=True)
        if left is not None:
            left -= 1
