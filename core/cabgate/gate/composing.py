# SPDX-License-Identifier: Apache-2.0
"""How messages are put together: short enough, whole where it matters, in warnings line by line."""

import re
import textwrap
from collections.abc import Sequence

from cabgate.gate.commands import write_intent_of_file
from cabgate.text.foreign import printed

WARNING_WIDTH = 240
"""Length of a warning, in characters: where there are many, the API server cuts each at 256."""

MAX_BYTES = 1000
"""Longest message of a denial, in bytes: under 1 KiB with what kubectl and controllers put before
it."""


_COMMAND = re.compile(
    re.escape(write_intent_of_file("@")).replace("@", r"\S+") + r"|kubectl cab [^,]+,"
)
"""A command in the middle of a text."""
_JOINT = "\0"
"""In place of a blank where a line is not to end; no message holds it."""


NOT_ENFORCED = "cabgate denies this where it enforces:"
"""Begins the warnings of a rollout that is admitted by a mode."""

DRY_RUN = "This is a dry run. cabgate denies the rollout itself:"
"""Begins those of a dry run of one that is denied."""


def warning_lines(denial: str, heading: str = NOT_ENFORCED) -> tuple[str, ...]:
    """A denial as warnings to whoever is let through all the same: a heading, its text in pieces
    between words, and each of its commands in one."""
    found = re.fullmatch(r"(.*:) ((?:kubectl|cabgate) .*)", denial)
    text, command = (found[1], found[2]) if found else (denial, "")
    text = _COMMAND.sub(lambda match: match[0].replace(" ", _JOINT), text)
    lines = textwrap.wrap(text, WARNING_WIDTH, break_long_words=False, break_on_hyphens=False)
    shown = (line.replace(_JOINT, " ") for line in lines)
    return (heading, *shown, *filter(None, [command]))


def compose(
    head: str, details: Sequence[str] = (), next_step: str = "", limit: int = MAX_BYTES
) -> str:
    """A message of at most `limit` bytes: head and next step whole where they fit, of the details
    as many as have room."""
    room = limit - len(next_step.encode()) - 1
    message = shortened(head, max(room, 200))
    for detail in details:
        left = room - len(message.encode()) - 1
        if left >= 40:
            message += " " + shortened(detail, left)
    return shortened(f"{message} {next_step}".strip(), limit)


def sentence(text: str) -> str:
    """The text with a full stop, where it does not end as a sentence does."""
    return text if text.rstrip().endswith((".", "!", "?", "…")) else f"{text}."


def shortened(text: str, size: int) -> str:
    """The text as messages print it, of at most so many bytes, with a mark where it was cut."""
    text = printed(text)
    data = text.encode()
    if len(data) <= size:
        return text
    return data[: size - 3].decode(errors="ignore") + "..."
