# SPDX-License-Identifier: Apache-2.0
"""What is written of a workload: how outcomes begin, are interrupted, go on and end."""

import pytest

from cabgate.api.outcome import MAX_INTERRUPTIONS, InterruptionReason, OutcomeResult
from cabgate.outcomes.pods import PodsNow
from cabgate.outcomes.writing import (
    ended,
    gone_on,
    labels_of,
    name_of,
    present,
    result_of,
    says_what_runs,
    spec_of,
    workload_of,
)
from unit.core.outcomes.outcomes import IMAGE, LATER_IMAGE, at, interruption, outcome_of
from unit.core.outcomes.workloads import running

NOW = running()


def of_now(*interruptions, image=IMAGE, **more):
    """An outcome of what runs, or with `image` of something else."""
    return outcome_of(*interruptions, images=[image], template=NOW.template, **more)


def test_an_outcome_says_what_runs_and_where():
    spec = spec_of(NOW, 1, "web", "shop", "web-12345678", None)
    assert (spec.target.kind, spec.images, spec.ring, spec.release) == (
        *("Deployment", [IMAGE], 1, "shop"),
    )
    assert labels_of(spec) == {NOW.workload.label: "", "cabgate.dev/release": "shop"}
    assert labels_of(spec_of(NOW, 1, "web", None)) == {NOW.workload.label: ""}
    assert workload_of(spec.target) == NOW.workload


def test_a_name_is_the_same_until_there_is_another_outcome():
    spec = spec_of(NOW, 1, "web", "shop")
    first = name_of(spec, NOW.uid, [])
    assert name_of(spec, NOW.uid, []) == first
    before = of_now(name=first, result="Replaced", ended=50)
    assert name_of(spec, NOW.uid, [before]) != first
    assert name_of(spec, "another-uid", []) != first
    assert name_of(spec_of(NOW, 2, "web", "shop"), NOW.uid, []) != first
    long = spec.model_copy(
        update={"target": spec.target.model_copy(update={"name": "w" * 179 + ".-" + "w" * 72})}
    )
    assert len(name_of(long, NOW.uid, [])) <= 253
    assert ".-" not in name_of(long, NOW.uid, [])


@pytest.mark.parametrize(
    ("outcome", "goes_on"),
    [
        (of_now(), True),
        (of_now(interruption(5)), True),
        (of_now(result="Replaced", ended=9), False),
        (of_now(image=LATER_IMAGE), False),
        (of_now(ring=2), False),  # the soak of a ring begins there
        (of_now(release="other"), False),
        (of_now(intentName="other"), False),
        (of_now(created=-200), False),  # of an object of that name that was there before
    ],
)
def test_which_outcome_goes_on(outcome, goes_on):
    found = present((1, None, "web"), NOW, [outcome])
    assert found is (outcome if goes_on else None)


def test_of_two_that_say_the_same_the_later_goes_on():
    both = [of_now(name="a", created=5), of_now(name="b", created=1)]
    assert present((1, None, "web"), NOW, both) is both[0]


@pytest.mark.parametrize(
    ("outcome", "now", "others", "result"),
    [
        (of_now(), None, [], "Succeeded"),
        (of_now(interruption(5)), None, [], "Failed"),
        (of_now(interruption(5, 6)), None, [], "Succeeded"),
        (of_now(image=LATER_IMAGE), NOW, [], "Replaced"),
        (of_now(interruption(5), image=LATER_IMAGE), NOW, [], "Failed"),
        (of_now(interruption(5, None, "ImagesLeft"), image=LATER_IMAGE), NOW, [], "Replaced"),
        (of_now(image=LATER_IMAGE), NOW, [of_now(result="Replaced", ended=1)], "RolledBack"),
        (of_now(image=LATER_IMAGE), NOW, [of_now()], "Replaced"),  # that which begins now
        (of_now(ring=0), NOW, [of_now(result="Replaced", ended=1)], "Replaced"),  # ring rose
    ],
)
def test_how_it_ends(outcome, now, others, result):
    assert result_of(outcome, now, others) == result


def after(outcome, running_now, *, pods=None, unavailable_since=None, now=1000):
    since = None if unavailable_since is None else at(unavailable_since)
    return gone_on(outcome, running_now, pods, since, at(now))


def test_other_images_interrupt_it_at_once_and_once():
    left = after(of_now(), running(LATER_IMAGE))
    assert [(i.from_, i.until, i.reason) for i in left.interruptions] == [
        (at(1000), None, InterruptionReason.IMAGES_LEFT)
    ]
    again = of_now(interruption(1000, None, "ImagesLeft"))
    assert after(again, running(LATER_IMAGE), now=2000) == again.status


def test_another_command_of_the_same_images_interrupts_it():
    assert after(of_now(), running(command=["sleep", "infinity"])).interruptions


def test_it_goes_on_once_all_of_it_is_back():
    left = of_now(interruption(100, None, "ImagesLeft"))
    assert after(left, running(old=1)) == left.status
    (back,) = after(left, NOW).interruptions
    assert (back.from_, back.until) == (at(100), at(1000))


@pytest.mark.parametrize(
    ("since", "count"),
    [(701, 0), (700, 1), (None, 0)],
)
def test_it_is_interrupted_once_none_was_available_for_five_minutes(since, count):
    status = after(of_now(), running(available=0), unavailable_since=since)
    assert len(status.interruptions) == count
    if count:
        assert (status.interruptions[0].from_, status.interruptions[0].reason) == (
            *(at(700), "Unavailable"),
        )


def test_one_that_is_available_is_enough_to_go_on():
    down = of_now(interruption(100))
    assert after(down, running(available=0), unavailable_since=100) == down.status
    assert after(down, running(available=1)).interruptions[0].until == at(1000)
    assert after(down, running(generation=4)) == down.status  # nobody knows


def test_an_interruption_never_begins_before_what_it_interrupts():
    down = running(available=0)
    early = after(of_now(created=500), down, unavailable_since=100)
    assert early.interruptions[0].from_ == at(500)
    later = after(of_now(interruption(100, 600)), down, unavailable_since=200)
    assert later.interruptions[1].from_ == at(600)
    # The list is by when they began: one second has room for one.
    at_once = after(of_now(interruption(100, 100)), down, unavailable_since=100)
    assert at_once.interruptions[1].from_ == at(101)


def test_pods_are_counted_while_it_runs():
    shown = PodsNow(2, frozenset({"a"}))
    assert after(of_now(), NOW, pods=shown).pods.seen == 2
    assert after(of_now(), running(LATER_IMAGE), pods=shown).pods.seen == 0
    assert after(of_now(pods=(5, 1)), NOW).pods.seen == 5


def test_what_cannot_be_listed_any_more_ends_it():
    """It flapped: whoever flaps once more has not soaked."""
    times = [interruption(10 * n, 10 * n + 5) for n in range(MAX_INTERRUPTIONS)]
    status = after(of_now(*times), running(LATER_IMAGE))
    assert (status.result, status.ended_at) == (OutcomeResult.FAILED, at(1000))
    assert len(status.interruptions) == MAX_INTERRUPTIONS


def test_an_end_says_when():
    status = ended(of_now(), OutcomeResult.REPLACED, at(7))
    assert (status.result, status.ended_at) == ("Replaced", at(7))


def test_nothing_says_what_is_gone():
    assert not says_what_runs(of_now(), None)


def test_pods_that_crash_in_an_outage_count():
    shown = PodsNow(0, frozenset({"a", "b"}))
    before = after(of_now(pods=(2, 0)), running(available=0), pods=shown, unavailable_since=999)
    assert (before.pods.seen, before.pods.failed, before.interruptions) == (2, 2, [])
    later = after(of_now(pods=(2, 0)), running(available=0), pods=shown, unavailable_since=1)
    assert (later.pods.failed, len(later.interruptions)) == (2, 1)


def test_what_is_made_anew_with_the_same_is_no_rollback():
    old = of_now(created=-200)
    assert result_of(old, NOW, [of_now(result="Replaced", ended=1)]) == "Replaced"


def test_what_is_scaled_to_0_is_interrupted_and_has_not_failed():
    """Every night, say: it soaks anew in the morning, and what is rolled out then replaces it."""
    zero = running(replicas=0)
    (scaled,) = after(of_now(pods=(2, 0)), zero).interruptions
    assert (scaled.from_, scaled.reason) == (at(1000), InterruptionReason.SCALED_TO_ZERO)
    night = of_now(interruption(100, None, "ScaledToZero"), pods=(2, 0))
    assert after(night, zero, unavailable_since=100) == night.status
    later = outcome_of(interruption(100, None, "ScaledToZero"), images=[LATER_IMAGE])
    assert result_of(later, NOW, []) == "Replaced"
    (back,) = after(night, running(available=1)).interruptions
    assert back.until == at(1000)


def test_an_outage_after_it_was_scaled_up_again_is_one():
    night = of_now(interruption(100, None, "ScaledToZero"))
    down = running(available=0)
    assert after(night, down).interruptions[0].until == at(1000)
    morning = of_now(interruption(100, 200, "ScaledToZero"))
    found = after(morning, down, unavailable_since=150).interruptions[1]
    assert (found.from_, found.reason) == (at(200), InterruptionReason.UNAVAILABLE)


def test_an_outage_before_it_was_scaled_to_0_stays_one():
    down = of_now(interruption(100))
    assert after(down, running(replicas=0)) == down.status
