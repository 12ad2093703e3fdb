# SPDX-License-Identifier: GPL-2.0
"""The parts of lab/vm. This file is only for Python to find them and must never hold code."""
