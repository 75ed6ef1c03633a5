# SPDX-License-Identifier: Apache-2.0
"""How a status write of a person becomes a decision, and which writes are none."""

import copy
from datetime import timedelta

import pytest

from cabgate.api.base import rfc3339
from cabgate.ledger.signatures import PublicKeys
from cabgate.review.identity import User
from cabgate.review.review import (
    EXCEPTION_REVIEW,
    REQUEST_REVIEW,
    check_person_write,
    recorded,
    requested_review,
    stamped_status,
)
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_samples.models import NOW, OTHER_DIGEST, by_person, by_system, exception, request

RITA = User("rita", "r-1")
R = RefusalReason


def raw(subject):
    return subject.model_dump(mode="json", by_alias=True, exclude_none=True)


@pytest.fixture
def old():
    """A request that waits, as the webhook gets it."""
    return raw(request("ManualReview")) | {"status": {"state": "Submitted"}}


def digest_of(obj):
    return obj["spec"]["evidenceDigest"]


def written(old, **status):
    """The object after a write of its status; None takes a field away."""
    new = copy.deepcopy(old)
    new["status"] |= status
    new["status"] = {key: value for key, value in new["status"].items() if value is not None}
    return new


def stamped(old, new, kind=REQUEST_REVIEW, user=RITA, now=NOW):
    digest = digest_of(old) if kind is REQUEST_REVIEW else digest_of(raw(request()))
    status = stamped_status(kind, old, new, digest, user, now)
    assert status is not None
    return {**new, "status": status}


def check(old, new, kind=REQUEST_REVIEW, user=RITA, now=NOW, digest=None):
    return check_person_write(kind, old, new, digest or digest_of(old), user, now, PublicKeys())


def refusal(call, *args, **options):
    with pytest.raises(Refusal) as raised:
        call(*args, **options)
    return raised.value


def review(verdict="Approved", **more):
    return {"verdict": verdict, "rationale": "seen", **more}


def test_a_review_becomes_an_entry_and_the_state_that_follows(old):
    after = stamped(old, written(old, review=review()))["status"]
    assert after["state"] == "Approved"
    assert "review" not in after
    (entry,) = after["decisions"]
    assert entry == {
        "sequence": 1,
        "verdict": "Approved",
        "author": {"type": "Person", "username": "rita", "uid": "r-1"},
        "at": rfc3339(NOW),
        "evidenceDigest": digest_of(old),
        "rationale": "seen",
    }


def test_a_user_without_a_uid_leaves_none(old):
    after = stamped(old, written(old, review=review()), user=User("rita"))["status"]
    assert "uid" not in after["decisions"][0]["author"]


@pytest.mark.parametrize("verdict", ["UnderReview", "Approved", "Rejected"])
def test_what_is_stamped_passes_the_check(old, verdict):
    new = stamped(old, written(old, review=review(verdict)))
    entry = check(old, new)
    assert entry is not None
    assert entry.verdict == verdict
    assert check(old, new, now=NOW + timedelta(seconds=5)) is not None
    said = recorded(REQUEST_REVIEW, REQUEST_REVIEW.parse(old), entry)
    assert said.startswith(f"recorded if this command succeeds: {verdict} by rita on CABRequest")


def test_conditions_are_kept(old):
    conditions = [{"name": "watch", "description": "someone watches"}]
    asked = review("ConditionallyApproved", conditions=conditions)
    after = stamped(old, written(old, review=asked))["status"]
    assert after["decisions"][0]["conditions"] == conditions


def test_a_state_that_is_set_is_taken_for_the_review(old):
    asked = requested_review(REQUEST_REVIEW, old, written(old, state="Approved"))
    assert asked is not None
    assert asked.verdict == "Approved"
    assert asked.rationale == ""


@pytest.mark.parametrize("status", [{}, {"state": "Submitted"}, {"state": "AutoApproved"},
                                    {"state": "Superseded"}, {"conditions": []}])  # fmt: skip
def test_other_writes_ask_for_no_review(old, status):
    new = written(old, **status)
    assert requested_review(REQUEST_REVIEW, old, new) is None
    assert stamped_status(REQUEST_REVIEW, old, new, digest_of(old), RITA, NOW) is None


def test_an_entry_that_comes_with_its_state_is_not_stamped_twice(old):
    new = stamped(old, written(old, review=review()))
    assert requested_review(REQUEST_REVIEW, old, new) is None


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"verdict": "Fine"}, "status.review.verdict"),
        ({}, "status.review.verdict"),
        ({"verdict": "Approved", "evidenceDigest": "x"}, "status.review.evidenceDigest"),
        ({"verdict": "Approved", "conditions": [{"name": "a"}]},
         "status.review.conditions.0.description"),
        ("Approved", "status.review"),
    ],
)  # fmt: skip
def test_a_review_that_cannot_be_read_names_the_field_and_the_verdicts(old, asked, field):
    found = refusal(requested_review, REQUEST_REVIEW, old, written(old, review=asked))
    assert (found.reason, found.field) == (R.INVALID, field)
    assert "one of UnderReview, Approved, ConditionallyApproved" in found.message


def test_a_review_of_other_evidence_is_refused(old):
    asked = review(evidenceDigest=OTHER_DIGEST)
    found = refusal(stamped, old, written(old, review=asked))
    assert (found.reason, found.field) == (R.DIGEST_MISMATCH, "status.review.evidenceDigest")
    assert digest_of(old) in found.message
    stamped(old, written(old, review=review(evidenceDigest=digest_of(old))))


def test_an_illegal_verdict_says_what_was_decided_and_what_the_score_asks_for():
    of = request("ManualReview", by_person("Rejected"))
    old = raw(of)
    found = refusal(stamped, old, written(old, review=review()))
    assert found.reason is R.ILLEGAL_TRANSITION
    assert "is Rejected and cannot become Approved" in found.message
    assert "last decision: Rejected by rita at 20" in found.message
    assert found.message.endswith("its score asks for ManualReview")


def test_what_is_not_for_a_person_is_refused():
    old = raw(request("ExceptionRequired"))
    found = refusal(stamped, old, written(old, review=review()))
    assert found.reason is R.ILLEGAL_TRANSITION
    assert found.message.endswith("its score asks for ExceptionRequired")


def test_a_person_may_decide_what_the_system_has_left():
    old = raw(request("AutoApprove"))
    assert stamped(old, written(old, review=review()))["status"]["state"] == "Approved"


def test_a_write_that_changes_nothing_is_none(old):
    assert check(old, copy.deepcopy(old)) is None


FORGERIES = [
    ({"author": {"type": "Person", "username": "ann"}}, R.WRONG_CONTENT),
    ({"author": {"type": "Person", "username": "rita"}}, R.WRONG_CONTENT),
    ({"author": {"type": "Person", "username": "rita", "uid": "other"}}, R.WRONG_CONTENT),
    ({"author": {"type": "System", "username": "rita", "uid": "r-1"}}, R.WRONG_CONTENT),
    ({"at": rfc3339(NOW - timedelta(seconds=6))}, R.WRONG_CONTENT),
    ({"at": rfc3339(NOW + timedelta(seconds=6))}, R.WRONG_CONTENT),
    ({"at": "2026-03-01T12:00:00"}, R.INVALID),
    ({"evidenceDigest": OTHER_DIGEST}, R.DIGEST_MISMATCH),
    ({"sequence": 2}, R.WRITTEN_BY_OPERATOR_ONLY),
    ({"verdict": "AutoApproved"}, R.ILLEGAL_TRANSITION),
    ({"verdict": "Superseded"}, R.ILLEGAL_TRANSITION),
    ({"verdict": "Revoked"}, R.ILLEGAL_TRANSITION),
    ({"verdict": "Fine"}, R.INVALID),
]


@pytest.mark.parametrize(("forged", "reason"), FORGERIES)
def test_a_forged_entry_is_refused(old, forged, reason):
    new = stamped(old, written(old, review=review()))
    new["status"]["decisions"][0] |= forged
    assert refusal(check, old, new).reason is reason


@pytest.mark.parametrize(
    ("status", "field"),
    [
        ({"state": "Rejected"}, "status.state"),
        ({"state": None}, "status.state"),
        ({"conditions": []}, "status.conditions"),
        ({"review": {"verdict": "Rejected"}}, "status.review"),
        ({"other": 1}, "status.other"),
    ],
)
def test_nothing_goes_along_with_a_decision(old, status, field):
    new = written(stamped(old, written(old, review=review())), **status)
    found = refusal(check, old, new)
    assert (found.reason, found.field) == (R.WRITTEN_BY_OPERATOR_ONLY, field)


def test_two_entries_at_once_are_refused(old):
    once = stamped(old, written(old, review=review("UnderReview")))
    twice = stamped(once, written(once, review=review()))
    assert refusal(check, old, twice).field == "status.decisions"
    assert check(once, twice) is not None


def test_the_past_is_not_written_anew():
    old = raw(request("ManualReview", by_person("UnderReview"), by_person("Approved")))
    new = stamped(old, written(old, review=review("Revoked")))
    assert check(old, new) is not None
    first, second, third = new["status"]["decisions"]
    for decisions in (
        None,
        [],
        [first],
        [first, third],
        [second, first, third],
        [third, first, second],
        [first, {**second, "rationale": "other"}, third],
        "gone",
    ):
        changed = {**new, "status": {**new["status"], "decisions": decisions}}
        found = refusal(check, old, changed)
        assert found.field == "status.decisions", decisions


@pytest.mark.parametrize("status", [None, "x", {}])
def test_a_status_taken_away_is_refused(status):
    old = raw(request("ManualReview", by_person("Approved")))
    assert refusal(check, old, {**old, "status": status}).reason is R.WRITTEN_BY_OPERATOR_ONLY


def test_a_review_under_which_the_past_disappears_is_caught_by_the_check():
    old = raw(request("ManualReview", by_person("Approved")))
    new = stamped(old, written(old, decisions=None, review=review("Revoked")))
    assert refusal(check, old, new).field == "status.decisions"


# Exceptions


def test_an_exception_is_decided_on_the_evidence_of_its_request():
    of = request("ExceptionRequired")
    old = raw(exception(of))
    digest = of.spec.evidence_digest
    new = written(old, review=review())
    status = stamped_status(EXCEPTION_REVIEW, old, new, digest, RITA, NOW)
    assert status is not None
    assert status["state"] == "Approved"
    new = {**old, "status": status}
    entry = check(old, new, EXCEPTION_REVIEW, digest=digest)
    assert entry is not None
    said = recorded(EXCEPTION_REVIEW, EXCEPTION_REVIEW.parse(old), entry)
    assert f"on CABException leave, evidence {digest}" in said


def test_an_exception_that_is_over_names_its_end():
    of = request("ExceptionRequired")
    old = raw(exception(of, days=1, age=timedelta(days=2)))
    new = written(old, review=review())
    found = refusal(stamped_status, EXCEPTION_REVIEW, old, new, of.spec.evidence_digest, RITA, NOW)
    assert found.reason is R.ILLEGAL_TRANSITION
    assert "leave is Expired and cannot become Approved" in found.message
    assert found.message.endswith(f"it ends at {rfc3339(NOW - timedelta(days=1))}")


def test_a_decided_exception_tells_who_decided():
    of = request("ExceptionRequired")
    old = raw(exception(of, by_person("Rejected")))
    new = written(old, review=review())
    found = refusal(stamped_status, EXCEPTION_REVIEW, old, new, of.spec.evidence_digest, RITA, NOW)
    assert "last decision: Rejected by rita" in found.message


def test_no_person_says_that_an_exception_has_ended():
    of = request("ExceptionRequired")
    old = raw(exception(of, days=1, age=timedelta(days=2)))
    new = written(old, review=review("Expired"))
    assert refusal(requested_review, EXCEPTION_REVIEW, old, new).reason is R.INVALID


def test_entries_of_the_system_stand_beside_those_of_people():
    old = raw(request("ManualReview", by_system("Superseded"), by_system("Reopened")))
    new = stamped(old, written(old, review=review()))
    assert new["status"]["decisions"][-1]["sequence"] == 3
    assert check(old, new) is not None
