# SPDX-License-Identifier: Apache-2.0
"""Reports that are damaged, and reports that say the same in a worse or a doubtful way.

Two kinds. Damage (bytes that flip, go, come twice or come from another report) may make anything of
a report, so of it only this is asked: it is read or refused, and never ends in a traceback. A
restatement takes nothing away that a tool found, and adds what contradicts it: it is never better
than what it was made of.
"""

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cabgate_collect.facts import Facts, Format, UnreadableReportError
from cabgate_collect.reading import read_report
from unit.collect.described import CORPUS, ROWS, format_of


@dataclass(frozen=True)
class Mutant:
    """A report that was changed."""

    name: str
    """Of the report that it was made of."""
    how: str
    data: bytes
    restated: bool


READABLE = sorted(name for name, counts in ROWS.items() if counts not in ("unreadable", "nothing"))
_ALL = sorted(ROWS)
_BYTES = {name: (CORPUS / name).read_bytes() for name in _ALL}
_SMALL = [name for name in READABLE if len(_BYTES[name]) < 40_000]


def mutants(number: int, seed: int) -> Iterator[Mutant]:
    """So many, the same for the same seed: half of them restated."""
    chance = random.Random(seed)  # noqa: S311
    for index in range(number):
        yield restated(chance) if index % 2 else damaged(chance)


def facts_of(mutant: Mutant) -> Facts | None:
    """What a mutant says; None if it is refused. Anything else than a refusal is an error."""
    try:
        return read_report(mutant.data, format_of(mutant.name))
    except UnreadableReportError:
        return None


def better(mutant: Facts, original: Facts) -> str | None:
    """In what a mutant is better than its original; None if in nothing."""
    if mutant.tests and original.tests and mutant.tests.failed < original.tests.failed:
        return f"{mutant.tests} for {original.tests}"
    if mutant.lines and original.lines and original.lines.worse_than(mutant.lines):
        return f"{mutant.lines} for {original.lines}"
    if mutant.findings and original.findings:
        now, then = mutant.findings, original.findings
        if now.critical < then.critical or now.critical + now.high < then.critical + then.high:
            return f"{now} for {then}"
    return None


def damaged(chance: random.Random) -> Mutant:
    """A report with damage."""
    name = chance.choice(_ALL)
    data = bytearray(_BYTES[name])
    how = chance.choice(sorted(_DAMAGE))
    for _ in range(chance.randint(1, 3)):
        if data:
            _DAMAGE[how](data, chance)
    return Mutant(name, how, bytes(data), restated=False)


def _flip(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


def _lose(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    del data[start : start + chance.randint(1, 40)]


def _twice(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    data[start:start] = data[start : start + chance.randint(1, 200)]


def _splice(data: bytearray, chance: random.Random) -> None:
    other = _BYTES[chance.choice(_ALL)]
    if other:
        start = chance.randrange(len(other))
        place = chance.randrange(len(data))
        data[place:place] = other[start : start + chance.randint(1, 200)]


def _number(data: bytearray, chance: random.Random) -> None:
    numbers = list(re.finditer(rb"\d+", data))
    if numbers:
        found = chance.choice(numbers)
        data[found.start() : found.end()] = chance.choice(
            (b"-1", b"0", b"1e9", b"9" * 20, b"9" * 5000, b"NaN", b"Infinity", b"null", b"", b"0x1")
        )


def _token(data: bytearray, chance: random.Random) -> None:
    place = chance.randrange(len(data))
    data[place:place] = chance.choice(
        (b"<", b">", b'"', b"{", b"[", b"]", b"}", b"\\", b"\0", b"\xff", b"&a;", b"<!--", b"\\ud8",
         b"<![CDATA[", b"<?xml?>", b"<!DOCTYPE a [", b"[" * 70, b"<a>" * 70, b"true", b"null")
    )  # fmt: skip


_DAMAGE: dict[str, Callable[[bytearray, random.Random], None]] = {
    "flip": _flip, "cut": _cut, "lose": _lose, "twice": _twice,
    "splice": _splice, "number": _number, "token": _token,
}  # fmt: skip


def restated(chance: random.Random) -> Mutant:
    """A report that says the same, and beside it what contradicts it."""
    name = chance.choice(_SMALL)
    format_ = format_of(name)
    if format_ in (Format.JUNIT, Format.COBERTURA, Format.JACOCO):
        how, data = _restated_xml(format_, _BYTES[name], chance)
    else:
        value = json.loads(_BYTES[name].removeprefix(b"\xef\xbb\xbf"))
        how = chance.choice(sorted(_OF_JSON[format_]))
        for _ in range(chance.randint(1, 3)):
            _OF_JSON[format_][how](value, chance)
        data = json.dumps(value, indent=chance.choice((None, 2))).encode()
    return Mutant(name, how, data, restated=True)


def _restated_xml(format_: Format, data: bytes, chance: random.Random) -> tuple[str, bytes]:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "as it is", data
    how = chance.choice(sorted(_OF_XML[format_]))
    text = data.decode("latin-1")
    for _ in range(chance.randint(1, 3)):
        text = _OF_XML[format_][how](text, chance)
    return how, text.encode("latin-1")


def _replaced(pattern: str, by: str) -> Callable[[str, random.Random], str]:
    """One occurrence of a pattern, any of them, by something else."""

    def change(text: str, chance: random.Random) -> str:
        places = list(re.finditer(pattern, text))
        if not places:
            return text
        found = chance.choice(places)
        return text[: found.start()] + found.expand(by) + text[found.end() :]

    return change


_PASSING = '<testcase classname="x" name="more"/>'
_OF_XML: dict[Format, dict[str, Callable[[str, random.Random], str]]] = {
    Format.JUNIT: {
        "more passing cases": _replaced(r"</(\w*:?)testsuite>", rf"{_PASSING}</\1testsuite>"),
        "suites around cases": _replaced(
            r'(<testcase\b[^>]*?/>)', r'<testsuite name="in" failures="0" errors="0">\1</testsuite>'
        ),
        "passed by status": _replaced(
            r"<testcase (?![^>]*\bstatus=)", '<testcase status="passed" '
        ),
        "fewer tests by attribute": _replaced(r'\btests="\d+"', 'tests="0"'),
        "no time": _replaced(r' timestamp="[^"]*"', ""),
        "skipped as well": _replaced(r"(<failure\b)", r"<skipped/>\1"),
        "comments": _replaced(r"<testcase", "<!-- <failure/> --><testcase"),
        "failures by attribute": _replaced(r'\bfailures="(\d)"', r'failures="1\1"'),
    },
    Format.COBERTURA: {
        "rate of all": _replaced(r'line-rate="[^"]*"', 'line-rate="1.0"'),
        "attributes of all": _replaced(
            r"<coverage (?![^>]*lines-valid)", '<coverage lines-covered="99" lines-valid="99" '
        ),
        "lines twice": _replaced(r'(<line number="\d+" hits="\d+"[^>]*?/>)', r"\1\1"),
        "hit as well": _replaced(
            r'(<line number="\d+" hits=")0("[^>]*?/>)', r'\g<1>0\2\g<1>7\2'
        ),
        "lines of methods": _replaced(r"<methods ?/>", '<methods><method name="m"><lines>'
                                      '<line number="9999" hits="1"/></lines></method></methods>'),
    },
    Format.JACOCO: {
        "total of all": _replaced(
            r'(</package>(?:<counter [^>]*/>)*?<counter type="LINE" missed=)"\d+"',
            r'\1"0"',
        ),
        "other counters": _replaced(
            r'(?=</report>)', r'<counter type="INSTRUCTION" missed="0" covered="9999"/>'
        ),
        "counters of classes": _replaced(
            r'(?=</class>)', '<counter type="LINE" missed="0" covered="50"/>'
        ),
    },
}  # fmt: skip


def _sarif_results(value: Any) -> list[dict[str, Any]]:
    return [result for run in value["runs"] for result in run.get("results") or []]


def _any(found: list[Any], chance: random.Random) -> Any:
    return chance.choice(found) if found else {}


def _sarif_empty_run(value: Any, _chance: random.Random) -> None:
    value["runs"].append({"tool": {"driver": {"name": "other"}}, "results": []})


def _sarif_under_review(value: Any, chance: random.Random) -> None:
    result = _any(_sarif_results(value), chance)
    if not result.get("suppressions"):
        result["suppressions"] = [{"kind": "external", "status": "underReview"}]


def _sarif_more_rules(value: Any, chance: random.Random) -> None:
    run = chance.choice(value["runs"])
    rule = {"id": "other", "defaultConfiguration": {"level": "note"}}
    run["tool"].setdefault("extensions", []).append({"name": "x", "rules": [rule]})


def _sarif_index(value: Any, chance: random.Random) -> None:
    """An index of another rule beside the id: the worse of the two counts."""
    for run in value["runs"]:
        rules = run["tool"]["driver"].get("rules") or []
        result = _any([r for r in run.get("results") or [] if "level" not in r], chance)
        known = {rule["id"] for rule in rules}
        indexed = "rule" in result or "ruleIndex" in result
        if rules and result.get("ruleId") in known and not indexed:
            result["ruleIndex"] = chance.randrange(len(rules))


def _sarif_same_again(value: Any, chance: random.Random) -> None:
    run = chance.choice(value["runs"])
    run["results"] = (run.get("results") or []) * 2


def _trivy_same_again(value: Any, chance: random.Random) -> None:
    value["Results"].append(json.loads(json.dumps(chance.choice(value["Results"]))))


def _trivy_mild_again(value: Any, chance: random.Random) -> None:
    """A finding once more, and there it is low."""
    result = chance.choice(value["Results"])
    found = result.get("Vulnerabilities") or []
    if found:
        found.append({**chance.choice(found), "Severity": "LOW"})


def _trivy_unknown(value: Any, chance: random.Random) -> None:
    """A severity that is high or less, and that nobody knows any more."""
    found = [v for r in value["Results"] for v in r.get("Vulnerabilities") or []]
    one = _any([v for v in found if v.get("Severity") != "CRITICAL"], chance)
    if one:
        one["Severity"] = chance.choice(("UNKNOWN", "", "high", None))


def _trivy_ignored_too(value: Any, chance: random.Random) -> None:
    result = chance.choice(value["Results"])
    result.setdefault("ExperimentalModifiedFindings", []).append({"Status": "ignored"})


def _py_rate(value: Any, chance: random.Random) -> None:
    value["totals"]["percent_covered"] = 100.0
    chance.choice(list(value["files"].values()))["summary"]["percent_covered"] = 100.0


def _py_totals(value: Any, _chance: random.Random) -> None:
    value["totals"]["covered_lines"] = value["totals"]["num_statements"]


def _cdx_same_again(value: Any, chance: random.Random) -> None:
    found = value.get("vulnerabilities") or []
    if found:
        found.append(json.loads(json.dumps(chance.choice(found))))


def _cdx_not_affected_too(value: Any, chance: random.Random) -> None:
    found = value.get("vulnerabilities") or []
    if found:
        one = json.loads(json.dumps(chance.choice(found)))
        found.append({**one, "analysis": {"state": "not_affected"}})


def _cdx_mild_rating(value: Any, chance: random.Random) -> None:
    rated = [v for v in value.get("vulnerabilities") or [] if v.get("ratings")]
    one = _any(rated, chance)
    if one:
        one["ratings"].append({"severity": "low"})


_OF_JSON: dict[Format, dict[str, Callable[[Any, random.Random], None]]] = {
    Format.SARIF: {
        "a run of nothing": _sarif_empty_run,
        "suppression under review": _sarif_under_review,
        "more rules": _sarif_more_rules,
        "index of another rule": _sarif_index,
        "the same again": _sarif_same_again,
    },
    Format.TRIVY: {
        "the same again": _trivy_same_again,
        "the same, and low": _trivy_mild_again,
        "no known severity": _trivy_unknown,
        "ignored beside it": _trivy_ignored_too,
    },
    Format.COVERAGE_PY: {"rate of all": _py_rate, "totals of all": _py_totals},
    Format.CYCLONEDX: {
        "the same again": _cdx_same_again,
        "not affected as well": _cdx_not_affected_too,
        "a mild rating beside it": _cdx_mild_rating,
    },
}
