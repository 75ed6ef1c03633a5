# SPDX-License-Identifier: Apache-2.0
"""What is refused before it costs anything: bombs, and documents beyond the bounds."""

import tracemalloc

import pytest

from cabgate_collect import documents
from cabgate_collect.documents import MAX_BYTES, MAX_DEPTH
from cabgate_collect.facts import Format, UnreadableReportError
from cabgate_collect.reading import read_report

MEBIBYTE = 1024 * 1024
LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">'
    + "".join(f'<!ENTITY lol{n} "{f"&lol{n - 1 or str()};" * 10}">' for n in range(1, 10))
    + "]><testsuites>&lol9;</testsuites>"
)
QUADRATIC = (
    f'<!DOCTYPE t [<!ENTITY a "{"a" * 100_000}">]><testsuites>{"&a;" * 100_000}</testsuites>'
)
EXTERNAL = '<!DOCTYPE t [<!ENTITY x SYSTEM "file:///etc/passwd">]><testsuites>&x;</testsuites>'
PARAMETER = '<!DOCTYPE t [<!ENTITY % d SYSTEM "http://example.com/d.dtd">%d;]><testsuites/>'
ATTRIBUTES = '<!DOCTYPE t [<!ATTLIST testsuite failures CDATA "0">]><testsuites/>'


@pytest.mark.parametrize("bomb", [LAUGHS, QUADRATIC, EXTERNAL, PARAMETER, ATTRIBUTES])
@pytest.mark.parametrize("format_", [Format.JUNIT, Format.COBERTURA, Format.JACOCO])
def test_entities_and_declarations_are_refused_within_bounds(bomb: str, format_: Format) -> None:
    assert peak_of_refusal(bomb.encode(), format_, "defines entities") < 8 * MEBIBYTE


def test_a_document_type_that_stands_elsewhere_is_never_fetched() -> None:
    data = b'<!DOCTYPE testsuites SYSTEM "file:///etc/passwd"><testsuites><testcase/></testsuites>'
    facts = read_report(data, Format.JUNIT)
    assert facts.tests is not None
    assert facts.tests.passed == 1


@pytest.mark.parametrize("text", ["<testsuites>&x;</testsuites>"])
def test_an_entity_that_only_a_fetch_would_define_is_refused(text: str) -> None:
    data = f'<!DOCTYPE testsuites SYSTEM "a.dtd">{text}'.encode()
    with pytest.raises(UnreadableReportError, match="names the entity 'x'"):
        read_report(data, Format.JUNIT)


@pytest.mark.parametrize(
    ("format_", "begin", "level"),
    [
        (Format.JUNIT, b"<testsuites>", b"<a>"),
        (Format.JACOCO, b"<report>", b"<group>"),
        (Format.SARIF, b"", b"["),
        (Format.TRIVY, b"", b'{"a":'),
        (Format.CYCLONEDX, b'{"components":', b'[{"components":'),
    ],
)
def test_nesting_is_refused_where_it_begins_to_be_too_deep(
    format_: Format, begin: bytes, level: bytes
) -> None:
    data = begin + level * (40 * MEBIBYTE // len(level))
    peak = peak_of_refusal(data, format_, f"nested more than {MAX_DEPTH} levels")
    # Far below the 40 MiB of the report itself: what follows was not looked at.
    assert peak < 8 * MEBIBYTE


def test_as_deep_as_is_allowed_is_read() -> None:
    suites = MAX_DEPTH - 1
    data = b"<testsuite>" * suites + b"<testcase/>" + b"</testsuite>" * suites
    assert read_report(data, Format.JUNIT).tests is not None
    with pytest.raises(UnreadableReportError, match="nested"):
        read_report(b"<testsuite>" + data + b"</testsuite>", Format.JUNIT)


@pytest.mark.parametrize("format_", list(Format))
def test_what_is_too_large_or_empty_is_refused(format_: Format) -> None:
    with pytest.raises(UnreadableReportError, match="longer than 64 MiB"):
        read_report(b" " * (MAX_BYTES + 1), format_)
    with pytest.raises(UnreadableReportError, match="empty"):
        read_report(b" \n", format_)


@pytest.mark.slow
def test_objects_without_end_are_refused() -> None:
    many = b"{}," * (documents.MAX_OBJECTS + 1)
    with pytest.raises(UnreadableReportError, match="objects: split it"):
        read_report(b'{"version":"2.1.0","runs":[' + many + b"{}]}", Format.SARIF)
    keys = ",".join(f'"{n}":0' for n in range(documents.MAX_KEYS + 1))
    with pytest.raises(UnreadableReportError, match="keys"):
        read_report(f"{{{keys}}}".encode(), Format.TRIVY)


@pytest.mark.parametrize(
    "text",
    [
        '{"version": "2.1.0", "version": "2.1.0", "runs": []}',
        '{"version": "2.1.0", "runs": [], "r\\u0075ns": []}',
        '{"version": "2.1.0", "runs": [], "other": {"a": {"b": 1, "b": 2}}}',
    ],
)
def test_a_key_that_stands_twice_is_refused(text: str) -> None:
    with pytest.raises(UnreadableReportError, match="twice in one object"):
        read_report(text.encode(), Format.SARIF)


def test_keys_are_told_from_texts_and_from_those_of_other_objects() -> None:
    text = '{"version": "2.1.0", "runs": [], "a": ["b", "b", "\\":"], "b": {"a": {"b": "a"}}}'
    assert read_report(text.encode(), Format.SARIF).nothing == "holds no run"


def test_junit_is_not_kept_while_it_is_read() -> None:
    case = (
        b'<testcase classname="a" name="b"><system-out>' + b"x" * 900 + b"</system-out></testcase>"
    )
    data = b"<testsuite>" + case * 4_000 + b"</testsuite>"
    tracemalloc.start()
    try:
        facts = read_report(data, Format.JUNIT)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert facts.tests is not None
    assert facts.tests.passed == 4_000
    assert len(data) > 3 * MEBIBYTE
    assert peak < MEBIBYTE


def peak_of_refusal(data: bytes, format_: Format, why: str) -> int:
    """Bytes that a refusal takes beside the report."""
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableReportError, match=why):
            read_report(data, format_)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
