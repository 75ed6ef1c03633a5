# SPDX-License-Identifier: Apache-2.0
"""JUnit XML: each case is counted where it stands, however deep the suites are nested.

A suite that says more failures than it lists is believed. An error is a failure. A report without a
case is not a report that all is well.
"""

import re
from dataclasses import dataclass
from operator import attrgetter

from cabgate_collect.documents import Attributes, count_of, read_xml
from cabgate_collect.facts import Facts, Format, Moment, Tests, UnreadableReportError

ROOTS = frozenset({"testsuites", "testsuite"})
"""Elements that such a report begins with."""

_FAILED = frozenset({"failure", "error", "rerunFailure", "rerunError"})
_SKIPPED = frozenset({"skipped", "disabled", "ignored"})
_FLAKY = frozenset({"flakyFailure", "flakyError"})
_SAYS_PASSED = frozenset(
    {"", "pass", "passed", "ok", "success", "successful", "succeeded", "run", "ran", "executed",
     "complete", "completed", "finished", "done"}
)  # fmt: skip
_SAYS_SKIPPED = frozenset(
    {"skip", "skipped", "notrun", "disabled", "ignored", "pending", "suppressed", "untested",
     "notexecuted"}
)  # fmt: skip
_NO_LETTER = re.compile(r"[^a-z0-9]+")
_COMMIT_PROPERTIES = frozenset({"commit", "git.commit", "git.commit.id", "vcs.revision"})


@dataclass
class _Suite:
    """What is in a suite, and what it says is."""

    timed: bool = False
    """Whether it says when it ran, or one around it does."""
    stated_failed: int = 0
    stated_skipped: int = 0
    stated_tests: int = 0
    failed: int = 0
    skipped: int = 0
    cases: int = 0
    tests: int = 0
    """Cases, and those that it says there are beside them."""


@dataclass
class _Case:
    """A test case that is open."""

    said: frozenset[str] = frozenset()
    """Its status and its result, in small letters alone."""
    failed: bool = False
    skipped: bool = False
    flaky: bool = False
    parent: bool = False
    """Whether there are cases in it."""


class _Report:
    """The elements of a report, and what they come to."""

    def __init__(self) -> None:
        self.suites: list[_Suite] = [_Suite()]  # what stands above the root
        self.cases: list[_Case] = []
        self.passed = 0
        self.moments: list[Moment] = []
        self.commits: list[str] = []
        self.untimed = self.flaky = self.by_status = self.in_suites = self.more_failed = (
            self.more_tests
        ) = 0

    def opened(self, path: list[str], attributes: Attributes) -> None:
        name = path[-1]
        if len(path) == 1 and name not in ROOTS:
            raise UnreadableReportError(f"the root is <{name[:60]}>, and not <testsuites>")
        if name in ROOTS:
            self._suite(attributes)
        elif name == "testcase":
            for case in self.cases:
                case.parent = True
            status = attributes.get("status", ""), attributes.get("result", "")
            said = frozenset(_NO_LETTER.sub("", each.lower()) for each in status)
            self.cases.append(_Case(said))
        elif name == "property" and attributes.get("name") in _COMMIT_PROPERTIES:
            self.commits.append(attributes.get("value", ""))
        elif len(path) > 1:
            self._outcome(name, path[-2])

    def _suite(self, attributes: Attributes) -> None:
        read = {
            name: count_of(attributes, name) or 0
            for name in ("tests", "failures", "errors", "skipped", "disabled", "ignored")
        }
        moment = Moment.read(attributes.get("timestamp", ""))
        if moment is not None:
            self.moments.append(moment)
        self.suites.append(
            _Suite(
                timed=moment is not None or self.suites[-1].timed,
                stated_failed=read["failures"] + read["errors"],
                stated_skipped=max(read["skipped"], read["disabled"], read["ignored"]),
                stated_tests=read["tests"],
            )
        )

    def _outcome(self, name: str, parent: str) -> None:
        if self.cases:
            case = self.cases[-1]
            case.failed |= name in _FAILED  # wherever it stands in it
            if parent == "testcase":
                case.skipped |= name in _SKIPPED
                case.flaky |= name in _FLAKY
        elif name in _FAILED:
            self.suites[-1].failed += 1
            self.in_suites += 1

    def closed(self, path: list[str]) -> None:
        if path[-1] == "testcase":
            self._count(self.cases.pop())
        elif path[-1] in ROOTS:
            suite, above = self.suites.pop(), self.suites[-1]
            self.more_failed += suite.stated_failed > suite.failed
            self.more_tests += suite.stated_tests > suite.cases
            above.failed += max(suite.failed, suite.stated_failed)
            above.skipped += max(suite.skipped, suite.stated_skipped)
            above.cases += suite.cases
            above.tests += max(suite.tests, suite.stated_tests)

    def _count(self, case: _Case) -> None:
        suite = self.suites[-1]
        failed = case.failed or not case.said <= _SAYS_PASSED | _SAYS_SKIPPED
        if case.parent and not failed:
            return  # what is in it was counted
        self.untimed += not suite.timed
        suite.cases += 1
        suite.tests += 1
        if failed:
            suite.failed += 1
            self.by_status += not case.failed
        elif case.skipped or case.said & _SAYS_SKIPPED:
            suite.skipped += 1
        else:
            self.passed += 1
            self.flaky += case.flaky

    def facts(self) -> Facts:
        """What it all comes to."""
        whole = self.suites[0]
        passed = max(0, min(self.passed, whole.tests - whole.failed - whole.skipped))
        tests = Tests(passed, whole.failed, whole.skipped)
        none = whole.cases == 0 and whole.failed == 0
        return Facts(
            Format.JUNIT,
            tests=None if none else tests,
            made=None if self.untimed else min(self.moments, key=attrgetter("at"), default=None),
            commits=tuple(dict.fromkeys(filter(None, self.commits))),
            nothing="holds no test case" if none else None,
            readings=tuple(self._readings()),
        )

    def _readings(self) -> list[str]:
        found = (
            (self.more_failed, "suites say more failures than they list: what they say counts"),
            (self.more_tests, "suites say more tests than they list: what they list counts"),
            (
                self.in_suites,
                "failures are of a suite and of no case: each counts as a failed test",
            ),
            (
                self.by_status,
                "cases fail by their status alone, or have one that is not known: they count as "
                "failed",
            ),
            (self.flaky, "cases failed, were run again and passed: they count as passed"),
        )
        return [f"{number} of its {text}" for number, text in found if number]


def parse(data: bytes) -> Facts:
    """The facts of a report. Raises `UnreadableReportError`."""
    report = _Report()
    read_xml(data, report)
    return report.facts()
