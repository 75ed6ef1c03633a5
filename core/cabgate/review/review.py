# SPDX-License-Identifier: Apache-2.0
"""Reviews: how a `kubectl patch` of a person becomes an entry of `status.decisions`.

The mutating webhook calls `stamped_status`, the validating webhook `check_person_write`: the first
says what the write should become, the second that the write, whoever shaped it, is exactly that.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from cabgate.api.base import first_problem, rfc3339
from cabgate.api.exception import (
    CABException,
    ExceptionDecision,
    ExceptionReview,
    ExceptionReviewVerdict,
)
from cabgate.api.rationale import RATIONALE, says_nothing
from cabgate.api.request import (
    CABRequest,
    RequestDecision,
    RequestReview,
    RequestReviewVerdict,
    RequestVerdict,
)
from cabgate.api.types import Checked
from cabgate.ledger.signatures import PublicKeys, Verification
from cabgate.lifecycle.limits.capacity import check_room
from cabgate.lifecycle.limits.constraints import limits_of, tightened
from cabgate.lifecycle.limits.promotion import override_text
from cabgate.lifecycle.state.standing import standing_of
from cabgate.lifecycle.state.states import (
    exception_state_after,
    state_after,
    state_of,
    with_entry,
)
from cabgate.review.advice import exception_advice, request_advice
from cabgate.review.identity import User
from cabgate.review.votes import check_counted, check_new_voter
from cabgate.text.characters import refused_characters
from cabgate.text.foreign import printed
from cabgate.text.refusal import Refusal, RefusalReason

CLOCK_TOLERANCE = timedelta(seconds=5)
"""How far the time of a person's decision may be from the validating webhook's clock."""

SIGNED_TOLERANCE = timedelta(seconds=90)
"""The same where the webhook signed the decision, and so gave it its time: two replicas may have
handled the two halves of one admission, and their clocks may be a minute apart."""

Subject = CABRequest | CABException
Entry = RequestDecision | ExceptionDecision
RawObject = Mapping[str, Any]

T = TypeVar("T")


@dataclass(frozen=True)
class ReviewKind:
    """What differs between reviews of requests and of exceptions."""

    kind: str
    plural: str
    parse: Callable[[Any], Subject]
    parse_review: Callable[[Any], RequestReview | ExceptionReview]
    parse_entry: Callable[[Any], Entry]
    verdicts: tuple[str, ...]
    """What a person may say."""


REQUEST_REVIEW = ReviewKind(
    kind="CABRequest",
    plural="cabrequests",
    parse=CABRequest.model_validate,
    parse_review=RequestReview.model_validate,
    parse_entry=RequestDecision.model_validate,
    verdicts=tuple(RequestReviewVerdict),
)
EXCEPTION_REVIEW = ReviewKind(
    kind="CABException",
    plural="cabexceptions",
    parse=CABException.model_validate,
    parse_review=ExceptionReview.model_validate,
    parse_entry=ExceptionDecision.model_validate,
    verdicts=tuple(ExceptionReviewVerdict),
)


def requested_review(
    kind: ReviewKind, old: RawObject, new: RawObject
) -> RequestReview | ExceptionReview | None:
    """The review that a status write asks for, or None.

    It stands in `status.review`; a person who sets `status.state` itself to a verdict is taken to
    mean that review. Raises `Refusal` for a review that cannot be read.
    """
    before, after = _status(old), _status(new)
    review = after.get("review")
    if review is not None and review != before.get("review"):
        # The schema refuses them too, under a path that no reviewer wrote.
        for where, problem in refused_characters(review, "status.review"):
            raise Refusal(RefusalReason.INVALID, f"{problem}: write it anew", where)
        found = _parsed(kind.parse_review, review, "status.review", kind)
        _check_rationale(found.rationale)
        return found
    state = after.get("state")
    if state != before.get("state") and state in kind.verdicts and not _grew(before, after):
        return _parsed(kind.parse_review, {"verdict": state}, "status.state", kind)
    return None


def check_same_object(kind: ReviewKind, old: RawObject, new: RawObject) -> None:
    """Raise `Refusal` if a review names another object than the one that it would be recorded on:
    it was deleted and created anew since somebody looked at it, or is in another cluster.

    The mutating webhook alone can tell: of a write of the status the API server goes on with the
    uid that is stored, whatever was sent.
    """
    meant, found = (str(_mapping(each, "metadata").get("uid") or "") for each in (new, old))
    if meant not in ("", found):
        name = _mapping(old, "metadata").get("name")
        raise Refusal(
            RefusalReason.NOT_CURRENT,
            f"you looked at the {kind.kind} of uid {meant[:64]}, but {name} is that of {found}: it "
            "was deleted and created anew, or is in another cluster; look again",
            "metadata.uid",
        )


def _check_rationale(rationale: str) -> None:
    """Raise `Refusal` for a rationale that tells nobody why."""
    if says_nothing(rationale):
        raise Refusal(
            RefusalReason.INVALID,
            f"{rationale[:40]!r} says nothing: write why you decide so, in place of {RATIONALE}; "
            "it is recorded for good",
            "status.review.rationale",
        )


def stamped_status(
    kind: ReviewKind,
    old: RawObject,
    new: RawObject,
    digest: str,
    user: User,
    now: datetime,
    checked: Checked | None = None,
    images: Sequence[str] = (),
    verbs: Sequence[str] = (),
) -> dict[str, Any] | None:
    """The status that a write becomes: the review moved into `decisions`, with its author and
    time, and the state that follows. None if the write asks for no review.

    `digest` is that of the evidence that is decided on: of the request, or of the request that
    the exception is for; `checked` is who cannot give it; `images` are those that a revocation is
    about, as `images_to_revoke` of `cabgate.writes.revoking` has them; `verbs` are those of the
    terms that the author of an approval holds. Raises `Refusal` if the verdict is not legal now.
    """
    review = requested_review(kind, old, new)
    if review is None:
        return None
    if review.evidence_digest not in (None, digest):
        raise Refusal(
            RefusalReason.DIGEST_MISMATCH,
            f"you reviewed {review.evidence_digest}, but the evidence is {digest}: look again",
            "status.review.evidenceDigest",
        )
    subject = kind.parse(old)
    decisions = _decisions(_status(new))
    entry: dict[str, Any] = {
        "sequence": len(decisions) + 1,
        "verdict": review.verdict.value,
        "author": user.author.to_dict(),
        "at": rfc3339(now),
        "evidenceDigest": digest,
    }
    if checked is not None:
        entry["checked"] = checked.to_dict()
    if review.rationale:
        entry["rationale"] = review.rationale
    if isinstance(review, RequestReview):
        entry |= _said_of_request(review, images, verbs)
    else:
        entry |= tightened(review, now)
    status = {key: value for key, value in _status(new).items() if key != "review"}
    status["decisions"] = [*decisions, entry]
    status["state"] = _state_after(subject, kind.parse_entry(entry))
    return status


def _said_of_request(
    review: RequestReview, images: Sequence[str], verbs: Sequence[str]
) -> dict[str, Any]:
    said = {
        "conditions": [condition.to_dict() for condition in review.conditions],
        "condition": review.condition,
        "verbs": list(verbs),
        "overrides": list(review.overrides),
        "images": list(images or review.images),
    }
    return {name: value for name, value in said.items() if value}


def moment_after(now: datetime, earlier: Iterable[datetime]) -> datetime:
    """The time of a decision that is made now, in knowledge of earlier ones.

    It comes after those, though a clock that gave one of them its time was ahead, or both are of
    one second, which is all that is stored: or a revocation would seem to be older than the
    approval that it ends, and an approval to be none after a revocation. One that is further ahead
    than replicas accept of one another is left aside.
    """
    farthest = now + SIGNED_TOLERANCE - CLOCK_TOLERANCE
    ahead = [moment for moment in earlier if now.replace(microsecond=0) <= moment < farthest]
    return max(ahead) + timedelta(seconds=1) if ahead else now


def check_person_write(
    kind: ReviewKind,
    old: RawObject,
    new: RawObject,
    digest: str,
    user: User,
    now: datetime,
    keys: PublicKeys | None,
) -> Entry | None:
    """The entry that a person's status write adds; None if it changes nothing.

    Raises `Refusal` if the write does anything but add one legal entry in the name of the
    authenticated user, at the present time, for the evidence that is decided on. A signature by
    one of `keys` is not asked for; but what has one may come from a replica of another clock. So
    may what is not stored as it is, before it is signed and in a dry run: `keys` is None then.
    """
    before, after = _status(old), _status(new)
    if before == after:
        return None
    added = _added(before, after)
    if len(added) > 1:
        raise _only_reviews("status.decisions")
    if not added:
        changed = next(
            key for key in sorted({*before, *after}) if before.get(key) != after.get(key)
        )
        raise _only_reviews(f"status.{changed}")
    for key in sorted({*before, *after} - {"decisions", "state"}):
        if before.get(key) != after.get(key):
            raise _only_reviews(f"status.{key}")
    entry = _parsed(kind.parse_entry, added[0], "status.decisions", kind)
    _check_rationale(entry.rationale)
    uid = str(_mapping(old, "metadata").get("uid") or "")
    ours = keys is None or keys.check(kind.kind, uid, entry) is Verification.GOOD
    _check_author(entry, user, now, SIGNED_TOLERANCE if ours else CLOCK_TOLERANCE)
    if entry.sequence != len(_decisions(before)) + 1:
        raise _only_reviews("status.decisions")
    if entry.evidence_digest != digest:
        raise Refusal(
            RefusalReason.DIGEST_MISMATCH,
            f"the decision is on {entry.evidence_digest}, but the evidence is {digest}",
            "status.decisions",
        )
    state = _state_after(kind.parse(old), entry)
    if after.get("state") != state:
        raise _only_reviews("status.state")
    return entry


def recorded(kind: ReviewKind, subject: Subject, entry: Entry) -> str:
    """The admission warning of a decision: it is not stored yet when it is said."""
    if isinstance(entry, ExceptionDecision):
        limits = limits_of(entry.constraints)
    else:
        limits = [override_text(name) for name in entry.overrides]
    return printed(
        f"recorded if this command succeeds: {entry.verdict} by {entry.author.username} on "
        f"{kind.kind} {subject.metadata.name}, evidence {entry.evidence_digest}"
        + (f"; {', '.join(limits)}" if limits else "")
    )


def _status(obj: RawObject) -> dict[str, Any]:
    return _mapping(obj, "status")


def _mapping(obj: RawObject, key: str) -> dict[str, Any]:
    found = obj.get(key)
    return dict(found) if isinstance(found, Mapping) else {}


def _grew(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    return len(_decisions(after)) > len(_decisions(before))


def _decisions(status: Mapping[str, Any]) -> list[Any]:
    decisions = status.get("decisions")
    return list(decisions) if isinstance(decisions, list) else []


def _added(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Any]:
    """Entries that a write adds to the end of the decisions; a changed past is a `Refusal`."""
    old, new = _decisions(before), _decisions(after)
    if new[: len(old)] != old:
        raise _only_reviews("status.decisions")
    return new[len(old) :]


def _parsed(parse: Callable[[Any], T], value: Any, path: str, kind: ReviewKind) -> T:
    try:
        return parse(value)
    except ValidationError as error:
        first = first_problem(error)
        field = f"{path}.{first.path}" if first.path else path
        raise Refusal(
            RefusalReason.INVALID,
            f"{first.message}; a verdict on a {kind.kind} is one of {', '.join(kind.verdicts)}",
            field,
        ) from None


def _check_author(entry: Entry, user: User, now: datetime, tolerance: timedelta) -> None:
    if entry.author != user.author:
        raise Refusal(
            RefusalReason.WRONG_CONTENT,
            f"a decision is recorded in the name of who makes it, {user.username}; write "
            "status.review and leave the rest to the webhook",
            "status.decisions.author",
        )
    if abs(entry.at - now) > tolerance:
        raise Refusal(
            RefusalReason.WRONG_CONTENT,
            f"a decision is recorded at the time it is made, {rfc3339(now)}; if you wrote "
            "status.review only, the clocks of the webhook's replicas differ",
            "status.decisions.at",
        )


def _state_after(subject: Subject, entry: Entry) -> str:
    """The state after an entry; a `Refusal` if it is not legal."""
    following: str | None
    if isinstance(subject, CABRequest):
        state: str = state_of(subject)
        decision = cast("RequestDecision", entry)
        following = state_after(subject, decision)
        _check_attestation(subject, entry)
        if following is None:
            check_counted(subject, decision)
        advice = request_advice(subject, entry)
    else:
        state = state_of(subject, entry.at)
        said = cast("ExceptionDecision", entry)
        following = exception_state_after(subject, said)
        if following is None:
            check_new_voter(subject, said)
        advice = exception_advice(subject)
    if following is None:
        raise Refusal(
            RefusalReason.ILLEGAL_TRANSITION,
            f"{subject.metadata.name} is {state} and cannot become {entry.verdict}; {advice}",
            "status.review.verdict",
        )
    check_room(with_entry(subject, entry), state, following)
    return following


def _check_attestation(request: CABRequest, entry: Entry) -> None:
    """Raise `Refusal` if an attestation is not about a condition that waits for one."""
    if not isinstance(entry, RequestDecision) or entry.verdict is not RequestVerdict.ATTESTED:
        return
    waiting = [condition.name for condition in standing_of(request).unattested]
    if entry.condition not in waiting:
        names = ", ".join(waiting) or "none"
        raise Refusal(
            RefusalReason.ILLEGAL_TRANSITION,
            f"no condition {entry.condition!r} waits to be attested; these do: {names}",
            "status.review.condition",
        )


def _only_reviews(field: str) -> Refusal:
    return Refusal(
        RefusalReason.WRITTEN_BY_OPERATOR_ONLY,
        "a reviewer writes status.review (verdict, rationale, conditions, constraints, images, "
        "evidenceDigest) and nothing else of the status",
        field,
    )
