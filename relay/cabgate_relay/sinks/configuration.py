# SPDX-License-Identifier: Apache-2.0
"""The file that says which sinks there are: YAML, read once, at the start."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from cabgate.api.base import plain_message
from cabgate.siem.formats import Format
from cabgate_kube.process.settings import SettingsError
from cabgate_kube.process.urls import HttpsURL

MAX_SINKS = 8
"""Each reads the ledger for itself."""

Name = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", min_length=1, max_length=40)
]
"""What a sink is called: in metrics, in logs and where its position is kept."""


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("is no absolute path")
    return path


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]


class _Base(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, validate_by_name=True
    )

    name: Name
    """The name; a sink with another name is another sink, which begins with the first record."""
    format: Format = Format.CLOUDEVENTS
    """cloudevents or ocsf."""


_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")

_OURS = frozenset(
    {
        *("accept", "accept-encoding", "connection", "content-encoding", "content-length"),
        *("content-type", "cookie", "expect", "host", "te", "trailer", "transfer-encoding"),
        *("upgrade", "user-agent"),
    }
)


def _header(name: str) -> str:
    if _HEADER.fullmatch(name) is None or name.lower() in _OURS:
        raise ValueError("is no name of a header that may be set")
    return name


class HttpsSink(_Base):
    """Batches by POST, compressed."""

    type: Literal["https"]
    url: HttpsURL
    """Where to; over TLS alone."""
    credential_file: AbsolutePath | None = None
    """A file with what is sent to be let in; read anew each time."""
    header: Annotated[str, AfterValidator(_header)] | None = None
    """The header that has the content of that file as its value. Without it the content is a token:
    `Authorization: Bearer TOKEN`."""
    ca_file: AbsolutePath | None = None
    """Certificates of who signed that of the receiver, PEM; without it the system's."""


class StdoutSink(_Base):
    """One event a line, on standard output, for a collector that reads the log of the Pod."""

    type: Literal["stdout"]


Sink = Annotated[HttpsSink | StdoutSink, Field(discriminator="type")]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    sinks: Annotated[tuple[Sink, ...], Field(min_length=1, max_length=MAX_SINKS)]


def read_sinks(path: Path) -> tuple[HttpsSink | StdoutSink, ...]:
    """The sinks of a file. Raises `SettingsError`, which names each field that is wrong and repeats
    no value."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise SettingsError(f"{path}{where}: is no YAML") from None
    try:
        sinks = _File.model_validate(found).sinks
    except ValidationError as error:
        raise SettingsError(_explained(path, error)) from None
    wrong = [*_duplicates(sinks), *_lone_headers(sinks)]
    if wrong:
        raise SettingsError("\n".join(f"{path}: {each}" for each in wrong))
    return sinks


def _duplicates(sinks: tuple[HttpsSink | StdoutSink, ...]) -> list[str]:
    names = [sink.name for sink in sinks]
    found = [
        f"sinks[{number}].name: duplicate value: sinks[{names.index(name)}] has it too"
        for number, name in enumerate(names)
        if names.index(name) != number
    ]
    written = [number for number, sink in enumerate(sinks) if isinstance(sink, StdoutSink)]
    found += [f"sinks[{number}].type: there is one standard output" for number in written[1:]]
    return found


def _lone_headers(sinks: tuple[HttpsSink | StdoutSink, ...]) -> list[str]:
    return [
        f"sinks[{number}].header: is set without credentialFile, which has its value"
        for number, sink in enumerate(sinks)
        if isinstance(sink, HttpsSink) and sink.header and not sink.credential_file
    ]


def _explained(path: Path, error: ValidationError) -> str:
    lines = []
    for found in error.errors(include_input=False, include_url=False, include_context=False):
        where = _field(found["loc"])
        if found["type"] == "missing":
            what = "is not set"
        elif found["type"].startswith("union_tag"):
            where, what = f"{where}.type", "must be https or stdout"
        else:
            what = plain_message(found["msg"])
        lines.append(f"{path}: {where}: {what}" if where else f"{path}: {what}")
    return "\n".join(lines)


def _field(location: tuple[Any, ...]) -> str:
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part not in ("https", "stdout"):  # pydantic's mark of which of the two it is
            text += f".{part}" if text else part
    return text
