# SPDX-License-Identifier: Apache-2.0
"""A change of a YAML text line by line: what does not change keeps its comments and its form."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml

from cabgate_cli.errors import BadInput
from cabgate_cli.input.files.documents import composed, documents_in

Render = Callable[[Any], str]
"""How a value is written as YAML, ending in a line feed."""


class _TooMuchError(Exception):
    """More than lines come or go."""


@dataclass
class _Lines:
    """The lines of a text, and what becomes of them."""

    lines: list[str]
    render: Render
    gone: set[int] = field(default_factory=set)
    after: dict[int, list[str]] = field(default_factory=dict)
    """What comes after a line."""

    def text(self) -> str:
        """The text as it becomes."""
        result = []
        for number, line in enumerate(self.lines):
            result += [] if number in self.gone else [line]
            result += self.after.get(number, [])
        return "".join(result)

    def edit(self, node: yaml.Node, old: Any, new: Any) -> None:
        """Make one value another. Raises `_TooMuchError`."""
        if old == new:
            return
        if isinstance(node, yaml.ScalarNode) and node.start_mark.line == node.end_mark.line:
            self._replace(node, json.dumps(new) if isinstance(new, str | int | float) else "")
        elif isinstance(node, yaml.MappingNode) and isinstance(new, dict):
            self._mapping(node, old, new)
        elif isinstance(node, yaml.SequenceNode) and isinstance(new, list):
            self._sequence(node, old, new)
        else:
            raise _TooMuchError

    def _replace(self, node: yaml.Node, text: str) -> None:
        start, end = node.start_mark, node.end_mark
        line = self.lines[start.line]
        if not text or start.line != end.line:
            raise _TooMuchError
        self.lines[start.line] = line[: start.column] + text + line[end.column :]

    def _mapping(self, node: yaml.MappingNode, old: dict[str, Any], new: dict[str, Any]) -> None:
        """Keys that are no longer there go, others come after the last one."""
        if node.flow_style or not new or not old:
            raise _TooMuchError
        for key, value in node.value:
            if key.value not in new:
                self.gone |= set(range(key.start_mark.line, _last_line(value, key) + 1))
            elif isinstance(value, yaml.CollectionNode) and not new[key.value]:
                self._empty(key, value, new[key.value])
            elif isinstance(value, yaml.CollectionNode) and not value.value:
                self._fill(key, value, new[key.value])
            else:
                self.edit(value, old[key.value], new[key.value])
        added = {key: value for key, value in new.items() if key not in old}
        if added:
            self._insert(node, _last_line(node), added)

    def _empty(self, key: yaml.Node, value: yaml.CollectionNode, new: Any) -> None:
        """All in a value goes; comments in it stay."""
        first, line = value.start_mark.line, self.lines[key.end_mark.line]
        if value.value and (value.flow_style or first == key.end_mark.line):
            raise _TooMuchError
        if value.value:
            self.gone |= set(range(first, _last_line(value) + 1))
            head, colon, rest = line.partition(":")
            self.lines[key.end_mark.line] = f"{head}{colon} {json.dumps(new)}{rest}"

    def _fill(self, key: yaml.Node, value: yaml.CollectionNode, new: Any) -> None:
        """A value that was empty, such as {}, gets what it holds below its key."""
        if not new:
            return
        start, end = value.start_mark, value.end_mark
        line = self.lines[start.line]
        if not start.line == end.line == key.end_mark.line:
            raise _TooMuchError
        self.lines[start.line] = line[: start.column].rstrip() + line[end.column :]
        below = "".join(f"  {each}" for each in self.render(new).splitlines(keepends=True))
        self._insert_text(key, start.line, below)

    def _sequence(self, node: yaml.SequenceNode, old: list[Any], new: list[Any]) -> None:
        """Items that are no longer there go, others come after the last one."""
        if node.flow_style and all(isinstance(each, str) for each in new):
            self._replace(node, json.dumps(new, ensure_ascii=False))
            return
        if node.flow_style or not old or not new:
            raise _TooMuchError
        identities = [_identity(each) for each in new]
        for item, value in zip(node.value, old, strict=True):
            identity = _identity(value)
            if identity in identities:
                self.edit(item, value, new[identities.index(identity)])
            else:
                self.gone |= set(range(item.start_mark.line, _last_line(item) + 1))
        known = {_identity(each) for each in old}
        added = [each for each in new if _identity(each) not in known]
        if added:
            self._insert(node, _last_line(node), added)

    def _insert(self, node: yaml.Node, line: int, added: Any) -> None:
        """Put what is new after a line, as deep as the node is."""
        self._insert_text(node, line, self.render(added))

    def _insert_text(self, node: yaml.Node, line: int, text: str) -> None:
        indent = " " * node.start_mark.column
        lines = text.splitlines(keepends=True)
        self.after.setdefault(line, []).extend(indent + each for each in lines)


def _identity(value: Any) -> str:
    """What tells an item of a list from others: of an object its kind and name."""
    if isinstance(value, dict):
        return f"{value.get('kind')}/{value.get('name')}"
    return str(value)


def _last_line(node: yaml.Node, key: yaml.Node | None = None) -> int:
    """The last line of a value, without the comments and the empty lines after it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _last_line(last[1], last[0]) if isinstance(last, tuple) else _last_line(last)
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        raise _TooMuchError
    line: int = node.end_mark.line
    return line if key is None else max(line, key.end_mark.line)


def edited(text: str, old: Any, new: Any, render: Render) -> str | None:
    """A YAML text of one object, with the object changed from `old` to `new` and all else as it is;
    None if it cannot be told how."""
    lines = _Lines(text.splitlines(keepends=True), render)
    if lines.lines and not lines.lines[-1].endswith("\n"):
        lines.lines[-1] += "\n"
    try:
        lines.edit(composed(text), old, new)
        made = lines.text()
        return made if [each.content for each in documents_in(made, "")] == [new] else None
    except (_TooMuchError, BadInput, yaml.YAMLError, KeyError, ValueError):
        return None
