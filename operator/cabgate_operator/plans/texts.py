# SPDX-License-Identifier: Apache-2.0
"""What the operator says in conditions, rationales and Events."""

from collections.abc import Sequence
from datetime import datetime

from cabgate.api.base import rfc3339
from cabgate.api.exception import CABException, ExceptionState
from cabgate.api.intent import DeploymentIntent
from cabgate.api.request import CABRequest, Floor, RequestState
from cabgate.api.types import Tier
from cabgate.gate.commands import (
    approve_exception,
    approve_request,
    change_intent,
    edit_intent,
    show_request,
    write_exception,
)
from cabgate.gate.composing import MAX_BYTES, compose, sentence
from cabgate.gate.phrases import assessment_details, scored
from cabgate.lifecycle.limits.flapping import MAX_OPENED, MAX_REOPENED
from cabgate.lifecycle.limits.retention import KEPT_FOR
from cabgate.lifecycle.state.exception_needs import counted_of, meets
from cabgate.lifecycle.state.quorum import counted, still_needed
from cabgate.lifecycle.state.standing import ExceptionStanding, RequestStanding, exception_admits
from cabgate.lifecycle.state.states import (
    APPROVED_STATES,
    DECIDED_STATES,
    expires_at,
    is_retrospective,
)
from cabgate.review.identity import SERVICE_ACCOUNTS, Machines
from cabgate.rollout.appliers import tool_of
from cabgate.rollout.gated_targets import TargetProblem
from cabgate.text.refusal import RefusalReason
from cabgate.writes.exceptions import no_exception, without_exception

_SHORT = 600


def auto_approval(request: CABRequest) -> str:
    """Why the system approves."""
    assessment = request.spec.assessment
    model = assessment.risk_model
    return (
        f"Risk model {model.name} {model.version} asks for no review at score {assessment.score}, "
        "and no floor does: approved by score, without a person."
    )


def glass_broken(request: CABRequest) -> str:
    """What happened, where the glass was broken."""
    broken, target = request.spec.break_glass, request.spec.targets[0]
    if broken is None:
        raise ValueError(f"{request.metadata.name} was opened for no broken glass")
    who = broken.by[:_SHORT] or "Somebody (nobody knows who)"
    return compose(
        f"{who} broke the glass for {broken.ticket}: {broken.reason}",
        [
            f"{target.kind} {target.name} went past the gate; a CAB member who did not do it "
            "decides afterwards.",
            "That approves no later rollout: until an intent covers what runs, each further change "
            "breaks the glass again.",
            f"It runs {', '.join(target.images)}.",
        ],
    )


def breaks_cut(request: CABRequest) -> str:
    """Where a workload was broken so often that its annotations do not tell of each."""
    target = request.spec.targets[0]
    return compose(
        f"{target.kind} {target.name} was broken through more often than its annotations tell",
        [
            f"Breaks before that of request {request.metadata.name} may have left no request.",
            "The audit log of the API server has them: annotation "
            "break-glass-notice.cabgate.dev/broken.",
        ],
    )


def superseded(successor: str, *, deleted: bool) -> str:
    """Why the system supersedes; `successor` is the request that stands for what the intent
    declares now, empty if there is none."""
    if deleted:
        return "The intent was deleted before this request was decided."
    now = f"; request {successor} is for what it declares now" if successor else ""
    return f"The intent was changed before this request was decided{now}."


def approval_ended(successor: str) -> str:
    """Why an approval by score ends; `successor` is the request that stands for what the intent
    declares now."""
    return (
        "The intent declares other evidence for the same images, by which they are judged now, in "
        f"request {successor}."
    )


def still_admits(request: RequestStanding, asked: str) -> str:
    """What the reviewer of an approval is told where other evidence is declared for its images."""
    entry = request.verdict
    who = f" by {entry.author.username[:_SHORT]}" if entry else ""
    return compose(
        f"Request {request.metadata.name} was approved{who}, and still admits its images: their "
        f"intent declares other evidence for them now, in request {asked}.",
        [],
        "If what they declare changes your mind, have this approval revoked; see: "
        + show_request(request),
    )


def on_other_evidence(requests: Sequence[str], asked: str) -> str:
    """What is told beside Ready where an approval of other evidence admits the rollout."""
    return (
        f" This rests on an approval of other evidence than is declared now ({', '.join(requests)};"
        f" declared is {asked})."
    )


REOPENED = "The intent declares the content of this request again."
"""Why the system reopens."""


def taken_back(approver: str) -> str:
    """Why the system takes an approval back."""
    return (
        f"{approver[:_SHORT]} approved this and changed its intent, or was named as its requester, "
        "at the same moment. Nobody decides on their own: someone else has to approve it."
    )


EXPIRED = "The exception's time is over."
"""Why the system ends an exception."""


def name_taken(name: str) -> str:
    """What to do where the name of the wanted request is taken by another."""
    return (
        f"CABRequest {name} exists already and is about other content (its name holds only the "
        "first digits of a digest). Change any value of the evidence, such as a uri, and apply "
        "the intent again: that gives another name."
    )


def no_room(request: RequestStanding, why: str) -> str:
    """What to do where a request can take no further entry of the system."""
    return (
        f"CABRequest {request.metadata.name} is {request.state} and the system can say no more "
        f"of it: {why}. Change any value of the evidence, such as a uri, and apply the intent "
        "again: that opens another request."
    )


def reopened_too_often(name: str, moment: datetime) -> str:
    """What to say where a request was superseded and reopened too often to be reopened now."""
    return (
        f"CABRequest {name} was superseded and reopened {MAX_REOPENED} times within an hour, each "
        f"time with records that nobody can delete; it is reopened at {rfc3339(moment)}. See what "
        "changes the intent back and forth, or declare other evidence: that opens another request."
    )


def opened_too_often(moment: datetime) -> str:
    """What to say where too many requests were opened for one intent."""
    return (
        f"{MAX_OPENED} CABRequests were opened for this intent within an hour, each with records "
        f"that nobody can delete; the next is opened at {rfc3339(moment)}. See what changes the "
        "intent so often. What was approved before still admits its images."
    )


def used_up(moment: datetime) -> str:
    """What to say where a request for the same workload was refused just now for its budget."""
    return (
        f"{RefusalReason.BUDGET_USED_UP}: a request for one of its workloads was refused a moment "
        f"ago, since those there take all that they may; asked again at {rfc3339(moment)}. "
        "Delete intents for the same workload that nobody needs, or have what waits decided. What "
        "is approved still admits"
    )


def no_model(why: str) -> str:
    """What to say where no risk model holds for the namespace."""
    return (
        f"Nothing can be scored, so no CABRequest is opened: {why}. A cluster admin puts that "
        "right; the request is opened then."
    )


def no_policy(why: str) -> str:
    """What to say where nobody knows which change policy holds for the namespace."""
    return (
        f"Nobody knows who has to approve, so no CABRequest is opened: {why}. A cluster admin puts "
        "that right; the request is opened then."
    )


def not_gated(intent: DeploymentIntent, problems: Sequence[TargetProblem]) -> str:
    """What to do where targets of an intent cover nothing."""
    first, *others = problems
    meta = intent.metadata
    return compose(
        f"{first}.",
        [f"{problem}." for problem in others],
        f"Change the intent: {change_intent(meta.namespace, meta.name, tool_of(meta))}",
    )


def intent_gone(*, gone: bool) -> tuple[str, str]:
    """Reason and message of the condition that tells whether the intent of an approved request is
    gone."""
    if not gone:
        return "IntentIsThere", "Its intent is there."
    return (
        "IntentDeleted",
        f"Its intent is gone: this approval goes {KEPT_FOR.days} days later, and admits until "
        "then. To keep it, apply the intent again.",
    )


def refused(name: str, why: str) -> str:
    """What to say where the request could not be created."""
    return f"CABRequest {name} could not be created and is tried again: {why[:_SHORT]}"


def status_refused(name: str, why: str) -> str:
    """What to say where the status of the request could not be written."""
    return (
        f"The status of CABRequest {name} could not be written and is tried again: {why[:_SHORT]}"
    )


def about_request(
    request: RequestStanding,
    state: RequestState,
    machines: Machines = SERVICE_ACCOUNTS,
    held: Sequence[Floor] = (),
) -> str:
    """Where a request stands, why, and the next step.

    `held` is what keeps the system from approving it.
    """
    if state in DECIDED_STATES:
        return _decided(request, state)
    head = f"Request {request.metadata.name}, {scored(request)}: "
    details = assessment_details(request, machines)
    if state is RequestState.SUPERSEDED:
        return compose(
            head + "superseded, its intent was deleted or now says otherwise.",
            [],
            "If its content is declared again, it is opened again: " + edit_intent(request),
        )
    if state is RequestState.EXCEPTION_REQUIRED:
        return compose(
            head + "too risky to approve.",
            details,
            "Improve the evidence, or request an exception, which a security reviewer decides: "
            + write_exception(request),
        )
    by_score = request.spec.assessment.gate is Tier.AUTO_APPROVE
    if by_score and not held and state is RequestState.SUBMITTED:
        return head + "the system is about to approve it."
    votes = request.votes, request.opened_at
    lacking = still_needed(request, *votes)
    if lacking:
        waits = f"approvals {counted(request, *votes)}, lacking {lacking}."
    elif state is RequestState.UNDER_REVIEW:
        entry = request.taken_by
        who = f" by {entry.author.username[:_SHORT]}" if entry else ""
        waits = f"under review{who}."
    else:
        waits = "waits for a CAB member."
    return compose(
        head + waits,
        [*(f"{floor.explanation}." for floor in held), *details],
        "Someone who did not submit it approves with: " + approve_request(request),
    )


def _decided(request: RequestStanding, state: RequestState) -> str:
    head = f"Request {request.metadata.name}, {scored(request)}: {state}"
    entry = request.verdict
    if entry is None:
        return head
    who = "the system" if state is RequestState.AUTO_APPROVED else entry.author.username[:_SHORT]
    why = f": {entry.rationale}" if entry.rationale else ""
    next_step = ""
    if is_retrospective(request) and state in APPROVED_STATES:
        next_step = "It admits no later rollout. Declare what runs: " + edit_intent(request)
    if state in (RequestState.REJECTED, RequestState.REVOKED):
        next_step = "Declare new evidence: " + edit_intent(request)
    said = f"{head} by {who} at {rfc3339(entry.at)}{why}"
    return compose(sentence(said) if next_step else said, [], next_step)


def _votes(exception: ExceptionStanding) -> str:
    counted = counted_of(exception.spec, exception.votes)
    return f", with approvals {counted}" if counted else ""


def about_exception(
    exception: CABException,
    request: RequestStanding | None,
    state: ExceptionState,
    now: datetime,
    others: Sequence[RequestStanding] = (),
) -> tuple[str, str]:
    """Reason and message of an exception's condition; `others` are the requests that name one of
    the workloads of its request."""
    name, end = exception.metadata.name, rfc3339(expires_at(exception))
    wanted = exception.spec.request_ref.name
    if state is ExceptionState.EXPIRED:
        return "Expired", f"Exception {name} ended at {end}; it no longer admits anything."
    if state in (ExceptionState.REJECTED, ExceptionState.REVOKED):
        return state.value, f"Exception {name} was {state.value.lower()} and admits nothing."
    if request is None:
        return (
            "RequestNotFound",
            f"There is no CABRequest {wanted} in namespace {exception.metadata.namespace}. "
            "Write the exception anew with the name of one in spec.requestRef.name.",
        )
    refused = without_exception(request, others)
    if refused is not None:
        revoked = refused.state is RequestState.REVOKED
        head = f"Exception {name} admits nothing: "
        message = head + no_exception(refused, MAX_BYTES - len(head.encode()))
        return "RequestRevoked" if revoked else "ExceptionNotAllowed", message
    standing = ExceptionStanding.of(exception)
    if state is ExceptionState.PENDING:
        who = "neither submitted nor approved" if standing.votes else "did not submit"
        return "Pending", compose(
            f"Exception {name} waits for a security reviewer{_votes(standing)}; it would end at "
            f"{end}.",
            [],
            f"Someone who {who} it approves with: " + approve_exception(standing, request),
        )
    if not meets(exception.spec, request):
        return (
            "TermsNotMet",
            f"Exception {name} lacks what the change policy of request {wanted} asks of exceptions:"
            f" it admits nothing. Ask for another: {write_exception(request, standing)}",
        )
    if not exception_admits(standing, request, now):
        return (
            "RequestChanged",
            f"Request {wanted} is not the one that was reviewed when exception {name} was "
            f"approved: it admits nothing. Ask for another: {write_exception(request, standing)}",
        )
    limited = ", as far as its constraints go" if standing.constraints else ""
    return (
        "Approved",
        f"Exception {name} admits the rollout of request {wanted} until {end}{limited}.",
    )
