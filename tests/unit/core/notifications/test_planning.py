# SPDX-License-Identifier: Apache-2.0
"""When a channel is sent what: windows, what was sent, what is remembered; and a simulation of a
channel over time, with receivers that are away and processes that are killed."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api.values import SubjectKind
from cabgate.notifications.forms import LONG_CHARACTERS, SLACK_CHARACTERS
from cabgate.notifications.messages import room_for
from cabgate.notifications.notices import MAX_NOTICES, Event, Notice
from cabgate.notifications.planning import (
    MOST_A_MINUTE,
    WINDOW,
    Every,
    Group,
    Memory,
    Route,
    arrived,
    due,
    tried,
    unsent,
    visible,
)
from cabgate_samples.models import NOW
from support.examples import examples

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
ALL = Route(frozenset(Event) - {Event.DIGEST})
FRESH = Memory(NOW)


def notice(
    event: Event = Event.WAITING,
    name: str = "web",
    since: datetime = NOW,
    namespace: str = "shop",
    ring: str = "2",
    step: str = "0",
) -> Notice:
    return Notice(
        event=event,
        kind=SubjectKind.REQUEST,
        namespace=namespace,
        name=name,
        uid=f"uid-{namespace}-{name}",
        step=step,
        since=since,
        opened_at=since,
        score="42.00",
        ring=ring,
        detail="needs CAB member",
        level=1,
    )


def everything(some: list[Notice]) -> int:
    return len(some)


def planned(
    current: list[Notice], memory: Memory, now: datetime, route: Route = ALL
) -> list[Group]:
    return due(current, route, memory, now, everything)  # type: ignore[arg-type]


def test_a_window_ends_thirty_seconds_after_the_first() -> None:
    current = [notice(name="a"), notice(name="b", since=NOW + 29 * SECOND)]
    assert not planned(current, FRESH, NOW + WINDOW - SECOND)
    [group] = planned(current, FRESH, NOW + WINDOW)
    assert [each.name for each in group.notices] == ["a", "b"]


def test_the_next_message_of_an_event_comes_a_window_later() -> None:
    current = [notice(name="a")]
    [group] = planned(current, FRESH, NOW + WINDOW)
    memory = arrived(tried(FRESH, group, NOW + WINDOW), group, current, NOW + WINDOW)
    assert not planned(current, memory, NOW + DAY), "nothing is sent twice"
    current.append(notice(name="b", since=NOW + SECOND))
    assert not planned(current, memory, NOW + 2 * WINDOW - SECOND)
    [group] = planned(current, memory, NOW + 2 * WINDOW)
    assert [each.name for each in group.notices] == ["b"]


def test_events_have_messages_of_their_own_the_most_urgent_first() -> None:
    current = [notice(each, each.value) for each in ALL.events]
    found = planned(current, FRESH, NOW + WINDOW)
    assert [each.event for each in found] == [each for each in Event if each in ALL.events]
    assert found[0].event is Event.GLASS_BROKEN


def test_no_channel_can_get_more_than_twenty_messages_a_minute() -> None:
    assert len(Event) * (MINUTE / WINDOW) <= MOST_A_MINUTE


@pytest.mark.parametrize(
    ("route", "there"),
    [
        (ALL, True),
        (replace(ALL, events=frozenset({Event.DECIDED})), False),
        (replace(ALL, namespaces=frozenset({"shop"})), True),
        (replace(ALL, namespaces=frozenset({"other"})), False),
        (replace(ALL, rings=frozenset({"2", "3"})), True),
        (replace(ALL, rings=frozenset({"0"})), False),
    ],
)
def test_a_channel_gets_what_its_route_says(route: Route, there: bool) -> None:
    current = visible([notice()], route)
    assert bool(planned(current, FRESH, NOW + WINDOW, route)) is there


def test_what_has_no_ring_is_for_whoever_gets_any_ring_and_no_other_namespace() -> None:
    route = replace(ALL, namespaces=frozenset({"shop"}), rings=frozenset({"0"}))
    assert visible([notice(ring="")], route)
    assert not visible([notice(ring="", namespace="other")], route)


def test_what_happened_before_a_channel_was_there_is_no_news_to_it() -> None:
    before = NOW - MINUTE
    current = [notice(Event.DECIDED, "a", before), notice(Event.WAITING, "b", before)]
    [group] = planned(current, FRESH, NOW + WINDOW)
    assert [each.name for each in group.notices] == ["b"], "that still waits"


def test_what_has_no_room_comes_with_the_next_message() -> None:
    current = [notice(name=f"r{number:02}") for number in range(5)]
    [group] = due(current, ALL, FRESH, NOW + WINDOW, lambda some: 3)
    assert (len(group.notices), group.later) == (3, 2)
    memory = arrived(FRESH, group, current, NOW + WINDOW)
    [rest] = due(current, ALL, memory, NOW + 2 * WINDOW, lambda some: 3)
    assert [each.name for each in rest.notices] == ["r03", "r04"]


def test_only_what_is_still_true_is_remembered() -> None:
    current = [notice(name="a"), notice(name="b")]
    [group] = planned(current, FRESH, NOW + WINDOW)
    memory = arrived(FRESH, group, current, NOW + WINDOW)
    assert len(memory.sent) == 2
    later = [notice(name="b"), notice(name="c", since=NOW + MINUTE)]
    [group] = planned(later, memory, NOW + 2 * MINUTE)
    assert arrived(memory, group, later, NOW).sent == {each.key for each in later}


def test_the_newest_are_sent_where_there_is_too_much() -> None:
    many = [notice(name=f"r{n}", since=NOW + n * SECOND) for n in range(MAX_NOTICES + 3)]
    assert unsent(many, ALL, FRESH) == many[3:]


def test_what_a_channel_does_not_take_hides_nothing_that_it_takes() -> None:
    glass = notice(Event.GLASS_BROKEN, "glass")
    many = [glass, *(notice(name=f"r{n}", since=NOW + n * SECOND) for n in range(MAX_NOTICES))]
    route = replace(ALL, events=frozenset({Event.GLASS_BROKEN}), every=Every.DAY)
    later = NOW + DAY - SECOND
    first, digest = planned(visible(many, route), FRESH, later, route)
    assert first.notices == (glass,)
    assert digest.digest is not None
    assert digest.digest.waiting == MAX_NOTICES
    assert digest.digest.glass_broken == 1


def test_no_event_hides_another_and_what_was_sent_is_remembered_of_each() -> None:
    glass = notice(Event.GLASS_BROKEN, "glass")
    many = [glass, *(notice(name=f"r{n}", since=NOW + n * SECOND) for n in range(MAX_NOTICES))]
    later = NOW + 2 * DAY
    assert glass in unsent(many, ALL, FRESH)
    memory = FRESH
    for group in planned(many, FRESH, later):
        memory = arrived(memory, group, many, later)
    assert glass.key in memory.sent
    assert len(memory.sent) == MAX_NOTICES
    assert not unsent(many, ALL, memory)


@pytest.mark.parametrize("ahead", [DAY, 400 * DAY])
def test_a_leader_whose_clock_was_ahead_silences_nobody(ahead: timedelta) -> None:
    route = replace(ALL, every=Every.DAY)
    ahead_of = dict.fromkeys(Event, NOW + ahead)
    memory = Memory(NOW - DAY, latest=ahead_of).at_most(NOW)
    later = NOW + DAY
    current = [notice(event, since=NOW) for event in sorted(ALL.events)]
    assert len(planned(current, memory, later, route)) == len(Event)
    assert Memory(NOW + ahead).at_most(NOW) == FRESH


def test_what_two_leaders_remember_is_all_of_it() -> None:
    one = Memory(NOW, frozenset("a"), {Event.WAITING: NOW, Event.DECIDED: NOW + MINUTE})
    two = Memory(NOW - DAY, frozenset("b"), {Event.DECIDED: NOW, Event.DIGEST: NOW})
    both = Memory(
        NOW - DAY,
        frozenset("ab"),
        {Event.WAITING: NOW, Event.DECIDED: NOW + MINUTE, Event.DIGEST: NOW},
    )
    assert one.with_other(two) == two.with_other(one) == both


def test_a_memory_of_every_channel_has_room_in_one_config_map() -> None:
    many = Memory(
        NOW,
        frozenset(notice(name=f"r{number}").key for number in range(MAX_NOTICES)),
        dict.fromkeys(Event, NOW),
    )
    assert 16 * (len(many.dump()) + 100) < 1024 * 1024


@pytest.mark.parametrize(
    "memory",
    [FRESH, Memory(NOW, frozenset({"a", "b"}), {Event.WAITING: NOW, Event.DIGEST: NOW})],
)
def test_a_memory_is_stored_and_read(memory: Memory) -> None:
    assert Memory.load(memory.dump()) == memory


def test_events_of_another_release_are_passed_over() -> None:
    text = FRESH.dump().replace('"latest":{', '"latest":{"another":"2026-03-01T12:00:00Z"')
    assert Memory.load(text) == FRESH


@pytest.mark.parametrize(
    "text",
    ["", "x", "[]", "{}", "null", '{"a":' * 100_000,
     '{"since":"0001-01-01T00:00:00+23:59","sent":[],"latest":{}}',
     '{"since":"yesterday","sent":[],"latest":{}}',
     '{"since":"2026-03-01T12:00:00","sent":[],"latest":{}}',
     '{"since":"2026-03-01T12:00:00Z","sent":7,"latest":{}}',
     '{"since":"2026-03-01T12:00:00Z","sent":[],"latest":[]}'],
)  # fmt: skip
def test_what_is_no_memory_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Memory.load(text)


@pytest.mark.parametrize(
    ("every", "now", "latest"),
    [
        (Every.DAY, "2026-03-04T08:00:00Z", "2026-03-04T08:00:00Z"),
        (Every.DAY, "2026-03-04T07:59:59Z", "2026-03-03T08:00:00Z"),
        (Every.WEEK, "2026-03-04T09:00:00Z", "2026-03-02T08:00:00Z"),
        (Every.WEEK, "2026-03-02T07:59:59Z", "2026-02-23T08:00:00Z"),
    ],
)
def test_when_a_digest_is_sent(every: Every, now: str, latest: str) -> None:
    assert every.latest(datetime.fromisoformat(now)) == datetime.fromisoformat(latest)


def test_a_digest_comes_once_and_late_rather_than_never() -> None:
    route = replace(ALL, every=Every.DAY)
    current = [notice(since=NOW - DAY), notice(Event.DECIDED, "a", NOW - 2 * DAY)]
    memory = Memory(NOW - 3 * DAY, frozenset(each.key for each in current))
    [group] = planned(current, memory, NOW, route)
    assert group.digest is not None
    assert (group.digest.waiting, group.digest.decided) == (1, 0), "the decision is older"
    assert tried(memory, group, NOW) == memory, "it is tried again until it has arrived"
    memory = arrived(memory, group, current, NOW)
    assert not planned(current, memory, NOW + timedelta(hours=19), route)
    assert planned(current, memory, NOW + timedelta(hours=20), route)


@dataclass
class Channel:
    """A channel over time: a process that is killed loses what it has not stored."""

    route: Route = ALL
    characters: int = LONG_CHARACTERS
    stored: Memory = FRESH
    received: list[tuple[datetime, Group]] = field(default_factory=list)
    tries: list[datetime] = field(default_factory=list)

    def turn(self, true: Iterable[Notice], now: datetime, *, away: bool, killed: bool) -> None:
        """What one look sends; `killed` is between sending and storing."""
        current = visible(sorted(true, key=lambda each: each.since), self.route)
        memory = self.stored
        while groups := due(*(current, self.route, memory, now, room_for(self.characters, now))):
            group = groups[0]
            self.tries.append(now)
            memory = tried(memory, group, now)
            if away:
                self.stored = memory
                return  # and is left alone for a while, which the caller sees to
            self.received.append((now, group))
            if killed:
                return
            memory = arrived(memory, group, current, now)
            self.stored = memory

    def named(self) -> Counter[str]:
        return Counter(each.key for _, group in self.received for each in group.notices)


@pytest.mark.parametrize("characters", [SLACK_CHARACTERS, LONG_CHARACTERS])
def test_a_thousand_requests_in_ten_seconds_are_three_messages_in_the_first_minute(
    characters: int,
) -> None:
    channel = Channel(characters=characters)
    requests = [
        notice(name=f"checkout-{number:08x}", since=NOW + (number // 100) * SECOND)
        for number in range(1000)
    ]
    moment = NOW
    while len(channel.named()) < 1000:
        moment += 2 * SECOND
        true = [each for each in requests if each.since <= moment]
        channel.turn(true, moment, away=False, killed=False)
        assert moment < NOW + timedelta(minutes=10)
    first = [at for at, _ in channel.received if at <= NOW + MINUTE]
    assert 1 <= len(first) <= 3
    assert set(channel.named().values()) == {1}, "each is named once"


def test_an_outage_sends_what_is_still_true_and_nothing_else() -> None:
    channel = Channel()
    moment = NOW
    for number in range(100):
        moment += 10 * SECOND
        channel.turn([notice(name=f"gone-{number}", since=moment)], moment, away=True, killed=False)
    still = [notice(name="still", since=moment)]
    channel.turn(still, moment + MINUTE, away=False, killed=False)
    assert set(channel.named()) == {still[0].key}
    assert unsent(still, ALL, channel.stored) == []


COURSES = st.lists(
    st.tuples(
        st.integers(1, 40),  # seconds that pass
        st.lists(st.tuples(st.sampled_from(sorted(ALL.events)), st.integers(0, 30)), max_size=4),
        st.booleans(),  # the channel is away
        st.booleans(),  # the process is killed
    ),
    max_size=60,
)


@given(COURSES)
def test_none_is_lost_none_comes_twice_but_for_a_kill_and_never_too_many(
    course: list[tuple[int, list[tuple[Event, int]], bool, bool]],
) -> None:
    channel, true, moment, kills = Channel(), {}, NOW, 0
    for seconds, opened, away, killed in course:
        moment += seconds * SECOND
        for event, number in opened:
            true.setdefault((event, number), notice(event, f"r{number}", moment))
        before = len(channel.received)
        channel.turn(true.values(), moment, away=away, killed=killed)
        kills += killed and not away and len(channel.received) > before
    for _ in range(3):
        moment += 2 * WINDOW
        channel.turn(true.values(), moment, away=False, killed=False)
    named = channel.named()
    assert set(named) == {each.key for each in true.values()}
    repeated = sum(
        1
        for index, (_, group) in enumerate(channel.received)
        if {each.key for each in group.notices}
        & {each.key for _, other in channel.received[:index] for each in other.notices}
    )
    assert repeated <= kills
    for at in channel.tries:
        within = [each for each in channel.tries if at <= each < at + MINUTE]
        assert len(within) <= MOST_A_MINUTE + kills


@given(st.integers(1, 400), st.integers(1, 60))
def test_a_message_holds_one_at_least_and_no_more_than_has_room(count: int, room: int) -> None:
    some = [notice(name=f"r{number}") for number in range(count)]
    fits = room_for(room * 60, NOW)(some)
    assert 1 <= fits <= count


def test_a_hundred_kills_lose_nothing() -> None:
    channel, moment = Channel(), NOW
    true: list[Notice] = []
    for number in range(examples(100)):
        true.append(notice(name=f"r{number}", since=moment))
        moment += WINDOW
        channel.turn(true, moment, away=False, killed=True)
    channel.turn(true, moment + WINDOW, away=False, killed=False)
    assert set(channel.named()) == {each.key for each in true}
    assert len(channel.received) <= 2 * examples(100) + 1
