# SPDX-License-Identifier: Apache-2.0
"""Where the page says that a release stands in its rings."""

import pytest

from support.promotion import DAY, outcome, promoted
from unit.portal.page.opened import Opened, as_stored

OUTCOMES = "/apis/cabgate.dev/v1alpha1/rolloutoutcomes"


@pytest.mark.parametrize(
    ("outcomes", "forbidden", "says"),
    [
        ([outcome()], False, ["Promoted", "release shop has run in ring 2 for 72h"]),
        ([outcome(DAY)], False, ["Pending", "until 2026-03-03T12:00:00Z"]),
        ([outcome(incidents=1)], False, ["Failed", "had 1 incident"]),
        ([], False, ["Pending", "has not run in ring 2"]),
        ([outcome()], True, ["NotKnown"]),
    ],
)
async def test_a_request_is_shown_with_the_ring_before(outcomes, forbidden, says):
    opened = await Opened().open()
    asks = as_stored("CABRequest", promoted())
    opened.api.put("cabrequests", asks)
    for number, each in enumerate(outcomes):
        opened.api.objects[f"{OUTCOMES}/{number}"] = as_stored("RolloutOutcome", each)
    if forbidden:
        opened.api.forbidden.add(OUTCOMES)
    meta = asks["metadata"]
    page = await opened.get(f"/requests/{meta['namespace']}.{meta['name']}")
    assert page.status_code == 200, page.text
    shown = page.text.partition("Rings before")[2].partition("</section>")[0]
    assert "into ring 3 after ring 2" in shown
    for words in says:
        assert words in shown
    assert opened.api.wrong == []


async def test_what_waits_for_no_ring_has_no_such_part():
    opened = await Opened().open()
    assert "Rings before" not in (await opened.get(opened.path)).text
