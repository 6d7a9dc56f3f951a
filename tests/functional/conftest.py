# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors

from vmq_test.fixtures import need, pytest_configure, space  # noqa: F401
