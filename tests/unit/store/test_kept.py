# SPDX-License-Identifier: Apache-2.0
"""What records rest on is kept in each content that it had, once, in real databases."""

import copy
from typing import Any

import pytest

from cabgate.ledger.kept import kept
from cabgate.ledger.verification import verify
from cabgate.reports.rollouts import changes_of, outcomes_in
from cabgate_samples.models import NOW
from cabgate_store.errors import StoreError
from cabgate_store.opening import database_of, open_to_append, open_to_read
from support.stores import Place
from unit.core.ledger.histories import PUBLIC, STORY
from unit.core.reports.test_rollouts import outcome

REQUEST = STORY.requests[0]


def changed(**spec: Any) -> dict[str, Any]:
    made = copy.deepcopy(REQUEST)
    made["spec"] |= spec
    return made


def test_each_content_is_kept_once_and_without_its_status(place: Place) -> None:
    store = open_to_append(place.append, NOW)
    undecided = {**REQUEST, "status": {}}
    assert store.keep("one", [kept("CABRequest", each) for each in (undecided, REQUEST)], NOW) == 1
    assert store.keep("one", [kept("CABRequest", REQUEST)], NOW) == 0
    assert store.keep("one", [kept("CABRequest", changed(summary="else"))], NOW) == 1
    [*found] = open_to_read(place.read).objects("one", "CABRequest")
    assert {each["spec"].get("summary") for each in found} == {
        REQUEST["spec"].get("summary"),
        "else",
    }
    assert all(each["kind"] == "CABRequest" and "status" not in each for each in found)
    assert all(each["metadata"]["uid"] == REQUEST["metadata"]["uid"] for each in found)


def test_an_outcome_is_kept_with_each_status_that_it_had(place: Place) -> None:
    store = open_to_append(place.append, NOW)
    begun = outcome(1, "web-1", pods={"seen": 1}).to_dict()
    ended = outcome(1, "web-1", pods={"seen": 3}, result="Failed", endedAt=2).to_dict()
    assert store.keep("one", [kept("RolloutOutcome", each) for each in (begun, ended)], NOW) == 2
    assert store.keep("one", [kept("RolloutOutcome", ended)], NOW) == 0
    found, unread = outcomes_in(open_to_read(place.read).objects("one", "RolloutOutcome"))
    assert unread == []
    (change,) = changes_of(found, [])
    assert change.failed
    assert change.outcome.status.pods.seen == 3


def test_clusters_and_kinds_share_nothing(place: Place) -> None:
    store = open_to_append(place.append, NOW)
    for cluster in ("one", "two"):
        for kind in ("CABRequest", "RiskModel"):
            assert store.keep(cluster, [kept(kind, REQUEST)], NOW) == 1
    assert len(list(store.objects("one", "RiskModel"))) == 1
    assert list(store.objects("one", "ChangePolicy")) == []


def test_more_than_a_page_is_read_in_pages(place: Place) -> None:
    store = open_to_append(place.append, NOW)
    uids = [f"uid-{number:03}" for number in range(120)]
    objects = [{"metadata": {"name": "x", "uid": uid}, "spec": {}} for uid in uids]
    assert store.keep("one", [kept("RiskModel", each) for each in objects], NOW) == 120
    found = [each["metadata"]["uid"] for each in store.objects("one", "RiskModel")]
    assert found == uids


def test_a_number_that_canonical_json_has_no_form_for_stops_nothing(place: Place) -> None:
    store = open_to_append(place.append, NOW)
    assert store.keep("one", [kept("RiskModel", {"metadata": {}, "spec": {"x": 2**60}})], NOW) == 1
    assert [each["spec"] for each in store.objects("one", "RiskModel")] == [{"x": 2**60}]


def test_what_is_no_json_is_told_of_by_its_name(place: Place) -> None:
    store = open_to_append(place.append, NOW)
    row = ("one", "CABRequest", "u-9", "d", "shop", "app-1", "gone", "t")
    marks = ", ".join("?" * len(row))
    database_of(place.anything, write=True).insert(f"INSERT INTO objects VALUES ({marks})", [row])
    [found] = store.objects("one", "CABRequest")
    assert found == {"metadata": {"namespace": "shop", "name": "app-1", "uid": "u-9"}}
    assert [each.code for each in verify([], [], [], PUBLIC, frozen=[found])] == ["Unreadable"]


def test_a_store_of_a_release_before_this_one_asks_to_be_prepared(place: Place) -> None:
    database = database_of(place.anything, write=True)
    if place.kind == "postgresql":
        database.script("ALTER TABLE cabgate.migrations RENAME TO old")
        database.script(
            "CREATE TABLE cabgate.migrations AS SELECT * FROM cabgate.old WHERE number < 3"
        )
        database.script("GRANT SELECT ON cabgate.migrations TO PUBLIC")
    else:
        database.script("DELETE FROM migrations WHERE number > 2;")
    with pytest.raises(StoreError, match="run cabgate-relay prepare"):
        open_to_read(place.read)
