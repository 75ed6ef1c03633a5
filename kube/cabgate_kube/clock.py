# SPDX-License-Identifier: Apache-2.0
"""The time by the machine's clock, and what stands for it."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Gives the present time, with its time zone."""


def utc_now() -> datetime:
    """The present time in UTC."""
    return datetime.now(UTC)
