# SPDX-License-Identifier: Apache-2.0
"""Break-glass: what the annotation on a workload says, and the request that reviews it afterwards.

Who may break the glass, and what is written down of it, is for the API server alone
(the chart's policies/break-glass.yaml): it has to work with every process of cabgate dead.
"""

import contextlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cabgate.api.base import MAX_IMAGE, ObjectMeta
from cabgate.api.evidence import Evidence
from cabgate.api.kinds import BUILT_IN, GatedKind
from cabgate.api.request import Assessment, BreakGlass, CABRequest, CABRequestSpec, Floor
from cabgate.api.riskmodel import RiskModel
from cabgate.api.types import MAX_IMAGES, Submitter, Target, Tier
from cabgate.lifecycle.requests.opening import target_labels
from cabgate.lifecycle.state.requirements import check_known
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate.risk.evidence import evidence_digest
from cabgate.risk.scoring import assess
from cabgate.rollout.image_names import image_problem
from cabgate.rollout.pods import PodTemplateError
from cabgate.rollout.rings import GATED_FROM, RING_LABEL, ring_of
from cabgate.rollout.targets import Workload
from cabgate.rollout.workloads import reference_of, rollout_of
from cabgate.text.canonical import sha256_hex
from cabgate.text.characters import SHOWN_PATTERN, refused_character, seen, shows
from cabgate.text.refusal import Refusal, RefusalReason

ANNOTATION = "cabgate.dev/break-glass"
"""Annotation that breaks the glass, in the one write that sets or changes it, from ring 2 on."""

BY_ANNOTATION = "cabgate.dev/break-glass-by"
"""Annotation that says who wrote it; the API server sees to that."""

ID_ANNOTATION = "cabgate.dev/break-glass-id"
"""Annotation that tells in which write it was written; the API server sees to that."""

RING_ANNOTATION = "cabgate.dev/break-glass-ring"
"""Annotation that says which ring held in that write; the API server sees to that."""

STAMPS = (BY_ANNOTATION, ID_ANNOTATION, RING_ANNOTATION)
"""What the API server writes beside the annotation, in rings in which it breaks something; it takes
away what stands there in all others. Without them the annotation tells of no break."""

EARLIER_ANNOTATION = "cabgate.dev/break-glass-earlier"
"""Annotation that holds the breaks before the one that stands there, the latest first; the API
server writes it, and nobody else. A line for each, and in it, between tabs: which write it was, the
ring, who, how many images follow, what the workload ran until the next break, and the annotation.
Where the images are too many or unknown, there are none."""

CUT = "..."
"""Last line of that list where it did not have room for still earlier ones."""

FORM = "[A-Za-z0-9][A-Za-z0-9._/#-]{0,63}: [^ \\t\\r\\n][^\\r\\n]{0,511}"
"""What the annotation reads, as a regular expression of Python and of CEL: ticket and reason."""

SHOWN_FORM = f"^[^:]*: [^\\r\\n]*{SHOWN_PATTERN}"
"""What it reads besides, as CEL takes it: a reason of which something can be seen."""

_UNREADABLE = "(no reason that can be read)"
"""What stands for the reason of a break that an older release let through with none to be seen."""

VERB, RESOURCE = "break-glass", "rings"
"""The verb that breaking the glass needs, and on what; no API serves either."""

FLOOR = "BreakGlass"
"""Name of the floor under every request that was opened for a broken glass."""

PREFIX = "break-glass-"
"""How the names of such requests begin."""

BREAKABLE = tuple(kind for kind in BUILT_IN if kind.breakable)
"""The kinds that the annotation counts on."""

_MAX_USERNAME = 512

_BEGINNING = 400

_COUNT = re.compile("[0-9]{1,4}")


@dataclass(frozen=True)
class Glass:
    """What the annotations of a workload say."""

    ticket: str
    reason: str
    by: str
    """User name of who broke the glass; empty if it is longer than any that may submit, or holds
    what no name of a submitter may."""
    id: str
    """Which write did."""
    ring: int
    """The ring that held in that write."""


@dataclass(frozen=True)
class Break:
    """One break of the glass of a workload."""

    glass: Glass
    images: tuple[str, ...] | None = None
    """What the workload ran until it was broken again, empty where nobody knows; None of the latest
    break: what it runs now."""


def glass_of(kind: GatedKind, obj: Mapping[str, Any]) -> Glass | None:
    """What the annotations of a workload of a kind say, if its glass was broken.

    It was if the API server stamped the annotation on the workload itself, in a ring that is gated:
    an annotation alone says nothing, whatever ring the workload is in now, nor do the stamps of
    another resource, from which a controller copied them.
    """
    annotations = _annotations(obj)
    value, by, identity, ring = (annotations.get(name) for name in (ANNOTATION, *STAMPS))
    if value is None or not (by and identity and ring):
        return None
    return _read(kind, value, by, identity, ring)


def breaks_of(kind: GatedKind, obj: Mapping[str, Any]) -> tuple[Break, ...]:
    """Every break of a workload that its annotations tell of, the latest first."""
    latest = glass_of(kind, obj)
    found = [] if latest is None else [Break(latest)]
    for line in _annotations(obj).get(EARLIER_ANNOTATION, "").split("\n"):
        identity, ring, by, count, rest = (*line.split("\t", 4), "", "", "", "")[:5]
        *images, value = rest.split("\t", int(count)) if _COUNT.fullmatch(count) else [""]
        glass = _read(kind, value, by, identity, ring)
        if glass is not None and len(images) == int(count):
            found.append(Break(glass, tuple(sorted({*images}))))
    return tuple(found)


def is_cut(obj: Mapping[str, Any]) -> bool:
    """Whether a workload had breaks of which its annotations had no room to tell."""
    return _annotations(obj).get(EARLIER_ANNOTATION, "").rpartition("\n")[2] == CUT


def _annotations(obj: Mapping[str, Any]) -> Mapping[str, str]:
    return (obj.get("metadata") or {}).get("annotations") or {}


def _read(kind: GatedKind, value: str, by: str, identity: str, ring: str) -> Glass | None:
    stamped = ring_of({RING_LABEL: ring}, 0) if ring else 0
    if re.fullmatch(FORM, value) is None or stamped < GATED_FROM:
        return None
    if identity.partition("/")[0] != kind.resource:
        return None
    ticket, _, reason = value.partition(": ")
    # Rather nobody than half a name.
    whole = len(by) <= _MAX_USERNAME and refused_character(by) is None
    shown = seen(reason) if shows(reason) else _UNREADABLE
    return Glass(ticket, shown, by if whole else "", identity[:128], stamped)


def breakable(api_version: str, kind: str) -> GatedKind | None:
    """The kind that an object is of, if the annotation counts on it."""
    group = api_version.rpartition("/")[0]
    return next((k for k in BREAKABLE if (k.group, k.kind) == (group, kind)), None)


def requests_for_glass(
    kind: GatedKind,
    obj: Mapping[str, Any],
    referred: Mapping[str, Any] | None = None,
) -> list[CABRequest]:
    """The requests that review the breaks of a workload, the latest first: one for each.

    The latest is for the images that the workload runs now, those before for what it ran until it
    was broken again. None if its glass is whole. The ring is that of the break. `referred` is the
    object that `template_taken_from` names, if it exists. Of a template that cannot be read no
    image is known: a break is reviewed whatever was broken through.
    """
    metadata = obj["metadata"]
    requests: dict[str, CABRequest] = {}
    for each in breaks_of(kind, obj):
        images = each.images
        if images is None:
            images = _running(kind, obj, referred)
        request = _request_for(kind, metadata, each.glass, images)
        requests.setdefault(request.metadata.name, request)
    return list(requests.values())


def template_taken_from(kind: GatedKind, obj: Mapping[str, Any]) -> Workload | None:
    """The workload whose pod template a workload takes whose glass was broken; None if it has one
    of its own, or what it says of another cannot be read."""
    with contextlib.suppress(PodTemplateError):
        return reference_of(kind, obj)
    return None


def _running(
    kind: GatedKind, obj: Mapping[str, Any], referred: Mapping[str, Any] | None
) -> tuple[str, ...]:
    """The images that a workload runs now; none where its template cannot be read."""
    with contextlib.suppress(PodTemplateError):
        return rollout_of(kind, obj["metadata"]["namespace"], obj, None, referred).images
    return ()


def _request_for(
    kind: GatedKind, metadata: Mapping[str, Any], glass: Glass, images: Sequence[str]
) -> CABRequest:
    broken = BreakGlass(
        ticket=glass.ticket,
        reason=glass.reason,
        by=glass.by,
        uid=metadata["uid"],
        id=glass.id,
    )
    target = Target(
        api_version=kind.api_version,
        kind=kind.kind,
        name=metadata["name"],
        images=_shortened_images(images),
    )
    spec = CABRequestSpec(
        break_glass=broken,
        targets=[target],
        # It names no fragment of a URL, which a ticket may.
        correlation_id=glass.ticket.replace("#", "-"),
        submitted_by=[Submitter(username=glass.by)] if glass.by else [],
        ring=glass.ring,
        evidence=Evidence(),
        evidence_digest="v1:sha256:" + "0" * 64,
        assessment=assessment_of_glass(broken),
    )
    spec = spec.model_copy(update={"evidence_digest": evidence_digest(spec)})
    return CABRequest(
        metadata=ObjectMeta(
            name=PREFIX + sha256_hex(broken.to_dict())[:16],
            namespace=metadata["namespace"],
            labels=target_labels(spec),
        ),
        spec=spec,
    )


def _shortened_images(images: Sequence[str]) -> list[str]:
    """The images that a break ran, as a request can name them, each once: it is opened whatever
    they are. What is longer, or is no name, is told by its beginning and a digest; of more than fit
    it is told how many there are."""
    named = sorted({_as_named(image) for image in images})
    if len(named) > MAX_IMAGES:
        kept = named[: MAX_IMAGES - 1]
        return [*kept, f"and {len(named) - len(kept)} more (SHA-256 {sha256_hex(list(images))})"]
    return named or ["no image that is known"]


def _as_named(image: str) -> str:
    if len(image) <= MAX_IMAGE and image_problem(image) is None and not image.endswith(")"):
        return image  # no name ends so: none is taken for what stands for another one
    beginning = re.sub("[^!-~]", "?", image[:_BEGINNING])
    return f"{beginning}... (SHA-256 {sha256_hex(image)})"


def assessment_of_glass(broken: BreakGlass) -> Assessment:
    """Score and gate of a broken glass: nobody declared evidence, so it scores worst, and a person
    decides, since it runs already. The model of the namespace has no say: a break is reviewed also
    where that is missing."""
    who = broken.by or "somebody (nobody knows who)"
    floor = Floor(
        name=FLOOR,
        gate=Tier.MANUAL_REVIEW,
        explanation=f"{who} broke the glass for {broken.ticket}: {broken.reason}",
    )
    scored = assess(Evidence())
    return scored.model_copy(update={"gate": Tier.MANUAL_REVIEW, "floors": [floor], "missing": []})


def recomputed(spec: CABRequestSpec, model: RiskModel = DEFAULT_RISK_MODEL) -> Assessment:
    """Score and gate that follow from a request by a risk model; a broken glass has its own."""
    if spec.break_glass is not None:
        return assessment_of_glass(spec.break_glass)
    # Who signed is as it was recorded: the envelopes stand in the intent, which may be gone.
    signed = spec.assessment.provenance
    return assess(spec.evidence, model, targets=spec.targets, provenance=signed)


def check_stamped(request: CABRequest, excluded: Collection[str]) -> None:
    """Raise `Refusal` for a new request in a namespace that no policy of ours looks at: whoever
    wrote there that the glass was broken, it was not the API server."""
    if request.metadata.namespace in excluded:
        raise _wrong(
            "spec.breakGlass",
            f"the glass of {Workload.of(request.spec.targets[0])} is whole: its namespace is "
            "excluded, where anybody may write what looks like a break",
        )


def check_opened_for_glass(
    request: CABRequest,
    workload: Mapping[str, Any] | None,
    referred: Mapping[str, Any] | None = None,
) -> None:
    """Raise `Refusal` unless a new request is exactly what its live workload asks for, for one of
    its breaks.

    `workload` is what the request's one target names, None if there is no such object.
    """
    check_known(request)
    target = request.spec.targets[0]
    kind = breakable(target.api_version, target.kind)
    if kind is None or len(request.spec.targets) > 1:
        raise _wrong("spec.targets", "must name the one workload whose glass was broken")
    asked = [] if workload is None else requests_for_glass(kind, workload, referred)
    if not asked:
        raise _wrong("spec.breakGlass", f"the glass of {Workload.of(target)} is whole")
    names = [each.metadata.name for each in asked]
    if request.metadata.name not in names:
        raise _wrong("metadata.name", f"must be {' or '.join(names[:3])}")
    found = asked[names.index(request.metadata.name)]
    if dict(request.metadata.labels) != dict(found.metadata.labels):
        raise _wrong("metadata.labels", "must name the target and nothing else")
    for name, field in type(request.spec).model_fields.items():
        if getattr(request.spec, name) != getattr(found.spec, name):
            raise _wrong(f"spec.{field.alias}", f"is not what {Workload.of(target)} says")


def _wrong(field: str, message: str) -> Refusal:
    return Refusal(RefusalReason.WRONG_CONTENT, message, field)
