# SPDX-License-Identifier: Apache-2.0
"""Who is needed for what waits, and why somebody cannot be the one: by the rules that the webhook
decides by, as far as it is known what they go by."""

from datetime import datetime

from cabgate.api.values import ExceptionVerdict, RequestState, RequestVerdict, Tier
from cabgate.lifecycle.state.escalation import level
from cabgate.lifecycle.state.exception_needs import counted_of
from cabgate.lifecycle.state.quorum import counted, still_needed
from cabgate.lifecycle.state.standing import ExceptionStanding, RequestStanding
from cabgate.lifecycle.state.states import WAITING_STATES, is_retrospective
from cabgate.review.identity import SERVICE_ACCOUNTS, Machines, User
from cabgate.review.reviewers import Involved, ReviewFacts, check_reviewer, needs_requester
from cabgate.text.inert import inert
from cabgate.text.refusal import Refusal, RefusalReason

CAB_MEMBER = "CAB member"
SECURITY_REVIEWER = "security reviewer"
TEAM_EXCEPTION = "team: an exception, or better evidence"
TEAM_REQUESTER = "team: spec.requester, a person"

SUBMITTED = "yours: you submitted"
ASKED = "yours: you are named as requester"
MACHINE = "not you: you are a machine"


def needed_for(
    standing: RequestStanding,
    subject: Involved,
    now: datetime,
    machines: Machines = SERVICE_ACCOUNTS,
) -> str:
    """Who has to act for a request to go on; empty where it waits for nobody."""
    if standing.state is RequestState.EXCEPTION_REQUIRED:
        return TEAM_EXCEPTION
    if standing.state in WAITING_STATES:
        if needs_requester(_facts(subject, machines)):
            return TEAM_REQUESTER
        if standing.spec.assessment.gate is Tier.AUTO_APPROVE:
            return f"system, else {CAB_MEMBER}"
        votes = standing.votes, standing.opened_at
        lacking = still_needed(standing, *votes, now)
        if lacking:
            reached = level_of(standing, now)
            escalated = f", escalated to level {reached}" if reached else ""
            return f"{CAB_MEMBER}: {lacking} ({counted(standing, *votes)}){escalated}"
        taken = standing.taken_by if standing.state is RequestState.UNDER_REVIEW else None
        return CAB_MEMBER + (f", taken by {inert(taken.author.username)}" if taken else "")
    if standing.unattested:
        names = ", ".join(inert(each.name) for each in standing.unattested)
        return f"{CAB_MEMBER}: attest {names}"
    return ""


def level_of(standing: RequestStanding, now: datetime) -> int:
    """How far a request has escalated that waits for its approvals; 0 where it does not wait."""
    if (
        standing.state not in WAITING_STATES
        or standing.spec.assessment.gate is not Tier.MANUAL_REVIEW
    ):
        return 0
    return level(standing.spec.terms, standing.opened_at, now)


def needed_for_exception(
    exception: ExceptionStanding, subject: Involved | None, machines: Machines = SERVICE_ACCOUNTS
) -> str:
    """Who has to act for an exception that waits to go on, and how many of several approvals are
    in; `subject` is None where its request is not known."""
    if subject is not None and needs_requester(_facts(subject, machines)):
        return TEAM_REQUESTER
    counted = counted_of(exception.spec, exception.votes)
    return SECURITY_REVIEWER + (f" ({counted})" if counted else "")


def why_not(viewer: User | None, subject: Involved, machines: Machines = SERVICE_ACCOUNTS) -> str:
    """Why somebody can give no approval, whatever rights they have; empty where nothing that is
    known speaks against it."""
    if viewer is None:
        return ""
    verdict: RequestVerdict | ExceptionVerdict = RequestVerdict.APPROVED
    plural = "cabrequests"
    if subject.exception is not None:
        verdict, plural = ExceptionVerdict.APPROVED, "cabexceptions"
    try:
        check_reviewer(viewer, verdict, plural, _facts(subject, machines))
    except Refusal as refusal:
        if refusal.reason is RefusalReason.MACHINE:
            return MACHINE
        if refusal.reason is RefusalReason.SELF_APPROVAL:
            return SUBMITTED if _submitted(viewer, subject) else ASKED
    return ""


def is_own(viewer: User | None, subject: Involved) -> bool:
    """Whether somebody submitted it, machines too, or is named as its requester."""
    return viewer is not None and (
        _submitted(viewer, subject) or any(viewer.may_be(name) for name in subject.requesters)
    )


def _submitted(viewer: User, subject: Involved) -> bool:
    return any(viewer.is_same_as(each) for each in subject.submitters)


def _facts(subject: Involved, machines: Machines) -> ReviewFacts:
    """What is known without asking for anybody's rights, and without the present intent unless
    `subject` has it."""
    return ReviewFacts(
        submitters=subject.submitters,
        requesters=subject.requesters,
        holds_verb=True,
        impersonates=None,
        current=True,
        glass=is_retrospective(subject.request),
        machines=machines,
    )
