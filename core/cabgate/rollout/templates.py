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
from cabgate.rollout.image_names import digest_of
from cabgate.rollout.normal_form import VERSION, Form
from cabgate.rollout.pods import PodTemplateError
from cabgate.rollout.rings import HIGHEST
from cabgate.text.canonical import canonical_json, sha256_hex

REQUIRE_LABEL = "cabgate.dev/require-template"
"""Label on a namespace: the ring from which on an approval has to say what the containers do."""

_FROM = {str(ring): ring for ring in range(HIGHEST + 1)}

MAX_SOURCE_BYTES = 64 * 1024
"""What holds the pod templates of an object, as JSON, for them to be compared: larger ones no
approval covers that says what the containers do. Whoever sends them would have others wait."""

_BESIDE = frozenset({"apiVersion", "kind", "metadata", "status"})
"""Fields of an object that hold no pod templates, of whatever kind it is."""

_ESCAPED = {"<": 5, ">": 5, "&": 5, "\u2028": 3, "\u2029": 3}
"""Characters that the API server writes as six, with the bytes that they take more."""

_NAMED = ("containers", "initContainers", "ephemeralContainers", "volumes", "volumeClaimTemplates")
"""Fields that hold things with names."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""What containers and volumes of Kubernetes are called."""

_DEEPEST = 64
"""How deep a written form may be: no type of Kubernetes comes near, and deeper ones exhaust whoever
shows them."""

_SHORT = 8
"""Hexadecimal digits by which parts are told apart: they only name what differs. What is admitted
goes by the digest of all."""


def is_too_large(obj: Mapping[str, Any]) -> bool:
    """Whether an object has more than `MAX_SOURCE_BYTES` beside its metadata and status, as the API
    server writes it: the webhook is told of its bytes before they are read."""
    size = 0
    for key, value in obj.items():
        if key not in _BESIDE:
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
            size += len(text.encode("utf-8", "surrogatepass"))
            size += sum(more * text.count(each) for each, more in _ESCAPED.items())
    return size > MAX_SOURCE_BYTES


ImagesByName = Mapping[str, Mapping[str, str]]
"""Which image each container and volume of a pod template has, as `images_by_name` tells it."""


@dataclass(frozen=True)
class Template:
    """What the containers of a rollout do."""

    digest: str
    """`t1:sha256:` and 64 hexadecimal digits; empty, which no approval names, where it is too large
    to be compared."""
    forms: Sequence[Form] = field(default=(), compare=False, repr=False)
    """The normal form of each pod template; none where only the digest is known."""
    images: Sequence[ImagesByName] = field(default=(), compare=False, repr=False)
    """Which image each container of each pod template has; none where that was not looked at."""

    @cached_property
    def parts(self) -> Mapping[str, "Part"]:
        """Its parts by their paths, such as `containers[app].command`, and what holds them:
        `containers[app]`, `containers`."""
        found: dict[str, Part] = {}
        for number, form in enumerate(self.forms):
            before = f"[{number}]." if len(self.forms) > 1 else ""
            for path, outer, value in _parts(form):
                found[before + path] = Part(_short(value), before + outer if outer else "", value)
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
    value: Any = field(default=None, repr=False)
    """What it is."""


def is_required(labels: Mapping[str, str] | None, ring: int) -> bool:
    """Whether a rollout in a ring needs an approval that says what the containers do, by the labels
    of its namespace. A malformed label asks for it in every ring."""
    value = (labels or {}).get(REQUIRE_LABEL)
    return value is not None and ring >= _FROM.get(value, 0)


def may_be_required(labels: Mapping[str, str] | None) -> bool:
    """Whether the labels of a namespace ask for it in any ring."""
    return REQUIRE_LABEL in (labels or {})


def template_of_forms(forms: Sequence[Form], images: Sequence[ImagesByName] = ()) -> Template:
    """What normal forms of pod templates come to, at least one; `images` are those of each, as far
    as they are known, of which the digest is none. Raises `PodTemplateError`."""
    try:
        digest = sha256_hex(forms[0] if len(forms) == 1 else list(forms))
    except (ValueError, RecursionError) as error:
        raise PodTemplateError(f"spec: holds what has no normal form: {error}") from None
    return Template(f"{VERSION}:sha256:{digest}", tuple(forms), tuple(images))


def form_text(template: Template) -> str:
    """What containers do as JSON, of which the digest of the template is."""
    forms = template.forms
    return canonical_json(forms[0] if len(forms) == 1 else list(forms)).decode()


_OF_RINGS = "r1"
"""Name of what of the form `t1` is the same in each ring: digests of two names differ."""

_VARIABLES = frozenset({"env", "envFrom"})
"""Fields of a container that may differ from ring to ring."""


def ring_template(template: Template | None) -> str | None:
    """Digest of what the containers do but for their variables, and of which of them runs which
    image, wherever that is kept: what a workload has in common with itself in the ring before. None
    where there is no template, its images are not known, or it is too large to be compared.
    Replicas are no part of a template."""
    if template is None or not template.forms or len(template.images) != len(template.forms):
        return None
    found = [
        {"form": _without_variables(form), "images": _by_digest(images)}
        for form, images in zip(template.forms, template.images, strict=True)
    ]
    return f"{_OF_RINGS}:sha256:{sha256_hex(found)}"


def _by_digest(images: ImagesByName) -> Form:
    return {
        field: {name: digest_of(image) or image for name, image in named.items()}
        for field, named in images.items()
    }


def _without_variables(form: Form) -> Form:
    return {name: _stripped(value) if name in _RUN else value for name, value in form.items()}


_RUN = ("containers", "initContainers", "ephemeralContainers")
"""Fields of a form that hold containers: by name, or in their order."""


def _stripped(containers: Any) -> Any:
    if isinstance(containers, Mapping):
        return {name: _stripped_container(each) for name, each in containers.items()}
    return [_stripped_container(each) for each in containers]


def _stripped_container(container: Mapping[str, Any]) -> Form:
    return {field: value for field, value in container.items() if field not in _VARIABLES}


def is_of_digest(digest: str, text: str) -> bool:
    """Whether a text is what a digest of a template is of."""
    found = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
    return digest == f"{VERSION}:sha256:{found}"


def template_of_text(digest: str, text: str) -> Template:
    """A template with its forms, from its digest and its `form_text`. Raises `PodTemplateError` for
    a text of another digest, and for what is no normal form or not written as `form_text` does.

    A digest can be of any text: the form of no rollout admits nothing, but people are shown it.
    """
    if not is_of_digest(digest, text):
        raise PodTemplateError("is other than its digest says")
    try:
        found = json.loads(text)
        canonical = not _is_deeper(found, _DEEPEST) and canonical_json(found) == text.encode()
    except (ValueError, RecursionError):
        raise PodTemplateError("is no JSON that reads the same everywhere") from None
    if not canonical:
        raise PodTemplateError("is not written as canonical JSON (RFC 8785), or is too deep")
    forms = found if isinstance(found, list) else [found]
    if not forms or not all(map(_is_form, forms)):
        raise PodTemplateError(f"is no normal form {VERSION}")
    return Template(digest, tuple(forms))


def _is_deeper(value: Any, than: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return than < 0 or any(_is_deeper(each, than - 1) for each in inner)


def _is_form(value: Any) -> bool:
    return isinstance(value, dict) and all(
        _holds_named(value[name], in_order=name == "initContainers")
        and all(map(_has_variables, _named(value[name])))
        for name in _NAMED
        if name in value
    )


def _named(value: Any) -> list[Any]:
    return value if isinstance(value, list) else list(value.values())


def _has_variables(container: Mapping[str, Any]) -> bool:
    """Whether the variables of a container are as a form has them: names, and hashed values."""
    variables = container.get("env", [])
    return isinstance(variables, list) and all(
        isinstance(each, dict)
        and isinstance(each.get("name"), str)
        and isinstance(each.get("value", ""), str)
        for each in variables
    )


def _holds_named(value: Any, *, in_order: bool) -> bool:
    """Whether a value holds things with names, as a form has them."""
    if not in_order:
        return isinstance(value, dict) and all(isinstance(each, dict) for each in value.values())
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        return False
    names = [each.get("name") for each in value]
    return all(isinstance(name, str) for name in names) and len(set(names)) == len(names)


def changed_values(before: Template, now: Template) -> list[tuple[str, Any, Any]]:
    """The parts that are not the same in two templates with their forms, as small as they are told
    apart: path, value before and now, None where there is none."""
    old, new = before.parts, now.parts
    if not (old and new):  # all of it, as small as it comes
        return [
            (path, old[path].value if old else None, new[path].value if new else None)
            for path in sorted(_innermost(old or new))
        ]
    holding = {part.outer for part in (*old.values(), *new.values())}
    found: list[tuple[str, Any, Any]] = []
    for path in sorted({*old, *new}):
        was, will = old.get(path), new.get(path)
        if was is not None and will is not None:
            # What holds other parts: those tell.
            if path not in holding and was != will:
                found.append((path, was.value, will.value))
            continue
        # What came or went with what holds it is told by that.
        holders = _holders(path, new if was is None else old)
        if all(each in old and each in new for each in holders):
            found.append((path, was and was.value, will and will.value))
    return found


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
