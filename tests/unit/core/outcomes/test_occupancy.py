# SPDX-License-Identifier: Apache-2.0
"""How long the images of an outcome ran without a break, and how well."""

from datetime import timedelta
from decimal import Decimal

import pytest

from cabgate.outcomes.occupancy import (
    incident_count,
    is_ended,
    longest_occupancy,
    meets_percent,
    open_interruption,
    running_since,
    success_percent,
)
from unit.core.outcomes.outcomes import at, interruption, outcome_of


@pytest.mark.parametrize(
    ("outcome", "now", "seconds", "since"),
    [
        (outcome_of(), 100, 100, 0),
        (outcome_of(), 0, 0, 0),
        (outcome_of(), -5, 0, 0),  # the clock of whoever asks may be behind
        (outcome_of(interruption(60)), 1000, 60, None),
        (outcome_of(interruption(60, 90)), 100, 60, 90),  # the longest that is over
        (outcome_of(interruption(60, 90)), 1000, 910, 90),  # running now
        (outcome_of(interruption(10, 20), interruption(80)), 1000, 60, None),
        (outcome_of(result="Replaced", ended=70), 1000, 70, None),
        (outcome_of(interruption(50), result="Failed", ended=70), 1000, 50, None),
        (outcome_of(interruption(50, 60), result="Replaced", ended=300), 1000, 240, None),
        (outcome_of(interruption(0, 10)), 15, 5, 10),
        (outcome_of(interruption(500)), 100, 100, None),  # the operator's clock may be ahead
        (outcome_of(created=None), 100, 0, None),
    ],
)
def test_it_soaks_as_long_as_nothing_interrupts_it(outcome, now, seconds, since):
    assert longest_occupancy(outcome, at(now)) == timedelta(seconds=seconds)
    assert running_since(outcome) == (None if since is None else at(since))


@pytest.mark.parametrize(
    ("pods", "shown", "needed", "met"),
    [
        ((0, 0), "0.00", "0.00", False),  # nothing was seen: nothing is known
        ((0, 3), "0.00", "0.00", False),
        ((2, 0), "100.00", "100.00", True),
        ((100, 1), "99.00", "99.00", True),
        ((100, 1), "99.00", "99.01", False),
        ((3, 1), "66.66", "66.66", True),
        ((3, 1), "66.66", "66.67", False),
        ((30000, 1), "99.99", "100.00", False),
        ((1, 1), "0.00", "0.00", True),
        ((1, 4), "0.00", "0.01", False),  # one after the other failed
    ],
)
def test_percents_are_exact(pods, shown, needed, met):
    outcome = outcome_of(pods=pods)
    assert success_percent(outcome) == Decimal(shown)
    assert meets_percent(outcome, Decimal(needed)) is met


def test_incidents_are_counted_whatever_their_severity():
    incident = {"at": "2026-03-02T09:00:00Z", "source": "alertmanager", "by": "pager"}
    two = [{"id": "INC-1", "severity": 1, **incident}, {"id": "INC-2", "severity": 4, **incident}]
    assert incident_count(outcome_of(incidents=two)) == 2
    assert incident_count(outcome_of()) == 0


def test_it_says_whether_it_is_interrupted_and_whether_it_has_ended():
    assert open_interruption(outcome_of()) is None
    assert open_interruption(outcome_of(interruption(5, 6))) is None
    assert open_interruption(outcome_of(interruption(5))).from_ == at(5)
    assert not is_ended(outcome_of(interruption(5)))
    assert is_ended(outcome_of(result="Succeeded", ended=9))
