# SPDX-License-Identifier: Apache-2.0
"""What lists show of requests and intents, and what whoever applies an intent is told."""

from datetime import timedelta

import pytest

from cabgate.api.selectable import NoneHolds
from cabgate.api.types import MAX_LISTED, Target
from cabgate.lifecycle.state.columns import listed_submitters, listed_targets
from cabgate.review.identity import User
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate.text.refusal import Refusal
from cabgate.writes.declared import MAX_BYTES
from cabgate_samples.models import NOW, by_person, intent, request, target
from cabgate_samples.objects import MIDDLING
from unit.core.standings import check_request_status, told_of_intent

THREE = [
    target("storefront", "storefront:1"),
    target("nightly-report", "report:1", apiVersion="batch/v1", kind="CronJob"),
    target("orders-db", "postgres:16", kind="StatefulSet"),
]


def test_a_list_names_and_counts_every_target_with_its_kind() -> None:
    targets = intent(targets=THREE).spec.targets
    said = "3: Deployment/storefront, CronJob/nightly-report, StatefulSet/orders-db"
    assert listed_targets(targets) == said
    assert listed_targets(targets[:1]) == "Deployment/storefront"


def test_what_has_no_room_is_counted() -> None:
    targets = [Target.model_validate(target(f"{'long-' * 10}{n}")) for n in range(50)]
    text = listed_targets(targets)
    assert text.startswith("50: Deployment/long-")
    assert text.endswith(" and 47 more")
    assert text.count("Deployment/") == 3
    assert len(text) <= MAX_LISTED
    assert len(listed_targets([Target.model_validate(target("n" * 253))])) <= MAX_LISTED


@pytest.mark.parametrize(
    ("submitters", "requester", "said"),
    [
        ([], None, "nobody known"),
        (["ann"], None, "ann"),
        (["ann", "bob"], None, "ann, bob"),
        (["system:serviceaccount:shop:ci"], "ann", "system:serviceaccount:shop:ci for ann"),
    ],
)
def test_a_list_names_who_submitted(submitters: list[str], requester: str, said: str) -> None:
    of = intent(submittedBy=[{"username": name} for name in submitters], requester=requester)
    assert listed_submitters(request(of=of).spec) == said
    many = intent(
        submittedBy=[{"username": f"{n}{'x' * 500}"} for n in range(9)], requester="a" * 99
    )
    assert len(listed_submitters(request(of=many).spec)) <= MAX_LISTED


def test_the_operator_shows_nothing_else_than_the_spec_says() -> None:
    old = request(targets=THREE)
    operator = User("operator")

    def write(targets: str | None, submitters: str | None) -> None:
        shown = {"state": "Submitted", "targets": targets, "submitters": submitters}
        new = old.model_copy(update={"status": old.status.model_copy(update=shown)})
        check_request_status(old, new, operator, current=True, model=None, now=NOW)

    write(listed_targets(old.spec.targets), listed_submitters(old.spec))
    write(None, None)
    for targets, submitters in (("Deployment/storefront", "nobody known"), (None, "ann")):
        with pytest.raises(Refusal, match="must name"):
            write(targets, submitters)


TOLD = [
    ({}, ["score 0.00, AutoApprove: cabgate approves it by its score", "Roll out once it is"]),
    (
        {"evidence": MIDDLING},
        [
            "score 52.50, ManualReview: a CAB member who did not submit it has to approve it.",
            "AutoApprove would take: ",
            "kubectl get cabrequest checkout-",
        ],
    ),
    (
        {"evidence": {}},
        ["score 100.00, ExceptionRequired: too risky", "cabgate exception -n shop checkout-"],
    ),
]


@pytest.mark.parametrize(("changes", "said"), TOLD)
def test_whoever_applies_an_intent_is_told_score_tier_and_next_step(
    changes: dict[str, object], said: list[str]
) -> None:
    text = told_of_intent(intent(**changes), 2, [], DEFAULT_RISK_MODEL)
    for part in ("checkout: ", *said):
        assert part in text
    assert len(text.encode()) <= MAX_BYTES
    assert "not gated" not in text
    assert "ring 1: not gated" in told_of_intent(intent(**changes), 1, [], DEFAULT_RISK_MODEL)


def test_they_are_told_of_what_stands_against_it() -> None:
    no_model = NoneHolds("RiskModelMissing", "RiskModel x is gone")
    assert "nobody can approve it" in told_of_intent(intent(), 2, [], no_model)
    other = request(of=intent(targets=[target("checkout", "other:1")]), age=timedelta(hours=2))
    stale = intent(targets=[target("checkout", "new:1")])
    assert "ManualReview" in told_of_intent(stale, 2, [other], DEFAULT_RISK_MODEL)


def test_they_are_told_of_a_decision_that_stands() -> None:
    of = intent(MIDDLING)
    refused = request("ManualReview", by_person("Rejected", rationale="no"), of=of)
    said = told_of_intent(of, 2, [refused], DEFAULT_RISK_MODEL)
    assert "was rejected" in said
    assert "kubectl edit deploymentintent checkout" in said
    approved = request("ManualReview", by_person("Approved"), of=of)
    said = told_of_intent(of, 2, [approved], DEFAULT_RISK_MODEL)
    assert f"request {approved.metadata.name} for it is Approved already" in said
    waiting = request("ManualReview", of=of)
    assert "has to approve it" in told_of_intent(of, 2, [waiting], DEFAULT_RISK_MODEL)
