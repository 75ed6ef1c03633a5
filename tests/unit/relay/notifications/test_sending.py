# SPDX-License-Identifier: Apache-2.0
"""One message to strict receivers, over TLS: what arrives, and why something does not."""

import socket
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from cabgate.api.values import SubjectKind
from cabgate.notifications.messages import message_of
from cabgate.notifications.notices import Event, Notice
from cabgate.notifications.planning import Group
from cabgate_relay.notifications import mailing
from cabgate_relay.notifications.channels import Channel, Secrets
from cabgate_relay.notifications.mailing import mail_of
from cabgate_relay.notifications.sending import (
    Parcel,
    RefusedError,
    SendError,
    sender_of,
)
from cabgate_relay.retrying import LONGEST_RETRY_AFTER, retry_after
from support.receivers import LOOPBACK, SECRET, Authority, HttpReceiver, Mailbox

NOW = datetime.now(UTC)
PORTAL = "https://cab.example.com"
HOSTILE = "<!channel> rita\r\nBcc: all@example.com\r\n\r\n.\r\nü \u202e"
NOTICE = Notice(
    event=Event.DECIDED,
    kind=SubjectKind.REQUEST,
    namespace="shop",
    name="checkout-1f2e3d4c",
    uid="u-1",
    step="1",
    since=NOW,
    opened_at=NOW - timedelta(hours=1),
    score="42.50",
    ring="2",
    detail="Approved by rita",
)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "password").write_text(Mailbox.PASSWORD)
    return Authority(tmp_path)


@pytest.fixture
def receiver(authority: Authority) -> Iterator[HttpReceiver]:
    with HttpReceiver(authority) as made:
        (authority.folder / "slack-url").write_text(f"{made.url}/slack")
        (authority.folder / "teams-url").write_text(f"{made.url}/teams?sig=hush")
        yield made


def parcel(*some: Notice) -> Parcel:
    group = Group(Event.DECIDED, some or (NOTICE,))
    message = message_of(group, "prod", PORTAL, NOW)
    # Of this moment: who verifies it takes nothing that is minutes old.
    return Parcel("msg_1", group, message, "prod", PORTAL, datetime.now(UTC))


def slack(**more: Any) -> Channel:
    return channel(slack={"urlFile": "slack-url"}, **more)


def teams(**more: Any) -> Channel:
    return channel(teams={"urlFile": "teams-url"}, **more)


def webhook(url: str, **more: Any) -> Channel:
    return channel(webhook={"url": url, "secretFile": "secret"}, **more)


def channel(**fields: Any) -> Channel:
    given = {"name": "one", "allowedAddresses": LOOPBACK, "caFile": "ca.crt", **fields}
    return Channel.model_validate(given)


async def send(channel: Channel, authority: Authority, *some: Notice) -> None:
    await sender_of(channel, Secrets(authority.folder)).send(parcel(*some))


async def why_not(channel: Channel, authority: Authority) -> SendError:
    with pytest.raises(SendError) as failed:
        await send(channel, authority)
    return failed.value


async def test_slack_takes_a_message(receiver: HttpReceiver, authority: Authority) -> None:
    await send(slack(), authority)
    await send(slack(), authority, replace(NOTICE, detail=HOSTILE.replace("\r\n", " ")))
    assert len(receiver.slack) == 2
    assert not receiver.wrong


async def test_teams_takes_a_message(receiver: HttpReceiver, authority: Authority) -> None:
    await send(teams(), authority)
    await send(teams(), authority, replace(NOTICE, detail=HOSTILE.replace("\r\n", " ")))
    assert len(receiver.teams) == 2
    assert not receiver.wrong


async def test_the_url_of_a_workflow_is_a_secret(
    receiver: HttpReceiver, authority: Authority
) -> None:
    receiver.answers = deque([(400, {})])
    assert "hush" not in str(await why_not(teams(), authority))


async def test_a_program_verifies_what_it_takes(
    receiver: HttpReceiver, authority: Authority
) -> None:
    await send(webhook(f"{receiver.url}/hook"), authority)
    [body] = receiver.programs
    assert body["type"] == "cabgate.decided"
    assert body["data"]["cluster"] == "prod"
    assert receiver.headers[0]["webhook-id"] == "msg_1"
    assert not receiver.wrong


async def test_a_secret_that_was_replaced_is_the_one_that_is_used(
    receiver: HttpReceiver, authority: Authority
) -> None:
    (authority.folder / "secret").write_text("whsec_" + "A" * 32)
    error = await why_not(webhook(f"{receiver.url}/hook"), authority)
    assert str(error) == "the receiver answered 400"
    (authority.folder / "secret").write_text(SECRET)
    await send(webhook(f"{receiver.url}/hook"), authority)
    (authority.folder / "secret").unlink()
    error = await why_not(webhook(f"{receiver.url}/hook"), authority)
    assert str(error) == "secret: cannot be read: No such file or directory"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(
    receiver: HttpReceiver, authority: Authority, status: int
) -> None:
    receiver.answers = deque([(status, {"Location": f"{receiver.url}/slack"})])
    error = await why_not(slack(), authority)
    assert str(error) == f"the receiver answered {status}: redirects are not followed"
    assert receiver.attempts == 1


@pytest.mark.parametrize(
    ("answer", "after"),
    [
        ((429, {"Retry-After": "30"}), 30),
        ((503, {}), 0),
        ((500, {"Retry-After": "soon"}), 0),
        ((404, {"Retry-After": "999999"}), LONGEST_RETRY_AFTER),
    ],
)
async def test_a_receiver_says_how_long_it_wants_to_be_left_alone(
    receiver: HttpReceiver, authority: Authority, answer: Any, after: float
) -> None:
    receiver.answers = deque([answer])
    error = await why_not(slack(), authority)
    assert str(error) == f"the receiver answered {answer[0]}"
    assert error.retry_after == after


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 0),
        ("12", 12),
        (" 12 ", 12),
        ("-5", 0),
        ("1.5", 0),
        ("9" * 400, LONGEST_RETRY_AFTER),
        (format_datetime(datetime(2026, 3, 1, 12, 1, tzinfo=UTC), usegmt=True), 60),
        (format_datetime(datetime(2026, 3, 1, 11, 0, tzinfo=UTC), usegmt=True), 0),
        ("Sun, 01 Mar 2026 12:01:00", 0),
        ("yesterday", 0),
    ],
)
def test_how_long_that_is(text: str, seconds: float) -> None:
    assert retry_after(text, datetime(2026, 3, 1, 12, tzinfo=UTC)) == seconds


async def test_a_receiver_that_hangs_up_has_not_taken_it(
    receiver: HttpReceiver, authority: Authority
) -> None:
    receiver.answers = deque([None])
    assert "cannot be reached" in str(await why_not(slack(), authority))


async def test_only_the_ca_that_was_given_is_trusted(
    receiver: HttpReceiver, authority: Authority
) -> None:
    error = await why_not(slack(caFile=None), authority)
    assert "Certificate" in str(error)
    assert receiver.attempts == 0


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_an_address_that_is_not_listed_is_never_connected_to(
    receiver: HttpReceiver, authority: Authority, host: str
) -> None:
    url = receiver.url.replace("localhost", host)
    error = await why_not(webhook(f"{url}/hook", allowedAddresses=[]), authority)
    assert "is private, loopback" in str(error)
    assert "not in allowedAddresses" in str(error)
    assert receiver.attempts == 0
    with Mailbox(authority) as mailbox:
        given = mail(mailbox, host=host, allowedAddresses=[])
        assert "not in allowedAddresses" in str(await why_not(given, authority))


async def test_a_name_that_means_another_address_the_second_time_is_checked_again(
    receiver: HttpReceiver, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the check is of the address that is connected to, each time."""
    port = int(receiver.url.rpartition(":")[2])
    addresses = deque(["127.0.0.1", "127.0.0.2"])
    only_first = ["127.0.0.1/32"]
    resolved = socket.getaddrinfo

    def resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
        address = addresses.popleft() if host == "localhost" else host
        return resolved(address, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    given = webhook(f"https://localhost:{port}/hook", allowedAddresses=only_first)
    await send(given, authority)
    assert "127.0.0.2 is private" in str(await why_not(given, authority))
    assert len(receiver.programs) == 1


async def test_no_proxy_of_the_environment_is_used(
    receiver: HttpReceiver, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    await send(webhook(f"{receiver.url}/hook"), authority)


def mail(mailbox: Mailbox, *, host: str = "localhost", **more: Any) -> Channel:
    security = more.pop("security", "StartTLS")
    smtp = {
        "host": host,
        "port": mailbox.port,
        "security": security,
        "username": "cabgate",
        "passwordFile": "password",
        "from": "cabgate@example.com",
        "to": more.pop("to", ["cab@example.com", "lead@example.com"]),
    }
    return channel(smtp=smtp, **more)


@pytest.mark.parametrize("security", ["StartTLS", "TLS"])
async def test_a_mail_server_takes_a_mail(authority: Authority, security: str) -> None:
    with Mailbox(authority, tls=security == "TLS") as mailbox:
        await send(mail(mailbox, security=security), authority)
    [found] = mailbox.mails
    assert mailbox.recipients == [["cab@example.com", "lead@example.com"]]
    assert found["Subject"] == "cabgate prod: 1 decision"
    assert found["Message-ID"] == "<msg_1@example.com>"
    assert found["Auto-Submitted"] == "auto-generated"
    assert "shop/checkout-1f2e3d4c" in found.get_content()


async def test_what_somebody_is_called_makes_no_header_and_no_mail(authority: Authority) -> None:
    with Mailbox(authority) as mailbox:
        await send(mail(mailbox), authority, replace(NOTICE, detail=HOSTILE))
        await send(mail(mailbox), authority)
    hostile, plain = mailbox.mails
    assert hostile.keys() == plain.keys()
    assert len(mailbox.mails) == 2
    raw = mailbox.raw[0]
    assert raw.isascii()
    assert all(len(line) < 100 for line in raw.split(b"\r\n"))


def test_a_cluster_that_is_called_oddly_makes_no_header() -> None:
    group = Group(Event.DECIDED, (NOTICE,))
    odd = message_of(group, "prod\r\nBcc: all@example.com", PORTAL, NOW)
    made = mail_of(Parcel("m", group, odd, "prod", PORTAL, NOW), "a@b.example", ["c@d.example"])
    assert "Bcc" not in made
    assert "\n" not in made["Subject"]


async def test_a_wrong_password_is_an_error_that_does_not_repeat_it(authority: Authority) -> None:
    (authority.folder / "password").write_text("hush")
    with Mailbox(authority) as mailbox:
        error = await why_not(mail(mailbox), authority)
    assert str(error) == "the mail server answered 535"
    assert not mailbox.mails


async def test_a_server_without_starttls_gets_nothing(authority: Authority) -> None:
    with Mailbox(authority, plain=True) as mailbox:
        assert "SMTPException" in str(await why_not(mail(mailbox), authority))
        assert not mailbox.mails
    with Mailbox(authority) as mailbox:
        error = await why_not(mail(mailbox, caFile=None), authority)
    assert "cannot be used" in str(error), "whoever signed its certificate is not trusted"
    assert not mailbox.mails


async def test_a_mail_that_is_refused_has_not_arrived(authority: Authority) -> None:
    with Mailbox(authority, code="451 try later") as mailbox:
        assert str(await why_not(mail(mailbox), authority)) == "the mail server answered 451"


@pytest.mark.slow
async def test_a_mail_that_was_taken_has_arrived_however_slowly(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its contents are looked through before the answer, and nothing answers to QUIT."""
    monkeypatch.setattr(mailing, "SECONDS", 2.0)
    with Mailbox(authority, slow=3.0) as mailbox:
        await send(mail(mailbox), authority)
        assert len(mailbox.mails) == 1


@pytest.mark.parametrize(("code", "for_good"), [("451 later", False), ("554 spam", True)])
async def test_whether_a_mail_is_refused_for_good(
    authority: Authority, code: str, for_good: bool
) -> None:
    with Mailbox(authority, code=code) as mailbox:
        error = await why_not(mail(mailbox), authority)
    assert isinstance(error, RefusedError) is for_good


@pytest.mark.parametrize(
    ("status", "for_good"),
    [(400, True), (403, True), (413, True), (408, False), (425, False), (429, False), (503, False)],
)
async def test_whether_a_message_is_refused_for_good(
    receiver: HttpReceiver, authority: Authority, status: int, for_good: bool
) -> None:
    receiver.answers = deque([(status, {})])
    assert isinstance(await why_not(slack(), authority), RefusedError) is for_good


async def test_a_recipient_who_is_unknown_keeps_it_from_nobody_else(authority: Authority) -> None:
    with Mailbox(authority) as mailbox:
        await send(mail(mailbox, to=["unknown@example.com", "cab@example.com"]), authority)
        assert mailbox.recipients == [["cab@example.com"]]
        await why_not(mail(mailbox, to=["unknown@example.com"]), authority)


async def test_a_recipient_who_is_refused_for_now_gets_it_later_and_nobody_twice(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailing, "FIRST_LETTER_PAUSE", 0.0)
    with Mailbox(authority) as mailbox:
        given = mail(mailbox, to=["later@example.com", "cab@example.com", "unknown@example.com"])
        sender = sender_of(given, Secrets(authority.folder))
        await sender.send(parcel())
        assert mailbox.recipients == [["cab@example.com"]]
        await until_async(sender.send_again, lambda: len(mailbox.recipients) > 1)
        await sender.send_again()
        assert mailbox.recipients == [["cab@example.com"], ["later@example.com"]]
        assert mailbox.mails[0]["Message-ID"] == mailbox.mails[1]["Message-ID"]


async def until_async(act: Callable[[], Awaitable[None]], holds: Callable[[], bool]) -> None:
    for _ in range(100):
        await act()
        if holds():
            return
    raise AssertionError("it is never sent again")
