# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors

import contextlib
import pathlib
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "functional"), str(TESTS / "guest")]

from vmq_guest import image, machine  # noqa: E402
from vmq_guest.fixtures import guest_packages  # noqa: E402,F401
from vmq_test.daemon import BUILD, VMQD  # noqa: E402
from vmq_test.fixtures import need, pytest_configure  # noqa: E402,F401

GUEST = BUILD / "tests" / "guest"


@pytest.fixture(scope="session")
def nic_image(guest_packages, tmp_path_factory):  # noqa: F811
    """The image of a guest with this build's vmqd, DPDK's drivers and the tests' tools."""
    programs = [(VMQD, "usr/bin/vmqd"), (GUEST / "vmq-tool", "usr/bin/vmq-tool"),
                (GUEST / "place.so", "usr/lib/vmq/place.so")]
    return image.build(tmp_path_factory.mktemp("image") / "nic.cpio", programs, dpdk=True)


@contextlib.contextmanager
def start(nic_image, folder, slot=False):
    wire = machine.Wire()
    with machine.Machine(folder, nic_image, machine.igb(wire, slot=slot), cpus=2, memory=1024,
                         words=["intel_iommu=on", "iomem=relaxed"], hugepages=160, control=True,
                         machine=machine.IGB_MACHINE) as guest:
        guest.ready()
        machine.bind_vfio(guest, machine.IGB_SLOT_ADDRESS if slot else machine.IGB_ADDRESS)
        yield guest, wire
        guest.power_off()
    wire.close()


@pytest.fixture(scope="session")
def nic(nic_image, tmp_path_factory):
    """(guest with the emulated 82576 bound to vfio-pci, the wire of the NIC), for all tests"""
    with start(nic_image, tmp_path_factory.mktemp("guest")) as both:
        yield both


@pytest.fixture
def nic_in_a_slot(nic_image, tmp_path):
    """The same, for a test that takes the NIC out of the machine."""
    with start(nic_image, tmp_path / "guest", slot=True) as both:
        yield both
