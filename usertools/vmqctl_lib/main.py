# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""From the command line to an exit status."""

import argparse
import json
import os
import sys

from . import show
from .client import Client, NoDaemon, Refused, find
from .commands import COMMANDS, GLOBALS, STATUSES

DONE, REFUSED, USAGE, NO_DAEMON = 0, 1, 2, 3


class Usage(Exception):
    """The command line is wrong in a way that the parser cannot see."""


class Context:
    """What an action has: the words of the command line, and a connection once it asks."""

    def __init__(self, args):
        self.args = args
        self._client = None

    @property
    def client(self):
        if self._client is None:
            self._client = Client(self.args.socket or find(), self.args.timeout)
        return self._client

    def connect(self):
        """Another connection of its own."""
        return Client(self.client.path, self.args.timeout)

    def call(self, method, timeout=None, **params):
        """Call a method; parameters that are None are left out."""
        given = {key: value for key, value in params.items() if value is not None}
        if self.args.adapter is not None:
            given.setdefault("adapter", self.args.adapter)
        return self.raw(method, given, timeout)

    def raw(self, method, given, timeout=None):
        if getattr(self.args, "as") is not None:
            given = {**given, "as": getattr(self.args, "as")}
        return self.client.call(method, given, timeout)

    def usage(self, text):
        raise Usage(text)

    def close(self):
        if self._client is not None:
            self._client.close()


def status_text():
    return "exit status: " + ", ".join(f"{number} {text}" for number, text in STATUSES)


def add_arg(parser, one, default=None):
    options = {"help": one.help.replace("%", "%%")}
    if one.is_option:
        options["dest"] = one.names[-1].lstrip("-").replace("-", "_")
    if one.flag:
        options["action"] = "store_true"
        options["default"] = default if default is not None else False
    else:
        options.update(type=one.type, metavar=one.value,
                       default=default if default is not None else one.default)
        if one.is_option and one.nargs == "*":
            options["action"] = "append"
        elif one.nargs:
            options["nargs"] = one.nargs
        if not one.is_option:
            options["metavar"] = one.metavar or one.names[0].upper()
    parser.add_argument(*one.names, **options)


def parser():
    """argparse's parser of the table."""
    top = argparse.ArgumentParser(
        prog="vmqctl", description="Watch and drive a running vmqd.", epilog=status_text(),
        allow_abbrev=False)
    # Global options may stand before the command and behind it.
    common = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for one in GLOBALS:
        add_arg(top, one)
        add_arg(common, one, argparse.SUPPRESS)
    groups = {"": top.add_subparsers(dest="command", metavar="COMMAND", required=True)}
    for command in COMMANDS:
        *parents, last = command.words.split()
        name = " ".join(parents)
        if name not in groups:
            inner = [one for one in COMMANDS if one.words.startswith(name + " ")]
            verbs = ", ".join(one.words.split()[1] for one in inner)
            sub = groups[""].add_parser(name, help=verbs, description=f"vmqctl {name}: {verbs}",
                                        parents=[common], allow_abbrev=False)
            groups[name] = sub.add_subparsers(dest="verb", metavar="VERB", required=True)
        one = groups[name].add_parser(
            last, help=command.help, description=f"{command.help[0].upper()}{command.help[1:]}.",
            epilog=command.more or None, parents=[common], allow_abbrev=False)
        for given in command.args:
            add_arg(one, given)
        one.set_defaults(row=command)
    return top


def carry_out(context):
    command = context.args.row
    result = command.run(context)
    if result is None:
        return
    if context.args.json:
        print(json.dumps(result, indent=1, ensure_ascii=False))
        return
    for line in (command.show or show.tree)(result):
        print(line)


def main(arguments):
    context = Context(parser().parse_args(arguments))
    try:
        carry_out(context)
        sys.stdout.flush()
        return DONE
    except Usage as error:
        print(f"vmqctl: {error}; vmqctl {context.args.row.words} --help says more",
              file=sys.stderr)
        return USAGE
    except Refused as error:
        if context.args.json:
            print(json.dumps({"error": error.error}, indent=1, ensure_ascii=False))
        for line in error.lines():
            print(f"vmqctl: {line}", file=sys.stderr)
        return REFUSED
    except NoDaemon as error:
        print(f"vmqctl: {error}", file=sys.stderr)
        return NO_DAEMON
    except BrokenPipeError:  # the reader of our output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:
        print(f"vmqctl: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        return DONE if context.args.row.words in ("top", "events", "capture") else 130
    finally:
        context.close()
