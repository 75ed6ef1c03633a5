# SPDX-License-Identifier: Apache-2.0
"""A report as one HTML page that prints well: no script, nothing from elsewhere, plots as SVG.

It is built as a tree, so that whatever a name says is text in it.
"""

from xml.etree.ElementTree import Element, SubElement, tostring

from cabgate.api.request import RequestVerdict
from cabgate.reports.plots import BLUE, DARK, LIGHT, RED, VIOLET, Series, bars
from cabgate.reports.report import Group, Report
from cabgate.reports.texts import group_name, heading, missing_text, of_section, sections, shown

STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; color: #1b1b1b; max-width: 60rem; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.15rem; margin-top: 2rem; } h3 { font-size: 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .2rem .6rem; border-bottom: 1px solid #d5d5d5; }
td.number { text-align: right; white-space: nowrap; }
td.meaning, p.note, figcaption { color: #555; font-size: .9em; }
figure { margin: 1rem 0; } svg { width: 100%; height: auto; }
svg text { font: 11px system-ui, sans-serif; fill: #444; }
@media print { body { margin: 0; max-width: none; } section, figure { break-inside: avoid; } }
"""
"""How pages look, on a screen and in print."""

VERDICTS = (
    (RequestVerdict.AUTO_APPROVED.value, "approved by score", LIGHT),
    (RequestVerdict.APPROVED.value, "approved by a person", BLUE),
    (RequestVerdict.CONDITIONALLY_APPROVED.value, "approved on conditions", DARK),
    (RequestVerdict.REJECTED.value, "rejected", RED),
)
"""Verdicts of a plot, from below: what they are called there, and their colours."""


def as_html(report: Report) -> str:
    """A report as a page, ending in a line feed."""
    html = Element("html", lang="en")
    head = SubElement(html, "head")
    SubElement(head, "meta", charset="utf-8")
    SubElement(head, "title").text = heading(report)
    SubElement(head, "style").text = STYLE
    body = SubElement(html, "body")
    SubElement(body, "h1").text = heading(report)
    for each in report.missing:
        SubElement(body, "p", {"class": "note"}).text = missing_text(each)
    _plots(body, report.total)
    for group in (report.total, *report.groups):
        _group(body, report, group)
    return f"<!DOCTYPE html>\n{tostring(html, encoding='unicode', method='html')}\n"


def _group(body: Element, report: Report, group: Group) -> None:
    section = SubElement(body, "section")
    SubElement(section, "h2").text = group_name(report, group)
    for title in sections():
        SubElement(section, "h3").text = title
        table = SubElement(section, "table")
        for figure in of_section(title):
            row = SubElement(table, "tr")
            SubElement(row, "td").text = figure.title
            SubElement(row, "td", {"class": "number"}).text = shown(
                group.values[figure.name], figure.unit
            )
            if group is report.total:
                SubElement(row, "td", {"class": "meaning"}).text = figure.meaning


def _plots(body: Element, total: Group) -> None:
    scope = total.scope
    decided = [
        Series(name, colour, [numbers[verdict] for numbers in scope.decisions_by_day])
        for verdict, name, colour in VERDICTS
    ]
    in_force = Series("in force", VIOLET, scope.exceptions_by_day)
    _figure(body, bars("Decisions", scope.days, decided, sum))
    _figure(body, bars("Exceptions in force", scope.days, [in_force], max))


def _figure(body: Element, plot: Element) -> None:
    figure = SubElement(body, "figure")
    figure.append(plot)
