# SPDX-License-Identifier: Apache-2.0
"""Objects from YAML and JSON, read as kubectl reads them, whatever is in the file."""

import json
import math
import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import click
import yaml

from cabgate_cli.errors import BadInput

MAX_BYTES = 3 * 1024 * 1024
"""Largest input: what the API server takes in one request."""

MAX_VALUES = 200_000
"""Values in one input; YAML aliases can make a small file endless."""

MAX_DEPTH = 60
"""Levels of nesting; no Kubernetes object comes near."""


@dataclass(frozen=True)
class Document:
    """One object of an input."""

    source: str
    """Where it stands, for messages: the file, and which document of it."""
    content: dict[str, Any]
    """The object, plain JSON values only."""

    @property
    def kind(self) -> str:
        """Its kind; empty if it has none."""
        kind = self.content.get("kind")
        return kind if isinstance(kind, str) else ""

    @property
    def api_version(self) -> str:
        """Its API version; empty if it has none."""
        version = self.content.get("apiVersion")
        return version if isinstance(version, str) else ""

    @property
    def metadata(self) -> dict[str, Any]:
        """Its metadata; empty if it has none."""
        metadata = self.content.get("metadata")
        return metadata if isinstance(metadata, dict) else {}


@dataclass(frozen=True)
class Limits:
    """How much one input may hold."""

    max_bytes: int = MAX_BYTES
    max_values: int = MAX_VALUES


DEFAULT_LIMITS = Limits()
"""For what the API server takes in one request."""


def read_documents(path: str) -> list[Document]:
    """Every object of a file, or of standard input for `-`; lists are taken apart.

    Raises `BadInput` for whatever cannot be read.
    """
    name = shown_path(path)
    documents = documents_in(read_text(path), name)
    if not documents:
        raise BadInput(f"{name}: holds no object")
    return documents


def documents_in(text: str, name: str, limits: Limits = DEFAULT_LIMITS) -> list[Document]:
    """Every object of a text, perhaps none; raises `BadInput` for what is no object."""
    found = [doc for doc in _parsed(text, name) if doc is not None]
    documents: list[Document] = []
    for number, value in enumerate(found, 1):
        source = f"{name}, document {number}" if len(found) > 1 else name
        documents += _objects(_plain(value, source, _Budget(limits.max_values)), source)
    return documents


def shown_path(path: str) -> str:
    """How messages call an input."""
    return "standard input" if path == "-" else path


def read_text(path: str, limits: Limits = DEFAULT_LIMITS) -> str:
    """The text of a file, or of standard input for `-`; raises `BadInput`."""
    name = shown_path(path)
    try:
        with click.open_file(path, "rb") as stream:
            data: bytes = stream.read(limits.max_bytes + 1)
    except OSError as error:
        raise BadInput(f"{name}: cannot be read: {error.strerror or error}") from None
    if len(data) > limits.max_bytes:
        raise BadInput(f"{name}: longer than {limits.max_bytes // 1024 // 1024} MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(f"{name}: neither YAML nor JSON: not UTF-8 text") from None


def _parsed(text: str, name: str) -> list[Any]:
    try:
        # JSON first: YAML's parser refuses the tabs that JSON may be indented with.
        return [json.loads(text, object_pairs_hook=_unique, parse_constant=_not_json)]
    except _DuplicateKeyError as error:
        raise BadInput(f"{name}: {error}") from None
    except (ValueError, RecursionError):
        pass
    if _LINES.match(text):
        return _json_lines(text, name)
    try:
        return list(yaml.load_all(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" line {mark.line + 1}, column {mark.column + 1}:" if mark else ""
        raise BadInput(f"{name}: not valid YAML:{place} {error.problem or error}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise BadInput(f"{name}: not valid YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise BadInput(f"{name}: nested too deeply") from None


_LINES = re.compile(r"\s*\{.*\}[ \t]*\r?\n\s*\{")
"""How JSON Lines begin, and no YAML does: a line that is an object, and another one."""


def _json_lines(text: str, name: str) -> list[Any]:
    values = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line, object_pairs_hook=_unique, parse_constant=_not_json)
        except _DuplicateKeyError as error:
            raise BadInput(f"{name}: line {number}: {error}") from None
        except (ValueError, RecursionError):
            raise BadInput(f"{name}: line {number}: not valid JSON") from None
        values.append(found)
    return values


class _DuplicateKeyError(ValueError):
    """A key stands twice in one object: one of the two would be lost in silence."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _DuplicateKeyError(f"the key {twice!r} stands twice in one object")
    return result


def _not_json(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


class _Loader(yaml.SafeLoader):
    """YAML as kubectl reads it: a date stays text, 12:30 is not a number, no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge" or not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value!r} stands twice in one object",
                    problem_mark=key.start_mark,
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_INT = r"^[-+]?(?:0|[1-9][0-9_]*|0[0-7_]+|0x[0-9a-fA-F_]+|0b[01_]+)$"
_FLOAT = (
    r"^[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?$"
    r"|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"
)
_DROPPED = {"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _DROPPED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(_INT), list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(_FLOAT), list("-+0123456789."))


class _Budget:
    """Counts the values of a document down."""

    def __init__(self, values: int) -> None:
        self.left = values

    def take(self) -> bool:
        """Whether there was still one to take."""
        self.left -= 1
        return self.left >= 0


def _plain(value: Any, name: str, budget: _Budget, depth: int = 0) -> Any:
    """The value as plain JSON."""
    if not budget.take() or depth > MAX_DEPTH:
        raise BadInput(f"{name}: too large: more values or levels than an object may have")
    if isinstance(value, dict):
        wrong = next((key for key in value if not isinstance(key, str)), None)
        if wrong is not None:
            raise BadInput(f"{name}: the key {wrong!r} is not a text: write it in quotes")
        return {key: _plain(item, name, budget, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, name, budget, depth + 1) for item in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise BadInput(f"{name}: {value} is not a number that JSON knows")
        # kubectl turns 3.0 into 3 on the way to the API server.
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if value is None or isinstance(value, str | bool | int):
        return value
    raise BadInput(f"{name}: holds a value that JSON does not know ({type(value).__name__})")


def _objects(value: Any, source: str) -> Iterator[Document]:
    if not isinstance(value, dict):
        raise BadInput(f"{source}: not a Kubernetes object (a {type(value).__name__})")
    items = value.get("items")
    if str(value.get("kind", "")).endswith("List") and isinstance(items, list):
        for number, item in enumerate(items):
            yield from _objects(item, f"{source}, items[{number}]")
    else:
        yield Document(source, value)
