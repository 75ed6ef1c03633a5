# SPDX-License-Identifier: Apache-2.0
"""Sends one message to one channel. Whether it arrived is all that is asked of who receives it."""

import asyncio
import json
import logging
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, Protocol, TypeVar

import aiohttp
import aiosmtplib

from cabgate.notifications.forms import (
    LONG_CHARACTERS,
    SLACK_CHARACTERS,
    for_programs,
    mail,
    room_for_programs,
    slack,
)
from cabgate.notifications.messages import Message, Room, room_for
from cabgate.notifications.planning import Group
from cabgate.notifications.signing import signed_headers
from cabgate_kube.process.logs import PlainError, fields
from cabgate_relay.notifications.addresses import AddressRefusedError, checked_socket, connected
from cabgate_relay.notifications.channels import (
    Channel,
    ChannelError,
    Secrets,
    Slack,
    Smtp,
    Webhook,
)

log = logging.getLogger(__name__)

SECONDS = 15.0
"""Longest that a receiver may take to answer: a program and Slack in all, a mail server to each
command."""

DATA_SECONDS = 600.0
"""Longest that a mail server may take for the mail itself, as RFC 5321 4.5.3.2.6 has it: who does
not wait for its answer sends again what it has taken."""

QUIT_SECONDS = 2.0
"""Longest that it may take for the end of the connection, which nothing goes by."""

FIRST_LETTER_PAUSE = 60.0
"""Seconds before a recipient who was refused for now is tried again; then as long as it lasts."""

LETTER_SECONDS = 24 * 3600.0
"""How long they are tried."""

MOST_LETTERS = 200
"""Most mails that are kept for such recipients."""

LONGEST_RETRY_AFTER = 3600.0
"""Longest that a receiver may put a channel off, in seconds."""

_AGENT = "cabgate-relay"

_FOR_NOW = frozenset({408, 425, 429})
"""Answers of a receiver that may take the same message later."""

T = TypeVar("T")


class SendError(PlainError):
    """A message did not arrive, as far as is known. `retry_after` is how long the receiver wants to
    be left alone, in seconds."""

    def __init__(self, why: str, retry_after: float = 0.0) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class RefusedError(SendError):
    """The receiver is there and does not take this message, however often it is sent."""


@dataclass(frozen=True)
class Parcel:
    """A message to be sent, with all that the forms of it need."""

    id: str
    """The same however often it is sent."""
    group: Group
    message: Message
    cluster: str
    portal: str
    now: datetime


class Sender(Protocol):
    """A kind of channel."""

    def room(self, portal: str, now: datetime) -> Room:
        """How many of some notices one message holds."""

    async def send(self, parcel: Parcel) -> None:
        """Send a message. Raises `SendError`."""

    async def send_again(self) -> None:
        """Send what some of its recipients were to get later. Raises nothing."""


def sender_of(channel: Channel, secrets: Secrets) -> Sender:
    """What sends to a channel."""
    if channel.slack is not None:
        return _ToSlack(channel, channel.slack, secrets)
    if channel.webhook is not None:
        return _ToWebhook(channel, channel.webhook, secrets)
    if channel.smtp is not None:
        return _ToMail(channel, channel.smtp, secrets)
    raise ValueError(f"channel {channel.name}: of no kind")


class _ToSlack:
    def __init__(self, channel: Channel, slack: Slack, secrets: Secrets) -> None:
        self._channel, self._slack, self._secrets = channel, slack, secrets

    def room(self, portal: str, now: datetime) -> Room:
        """As `Sender`."""
        return room_for(SLACK_CHARACTERS, now)

    async def send(self, parcel: Parcel) -> None:
        """As `Sender`."""
        body = json.dumps(slack(parcel.message)).encode()
        url = _read(lambda: self._secrets.url(self._slack.url_file))
        await _post(url, body, {}, self._channel, self._secrets)

    async def send_again(self) -> None:
        """As `Sender`: there is one recipient, and the message has arrived or has not."""


class _ToWebhook:
    def __init__(self, channel: Channel, webhook: Webhook, secrets: Secrets) -> None:
        self._channel, self._webhook, self._secrets = channel, webhook, secrets

    def room(self, portal: str, now: datetime) -> Room:
        """As `Sender`."""
        return room_for_programs(portal, now)

    async def send(self, parcel: Parcel) -> None:
        """As `Sender`."""
        content = for_programs(
            parcel.group, parcel.message, parcel.cluster, parcel.portal, parcel.now
        )
        body = json.dumps(content).encode()
        key = _read(lambda: self._secrets.key(self._webhook.secret_file))
        headers = signed_headers(key, parcel.id, int(parcel.now.timestamp()), body)
        await _post(self._webhook.url, body, headers, self._channel, self._secrets)

    async def send_again(self) -> None:
        """As `Sender`: there is one recipient, and the message has arrived or has not."""


@dataclass
class _Letter:
    """A mail that some recipients were not to get yet."""

    made: EmailMessage
    to: tuple[str, ...]
    first: float
    due: float


class _ToMail:
    def __init__(self, channel: Channel, smtp: Smtp, secrets: Secrets) -> None:
        self._channel, self._smtp, self._secrets = channel, smtp, secrets
        self._letters: list[_Letter] = []

    def room(self, portal: str, now: datetime) -> Room:
        """As `Sender`."""
        return room_for(LONG_CHARACTERS, now)

    async def send(self, parcel: Parcel) -> None:
        """As `Sender`."""
        made = mail_of(parcel, self._smtp.sender, self._smtp.to)
        refused = await self._hand_over(made, self._smtp.to)
        self._letters_for(made, refused, time.monotonic())

    async def send_again(self) -> None:
        """As `Sender`."""
        moment = time.monotonic()
        letter = next((each for each in self._letters if each.due <= moment), None)
        if letter is None:
            return
        self._letters.remove(letter)
        try:
            refused = await self._hand_over(letter.made, letter.to)
        except SendError as error:
            code = 500 if isinstance(error, RefusedError) else 400
            refused = dict.fromkeys(letter.to, code)
        self._letters_for(letter.made, refused, letter.first)

    def _letters_for(self, made: EmailMessage, refused: Mapping[str, int], first: float) -> None:
        """Keep a mail for those who are to get it later: it has arrived at the others, who are not
        to get it again."""
        moment = time.monotonic()
        later = tuple(each for each, code in refused.items() if code < 500)
        if moment - first > LETTER_SECONDS or len(self._letters) >= MOST_LETTERS:
            later = ()
        if later:
            pause = max(FIRST_LETTER_PAUSE, moment - first)
            self._letters.append(_Letter(made, later, first, moment + pause))
        if len(refused) > len(later):
            log.warning(
                "channel %s: the mail server refused %d of %d recipients",
                *(self._channel.name, len(refused) - len(later), len(self._smtp.to)),
                extra=fields(kind="channel", name=self._channel.name, reason="RecipientsRefused"),
            )

    async def _hand_over(self, made: EmailMessage, to: Sequence[str]) -> Mapping[str, int]:
        """Send a mail, and give who was refused as a recipient, with the code. Raises `SendError`,
        also where nobody was taken."""
        smtp, named = self._smtp, self._smtp.password_file
        password = None if named is None else _read(lambda: self._secrets.read(named))
        context = _trusting(self._channel, self._secrets)
        try:
            async with asyncio.timeout(SECONDS):
                allowed = self._channel.allowed_addresses
                connection = await connected(smtp.host, smtp.port, allowed)
                client = aiosmtplib.SMTP(
                    hostname=smtp.host,
                    sock=connection,
                    use_tls=smtp.security == "TLS",
                    start_tls=smtp.security == "StartTLS",
                    tls_context=context,
                    username=smtp.username,
                    password=password,
                    timeout=SECONDS,
                )
            try:
                async with asyncio.timeout(SECONDS):
                    await client.connect()
                return await _deliver(client, made, smtp.sender, to)
            finally:
                await _leave(client)
        except AddressRefusedError as error:
            raise SendError(str(error)) from None
        except (aiosmtplib.SMTPDataError, aiosmtplib.SMTPSenderRefused) as error:
            kind = RefusedError if error.code >= 500 else SendError
            raise kind(f"the mail server answered {error.code}") from None
        except aiosmtplib.SMTPResponseException as error:
            raise SendError(f"the mail server answered {error.code}") from None
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ssl.SSLError) as error:
            raise SendError(f"the mail server cannot be used: {type(error).__name__}") from None


async def _deliver(
    client: aiosmtplib.SMTP, made: EmailMessage, sender: str, to: Sequence[str]
) -> Mapping[str, int]:
    """Hand a mail over, and give who was refused as a recipient; of all, the error is raised."""
    await client.mail(sender)
    refused: dict[str, aiosmtplib.SMTPRecipientRefused] = {}
    for recipient in to:
        try:
            await client.rcpt(recipient)
        except aiosmtplib.SMTPRecipientRefused as error:
            refused[recipient] = error
    if len(refused) == len(to):
        raise refused[to[0]]
    await client.data(made.as_bytes(), timeout=DATA_SECONDS)
    return {recipient: error.code for recipient, error in refused.items()}


async def _leave(client: aiosmtplib.SMTP) -> None:
    """End a connection. A mail that was taken was taken, whatever becomes of that."""
    try:
        async with asyncio.timeout(QUIT_SECONDS):
            await client.quit()
    except (aiosmtplib.SMTPException, OSError, TimeoutError):
        pass
    finally:
        client.close()


def mail_of(parcel: Parcel, sender: str, to: Sequence[str]) -> EmailMessage:
    """A message as mail. No header holds what others wrote, but for the name of the cluster."""
    made = EmailMessage(policy=SMTP)
    made["Subject"] = parcel.message.title
    made["From"] = sender
    made["To"] = ", ".join(to)
    made["Date"] = format_datetime(parcel.now.astimezone(UTC))
    made["Message-ID"] = f"<{parcel.id}@{sender.rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(mail(parcel.message), cte="quoted-printable")
    return made


async def _post(
    url: str, body: bytes, headers: Mapping[str, str], channel: Channel, secrets: Secrets
) -> None:
    """Post JSON by a connection of its own, without following where an answer points to."""
    allowed = channel.allowed_addresses

    def factory(info: Any) -> Any:
        return checked_socket(info, allowed)

    connector = aiohttp.TCPConnector(
        ssl=_trusting(channel, secrets), socket_factory=factory, force_close=True
    )
    given = {"Content-Type": "application/json", "User-Agent": _AGENT, **headers}
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session,
            session.post(url, data=body, headers=given, allow_redirects=False) as answer,
        ):
            status, after = answer.status, answer.headers.get("Retry-After", "")
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        raise SendError(_why(error)) from None
    if 300 <= status <= 399:
        raise SendError(f"the receiver answered {status}: redirects are not followed")
    if not 200 <= status <= 299:
        refused = 400 <= status <= 499 and status not in _FOR_NOW
        kind = RefusedError if refused else SendError
        raise kind(f"the receiver answered {status}", retry_after(after, datetime.now(UTC)))


def retry_after(text: str, now: datetime) -> float:
    """How long a receiver wants to be left alone, in seconds, by what its header says: a number or
    a date. 0 if it says nothing that can be read."""
    try:
        if text.strip().isdecimal():
            seconds = float(text)
        else:
            seconds = (parsedate_to_datetime(text) - now).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


def _why(error: BaseException) -> str:
    """What a log may say: the text of an error may have the URL in it, which is a secret."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, AddressRefusedError):
            return str(cause)
        inner = getattr(cause, "os_error", None)
        cause = inner if inner is not None and inner is not cause else cause.__cause__
    return f"the receiver cannot be reached: {type(error).__name__}"


def _trusting(channel: Channel, secrets: Secrets) -> ssl.SSLContext:
    try:
        file = None if channel.ca_file is None else str(secrets.path(channel.ca_file))
        return ssl.create_default_context(cafile=file)
    except (OSError, ssl.SSLError):
        raise SendError(f"caFile: {channel.ca_file}: cannot be read") from None


def _read(read: Callable[[], T]) -> T:
    try:
        return read()
    except ChannelError as error:
        raise SendError(str(error)) from None
