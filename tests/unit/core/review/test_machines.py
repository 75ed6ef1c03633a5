# SPDX-License-Identifier: Apache-2.0
"""Who is a person: by the groups and the name that were authenticated, or by a name alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api.request import RequestVerdict
from cabgate.api.types import Submitter, SubmitterType
from cabgate.review.identity import (
    SERVICE_ACCOUNTS,
    Machines,
    User,
    configured_machines,
    has_hidden,
    is_blank,
)
from cabgate.review.requesters import only_machines, requester_problem
from cabgate.review.reviewers import ReviewFacts, check_reviewer
from cabgate.review.submitters import added, check_requester
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_samples.models import intent

ROBOT = "system:serviceaccount:shop:ci"
CONFIGURED = Machines(frozenset({"ci"}), ("ci:",))
MACHINE, PERSON = SubmitterType.MACHINE, SubmitterType.PERSON


@pytest.mark.parametrize(
    ("name", "groups", "machine"),
    [
        (ROBOT, (), True),
        ("system:node:n1", ("system:nodes",), True),
        ("system:kube-scheduler", (), True),
        ("system:anonymous", (), True),
        ("system:admin", ("system:masters",), False),
        ("ann", ("system:masters", "system:authenticated"), False),
        ("ci:deploy", (), True),
        ("CI:deploy", (), True),
        ("\uff43\uff49:deploy", (), True),
        ("deploy", ("team", "ci"), True),
        ("deploy", ("team",), False),
    ],
)
def test_machines_are_known_by_name_and_group(
    name: str, groups: tuple[str, ...], machine: bool
) -> None:
    assert CONFIGURED.include(name, groups) is machine


def test_without_configuration_a_pipeline_of_its_own_is_a_person() -> None:
    assert not SERVICE_ACCOUNTS.include("ci:deploy", ("ci",))


@given(st.text(), st.lists(st.text()))
def test_configuration_never_makes_a_machine_a_person(name: str, groups: list[str]) -> None:
    if SERVICE_ACCOUNTS.include(name, groups):
        assert CONFIGURED.include(name, groups)
    assert SERVICE_ACCOUNTS.include(f"system:serviceaccount:{name}", groups)


@pytest.mark.parametrize(
    ("groups", "prefixes"),
    [([""], []), (["system:authenticated"], []), ([], [""]), ([], [" "]), ([], [":"])],
)
def test_what_would_make_everybody_a_machine_is_refused(
    groups: list[str], prefixes: list[str]
) -> None:
    with pytest.raises(ValueError, match=r"people are in it|everybody would be"):
        configured_machines(groups, prefixes)


@pytest.mark.parametrize(
    "name", ["", " ", "\t", "\u200b", "\u2060\ufeff", "\u3164", "\u2800", "...", "-", "\u00ad"]
)
def test_a_name_that_shows_nothing_is_blank(name: str) -> None:
    assert is_blank(name)
    assert requester_problem(name) is not None


@pytest.mark.parametrize("name", ["a", "1", "王", "Ann Müller", "ann@example.com", "é"])
def test_a_name_with_a_letter_is_a_name(name: str) -> None:
    assert not is_blank(name)
    assert not has_hidden(name)
    assert requester_problem(name) is None


@pytest.mark.parametrize(
    "name",
    [
        " ann",
        "ann ",
        "ann\u200b",
        "an\u202en",
        "ann\n",
        "a\u00a0n",
        "ann\ufe0f",
        "a\u3164",
        "\x7fa",
    ],
)
def test_a_name_with_something_hidden_is_nobody_s(name: str) -> None:
    assert has_hidden(name)
    assert requester_problem(name) is not None


@given(st.text(max_size=20))
def test_what_asks_for_a_machine_is_always_a_name_that_people_see(name: str) -> None:
    if requester_problem(name, machines=CONFIGURED) is None:
        assert name.strip() == name
        assert name.isprintable()
        assert not CONFIGURED.include(name)
        assert any(c.isalnum() for c in name)


@pytest.mark.parametrize("name", ["", " ", "\u200b", ROBOT, ROBOT.upper(), "ci:deploy", "deploy"])
def test_no_machine_and_no_blank_is_somebody_who_asked(name: str) -> None:
    """`deploy` tells of nothing by itself: that it is a machine was stamped when it submitted."""
    submitters = [Submitter(username="deploy", type=MACHINE)]
    assert only_machines(submitters, [name], CONFIGURED)
    assert only_machines(submitters, [name, ""], CONFIGURED)
    assert not only_machines(submitters, [name, "ann"], CONFIGURED)
    facts = ReviewFacts(
        submitters=submitters,
        requesters=frozenset({name}),
        holds_verb=True,
        impersonates=None,
        current=True,
        machines=CONFIGURED,
    )
    with pytest.raises(Refusal) as refusal:
        check_reviewer(User("rita"), RequestVerdict.APPROVED, "cabrequests", facts)
    assert refusal.value.reason is RefusalReason.REQUESTER_NEEDED


def test_what_was_stamped_outlives_the_configuration() -> None:
    deploy = added([], User("deploy", groups=("ci",)), CONFIGURED)
    assert [s.type for s in deploy] == [MACHINE]
    assert only_machines(deploy, [])
    # An older release stamped no type: the name decides.
    assert not only_machines([Submitter(username="deploy")], [])
    assert only_machines([Submitter(username="ci:deploy")], [], CONFIGURED)
    # Nor does a stamp of before make a person of what is configured as a machine now.
    assert only_machines([Submitter(username="ci:deploy", type=PERSON)], [], CONFIGURED)


def test_who_is_a_machine_once_stays_one_in_the_list() -> None:
    person = added([Submitter(username="deploy", uid="1")], User("deploy", "1"), CONFIGURED)
    assert [s.type for s in person] == [PERSON]
    machine = added(person, User("deploy", "1", groups=("ci",)), CONFIGURED)
    assert [s.type for s in machine] == [MACHINE]
    assert added(machine, User("deploy", "1"), CONFIGURED) == machine


def test_a_requester_that_stood_there_before_is_let_be() -> None:
    """What an older release stored can still be changed otherwise; it satisfies no rule."""
    old = intent(requester=" ")
    check_requester(old, intent(requester=" ", summary="x"), [], SERVICE_ACCOUNTS)
    for name in (ROBOT, "\u200b"):
        with pytest.raises(Refusal) as refusal:
            check_requester(old, intent(requester=name), [], SERVICE_ACCOUNTS)
        assert refusal.value.field == "spec.requester"
    check_requester(old, intent(), [], SERVICE_ACCOUNTS)
    check_requester(old, intent(requester="ann"), [], SERVICE_ACCOUNTS)


@pytest.mark.parametrize("verdict", list(RequestVerdict)[:6])
def test_a_machine_by_configuration_decides_on_nothing(verdict: RequestVerdict) -> None:
    facts = ReviewFacts(
        submitters=[Submitter(username="ann")],
        requesters=frozenset(),
        holds_verb=True,
        impersonates=None,
        current=True,
        machines=CONFIGURED,
    )
    for user in (User("ci:x"), User("deploy", groups=("ci",)), User("system:node:n1")):
        with pytest.raises(Refusal) as refusal:
            check_reviewer(user, verdict, "cabrequests", facts)
        assert refusal.value.reason is RefusalReason.MACHINE
