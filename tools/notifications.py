# SPDX-License-Identifier: Apache-2.0
"""Write the messages of docs/notifications.md, as each channel gets them, between its markers."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cabgate.api.values import SubjectKind
from cabgate.notifications.forms import for_programs, mail, slack, teams
from cabgate.notifications.messages import message_of
from cabgate.notifications.notices import Event, Notice
from cabgate.notifications.planning import Digest, Every, Group
from cabgate.notifications.signing import key_of, signed_headers

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "notifications.md"
BEGIN, END = "<!-- messages: begin -->\n", "<!-- messages: end -->\n"

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
PORTAL = "https://cab.example.com"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - of the specification's example

WAITING = Notice(
    event=Event.WAITING,
    kind=SubjectKind.REQUEST,
    namespace="shop",
    name="checkout-1f2e3d4c",
    uid="6f0c1d52-8f3e-4b53-9a58-1f2a3c4d5e6f",
    step="0",
    since=NOW - timedelta(minutes=1),
    opened_at=NOW - timedelta(minutes=1),
    score="42.50",
    ring="2",
    detail="needs CAB member",
)
EXCEPTION = replace(
    WAITING,
    event=Event.EXCEPTION_WAITING,
    kind=SubjectKind.EXCEPTION,
    name="leave",
    score="81.00",
    detail="needs security reviewer",
)
ESCALATED = replace(
    WAITING,
    event=Event.ESCALATED,
    opened_at=NOW - timedelta(hours=4),
    detail="needs CAB member: 1 more person with the verb approve (0/1), escalated to level 1",
    level=1,
)
GROUPS = (
    Group(Event.WAITING, (WAITING,)),
    Group(
        Event.WAITING,
        (WAITING, replace(WAITING, name="web-5a6b7c8d", score="55.00")),
        later=3,
    ),
    Group(Event.EXCEPTION_WAITING, (EXCEPTION,)),
    Group(Event.ESCALATED, (ESCALATED,)),
    Group(Event.DECIDED, (replace(WAITING, event=Event.DECIDED, detail="Approved by rita"),)),
    Group(
        Event.FROZEN,
        (
            replace(
                WAITING,
                event=Event.FROZEN,
                detail="approved, frozen by ChangeFreeze christmas until 2026-03-09T08:00:00Z",
            ),
        ),
    ),
    Group(Event.REVOKED, (replace(WAITING, event=Event.REVOKED, detail="Revoked by sam"),)),
    Group(
        Event.GLASS_BROKEN,
        (
            replace(
                WAITING,
                event=Event.GLASS_BROKEN,
                name="break-glass-4b080e7fecfbf1ba",
                score="100.00",
                detail="ticket INC-4711",
            ),
        ),
    ),
    Group(
        Event.EXPIRING,
        (
            replace(
                EXCEPTION,
                event=Event.EXPIRING,
                opened_at=NOW - timedelta(days=23),
                detail="ends 2026-03-09T08:00:00Z",
            ),
        ),
    ),
    Group(
        Event.EXPIRED,
        (
            replace(
                EXCEPTION,
                event=Event.EXPIRED,
                opened_at=NOW - timedelta(days=30),
                detail="ended 2026-03-02T08:00:00Z",
            ),
        ),
    ),
    Group(Event.DIGEST, (), digest=Digest(Every.WEEK, 1, 1, 7, 0, 1, 2, (WAITING, EXCEPTION))),
)


def rendered() -> str:
    """The page, with its messages as they are sent now."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return "".join([before, BEGIN, "\n".join(_messages()), "\n", END, after])


def _messages() -> Iterator[str]:
    """Each as a mail, and the first for Slack, for Teams and for a program."""
    for group in GROUPS:
        message = message_of(group, "prod", PORTAL, NOW)
        yield f"### {message.title.partition(': ')[2].capitalize()} (`{group.event}`)\n"
        yield f"Mail, with the subject `{message.title}`:\n"
        yield f"```text\n{mail(message)}```\n"
        if group is GROUPS[0]:
            yield f"Slack:\n\n```json\n{json.dumps(slack(message), indent=1)}\n```\n"
            yield f"Microsoft Teams:\n\n```json\n{json.dumps(teams(message), indent=1)}\n```\n"
            body = for_programs(group, message, "prod", PORTAL, NOW)
            headers = signed_headers(
                *(key_of(SECRET), "msg_1", int(NOW.timestamp()), json.dumps(body).encode())
            )
            lines = "".join(f"{name}: {value}\n" for name, value in headers.items())
            yield f"A program, signed with `{SECRET}` (what is signed has no line breaks):\n"
            yield f"```text\n{lines}```\n\n```json\n{json.dumps(body, indent=1)}\n```\n"


def main() -> int:
    """Write the page; tell if it changed."""
    if PAGE.read_text() != rendered():
        PAGE.write_text(rendered())
        print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
