# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""What the conftest.py of each group of tests takes over."""

import os
import signal

import pytest

from vmq_test import daemon, netns


def pytest_configure(config):
    # A shell starts what runs behind with SIGINT ignored, and programs keep it so: the tests
    # end some with it.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not daemon.VMQD.exists():
        raise pytest.UsageError(f"{daemon.VMQD} is not there: build first, or run tests/run.sh")


@pytest.fixture(scope="session")
def need():
    """need(condition, "what is missing and how to get it"): skip, or fail in CI."""
    def check(condition, what):
        if condition:
            return
        if os.environ.get("CI") == "true":
            pytest.fail(what)
        pytest.skip(what)
    return check


@pytest.fixture
def space(need):
    """This test's own network namespace, for its process too while the test lasts."""
    need(netns.missing() is None, netns.missing())
    with netns.Namespaces("taps") as spaces, open("/proc/self/ns/net", "rb") as home, \
            open(f"/run/netns/{spaces.full['taps']}", "rb") as there:
        setns(there)
        try:
            yield spaces
        finally:
            setns(home)


def setns(file):
    import ctypes  # os.setns() is not in Debian 12's Python
    if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), 0x40000000) != 0:
        raise OSError(ctypes.get_errno(), "setns")
