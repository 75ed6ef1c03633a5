# SPDX-License-Identifier: Apache-2.0
"""What runs although nothing covers it now.

A verdict is given at admission. Afterwards an approval may be revoked, an exception may end, a
ring may rise, and what was admitted earlier may be scaled up: this says what runs all the same.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cabgate.api.kinds import GatedKind
from cabgate.gate.decide import candidates, decide
from cabgate.gate.verdict import Look, Reason
from cabgate.lifecycle.limits.constraints import WINDOWS, Violation
from cabgate.lifecycle.limits.promotion import WAIVED
from cabgate.lifecycle.state.standing import ExceptionStanding, RequestStanding
from cabgate.rollout.pods import PodTemplateError
from cabgate.rollout.rings import GATED_FROM, RING_LABEL, ring_of
from cabgate.rollout.rollout import Rollout, Scale
from cabgate.rollout.targets import Workload
from cabgate.rollout.workloads import reference_of, rollout_of
from cabgate.text.moments import EARLIEST

MALFORMED = "MalformedObject"
"""Reason of an object whose images cannot be told."""

GATED_LABELS = f"{RING_LABEL},{RING_LABEL} notin (0,1)"
"""Label selector of the workloads that are gated by a label of their own."""


@dataclass(frozen=True)
class Running:
    """An object of a gated kind as it is stored, as far as coverage goes by it."""

    uid: str
    owner: str
    """Uid of the controller that it says it belongs to; empty without one."""
    api_version: str
    itself: Workload
    """Under its own name."""
    rollout: Rollout
    """As the gate would see it, if it were created now."""
    reference: Workload | None = None
    """The workload whose pod template it takes."""
    ring: int = 0
    """Ring of its own label."""
    runs: bool = True
    """Whether it runs something, or may at any time without asking the gate."""
    problem: str = ""
    """Why its images cannot be told; empty if they can."""


@dataclass(frozen=True)
class Beyond:
    """The exception that something was rolled out under, and what of it that does not keep now."""

    exception: str
    """Name of the exception."""
    violation: Violation


@dataclass(frozen=True)
class Uncovered:
    """A workload that runs images which nothing covers."""

    namespace: str
    workload: Workload
    """What an approval would have to name."""
    images: tuple[str, ...]
    reason: str
    """Why the gate would deny it now."""
    objects: tuple[Workload, ...] = ()
    """What runs images that the workload itself does not name, and belongs to it."""
    beyond: Beyond | None = None
    """Where the reason is `ConstraintViolated`: the exception that it does not keep to."""


@dataclass(frozen=True)
class _Judged:
    """What the gate would say to what runs."""

    itself: Workload
    reason: str
    """Of a denial; empty if it would be admitted."""
    images: tuple[str, ...]
    beyond: Beyond | None = None


@dataclass(frozen=True)
class TopLevel:
    """A workload that belongs to no other, with every image that it and what belongs to it run."""

    api_version: str
    workload: Workload
    itself: Workload
    images: tuple[str, ...]


def running_of(kind: GatedKind, namespace: str, obj: Mapping[str, Any]) -> Running:
    """What coverage needs of a stored object."""
    metadata = obj.get("metadata") or {}
    owners = [owner for owner in metadata.get("ownerReferences") or [] if owner.get("controller")]
    itself = Workload(kind.group, kind.kind, str(metadata.get("name") or ""))
    rollout, reference, problem = Rollout(namespace, itself, ()), None, ""
    try:
        rollout, reference = rollout_of(kind, namespace, obj), reference_of(kind, obj)
    except PodTemplateError as error:
        problem = str(error)
    if itself not in rollout.workloads:
        rollout = replace(rollout, also=(*rollout.also, itself))
    return Running(
        uid=str(metadata.get("uid") or ""),
        owner=str(owners[0].get("uid") or "") if owners else "",
        api_version=str(obj.get("apiVersion") or kind.api_version),
        itself=itself,
        rollout=rollout,
        reference=reference,
        ring=ring_of(metadata.get("labels"), 0),
        runs=_runs(kind, obj, owned=bool(owners)),
        problem=problem,
    )


def uncovered(
    namespace: str,
    ring: int,
    running: Iterable[Running],
    requests: Iterable[RequestStanding],
    exceptions: Iterable[ExceptionStanding],
    now: datetime,
) -> list[Uncovered]:
    """The workloads of a namespace that run images which the gate would deny now.

    `ring` is the namespace's. What belongs to another object that is there (by uid, since anybody
    can write a name) is judged under the name of the workload at the top, as what a controller
    makes is covered by the approval for what it was made from. `running` are all objects of the
    namespace, `requests` and `exceptions` likewise.
    """
    objects = _Objects(running)
    judge = _Judge(requests, exceptions, now)
    found: dict[Workload, list[_Judged]] = defaultdict(list)
    for item in objects.all:
        rollout = objects.rollout_of(item)
        if not item.runs or max(ring, item.ring) < GATED_FROM:
            continue
        said = _Judged(item.itself, MALFORMED, ())
        if not item.problem:
            said = replace(judge(rollout, max(ring, item.ring)), itself=item.itself)
        if said.reason:
            found[rollout.workload].append(said)
    return [_reported(namespace, workload, found[workload]) for workload in sorted(found)]


def _reported(namespace: str, workload: Workload, parts: Sequence[_Judged]) -> Uncovered:
    """One report of a workload, from the objects that run what is not covered."""
    own = {image for part in parts if part.itself == workload for image in part.images}
    beneath = sorted(
        part.itself for part in parts if part.itself != workload and set(part.images) - own
    )
    # The workload itself first: what it says is what has to be put right.
    first = min(parts, key=lambda part: part.itself != workload)
    images = tuple(sorted({image for part in parts for image in part.images}))
    return Uncovered(namespace, workload, images, first.reason, tuple(beneath), first.beyond)


def top_level(running: Iterable[Running]) -> list[TopLevel]:
    """The workloads that belong to no other, each with every image that is run for it; those with
    no image that can be told are left out."""
    objects = _Objects(running)
    tops: dict[Workload, Running] = {}
    images: dict[Workload, set[str]] = defaultdict(set)
    for item in objects.all:
        top = objects.top_of(item)
        if item.runs and objects.images_of(item):
            tops[top.rollout.workload] = top
            images[top.rollout.workload] |= set(objects.images_of(item))
    return [
        TopLevel(top.api_version, workload, top.itself, tuple(sorted(images[workload])))
        for workload, top in sorted(tops.items(), key=lambda found: found[0])
    ]


class _Objects:
    """The objects of a namespace, and what belongs to what."""

    def __init__(self, running: Iterable[Running]) -> None:
        self.all = list(running)
        self._by_uid = {item.uid: item for item in self.all}
        self._by_name = {item.itself: item for item in self.all}

    def top_of(self, item: Running) -> Running:
        """The object at the top of those that an object belongs to; itself if it stands alone."""
        seen = {item.uid}
        while (owner := self._by_uid.get(item.owner)) is not None and owner.uid not in seen:
            seen.add(owner.uid)
            item = owner
        return item

    def images_of(self, item: Running) -> tuple[str, ...]:
        """Every image that an object runs."""
        referred = self._by_name.get(item.reference) if item.reference else None
        own = item.rollout.images
        return own if referred is None else tuple(sorted({*own, *referred.rollout.images}))

    def rollout_of(self, item: Running) -> Rollout:
        """The images of an object, under the name of the workload at its top."""
        top = self.top_of(item).rollout
        return replace(top, images=self.images_of(item), scale=_larger(top.scale, item))


def _larger(scale: Scale | None, item: Running) -> Scale | None:
    """The replicas of the workload at the top, or those of what belongs to it if they are more: a
    Rollout has steps that make a ReplicaSet larger than it says itself."""
    own = item.rollout.scale
    if scale is None or scale.replicas is None or own is None or own.replicas is None:
        return scale
    return max(scale, own, key=lambda each: each.replicas or 0)


class _Judge:
    """Asks the gate, once for each workload and images."""

    def __init__(
        self,
        requests: Iterable[RequestStanding],
        exceptions: Iterable[ExceptionStanding],
        now: datetime,
    ) -> None:
        self._requests: dict[Workload, list[RequestStanding]] = defaultdict(list)
        for request in requests:
            for workload in {Workload.of(target) for target in request.spec.targets}:
                self._requests[workload].append(request)
        self._exceptions: dict[str, list[ExceptionStanding]] = defaultdict(list)
        for exception in exceptions:
            self._exceptions[exception.spec.request_ref.name].append(exception)
        self._now = now
        self._known: dict[tuple[Rollout, int], _Judged] = {}

    def __call__(self, rollout: Rollout, ring: int) -> _Judged:
        """What is said of a rollout, under the name of its workload."""
        key = rollout, ring
        if key not in self._known:
            self._known[key] = self._asked(rollout, ring)
        return self._known[key]

    def _asked(self, rollout: Rollout, ring: int) -> _Judged:
        named = {
            request.metadata.name: request
            for workload in rollout.workloads
            for request in self._requests.get(workload, ())
        }
        exceptions: Sequence[ExceptionStanding] = [
            exception for name in named for exception in self._exceptions.get(name, ())
        ]
        # What runs was admitted when it came: an approval that has ended since still covers it,
        # and no ring comes first.
        by = list(named.values()), exceptions, self._now
        decision = decide(rollout, ring, *by, ran_since=EARLIEST, earlier_rings=WAIVED)
        if decision.allowed:
            return _Judged(rollout.workload, "", ())
        beyond = _beyond(
            candidates(rollout, *by, ring=ring, ran_since=EARLIEST, earlier_rings=WAIVED)
        )
        # Where a window of an exception has closed, what was rolled out within it goes on.
        if any(each.violation.field == WINDOWS for each in beyond):
            return _Judged(rollout.workload, "", ())
        only = decision.reason is Reason.IMAGES_NOT_COVERED
        images = decision.basis.uncovered if only else rollout.images
        return _Judged(rollout.workload, decision.reason, images, next(iter(beyond), None))


def _beyond(found: Iterable[Look]) -> list[Beyond]:
    """The exceptions that let something in which is beyond them now, of any of its requests."""
    return [
        Beyond(look.exception.metadata.name, look.violation)
        for look in found
        if look.exception is not None and look.violation is not None
    ]


def _runs(kind: GatedKind, obj: Mapping[str, Any], *, owned: bool) -> bool:
    """Whether an object runs something, or may at any time: not a finished Pod or Job, not what
    is left of an earlier revision, not a template."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    identity = kind.group, kind.kind
    if identity == ("", "Pod"):
        return status.get("phase") not in ("Succeeded", "Failed")
    if identity == ("batch", "Job"):
        ended = [c for c in status.get("conditions") or [] if c.get("status") == "True"]
        return not any(c.get("type") in ("Complete", "Failed") for c in ended)
    if identity == ("apps", "ReplicaSet") and owned:
        return bool(spec.get("replicas", 1) or status.get("replicas"))
    return identity != ("", "PodTemplate")
