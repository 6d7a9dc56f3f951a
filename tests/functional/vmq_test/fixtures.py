# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""What the conftest.py of each group of tests takes over."""

import os

import pytest

from vmq_test import daemon


def pytest_configure(config):
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
