# SPDX-License-Identifier: Apache-2.0
"""What the risk model may ask of evidence: one function for each fact."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal

from cabgate.api.evidence import Evidence, ManualTestingStatus
from cabgate.api.riskmodel import FactorName, FloorName
from cabgate.api.signer import Section
from cabgate.risk.evidence import incomplete_package
from cabgate.risk.image_evidence import short_image

THIRD_PARTY_IMAGES = FloorName.THIRD_PARTY_IMAGES.value
"""Name of the floor under images that somebody else built."""


@dataclass(frozen=True)
class Fact:
    """What the evidence says of one factor."""

    value: Decimal | str | None
    """The value that the rubric reads; None if the evidence does not say."""
    observed: str
    """The same for people."""
    missing: tuple[str, ...] = ()
    """Field paths of what the evidence does not say."""


def _missing(*paths: str) -> Fact:
    return Fact(None, "missing", paths)


def _number(value: float) -> str:
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def test_coverage(evidence: Evidence) -> Fact:
    """Test coverage in percent."""
    tests = evidence.test_results
    if tests is None or tests.coverage_percent is None:
        return _missing("testResults.coveragePercent")
    # repr is the shortest decimal that is this float: exact for what a person typed.
    return Fact(Decimal(repr(tests.coverage_percent)), f"{_number(tests.coverage_percent)} %")


def security_findings(evidence: Evidence) -> Fact:
    """Critical and high findings together."""
    scan = evidence.scan_results
    critical = scan.critical if scan else None
    high = scan.high if scan else None
    if critical is None or high is None:
        paths = [("scanResults.critical", critical), ("scanResults.high", high)]
        return _missing(*(path for path, value in paths if value is None))
    return Fact(Decimal(critical + high), f"{critical} critical, {high} high")


def change_scope(evidence: Evidence) -> Fact:
    """Number of components that the change touches."""
    count = evidence.scope.affected_components if evidence.scope else None
    if count is None:
        return _missing("scope.affectedComponents")
    return Fact(Decimal(count), f"{count} component{'' if count == 1 else 's'}")


def manual_testing(evidence: Evidence) -> Fact:
    """How far manual testing has come."""
    status = evidence.manual_testing.status if evidence.manual_testing else None
    return _missing("manualTesting.status") if status is None else Fact(status.value, status.value)


def rollback(evidence: Evidence) -> Fact:
    """Whether there is a rollback plan, and whether it was tried."""
    plan = evidence.rollback_plan
    if plan is not None and plan.validated:
        return Fact("Validated", "validated")
    if plan is not None and plan.uri is not None:
        return Fact("NotValidated", "plan, not validated")
    return Fact("None", "no plan", ("rollbackPlan",) if plan is None else ("rollbackPlan.uri",))


FACTOR_FACTS: dict[str, Callable[[Evidence], Fact]] = {
    "testCoverage": test_coverage,
    "securityFindings": security_findings,
    "changeScope": change_scope,
    "manualTesting": manual_testing,
    "rollback": rollback,
}
"""The facts that a factor of a risk model may read, by its name."""

FACTOR_WORDS: dict[str, tuple[str, ...]] = {
    "manualTesting": tuple(status.value for status in ManualTestingStatus),
    "rollback": ("Validated", "NotValidated", "None"),
}
"""The values of the facts that are words; the others are numbers from 0 up."""

FACTOR_SECTIONS = {
    FactorName.TEST_COVERAGE: Section.TEST_RESULTS,
    FactorName.SECURITY_FINDINGS: Section.SCAN_RESULTS,
    FactorName.CHANGE_SCOPE: Section.SCOPE,
    FactorName.MANUAL_TESTING: Section.MANUAL_TESTING,
    FactorName.ROLLBACK: Section.ROLLBACK_PLAN,
}
"""The part of the evidence that each factor reads."""

MAY_NOT_APPLY = frozenset({FactorName.TEST_COVERAGE, FactorName.MANUAL_TESTING})
"""Factors of which nobody can say anything for images that somebody else built."""


@dataclass(frozen=True)
class Judged:
    """What a floor may read."""

    evidence: Evidence
    third_party: Sequence[str] = ()
    """Images of the targets that are declared as built by somebody else."""
    tests_apply: bool = True
    """Whether test results can be asked for: not of images that somebody else built, by a model
    that has a band for these."""
    uncounted: Collection[Section] = ()
    """Parts that count as if they were missing, since a model wants them signed and nobody did."""


def incomplete_evidence(judged: Judged) -> str | None:
    """Why the evidence package is incomplete; None if it is complete."""
    absent = incomplete_package(judged.evidence, tests=judged.tests_apply)
    said = judged.evidence.to_dict()
    counted = {part: value for part, value in said.items() if part not in judged.uncounted}
    missing = incomplete_package(Evidence.model_validate(counted), tests=judged.tests_apply)
    lacking = [path if path in absent else f"{path} (not signed)" for path in missing]
    return f"the evidence package lacks {', '.join(lacking)}" if lacking else None


def failed_tests(judged: Judged) -> str | None:
    """That tests failed; None if none did."""
    evidence = judged.evidence
    failed = evidence.test_results.failed if evidence.test_results else None
    if not failed:
        return None
    return f"{failed} test{'' if failed == 1 else 's'} failed"


def critical_findings(judged: Judged) -> str | None:
    """That the scan found something critical; None if it did not."""
    evidence = judged.evidence
    critical = evidence.scan_results.critical if evidence.scan_results else None
    if not critical:
        return None
    return f"the scan has {critical} critical finding{'' if critical == 1 else 's'}"


def third_party(judged: Judged) -> str | None:
    """That images are said to be built by somebody else; None if none are."""
    images = judged.third_party
    if not images:
        return None
    more = f" and {len(images) - 3} more" if len(images) > 3 else ""
    return (
        f"image{'' if len(images) == 1 else 's'} {', '.join(map(short_image, images[:3]))}{more}: "
        "declared as built by somebody else, so that a person has to agree"
    )


FLOOR_FACTS: dict[str, Callable[[Judged], str | None]] = {
    "IncompleteEvidence": incomplete_evidence,
    "FailedTests": failed_tests,
    "CriticalFindings": critical_findings,
    THIRD_PARTY_IMAGES: third_party,
}
"""The facts that a floor of a risk model may read, by its name: why it applies, or None."""
