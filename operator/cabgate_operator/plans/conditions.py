# SPDX-License-Identifier: Apache-2.0
"""Conditions: what is wanted, merged into what is there."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cabgate.api.base import rfc3339
from cabgate.text.foreign import printed

MAX_MESSAGE = 4096
"""Longest message of a condition, in characters."""


@dataclass(frozen=True)
class Wanted:
    """A condition as it should read."""

    type: str
    holds: bool
    reason: str
    message: str


def merge_conditions(
    old: Sequence[dict[str, Any]],
    wanted: Sequence[Wanted],
    generation: int,
    now: datetime,
) -> list[dict[str, Any]]:
    """The conditions after an update: others stay, and so does the time of the last transition
    where the status is what it was."""
    merged = {condition["type"]: dict(condition) for condition in old}
    for want in wanted:
        status = "True" if want.holds else "False"
        before = merged.get(want.type, {})
        unchanged = before.get("status") == status
        merged[want.type] = {
            "type": want.type,
            "status": status,
            "observedGeneration": generation,
            "lastTransitionTime": before["lastTransitionTime"] if unchanged else rfc3339(now),
            "reason": want.reason,
            "message": printed(want.message)[:MAX_MESSAGE],
        }
    return list(merged.values())
