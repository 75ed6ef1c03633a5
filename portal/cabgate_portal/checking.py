# SPDX-License-Identifier: Apache-2.0
"""Whether a workload would be admitted now, by the function of `cabgate explain`, as far as the
caller may read what that rests on. What is not known is taken both ways: an answer that hangs on it
is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from cabgate.api import CABException, CABRequest, RolloutOutcome
from cabgate.api.changefreeze import POLICY_LABEL
from cabgate.api.kinds import GatedKind
from cabgate.lifecycle.limits.promotion import (
    FITS_NONE,
    UNKNOWN,
    WAIVED,
    EarlierRings,
    asks_before,
    releases_for,
)
from cabgate.lifecycle.state.standing import standings_of
from cabgate.lifecycle.state.validity import approval_ended
from cabgate.rollout.appliers import with_applier
from cabgate.rollout.installation import (
    CONFIG_MAP,
    SYSTEM_NAMESPACE,
    InstallationError,
    InstallationSettings,
    parse_installation,
)
from cabgate.rollout.modes import MODE_LABEL, Mode
from cabgate.rollout.pods import PodTemplateError
from cabgate.rollout.rings import HIGHEST, RING_LABEL
from cabgate.rollout.rollout import Rollout, Scale
from cabgate.rollout.targets import Workload, selectors
from cabgate.rollout.templates import REQUIRE_LABEL, Template, ring_template
from cabgate.rollout.workloads import (
    ANY_NAME,
    GENERATED,
    named_kind,
    running_rollout,
)
from cabgate.text.inert import inert
from cabgate.text.moments import EARLIEST
from cabgate.views.explained import (
    Explanation,
    Looked,
    RingsView,
    Surroundings,
    WorkloadName,
    explained,
    explained_view,
)
from cabgate.views.selectors import LIVE_EXCEPTIONS
from cabgate_kube.process.tasks import gathered
from cabgate_kube.resources import (
    CHANGE_FREEZES,
    CONFIG_MAPS,
    EXCEPTIONS,
    NAMESPACES,
    REQUESTS,
    Object,
    Resource,
)
from cabgate_portal.names import Id, is_name
from cabgate_portal.problems import Problem
from cabgate_portal.reading import NOT_READABLE, Notes, Reader, all_parsed
from cabgate_portal.running import referred_by, still_running

T = TypeVar("T")

_ALWAYS: Object = {
    "metadata": {"name": "that-may-not-be-read"},
    "spec": {"intervals": [{"from": "2000-01-01T00:00:00Z", "until": "9999-12-31T23:59:59Z"}]},
}
"""A freeze that holds for everybody: what is not known may be as bad."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether a workload would be admitted. What hangs on something that is not known is null."""

    namespace: str
    workload: WorkloadName
    images: tuple[str, ...]
    ring: RingsView | None
    allowed: bool | None
    """What the gate would decide."""
    mode: str | None
    """Enforce, Warn or Audit: what becomes of a denial."""
    admitted: bool | None
    """Whether the rollout would get through, allowed or not."""
    reason: str
    """The gate's code, such as Approved or NoRequest; where `allowed` is null that of a denial that
    may come."""
    message: str
    warnings: tuple[str, ...]
    requests: tuple[Looked, ...]
    """Those that name the workload, the newest first, and what each says to it."""
    notes: tuple[str, ...]
    """What is not known, and why."""


@dataclass(frozen=True)
class _Known:
    """Something as it would be worst, and as it would be best; both the same where it is known."""

    worst: Any
    best: Any


async def check(reader: Reader, namespace: str, argument: str, images: Sequence[str]) -> Checked:
    """Whether a workload such as `deployment/checkout` would be admitted now: as it runs, or with
    some images. Raises `Problem`."""
    notes = Notes()
    settings, labels = await gathered(
        _settings(reader, namespace, notes), _namespace_labels(reader, namespace, notes)
    )
    kind, name = _workload(argument, settings.worst.kinds)
    rollout, own = await _rollout(reader, namespace, kind, name, images, notes)
    workloads = rollout.worst.workloads
    found, asked = await gathered(
        _requests(reader, namespace, workloads),
        reader.api.all(EXCEPTIONS, namespace, fields=LIVE_EXCEPTIONS),
    )
    exceptions = await all_parsed(CABException, asked)
    freezes = await _freezes(reader, labels, notes)
    ring_known = all(each.worst == each.best for each in (settings, labels, own))
    earlier = await _earlier_rings(reader, found, rollout, notes, ring_known=ring_known)
    now = reader.clock()
    if any(approval_ended(each, now) for each in standings_of(found)):
        notes.texts.append("whether a workload ran this before its approval ended is not read")

    def judged(requests: Sequence[CABRequest], side: str) -> Explanation:
        around = Surroundings(
            *(getattr(settings, side), getattr(labels, side), getattr(own, side), {}),
            freezes=getattr(freezes, side),
            ran=[EARLIEST] if side == "best" else [],
            earlier_rings=getattr(earlier, side),
        )
        what = getattr(rollout, side)
        return explained(what, around, requests, exceptions, now, reader.machines)

    worst, best = judged(found, "worst"), judged(found, "best")
    # Where nothing hangs on it, the message is that of what is there: its ring is no assumption.
    side = "best" if worst.decision.allowed == best.decision.allowed else "worst"
    shown = {"worst": worst, "best": best}[side]
    if (named := await _applied(reader, namespace, shown, found)) is not None:
        shown = judged(named, side)
    return _checked(shown, worst, best, notes)


def _checked(shown: Explanation, worst: Explanation, best: Explanation, notes: Notes) -> Checked:
    view, bad, good = (explained_view(each) for each in (shown, worst, best))
    return Checked(
        namespace=view.namespace,
        workload=view.workload,
        images=tuple(inert(image) for image in view.images),
        ring=_same(bad.ring, good.ring),
        allowed=_same(bad.allowed, good.allowed),
        mode=_same(bad.mode, good.mode),
        admitted=_same(bad.admitted, good.admitted),
        reason=view.reason,
        message=view.message,
        warnings=view.warnings,
        requests=view.requests,
        notes=tuple(notes.texts),
    )


def _same(worst: T, best: T) -> T | None:
    return worst if worst == best else None


async def installation_of(reader: Reader, notes: Notes) -> InstallationSettings | None:
    """How cabgate is set; None where that is not known, which is noted."""
    where = f"ConfigMap {CONFIG_MAP} in namespace {SYSTEM_NAMESPACE}"
    try:
        found = await reader.api.get(CONFIG_MAPS, SYSTEM_NAMESPACE, CONFIG_MAP)
        data = found.get("data")
        return parse_installation(data if isinstance(data, dict) else {})
    except InstallationError as error:
        why = str(error)
    except Problem as problem:
        if problem.status not in NOT_READABLE:
            raise
        why = inert(problem.detail)
    notes.texts.append(f"how cabgate is set is not known: {where}: {why}")
    return None


async def _settings(reader: Reader, namespace: str, notes: Notes) -> _Known:
    settings = await installation_of(reader, notes)
    if settings is not None:
        return _Known(settings, settings)
    strict = InstallationSettings(default_ring=HIGHEST, excluded=frozenset())
    return _Known(strict, InstallationSettings(mode=Mode.AUDIT, excluded=frozenset({namespace})))


async def _namespace_labels(reader: Reader, namespace: str, notes: Notes) -> _Known:
    try:
        found = await reader.api.get(NAMESPACES, "", namespace)
    except Problem as problem:
        if problem.status != 403:
            raise
        notes.texts.append(f"ring and mode of the namespace are not known: {inert(problem.detail)}")
        strict = {RING_LABEL: str(HIGHEST), MODE_LABEL: str(Mode.ENFORCE), REQUIRE_LABEL: "0"}
        return _Known(strict, {RING_LABEL: "0"})
    return _Known(labels_of(found), labels_of(found))


async def _freezes(reader: Reader, labels: _Known, notes: Notes) -> _Known:
    """The freezes that may hold: all of them at the worst, and at the best none, since what a
    workload ran before is not read, and a rollback passes."""
    known = labels.worst == labels.best
    if known and POLICY_LABEL not in labels.worst:
        return _Known([], [])
    try:
        found: list[Any] = list(await reader.api.all(CHANGE_FREEZES))
    except Problem as problem:
        if problem.status not in NOT_READABLE:
            raise
        notes.texts.append(f"change freezes are not known: {inert(problem.detail)}")
        return _Known([_ALWAYS], [])
    if not known:
        # Which of them are about the namespace its labels would say.
        found = [_for_everybody(each) for each in found]
    if found:
        notes.texts.append("whether a workload ran this before a freeze began is not read")
    return _Known(found, [])


async def _earlier_rings(
    reader: Reader,
    requests: Sequence[CABRequest],
    rollout: _Known,
    notes: Notes,
    *,
    ring_known: bool,
) -> _Known:
    """What became of the releases in the rings before: as it is at the worst, and at the best
    nothing is asked, since what a workload ran before is not read, and a rollback passes."""
    # The highest ring is asked for something where any is.
    if not asks_before(requests, HIGHEST):
        return _Known(WAIVED, WAIVED)
    if not ring_known:
        # What admits in the highest ring need not in one below it: another ring comes first there.
        return _Known(replace(UNKNOWN, any_ring=True), WAIVED)
    outcomes: dict[str, list[RolloutOutcome]] = {}
    for release in releases_for(requests, HIGHEST):
        try:
            outcomes[release] = await reader.outcomes_of(release)
        except Problem as problem:
            if problem.status not in NOT_READABLE:
                raise
            why = inert(problem.detail)
            notes.texts.append(f"what became of release {release} is not known: {why}")
    notes.texts.append("whether a workload ran this here before is not read")
    template = ring_template(rollout.worst.template) or FITS_NONE
    known = EarlierRings(outcomes, template)
    running = await still_running(reader, requests, rollout.worst, known, notes)
    return _Known(replace(known, running=running), WAIVED)


def _for_everybody(freeze: Object) -> Object:
    spec = {k: v for k, v in (freeze.get("spec") or {}).items() if k != "namespaceSelector"}
    return {**freeze, "spec": spec}


def labels_of(found: Mapping[str, Any]) -> Mapping[str, str]:
    """The labels of an object."""
    return (found.get("metadata") or {}).get("labels") or {}


def _workload(argument: str, kinds: Sequence[GatedKind]) -> tuple[GatedKind, str]:
    resource, _, name = argument.partition("/")
    kind = named_kind(resource, kinds)
    plain_name = name.removesuffix(ANY_NAME) + "0" if name.endswith(ANY_NAME) else name
    if kind is None or not is_name(plain_name):
        raise Problem(
            400,
            "Invalid",
            "workload: not KIND/NAME of a kind that is gated; allowed: such as deployment/checkout",
            field="workload",
        )
    if name.endswith(ANY_NAME) and kind.kind not in GENERATED:
        kinds_with = " or ".join(GENERATED)
        raise Problem(400, "Invalid", f"a name with * is for a {kinds_with}", field="workload")
    return kind, name


async def _rollout(
    reader: Reader,
    namespace: str,
    kind: GatedKind,
    name: str,
    images: Sequence[str],
    notes: Notes,
) -> tuple[_Known, _Known]:
    """What would be rolled out, and the labels of the workload."""
    readable = bool(kind.resource) and not name.endswith(ANY_NAME)
    if not images and not readable:
        raise Problem(
            400,
            "Invalid",
            f"{kind.kind} {name} cannot be read from the cluster: name its images",
            field="image",
        )
    if not images:
        found = await reader.api.get(_resource(kind), namespace, name)
        rollout = await _running(reader, namespace, kind, name, found)
        return _Known(rollout, rollout), _Known(labels_of(found), labels_of(found))
    workload = Workload(kind.group, kind.kind, name)
    named = Rollout(namespace, workload, tuple(sorted(set(images))))
    notes.texts.append(
        "what the containers do, and in how many replicas, is not known: images alone were named"
    )
    # As the webhook has what no approval can name; one that says nothing of containers fits all.
    rollouts = _Known(replace(named, template=Template(""), scale=Scale(None)), named)
    try:
        labels = (
            labels_of(await reader.api.get(_resource(kind), namespace, name)) if readable else {}
        )
    except Problem as problem:
        if problem.status not in NOT_READABLE:
            raise
        why = inert(problem.detail)
    else:
        if readable:
            return rollouts, _Known(labels, labels)
        why = f"{kind.kind} {name} cannot be read"
    notes.texts.append(f"the ring that the workload's own label asks for is not known: {why}")
    return rollouts, _Known({RING_LABEL: str(HIGHEST)}, {})


async def _running(
    reader: Reader, namespace: str, kind: GatedKind, name: str, found: Object
) -> Rollout:
    try:
        referred = await referred_by(reader, kind, namespace, found)
        return running_rollout(kind, namespace, name, found, referred)
    except PodTemplateError as error:
        raise Problem(422, "Unreadable", f"{kind.kind} {name}: {inert(str(error))}") from None


def _resource(kind: GatedKind) -> Resource:
    return Resource(kind.api_version, kind.kind, kind.resource)


async def _requests(
    reader: Reader, namespace: str, workloads: Sequence[Workload]
) -> list[CABRequest]:
    lists = await gathered(
        *(reader.api.all(REQUESTS, namespace, labels=each) for each in selectors(workloads))
    )
    return await all_parsed(CABRequest, [item for items in lists for item in items])


async def _applied(
    reader: Reader, namespace: str, item: Explanation, requests: Sequence[CABRequest]
) -> list[CABRequest] | None:
    """The requests as the message tells of them, where the intent of the one that it tells of has
    to be asked which tool applies it; None where not."""
    request = item.decision.basis.request
    reference = request.spec.intent_ref if request is not None else None
    if reference is None or reference.applied_by is not None:
        return None
    try:
        intent = await reader.intent(Id(namespace, reference.name))
    except Problem as problem:
        if problem.status not in NOT_READABLE:
            raise
        return None
    return [with_applier(each, intent) for each in requests]
