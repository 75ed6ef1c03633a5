# SPDX-License-Identifier: Apache-2.0
"""A calibration for terminals and for programs: text, CSV, and data for JSON and YAML."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any

from cabgate.api.base import rfc3339
from cabgate.calibration.calibrate import (
    Agreement,
    Calibration,
    FactorRates,
    Group,
    Reversal,
    Selection,
)
from cabgate.calibration.outcomes import FAILURE
from cabgate.calibration.statistics import Bin, Decomposition, Rate
from cabgate.reports.texts import NOTHING, cell
from cabgate.text.inert import inert

MOST_NAMES = 10
"""Names that a text lists; data have all of them."""

AGREEMENTS = {
    Agreement.AGREES: "the highest risk failed clearly more often than the lowest",
    Agreement.UNCLEAR: "no clear difference between its lowest and its highest risk",
    Agreement.DISAGREES: "a lower risk failed clearly more often than a higher one",
}
"""What an agreement says."""

TERMS = (
    ("brier", "Brier score", "mean square of score/100 less outcome: 0 is best"),
    (
        "reliability",
        "reliability",
        "how far scores/100 are from the rates of their bins: 0 is best",
    ),
    ("resolution", "resolution", "how far the rates of the bins differ: the more the better"),
    ("uncertainty", "uncertainty", "the Brier score of who always says the base rate"),
    ("withinVariance", "variance within bins", "how far scores differ within their bins"),
    ("withinCovariance", "covariance within bins", "how far they go with failures there"),
    ("skill", "skill", "1 is best, 0 no better than the base rate, below 0 worse"),
)
"""The terms of a decomposition: name, title, and what it says."""

IDENTITY = (
    "Brier score = reliability - resolution + uncertainty + variance within bins - covariance "
    "within bins"
)
"""How the terms go together."""

SCORES = (
    "A score is no probability: read as one (score/100), it may forecast badly and still put the "
    "risky changes above the others. Whether it does is in the rates by score."
)
"""What is said of reading scores as forecasts."""

_HEADS = ("CHANGES", "FAILED", "RATE", "95 % WITHIN")


def terms(of: Decomposition) -> dict[str, Fraction | None]:
    """The terms of a decomposition by name."""
    numbers = (of.brier, of.reliability, of.resolution, of.uncertainty)
    within = (of.within_variance, of.within_covariance)
    return dict(zip((name for name, _, _ in TERMS), (*numbers, *within, of.skill), strict=True))


def heading(found: Calibration) -> str:
    """What a calibration is of."""
    rate = found.total.rate
    return (
        f"Scores against failures: {rate.changes} changes, {rate.failures} of which failed "
        f"({percent(rate.value)}), from {rfc3339(found.since)} to {rfc3339(found.until)}"
    )


def remarks(found: Calibration) -> list[str]:
    """What has to be known before a figure is read."""
    lines = [f"A change failed if {FAILURE}", selection_text(found.selection), SCORES]
    if len(found.models) > 1:
        lines.append(
            f"{len(found.models)} risk models gave these scores: figures of all of them are of no "
            "single one."
        )
    if found.breaks:
        lines.append(
            f"Not counted, for a broken glass has no score: {names(found.breaks)} have an outcome."
        )
    if found.unknown:
        lines.append(f"Not counted, since no such request was given: {names(found.unknown)}.")
    return lines


def selection_text(of: Selection) -> str:
    """What the figures do not see."""
    return (
        "What was not let through never ran, and nobody knows whether it would have failed: of "
        f"{of.requests} requests, {of.rejected} without an outcome were rejected, "
        f"{of.not_approved} not approved, and of {of.approved} that were approved nobody says what "
        "became of them. A reviewer who stops the worst changes makes a high score look safer than "
        "it is."
    )


def names(some: Sequence[str]) -> str:
    """Some names, the first of many."""
    more = len(some) - MOST_NAMES
    return ", ".join(map(inert, some[:MOST_NAMES])) + (f" and {more} more" if more > 0 else "")


def percent(value: Fraction | None) -> str:
    """A share as people read it."""
    return NOTHING if value is None else f"{float(value * 100):.1f} %"


def term(value: Fraction | None) -> str:
    """A term of the decomposition as people read it."""
    return NOTHING if value is None else f"{float(value):.4f}"


def scores_of(each: Bin) -> str:
    """The scores that a bin holds."""
    return f"{each.low}..{'100' if each.high == 100 else f'{each.high - 1}.99'}"


def rate_cells(rate: Rate) -> list[str]:
    """How many failed, as cells of a table."""
    low, high = (f"{float(end * 100):.1f}" for end in rate.interval)
    return [str(rate.changes), str(rate.failures), percent(rate.value), f"{low}..{high} %"]


def reversal_text(of: Reversal) -> str:
    """Two risks of which the lower one failed more often."""
    how = "clearly" if of.clear else "perhaps by chance"
    return f"risk {of.lower} failed more often than risk {of.higher}: {how}"


def groups(found: Calibration) -> Iterator[tuple[str, str, Sequence[Group]]]:
    """The groups of a calibration: name of the table, its title, the groups."""
    yield "tier", "By tier", found.tiers
    yield "approval", "By who let it through", found.approvals
    yield "model", "By risk model", found.models


def as_text(found: Calibration) -> str:
    """A calibration as text, ending in a line feed."""
    brier = terms(found.total.brier)
    lines = [heading(found), *remarks(found), ""]
    lines += aligned([title, term(brier[name]), meaning] for name, title, meaning in TERMS)
    lines += [IDENTITY, "", "By score"]
    lines += aligned(
        [
            ("SCORE", "MEAN", *_HEADS),
            *(
                [scores_of(each), f"{float(each.forecast * 100):.2f}", *rate_cells(each.rate)]
                for each in found.total.brier.bins
            ),
        ]
    )
    for _, title, some in groups(found):
        lines += ["", title]
        rows = [[inert(each.name), *rate_cells(each.rate), term(each.brier.brier)] for each in some]
        lines += aligned([("", *_HEADS, "BRIER"), *rows])
    for factor in found.factors:
        lines += ["", f"Factor {inert(factor.name)}: {AGREEMENTS[factor.agreement]}"]
        rows = [[each.risk, *rate_cells(each.rate)] for each in factor.risks]
        lines += aligned([("RISK", *_HEADS), *rows])
        lines += [f"  {reversal_text(each)}" for each in factor.reversals]
    return "\n".join(lines) + "\n"


def aligned(rows: Iterable[Sequence[str]]) -> list[str]:
    """Rows as lines with columns."""
    cells = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  " + "   ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def as_csv(found: Calibration) -> str:
    """A calibration as CSV: a line for each term, and for each rate with the ends of its interval;
    shares from 0 to 1. No cell is a formula to a spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["table", "name", "changes", "failures", "value", "low", "high"])
    for name, value in terms(found.total.brier).items():
        writer.writerow(["term", name, "", "", _csv_number(value), "", ""])
    for table, name, rate in _rates(found):
        numbers = [_csv_number(value) for value in (rate.value, *rate.interval)]
        writer.writerow([*map(cell, (table, name)), rate.changes, rate.failures, *numbers])
    return out.getvalue()


def _csv_number(value: Fraction | None) -> str:
    return "" if value is None else str(number(value))


def _rates(found: Calibration) -> Iterator[tuple[str, str, Rate]]:
    yield "all", "", found.total.rate
    for each in found.total.brier.bins:
        yield "score", scores_of(each), each.rate
    for table, _, some in groups(found):
        for group in some:
            yield table, group.name, group.rate
    for factor in found.factors:
        for risk in factor.risks:
            yield f"factor {factor.name}", risk.risk, risk.rate


def as_data(found: Calibration) -> dict[str, Any]:
    """A calibration as data for JSON and YAML: shares from 0 to 1."""
    return {
        "failure": FAILURE,
        "since": rfc3339(found.since),
        "until": rfc3339(found.until),
        "selection": {
            "requests": found.selection.requests,
            "rejectedWithoutOutcome": found.selection.rejected,
            "notApprovedWithoutOutcome": found.selection.not_approved,
            "approvedWithoutOutcome": found.selection.approved,
            "meaning": selection_text(found.selection),
        },
        **_group_data(found.total),
        "bins": [
            {
                "from": each.low,
                "to": each.high,
                "meanForecast": number(each.forecast),
                **_rate_data(each.rate),
            }
            for each in found.total.brier.bins
        ],
        **{
            f"{name}s": [{"name": group.name, **_group_data(group)} for group in some]
            for name, _, some in groups(found)
        },
        "factors": [_factor_data(factor) for factor in found.factors],
        "notCounted": {"brokenGlass": list(found.breaks), "unknown": list(found.unknown)},
    }


def _group_data(group: Group) -> dict[str, Any]:
    values = terms(group.brier).items()
    named = {name: None if value is None else number(value) for name, value in values}
    return {**_rate_data(group.rate), "terms": named}


def _factor_data(factor: FactorRates) -> dict[str, Any]:
    return {
        "name": factor.name,
        "agreement": factor.agreement.value,
        "risks": [{"risk": each.risk, **_rate_data(each.rate)} for each in factor.risks],
        "reversals": [
            {"lower": each.lower, "higher": each.higher, "clear": each.clear}
            for each in factor.reversals
        ],
    }


def _rate_data(rate: Rate) -> dict[str, Any]:
    low, high = map(number, rate.interval)
    value = None if rate.value is None else number(rate.value)
    return {
        "changes": rate.changes,
        "failures": rate.failures,
        "rate": value,
        "low": low,
        "high": high,
    }


def number(value: Fraction) -> float:
    """A fraction as data have it, with six places."""
    return round(float(value), 6)
