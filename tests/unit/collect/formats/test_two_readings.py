# SPDX-License-Identifier: Apache-2.0
"""Reports that somebody made to be read two ways: the worse reading counts."""

import json
from typing import Any

import pytest

from cabgate_collect.facts import Facts, Format
from cabgate_collect.reading import read_report
from unit.collect.described import described

DIGEST = "sha256:" + "1f2e3d4c" * 8
OTHER = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        # a failure counts wherever it stands
        ("<testcase><steps><failure/></steps></testcase>", "0 passed, 1 failed, 0 skipped"),
        ("<testcase/><setup><error/></setup>", "0 passed, 1 failed, 0 skipped"),
        ("<testcase><testcase/><x><failure/></x></testcase>", "1 passed, 1 failed, 0 skipped"),
        # a case that does not say that it passed did not
        ('<testcase status="aborted"/>', "0 passed, 1 failed, 0 skipped"),
        ('<testcase status="timed_out"/>', "0 passed, 1 failed, 0 skipped"),
        ('<testcase result="panicked"/>', "0 passed, 1 failed, 0 skipped"),
        ('<testcase status="run" result="crashed"/>', "0 passed, 1 failed, 0 skipped"),
        ('<testcase status="Not Run"/>', "0 passed, 0 failed, 1 skipped"),
        ('<testcase status="not-run"/>', "0 passed, 0 failed, 1 skipped"),
        ('<testcase status="run" result="completed"/>', "1 passed, 0 failed, 0 skipped"),
        ('<testcase status="PASSED"/>', "1 passed, 0 failed, 0 skipped"),
        ('<testcase status=""/>', "1 passed, 0 failed, 0 skipped"),
    ],
)
def test_junit(inside: str, expected: str) -> None:
    data = f"<testsuites><testsuite>{inside}</testsuite></testsuites>".encode()
    assert described(data, Format.JUNIT) == expected


def test_a_status_that_nobody_knows_is_told() -> None:
    facts = read_report(b'<testsuite><testcase status="odd"/></testsuite>', Format.JUNIT)
    assert facts.readings == (
        "1 of its cases fail by their status alone, or have one that is not known: they count as "
        "failed",
    )


TIMED = 'timestamp="2026-11-27T08:00:00Z"'


@pytest.mark.parametrize(
    ("report", "says"),
    [
        (f"<testsuites><testsuite {TIMED}><testcase/></testsuite></testsuites>", True),
        (f"<testsuites {TIMED}><testsuite><testcase/></testsuite></testsuites>", True),
        (f"<testsuites><testsuite {TIMED}><testcase/></testsuite><testsuite/></testsuites>", True),
        (
            f"<testsuites><testsuite {TIMED}><testcase/></testsuite>"
            "<testsuite><testcase/></testsuite></testsuites>",
            False,  # the second may be of last year
        ),
    ],
)
def test_a_report_says_when_it_was_made_if_all_its_cases_do(report: str, says: bool) -> None:
    assert (read_report(report.encode(), Format.JUNIT).made is not None) is says


def a_class(file: str, hits: int, inside: str = "") -> str:
    lines = f'<lines><line number="1" hits="{hits}"/></lines>'
    return f'<class name="C" filename="{file}">{lines}{inside}</class>'


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        # a class in a class would hide the lines of the outer one
        (a_class("a", 0, a_class("b", 1)), "unreadable"),
        # files of one name, of two modules, are two files with a line each
        (a_class("a", 0) + a_class("a", 0) + a_class("b", 1), "1 of 3 lines"),
        (a_class("a", 0) + a_class("b", 1), "1 of 2 lines"),
    ],
)
def test_cobertura(classes: str, expected: str) -> None:
    data = f'<coverage line-rate="1.0">{classes}</coverage>'.encode()
    assert described(data, Format.COBERTURA) == expected


COVERED = '<counter type="LINE" missed="0" covered="99"/>'
MISSED = '<counter type="LINE" missed="9" covered="0"/>'


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        # what stands in itself, or twice, could be any of the two
        (COVERED + MISSED, "unreadable"),
        (f"<group><report>{COVERED}</report></group>{MISSED}", "unreadable"),
        (f"<package><package>{COVERED}</package>{MISSED}</package>", "unreadable"),
        (f"<package>{COVERED}</package><package>{MISSED}</package>", "99 of 108 lines"),
        # a line is one line, however often it is listed
        (
            '<package><sourcefile><line nr="1" ci="1"/><line nr="1" ci="1"/><line nr="2" ci="0"/>'
            '</sourcefile><sourcefile><line nr="2" ci="1"/></sourcefile></package>',
            "2 of 3 lines",
        ),
        (
            '<package><sourcefile><line nr="1" ci="1"/><line nr="1" ci="0"/></sourcefile>'
            "</package>",
            "0 of 1 lines",
        ),
    ],
)
def test_jacoco(inside: str, expected: str) -> None:
    assert described(f"<report>{inside}</report>".encode(), Format.JACOCO) == expected


def sarif(*runs: dict[str, Any], **log: Any) -> Facts:
    tool = {"driver": {"name": "x", "rules": [{"id": "R"}, {"id": "S"}]}}
    whole = {"version": "2.1.0", "runs": [{"tool": tool, **run} for run in runs], **log}
    return read_report(json.dumps(whole).encode(), Format.SARIF)


@pytest.mark.parametrize("descriptor", [{"id": "R"}, {"index": 0}])
def test_a_rule_that_an_invocation_makes_an_error_is_one(descriptor: dict[str, Any]) -> None:
    override = {"descriptor": descriptor, "configuration": {"level": "error"}}
    invocation = {"executionSuccessful": True, "ruleConfigurationOverrides": [override]}
    results = [{"ruleId": "R"}, {"ruleId": "S"}]
    found = sarif({"results": results, "invocations": [invocation]}).findings
    assert found is not None
    assert (found.high, found.medium) == (1, 1)


@pytest.mark.parametrize("reference", [{"index": 0}, {"name": "e"}, {"guid": "g", "name": "x"}])
def test_a_rule_of_an_extension_is_found_however_it_is_named(reference: dict[str, Any]) -> None:
    rules = [{"id": "A", "properties": {"security-severity": "9.9"}}]
    extension = {"name": "e", "guid": "g", "rules": rules}
    tool = {"driver": {"name": "x", "rules": [{"id": "R"}]}, "extensions": [extension]}
    rule = {"index": 0, "toolComponent": reference}
    found = sarif({"tool": tool, "results": [{"rule": rule}]}).findings
    assert found is not None
    assert found.critical == 1


def test_results_in_another_place_of_the_log_are_no_empty_scan() -> None:
    facts = sarif({"results": []}, inlineExternalProperties=[{"results": [{"level": "error"}]}])
    assert facts.findings is None
    assert facts.nothing is not None


def test_results_in_another_file_are_no_empty_scan() -> None:
    elsewhere = {"results": [{"location": {"uri": "results.sarif-external-properties"}}]}
    facts = sarif({"results": [], "externalPropertyFileReferences": elsewhere})
    assert facts.findings is None
    assert "other files" in str(facts.nothing)


def test_a_log_is_as_old_as_a_run_of_it_that_does_not_say() -> None:
    said: dict[str, Any] = {
        "results": [],
        "invocations": [{"executionSuccessful": True, "endTimeUtc": "2026-11-27T08:00:00Z"}],
    }
    assert sarif(said).made is not None
    assert sarif(said, said).made is not None
    assert sarif(said, {"results": []}).made is None


def test_a_log_of_an_image_is_of_that_image() -> None:
    image = {"imageName": "checkout:1.5", "repoTags": None, "repoDigests": [f"checkout@{OTHER}"]}
    assert sarif({"results": [], "properties": image}).images == (
        "checkout:1.5",
        f"checkout@{OTHER}",
    )
    assert sarif({"results": []}).images is None


def trivy(*results: dict[str, Any], **metadata: Any) -> Facts:
    whole = {
        "SchemaVersion": 2,
        "ArtifactName": f"checkout@{DIGEST}",
        "ArtifactType": "container_image",
        "Metadata": metadata,
        "Results": list(results),
    }
    return read_report(json.dumps(whole).encode(), Format.TRIVY)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"Vulnerabilities": [{"VulnerabilityID": "A", "Severity": "critical"}]}, (1, 0)),
        # what has neither a package nor an identifier may be anything
        ({"Vulnerabilities": [{"VulnerabilityID": "", "Severity": "CRITICAL"}] * 3}, (3, 0)),
        # a check may fail in several lines of one file
        ({"Misconfigurations": [{"ID": "K", "Severity": "HIGH", "Status": "FAIL"}] * 3}, (0, 3)),
        ({"Secrets": [{"RuleID": "K", "Severity": "HIGH", "StartLine": 1}] * 2}, (0, 2)),
        ({"Class": "os-pkgs", "Vulnerabilities": None}, (0, 0)),
    ],
)
def test_trivy(result: dict[str, Any], expected: tuple[int, int]) -> None:
    found = trivy({"Target": "a", **result}).findings
    assert found is not None
    assert (found.critical, found.high) == expected


@pytest.mark.parametrize("class_", ["license", "license-file", "secret", "config"])
def test_what_looked_for_no_vulnerability_and_found_nothing_is_no_scan(class_: str) -> None:
    facts = trivy({"Target": "a", "Class": class_})
    assert facts.findings is None
    assert "no packages" in str(facts.nothing)
    assert trivy({"Target": "a", "Class": class_}, {"Class": "lang-pkgs"}).findings is not None


def test_the_name_of_an_image_is_not_believed_beside_other_digests() -> None:
    facts = trivy({"Class": "os-pkgs"}, RepoDigests=[f"checkout@{OTHER}"])
    assert facts.images == (f"checkout@{OTHER}",)
    same = trivy({"Class": "os-pkgs"}, RepoDigests=[f"mirror/checkout@{DIGEST}"])
    assert same.images == (f"checkout@{DIGEST}", f"mirror/checkout@{DIGEST}")
    assert trivy({"Class": "os-pkgs"}).images == (f"checkout@{DIGEST}",)


@pytest.mark.parametrize(
    ("vulnerabilities", "expected"),
    [
        ([{"ratings": [{"severity": "low", "score": 9.8, "method": "CVSSv31"}]}], (1, 0, 0, 0)),
        ([{"ratings": [{"severity": "low", "score": 9.8, "method": None}]}], (1, 0, 0, 0)),
        ([{"ratings": [{"severity": "low", "score": 40, "method": "OWASP"}]}], (0, 0, 0, 1)),
        ([{"ratings": [{"severity": "CRITICAL"}]}], (1, 0, 0, 0)),
        ([{"ratings": [{"score": -1}]}], (0, 1, 0, 0)),
        # without an identifier each is one of its own
        ([{"ratings": [{"severity": "high"}], "affects": [{"ref": "a"}]}] * 3, (0, 3, 0, 0)),
    ],
)
def test_cyclonedx(vulnerabilities: list[dict[str, Any]], expected: tuple[int, ...]) -> None:
    bom = {"bomFormat": "CycloneDX", "specVersion": "1.6", "vulnerabilities": vulnerabilities}
    found = read_report(json.dumps(bom).encode(), Format.CYCLONEDX).findings
    assert found is not None
    assert (found.critical, found.high, found.medium, found.low) == expected
