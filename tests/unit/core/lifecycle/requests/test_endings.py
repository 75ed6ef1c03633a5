# SPDX-License-Identifier: Apache-2.0
"""An approval by score ends only where something else can be decided in its place, and evidence is
declared that is about its images."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api.request import RequestState
from cabgate.lifecycle.state.standing import standing_of
from cabgate.lifecycle.state.states import state_of
from cabgate_samples.models import by_person, by_system, intent, request, target
from cabgate_samples.objects import GOOD
from unit.core.standings import ended_by

HOUR = timedelta(hours=1)


def reports(build, **more):
    """Good evidence with the reports of a build."""
    return {
        **GOOD,
        "testResults": {**GOOD["testResults"], "uri": f"https://ci.example.com/{build}/tests"},
        "scanResults": {**GOOD["scanResults"], "uri": f"https://ci.example.com/{build}/scan"},
        **more,
    }


def of(evidence, *images):
    return intent(evidence, [target("checkout", *images)])


BY_SCORE = by_system("AutoApproved")
FIRST = request("AutoApprove", BY_SCORE, of=of(reports(1), "r/web:1"), age=9 * HOUR)
SECOND = request("AutoApprove", BY_SCORE, of=of(reports(2), "r/web:2"), age=8 * HOUR)
BAD_SCAN = {"critical": 2, "high": 0, "uri": "https://ci.example.com/later/scan"}
RESCANNED = of(reports(1, scanResults=BAD_SCAN), "r/web:1")


def waiting(of, *entries, others=(), age=HOUR):
    return request("ManualReview", *entries, of=of, others=others, age=age)


def test_a_worse_rescan_of_the_same_images_ends_it():
    following = waiting(RESCANNED)
    assert ended_by(FIRST, RESCANNED, [FIRST, SECOND, following]) == standing_of(following)


@pytest.mark.parametrize("verdict", ["Rejected", "Approved"])
def test_so_does_one_that_is_decided_already(verdict):
    following = waiting(RESCANNED, by_person(verdict))
    assert ended_by(FIRST, RESCANNED, [FIRST, following]) == standing_of(following)


def test_it_stands_as_long_as_what_would_follow_waits_itself():
    """Changed back and forth too often, or with no room for another entry: nobody could decide."""
    held = waiting(RESCANNED, by_system("Superseded"))
    assert ended_by(FIRST, RESCANNED, [FIRST, held]) is None
    assert ended_by(FIRST, RESCANNED, [FIRST]) is None


def test_going_back_with_the_reports_of_the_later_release_ends_nothing():
    """One value is set back, which fills in targets and artifacts: the reports stay."""
    back = of(reports(2), "r/web:1")
    following = waiting(back, others=[FIRST, SECOND])
    assert [each.name for each in following.spec.assessment.floors] == ["StaleEvidence"]
    assert ended_by(FIRST, back, [FIRST, SECOND, following]) is None
    figures = {**GOOD, "scanResults": {"critical": 0, "high": 1}}
    second = request("AutoApprove", of=of(figures, "r/web:2"), age=8 * HOUR)
    alike = of(figures, "r/web:1")
    first = request("AutoApprove", by_system("AutoApproved"), of=of(GOOD, "r/web:1"), age=9 * HOUR)
    found = [first, second, waiting(alike, others=[first, second])]
    assert ended_by(first, alike, found) is None, "nor where only the figures tell"


def test_its_own_reports_are_about_its_images_whoever_had_them_too():
    """An old set had the same tests: the new scan counts all the same."""
    beside = request("AutoApprove", of=of(reports(1), "r/web:0"), age=10 * HOUR)
    following = waiting(RESCANNED, others=[beside, FIRST])
    assert ended_by(FIRST, RESCANNED, [beside, FIRST, following]) == standing_of(following)


def test_who_takes_the_reports_for_other_images_later_changes_nothing():
    following = waiting(RESCANNED)
    later = waiting(of(reports(1, scanResults=BAD_SCAN), "r/web:9"), age=timedelta(0))
    assert ended_by(FIRST, RESCANNED, [FIRST, following, later]) == standing_of(following)


@given(st.lists(st.sampled_from(["Superseded", "Reopened"]), max_size=7))
def test_one_of_two_that_go_back_and_forth_admits_or_can_be_decided(turns):
    """However far the other one got."""
    other = waiting(RESCANNED, *(by_system(verdict) for verdict in turns))
    ended = ended_by(FIRST, RESCANNED, [FIRST, other]) is not None
    assert ended == (state_of(other) is RequestState.SUBMITTED)
