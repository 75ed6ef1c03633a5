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


class _Exception(msgspec.Struct):
    spec: _Spec = msgspec.field(default_factory=_Spec)


_REFERENCE = msgspec.json.Decoder(_Exception)


def naming(items: Collection[msgspec.Raw], names: Collection[str]) -> list[bytes]:
    """The exceptions that name one of some requests, in bytes of their own, so that the list itself
    need not be kept. What cannot be read names none."""
    return [bytes(item) for item in items if _named(item) in names]


def _named(item: msgspec.Raw) -> str:
    try:
        return _REFERENCE.decode(item).spec.requestRef.name
    except msgspec.MsgspecError:
        return ""
