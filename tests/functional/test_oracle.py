# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""The oracle itself, against examples worked out by hand from the specification."""

import pytest

from oracle import DEFAULT, Filter, Oracle, Queue

M = bytes.fromhex("525400000001")
OTHER = bytes.fromhex("525400000003")
REST = bytes.fromhex("020000000009")
DATA = bytes.fromhex("0800") + b"payload"
TAG5 = bytes.fromhex("81000005")
TAG5_PRIORITY = bytes.fromhex("8100e005")
TAG6 = bytes.fromhex("81000006")
TAG0 = bytes.fromhex("81000000")
PRIORITY = bytes.fromhex("8100e000")
SERVICE5 = bytes.fromhex("88a80005")
OLD5 = bytes.fromhex("91000005")


def frame(mac, *tags):
    return mac + REST + b"".join(tags) + DATA


VLAN5, UNTAGGED, ANY = Filter(M, 5), Filter(M, "untagged"), Filter(M, "any")
VLAN5_ALONE = Filter(None, 5)


@pytest.mark.parametrize("a_filter, sent, delivered", [
    (VLAN5, frame(M, TAG5), frame(M)),
    (VLAN5, frame(M, TAG5_PRIORITY), frame(M)),
    (VLAN5, frame(M, SERVICE5), frame(M)),
    (VLAN5, frame(M, SERVICE5, TAG6), frame(M, TAG6)),
    (VLAN5, frame(M, TAG6, TAG5), None),
    (VLAN5, frame(M), None),
    (VLAN5, frame(M, TAG0), None),
    (VLAN5, frame(M, OLD5), None),
    (VLAN5, frame(OTHER, TAG5), None),
    (UNTAGGED, frame(M), frame(M)),
    (UNTAGGED, frame(M, TAG0), frame(M)),
    (UNTAGGED, frame(M, PRIORITY), frame(M)),
    (UNTAGGED, frame(M, TAG5), None),
    (UNTAGGED, frame(M, OLD5), frame(M, OLD5)),
    (ANY, frame(M), frame(M)),
    (ANY, frame(M, TAG6), frame(M)),
    (ANY, frame(M, TAG0), frame(M)),
    (ANY, frame(M, TAG5, TAG6), frame(M, TAG6)),
    (VLAN5_ALONE, frame(OTHER, TAG5), frame(OTHER)),
    (VLAN5_ALONE, frame(b"\xff" * 6, TAG5), frame(b"\xff" * 6)),
    (VLAN5_ALONE, frame(OTHER), None),
    # Without a whole header there is nothing to test, with half a tag only the MAC.
    (ANY, M + REST + b"\x08", None),
    (ANY, M + REST + b"\x08\x00", M + REST + b"\x08\x00"),
    (ANY, M + REST + TAG5[:3], M + REST + TAG5[:3]),
    (VLAN5, M + REST + TAG5[:3], None),
    (UNTAGGED, M + REST + TAG0[:3], None),
    (VLAN5, M + REST + TAG5 + b"\x08", None),
    (VLAN5, M + REST + TAG5 + b"\x08\x00", M + REST + b"\x08\x00"),
])
def test_one_filter(a_filter, sent, delivered):
    assert Oracle([Queue("vm", [a_filter])]).deliver(sent) == (
        (DEFAULT, sent) if delivered is None else ("vm", delivered))
    kept = Oracle([Queue("vm", [a_filter], keep_tags=True)]).deliver(sent)
    assert kept == (DEFAULT if delivered is None else "vm", sent)


def test_the_more_specific_filter_wins():
    order = [VLAN5, UNTAGGED, ANY, VLAN5_ALONE]
    for first in range(4):
        queues = [Queue(str(n), [order[n]]) for n in range(first, 4)]
        for arranged in (queues, queues[::-1]):
            oracle = Oracle(arranged)
            assert oracle.deliver(frame(M, TAG5))[0] == {0: "0", 1: "2", 2: "2", 3: "3"}[first]
            assert oracle.deliver(frame(M))[0] == {0: "1", 1: "1", 2: "2", 3: DEFAULT}[first]


def test_the_default_queue_pulls_frames_out_of_a_wider_match():
    oracle = Oracle([Queue("vm", [ANY]), Queue(DEFAULT, [VLAN5])])
    assert oracle.deliver(frame(M, TAG5)) == (DEFAULT, frame(M))
    assert oracle.deliver(frame(M, TAG6)) == ("vm", frame(M))
    assert oracle.deliver(frame(OTHER, TAG5)) == (DEFAULT, frame(OTHER, TAG5))
