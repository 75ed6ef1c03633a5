# SPDX-License-Identifier: Apache-2.0
"""Exceptions of a list by the request that they name: those for others are not decoded.

A namespace can hold thousands of exceptions for other requests. To make objects of them all took
seconds, in which the webhook answered nobody.
"""

from collections.abc import Collection

import msgspec


class _Reference(msgspec.Struct):
    name: str = ""


class _Spec(msgspec.Struct):
    requestRef: _Reference = msgspec.field(default_factory=_Reference)  # noqa: N815 - as sent


class _Metadata(msgspec.Struct):
    name: str = ""


class _Exception(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    spec: _Spec = msgspec.field(default_factory=_Spec)


_REFERENCE = msgspec.json.Decoder(_Exception)


def naming(items: Collection[msgspec.Raw], names: Collection[str]) -> list[bytes]:
    """The exceptions that name one of some requests, in bytes of their own, so that the list itself
    need not be kept. What cannot be read names none."""
    return [bytes(item) for item in items if _named(item) in names]


def sizes(items: Collection[msgspec.Raw]) -> dict[str, int]:
    """The bytes that each exception takes, by name. What cannot be read has none."""
    found: dict[str, int] = {}
    for item in items:
        name = _decoded(item).metadata.name
        found[name] = found.get(name, 0) + len(bytes(item))
    return found


def _named(item: msgspec.Raw) -> str:
    return _decoded(item).spec.requestRef.name


def _decoded(item: msgspec.Raw) -> _Exception:
    try:
        return _REFERENCE.decode(item)
    except msgspec.MsgspecError:
        return _Exception()
