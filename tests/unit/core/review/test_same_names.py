# SPDX-License-Identifier: Apache-2.0
"""A name that only differs in how it is written is the same person's: a doubt is a denial."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api.request import RequestVerdict
from cabgate.api.types import Submitter
from cabgate.review.identity import Machines, User, same_name
from cabgate.review.requesters import requester_problem
from cabgate.review.reviewers import ReviewFacts, check_reviewer
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_samples.models import by_person, intent, request
from cabgate_samples.objects import MIDDLING
from unit.core.standings import check_not_approver, own_approver

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.@-:"
USERNAMES = st.text(LETTERS, min_size=1, max_size=20).filter(lambda n: not n.startswith("system:"))


def wide(name):
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in name)


WRITTEN = [
    str.upper,
    str.title,
    wide,
    lambda name: wide(name).upper(),
    lambda name: f" {name}\t",
    "\u200b".join,
    lambda name: f"\ufeff{name}\u00ad",
    lambda name: f"{name[:1]}\ufe0f{name[1:]}",
]
"""Other ways to write a name."""
OTHERWISE = st.sampled_from(WRITTEN)


def decides(username, **known):
    facts = {"submitters": [Submitter(username="ann")], "requesters": frozenset(), **known}
    facts |= {"holds_verb": True, "impersonates": None, "current": True}
    check_reviewer(User(username), RequestVerdict.APPROVED, "cabrequests", ReviewFacts(**facts))


def refusal(check, *args, **known):
    with pytest.raises(Refusal) as caught:
        check(*args, **known)
    assert caught.value.reason is RefusalReason.SELF_APPROVAL
    return caught.value.message


@given(USERNAMES, OTHERWISE)
def test_nobody_approves_what_names_them_however_it_is_written(username, written):
    refusal(decides, username, requesters=frozenset({"bob", written(username)}))
    refusal(decides, written(username), requesters=frozenset({username}))
    refusal(decides, username, submitters=[Submitter(username=written(username))])


def test_the_refusal_says_how_the_name_is_written():
    said = refusal(decides, "reviewer", requesters=frozenset({"Reviewer"}))
    assert said.startswith("reviewer is named, as Reviewer, as the requester of this")
    said = refusal(decides, "reviewer", requesters=frozenset({"reviewer"}))
    assert said.startswith("reviewer is named as the requester of this")


@given(OTHERWISE)
def test_nor_in_a_race(written):
    name = written("rita")
    of = intent(MIDDLING, submittedBy=[{"username": "ann"}])
    approved = request("ManualReview", by_person("Approved"), of=of)
    for spec in (
        {"submittedBy": [{"username": name}]},
        {"submittedBy": [{"username": "ann"}], "requester": name},
        {"submittedBy": [{"username": "ann"}], "requestedBy": [name]},
    ):
        assert own_approver(approved, intent(MIDDLING, **spec)) == "rita"
    refusal(check_not_approver, of, intent(MIDDLING, summary="x"), User(name), approved)
    refusal(check_not_approver, of, intent(MIDDLING, requester=name), User("ann"), approved)


@given(OTHERWISE)
def test_nor_does_a_machine_ask_by_another_spelling_of_its_name(written):
    robot = [Submitter(username="deployer", type="Machine")]
    assert requester_problem(written("deployer"), robot) is not None
    assert Machines(user_prefixes=("bot-",)).include(written("bot-x").strip())


@given(USERNAMES, USERNAMES, OTHERWISE)
def test_other_names_stay_other_people(first, second, written):
    assert same_name(first, written(second)) == (first == second)
    assert same_name(written(second), first) == (first == second)


def test_letters_that_case_folds_into_two_are_one_name():
    assert same_name("STRASSE", "stra\u00dfe")
    assert same_name("\u212b", "a\u030a")
    assert not same_name("ann", "anne")
