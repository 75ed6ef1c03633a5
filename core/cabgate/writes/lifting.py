# SPDX-License-Identifier: Apache-2.0
"""What an approval is about to lift: its reviewer may not have heard of what was refused."""

from collections.abc import Iterable, Sequence

from cabgate.api.base import rfc3339
from cabgate.api.exception import ExceptionVerdict
from cabgate.api.request import RequestVerdict
from cabgate.api.stored import Declared, StoredEntry
from cabgate.api.types import MAX_LIFTS, Checked
from cabgate.gate.composing import WARNING_WIDTH, shortened
from cabgate.lifecycle.history.precedent import StandingRefusal, standing_refusals
from cabgate.lifecycle.history.revocations import lifts
from cabgate.lifecycle.state.standing import RequestStanding
from cabgate.lifecycle.state.states import is_retrospective
from cabgate.review.reviewers import approves

MAX_LINES = 10
"""Refusals that a warning lists: of more, the API server would cut each short."""


def lifted_by(
    request: Declared,
    verdict: RequestVerdict | ExceptionVerdict,
    others: Iterable[RequestStanding],
    votes: Sequence[StoredEntry] = (),
) -> list[StandingRefusal]:
    """The refusals that a person's approval of a request, or of an exception for it, lifts for its
    images; the latest first. A rejection is lifted by an approval without conditions alone.

    `others` are the requests of the namespace that name one of its workloads; `votes` the approvals
    of the request that are in already: it lifts what the first of them does, and nothing else.
    """
    found = _refusals(request, verdict, others)
    first = _first(verdict, votes)
    return found if first is None else [each for each in found if _knew(first, each)]


def _refusals(
    request: Declared,
    verdict: RequestVerdict | ExceptionVerdict,
    others: Iterable[RequestStanding],
) -> list[StandingRefusal]:
    if not approves(verdict) or is_retrospective(request):
        return []
    rest = [each for each in others if each.metadata.name != request.metadata.name]
    found = standing_refusals(request.spec.targets, rest)
    if verdict is not RequestVerdict.APPROVED:
        found = [each for each in found if each.entry.verdict is RequestVerdict.REVOKED]
    return found[::-1]


def with_lifts(
    checked: Checked,
    request: Declared,
    verdict: RequestVerdict | ExceptionVerdict,
    others: Iterable[RequestStanding],
    votes: Sequence[StoredEntry] = (),
) -> Checked:
    """What a decision says that it was checked against, with what an approval lifts: both halves
    of a review compute it, and where they differ something was refused or lifted in between."""
    if not approves(verdict):
        return checked
    names = [each.request.metadata.name for each in lifted_by(request, verdict, others, votes)]
    return checked.model_copy(update={"refusals": len(names), "lifts": names[:MAX_LIFTS]})


def warnings_of_approval(
    request: Declared,
    verdict: RequestVerdict | ExceptionVerdict,
    others: Iterable[RequestStanding],
    votes: Sequence[StoredEntry] = (),
) -> list[str]:
    """What a reviewer is told of that, before it is stored: in a dry run too."""
    others = list(others)
    every = lifted_by(request, verdict, others, votes)
    found, left = every[:MAX_LIFTS], every[MAX_LIFTS:]
    alone = "" if verdict is RequestVerdict.APPROVED else ", for this request alone"
    lines = [
        shortened(f"lifts what {_said(each)}{alone}: {_about(each)}", 2 * WARNING_WIDTH)
        for each in found[:MAX_LINES]
    ]
    if len(found) > MAX_LINES:
        lines.append(f"lifts {len(found) - MAX_LINES} more refusals, {len(found)} in all")
    if left:
        lines.append(
            f"does not lift {len(left)} earlier refusals of its images: one approval lifts "
            f"{MAX_LIFTS}; a later one for the same images lifts the rest"
        )
    return [*lines, *_unlifted(_refusals(request, verdict, others), verdict, votes)]


def _unlifted(
    refusals: Iterable[StandingRefusal],
    verdict: RequestVerdict | ExceptionVerdict,
    votes: Sequence[StoredEntry],
) -> list[str]:
    """That what was revoked since the first of several approvals goes on being denied."""
    first = _first(verdict, votes)
    if first is None:
        return []
    revoked = [each for each in refusals if each.entry.verdict is RequestVerdict.REVOKED]
    rest = [each for each in revoked if not _knew(first, each)]
    return [
        f"does not lift what {_said(each)}: the first approval did not know of it; reject this "
        "one, and declare other content to have it approved anew"
        for each in rest[:1]
    ]


def _first(
    verdict: RequestVerdict | ExceptionVerdict, votes: Sequence[StoredEntry]
) -> StoredEntry | None:
    return votes[0] if votes and isinstance(verdict, RequestVerdict) else None


def _knew(first: StoredEntry, refusal: StandingRefusal) -> bool:
    return lifts(first, refusal.request.metadata.name, refusal.entry.at)


def _said(refusal: StandingRefusal) -> str:
    entry = refusal.entry
    who = shortened(entry.author.username, 100)
    name = refusal.request.metadata.name
    return f"{who} {entry.verdict.lower()} at {rfc3339(entry.at)} under request {name}"


def _about(refusal: StandingRefusal) -> str:
    workload, image = refusal.pairs[0]
    more = f" and {len(refusal.pairs) - 1} more" if len(refusal.pairs) > 1 else ""
    because = f" ({refusal.entry.rationale})" if refusal.entry.rationale else ""
    return f"{workload}: {shortened(image, 100)}{more}{because}"
