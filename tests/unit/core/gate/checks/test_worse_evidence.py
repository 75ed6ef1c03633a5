# SPDX-License-Identifier: Apache-2.0
"""An approval by score ends where its intent declares other evidence for the same images."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api import CABRequest, DeploymentIntent
from cabgate.gate.verdict import Reason
from cabgate.lifecycle.requests.opening import has_other_evidence
from cabgate.lifecycle.state.states import state_of
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate_samples.decisions import numbered
from cabgate_samples.models import NOW, by_person, by_system, intent, request, rollout, target
from cabgate_samples.objects import GOOD, MIDDLING
from unit.core.standings import check_request_status, decide, decided_at, verdict_on
from unit.core.writes.test_system import OPERATOR, refusal

WEB = [target("web", "web:1")]


def approved(targets: list[dict[str, Any]] = WEB, **fields: Any) -> CABRequest:
    return request("AutoApprove", by_system("AutoApproved"), of=intent(GOOD, targets, **fields))


@pytest.mark.parametrize(
    ("declared", "ended"),
    [
        (intent(MIDDLING, WEB), True),
        (intent({}, WEB), False),  # which is not about these images
        (intent(MIDDLING, WEB, named=False), False),
        (intent(GOOD, WEB), False),  # the very same
        (intent(MIDDLING, [target("web", "web:2")]), False),  # the next release
        (intent(MIDDLING, [target("web", "web:1", "side:1")]), False),  # another set
        (intent(MIDDLING, [*WEB, target("db", "db:1")]), True),
        (
            intent(MIDDLING, [target("web", "web:1", apiVersion="apps/v2")]),
            True,
        ),  # the same workload
        (intent(MIDDLING, [target("other", "web:1")]), False),
        (intent(MIDDLING, WEB, name="other"), False),  # another's business
        (None, False),  # deleted: what was decided stays
    ],
)
def test_it_ends_where_all_that_it_names_is_judged_anew(
    declared: DeploymentIntent | None, ended: bool
) -> None:
    assert has_other_evidence(approved(), declared) is ended


def test_what_the_containers_were_to_do_is_something_to_go_back_to() -> None:
    one, other = ([{**WEB[0], "template": f"t1:sha256:{n * 64}"}] for n in "01")
    assert has_other_evidence(approved(one), intent(MIDDLING, one))
    assert not has_other_evidence(approved(one), intent(MIDDLING, other))
    assert not has_other_evidence(approved(one), intent(MIDDLING, WEB))
    # One that says nothing of it covers whatever the other says.
    assert has_other_evidence(approved(), intent(MIDDLING, one))


def test_a_set_with_something_to_go_back_to_stays() -> None:
    """One image of two moved on: the request is the way back to the other."""
    both = [target("web", "web:1"), target("db", "db:1")]
    assert not has_other_evidence(
        approved(both), intent(MIDDLING, [target("web", "web:2"), both[1]])
    )
    assert not has_other_evidence(approved(both), intent(MIDDLING, both[1:]))
    assert has_other_evidence(approved(both), intent(MIDDLING, both))
    two = [target("web", "web:1", "side:1")]
    assert not has_other_evidence(approved(two), intent(MIDDLING, [target("web", "web:1")]))


IMAGES = st.lists(st.sampled_from("abcd"), min_size=1, unique=True)
TARGETS = st.dictionaries(st.sampled_from(["web", "db"]), IMAGES, min_size=1)


@given(TARGETS, TARGETS)
def test_what_is_no_longer_declared_can_always_be_gone_back_to(
    before: dict[str, list[str]], now: dict[str, list[str]]
) -> None:
    old = approved([target(name, *images) for name, images in before.items()])
    live = intent(MIDDLING, [target(name, *images) for name, images in now.items()])
    gone = {(n, i) for n, images in before.items() for i in images if i not in now.get(n, ())}
    if gone:
        assert not has_other_evidence(old, live)
    for name, image in gone:
        assert decide(rollout(image, name=name), 2, [old], [], NOW).allowed


def test_ended_it_admits_no_more_and_says_so() -> None:
    old = request(
        "AutoApprove", by_system("AutoApproved"), by_system("Superseded"), of=intent(GOOD, WEB)
    )
    assert state_of(old) == "Superseded"
    assert verdict_on(old) is None
    assert decided_at(old) is not None  # it was, once
    alone = decide(rollout("web:1", name="web"), 2, [old], [], NOW)
    assert alone.reason is Reason.SUPERSEDED
    assert "superseded: its intent was deleted or now says otherwise." in alone.message
    worse = request("ManualReview", of=intent(MIDDLING, WEB))
    assert decide(rollout("web:1", name="web"), 2, [old, worse], [], NOW).reason is (
        Reason.REVIEW_PENDING
    )


def test_reopened_it_is_approved_again() -> None:
    turns = ["AutoApproved", "Superseded", "Reopened", "AutoApproved"]
    back = request("AutoApprove", *(by_system(verdict) for verdict in turns), of=intent(GOOD, WEB))
    assert state_of(back) == "AutoApproved"
    assert decide(rollout("web:1", name="web"), 2, [back], [], NOW).allowed


def wrong(before: CABRequest, *verdicts: str, state: str, **facts: Any) -> str | None:
    """The field of the refusal of the operator's entries, or None."""
    wire = before.model_dump(mode="json", by_alias=True)
    digest = before.spec.evidence_digest
    added = [by_system(verdict, NOW) for verdict in verdicts]
    decisions = [*wire["status"]["decisions"], *numbered(tuple(added), digest)]
    for sequence, entry in enumerate(decisions, 1):
        entry["sequence"] = sequence
    bare = CABRequest.model_validate({**wire, "status": {"decisions": decisions}})
    times = {"decidedAt": decided_at(bare)}
    new = CABRequest.model_validate(
        {**wire, "status": {"decisions": decisions, "state": state, **times}}
    )
    check = check_request_status
    return refusal(check, before, new, OPERATOR, model=DEFAULT_RISK_MODEL, now=NOW, **facts)


DECLARED = intent(MIDDLING, WEB)
FOLLOWING = request("ManualReview", of=DECLARED)


def test_the_operator_ends_it_only_where_that_is_so() -> None:
    old = approved()
    end = {"state": "Superseded"}
    there = {"intent": DECLARED, "others": [old, FOLLOWING]}
    assert wrong(old, "Superseded", **end, current=False, **there) is None
    for facts in (
        {"current": False},
        {"current": True, **there},
        {"current": False, **there, "others": [old]},  # nothing can be decided in its place
        {"current": False, **there, "intent": intent(GOOD, WEB, name="other")},
    ):
        assert wrong(old, "Superseded", **end, **facts) == "status.decisions"


def test_the_operator_never_ends_a_person_s_approval() -> None:
    old = request("ManualReview", by_person("Approved"), of=intent({**GOOD, "scope": {}}, WEB))
    facts = {"current": False, "intent": DECLARED, "others": [old, FOLLOWING]}
    assert wrong(old, "Superseded", state="Superseded", **facts) == "status.decisions"


def test_it_is_scored_anew_when_it_is_reopened() -> None:
    ended = request(
        "AutoApprove", by_system("AutoApproved"), by_system("Superseded"), of=intent(GOOD, WEB)
    )
    again, done = ("Reopened", "AutoApproved"), {"state": "AutoApproved", "current": True}
    assert wrong(ended, *again, **done) is None
    # Somebody refused the images meanwhile: a person decides.
    refused = request("ManualReview", by_person("Rejected"), of=intent(MIDDLING, WEB))
    assert wrong(ended, *again, **done, others=[ended, refused]) == "status.decisions"
    assert wrong(ended, "Reopened", state="Submitted", current=True, others=[refused]) is None


def test_the_operator_approves_nothing_without_evidence_for_its_images() -> None:
    old = request("AutoApprove", of=intent(GOOD, WEB, named=False))
    # As the release before this one assessed it.
    assessed = request("AutoApprove", of=intent(GOOD, WEB)).spec.assessment
    old = old.model_copy(update={"spec": old.spec.model_copy(update={"assessment": assessed})})
    facts = {"state": "AutoApproved", "current": True}
    assert wrong(old, "AutoApproved", **facts) == "status.decisions"
    # Nothing that stands is refused for it, and a person may decide.
    stood = request("AutoApprove", by_system("AutoApproved"), of=intent(GOOD, WEB, named=False))
    stood = stood.model_copy(update={"spec": old.spec})
    assert decide(rollout("web:1", name="web"), 2, [stood], [], NOW).allowed
    assert wrong(stood, **facts) is None


def test_the_operator_approves_nothing_on_the_reports_of_other_images() -> None:
    """Both were opened at once, and neither saw the other."""
    first, second = (
        request("AutoApprove", of=intent(GOOD, [target("web", image)])) for image in ("a", "b")
    )
    facts = {"state": "AutoApproved", "current": True, "others": [first, second]}
    answers = [wrong(each, "AutoApproved", **facts) for each in (first, second)]
    assert sorted(answers, key=str) == [None, "status.decisions"]
