# SPDX-License-Identifier: Apache-2.0
"""Characters that no text of ours may hold, and no name: nobody sees them, or they make what is
read another text than what is stored.

`kubectl get -o yaml` fails on some of them, for everybody and for the whole list.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

_CONTROL = (
    (0x00, 0x08),
    (0x0B, 0x1F),
    (0x7F, 0x9F),
    (0x202A, 0x202E),  # these and the next turn what follows around
    (0x2066, 0x2069),
)
"""C0 but tab and line feed, DEL, C1, and what overrides the direction of text."""

_UNSEEN = (
    (0x09, 0x0A),
    (0xAD, 0xAD),
    (0x034F, 0x034F),
    (0x061C, 0x061C),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x2028, 0x2029),
    (0x2060, 0x2065),
    (0x206A, 0x206F),
    (0x2800, 0x2800),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF9, 0xFFFB),
    (0xE0000, 0xE0FFF),
)
"""What a name has none of besides: two that look alike would be two, and one would be two lines."""


_SPACES = (
    (0x20, 0x20),
    (0xA0, 0xA0),
    (0x1680, 0x1680),
    (0x2000, 0x200A),
    (0x202F, 0x202F),
    (0x205F, 0x205F),
    (0x3000, 0x3000),
)
"""Blanks of any width."""


def _inside(ranges: tuple[tuple[int, int], ...]) -> str:
    """As the API server reads it (RE2)."""
    return "".join(
        f"\\x{{{low:x}}}" + (f"-\\x{{{high:x}}}" if high > low else "") for low, high in ranges
    )


def _pattern(ranges: tuple[tuple[int, int], ...]) -> str:
    return f"^[^{_inside(ranges)}]*$"


def _finder(ranges: tuple[tuple[int, int], ...]) -> re.Pattern[str]:
    inside = "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in ranges)
    return re.compile(f"[{inside}]")


TEXT_PATTERN = _pattern(_CONTROL)
"""What a text is, for the schema."""

NAME_PATTERN = _pattern((*_CONTROL, *_UNSEEN))
"""What a name is, for the schema: of an artifact or a person, an image, an address."""

SHOWN_PATTERN = f"[^{_inside((*_CONTROL, *_UNSEEN, *_SPACES))}]"
"""A character that can be seen, for the policies of the API server."""

_IN_TEXT = _finder(_CONTROL)
_IN_NAME = _finder((*_CONTROL, *_UNSEEN))
_NOT_SHOWN = _finder((*_CONTROL, *_UNSEEN, *_SPACES))


def refused_character(text: str, name: bool = False) -> str | None:
    """The first character that a text, or a name, may not hold, and where; None if there is none:
    `U+009B at character 16`."""
    found = (_IN_NAME if name else _IN_TEXT).search(text)
    return None if found is None else f"U+{ord(found[0]):04X} at character {found.start() + 1}"


def is_hidden(character: str) -> bool:
    """Whether nobody sees a character: what no name may hold, and whatever else is no letter, mark,
    digit, sign or blank to Unicode."""
    return _IN_NAME.match(character) is not None or unicodedata.category(character)[0] == "C"


def shows(text: str) -> bool:
    """Whether a text has a character that can be seen, as `SHOWN_PATTERN` finds it."""
    return _NOT_SHOWN.sub("", text) != ""


def seen(text: str) -> str:
    """A text with a blank in place of each character that none may hold."""
    return _IN_TEXT.sub(" ", text)


def refused_characters(
    value: Any, path: str, schema: Mapping[str, Any] | None = None
) -> Iterator[tuple[str, str]]:
    """Each text in a value that holds what none may: its path, and what it holds where. `schema`
    tells names from texts."""
    known = schema or {}
    if isinstance(value, str):
        found = refused_character(value, known.get("pattern") == NAME_PATTERN)
        if found is not None:
            yield path, f"holds {found}, which nobody sees or which changes how the text reads"
    elif isinstance(value, Mapping):
        for key, item in value.items():
            inner = known.get("properties", {}).get(key)
            yield from refused_characters(item, f"{path}.{key}", inner)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from refused_characters(item, f"{path}[{index}]", known.get("items"))
