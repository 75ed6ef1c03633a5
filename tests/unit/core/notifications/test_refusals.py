# SPDX-License-Identifier: Apache-2.0
"""A channel that refuses texts for good: it is told of everything else, and of what it refuses
without the text, as far as it takes that."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.notifications.notices import Event, Notice
from cabgate.notifications.planning import WINDOW, Every, Group, Memory, arrived, due, tried
from cabgate.notifications.refusals import NONE, Refusals
from cabgate_samples.models import NOW
from unit.core.notifications.test_planning import ALL, DAY, FRESH, everything, notice

BAD = "a text that a filter refuses"


def course(
    current: list[Notice], takes: Callable[[Group], bool], turns: int
) -> tuple[list[Group], Refusals]:
    """What arrives in some turns, each a window apart, and what is refused at the end."""
    memory, refusals, now, taken = FRESH, NONE, NOW, []
    for _ in range(turns):
        now += WINDOW
        for group in due(current, ALL, memory, now, everything, WINDOW, refusals):  # type: ignore[arg-type]
            memory = tried(memory, group, now)
            if takes(group):
                taken.append(group)
                memory = arrived(memory, group, current, now)
                refusals = refusals.taken(group.event, group.notices)
            else:
                refusals = refusals.refused(group.event, group.notices)
    return taken, refusals


def of_text(group: Group) -> bool:
    return all(BAD not in each.detail for each in group.notices)


def of_name(group: Group) -> bool:
    return all("bad" not in each.name for each in group.notices)


def test_what_others_wrote_holds_up_no_other_event() -> None:
    bad = replace(notice(Event.GLASS_BROKEN, "bad"), detail=BAD)
    taken, _ = course([bad, notice(name="web")], of_text, 1)
    assert [each.name for group in taken for each in group.notices] == ["web"]


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_all_arrive_and_what_is_refused_without_its_text(bad: list[bool]) -> None:
    current = [
        replace(notice(Event.GLASS_BROKEN, f"r{number}"), detail=BAD if refused else "fine")
        for number, refused in enumerate(bad)
    ]
    taken, refusals = course(current, of_text, 8 * len(bad) + 8)
    found = {each.name: each.detail for group in taken for each in group.notices}
    assert found == {f"r{n}": "" if refused else "fine" for n, refused in enumerate(bad)}
    assert sum(len(group.notices) for group in taken) == len(bad), "each once"
    assert refusals.row == {}
    assert refusals.stuck == frozenset()


@pytest.mark.parametrize("count", [1, 7, 100])
def test_what_is_refused_by_its_name_comes_behind_all_others_and_is_known(count: int) -> None:
    bad = notice(name="bad")
    current = [bad, *(notice(name=f"r{number}") for number in range(count))]
    taken, refusals = course(current, of_name, 30)
    assert sorted(each.name for group in taken for each in group.notices) == sorted(
        each.name for each in current[1:]
    )
    assert refusals.stuck == {bad.key}
    assert refusals.times(Event.WAITING, [bad]) > 1, "it is tried again"
    assert refusals.still(current[1:]).stuck == frozenset(), "unless it is no longer true"


def test_a_digest_that_is_refused_comes_without_what_it_names() -> None:
    route = replace(ALL, every=Every.DAY)
    current = [notice()]
    memory = Memory(NOW - DAY, frozenset({current[0].key}))
    [group] = due(current, route, memory, NOW, everything)  # type: ignore[arg-type]
    assert group.digest is not None
    assert group.digest.oldest
    refusals = NONE.refused(Event.DIGEST, ())
    [group] = due(current, route, memory, NOW, everything, WINDOW, refusals)  # type: ignore[arg-type]
    assert group.digest is not None
    assert (group.digest.oldest, group.digest.waiting) == ((), 1)
