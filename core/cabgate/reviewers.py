# SPDX-License-Identifier: Apache-2.0
"""Who may decide."""

from collections.abc import Sequence
from dataclasses import dataclass

from cabgate.api.exception import ExceptionVerdict
from cabgate.api.request import RequestVerdict
from cabgate.api.types import Submitter
from cabgate.identity import User
from cabgate.refusal import Refusal, RefusalReason
from cabgate.submitters import machines_alone

Verdict = RequestVerdict | ExceptionVerdict

_APPROVING = frozenset({"Approved", "ConditionallyApproved"})
_DECIDING = _APPROVING | {"Rejected"}


@dataclass(frozen=True)
class ReviewFacts:
    """What is known, at the moment of a review, of its subject and its author."""

    submitters: Sequence[Submitter]
    """Who submitted: those of the frozen request, of the live intent and of the exception."""
    requesters: frozenset[str]
    """Who is said to have asked, in the frozen request and in the live intent."""
    holds_verb: bool
    """Whether the author holds the RBAC verb that the verdict needs."""
    impersonates: str | None
    """User name of a submitting service account that the author could act as, if there is one."""
    current: bool
    """Whether the request is the one that its live intent asks for now, or has no intent."""
    glass: bool = False
    """Whether it is about a broken glass, for which there is no intent."""
    may_have_broken: bool = False
    """Whether nobody knows who broke the glass, and the author holds the verb that it takes."""
    decided_elsewhere: str = ""
    """Name and state of another request for the very same content that carries a verdict."""


def verb_for(verdict: Verdict) -> str:
    """The RBAC verb that a verdict needs."""
    return "revoke" if verdict.value == "Revoked" else "approve"


def check_service_account(user: User) -> None:
    """Raise `Refusal` if the author is a machine."""
    if user.is_service_account:
        raise Refusal(
            RefusalReason.SERVICE_ACCOUNT,
            f"{user.username} is a service account: decisions are made by people",
        )


def check_reviewer(user: User, verdict: Verdict, plural: str, facts: ReviewFacts) -> None:
    """Raise `Refusal` unless the author may give this verdict on this subject."""
    check_service_account(user)
    verb = verb_for(verdict)
    if not facts.holds_verb:
        raise Refusal(
            RefusalReason.NOT_AUTHORIZED,
            f"{user.username} lacks the RBAC verb {verb!r} on {plural}.cabgate.dev in this "
            "namespace; ask someone who has it, or your cluster operator",
        )
    if verb == "revoke":
        return
    _check_not_own(user, facts)
    machines = not facts.glass and machines_alone(facts.submitters, facts.requesters)
    if verdict.value in _APPROVING and machines:
        raise Refusal(
            RefusalReason.REQUESTER_NEEDED,
            "only service accounts submitted this: set spec.requester of the intent to the "
            "person who asked for the rollout, then approve",
            "spec.requester",
        )
    if facts.decided_elsewhere and verdict.value in _DECIDING:
        raise Refusal(
            RefusalReason.ILLEGAL_TRANSITION,
            f"the very same content is decided already: request {facts.decided_elsewhere}; "
            "declare new evidence, or revoke that approval",
        )
    if verdict.value == "Attested":
        return  # about an approval that stands, also when the intent has moved on
    if not facts.current and not (plural == "cabexceptions" and verdict.value == "Rejected"):
        raise Refusal(
            RefusalReason.NOT_CURRENT,
            "the intent was deleted or says otherwise by now: decide its present request",
        )


def _check_not_own(user: User, facts: ReviewFacts) -> None:
    if any(user.is_same_as(submitter) for submitter in facts.submitters):
        raise Refusal(
            RefusalReason.SELF_APPROVAL,
            f"{user.username} submitted this and cannot decide on it; someone else has to",
        )
    if facts.may_have_broken:
        raise Refusal(
            RefusalReason.SELF_APPROVAL,
            f"nobody knows who broke the glass, and {user.username} may have: they hold the verb "
            "'break-glass' on rings.cabgate.dev in this namespace; someone who does not has to "
            "decide",
        )
    if user.username in facts.requesters:
        raise Refusal(
            RefusalReason.SELF_APPROVAL,
            f"{user.username} is named as the requester of this and cannot decide on it; someone "
            "else has to",
        )
    if facts.impersonates is not None:
        raise Refusal(
            RefusalReason.SELF_APPROVAL,
            f"{user.username} may impersonate or mint a token for {facts.impersonates}, which "
            "submitted this, and so counts as its submitter; someone else has to decide",
        )
