# SPDX-License-Identifier: Apache-2.0
"""Which outcomes of a workload stay."""

import pytest

from cabgate.lifecycle.limits.kept_outcomes import removable_outcomes
from cabgate.lifecycle.limits.retention import KEPT_FOR
from unit.core.outcomes.outcomes import at, outcome_of

WEEK = KEPT_FOR.total_seconds()


def ended(name, created, at_=None):
    return outcome_of(name=name, created=created, result="Replaced", ended=at_ or created + 1)


MANY = [ended("c", 30), outcome_of(name="old", created=5), ended("a", 10), ended("b", 20)]


@pytest.mark.parametrize(
    ("now", "kept", "declared", "gone"),
    [
        (100, 4, True, []),
        (100, 2, True, ["a"]),  # the two that began last, and what has not ended
        (100, 0, True, ["a", "b", "c"]),
        (WEEK + 22, 4, True, []),
        (WEEK + 22, 4, False, ["a", "b"]),  # nothing has the workload, for a week
        (WEEK + 10, 4, False, []),
    ],
)
def test_what_is_needed_stays(now, kept, declared, gone):
    found = removable_outcomes(MANY, at(now), kept, is_declared=declared)
    assert [each.metadata.name for each in found] == gone
