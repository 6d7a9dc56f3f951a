# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""What the conftest.py of a group with guests takes over."""

import pytest

from . import packages


@pytest.fixture(scope="session")
def guest_packages(need):
    """The folder with QEMU, kernel, modules and busybox."""
    try:
        return packages.get()
    except packages.PackageError as error:
        return need(False, str(error))
