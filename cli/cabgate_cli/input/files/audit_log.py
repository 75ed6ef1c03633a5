# SPDX-License-Identifier: Apache-2.0
"""The API server's audit log: JSON Lines that are larger than memory, and still being written."""

import json
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
    try:
        with click.open_file(path, "rb") as stream:
            for number, line in enumerate(stream, 1):
                if broken:
                    raise BadInput(f"{name}, line {broken}: no event: not a JSON object")
                if number == 1 and not line.lstrip().startswith(b"{"):
                    raise BadInput(f"{name}: no audit log of an API server: it has JSON Lines")
                if wanted in line:
                    event = _event(line)
                    if event is None:
                        broken = number
                    else:
                        yield event
    except OSError as error:
        raise BadInput(f"{name}: cannot be read: {error.strerror or error}") from None


def _event(line: bytes) -> dict[str, Any] | None:
    """The event of a line; None for what is none."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None
