# SPDX-License-Identifier: Apache-2.0
"""The one decision: every reason, and what must not admit."""

from datetime import timedelta
from typing import Any

import pytest

from cabgate.api import CABException, CABRequest
from cabgate.gate.verdict import GateVerdict, Reason
from cabgate.lifecycle.state.standing import standing_of
from cabgate.rollout.rings import HIGHEST
from cabgate.rollout.rollout import Rollout
from cabgate_samples.models import (
    IMAGE,
    NOW,
    OTHER_DIGEST,
    by_person,
    by_system,
    exception,
    intent,
    request,
    rollout,
    target,
)
from cabgate_samples.objects import MIDDLING
from unit.core.standings import covering, decide

DAY = timedelta(days=1)
RISKIER = {"scope": {"affectedComponents": 30}}


def decided(
    requests: list[CABRequest],
    exceptions: list[CABException] | None = None,
    what: Rollout | None = None,
    ring: int = 2,
    at: Any = NOW,
) -> GateVerdict:
    return decide(what or rollout(), ring, requests, exceptions or [], at)


RISKY = request("ExceptionRequired")
APPROVED = request("ManualReview", by_person("Approved"))


@pytest.mark.parametrize("ring", [0, 1])
def test_below_ring_2_nothing_is_asked(ring: int) -> None:
    decision = decided([], ring=ring)
    assert (decision.allowed, decision.reason) == (True, Reason.RING_NOT_GATED)
    assert decision.basis.request is None


@pytest.mark.parametrize(
    ("requests", "exceptions", "reason"),
    [
        ([], [], Reason.NO_REQUEST),
        ([request("AutoApprove", by_system("AutoApproved"))], [], Reason.REQUEST_APPROVED),
        ([APPROVED], [], Reason.REQUEST_APPROVED),
        ([request("AutoApprove")], [], Reason.REVIEW_PENDING),
        ([request("ManualReview")], [], Reason.REVIEW_PENDING),
        ([request("ManualReview", by_person("UnderReview"))], [], Reason.REVIEW_PENDING),
        ([request("ManualReview", by_person("Rejected"))], [], Reason.REJECTED),
        ([request("ManualReview", by_system("Superseded"))], [], Reason.SUPERSEDED),
        (
            [request("ManualReview", by_person("Approved"), by_person("Revoked"))],
            [],
            Reason.REVOKED,
        ),
        ([RISKY], [], Reason.EXCEPTION_REQUIRED),
        ([RISKY], [exception(RISKY)], Reason.EXCEPTION_PENDING),
        ([RISKY], [exception(RISKY, by_person("Approved"))], Reason.EXCEPTION_ACTIVE),
        ([RISKY], [exception(RISKY, by_person("Rejected"))], Reason.EXCEPTION_REQUIRED),
        (
            [RISKY],
            [exception(RISKY, by_person("Approved"), by_person("Revoked"))],
            Reason.EXCEPTION_REQUIRED,
        ),
        (
            [RISKY],
            [exception(RISKY, by_person("Approved", NOW - 2 * DAY), days=1, age=2 * DAY)],
            Reason.EXCEPTION_ENDED,
        ),
        (
            [RISKY],
            [
                exception(RISKY, days=1, age=2 * DAY, name="old"),
                exception(RISKY, name="new"),
            ],
            Reason.EXCEPTION_PENDING,
        ),
    ],
)
def test_every_reason(
    requests: list[CABRequest], exceptions: list[CABException], reason: Reason
) -> None:
    decision = decided(requests, exceptions)

    assert decision.reason is reason
    admitting = (Reason.REQUEST_APPROVED, Reason.EXCEPTION_ACTIVE)
    assert decision.allowed == (reason in admitting)
    assert decision.message.startswith(f"{reason}: ")
    assert (decision.basis.request is None) == (reason is Reason.NO_REQUEST)
    # The webhook asks for the highest ring first, and reads the namespace only if that denies.
    others = [decided(requests, exceptions, ring=ring) for ring in range(HIGHEST)]
    assert all(other.allowed for other in others[:2])
    assert [other.reason for other in others[2:]] == [reason] * (HIGHEST - 2)


def test_an_image_that_no_request_names_is_not_covered() -> None:
    decision = decided([APPROVED], what=rollout(IMAGE, "evil:1"))

    assert decision.reason is Reason.IMAGES_NOT_COVERED
    assert decision.basis.uncovered == ("evil:1",)
    assert "evil:1" in decision.message


def test_images_are_compared_character_by_character() -> None:
    for image in (IMAGE + " ", IMAGE.upper(), IMAGE + "@sha256:" + "0" * 64, IMAGE[:-1]):
        assert decided([APPROVED], what=rollout(image)).reason is Reason.IMAGES_NOT_COVERED


def test_two_requests_do_not_cover_a_rollout_together() -> None:
    one = request("ManualReview", by_person("Approved"), targets=[target("checkout", "a")])
    two = request("ManualReview", by_person("Approved"), targets=[target("checkout", "b")])

    assert decided([one, two], what=rollout("a", "b")).reason is Reason.IMAGES_NOT_COVERED
    assert decided([one, two], what=rollout("a")).allowed


def test_a_rollout_may_run_fewer_images_than_were_approved() -> None:
    wide = request("ManualReview", by_person("Approved"), targets=[target("checkout", "a", "b")])
    assert decided([wide], what=rollout("b")).allowed


def test_the_images_of_another_target_of_the_same_request_do_not_count() -> None:
    both = request(
        "ManualReview",
        by_person("Approved"),
        targets=[target("checkout", "a"), target("cart", "b")],
    )
    assert decided([both], what=rollout("b")).reason is Reason.IMAGES_NOT_COVERED
    assert decided([both], what=rollout("b", name="cart")).allowed


@pytest.mark.parametrize(
    "what",
    [
        rollout(namespace="elsewhere"),
        rollout(name="cart"),
        rollout(kind="StatefulSet"),
        rollout(group="argoproj.io"),
        rollout(group=""),
    ],
)
def test_another_workload_is_not_covered(what: Rollout) -> None:
    assert decided([APPROVED], what=what).reason is Reason.NO_REQUEST
    assert covering(what, [APPROVED]) == []


def test_the_version_of_the_api_does_not_make_another_workload() -> None:
    older = request(
        "ManualReview",
        by_person("Approved"),
        targets=[target("checkout", apiVersion="apps/v1beta2")],
    )
    assert decided([older]).allowed


def test_an_older_approval_admits_although_a_newer_request_waits() -> None:
    """What lets a rollback through while the next release is in review."""
    old = request("AutoApprove", by_system("AutoApproved"), age=10 * DAY)
    new = request("ManualReview", targets=[target("checkout", IMAGE, "new:2")], age=DAY)

    decision = decided([new, old])
    assert decision.allowed
    assert decision.basis.request == standing_of(old)
    assert decided([new, old], what=rollout("new:2")).reason is Reason.REVIEW_PENDING


def test_of_several_approvals_the_newest_is_named() -> None:
    old = request("ManualReview", by_person("Approved"), age=2 * DAY, name="old")
    new = request("ManualReview", by_person("Approved"), age=DAY, name="new")
    for order in ([old, new], [new, old]):
        assert decided(order).basis.request == standing_of(new)
    assert [r.metadata.name for r in covering(rollout(), [old, new])] == ["new", "old"]


def test_what_waits_is_told_before_what_has_ended() -> None:
    waiting = request("ManualReview", age=3 * DAY, name="waiting")
    other = intent({**MIDDLING, "scope": {"affectedComponents": 8}})
    rejected = request("ManualReview", by_person("Rejected"), age=DAY, name="rejected", of=other)
    superseded = request("ManualReview", by_system("Superseded"), name="superseded")

    decision = decided([superseded, rejected, waiting])
    assert decision.reason is Reason.REVIEW_PENDING
    assert decision.basis.request == standing_of(waiting)


def test_of_requests_that_do_not_cover_the_live_one_is_named() -> None:
    live = request("ManualReview", age=3 * DAY, name="live")
    gone = request("ManualReview", by_system("Superseded"), age=DAY, name="gone")

    assert decided([gone, live], what=rollout("other")).basis.request == standing_of(live)


def test_a_request_without_a_creation_time_is_the_oldest() -> None:
    stored = request("ManualReview", by_person("Approved"), name="stored", age=999 * DAY)
    fresh = stored.model_copy(
        update={
            "metadata": stored.metadata.model_copy(
                update={"creation_timestamp": None, "name": "fresh"}
            )
        }
    )
    assert decided([fresh, stored]).basis.request == standing_of(stored)


@pytest.mark.parametrize("of", [RISKY, request("ExceptionRequired", by_system("Superseded"))])
def test_an_active_exception_admits_what_was_superseded_too(of: CABRequest) -> None:
    leave = exception(of, by_person("Approved"))
    assert decided([of], [leave]).reason is Reason.EXCEPTION_ACTIVE
    assert not decided([of], [leave], at=NOW + 30 * DAY).allowed


@pytest.mark.parametrize(
    ("of", "reason"),
    [
        (request("ManualReview"), Reason.REVIEW_PENDING),
        (request("ManualReview", by_person("UnderReview")), Reason.REVIEW_PENDING),
        (request("ManualReview", by_person("Rejected")), Reason.REJECTED),
        (request("ManualReview", by_system("Superseded")), Reason.SUPERSEDED),
        (request("ExceptionRequired", by_person("Revoked", NOW - DAY)), Reason.REVOKED),
    ],
)
def test_no_exception_admits_what_a_cab_member_decides_or_somebody_refused(
    of: CABRequest, reason: Reason
) -> None:
    leave = exception(of, by_person("Approved"))
    decision = decided([of], [leave])
    assert (decision.allowed, decision.reason) == (False, reason)


def test_an_exception_admits_up_to_the_last_second() -> None:
    leave = exception(RISKY, by_person("Approved"), days=7, age=timedelta(0))
    # Approved half an hour before it was created is legal history as far as the table goes.
    assert decided([RISKY], [leave], at=NOW + 7 * DAY - timedelta(seconds=1)).allowed
    ended = decided([RISKY], [leave], at=NOW + 7 * DAY)
    assert (ended.allowed, ended.reason) == (False, Reason.EXCEPTION_ENDED)


def test_an_exception_for_other_evidence_does_not_admit() -> None:
    stale = exception(RISKY, by_person("Approved", evidenceDigest=OTHER_DIGEST))
    assert decided([RISKY], [stale]).reason is Reason.EXCEPTION_REQUIRED


def test_an_exception_for_another_request_does_not_admit() -> None:
    other = request("ExceptionRequired", name="another")
    leave = exception(other, by_person("Approved"))
    assert decided([RISKY], [leave]).reason is Reason.EXCEPTION_REQUIRED


def test_an_exception_does_not_cover_another_image() -> None:
    leave = exception(RISKY, by_person("Approved"))
    assert decided([RISKY], [leave], rollout("new:2")).reason is Reason.IMAGES_NOT_COVERED


def test_a_revocation_ends_the_exceptions_before_it() -> None:
    revoked = request("ExceptionRequired", by_person("Revoked", NOW), name="revoked")
    risky = request("ExceptionRequired", name="risky", of=intent(RISKIER))
    before = exception(risky, by_person("Approved", NOW - timedelta(minutes=1)))
    same = exception(risky, by_person("Approved", NOW))
    after = exception(risky, by_person("Approved", NOW + timedelta(minutes=1)))
    later = NOW + timedelta(minutes=2)

    assert not decided([revoked, risky], [before], at=later).allowed
    # In the same second nobody knows which came first.
    assert not decided([revoked, risky], [same], at=later).allowed
    assert decided([revoked, risky], [after], at=later).reason is Reason.EXCEPTION_ACTIVE


def test_a_conditional_approval_tells_its_conditions() -> None:
    conditions = [
        {"name": "watch", "description": "watch the error rate\n\u202eand\tlatency"},
        {"name": "page", "description": "x" * 500},
    ]
    made = request("ManualReview", by_person("ConditionallyApproved", conditions=conditions))
    decision = decided([made])

    assert decision.allowed
    first, second = decision.warnings
    # The API server drops a warning that holds control characters.
    assert first.endswith("approval condition watch: watch the error rate and latency")
    assert second.endswith("x...")
    assert len(second.encode()) < 450
    assert all(warning.isprintable() for warning in decision.warnings)


def test_an_exception_warns_of_its_end() -> None:
    decision = decided([RISKY], [exception(RISKY, by_person("Approved"))])
    [warning] = decision.warnings
    assert "leave" in warning
    assert "2026-03-31T11:00:00Z" in warning


def test_a_plain_approval_and_a_denial_warn_of_nothing() -> None:
    assert decided([APPROVED]).warnings == ()
    assert decided([RISKY]).warnings == ()
    assert decided([]).warnings == ()
