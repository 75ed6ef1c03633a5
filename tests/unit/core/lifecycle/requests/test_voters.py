# SPDX-License-Identifier: Apache-2.0
"""Whether a board could approve what a policy asks it to."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cabgate.api.terms import ApprovalNeed
from cabgate.lifecycle.requests.voters import Group, check_board
from support.examples import examples

VERBS = ("approve", "approve-oncall", "approve-senior")


def group(name, people=None, *verbs, writes=True):
    return Group(name, people, frozenset(verbs or ("approve",)), writes)


def needs(**counts):
    return [ApprovalNeed(count=n, verb=verb.replace("_", "-")) for verb, n in counts.items()]


TWO = needs(approve=2)
SENIOR = needs(approve=2, approve_senior=1)

BOARDS = {
    "a group of nobody knows how many": (TWO, [group("cab")], 2, False),
    "two people, who are all": (TWO, [group("cab", 2)], 2, True),
    "three people": (TWO, [group("cab", 3)], 2, False),
    "one person": (TWO, [group("cab", 1)], None, False),
    "one in each of two groups": (TWO, [group("a", 1), group("b", 1)], 2, True),
    "no senior": (SENIOR, [group("cab")], None, False),
    "seniors who approve as well": (
        *(SENIOR, [group("cab"), group("seniors", None, "approve", "approve-senior")]),
        *(2, False),
    ),
    "seniors who cannot approve": (
        *(SENIOR, [group("cab"), group("seniors", None, "approve-senior")]),
        *(None, False),
    ),
    "seniors who may write nothing": (
        SENIOR,
        [group("cab"), group("s", None, "approve", "approve-senior", writes=False)],
        *(None, False),
    ),
    "a verb each of two groups": (
        needs(approve_oncall=1, approve_senior=1),
        [group("o", None, "approve", VERBS[1]), group("s", None, "approve", VERBS[2])],
        *(2, False),
    ),
    "no policy": ([], [group("cab")], 1, False),
    "no policy, and one person": ([], [group("cab", 1)], 1, True),
    "nobody": (TWO, [], None, False),
}  # fmt: skip


@pytest.mark.parametrize(("asked", "groups", "fewest", "all_of_them"), BOARDS.values(), ids=BOARDS)
def test_a_board_is_enough_or_it_is_told_before(asked, groups, fewest, all_of_them):
    found = check_board(asked, groups)
    assert (found.fewest, found.met) == (fewest, fewest is not None)
    assert found.leaves_nobody is all_of_them
    assert found.met == all(each.met for each in found.needs)


def test_it_is_said_which_group_can_meet_what():
    seniors = group("seniors", 2, "approve", "approve-senior")
    outside = group("managers", 9, "approve-senior")
    found = check_board(SENIOR, [group("cab", 4), seniors, outside])
    assert [(n.verb, n.groups, n.people) for n in found.needs] == [
        ("approve", ("cab", "seniors"), 6),
        ("approve-senior", ("seniors",), 2),
    ]
    assert found.needs[1].without_approve == ("managers",)


GROUPS = st.lists(
    st.tuples(st.integers(0, 3), st.sets(st.sampled_from(VERBS)), st.booleans()), max_size=3
)
NEEDS = st.dictionaries(st.sampled_from(VERBS), st.integers(1, 3), min_size=1)


@settings(max_examples=examples(100), deadline=None)
@given(NEEDS, GROUPS)
def test_the_fewest_people_are_those_that_trying_all_boards_finds(asked, groups):
    made = [Group(str(i), n, frozenset(v), w) for i, (n, v, w) in enumerate(groups)]
    able = [each for each in made if each.approves]
    enough = [
        sum(numbers)
        for numbers in product(*(range((each.people or 0) + 1) for each in able))
        if all(
            sum(n for n, each in zip(numbers, able, strict=True) if verb in each.verbs) >= count
            for verb, count in asked.items()
        )
    ]
    wanted = [ApprovalNeed(count=count, verb=verb) for verb, count in asked.items()]
    assert check_board(wanted, made).fewest == min(enough, default=None)
