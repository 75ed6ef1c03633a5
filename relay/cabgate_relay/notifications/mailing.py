# SPDX-License-Identifier: Apache-2.0
"""Sends messages as mail."""

import asyncio
import logging
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

import aiosmtplib

from cabgate.notifications.forms import LONG_CHARACTERS, mail
from cabgate.notifications.messages import Room, room_for
from cabgate_kube.process.logs import fields
from cabgate_relay.notifications.addresses import AddressRefusedError, connected
from cabgate_relay.notifications.channels import Channel, Secrets, Smtp
from cabgate_relay.notifications.sending import (
    SECONDS,
    Parcel,
    RefusedError,
    SendError,
    read,
    trusting,
)

log = logging.getLogger(__name__)

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


@dataclass
class _Letter:
    """A mail that some recipients were not to get yet."""

    made: EmailMessage
    to: tuple[str, ...]
    first: float
    due: float


class ToMail:
    """Sends by a mail server, and again to those whom it refused for now."""

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
        password = None if named is None else read(lambda: self._secrets.read(named))
        context = trusting(self._channel, self._secrets)
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
