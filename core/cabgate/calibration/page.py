# SPDX-License-Identifier: Apache-2.0
"""A calibration as one HTML page: no script, nothing from elsewhere, the curve as SVG.

It is built as a tree, so that whatever a name says is text in it.
"""

from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element, SubElement, tostring

from cabgate.calibration.calibrate import Calibration
from cabgate.calibration.curve import reliability_curve
from cabgate.calibration.texts import (
    AGREEMENTS,
    IDENTITY,
    TERMS,
    groups,
    heading,
    rate_cells,
    remarks,
    reversal_text,
    scores_of,
    term,
    terms,
)
from cabgate.reports.page import STYLE
from cabgate.text.inert import inert

_HEADS = ("Changes", "Failed", "Rate", "95 % within")


def as_html(found: Calibration) -> str:
    """A calibration as a page, ending in a line feed."""
    html = Element("html", lang="en")
    head = SubElement(html, "head")
    SubElement(head, "meta", charset="utf-8")
    SubElement(head, "title").text = heading(found)
    SubElement(head, "style").text = f"{STYLE}figure svg {{ max-width: 30rem; }}\n"
    body = SubElement(html, "body")
    SubElement(body, "h1").text = heading(found)
    for remark in remarks(found):
        SubElement(body, "p", {"class": "note"}).text = remark
    SubElement(body, "figure").append(reliability_curve(found.total.brier.bins))
    brier = terms(found.total.brier)
    rows = [[title, term(brier[name]), meaning] for name, title, meaning in TERMS]
    _table(body, "The Brier score, taken apart", ("Term", "Value", "Meaning"), rows)
    SubElement(body, "p", {"class": "note"}).text = f"{IDENTITY}."
    bins = [
        [scores_of(each), f"{float(each.forecast * 100):.2f}", *rate_cells(each.rate)]
        for each in found.total.brier.bins
    ]
    _table(body, "By score", ("Score", "Mean", *_HEADS), bins)
    for _, title, some in groups(found):
        cells = [
            [inert(each.name), *rate_cells(each.rate), term(each.brier.brier)] for each in some
        ]
        _table(body, title, ("", *_HEADS, "Brier score"), cells)
    for factor in found.factors:
        title = f"Factor {inert(factor.name)}: {AGREEMENTS[factor.agreement]}"
        _table(
            body,
            title,
            ("Risk", *_HEADS),
            [[each.risk, *rate_cells(each.rate)] for each in factor.risks],
        )
        for reversal in factor.reversals:
            SubElement(body, "p", {"class": "note"}).text = reversal_text(reversal)
    return f"<!DOCTYPE html>\n{tostring(html, encoding='unicode', method='html')}\n"


def _table(body: Element, title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    SubElement(body, "h2").text = title
    table = SubElement(body, "table")
    _row(table, "th", heads)
    for row in rows:
        _row(table, "td", row)


def _row(table: Element, tag: str, cells: Sequence[str]) -> None:
    row = SubElement(table, "tr")
    for cell in cells:
        SubElement(row, tag).text = cell
