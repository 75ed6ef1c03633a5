# SPDX-License-Identifier: Apache-2.0
"""What an approval is about to lift: its reviewer may not have heard of what was refused."""

from collections.abc import Iterable

from cabgate.api.base import rfc3339
from cabgate.api.exception import ExceptionVerdict
from cabgate.api.request import RequestVerdict
from cabgate.api.stored import Declared
from cabgate.api.types import MAX_LIFTS, Checked
from cabgate.gate.composing import WARNING_WIDTH, shortened
from cabgate.lifecycle.history.precedent import StandingRefusal, standing_refusals
from cabgate.lifecycle.state.standing import RequestStanding
from cabgate.lifecycle.state.states import is_retrospective
from cabgate.review.reviewers import approves

MAX_LINES = 10
"""Refusals that a warning lists: of more, the API server would cut each short."""


def lifted_by(
    request: Declared,
    verdict: RequestVerdict | ExceptionVerdict,
    others: Iterable[RequestStanding],
) -> list[StandingRefusal]:
    """The refusals that a person's approval of a request, or of an exception for it, lifts for its
    images; the latest first. A rejection is lifted by an approval without conditions alone.

    `others` are the requests of the namespace that name one of its workloads.
    """
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
) -> Checked:
    """What a decision says that it was checked against, with what an approval lifts: both halves
    of a review compute it, and where they differ something was refused or lifted in between."""
    if not approves(verdict):
        return checked
    names = [each.request.metadata.name for each in lifted_by(request, verdict, others)]
    return checked.model_copy(update={"refusals": len(names), "lifts": names[:MAX_LIFTS]})


def warnings_of_approval(
    request: Declared,
    verdict: RequestVerdict | ExceptionVerdict,
    others: Iterable[RequestStanding],
) -> list[str]:
    """What a reviewer is told of that, before it is stored: in a dry run too."""
    every = lifted_by(request, verdict, others)
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
    return lines


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
