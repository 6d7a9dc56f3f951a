# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""Draw results that were written with --json, as PNG and SVG, and an HTML page of them."""

import pathlib

from vmq_bench import common, compare, plots


def add_arguments(parser):
    parser.add_argument("results", type=pathlib.Path, nargs="+", metavar="RESULT.json")
    parser.add_argument("--output", type=pathlib.Path, required=True, metavar="FOLDER",
                        help="where index.html and the pictures go; made if need be")


def check_arguments(_parser, _args):
    pass


def run(args):
    screen = common.Screen(args)
    names = plots.draw([compare.read(path) for path in args.results], args.output)
    screen.say(f"{args.output / 'index.html'}: {len(names)} pictures")
