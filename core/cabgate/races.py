# SPDX-License-Identifier: Apache-2.0
"""Who approves a request at the very moment in which they change its intent.

The API server admits the two writes without either knowing of the other, since they are on two
objects. Three rules together see to it that in the end nobody is both:

- a review sees the intent as it is stored (`cabgate.reviewers`);
- whoever approved a request no longer changes what is said beside its content
  (`check_not_approver`);
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
from cabgate.requests import is_current

DECIDED = "Decided"
"""Type of the condition by which the operator says that it noticed a decision."""


def approver_of(request: CABRequest) -> Author | None:
    """The person whose approval of a request is in force."""
    verdict = verdict_on(request)
    if verdict is None or state_of(request) not in APPROVED_STATES:
        return None
    return verdict.author if verdict.author.type is AuthorType.PERSON else None


def is_noticed(request: CABRequest) -> bool:
    """Whether the operator has noticed that a request is decided."""
    return any(c.type == DECIDED and c.status == "True" for c in request.status.conditions)


def own_approver(request: CABRequest, intent: DeploymentIntent | None) -> str:
    """User name of who approved a request and stands in its live intent as one who may not; empty
    if there is none, or if the approval was noticed before."""
    author = approver_of(request)
    if author is None or intent is None or is_noticed(request) or not is_current(request, intent):
        return ""
    return author.username if _stands_in(author, intent) else ""


def waits_for_notice(request: CABRequest, intent: DeploymentIntent | None) -> bool:
    """Whether a person's approval counts once the intent's own status tells of it: that has to be
    written before the request's, or a change that is under way would go unseen."""
    return (
        approver_of(request) is not None and not is_noticed(request) and is_current(request, intent)
    )


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
    or is named as its requester from now on.

    `request` is the one for that content, `exceptions` are those for the request.
    """
    approved = [(author, request.metadata.name) for author in [approver_of(request)] if author]
    approved += [
        (entry.author, exception.metadata.name)
        for exception in exceptions
        if (entry := approval_of(exception)) is not None
    ]
    named = new.spec.requester if new.spec.requester != old.spec.requester else None
    for author, name in approved:
        if _is(author, user.username, user.uid):
            raise Refusal(
                RefusalReason.SELF_APPROVAL,
                f"{user.username} approved {name}, which is for this very content, and so cannot "
                "change its intent; someone else has to, or declare other content",
            )
        if author.username == named:
            raise Refusal(
                RefusalReason.SELF_APPROVAL,
                f"{named} approved {name}, which is for this very content, and so cannot be named "
                "as who asked for it",
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
