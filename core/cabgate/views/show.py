# SPDX-License-Identifier: Apache-2.0
"""All that somebody needs who decides on a request, or on an exception for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cabgate.api.base import rfc3339
from cabgate.api.exception import CABException, ExceptionDecision, ExceptionState
from cabgate.api.intent import DeploymentIntent
from cabgate.api.request import Provenance, RequestDecision
from cabgate.api.types import ApprovalCondition
from cabgate.lifecycle.limits.constraints import limits_of
from cabgate.lifecycle.limits.promotion import EarlierRings, override_text
from cabgate.lifecycle.state.columns import listed_submitters
from cabgate.lifecycle.state.standing import (
    ExceptionStanding,
    RequestStanding,
    WholeRequest,
    exception_admits,
)
from cabgate.lifecycle.state.states import expires_at, state_of
from cabgate.lifecycle.state.validity import valid_until
from cabgate.review.identity import SERVICE_ACCOUNTS, Machines, User
from cabgate.review.reviewers import NOT_CURRENT, ReviewSubject
from cabgate.risk.improvements import improvements
from cabgate.rollout.targets import Workload
from cabgate.text.inert import inert
from cabgate.views.compare import Comparison, leaves
from cabgate.views.deciders import needed_for, needed_for_exception, why_not
from cabgate.views.queue import summary_of
from cabgate.views.renewals import RenewalView, renewal_view
from cabgate.views.rings import RingView, ring_views
from cabgate.views.steps import NextStep, command_of, next_steps

UNSEEN = "the intent changed, and the operator has not looked at it since"


@dataclass(frozen=True, slots=True)
class TargetView:
    """A workload and the images that an approval covers."""

    workload: str
    images: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EvidenceView:
    """A part of the evidence: `testResults`, and what it says."""

    part: str
    says: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FactorView:
    """A factor of the score."""

    name: str
    contribution: str
    observed: str
    explanation: str


@dataclass(frozen=True, slots=True)
class SignedView:
    """Who speaks for a part of the evidence."""

    part: str
    state: str
    """Verified, Declared or Contradicted."""
    says: str


@dataclass(frozen=True, slots=True)
class DecisionView:
    """An entry of the decisions."""

    verdict: str
    by: str
    at: str
    rationale: str
    about: tuple[str, ...]
    """Conditions that it sets or attests, images that it revokes."""


@dataclass(frozen=True, slots=True)
class ExceptionView:
    """An exception for a request."""

    name: str
    uid: str
    """Which no other one of its name has: its team may delete it and create another."""
    state: str
    reason: str
    controls: tuple[str, ...]
    limits: tuple[str, ...]
    """What it admits no rollout beyond, as its team limits it; its reviewer's stand with the
    decision."""
    ends: str
    submitters: tuple[str, ...]
    decisions: tuple[DecisionView, ...]


@dataclass(frozen=True, slots=True)
class RequestView:
    """A request on one screen."""

    namespace: str
    name: str
    uid: str
    state: str
    opened: str
    summary: str
    submitters: str
    requesters: tuple[str, ...]
    correlation_id: str
    ring: str
    targets: tuple[TargetView, ...]
    evidence: tuple[EvidenceView, ...]
    missing: tuple[str, ...]
    signed: tuple[SignedView, ...]
    """Empty where nobody signed anything: all of it is declared."""
    evidence_digest: str
    score: str
    tier: str
    factors: tuple[FactorView, ...]
    floors: tuple[str, ...]
    improvements: str
    """What the next lower tier would take; empty where there is none."""
    conditions: tuple[str, ...]
    """Until when its approval admits new rollouts, where its terms say so; and its conditions, with
    what is still to be attested."""
    decisions: tuple[DecisionView, ...]
    exceptions: tuple[ExceptionView, ...]
    renewals: tuple[RenewalView, ...]
    """The exceptions that were approved before for one of its workloads, the oldest first: what is
    asked for again and again is no exception."""
    changes: Comparison | None
    """Against the one that was approved last; None where nobody looked."""
    needed: str
    """Who has to act; empty where it waits for nobody."""
    yours: str
    """Why the one who looks cannot decide it; empty where nothing is known against it."""
    outdated: str
    """Why nobody can approve it any more; empty where nothing is known against it."""
    rings: tuple[RingView, ...]
    """Where its release stands in the rings that come before; empty where none does."""
    steps: tuple[NextStep, ...]
    """What brings it on, for whoever is needed."""
    next: tuple[str, ...]
    """The same as commands."""


def show(
    request: WholeRequest,
    exceptions: Sequence[CABException],
    now: datetime,
    *,
    intent: DeploymentIntent | None = None,
    intent_known: bool = False,
    viewer: User | None = None,
    changes: Comparison | None = None,
    exception: CABException | None = None,
    machines: Machines = SERVICE_ACCOUNTS,
    renewals: Sequence[ExceptionStanding] = (),
    earlier_rings: EarlierRings | None = None,
) -> RequestView:
    """A request as somebody sees it.

    `intent` is the live one; where nobody could read it `intent_known` is false, and nothing is
    said about it. `exception` is the one that is looked at, if it is one; `exceptions` are all of
    the namespace, or those for the request: one that waits is what is decided. `renewals` are those
    of before, see `cabgate.lifecycle.history.renewals`. `earlier_rings` say what became of its
    release in the rings before; None where nobody could read that.
    """
    stored, standing = request.stored, request.standing
    spec, assessment = stored.spec, stored.spec.assessment
    asked = _asked(request, exceptions, exception, now)
    subject = ReviewSubject(stored, intent, exception or next(iter(asked.waiting), None))
    needed = _needed(request, asked, subject, now, machines)
    better = improvements(assessment)
    # To attest is about an approval that stands, also when the intent has moved on.
    outdated = _outdated(subject) if intent_known and needed and not standing.unattested else ""
    steps = next_steps(request, asked.waiting, asked.active, needed, outdated)
    return RequestView(
        namespace=inert(stored.metadata.namespace),
        name=inert(request.name),
        uid=inert(stored.metadata.uid),
        state=standing.state,
        opened=_moment(stored.metadata.creation_timestamp),
        summary=inert(summary_of(stored.spec)),
        submitters=inert(listed_submitters(spec)),
        requesters=tuple(inert(name) for name in sorted(subject.requesters)),
        correlation_id=inert(spec.correlation_id),
        ring=str(spec.ring),
        targets=tuple(
            TargetView(inert(str(Workload.of(each))), tuple(inert(image) for image in each.images))
            for each in spec.targets
        ),
        evidence=_evidence(request),
        missing=tuple(inert(each) for each in assessment.missing),
        signed=tuple(_signed(each) for each in assessment.provenance),
        evidence_digest=spec.evidence_digest,
        score=assessment.score,
        tier=assessment.gate,
        factors=tuple(
            FactorView(
                inert(each.name), each.contribution, inert(each.observed), inert(each.explanation)
            )
            for each in assessment.factors
        ),
        floors=tuple(
            f"{inert(each.name)}: {inert(each.explanation)}" for each in assessment.floors
        ),
        improvements=inert(str(better)) if better else "",
        conditions=(*_validity(standing), *(_condition(e, request) for e in _conditions(request))),
        decisions=tuple(decision_view(each) for each in stored.status.decisions),
        exceptions=tuple(_exception(each, now) for each in asked.shown),
        renewals=tuple(
            renewal_view(each, now)
            for each in renewals
            if each.metadata.name not in {shown.metadata.name for shown in asked.shown}
        ),
        changes=changes,
        needed=needed,
        yours=why_not(viewer, subject, machines),
        outdated=outdated,
        rings=ring_views(request, earlier_rings, now),
        steps=steps,
        next=tuple(command_of(each, request) for each in steps),
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """The exceptions for a request."""

    shown: Sequence[CABException]
    waiting: Sequence[CABException]
    """Those of them that somebody is to decide."""
    active: Sequence[CABException]
    """Those that admit what the request asks for, shown or not."""


def _asked(
    request: WholeRequest,
    exceptions: Sequence[CABException],
    looked_at: CABException | None,
    now: datetime,
) -> _Asked:
    found = {
        each.metadata.name: each
        for each in (*exceptions, *([looked_at] if looked_at is not None else []))
        if each.spec.request_ref.name == request.name
    }
    shown = [looked_at] if looked_at is not None else list(found.values())
    return _Asked(
        shown,
        [each for each in shown if state_of(each, now) is ExceptionState.PENDING],
        [
            each
            for each in found.values()
            if exception_admits(ExceptionStanding.of(each), request.standing, now)
        ],
    )


def _needed(
    request: WholeRequest,
    asked: _Asked,
    subject: ReviewSubject,
    now: datetime,
    machines: Machines,
) -> str:
    """Who has to act: as in the queue, an exception that is active waits for nobody."""
    if asked.waiting:
        return needed_for_exception(ExceptionStanding.of(asked.waiting[0]), subject, machines)
    return "" if asked.active else needed_for(request.standing, subject, now, machines)


def _outdated(subject: ReviewSubject) -> str:
    if not subject.current:
        return NOT_CURRENT
    return UNSEEN if subject.unseen else ""


def _evidence(request: WholeRequest) -> tuple[EvidenceView, ...]:
    found = []
    for part, value in request.stored.spec.evidence.to_dict().items():
        items = value if isinstance(value, list) else [value]
        for item in items:
            says = tuple(
                f"{inert(path)} {inert(leaf)}" if path else inert(leaf)
                for path, leaf in leaves(item)
            )
            found.append(EvidenceView(inert(part), says))
    return tuple(found)


def _signed(found: Provenance) -> SignedView:
    parts = []
    if found.signer:
        parts.append(f"signed by {found.signer}, {inert(found.created_at or '')}")
    if found.commit:
        parts.append(f"commit {found.commit}")
    if found.why:
        parts.append(found.why)
    return SignedView(found.section, found.state, inert("; ".join(parts)))


def _conditions(request: WholeRequest) -> Sequence[ApprovalCondition]:
    """Those that hold, of every approval that counts."""
    holding = request.standing.conditions
    stored = [each for e in request.stored.status.decisions for each in e.conditions]
    return list({each.name: each for each in stored if each in holding}.values())


def _validity(request: RequestStanding) -> list[str]:
    """Until when its approval admits new rollouts, in a line; none where that is for ever."""
    end = valid_until(request)
    return [] if end is None else [f"valid for new rollouts until {rfc3339(end)}"]


def _condition(condition: ApprovalCondition, request: WholeRequest) -> str:
    """A condition in a line: what it asks, its window, and whether it is to be attested."""
    parts = [f"{inert(condition.name)}: {inert(condition.description)}"]
    if condition.not_before:
        parts.append(f"from {rfc3339(condition.not_before)}")
    if condition.not_after:
        parts.append(f"until {rfc3339(condition.not_after)}")
    if condition.needs_attestation:
        waits = condition.name in {each.name for each in request.standing.unattested}
        parts.append("to be attested" if waits else "attested")
    return "; ".join(parts)


def decision_view(entry: RequestDecision | ExceptionDecision) -> DecisionView:
    """An entry of the decisions as it is shown."""
    about: list[str] = []
    if isinstance(entry, RequestDecision):
        about += [f"{inert(c.name)}: {inert(c.description)}" for c in entry.conditions]
        about += [inert(entry.condition)] if entry.condition else []
        about += [inert(image) for image in entry.images]
        about += [override_text(inert(name)) for name in entry.overrides]
    else:
        about += limits_of(entry.constraints)
    return DecisionView(
        verdict=entry.verdict,
        by=inert(entry.author.username),
        at=rfc3339(entry.at),
        rationale=inert(entry.rationale),
        about=tuple(about),
    )


def _exception(exception: CABException, now: datetime) -> ExceptionView:
    spec = exception.spec
    return ExceptionView(
        name=inert(exception.metadata.name),
        uid=inert(exception.metadata.uid),
        state=state_of(exception, now),
        reason=inert(spec.reason),
        controls=tuple(inert(each) for each in spec.compensating_controls),
        limits=tuple(limits_of(spec.constraints)),
        ends=rfc3339(expires_at(exception)),
        submitters=tuple(inert(each.username) for each in spec.submitted_by),
        decisions=tuple(decision_view(each) for each in exception.status.decisions),
    )


def _moment(moment: datetime | None) -> str:
    return rfc3339(moment) if moment is not None else ""
