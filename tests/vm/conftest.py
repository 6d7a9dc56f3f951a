# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors

import pathlib
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "functional"), str(TESTS / "guest")]

from vmq_guest import image  # noqa: E402
from vmq_guest.fixtures import guest_packages  # noqa: E402,F401
from vmq_test.fixtures import need, pytest_configure  # noqa: E402,F401


@pytest.fixture(scope="session")
def vm_image(guest_packages, tmp_path_factory):  # noqa: F811
    """The image of a guest with the network tools of a test."""
    return image.build(tmp_path_factory.mktemp("image") / "vm.cpio", ["/usr/bin/tcpdump"])
