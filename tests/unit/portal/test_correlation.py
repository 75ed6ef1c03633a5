# SPDX-License-Identifier: Apache-2.0
"""What belongs to one change elsewhere, such as one of ServiceNow, and nothing else."""

import pytest

from cabgate_samples.models import by_person, intent, request
from cabgate_samples.objects import MIDDLING
from unit.core.ledger.histories import History, raw
from unit.portal.fake_api import OURS
from unit.portal.page.opened import Opened, as_stored
from unit.portal.portals import Made

CHANGE, OTHER, LONGER = "CHG0012345", "CHG0012346", "CHG00123456"


@pytest.fixture
def made():
    """Requests that wait, of three changes and of none, and a record of each."""
    found, decided = Made(), []
    for number, change in enumerate((CHANGE, OTHER, LONGER, None)):
        said = {"correlation_id": change} if change else {}
        of = intent(MIDDLING, name=f"web-{number}", **said)
        waits = as_stored("CABRequest", request(name=f"waits-{number}", of=of))
        waits["spec"]["submittedBy"] = [{"username": "rita", "type": "Person"}]
        found.api.put("cabrequests", waits)
        done = request("ManualReview", by_person("Approved"), name=f"done-{number}", of=of)
        decided.append(raw(done, f"r-{number}"))
    for record in History(decided, []).records:
        found.api.objects[f"{OURS}/cabdecisions/{record['metadata']['name']}"] = record
    return found


async def names(made, path):
    answer = await made.call("GET", path)
    assert answer.status_code == 200, answer.text
    items = answer.json()["items"]
    return [each.get("id") or each["spec"]["subject"]["name"] for each in items]


@pytest.mark.parametrize("path", ["/requests", "/pending", "/my-requests"])
@pytest.mark.parametrize("within", ["", "&namespace=shop"])
async def test_what_waits_is_found_by_the_change_that_it_belongs_to(made, path, within):
    assert len(await names(made, path)) == 4
    assert await names(made, f"{path}?correlationID={CHANGE}{within}") == ["shop.waits-0"]
    assert await names(made, f"{path}?correlationID={LONGER}{within}") == ["shop.waits-2"]
    for nothing in ("CHG001234", "chg0012345", "none"):
        assert await names(made, f"{path}?correlationID={nothing}{within}") == []
    assert made.api.wrong == []


async def test_the_records_of_a_change_are_found(made):
    assert len(await names(made, "/ledger")) == 4
    assert await names(made, f"/ledger?correlationID={CHANGE}") == ["done-0"]
    assert await names(made, f"/ledger?correlationID={OTHER}&verdict=Approved") == ["done-1"]
    assert await names(made, f"/ledger?correlationID={OTHER}&verdict=Rejected") == []
    assert await names(made, "/ledger?correlationID=CHG001234") == []
    answer = await made.call("GET", f"/ledger?correlationID={CHANGE}")
    assert answer.json()["items"][0]["spec"]["correlationID"] == CHANGE
    assert made.api.wrong == []


async def test_the_page_of_the_ledger_finds_them_too(made):
    opened = await Opened().open()
    opened.api.objects |= made.api.objects
    text = (await opened.get(f"/ledger?correlation={CHANGE}")).text
    assert "done-0" in text
    assert "done-1" not in text
    assert "No record fits" in (await opened.get("/ledger?correlation=CHG001234")).text
