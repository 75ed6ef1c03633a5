# SPDX-License-Identifier: Apache-2.0
"""Which messages a channel is due: a function of what is true now, of what the channel was sent,
and of the time."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Any

from cabgate.notifications.notices import MAX_NOTICES, Event, Notice
from cabgate.notifications.refusals import NONE, Refusals
from cabgate.text.moments import rfc3339

WINDOW = timedelta(seconds=30)
"""How long what happens is gathered into one message: a channel gets one message of each event in
such a time. So it never gets more than `MOST_A_MINUTE`."""

MOST_A_MINUTE = 20
"""Most messages a minute and channel, which a test holds `WINDOW` and `Event` to."""

MAX_LISTED = 10
"""Most requests and exceptions that a digest names: those that have waited longest."""

_DIGEST_AT = time(8, tzinfo=UTC)


class Every(StrEnum):
    """How often a digest is sent: each day, or each Monday, at 08:00 UTC."""

    DAY = "Day"
    WEEK = "Week"

    @property
    def length(self) -> timedelta:
        """The time between two."""
        return timedelta(days=1 if self is Every.DAY else 7)

    def latest(self, now: datetime) -> datetime:
        """The latest moment at which one was to be sent."""
        day = now.astimezone(UTC).date()
        if self is Every.WEEK:
            day -= timedelta(days=day.weekday())
        moment = datetime.combine(day, _DIGEST_AT)
        return moment if moment <= now else moment - self.length


@dataclass(frozen=True, slots=True)
class Route:
    """What a channel is sent. `None` is all of them."""

    events: frozenset[Event]
    namespaces: frozenset[str] | None = None
    rings: frozenset[str] | None = None
    """What has no ring, such as an exception whose request is gone, is for whoever is sent any."""
    every: Every | None = None
    """How often a digest is sent; None: never."""
    from_level: int = 1
    """Lowest level of what has escalated."""

    def wants(self, notice: Notice) -> bool:
        """Whether a channel is to be sent a notice that it may see."""
        low = notice.event is Event.ESCALATED and notice.level < self.from_level
        return notice.event in self.events and not low

    def takes(self, notice: Notice) -> bool:
        """Whether a channel may see a notice, in messages or in a digest."""
        if self.namespaces is not None and notice.namespace not in self.namespaces:
            return False
        return self.rings is None or notice.ring in self.rings or notice.ring == ""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a channel was sent, as far as it is still true."""

    since: datetime
    """When the channel was first there: what happened before is no news to it."""
    sent: frozenset[str] = frozenset()
    """Keys of notices."""
    latest: Mapping[Event, datetime] = field(default_factory=dict)
    """When a message of each event was last tried; a digest, when it last arrived."""

    def dump(self) -> str:
        """As it is stored."""
        content = {
            "since": rfc3339(self.since),
            "latest": {key.value: rfc3339(at) for key, at in sorted(self.latest.items())},
            "sent": sorted(self.sent),
        }
        return json.dumps(content, separators=(",", ":"))

    @classmethod
    def load(cls, text: str) -> "Memory":
        """What was stored. Raises `ValueError` where it is nothing of the kind. Events of another
        release are passed over."""
        try:
            content: dict[str, Any] = json.loads(text)
            latest = {
                Event(key): _moment(at)
                for key, at in content["latest"].items()
                if key in set(Event)
            }
            return cls(_moment(content["since"]), frozenset(map(str, content["sent"])), latest)
        except (AttributeError, KeyError, OverflowError, RecursionError, TypeError) as error:
            raise ValueError(f"not what a channel was sent: {error}") from error

    def at_most(self, now: datetime) -> "Memory":
        """The same, where a leader whose clock was ahead has not written what is yet to come:
        until then nothing would be sent."""
        latest = {event: min(at, now) for event, at in self.latest.items()}
        return replace(self, since=min(self.since, now), latest=latest)

    def with_other(self, other: "Memory") -> "Memory":
        """What two leaders remember of one channel: all of it."""
        latest = {
            event: max(each.latest[event] for each in (self, other) if event in each.latest)
            for event in {*self.latest, *other.latest}
        }
        return Memory(min(self.since, other.since), self.sent | other.sent, latest)


@dataclass(frozen=True, slots=True)
class Digest:
    """What a channel is told of a day or a week, as far as it may see it."""

    every: Every
    waiting: int
    exceptions_waiting: int
    decided: int
    revoked: int
    glass_broken: int
    ending: int
    """Exceptions that end within seven days."""
    oldest: tuple[Notice, ...]
    """What has waited longest, the oldest first."""


@dataclass(frozen=True, slots=True)
class Group:
    """What one message tells."""

    event: Event
    notices: tuple[Notice, ...]
    later: int = 0
    """How many had no room, and come with a later message."""
    digest: Digest | None = None


def visible(current: Iterable[Notice], route: Route) -> list[Notice]:
    """What a channel may see, the oldest first."""
    return [each for each in current if route.takes(each)]


def due(
    current: Sequence[Notice],
    route: Route,
    memory: Memory,
    now: datetime,
    room: Callable[[Sequence[Notice]], int],
    window: timedelta = WINDOW,
    refusals: Refusals = NONE,
) -> list[Group]:
    """The messages that a channel is due now, the most urgent first.

    `current` is what the channel may see. `room` says how many of some notices one message holds,
    at least one.
    """
    memory = memory.at_most(now)
    found = []
    waiting = unsent(current, route, memory)
    for event in Event:
        some = [each for each in waiting if each.event is event]
        if not some or now < some[0].since + window:
            continue
        if now < memory.latest.get(event, memory.since) + window:
            continue
        following = refusals.next(some)
        fits = tuple(following[: room(following)])
        found.append(Group(event, fits, len(some) - len(fits)))
    if _digest_due(route.every, memory, now):
        group = _digest(route.every or Every.DAY, current, now)
        if group.digest is not None and Event.DIGEST in refusals.row:
            group = replace(group, digest=replace(group.digest, oldest=()))
        found.append(group)
    return found


def unsent(current: Sequence[Notice], route: Route, memory: Memory) -> list[Notice]:
    """What a channel has not been sent yet, the oldest first."""
    wanted = [each for each in current if route.wants(each)]
    return [each for each in _newest(wanted) if _is_new(each, memory)]


def _newest(some: Sequence[Notice]) -> list[Notice]:
    """The newest, where there are more than can be remembered: of each event as many, but for what
    others leave. So nobody hides a broken glass behind thousands of requests."""
    of: dict[Event, list[Notice]] = {}
    for each in some:
        of.setdefault(each.event, []).append(each)
    left, kept = MAX_NOTICES, set()
    for done, notices in enumerate(sorted(of.values(), key=len)):
        newest = notices[-(left // (len(of) - done)) :]
        left -= len(newest)
        kept |= {each.key for each in newest}
    return [each for each in some if each.key in kept]


def tried(memory: Memory, group: Group, now: datetime) -> Memory:
    """What is remembered once a message was tried, whether it arrived or not: when. Of a digest
    that says that it arrived."""
    if group.event is Event.DIGEST:
        return memory
    return replace(memory, latest={**memory.latest, group.event: now})


def arrived(memory: Memory, group: Group, current: Sequence[Notice], now: datetime) -> Memory:
    """What is remembered once a message has arrived: nothing that is no longer true."""
    true = _newest([each for each in current if each.key in memory.sent])
    sent = frozenset(each.key for each in (*true, *group.notices))
    return replace(memory, sent=sent, latest={**memory.latest, group.event: now})


def _is_new(notice: Notice, memory: Memory) -> bool:
    if notice.is_news and notice.since < memory.since:
        return False
    return notice.key not in memory.sent


def _digest_due(every: Every | None, memory: Memory, now: datetime) -> bool:
    latest = memory.latest.get(Event.DIGEST, memory.since)
    return every is not None and every.latest(now) > latest


def _digest(every: Every, current: Sequence[Notice], now: datetime) -> Group:
    def count(event: Event) -> int:
        return sum(1 for each in current if each.event is event)

    def lately(event: Event) -> int:
        fresh = (each for each in current if each.event is event)
        return sum(1 for each in fresh if now - each.since < every.length)

    waits = [each for each in current if each.event in (Event.WAITING, Event.EXCEPTION_WAITING)]
    digest = Digest(
        every=every,
        waiting=count(Event.WAITING),
        exceptions_waiting=count(Event.EXCEPTION_WAITING),
        decided=lately(Event.DECIDED),
        revoked=lately(Event.REVOKED),
        glass_broken=lately(Event.GLASS_BROKEN),
        ending=count(Event.EXPIRING),
        oldest=tuple(waits[:MAX_LISTED]),
    )
    return Group(Event.DIGEST, (), digest=digest)


def _moment(text: object) -> datetime:
    found = datetime.fromisoformat(str(text))
    if found.tzinfo is None:
        raise ValueError(f"a time without a zone: {text}")
    return found.astimezone(UTC)
