# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
The table of commands. The parser, --help, the manual page and bash's completion are
made of it (main.py, man.py, complete.py); what a row runs is in actions.py.
"""

from dataclasses import dataclass, field

from . import actions, capture, events, top, why


@dataclass
class Arg:
    """A word of a command, or an option if its names begin with a dash."""
    names: tuple
    help: str
    kind: str = "text"  # what completion offers: queue, adapter, file, drop, method, ...
    metavar: str = ""
    nargs: str = ""  # "?", "*"; "" for one
    flag: bool = False
    default: object = None
    type: type = str

    @property
    def is_option(self):
        return self.names[0].startswith("-")

    @property
    def value(self):
        """What stands for its value in help."""
        return "" if self.flag else self.metavar or self.kind.upper()


@dataclass
class Command:
    words: str  # "queue list"
    help: str  # one line, without a full stop
    run: object  # run(context), returns what is shown, or None
    show: object = None  # show(result), yields lines; without it a tree
    args: list = field(default_factory=list)
    more: str = ""  # a paragraph for the manual page and the command's own help
    methods: tuple = ()  # the daemon's methods that it uses


def arg(*names, **options):
    return Arg(names, **options)


QUEUE = arg("queue", kind="queue", help="id or name of the queue")
SOME_QUEUE = arg("queue", kind="queue", nargs="?", help="id or name of the queue; without: all")
SETTINGS = arg("settings", kind="setting", metavar="KEY=VALUE", nargs="*",
               help="keys of a queue in the document, with dots: memory.buffers=4096")
FILTER = arg("filter", kind="filter", metavar="MAC[/VLAN]",
             help='such as 52:54:00:00:00:01, 52:54:00:00:00:01/10, '
                  '52:54:00:00:00:01/untagged, */10')
NO_WAIT = arg("--no-wait", flag=True, help="do not wait for the end, only for the start")
DOCUMENT = arg("file", kind="file", nargs="?",
               help="the document; - for standard input; without: the file that vmqd runs by")

COMMANDS = [
    Command("queue list", "the queues, and what each of them is", actions.queue_list,
            actions.show_queues, methods=("queue.list",)),
    Command("queue show", "all about one queue", actions.queue_show, args=[QUEUE],
            methods=("queue.show",)),
    Command("queue allocate", "make a queue and run it, all or nothing", actions.queue_allocate,
            actions.show_allocated, args=[
                arg("name", kind="name", help="name of the new queue"),
                SETTINGS,
                arg("-f", "--filter", kind="filter", metavar="MAC[/VLAN]", nargs="*",
                    help="what it takes; may be given several times"),
                arg("-F", "--from", kind="file",
                    help="read the queue from a file, as it is in a document; words of the "
                         "command line go before it")],
            more="A queue has the keys that it has in the document (vmqd.json(5)): "
                 "vm=NAME and backend.type=sink are the least.",
            methods=("queue.allocate",)),
    Command("queue free", "clear a queue's filters and free it", actions.queue_free,
            args=[QUEUE, NO_WAIT],
            more="The answer comes when the memory is really free: when the last packet that is "
                 "out is home.", methods=("queue.free",)),
    Command("queue set", "change what can be changed of a queue", actions.queue_set,
            args=[QUEUE, SETTINGS], methods=("queue.set",)),
    Command("queue promote", "have the NIC steer a queue", actions.queue_promote, args=[QUEUE],
            more="It gets a hardware queue if one is free, with its packets on their way: none "
                 "is lost or overtaken. The answer comes when the NIC has its rules.",
            methods=("queue.promote",)),
    Command("queue demote", "steer a queue in software", actions.queue_demote, args=[QUEUE],
            more="Its hardware queue is free for others then, and it gets one again by hand "
                 "only.", methods=("queue.demote",)),
    Command("filter list", "the filters of a queue, or of all", actions.filter_list,
            actions.show_filters, args=[SOME_QUEUE], methods=("filter.list", "queue.list")),
    Command("filter set", "set a filter on a queue", actions.filter_set,
            args=[QUEUE, FILTER], methods=("filter.set",)),
    Command("filter clear", "clear a filter", actions.filter_clear,
            args=[arg("id", kind="number", type=int, help="id of the filter")],
            more="After the last filter of a queue what waits in it is dropped and counted.",
            methods=("filter.clear",)),
    Command("filter move", "move a filter to another queue, at once for every packet",
            actions.filter_move,
            args=[arg("id", kind="number", type=int, help="id of the filter"),
                  arg("to", kind="queue", help="id or name of the queue that gets it")],
            methods=("filter.move",)),
    Command("memory show", "packet memory of a queue, or of all", actions.memory_show,
            actions.show_memory, args=[SOME_QUEUE], methods=("memory.show", "stats")),
    Command("memory grow", "give a queue one more block of memory", actions.memory_grow,
            args=[QUEUE, arg("buffers", kind="number", type=int, help="how many buffers")],
            methods=("memory.grow",)),
    Command("memory shrink", "take the last added block from a queue", actions.memory_shrink,
            args=[QUEUE], more="The block goes when all packets in it are home, which vmqctl "
                               "events tells.",
            methods=("memory.shrink",)),
    Command("adapter list", "the adapters", actions.adapter_list, actions.show_adapters,
            methods=("adapter.list",)),
    Command("adapter show", "all about an adapter", actions.adapter_show,
            args=[arg("name", kind="adapter", nargs="?", help="its name; not needed with one")],
            methods=("adapter.show",)),
    Command("adapter capabilities", "what an adapter can do, and what is enabled",
            actions.adapter_capabilities,
            args=[arg("name", kind="adapter", nargs="?", help="its name; not needed with one")],
            methods=("adapter.capabilities",)),
    Command("adapter verify", "compare what the NIC does with its rules, on live traffic",
            actions.adapter_verify, actions.show_verified,
            args=[arg("name", kind="adapter", nargs="?", help="its name; not needed with one"),
                  arg("--seconds", kind="number", type=int, help="how long (default 5)")],
            more="Rules that a NIC accepts and does not honour exist. Software confirms every "
                 "packet before a VM sees it, so that they cost speed and memory, and nothing "
                 "else. DEFAULT and OTHER: packets of the rule's filter that came by the default "
                 "queue or another hardware queue. RESIDUAL: brought by the rule and another's, "
                 "since the NIC tests the MAC alone; no fault. A rule all of whose packets came by the "
                 "default queue is made anew: the NIC may have lost it.",
            methods=("adapter.verify",)),
    Command("adapter reset", "reset an adapter's NIC, and put back what it is to know",
            actions.adapter_reset,
            args=[arg("name", kind="adapter", nargs="?", help="its name; not needed with one")],
            more="Queues keep their states. What is in the NIC's rings is lost, and what comes "
                 "until it runs again, which vmqctl events tells (PORT_RESET) and adapter show.",
            methods=("adapter.reset",)),
    Command("owner list", "the owners of queues and filters, and how much they have",
            actions.owner_list, actions.show_owners, methods=("owner.list",)),
    Command("owner take-over", "have what an owner had that will not come back",
            actions.owner_take_over,
            args=[arg("owner", kind="owner", help="such as uid:alice; not one that is connected")],
            methods=("owner.take_over",)),
    Command("stats", "all figures", actions.stats, actions.show_stats, methods=("stats",)),
    Command("drops", "why packets were dropped", actions.drops, actions.show_drops,
            args=[SOME_QUEUE], methods=("drops",)),
    Command("workers", "load and sleep of the workers", actions.workers, actions.show_workers,
            methods=("workers",)),
    Command("config check", "check a document as vmqd would", actions.config_check,
            actions.show_checked, args=[DOCUMENT], methods=("config.check",)),
    Command("config plan", "what would be done to run by a document", actions.config_plan,
            actions.show_plan, args=[DOCUMENT], methods=("config.plan",)),
    Command("config apply", "run by a document, all or nothing", actions.config_apply,
            actions.show_plan,
            args=[DOCUMENT, arg("--skip-restart", flag=True,
                                help="do what can be done live, leave out what needs a restart")],
            methods=("config.apply",)),
    Command("config save", "the document of what runs now", actions.config_save,
            actions.show_document,
            args=[arg("file", kind="file", nargs="?", help="without it, or -: standard output"),
                  arg("--all", flag=True, help="queues and filters of all owners, not only those "
                                               "of the document")],
            methods=("config.save",)),
    Command("config diff", "what differs between a document and what runs now",
            actions.config_diff, actions.show_differences, args=[DOCUMENT],
            methods=("config.diff",)),
    Command("events", "what happens, as it happens", events.run,
            args=[arg("--types", kind="text", metavar="TYPE,...",
                      help="only these: queue_state, memory_grown, backend_down, link_up, port_reset..."),
                  arg("-n", "--count", kind="number", type=int, help="end after so many")],
            more="Ends with Ctrl-C. A client that reads too slowly is told what it missed.",
            methods=("subscribe",)),
    Command("top", "queues and workers, live", top.run,
            args=[arg("-d", "--delay", kind="number", metavar="SECONDS", type=float, default=1.0,
                      help="from one picture to the next (default 1)"),
                  arg("-b", "--batch", flag=True, help="print pictures one after the other"),
                  arg("-n", "--count", kind="number", type=int, help="end after so many"),
                  arg("-o", "--sort", kind="sort", default="rate",
                      help="rate, drops, waiting, memory, name or id")],
            more="Keys: r rate, d drops, w waiting, m memory, n name, i id sort by that; "
                 "R turns the order; arrows and page keys scroll; q ends.",
            methods=("stats",)),
    Command("why", "where a queue's packets go, and what it waits for, in words", why.run,
            why.show_words, args=[QUEUE], methods=("queue.list", "stats", "drops")),
    Command("capture", "write one queue's packets to a capture file", capture.run,
            args=[QUEUE,
                  arg("--drops", kind="drop", metavar="REASON",
                      help="dropped packets instead of delivered ones: a reason (vmqctl drops) "
                           "or all"),
                  arg("-w", "--write", kind="file", metavar="FILE",
                      help="pcapng file with nanoseconds; - for standard output"),
                  arg("-c", "--count", kind="number", type=int, help="end after so many packets"),
                  arg("--seconds", kind="number", type=float, help="end after so many seconds"),
                  arg("--snaplen", kind="number", type=int, metavar="BYTES",
                      help="keep so many bytes of a packet (default: all)")],
            more="Ends with Ctrl-C. Copying may take half of the time that the queue's worker has "
                 "nothing to do, and 0.1 % of a full one's, some 60,000 packets a second. What is "
                 "over that is counted and said at the end; the queue itself is not slowed and "
                 "loses no packet for it.",
            methods=("capture.start", "capture.stop")),
    Command("oid", "make a typed request (NDIS OID)", actions.oid, actions.show_oid,
            args=[arg("name", kind="oid", nargs="?",
                      help="name or number; without: the list of them"),
                  arg("information", kind="json", nargs="?", help="its information, in JSON"),
                  arg("--type", kind="text", metavar="query|set|method",
                      help="where an OID has more than one")],
            methods=("oid", "oid.list")),
    Command("call", "call any method of the daemon", actions.call,
            args=[arg("method", kind="method", help="its name"),
                  arg("params", kind="json", nargs="?", help="its parameters, a JSON object")]),
    Command("methods", "the daemon's own list of methods", actions.methods,
            actions.show_methods,
            args=[arg("method", kind="method", nargs="?", help="all about this one")],
            methods=("methods",)),
    Command("version", "versions of vmqd and DPDK, and who you are to them", actions.version,
            methods=("version",)),
    Command("shutdown", "stop the daemon in order", actions.shutdown, methods=("shutdown",)),
    Command("completion", "print the completion script for bash", actions.completion),
]

GLOBALS = [
    arg("-s", "--socket", kind="file", metavar="PATH",
        help="control socket; without it the one daemon that runs is found"),
    arg("-a", "--adapter", kind="adapter", help="the adapter; not needed with one"),
    arg("--as", kind="text", metavar="OWNER", help="act in the name of an owner "
        "(administrators)"),
    arg("-j", "--json", flag=True, help="the answer as JSON, for programs"),
    arg("-t", "--timeout", kind="number", metavar="SECONDS", type=float, default=60.0,
        help="how long to wait for an answer (default 60; 0: for ever)"),
]

STATUSES = [(0, "done"), (1, "refused, or not carried out"), (2, "wrong usage"),
            (3, "no daemon")]


def find(words):
    for command in COMMANDS:
        if command.words == words:
            return command
    return None
