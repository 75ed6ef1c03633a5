# SPDX-License-Identifier: Apache-2.0
"""What was taken back counts for nothing, and what was approved can be gone back to: where the
rules of approvals, revocations and evidence meet."""

from datetime import timedelta

from cabgate.api import CABRequest
from cabgate.api.request import RequestState
from cabgate.lifecycle.requests.opening import has_other_evidence
from cabgate.review.identity import User
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate.writes.revoking import denied_by, images_to_revoke
from cabgate_operator.plans.requests import System, status_of_request
from cabgate_samples.models import (
    IMAGE,
    NOW,
    by_person,
    by_system,
    intent,
    newer,
    request,
    rollout,
    target,
)
from cabgate_samples.objects import GOOD, MIDDLING
from unit.core.standings import (
    Surroundings,
    check_request_status,
    decide,
    decided_at,
    earlier_verdict,
)
from unit.operator.standings import plan_request

HOUR = timedelta(hours=1)
OPERATOR = "system:serviceaccount:cabgate:operator"
SYSTEM = System(OPERATOR, NOW)
WITH_SIDE = request(
    *("AutoApprove", by_system("AutoApproved", NOW - 5 * HOUR)),
    targets=[target("checkout", IMAGE, "r/side:1")],
    age=6 * HOUR,
)
REVOKED = request(
    *("AutoApprove", by_system("AutoApproved", NOW - 5 * HOUR)),
    by_person("Revoked", NOW - 2 * HOUR),
    age=6 * HOUR,
)


def test_an_approval_that_was_taken_back_lifts_no_refusal() -> None:
    taken = request(
        *("ManualReview", by_person("Approved", NOW - HOUR), by_system("Reopened", NOW - HOUR)),
        age=1.5 * HOUR,
    )
    assert not decide(rollout(IMAGE), 2, [WITH_SIDE, REVOKED, taken], [], NOW).allowed
    assert earlier_verdict(taken.spec.targets, [REVOKED, taken]) is not None


def test_an_approval_by_rules_that_are_not_known_lifts_no_refusal() -> None:
    approved = request("ManualReview", by_person("Approved", NOW - HOUR), name="later")
    assert decide(rollout(IMAGE), 2, [WITH_SIDE, REVOKED, approved], [], NOW).allowed
    others = [WITH_SIDE, REVOKED, newer(approved, "quorum")]
    assert not decide(rollout(IMAGE), 2, others, [], NOW).allowed


def test_a_self_approval_of_what_was_decided_before_can_be_taken_back() -> None:
    """Approved by score, ended, held by a refusal, approved by who is in the intent: the operator's
    write is one that the webhook takes."""
    live = intent(submittedBy=[{"username": "ann"}, {"username": "rita"}])
    worse = {**GOOD, "scanResults": {"critical": 1, "high": 0}}
    bad = request(
        "ManualReview", by_person("Rejected", NOW - 4 * HOUR), of=intent(worse), age=5 * HOUR
    )
    made = request(
        *("AutoApprove", by_system("AutoApproved", NOW - 5 * HOUR)),
        by_system("Superseded", NOW - 5 * HOUR),
        by_system("Reopened", NOW - 3 * HOUR),
        by_person("Approved", NOW - timedelta(minutes=1)),
        of=live,
        age=6 * HOUR,
    )
    known = {"decided_at": decided_at(made), "state": RequestState.APPROVED}
    made = made.model_copy(update={"status": made.status.model_copy(update=known)})
    body = made.model_dump(mode="json", by_alias=True, exclude_none=True)
    plan = plan_request(made, live, [], SYSTEM, [bad, made])
    assert [entry.verdict for entry in plan.entries] == ["Reopened"]
    written = CABRequest.model_validate({**body, "status": status_of_request(body, plan, NOW)})
    check_request_status(
        *(made, written, User(OPERATOR)),
        current=True,
        model=DEFAULT_RISK_MODEL,
        now=NOW,
        intent=live,
        others=[bad, made],
    )


ONE, TWO = [target("checkout", "r/c:1")], [target("checkout", "r/c:2")]
OF_TWO = {**MIDDLING, "artifacts": [{"name": "checkout", "images": ["r/c:2"]}]}


def test_images_that_go_back_while_the_reports_stay_end_no_approval() -> None:
    first = request("AutoApprove", by_system("AutoApproved"), of=intent(GOOD, ONE))
    assert not has_other_evidence(first, intent(OF_TWO, ONE))


def test_naming_the_images_is_no_other_evidence() -> None:
    before = intent(GOOD, ONE, named=False)
    old = request("ManualReview", by_system("AutoApproved"), of=before)
    assert not has_other_evidence(old, intent(GOOD, ONE))
    corrected = {**GOOD, "deploymentPlan": {"uri": "https://wiki.example.com/other"}}
    assert not has_other_evidence(old, intent(corrected, ONE, named=False))
    assert has_other_evidence(old, intent(corrected, ONE))


def test_a_request_of_the_most_images_is_judged_without_looking_at_each_by_itself() -> None:
    """What a revocation would deny is asked of every image: 2,500 by the schema."""
    targets = [target(f"app-{n}", *(f"r/{n}:{i}" for i in range(50))) for n in range(50)]
    declared = intent(MIDDLING, targets, named=False)
    big = request("ManualReview", by_person("Approved"), of=declared, name="big")
    kept = [target("app-0", "r/0:0"), target("app-1", "r/1:0", "r/1:1")]
    other = request("ManualReview", by_person("Approved"), targets=kept, name="other")
    around = Surroundings([big, other], [], NOW)
    assert images_to_revoke(big, ["*"], around) == ("*",)
    denied = denied_by(big, ["r/0:0"], around)
    assert len(denied) == 2500 - 2, "but for the two that the other one keeps"
