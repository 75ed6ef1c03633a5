# SPDX-License-Identifier: Apache-2.0
"""The formats that events are sent in, as bytes."""

import json
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from cabgate.siem.cloudevents import cloud_event
from cabgate.siem.event import SecurityEvent
from cabgate.siem.ocsf import entity_management


class Format(StrEnum):
    """A format of events."""

    CLOUDEVENTS = "cloudevents"
    OCSF = "ocsf"


_MAKERS: Mapping[Format, Callable[[SecurityEvent], Any]] = {
    Format.CLOUDEVENTS: cloud_event,
    Format.OCSF: entity_management,
}

CONTENT_TYPES: Mapping[Format, str] = {
    Format.CLOUDEVENTS: "application/cloudevents-batch+json",
    Format.OCSF: "application/json",
}
"""Of several events in one body, which is a JSON array."""


def encoded(event: SecurityEvent, form: Format) -> bytes:
    """An event as one line of JSON, without a line break; the same bytes each time."""
    # ASCII alone: a half of a pair of UTF-16 can be written so, which UTF-8 has no bytes for.
    return json.dumps(_MAKERS[form](event), sort_keys=True, separators=(",", ":")).encode()


def batch(lines: Sequence[bytes]) -> bytes:
    """Encoded events as one body."""
    return b"[" + b",".join(lines) + b"]"
