# SPDX-License-Identifier: Apache-2.0
"""The demo's output to look at: all of it as text, an excerpt as a picture."""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

EXCERPT: Mapping[int, Sequence[str]] = {
    2: ("",),
    4: ("requester$ kubectl set image", "reviewer$"),
    5: ("",),
}
"""The scenes that the picture shows, and how the commands of each begin that it shows: a picture of
everything would be ten times as high as wide."""

MOST_LINES = 8
"""Lines that the picture shows of a command and its output; the text has all of them."""


def save_output(console: Console, picture: Path) -> None:
    """Write what a recording console showed: all of it as text, the excerpt as SVG beside it."""
    shown = console.export_text(styles=True, clear=False)
    picture.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{line.rstrip()}\n" for line in Text.from_ansi(shown).plain.splitlines())
    picture.with_suffix(".txt").write_text(text.lstrip("\n"), encoding="utf-8")
    picture.write_text(_drawn(list(excerpt(shown.splitlines())), console.width), encoding="utf-8")


def excerpt(lines: Sequence[str]) -> Iterator[Text]:
    """The lines of the excerpt, of all lines with their styles."""
    scene, shows, shown = 0, False, 0
    for line in map(Text.from_ansi, lines):
        if line.plain.startswith(f"{scene + 1}. "):
            if shows or scene in EXCERPT:
                yield Text()
            scene += 1
            shows = scene in EXCERPT
            if shows:
                yield line
                shows = "" in EXCERPT[scene]
        elif scene in EXCERPT and re.match(r"\w+\$ ", line.plain):
            shows, shown = line.plain.startswith(tuple(EXCERPT[scene])), 1
            if shows:
                yield line
        elif shows and line.plain and shown <= MOST_LINES:
            shown += 1
            yield line if shown <= MOST_LINES else Text("...")


def _drawn(lines: Sequence[Text], width: int) -> str:
    """A picture of some lines, which loads nothing from elsewhere."""
    console = Console(width=width, record=True, highlight=False, emoji=False, file=io.StringIO())
    for line in lines:
        console.print(line, soft_wrap=True)
    svg = console.export_svg(title="make demo", unique_id="demo")
    # A picture in a repository must not fetch fonts from somebody's server.
    return re.sub(r"@font-face\s*\{.*?\}\s*", "", svg, flags=re.DOTALL)
