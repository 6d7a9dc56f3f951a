# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
Ten clients at the same time make, change and free queues at random, each with a model of
what must be the case; then what there is is saved, applied, and there again after a restart.
"""

import random
import threading

import pytest
from test_live import MEMORY, assert_identity, connect, mac, queue
from test_state import with_state
from vmq_test import rpc
from vmq_test.cases import seeds
from vmq_test.daemon import Vmqd

CLIENTS = 10
STEPS = 40
QUEUES = 4  # of one client at a time, at most
SEEDS = seeds({"fixed": 4})


class Actor(threading.Thread):
    """A client, and what it must have: queues by name, filters by what they test."""

    def __init__(self, daemon, number, seed):
        super().__init__(daemon=True)
        self.client = connect(daemon)
        self.number = number
        self.rng = random.Random(seed * CLIENTS + number)
        self.queues = {}  # name: {(mac, vlan): filter id}
        self.made = 0
        self.error = None

    def run(self):
        try:
            for _ in range(STEPS):
                self.rng.choice((self.allocate, self.free, self.set, self.set, self.clear,
                                 self.move, self.refused))()
        except BaseException as error:  # told by the test
            self.error = error

    def one_filter(self):
        """MACs are this client's own."""
        return (mac(256 * (self.number + 1) + self.rng.randrange(12)),
                self.rng.choice(("any", "untagged", 5, 6)))

    def taken(self):
        return {one for filters in self.queues.values() for one in filters}

    def queue(self):
        return self.rng.choice(sorted(self.queues)) if self.queues else None

    def allocate(self):
        if len(self.queues) == QUEUES:
            return
        name = f"c{self.number}-{self.made}"
        self.made += 1
        wanted = {self.one_filter() for _ in range(self.rng.randrange(3))}
        params = queue(name, *({"mac": one[0], "vlan": one[1]} for one in wanted),
                       keep_tags=self.rng.random() < 0.5, memory=MEMORY)
        if wanted & self.taken():
            with pytest.raises(rpc.Refused):
                self.client.call("queue.allocate", queue=params)
            return
        shown = self.client.call("queue.allocate", queue=params)
        assert shown["name"] == name
        self.queues[name] = {one: None for one in wanted}
        for one in self.client.call("filter.list", queue=name)["filters"]:
            self.queues[name][(one["mac"], one["vlan"])] = one["id"]
        assert self.queues[name].keys() == wanted

    def free(self):
        name = self.queue()
        if name is not None and self.rng.random() < 0.5:
            self.client.call("queue.free", queue=name)
            del self.queues[name]

    def set(self):
        name, one = self.queue(), self.one_filter()
        if name is None:
            return
        params = {"queue": name, "filter": {"mac": one[0], "vlan": one[1]}}
        if one in self.taken():
            with pytest.raises(rpc.Refused):
                self.client.call("filter.set", params)
        else:
            self.queues[name][one] = self.client.call("filter.set", params)["filter"]

    def clear(self):
        name = self.queue()
        if name is not None and self.queues[name]:
            one = self.rng.choice(sorted(self.queues[name], key=str))
            self.client.call("filter.clear", filter=self.queues[name].pop(one))

    def move(self):
        name, to = self.queue(), self.queue()
        if name is not None and self.queues[name]:
            one = self.rng.choice(sorted(self.queues[name], key=str))
            number = self.queues[name].pop(one)
            self.client.call("filter.move", filter=number, to=to)
            self.queues[to][one] = number

    def refused(self):
        with pytest.raises(rpc.Refused):
            self.client.call("queue.free", queue=f"c{self.number}-none")


def there_is(client):
    """What there is of the clients' queues: {name: {filters}}."""
    have = {one["name"]: set() for one in client.call("queue.list")["queues"]
            if one["name"] not in ("default", "own")}
    for one in client.call("filter.list")["filters"]:
        if one["name"] in have:
            have[one["name"]].add((one["mac"], one["vlan"]))
    return have


@pytest.mark.parametrize("seed", SEEDS.values(), ids=SEEDS.keys())
def test_ten_clients_at_random_and_then_save_apply_and_restart(tmp_path, seed):
    doc, _ = with_state(tmp_path, queue("own", 1))
    print(f"VMQ_SEED={seed}")
    with Vmqd(doc, tmp_path / "vmqd") as daemon, connect(daemon) as client:
        actors = [Actor(daemon, number, seed) for number in range(CLIENTS)]
        for actor in actors:
            actor.start()
        for actor in actors:
            actor.join(300)
            assert not actor.is_alive(), daemon.explain(f"client {actor.number} hangs")
            if actor.error is not None:
                raise actor.error
        must = {name: set(filters) for actor in actors for name, filters in actor.queues.items()}
        assert there_is(client) == must
        saved = assert_identity(client, all=True)
        assert saved["skipped"] == []
        assert {one["name"] for one in saved["document"]["queues"]} == {"own", *must}
        assert_identity(client)
        daemon.stop()
    with Vmqd(doc, tmp_path / "again") as daemon, connect(daemon) as client:
        assert there_is(client) == must
        assert_identity(client, all=True)
        daemon.stop()
    # And as a document of its own.
    with Vmqd({**saved["document"], "control": {}}, tmp_path / "own") as daemon, \
            connect(daemon) as client:
        assert there_is(client) == must
        assert_identity(client)
        daemon.stop()
