# SPDX-License-Identifier: Apache-2.0
"""A report for terminals and for programs: text, CSV, and data for JSON and YAML."""

import csv
import io
from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Any

from cabgate.api.base import rfc3339
from cabgate.reports.counting import Unit, Value
from cabgate.reports.figures import FIGURES, Figure
from cabgate.reports.report import Group, Missing, Report
from cabgate.text.inert import inert

NOTHING = "-"
"""What stands for a figure of nothing."""

EVERYTHING = "all"
"""Name of the group of all records."""

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_FORMULA = ("=", "+", "-", "@")


def span(seconds: int) -> str:
    """A time in its two largest units: `2d 3h`, `41m 5s`, `0s`."""
    for (unit, length), (smaller, less) in pairwise(_UNITS):
        if seconds >= length:
            rest = seconds % length // less
            return f"{seconds // length}{unit}" + (f" {rest}{smaller}" if rest else "")
    return f"{seconds}s"


def shown(value: Value, unit: Unit) -> str:
    """A figure as people read it."""
    if value.number is None:
        return NOTHING
    if unit is Unit.SECONDS:
        text = span(int(value.number))
    elif unit is Unit.PER_DAY:
        text = f"{float(value.number):.2f}"
    else:
        text = str(value.number) if unit is Unit.COUNT else f"{float(value.number * 100):.1f} %"
    return f"{text} ({inert(value.who)})" if value.who else text


def missing_text(missing: Missing) -> str:
    """What is said of records that were not given."""
    which = f"of the ledger of namespace {inert(missing.namespace)}"
    if missing.first == missing.last:
        what = f"record {missing.first} {which} is not there"
    else:
        what = f"records {missing.first} to {missing.last} {which} are not there"
    return f"{what}, nor in this report. If that was pruned, give the export as well (-f)."


def of_section(section: str) -> list[Figure]:
    """The figures of a section."""
    return [figure for figure in FIGURES if figure.section == section]


def sections() -> list[str]:
    """The sections of a report, in order."""
    return list(dict.fromkeys(figure.section for figure in FIGURES))


def heading(report: Report) -> str:
    """What a report is of."""
    return (
        f"Change approvals from {rfc3339(report.since)} to {rfc3339(report.until)}, "
        f"of {report.records} records"
    )


def group_name(report: Report, group: Group) -> str:
    """How people read the name of a group."""
    return f"{report.by} {inert(group.name)}" if group.name else EVERYTHING


def as_text(report: Report) -> str:
    """A report as text, ending in a line feed."""
    lines = [heading(report)]
    width = max(len(figure.title) for figure in FIGURES) + 2
    for group in (report.total, *report.groups):
        lines += ["", group_name(report, group)]
        for section in sections():
            lines.append(f"  {section}")
            lines += (
                f"    {figure.title:{width}}{shown(group.values[figure.name], figure.unit)}"
                for figure in of_section(section)
            )
    return "\n".join(lines) + "\n"


def as_csv(report: Report) -> str:
    """A report as CSV, one line for each figure of each group: a share from 0 to 1, a time in
    seconds. No cell is a formula to a spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["by", "group", "figure", "value", "unit", "who", "records"])
    for group in (report.total, *report.groups):
        for figure in FIGURES:
            value = group.values[figure.name]
            number = _number(value.number)
            row = [report.by if group.name else "", group.name or EVERYTHING, figure.name]
            row += ["" if number is None else str(number), figure.unit, value.who]
            writer.writerow([*map(cell, row), len(value.records)])
    return out.getvalue()


def cell(text: object) -> str:
    """A text as a cell of CSV that is no formula to a spreadsheet."""
    plain = inert(str(text or ""))
    return f"'{plain}" if plain.startswith(_FORMULA) else plain


def as_data(report: Report) -> dict[str, Any]:
    """A report as data for JSON and YAML: each figure with the names of the records behind it."""
    return {
        "since": rfc3339(report.since),
        "until": rfc3339(report.until),
        "records": report.records,
        "missing": [
            {"namespace": each.namespace, "first": each.first, "last": each.last}
            for each in report.missing
        ],
        "figures": dict(_figures(report.total.values)),
        **({"by": report.by.value} if report.by is not None else {}),
        "groups": [
            {"name": group.name, "figures": dict(_figures(group.values))} for group in report.groups
        ],
    }


def _figures(values: Mapping[str, Value]) -> Iterator[tuple[str, dict[str, Any]]]:
    for figure in FIGURES:
        value = values[figure.name]
        said: dict[str, Any] = {"value": _number(value.number), "unit": figure.unit.value}
        if value.who:
            said["who"] = value.who
        yield figure.name, {**said, "records": list(value.records)}


def _number(number: int | Fraction | None) -> int | float | None:
    return round(float(number), 4) if isinstance(number, Fraction) else number
