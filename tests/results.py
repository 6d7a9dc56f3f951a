#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
Count what `meson test` and pytest have left behind, name what failed or was
skipped, and end with the line "N passed, M failed". Exit status 0 only if
something passed and nothing failed.

    results.py [--meson LABEL FOLDER]... [--pytest LABEL FILE]... [--failed TEXT]...
    results.py --names-of-failed FOLDER

--failed adds a failure that no test program could report itself (a build). Beside a
log of a first run may lie one of a second run of what failed in it (again.* of meson,
NAME-again.xml of pytest): what passed there counts as passed, and is named.
--names-of-failed prints what failed in a folder of meson, for that second run.
"""

import argparse
import json
import os
import sys
import xml.etree.ElementTree as ElementTree

GOOD = ("OK", "SKIP", "EXPECTEDFAIL")


class Count:
    def __init__(self):
        self.passed = 0
        self.names = set()  # of what passed
        self.failed = []
        self.skipped = []
        self.again = []  # failed, and passed when they were run a second time

    def second(self, second):
        """Take in the results of a second run of what failed."""
        for name in [name for name in self.failed if name in second.names]:
            self.failed.remove(name)
            self.again.append(name)
            self.passed += 1


def count_junit(count, label, path):
    """Count the test cases of a JUnit file; returns how many failed in each suite."""
    bad = {}
    for suite in ElementTree.parse(path).getroot().iter("testsuite"):
        for case in suite.findall("testcase"):
            if label == "functional":
                name = f"{case.get('classname')}::{case.get('name')}"
            else:
                name = f"{label}: {suite.get('name')}: {case.get('name')}"
            skipped = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                count.failed.append(name)
                bad[suite.get("name")] = bad.get(suite.get("name"), 0) + 1
            elif skipped is not None:
                count.skipped.append(f"{name}: {skipped.get('message') or 'no reason given'}")
            else:
                count.passed += 1
                count.names.add(name)
    return bad


def count_meson_log(count, label, folder, base):
    log = os.path.join(folder, "meson-logs", base)
    try:
        bad = count_junit(count, label, log + ".junit.xml")
        with open(log + ".json", encoding="utf-8") as lines:
            results = [json.loads(line) for line in lines]
    except (OSError, ValueError, ElementTree.ParseError) as error:
        count.failed.append(f"{label}: no results: {error}")
        return
    for result in results:
        # A program that died, or ran fewer cases than it had announced, may have
        # reported nothing but successes before.
        name = result["name"].split(" / ")[-1]
        if result["result"] not in GOOD and not any(suite.split(".")[-1] == name
                                                    for suite in bad):
            # Its name in a second run, where it is whole, is the same.
            count.failed.append(f"{label}: {name} as a whole")
            print(f"{label}: {name}: {result['result']}, status {result['returncode']}")
        elif result["result"] in GOOD:
            count.names.add(f"{label}: {name} as a whole")


def merge(count, first, second):
    """Add a first run and the second run of what failed in it."""
    if second is not None:
        first.second(second)
    count.passed += first.passed
    count.failed += first.failed
    count.skipped += first.skipped
    count.again += first.again


def count_meson(count, label, folder):
    first, second = Count(), None
    count_meson_log(first, label, folder, "testlog")
    if os.path.exists(os.path.join(folder, "meson-logs", "again.json")):
        second = Count()
        count_meson_log(second, label, folder, "again")
    merge(count, first, second)


def names_of_failed(folder):
    """Programs of which anything failed."""
    with open(os.path.join(folder, "meson-logs", "testlog.json"), encoding="utf-8") as lines:
        results = [json.loads(line) for line in lines]
    return [result["name"].split(" / ")[-1] for result in results
            if result["result"] not in GOOD]


def count_pytest(count, label, path):
    first, second = Count(), None
    try:
        count_junit(first, label, path)
        again = path.removesuffix(".xml") + "-again.xml"
        if os.path.exists(again):
            second = Count()
            count_junit(second, label, again)
    except (OSError, ElementTree.ParseError) as error:
        first.failed.append(f"{label}: no results: {error}")
    merge(count, first, second)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--meson", nargs=2, action="append", default=[])
    parser.add_argument("--pytest", nargs=2, action="append", default=[])
    parser.add_argument("--failed", action="append", default=[])
    parser.add_argument("--names-of-failed", metavar="FOLDER")
    args = parser.parse_args()
    if args.names_of_failed is not None:
        print(" ".join(names_of_failed(args.names_of_failed)))
        return 0

    count = Count()
    for label, folder in args.meson:
        count_meson(count, label, folder)
    for label, path in args.pytest:
        count_pytest(count, label, path)
    count.failed += args.failed
    if os.environ.get("CI") == "true":
        # There, everything that a test needs has to be present.
        count.failed += [f"skipped, which CI does not allow: {name}" for name in count.skipped]
        count.skipped = []

    for name in count.skipped:
        print(f"skipped: {name}")
    for name in count.again:
        print(f"passed the second time only: {name}")
    for name in count.failed:
        print(f"failed: {name}")
    line = f"{count.passed} passed, {len(count.failed)} failed"
    if count.skipped:
        line += f", {len(count.skipped)} skipped"
    if not count.passed and not count.failed:
        print("no test has run")
    print(line)
    return 0 if count.passed and not count.failed else 1


if __name__ == "__main__":
    sys.exit(main())
