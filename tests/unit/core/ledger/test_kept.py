# SPDX-License-Identifier: Apache-2.0
"""A request that an event store kept is held against its records, and its score against the risk
model that was kept too."""

import copy
from typing import Any

import pytest

from cabgate.ledger.kept import kept
from cabgate.ledger.verification import verify
from cabgate_samples.objects import MIDDLING
from unit.core.ledger.histories import PUBLIC, STORY
from unit.core.ledger.test_other_models import STRICT, forged, scored


def frozen(raw: Any) -> dict[str, Any]:
    made: dict[str, Any] = copy.deepcopy(raw)
    made.pop("status", None)
    return made


OTHER = STORY.requests[1]["spec"]
FROZEN = [frozen(each) for each in STORY.requests]


def found(requests: Any, models: Any = ()) -> list[tuple[str, str]]:
    made = verify(STORY.records, [], [], PUBLIC, models=models, frozen=requests)
    return [(each.code.value, each.message) for each in made]


def test_what_was_kept_of_each_request_fits_its_records() -> None:
    assert found(FROZEN) == []


def test_a_request_of_which_there_is_no_record_is_nothing_wrong() -> None:
    other = copy.deepcopy(FROZEN[0])
    other["metadata"] |= {"uid": "r-9", "name": "app-9"}
    assert found([other]) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("correlationID", "other-1"),
        ("ring", 0),
        ("evidenceDigest", OTHER["evidenceDigest"]),
    ],
)
def test_one_that_says_otherwise_is_found(field: str, value: object) -> None:
    other = copy.deepcopy(FROZEN[0])
    other["spec"][field] = value
    differing = [message for code, message in found([other]) if code == "SubjectDiffers"]
    assert len(differing) == 2, "in each of its two records"
    assert all(field in message for message in differing)


def test_of_two_contents_of_one_request_the_forged_one_is_found() -> None:
    other = copy.deepcopy(FROZEN[0])
    other["spec"]["assessment"]["score"] = "1.00"
    codes = {code for code, _ in found([*FROZEN, other])}
    assert codes == {"SubjectDiffers", "WrongAssessment"}


def test_a_score_is_computed_anew_by_a_model_that_was_kept() -> None:
    right = frozen(scored(MIDDLING))
    assert found([right], [STRICT.to_dict()]) == []
    [(code, message)] = found([forged(right, score="99.99")], [STRICT.to_dict()])
    assert code == "WrongAssessment"
    assert "does not follow from its evidence" in message
    assert found([forged(right, score="99.99")]) == [], "without it nobody can know"


def test_the_same_spec_of_the_same_object_is_the_same_content() -> None:
    noisy = copy.deepcopy(STORY.requests[0])
    noisy["metadata"] |= {"resourceVersion": "7", "labels": {"a": "b"}, "managedFields": [{}]}
    noisy["status"] = {"state": "Approved"}
    one, other = kept("CABRequest", STORY.requests[0]), kept("CABRequest", noisy)
    assert one == other
    assert kept("CABRequest", {**noisy, "spec": {}}).digest != one.digest


@pytest.mark.parametrize("raw", [{}, {"metadata": None}, {"metadata": {"name": 7}, "spec": [None]}])
def test_what_is_no_object_as_it_should_be_is_kept_all_the_same(raw: Any) -> None:
    assert kept("CABRequest", raw).content
