# SPDX-License-Identifier: Apache-2.0
"""Cluster-wide objects of which a namespace selects one by a label, or else has the default: risk
models and change policies."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from pydantic import Field, ValidationError

from cabgate.api.base import Model, ObjectMeta, cel, first_problem
from cabgate.text.canonical import sha256_hex

MAX_NAME = 63
"""Longest name of such an object, in characters: it stands in the label of a namespace."""

RawObject = Mapping[str, Any]


class Selectable(Model):
    """An object that namespaces select by a label. Its spec never changes: what is to be other is
    another object, and what was made under the old one stays under it."""

    # Several of the kind and one of them, as a sentence calls them: RiskModels, model.
    kind: ClassVar[str]
    kinds: ClassVar[str]
    noun: ClassVar[str]
    # Label on a namespace: the name of the object that holds there.
    namespace_label: ClassVar[str]
    # Label, with the value "true", of the object for namespaces that select none. A label and not
    # part of the spec, which never changes: the default can move on to another object.
    default_label: ClassVar[str]

    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    spec: Model

    @property
    def name(self) -> str:
        """Name of the object."""
        return self.metadata.name

    @property
    def is_default(self) -> bool:
        """Whether it is marked as the one of namespaces that select none."""
        return self.metadata.labels.get(self.default_label) == "true"

    @property
    def digest(self) -> str:
        """SHA-256 of the content: its name and all of its spec."""
        return f"sha256:{sha256_hex({'name': self.name, **self.spec.to_dict()})}"


AnySelectable = TypeVar("AnySelectable", bound=Selectable)


def short_name(noun: str) -> dict[str, str]:
    """The CEL rule that the name of such an object fits into a label."""
    return cel(
        f"size(self.metadata.name) <= {MAX_NAME}",
        f"metadata.name may have at most {MAX_NAME} characters: namespaces name the {noun} in a "
        "label",
    )


@dataclass(frozen=True)
class SpecProblem:
    """Something wrong with an object that its schema cannot say."""

    field: str
    """Path of the field."""
    message: str
    """What is wrong, and what is allowed."""

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def default_label_problems(selectable: Selectable) -> list[SpecProblem]:
    """What is wrong with the label of the default; empty where it is absent."""
    value = selectable.metadata.labels.get(selectable.default_label)
    if value in (None, "true"):
        return []
    field = f"metadata.labels[{selectable.default_label}]"
    return [SpecProblem(field, f'is "{value}"; allowed: "true", or no such label')]


@dataclass(frozen=True)
class NoneHolds:
    """That nobody knows which object of a kind holds for a namespace, so that nothing is opened."""

    reason: str
    """The kind, and Missing, Invalid or Ambiguous: RiskModelMissing. Part of the API."""
    message: str


def select(
    kind: type[AnySelectable],
    namespace_labels: Mapping[str, str] | None,
    stored: Sequence[RawObject],
    problem_of: Callable[[RawObject, AnySelectable], str | None],
) -> AnySelectable | NoneHolds | None:
    """The object that a namespace names in its label, else the one that is marked default; None
    where there is neither.

    `stored` are all objects of the kind, as the API server has them. `problem_of` says why one
    that can be read, given raw and read, cannot be used; None if it can.
    """
    wanted = (namespace_labels or {}).get(kind.namespace_label)
    if wanted is not None:
        named = [each for each in stored if name_of(each) == wanted]
        if not named:
            return NoneHolds(
                f"{kind.kind}Missing",
                f"the namespace's label {kind.namespace_label} names {kind.kind} "
                f"{wanted or '(empty)'}, which does not exist; there are: {names_of(stored)}",
            )
        return usable(kind, named[0], problem_of)
    defaults = marked_default(kind, stored)
    if len(defaults) > 1:
        return NoneHolds(
            f"{kind.kind}Ambiguous",
            f"the {kind.kinds} {names_of(defaults)} are all marked {kind.default_label}=true; a "
            "cluster admin has to take the label from all but one",
        )
    return usable(kind, defaults[0], problem_of) if defaults else None


def usable(
    kind: type[AnySelectable],
    raw: RawObject,
    problem_of: Callable[[RawObject, AnySelectable], str | None],
) -> AnySelectable | NoneHolds:
    """A stored object as it is read, or why it cannot be used; `problem_of` as for `select`."""
    try:
        found = kind.model_validate(raw)
    except ValidationError as error:
        first = first_problem(error)
        why: str | None = f"{first.path}: {first.message}"
    else:
        why = problem_of(raw, found)
    if why is None:
        return found
    return NoneHolds(f"{kind.kind}Invalid", f"{kind.kind} {name_of(raw)} cannot be used: {why}")


def marked_default(kind: type[Selectable], stored: Sequence[RawObject]) -> list[RawObject]:
    """Those of the stored objects of a kind that are marked as the default."""
    return [each for each in stored if _labels(each).get(kind.default_label) == "true"]


def name_of(raw: RawObject) -> str:
    """The name of a stored object; empty where it has none."""
    return str((raw.get("metadata") or {}).get("name", ""))


def names_of(stored: Sequence[RawObject]) -> str:
    """The names of stored objects as a sentence lists them."""
    return ", ".join(sorted(map(name_of, stored))) or "none"


def _labels(raw: RawObject) -> Mapping[str, str]:
    return (raw.get("metadata") or {}).get("labels") or {}
