# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""What the simple commands ask, and how the answers look."""

import json
import os
import sys
import tempfile

from . import show


def queue_word(word):
    """A queue on the command line: digits are an id, name=7 the queue named "7"."""
    if word is None:
        return None
    if word.startswith("name="):
        return word[5:]
    return int(word) if word.isascii() and word.isdigit() else word


def filter_word(context, word):
    """52:54:00:00:00:01/10 as the document has it."""
    mac, slash, vlan = word.rpartition("/")
    if not slash:
        mac, vlan = word, "any"
    one = {}
    if mac not in ("*", ""):
        one["mac"] = mac
    if vlan.isascii() and vlan.isdigit():
        one["vlan"] = int(vlan)
    elif vlan in ("untagged", "any"):
        one["vlan"] = vlan
    else:
        context.usage(f'"{word}" is no filter: behind the slash a VLAN number, "untagged" or '
                      '"any"')
    return one


def settings_word(context, words):
    """["memory.buffers=64", "vm=a"] as an object of the document."""
    made = {}
    for word in words:
        path, equals, text = word.partition("=")
        if not equals or not path:
            context.usage(f'"{word}" is not KEY=VALUE')
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text
        *parents, last = path.split(".")
        place = made
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                context.usage(f'"{word}": {parent} has a value already')
        place[last] = value
    return made


def read_document(context):
    """A document as JSON; what is no JSON is said as a compiler would."""
    name = context.args.file
    if name == "-":
        text = sys.stdin.read()
    else:
        with open(name, encoding="utf-8") as file:
            text = file.read()
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise OSError(f"{name}:{error.lineno}:{error.colno}: this is not JSON: {error.msg}") \
            from None


# queues

def queue_list(context):
    return context.call("queue.list")


def show_queues(result):
    yield from show.table(
        ("ID", "QUEUE", "VM", "FILTERS", "CPU", "STATE", "STEERING", "BACKEND", "OWNER",
         "ADAPTER"),
        [(one["id"], one["name"], one["vm"],
          [show.filter_text(each) for each in one.get("filters", [])][:3]
          + (["..."] if len(one.get("filters", [])) > 3 else []),
          one.get("worker"), one["state"], steering(one), one["backend"].get("text")
          or one["backend"]["type"], one.get("owner"), one["adapter"])
         for one in result["queues"]], right=(0, 4))
    # Where the NIC steers, why it does not steer all.
    reasons = {}
    for one in result["queues"]:
        why = one.get("steering_reason")
        if why and one["id"] != 0 and not why.startswith("the adapter steers in software"):
            reasons.setdefault((one["steering"], why), []).append(show.plain(one["name"]))
    for (where, why), names in reasons.items():
        yield f"{', '.join(names)}: {where}: {show.plain(why)}"


def steering(one):
    """hardware, or software with its reason where there is one."""
    where = one.get("steering", "-")
    if isinstance(where, dict):
        why = where.get("reason")
        where = where.get("path") or where.get("by") or "-"
        return f"{where} ({why})" if why else where
    return where


def queue_show(context):
    return context.call("queue.show", queue=queue_word(context.args.queue))


def queue_allocate(context):
    queue = {}
    if getattr(context.args, "from"):
        context.args.file = getattr(context.args, "from")
        queue = read_document(context)
    queue["name"] = context.args.name
    for key, value in settings_word(context, context.args.settings).items():
        if isinstance(value, dict) and isinstance(queue.get(key), dict):
            queue[key].update(value)
        else:
            queue[key] = value
    if context.args.filter:
        queue["filters"] = queue.get("filters", []) + [
            filter_word(context, word) for word in context.args.filter]
    if context.args.adapter is not None:
        queue.setdefault("adapter", context.args.adapter)
    return context.raw("queue.allocate", {"queue": queue}, timeout=0)


def show_allocated(result):
    yield from show.tree(result)


def queue_free(context):
    return context.call("queue.free", timeout=0, queue=queue_word(context.args.queue),
                        wait=False if context.args.no_wait else None)


def queue_set(context):
    if not context.args.settings:
        context.usage("nothing to set: KEY=VALUE, such as memory.buffers=4096")
    return context.call("queue.set", queue=queue_word(context.args.queue),
                        **settings_word(context, context.args.settings))


def queue_promote(context):
    return context.call("queue.promote", timeout=0, queue=queue_word(context.args.queue))


def queue_demote(context):
    return context.call("queue.demote", timeout=0, queue=queue_word(context.args.queue))


# filters

def filter_list(context):
    return context.call("filter.list", queue=queue_word(context.args.queue))


def show_filters(result):
    yield from show.table(
        ("ID", "MAC", "VLAN", "QUEUE", "STEERED BY", "OWNER", "ADAPTER"),
        [(one.get("id"), one.get("mac"), one.get("vlan"), queue_of(one), one.get("how"),
          one.get("owner"), one.get("adapter")) for one in result["filters"]], right=(0,))


def queue_of(one):
    """A queue's name and id where the answer has both."""
    if one.get("name"):
        return f"{one['name']} ({one['queue']})" if "queue" in one else one["name"]
    return one.get("queue")


def filter_set(context):
    return context.call("filter.set", queue=queue_word(context.args.queue),
                        filter=filter_word(context, context.args.filter))


def filter_clear(context):
    return context.call("filter.clear", filter=context.args.id)


def filter_move(context):
    return context.call("filter.move", filter=context.args.id, to=queue_word(context.args.to))


# memory

def memory_show(context):
    return context.call("memory.show", queue=queue_word(context.args.queue))


def show_memory(result):
    pools = []
    for one in result.get("queues") or [result]:
        pools.append((one.get("id"), one.get("name"), memory_of(one)))
        # Where its VM sends, it has memory for that, too.
        if (one.get("transmit") or {}).get("populated"):
            pools.append(("", "  transmit", one["transmit"]))
    yield from show.table(
        ("ID", "QUEUE", "POPULATED", "AVAILABLE", "OUT", "RETIRING", "LIMIT", "BLOCKS", "MEMORY",
         "GROWN", "RETURNED", "FAILED"),
        [(number, name, *(pool.get(key) for key in (
            "populated", "available", "outstanding", "retiring", "limit", "blocks")),
          show.size(pool.get("bytes")), *(pool.get(key) for key in (
              "grown", "returned", "failed"))) for number, name, pool in pools],
        right=(0, *range(2, 12)))
    if "bytes" in result and "queues" in result:
        yield f"together: {show.size(result['bytes'])}"


def memory_of(one):
    return one.get("buffers") or one.get("memory") or one


def memory_grow(context):
    return context.call("memory.grow", timeout=0, queue=queue_word(context.args.queue),
                        buffers=context.args.buffers)


def memory_shrink(context):
    return context.call("memory.shrink", timeout=0, queue=queue_word(context.args.queue))


# adapters

def adapter_call(context, method, **options):
    """Name as a word of the command or as --adapter."""
    params = {"adapter": context.args.name or context.args.adapter}
    return context.raw(method, {k: v for k, v in params.items() if v is not None}, **options)


def adapter_list(context):
    return context.call("adapter.list")


def show_adapters(result):
    yield from show.table(
        ("ADAPTER", "DEVICE", "QUEUES", "FILTERS", "MEMORY", "RECEIVED", "MISSED", "SENT"),
        [(one["name"], one["device"], one["queues"], one["filters"],
          show.size(one["memory_bytes"]),
          *(one["nic"].get(key) for key in ("received", "missed", "sent")))
         for one in result["adapters"]], right=range(2, 8))


def adapter_show(context):
    return adapter_call(context, "adapter.show")


def adapter_capabilities(context):
    return adapter_call(context, "adapter.capabilities")


def adapter_reset(context):
    return adapter_call(context, "adapter.reset")


def adapter_verify(context):
    params = {"adapter": context.args.name or context.args.adapter,
              "seconds": context.args.seconds}
    return context.raw("adapter.verify", {k: v for k, v in params.items() if v is not None},
                       timeout=0)


def show_verified(result):
    """What differs first, then all rules."""
    yield (f"adapter {show.plain(result['adapter'])}: {result['packets']} packets in "
           f"{result['seconds']:.1f} s, {len(result['rules'])} rules of the NIC")
    for one in result["rules"]:
        if one["verdict"] in ("not honoured", "honoured in part"):
            missed = one["in_default_queue"] + one["in_other_queues"]
            yield (f"rule of filter {one['id']} ({show.filter_text(one)}) of queue "
                   f"{one['queue']} ({show.plain(one['name'])}) is {one['verdict']}: "
                   f"{one['right']} packets where it leads, {missed} elsewhere, "
                   f"{one['too_much']} that it should not have brought")
            if one["put_back"]:
                yield f"rule of filter {one['id']} was made anew: the NIC may have lost it"
    for one in result["strays"]:
        yield (f"{one['packets']} packets to {one['mac']}/{one['vlan']} were in hardware queue "
               f"{one['slot']}, where no rule leads them: they are queue {one['queue']}'s "
               f"({show.plain(one['name'])})")
    if result["rules"]:
        yield from show.table(
            ("FILTER", "MAC/VLAN", "QUEUE", "HW", "NIC TESTS", "VERDICT", "RIGHT", "DEFAULT",
             "OTHER", "RESIDUAL", "TOO MUCH"),
            [(one["id"], show.filter_text(one), queue_of(one), one["slot"], one["tests"],
              one["verdict"], *(one[key] for key in (
                  "right", "in_default_queue", "in_other_queues", "residual", "too_much")))
             for one in result["rules"]], right=(0, 3, *range(6, 11)))
    if result["replicas"]:
        yield f"{result['replicas']} were copies of broadcast and multicast frames, let go of"
    if result["untold"]:
        yield f"{result['untold']} packets had too many different addresses, or none, to be told"
    if result["restarts"]:
        yield (f"filters or rules changed {result['restarts']} times: counted since the last "
               "time only")
    yield ("everything was where it belongs" if result["as_it_should"] else
           "NOT everything was where it belongs; software has put it right")


# owners

def owner_list(context):
    return context.raw("owner.list", {})


def show_owners(result):
    yield from show.table(
        ("OWNER", "ADMINISTRATOR", "CONNECTED", "GONE", "HAS", "ADAPTER"),
        [(one["owner"], one["administrator"], one["connected"], one["gone"], one["belongings"],
          one["adapter"]) for one in result["owners"]], right=(4,))


def owner_take_over(context):
    return context.call("owner.take_over", owner=context.args.owner)


# figures

def stats(context):
    return context.raw("stats", {})


def show_stats(result):
    yield from show.table(
        ("ID", "QUEUE", "VM", "STATE", "RECEIVED", "DELIVERED", "DROPPED", "WAITING", "MEMORY",
         "ADAPTER"),
        [(one["id"], one["name"], one["vm"], one["state"], one["received"], one["delivered"],
          one["dropped"], one["waiting"], show.size(one["buffers"]["bytes"]), one["adapter"])
         for one in result["queues"]], right=(0, *range(4, 9)))
    total = result["total"]
    yield (f"total: received {total['received']} = delivered {total['delivered']} + dropped "
           f"{total['dropped']} + waiting {total['waiting']}")


def drops(context):
    return context.call("drops", queue=queue_word(context.args.queue))


def show_drops(result):
    """Only what was dropped, and what each reason means."""
    help_of = {(one["direction"], one["name"]): one["help"] for one in result["reasons"]}
    rows = [(one["id"], one["name"], direction.replace("_", " "), reason, number,
             help_of.get((direction, reason)))
            for one in result["queues"]
            for direction, key in (("to_vm", "drops"), ("from_vm", "transmit_drops"))
            for reason, number in one[key].items() if number]
    if rows:
        yield from show.table(("ID", "QUEUE", "WAY", "REASON", "PACKETS", "WHAT IT MEANS"), rows,
                              right=(0, 4))
    else:
        yield "nothing was dropped; the reasons that there are:"
        for (direction, name), text in help_of.items():
            yield f"  {direction.replace('_', ' ')} {name}: {text}"


def workers(context):
    return context.raw("workers", {})


def show_workers(result):
    yield from show.table(
        ("CPU", "MODE", "BUSY", "SLEEP", "CYCLES/PACKET", "BURST", "RECEIVED", "SLEEPS"),
        [(one["cpu"], one.get("mode"), show.share(one.get("busy")), show.share(one.get("sleep")),
          "-" if one.get("cycles_per_packet") is None else f"{one['cycles_per_packet']:.0f}",
          "-" if one.get("mean_burst") is None else f"{one['mean_burst']:.1f}",
          one["packets"], one.get("sleeps")) for one in result["workers"]],
        right=(0, *range(2, 8)))
    for one in result["workers"]:
        if one.get("fallback"):
            yield f"CPU {one['cpu']}: {one['fallback']}"


# documents

def of_document(context):
    """The parameter that names a document; none: the daemon's own file."""
    return {} if context.args.file is None else {"document": read_document(context)}


def config_check(context):
    return context.raw("config.check", of_document(context))


def show_checked(result):
    counts = ", ".join(f"{result[what]} {what if result[what] != 1 else what[:-1]}"
                       for what in ("adapters", "queues", "filters"))
    yield f"ok: {counts}, {result['memory_mb']} MiB of memory"


def config_plan(context):
    return context.raw("config.plan", of_document(context))


def config_apply(context):
    params = of_document(context)
    if context.args.skip_restart:
        params["skip_restart"] = True
    return context.raw("config.apply", params, timeout=0)


def config_diff(context):
    return context.raw("config.diff", of_document(context))


def plan_lines(steps):
    """Steps, one a line, with live or restart beside each."""
    return show.table(
        ("", "HOW", "WHAT", "WHY"),
        [(number, one["how"], one["text"], one.get("why") or "")
         for number, one in enumerate(steps, 1)], right=(0,))


def show_plan(result):
    if not result["steps"]:
        yield "nothing to do: what runs is what the document says"
        return
    yield from plan_lines(result["steps"])
    if "applied" not in result:
        left = "need a restart" if result["restart"] else "can be done live"
        number = result["restart"] or len(result["steps"])
        yield f"{number} of {len(result['steps'])} steps {left}"
        return
    yield "applied"
    if result["restart"]:
        yield f"{result['restart']} steps were left out: they need a restart"
    if result["waiting"]:
        yield f"{result['waiting']} queues still wait for their last packets"


def show_differences(result):
    if not result["differences"]:
        yield "no difference"
    for one in result["differences"]:
        yield f"{one['pointer'] or '/'}:"
        for side in ("running", "document"):
            yield f"  {side:8} " + ("-" if one.get(side) is None else
                                    json.dumps(one[side], ensure_ascii=False))


def config_save(context):
    """The daemon's own bytes; a file is replaced at once or not at all."""
    result = context.raw("config.save", {"all": True} if context.args.all else {})
    for one in result["skipped"]:
        print(f"vmqctl: not saved: queue {one['id']} ({show.plain(one['queue'])}) of adapter "
              f"{show.plain(one['adapter'])}: {one['why']}", file=sys.stderr)
    name = context.args.file
    if name in (None, "-"):
        return result
    folder = os.path.dirname(os.path.abspath(name))
    file = tempfile.NamedTemporaryFile("w", dir=folder, encoding="utf-8", delete=False)
    try:
        with file:
            file.write(result["text"])
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        os.replace(file.name, name)
    except BaseException:
        os.unlink(file.name)
        raise
    return {"saved": name}


def show_document(result):
    if "saved" in result:
        yield f"saved to {result['saved']}"
    else:
        yield result["text"].rstrip("\n")


# the daemon itself

def oid(context):
    if context.args.name is None:
        return context.raw("oid.list", {})
    name = context.args.name
    params = {"oid": int(name, 0) if name[0].isdigit() else name}
    if context.args.information is not None:
        params["information"] = json_word(context, context.args.information)
    if context.args.type is not None:
        params["type"] = context.args.type
    return context.call("oid", timeout=0, **params)


def show_oid(result):
    if "oids" not in result:
        yield from show.tree(result)
        return
    yield from show.table(
        ("NUMBER", "OID", "REQUESTS", "WHAT IT DOES"),
        [(f"{one['number']:#010x}", one["name"],
          [each["type"] for each in one["requests"]], one["help"]) for one in result["oids"]])


def json_word(context, word):
    try:
        return json.loads(word)
    except json.JSONDecodeError as error:
        return context.usage(f"{word!r} is not JSON: {error.msg}")


def call(context):
    params = json_word(context, context.args.params) if context.args.params else {}
    if not isinstance(params, dict):
        context.usage("parameters are a JSON object: {\"queue\": 1}")
    return context.raw(context.args.method, params, timeout=0)


def methods(context):
    result = context.raw("methods", {})
    if context.args.method is None:
        return result
    found = [one for one in result["methods"] if one["name"] == context.args.method]
    if not found:
        context.usage(f'the daemon has no method "{context.args.method}"')
    return found[0]


def show_methods(result):
    if "methods" not in result:
        yield from show.tree(result)
        return
    yield from show.table(("METHOD", "WHAT IT DOES"),
                          [(one["name"], one["help"]) for one in result["methods"]])


def version(context):
    return context.raw("version", {})


def shutdown(context):
    return context.raw("shutdown", {})


def completion(context):
    from . import complete
    print(complete.script(), end="")
