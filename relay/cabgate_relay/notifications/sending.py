# SPDX-License-Identifier: Apache-2.0
"""Sends one message to one channel. Whether it arrived is all that is asked of who receives it."""

import json
import logging
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import aiohttp

from cabgate.notifications.forms import (
    SLACK_CHARACTERS,
    Json,
    for_programs,
    room_for_programs,
    room_for_teams,
    slack,
    teams,
)
from cabgate.notifications.messages import Message, Room, room_for
from cabgate.notifications.planning import Group
from cabgate.notifications.signing import signed_headers
from cabgate_kube.process.logs import PlainError
from cabgate_relay.notifications.addresses import AddressRefusedError, checked_socket
from cabgate_relay.notifications.channels import (
    Channel,
    ChannelError,
    Secrets,
    Webhook,
)
from cabgate_relay.retrying import retry_after

log = logging.getLogger(__name__)

SECONDS = 15.0
"""Longest that a receiver may take to answer: a program and a chat in all, a mail server to each
command."""

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
        file = channel.slack.url_file
        return _ToChat(channel, file, secrets, slack, partial(room_for, SLACK_CHARACTERS))
    if channel.teams is not None:
        return _ToChat(channel, channel.teams.url_file, secrets, teams, room_for_teams)
    if channel.webhook is not None:
        return _ToWebhook(channel, channel.webhook, secrets)
    if channel.smtp is not None:
        # It needs the extra `relay`, which a relay that sends no mail can do without.
        from cabgate_relay.notifications.mailing import ToMail

        return ToMail(channel, channel.smtp, secrets)
    raise ValueError(f"channel {channel.name}: of no kind")


class _ToChat:
    """Posts to a URL that is a secret, in the form of a chat."""

    def __init__(
        self,
        channel: Channel,
        url_file: Path,
        secrets: Secrets,
        form: Callable[[Message], Json],
        room: Callable[[datetime], Room],
    ) -> None:
        self._channel, self._file, self._secrets = channel, url_file, secrets
        self._form, self._room = form, room

    def room(self, portal: str, now: datetime) -> Room:
        """As `Sender`."""
        return self._room(now)

    async def send(self, parcel: Parcel) -> None:
        """As `Sender`."""
        body = json.dumps(self._form(parcel.message)).encode()
        url = read(lambda: self._secrets.url(self._file))
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
        key = read(lambda: self._secrets.key(self._webhook.secret_file))
        headers = signed_headers(key, parcel.id, int(parcel.now.timestamp()), body)
        await _post(self._webhook.url, body, headers, self._channel, self._secrets)

    async def send_again(self) -> None:
        """As `Sender`: there is one recipient, and the message has arrived or has not."""


async def _post(
    url: str, body: bytes, headers: Mapping[str, str], channel: Channel, secrets: Secrets
) -> None:
    """Post JSON by a connection of its own, without following where an answer points to."""
    allowed = channel.allowed_addresses

    def factory(info: Any) -> Any:
        return checked_socket(info, allowed)

    connector = aiohttp.TCPConnector(
        ssl=trusting(channel, secrets), socket_factory=factory, force_close=True
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


def _why(error: BaseException) -> str:
    """What a log may say: the text of an error may have the URL in it, which is a secret."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, AddressRefusedError):
            return str(cause)
        inner = getattr(cause, "os_error", None)
        cause = inner if inner is not None and inner is not cause else cause.__cause__
    return f"the receiver cannot be reached: {type(error).__name__}"


def trusting(channel: Channel, secrets: Secrets) -> ssl.SSLContext:
    """What a channel trusts. Raises `SendError` where its file cannot be read."""
    try:
        file = None if channel.ca_file is None else str(secrets.path(channel.ca_file))
        return ssl.create_default_context(cafile=file)
    except (OSError, ssl.SSLError):
        raise SendError(f"caFile: {channel.ca_file}: cannot be read") from None


def read(reading: Callable[[], T]) -> T:
    """What is read anew for each message, such as a secret. Raises `SendError`."""
    try:
        return reading()
    except ChannelError as error:
        raise SendError(str(error)) from None
