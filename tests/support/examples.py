# SPDX-License-Identifier: Apache-2.0
"""How many examples a property is tried with that says a number of its own."""

from math import ceil

from hypothesis import settings

FULL = 100
"""Examples of a property that says no number, where nothing is left out (hypothesis' default)."""


def examples(count: int) -> int:
    """`count` where nothing is left out, and its share where the profile tries fewer of each."""
    return max(1, ceil(count * settings.default.max_examples / FULL))
