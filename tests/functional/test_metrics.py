# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
What watches a running vmqd: the figures for Prometheus, read by the real one, and the
commands of DPDK's telemetry. Both have every figure of the statistics.
"""

import http.client
import json
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from vmq_test import pcap
from vmq_test.daemon import Vmqd, document, queues_by_name
from vmq_test.telemetry import Telemetry

FRAMES = 3000
MAC = bytes.fromhex("525400000001")
AWKWARD = 'web "1" \\ ü'

# Key in the statistics: name of the metric. A figure that is new in the statistics needs
# a row in app/vmqd/figures.c, and here.
QUEUE = {
    "received": "vmq_queue_received_packets_total",
    "received_bytes": "vmq_queue_received_bytes_total",
    "delivered": "vmq_queue_delivered_packets_total",
    "delivered_bytes": "vmq_queue_delivered_bytes_total",
    "bursts": "vmq_queue_bursts_total",
    "waiting": "vmq_queue_waiting_packets",
    "buffers.limit": "vmq_queue_memory_limit_buffers",
    "buffers.populated": "vmq_queue_memory_populated_buffers",
    "buffers.available": "vmq_queue_memory_available_buffers",
    "buffers.outstanding": "vmq_queue_memory_outstanding_buffers",
    "buffers.retiring": "vmq_queue_memory_retiring_buffers",
    "buffers.size": "vmq_queue_memory_buffer_size_bytes",
    "buffers.blocks": "vmq_queue_memory_blocks",
    "buffers.bytes": "vmq_queue_memory_bytes",
    "buffers.grown": "vmq_queue_memory_grown_blocks_total",
    "buffers.returned": "vmq_queue_memory_returned_blocks_total",
    "buffers.failed": "vmq_queue_memory_failed_blocks_total",
    "transmit.received": "vmq_queue_transmit_received_packets_total",
    "transmit.received_bytes": "vmq_queue_transmit_received_bytes_total",
    "transmit.sent": "vmq_queue_transmit_sent_packets_total",
    "transmit.sent_bytes": "vmq_queue_transmit_sent_bytes_total",
    "transmit.local": "vmq_queue_transmit_local_packets_total",
    "transmit.local_bytes": "vmq_queue_transmit_local_bytes_total",
    "transmit.copies": "vmq_queue_transmit_copied_packets_total",
    "transmit.waiting": "vmq_queue_transmit_waiting_packets",
    "transmit.buffers.limit": "vmq_queue_transmit_memory_limit_buffers",
    "transmit.buffers.populated": "vmq_queue_transmit_memory_populated_buffers",
    "transmit.buffers.available": "vmq_queue_transmit_memory_available_buffers",
    "transmit.buffers.outstanding": "vmq_queue_transmit_memory_outstanding_buffers",
    "transmit.buffers.retiring": "vmq_queue_transmit_memory_retiring_buffers",
    "transmit.buffers.blocks": "vmq_queue_transmit_memory_blocks",
    "transmit.buffers.bytes": "vmq_queue_transmit_memory_bytes",
    "transmit.buffers.grown": "vmq_queue_transmit_memory_grown_blocks_total",
    "transmit.buffers.returned": "vmq_queue_transmit_memory_returned_blocks_total",
    "transmit.buffers.failed": "vmq_queue_transmit_memory_failed_blocks_total",
}
QUEUE.update({
    "backend.ring_full": "vmq_queue_backend_ring_full_bursts_total",
    "backend.link.changes": "vmq_queue_backend_link_changes_total",
    "backend.link.cut_offs": "vmq_queue_backend_cut_offs_total",
})
ADAPTER = {
    "nic.received": "vmq_adapter_nic_received_packets_total",
    "nic.missed": "vmq_adapter_nic_missed_packets_total",
    "nic.errors": "vmq_adapter_nic_error_packets_total",
    "nic.no_buffer": "vmq_adapter_nic_no_buffer_events_total",
    "nic.sent": "vmq_adapter_nic_sent_packets_total",
    "nic.send_errors": "vmq_adapter_nic_send_error_packets_total",
}
WORKER = {
    "polls": "vmq_worker_polls_total",
    "idle_polls": "vmq_worker_idle_polls_total",
    "packets": "vmq_worker_received_packets_total",
    "bursts": "vmq_worker_received_bursts_total",
    "served": "vmq_worker_served_packets_total",
    "sleeps": "vmq_worker_sleeps_total",
    "max_sleep_us": "vmq_worker_max_sleep_seconds",
    "profile.sampled_packets": "vmq_worker_sampled_packets_total",
}
# Cycles of a clock that the statistics do not name: seconds here.
TIME = {
    "cycles": "vmq_worker_seconds_total",
    "busy_cycles": "vmq_worker_busy_seconds_total",
    "sleep_cycles": "vmq_worker_sleep_seconds_total",
}
# Numbers that are no figures, or that are made of others.
LABELS = {"id", "worker", "cpu", "keep_tags"}
DERIVED = {"mpps", "gbps", "dropped", "transmit.dropped", "cycles_per_packet", "mean_burst",
           "busy", "idle", "sleep", "profile.mean_burst.received", "profile.mean_burst.delivered"}
STAGES = ("receive", "classify", "gather", "deliver", "account", "other")
DERIVED.add("link.mbps")  # in bytes there
DERIVED |= {f"profile.cycles_per_packet.{stage}" for stage in STAGES}


def numbers(item, prefix=""):
    """{"buffers.available": number} of an object of the statistics; drops are apart."""
    flat = {}
    for key, value in item.items():
        if isinstance(value, dict) and key != "drops":
            flat.update(numbers(value, f"{prefix}{key}."))
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            flat[prefix + key] = value
    return flat


SAMPLE = re.compile(r'([a-z_]+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"(?:,|$)')


class Metrics:
    """The samples of one scrape, and what was said about them."""

    def __init__(self, text):
        self.samples, self.types, self.help = {}, {}, {}
        for line in text.splitlines():
            if line.startswith("# "):
                _, what, name, rest = line.split(" ", 3)
                {"TYPE": self.types, "HELP": self.help}[what][name] = rest
                continue
            name, labels, value = SAMPLE.match(line).groups()
            found = {key: re.sub(r"\\(.)", r"\1", text)
                     for key, text in LABEL.findall(labels or "")}
            key = (name, frozenset(found.items()))
            assert key not in self.samples, f"twice: {line}"
            self.samples[key] = float(value)

    def get(self, name, **labels):
        """The one sample of that name that has these labels, among others."""
        found = [value for (one, has), value in self.samples.items()
                 if one == name and labels.items() <= dict(has).items()]
        assert len(found) == 1, f"{len(found)} samples of {name} {labels}"
        return found[0]


def url_of(daemon):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = re.search(r"metrics at (http://\S+)", daemon.stderr())
        if found:
            return found[1]
        time.sleep(0.02)
    raise AssertionError(daemon.explain("no address of the metrics in the log"))


def scrape(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return answer.read().decode("utf-8")


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """A vmqd with two adapters that has received what there is, and waits: nothing changes."""
    folder = tmp_path_factory.mktemp("metrics")
    frames = [MAC + b"\x02" + bytes(5) + b"\x08\x00" + bytes(50)] * FRAMES
    pcap.write(folder / "source.pcap", frames + [b"\x52\x54" + bytes(62)] * 7)
    pcap.write(folder / "other.pcap", frames[:5])
    doc = document(
        [{"name": "nic", "device": f"net_pcap0,rx_pcap={folder}/source.pcap"},
         {"name": "nic,2", "device": f"net_pcap1,rx_pcap={folder}/other.pcap"}],
        [{"name": AWKWARD, "vm": "v1", "adapter": "nic", "memory": {"buffers": 64},
          # A ring that nobody empties: some packets wait, some are dropped.
          "filters": [{"mac": MAC.hex(":")}], "backend": {"type": "ethdev",
                                                          "device": "net_ring0"},
          "receive_only": True},
         {"name": "paused", "vm": "v2", "adapter": "nic", "memory": {"buffers": 64},
          "backend": {"type": "sink"}}])
    doc["metrics"] = {"address": "127.0.0.1:0"}
    with Vmqd(doc, folder) as daemon:
        daemon.wait(lambda now: now["total"]["received"] == FRAMES + 7 + 5, "all is received")
        yield daemon
        daemon.stop()


def check_item(metrics, item, names, labels):
    values = numbers(item)
    unknown = values.keys() - names.keys() - LABELS - DERIVED
    assert not unknown, f"the statistics have {unknown}, and the metrics do not"
    for key, name in names.items():
        assert metrics.get(name, **labels) == values[key], f"{name} {labels}"


def test_every_figure_of_the_statistics_is_a_metric(quiet):
    metrics = Metrics(scrape(url_of(quiet)))
    stats = quiet.wait(lambda now: True, "statistics")
    assert len(stats["queues"]) == 4
    for queue in stats["queues"]:
        labels = {"adapter": queue["adapter"], "id": str(queue["id"]), "queue": queue["name"],
                  "vm": queue["vm"] or ""}
        check_item(metrics, queue, QUEUE, labels)
        for reason, count in queue["drops"].items():
            assert metrics.get("vmq_queue_dropped_packets_total", reason=reason,
                               **labels) == count
        for reason, count in queue["transmit"]["drops"].items():
            assert metrics.get("vmq_queue_transmit_dropped_packets_total", reason=reason,
                               **labels) == count
        assert metrics.get("vmq_queue_state", state=queue["state"], **labels) == 1
        assert metrics.get("vmq_queue_filters", **labels) == len(queue["filters"])
        assert metrics.get("vmq_queue_info", backend=queue["backend"]["type"],
                           cpu=str(queue["worker"]), **labels) == 1
    for adapter in stats["adapters"]:
        check_item(metrics, adapter, ADAPTER, {"adapter": adapter["name"]})
        link = adapter["link"]
        assert link["mbps"] > 0, "net_pcap says 10 Gbit/s"
        assert metrics.get("vmq_adapter_link_up", adapter=adapter["name"]) == link["up"]
        assert metrics.get("vmq_adapter_link_speed_bytes", adapter=adapter["name"]) == \
            link["mbps"] * 1e6 / 8
        assert metrics.get("vmq_adapter_info", adapter=adapter["name"],
                           device=adapter["device"]) == 1
    assert metrics.get("vmq_build_info", version=stats["version"]) == 1
    assert abs(metrics.get("vmq_start_time_seconds") + stats["elapsed_s"] - stats["time"]) < 60
    dropped = queues_by_name(stats)[AWKWARD]["dropped"]
    assert dropped > 0, "nothing was dropped: this test would not notice a wrong reason"
    # Workers go on polling: their figures only grow.
    later = Metrics(scrape(url_of(quiet)))
    for number, worker in enumerate(stats["workers"]):
        assert not numbers(worker).keys() - WORKER.keys() - TIME.keys() - LABELS - DERIVED
        labels = {"worker": str(number), "cpu": str(worker["cpu"])}
        for key, name in WORKER.items():
            value = numbers(worker)[key]
            assert later.get(name, **labels) >= value / (1e6 if key.endswith("_us") else 1)
        hertz = worker["cycles"] / stats["elapsed_s"]
        for key, name in TIME.items():
            assert later.get(name, **labels) >= 0.9 * worker[key] / hertz
            assert later.get(name, **labels) <= later.get(TIME["cycles"], **labels)
        for stage in STAGES:
            assert 0 <= later.get(f"vmq_worker_sampled_{stage}_seconds_total", **labels) <= \
                later.get(TIME["cycles"], **labels)


def test_names_help_and_types_are_as_promtool_wants_them(quiet, need):
    promtool = shutil.which("promtool")
    need(promtool, "promtool is missing: apt-get install prometheus")
    text = scrape(url_of(quiet))
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    metrics = Metrics(text)
    for name, _ in metrics.samples:
        assert metrics.types[name] == ("counter" if name.endswith("_total") else "gauge"), name
        assert metrics.help[name].endswith("."), name


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_real_prometheus_scrapes_it(quiet, need, tmp_path):
    prometheus = shutil.which("prometheus")
    need(prometheus, "prometheus is missing: apt-get install prometheus")
    target = url_of(quiet).removeprefix("http://").removesuffix("/metrics")
    config = tmp_path / "prometheus.yml"
    config.write_text(json.dumps({  # JSON is YAML
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"},
        "scrape_configs": [{"job_name": "vmqd", "static_configs": [{"targets": [target]}]}]}),
        encoding="utf-8")
    port = free_port()
    api = f"http://127.0.0.1:{port}/api/v1/query?query="
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen([prometheus, f"--config.file={config}",
                                    f"--storage.tsdb.path={tmp_path}/data",
                                    f"--web.listen-address=127.0.0.1:{port}"],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        end = time.monotonic() + 120
        found = []
        while not found:
            assert process.poll() is None and time.monotonic() < end, (
                (tmp_path / "log").read_text(encoding="utf-8"))
            time.sleep(0.2)
            try:
                with urllib.request.urlopen(api + "vmq_queue_received_packets_total",
                                            timeout=10) as answer:
                    found = json.load(answer)["data"]["result"]
            except OSError:
                continue
    finally:
        process.terminate()
        process.wait(60)
    values = {(one["metric"]["adapter"], one["metric"]["queue"]): int(one["value"][1])
              for one in found}
    assert values == {("nic", "default"): 7, ("nic", AWKWARD): FRAMES, ("nic", "paused"): 0,
                      ("nic,2", "default"): 5}


@pytest.mark.parametrize("method,path,status", [
    ("HEAD", "/metrics", 200), ("GET", "/metrics?name=x", 200), ("GET", "/", 404),
    ("GET", "/metricsx", 404), ("POST", "/metrics", 405), ("DELETE", "/metrics", 405)])
def test_other_requests(quiet, method, path, status):
    request = urllib.request.Request(url_of(quiet).removesuffix("/metrics") + path,
                                     method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == status
            assert (answer.read() == b"") == (method == "HEAD")
    except urllib.error.HTTPError as error:
        assert error.code == status
        assert error.read().strip(), "no word about why"


def connect(daemon):
    host, port = re.match(r"http://([^:]+):(\d+)", url_of(daemon)).groups()
    sock = socket.create_connection((host, int(port)), timeout=60)
    return sock


def read_all(sock):
    data = b""
    while chunk := sock.recv(65536):
        data += chunk
    return data


@pytest.mark.parametrize("sent,status", [
    (b"GET /metrics HTTP/1.0\n\n", b"200"),
    (b"nonsense\r\n\r\n", b"400"),
    (b"GET  /metrics\r\n\r\n", b"400"),
    (b"\r\n\r\n", b"400"),
    (bytes(200) + b"\r\n\r\n", b"400"),
    (b"GET /metrics HTTP/1.1\r\n" + b"x: y\r\n" * 2000, b"431"),
    (b"G" * 100000, b"431")], ids=lambda value: repr(value)[:40])
def test_strange_requests(quiet, sent, status):
    with connect(quiet) as sock:
        try:
            sock.sendall(sent)
        except OSError:
            pass  # answered and closed before the end
        assert read_all(sock).startswith(b"HTTP/1.1 " + status)


def test_a_client_that_has_closed_its_half_is_answered(quiet):
    with connect(quiet) as sock:
        sock.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock).endswith(b"\n")


def test_silent_clients_delay_nobody_and_have_a_bound(quiet):
    """Sixteen may be connected; the next is told so, and there is room when they go."""
    silent = [connect(quiet) for _ in range(15)]
    try:
        silent[0].sendall(b"GET /met")
        assert Metrics(scrape(url_of(quiet))).samples
        silent.append(connect(quiet))
        end = time.monotonic() + 60
        while True:  # the scrape's own connection may still be there
            with connect(quiet) as sock:
                answer = read_all(sock) if end - time.monotonic() < 59.5 else b""
            if answer.startswith(b"HTTP/1.1 503"):
                break
            assert time.monotonic() < end
    finally:
        for sock in silent:
            sock.close()
    end = time.monotonic() + 60
    while True:
        try:
            assert Metrics(scrape(url_of(quiet))).samples
            break
        except (urllib.error.HTTPError, http.client.HTTPException, ConnectionError):
            assert time.monotonic() < end
            time.sleep(0.05)


def test_an_address_in_use_ends_the_start_and_says_so(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        doc = document([{"name": "nic", "device": "net_null0"}], [])
        doc["metrics"] = {"address": f"127.0.0.1:{taken.getsockname()[1]}"}
        with Vmqd(doc, tmp_path) as daemon:
            assert daemon.end() == 1
            assert "/metrics/address" in daemon.stderr(), daemon.stderr()
            assert "Address already in use" in daemon.stderr(), daemon.stderr()


def test_many_queues_are_read_whole(tmp_path):
    """More than one write of a socket takes."""
    count = 200
    queues = [{"name": f"q{i}", "vm": f"v{i}", "memory": {"buffers": 1, "buffer_size": 64},
               "backend": {"type": "sink"}} for i in range(count)]
    doc = document([{"name": "nic", "device": "net_null0"}], queues)
    doc["metrics"] = {"address": "127.0.0.1:0"}
    with Vmqd(doc, tmp_path) as daemon:
        metrics = Metrics(scrape(url_of(daemon)))
        for i in range(count):
            assert metrics.get("vmq_queue_memory_limit_buffers", queue=f"q{i}") == 1
        daemon.stop()


def test_telemetry_has_every_figure_too(quiet):
    stats = quiet.wait(lambda now: True, "statistics")
    with Telemetry(quiet.doc["eal"]["file_prefix"]) as telemetry:
        assert telemetry.ask("/vmq/adapter/list") == ["nic", "nic,2"]
        for adapter in stats["adapters"]:
            figures = telemetry.ask(f"/vmq/adapter/stats,{adapter['name']}")
            for key, value in numbers(adapter).items():
                assert figures[key.replace(".", "_")] == value, key
        assert telemetry.ask("/vmq/queue/list,nic") == [0, 1, 2]
        assert telemetry.ask("/vmq/queue/list,nic,2") == [0]
        assert telemetry.ask("/vmq/queue/list,nic,1") == [1, 2]
        for queue in stats["queues"]:
            for name in (queue["name"], queue["id"]):
                where = f"{queue['adapter']},{name}"
                figures = telemetry.ask(f"/vmq/queue/stats,{where}")
                for key, value in numbers(queue).items():
                    if key not in LABELS | DERIVED - {"dropped"}:
                        assert figures[key.replace(".", "_")] == value, (where, key)
                info = telemetry.ask(f"/vmq/queue/info,{where}")
                # DPDK 22.11 knows no letters beyond ASCII.
                assert info["name"] == queue["name"].replace("ü", "?")
                assert info["state"] == queue["state"]
                assert info["backend"] == queue["backend"]["text"]
                assert telemetry.ask(f"/vmq/queue/drops,{where}") == queue["drops"]
                assert telemetry.ask(f"/vmq/queue/transmit_drops,{where}") == (
                    queue["transmit"]["drops"])
        assert telemetry.ask("/vmq/worker/list") == [one["cpu"] for one in stats["workers"]]
        assert telemetry.ask("/vmq/worker/stats,0")["polls"] > 0
        for wrong in ("/vmq/queue/stats", "/vmq/queue/stats,default", "/vmq/queue/stats,nic,9",
                      "/vmq/queue/stats,nic,nobody", "/vmq/adapter/stats,7",
                      "/vmq/worker/stats,x", "/vmq/worker/stats,9"):
            assert telemetry.ask(wrong) is None, wrong


def test_dpdk_telemetry_py_shows_the_commands(quiet, need):
    tool = shutil.which("dpdk-telemetry.py")
    need(tool, "dpdk-telemetry.py is missing: apt-get install dpdk-dev (Debian 12), dpdk (13)")
    done = subprocess.run(["/usr/bin/python3", tool, "-f", quiet.doc["eal"]["file_prefix"]],
                          input="/vmq/adapter/list\n/help,/vmq/queue/stats\n", text=True,
                          capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert '{"/vmq/adapter/list": ["nic", "nic,2"]}' in done.stdout
    assert "Figures of a queue" in done.stdout
