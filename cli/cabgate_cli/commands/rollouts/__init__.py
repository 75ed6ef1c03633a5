# SPDX-License-Identifier: Apache-2.0
"""May it roll out: now, yet, and what runs uncovered."""
