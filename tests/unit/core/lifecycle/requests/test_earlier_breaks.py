# SPDX-License-Identifier: Apache-2.0
"""The breaks of a workload before the one that stands there, as the API server lists them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.lifecycle.requests.break_glass import (
    BREAKABLE,
    CUT,
    EARLIER_ANNOTATION,
    breaks_of,
    check_opened_for_glass,
    glass_of,
    is_cut,
    requests_for_glass,
)
from cabgate.text.refusal import Refusal
from cabgate_samples.models import broken_workload, opened_for

DEPLOYMENT = next(kind for kind in BREAKABLE if kind.kind == "Deployment")


def line(
    why="INC-0: the first", by="bob", identity="deployments/5-template", images=("web:8",), ring="3"
):
    return "\t".join([identity, ring, by, str(len(images)), *images, why])


def listed(*lines, **about):
    """A workload with breaks before the one that its annotation tells of."""
    made = broken_workload(**about)
    made["metadata"]["annotations"][EARLIER_ANNOTATION] = "\n".join(lines)
    return made


def test_each_break_has_its_own_request():
    obj = listed(line(), line("INC-9: a\ttab", images=("b:1", "a:1")))
    latest, second, first = requests_for_glass(DEPLOYMENT, obj)
    assert [r.spec.targets[0].images for r in (latest, second, first)] == [
        ["web:9"],
        ["web:8"],
        ["a:1", "b:1"],
    ]
    assert (second.spec.break_glass.by, second.spec.ring) == ("bob", 3)
    assert first.spec.break_glass.reason == "a\ttab"
    assert [s.username for s in second.spec.submitted_by] == ["bob"]
    for each in (latest, second, first):
        check_opened_for_glass(each, obj)


def test_a_break_has_one_name_while_it_stands_there_and_in_the_list():
    stood = broken_workload("INC-0: the first", by="bob", identity="deployments/5", ring="3")
    (before,) = requests_for_glass(DEPLOYMENT, stood)
    _, after = requests_for_glass(DEPLOYMENT, listed(line(identity="deployments/5")))
    assert after.metadata.name == before.metadata.name
    # Of the same break twice there is one request.
    twice = listed(line(identity="deployments/5"), line(identity="deployments/5"))
    assert len(requests_for_glass(DEPLOYMENT, twice)) == 2


def test_a_break_that_stands_there_no_more_is_in_the_list():
    obj = listed(line(), why=None, by="", identity="", ring="")
    assert glass_of(DEPLOYMENT, obj) is None
    (only,) = requests_for_glass(DEPLOYMENT, obj)
    assert only.spec.targets[0].images == ["web:8"]


def test_where_nobody_knows_the_images_the_request_says_so():
    _, request = requests_for_glass(DEPLOYMENT, listed(line(images=())))
    assert request.spec.targets[0].images == ["no image that is known"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        CUT,
        "deployments/5\t3\tbob",
        line(identity="replicasets/5"),
        line(ring="1"),
        line(ring=""),
        line(why="no form"),
        line().replace("\t1\t", "\tx\t"),
        line().replace("\t1\t", "\t9\t"),
        "\t\t\t\t",
    ],
)
def test_what_is_no_break_is_none(text):
    assert len(breaks_of(DEPLOYMENT, listed(text))) == 1


@given(st.text(max_size=60) | st.lists(st.sampled_from("\t\n15.x:/ "), max_size=40).map("".join))
def test_whatever_stands_there_is_read(text):
    obj = listed(text, line())
    names = [r.metadata.name for r in requests_for_glass(DEPLOYMENT, obj)]
    assert opened_for(broken_workload()).metadata.name in names
    assert len(set(names)) == len(names) >= 2


def test_a_list_that_was_cut_says_so():
    assert is_cut(listed(line(), CUT))
    assert is_cut(listed(CUT))
    assert not is_cut(listed(line()))
    assert not is_cut(broken_workload())
    assert len(requests_for_glass(DEPLOYMENT, listed(line(), CUT))) == 2


def test_a_request_is_for_one_of_these_breaks_and_as_that_was():
    obj = listed(line())
    _, request = requests_for_glass(DEPLOYMENT, obj)
    with pytest.raises(Refusal, match="must be break-glass-"):
        check_opened_for_glass(request, broken_workload())
    with pytest.raises(Refusal, match=r"spec.targets: is not what"):
        check_opened_for_glass(request, listed(line(images=("web:7",))))


@pytest.mark.parametrize("reason", ["\u200b", "\u2060\u3164", "\u202e\u2066"])
def test_a_break_without_a_reason_that_can_be_seen_is_reviewed_and_says_so(reason):
    """An older release let it through; the policies of this one do not."""
    glass = glass_of(DEPLOYMENT, broken_workload(f"INC-1: {reason}"))
    assert glass is not None
    assert glass.reason == "(no reason that can be read)"
