# SPDX-License-Identifier: Apache-2.0
"""`ChangeFreeze`: when nothing new is rolled out; written by cluster admins."""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from cabgate.api.base import (
    LongText,
    Model,
    ObjectMeta,
    ShortText,
    cel,
    text,
    validations,
)
from cabgate.api.changepolicy import NAME_LABEL as NAME_LABEL
from cabgate.api.changepolicy import OVERRIDE as OVERRIDE
from cabgate.api.changepolicy import ChangePolicy
from cabgate.api.exception import Interval
from cabgate.text.characters import NAME_PATTERN

KIND = "ChangeFreeze"
PLURAL = "changefreezes"

MAX_INTERVALS = 400
"""Intervals of one freeze: every weekend of seven years."""

MAX_NAME = 63
"""Longest name of a freeze, in characters: denials name it, and what overrides it."""

SHORT_NAME = cel(
    f"size(self.metadata.name) <= {MAX_NAME}",
    f"metadata.name may have at most {MAX_NAME} characters: denials name the freeze",
)

POLICY_LABEL = ChangePolicy.namespace_label
"""Label of the change policy, which teams cannot change."""


class FreezeKind(StrEnum):
    """What the intervals of a freeze are."""

    FREEZE = "Freeze"
    """Within them nothing new is rolled out."""
    WINDOW = "Window"
    """Outside of them nothing new is rolled out."""


class FreezeOperator(StrEnum):
    """How a label is asked for."""

    IN = "In"
    NOT_IN = "NotIn"


class FreezeTerm(Model):
    """What a label of the namespace has to be."""

    key: Annotated[str, StringConstraints(min_length=1, max_length=316)]
    """kubernetes.io/metadata.name, the name of the namespace, or cabgate.dev/change-policy. By
    another label, whoever may label the namespace would leave the freeze."""
    operator: FreezeOperator
    """In or NotIn."""
    values: Annotated[
        list[Annotated[str, StringConstraints(max_length=63)]],
        Field(min_length=1, max_length=500, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ]
    """The values that are meant."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                f"self.key in ['{NAME_LABEL}', '{POLICY_LABEL}']",
                f"allowed: {NAME_LABEL}, {POLICY_LABEL}; teams may be able to change any other "
                "label, and so leave the freeze",
                ".key",
            )
        )
    )


class FreezeSelector(Model):
    """The namespaces that a freeze is about."""

    match_expressions: Annotated[
        list[FreezeTerm],
        Field(min_length=1, max_length=10, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ]
    """All of these have to hold."""


class FreezeInterval(Interval):
    """From a moment until another, UTC."""

    title: Annotated[str, *text(128, NAME_PATTERN)] | None = None
    """What it is called, where it has a name of its own."""


class ChangeFreezeSpec(Model):
    """When, where and why; never changes."""

    kind: FreezeKind
    """Freeze: nothing new is rolled out within the intervals. Window: nothing new outside of
    them."""
    title: ShortText
    """What people call it, such as Christmas 2026."""
    reason: LongText
    """Why."""
    namespace_selector: FreezeSelector | None = None
    """Which of the namespaces that carry the label cabgate.dev/change-policy; absent: all of
    these."""
    ring_from: Annotated[int, Field(ge=2, le=4)] | None = None
    """Lowest ring that it is about, 2 to 4; absent: every gated one."""
    intervals: Annotated[
        list[FreezeInterval],
        Field(
            min_length=1,
            max_length=MAX_INTERVALS,
            json_schema_extra={"x-kubernetes-list-type": "atomic"},
        ),
    ]
    """The intervals, 1 to 400, in UTC: what begins is in it, what ends no longer. Of calendars and
    weekly times `cabgate freeze plan` makes them."""


class ChangeFreeze(Model):
    """When nothing new is rolled out, in the namespaces that carry a change policy. Its spec never
    changes: another freeze is another object."""

    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    spec: ChangeFreezeSpec
