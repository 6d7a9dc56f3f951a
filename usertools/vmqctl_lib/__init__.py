# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""The parts of vmqctl: a table of commands, and what runs and shows each of them."""
