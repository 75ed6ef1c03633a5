# SPDX-License-Identifier: Apache-2.0
"""What calibration and replay need of a request, and no more: there are thousands of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, TypeVar

from cabgate.api.request import CABRequest
from cabgate.api.types import Tier
from cabgate.api.values import RequestState
from cabgate.lifecycle.state.standing import standing_of

T = TypeVar("T")


class Approval(StrEnum):
    """Who let a change through."""

    SCORE = "AutoApproved"
    PERSON = "Reviewed"
    NOBODY = "NotApproved"


class RequestKey(NamedTuple):
    """Which request it is."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Change:
    """A request as it was scored, and who approved it."""

    key: RequestKey
    opened: datetime | None
    score: int
    """In hundredths: 0 to 10000, of which 10000 is a score of 100.00."""
    tier: Tier
    """As the request has it, floors included."""
    risks: tuple[tuple[str, str], ...]
    """Each factor with its risk from 0 to 1, as they are written."""
    model: str
    """Name and version of the risk model, with the beginning of its digest."""
    approval: Approval
    """NotApproved: by an exception or past the gate, if it ran at all."""
    rejected: bool
    """Whether somebody said no to it, and nobody yes."""
    for_break: bool
    """Whether it reviews a broken glass: its rollout had no evidence, and so no score."""
    decisions: int
    """How many entries it has: of two copies the one with more is the newer."""


def hundredths(score: str) -> int:
    """A score with two places in hundredths."""
    whole, _, rest = score.partition(".")
    return int(whole) * 100 + int(rest)


def change_of(request: CABRequest) -> Change:
    """What is kept of a request."""
    spec, assessment = request.spec, request.spec.assessment
    standing = standing_of(request)
    states = {state for _, state in standing.history}
    approval = Approval.NOBODY
    if standing.person_approval is not None:
        approval = Approval.PERSON
    elif RequestState.AUTO_APPROVED in states:
        approval = Approval.SCORE
    model = assessment.risk_model
    return Change(
        key=RequestKey(request.metadata.namespace, request.metadata.name),
        opened=request.metadata.creation_timestamp,
        score=hundredths(assessment.score),
        tier=assessment.gate,
        risks=tuple((factor.name, factor.risk) for factor in assessment.factors),
        model=f"{model.name} {model.version} ({model.digest[:15]})",
        approval=approval,
        rejected=standing.state is RequestState.REJECTED,
        for_break=spec.break_glass is not None,
        decisions=len(request.status.decisions),
    )


def newest(items: Iterable[T], change: Callable[[T], Change]) -> list[T]:
    """Each request once, in the order of namespaces and names: of several copies, as exports of
    different days have them, the newest. `change` is what an item is about."""
    found: dict[RequestKey, T] = {}
    for item in items:
        key = change(item).key
        if key not in found or _age(change(item)) > _age(change(found[key])):
            found[key] = item
    return [found[key] for key in sorted(found)]


def _age(change: Change) -> tuple[str, int]:
    return (change.opened.isoformat() if change.opened else "", change.decisions)
