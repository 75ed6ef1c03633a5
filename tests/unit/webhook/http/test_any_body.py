# SPDX-License-Identifier: Apache-2.0
"""Whatever a review holds there is an answer, and no series of its own."""

import httpx
from hypothesis import given
from hypothesis import strategies as st

from cabgate_webhook.metrics import Metrics
from unit.webhook.http.applications import review, send, webhook

FIELDS = st.sampled_from(
    [
        "annotations",
        "author",
        "compensatingControls",
        "conditions",
        "decisions",
        "durationDays",
        "evidence",
        "evidenceDigest",
        "finalizers",
        "generation",
        "labels",
        "metadata",
        "name",
        "observedGeneration",
        "ownerReferences",
        "rationale",
        "requestRef",
        "review",
        "sequence",
        "state",
        "submittedBy",
        "targets",
        "template",
        "username",
        "verdict",
    ]
)


WORDS = st.sampled_from(["Approved", "Rejected", "Revoked", "UnderReview", "web", "1", ""])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS | st.text(), inner),
    max_leaves=12,
)


OBJECTS = st.dictionaries(FIELDS, JSON, max_size=6)


OURS = ["deploymentintents", "cabrequests", "cabexceptions"]


@given(
    resource=st.sampled_from([("apps", "deployments"), *(("cabgate.dev", name) for name in OURS)]),
    subresource=st.sampled_from(["", "status", "scale"]),
    operation=st.sampled_from(["CREATE", "UPDATE", "DELETE", "CONNECT", "other"]),
    path=st.sampled_from(["/validate", "/mutate"]),
    spec=OBJECTS | JSON,
    status=OBJECTS | JSON,
    old=OBJECTS | JSON,
    metadata=OBJECTS | JSON,
)
async def test_whatever_the_objects_hold_there_is_an_answer(
    resource, subresource, operation, path, spec, status, old, metadata
):
    obj = {"apiVersion": "x/v1", "kind": "X", "metadata": metadata, "spec": spec, "status": status}
    body = review(
        resource={"group": resource[0], "version": "v1", "resource": resource[1]},
        subResource=subresource,
        operation=operation,
        object=obj,
        oldObject={**obj, "spec": old, "status": old} if isinstance(old, dict) else old,
    )
    answer = await send(body, path)
    assert answer.status_code in (200, 400)
    if answer.status_code == 200 and not answer.json()["response"]["allowed"]:
        message = answer.json()["response"]["status"]["message"]
        assert not message.startswith("InternalError"), message


@given(JSON)
async def test_any_json_gets_an_answer(body):
    assert (await send(body)).status_code in (200, 400)


MADE_UP = [
    review(
        resource={"group": group, "version": "v1", "resource": f"made-up-{number}"},
        subResource=subresource,
        object={"apiVersion": f"{group or 'v1'}", "kind": kind, "metadata": {"name": "web"}},
    )
    for number, (group, subresource, kind) in enumerate(
        (group, subresource, kind)
        for group in ("apps", "cabgate.dev", "", "example.com")
        for subresource in ("", "status", "ephemeralcontainers", "made-up")
        for kind in ("Deployment", "CABRequest", "Pod", "MadeUp")
    )
]


async def test_resources_that_somebody_makes_up_make_no_series():
    """A series stays for as long as the process lives."""
    metrics = Metrics()
    transport = httpx.ASGITransport(webhook(metrics=metrics))
    async with httpx.AsyncClient(transport=transport, base_url="https://webhook") as client:
        for path in ("/validate", "/mutate"):
            for body in MADE_UP:
                await client.post(path, json=body)
    labels = {
        sample.labels["resource"]
        for family in metrics.registry.collect()
        if family.name == "cabgate_admission_requests"
        for sample in family.samples
    }
    assert "other" in labels
    assert not [label for label in labels if "made-up" in label]
