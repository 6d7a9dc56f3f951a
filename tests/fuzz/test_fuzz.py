# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
Run each fuzz target for VMQ_FUZZ_SECONDS (60 by default), from seeds and with a dictionary;
both at the same time, where there are two CPUs.

VMQ_FUZZ_BUILD names the build with -Dfuzz=enabled (tests/run.sh fuzz makes build-fuzz).
An input that fails is kept in the current folder, and its path is in the failure.
"""

import itertools
import json
import os
import pathlib
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = TOP / os.environ.get("VMQ_FUZZ_BUILD", "build-fuzz")
SECONDS = int(os.environ.get("VMQ_FUZZ_SECONDS", "60"))
MAC = "52:54:00:00:00:01"


def request(method, params=None, number=1):
    one = {"jsonrpc": "2.0", "id": number, "method": method}
    if params is not None:
        one["params"] = params
    return one


def oid(name, information=None, **more):
    if information is not None:
        more["information"] = information
    return request("oid", {"oid": "RECEIVE_FILTER_" + name, **more})


ALLOCATE = {"queue_name": "q", "vm_name": "v", "processor_affinity": [0],
            "suggested_receive_buffers": 64, "receive_buffers_limit": 128}
FIELDS = [{"field": "DESTINATION", "value": MAC}, {"field": "VLAN_ID", "value": 5}]

RPC_SEEDS = [
    [request("version")],
    [request("methods")],
    [request("queue.list"), request("stats"), request("drops"), request("workers")],
    [request("adapter.list"), request("adapter.capabilities"), request("memory.show")],
    [request("subscribe", {"types": ["LINK_UP"]}), request("unsubscribe")],
    [oid("ENUM_QUEUES"), oid("CURRENT_CAPABILITIES"), oid("GLOBAL_PARAMETERS")],
    [oid("ALLOCATE_QUEUE", ALLOCATE),
     oid("SET_FILTER", {"queue_id": 1, "fields": FIELDS}),
     oid("QUEUE_ALLOCATION_COMPLETE", {"queues": [{"queue_id": 1}]}),
     oid("QUEUE_PARAMETERS", {"queue_id": 1}, type="method"),
     oid("QUEUE_PARAMETERS", {"queue_id": 1, "flags": ["NAME_CHANGED"], "queue_name": "x"},
         type="set"),
     oid("ENUM_FILTERS", {"queue_id": 1}), oid("PARAMETERS", {"filter_id": 1}),
     oid("MOVE_FILTER", {"filter_id": 1, "source_queue_id": 1, "destination_queue_id": 0}),
     oid("CLEAR_FILTER", {"filter_id": 1}), oid("FREE_QUEUE", {"queue_id": 1})],
    [oid("ALLOCATE_QUEUE", {"revision": 1, "queue_name": "q", "processor_affinity": [0],
                            "suggested_receive_buffers": 8}),
     request("filter.set", {"queue": "q", "filter": {"mac": MAC, "vlan": "untagged"}}),
     request("filter.list"), request("filter.move", {"filter": 1, "to": 0}),
     request("filter.clear", {"filter": 1}), request("memory.grow", {"queue": 1, "buffers": 8}),
     request("memory.shrink", {"queue": 1}), request("queue.free", {"queue": "q"})],
    [[request("version"), {"jsonrpc": "2.0", "method": "version"}, 1, [], request("x")]],
    [{"jsonrpc": "2.0", "id": None, "method": "queue.free", "params": [0, True, "a"]}],
]


DOCUMENT_SEEDS = [
    {},
    {"adapters": [{"name": "a", "device": "net_null0"}]},
    {"eal": {"main_core": 0, "workers": [0, 1], "hugepages": True, "in_memory": False,
             "memory_mb": 4096, "file_prefix": "x", "extra_args": ["--iova-mode=va"]},
     "workers": {"mode": "adaptive", "max_sleep_us": 100},
     "metrics": {"address": "127.0.0.1:9650"},
     "control": {"socket": "/run/x.sock", "owner": "root", "group": "root", "mode": "0600",
                 "owners": {"alice": "tenant"}, "state_file": "/var/lib/x",
                 "limits": {"depth": 16}},
     "adapters": [{"name": "a", "device": "0000:03:00.0", "rx_descriptors": 64, "mtu": 9000,
                   "memory_limit_mb": 100, "default_queue": {
                       "memory": {"buffers": 8192, "node": 0}, "filters": [{"vlan": 7}],
                       "backend": {"type": "pcap", "file": "/tmp/x"}}},
                  {"name": "b", "device": "net_tap0,iface=x"}],
     "queues": [{"name": "q", "vm": "v", "adapter": "b", "affinity": [1], "keep_tags": True,
                 "memory": {"buffers": 100, "limit": 300, "buffer_size": 1024, "node": "any",
                            "contiguous": True, "min_buffers": 50,
                            "growth": {"low": 5, "high": 99, "step": 7, "hold_ms": 0}},
                 "filters": [{"mac": MAC, "vlan": 4094}, {"mac": MAC, "vlan": "untagged"},
                             {"mac": MAC, "vlan": "any"}, {"vlan": 1}],
                 "backend": {"type": "ethdev", "device": "net_null9,size=64"}},
                {"name": "r", "vm": "v", "adapter": "a",
                 "backend": {"type": "vhost-user", "socket": "/tmp/v.sock", "mode": "server",
                             "permissions": "0660", "queue_pairs": 2}}]},
]
STATE_SEEDS = [
    {"version": 1, "checksum": "0" * 16, "content": {"queues": [], "filters": []}},
    {"version": 2},
]


def words_of(seeds):
    """Everything that means something: methods, parameters, names of fields and values."""
    def walk(value):
        if isinstance(value, dict):
            for key, inner in value.items():
                yield key
                yield from walk(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from walk(inner)
        elif isinstance(value, str):
            yield value

    return sorted({word for word in walk(seeds) if word})


TARGETS = {
    "fuzz_document": ([b"\0" + json.dumps(seed).encode() for seed in DOCUMENT_SEEDS]
                      + [b"\1" + json.dumps(seed).encode() for seed in STATE_SEEDS],
                      words_of(DOCUMENT_SEEDS + STATE_SEEDS)),
    "fuzz_rpc": ([(bytes([piece]) + b"\n".join(json.dumps(one).encode() for one in seed))
                  for seed, piece in itertools.product(RPC_SEEDS, (0, 7, 200))],
                 words_of(RPC_SEEDS)),
}


def start(target, folder):
    """Returns the process; its words go to folder / "stderr", inputs to folder / "found"."""
    seeds, words = TARGETS[target]
    corpus, found = folder / "corpus", folder / "found"
    corpus.mkdir()
    found.mkdir()
    for number, seed in enumerate(seeds):
        (corpus / f"seed{number}").write_bytes(seed)
    dictionary = folder / "dictionary"
    dictionary.write_text("".join(
        '"' + "".join(f"\\x{byte:02x}" for byte in json.dumps(word).encode()) + '"\n'
        for word in words), encoding="ascii")
    env = {**os.environ, "RUNTIME_DIRECTORY": str(folder),
           "ASAN_OPTIONS": "detect_leaks=1:allocator_may_return_null=1",
           "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}
    with open(folder / "stderr", "wb") as stderr:
        return subprocess.Popen(
            [program_of(target), f"-max_total_time={SECONDS}", f"-dict={dictionary}",
             "-max_len=20000", "-timeout=60", "-rss_limit_mb=4096", "-print_final_stats=1",
             f"-artifact_prefix={found}/", corpus],
            stdout=subprocess.DEVNULL, stderr=stderr, cwd=folder, env=env)


def program_of(target):
    return BUILD / "tests" / "fuzz" / target


@pytest.fixture(scope="module")
def runs(request, tmp_path_factory):
    """{target: (process, folder)} of the targets that are to be tested, all of them started."""
    wanted = {item.callspec.params["target"] for item in request.session.items
              if item.module is request.module}
    started = {}
    try:
        for target in sorted(wanted):
            if program_of(target).exists():
                folder = tmp_path_factory.mktemp(target)
                started[target] = (start(target, folder), folder)
        yield started
    finally:
        for process, _ in started.values():
            process.kill()
            process.wait()


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_that_can_be_sent_does_harm(target, runs):
    missing = f"{program_of(target)} is missing: tests/run.sh fuzz builds it, with clang"
    if target not in runs and os.environ.get("CI") != "true":
        pytest.skip(missing)
    assert target in runs, missing
    process, folder = runs[target]
    process.wait(timeout=SECONDS + 600)
    output = (folder / "stderr").read_text(encoding="utf-8", errors="replace")
    kept = []
    for file in (folder / "found").iterdir():
        kept.append(pathlib.Path.cwd() / f"{target}-{file.name}")
        kept[-1].write_bytes(file.read_bytes())
    assert process.returncode == 0, f"inputs kept: {list(map(str, kept))}\n{output[-6000:]}"
    units = [line for line in output.splitlines() if "number_of_executed_units" in line]
    assert units and int(units[0].split()[-1]) > 0, output[-2000:]
