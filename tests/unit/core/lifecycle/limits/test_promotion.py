# SPDX-License-Identifier: Apache-2.0
"""What became of a release in the ring before, and whether it is what is asked for."""

from dataclasses import replace
from datetime import timedelta

import pytest

from cabgate.lifecycle.limits.promotion import (
    MAX_LOOKED_AT,
    key_of,
    need_for,
    overridden_ring,
    override_name,
    override_text,
    prior_ring,
    releases_for,
    to_look_at,
)
from cabgate.lifecycle.requests.terms import promotion_need
from cabgate_samples.models import NOW, request
from support.promotion import (
    DAY,
    IMAGE,
    OTHER_IMAGE,
    OTHER_TEMPLATE,
    RELEASE,
    interruption,
    outcome,
    policy,
    promoted,
    rings,
    row,
)

HOUR = timedelta(hours=1)
OPEN = rings(outcome())


def prior(*outcomes, now=NOW, images=(IMAGE,), release=RELEASE, template=None, **of_row):
    need = promotion_need(policy(row(**of_row)).spec.promotion[0])
    known = rings(*outcomes) if template is None else rings(*outcomes, template=template)
    return prior_ring(need, release, images, known, now)


@pytest.mark.parametrize(
    ("found", "of_row"),
    [
        ([outcome()], {}),
        ([outcome(3 * DAY)], {}),
        ([outcome(10 * DAY, interrupted=[interruption(4 * DAY, 4 * DAY - HOUR)])], {}),
        ([outcome(10 * DAY, interrupted=[interruption(2 * DAY, DAY)])], {}),
        ([outcome(10 * DAY, result="Replaced", ended=NOW - DAY)], {}),
        ([outcome(10 * DAY, result="Succeeded", ended=NOW - DAY)], {}),
        ([outcome(pods=(100, 1))], {}),
        ([outcome(incidents=1)], {"incidents": 1}),
        ([outcome(namespace="a"), outcome(HOUR, namespace="b")], {}),
        ([outcome(namespace="a")], {"namespaces": ["a"]}),
        ([outcome(kind="StatefulSet")], {}),
        # What failed before, it ran again since, for as long as is asked for.
        ([outcome(20 * DAY, result="Failed", ended=NOW - 9 * DAY), outcome()], {}),
        ([outcome(timedelta(seconds=3))], {"soak": "3s"}),
    ],
)
def test_what_soaked_is_promoted(found, of_row):
    assert prior(*found, **of_row).met


@pytest.mark.parametrize(
    ("found", "of_row", "says"),
    [
        ([], {}, "has not run in ring 2"),
        ([outcome(3 * DAY - timedelta(seconds=1))], {}, "and has to for 72h without a break"),
        ([outcome(-HOUR)], {}, "has to for 72h"),
        ([outcome(10 * DAY, interrupted=[interruption(2 * DAY)])], {"soak": "216h"}, "does not"),
        ([outcome(5 * DAY, interrupted=[interruption(DAY * 2.5, DAY * 2)])], {}, "has run in ring"),
        (
            [outcome(2 * DAY, result="Replaced", ended=NOW - DAY)],
            {},
            "ran there for 24h of 72h without a break",
        ),
        (
            [outcome(pods=(1, 0))],
            {},
            "at most 1 Pod with a readiness probe ran there, and 2 are asked for",
        ),
        ([outcome(pods=(0, 0))], {}, "at most 0 Pods"),
        ([outcome(ring=1)], {}, "has not run"),
        ([outcome(ring=3)], {}, "has not run"),
        ([outcome(images=[OTHER_IMAGE])], {}, "has not run"),
        ([outcome(images=[IMAGE, OTHER_IMAGE])], {}, "has not run"),
        ([outcome(template=OTHER_TEMPLATE)], {}, "has not run"),
        ([outcome(template=None)], {}, "has not run"),
        ([outcome(release="other")], {}, "has not run"),
        ([outcome(namespace="of-a-team")], {"namespaces": ["shop-2"]}, "has not run"),
        # Half in one place and half in another is no soak.
        ([outcome(2 * DAY, namespace="a"), outcome(2 * DAY, namespace="b")], {}, "has to for 72h"),
        # Nor is one that soaked, and had too few Pods, beside one that has enough.
        ([outcome(pods=(1, 0)), outcome(HOUR, namespace="b")], {}, "has to for 72h"),
    ],
)
def test_what_has_not_soaked_waits(found, of_row, says):
    answer = prior(*found, **of_row)
    assert (answer.met, answer.failed) == (False, False)
    assert says in answer.says


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ([outcome(result="Failed")], "failed, or was rolled back"),
        ([outcome(result="RolledBack")], "failed, or was rolled back"),
        ([outcome(incidents=1)], "had 1 incident, of at most 0"),
        ([outcome(), outcome(namespace="b", incidents=2)], "had 2 incidents"),
        ([outcome(pods=(100, 2))], "had 98.00 % of its Pods succeed, of 99.00 %"),
        ([outcome(), outcome(namespace="b", pods=(2, 1))], "had 50.00 %"),
        # It soaked in one place, and what another runs last failed.
        ([outcome(), outcome(DAY, namespace="b", result="RolledBack")], "rolled back"),
        # An incident is one of the images, whatever ran there since.
        (
            [outcome(9 * DAY, incidents=1, result="Replaced", ended=NOW - 5 * DAY), outcome()],
            "had 1 incident",
        ),
    ],
)
def test_what_failed_is_not_promoted_however_long_it_runs(found, says):
    answer = prior(*found)
    assert (answer.met, answer.failed) == (False, True)
    assert says in answer.says


def test_what_failed_and_runs_again_soaks_anew():
    failed = outcome(20 * DAY, result="Failed", ended=NOW - DAY)
    answer = prior(failed, outcome(HOUR))
    assert (answer.met, answer.failed) == (False, False)
    assert answer.until == NOW + 71 * HOUR


def test_no_older_soak_washes_off_what_failed_since():
    soaked = outcome(20 * DAY, result="Replaced", ended=NOW - 9 * DAY)
    failed = outcome(5 * DAY, result="Failed", ended=NOW - DAY)
    assert not prior(soaked, failed, outcome(HOUR)).met
    # That of another workload stands by itself.
    elsewhere = outcome(20 * DAY, namespace="b", result="Replaced", ended=NOW - 9 * DAY)
    assert prior(elsewhere, failed, outcome(HOUR)).met


def test_what_is_down_there_now_is_not_promoted():
    down = outcome(10 * DAY, interrupted=[interruption(2 * DAY)])
    answer = prior(down)
    assert (answer.met, answer.failed) == (False, False)
    # Nor what is just leaving, which may come to be rolled back. Once it was replaced, it was not.
    leaves = [interruption(2 * DAY, reason="ImagesLeft")]
    assert not prior(outcome(10 * DAY, interrupted=leaves)).met
    assert prior(outcome(10 * DAY, interrupted=leaves, result="Replaced")).met


def test_what_has_not_ended_is_promoted_where_it_runs_still():
    """An outcome that nobody ends would soak for ever."""
    need = promotion_need(policy(row()).spec.promotion[0])
    two = [outcome(namespace="a"), outcome(5 * DAY, namespace="b")]

    def looked(*outcomes, running):
        known = replace(rings(*outcomes), running=frozenset(map(key_of, running)))
        return prior_ring(need, RELEASE, (IMAGE,), known, NOW)

    assert prior(*two).rests_on == tuple(two)
    assert looked(*two, running=two[:1]).met
    answer = looked(*two, running=[])
    assert (answer.met, answer.failed, answer.since) == (False, False, None)
    # What has ended as it should needs no look, whatever runs now.
    over = outcome(9 * DAY, result="Replaced", ended=NOW - DAY)
    assert prior(over, *two).rests_on == ()
    assert looked(over, *two, running=[]).met


def test_what_is_looked_at_is_what_would_let_in_and_a_few_of_those():
    short, long = outcome(DAY, namespace="a"), outcome(namespace="b")
    asked = to_look_at([promoted()], 3, (IMAGE,), rings(short, long), NOW)
    assert asked == [long]
    assert to_look_at([promoted()], 2, (IMAGE,), rings(long), NOW) == []
    many = [outcome((9 - n) * DAY, namespace=f"n-{n}") for n in range(6)]
    assert to_look_at([promoted()], 3, (IMAGE,), rings(*many), NOW) == many[:MAX_LOOKED_AT]


def test_a_soak_goes_on_by_the_clock_alone():
    waits = outcome(DAY)
    answer = prior(waits)
    assert (answer.since, answer.until) == (NOW - DAY, NOW + 2 * DAY)
    assert not prior(waits, now=answer.until - timedelta(seconds=1)).met
    assert prior(waits, now=answer.until).met


def test_what_is_interrupted_has_no_end_of_its_soak():
    answer = prior(outcome(2 * DAY, interrupted=[interruption(DAY)]))
    assert (answer.met, answer.since, answer.until) == (False, None, None)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"release": None}, "names no release"),
        ({"images": ["checkout:1.4.2"]}, "without its digest"),
        ({"images": []}, "without its digest"),
        ({"images": [IMAGE, "pause:3"]}, "without its digest"),
        ({"template": ""}, "has not run"),
    ],
)
def test_what_cannot_be_told_apart_is_a_doubt(given, says):
    answer = prior(outcome(), **given)
    assert not answer.met
    assert says in answer.says


def test_an_image_is_the_same_wherever_it_is_kept():
    mirrored = f"mirror.example.com/checkout@sha256:{'a' * 64}"
    assert prior(outcome(), images=[mirrored]).met


def test_the_row_of_a_ring_is_its_own_or_the_next_one_below():
    """A workload that labels itself as of a higher ring does not leave a promotion behind."""
    terms = promoted(rows=[row(), row(2, 0, namespaces=["lab"])]).spec.terms
    asked = {ring: need_for(terms, ring) for ring in range(5)}
    assert [asked[ring] and asked[ring].ring for ring in range(5)] == [None, None, 2, 3, 3]
    assert need_for(None, 3) is None
    assert need_for(request("ManualReview").spec.terms, 3) is None


def test_no_release_is_read_where_no_row_applies():
    asks, plain = promoted(), request("ManualReview")
    assert releases_for([asks, plain, asks], 3) == [RELEASE]
    assert releases_for([asks], 2) == []
    assert releases_for([plain], 4) == []
    assert releases_for([promoted(release=None)], 3) == []


def test_an_override_is_of_one_ring_and_no_freeze():
    assert overridden_ring(override_name(3)) == 3
    assert overridden_ring("christmas") is None
    assert overridden_ring("promotion.ring-5") is None
    assert override_text("christmas") == "overrides ChangeFreeze christmas"
    assert override_text(override_name(3)) == "overrides the promotion into ring 3"
