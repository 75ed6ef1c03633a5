# SPDX-License-Identifier: Apache-2.0
"""Denials in which no rule was asked: their reason codes, which are part of the API."""

from enum import StrEnum


class Undecided(StrEnum):
    """Why nothing was decided."""

    TOO_LARGE = "TooLarge"
    LOOKUP_FAILED = "LookupFailed"
    LOOKUP_TIMED_OUT = "LookupTimedOut"
    INTERNAL_ERROR = "InternalError"
    UNKNOWN_RESOURCE = "UnknownResource"


DOUBTS = frozenset({Undecided.LOOKUP_FAILED, Undecided.LOOKUP_TIMED_OUT, Undecided.INTERNAL_ERROR})
"""Those that a fault is behind, not what was sent: the ones that an alert counts."""
