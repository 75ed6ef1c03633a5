# SPDX-License-Identifier: Apache-2.0
"""Who approves a request, or an exception for it, at the very moment in which they change its
intent.

The API server admits the two writes without either knowing of the other, since they are on two
objects. Three rules together see to it that in the end nobody is both:

- a review sees the intent as it is stored (`cabgate.reviewers`);
- whoever approved no longer changes what is said beside the content that they approved, and nothing
  at all before the operator has noticed the approval (`check_not_approver`);
- an approval that the operator has not noticed yet is taken back if its author stands in the
  intent (`own_approver`). It notices by writing the intent's status, by compare-and-swap: a change
  that was admitted before and is stored later meets a conflict, is admitted anew, and so falls
  under the second rule.
"""

from collections.abc import Iterable

from cabgate.api.exception import CABException
from cabgate.api.intent import DeploymentIntent
from cabgate.api.request import CABRequest
from cabgate.api.types import Author, AuthorType
from cabgate.evidence import evidence_digest
from cabgate.identity import User
from cabgate.lifecycle import APPROVED_STATES, approval_of, state_of, verdict_on
from cabgate.refusal import Refusal, RefusalReason
from cabgate.requests import is_current, is_of

DECIDED = "Decided"
"""Type of the condition by which the operator says that it noticed a decision on a request."""

ACTIVE = "Active"
"""Type of the condition by which the operator says that it noticed the approval of an exception."""

UNDECIDED_REASONS = frozenset({"Pending", "RequestNotFound"})
"""Reasons of that condition as long as no approval was noticed."""

Subject = CABRequest | CABException


def approver_of(subject: Subject) -> Author | None:
    """The person whose approval of a request is in force, or who approved an exception, whatever
    became of that."""
    if isinstance(subject, CABException):
        entry = approval_of(subject)
        return None if entry is None else entry.author
    verdict = verdict_on(subject)
    if verdict is None or state_of(subject) not in APPROVED_STATES:
        return None
    return verdict.author if verdict.author.type is AuthorType.PERSON else None


def is_noticed(subject: Subject) -> bool:
    """Whether the operator has noticed that a request is decided, or an exception approved."""
    conditions = subject.status.conditions
    if isinstance(subject, CABException):
        # Whether it admits anything is another matter.
        return any(c.type == ACTIVE and c.reason not in UNDECIDED_REASONS for c in conditions)
    return any(c.type == DECIDED and c.status == "True" for c in conditions)


def own_approver(
    subject: Subject, intent: DeploymentIntent | None, request: CABRequest | None = None
) -> str:
    """User name of who approved a request, or an exception for `request`, and stands in its live
    intent as one who may not; empty if there is none, or if the approval was noticed before.

    Whatever the intent declares by now: nobody who stands there could approve, and who approved
    cannot come in before the approval is noticed (`check_not_approver`).
    """
    request = request if isinstance(subject, CABException) else subject
    author = approver_of(subject)
    if author is None or intent is None or request is None or is_noticed(subject):
        return ""
    return author.username if is_of(request, intent) and _stands_in(author, intent) else ""


def waits_for_notice(
    subject: Subject, intent: DeploymentIntent | None, request: CABRequest | None = None
) -> bool:
    """Whether a person's approval, of a request or of an exception for `request`, counts once the
    intent's own status tells of it: that has to be written before the status of what was approved,
    or a change that is under way would go unseen."""
    request = request if isinstance(subject, CABException) else subject
    if request is None or approver_of(subject) is None or is_noticed(subject):
        return False
    return is_current(request, intent)


def notice_of(exception: CABException) -> str:
    """What the status of an intent says by which the operator noticed the approval of an exception;
    empty if there is none."""
    entry = approval_of(exception)
    return "" if entry is None else f"{exception.metadata.uid}/{entry.sequence}"


def says_otherwise(old: DeploymentIntent, new: DeploymentIntent) -> bool:
    """Whether a change leaves the content of an intent and says something else beside it."""
    return evidence_digest(old.spec) == evidence_digest(new.spec)


def check_not_approver(
    old: DeploymentIntent,
    new: DeploymentIntent,
    user: User,
    request: CABRequest,
    exceptions: Iterable[CABException] = (),
) -> None:
    """Raise `Refusal` if whoever approved the content of an intent changes what is said beside it,
    or is named as its requester from now on; as long as the operator has not noticed the approval,
    also if they declare other content.

    `request` is the one for the content of before, `exceptions` are those for the request.
    """
    subjects: list[Subject] = [request, *exceptions]
    named = new.spec.requester if new.spec.requester != old.spec.requester else None
    for subject in subjects:
        author, name = approver_of(subject), subject.metadata.name
        if author is None:
            continue
        if says_otherwise(old, new):
            what, advice = "which is for this very content, and", "or declare other content"
        elif not is_noticed(subject):
            what, advice = "which the operator has not looked at yet, and", "or try again then"
        else:
            continue
        if _is(author, user.username, user.uid):
            raise Refusal(
                RefusalReason.SELF_APPROVAL,
                f"{user.username} approved {name}, {what} so cannot change its intent; someone "
                f"else has to, {advice}",
            )
        if author.username == named:
            raise Refusal(
                RefusalReason.SELF_APPROVAL,
                f"{named} approved {name}, {what} so cannot be named as who asked for it; name "
                f"somebody else, {advice}",
                "spec.requester",
            )


def _stands_in(author: Author, intent: DeploymentIntent) -> bool:
    spec = intent.spec
    return (
        any(_is(author, s.username, s.uid) for s in spec.submitted_by)
        or author.username in spec.requested_by
        or author.username == spec.requester
    )


def _is(author: Author, username: str, uid: str) -> bool:
    return author.username == username or (author.uid != "" and author.uid == uid)
