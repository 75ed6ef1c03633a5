# SPDX-License-Identifier: Apache-2.0
"""CycloneDX JSON: how many components there are, and of which of them it says vulnerabilities."""

from collections.abc import Iterator
from urllib.parse import unquote

from msgspec import Struct, field

from cabgate_collect.documents import read_json
from cabgate_collect.facts import (
    DIGEST,
    Facts,
    Findings,
    Format,
    Moment,
    Severity,
    UnreadableReportError,
)

NAME = "CycloneDX"
"""What `bomFormat` says."""

_SEVERITIES = {severity.value: severity for severity in Severity}
_SEVERITIES |= {"info": Severity.LOW, "none": Severity.LOW}
_APART = "not_affected"


class _Property(Struct):
    name: str = ""
    value: str | None = None


class _Commit(Struct):
    uid: str | None = None


class _Pedigree(Struct):
    commits: list[_Commit] | None = None


class _Component(Struct):
    type: str = ""
    name: str = ""
    version: str | None = None
    purl: str | None = None
    properties: list[_Property] | None = None
    pedigree: _Pedigree | None = None
    components: list["_Component"] | None = None


class _Metadata(Struct):
    timestamp: str | None = None
    component: _Component | None = None


class _Rating(Struct):
    severity: str | None = None
    score: float | None = None
    method: str | None = None


class _Affected(Struct):
    ref: str = ""


class _Analysis(Struct):
    state: str | None = None


class _Vulnerability(Struct):
    id: str = ""
    ratings: list[_Rating] | None = None
    affects: list[_Affected] | None = None
    analysis: _Analysis | None = None


class _Bom(Struct):
    format: str = field(name="bomFormat")
    version: str = field(default="", name="specVersion")
    metadata: _Metadata | None = None
    components: list[_Component] | None = None
    vulnerabilities: list[_Vulnerability] | None = None


def parse(data: bytes) -> Facts:
    """The facts of a bill of materials. Raises `UnreadableReportError`."""
    bom = read_json(data, _Bom)
    if bom.format != NAME:
        raise UnreadableReportError(f"bomFormat {bom.format[:40]!r}; allowed: {NAME}")
    tally = _Tally()
    for vulnerability in bom.vulnerabilities or []:
        tally.take(vulnerability)
    metadata = bom.metadata or _Metadata()
    component = metadata.component
    commits = component.pedigree.commits if component and component.pedigree else None
    return Facts(
        Format.CYCLONEDX,
        findings=tally.findings() if bom.vulnerabilities else None,
        apart={_APART: len(tally.apart)} if tally.apart else {},
        components=_number(bom.components or []),
        tools=(f"{NAME} {bom.version}".strip(),),
        images=_images(component),
        commits=tuple(each.uid for each in commits or [] if each.uid),
        made=Moment.read(metadata.timestamp or ""),
        readings=tuple(tally.readings),
    )


class _Tally:
    """The vulnerabilities, each once for each component that it affects."""

    def __init__(self) -> None:
        self.worst: dict[tuple[str, str], Severity] = {}
        self.apart: set[tuple[str, str]] = set()
        self.unnamed = 0
        self.readings: dict[str, None] = {}

    def take(self, found: _Vulnerability) -> None:
        """Count one vulnerability."""
        state = found.analysis.state if found.analysis else None
        keys = [(found.id, each.ref) for each in found.affects or []] or [(found.id, "")]
        if not found.id:  # nothing tells it from others
            self.unnamed += 1
            keys = [(str(self.unnamed), ref) for _, ref in keys]
        if state == _APART:
            self.apart.update(keys)
            return
        if state not in (None, "exploitable", "in_triage"):
            self.readings[f"vulnerabilities in the state {(state or '')[:40]} count"] = None
        severity = self._severity(found.ratings or [])
        for key in keys:
            self.worst[key] = Severity.worst(severity, self.worst.get(key, severity))

    def _severity(self, ratings: list[_Rating]) -> Severity:
        found: list[Severity] = []
        for rating in ratings:
            named = _SEVERITIES.get((rating.severity or "").lower())
            if named is not None:
                found.append(named)
            # other methods have scales of their own
            of_cvss = named is None or (rating.method or "CVSS").startswith("CVSS")
            if of_cvss and rating.score is not None and rating.score >= 0:
                found.append(Severity.of_score(rating.score))
        if not found:
            self.readings["vulnerabilities without a severity that is known count as high"] = None
        return Severity.worst(*(found or [Severity.HIGH]))

    def findings(self) -> Findings:
        """What counts; of one that is said to affect and not to affect, that it does."""
        self.apart -= self.worst.keys()
        return Findings.of(self.worst.values())


def _number(components: list[_Component]) -> int:
    return len(components) + sum(_number(each.components or []) for each in components)


def _images(component: _Component | None) -> tuple[str, ...] | None:
    """What the image is called, where the bill is one of an image."""
    if component is None or component.type != "container":
        return None
    return tuple(filter(None, _stated(component)))


def _stated(component: _Component) -> Iterator[str]:
    yield component.name
    version = component.version or ""
    if not DIGEST.search(version) and version:
        yield f"{component.name}:{version}"
    texts = [component.name, version, unquote(component.purl or "")]
    texts += [each.value or "" for each in component.properties or [] if "Digest" in each.name]
    for text in texts:
        yield from DIGEST.findall(text)
