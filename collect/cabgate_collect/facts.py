# SPDX-License-Identifier: Apache-2.0
"""What a report says, whatever tool wrote it."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Self

MAX_COUNT = 1_000_000_000
"""Most of anything that evidence counts."""

DIGEST = re.compile(r"sha256:[0-9a-f]{64}(?![0-9a-f])")
"""The digest of an image."""


def named_images(name: str, tags: Iterable[str], digests: Iterable[str]) -> tuple[str, ...]:
    """What a scan of one image says that it is of: as somebody typed it, and as the scanner found
    it. A digest that was typed is not believed beside others that were found."""
    found = {each for text in digests for each in DIGEST.findall(text)}
    typed = DIGEST.findall(name)
    believed = not (typed and found) or found.issuperset(typed)
    return (*((name,) if believed else ()), *tags, *digests)


class Format(StrEnum):
    """The formats that are read, as their options are called."""

    JUNIT = "junit"
    COBERTURA = "cobertura"
    JACOCO = "jacoco"
    COVERAGE_PY = "coverage-py"
    SARIF = "sarif"
    TRIVY = "trivy"
    CYCLONEDX = "cyclonedx"

    @property
    def full_name(self) -> str:
        """Its name for people."""
        return _TITLES[self]


_TITLES = {
    Format.JUNIT: "JUnit XML",
    Format.COBERTURA: "Cobertura XML",
    Format.JACOCO: "JaCoCo XML",
    Format.COVERAGE_PY: "coverage.py JSON",
    Format.SARIF: "SARIF 2 JSON",
    Format.TRIVY: "Trivy JSON",
    Format.CYCLONEDX: "CycloneDX JSON",
}


class UnreadableReportError(ValueError):
    """A report that cannot be read, or not as what it was given for; the message says why, where in
    it, and what to do."""


class Severity(StrEnum):
    """How bad a finding is, the worst first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @classmethod
    def worst(cls, *found: Self) -> Self:
        """The worst of some, at least one."""
        return next(severity for severity in cls if severity in found)

    @classmethod
    def of_score(cls, score: float) -> "Severity":
        """That of a score from 0 to 10, as CVSS has it."""
        limits = ((9.0, cls.CRITICAL), (7.0, cls.HIGH), (4.0, cls.MEDIUM))
        return next((severity for least, severity in limits if score >= least), cls.LOW)


@dataclass(frozen=True)
class Tests:
    """Outcomes of test cases, each case once."""

    __test__ = False  # not a test class, whatever pytest thinks of its name

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: "Tests") -> "Tests":
        return Tests(
            self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped
        )


@dataclass(frozen=True)
class Lines:
    """Lines of code that tests can reach, and those that they did."""

    covered: int
    total: int

    def __add__(self, other: "Lines") -> "Lines":
        return Lines(self.covered + other.covered, self.total + other.total)

    def worse_than(self, other: "Lines") -> bool:
        """Whether a smaller part of these is covered; both have lines."""
        return self.covered * other.total < other.covered * self.total


@dataclass(frozen=True)
class Findings:
    """Findings of a scan by severity."""

    critical: int = 0
    high: int = 0
    medium: int = 0
    low: int = 0

    def __add__(self, other: "Findings") -> "Findings":
        return Findings(
            self.critical + other.critical,
            self.high + other.high,
            self.medium + other.medium,
            self.low + other.low,
        )

    @classmethod
    def of(cls, severities: Iterable[Severity]) -> "Findings":
        """One for each severity."""
        return cls(**Counter(severity.value for severity in severities))

    def plus(self, severity: Severity) -> "Findings":
        """With one more."""
        return replace(self, **{severity.value: getattr(self, severity.value) + 1})


_FIRST_YEAR = 1990
"""What is older was not made by any of these tools."""

_EASTERNMOST = timedelta(hours=14)
"""How far ahead of UTC a clock may be."""


@dataclass(frozen=True)
class Moment:
    """When a report was made, as it says."""

    at: datetime
    """With a time zone."""
    zoned: bool = True
    """Whether the report says the zone; else `at` is the earliest that it can be."""

    @classmethod
    def read(cls, text: str) -> "Moment | None":
        """A moment as reports write it, ISO 8601 or as HTTP has it; None if it is none, as what
        tools write of a time that they do not know."""
        text = text.strip()
        try:
            found = parsedate_to_datetime(text) if "," in text else datetime.fromisoformat(text)
            if found.year < _FIRST_YEAR:
                return None
            if found.tzinfo is not None:
                return cls(found.astimezone(UTC))
            return cls(found.replace(tzinfo=UTC) - _EASTERNMOST, zoned=False)
        except (ValueError, OverflowError, TypeError, IndexError):
            return None

    @classmethod
    def of_epoch(cls, seconds: float) -> "Moment | None":
        """A moment as seconds since 1970; None if it is none."""
        try:
            return cls(datetime.fromtimestamp(seconds, UTC))
        except (ValueError, OverflowError, OSError):
            return None


@dataclass(frozen=True)
class Facts:
    """What one report says."""

    format: Format
    tests: Tests | None = None
    """None if it has none."""
    lines: Lines | None = None
    """None if it has none."""
    findings: Findings | None = None
    """None if nothing was scanned."""
    apart: Mapping[str, int] = field(default_factory=dict)
    """What is told and not counted, such as findings that somebody suppressed."""
    components: int | None = None
    """Components that a bill of materials lists."""
    tools: tuple[str, ...] = ()
    """Name and version of what made it."""
    images: tuple[str, ...] | None = None
    """References and digests of the image that it is about; None if it is about none, empty if it
    does not say about which."""
    commits: tuple[str, ...] = ()
    """The commits that it says it is of."""
    made: Moment | None = None
    """When, if it says so."""
    nothing: str | None = None
    """Why it says nothing that counts, such as that no test ran."""
    readings: tuple[str, ...] = ()
    """Where it can be read two ways, and which one counts."""
