# SPDX-License-Identifier: Apache-2.0
"""Stored requests, decoded into what is read of them beside others, by types made from the models,
and from there into where they stand. No such type leaves this module.

A `CABRequest` validates every field and keeps it; the gate of a target that was released many times
reads ten of them, and a part of each. The types here have the same attributes, the same values and
no looser rules: whatever they do not take is left to the models, with what those say to it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from pydantic import AwareDatetime, StringConstraints
from pydantic.fields import FieldInfo

from cabgate.api import CABRequest
from cabgate.api.base import BARE_DIGEST, NOT_BLANK, Model, ObjectMeta, bare_digest
from cabgate.api.conditions import StatusCondition
from cabgate.api.evidence import Evidence
from cabgate.api.request import CABRequestSpec, CABRequestStatus
from cabgate.api.types import Checked, DecisionEntry
from cabgate.gate.unjudged import ListedIntent, WrittenIntent
from cabgate.lifecycle.state.standing import RequestStanding, standings_of

NOT_READ: Mapping[type, Collection[str]] = {
    ObjectMeta: {
        "annotations",
        "deletion_timestamp",
        "generation",
        "labels",
        "resource_version",
    },
    CABRequestSpec: {"summary"},
    Evidence: {"artifacts", "deployment_plan", "manual_testing", "rollback_plan", "scope"},
    CABRequestStatus: {"approvals", "decided_at", "review", "state", "taken_at"},
    StatusCondition: {"last_transition_time", "message", "observed_generation", "reason"},
    DecisionEntry: {"signature"},
    Checked: {"intent_generation", "requested_by", "submitted_by"},
}
"""Fields that no verdict, no message and no score of another request depends on. One that is read
all the same is an error, and so a denial."""


def decode_requests(data: bytes) -> list[RequestStanding] | None:
    """Where the requests of a list stand, as the API server sent it, or None if one of them, or the
    list, is not as expected."""
    try:
        # As text, because what is skipped is not looked at for encoding.
        found: Any = _DECODER.decode(data.decode())
    except (ValueError, RecursionError):
        return None
    return standings_of(found.items)


def decode_intents(data: bytes) -> list[WrittenIntent]:
    """The intents of a list as the API server sent it, without those that are not as expected."""
    found = []
    with suppress(ValueError, RecursionError):
        for raw in split(data):
            with suppress(ValueError, RecursionError):
                found.append(decode_intent(bytes(raw)))
    return found


def decode_intent(data: bytes) -> WrittenIntent:
    """An intent as the API server sent it. Raises `ValueError` and `RecursionError` for one that is
    not as expected."""
    found: WrittenIntent = _INTENT_DECODER.decode(data.decode())
    return found


def split(data: bytes) -> list[msgspec.Raw]:
    """The objects of a list as the API server sent it, each in its bytes. Raises `ValueError`."""
    return _SPLITTER.decode(data).items


class UnknownRuleError(TypeError):
    """A model has a rule that this module cannot keep."""


@cache
def struct_of(model: type[Model]) -> type[msgspec.Struct]:
    """The type that holds what is read of a model."""
    left_out = {name for base in model.__mro__ for name in NOT_READ.get(base, ())}
    fields = [
        (name, _type(field.annotation, field.metadata), _default(field))
        for name, field in model.model_fields.items()
        if name not in left_out
    ]
    namespace: dict[str, Any] = {
        name: value for name, value in vars(model).items() if isinstance(value, property)
    }
    moments = [name for name, found, _ in fields if _is_moment(found)]
    digests = [name for name, _, _ in fields if _is_digest(model.model_fields[name])]
    if moments or digests:
        namespace["__post_init__"] = _check_of(moments, digests)
    return msgspec.defstruct(
        model.__name__,
        fields,
        namespace=namespace,
        rename={name: field.alias or name for name, field in model.model_fields.items()},
        kw_only=True,
    )


def _default(field: FieldInfo) -> Any:
    if field.is_required():
        return msgspec.NODEFAULT
    if field.default_factory is None:
        return field.default
    made: Any = field.get_default(call_default_factory=True)
    if isinstance(made, list):
        return msgspec.field(default_factory=list)
    # An empty status, say: as the model of it would be made.
    model: type[Model] = type(made)
    return msgspec.field(default_factory=struct_of(model))


def _type(annotation: Any, rules: Sequence[Any]) -> Any:
    """The type for an annotation of a model with further rules about it."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        return _type(inner, [*more, *rules])
    if origin in (Union, UnionType):
        # The rules of an optional value are those of the value.
        return Union[tuple(_type(each, rules) for each in get_args(annotation))]  # noqa: UP007
    if annotation in (NoneType, bool):
        return annotation
    if origin is Literal or (isinstance(annotation, type) and issubclass(annotation, Enum)):
        return annotation
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return struct_of(annotation)
    if origin is list:
        return _ruled(list[_type(get_args(annotation)[0], [])], rules)  # type: ignore[misc]
    if annotation is AwareDatetime:
        return Annotated[datetime, msgspec.Meta(tz=True)]
    if annotation in (str, int, float):
        return _ruled(annotation, rules)
    raise UnknownRuleError(f"{annotation!r}")


def _ruled(base: Any, rules: Sequence[Any]) -> Any:
    """A type with rules, each of them kept or, if that cannot be, an `UnknownRuleError`."""
    kept: dict[str, Any] = {}
    for rule in rules:
        kept |= _kept(rule)
    return Annotated[base, msgspec.Meta(**kept)] if kept else base


def _kept(rule: Any) -> dict[str, Any]:
    if rule is BARE_DIGEST:
        return {}  # `_check_of` does it
    if rule is NOT_BLANK:
        # What Python takes for space is more than what the model does: left to the model, then.
        return {"pattern": r"\S"}
    if isinstance(rule, FieldInfo):
        return {name: value for each in rule.metadata for name, value in _kept(each).items()}
    if isinstance(rule, StringConstraints):
        found: dict[str, Any] = {"min_length": rule.min_length, "max_length": rule.max_length}
        if rule.pattern is not None:
            found["pattern"] = _pattern(str(rule.pattern))
        return {name: value for name, value in found.items() if value is not None}
    if getattr(rule, "allow_inf_nan", True) is False:
        return {}  # JSON has none
    for name in ("min_length", "max_length", "ge", "le"):
        if hasattr(rule, name):
            return {name: getattr(rule, name)}
    raise UnknownRuleError(f"{rule!r}")


def _pattern(pattern: str) -> str:
    """The pattern of a model for Python, where `$` would also match before a line feed."""
    if not (pattern.startswith("^") and pattern.endswith("$")):
        raise UnknownRuleError(f"{pattern!r}: not the whole text")
    return pattern[:-1] + r"\Z"


def _is_moment(found: Any) -> bool:
    return any(
        each is datetime or get_args(each)[:1] == (datetime,) for each in (found, *get_args(found))
    )


def _is_digest(field: Any) -> bool:
    """Whether a field, or an annotation, is of digests that are the same with a prefix."""
    rules = field.metadata if isinstance(field, FieldInfo) else get_args(field)[1:]
    inner = field.annotation if isinstance(field, FieldInfo) else field
    return BARE_DIGEST in rules or any(map(_is_digest, get_args(inner)))


def _check_of(moments: Sequence[str], digests: Sequence[str]) -> Callable[[Any], None]:
    """Refuse a moment that is not written as Kubernetes does, in whole seconds of UTC; have digests
    as the model has them."""

    def check(self: Any) -> None:
        for name in digests:
            value = getattr(self, name)
            if value is not None:
                setattr(self, name, bare_digest(value))
        for name in moments:
            value = getattr(self, name)
            if value is not None and (value.microsecond or value.tzinfo is not UTC):
                raise ValueError(name)

    return check


_DECODER = msgspec.json.Decoder(
    msgspec.defstruct("Requests", [("items", list[struct_of(CABRequest)])])  # type: ignore[misc]
)

_INTENT_DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(struct_of(ListedIntent))


class _List(msgspec.Struct):
    items: list[msgspec.Raw]


_SPLITTER = msgspec.json.Decoder(_List)
