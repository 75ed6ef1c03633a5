# SPDX-License-Identifier: Apache-2.0
"""What became of changes in production: the CSV that says it, and the requests that it is about."""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cabgate.api.base import is_object_name, rfc3339
from cabgate.calibration.changes import Change, RequestKey
from cabgate.text.foreign import quoted

FAILURE = (
    "the column `failed` of the outcomes says so. It should say so of a change whose rollout "
    "failed, that was rolled back within its soak time, or that an incident of severity 1 or 2 is "
    "tied to."
)
"""When a change failed, as it is printed with the figures."""

COLUMNS = ("change", "failed", "at")
"""The columns that are read."""

MOST_PROBLEMS = 20
"""Problems that are told one by one."""

_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_AT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,9})?"
    r"(Z|[+-][0-9]{2}:[0-9]{2}))?"
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A line of the outcomes."""

    line: int
    """Where it begins; the header is line 1."""
    change: str
    """Name of the request, perhaps with its namespace: `shop/checkout-1f2e3d4c`."""
    failed: bool
    at: datetime
    """When that was known; of a day alone, its beginning."""
    until: datetime
    """The end of that day, or else the same as `at`."""


@dataclass(frozen=True, slots=True)
class Observed:
    """A change, and what became of it."""

    change: Change
    failed: bool
    at: datetime


@dataclass(frozen=True)
class Matched:
    """Outcomes with the requests that they are about."""

    observed: list[Observed]
    """In the order of the requests' namespaces and names."""
    unknown: list[Outcome]
    """Those of which no request was given."""


class OutcomesError(ValueError):
    """Outcomes that cannot be counted; `problems` are lines for people, each with its own line
    number."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        more = len(problems) - MOST_PROBLEMS
        first = list(problems[:MOST_PROBLEMS])
        self.problems = [*first, f"and {more} more problems"] if more > 0 else first


def outcomes_in(text: str) -> list[Outcome]:
    """The outcomes of a CSV with a header, whose columns may stand in any order.

    Raises `OutcomesError` with whatever is wrong."""
    rows = _rows(text)
    header = next(rows, None)
    if header is None:
        raise OutcomesError([f"line 1: is empty; needed: a header with {', '.join(COLUMNS)}"])
    places = _places([cell.strip() for cell in header[1]])
    found, problems = [], []
    for line, cells in rows:
        if len(cells) != len(header[1]):
            problems.append(f"line {line}: {len(cells)} cells; the header has {len(header[1])}")
            continue
        wrong = len(problems)
        values = {name: cells[place].strip() for name, place in places.items()}
        problems += [f"line {line}: {problem}" for problem in _problems(values)]
        if len(problems) == wrong:
            at, until = _span(values["at"])
            failed = _TRUTH[values["failed"].lower()]
            found.append(Outcome(line, values["change"], failed, at, until))
    if problems:
        raise OutcomesError(problems)
    if not found:
        raise OutcomesError(["line 2: is empty; needed: a line for each change"])
    return found


def other_columns(text: str) -> list[str]:
    """The columns of a CSV that nobody reads."""
    header = next(_rows(text), (1, []))[1]
    return [cell.strip() for cell in header if cell.strip() not in COLUMNS]


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that hold something, each with the line in which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    begin = 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield begin, row
            begin = reader.line_num + 1
    except csv.Error as error:
        raise OutcomesError([f"line {begin}: not CSV: {error}"]) from None


def _places(header: Sequence[str]) -> dict[str, int]:
    problems = [
        f"line 1: no column {name}; needed: {', '.join(COLUMNS)}, separated by commas"
        for name in COLUMNS
        if name not in header
    ]
    problems += [
        f"line 1: {header.count(name)} columns {name}; allowed: one"
        for name in COLUMNS
        if header.count(name) > 1
    ]
    if problems:
        raise OutcomesError(problems)
    return {name: header.index(name) for name in COLUMNS}


def _problems(values: dict[str, str]) -> Iterator[str]:
    namespace, slash, name = values["change"].rpartition("/")
    if not is_object_name(name) or (slash and not is_object_name(namespace)):
        yield (
            f"change: {quoted(values['change'])} names no request; allowed: NAMESPACE/NAME, or NAME"
        )
    if values["failed"].lower() not in _TRUTH:
        yield f"failed: {quoted(values['failed'])}; allowed: {', '.join(_TRUTH)}"
    try:
        _span(values["at"])
    except ValueError:
        yield (
            f"at: {quoted(values['at'])} is no moment; allowed: such as 2026-03-01T12:00:00Z, "
            "or a day, 2026-03-01"
        )


def _span(value: str) -> tuple[datetime, datetime]:
    """The moment that a text means, twice; or beginning and end of its day. Raises `ValueError`."""
    match = _AT.fullmatch(value)
    if match is None:
        raise ValueError("no moment")
    day, time, zone = match.groups()
    if time is None:
        begin = datetime.fromisoformat(f"{day}T00:00:00+00:00")
        return begin, begin + timedelta(days=1, seconds=-1)
    try:
        moment = datetime.fromisoformat(f"{day}T{time}{zone}").astimezone(UTC)
    except OverflowError:
        raise ValueError("out of range") from None
    return moment, moment


def matched(outcomes: Sequence[Outcome], changes: Sequence[Change]) -> Matched:
    """The changes that outcomes are about.

    Raises `OutcomesError` where it is not clear which request one is about, where two are about
    one request, and where one is older than its request.
    """
    by_name: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        by_name[change.key.name].append(change)
    problems: list[str] = []
    unknown: list[Outcome] = []
    found: dict[RequestKey, tuple[Outcome, Change]] = {}
    for outcome in outcomes:
        namespace, _, name = outcome.change.rpartition("/")
        some = [each for each in by_name[name] if namespace in ("", each.key.namespace)]
        if len(some) > 1:
            places = ", ".join(sorted(str(each.key) for each in some))
            problems.append(f"line {outcome.line}: change: {name} may be {places}; name one")
        elif not some:
            unknown.append(outcome)
        else:
            problems += _taken(outcome, some[0], found)
    if problems:
        raise OutcomesError(problems)
    pairs = (found[key] for key in sorted(found))
    return Matched(
        [Observed(change, outcome.failed, outcome.at) for outcome, change in pairs],
        sorted(unknown, key=lambda outcome: (outcome.change, outcome.line)),
    )


def _taken(
    outcome: Outcome, change: Change, found: dict[RequestKey, tuple[Outcome, Change]]
) -> Iterator[str]:
    known = found.setdefault(change.key, (outcome, change))[0]
    if known is not outcome:
        yield (
            f"line {outcome.line}: change: {change.key} has an outcome in line {known.line} "
            "already; allowed: one line for each change"
        )
    elif change.opened is not None and outcome.until < change.opened:
        yield (
            f"line {outcome.line}: at: {rfc3339(outcome.at)} is before the request {change.key} "
            f"was opened, {rfc3339(change.opened)}"
        )
