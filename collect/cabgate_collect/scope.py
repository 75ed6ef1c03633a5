# SPDX-License-Identifier: Apache-2.0
"""Which components a change touches, by the files that it changes."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

ROOT = "(files at the root)"
"""What files beside all folders are called, where no component has them."""


@dataclass(frozen=True)
class Touched:
    """What a change touches."""

    components: tuple[str, ...]
    """Components with a file that changed."""
    folders: tuple[str, ...]
    """Top folders with files that changed and are of no component: each counts as one more."""

    @property
    def number(self) -> int:
        """How many components that is."""
        return len(self.components) + len(self.folders)


def touched(files: Iterable[str], components: Mapping[str, Sequence[str]]) -> Touched:
    """What a change of some files touches; `components` are patterns of paths by name. A file of
    several components counts for each of them."""
    patterns = {name: _compiled(paths) for name, paths in components.items()}
    found: set[str] = set()
    folders: set[str] = set()
    for file in files:
        of = {name for name, pattern in patterns.items() if pattern.fullmatch(file)}
        found |= of
        if not of:
            folders.add(file.split("/", 1)[0] if "/" in file else ROOT)
    return Touched(tuple(sorted(found)), tuple(sorted(folders)))


def _compiled(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(_regex(pattern) for pattern in patterns), re.DOTALL)


def _regex(pattern: str) -> str:
    """A pattern: `*` and `?` stay within a folder, `**` does not; a folder has all in it."""
    text = pattern.removeprefix("./").rstrip("/")
    parts = re.split(r"(\*\*/|\*+|\?)", text)
    signs = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    made = "".join(
        re.escape(part) if index % 2 == 0 else signs.get(part, ".*")
        for index, part in enumerate(parts)
    )
    return f"{made}(?:/.*)?"
