# SPDX-License-Identifier: Apache-2.0
"""What the operator makes of other evidence for the same images, and of floors that came later."""

from cabgate.api import CABRequest, DeploymentIntent
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate_kube.resources import EVENTS, REQUESTS
from cabgate_operator.plans.requests import status_of_request
from unit.operator.controllers.declaring import decide, declare, look, name_of
from unit.operator.standings import news_of_approval, plan_request
from unit.operator.support import (
    GOOD,
    ME,
    MIDDLING,
    NOW,
    SYSTEM,
    World,
    intent,
    request,
    with_decisions,
)

BY_SCORE = ("AutoApproved", ME)
UNNAMED = {**GOOD, "artifacts": [{"name": "web"}]}
WORSE = {"artifacts": GOOD["artifacts"], "scope": {"affectedComponents": 20}}
"""For the same images, and of score 100."""


def test_an_approval_by_score_ends_once_there_is_a_request_for_what_is_declared_now() -> None:
    subject, following = with_decisions(request(GOOD), BY_SCORE), request(WORSE)

    def said(subject: CABRequest, declared: DeploymentIntent, *others: CABRequest) -> list[str]:
        plan = plan_request(subject, declared, [], SYSTEM, others, model=DEFAULT_RISK_MODEL)
        return [f"{entry.verdict}: {entry.rationale}" for entry in plan.entries]

    assert said(subject, intent(WORSE), subject) == []
    [ended] = said(subject, intent(WORSE), subject, following)
    assert ended.startswith("Superseded: ")
    assert f"in request {following.metadata.name}" in ended
    other = intent(WORSE, images=("r/web:2",))
    assert said(subject, other, request(WORSE, images=("r/web:2",))) == []
    person = with_decisions(request(MIDDLING), ("Approved", "ann"))
    assert said(person, intent(WORSE), following) == []


async def test_worse_evidence_counts_and_back_again() -> None:
    world, good, worse = World(), name_of(GOOD), name_of(WORSE)
    for content, states in (
        (GOOD, {good: "AutoApproved"}),
        (WORSE, {good: "Superseded", worse: "ExceptionRequired"}),
        (GOOD, {good: "AutoApproved", worse: "Superseded"}),
    ):
        declare(world, content)
        await look(world)
        assert world.requests() == states
    assert world.ready() == ("True", "RequestApproved")


def test_a_reviewer_is_told_once_and_only_of_their_own_images() -> None:
    approved = with_decisions(request(MIDDLING), ("Approved", "ann"))
    seen = news_of_approval(approved, intent(WORSE))
    assert seen is not None
    assert "was approved by ann, and still admits its images" in seen.message
    assert name_of(WORSE) in seen.message
    assert news_of_approval(approved, intent(MIDDLING)) is None
    assert news_of_approval(approved, intent(WORSE, images=("r/web:2",))) is None
    assert news_of_approval(with_decisions(request(GOOD), BY_SCORE), intent(WORSE)) is None


async def test_the_intent_says_that_an_approval_of_other_evidence_admits() -> None:
    world = World()
    declare(world, MIDDLING)
    await look(world)
    decide(world, name_of(MIDDLING), ("Approved", "ann"))
    declare(world, WORSE)
    await look(world)
    assert world.ready() == ("True", "RequestApproved")
    [ready] = [c for c in world.intent_status()["conditions"] if c["type"] == "Ready"]
    assert (
        f"an approval of other evidence than is declared now ({name_of(MIDDLING)}"
        in (ready["message"])
    )
    [event] = [e for e in world.api.all(EVENTS) if e["reason"] == "OtherEvidenceDeclared"]
    assert event["involvedObject"]["kind"] == REQUESTS.kind
    world.api.written.clear()
    await look(world)
    assert world.api.written == []


def test_a_request_of_the_release_before_waits_for_a_person_and_says_so() -> None:
    opened = request(UNNAMED)
    assessment = request(GOOD).spec.assessment
    old = opened.model_copy(
        update={"spec": opened.spec.model_copy(update={"assessment": assessment})}
    )
    plan = plan_request(old, intent(UNNAMED), [], SYSTEM, model=DEFAULT_RISK_MODEL)
    assert (plan.entries, plan.state) == ((), "Submitted")
    message = status_of_request({}, plan, NOW)["conditions"][0]["message"]
    assert "waits for a CAB member. no artifact names image r/web:1 in its images." in message
    assert "kubectl patch cabrequest" in message
    stands = with_decisions(old, BY_SCORE)
    assert (
        plan_request(stands, intent(UNNAMED), [], SYSTEM, model=DEFAULT_RISK_MODEL).state
        == "AutoApproved"
    )
