# SPDX-License-Identifier: Apache-2.0
"""A record of the ledger as a SIEM has it: valid in both formats whatever the record says, with an
id that never changes, and with all of the record in it."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.ledger.chain import record_digest
from cabgate.ledger.pruning import export_line
from cabgate.siem.cloudevents import cloud_event
from cabgate.siem.formats import Format, batch, encoded
from cabgate.siem.ocsf import entity_management
from cabgate.siem.records import record_event
from support.siem import checked_cloud_event, checked_ocsf
from unit.core.ledger.histories import STORY

RECORDS = STORY.records

CODES = ["AutoApproved", "Opened", "Approved", "GlassBroken", "Rejected", "Revoked", "Frozen"]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def event_of(raw: dict[str, Any]) -> Any:
    found = record_event("prod", raw)
    assert found is not None
    return found


def changed(**spec: Any) -> dict[str, Any]:
    made = copy.deepcopy(RECORDS[0])
    made["spec"].update(spec)
    return made


@pytest.mark.parametrize("number", range(len(RECORDS)))
def test_each_record_is_valid_in_both_formats_under_one_id(number: int) -> None:
    raw = RECORDS[number]
    event = event_of(raw)
    wanted = f"prod/shop/{number + 1}"
    assert checked_cloud_event(json.loads(encoded(event, Format.CLOUDEVENTS))) == wanted
    assert checked_ocsf(json.loads(encoded(event, Format.OCSF))) == wanted


def test_the_data_is_the_record_as_an_export_has_it() -> None:
    for raw in RECORDS:
        stored = {**raw, "metadata": {**raw["metadata"], "resourceVersion": "7", "uid": "x"}}
        data = cloud_event(event_of(stored))["data"]
        assert export_line(data) == export_line(raw)
        assert record_digest(data["spec"]) == raw["spec"]["digest"]
        assert entity_management(event_of(stored))["entity"]["data"] == data


def test_what_it_says_of_a_decision() -> None:
    raw = next(each for each in RECORDS if each["spec"]["author"]["type"] == "Person")
    spec = raw["spec"]
    about = f"{spec['subject']['namespace']}/{spec['subject']['name']}"
    made = cloud_event(event_of(raw))
    assert made["type"] == f"dev.cabgate.request.{spec['verdict'].lower()}"
    assert (made["source"], made["subject"], made["time"]) == ("/clusters/prod", about, spec["at"])
    found = entity_management(event_of(raw))
    assert found["actor"]["user"]["name"] == spec["author"]["username"]
    assert found["actor"]["user"]["type_id"] == 1
    assert found["entity"]["name"] == about
    assert found["metadata"]["event_code"] == spec["verdict"]
    assert found["metadata"]["sequence"] == spec["sequence"]
    assert found["metadata"]["labels"] == ["cluster:prod"]
    assert found.get("comment", "") == spec.get("rationale", "")


@pytest.mark.parametrize(
    ("verdict", "activity", "severity"),
    [
        ("Opened", 1, 1),
        ("UnderReview", 3, 1),
        ("Approved", 10, 1),
        ("AutoApproved", 10, 1),
        ("Rejected", 11, 3),
        ("Revoked", 11, 3),
        ("GlassBroken", 10, 4),
        ("FromALaterRelease", 99, 1),
    ],
)
def test_verdicts_as_activities(verdict: str, activity: int, severity: int) -> None:
    found = entity_management(event_of(changed(verdict=verdict)))
    assert (found["activity_id"], found["severity_id"]) == (activity, severity)
    assert checked_ocsf(found) == "prod/shop/1"


def test_exceptions_that_are_asked_for_or_granted_call_for_attention() -> None:
    subject = {**RECORDS[0]["spec"]["subject"], "kind": "CABException"}
    for verdict, severity in (("Asked", 3), ("Approved", 3), ("Expired", 1)):
        found = event_of(changed(verdict=verdict, subject=subject))
        assert found.type == f"exception.{verdict.lower()}"
        assert found.severity == severity


@pytest.mark.parametrize(
    ("kind", "needed"),
    [
        ("CABException", {"exception": {"approvalsNeeded": 2}}),
        ("CABRequest", {"terms": {"approvals": [{"count": 1}, {"count": 2}]}}),
    ],
)
def test_the_first_of_two_approvals_lets_nothing_through_as_yet(
    kind: str, needed: dict[str, Any]
) -> None:
    subject = {**RECORDS[0]["spec"]["subject"], "kind": kind}
    granted = 3 if kind == "CABException" else 1
    for entry, activity, severity in ((1, 3, 1), (2, 10, granted)):
        raw = changed(verdict="Approved", subject=subject, entry=entry, **needed)
        found = entity_management(event_of(raw))
        assert (found["activity_id"], found["severity_id"]) == (activity, severity)
    rejected = event_of(changed(verdict="Rejected", subject=subject, entry=1, **needed))
    assert rejected.severity == 3


def test_what_is_about_a_broken_glass_is_marked() -> None:
    found = entity_management(event_of(changed(breakGlass={"ticket": "INC-1", "reason": "down"})))
    assert found["severity_id"] == 4
    assert found["metadata"]["labels"] == ["cluster:prod", "break-glass"]


def test_what_has_no_place_in_a_chain_is_no_event() -> None:
    for name in ("", "shop", "shop.1", ".00000001", "shop.x0000001"):
        assert record_event("prod", {"metadata": {"name": name}, "spec": {}}) is None
    assert record_event("prod", {}) is None


@given(
    spec=JSON,
    verdict=st.sampled_from(CODES) | st.text(),
    at=st.text() | st.just("2026-01-01T00:00:00Z"),
)
def test_whatever_a_record_says_it_is_sent_and_valid(spec: Any, verdict: str, at: str) -> None:
    """Its name is its place; nothing else is sure of what somebody wrote past the schema."""
    if isinstance(spec, dict):
        spec = {"subject": {"kind": "CABRequest", "namespace": verdict}, **spec}
        spec |= {"verdict": verdict, "at": at, "author": {"username": at, "groups": [verdict]}}
    raw = {
        "metadata": {"name": "shop.00000042"},
        "spec": json.loads(json.dumps(spec, allow_nan=False)) if _is_json(spec) else None,
    }
    event = event_of(raw)
    for form, check in ((Format.CLOUDEVENTS, checked_cloud_event), (Format.OCSF, checked_ocsf)):
        line = encoded(event, form)
        assert b"\n" not in line
        assert check(json.loads(line)) == "prod/shop/42"


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


def test_a_record_of_which_nothing_can_be_read_calls_for_attention() -> None:
    found = event_of({"metadata": {"name": "shop.00000042"}, "spec": None})
    assert (found.type, found.code, found.severity) == ("record.unreadable", "Unreadable", 4)


def test_a_batch_is_one_json_array() -> None:
    lines = [encoded(event_of(raw), Format.CLOUDEVENTS) for raw in RECORDS]
    assert [each["id"] for each in json.loads(batch(lines))] == [
        f"prod/shop/{number}" for number in range(1, len(RECORDS) + 1)
    ]
