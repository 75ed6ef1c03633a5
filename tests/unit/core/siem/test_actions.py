# SPDX-License-Identifier: Apache-2.0
"""Privileged actions in the API server's audit log; a cluster test reads that of a real one."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.siem.actions import LOWERED, action_event
from cabgate.siem.formats import Format, encoded
from cabgate.siem.ocsf import entity_management
from support.siem import checked_cloud_event, checked_ocsf
from unit.core.siem.test_records import JSON

ALICE = {"username": "alice", "groups": ["admins"], "uid": "7"}
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


DONE = [
    ("risk-model-changed", 3, event("patch", "riskmodels", "strict", group="cabgate.dev")),
    ("risk-model-changed", 4, event("delete", "riskmodels", "strict", group="cabgate.dev")),
    ("change-policy-changed", 1, event("create", "changepolicies", "two", group="cabgate.dev")),
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
        assert check(json.loads(encoded(found, form))) == "prod/audit/5b0b9c9e"


def test_a_service_account_acts() -> None:
    raw = {**DONE[0][2], "user": {"username": "system:serviceaccount:cabgate-system:x"}}
    found = action_event("prod", raw)
    assert found is not None
    user = entity_management(found)["actor"]["user"]
    assert (user["type"], user["type_id"]) == ("Service", 99)
    assert checked_ocsf(entity_management(found)) == "prod/audit/5b0b9c9e"


def test_what_was_lowered_is_said() -> None:
    found = action_event("prod", DONE[-1][2])
    assert found is not None
    assert found.comment == "ring 3 to 1"
    assert found.entity.path == "shop"


@pytest.mark.parametrize("raw", OTHERS)
def test_all_else_is_none(raw: dict[str, Any]) -> None:
    assert action_event("prod", raw) is None


def test_who_was_impersonated_acts_and_the_data_has_both() -> None:
    raw = {**DONE[0][2], "impersonatedUser": {"username": "bob"}}
    found = action_event("prod", raw)
    assert found is not None
    assert found.actor is not None
    assert found.actor.username == "bob"
    assert found.data["user"]["username"] == "alice"


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
