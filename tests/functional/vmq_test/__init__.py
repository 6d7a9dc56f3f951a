# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""What the functional tests share: captures, frames, and a daemon to run."""
