# SPDX-License-Identifier: Apache-2.0
"""What the operator may write: the webhook recomputes all of it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import cast

from cabgate.api.changepolicy import ChangePolicy
from cabgate.api.exception import CABException, ExceptionVerdict
from cabgate.api.intent import DeploymentIntent
from cabgate.api.request import (
    CABRequest,
    Provenance,
    RequestDecision,
    RequestState,
    RequestVerdict,
)
from cabgate.api.riskmodel import RiskModel
from cabgate.api.selectable import NoneHolds
from cabgate.api.types import Author, AuthorType
from cabgate.lifecycle.history.precedent import standing_verdict
from cabgate.lifecycle.limits.capacity import lacking
from cabgate.lifecycle.requests.assessment import floors_now
from cabgate.lifecycle.requests.copied_labels import MAX_REQUEST_LABELS, copied_labels
from cabgate.lifecycle.requests.endings import ended_by
from cabgate.lifecycle.requests.opening import is_current, request_for
from cabgate.lifecycle.state.columns import listed_submitters, listed_targets
from cabgate.lifecycle.state.quorum import counted
from cabgate.lifecycle.state.requirements import check_known
from cabgate.lifecycle.state.standing import RequestStanding, WholeRequest, standing_of
from cabgate.lifecycle.state.states import (
    APPROVED_STATES,
    DECIDED_STATES,
    REFUSED_STATES,
    expires_at,
    next_exception_state,
    state_after,
    state_of,
    with_entry,
)
from cabgate.review.identity import User
from cabgate.review.races import own_approver
from cabgate.review.review import Entry
from cabgate.review.submitters import is_decided
from cabgate.risk.evidence import evidence_digest
from cabgate.text.refusal import Refusal, RefusalReason

SYSTEM_CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far the operator's clock may be from the webhook's: more than machines drift, less than
would let it move a decision to another day."""


def check_created(
    request: CABRequest,
    intent: DeploymentIntent | None,
    others: Sequence[RequestStanding],
    model: RiskModel | NoneHolds,
    provenance: Sequence[Provenance] = (),
    *,
    template_asked: bool = False,
    policy: ChangePolicy | NoneHolds | None = None,
    ring: int | None = None,
) -> None:
    """Raise `Refusal` unless a new request is exactly what its live intent asks for.

    `others` are the requests of the namespace that name one of its workloads; `model` is the risk
    model that holds for it; `provenance` says who speaks for the evidence of the intent,
    `template_asked` whether its namespace asks for approvals that say what the containers do;
    `policy` is the change policy that holds for it, `ring` that of the namespace now; None where
    that is not known.
    """
    check_known(request)
    if intent is None:
        raise _wrong("spec.intentRef.name", "no such DeploymentIntent")
    standing = standing_verdict(request.spec.evidence_digest, others)
    if standing is not None:
        state = standing.state
        raise _wrong("spec.evidenceDigest", f"request {standing.metadata.name} for it is {state}")
    if isinstance(model, NoneHolds):
        raise _wrong("spec.assessment.riskModel", f"nothing can be scored: {model.message}")
    if isinstance(policy, NoneHolds):
        raise _wrong("spec.terms", f"nobody knows who has to approve: {policy.message}")
    if ring is not None and request.spec.ring != ring:
        raise _wrong("spec.ring", f"must be {ring}, that of its namespace now")
    asked_for = request_for(
        *(intent, request.spec.ring, others, model),
        provenance=provenance,
        template_asked=template_asked,
        policy=policy,
    )
    expected = _as_applied(asked_for, request)
    if request.metadata.name != expected.metadata.name:
        raise _wrong("metadata.name", f"must be {expected.metadata.name}")
    # Which labels an installation copies the operator is told; here, that none says anything else.
    repeated = copied_labels(intent.metadata.labels, request.metadata.labels)
    if dict(request.metadata.labels) != repeated | dict(expected.metadata.labels):
        raise _wrong(
            "metadata.labels",
            "must name each target, and beside that repeat labels of the live intent, none of a "
            f"tool and {MAX_REQUEST_LABELS} at most",
        )
    for name, field in type(request.spec).model_fields.items():
        if getattr(request.spec, name) != getattr(expected.spec, name):
            raise _wrong(
                f"spec.{field.alias}", f"is not what the live intent {intent.metadata.name} says"
            )


def _as_applied(expected: CABRequest, request: CABRequest) -> CABRequest:
    """The expected request with what the other says of the tool that applies its intent: that is
    for messages alone, an older operator does not say it, and it changes while we look."""
    reference, said = expected.spec.intent_ref, request.spec.intent_ref
    if reference is None or said is None:
        return expected
    reference = reference.model_copy(update={"applied_by": said.applied_by})
    spec = expected.spec.model_copy(update={"intent_ref": reference})
    return expected.model_copy(update={"spec": spec})


def check_request_status(
    old: CABRequest,
    new: CABRequest,
    user: User,
    *,
    current: bool,
    model: RiskModel | None,
    now: datetime,
    intent: DeploymentIntent | None = None,
    others: Sequence[RequestStanding] = (),
    provenance: Sequence[Provenance] = (),
) -> None:
    """Raise `Refusal` unless the operator's write of a request's status is legal.

    `current` says whether it is still wanted (`is_wanted` of `lifecycle.requests.opening`); `model`
    is the one that it was scored with, None if that is gone; `intent` is the live one; `others`
    are the requests of the namespace that name one of its workloads, needed where the write says
    what rests on them (`rests_on_others`), and `provenance`, who speaks for the evidence of its
    intent, where it approves by score.
    """
    check_known(old)
    state, before = state_of(old), old
    for entry in _added_by_system(old.status.decisions, new.status.decisions, user, now):
        verdict = RequestVerdict(entry.verdict)
        if entry.evidence_digest != old.spec.evidence_digest:
            raise _wrong("status.decisions", "is on other evidence than the request's")
        following = state_after(before, cast("RequestDecision", entry))
        if following is None:
            raise _wrong("status.decisions", f"{verdict} is not legal in state {state}")
        if verdict is RequestVerdict.SUPERSEDED:
            _check_superseded(before, intent, others, current=current)
        else:
            taken_back = state in APPROVED_STATES and verdict is RequestVerdict.REOPENED
            if taken_back:
                _check_taken_back(WholeRequest.of(old), intent)
            else:
                _check_wanted(old, verdict, current=current)
        if verdict is RequestVerdict.AUTO_APPROVED:
            _check_recomputes(old, model, others, provenance)
        before = with_entry(before, entry)
        full = lacking(before, state, following)
        if full:
            raise _wrong("status.decisions", full)
        state = following
    if new.status.review != old.status.review:
        raise _wrong("status.review", "belongs to the reviewer")
    if new.status.state != state:
        raise _wrong("status.state", f"must be {state}, as the decisions say")
    shown = (new.status.targets, new.status.submitters)
    # A release that does not know these fields leaves them out.
    if shown not in ((None, None), (listed_targets(old.spec.targets), listed_submitters(old.spec))):
        raise _wrong("status.targets", "must name, with submitters, whom and what the spec names")
    standing = standing_of(new)
    _check_shown(new, standing)
    _check_noticed(old, standing, intent)
    _check_asked(old.status.asked_at, new.status.asked_at, now)


def _check_shown(new: CABRequest, standing: RequestStanding) -> None:
    if new.status.approvals not in (None, counted(new, standing.votes, standing.opened_at)):
        raise _wrong("status.approvals", "must be what the decisions say")
    if (new.status.taken_at, new.status.decided_at) != (standing.taken_at, standing.decided_at):
        raise _wrong("status.decidedAt", "must be, with takenAt, what the decisions say")


def _check_noticed(
    old: CABRequest, standing: RequestStanding, intent: DeploymentIntent | None
) -> None:
    """Others go by it that an approval was noticed: it is decided then, and is none to be taken
    back."""
    if not standing.noticed:
        return
    if standing.state not in DECIDED_STATES:
        raise _wrong("status.conditions", f"say that it is decided, and it is {standing.state}")
    approver = own_approver(WholeRequest.of(old), intent)
    if approver and standing.is_approved:
        raise _wrong(
            "status.conditions",
            f"{approver} approved it, and submitted or asked by now: it is to be taken back",
        )


def _check_asked(old: datetime | None, new: datetime | None, now: datetime) -> None:
    """Retention goes by it: it moves to the present alone. A release that does not know it leaves
    what stands."""
    if new != old and (new is None or abs(new - now) > SYSTEM_CLOCK_TOLERANCE):
        raise _wrong("status.askedAt", "must be the present time, where it changes")


def approves_by_score(old: CABRequest, new: CABRequest) -> bool:
    """Whether a write of a request's status adds an approval by score."""
    return RequestVerdict.AUTO_APPROVED in _verdicts_added(old, new)


def rests_on_others(old: CABRequest, new: CABRequest) -> bool:
    """Whether a write of a request's status says what other requests have a part in: that it is
    approved by score, or that such an approval ends."""
    ends = state_of(old) is RequestState.AUTO_APPROVED and RequestVerdict.SUPERSEDED
    return approves_by_score(old, new) or ends in _verdicts_added(old, new)


def _verdicts_added(old: CABRequest, new: CABRequest) -> list[RequestVerdict]:
    return [entry.verdict for entry in new.status.decisions[len(old.status.decisions) :]]


def _check_superseded(
    request: CABRequest,
    intent: DeploymentIntent | None,
    others: Sequence[RequestStanding],
    *,
    current: bool,
) -> None:
    if current:
        raise _wrong("status.decisions", "the intent still asks for this request")
    whole = WholeRequest.of(request)
    approved = whole.standing.state is RequestState.AUTO_APPROVED
    if approved and ended_by(whole, intent, others) is None:
        raise _wrong(
            "status.decisions",
            "an approval by score ends where its live intent declares other evidence for every "
            "image that it names, in a request that waits to be decided or is, and nowhere else",
        )


def _check_wanted(request: CABRequest, verdict: RequestVerdict, *, current: bool) -> None:
    if not current:
        raise _wrong("status.decisions", "the intent does not ask for this request now")
    if verdict is RequestVerdict.GLASS_BROKEN and request.status.decisions:
        raise _wrong("status.decisions", "that the glass was broken is said first, and once")


def takes_back(old: CABException, new: CABException) -> bool:
    """Whether a write of an exception's status takes its approval back."""
    added = new.status.decisions[len(old.status.decisions) :]
    return any(entry.verdict is ExceptionVerdict.REOPENED for entry in added)


def _check_taken_back(
    subject: WholeRequest | CABException,
    intent: DeploymentIntent | None,
    request: CABRequest | None = None,
) -> None:
    """Raise `Refusal` unless who approved a request, or an exception for `request`, stands in its
    live intent."""
    if not own_approver(subject, intent, request):
        raise _wrong(
            "status.decisions",
            "an approval is taken back only where its author submitted or asked, and before it was "
            "noticed",
        )


def _check_recomputes(
    request: CABRequest,
    model: RiskModel | None,
    others: Sequence[RequestStanding],
    provenance: Sequence[Provenance],
) -> None:
    """Raise `Refusal` unless nothing holds against an approval by score as things stand: score,
    gate and digest follow from the frozen evidence, and no floor asks for a person."""
    floors = floors_now(request, others, model, provenance)
    if floors:
        shown = "; ".join(f"{floor.name}: {floor.explanation}" for floor in floors)
        raise _wrong("status.decisions", f"a person decides on this request now: {shown}")


def check_exception_status(
    old: CABException,
    new: CABException,
    user: User,
    now: datetime,
    request: CABRequest | None = None,
    intent: DeploymentIntent | None = None,
) -> None:
    """Raise `Refusal` unless the operator's write of an exception's status is legal.

    `request` is the one that it is for and `intent` the live one of that; needed where the write
    takes an approval back (`takes_back`).
    """
    history = old
    for entry in _added_by_system(old.status.decisions, new.status.decisions, user, now):
        # Neither the operator's clock nor ours alone ends an exception early.
        at = min(entry.at, now)
        before = state_of(history, min(at, _just_before(old)))
        verdict = ExceptionVerdict(entry.verdict)
        if next_exception_state(old, before, verdict, entry.author.type, at) is None:
            raise _wrong("status.decisions", f"{verdict} is not legal in state {before}")
        if verdict is ExceptionVerdict.REOPENED:
            _check_taken_back(old, intent, request)
        history = with_entry(history, entry)
    state = state_of(history, now)
    if new.status.review != old.status.review:
        raise _wrong("status.review", "belongs to the reviewer")
    if new.status.state != state:
        raise _wrong("status.state", f"must be {state}, as decisions and time say")
    if new.status.expires_at != expires_at(history):
        raise _wrong(
            "status.expiresAt", "must be creation plus durationDays, or the earliest until"
        )


def check_intent_status(intent: DeploymentIntent, request: CABRequest | None) -> None:
    """Raise `Refusal` if the operator's status of an intent tells of a decision that nobody made:
    with it, the list of submitters would start anew.

    `request` is the live request that the status names.
    """
    status = intent.status
    if status.observed_generation > intent.metadata.generation:
        raise _wrong("status.observedGeneration", "is ahead of metadata.generation")
    if not is_decided(intent):
        return
    if request is None or not _stands_for(request, intent) or state_of(request) != status.state:
        raise _wrong("status.state", f"{status.state} is not what the intent's request says")


def _stands_for(request: CABRequest, intent: DeploymentIntent) -> bool:
    """Whether a request says what became of an intent: its own, or a refusal of the same content
    under another name."""
    refused = request.spec.evidence_digest == evidence_digest(intent.spec) and (
        state_of(request) in REFUSED_STATES
    )
    return refused or is_current(request, intent)


def _just_before(exception: CABException) -> datetime:
    return expires_at(exception) - timedelta(seconds=1)


def _added_by_system(
    old: Sequence[Entry], new: Sequence[Entry], user: User, now: datetime
) -> Sequence[Entry]:
    if list(new[: len(old)]) != list(old):
        raise _wrong("status.decisions", "is append-only")
    added = new[len(old) :]
    for sequence, entry in enumerate(added, start=len(old) + 1):
        if entry.sequence != sequence:
            raise _wrong("status.decisions", "is numbered without gaps")
        me = Author(type=AuthorType.SYSTEM, username=user.username)
        if entry.author != me or entry.signature is not None:
            raise _wrong("status.decisions", "the operator decides in its own name alone")
        if abs(entry.at - now) > SYSTEM_CLOCK_TOLERANCE:
            raise _wrong("status.decisions", "the operator's clock is far from the webhook's")
    return added


def _wrong(field: str, message: str) -> Refusal:
    return Refusal(RefusalReason.WRONG_CONTENT, message, field)
