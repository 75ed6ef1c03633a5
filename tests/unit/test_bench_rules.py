# SPDX-License-Identifier: Apache-2.0
"""What the benchmark of the rules of change prints."""

from datetime import UTC, datetime, timedelta

from cabgate.api.changepolicy import ChangePolicy
from cabgate.lifecycle.limits.freezes import freezes_in_force
from cabgate.lifecycle.requests.terms import policy_problems
from cabgate_bench.measure.rules import POLICY, figures, freeze


def test_what_is_added_is_of_the_medians_of_a_round():
    took = {"plain": [[1.0, 2.0, 9.0], [4.0]], "ruled": [[3.0, 3.0, 3.0], [2.0]]}
    found = figures(took, {"plain": [1.0, 1.0], "ruled": [2.0, 3.0]})
    assert found["added"] == {"min": -2.0, "median": -0.5, "max": 1.0}
    assert found["ratio"] == {"min": 0.5, "median": 1.0, "max": 1.5}
    assert found["ruled"]["webhookCpu"]["median"] == 2.5


def test_its_policy_can_be_met_and_its_freezes_hold_nothing_back():
    assert policy_problems(ChangePolicy.model_validate(POLICY)) == []
    freezes = [freeze("over", -timedelta(days=9)), freeze("to-come", timedelta(days=300))]
    assert freezes_in_force(freezes, {}, 2, datetime.now(UTC)) == []
    assert freezes_in_force([freeze("now", timedelta())], {}, 2, datetime.now(UTC)) != []
