# SPDX-License-Identifier: Apache-2.0
"""What every API model shares: naming, strictness, metadata and the small field types."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

from cabgate.api.descriptions import field_descriptions
from cabgate.api.values import SHA256_PREFIX
from cabgate.api.values import bare_digest as bare_digest
from cabgate.text.characters import NAME_PATTERN, TEXT_PATTERN
from cabgate.text.moments import rfc3339 as rfc3339


def cel(rule: str, message: str, field: str = "") -> dict[str, str]:
    """One entry of `x-kubernetes-validations`: a CEL rule, what a person reads when it fails, and
    the path of the field that it is about, from where the rule stands: `.name`."""
    return {"rule": rule, "message": message} | ({"fieldPath": field} if field else {})


def validations(*rules: dict[str, str]) -> dict[str, Any]:
    """Schema extension that carries CEL rules made with `cel`."""
    return {"x-kubernetes-validations": list(rules)}


def replaced_whole(keys: str, message: str, *rules: dict[str, str]) -> dict[str, Any]:
    """Schema extension of a list that a team declares: it is what its last writer said, and holds
    nothing twice, of the CEL list `keys`. `rules` are others.

    A list of type set or map would keep what another field manager put in and nobody declares: by
    server-side apply, an image that somebody added by hand would stand under every later release.
    """
    # To compare each with each would cost more than CEL may.
    rule = cel(f"{keys}.distinct().size() == self.size()", message)
    return {"x-kubernetes-list-type": "atomic", **validations(rule, *rules)}


class Model(BaseModel):
    """Base of all API models: camelCase on the wire, immutable in memory.

    Unknown fields are ignored, because during an upgrade an older process reads objects that a
    newer one wrote; where a person types the object, the command line forbids them instead.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        # Each is built when it is first used; who has to be quick then calls `build_models`.
        defer_build=True,
    )

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, without fields that are unset or empty. Of a mapping, such as labels,
        every value stays."""
        found: dict[str, Any] = _pruned(self, self.model_dump(mode="json", by_alias=True))
        return found

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: GetJsonSchemaHandler) -> Any:
        """The JSON Schema, with the docstrings below the fields as their descriptions."""
        schema = handler(core)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, text in field_descriptions(cls).items():
            properties[cls.model_fields[name].alias or name].setdefault("description", text)
        return schema


class FieldProblem(NamedTuple):
    """What is wrong with a field."""

    path: str
    """Such as `spec.targets.0.name`; with whatever keys the object has."""
    message: str
    code: str
    """Pydantic's name of it, which holds nothing of the object."""


def problems(error: ValidationError) -> list[FieldProblem]:
    """The problems for which an object cannot be read: one at least. No value is repeated."""
    return [
        FieldProblem(".".join(map(str, each["loc"])), plain_message(each["msg"]), each["type"])
        for each in error.errors(include_url=False, include_input=False, include_context=False)
    ]


def plain_message(message: str) -> str:
    """What a validator says, without pydantic's word for what raised it."""
    return message.removeprefix("Value error, ")


def first_problem(error: ValidationError) -> FieldProblem:
    """The first of them."""
    return problems(error)[0]


def build_models() -> None:
    """Build all models that are imported by now: a process that answers somebody calls this before
    it is ready, since building them takes longer than answering."""
    waiting = [Model]
    while waiting:
        model = waiting.pop()
        model.model_rebuild()
        waiting += model.__subclasses__()


def _pruned(value: Any, dumped: Any) -> Any:
    if isinstance(value, list):
        return [_pruned(*pair) for pair in zip(value, dumped, strict=True)]
    if not isinstance(value, Model):
        return dumped
    fields = {
        field.alias or name: getattr(value, name)
        for name, field in type(value).model_fields.items()
    }
    pruned = {alias: _pruned(item, dumped[alias]) for alias, item in fields.items()}
    return {alias: item for alias, item in pruned.items() if item not in (None, [], {}, "")}


# What CEL's trim() takes for space; str.strip() would take more, and refuse to read what the API
# server has stored.
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    chr(code) for code in range(0x2000, 0x200B)
)


def trimmed(value: str) -> str:
    """A text without the space around it, as the API server's rules see it."""
    return value.strip(_SPACE)


def _not_blank(value: str) -> str:
    if not trimmed(value):
        raise ValueError("must not be blank")
    return value


def _seconds(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC).replace(microsecond=0)
    except OverflowError:
        raise ValueError("is out of range") from None


NOT_BLANK = AfterValidator(_not_blank)
_NOT_BLANK_SCHEMA = validations(cel("self.trim() != ''", "must not be blank"))


# In the schema alone: what an older release stored has to stay readable.
def text(max_length: int, pattern: str = TEXT_PATTERN) -> Any:
    """Constraints of a text of 1 to `max_length` characters that is not blank."""
    return [
        StringConstraints(min_length=1, max_length=max_length),
        NOT_BLANK,
        Field(json_schema_extra={**_NOT_BLANK_SCHEMA, "pattern": pattern}),
    ]


Timestamp = Annotated[
    AwareDatetime,
    AfterValidator(_seconds),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
]
"""A moment, whole seconds, UTC (metav1.Time)."""

DeclaredTime = Annotated[
    Timestamp,
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z$",
            "maxLength": 20,
        }
    ),
]
"""A moment that a team writes into a spec which never changes, such as 2026-01-31T12:00:00Z. A text
to the API server: one that its rules cannot read as a date would fail each later write."""

ShortText = Annotated[str, *text(256, NAME_PATTERN)]
"""A name or another line of text that is not blank."""

LongText = Annotated[str, *text(4096)]
"""A paragraph that is not blank."""

MAX_IMAGE = 512
"""Longest name of an image."""

Image = Annotated[str, *text(MAX_IMAGE, NAME_PATTERN)]
"""An image reference, compared exactly."""

Uri = Annotated[str, *text(2048, NAME_PATTERN)]
"""Where a piece of evidence can be read."""

BARE_DIGEST = AfterValidator(bare_digest)

Sha256 = Annotated[
    str,
    StringConstraints(
        pattern=rf"^({SHA256_PREFIX})?[0-9a-fA-F]{{64}}$", max_length=64 + len(SHA256_PREFIX)
    ),
    BARE_DIGEST,
]
"""SHA-256 of a document, 64 hexadecimal digits; a prefix `sha256:` says nothing more."""

EvidenceDigest = Annotated[
    str, StringConstraints(pattern=r"^v1:sha256:[0-9a-f]{64}$", max_length=74)
]
"""Digest of targets, images and evidence, with the version of its recipe."""

SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
"""What the name of an object looks like, as a regular expression: a DNS-1123 subdomain."""

_SUBDOMAIN = re.compile(SUBDOMAIN)


def is_object_name(name: str) -> bool:
    """Whether an object can have a name: what cannot be one is never put into a URL."""
    return len(name) <= 253 and _SUBDOMAIN.fullmatch(name) is not None


# In the schema alone: what an older release stored has to stay readable.
ObjectName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253),
    Field(json_schema_extra={"pattern": f"^{SUBDOMAIN}$"}),
]
"""Name of a Kubernetes object, a DNS-1123 subdomain."""

TargetName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253),
    Field(json_schema_extra={"pattern": rf"^{SUBDOMAIN}(-*\*)?$"}),
]
"""Name of a workload, or the beginning of a generated one and `*`."""

Decimal2 = Annotated[str, StringConstraints(pattern=r"^(100|[0-9]{1,2})\.[0-9]{2}$", max_length=6)]
"""A number from 0.00 to 100.00 as a decimal string with two places."""

Ratio = Annotated[
    str, StringConstraints(pattern=r"^(0(\.[0-9]{1,6})?|1(\.0{1,6})?)$", max_length=8)
]
"""A number from 0 to 1 as a decimal string."""

Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
"""How many; never negative."""


class ObjectMeta(Model):
    """The part of metav1.ObjectMeta that cabgate reads."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: Timestamp | None = None
    deletion_timestamp: Timestamp | None = None
    labels: Mapping[str, str] = Field(default_factory=dict)
    annotations: Mapping[str, str] = Field(default_factory=dict)
