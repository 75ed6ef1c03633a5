# SPDX-License-Identifier: Apache-2.0
"""What waits and what is in force, noted from objects as they pass: for metrics alone.

Nothing here is read from the API server: a watch and a sweep bring every object by anyway.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cabgate.api.exception import ExceptionState
from cabgate.lifecycle import DECIDED_STATES
from cabgate_operator.apiserver import EXCEPTIONS, REQUESTS, Object, Resource
from cabgate_operator.requests import UNDECIDED

AGES = (
    ("under_1h", timedelta(hours=1)),
    ("under_1d", timedelta(days=1)),
    ("under_7d", timedelta(days=7)),
)
"""Names and ends of the ages of what waits."""

OLDEST = "over_7d"
"""The age after the last of them."""


@dataclass(frozen=True)
class Decided:
    """A request that was decided: its state, and how long that took, in seconds."""

    state: str
    seconds: float


@dataclass
class Overview:
    """Requests that wait and exceptions in force, by uid. `since` is when it began to look: what
    was decided before is not told again."""

    since: datetime
    _waiting: dict[str, datetime] = field(default_factory=dict)
    _ends: dict[str, datetime] = field(default_factory=dict)
    _told: dict[str, datetime] = field(default_factory=dict)

    def saw(self, resource: Resource, body: Object, *, deleted: bool = False) -> Decided | None:
        """Take note of an object; what to tell if it is a request that was decided meanwhile."""
        meta, status = body.get("metadata") or {}, body.get("status") or {}
        uid = str(meta.get("uid", ""))
        if resource is EXCEPTIONS:
            end = _moment(status.get("expiresAt"))
            in_force = status.get("state") == ExceptionState.APPROVED and not deleted
            _set(self._ends, uid, end if in_force else None)
        elif resource is REQUESTS:
            opened, state = _moment(meta.get("creationTimestamp")), status.get("state")
            _set(self._waiting, uid, opened if state in UNDECIDED and not deleted else None)
            decided = _moment(status.get("decidedAt"))
            if state in DECIDED_STATES and opened and decided and not deleted:
                return self._decided(uid, state, opened, decided)
        return None

    def _decided(self, uid: str, state: str, opened: datetime, decided: datetime) -> Decided | None:
        if decided < self.since or uid in self._told:
            return None
        self._told[uid] = decided
        return Decided(str(state), max(0.0, (decided - opened).total_seconds()))

    def swept(self, uids: Iterable[str], began: datetime) -> None:
        """Every object was seen since a sweep began: `uids` are all that there are."""
        there = set(uids)
        for known in (self._waiting, self._ends):
            for uid in known.keys() - there:
                del known[uid]
        # The margin: a decision may be written some time after its moment.
        self.since = max(self.since, began - timedelta(minutes=10))
        self._told = {uid: at for uid, at in self._told.items() if at >= self.since}

    def waiting(self, now: datetime) -> dict[str, int]:
        """How many requests wait for a decision, by age."""
        counts = Counter(_age(now - opened) for opened in self._waiting.values())
        return {name: counts[name] for name in (*(name for name, _ in AGES), OLDEST)}

    def seconds_left(self, now: datetime) -> list[float]:
        """Seconds until the end of each exception in force, the soonest first."""
        left = ((end - now).total_seconds() for end in self._ends.values())
        return sorted(seconds for seconds in left if seconds > 0)


def _age(age: timedelta) -> str:
    return next((name for name, end in AGES if age < end), OLDEST)


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
