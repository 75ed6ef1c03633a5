# SPDX-License-Identifier: Apache-2.0
"""When something that failed is tried again: after so many failures, or as a receiver asks."""

import random
from datetime import datetime
from email.utils import parsedate_to_datetime

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
"""Seconds before the second attempt, and between later ones."""

LONGEST_RETRY_AFTER = 3600.0
"""Longest that a receiver may put off what is sent to it, in seconds."""


def pause_before(attempt: int, longest: float) -> float:
    """Seconds to wait before an attempt, the second is 1; spread, so that relays of many clusters
    do not all come back to one store at once."""
    most = min(longest, FIRST_PAUSE * 2.0 ** min(attempt - 1, 16))
    return random.uniform(most / 2, most)  # noqa: S311 - no secret


def retry_after(text: str | None, now: datetime) -> float:
    """How long a receiver wants to be left alone, in seconds, by its header `Retry-After`: a number
    or a date. 0 if it says nothing that can be read."""
    if text is None:
        return 0.0
    if text.strip().isdecimal() and text.isascii():
        return min(float(text[:12]), LONGEST_RETRY_AFTER)
    try:
        seconds = (parsedate_to_datetime(text) - now).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
