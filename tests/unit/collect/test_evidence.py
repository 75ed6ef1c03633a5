# SPDX-License-Identifier: Apache-2.0
"""Which reports count, and what they come to."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api.evidence import Evidence
from cabgate_collect.evidence import (
    asked_parts,
    evidence_of,
    is_report,
    judged,
    list_digest,
    percent,
    unscanned,
)
from cabgate_collect.facts import Facts, Findings, Format, Lines, Moment, Severity, Tests
from cabgate_collect.merits import Wanted, why_not

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
DIGEST = "sha256:" + "1f2e3d4c" * 8
OTHER = "sha256:" + "0" * 64
IMAGE = f"registry.example.com/checkout@{DIGEST}"
COMMIT = "1f2e3d4c5b6a79880102030405060708090a0b0c"


def trivy(*images: str, **findings: int) -> Facts:
    return Facts(Format.TRIVY, findings=Findings(**findings), images=images, tools=("trivy 0.60",))


@pytest.mark.parametrize(
    ("asked", "stated", "counts"),
    [
        (IMAGE, (IMAGE,), True),
        (IMAGE, (f"mirror.example.com/checkout@{DIGEST}",), True),
        (f"registry.example.com/checkout:1.5@{DIGEST}", (IMAGE,), True),
        (IMAGE, (DIGEST,), True),
        (IMAGE, (f"registry.example.com/checkout@{OTHER}",), False),
        (IMAGE, ("registry.example.com/checkout:1.5",), False),
        (IMAGE, (), False),
        ("checkout:1.5", ("checkout:1.5",), True),
        ("checkout:1.5", ("checkout:1.50", "other:1.5"), False),
        ("checkout:1.5", (DIGEST,), False),
    ],
)
def test_a_report_has_to_be_of_the_image(asked: str, stated: tuple[str, ...], counts: bool) -> None:
    why = why_not(trivy(*stated), Wanted(NOW, (asked,)))
    assert (why is None) is counts
    assert counts or "image" in str(why)


@pytest.mark.parametrize(
    ("stated", "counts"),
    [
        ((), True),
        ((COMMIT,), True),
        ((COMMIT.upper(),), True),
        ((COMMIT[:7],), True),
        ((COMMIT[:6],), False),
        (("0" * 40,), False),
        ((COMMIT, "0" * 40), False),
        ((" ",), False),
    ],
)
def test_a_report_has_to_be_of_the_commit(stated: tuple[str, ...], counts: bool) -> None:
    why = why_not(Facts(Format.SARIF, commits=stated), Wanted(NOW, commit=COMMIT))
    assert (why is None) is counts
    assert counts or "another commit" in str(why)
    assert why_not(Facts(Format.SARIF, commits=stated), Wanted(NOW)) is None


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ("2026-11-27T11:00:00Z", None),
        ("2026-11-26T12:00:00Z", None),
        ("2026-11-26T11:59:59Z", "too old"),
        ("2026-11-26T13:59:59+02:00", "too old"),
        ("2026-11-27T12:05:00Z", None),
        ("2026-11-27T12:05:01Z", "still to come"),
        ("2026-11-27T02:00:00", None),  # without a zone it may have been fourteen hours before
        ("2026-11-27T01:59:59", "names no zone"),
        ("Fri, 27 Nov 2026 11:00:00 GMT", None),
        ("0001-01-01T00:00:00Z", "does not say when"),
        ("yesterday", "does not say when"),
        ("", "does not say when"),
    ],
)
def test_a_report_has_to_be_recent_where_that_is_asked(made: str, says: str | None) -> None:
    facts = Facts(Format.JUNIT, made=Moment.read(made))
    why = why_not(facts, Wanted(NOW, max_age=timedelta(hours=24)))
    assert (why is None) if says is None else (says in str(why))
    assert why_not(facts, Wanted(NOW)) is None


@pytest.mark.parametrize(
    ("covered", "total", "expected"),
    [
        (9, 10, 90.0),
        (90001, 100_000, 90.001),
        (899_999_999, 1_000_000_000, 89.9999),  # never up to the limit of a band
        (0, 5, 0.0),
        (1, 100, 0.0),  # 1 could be a share
        (1, 1000, 0.0),
        (101, 10_000, 1.01),
        (5, 5, 100.0),
        (2, 3, 66.6666),
    ],
)
def test_coverage_is_rounded_down(covered: int, total: int, expected: float) -> None:
    assert percent(Lines(covered, total)) == expected


@given(st.integers(1, 10**9), st.data())
def test_coverage_is_never_above_what_is_covered(total: int, data: st.DataObject) -> None:
    covered = data.draw(st.integers(0, total))
    found = percent(Lines(covered, total))
    assert found * total <= 100 * covered * (1 + 1e-12)
    Evidence.model_validate({"testResults": {"coveragePercent": found}})


@pytest.mark.parametrize(
    ("score", "severity"),
    [(10, "critical"), (9.0, "critical"), (8.99, "high"), (7.0, "high"), (6.9, "medium"),
     (4.0, "medium"), (3.9, "low"), (0, "low")],
)  # fmt: skip
def test_a_score_has_a_severity(score: float, severity: str) -> None:
    assert Severity.of_score(score) is Severity(severity)


def outcome(*triple: int) -> Facts:
    return Facts(Format.JUNIT, tests=Tests(*triple))


def test_reports_are_summed_and_each_digest_is_kept() -> None:
    wanted = Wanted(NOW, (IMAGE,))
    a, b, c, d = (hashlib.sha256(text).hexdigest() for text in (b"a", b"b", b"c", b"d"))
    reports = judged(
        [
            ("a.xml", a, outcome(3, 1, 0)),
            ("b.xml", b, outcome(2, 0, 5)),
            ("c.xml", c, Facts(Format.COBERTURA, lines=Lines(9, 10))),
            ("d.json", d, trivy(IMAGE, critical=1, low=4)),
        ],
        wanted,
    )
    found = evidence_of(reports, wanted, components=3)
    of_tests = list_digest([a, b, c])
    lines = "".join(f"{digest}\n" for digest in sorted([a, b, c]))
    assert of_tests == hashlib.sha256(lines.encode()).hexdigest()
    assert found == {
        "artifacts": [
            {"name": "junit a.xml", "sha256": a, "images": [IMAGE]},
            {"name": "junit b.xml", "sha256": b, "images": [IMAGE]},
            {"name": "cobertura c.xml", "sha256": c, "images": [IMAGE]},
            {"name": "trivy d.json", "sha256": d, "images": [IMAGE]},
        ],
        "testResults": {
            "coveragePercent": 90.0, "passed": 5, "failed": 1, "skipped": 5, "sha256": of_tests,
        },
        "scanResults": {
            "critical": 1, "high": 0, "medium": 0, "low": 4, "scanner": "trivy 0.60", "sha256": d,
        },
        "scope": {"affectedComponents": 3},
    }  # fmt: skip
    Evidence.model_validate(found)
    assert all(is_report(artifact["name"]) for artifact in found["artifacts"])
    assert not any(map(is_report, ("deployment/checkout", "junit", "junit-results a", "sbom x")))


def test_many_reports_of_a_format_are_named_together() -> None:
    wanted = Wanted(NOW)
    digests = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(300)]
    reports = judged([(f"{n}.xml", d, outcome(1)) for n, d in enumerate(digests)], wanted)
    found = evidence_of(reports, wanted)
    assert found["artifacts"] == [{"name": "junit reports", "sha256": list_digest(digests)}]
    assert found["testResults"]["passed"] == 300


def test_the_same_report_twice_counts_once() -> None:
    reports = judged([("a", "0" * 64, outcome(1, 1)), ("b", "0" * 64, outcome(1, 1))], Wanted(NOW))
    assert [each.refused for each in reports] == [None, "is the same as a, which counts once"]
    assert evidence_of(reports, Wanted(NOW))["testResults"]["failed"] == 1


def test_what_does_not_count_is_no_evidence() -> None:
    wanted = Wanted(NOW, (IMAGE,))
    reports = judged(
        [
            ("a.xml", "a" * 64, Facts(Format.JUNIT, nothing="holds no test case")),
            ("t.json", "b" * 64, trivy(f"x@{OTHER}", low=1)),
        ],
        wanted,
    )
    assert evidence_of(reports, wanted) == {}
    assert asked_parts(reports, scope=False) == ("testResults", "scanResults")


def test_an_image_without_a_scan_of_its_own_is_not_named() -> None:
    second = f"registry.example.com/side@{OTHER}"
    wanted = Wanted(NOW, (IMAGE, second))
    reports = judged([("a.xml", "a" * 64, outcome(1)), ("t.json", "b" * 64, trivy(IMAGE))], wanted)
    assert unscanned(reports, wanted) == (second,)
    images = [each["images"] for each in evidence_of(reports, wanted)["artifacts"]]
    assert images == [[IMAGE], [IMAGE]]
    assert unscanned(reports[:1], wanted) == ()


@pytest.mark.parametrize("format_", [Format.SARIF, Format.CYCLONEDX])
def test_a_scan_of_one_image_by_whatever_tool_is_none_of_another(format_: Format) -> None:
    second = f"registry.example.com/side@{OTHER}"
    wanted = Wanted(NOW, (IMAGE, second))
    of_one = Facts(format_, findings=Findings(), images=(IMAGE,))
    reports = judged([("s.json", "b" * 64, of_one)], wanted)
    assert unscanned(reports, wanted) == (second,)
    of_all = judged([("s.json", "b" * 64, Facts(format_, findings=Findings()))], wanted)
    assert unscanned(of_all, wanted) == ()
    bill = judged([("s.json", "b" * 64, Facts(format_, images=(IMAGE,)))], wanted)
    assert unscanned(bill, wanted) == ()


def test_names_of_artifacts_are_such_as_an_intent_may_have() -> None:
    path = "a\u202e\u200b\n" + "x" * 400 + "/report.xml"
    found = evidence_of(judged([(path, "a" * 64, outcome(1))], Wanted(NOW)), Wanted(NOW))
    name = found["artifacts"][0]["name"]
    assert name.startswith("junit ...")
    assert name.endswith("/report.xml")
    assert name.isascii()
    assert len(name) <= 256
