# SPDX-License-Identifier: Apache-2.0
"""Signed evidence on the real API server: what a trusted key signed counts, what a team raised by
hand is refused, and nobody but the keys makes it otherwise."""

import json
import sys
from pathlib import Path

import pytest
import yaml

from cabgate.api import DeploymentIntent, RiskModel
from cabgate.api.request import Provenance
from cabgate.api.signer import Section
from cabgate.lifecycle.requests.kept_evidence import evidence_for
from cabgate.lifecycle.requests.opening import request_for
from cabgate.risk.provenance import provenance_of
from cabgate_devcluster import wait_until
from cabgate_kube.clock import utc_now
from cabgate_samples.objects import GOOD, intent
from support.clients import client_of
from support.gate import denial, paused
from support.models import risk_model

CABGATE = Path(sys.executable).with_name("cabgate")
OPERATOR = "system:serviceaccount:cabgate-system:cabgate-operator"
IMAGE = "registry.example.com/web@sha256:" + "a" * 64


@pytest.fixture(scope="module")
def demanding(gate):
    """A model that counts as missing what nobody signed."""
    factors = [
        {**factor, "unverified": "WorstScore"} for factor in risk_model("x")["spec"]["factors"]
    ]
    body = risk_model("signed-only", factors=factors)
    gate.create("admin", body)
    yield RiskModel.model_validate(body)
    gate.cluster.kubectl("delete", "riskmodel", "signed-only")


@pytest.fixture
def shop(gate, namespace, demanding):
    """A namespace whose model is the demanding one."""
    gate.cluster.kubectl(
        "label", "namespace", namespace, f"cabgate.dev/risk-model={demanding.name}"
    )
    return namespace


@pytest.fixture
def signer(gate, namespace, tmp_path):
    """Name of an EvidenceSigner of the namespace, whose key is in `key` below `tmp_path`."""
    name, key = f"ci-{namespace}", tmp_path / "key"
    sections = " ".join(f"--section {part}" for part in GOOD)
    made = gate.shell(
        "requester",
        f"cabgate evidence keygen {name} --key {key} --speaks-in {namespace} {sections}",
        CABGATE,
    )
    assert made.returncode == 0, made.stderr
    gate.create("admin", yaml.safe_load(made.stdout))
    yield name
    gate.cluster.kubectl("delete", "evidencesigner", name, "--ignore-not-found")


def sign(gate, body, tmp_path, key="key"):
    """An intent as the pipeline signs it."""
    path = tmp_path / "intent.yaml"
    path.write_text(yaml.safe_dump(body))
    sections = " ".join(f"--section {part}" for part in body["spec"]["evidence"])
    done = gate.shell(
        "requester",
        f"cabgate evidence sign --key {tmp_path / key} -f {path} -o json {sections}",
        CABGATE,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def declared(namespace, name="web", **evidence):
    return intent(namespace, name=name, images=(IMAGE,), evidence={**GOOD, **evidence})


def states(request):
    return {each["state"] for each in request["spec"]["assessment"].get("provenance", [])}


def test_what_the_pipeline_signed_is_approved_by_score_and_what_it_did_not_counts_as_missing(
    gate, shop, signer, tmp_path
):
    gate.apply("requester", declared(shop, "typed"))
    typed = gate.request_of(shop, "typed", "ExceptionRequired")
    assert typed["spec"]["assessment"]["score"] == "100.00"
    assert "provenance" not in typed["spec"]["assessment"]
    body = sign(gate, declared(shop), tmp_path)
    gate.apply("requester", body)
    request = gate.request_of(shop, state="AutoApproved")
    assert request["spec"]["assessment"]["score"] == "0.00"
    assert {each["section"]: each["signer"] for each in request["spec"]["assessment"]["provenance"]}
    assert states(request) == {"Verified"}
    # No envelope where rollouts read.
    [kept] = request["spec"]["evidence"]["attestations"]
    assert list(kept) == ["sha256"]
    shown = gate.shell(
        "reviewer", f"cabgate show {request['metadata']['name']} -n {shop}", CABGATE
    ).stdout
    assert f"Verified: signed by {signer}, " in shown


def test_a_raised_coverage_is_refused_with_its_path(gate, namespace, signer, tmp_path):
    low = {**GOOD["testResults"], "coveragePercent": 61}
    body = sign(gate, declared(namespace, testResults=low), tmp_path)
    body["spec"]["evidence"]["testResults"]["coveragePercent"] = 96
    refused = denial(gate.apply("requester", body, check=False))
    assert refused.startswith(
        "WrongContent: spec.evidence.testResults.coveragePercent: is declared as 96, and signed as "
        f"61 by EvidenceSigner {signer}; "
    )
    body["spec"]["evidence"]["testResults"]["coveragePercent"] = 61
    gate.apply("requester", body)
    assert states(gate.request_of(namespace)) == {"Verified"}


def test_a_signature_for_another_namespace_intent_or_image_speaks_for_nothing(
    gate, shop, signer, make_namespace, tmp_path
):
    other = make_namespace()
    envelopes = sign(gate, declared(shop), tmp_path)["spec"]["evidence"]["attestations"]
    elsewhere = declared(other)
    renamed = declared(shop, "renamed")
    rebuilt = intent(shop, name="rebuilt", images=(IMAGE.replace("a" * 64, "b" * 64),))
    for body in (elsewhere, renamed, rebuilt):
        body["spec"]["evidence"]["attestations"] = envelopes
        gate.apply("requester", body)
        meta = body["metadata"]
        found = gate.request_of(meta["namespace"], meta["name"])
        assert states(found) == {"Declared"}
        why = found["spec"]["assessment"]["provenance"][0]["why"]
        reasons = ("about intent", "other images", "does not speak in this namespace")
        assert any(each in why for each in reasons), why
        if meta["namespace"] == shop:
            assert found["spec"]["assessment"]["score"] == "100.00"


def opened_by_hand(gate, namespace, model, provenance):
    """The answer to a request that the operator, paused, is made to have opened."""
    live = DeploymentIntent.model_validate(gate.get("deploymentintent", "web", namespace))
    request = request_for(live, 2, model=model, provenance=provenance)
    body = {"apiVersion": "cabgate.dev/v1alpha1", "kind": "CABRequest", **request.to_dict()}
    body["metadata"]["labels"] = dict(request.metadata.labels)
    kept = evidence_for(live).to_dict() | {"apiVersion": body["apiVersion"], "kind": "CABEvidence"}
    path = f"/apis/cabgate.dev/v1alpha1/namespaces/{namespace}"
    with client_of(gate.user(OPERATOR)) as client:
        assert client.post(f"{path}/cabevidences", json=kept).status_code == 201
        return client.post(f"{path}/cabrequests", json=body), request.metadata.name


def test_the_webhook_believes_no_operator_that_something_was_signed(
    gate, shop, signer, demanding, tmp_path
):
    body = sign(gate, declared(shop), tmp_path)
    [envelope] = body["spec"]["evidence"]["attestations"]
    forged = bytearray(envelope["signatures"][0]["sig"].encode())
    forged[:2] = b"AA"
    envelope["signatures"][0]["sig"] = forged.decode()
    said = [
        Provenance(section=section, state="Verified", signer=signer)
        for section in Section
        if section.value in GOOD
    ]
    with paused(gate.installation.operator):
        gate.apply("requester", body)
        answer, _ = opened_by_hand(gate, shop, demanding, said)
        assert answer.status_code == 403
        assert "WrongContent: spec.assessment: " in answer.json()["message"]
    assert gate.request_of(shop)["spec"]["assessment"]["score"] == "100.00"


def test_a_signer_that_is_revoked_meanwhile_approves_nothing(
    gate, shop, signer, demanding, tmp_path
):
    """What was scored by its word, and not approved yet, waits for a person."""
    raw = json.loads(gate.cluster.kubectl("get", "evidencesigner", signer, "-o", "json").stdout)
    body = sign(gate, declared(shop), tmp_path)
    with paused(gate.installation.operator):
        gate.apply("requester", body)
        live = DeploymentIntent.model_validate(gate.get("deploymentintent", "web", shop))
        labels = {"kubernetes.io/metadata.name": shop}
        said = provenance_of(live, labels, [raw], utc_now())
        answer, name = opened_by_hand(gate, shop, demanding, said)
        assert answer.status_code == 201, answer.text
        gate.cluster.kubectl("delete", "evidencesigner", signer)
    wait_until(
        lambda: (
            "who signed is not trusted as when it was opened"
            in str(gate.get("cabrequest", name, shop))
        ),
        "the request says why a person decides",
    )
    assert gate.get("cabrequest", name, shop)["status"]["state"] == "Submitted"


def test_what_is_no_envelope_and_who_is_no_admin_are_refused(gate, namespace, signer, tmp_path):
    for odd in ({"sha256": "0" * 64}, {"payloadType": "x", "payload": "AAAA"}):
        body = declared(namespace)
        body["spec"]["evidence"]["attestations"] = [odd]
        assert "attestation is an envelope" in gate.apply("requester", body, check=False).stderr
    for user in ("requester", "reviewer"):
        raw = json.loads(gate.kubectl(user, "get", "evidencesigner", signer, "-o", "json").stdout)
        raw["metadata"] = {"name": "mine"}
        assert "forbidden" in gate.create(user, raw, check=False).stderr
    raw["spec"]["publicKeys"][0]["key"] = "-----BEGIN PRIVATE KEY-----\nAA==\n"
    assert "spec.publicKeys[0].key" in gate.create("admin", raw, check=False).stderr
