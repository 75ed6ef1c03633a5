# SPDX-License-Identifier: Apache-2.0
"""Privileged actions in the API server's audit log; a cluster test reads that of a real one."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.siem.actions import LOWERED, RELAY, action_event
from cabgate.siem.formats import Format, encoded
from cabgate.siem.ocsf import entity_management
from support.siem import checked_cloud_event, checked_ocsf
from unit.core.siem.test_records import JSON

ALICE = {"username": "alice", "groups": ["admins"], "uid": "7"}
DEFINITIONS = "apiextensions.k8s.io"
ID = re.compile(r"prod/_audit/[0-9a-f]{64}")
ADMISSION = "admissionregistration.k8s.io"


def event(verb: str, resource: str, name: str = "", **more: Any) -> dict[str, Any]:
    reference = {"resource": resource, "name": name, "apiGroup": more.pop("group", "")}
    if "namespace" in more:
        reference["namespace"] = more.pop("namespace")
    return {
        "kind": "Event",
        "auditID": "5b0b9c9e",
        "stage": "ResponseComplete",
        "verb": verb,
        "requestURI": "/x",
        "requestReceivedTimestamp": "2026-11-28T09:00:00.123456Z",
        "user": ALICE,
        "objectRef": reference,
        "responseStatus": {"code": 200},
        **more,
    }


POSITIONS = {"name": "cabgate-relay-cursors", "namespace": "cabgate-system"}

DONE = [
    ("risk-model-changed", 3, event("patch", "riskmodels", "strict", group="cabgate.dev")),
    ("risk-model-changed", 4, event("delete", "riskmodels", "strict", group="cabgate.dev")),
    ("change-policy-changed", 1, event("create", "changepolicies", "two", group="cabgate.dev")),
    ("freeze-changed", 4, event("delete", "changefreezes", "christmas", group="cabgate.dev")),
    ("signer-changed", 1, event("create", "evidencesigners", "ci", group="cabgate.dev")),
    (
        "admission-configuration-changed",
        4,
        event("delete", "validatingwebhookconfigurations", "cabgate", group=ADMISSION),
    ),
    (
        "admission-configuration-changed",
        4,
        event("deletecollection", "validatingadmissionpolicies", group=ADMISSION),
    ),
    (
        "admission-configuration-changed",
        3,
        event("update", "validatingadmissionpolicybindings", "rings.cabgate.dev", group=ADMISSION),
    ),
    (
        "admission-configuration-changed",
        3,
        event(
            "update",
            "mutatingwebhookconfigurations",
            "cabgate",
            group=ADMISSION,
            impersonatedUser={"username": "alice", "groups": [""]},
            user={"username": "system:serviceaccount:a:b"},
        ),
    ),
    (
        "ledger-pruned",
        3,
        event("update", "configmaps", "cabgate-ledger-checkpoints", namespace="cabgate-system"),
    ),
    (
        "ledger-pruned",
        4,
        event("delete", "configmaps", "cabgate-ledger-checkpoints", namespace="cabgate-system"),
    ),
    ("sink-positions-changed", 3, event("patch", "configmaps", **POSITIONS)),
    ("sink-positions-changed", 4, event("delete", "configmaps", **POSITIONS)),
    (
        "sink-positions-changed",
        3,
        event(
            "update",
            "configmaps",
            **POSITIONS,
            user={"username": RELAY},
            impersonatedUser=ALICE,
        ),
    ),
    (
        "ledger-state-deleted",
        4,
        event("deletecollection", "configmaps", namespace="cabgate-system"),
    ),
    ("record-deleted", 4, event("delete", "cabdecisions", "shop.00000001", group="cabgate.dev")),
    ("record-deleted", 4, event("deletecollection", "cabdecisions", group="cabgate.dev")),
    (
        "api-definition-changed",
        3,
        event("patch", "customresourcedefinitions", "cabrequests.cabgate.dev", group=DEFINITIONS),
    ),
    ("api-definition-changed", 4, event("delete", "customresourcedefinitions", group=DEFINITIONS)),
    (
        "requirements-lowered",
        3,
        event(
            "patch", "namespaces", "shop", namespace="shop", annotations={LOWERED: "ring 3 to 1"}
        ),
    ),
]

OTHERS = [
    event("get", "riskmodels", "strict", group="cabgate.dev"),
    event("update", "validatingwebhookconfigurations", "kyverno", group=ADMISSION),
    event("update", "configmaps", "cabgate-ledger-checkpoints", namespace="shop"),
    event("create", "configmaps", "cabgate-ledger-checkpoints", namespace="cabgate-system"),
    event(
        "patch",
        "configmaps",
        "cabgate-ledger-checkpoints",
        namespace="cabgate-system",
        responseStatus={"code": 201},
    ),
    event("patch", "namespaces", "shop", namespace="shop"),
    event("create", "riskmodels", "x", group="cabgate.dev", stage="RequestReceived"),
    event("create", "riskmodels", "x", group="cabgate.dev", responseStatus={"code": 403}),
    event("create", "riskmodels", "x", group="cabgate.dev", requestURI="/x?dryRun=All"),
    event("create", "configmaps", **POSITIONS),
    event("update", "configmaps", **POSITIONS, user={"username": RELAY}),
    event("update", "configmaps", "other", namespace="cabgate-system"),
    event("deletecollection", "configmaps", namespace="shop"),
    event("create", "cabdecisions", "shop.00000001", group="cabgate.dev"),
    event("delete", "customresourcedefinitions", "x.example.com", group=DEFINITIONS),
    event(
        "update",
        "customresourcedefinitions",
        "cabrequests.cabgate.dev",
        group=DEFINITIONS,
        user={"username": "system:apiserver"},
    ),
    event(
        "patch",
        "",
        objectRef={
            "resource": "evidencesigners",
            "subresource": "status",
            "name": "ci",
            "apiGroup": "cabgate.dev",
        },
    ),
    event(
        "delete",
        "riskmodels",
        "x",
        group="cabgate.dev",
        requestObject={"kind": "DeleteOptions", "dryRun": ["All"]},
    ),
    event("patch", "namespaces", "s", annotations={LOWERED: "x"}, responseStatus={"code": 403}),
]


@pytest.mark.parametrize(("code", "activity", "raw"), DONE)
def test_privileged_actions(code: str, activity: int, raw: dict[str, Any]) -> None:
    found = action_event("prod", raw)
    assert found is not None
    assert (found.code, found.activity.value) == (code, activity)
    assert found.actor is not None
    assert found.actor.username == "alice"
    for form, check in ((Format.CLOUDEVENTS, checked_cloud_event), (Format.OCSF, checked_ocsf)):
        assert check(json.loads(encoded(found, form))) == found.id
    assert ID.fullmatch(found.id)


def test_a_service_account_acts() -> None:
    raw = {**DONE[0][2], "user": {"username": "system:serviceaccount:cabgate-system:x"}}
    found = action_event("prod", raw)
    assert found is not None
    user = entity_management(found)["actor"]["user"]
    assert (user["type"], user["type_id"]) == ("Service", 99)
    assert checked_ocsf(entity_management(found)) == found.id


def test_what_was_lowered_is_said() -> None:
    found = action_event("prod", DONE[-1][2])
    assert found is not None
    assert found.comment == "ring 3 to 1"
    assert found.entity.path == "shop"


@pytest.mark.parametrize("raw", OTHERS)
def test_all_else_is_none(raw: dict[str, Any]) -> None:
    assert action_event("prod", raw) is None


def test_an_audit_id_that_a_client_chose_makes_no_two_events_one() -> None:
    first, second = DONE[0][2], DONE[2][2]
    assert first["auditID"] == second["auditID"]
    found = [action_event("prod", raw) for raw in (first, second, {**first, "auditID": "17"})]
    ids = {each.id for each in found if each is not None}
    assert len(ids) == 3
    again = action_event("prod", dict(reversed(first.items())))
    assert again is not None
    assert again.id in ids, "the same event has the same id"


def test_no_chain_of_the_ledger_has_the_id_of_an_action() -> None:
    found = action_event("prod", {**DONE[0][2], "auditID": "17"})
    assert found is not None
    chain = found.id.split("/")[1]
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", chain) is None, "no namespace's name"


@pytest.mark.parametrize("verb", ["delete", "deletecollection"])
def test_no_query_hides_a_deletion(verb: str) -> None:
    """Options in the body win, and at level Metadata nobody sees them."""
    raw = event(verb, "riskmodels", "x", group="cabgate.dev", requestURI="/x?dryRun=All")
    assert action_event("prod", raw) is not None
    assert action_event("prod", {**raw, "requestObject": {"propagationPolicy": "X"}}) is not None


@pytest.mark.parametrize(
    "uri",
    ["/x?dryRun=", "/x?dryRun=All;", "/x?dryrun=All", "/x?a=%3FdryRun=All", "//[x/dryRun=All"],
)
def test_only_what_the_api_server_takes_for_a_dry_run_is_one(uri: str) -> None:
    raw = event("create", "riskmodels", "x", group="cabgate.dev", requestURI=uri)
    assert action_event("prod", raw) is not None


FAILED = [
    {"responseStatus": {"code": 504}},
    {"responseStatus": {"code": 500}, "stage": "Panic"},
    {"stage": "Panic"},
    {"responseStatus": {}},
]


@pytest.mark.parametrize("more", FAILED)
def test_what_may_have_been_done_is_sent_with_unknown_status(more: dict[str, Any]) -> None:
    found = action_event("prod", DONE[1][2] | more)
    assert found is not None
    written = entity_management(found)
    assert (written["status_id"], written["status"]) == (0, "Unknown")
    assert checked_ocsf(written) == found.id
    sent = json.loads(encoded(found, Format.CLOUDEVENTS))
    assert sent["outcome"] == "unknown"
    assert checked_cloud_event(sent) == found.id


def test_a_collection_that_was_refused_midway_may_be_deleted_in_part() -> None:
    raw = event("deletecollection", "cabdecisions", group="cabgate.dev")
    decision = "authorization.k8s.io/decision"
    refused = raw | {"responseStatus": {"code": 403}}
    assert action_event("prod", refused | {"annotations": {decision: "forbid"}}) is None
    found = action_event("prod", refused | {"annotations": {decision: "allow"}})
    assert found is not None
    assert entity_management(found)["status"] == "Unknown"


def test_what_was_done_succeeded() -> None:
    found = action_event("prod", DONE[0][2])
    assert found is not None
    assert entity_management(found)["status"] == "Success"
    assert "outcome" not in json.loads(encoded(found, Format.CLOUDEVENTS))


def test_who_was_impersonated_acts_and_the_impersonator_is_named() -> None:
    raw = {**DONE[0][2], "impersonatedUser": {"username": "bob"}}
    found = action_event("prod", raw)
    assert found is not None
    assert found.actor is not None
    assert found.actor.username == "bob"
    assert found.data["user"]["username"] == "alice"
    assert found.message.endswith("by bob, impersonated by alice")
    assert "impersonator:alice" in entity_management(found)["metadata"]["labels"]


@given(st.sampled_from([raw for *_, raw in DONE]), st.data())
def test_an_event_that_says_anything_is_none_or_valid(
    raw: dict[str, Any], data: st.DataObject
) -> None:
    key = data.draw(st.sampled_from([*raw, "annotations", "impersonatedUser"]))
    broken = {**raw, key: data.draw(JSON)}
    found = action_event("prod", broken)
    if found is not None:
        line = encoded(found, Format.OCSF)
        assert b"\n" not in line
