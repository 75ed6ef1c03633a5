# SPDX-License-Identifier: Apache-2.0
"""What a message looks like at each channel, and that no name can make it look like another."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api.values import SubjectKind
from cabgate.notifications.forms import (
    LONG_CHARACTERS,
    PROGRAM_BYTES,
    SLACK_CHARACTERS,
    TEAMS_BYTES,
    escaped,
    for_programs,
    mail,
    room_for_programs,
    room_for_teams,
    slack,
    teams,
)
from cabgate.notifications.messages import Message, link_of, message_of, room_for, row_of
from cabgate.notifications.notices import Event, Notice, notices
from cabgate.notifications.planning import Every, Group, Memory, Route, due
from cabgate.text.characters import is_hidden
from cabgate_samples.models import NOW, by_person
from support.slack import check_slack, texts_of
from support.teams import card_of, check_teams, texts_of_card
from unit.core.notifications.subjects import asked

PORTAL = "https://cab.example.com"
NOTICE = Notice(
    event=Event.WAITING,
    kind=SubjectKind.REQUEST,
    namespace="shop",
    name="checkout-1f2e3d4c",
    uid="u-1",
    step="0",
    since=NOW,
    opened_at=NOW - timedelta(hours=3),
    score="42.50",
    ring="2",
    detail="needs CAB member",
)
HOSTILE = (
    "<!channel>",
    "<@U012AB3CD>",
    "<https://evil.example|Open in the portal>",
    "*bold* _it_ ~gone~ `code` ```block```",
    ":rotating_light: @here",
    "rita\r\nBcc: everybody@example.com\r\n\r\nApproved",
    "a\x00\x1b[31m\u202e\u2066b",
    "x" * 5000,
)


def message(*some: Notice, later: int = 0, portal: str = PORTAL) -> Message:
    return message_of(Group(some[0].event, some, later), "prod", portal, NOW)


def decided_by(username: str) -> Notice:
    """What becomes of a decision by somebody of that name."""
    made = by_person("Approved")
    made["author"]["username"] = username
    request = asked("ManualReview", by_person("Approved"), name="web")
    entry = request.status.decisions[0]
    # Past the schema, as an object that was written past the webhook.
    author = entry.author.model_copy(update={"username": username})
    changed = entry.model_copy(update={"author": author})
    status = request.status.model_copy(update={"decisions": [changed]})
    [found] = notices([request.model_copy(update={"status": status})], [], NOW)
    return found


def test_one_is_named_with_its_link_and_its_command() -> None:
    made = message(NOTICE)
    assert made.title == "cabgate prod: 1 request waits"
    assert made.command == "kubectl cab show checkout-1f2e3d4c -n shop"
    assert made.link == link_of(PORTAL, NOTICE)
    [row] = made.rows
    assert row.name == "shop/checkout-1f2e3d4c"
    assert row.text == "score 42.50, ring 2, opened 3h ago, needs CAB member"


def test_several_have_one_command_and_the_first_page() -> None:
    made = message(NOTICE, replace(NOTICE, name="other"), later=7)
    assert made.title == "cabgate prod: 2 requests wait"
    assert made.command == "kubectl cab queue -A"
    assert made.link == f"{PORTAL}/"
    assert made.lines == ("7 more in the next message.",)


def test_an_exception_is_shown_by_its_own_name() -> None:
    waits = replace(NOTICE, kind=SubjectKind.EXCEPTION, event=Event.EXCEPTION_WAITING, score="")
    made = message(replace(waits, ring=""))
    assert made.command == "kubectl cab show cabex/checkout-1f2e3d4c -n shop"
    assert made.rows[0].name == "exception shop/checkout-1f2e3d4c"
    assert made.rows[0].text == "opened 3h ago, needs CAB member"


def test_without_a_portal_there_is_no_link() -> None:
    made = message(NOTICE, portal="")
    assert made.link == ""
    assert '"link"' not in json.dumps(slack(made))
    assert "http" not in mail(made)
    body = for_programs(Group(Event.WAITING, (NOTICE,)), made, "prod", "", NOW)
    assert '"link"' not in json.dumps(body)


@pytest.mark.parametrize("event", sorted(set(Event) - {Event.DIGEST}))
def test_slack_takes_every_event(event: Event) -> None:
    check_slack(slack(message(replace(NOTICE, event=event))))
    check_slack(slack(message(*[replace(NOTICE, event=event, name=f"n{n}") for n in range(50)])))


@pytest.mark.parametrize("every", list(Every))
@pytest.mark.parametrize("current", [[], [NOTICE] * 20])
def test_slack_takes_a_digest(every: Every, current: list[Notice]) -> None:
    route = Route(frozenset(), every=every)
    [group] = due(current, route, Memory(NOW - timedelta(days=8)), NOW, len)
    made = message_of(group, "prod", PORTAL, NOW)
    check_slack(slack(made))
    assert made.rows == tuple(row_of(each, NOW) for each in current[:10])
    body = for_programs(group, made, "prod", PORTAL, NOW)
    assert body["data"]["digest"]["waiting"] == len(current)
    assert json.loads(json.dumps(body)) == body


def test_the_longest_message_is_one_that_slack_takes() -> None:
    longest = replace(NOTICE, namespace="n" * 63, name="r" * 253, detail="d" * 200)
    many = [longest] * 1000
    fits = room_for(SLACK_CHARACTERS, NOW)(many)
    check_slack(slack(message(*many[:fits], later=1000)))
    assert room_for(LONG_CHARACTERS, NOW)(many) > 500


@pytest.mark.parametrize("event", sorted(set(Event) - {Event.DIGEST}))
def test_teams_takes_every_event(event: Event) -> None:
    check_teams(teams(message(replace(NOTICE, event=event))))
    many = [replace(NOTICE, event=event, name=f"n{n}") for n in range(50)]
    check_teams(teams(message(*many, later=7)))
    assert "actions" not in card_of(teams(message(NOTICE, portal="")))


@pytest.mark.parametrize("detail", ["d" * 200, "\U0001f600" * 200])
def test_the_longest_message_is_one_that_teams_takes(detail: str) -> None:
    longest = replace(NOTICE, namespace="n" * 63, name="r" * 253, detail=detail)
    many = [longest] * 1000
    fits = room_for_teams(NOW)(many)
    made = teams(message(*many[:fits], later=1000, portal=f"{PORTAL}/{'p' * 2000}"))
    check_teams(made)
    assert len(json.dumps(made)) > TEAMS_BYTES / 2


@pytest.mark.parametrize("text", HOSTILE)
def test_what_somebody_is_called_says_nothing_to_teams(text: str) -> None:
    """Markdown is none in a TextRun, and only `msteams.entities` would mention somebody."""
    made = teams(message(decided_by(text)))
    check_teams(made)
    assert _values_of(made, "url") == [link_of(PORTAL, decided_by(text))]
    plain = teams(message(decided_by("rita")))
    assert len(texts_of_card(made)) == len(texts_of_card(plain))
    assert not any(is_hidden(c) for each in texts_of_card(made) for c in each)


def test_the_longest_message_to_a_program_is_bounded_in_bytes() -> None:
    longest = replace(NOTICE, namespace="n" * 63, name="r" * 253, detail="\U0001f600" * 9000)
    many = [longest] * 4000
    fits = room_for_programs(PORTAL, NOW)(many)
    group = Group(Event.WAITING, tuple(many[:fits]), 4000 - fits)
    body = json.dumps(for_programs(group, message(*group.notices), "prod", PORTAL, NOW))
    assert PROGRAM_BYTES / 2 < len(body.encode()) <= PROGRAM_BYTES


@pytest.mark.parametrize("text", HOSTILE)
def test_what_somebody_is_called_says_nothing_to_slack(text: str) -> None:
    made = slack(message(decided_by(text)))
    check_slack(made)
    assert "<" not in made["text"]
    kinds = {"link", "text", "header", "rich_text", "plain_text"}
    types = [each for each in _values_of(made, "type") if each not in kinds]
    assert all(each.startswith("rich_text_") for each in types), "no user, no broadcast, no mrkdwn"
    assert _values_of(made, "url") == [link_of(PORTAL, decided_by(text))]


def _values_of(value: object, key: str) -> list[str]:
    if isinstance(value, dict):
        own = [value[key]] if isinstance(value.get(key), str) else []
        return own + [each for inner in value.values() for each in _values_of(inner, key)]
    if isinstance(value, list):
        return [each for inner in value for each in _values_of(inner, key)]
    return []


@pytest.mark.parametrize(
    "text",
    [
        "www.evil.example",
        "https://evil.example/login",
        "rita@evil.example",
        "www\uff0eevil\u3002example",
        "www.evil.example.",
        "10.20.30.40",
        "mailto:rita@localhost",
    ],
)
def test_no_mail_has_what_is_made_a_link(text: str) -> None:
    notice = replace(NOTICE, name="www.evil.example", detail=f"ticket {text}")
    exception = replace(
        notice, kind=SubjectKind.EXCEPTION, event=Event.EXPIRING, detail=f"ticket {text}"
    )
    for each in (notice, exception):
        shown = mail(message(each, portal=""))
        ours = shown.replace("score 42.50", "").replace("[.]", "").replace("[:]", "")
        assert not re.search(r"\S[.\uff0e\u3002]\S|://|@", ours), shown
        assert "score 42.50" in shown
    assert f"{PORTAL}/requests/shop.www.evil.example" in mail(message(notice))


@given(st.text(max_size=300))
def test_no_name_makes_a_line_or_a_hidden_character(text: str) -> None:
    notice = decided_by(text)
    made = message(notice)
    plain = message(replace(notice, detail="Approved by rita"))
    assert mail(made).count("\n") == mail(plain).count("\n")
    texts = [*texts_of(slack(made)["blocks"]), *mail(made).split("\n")]
    assert not any(is_hidden(c) for each in texts for c in each)
    body = for_programs(Group(notice.event, (notice,)), made, "prod", PORTAL, NOW)
    assert json.loads(json.dumps(body)) == body


def test_the_text_of_notifications_is_escaped() -> None:
    assert escaped("<!here> & <b>") == "&lt;!here&gt; &amp; &lt;b&gt;"


def test_names_stay_within_a_link_and_a_command() -> None:
    odd = replace(NOTICE, namespace="a/../b", name="c?d#e;$(reboot)")
    link = urlsplit(link_of(f"{PORTAL}/cab/", odd))
    assert link.hostname == "cab.example.com"
    assert link.path.count("/") == 3
    assert (link.query, link.fragment) == ("", "")
    assert message(odd).command == "kubectl cab show 'c?d#e;$(reboot)' -n a/../b"


def test_a_program_is_told_everything_once() -> None:
    body = for_programs(*(Group(Event.WAITING, (NOTICE,), 3), message(NOTICE), "prod", PORTAL, NOW))
    assert body["type"] == "cabgate.waiting"
    assert body["data"]["later"] == 3
    [found] = body["data"]["notices"]
    assert found["key"] == NOTICE.key
    assert (found["age"], found["openedAt"]) == (10800, "2026-03-01T09:00:00Z")
