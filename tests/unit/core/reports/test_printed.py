# SPDX-License-Identifier: Apache-2.0
"""A report as it is printed: whatever a name says, it is a name."""

import csv
import io
from html.parser import HTMLParser

import pytest

from cabgate.reports.counting import Unit, Value
from cabgate.reports.figures import FIGURES
from cabgate.reports.page import as_html
from cabgate.reports.plots import MOST_BARS
from cabgate.reports.report import By, Report, report
from cabgate.reports.texts import as_csv, as_data, as_text, shown, span
from unit.core.reports.test_figures import BEGIN, END, Ledger

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><b>",
    "=HYPERLINK(1)",
    "@x",
    "-2+3",
    "a\x1b[2Jb",
    "a\u202eb",
    "a\nb",
    "a,b",
]


def of_one(who: str) -> Report:
    ledger = Ledger()
    ledger.add("shop/web-1", "Approved", 3, who, opened=1, ring=2)
    return report(ledger.records, BEGIN, END, By.NAMESPACE)


class Page(HTMLParser):
    """The tags and the attributes of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.mark.parametrize("who", HOSTILE)
def test_a_name_is_text_on_the_page(who: str) -> None:
    found, plain = Page(as_html(of_one(who))), Page(as_html(of_one("rita")))
    assert found.tags == plain.tags
    assert found.attributes == plain.attributes
    assert not found.attributes & {"onerror", "src", "href"}


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    page = as_html(of_one("rita"))
    assert "http" not in page
    assert not {"script", "link", "iframe", "img"} & set(Page(page).tags)
    assert "rita" in Page(page).words


@pytest.mark.parametrize("who", HOSTILE)
def test_a_name_does_nothing_to_a_terminal_and_to_a_spreadsheet(who: str) -> None:
    found = of_one(who)
    for line in as_text(found).splitlines():
        assert line.isprintable()
    rows = list(csv.reader(io.StringIO(as_csv(found))))
    assert {len(row) for row in rows} == {7}
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]


def test_csv_and_data_have_every_figure_of_every_group() -> None:
    found = of_one("rita")
    rows = list(csv.DictReader(io.StringIO(as_csv(found))))
    assert [(row["by"], row["group"]) for row in rows[:: len(FIGURES)]] == [
        ("", "all"),
        ("namespace", "shop"),
    ]
    assert [row["figure"] for row in rows] == 2 * [figure.name for figure in FIGURES]
    data = as_data(found)
    assert list(data["figures"]) == [figure.name for figure in FIGURES]
    assert data["figures"]["approvals"] == {
        "value": 1,
        "unit": "count",
        "records": ["shop.00000001"],
    }
    assert data["figures"]["glassToReviewMax"]["value"] is None
    assert data["figures"]["mostOfOneApprover"]["who"] == "rita"


def test_names_of_figures_are_not_given_twice() -> None:
    assert len({figure.name for figure in FIGURES}) == len(FIGURES)


def test_the_plots_of_a_long_time_have_bars_to_see() -> None:
    ledger = Ledger()
    for day in range(91):
        ledger.add("shop/web-1", "Approved", day, "rita")
    page = as_html(report(ledger.records, BEGIN, END))
    assert "each bar 2 days" in page
    assert 46 <= page.count("approved by a person</title>") <= MOST_BARS


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59, "59s"), (60, "1m"), (2465, "41m 5s"), (86400, "1d"), (93600, "1d 2h")],
)
def test_a_time_has_its_two_largest_units(seconds: int, text: str) -> None:
    assert span(seconds) == text


def test_of_nothing_a_dash_is_shown() -> None:
    assert shown(Value(None, ()), Unit.SHARE) == "-"
    assert shown(Value(0, ()), Unit.SECONDS) == "0s"
