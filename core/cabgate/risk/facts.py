# SPDX-License-Identifier: Apache-2.0
"""What the risk model may ask of evidence: one function for each fact."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from cabgate.api.evidence import Evidence, ManualTestingStatus
from cabgate.risk.evidence import incomplete_package


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


def incomplete_evidence(evidence: Evidence) -> str | None:
    """Why the evidence package is incomplete; None if it is complete."""
    missing = incomplete_package(evidence)
    return f"the evidence package lacks {', '.join(missing)}" if missing else None


def failed_tests(evidence: Evidence) -> str | None:
    """That tests failed; None if none did."""
    failed = evidence.test_results.failed if evidence.test_results else None
    if not failed:
        return None
    return f"{failed} test{'' if failed == 1 else 's'} failed"


def critical_findings(evidence: Evidence) -> str | None:
    """That the scan found something critical; None if it did not."""
    critical = evidence.scan_results.critical if evidence.scan_results else None
    if not critical:
        return None
    return f"the scan has {critical} critical finding{'' if critical == 1 else 's'}"


FLOOR_FACTS: dict[str, Callable[[Evidence], str | None]] = {
    "IncompleteEvidence": incomplete_evidence,
    "FailedTests": failed_tests,
    "CriticalFindings": critical_findings,
}
"""The facts that a floor of a risk model may read, by its name: why it applies, or None."""
