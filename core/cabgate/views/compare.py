# SPDX-License-Identifier: Apache-2.0
"""What a request changes against the one of the same workloads that was approved last."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cabgate.api.base import rfc3339
from cabgate.api.types import Target
from cabgate.lifecycle.state.standing import WholeRequest
from cabgate.lifecycle.state.states import is_retrospective
from cabgate.rollout.targets import Workload
from cabgate.rollout.templates import Template, changed_fields, changed_values
from cabgate.text.canonical import canonical_json
from cabgate.text.inert import inert, inert_json


@dataclass(frozen=True, slots=True)
class ImageChange:
    """The images of one workload, before and now."""

    workload: str
    removed: tuple[str, ...]
    added: tuple[str, ...]
    kept: int
    """How many are the same."""


@dataclass(frozen=True, slots=True)
class ValueChange:
    """A part of what containers do, as JSON; empty where it is absent. Values of variables are the
    beginnings of their digests."""

    field: str
    before: str
    now: str


@dataclass(frozen=True, slots=True)
class ContainerChange:
    """That the containers of one workload are to do something else."""

    workload: str
    fields: tuple[str, ...]
    """Paths of what they do otherwise, such as `containers[app].command`; empty where that is not
    told."""
    before: str
    """What was covered before: `other` doings, `images alone`, or `nothing`."""
    now: str
    """What is covered now, in the same words."""
    values: tuple[ValueChange, ...] = ()
    """What the fields were and are to be; empty where that was not written out."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the containers of two requests do, by workload, as far as it was written out."""

    now: Mapping[Workload, Template]
    before: Mapping[Workload, Template]


NOTHING_KEPT = Kept({}, {})
"""Where nothing was written out, or nobody looked."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field of the evidence; empty where it is absent."""

    field: str
    before: str
    now: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is other in a request than in one before."""

    name: str
    against: str
    """Name of the one before; empty where no request for one of its workloads is approved now:
    what was superseded since is not compared."""
    approved: str
    """Who approved that one, and when; empty where nobody did."""
    score: str
    """`60.00 ManualReview`; beside another `0.00 AutoApprove -> 60.00 ManualReview`."""
    images: tuple[ImageChange, ...]
    """The workloads whose images are not the same, those that are named no more with them."""
    evidence: tuple[FieldChange, ...]
    containers: tuple[ContainerChange, ...] = ()
    """The workloads of which both say images, and not the same of what their containers do."""

    @property
    def same(self) -> bool:
        """Whether images, what the containers do, and evidence are the same."""
        return not (self.images or self.containers or self.evidence)


def shared_label(request: WholeRequest) -> str:
    """The label selector of requests that name the workload of a request; empty for one that names
    several, each of which would be a list of its own."""
    found = {Workload.of(target).label for target in request.stored.spec.targets}
    return found.pop() if len(found) == 1 else ""


def last_approved(request: WholeRequest, others: Iterable[WholeRequest]) -> WholeRequest | None:
    """The request that was approved last, before this one was decided, of those that are approved
    and name one of its workloads; None if there is none."""
    workloads = _workloads(request)
    until = request.standing.decided_at
    found: list[tuple[datetime, str, WholeRequest]] = []
    for each in others:
        at = each.standing.decided_at
        if (
            each.standing.is_approved
            and at is not None
            and (until is None or at < until)
            and each.name != request.name
            and not is_retrospective(each.stored)
            and workloads & _workloads(each)
        ):
            found.append((at, each.name, each))
    return max(found, key=lambda item: item[:2])[2] if found else None


def compare(
    request: WholeRequest, before: WholeRequest | None, *, kept: Kept = NOTHING_KEPT
) -> Comparison:
    """What a request changes against one before; against none all of its images are new, and
    nothing is said of its evidence, all of which is. `kept` is what its containers are to do, and
    what those of the one before are."""
    assessment = request.stored.spec.assessment
    score = f"{assessment.score} {assessment.gate}"
    targets = request.stored.spec.targets
    if before is None:
        images = tuple(_image_changes([], targets))
        containers = tuple(_container_changes([], targets, kept))
        return Comparison(inert(request.name), "", "", score, images, (), containers)
    earlier = before.stored.spec
    return Comparison(
        name=inert(request.name),
        against=inert(before.name),
        approved=_approved(before),
        score=f"{earlier.assessment.score} {earlier.assessment.gate} -> {score}",
        images=tuple(_image_changes(earlier.targets, targets)),
        evidence=tuple(
            _field_changes(earlier.evidence.to_dict(), request.stored.spec.evidence.to_dict())
        ),
        containers=tuple(_container_changes(earlier.targets, targets, kept)),
    )


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each text or number in a value, with its path, both as they are stored. Artifacts go by their
    names, or one more of them would seem to change all that follow."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            name = item.get("name", index) if isinstance(item, dict) else None
            yield from leaves(item, path if name is None else f"{path}[{name}]")
    else:
        yield path, str(value).lower() if isinstance(value, bool) else str(value)


def _workloads(request: WholeRequest) -> set[Workload]:
    return {Workload.of(target) for target in request.stored.spec.targets}


def _approved(before: WholeRequest) -> str:
    verdict = before.standing.verdict
    if verdict is None or not before.standing.is_approved:
        return ""
    return f"{verdict.verdict} by {inert(verdict.author.username)} at {rfc3339(verdict.at)}"


def _image_changes(before: Sequence[Target], now: Sequence[Target]) -> Iterator[ImageChange]:
    old, new = _images(before), _images(now)
    for workload in [*new, *(each for each in old if each not in new)]:
        was, will = old.get(workload, ()), new.get(workload, ())
        removed = tuple(inert(image) for image in was if image not in will)
        added = tuple(inert(image) for image in will if image not in was)
        if removed or added:
            kept = sum(image in was for image in will)
            yield ImageChange(inert(str(workload)), removed, added, kept)


_ALONE, _OTHER, _NOTHING = "images alone", "other", "nothing"


def _container_changes(
    before: Sequence[Target], now: Sequence[Target], kept: Kept
) -> Iterator[ContainerChange]:
    old = {Workload.of(each): each for each in before}
    for target in now:
        workload = Workload.of(target)
        was = old.get(workload)
        template, earlier = kept.now.get(workload), kept.before.get(workload)
        if (was is None and template is None) or (was and was.template == target.template):
            continue
        # What is written out is proved by its digest; the fields anybody can declare.
        fields = changed_fields(
            was.template_fields if earlier is None else earlier.fields,
            target.template_fields if template is None else template.fields,
        ) if was else []  # fmt: skip
        values: list[tuple[str, Any, Any]] = []
        # What is gone is told by its fields: the approval of now does not cover it.
        if template is not None:
            values = changed_values(earlier or Template(""), template)
        yield ContainerChange(
            inert(str(workload)),
            tuple(map(inert, fields)),
            _covered(was),
            _covered(target),
            tuple(_value_change(*each) for each in values),
        )


def _covered(target: Target | None) -> str:
    if target is None:
        return _NOTHING
    return _ALONE if target.template is None else _OTHER


def _value_change(path: str, before: Any, now: Any) -> ValueChange:
    if _have_names(before) and _have_names(now):
        old, new = ([canonical_json(each) for each in listed] for listed in (before, now))
        # Where the order of what stays is another, that is a change as well: all of it is shown.
        if [each for each in old if each in new] == [each for each in new if each in old]:
            before = [each for each in before if canonical_json(each) not in new] or None
            now = [each for each in now if canonical_json(each) not in old] or None
    return ValueChange(inert(path), _as_json(path, before), _as_json(path, now))


def _have_names(value: Any) -> bool:
    """Whether a value lists things with names, each once. Of variables with one name, and of
    sources of variables, the last counts: those are shown whole, as a command is."""
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        return False
    names = [each.get("name") for each in value]
    return all(isinstance(name, str) for name in names) and len(set(names)) == len(names)


def _as_json(path: str, value: Any) -> str:
    if value is None:
        return ""
    if path.endswith(".env") and isinstance(value, list):
        value = [_with_short_value(each) for each in value]
    return inert_json(canonical_json(value).decode())


def _with_short_value(variable: Any) -> Any:
    if not isinstance(variable, dict) or not isinstance(variable.get("value"), str):
        return variable
    return {**variable, "value": f"sha256:{variable['value'][:_SHORT]}..."}


_SHORT = 8
"""Hexadecimal digits of the digest of a value that are shown."""


def _images(targets: Sequence[Target]) -> dict[Workload, Sequence[str]]:
    """The images of each workload, in their order and each once: two targets may name one workload
    under two versions of its API, and an approval covers the images of both."""
    found: dict[Workload, dict[str, None]] = {}
    for each in targets:
        found.setdefault(Workload.of(each), {}).update(dict.fromkeys(each.images))
    return {workload: tuple(images) for workload, images in found.items()}


def _field_changes(before: Any, now: Any) -> Iterator[FieldChange]:
    old, new = _by_path(before), _by_path(now)
    for path in sorted({*old, *new}):
        was, will = old.get(path, []), new.get(path, [])
        if was != will:
            yield FieldChange(inert(path), _listed(was), _listed(will))


def _by_path(value: Any) -> dict[str, list[str]]:
    """The values at each path, in order, which is none of a set's."""
    found: dict[str, list[str]] = {}
    for path, leaf in leaves(value):
        found.setdefault(path, []).append(leaf)
    return {path: sorted(values) for path, values in found.items()}


def _listed(values: Sequence[str]) -> str:
    return ", ".join(inert(value) for value in values)
