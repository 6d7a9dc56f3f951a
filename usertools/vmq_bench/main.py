# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
Measure vmqd beside other programs, on this machine.

Every subcommand first measures vmqd against itself, then all programs in turn, in short
runs, and prints medians and spreads: a difference that is not larger than that of vmqd
and itself means nothing.
"""

import argparse
import importlib
import pathlib
import sys

from vmq_bench import common
from vmq_bench.common import BenchError

# Name: (one line of help, does it run vmqd, does it measure).
COMMANDS = {
    "steer": ("steering into N queues, beside testpmd rxonly and Open vSwitch", True, True),
    "vms": ("delivery to N VMs by vhost-user, beside Open vSwitch", True, True),
    "latency": ("from the port into a VM's hands, at low and high load", False, True),
    "rfc2544": ("throughput and loss by frame size, with a generator", True, True),
    "control": ("requests over the socket, with and without traffic", True, True),
    "scale": ("start, memory and cycles with many queues and filters", True, True),
    "memory": ("the memory of queues, beside DPDK's own pools", False, True),
    "compare": ("what has changed between two results", False, False),
    "plot": ("draw results that were written with --json", False, False),
}


def parse():
    parser = argparse.ArgumentParser(prog="vmq-bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (text, daemon, measures) in COMMANDS.items():
        module = importlib.import_module(f"vmq_bench.{name}")
        one = commands.add_parser(name, help=text, description=module.__doc__,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
        module.add_arguments(one)
        one.add_argument("--json", metavar="FILE", help="write the result as JSON; - is stdout")
        if measures:
            one.add_argument("--runs", type=int, default=5,
                             help="runs of each (default %(default)s)")
            one.add_argument("--core", type=int,
                             help="CPU of the worker (default the last one allowed)")
            one.add_argument("--plots", metavar="FOLDER",
                             help="draw the result as PNG, SVG and an HTML page; needs matplotlib")
        if daemon:
            one.add_argument("--vmqd", type=pathlib.Path,
                             default=common.TOP / "build" / "app" / "vmqd" / "vmqd",
                             help="the binary (default %(default)s)")
        one.set_defaults(module=module)
    args = parser.parse_args()
    if getattr(args, "runs", 1) < 1:
        parser.error("--runs: at least one")
    args.module.check_arguments(parser, args)
    return args


def main():
    args = parse()
    try:
        args.module.run(args)
    except (BenchError, OSError) as error:
        print(f"vmq-bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
