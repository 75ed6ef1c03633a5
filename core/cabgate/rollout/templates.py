# SPDX-License-Identifier: Apache-2.0
"""What a rollout's pod templates come to in normal form: the digest that an approval can name, and
which fields are other than what was approved.

Values are never told. Beside the digest of all of it stand short digests of its parts, so that a
denial can name what differs without reading what was approved.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cabgate.api.types import MAX_TEMPLATE_FIELDS
from cabgate.rollout.normal_form import VERSION, Form
from cabgate.rollout.pods import PodTemplateError
from cabgate.rollout.rings import HIGHEST
from cabgate.text.canonical import sha256_hex

REQUIRE_LABEL = "cabgate.dev/require-template"
"""Label on a namespace: the ring from which on an approval has to say what the containers do."""

_FROM = {str(ring): ring for ring in range(HIGHEST + 1)}

MAX_SOURCE_BYTES = 64 * 1024
"""What holds the pod templates of an object, as JSON, for them to be compared: larger ones no
approval covers that says what the containers do. Whoever sends them would have others wait."""

_NAMED = ("containers", "initContainers", "ephemeralContainers", "volumes", "volumeClaimTemplates")
"""Fields that hold things with names."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""What containers and volumes of Kubernetes are called."""

_SHORT = 8
"""Hexadecimal digits by which parts are told apart: they only name what differs. What is admitted
goes by the digest of all."""


@dataclass(frozen=True)
class Template:
    """What the containers of a rollout do."""

    digest: str
    """`t1:sha256:` and 64 hexadecimal digits."""
    forms: Sequence[Form] = field(default=(), compare=False, repr=False)
    """The normal form of each pod template; none where only the digest is known."""

    @cached_property
    def parts(self) -> Mapping[str, "Part"]:
        """Its parts by their paths, such as `containers[app].command`, and what holds them:
        `containers[app]`, `containers`."""
        found: dict[str, Part] = {}
        for number, form in enumerate(self.forms):
            before = f"[{number}]." if len(self.forms) > 1 else ""
            for path, outer, value in _parts(form):
                found[before + path] = Part(_short(value), before + outer if outer else "")
        return found

    @property
    def fields(self) -> list[str]:
        """The paths of the parts with their short digests, as a target of an intent has them: as
        fine as they have room, and none where they have none."""
        for depth in (2, 1, 0):
            kept = {
                p: part for p, part in self.parts.items() if len(_holders(p, self.parts)) <= depth
            }
            inner = _innermost(kept)
            if len(inner) <= MAX_TEMPLATE_FIELDS:
                return [f"{path}={kept[path].short}" for path in sorted(inner)]
        return []


@dataclass(frozen=True)
class Part:
    """A part of what the containers of a rollout do."""

    short: str
    """Its short digest."""
    outer: str
    """The path of what holds it; empty for a field of the Pod."""


def is_required(labels: Mapping[str, str] | None, ring: int) -> bool:
    """Whether a rollout in a ring needs an approval that says what the containers do, by the labels
    of its namespace. A malformed label asks for it in every ring."""
    value = (labels or {}).get(REQUIRE_LABEL)
    return value is not None and ring >= _FROM.get(value, 0)


def may_be_required(labels: Mapping[str, str] | None) -> bool:
    """Whether the labels of a namespace ask for it in any ring."""
    return REQUIRE_LABEL in (labels or {})


def template_of_forms(forms: Sequence[Form]) -> Template:
    """What normal forms of pod templates come to, at least one. Raises `PodTemplateError`."""
    try:
        digest = sha256_hex(forms[0] if len(forms) == 1 else list(forms))
    except (ValueError, RecursionError) as error:
        raise PodTemplateError(f"spec: holds what has no normal form: {error}") from None
    return Template(f"{VERSION}:sha256:{digest}", tuple(forms))


def differing(template: Template, declared: Iterable[str]) -> list[str]:
    """The paths at which a rollout is other than what was declared, by the entries `fields` of the
    declared one; none where these do not tell."""
    before = {path: short for path, _, short in (each.rpartition("=") for each in declared)}
    if not before:
        return []
    parts = template.parts
    found = {p for p, short in before.items() if p not in parts or parts[p].short != short}
    # What was not there before, and is no part of something that is compared as a whole.
    found |= {p for p in _innermost(parts) if not before.keys() & {p, *_holders(p, parts)}}
    return sorted(found)


def changed_fields(before: Sequence[str], now: Sequence[str]) -> list[str]:
    """The paths at which two declared templates are not the same, by their entries `fields`; none
    where one of them does not tell."""
    if not before or not now:
        return []
    old, new = (dict(each.split("=", 1) for each in entries if "=" in each)
                for entries in (before, now))  # fmt: skip
    return sorted(path for path in {*old, *new} if old.get(path) != new.get(path))


def _parts(form: Form) -> Iterable[tuple[str, str, Any]]:
    """Path, path of what holds it, and value of each part."""
    for name, value in form.items():
        yield name, "", value
        if name not in _NAMED:
            continue
        named = {each["name"]: each for each in value} if isinstance(value, list) else value
        if named is not value:
            yield f"{name}.order", name, list(named)
        for number, (inner, each) in enumerate(named.items()):
            path = f"{name}[{inner if _NAME.fullmatch(inner) else f'#{number}'}]"
            yield path, name, each
            if name not in ("volumes", "volumeClaimTemplates"):
                yield from ((f"{path}.{key}", path, part) for key, part in each.items())


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_SHORT]


def _holders(path: str, parts: Mapping[str, Part]) -> list[str]:
    found = []
    while path := parts[path].outer:
        found.append(path)
    return found


def _innermost(parts: Mapping[str, Part]) -> list[str]:
    """The paths of what holds no other part."""
    holding = {part.outer for part in parts.values()}
    return [path for path in parts if path not in holding]
