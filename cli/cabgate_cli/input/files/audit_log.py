# SPDX-License-Identifier: Apache-2.0
"""The API server's audit log: JSON Lines that are larger than memory, and still being written."""

import json
import math
from collections.abc import Iterator
from typing import Any

import click

from cabgate_cli.errors import BadInput
from cabgate_cli.input.files.documents import shown_path


def events_with(mark: str, path: str) -> Iterator[dict[str, Any]]:
    """The events of a file, or of standard input for `-`, in whose line a text stands; the others
    are not parsed. The last line may be half written. Raises `BadInput`."""
    name, wanted = shown_path(path), mark.encode()
    broken = 0
    for number, line in _lines(path):
        if broken:
            raise BadInput(f"{name}, line {broken}: no event: not a JSON object")
        if number == 1 and not line.lstrip().startswith(b"{"):
            raise BadInput(f"{name}: no audit log of an API server: it has JSON Lines")
        if wanted in line:
            events = _events(line)
            if events is None:
                broken = number
            else:
                yield from events


def events_by_line(path: str) -> Iterator[tuple[int, list[dict[str, Any]] | None]]:
    """Each line of a file, or of standard input for `-`: its number and its events; None where it
    has none that can be read. The last line may be half written and is then left out. Raises
    `BadInput` where the file cannot be read."""
    for number, line in _lines(path):
        events = _events(line)
        if events is not None or line.endswith(b"\n"):
            yield number, events


def _lines(path: str) -> Iterator[tuple[int, bytes]]:
    try:
        with click.open_file(path, "rb") as stream:
            yield from enumerate(stream, 1)
    except OSError as error:
        why = error.strerror or error
        raise BadInput(f"{shown_path(path)}: cannot be read: {why}") from None


def _events(line: bytes) -> list[dict[str, Any]] | None:
    """The events of a line: several of an `EventList`, which a webhook of the API server is sent;
    None for what is none."""
    try:
        event = json.loads(line, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict):
        return None
    if event.get("kind") != "EventList":
        return [event]
    items = event.get("items")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        return None
    return items


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    """A number that can be written as JSON again. Raises `ValueError`."""
    found = float(text)
    return found if math.isfinite(found) else _no_number(text)
