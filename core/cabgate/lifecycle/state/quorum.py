# SPDX-License-Identifier: Apache-2.0
"""How many people have approved a request, of those that its frozen terms ask for.

Nothing here asks anybody: what counts stands in the request and in its decisions, so that whoever
has those counts the same. A request without terms takes one approval, as ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cabgate.api.stored import Declared, StoredEntry
from cabgate.api.stored_terms import Asked, StoredNeed
from cabgate.api.values import MAX_LISTED, RequestState, RequestVerdict
from cabgate.lifecycle.state.escalation import also_deciding, decides_from
from cabgate.text.moments import rfc3339
from cabgate.text.names import may_be_same, same_name
from cabgate.text.refusal import RefusalReason

_V, _S = RequestVerdict, RequestState

VOTES = frozenset({_V.APPROVED, _V.CONDITIONALLY_APPROVED})
"""Verdicts by which a person votes for a request."""

BEGINS_ANEW = frozenset({_V.REVOKED, _V.REOPENED, _V.SUPERSEDED})
"""Verdicts after which no vote of before counts."""


def needs_of(request: Declared) -> Sequence[StoredNeed]:
    """The approvals that a request needs by its terms; none where one approval is enough."""
    terms = request.spec.terms
    return () if terms is None else terms.approvals


def verbs_of(request: Declared) -> list[str]:
    """The verbs that its terms name, sorted: each vote records which of them its author holds."""
    terms = request.spec.terms
    steps = () if terms is None else terms.escalation
    further = {step.also_decides for step in steps if step.also_decides is not None}
    return sorted({need.verb for need in needs_of(request)} | further)


@dataclass
class Votes:
    """The votes for a request that count, as its decisions are gone through."""

    request: Declared
    opened_at: datetime | None
    """Since when it waits."""
    found: list[StoredEntry] = field(default_factory=list)

    @classmethod
    def none_of(cls, request: Declared) -> "Votes":
        """Those before its first decision."""
        return cls(request, request.metadata.creation_timestamp)

    def state_after(self, entry: StoredEntry, following: RequestState) -> RequestState | None:
        """The state after an entry that leads to `following` where nobody counts votes; None if it
        counts for nothing."""
        if entry.verdict in BEGINS_ANEW:
            self.found.clear()
        if entry.verdict is _V.REOPENED:
            self.opened_at = entry.at
        if not needs_of(self.request):
            return following
        if why_not_counted(self.request, self.found, self.opened_at, entry) is not None:
            return None
        if entry.verdict not in VOTES:
            return following
        self.found.append(entry)
        if lacking(self.request, self.found, self.opened_at):
            return _S.UNDER_REVIEW
        conditional = any(each.conditions for each in self.found)
        return _S.CONDITIONALLY_APPROVED if conditional else _S.APPROVED


@dataclass(frozen=True, slots=True)
class Uncounted:
    """That an entry counts for nothing by the terms of its request."""

    reason: RefusalReason
    """For which its author is refused."""
    message: str


def why_not_counted(
    request: Declared,
    votes: Sequence[StoredEntry],
    opened_at: datetime | None,
    entry: StoredEntry,
) -> Uncounted | None:
    """Why an entry counts for nothing beside the votes that are in, where it would count if nobody
    counted votes; None if it counts. `opened_at` is since when the request waits."""
    who = entry.author.username
    given = any(_same(each, entry) for each in votes)
    if entry.verdict is _V.ATTESTED and given:
        return Uncounted(
            RefusalReason.SELF_APPROVAL,
            f"{who} gave one of its approvals and attests none of its conditions; someone else has "
            "to",
        )
    if entry.verdict is _V.AUTO_APPROVED:
        return Uncounted(RefusalReason.ILLEGAL_TRANSITION, "its terms ask for people to approve it")
    if entry.verdict not in VOTES:
        return None
    if given:
        return Uncounted(
            RefusalReason.ILLEGAL_TRANSITION,
            f"{who} has approved it already, and the approvals are of different people",
        )
    if _has_part(request, entry):
        return Uncounted(
            RefusalReason.SELF_APPROVAL,
            f"{who} submitted this or asked for it, and cannot decide on it; someone else has to",
        )
    if not any(_counts(request, opened_at, entry, need.verb) for need in needs_of(request)):
        return Uncounted(RefusalReason.NOT_AUTHORIZED, _without_verb(request, opened_at, entry))
    known = {each.name: each for vote in votes for each in vote.conditions}
    clash = next((c.name for c in entry.conditions if known.get(c.name, c) != c), None)
    if clash is None:
        return None
    return Uncounted(
        RefusalReason.INVALID,
        f"an earlier approval has a condition {clash} that says otherwise: give this one another "
        "name",
    )


def _without_verb(request: Declared, opened_at: datetime | None, entry: StoredEntry) -> str:
    asked = sorted(
        {need.verb for need in needs_of(request)}
        | also_deciding(request.spec.terms, opened_at, entry.at)
    )
    message = (
        f"{entry.author.username} lacks every RBAC verb on cabrequests.cabgate.dev that its terms "
        f"ask for: {', '.join(asked)}; ask someone who has one"
    )
    begins = [decides_from(request.spec.terms, opened_at, verb) for verb in entry.verbs]
    later = min((moment for moment in begins if moment is not None), default=None)
    return message if later is None else f"{message}, or wait until {rfc3339(later)}"


def _counts(request: Declared, opened_at: datetime | None, vote: StoredEntry, verb: str) -> bool:
    """Whether a vote counts for a verb that terms ask for: its author held that, or one whose
    holders decided as well at that moment."""
    if verb in vote.verbs:
        return True
    also = also_deciding(request.spec.terms, opened_at, vote.at)
    return not also.isdisjoint(vote.verbs)


def _has_part(request: Declared, entry: StoredEntry) -> bool:
    """Whether the author of an entry stands in a request as who submitted or asked."""
    spec, author = request.spec, entry.author
    asked = [name for name in (*spec.requested_by, spec.requester) if name]
    return any(
        may_be_same(author.username, author.uid, each.username, each.uid)
        for each in spec.submitted_by
    ) or any(same_name(author.username, name) for name in asked)


def _same(one: StoredEntry, other: StoredEntry) -> bool:
    """Whether two entries may be of one person."""
    a, b = one.author, other.author
    return may_be_same(a.username, a.uid, b.username, b.uid)


@dataclass(frozen=True, slots=True)
class Lack:
    """That a request has fewer votes with a verb than its terms ask for."""

    verb: str
    found: int
    count: int


def lacking(
    request: Declared, votes: Sequence[StoredEntry], opened_at: datetime | None
) -> list[Lack]:
    """What a request lacks with these votes that waits since a moment, in the order of its
    terms."""
    found = [
        Lack(need.verb, _found(request, votes, opened_at, need), need.count)
        for need in needs_of(request)
    ]
    return [each for each in found if each.found < each.count]


def counted(request: Declared, votes: Sequence[StoredEntry], opened_at: datetime | None) -> str:
    """How many votes are in, as a column shows it: `1/2`, or where the terms name several verbs
    `1/2 approve, 0/1 approve-senior`, with the last ones counted where they have no room; empty
    where no terms ask for any."""
    needs = needs_of(request)
    found = [min(_found(request, votes, opened_at, need), need.count) for need in needs]
    parts = [f"{number}/{need.count}" for number, need in zip(found, needs, strict=True)]
    if len(needs) == 1:
        return parts[0]
    named = [f"{part} {need.verb}" for part, need in zip(parts, needs, strict=True)]
    whole = ", ".join(named)
    shown = len(named)
    while len(whole) > MAX_LISTED:
        shown -= 1
        whole = f"{', '.join(named[:shown])} and {len(named) - shown} more"
    return whole


def people_needed(request: Declared) -> str:
    """Who has to approve a request by its terms: `2 people with the verb approve and 1 person with
    the verb approve-senior`; empty where it has none."""
    return people_of(needs_of(request))


def people_of(needs: Sequence[Asked]) -> str:
    """The same of some approvals."""
    return " and ".join(
        f"{need.count} {_people(need.count)} with the verb {need.verb}" for need in needs
    )


def still_needed(
    request: Declared,
    votes: Sequence[StoredEntry],
    opened_at: datetime | None,
    now: datetime | None = None,
) -> str:
    """What is lacking, in words: `1 more person with the verb approve-senior`, at a moment with the
    verbs whose holders decide as well by then; empty if nothing is."""
    terms = request.spec.terms
    also = frozenset[str]() if now is None else also_deciding(terms, opened_at, now)
    return " and ".join(
        f"{each.count - each.found} more {_people(each.count - each.found)} with the verb "
        + " or ".join([each.verb, *sorted(also - {each.verb})])
        for each in lacking(request, votes, opened_at)
    )


def _people(count: int) -> str:
    return "person" if count == 1 else "people"


def _found(
    request: Declared,
    votes: Sequence[StoredEntry],
    opened_at: datetime | None,
    need: StoredNeed,
) -> int:
    return sum(_counts(request, opened_at, each, need.verb) for each in votes)
