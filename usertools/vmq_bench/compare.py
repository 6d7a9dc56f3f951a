# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
What has changed between two results of the same subcommand. A figure has changed when
its median is outside the other run's whole spread, and the other way round: what lies
within the spread is chance.
"""

import json
import pathlib

from vmq_bench import common
from vmq_bench.common import BenchError


# What a user has chosen, or the bench for him, of any subcommand.
SETTINGS = ("buffer_bytes", "buffers", "frame_bytes", "frames", "generator", "link", "packed",
            "queue_buffers", "ring", "tolerance", "vms")


def add_arguments(parser):
    parser.add_argument("old", type=pathlib.Path, help="result of --json, the earlier one")
    parser.add_argument("new", type=pathlib.Path, help="result of --json, the later one")


def check_arguments(_parser, _args):
    pass


def read(path):
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BenchError(f"{path}: {error}") from None
    if not isinstance(result, dict) or "figures" not in result:
        raise BenchError(f"{path}: no result of vmq-bench --json: it has no figures")
    return result


def verdict(old, new):
    """"better", "worse" or "same"."""
    if old["min"] <= new["median"] <= old["max"] or new["min"] <= old["median"] <= new["max"]:
        return "same"
    return "better" if (new["median"] > old["median"]) == (old["better"] == "higher") else "worse"


def differences(old, new):
    """What else differs and may be the reason. None: that result does not say."""
    for key in SETTINGS:
        if old.get(key) != new.get(key):
            yield f"setting: {key}: {old.get(key)} -> {new.get(key)}"
    for part in ("machine", "versions"):
        for key in sorted(set(old.get(part, {})) | set(new.get(part, {}))):
            before, after = old.get(part, {}).get(key), new.get(part, {}).get(key)
            if before != after:
                yield f"{part}: {key}: {before} -> {after}"


def run(args):
    screen = common.Screen(args)
    old, new = read(args.old), read(args.new)
    if old["bench"] != new["bench"]:
        raise BenchError(f"{args.old} is a result of {old['bench']}, {args.new} of {new['bench']}")
    known = {figure["name"]: figure for figure in old["figures"]}
    rows, count = [], {"better": 0, "worse": 0, "same": 0}
    for after in new["figures"]:
        before = known.pop(after["name"], None)
        if before is None:
            screen.say(f"{after['name']:<44} only in {args.new}")
            continue
        change = after["median"] / before["median"] - 1 if before["median"] else 0.0
        word = verdict(before, after)
        count[word] += 1
        rows.append({"name": after["name"], "old": before["median"], "new": after["median"],
                     "change": round(change, 4), "verdict": word})
        screen.say(f"{after['name']:<44} {before['median']:10.3f} -> {after['median']:10.3f} "
                   f"{after['unit']:<5} {100 * change:+6.1f} %  "
                   f"{word if word != 'same' else 'within the spread'}")
    for name in known:
        screen.say(f"{name:<44} only in {args.old}")
    if not rows:
        raise BenchError("the two have no figure in common")
    for line in differences(old, new):
        screen.say(line)
    screen.say(f"{count['better']} better, {count['worse']} worse, {count['same']} within the "
               "spread")
    if args.json:
        text = json.dumps({"bench": "compare", "figures": rows, **count})
        if args.json == "-":
            print(text)
        else:
            pathlib.Path(args.json).write_text(text + "\n", encoding="utf-8")
