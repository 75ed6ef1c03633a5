# SPDX-License-Identifier: Apache-2.0
"""How what somebody wrote is made short enough for a record, which nobody can delete: what is cut
leaves its beginning, its length and the digest of all of it.

The longest gives way first, lists before texts. The same content gives the same short form, so that
it can be signed, and compared with what it was made from.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cabgate.api.base import trimmed
from cabgate.text.canonical import canonical_json

MAX_RECORD = 6 * 1024
"""Longest record, in bytes of its RFC 8785 JSON as an export holds it."""

MAX_TEXT = 512
"""Longest text in a record, in characters."""

MAX_ENTRY = 2048
"""Longest part of a record that repeats the decision itself, signature aside, in bytes."""

ENTRY_FIELDS = ("author", "checked", "conditions", "images", "rationale")
"""Fields of a decision that may be cut. Its signature covers them as they are cut."""

_KEPT = frozenset(
    {"name", "gate", "digest", "type", "risk", "contribution", "requestName", "constraints"}
)
"""Names and figures, which are never cut: half of one is another."""


@dataclass(frozen=True)
class _Level:
    """How much may stay."""

    entries: int
    """Of a list."""
    octets: int
    """Of a text, as JSON."""


_LEVELS = (
    _Level(1000, 6 * MAX_TEXT),
    _Level(32, 6 * MAX_TEXT),
    _Level(16, 6 * MAX_TEXT),
    _Level(8, 6 * MAX_TEXT),
    _Level(4, 6 * MAX_TEXT),
    _Level(4, 512),
    _Level(2, 256),
    _Level(1, 160),
    _Level(0, 160),
    _Level(0, 80),
)


@dataclass(frozen=True)
class Short:
    """The short form of some fields."""

    fields: dict[str, Any]
    cut: list[dict[str, Any]]
    """What was cut, as `cut` of a record says it, by the names of the fields."""

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return json_size(self.fields) + json_size(self.cut)


def json_size(value: Any) -> int:
    """Bytes of a value without floats as RFC 8785 JSON, which is much slower to make."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def shortened(content: Mapping[str, Any], fields: Iterable[str], room: int = MAX_RECORD) -> Short:
    """Some fields of a content, in at most `room` bytes as far as cutting can do it."""
    own = {name: content[name] for name in sorted(fields) if name in content}
    levels = dict.fromkeys(own, 0)
    short = {name: _cut(value, _LEVELS[0]) for name, value in own.items()}
    sizes = {name: json_size(value) for name, value in short.items()}
    was: dict[str, dict[str, Any]] = {}
    while True:
        for name in own.keys() - was.keys():
            if short[name] != _without_empty(own[name]):
                was[name] = _what_was(name, own[name])
        longest = max(
            (name for name in own if levels[name] < len(_LEVELS) - 1),
            key=lambda name: (sizes[name], name),
            default=None,
        )
        # Each with its name, quotes, colon and comma.
        size = sum(len(name) + 4 + sizes[name] for name in own) + json_size(list(was.values()))
        if size <= room or longest is None:
            fitting = {name: value for name, value in short.items() if not _empty(value)}
            return Short(fitting, [was[name] for name in sorted(was)])
        levels[longest] += 1
        short[longest] = _cut(own[longest], _LEVELS[levels[longest]])
        sizes[longest] = json_size(short[longest])


def shortened_entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A decision as a record repeats it, and as it is signed: itself if it is short, else with
    `cut`."""
    rest = {key: value for key, value in entry.items() if key not in ENTRY_FIELDS}
    counted = {key: value for key, value in rest.items() if key != "signature"}
    short = shortened(entry, ENTRY_FIELDS, MAX_ENTRY - json_size(counted))
    return {**rest, **short.fields, **({"cut": short.cut} if short.cut else {})}


def of_entry(cut: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """What of a record's cuts concerns the decision itself."""
    return [each for each in cut if each.get("field") in ENTRY_FIELDS]


def _what_was(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        content, size = value.encode(), len(value)
    else:
        content = canonical_json(value)
        size = len(value) if isinstance(value, list) else len(content)
    return {"field": name, "sha256": hashlib.sha256(content).hexdigest(), "size": size}


def _cut(value: Any, level: _Level) -> Any:
    if isinstance(value, str):
        return _clipped(value, level.octets)
    if isinstance(value, list):
        return [_of_list(item, level) for item in value[: level.entries]]
    if isinstance(value, dict):
        parts = {k: v if k in _KEPT else _cut(v, level) for k, v in value.items()}
        return {k: v for k, v in parts.items() if not _empty(v)}
    return value


def _without_empty(value: Any) -> Any:
    """A value without the empty parts that no record repeats: to leave them out cuts nothing."""
    if isinstance(value, list):
        return [_without_empty(item) for item in value]
    if isinstance(value, dict):
        parts = {k: v if k in _KEPT else _without_empty(v) for k, v in value.items()}
        return {k: v for k, v in parts.items() if not _empty(v)}
    return value


def _of_list(item: Any, level: _Level) -> Any:
    # Lists of names and images get shorter, their entries do not.
    return item if isinstance(item, str) and len(item) <= MAX_TEXT else _cut(item, level)


def _empty(value: Any) -> bool:
    return value in ([], {}, "")


def _clipped(text: str, octets: int) -> str:
    kept = _beginning(text, octets)
    # Where a text has to say something, its beginning has to as well.
    return kept if trimmed(kept) else _beginning(trimmed(text), octets)


def _beginning(text: str, octets: int) -> str:
    kept = text[:MAX_TEXT]
    while json_size(kept) - 2 > octets:
        kept = kept[: max(octets // 6, len(kept) * octets // json_size(kept))]
    return kept
