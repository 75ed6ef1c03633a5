# SPDX-License-Identifier: Apache-2.0
"""What an exception needs by the terms of its request, and how many have approved it.

Nothing here asks anybody: how many approvals it needs stands in the exception, where the webhook
stamped it, and is compared with the terms of the request wherever that is at hand.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cabgate.api.stored import Declared, StoredExceptionEntry, StoredExceptionSpec
from cabgate.api.values import ExceptionState, ExceptionVerdict
from cabgate.text.names import may_be_same


@dataclass(frozen=True, slots=True)
class Lacking:
    """What an exception lacks of what the terms of its request ask for."""

    field: str
    """Such as `spec.durationDays`."""
    message: str


def needed_by(request: Declared) -> int:
    """How many different people have to approve an exception for a request."""
    terms = request.spec.terms
    return 1 if terms is None or terms.exceptions is None else terms.exceptions.count


def needed_of(spec: StoredExceptionSpec) -> int:
    """How many have to approve an exception, as it was stamped."""
    return spec.approvals_needed or 1


def lacks_in_spec(spec: StoredExceptionSpec, request: Declared) -> Iterator[Lacking]:
    """What of the spec of an exception is not as the terms of its request ask for, but for the
    number of approvals."""
    terms = request.spec.terms
    need = None if terms is None else terms.exceptions
    if need is None:
        return
    if spec.duration_days > need.max_days:
        says = f"{spec.duration_days}; the change policy of its request allows {need.max_days}"
        yield Lacking("spec.durationDays", says)
    for name in need.require:
        if not _carries(spec, name):
            says = "missing; the change policy of its request asks every exception for it"
            yield Lacking(f"spec.constraints.{name}", says)


def meets(spec: StoredExceptionSpec, request: Declared) -> bool:
    """Whether an exception is as the terms of its request ask for: one that an older release let in
    may not be."""
    enough = needed_of(spec) >= needed_by(request)
    return enough and next(lacks_in_spec(spec, request), None) is None


_FIELDS = {
    "maxReplicas": "max_replicas",
    "maxRing": "max_ring",
    "until": "until",
    "windows": "windows",
}


def _carries(spec: StoredExceptionSpec, name: str) -> bool:
    field = _FIELDS.get(str(name))
    if field is None or spec.constraints is None:
        return False
    return getattr(spec.constraints, field) not in (None, [], ())


def votes_in(
    history: Iterable[tuple[StoredExceptionEntry, ExceptionState]],
) -> list[StoredExceptionEntry]:
    """The approvals that count, of the entries that counted; none of before one was taken back."""
    found: list[StoredExceptionEntry] = []
    for entry, _ in history:
        if entry.verdict is ExceptionVerdict.REOPENED:
            found.clear()
        elif entry.verdict is ExceptionVerdict.APPROVED:
            found.append(entry)
    return found


def has_voted(votes: Iterable[StoredExceptionEntry], entry: StoredExceptionEntry) -> bool:
    """Whether one of some approvals may be by the author of an entry."""
    who = entry.author
    return any(may_be_same(v.author.username, v.author.uid, who.username, who.uid) for v in votes)


def counted_of(spec: StoredExceptionSpec, votes: Sequence[StoredExceptionEntry]) -> str:
    """How many of the approvals that an exception needs are in, `1/2`; empty where one is
    enough."""
    needed = needed_of(spec)
    return "" if needed == 1 else f"{min(len(votes), needed)}/{needed}"
