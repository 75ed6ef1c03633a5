# SPDX-License-Identifier: Apache-2.0
"""The dashboard of a month that is known by heart: its figures, its plots and the tables beside
them."""

import html
import re
from datetime import timedelta

import pytest

from cabgate_samples.models import (
    NOW,
    by_person,
    by_system,
    exception,
    intent,
    request,
    retrospective,
)
from cabgate_samples.objects import BAD, MIDDLING
from support.promotion import DAY, outcome
from unit.core.ledger.histories import History, raw
from unit.portal.fake_api import OURS
from unit.portal.page.opened import Opened, as_stored

RECORDS = f"{OURS}/cabdecisions"


def ago(days):
    return NOW - timedelta(days=days)


def month():
    """The records of 30 days: three decisions, two exceptions that overlap, a broken glass."""
    approved = request("ManualReview", by_person("Approved", ago(9)), age=timedelta(days=10))
    by_score = request("AutoApprove", by_system("AutoApproved", ago(2)), age=timedelta(days=2))
    rejected = request(
        *("ManualReview", by_person("Rejected", ago(1))),
        of=intent(MIDDLING, name="other"),
        age=timedelta(days=3),
    )
    needy = request("ExceptionRequired", of=intent(BAD, name="needy"))
    glass = retrospective(by_system("GlassBroken", ago(4)))
    long = exception(needy, by_person("Approved", ago(8)), age=timedelta(days=9))
    short = exception(
        *(needy, by_person("Approved", ago(6)), by_person("Revoked", ago(5))),
        name="short",
        age=timedelta(days=7),
    )
    requests = (approved, by_score, rejected, needy, glass)
    return History(
        [raw(each, f"r-{n}") for n, each in enumerate(requests)],
        [raw(long, "x-1"), raw(short, "x-2")],
    )


@pytest.fixture
async def opened():
    made = await Opened().open()
    for record in month().records:
        made.api.objects[f"{RECORDS}/{record['metadata']['name']}"] = record
    return made


def table(text, label):
    """The rows of the table that a label stands before, as texts."""
    rows = text.partition(label)[2].partition("</table>")[0].split("<tr>")[2:]
    return [re.findall(r"<t[hd][^>]*>([^<]*)", row) for row in rows]


def bars(text, title):
    """What the bars of a plot say."""
    plot = text.partition(f"<title>{title}</title>")[2].partition("</svg>")[0]
    return re.findall(r"<title>([^<]*)</title>", plot)


async def test_what_was_decided_is_counted(opened):
    page = await opened.get("/dashboard?days=30")
    assert page.status_code == 200, page.text
    tile = r'tile"><span class="number">([^<]*)</span><span>([^<]*)</span>'
    tiles = {title: number for number, title in re.findall(tile, page.text)}
    assert tiles == {
        "waiting now": "1",
        "Decisions": "3",
        "Approved of those decided": "66.7 %",
        "Approved by score": "50.0 %",
        "Opened to decided, median": "1d",
        "Broken glass: Not reviewed": "1",
    }
    figures = [row for row in table(page.text, "<h3>Exceptions</h3>") if row[1] != "0"]
    assert figures == [
        *(["Asked for", "2"], ["Granted", "2"], ["Revoked", "1"]),
        *(["In force on one day, at most", "2"], ["Renewed", "1"]),
    ]
    assert opened.api.wrong == []


async def test_each_plot_has_its_numbers_beside_it_as_a_table(opened):
    text = (await opened.get("/dashboard?days=30")).text
    assert bars(text, "Decisions") == [
        "2026-02-20: 1 approved by a person",
        "2026-02-27: 1 approved by score",
        "2026-02-28: 1 rejected",
    ]
    assert table(text, "Decisions by week") == [
        ["2026-02-22", "2", "1"],
        ["2026-02-15", "1", "1"],
        ["2026-02-08", "0", "0"],
        ["2026-02-01", "0", "0"],
        ["2026-01-30", "0", "0"],
    ]
    assert table(text, "Exceptions in force by week") == [
        ["2026-02-22", "2"],
        ["2026-02-15", "1"],
        ["2026-02-08", "0"],
        ["2026-02-01", "0"],
        ["2026-01-30", "0"],
    ]
    by_day = [each.split(": ") for each in bars(text, "Exceptions in force")]
    assert {said for _, said in by_day} == {"1 in force", "2 in force"}
    assert by_day[0][0] == "2026-02-21"


async def test_what_waits_and_what_ends_next_is_there(opened):
    text = (await opened.get("/dashboard?days=30")).text
    assert ["under 1 day", "1"] in table(text, "Waiting, by age")
    ending = text.partition("Exceptions that end next")[2].partition("</table>")[0]
    assert f'href="{opened.session.base}/exceptions/shop.leave"' in ending
    assert "2026-03-22 12:00" in ending
    assert "short" not in ending


@pytest.mark.parametrize("within", ["", "&namespace=shop"])
async def test_what_became_of_rollouts_is_among_the_figures(opened, within):
    approved = next(
        record["spec"]["subject"]["name"]
        for record in month().records
        if (record["spec"]["verdict"], record["spec"]["subject"]["kind"])
        == ("Approved", "CABRequest")
    )
    ran = as_stored("RolloutOutcome", outcome(8 * DAY, namespace="shop"))
    ran["spec"]["requestName"] = approved
    opened.api.put("rolloutoutcomes", ran)
    rows = table((await opened.get(f"/dashboard?days=30{within}")).text, "<h3>Rollouts</h3>")
    assert ["Rolled out", "1"] in rows
    assert ["Opened to rolled out, median", "2d"] in rows
    for path in (f"{OURS}/rolloutoutcomes", f"{OURS}/namespaces/shop/rolloutoutcomes"):
        opened.api.forbidden.add(path)
    page = await opened.get(f"/dashboard?days=30{within}")
    assert page.status_code == 200, page.text
    assert "the figures of rollouts: may not read it" in page.text
    assert ["Rolled out", "-"] in table(page.text, "<h3>Rollouts</h3>")
    assert opened.api.wrong == []


@pytest.mark.parametrize(
    ("query", "command"),
    [("", "cabgate uncovered -A"), ("?namespace=shop", "cabgate uncovered -n shop")],
)
async def test_what_runs_uncovered_is_left_to_its_command(opened, query, command):
    text = html.unescape((await opened.get(f"/dashboard{query}")).text)
    assert f'<pre tabindex="0">{command}</pre>' in text
    assert not [target for _, target in opened.api.calls if "/apps/v1" in target]


async def test_who_may_not_read_the_ledger_sees_what_waits(opened):
    opened.api.forbidden.add(RECORDS)
    page = await opened.get("/dashboard")
    assert page.status_code == 200, page.text
    assert "the figures of the ledger: may not read it" in page.text
    assert "waiting now" in page.text
    assert "cabgate uncovered -A" in page.text
    for words in ("Exceptions in force", "Decisions", "66.7 %"):
        assert words not in page.text
