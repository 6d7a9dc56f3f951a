# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""vmq-bench as a user runs it: real runs, short ones; what the figures are is not tested."""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from vmq_test.daemon import VMQD

TOP = pathlib.Path(__file__).resolve().parents[2]
BENCH = TOP / "usertools" / "vmq-bench"
HARDWARE = VMQD.parents[2] / "tests" / "bench" / "bench_hardware"
MEMORY = VMQD.parents[2] / "tests" / "bench" / "bench_memory"


def bench(*words, status=0, seconds=300):
    done = subprocess.run([str(BENCH), *map(str, words)], capture_output=True, text=True,
                          timeout=seconds, check=False, cwd="/")
    assert done.returncode == status, done.stdout + done.stderr
    return done


@pytest.fixture
def testpmd(need):
    need(shutil.which("dpdk-testpmd"), "dpdk-testpmd is missing: apt-get install dpdk-dev")


def check_figures(result):
    for figure in result["figures"]:
        assert figure["min"] <= figure["median"] <= figure["max"] or figure["unit"] == "", figure
        assert figure["values"] and all(value > 0 for value in figure["values"]), figure
    assert result["machine"]["cpu"] and result["versions"]["kernel"] == os.uname().release


def test_steer_makes_a_curve_of_real_runs_and_draws_it(tmp_path, testpmd):
    out = tmp_path / "steer.json"
    done = bench("steer", "--vms", "1,3", "--runs", 1, "--seconds", 0.5, "--vmqd", VMQD,
                 "--no-ovs", "--json", out, "--plots", tmp_path / "plots")
    result = json.loads(out.read_text(encoding="utf-8"))
    check_figures(result)
    assert [point["vms"] for point in result["curve"]["points"]] == [1, 3]
    for point in result["curve"]["points"]:
        assert point["mpps"] > 0 and point["ratio_rxonly"] == pytest.approx(
            point["mpps"] / point["rxonly_mpps"], rel=0.01)
        assert any(float(said) == pytest.approx(point["mpps"], abs=0.001)
                   for said in re.findall(r"([\d.]+) Mpps", done.stdout))
    assert re.search(r"vmqd / vmqd .*chance", done.stdout)
    page = (tmp_path / "plots" / "index.html").read_text(encoding="utf-8")
    pictures = sorted(path.name for path in (tmp_path / "plots").glob("steer-*"))
    assert len(pictures) == 2 and all(f'"{name}"' in page for name in pictures)
    assert (tmp_path / "plots" / pictures[0]).read_bytes().startswith(b"\x89PNG")


def test_filters_and_flows_are_in_the_traffic(tmp_path, testpmd):
    """A run that steered a frame to the default queue would have been refused."""
    for words, points in ((("--filters", "8,40"), [8, 40]), (("--flows", "3"), [4])):
        out = tmp_path / "steer.json"
        bench("steer", "--vms", 4, *words, "--runs", 1, "--seconds", 0.5, "--vmqd", VMQD,
              "--no-ovs", "--json", out)
        curve = json.loads(out.read_text(encoding="utf-8"))["curve"]
        assert [point[curve["over"]] for point in curve["points"]] == points


def test_hardware_queues_are_measured_beside_the_same_only_received(tmp_path, need):
    """A run in which a VM did not get all of its frames by hardware would have been refused."""
    need(HARDWARE.exists(), f"{HARDWARE} is missing: meson compile -C build")
    out = tmp_path / "hardware.json"
    bench("steer", "--hardware", "--vms", "1,3", "--runs", 1, "--seconds", 0.5, "--bench", HARDWARE,
          "--json", out)
    result = json.loads(out.read_text(encoding="utf-8"))
    check_figures(result)
    assert [(one["vms"], one["keep_tags"]) for one in result["points"]] == [
        (1, False), (1, True), (3, False), (3, True)]
    bench("steer", "--hardware", "--vms", 17, status=2)


def test_memory_runs(tmp_path, need):
    need(MEMORY.exists(), f"{MEMORY} is missing: meson compile -C build")
    out = tmp_path / "memory.json"
    bench("memory", "--runs", 1, "--bench", MEMORY, "--json", out)
    result = json.loads(out.read_text(encoding="utf-8"))
    check_figures(result)
    assert result["burst_ratio"] > 0 and result["lifecycle_ratio"] > 0


def result_of(path, settings=None, **medians):
    path.write_text(json.dumps({**(settings or {}), "bench": "steer",
                                "machine": {"cores": len(medians)}, "figures": [
        {"name": name, "unit": "Mpps", "better": "lower" if name == "cost" else "higher",
         "median": median, "min": median - 1, "max": median + 1, "values": [median]}
        for name, median in medians.items()]}), encoding="utf-8")
    return path


def test_compare_says_what_has_changed_beyond_the_spread(tmp_path):
    old = result_of(tmp_path / "old.json", {"frame_bytes": 64}, a=10, b=10, c=10, cost=10, gone=1)
    new = result_of(tmp_path / "new.json", {"frame_bytes": 64, "ring": 256}, a=10.5, b=13, c=7,
                    cost=7)
    done = bench("compare", old, new, "--json", "-")
    verdicts = {row["name"]: row["verdict"] for row in json.loads(done.stdout)["figures"]}
    assert verdicts == {"a": "same", "b": "better", "c": "worse", "cost": "better"}
    assert "gone" in done.stderr and "machine: cores: 5 -> 4" in done.stderr
    assert "setting: ring: None -> 256" in done.stderr and "frame_bytes" not in done.stderr
    assert "2 better, 1 worse, 1 within the spread" in done.stderr


@pytest.mark.parametrize("words, status, message", [
    (("steer", "--vms", "0"), 2, "--vms: 1 to 1024"),
    (("steer", "--vms", "1,2", "--flows", "1,2"), 2, "one curve at a time"),
    (("steer", "--vms", "9", "--filters", "4"), 2, "--filters: from the number of VMs"),
    (("steer", "--runs", "0"), 2, "--runs: at least one"),
    (("steer", "--vmqd", "/nowhere/vmqd"), 1, "/nowhere/vmqd is missing"),
    (("compare", "/nowhere/a", "/nowhere/b"), 1, "/nowhere/a"),
    (("nothing",), 2, "invalid choice"),
])
def test_bad_use_is_refused(words, status, message):
    assert message in bench(*words, status=status).stderr


def test_compare_refuses_what_is_no_result(tmp_path):
    good = result_of(tmp_path / "good.json", a=1)
    other = tmp_path / "other.json"
    for text, message in (("{", "other.json"), ("[]", "no figures"),
                          ('{"bench": "memory", "figures": []}', "is a result of")):
        other.write_text(text, encoding="utf-8")
        assert message in bench("compare", good, other, status=1).stderr


@pytest.fixture
def memory(need):
    done = subprocess.run([str(BENCH), "rfc2544", "--generator", "testpmd", "--sizes", "64",
                           "--vmqd", "/nowhere"], capture_output=True, text=True, timeout=60,
                          check=False)
    need("hugepages are needed" not in done.stderr, done.stderr)


def test_vms_are_counted_by_the_vms(tmp_path, testpmd, memory):
    out = tmp_path / "vms.json"
    bench("vms", "--n", "1,2", "--runs", 1, "--seconds", 0.5, "--no-ovs", "--vmqd", VMQD, "--json",
          out, "--plots", tmp_path / "plots")
    result = json.loads(out.read_text(encoding="utf-8"))
    check_figures(result)
    assert result["n"] == [1, 2] and result["ovs_mpps"] == [None, None]
    assert result["ring"] == 256 and result["frames"] == 256 and not result["packed"]
    assert all(value > 0 for value in result["mpps"])
    assert result["figures"][-1]["name"] == "vmqd, 2 VMs / 1 VMs"
    assert list((tmp_path / "plots").glob("vms-64-*.png"))
    assert "each once" in bench("vms", "--n", "2,2", status=2).stderr


def test_what_others_keep_while_a_vm_reads_nothing_is_measured(tmp_path, testpmd, memory):
    out = tmp_path / "stopped.json"
    bench("vms", "--stopped", "--n", "3", "--runs", 1, "--rounds", 2, "--seconds", 0.5, "--vmqd",
          VMQD, "--json", out)
    result = json.loads(out.read_text(encoding="utf-8"))
    check_figures(result)
    assert result["bench"] == "vms_stopped" and result["n"] == 3 and result["kept"] > 0
    assert all(len(figure["values"]) == 2 for figure in result["figures"])


def test_vms_are_compared_in_turns(tmp_path, testpmd, memory):
    out = tmp_path / "turns.json"
    bench("vms", "--in-turns", "--n", "1,2", "--ring", 64, "--runs", 1, "--rounds", 2,
          "--seconds", 0.5, "--vmqd", VMQD, "--json", out)
    result = json.loads(out.read_text(encoding="utf-8"))
    check_figures(result)
    assert result["bench"] == "vms_in_turns" and result["n"] == [1, 2] and result["ratio"] > 0
    assert result["ring"] == 64
    assert all(len(figure["values"]) == 2 for figure in result["figures"])
    assert "two numbers of VMs" in bench("vms", "--in-turns", "--n", "2", status=2).stderr


@pytest.mark.parametrize("link", ["vhost", "memif"])
def test_rfc2544_locates_what_is_lost(tmp_path, testpmd, memory, link):
    out = tmp_path / "rfc2544.json"
    bench("rfc2544", "--generator", "testpmd", "--link", link, "--sizes", "64,1518", "--trial",
          0.5, "--vmqd", VMQD, "--json", out)
    result = json.loads(out.read_text(encoding="utf-8"))
    assert [one["size"] for one in result["results"]] == [64, 1518]
    for one in result["results"]:
        assert 0 < one["mpps"] and 0 <= one["lost"] < one["sent"]
        located = sum(int(count) for count in re.findall(r"(\d+) (?:in|between|behind)",
                                                         one["where"]))
        assert located == one["lost"], one


@pytest.mark.parametrize("words, message", [
    (("--generator", "pktgen", "--link", "memif"), "use --generator testpmd"),
    (("--sizes", "63"), "--sizes: 64 to 1518"),
    (("--device", "0000:01:00.0"), "both or none"),
    (("--generator", "testpmd", "--latency"), "only pktgen measures it"),
])
def test_bad_use_of_rfc2544_is_refused(words, message):
    assert message in bench("rfc2544", *words, status=2).stderr


def test_control_times_requests_and_counts_what_is_lost(tmp_path):
    out = tmp_path / "control.json"
    bench("control", "--runs", 1, "--requests", 3, "--queues", 5, "--pairs", 2,
          "--window", 0.2, "--vmqd", VMQD, "--json", out)
    result = json.loads(out.read_text(encoding="utf-8"))
    check_figures(result)
    names = {figure["name"] for figure in result["figures"]}
    assert {f"{what}, {when}" for what in ("allocate to running", "apply 5 queues more")
            for when in ("idle", "traffic")} <= names
    assert {f"{what}: with / without" for what in (
        "1000 requests a second", "a capture of one queue")} <= names
    assert "1000 requests a second: with / to another daemon" in names
    assert "nothing else: again without / without" in names
    assert result["lost"] == 0, result


def test_latency_grows_from_median_to_p99(tmp_path, memory):
    out = tmp_path / "latency.json"
    program = VMQD.parents[2] / "tests" / "bench" / "bench_latency"
    bench("latency", "--runs", 1, "--vms", 2, "--bench", program, "--json", out, "--plots",
          tmp_path / "plots")
    result = json.loads(out.read_text(encoding="utf-8"))
    check_figures(result)
    assert {(one["mode"], one["load"]) for one in result["points"]} == {
        (mode, load) for mode in ("poll", "adaptive") for load in (1, 10, 50)}
    assert all(0 < one["p50_us"] <= one["p99_us"] <= one["max_us"] for one in result["points"])
    assert list((tmp_path / "plots").glob("latency-*.svg"))


def test_scale_tells_start_memory_and_cycles(tmp_path):
    out = tmp_path / "scale.json"
    done = bench("scale", "--queues", "2,8", "--filters", 64, "--runs", 1, "--seconds", 0.2,
                 "--vmqd", VMQD, "--json", out, "--plots", tmp_path / "plots")
    result = json.loads(out.read_text(encoding="utf-8"))
    check_figures(result)
    assert [(one["queues"], one["filters"]) for one in result["points"]] == [(2, 2), (8, 8),
                                                                            (8, 64)]
    for point in result["points"]:
        assert [figure["unit"] for figure in point["figures"]] == ["ms", "KiB", "cycles"]
        # Whatever else it takes, a queue has its 256 buffers of 2 KiB.
        assert point["figures"][1]["median"] > 512, point
    assert re.search(r"^ +8 +64 ", done.stdout, re.MULTILINE)
    assert list((tmp_path / "plots").glob("scale-filters-cycles-*.svg"))
