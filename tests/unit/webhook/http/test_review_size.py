# SPDX-License-Identifier: Apache-2.0
"""How large a review may be, in bytes and in values: none takes memory for what it only repeats."""

import json
import tracemalloc
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cabgate.ledger.signatures import SigningKeys
from cabgate_bench.load.worst import worst_spec
from cabgate_webhook.admission.caller import Caller
from cabgate_webhook.admission.requests import (
    MAX_BODY_BYTES,
    MAX_OWN_BODY_BYTES,
    MAX_VALUES,
    OversizedAdmissionError,
    read_admission,
)
from cabgate_webhook.http.app import Settings, create_app
from cabgate_webhook.metrics import Metrics

PEM = (
    Ed25519PrivateKey.generate()
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)

THIRD_OF_THE_LIMIT = 128 * 1024 * 1024


def body_of(obj, group="cabgate.dev", resource="deploymentintents", old=None):
    review = {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u-1",
            "resource": {"group": group, "version": "v1", "resource": resource},
            "operation": "UPDATE",
            "namespace": "shop",
            "name": "web",
            "userInfo": {"username": "alice"},
            "object": obj,
            "oldObject": old or obj,
        },
    }
    return json.dumps(review, separators=(",", ":")).encode()


def of_lists(count):
    obj = {"apiVersion": "x.dev/v1", "kind": "Thing", "metadata": {"name": "web"}}
    return {**obj, "spec": {"a": [[]] * count}}


@pytest.mark.parametrize(("group", "rollout"), [("cabgate.dev", False), ("apps", True)])
def test_millions_of_empty_lists_are_denied_before_they_take_memory(group, rollout):
    body = body_of(of_lists(1_150_000), group)
    assert 6_900_000 < len(body) < MAX_BODY_BYTES
    tracemalloc.start()
    try:
        with pytest.raises(OversizedAdmissionError, match="values") as refused:
            read_admission(body, rollout=rollout)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert refused.value.uid == "u-1"
    assert most < THIRD_OF_THE_LIMIT / 4


def test_as_many_values_as_are_read_stay_far_below_the_memory_limit():
    body = body_of(of_lists(MAX_VALUES // 4 - 100), "x.dev")
    tracemalloc.start()
    try:
        read_admission(body, rollout=True)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < THIRD_OF_THE_LIMIT / 2


def test_what_stands_in_texts_is_no_value():
    """A rationale of commas, quotes and backslashes takes no room from a revocation."""
    text = ',[{"' + "\\" + '",' * 3
    obj = {**of_lists(1), "spec": {"note": text * 100_000}}
    assert read_admission(body_of(obj)).name == "web"


def test_the_worst_intent_that_the_schema_takes_is_read():
    """It is refused for its size, by a text that says which field."""
    spec = worst_spec("DeploymentIntent", 0.5)
    obj = {"apiVersion": "cabgate.dev/v1alpha1", "kind": "DeploymentIntent", "spec": spec}
    body = body_of(obj, old={"spec": {}})
    assert len(body) < MAX_OWN_BODY_BYTES
    assert read_admission(body).name == "web"


def test_own_objects_have_what_two_of_the_largest_stored_ones_have():
    note = {"metadata": {"name": "web", "annotations": {"note": "x" * 1_500_000}}}
    assert read_admission(body_of(note)).name == "web"
    note["metadata"]["annotations"]["note"] *= 2
    with pytest.raises(OversizedAdmissionError, match="bytes"):
        read_admission(body_of(note))
    assert read_admission(body_of(note, "apps"), rollout=True).name == "web"


def test_a_workload_with_all_the_annotations_there_may_be_is_read():
    names = dict.fromkeys((f"{number:x}" for number in range(77_000)), "")
    managed = [{"fieldsV1": {"f:metadata": {f"f:{name}": {} for name in names}}}]
    template = {"metadata": {"annotations": names}, "spec": {"containers": [{"image": "web:1"}]}}
    obj = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "managedFields": managed},
        "spec": {"template": template},
    }
    assert read_admission(body_of(obj, "apps", "deployments"), rollout=True).name == "web"


async def test_an_oversized_review_is_denied_by_its_uid_and_says_why():
    app = create_app(None, Settings(SigningKeys(PEM), Caller(Path(__file__))), Metrics())
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://webhook") as client:
        answer = await client.post("/validate", content=body_of(of_lists(600_000), "x.dev"))
    response = answer.json()["response"]
    assert (response["uid"], response["allowed"]) == ("u-1", False)
    assert response["status"]["message"].startswith("TooLarge: the admission request has 2400")
    assert "Make the object smaller" in response["status"]["message"]
