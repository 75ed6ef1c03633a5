# SPDX-License-Identifier: Apache-2.0
"""Frozen evidence by another model: what moves, and whom it would have asked."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from cabgate.api import CABRequest, RiskModel
from cabgate.api.riskmodel import Unverified
from cabgate.api.types import Tier
from cabgate.calibration.outcomes import OutcomesError, outcomes_in
from cabgate.calibration.replay import Replay, frozen_assessment, replay, replayed
from cabgate.calibration.replay_texts import as_data, as_text
from cabgate.risk.builtin_model import BUILT_IN, DEFAULT_RISK_MODEL
from cabgate_samples.models import NOW, by_person, by_system, intent, request, retrospective, target

AUTO, MANUAL, EXCEPTION = Tier

HEADER = "change,failed,at\n"


def with_thresholds(auto: str, manual: str) -> RiskModel:
    limits = {"auto_approve_up_to": Decimal(auto), "manual_review_up_to": Decimal(manual)}
    spec = DEFAULT_RISK_MODEL.spec.model_copy(update=limits)
    return DEFAULT_RISK_MODEL.model_copy(update={"spec": spec})


NONE_BY_SCORE = RiskModel.model_validate(
    with_thresholds("0.00", "75.00")
    .model_copy(
        update={
            "spec": with_thresholds("0.00", "75.00").spec.model_copy(
                update={
                    "factors": [
                        each.model_copy(update={"unverified": Unverified.FLOOR})
                        for each in DEFAULT_RISK_MODEL.spec.factors
                    ]
                }
            )
        }
    )
    .model_dump(by_alias=True)
)
"""Nothing is signed in these tests, so that a person decides on everything."""

LENIENT = with_thresholds("100.00", "100.00")
STRICT = with_thresholds("0.00", "10.00")

MADE: dict[str, Callable[[], CABRequest]] = {
    "auto": lambda: request("AutoApprove", by_system("AutoApproved"), name="auto"),
    "waits": lambda: request("ManualReview", name="waits"),
    "approved": lambda: request("ManualReview", by_person("Approved"), name="approved"),
    "rejected": lambda: request("ManualReview", by_person("Rejected"), name="rejected"),
    "revoked": lambda: request(
        "ManualReview", by_person("Approved"), by_person("Revoked"), name="revoked"
    ),
    "bad": lambda: request("ExceptionRequired", name="bad"),
}


def of(model: RiskModel, outcomes: str | None = None, **more: Any) -> Replay:
    some = [make() for make in MADE.values()]
    items = [replayed(each, model) for each in some]
    return replay(model, items, None if outcomes is None else outcomes_in(outcomes), **more)


def named(items: Any) -> list[str]:
    return [item.change.key.name for item in items]


@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("model", BUILT_IN.values(), ids=lambda model: model.name)
def test_by_its_own_model_a_request_is_assessed_as_it_records(made: str, model: RiskModel) -> None:
    found = MADE[made]()
    again = frozen_assessment(found, model)
    if model is DEFAULT_RISK_MODEL:
        assert again == found.spec.assessment
    assert again.risk_model.digest == model.digest


def test_floors_of_what_was_decided_before_are_kept_as_recorded() -> None:
    rejected = MADE["rejected"]()
    later = request("AutoApprove", of=intent(), others=[rejected])
    old = [floor.name for floor in later.spec.assessment.floors]
    assert old
    again = frozen_assessment(later, LENIENT)
    assert set(old) <= {floor.name for floor in again.floors}
    assert again.gate is MANUAL
    assert frozen_assessment(later, DEFAULT_RISK_MODEL) == later.spec.assessment


def test_images_without_evidence_still_ask_for_a_person() -> None:
    unnamed = request("AutoApprove", of=intent(targets=[target()], named=False))
    assert unnamed.spec.assessment.gate is MANUAL
    assert frozen_assessment(unnamed, LENIENT).gate is MANUAL


def test_nothing_moves_by_the_same_model() -> None:
    found = of(DEFAULT_RISK_MODEL)
    assert {old for old, new in found.moves if old is not new} == set()
    assert found.more_to_people == 0
    assert not found.not_given
    assert not found.by_score
    assert as_data(found)["moved"] == []


def test_a_model_that_asks_for_more() -> None:
    found = of(STRICT)
    assert found.moves == {(AUTO, AUTO): 1, (MANUAL, EXCEPTION): 4, (EXCEPTION, EXCEPTION): 1}
    assert found.more_to_people == 0
    assert named(found.not_given) == ["approved", "revoked"]


def test_a_floor_sends_what_the_score_approved_to_people() -> None:
    found = of(NONE_BY_SCORE)
    assert found.moves[AUTO, MANUAL] == 1
    assert found.more_to_people == 1
    assert named(found.not_given) == ["auto"]


def test_a_model_that_asks_for_less_names_what_people_had_rejected() -> None:
    found = of(LENIENT)
    assert found.more_to_people == -4
    assert named(found.by_score) == ["approved", "rejected", "revoked", "waits"]
    assert named(found.rejected_by_score) == ["rejected"]
    assert "4 fewer would go to people" in as_text(found)


OUTCOMES = f"""{HEADER}auto,true,2026-03-02
approved,true,2026-03-02
revoked,false,2026-03-02
gone,true,2026-03-02
"""


def test_failures_that_would_have_been_caught() -> None:
    found = of(NONE_BY_SCORE, OUTCOMES)
    assert named(found.failures) == ["approved", "auto"]
    assert named(found.caught) == ["auto"]
    assert found.unknown == ("gone",)
    text = as_text(found)
    assert "Failures that would have been caught: 1\n  shop/auto" in text
    assert "Not counted, since no such request was given: gone." in text
    assert named(of(STRICT, OUTCOMES).caught) == ["approved"]


def test_failures_that_would_have_been_let_through() -> None:
    found = of(LENIENT, OUTCOMES)
    assert named(found.let_through) == ["approved"]
    assert named(found.caught) == []


def test_without_outcomes_nothing_is_said_of_failures() -> None:
    found = of(STRICT)
    assert "--outcomes" in as_text(found)
    assert "failuresCaught" not in as_data(found)


def test_since_counts_what_was_opened_from_then_on() -> None:
    assert len(of(STRICT, since=NOW - timedelta(hours=1)).items) == len(MADE)
    assert len(of(STRICT, since=NOW - timedelta(minutes=59)).items) == 0
    # An outcome of what came before is known all the same.
    assert of(STRICT, OUTCOMES, since=NOW).unknown == ("gone",)


def test_a_broken_glass_has_nothing_to_score() -> None:
    found = replay(STRICT, [replayed(retrospective(), STRICT)])
    assert found.items == []


def test_a_copy_of_a_request_counts_once_and_the_newest() -> None:
    waits = request("ManualReview", name="approved")
    items = [replayed(each, STRICT) for each in (MADE["approved"](), waits)]
    for order in (items, items[::-1]):
        found = replay(STRICT, order)
        assert named(found.not_given) == ["approved"]
        assert len(found.items) == 1


def test_outcomes_that_contradict_one_another_are_refused() -> None:
    with pytest.raises(OutcomesError):
        of(STRICT, f"{HEADER}auto,true,2026-03-02\nshop/auto,false,2026-03-02\n")


def test_the_order_of_the_requests_changes_no_byte() -> None:
    items = [replayed(make(), STRICT) for make in MADE.values()]
    one, two = (replay(STRICT, order, outcomes_in(OUTCOMES)) for order in (items, items[::-1]))
    assert (as_text(one), as_data(one)) == (as_text(two), as_data(two))


def test_data_name_each_request_that_moves_with_both_scores() -> None:
    moved = as_data(of(STRICT))["moved"]
    assert moved[0] == {
        "namespace": "shop",
        "name": "approved",
        "approval": "Reviewed",
        "from": "ManualReview",
        "to": "ExceptionRequired",
        "scoreFrom": "52.50",
        "scoreTo": "52.50",
    }
