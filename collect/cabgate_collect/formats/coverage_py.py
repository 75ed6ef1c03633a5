# SPDX-License-Identifier: Apache-2.0
"""The JSON of coverage.py: statements are counted, percentages are not read."""

from typing import Annotated

from msgspec import Meta, Struct

from cabgate_collect.documents import read_json
from cabgate_collect.facts import MAX_COUNT, Facts, Format, Lines, Moment, UnreadableReportError
from cabgate_collect.formats.lines import worst_lines

_Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]


class _Summary(Struct):
    covered_lines: _Count
    num_statements: _Count


class _File(Struct):
    summary: _Summary


class _Meta(Struct):
    version: str = ""
    timestamp: str = ""


class _Report(Struct):
    totals: _Summary
    files: dict[str, _File]
    meta: _Meta


def parse(data: bytes) -> Facts:
    """The facts of a report. Raises `UnreadableReportError`."""
    report = read_json(data, _Report)
    listed = Lines(0, 0)
    for summary in (report.totals, *(file.summary for file in report.files.values())):
        if summary.covered_lines > summary.num_statements:
            raise UnreadableReportError(
                f"{summary.covered_lines} of {summary.num_statements} lines are covered: no such "
                "part"
            )
    for file in report.files.values():
        listed += Lines(file.summary.covered_lines, file.summary.num_statements)
    totals = Lines(report.totals.covered_lines, report.totals.num_statements)
    made = Moment.read(report.meta.timestamp)
    return worst_lines(
        Format.COVERAGE_PY,
        {"files": listed, "totals": totals},
        made,
        tools=(f"coverage.py {report.meta.version}".strip(),),
    )
