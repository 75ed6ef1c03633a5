# SPDX-License-Identifier: Apache-2.0
"""What others wrote, as it is shown to somebody who decides: on one line, and with nothing in it
that a terminal obeys or that nobody sees."""

from cabgate.text.characters import is_hidden

CUT = "..."
"""What stands for the rest of a text that has no room."""


def inert(text: str) -> str:
    """A text on one line. What nobody would see is written out by its number: of two images that
    look alike, a reviewer is to see that they are two."""
    return inert_json(" ".join(text.split()))


def inert_json(text: str) -> str:
    """Canonical JSON on one line, with every blank that its values have: of two commands that are
    not the same, the blanks may be all that differs. Blanks but U+0020 are written by number."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(c) if is_hidden(c) or not c.isprintable() else c for c in text)


def first_words(text: str, room: int) -> str:
    """The first words of a text on one line, as many as have room, which is in characters."""
    line = inert(text)
    if len(line) <= room:
        return line
    cut = line[: room - len(CUT) + 1]
    words, blank, _ = cut.rpartition(" ")
    return (words if blank else cut[:-1]) + CUT


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
