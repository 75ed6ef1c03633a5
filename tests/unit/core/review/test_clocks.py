# SPDX-License-Identifier: Apache-2.0
"""Two replicas of the webhook whose clocks differ: a review passes, and nothing else does that did
not before."""

import copy
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cabgate.api import CABException, CABRequest
from cabgate.api.base import rfc3339
from cabgate.ledger.signatures import SigningKeys
from cabgate.review.identity import User
from cabgate.review.review import (
    EXCEPTION_REVIEW,
    REQUEST_REVIEW,
    SIGNED_TOLERANCE,
    Entry,
    ReviewKind,
    check_person_write,
    moment_after,
    stamped_status,
)
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_samples.models import NOW, by_person, exception, intent, request, rollout
from cabgate_samples.objects import MIDDLING
from unit.core.standings import decide

Raw = dict[str, Any]

PLAIN = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
KEYS, OTHER_KEYS = (
    SigningKeys(Ed25519PrivateKey.generate().private_bytes(*PLAIN).decode()) for _ in range(2)
)
RITA, SAM = User("rita", "r-1"), User("sam", "s-1")
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
WRONG = RefusalReason.WRONG_CONTENT


def raw(subject: CABRequest | CABException, uid: str = "uid-1") -> Raw:
    found = subject.model_dump(mode="json", by_alias=True, exclude_none=True)
    found["metadata"]["uid"] = uid
    return found


OLD = raw(request("ManualReview"))
DIGEST = OLD["spec"]["evidenceDigest"]


def mutated(
    old: Raw = OLD,
    verdict: str = "Approved",
    *,
    user: User = RITA,
    ahead: timedelta = timedelta(),
    keys: SigningKeys | None = KEYS,
    kind: ReviewKind = REQUEST_REVIEW,
) -> Raw:
    """What the mutating webhook makes of a review, at the moment NOW by a clock that is ahead."""
    new = copy.deepcopy(old)
    new["status"]["review"] = {"verdict": verdict, "rationale": "seen"}
    status = stamped_status(kind, old, new, DIGEST, user, NOW + ahead)
    assert status is not None
    if keys is not None:
        entry = status["decisions"][-1]
        signature = keys.sign(kind.kind, old["metadata"]["uid"], kind.parse_entry(entry))
        entry["signature"] = signature.to_dict()
    return {**new, "status": status}


def validated(
    new: Raw, old: Raw = OLD, *, user: User = RITA, after: timedelta = timedelta()
) -> Entry | None:
    """What the validating webhook says to a write, some time after NOW by a clock that is right."""
    return check_person_write(
        REQUEST_REVIEW, old, new, old["spec"]["evidenceDigest"], user, NOW + after, KEYS.public
    )


def refused(new: Raw, old: Raw = OLD, **options: Any) -> RefusalReason:
    with pytest.raises(Refusal) as raised:
        validated(new, old, **options)
    return raised.value.reason


@pytest.mark.parametrize("ahead", [-MINUTE, MINUTE, -SIGNED_TOLERANCE, SIGNED_TOLERANCE])
def test_a_review_passes_two_replicas_whose_clocks_are_a_minute_apart(ahead: timedelta) -> None:
    assert validated(mutated(ahead=ahead)) is not None


@pytest.mark.parametrize("ahead", [SIGNED_TOLERANCE + SECOND, -SIGNED_TOLERANCE - SECOND])
def test_a_decision_of_another_time_is_refused_signed_or_not(ahead: timedelta) -> None:
    assert refused(mutated(ahead=ahead)) is WRONG


@pytest.mark.parametrize("ahead", [6 * SECOND, -6 * SECOND])
@pytest.mark.parametrize("keys", [None, OTHER_KEYS])
def test_without_a_signature_of_this_installation_the_clocks_must_agree(
    ahead: timedelta, keys: SigningKeys | None
) -> None:
    assert refused(mutated(ahead=ahead, keys=keys)) is WRONG


@pytest.mark.parametrize(
    "change",
    [{"at": rfc3339(NOW + 50 * SECOND)}, {"rationale": "other"}, {"verdict": "UnderReview"}],
)
def test_a_signature_of_another_content_lends_no_time(change: Raw) -> None:
    new = mutated(ahead=MINUTE)
    new["status"]["decisions"][0] |= change
    new["status"]["state"] = new["status"]["decisions"][0]["verdict"]
    assert refused(new) is WRONG


def test_a_signature_for_another_object_lends_no_time() -> None:
    elsewhere = raw(request("ManualReview"), uid="uid-2")
    assert refused(mutated(ahead=MINUTE), elsewhere) is WRONG
    # The same name and content, after the first was deleted: another uid.
    assert refused(mutated(elsewhere, ahead=MINUTE)) is WRONG
    other = raw(request(of=intent(MIDDLING | {"scope": {"affectedComponents": 8}}), name="other"))
    assert refused(mutated(ahead=MINUTE), other) is RefusalReason.DIGEST_MISMATCH


def test_a_signed_decision_is_of_use_to_its_author_alone() -> None:
    assert refused(mutated(), user=SAM) is WRONG
    assert refused(mutated(ahead=MINUTE), user=SAM) is WRONG


def test_a_decision_that_was_signed_and_not_written_cannot_follow_another() -> None:
    """A dry run gives its author a signed decision: it is good for the place that it was made
    for, as long as nothing else stands there."""
    held = mutated()
    written = mutated(verdict="Rejected", user=SAM)
    (mine,) = held["status"]["decisions"]
    (theirs,) = written["status"]["decisions"]
    for decisions in ([theirs, mine], [mine], [mine, theirs], [theirs, {**mine, "sequence": 2}]):
        for state in ("Approved", "Rejected"):
            new = {**written, "status": {"state": state, "decisions": decisions}}
            assert refused(new, written, after=10 * SECOND)


def test_an_approval_is_not_repeated_after_its_revocation() -> None:
    approved = mutated()
    revoked = mutated(approved, "Revoked", user=SAM)
    again = copy.deepcopy(revoked)
    again["status"]["decisions"].append(approved["status"]["decisions"][0])
    again["status"]["state"] = "Approved"
    assert refused(again, revoked, after=20 * SECOND)
    again["status"]["decisions"][-1] = {**approved["status"]["decisions"][0], "sequence": 3}
    assert refused(again, revoked, after=20 * SECOND)


def revoked_elsewhere(at: datetime) -> CABRequest:
    """Another request for the same image, revoked at a time."""
    entries = by_person("Approved", NOW - MINUTE), by_person("Revoked", at)
    return request("ManualReview", *entries, name="elsewhere")


def test_an_approval_from_before_a_revocation_lifts_none() -> None:
    """Signed in a dry run before the revocation of its image, written after it."""
    of = request("ExceptionRequired")
    held = exception(of, by_person("Approved", NOW))
    assert decide(rollout(), 2, [of], [held], NOW + MINUTE).allowed
    revoked = revoked_elsewhere(NOW + 10 * SECOND)
    assert not decide(rollout(), 2, [of, revoked], [held], NOW + MINUTE).allowed


# Times


def test_a_decision_comes_after_those_that_it_is_made_in_knowledge_of() -> None:
    exact = NOW + timedelta(milliseconds=300)
    assert moment_after(exact, []) == exact
    assert moment_after(exact, [NOW - MINUTE, NOW - SECOND]) == exact
    assert moment_after(exact, [NOW]) == NOW + SECOND, "of one second, as both are stored"
    assert moment_after(NOW, [NOW]) == NOW + SECOND
    assert moment_after(NOW, [NOW + MINUTE, NOW]) == NOW + MINUTE + SECOND


def test_a_time_that_no_replica_would_accept_moves_nothing() -> None:
    assert moment_after(NOW, [NOW + timedelta(hours=1)]) == NOW
    far = NOW + SIGNED_TOLERANCE
    assert moment_after(NOW, [far, NOW + MINUTE]) == NOW + MINUTE + SECOND
    assert moment_after(NOW, [far - 6 * SECOND]) < far


def test_a_revocation_by_a_slow_clock_ends_an_exception_approved_by_a_fast_one() -> None:
    of = request("ExceptionRequired")
    approved = NOW + MINUTE
    leave = exception(of, by_person("Approved", approved))
    assert decide(rollout(), 2, [of], [leave], NOW).allowed
    seen = moment_after(NOW + 5 * SECOND, [approved])
    revoked = revoked_elsewhere(seen)
    assert not decide(rollout(), 2, [of, revoked], [leave], NOW + 6 * SECOND).allowed


def test_an_exception_is_reviewed_likewise() -> None:
    of = request("ManualReview")
    old = raw(exception(of))
    new = mutated(old, kind=EXCEPTION_REVIEW, ahead=MINUTE)
    entry = check_person_write(EXCEPTION_REVIEW, old, new, DIGEST, RITA, NOW, KEYS.public)
    assert entry is not None
    # A signature says of what kind its object is.
    status = new["status"]
    assert refused({**OLD, "status": status}, OLD) is WRONG
