# SPDX-License-Identifier: Apache-2.0
"""Who may decide."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cabgate.api.stored import Declared, DeclaredException, StoredSubmitter
from cabgate.api.values import ExceptionVerdict, RequestVerdict
from cabgate.review.identity import SERVICE_ACCOUNTS, Machines, User, is_service_account
from cabgate.review.requesters import only_machines
from cabgate.text.refusal import Refusal, RefusalReason

if TYPE_CHECKING:  # a list of what waits is judged without the models
    from cabgate.api.exception import CABException
    from cabgate.api.intent import DeploymentIntent
    from cabgate.api.request import CABRequest
    from cabgate.api.types import Checked

Verdict = RequestVerdict | ExceptionVerdict

NOT_CURRENT = "the intent was deleted or says otherwise by now: decide its present request"
"""What whoever decides is told of a request that nobody waits for any more."""

_APPROVING = frozenset({"Approved", "ConditionallyApproved"})
_DECIDING = _APPROVING | {"Rejected"}


@dataclass(frozen=True)
class ReviewFacts:
    """What is known, at the moment of a review, of its subject and its author."""

    submitters: Sequence[StoredSubmitter]
    """Who submitted: those of the frozen request, of the live intent and of the exception."""
    requesters: frozenset[str]
    """Everybody who was said to have asked, in the frozen request and in the live intent."""
    holds_verb: bool
    """Whether the author holds the RBAC verb that the verdict needs."""
    impersonates: str | None
    """User name of a submitting machine that the author could act as, if there is one."""
    current: bool
    """Whether the request is the one that its live intent asks for now, or has no intent."""
    glass: bool = False
    """Whether it is about a broken glass, for which there is no intent."""
    may_have_broken: bool = False
    """Whether nobody knows who broke the glass, and the author holds the verb that it takes."""
    decided_elsewhere: str = ""
    """Name and state of another request for the very same content that carries a verdict."""
    machines: Machines = SERVICE_ACCOUNTS
    """Which users are machines."""
    changed: bool = False
    """Whether the intent changed since the operator looked at it, or since the review was given its
    author and its time."""
    lifts_otherwise: bool = False
    """Whether an approval says otherwise which refusals it lifts than it would now."""


@dataclass(frozen=True)
class Involved:
    """Who has to do with what is decided, by whatever it was read: the request, the intent that it
    was made from, as it is now, and the exception that is decided, if it is one."""

    request: Declared
    intent: "DeploymentIntent | None"
    exception: DeclaredException | None = None

    @property
    def submitters(self) -> Sequence[StoredSubmitter]:
        """Who submitted: those of the frozen request, of the live intent and of the exception."""
        people = list(self.request.spec.submitted_by)
        if self.intent is not None:
            people += self.intent.spec.submitted_by
        if self.exception is not None:
            people += self.exception.spec.submitted_by
        return list(dict.fromkeys(people))

    @property
    def requesters(self) -> frozenset[str]:
        """Everybody who was said to have asked, in the frozen request and in the live intent."""
        frozen = self.request.spec
        named = [*frozen.requested_by, frozen.requester]
        if self.intent is not None:
            named += [*self.intent.spec.requested_by, self.intent.spec.requester]
        return frozenset(name for name in named if name)


@dataclass(frozen=True)
class ReviewSubject(Involved):
    """What a status write is about."""

    request: "CABRequest"
    intent: "DeploymentIntent | None"
    exception: "CABException | None" = None

    @property
    def current(self) -> bool:
        """Whether somebody still waits for the request to be decided."""
        # Here, since it makes the built-in risk model, which a list of what waits has no use for.
        from cabgate.lifecycle.requests.opening import is_wanted

        return is_wanted(self.request, self.intent)

    @property
    def checked(self) -> "Checked":
        """What a decision says of who could not have given it."""
        from cabgate.api.types import Checked

        return Checked(
            submitted_by=_in_order(submitter.username for submitter in self.submitters),
            requested_by=_in_order(self.requesters),
            intent_generation=self.intent.metadata.generation if self.intent is not None else 0,
        )

    @property
    def unseen(self) -> bool:
        """Whether the intent changed since the request was opened, and the operator has not looked
        at it since: nobody can have seen what became of it."""
        intent, opened = self.intent, self.request.spec.intent_ref
        if intent is None or opened is None:
            return False
        seen = intent.status.observed_generation
        if opened.uid == intent.metadata.uid:
            seen = max(seen, opened.generation)
        return intent.metadata.generation > seen


def same_people(one: "Checked | None", other: "Checked") -> bool:
    """Whether a decision was checked against the same people and the same intent."""
    without: dict[str, object] = {"refusals": None, "lifts": []}
    return one is not None and one.model_copy(update=without) == other.model_copy(update=without)


def _in_order(names: Iterable[str]) -> list[str]:
    return sorted(set(names))


def approves(verdict: Verdict) -> bool:
    """Whether a verdict lets something through."""
    return verdict.value in _APPROVING


def verb_for(verdict: Verdict) -> str:
    """The RBAC verb that a verdict needs."""
    return "revoke" if verdict.value == "Revoked" else "approve"


def check_person(user: User, machines: Machines = SERVICE_ACCOUNTS) -> None:
    """Raise `Refusal` if the author is a machine."""
    if machines.include(user.username, user.groups):
        what = "a service account" if is_service_account(user.username) else "a machine"
        how = "" if is_service_account(user.username) else ", by its name or its groups"
        raise Refusal(
            RefusalReason.MACHINE,
            f"{user.username} is {what}{how}: decisions are made by people",
        )


def check_reviewer(user: User, verdict: Verdict, plural: str, facts: ReviewFacts) -> None:
    """Raise `Refusal` unless the author may give this verdict on this subject."""
    check_person(user, facts.machines)
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
    if verdict.value in _APPROVING and needs_requester(facts):
        raise Refusal(
            RefusalReason.REQUESTER_NEEDED,
            "only machines submitted this: set spec.requester of the intent to the "
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
        raise Refusal(RefusalReason.NOT_CURRENT, NOT_CURRENT)
    if facts.changed and approves(verdict):
        raise Refusal(
            RefusalReason.INTENT_CHANGED,
            "the intent changed since the operator looked at it: look at it again, then repeat the "
            "command",
        )
    if facts.lifts_otherwise and approves(verdict):
        raise Refusal(
            RefusalReason.REFUSALS_CHANGED,
            "one of its images was rejected, revoked or approved again while you approved this: "
            "look at what stands against it now, then repeat the command",
        )


def needs_requester(facts: ReviewFacts) -> bool:
    """Whether nobody can approve before the intent names a person who asked."""
    return not facts.glass and only_machines(facts.submitters, facts.requesters, facts.machines)


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
    named = next((name for name in sorted(facts.requesters) if user.may_be(name)), None)
    if named is not None:
        written = "" if named == user.username else f", as {named},"
        raise Refusal(
            RefusalReason.SELF_APPROVAL,
            f"{user.username} is named{written} as the requester of this and cannot decide on it; "
            "someone else has to",
        )
    if facts.impersonates is not None:
        raise Refusal(
            RefusalReason.SELF_APPROVAL,
            f"{user.username} may impersonate or mint a token for {facts.impersonates}, which "
            "submitted this, and so counts as its submitter; someone else has to decide",
        )
