# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
Every queue gets exactly the frames that the specification gives it, byte for byte
and in order. oracle.py says which; the daemon writes a capture for each queue.
"""

import random
import shutil
import subprocess
import time

import pytest

from oracle import DEFAULT, Filter, Oracle, Queue
from vmq_test import cases, pcap
from vmq_test.daemon import Vmqd, cpus, document, queues_by_name

# An adapter is a case: many in one document make hundreds of cases cheap.
CASES_IN_A_RUN = 25
FRAMES_IN_A_CASE = 150
RUNS = 6
# Buffers of a default queue for the descriptors, and for what is on its way to a queue.
RECEIVING = 4096
# With VMQ_SEED the first case of the first run has that seed.
SEEDS = cases.seeds({"fixed": 0x766D71})


def adapter_json(name, number, source, memory, backend, **default_queue):
    return {"name": name, "device": f"net_pcap{number},rx_pcap={source}", "mtu": 9000,
            "rx_descriptors": 256,
            "default_queue": {"memory": memory, "backend": backend, **default_queue}}


def case_json(number, case, folder, workers):
    """The adapter and the queues of a case; source and captures are in folder."""
    name = f"case{number}"
    pcap.write(folder / f"{name}.pcap", case.frames)
    adapter, queues = None, []
    for position, queue in enumerate(case.queues):
        memory = {"buffers": case.buffers(queue.name),
                  "buffer_size": case.buffer_sizes[queue.name]}
        backend = {"type": "pcap", "file": str(folder / f"{name}-{queue.name}.pcap")}
        common = {"keep_tags": queue.keep_tags, "filters": cases.filters_json(queue.filters),
                  "affinity": [workers[(number + position) % len(workers)]]}
        if queue.name == DEFAULT:
            memory["buffers"] += RECEIVING
            adapter = adapter_json(name, number, folder / f"{name}.pcap", memory, backend,
                                   **common)
        else:
            queues.append({"name": f"{name}-{queue.name}", "vm": f"vm-{queue.name}",
                           "adapter": name, "memory": memory, "backend": backend, **common})
    return adapter, queues


def difference(expected, delivered):
    """Say where two lists of frames differ first."""
    for number, (wanted, got) in enumerate(zip(expected, delivered)):
        if wanted != got:
            return f"frame {number}:\nexpected {wanted.hex()}\ngot      {got.hex()}"
    return f"{len(expected)} frames expected, {len(delivered)} delivered"


def run_cases(doc, all_cases, folder):
    """Run vmqd over the cases; returns the final statistics."""
    with Vmqd(doc, folder) as daemon:
        daemon.wait_received({f"case{n}": len(case.frames) for n, case in enumerate(all_cases)})
        return daemon.stop()


def check_case(number, case, final, folder, began_ns):
    repeat = f"repeat with VMQ_SEED={case.seed}"
    stats = queues_by_name(final, f"case{number}")
    for queue in case.queues:
        expected = case.expected[queue.name]
        name = queue.name if queue.name == DEFAULT else f"case{number}-{queue.name}"
        capture = pcap.Capture(folder / f"case{number}-{queue.name}.pcap")
        assert capture.frames == expected, (
            f"{repeat}: queue {queue.name}, filters {queue.filters}, keep_tags "
            f"{queue.keep_tags}: {difference(expected, capture.frames)}")
        assert capture.magic == pcap.MAGIC_NS and capture.linktype == pcap.ETHERNET, repeat
        assert capture.stamps_ns == sorted(capture.stamps_ns), f"{repeat}: time goes backwards"
        # The clock of the capture may be read from another source than ours.
        assert all(began_ns - 10**9 < stamp < time.time_ns() + 10**9
                   for stamp in capture.stamps_ns), f"{repeat}: stamps are not of now"
        assert stats[name]["delivered"] == len(expected), f"{repeat}: {stats[name]}"
        assert stats[name]["delivered_bytes"] == sum(map(len, expected)), repeat


@pytest.mark.parametrize("run", range(RUNS))
@pytest.mark.parametrize("base", SEEDS.values(), ids=SEEDS.keys())
@pytest.mark.parametrize("workers", [1, 2])
def test_every_queue_gets_its_frames_byte_for_byte_in_order(tmp_path, need, workers, base, run):
    # Each case has a seed of its own, so that a failure is repeated by one number.
    seeds = [base + run * CASES_IN_A_RUN + n for n in range(CASES_IN_A_RUN)]
    print(f"VMQ_SEED from {seeds[0]} to {seeds[-1]}")
    main_core, worker = cpus()
    need(workers == 1 or main_core != worker, "two workers need two CPUs")
    worker_cpus = [worker] if workers == 1 else [main_core, worker]
    all_cases = [cases.Case(seed, FRAMES_IN_A_CASE) for seed in seeds]
    adapters, queues = [], []
    for number, case in enumerate(all_cases):
        adapter, more = case_json(number, case, tmp_path, worker_cpus)
        adapters.append(adapter)
        queues += more
    began_ns = time.time_ns()
    final = run_cases(document(adapters, queues, workers=worker_cpus), all_cases, tmp_path)
    for number, case in enumerate(all_cases):
        check_case(number, case, final, tmp_path, began_ns)
    shutil.rmtree(tmp_path)


def queues_json(queues, captured, folder):
    """Many queues, some of them with captures."""
    return [{"name": queue.name, "vm": queue.name, "adapter": "a", "keep_tags": queue.keep_tags,
             "memory": {"buffers": 512}, "filters": cases.filters_json(queue.filters),
             "backend": {"type": "pcap", "file": str(folder / f"{queue.name}.pcap")}
             if queue in captured else {"type": "sink"}} for queue in queues]


@pytest.mark.parametrize("base", SEEDS.values(), ids=SEEDS.keys())
def test_ten_thousand_filters(tmp_path, base):
    print(f"VMQ_SEED={base}")
    rng = random.Random(base)
    filters = set()
    while len(filters) < 10000:
        mac = bytes([0x52, 0x54]) + rng.randbytes(4)
        filters.add(Filter(mac, rng.randrange(1, 4095)))
        if rng.random() < 0.2:  # and wider ones for the same MAC
            filters.add(Filter(mac, rng.choice(("untagged", "any"))))
    filters = sorted(filters, key=str)[:10000]
    rng.shuffle(filters)
    queues = [Queue(f"q{n}", filters[n * 50:(n + 1) * 50], keep_tags=n % 3 == 0)
              for n in range(200)]
    macs = [one.mac for one in filters]
    frames = []
    for _ in range(8000):
        one = rng.choice(filters)
        if rng.random() < 0.7 and isinstance(one.vlan, int):
            tags = cases.tag(rng, 0x8100, one.vlan)
            frames.append(one.mac + b"\x02" + rng.randbytes(5) + tags + b"\x08\x00" +
                          rng.randbytes(rng.randrange(42, 200)))
        else:
            frames.append(cases.frame(rng, macs, [one.vlan] if isinstance(one.vlan, int) else [7]))
    expected = Oracle(queues).expect(frames)

    pcap.write(tmp_path / "source.pcap", frames)
    captured = queues[::10]
    adapter = adapter_json("a", 0, tmp_path / "source.pcap",
                           {"buffers": 8192, "buffer_size": 10240},
                           {"type": "pcap", "file": str(tmp_path / "default.pcap")})
    doc = document([adapter], queues_json(queues, captured, tmp_path))
    with Vmqd(doc, tmp_path, interval=0.5) as daemon:
        daemon.wait_received({"a": len(frames)})
        stats = queues_by_name(daemon.stop())
    for queue in queues:
        name, wanted = queue.name, expected[queue.name]
        assert stats[name]["delivered"] == len(wanted), f"VMQ_SEED={base}: {name}"
        assert stats[name]["delivered_bytes"] == sum(map(len, wanted)), f"VMQ_SEED={base}: {name}"
        assert len(stats[name]["filters"]) == 50
    for name in [queue.name for queue in captured] + [DEFAULT]:
        got = pcap.Capture(tmp_path / f"{name}.pcap").frames
        assert got == expected[name], f"VMQ_SEED={base}: {name}: {difference(expected[name], got)}"
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("keep_tags", [False, True])
def test_many_vms_whose_frames_are_all_alike(tmp_path, keep_tags):
    """The shortest way: bursts of tagged frames that all have VMs, to more than 128 of them."""
    rng = random.Random(SEEDS["fixed"])
    queues = [Queue(f"q{n}", [Filter(bytes([0x52, 0x54, 0, 0, n >> 8, n & 0xff]), n + 1)],
                    keep_tags=keep_tags) for n in range(300)]
    frames = []
    while len(frames) < 20000:
        # Now one VM, now another has more than a burst; most have a few frames only.
        for queue in rng.choices(queues, k=100) + 40 * [rng.choice(queues)]:
            one = queue.filters[0]
            frames.append(one.mac + b"\x02" + rng.randbytes(5) + cases.tag(rng, 0x8100, one.vlan) +
                          b"\x08\x00" + rng.randbytes(rng.randrange(42, 100)))
    expected = Oracle(queues).expect(frames)

    pcap.write(tmp_path / "source.pcap", frames)
    captured = queues[::10]
    adapter = adapter_json("a", 0, tmp_path / "source.pcap", {"buffers": 8192}, {"type": "sink"})
    doc = document([adapter], queues_json(queues, captured, tmp_path))
    with Vmqd(doc, tmp_path, interval=0.5) as daemon:
        daemon.wait_received({"a": len(frames)})
        stats = queues_by_name(daemon.stop())
    for queue in queues:
        name, wanted = queue.name, expected[queue.name]
        assert stats[name]["delivered"] == len(wanted), name
        assert stats[name]["delivered_bytes"] == sum(map(len, wanted)), name
    for queue in captured:
        got = pcap.Capture(tmp_path / f"{queue.name}.pcap").frames
        assert got == expected[queue.name], difference(expected[queue.name], got)
    shutil.rmtree(tmp_path)


def test_other_programs_read_the_captures(tmp_path, need):
    need(shutil.which("tcpdump"), "tcpdump is missing: apt-get install tcpdump")
    case = cases.Case(1, 100)
    adapter, queues = case_json(0, case, tmp_path, [cpus()[1]])
    run_cases(document([adapter], queues), [case], tmp_path)
    for queue in case.queues:
        file = tmp_path / f"case0-{queue.name}.pcap"
        printed = subprocess.run(["tcpdump", "-nn", "-t", "-r", str(file)], capture_output=True,
                                 text=True, check=True, timeout=60)
        assert len(printed.stdout.splitlines()) >= len(case.expected[queue.name])
        frames = [bytes(packet) for packet in read_with_scapy(need, file)]
        assert frames == case.expected[queue.name]


def read_with_scapy(need, file):
    try:
        from scapy.utils import RawPcapReader
    except ImportError:
        need(False, "scapy is missing: apt-get install python3-scapy")
    reader = RawPcapReader(str(file))
    try:
        return [packet for packet, _ in reader]
    finally:
        reader.close()
