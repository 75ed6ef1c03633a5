# SPDX-License-Identifier: Apache-2.0
"""Which images evidence is about: what no artifact names has none, and what was the evidence of
other images before is none of these."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from urllib.parse import urlsplit, urlunsplit

from cabgate.api.evidence import ArtifactOrigin, Evidence
from cabgate.api.request import Floor
from cabgate.api.stored import Declared, StoredReport, StoredReports, StoredSpec, StoredTarget
from cabgate.api.types import Tier
from cabgate.rollout.targets import Workload

UNNAMED_IMAGES = "ImagesWithoutEvidence"
"""Name of the floor under images that no artifact names."""

STALE_EVIDENCE = "StaleEvidence"
"""Name of the floor under new images with the reports of earlier ones."""

MISSING = "artifacts[].images"
"""Field path of what names the images that evidence is about."""

_TOLD = 16
"""Images that are named one by one, so that `missing` has room for all else."""

_TEXT = 160
"""What is told of an image, in characters: the path before it has room in 256."""

_FIGURES = {
    "test_results": ("coverage_percent", "passed", "failed", "skipped"),
    "scan_results": ("critical", "high", "medium", "low"),
}
_REPORTS = {"test_results": "test results", "scan_results": "scan results"}
_ALL_FIGURES = "all figures of the test and scan results"


class _Told(Enum):
    """What two declarations say of whether they are of one report."""

    SAME = "same"
    OTHER = "other"
    UNKNOWN = "unknown"


def unnamed_images(targets: Iterable[StoredTarget], evidence: Evidence) -> list[str]:
    """The images of some targets that no artifact of the evidence names, compared exactly."""
    named = {image for artifact in evidence.artifacts or () for image in artifact.images or ()}
    return sorted({image for target in targets for image in target.images} - named)


def missing_images(targets: Iterable[StoredTarget], evidence: Evidence) -> list[str]:
    """What is missing of the evidence for images: an entry for each image, up to a number."""
    images = unnamed_images(targets, evidence)
    entries = [f"{MISSING}: {short_image(image)}" for image in images[:_TOLD]]
    more = len(images) - _TOLD
    return [*entries, f"{MISSING}: and {more} more"] if more > 0 else entries


def images_without_evidence(targets: Iterable[StoredTarget], evidence: Evidence) -> Floor | None:
    """The floor under a request with an image that no artifact names."""
    images = unnamed_images(targets, evidence)
    if not images:
        return None
    return Floor(
        name=UNNAMED_IMAGES,
        gate=Tier.MANUAL_REVIEW,
        explanation=f"no artifact names {_listed(images)} in its images",
    )


def stale_evidence(
    targets: Sequence[StoredTarget], evidence: Evidence, earlier: Iterable[Declared]
) -> Floor | None:
    """The floor under a request that brings an image, or other doings of the containers, with the
    reports of an earlier request.

    `earlier` are those that came before, of the same intent or for one of its workloads. One counts
    if it does not name one of the images, for its workload by group, kind and name or, where it
    does not name that, for any; whatever became of it. And so does one that says of a workload that
    its containers do something else.
    """
    for other in sorted(earlier, key=lambda request: request.metadata.name):
        new = _new_images(targets, other.spec.targets)
        changed = _changed_templates(targets, other.spec.targets)
        shared = _shared(evidence, other.spec.evidence) if new or changed else ""
        if shared and not new:
            return Floor(
                name=STALE_EVIDENCE,
                gate=Tier.MANUAL_REVIEW,
                explanation=(
                    f"what the containers of {changed[0]} do is not what request "
                    f"{other.metadata.name} says, and comes with {shared} of that"
                ),
            )
        if shared:
            return Floor(
                name=STALE_EVIDENCE,
                gate=Tier.MANUAL_REVIEW,
                explanation=(
                    f"{_listed(new)} {'comes' if len(new) == 1 else 'come'} with {shared} of "
                    f"request {other.metadata.name}, which was for other images"
                ),
            )
    return None


def brings_reports_of_others(
    before: StoredSpec, evidence: Evidence, earlier: Iterable[Declared]
) -> bool:
    """Whether evidence that is declared for the images of a request has a report that an earlier
    one had for other images, and that is not the request's own."""
    own = set(_shared_parts(evidence, before.evidence))
    return any(
        set(_shared_parts(evidence, other.spec.evidence)) - own
        for other in earlier
        if _new_images(before.targets, other.spec.targets)
    )


def images_by_workload(targets: Iterable[StoredTarget]) -> dict[Workload, set[str]]:
    """The images that targets name, by workload: two may name one under two API versions."""
    found: dict[Workload, set[str]] = defaultdict(set)
    for target in targets:
        found[Workload.of(target)].update(target.images)
    return dict(found)


def _new_images(targets: Iterable[StoredTarget], before: Iterable[StoredTarget]) -> list[str]:
    """The images that targets name and earlier ones did not: for the same workload, or for any
    where they did not name that one, such as a Job with the release in its name."""
    known = images_by_workload(before)
    anywhere = {image for images in known.values() for image in images}
    named = images_by_workload(targets)
    return sorted({i for w, images in named.items() for i in images - known.get(w, anywhere)})


def _changed_templates(
    targets: Iterable[StoredTarget], before: Iterable[StoredTarget]
) -> list[Workload]:
    """The workloads of which targets say what the containers do, and earlier ones say something
    else: of the same workload, or of any where they did not name that one."""
    said = [(Workload.of(each), each.template) for each in before]
    named = {workload for workload, _ in said}
    anywhere = {template for _, template in said} - {None}
    known: dict[Workload, set[str | None]] = defaultdict(set)
    for workload, template in said:
        known[workload] |= {template} - {None}
    # Each of them, since two targets may name one workload under two API versions.
    return sorted(
        {
            workload
            for workload, template in ((Workload.of(each), each.template) for each in targets)
            if template is not None
            and (earlier := known[workload] if workload in named else anywhere)
            and template not in earlier
        }
    )


def _shared(evidence: Evidence, before: StoredReports) -> str:
    """What of some evidence is that of an earlier request, in words; empty if nothing is."""
    same = _shared_parts(evidence, before)
    if _ALL_FIGURES in same:
        return _ALL_FIGURES
    return f"the {' and '.join(same)}" if same else ""


def _shared_parts(evidence: Evidence, before: StoredReports) -> list[str]:
    """The parts of some evidence that are those of an earlier request: reports, or all figures."""
    compared = {
        name: _compared(getattr(evidence, name), getattr(before, name)) for name in _REPORTS
    }
    same = [_REPORTS[name] for name, found in compared.items() if found is _Told.SAME]
    if same or _Told.OTHER in compared.values():
        return same
    figures = list(_both_figures(evidence, before))
    if figures and all(now == then for now, then in figures):
        return [_ALL_FIGURES]
    return []


def _compared(report: StoredReport | None, before: StoredReport | None) -> _Told:
    """Whether two are one report: by digest where both give one, else by where they are read."""
    if report is None or before is None:
        return _Told.UNKNOWN
    if report.sha256 and before.sha256:
        same = report.sha256.lower() == before.sha256.lower()
    elif report.uri and before.uri:
        same = _place(report.uri) == _place(before.uri)
    else:
        return _Told.UNKNOWN
    return _Told.SAME if same else _Told.OTHER


def _place(uri: str) -> str:
    """Where a report is read, without what makes no other place of it: blanks around it, a
    fragment, the case of scheme and host."""
    try:
        parts = urlsplit(uri.strip())
    except ValueError:
        return uri.strip()
    scheme, host = parts.scheme.lower(), parts.netloc.lower()
    return urlunsplit((scheme, host, parts.path, parts.query, ""))


def _both_figures(evidence: Evidence, before: StoredReports) -> Iterator[tuple[float, float]]:
    """The figures that both give: one that is added or left out makes no other report."""
    for name, fields in _FIGURES.items():
        for field in fields:
            now = getattr(getattr(evidence, name), field, None)
            then = getattr(getattr(before, name), field, None)
            if now is not None and then is not None:
                yield now, then


def _listed(images: Sequence[str]) -> str:
    more = f" and {len(images) - 3} more" if len(images) > 3 else ""
    plural = "" if len(images) == 1 else "s"
    return f"image{plural} {', '.join(short_image(image) for image in images[:3])}{more}"


def third_party_images(targets: Iterable[StoredTarget], evidence: Evidence) -> list[str]:
    """The images of some targets that an artifact declares as built by somebody else."""
    declared = {
        image
        for artifact in evidence.artifacts or ()
        if artifact.origin is ArtifactOrigin.THIRD_PARTY
        for image in artifact.images or ()
    }
    return sorted({image for target in targets for image in target.images} & declared)


def all_third_party(targets: Iterable[StoredTarget], evidence: Evidence) -> bool:
    """Whether every image of some targets is declared as built by somebody else: one of our own
    among them has tests to show."""
    images = {image for target in targets for image in target.images}
    return images == set(third_party_images(targets, evidence))


def short_image(image: str) -> str:
    """An image as messages have it."""
    return image if len(image) <= _TEXT else f"{image[: _TEXT - 3]}..."
