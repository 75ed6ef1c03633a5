# SPDX-License-Identifier: Apache-2.0
"""The file of channels: read and checked once, at the start. Secrets are files beside it, which are
read whenever something is sent, so that one can be replaced."""

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from cabgate.api.base import problems
from cabgate.api.changepolicy import HIGHEST_LEVEL
from cabgate.notifications.notices import Event
from cabgate.notifications.planning import Every, Route
from cabgate.notifications.signing import key_of
from cabgate_kube.process.settings import SettingsError
from cabgate_kube.process.urls import HttpsURL, https_url

MAX_CHANNELS = 16
"""Most channels: what each was sent has to have room in one ConfigMap."""

MAX_FILE = 256 * 1024
MAX_SECRET = 4096
"""Longest file of channels and of a secret, in bytes."""


class ChannelError(Exception):
    """A file of channels, or a secret of one, that cannot be used; the message says which and
    why, and nothing of a secret."""


class _Part(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_alias=True, extra="forbid", frozen=True
    )


Host = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?$", max_length=253)
]
Address = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$",
        max_length=254,
    ),
]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]


class Slack(_Part):
    """An incoming webhook of Slack."""

    url_file: Path
    """File with its URL, which is a secret."""


class Teams(_Part):
    """A workflow of Microsoft Teams that posts the card that it receives."""

    url_file: Path
    """File with its URL, which is a secret."""


class Webhook(_Part):
    """A program, by messages that are signed as Standard Webhooks has it."""

    url: HttpsURL
    secret_file: Path
    """File with the secret that messages are signed with: `whsec_` and base64."""


class Smtp(_Part):
    """A mail server."""

    host: Host
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Literal["StartTLS", "TLS"] = "StartTLS"
    username: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None
    password_file: Path | None = None
    sender: Annotated[Address, Field(alias="from")]
    to: Annotated[tuple[Address, ...], Field(min_length=1, max_length=50)]

    @model_validator(mode="after")
    def _whole(self) -> "Smtp":
        if (self.username is None) != (self.password_file is None):
            raise ValueError("username and passwordFile go together")
        return self


class Channel(_Part):
    """Where messages go, and which."""

    name: Name
    """What it was sent is remembered by this name."""
    slack: Slack | None = None
    teams: Teams | None = None
    webhook: Webhook | None = None
    smtp: Smtp | None = None
    events: Annotated[tuple[Event, ...], Field(min_length=1)] = tuple(
        each for each in Event if each is not Event.DIGEST
    )
    """Which events; absent: all."""
    namespaces: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    """Of which namespaces alone."""
    rings: Annotated[tuple[Annotated[int, Field(ge=0, le=4)], ...], Field(min_length=1)] | None = (
        None
    )
    """Of which rings alone."""
    digest: Every | None = None
    """Day or Week: how often a digest is sent; absent: never."""
    from_level: Annotated[int, Field(ge=1, le=HIGHEST_LEVEL)] = 1
    """Of what has escalated, from which level on."""
    allowed_addresses: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks whose addresses may be sent to though they are private."""
    ca_file: Path | None = None
    """File with the CA of who receives; absent: those that the system trusts."""

    @model_validator(mode="after")
    def _one_kind(self) -> "Channel":
        if [self.slack, self.teams, self.webhook, self.smtp].count(None) != 3:
            raise ValueError("needs exactly one of slack, teams, webhook and smtp")
        if Event.DIGEST in self.events:
            raise ValueError("events: a digest is sent where digest is Day or Week")
        return self

    def route(self) -> Route:
        """What it is sent."""
        # Whoever is told that something is approved is told what it still waits for.
        more = {Event.FROZEN} if Event.DECIDED in self.events else set()
        return Route(
            frozenset({*self.events, *more}),
            None if self.namespaces is None else frozenset(self.namespaces),
            None if self.rings is None else frozenset(map(str, self.rings)),
            self.digest,
            self.from_level,
        )


class Channels(_Part):
    """A file of channels."""

    portal: HttpsURL | Literal[""] = ""
    """URL of the portal, for links; empty: messages have none."""
    channels: Annotated[tuple[Channel, ...], Field(min_length=1, max_length=MAX_CHANNELS)]

    @model_validator(mode="after")
    def _names_once(self) -> "Channels":
        names = [each.name for each in self.channels]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"channels: duplicate name {', '.join(twice)}")
        return self


class Secrets:
    """The files that channels name, from the folder of the file of channels."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, named: Path) -> Path:
        """Where a file is."""
        return self._folder / named

    def read(self, named: Path) -> str:
        """The one line of a file. Raises `ChannelError`."""
        try:
            with self.path(named).open("rb") as file:
                content = file.read(MAX_SECRET + 1)
            text = content.decode("ascii").strip()
        except OSError as error:
            raise ChannelError(f"{named}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ChannelError(f"{named}: is no ASCII text") from None
        if not text or len(content) > MAX_SECRET or not text.isprintable():
            raise ChannelError(f"{named}: is not one line of at most {MAX_SECRET} bytes")
        return text

    def url(self, named: Path) -> str:
        """The URL in a file. Raises `ChannelError`."""
        try:
            return https_url(self.read(named))
        except ValueError as error:
            raise ChannelError(f"{named}: {error}") from None

    def key(self, named: Path) -> bytes:
        """The key of the secret in a file. Raises `ChannelError`."""
        try:
            return key_of(self.read(named))
        except ValueError as error:
            raise ChannelError(f"{named}: {error}") from None


def read_channels(path: Path) -> Channels:
    """The channels of a file, whose secrets are there. Raises `SettingsError` with the path of each
    field that is wrong, a line each."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
        if len(content) > MAX_FILE:
            raise SettingsError(f"{path}: over {MAX_FILE} bytes")
        found = Channels.model_validate(yaml.safe_load(content))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: is no YAML{_place(error)}") from None
    except ValidationError as error:
        lines = [f"{path}: {each.path}: {each.message}" for each in problems(error)]
        raise SettingsError("\n".join(lines).replace(": : ", ": ")) from None
    wrong = [
        f"{path}: channels.{number}.{problem}"
        for number, channel in enumerate(found.channels)
        for problem in _problems_of_files(channel, Secrets(path.parent))
    ]
    if wrong:
        raise SettingsError("\n".join(wrong))
    return found


def _problems_of_files(channel: Channel, secrets: Secrets) -> Iterator[str]:
    try:
        field = "slack.urlFile"
        if channel.slack is not None:
            secrets.url(channel.slack.url_file)
        field = "teams.urlFile"
        if channel.teams is not None:
            secrets.url(channel.teams.url_file)
        field = "webhook.secretFile"
        if channel.webhook is not None:
            secrets.key(channel.webhook.secret_file)
        field = "smtp.passwordFile"
        if channel.smtp is not None and channel.smtp.password_file is not None:
            secrets.read(channel.smtp.password_file)
    except ChannelError as error:
        yield f"{field}: {error}"
    if channel.ca_file is not None and not secrets.path(channel.ca_file).is_file():
        yield f"caFile: {channel.ca_file}: there is no such file"


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return "" if mark is None else f": line {mark.line + 1}"
