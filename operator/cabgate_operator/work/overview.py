# SPDX-License-Identifier: Apache-2.0
"""What waits and what is in force, noted from objects as they pass: for metrics alone.

Nothing here is read from the API server: a watch and a sweep bring every object by anyway.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cabgate.api.exception import ExceptionState
from cabgate_kube.resources import EXCEPTIONS, REQUESTS, Object, Resource
from cabgate_operator.plans.requests import UNDECIDED

AGES = (
    ("under_1h", timedelta(hours=1)),
    ("under_1d", timedelta(days=1)),
    ("under_7d", timedelta(days=7)),
)
"""Names and ends of the ages of what waits."""

OLDEST = "over_7d"
"""The age after the last of them."""

TIMES_LEFT = (
    ("under_1d", timedelta(days=1)),
    ("under_7d", timedelta(days=7)),
    ("under_30d", timedelta(days=30)),
)
"""Names and ends of the times that exceptions in force have left."""

LONGEST = "over_30d"
"""The time after the last of them."""


@dataclass
class Overview:
    """Requests that wait and exceptions in force, by uid."""

    _waiting: dict[str, datetime] = field(default_factory=dict)
    _ends: dict[str, datetime] = field(default_factory=dict)

    def saw(self, resource: Resource, body: Object, *, deleted: bool = False) -> None:
        """Take note of an object."""
        meta, status = body.get("metadata") or {}, body.get("status") or {}
        uid = str(meta.get("uid", ""))
        if resource is EXCEPTIONS:
            end = _moment(status.get("expiresAt"))
            in_force = status.get("state") == ExceptionState.APPROVED and not deleted
            _set(self._ends, uid, end if in_force else None)
        elif resource is REQUESTS:
            opened, state = _moment(meta.get("creationTimestamp")), status.get("state")
            _set(self._waiting, uid, opened if state in UNDECIDED and not deleted else None)

    def swept(self, uids: Iterable[str]) -> None:
        """Every object was seen: `uids` are all that there are."""
        there = set(uids)
        for known in (self._waiting, self._ends):
            for uid in known.keys() - there:
                del known[uid]

    def waiting(self, now: datetime) -> dict[str, int]:
        """How many requests wait for a decision, by age."""
        return _by_span((now - opened for opened in self._waiting.values()), AGES, OLDEST)

    def by_time_left(self, now: datetime) -> dict[str, int]:
        """How many exceptions are in force, by the time that they have left."""
        left = (end - now for end in self._ends.values() if end > now)
        return _by_span(left, TIMES_LEFT, LONGEST)

    def seconds_left(self, now: datetime) -> list[float]:
        """Seconds until the end of each exception in force, the soonest first."""
        left = ((end - now).total_seconds() for end in self._ends.values())
        return sorted(seconds for seconds in left if seconds > 0)


def _by_span(
    times: Iterable[timedelta], spans: Sequence[tuple[str, timedelta]], last: str
) -> dict[str, int]:
    counts = Counter(next((name for name, end in spans if time < end), last) for time in times)
    return {name: counts[name] for name in (*(name for name, _ in spans), last)}


def _set(known: dict[str, datetime], uid: str, moment: datetime | None) -> None:
    if moment is None:
        known.pop(uid, None)
    else:
        known[uid] = moment


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
