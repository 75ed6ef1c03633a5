# SPDX-License-Identifier: Apache-2.0
"""What the operator says is made of whole sentences."""

import pytest

from cabgate.api.request import RequestState
from cabgate_samples.models import by_person, request
from unit.operator.standings import about_request


@pytest.mark.parametrize(
    ("rationale", "said"),
    [("No tests", ": No tests. Declare new"), ("No tests!", ": No tests! Declare new")],
)
def test_a_rationale_ends_before_the_next_sentence_begins(rationale: str, said: str) -> None:
    refused = request("ManualReview", by_person("Rejected", rationale=rationale))
    assert said in about_request(refused, RequestState.REJECTED)
