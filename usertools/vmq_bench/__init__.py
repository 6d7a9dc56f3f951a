# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""The parts of vmq-bench: one module for each subcommand, and one for each peer."""
