# SPDX-License-Identifier: Apache-2.0
"""Evidence from what reports say: sums, digests, and which images it is about."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from functools import reduce
from operator import add
from typing import Any

from cabgate.api.evidence import may_be_ratio
from cabgate.text.foreign import printed
from cabgate_collect.facts import MAX_COUNT, Facts, Findings, Format, Lines, Tests
from cabgate_collect.merits import Wanted, images_of, why_not

MAX_LISTED = 10
"""Reports of one format that evidence names one by one; more are named together."""

_MAX_PATH = 200
_MAX_SCANNER = 256
_OF_TESTS = {Format.JUNIT, Format.COBERTURA, Format.JACOCO, Format.COVERAGE_PY}
_PERCENT_PLACES = Decimal("0.0001")


@dataclass(frozen=True)
class Report:
    """A report, and what becomes of it."""

    path: str
    """Where it was read."""
    sha256: str
    """Of its bytes."""
    facts: Facts
    refused: str | None
    """Why it does not count; None if it does."""
    images: tuple[str, ...]
    """The images that it is evidence about."""


def judged(found: Iterable[tuple[str, str, Facts]], wanted: Wanted) -> list[Report]:
    """Reports, from path, SHA-256 and facts of each; one that is given twice counts once."""
    reports: list[Report] = []
    first: dict[tuple[Format, str], str] = {}
    for path, sha256, facts in found:
        refused = why_not(facts, wanted)
        before = first.setdefault((facts.format, sha256), path)
        if refused is None and before != path:
            refused = f"is the same as {before}, which counts once"
        images = () if refused else images_of(facts, wanted)
        reports.append(Report(path, sha256, facts, refused, images))
    return reports


def unscanned(reports: Iterable[Report], wanted: Wanted) -> tuple[str, ...]:
    """Images without a scan of their own, where there are scans of single images: nothing is
    evidence about them."""
    scans = [
        each
        for each in reports
        if each.facts.format is Format.TRIVY
        or (each.facts.findings is not None and each.facts.images is not None)
    ]
    if not scans:
        return ()
    scanned = {image for each in scans for image in each.images}
    return tuple(image for image in wanted.images if image not in scanned)


def evidence_of(
    reports: Sequence[Report], wanted: Wanted, components: int | None = None
) -> dict[str, Any]:
    """The parts of the evidence that reports say, as an intent has them. `components` is how many
    the change touches; None if nobody asked."""
    counted = [each for each in reports if each.refused is None]
    parts = {
        "artifacts": _artifacts(counted, unscanned(reports, wanted)),
        "testResults": _test_results(counted),
        "scanResults": _scan_results(counted),
        "scope": {} if components is None else {"affectedComponents": components},
    }
    return {name: part for name, part in parts.items() if part}


def asked_parts(reports: Sequence[Report], *, scope: bool) -> tuple[str, ...]:
    """The parts of the evidence that reports are for, whether they count or not: what those that
    count do not say is missing, whatever was declared before."""
    given = {each.facts.format for each in reports}
    bill = any(each.facts.findings is not None for each in reports)
    parts = {
        "testResults": bool(given & _OF_TESTS),
        "scanResults": bill or bool(given & {Format.SARIF, Format.TRIVY}),
        "scope": scope,
    }
    return tuple(name for name, asked in parts.items() if asked)


def percent(lines: Lines) -> float:
    """Coverage in percent, rounded down; 0 where a percentage could be taken for a share."""
    exact = Decimal(100) * lines.covered / lines.total
    rounded = float(exact.quantize(_PERCENT_PLACES, rounding=ROUND_DOWN))
    return 0.0 if may_be_ratio(rounded) else rounded


def list_digest(digests: Iterable[str]) -> str:
    """What stands for several reports: of one its own SHA-256, of more that of all of them, one a
    line, sorted (`sha256sum FILES | cut -c-64 | sort | sha256sum`)."""
    found = sorted(digests)
    if len(found) == 1:
        return found[0]
    return hashlib.sha256("".join(f"{digest}\n" for digest in found).encode()).hexdigest()


def is_report(name: str) -> bool:
    """Whether an artifact of an intent is one that stands for a report."""
    return name.partition(" ")[0] in set(Format) and " " in name


def _test_results(counted: Sequence[Report]) -> dict[str, Any]:
    of = [each for each in counted if each.facts.tests or each.facts.lines]
    if not of:
        return {}
    result: dict[str, Any] = {}
    lines = [each.facts.lines for each in of if each.facts.lines]
    if lines:
        result["coveragePercent"] = percent(reduce(add, lines))
    tests = [each.facts.tests for each in of if each.facts.tests]
    if tests:
        total: Tests = reduce(add, tests)
        result |= {name: _bounded(getattr(total, name)) for name in ("passed", "failed", "skipped")}
    return {**result, "sha256": list_digest(each.sha256 for each in of)}


def _scan_results(counted: Sequence[Report]) -> dict[str, Any]:
    of = [each for each in counted if each.facts.findings is not None]
    if not of:
        return {}
    total: Findings = reduce(add, (each.facts.findings or Findings() for each in of))
    tools = dict.fromkeys(tool for each in of for tool in each.facts.tools)
    return {
        **{name: _bounded(getattr(total, name)) for name in ("critical", "high", "medium", "low")},
        "scanner": _plain(", ".join(tools), _MAX_SCANNER) or "unknown",
        "sha256": list_digest(each.sha256 for each in of),
    }


def _artifacts(counted: Sequence[Report], without: Sequence[str]) -> list[dict[str, Any]]:
    """One for each report, so that each SHA-256 is kept, and with it the images."""
    many = Counter(each.facts.format for each in counted)
    groups: dict[str, list[Report]] = {}
    for report in counted:
        format_ = report.facts.format
        together = many[format_] > MAX_LISTED
        name = f"{format_} reports" if together else f"{format_} {_plain(report.path, _MAX_PATH)}"
        groups.setdefault(name, []).append(report)
    found = []
    for name, reports in groups.items():
        about = dict.fromkeys(image for each in reports for image in each.images)
        images = [image for image in about if image not in without]
        found.append(
            {
                "name": name,
                "sha256": list_digest(each.sha256 for each in reports),
                **({"images": images} if images else {}),
            }
        )
    return found


def _plain(text: str, most: int) -> str:
    """A text of others as a name may be: on one line, in ASCII, and its end if it is too long."""
    text = printed(text).encode("ascii", "backslashreplace").decode()
    return text if len(text) <= most else f"...{text[3 - most :]}"


def _bounded(number: int) -> int:
    return min(number, MAX_COUNT)
