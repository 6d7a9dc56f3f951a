# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""vmqctl against a running vmqd: every command, what it shows, and its exit status."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import time

import pytest

from test_man import commands, complete
from vmq_test.ctl import VMQCTL, Ctl, Ear, control
from vmq_test.daemon import Vmqd, document

MAC = "52:54:00:00:00:01"


def make_document(folder):
    doc = document(
        [{"name": "nic", "device": "net_null0,no-rx=1"}],
        [{"name": "web", "vm": "w", "memory": {"buffers": 64, "limit": 256, "growth": {"hold_ms": 3600000}},
          "filters": [{"mac": MAC, "vlan": 10}], "backend": {"type": "sink"}},
         {"name": "7", "vm": "digits", "memory": {"buffers": 64}, "backend": {"type": "sink"}}])
    control(doc, folder)
    return doc


@pytest.fixture
def daemon(tmp_path):
    with Vmqd(make_document(tmp_path), tmp_path) as one:
        one.wait_running()
        yield one
        if one.process.poll() is None:
            one.stop()


@pytest.fixture
def ctl(daemon):
    return Ctl(daemon)


def good(ctl, *words):
    done = ctl.run(*words)
    assert done.returncode == 0 and not done.stderr, (words, done)
    return done.stdout


def test_memory_is_shown_to_the_last_buffer(ctl, tmp_path):
    """All pools that the sum is made of have a row."""
    good(ctl, "queue", "allocate", "guest", "vm=g", "backend.type=vhost-user",
         f"backend.socket={tmp_path / 'vm.sock'}", "memory.buffers=64",
         "memory.transmit.buffers=1024", "memory.transmit.limit=2048")
    lines = good(ctl, "memory", "show").splitlines()
    at = next(i for i, line in enumerate(lines) if " guest " in line)
    assert re.match(r" *\d+ +guest +64 +64 +0 +0 +64 +1 ", lines[at]), lines
    assert re.match(r" +- +transmit +1024 +1024 +0 +0 +2048 +1 ", lines[at + 1]), lines
    unit = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20}
    shown = sum(float(n) * unit[u] for n, u in (
        re.search(r" ([\d.]+) (B|KiB|MiB) ", line + " ").groups() for line in lines[1:-1]))
    n, u = re.match(r"together: ([\d.]+) (\w+)", lines[-1]).groups()
    assert abs(shown - float(n) * unit[u]) < 0.1 * unit["MiB"], lines


def test_what_can_be_looked_at(ctl):
    out = good(ctl, "queue", "list")
    assert re.search(rf"1 +web +w +{MAC}/10 .*Running.*sink", out), out
    assert re.search(r"2 +7 +digits .*Paused", out), out
    assert "default" in out
    assert re.search(rf"1 +{MAC} +10 +web \(1\) +software +config +nic", good(ctl, "filter", "list"))
    assert MAC in good(ctl, "filter", "list", "web")
    assert good(ctl, "filter", "list", "name=7").count("\n") == 1  # the head only
    assert re.search(r"1 +web +64 +64 +0 +0 +256 +1 ", good(ctl, "memory", "show"))
    assert "together:" in good(ctl, "memory", "show", "web")
    assert "net_null0" in good(ctl, "adapter", "list")
    assert "device: net_null0" in good(ctl, "adapter", "show")
    assert "device: net_null0" in good(ctl, "adapter", "show", "nic")
    assert "num_queues" in good(ctl, "adapter", "capabilities")
    assert "chosen: software" in good(ctl, "adapter", "show")
    for words in (("queue", "promote", "web"), ("adapter", "verify", "--seconds", "1")):
        done = ctl.run("--as", "config", *words)
        assert done.returncode == 1 and "steers in software" in done.stderr, done
    assert "total: received 0 = delivered 0 + dropped 0 + waiting 0" in good(ctl, "stats")
    out = good(ctl, "drops")
    assert "nothing was dropped" in out and "no_buffer" in out and "spoofed_mac" in out
    assert re.search(r"CPU +MODE +BUSY", good(ctl, "workers"))
    assert "vmqd" not in good(ctl, "version") and "administrator: yes" in good(ctl, "version")
    assert "queue.list" in good(ctl, "methods")
    assert "params" in good(ctl, "methods", "queue.list")
    assert "RECEIVE_FILTER_ALLOCATE_QUEUE" in good(ctl, "oid")
    assert "num_queues" in good(ctl, "oid", "RECEIVE_FILTER_CURRENT_CAPABILITIES")
    assert '"web"' not in good(ctl, "call", "drops", '{"queue": 0}')


def test_json_is_what_the_daemon_has_answered(ctl):
    for words, key in ((("queue", "list"), "queues"), (("filter", "list"), "filters"),
                       (("memory", "show"), "queues"), (("adapter", "list"), "adapters"),
                       (("stats",), "total"), (("drops",), "reasons"), (("workers",), "workers"),
                       (("version",), "pid"), (("methods",), "methods"),
                       (("config", "save"), "document"), (("config", "plan"), "steps"),
                       (("why", "web"), "words")):
        assert key in ctl.json(*words), words
    done = ctl.run("--json", "queue", "show", "nobody")
    assert done.returncode == 1 and "message" in json.loads(done.stdout)["error"]


def test_what_can_be_changed(ctl, daemon):
    assert good(ctl, "--as", "config", "filter", "set", "name=7", "52:54:00:00:00:02/untagged")
    filters = {one["mac"]: one for one in ctl.json("filter", "list")["filters"]}
    second = filters["52:54:00:00:00:02"]
    assert second["queue"] == 2 and second["vlan"] == "untagged"
    good(ctl, "--as", "config", "filter", "move", second["id"], "web")
    assert len(ctl.json("filter", "list", "web")["filters"]) == 2
    good(ctl, "filter", "clear", second["id"], "--as", "config")
    assert len(ctl.json("filter", "list")["filters"]) == 1
    assert "added: 64" in good(ctl, "--as", "config", "memory", "grow", "web", "64")
    assert ctl.json("memory", "show", "web")["queues"][0]["buffers"]["populated"] == 128
    good(ctl, "--as", "config", "memory", "shrink", "web")
    daemon.wait(lambda now: now["queues"][1]["buffers"]["populated"] == 64, "the block is back")
    done = ctl.run("--as", "config", "queue", "free", "name=7")
    assert done.returncode == 0, done
    assert [one["name"] for one in ctl.json("queue", "list")["queues"]] == ["default", "web"]


def test_a_queue_is_made_and_freed(ctl, tmp_path):
    good(ctl, "queue", "allocate", "new", "vm=n", "memory.buffers=32", "backend.type=sink",
         "keep_tags=true", "-f", "52:54:00:00:00:09/9", "-f", "52:54:00:00:00:09/8")
    new = {one["name"]: one for one in ctl.json("queue", "list")["queues"]}["new"]
    assert new["state"] == "Running" and new["keep_tags"] is True and new["owner"] == "admin"
    assert sorted(one["vlan"] for one in new["filters"]) == [8, 9]
    assert "state: Running" in good(ctl, "queue", "show", "new")
    good(ctl, "queue", "set", "new", "name=newer")
    assert "name: newer" in good(ctl, "queue", "show", new["id"])
    good(ctl, "queue", "free", "newer")
    file = tmp_path / "queue.json"
    file.write_text('{"vm": "n", "backend": {"type": "sink"}, "memory": {"buffers": 32}}',
                    encoding="ascii")
    good(ctl, "queue", "allocate", "again", "memory.limit=64", "--from", file)
    assert ctl.json("memory", "show", "again")["queues"][0]["buffers"]["limit"] == 64
    good(ctl, "queue", "free", "again", "--no-wait")
    done = ctl.run("queue", "allocate", "bad", "vm=n", "backend.type=sink", "-f", MAC + "/10")
    assert done.returncode == 1 and not done.stdout, done
    assert "bad" not in good(ctl, "queue", "list")


def test_owners_are_listed_and_what_one_has_left_is_taken_over(tmp_path, need):
    need(os.geteuid() == 0, "another user: run as root or with sudo")
    doc = make_document(tmp_path)
    with tempfile.TemporaryDirectory(prefix="vmqctl-") as place:
        os.chmod(place, 0o755)
        doc["control"] = {"socket": f"{place}/ctl.sock", "mode": "0666"}
        with Vmqd(doc, tmp_path) as daemon:
            daemon.wait_running()
            ctl = Ctl(daemon)
            done = ctl.run("queue", "allocate", "theirs", "vm=t", "backend.type=sink",
                           "memory.buffers=32", user="nobody")
            need("can't open file" not in done.stderr and "setpriv" not in done.stderr,
                 f"the tree in a place that others may read: {done.stderr}")
            assert done.returncode == 0, done
            assert re.search(r"^uid:nobody +no +no +.* 1 +nic$", good(ctl, "owner", "list"), re.M)
            assert "belongings: 1" in good(ctl, "owner", "take-over", "uid:nobody")
            assert ctl.json("queue", "show", "theirs")["owner"] == "admin"
            done = ctl.run("owner", "take-over", "config")
            assert done.returncode == 1 and "is the document" in done.stderr, done
            daemon.stop()


def test_refused(ctl):
    for words, text in (
            (("queue", "free", "nobody"), 'no queue "nobody"'),
            (("queue", "free", "77"), "no queue 77"),
            (("filter", "list", "nobody"), 'no queue "nobody"'),
            (("filter", "set", "web", "01:00:5e:00:00:01"), "multicast"),
            (("filter", "clear", "999"), "FILE_NOT_FOUND"),
            (("filter", "move", "1", "nobody"), "nobody"),
            (("memory", "grow", "web", "4000000"), "status:"),
            (("memory", "shrink", "web"), "status:"),
            (("adapter", "show", "nobody"), "nobody"),
            (("why", "nobody"), 'no queue "nobody"'),
            (("call", "nonsense"), 'no method "nonsense"'),
            (("oid", "NONSENSE"), "NONSENSE"),
            (("queue", "list", "--adapter", "nobody"), "nobody"),
            (("queue", "list", "--as", "nobody"), "nobody"),
            (("config", "check", "/nonexistent"), "No such file"),
            (("config", "apply", "/proc/self/status"), "not JSON")):
        done = ctl.run(*words)
        assert done.returncode == 1, (words, done)
        assert text in done.stderr and not done.stdout, (words, done)


def test_wrong_usage(ctl):
    for words in ((), ("nonsense",), ("queue",), ("queue", "nonsense"), ("queue", "show"),
                  ("queue", "list", "--nonsense"), ("filter", "clear", "x"),
                  ("filter", "set", "web", MAC + "/x"), ("queue", "allocate", "q", "vm"),
                  ("queue", "allocate", "q", "memory=1", "memory.buffers=2"),
                  ("queue", "set", "web"), ("call", "stats", "[]"), ("call", "stats", "{"),
                  ("methods", "nonsense"), ("top", "--sort", "nonsense"),
                  ("top", "--delay", "0"), ("top", "--json"), ("capture", "web")):
        done = ctl.run(*words)
        assert done.returncode == 2 and "vmqctl" in done.stderr, (words, done)


def test_no_daemon(tmp_path):
    for path in (tmp_path / "nothing", tmp_path):
        done = subprocess.run([VMQCTL, "-s", path, "version"], capture_output=True, text=True,
                              timeout=60, check=False)
        assert done.returncode == 3 and str(path) in done.stderr, done


def as_nobody(folder, *words):
    """vmqctl of a user that has folder as the run time folder."""
    env = {**os.environ, "XDG_RUNTIME_DIR": str(folder)}
    env.pop("VMQCTL_SOCKET", None)
    return subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", VMQCTL, *words],
                          capture_output=True, text=True, timeout=60, check=False, env=env)


def test_it_finds_the_daemon_without_arguments(ctl, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("another user is needed: run as root")
    for parent in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        os.chmod(parent, 0o755)
    (tmp_path / "vmqd").mkdir()
    os.chmod(tmp_path / "vmqd", 0o755)
    if not os.path.isdir("/run/vmqd") or not os.listdir("/run/vmqd"):
        done = as_nobody(tmp_path, "version")
        assert done.returncode == 3 and "no vmqd is running" in done.stderr
    os.symlink(ctl.socket, tmp_path / "vmqd" / "one.sock")
    done = as_nobody(tmp_path, "version")
    assert done.returncode == 3 and "may not connect" in done.stderr, done
    os.chmod(ctl.socket, 0o666)
    done = as_nobody(tmp_path, "version")
    assert done.returncode == 0 and "owner: uid:nobody" in done.stdout, done
    os.symlink(ctl.socket, tmp_path / "vmqd" / "two.sock")
    done = as_nobody(tmp_path, "version")
    assert done.returncode == 3 and "more than one" in done.stderr and "two.sock" in done.stderr


def test_documents(ctl, daemon, tmp_path):
    saved = tmp_path / "saved.json"
    assert f"saved to {saved}" in good(ctl, "config", "save", saved)
    assert good(ctl, "config", "save") == saved.read_text(encoding="utf-8")
    assert "ok: 1 adapter, 2 queues, 1 filter," in good(ctl, "config", "check", saved)
    assert "nothing to do" in good(ctl, "config", "plan", saved)
    assert "no difference" in good(ctl, "config", "diff", saved)
    doc = json.loads(saved.read_text(encoding="utf-8"))
    doc["queues"][0]["filters"][0]["vlan"] = 20
    saved.write_text(json.dumps(doc), encoding="utf-8")
    out = good(ctl, "config", "plan", saved)
    assert "live" in out and "can be done live" in out, out
    assert '"vlan"' in good(ctl, "config", "diff", saved) or "20" in good(ctl, "config", "diff",
                                                                         saved)
    assert "applied" in good(ctl, "config", "apply", saved)
    assert ctl.json("filter", "list", "web")["filters"][0]["vlan"] == 20
    doc["queues"][0]["filters"][0]["vlan"] = 5000
    saved.write_text(json.dumps(doc), encoding="utf-8")
    done = ctl.run("config", "apply", saved)
    assert done.returncode == 1 and "/queues/0/filters/0/vlan" in done.stderr, done
    assert ctl.json("filter", "list", "web")["filters"][0]["vlan"] == 20


def test_events(ctl):
    process = ctl.start("events", "-n", "2")
    raw = ctl.start("--json", "events")
    time.sleep(2)  # until both have subscribed
    identity = ctl.json("filter", "list", "web")["filters"][0]["id"]
    good(ctl, "--as", "config", "filter", "clear", identity)
    good(ctl, "--as", "config", "filter", "set", "web", MAC)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and not err
    lines = out.splitlines()
    assert len(lines) == 2 and all("nic queue 1 (web) RECEIVE_QUEUE_STATE" in one
                                   for one in lines), out
    assert "Paused" in lines[0] and "Running" in lines[1], out
    raw.send_signal(signal.SIGINT)
    out, err = raw.communicate(timeout=60)
    assert raw.returncode == 0 and not err
    assert json.loads(out.splitlines()[0])["params"]["type"] == "RECEIVE_QUEUE_STATE"


def test_what_is_long_in_coming_is_waited_for(ctl):
    """The time limit is for answers, not for events, and not for a queue's last packet."""
    process = ctl.start("events", "-n", "1", "--timeout", "0.2")
    time.sleep(1)  # longer than that
    while process.poll() is None:
        good(ctl, "queue", "allocate", "new", "vm=n", "backend.type=sink", "memory.buffers=32")
        good(ctl, "queue", "free", "new")
    out, err = process.communicate()
    assert process.returncode == 0 and "queue 3 (new) RECEIVE_QUEUE_STATE" in out, (out, err)


def test_why_says_it_in_words(ctl):
    out = good(ctl, "why", "web")
    for words in ("queue 1 (web) of VM w on adapter nic is Running", f"matches {MAC}/10",
                  "received nothing so far", "64 buffers, 64 of them free; the limit is 256",
                  "backend is sink"):
        assert words in out, out
    out = good(ctl, "why", "name=7")
    assert "is Paused" in out and "has no filter" in out, out
    assert "takes what no filter claims" in good(ctl, "why", "0")


def test_top_prints_pictures(ctl):
    out = good(ctl, "top", "-b", "-n", "2", "-d", "0.2", "-o", "name")
    assert out.count("received 0 dropped 0") == 2 and out.count("web") == 2
    assert out.index(" 7 ") < out.index("web")


class Terminal:
    """A program on a terminal of its own; what it has drawn so far, as bytes."""

    def __init__(self, command, rows=24, columns=130):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm", LINES=str(rows), COLUMNS=str(columns))
            os.execv(command[0], list(map(str, command)))
        self.drawn = b""

    def expect(self, text, seconds=60):
        """Wait until it has drawn that since the last time."""
        end = time.monotonic() + seconds
        while text.encode() not in self.drawn:
            assert time.monotonic() < end, f"{text!r} is not in {self.drawn[-3000:]!r}"
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    self.drawn += os.read(self.fd, 65536)
                except OSError:
                    raise AssertionError(f"it ended: {self.drawn[-3000:]!r}") from None
        self.drawn = self.drawn[self.drawn.index(text.encode()) + len(text):]

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def end(self):
        """Its exit status."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    os.read(self.fd, 65536)
                except OSError:
                    pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError("it does not end")


def test_top_on_a_terminal(ctl):
    top = Terminal([VMQCTL, "--socket", ctl.socket, "top", "-d", "0.3"])
    top.expect("vmqd ")
    top.expect("PKT/S")
    top.expect("web")
    top.expect("by rate")
    for key, sort in (("d", "drops"), ("w", "waiting"), ("m", "memory"), ("n", "name"),
                      ("i", "id")):
        top.type(key)
        top.expect(sort)
    top.type("R")
    top.type("\x1b[B")  # one line down
    time.sleep(0.5)
    top.type("q")
    assert top.end() == 0


def test_top_on_a_terminal_too_small_for_it(ctl):
    top = Terminal([VMQCTL, "--socket", ctl.socket, "top", "-d", "0.2", "-n", "3"], 4, 20)
    assert top.end() == 0


def test_top_ends_with_the_daemon(ctl, daemon):
    top = Terminal([VMQCTL, "--socket", ctl.socket, "top", "-d", "0.2"])
    top.expect("PKT/S")
    daemon.stop()
    assert top.end() == 3


def test_a_reader_that_has_enough(ctl):
    done = subprocess.run(["bash", "-o", "pipefail", "-c",
                           f"{VMQCTL} -s {ctl.socket} methods | head -1"], capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.stdout.startswith("METHOD") and not done.stderr, done


def test_every_command_calls_methods_that_there_are(ctl):
    table, _ = commands()
    known = {one["name"] for one in ctl.json("methods")["methods"]}
    wanted = {name for command in table for name in command.methods}
    assert len(wanted) > 25
    assert wanted <= known, f"vmqctl calls what the daemon does not have: {wanted - known}"


# Each command with all that it can be given. Whether it is carried out does not matter.
FULL = """
queue list
queue show web
queue allocate new vm=n backend.type=sink memory.buffers=32 -f 52:54:00:00:00:09/9
queue set new name=newer vm=m affinity=[0] priority=1 keep_tags=true anti_spoof=true
    broadcast=false rate.to_vm.mbps=5 memory.buffers=32
queue promote new
queue demote new
queue free new --no-wait
filter list web
filter set web 52:54:00:00:00:08
filter move 1 web
filter clear 77
memory show web
memory grow web 64
memory shrink web
adapter list
adapter show
adapter capabilities
adapter verify --seconds 1
owner list
owner take-over uid:nobody
stats
drops web
workers
config check {file}
config plan {file}
config diff {file}
config apply {file} --skip-restart
config save --all
events -n 1 --types RECEIVE_QUEUE_STATE
top -b -n 1
why web
capture web --drops all -w {out} -c 5 --seconds 0.1 --snaplen 64
oid ENUM_FILTERS {{"queue_id":1}} --type method
oid
adapter reset
methods
version
shutdown
""".replace("\n    ", " ").split("\n")


def test_every_parameter_of_every_method_can_be_given(ctl, daemon, tmp_path):
    """Held against the daemon's own table: neither can get ahead of the other."""
    table, _ = commands()
    words = [line.format(file=daemon.conf, out=tmp_path / "out.pcapng").split()
             for line in FULL if line]
    missed = {one.words for one in table} - {" ".join(line[:n]) for line in words for n in (1, 2)}
    assert missed == {"call", "completion"}, missed
    methods = {one["name"]: {param["name"] for param in one["params"]}
               for one in ctl.json("methods")["methods"]}
    with Ear(daemon) as ear:
        heard = Ctl(daemon)
        heard.socket = ear.path
        for line in words:
            if line[0] == "events":
                process = heard.start("--adapter", "nic", *line)
                while "subscribe" not in ear.asked:
                    time.sleep(0.02)
                process.kill()
                process.communicate()
                continue
            done = heard.run("--adapter", "nic", *line)
            assert done.returncode in (0, 1), (line, done)
    # Whoever closes the connection hears no more: nobody has to say it.
    assert methods.keys() - ear.asked.keys() == {"unsubscribe"}
    left = {name: params - ear.asked[name] for name, params in methods.items()
            if name in ear.asked and params - ear.asked[name]}
    assert left == {}, f"vmqctl has no way to give these: {left}"


def test_completion_asks_the_daemon(ctl, need):
    env = {**os.environ, "VMQCTL_SOCKET": ctl.socket}
    assert complete([str(VMQCTL), "queue", "show", ""], need, env) == {"default", "web", "7"}
    assert complete([str(VMQCTL), "why", "w"], need, env) == {"web"}
    assert complete([str(VMQCTL), "--adapter", ""], need, env) == {"nic"}
    assert "config" in complete([str(VMQCTL), "owner", "take-over", "c"], need, env)
    assert "no_buffer" in complete([str(VMQCTL), "capture", "web", "--drops", "n"], need, env)
    assert "queue.list" in complete([str(VMQCTL), "call", "queue."], need, env)


def test_names_cannot_draw_on_the_terminal():
    """A name has no control characters in a document; nor has what vmqctl prints."""
    sys.path.insert(0, str(VMQCTL.parent))
    try:
        from vmqctl_lib import show
    finally:
        sys.path.pop(0)
    assert show.plain("a\x1b[2Jb\n\u202ec") == "a?[2Jb??c"
    assert show.table(("A",), [("邮件",), ("x",)])[1] == "邮件"


def test_shutdown(ctl, daemon):
    assert "stopping" in good(ctl, "shutdown")
    assert daemon.end() == 0
    assert ctl.run("version").returncode == 3
