# SPDX-License-Identifier: Apache-2.0
"""Words that nobody on call would search for, and what to say instead: none is in product, chart or
docs, and no name of the list is defined there. Decisions say what was, and are free.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PHRASES = {
    r"better the evidence": "improve the evidence",
    r"(?:to|would) better": "improve",
    r"ask(?:s|ed|ing)? for an exception": "request an exception",
    r"option that there is none of": "unknown option",
    r"leads no more": "lost leadership",
    r"somebody else wrote first": "write conflict",
    r"again at once": "retrying",
    r"is none of its values": "unknown value",
    r"stands (?:twice|[0-9]+ times|\{[^{}]*\} times)": "duplicate value",
    r"run on all the same": "tolerations",
    r"nobody foresaw": "unexpected error",
    r"told by its type and place": "log only its type and location",
}
"""What is not said, as a pattern, and what is said instead."""

NAMES = {
    "said_of": "describe",
    "told": "a noun for what it is, such as message",
    "looks": "candidates",
    "Matter": "subject",
    "did": "note_act",
    "concerns": "note_correlation",
    "sightings": "a noun for what was seen",
    "way_down": "improvements",
    "machines_alone": "only_machines",
    "helpless": "stalled",
}
"""Identifiers that are not defined, and which to take."""

PLACED = {
    r"(?<![\w.`\"'])reviews?(?![\w`\"']|\.\w)": (
        "webhook",
        ("reviews.py", "surroundings.py", "votes.py", "write_turns.py"),
        "admission request",
    ),
}
"""What is said in one room by the files alone that are about it, by their names: a review is what a
person gives, and what the API server asks the webhook is none."""

TEXTS = (
    *(
        "core",
        "kube",
        "operator",
        "webhook",
        "collect",
        "store",
        "relay",
        "portal",
        "cli",
        "charts/cabgate",
        "crds",
        "docs",
        "examples",
    ),
    *(
        "bench",
        "devcluster",
        "demo",
        "samples",
        "tools",
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
    ),
)
CODE = (
    "core",
    "kube",
    "operator",
    "webhook",
    "collect",
    "store",
    "relay",
    "portal",
    "cli",
    "bench",
    "devcluster",
    "demo",
    "samples",
    "tests",
    "tools",
)
FREE = ("docs/decisions/", "tools/words.py")
KINDS = (".py", ".html", ".md", ".yaml", ".tpl", ".cel", ".txt", ".json", ".toml", ".lua", ".sql")

# A sentence may go on in the next line: of a comment, or of a string.
_BETWEEN = r"""[\s"'#]+"""


@dataclass(frozen=True)
class Found:
    """A word that is not said, and where it stands."""

    place: str
    line: int
    text: str
    instead: str

    def __str__(self) -> str:
        """One line, as a compiler says it."""
        return f"{self.place}:{self.line}: {self.text!r}: say {self.instead!r}"


def phrases_in(text: str, place: str) -> Iterator[Found]:
    """The phrases of a text that are not said."""
    for pattern, instead in PHRASES.items():
        anywhere = pattern.replace(" ", _BETWEEN)
        for match in re.finditer(anywhere, text, re.IGNORECASE):
            line = text.count("\n", 0, match.start()) + 1
            yield Found(place, line, " ".join(match[0].split()), instead)


def placed_in(text: str, place: str) -> Iterator[Found]:
    """The words of a text that are said elsewhere in its room alone."""
    for pattern, (room, files, instead) in PLACED.items():
        if place.startswith(f"{room}/") and not place.endswith(files):
            for match in re.finditer(pattern, text, re.IGNORECASE):
                yield Found(place, text.count("\n", 0, match.start()) + 1, match[0], instead)


def names_in(text: str, place: str) -> Iterator[Found]:
    """The names that a module defines and that are not taken."""
    for node in ast.walk(ast.parse(text)):
        for name in _defined(node):
            if instead := NAMES.get(name.strip("_")):
                yield Found(place, getattr(node, "lineno", 1), name, instead)


def _defined(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        yield node.attr
    elif isinstance(node, ast.alias) and node.asname:
        yield node.asname


def found_in(root: Path) -> list[Found]:
    """What is not said, in the files of a tree."""
    found: list[Found] = []
    for path in _files(root, TEXTS):
        text, place = path.read_text(), str(path.relative_to(root))
        found += [*phrases_in(text, place), *placed_in(text, place)]
    for path in _files(root, CODE):
        if path.suffix == ".py":
            found += names_in(path.read_text(), str(path.relative_to(root)))
    return found


def _files(root: Path, places: tuple[str, ...]) -> Iterator[Path]:
    for place in places:
        start = root / place
        for path in [start] if start.is_file() else sorted(start.rglob("*")):
            if path.suffix in KINDS and not str(path.relative_to(root)).startswith(FREE):
                yield path


def main() -> int:
    """Name each; fail if there is one."""
    found = found_in(Path(__file__).resolve().parents[1])
    for each in found:
        print(each)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
