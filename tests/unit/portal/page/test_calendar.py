# SPDX-License-Identifier: Apache-2.0
"""The calendar: what is frozen now and in the coming weeks, where the reader may look."""

import re

import pytest

from cabgate.rollout.installation import InstallationSettings
from cabgate.text.moments import rfc3339
from cabgate.views.freezes import held_freezes
from cabgate_kube.transport import HttpAnswer
from cabgate_portal.page.calendar import WEEKS
from cabgate_samples.models import NOW
from support.freezes import DAY, freeze, interval
from unit.cli.input.cluster.test_installation import DATA
from unit.portal.fake_api import OURS, status
from unit.portal.page.opened import Opened

BOARD = {"cabgate.dev/change-policy": "board", "cabgate.dev/ring": "2"}
NAMESPACES = "/api/v1/namespaces"
SETTINGS = f"{NAMESPACES}/cabgate-system/configmaps/cabgate-installation"


@pytest.fixture
async def opened():
    made = await Opened().open()
    put_namespace(made, "shop", BOARD)
    made.api.objects[SETTINGS] = {"data": DATA}
    return made


def put_namespace(made, name, labels):
    meta = {"name": name, "labels": labels}
    made.api.objects[f"{NAMESPACES}/{name}"] = {"metadata": meta}


def put(made, *freezes):
    for each in freezes:
        made.api.objects[f"{OURS}/changefreezes/{each['metadata']['name']}"] = each


async def shown(made, query="", code=200):
    answer = await made.get(f"/calendar{query}")
    assert answer.status_code == code, answer.text
    assert made.api.wrong == []
    return answer.text


async def test_what_is_frozen_now_says_until_when_where_and_who_overrides_it(opened):
    put(opened, freeze())
    text = await shown(opened)
    (held,) = held_freezes([freeze()], {"shop": BOARD}, InstallationSettings(), NOW)
    now = text.partition('id="now"')[2].partition('id="weeks"')[0]
    assert held.title in now
    assert f'datetime="{held.until}"' in now
    assert "<span>shop</span><span>rings 2-4</span>" in now
    assert "verb override on changefreezes.cabgate.dev" in now
    assert "kubectl cab approve -n shop NAME --override christmas" in now
    assert "Not all of it could be shown" not in text


async def test_what_comes_is_listed_by_its_beginning_beside_open_windows(opened):
    put(
        opened,
        freeze("stocktaking", interval(9 * DAY, 10 * DAY), title="Stocktaking"),
        freeze("office", interval(-DAY, 20 * DAY), kind="Window", title="Office hours"),
    )
    text = await shown(opened)
    coming = text.partition('id="coming"')[2]
    titles = re.findall(r"<h3>([^<]+)</h3>", coming)
    assert titles == ["Office hours", "Stocktaking", "outside of Office hours"]
    assert "window open" in coming
    assert "no end that is known" in coming
    days = re.findall(r'<td class="([^"]*)"[^>]*><time datetime="([^"]*)"', text)
    assert len(days) == WEEKS * 7
    marked = {date: words.split() for words, date in days}
    assert marked[f"{NOW + 9 * DAY:%Y-%m-%d}"] == ["shut", "open"]
    assert marked[f"{NOW + 3 * DAY:%Y-%m-%d}"] == ["open"]
    assert "today" in marked[f"{NOW:%Y-%m-%d}"]


async def test_one_namespace_is_asked_about_by_its_name_alone(opened):
    put(opened, freeze())
    opened.api.forbidden.add(NAMESPACES)
    text = await shown(opened, "?namespace=shop")
    assert "Christmas 2026" in text
    put_namespace(opened, "dev", {"cabgate.dev/ring": "2"})
    assert "no namespace that was asked about carries the label" in await shown(
        opened, "?namespace=dev"
    )


async def test_who_may_not_list_namespaces_is_asked_for_one(opened):
    opened.api.forbidden.add(NAMESPACES)
    text = await shown(opened, code=403)
    assert "Name a namespace" in text
    assert 'name="namespace"' in text
    assert 'action="' + opened.session.base + '/calendar"' in text


async def test_where_nothing_is_planned_it_says_so(opened):
    text = await shown(opened)
    assert f"Nothing is frozen at {rfc3339(NOW)}" in text
    assert "Nothing is planned" in text


@pytest.mark.parametrize(
    ("path", "code"), [(f"{OURS}/changefreezes", 403), (f"{NAMESPACES}/gone", 404)]
)
async def test_what_cannot_be_read_is_said_and_nothing_is_called_unfrozen(opened, path, code):
    put(opened, freeze())
    opened.api.forbidden.add(f"{OURS}/changefreezes" if code == 403 else "")
    text = await shown(opened, "" if code == 403 else "?namespace=gone", code)
    assert 'role="alert"' in text
    assert "othing is frozen" not in text
    assert 'name="namespace"' in text


async def test_that_the_installation_is_not_known_is_said(opened):
    put(opened, freeze())
    opened.api.forbidden.add(SETTINGS)
    text = await shown(opened)
    assert "how cabgate is set is not known" in text
    assert "Christmas 2026" in text


async def test_an_api_server_that_is_away_is_told_as_elsewhere(opened):
    opened.api.answers = [HttpAnswer(401, status(401, "Unauthorized", "Unauthorized"))] * 9
    text = (await opened.get("/calendar")).text
    assert "Sign in as you do for kubectl" in text


async def test_titles_are_text_and_show_what_nobody_sees(opened):
    put(opened, freeze(title="<script>alert(1)</script>\u202e"))
    text = await shown(opened)
    assert "<script>alert" not in text
    assert "\u202e" not in text
