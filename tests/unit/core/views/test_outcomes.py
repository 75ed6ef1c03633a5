# SPDX-License-Identifier: Apache-2.0
"""Outcomes as a list."""

from datetime import timedelta

from cabgate.views.outcomes import outcome_rows
from unit.core.outcomes.outcomes import at, interruption, outcome_of


def test_the_latest_of_each_workload_comes_first():
    found = [
        outcome_of(name="old", result="Replaced", ended=50),
        outcome_of(interruption(70), name="new", created=50, release="shop", pods=(3, 1)),
        outcome_of(name="down", created=60, incidents=[]),
    ]
    rows = outcome_rows(found, at(100))
    assert [(row.name, row.state) for row in rows] == [
        *(("down", "Running"), ("new", "Unavailable"), ("old", "Replaced")),
    ]
    new = rows[1]
    assert (new.workload, new.release, new.soak) == (
        "deployment/web",
        "shop",
        timedelta(seconds=20),
    )
    assert (new.seen, new.failed, new.success_percent) == (3, 1, "66.66")


def test_nothing_that_others_wrote_reaches_the_terminal():
    (row,) = outcome_rows([outcome_of(name="web\x1b[2J")], at(1))
    assert "\x1b" not in row.name
