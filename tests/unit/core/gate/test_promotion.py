# SPDX-License-Identifier: Apache-2.0
"""Rollouts into a ring that another one comes before: each kind with each soak, and what passes."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest

from cabgate.api.kinds import BUILT_IN
from cabgate.gate.coverage import running_of
from cabgate.gate.verdict import Reason
from cabgate.lifecycle.limits.freezes import FreezeInForce
from cabgate.lifecycle.limits.promotion import UNKNOWN, WAIVED, EarlierRings
from cabgate_samples.models import (
    NAMESPACE,
    NOW,
    by_person,
    by_system,
    exception,
    intent,
    request,
    rollout,
    target,
)
from cabgate_samples.objects import MIDDLING, workload
from support.policies import BOARD, vote
from support.promotion import (
    DAY,
    IMAGE,
    OTHER_IMAGE,
    RELEASE,
    TEMPLATE,
    interruption,
    outcome,
    policy,
    promoted,
    rings,
    row,
)
from unit.core.standings import candidates, decide, uncovered

PENDING, FAILED = Reason.PREVIOUS_RING_PENDING, Reason.PREVIOUS_RING_FAILED
APPROVED = Reason.REQUEST_APPROVED

SOAKS = {
    "absent": ([], PENDING),
    "short": ([outcome(DAY)], PENDING),
    "met": ([outcome()], APPROVED),
    "met before": ([outcome(9 * DAY, result="Replaced", ended=NOW - DAY)], APPROVED),
    "interrupted": ([outcome(interrupted=[interruption(2 * DAY, DAY)])], PENDING),
    "interrupted now": ([outcome(interrupted=[interruption(2 * DAY)])], PENDING),
    "failed": ([outcome(result="Failed")], FAILED),
    "rolled back": ([outcome(result="RolledBack")], FAILED),
    "incident": ([outcome(incidents=1)], FAILED),
    "Pods failed": ([outcome(pods=(10, 1))], FAILED),
    "few Pods": ([outcome(pods=(1, 0))], PENDING),
    "another image": ([outcome(images=[OTHER_IMAGE])], PENDING),
    "another ring": ([outcome(ring=1)], PENDING),
}
"""What became of a release in ring 2, and what is said in ring 3."""

KINDS = sorted({(kind.group, kind.kind) for kind in BUILT_IN})


def asked(requests, ring=3, known=None, what=None, exceptions=(), **more):
    what = what or rollout(IMAGE)
    earlier = rings() if known is None else known
    return decide(what, ring, list(requests), list(exceptions), NOW, earlier_rings=earlier, **more)


@pytest.mark.parametrize(("soak", "kind"), list(itertools.product(SOAKS, KINDS)), ids=str)
def test_each_kind_waits_for_each_soak(soak, kind):
    found, expected = SOAKS[soak]
    group, name = kind
    what = rollout(IMAGE, group=group, kind=name)
    named = {"apiVersion": f"{group}/v1" if group else "v1", "kind": name, "name": "checkout"}
    asks = request(
        "ManualReview",
        by_person("Approved"),
        of=intent(MIDDLING, [{**named, "images": [IMAGE]}], release=RELEASE),
        policy=policy(),
    )
    verdict = asked([asks], known=rings(*found), what=what)
    assert verdict.reason is expected
    assert verdict.allowed is (expected is APPROVED)
    # No ring below, no rollback and nothing without a new image is stopped by it.
    for ring in (0, 1, 2):
        assert asked([asks], ring, rings(*found), what).allowed
    assert asked([asks], known=WAIVED, what=what).reason is APPROVED
    assert asked([asks], known=rings(*found), what=replace(what, images=())).allowed


@pytest.mark.parametrize(
    "decisions",
    [
        [],
        [by_person("Approved", overrides=["christmas"])],
        [by_person("Approved", overrides=["promotion.ring-4"])],
        [by_person("ConditionallyApproved", conditions=[{"name": "a", "description": "b"}])],
    ],
)
def test_no_approval_takes_its_place(decisions):
    assert asked([promoted(*decisions)]).reason is PENDING


def test_nothing_that_was_not_read_is_taken_for_a_soak():
    verdict = decide(rollout(IMAGE), 3, [promoted()], [], NOW)
    assert verdict.reason is PENDING
    assert "was not read" in verdict.message
    assert decide(
        rollout(IMAGE), 3, [promoted()], [], NOW, earlier_rings=EarlierRings({}, TEMPLATE)
    ).reason is PENDING  # fmt: skip
    assert not asked([promoted()], known=replace(rings(outcome()), template="")).allowed
    assert UNKNOWN.waived is False


def test_what_is_approved_by_its_score_waits_as_well():
    scored = promoted(by_system("AutoApproved"), gate="AutoApprove")
    assert asked([scored]).reason is PENDING
    assert asked([scored], known=rings(outcome())).reason is APPROVED


def test_what_waits_for_people_is_told_of_them_first():
    spec = BOARD.spec.model_copy(update={"promotion": policy().spec.promotion})
    board = BOARD.model_copy(update={"spec": spec})
    of = intent(MIDDLING, [target("checkout", IMAGE)], release=RELEASE)
    waits = request("ManualReview", vote("rita"), of=of, policy=board)
    assert waits.spec.requires == ["Promotion", "Quorum"]
    assert asked([waits]).reason is Reason.REVIEW_PENDING
    enough = request("ManualReview", vote("rita"), vote("max"), of=of, policy=board)
    assert asked([enough]).reason is PENDING


def test_an_override_is_of_one_ring_and_ends_with_the_approval():
    name = "promotion.ring-3"
    over = promoted(by_person("Approved"), by_person("Approved", overrides=[name]))
    for found, _ in SOAKS.values():
        assert asked([over], known=rings(*found)).reason is APPROVED
    both = [row(), row(4, 3)]
    of_3 = promoted(by_person("Approved", overrides=[name]), rows=both)
    assert asked([of_3]).reason is APPROVED
    assert asked([of_3], 4).reason is PENDING
    gone = promoted(by_person("Approved", overrides=[name]), by_person("Revoked"))
    assert asked([gone]).reason is Reason.REVOKED
    anew = promoted(
        by_person("Approved", overrides=[name]),
        by_system("Superseded"),
        by_system("Reopened"),
        by_person("Approved"),
    )
    assert not asked([anew]).allowed


def test_an_exception_waits_and_no_approval_overrides_that():
    risky = promoted(gate="ExceptionRequired")
    given = [exception(risky, by_person("Approved"))]
    verdict = asked([risky], exceptions=given)
    assert verdict.reason is PENDING
    assert "No approval overrides it for an exception" in verdict.message
    assert asked([risky], exceptions=given, known=rings(outcome())).allowed


def test_a_freeze_is_told_before_the_ring():
    held = FreezeInForce("christmas", "Christmas", NOW - DAY, NOW + DAY, NOW - DAY)
    assert asked([promoted()], freezes=[held]).reason is Reason.FROZEN
    over = promoted(by_person("Approved", overrides=["christmas"]))
    assert asked([over], freezes=[held]).reason is PENDING


def test_what_was_opened_without_rows_is_as_before():
    before = request("ManualReview", by_person("Approved"), of=intent(MIDDLING))
    assert before.spec.terms is None
    assert asked([before], what=rollout()).reason is APPROVED


def test_a_workload_that_labels_itself_higher_leaves_no_promotion_behind():
    assert asked([promoted()], 4).reason is PENDING
    assert asked([promoted()], 4, rings(outcome())).reason is APPROVED


def test_no_denial_names_another_namespace():
    secret = "of-another-team"
    for found in (
        [outcome(DAY, namespace=secret)],
        [outcome(namespace=secret, result="Failed", incidents=2, name="their-workload")],
        [outcome(namespace=secret, pods=(1, 0))],
    ):
        rows = [row(namespaces=[secret])]
        verdict = asked([promoted(rows=rows)], known=rings(*found))
        assert not verdict.allowed
        assert secret not in verdict.message
        assert "their-workload" not in verdict.message


def test_each_request_says_where_its_release_stands():
    (look,) = candidates(
        *(rollout(IMAGE), [promoted()], [], NOW), ring=3, earlier_rings=rings(outcome(DAY))
    )
    assert look.reason is PENDING
    assert look.prior.until == NOW + 2 * DAY
    # Asked for no ring, as where somebody revokes, what is approved is in force.
    (look,) = candidates(rollout(IMAGE), [promoted()], [], NOW)
    assert look.reason is APPROVED


def test_what_runs_already_is_covered():
    """It went by before, or the ring was raised: no report says that nothing covers it."""
    kind = next(each for each in BUILT_IN if each.kind == "Deployment")

    def found(image):
        running = running_of(kind, NAMESPACE, workload(NAMESPACE, name="checkout", images=[image]))
        return uncovered(NAMESPACE, 3, [running], [promoted()], [], NOW)

    assert found(IMAGE) == []
    assert [each.reason for each in found(OTHER_IMAGE)] == ["ImagesNotCovered"]


def test_a_soak_is_met_in_the_second_that_it_ends():
    begun = outcome(3 * DAY - timedelta(seconds=1))
    assert asked([promoted()], known=rings(begun)).reason is PENDING
    assert asked([promoted()], known=rings(outcome(3 * DAY))).reason is APPROVED
