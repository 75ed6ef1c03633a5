# SPDX-License-Identifier: Apache-2.0
"""A report of a given format, read; one of another format is told what it looks like."""

import re
from collections.abc import Callable

from cabgate_collect.facts import Facts, Format, UnreadableReportError
from cabgate_collect.formats import cobertura, coverage_py, cyclonedx, jacoco, junit, sarif, trivy

_PARSERS: dict[Format, Callable[[bytes], Facts]] = {
    Format.JUNIT: junit.parse,
    Format.COBERTURA: cobertura.parse,
    Format.JACOCO: jacoco.parse,
    Format.COVERAGE_PY: coverage_py.parse,
    Format.SARIF: sarif.parse,
    Format.TRIVY: trivy.parse,
    Format.CYCLONEDX: cyclonedx.parse,
}

KNOWN = ", ".join(f"--{format_} ({format_.full_name})" for format_ in Format)
"""The formats that are known, for messages."""

_BEGINNING = 64 * 1024
"""Bytes in which a report says what it is."""

_ROOT = re.compile(rb"<(?:[\w.-]+:)?([A-Za-z][\w.-]*)[\s/>]")
_ROOTS = {
    **{root.encode(): Format.JUNIT for root in junit.ROOTS},
    cobertura.ROOT.encode(): Format.COBERTURA,
    jacoco.ROOT.encode(): Format.JACOCO,
}
_KEYS = (
    (Format.CYCLONEDX, (b'"bomFormat"',)),
    (Format.TRIVY, (b'"SchemaVersion"',)),
    (Format.SARIF, (b'"runs"', b'"version"')),
    (Format.COVERAGE_PY, (b'"totals"', b'"meta"')),
)


def read_report(data: bytes, format_: Format) -> Facts:
    """The facts of a report. Raises `UnreadableReportError`, which says what it looks like instead,
    or which formats are known."""
    try:
        return _PARSERS[format_](data)
    except UnreadableReportError as error:
        found = looks_like(data)
        if found is format_:
            raise
        advice = (
            f"known formats: {KNOWN}"
            if found is None
            else f"it looks like {found.full_name}: give it with --{found}"
        )
        raise UnreadableReportError(f"not {format_.full_name}: {error}; {advice}") from None


def looks_like(data: bytes) -> Format | None:
    """The format of a report by what it begins with; None if it is none that is known."""
    beginning = data[:_BEGINNING].lstrip(b"\xef\xbb\xbf \t\r\n")
    if beginning.startswith(b"<"):
        root = _ROOT.search(re.sub(rb"<!--.*?-->|<\?.*?\?>|<![^>]*>", b"", beginning, flags=re.S))
        return None if root is None else _ROOTS.get(root[1])
    if not beginning.startswith(b"{"):
        return None
    return next((name for name, keys in _KEYS if all(key in data for key in keys)), None)
