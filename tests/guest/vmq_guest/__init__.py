# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""Real guests for tests: QEMU and a kernel from Debian's packages, images, consoles."""
