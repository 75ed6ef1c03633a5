# SPDX-License-Identifier: Apache-2.0
"""What a controller makes of an approved workload is denied where nobody named that controller:
the denial says which value of the chart lacks which user."""

import json

import pytest

from cabgate_samples.models import NOW, by_person, request, target
from cabgate_webhook.admission.requests import read_admission
from cabgate_webhook.client.apiserver import LiveReads
from cabgate_webhook.handlers.rollouts import gated_kind, judge_rollout

ARGO = "system:serviceaccount:argo-rollouts:argo-rollouts"
ROLLOUT = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web"}
APPROVED = request(
    "ManualReview",
    by_person("Approved"),
    targets=[target("web", "web:1", kind="Rollout", apiVersion="argoproj.io/v1alpha1")],
)
WAITING = request("ManualReview", targets=[target("web", "web:1", kind="Rollout",
                  apiVersion="argoproj.io/v1alpha1")])  # fmt: skip


class StoredApi(LiveReads):
    """An API server that holds some requests, in a namespace of ring 2."""

    def __init__(self, *requests):
        self._requests = [each.model_dump(mode="json", by_alias=True) for each in requests]

    async def _read(self, path, query=None, **_):
        if path.endswith("/cabrequests"):
            return json.dumps({"items": self._requests}).encode()
        return json.dumps({"metadata": {"labels": {"cabgate.dev/ring": "2"}}}).encode()


async def denial(api, user=ARGO, image="web:1", **owner):
    """Of a ReplicaSet that says a controller made it of a Rollout."""
    owners = [{**ROLLOUT, "controller": True, "uid": "u", **owner}]
    body = {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "1",
            "namespace": "shop",
            "name": "web-7d9",
            "operation": "CREATE",
            "resource": {"group": "apps", "version": "v1", "resource": "replicasets"},
            "userInfo": {"username": user, "groups": []},
            "object": {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "metadata": {"name": "web-7d9", "namespace": "shop", "ownerReferences": owners},
                "spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}},
            },
        },
    }
    review = read_admission(json.dumps(body).encode(), rollout=True)
    answer = await judge_rollout(review, gated_kind(review), api, 0, NOW)
    assert not answer.allowed
    assert answer.reason == "NoRequest"
    return answer.message


async def test_the_denial_names_the_value_and_the_account_that_asked():
    message = await denial(StoredApi(APPROVED))
    assert message.startswith("NoRequest: ReplicaSet web-7d9 in namespace shop (ring 2) ")
    assert f"it was made from, is approved by {APPROVED.metadata.name}" in message
    assert message.endswith(
        f"{ARGO} asked. If that is the controller of Rollouts, a cluster admin names it in the "
        f'chart\'s values: controllers: ["{ARGO}"]'
    )
    assert "past the gate" in message


@pytest.mark.parametrize(
    ("api", "more"),
    [
        (StoredApi(), {}),
        (StoredApi(WAITING), {}),
        (StoredApi(APPROVED), {"image": "web:2"}),
        (StoredApi(APPROVED), {"user": "mallory"}),
        (StoredApi(APPROVED), {"controller": False}),
        (StoredApi(APPROVED), {"name": "other"}),
        (StoredApi(APPROVED), {"kind": "Deployment", "apiVersion": "apps/v1"}),
    ],
)
async def test_nobody_else_is_said_to_be_a_controller(api, more):
    assert "controllers" not in await denial(api, **more)
