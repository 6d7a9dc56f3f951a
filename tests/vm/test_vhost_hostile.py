# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
A VM that breaks the rules, beside two that do not: those send to each other and to it
all the while. vmqd must live, the honest lose nothing, and who goes on breaking rules is
cut off with a reason.
"""

import contextlib
import errno
import os
import pathlib
import random
import socket
import struct
import tempfile
import threading
import time

import pytest

from vmq_test import vhost_guest as vg
from vmq_test.cases import seeds
from vmq_test.daemon import Vmqd, document, queues_by_name
from vmq_test.vhost_guest import BUFFERS, FROM_GUEST, INDIRECT, NEXT, TO_GUEST, WRITE, Closed

ALICE, BOB, EVE = (f"5254000000{n:02x}" for n in (1, 2, 3))
CUT_SECONDS = 30  # a watch that needs looks in a row, on a machine that is busy
VERSION_1 = vg.F_VERSION_1 | vg.F_MRG_RXBUF
BOTH_KINDS = pytest.mark.parametrize("rings", [VERSION_1, VERSION_1 | vg.F_PACKED],
                                     ids=["split", "packed"])


def frame(destination, source, number, length=60):
    return (bytes.fromhex(destination + source) + b"\x88\xb5" +
            struct.pack(">I", number)).ljust(length, b"\0")


class Honest(threading.Thread):
    """Alice sends numbered frames to Bob, who counts them, and some to Eve."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.alice = vg.Guest(folder / "alice.sock")
        self.bob = vg.Guest(folder / "bob.sock")
        self.sent = 0
        self.got = 0
        self.trouble = None
        self.stopped = threading.Event()

    def start(self):
        for guest in (self.alice, self.bob):
            guest.up()
            guest.offer_all()
        super().start()

    def receive(self):
        for data in self.bob.receive_frames():
            number, = struct.unpack(">I", data[14:18])
            if data[:12] != bytes.fromhex(BOB + ALICE):
                self.trouble = f"Bob got a frame of others: {data[:18].hex()}"
            elif number != self.got:
                self.trouble = f"frame {number} came, {self.got} was next"
            self.got = number + 1

    def run(self):
        while not self.stopped.is_set() and self.trouble is None:
            for _ in range(16):
                if self.alice.send_frame(frame(BOB, ALICE, self.sent)):
                    self.sent += 1
            for _ in range(4):
                self.alice.send_frame(frame(EVE, ALICE, self.sent))
            self.receive()
            time.sleep(0.001)

    def progress(self, frames=200, seconds=30):
        """They go on: so many more frames arrive."""
        goal, end = self.got + frames, time.monotonic() + seconds
        while self.got < goal:
            assert self.trouble is None, self.trouble
            assert time.monotonic() < end, f"stuck after {self.got} of {self.sent} frames"
            time.sleep(0.01)

    def finish(self):
        """Everything that was sent has arrived, once and in order."""
        self.stopped.set()
        self.join(30)
        end = time.monotonic() + 30
        while self.got < self.sent and self.trouble is None and time.monotonic() < end:
            self.receive()
            time.sleep(0.01)
        assert self.trouble is None, self.trouble
        assert self.got == self.sent, f"{self.sent - self.got} of {self.sent} frames are lost"

    def close(self):
        self.stopped.set()
        if self.is_alive():
            self.join(30)
        self.alice.__exit__()
        self.bob.__exit__()


class Stage:
    """A vmqd, the honest ones at work, and a place for Eve."""

    def __init__(self, daemon, folder, honest):
        self.daemon, self.honest = daemon, honest
        self.socket = folder / "eve.sock"
        self.cuts = 0

    def eve(self, **options):
        return vg.Guest(self.socket, **options)

    def expect_cut(self, words, seconds=CUT_SECONDS):
        """Eve is cut off, and told why."""
        self.cuts += 1
        end = time.monotonic() + seconds
        while True:
            lines = [line for line in self.daemon.stderr().splitlines() if "cut off for" in line]
            if len(lines) >= self.cuts:
                break
            assert self.daemon.process.poll() is None, self.daemon.explain("vmqd is dead")
            assert time.monotonic() < end, self.daemon.explain(f"Eve is not cut off: {words}")
            time.sleep(0.02)
        assert "eve.sock" in lines[-1] and words in lines[-1], lines

    def expect_alive(self):
        assert self.daemon.process.poll() is None, self.daemon.explain("vmqd is dead")
        self.honest.progress()


@pytest.fixture
def folder():
    # pytest's own are too long for a socket's path.
    with tempfile.TemporaryDirectory(prefix="vmq") as name:
        yield pathlib.Path(name)


@pytest.fixture
def stage(folder):
    adapter = {"name": "nic", "device": "net_null0,no-rx=1"}
    queues = [{"name": name, "vm": name, "memory": {"buffers": 2048},
               "filters": [{"mac": ":".join(mac[i:i + 2] for i in range(0, 12, 2))}],
               "backend": {"type": "vhost-user", "socket": str(folder / f"{name}.sock"),
                           "mode": "server", "queue_pairs": 2}}
              for name, mac in (("alice", ALICE), ("bob", BOB), ("eve", EVE))]
    with Vmqd(document([adapter], queues), folder) as daemon:
        daemon.wait_running()
        honest = Honest(folder)
        try:
            honest.start()
            honest.progress()
            this = Stage(daemon, folder, honest)
            yield this
            this.expect_alive()
            honest.finish()
            last = daemon.wait(lambda now: queues_by_name(now)["bob"]["waiting"] == 0, "quiet")
            queues = queues_by_name(last)
            assert queues["bob"]["dropped"] == queues["alice"]["dropped"] == 0, queues
            assert queues_by_name(daemon.stop())["bob"]["delivered"] == honest.sent
        finally:
            honest.close()


# descriptors


def loop(eve, ring):
    """A chain that comes back to itself, of no bytes, so that no sum ends it."""
    for number in range(ring.size):
        ring.descriptor(number, eve.buffer(0), 0, NEXT, (number + 1) % ring.size)


def loop_of_two(eve, ring):
    for number in range(ring.size):
        ring.descriptor(number, eve.buffer(0), 8, NEXT, number ^ 1)


def outside(eve, ring):
    for number in range(ring.size):
        ring.descriptor(number, eve.memory + 4096, 2048)


def at_the_edge(eve, ring):
    for number in range(ring.size):
        ring.descriptor(number, eve.memory - 16, 2048)


def wraps(eve, ring):
    for number in range(ring.size):
        ring.descriptor(number, 2**64 - 1024, 2048)


def next_outside(eve, ring):
    for number in range(ring.size):
        ring.descriptor(number, eve.buffer(0), 16, NEXT, 0xFFFF)


def indirect_in_itself(eve, ring):
    """A table of descriptors that lies in the table's own entry, and says that it is one."""
    for number in range(ring.size):
        ring.descriptor(number, ring.desc + 16 * number, 16, INDIRECT)


def indirect_too_long(eve, ring):
    for number in range(ring.size):
        ring.descriptor(number, BUFFERS, 16 * (ring.size + 1), INDIRECT)


def indirect_outside(eve, ring):
    for number in range(ring.size):
        ring.descriptor(number, eve.memory, 64, INDIRECT)


def indirect_loop(eve, ring):
    table = b"".join(struct.pack("<QIHH", BUFFERS, 0, NEXT, (i + 1) % 16) for i in range(16))
    eve.write(BUFFERS, table)
    for number in range(ring.size):
        ring.descriptor(number, BUFFERS, len(table), INDIRECT)


DESCRIPTORS = [loop, loop_of_two, outside, at_the_edge, wraps, next_outside, indirect_in_itself,
               indirect_too_long, indirect_outside, indirect_loop]



@BOTH_KINDS
@pytest.mark.parametrize("way", [TO_GUEST, FROM_GUEST], ids=["to_vm", "from_vm"])
def test_descriptors_that_cannot_be_used(stage, way, rings):
    for attack in DESCRIPTORS:
        with stage.eve(features=rings | vg.F_INDIRECT) as eve:
            up_again(eve)
            ring = eve.rings[way]
            attack(eve, ring)
            for number in range(ring.size):
                ring.offer(number)
            stage.honest.progress(50)
    # The last one goes on. Of a packed ring each frame of that kind is used up, and counted.
    with stage.eve(features=rings | vg.F_INDIRECT) as eve:
        up_again(eve)
        ring = eve.rings[way]
        if way == FROM_GUEST and rings & vg.F_PACKED:
            before = malformed(stage)
            outside(eve, ring)
            for number in range(ring.size):
                ring.offer(number)
            stage.daemon.wait(lambda _: malformed(stage) >= before + ring.size // 2, "counted")
            return
        outside(eve, ring)
        for number in range(ring.size):
            ring.offer(number)
        stage.expect_cut("cannot be used" if way == TO_GUEST else "cannot be read")
        eve.wait_closed()


def malformed(stage):
    return queues_by_name(stage.daemon.last())["eve"]["transmit"]["drops"]["malformed"]


@pytest.mark.parametrize("way", [TO_GUEST, FROM_GUEST], ids=["to_vm", "from_vm"])
def test_an_index_that_jumps(stage, way):
    with stage.eve() as eve:
        eve.up()
        ring = eve.rings[way]
        for number in range(ring.size):
            ring.descriptor(number, eve.buffer(number), 2048, WRITE if way == TO_GUEST else 0)
        for jump in (1000, 20000, 60000):
            ring.set_index(jump)
            stage.honest.progress(50)
        end = time.monotonic() + CUT_SECONDS
        with contextlib.suppress(Closed):
            jump = 0
            while time.monotonic() < end:
                # vmqd uses them up: another jump before it is done.
                jump = ring.used_index() + 30000
                ring.set_index(jump)
                if vg.is_readable(eve.socket.fileno(), 0.001):
                    break
        stage.expect_cut("further on than the ring is long")


def test_frames_that_are_spread_over_more_descriptors_than_the_ring_has(stage):
    """Descriptors of no bytes, and an index that says there are rounds of them."""
    with stage.eve() as eve:
        eve.up()
        ring = eve.rings[TO_GUEST]
        for number in range(ring.size):
            ring.descriptor(number, eve.buffer(number), 2048 if number % 128 == 127 else 0, WRITE)
            eve.write(ring.avail + 4 + 2 * number, struct.pack("<H", number))
        end = time.monotonic() + 3
        with contextlib.suppress(Closed):
            while time.monotonic() < end:
                ring.set_index(ring.used_index() + 16384)
                time.sleep(0.001)
        stage.expect_alive()


def test_a_packed_chain_that_is_used_again_and_again_for_one_frame(stage):
    """All descriptors together have 16 bytes, and a frame needs more than a round of them."""
    with stage.eve(features=VERSION_1 | vg.F_PACKED) as eve:
        eve.up()
        ring = eve.rings[TO_GUEST]
        for number in range(ring.size):
            ring.descriptor(number, eve.buffer(0), 16 if number == 0 else 0,
                            WRITE | (NEXT if number < ring.size - 1 else 0))
        for number in reversed(range(ring.size)):
            ring.write_flags(number, True, False)
        stage.expect_cut("further on than the ring is long")
        stage.expect_alive()


def test_packed_descriptors_that_are_shorter_than_a_header(stage):
    """At the end of memory, in the groups that are written at once."""
    with stage.eve(features=VERSION_1 | vg.F_PACKED) as eve:
        eve.up()
        ring = eve.rings[TO_GUEST]
        for number in range(ring.size):
            ring.descriptor(number, eve.memory - 1, 1, WRITE)
        for number in range(ring.size):
            ring.offer(number)
        # A burst of at least four is written that way; what comes alone is refused.
        with contextlib.suppress(Closed):
            eve.wait_closed(CUT_SECONDS)
        stage.expect_cut("memory" if "behind its memory" in stage.daemon.stderr()
                         else "cannot be used")
        stage.expect_alive()


def test_flags_and_wrap_counters_that_jump(stage):
    """Every descriptor of both rings is the other side's and vmqd's in turn, at random."""
    rng = random.Random(7)
    with stage.eve(features=VERSION_1 | vg.F_PACKED) as eve:
        eve.up()
        for ring in eve.rings:
            for number in range(ring.size):
                ring.descriptor(number, eve.buffer(number), 2048,
                                WRITE if ring.index == TO_GUEST else 0)
        end = time.monotonic() + 3
        while time.monotonic() < end:
            for ring in eve.rings:
                wrap, used = rng.choice((True, False)), rng.choice((True, False))
                for number in range(rng.randrange(ring.size), ring.size):
                    ring.write_flags(number, wrap, used)
        stage.expect_alive()


@BOTH_KINDS
def test_a_header_that_lies_over_the_end_of_memory(stage, rings):
    """Its second part is one byte, the last one: the frame would go on behind it."""
    with stage.eve(features=rings) as eve:
        eve.up()
        ring = eve.rings[TO_GUEST]
        for head in range(0, ring.size - 2, 3):
            ring.descriptor(head, eve.buffer(head), 1, NEXT | WRITE, head + 1)
            ring.descriptor(head + 1, eve.memory - 1, 1, NEXT | WRITE, head + 2)
            ring.descriptor(head + 2, eve.buffer(head), 2048, WRITE)
            for number in range(head, head + (3 if rings & vg.F_PACKED else 1)):
                ring.offer(number)
        stage.expect_cut("behind its memory")
        stage.expect_alive()


@BOTH_KINDS
def test_a_frame_that_is_huge(stage, rings):
    """One chain of all memory: as long as the pool of the queue would be used up."""
    with stage.eve(features=rings) as eve:
        eve.up()
        ring = eve.rings[FROM_GUEST]
        for number in range(ring.size):
            ring.descriptor(number, BUFFERS, eve.memory - BUFFERS)
        for _ in range(20 * ring.size):
            ring.offer(ring.next_avail % ring.size)
        stage.expect_alive()
        stage.expect_alive()


@BOTH_KINDS
def test_rings_and_buffers_that_overlap(stage, rings):
    """Frames are written over the rings themselves, by vmqd and by Eve."""
    with stage.eve(features=rings) as eve:
        eve.up()
        to, back = eve.rings
        for number in range(to.size):
            to.descriptor(number, to.desc, 2 * vg.RING_SPACE, WRITE)
            back.descriptor(number, back.desc, 2000)
            to.offer(number)
            back.offer(number)
        stage.expect_alive()
        stage.expect_alive()


@BOTH_KINDS
def test_descriptors_that_change_while_they_are_read(stage, rings):
    rng = random.Random(5)
    with stage.eve(features=rings | vg.F_INDIRECT) as eve:
        eve.up()
        end = time.monotonic() + 3
        with contextlib.suppress(Closed):
            while time.monotonic() < end:
                for ring in eve.rings:
                    for _ in range(64):
                        ring.descriptor(
                            rng.randrange(ring.size),
                            rng.choice((0, BUFFERS, eve.memory - 8, 2**64 - 8, 2**40)),
                            rng.choice((0, 1, 12, 13, 60, 2048, 2**20, 2**32 - 1)),
                            rng.randrange(8), rng.randrange(2 * ring.size))
                    for _ in range(8):
                        ring.offer(rng.randrange(2 * ring.size))
        stage.expect_alive()


# messages


def number_after_addresses(eve):
    eve.set_number(0, 4096)


def number_zero(eve):
    eve.send(vg.GET_VRING_BASE, struct.pack("<II", 0, 0))
    eve.receive()
    eve.set_number(0, 0)


def number_huge(eve):
    eve.send(vg.GET_VRING_BASE, struct.pack("<II", 0, 0))
    eve.receive()
    eve.set_number(0, 32768)


def no_number(eve):
    """Stopped, which frees what belongs to the size, and started again without one."""
    eve.send(vg.GET_VRING_BASE, struct.pack("<II", 0, 0))
    eve.receive()
    eve.start_ring(eve.rings[0], number=False)


def no_addresses(eve):
    eve.send(vg.GET_VRING_BASE, struct.pack("<II", 1, 0))
    eve.receive()
    eve.start_ring(eve.rings[1], addresses=False)
    eve.set_number(1, 256)
    eve.set_number(200, 256)


def base_of_a_live_ring(eve):
    eve.set_base(1, 12345)


def features_under_rings(eve):
    eve.send(vg.SET_FEATURES, struct.pack("<Q", eve.features | vg.F_PACKED))


def ring_that_is_not_there(eve):
    eve.set_number(200, 256)


def log_with_an_offset(eve):
    eve.send(vg.SET_LOG_BASE, struct.pack("<QQ", 4096, 1 << 30), [eve.fd])


def inflight_memory(eve):
    eve.send(vg.SET_INFLIGHT_FD, struct.pack("<QQHH", 4096, 0, 250, 65535) + bytes(4), [eve.fd])


def inflight_memory_of_gigabytes(eve):
    eve.send(vg.GET_INFLIGHT_FD, struct.pack("<QQHH", 0, 0, 256, 65535) + bytes(4))


def an_iotlb(eve):
    eve.send(vg.IOTLB_MSG, struct.pack("<QQQBB", 0, 4096, vg.USER, 3, 2) + bytes(6))


def postcopy(eve):
    eve.send(vg.POSTCOPY_ADVISE)


def storm(eve):
    """Questions without end, and nobody who reads the answers."""
    message = struct.pack("<III", vg.SET_OWNER, vg.VERSION, 0)
    try:
        for _ in range(200):
            eve.socket.sendall(message * 100)
    except OSError as error:
        raise Closed from error


CUTS = {
    number_after_addresses: "another size while in use",
    number_zero: "of 0 descriptors",
    number_huge: "of 32768 descriptors",
    no_number: "without size",
    no_addresses: "ring 200",
    base_of_a_live_ring: "was moved while in use",
    features_under_rings: "features changed",
    ring_that_is_not_there: 'ring 200, and "queue_pairs" is 2',
    log_with_an_offset: "a log that begins at byte",
    inflight_memory: "inflight memory",
    inflight_memory_of_gigabytes: "inflight memory",
    an_iotlb: "IOTLB",
    postcopy: "post-copy",
    storm: "messages in a row",
}


@pytest.mark.parametrize("attack", CUTS, ids=lambda attack: attack.__name__)
def test_messages_that_break_the_rules(stage, attack):
    with stage.eve() as eve:
        eve.up()
        with contextlib.suppress(Closed):
            attack(eve)
        stage.expect_cut(CUTS[attack])
        eve.wait_closed()
        # Not at once again, but later.
        with pytest.raises(Closed):
            eve.up()
        eve.disconnect()
        up_again(eve)
        eve.offer_all()
        end = time.monotonic() + 30
        while not eve.receive_frames():
            assert time.monotonic() < end, "nothing comes any more"
            time.sleep(0.01)


def test_a_packed_ring_that_begins_behind_its_end(stage):
    with stage.eve(features=VERSION_1 | vg.F_PACKED) as eve:
        eve.connect()
        eve.negotiate()
        eve.set_memory()
        eve.make_rings()
        with contextlib.suppress(Closed):  # it may be cut off for the first one already
            for ring in eve.rings:
                eve.start_ring(ring, base=0x7FFF)
        stage.expect_cut("begins at 32767")


def test_memory_that_changes_under_running_rings(stage):
    """Honest VMs do it when memory is plugged in: connected anew, without penalty."""
    with stage.eve() as eve:
        for flags in (0, vg.NEED_REPLY):
            eve.up()
            # The second region cannot be mapped: librte_vhost would go on without memory.
            eve.set_memory([eve.region(), eve.region(guest=1 << 40, size=1 << 60, user=1 << 50)],
                           flags=flags)
            eve.wait_closed()
        up_again(eve)
        assert "cut off" not in stage.daemon.stderr()


def test_a_memory_table_that_fails_before_the_rings_start(stage):
    with stage.eve() as eve:
        eve.connect()
        eve.negotiate()
        eve.set_memory()
        eve.make_rings()
        eve.set_memory([eve.region(), eve.region(guest=1 << 40, size=1 << 60, user=1 << 50)],
                       flags=vg.NEED_REPLY)
        with contextlib.suppress(Closed):
            for ring in eve.rings:
                eve.start_ring(ring)
            eve.wait_closed(3)
        stage.expect_alive()


@pytest.mark.parametrize("how", ["from_the_start", "later"])
def test_memory_that_is_shorter_than_it_says(stage, how):
    with stage.eve() as eve:
        if how == "from_the_start":
            eve.connect()
            eve.negotiate()
            eve.set_memory([eve.region(size=eve.memory * 4)])
            eve.make_rings()
            for ring in eve.rings:
                eve.start_ring(ring)
            eve.sync()
            ring = eve.rings[FROM_GUEST]
            ring.descriptor(0, eve.memory * 2, 100)
            ring.offer(0)
        else:
            eve.up()
            eve.offer_all()
            stage.expect_alive()
            os.ftruncate(eve.fd, 4096)
        stage.expect_cut("its memory is shorter than it says")


def test_memory_of_a_disk(stage, need):
    with open("/proc/mounts", encoding="utf-8") as mounts:
        kinds = {line.split()[1]: line.split()[2] for line in mounts}
    place = max((mount for mount in kinds if vg.__file__.startswith(mount)), key=len)
    need(kinds[place] not in ("tmpfs", "ramfs"), "the tests' folder lies in memory, not on a disk")
    folder = os.environ.get("VMQ_BUILD", os.path.dirname(vg.__file__))
    with tempfile.TemporaryFile(dir=folder) as file, stage.eve() as eve:
        file.truncate(eve.memory)
        eve.connect()
        eve.negotiate()
        eve.set_memory(fds=[file.fileno()])
        eve.make_rings()
        with contextlib.suppress(Closed):
            for ring in eve.rings:
                eve.start_ring(ring)
            eve.sync()
        stage.expect_cut("neither tmpfs nor huge")


# descriptors of the kernel


def test_a_call_descriptor_that_is_a_full_pipe(stage):
    with stage.eve() as eve:
        eve.connect()
        eve.negotiate()
        eve.set_memory()
        eve.make_rings()
        out, into = os.pipe()
        os.set_blocking(into, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(into, bytes(4096))
        os.set_blocking(into, True)
        os.dup2(into, eve.rings[TO_GUEST].call)
        with contextlib.suppress(Closed):
            for ring in eve.rings:
                eve.start_ring(ring)
            eve.sync()
        stage.expect_cut("is no eventfd")
        os.close(out)
        os.close(into)


def test_an_eventfd_that_lets_the_worker_wait(stage):
    """Full, and made blocking again behind vmqd's back."""
    with stage.eve() as eve:
        eve.up()
        ring = eve.rings[TO_GUEST]
        ring.want_calls()
        os.write(ring.call, struct.pack("<Q", 2**64 - 2))
        vg.set_blocking(ring.call)
        for number in range(ring.size):
            ring.descriptor(number, eve.buffer(number), 2048, WRITE)
        eve.write(ring.avail, struct.pack("<HH", 0, ring.size))
        stage.expect_cut("lets the worker wait")
        stage.expect_alive()


# connections


def test_half_a_message_does_not_hold_up_the_others(stage):
    with stage.eve() as eve, stage.eve() as other:
        eve.connect()
        eve.send(vg.SET_FEATURES, b"", size=8)
        begin = time.monotonic()
        eve.wait_closed()
        # An honest one may come and go meanwhile.
        up_again(other)
        assert time.monotonic() - begin < 20
        stage.expect_alive()


def test_a_second_connection_does_not_disturb_the_first(stage):
    with stage.eve() as eve, stage.eve() as second:
        eve.up()
        eve.offer_all()
        second.connect()
        second.wait_closed()
        end = time.monotonic() + 30
        while not eve.receive_frames():
            assert time.monotonic() < end, "the first gets nothing any more"
            time.sleep(0.01)


def test_a_storm_of_connections(stage):
    for _ in range(500):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as one:
            while one.connect_ex(str(stage.socket)) == errno.EAGAIN:
                time.sleep(0.01)  # too many are waiting already
    stage.expect_alive()
    with stage.eve() as eve:
        up_again(eve)


@pytest.mark.parametrize("seed", **(lambda chosen: {"argvalues": chosen.values(),
                                                    "ids": chosen.keys()})(seeds({"fixed": 11})))
def test_random_messages(stage, seed):
    """Everything at random, much of it nearly right."""
    rng = random.Random(seed)
    end = time.monotonic() + 6
    while time.monotonic() < end:
        with stage.eve() as eve, contextlib.suppress(Closed, socket.timeout):
            eve.connect()
            eve.socket.settimeout(2)
            eve.negotiate()
            eve.make_rings()
            for _ in range(rng.randrange(1, 40)):
                if rng.random() < 0.3:
                    eve.set_memory()
                elif rng.random() < 0.5:
                    eve.start_ring(rng.choice(eve.rings), number=rng.random() < 0.9)
                else:
                    request = rng.randrange(0, 45)
                    payload = rng.choice((
                        rng.randbytes(rng.choice((0, 4, 8, 16, 40, 256))),
                        struct.pack("<II", rng.randrange(4), rng.choice((0, 1, 256, 2**32 - 1))),
                        struct.pack("<QQ", rng.choice((0, 4096)), rng.choice((0, 4096)))))
                    eve.send(request, payload, [eve.fd] * rng.choice((0, 0, 1, 2, 8)))
            # Until all is worked on: answers to what was sent before may come first.
            eve.send(vg.GET_FEATURES)
            while eve.receive()[0] != vg.GET_FEATURES:
                pass
    stage.expect_alive()
    assert vmqd_descriptors(stage) < 500


def vmqd_descriptors(stage):
    return len(os.listdir(f"/proc/{stage.daemon.pid}/fd"))


def up_again(eve, pairs=1, seconds=90):
    """Up, as soon as vmqd lets her in again."""
    end = time.monotonic() + seconds
    while True:
        try:
            return eve.up(pairs)
        except Closed:
            eve.disconnect()
            assert time.monotonic() < end, "never let in again"
            time.sleep(0.1)
