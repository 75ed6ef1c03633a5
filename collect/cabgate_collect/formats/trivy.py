# SPDX-License-Identifier: Apache-2.0
"""Trivy's JSON: a finding counts once for each package, however many paths lead to it."""

from collections import Counter
from collections.abc import Collection, Iterator
from itertools import count

from msgspec import Struct, field

from cabgate_collect.documents import read_json
from cabgate_collect.facts import (
    Facts,
    Findings,
    Format,
    Moment,
    Severity,
    UnreadableReportError,
    named_images,
)

_SEVERITIES = {severity.value.upper(): severity for severity in Severity}
_PACKAGES = frozenset({"os-pkgs", "lang-pkgs", ""})
"""Classes of results in which vulnerabilities were looked for; releases of long ago say none."""

_REVISION = "org.opencontainers.image.revision"


class _Identifier(Struct):
    purl: str | None = field(default=None, name="PURL")


class _Vulnerability(Struct):
    id: str = field(name="VulnerabilityID")
    package: str = field(default="", name="PkgName")
    version: str = field(default="", name="InstalledVersion")
    identifier: _Identifier | None = field(default=None, name="PkgIdentifier")
    severity: str | None = field(default=None, name="Severity")


class _Misconfiguration(Struct):
    severity: str | None = field(default=None, name="Severity")
    status: str | None = field(default=None, name="Status")


class _Secret(Struct):
    severity: str | None = field(default=None, name="Severity")


class _Modified(Struct):
    status: str | None = field(default=None, name="Status")


class _Result(Struct):
    class_: str = field(default="", name="Class")
    vulnerabilities: list[_Vulnerability] | None = field(default=None, name="Vulnerabilities")
    misconfigurations: list[_Misconfiguration] | None = field(
        default=None, name="Misconfigurations"
    )
    secrets: list[_Secret] | None = field(default=None, name="Secrets")
    modified: list[_Modified] | None = field(default=None, name="ExperimentalModifiedFindings")


class _Config(Struct):
    labels: dict[str, str] | None = field(default=None, name="Labels")


class _ImageConfig(Struct):
    config: _Config | None = None


class _Metadata(Struct):
    tags: list[str] | None = field(default=None, name="RepoTags")
    digests: list[str] | None = field(default=None, name="RepoDigests")
    config: _ImageConfig | None = field(default=None, name="ImageConfig")
    commit: str | None = field(default=None, name="Commit")


class _Version(Struct):
    version: str = field(default="", name="Version")


class _Report(Struct):
    schema: int = field(name="SchemaVersion")
    name: str = field(default="", name="ArtifactName")
    type: str = field(default="", name="ArtifactType")
    created: str | None = field(default=None, name="CreatedAt")
    trivy: _Version | None = field(default=None, name="Trivy")
    metadata: _Metadata | None = field(default=None, name="Metadata")
    results: list[_Result] | None = field(default=None, name="Results")


def parse(data: bytes) -> Facts:
    """The facts of a report. Raises `UnreadableReportError`."""
    report = read_json(data, _Report)
    if report.schema != 2:
        raise UnreadableReportError(f"SchemaVersion {report.schema}; allowed: 2, of Trivy 0.20 on")
    worst: dict[tuple[str | int, ...], Severity] = {}
    seen: set[str] = set()
    for key, text in _findings(report.results or []):
        seen.add(text)
        severity = _SEVERITIES.get(text, Severity.HIGH)
        worst[key] = Severity.worst(severity, worst.get(key, severity))
    unknown = seen - _SEVERITIES.keys()
    readings = ("findings without a severity that is known count as high",) if unknown else ()
    nothing = _why_nothing(report.results or [], worst)
    version = report.trivy.version if report.trivy else ""
    return Facts(
        Format.TRIVY,
        findings=None if nothing else Findings.of(worst.values()),
        apart=dict(_apart(report.results or [])),
        tools=(f"trivy {version}".strip(),),
        images=_images(report),
        commits=tuple(_commits(report)),
        made=Moment.read(report.created or ""),
        nothing=nothing,
        readings=readings,
    )


def _why_nothing(results: list[_Result], found: Collection[object]) -> str | None:
    """Why a report says nothing, if it does not."""
    if not results:
        return "holds no result: Trivy found nothing that it can scan"
    if not found and not any(result.class_ in _PACKAGES for result in results):
        return "holds no packages: Trivy did not look for vulnerabilities (--scanners)"
    return None


def _findings(results: list[_Result]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What tells each finding from others, and its severity in capitals. Vulnerabilities alone are
    listed by several paths."""
    number = count()
    for result in results:
        for found in result.vulnerabilities or []:
            purl = found.identifier.purl if found.identifier else None
            package = (purl,) if purl else (found.package, found.version)
            known = found.id and any(package)
            key = ("vulnerability", found.id, *package) if known else (next(number),)
            yield key, (found.severity or "").upper()
        for wrong in result.misconfigurations or []:
            if wrong.status != "PASS":
                yield (next(number),), (wrong.severity or "").upper()
        for secret in result.secrets or []:
            yield (next(number),), (secret.severity or "").upper()


def _apart(results: list[_Result]) -> Counter[str]:
    """What was found and is hidden, by why: ignored, not_affected, and so on."""
    hidden = [each for result in results for each in result.modified or []]
    return Counter((each.status or "ignored")[:40] for each in hidden)


def _images(report: _Report) -> tuple[str, ...] | None:
    if report.type not in ("container_image", ""):
        return ()  # a folder or a repository: no image is named, and one is needed
    metadata = report.metadata or _Metadata()
    return named_images(report.name, metadata.tags or [], metadata.digests or [])


def _commits(report: _Report) -> Iterator[str]:
    metadata = report.metadata or _Metadata()
    if metadata.commit:
        yield metadata.commit
    config = metadata.config.config if metadata.config else None
    revision = (config.labels or {}).get(_REVISION) if config else None
    if revision:
        yield revision
