# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""vmqctl why: what the counters of a queue say, in words."""

import time

from . import show
from .actions import queue_word

# How long it looks at the counters to tell what happens now from what happened once.
LOOK_SECONDS = 1.0

STATES = {
    "Allocated": "It is allocated and has neither memory nor filters yet: it waits for filters "
                 "and for QUEUE_ALLOCATION_COMPLETE.",
    "Set": "It has filters and no memory yet: it waits for QUEUE_ALLOCATION_COMPLETE.",
    "Paused": "It has no filter, so it receives nothing: vmqctl filter set gives it one.",
    "DmaStopped": "It is being freed: nothing is received any more.",
    "Freeing": "It is being freed, and waits for its packets to come home.",
    "Undefined": "Its adapter is halted.",
}


def find(stats, queue, adapter):
    """The queue of the statistics that a word means: an id or a name, on an adapter."""
    return [one for one in stats["queues"]
            if (one["id"] if isinstance(queue, int) else one["name"]) == queue
            and adapter in (None, one["adapter"])]


def run(context):
    queue = queue_word(context.args.queue)
    # The daemon's own words for a queue that is none.
    reasons = {(one["direction"], one["name"]): one["help"]
               for one in context.call("drops", queue=queue)["reasons"]}
    shown = find(context.call("queue.list"), queue, context.args.adapter)
    if len(shown) != 1:
        context.usage(f"there are {len(shown)} queues {queue}: name the adapter with --adapter")
    shown = shown[0]
    context.args.adapter = shown.get("adapter", context.args.adapter)
    before = context.raw("stats", {})
    time.sleep(LOOK_SECONDS)
    after = context.raw("stats", {})
    first = find(before, queue, context.args.adapter)
    last = find(after, queue, context.args.adapter)
    if not first or not last:
        context.usage(f"queue {queue} has gone meanwhile")
    adapter = next(one for one in after["adapters"] if one["name"] == last[0]["adapter"])
    seconds = after["time"] - before["time"]
    return {"queue": shown, "before": first[0], "now": last[0], "seconds": seconds,
            "words": list(words(shown, first[0], last[0], adapter, seconds, reasons))}


def show_words(result):
    return result["words"]


def part(number, of):
    return f"{number} ({100 * number / of:.2f} %)" if of else str(number)


def words(shown, first, now, adapter, seconds, reasons):
    """Sentences, from the state over the packets to the memory."""
    name = f"queue {now['id']} ({show.plain(now['name'])})"
    vm = f" of VM {show.plain(now['vm'])}" if now.get("vm") else ""
    yield f"{name}{vm} on adapter {show.plain(now['adapter'])} is {now['state']}."
    if now["state"] in STATES:
        yield STATES[now["state"]]
    yield from waits(shown)
    yield from steered(shown, now)
    yield from packets(first, now, seconds, reasons)
    yield from sent(first, now, seconds, reasons)
    yield from memory(now)
    yield from backend(shown, now)
    yield from port(now, adapter)


def waits(shown):
    """Requests that are pending, as queue.show has them."""
    if shown.get("completing"):
        yield "Memory for it is being found right now."
    freeing = shown.get("freeing")
    if isinstance(freeing, dict):
        shown = {**shown, **freeing}
    if shown.get("freeing_ms") is not None and shown.get("missing") is not None:
        yield (f"It has been freeing for {shown['freeing_ms'] / 1000:.1f} s; "
               f"{shown['missing']} of its packets are not home yet"
               + (f", held by {show.plain(shown['holder'])}." if shown.get("holder") else "."))
    for one in shown.get("pending") or []:
        yield (f"{one.get('method', 'A request')} by {show.plain(one.get('client'))} has waited "
               f"for {one.get('waited_ms', 0) / 1000:.1f} s: {show.plain(one.get('waits_for'))}.")


def steered(shown, now):
    where = shown.get("steering", now.get("steering"))
    why = shown.get("steering_reason") or shown.get("reason")
    if isinstance(where, dict):
        why = where.get("reason") or why
        where = where.get("path") or where.get("by")
    if where == "software":
        yield "Software steers packets to it" + (f": {show.plain(why)}." if why else
                                                 ", not the NIC.")
    elif where:
        yield f"The NIC steers packets to it ({show.plain(where)})."
    filters = [show.filter_text(one) for one in now.get("filters", [])]
    if filters:
        yield ("It takes what matches " + " or ".join(filters[:8])
               + (f" or {len(filters) - 8} filters more." if len(filters) > 8 else "."))
    elif now["id"] == 0:
        yield "It takes what no filter claims."


def packets(first, now, seconds, reasons):
    received = now["received"]
    if not received:
        yield ("It has received nothing so far: no packet matched its filters, or none came; "
               "vmqctl adapter show says what the port has received.")
        return
    yield (f"Of {received} packets received, {part(now['delivered'], received)} were delivered, "
           f"{part(now['dropped'], received)} dropped, and {now['waiting']} wait.")
    fresh = received - first["received"]
    rate = fresh / seconds if seconds > 0 else 0
    yield (f"In the last {seconds:.1f} s: {show.count(rate)} packets/s received, "
           f"{show.count((now['delivered'] - first['delivered']) / seconds)}/s delivered, "
           f"{show.count((now['dropped'] - first['dropped']) / seconds)}/s dropped."
           if fresh or now["dropped"] != first["dropped"]
           else f"In the last {seconds:.1f} s nothing came.")
    for reason, number in now["drops"].items():
        if number:
            lately = number - first["drops"].get(reason, 0)
            yield (f"Dropped as {reason}: {number}"
                   + (f", {lately} of them in the last {seconds:.1f} s" if lately else
                      ", none of them lately") + f": {reasons.get(('to_vm', reason), 'no explanation')}.")
    if now["waiting"] and now["delivered"] == first["delivered"]:
        yield (f"{now['waiting']} packets wait and none was delivered lately: the backend takes "
               "nothing.")
    elif now["waiting"]:
        yield f"{now['waiting']} packets wait: the backend is slower than what comes."
    if now.get("bursts"):
        yield f"A burst handed to the backend has {now['delivered'] / now['bursts']:.1f} packets."


def sent(first, now, seconds, reasons):
    """What the VM sends, where its backend can receive."""
    sends, before = now["transmit"], first["transmit"]
    taken = sends["received"]
    if not taken:
        if sends["buffers"]["limit"]:
            yield "The VM has sent nothing."
        return
    yield (f"Of {taken} packets that the VM has sent, {part(sends['sent'], taken)} went to the "
           f"wire, {part(sends['local'], taken)} to other queues, and "
           f"{part(sends['dropped'], taken)} were dropped.")
    for reason, number in sends["drops"].items():
        if number:
            lately = number - before["drops"][reason]
            yield (f"Dropped on the way out as {reason}: {number}, {lately} of them in the last "
                   f"{seconds:.1f} s: {reasons.get(('from_vm', reason), 'no explanation')}.")


def memory(now):
    buffers = now["buffers"]
    yield (f"Its memory has {buffers['populated']} buffers, {buffers['available']} of them free; "
           f"the limit is {buffers['limit']} ({show.size(buffers['bytes'])} now).")
    if buffers["populated"] and buffers["available"] == 0:
        yield ("All of its memory is in use: what comes is dropped until packets come home"
               + (", or a block is added: vmqctl memory grow." if
                  buffers["populated"] < buffers["limit"] else
                  "; it is at its limit: more needs a larger memory.limit."))
    if buffers["retiring"]:
        yield f"{buffers['retiring']} buffers are set aside to be given back."
    if buffers["failed"]:
        yield (f"{buffers['failed']} times it asked for a block of memory and there was none: "
               "more hugepages, or a larger memory_limit_mb of the adapter.")


def backend(shown, now):
    one = shown.get("backend", now["backend"])
    text = one.get("text") or now["backend"].get("text") or one.get("type")
    link = one.get("link")
    if isinstance(link, dict):
        state = "up" if link.get("up") else "down"
        yield (f"Its backend is {show.plain(text)}, and it is {state}"
               + (f": {show.plain(link['text'])}." if link.get("text") else "."))
    else:
        yield f"Its backend is {show.plain(text)}."


def port(now, adapter):
    nic = adapter["nic"]
    if now["id"] == 0 or nic["missed"] or nic["no_buffer"]:
        yield (f"The port of the adapter has received {nic['received']} packets, and lost "
               f"{nic['missed']} because its ring was full.")
    if nic["no_buffer"]:
        yield (f"{nic['no_buffer']} times it found no buffer: the default queue's memory is too "
               "small.")
