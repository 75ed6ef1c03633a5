# SPDX-License-Identifier: Apache-2.0
"""XML and JSON within bounds: of size, of depth, without entities and without duplicate keys."""

import json
import re
from collections.abc import Mapping
from typing import Any, Protocol, TypeVar
from xml.etree.ElementTree import ParseError

import msgspec
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from cabgate_collect.facts import MAX_COUNT, UnreadableReportError

MAX_BYTES = 64 * 1024 * 1024
"""Largest report."""

MAX_DEPTH = 64
"""Levels of nesting; no report of a tool comes near."""

MAX_OBJECTS = 2_000_000
"""Objects and lists of a JSON document; one of a report has some dozens of bytes."""

MAX_KEYS = 100_000
"""Keys of one object, such as the files of a coverage report."""

_CHUNK = 64 * 1024
"""Bytes of XML that are parsed at a time: what is wrong at the beginning is found there."""

T = TypeVar("T")
Attributes = Mapping[str, str]


class Elements(Protocol):
    """What takes the elements of a document, in the order in which they stand there."""

    def opened(self, path: list[str], attributes: Attributes) -> None:
        """An element begins; `path` are the local names from the root to it."""

    def closed(self, path: list[str]) -> None:
        """It ends."""


def check_size(data: bytes) -> None:
    """Raise `UnreadableReportError` for a report that is too large or empty."""
    if len(data) > MAX_BYTES:
        raise UnreadableReportError(f"longer than {MAX_BYTES // 1024 // 1024} MiB: split it")
    if not data.strip(b" \t\r\n\0"):
        raise UnreadableReportError("empty: the tool that should have written it wrote nothing")


def read_xml(data: bytes, elements: Elements) -> None:
    """Hand the elements of a document on, while it is parsed. Raises `UnreadableReportError`."""
    check_size(data)
    parser = _Parser(elements)
    try:
        for start in range(0, len(data), _CHUNK):
            parser.feed(data[start : start + _CHUNK])
        parser.close()
    except ParseError as error:
        line, column = error.position
        what = str(error).partition(":")[0]
        raise UnreadableReportError(
            f"line {line}, column {column + 1}: not valid XML: {what}; perhaps it was cut off"
        ) from None
    except DefusedXmlException:
        raise UnreadableReportError(
            "defines entities, or a document type of its own: no report of a tool does, and they "
            "are not read"
        ) from None
    except UnreadableReportError as error:
        raise UnreadableReportError(f"line {parser.parser.CurrentLineNumber}: {error}") from None
    except (ValueError, LookupError) as error:  # an encoding that is none
        raise UnreadableReportError(f"not valid XML: {error}") from None


class _Parser(DefusedXMLParser):
    """Names a document type that stands elsewhere, as JaCoCo's and Cobertura's reports do: it is
    never fetched. One with declarations of its own is refused, and so are all entities."""

    def __init__(self, elements: Elements) -> None:
        super().__init__(target=_Target(elements), forbid_dtd=True)
        self.parser.SkippedEntityHandler = self.defused_skipped_entity

    def defused_start_doctype_decl(
        self, name: str, sysid: str | None, pubid: str | None, has_internal_subset: bool
    ) -> None:
        """As the parser calls it."""
        if has_internal_subset:
            super().defused_start_doctype_decl(name, sysid, pubid, has_internal_subset)

    def defused_skipped_entity(self, name: str, is_parameter_entity: bool) -> None:
        """As the parser calls it."""
        raise UnreadableReportError(f"names the entity {name!r}, which is not defined")


class _Target:
    """What the parser hands its elements to."""

    def __init__(self, elements: Elements) -> None:
        self._elements = elements
        self._path: list[str] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self._path) == MAX_DEPTH:
            raise UnreadableReportError(f"nested more than {MAX_DEPTH} levels deep")
        self._path.append(tag.rpartition("}")[2])
        self._elements.opened(self._path, attributes)

    def end(self, _tag: str) -> None:
        self._elements.closed(self._path)
        self._path.pop()

    def close(self) -> None:
        """As the parser calls it at the end."""


_COUNT = re.compile(r"\s*([0-9]{1,10})\s*")


def count_of(attributes: Attributes, name: str) -> int | None:
    """A number of an element, 0 or more; None if it has none. Raises `UnreadableReportError`."""
    text = attributes.get(name)
    if text is None:
        return None
    found = _COUNT.fullmatch(text)
    if found is None or int(found[1]) > MAX_COUNT:
        raise UnreadableReportError(
            f'{name}="{text[:40]}": not a count; allowed: a whole number, 0 to {MAX_COUNT}'
        )
    return int(found[1])


def read_json(data: bytes, type_: type[T]) -> T:
    """A JSON document as a type of msgspec. Raises `UnreadableReportError`."""
    check_size(data)
    data = data.removeprefix(b"\xef\xbb\xbf")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableReportError("UTF-16 text, as PowerShell's > writes it: write it as UTF-8")
    _check_structure(data)
    try:
        return msgspec.json.decode(data, type=type_)
    except msgspec.ValidationError as error:
        raise UnreadableReportError(f"not as the format has it: {error}") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnreadableReportError(
            f"not valid JSON: {error}; perhaps it was cut off, or holds a log as well"
        ) from None
    except UnicodeDecodeError:
        raise UnreadableReportError("not valid JSON: not UTF-8 text") from None


_TOKENS = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+")([ \t\r\n]*+:)?|[\[{]|[\]}]', re.DOTALL)


def _check_structure(data: bytes) -> None:
    """Refuse what nests too deeply, and an object that has a key twice: parsers differ in which of
    the two they take. Of what is no JSON at all, the parser will say so."""
    keys: list[set[bytes]] = []
    objects = 0
    for token in _TOKENS.finditer(data):
        text, colon = token.groups()
        if text is None:
            if token[0] in b"[{":
                if len(keys) == MAX_DEPTH:
                    raise UnreadableReportError(f"nested more than {MAX_DEPTH} levels deep")
                objects += 1
                if objects > MAX_OBJECTS:
                    raise UnreadableReportError(f"more than {MAX_OBJECTS} objects: split it")
                keys.append(set())
            elif keys:
                keys.pop()
        elif colon is not None and keys:
            key = _plain(text)
            if key in keys[-1]:
                named = key[:60].decode(errors="replace")
                raise UnreadableReportError(f"has the key {named} twice in one object")
            keys[-1].add(key)
            if len(keys[-1]) > MAX_KEYS:
                raise UnreadableReportError(f"an object with more than {MAX_KEYS} keys")


def _plain(key: bytes) -> bytes:
    """A key without escapes, as another could be written."""
    if b"\\" not in key:
        return key
    try:
        plain: Any = json.loads(key)
    except ValueError:
        return key
    return json.dumps(plain, ensure_ascii=False).encode(errors="surrogatepass")
