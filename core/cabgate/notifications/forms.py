# SPDX-License-Identifier: Apache-2.0
"""The forms that channels have for a message: Slack's Block Kit, an Adaptive Card for Microsoft
Teams, JSON for programs, text of a mail.

What others named stands in fields that hold text and nothing else: in Slack's rich text, and in the
TextRuns of a card, no character mentions, links or formats, so there is none to escape.
"""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from cabgate.notifications.messages import (
    LISTS,
    Message,
    Room,
    Row,
    command_of,
    link_of,
    room_by,
    row_of,
)
from cabgate.notifications.notices import Notice
from cabgate.notifications.planning import Group
from cabgate.text.inert import first_words
from cabgate.text.moments import rfc3339
from cabgate.views.plain import plain

Json = dict[str, Any]

SLACK_CHARACTERS = 8000
"""Room for the rows of a message to Slack, which refuses much longer ones."""

TEAMS_BYTES = 24 * 1024
"""Most bytes of a message to Teams, which refuses more than 28 KB."""

LONG_CHARACTERS = 400_000
"""Room for those of a mail."""

PROGRAM_BYTES = 256 * 1024
"""Most bytes of a message to a program: nginx refuses more than 1 MiB, some much less."""

_ENVELOPE_BYTES = 16 * 1024
"""Most that is not its notices: names, a command and a link."""

_CARD_BYTES = 4 * 1024
"""Most of a card that is not its rows: a title, a command and a link."""

_MAX_PROGRAM_DETAIL = 1024
"""Longest detail of a notice there, in characters."""

_MAX_HEADER = 150

_HOST_DOT = re.compile(r"(?<=\S)[.\u3002\uff0e\uff61](?=\S)")
"""What divides the labels of a host, as browsers take it too."""

_SCORE = re.compile(r"score \d+\.\d+, ")
"""What a row begins with, which stays as it is."""


def slack(message: Message) -> Json:
    """The body for an incoming webhook of Slack."""
    blocks: list[Json] = [
        {
            "type": "header",
            "text": {"type": "plain_text", "text": message.title[:_MAX_HEADER], "emoji": False},
        }
    ]
    elements: list[Json] = []
    if message.rows:
        items = [
            _section(_text(row.name, code=True), _text(f"  {row.text}")) for row in message.rows
        ]
        elements.append({"type": "rich_text_list", "style": "bullet", "elements": items})
    elements += [_section(_text(line)) for line in message.lines]
    elements.append(
        {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": message.command}]}
    )
    if message.link:
        link = {"type": "link", "url": message.link, "text": "Open in the portal"}
        elements.append(_section(link))
    blocks.append({"type": "rich_text", "elements": elements})
    return {
        "text": escaped(message.title),
        "mrkdwn": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": blocks,
    }


def teams(message: Message) -> Json:
    """The body for a workflow of Microsoft Teams that posts a card when it receives one."""
    body = [
        _block(_run(message.title, weight="Bolder", size="Medium")),
        *(_card_row(row) for row in message.rows),
        *(_block(_run(line)) for line in message.lines),
        _block(_run(message.command, fontType="Monospace")),
    ]
    card: Json = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": body,
    }
    if message.link:
        action = {"type": "Action.OpenUrl", "title": "Open in the portal", "url": message.link}
        card["actions"] = [action]
    content_type = "application/vnd.microsoft.card.adaptive"
    attachment = {"contentType": content_type, "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def room_for_teams(now: datetime) -> Room:
    """How many notices a message to Teams holds, by its bytes."""
    return room_by(
        TEAMS_BYTES - _CARD_BYTES,
        lambda notice: len(json.dumps(_card_row(row_of(notice, now)))) + 2,
    )


def _card_row(row: Row) -> Json:
    return _block(_run(row.name, fontType="Monospace"), _run(f"  {row.text}"))


def _block(*runs: Json) -> Json:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _run(text: str, **style: str) -> Json:
    return {"type": "TextRun", "text": text, **style}


def escaped(text: str) -> str:
    """A text where Slack takes `<`, `>` and `&` for its own: in what notifications of phones
    show."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def for_programs(group: Group, message: Message, cluster: str, portal: str, now: datetime) -> Json:
    """The body for a webhook, in the form that Standard Webhooks recommends. Each notice has a key
    that stays the same however often it is sent."""
    data: Json = {
        "cluster": cluster,
        "title": message.title,
        "command": message.command,
        "notices": [_notice(each, portal, now) for each in group.notices],
        "later": group.later,
    }
    if message.link:
        data["link"] = message.link
    if group.digest is not None:
        digest = plain(group.digest)
        digest["oldest"] = [_notice(each, portal, now) for each in group.digest.oldest]
        data["digest"] = digest
    return {"type": f"cabgate.{group.event}", "timestamp": rfc3339(now), "data": data}


def room_for_programs(portal: str, now: datetime) -> Room:
    """How many notices a message to a program holds, by its bytes."""
    return room_by(
        PROGRAM_BYTES - _ENVELOPE_BYTES,
        lambda notice: len(json.dumps(_notice(notice, portal, now))) + 2,
    )


def mail(message: Message) -> str:
    """The text of a mail. Programs that show mail make links of what looks like a name of a host,
    so what others wrote is written like `www[.]example[.]com`; a command stays one, and where it
    would have such a name the command that lists all stands in its place."""
    return "".join(f"{line}\n" for line in _mail_lines(message))


def _mail_lines(message: Message) -> Iterator[str]:
    yield message.title
    yield ""
    for row in message.rows:
        yield _unlinked(row.name)
        yield f"  {_unlinked(row.text)}"
    yield from message.lines
    yield ""
    yield f"  {LISTS[message.event] if '.' in message.command else message.command}"
    if message.link:
        yield f"  {message.link}"


def _unlinked(text: str) -> str:
    """A text in which no host, address or URL is to be seen, as security teams write those."""
    own = _SCORE.match(text)
    ours = own.group() if own else ""
    rest = text.removeprefix(ours).replace("://", "[:]//").replace("@", "[at]")
    return ours + _HOST_DOT.sub("[.]", rest)


def _notice(notice: Notice, portal: str, now: datetime) -> Json:
    found: Json = {
        "key": notice.key,
        "event": notice.event.value,
        "kind": notice.kind.value,
        "namespace": notice.namespace,
        "name": notice.name,
        "uid": notice.uid,
        "since": rfc3339(notice.since),
        "openedAt": rfc3339(notice.opened_at),
        "age": max(0, int((now - notice.opened_at).total_seconds())),
        "score": notice.score,
        "ring": notice.ring,
        "detail": first_words(notice.detail, _MAX_PROGRAM_DETAIL),
        "command": command_of(notice),
    }
    link = link_of(portal, notice)
    return {**found, "link": link} if link else found


def _section(*elements: Json) -> Json:
    return {"type": "rich_text_section", "elements": list(elements)}


def _text(text: str, *, code: bool = False) -> Json:
    styled: Json = {"style": {"code": True}} if code else {}
    return {"type": "text", "text": text, **styled}
