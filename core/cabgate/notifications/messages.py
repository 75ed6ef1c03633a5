# SPDX-License-Identifier: Apache-2.0
"""The words of a message: names, score, age, one link, one command. No evidence and no rationale,
which are for those who may read the request, and nothing to decide by: that takes a user whom the
API server knows."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from cabgate.api.values import SubjectKind
from cabgate.notifications.notices import Event, Notice
from cabgate.notifications.planning import Digest, Every, Group
from cabgate.text.inert import first_words, inert
from cabgate.text.moments import duration

Room = Callable[[Sequence[Notice]], int]
"""How many of some notices, from the first on, have room in one message: one at least."""

QUEUE = "kubectl cab queue -A"
"""How to see what waits."""

MAX_DETAIL = 200
"""Longest detail of a row, in characters: the user name of who decided may be long."""

_COUNTED: Mapping[Event, tuple[str, str]] = {
    Event.GLASS_BROKEN: ("1 broken glass", "{} broken glasses"),
    Event.REVOKED: ("1 approval revoked", "{} approvals revoked"),
    Event.EXCEPTION_WAITING: ("1 exception waits", "{} exceptions wait"),
    Event.ESCALATED: ("1 request has escalated", "{} requests have escalated"),
    Event.WAITING: ("1 request waits", "{} requests wait"),
    Event.DECIDED: ("1 decision", "{} decisions"),
    Event.FROZEN: ("1 approved rollout is frozen", "{} approved rollouts are frozen"),
    Event.EXPIRING: ("1 exception ends soon", "{} exceptions end soon"),
    Event.EXPIRED: ("1 exception has ended", "{} exceptions have ended"),
}

LISTS: Mapping[Event, str] = {
    Event.GLASS_BROKEN: QUEUE,
    Event.REVOKED: "kubectl get cabrequests -A",
    Event.EXCEPTION_WAITING: QUEUE,
    Event.ESCALATED: QUEUE,
    Event.WAITING: QUEUE,
    Event.DECIDED: "kubectl get cabrequests -A",
    Event.FROZEN: "kubectl cab freeze list",
    Event.EXPIRING: "kubectl get cabexceptions -A",
    Event.EXPIRED: "kubectl get cabexceptions -A",
    Event.DIGEST: QUEUE,
}
"""How to see all of what a message of several names."""


@dataclass(frozen=True, slots=True)
class Row:
    """One request or exception in a message."""

    name: str
    """`shop/checkout-1f2e3d4c`."""
    text: str
    """What follows it: score, ring, age and detail."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message, in words that are inert; each channel has a form of its own for it."""

    event: Event
    title: str
    rows: tuple[Row, ...]
    lines: tuple[str, ...]
    """What else there is, after the rows."""
    command: str
    link: str
    """Empty where no portal is set."""


def message_of(group: Group, cluster: str, portal: str, now: datetime) -> Message:
    """The words for a group. `cluster` is the name of the cluster; `portal` the URL of the page
    that people decide on, empty if there is none."""
    if group.digest is not None:
        return _digest_message(group.digest, cluster, portal, now)
    one, several = _COUNTED[group.event]
    count = len(group.notices)
    title = one if count == 1 else several.format(count)
    alone = group.notices[0] if count == 1 and not group.later else None
    return Message(
        event=group.event,
        title=_title(cluster, title),
        rows=tuple(row_of(each, now) for each in group.notices),
        lines=(f"{group.later} more in the next message.",) if group.later else (),
        command=LISTS[group.event] if alone is None else command_of(alone),
        link=link_of(portal, alone),
    )


def row_of(notice: Notice, now: datetime) -> Row:
    """One line about a request or an exception."""
    parts = [
        f"score {notice.score}" if notice.score else "",
        f"ring {notice.ring}" if notice.ring else "",
        f"opened {duration(max(now - notice.opened_at, timedelta()))} ago",
        first_words(notice.detail, MAX_DETAIL),
    ]
    kind = "exception " if notice.kind is SubjectKind.EXCEPTION else ""
    return Row(f"{kind}{notice.namespace}/{notice.name}", ", ".join(filter(None, parts)))


def command_of(notice: Notice) -> str:
    """How to see all of a request or an exception."""
    name = f"cabex/{notice.name}" if notice.kind is SubjectKind.EXCEPTION else notice.name
    return f"kubectl cab show {shlex.quote(name)} -n {shlex.quote(notice.namespace)}"


def link_of(portal: str, notice: Notice | None) -> str:
    """Where it is to be seen in the portal; its first page, where a message is about several."""
    if not portal:
        return ""
    base = portal.rstrip("/")
    if notice is None:
        return f"{base}/"
    kind = "exceptions" if notice.kind is SubjectKind.EXCEPTION else "requests"
    return f"{base}/{kind}/{quote(f'{notice.namespace}.{notice.name}', safe='')}"


def room_for(characters: int, now: datetime) -> Room:
    """How many notices fit into so many characters of rows."""

    def size(notice: Notice) -> int:
        row = row_of(notice, now)
        return len(row.name) + len(row.text) + 3

    return room_by(characters, size)


def room_by(most: int, size: Callable[[Notice], int]) -> Room:
    """How many notices fit whose sizes come to no more than `most`."""

    def room(some: Sequence[Notice]) -> int:
        left = most
        for count, notice in enumerate(some):
            left -= size(notice)
            if left < 0:
                return max(count, 1)
        return len(some)

    return room


def _digest_message(digest: Digest, cluster: str, portal: str, now: datetime) -> Message:
    time = "day" if digest.every is Every.DAY else "week"
    lines = (
        f"Waiting: requests {digest.waiting}, exceptions {digest.exceptions_waiting}.",
        f"In the last {time}: decided by people {digest.decided}, revoked {digest.revoked}, "
        f"glass broken {digest.glass_broken}.",
        f"Exceptions that end within seven days: {digest.ending}.",
    )
    return Message(
        event=Event.DIGEST,
        title=_title(cluster, f"the {time} in numbers"),
        rows=tuple(row_of(each, now) for each in digest.oldest),
        lines=lines,
        command=QUEUE,
        link=link_of(portal, None),
    )


def _title(cluster: str, text: str) -> str:
    return f"cabgate {inert(cluster)}: {text}"
