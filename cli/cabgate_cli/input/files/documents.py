# SPDX-License-Identifier: Apache-2.0
"""Objects from YAML and JSON, read as kubectl reads them, whatever is in the file."""

import json
import math
import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import click
import yaml

from cabgate_cli.errors import BadInput

MAX_BYTES = 32 * 1024 * 1024
"""Largest input: more than the bundles of large projects, with all their definitions, have."""

MAX_VALUES = 2_000_000
"""Values in one document; YAML aliases can make a small file endless."""

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
"""For what people write."""


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


def each_document(text: str, name: str, limits: Limits = DEFAULT_LIMITS) -> Iterator[Document]:
    """Every object of a text, as `documents_in` has them. Of JSON Lines and of a list in JSON one
    is read after the other, so that nobody has to hold all of a long export at once.

    Raises `BadInput` on the way, for what is no object."""
    if _LINES.match(text):
        for number, value in enumerate(_json_lines(text, name), 1):
            source = f"{name}, document {number}"
            yield from _objects(_plain(value, source, _Budget(limits.max_values)), source)
    elif head := _LIST.match(text):
        yield from _listed(text, name, head.end(), _Budget(limits.max_values))
    else:
        yield from documents_in(text, name, limits)


def composed(text: str) -> yaml.Node:
    """The nodes of a text of one object, with where each stands. Raises `yaml.YAMLError`."""
    node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    if node is None:
        raise yaml.YAMLError("no object")
    return node


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
    except RuntimeError:  # by click
        raise BadInput(f"{name}: cannot be read: it is closed") from None
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
        return list(_json_lines(text, name))
    try:
        _check_depth(text, name)
        return list(yaml.load_all(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" line {mark.line + 1}, column {mark.column + 1}:" if mark else ""
        raise BadInput(f"{name}: not valid YAML:{place} {error.problem or error}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise BadInput(f"{name}: not valid YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise BadInput(f"{name}: nested too deeply") from None


def _check_depth(text: str, name: str) -> None:
    """Refuse what nests deeper than any object: libyaml would end the process over it."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise BadInput(f"{name}: nested too deeply")


_LINES = re.compile(r"\s*\{.*\}[ \t]*\r?\n\s*\{")
"""How JSON Lines begin, and no YAML does: a line that is an object, and another one."""


_LIST = re.compile(
    r'\s*\{\s*(?:"(?:apiVersion|kind)"\s*:\s*"[A-Za-z0-9./]*"\s*,\s*)*"items"\s*:\s*\['
)
"""How a list in JSON begins, as kubectl and the API server write it."""

_BETWEEN_ITEMS = re.compile(r"[ \t\r\n]*([,\]]?)[ \t\r\n]*")


def _json_lines(text: str, name: str) -> Iterator[Any]:
    begin = 0
    number = 0
    while begin < len(text):
        end = text.find("\n", begin)
        line = text[begin:] if end < 0 else text[begin:end]
        begin = len(text) if end < 0 else end + 1
        number += 1
        if not line.strip():
            continue
        try:
            found = json.loads(line, object_pairs_hook=_unique, parse_constant=_not_json)
        except _DuplicateKeyError as error:
            raise BadInput(f"{name}: line {number}: {error}") from None
        except (ValueError, RecursionError):
            raise BadInput(f"{name}: line {number}: not valid JSON") from None
        yield found


def _listed(text: str, name: str, begin: int, budget: "_Budget") -> Iterator[Document]:
    """The objects of a list whose first item begins somewhere. What stands around the items is
    looked at last."""
    decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_not_json)
    number, place = 0, begin
    try:
        between = _BETWEEN_ITEMS.match(text, place)
        while between is not None and between[1] != "]":
            if bool(between[1]) != bool(number):
                raise ValueError("no comma, or one too many")
            value, place = decoder.raw_decode(text, between.end())
            source = f"{name}, items[{number}]"
            number += 1
            yield from _objects(_plain(value, source, budget), source)
            between = _BETWEEN_ITEMS.match(text, place)
        end = text.index("]", place)
        around = json.loads(
            text[:begin] + text[end:], object_pairs_hook=_unique, parse_constant=_not_json
        )
    except _DuplicateKeyError as error:
        raise BadInput(f"{name}: {error}") from None
    except (ValueError, RecursionError):
        raise BadInput(f"{name}: not valid JSON: in or after items[{number}]") from None
    if not str(around.get("kind", "")).endswith("List"):
        raise BadInput(f"{name}: kind: {around.get('kind')!r} with items; allowed: a List")


class _DuplicateKeyError(ValueError):
    """A duplicate key in one object: one of the two would be lost in silence."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _DuplicateKeyError(f"duplicate key {twice!r} in one object")
    return result


def _not_json(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


# libyaml, where PyYAML has it: kubectl's parser was made from it, and takes tabs where PyYAML's own
# does not.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_YAML = "tag:yaml.org,2002:"


class _Loader(_Base):  # type: ignore[misc]
    """YAML as kubectl reads it: a date stays text, 12:30 is not a number, a key becomes the text
    that JSON has for it. No key twice, which kubectl would take."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag == f"{_YAML}merge":
                continue
            text = self._key(key)
            if text in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"duplicate key {text!r} in one object",
                    problem_mark=key.start_mark,
                )
            seen.add(text)
        self.flatten_mapping(node)
        return {self._key(key): self.construct_object(value, deep) for key, value in node.value}

    def _key(self, node: yaml.Node) -> str:
        """A key as kubectl has it in JSON: of a number or a truth value, its text."""
        key = self.construct_object(node, deep=True)
        if isinstance(key, str):
            return key
        if isinstance(key, bool):
            return "true" if key else "false"
        if isinstance(key, int):
            return str(key) if -(2**63) <= key < 2**63 else _shortest(float(key))
        if isinstance(key, float):
            return _shortest(key)
        raise yaml.MarkedYAMLError(
            problem=f"the key {key!r} is not a text: write it in quotes",
            problem_mark=node.start_mark,
        )

    bool_values: ClassVar = {**yaml.SafeLoader.bool_values, "y": True, "n": False}

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float | str:
        value: float = super().construct_yaml_float(node)
        # 1e400 is a text to kubectl.
        return node.value if math.isinf(value) and "inf" not in node.value.lower() else value

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        text = node.value.replace("_", "")
        if "0o" in text:
            return int(text, 8)
        return int(super().construct_yaml_int(node))

    def construct_binary(self, node: yaml.ScalarNode) -> str:
        return bytes(super().construct_yaml_binary(node)).decode(errors="replace")

    def construct_untagged(self, *of: Any) -> Any:
        """A value whose tag says nothing to kubectl."""
        node = of[-1]
        if isinstance(node, yaml.MappingNode):
            return self.construct_mapping(node, deep=True)
        if isinstance(node, yaml.SequenceNode):
            return self.construct_sequence(node, deep=True)
        return self.construct_scalar(node)


def _shortest(number: float) -> str:
    """A number as Go prints it, in as few digits as tell it (strconv's format g)."""
    if not math.isfinite(number):
        return ".nan" if math.isnan(number) else ".inf" if number > 0 else "-.inf"
    digits, _, exponent = f"{number!r}".partition("e")
    if exponent:
        return f"{digits}e{exponent}"
    if abs(number) >= 1e21:
        return f"{number:g}"
    return digits.removesuffix(".0")


for _tag in ("value", "merge", "timestamp", "set", "omap", "pairs"):
    _Loader.add_constructor(_YAML + _tag, _Loader.construct_untagged)
_Loader.add_constructor(f"{_YAML}binary", _Loader.construct_binary)
_Loader.add_constructor(f"{_YAML}float", _Loader.construct_yaml_float)
_Loader.add_constructor(f"{_YAML}int", _Loader.construct_yaml_int)
_Loader.add_multi_constructor("!", _Loader.construct_untagged)

_INT = r"^[-+]?(?:0|[1-9][0-9_]*|0[0-7_]+|0x[0-9a-fA-F_]+|0b[01_]+|0o[0-7_]+)$"
_FLOAT = (
    r"^[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?$"
    r"|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"
)
_DROPPED = {_YAML + kind for kind in ("timestamp", "int", "float", "value")}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _DROPPED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(f"{_YAML}bool", re.compile("^[yYnN]$"), list("yYnN"))
_Loader.add_implicit_resolver(f"{_YAML}int", re.compile(_INT), list("-+0123456789"))
_Loader.add_implicit_resolver(f"{_YAML}float", re.compile(_FLOAT), list("-+0123456789."))


class _Budget:
    """Counts the values of a document down."""

    def __init__(self, values: int) -> None:
        self.left = values

    def take(self, number: int) -> bool:
        """Whether there were still so many to take."""
        self.left -= number
        return self.left >= 0


_AS_IT_IS = frozenset({str, int, bool, type(None)})
"""Types of what most values of an object are. They are told here, for an export has millions."""


def _plain(value: Any, name: str, budget: _Budget, depth: int = 0) -> Any:
    """The value as plain JSON. Each value counts where it stands in another, but the first."""
    within = len(value) if isinstance(value, dict | list) else 0
    if not budget.take(within) or depth > MAX_DEPTH:
        raise BadInput(f"{name}: too large: more values or levels than an object may have")
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise BadInput(f"{name}: the key {key!r} is not a text: write it in quotes")
        return {
            key: item if type(item) in _AS_IT_IS else _plain(item, name, budget, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [
            item if type(item) in _AS_IT_IS else _plain(item, name, budget, depth + 1)
            for item in value
        ]
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
