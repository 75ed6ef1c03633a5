# SPDX-License-Identifier: Apache-2.0
"""Tables and targets of rollouts that come alone, in a stream or in a burst, of made-up figures."""

import pytest

from cabgate_bench.results.cells import SIDES, alone
from cabgate_bench.results.report import _bursts, _highest
from cabgate_bench.results.targets import rows

MEDIANS = dict(zip(SIDES, (4.0, 5.0, 8.0, 9.0), strict=True))


def cell(side, arrivals, writes):
    p50 = MEDIANS[side] * (10 if writes == "elsewhere" and side == "cabgate" else 1)
    return {
        "side": side,
        "arrivals": arrivals,
        "writes": writes,
        "calls": 30,
        "failed": 0,
        "p50": p50,
        "p90": p50,
        "p99": 2 * p50,
        "worst": 3 * p50,
        "samples": [],
        "cacheWaitMilliseconds": None,
        "apiServerCpuMilliseconds": 3.0,
    }


@pytest.fixture
def result():
    arrivals, writes = ("1/s", "50/s"), ("quiet", "elsewhere")
    return {"bursts": [cell(s, a, w) for w in writes for s in SIDES for a in arrivals]}


def test_each_way_of_coming_is_a_line_with_what_each_side_adds(result):
    text = _bursts(result)
    assert "| 50/s | quiet | 1.0 | 4.0 | 5.0 |" in text
    assert "| 1/s | elsewhere | 1.0 | 4.0 | 86.0 |" in text
    assert "9.0 / 18.0 / 27.0 (0 of 30)" in text


def test_a_target_is_a_ratio_within_one_run_and_a_miss_says_why(result):
    found = {row["target"]: row for row in rows(result)}
    median = found["added p50 at 50/s, against one read"]
    assert (median["measured"], median["verdict"]) == (1.25, "held")
    assert found["p99 at 50/s, against one read"]["measured"] == round(18 / 16, 2)
    beside = found["added p50 at 1/s beside writes, against quiet"]
    assert (beside["measured"], beside["verdict"]) == (17.2, "missed")
    assert "bare: p50 4.0 ms" in beside["reason"]
    assert found["added p50 at 50/s"]["verdict"] == "not measured"


def test_the_highest_rate_is_held_against_the_webhook_that_admits_unread(result):
    def highest(side, rate):
        steps = [{"rate": rate, "failed": 0, "p50": 5.0, "p99": 9.0}]
        steps.append({"rate": rate + 50, "failed": 3, "p50": 900.0, "p99": 2000.0})
        return {"side": side, "highest": rate, "steps": steps}

    result["highest"] = [highest("null", 400.0), highest("reading", 300.0), highest("cabgate", 250)]
    found = {row["target"]: row for row in rows(result)}
    rate = found["highest rate, against a webhook that admits unread"]
    assert (rate["measured"], rate["verdict"]) == (0.62, "missed")
    assert "cabgate: 250 a second; at 300 3 failed and p99 was 2000.0 ms" in rate["reason"]
    assert "| cabgate | 250 | 0 | 5.0 | 9.0 |" in _highest(result)


def test_what_was_not_measured_is_no_cell(result):
    with pytest.raises(StopIteration):
        alone("bare", "20 at once", "quiet", result)
