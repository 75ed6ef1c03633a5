# SPDX-License-Identifier: Apache-2.0
"""Trivy's JSON: a finding counts once for each package, however many paths lead to it."""

from collections import Counter
from collections.abc import Iterator

from msgspec import Struct, field

from cabgate_collect.documents import read_json
from cabgate_collect.facts import (
    Facts,
    Findings,
    Format,
    Moment,
    Severity,
    UnreadableReportError,
)

_SEVERITIES = {severity.value.upper(): severity for severity in Severity}
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
    id: str = field(default="", name="ID")
    severity: str | None = field(default=None, name="Severity")
    status: str | None = field(default=None, name="Status")


class _Secret(Struct):
    id: str = field(default="", name="RuleID")
    severity: str | None = field(default=None, name="Severity")
    line: int = field(default=0, name="StartLine")


class _Modified(Struct):
    status: str | None = field(default=None, name="Status")


class _Result(Struct):
    target: str = field(default="", name="Target")
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
    worst: dict[tuple[str, ...], Severity] = {}
    seen: set[str | None] = set()
    for key, text in _findings(report.results or []):
        seen.add(text)
        severity = _SEVERITIES.get(text or "", Severity.HIGH)
        worst[key] = Severity.worst(severity, worst.get(key, severity))
    findings = Findings()
    for severity in worst.values():
        findings = findings.plus(severity)
    unknown = seen - _SEVERITIES.keys()
    readings = ("findings without a severity that is known count as high",) if unknown else ()
    nothing = None if report.results else "holds no result: Trivy found nothing that it can scan"
    version = report.trivy.version if report.trivy else ""
    return Facts(
        Format.TRIVY,
        findings=None if nothing else findings,
        apart=dict(_apart(report.results or [])),
        tools=(f"trivy {version}".strip(),),
        images=_images(report),
        commits=tuple(_commits(report)),
        made=Moment.read(report.created or ""),
        nothing=nothing,
        readings=readings,
    )


def _findings(results: list[_Result]) -> Iterator[tuple[tuple[str, ...], str | None]]:
    """What tells each finding from others, and its severity as it is written."""
    for result in results:
        for found in result.vulnerabilities or []:
            purl = found.identifier.purl if found.identifier else None
            package = (purl,) if purl else (found.package, found.version)
            yield ("vulnerability", found.id, *package), found.severity
        for wrong in result.misconfigurations or []:
            if wrong.status != "PASS":
                yield ("misconfiguration", wrong.id, result.target), wrong.severity
        for secret in result.secrets or []:
            yield ("secret", secret.id, result.target, str(secret.line)), secret.severity


def _apart(results: list[_Result]) -> Counter[str]:
    """What was found and is hidden, by why: ignored, not_affected, and so on."""
    hidden = [each for result in results for each in result.modified or []]
    return Counter((each.status or "ignored")[:40] for each in hidden)


def _images(report: _Report) -> tuple[str, ...] | None:
    if report.type not in ("container_image", ""):
        return ()  # a folder or a repository: no image is named, and one is needed
    metadata = report.metadata or _Metadata()
    return (report.name, *(metadata.tags or []), *(metadata.digests or []))


def _commits(report: _Report) -> Iterator[str]:
    metadata = report.metadata or _Metadata()
    if metadata.commit:
        yield metadata.commit
    config = metadata.config.config if metadata.config else None
    revision = (config.labels or {}).get(_REVISION) if config else None
    if revision:
        yield revision
