# SPDX-License-Identifier: Apache-2.0
"""Until when a request is frozen, at the request and in the queue, by the gate's own functions."""

import pytest

from cabgate.text.moments import rfc3339
from cabgate_samples.models import NOW, intent, request
from support.freezes import DAY, freeze, interval
from support.policies import BOARD, vote
from unit.portal.fake_api import OURS
from unit.portal.page.opened import Opened, as_stored

NAMESPACE = "/api/v1/namespaces/shop"
FREEZES = f"{OURS}/changefreezes"
UNTIL = f"frozen until {rfc3339(NOW + DAY)}: Christmas 2026 (ChangeFreeze christmas)"
CHRISTMAS = freeze()
LABELS = {"cabgate.dev/change-policy": "board", "cabgate.dev/ring": "2"}


async def opened(*votes, policy=BOARD, freezes=(CHRISTMAS,), labels=LABELS):
    """A page with one request of a policy of two approvals, and some freezes."""
    made = Opened()
    asks = as_stored("CABRequest", request("ManualReview", *votes, of=intent(), policy=policy))
    made.api.objects.clear()
    made.api.put("cabrequests", asks)
    for each in freezes:
        made.api.objects[f"{FREEZES}/{each['metadata']['name']}"] = each
    made.api.objects[NAMESPACE] = {"metadata": {"name": "shop", "labels": labels}}
    made.path = f"/requests/{asks['metadata']['namespace']}.{asks['metadata']['name']}"
    return await made.open()


async def pages(made):
    """The page of the request, and the queue."""
    texts = []
    for path in (made.path, "/queue"):
        answer = await made.get(path)
        assert answer.status_code == 200, answer.text
        texts.append(answer.text)
    assert made.api.wrong == []
    return texts


@pytest.mark.parametrize(
    "freezes",
    [[freeze()], [freeze(), freeze("sale", interval(-DAY, DAY / 2), title="Sale")]],
    ids=["one", "the last end of two"],
)
async def test_a_freeze_is_told_of_with_its_end_at_the_request_and_in_the_queue(freezes):
    at_request, queue = await pages(await opened(freezes=freezes))
    for text in (at_request, queue):
        assert UNTIL in text
    assert "/calendar?namespace=shop" in at_request


@pytest.mark.parametrize(
    "around",
    [
        {"freezes": [freeze("christmas", interval(DAY, 2 * DAY))]},
        {"freezes": []},
        {"labels": {"cabgate.dev/ring": "2"}},
        {"freezes": [freeze(ringFrom=4)]},
    ],
    ids=["to come", "none", "no policy", "another ring"],
)
async def test_what_is_not_frozen_says_nothing_of_it(around):
    for text in await pages(await opened(**around)):
        assert "frozen" not in text.replace('id="frozen"', "")


async def test_what_its_first_approval_overrides_is_not_frozen_for_it():
    over = vote("rita", overrides=["christmas"])
    for text in await pages(await opened(over)):
        assert "frozen until" not in text
    at_request, _ = await pages(await opened(over, freezes=[freeze(), freeze("sale")]))
    assert "(ChangeFreeze sale)" in at_request
    assert "(ChangeFreeze christmas)" not in at_request


async def test_where_no_request_has_terms_nothing_more_is_read():
    made = await opened(policy=None)
    for text in await pages(made):
        assert "frozen until" not in text
    read = {target.partition("?")[0] for _, target in made.api.calls}
    assert not read & {FREEZES, NAMESPACE}


@pytest.mark.parametrize("path", [FREEZES, NAMESPACE])
async def test_what_may_not_be_read_is_noted_and_the_rest_is_shown(path):
    made = await opened()
    made.api.forbidden.add(path)
    for text in await pages(made):
        assert "whether a freeze holds is not known" in text
        assert "frozen until" not in text
