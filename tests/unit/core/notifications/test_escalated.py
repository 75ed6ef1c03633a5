# SPDX-License-Identifier: Apache-2.0
"""A level that a request has reached is told of once, by whoever is sent that level."""

from datetime import timedelta

import pytest

from cabgate.api import CABRequest
from cabgate.api.changepolicy import ChangePolicy
from cabgate.lifecycle.requests.terms import terms_for
from cabgate.notifications.notices import Event, notices
from cabgate.notifications.planning import WINDOW, Memory, Route, arrived, due
from cabgate.views.queue import queue
from cabgate_samples.models import NOW, by_person, by_system
from support.policies import change_policy
from unit.core.notifications.subjects import asked

HOUR = timedelta(hours=1)
STEPS = [{"after": "4h", "level": 1}, {"after": "24h", "level": 2, "alsoDecides": "approve-oncall"}]
POLICY = ChangePolicy.model_validate(change_policy("board", escalation=STEPS))
OPENED = NOW - HOUR


def escalating(*decisions, under=POLICY):
    """A request of an hour ago that waits by a policy."""
    made = asked("ManualReview", *decisions, name="web")
    terms = terms_for(under, 100, 4).to_dict()
    people = [{"username": "dev", "type": "Person"}]
    more = {"terms": terms, "requires": ["Escalation", "Quorum"], "submittedBy": people}
    spec = {**made.spec.to_dict(), **more}
    return CABRequest.model_validate({**made.to_dict(), "spec": spec})


def escalated(request, hours):
    found = notices([request], [], OPENED + hours * HOUR)
    return [each for each in found if each.event is Event.ESCALATED]


@pytest.mark.parametrize(
    ("hours", "levels"), [(1, []), (3.99, []), (4, [1]), (23.9, [1]), (24, [2])]
)
def test_the_level_that_is_reached_is_told_of_with_who_decides_by_now(hours, levels):
    request = escalating()
    found = escalated(request, hours)
    assert [each.level for each in found] == levels
    (row,) = queue([request], [], OPENED + hours * HOUR)
    shown = f"escalated to level {levels[0]}" if levels else "(0/2)"
    assert row.needed.endswith(shown)
    for notice in found:
        assert notice.detail == f"needs {row.needed}"
        assert notice.since == OPENED + (4 if notice.level == 1 else 24) * HOUR
        assert ("approve or approve-oncall" in notice.detail) == (notice.level == 2)


VOTES = [
    {**by_person("Approved"), "author": {"type": "Person", "username": who}, "verbs": ["approve"]}
    for who in ("ann", "bob")
]


@pytest.mark.parametrize(
    "decisions",
    [[by_person("Rejected")], [by_system("Superseded")], VOTES],
    ids=["rejected", "superseded", "approved"],
)
def test_what_waits_no_more_has_no_level(decisions):
    assert escalated(escalating(*decisions), 99) == []


def test_what_was_opened_again_begins_anew():
    again = escalating(
        by_system("Superseded"), {**by_system("Reopened"), "at": "2026-03-02T12:00:00Z"}
    )
    (entry,) = [each for each in again.status.decisions if each.verdict == "Reopened"]
    since = (entry.at - OPENED) / HOUR
    assert escalated(again, since + 3.9) == []
    (found,) = escalated(again, since + 4)
    assert found.key != escalated(escalating(), 5)[0].key


def test_each_level_is_sent_once_to_who_asks_for_it():
    request = escalating()
    first, second = Route(frozenset(Event)), Route(frozenset(Event), from_level=2)
    memory = Memory(OPENED)
    sent = {first: [], second: []}
    for route, levels in sent.items():
        kept = memory
        for hours in (1, 5, 6, 25, 26):
            now = OPENED + hours * HOUR
            current = notices([request], [], now)
            for group in due(current, route, kept, now, len, WINDOW):
                kept = arrived(kept, group, current, now)
                levels += [n.level for n in group.notices if n.event is Event.ESCALATED]
    assert sent == {first: [1, 2], second: [2]}


def test_who_does_not_ask_for_it_is_not_sent_it():
    route = Route(frozenset({Event.WAITING}))
    now = OPENED + 30 * HOUR
    groups = due(notices([escalating()], [], now), route, Memory(OPENED), now, len, WINDOW)
    assert [each.event for each in groups] == [Event.WAITING]
