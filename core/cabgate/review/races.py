# SPDX-License-Identifier: Apache-2.0
"""Who approves a request, or an exception for it, at the very moment in which they change its
intent.

The API server admits the two writes without either knowing of the other, since they are on two
objects. Three rules together see to it that in the end nobody is both:

- a review sees the intent as it is stored (`cabgate.review.reviewers`);
- whoever approved no longer changes what is said beside the content that they approved, and nothing
  at all before the operator has noticed the approval (`check_not_approver`), whoever else changed
  the intent since (`requests_behind`);
- an approval that the operator has not noticed yet is taken back if its author stands in the
  intent (`own_approver`). It notices by writing the intent's status, by compare-and-swap: a change
  that was admitted before and is stored later meets a conflict, is admitted anew, and so falls
  under the second rule.
"""

from collections.abc import Iterable

from cabgate.api.exception import CABException
from cabgate.api.intent import DeploymentIntent
from cabgate.api.stored import Declared, StoredAuthor
from cabgate.api.types import AuthorType
from cabgate.lifecycle.requests.opening import is_current, is_of, wanted_name
from cabgate.lifecycle.state.exception_needs import votes_in
from cabgate.lifecycle.state.quorum import VOTES
from cabgate.lifecycle.state.standing import WholeRequest
from cabgate.lifecycle.state.states import approval_of, exception_history
from cabgate.review.identity import User, may_be_same, same_name
from cabgate.review.reviewers import Verdict
from cabgate.risk.evidence import evidence_digest
from cabgate.text.refusal import Refusal, RefusalReason

ACTIVE = "Active"
"""Type of the condition by which the operator says that it noticed the approval of an exception."""

UNDECIDED_REASONS = frozenset({"Pending", "RequestNotFound"})
"""Reasons of that condition as long as no approval was noticed."""

Subject = WholeRequest | CABException


def approver_of(subject: Subject) -> StoredAuthor | None:
    """The person whose approval of a request is in force, or who approved an exception, whatever
    became of that."""
    if isinstance(subject, CABException):
        entry = approval_of(subject)
        return None if entry is None else entry.author
    verdict = subject.standing.verdict
    if verdict is None or not subject.standing.is_approved:
        return None
    return verdict.author if verdict.author.type is AuthorType.PERSON else None


def approvers_of(subject: Subject) -> list[StoredAuthor]:
    """Everybody whose approval of a request counts, be it in force or one of several that are
    still to come, or overrides a freeze for it; of an exception too."""
    if isinstance(subject, CABException):
        return [entry.author for entry in votes_in(exception_history(subject))]
    author = approver_of(subject)
    found = [] if author is None else [author]
    votes = [entry.author for entry in subject.standing.votes]
    return [*(votes or found), *(entry.author for entry in subject.standing.overriding)]


def is_noticed(subject: Subject) -> bool:
    """Whether the operator has noticed that a request is decided, or an exception approved."""
    if isinstance(subject, CABException):
        # Whether it admits anything is another matter.
        conditions = subject.status.conditions
        return any(c.type == ACTIVE and c.reason not in UNDECIDED_REASONS for c in conditions)
    return subject.standing.noticed


def own_approver(
    subject: Subject, intent: DeploymentIntent | None, request: Declared | None = None
) -> str:
    """User name of who approved a request, or an exception for `request`, and stands in its live
    intent as one who may not; empty if there is none, or if the approval was noticed before.

    Whatever the intent declares by now: nobody who stands there could approve, and who approved
    cannot come in before the approval is noticed (`check_not_approver`). Of one that was deleted
    and created anew this holds where it declares the same content; else it is not what was
    approved, and anybody could name there whom they like.
    """
    request = request if isinstance(subject, CABException) else subject.stored
    if approver_of(subject) is None or intent is None or request is None or is_noticed(subject):
        return ""
    reference = request.spec.intent_ref
    same = reference is not None and reference.uid == intent.metadata.uid
    about = is_of(request, intent) and (same or is_current(request, intent))
    if not about:
        return ""
    found = (each.username for each in approvers_of(subject) if _stands_in(each, intent))
    return next(found, "")


def check_voters_stand_apart(
    subject: Subject, intent: DeploymentIntent | None, verdict: Verdict
) -> None:
    """Raise `Refusal` for another approval beside that of somebody who stands in the live intent by
    now: they came in at the very moment in which they approved."""
    if intent is None or verdict.value not in VOTES:
        return
    if isinstance(subject, CABException):
        authors = approvers_of(subject)
    else:
        authors = [entry.author for entry in subject.standing.votes]
    for author in authors:
        if _stands_in(author, intent):
            raise Refusal(
                RefusalReason.SELF_APPROVAL,
                f"{author.username} gave one of the approvals of {_name_of(subject)}, and stands "
                "in its intent as one who submitted or asked; reject it, and declare other content "
                "without them",
            )


def waits_for_notice(
    subject: Subject, intent: DeploymentIntent | None, request: Declared | None = None
) -> bool:
    """Whether a person's approval, of a request or of an exception for `request`, counts once the
    intent's own status tells of it: that has to be written before the status of what was approved,
    or a change that is under way would go unseen."""
    request = request if isinstance(subject, CABException) else subject.stored
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


def requests_behind(old: DeploymentIntent | None, new: DeploymentIntent) -> list[str]:
    """Names of the requests whose approvers may not write an intent as they like, or be named in
    it: the ones for its content, before and after, and as long as the operator has not looked at
    that, the one for the content that it saw last. Nobody can have approved another since."""
    names = [wanted_name(each) for each in (old, new) if each is not None]
    status = new.status if old is None else old.status
    behind = old is not None and status.observed_generation < old.metadata.generation
    if behind and status.request_name:
        names.append(status.request_name)
    return list(dict.fromkeys(names))


def check_not_approver(
    old: DeploymentIntent | None,
    new: DeploymentIntent,
    user: User,
    request: WholeRequest,
    exceptions: Iterable[CABException] = (),
) -> None:
    """Raise `Refusal` if whoever approved the content of an intent changes what is said beside it,
    or is named as its requester from now on; as long as the operator has not noticed the approval,
    also if they declare other content, or somebody else did before, or they come back to it.

    `old` is the intent before, None if it is new; `request` is one of those that `requests_behind`
    names, `exceptions` are those for it.
    """
    digest = request.stored.spec.evidence_digest
    stays = old is not None and says_otherwise(old, new) and digest == evidence_digest(new.spec)
    comes = not stays and digest == evidence_digest(new.spec)
    unchanged = old is not None and old.spec.requester == new.spec.requester
    named = None if unchanged else new.spec.requester
    subjects: list[Subject] = [request, *exceptions]
    for subject, author in [(each, a) for each in subjects for a in approvers_of(each)]:
        name = _name_of(subject)
        if stays:
            what, advice = "which is for this very content, and", "or declare other content"
        elif not is_noticed(subject):
            what, advice = "which the operator has not looked at yet, and", "or try again then"
            if approver_of(subject) is None:
                what = "which lacks other approvals, and"
                advice = "or try again when it is decided"
        else:
            continue
        who = author.username
        if _is(author, user.username, user.uid):
            raise Refusal(
                RefusalReason.SELF_APPROVAL,
                f"{user.username} approved {name}, {what} so cannot change its intent; someone "
                f"else has to, {advice}",
            )
        if named and same_name(who, named):
            raise Refusal(
                RefusalReason.SELF_APPROVAL,
                f"{who} approved {name}, {what} so cannot be named as who asked for it; name "
                f"somebody else, {advice}",
                "spec.requester",
            )
        if comes and _stands_in(author, new):
            raise Refusal(
                RefusalReason.SELF_APPROVAL,
                f"{who} approved {name}, {what} stands in this intent as one who submitted or "
                f"asked; create it anew without them, {advice}",
            )


def _name_of(subject: Subject) -> str:
    return subject.metadata.name if isinstance(subject, CABException) else subject.name


def _stands_in(author: StoredAuthor, intent: DeploymentIntent) -> bool:
    spec = intent.spec
    return any(_is(author, s.username, s.uid) for s in spec.submitted_by) or any(
        same_name(author.username, each) for each in (*spec.requested_by, spec.requester or "")
    )


def _is(author: StoredAuthor, username: str, uid: str) -> bool:
    return may_be_same(author.username, author.uid, username, uid)
