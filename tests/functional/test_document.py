# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
Good and bad documents, held against vmqd --check and against config/vmqd.schema.json.

The checker must find what is wrong with a bad document, at its place, and nothing
else. The schema must refuse those that a schema can refuse, and both take every
good one.
"""

import copy
import json
import re
import subprocess
from dataclasses import dataclass

import jsonschema
import pytest

from vmq_test import daemon

SCHEMA = json.loads((daemon.TOP / "config" / "vmqd.schema.json").read_text(encoding="utf-8"))
MAIN, WORKER = daemon.cpus()
MAC = "52:54:00:00:00:%02x"
LONG = "/run/" + "x" * 103  # 108 bytes
DELETE = object()


def base():
    """A good document with something of everything."""
    return {
        "eal": {"main_core": MAIN, "workers": [WORKER], "hugepages": False},
        "adapters": [
            {"name": "nic0", "device": "net_null0", "mtu": 1500, "rx_descriptors": 256,
             "memory_limit_mb": 16777216,
             "default_queue": {"backend": {"type": "sink"}, "memory": {"buffers": 3200}}},
            {"name": "nic1", "device": "net_null1"},
        ],
        "queues": [
            {"name": "q0", "vm": "vm0", "adapter": "nic0", "affinity": [WORKER],
             "memory": {"buffers": 64, "limit": 128, "buffer_size": 2048, "node": "any",
                        "contiguous": False, "min_buffers": 32,
                        "growth": {"low": 16, "high": 96, "step": 32, "hold_ms": 100}},
             "filters": [{"mac": MAC % 1, "vlan": 10}, {"mac": MAC % 1, "vlan": "untagged"}],
             "keep_tags": True, "backend": {"type": "pcap", "file": "q0.pcap"}},
            {"name": "q1", "vm": "vm0", "adapter": "nic1", "memory": {"buffers": 64},
             "filters": [{"mac": MAC % 1}, {"vlan": 10}],
             "backend": {"type": "ethdev", "device": "net_null2,size=64"}},
            {"name": "q2", "vm": "vm2", "adapter": "nic1", "memory": {"buffers": 64},
             "filters": [], "backend": {"type": "sink"}},
        ],
        "metrics": {"address": "127.0.0.1:9650"},
        "control": {"socket": "/run/vmqd/test.sock", "owner": "root", "group": "root",
                    "mode": "0600", "owners": {"alice": "tenant-a"},
                    "user_backends": ["sink", "vhost-user"],
                    "state_file": "/var/lib/vmqd/state.json",
                    "limits": {"request_kb": 64, "depth": 16, "clients": 8, "pending": 16,
                               "batch": 10, "output_kb": 256, "idle_s": 2}},
    }


def change(*changes):
    """base() with other values at some pointers: change((pointer, value), ...)."""
    doc = base()
    for pointer, value in changes:
        *path, last = [part.replace("~1", "/").replace("~0", "~")
                       for part in pointer.split("/")[1:]]
        place = doc
        for part in path:
            place = place[int(part) if isinstance(place, list) else part]
        if isinstance(place, list):
            last = int(last)
        if value is DELETE:
            del place[last]
        elif isinstance(place, list) and last == len(place):
            place.append(value)
        else:
            place[last] = value
    return doc


def one(adapter, **more):
    """A document with one adapter and no cores of its own choice."""
    return {"eal": {"hugepages": False}, "adapters": [{"name": "nic", **adapter}], **more}


def vhost(**more):
    """base() whose last queue has a vhost-user backend."""
    return change(("/queues/2/backend", {"type": "vhost-user", "socket": "vm2.sock", **more}))


V2 = "/queues/2/backend"

GOOD = {
    "something of everything": base(),
    "the least there can be": one({"device": "net_null0"}),
    "no cores named": one({"device": "net_null0"}, queues=[
        {"name": "q", "vm": "v", "backend": {"type": "sink"}}]),
    "the adapter may be left out when there is one": one({"device": "net_null0"}, queues=[
        {"name": "q", "vm": "v", "filters": [{"vlan": 4094}], "backend": {"type": "sink"}}]),
    "in_memory false without hugepages": change(("/eal/in_memory", False)),
    "a worker may share the CPU of the main core": change(
        ("/eal/workers", [MAIN]), ("/queues/0/affinity", [MAIN])),
    "workers that poll": change(("/workers", {"mode": "poll"})),
    "workers that sleep as long as they can": change(
        ("/workers", {"mode": "adaptive", "max_sleep_us": 100000})),
    "workers that wait for interrupts": change(
        ("/workers", {"mode": "interrupt", "max_sleep_us": 1})),
    "workers as they are by default": change(("/workers", {})),
    "memory_mb with room": change(("/eal/memory_mb", 1024)),
    "every key of eal": change(("/eal/file_prefix", "vm.q-1"),
                               ("/eal/extra_args", ["--iova-mode=va", "--no-telemetry"])),
    "smallest numbers": change(("/adapters/0/mtu", 68), ("/adapters/0/rx_descriptors", 64),
                               ("/queues/0/memory", {"buffers": 1, "buffer_size": 64}),
                               ("/queues/0/filters/0/vlan", 1)),
    "largest numbers": change(("/adapters/0/mtu", 16110),
                              ("/adapters/0/rx_descriptors", 32768),
                              ("/adapters/0/default_queue/memory/buffers", 40000),
                              ("/queues/0/memory", {"buffers": 64, "buffer_size": 65407}),
                              ("/queues/0/filters/0/vlan", 4094)),
    "VLANs for VMDq": change(("/adapters/0/vmdq", {"vlans": [1, 4094]})),
    "as many VLANs for VMDq as there can be": change(
        ("/adapters/0/vmdq", {"vlans": list(range(1, 65))})),
    "a name of 63 bytes": change(("/queues/0/name", "n" * 63), ("/queues/0/vm", "v" * 63)),
    "names in every script": change(("/queues/0/name", "почта / 邮件 ~"),
                                    ("/queues/0/vm", 'a "quoted" name')),
    "the same VM twice, on two queues": change(("/queues/2/vm", "vm0")),
    "the same tests on two adapters": change(("/queues/1/filters", [{"mac": MAC % 1,
                                                                     "vlan": 10}])),
    "a MAC in capital letters": change(("/queues/0/filters", [{"mac": "5A:FF:0A:BC:DE:FE"}])),
    "one MAC, each VLAN test": change(("/queues/0/filters", [
        {"mac": MAC % 1}, {"mac": MAC % 1, "vlan": "untagged"}, {"mac": MAC % 1, "vlan": 1},
        {"mac": MAC % 1, "vlan": 2}, {"vlan": 1}])),
    "filters of the default queue": change(
        ("/adapters/0/default_queue/filters", [{"mac": MAC % 9}]),
        ("/adapters/0/default_queue/affinity", [WORKER]),
        ("/adapters/0/default_queue/keep_tags", True)),
    "memory on a node": change(("/queues/0/memory/node", "any")),
    "a socket path of 107 bytes": change(("/queues/1/backend/device",
                                          "net_vhost0,iface=" + LONG[:107])),
    "a vhost-user client": vhost(),
    "a vhost-user client that says so": vhost(mode="client", queue_pairs=16),
    "a vhost-user server": vhost(mode="server", owner="root", group="0", permissions="0660"),
    "a vhost-user path of 107 bytes": vhost(socket=LONG[:107]),
    "a memif file of 107 bytes": change(
        ("/queues/1/backend/device",
         f"net_memif0,socket={LONG[:107]},socket-abstract=no")),
    "a memif name of 106 bytes": change(("/queues/1/backend/device",
                                         f"net_memif0,socket={LONG[:106]}")),
    "an interface name of 15 bytes": change(("/queues/1/backend/device",
                                             "net_tap0,iface=" + "i" * 15)),
    "a device name of 63 bytes": change(("/queues/1/backend/device", "net_" + "n" * 59)),
    "metrics over IPv6": change(("/metrics/address", "[::1]:65535")),
    "metrics on a port of the kernel's choice": change(("/metrics/address", "0.0.0.0:0")),
    "the name of a bus": change(("/queues/1/backend/device", "vdev:net_null9")),
    "as many ports as there can be": {
        "eal": {"hugepages": False},
        "adapters": [{"name": f"n{i}", "device": f"net_null{i}", "rx_descriptors": 64,
                      "default_queue": {"memory": {"buffers": 3200, "buffer_size": 512}}}
                      for i in range(32)]},
    "many filters": change(("/queues/0/filters", [
        {"mac": f"02:00:00:00:{i >> 8:02x}:{i & 255:02x}", "vlan": 7} for i in range(10000)])),
}


@dataclass
class Bad:
    """A bad document: JSON or bytes; (pointer, part of message or hint) of each finding."""
    doc: object
    found: list
    schema_says: bool


def bad(changes, pointer, words, schema_says=True):
    return Bad(change(*changes), [(pointer, words)], schema_says)


def bad_at(pointer, value, words, schema_says=True):
    """One wrong value, found where it is."""
    return bad([(pointer, value)], pointer, words, schema_says)


def text(data, words, pointer=""):
    """Bytes; EAL stands for an eal that asks nothing of the machine."""
    return Bad(data.replace(b"EAL", b'"eal": {"hugepages": false}'), [(pointer, words)], False)


F0 = "/queues/0/filters/0"
B0 = "/queues/0/backend"
B1 = "/queues/1/backend"
M0 = "/queues/0/memory"

BAD = {
    # unknown and missing keys
    "unknown key, near miss": bad_at("/adapters/1/rx_descriptor", 512,
                                     'did you mean "rx_descriptors"?'),
    "unknown key, like none": bad_at("/queues/0/colour", "red", 'allowed here: "affinity"'),
    "unknown key of the root": bad_at("/adaptors", [], 'unknown key "adaptors"'),
    "unknown key, wrong case": bad_at("/queues/2/keep-Tags", True,
                                      'did you mean "keep_tags"?'),
    "unknown key of eal": bad_at("/eal/lcores", "0-3", "allowed here:"),
    "unknown key of memory": bad([("/queues/1/memory/buffer", 5), ("/queues/1/memory/buffers", 64)],
                                 "/queues/1/memory/buffer", "unknown key"),
    "unknown key of a filter": bad_at(F0 + "/vlan_id", 5, 'allowed here: "mac" "vlan"'),
    "unknown key of a backend": bad_at(B0 + "/colour", 5, 'allowed here: "type" "file"'),
    "unknown key of a default queue": bad_at("/adapters/0/default_queue/vm", "v", "unknown key"),
    "unknown key with slash and tilde": bad_at("/queues/0/a~1b~0c", 1, 'unknown key "a/b~c"'),
    "unknown key that is empty": bad_at("/queues/0/", 1, 'unknown key ""'),
    "unknown key with an escape sequence": bad([("/queues/0/\u001b[31m", 1)],
                                               "/queues/0/\\u001b[31m", "unknown key"),
    "a misspelt key is not missing as well": bad(
        [("/queues/2/nmae", "x"), ("/queues/2/name", DELETE)], "/queues/2/nmae",
        'did you mean "name"?'),
    "no adapters": bad([("/adapters", DELETE)], "", 'key "adapters" is missing'),
    "an adapter without name": bad([("/adapters/0/name", DELETE)], "/adapters/0",
                                   'key "name" is missing'),
    "an adapter without device": bad([("/adapters/0/device", DELETE)], "/adapters/0",
                                     'key "device" is missing'),
    "a queue without name": bad([("/queues/0/name", DELETE)], "/queues/0",
                                'key "name" is missing'),
    "a queue without VM": bad([("/queues/0/vm", DELETE)], "/queues/0", 'key "vm" is missing'),
    "a queue without backend": bad([("/queues/0/backend", DELETE)], "/queues/0",
                                   'key "backend" is missing'),
    "a backend without type": bad([(B0 + "/type", DELETE)], B0, 'key "type" is missing'),
    "a pcap backend without file": bad([(B0 + "/file", DELETE)], B0, 'key "file" is missing'),
    "an ethdev backend without device": bad([(B1 + "/device", DELETE)], B1,
                                            'key "device" is missing'),
    "no adapter where there are two": bad([("/queues/0/adapter", DELETE)], "/queues/0",
                                          '"nic0", "nic1"', False),
    "unknown key of the workers": bad([("/workers", {"sleep_us": 5})], "/workers/sleep_us",
                                      'allowed here: "mode" "max_sleep_us"'),
    # the mode of the workers
    "a mode like one": bad([("/workers", {"mode": "adaptative"})], "/workers/mode",
                           'did you mean "adaptive"?'),
    "a mode like none": bad([("/workers", {"mode": "lazy"})], "/workers/mode",
                            'one of "adaptive", "interrupt", "poll"'),
    "a mode that is a number": bad([("/workers", {"mode": 1})], "/workers/mode",
                                   "must be a string"),
    "no sleep at all": bad([("/workers", {"max_sleep_us": 0})], "/workers/max_sleep_us",
                           "0 is out of range"),
    "too long a sleep": bad([("/workers", {"max_sleep_us": 100001})], "/workers/max_sleep_us",
                            "1 to 100000"),
    "a sleep of workers that poll": bad([("/workers", {"mode": "poll", "max_sleep_us": 5})],
                                        "/workers/max_sleep_us", "do not sleep"),
    "metrics without an address": bad([("/metrics", {})], "/metrics",
                                      'key "address" is missing'),
    "an unknown key of metrics": bad_at("/metrics/port", 9650, 'allowed here: "address"'),
    # addresses
    **{f"metrics at {address!r}": bad_at("/metrics/address", address, words, schema_says)
       for address, words, schema_says in (
           ("", "must not be empty", True), (9650, "must be a string", True),
           ("localhost:9650", "names are not looked up", True),
           ("127.0.0.1", "is no IP address with a port", True),
           ("127.0.0.1:", "is no IP address with a port", True),
           (":9650", "is no IP address with a port", True),
           ("::1:9650", "is no IP address with a port", True),
           ("[::1]", "is no IP address with a port", True),
           ("[::1]9650", "is no IP address with a port", True),
           ("[127.0.0.1]:1", "is no IP address with a port", False),
           ("[]:1", "is no IP address with a port", True),
           ("127.0.0.1:+1", "is no IP address with a port", True),
           ("127.0.0.1:9650/metrics", "is no IP address with a port", True),
           ("127.0.0.256:1", "is no IP address with a port", False),
           ("127.0.0.1:65536", "is no IP address with a port", False))},
    # types
    "the document is an array": Bad([], [("", "must be an object, found an array")], True),
    "the document is a number": Bad(1, [("", "must be an object, found an integer")], True),
    "eal is null": bad_at("/eal", None, "must be an object, found null"),
    "adapters is an object": bad_at("/adapters", {}, "must be an array, found an object"),
    "adapters is empty": bad_at("/adapters", [], "must not be empty"),
    "an adapter is a string": bad_at("/adapters/1", "nic1", "must be an object, found a string"),
    "queues is a number": bad_at("/queues", 5, "must be an array, found an integer"),
    "a queue is true": bad_at("/queues/3", True, "must be an object, found true or false"),
    "a name is a number": bad_at("/queues/0/name", 7, "must be a string, found an integer"),
    "a device is null": bad_at("/adapters/0/device", None, "must be a string, found null"),
    "a number is a string": bad_at("/adapters/0/mtu", "1500", "an integer from 68 to 16110"),
    "a number is true": bad_at("/adapters/0/mtu", True, "must be an integer"),
    "a number is 1500.0": bad_at("/adapters/0/mtu", 1500.0,
                                 "a number with a fraction or an exponent", False),
    "a number is 1500.5": bad_at("/adapters/0/mtu", 1500.5,
                                 "a number with a fraction or an exponent"),
    "a boolean is a number": bad_at("/eal/hugepages", 0, "must be true or false"),
    "a boolean is a string": bad_at("/queues/0/keep_tags", "yes", "found a string"),
    "a rate without its number": bad([("/queues/0/rate", {"to_vm": {}})],
                                     "/queues/0/rate/to_vm", '"mbps" is missing'),
    "a rate of nothing": bad([("/queues/0/rate", {"from_vm": {"mbps": 0}})],
                             "/queues/0/rate/from_vm/mbps", "out of range"),
    "a burst too small for a frame": bad(
        [("/queues/0/rate", {"to_vm": {"mbps": 10, "burst_kb": 1}})],
        "/queues/0/rate/to_vm/burst_kb", "out of range"),
    "a rate of both ways at once": bad([("/queues/0/rate", {"both": {"mbps": 10}})],
                                       "/queues/0/rate/both", "unknown key"),
    "spoofing is a number": bad_at("/queues/0/anti_spoof", 1, "found"),
    "memory is a number": bad_at(M0, 4096, "must be an object"),
    "filters is an object": bad_at("/queues/0/filters", {"mac": MAC % 1}, "must be an array"),
    "a filter is a string": bad_at(F0, MAC % 1, "must be an object"),
    "a MAC is a number": bad_at(F0 + "/mac", 5, "must be a string"),
    "a VLAN is null": bad_at(F0 + "/vlan", None, 'must be a number, "untagged" or "any"'),
    "a VLAN is 10.0": bad_at(F0 + "/vlan", 10.0, "a fraction", False),
    "a node is false": bad_at(M0 + "/node", False, 'must be an integer or "any"'),
    "a backend is a string": bad_at(B0, "sink", "must be an object"),
    "a type of backend is a number": bad_at(B0 + "/type", 1, "must be a string"),
    "workers is a number": bad_at("/eal/workers", 1, "must be an array"),
    "a CPU is a string": bad_at("/eal/workers/0", "1", "an integer from 0 to 1023"),
    "extra_args is a string": bad_at("/eal/extra_args", "-x", "must be an array"),
    "an extra argument is a number": bad([("/eal/extra_args", ["--x", 5])], "/eal/extra_args/1",
                                         "must be a string"),
    # ranges
    "MTU too small": bad_at("/adapters/0/mtu", 67, "67 is out of range"),
    "MTU too large": bad_at("/adapters/0/mtu", 16111, "an integer from 68 to 16110"),
    "a VLAN for VMDq too large": bad([("/adapters/0/vmdq", {"vlans": [1, 4095]})],
                                     "/adapters/0/vmdq/vlans/1", "out of range"),
    "a VLAN for VMDq twice": bad([("/adapters/0/vmdq", {"vlans": [7, 8, 7]})],
                                 "/adapters/0/vmdq/vlans/2", "more than once"),
    "too many VLANs for VMDq": bad([("/adapters/0/vmdq", {"vlans": list(range(1, 66))})],
                                   "/adapters/0/vmdq/vlans", "has 65 VLANs"),
    "no VLANs for VMDq": bad([("/adapters/0/vmdq", {"vlans": []})],
                             "/adapters/0/vmdq/vlans", "has 0 VLANs"),
    "VMDq without its VLANs": bad([("/adapters/0/vmdq", {})], "/adapters/0/vmdq", "vlans"),
    "rx_descriptors too small": bad_at("/adapters/0/rx_descriptors", 63, "out of range"),
    "rx_descriptors too large": bad_at("/adapters/0/rx_descriptors", 32769, "64 to 32768"),
    "no buffers": bad_at(M0 + "/buffers", 0, "0 is out of range"),
    "a negative number": bad_at(M0 + "/buffers", -5, "-5 is out of range"),
    "too many buffers": bad_at(M0 + "/buffers", 67108865, "out of range"),
    "a limit of 0": bad_at(M0 + "/limit", 0, "out of range"),
    "buffers too short": bad_at(M0 + "/buffer_size", 63, "64 to 65407"),
    "buffers too long": bad_at(M0 + "/buffer_size", 65408, "64 to 65407"),
    "more than 32 bits": bad_at(M0 + "/buffers", 2**32 + 64, "4294967360 is out of range"),
    "more than 64 bits": bad_at(M0 + "/buffers", 10**30, "out of range"),
    "just more than 64 bits": bad_at(M0 + "/buffers", 2**63, "out of range"),
    "less than 64 bits": bad_at(M0 + "/buffers", -2**63 - 1, "out of range"),
    "a NUMA node that cannot be": bad_at(M0 + "/node", 32, "32 is out of range"),
    "a negative NUMA node": bad_at(M0 + "/node", -1, "-1 is out of range"),
    "a NUMA node with a name": bad_at(M0 + "/node", "first", "neither a NUMA node"),
    "a CPU that cannot be": bad_at("/eal/main_core", 1024, "1024 is out of range"),
    "a negative CPU": bad_at("/eal/workers/0", -1, "-1 is out of range"),
    "memory_mb 0": bad_at("/eal/memory_mb", 0, "out of range"),
    "memory_mb too small": bad_at("/eal/memory_mb", 10, "set eal.memory_mb to", False),
    "a limit below the buffers": bad_at(M0 + "/limit", 63, "at least 64", False),
    "enough buffers that are more": bad_at(M0 + "/min_buffers", 65, "at most 64", False),
    "no buffers that are enough": bad_at(M0 + "/min_buffers", 0, "0 is out of range"),
    "growth that is a number": bad_at(M0 + "/growth", 1, "an object"),
    "growth by nothing": bad_at(M0 + "/growth/step", 0, "0 is out of range"),
    "growth in a unit that is not": bad([(M0 + "/growth", {"hold_s": 1})],
                                        M0 + "/growth/hold_s", 'did you mean "hold_ms"?'),
    "marks too close together": bad_at(M0 + "/growth/high", 47, "at least 48", False),
    "a limit of an adapter's memory of nothing": bad_at("/adapters/0/memory_limit_mb", 0,
                                                        "0 is out of range"),
    "less memory than the queues begin with": bad_at(
        "/adapters/0/memory_limit_mb", 1, "MiB that the adapter's queues begin with", False),
    # It has room for all that its queues receive into, and not for what one sends from.
    "less memory than they begin with, with what VMs send": bad_at(
        "/adapters/1/memory_limit_mb", 12, "MiB that the adapter's queues begin with", False),
    "a limit below the default": bad([(M0, {"limit": 4095})], M0 + "/limit",
                                     "4096 buffers that the queue starts with (the default)",
                                     False),
    "a ring larger than its memory": bad(
        [("/adapters/0/default_queue/memory/buffers", 64)],
        "/adapters/0/default_queue/memory/buffers", "256 receive descriptors", False),
    "a ring larger than the default memory": bad(
        [("/adapters/1/rx_descriptors", 32768)], "/adapters/1/rx_descriptors",
        "set default_queue.memory.buffers to at least", False),
    # control
    "a control socket without a path": bad_at("/control/socket", "", "must not be empty"),
    "a control socket that is true": bad_at("/control/socket", True, "must be a string or false"),
    "a relative control socket": bad_at("/control/socket", "vmq.sock",
                                        "is not the absolute path of a file"),
    "a folder for a control socket": bad_at("/control/socket", "/run/vmqd/",
                                            "is not the absolute path of a file"),
    "a control socket with a long path": bad_at("/control/socket", LONG, "108 bytes long"),
    "an owner of the control socket by number": bad_at("/control/owner", 0, "must be a string"),
    "a group of the control socket without a name": bad_at("/control/group", "",
                                                           "must not be empty"),
    "a mode that is a number": bad_at("/control/mode", 660, "must be a string"),
    "a mode of three digits": bad_at("/control/mode", "660", "is not the mode of a socket"),
    "a mode that is not octal": bad_at("/control/mode", "0680", "is not the mode of a socket"),
    "a relative state file": bad_at("/control/state_file", "state.json",
                                    "is not the absolute path of a file"),
    "a folder for a state file": bad_at("/control/state_file", "/var/lib/vmqd/",
                                        "is not the absolute path of a file"),
    "a state file without a path": bad_at("/control/state_file", "", "must not be empty"),
    "a state file with a long path": bad_at("/control/state_file", "/" + 4000 * "x",
                                            "4001 bytes long"),
    "owners as a list": bad_at("/control/owners", ["alice"], "must be an object"),
    "an owner without a name": bad_at("/control/owners/alice", "", "must not be empty"),
    "a user made an administrator": bad_at("/control/owners/alice", "admin",
                                           "is what administrators own"),
    "a backend for users by number": bad_at("/control/user_backends/0", 1, "must be a string"),
    "a backend for users that there is not": bad_at("/control/user_backends/1", "vhost",
                                                    "is not a type of backend"),
    "requests of nothing": bad_at("/control/limits/request_kb", 0, "0 is out of range"),
    "bottomless requests": bad_at("/control/limits/depth", 65, "65 is out of range"),
    "no clients": bad_at("/control/limits/clients", 0, "0 is out of range"),
    "no pending requests": bad_at("/control/limits/pending", 0, "0 is out of range"),
    "empty batches only": bad_at("/control/limits/batch", 0, "0 is out of range"),
    "no output": bad_at("/control/limits/output_kb", 63, "63 is out of range"),
    "no time": bad_at("/control/limits/idle_s", 0, "0 is out of range"),
    "a limit that there is not": bad([("/control/limits", {"clientz": 1})], "/control/limits/clientz",
                                     'did you mean "clients"?'),
    "a control key that there is not": bad([("/control/path", "/run/x")], "/control/path",
                                           "unknown key"),
    # cores
    "no workers": bad_at("/eal/workers", [], "must not be empty"),
    "a worker twice": bad([("/eal/workers", [WORKER, WORKER])], "/eal/workers/1",
                          f"CPU {WORKER} is in the list more than once"),
    "an empty affinity": bad_at("/queues/0/affinity", [], "must not be empty"),
    "a CPU twice in an affinity": bad([("/queues/0/affinity", [WORKER, WORKER])],
                                      "/queues/0/affinity/1", "more than once"),
    "an affinity that no worker serves": bad(
        [("/queues/0/affinity", [WORKER, 1022])], "/queues/0/affinity/1",
        f"eal.workers has: {WORKER}", False),
    "the same of a default queue": bad(
        [("/adapters/0/default_queue/affinity", [1022])],
        "/adapters/0/default_queue/affinity/0", "no worker runs on CPU 1022", False),
    "a main core that this machine has not": bad_at(
        "/eal/main_core", 1023, "CPU 1023 does not exist", False),
    # other parts of eal
    "in_memory without hugepages": bad_at("/eal/in_memory", True, "leave it out"),
    "a file prefix with a slash": bad_at("/eal/file_prefix", "a/b", 'must not have "/"'),
    "a file prefix with a percent sign": bad_at("/eal/file_prefix", "a%b", 'must not have "%"'),
    "a file prefix with a dot": bad_at("/eal/file_prefix", "..", "begin with a dot"),
    "an empty file prefix": bad_at("/eal/file_prefix", "", "must not be empty"),
    "an empty extra argument": bad([("/eal/extra_args", [""])], "/eal/extra_args/0",
                                   "must not be empty"),
    # names
    "an empty name": bad_at("/queues/0/name", "", "must not be empty"),
    "a name of 64 bytes": bad_at("/queues/0/name", "n" * 64, "is 64 bytes long, more than 63"),
    "a name of 32 letters and 64 bytes": bad_at("/queues/0/vm", "я" * 32, "64 bytes", False),
    "a name with a line feed": bad_at("/queues/0/name", "a\nb", "control character \\u000a"),
    "a name with NUL": bad_at("/adapters/0/name", "nic0\0", "control character \\u0000"),
    "a name with DEL": bad_at("/queues/0/vm", "v\x7f", "control character \\u007f"),
    "the name of the default queue": bad_at("/queues/0/name", "default", "default queue"),
    "an adapter name twice": Bad(
        change(("/adapters/1/name", "nic0"), ("/queues/1/adapter", "nic0"),
               ("/queues/2/adapter", "nic0"), ("/queues/1/filters", [])),
        [("/adapters/1/name", "the other one is /adapters/0")], False),
    "a queue name twice": bad_at("/queues/2/name", "q1", "the other one is /queues/1/name", False),
    "a VM and queue name twice": bad(
        [("/queues/2/name", "q1"), ("/queues/2/vm", "vm0")], "/queues/2/name", '"q1"', False),
    "an unknown adapter, near miss": bad_at("/queues/0/adapter", "nic9",
                                            'did you mean "nic0"?', False),
    "an unknown adapter, like none": bad_at("/queues/0/adapter", "uplink",
                                            'the document has: "nic0", "nic1"', False),
    # filters
    "a filter of nothing": bad_at(F0, {}, 'add a "mac"'),
    "a filter of untagged alone": bad_at(F0, {"vlan": "untagged"}, 'needs a number'),
    "a filter of any alone": bad_at(F0, {"vlan": "any"}, 'needs a number'),
    "VLAN 0": bad_at(F0 + "/vlan", 0, 'write "untagged"'),
    "VLAN 4095": bad_at(F0 + "/vlan", 4095, "reserved"),
    "VLAN 4096": bad_at(F0 + "/vlan", 4096, "4096 is out of range"),
    "VLAN -1": bad_at(F0 + "/vlan", -1, "-1 is out of range"),
    "a VLAN in quotes": bad_at(F0 + "/vlan", "10", "write the number without quotes: 10"),
    "a VLAN misspelt": bad_at(F0 + "/vlan", "untaged", 'did you mean "untagged"?'),
    "a VLAN of letters": bad_at(F0 + "/vlan", "ten", "is not a VLAN"),
    "a MAC with dashes": bad_at(F0 + "/mac", "52-54-00-00-00-01", "is not a MAC address"),
    "a MAC too short": bad_at(F0 + "/mac", "52:54:00:00:01", "is not a MAC address"),
    "a MAC too long": bad_at(F0 + "/mac", MAC % 1 + ":02", "is not a MAC address"),
    "a MAC with a wrong digit": bad_at(F0 + "/mac", "52:54:00:00:00:0g", "is not a MAC address"),
    "a MAC with 0x": bad_at(F0 + "/mac", "52:54:00:00:00:0x", "is not a MAC address"),
    "a MAC with blanks": bad_at(F0 + "/mac", " 2:54:00:00:00:01", "is not a MAC address"),
    "a MAC with NUL": bad_at(F0 + "/mac", MAC % 1 + "\0", "is not a MAC address"),
    "a MAC with a line feed": bad_at(F0 + "/mac", MAC % 1 + "\n", "is not a MAC address", False),
    "an empty MAC": bad_at(F0 + "/mac", "", "is not a MAC address"),
    "a multicast MAC": bad_at(F0 + "/mac", "01:00:5e:00:00:01", "multicast"),
    "a broadcast MAC": bad_at(F0 + "/mac", "ff:ff:ff:ff:ff:ff", "broadcast"),
    "an all-zero MAC": bad_at(F0 + "/mac", "00:00:00:00:00:00", "all-zero"),
    "equal tests in one queue": bad(
        [("/queues/0/filters/2", {"vlan": 10, "mac": MAC % 1})], "/queues/0/filters/2",
        "the other one is /queues/0/filters/0", False),
    "equal tests in two queues": bad(
        [("/queues/2/filters", [{"mac": MAC % 3}, {"mac": MAC % 1, "vlan": "any"}])],
        "/queues/2/filters/1", "the other one is /queues/1/filters/0", False),
    "equal tests, other letters": bad(
        [("/queues/0/filters", [{"mac": "52:54:00:00:00:0a"}, {"mac": "52:54:00:00:00:0A"}])],
        "/queues/0/filters/1", "52:54:00:00:00:0a", False),
    "equal tests of VLAN alone": bad(
        [("/queues/2/filters", [{"vlan": 10}])], "/queues/2/filters/0", "vlan 10", False),
    "equal tests in a default queue": bad(
        [("/adapters/0/default_queue/filters", [{"mac": MAC % 1, "vlan": 10}])], F0,
        "the other one is /adapters/0/default_queue/filters/0", False),
    # backends and devices
    "an unknown type of backend": bad_at(B0 + "/type", "pcapng", "is not a type of backend"),
    "a type of backend misspelt": bad_at(B1 + "/type", "ethdevice", '"ethdev"'),
    "a file with a sink": bad([("/queues/2/backend/file", "x")], "/queues/2/backend/file",
                              'set "type" to "pcap"'),
    "a device with a sink": bad([("/queues/2/backend/device", "x")], "/queues/2/backend/device",
                                'set "type" to "ethdev"'),
    "a device with a pcap": bad_at(B0 + "/device", "net_null7", "does not go with this type"),
    "a file with an ethdev": bad_at(B1 + "/file", "x", "does not go with this type"),
    "an empty file": bad_at(B0 + "/file", "", "must not be empty"),
    "a file that is a folder by name": bad_at(B0 + "/file", "there/", "folder"),
    "a file that is a folder": bad_at(B0 + "/file", "/tmp", "is a folder", False),
    "a file in a folder that is not there": bad_at(B0 + "/file", "/nowhere/q0.pcap",
                                                   '"/nowhere/q0.pcap" cannot be made', False),
    "a file of 4096 bytes": bad_at(B0 + "/file", "f/" * 2047 + "ff", "more than 4095"),
    "a file with a part of 256 bytes": bad_at(B0 + "/file", "/tmp/" + "f" * 256,
                                              "256 bytes long, more than 255", False),
    "a file twice": bad([("/queues/2/backend", {"type": "pcap", "file": "./q0.pcap"})],
                        "/queues/2/backend/file", "the other one is /queues/0/backend/file",
                        False),
    "an empty device": bad_at("/adapters/0/device", "", "must not be empty"),
    "a device that begins with a comma": bad_at("/adapters/0/device", ",iface=x",
                                                "no device name before the comma"),
    "a device that begins with a blank": bad_at("/adapters/0/device", " net_null0", "a blank"),
    "a device name of 64 bytes": bad_at("/adapters/0/device", "n" * 64, "64 bytes long"),
    "a device of a bus without a name": bad_at("/adapters/0/device", "pci:,x", "no device name",
                                               False),
    "a PCI address without function": bad_at("/adapters/0/device", "0000:03:00",
                                             "is not a PCI address", False),
    "a PCI address out of range": bad_at("/adapters/0/device", "0000:03:20.0",
                                         "is not a PCI address", False),
    "a PCI device that is not there": bad_at("/adapters/0/device", "ffff:ff:1f.7",
                                             'adapter "nic0": there is no PCI device', False),
    "two adapters on one device": bad_at("/adapters/1/device", "net_null0,size=1500",
                                         "the other one is /adapters/0/device", False),
    "adapter and backend on one device": bad_at(B1 + "/device", "net_null0", "net_null0", False),
    "two backends on one device": bad(
        [("/queues/2/backend", {"type": "ethdev", "device": "vdev:net_null2"})],
        "/queues/2/backend/device", "the other one is /queues/1/backend/device", False),
    "vhost-user without a socket": bad([(V2, {"type": "vhost-user"})], V2,
                                       'key "socket" is missing'),
    "a vhost-user path of 108 bytes": Bad(vhost(socket=LONG), [
        (V2 + "/socket", "108 bytes long, more than 107")], True),
    "a vhost-user path of a folder": Bad(vhost(socket="/run/"), [
        (V2 + "/socket", "path of a folder")], True),
    "an unknown vhost-user mode": Bad(vhost(mode="listen"), [
        (V2 + "/mode", "is not a mode")], True),
    "a client's owner": Bad(vhost(owner="root"), [(V2 + "/owner", '"mode" to "server"')], True),
    "a client's permissions": Bad(vhost(mode="client", permissions="0600"), [
        (V2 + "/permissions", '"mode" to "server"')], True),
    "permissions as a number": Bad(vhost(mode="server", permissions=660), [
        (V2 + "/permissions", "must be a string")], True),
    "permissions that are not octal": Bad(vhost(mode="server", permissions="0680"), [
        (V2 + "/permissions", "are no permissions")], True),
    "permissions of nobody": Bad(vhost(mode="server", permissions="000"), [
        (V2 + "/permissions", "are no permissions")], True),
    "no queue pair": Bad(vhost(queue_pairs=0), [(V2 + "/queue_pairs", "out of range")], True),
    "17 queue pairs": Bad(vhost(queue_pairs=17), [(V2 + "/queue_pairs", "out of range")], True),
    "a socket with a sink": bad([(V2 + "/socket", "x")], V2 + "/socket",
                                'set "type" to "vhost-user"'),
    "a file with vhost-user": Bad(vhost(file="x"), [
        (V2 + "/file", "does not go with this type")], True),
    "a vhost-user socket twice": bad(
        [("/queues/1/backend", {"type": "vhost-user", "socket": "a.sock"}),
         (V2, {"type": "vhost-user", "socket": "./a.sock"})],
        V2 + "/socket", "the other one is /queues/1/backend/socket", False),
    "a vhost path of 108 bytes": bad_at(B1 + "/device", f"net_vhost0,iface={LONG}",
                                        "at most 107 bytes", False),
    "the same, not the first argument": bad_at(
        B1 + "/device", f"eth_vhost0,queues=1,iface={LONG}", "is 108 bytes long", False),
    "a virtio path of 108 bytes": bad_at(B1 + "/device", f"net_virtio_user0,path={LONG}",
                                         "Unix socket", False),
    "a memif file of 108 bytes": bad_at(
        B1 + "/device", f"net_memif0,socket={LONG},socket-abstract=no", "at most 107", False),
    "an abstract memif name of 107 bytes": bad_at(
        B1 + "/device", f"net_memif0,socket={LONG[:107]}", "at most 106", False),
    "the same of an adapter": bad_at(
        "/adapters/0/device", f"net_memif0,socket-abstract=yes,socket={LONG}", "at most 106",
        False),
    "an interface name of 16 bytes": bad_at(B1 + "/device", "net_tap0,iface=" + "i" * 16,
                                            "at most 15 bytes", False),
    "an argument without value": bad_at(B1 + "/device", "net_tap0,iface=", "has no value", False),
    # how many
    "too many adapters": Bad(
        {"eal": {"hugepages": False},
         "adapters": [{"name": f"n{i}", "device": f"net_null{i}", "rx_descriptors": 64,
                       "default_queue": {"memory": {"buffers": 3200, "buffer_size": 512}}}
                       for i in range(33)]},
        [("", "33 adapters + 0")], True),
    "too many ports": Bad(
        one({"device": "net_null99"}, queues=[
            {"name": f"q{i}", "vm": "v", "memory": {"buffers": 32},
             "backend": {"type": "ethdev", "device": f"net_null{i}"}} for i in range(32)]),
        [("", '1 adapters + 32 "ethdev" backends = 33 ports')], False),
    "too many queues": Bad(
        one({"device": "net_null0"}, queues=[
            {"name": f"q{i}", "vm": "v", "memory": {"buffers": 1, "buffer_size": 64},
             "backend": {"type": "sink"}} for i in range(2400)]),
        [("", "2401 queues x")], False),
    "more memory than there is": bad(
        [(M0, {"buffers": 60_000_000, "buffer_size": 65000})], "",
        "1 queue x 60000000 buffers x", False),
    "more hugepages than there are": Bad(
        change(("/eal/hugepages", True), (M0, {"buffers": 60_000_000, "buffer_size": 65000})),
        [("", "nr_hugepages")], False),
    # more than one at a time
    "all in one pass": Bad(
        change(("/adapters/0/mtu", 5), ("/queues/0/name", ""), ("/queues/0/filters/1/vlan", 0),
               ("/queues/1/affinity", [1022]), ("/queues/1/backend/file", "x"),
               ("/queues/2/colour", 1), ("/eal/main_core", 1023)),
        [("/adapters/0/mtu", "5 is out of range"), ("/queues/0/name", "empty"),
         ("/queues/0/filters/1/vlan", "untagged"), ("/queues/1/affinity/0", "1022"),
         ("/queues/1/backend/file", "type"), ("/queues/2/colour", "unknown"),
         ("/eal/main_core", "1023")], True),
    # wrong values do not make right ones wrong
    "no cascade from adapters": Bad(
        change(("/adapters/0/name", 5), ("/adapters/0/rx_descriptors", "x"),
               ("/adapters/0/default_queue/memory/buffers", 64)),
        [("/adapters/0/name", "string"), ("/adapters/0/rx_descriptors", "integer")], True),
    "no cascade from workers": Bad(
        change(("/eal/workers", ["x"]), ("/queues/0/affinity", [1022])),
        [("/eal/workers/0", "integer")], True),
    "no cascade from memory": Bad(
        change((M0, {"buffers": -1, "limit": 1})), [(M0 + "/buffers", "-1")], True),
    "no cascade from filters": Bad(
        change(("/queues/0/filters", [{"mac": "x"}, {"mac": "x"}, {"mca": MAC % 1}])),
        [("/queues/0/filters/0/mac", "MAC"), ("/queues/0/filters/1/mac", "MAC"),
         ("/queues/0/filters/2/mca", 'did you mean "mac"?')], True),
    # duplicate keys, which no schema ever sees
    "a key twice": text(
        b'{EAL, "adapters": [{"name": "a", "device": "net_null0",\n "name": "a"}]}',
        "lines 1 and 2", "/adapters/0/name"),
    "a key twice, escaped": text(
        b'{EAL, "adapters": [{"name": "a", "\\u006eame": "a", "device": "net_null0"}]}',
        "more than once, in line 1", "/adapters/0/name"),
    "a key three times, reported once": text(
        b'{EAL, "adapters": [{"name": "a", "mtu": 100, "mtu": 100, "mtu": 100,'
        b'"device": "net_null0"}]}',
        '"mtu"', "/adapters/0/mtu"),
    "a key of the root twice": text(
        b'{EAL, "queues": [], "adapters": [{"name": "a", "device": "net_null0"}], "queues": []}',
        '"queues"', "/queues"),
    # what is no JSON
    "nothing": text(b"", "is empty"),
    "blanks": text(b" \n ", "is not JSON at line 2"),
    "cut off": text(json.dumps(base()).encode()[:-20], "is not JSON at line 1"),
    "a comma too many": text(b'{"adapters": [],}', "no comma after the last item"),
    "a comment": text(b'{\n// cores\n"eal": {}}', "line 2, column"),
    "two documents": text(b"{} {}", "is not JSON"),
    "a byte order mark": text(b'\xef\xbb\xbf{"adapters": []}', "is not JSON"),
    "no UTF-8": text(b'{"eal": {"file_prefix": "\xff\xfe"}}', "unable to decode byte 0xff"),
    "a surrogate alone": text(b'{"eal": {"file_prefix": "\\ud800"}}', "is not JSON"),
    "a raw control character": text(b'{"eal": {"file_prefix": "a\x01"}}', "control character"),
    "a key with NUL": text(b'{"e\\u0000al": {}}', "NUL byte in object key"),
    "binary": text(bytes(range(256)) * 16, "is not JSON"),
    "zeros": text(bytes(4096), "is not JSON"),
    "deep arrays": text(b"[" * 1_000_000, "is not JSON"),
    "deep objects": text(b'{"eal":' * 100_000, "is not JSON"),
    "a leading zero": text(b'{"eal": {"main_core": 00}}', "is not JSON"),
}


def check(path, **more):
    return subprocess.run([daemon.VMQD, "--check", "-c", path], capture_output=True, text=True,
                          timeout=60, check=False, stdin=subprocess.DEVNULL, **more)


def findings(done, path):
    """The findings of a check: [(pointer, message, hint)]; nothing else may be printed."""
    found = []
    for line in done.stderr.splitlines():
        match = re.fullmatch(re.escape(str(path)) + r": error(?: at (/.*?))?: (.*)", line)
        if match:
            found.append([match[1] or "", match[2], ""])
        else:
            assert line.startswith("  hint: ") and found and not found[-1][2], line
            found[-1][2] = line
    return found


def write(doc, tmp_path):
    path = tmp_path / "conf.json"
    path.write_bytes(doc if isinstance(doc, bytes) else json.dumps(doc).encode())
    return path


def refused(done, path, expected):
    assert done.returncode == 1, done
    assert done.stdout == "", done
    found = findings(done, path)
    assert sorted(pointer for pointer, _, _ in found) == \
        sorted(pointer for pointer, _ in expected), done.stderr
    for pointer, words in expected:
        assert any(pointer == at and words in message + hint for at, message, hint in found), \
            f"{words!r} is not said at {pointer!r}:\n{done.stderr}"


@pytest.fixture(scope="module")
def schema():
    return jsonschema.Draft202012Validator(SCHEMA)


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def described(node):
    """Every key that the schema describes, with what is said of it: (key, node)."""
    for name, child in node.items():
        if name in ("properties", "$defs"):
            for key, value in child.items():
                if name == "properties":
                    yield key, value
                yield from described(value)
        elif name == "items" and isinstance(child, dict):
            yield from described(child)
        elif name == "oneOf":
            for value in child:
                yield from described(value)


def test_every_key_of_the_schema_has_a_description():
    keys = list(described(SCHEMA))
    assert len(keys) > 30
    for key, node in keys:
        target = SCHEMA["$defs"][node["$ref"].split("/")[-1]] if "$ref" in node else {}
        assert "const" in node or "enum" in node or "description" in {**target, **node}, key


def counted(things, what):
    return f"{len(things)} {what}{'s' if len(things) != 1 else ''}"


@pytest.mark.parametrize("name", GOOD)
def test_a_good_document_is_accepted(name, schema, tmp_path):
    doc = GOOD[name]
    assert [error.message for error in schema.iter_errors(doc)] == []
    path = write(doc, tmp_path)
    done = check(path, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done
    queues = doc.get("queues", [])
    filters = [entry for queue in queues for entry in queue.get("filters", [])]
    for adapter in doc["adapters"]:
        filters += adapter.get("default_queue", {}).get("filters", [])
    assert re.fullmatch(
        re.escape(f"{path}: ok: {counted(doc['adapters'], 'adapter')}, "
                  f"{counted(queues, 'queue')}, {counted(filters, 'filter')}, ")
        + r"[1-9]\d* MiB of memory\n", done.stdout), done


@pytest.mark.parametrize("name", BAD)
def test_the_checker_says_what_is_wrong_and_where(name, tmp_path):
    case = BAD[name]
    path = write(case.doc, tmp_path)
    refused(check(path, cwd=tmp_path), path, case.found)


@pytest.mark.parametrize("name", [name for name in BAD if not isinstance(BAD[name].doc, bytes)])
def test_the_schema_refuses_what_a_schema_can(name, schema):
    case = BAD[name]
    # As a tool would see it: through JSON.
    doc = json.loads(json.dumps(case.doc))
    assert schema.is_valid(doc) != case.schema_says


@pytest.mark.parametrize("path", sorted(
    path for path in (daemon.TOP / "config").glob("*.json") if path.name != "vmqd.schema.json"),
    ids=lambda path: path.name)
def test_the_documents_that_come_with_vmq_are_good(path, schema):
    doc = json.loads(path.read_text(encoding="utf-8"))
    assert [error.message for error in schema.iter_errors(doc)] == []
    done = check(path, cwd=daemon.TOP)
    # Documents for real hosts name a NIC and CPUs that this one may not have: nothing else
    # may be wrong with them.
    errors = [line for line in done.stderr.splitlines() if ": error" in line]
    machine = re.compile(r"there is no PCI device|there is no CPU|CPU \d+|hugepages")
    assert all(machine.search(line) for line in errors), done
    assert (done.returncode == 0) == (not errors), done


def test_standard_input(tmp_path):
    done = subprocess.run([daemon.VMQD, "--check", "-c", "-"], input=json.dumps(base()), text=True,
                          capture_output=True, timeout=60, check=False, cwd=tmp_path)
    assert done.returncode == 0 and "ok: 2 adapters, 3 queues" in done.stdout, done


def test_files_that_are_no_documents(tmp_path):
    refused(check(tmp_path), tmp_path, [("", "Is a directory")])
    path = tmp_path / "nothing.json"
    refused(check(path), path, [("", "No such file or directory")])
    refused(check("/dev/null"), "/dev/null", [("", "is empty")])
    # Endless, and of unknown size.
    refused(check("/dev/zero"), "/dev/zero", [("", "longer than 16 MiB")])
    # Opens, and then cannot be read.
    refused(check("/proc/self/mem"), "/proc/self/mem", [("", "cannot be read")])


def test_a_file_over_the_limit(tmp_path):
    data = json.dumps(base()).encode()
    path = write(data + b" " * ((16 << 20) - len(data)), tmp_path)
    assert check(path, cwd=tmp_path).returncode == 0
    path = write(data + b" " * ((16 << 20) - len(data) + 1), tmp_path)
    refused(check(path), path, [("", "longer than 16 MiB")])


def test_more_findings_than_anyone_reads(tmp_path):
    path = write(change(("/queues/0/filters", [{"vlan": 0}] * 5000)), tmp_path)
    done = check(path, cwd=tmp_path)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if not line.startswith("  hint: ")]
    assert len(lines) == 1001
    assert lines[-1] == f"{path}: error: 4000 more findings are not shown"


def test_long_pointers_are_cut(tmp_path):
    """Two thousand findings, each below a key of 4 MiB: nobody reads gigabytes of them."""
    key = "k" * (4 << 20)
    inner = ",".join(f'"{i}":1,"{i}":2' for i in range(2000))
    path = write(f'{{"{key}": {{{inner}}}}}'.encode(), tmp_path)
    done = check(path, cwd=tmp_path)
    assert done.returncode == 1, done.returncode
    assert len(done.stderr) < 8 << 20
    assert "more findings are not shown" in done.stderr


def test_a_document_cut_at_any_byte(tmp_path):
    """Never a crash, and never taken for a whole one."""
    data = json.dumps(base()).encode()
    path = tmp_path / "cut.json"
    for end in range(0, len(data), 13):
        path.write_bytes(data[:end])
        done = check(path, cwd=tmp_path)
        assert done.returncode == 1 and findings(done, path), (end, done)


def test_changing_one_does_not_change_the_base():
    """The list above would prove little if its documents shared their parts."""
    before = copy.deepcopy(base())
    change(("/queues/0/name", "x"), (F0 + "/vlan", 0))
    assert base() == before
